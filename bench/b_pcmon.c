/* b_pcmon.c - the PC monitor: a fresh read, by one and two threads, a sampling pass, and
   a pass that completes 100000 waiters

   The monitors have no thread: the program ticks them, so that nothing else runs. */
#include "bench.h"

#include "vts_pcmon.h"

#include <errno.h>
#include <fcntl.h>

#define WAITERS 100000
#define PATHS 1024

static vts_pcmon *fresh; /* its sample stays fresh for a day */
static vts_pcmon *stale; /* its sample is stale at once      */
static double temperature;

// ----------------------------------------------------------------------------------
// >>fresh
// ----------------------------------------------------------------------------------

static void read_coarse_clock(size_t n)
{
    struct timespec now = {0, 0};
    size_t i;

    for (i = 0; i < n; i++) clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    bench_sink = (intptr_t)now.tv_nsec;
}

/* As the article reads it: a value task, completed at once. */
static void read_task(size_t n)
{
    vts_pc_statistics now;
    size_t i;

    for (i = 0; i < n; i++) {
        vts_pc_statistics_valuetask task = vts_pcmon_get_statistics_async(fresh);
        if (!vts_pc_statistics_is_completed(task)) abort();
        if (vts_pc_statistics_get_result(task, &now) != VTS_OK) abort();
        bench_sink = (intptr_t)now.sequence;
    }
}

static void read_direct(size_t n)
{
    vts_pc_statistics now;
    size_t i;

    for (i = 0; i < n; i++) {
        if (vts_pcmon_try_get(fresh, &now) != VTS_OK) abort();
        bench_sink = (intptr_t)now.sequence;
    }
}

static struct {
    _Alignas(BENCH_LINE) pthread_mutex_t mutex;
    uint64_t stamp_ns;
    vts_pc_statistics statistics;
} cache = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* The twin: the same struct and the same question of age, under a mutex. */
static BENCH_CALL bool cache_get(vts_pc_statistics *statistics)
{
    struct timespec now;
    bool is_fresh;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    pthread_mutex_lock(&cache.mutex);
    is_fresh = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec > cache.stamp_ns;
    if (is_fresh) *statistics = cache.statistics;
    pthread_mutex_unlock(&cache.mutex);
    return is_fresh;
}

static void read_mutex(size_t n)
{
    vts_pc_statistics now;
    size_t i;

    for (i = 0; i < n; i++) {
        if (!cache_get(&now)) abort();
        bench_sink = (intptr_t)now.sequence;
    }
}

// ----------------------------------------------------------------------------------
// >>pass
// ----------------------------------------------------------------------------------

static void pass(size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (vts_pcmon_refresh(fresh) != VTS_OK) abort();
        if (vts_pcmon_tick(fresh, NULL) != 1) abort();
    }
}

/* Which files a pass reads: a monitor that is watched while it makes one. */
static struct {
    char path[PATHS][256]; /* by descriptor */
    bool read[PATHS];
} watched;

static int watched_open(void *user, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    (void)user;
    if (fd < 0) return -errno;
    if (fd < PATHS) snprintf(watched.path[fd], sizeof watched.path[fd], "%s", path);
    return fd;
}

static int64_t watched_pread(void *user, int fd, void *buffer, size_t size, uint64_t offset)
{
    ssize_t length = pread(fd, buffer, size, (off_t)offset);

    (void)user;
    if (fd < PATHS) watched.read[fd] = true;
    return length < 0 ? -errno : length;
}

static bool tick_watched(vts_pcmon *monitor)
{
    memset(watched.read, 0, sizeof watched.read);
    return vts_pcmon_refresh(monitor) == VTS_OK && vts_pcmon_tick(monitor, NULL) == 1;
}

/* The second pass and later ones are all alike. */
static bool watch(void)
{
    vts_pcmon_desc desc;
    vts_pcmon *monitor;
    vts_pc_io io;
    int i;

    memset(&io, 0, sizeof io);
    io.open = watched_open;
    io.pread = watched_pread;
    memset(&desc, 0, sizeof desc);
    desc.manual_tick = true;
    desc.io = &io;
    if (vts_pcmon_create(&monitor, &desc) != VTS_OK) return false;
    for (i = 0; i < 3; i++) {
        if (!tick_watched(monitor)) return false;
    }
    return vts_pcmon_destroy(monitor) == VTS_OK;
}

/* The twin: opens, reads and closes the same files, and does not even look at them. */
static void reopen(size_t n)
{
    static char buffer[1 << 16];
    size_t i;
    int k;

    for (i = 0; i < n; i++) {
        for (k = 0; k < PATHS; k++) {
            int fd;
            if (!watched.read[k]) continue;
            fd = open(watched.path[k], O_RDONLY | O_CLOEXEC);
            if (fd < 0) continue;
            bench_sink = read(fd, buffer, sizeof buffer);
            close(fd);
        }
    }
}

// ----------------------------------------------------------------------------------
// >>waiters
// ----------------------------------------------------------------------------------

static vts_pc_statistics_valuetask waiting[WAITERS];
static size_t taken;

static void take(void *arg)
{
    const vts_pc_statistics_valuetask *task = (const vts_pc_statistics_valuetask *)arg;
    vts_pc_statistics now;

    if (vts_pc_statistics_get_result(*task, &now) != VTS_OK) abort();
    temperature += (double)now.sequence;
    taken++;
}

/* Nanoseconds of the pass alone, not of the asking. */
static double complete_waiters(size_t n)
{
    uint64_t begin;
    size_t i;

    taken = 0;
    for (i = 0; i < n; i++) {
        waiting[i] = vts_pcmon_get_statistics_async(stale);
        if (vts_pc_statistics_on_completed(waiting[i], take, &waiting[i], 0) != VTS_OK) {
            abort();
        }
    }
    begin = bench_now();
    if (vts_pcmon_tick(stale, NULL) != 1 || taken != n) abort();
    return (double)(bench_now() - begin);
}

/* What one waiter is compared with: b_core's pooled cycle. */
typedef struct cycle {
    vts_source *source;
    vts_token token;
} cycle;

static vts_pool sources;
static intptr_t sum;

static void take_source(void *arg)
{
    const cycle *self = (const cycle *)arg;
    intptr_t result = 0;

    if (vts_source_get_result(self->source, self->token, &result) == VTS_OK) sum += result;
}

static void cycle_pooled(size_t n)
{
    cycle self;
    size_t i;

    for (i = 0; i < n; i++) {
        self.source = vts_pool_rent(&sources, &self.token);
        vts_source_on_completed(self.source, self.token, take_source, &self, VTS_NONE);
        vts_source_set_result(self.source, self.token, (intptr_t)i);
    }
}

// ----------------------------------------------------------------------------------
// >>tables
// ----------------------------------------------------------------------------------

#define FRESH "monitor, fresh read"
#define PASS "monitor, sampling pass"
#define WAIT "monitor, waiters"
#define TWICE(function)                                                                \
    .run = function, .other = function, .symbol = #function, .ops = 2

static bench_row rows[] = {
    BENCH_CALIBRATOR(FRESH),
    {BENCH_ROW(FRESH, "clock_gettime, coarse", read_coarse_clock)},
    {BENCH_ROW(FRESH, "value task", read_task), .vts = true,
     .ratio_to = "clock_gettime, coarse"},
    {BENCH_ROW(FRESH, "vts_pcmon_try_get", read_direct), .vts = true,
     .ratio_to = "clock_gettime, coarse"},
    {BENCH_ROW(FRESH, "mutex and copy", read_mutex), .ratio_to = "clock_gettime, coarse"},
    {.group = FRESH, .name = "value task, two threads", TWICE(read_task), .vts = true,
     .ratio_to = "value task"},
    {.group = FRESH, .name = "mutex and copy, two threads", TWICE(read_mutex),
     .ratio_to = "mutex and copy", .syscall_n = 20000},
    {BENCH_ROW(PASS, "one pass", pass), .vts = true, .ratio_to = "reopening the same files",
     .syscall_n = 100},
    {BENCH_ROW(PASS, "reopening the same files", reopen), .syscall_n = 100},
    {BENCH_ROW(WAIT, "pooled source's cycle", cycle_pooled), .vts = true},
    {.group = WAIT, .name = "completing 100000 in one pass, each", .vts = true,
     .timed = complete_waiters, .n = WAITERS, .ratio_to = "pooled source's cycle"},
};

static const bench_bar bars[] = {
    {"pcmon_fresh", FRESH, "value task", "clock_gettime, coarse", 1.6, false},
    {"pcmon_scale", FRESH, "value task, two threads", "value task", 1.9, true},
    {"pcmon_pass", PASS, "one pass", "reopening the same files", 0.6, false},
    {"pcmon_waiters", WAIT, "completing 100000 in one pass, each",
     "pooled source's cycle", 1.5, false},
};

static bool start(vts_pcmon **monitor, uint64_t freshness_ns)
{
    vts_pcmon_desc desc;

    memset(&desc, 0, sizeof desc);
    desc.manual_tick = true;
    desc.freshness_ns = freshness_ns;
    desc.waiters = 2 * WAITERS;
    return vts_pcmon_create(monitor, &desc) == VTS_OK &&
           vts_pcmon_tick(*monitor, NULL) == 1;
}

int main(int argc, char **argv)
{
    vts_pool_desc desc;

    memset(&desc, 0, sizeof desc);
    if (vts_pool_init(&sources, &desc) != VTS_OK || !watch()) return 1;
    if (!start(&fresh, UINT64_C(86400000000000)) || !start(&stale, 1)) return 1;
    bench_main(argc, argv, rows, BENCH_COUNT(rows), bars, BENCH_COUNT(bars));
    bench_sink = sum + (intptr_t)temperature;
    return vts_pcmon_destroy(fresh) != VTS_OK || vts_pcmon_destroy(stale) != VTS_OK;
}
