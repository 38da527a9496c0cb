/* The rings of the thread pool by themselves: a worker here does a call or two and stands
   still, as one does that blocks. What is pushed is taken once and seen whole, whoever
   takes it, and nobody sleeps beside what is left for him. Smaller than a whole pool, and
   with rings of which a thief takes more than one. */
#define VTS__RING 4u

#include "tests/explore/model.h"

static vts_threadpool *pool;

typedef struct job {
    vts_work work;
    long payload; /* plain: the push publishes it */
} job;

enum { WORKERS = 3, JOBS = 6 };
static job jobs[JOBS];
static x_word used;

static vts__worker *self(void) { return &pool->worker[x_now]; }

static vts_work *fresh(void)
{
    job *j = &jobs[x_add(&used, 1, X_RLX)];

    j->payload = 7;
    return &j->work;
}

static void run(vts_work *work)
{
    job *j = (job *)(void *)work;

    if (j == NULL) return;
    x_check(j->payload == 7);
    j->payload = 8;
}

static void setup(void)
{
    static const char *const whole[] = {"worker 0", "worker 1", "worker 2"};
    static const char *const head[] = {"head 0", "head 1", "head 2"};
    static const char *const tail[] = {"tail 0", "tail 1", "tail 2"};
    int i;

    forget_threads();
    forget_arena();
    used = 0;
    memset(jobs, 0, sizeof jobs);
    pool = vts__threadpool_new(&arena_allocator, WORKERS);
    x_name(pool, sizeof *pool, "pool", NULL);
    x_name(&pool->posted, sizeof(x_word), "posted", NULL);
    x_name(&pool->backlog, sizeof(x_word), "backlog", NULL);
    x_name(&pool->idle, sizeof(x_word), "idle", NULL);
    x_name(&pool->permits, sizeof(x_word), "permits", NULL);
    for (i = 0; i < WORKERS; i++) {
        vts__worker *worker = &pool->worker[i];
        x_name(worker, sizeof *worker, whole[i], NULL);
        x_name(&worker->head, sizeof(x_word), head[i], NULL);
        x_name(&worker->tail, sizeof(x_word), tail[i], NULL);
    }
    x_name(jobs, sizeof jobs, "jobs", NULL);
}

static void setup_ring(int count)
{
    setup();
    while (count-- > 0) x_check(vts__ring_push(&pool->worker[0], fresh()));
}

static void setup_three(void) { setup_ring(3); }
static void setup_full(void) { setup_ring(VTS__RING); }

static void setup_posted(void)
{
    int i;

    setup();
    for (i = 0; i < 4; i++) vts__stack_push(&pool->posted, fresh());
}

// ---- what a worker does ----

static void push(void) { x_check(vts__ring_push(self(), fresh())); }
static void take(void) { run(vts__ring_take(self())); }
static void take_of_0(void) { run(vts__ring_take(&pool->worker[0])); }
static void take_of_1(void) { run(vts__ring_take(&pool->worker[1])); }
static void steal(void) { run(vts__ring_steal(self(), &pool->worker[0])); }
static void refill(void) { run(vts__threadpool_refill(self())); }

static void push_two(void)
{
    push();
    push();
}

/* The slot that is free again is filled again. */
static void take_push_take(void)
{
    take();
    push();
    take();
}

static void steal_twice(void)
{
    steal();
    steal();
}

/* To the own ring, and wakes. */
static void post(void)
{
    vts__self.worker = self();
    vts_scheduler_post(&pool->scheduler, fresh());
}

static void post_two(void)
{
    post();
    post();
}

/* From outside. */
static void post_to_all(void) { vts_scheduler_post(&pool->scheduler, fresh()); }

/* More than who refills can have. */
static void post_four_to_all(void)
{
    int i;
    for (i = 0; i < 4; i++) post_to_all();
}

/* There is one for it, or will be. What another takes apart is waited for awake. */
static void find(void)
{
    vts_work *work;

    while ((work = vts__worker_find(self())) == NULL) {
        bool splitting = vts__load_acq(&pool->backlog) == VTS__SPLITTING;
        if (splitting) x_spin(&pool->backlog, VTS__SPLITTING);
        else vts__worker_sleep(pool);
    }
    run(work);
}

/* What nobody took is there; then each was taken, and none twice. */
static void all_taken(void)
{
    vts_work *work;
    x_word i;

    while ((work = vts__threadpool_refill(&pool->worker[0])) != NULL) run(work);
    for (i = 0; i < WORKERS; i++) {
        while ((work = vts__ring_take(&pool->worker[i])) != NULL) run(work);
    }
    for (i = 0; i < used; i++) x_check(jobs[i].payload == 8);
    vts__threadpool_free(pool);
    check_freed();
}

// clang-format off
static const scene scenes[] = {
    {"two are pushed, one is taken", setup, {push_two, take_of_0}, all_taken, 0, 0, 0},
    {"two are pushed, a thief", setup, {push_two, steal}, all_taken, 0, 0, 0},
    {"two are pushed, a thief, one is taken of it", setup, {push_two, steal, take_of_1},
     all_taken, 3, 5, 0},
    {"a full ring, one is taken", setup_full, {take_push_take, take_of_0}, all_taken, 0, 0, 0},
    {"a full ring, a thief", setup_full, {take_push_take, steal}, all_taken, 0, 0, 0},
    {"a full ring, two thieves", setup_full, {take, steal, steal}, all_taken, 3, 5, 0},
    {"a full ring, a thief, one is taken of it", setup_full, {take, steal_twice, take_of_1},
     all_taken, 3, 5, 0},
    {"two refill", setup_posted, {refill, refill}, all_taken, 0, 0, 0},
    {"one refills, a thief", setup_posted, {refill, steal}, all_taken, 0, 0, 0},
    {"two refill, one is taken", setup_posted, {refill, refill, take_of_0}, all_taken, 3, 5, 0},
    {"a post and a sleeper", setup, {post, find}, all_taken, 0, 0, 1},
    {"a post to all and a sleeper", setup, {post_to_all, find}, all_taken, 0, 0, 1},
    {"two posts and two sleepers", setup, {post_two, find, find}, all_taken, 2, 3, 0},
    {"one refills, two sleepers", setup, {refill, find, find, post_four_to_all}, all_taken,
     2, 3, 0},
    {"an owner, a thief, a sleeper", setup_three, {take, steal, find}, all_taken, 3, 5, 0},
};
// clang-format on

int main(int argc, char **argv)
{
    x_options(argc, argv);
    run_scenes(scenes, sizeof scenes / sizeof scenes[0]);
    return x_status();
}
