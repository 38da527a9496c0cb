/* main_loop.c - continuations on the main thread, and a timeout that races the result

   Teaches how a worker thread hands results to a thread that has a loop: with
   VTS_USE_SCHEDULING_CONTEXT a continuation runs where it was registered, through
   vts_run_queue; the queue's wake ends the loop's sleep on a condition variable.
   Each job has two completers, the worker and a timeout. Neither knows of the other,
   and no lock is between them: one wins, the other is told so. */
#define VTS_IMPLEMENTATION
#include "vts.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// ---- the clock -------------------------------------------------------------------

/* What a condition variable can wait by; a clock that is never set, where it can. */
#if defined __APPLE__
#define LOOP_CLOCK CLOCK_REALTIME
#else
#define LOOP_CLOCK CLOCK_MONOTONIC
#endif

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(LOOP_CLOCK, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct timespec time_of(int64_t ms)
{
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    return time;
}

static void sleep_until(int64_t ms)
{
    int64_t now;

    while ((now = now_ms()) < ms) {
        struct timespec rest = time_of(ms - now);
        nanosleep(&rest, NULL);
    }
}

// ---- the loop --------------------------------------------------------------------

typedef struct loop {
    vts_run_queue queue;
    pthread_mutex_t lock; /* guards woken                                             */
    pthread_cond_t changed;
    bool woken;
    pthread_t thread;
} loop;

/* Called by the post that finds the queue empty, on the posting thread. */
static void loop_wake(void *user)
{
    loop *self = user;

    pthread_mutex_lock(&self->lock);
    self->woken = true;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static void loop_init(loop *self)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
#if !defined __APPLE__
    pthread_condattr_setclock(&attributes, LOOP_CLOCK);
#endif
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    self->woken = false;
    self->thread = pthread_self();
    vts_run_queue_init(&self->queue, loop_wake, self);
    /* From here on, a registration on this thread can ask to be run on this thread. */
    vts_scheduler_set_current(&self->queue.scheduler);
}

/* Until somebody posts, or the time has come. A post that comes before the sleep is not
   missed: it leaves woken behind. */
static void loop_sleep(loop *self, int64_t until_ms)
{
    struct timespec until = time_of(until_ms);
    int error = 0;

    pthread_mutex_lock(&self->lock);
    while (!self->woken && error != ETIMEDOUT) {
        error = pthread_cond_timedwait(&self->changed, &self->lock, &until);
    }
    self->woken = false;
    pthread_mutex_unlock(&self->lock);
}

// ---- the jobs --------------------------------------------------------------------

#define JOBS 3
#define NOT_YET 1 /* no completing call returns it */

typedef struct job {
    const char *name;
    int work_ms, timeout_ms;
    vts_source *source;
    vts_token token;
    vts_valuetask task;
    int worker_told, timeout_told; /* what each completer's call returned             */
    int took_ms;                   /* the worker's result                             */
    int error;                     /* what the caller gets                            */
    intptr_t result;
    int runs; /* of the continuation                                                  */
} job;

static job jobs[JOBS] = {
    {.name = "quick", .work_ms = 20, .timeout_ms = 120},
    {.name = "close", .work_ms = 60, .timeout_ms = 60},
    {.name = "slow", .work_ms = 160, .timeout_ms = 90},
};
static loop the_loop;
static vts_pool pool;
static int64_t start_ms;
static int wrong;

static void claim(bool holds, const job *self, const char *what)
{
    if (holds) return;
    wrong++;
    fprintf(stderr, "WRONG: %s: it is not so that %s\n", self->name, what);
}

/* One line, in one piece: two threads write. */
static void say(const job *self, const char *who, const char *what, int answer)
{
    const char *told = answer == VTS_OK                    ? "wins"
                       : answer == VTS_E_ALREADY_COMPLETED ? "loses: already completed"
                                                           : "is too late: stale";
    printf("%4d ms  %-8s %-6s %s %s\n", (int)(now_ms() - start_ms), who, self->name,
           what, told);
}

/* Runs on the loop's thread, whoever completed the operation. */
static void on_done(void *arg)
{
    job *self = arg;

    self->runs++;
    self->error = vts_valuetask_get_result(self->task, &self->result);
    claim(pthread_equal(pthread_self(), the_loop.thread) != 0, self,
          "the continuation runs on the main thread");
    printf("%4d ms  main     %-6s continuation has a %s\n", (int)(now_ms() - start_ms),
           self->name, self->error == VTS_OK ? "result" : "timeout");
}

static void start_job(job *self)
{
    int error;

    self->worker_told = self->timeout_told = NOT_YET;
    self->source = vts_pool_rent(&pool, &self->token);
    if (self->source == NULL) abort();
    self->task = vts_valuetask_of(self->source, self->token);
    error = vts_valuetask_on_completed(self->task, on_done, self,
                                       VTS_USE_SCHEDULING_CONTEXT);
    claim(error == VTS_OK, self, "the continuation is registered");
}

/* One completer: a thread of its own, in the place of a slow device. Its result is the
   time that it really took. */
static void *run_worker(void *arg)
{
    int i;

    (void)arg;
    for (i = 0; i < JOBS; i++) {
        job *self = &jobs[i];
        sleep_until(start_ms + self->work_ms);
        self->took_ms = (int)(now_ms() - start_ms);
        self->worker_told =
            vts_source_set_result(self->source, self->token, self->took_ms);
        say(self, "worker", "set_result", self->worker_told);
    }
    return NULL;
}

/* The other: time is up. It fires even for a job that is done long since, to show that
   this is harmless: its token names an operation that is over. */
static void fire_timeouts(void)
{
    int i;

    for (i = 0; i < JOBS; i++) {
        job *self = &jobs[i];
        if (self->timeout_told != NOT_YET) continue;
        if (now_ms() < start_ms + self->timeout_ms) continue;
        self->timeout_told =
            vts_source_set_error(self->source, self->token, -ETIMEDOUT);
        say(self, "timeout", "set_error", self->timeout_told);
    }
}

/* How long the loop may sleep; when all have fired, only a wake ends it. */
static int64_t next_timeout(void)
{
    int64_t next = start_ms + 3600000;
    int i;

    for (i = 0; i < JOBS; i++) {
        int64_t at = start_ms + jobs[i].timeout_ms;
        if (jobs[i].timeout_told == NOT_YET && at < next) next = at;
    }
    return next;
}

static bool all_done(void)
{
    int i;

    for (i = 0; i < JOBS; i++) {
        if (jobs[i].runs == 0 || jobs[i].timeout_told == NOT_YET) return false;
    }
    return true;
}

/* Drains after each sleep, whatever ended it: what is posted later wakes it again. */
static void run_loop(void)
{
    while (!all_done()) {
        loop_sleep(&the_loop, next_timeout());
        vts_run_queue_drain(&the_loop.queue);
        fire_timeouts();
    }
}

/* Who wins depends on the machine's mood; that one does, and what follows, does not. */
static void check_job(const job *self)
{
    bool by_worker = self->worker_told == VTS_OK;
    int loser = by_worker ? self->timeout_told : self->worker_told;

    claim(by_worker != (self->timeout_told == VTS_OK), self, "one completer wins");
    claim(loser == VTS_E_ALREADY_COMPLETED || loser == VTS_E_STALE, self,
          "the other is told");
    claim(self->runs == 1, self, "the continuation runs once");
    claim(self->error == (by_worker ? VTS_OK : -ETIMEDOUT), self,
          "the caller gets what the winner says");
    claim(!by_worker || self->result == self->took_ms, self,
          "the result is the worker's");
}

int main(void)
{
    vts_pool_desc desc = {0};
    pthread_t worker;
    int i;

    if (vts_pool_init(&pool, &desc) != VTS_OK) abort();
    loop_init(&the_loop);
    start_ms = now_ms();
    for (i = 0; i < JOBS; i++) start_job(&jobs[i]);
    if (pthread_create(&worker, NULL, run_worker, NULL) != 0) abort();
    run_loop();
    /* A completer that lost may still be on its way: the pool has to outlive it. */
    pthread_join(worker, NULL);
    for (i = 0; i < JOBS; i++) check_job(&jobs[i]);
    if (vts_pool_destroy(&pool) != VTS_OK) wrong++;
    if (wrong == 0) printf("Each job was completed once, by one of two.\n");
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
