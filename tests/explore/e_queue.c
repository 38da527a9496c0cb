/* The run queue: what is posted runs once, in order, on one drainer at a time, and a
   drain that waits to be woken misses nothing. */
#include "tests/explore/shipped.h"

static vts_run_queue queue;
static x_word woken; /* the event that a post sets and the drainer's wait resets */

/* A piece of work of poster i. Its payload is plain: the post publishes it. */
typedef struct job {
    vts_work work;
    long payload;
    int poster, number;
} job;
#define POSTERS 3
#define EACH 3
static job jobs[POSTERS][EACH];
static int ran[POSTERS];   /* how many of each: they run in order; drainers' alone */
static int posts[POSTERS]; /* of each thread; 0: it drains */
static int drains;
static int failures; /* of weak swaps, per thread */

static void run_job(vts_work *work)
{
    job *j = vts__container_of(work, job, work);

    x_check(vts_scheduler_current() == &queue.scheduler);
    x_check(j->payload == 7);
    j->payload = 8;
    x_check(ran[j->poster] == j->number);
    ran[j->poster]++;
}

static void wake(void *user) { x_store((x_word *)user, 1, X_REL); }

static void setup(void)
{
    int i, k;

    forget_threads();
    vts_run_queue_init(&queue, wake, &woken);
    woken = 0;
    for (i = 0; i < POSTERS; i++) {
        ran[i] = 0;
        for (k = 0; k < EACH; k++) {
            jobs[i][k] = (job){{{NULL}, run_job}, 0, i, k};
        }
    }
    x_name(&queue.head, sizeof queue.head, "queue.head", NULL);
    x_name(&queue.draining, sizeof queue.draining, "queue.draining", NULL);
    x_name(&woken, sizeof woken, "woken", NULL);
    x_name(jobs, sizeof jobs, "jobs", NULL);
    x_name(ran, sizeof ran, "ran", NULL);
}

/* A poster posts; others drain whenever they are woken. */
static void post_or_drain(int id)
{
    int k;

    for (k = 0; k < posts[id]; k++) {
        jobs[id][k].payload = 7;
        vts_scheduler_post(&queue.scheduler, &jobs[id][k].work);
    }
    for (k = 0; posts[id] == 0 && k < drains; k++) {
        if (x_exchange(&woken, 0, X_ACQ_REL) == 0) continue;
        x_check(vts_run_queue_drain(&queue) >= 0);
    }
}

/* Nothing is left in the queue unless somebody was told. */
static void finish_woken(void)
{
    int i;

    x_check(vts_run_queue_is_empty(&queue) || woken == 1);
    if (woken == 1) x_check(vts_run_queue_drain(&queue) >= 0);
    for (i = 0; i < POSTERS; i++) x_check(ran[i] == posts[i]);
}

/* Two drain, whether there is something or not: one at a time. */
static void post_or_try(int id)
{
    int k, count;

    for (k = 0; k < posts[id]; k++) {
        jobs[id][k].payload = 7;
        vts_scheduler_post(&queue.scheduler, &jobs[id][k].work);
    }
    for (k = 0; posts[id] == 0 && k < drains; k++) {
        vts_run_queue_is_empty(&queue);
        count = vts_run_queue_drain(&queue);
        x_check(count >= 0 || count == VTS_E_BUSY);
        x_count(0, count >= 0 ? count : 0);
    }
}

static void finish_tried(void)
{
    int i, all = 0;

    x_count(0, vts_run_queue_drain(&queue));
    for (i = 0; i < POSTERS; i++) {
        x_check(ran[i] == posts[i]);
        all += posts[i];
    }
    x_check(x_count(0, 0) == all);
}

/* Work that posts itself again while it runs is run by the next drain. */
static void run_again(vts_work *work)
{
    job *j = vts__container_of(work, job, work);

    ran[j->poster]++;
    if (--j->payload > 0) vts_scheduler_post(&queue.scheduler, work);
}

static void post_again(int id)
{
    int k;

    if (id > 0) {
        jobs[id][0].work.run = run_again;
        jobs[id][0].payload = 2;
        vts_scheduler_post(&queue.scheduler, &jobs[id][0].work);
        return;
    }
    for (k = 0; k < 2; k++) x_check(vts_run_queue_drain(&queue) <= 2);
}

static void finish_again(void)
{
    int i;

    for (i = 0; i < 4; i++) vts_run_queue_drain(&queue);
    for (i = 1; i < x_scene->threads; i++) x_check(ran[i] == 2);
    x_check(vts_run_queue_is_empty(&queue));
}

/* What threads post; 0 drains, turns times. */
static void run(const char *name, void (*thread)(int id), void (*finish)(void),
                const int *what, int threads, int turns)
{
    x_scenario scenario = {0};
    int i;

    for (i = 0; i < POSTERS; i++) posts[i] = i < threads ? what[i] : 0;
    drains = turns;
    scenario.name = name;
    scenario.threads = threads;
    scenario.setup = setup;
    scenario.thread = thread;
    scenario.finish = finish;
    scenario.spurious = failures;
    x_explore(&scenario);
}

int main(int argc, char **argv)
{
    x_options(argc, argv);
    x_on_switch = switch_self;
    run("a poster and a drainer", post_or_drain, finish_woken, (int[]){3, 0}, 2, 4);
    run("two posters and a drainer", post_or_drain, finish_woken, (int[]){2, 2, 0}, 3, 3);
    run("three posters", post_or_drain, finish_woken, (int[]){1, 1, 2}, 3, 0);
    run("a poster and two drainers", post_or_try, finish_tried, (int[]){2, 0, 0}, 3, 1);
    run("two drainers, twice", post_or_try, finish_tried, (int[]){1, 0, 0}, 3, 2);
    run("posted again by what runs", post_again, finish_again, (int[]){0, 0}, 2, 0);
    run("posted again by what runs, twice", post_again, finish_again, (int[]){0, 0, 0}, 3,
        0);
    failures = 1; /* a drain whose swap fails is told that another is going on */
    run("two posters, weak swaps", post_or_try, finish_tried, (int[]){2, 2}, 2, 0);
    run("three posters, weak swaps", post_or_try, finish_tried, (int[]){1, 1, 1}, 3, 0);
    run("two posters and a drainer, weak swaps", post_or_try, finish_tried,
        (int[]){1, 1, 0}, 3, 1);
    return x_status();
}
