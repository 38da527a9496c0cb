/* monitor.h - what the three article programs share, because it is not their lesson

     the clock        now_ms, sleep_ms
     the statistics   what the monitor measures, and the value task that carries it
     the cache        the last sample and whether it is fresh enough
     the narration    say, scene; which calls a value task makes on its source
     the claims       each program checks what it tells
     the caller       who awaits: the same code whatever source is behind the handle

   Include it after vts.h. One file, one program: everything is static. */
#ifndef MONITOR_H
#define MONITOR_H

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// ---- the clock -------------------------------------------------------------------

static inline int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) != 0) {}
}

// ---- the statistics --------------------------------------------------------------

#define MEASURE_MS 50

/* What the monitor knows about this process and its machine. */
typedef struct pc_statistics {
    int number;      /* the first sample is 1                                         */
    long memory_kib; /* this process has in memory; -1: the system does not tell      */
    long cpu_us;     /* processor time this process took while it was measured        */
    double load;     /* of the machine, last minute; -1: the system does not tell     */
} pc_statistics;

/* statistics_valuetask, statistics_source and their functions: a result of any size. */
VTS_DECLARE_VALUETASK(statistics, pc_statistics);

static inline long memory_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long all, resident, kib = -1;

    if (file == NULL) return -1;
    if (fscanf(file, "%ld %ld", &all, &resident) == 2) {
        kib = resident * (sysconf(_SC_PAGESIZE) / 1024);
    }
    fclose(file);
    return kib;
}

static inline double load_average(void)
{
    FILE *file = fopen("/proc/loadavg", "r");
    double load = -1;

    if (file == NULL) return -1;
    if (fscanf(file, "%lf", &load) != 1) load = -1;
    fclose(file);
    return load;
}

/* Takes MEASURE_MS: that is why the monitor has a cache, and why callers wait. */
static inline pc_statistics measure(int number)
{
    pc_statistics sample;
    clock_t start = clock();

    sleep_ms(MEASURE_MS);
    sample.number = number;
    sample.cpu_us = (long)((double)(clock() - start) * 1e6 / CLOCKS_PER_SEC);
    sample.memory_kib = memory_kib();
    sample.load = load_average();
    return sample;
}

// ---- the cache -------------------------------------------------------------------

/* The last sample; guarded by the lock of the monitor it belongs to. */
typedef struct cache {
    bool filled;
    int64_t taken_ms;
    pc_statistics last;
} cache;

static inline bool cache_is_fresh(const cache *self, int max_age_ms)
{
    return self->filled && now_ms() - self->taken_ms < max_age_ms;
}

static inline void cache_store(cache *self, const pc_statistics *sample)
{
    self->filled = true;
    self->taken_ms = now_ms();
    self->last = *sample;
}

// ---- the narration ---------------------------------------------------------------

#define NO_CACHE 0     /* an age that no sample has: a new one has to be taken */
#define ANY_AGE 600000 /* an age that every sample of this short story has     */

#if defined __GNUC__
#define PRINTS __attribute__((format(printf, 1, 2)))
#else
#define PRINTS
#endif

/* Who speaks: each thread says its name at the start of the line. */
static _Thread_local const char *thread_name = "main";

/* One line, in one piece: two threads write. */
PRINTS static inline void say(const char *format, ...)
{
    char line[200];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    printf("  %-8s %s\n", thread_name, line);
}

static inline void story(const char *title)
{
    printf("%s\n", title);
    printf("(each line: who speaks; -> is a call that a handle makes on its source, "
           "!! misuse)\n");
}

static inline void scene(const char *title) { printf("\n%s\n", title); }

static inline void say_statistics(const char *what, const pc_statistics *s)
{
    say("%s sample %d: memory %ld KiB, load %.2f, %ld us of CPU in %d ms", what,
        s->number, s->memory_kib, s->load, s->cpu_us, MEASURE_MS);
}

/* How often a value task called its source, since path_begin. */
typedef struct path {
    pthread_mutex_t lock;
    int calls[3];
    bool quiet;
} path;

static path the_path = {PTHREAD_MUTEX_INITIALIZER, {0, 0, 0}, false};

static inline void path_begin(bool quiet)
{
    pthread_mutex_lock(&the_path.lock);
    the_path.calls[VTS_TRACE_GET_STATUS] = 0;
    the_path.calls[VTS_TRACE_ON_COMPLETED] = 0;
    the_path.calls[VTS_TRACE_GET_RESULT] = 0;
    the_path.quiet = quiet;
    pthread_mutex_unlock(&the_path.lock);
}

static inline bool path_was(int get_status, int on_completed, int get_result)
{
    bool same;

    pthread_mutex_lock(&the_path.lock);
    same = the_path.calls[VTS_TRACE_GET_STATUS] == get_status &&
           the_path.calls[VTS_TRACE_ON_COMPLETED] == on_completed &&
           the_path.calls[VTS_TRACE_GET_RESULT] == get_result;
    pthread_mutex_unlock(&the_path.lock);
    return same;
}

/* For vts_set_trace_hook: hears of every call a value task makes on its source, when it
   has returned. A failure known at once has its error in place of the token. */
static inline void print_path(void *user, vts_trace_event event,
                              const vts_valuetask_source *source, vts_token token,
                              int answer)
{
    static const char *const name[] = {"get_status", "on_completed", "get_result"};
    static const char *const status[] = {"pending", "succeeded", "faulted", "canceled"};
    const char *kind = (intptr_t)token < 0 ? "error" : "token";
    const char *word = event == VTS_TRACE_GET_STATUS ? status[answer & 3] : "ok";
    char number[16];
    bool quiet;

    (void)user;
    (void)source;
    pthread_mutex_lock(&the_path.lock);
    the_path.calls[event]++;
    quiet = the_path.quiet;
    pthread_mutex_unlock(&the_path.lock);
    if (quiet) return;
    snprintf(number, sizeof number, "%d", answer);
    say("  -> %s(%s %" PRIdPTR "): %s", name[event], kind, (intptr_t)token,
        answer < 0 ? number : word);
}

/* For vts_set_misuse_hook: hears of a call that its handle has no right to. It speaks
   inside the call, so its line stands before the call's own. */
static inline void print_misuse(void *user, int code, const char *text,
                                const void *source, vts_token token)
{
    (void)user;
    (void)source;
    (void)token;
    say("  !! %d, %s", code, text);
}

// ---- the claims ------------------------------------------------------------------

static int broken_claims;

/* What the story says must be so; from the main thread. */
static inline void claim(bool holds, const char *what)
{
    if (holds) return;
    broken_claims++;
    fflush(stdout);
    fprintf(stderr, "WRONG: it is not so that %s\n", what);
}

static inline int the_end(void)
{
    if (broken_claims == 0) printf("\nAll of it was checked, and is so.\n");
    return broken_claims == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

// ---- the caller ------------------------------------------------------------------

/* Who awaits a value task: what comes out, and where to wait for it. */
typedef struct caller {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    statistics_valuetask task;
    pc_statistics result;
    int error;
    const char *thread; /* that took the result                                       */
    bool done;
    bool quiet;
} caller;

static inline void caller_init(caller *self, statistics_valuetask task)
{
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    self->task = task;
    self->done = false;
    self->quiet = false;
}

/* The continuation, and what an answer at once leads to as well: takes the result. */
static inline void caller_take(void *arg)
{
    caller *self = arg;
    pc_statistics result = {0, 0, 0, 0};
    int error = statistics_get_result(self->task, &result);

    if (error != VTS_OK) say("no result: %s", vts_strerror(error));
    if (error == VTS_OK && !self->quiet) say_statistics("has", &result);
    pthread_mutex_lock(&self->lock);
    self->result = result;
    self->error = error;
    self->thread = thread_name;
    self->done = true;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

/* What `await` does in other languages: goes on at once if the result is there, else
   says what runs when it is. */
static inline void caller_await(caller *self)
{
    int error;

    if (statistics_is_completed(self->task)) {
        caller_take(self);
        return;
    }
    error = statistics_on_completed(self->task, caller_take, self, VTS_NONE);
    claim(error == VTS_OK, "a pending operation takes a continuation");
    if (error == VTS_OK && !self->quiet) say("does not block: a continuation waits");
}

static inline bool caller_was_run_by(const caller *self, const char *thread)
{
    return strcmp(self->thread, thread) == 0;
}

/* Only for the story: main has nothing else to do. The caller is over then. */
static inline void caller_wait(caller *self)
{
    pthread_mutex_lock(&self->lock);
    while (!self->done) pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
}

/* Only for the story, too: lets the completion come before the registration. */
static inline void wait_until_completed(statistics_valuetask task)
{
    path_begin(true);
    while (!statistics_is_completed(task)) sleep_ms(1);
    path_begin(false);
}

#endif /* MONITOR_H */
