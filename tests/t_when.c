/* All, any, timeout: several tasks as one, whatever happens to them meanwhile. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define SLOWER 4
#else
#define SLOWER 1
#endif

#define MANY 64

typedef struct operations {
    vts_source source[MANY];
    vts_token token[MANY];
    vts_when_entry entry[MANY];
    vts_when when;
} operations;

static operations *begin(size_t count)
{
    static operations o;
    size_t i;

    memset(&o, 0, sizeof o);
    for (i = 0; i < count; i++) {
        assert_code(vts_source_reset(&o.source[i], &o.token[i]), VTS_OK);
        o.entry[i].task = vts_valuetask_of(&o.source[i], o.token[i]);
    }
    test_fail_at(1); /* nothing here allocates */
    return &o;
}

static void finish(operations *o, size_t i, intptr_t result)
{
    assert_code(vts_source_set_result(&o->source[i], o->token[i], result), VTS_OK);
}

static void assert_failed_with(vts_valuetask task, int error)
{
    assert_code(vts_valuetask_get_status(task), VTS_FAULTED);
    assert_code(vts_valuetask_get_result(task, NULL), error);
}

static void assert_result(vts_valuetask task, intptr_t expected)
{
    intptr_t result = -1;
    assert_code(vts_valuetask_get_status(task), VTS_SUCCEEDED);
    assert_code(vts_valuetask_get_result(task, &result), VTS_OK);
    assert_int_equal(result, expected);
}

static void one_more(void *arg) { ++*(int *)arg; }

/* ---- all ---- */

static void all_waits_for_the_last(void)
{
    size_t count, i;

    for (count = 1; count <= MANY; count += 21) {
        operations *o = begin(count);
        vts_valuetask all = vts_when_all(&o->when, o->entry, count);
        int ran = 0;

        vts_valuetask_on_completed(all, one_more, &ran, 0);
        for (i = 0; i < count; i++) {
            assert_int_equal(ran, 0);
            finish(o, (i * 5 + 3) % count, (intptr_t)((i * 5 + 3) % count));
        }
        assert_int_equal(ran, 1);
        assert_result(all, 0);
        for (i = 0; i < count; i++) {
            assert_code(o->entry[i].error, VTS_OK);
            assert_int_equal(o->entry[i].result, i);
        }
        assert_int_equal(test_memory.calls, 0);
    }
}

static void all_of_none_is_done(void)
{
    vts_when when = {0};
    assert_result(vts_when_all(&when, NULL, 0), 0);
}

static void all_takes_what_is_completed_at_once(void)
{
    operations *o = begin(2);
    vts_valuetask all;

    o->entry[2].task = vts_valuetask_from_result(7);
    finish(o, 0, 5);
    finish(o, 1, 6);
    all = vts_when_all(&o->when, o->entry, 3);
    assert_result(all, 0);
    assert_int_equal(o->entry[0].result + o->entry[1].result + o->entry[2].result, 18);
}

/* The first by its place, not by time; as that stands. */
static void all_fails_as_the_first_entry_that_does(void)
{
    operations *o = begin(4);
    vts_valuetask all = vts_when_all(&o->when, o->entry, 4);

    assert_code(vts_source_set_error(&o->source[3], o->token[3], -33), VTS_OK);
    finish(o, 0, 1);
    assert_code(vts_source_set_canceled(&o->source[2], o->token[2], 0), VTS_OK);
    assert_code(vts_valuetask_get_status(all), VTS_PENDING);
    assert_code(vts_source_set_error(&o->source[1], o->token[1], -11), VTS_OK);
    assert_failed_with(all, -11);
    assert_code(o->entry[0].error, VTS_OK);
    assert_code(o->entry[1].error, -11);
    assert_code(o->entry[2].error, VTS_E_CANCELED);
    assert_code(o->entry[3].error, -33);
    all = vts_when_all(&o->when, o->entry + 2, 2);
    assert_code(vts_valuetask_get_status(all), VTS_CANCELED);
    assert_code(vts_valuetask_get_result(all, NULL), VTS_E_CANCELED);
}

static void all_counts_a_stale_handle_as_failed(void)
{
    operations *o = begin(2);
    vts_valuetask all;

    o->entry[0].task.token += 32;
    all = vts_when_all(&o->when, o->entry, 2);
    assert_code(vts_valuetask_get_status(all), VTS_PENDING);
    finish(o, 1, 9);
    assert_failed_with(all, VTS_E_STALE);
    assert_code(o->entry[0].error, VTS_E_STALE);
    assert_code(o->entry[1].error, VTS_OK);
    assert_int_equal(o->entry[1].result, 9);
}

static void all_counts_an_awaited_handle_as_failed(void)
{
    operations *o = begin(1);
    int ran = 0;

    vts_source_on_completed(&o->source[0], o->token[0], one_more, &ran, 0);
    assert_failed_with(vts_when_all(&o->when, o->entry, 1), VTS_E_ALREADY_AWAITED);
    finish(o, 0, 1);
    assert_int_equal(ran, 1);
}

static void when_is_refused_while_in_use_and_good_again_after(void)
{
    operations *o = begin(2);
    int round;

    for (round = 0; round < 5; round++) {
        vts_valuetask all = vts_when_all(&o->when, o->entry, 1);
        assert_failed_with(vts_when_all(&o->when, o->entry + 1, 1), VTS_E_PENDING);
        assert_failed_with(vts_when_any(&o->when, o->entry + 1, 1), VTS_E_PENDING);
        finish(o, 0, 3);
        assert_result(all, 0);
        assert_code(vts_source_reset(&o->source[0], &o->token[0]), VTS_OK);
        o->entry[0].task = vts_valuetask_of(&o->source[0], o->token[0]);
        assert_code(vts_valuetask_get_status(all), VTS_SUCCEEDED);
    }
}

static void bad_arguments_have_their_error(void)
{
    operations *o = begin(1);

    assert_failed_with(vts_when_all(NULL, o->entry, 1), VTS_E_ARGUMENT);
    assert_failed_with(vts_when_all(&o->when, NULL, 1), VTS_E_ARGUMENT);
    assert_failed_with(vts_when_any(NULL, o->entry, 1), VTS_E_ARGUMENT);
    assert_failed_with(vts_when_any(&o->when, NULL, 1), VTS_E_ARGUMENT);
    assert_failed_with(vts_when_any(&o->when, o->entry, 0), VTS_E_ARGUMENT);
    assert_failed_with(vts_when_any(&o->when, NULL, 0), VTS_E_ARGUMENT);
}

/* ---- any ---- */

static void any_takes_the_first_and_gives_the_others_back(void)
{
    static const size_t counts[] = {1, 8, MANY};
    size_t c, winner, i;

    for (c = 0; c < 3; c++) {
        for (winner = 0; winner < counts[c]; winner++) {
            operations *o = begin(counts[c]);
            vts_valuetask any = vts_when_any(&o->when, o->entry, counts[c]);
            int ran = 0;

            assert_code(vts_valuetask_get_status(any), VTS_PENDING);
            finish(o, winner, 70);
            assert_result(any, (intptr_t)winner);
            assert_code(o->entry[winner].error, VTS_OK);
            assert_int_equal(o->entry[winner].result, 70);
            for (i = 0; i < counts[c]; i++) {
                vts_valuetask task = o->entry[i].task;
                if (i == winner) continue;
                assert_code(vts_valuetask_on_completed(task, one_more, &ran, 0), VTS_OK);
                finish(o, i, 71);
                assert_result(task, 71);
            }
            assert_int_equal(ran, counts[c] - 1);
            assert_int_equal(test_memory.calls, 0);
        }
    }
}

static void any_may_be_won_by_a_failure(void)
{
    operations *o = begin(3);
    vts_valuetask any = vts_when_any(&o->when, o->entry, 3);

    assert_code(vts_source_set_error(&o->source[1], o->token[1], -6), VTS_OK);
    assert_result(any, 1);
    assert_code(o->entry[1].error, -6);
    any = vts_when_any(&o->when, o->entry, 1);
    assert_code(vts_source_set_canceled(&o->source[0], o->token[0], 0), VTS_OK);
    assert_result(any, 0);
    assert_code(o->entry[0].error, VTS_E_CANCELED);
    o->entry[0].task.token += 32;
    any = vts_when_any(&o->when, o->entry, 3);
    assert_result(any, 0);
    assert_code(o->entry[0].error, VTS_E_STALE);
}

static void any_of_completed_ones_takes_the_first_and_leaves_the_rest(void)
{
    operations *o = begin(4);
    int ran = 0;

    finish(o, 1, 11);
    finish(o, 2, 12);
    assert_result(vts_when_any(&o->when, o->entry, 4), 1);
    assert_int_equal(o->entry[1].result, 11);
    assert_code(vts_valuetask_on_completed(o->entry[0].task, one_more, &ran, 0), VTS_OK);
    assert_code(vts_valuetask_on_completed(o->entry[2].task, one_more, &ran, 0), VTS_OK);
    assert_code(vts_valuetask_on_completed(o->entry[3].task, one_more, &ran, 0), VTS_OK);
    assert_int_equal(ran, 1);
    assert_result(o->entry[2].task, 12);
}

/* One by one out of a set, each result once. */
static void any_in_a_loop_gathers_all(void)
{
    operations *o = begin(MANY);
    size_t left = MANY, i;
    intptr_t sum = 0, at;

    for (i = 0; i < MANY; i += 3) finish(o, i, (intptr_t)i);
    for (i = 0; left > 0; left--) {
        vts_valuetask any = vts_when_any(&o->when, o->entry, left);
        if (!vts_valuetask_is_completed(any)) {
            while (i % 3 == 0) i++;
            finish(o, i, (intptr_t)i);
            i++;
        }
        assert_code(vts_valuetask_get_result(any, &at), VTS_OK);
        sum += o->entry[at].result;
        o->entry[at].task = o->entry[left - 1].task;
    }
    assert_int_equal(sum, MANY * (MANY - 1) / 2);
}

/* Two are completed before the continuation of either has run: the one that loses had
   its registration, and whoever waits for it next takes its result all the same. */
static void a_loser_that_completed_at_once_can_be_awaited_again(void)
{
    int next;

    for (next = 0; next < 6; next++) {
        operations *o = begin(2);
        vts_run_queue queue;
        vts_source_ops ops;
        vts_valuetask any;
        vts_loop loop;
        vts_timeout timeout = {0};
        vts_task *task = NULL;
        size_t i;

        vts_run_queue_init(&queue, NULL, NULL);
        ops = vts_source_ops_of(&queue.scheduler);
        for (i = 0; i < 2; i++) {
            vts_source_init(&o->source[i], &ops);
            assert_code(vts_source_reset(&o->source[i], &o->token[i]), VTS_OK);
            o->entry[i].task = vts_valuetask_of(&o->source[i], o->token[i]);
        }
        test_fail_at(0);
        assert_code(vts_loop_init(&loop, NULL), VTS_OK);
        any = vts_when_any(&o->when, o->entry, 2);
        finish(o, 1, 21);
        finish(o, 0, 20);
        assert_code(vts_valuetask_get_status(any), VTS_PENDING);
        assert_int_equal(vts_run_queue_drain(&queue), 2);
        assert_result(any, 1);
        assert_int_equal(o->entry[1].result, 21);
        switch (next) {
        case 0: assert_result(vts_when_any(&o->when, o->entry, 1), 0); break;
        case 1: assert_result(vts_when_all(&o->when, o->entry, 1), 0); break;
        case 2: assert_code(vts_valuetask_wait(o->entry[0].task, VTS_NEVER), VTS_OK); break;
        case 3:
            assert_code(vts_loop_run_until(&loop, o->entry[0].task, VTS_NEVER), VTS_OK);
            break;
        case 4:
            assert_result(vts_with_timeout(&timeout, o->entry[0].task, &loop, 1, NULL), 20);
            break;
        default:
            assert_code(vts_valuetask_as_task(o->entry[0].task, &test_allocator, &task),
                        VTS_OK);
            assert_result(vts_valuetask_of_task(task), 20);
            vts_task_release(task);
        }
        if (next < 2) assert_int_equal(o->entry[0].result, 20);
        else if (next < 4) assert_result(o->entry[0].task, 20);
        assert_code(vts_loop_destroy(&loop), VTS_OK);
    }
}

/* ---- entries of other kinds ---- */

static void entries_may_be_shared_tasks(void)
{
    operations *o = begin(1);
    vts_task *task = NULL, *other = NULL;
    vts_valuetask done;

    test_fail_at(0);
    assert_code(vts_task_create(&task, &test_allocator), VTS_OK);
    assert_code(vts_task_create(&other, &test_allocator), VTS_OK);
    test_fail_at(1);
    o->entry[1].task = vts_valuetask_of_task(task);
    o->entry[2].task = vts_valuetask_of_task(other);
    done = vts_when_any(&o->when, o->entry, 3);
    assert_code(vts_task_set_result(other, 500), VTS_OK);
    assert_result(done, 2);
    assert_int_equal(o->entry[2].result, 500);
    assert_null(task->first);
    done = vts_when_all(&o->when, o->entry, 3);
    finish(o, 0, 1);
    assert_code(vts_valuetask_get_status(done), VTS_PENDING);
    assert_code(vts_task_set_result(task, 600), VTS_OK);
    assert_result(done, 0);
    assert_int_equal(o->entry[1].result + o->entry[2].result, 1100);
    assert_int_equal(test_memory.calls, 0);
    vts_task_release(task);
    vts_task_release(other);
}

typedef struct stubborn {
    vts_valuetask_source base;
    int status;
    vts_continuation continuation;
    void *arg;
} stubborn;

static int stubborn_status(vts_valuetask_source *self, vts_token token)
{
    (void)token;
    return ((stubborn *)(void *)self)->status;
}

static int stubborn_on_completed(vts_valuetask_source *self, vts_token token,
                                 vts_continuation continuation, void *arg, unsigned flags)
{
    stubborn *s = (stubborn *)(void *)self;
    (void)token;
    (void)flags;
    s->continuation = continuation;
    s->arg = arg;
    return VTS_OK;
}

static int stubborn_result(vts_valuetask_source *self, vts_token token, void *result)
{
    (void)self;
    (void)token;
    if (result != NULL) *(intptr_t *)result = 64;
    return VTS_OK;
}

static const vts_source_ops stubborn_ops = {
    stubborn_status, stubborn_on_completed, stubborn_result, NULL, NULL, NULL};

static void any_waits_for_a_source_that_cannot_unregister(void)
{
    operations *o = begin(2);
    stubborn s = {{&stubborn_ops}, VTS_PENDING, NULL, NULL};
    vts_valuetask any;

    o->entry[2].task = vts_valuetask_from_source(&s.base, 32);
    any = vts_when_any(&o->when, o->entry, 3);
    finish(o, 1, 5);
    assert_code(vts_valuetask_get_status(any), VTS_PENDING);
    s.status = VTS_SUCCEEDED;
    s.continuation(s.arg);
    assert_result(any, 1);
    assert_result(o->entry[2].task, 64);
}

/* ---- at the depth limit ---- */

static operations *deep;
static vts_valuetask deep_any;
static int depth_left;

static void any_when_deep(void *arg)
{
    (void)arg;
    if (--depth_left > 0) {
        vts_run_continuation(any_when_deep, NULL, 0);
        return;
    }
    deep->entry[1].task = vts_valuetask_from_result(5);
    deep_any = vts_when_any(&deep->when, deep->entry, 3);
    finish(deep, 2, 6);
}

static void any_at_the_depth_limit_completes_when_it_is_left(void)
{
    deep = begin(3);
    depth_left = 32;
    vts_run_continuation(any_when_deep, NULL, 0);
    assert_result(deep_any, 1);
    finish(deep, 0, 7);
    assert_result(deep->entry[0].task, 7);
    assert_result(deep->entry[2].task, 6);
}

/* ---- many threads ---- */

typedef struct race {
    operations *o;
    vts_word go;
    size_t index;
    int rounds;
} race;

static vts_word race_round, race_done;

static void *complete_each_round(void *arg)
{
    race *r = (race *)arg;
    vts_word round;

    for (round = 1; round <= (vts_word)r->rounds; round++) {
        while (vts__load_acq(&race_round) < round) sched_yield();
        THREAD_CHECK(vts_source_set_result(&r->o->source[r->index], r->o->token[r->index],
                                           (intptr_t)r->index + 100) == VTS_OK);
        vts__add_acq_rel(&race_done, 1);
    }
    return NULL;
}

/* A fresh operation on each of the first. */
static void again(operations *o, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        assert_code(vts_source_reset(&o->source[i], &o->token[i]), VTS_OK);
        o->entry[i].task = vts_valuetask_of(&o->source[i], o->token[i]);
    }
}

/* Two complete at once, while the call registers or after; a third never is first. Both
   results are had, each once. */
static void two_complete_at_once(bool during)
{
    enum { ROUNDS = 2000 / SLOWER };
    operations *o = begin(0);
    race r[2];
    test_thread thread[2];
    vts_word round;
    int won[2] = {0, 0}, ran = 0;
    size_t i;

    vts__store_rlx(&race_round, 0);
    vts__store_rlx(&race_done, 0);
    for (i = 0; i < 2; i++) {
        r[i].o = o;
        r[i].index = i;
        r[i].rounds = ROUNDS;
        thread[i] = test_thread_start(complete_each_round, &r[i], 0);
    }
    for (round = 1; round <= ROUNDS; round++) {
        vts_valuetask any;
        intptr_t winner = -1, loser = 0;

        again(o, 3);
        if (during) vts__store_rel(&race_round, round);
        any = vts_when_any(&o->when, o->entry, 3);
        vts__store_rel(&race_round, round);
        assert_code(vts_valuetask_wait(any, VTS_NEVER), VTS_OK);
        assert_code(vts_valuetask_get_result(any, &winner), VTS_OK);
        assert_true(winner == 0 || winner == 1);
        won[winner]++;
        assert_int_equal(o->entry[winner].result, winner + 100);
        any = vts_when_any(&o->when, &o->entry[1 - winner], 1);
        assert_code(vts_valuetask_wait(any, VTS_NEVER), VTS_OK);
        assert_code(vts_valuetask_get_result(any, &loser), VTS_OK);
        assert_int_equal(loser, 0);
        assert_code(o->entry[1 - winner].error, VTS_OK);
        assert_int_equal(o->entry[1 - winner].result, 101 - winner);
        while (vts__load_acq(&race_done) < 2 * round) sched_yield();
        assert_code(vts_valuetask_on_completed(o->entry[2].task, one_more, &ran, 0),
                    VTS_OK);
        finish(o, 2, 5);
    }
    for (i = 0; i < 2; i++) test_thread_join(thread[i]);
    assert_int_equal(ran, ROUNDS);
    TEST_NOTE("%d and %d times first", won[0], won[1]);
}

static void two_complete_at_once_after_any(void) { two_complete_at_once(false); }
static void two_complete_at_once_during_any(void) { two_complete_at_once(true); }

static void all_is_completed_from_many_threads(void)
{
    enum { ROUNDS = 1000 / SLOWER, N = 4 };
    operations *o = begin(0);
    race r[N];
    test_thread thread[N];
    vts_word round;
    size_t i;

    vts__store_rlx(&race_round, 0);
    vts__store_rlx(&race_done, 0);
    for (i = 0; i < N; i++) {
        r[i].o = o;
        r[i].index = i;
        r[i].rounds = ROUNDS;
        thread[i] = test_thread_start(complete_each_round, &r[i], 0);
    }
    for (round = 1; round <= ROUNDS; round++) {
        vts_valuetask all;

        again(o, N);
        if (round % 2 == 0) vts__store_rel(&race_round, round);
        all = vts_when_all(&o->when, o->entry, N);
        vts__store_rel(&race_round, round);
        assert_code(vts_valuetask_wait(all, VTS_NEVER), VTS_OK);
        assert_result(all, 0);
        for (i = 0; i < N; i++) assert_int_equal(o->entry[i].result, i + 100);
        while (vts__load_acq(&race_done) < N * round) sched_yield();
    }
    for (i = 0; i < N; i++) test_thread_join(thread[i]);
}

/* ---- timeout ---- */

static vts_time time_now;
static vts_time told_time(void) { return time_now; }

typedef struct timed {
    operations *o;
    vts_loop loop;
    vts_timeout timeout;
    vts_cancellation_source cancel;
} timed;

static void timed_begin(timed *t)
{
    memset(t, 0, sizeof *t);
    time_now = 1000;
    vts_set_clock(told_time);
    t->o = begin(2);
    test_fail_at(0);
    assert_code(vts_loop_init(&t->loop, NULL), VTS_OK);
}

static void timed_end(timed *t)
{
    assert_code(vts_loop_destroy(&t->loop), VTS_OK);
    vts_set_clock(NULL);
}

static vts_valuetask timed_task(timed *t, vts_cancellation_source *cancel)
{
    return vts_with_timeout(&t->timeout, t->o->entry[0].task, &t->loop, 2000, cancel);
}

static void run_at(timed *t, vts_time now)
{
    time_now = now;
    while (vts_loop_run_once(&t->loop, 0) > 0) {}
}

static void an_operation_in_time_gives_its_result(void)
{
    timed t;
    vts_valuetask task;
    int round;

    timed_begin(&t);
    for (round = 0; round < 3; round++) {
        if (round != 0) again(t.o, 1);
        task = timed_task(&t, round == 2 ? &t.cancel : NULL);
        run_at(&t, 1500);
        assert_code(vts_valuetask_get_status(task), VTS_PENDING);
        finish(t.o, 0, 31 + round);
        run_at(&t, 1501);
        assert_result(task, 31 + round);
        run_at(&t, 3000);
        time_now = 1000;
    }
    assert_false(vts_cancellation_is_requested(vts_cancellation_token_of(&t.cancel)));
    again(t.o, 1);
    task = vts_with_timeout(&t.timeout, t.o->entry[0].task, &t.loop, 4000, NULL);
    assert_code(vts_source_set_canceled(&t.o->source[0], t.o->token[0], -4), VTS_OK);
    run_at(&t, 3000);
    assert_code(vts_valuetask_get_status(task), VTS_CANCELED);
    assert_code(vts_valuetask_get_result(task, NULL), -4);
    timed_end(&t);
}

static void an_operation_in_time_gives_its_error(void)
{
    timed t;
    vts_valuetask task;

    timed_begin(&t);
    task = timed_task(&t, NULL);
    assert_code(vts_source_set_error(&t.o->source[0], t.o->token[0], -6), VTS_OK);
    run_at(&t, 1500);
    assert_failed_with(task, -6);
    timed_end(&t);
}

static vts_work *in_the_loop;
static operations *finished_there;

static void finish_there(vts_work *work)
{
    assert_ptr_equal(work, in_the_loop);
    finish(finished_there, 0, 40);
}

/* On the loop, the operation's completion is the timeout's: nothing is posted. */
static void an_operation_that_completes_on_the_loop_is_over_at_once(void)
{
    timed t;
    vts_work work = {0};
    vts_valuetask task;

    timed_begin(&t);
    task = timed_task(&t, NULL);
    work.run = finish_there;
    in_the_loop = &work;
    finished_there = t.o;
    vts_scheduler_post(&t.loop.scheduler, &work);
    time_now = 1500;
    assert_int_equal(vts_loop_run_once(&t.loop, 0), 1);
    assert_result(task, 40);
    assert_true(vts_loop_next_deadline(&t.loop) == VTS_NEVER);
    timed_end(&t);
}

static void at_the_deadline_the_operation_is_left_to_itself(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    vts_pool_desc desc = {0};
    vts_pool pool;
    vts_token token;
    vts_source *source;
    vts_valuetask task;
    timed t;

    timed_begin(&t);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    source = vts_pool_rent(&pool, &token);
    task = vts_with_timeout(&t.timeout, vts_valuetask_of(source, token), &t.loop, 2000,
                            NULL);
    run_at(&t, 1999);
    assert_code(vts_valuetask_get_status(task), VTS_PENDING);
    run_at(&t, 2000);
    assert_failed_with(task, VTS_E_TIMEOUT);
    assert_int_equal(vts_pool_outstanding(&pool), 1);
    assert_code(vts_source_set_result(source, token, 1), VTS_OK);
    assert_int_equal(vts_pool_outstanding(&pool), 0);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
    timed_end(&t);
}

typedef struct canceled_operation {
    operations *o;
    bool ignores;
} canceled_operation;

static void cancel_operation(void *arg)
{
    canceled_operation *c = (canceled_operation *)arg;
    if (!c->ignores) vts_source_set_canceled(&c->o->source[0], c->o->token[0], 0);
}

static void end_cancellation(void *arg)
{
    timed *t = (timed *)arg;
    assert_code(vts_cancellation_dispose(&t->cancel), VTS_OK);
    memset(&t->cancel, 0x5a, sizeof t->cancel);
}

/* Whoever goes on after the timeout may end the cancellation source: cancel has returned. */
static void the_deadline_cancels_and_waits_for_the_operation(void)
{
    vts_cancellation_registration registration = {0};
    canceled_operation c;
    vts_valuetask task;
    timed t;

    timed_begin(&t);
    c.o = t.o;
    c.ignores = false;
    vts_cancellation_register(vts_cancellation_token_of(&t.cancel), &registration,
                              cancel_operation, &c);
    task = timed_task(&t, &t.cancel);
    vts_valuetask_on_completed(task, end_cancellation, &t, 0);
    run_at(&t, 2000);
    assert_failed_with(task, VTS_E_TIMEOUT);
    timed_end(&t);
}

static void count_misuse(void *user, int code, const char *text, const void *source,
                         vts_token token)
{
    (void)code;
    (void)text;
    (void)source;
    (void)token;
    ++*(int *)user;
}

/* Begun in the argument, its handle is nobody's else. */
static void a_refused_timeout_forgets_the_operation(void)
{
    vts_loop loop;
    vts_timeout timeout = {0};
    vts_cancellation_source stop = {0};
    vts_valuetask first;
    int misuses = 0;

    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    first = vts_with_timeout(
        &timeout, vts_delay(&loop, vts_after(VTS_SECONDS(60)), vts_cancellation_token_of(&stop)),
        &loop, vts_after(VTS_SECONDS(50)), &stop);
    vts_set_misuse_hook(count_misuse, &misuses);
    assert_failed_with(vts_with_timeout(&timeout,
                                        vts_delay(&loop, vts_after(VTS_MILLISECONDS(1)),
                                                  vts_cancellation_none()),
                                        &loop, vts_after(VTS_SECONDS(50)), NULL),
                       VTS_E_PENDING);
    assert_failed_with(vts_with_timeout(NULL,
                                        vts_delay(&loop, vts_after(VTS_MILLISECONDS(1)),
                                                  vts_cancellation_none()),
                                        &loop, vts_after(VTS_SECONDS(50)), NULL),
                       VTS_E_ARGUMENT);
    vts_set_misuse_hook(NULL, NULL);
    assert_int_equal(vts_pool_outstanding(&loop.delays), 3);
    while (vts_pool_outstanding(&loop.delays) > 1) vts_loop_run_once(&loop, VTS_NEVER);
    vts_cancellation_cancel(&stop);
    assert_code(vts_loop_run_until(&loop, first, VTS_NEVER), VTS_OK);
    assert_code(vts_valuetask_get_result(first, NULL), VTS_E_CANCELED);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
    assert_int_equal(misuses, 1); /* the reset of what is in use */
}

static void an_operation_may_succeed_or_fail_after_its_cancel(void)
{
    vts_valuetask task;
    int fails;

    for (fails = 0; fails < 2; fails++) {
        timed t;
        timed_begin(&t);
        task = timed_task(&t, &t.cancel);
        run_at(&t, 2000);
        assert_true(vts_cancellation_is_requested(vts_cancellation_token_of(&t.cancel)));
        assert_code(vts_valuetask_get_status(task), VTS_PENDING);
        assert_failed_with(timed_task(&t, NULL), VTS_E_PENDING);
        if (fails) vts_source_set_error(&t.o->source[0], t.o->token[0], -9);
        else finish(t.o, 0, 9);
        run_at(&t, 2001);
        if (fails) assert_failed_with(task, VTS_E_TIMEOUT);
        else assert_result(task, 9);
        timed_end(&t);
    }
}

static void *call_from_thread(void *arg)
{
    timed *t = (timed *)arg;
    vts_valuetask task = timed_task(t, NULL);
    THREAD_CHECK(vts_valuetask_get_result(task, NULL) == VTS_E_THREAD);
    return NULL;
}

typedef struct on_loop {
    vts_work work; /* first */
    timed *t;
} on_loop;

static void start_thread_meanwhile(vts_work *work)
{
    test_on_thread(call_from_thread, ((on_loop *)(void *)work)->t);
}

static void a_timeout_that_cannot_begin_leaves_nothing_behind(void)
{
    stubborn s = {{&stubborn_ops}, VTS_PENDING, NULL, NULL};
    vts_valuetask stubborn_task = vts_valuetask_from_source(&s.base, 32);
    vts_source never = {0};
    on_loop work = {0};
    vts_valuetask stale;
    timed t;

    timed_begin(&t);
    work.work.run = start_thread_meanwhile;
    work.t = &t;
    vts_scheduler_post(&t.loop.scheduler, &work.work);
    run_at(&t, 1000);
    assert_failed_with(vts_with_timeout(&t.timeout, vts_valuetask_from_result(1), NULL, 1,
                                        NULL),
                       VTS_E_ARGUMENT);
    stale = t.o->entry[0].task;
    stale.token += 32;
    assert_failed_with(vts_with_timeout(&t.timeout, stale, &t.loop, 2000, NULL),
                       VTS_E_STALE);
    stale = vts_valuetask_of(&never, 32);
    assert_failed_with(vts_with_timeout(&t.timeout, stale, &t.loop, 2000, NULL),
                       VTS_E_STALE);
    assert_failed_with(vts_with_timeout(&t.timeout, stubborn_task, &t.loop, 2000, NULL),
                       VTS_E_UNSUPPORTED);
    assert_null(s.continuation);
    assert_int_equal(t.loop.armed, 0);
    assert_failed_with(timed_task(&t, NULL), VTS_E_ALREADY_AWAITED); /* forgotten */
    finish(t.o, 0, 1);
    assert_result(
        vts_with_timeout(&t.timeout, vts_valuetask_from_result(6), &t.loop, 0, NULL), 6);
    timed_end(&t);
}

/* ---- timeout and other threads ---- */

typedef struct late {
    vts_task *task;
    vts_source *source;
    vts_token token;
    unsigned microseconds;
} late;

static void *complete_late(void *arg)
{
    late *l = (late *)arg;

    if (l->microseconds != 0) usleep(l->microseconds);
    if (l->task == NULL) {
        THREAD_CHECK(vts_source_set_result(l->source, l->token, 444) == VTS_OK);
        return NULL;
    }
    THREAD_CHECK(vts_task_set_result(l->task, 444) == VTS_OK);
    vts_task_release(l->task);
    return NULL;
}

static void deadline_and_operation_race(bool shared)
{
    operations *o = begin(0);
    vts_timeout timeout = {0};
    vts_loop loop;
    int round, in_time = 0;

    test_fail_at(0);
    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    for (round = 0; round < 300; round++) {
        late l = {NULL, &o->source[0], 0, 100};
        test_thread thread;
        vts_valuetask task;
        intptr_t value = 0;
        int error;

        if (!shared) again(o, 1);
        l.token = o->token[0];
        task = o->entry[0].task;
        if (shared) {
            assert_code(vts_task_create(&l.task, &test_allocator), VTS_OK);
            task = vts_valuetask_of_task(vts_task_retain(l.task));
        }
        thread = test_thread_start(complete_late, &l, 0);
        task = vts_with_timeout(&timeout, task, &loop,
                                vts_after(VTS_MICROSECONDS(60 + 10 * (round % 20))), NULL);
        assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_OK);
        error = vts_valuetask_get_result(task, &value);
        if (error == VTS_OK) assert_int_equal(value, 444);
        else assert_code(error, VTS_E_TIMEOUT);
        in_time += error == VTS_OK;
        test_thread_join(thread);
        if (shared) vts_task_release(l.task);
    }
    assert_code(vts_loop_destroy(&loop), VTS_OK);
    TEST_NOTE("%d of 300 in time", in_time);
}

static void deadline_and_source_race(void) { deadline_and_operation_race(false); }
static void deadline_and_shared_task_race(void) { deadline_and_operation_race(true); }

static const test_case tests[] = {
    TEST(all_waits_for_the_last),
    TEST(all_of_none_is_done),
    TEST(all_takes_what_is_completed_at_once),
    TEST(all_fails_as_the_first_entry_that_does),
    TEST(all_counts_a_stale_handle_as_failed),
    TEST(all_counts_an_awaited_handle_as_failed),
    TEST(when_is_refused_while_in_use_and_good_again_after),
    TEST(bad_arguments_have_their_error),
    TEST(any_takes_the_first_and_gives_the_others_back),
    TEST(any_may_be_won_by_a_failure),
    TEST(any_of_completed_ones_takes_the_first_and_leaves_the_rest),
    TEST(any_in_a_loop_gathers_all),
    TEST(a_loser_that_completed_at_once_can_be_awaited_again),
    TEST(entries_may_be_shared_tasks),
    TEST(any_waits_for_a_source_that_cannot_unregister),
    TEST(any_at_the_depth_limit_completes_when_it_is_left),
    TEST(two_complete_at_once_after_any),
    TEST(two_complete_at_once_during_any),
    TEST(all_is_completed_from_many_threads),
    TEST(an_operation_in_time_gives_its_result),
    TEST(an_operation_in_time_gives_its_error),
    TEST(an_operation_that_completes_on_the_loop_is_over_at_once),
    TEST(at_the_deadline_the_operation_is_left_to_itself),
    TEST(the_deadline_cancels_and_waits_for_the_operation),
    TEST(a_refused_timeout_forgets_the_operation),
    TEST(an_operation_may_succeed_or_fail_after_its_cancel),
    TEST(a_timeout_that_cannot_begin_leaves_nothing_behind),
    TEST(deadline_and_source_race),
    TEST(deadline_and_shared_task_race),
};

TEST_MAIN(tests)
