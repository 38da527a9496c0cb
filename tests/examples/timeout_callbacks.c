/* timeout_callbacks.c - an operation with a timeout and a cleanup, in callbacks

   The same program as timeout_await.c and timeout_cxx.cpp: opens a device, reads from it
   for no longer than some time, and closes it whatever happened. Teaches what the other
   two are made of: a value task, and a function that goes on when it is completed. */
#define VTS_IMPLEMENTATION
#include "vts.h"

#include "timeout_device.h"

typedef struct fetch {
    device *device;
    vts_time patience;
    vts_cancellation_source stop;
    vts_timeout timeout;
    vts_valuetask task; /* what is waited for now                                     */
    intptr_t value;
    int error;
    bool done;
} fetch;

static vts_valuetask read_in_time(fetch *f)
{
    vts_cancellation_token stop = vts_cancellation_token_of(&f->stop);

    return vts_with_timeout(&f->timeout, device_read(f->device, stop), &loop,
                            vts_after(f->patience), &f->stop);
}

static void then(fetch *f, vts_valuetask task, vts_continuation next)
{
    f->task = task;
    if (vts_valuetask_on_completed(task, next, f, VTS_NONE) != VTS_OK) abort();
}

static void fetch_closed(void *arg)
{
    fetch *f = arg;
    int error = vts_valuetask_get_result(f->task, NULL);

    if (f->error == VTS_OK) f->error = error;
    f->done = true;
}

static void fetch_read(void *arg)
{
    fetch *f = arg;

    f->error = vts_valuetask_get_result(f->task, &f->value);
    then(f, device_close(f->device), fetch_closed);
}

static void fetch_opened(void *arg)
{
    fetch *f = arg;

    f->error = vts_valuetask_get_result(f->task, NULL);
    if (f->error == VTS_OK) then(f, read_in_time(f), fetch_read);
    else then(f, device_close(f->device), fetch_closed);
}

static bool try_to_fetch(vts_time answers_after, vts_time patience, int expected)
{
    device slow = {.answers_after = answers_after};
    fetch f = {.device = &slow, .patience = patience};

    then(&f, device_open(f.device), fetch_opened);
    while (!f.done) vts_loop_run_once(&loop, VTS_NEVER);
    return report(f.error, f.value, expected);
}

int main(void)
{
    bool good = vts_loop_init(&loop, NULL) == VTS_OK;

    printf("A device that answers in time:\n");
    good = try_to_fetch(VTS_MILLISECONDS(5), VTS_SECONDS(60), VTS_OK) && good;
    printf("A device that does not:\n");
    good = try_to_fetch(VTS_SECONDS(60), VTS_MILLISECONDS(5), VTS_E_TIMEOUT) && good;
    good = vts_loop_destroy(&loop) == VTS_OK && good;
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
