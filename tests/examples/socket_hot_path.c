/* socket_hot_path.c - a download whose reads are nearly always done when they return

   Teaches the pattern of .NET's HTTP handler: a result that is there is taken at once, and
   only a read that really waits pays for a registration with the cancellation token and
   for an await. What the registration does is to close the connection: it is of no use
   any more once a read in its middle was given up. Counts both, and what they allocate. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"

#include "allocations.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define BURST 65536
#define BURSTS 16

static vts_socket_loop net;

// ---- the other end: bursts, and a rest after each; at last it stands still -------

static struct {
    vts_co co;
    vts_socket socket;
    char burst[BURST];
    int sent;
    intptr_t n;
} origin;

static vts_step origin_run(vts_co *co)
{
    VTS_ASYNC(co) {
        for (origin.sent = 0; origin.sent < BURSTS; origin.sent++) {
            VTS_TRY(origin.n, vts_delay(&net.loop, vts_after(VTS_MILLISECONDS(1)),
                                        vts_cancellation_none()));
            VTS_TRY(origin.n,
                    vts_socket_send_all(&origin.socket, origin.burst, BURST, 0, NULL));
        }
    }
    return vts_co_finish(co, origin.n);
}

// ---- the download ----------------------------------------------------------------

typedef struct download {
    vts_co co;
    vts_socket socket;
    vts_cancellation_token cancel;
    vts_cancellation_registration registration;
    vts_valuetask task;
    char buffer[1024];
    intptr_t n, total;
    unsigned at_once, later;
    unsigned long before, allocated; /* from the first read that waited on        */
} download;

/* The read that waits is canceled by it. */
static void close_connection(void *arg)
{
    download *d = arg;
    vts_valuetask_forget(vts_socket_close(&d->socket));
}

static vts_step download_run(vts_co *co)
{
    download *d = VTS_SELF(co, download);

    VTS_ASYNC(co) {
        do {
            d->task = vts_socket_recv(&d->socket, d->buffer, sizeof d->buffer, 0, NULL);
            if (vts_valuetask_is_completed_successfully(d->task)) {
                vts_valuetask_get_result(d->task, &d->n);
                d->at_once++;
            } else {
                vts_cancellation_register(d->cancel, &d->registration, close_connection, d);
                VTS_AWAIT(d->n, d->task);
                vts_cancellation_unregister(&d->registration);
                if (d->n < 0) VTS_LEAVE();
                if (d->later++ == 0) d->before = allocations();
            }
            d->allocated = allocations() - d->before;
            d->total += d->n;
        } while (d->n > 0);
    }
    return vts_co_finish(co, d->n < 0 ? d->n : d->total);
}

/* Gives up when everything has come: the other end sends no more, and does not end. */
static int run(download *d, vts_cancellation_source *stop)
{
    vts_valuetask task = vts_co_start(&d->co, download_run);
    vts_valuetask sending = vts_co_start(&origin.co, origin_run);

    while (d->total < BURST * BURSTS && !vts_valuetask_is_completed(task)) {
        vts_loop_run_once(&net.loop, VTS_NEVER);
    }
    vts_cancellation_cancel(stop);
    vts_loop_run_until(&net.loop, task, VTS_NEVER);
    vts_loop_run_until(&net.loop, sending, VTS_NEVER);
    if (vts_valuetask_get_result(sending, NULL) != VTS_OK) return VTS_E_ARGUMENT;
    return vts_valuetask_get_result(task, NULL);
}

static bool close_all(void)
{
    vts_valuetask_forget(vts_socket_close(&origin.socket));
    while (vts_socket_loop_destroy(&net) == VTS_E_BUSY) vts_loop_run_once(&net.loop, 0);
    return !vts_socket_is_open(&origin.socket);
}

int main(void)
{
    static download d;
    vts_cancellation_source stop = {0};
    int ends[2], error;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 ||
        vts_socket_loop_init(&net, NULL) != VTS_OK ||
        vts_socket_adopt(&origin.socket, &net, ends[0]) != VTS_OK ||
        vts_socket_adopt(&d.socket, &net, ends[1]) != VTS_OK) {
        return EXIT_FAILURE;
    }
    d.cancel = vts_cancellation_token_of(&stop);
    error = run(&d, &stop);
    printf("%ld bytes: %u reads at once, %u awaited, then %s\n", (long)d.total, d.at_once,
           d.later, vts_socket_strerror(error));
    printf("allocations: %lu%s\n", d.allocated, COUNTS_ALLOCATIONS ? "" : " (not counted)");
    return close_all() && error == -ECANCELED && d.total == BURST * BURSTS &&
                   d.at_once > d.later && d.allocated == 0
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}
