/* The thread pool: what is posted runs once, whoever blocks, sleeps, steals or ends. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

/* The n-th thread that a pool starts fails; 0: none. */
static int start_fails_at, start_calls;

static int start_thread(pthread_t *thread, const pthread_attr_t *attributes,
                        void *(*run)(void *), void *arg)
{
    if (++start_calls == start_fails_at) return EAGAIN;
    return pthread_create(thread, attributes, run, arg);
}

/* How many processors the system says there are, if not 0. */
static long told_processors;

static long tell_processors(int name)
{
    return told_processors != 0 ? told_processors : sysconf(name);
}

#define pthread_create start_thread
#define sysconf tell_processors
#define VTS_IMPLEMENTATION
#include "vts.h"
#undef pthread_create
#undef sysconf
#include "test.h"

#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define SLOWER 10
#else
#define SLOWER 1
#endif

static vts_threadpool *new_pool(unsigned threads)
{
    vts_threadpool_desc desc = {0};
    vts_threadpool *pool = NULL;

    desc.threads = threads;
    desc.allocator = &test_allocator;
    assert_code(vts_threadpool_create(&pool, &desc), VTS_OK);
    return pool;
}

/* False after ten seconds. */
static bool reaches(const vts_word *word, vts_word value)
{
    vts_time end = vts_after(VTS_SECONDS(10));

    while (vts__load_acq(word) < value) {
        if (vts_now() > end) return false;
        usleep(50);
    }
    return true;
}

static size_t count_threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    size_t count = 0;

    if (directory == NULL) return 0;
    while (readdir(directory) != NULL) count++;
    closedir(directory);
    return count;
}

/* ---- making and ending ---- */

static void a_pool_has_as_many_threads_as_asked_for(void)
{
    unsigned n;

    for (n = 1; n <= 9; n += 4) {
        vts_threadpool *pool = new_pool(n);
        assert_int_equal(vts_threadpool_threads(pool), n);
        assert_int_equal(test_memory.live, 1);
        assert_code(vts_threadpool_destroy(pool), VTS_OK);
        assert_int_equal(test_memory.live, 0);
    }
    assert_int_equal(test_memory.calls, 3);
}

static void by_default_one_for_each_processor(void)
{
    vts_threadpool *pool = NULL;

    assert_code(vts_threadpool_create(&pool, NULL), VTS_OK);
    assert_int_equal(vts_threadpool_threads(pool), sysconf(_SC_NPROCESSORS_ONLN));
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
}

/* What the system does not say, or exaggerates. */
static void by_default_at_least_one_and_not_too_many(void)
{
    vts_threadpool *pool;

    told_processors = -1;
    pool = new_pool(0);
    told_processors = 1;
    assert_int_equal(vts_threadpool_threads(pool), 1);
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
    told_processors = 100000;
    assert_int_equal(vts__processors(), 1024);
    told_processors = 0;
}

static void bad_arguments_have_their_error(void)
{
    const vts_allocator none = {NULL, NULL, NULL};
    vts_threadpool_desc desc = {0};
    vts_threadpool *pool = NULL;

    assert_code(vts_threadpool_create(NULL, NULL), VTS_E_ARGUMENT);
    desc.threads = 1025;
    assert_code(vts_threadpool_create(&pool, &desc), VTS_E_ARGUMENT);
    desc.threads = 2;
    desc.allocator = &none;
    assert_code(vts_threadpool_create(&pool, &desc), VTS_E_MEMORY);
    assert_null(pool);
    assert_code(vts_threadpool_destroy(NULL), VTS_E_ARGUMENT);
    assert_null(vts_threadpool_scheduler(NULL));
    assert_int_equal(vts_threadpool_threads(NULL), 0);
}

static void create_and_destroy(void)
{
    vts_threadpool_desc desc = {0};
    vts_threadpool *pool = NULL;
    int error;

    desc.threads = 2;
    desc.allocator = &test_allocator;
    error = vts_threadpool_create(&pool, &desc);
    if (error == VTS_OK) assert_code(vts_threadpool_destroy(pool), VTS_OK);
    else assert_code(error, VTS_E_MEMORY);
}

static void without_memory_there_is_no_pool(void)
{
    assert_int_equal(test_every_failure(create_and_destroy), 1);
}

static void a_thread_that_cannot_start_leaves_nothing_behind(void)
{
    size_t threads = count_threads();
    int n;

    for (n = 1; n <= 5; n++) {
        vts_threadpool_desc desc = {0};
        vts_threadpool *pool = NULL;

        desc.threads = 5;
        desc.allocator = &test_allocator;
        start_calls = 0;
        start_fails_at = n;
        assert_code(vts_threadpool_create(&pool, &desc), VTS_E_THREAD);
        start_fails_at = 0;
        assert_null(pool);
        assert_int_equal(start_calls, n);
        assert_int_equal(test_memory.live, 0);
        assert_int_equal(count_threads(), threads);
    }
}

/* ---- every work runs, once ---- */

#define POSTERS 4
#define OWN (50000 / SLOWER)
#define TIMES 5

typedef struct item {
    vts_work work; /* first */
    vts_scheduler *scheduler;
    vts_word ran;
    vts_scheduler *seen;
} item;

static vts_word all_ran;

/* Posts itself until it ran often enough. */
static void run_item(vts_work *work)
{
    item *i = (item *)(void *)work;

    i->seen = vts_scheduler_current();
    vts__store_rlx(&i->ran, vts__load_rlx(&i->ran) + 1);
    vts__add_acq_rel(&all_ran, 1);
    if (vts__load_rlx(&i->ran) < TIMES) vts_scheduler_post(i->scheduler, work);
}

static void *post_items(void *arg)
{
    item *items = (item *)arg;
    int n;

    for (n = 0; n < OWN; n++) vts_scheduler_post(items[n].scheduler, &items[n].work);
    return NULL;
}

static void post_from_threads_and_works(unsigned threads)
{
    item *items = (item *)calloc(POSTERS * OWN, sizeof *items);
    test_thread thread[POSTERS];
    vts_threadpool *pool = new_pool(threads);
    size_t n;

    assert_non_null(items);
    test_fail_at(1);
    vts__store_rlx(&all_ran, 0);
    for (n = 0; n < POSTERS * OWN; n++) {
        items[n].work.run = run_item;
        items[n].scheduler = vts_threadpool_scheduler(pool);
    }
    for (n = 0; n < POSTERS; n++) {
        thread[n] = test_thread_start(post_items, &items[n * OWN], 0);
    }
    for (n = 0; n < POSTERS; n++) test_thread_join(thread[n]);
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
    assert_int_equal(vts__load_acq(&all_ran), POSTERS * OWN * TIMES);
    for (n = 0; n < POSTERS * OWN; n++) {
        if (items[n].ran != TIMES) TEST_FAIL("%zu ran %zu times\n", n, items[n].ran);
        if (items[n].seen != items[0].scheduler) TEST_FAIL("another scheduler\n");
    }
    assert_int_equal(test_memory.calls, 0);
    test_fail_at(0);
    free(items);
}

static void none_of_a_million_works_is_lost_or_runs_twice(void)
{
    post_from_threads_and_works(4);
    TEST_NOTE("%d works", POSTERS * OWN * TIMES);
}

static void one_thread_runs_them_all_too(void) { post_from_threads_and_works(1); }

/* ---- works that block ---- */

typedef struct gate {
    vts_work work; /* first */
    vts_scheduler *scheduler;
    const vts_word *until; /* runs on when it is value */
    vts_word value;
    vts_word *entered, *left;
    vts_work *posts; /* before it blocks */
    size_t post_count, post_size;
    bool timed_out;
} gate;

static void run_gate(vts_work *work)
{
    gate *g = (gate *)(void *)work;
    size_t n;

    for (n = 0; n < g->post_count; n++) {
        char *next = (char *)(void *)g->posts + n * g->post_size;
        vts_scheduler_post(vts_scheduler_current(), (vts_work *)(void *)next);
    }
    if (g->entered != NULL) vts__add_acq_rel(g->entered, 1);
    g->timed_out = !reaches(g->until, g->value);
    if (g->left != NULL) vts__add_acq_rel(g->left, 1);
}

static gate gate_until(const vts_word *until, vts_word value)
{
    gate g = {0};
    g.work.run = run_gate;
    g.until = until;
    g.value = value;
    return g;
}

static void count_work(vts_work *work);

typedef struct tick {
    vts_work work; /* first */
    vts_word *count;
    pthread_t thread;
} tick;

static void count_work(vts_work *work)
{
    tick *t = (tick *)(void *)work;
    t->thread = pthread_self();
    vts__add_acq_rel(t->count, 1);
}

static void while_all_but_one_are_blocked_work_goes_on(void)
{
    static tick ticks[2000];
    gate gates[3];
    vts_word open = 0, entered = 0, left = 0, count = 0;
    vts_threadpool *pool = new_pool(4);
    vts_scheduler *scheduler = vts_threadpool_scheduler(pool);
    size_t n;

    for (n = 0; n < 3; n++) {
        gates[n] = gate_until(&open, 1);
        gates[n].entered = &entered;
        gates[n].left = &left;
        vts_scheduler_post(scheduler, &gates[n].work);
    }
    assert_true(reaches(&entered, 3));
    for (n = 0; n < 2000; n++) {
        ticks[n].work.run = count_work;
        ticks[n].count = &count;
        vts_scheduler_post(scheduler, &ticks[n].work);
    }
    assert_true(reaches(&count, 2000));
    assert_int_equal(vts__load_acq(&left), 0);
    vts__store_rel(&open, 1);
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
    assert_int_equal(left, 3);
}

static void while_all_are_blocked_nothing_runs_and_nothing_is_lost(void)
{
    static tick ticks[2000];
    gate gates[4];
    vts_word open = 0, entered = 0, count = 0;
    vts_threadpool *pool = new_pool(4);
    vts_scheduler *scheduler = vts_threadpool_scheduler(pool);
    size_t n;

    for (n = 0; n < 4; n++) {
        gates[n] = gate_until(&open, 1);
        gates[n].entered = &entered;
        vts_scheduler_post(scheduler, &gates[n].work);
    }
    assert_true(reaches(&entered, 4));
    for (n = 0; n < 2000; n++) {
        ticks[n].work.run = count_work;
        ticks[n].count = &count;
        vts_scheduler_post(scheduler, &ticks[n].work);
    }
    usleep(3000);
    assert_int_equal(vts__load_acq(&count), 0);
    vts__store_rel(&open, 1);
    assert_true(reaches(&count, 2000));
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
}

/* A worker fills its ring and more, then blocks until all of that has run. */
static void block_on_what_it_posted(unsigned threads, size_t posts)
{
    static tick ticks[1000];
    vts_word count = 0, left = 0;
    gate g = gate_until(&count, posts);
    vts_threadpool *pool = new_pool(threads);
    size_t n;

    for (n = 0; n < posts; n++) {
        ticks[n].work.run = count_work;
        ticks[n].count = &count;
    }
    g.left = &left;
    g.posts = &ticks[0].work;
    g.post_count = posts;
    g.post_size = sizeof ticks[0];
    vts_scheduler_post(vts_threadpool_scheduler(pool), &g.work);
    assert_true(reaches(&left, 1));
    assert_false(g.timed_out);
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
}

static void what_a_blocked_worker_has_in_its_ring_is_stolen(void)
{
    int round;

    for (round = 0; round < 20; round++) {
        block_on_what_it_posted(2, 200);
        block_on_what_it_posted(4, 1);
        block_on_what_it_posted(3, 1000);
    }
}

/* As many as there are threads wait for each other: every one must be awake. */
static void works_that_need_all_threads_get_them(void)
{
    enum { N = 4 };
    vts_threadpool *pool = new_pool(N);
    int round;

    for (round = 0; round < 2000 / SLOWER; round++) {
        gate gates[N];
        vts_word entered = 0, left = 0;
        size_t n;

        for (n = 0; n < N; n++) {
            gates[n] = gate_until(&entered, N);
            gates[n].entered = &entered;
            gates[n].left = &left;
        }
        if (round % 2 == 0) { /* from one of them, which then blocks */
            gates[0].posts = &gates[1].work;
            gates[0].post_count = N - 1;
            gates[0].post_size = sizeof gates[0];
        } else {
            for (n = 1; n < N; n++) {
                vts_scheduler_post(vts_threadpool_scheduler(pool), &gates[n].work);
            }
        }
        vts_scheduler_post(vts_threadpool_scheduler(pool), &gates[0].work);
        assert_true(reaches(&left, N));
        for (n = 0; n < N; n++) assert_false(gates[n].timed_out);
    }
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
}

/* What a thief has taken and not published is in no ring: who looks then goes to sleep.
   The thief has to wake it for what is left, for it blocks until that has run. */
static void a_thief_wakes_another_for_what_it_leaves(void)
{
    vts_threadpool *pool = (vts_threadpool *)calloc(
        1, sizeof(vts_threadpool) + 3 * sizeof(vts__worker));
    vts_work works[3];
    size_t n;

    assert_non_null(pool);
    pool->count = 3;
    for (n = 0; n < 3; n++) pool->worker[n].pool = pool;
    for (n = 0; n < 3; n++) assert_true(vts__ring_push(&pool->worker[0], &works[n]));
    vts__store_rlx(&pool->idle, 2);
    assert_ptr_equal(vts__ring_steal(&pool->worker[1], &pool->worker[0]), &works[0]);
    assert_int_equal(pool->idle, 1);
    assert_int_equal(pool->permits, 1);
    assert_ptr_equal(vts__ring_steal(&pool->worker[2], &pool->worker[1]), &works[1]);
    assert_int_equal(pool->permits, 1);
    assert_ptr_equal(vts__ring_take(&pool->worker[0]), &works[2]);
    free(pool);
}

/* ---- the rings alone ---- */

#define RING_WORKS (200000 / SLOWER)

static struct {
    vts_threadpool *pool;
    item *items;
    size_t *written; /* not atomic: what was written before the push is seen          */
    vts_word taken;
} rings;

static void take_item(vts_work *work)
{
    item *i = (item *)(void *)work;

    if (work == NULL) return;
    THREAD_CHECK(rings.written[i - rings.items] == (size_t)(i - rings.items) + 1);
    vts__add_acq_rel(&i->ran, 1);
    vts__add_acq_rel(&rings.taken, 1);
}

/* A thief takes from the owner and from the other thieves. */
static void *steal_items(void *arg)
{
    vts__worker *self = (vts__worker *)arg;
    unsigned victim = 0;

    while (vts__load_acq(&rings.taken) < RING_WORKS) {
        vts_work *work = vts__ring_take(self);
        victim = (victim + 1) % 4;
        if (work == NULL && victim != self->index) {
            work = vts__ring_steal(self, &rings.pool->worker[victim]);
        }
        take_item(work);
    }
    return NULL;
}

static void racing_thieves_take_each_work_once(void)
{
    test_thread thread[3];
    vts__worker *own;
    size_t n;

    rings.pool = (vts_threadpool *)calloc(
        1, sizeof(vts_threadpool) + 4 * sizeof(vts__worker));
    rings.items = (item *)calloc(RING_WORKS, sizeof *rings.items);
    rings.written = (size_t *)calloc(RING_WORKS, sizeof *rings.written);
    assert_non_null(rings.pool);
    assert_non_null(rings.items);
    assert_non_null(rings.written);
    vts__store_rlx(&rings.taken, 0);
    for (n = 0; n < 4; n++) {
        rings.pool->worker[n].pool = rings.pool;
        rings.pool->worker[n].index = (unsigned)n;
    }
    own = &rings.pool->worker[0];
    for (n = 0; n < 3; n++) {
        thread[n] = test_thread_start(steal_items, &rings.pool->worker[n + 1], 0);
    }
    for (n = 0; n < RING_WORKS; n++) {
        rings.written[n] = n + 1;
        while (!vts__ring_push(own, &rings.items[n].work)) take_item(vts__ring_take(own));
        if (n / 64 % 2 == 0) take_item(vts__ring_take(own));
    }
    while (vts__load_acq(&rings.taken) < RING_WORKS) take_item(vts__ring_take(own));
    for (n = 0; n < 3; n++) test_thread_join(thread[n]);
    for (n = 0; n < RING_WORKS; n++) {
        if (rings.items[n].ran != 1) TEST_FAIL("%zu ran %zu times\n", n, rings.items[n].ran);
    }
    free(rings.items);
    free(rings.written);
    free(rings.pool);
}

/* ---- works that never end ---- */

typedef struct restless {
    vts_work work; /* first */
    vts_word *stop;
    vts_word runs;
} restless;

static void run_again(vts_work *work)
{
    restless *r = (restless *)(void *)work;

    vts__add_acq_rel(&r->runs, 1);
    if (vts__load_acq(r->stop) == 0) vts_scheduler_post(vts_scheduler_current(), work);
}

static void works_that_post_themselves_starve_nobody(void)
{
    static restless r[300]; /* more than a ring holds */
    static tick ticks[600];
    vts_word stop = 0, count = 0;
    vts_threadpool *pool = new_pool(1);
    vts_scheduler *scheduler = vts_threadpool_scheduler(pool);
    size_t n;

    for (n = 0; n < 300; n++) {
        r[n].work.run = run_again;
        r[n].stop = &stop;
        r[n].runs = 0;
        vts_scheduler_post(scheduler, &r[n].work);
    }
    for (n = 0; n < 600; n++) {
        ticks[n].work.run = count_work;
        ticks[n].count = &count;
        vts_scheduler_post(scheduler, &ticks[n].work);
        if (n % 200 == 0) usleep(500);
    }
    assert_true(reaches(&count, 600));
    for (n = 0; n < 300; n++) assert_true(reaches(&r[n].runs, 10));
    vts__store_rel(&stop, 1);
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
}

/* The only other worker never runs out of work: it looks into the blocked one's ring all
   the same. */
static void a_busy_worker_takes_from_a_blocked_one(void)
{
    restless r = {0};
    tick t = {0};
    vts_word stop = 0, count = 0, left = 0;
    gate g = gate_until(&count, 1);
    vts_threadpool *pool = new_pool(2);

    r.work.run = run_again;
    r.stop = &stop;
    t.work.run = count_work;
    t.count = &count;
    g.posts = &t.work;
    g.post_count = 1;
    g.left = &left;
    vts_scheduler_post(vts_threadpool_scheduler(pool), &r.work);
    assert_true(reaches(&r.runs, 100));
    vts_scheduler_post(vts_threadpool_scheduler(pool), &g.work);
    assert_true(reaches(&left, 1));
    assert_false(g.timed_out);
    vts__store_rel(&stop, 1);
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
}

/* Whoever looks around visits every ring, and the stack. */
static void a_worker_looks_around_everywhere(void)
{
    enum { N = 5 };
    vts_threadpool *pool = (vts_threadpool *)calloc(
        1, sizeof(vts_threadpool) + N * sizeof(vts__worker));
    vts_work works[N], own, posted;
    unsigned n, found = 0;

    assert_non_null(pool);
    pool->count = N;
    for (n = 0; n < N; n++) pool->worker[n].pool = pool;
    for (n = 1; n < N; n++) assert_true(vts__ring_push(&pool->worker[n], &works[n]));
    vts__stack_push(&pool->posted, &posted);
    for (n = 0; n < 2 * N * VTS__FAIRNESS + 1; n++) {
        vts_work *work;
        assert_true(vts__ring_push(&pool->worker[0], &own));
        work = vts__worker_find(&pool->worker[0]);
        if (work != &own) found++;
        if (work != &own) assert_ptr_equal(vts__ring_take(&pool->worker[0]), &own);
    }
    assert_int_equal(found, N);
    free(pool);
}

/* Who is about to sleep looks at every place; each alone keeps it awake. A place that is
   not looked at lets this stand still. */
static void nobody_sleeps_while_there_is_work(void)
{
    vts_threadpool *pool = (vts_threadpool *)calloc(
        1, sizeof(vts_threadpool) + 3 * sizeof(vts__worker));
    vts_work work;
    unsigned n;

    assert_non_null(pool);
    pool->count = 3;
    for (n = 0; n < 3; n++) pool->worker[n].pool = pool;
    vts__stack_push(&pool->posted, &work);
    vts__worker_sleep(pool);
    assert_ptr_equal(vts__stack_take(&pool->posted), &work);
    vts__store_rlx(&pool->backlog, VTS__SPLITTING);
    vts__worker_sleep(pool);
    vts__store_rlx(&pool->backlog, 0);
    for (n = 0; n < 3; n++) {
        assert_true(vts__ring_push(&pool->worker[n], &work));
        vts__worker_sleep(pool);
        assert_ptr_equal(vts__ring_take(&pool->worker[n]), &work);
    }
    vts__store_rlx(&pool->stopping, VTS__ENDED);
    vts__worker_sleep(pool);
    assert_int_equal(pool->idle, 0);
    assert_int_equal(pool->permits, 0);
    vts__store_rlx(&pool->stopping, 1); /* the last one ends it, and needs no other */
    vts__worker_sleep(pool);
    assert_int_equal(pool->stopping, VTS__ENDED);
    assert_int_equal(pool->idle, 0);
    assert_int_equal(pool->permits, 0);
    free(pool);
}

static void an_idle_pool_sleeps(void)
{
    vts_threadpool *pool = new_pool(4);
    tick t = {0};
    vts_word count = 0;
    struct timespec before, after;
    int64_t used;

    t.work.run = count_work;
    t.count = &count;
    vts_scheduler_post(vts_threadpool_scheduler(pool), &t.work);
    assert_true(reaches(&count, 1));
    usleep(20000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    usleep(200000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    used = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
    if (used > 20000000) TEST_FAIL("%lld ns of work\n", (long long)used);
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
}

/* ---- ending ---- */

static void destroy_runs_what_is_left(void)
{
    static item items[3000];
    vts_word open = 0, entered = 0;
    gate g = gate_until(&open, 1);
    vts_threadpool *pool = new_pool(1);
    vts_scheduler *scheduler = vts_threadpool_scheduler(pool);
    size_t n;

    g.entered = &entered;
    vts_scheduler_post(scheduler, &g.work);
    assert_true(reaches(&entered, 1));
    vts__store_rlx(&all_ran, 0);
    memset(items, 0, sizeof items);
    for (n = 0; n < 3000; n++) {
        items[n].work.run = run_item;
        items[n].scheduler = scheduler;
        vts_scheduler_post(scheduler, &items[n].work);
    }
    assert_int_equal(vts__load_acq(&all_ran), 0);
    vts__store_rel(&open, 1);
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
    assert_int_equal(all_ran, 3000 * TIMES);
}

/* A work posts while the pool is being destroyed, and blocks until that has run. */
typedef struct late_poster {
    vts_work work; /* first */
    tick tick;
    vts_word entered, count;
    bool timed_out;
} late_poster;

static void post_late(vts_work *work)
{
    late_poster *l = (late_poster *)(void *)work;

    vts__store_rel(&l->entered, 1);
    usleep(20000);
    vts_scheduler_post(vts_scheduler_current(), &l->tick.work);
    l->timed_out = !reaches(&l->count, 1);
}

static void while_it_is_destroyed_a_pool_still_has_its_threads(void)
{
    late_poster l = {0};
    vts_threadpool *pool = new_pool(2);

    l.work.run = post_late;
    l.tick.work.run = count_work;
    l.tick.count = &l.count;
    vts_scheduler_post(vts_threadpool_scheduler(pool), &l.work);
    assert_true(reaches(&l.entered, 1));
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
    assert_false(l.timed_out);
    assert_int_equal(l.count, 1);
}

static void pools_that_are_destroyed_at_once_end(void)
{
    int round;

    for (round = 0; round < 300 / SLOWER; round++) {
        static item items[8];
        vts_threadpool *pool = new_pool(1 + (unsigned)round % 5);
        size_t n, count = test_random() % 9;

        memset(items, 0, sizeof items);
        vts__store_rlx(&all_ran, 0);
        for (n = 0; n < count; n++) {
            items[n].work.run = run_item;
            items[n].scheduler = vts_threadpool_scheduler(pool);
            vts_scheduler_post(items[n].scheduler, &items[n].work);
        }
        if (round % 4 == 0) usleep((unsigned)(test_random() % 300));
        assert_code(vts_threadpool_destroy(pool), VTS_OK);
        assert_int_equal(all_ran, count * TIMES);
    }
}

typedef struct emigrant {
    vts_work work; /* first */
    vts_threadpool *to;
    vts_word hops;
    bool arrived;
} emigrant;

static void emigrate(vts_work *work)
{
    emigrant *e = (emigrant *)(void *)work;
    vts_scheduler *to = vts_threadpool_scheduler(e->to);

    e->arrived = vts_scheduler_current() == to;
    if (!e->arrived) vts_scheduler_post(to, work);
    vts__add_acq_rel(&e->hops, 1);
}

static void a_worker_posts_to_another_pool(void)
{
    vts_threadpool *home = new_pool(1), *abroad = new_pool(1);
    emigrant e = {.to = abroad};

    e.work.run = emigrate;
    vts_scheduler_post(vts_threadpool_scheduler(home), &e.work);
    assert_true(reaches(&e.hops, 2));
    assert_true(e.arrived);
    assert_code(vts_threadpool_destroy(home), VTS_OK);
    assert_code(vts_threadpool_destroy(abroad), VTS_OK);
}

typedef struct destroyer {
    vts_work work; /* first */
    vts_threadpool *own, *other;
    int own_before, other_code, own_after;
    vts_scheduler *after;
    vts_word done;
} destroyer;

static void destroy_pools(vts_work *work)
{
    destroyer *d = (destroyer *)(void *)work;

    d->own_before = vts_threadpool_destroy(d->own);
    d->other_code = vts_threadpool_destroy(d->other);
    d->own_after = vts_threadpool_destroy(d->own);
    d->after = vts_scheduler_current();
    vts__store_rel(&d->done, 1);
}

static void a_pool_is_not_destroyed_from_its_own_thread(void)
{
    destroyer d = {0};

    d.own = new_pool(2);
    d.other = new_pool(2);
    d.work.run = destroy_pools;
    vts_scheduler_post(vts_threadpool_scheduler(d.own), &d.work);
    assert_true(reaches(&d.done, 1));
    assert_code(d.own_before, VTS_E_DEADLOCK);
    assert_code(d.other_code, VTS_OK);
    assert_code(d.own_after, VTS_E_DEADLOCK);
    assert_ptr_equal(d.after, vts_threadpool_scheduler(d.own));
    assert_code(vts_threadpool_destroy(d.own), VTS_OK);
}

/* ---- with the rest of vts ---- */

typedef struct traveler {
    vts_co co; /* first */
    vts_scheduler *pool, *loop;
    pthread_t began, worked, ended;
    vts_scheduler *in_pool, *in_loop;
    int rounds;
} traveler;

static vts_step travel(vts_co *co)
{
    traveler *t = VTS_SELF(co, traveler);

    VTS_ASYNC(co) {
        t->began = pthread_self();
        for (t->rounds = 0; t->rounds < 200; t->rounds++) {
            VTS_YIELD(t->pool);
            t->worked = pthread_self();
            t->in_pool = vts_scheduler_current();
            VTS_YIELD(t->loop);
            t->ended = pthread_self();
            t->in_loop = vts_scheduler_current();
        }
    }
    return vts_co_finish(co, t->rounds);
}

static void a_coroutine_goes_to_the_pool_and_back(void)
{
    static traveler t;
    vts_threadpool *pool = new_pool(2);
    vts_loop loop;
    vts_valuetask task;
    intptr_t rounds;

    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    t.pool = vts_threadpool_scheduler(pool);
    t.loop = &loop.scheduler;
    task = vts_co_start(&t.co, travel);
    assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_OK);
    assert_code(vts_valuetask_get_result(task, &rounds), VTS_OK);
    assert_int_equal(rounds, 200);
    assert_true(pthread_equal(t.began, t.ended));
    assert_false(pthread_equal(t.began, t.worked));
    assert_ptr_equal(t.in_pool, t.pool);
    assert_ptr_equal(t.in_loop, t.loop);
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

typedef struct captured {
    vts_work work; /* first */
    vts_task *task;
    tick tick;
    vts_awaiter awaiter;
    vts_word registered, count;
    vts_scheduler *seen;
} captured;

static void see_scheduler(vts_work *work)
{
    captured *c = vts__container_of((vts_awaiter *)(void *)work, captured, awaiter);
    c->seen = vts_scheduler_current();
    vts__add_acq_rel(&c->count, 1);
}

static void await_in_pool(vts_work *work)
{
    captured *c = (captured *)(void *)work;
    THREAD_CHECK(vts_task_on_completed(c->task, &c->awaiter, see_scheduler,
                                       VTS_USE_SCHEDULING_CONTEXT) == VTS_OK);
    vts__store_rel(&c->registered, 1);
}

static void a_continuation_comes_back_to_the_pool(void)
{
    captured c = {0};
    vts_threadpool *pool = new_pool(2);

    assert_code(vts_task_create(&c.task, &test_allocator), VTS_OK);
    c.work.run = await_in_pool;
    vts_scheduler_post(vts_threadpool_scheduler(pool), &c.work);
    assert_true(reaches(&c.registered, 1));
    assert_code(vts_task_set_result(c.task, 1), VTS_OK);
    assert_true(reaches(&c.count, 1));
    assert_ptr_equal(c.seen, vts_threadpool_scheduler(pool));
    assert_null(vts_scheduler_current());
    assert_code(vts_threadpool_destroy(pool), VTS_OK);
    vts_task_release(c.task);
}

static const test_case tests[] = {
    TEST(a_pool_has_as_many_threads_as_asked_for),
    TEST(by_default_one_for_each_processor),
    TEST(by_default_at_least_one_and_not_too_many),
    TEST(bad_arguments_have_their_error),
    TEST(without_memory_there_is_no_pool),
    TEST(a_thread_that_cannot_start_leaves_nothing_behind),
    TEST(none_of_a_million_works_is_lost_or_runs_twice),
    TEST(one_thread_runs_them_all_too),
    TEST(while_all_but_one_are_blocked_work_goes_on),
    TEST(while_all_are_blocked_nothing_runs_and_nothing_is_lost),
    TEST(what_a_blocked_worker_has_in_its_ring_is_stolen),
    TEST(works_that_need_all_threads_get_them),
    TEST(a_thief_wakes_another_for_what_it_leaves),
    TEST(racing_thieves_take_each_work_once),
    TEST(works_that_post_themselves_starve_nobody),
    TEST(a_busy_worker_takes_from_a_blocked_one),
    TEST(a_worker_looks_around_everywhere),
    TEST(nobody_sleeps_while_there_is_work),
    TEST(an_idle_pool_sleeps),
    TEST(destroy_runs_what_is_left),
    TEST(while_it_is_destroyed_a_pool_still_has_its_threads),
    TEST(pools_that_are_destroyed_at_once_end),
    TEST(a_worker_posts_to_another_pool),
    TEST(a_pool_is_not_destroyed_from_its_own_thread),
    TEST(a_coroutine_goes_to_the_pool_and_back),
    TEST(a_continuation_comes_back_to_the_pool),
};

TEST_MAIN(tests)
