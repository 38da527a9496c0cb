/* One call in the middle of another, of tasks, locks and when_any: before each atomic
   operation of the first, in turn, or in its sleep, the whole second call happens, as if
   another thread had come just then. */
#define VTS_ATOMICS_HEADER "tests/meanwhile.h"
#define VTS__PARKING_HEADER "tests/meanwhile_parking.h"
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

// ---- locks that another holds ----

static vts_task *task;
static int ran;

static void count_run(vts_work *work)
{
    (void)work;
    ran++;
}

/* A task that somebody has just locked, who goes on while we sleep. */
static void set_up_locked(void (*goes_on)(void *arg))
{
    ran = 0;
    task = NULL;
    assert_code(vts_task_create(&task, &test_allocator), VTS_OK);
    assert_true(vts__task_lock(task));
    meanwhile.turn = 1000;
    meanwhile.call = goes_on;
    meanwhile.arg = NULL;
}

static void unlocks(void *arg)
{
    (void)arg;
    vts__task_unlock(task, 0);
}

static void completes(void *arg)
{
    (void)arg;
    vts__task_unlock(task, VTS_SUCCEEDED * VTS__TASK_DONE);
}

/* Woken up, but a third one was quicker and has locked it again: sleeps once more. */
static void unlocks_and_another_locks(void *arg)
{
    unlocks(arg);
    assert_true(vts__task_lock(task));
    meanwhile.call = unlocks;
}

static void a_locked_task_is_waited_for(void)
{
    vts_awaiter awaiter;

    set_up_locked(unlocks);
    assert_code(vts_task_on_completed(task, &awaiter, count_run, VTS_NONE), VTS_OK);
    assert_null(meanwhile.call);
    assert_int_equal(ran, 0);
    assert_code(vts_task_set_result(task, 1), VTS_OK);
    assert_int_equal(ran, 1);
    vts_task_release(task);
    set_up_locked(unlocks_and_another_locks);
    assert_code(vts_task_set_result(task, 1), VTS_OK);
    assert_null(meanwhile.call);
    vts_task_release(task);
}

static void who_slept_for_a_task_sees_it_completed(void)
{
    vts_awaiter awaiter;

    set_up_locked(completes);
    assert_code(vts_task_on_completed(task, &awaiter, count_run, VTS_NONE), VTS_OK);
    assert_int_equal(ran, 1);
    vts_task_release(task);
    set_up_locked(completes);
    assert_code(vts_task_set_error(task, -5), VTS_E_ALREADY_COMPLETED);
    assert_code(vts_task_get_status(task), VTS_SUCCEEDED);
    vts_task_release(task);
}

/* Who finds it locked comes again, one step later. */
static void sets_result(void *arg)
{
    if (task->word != 1) {
        THREAD_CHECK(vts_task_set_result(task, 4) == VTS_OK);
        return;
    }
    meanwhile.turn = 0;
    meanwhile.call = sets_result;
    meanwhile.arg = arg;
}

static void a_completion_ends_the_wait_wherever_it_comes(void)
{
    unsigned gap;

    for (gap = 0; gap < 20; gap++) { /* in the end it comes in the sleep */
        assert_code(vts_task_create(&task, &test_allocator), VTS_OK);
        meanwhile.turn = gap;
        meanwhile.call = sets_result;
        assert_code(vts_task_wait(task, VTS_NEVER), VTS_OK);
        assert_null(meanwhile.call);
        assert_code(vts_task_get_status(task), VTS_SUCCEEDED);
        vts_task_release(task);
    }
}

static vts_cancellation_source source;

static void unlocks_source(void *arg)
{
    (void)arg;
    vts__unlock(&source.lock);
}

static void a_locked_cancellation_is_waited_for(void)
{
    memset(&source, 0, sizeof source);
    vts__lock(&source.lock);
    meanwhile.turn = 1000;
    meanwhile.call = unlocks_source;
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_null(meanwhile.call);
    assert_int_equal(source.lock, 0);
    assert_code(vts_cancellation_cancel(&source), VTS_E_ALREADY_COMPLETED);
}

// ---- when_any ----

typedef struct scene {
    vts_when when;
    vts_when_entry entry[2];
    vts_source source[2];
    vts_token token[2];
    vts_valuetask any;
} scene;

static void set_up(scene *s)
{
    int i;

    memset(s, 0, sizeof *s);
    for (i = 0; i < 2; i++) {
        assert_code(vts_source_reset(&s->source[i], &s->token[i]), VTS_OK);
        s->entry[i].task = vts_valuetask_of(&s->source[i], s->token[i]);
    }
    meanwhile.arg = s;
}

static void complete(scene *s, int i)
{
    THREAD_CHECK(vts_source_set_result(&s->source[i], s->token[i], 10 + i) == VTS_OK);
}

static void complete_second(void *arg) { complete((scene *)arg, 1); }

/* The winner's result is in its entry, the loser's is the caller's again. */
static int winner_of(scene *s)
{
    intptr_t winner = -1, result = -1;

    assert_code(vts_valuetask_get_result(s->any, &winner), VTS_OK);
    assert_true(winner == 0 || winner == 1);
    assert_code(s->entry[winner].error, VTS_OK);
    assert_int_equal(s->entry[winner].result, 10 + winner);
    assert_code(vts_valuetask_get_result(s->entry[1 - winner].task, &result), VTS_OK);
    assert_int_equal(result, 10 + 1 - winner);
    return (int)winner;
}

static void of_two_that_complete_at_once_one_wins_any(void)
{
    int wins[2] = {0, 0};
    bool behind = false;
    unsigned gap;
    scene s;

    for (gap = 0; !behind; gap++) {
        set_up(&s);
        s.any = vts_when_any(&s.when, s.entry, 2);
        meanwhile.turn = gap;
        meanwhile.call = complete_second;
        complete(&s, 0);
        behind = meanwhile.call != NULL;
        meanwhile.call = NULL;
        if (behind) complete(&s, 1);
        wins[winner_of(&s)]++;
    }
    assert_true(wins[0] > 0 && wins[1] > 0);
}

static void one_that_completes_while_any_registers_wins(void)
{
    bool behind = false;
    unsigned gap;
    scene s;

    for (gap = 0; !behind; gap++) {
        set_up(&s);
        meanwhile.turn = gap;
        meanwhile.call = complete_second;
        s.any = vts_when_any(&s.when, s.entry, 2);
        behind = meanwhile.call != NULL;
        meanwhile.call = NULL;
        if (behind) complete(&s, 1);
        assert_code(vts_valuetask_get_status(s.any), VTS_SUCCEEDED);
        complete(&s, 0);
        assert_int_equal(winner_of(&s), 1);
    }
}

static const test_case tests[] = {
    TEST(a_locked_task_is_waited_for),
    TEST(who_slept_for_a_task_sees_it_completed),
    TEST(a_completion_ends_the_wait_wherever_it_comes),
    TEST(a_locked_cancellation_is_waited_for),
    TEST(of_two_that_complete_at_once_one_wins_any),
    TEST(one_that_completes_while_any_registers_wins),
};

TEST_MAIN(tests)
