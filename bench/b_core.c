/* b_core.c - one completion cycle on one thread, and the result that is there at once

   The cycle: rent a source, register a continuation, complete (which runs it), take the
   result in it (which returns the source). Compiled with VTS_SINGLE_THREADED, as its
   implementation then is too, it measures that build. */
#include "bench.h"

#include "vts.h"

static vts_pool sources;
static vts_source cached;
static intptr_t sum;

// ----------------------------------------------------------------------------------
// >>vts
// ----------------------------------------------------------------------------------

typedef struct cycle {
    vts_source *source;
    vts_token token;
} cycle;

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

/* Registered before anybody can see the operation. */
static void cycle_awaited(size_t n)
{
    cycle self;
    size_t i;

    for (i = 0; i < n; i++) {
        self.source = vts_pool_rent_awaited(&sources, &self.token, take_source, &self);
        vts_source_set_result(self.source, self.token, (intptr_t)i);
    }
}

static void cycle_cached(size_t n)
{
    cycle self;
    size_t i;

    self.source = &cached;
    for (i = 0; i < n; i++) {
        if (vts_source_reset(&cached, &self.token) != VTS_OK) abort();
        vts_source_on_completed(&cached, self.token, take_source, &self, VTS_NONE);
        vts_source_set_result(&cached, self.token, (intptr_t)i);
    }
}

/* Completed before anybody registers: the registration runs the continuation. */
static void cycle_completed_first(size_t n)
{
    cycle self;
    size_t i;

    for (i = 0; i < n; i++) {
        self.source = vts_pool_rent(&sources, &self.token);
        vts_source_set_result(self.source, self.token, (intptr_t)i);
        vts_source_on_completed(self.source, self.token, take_source, &self, VTS_NONE);
    }
}

static void take_valuetask(void *arg)
{
    const vts_valuetask *task = (const vts_valuetask *)arg;
    intptr_t result = 0;

    if (vts_valuetask_get_result(*task, &result) == VTS_OK) sum += result;
}

/* The same as a caller sees it: the operation gives a handle, asked first whether it is
   completed. */
static void cycle_valuetask(size_t n)
{
    vts_valuetask task;
    vts_token token;
    size_t i;

    for (i = 0; i < n; i++) {
        vts_source *source = vts_pool_rent(&sources, &token);
        task = vts_valuetask_of(source, token);
        if (vts_valuetask_is_completed(task)) abort();
        vts_valuetask_on_completed(task, take_valuetask, &task, VTS_NONE);
        vts_source_set_result(source, token, (intptr_t)i);
    }
}

#ifndef VTS_SINGLE_THREADED

// ----------------------------------------------------------------------------------
// >>at once
// ----------------------------------------------------------------------------------

typedef struct device {
    intptr_t value;
} device;

/* The barriers keep a call a call: without them a compiler sees that nothing changes. The
   value is only read, and summed up in a register: a chain through memory would hide
   what is compared. */
static BENCH_CALL intptr_t read_plain(const device *self)
{
    __asm__ volatile("" : : : "memory");
    return self->value;
}

static BENCH_CALL vts_valuetask read_async(const device *self)
{
    __asm__ volatile("" : : : "memory");
    return vts_valuetask_from_result(self->value);
}

static BENCH_CALL vts_valuetask fail_async(const device *self)
{
    __asm__ volatile("" : : : "memory");
    return vts_valuetask_from_error((int)-self->value);
}

static void once_plain(size_t n)
{
    device self = {1};
    intptr_t total = 0;
    size_t i;

    for (i = 0; i < n; i++) total += read_plain(&self);
    sum += total;
}

static inline intptr_t take_at_once(vts_valuetask task)
{
    intptr_t result = 0;

    if (!vts_valuetask_is_completed(task)) abort();
    return vts_valuetask_get_result(task, &result) == VTS_OK ? result : -1;
}

static void once_valuetask(size_t n)
{
    device self = {1};
    intptr_t total = 0;
    size_t i;

    for (i = 0; i < n; i++) total += take_at_once(read_async(&self));
    sum += total;
}

static void once_failed(size_t n)
{
    device self = {1};
    intptr_t total = 0;
    size_t i;

    for (i = 0; i < n; i++) total += take_at_once(fail_async(&self));
    sum += total;
}

#endif

// ----------------------------------------------------------------------------------
// >>twins
// ----------------------------------------------------------------------------------
// What a C programmer writes by hand, in as many calls as vts takes.

typedef struct callback {
    void (*run)(void *arg);
    void *arg;
    intptr_t result;
} callback;

static BENCH_CALL void callback_start(callback *self)
{
    self->run = NULL;
    self->result = 0;
}

static BENCH_CALL void callback_on_completed(callback *self, void (*run)(void *arg),
                                             void *arg)
{
    self->arg = arg;
    self->run = run;
}

static BENCH_CALL void callback_set_result(callback *self, intptr_t result)
{
    self->result = result;
    self->run(self->arg);
}

static BENCH_CALL intptr_t callback_take(callback *self) { return self->result; }

static void take_callback(void *arg) { sum += callback_take((callback *)arg); }

/* No check at all, on a stack that must not return. */
static void twin_stack(size_t n)
{
    callback self;
    size_t i;

    for (i = 0; i < n; i++) {
        callback_start(&self);
        callback_on_completed(&self, take_callback, &self);
        callback_set_result(&self, (intptr_t)i);
    }
}

static void take_inlined(void *arg) { sum += ((callback *)arg)->result; }

/* The same with everything inlined but the call of the callback: the absolute floor. */
static void twin_stack_inlined(size_t n)
{
    callback self;
    size_t i;

    for (i = 0; i < n; i++) {
        self.run = take_inlined;
        self.arg = &self;
        self.result = (intptr_t)i;
        __asm__ volatile("" : : "r"(&self) : "memory");
        self.run(self.arg);
    }
}

#ifndef VTS_SINGLE_THREADED

static BENCH_CALL callback *heap_start(void)
{
    callback *self = (callback *)bench_malloc(sizeof *self);

    if (self == NULL) abort();
    self->run = NULL;
    self->result = 0;
    return self;
}

static BENCH_CALL intptr_t heap_take(callback *self)
{
    intptr_t result = self->result;
    free(self);
    return result;
}

static void take_heap(void *arg) { sum += heap_take((callback *)arg); }

static void twin_heap(size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        callback *self = heap_start();
        callback_on_completed(self, take_heap, self);
        callback_set_result(self, (intptr_t)i);
    }
}

/* What makes the by-hand object safe to share: a lock, and something to wait on. */
typedef struct locked {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    void (*run)(void *arg);
    void *arg;
    intptr_t result;
    bool completed;
} locked;

static BENCH_CALL locked *locked_start(void)
{
    locked *self = (locked *)bench_malloc(sizeof *self);

    if (self == NULL) abort();
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->done, NULL);
    self->run = NULL;
    self->completed = false;
    return self;
}

static BENCH_CALL void locked_on_completed(locked *self, void (*run)(void *arg), void *arg)
{
    pthread_mutex_lock(&self->mutex);
    self->run = run;
    self->arg = arg;
    pthread_mutex_unlock(&self->mutex);
}

static BENCH_CALL void locked_set_result(locked *self, intptr_t result)
{
    void (*run)(void *arg);
    void *arg;

    pthread_mutex_lock(&self->mutex);
    self->result = result;
    self->completed = true;
    run = self->run;
    arg = self->arg;
    pthread_cond_signal(&self->done);
    pthread_mutex_unlock(&self->mutex);
    if (run != NULL) run(arg);
}

static BENCH_CALL intptr_t locked_take(locked *self)
{
    intptr_t result;

    pthread_mutex_lock(&self->mutex);
    while (!self->completed) pthread_cond_wait(&self->done, &self->mutex);
    result = self->result;
    pthread_mutex_unlock(&self->mutex);
    pthread_cond_destroy(&self->done);
    pthread_mutex_destroy(&self->mutex);
    free(self);
    return result;
}

static void take_locked(void *arg) { sum += locked_take((locked *)arg); }

static void twin_locked(size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        locked *self = locked_start();
        locked_on_completed(self, take_locked, self);
        locked_set_result(self, (intptr_t)i);
    }
}

/* Bare compare-and-swaps on an own cache line, the expected value known without a load:
   as many as instructions.sh counts in one pooled cycle. */
static _Alignas(BENCH_LINE) uintptr_t bare;

static inline void bare_step(uintptr_t *expected)
{
    if (!__atomic_compare_exchange_n(&bare, expected, *expected + 1, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        abort();
    }
    ++*expected;
}

static void bare_1(size_t n)
{
    uintptr_t expected = bare;
    size_t i;

    for (i = 0; i < n; i++) bare_step(&expected);
}

static void bare_4(size_t n)
{
    uintptr_t expected = bare;
    size_t i;

    for (i = 0; i < n; i++) {
        bare_step(&expected);
        bare_step(&expected);
        bare_step(&expected);
        bare_step(&expected);
    }
}

#define AT_ONCE "completed at once"
#define CYCLE "completion cycle"

static bench_row rows[] = {
    BENCH_CALIBRATOR(AT_ONCE),
    {BENCH_ROW(AT_ONCE, "plain function", once_plain)},
    {BENCH_ROW(AT_ONCE, "value task", once_valuetask), .vts = true,
     .ratio_to = "plain function"},
    {BENCH_ROW(AT_ONCE, "value task of an error", once_failed), .vts = true,
     .ratio_to = "plain function"},
    BENCH_CALIBRATOR(CYCLE),
    {BENCH_ROW(CYCLE, "callback on the stack, inlined", twin_stack_inlined),
     .ratio_to = "malloc'd callback"},
    {BENCH_ROW(CYCLE, "callback on the stack", twin_stack),
     .ratio_to = "malloc'd callback"},
    {BENCH_ROW(CYCLE, "1 bare locked operation", bare_1), .ratio_to = "malloc'd callback"},
    {BENCH_ROW(CYCLE, "4 bare locked operations", bare_4),
     .ratio_to = "malloc'd callback"},
    {BENCH_ROW(CYCLE, "malloc'd callback", twin_heap)},
    {BENCH_ROW(CYCLE, "malloc'd mutex and condition", twin_locked),
     .ratio_to = "malloc'd callback"},
    {BENCH_ROW(CYCLE, "cached source", cycle_cached), .vts = true,
     .ratio_to = "malloc'd callback"},
    {BENCH_ROW(CYCLE, "pooled source", cycle_pooled), .vts = true,
     .ratio_to = "malloc'd callback"},
    {BENCH_ROW(CYCLE, "pooled source, rented awaited", cycle_awaited), .vts = true,
     .ratio_to = "malloc'd callback"},
    {BENCH_ROW(CYCLE, "pooled source, completed first", cycle_completed_first),
     .vts = true, .ratio_to = "malloc'd callback"},
    {BENCH_ROW(CYCLE, "pooled value task", cycle_valuetask), .vts = true,
     .ratio_to = "malloc'd callback"},
};

static const bench_bar bars[] = {
    {"sync_value", AT_ONCE, "value task", "plain function", 1.3, false},
    {"cycle_pooled", CYCLE, "pooled source", "malloc'd callback", 0.70, false},
    {"cycle_limit", CYCLE, "pooled source", "4 bare locked operations", 1.25, false},
};

#else

#define SINGLE "single-threaded build"

static bench_row rows[] = {
    BENCH_CALIBRATOR(SINGLE),
    {BENCH_ROW(SINGLE, "callback on the stack, inlined", twin_stack_inlined),
     .ratio_to = "callback on the stack"},
    {BENCH_ROW(SINGLE, "callback on the stack", twin_stack)},
    {BENCH_ROW(SINGLE, "cached source", cycle_cached), .vts = true,
     .ratio_to = "callback on the stack"},
    {BENCH_ROW(SINGLE, "pooled source", cycle_pooled), .vts = true,
     .ratio_to = "callback on the stack"},
    {BENCH_ROW(SINGLE, "pooled source, rented awaited", cycle_awaited), .vts = true,
     .ratio_to = "callback on the stack"},
    {BENCH_ROW(SINGLE, "pooled source, completed first", cycle_completed_first),
     .vts = true, .ratio_to = "callback on the stack"},
    {BENCH_ROW(SINGLE, "pooled value task", cycle_valuetask), .vts = true,
     .ratio_to = "callback on the stack"},
};

static const bench_bar bars[] = {
    {"cycle_single", SINGLE, "cached source", "callback on the stack", 1.6, false},
};

#endif

int main(int argc, char **argv)
{
    vts_pool_desc desc;

    memset(&desc, 0, sizeof desc);
    if (vts_pool_init(&sources, &desc) != VTS_OK) return 1;
    vts_source_init(&cached, NULL);
    bench_main(argc, argv, rows, BENCH_COUNT(rows), bars, BENCH_COUNT(bars));
    bench_sink = sum;
    return vts_pool_destroy(&sources) != VTS_OK;
}
