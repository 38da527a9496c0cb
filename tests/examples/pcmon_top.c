/* pcmon_top.c - a live view of this machine, made of awaited value tasks

   What it shows of vts.h and vts_pcmon.h:

   - Two readers ask one monitor for its statistics. The first awaits every sample: it
     asks when the newest is no longer fresh, gets a pending task over a pooled source,
     and the pass that its call makes due completes it. The second asks in between and
     finds the answer inside the handle: no source, no system call, no wait. Only the
     first sample both await, and one pass completes both.
   - The sampler's thread completes, the main thread continues: the registration
     captures the main thread's vts_run_queue, the completion posts the continuation
     there, and the queue's wake function ends the main thread's sleep.
   - A token is good for one use: a second await and a second take are refused, and the
     summary prints how.
   - Nothing allocates once the first sample is there: the program counts.
   - A number counts only when its state is VTS_PC_VALID. All else is named together
     with the reason why it is not there. There is no zero in place of a missing value.

   On a terminal the view is redrawn in place, elsewhere each sample is a block of plain
   lines. Run it with --help for the options.

   Build: cc -std=c11 -I. tests/examples/pcmon_top.c $(pkg-config --cflags --libs hwloc)
             -pthread
   PCMON_TOP_NO_INTERPOSE leaves the C library's malloc alone (static linking).
   SPDX-License-Identifier: MIT-0 */

#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#define MS UINT64_C(1000000) /* in nanoseconds */
#define S UINT64_C(1000000000)

enum {
    DEFAULT_SECONDS = 5,
    DEFAULT_INTERVAL_MS = 1000,
    MAX_INTERVAL_MS = 86400000,   /* the monitor's limit: a day */
    FIRST_SAMPLE_PATIENCE_S = 60, /* hwloc takes seconds to load a very wide machine */
    REDRAW_MS = 50,               /* a terminal is not redrawn more often than that */
    MAX_OBJECTS = 1024,           /* shown of one kind; all are counted */
    PLAIN_WIDTH = 100,
    GRID_ROWS = 512,
    GRID_COLUMNS = 512
};

// ----------------------------------------------------------------------------------
// Counting what is allocated
// ----------------------------------------------------------------------------------
// Twice: the monitor gets an allocator that counts, and the C library's malloc is
// replaced by one that counts and passes on. A sanitizer replaces malloc itself and
// must be the only one.

static atomic_ullong monitor_allocations;
static atomic_ullong malloc_calls, free_calls;

static void *count_and_allocate(void *user, size_t size)
{
    const vts_allocator *next = vts_allocator_default();
    (void)user;
    atomic_fetch_add_explicit(&monitor_allocations, 1, memory_order_relaxed);
    return next->alloc(next->user, size);
}

static void pass_on_free(void *user, void *memory, size_t size)
{
    const vts_allocator *next = vts_allocator_default();
    (void)user;
    next->free(next->user, memory, size);
}

static const vts_allocator counting_allocator = {count_and_allocate, pass_on_free,
                                                 NULL};

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||             \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#if defined __GLIBC__ && !defined SANITIZED && !defined PCMON_TOP_NO_INTERPOSE
#define COUNTS_MALLOC 1

/* glibc's own names of the four. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

void *malloc(size_t size)
{
    atomic_fetch_add_explicit(&malloc_calls, 1, memory_order_relaxed);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add_explicit(&malloc_calls, 1, memory_order_relaxed);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    atomic_fetch_add_explicit(&malloc_calls, 1, memory_order_relaxed);
    return __libc_realloc(memory, size);
}

void free(void *memory)
{
    if (memory != NULL) atomic_fetch_add_explicit(&free_calls, 1, memory_order_relaxed);
    __libc_free(memory);
}
#else
#define COUNTS_MALLOC 0
#endif

typedef struct allocations {
    unsigned long long monitor, mallocs, frees;
} allocations;

static allocations allocations_so_far(void)
{
    allocations count;
    count.monitor = atomic_load_explicit(&monitor_allocations, memory_order_relaxed);
    count.mallocs = atomic_load_explicit(&malloc_calls, memory_order_relaxed);
    count.frees = atomic_load_explicit(&free_calls, memory_order_relaxed);
    return count;
}

// ----------------------------------------------------------------------------------
// Text
// ----------------------------------------------------------------------------------

/* A line under construction, always terminated; what does not fit is cut. Fixed memory,
   because a loop that shows that nothing allocates must not allocate. */
typedef struct text {
    char at[512];
    size_t length;
} text;

#if defined __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
static void
add(text *t, const char *format, ...)
{
    size_t room = sizeof t->at - t->length;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(t->at + t->length, room, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    t->length += (size_t)length < room ? (size_t)length : room - 1;
}

/* A label comes from a driver and may hold anything: what a terminal could take for a
   command is replaced. */
static char printable(char c) { return c >= ' ' && c <= '~' ? c : '?'; }

static void add_foreign(text *t, const char *foreign)
{
    for (; *foreign != '\0'; foreign++) add(t, "%c", printable(*foreign));
}

static void add_count(text *t, uint32_t count, const char *one, const char *many)
{
    if (count == 0) return;
    add(t, "%s%u %s", t->length > 0 ? ", " : "", (unsigned)count,
        count == 1 ? one : many);
}

static void add_bytes(text *t, double bytes)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    int i = 0;

    for (; bytes >= 1024.0 && i < 5; i++) bytes /= 1024.0;
    add(t, i == 0 ? "%.0f %s" : "%.1f %s", bytes, unit[i]);
}

static void add_hertz(text *t, double hertz)
{
    if (hertz >= 1e9)
        add(t, "%.2f GHz", hertz / 1e9);
    else
        add(t, "%.0f MHz", hertz / 1e6);
}

static void add_value(text *t, int kind, double value)
{
    switch (kind) {
    case VTS_PC_KIND_TEMPERATURE:
        add(t, "%.1f C", value);
        return;
    case VTS_PC_KIND_ENERGY:
        add(t, "%.3f J", value);
        return;
    case VTS_PC_KIND_POWER:
        add(t, "%.2f W", value);
        return;
    case VTS_PC_KIND_FREQUENCY:
        add_hertz(t, value);
        return;
    case VTS_PC_KIND_UTILIZATION:
        add(t, "%.1f %%", value * 100.0);
        return;
    case VTS_PC_KIND_BUSY_TIME:
    case VTS_PC_KIND_IDLE_TIME:
        add(t, "%.2f s", value);
        return;
    case VTS_PC_KIND_MEMORY_TOTAL:
    case VTS_PC_KIND_MEMORY_FREE:
    case VTS_PC_KIND_MEMORY_USED:
        add_bytes(t, value);
        return;
    default:
        add(t, "%.0f", value);
        return;
    }
}

static const char *explanation(int state)
{
    static const char *const words[VTS_PC_STATE_COUNT] = {
        [VTS_PC_NOT_YET] = "needs two samples to compare",
        [VTS_PC_VALID] = "available",
        [VTS_PC_UNSUPPORTED] = "this machine has no such sensor",
        [VTS_PC_DENIED] = "needs root",
        [VTS_PC_NO_DATA] = "the sensor gives no data at the moment",
        [VTS_PC_MALFORMED] = "the file does not hold what it should",
        [VTS_PC_IMPLAUSIBLE] = "the number is outside the physical range",
        [VTS_PC_ASLEEP] = "the device sleeps, reading would wake it",
        [VTS_PC_GONE] = "unplugged, or its driver is unloaded",
        [VTS_PC_SLOW] = "takes too long, read on few passes only",
        [VTS_PC_DISABLED] = "not asked for",
    };
    return state >= 0 && state < VTS_PC_STATE_COUNT ? words[state] : "unknown state";
}

static void add_reason(text *t, int state)
{
    add(t, "unavailable: %s (%s)", explanation(state), vts_pc_state_name(state));
}

/* vts names its own results, the C library names negative errnos. */
static const char *error_text(int error)
{
    return error <= VTS_E_ARGUMENT ? vts_strerror(error) : strerror(-error);
}

// ----------------------------------------------------------------------------------
// Snapshot: everything the view shows of one sample
// ----------------------------------------------------------------------------------

/* The values per hwloc object that are shown. */
enum {
    PACKAGE_TEMPERATURE,
    PACKAGE_POWER,
    CORE_TEMPERATURE,
    PU_UTILIZATION,
    PU_FREQUENCY,
    NODE_TOTAL,
    NODE_FREE,
    QUANTITY_COUNT
};

static const struct {
    vts_pc_object_type type;
    vts_pc_kind kind;
    const char *name;
} quantities[QUANTITY_COUNT] = {
    {VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, "package temperature"},
    {VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_POWER, "package power"},
    {VTS_PC_OBJECT_CORE, VTS_PC_KIND_TEMPERATURE, "core temperature"},
    {VTS_PC_OBJECT_PU, VTS_PC_KIND_UTILIZATION, "PU utilization"},
    {VTS_PC_OBJECT_PU, VTS_PC_KIND_FREQUENCY, "PU frequency"},
    {VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_TOTAL, "NUMA node memory"},
    {VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_FREE, "NUMA node free memory"},
};

typedef struct snapshot {
    vts_pc_statistics now;
    vts_pcmon_info about;
    vts_pc_reading reading[QUANTITY_COUNT][MAX_OBJECTS];
    int count[QUANTITY_COUNT]; /* objects there are, MAX_OBJECTS of them in reading */
    int state[QUANTITY_COUNT]; /* VALID if one of them is, else why the first is not */
} snapshot;

static int overall_state(const vts_pc_reading *reading, int count)
{
    int i;

    if (count == 0) return VTS_PC_UNSUPPORTED;
    for (i = 0; i < count; i++) {
        if (reading[i].state == VTS_PC_VALID) return VTS_PC_VALID;
    }
    return reading[0].state;
}

static int shown_of(int count) { return count < MAX_OBJECTS ? count : MAX_OBJECTS; }

static void collect(snapshot *s, vts_pcmon *monitor, const vts_pc_statistics *now)
{
    int q;

    s->now = *now;
    (void)vts_pcmon_get_info(monitor, &s->about);
    for (q = 0; q < QUANTITY_COUNT; q++) {
        int count =
            vts_pcmon_read_objects(monitor, quantities[q].type, quantities[q].kind,
                                   s->reading[q], MAX_OBJECTS, NULL);
        s->count[q] = count < 0 ? 0 : count;
        s->state[q] = overall_state(s->reading[q], shown_of(s->count[q]));
    }
}

static bool is_valid(const snapshot *s, vts_pc_metric metric)
{
    return s->now.state[metric] == VTS_PC_VALID;
}

/* "1 package, 2 cores, 4 PUs, 1 NUMA node"; a level the machine has not is left out. */
static void add_machine(text *t, const vts_pcmon_info *about)
{
    add_count(t, about->packages, "package", "packages");
    add_count(t, about->dies, "die", "dies");
    add_count(t, about->cores, "core", "cores");
    add_count(t, about->pus, "PU", "PUs");
    add_count(t, about->numa_nodes, "NUMA node", "NUMA nodes");
    if (about->topology_error != 0) {
        add(t, "no topology: %s", error_text(about->topology_error));
    }
}

// ----------------------------------------------------------------------------------
// View: a grid of characters, the same for a terminal and for plain lines
// ----------------------------------------------------------------------------------
// Everything is drawn into the grid first and clipped there, so no line is ever wider
// than the terminal, and a layout that comes out too high is simply drawn again with
// less in it.

typedef enum style { PLAIN, BOLD, DIM, GOOD, WARM, HOT } style;

static const char *const style_code[] = {"0", "1", "2", "32", "33", "31"};

typedef struct view {
    int width, height;
    int line;   /* being written, from 0; below all that were written */
    int column; /* where a flowing text goes on */
    int header; /* lines before the first row */
    bool terminal, color;
    bool all_rows; /* a row for each metric, also those that are unavailable */
    bool wide;     /* room for bars and frequencies in the columns */
    bool gaps;     /* empty lines between the sections */
    bool reasons;  /* name what is unavailable, and why; else only count it */
    char cell[GRID_ROWS][GRID_COLUMNS];
    unsigned char style[GRID_ROWS][GRID_COLUMNS];
} view;

static void next_line(view *v)
{
    v->line++;
    v->column = 0;
    if (v->line >= GRID_ROWS) return;
    memset(v->cell[v->line], ' ', sizeof v->cell[0]);
    memset(v->style[v->line], PLAIN, sizeof v->style[0]);
}

static void put(view *v, int column, style how, const char *words)
{
    v->column = column;
    for (; *words != '\0'; words++, v->column++) {
        if (v->line >= GRID_ROWS || v->column >= v->width) continue;
        v->cell[v->line][v->column] = printable(*words);
        v->style[v->line][v->column] = (unsigned char)how;
    }
}

/* Two spaces begin a part that is good to have: where the width does not do for all,
   such parts are left out from the end, so that no line ends in half a word. */
static void put_fitting(view *v, int column, style how, text *t)
{
    while (t->length > 0 && column + (int)t->length > v->width) {
        size_t end = t->length - 1;
        while (end > 0 && strncmp(t->at + end, "  ", 2) != 0) end--;
        if (end == 0) break;
        t->at[end] = '\0';
        t->length = end;
    }
    put(v, column, how, t->at);
}

/* Puts words one after the other, on new lines where the width ends. */
static void flow(view *v, int indent, style how, const char *words)
{
    char word[80];

    while (*words != '\0') {
        size_t length = strcspn(words, " ");
        size_t kept = length < sizeof word ? length : sizeof word - 1;
        memcpy(word, words, kept);
        word[kept] = '\0';
        if (v->column > indent && v->column + 1 + (int)kept > v->width) {
            next_line(v);
            v->column = indent;
        } else if (v->column > indent) {
            v->column++;
        }
        put(v, v->column, how, word);
        words += length + strspn(words + length, " ");
    }
}

static style heat(double ratio)
{
    if (ratio >= 0.9) return HOT;
    return ratio >= 0.6 ? WARM : GOOD;
}

static void put_bar(view *v, int column, int width, double ratio)
{
    int i, filled = (int)(ratio * (width - 2) + 0.5);

    put(v, column, PLAIN, "[");
    for (i = 0; i < width - 2; i++) {
        put(v, column + 1 + i, heat(ratio), i < filled ? "|" : " ");
    }
    put(v, column + width - 1, PLAIN, "]");
}

// ---- the rows of the whole machine ----

typedef struct row {
    const char *label;
    vts_pc_metric metric; /* without it the row is unavailable */
    /* Writes the value, and the ratio for a bar if it has one. */
    void (*write)(const snapshot *s, text *t, double *ratio);
} row;

static void write_temperature(const snapshot *s, text *t, double *ratio)
{
    (void)ratio;
    add(t, "%.1f C from %s", s->now.cpu_temperature,
        vts_pc_source_name(s->now.cpu_temperature_source));
    if (is_valid(s, VTS_PC_CPU_TEMPERATURE_CRITICAL)) {
        add(t, "  critical at %.1f C", s->now.cpu_temperature_critical);
    }
}

static void write_utilization(const snapshot *s, text *t, double *ratio)
{
    *ratio = s->now.cpu_utilization;
    add(t, "%.1f %%", *ratio * 100.0);
}

static void write_frequency(const snapshot *s, text *t, double *ratio)
{
    (void)ratio;
    add_hertz(t, s->now.cpu_frequency);
    add(t, " mean");
    if (!is_valid(s, VTS_PC_CPU_FREQUENCY_MAX)) return;
    add(t, "  ");
    add_hertz(t, s->now.cpu_frequency_max);
    add(t, " the fastest");
}

static void write_power(const snapshot *s, text *t, double *ratio)
{
    (void)ratio;
    add(t, "%.1f W", s->now.cpu_power);
}

static void write_energy(const snapshot *s, text *t, double *ratio)
{
    (void)ratio;
    add(t, "%.1f J", s->now.cpu_energy);
}

static void write_throttled(const snapshot *s, text *t, double *ratio)
{
    (void)ratio;
    add(t, "%.0f times", s->now.cpu_throttle_count);
}

static void add_part(text *t, double used, double total, const char *word)
{
    text amount = {{0}, 0}, whole = {{0}, 0};

    add_bytes(&amount, used);
    add_bytes(&whole, total);
    add(t, "%s of %s %s", amount.at, whole.at, word);
}

/* Used is what is not available; old kernels only say what is free. */
static void write_memory(const snapshot *s, text *t, double *ratio)
{
    double total = s->now.memory_total, left = s->now.memory_available;
    const char *word = "used";

    if (!is_valid(s, VTS_PC_MEMORY_AVAILABLE)) {
        left = s->now.memory_free;
        word = "not free";
    }
    if (isnan(left)) {
        add_bytes(t, total);
        return;
    }
    if (total > 0) *ratio = (total - left) / total;
    add_part(t, total - left, total, word);
}

static void write_swap(const snapshot *s, text *t, double *ratio)
{
    double total = s->now.swap_total, left = s->now.swap_free;

    if (total <= 0) {
        add(t, "none set up");
    } else if (!is_valid(s, VTS_PC_SWAP_FREE)) {
        add_bytes(t, total);
    } else {
        *ratio = (total - left) / total;
        add_part(t, total - left, total, "used");
    }
}

static void write_load(const snapshot *s, text *t, double *ratio)
{
    const double *load = s->now.load_average;
    (void)ratio;
    add(t, "%.2f %.2f %.2f  over 1, 5, 15 minutes", load[0], load[1], load[2]);
}

static void write_pressure(const snapshot *s, text *t, double *ratio)
{
    static const char *const what[] = {"cpu ", " mem ", " io "};
    int i;

    (void)ratio;
    for (i = 0; i < 3; i++) {
        add(t, "%s", what[i]);
        if (isnan(s->now.pressure[i]))
            add(t, "unavailable");
        else
            add(t, "%.1f", s->now.pressure[i] * 100.0);
    }
    add(t, " %%  of the last 10 s some task waited");
}

static void write_gpu(const snapshot *s, text *t, double *ratio)
{
    (void)ratio;
    add(t, "%.1f C", s->now.gpu_temperature);
}

static void write_storage(const snapshot *s, text *t, double *ratio)
{
    (void)ratio;
    add(t, "%.1f C", s->now.storage_temperature);
}

static const row rows[] = {
    {"temperature", VTS_PC_CPU_TEMPERATURE, write_temperature},
    {"utilization", VTS_PC_CPU_UTILIZATION, write_utilization},
    {"frequency", VTS_PC_CPU_FREQUENCY, write_frequency},
    {"power", VTS_PC_CPU_POWER, write_power},
    {"energy", VTS_PC_CPU_ENERGY, write_energy},
    {"throttled", VTS_PC_CPU_THROTTLE_COUNT, write_throttled},
    {"memory", VTS_PC_MEMORY_TOTAL, write_memory},
    {"swap", VTS_PC_SWAP_TOTAL, write_swap},
    {"load", VTS_PC_LOAD_AVERAGE, write_load},
    {"pressure", VTS_PC_PRESSURE, write_pressure},
    {"gpu", VTS_PC_GPU_TEMPERATURE, write_gpu},
    {"storage", VTS_PC_STORAGE_TEMPERATURE, write_storage},
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0], LABEL_WIDTH = 13 };

static bool has_row(int metric)
{
    int i;
    for (i = 0; i < ROW_COUNT; i++) {
        if ((int)rows[i].metric == metric) return true;
    }
    return false;
}

static void draw_row(view *v, const snapshot *s, const row *r)
{
    text value = {{0}, 0};
    double ratio = (double)NAN;
    int bar = v->terminal ? v->width / 3 : 0, column = LABEL_WIDTH;
    bool valid = is_valid(s, r->metric);

    if (!valid && !v->all_rows) return;
    next_line(v);
    put(v, 0, BOLD, r->label);
    if (valid)
        r->write(s, &value, &ratio);
    else
        add_reason(&value, s->now.state[r->metric]);
    if (bar >= 8 && !isnan(ratio) && column + bar + 1 + (int)value.length <= v->width) {
        put_bar(v, column, bar, ratio);
        column += bar + 1;
    }
    put_fitting(v, column, valid ? PLAIN : DIM, &value);
}

// ---- the columns of objects ----

typedef void (*draw_cell)(view *v, const snapshot *s, int i, int column, int width);

static void add_reading(text *t, const vts_pc_reading *reading, const char *separator)
{
    add(t, "%s", separator);
    if (reading->state == VTS_PC_VALID)
        add_value(t, reading->kind, reading->value);
    else
        add(t, "%s", vts_pc_state_name(reading->state));
}

/* Label on the left, value on the right, between them a bar if there is room. */
static void put_cell(view *v, int column, int width, const char *label,
                     const char *value, double ratio)
{
    int from = column + (int)strlen(label) + 1;
    int bar = column + width - 2 - (int)strlen(value) - from;

    put(v, column, BOLD, label);
    if (!isnan(ratio) && v->terminal && bar >= 6) {
        put_bar(v, from, bar, ratio);
        from += bar + 1;
    }
    put(v, from, PLAIN, value);
}

static void draw_package(view *v, const snapshot *s, int i, int column, int width)
{
    text label = {{0}, 0}, value = {{0}, 0};

    add(&label, "package %d", i);
    if (s->state[PACKAGE_TEMPERATURE] == VTS_PC_VALID) {
        add_reading(&value, &s->reading[PACKAGE_TEMPERATURE][i], "");
    }
    if (s->state[PACKAGE_POWER] == VTS_PC_VALID) {
        add_reading(&value, &s->reading[PACKAGE_POWER][i], "  power ");
    }
    put_cell(v, column, width, label.at, value.at, (double)NAN);
}

static void draw_core(view *v, const snapshot *s, int i, int column, int width)
{
    text label = {{0}, 0}, value = {{0}, 0};

    add(&label, "core %-3d", i);
    add_reading(&value, &s->reading[CORE_TEMPERATURE][i], "");
    put_cell(v, column, width, label.at, value.at, (double)NAN);
}

static void draw_pu(view *v, const snapshot *s, int i, int column, int width)
{
    const vts_pc_reading *load = &s->reading[PU_UTILIZATION][i];
    bool has_load = s->state[PU_UTILIZATION] == VTS_PC_VALID;
    text label = {{0}, 0}, value = {{0}, 0};

    add(&label, v->wide ? "PU %-3d" : "PU%-3d", i);
    if (load->state == VTS_PC_VALID) {
        add(&value, v->wide ? "%5.1f %%" : "%3.0f %%", load->value * 100.0);
    } else if (has_load) {
        add_reading(&value, load, "");
    }
    if (s->state[PU_FREQUENCY] == VTS_PC_VALID && (v->wide || !has_load)) {
        add_reading(&value, &s->reading[PU_FREQUENCY][i], has_load ? " " : "");
    }
    put_cell(v, column, width, label.at, value.at, load->value);
}

static void draw_node(view *v, const snapshot *s, int i, int column, int width)
{
    const vts_pc_reading *total = &s->reading[NODE_TOTAL][i];
    const vts_pc_reading *left = &s->reading[NODE_FREE][i];
    text label = {{0}, 0}, value = {{0}, 0};
    double ratio = (double)NAN;

    if (left->state == VTS_PC_VALID && total->state == VTS_PC_VALID &&
        total->value > 0) {
        ratio = (total->value - left->value) / total->value;
    }
    add(&label, "node %d", i);
    if (left->state == VTS_PC_VALID) add_reading(&value, left, "");
    add_reading(&value, total, left->state == VTS_PC_VALID ? " free of " : "");
    if (left->state != VTS_PC_VALID) add_reading(&value, left, "  free: ");
    put_cell(v, column, width, label.at, value.at, ratio);
}

/* Objects side by side in columns of at least the given width, row by row. */
static void draw_objects(view *v, const snapshot *s, int count, int least,
                         draw_cell draw)
{
    int columns = v->width / least, width, i, shown = shown_of(count);
    text more = {{0}, 0};

    if (columns < 1) columns = 1;
    if (columns > count) columns = count;
    width = v->width / columns;
    if (width > least * (v->terminal ? 2 : 1)) width = least * (v->terminal ? 2 : 1);
    if (v->gaps) next_line(v);
    for (i = 0; i < shown; i++) {
        if (i % columns == 0) next_line(v);
        draw(v, s, i, i % columns * width, width);
    }
    if (shown == count) return;
    next_line(v);
    add(&more, "and %d more", count - shown);
    put(v, 0, DIM, more.at);
}

static void draw_all_objects(view *v, const snapshot *s)
{
    const int *state = s->state;

    if (state[PACKAGE_TEMPERATURE] == VTS_PC_VALID ||
        state[PACKAGE_POWER] == VTS_PC_VALID) {
        draw_objects(v, s, s->count[PACKAGE_TEMPERATURE], 38, draw_package);
    }
    if (state[PU_UTILIZATION] == VTS_PC_VALID) {
        draw_objects(v, s, s->count[PU_UTILIZATION], v->wide ? 26 : 13, draw_pu);
    } else if (state[PU_FREQUENCY] == VTS_PC_VALID) {
        draw_objects(v, s, s->count[PU_FREQUENCY], 18, draw_pu);
    }
    if (state[CORE_TEMPERATURE] == VTS_PC_VALID) {
        draw_objects(v, s, s->count[CORE_TEMPERATURE], 17, draw_core);
    }
    if (state[NODE_FREE] == VTS_PC_VALID || state[NODE_TOTAL] == VTS_PC_VALID) {
        draw_objects(v, s, s->count[NODE_FREE], 37, draw_node);
    }
}

// ---- what is not there ----

enum { THING_COUNT = VTS_PC_METRIC_COUNT + QUANTITY_COUNT };

/* The name of a metric or quantity that is missing for this reason, unless a row of the
   view says so already; else NULL. */
static const char *missing_thing(const view *v, const snapshot *s, int thing, int state)
{
    int quantity = thing - VTS_PC_METRIC_COUNT;

    if (quantity >= 0) {
        return s->state[quantity] == state ? quantities[quantity].name : NULL;
    }
    if (s->now.state[thing] != state || (v->all_rows && has_row(thing))) return NULL;
    return vts_pc_metric_name(thing);
}

static int count_missing(const view *v, const snapshot *s, int state)
{
    int thing, count = 0;

    for (thing = 0; thing < THING_COUNT; thing++) {
        if (missing_thing(v, s, thing, state) != NULL) count++;
    }
    return count;
}

/* One paragraph for one reason: the reason, and everything it is the reason for. */
static void draw_missing(view *v, const snapshot *s, int state)
{
    text reason = {{0}, 0};
    const char *separator = ":";
    int thing;

    next_line(v);
    add_reason(&reason, state);
    flow(v, 0, DIM, reason.at);
    for (thing = 0; thing < THING_COUNT; thing++) {
        const char *name = missing_thing(v, s, thing, state);
        if (name == NULL) continue;
        put(v, v->column, DIM, separator);
        flow(v, 2, DIM, name);
        separator = ",";
    }
}

static void draw_all_missing(view *v, const snapshot *s)
{
    text counts = {{0}, 0};
    int state, count, before = v->line;

    if (v->gaps) next_line(v);
    for (state = 0; state < VTS_PC_STATE_COUNT; state++) {
        count = state != VTS_PC_VALID ? count_missing(v, s, state) : 0;
        if (count == 0) continue;
        if (v->reasons)
            draw_missing(v, s, state);
        else
            add(&counts, "%s%d (%s)", counts.length > 0 ? ", " : "unavailable: ", count,
                explanation(state));
    }
    if (counts.length > 0) {
        next_line(v);
        flow(v, 2, DIM, counts.at);
    }
    if (v->gaps && v->line == before + 1) v->line = before; /* nothing is missing */
}

// ----------------------------------------------------------------------------------
// Readers: who asks, and what becomes of the answer
// ----------------------------------------------------------------------------------

struct app;

typedef struct reader {
    struct app *app;
    vts_pc_statistics_valuetask task; /* good for one take; then its token is stale */
    vts_pc_statistics now;
    bool waiting;          /* the task is pending, its continuation registered */
    uint64_t next_ns;      /* when to ask; UINT64_MAX: not at all */
    uint64_t missed;       /* deadlines that passed without a question */
    unsigned long cached;  /* calls answered inside the handle */
    unsigned long awaited; /* calls answered by a pass */
    void (*arrived)(struct app *app);
} reader;

typedef struct app {
    vts_pcmon *monitor;
    vts_run_queue queue; /* continuations for the main thread */
    reader viewer;       /* awaits each sample and shows it */
    reader passer_by;    /* asks in between */
    uint64_t interval_ns, start_ns, end_ns, next_drawing_ns;
    unsigned long samples;
    allocations at_first;           /* when the first sample was there */
    int awaited_twice, taken_twice; /* what the token says to the second use */
    int error;                      /* that ends the program; 0: none */
    bool changed;                   /* the view is older than the sample */
    bool on_terminal, once, list_sensors, per_core;
    snapshot snapshot;
    view view;
} app;

/* The one big object is static: no allocation, and no stack that has to be large. */
static app the_app;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * S + (uint64_t)t.tv_nsec;
}

/* The continuation. It runs on the main thread, out of the queue, or directly when the
   answer was there at once. */
static void take(void *argument)
{
    reader *r = (reader *)argument;
    int error = vts_pc_statistics_get_result(r->task, &r->now);

    r->waiting = false;
    if (error == VTS_OK)
        r->arrived(r->app);
    else if (error != VTS_E_CANCELED)
        r->app->error = error;
}

/* A second registration on the same handle, once: the token lets only one in. The task
   is still the reader's, because only this thread takes it. */
static void try_to_await_twice(reader *r)
{
    if (!r->waiting || r->app->awaited_twice != 0) return;
    r->app->awaited_twice =
        vts_pc_statistics_on_completed(r->task, take, r, VTS_USE_SCHEDULING_CONTEXT);
}

static void try_to_take_twice(reader *r)
{
    vts_pc_statistics again;

    if (r->app->taken_twice != 0 || r->task.source == NULL) return;
    r->app->taken_twice = vts_pc_statistics_get_result(r->task, &again);
}

/* waiting comes first: when the pass is faster than the registration, the continuation
   is already on the thread it wants, and runs inside the call. */
static void await(reader *r)
{
    int error;

    r->awaited++;
    r->waiting = true;
    error =
        vts_pc_statistics_on_completed(r->task, take, r, VTS_USE_SCHEDULING_CONTEXT);
    if (error != VTS_OK) r->app->error = error;
    try_to_await_twice(r);
}

static void ask(reader *r)
{
    r->task = vts_pcmon_get_statistics_async(r->app->monitor);
    if (!vts_pc_statistics_is_completed(r->task)) {
        await(r);
        return;
    }
    if (r->task.source == NULL) r->cached++; /* the value is inside the handle */
    take(r);
}

/* The viewer asks at start + n * interval. What a slow terminal or a stopped process has
   missed is skipped and counted, not made up for. */
static void ask_at_deadline(reader *r, uint64_t now)
{
    uint64_t late;

    if (now < r->next_ns || r->next_ns > r->app->end_ns) return;
    late = (now - r->next_ns) / r->app->interval_ns;
    r->missed += late + (r->waiting ? 1 : 0);
    r->next_ns += (late + 1) * r->app->interval_ns;
    if (!r->waiting) ask(r);
}

/* The passer-by asks once after each of the viewer's samples. */
static void ask_in_between(reader *r, uint64_t now)
{
    if (now < r->next_ns || r->next_ns > r->app->end_ns) return;
    r->next_ns = UINT64_MAX;
    if (!r->waiting) ask(r);
}

/* The first answer sets the clock, because how long hwloc takes to load the topology is
   not known before. */
static void first_sample_arrived(app *a, uint64_t now)
{
    a->viewer.next_ns = now + a->interval_ns;
    a->end_ns += now - a->start_ns;
}

/* The count begins when both readers have a source, which is the most they ever need. */
static void begin_to_count(app *a)
{
    if (a->viewer.awaited + a->passer_by.awaited <= 2)
        a->at_first = allocations_so_far();
}

static void viewer_arrived(app *a)
{
    const vts_pc_statistics *sample = &a->viewer.now;
    uint64_t now = now_ns();

    try_to_take_twice(&a->viewer);
    begin_to_count(a);
    a->passer_by.next_ns = now + a->interval_ns / 4;
    if (a->samples > 0 && sample->sequence == a->snapshot.now.sequence) return;
    if (a->samples++ == 0) first_sample_arrived(a, now);
    collect(&a->snapshot, a->monitor, sample);
    a->changed = true;
}

static void passer_by_arrived(app *a) { begin_to_count(a); }

// ----------------------------------------------------------------------------------
// Output
// ----------------------------------------------------------------------------------

static void draw_header(view *v, const app *a)
{
    const snapshot *s = &a->snapshot;
    text machine = {{0}, 0}, pass = {{0}, 0};

    v->line = -1;
    next_line(v);
    if (v->terminal || a->samples == 1) {
        add_machine(&machine, &s->about);
        put(v, 0, BOLD, machine.at);
        next_line(v);
    }
    add(&pass, "sample %lu: pass %llu took %.0f us  every %llu ms", a->samples,
        (unsigned long long)s->now.sequence, s->now.pass_cost_ns / 1e3,
        (unsigned long long)(a->interval_ns / MS));
    if (v->terminal) {
        add(&pass, "  %lu awaited, %lu from the cache",
            a->viewer.awaited + a->passer_by.awaited,
            a->viewer.cached + a->passer_by.cached);
    }
    put_fitting(v, 0, DIM, &pass);
    v->header = v->line + 1;
}

/* Draws with much (level 0) or little (level 3); returns the lines it took. */
static int draw(view *v, const app *a, int level)
{
    const snapshot *s = &a->snapshot;
    int i;

    v->all_rows = level == 0;
    v->gaps = level < 2 && v->terminal;
    v->wide = level < 2;
    v->reasons = level < 3;
    draw_header(v, a);
    if (v->gaps) next_line(v);
    for (i = 0; i < ROW_COUNT; i++) draw_row(v, s, &rows[i]);
    draw_all_objects(v, s);
    draw_all_missing(v, s);
    return v->line + 1;
}

static bool write_all(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, size);
        if (written < 0 && errno != EINTR) return false;
        if (written < 0) continue;
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

/* Collects a frame, so that a terminal gets it in one write and does not flicker. */
typedef struct output {
    char at[65536];
    size_t length;
    bool failed;
} output;

static output out;

static void flush_output(void)
{
    if (!write_all(out.at, out.length)) out.failed = true;
    out.length = 0;
}

static void emit(const char *bytes, size_t size)
{
    if (size > sizeof out.at - out.length) flush_output();
    memcpy(out.at + out.length, bytes, size);
    out.length += size;
}

static void emit_text(const char *words) { emit(words, strlen(words)); }

static int line_length(const view *v, int line)
{
    int length = v->width;
    while (length > 0 && v->cell[line][length - 1] == ' ') length--;
    return length;
}

static void emit_line(const view *v, int line)
{
    int i, length = line_length(v, line);
    unsigned char how = PLAIN;

    for (i = 0; i < length; i++) {
        if (v->color && v->cell[line][i] != ' ' && v->style[line][i] != how) {
            how = v->style[line][i];
            emit_text("\033[0;");
            emit_text(style_code[how]);
            emit_text("m");
        }
        emit(&v->cell[line][i], 1);
    }
    if (how != PLAIN) emit_text("\033[0m");
    /* Past the last column there is nothing to erase, and some terminals would erase
       the last character instead. */
    if (v->terminal && length < v->width) emit_text("\033[K");
}

static void go_to_line(int line)
{
    text command = {{0}, 0};
    add(&command, "\033[%d;1H", line + 1);
    emit_text(command.at);
}

static void fit_to_terminal(view *v)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;

    v->width = known && size.ws_col > 0 ? size.ws_col : 80;
    v->height = known && size.ws_row > 0 ? size.ws_row : 24;
    if (v->width > GRID_COLUMNS) v->width = GRID_COLUMNS;
    if (v->height > GRID_ROWS) v->height = GRID_ROWS;
}

/* The richest layout that fits; if none does, the last one, cut with a word about it. */
static void show_on_terminal(app *a)
{
    view *v = &a->view;
    int level, lines = 0, line;
    text more = {{0}, 0};

    fit_to_terminal(v);
    for (level = v->width < 72 ? 1 : 0; level < 4; level++) {
        lines = draw(v, a, level);
        if (lines <= v->height) break;
    }
    if (lines > v->height) {
        v->line = v->height - 2;
        next_line(v);
        add(&more, "%d more lines do not fit", lines - v->height + 1);
        put(v, 0, DIM, more.at);
        lines = v->height;
    }
    for (line = 0; line < lines; line++) {
        go_to_line(line);
        emit_line(v, line);
    }
    if (lines < v->height) {
        go_to_line(lines);
        emit_text("\033[J");
    }
    flush_output();
}

static void show_plain(app *a)
{
    int line, lines;

    a->view.width = PLAIN_WIDTH - 2;
    lines = draw(&a->view, a, 1);
    if (lines > GRID_ROWS) lines = GRID_ROWS;
    for (line = 0; line < lines; line++) {
        emit_text(line >= a->view.header ? "  " : "");
        emit_line(&a->view, line);
        emit_text("\n");
    }
    flush_output();
}

static void show_if_due(app *a, uint64_t now)
{
    if (!a->changed || a->list_sensors) return;
    if (a->on_terminal && now < a->next_drawing_ns) return;
    a->changed = false;
    a->next_drawing_ns = now + REDRAW_MS * MS;
    if (a->on_terminal)
        show_on_terminal(a);
    else
        show_plain(a);
    if (out.failed) a->error = -EIO;
}

/* The alternate screen keeps what the user had on the normal one. */
static void enter_screen(void)
{
    emit_text("\033[?1049h\033[?25l\033[2J");
    flush_output();
}

static void leave_screen(void)
{
    emit_text("\033[0m\033[?25h\033[?1049l");
    flush_output();
}

// ----------------------------------------------------------------------------------
// The main thread: sleeps until somebody posts, a signal comes, or it is time to ask
// ----------------------------------------------------------------------------------

static atomic_int wake_end = -1; /* written to by whoever wakes */
static int sleep_end = -1;       /* the same descriptor if it is an eventfd */
static atomic_bool asked_to_stop, resized, asked_to_suspend;

/* From any thread and from signal handlers; a write that finds the pipe full is not
   needed, because then a wake is on its way. */
static void wake(void *user)
{
    static const uint64_t one = 1;
    int before = errno;
    ssize_t ignored = write(atomic_load(&wake_end), &one, sizeof one);

    (void)user;
    (void)ignored;
    errno = before;
}

#ifdef __linux__
static int open_wake(void)
{
    sleep_end = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    atomic_store(&wake_end, sleep_end);
    return sleep_end < 0 ? -errno : 0;
}

static bool wait_readable(struct pollfd *event, uint64_t ns)
{
    struct timespec timeout;
    timeout.tv_sec = (time_t)(ns / S);
    timeout.tv_nsec = (long)(ns % S);
    return ppoll(event, 1, &timeout, NULL) > 0;
}
#else
static int open_wake(void)
{
    int ends[2];

    if (pipe(ends) != 0) return -errno;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    sleep_end = ends[0];
    atomic_store(&wake_end, ends[1]);
    return 0;
}

static bool wait_readable(struct pollfd *event, uint64_t ns)
{
    return poll(event, 1, ns < 60 * S ? (int)(ns / MS) + 1 : 60000) > 0;
}
#endif

static void on_signal(int number)
{
    if (number == SIGWINCH)
        atomic_store(&resized, true);
    else if (number == SIGTSTP)
        atomic_store(&asked_to_suspend, true);
    else
        atomic_store(&asked_to_stop, true);
    wake(NULL);
}

static void catch_signals(bool on_terminal)
{
    static const int always[] = {SIGINT, SIGTERM};
    static const int with_screen[] = {SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    struct sigaction action;
    size_t i;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART | (int)SA_RESETHAND; /* the second one kills */
    for (i = 0; i < 2; i++) sigaction(always[i], &action, NULL);
    action.sa_flags = SA_RESTART;
    for (i = 0; i < 4 && on_terminal; i++) sigaction(with_screen[i], &action, NULL);
}

static void heed_signals(app *a)
{
    if (atomic_exchange(&resized, false)) a->changed = a->samples > 0;
    if (!atomic_exchange(&asked_to_suspend, false)) return;
    leave_screen();
    raise(SIGSTOP);
    enter_screen();
    a->changed = a->samples > 0;
}

/* Sleeps until a wake or for ns. The descriptor is emptied before the queue is: what is
   posted in between wakes again. */
static void sleep_for(uint64_t ns)
{
    struct pollfd event = {0};
    char drop[64];

    event.fd = sleep_end;
    event.events = POLLIN;
    if (!wait_readable(&event, ns)) return;
    while (read(sleep_end, drop, sizeof drop) == (ssize_t)sizeof drop) continue;
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t next_event_ns(const app *a)
{
    uint64_t next = earlier(a->viewer.next_ns, a->passer_by.next_ns);

    if (a->changed) next = earlier(next, a->next_drawing_ns);
    return earlier(next, a->end_ns + 1);
}

static bool is_over(const app *a, uint64_t now)
{
    if (a->error != 0 || atomic_load(&asked_to_stop)) return true;
    if (a->samples == 0) return now > a->start_ns + FIRST_SAMPLE_PATIENCE_S * S;
    if (a->list_sensors) return true;
    if (a->changed || a->viewer.waiting) return false;
    return a->once || (now > a->end_ns && a->viewer.next_ns > a->end_ns);
}

static void run(app *a)
{
    uint64_t now = now_ns(), next;

    a->start_ns = now;
    a->end_ns += now;
    /* Both await the first sample, and one pass completes both. */
    ask(&a->viewer);
    ask(&a->passer_by);
    while (!is_over(a, now)) {
        next = next_event_ns(a);
        sleep_for(next > now ? next - now : 0);
        heed_signals(a);
        (void)vts_run_queue_drain(&a->queue);
        now = now_ns();
        ask_at_deadline(&a->viewer, now);
        ask_in_between(&a->passer_by, now);
        show_if_due(a, now);
    }
}

/* A task that is still pending at the end is canceled, and taken: only then does its
   source go home. A pass that was faster has posted the continuation already. */
static void stop_reader(reader *r)
{
    if (!r->waiting) return;
    (void)vts_pcmon_cancel(r->app->monitor, r->task);
    while (r->waiting) {
        (void)vts_run_queue_drain(&r->app->queue);
        if (r->waiting) sleep_for(MS);
    }
}

// ----------------------------------------------------------------------------------
// What is printed at the end
// ----------------------------------------------------------------------------------

static void print_allocations(const app *a)
{
    allocations now = allocations_so_far();

    printf("allocations after the first sample: %llu by the monitor, ",
           now.monitor - a->at_first.monitor);
    if (COUNTS_MALLOC) {
        printf("%llu by malloc (%llu frees)\n", now.mallocs - a->at_first.mallocs,
               now.frees - a->at_first.frees);
    } else {
        printf("malloc is not counted in this build\n");
    }
}

static void print_calls(const char *which, unsigned long viewer,
                        unsigned long passer_by)
{
    printf("%s: %lu (viewer %lu, second reader %lu)\n", which, viewer + passer_by,
           viewer, passer_by);
}

static void print_passes(const app *a)
{
    vts_pcmon_info about;

    if (vts_pcmon_get_info(a->monitor, &about) != VTS_OK || about.passes == 0) return;
    printf("cost of a pass: %.1f us, the mean of %llu\n",
           (double)about.cost_total_ns / (double)about.passes / 1e3,
           (unsigned long long)about.passes);
    printf("missed deadlines: %llu of the viewer, %llu of the monitor\n",
           (unsigned long long)a->viewer.missed,
           (unsigned long long)about.deadlines_missed);
}

static void print_refusal(const char *of, int code)
{
    if (code == 0)
        printf("%s: not tried, no call had to wait\n", of);
    else
        printf("%s: %d, %s\n", of, code, vts_strerror(code));
}

/* The allocations first: printing itself may allocate. */
static void print_summary(const app *a)
{
    print_allocations(a);
    printf("samples: %lu\n", a->samples);
    print_calls("calls answered from the cache", a->viewer.cached, a->passer_by.cached);
    print_calls("calls that awaited", a->viewer.awaited, a->passer_by.awaited);
    print_passes(a);
    print_refusal("one handle awaited twice", a->awaited_twice);
    print_refusal("one handle taken twice", a->taken_twice);
}

static void print_object(const vts_pc_sensor_info *about)
{
    if (about->object_type == VTS_PC_OBJECT_NONE)
        printf("unmapped");
    else
        printf("%s %u", vts_pc_object_type_name(about->object_type),
               (unsigned)about->object_index);
}

/* Four lines: what it is and what it says, where it hangs, why there, and its file. */
static void print_sensor(unsigned index, const vts_pc_sensor_info *about,
                         const vts_pc_reading *reading)
{
    text name = {{0}, 0}, value = {{0}, 0}, path = {{0}, 0};

    add_foreign(&name, about->chip);
    add(&name, " ");
    add_foreign(&name, about->device);
    add(&name, "/");
    add_foreign(&name, about->attribute);
    if (about->label[0] != '\0') add(&name, " \"");
    add_foreign(&name, about->label);
    if (about->label[0] != '\0') add(&name, "\"");
    if (reading->state == VTS_PC_VALID)
        add_value(&value, reading->kind, reading->value);
    else
        add_reason(&value, reading->state);
    add_foreign(&path, about->path);
    printf("%3u %s %s\n    %s: %s\n    ", index, vts_pc_kind_name(about->kind), name.at,
           vts_pc_state_name(reading->state), value.at);
    print_object(about);
    printf(": %s\n    %s\n", about->mapping, path.at);
}

static int print_sensors(const app *a)
{
    vts_pc_reading *reading;
    vts_pc_sensor_info about;
    text machine = {{0}, 0};
    int i, count = vts_pcmon_read_sensors(a->monitor, NULL, 0, NULL);

    if (count < 0) return count;
    reading = (vts_pc_reading *)calloc((size_t)count + 1, sizeof *reading);
    if (reading == NULL) return -ENOMEM;
    /* New sensors are appended, so what the first call counted is still there. */
    (void)vts_pcmon_read_sensors(a->monitor, reading, (size_t)count, NULL);
    add_machine(&machine, &a->snapshot.about);
    printf("%s; %d sensors, %u without an object\n", machine.at, count,
           (unsigned)a->snapshot.about.unmapped);
    for (i = 0; i < count; i++) {
        if (vts_pcmon_get_sensor(a->monitor, (uint32_t)i, &about) != VTS_OK) break;
        print_sensor((unsigned)i, &about, &reading[i]);
    }
    free(reading);
    return 0;
}

// ----------------------------------------------------------------------------------
// Options, start and end
// ----------------------------------------------------------------------------------

static const char usage[] =
    "usage: pcmon_top [--root DIR] [--cores] [--sensors | --once] [--help]\n"
    "  --root DIR   show a captured machine: DIR/sys and DIR/proc\n"
    "  --cores      read each core's own temperature; interrupts that core\n"
    "  --sensors    list every sensor and stop\n"
    "  --once       show one sample and stop\n"
    "environment:\n"
    "  SECONDS      how long to run (default 5)\n"
    "  INTERVAL_MS  time between two samples, 1 to 86400000 (default, and 0: 1000)\n"
    "  NO_COLOR     if not empty: no colors\n";

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "pcmon_top: %s: %s\n", what, why);
    return 1;
}

/* A whole number from the environment; false and a message if it is none. */
static bool read_number(const char *name, uint64_t most, uint64_t *number)
{
    const char *given = getenv(name);
    char *end;
    unsigned long long value;

    if (given == NULL) return true;
    errno = 0;
    value = strtoull(given, &end, 10);
    if (given[0] < '0' || given[0] > '9' || *end != '\0' || errno != 0 ||
        value > most) {
        fprintf(stderr, "pcmon_top: %s=%s: wanted is a whole number, 0 to %llu\n", name,
                given, (unsigned long long)most);
        return false;
    }
    *number = value;
    return true;
}

static bool read_environment(app *a)
{
    uint64_t seconds = DEFAULT_SECONDS, interval_ms = 0;

    if (!read_number("SECONDS", 100u * 365u * 86400u, &seconds)) return false;
    if (!read_number("INTERVAL_MS", MAX_INTERVAL_MS, &interval_ms)) return false;
    if (interval_ms == 0) interval_ms = DEFAULT_INTERVAL_MS;
    a->end_ns = seconds * S;
    a->interval_ns = interval_ms * MS;
    return true;
}

/* hwloc and the monitor both take their root from HWLOC_FSROOT; "linux,stop" keeps hwloc
   from asking this machine's processor about that machine's caches. */
static bool use_root(const char *directory)
{
    char *absolute = realpath(directory, NULL);
    bool done = absolute != NULL && setenv("HWLOC_FSROOT", absolute, 1) == 0 &&
                setenv("HWLOC_COMPONENTS", "linux,stop", 1) == 0;

    if (!done) (void)fail(directory, strerror(errno));
    free(absolute);
    return done;
}

/* -1: go on; else the exit status. */
static int read_options(app *a, int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sensors") == 0) {
            a->list_sensors = true;
        } else if (strcmp(argv[i], "--once") == 0) {
            a->once = true;
        } else if (strcmp(argv[i], "--cores") == 0) {
            a->per_core = true;
        } else if (strcmp(argv[i], "--root") == 0 && i + 1 < argc) {
            if (!use_root(argv[++i])) return 1;
        } else if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    return read_environment(a) ? -1 : 2;
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

static void choose_output(app *a)
{
    bool dumb = !is_set("TERM") || strcmp(getenv("TERM"), "dumb") == 0;

    a->on_terminal = isatty(STDOUT_FILENO) && !dumb && !a->once && !a->list_sensors;
    a->view.terminal = a->on_terminal;
    a->view.color = a->on_terminal && !is_set("NO_COLOR");
}

/* Each sample is to be awaited, so the passes are made due by the viewer's calls: the
   monitor's own timer is set far away, and a sample ages within three quarters of the
   interval. The viewer, a whole interval later, finds it old; the passer-by, after a
   quarter, finds it fresh. */
static int start_monitor(app *a)
{
    vts_pcmon_desc desc = {0};

    desc.interval_ns = MAX_INTERVAL_MS * MS;
    desc.freshness_ns = a->interval_ns / 4 * 3;
    desc.per_core_temperature = a->per_core;
    desc.every_temperature = a->list_sensors;
    desc.allocator = &counting_allocator;
    return vts_pcmon_create(&a->monitor, &desc);
}

static int start(app *a)
{
    int error = open_wake();

    if (error != 0) return fail("no wake", error_text(error));
    a->viewer.app = a->passer_by.app = a;
    a->viewer.arrived = viewer_arrived;
    a->passer_by.arrived = passer_by_arrived;
    a->viewer.next_ns = a->passer_by.next_ns = UINT64_MAX;
    vts_run_queue_init(&a->queue, wake, NULL);
    /* Captured by VTS_USE_SCHEDULING_CONTEXT: continuations come back to this thread. */
    (void)vts_scheduler_set_current(&a->queue.scheduler);
    error = start_monitor(a);
    return error == 0 ? 0 : fail("no monitor", error_text(error));
}

/* Nothing is pending any more, so this cannot be refused. */
static int stop(app *a)
{
    int error = vts_pcmon_destroy(a->monitor);

    (void)vts_scheduler_set_current(NULL);
    return error == VTS_OK ? 0 : fail("the monitor stays", error_text(error));
}

static int report(app *a)
{
    int error = a->error;

    if (a->samples > 0 && a->list_sensors && error == 0)
        error = print_sensors(a);
    else if (!a->list_sensors)
        print_summary(a);
    fflush(stdout);
    if (error != 0) return fail("stopped", error_text(error));
    return a->samples > 0 ? 0 : fail("stopped", "no sample");
}

int main(int argc, char **argv)
{
    app *a = &the_app;
    int status = read_options(a, argc, argv);

    if (status >= 0) return status;
    choose_output(a);
    catch_signals(a->on_terminal);
    if (start(a) != 0) return 1;
    if (a->on_terminal) enter_screen();
    run(a);
    stop_reader(&a->viewer);
    stop_reader(&a->passer_by);
    if (a->on_terminal) leave_screen();
    status = report(a);
    return stop(a) == 0 ? status : 1;
}
