/* The shareable task: what it is made of, who may wait for it and how. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#define THREADS 4

static vts_task *new_task(void)
{
    vts_task *task = NULL;
    assert_code(vts_task_create(&task, &test_allocator), VTS_OK);
    return task;
}

/* ---- a source that answers what it is told ---- */

typedef struct told {
    vts_valuetask_source base;
    int status;
    int error;
    intptr_t value;
    vts_continuation continuation;
    void *arg;
    unsigned flags;
    int asked_status, asked_result;
    bool status_first;
    bool completes_in_on_completed;
} told;

static int told_get_status(vts_valuetask_source *self, vts_token token)
{
    told *source = (told *)(void *)self;
    (void)token;
    source->asked_status++;
    return source->status;
}

static int told_on_completed(vts_valuetask_source *self, vts_token token,
                             vts_continuation continuation, void *arg, unsigned flags)
{
    told *source = (told *)(void *)self;
    (void)token;
    source->continuation = continuation;
    source->arg = arg;
    source->flags = flags;
    if (!source->completes_in_on_completed) return VTS_OK;
    source->status = VTS_SUCCEEDED;
    return vts_run_continuation(continuation, arg, flags);
}

static int told_get_result(vts_valuetask_source *self, vts_token token, void *result)
{
    told *source = (told *)(void *)self;
    (void)token;
    source->status_first = source->asked_status > 0;
    source->asked_result++;
    if (source->error == VTS_OK && result != NULL) *(intptr_t *)result = source->value;
    return source->error;
}

static const vts_source_ops told_ops = {
    told_get_status, told_on_completed, told_get_result, NULL, NULL, NULL};

static told told_of(int status, int error, intptr_t value)
{
    told source = {0};
    source.base.ops = &told_ops;
    source.status = status;
    source.error = error;
    source.value = value;
    return source;
}

static vts_valuetask handle_of(told *source)
{
    return vts_valuetask_from_source(&source->base, 32);
}

/* ---- making tasks of value tasks ---- */

typedef struct row {
    int status, error;     /* what the source says        */
    int task_status, code; /* what the task says          */
} row;

static const row rows[] = {
    {VTS_SUCCEEDED, VTS_OK, VTS_SUCCEEDED, VTS_OK},
    {VTS_SUCCEEDED, -5, VTS_FAULTED, -5},
    {VTS_SUCCEEDED, VTS_E_CANCELED, VTS_FAULTED, VTS_E_CANCELED},
    {VTS_FAULTED, VTS_OK, VTS_SUCCEEDED, VTS_OK},
    {VTS_FAULTED, -5, VTS_FAULTED, -5},
    {VTS_FAULTED, VTS_E_CANCELED, VTS_FAULTED, VTS_E_CANCELED},
    {VTS_CANCELED, VTS_OK, VTS_SUCCEEDED, VTS_OK},
    {VTS_CANCELED, -5, VTS_CANCELED, -5},
    {VTS_CANCELED, VTS_E_CANCELED, VTS_CANCELED, VTS_E_CANCELED},
    {VTS_SUCCEEDED, 7, VTS_FAULTED, VTS_E_ARGUMENT}, /* no error is positive */
};

static void assert_as_row(const vts_task *task, const row *expected)
{
    intptr_t value = -1;

    assert_code(vts_task_get_status(task), expected->task_status);
    assert_code(vts_task_get_result(task, &value), expected->code);
    assert_int_equal(value, expected->code == VTS_OK ? 1234 : -1);
}

static void a_completed_source_gives_the_task_of_its_row(void)
{
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        told source = told_of(rows[i].status, rows[i].error, 1234);
        vts_task *task = NULL;

        test_fail_at(0);
        assert_code(vts_valuetask_as_task(handle_of(&source), &test_allocator, &task),
                    VTS_OK);
        assert_int_equal(test_memory.calls, 1);
        assert_null(source.continuation);
        assert_true(source.status_first);
        assert_int_equal(source.asked_result, 1);
        assert_as_row(task, &rows[i]);
        vts_task_release(task);
        assert_int_equal(test_memory.live, 0);
    }
}

static void a_pending_source_gives_the_task_of_its_row_when_it_completes(void)
{
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        told source = told_of(VTS_PENDING, rows[i].error, 1234);
        vts_task *task = NULL;

        test_fail_at(0);
        assert_code(vts_valuetask_as_task(handle_of(&source), &test_allocator, &task),
                    VTS_OK);
        assert_int_equal(test_memory.calls, 1);
        assert_code(vts_task_get_status(task), VTS_PENDING);
        assert_code(vts_task_get_result(task, NULL), VTS_E_NOT_COMPLETED);
        assert_non_null(source.continuation);
        assert_int_equal(source.flags, VTS_NONE);
        source.status = rows[i].status;
        source.asked_status = 0;
        source.continuation(source.arg);
        assert_true(source.status_first);
        assert_int_equal(source.asked_result, 1);
        assert_as_row(task, &rows[i]);
        vts_task_release(task);
        assert_int_equal(test_memory.live, 0);
    }
}

/* The caller may let go before the source completes, and after. */
static void the_task_lives_until_both_have_let_go(void)
{
    told source = told_of(VTS_PENDING, VTS_OK, 1);
    vts_task *task = NULL;

    assert_code(vts_valuetask_as_task(handle_of(&source), &test_allocator, &task), VTS_OK);
    vts_task_release(task);
    assert_int_equal(test_memory.live, 1);
    source.status = VTS_SUCCEEDED;
    source.continuation(source.arg);
    assert_int_equal(test_memory.live, 0);
}

static void small_results_are_constants(void)
{
    vts_task *task, *again;
    intptr_t n, value;

    test_fail_at(1);
    for (n = -1; n <= 8; n++) {
        assert_code(vts_valuetask_as_task(vts_valuetask_from_result(n), &test_allocator,
                                          &task),
                    VTS_OK);
        assert_code(vts_task_from_result(&again, n, &test_allocator), VTS_OK);
        assert_ptr_equal(task, again);
        assert_code(vts_task_get_status(task), VTS_SUCCEEDED);
        assert_code(vts_task_get_result(task, &value), VTS_OK);
        assert_int_equal(value, n);
        assert_ptr_equal(vts_task_retain(task), task);
        vts_task_release(task);
        vts_task_release(task);
        vts_task_release(task);
        assert_code(vts_task_get_result(task, &value), VTS_OK);
        assert_code(vts_task_set_result(task, 3), VTS_E_ALREADY_COMPLETED);
        assert_code(vts_task_set_error(task, -3), VTS_E_ALREADY_COMPLETED);
        assert_code(vts_task_set_canceled(task, 0), VTS_E_ALREADY_COMPLETED);
        assert_code(vts_task_wait(task, 0), VTS_OK);
    }
    assert_int_equal(test_memory.calls, 0);
    test_fail_at(0);
    for (n = -2; n <= 9; n += 11) {
        assert_code(vts_task_from_result(&task, n, &test_allocator), VTS_OK);
        assert_code(vts_task_get_result(task, &value), VTS_OK);
        assert_int_equal(value, n);
        vts_task_release(task);
    }
    assert_int_equal(test_memory.calls, 2);
}

static void as_task_of_a_task_is_that_task(void)
{
    vts_task *task = new_task(), *same;

    assert_code(vts_valuetask_as_task(vts_valuetask_of_task(task), NULL, &same), VTS_OK);
    assert_ptr_equal(task, same);
    vts_task_release(task);
    assert_int_equal(test_memory.live, 1);
    vts_task_release(same);
    assert_int_equal(test_memory.calls, 1);
}

static void as_task_keeps_failures_known_at_once(void)
{
    vts_task *task = NULL;

    assert_code(vts_valuetask_as_task(vts_valuetask_from_error(-7), &test_allocator, &task),
                VTS_OK);
    assert_code(vts_task_get_status(task), VTS_FAULTED);
    assert_code(vts_task_get_result(task, NULL), -7);
    vts_task_release(task);
    assert_code(
        vts_valuetask_as_task(vts_valuetask_from_canceled(0), &test_allocator, &task),
        VTS_OK);
    assert_code(vts_task_get_status(task), VTS_CANCELED);
    assert_code(vts_task_get_result(task, NULL), VTS_E_CANCELED);
    vts_task_release(task);
    assert_int_equal(test_memory.calls, 2);
}

static void as_task_consumes_a_pooled_source(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 2);
    vts_pool_desc desc = {0};
    vts_pool pool;
    int completed;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    for (completed = 0; completed < 2; completed++) {
        vts_token token;
        vts_source *source = vts_pool_rent(&pool, &token);
        vts_task *task = NULL, *none = NULL;
        intptr_t value;

        if (completed) assert_code(vts_source_set_result(source, token, 55), VTS_OK);
        test_fail_at(0);
        assert_code(vts_valuetask_as_task(vts_valuetask_of(source, token), &test_allocator,
                                          &task),
                    VTS_OK);
        assert_int_equal(test_memory.calls, 1);
        if (!completed) {
            assert_code(vts_valuetask_as_task(vts_valuetask_of(source, token),
                                              &test_allocator, &none),
                        VTS_E_ALREADY_AWAITED);
            assert_code(vts_source_set_result(source, token, 55), VTS_OK);
        }
        assert_int_equal(vts_pool_outstanding(&pool), 0);
        assert_code(vts_valuetask_as_task(vts_valuetask_of(source, token), &test_allocator,
                                          &none),
                    VTS_E_STALE);
        assert_null(none);
        assert_code(vts_task_get_result(task, &value), VTS_OK);
        assert_int_equal(value, 55);
        assert_code(vts_task_get_result(task, &value), VTS_OK);
        vts_task_release(task);
    }
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

typedef struct wide {
    intptr_t words[3];
} wide;
VTS_DECLARE_VALUETASK(wide, wide);

static void as_task_refuses_what_no_word_holds(void)
{
    wide_source source = {0};
    const wide value = {{1, 2, 3}};
    wide out;
    vts_token token;
    vts_task *task = NULL;
    vts_valuetask plain;

    assert_code(wide_reset(&source, &token), VTS_OK);
    plain = vts_valuetask_of(&source.core, token);
    assert_code(vts_valuetask_as_task(plain, &test_allocator, &task), VTS_E_UNSUPPORTED);
    assert_code(wide_set_result(&source, token, &value), VTS_OK);
    assert_code(vts_valuetask_as_task(plain, &test_allocator, &task), VTS_E_UNSUPPORTED);
    assert_null(task);
    assert_int_equal(test_memory.calls, 0);
    assert_code(wide_get_result(wide_valuetask_of(&source, token), &out), VTS_OK);
    assert_int_equal(out.words[2], 3);
}

static void one_more(void *arg) { ++*(int *)arg; }

static void as_task_without_memory_leaves_the_value_task(void)
{
    vts_source source = {0};
    vts_token token;
    vts_task *task = NULL;
    intptr_t value;
    int ran = 0;

    assert_code(vts_source_reset(&source, &token), VTS_OK);
    test_fail_at(1);
    assert_code(
        vts_valuetask_as_task(vts_valuetask_of(&source, token), &test_allocator, &task),
        VTS_E_MEMORY);
    assert_null(task);
    assert_code(vts_source_on_completed(&source, token, one_more, &ran, 0), VTS_OK);
    assert_code(vts_source_set_result(&source, token, 12), VTS_OK);
    assert_int_equal(ran, 1);
    test_fail_at(1);
    assert_code(
        vts_valuetask_as_task(vts_valuetask_of(&source, token), &test_allocator, &task),
        VTS_E_MEMORY);
    assert_code(vts_source_get_result(&source, token, &value), VTS_OK);
    assert_int_equal(value, 12);
    test_fail_at(0);
}

static void count_run(vts_work *work);

typedef struct counted {
    vts_awaiter awaiter; /* first */
    int ran;
    int order;
    vts_scheduler *scheduler; /* that was current */
} counted;

static int next_order;

static void count_run(vts_work *work)
{
    counted *c = (counted *)(void *)work;
    c->ran++;
    c->order = ++next_order;
    c->scheduler = vts_scheduler_current();
}

static void make_and_await_everything(void)
{
    vts_source source = {0};
    vts_token token;
    vts_valuetask value = {NULL, 100};
    vts_task *task = NULL, *owner = NULL, *made = NULL;
    int ran = 0, registered = 0, error;

    error = vts_task_create(&task, &test_allocator);
    if (error != VTS_OK) assert_code(error, VTS_E_MEMORY);
    if (error == VTS_OK) {
        error = vts_valuetask_on_completed(vts_valuetask_of_task(task), one_more, &ran, 0);
        if (error == VTS_OK) registered++;
        else assert_code(error, VTS_E_MEMORY);
        assert_code(vts_task_set_result(task, 500), VTS_OK);
        assert_int_equal(ran, registered);
        vts_task_release(task);
    }
    error = vts_task_from_error(&made, -3, &test_allocator);
    if (error == VTS_OK) vts_task_release(made);
    else assert_code(error, VTS_E_MEMORY);
    error = vts_valuetask_preserve(&value, &test_allocator, &owner);
    assert_code(error, VTS_OK);
    assert_null(owner);
    assert_code(vts_source_reset(&source, &token), VTS_OK);
    value = vts_valuetask_of(&source, token);
    error = vts_valuetask_preserve(&value, &test_allocator, &owner);
    if (error != VTS_OK) {
        assert_code(error, VTS_E_MEMORY);
        assert_ptr_equal(value.source, &source.base);
        assert_null(owner);
    }
    assert_code(vts_source_set_result(&source, token, 6), VTS_OK);
    assert_code(vts_valuetask_get_result(value, NULL), VTS_OK);
    vts_task_release(owner);
}

static void every_failed_allocation_is_reported_and_leaves_nothing(void)
{
    assert_int_equal(test_every_failure(make_and_await_everything), 4);
}

static void a_task_may_be_awaited_again_after_preserve(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    vts_pool_desc desc = {0};
    vts_pool pool;
    vts_token token;
    vts_source *source;
    vts_valuetask task;
    vts_task *owner;
    intptr_t value;
    int ran = 0, i;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    source = vts_pool_rent(&pool, &token);
    task = vts_valuetask_of(source, token);
    assert_code(vts_valuetask_preserve(&task, &test_allocator, &owner), VTS_OK);
    for (i = 0; i < 5; i++) {
        assert_code(vts_valuetask_on_completed(task, one_more, &ran, 0), VTS_OK);
    }
    assert_int_equal(ran, 0);
    assert_code(vts_source_set_result(source, token, 77), VTS_OK);
    assert_int_equal(ran, 5);
    test_fail_at(1);
    for (i = 0; i < 5; i++) {
        assert_code(vts_valuetask_on_completed(task, one_more, &ran, 0), VTS_OK);
        assert_code(vts_valuetask_get_result(task, &value), VTS_OK);
        assert_int_equal(value, 77);
    }
    assert_int_equal(ran, 10);
    assert_int_equal(test_memory.calls, 0);
    test_fail_at(0);
    assert_int_equal(vts_pool_outstanding(&pool), 0);
    vts_task_release(owner);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void preserve_of_what_is_completed_in_itself_changes_nothing(void)
{
    const vts_valuetask before[] = {vts_valuetask_from_result(123456),
                                    vts_valuetask_from_error(-9),
                                    vts_valuetask_from_canceled(0)};
    size_t i;

    test_fail_at(1);
    for (i = 0; i < 3; i++) {
        vts_valuetask task = before[i];
        vts_task *owner = (vts_task *)(void *)&task;
        assert_code(vts_valuetask_preserve(&task, &test_allocator, &owner), VTS_OK);
        assert_true(vts_valuetask_equals(task, before[i]));
        assert_null(owner);
    }
    assert_int_equal(test_memory.calls, 0);
}

/* ---- completing and asking ---- */

static void a_task_is_completed_once(void)
{
    vts_task *task = new_task();
    intptr_t value = 5;

    assert_code(vts_task_set_error(task, 0), VTS_E_ARGUMENT);
    assert_code(vts_task_set_error(task, 1), VTS_E_ARGUMENT);
    assert_code(vts_task_set_canceled(task, 1), VTS_E_ARGUMENT);
    assert_code(vts_task_get_status(task), VTS_PENDING);
    assert_code(vts_task_get_result(task, &value), VTS_E_NOT_COMPLETED);
    assert_int_equal(value, 5);
    assert_code(vts_task_set_error(task, -8), VTS_OK);
    assert_code(vts_task_set_result(task, 1), VTS_E_ALREADY_COMPLETED);
    assert_code(vts_task_set_canceled(task, 0), VTS_E_ALREADY_COMPLETED);
    assert_code(vts_task_get_status(task), VTS_FAULTED);
    assert_code(vts_task_get_result(task, &value), -8);
    assert_int_equal(value, 5);
    vts_task_release(task);
    task = new_task();
    assert_code(vts_task_set_canceled(task, 0), VTS_OK);
    assert_code(vts_task_get_status(task), VTS_CANCELED);
    assert_code(vts_task_get_result(task, &value), VTS_E_CANCELED);
    vts_task_release(task);
    task = new_task();
    assert_code(vts_task_set_canceled(task, -4), VTS_OK);
    assert_code(vts_task_get_result(task, &value), -4);
    vts_task_release(task);
}

static void results_of_any_word_are_kept(void)
{
    const intptr_t values[] = {INTPTR_MIN, -2, 9, INTPTR_MAX};
    size_t i;

    for (i = 0; i < 4; i++) {
        vts_task *task = NULL;
        intptr_t value = 0;
        assert_code(vts_task_from_result(&task, values[i], &test_allocator), VTS_OK);
        assert_code(vts_task_get_result(task, &value), VTS_OK);
        assert_true(value == values[i]);
        vts_task_release(task);
    }
}

static void bad_arguments_have_their_error(void)
{
    const vts_allocator none = {NULL, NULL, NULL};
    vts_task *task = new_task(), *made = NULL;
    counted c = {0};
    vts_valuetask value = vts_valuetask_of_task(NULL);

    assert_code(vts_task_create(NULL, &test_allocator), VTS_E_ARGUMENT);
    assert_code(vts_task_create(&made, &none), VTS_E_MEMORY);
    assert_code(vts_task_from_result(NULL, 1, NULL), VTS_E_ARGUMENT);
    assert_code(vts_task_from_result(NULL, 100, NULL), VTS_E_ARGUMENT);
    assert_code(vts_task_from_error(NULL, -1, NULL), VTS_E_ARGUMENT);
    assert_code(vts_task_from_error(&made, 0, NULL), VTS_E_ARGUMENT);
    assert_null(made);
    assert_code(vts_task_set_result(NULL, 1), VTS_E_ARGUMENT);
    assert_code(vts_task_set_error(NULL, -1), VTS_E_ARGUMENT);
    assert_code(vts_task_set_canceled(NULL, 0), VTS_E_ARGUMENT);
    assert_code(vts_task_get_status(NULL), VTS_E_ARGUMENT);
    assert_code(vts_task_get_result(NULL, NULL), VTS_E_ARGUMENT);
    assert_code(vts_task_on_completed(NULL, &c.awaiter, count_run, 0), VTS_E_ARGUMENT);
    assert_code(vts_task_on_completed(task, NULL, count_run, 0), VTS_E_ARGUMENT);
    assert_code(vts_task_on_completed(task, &c.awaiter, NULL, 0), VTS_E_ARGUMENT);
    assert_code(vts_task_unregister(NULL, &c.awaiter), VTS_E_ARGUMENT);
    assert_code(vts_task_unregister(task, NULL), VTS_E_ARGUMENT);
    assert_code(vts_task_wait(NULL, 0), VTS_E_ARGUMENT);
    assert_code(vts_valuetask_as_task(value, NULL, NULL), VTS_E_ARGUMENT);
    assert_code(vts_valuetask_preserve(NULL, NULL, &made), VTS_E_ARGUMENT);
    assert_code(vts_valuetask_preserve(&value, NULL, NULL), VTS_E_ARGUMENT);
    assert_code(vts_valuetask_get_result(value, NULL), VTS_E_ARGUMENT);
    assert_null(vts_task_retain(NULL));
    vts_task_release(NULL);
    vts_task_release(task);
}

/* ---- awaiters ---- */

static void awaiters_run_in_the_order_of_registering(void)
{
    vts_task *task = new_task();
    counted c[5] = {0};
    int i;

    next_order = 0;
    test_fail_at(1);
    for (i = 0; i < 5; i++) {
        assert_code(vts_task_on_completed(task, &c[i].awaiter, count_run, 0), VTS_OK);
    }
    assert_code(vts_task_set_result(task, 1), VTS_OK);
    for (i = 0; i < 5; i++) assert_int_equal(c[i].order, i + 1);
    assert_code(vts_task_on_completed(task, &c[0].awaiter, count_run, 0), VTS_OK);
    assert_int_equal(c[0].ran, 2);
    assert_int_equal(test_memory.calls, 0);
    vts_task_release(task);
}

/* Every subset of four awaiters is taken back, in both directions. */
static void an_awaiter_that_is_taken_back_does_not_run(void)
{
    unsigned set, i;

    for (set = 0; set < 32; set++) {
        vts_task *task = new_task();
        counted c[4] = {0};

        next_order = 0;
        for (i = 0; i < 4; i++) {
            assert_code(vts_task_unregister(task, &c[i].awaiter), VTS_E_NOT_AWAITED);
            vts_task_on_completed(task, &c[i].awaiter, count_run, 0);
        }
        for (i = 0; i < 4; i++) {
            unsigned n = set < 16 ? i : 3 - i;
            if ((set >> n & 1) == 0) continue;
            assert_code(vts_task_unregister(task, &c[n].awaiter), VTS_OK);
            assert_code(vts_task_unregister(task, &c[n].awaiter), VTS_E_NOT_AWAITED);
        }
        assert_code(vts_task_set_result(task, 1), VTS_OK);
        for (i = 0; i < 4; i++) {
            assert_int_equal(c[i].ran, (set >> i & 1) == 0);
            assert_code(vts_task_unregister(task, &c[i].awaiter), VTS_E_NOT_AWAITED);
        }
        vts_task_release(task);
    }
}

static void one_that_was_taken_back_may_register_again(void)
{
    vts_task *task = new_task();
    counted c[2] = {0};

    next_order = 0;
    vts_task_on_completed(task, &c[0].awaiter, count_run, 0);
    vts_task_on_completed(task, &c[1].awaiter, count_run, 0);
    assert_code(vts_task_unregister(task, &c[0].awaiter), VTS_OK);
    vts_task_on_completed(task, &c[0].awaiter, count_run, 0);
    vts_task_set_result(task, 1);
    assert_int_equal(c[1].order, 1);
    assert_int_equal(c[0].order, 2);
    vts_task_release(task);
}

static void an_awaiter_goes_to_the_scheduler_it_captured(void)
{
    vts_task *task = new_task();
    vts_run_queue queue;
    counted c[3] = {0};

    vts_run_queue_init(&queue, NULL, NULL);
    vts_scheduler_set_current(&queue.scheduler);
    vts_task_on_completed(task, &c[0].awaiter, count_run, VTS_USE_SCHEDULING_CONTEXT);
    vts_task_on_completed(task, &c[1].awaiter, count_run, VTS_NONE);
    vts_scheduler_set_current(NULL);
    vts_task_on_completed(task, &c[2].awaiter, count_run, VTS_USE_SCHEDULING_CONTEXT);
    assert_code(vts_task_set_result(task, 1), VTS_OK);
    assert_int_equal(c[0].ran, 0);
    assert_int_equal(c[1].ran, 1);
    assert_int_equal(c[2].ran, 1);
    assert_code(vts_task_unregister(task, &c[0].awaiter), VTS_E_NOT_AWAITED);
    assert_int_equal(vts_run_queue_drain(&queue), 1);
    assert_int_equal(c[0].ran, 1);
    assert_ptr_equal(c[0].scheduler, &queue.scheduler);
    vts_scheduler_set_current(&queue.scheduler);
    vts_task_on_completed(task, &c[0].awaiter, count_run, VTS_USE_SCHEDULING_CONTEXT);
    assert_int_equal(c[0].ran, 2);
    vts_scheduler_set_current(NULL);
    vts_task_release(task);
}

/* As in .NET, unlike with a source, which posts also then. */
static void a_captured_scheduler_that_is_current_needs_no_post(void)
{
    vts_task *task = new_task();
    vts_run_queue queue;
    counted c = {0};

    vts_run_queue_init(&queue, NULL, NULL);
    vts_scheduler_set_current(&queue.scheduler);
    vts_task_on_completed(task, &c.awaiter, count_run, VTS_USE_SCHEDULING_CONTEXT);
    vts_task_set_result(task, 1);
    assert_int_equal(c.ran, 1);
    assert_int_equal(vts_run_queue_drain(&queue), 0);
    vts_task_release(task);
}

/* ---- depth ---- */

#define CHAIN 100000

typedef struct link {
    vts_awaiter awaiter; /* first */
    vts_task *next;
    int ran;
} link_;

static link_ *chain;

static void complete_next(vts_work *work)
{
    link_ *l = (link_ *)(void *)work;
    l->ran++;
    if (l->next != NULL) vts_task_set_result(l->next, 9);
}

static void *complete_first(void *arg)
{
    THREAD_CHECK(vts_task_set_result((vts_task *)arg, 9) == VTS_OK);
    return NULL;
}

static void a_long_chain_of_tasks_needs_no_stack(void)
{
    vts_task **tasks = (vts_task **)calloc(CHAIN, sizeof *tasks);
    int i;

    chain = (link_ *)calloc(CHAIN, sizeof *chain);
    assert_non_null(chain);
    for (i = 0; i < CHAIN; i++) tasks[i] = new_task();
    for (i = 0; i < CHAIN; i++) {
        chain[i].next = i + 1 < CHAIN ? tasks[i + 1] : NULL;
        vts_task_on_completed(tasks[i], &chain[i].awaiter, complete_next, 0);
    }
    test_thread_join(test_thread_start(complete_first, tasks[0], 256 << 10));
    for (i = 0; i < CHAIN; i++) {
        if (chain[i].ran != 1) TEST_FAIL("link %d ran %d times\n", i, chain[i].ran);
        vts_task_release(tasks[i]);
    }
    free(chain);
    free(tasks);
}

/* The same through handles: each link's node is freed before its continuation runs. */
static struct {
    vts_task **tasks;
    int count, ran;
} through;

static void through_next(void *arg)
{
    (void)arg;
    if (++through.ran < through.count) vts_task_set_result(through.tasks[through.ran], 9);
}

static void a_long_chain_through_handles_needs_no_stack(void)
{
    int i;

    through.tasks = (vts_task **)calloc(CHAIN, sizeof *through.tasks);
    through.count = CHAIN;
    through.ran = 0;
    for (i = 0; i < CHAIN; i++) {
        through.tasks[i] = new_task();
        assert_code(vts_valuetask_on_completed(vts_valuetask_of_task(through.tasks[i]),
                                               through_next, NULL, 0),
                    VTS_OK);
    }
    test_thread_join(test_thread_start(complete_first, through.tasks[0], 256 << 10));
    assert_int_equal(through.ran, CHAIN);
    for (i = 0; i < CHAIN; i++) vts_task_release(through.tasks[i]);
    free(through.tasks);
}

/* ---- references and allocators ---- */

static void a_task_is_freed_with_its_last_reference(void)
{
    vts_task *task = new_task();
    int i;

    for (i = 0; i < 9; i++) assert_ptr_equal(vts_task_retain(task), task);
    vts_task_set_result(task, 100);
    for (i = 0; i < 9; i++) {
        vts_task_release(task);
        assert_int_equal(test_memory.live, 1);
    }
    vts_task_release(task);
    assert_int_equal(test_memory.live, 0);
}

static void *retain_and_release(void *arg)
{
    vts_task *task = (vts_task *)arg;
    int i;

    for (i = 0; i < 2000; i++) {
        vts_task_release(vts_task_retain(task));
        THREAD_CHECK(vts_task_get_status(task) == VTS_SUCCEEDED);
    }
    vts_task_release(task);
    return NULL;
}

static void racing_releases_free_once(void)
{
    int round, i;

    for (round = 0; round < 20; round++) {
        vts_task *task = NULL;
        test_thread thread[THREADS];

        assert_code(vts_task_from_result(&task, 100, &test_allocator), VTS_OK);
        for (i = 0; i < THREADS; i++) {
            vts_task_retain(task);
            thread[i] = test_thread_start(retain_and_release, task, 0);
        }
        vts_task_release(task);
        for (i = 0; i < THREADS; i++) test_thread_join(thread[i]);
        assert_int_equal(test_memory.live, 0);
    }
}

static unsigned char area[1024];
static size_t area_used;

static void *area_alloc(void *user, size_t size)
{
    void *memory = area + area_used;

    (void)user;
    area_used += (size + 63) / 64 * 64;
    return area_used <= sizeof area ? memory : NULL;
}

/* An area that is given up as a whole has no free. */
static void memory_may_stay_where_it_is(void)
{
    const vts_allocator allocator = {area_alloc, NULL, NULL};
    vts_task *task = NULL;
    int ran = 0;

    area_used = 0;
    assert_code(vts_task_create(&task, &allocator), VTS_OK);
    assert_code(vts_valuetask_on_completed(vts_valuetask_of_task(task), one_more, &ran, 0),
                VTS_OK);
    assert_true(area_used >= sizeof(vts_task) + sizeof(vts__task_node));
    assert_code(vts_task_set_result(task, 5000), VTS_OK);
    assert_int_equal(ran, 1);
    vts_task_release(task);
}

static void without_an_allocator_it_is_mallocs(void)
{
    vts_task *task = NULL;
    intptr_t result = 0;

    assert_code(vts_task_from_result(&task, 5000, NULL), VTS_OK);
    assert_ptr_equal(task->allocator, vts_allocator_default());
    assert_code(vts_task_get_result(task, &result), VTS_OK);
    assert_int_equal(result, 5000);
    vts_task_release(task);
    test_fail_at(1);
    task = NULL;
    assert_code(vts_task_from_result(&task, 5000, &test_allocator), VTS_E_MEMORY);
    assert_code(vts_task_from_error(&task, -5, &test_allocator), VTS_OK);
    vts_task_release(task);
}

static void tasks_come_from_a_pool(void)
{
    static VTS_POOL_STORAGE(storage, vts_task, 3);
    vts_pool_desc desc = {0};
    vts_pool pool;
    vts_allocator allocator;
    vts_task *task[4];
    int round, i;

    desc.item_size = sizeof(vts_task);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    allocator = vts_pool_allocator(&pool);
    for (round = 0; round < 3; round++) {
        for (i = 0; i < 3; i++) {
            assert_code(vts_task_create(&task[i], &allocator), VTS_OK);
            assert_code(vts_task_get_status(task[i]), VTS_PENDING);
        }
        assert_code(vts_task_create(&task[3], &allocator), VTS_E_MEMORY);
        assert_int_equal(vts_pool_outstanding(&pool), 3);
        for (i = 0; i < 3; i++) {
            vts_task_set_result(task[i], i);
            vts_task_release(task[i]);
        }
        assert_int_equal(vts_pool_outstanding(&pool), 0);
    }
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_pool_whose_items_are_too_small_gives_no_task(void)
{
    static VTS_POOL_STORAGE(storage, void *, 3);
    vts_pool_desc desc = {0};
    vts_pool pool;
    vts_allocator allocator = vts_pool_allocator(NULL);
    vts_task *task = NULL;

    assert_code(vts_task_create(&task, &allocator), VTS_E_MEMORY);
    desc.item_size = sizeof(void *);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    allocator = vts_pool_allocator(&pool);
    assert_code(vts_task_create(&task, &allocator), VTS_E_MEMORY);
    assert_null(task);
    assert_int_equal(vts_pool_outstanding(&pool), 0);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_task_fits_a_cache_line(void)
{
    assert_true(sizeof(vts_task) <= 9 * sizeof(void *));
    TEST_NOTE("%zu bytes", sizeof(vts_task));
}

/* ---- handles over tasks ---- */

static void a_handle_over_a_task_may_be_used_again(void)
{
    vts_task *task = new_task();
    vts_valuetask handle = vts_valuetask_of_task(task);
    intptr_t value;
    int ran = 0, i;

    assert_code(vts_valuetask_get_status(handle), VTS_PENDING);
    assert_code(vts_valuetask_get_result(handle, &value), VTS_E_NOT_COMPLETED);
    test_fail_at(0);
    for (i = 0; i < 3; i++) {
        assert_code(vts_valuetask_on_completed(handle, one_more, &ran, 0), VTS_OK);
    }
    assert_int_equal(test_memory.calls, 3);
    assert_code(vts_valuetask_unregister(handle), VTS_E_UNSUPPORTED);
    assert_code(vts_valuetask_on_completed(handle, NULL, &ran, 0), VTS_E_ARGUMENT);
    assert_code(vts_valuetask_forget(handle), VTS_OK);
    assert_code(vts_task_set_result(task, 42), VTS_OK);
    assert_int_equal(ran, 3);
    assert_int_equal(test_memory.live, 1);
    for (i = 0; i < 3; i++) {
        assert_code(vts_valuetask_get_result(handle, &value), VTS_OK);
        assert_int_equal(value, 42);
    }
    assert_code(vts_valuetask_forget(handle), VTS_OK);
    assert_code(vts_valuetask_on_completed(handle, NULL, &ran, 0), VTS_E_ARGUMENT);
    vts_task_release(task);
}

static void registering_by_handle_needs_memory_only_while_pending(void)
{
    vts_task *task = new_task();
    vts_valuetask handle = vts_valuetask_of_task(task);
    int ran = 0;

    test_fail_at(1);
    assert_code(vts_valuetask_on_completed(handle, one_more, &ran, 0), VTS_E_MEMORY);
    test_fail_at(0);
    assert_code(vts_task_set_result(task, 42), VTS_OK);
    assert_int_equal(ran, 0);
    test_fail_at(1);
    assert_code(vts_valuetask_on_completed(handle, one_more, &ran, 0), VTS_OK);
    assert_int_equal(ran, 1);
    test_fail_at(0);
    vts_task_release(task);
}

static void see_context(void *arg) { *(void **)arg = vts_context_current(); }

static void a_handle_flows_the_context(void)
{
    vts_task *task = new_task();
    vts_valuetask handle = vts_valuetask_of_task(task);
    int one, two;
    void *seen[4] = {NULL, NULL, NULL, NULL};

    vts_context_set_current(&one);
    vts_valuetask_on_completed(handle, see_context, &seen[0], VTS_FLOW_EXECUTION_CONTEXT);
    vts_valuetask_on_completed(handle, see_context, &seen[1], VTS_NONE);
    vts_context_set_current(NULL);
    seen[2] = &one;
    vts_valuetask_on_completed(handle, see_context, &seen[2], VTS_FLOW_EXECUTION_CONTEXT);
    vts_context_set_current(&two);
    assert_code(vts_task_set_result(task, 1), VTS_OK);
    assert_ptr_equal(seen[0], &one);
    assert_ptr_equal(seen[1], &two);
    assert_null(seen[2]);
    vts_valuetask_on_completed(handle, see_context, &seen[3], VTS_FLOW_EXECUTION_CONTEXT);
    assert_ptr_equal(seen[3], &two);
    assert_ptr_equal(vts_context_current(), &two);
    vts_task_release(task);
}

static void a_handle_captures_the_scheduler(void)
{
    vts_task *task = new_task();
    vts_run_queue queue;
    int ran = 0;

    vts_run_queue_init(&queue, NULL, NULL);
    vts_scheduler_set_current(&queue.scheduler);
    vts_valuetask_on_completed(vts_valuetask_of_task(task), one_more, &ran,
                               VTS_USE_SCHEDULING_CONTEXT);
    vts_scheduler_set_current(NULL);
    vts_task_set_result(task, 1);
    assert_int_equal(ran, 0);
    vts_task_release(task); /* the node does not need it */
    assert_int_equal(vts_run_queue_drain(&queue), 1);
    assert_int_equal(ran, 1);
}

/* ---- waiting ---- */

static void waiting_ends_at_the_deadline(void)
{
    vts_task *task = new_task();
    vts_source source = {0};
    vts_token token;
    vts_time begin = vts_now(), took;
    counted c = {0};

    assert_code(vts_task_wait(task, 0), VTS_E_TIMEOUT);
    assert_code(vts_task_wait(task, begin), VTS_E_TIMEOUT);
    assert_code(vts_task_wait(task, vts_after(VTS_MILLISECONDS(20))), VTS_E_TIMEOUT);
    took = vts_now() - begin;
    assert_true(took >= VTS_MILLISECONDS(20));
    assert_null(task->first);
    vts_task_on_completed(task, &c.awaiter, count_run, 0);
    vts_task_set_result(task, 1);
    assert_int_equal(c.ran, 1);
    vts_task_release(task);
    assert_code(vts_source_reset(&source, &token), VTS_OK);
    assert_code(vts_valuetask_wait(vts_valuetask_of(&source, token), vts_now()),
                VTS_E_TIMEOUT);
    assert_code(vts_source_on_completed(&source, token, one_more, &c.ran, 0), VTS_OK);
    assert_code(vts_source_set_result(&source, token, 1), VTS_OK);
    assert_int_equal(c.ran, 2);
}

typedef struct waiting {
    vts_task *task;
    vts_time deadline;
    int code;
} waiting;

static void *wait_for_task(void *arg)
{
    waiting *w = (waiting *)arg;
    intptr_t value;

    w->code = vts_task_wait(w->task, w->deadline);
    if (w->code == VTS_OK) {
        THREAD_CHECK(vts_task_get_result(w->task, &value) == VTS_OK && value == 4321);
    }
    vts_task_release(w->task);
    return NULL;
}

static void four_threads_wait_for_one_task(void)
{
    int round, i;

    for (round = 0; round < 60; round++) {
        vts_task *task = new_task();
        waiting w[THREADS];
        test_thread thread[THREADS];

        for (i = 0; i < THREADS; i++) {
            w[i].task = vts_task_retain(task);
            w[i].deadline = i == 0 ? vts_after(VTS_SECONDS(60)) : VTS_NEVER;
            thread[i] = test_thread_start(wait_for_task, &w[i], 0);
        }
        if (round % 3 == 0) usleep(1000);
        assert_code(vts_task_set_result(task, 4321), VTS_OK);
        vts_task_release(task);
        for (i = 0; i < THREADS; i++) {
            test_thread_join(thread[i]);
            assert_code(w[i].code, VTS_OK);
        }
        assert_int_equal(test_memory.live, 0);
    }
}

/* Deadlines that come just when the task is completed: one or the other. */
static void deadline_and_completion_race(void)
{
    int round, i, in_time = 0;

    for (round = 0; round < 100; round++) {
        vts_task *task = new_task();
        waiting w[2];
        test_thread thread[2];

        for (i = 0; i < 2; i++) {
            w[i].task = vts_task_retain(task);
            w[i].deadline = vts_after(VTS_MICROSECONDS(50 * (round % 8)));
            thread[i] = test_thread_start(wait_for_task, &w[i], 0);
        }
        vts_task_set_result(task, 4321);
        vts_task_release(task);
        for (i = 0; i < 2; i++) {
            test_thread_join(thread[i]);
            if (w[i].code == VTS_OK) in_time++;
            else assert_code(w[i].code, VTS_E_TIMEOUT);
        }
    }
    TEST_NOTE("%d of 200 in time", in_time);
}

/* The longest single sleep is an hour. */
static void a_deadline_may_be_far_away(void)
{
    vts_task *task = new_task();
    waiting w = {vts_task_retain(task), vts_after(VTS_SECONDS(7200)), 1};
    test_thread thread = test_thread_start(wait_for_task, &w, 0);

    usleep(2000);
    assert_code(vts_task_set_result(task, 4321), VTS_OK);
    vts_task_release(task);
    test_thread_join(thread);
    assert_code(w.code, VTS_OK);
}

static struct {
    vts_task *task; /* completed when the clock is asked next                          */
    vts_source *source;
    vts_token token;
} asked;

static vts_time completing_clock(void)
{
    vts_task *task = asked.task;
    vts_source *source = asked.source;

    asked.task = NULL;
    asked.source = NULL;
    if (task != NULL) vts_task_set_result(task, 4321);
    if (source != NULL) vts_source_set_result(source, asked.token, 4321);
    return 1000;
}

/* Who is about to sleep has looked, and then it completes: at the deadline, which is no
   timeout any more, or before it, and nobody falls asleep. */
static void a_completion_between_the_look_and_the_sleep_is_seen(void)
{
    vts_time deadline;

    vts_set_clock(completing_clock);
    for (deadline = 1000; deadline <= VTS_SECONDS(60); deadline += VTS_SECONDS(30)) {
        vts_task *task = new_task();
        vts_source source = {0};

        asked.task = task;
        assert_code(vts_task_wait(task, deadline), VTS_OK);
        assert_null(asked.task);
        vts_task_release(task);
        assert_code(vts_source_reset(&source, &asked.token), VTS_OK);
        asked.source = &source;
        assert_code(vts_valuetask_wait(vts_valuetask_of(&source, asked.token), deadline),
                    VTS_OK);
        assert_null(asked.source);
    }
    vts_set_clock(NULL);
}

typedef struct completer {
    vts_source *source;
    vts_token token;
    unsigned microseconds;
} completer;

static void *complete_source(void *arg)
{
    completer *c = (completer *)arg;
    if (c->microseconds != 0) usleep(c->microseconds);
    THREAD_CHECK(vts_source_set_result(c->source, c->token, 99) == VTS_OK);
    return NULL;
}

static void a_thread_waits_for_a_value_task(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    vts_pool_desc desc = {0};
    vts_pool pool;
    int i;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    for (i = 0; i < 50; i++) {
        completer c = {NULL, 0, i % 5 == 0 ? 1000u : 0u};
        test_thread thread;
        vts_valuetask task;
        intptr_t value;

        c.source = vts_pool_rent(&pool, &c.token);
        task = vts_valuetask_of(c.source, c.token);
        thread = test_thread_start(complete_source, &c, 0);
        assert_code(vts_valuetask_wait(task, VTS_NEVER), VTS_OK);
        assert_code(vts_valuetask_wait(task, VTS_NEVER), VTS_OK);
        assert_code(vts_valuetask_get_result(task, &value), VTS_OK);
        assert_int_equal(value, 99);
        assert_code(vts_valuetask_wait(task, VTS_NEVER), VTS_E_STALE);
        test_thread_join(thread);
    }
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void waiting_for_what_is_completed_never_blocks(void)
{
    vts_loop loop;
    told pending = told_of(VTS_PENDING, VTS_OK, 1);
    vts_source awaited = {0};
    vts_token token;
    int ran = 0;

    assert_code(vts_valuetask_wait(vts_valuetask_from_result(5), VTS_NEVER), VTS_OK);
    assert_code(vts_valuetask_wait(vts_valuetask_from_error(-5), VTS_NEVER), VTS_OK);
    assert_code(vts_valuetask_wait(handle_of(&pending), 0), VTS_E_UNSUPPORTED);
    assert_null(pending.continuation);
    assert_code(vts_source_reset(&awaited, &token), VTS_OK);
    assert_code(vts_source_on_completed(&awaited, token, one_more, &ran, 0), VTS_OK);
    assert_code(vts_valuetask_wait(vts_valuetask_of(&awaited, token), 0),
                VTS_E_ALREADY_AWAITED);
    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

static void heard(void *user, int code, const char *text, const void *source,
                  vts_token token)
{
    (void)text;
    (void)source;
    (void)token;
    *(int *)user = code;
}

typedef struct deadlock {
    vts_work work; /* first */
    vts_loop *loop;
    vts_task *task;
    int code, completed_code;
} deadlock;

static void wait_on_loop(vts_work *work)
{
    deadlock *d = (deadlock *)(void *)work;
    d->code = vts_task_wait(d->task, VTS_NEVER);
    vts_task_set_result(d->task, 77);
    d->completed_code = vts_task_wait(d->task, VTS_NEVER);
    vts_loop_stop(d->loop);
}

static void waiting_on_a_loops_thread_is_a_deadlock_error(void)
{
    vts_loop loop;
    deadlock d = {0};
    int code = 0;

    vts_set_misuse_hook(heard, &code);
    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    d.loop = &loop;
    d.task = new_task();
    d.work.run = wait_on_loop;
    vts_scheduler_post(&loop.scheduler, &d.work);
    assert_code(vts_loop_run(&loop), VTS_OK);
    assert_code(d.code, VTS_E_DEADLOCK);
    assert_code(code, VTS_E_DEADLOCK);
    assert_code(d.completed_code, VTS_OK);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
    assert_code(vts_task_wait(d.task, VTS_NEVER), VTS_OK);
    vts_task_release(d.task);
}

/* ---- waiting inside of continuations ---- */

static struct {
    vts_task *deep[64];
    link_ links[64];
    vts_task *goal;
    int code;
} nested;

static void reach_goal(vts_work *work)
{
    (void)work;
    vts_task_set_result(nested.goal, 1000);
}

/* At the depth limit what it completes is put off: its effect still comes. */
static void complete_deeper(vts_work *work)
{
    link_ *l = (link_ *)(void *)work;
    size_t n = (size_t)(l - nested.links);

    if (n < 31) {
        vts_task_set_result(nested.deep[n + 1], 9);
        return;
    }
    vts_task_set_result(nested.deep[32], 9);
    nested.code = vts_task_wait(nested.goal, vts_after(VTS_SECONDS(5)));
}

static void waiting_first_runs_what_the_thread_has_put_off(void)
{
    int i;

    nested.goal = new_task();
    nested.code = 1;
    for (i = 0; i <= 32; i++) {
        nested.deep[i] = new_task();
        vts_task_on_completed(nested.deep[i], &nested.links[i].awaiter,
                              i < 32 ? complete_deeper : reach_goal, 0);
    }
    vts_task_set_result(nested.deep[0], 9);
    assert_code(nested.code, VTS_OK);
    for (i = 0; i <= 32; i++) vts_task_release(nested.deep[i]);
    vts_task_release(nested.goal);
}

static int depth_left;
static int deep_code;

/* A source that is completed between the question and the registration. */
static void wait_when_deep(void *arg)
{
    (void)arg;
    if (--depth_left > 0) {
        vts_run_continuation(wait_when_deep, NULL, 0);
    } else {
        told late = told_of(VTS_PENDING, VTS_OK, 1);
        late.completes_in_on_completed = true;
        deep_code = vts_valuetask_wait(handle_of(&late), VTS_NEVER);
    }
}

static void waiting_at_the_depth_limit_sees_the_completion(void)
{
    depth_left = 32;
    deep_code = 1;
    vts_run_continuation(wait_when_deep, NULL, 0);
    assert_code(deep_code, VTS_OK);
}

/* A source without an operation is stale for those who can wait with a deadline, too. */
static void a_source_that_never_began_is_stale(void)
{
    vts_source source = {0};
    vts_loop loop;
    vts_valuetask task = vts_valuetask_of(&source, 32);
    vts_task *made = NULL;

    assert_code(vts_loop_init(&loop, NULL), VTS_OK);
    assert_code(vts_loop_run_until(&loop, task, vts_now()), VTS_E_STALE);
    assert_code(vts_loop_run_until(&loop, task, VTS_NEVER), VTS_E_STALE);
    assert_code(vts_valuetask_wait(task, vts_now()), VTS_E_STALE);
    assert_code(vts_valuetask_as_task(task, &test_allocator, &made), VTS_E_STALE);
    assert_code(vts_loop_destroy(&loop), VTS_OK);
}

/* ---- many threads ---- */

#define ROUNDS 400

static struct {
    vts_task *task;
    vts_word go;
    vts_word won;
    vts_word ran, expected;
} race;

static void wait_for_go(vts_word round)
{
    while (vts__load_acq(&race.go) < round) sched_yield();
}

static void *race_to_complete(void *arg)
{
    intptr_t me = (intptr_t)arg;
    vts_word round;

    for (round = 1; round <= ROUNDS; round++) {
        int error, code;
        intptr_t value = 0;
        wait_for_go(round * 2 - 1);
        if (me == 0) error = vts_task_set_error(race.task, -100);
        else if (me == 1) error = vts_task_set_canceled(race.task, 0);
        else error = vts_task_set_result(race.task, 100 + me);
        if (error == VTS_OK) vts__add_acq_rel(&race.won, 1);
        else THREAD_CHECK(error == VTS_E_ALREADY_COMPLETED);
        code = vts_task_get_result(race.task, &value);
        THREAD_CHECK(code == -100 || code == VTS_E_CANCELED ||
                     (code == VTS_OK && value >= 102));
        vts__add_acq_rel(&race.ran, 1);
        wait_for_go(round * 2);
    }
    return NULL;
}

static void of_racing_completers_one_wins(void)
{
    test_thread thread[THREADS];
    vts_word round;
    intptr_t i;

    memset(&race, 0, sizeof race);
    for (i = 0; i < THREADS; i++) {
        void *arg = (void *)i;
        thread[i] = test_thread_start(race_to_complete, arg, 0);
    }
    for (round = 1; round <= ROUNDS; round++) {
        race.task = new_task();
        vts__store_rel(&race.go, round * 2 - 1);
        while (vts__load_acq(&race.ran) < round * THREADS) sched_yield();
        assert_int_equal(vts__load_acq(&race.won), round);
        vts_task_release(race.task);
        vts__store_rel(&race.go, round * 2);
    }
    for (i = 0; i < THREADS; i++) test_thread_join(thread[i]);
}

typedef struct runner {
    vts_awaiter awaiter; /* first */
    vts_word ran;
} runner;

static void runner_run(vts_work *work)
{
    runner *r = (runner *)(void *)work;
    vts__add_acq_rel(&r->ran, 1);
}

/* Registers and takes back until the task is completed; what was not taken back runs. */
static void *come_and_go(void *arg)
{
    vts_task *task = (vts_task *)arg;
    vts_word registered = 0;
    runner r[3] = {0};
    bool gone = false;
    unsigned i;

    while (!gone) {
        for (i = 0; i < 3; i++) {
            vts__store_rlx(&r[i].ran, 0);
            THREAD_CHECK(vts_task_on_completed(task, &r[i].awaiter, runner_run, 0) ==
                         VTS_OK);
        }
        registered++;
        for (i = 0; i < 3; i++) {
            unsigned n = (i + (unsigned)registered) % 3;
            if (vts_task_unregister(task, &r[n].awaiter) == VTS_OK) {
                THREAD_CHECK(vts__load_acq(&r[n].ran) == 0);
                continue;
            }
            gone = true;
            while (vts__load_acq(&r[n].ran) == 0) sched_yield();
            THREAD_CHECK(vts__load_acq(&r[n].ran) == 1);
        }
    }
    vts_task_release(task);
    return NULL;
}

static void awaiters_come_and_go_while_the_task_completes(void)
{
    int round, i;

    for (round = 0; round < 150; round++) {
        vts_task *task = new_task();
        test_thread thread[THREADS];

        for (i = 0; i < THREADS; i++) {
            thread[i] = test_thread_start(come_and_go, vts_task_retain(task), 0);
        }
        usleep((unsigned)(test_random() % 300));
        assert_code(vts_task_set_result(task, 1), VTS_OK);
        vts_task_release(task);
        for (i = 0; i < THREADS; i++) test_thread_join(thread[i]);
        assert_int_equal(test_memory.live, 0);
    }
}

/* as_task while another thread completes: registered or found completed. */
static void as_task_and_the_completer_race(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    vts_pool_desc desc = {0};
    vts_pool pool;
    int round;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    for (round = 0; round < 200; round++) {
        completer c = {NULL, 0, 0};
        test_thread thread;
        vts_task *task = NULL;
        intptr_t value;

        c.source = vts_pool_rent(&pool, &c.token);
        thread = test_thread_start(complete_source, &c, 0);
        if (round % 2 != 0) usleep((unsigned)(test_random() % 60));
        assert_code(vts_valuetask_as_task(vts_valuetask_of(c.source, c.token),
                                          &test_allocator, &task),
                    VTS_OK);
        assert_code(vts_task_wait(task, VTS_NEVER), VTS_OK);
        assert_code(vts_task_get_result(task, &value), VTS_OK);
        assert_int_equal(value, 99);
        vts_task_release(task);
        test_thread_join(thread);
        assert_int_equal(vts_pool_outstanding(&pool), 0);
        assert_int_equal(test_memory.live, 0);
    }
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static const test_case tests[] = {
    TEST(a_completed_source_gives_the_task_of_its_row),
    TEST(a_pending_source_gives_the_task_of_its_row_when_it_completes),
    TEST(the_task_lives_until_both_have_let_go),
    TEST(small_results_are_constants),
    TEST(as_task_of_a_task_is_that_task),
    TEST(as_task_keeps_failures_known_at_once),
    TEST(as_task_consumes_a_pooled_source),
    TEST(as_task_refuses_what_no_word_holds),
    TEST(as_task_without_memory_leaves_the_value_task),
    TEST(every_failed_allocation_is_reported_and_leaves_nothing),
    TEST(a_task_may_be_awaited_again_after_preserve),
    TEST(preserve_of_what_is_completed_in_itself_changes_nothing),
    TEST(a_task_is_completed_once),
    TEST(results_of_any_word_are_kept),
    TEST(bad_arguments_have_their_error),
    TEST(awaiters_run_in_the_order_of_registering),
    TEST(an_awaiter_that_is_taken_back_does_not_run),
    TEST(one_that_was_taken_back_may_register_again),
    TEST(an_awaiter_goes_to_the_scheduler_it_captured),
    TEST(a_captured_scheduler_that_is_current_needs_no_post),
    TEST(a_long_chain_of_tasks_needs_no_stack),
    TEST(a_long_chain_through_handles_needs_no_stack),
    TEST(a_task_is_freed_with_its_last_reference),
    TEST(racing_releases_free_once),
    TEST(memory_may_stay_where_it_is),
    TEST(without_an_allocator_it_is_mallocs),
    TEST(tasks_come_from_a_pool),
    TEST(a_pool_whose_items_are_too_small_gives_no_task),
    TEST(a_task_fits_a_cache_line),
    TEST(a_handle_over_a_task_may_be_used_again),
    TEST(registering_by_handle_needs_memory_only_while_pending),
    TEST(a_handle_flows_the_context),
    TEST(a_handle_captures_the_scheduler),
    TEST(waiting_ends_at_the_deadline),
    TEST(four_threads_wait_for_one_task),
    TEST(deadline_and_completion_race),
    TEST(a_deadline_may_be_far_away),
    TEST(a_completion_between_the_look_and_the_sleep_is_seen),
    TEST(a_thread_waits_for_a_value_task),
    TEST(waiting_for_what_is_completed_never_blocks),
    TEST(waiting_on_a_loops_thread_is_a_deadlock_error),
    TEST(waiting_first_runs_what_the_thread_has_put_off),
    TEST(waiting_at_the_depth_limit_sees_the_completion),
    TEST(a_source_that_never_began_is_stale),
    TEST(of_racing_completers_one_wins),
    TEST(awaiters_come_and_go_while_the_task_completes),
    TEST(as_task_and_the_completer_race),
};

TEST_MAIN(tests)
