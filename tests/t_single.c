/* The programming model in one thread, without threads: VTS_SINGLE_THREADED. */
#define VTS_SINGLE_THREADED
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

static void count(void *arg) { ++*(int *)arg; }

static void a_cancel_runs_what_is_registered(void)
{
    vts_cancellation_source source = {0}, child = {0};
    vts_cancellation_token token = vts_cancellation_token_of(&source);
    vts_cancellation_registration first = {0}, second = {0}, link = {0};
    int ran = 0;

    assert_code(vts_cancellation_register(token, &first, count, &ran), VTS_OK);
    assert_code(vts_cancellation_register(token, &second, count, &ran), VTS_OK);
    assert_code(vts_cancellation_link(&child, &link, token), VTS_OK);
    assert_code(vts_cancellation_unregister(&first), VTS_OK);
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_int_equal(ran, 1);
    assert_true(vts_cancellation_is_requested(vts_cancellation_token_of(&child)));
    assert_code(vts_cancellation_unregister(&second), VTS_E_ALREADY_COMPLETED);
    assert_code(vts_cancellation_unregister(&link), VTS_E_ALREADY_COMPLETED);
    assert_code(vts_cancellation_cancel(&source), VTS_E_ALREADY_COMPLETED);
    assert_code(vts_cancellation_reset(&source), VTS_OK);
    assert_false(vts_cancellation_is_requested(token));
}

static void a_loop_runs_delays_and_is_canceled(void)
{
    vts_loop loop;
    vts_cancellation_source source = {0};
    vts_valuetask task, canceled;

    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    task = vts_delay(&loop, vts_after(VTS_MILLISECONDS(2)), vts_cancellation_none());
    canceled = vts_delay(&loop, vts_after(VTS_SECONDS(60)),
                         vts_cancellation_token_of(&source));
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_code(vts_loop_run_until(&loop, canceled, VTS_NEVER), VTS_OK);
    assert_code(vts_valuetask_get_result(canceled, NULL), VTS_E_CANCELED);
    assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_OK);
    assert_code(vts_valuetask_get_result(task, NULL), VTS_OK);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

static void nobody_could_end_a_wait(void)
{
    vts_task *task = NULL;

    assert_code(vts_task_create(&task, &test_allocator), VTS_OK);
    assert_code(vts_task_wait(task, VTS_NEVER), VTS_E_UNSUPPORTED);
    assert_code(vts_task_set_result(task, 5), VTS_OK);
    assert_code(vts_task_wait(task, 0), VTS_OK);
    vts_task_release(task);
}

static void there_are_no_threads(void)
{
    vts_threadpool *pool = NULL;

    assert_code(vts_threadpool_create(&pool, NULL), VTS_E_UNSUPPORTED);
    assert_null(pool);
    assert_code(vts_threadpool_destroy(NULL), VTS_E_UNSUPPORTED);
    assert_null(vts_threadpool_scheduler(NULL));
    assert_int_equal(vts_threadpool_threads(NULL), 0);
}

static const test_case tests[] = {
    TEST(a_cancel_runs_what_is_registered),
    TEST(a_loop_runs_delays_and_is_canceled),
    TEST(nobody_could_end_a_wait),
    TEST(there_are_no_threads),
};

TEST_MAIN(tests)
