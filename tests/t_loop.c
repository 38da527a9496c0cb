/* The loop: posting, sleeping, stopping, timers, delays. Most tests have a clock and a
   park of their own, so that every run is the same; those with threads have the real. */
#define _GNU_SOURCE
#include <semaphore.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static size_t mallocs;

static void *counted_malloc(size_t size)
{
    __atomic_fetch_add(&mallocs, 1, __ATOMIC_RELAXED);
    return malloc(size);
}

#define malloc(size) counted_malloc(size)
#define VTS_IMPLEMENTATION
#include "vts.h"
#undef malloc
#include "test.h"

// ---- a platform that a test drives ----

static struct {
    vts_time now;
    vts_time slept_until; /* what the last park was given                             */
    int parks, wakes;
    vts_loop *loop;
    void (*on_park)(void); /* happens once, while the loop is parked                  */
} fake;

static vts_time fake_clock(void) { return fake.now; }

/* Time passes while the loop sleeps; what would sleep for ever is a mistake. */
static void fake_park(void *user, vts_time deadline)
{
    void (*happens)(void) = fake.on_park;

    assert_ptr_equal(user, &fake);
    assert_true(deadline == 0 || vts_loop_is_parked(fake.loop));
    fake.parks++;
    fake.slept_until = deadline;
    fake.on_park = NULL;
    if (happens != NULL) {
        happens();
        return;
    }
    if (deadline == VTS_NEVER) TEST_FAIL("sleeps for ever\n");
    if (deadline > fake.now) fake.now = deadline;
}

static void fake_wake(void *user)
{
    assert_ptr_equal(user, &fake);
    fake.wakes++;
}

static int dispatches, found; /* what each dispatch says it ran                       */

static int fake_dispatch(void *user)
{
    assert_ptr_equal(user, &fake);
    assert_false(vts_loop_is_parked(fake.loop));
    dispatches++;
    return found;
}

static VTS_POOL_STORAGE(delay_storage, vts_delay_operation, 4);

#define START VTS_SECONDS(1000)

static void set_up(vts_loop *loop)
{
    vts_loop_desc desc = {0};

    memset(&fake, 0, sizeof fake);
    fake.now = START;
    fake.loop = loop;
    vts_set_clock(fake_clock);
    desc.park = fake_park;
    desc.wake = fake_wake;
    desc.user = &fake;
    desc.delays.storage = delay_storage;
    desc.delays.storage_size = sizeof delay_storage;
    assert_code(vts_loop_init(loop, &desc), VTS_OK);
}

static void tear_down(vts_loop *loop)
{
    assert_code(vts_loop_destroy(loop), VTS_OK);
    vts_set_clock(NULL);
}

/* A loop that sleeps as loops do, in real time. */
static void set_up_real(vts_loop *loop)
{
    vts_set_clock(NULL);
    assert_code(vts_loop_init(loop, NULL), VTS_OK);
}

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void count(void *arg) { ++*(int *)arg; }

// ---- work that notes its order ----

static struct {
    int ran;
    int order[64];
} seen;

typedef struct job {
    vts_work work;
    int number;
    vts_loop *loop;
    int again; /* posts itself so often                                               */
    int code;
} job;

static job *job_of(vts_work *work) { return (job *)(void *)work; }

static void note_number(int number)
{
    if (seen.ran < 64) seen.order[seen.ran] = number;
    seen.ran++;
}

static void job_runs(vts_work *work) { note_number(job_of(work)->number); }

static void job_stops(vts_work *work)
{
    job_runs(work);
    job_of(work)->code = vts_loop_stop(job_of(work)->loop);
}

static void job_repeats(vts_work *work)
{
    job *self = job_of(work);

    job_runs(work);
    if (self->again-- > 0) vts_scheduler_post(&self->loop->scheduler, work);
}

static void post(vts_loop *loop, job *what, int number, void (*run)(vts_work *work))
{
    what->work.run = run;
    what->number = number;
    what->loop = loop;
    vts_scheduler_post(&loop->scheduler, &what->work);
}

static void assert_order(int n, const int *expected)
{
    int i;

    assert_int_equal(seen.ran, n);
    for (i = 0; i < n; i++) assert_int_equal(seen.order[i], expected[i]);
    seen.ran = 0;
}

// ---- init, destroy ----

static void bad_arguments_are_refused(void)
{
    vts_loop loop;
    vts_timer timer = {0};
    vts_cancellation_timer cancel = {0};
    vts_cancellation_source source = {0};
    vts_loop_desc desc = {0};

    assert_code(vts_loop_init(NULL, NULL), VTS_E_ARGUMENT);
    desc.park = fake_park;
    assert_code(vts_loop_init(&loop, &desc), VTS_E_ARGUMENT);
    desc.park = NULL;
    desc.wake = fake_wake;
    assert_code(vts_loop_init(&loop, &desc), VTS_E_ARGUMENT);
    desc.wake = NULL;
    desc.dispatch = fake_dispatch;
    assert_code(vts_loop_init(&loop, &desc), VTS_E_ARGUMENT);
    desc.dispatch = NULL;
    desc.delays.storage = delay_storage;
    assert_code(vts_loop_init(&loop, &desc), VTS_E_ARGUMENT);
    memset(&desc, 0, sizeof desc);
    desc.park = fake_park;
    desc.wake = fake_wake;
    desc.dispatch = fake_dispatch;
    assert_code(vts_loop_init(&loop, &desc), VTS_OK);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
    assert_code(vts_loop_destroy(NULL), VTS_E_ARGUMENT);
    assert_code(vts_loop_run(NULL), VTS_E_ARGUMENT);
    assert_code(vts_loop_run_once(NULL, 0), VTS_E_ARGUMENT);
    assert_code(vts_loop_run_until(NULL, vts_valuetask_from_result(0), 0), VTS_E_ARGUMENT);
    assert_code(vts_loop_stop(NULL), VTS_E_ARGUMENT);
    assert_false(vts_loop_is_current(NULL));
    assert_false(vts_loop_is_parked(NULL));
    assert_true(vts_loop_next_deadline(NULL) == VTS_NEVER);
    assert_code(vts_timer_stop(NULL), VTS_E_ARGUMENT);
    assert_code(vts_timer_stop(&timer), VTS_E_NOT_AWAITED);
    set_up(&loop);
    assert_code(vts_timer_start(NULL, &loop, 0, count, NULL), VTS_E_ARGUMENT);
    assert_code(vts_timer_start(&timer, NULL, 0, count, NULL), VTS_E_ARGUMENT);
    assert_code(vts_timer_start(&timer, &loop, 0, NULL, NULL), VTS_E_ARGUMENT);
    assert_code(vts_cancellation_cancel_after(NULL, &source, &loop, 0), VTS_E_ARGUMENT);
    assert_code(vts_cancellation_cancel_after(&cancel, NULL, &loop, 0), VTS_E_ARGUMENT);
    assert_code(vts_cancellation_cancel_after(&cancel, &source, NULL, 0), VTS_E_ARGUMENT);
    assert_code(vts_valuetask_get_result(vts_delay(NULL, 0, vts_cancellation_none()), NULL),
                VTS_E_ARGUMENT);
    tear_down(&loop);
}

/* Caches that cannot be had are said to be missing, not left out. */
static void init_says_when_memory_is_missing(void)
{
    vts_loop loop;
    vts_loop_desc desc = {0};

    desc.delays.allocator = &test_allocator;
    desc.delays.cache = 4;
    test_fail_at(1);
    assert_code(vts_loop_init(&loop, &desc), VTS_E_MEMORY);
    assert_code(vts_loop_run_once(&loop, 0), VTS_E_CLOSED);
    test_fail_at(0);
    assert_code(vts_loop_init(&loop, &desc), VTS_OK);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

static struct {
    int codes[8], n;
} misuse;

static void hear_misuse(void *user, int code, const char *text, const void *source,
                        vts_token token)
{
    (void)user;
    (void)text;
    (void)source;
    (void)token;
    misuse.codes[misuse.n++ % 8] = code;
}

static void expect_misuse(void)
{
    misuse.n = 0;
    vts_set_misuse_hook(hear_misuse, NULL);
}

static void a_destroyed_loop_says_closed(void)
{
    vts_loop loop;
    vts_timer timer = {0};
    vts_cancellation_timer cancel = {0};
    vts_cancellation_source source = {0};
    job late = {0};

    set_up(&loop);
    tear_down(&loop);
    expect_misuse();
    seen.ran = 0;
    assert_code(vts_loop_destroy(&loop), VTS_E_CLOSED);
    assert_code(vts_loop_run(&loop), VTS_E_CLOSED);
    assert_code(vts_loop_run_once(&loop, 0), VTS_E_CLOSED);
    assert_code(vts_loop_run_until(&loop, vts_valuetask_from_result(0), 0), VTS_E_CLOSED);
    assert_code(vts_loop_stop(&loop), VTS_E_CLOSED);
    assert_code(vts_timer_start(&timer, &loop, 0, count, NULL), VTS_E_CLOSED);
    assert_null(timer.loop);
    assert_code(vts_cancellation_cancel_after(&cancel, &source, &loop, START), VTS_E_CLOSED);
    assert_code(vts_valuetask_get_result(vts_delay(&loop, 0, vts_cancellation_none()), NULL),
                VTS_E_CLOSED);
    assert_int_equal(misuse.n, 0);
    post(&loop, &late, 7, job_runs);
    assert_order(1, (int[]){7});
    assert_int_equal(misuse.n, 1);
    assert_code(misuse.codes[0], VTS_E_CLOSED);
}

static vts_loop *inside_loop;
static int inside_code[8];

static void destroy_inside(vts_work *work)
{
    job_runs(work);
    inside_code[0] = vts_loop_destroy(inside_loop);
}

static void destroy_waits_for_what_is_outstanding(void)
{
    vts_loop loop;
    vts_timer timer = {0};
    vts_valuetask delay;
    job one = {0};
    int ran = 0;

    seen.ran = 0;
    set_up(&loop);
    inside_loop = &loop;
    post(&loop, &one, 1, destroy_inside);
    assert_code(vts_loop_destroy(&loop), VTS_E_BUSY);
    assert_code(vts_loop_run_once(&loop, 0), 1);
    assert_code(inside_code[0], VTS_E_BUSY);
    assert_code(vts_timer_start(&timer, &loop, START + 1, count, &ran), VTS_OK);
    assert_code(vts_loop_destroy(&loop), VTS_E_BUSY);
    assert_code(vts_timer_stop(&timer), VTS_OK);
    delay = vts_delay(&loop, START + 1, vts_cancellation_none());
    assert_code(vts_loop_destroy(&loop), VTS_E_BUSY); /* posted */
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_code(vts_loop_destroy(&loop), VTS_E_BUSY); /* armed */
    fake.now++;
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_code(vts_loop_destroy(&loop), VTS_E_BUSY); /* result not taken */
    assert_code(vts_valuetask_get_result(delay, NULL), VTS_OK);
    assert_code(vts_loop_stop(&loop), VTS_OK);
    assert_code(vts_loop_destroy(&loop), VTS_E_BUSY); /* the stop is posted */
    assert_code(vts_loop_run(&loop), VTS_OK);
    tear_down(&loop);
    assert_int_equal(ran, 0);
}

// ---- the run queue ----

static void posted_work_runs_in_order(void)
{
    vts_loop loop;
    job jobs[5] = {{{{0}, NULL}, 0, NULL, 0, 0}};
    size_t before = mallocs;
    int i;

    seen.ran = 0;
    set_up(&loop);
    for (i = 0; i < 5; i++) post(&loop, &jobs[i], i, job_runs);
    assert_int_equal(seen.ran, 0);
    assert_int_equal(vts_loop_run_once(&loop, 0), 5);
    assert_order(5, (int[]){0, 1, 2, 3, 4});
    assert_int_equal(vts_loop_run_once(&loop, 0), 0);
    assert_int_equal(fake.wakes, 0);
    assert_int_equal(fake.parks, 0);
    assert_int_equal(mallocs, before);
    tear_down(&loop);
}

static void look_around(vts_work *work)
{
    job *self = job_of(work);

    inside_code[0] = vts_loop_is_current(self->loop);
    inside_code[1] = vts_scheduler_current() == &self->loop->scheduler;
    inside_code[2] = vts_loop_run(self->loop);
    inside_code[3] = vts_loop_run_once(self->loop, 0);
    inside_code[4] = vts_loop_run_until(self->loop, vts_valuetask_from_result(0), 0);
    inside_code[5] = vts_loop_is_parked(self->loop);
}

static void who_runs_the_loop_is_known(void)
{
    vts_loop loop;
    vts_run_queue outer;
    job one = {0};

    set_up(&loop);
    vts_run_queue_init(&outer, NULL, NULL);
    vts_scheduler_set_current(&outer.scheduler);
    assert_false(vts_loop_is_current(&loop));
    post(&loop, &one, 0, look_around);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_int_equal(inside_code[0], 1);
    assert_int_equal(inside_code[1], 1);
    assert_code(inside_code[2], VTS_E_BUSY);
    assert_code(inside_code[3], VTS_E_BUSY);
    assert_code(inside_code[4], VTS_E_BUSY);
    assert_int_equal(inside_code[5], 0);
    assert_false(vts_loop_is_current(&loop));
    assert_ptr_equal(vts_scheduler_current(), &outer.scheduler);
    tear_down(&loop);
}

/* What posts itself again runs in the next pass, so timers have their turn. */
static void work_that_posts_itself_does_not_starve_timers(void)
{
    vts_loop loop;
    vts_timer timer = {0};
    job busy = {0};
    int ran = 0;

    seen.ran = 0;
    set_up(&loop);
    busy.again = 100;
    post(&loop, &busy, 0, job_repeats);
    vts_timer_start(&timer, &loop, START + 1, count, &ran);
    assert_int_equal(vts_loop_run_once(&loop, VTS_NEVER), 1);
    fake.now++;
    assert_int_equal(vts_loop_run_once(&loop, VTS_NEVER), 2);
    assert_int_equal(ran, 1);
    while (vts_loop_run_once(&loop, 0) != 0) assert_int_equal(fake.parks, 0);
    assert_int_equal(seen.ran, 101);
    tear_down(&loop);
}

static void work_that_posts_itself_loses_no_other(void)
{
    vts_loop loop;
    job busy = {0}, other = {0};

    seen.ran = 0;
    set_up(&loop);
    busy.again = 1;
    post(&loop, &busy, 0, job_repeats);
    post(&loop, &other, 1, job_repeats);
    assert_int_equal(vts_loop_run_once(&loop, 0), 2);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_int_equal(seen.ran, 3);
    tear_down(&loop);
}

static struct {
    vts_loop loop;
    job job;
    int codes[4];
} nested;

static void run_other_loop(vts_work *work)
{
    job_runs(work);
    nested.codes[0] = vts_loop_run(&nested.loop);
    nested.codes[1] = vts_loop_is_current(job_of(work)->loop);
    nested.codes[2] = vts_scheduler_current() == &job_of(work)->loop->scheduler;
}

static void another_loop_runs_inside_one(void)
{
    vts_loop loop;
    job one = {0}, two = {0};

    seen.ran = 0;
    set_up(&nested.loop);
    set_up(&loop);
    post(&loop, &one, 1, run_other_loop);
    post(&loop, &two, 2, job_runs);
    post(&nested.loop, &nested.job, 3, job_stops);
    assert_int_equal(vts_loop_run_once(&loop, 0), 2);
    assert_order(3, (int[]){1, 3, 2});
    assert_code(nested.codes[0], VTS_OK);
    assert_int_equal(nested.codes[1], 1);
    assert_int_equal(nested.codes[2], 1);
    tear_down(&loop);
    tear_down(&nested.loop);
}

// ---- stop ----

static void stop_inside_a_run_leaves_what_was_posted_later(void)
{
    vts_loop loop;
    job jobs[4] = {{{{0}, NULL}, 0, NULL, 0, 0}};

    seen.ran = 0;
    set_up(&loop);
    post(&loop, &jobs[0], 0, job_runs);
    post(&loop, &jobs[1], 1, job_stops);
    post(&loop, &jobs[2], 2, job_runs);
    assert_code(vts_loop_run(&loop), VTS_OK);
    assert_order(3, (int[]){0, 1, 2}); /* all were posted before the stop */
    post(&loop, &jobs[0], 0, job_runs);
    assert_code(vts_loop_stop(&loop), VTS_OK);
    post(&loop, &jobs[1], 1, job_runs);
    assert_code(vts_loop_stop(&loop), VTS_OK); /* is on its way already */
    assert_code(vts_loop_run(&loop), VTS_OK);
    assert_order(1, (int[]){0});
    assert_code(vts_loop_destroy(&loop), VTS_E_BUSY); /* one is left */
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_order(1, (int[]){1});
    tear_down(&loop);
}

static void a_loop_is_stopped_again_and_again(void)
{
    vts_loop loop;
    int i;

    set_up(&loop);
    for (i = 0; i < 3; i++) {
        assert_code(vts_loop_stop(&loop), VTS_OK);
        assert_code(vts_loop_run(&loop), VTS_OK);
    }
    tear_down(&loop);
}

static void stop_before_a_run_ends_the_next(void)
{
    vts_loop loop;
    vts_timer timer = {0};
    int ran = 0;

    set_up(&loop);
    assert_code(vts_loop_stop(&loop), VTS_OK);
    assert_code(vts_loop_run(&loop), VTS_OK);
    vts_timer_start(&timer, &loop, START + 5, count, &ran);
    assert_int_equal(vts_loop_run_once(&loop, VTS_NEVER), 1);
    assert_int_equal(ran, 1); /* the stop was for one run */
    tear_down(&loop);
}

static void stop_fake_loop(void) { vts_loop_stop(fake.loop); }

static void stop_ends_a_sleep(void)
{
    vts_loop loop;

    set_up(&loop);
    fake.on_park = stop_fake_loop;
    assert_code(vts_loop_run(&loop), VTS_OK);
    assert_int_equal(fake.parks, 1);
    assert_int_equal(fake.wakes, 1);
    assert_true(fake.slept_until == VTS_NEVER);
    tear_down(&loop);
}

static void timer_stops_loop(void *arg)
{
    ++*(int *)arg;
    vts_loop_stop(fake.loop);
}

static void timer_stops_at_once(void *arg)
{
    ++*(int *)arg;
    fake.loop->stopped = true;
}

/* Timers that are due stay due; a stop comes after them, as after all that is posted. */
static void due_timers_survive_a_stop(void)
{
    vts_loop loop;
    vts_timer timer[4] = {{0}};
    int ran[4] = {0}, i;

    set_up(&loop);
    for (i = 0; i < 4; i++) {
        vts_timer_start(&timer[i], &loop, START + 1, i == 1 ? timer_stops_loop : count,
                        &ran[i]);
    }
    fake.now++;
    assert_code(vts_loop_run(&loop), VTS_OK);
    for (i = 0; i < 4; i++) assert_int_equal(ran[i], 1);
    for (i = 0; i < 4; i++) {
        vts_timer_start(&timer[i], &loop, START + 2, i == 1 ? timer_stops_at_once : count,
                        &ran[i]);
    }
    fake.now++;
    assert_code(vts_loop_run(&loop), VTS_OK);
    assert_int_equal(ran[1], 2);
    assert_int_equal(ran[2], 1);
    assert_true(vts_loop_next_deadline(&loop) == 0);
    assert_code(vts_timer_stop(&timer[2]), VTS_OK);
    assert_int_equal(vts_loop_run_once(&loop, VTS_NEVER), 1);
    assert_int_equal(ran[2], 1);
    assert_int_equal(ran[3], 2);
    tear_down(&loop);
}

// ---- sleeping ----

static job parked_job[2];

static void post_two(void)
{
    post(fake.loop, &parked_job[0], 0, job_runs);
    post(fake.loop, &parked_job[1], 1, job_runs);
}

static void only_a_sleeping_loop_is_woken_and_once(void)
{
    vts_loop loop;
    job one = {0};

    seen.ran = 0;
    set_up(&loop);
    post(&loop, &one, 9, job_runs);
    assert_int_equal(vts_loop_run_once(&loop, VTS_NEVER), 1);
    assert_int_equal(fake.parks, 0);
    assert_int_equal(fake.wakes, 0);
    fake.on_park = post_two;
    assert_int_equal(vts_loop_run_once(&loop, VTS_NEVER), 2);
    assert_order(3, (int[]){9, 0, 1});
    assert_int_equal(fake.parks, 1);
    assert_int_equal(fake.wakes, 1);
    assert_false(vts_loop_is_parked(&loop));
    post(&loop, &one, 9, job_runs);
    assert_int_equal(fake.wakes, 1);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    tear_down(&loop);
}

static void post_from_timer(void *arg)
{
    ++*(int *)arg;
    post(fake.loop, &parked_job[0], 0, job_runs);
}

static void a_timer_that_ends_the_sleep_wakes_nobody(void)
{
    vts_loop loop;
    vts_timer timer = {0};
    int ran = 0;

    seen.ran = 0;
    set_up(&loop);
    vts_timer_start(&timer, &loop, START + 1, post_from_timer, &ran);
    assert_int_equal(vts_loop_run_once(&loop, VTS_NEVER), 2);
    assert_int_equal(fake.parks, 1);
    assert_int_equal(ran, 1);
    assert_int_equal(seen.ran, 1);
    assert_int_equal(fake.wakes, 0);
    tear_down(&loop);
}

static void nothing(void) {}

static void a_sleep_lasts_until_the_earlier_of_timer_and_deadline(void)
{
    vts_loop loop;
    vts_timer timer = {0};
    int ran = 0;

    set_up(&loop);
    assert_int_equal(vts_loop_run_once(&loop, START + 70), 0);
    assert_true(fake.slept_until == START + 70);
    vts_timer_start(&timer, &loop, START + 100, count, &ran);
    assert_true(vts_loop_next_deadline(&loop) == START + 100);
    assert_int_equal(vts_loop_run_once(&loop, START + 90), 0);
    assert_true(fake.slept_until == START + 90);
    fake.on_park = nothing;
    assert_int_equal(vts_loop_run_once(&loop, VTS_NEVER), 0); /* woken for no reason */
    assert_true(fake.slept_until == START + 100);
    assert_int_equal(ran, 0);
    assert_int_equal(vts_loop_run_once(&loop, START + 200), 1);
    assert_true(fake.slept_until == START + 100);
    assert_int_equal(ran, 1);
    assert_int_equal(vts_loop_run_once(&loop, 0), 0);
    assert_int_equal(fake.parks, 4);
    tear_down(&loop);
}

// ---- timers ----

#define TIMERS 100000

typedef struct armed {
    vts_timer timer;
    vts_time effective; /* when it is due                                             */
    unsigned sequence;  /* of arming                                                  */
    bool stopped;
} armed;

static struct {
    vts_time effective; /* of the one before                                          */
    unsigned sequence;
    unsigned fired, early, misordered;
} order;

static void fires(void *arg)
{
    armed *self = (armed *)arg;

    order.fired++;
    if (self->effective > fake.now) order.early++;
    if (order.effective > self->effective) order.misordered++;
    if (order.effective == self->effective && order.sequence > self->sequence) {
        order.misordered++;
    }
    order.effective = self->effective;
    order.sequence = self->sequence;
}

static void arm(vts_loop *loop, armed *one, vts_time deadline, unsigned sequence)
{
    one->effective = deadline;
    one->sequence = sequence;
    one->stopped = false;
    assert_code(vts_timer_start(&one->timer, loop, deadline, fires, one), VTS_OK);
}

/* Deadlines of every magnitude, many of them equal. */
static vts_time random_deadline(void)
{
    unsigned bits = (unsigned)(test_random() % 64);
    vts_time ahead = test_random() >> bits;

    if (test_random() % 4 == 0) ahead &= ~(vts_time)0 << (test_random() % 40);
    return ahead < VTS_NEVER - START ? START + ahead : VTS_NEVER;
}

/* Runs all there are. The clock goes to the next deadline, or beyond it. */
static void run_timers(vts_loop *loop, bool overshoot)
{
    while (loop->armed != 0) {
        vts_time next = vts_loop_next_deadline(loop);
        assert_true(next >= fake.now || next == 0);
        fake.now = next;
        if (overshoot && next < VTS_NEVER / 2) fake.now += test_random() % (next / 64 + 1);
        assert_true(vts_loop_run_once(loop, 0) >= 0);
    }
}

static void check_random_order(bool overshoot)
{
    armed *all = (armed *)calloc(TIMERS, sizeof *all);
    vts_loop loop;
    unsigned i, stopped = 0;
    size_t before = mallocs;

    assert_non_null(all);
    set_up(&loop);
    memset(&order, 0, sizeof order);
    for (i = 0; i < TIMERS; i++) {
        arm(&loop, &all[i], random_deadline(), i);
        if (test_random() % 4 == 0) {
            armed *gone = &all[test_random() % (i + 1)];
            int code = vts_timer_stop(&gone->timer);
            assert_code(code, gone->stopped ? VTS_E_NOT_AWAITED : VTS_OK);
            stopped += !gone->stopped;
            gone->stopped = true;
        }
    }
    assert_int_equal(loop.armed, TIMERS - stopped);
    run_timers(&loop, overshoot);
    assert_int_equal(order.fired, TIMERS - stopped);
    assert_int_equal(order.misordered, 0);
    assert_int_equal(order.early, 0);
    assert_int_equal(mallocs, before);
    for (i = 0; i < TIMERS; i++) assert_null(all[i].timer.loop);
    free(all);
    tear_down(&loop);
}

static void timers_fire_in_order_of_deadlines_then_of_arming(void)
{
    check_random_order(false);
}

static void timers_fire_in_order_however_late_the_loop_comes(void)
{
    check_random_order(true);
}

/* Arms while it runs: order holds among those that were armed before either was due. */
static void timers_armed_in_between_find_their_place(void)
{
    static armed all[4096];
    vts_loop loop;
    unsigned sequence = 0, i;

    set_up(&loop);
    memset(&order, 0, sizeof order);
    memset(all, 0, sizeof all);
    for (i = 0; i < 200000; i++) {
        armed *one = &all[test_random() % 4096];
        if (one->timer.loop == NULL) {
            arm(&loop, one, fake.now + (test_random() >> (test_random() % 64)) % 5000000,
                sequence++);
        } else if (test_random() % 8 == 0) {
            assert_code(vts_timer_stop(&one->timer), VTS_OK);
        }
        if (i % 16 == 0) {
            fake.now += test_random() % 4096;
            vts_loop_run_once(&loop, 0);
            assert_true(vts_loop_next_deadline(&loop) >= fake.now);
        }
    }
    run_timers(&loop, false);
    assert_true(order.fired > 10000);
    assert_int_equal(order.misordered, 0);
    assert_int_equal(order.early, 0);
    tear_down(&loop);
}

/* No timer is due before the time that the loop would sleep until, and that comes close:
   exactly where there are up to 32 of a slot. */
static void next_deadline_is_never_late(void)
{
    static armed all[64];
    vts_loop loop;
    unsigned round, i;
    int exact = 0;

    for (round = 0; round < 2000; round++) {
        unsigned n = 1 + (unsigned)(test_random() % 64);
        vts_time earliest = VTS_NEVER, next;
        set_up(&loop);
        fake.now = test_random() >> (test_random() % 60 + 1);
        memset(all, 0, sizeof all);
        for (i = 0; i < n; i++) {
            vts_time deadline = fake.now + (test_random() >> (test_random() % 60 + 1));
            if (round % 4 == 0) deadline = ((vts_time)1 << 63) + test_random() % 4096;
            arm(&loop, &all[i], deadline, i);
            if (deadline < earliest) earliest = deadline;
            if (test_random() % 4 == 0) fake.now += test_random() % 100;
        }
        next = vts_loop_next_deadline(&loop);
        assert_true(next <= earliest);
        if (n <= 32) assert_true(next == earliest);
        exact += next == earliest;
        for (i = 0; i < n; i++) vts_timer_stop(&all[i].timer);
        assert_true(vts_loop_next_deadline(&loop) == VTS_NEVER);
        tear_down(&loop);
    }
    assert_true(exact > 1000);
}

static unsigned hex_digits(vts_time value)
{
    unsigned n = 0;
    for (; value != 0; value >>= 4) n++;
    return n;
}

/* The clock comes by whenever a slot begins, which is the worst it can do; more timers
   than are looked at share every slot. */
static void a_timer_moves_at_most_once_per_hex_digit(void)
{
    static armed all[33];
    vts_loop loop;
    vts_timer far = {0};
    unsigned round, most = 0;

    for (round = 0; round < 3000; round++) {
        vts_time deadline;
        unsigned moves = 0, slot, limit, i;
        set_up(&loop);
        if (round % 2 == 0) vts_timer_start(&far, &loop, VTS_NEVER, count, NULL);
        fake.now += test_random() >> (test_random() % 32 + 2);
        vts_loop_run_once(&loop, 0);
        deadline = fake.now + (test_random() >> (test_random() % 60 + 2)) + 1;
        limit = hex_digits(deadline - fake.now);
        memset(all, 0, sizeof all);
        for (i = 0; i < 33; i++) arm(&loop, &all[i], deadline, i);
        slot = all[0].timer.slot;
        while (all[0].timer.loop != NULL) {
            fake.now = vts_loop_next_deadline(&loop);
            vts_loop_run_once(&loop, 0);
            if (all[0].timer.loop == NULL) break;
            assert_true(all[0].timer.slot / 16 < slot / 16);
            slot = all[0].timer.slot;
            moves++;
        }
        if (moves > most) most = moves;
        assert_true(moves <= limit);
        vts_timer_stop(&far);
        tear_down(&loop);
    }
    assert_true(most >= 10);
}

/* Slots are counted from the clock, not from the last timer. */
static void a_timer_keeps_its_deadline_when_the_clock_comes_by(void)
{
    vts_loop loop;
    vts_timer timer = {0};
    int ran = 0;

    set_up(&loop);
    fake.now = 0x123456789abcdef;
    vts_timer_start(&timer, &loop, 0x1fedcba98765432, count, &ran);
    fake.now = 0x1f00000000000ff;
    vts_loop_run_once(&loop, 0);
    assert_true(loop.last == fake.now);
    fake.now = 0x1fedcba98765431;
    vts_loop_run_once(&loop, 0);
    assert_int_equal(ran, 0);
    assert_true(timer.slot < 16);
    assert_int_equal(vts_loop_run_once(&loop, VTS_NEVER), 1);
    assert_true(fake.now == 0x1fedcba98765432);
    tear_down(&loop);
}

static void far_deadlines_are_kept(void)
{
    static const vts_time deadlines[] = {
        (vts_time)1 << 40, (vts_time)1 << 48, (vts_time)1 << 62, (vts_time)1 << 63,
        ((vts_time)1 << 63) + 1, VTS_NEVER - 1};
    vts_loop loop;
    vts_timer timer[6] = {{0}}, never = {0};
    int ran = 0, nevers = 0, i;

    set_up(&loop);
    vts_timer_start(&never, &loop, VTS_NEVER, count, &nevers);
    assert_true(vts_loop_next_deadline(&loop) == VTS_NEVER);
    for (i = 5; i >= 0; i--) vts_timer_start(&timer[i], &loop, deadlines[i], count, &ran);
    for (i = 0; i < 6; i++) {
        assert_true(vts_loop_next_deadline(&loop) == deadlines[i]);
        fake.now = deadlines[i] - 1;
        assert_int_equal(vts_loop_run_once(&loop, 0), 0);
        assert_int_equal(vts_loop_run_once(&loop, VTS_NEVER), 1);
        assert_true(fake.now == deadlines[i]);
        assert_int_equal(ran, i + 1);
    }
    assert_int_equal(nevers, 0);
    assert_code(vts_timer_stop(&never), VTS_OK);
    tear_down(&loop);
}

typedef struct chain {
    vts_timer timer;
    vts_loop *loop;
    vts_time step;
    int ran, again;
    int code;
} chain;

static void arm_again(void *arg)
{
    chain *self = (chain *)arg;

    self->ran++;
    if (self->again-- > 0) {
        self->code = vts_timer_start(&self->timer, self->loop, fake.now + self->step,
                                     arm_again, self);
    }
}

/* One that is past runs in the next pass, before those that are not; and one that arms
   itself for now leaves posted work its turn. */
static void past_deadlines_run_in_the_next_pass(void)
{
    vts_loop loop;
    chain self = {0};
    vts_timer now = {0};
    job one = {0};
    int ran = 0;

    seen.ran = 0;
    set_up(&loop);
    self.loop = &loop;
    self.again = 3;
    assert_code(vts_timer_start(&self.timer, &loop, 0, arm_again, &self), VTS_OK);
    assert_true(vts_loop_next_deadline(&loop) <= fake.now);
    post(&loop, &one, 1, job_runs);
    assert_int_equal(vts_loop_run_once(&loop, 0), 2);
    assert_int_equal(self.ran, 1);
    assert_int_equal(seen.ran, 1);
    vts_timer_start(&now, &loop, 5, count, &ran);
    assert_int_equal(vts_loop_run_once(&loop, 0), 2);
    assert_int_equal(ran, 1);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_int_equal(vts_loop_run_once(&loop, 0), 0);
    assert_int_equal(self.ran, 4);
    assert_code(self.code, VTS_OK);
    tear_down(&loop);
}

static void past_ones_come_before_later_ones(void)
{
    vts_loop loop;
    armed all[4] = {{{0}, 0, 0, false}};

    memset(&order, 0, sizeof order);
    set_up(&loop);
    arm(&loop, &all[0], START + 10, 0);
    fake.now += 5;
    vts_loop_run_once(&loop, 0);
    arm(&loop, &all[1], START - 50, 1);
    arm(&loop, &all[2], 0, 2);
    arm(&loop, &all[3], START + 5, 3);
    all[1].effective = all[2].effective = START + 5;
    fake.now += 20;
    assert_int_equal(vts_loop_run_once(&loop, 0), 4);
    assert_int_equal(order.misordered, 0);
    assert_int_equal(order.sequence, 0);
    tear_down(&loop);
}

static struct {
    vts_timer *other;
    int code;
} stops;

static void stop_other(void *arg)
{
    ++*(int *)arg;
    stops.code = vts_timer_stop(stops.other);
}

static void a_timer_may_stop_another_that_is_due(void)
{
    vts_loop loop;
    vts_timer timer[3] = {{0}};
    int ran[3] = {0};

    set_up(&loop);
    stops.other = &timer[1];
    vts_timer_start(&timer[0], &loop, START, stop_other, &ran[0]);
    vts_timer_start(&timer[1], &loop, START, count, &ran[1]);
    vts_timer_start(&timer[2], &loop, START, count, &ran[2]);
    assert_code(vts_timer_start(&timer[2], &loop, START, count, &ran[2]), VTS_E_BUSY);
    assert_int_equal(vts_loop_run_once(&loop, 0), 2);
    assert_code(stops.code, VTS_OK);
    assert_int_equal(ran[1], 0);
    assert_int_equal(ran[2], 1);
    stops.other = &timer[0];
    vts_timer_start(&timer[0], &loop, START, stop_other, &ran[0]);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_code(stops.code, VTS_E_NOT_AWAITED); /* itself: it runs already */
    tear_down(&loop);
}

static void one_million_timers(void)
{
    enum { MILLION = 1000000 };
    armed *all = (armed *)calloc(MILLION, sizeof *all);
    struct timespec begin, armed_at, end;
    vts_loop loop;
    unsigned i;
    size_t before = mallocs;

    assert_non_null(all);
    set_up(&loop);
    memset(&order, 0, sizeof order);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (i = 0; i < MILLION; i++) {
        arm(&loop, &all[i], START + test_random() % VTS_SECONDS(10), i);
    }
    clock_gettime(CLOCK_MONOTONIC, &armed_at);
    while (loop.armed != 0) {
        fake.now += VTS_MILLISECONDS(1);
        vts_loop_run_once(&loop, 0);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_int_equal(order.fired, MILLION);
    assert_int_equal(order.misordered, 0);
    assert_int_equal(order.early, 0);
    assert_int_equal(mallocs, before);
    TEST_NOTE("armed in %ld ms, fired in %ld ms",
              (long)((armed_at.tv_sec - begin.tv_sec) * 1000 +
                     (armed_at.tv_nsec - begin.tv_nsec) / 1000000),
              (long)((end.tv_sec - armed_at.tv_sec) * 1000 +
                     (end.tv_nsec - armed_at.tv_nsec) / 1000000));
    free(all);
    tear_down(&loop);
}

/* Under the loop's sleep: what other threads' stores and deadlines end. */
static void *wake_word(void *arg)
{
    sleep_ms(20);
    vts__store_rel((vts_word *)arg, 1);
    vts__wake((vts_word *)arg);
    return NULL;
}

static void a_word_is_waited_for(void)
{
    vts_word word = 0;
    vts_time begin;
    test_thread thread;

    vts_set_clock(NULL);
    begin = vts_now();
    assert_false(vts__wait(&word, 0, begin));
    assert_true(vts__wait(&word, 1, VTS_NEVER)); /* it differs: no sleep */
    while (vts__wait(&word, 0, begin + VTS_MILLISECONDS(10))) {}
    assert_true(vts_now() >= begin + VTS_MILLISECONDS(10));
    thread = test_thread_start(wake_word, &word, 0);
    while (vts__load_acq(&word) == 0) assert_true(vts__wait(&word, 0, VTS_NEVER));
    test_thread_join(thread);
}

static void deadlines_do_not_overflow(void)
{
    vts_loop loop;

    set_up(&loop);
    assert_true(vts_now() == START);
    assert_true(vts_after(5) == START + 5);
    assert_true(vts_after(VTS_NEVER) == VTS_NEVER);
    assert_true(vts_after(VTS_NEVER - START) == VTS_NEVER);
    assert_true(vts_after(VTS_NEVER - START - 1) == VTS_NEVER - 1);
    tear_down(&loop);
    assert_true(vts_now() > 0 && vts_now() <= vts_now());
    assert_true(VTS_SECONDS(2) == VTS_MILLISECONDS(2000));
    assert_true(VTS_MILLISECONDS(2) == VTS_MICROSECONDS(2000));
}

// ---- cancel_after ----

static void cancel_after_cancels_and_can_be_moved(void)
{
    vts_loop loop;
    vts_cancellation_timer timer = {{0}, NULL};
    vts_cancellation_source source = {0};
    vts_cancellation_token token = vts_cancellation_token_of(&source);
    size_t before = mallocs;

    memset(&timer, 0, sizeof timer);
    set_up(&loop);
    assert_code(vts_cancellation_cancel_after(&timer, &source, &loop, START + 10), VTS_OK);
    assert_code(vts_cancellation_cancel_after(&timer, &source, &loop, START + 30), VTS_OK);
    fake.now += 20;
    assert_int_equal(vts_loop_run_once(&loop, 0), 0);
    assert_false(vts_cancellation_is_requested(token));
    assert_code(vts_cancellation_cancel_after(&timer, &source, &loop, VTS_NEVER), VTS_OK);
    assert_code(vts_cancellation_cancel_after(&timer, &source, &loop, VTS_NEVER), VTS_OK);
    fake.now += 20;
    assert_int_equal(vts_loop_run_once(&loop, 0), 0);
    assert_int_equal(loop.armed, 0);
    assert_code(vts_cancellation_cancel_after(&timer, &source, &loop, START), VTS_OK);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_true(vts_cancellation_is_requested(token));
    assert_code(vts_cancellation_cancel_after(&timer, &source, &loop, START), VTS_OK);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1); /* once more: nothing happens */
    assert_int_equal(mallocs, before);
    tear_down(&loop);
}

/* A call that fails leaves the first deadline. */
static void cancel_after_that_fails_changes_nothing(void)
{
    vts_loop loop, closed;
    vts_cancellation_timer timer;
    vts_cancellation_source source = {0};

    memset(&timer, 0, sizeof timer);
    set_up(&closed);
    tear_down(&closed);
    set_up(&loop);
    assert_code(vts_cancellation_cancel_after(&timer, &source, &loop, START + 10), VTS_OK);
    assert_code(vts_cancellation_cancel_after(&timer, &source, &closed, START + 20),
                VTS_E_CLOSED);
    fake.now += 10;
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_true(vts_cancellation_is_requested(vts_cancellation_token_of(&source)));
    tear_down(&loop);
}

// ---- run_until ----

static void run_until_takes_what_is_completed(void)
{
    vts_loop loop;
    intptr_t result = 0;
    vts_valuetask task = vts_valuetask_from_result(5);

    set_up(&loop);
    assert_code(vts_loop_run_until(&loop, task, 0), VTS_OK);
    assert_code(vts_valuetask_get_result(task, &result), VTS_OK);
    assert_int_equal(result, 5);
    task = vts_valuetask_from_error(-5);
    assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_OK);
    assert_int_equal(fake.parks, 0);
    tear_down(&loop);
}

static void run_until_a_delay(void)
{
    vts_loop loop;
    vts_valuetask task;

    set_up(&loop);
    task = vts_delay(&loop, START + 50, vts_cancellation_none());
    assert_code(vts_loop_run_until(&loop, task, START + 20), VTS_E_TIMEOUT);
    assert_true(fake.now == START + 20);
    assert_int_equal(vts_valuetask_get_status(task), VTS_PENDING);
    assert_code(vts_loop_run_until(&loop, task, 0), VTS_E_TIMEOUT);
    fake.on_park = stop_fake_loop;
    assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_E_STOPPED);
    assert_int_equal(vts_valuetask_get_status(task), VTS_PENDING);
    assert_code(vts_loop_run_until(&loop, task, START + 50), VTS_OK);
    assert_true(fake.now == START + 50);
    assert_code(vts_valuetask_get_result(task, NULL), VTS_OK);
    assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_E_STALE);
    tear_down(&loop);
}

static vts_source *awaited_source;
static vts_token awaited_token;

static void complete_awaited(void)
{
    assert_code(vts_source_set_result(awaited_source, awaited_token, 0), VTS_OK);
}

/* What else the loop has to do, however often, is no reason to return. */
static void run_until_goes_on_through_other_work(void)
{
    vts_loop loop;
    vts_source source = {0};
    job other = {0};

    set_up(&loop);
    assert_code(vts_source_reset(&source, &awaited_token), VTS_OK);
    awaited_source = &source;
    fake.on_park = complete_awaited;
    other.again = 3;
    seen.ran = 0;
    post(&loop, &other, 1, job_repeats);
    assert_code(vts_loop_run_until(&loop, vts_valuetask_of(&source, awaited_token),
                                   VTS_NEVER),
                VTS_OK);
    assert_int_equal(seen.ran, 4);
    assert_int_equal(fake.parks, 1);
    tear_down(&loop);
}

static void run_until_names_its_errors(void)
{
    vts_loop loop;
    vts_source source;
    vts_token token;
    vts_valuetask task;
    int ran = 0;

    set_up(&loop);
    expect_misuse();
    vts_source_init(&source, NULL);
    assert_code(vts_source_reset(&source, &token), VTS_OK);
    task = vts_valuetask_of(&source, token);
    assert_code(vts_valuetask_on_completed(task, count, &ran, VTS_NONE), VTS_OK);
    assert_code(vts_loop_run_until(&loop, task, 0), VTS_E_ALREADY_AWAITED);
    assert_false(vts_loop_is_current(&loop));
    assert_code(vts_loop_run_once(&loop, 0), 0); /* it is free again */
    vts_source_set_result(&source, token, 0);
    tear_down(&loop);
}

/* A source that cannot take a registration back. */
static vts_continuation rigid_continuation;
static void *rigid_arg;
static bool rigid_done;

static int rigid_status(vts_valuetask_source *self, vts_token token)
{
    (void)self;
    (void)token;
    return rigid_done ? VTS_SUCCEEDED : VTS_PENDING;
}

static int rigid_on_completed(vts_valuetask_source *self, vts_token token,
                              vts_continuation continuation, void *arg, unsigned flags)
{
    (void)self;
    (void)token;
    (void)flags;
    rigid_continuation = continuation;
    rigid_arg = arg;
    return VTS_OK;
}

static int rigid_result(vts_valuetask_source *self, vts_token token, void *result)
{
    (void)self;
    (void)token;
    (void)result;
    return VTS_OK;
}

static void rigid_completes(void)
{
    rigid_done = true;
    rigid_continuation(rigid_arg);
}

static void stop_then_complete(void)
{
    vts_loop_stop(fake.loop);
    fake.on_park = rigid_completes;
}

/* As deep as continuations run inside each other: there one is put off that completes what
   a run is then to wait for. */
static struct {
    vts_loop *loop;
    vts_source source;
    vts_token token;
    int depth, result;
} deep;

static void deep_completes(void *arg)
{
    (void)arg;
    vts_source_set_result(&deep.source, deep.token, 1);
}

static void deep_waits(void *arg)
{
    if (++deep.depth < (int)VTS__INLINE_LIMIT) {
        vts_run_continuation(deep_waits, arg, VTS_NONE);
        return;
    }
    vts_run_continuation(deep_completes, NULL, VTS_NONE);
    assert_code(vts_source_get_status(&deep.source, deep.token), VTS_PENDING);
    deep.result = vts_loop_run_until(deep.loop, vts_valuetask_of(&deep.source, deep.token),
                                     START + VTS_SECONDS(1));
}

static void a_run_inside_a_continuation_runs_what_was_put_off(void)
{
    vts_loop loop;

    set_up(&loop);
    memset(&deep, 0, sizeof deep);
    deep.loop = &loop;
    vts_source_init(&deep.source, NULL);
    vts_source_reset(&deep.source, &deep.token);
    vts_run_continuation(deep_waits, NULL, VTS_NONE);
    assert_code(deep.result, VTS_OK);
    assert_int_equal(vts__self.depth, 0);
    tear_down(&loop);
}

static void run_until_of_a_source_that_cannot_unregister(void)
{
    static const vts_source_ops ops = {
        .get_status = rigid_status, .on_completed = rigid_on_completed,
        .get_result = rigid_result};
    vts_valuetask_source rigid = {&ops};
    vts_valuetask task = vts_valuetask_from_source(&rigid, 32);
    vts_loop loop;

    set_up(&loop);
    rigid_done = false;
    assert_code(vts_loop_run_until(&loop, task, START + 5), VTS_E_UNSUPPORTED);
    fake.on_park = rigid_completes;
    assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_OK);
    rigid_done = false;
    fake.on_park = stop_then_complete; /* it waits for what it cannot take back */
    assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_OK);
    assert_true(rigid_done);
    tear_down(&loop);
}

static void wait_on_loop(vts_work *work)
{
    vts_source source;
    vts_token token;

    (void)work;
    vts_source_init(&source, NULL);
    inside_code[0] = vts_source_reset(&source, &token);
    inside_code[1] = vts_valuetask_wait(vts_valuetask_of(&source, token), VTS_NEVER);
    inside_code[2] = vts_source_abandon(&source, token);
}

static void waiting_on_the_loop_is_a_deadlock_that_is_named(void)
{
    vts_loop loop;
    job one = {0};

    set_up(&loop);
    post(&loop, &one, 0, wait_on_loop);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_code(inside_code[1], VTS_E_DEADLOCK);
    assert_code(inside_code[2], VTS_OK); /* nothing stayed registered */
    tear_down(&loop);
}

// ---- delays ----

static vts_valuetask made;
static int completions;

static void complete_now(void *arg)
{
    (void)arg;
    completions++;
}

static vts_time inside_deadline;
static vts_cancellation_token inside_token;

static void delay_inside(vts_work *work)
{
    made = vts_delay(job_of(work)->loop, inside_deadline, inside_token);
}

static vts_valuetask delay_on_loop(vts_loop *loop, vts_time deadline,
                                   vts_cancellation_token token)
{
    static job one;

    inside_deadline = deadline;
    inside_token = token;
    post(loop, &one, 0, delay_inside);
    assert_int_equal(vts_loop_run_once(loop, 0), 1);
    return made;
}

typedef vts_valuetask (*make_delay)(vts_loop *loop, vts_time deadline,
                                    vts_cancellation_token token);

static const make_delay makers[] = {delay_on_loop, vts_delay};

static void a_delay_completes_at_its_deadline(void)
{
    vts_loop loop;
    size_t before = mallocs;
    int i;

    set_up(&loop);
    for (i = 0; i < 20; i++) {
        vts_valuetask task =
            makers[i % 2](&loop, fake.now + 100, vts_cancellation_none());
        intptr_t result = 7;
        completions = 0;
        vts_valuetask_on_completed(task, complete_now, NULL, VTS_NONE);
        vts_loop_run_once(&loop, 0);
        fake.now += 99;
        assert_int_equal(vts_loop_run_once(&loop, 0), 0);
        fake.now++;
        assert_int_equal(vts_loop_run_once(&loop, 0), 1);
        assert_int_equal(completions, 1);
        assert_code(vts_valuetask_get_result(task, &result), VTS_OK);
        assert_int_equal(result, 0);
    }
    assert_int_equal(mallocs, before);
    tear_down(&loop);
}

static void a_delay_that_is_over_takes_nothing(void)
{
    vts_loop loop;
    vts_cancellation_source canceled = {0};
    vts_valuetask task;

    set_up(&loop);
    vts_cancellation_cancel(&canceled);
    task = vts_delay(&loop, START, vts_cancellation_none());
    assert_null(task.source);
    assert_code(vts_valuetask_get_result(task, NULL), VTS_OK);
    task = vts_delay(&loop, START + 9, vts_cancellation_token_of(&canceled));
    assert_true(vts_valuetask_is_canceled(task));
    assert_code(vts_valuetask_get_result(task, NULL), VTS_E_CANCELED);
    assert_int_equal(vts_loop_run_once(&loop, 0), 0);
    tear_down(&loop);
}

static void a_delay_of_a_closed_token_fails(void)
{
    vts_loop loop;
    vts_cancellation_source closed = {0};
    size_t i;

    set_up(&loop);
    vts_cancellation_dispose(&closed);
    for (i = 0; i < 2; i++) {
        vts_valuetask task =
            makers[i](&loop, START + 9, vts_cancellation_token_of(&closed));
        assert_code(vts_valuetask_get_result(task, NULL), VTS_E_CLOSED);
    }
    assert_int_equal(vts_loop_run_once(&loop, 0), 0);
    tear_down(&loop);
}

static void a_canceled_delay_gives_its_timer_back(void)
{
    vts_loop loop;
    size_t before = mallocs;
    int i;

    set_up(&loop);
    for (i = 0; i < 40; i++) {
        vts_cancellation_source source = {0};
        vts_valuetask task =
            makers[i % 2](&loop, fake.now + 100, vts_cancellation_token_of(&source));
        completions = 0;
        vts_valuetask_on_completed(task, complete_now, NULL, VTS_NONE);
        if (i % 4 < 2) vts_loop_run_once(&loop, 0);
        assert_code(vts_cancellation_cancel(&source), VTS_OK);
        assert_int_equal(completions, 0); /* on the loop, not on the canceling thread */
        assert_int_equal(vts_loop_run_once(&loop, 0), 1);
        assert_int_equal(completions, 1);
        assert_int_equal(loop.armed, 0);
        assert_true(vts_valuetask_is_canceled(task));
        assert_code(vts_valuetask_get_result(task, NULL), VTS_E_CANCELED);
        assert_code(vts_cancellation_dispose(&source), VTS_OK);
    }
    assert_int_equal(mallocs, before);
    tear_down(&loop);
}

/* The cancel is posted, but the time has come: the deadline wins, and nothing is left. */
static void a_cancel_at_the_deadline(void)
{
    vts_loop loop;
    vts_cancellation_source source = {0};
    vts_valuetask task;

    set_up(&loop);
    task = delay_on_loop(&loop, START + 10, vts_cancellation_token_of(&source));
    fake.now += 10;
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_int_equal(vts_loop_run_once(&loop, 0), 2);
    assert_code(vts_valuetask_get_result(task, NULL), VTS_OK);
    assert_code(vts_cancellation_dispose(&source), VTS_OK);
    tear_down(&loop);
}

/* Takes the result at once, which gives the operation's memory to the next delay; that one
   is canceled while the first one's cancel may still be on its way. */
static struct {
    vts_loop *loop;
    vts_valuetask first, second;
    vts_cancellation_source source;
    int code;
} go_on;

static void take_and_go_on(void *arg)
{
    (void)arg;
    go_on.code = vts_valuetask_get_result(go_on.first, NULL);
    go_on.second = vts_delay(go_on.loop, fake.now + 50,
                             vts_cancellation_token_of(&go_on.source));
    vts_cancellation_cancel(&go_on.source);
}

static void a_cancel_on_its_way_keeps_the_operation(void)
{
    vts_loop loop;
    vts_cancellation_source source = {0};

    set_up(&loop);
    memset(&go_on, 0, sizeof go_on);
    go_on.loop = &loop;
    go_on.first = delay_on_loop(&loop, START + 10, vts_cancellation_token_of(&source));
    vts_valuetask_on_completed(go_on.first, take_and_go_on, NULL, VTS_NONE);
    fake.now += 10;
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_int_equal(vts_loop_run_once(&loop, 0), 2);
    assert_code(go_on.code, VTS_OK);
    assert_ptr_equal(go_on.second.source, go_on.first.source);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_code(vts_valuetask_get_result(go_on.second, NULL), VTS_E_CANCELED);
    tear_down(&loop);
}

static void a_late_cancel_changes_nothing(void)
{
    vts_loop loop;
    vts_cancellation_source source = {0};
    vts_valuetask first, second;

    set_up(&loop);
    first = delay_on_loop(&loop, START + 10, vts_cancellation_token_of(&source));
    fake.now += 10;
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_null(source.first);
    assert_code(vts_valuetask_get_result(first, NULL), VTS_OK);
    second = delay_on_loop(&loop, START + 20, vts_cancellation_none());
    assert_ptr_equal(second.source, first.source);
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_int_equal(vts_loop_run_once(&loop, 0), 0);
    assert_int_equal(vts_valuetask_get_status(second), VTS_PENDING);
    fake.now += 10;
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_code(vts_valuetask_get_result(second, NULL), VTS_OK);
    tear_down(&loop);
}

static void delays_run_out_with_their_storage(void)
{
    vts_loop loop;
    vts_valuetask task[4];
    int i;

    set_up(&loop);
    for (i = 0; i < 4; i++) task[i] = vts_delay(&loop, START + 1, vts_cancellation_none());
    assert_code(vts_valuetask_get_result(
                    vts_delay(&loop, START + 1, vts_cancellation_none()), NULL),
                VTS_E_EXHAUSTED);
    assert_code(vts_valuetask_forget(task[0]), VTS_OK);
    vts_loop_run_once(&loop, 0);
    fake.now++;
    assert_int_equal(vts_loop_run_once(&loop, 0), 4);
    for (i = 1; i < 4; i++) assert_code(vts_valuetask_get_result(task[i], NULL), VTS_OK);
    tear_down(&loop);
}

/* Every allocation fails once: a delay that gets no memory fails, and nothing else. */
static void delays_with_failing_memory(void)
{
    static vts_valuetask task[40];
    vts_loop loop;
    vts_loop_desc desc = {0};
    int i, error;

    memset(&fake, 0, sizeof fake);
    fake.now = START;
    vts_set_clock(fake_clock);
    desc.delays.allocator = &test_allocator;
    desc.delays.first = 8;
    desc.delays.cache = 2;
    error = vts_loop_init(&loop, &desc);
    if (error != VTS_OK) {
        assert_code(error, VTS_E_MEMORY);
        return;
    }
    for (i = 0; i < 40; i++) task[i] = vts_delay(&loop, START + 1, vts_cancellation_none());
    fake.now++;
    assert_true(vts_loop_run_once(&loop, 0) >= 39);
    vts_loop_run_once(&loop, 0);
    for (i = 0; i < 40; i++) {
        error = vts_valuetask_get_result(task[i], NULL);
        assert_true(error == VTS_OK || (error == VTS_E_EXHAUSTED && test_has_failed()));
    }
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

static void delays_survive_every_failed_allocation(void)
{
    assert_true(test_every_failure(delays_with_failing_memory) >= 4);
}

// ---- threads ----

static void spin(unsigned n)
{
    volatile unsigned i;
    for (i = 0; i < n; i++) {}
}

enum { POSTERS = 4, POSTS = 4000 };

/* Posters number their work: each one's arrives in order, and all of it. */
typedef struct poster {
    vts_loop *loop;
    job jobs[POSTS];
    int last;
    size_t *arrived;
} poster;

static poster *posters[POSTERS];
static size_t arrived;

static void work_arrives(vts_work *work)
{
    job *self = job_of(work);
    poster *owner = posters[self->again];

    THREAD_CHECK(self->number == owner->last + 1);
    owner->last = self->number;
    if (++arrived == POSTERS * POSTS) vts_loop_stop(self->loop);
}

static void *post_all(void *arg)
{
    poster *self = (poster *)arg;
    int i;

    for (i = 0; i < POSTS; i++) {
        post(self->loop, &self->jobs[i], i + 1, work_arrives);
        if (i % 64 == 0) sleep_ms(1); /* the loop falls asleep in between */
    }
    return NULL;
}

static void run_with_posters(vts_loop *loop)
{
    test_thread thread[POSTERS];
    int i, k;

    arrived = 0;
    for (i = 0; i < POSTERS; i++) {
        posters[i] = (poster *)calloc(1, sizeof **posters);
        assert_non_null(posters[i]);
        posters[i]->loop = loop;
        for (k = 0; k < POSTS; k++) posters[i]->jobs[k].again = i;
    }
    for (i = 0; i < POSTERS; i++) thread[i] = test_thread_start(post_all, posters[i], 0);
    assert_code(vts_loop_run(loop), VTS_OK);
    for (i = 0; i < POSTERS; i++) test_thread_join(thread[i]);
    assert_int_equal(arrived, POSTERS * POSTS);
    for (i = 0; i < POSTERS; i++) free(posters[i]);
}

static void nothing_posted_by_threads_is_lost(void)
{
    vts_loop loop;

    set_up_real(&loop);
    run_with_posters(&loop);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

/* A park of one's own: the loop sleeps in epoll_wait, with the program's descriptors. */
typedef struct poller {
    vts_loop loop;
    int epoll, event;
    int parks, wakes;
} poller;

static int milliseconds_until(vts_time deadline)
{
    vts_time now = vts_now();

    if (deadline <= now) return 0;
    if (deadline - now > VTS_SECONDS(3600)) return 3600000;
    return (int)((deadline - now + 999999) / 1000000);
}

static void poller_park(void *user, vts_time deadline)
{
    poller *self = (poller *)user;
    struct epoll_event event;
    uint64_t value;

    self->parks++;
    if (epoll_wait(self->epoll, &event, 1, milliseconds_until(deadline)) != 1) return;
    THREAD_CHECK(read(self->event, &value, sizeof value) == sizeof value);
}

static void poller_wake(void *user)
{
    poller *self = (poller *)user;
    uint64_t one = 1;

    __atomic_fetch_add(&self->wakes, 1, __ATOMIC_RELAXED);
    THREAD_CHECK(write(self->event, &one, sizeof one) == sizeof one);
}

static void set_up_poller(poller *self)
{
    vts_loop_desc desc = {0};
    struct epoll_event event = {.events = EPOLLIN};

    vts_set_clock(NULL);
    self->parks = self->wakes = 0;
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->event, &event), 0);
    desc.park = poller_park;
    desc.wake = poller_wake;
    desc.user = self;
    assert_code(vts_loop_init(&self->loop, &desc), VTS_OK);
}

static void tear_down_poller(poller *self)
{
    assert_code(vts_loop_destroy(&self->loop), VTS_OK);
    close(self->epoll);
    close(self->event);
}

static void a_loop_sleeps_in_epoll(void)
{
    poller self;
    vts_time begin;
    vts_timer timer = {0};
    int ran = 0;

    set_up_poller(&self);
    run_with_posters(&self.loop);
    assert_true(self.wakes > 0 && self.wakes <= self.parks);
    begin = vts_now();
    vts_timer_start(&timer, &self.loop, begin + VTS_MILLISECONDS(20), count, &ran);
    while (ran == 0) vts_loop_run_once(&self.loop, VTS_NEVER);
    assert_true(vts_now() >= begin + VTS_MILLISECONDS(20));
    TEST_NOTE("%d sleeps, %d wakes for %d posts", self.parks, self.wakes,
              POSTERS * POSTS);
    tear_down_poller(&self);
}

/* The next post comes as soon as the last has run: just when the loop falls asleep. */
static vts_word answers;

static void answer(vts_work *work)
{
    vts_word n = __atomic_fetch_add(&answers, 1, __ATOMIC_RELEASE);

    (void)work;
    spin((unsigned)n % 200); /* until the post is on its way */
}

static void *post_as_it_falls_asleep(void *arg)
{
    vts_loop *loop = (vts_loop *)arg;
    static job one;
    vts_word i;

    for (i = 0; i < 20000; i++) {
        unsigned n = 0;
        post(loop, &one, 0, answer);
        while (__atomic_load_n(&answers, __ATOMIC_ACQUIRE) == i) {
            if (++n % 256 == 0) sched_yield();
        }
    }
    vts_loop_stop(loop);
    return NULL;
}

static void posts_meet_the_loop_falling_asleep(void)
{
    poller self;
    test_thread thread;

    set_up_poller(&self);
    answers = 0;
    thread = test_thread_start(post_as_it_falls_asleep, &self.loop, 0);
    assert_code(vts_loop_run(&self.loop), VTS_OK);
    test_thread_join(thread);
    assert_int_equal(answers, 20000);
    TEST_NOTE("%d sleeps, %d wakes for 20000 posts", self.parks, self.wakes);
    tear_down_poller(&self);
}

static void a_loop_sleeps_for_its_timer(void)
{
    vts_loop loop;
    vts_timer timer = {0};
    vts_time begin;
    int ran = 0;

    set_up_real(&loop);
    begin = vts_now();
    vts_timer_start(&timer, &loop, begin + VTS_MILLISECONDS(20), timer_stops_loop, &ran);
    fake.loop = &loop;
    assert_code(vts_loop_run(&loop), VTS_OK);
    assert_int_equal(ran, 1);
    assert_true(vts_now() >= begin + VTS_MILLISECONDS(20));
    begin = vts_now();
    while (vts_now() < begin + VTS_MILLISECONDS(10)) {
        assert_int_equal(vts_loop_run_once(&loop, begin + VTS_MILLISECONDS(10)), 0);
    }
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

/* Whoever finds the loop free runs it: what the last one left is seen. */
static int turns;

static void take_turns(vts_work *work)
{
    job *self = job_of(work);

    turns++;
    if (self->again-- > 0) vts_scheduler_post(&self->loop->scheduler, work);
}

static void *run_if_free(void *arg)
{
    int i;

    for (i = 0; i < 500; i++) {
        int code = vts_loop_run_once((vts_loop *)arg, 0);
        THREAD_CHECK(code >= 0 || code == VTS_E_BUSY);
        if (i % 8 == 0) sched_yield();
    }
    return NULL;
}

static void a_loop_may_go_from_thread_to_thread(void)
{
    vts_loop loop;
    test_thread thread[3];
    job one = {0};
    int i;

    set_up_real(&loop);
    turns = 0;
    one.again = 2000;
    post(&loop, &one, 0, take_turns);
    for (i = 0; i < 3; i++) thread[i] = test_thread_start(run_if_free, &loop, 0);
    for (i = 0; i < 3; i++) test_thread_join(thread[i]);
    while (vts_loop_run_once(&loop, 0) != 0) {}
    assert_int_equal(turns, 2001);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

static void *stop_later(void *arg)
{
    sleep_ms(20);
    THREAD_CHECK(vts_loop_stop((vts_loop *)arg) == VTS_OK);
    return NULL;
}

static void another_thread_stops_the_loop(void)
{
    vts_loop loop;
    test_thread thread;
    int i;

    set_up_real(&loop);
    for (i = 0; i < 3; i++) {
        thread = test_thread_start(stop_later, &loop, 0);
        assert_code(vts_loop_run(&loop), VTS_OK);
        test_thread_join(thread);
    }
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

/* Another thread is told so, whatever it tries on a loop that is run here. */
typedef struct stranger {
    vts_loop *loop;
    vts_timer armed, idle;
    vts_cancellation_timer cancel;
    vts_cancellation_source source;
} stranger;

static void *try_everything(void *arg)
{
    stranger *self = (stranger *)arg;

    THREAD_CHECK(vts_loop_run(self->loop) == VTS_E_BUSY);
    THREAD_CHECK(vts_loop_run_once(self->loop, 0) == VTS_E_BUSY);
    THREAD_CHECK(vts_loop_run_until(self->loop, vts_valuetask_from_result(0), 0) ==
                 VTS_E_BUSY);
    THREAD_CHECK(vts_loop_destroy(self->loop) == VTS_E_BUSY);
    THREAD_CHECK(!vts_loop_is_current(self->loop));
    THREAD_CHECK(vts_timer_start(&self->idle, self->loop, 0, count, NULL) == VTS_E_THREAD);
    THREAD_CHECK(self->idle.loop == NULL);
    THREAD_CHECK(vts_timer_stop(&self->armed) == VTS_E_THREAD);
    THREAD_CHECK(vts_cancellation_cancel_after(&self->cancel, &self->source, self->loop,
                                               0) == VTS_E_THREAD);
    return NULL;
}

static stranger *the_stranger;

static void let_stranger_try(vts_work *work)
{
    (void)work;
    test_on_thread(try_everything, the_stranger);
}

static vts_loop *second_loop;

static void *move_to_the_second(void *arg)
{
    stranger *self = (stranger *)arg;
    THREAD_CHECK(vts_cancellation_cancel_after(&self->cancel, &self->source, second_loop,
                                               START + 2) == VTS_E_THREAD);
    return NULL;
}

static void let_stranger_move(vts_work *work)
{
    (void)work;
    test_on_thread(move_to_the_second, the_stranger);
}

/* A deadline in a loop that another thread runs is not taken from there. */
static void cancel_after_leaves_another_threads_deadline(void)
{
    vts_loop loop, second;
    stranger self;
    job one = {0};

    set_up_real(&second);
    set_up(&loop);
    expect_misuse();
    memset(&self, 0, sizeof self);
    self.loop = &loop;
    the_stranger = &self;
    second_loop = &second;
    assert_code(vts_cancellation_cancel_after(&self.cancel, &self.source, &loop, START + 1),
                VTS_OK);
    post(&loop, &one, 0, let_stranger_move);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_int_equal(misuse.n, 1);
    assert_true(vts_loop_next_deadline(&second) == VTS_NEVER);
    fake.now += 1;
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_true(vts_cancellation_is_requested(vts_cancellation_token_of(&self.source)));
    assert_code(vts_loop_destroy(&second), VTS_OK);
    tear_down(&loop);
}

static void timers_belong_to_the_thread_that_runs_the_loop(void)
{
    vts_loop loop;
    stranger self;
    job one = {0};
    int ran = 0;

    set_up(&loop);
    expect_misuse();
    memset(&self, 0, sizeof self);
    self.loop = &loop;
    the_stranger = &self;
    vts_timer_start(&self.armed, &loop, START + 1, count, &ran);
    post(&loop, &one, 0, let_stranger_try);
    assert_int_equal(vts_loop_run_once(&loop, 0), 1);
    assert_int_equal(misuse.n, 3);
    assert_code(misuse.codes[0], VTS_E_THREAD);
    assert_code(vts_timer_stop(&self.armed), VTS_OK);
    tear_down(&loop);
}

typedef struct completer {
    vts_source source;
    vts_token token;
    unsigned delay;
    bool sleeps;
} completer;

static void *complete_later(void *arg)
{
    completer *self = (completer *)arg;

    if (self->sleeps) sleep_ms(10);
    spin(self->delay);
    THREAD_CHECK(vts_source_set_result(&self->source, self->token, 3) == VTS_OK);
    return NULL;
}

static void run_until_another_thread_completes(void)
{
    vts_loop loop;
    completer self = {.sleeps = true};
    vts_valuetask task;
    test_thread thread;
    intptr_t result = 0;

    set_up_real(&loop);
    vts_source_init(&self.source, NULL);
    vts_source_reset(&self.source, &self.token);
    task = vts_valuetask_of(&self.source, self.token);
    thread = test_thread_start(complete_later, &self, 0);
    assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_OK);
    assert_code(vts_valuetask_get_result(task, &result), VTS_OK);
    assert_int_equal(result, 3);
    test_thread_join(thread);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

/* The deadline and the completion meet: either way the loop has nothing left of it. The
   loop goes as soon as it can, though the completer may be about to wake it. */
static void run_until_times_out_while_another_thread_completes(void)
{
    completer self = {.sleeps = false};
    int completed = 0, expired = 0, i;

    vts_set_clock(NULL);
    for (i = 0; i < 400; i++) {
        vts_loop *loop = (vts_loop *)calloc(1, sizeof *loop);
        vts_valuetask task;
        test_thread thread;
        int code;
        assert_non_null(loop);
        assert_code(vts_loop_init(loop, NULL), VTS_OK);
        vts_source_init(&self.source, NULL);
        vts_source_reset(&self.source, &self.token);
        self.delay = (unsigned)(test_random() % 200000);
        task = vts_valuetask_of(&self.source, self.token);
        thread = test_thread_start(complete_later, &self, 0);
        code = vts_loop_run_until(loop, task, vts_after(test_random() % 400000));
        if (code == VTS_E_TIMEOUT) expired++;
        else completed++;
        THREAD_CHECK(code == VTS_OK || code == VTS_E_TIMEOUT);
        THREAD_CHECK(vts_loop_destroy(loop) == VTS_OK);
        free(loop);
        test_thread_join(thread);
        THREAD_CHECK(vts_valuetask_get_result(task, NULL) == VTS_OK);
    }
    TEST_NOTE("completed %d, expired %d", completed, expired);
}

/* What park finds is run after each sleep, and where there is no reason to sleep park only
   looks: neither starves the other. */
static void what_park_finds_is_dispatched(void)
{
    vts_loop loop;
    vts_timer timer = {0};
    job one = {0}, last = {0};
    int fired = 0;

    set_up(&loop);
    loop.dispatch = fake_dispatch;
    dispatches = found = 0;
    seen.ran = 0;
    fake.slept_until = 1;
    assert_code(vts_loop_run_once(&loop, 0), 0);
    assert_int_equal(fake.parks, 1);
    assert_int_equal(fake.slept_until, 0);
    assert_int_equal(dispatches, 1);
    found = 3;
    post(&loop, &one, 1, job_runs);
    assert_code(vts_loop_run_once(&loop, VTS_NEVER), 4);
    assert_int_equal(fake.slept_until, 0);
    vts_timer_start(&timer, &loop, START + VTS_SECONDS(1), count, &fired);
    assert_code(vts_loop_run_once(&loop, VTS_NEVER), 4);
    assert_int_equal(fake.slept_until, START + VTS_SECONDS(1));
    assert_int_equal(fired, 1);
    assert_int_equal(dispatches, 3);
    post(&loop, &last, 2, job_stops);
    assert_code(vts_loop_run(&loop), VTS_OK);
    assert_int_equal(dispatches, 4); /* after the job, not after the stop it posted    */
    tear_down(&loop);
}

static struct {
    sem_t inside, go;
    bool returned;
} slow;

/* Parked until the poster is inside its wake. */
static void do_not_sleep_yet(void *user, vts_time deadline)
{
    (void)user;
    (void)deadline;
    sem_wait(&slow.inside);
}

static void wake_slowly(void *user)
{
    (void)user;
    sem_post(&slow.inside);
    sem_wait(&slow.go);
    __atomic_store_n(&slow.returned, true, __ATOMIC_RELEASE);
}

static void *post_one(void *arg)
{
    job *one = (job *)arg;
    while (!vts_loop_is_parked(one->loop)) sched_yield();
    vts_scheduler_post(&one->loop->scheduler, &one->work);
    return NULL;
}

static void *let_go(void *arg)
{
    (void)arg;
    sleep_ms(30);
    sem_post(&slow.go);
    return NULL;
}

/* A wake may use what goes with the loop, a descriptor: the loop stays until it is over,
   though its work has run. */
static void a_loop_ends_after_the_wake_that_another_thread_is_in(void)
{
    vts_loop_desc desc = {0};
    vts_loop loop;
    test_thread posting, helper;
    job one = {0};

    vts_set_clock(NULL);
    sem_init(&slow.inside, 0, 0);
    sem_init(&slow.go, 0, 0);
    slow.returned = false;
    desc.park = do_not_sleep_yet;
    desc.wake = wake_slowly;
    assert_code(vts_loop_init(&loop, &desc), VTS_OK);
    one.work.run = job_runs;
    one.loop = &loop;
    posting = test_thread_start(post_one, &one, 0);
    while (vts_loop_run_once(&loop, VTS_NEVER) == 0) {}
    helper = test_thread_start(let_go, NULL, 0);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
    assert_true(__atomic_load_n(&slow.returned, __ATOMIC_ACQUIRE));
    test_thread_join(posting);
    test_thread_join(helper);
}

/* A loop that does not sleep though it says so, and is gone after its work: the poster
   must not look at it any more. */
static void do_not_sleep(void *user, vts_time deadline)
{
    (void)user;
    (void)deadline;
}

static void do_not_wake(void *user) { (void)user; }

static vts_word next_job; /* a job, or 1: no more                                      */

static void *post_each(void *arg)
{
    vts_word given;

    (void)arg;
    while ((given = __atomic_exchange_n(&next_job, 0, __ATOMIC_ACQUIRE)) != 1) {
        job *one = (job *)given;
        if (one == NULL) sched_yield();
        else vts_scheduler_post(&one->loop->scheduler, &one->work);
    }
    return NULL;
}

static void hand_over(vts_word given)
{
    while (__atomic_load_n(&next_job, __ATOMIC_RELAXED) != 0) sched_yield();
    __atomic_store_n(&next_job, given, __ATOMIC_RELEASE);
}

static void the_last_post_may_end_the_loop(void)
{
    vts_loop_desc desc = {0};
    test_thread thread;
    int i;

    vts_set_clock(NULL);
    next_job = 0;
    thread = test_thread_start(post_each, NULL, 0);
    desc.park = do_not_sleep;
    desc.wake = do_not_wake;
    for (i = 0; i < 5000; i++) {
        vts_loop *loop = (vts_loop *)calloc(1, sizeof *loop);
        job one = {0};
        assert_non_null(loop);
        assert_code(vts_loop_init(loop, &desc), VTS_OK);
        one.work.run = job_runs;
        one.loop = loop;
        hand_over((vts_word)&one);
        while (vts_loop_run_once(loop, VTS_NEVER) == 0) {}
        THREAD_CHECK(vts_loop_destroy(loop) == VTS_OK);
        memset(loop, 0x5a, sizeof *loop);
        free(loop);
    }
    hand_over(1);
    test_thread_join(thread);
}

/* Delays made and canceled on another thread than the loop's, around the time they are
   due: each completes once, canceled or not, and comes back. */
typedef struct racer {
    vts_loop *loop;
    vts_word completed;
    int canceled, elapsed;
} racer;

static void delay_done(void *arg) { __atomic_fetch_add((vts_word *)arg, 1, __ATOMIC_RELEASE); }

static void race_one(racer *self, unsigned seed)
{
    vts_cancellation_source source = {0};
    vts_word round = __atomic_load_n(&self->completed, __ATOMIC_ACQUIRE);
    vts_valuetask task =
        vts_delay(self->loop, vts_after(seed % 97 * 1000), vts_cancellation_token_of(&source));
    int code;

    THREAD_CHECK(vts_valuetask_on_completed(task, delay_done, &self->completed, 0) ==
                 VTS_OK);
    spin(seed % 89 * 200);
    THREAD_CHECK(vts_cancellation_cancel(&source) == VTS_OK);
    while (__atomic_load_n(&self->completed, __ATOMIC_ACQUIRE) == round) sched_yield();
    code = vts_valuetask_get_result(task, NULL);
    THREAD_CHECK(code == VTS_OK || code == VTS_E_CANCELED);
    if (code == VTS_OK) self->elapsed++;
    else self->canceled++;
    THREAD_CHECK(vts_cancellation_dispose(&source) == VTS_OK);
}

static void *race_delays(void *arg)
{
    racer *self = (racer *)arg;
    unsigned i;

    for (i = 0; i < 3000; i++) race_one(self, i * 7919u);
    vts_loop_stop(self->loop);
    return NULL;
}

static void cancel_races_the_deadline(void)
{
    vts_loop loop;
    vts_loop_desc desc = {0};
    racer self = {0};
    test_thread thread;

    vts_set_clock(NULL);
    desc.delays.storage = delay_storage;
    desc.delays.storage_size = sizeof delay_storage;
    assert_code(vts_loop_init(&loop, &desc), VTS_OK);
    self.loop = &loop;
    thread = test_thread_start(race_delays, &self, 0);
    assert_code(vts_loop_run(&loop), VTS_OK);
    test_thread_join(thread);
    assert_int_equal(self.canceled + self.elapsed, 3000);
    assert_int_equal(self.completed, 3000);
    assert_true(self.canceled > 0 && self.elapsed > 0);
    TEST_NOTE("canceled %d, elapsed %d", self.canceled, self.elapsed);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

/* The loop cancels what another thread registers at that moment, and the reverse. */
typedef struct crossing {
    vts_loop loop;
    vts_cancellation_source source;
    vts_word stop;
    size_t made, over;
} crossing;

static void crossing_over(void *arg) { __atomic_fetch_add((size_t *)arg, 1, __ATOMIC_RELEASE); }

static void *make_delays(void *arg)
{
    crossing *self = (crossing *)arg;
    int i;

    for (i = 0; i < 2000; i++) {
        vts_valuetask task = vts_delay(&self->loop, vts_after(VTS_SECONDS(100)),
                                       vts_cancellation_token_of(&self->source));
        THREAD_CHECK(vts_valuetask_on_completed(task, crossing_over, &self->over, 0) ==
                     VTS_OK);
        while (__atomic_load_n(&self->over, __ATOMIC_ACQUIRE) != (size_t)i + 1) {
            sched_yield();
        }
        THREAD_CHECK(vts_valuetask_get_result(task, NULL) == VTS_E_CANCELED);
    }
    __atomic_store_n(&self->stop, 1, __ATOMIC_RELEASE);
    vts_loop_stop(&self->loop);
    return NULL;
}

static void the_loop_cancels_what_another_thread_makes(void)
{
    crossing self;
    test_thread thread;

    memset(&self, 0, sizeof self);
    set_up_real(&self.loop);
    thread = test_thread_start(make_delays, &self, 0);
    while (__atomic_load_n(&self.stop, __ATOMIC_ACQUIRE) == 0) {
        vts_cancellation_cancel(&self.source);
        while (vts_cancellation_reset(&self.source) != VTS_OK) {
            vts_cancellation_cancel(&self.source);
        }
        vts_loop_run_once(&self.loop, vts_after(VTS_MICROSECONDS(50)));
    }
    test_thread_join(thread);
    while (vts_loop_run_once(&self.loop, 0) != 0) {}
    assert_int_equal(self.over, 2000);
    assert_code(vts_loop_destroy(&self.loop), VTS_OK);
}

static const test_case tests[] = {
    TEST(bad_arguments_are_refused),
    TEST(init_says_when_memory_is_missing),
    TEST(a_destroyed_loop_says_closed),
    TEST(destroy_waits_for_what_is_outstanding),
    TEST(posted_work_runs_in_order),
    TEST(who_runs_the_loop_is_known),
    TEST(work_that_posts_itself_does_not_starve_timers),
    TEST(work_that_posts_itself_loses_no_other),
    TEST(another_loop_runs_inside_one),
    TEST(stop_inside_a_run_leaves_what_was_posted_later),
    TEST(stop_before_a_run_ends_the_next),
    TEST(a_loop_is_stopped_again_and_again),
    TEST(stop_ends_a_sleep),
    TEST(due_timers_survive_a_stop),
    TEST(only_a_sleeping_loop_is_woken_and_once),
    TEST(a_timer_that_ends_the_sleep_wakes_nobody),
    TEST(a_sleep_lasts_until_the_earlier_of_timer_and_deadline),
    TEST(timers_fire_in_order_of_deadlines_then_of_arming),
    TEST(timers_fire_in_order_however_late_the_loop_comes),
    TEST(timers_armed_in_between_find_their_place),
    TEST(next_deadline_is_never_late),
    TEST(a_timer_moves_at_most_once_per_hex_digit),
    TEST(a_timer_keeps_its_deadline_when_the_clock_comes_by),
    TEST(far_deadlines_are_kept),
    TEST(past_deadlines_run_in_the_next_pass),
    TEST(past_ones_come_before_later_ones),
    TEST(a_timer_may_stop_another_that_is_due),
    TEST(one_million_timers),
    TEST(deadlines_do_not_overflow),
    TEST(a_word_is_waited_for),
    TEST(cancel_after_cancels_and_can_be_moved),
    TEST(cancel_after_that_fails_changes_nothing),
    TEST(run_until_takes_what_is_completed),
    TEST(run_until_a_delay),
    TEST(run_until_goes_on_through_other_work),
    TEST(run_until_names_its_errors),
    TEST(run_until_of_a_source_that_cannot_unregister),
    TEST(waiting_on_the_loop_is_a_deadlock_that_is_named),
    TEST(a_delay_completes_at_its_deadline),
    TEST(a_delay_that_is_over_takes_nothing),
    TEST(a_delay_of_a_closed_token_fails),
    TEST(a_canceled_delay_gives_its_timer_back),
    TEST(a_cancel_at_the_deadline),
    TEST(a_cancel_on_its_way_keeps_the_operation),
    TEST(a_late_cancel_changes_nothing),
    TEST(delays_run_out_with_their_storage),
    TEST(delays_survive_every_failed_allocation),
    TEST(nothing_posted_by_threads_is_lost),
    TEST(a_loop_sleeps_in_epoll),
    TEST(posts_meet_the_loop_falling_asleep),
    TEST(a_loop_sleeps_for_its_timer),
    TEST(a_loop_may_go_from_thread_to_thread),
    TEST(another_thread_stops_the_loop),
    TEST(cancel_after_leaves_another_threads_deadline),
    TEST(timers_belong_to_the_thread_that_runs_the_loop),
    TEST(run_until_another_thread_completes),
    TEST(run_until_times_out_while_another_thread_completes),
    TEST(a_run_inside_a_continuation_runs_what_was_put_off),
    TEST(what_park_finds_is_dispatched),
    TEST(a_loop_ends_after_the_wake_that_another_thread_is_in),
    TEST(the_last_post_may_end_the_loop),
    TEST(cancel_races_the_deadline),
    TEST(the_loop_cancels_what_another_thread_makes),
};

TEST_MAIN(tests)
