/* The thread pool: what is posted runs once, nobody sleeps for good while there is work,
   and a pool that is told to end does, when all is done. The rings have two places, so that
   they overflow; a worker does not look in vain before it sleeps. */
#define VTS__RING 2u
#define VTS__SPINS 0

/* A worker that would try again until another has split the backlog stands still till
   then. */
#include "tests/explore/explore.h"
#include <pthread.h>
#include <sched.h>
#define sched_yield() x_spin(&pool->backlog, VTS__SPLITTING)
#define pthread_join(thread, result) ((void)0) /* the scenario ends when all have */
#include "tests/explore/model.h"

static vts_threadpool *pool;
static unsigned workers = 2;

typedef struct job {
    vts_work work;
    long payload; /* plain: the post publishes it */
    int posts;    /* this many more, when it runs... */
    x_word waits; /* ... and blocks until so many have run */
} job;

enum { JOBS = 8 };
static job jobs[JOBS];
static x_word used, ran;

/* The next job; posted from wherever this is. */
static void post(int more)
{
    job *j = &jobs[x_add(&used, 1, X_RLX)];

    j->payload = 7;
    j->posts = more;
    vts_scheduler_post(vts_threadpool_scheduler(pool), &j->work);
}

/* Blocks until so many have run. */
static void until_ran(x_word count)
{
    x_word now = x_load(&ran, X_ACQ);

    while (now < count) {
        x_spin(&ran, now);
        now = x_load(&ran, X_ACQ);
    }
}

static void run_job(vts_work *work)
{
    job *j = (job *)(void *)work;
    int i;

    x_check(vts_scheduler_current() == vts_threadpool_scheduler(pool));
    x_check(j->payload == 7);
    j->payload = 8;
    for (i = 0; i < j->posts; i++) post(0);
    until_ran(j->waits);
    x_add(&ran, 1, X_RLX);
}

static void name_worker(int i, const char *whole, const char *head, const char *tail)
{
    vts__worker *worker = &pool->worker[i];

    x_name(worker, sizeof *worker, whole, NULL);
    x_name(&worker->head, sizeof(x_word), head, NULL);
    x_name(&worker->tail, sizeof(x_word), tail, NULL);
}

static void setup(void)
{
    unsigned i;

    forget_threads();
    forget_arena();
    used = ran = 0;
    for (i = 0; i < JOBS; i++) jobs[i] = (job){{{NULL}, run_job}, 0, 0, 0};
    pool = vts__threadpool_new(&arena_allocator, workers);
    x_name(pool, sizeof *pool, "pool", NULL);
    x_name(&pool->posted, sizeof(x_word), "posted", NULL);
    x_name(&pool->backlog, sizeof(x_word), "backlog", NULL);
    x_name(&pool->idle, sizeof(x_word), "idle", NULL);
    x_name(&pool->permits, sizeof(x_word), "permits", NULL);
    x_name(&pool->stopping, sizeof(x_word), "stopping", NULL);
    name_worker(0, "worker 0", "head 0", "tail 0");
    if (workers > 1) name_worker(1, "worker 1", "head 1", "tail 1");
    x_name(jobs, sizeof jobs, "jobs", NULL);
}

static void work(void) { vts__worker_run(&pool->worker[x_now]); }

static void stop(void) { vts__threadpool_stop(pool, workers); }

static void post_stop(void)
{
    post(0);
    stop();
}

/* Nothing but the post itself can wake who runs it. */
static void post_wait_stop(void)
{
    post(0);
    until_ran(1);
    stop();
}

static void post_two_wait_stop(void)
{
    post(0);
    post(0);
    until_ran(2);
    stop();
}

static void wait_stop(void)
{
    until_ran(2);
    stop();
}

static void post_two_stop(void)
{
    post(0);
    post_stop();
}

static void post_three_stop(void)
{
    post(0);
    post_two_stop();
}

static void post_one_that_posts_stop(void)
{
    post(1);
    stop();
}

/* More than a ring has. */
static void post_one_that_posts_three_stop(void)
{
    post(3);
    stop();
}

static void all_ran(void)
{
    x_word i;

    x_check(ran == used);
    for (i = 0; i < used; i++) x_check(jobs[i].payload == 8);
    x_check(pool->posted == 0 && pool->backlog == 0);
    for (i = 0; i < workers; i++) x_check(pool->worker[i].head == pool->worker[i].tail);
    vts__threadpool_free(pool);
    check_freed();
}

// ---- one worker and what is there from the beginning ----

static void setup_posted(int count, int more)
{
    setup();
    while (count-- > 0) post(more);
}

static void setup_one(void) { setup_posted(1, 0); }
static void setup_three(void) { setup_posted(3, 0); }
static void setup_four(void) { setup_posted(4, 0); }
static void setup_posts_three(void) { setup_posted(1, 3); }

/* It blocks for what it posts, which another has to run. */
static void setup_blocking(void)
{
    setup_posted(1, 1);
    jobs[0].waits = 1;
}

static void setup_blocking_two(void)
{
    setup_posted(1, 2);
    jobs[0].waits = 2;
}

/* Of three that one takes at a time, the second, in its ring, blocks until the third has
   run, which did not fit. */
static void setup_third_first(void)
{
    setup();
    jobs[1].waits = 2;
}

/* It is about to look around: at what is posted to all, and at the other's ring. */
static void setup_looking_around(void)
{
    setup_posted(2, 1);
    pool->worker[0].turn = VTS__FAIRNESS - 2;
    pool->worker[1].turn = 3 * VTS__FAIRNESS - 2;
}

// clang-format off
static const scene two_workers[] = {
    {"told to end", setup, {work, work, stop}, all_ran, 2, 4, 0},
    {"a work", setup, {work, work, post_stop}, all_ran, 2, 3, 0},
    {"two works", setup, {work, work, post_two_stop}, all_ran, 1, 3, 0},
    {"three works", setup, {work, work, post_three_stop}, all_ran, 1, 2, 0},
    {"a work that posts", setup, {work, work, post_one_that_posts_stop}, all_ran, 1, 3, 0},
    {"a work, ended when it ran", setup, {work, work, post_wait_stop}, all_ran, 2, 3, 0},
    {"two works, ended when they ran", setup, {work, work, post_two_wait_stop}, all_ran, 1, 2,
     0},
    {"one blocks for what it posts", setup_blocking, {work, work, stop}, all_ran, 2, 3, 0},
    {"one blocks for two", setup_blocking_two, {work, work, stop}, all_ran, 1, 2, 0},
    {"one blocks for the rest", setup_third_first, {work, work, post_three_stop}, all_ran,
     2, 3, 0},
    {"one blocks, ended later", setup_blocking, {work, work, wait_stop}, all_ran, 1, 3, 0},
    {"a work that posts three", setup, {work, work, post_one_that_posts_three_stop},
     all_ran, 1, 2, 0},
    {"one is there", setup_one, {work, work, stop}, all_ran, 2, 3, 0},
    {"three are there", setup_three, {work, work, stop}, all_ran, 1, 2, 0},
    {"four are there, disturbed", setup_four, {work, work, stop}, all_ran, 1, 2, 1},
    {"one is there that posts three", setup_posts_three, {work, work, stop}, all_ran, 1, 2,
     0},
    {"they look around", setup_looking_around, {work, work, stop}, all_ran, 1, 2, 0},
};
static const scene one_worker[] = {
    {"one worker, told to end", setup, {work, stop}, all_ran, 0, 0, 1},
    {"one worker, a work", setup, {work, post_stop}, all_ran, 0, 0, 0},
    {"one worker, a work, ended when it ran", setup, {work, post_wait_stop}, all_ran, 0, 0,
     0},
    {"one worker, two works, ended when they ran", setup, {work, post_two_wait_stop},
     all_ran, 3, 5, 0},
    {"one worker, two works", setup, {work, post_two_stop}, all_ran, 4, 0, 0},
    {"one worker, three are there", setup_three, {work, post_stop}, all_ran, 4, 0, 0},
};
// clang-format on

int main(int argc, char **argv)
{
    x_options(argc, argv);
    workers = 1;
    run_scenes(one_worker, sizeof one_worker / sizeof one_worker[0]);
    workers = 2;
    run_scenes(two_workers, sizeof two_workers / sizeof two_workers[0]);
    return x_status();
}
