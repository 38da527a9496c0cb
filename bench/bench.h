/* bench.h - what the benchmark programs share: rows, interleaved rounds, medians, counts

   Include it once per program. A program declares a table of rows and one of bars and
   calls bench_main. Called without arguments the program measures and prints lines of
   tab-separated fields for report.awk:

       row  group name  ns  ratio_to ratio  allocations vts|twin [bytes]
       bar  id  ratio  bound  <=|>=

   "instructions N" and "syscalls" run every row under a counting tool (instructions.sh,
   syscalls.sh); "burst group name" prints the median of one row alone.

   Rows are compared only within one program: each round runs all of them once, starting
   with another one each time, and a ratio is the median of the ratios of the rounds. A
   neighbour that slows a whole round down cancels out of it. */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Neither inlined nor specialised for its caller: a stand-in for a call into another
   translation unit, which is where the implementation of vts lies. */
#if defined __has_attribute
#if __has_attribute(noipa)
#define BENCH_CALL __attribute__((noinline, noipa))
#endif
#endif
#ifndef BENCH_CALL
#define BENCH_CALL __attribute__((noinline))
#endif

#if defined __GNUC__
#define BENCH_UNUSED __attribute__((unused))
#else
#define BENCH_UNUSED
#endif

#if defined __x86_64__ || defined __i386__
#define bench_relax() __builtin_ia32_pause()
#else
#define bench_relax() __asm__ volatile("" ::: "memory")
#endif

#define BENCH_LINE 64
#ifndef BENCH_ROUNDS
#define BENCH_ROUNDS 101
#endif
#define BENCH_COUNT(table) (sizeof(table) / sizeof *(table))

typedef struct bench_row {
    const char *group, *name;
    const char *ratio_to;      /* a row of the same group, or NULL                    */
    bool vts;                  /* counts for the bar "allocations"                    */
    void (*run)(size_t n);     /* n operations                                        */
    const char *symbol;        /* its name, for instructions.sh                       */
    void (*other)(size_t n);   /* the second thread's part, or NULL                   */
    bool memory;               /* bytes are of interest, too                          */
    bool two;                  /* has threads of its own on the second processor      */
    double (*timed)(size_t n); /* instead of run: measures itself, in ns; n is fixed   */
    size_t syscall_n;          /* operations to count system calls over; 0: 500000    */
    unsigned ops;              /* operations per n, both threads together; 0: 1       */
    size_t n;                  /* set by bench_fit                                    */
    double allocations;        /* per operation; NAN: not counted                     */
    double bytes;              /* allocated per operation; NAN: not counted           */
    double ns[BENCH_ROUNDS];
} bench_row;

typedef struct bench_bar {
    const char *id, *group, *row, *against;
    double bound;
    bool at_least; /* >=, and the ratio is that of the speeds */
} bench_bar;

/* Where results go that nobody reads: one per thread, or they would share a line. */
static _Thread_local volatile intptr_t bench_sink;

// ----------------------------------------------------------------------------------
// >>allocations
// ----------------------------------------------------------------------------------
// Calls of malloc, calloc and realloc in this program are counted. The hand-written
// twins call bench_malloc, which goes straight to the C library while time is measured,
// so that counting costs them nothing.

#if defined __GLIBC__

static size_t bench_allocated, bench_allocated_bytes;
static bool bench_counts; /* off while time is measured: counting costs peers time, too */

static inline void bench_count_allocation(size_t bytes)
{
    if (!bench_counts) return;
    __atomic_fetch_add(&bench_allocated, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&bench_allocated_bytes, bytes, __ATOMIC_RELAXED);
}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    bench_count_allocation(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    bench_count_allocation(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    bench_count_allocation(size);
    return __libc_realloc(memory, size);
}

static void *(*bench_malloc)(size_t size) = __libc_malloc;

static void bench_count_twins(bool on)
{
    bench_malloc = on ? malloc : __libc_malloc;
    bench_counts = on;
}

static double bench_allocations(void)
{
    return (double)__atomic_load_n(&bench_allocated, __ATOMIC_RELAXED);
}

static double bench_allocation_bytes(void)
{
    return (double)__atomic_load_n(&bench_allocated_bytes, __ATOMIC_RELAXED);
}

#else

static void *(*bench_malloc)(size_t size) = malloc;

static void bench_count_twins(bool on) { (void)on; }

static double bench_allocations(void) { return (double)NAN; }

static double bench_allocation_bytes(void) { return (double)NAN; }

#endif

// ----------------------------------------------------------------------------------
// >>two threads
// ----------------------------------------------------------------------------------
// The second thread is parked between bursts, so that it does not slow the others down.
// A burst begins when both threads have seen each other running, and counts only if
// they ran side by side for nearly all of it.

typedef struct bench_duo {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bench_row *row; /* to run; NULL: park */
    size_t n;
    unsigned bursts;            /* so far; each brings two arrivals and two finishes    */
    unsigned arrived, finished;
    uint64_t begin[2], end[2];
} bench_duo;

static bench_duo bench_pair = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
                               NULL, 0, 0, 0, 0, {0, 0}, {0, 0}};
static size_t bench_cpu[2];
static unsigned bench_cpus; /* of those two, how many there are */

static uint64_t bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void bench_find_cpus(void)
{
#if defined __linux__
    cpu_set_t set;
    size_t cpu;

    if (sched_getaffinity(0, sizeof set, &set) != 0) return;
    for (cpu = 0; cpu < CPU_SETSIZE && bench_cpus < 2; cpu++) {
        if (CPU_ISSET(cpu, &set)) bench_cpu[bench_cpus++] = cpu;
    }
#endif
}

static bool bench_has_two(void) { return bench_cpus == 2; }

static void bench_pin(unsigned side)
{
#if defined __linux__
    cpu_set_t set;

    if (side >= bench_cpus) return;
    CPU_ZERO(&set);
    CPU_SET(bench_cpu[side], &set);
    sched_setaffinity(0, sizeof set, &set);
#else
    (void)side;
#endif
}

static void bench_unpin(void)
{
#if defined __linux__
    cpu_set_t set;
    unsigned i;

    CPU_ZERO(&set);
    for (i = 0; i < bench_cpus; i++) CPU_SET(bench_cpu[i], &set);
    if (bench_cpus > 0) sched_setaffinity(0, sizeof set, &set);
#endif
}

/* Where it is allowed, nothing else gets the processor in the middle of a burst. Not
   under strace, which needs a processor itself. */
static bool bench_may_be_realtime = true;

static void bench_realtime(bool on)
{
    struct sched_param parameter;

    if (!bench_may_be_realtime) return;
    memset(&parameter, 0, sizeof parameter);
    parameter.sched_priority = on ? 1 : 0;
    pthread_setschedparam(pthread_self(), on ? SCHED_FIFO : SCHED_OTHER, &parameter);
}

/* Waits until both threads have been here in this burst. */
static void bench_meet(unsigned *count, unsigned bursts)
{
    __atomic_fetch_add(count, 1, __ATOMIC_ACQ_REL);
    while ((int)(__atomic_load_n(count, __ATOMIC_ACQUIRE) - 2 * bursts) < 0) bench_relax();
}

static void bench_side(unsigned side, bench_row *row, size_t n, unsigned bursts)
{
    bench_duo *pair = &bench_pair;

    bench_meet(&pair->arrived, bursts);
    pair->begin[side] = bench_now();
    if (side == 0) {
        row->run(n);
    } else {
        row->other(n);
    }
    pair->end[side] = bench_now();
    bench_meet(&pair->finished, bursts);
}

static void *bench_second(void *unused)
{
    bench_duo *pair = &bench_pair;

    bench_pin(1);
    bench_realtime(true);
    for (;;) {
        bench_row *row;
        size_t n;
        unsigned bursts;
        pthread_mutex_lock(&pair->mutex);
        while (pair->row == NULL) pthread_cond_wait(&pair->wake, &pair->mutex);
        row = pair->row;
        n = pair->n;
        bursts = pair->bursts;
        pair->row = NULL;
        pthread_mutex_unlock(&pair->mutex);
        bench_side(1, row, n, bursts);
    }
    return unused;
}

/* Threads that a program starts between on and off get the second processor, too. */
static BENCH_UNUSED void bench_as_second(bool on)
{
    if (on) {
        bench_find_cpus();
        bench_pin(1);
        bench_realtime(true);
    } else {
        bench_realtime(false);
        bench_unpin();
        bench_cpus = 0;
    }
}

static void bench_start_second(void)
{
    static bool started;
    pthread_t thread;

    if (started || !bench_has_two()) return;
    started = true;
    if (pthread_create(&thread, NULL, bench_second, NULL) != 0) abort();
    pthread_detach(thread);
}

/* Nanoseconds both threads took; *together: they ran side by side. */
static double bench_both(bench_row *row, size_t n, bool *together)
{
    bench_duo *pair = &bench_pair;
    uint64_t first, last, overlap_begin, overlap_end;

    bench_realtime(true);
    pthread_mutex_lock(&pair->mutex);
    pair->row = row;
    pair->n = n;
    pair->bursts++;
    pthread_cond_signal(&pair->wake);
    pthread_mutex_unlock(&pair->mutex);
    bench_side(0, row, n, pair->bursts);
    bench_realtime(false);
    first = pair->begin[0] < pair->begin[1] ? pair->begin[0] : pair->begin[1];
    last = pair->end[0] > pair->end[1] ? pair->end[0] : pair->end[1];
    overlap_begin = pair->begin[0] + pair->begin[1] - first;
    overlap_end = pair->end[0] + pair->end[1] - last;
    *together = overlap_end > overlap_begin &&
                (double)(overlap_end - overlap_begin) > 0.8 * (double)(last - first);
    return (double)(last - first);
}

// ----------------------------------------------------------------------------------
// >>rounds
// ----------------------------------------------------------------------------------

static bool bench_quick(void)
{
    const char *quick = getenv("BENCH_QUICK");
    return quick != NULL && *quick != '\0' && *quick != '0';
}

static int bench_rounds(void)
{
    return bench_quick() && BENCH_ROUNDS > 15 ? 15 : BENCH_ROUNDS;
}

static bool bench_can_run(const bench_row *row)
{
    return (row->other == NULL && !row->two) || bench_has_two();
}

/* One burst: nanoseconds of n operations. */
static double bench_burst(bench_row *row, size_t n)
{
    bool together = false;
    double ns = 0;
    uint64_t begin;
    int attempt;

    if (row->timed != NULL) return row->timed(n);
    if (row->other == NULL) {
        begin = bench_now();
        row->run(n);
        return (double)(bench_now() - begin);
    }
    for (attempt = 0; attempt < 5 && !together; attempt++) {
        ns = bench_both(row, n, &together);
    }
    return ns;
}

/* Finds how many operations make a burst: shorter than a scheduler's tick, much longer
   than reading the clock takes, or waking a thread. Warms up, too. */
static void bench_fit(bench_row *row)
{
    double target = bench_quick() ? 400e3 : 1500e3;

    if (row->timed != NULL) {
        row->timed(row->n);
        return;
    }
    for (row->n = row->two ? 16384 : 64; row->n < (size_t)1 << 24; row->n *= 2) {
        if (bench_burst(row, row->n) * 2 > target) break;
    }
}

static unsigned bench_ops(const bench_row *row) { return row->ops != 0 ? row->ops : 1; }

static void bench_count_allocations(bench_row *row)
{
    size_t n = row->n < 20000 || row->timed != NULL ? row->n : 20000;
    double operations = (double)(n * bench_ops(row));
    double before, bytes_before;

    bench_count_twins(true);
    before = bench_allocations();
    bytes_before = bench_allocation_bytes();
    bench_burst(row, n);
    row->allocations = (bench_allocations() - before) / operations;
    row->bytes = (bench_allocation_bytes() - bytes_before) / operations;
    bench_count_twins(false);
}

static double bench_per_op(const bench_row *row, double ns)
{
    return ns / (double)(row->n * bench_ops(row));
}

static int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double bench_median(const double *values, int count)
{
    double sorted[BENCH_ROUNDS];

    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, bench_compare);
    return sorted[count / 2];
}

static double bench_ratio(const bench_row *row, const bench_row *to)
{
    double ratio[BENCH_ROUNDS];
    int round;

    for (round = 0; round < bench_rounds(); round++) {
        ratio[round] = row->ns[round] / to->ns[round];
    }
    return bench_median(ratio, bench_rounds());
}

static bench_row *bench_find(bench_row *rows, size_t count, const char *group,
                             const char *name)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (strcmp(rows[i].group, group) == 0 && strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    fprintf(stderr, "bench: no row '%s' in '%s'\n", name, group);
    exit(1);
}

static void bench_measure(bench_row *rows, size_t count)
{
    size_t i;
    int round;

    for (i = 0; i < count; i++) {
        if (!bench_can_run(&rows[i])) continue;
        bench_fit(&rows[i]);
        bench_count_allocations(&rows[i]);
    }
    for (round = 0; round < bench_rounds(); round++) {
        for (i = 0; i < count; i++) {
            bench_row *row = &rows[(i + (size_t)round * 7) % count];
            if (!bench_can_run(row)) continue;
            row->ns[round] = bench_per_op(row, bench_burst(row, row->n));
        }
    }
}

// ----------------------------------------------------------------------------------
// >>output
// ----------------------------------------------------------------------------------

static void bench_number(double value)
{
    if (isnan(value)) {
        printf("\tnull");
    } else {
        printf("\t%.6g", value);
    }
}

static void bench_print_row(bench_row *rows, size_t count, bench_row *row)
{
    bool ran = bench_can_run(row);
    bench_row *to = NULL;

    if (row->ratio_to != NULL) to = bench_find(rows, count, row->group, row->ratio_to);
    printf("row\t%s\t%s", row->group, row->name);
    bench_number(ran ? bench_median(row->ns, bench_rounds()) : (double)NAN);
    printf("\t%s", to != NULL ? to->name : "null");
    bench_number(ran && to != NULL ? bench_ratio(row, to) : (double)NAN);
    bench_number(ran ? row->allocations : (double)NAN);
    printf("\t%s", row->vts ? "vts" : "twin");
    if (row->memory) bench_number(ran ? row->bytes : (double)NAN);
    printf("\n");
}

static void bench_print_bar(bench_row *rows, size_t count, const bench_bar *bar)
{
    bench_row *row = bench_find(rows, count, bar->group, bar->row);
    bench_row *to = bench_find(rows, count, bar->group, bar->against);
    bool ran = bench_can_run(row) && bench_can_run(to);

    if (bar->at_least) {
        bench_row *swap = row;
        row = to;
        to = swap;
    }
    printf("bar\t%s", bar->id);
    bench_number(ran ? bench_ratio(row, to) : (double)NAN);
    bench_number(bar->bound);
    printf("\t%s\n", bar->at_least ? ">=" : "<=");
}

// ----------------------------------------------------------------------------------
// >>counting
// ----------------------------------------------------------------------------------
// Every row once with n and once with 2 n operations: the difference is free of what
// happens once. The counting tool tells the two apart by the calling function, or by
// the marks, which are system calls that fail.

static BENCH_CALL void bench_run_once(bench_row *row, size_t n)
{
    row->run(n);
    bench_sink++;
}

static BENCH_CALL void bench_run_twice(bench_row *row, size_t n)
{
    row->run(2 * n);
    bench_sink++;
}

static void bench_count_instructions(bench_row *rows, size_t count, size_t n)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (rows[i].other != NULL || rows[i].two || rows[i].run == NULL) continue;
        printf("map\t%s\t%s\t%s\t%zu\n", rows[i].group, rows[i].name, rows[i].symbol, n);
        rows[i].run(n);
        bench_run_once(&rows[i], n);
        bench_run_twice(&rows[i], n);
    }
}

static void bench_mark(const bench_row *row, const char *what, size_t n)
{
    char text[256];
    int length = snprintf(text, sizeof text, "bench|%s|%s|%s|%zu|", row->group, row->name,
                          what, n * bench_ops(row));
    ssize_t ignored = write(-1, text, (size_t)length);
    (void)ignored;
}

static void bench_count_syscalls(bench_row *rows, size_t count)
{
    size_t i;

    bench_may_be_realtime = false;
    for (i = 0; i < count; i++) {
        size_t n = rows[i].syscall_n != 0 ? rows[i].syscall_n : 500000;
        if (!bench_can_run(&rows[i]) || rows[i].run == NULL) continue;
        bench_burst(&rows[i], n);
        bench_mark(&rows[i], "once", n);
        bench_burst(&rows[i], n);
        bench_mark(&rows[i], "twice", n);
        bench_burst(&rows[i], 2 * n);
        bench_mark(&rows[i], "end", n);
    }
}

static void bench_print_burst(bench_row *row)
{
    int round;

    bench_fit(row);
    for (round = 0; round < 5; round++) {
        row->ns[round] = bench_per_op(row, bench_burst(row, row->n));
    }
    printf("%.6g\n", bench_median(row->ns, 5));
}

static void bench_print_all(bench_row *rows, size_t count, const bench_bar *bars,
                            size_t bar_count)
{
    size_t i;

    bench_measure(rows, count);
    for (i = 0; i < count; i++) bench_print_row(rows, count, &rows[i]);
    for (i = 0; i < bar_count; i++) bench_print_bar(rows, count, &bars[i]);
}

/* The second thread is there from the start: with one thread alone the C library leaves
   the lock prefix out of its mutexes, which is not how programs with threads fare. */
static int bench_main(int argc, char **argv, bench_row *rows, size_t count,
                      const bench_bar *bars, size_t bar_count)
{
    bench_find_cpus();
    bench_pin(0);
    bench_start_second();
    if (argc > 2 && strcmp(argv[1], "instructions") == 0) {
        bench_count_instructions(rows, count, strtoul(argv[2], NULL, 10));
    } else if (argc > 1 && strcmp(argv[1], "syscalls") == 0) {
        bench_count_syscalls(rows, count);
    } else if (argc > 3 && strcmp(argv[1], "burst") == 0) {
        bench_print_burst(bench_find(rows, count, argv[2], argv[3]));
    } else {
        bench_print_all(rows, count, bars, bar_count);
    }
    return 0;
}

/* The calibrator: what the processor gives at the moment. */
static BENCH_CALL void bench_adds(size_t n)
{
    size_t a = n, b = n, c = n, d = n, i;

    for (i = 0; i < n; i++) {
        a += i, b += i, c += i, d += i;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
        a += i, b += i, c += i, d += i;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
        a += i, b += i, c += i, d += i;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
        a += i, b += i, c += i, d += i;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
    }
    bench_sink = (intptr_t)(a + b + c + d);
}

/* The beginning of a row: whose group, called what, done by which function. */
#define BENCH_ROW(in, called, function)                                                \
    .group = in, .name = called, .run = function, .symbol = #function
#define BENCH_CALIBRATOR(in) {BENCH_ROW(in, "calibrator: 16 adds", bench_adds)}

#endif /* BENCH_H */
