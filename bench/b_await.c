/* b_await.c - an await beside the check and the callback that it replaces: of what is
   completed, of what is not, and of another coroutine

   All rows of a group do the same with the same operations; what differs is how the code
   that waits is written. C++20's own coroutines, and vts in them, are in b_await.cpp. */
#include "bench.h"

#include "vts.h"

#include "b_await.h"

static vts_pool sources;

// ----------------------------------------------------------------------------------
// >>operations
// ----------------------------------------------------------------------------------

/* The barriers keep a call a call, see b_core.c. */
BENCH_CALL intptr_t await_plain(const intptr_t *device)
{
    __asm__ volatile("" : : : "memory");
    return *device;
}

BENCH_CALL vts_valuetask await_value(const intptr_t *device)
{
    __asm__ volatile("" : : : "memory");
    return vts_valuetask_from_result(*device);
}

/* Completed too, but by a source. */
BENCH_CALL vts_valuetask await_done(const intptr_t *device)
{
    vts_token token;
    vts_source *source = vts_pool_rent(&sources, &token);

    vts_source_set_result(source, token, *device);
    return vts_valuetask_of(source, token);
}

static vts_source *pending_source;
static vts_token pending_token;

BENCH_CALL vts_valuetask await_pending(void)
{
    pending_source = vts_pool_rent(&sources, &pending_token);
    return vts_valuetask_of(pending_source, pending_token);
}

/* Completes what is pending as long as the other side starts more. */
void await_drive(size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) vts_source_set_result(pending_source, pending_token, 1);
}

vts_pool *await_sources(void) { return &sources; }

// ----------------------------------------------------------------------------------
// >>completed
// ----------------------------------------------------------------------------------
// Four a turn: the frame's counter is in memory, and its chain of stores and loads would
// hide what is compared.

#define USE(value) __asm__ volatile("" : : "r"(value))

typedef struct reader {
    vts_co co;
    size_t turns;
    intptr_t device;
} reader;

static void plain(size_t n)
{
    volatile size_t turns;
    intptr_t device = 1;

    for (turns = n / 4; turns > 0; turns--) {
        USE(await_plain(&device));
        USE(await_plain(&device));
        USE(await_plain(&device));
        USE(await_plain(&device));
    }
}

/* What an await does, written out. */
static inline intptr_t check(vts_valuetask task)
{
    intptr_t value = 0;
    int error;

    if (!vts_valuetask_is_completed(task)) abort();
    error = vts_valuetask_get_result(task, &value);
    return error < 0 ? error : value;
}

static void check_value(size_t n)
{
    volatile size_t turns;
    intptr_t device = 1;

    for (turns = n / 4; turns > 0; turns--) {
        USE(check(await_value(&device)));
        USE(check(await_value(&device)));
        USE(check(await_value(&device)));
        USE(check(await_value(&device)));
    }
}

static void check_done(size_t n)
{
    volatile size_t turns;
    intptr_t device = 1;

    for (turns = n / 4; turns > 0; turns--) {
        USE(check(await_done(&device)));
        USE(check(await_done(&device)));
        USE(check(await_done(&device)));
        USE(check(await_done(&device)));
    }
}

static vts_step read_values(vts_co *co)
{
    reader *self = VTS_SELF(co, reader);
    intptr_t value;

    VTS_ASYNC(co) {
        for (; self->turns > 0; self->turns--) {
            VTS_AWAIT(value, await_value(&self->device));
            USE(value);
            VTS_AWAIT(value, await_value(&self->device));
            USE(value);
            VTS_AWAIT(value, await_value(&self->device));
            USE(value);
            VTS_AWAIT(value, await_value(&self->device));
            USE(value);
        }
    }
    return vts_co_finish(co, 0);
}

static vts_step read_done(vts_co *co)
{
    reader *self = VTS_SELF(co, reader);
    intptr_t value;

    VTS_ASYNC(co) {
        for (; self->turns > 0; self->turns--) {
            VTS_AWAIT(value, await_done(&self->device));
            USE(value);
            VTS_AWAIT(value, await_done(&self->device));
            USE(value);
            VTS_AWAIT(value, await_done(&self->device));
            USE(value);
            VTS_AWAIT(value, await_done(&self->device));
            USE(value);
        }
    }
    return vts_co_finish(co, 0);
}

static void run_reader(vts_step (*run)(vts_co *), size_t n)
{
    reader frame;

    memset(&frame, 0, sizeof frame);
    frame.turns = n / 4;
    frame.device = 1;
    if (vts_valuetask_get_result(vts_co_start(&frame.co, run), NULL) != VTS_OK) abort();
}

static void await_values(size_t n) { run_reader(read_values, n); }
static void await_dones(size_t n) { run_reader(read_done, n); }

// ----------------------------------------------------------------------------------
// >>suspended
// ----------------------------------------------------------------------------------

typedef struct waiter {
    vts_co co;
    vts_valuetask task;
    vts_source *source;
    vts_token token;
    size_t left;
    intptr_t value;
} waiter;

static void source_is_done(void *arg);

static void source_wait(waiter *self)
{
    self->source = vts_pool_rent(&sources, &self->token);
    vts_source_on_completed(self->source, self->token, source_is_done, self, VTS_NONE);
    pending_source = self->source;
    pending_token = self->token;
}

static void source_is_done(void *arg)
{
    waiter *self = (waiter *)arg;

    if (vts_source_get_result(self->source, self->token, &self->value) != VTS_OK) abort();
    if (--self->left > 0) source_wait(self);
}

/* The bare cycle of b_core.c, each started by the one before. */
static void callback_source(size_t n)
{
    waiter self;

    memset(&self, 0, sizeof self);
    self.left = n;
    source_wait(&self);
    await_drive(n);
}

static void task_is_done(void *arg);

static void task_wait(waiter *self)
{
    self->task = await_pending();
    if (vts_valuetask_is_completed(self->task)) abort();
    vts_valuetask_on_completed(self->task, task_is_done, self, VTS_NONE);
}

static void task_is_done(void *arg)
{
    waiter *self = (waiter *)arg;

    if (vts_valuetask_get_result(self->task, &self->value) != VTS_OK) abort();
    if (--self->left > 0) task_wait(self);
}

/* The same over value tasks, which is what an await is given. */
static void callback_task(size_t n)
{
    waiter self;

    memset(&self, 0, sizeof self);
    self.left = n;
    task_wait(&self);
    await_drive(n);
}

static vts_step wait_for_each(vts_co *co)
{
    waiter *self = VTS_SELF(co, waiter);

    VTS_ASYNC(co) {
        for (; self->left > 0; self->left--) {
            VTS_AWAIT(self->value, await_pending());
        }
    }
    return vts_co_finish(co, 0);
}

static void await_each(size_t n)
{
    waiter self;
    vts_valuetask task;

    memset(&self, 0, sizeof self);
    self.left = n;
    task = vts_co_start(&self.co, wait_for_each);
    await_drive(n);
    if (vts_valuetask_get_result(task, NULL) != VTS_OK) abort();
}

// ----------------------------------------------------------------------------------
// >>called
// ----------------------------------------------------------------------------------

typedef struct caller {
    vts_co co;
    waiter called;
    size_t left;
    intptr_t value;
} caller;

/* Awaits self->left operations and is done. */
static vts_step call_each(vts_co *co)
{
    caller *self = VTS_SELF(co, caller);

    VTS_ASYNC(co) {
        for (; self->left > 0; self->left--) {
            self->called.left = 1;
            VTS_AWAIT(self->value, vts_co_start(&self->called.co, wait_for_each));
        }
    }
    return vts_co_finish(co, 0);
}

static vts_step return_at_once(vts_co *co)
{
    VTS_ASYNC(co) {}
    return vts_co_finish(co, 0);
}

static vts_step call_short(vts_co *co)
{
    caller *self = VTS_SELF(co, caller);

    VTS_ASYNC(co) {
        for (; self->left > 0; self->left--) {
            VTS_AWAIT(self->value, vts_co_start(&self->called.co, return_at_once));
        }
    }
    return vts_co_finish(co, 0);
}

static void run_caller(vts_step (*run)(vts_co *), size_t n, bool suspends)
{
    caller self;
    vts_valuetask task;

    memset(&self, 0, sizeof self);
    self.left = n;
    task = vts_co_start(&self.co, run);
    if (suspends) await_drive(n);
    if (vts_valuetask_get_result(task, NULL) != VTS_OK) abort();
}

static void call_suspending(size_t n) { run_caller(call_each, n, true); }
static void call_returning(size_t n) { run_caller(call_short, n, false); }

// ----------------------------------------------------------------------------------
// >>tables
// ----------------------------------------------------------------------------------

#define DONE "await, completed"
#define LATER "await, suspended and resumed"
#define CALLED "await of a coroutine"

static bench_row rows[] = {
    BENCH_CALIBRATOR(DONE),
    {BENCH_ROW(DONE, "plain function", plain), .ratio_to = "value task, checked"},
    {BENCH_ROW(DONE, "value task, checked", check_value), .vts = true},
    {BENCH_ROW(DONE, "value task, awaited", await_values), .vts = true,
     .ratio_to = "value task, checked"},
    {BENCH_ROW(DONE, "pooled source, checked", check_done), .vts = true},
    {BENCH_ROW(DONE, "pooled source, awaited", await_dones), .vts = true,
     .ratio_to = "pooled source, checked"},
#ifdef BENCH_CXX
    {BENCH_ROW(DONE, "value task, C++20 co_await", cxx_values),
     .ratio_to = "value task, checked"},
    {BENCH_ROW(DONE, "C++20 coroutine, ready", cxx_ready),
     .ratio_to = "value task, checked"},
#endif
    BENCH_CALIBRATOR(LATER),
    {BENCH_ROW(LATER, "pooled source, callback", callback_source), .vts = true},
    {BENCH_ROW(LATER, "pooled value task, callback", callback_task), .vts = true,
     .ratio_to = "pooled source, callback"},
    {BENCH_ROW(LATER, "pooled value task, awaited", await_each), .vts = true,
     .ratio_to = "pooled source, callback"},
#ifdef BENCH_CXX
    {BENCH_ROW(LATER, "pooled value task, C++20 co_await", cxx_each),
     .ratio_to = "pooled source, callback"},
    {BENCH_ROW(LATER, "C++20 coroutine, no safety", cxx_bare),
     .ratio_to = "pooled source, callback"},
#endif
    BENCH_CALIBRATOR(CALLED),
    {BENCH_ROW(CALLED, "coroutine, returns at once", call_returning), .vts = true},
    {BENCH_ROW(CALLED, "coroutine, suspends", call_suspending), .vts = true},
#ifdef BENCH_CXX
    {BENCH_ROW(CALLED, "C++20 coroutine, returns at once", cxx_call_returning),
     .ratio_to = "coroutine, returns at once"},
    {BENCH_ROW(CALLED, "C++20 coroutine, suspends, no safety", cxx_call_suspending),
     .ratio_to = "coroutine, suspends"},
#endif
};

static const bench_bar bars[] = {
    {"await_value", DONE, "value task, awaited", "value task, checked", 1.5, false},
    {"await_done", DONE, "pooled source, awaited", "pooled source, checked", 1.5, false},
    {"await_suspended", LATER, "pooled value task, awaited", "pooled source, callback", 1.5,
     false},
};

int main(int argc, char **argv)
{
    vts_pool_desc desc;

    memset(&desc, 0, sizeof desc);
    if (vts_pool_init(&sources, &desc) != VTS_OK) return 1;
    bench_main(argc, argv, rows, BENCH_COUNT(rows), bars, BENCH_COUNT(bars));
    return vts_pool_destroy(&sources) != VTS_OK;
}
