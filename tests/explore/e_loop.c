/* The loop: no post and no stop is lost while it goes to sleep, delays and timeouts end
   once whoever comes first, and nobody touches a loop that was destroyed. */
#include "tests/explore/model.h"

#define SOON ((vts_time)100)

static vts_loop loop;
static VTS_POOL_STORAGE(delay_storage, vts_delay_operation, 2);
static VTS_POOL_STORAGE(storage, vts_source, 1);
static vts_pool pool;
static vts_source *source;
static vts_token token;

typedef struct job {
    vts_work work;
    long payload; /* plain: the post publishes it */
} job;
static job jobs[3];
static int ran; /* on the loop */

static void run_job(vts_work *work)
{
    job *j = (job *)(void *)work;

    x_check(vts_loop_is_current(&loop));
    x_check(j->payload == 7);
    j->payload = 8;
    ran++;
}

static void name_loop(void)
{
    x_name(&loop, sizeof loop, "loop", NULL);
    x_name(&loop.head, sizeof loop.head, "loop.head", NULL);
    x_name(&loop.stop, sizeof loop.stop, "loop.stop", NULL);
    x_name(&loop.thread, sizeof loop.thread, "loop.thread", NULL);
    x_name(jobs, sizeof jobs, "jobs", NULL);
    x_name(delay_storage, sizeof delay_storage, "delays", NULL);
}

static void setup(void)
{
    vts_loop_desc desc = {0};
    vts_pool_desc sources = {0};
    int i;

    forget_threads();
    memset(delay_storage, 0, sizeof delay_storage);
    memset(storage, 0, sizeof storage);
    desc.delays.storage = delay_storage;
    desc.delays.storage_size = sizeof delay_storage;
    vts_loop_init(&loop, &desc);
    sources.storage = storage;
    sources.storage_size = sizeof storage;
    vts_pool_init(&pool, &sources);
    source = vts_pool_rent(&pool, &token);
    name_source(source, "operation", "operation.word");
    for (i = 0; i < 3; i++) jobs[i] = (job){{{NULL}, run_job}, 0};
    ran = 0;
    name_loop();
}

/* Destroys it, and uses its memory for something else at once. */
static void end_loop(void)
{
    x_check(vts_loop_destroy(&loop) == VTS_OK);
    reuse(&loop, sizeof loop);
}

// ---- a park of one's own ----

static x_word event; /* like an eventfd's count */

static void own_park(void *user, vts_time deadline)
{
    x_check(deadline == VTS_NEVER);
    while (x_exchange((x_word *)user, 0, X_ACQ_REL) == 0) x_wait((x_word *)user, 0, false);
}

static void own_wake(void *user)
{
    x_exchange((x_word *)user, 1, X_ACQ_REL);
    x_wake((x_word *)user, false);
}

static void setup_own_park(void)
{
    vts_loop_desc desc = {0};

    setup();
    event = 0;
    desc.delays.storage = delay_storage;
    desc.delays.storage_size = sizeof delay_storage;
    desc.park = own_park;
    desc.wake = own_wake;
    desc.user = &event;
    vts_loop_init(&loop, &desc);
    x_name(&event, sizeof event, "event", NULL);
}

// ---- posts ----

static void post(void)
{
    jobs[x_now].payload = 7;
    vts_scheduler_post(&loop.scheduler, &jobs[x_now].work);
}

static void run_all(void)
{
    int count = 0;

    while (count < x_scene->threads - 1) {
        int once = vts_loop_run_once(&loop, VTS_NEVER);
        x_check(once >= 0);
        count += once;
    }
    x_check(ran == count);
}

/* The last work may be what the loop was waiting for. */
static void run_all_and_end(void)
{
    run_all();
    end_loop();
}

/* Until a deadline, at which it looks once more. */
static void run_a_while(void)
{
    while (ran < x_scene->threads - 1 && vts_now() < SOON) {
        x_check(vts_loop_run_once(&loop, SOON) >= 0);
    }
}

static void run_the_rest(void)
{
    if (ran < x_scene->threads - 1) x_check(vts_loop_run_once(&loop, 0) > 0);
    x_check(ran == x_scene->threads - 1);
    end_loop();
}

/* Who finds it asleep sees what its thread did before. */
static long before_sleep;

static void setup_before_sleep(void)
{
    setup();
    before_sleep = 0;
}

static void write_and_run(void)
{
    before_sleep = 7;
    x_check(vts_loop_run_once(&loop, SOON) == 0);
}

static void look_when_parked(void)
{
    if (vts_loop_is_parked(&loop)) x_check(before_sleep == 7);
}

// ---- stops ----

static void run(void) { x_check(vts_loop_run(&loop) == VTS_OK); }

static void stop(void) { x_check(vts_loop_stop(&loop) == VTS_OK); }

static void post_stop(void)
{
    post();
    stop();
}

/* What was posted before the stop ran; what came later did, or is there. */
static void one_ran(void)
{
    x_check(jobs[1].payload == 8);
    if (ran < x_scene->threads - 1) x_check(vts_loop_run_once(&loop, 0) == 1);
    x_check(ran == x_scene->threads - 1);
    end_loop();
}

static void stop_twice(void)
{
    stop();
    stop();
}

/* One of several stops ended it; if the last came after that, it is there. */
static void maybe_stopped(void)
{
    x_check(vts_loop_run_once(&loop, 0) <= 1);
    end_loop();
}

/* One at a time. */
static void try_to_run(void)
{
    int code = vts_loop_run_once(&loop, 0);
    x_check(code == VTS_E_BUSY || code >= 0);
}

static void ran_or_there(void)
{
    int left = 1 - ran;

    x_check(vts_loop_run_once(&loop, 0) == left);
    end_loop();
}

// ---- until ----

static void set(void)
{
    int code = vts_source_set_result(source, token, 5);
    x_check(code == VTS_OK || code == VTS_E_ALREADY_COMPLETED || code == VTS_E_STALE);
}

static vts_valuetask operation(void) { return vts_valuetask_of(source, token); }

static void take(void)
{
    intptr_t result = 0;
    x_check(vts_valuetask_get_result(operation(), &result) == VTS_OK && result == 5);
}

static void until_set(void)
{
    x_check(vts_loop_run_until(&loop, operation(), VTS_NEVER) == VTS_OK);
    take();
    end_loop();
}

static void takes(void *arg)
{
    if (arg == NULL) take();
}

/* What it gives up is ours again. */
static void until_soon(void)
{
    int code = vts_loop_run_until(&loop, operation(), SOON);

    x_check(code == VTS_OK || code == VTS_E_TIMEOUT);
    x_check(code == VTS_OK || vts_now() >= SOON);
    end_loop();
    if (code == VTS_OK) take();
    else x_check(vts_valuetask_on_completed(operation(), takes, NULL, VTS_NONE) == VTS_OK);
}

static void until_stopped(void)
{
    int code = vts_loop_run_until(&loop, operation(), VTS_NEVER);

    x_check(code == VTS_OK || code == VTS_E_STOPPED);
    if (code == VTS_OK) take();
    else x_check(vts_valuetask_on_completed(operation(), takes, NULL, VTS_NONE) == VTS_OK);
}

static void operation_is_over(void) { x_check(vts_pool_outstanding(&pool) == 0); }

static void stopped_and_over(void)
{
    operation_is_over();
    maybe_stopped();
}

// ---- delays ----

static vts_cancellation_source cancellation;
static vts_valuetask delay;
static int ended; /* on the loop: how often the delay ended */

static void setup_delay(void)
{
    setup();
    memset(&cancellation, 0, sizeof cancellation);
    ended = 0;
    x_name(&cancellation, sizeof cancellation, "cancellation", NULL);
    x_name(&cancellation.lock, sizeof(x_word), "cancellation.lock", NULL);
    x_name(&cancellation.state, sizeof(x_word), "cancellation.state", NULL);
}

static void cancel(void) { x_check(vts_cancellation_cancel(&cancellation) == VTS_OK); }

static void delay_ended(void *arg)
{
    int code = vts_valuetask_get_result(*(vts_valuetask *)arg, NULL);

    x_check(vts_loop_is_current(&loop));
    x_check(code == VTS_OK || code == VTS_E_CANCELED);
    if (code == VTS_OK) x_check(vts_now() >= SOON);
    else x_check(vts_cancellation_is_requested(vts_cancellation_token_of(&cancellation)));
    ended++;
}

static void start_delay(void)
{
    delay = vts_delay(&loop, SOON, vts_cancellation_token_of(&cancellation));
}

static void await_delay(void)
{
    x_check(vts_valuetask_on_completed(delay, delay_ended, &delay, VTS_NONE) == VTS_OK);
}

/* Both done while the loop is not run. */
static void setup_delayed(void)
{
    setup_delay();
    start_delay();
    await_delay();
}

static void run_delay(void)
{
    while (ended == 0) x_check(vts_loop_run_once(&loop, VTS_NEVER) >= 0);
    x_check(ended == 1);
}

/* The cancel may still be at it; the loop does not end before its work has run. */
static void run_delay_and_end(void)
{
    run_delay();
    end_loop();
}

static void await_in_loop(vts_work *work)
{
    (void)work;
    if (vts_valuetask_is_completed(delay)) delay_ended(&delay);
    else await_delay();
}

/* Starts it on the loop itself. */
static void start_in_loop(vts_work *work)
{
    start_delay();
    await_in_loop(work);
}

static void setup_delay_on_loop(void)
{
    setup_delay();
    jobs[0].work.run = start_in_loop;
    vts_scheduler_post(&loop.scheduler, &jobs[0].work);
}

/* Starts it on another thread, awaited on the loop. */
static void delay_elsewhere(void)
{
    start_delay();
    jobs[1].work.run = await_in_loop;
    vts_scheduler_post(&loop.scheduler, &jobs[1].work);
}

/* Cancels, and starts another in the same memory as soon as that is free. Cancel has
   posted work that is in that memory. */
static long again, told; /* a word each */
static vts_valuetask second;

static void setup_again(void)
{
    vts_token taken;

    setup_delayed();
    again = told = 0;
    x_check(vts_pool_rent(&loop.delays, &taken) != NULL); /* one is left: the delay's */
}

static void tell(vts_work *work)
{
    (void)work;
    told = 1;
    if (again == 0) return;
    x_check(vts_valuetask_on_completed(second, delay_ended, &second, VTS_NONE) == VTS_OK);
}

static void cancel_and_again(void)
{
    cancel();
    second = vts_delay(&loop, SOON, vts_cancellation_none());
    again = vts_valuetask_get_status(second) == VTS_PENDING;
    jobs[1].work.run = tell;
    vts_scheduler_post(&loop.scheduler, &jobs[1].work);
}

static void run_again(void)
{
    while (told == 0 || ended < 1 + again) {
        x_check(vts_loop_run_once(&loop, VTS_NEVER) >= 0);
    }
    x_check(ended == 1 + again);
}

static void no_delay_is_out(void) { x_check(vts_pool_outstanding(&loop.delays) == 0); }

// ---- timeouts ----

static vts_timeout timeout;
static vts_cancellation_registration registration;

static void setup_timeout(void)
{
    setup_delay();
    memset(&timeout, 0, sizeof timeout);
    memset(&registration, 0, sizeof registration);
    x_name(&timeout, sizeof timeout, "timeout", NULL);
    name_source(&timeout.source, "timeout.source", "timeout.word");
}

static void cancel_operation(void *arg)
{
    int code = vts_source_set_canceled((vts_source *)arg, token, 0);
    x_check(code == VTS_OK || code == VTS_E_ALREADY_COMPLETED || code == VTS_E_STALE);
}

static void setup_timeout_canceling(void)
{
    setup_timeout();
    vts_cancellation_register(vts_cancellation_token_of(&cancellation), &registration,
                              cancel_operation, source);
}

/* When it is over its memory is ours, and the operation is, or goes back by itself. */
static void with_timeout(vts_cancellation_source *cancel_by)
{
    vts_valuetask both = vts_with_timeout(&timeout, operation(), &loop, SOON, cancel_by);
    intptr_t result = 0;
    int code;

    x_check(vts_loop_run_until(&loop, both, VTS_NEVER) == VTS_OK);
    code = vts_valuetask_get_result(both, &result);
    x_check((code == VTS_OK && result == 5) || code == VTS_E_TIMEOUT);
    reuse(&timeout, sizeof timeout);
    if (cancel_by != NULL) {
        x_check(vts_pool_outstanding(&pool) == 0);
        vts_cancellation_unregister(&registration);
        reuse(&cancellation, sizeof cancellation);
    }
    end_loop();
}

static void until_timeout(void) { with_timeout(NULL); }
static void until_timeout_cancels(void) { with_timeout(&cancellation); }

// clang-format off
static const scene scenes[] = {
    {"a poster", setup, {run_all_and_end, post}, NULL, 0, 0, 1},
    {"two posters", setup, {run_all_and_end, post, post}, NULL, 0, 0, 0},
    {"two posters, disturbed", setup, {run_all_and_end, post, post}, NULL, 2, 4, 1},
    {"a park of one's own", setup_own_park, {run_all_and_end, post}, NULL, 0, 0, 1},
    {"a park of one's own, two posters", setup_own_park, {run_all_and_end, post, post}, NULL,
     0, 0, 0},
    {"a poster and a deadline", setup, {run_a_while, post}, run_the_rest, 0, 0, 0},
    {"two posters and a deadline", setup, {run_a_while, post, post}, run_the_rest, 2, 0, 0},
    {"seen asleep", setup_before_sleep, {write_and_run, look_when_parked}, end_loop, 0, 0,
     0},
    {"posted and stopped", setup, {run, post_stop}, one_ran, 0, 0, 1},
    {"posted and stopped, a poster", setup, {run, post_stop, post}, one_ran, 2, 4, 0},
    {"stopped by two", setup, {run, stop, stop}, maybe_stopped, 0, 0, 0},
    {"stopped twice", setup, {run, stop_twice}, maybe_stopped, 0, 0, 1},
    {"run by two", setup, {try_to_run, post, try_to_run}, ran_or_there, 0, 0, 0},
    {"until it is set", setup, {until_set, set}, operation_is_over, 0, 0, 1},
    {"until it is set or soon", setup, {until_soon, set}, operation_is_over, 0, 0, 0},
    {"until it is set or stopped", setup, {until_stopped, set, stop}, stopped_and_over,
     2, 4, 0},
    {"a delay and its cancel", setup_delayed, {run_delay_and_end, cancel}, NULL, 3, 5, 0},
    {"a delay on the loop and its cancel", setup_delay_on_loop, {run_delay_and_end, cancel},
     NULL, 3, 5, 0},
    {"a delay from elsewhere", setup_delay, {run_delay_and_end, delay_elsewhere}, NULL,
     3, 5, 0},
    {"a delay from elsewhere and its cancel", setup_delay,
     {run_delay, delay_elsewhere, cancel}, no_delay_is_out, 2, 3, 0},
    {"a delay, its cancel, another", setup_again, {run_again, cancel_and_again}, NULL, 3, 4,
     0},
    {"a timeout", setup_timeout, {until_timeout, set}, operation_is_over, 3, 5, 0},
    {"a timeout that cancels", setup_timeout_canceling, {until_timeout_cancels, set},
     operation_is_over, 3, 5, 0},
};
// clang-format on

int main(int argc, char **argv)
{
    x_options(argc, argv);
    run_scenes(scenes, sizeof scenes / sizeof scenes[0]);
    return x_status();
}
