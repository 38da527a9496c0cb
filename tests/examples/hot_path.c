/* hot_path.c - an operation that is nearly always done when it returns

   Teaches the pattern around a buffered read: a result that is there is taken at once,
   and only a read that really waits pays for a registration with the cancellation token
   and for an await. Counts both, and what they allocate. */
#define VTS_IMPLEMENTATION
#include "vts.h"

#include "allocations.h"

#include <stdio.h>

/* Answers from what is there; every 64th read has to wait for the wire. */
typedef struct connection {
    vts_source source;
    vts_token token;
    unsigned reads;
    bool waiting;
} connection;

static vts_valuetask read_async(connection *c)
{
    if (++c->reads % 64 != 0) return vts_valuetask_from_result(100);
    if (vts_source_reset(&c->source, &c->token) != VTS_OK) {
        return vts_valuetask_from_error(VTS_E_BUSY);
    }
    c->waiting = true;
    return vts_valuetask_of(&c->source, c->token);
}

static void cancel_read(void *arg)
{
    connection *c = arg;
    vts_source_set_canceled(&c->source, c->token, 0);
}

typedef struct download {
    vts_co co;
    connection *from;
    vts_cancellation_token cancel;
    vts_cancellation_registration registration;
    vts_valuetask task;
    intptr_t bytes, total;
    unsigned at_once, later;
} download;

static vts_step download_run(vts_co *co)
{
    download *d = VTS_SELF(co, download);

    VTS_ASYNC(co) {
        while (d->total < 1000000) {
            d->task = read_async(d->from);
            if (vts_valuetask_is_completed_successfully(d->task)) {
                vts_valuetask_get_result(d->task, &d->bytes);
                d->at_once++;
            } else {
                vts_cancellation_register(d->cancel, &d->registration, cancel_read,
                                          d->from);
                VTS_AWAIT(d->bytes, d->task);
                vts_cancellation_unregister(&d->registration);
                if (d->bytes < 0) VTS_LEAVE();
                d->later++;
            }
            d->total += d->bytes;
        }
    }
    return vts_co_finish(co, d->bytes < 0 ? d->bytes : d->total);
}

/* The wire: delivers what is waited for, and after so many deliveries cancels instead. */
static intptr_t run(download *d, vts_cancellation_source *stop, unsigned deliveries)
{
    vts_valuetask task = vts_co_start(&d->co, download_run);
    intptr_t result = 0;
    int error;

    while (d->from->waiting) {
        d->from->waiting = false;
        if (deliveries-- == 0) vts_cancellation_cancel(stop);
        else vts_source_set_result(&d->from->source, d->from->token, 100);
    }
    error = vts_valuetask_get_result(task, &result);
    return error != VTS_OK ? error : result;
}

int main(void)
{
    vts_cancellation_source stop = {0};
    connection line = {.reads = 0}, cut = {.reads = 0};
    download all = {.from = &line, .cancel = vts_cancellation_token_of(&stop)};
    download some = {.from = &cut, .cancel = vts_cancellation_token_of(&stop)};
    unsigned long before = allocations();
    intptr_t got = run(&all, &stop, 1000);
    intptr_t canceled = run(&some, &stop, 2);
    unsigned long allocated = allocations() - before;

    printf("%ld bytes: %u reads at once, %u awaited\n", (long)got, all.at_once, all.later);
    printf("the next download after %ld bytes: %s\n", (long)some.total,
           vts_strerror((int)canceled));
    printf("allocations: %lu%s\n", allocated, COUNTS_ALLOCATIONS ? "" : " (not counted)");
    return got == 1000000 && all.at_once == 9844 && all.later == 156 &&
                   canceled == VTS_E_CANCELED && some.total == 19100 && allocated == 0
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}
