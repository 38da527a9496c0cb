/* One call in the middle of a worker's: before each atomic operation of the first, in
   turn, the whole second call happens, as if another thread had come just then. No work
   is lost or taken twice, and who sleeps is counted right. */
#define VTS_ATOMICS_HEADER "tests/meanwhile.h"
#define VTS__PARKING_HEADER "tests/meanwhile_parking.h"
#define VTS__RING 4u
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#define WORKERS 3
#define WORKS 6

/* A pool without threads: the test is its workers. */
static vts_threadpool *pool;
static vts_work works[WORKS];
static int taken[WORKS];
static bool first_withdrew, second_withdrew;

static void set_up(void)
{
    size_t size = sizeof(vts_threadpool) + WORKERS * sizeof(vts__worker);
    unsigned n;

    pool = (vts_threadpool *)calloc(1, size);
    assert_non_null(pool);
    pool->scheduler.post = vts__threadpool_post;
    pool->count = WORKERS;
    for (n = 0; n < WORKERS; n++) {
        pool->worker[n].pool = pool;
        pool->worker[n].index = n;
    }
    memset(works, 0, sizeof works);
    memset(taken, 0, sizeof taken);
    first_withdrew = second_withdrew = false;
}

/* Runs the scene once per gap, until the second call is behind the first. */
static unsigned each_gap(void (*prepare)(void), void (*first)(void),
                         void (*second)(void *arg), void (*check)(void))
{
    bool behind = false;
    unsigned gap;

    for (gap = 0; gap < 1000 && !behind; gap++) {
        set_up();
        prepare();
        meanwhile.turn = gap;
        meanwhile.call = second;
        first();
        behind = meanwhile.call != NULL;
        meanwhile.call = NULL;
        if (behind) second(NULL);
        check();
        free(pool);
    }
    return gap;
}

// ---- waking and sleeping ----

static void two_are_idle(void) { pool->idle = 2; }
static void one_is_idle(void) { pool->idle = 1; }
static void two_permits(void) { pool->permits = 2; }
static void wake(void) { vts__threadpool_wake(pool); }
static void withdraw(void) { first_withdrew = vts__worker_withdraw(pool); }
static void take_permit(void) { vts__worker_take_permit(pool); }

static void then_wake(void *arg)
{
    (void)arg;
    wake();
}

static void then_withdraw(void *arg)
{
    (void)arg;
    second_withdrew = vts__worker_withdraw(pool);
}

static void then_take_permit(void *arg)
{
    (void)arg;
    take_permit();
}

static void each_has_a_permit(void)
{
    assert_int_equal(pool->idle, 0);
    assert_int_equal(pool->permits, 2);
}

static void the_idle_one_has_withdrawn_or_a_permit(void)
{
    bool withdrew = first_withdrew || second_withdrew;

    assert_int_equal(pool->idle, 0);
    assert_int_equal(pool->permits, withdrew ? 0 : 1);
}

static void one_of_two_has_withdrawn(void)
{
    assert_int_equal(pool->idle, 0);
    assert_true(first_withdrew != second_withdrew);
}

static void nothing_is_left(void)
{
    assert_int_equal(pool->idle, 0);
    assert_int_equal(pool->permits, 0);
}

static void two_who_wake_wake_two(void)
{
    assert_true(each_gap(two_are_idle, wake, then_wake, each_has_a_permit) >= 3);
}

static void who_withdraws_needs_no_permit(void)
{
    each_gap(one_is_idle, wake, then_withdraw, the_idle_one_has_withdrawn_or_a_permit);
    each_gap(one_is_idle, withdraw, then_wake, the_idle_one_has_withdrawn_or_a_permit);
    each_gap(one_is_idle, withdraw, then_withdraw, one_of_two_has_withdrawn);
}

static void each_permit_is_taken_once(void)
{
    assert_true(each_gap(two_permits, take_permit, then_take_permit, nothing_is_left) >= 3);
}

static void sleep_one(void) { vts__worker_sleep(pool); }

static void then_post(void *arg)
{
    (void)arg;
    vts_scheduler_post(&pool->scheduler, &works[0]);
}

static void the_posted_one_is_found(void)
{
    assert_ptr_equal(vts__worker_find(&pool->worker[0]), &works[0]);
    nothing_is_left();
}

/* Behind the sleep it never comes: it ends it. */
static void a_post_ends_the_sleep_wherever_it_comes(void)
{
    unsigned gap;

    for (gap = 0; gap < 30; gap++) {
        set_up();
        meanwhile.turn = gap;
        meanwhile.call = then_post;
        sleep_one();
        assert_null(meanwhile.call);
        the_posted_one_is_found();
        free(pool);
    }
}

// ---- ending ----

static void all_are_idle(void)
{
    pool->stopping = 2;
    pool->idle = 2;
}

static void end(void) { vts__threadpool_may_end(pool); }

static void then_end(void *arg)
{
    (void)arg;
    end();
}

static void it_ended_and_let_all_go(void)
{
    assert_true(pool->stopping == VTS__ENDED);
    each_has_a_permit();
}

static void a_pool_ends_once(void)
{
    assert_true(each_gap(all_are_idle, end, then_end, it_ended_and_let_all_go) >= 5);
}

// ---- taking ----

static void take(vts_work *work)
{
    if (work == NULL) return;
    assert_true(work >= works && work < works + WORKS);
    taken[work - works]++;
}

static void some_are_posted(void)
{
    int i;
    for (i = 0; i < WORKS; i++) vts_scheduler_post(&pool->scheduler, &works[i]);
}

static void one_is_posted(void)
{
    vts_scheduler_post(&pool->scheduler, &works[0]);
    taken[1] = taken[2] = taken[3] = taken[4] = taken[5] = 1;
}

static void a_ring_is_full(void)
{
    int i;

    for (i = 0; i < 4; i++) assert_true(vts__ring_push(&pool->worker[1], &works[i]));
    taken[4] = taken[5] = 1;
}

static void refill(void) { take(vts__threadpool_refill(&pool->worker[0])); }
static void steal(void) { take(vts__ring_steal(&pool->worker[0], &pool->worker[1])); }
static void take_own(void) { take(vts__ring_take(&pool->worker[1])); }

static void then_refill(void *arg)
{
    (void)arg;
    take(vts__threadpool_refill(&pool->worker[1]));
}

static void then_steal(void *arg)
{
    (void)arg;
    take(vts__ring_steal(&pool->worker[2], &pool->worker[1]));
}

/* The thief may see an old head and a new tail: more than a ring holds. */
static void then_take_two_and_push_two(void *arg)
{
    (void)arg;
    take_own();
    take_own();
    taken[4] = taken[5] = 0;
    assert_true(vts__ring_push(&pool->worker[1], &works[4]));
    assert_true(vts__ring_push(&pool->worker[1], &works[5]));
}

static void then_take_own(void *arg)
{
    (void)arg;
    take_own();
}

/* What is left is found; then all were taken, each once. */
static void each_is_taken_once(void)
{
    int i, n;

    for (i = 0; i < 2 * WORKS; i++) {
        for (n = 0; n < WORKERS; n++) take(vts__worker_find(&pool->worker[n]));
    }
    for (i = 0; i < WORKS; i++) assert_int_equal(taken[i], 1);
    assert_true(pool->posted == 0 && pool->backlog == 0);
}

static void of_two_who_refill_each_has_his_own(void)
{
    assert_true(each_gap(some_are_posted, refill, then_refill, each_is_taken_once) >= 5);
    assert_true(each_gap(one_is_posted, refill, then_refill, each_is_taken_once) >= 4);
}

static void of_thieves_and_owner_each_has_his_own(void)
{
    each_gap(a_ring_is_full, steal, then_steal, each_is_taken_once);
    each_gap(a_ring_is_full, steal, then_take_own, each_is_taken_once);
    each_gap(a_ring_is_full, take_own, then_steal, each_is_taken_once);
    each_gap(a_ring_is_full, steal, then_take_two_and_push_two, each_is_taken_once);
}

static const test_case tests[] = {
    TEST(two_who_wake_wake_two),
    TEST(who_withdraws_needs_no_permit),
    TEST(each_permit_is_taken_once),
    TEST(a_post_ends_the_sleep_wherever_it_comes),
    TEST(a_pool_ends_once),
    TEST(of_two_who_refill_each_has_his_own),
    TEST(of_thieves_and_owner_each_has_his_own),
};

TEST_MAIN(tests)
