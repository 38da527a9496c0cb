/* b_memory.c - the memory of a value task beside a task: bytes and calls of the allocator per
   operation, of results that are there at once, of pending operations and of shared ones;
   and what one pending operation holds

   Bytes are what malloc was asked for. What pools took before they were full is not
   counted per operation, but is part of what is held. */
#include "bench.h"

#include "vts.h"

static vts_pool sources, tasks, frames;
static vts_allocator pooled; /* from tasks */
static intptr_t sum;

static void must(int error)
{
    if (error != VTS_OK) abort();
}

/* Of results that no constant has. */
#define RESULT 1000

// ----------------------------------------------------------------------------------
// >>at once
// ----------------------------------------------------------------------------------

static void take(vts_valuetask task)
{
    intptr_t value = 0;
    if (vts_valuetask_get_result(task, &value) == VTS_OK) sum += value;
}

static BENCH_CALL vts_valuetask once_result(intptr_t value)
{
    return vts_valuetask_from_result(value);
}

static void once_value(size_t n)
{
    for (; n > 0; n--) take(once_result(RESULT));
}

static void once_error(size_t n)
{
    for (; n > 0; n--) take(vts_valuetask_from_error(-1));
}

static void take_task(vts_task *task)
{
    intptr_t value = 0;
    if (vts_task_get_result(task, &value) == VTS_OK) sum += value;
    vts_task_release(task);
}

static void once_tasks(size_t n, intptr_t result, const vts_allocator *allocator)
{
    vts_task *task;

    for (; n > 0; n--) {
        must(vts_task_from_result(&task, result, allocator));
        take_task(task);
    }
}

static void once_task(size_t n) { once_tasks(n, RESULT, NULL); }
static void once_task_constant(size_t n) { once_tasks(n, 1, NULL); }
static void once_task_pooled(size_t n) { once_tasks(n, RESULT, &pooled); }

// ----------------------------------------------------------------------------------
// >>pending
// ----------------------------------------------------------------------------------

static void on_value(void *arg) { take(*(vts_valuetask *)arg); }

static void pending_value(size_t n)
{
    for (; n > 0; n--) {
        vts_token token;
        vts_source *source = vts_pool_rent(&sources, &token);
        vts_valuetask task = vts_valuetask_of(source, token);
        must(vts_valuetask_on_completed(task, on_value, &task, VTS_NONE));
        must(vts_source_set_result(source, token, RESULT));
    }
}

typedef struct waiting {
    vts_awaiter awaiter;
    vts_task *task;
} waiting;

static void on_task(vts_work *work)
{
    intptr_t value = 0;
    if (vts_task_get_result(((waiting *)(void *)work)->task, &value) == VTS_OK) sum += value;
}

static void pending_tasks(size_t n, const vts_allocator *allocator)
{
    waiting self;

    for (; n > 0; n--) {
        must(vts_task_create(&self.task, allocator));
        must(vts_task_on_completed(self.task, &self.awaiter, on_task, VTS_NONE));
        must(vts_task_set_result(self.task, RESULT));
        vts_task_release(self.task);
    }
}

static void pending_task(size_t n) { pending_tasks(n, NULL); }
static void pending_task_pooled(size_t n) { pending_tasks(n, &pooled); }

typedef struct frame {
    vts_co co;
    vts_valuetask task;
    intptr_t value;
} frame;

static vts_step wait_once(vts_co *co)
{
    frame *self = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        VTS_AWAIT(self->value, self->task);
    }
    return vts_co_finish(co, self->value);
}

static void await_in(frame *self)
{
    vts_token token;
    vts_source *source = vts_pool_rent(&sources, &token);
    vts_valuetask task;

    self->task = vts_valuetask_of(source, token);
    task = vts_co_start(&self->co, wait_once);
    must(vts_source_set_result(source, token, RESULT));
    take(task);
}

static void pending_frame(size_t n)
{
    frame self;

    memset(&self, 0, sizeof self);
    for (; n > 0; n--) await_in(&self);
}

static void pending_rented(size_t n)
{
    for (; n > 0; n--) await_in(vts_co_rent(&frames, frame));
}

// ----------------------------------------------------------------------------------
// >>shared
// ----------------------------------------------------------------------------------

#define AWAITERS 3

static void await_shared(vts_task *task, waiting *each)
{
    size_t i;

    for (i = 0; i < AWAITERS; i++) {
        each[i].task = task;
        must(vts_task_on_completed(task, &each[i].awaiter, on_task, VTS_NONE));
    }
}

static void share_tasks(size_t n, const vts_allocator *allocator)
{
    waiting each[AWAITERS];

    for (; n > 0; n--) {
        vts_task *task;
        must(vts_task_create(&task, allocator));
        await_shared(task, each);
        must(vts_task_set_result(task, RESULT));
        vts_task_release(task);
    }
}

static void share_values(size_t n, const vts_allocator *allocator)
{
    waiting each[AWAITERS];

    for (; n > 0; n--) {
        vts_token token;
        vts_source *source = vts_pool_rent(&sources, &token);
        vts_task *task;
        must(vts_valuetask_as_task(vts_valuetask_of(source, token), allocator, &task));
        await_shared(task, each);
        must(vts_source_set_result(source, token, RESULT));
        vts_task_release(task);
    }
}

static void shared_task(size_t n) { share_tasks(n, NULL); }
static void shared_value(size_t n) { share_values(n, NULL); }
static void shared_value_pooled(size_t n) { share_values(n, &pooled); }

// ----------------------------------------------------------------------------------
// >>held
// ----------------------------------------------------------------------------------

#define HELD 65536u /* in a pool that holds exactly that many */

static void held(const char *name, double bytes) { printf("held\t%s\t%.6g\n", name, bytes); }

static void held_by_pool(const char *name, vts_pool_desc desc, size_t handle)
{
    static vts_token tokens[HELD];
    static vts_source *rented[HELD];
    vts_pool pool;
    double before;
    size_t i;

    desc.cache = -1;
    bench_count_twins(true);
    before = bench_allocation_bytes();
    must(vts_pool_init(&pool, &desc));
    for (i = 0; i < HELD; i++) rented[i] = vts_pool_rent(&pool, &tokens[i]);
    held(name, (bench_allocation_bytes() - before) / HELD + (double)handle);
    bench_count_twins(false);
    for (i = 0; i < HELD; i++) must(vts_source_abandon(rented[i], tokens[i]));
    must(vts_pool_destroy(&pool));
}

/* The rows say what one operation allocates; here is what it holds while it is pending. */
static void print_held(void)
{
    vts_pool_desc plain;

    memset(&plain, 0, sizeof plain);
    held("value task, done: the handle", (double)sizeof(vts_valuetask));
    held_by_pool("value task, pooled: source and handle", plain, sizeof(vts_valuetask));
    held("value task, source of one's own, and handle",
         (double)(sizeof(vts_source) + sizeof(vts_valuetask)));
    held("task, one awaiter", (double)(sizeof(vts_task) + sizeof(waiting)));
    held("task, three awaiters", (double)(sizeof(vts_task) + 3 * sizeof(waiting)));
    held("coroutine: the smallest frame", (double)sizeof(vts_co));
    held("timer", (double)sizeof(vts_timer));
}

// ----------------------------------------------------------------------------------
// >>tables
// ----------------------------------------------------------------------------------

#define ONCE "memory, result at once"
#define PENDING "memory, pending"
#define SHARED "memory, shared by 3"
#define MEMORY(in, called, function) BENCH_ROW(in, called, function), .memory = true

static bench_row rows[] = {
    BENCH_CALIBRATOR(ONCE),
    {MEMORY(ONCE, "value task", once_value), .vts = true, .ratio_to = "task"},
    {MEMORY(ONCE, "value task of an error", once_error), .vts = true, .ratio_to = "task"},
    {MEMORY(ONCE, "task", once_task)},
    {MEMORY(ONCE, "task of a small number", once_task_constant), .vts = true,
     .ratio_to = "task"},
    {MEMORY(ONCE, "task from a pool", once_task_pooled), .vts = true, .ratio_to = "task"},
    {MEMORY(PENDING, "value task, pooled", pending_value), .vts = true, .ratio_to = "task"},
    {MEMORY(PENDING, "task", pending_task)},
    {MEMORY(PENDING, "task from a pool", pending_task_pooled), .vts = true,
     .ratio_to = "task"},
    {MEMORY(PENDING, "coroutine, awaits a value task", pending_frame), .vts = true,
     .ratio_to = "task"},
    {MEMORY(PENDING, "coroutine, rented", pending_rented), .vts = true, .ratio_to = "task"},
    {MEMORY(SHARED, "value task made a task", shared_value), .ratio_to = "task"},
    {MEMORY(SHARED, "value task made a task, pooled", shared_value_pooled), .vts = true,
     .ratio_to = "task"},
    {MEMORY(SHARED, "task", shared_task)},
};

int main(int argc, char **argv)
{
    vts_pool_desc desc;

    memset(&desc, 0, sizeof desc);
    must(vts_pool_init(&sources, &desc));
    desc.item_size = sizeof(vts_task);
    must(vts_pool_init(&tasks, &desc));
    pooled = vts_pool_allocator(&tasks);
    desc = vts_co_pool_desc(sizeof(frame));
    must(vts_pool_init(&frames, &desc));
    bench_main(argc, argv, rows, BENCH_COUNT(rows), NULL, 0);
    if (argc == 1) print_held();
    bench_sink = sum;
    return vts_pool_destroy(&sources) != VTS_OK || vts_pool_destroy(&tasks) != VTS_OK ||
           vts_pool_destroy(&frames) != VTS_OK;
}
