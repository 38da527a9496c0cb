/* timeout_await.c - an operation with a timeout and a cleanup, as a coroutine

   The same program as timeout_callbacks.c and timeout_cxx.cpp: opens a device, reads from
   it for no longer than some time, and closes it whatever happened. Teaches what a
   coroutine's block looks like, and that the frame holds what outlives an await. */
#define VTS_IMPLEMENTATION
#include "vts.h"

#include "timeout_device.h"

typedef struct fetch {
    vts_co co;
    device *device;
    vts_time patience;
    vts_cancellation_source stop;
    vts_timeout timeout;
    intptr_t value, closed;
} fetch;

static vts_valuetask read_in_time(fetch *f)
{
    vts_cancellation_token stop = vts_cancellation_token_of(&f->stop);

    return vts_with_timeout(&f->timeout, device_read(f->device, stop), &loop,
                            vts_after(f->patience), &f->stop);
}

static vts_step fetch_run(vts_co *co)
{
    fetch *f = VTS_SELF(co, fetch);

    VTS_ASYNC(co) {
        VTS_TRY(f->value, device_open(f->device));
        VTS_TRY(f->value, read_in_time(f));
    VTS_FINALLY();
        VTS_AWAIT(f->closed, device_close(f->device));
    }
    return vts_co_finish(co, f->value < 0 || f->closed == 0 ? f->value : f->closed);
}

static bool try_to_fetch(vts_time answers_after, vts_time patience, int expected)
{
    device slow = {.answers_after = answers_after};
    fetch f = {.device = &slow, .patience = patience};
    vts_valuetask task = vts_co_start(&f.co, fetch_run);
    intptr_t value = 0;
    int error = vts_loop_run_until(&loop, task, VTS_NEVER);

    if (error == VTS_OK) error = vts_valuetask_get_result(task, &value);
    return report(error, value, expected);
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
