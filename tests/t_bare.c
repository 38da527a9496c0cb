/* The programming model without an operating system: memory, time and sleep are what the
   program says they are. */
#undef __unix__
#undef __APPLE__
#undef _WIN32
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#include <sys/wait.h>

static vts_time now;
static void (*in_a_while)(void); /* happens once, when the clock is asked */

/* Goes on by itself, as a clock does: who waits for a time asks again and again. */
static vts_time ticking_clock(void)
{
    void (*happens)(void) = in_a_while;

    in_a_while = NULL;
    if (happens != NULL) happens();
    return now++;
}

static void a_task_needs_an_allocator(void)
{
    const vts_allocator none = {NULL, NULL, NULL};
    vts_task *task = NULL;

    assert_null(vts_allocator_default());
    assert_code(vts_task_create(&task, NULL), VTS_E_MEMORY);
    assert_code(vts_task_create(&task, &none), VTS_E_MEMORY);
    assert_null(task);
    assert_code(vts_task_from_result(&task, 3, NULL), VTS_OK); /* a constant */
    assert_code(vts_task_create(&task, &test_allocator), VTS_OK);
    vts_task_release(task);
}

static void a_loop_has_delays_if_it_has_memory(void)
{
    static VTS_POOL_STORAGE(storage, vts_delay_operation, 1);
    const vts_allocator none = {NULL, NULL, NULL};
    vts_loop_desc desc = {0};
    vts_loop loop;
    vts_valuetask task;

    now = 1;
    vts_set_clock(ticking_clock);
    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    task = vts_delay(&loop, 100, vts_cancellation_none());
    assert_code(vts_valuetask_get_result(task, NULL), VTS_E_EXHAUSTED);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
    desc.delays.storage = storage;
    desc.delays.storage_size = 1;
    assert_true(vts_loop_init(&loop, &desc) < 0);
    desc.delays.storage_size = sizeof storage;
    assert_code(vts_loop_init(&loop, &desc), VTS_OK);
    task = vts_delay(&loop, 100, vts_cancellation_none());
    assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_OK);
    assert_true(now > 100);
    assert_code(vts_valuetask_get_result(task, NULL), VTS_OK);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
    desc.delays.storage = NULL;
    desc.delays.allocator = &none;
    assert_true(vts_loop_init(&loop, &desc) < 0);
    vts_set_clock(NULL);
}

static void time_stands_still_without_a_clock(void)
{
    vts_set_clock(NULL);
    assert_true(vts_now() == 0);
    assert_true(vts_after(VTS_SECONDS(1)) == VTS_SECONDS(1));
}

static vts_loop *the_loop;
static vts_work work;
static int ran;

static void work_runs(vts_work *self)
{
    assert_ptr_equal(self, &work);
    ran++;
}

static void interrupt_posts(void) { vts_scheduler_post(&the_loop->scheduler, &work); }

/* The default sleep of a loop is to look again: a work that an interrupt posts ends it. */
static void a_loop_that_cannot_sleep_looks_again(void)
{
    vts_loop loop;
    int passes = 0;

    now = 1;
    ran = 0;
    work.run = work_runs;
    the_loop = &loop;
    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    vts_set_clock(ticking_clock);
    in_a_while = interrupt_posts;
    for (; ran == 0 && passes < 10; passes++) {
        assert_true(vts_loop_run_once(&loop, 1000) >= 0);
    }
    assert_int_equal(ran, 1);
    vts_set_clock(NULL);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

static void nobody_sleeps(void)
{
    vts_task *task = NULL;
    vts_threadpool *pool = NULL;

    assert_code(vts_task_create(&task, &test_allocator), VTS_OK);
    assert_code(vts_task_wait(task, 0), VTS_E_UNSUPPORTED);
    assert_code(vts_task_wait(task, VTS_NEVER), VTS_E_UNSUPPORTED);
    assert_code(vts_task_set_result(task, 1), VTS_OK);
    assert_code(vts_task_wait(task, VTS_NEVER), VTS_OK);
    vts_task_release(task);
    assert_code(vts_threadpool_create(&pool, NULL), VTS_E_UNSUPPORTED);
    assert_null(pool);
}

static vts_step finishes_twice(vts_co *co)
{
    vts_co_finish(co, 0);
    return vts_co_finish(co, 0);
}

/* There is no stderr to say it on. */
static void a_trap_ends_the_program_silently(void)
{
    char said[16];
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        vts_co co;
        memset(&co, 0, sizeof co);
        test_child_may_die();
        dup2(ends[1], STDERR_FILENO);
        vts_co_start(&co, finishes_twice);
        test_child_exit(0);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], said, sizeof said), 0);
    close(ends[0]);
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
}

static const test_case tests[] = {
    TEST(a_task_needs_an_allocator),
    TEST(a_loop_has_delays_if_it_has_memory),
    TEST(time_stands_still_without_a_clock),
    TEST(a_loop_that_cannot_sleep_looks_again),
    TEST(nobody_sleeps),
    TEST(a_trap_ends_the_program_silently),
};

TEST_MAIN(tests)
