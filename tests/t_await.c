/* Coroutines: the block and its ways out, where a frame resumes, what a start and a finish
   give, the stack, misuse, dumps; and what an await allocates: nothing. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#include "examples/allocations.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SMALL_STACK (256u * 1024)
#else
#define SMALL_STACK (64u * 1024)
#endif

#define ERROR_OF_OPERATION (-5)

// ----------------------------------------------------------------------------------
// What is awaited: a bare source, completed by the test
// ----------------------------------------------------------------------------------

typedef struct operation {
    vts_source source;
    vts_token token;
} operation;

static vts_valuetask begin(operation *op)
{
    if (vts_source_reset(&op->source, &op->token) != VTS_OK) {
        return vts_valuetask_from_error(VTS_E_BUSY);
    }
    return vts_valuetask_of(&op->source, op->token);
}

static void complete(operation *op, intptr_t result)
{
    int error = result < 0 ? vts_source_set_error(&op->source, op->token, (int)result)
                           : vts_source_set_result(&op->source, op->token, result);
    assert_code(error, VTS_OK);
}

/* The result of a task that has to be completed; or its error. */
static intptr_t taken(vts_valuetask task)
{
    intptr_t result = 0;
    int error = vts_valuetask_get_result(task, &result);

    return error != VTS_OK ? error : result;
}

static bool is_pending(vts_valuetask task)
{
    return vts_valuetask_get_status(task) == VTS_PENDING;
}

/* What coroutines write, a letter a step. */
static char steps[64];

static void step(char letter)
{
    size_t length = strlen(steps);

    assert_true(length + 1 < sizeof steps);
    steps[length] = letter;
    steps[length + 1] = '\0';
}

static void assert_steps(const char *expected)
{
    char taken_steps[sizeof steps];

    memcpy(taken_steps, steps, sizeof steps);
    memset(steps, 0, sizeof steps);
    assert_string_equal(taken_steps, expected);
}

// ----------------------------------------------------------------------------------
// The block
// ----------------------------------------------------------------------------------

typedef struct frame {
    vts_co co;
    operation *a, *b, *c;
    intptr_t x, y;
    int i, j, line;
} frame;

static vts_step two_awaits(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    step('<');
    VTS_ASYNC(co) {
        step('1');
        VTS_AWAIT(f->x, begin(f->a));
        step('2');
        VTS_AWAIT(f->y, begin(f->b));
        step('3');
    }
    step('>');
    return vts_co_finish(co, f->x + f->y);
}

static void a_coroutine_runs_to_its_first_pending_await(void)
{
    operation a = {0}, b = {0};
    frame f = {.a = &a, .b = &b};
    vts_valuetask task = vts_co_start(&f.co, two_awaits);

    assert_true(is_pending(task));
    assert_steps("<1");
    complete(&a, 20);
    assert_true(is_pending(task));
    assert_steps("<2"); /* code before the block runs at each resume */
    complete(&b, 22);
    assert_steps("<3>");
    assert_int_equal(taken(task), 42);
}

static vts_valuetask begin_and_complete(operation *op, intptr_t result)
{
    vts_valuetask task = begin(op);

    complete(op, result);
    return task;
}

static vts_step awaits_what_is_completed(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    step('<');
    VTS_ASYNC(co) {
        VTS_AWAIT(f->x, begin_and_complete(f->a, 20));
        VTS_AWAIT(f->y, begin_and_complete(f->b, ERROR_OF_OPERATION));
    }
    step('>');
    return vts_co_finish(co, f->x + f->y);
}

static void an_await_of_what_is_completed_goes_on_in_place(void)
{
    operation a = {0}, b = {0};
    frame f = {.a = &a, .b = &b};
    vts_valuetask task = vts_co_start(&f.co, awaits_what_is_completed);

    assert_steps("<>"); /* entered once: nothing was registered */
    assert_int_equal(taken(task), 20 + ERROR_OF_OPERATION);
}

static void a_frame_is_started_again(void)
{
    operation a = {0}, b = {0};
    frame f = {.a = &a, .b = &b};
    int i;

    for (i = 0; i < 3; i++) {
        vts_valuetask task = vts_co_start(&f.co, two_awaits);
        complete(&a, i);
        complete(&b, 100);
        assert_steps("<1<2<3>");
        assert_int_equal(taken(task), 100 + i);
    }
}

static vts_step ready_and_pending(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        VTS_AWAIT(f->x, vts_valuetask_from_result(1));
        VTS_AWAIT(f->y, vts_valuetask_from_error(ERROR_OF_OPERATION));
        step(f->y == ERROR_OF_OPERATION ? 'e' : '?');
        VTS_AWAIT(f->y, vts_valuetask_from_canceled(0));
        step(f->y == VTS_E_CANCELED ? 'c' : '?');
        for (f->i = 0; f->i < 3; f->i++) {
            if (f->i == 1) {
                VTS_AWAIT(f->y, begin(f->a));
                step('p');
            } else {
                VTS_AWAIT(f->y, vts_valuetask_from_result(5));
                step('r');
            }
            f->x += f->y;
        }
        while (f->j < 2) {
            {
                VTS_AWAIT(f->y, begin(f->b));
            }
            f->j++;
            step('w');
        }
        do {
            VTS_AWAIT(f->y, begin(f->c));
            if (f->y == 1) continue;
            step('d');
        } while (f->y != 0);
    }
    return vts_co_finish(co, f->x);
}

static void awaits_stand_in_loops_and_nested_blocks(void)
{
    operation a = {0}, b = {0}, c = {0};
    frame f = {.a = &a, .b = &b, .c = &c};
    vts_valuetask task = vts_co_start(&f.co, ready_and_pending);

    assert_steps("ecr");
    complete(&a, 7);
    assert_steps("pr");
    complete(&b, 0);
    complete(&b, 0);
    assert_steps("ww");
    complete(&c, 1);
    complete(&c, 2);
    complete(&c, 0);
    assert_steps("dd");
    assert_int_equal(taken(task), 1 + 5 + 7 + 5);
}

/* How the block of left_by is left. */
enum { BY_END, BY_TRY, BY_PENDING_TRY, BY_LEAVE, BY_BREAK, BY_TRY_AGAIN, BY_LEAVE_AGAIN };

static vts_step left_by(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        for (f->j = 0; f->j < 1; f->j++) {
            if (f->i == BY_TRY) VTS_TRY(f->x, vts_valuetask_from_error(-7));
            if (f->i == BY_PENDING_TRY) VTS_TRY(f->x, begin(f->a));
            if (f->i == BY_LEAVE) VTS_LEAVE();
            VTS_TRY(f->x, vts_valuetask_from_result(3));
        }
        if (f->i == BY_BREAK) break;
        step('b');
    VTS_FINALLY();
        step('f');
        VTS_AWAIT(f->y, begin(f->b));
        step('g');
        if (f->i == BY_TRY_AGAIN) VTS_TRY(f->x, vts_valuetask_from_error(-8));
        if (f->i == BY_LEAVE_AGAIN) VTS_LEAVE();
        VTS_TRY(f->y, vts_valuetask_from_result(3));
        step('h');
    }
    step('.');
    return vts_co_finish(co, f->x);
}

static intptr_t left(int how, const char *expected)
{
    operation a = {0}, b = {0};
    frame f = {.a = &a, .b = &b, .i = how};
    vts_valuetask task = vts_co_start(&f.co, left_by);

    if (how == BY_PENDING_TRY) complete(&a, ERROR_OF_OPERATION);
    if (how != BY_BREAK) complete(&b, 1);
    assert_steps(expected);
    return taken(task);
}

static void every_way_out_runs_finally_but_a_break(void)
{
    assert_int_equal(left(BY_END, "bfgh."), 3);
    assert_int_equal(left(BY_TRY, "fgh."), -7);
    assert_int_equal(left(BY_PENDING_TRY, "fgh."), ERROR_OF_OPERATION);
    assert_int_equal(left(BY_LEAVE, "fgh."), 0);
    assert_int_equal(left(BY_BREAK, "."), 3);
}

static void a_try_after_finally_leaves_the_block(void)
{
    assert_int_equal(left(BY_TRY_AGAIN, "bfg."), -8);
    assert_int_equal(left(BY_LEAVE_AGAIN, "bfg."), 3);
}

static void finally_runs_again_when_the_frame_is_started_again(void)
{
    operation b = {0};
    frame f = {.b = &b, .i = BY_TRY};
    int i;

    for (i = 0; i < 2; i++) {
        vts_valuetask task = vts_co_start(&f.co, left_by);
        complete(&b, 1);
        assert_steps("fgh.");
        assert_int_equal(taken(task), -7);
    }
}

static vts_step without_finally(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        VTS_TRY(f->x, begin(f->a));
        step('1');
        if (f->x == 1) VTS_LEAVE();
        step('2');
    }
    step('.');
    return vts_co_finish(co, f->x);
}

static void leave_and_try_without_finally_end_the_block(void)
{
    operation a = {0};
    frame f = {.a = &a};
    vts_valuetask task = vts_co_start(&f.co, without_finally);

    complete(&a, 1);
    assert_steps("1.");
    assert_int_equal(taken(task), 1);
    task = vts_co_start(&f.co, without_finally);
    complete(&a, ERROR_OF_OPERATION);
    assert_steps(".");
    assert_int_equal(taken(task), ERROR_OF_OPERATION);
    task = vts_co_start(&f.co, without_finally);
    complete(&a, 2);
    assert_steps("12.");
    assert_int_equal(taken(task), 2);
}

static void count_event(void *user, vts_trace_event event,
                        const vts_valuetask_source *source, vts_token token, int result)
{
    int *events = user;

    (void)source;
    (void)token;
    (void)result;
    events[event]++;
}

static void the_calls_of_an_await_are_traced(void)
{
    operation a = {0}, b = {0};
    frame f = {.a = &a, .b = &b};
    int events[3] = {0, 0, 0};
    vts_valuetask task;

    vts_set_trace_hook(count_event, events);
    task = vts_co_start(&f.co, two_awaits);
    complete(&a, 1);
    complete(&b, 2);
    assert_steps("<1<2<3>");
    assert_true(events[VTS_TRACE_GET_STATUS] >= 2);
    assert_int_equal(events[VTS_TRACE_ON_COMPLETED], 2);
    assert_int_equal(events[VTS_TRACE_GET_RESULT], 2);
    vts_set_trace_hook(NULL, NULL);
    assert_int_equal(taken(task), 3);
}

// ----------------------------------------------------------------------------------
// Typed awaits
// ----------------------------------------------------------------------------------

typedef struct point {
    double x, y, z;
} point;

VTS_DECLARE_VALUETASK(place, point);

typedef struct typed_frame {
    vts_co co;
    place_source *source;
    vts_token token;
    point value;
    int error;
} typed_frame;

static place_valuetask place_at_once(double x)
{
    const point value = {x, x, x};
    return place_from_result(&value);
}

static place_valuetask place_later(typed_frame *f)
{
    place_reset(f->source, &f->token);
    return place_valuetask_of(f->source, f->token);
}

static vts_step typed(vts_co *co)
{
    typed_frame *f = VTS_SELF(co, typed_frame);

    VTS_ASYNC(co) {
        VTS_AWAIT_TYPED(place, f->error, &f->value, place_at_once(4));
        step(f->error == VTS_OK && f->value.z > 3 ? 's' : '?');
        VTS_AWAIT_TYPED(place, f->error, &f->value, place_from_error(-6));
        step(f->error == -6 ? 'e' : '?');
        VTS_AWAIT_TYPED(place, f->error, &f->value, place_later(f));
        step(f->error == VTS_OK && f->value.y < 0 ? 'p' : '?');
        VTS_AWAIT_TYPED(place, f->error, &f->value, place_later(f));
        step(f->error == ERROR_OF_OPERATION ? 'f' : '?');
    }
    return vts_co_finish(co, f->error);
}

static void a_typed_await_gives_a_value_of_any_size(void)
{
    place_source source;
    typed_frame f = {.source = &source};
    const point value = {-1, -2, -3};
    vts_valuetask task;

    place_source_init(&source);
    task = vts_co_start(&f.co, typed);
    assert_steps("se");
    assert_code(place_set_result(&source, f.token, &value), VTS_OK);
    assert_steps("p");
    assert_code(vts_source_set_error(&source.core, f.token, ERROR_OF_OPERATION), VTS_OK);
    assert_steps("f");
    assert_int_equal(taken(task), ERROR_OF_OPERATION);
    assert_true(vts_valuetask_get_status(task) == VTS_E_STALE);
}

// ----------------------------------------------------------------------------------
// Start and finish
// ----------------------------------------------------------------------------------

static vts_step finish_with(vts_co *co)
{
    return vts_co_finish(co, VTS_SELF(co, frame)->x);
}

static vts_step wait_and_finish_with(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        VTS_AWAIT(f->y, begin(f->a));
    }
    return vts_co_finish(co, f->x);
}

static void assert_finishes(intptr_t result, int status, int error)
{
    operation a = {0};
    frame f = {.a = &a, .x = result};
    vts_valuetask task = vts_co_start(&f.co, finish_with);
    intptr_t value = 0;

    assert_code(vts_valuetask_get_status(task), status);
    assert_code(vts_valuetask_get_result(task, &value), error);
    if (error == VTS_OK) assert_int_equal(value, result);
    task = vts_co_start(&f.co, wait_and_finish_with);
    complete(&a, 1);
    assert_code(vts_valuetask_get_status(task), status);
    assert_code(vts_valuetask_get_result(task, NULL), error);
}

static void finish_completes_fails_or_cancels(void)
{
    assert_finishes(0, VTS_SUCCEEDED, VTS_OK);
    assert_finishes(INTPTR_MAX, VTS_SUCCEEDED, VTS_OK);
    assert_finishes(-1, VTS_FAULTED, -1);
    assert_finishes(VTS_E_STALE, VTS_FAULTED, VTS_E_STALE);
    assert_finishes(VTS_E_CANCELED, VTS_CANCELED, VTS_E_CANCELED);
}

static void a_coroutines_result_is_taken_once(void)
{
    frame f = {.x = 4};
    vts_valuetask task = vts_co_start(&f.co, finish_with);

    assert_int_equal(taken(task), 4);
    assert_int_equal(taken(task), VTS_E_STALE);
    assert_code(vts_valuetask_get_status(task), VTS_E_STALE);
    task = vts_co_start(&f.co, finish_with);
    f.x = 5;
    vts_co_start(&f.co, finish_with); /* nobody asked for the first result */
    assert_int_equal(taken(task), VTS_E_STALE);
}

/* The caller's own frame is free again as soon as nobody will ask for its result. */
static void a_forgotten_frame_is_started_again(void)
{
    operation a = {0};
    frame f = {.a = &a};
    vts_valuetask task = vts_co_start(&f.co, wait_and_finish_with);

    complete(&a, 1);
    assert_code(vts_valuetask_forget(task), VTS_OK);
    assert_int_equal(taken(task), VTS_E_STALE);
    assert_int_equal(taken(vts_valuetask_of(&a.source, a.token)), 1); /* stays: bare */
    task = begin(&a);
    complete(&a, 7);
    assert_code(vts_valuetask_forget(task), VTS_OK);
    assert_int_equal(taken(task), 7);
    task = vts_co_start(&f.co, wait_and_finish_with);
    assert_code(vts_valuetask_forget(task), VTS_OK); /* takes it at the end */
    complete(&a, 2);
    assert_int_equal(taken(task), VTS_E_STALE);
    task = vts_co_start(&f.co, wait_and_finish_with);
    complete(&a, 3);
    assert_true(taken(task) >= 0);
    assert_int_equal(taken(vts_co_start(&f.co, NULL)), VTS_E_ARGUMENT);
    assert_int_equal(taken(vts_co_start((vts_co *)NULL, wait_and_finish_with)),
                     VTS_E_ARGUMENT);
}

static void a_frame_that_runs_is_not_started(void)
{
    operation a = {0};
    frame f = {.a = &a, .x = 9};
    vts_valuetask task = vts_co_start(&f.co, wait_and_finish_with);
    vts_valuetask second = vts_co_start(&f.co, wait_and_finish_with);

    assert_int_equal(taken(second), VTS_E_PENDING);
    assert_true(is_pending(task));
    complete(&a, 1);
    assert_int_equal(taken(task), 9);
    assert_int_equal(taken(vts_co_start(NULL, finish_with)), VTS_E_ARGUMENT);
    assert_int_equal(taken(vts_co_start(&f.co, (vts_step(*)(vts_co *))NULL)),
                     VTS_E_ARGUMENT);
}

/* Frames over the test's allocator. */
static void make_frames(vts_pool *pool, uint32_t capacity)
{
    vts_pool_desc desc = vts_co_pool_desc(sizeof(frame));

    desc.allocator = &test_allocator;
    desc.capacity = capacity;
    assert_code(vts_pool_init(pool, &desc), VTS_OK);
}

static void a_rented_frame_returns_when_its_result_is_taken(void)
{
    vts_pool pool;
    operation a = {0};
    vts_valuetask task;
    frame *f;
    int i;

    make_frames(&pool, 1);
    for (i = 0; i < 3; i++) {
        f = vts_co_rent(&pool, frame);
        assert_non_null(f);
        assert_null(vts_co_rent(&pool, frame));
        f->a = &a;
        f->x = i;
        task = vts_co_start(&f->co, wait_and_finish_with);
        complete(&a, 0);
        assert_int_equal(vts_pool_outstanding(&pool), 1);
        assert_int_equal(taken(task), i);
        assert_int_equal(vts_pool_outstanding(&pool), 0);
        assert_int_equal(taken(task), VTS_E_STALE);
    }
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_rented_frame_is_started_once(void)
{
    vts_pool pool;
    operation a = {0};
    vts_valuetask task;
    frame *f;

    make_frames(&pool, 1);
    f = vts_co_rent(&pool, frame);
    f->a = &a;
    f->x = 1;
    task = vts_co_start(&f->co, wait_and_finish_with);
    assert_int_equal(taken(vts_co_start(&f->co, wait_and_finish_with)), VTS_E_PENDING);
    complete(&a, 0);
    assert_int_equal(taken(vts_co_start(&f->co, wait_and_finish_with)), VTS_E_PENDING);
    assert_int_equal(taken(task), 1);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_frame_that_is_forgotten_returns_at_its_end(void)
{
    vts_pool pool;
    operation a = {0};
    frame own = {.a = &a};
    frame *f;

    make_frames(&pool, 1);
    f = vts_co_rent(&pool, frame);
    f->a = &a;
    assert_code(vts_valuetask_forget(vts_co_start(&f->co, wait_and_finish_with)), VTS_OK);
    assert_int_equal(vts_pool_outstanding(&pool), 1);
    complete(&a, 0);
    assert_int_equal(vts_pool_outstanding(&pool), 0);
    f = vts_co_rent(&pool, frame);
    f->x = 2;
    assert_code(vts_valuetask_forget(vts_co_start(&f->co, finish_with)), VTS_OK);
    assert_code(vts_pool_destroy(&pool), VTS_OK);

    assert_code(vts_valuetask_forget(vts_co_start(&own.co, wait_and_finish_with)), VTS_OK);
    complete(&a, 0);
    assert_code(vts_source_get_status(&own.co.source, own.co.token), VTS_E_STALE);
}

// ----------------------------------------------------------------------------------
// Coroutines await coroutines, and tasks
// ----------------------------------------------------------------------------------

typedef struct outer_frame {
    vts_co co;
    frame inner;
    vts_valuetask task;
    intptr_t rc;
    int line;
} outer_frame;

static vts_step outer(vts_co *co)
{
    outer_frame *f = VTS_SELF(co, outer_frame);

    VTS_ASYNC(co) {
        f->line = __LINE__ + 1;
        VTS_TRY(f->rc, vts_co_start(&f->inner.co, wait_and_finish_with));
        step('n');
    VTS_FINALLY();
        step('f');
    }
    return vts_co_finish(co, f->rc);
}

static void errors_propagate_from_callee_to_caller(void)
{
    operation a = {0};
    outer_frame f = {.inner = {.a = &a, .x = 11}};
    vts_valuetask task = vts_co_start(&f.co, outer);

    complete(&a, 0);
    assert_steps("nf");
    assert_int_equal(taken(task), 11);
    f.inner.x = ERROR_OF_OPERATION;
    task = vts_co_start(&f.co, outer);
    complete(&a, 0);
    assert_steps("f");
    assert_true(vts_valuetask_is_faulted(task));
    assert_int_equal(taken(task), ERROR_OF_OPERATION);
    f.inner.x = VTS_E_STALE; /* an error like any other */
    task = vts_co_start(&f.co, outer);
    complete(&a, 0);
    assert_steps("f");
    assert_int_equal(taken(task), VTS_E_STALE);
}

static vts_step await_task(vts_co *co)
{
    outer_frame *f = VTS_SELF(co, outer_frame);

    VTS_ASYNC(co) {
        f->line = __LINE__ + 1;
        VTS_AWAIT(f->rc, f->task);
        step((char)f->inner.x);
    }
    return vts_co_finish(co, f->rc);
}

static void three_coroutines_await_one_task(void)
{
    outer_frame f[3] = {{.inner = {.x = 'a'}}, {.inner = {.x = 'b'}}, {.inner = {.x = 'c'}}};
    vts_valuetask tasks[3];
    vts_task *task = NULL;
    unsigned long before;
    size_t calls, i;

    assert_code(vts_task_create(&task, &test_allocator), VTS_OK);
    before = allocations();
    calls = test_memory.calls;
    for (i = 0; i < 3; i++) {
        f[i].task = vts_valuetask_of_task(task);
        tasks[i] = vts_co_start(&f[i].co, await_task);
    }
    assert_steps("");
    assert_code(vts_task_set_result(task, 5), VTS_OK);
    assert_steps("abc");
    for (i = 0; i < 3; i++) assert_int_equal(taken(tasks[i]), 5);
    tasks[0] = vts_co_start(&f[0].co, await_task); /* completed: at once */
    assert_int_equal(taken(tasks[0]), 5);
    assert_steps("a");
    assert_int_equal(allocations(), before);
    assert_int_equal(test_memory.calls, calls);
    vts_task_release(task);
}

static void a_coroutine_becomes_a_task_that_three_await(void)
{
    operation a = {0};
    frame inner = {.a = &a, .x = 8};
    outer_frame f[3] = {{.inner = {.x = 'a'}}, {.inner = {.x = 'b'}}, {.inner = {.x = 'c'}}};
    vts_valuetask tasks[3];
    vts_task *task = NULL;
    size_t i;

    assert_code(vts_valuetask_as_task(vts_co_start(&inner.co, wait_and_finish_with),
                                      &test_allocator, &task),
                VTS_OK);
    for (i = 0; i < 3; i++) {
        f[i].task = vts_valuetask_of_task(task);
        tasks[i] = vts_co_start(&f[i].co, await_task);
    }
    complete(&a, 0);
    assert_steps("abc");
    for (i = 0; i < 3; i++) assert_int_equal(taken(tasks[i]), 8);
    vts_task_release(task);
}

// ----------------------------------------------------------------------------------
// Cancellation reaches the operation awaited
// ----------------------------------------------------------------------------------

typedef struct cancelable_frame {
    vts_co co;
    operation op;
    vts_cancellation_registration registration;
    vts_cancellation_token cancel;
    vts_loop *loop;
    intptr_t rc;
} cancelable_frame;

static void cancel_operation(void *arg)
{
    operation *op = (operation *)arg;
    vts_source_set_canceled(&op->source, op->token, 0);
}

static vts_valuetask begin_cancelable(cancelable_frame *f)
{
    vts_valuetask task = begin(&f->op);
    vts_cancellation_register(f->cancel, &f->registration, cancel_operation, &f->op);
    return task;
}

static vts_step cancelable(vts_co *co)
{
    cancelable_frame *f = VTS_SELF(co, cancelable_frame);

    VTS_ASYNC(co) {
        VTS_TRY(f->rc, begin_cancelable(f));
        step('n');
    VTS_FINALLY();
        vts_cancellation_unregister(&f->registration);
        step('f');
    }
    return vts_co_finish(co, f->rc);
}

static void cancellation_reaches_the_operation_awaited(void)
{
    vts_cancellation_source source = {0};
    cancelable_frame f = {.cancel = vts_cancellation_token_of(&source)};
    vts_valuetask task = vts_co_start(&f.co, cancelable);

    assert_true(is_pending(task));
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_steps("f");
    assert_true(vts_valuetask_is_canceled(task));
    assert_int_equal(taken(task), VTS_E_CANCELED);
    task = vts_co_start(&f.co, cancelable); /* canceled before it begins */
    assert_steps("f");
    assert_true(vts_valuetask_is_canceled(task));
    assert_int_equal(taken(task), VTS_E_CANCELED);
    assert_code(vts_cancellation_dispose(&source), VTS_OK);
}

static vts_step sleep_forever(vts_co *co)
{
    cancelable_frame *f = VTS_SELF(co, cancelable_frame);

    VTS_ASYNC(co) {
        VTS_TRY(f->rc, vts_delay(f->loop, VTS_NEVER, f->cancel));
        step('?');
    VTS_FINALLY();
        VTS_AWAIT(f->rc, vts_delay(f->loop, vts_after(1), vts_cancellation_none()));
        f->rc = VTS_E_CANCELED;
    }
    return vts_co_finish(co, f->rc);
}

static void a_coroutine_on_a_loop_is_canceled(void)
{
    vts_loop loop;
    vts_cancellation_source source = {0};
    cancelable_frame f = {.cancel = vts_cancellation_token_of(&source), .loop = &loop};
    vts_valuetask task;

    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    task = vts_co_start(&f.co, sleep_forever);
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_code(vts_loop_run_until(&loop, task, vts_after(VTS_SECONDS(20))), VTS_OK);
    assert_true(vts_valuetask_is_canceled(task));
    assert_int_equal(taken(task), VTS_E_CANCELED);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

// ----------------------------------------------------------------------------------
// Where it resumes
// ----------------------------------------------------------------------------------

static void a_frame_resumes_on_the_scheduler_of_its_await(void)
{
    operation a = {0}, b = {0};
    frame f = {.a = &a, .b = &b};
    vts_run_queue queue;
    vts_valuetask task;

    vts_run_queue_init(&queue, NULL, NULL);
    vts_scheduler_set_current(&queue.scheduler);
    task = vts_co_start(&f.co, two_awaits);
    vts_scheduler_set_current(NULL);
    complete(&a, 1);
    assert_steps("<1");
    assert_int_equal(vts_run_queue_drain(&queue), 1);
    assert_steps("<2");
    complete(&b, 1); /* awaited while the queue was current */
    assert_steps("");
    assert_int_equal(vts_run_queue_drain(&queue), 1);
    assert_steps("<3>");
    assert_int_equal(taken(task), 2);
}

/* The steps of two_awaits up to the completion of its first, with the queue current at
   the start only. */
static void assert_resumes(frame *f, bool at_completion)
{
    vts_run_queue queue;
    vts_valuetask task;

    vts_run_queue_init(&queue, NULL, NULL);
    vts_scheduler_set_current(&queue.scheduler);
    task = vts_co_start(&f->co, two_awaits);
    vts_scheduler_set_current(NULL);
    complete(f->a, 1);
    assert_steps(at_completion ? "<1<2" : "<1");
    vts_run_queue_drain(&queue);
    complete(f->b, 1);
    vts_run_queue_drain(&queue);
    assert_true(vts_valuetask_is_completed(task));
    taken(task);
    steps[0] = '\0';
}

static void configure_none_resumes_where_the_operation_completes(void)
{
    operation a = {0}, b = {0};
    frame f = {.a = &a, .b = &b};

    assert_resumes(&f, false);
    vts_co_configure(&f.co, VTS_NONE);
    assert_resumes(&f, true);
    assert_resumes(&f, true); /* a frame keeps it */
    vts_co_configure(&f.co, VTS_USE_SCHEDULING_CONTEXT);
    assert_resumes(&f, false);
    vts_co_configure(NULL, VTS_NONE);
}

static void a_rented_frame_begins_with_the_default(void)
{
    operation a = {0}, b = {0};
    vts_pool pool;
    frame *f;

    make_frames(&pool, 1);
    f = vts_co_rent(&pool, frame);
    f->a = &a;
    f->b = &b;
    vts_co_configure(&f->co, VTS_NONE);
    assert_resumes(f, true);
    f = vts_co_rent(&pool, frame);
    f->a = &a;
    f->b = &b;
    assert_resumes(f, false);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

typedef struct yield_frame {
    vts_co co;
    vts_scheduler *to;
    vts_scheduler *was[3];
} yield_frame;

static vts_step yielding(vts_co *co)
{
    yield_frame *f = VTS_SELF(co, yield_frame);

    VTS_ASYNC(co) {
        VTS_YIELD(NULL);
        f->was[0] = vts_scheduler_current();
        step('1');
        VTS_YIELD(f->to);
        f->was[1] = vts_scheduler_current();
        step('2');
        VTS_YIELD(NULL);
        f->was[2] = vts_scheduler_current();
        step('3');
    }
    return vts_co_finish(co, 0);
}

static void yield_goes_on_as_a_posted_work(void)
{
    vts_run_queue queue;
    yield_frame f = {.to = &queue.scheduler};
    vts_valuetask task;

    vts_run_queue_init(&queue, NULL, NULL);
    task = vts_co_start(&f.co, yielding);
    assert_steps("1"); /* no current scheduler: at once */
    assert_int_equal(vts_run_queue_drain(&queue), 1);
    assert_steps("2");
    assert_int_equal(vts_run_queue_drain(&queue), 1);
    assert_steps("3");
    assert_null(f.was[0]);
    assert_ptr_equal(f.was[1], &queue.scheduler);
    assert_ptr_equal(f.was[2], &queue.scheduler);
    assert_int_equal(taken(task), 0);
}

static void yield_goes_on_on_a_loop(void)
{
    vts_loop loop;
    yield_frame f = {.to = &loop.scheduler};
    vts_valuetask task;

    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    task = vts_co_start(&f.co, yielding);
    assert_steps("1");
    assert_code(vts_loop_run_until(&loop, task, vts_after(VTS_SECONDS(20))), VTS_OK);
    assert_steps("23");
    assert_int_equal(taken(task), 0);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

// ----------------------------------------------------------------------------------
// The stack
// ----------------------------------------------------------------------------------

static vts_step ten_million(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        for (f->i = 0; f->i < 10000000; f->i++) {
            VTS_AWAIT(f->y, vts_valuetask_from_result(1));
            f->x += f->y;
        }
    }
    return vts_co_finish(co, f->x);
}

static void *run_ten_million(void *arg)
{
    frame f = {.i = 0};
    intptr_t *result = arg;

    *result = taken(vts_co_start(&f.co, ten_million));
    return NULL;
}

static void on_small_stack(void *(*run)(void *), void *arg)
{
    test_thread_join(test_thread_start(run, arg, SMALL_STACK));
    assert_threads_passed();
}

static void ten_million_ready_awaits_take_no_stack(void)
{
    intptr_t result = 0;

    on_small_stack(run_ten_million, &result);
    assert_int_equal(result, 10000000);
}

#define LINKS 100000

typedef struct link_frame {
    vts_co co;
    vts_valuetask inner;
    intptr_t rc;
} link_frame;

static vts_step link_run(vts_co *co)
{
    link_frame *f = VTS_SELF(co, link_frame);

    VTS_ASYNC(co) {
        VTS_TRY(f->rc, f->inner);
        f->rc++;
    }
    return vts_co_finish(co, f->rc);
}

typedef struct chain {
    vts_pool pool;
    intptr_t innermost, result;
} chain;

static void *run_chain(void *arg)
{
    chain *c = arg;
    operation op = {0};
    vts_valuetask task = begin(&op);
    int i;

    for (i = 0; i < LINKS; i++) {
        link_frame *f = vts_co_rent(&c->pool, link_frame);
        THREAD_CHECK(f != NULL);
        f->inner = task;
        task = vts_co_start(&f->co, link_run);
    }
    THREAD_CHECK(vts_valuetask_get_status(task) == VTS_PENDING);
    complete(&op, c->innermost);
    c->result = taken(task);
    return NULL;
}

static void a_chain_of_100000_coroutines_completes_on_a_small_stack(void)
{
    static chain c;
    vts_pool_desc desc = vts_co_pool_desc(sizeof(link_frame));

    desc.allocator = &test_allocator;
    assert_code(vts_pool_init(&c.pool, &desc), VTS_OK);
    c.innermost = 7;
    on_small_stack(run_chain, &c);
    assert_int_equal(c.result, 7 + LINKS);
    c.innermost = ERROR_OF_OPERATION;
    on_small_stack(run_chain, &c);
    assert_int_equal(c.result, ERROR_OF_OPERATION);
    assert_int_equal(vts_pool_outstanding(&c.pool), 0);
    assert_code(vts_pool_destroy(&c.pool), VTS_OK);
}

/* Each completes what the other awaits, inside the call. */
typedef struct player {
    vts_co co;
    operation mine;
    struct player *other;
    intptr_t rounds, rc;
} player;

#define ROUNDS 200000

static vts_step serve(vts_co *co)
{
    player *p = VTS_SELF(co, player);

    VTS_ASYNC(co) {
        for (p->rounds = 0; p->rounds < ROUNDS; p->rounds++) {
            complete(&p->other->mine, 1);
            VTS_TRY(p->rc, begin(&p->mine));
        }
    }
    return vts_co_finish(co, p->rounds);
}

static vts_step answer(vts_co *co)
{
    player *p = VTS_SELF(co, player);

    VTS_ASYNC(co) {
        for (p->rounds = 0; p->rounds < ROUNDS; p->rounds++) {
            VTS_TRY(p->rc, begin(&p->mine));
            VTS_YIELD(p->rounds % 2 == 0 ? NULL : vts_scheduler_current());
            complete(&p->other->mine, 1);
        }
    }
    return vts_co_finish(co, p->rounds);
}

static void *play(void *arg)
{
    vts_run_queue queue;
    player a = {.rc = 0}, b = {.rc = 0};
    vts_valuetask served, answered;

    (void)arg;
    vts_run_queue_init(&queue, NULL, NULL);
    a.other = &b;
    b.other = &a;
    vts_scheduler_set_current(&queue.scheduler);
    answered = vts_co_start(&b.co, answer);
    served = vts_co_start(&a.co, serve);
    while (vts_run_queue_drain(&queue) > 0) {}
    vts_scheduler_set_current(NULL);
    THREAD_CHECK(taken(answered) == ROUNDS);
    THREAD_CHECK(taken(served) == ROUNDS);
    return NULL;
}

static void two_that_complete_each_other_take_no_stack(void)
{
    on_small_stack(play, NULL);
}

// ----------------------------------------------------------------------------------
// Threads
// ----------------------------------------------------------------------------------
// Two threads complete; whoever runs the coroutine gives the next operation to the other
// and goes on to await it. So completion meets registration at every point.

typedef struct crossing {
    vts_source *inbox[2]; /* atomic: for each thread what it is to complete           */
    vts_token token[2];
    vts_pool sources, frames;
    int stop;
} crossing;

typedef struct cross_frame {
    vts_co co;
    crossing *all;
    int rounds;
    intptr_t rc, sum;
} cross_frame;

static vts_valuetask complete_elsewhere(crossing *all, int thread)
{
    vts_token token;
    vts_source *source = vts_pool_rent(&all->sources, &token);

    if (source == NULL) return vts_valuetask_from_error(VTS_E_EXHAUSTED);
    all->token[thread] = token;
    __atomic_store_n(&all->inbox[thread], source, __ATOMIC_RELEASE);
    return vts_valuetask_of(source, token);
}

static vts_step crossing_run(vts_co *co)
{
    cross_frame *f = VTS_SELF(co, cross_frame);

    VTS_ASYNC(co) {
        while (f->rounds < 20000) {
            VTS_TRY(f->rc, complete_elsewhere(f->all, 0));
            f->sum += f->rc;
            f->rounds++;
            VTS_TRY(f->rc, complete_elsewhere(f->all, 1));
            f->sum += f->rc;
            f->rounds++;
        }
    }
    return vts_co_finish(co, f->rc < 0 ? f->rc : f->sum);
}

typedef struct completer {
    crossing *all;
    int number;
} completer;

static void *run_completer(void *arg)
{
    completer *self = arg;
    vts_source **inbox = &self->all->inbox[self->number];

    while (!__atomic_load_n(&self->all->stop, __ATOMIC_ACQUIRE)) {
        vts_source *source = __atomic_load_n(inbox, __ATOMIC_ACQUIRE);
        vts_token token;
        if (source == NULL) {
            sched_yield();
            continue;
        }
        token = self->all->token[self->number];
        *inbox = NULL;
        THREAD_CHECK(vts_source_set_result(source, token, 1) == VTS_OK);
    }
    return NULL;
}

static void each_await_is_completed_from_another_thread(void)
{
    static crossing all;
    completer completers[2] = {{&all, 0}, {&all, 1}};
    vts_pool_desc desc = {.allocator = &test_allocator};
    vts_pool_desc frames = vts_co_pool_desc(sizeof(cross_frame));
    test_thread threads[2];
    vts_valuetask task;
    cross_frame *f;

    memset(&all, 0, sizeof all);
    frames.allocator = &test_allocator;
    assert_code(vts_pool_init(&all.sources, &desc), VTS_OK);
    assert_code(vts_pool_init(&all.frames, &frames), VTS_OK);
    threads[0] = test_thread_start(run_completer, &completers[0], 0);
    threads[1] = test_thread_start(run_completer, &completers[1], 0);
    f = vts_co_rent(&all.frames, cross_frame);
    f->all = &all;
    f->rounds = 0;
    f->sum = 0;
    task = vts_co_start(&f->co, crossing_run);
    assert_code(vts_valuetask_wait(task, vts_after(VTS_SECONDS(120))), VTS_OK);
    assert_int_equal(taken(task), 20000);
    __atomic_store_n(&all.stop, 1, __ATOMIC_RELEASE);
    test_thread_join(threads[0]);
    test_thread_join(threads[1]);
    assert_code(vts_pool_destroy(&all.sources), VTS_OK);
    assert_code(vts_pool_destroy(&all.frames), VTS_OK);
}

/* The same with tasks, which take another way to the registration. */
typedef struct passing {
    vts_task *inbox[2]; /* atomic; each with a reference of its completer's            */
    int stop;
} passing;

typedef struct pass_frame {
    vts_co co;
    passing *all;
    vts_task *task;
    int rounds;
    intptr_t rc, sum;
} pass_frame;

static vts_valuetask pass_task(pass_frame *f)
{
    if (vts_task_create(&f->task, NULL) != VTS_OK) {
        return vts_valuetask_from_error(VTS_E_MEMORY);
    }
    vts_task_retain(f->task);
    __atomic_store_n(&f->all->inbox[f->rounds % 2], f->task, __ATOMIC_RELEASE);
    return vts_valuetask_of_task(f->task);
}

static vts_step passing_run(vts_co *co)
{
    pass_frame *f = VTS_SELF(co, pass_frame);

    VTS_ASYNC(co) {
        while (f->rounds < 20000) {
            VTS_TRY(f->rc, pass_task(f));
            vts_task_release(f->task);
            f->sum += f->rc;
            f->rounds++;
        }
    }
    return vts_co_finish(co, f->rc < 0 ? f->rc : f->sum);
}

typedef struct passer {
    passing *all;
    int number;
} passer;

static void *run_passer(void *arg)
{
    passer *self = arg;
    vts_task **inbox = &self->all->inbox[self->number];

    while (!__atomic_load_n(&self->all->stop, __ATOMIC_ACQUIRE)) {
        vts_task *task = __atomic_exchange_n(inbox, NULL, __ATOMIC_ACQUIRE);
        if (task == NULL) {
            sched_yield();
            continue;
        }
        THREAD_CHECK(vts_task_set_result(task, 1) == VTS_OK);
        vts_task_release(task);
    }
    return NULL;
}

static void each_await_of_a_task_is_completed_from_another_thread(void)
{
    static passing all;
    static pass_frame passed;
    passer passers[2] = {{&all, 0}, {&all, 1}};
    test_thread threads[2];
    vts_valuetask task;

    memset(&all, 0, sizeof all);
    memset(&passed, 0, sizeof passed);
    passed.all = &all;
    threads[0] = test_thread_start(run_passer, &passers[0], 0);
    threads[1] = test_thread_start(run_passer, &passers[1], 0);
    task = vts_co_start(&passed.co, passing_run);
    assert_code(vts_valuetask_wait(task, vts_after(VTS_SECONDS(120))), VTS_OK);
    assert_int_equal(taken(task), 20000);
    __atomic_store_n(&all.stop, 1, __ATOMIC_RELEASE);
    test_thread_join(threads[0]);
    test_thread_join(threads[1]);
}

// ----------------------------------------------------------------------------------
// Allocations
// ----------------------------------------------------------------------------------

typedef struct counting_frame {
    vts_co co;
    vts_pool *sources;
    vts_source *source;
    vts_token token;
    intptr_t rc;
    int rounds;
} counting_frame;

static vts_valuetask rent_operation(counting_frame *f)
{
    f->source = vts_pool_rent(f->sources, &f->token);
    return vts_valuetask_of(f->source, f->token);
}

static vts_step counting(vts_co *co)
{
    counting_frame *f = VTS_SELF(co, counting_frame);

    VTS_ASYNC(co) {
        for (f->rounds = 0; f->rounds < 1000; f->rounds++) {
            VTS_TRY(f->rc, rent_operation(f));
        }
    }
    return vts_co_finish(co, f->rounds);
}

/* A thousand operations that complete later; how many were awaited. */
static int count_thousand(vts_pool *frames, vts_pool *sources)
{
    counting_frame *f = vts_co_rent(frames, counting_frame);
    vts_valuetask task;
    int i;

    f->sources = sources;
    task = vts_co_start(&f->co, counting);
    for (i = 0; i < 1000; i++) vts_source_set_result(f->source, f->token, i);
    return (int)taken(task);
}

static void an_await_of_a_pooled_operation_allocates_nothing(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 2);
    vts_pool_desc desc = {.storage = storage, .storage_size = sizeof storage};
    vts_pool sources, frames;
    unsigned long before;
    size_t calls;
    int awaited;

    assert_code(vts_pool_init(&sources, &desc), VTS_OK);
    desc = vts_co_pool_desc(sizeof(counting_frame));
    desc.allocator = &test_allocator;
    assert_code(vts_pool_init(&frames, &desc), VTS_OK);
    count_thousand(&frames, &sources); /* the frames' first chunk is allocated */
    before = allocations();
    calls = test_memory.calls;
    awaited = count_thousand(&frames, &sources);
    assert_int_equal(allocations(), before);
    assert_int_equal(test_memory.calls, calls);
    assert_int_equal(awaited, 1000);
    assert_int_equal(vts_pool_outstanding(&sources), 0);
    assert_code(vts_pool_destroy(&frames), VTS_OK);
    TEST_NOTE(COUNTS_ALLOCATIONS ? "malloc is counted" : "only the pools are counted");
}

// ----------------------------------------------------------------------------------
// Misuse: each in a child process, which tells what it heard
// ----------------------------------------------------------------------------------

static int here; /* the line where a misuse is */

static void tell_trap(void *user, const char *file, int line, const char *text,
                      const vts_co *co)
{
    const int *out = user;
    const char *name = strrchr(file, '/');

    dprintf(*out, "%s %s %s: %s", name != NULL ? name + 1 : file,
            line == here ? "here" : "elsewhere", co->name, text);
    test_child_exit(0);
}

/* What the trap hook hears of a misuse; "" if it hears nothing. */
static const char *trap_of(void (*misuse)(void))
{
    static char text[256];
    int ends[2], status;
    ssize_t size;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        vts_set_trap_hook(tell_trap, &ends[1]);
        misuse();
        _exit(0);
    }
    close(ends[1]);
    size = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static vts_step in_a_switch(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        switch (f->i) {
        case 0:
            here = __LINE__ + 1;
            VTS_AWAIT(f->x, begin(f->a));
            break;
        default: break;
        }
    }
    return vts_co_finish(co, 0);
}

static void await_in_a_switch(void)
{
    operation a = {0};
    frame f = {.a = &a};

    vts_co_start(&f.co, in_a_switch);
    complete(&a, 1);
}

static vts_step twice(vts_co *co)
{
    outer_frame *f = VTS_SELF(co, outer_frame);

    VTS_ASYNC(co) {
        VTS_AWAIT(f->rc, f->task);
        here = __LINE__ + 1;
        VTS_AWAIT(f->rc, f->task);
    }
    return vts_co_finish(co, 0);
}

static void await_twice(void)
{
    frame inner = {.x = 1};
    outer_frame f = {.task = vts_co_start(&inner.co, finish_with)};

    vts_co_start(&f.co, twice);
}

static vts_step hearing(vts_co *co)
{
    outer_frame *f = VTS_SELF(co, outer_frame);

    VTS_ASYNC(co) {
        here = __LINE__ + 1;
        VTS_AWAIT(f->rc, f->task);
    }
    return vts_co_finish(co, 0);
}

static void await_what_is_awaited(void)
{
    operation a = {0};
    outer_frame f = {.task = begin(&a)}, g = f;

    vts_co_start(&f.co, hearing);
    vts_co_start(&g.co, hearing);
}

/* The handle's source is pending, or completed, for another operation by now. */
static void await_an_old_handle(bool completed)
{
    vts_source source;
    vts_token old, token;
    outer_frame f = {0};

    vts_source_init(&source, NULL);
    vts_source_reset(&source, &old);
    f.task = vts_valuetask_of(&source, old);
    vts_source_set_result(&source, old, 1);
    vts_source_reset(&source, &token);
    if (completed) vts_source_set_result(&source, token, 2);
    vts_co_start(&f.co, hearing);
}

static void await_what_another_awaits(void) { await_an_old_handle(false); }
static void await_what_another_completed(void) { await_an_old_handle(true); }

/* The result is gone when the frame resumes. */
static void take_what_is_awaited(void)
{
    vts_run_queue queue;
    operation a = {0};
    frame inner = {.a = &a};
    outer_frame f = {.task = vts_co_start(&inner.co, wait_and_finish_with)};

    vts_run_queue_init(&queue, NULL, NULL);
    vts_scheduler_set_current(&queue.scheduler);
    vts_co_start(&f.co, hearing);
    vts_scheduler_set_current(NULL);
    complete(&a, 1);
    taken(f.task);
    vts_run_queue_drain(&queue);
}

static vts_step hearing_typed(vts_co *co)
{
    typed_frame *f = VTS_SELF(co, typed_frame);

    VTS_ASYNC(co) {
        here = __LINE__ + 1;
        VTS_AWAIT_TYPED(place, f->error, &f->value, place_later(f));
    }
    return vts_co_finish(co, 0);
}

static void reset_what_is_awaited(void)
{
    vts_run_queue queue;
    place_source source;
    typed_frame f = {.source = &source};
    const point value = {0, 0, 0};

    place_source_init(&source);
    vts_run_queue_init(&queue, NULL, NULL);
    vts_scheduler_set_current(&queue.scheduler);
    vts_co_start(&f.co, hearing_typed);
    vts_scheduler_set_current(NULL);
    place_set_result(&source, f.token, &value);
    f.co.awaiting.token += 32;
    vts_run_queue_drain(&queue);
}

static int refuse(vts_valuetask_source *self, vts_token token, vts_continuation continuation,
                  void *arg, unsigned flags)
{
    (void)self;
    (void)token;
    (void)continuation;
    (void)arg;
    (void)flags;
    return VTS_E_UNSUPPORTED;
}

static void await_what_cannot_be_awaited(void)
{
    operation a = {0};
    vts_source_ops ops = vts_source_ops_of(NULL);
    outer_frame f;

    memset(&f, 0, sizeof f);
    ops.on_completed = refuse;
    vts_source_init(&a.source, &ops);
    f.task = begin(&a);
    vts_co_start(&f.co, hearing);
}

static void run_when_done(void)
{
    operation a = {0};
    frame f = {.a = &a};

    here = VTS_CO_DONE;
    vts_co_start(&f.co, wait_and_finish_with);
    complete(&a, 1);
    f.co.run(&f.co);
}

static vts_work *posted;

static void keep(vts_scheduler *self, vts_work *work)
{
    (void)self;
    posted = work;
}

static vts_step yields_once(vts_co *co)
{
    yield_frame *f = VTS_SELF(co, yield_frame);

    VTS_ASYNC(co) {
        VTS_YIELD(f->to);
        if (f->was[0] != NULL) posted->run(posted);
    }
    return vts_co_finish(co, 0);
}

static void resume_when_done(void)
{
    vts_scheduler scheduler = {keep};
    yield_frame f = {.to = &scheduler};

    here = VTS_CO_DONE;
    vts_co_start(&f.co, yields_once);
    posted->run(posted);
    posted->run(posted);
}

static void resume_while_it_runs(void)
{
    vts_scheduler scheduler = {keep};
    yield_frame f = {.to = &scheduler, .was = {&scheduler}};

    here = 0;
    vts_co_start(&f.co, yields_once);
    posted->run(posted);
}

static vts_step finishes_twice(vts_co *co)
{
    vts_co_finish(co, 0);
    here = VTS_CO_DONE;
    return vts_co_finish(co, 0);
}

static void finish_twice(void)
{
    frame f = {.x = 0};

    vts_co_start(&f.co, finishes_twice);
}

static void complete_a_coroutine(void)
{
    operation a = {0};
    frame f = {.a = &a};

    here = VTS_CO_DONE;
    vts_co_start(&f.co, wait_and_finish_with);
    vts_source_set_result(&f.co.source, f.co.token, 1);
    complete(&a, 1);
}

static vts_step gives_an_element(vts_co *co)
{
    VTS_ASYNC(co) {
        here = __LINE__ + 1;
        VTS_YIELD_RETURN(co);
    }
    return vts_co_finish(co, 0);
}

static void give_an_element_to_nobody(void)
{
    frame f = {.x = 0};

    vts_co_start(&f.co, gives_an_element);
}

static vts_step finishes_far_below(vts_co *co) { return vts_co_finish(co, INTPTR_MIN); }

static void a_result_that_is_no_error_code_fails_all_the_same(void)
{
    frame f = {.x = 0};
    vts_valuetask task = vts_co_start(&f.co, finishes_far_below);

    assert_code(vts_valuetask_get_status(task), VTS_FAULTED);
    assert_true(vts_valuetask_get_result(task, NULL) < 0);
}

static void an_element_of_what_is_no_generator_traps(void)
{
    const char *said = trap_of(give_an_element_to_nobody);

    assert_non_null(strstr(said, "t_await.c here gives_an_element: "));
}

static void misuse_traps_with_file_and_line(void)
{
    assert_string_equal(trap_of(await_in_a_switch),
                        "t_await.c here in_a_switch: resumed at a line that is not an await "
                        "of this block (await inside a nested switch?)");
    assert_string_equal(trap_of(await_twice),
                        "t_await.c here twice: stale token: the operation is over, its "
                        "handle was used or kept too long");
    assert_string_equal(trap_of(await_what_is_awaited),
                        "t_await.c here hearing: already awaited: a continuation is "
                        "registered for this operation");
    assert_string_equal(trap_of(await_what_cannot_be_awaited),
                        "t_await.c here hearing: not supported by this source or on this "
                        "platform");
}

static void a_handle_of_an_operation_before_traps(void)
{
    const char *stale = "t_await.c here hearing: stale token: the operation is over, its "
                        "handle was used or kept too long";

    assert_string_equal(trap_of(await_what_another_awaits), stale);
    assert_string_equal(trap_of(await_what_another_completed), stale);
}

static void a_result_taken_by_somebody_else_traps(void)
{
    assert_string_equal(trap_of(take_what_is_awaited),
                        "t_await.c here hearing: stale token: the operation is over, its "
                        "handle was used or kept too long");
    assert_string_equal(trap_of(reset_what_is_awaited),
                        "t_await.c here hearing_typed: stale token: the operation is over, "
                        "its handle was used or kept too long");
}

static void a_frame_that_is_finished_traps(void)
{
    assert_string_equal(trap_of(run_when_done),
                        "t_await.c here wait_and_finish_with: run after it finished");
    assert_string_equal(trap_of(resume_when_done),
                        "t_await.c here yields_once: resumed after it finished");
    assert_string_equal(trap_of(resume_while_it_runs),
                        "t_await.c here yields_once: resumed while it runs");
    assert_string_equal(trap_of(finish_twice), " here finishes_twice: finished twice");
    assert_string_equal(trap_of(complete_a_coroutine),
                        "t_await.c here wait_and_finish_with: completed by somebody else");
}

static void go_on(void *user, const char *file, int line, const char *text,
                  const vts_co *co)
{
    (void)user;
    (void)file;
    (void)line;
    (void)text;
    (void)co;
}

/* How a child that misuses ends, and what it says on stderr. */
static int end_of(vts_trap_hook hook, char *said, size_t size)
{
    int ends[2], status;
    ssize_t got;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        test_child_may_die();
        dup2(ends[1], STDERR_FILENO);
        vts_set_trap_hook(hook, NULL);
        await_in_a_switch();
        _exit(0);
    }
    close(ends[1]);
    got = read(ends[0], said, size - 1);
    said[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return status;
}

static void without_a_hook_a_trap_says_so_and_aborts(void)
{
    char said[256];
    int status = end_of(NULL, said, sizeof said);

    assert_true(WIFSIGNALED(status));
    assert_non_null(strstr(said, "t_await.c:"));
    assert_non_null(strstr(said, ": vts: resumed at a line that is not an await of this "
                                 "block (await inside a nested switch?)\n"));
    status = end_of(go_on, said, sizeof said);
    assert_true(WIFSIGNALED(status));
    assert_string_equal(said, "");
}

// ----------------------------------------------------------------------------------
// Dumps
// ----------------------------------------------------------------------------------

static char *dumped(const vts_co *co)
{
    static char text[256];
    size_t length = vts_co_dump(co, text, sizeof text);

    assert_int_equal(length, strlen(text));
    return text;
}

static vts_step inner(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        f->line = __LINE__ + 1;
        VTS_AWAIT(f->y, begin(f->a));
        memcpy(steps, dumped(co), sizeof steps - 1);
    }
    return vts_co_finish(co, f->y);
}

static void a_dump_prints_who_awaits_whom(void)
{
    operation a = {0};
    frame f = {.a = &a};
    outer_frame middle = {.rc = 0}, last = {.rc = 0};
    char expected[128], little[8];
    size_t length;

    assert_string_equal(dumped(NULL), "");
    assert_string_equal(dumped(&f.co), "not started");
    middle.task = vts_co_start(&f.co, inner);
    last.task = vts_co_start(&middle.co, await_task);
    last.task = vts_co_start(&last.co, hearing);
    length = (size_t)snprintf(expected, sizeof expected,
                              "inner:%d < await_task:%d < hearing:%d", f.line, middle.line,
                              here);
    assert_string_equal(dumped(&f.co), expected);
    assert_string_equal(dumped(&middle.co), strchr(expected, '<') + 2);
    assert_int_equal(vts_co_dump(&f.co, little, sizeof little), length);
    assert_string_equal(little, "inner:1"); /* lines of this file have more digits */
    assert_int_equal(vts_co_dump(&f.co, NULL, 0), length);
    complete(&a, 3);
    snprintf(expected, sizeof expected, "inner running < await_task:%d < hearing:%d",
             middle.line, here);
    assert_string_equal(steps, expected);
    assert_string_equal(dumped(&f.co), "inner done");
    assert_int_equal(taken(last.task), 0);
    memset(steps, 0, sizeof steps);
}

static struct {
    const vts_co *co;
    char text[64];
} over;

/* While the last result is taken: that of the inner frame, which awaits nothing more. */
static void dump_at_the_take(void *user, vts_trace_event event,
                             const vts_valuetask_source *source, vts_token token,
                             int result)
{
    (void)user;
    (void)token;
    (void)result;
    if (event != VTS_TRACE_GET_STATUS || source != &over.co->source.base) return;
    vts_co_dump(over.co, over.text, sizeof over.text);
}

static void a_dump_of_what_is_over_names_nobody_else(void)
{
    operation a = {0};
    frame f = {.a = &a};
    outer_frame outermost = {.rc = 0};

    over.co = &f.co;
    outermost.task = vts_co_start(&f.co, wait_and_finish_with);
    outermost.task = vts_co_start(&outermost.co, hearing);
    vts_set_trace_hook(dump_at_the_take, NULL);
    complete(&a, 3);
    vts_set_trace_hook(NULL, NULL);
    assert_string_equal(over.text, "wait_and_finish_with done");
    assert_int_equal(taken(outermost.task), 0);
}

static void a_dump_ends_at_what_is_no_coroutine(void)
{
    operation a = {0};
    frame f = {.a = &a, .x = 1};
    outer_frame outermost = {.rc = 0};
    char expected[64];
    vts_task *task = NULL;

    assert_code(vts_valuetask_as_task(vts_co_start(&f.co, wait_and_finish_with),
                                      &test_allocator, &task),
                VTS_OK);
    outermost.task = vts_valuetask_of_task(task);
    outermost.task = vts_co_start(&outermost.co, hearing);
    snprintf(expected, sizeof expected, "wait_and_finish_with:%d", f.co.line);
    assert_string_equal(dumped(&f.co), expected);
    complete(&a, 3);
    assert_int_equal(taken(outermost.task), 0);
    vts_task_release(task);
}

static vts_step far_away(vts_co *co);
static vts_step far_in_a_switch(vts_co *co);

static void await_far_in_a_switch(void)
{
    operation a = {0};
    frame f = {.a = &a};

    here = 100007;
    vts_co_start(&f.co, far_in_a_switch);
    complete(&a, 1);
}

static void lines_beyond_65535_are_lines_like_others(void)
{
    operation a = {0}, b = {0};
    frame f = {.a = &a, .b = &b};
    vts_valuetask task = vts_co_start(&f.co, far_away);

    assert_int_equal(f.co.line, 70006);
    assert_string_equal(dumped(&f.co), "far_away:70006");
    complete(&a, 1);
    assert_string_equal(dumped(&f.co), "far_away:2000000007");
    complete(&b, 2);
    assert_int_equal(taken(task), 3);
    assert_string_equal(trap_of(await_far_in_a_switch),
                        "far.c here far_in_a_switch: resumed at a line that is not an await "
                        "of this block (await inside a nested switch?)");
}

/* Where a frame waits is told only while it does: one that runs cannot be resumed. */
typedef struct looker {
    vts_co co;
    vts_pool *pool;
    vts_source *source;
    vts_token token;
    operation *bare;
    intptr_t n;
    int line[3];
} looker;

static vts_valuetask rented(looker *f)
{
    f->source = vts_pool_rent(f->pool, &f->token);
    return vts_valuetask_of(f->source, f->token);
}

static vts_step looks_where_it_waits(vts_co *co)
{
    looker *f = VTS_SELF(co, looker);

    VTS_ASYNC(co) {
        VTS_AWAIT(f->n, rented(f));
        f->line[0] = co->line;
        VTS_AWAIT(f->n, begin(f->bare));
        f->line[1] = co->line;
        VTS_YIELD(NULL);
        f->line[2] = co->line;
    }
    return vts_co_finish(co, f->n);
}

static void a_frame_that_runs_waits_nowhere(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 2);
    vts_pool_desc desc = {0};
    vts_pool pool;
    operation bare = {0};
    looker f = {.pool = &pool, .bare = &bare, .line = {-7, -7, -7}};
    vts_valuetask task;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    task = vts_co_start(&f.co, looks_where_it_waits);
    assert_true(f.co.line > 0);
    assert_code(vts_source_set_result(f.source, f.token, 1), VTS_OK);
    assert_int_equal(f.line[0], 0);
    assert_true(f.co.line > 0);
    complete(&bare, 2);
    assert_int_equal(f.line[1], 0);
    assert_int_equal(f.line[2], 0);
    assert_int_equal(taken(task), 2);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static const test_case tests[] = {
    TEST(a_frame_that_runs_waits_nowhere),
    TEST(a_coroutine_runs_to_its_first_pending_await),
    TEST(an_await_of_what_is_completed_goes_on_in_place),
    TEST(a_frame_is_started_again),
    TEST(awaits_stand_in_loops_and_nested_blocks),
    TEST(every_way_out_runs_finally_but_a_break),
    TEST(a_try_after_finally_leaves_the_block),
    TEST(finally_runs_again_when_the_frame_is_started_again),
    TEST(leave_and_try_without_finally_end_the_block),
    TEST(the_calls_of_an_await_are_traced),
    TEST(a_typed_await_gives_a_value_of_any_size),
    TEST(finish_completes_fails_or_cancels),
    TEST(a_coroutines_result_is_taken_once),
    TEST(a_forgotten_frame_is_started_again),
    TEST(a_frame_that_runs_is_not_started),
    TEST(a_rented_frame_returns_when_its_result_is_taken),
    TEST(a_rented_frame_is_started_once),
    TEST(a_frame_that_is_forgotten_returns_at_its_end),
    TEST(errors_propagate_from_callee_to_caller),
    TEST(three_coroutines_await_one_task),
    TEST(a_coroutine_becomes_a_task_that_three_await),
    TEST(cancellation_reaches_the_operation_awaited),
    TEST(a_coroutine_on_a_loop_is_canceled),
    TEST(a_frame_resumes_on_the_scheduler_of_its_await),
    TEST(configure_none_resumes_where_the_operation_completes),
    TEST(a_rented_frame_begins_with_the_default),
    TEST(yield_goes_on_as_a_posted_work),
    TEST(yield_goes_on_on_a_loop),
    TEST(ten_million_ready_awaits_take_no_stack),
    TEST(a_chain_of_100000_coroutines_completes_on_a_small_stack),
    TEST(two_that_complete_each_other_take_no_stack),
    TEST(each_await_is_completed_from_another_thread),
    TEST(each_await_of_a_task_is_completed_from_another_thread),
    TEST(an_await_of_a_pooled_operation_allocates_nothing),
    TEST(misuse_traps_with_file_and_line),
    TEST(a_handle_of_an_operation_before_traps),
    TEST(an_element_of_what_is_no_generator_traps),
    TEST(a_result_that_is_no_error_code_fails_all_the_same),
    TEST(a_result_taken_by_somebody_else_traps),
    TEST(a_frame_that_is_finished_traps),
    TEST(without_a_hook_a_trap_says_so_and_aborts),
    TEST(a_dump_prints_who_awaits_whom),
    TEST(a_dump_of_what_is_over_names_nobody_else),
    TEST(a_dump_ends_at_what_is_no_coroutine),
    TEST(lines_beyond_65535_are_lines_like_others),
};
TEST_MAIN(tests)

/* Last, because the compiler counts its lines differently from here on. */
#line 70001 "far.c"
static vts_step far_away(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        VTS_AWAIT(f->x, begin(f->a));
#line 2000000007 "far.c"
        VTS_AWAIT(f->y, begin(f->b));
    }
    return vts_co_finish(co, f->x + f->y);
}

#line 100001 "far.c"
static vts_step far_in_a_switch(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        switch (f->i) {
        default: VTS_AWAIT(f->x, begin(f->a));
        }
    }
    return vts_co_finish(co, 0);
}
