/* timeout_cxx.cpp - an operation with a timeout and a cleanup, as a C++20 coroutine

   The same program as timeout_callbacks.c and timeout_await.c: opens a device, reads from
   it for no longer than some time, and closes it whatever happened. Teaches that the
   operations are the same value tasks: the language keeps the frame, locals and all.
   Build with -std=c++20, and link a C file that has the implementation. */
#include "vts.h"

#include "timeout_device.h"

static vts::async fetch(vts_pool *, device &slow, vts_time patience)
{
    vts_cancellation_source stop{};
    vts_timeout timeout{};

    vts::result read = co_await device_open(&slow);
    if (read) {
        read = co_await vts_with_timeout(
            &timeout, device_read(&slow, vts_cancellation_token_of(&stop)), &loop,
            vts_after(patience), &stop);
    }
    vts::result closed = co_await device_close(&slow);
    co_return read && !closed ? closed : read;
}

static bool try_to_fetch(vts_pool *sources, vts_time answers_after, vts_time patience,
                         int expected)
{
    device slow{};
    slow.answers_after = answers_after;
    vts_valuetask task = fetch(sources, slow, patience);
    intptr_t value = 0;
    int error = vts_loop_run_until(&loop, task, VTS_NEVER);

    if (error == VTS_OK) error = vts_valuetask_get_result(task, &value);
    return report(error, value, expected);
}

int main()
{
    vts_pool sources;
    vts_pool_desc desc{};
    bool good = vts_pool_init(&sources, &desc) == VTS_OK;

    good = vts_loop_init(&loop, nullptr) == VTS_OK && good;
    printf("A device that answers in time:\n");
    good = try_to_fetch(&sources, VTS_MILLISECONDS(5), VTS_SECONDS(60), VTS_OK) && good;
    printf("A device that does not:\n");
    good = try_to_fetch(&sources, VTS_SECONDS(60), VTS_MILLISECONDS(5), VTS_E_TIMEOUT) &&
           good;
    good = vts_loop_destroy(&loop) == VTS_OK && good;
    good = vts_pool_destroy(&sources) == VTS_OK && good;
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
