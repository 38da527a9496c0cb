/* One call in the middle of a loop's: before each atomic operation of the first, in turn,
   the whole second call happens, as if another thread had come just then. No post is
   lost, no sleep begins that nobody ends, and nothing is left behind. */
#define VTS_ATOMICS_HEADER "tests/meanwhile.h"
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

typedef struct scene {
    vts_loop loop;
    vts_work work;
    vts_source source;
    vts_token token;
    vts_valuetask task;
    vts_cancellation_source cancel;
    int ran, wakes;
    bool behind; /* the second call came behind the first */
} scene;

static scene *current;
static vts_time now;

static vts_time fixed_clock(void) { return now; }

static void work_runs(vts_work *work)
{
    (void)work;
    current->ran++;
}

/* Happens in the middle, or in the loop's sleep, or behind: once. */
static void happens(void)
{
    void (*call)(void *arg) = meanwhile.call;

    meanwhile.call = NULL;
    if (call != NULL) call(meanwhile.arg);
}

/* A sleep that nobody ends is what must not be: with a work there, a wake must be, too. */
static void park(void *user, vts_time deadline)
{
    scene *s = (scene *)user;

    happens();
    if (s->wakes == 0 && deadline == VTS_NEVER) TEST_FAIL("sleeps for ever\n");
    s->wakes = 0;
    if (deadline != VTS_NEVER && deadline > now) now = deadline;
}

static void wake(void *user) { ((scene *)user)->wakes++; }

static void post(void *arg)
{
    vts_scheduler_post(&((scene *)arg)->loop.scheduler, &((scene *)arg)->work);
}

static void stop(void *arg)
{
    THREAD_CHECK(vts_loop_stop(&((scene *)arg)->loop) == VTS_OK);
}

static void run_once(void *arg)
{
    THREAD_CHECK(vts_loop_run_once(&((scene *)arg)->loop, 0) >= 0);
}

static void complete(void *arg)
{
    scene *s = (scene *)arg;
    THREAD_CHECK(vts_source_set_result(&s->source, s->token, 1) == VTS_OK);
}

static void set_up(scene *s)
{
    vts_loop_desc desc = {0};

    memset(s, 0, sizeof *s);
    now = 1000;
    vts_set_clock(fixed_clock);
    current = s;
    desc.park = park;
    desc.wake = wake;
    desc.user = s;
    assert_code(vts_loop_init(&s->loop, &desc), VTS_OK);
    s->work.run = work_runs;
    vts_source_init(&s->source, NULL);
    assert_code(vts_source_reset(&s->source, &s->token), VTS_OK);
    s->task = vts_valuetask_of(&s->source, s->token);
}

/* Runs the scene once per gap, until the second call is behind the first. */
static unsigned each_gap(void (*play)(scene *s), void (*second)(void *arg))
{
    scene s;
    unsigned gap;

    for (gap = 0; gap < 1000; gap++) {
        set_up(&s);
        meanwhile.arg = &s;
        meanwhile.turn = gap;
        meanwhile.call = second;
        play(&s);
        assert_code(vts_loop_destroy(&s.loop), VTS_OK);
        assert_threads_passed();
        if (s.behind) break;
    }
    vts_set_clock(NULL);
    return gap;
}

/* The first call is over: if the second has not been, it is now. */
static void behind(scene *s)
{
    s->behind = meanwhile.call != NULL;
    happens();
}

static void drain(scene *s)
{
    while (vts_loop_run_once(&s->loop, 0) != 0) {}
}

static void play_sleep(scene *s)
{
    while (s->ran == 0) assert_true(vts_loop_run_once(&s->loop, VTS_NEVER) >= 0);
    behind(s);
    assert_int_equal(s->ran, 1);
    drain(s);
}

static void a_post_is_not_lost_when_the_loop_falls_asleep(void)
{
    scene s;
    unsigned gap;

    for (gap = 0; gap < 30; gap++) { /* in the end it comes in the sleep */
        set_up(&s);
        meanwhile.arg = &s;
        meanwhile.turn = gap;
        meanwhile.call = post;
        play_sleep(&s);
        assert_false(s.behind);
        assert_code(vts_loop_destroy(&s.loop), VTS_OK);
    }
    vts_set_clock(NULL);
}

static void a_stop_ends_the_run_wherever_it_comes(void)
{
    scene s;
    unsigned gap;

    for (gap = 0; gap < 30; gap++) {
        set_up(&s);
        meanwhile.arg = &s;
        meanwhile.turn = gap;
        meanwhile.call = stop;
        post(&s);
        assert_code(vts_loop_run(&s.loop), VTS_OK);
        assert_null(meanwhile.call);
        assert_int_equal(s.ran <= 1, 1);
        drain(&s); /* a stop that came before the post leaves it */
        assert_int_equal(s.ran, 1);
        assert_code(vts_loop_destroy(&s.loop), VTS_OK);
    }
    vts_set_clock(NULL);
}

static void play_post(scene *s)
{
    post(s);
    behind(s);
    drain(s);
    assert_int_equal(s->ran, 1);
}

static void a_pass_in_the_middle_of_a_post(void)
{
    assert_true(each_gap(play_post, run_once) >= 2);
}

/* The pass that is in the middle may be the run that is stopped; then the next is not. */
static void play_stop(scene *s)
{
    stop(s);
    behind(s);
    stop(s);
    assert_code(vts_loop_run(&s->loop), VTS_OK);
    drain(s);
    stop(s);
    assert_code(vts_loop_run(&s->loop), VTS_OK);
}

static void a_pass_in_the_middle_of_a_stop(void)
{
    assert_true(each_gap(play_stop, run_once) >= 2);
}

static int expired, completed;

static void play_until(scene *s)
{
    int code = vts_loop_run_until(&s->loop, s->task, now + 5);

    assert_true(code == VTS_OK || code == VTS_E_TIMEOUT);
    if (code == VTS_OK) completed++;
    else expired++;
    behind(s);
    drain(s);
    assert_code(vts_valuetask_get_result(s->task, NULL), VTS_OK);
}

/* The completion comes anywhere around the deadline, but not in the sleep. */
static void sleep_alone(void *user, vts_time deadline)
{
    (void)user;
    if (deadline > now) now = deadline;
}

static void play_until_without_sleep(scene *s)
{
    s->loop.park = sleep_alone;
    play_until(s);
}

static void a_completion_in_the_middle_of_run_until(void)
{
    expired = completed = 0;
    assert_true(each_gap(play_until_without_sleep, complete) >= 10);
    assert_true(expired > 0 && completed > 0);
}

/* A delay that was made elsewhere is canceled while the loop gets to know of it. Who would
   need the cancellation's lock has to wait until it is free. */
static void run_once_if_it_can(void *arg)
{
    scene *s = (scene *)arg;
    if (s->cancel.lock == 0) run_once(s);
}

static void play_cancel(scene *s)
{
    vts_valuetask delay = vts_delay(&s->loop, now + 5, vts_cancellation_token_of(&s->cancel));

    assert_code(vts_cancellation_cancel(&s->cancel), VTS_OK);
    behind(s);
    drain(s);
    assert_code(vts_valuetask_get_status(delay), VTS_CANCELED);
    assert_code(vts_valuetask_get_result(delay, NULL), VTS_E_CANCELED);
}

static void a_pass_in_the_middle_of_a_cancel(void)
{
    assert_true(each_gap(play_cancel, run_once_if_it_can) >= 10);
}

static const test_case tests[] = {
    TEST(a_post_is_not_lost_when_the_loop_falls_asleep),
    TEST(a_stop_ends_the_run_wherever_it_comes),
    TEST(a_pass_in_the_middle_of_a_post),
    TEST(a_pass_in_the_middle_of_a_stop),
    TEST(a_completion_in_the_middle_of_run_until),
    TEST(a_pass_in_the_middle_of_a_cancel),
};

TEST_MAIN(tests)
