/* b_timers.c - timers armed and fired, and armed and stopped: a million at a time, and 64

   The clock is the program's own and goes on by a millisecond a pass, so that no time is
   spent waiting: what is measured is the work. Deadlines are spread evenly over SPREAD; to
   libuv they are milliseconds. */
#define BENCH_ROUNDS 5
#include "bench.h"

#include "vts.h"

#ifdef BENCH_UV
#include <dlfcn.h>
#include <uv.h>
#endif

#define MANY 1000000u
#define FEW 64u
#define SPREAD VTS_SECONDS(10)
#define FEW_SPREAD VTS_MILLISECONDS(64)
#define PASS VTS_MILLISECONDS(1)

static vts_time now = VTS_SECONDS(1000); /* the program's clock */
static size_t fired;

static vts_time read_clock(void) { return now; }

/* When the timers are due, from now on: the same in every round. */
static uint32_t due[MANY]; /* of 2^30, the spread */

static void spread_deadlines(void)
{
    uint64_t state = 88172645463325252u;
    size_t i;

    for (i = 0; i < MANY; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        due[i] = (uint32_t)(state >> 34);
    }
}

static vts_time due_in(size_t i, vts_time spread)
{
    return due[i] * spread >> 30;
}

// ----------------------------------------------------------------------------------
// >>vts
// ----------------------------------------------------------------------------------

static vts_loop loop;
static vts_timer timers[MANY];

static void on_timer(void *arg)
{
    (void)arg;
    fired++;
}

static void vts_arm(size_t n, vts_time spread)
{
    size_t i;

    for (i = 0; i < n; i++) {
        vts_timer_start(&timers[i], &loop, now + due_in(i, spread), on_timer, NULL);
    }
}

static void vts_fire(size_t n, vts_time spread)
{
    fired = 0;
    vts_arm(n, spread);
    while (fired < n) {
        now += PASS;
        vts_loop_run_once(&loop, 0);
    }
}

static void vts_stop(size_t n, vts_time spread)
{
    size_t i;

    vts_arm(n, spread);
    for (i = 0; i < n; i++) vts_timer_stop(&timers[i]);
}

// ----------------------------------------------------------------------------------
// >>binary heap
// ----------------------------------------------------------------------------------
// An array of pointers, each timer knows where it is in it. Equal deadlines fire in order
// of arming, as those of vts do.

typedef struct heap_timer {
    vts_time deadline;
    uint64_t order;
    size_t at; /* its index + 1; 0: not armed */
    void (*run)(void *arg);
    void *arg;
} heap_timer;

static heap_timer heap_timers[MANY];
static heap_timer *heap[MANY + 1]; /* from 1 on */
static size_t heap_count;
static uint64_t heap_order;

static inline bool heap_before(const heap_timer *a, const heap_timer *b)
{
    if (a->deadline != b->deadline) return a->deadline < b->deadline;
    return a->order < b->order;
}

static inline void heap_set(size_t at, heap_timer *timer)
{
    heap[at] = timer;
    timer->at = at;
}

static void heap_up(size_t at, heap_timer *timer)
{
    for (; at > 1 && heap_before(timer, heap[at / 2]); at /= 2) heap_set(at, heap[at / 2]);
    heap_set(at, timer);
}

static void heap_down(size_t at, heap_timer *timer)
{
    size_t child;

    for (; (child = at * 2) <= heap_count; at = child) {
        if (child < heap_count && heap_before(heap[child + 1], heap[child])) child++;
        if (!heap_before(heap[child], timer)) break;
        heap_set(at, heap[child]);
    }
    heap_set(at, timer);
}

static BENCH_CALL void heap_start(heap_timer *timer, vts_time deadline,
                                  void (*run)(void *arg), void *arg)
{
    timer->deadline = deadline;
    timer->order = heap_order++;
    timer->run = run;
    timer->arg = arg;
    heap_up(++heap_count, timer);
}

static BENCH_CALL void heap_remove(heap_timer *timer)
{
    heap_timer *last = heap[heap_count--];
    size_t at = timer->at;

    timer->at = 0;
    if (last == timer) return;
    if (at > 1 && heap_before(last, heap[at / 2])) heap_up(at, last);
    else heap_down(at, last);
}

static BENCH_CALL void heap_run(vts_time until)
{
    while (heap_count > 0 && heap[1]->deadline <= until) {
        heap_timer *timer = heap[1];
        heap_remove(timer);
        timer->run(timer->arg);
    }
}

static void heap_arm(size_t n, vts_time spread)
{
    size_t i;

    for (i = 0; i < n; i++) {
        heap_start(&heap_timers[i], now + due_in(i, spread), on_timer, NULL);
    }
}

static void heap_fire(size_t n, vts_time spread)
{
    fired = 0;
    heap_arm(n, spread);
    while (fired < n) {
        now += PASS;
        heap_run(now);
    }
}

static void heap_stop(size_t n, vts_time spread)
{
    size_t i;

    heap_arm(n, spread);
    for (i = 0; i < n; i++) heap_remove(&heap_timers[i]);
}

// ----------------------------------------------------------------------------------
// >>libuv
// ----------------------------------------------------------------------------------
// It reads the system's clock; in this program that one is the program's, while it says
// so.

#ifdef BENCH_UV

static uv_loop_t uv;
static uv_timer_t uv_timers[MANY];
static bool uv_time;

int clock_gettime(clockid_t clock, struct timespec *time)
{
    static int (*real)(clockid_t, struct timespec *);

    if (uv_time && (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE)) {
        time->tv_sec = (time_t)(now / 1000000000u);
        time->tv_nsec = (long)(now % 1000000000u);
        return 0;
    }
    if (real == NULL) {
        void *found = dlsym(RTLD_NEXT, "clock_gettime");
        memcpy(&real, &found, sizeof real);
    }
    return real(clock, time);
}

static void uv_on_timer(uv_timer_t *timer)
{
    (void)timer;
    fired++;
}

static void uv_arm(size_t n, vts_time spread)
{
    size_t i;

    uv_update_time(&uv);
    for (i = 0; i < n; i++) {
        uv_timer_start(&uv_timers[i], uv_on_timer, due_in(i, spread) / PASS, 0);
    }
}

static void uv_fire(size_t n, vts_time spread)
{
    fired = 0;
    uv_time = true;
    uv_arm(n, spread);
    while (fired < n) {
        now += PASS;
        uv_run(&uv, UV_RUN_NOWAIT);
    }
    uv_time = false;
}

static void uv_stop_all(size_t n, vts_time spread)
{
    size_t i;

    uv_time = true;
    uv_arm(n, spread);
    for (i = 0; i < n; i++) uv_timer_stop(&uv_timers[i]);
    uv_time = false;
}

static void uv_begin(void)
{
    size_t i;

    if (uv_loop_init(&uv) != 0) abort();
    for (i = 0; i < MANY; i++) uv_timer_init(&uv, &uv_timers[i]);
}

#else

static void uv_begin(void) {}

#endif

// ----------------------------------------------------------------------------------
// >>tables
// ----------------------------------------------------------------------------------

static double timed(void (*run)(size_t n, vts_time spread), size_t n)
{
    uint64_t begin = bench_now();
    run(n, SPREAD);
    return (double)(bench_now() - begin);
}

#define ROW(function)                                                                  \
    static double many_##function(size_t n) { return timed(function, n); }             \
    static void few_##function(size_t n)                                               \
    {                                                                                  \
        for (; n > FEW; n -= FEW) function(FEW, FEW_SPREAD);                           \
        function(n, FEW_SPREAD);                                                       \
    }

ROW(vts_fire)
ROW(vts_stop)
ROW(heap_fire)
ROW(heap_stop)
#ifdef BENCH_UV
ROW(uv_fire)
ROW(uv_stop_all)
#endif

#define MANY_FIRED "1000000 timers, armed and fired"
#define MANY_STOPPED "1000000 timers, armed and stopped"
#define FEW_FIRED "64 timers, armed and fired"
#define FEW_STOPPED "64 timers, armed and stopped"
#define MILLION(in, called, function)                                                  \
    .group = in, .name = called, .timed = many_##function, .n = MANY

static bench_row rows[] = {
    BENCH_CALIBRATOR(MANY_FIRED),
    {MILLION(MANY_FIRED, "binary heap", heap_fire)},
    {MILLION(MANY_FIRED, "loop", vts_fire), .vts = true, .ratio_to = "binary heap"},
#ifdef BENCH_UV
    {MILLION(MANY_FIRED, "libuv", uv_fire), .ratio_to = "binary heap"},
#endif
    BENCH_CALIBRATOR(MANY_STOPPED),
    {MILLION(MANY_STOPPED, "binary heap", heap_stop)},
    {MILLION(MANY_STOPPED, "loop", vts_stop), .vts = true, .ratio_to = "binary heap"},
#ifdef BENCH_UV
    {MILLION(MANY_STOPPED, "libuv", uv_stop_all), .ratio_to = "binary heap"},
#endif
    BENCH_CALIBRATOR(FEW_FIRED),
    {BENCH_ROW(FEW_FIRED, "binary heap", few_heap_fire)},
    {BENCH_ROW(FEW_FIRED, "loop", few_vts_fire), .vts = true, .ratio_to = "binary heap"},
#ifdef BENCH_UV
    {BENCH_ROW(FEW_FIRED, "libuv", few_uv_fire), .ratio_to = "binary heap",
     .syscall_n = 6400},
#endif
    BENCH_CALIBRATOR(FEW_STOPPED),
    {BENCH_ROW(FEW_STOPPED, "binary heap", few_heap_stop)},
    {BENCH_ROW(FEW_STOPPED, "loop", few_vts_stop), .vts = true, .ratio_to = "binary heap"},
#ifdef BENCH_UV
    {BENCH_ROW(FEW_STOPPED, "libuv", few_uv_stop_all), .ratio_to = "binary heap"},
#endif
};

static const bench_bar bars[] = {
    {"timers_heap", MANY_FIRED, "loop", "binary heap", 1, false},
#ifdef BENCH_UV
    {"timers_uv", MANY_FIRED, "loop", "libuv", 1, false},
#endif
};

int main(int argc, char **argv)
{
    spread_deadlines();
    vts_set_clock(read_clock);
    if (vts_loop_init(&loop, NULL) != VTS_OK) return 1;
    uv_begin();
    bench_main(argc, argv, rows, BENCH_COUNT(rows), bars, BENCH_COUNT(bars));
    bench_sink = (intptr_t)fired;
    return vts_loop_destroy(&loop) != VTS_OK;
}
