/* The handle: every member on every kind of handle, typed results of every size, the two
   hooks, and the texts of the codes. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

typedef struct point {
    int32_t x, y;
} point;

typedef struct triple {
    unsigned char bytes[3];
} triple;

typedef struct page {
    unsigned char bytes[200];
} page;

VTS_DECLARE_VALUETASK(point_task, point);
VTS_DECLARE_VALUETASK(triple_task, triple);
VTS_DECLARE_VALUETASK(page_task, page);
VTS_DECLARE_VALUETASK(double_task, double);

static void count(void *arg) { ++*(int *)arg; }

// ----------------------------------------------------------------------------------
// A source written by a user
// ----------------------------------------------------------------------------------

typedef struct own_source {
    vts_valuetask_source base;
    int status, code;
    unsigned flags;
    int asked, awaited, taken, unregistered, forgotten;
    vts_token token;
} own_source;

static int own_get_status(vts_valuetask_source *self, vts_token token)
{
    own_source *own = (own_source *)(void *)self;
    own->asked++;
    own->token = token;
    return own->status;
}

static int own_on_completed(vts_valuetask_source *self, vts_token token,
                            vts_continuation continuation, void *arg, unsigned flags)
{
    own_source *own = (own_source *)(void *)self;
    own->awaited++;
    own->token = token;
    own->flags = flags;
    continuation(arg);
    return own->code;
}

static int own_get_result(vts_valuetask_source *self, vts_token token, void *result)
{
    own_source *own = (own_source *)(void *)self;
    own->taken++;
    own->token = token;
    if (own->code == VTS_OK && result != NULL) *(intptr_t *)result = 11;
    return own->code;
}

static int own_unregister(vts_valuetask_source *self, vts_token token)
{
    own_source *own = (own_source *)(void *)self;
    own->unregistered++;
    own->token = token;
    return own->code;
}

static int own_forget(vts_valuetask_source *self, vts_token token)
{
    own_source *own = (own_source *)(void *)self;
    own->forgotten++;
    own->token = token;
    return own->code;
}

static const vts_source_ops own_ops = {own_get_status, own_on_completed, own_get_result,
                                       own_unregister, own_forget,       NULL};
static const vts_source_ops least_ops = {
    own_get_status, own_on_completed, own_get_result, NULL, NULL, NULL};

static own_source own_make(const vts_source_ops *ops, int status)
{
    own_source own;
    memset(&own, 0, sizeof own);
    own.base.ops = ops;
    own.status = status;
    return own;
}

// ----------------------------------------------------------------------------------
// Handles completed in themselves
// ----------------------------------------------------------------------------------

static void assert_questions(vts_valuetask task, int status)
{
    assert_code(vts_valuetask_get_status(task), status);
    assert_int_equal(vts_valuetask_is_completed(task), status > VTS_PENDING);
    assert_int_equal(vts_valuetask_is_completed_successfully(task),
                     status == VTS_SUCCEEDED);
    assert_int_equal(vts_valuetask_is_faulted(task), status == VTS_FAULTED);
    assert_int_equal(vts_valuetask_is_canceled(task), status == VTS_CANCELED);
}

/* Any handle without a source of its own: everything, as often as one likes. */
static void assert_completed_handle(vts_valuetask task, int status, int code,
                                    intptr_t value)
{
    int ran = 0, round;
    intptr_t result;

    for (round = 1; round <= 2; round++) {
        assert_questions(task, status);
        result = -99;
        assert_code(vts_valuetask_get_result(task, &result), code);
        assert_true(result == (code == VTS_OK ? value : -99));
        assert_code(vts_valuetask_get_result(task, NULL), code);
        assert_code(vts_valuetask_on_completed(task, count, &ran, 3), VTS_OK);
        assert_int_equal(ran, round);
        assert_code(vts_valuetask_on_completed(task, NULL, NULL, 0), VTS_E_ARGUMENT);
        assert_code(vts_valuetask_unregister(task), VTS_E_NOT_AWAITED);
        assert_code(vts_valuetask_forget(task), VTS_OK);
    }
}

static void a_zeroed_handle_is_done_with_zero(void)
{
    vts_valuetask task;

    memset(&task, 0, sizeof task);
    assert_completed_handle(task, VTS_SUCCEEDED, VTS_OK, 0);
    assert_true(vts_valuetask_equals(task, vts_valuetask_from_result(0)));
}

static void a_result_travels_in_the_handle(void)
{
    static const intptr_t values[] = {1, -1, 42, INTPTR_MAX, INTPTR_MIN};
    size_t i;

    for (i = 0; i < sizeof values / sizeof *values; i++) {
        vts_valuetask task = vts_valuetask_from_result(values[i]);
        assert_null(task.source);
        assert_completed_handle(task, VTS_SUCCEEDED, VTS_OK, values[i]);
    }
}

static void d10_a_failure_travels_in_the_handle(void)
{
    assert_completed_handle(vts_valuetask_from_error(-5), VTS_FAULTED, -5, 0);
    assert_completed_handle(vts_valuetask_from_error(INT32_MIN), VTS_FAULTED, INT32_MIN,
                            0);
    assert_completed_handle(vts_valuetask_from_error(VTS_E_EXHAUSTED), VTS_FAULTED,
                            VTS_E_EXHAUSTED, 0);
    assert_completed_handle(vts_valuetask_from_canceled(-7), VTS_CANCELED, -7, 0);
    assert_completed_handle(vts_valuetask_from_canceled(0), VTS_CANCELED,
                            VTS_E_CANCELED, 0);
}

static void an_error_that_is_not_negative_becomes_an_argument_error(void)
{
    assert_completed_handle(vts_valuetask_from_error(0), VTS_FAULTED, VTS_E_ARGUMENT,
                            0);
    assert_completed_handle(vts_valuetask_from_error(7), VTS_FAULTED, VTS_E_ARGUMENT,
                            0);
    assert_completed_handle(vts_valuetask_from_canceled(7), VTS_FAULTED, VTS_E_ARGUMENT,
                            0);
}

static void any_error_can_be_forgotten_the_code_of_stale_too(void)
{
    assert_code(vts_valuetask_forget(vts_valuetask_from_error(VTS_E_STALE)), VTS_OK);
}

// ----------------------------------------------------------------------------------
// Handles of sources
// ----------------------------------------------------------------------------------

static void a_zeroed_source_makes_every_handle_stale(void)
{
    vts_source source = {0}, untouched = {0};
    vts_valuetask task = vts_valuetask_of(&source, 32);
    intptr_t result = 9;
    int ran = 0;

    assert_questions(task, VTS_E_STALE);
    assert_code(vts_valuetask_get_result(task, &result), VTS_E_STALE);
    assert_code(vts_valuetask_on_completed(task, count, &ran, 0), VTS_E_STALE);
    assert_code(vts_valuetask_unregister(task), VTS_E_STALE);
    assert_code(vts_valuetask_forget(task), VTS_E_STALE);
    assert_code(vts_source_get_result(&source, 32, &result), VTS_E_STALE);
    assert_int_equal(result, 9);
    assert_int_equal(ran, 0);
    assert_memory_equal(&source, &untouched, sizeof source);
}

static void a_null_continuation_is_an_argument_error_on_a_zeroed_source_too(void)
{
    vts_source source = {0};

    assert_code(
        vts_valuetask_on_completed(vts_valuetask_of(&source, 32), NULL, NULL, 0),
        VTS_E_ARGUMENT);
}

static void a_bare_source_answers_through_its_handle(void)
{
    vts_source source = {0};
    vts_token token;
    vts_valuetask task;
    intptr_t result = 9;
    int ran = 0;

    assert_code(vts_source_reset(&source, &token), VTS_OK);
    task = vts_valuetask_of(&source, token);
    assert_questions(task, VTS_PENDING);
    assert_code(vts_valuetask_get_result(task, &result), VTS_E_NOT_COMPLETED);
    assert_code(vts_valuetask_on_completed(task, count, &ran, 0), VTS_OK);
    assert_code(vts_valuetask_on_completed(task, count, &ran, 0),
                VTS_E_ALREADY_AWAITED);
    assert_code(vts_valuetask_unregister(task), VTS_OK);
    assert_code(vts_valuetask_unregister(task), VTS_E_NOT_AWAITED);
    assert_code(vts_valuetask_on_completed(task, count, &ran, 0), VTS_OK);
    assert_int_equal(result, 9);
    assert_code(vts_source_set_result(&source, token, 8), VTS_OK);
    assert_int_equal(ran, 1);
    assert_questions(task, VTS_SUCCEEDED);
    assert_code(vts_valuetask_get_result(task, &result), VTS_OK);
    assert_int_equal(result, 8);
    assert_code(vts_source_reset(&source, &token), VTS_OK);
    assert_questions(task, VTS_E_STALE);
    assert_code(vts_valuetask_get_result(task, NULL), VTS_E_STALE);
    assert_code(vts_valuetask_on_completed(task, count, &ran, 0), VTS_E_STALE);
    assert_code(vts_valuetask_unregister(task), VTS_E_STALE);
    assert_code(vts_valuetask_forget(task), VTS_E_STALE);
}

static VTS_POOL_STORAGE(storage, vts_source, 2);

static void make_pool(vts_pool *pool)
{
    vts_pool_desc desc = {0};

    memset(storage, 0xee, sizeof storage);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.capacity = 1;
    assert_code(vts_pool_init(pool, &desc), VTS_OK);
}

static void a_pooled_source_goes_home_when_its_handle_is_asked(void)
{
    vts_pool pool;
    vts_token token;
    vts_source *source;
    vts_valuetask task;
    intptr_t result = 9;

    make_pool(&pool);
    source = vts_pool_rent(&pool, &token);
    assert_non_null(source);
    task = vts_valuetask_of(source, token);
    assert_questions(task, VTS_PENDING);
    assert_code(vts_source_set_error(source, token, -3), VTS_OK);
    assert_questions(task, VTS_FAULTED);
    assert_code(vts_valuetask_get_result(task, &result), -3);
    assert_int_equal(result, 9);
    assert_questions(task, VTS_E_STALE);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_handle_kept_over_recycling_never_matches(void)
{
    vts_pool pool;
    vts_token token;
    vts_valuetask old;
    vts_source *source;
    int i;

    make_pool(&pool);
    source = vts_pool_rent(&pool, &token);
    old = vts_valuetask_of(source, token);
    assert_code(vts_source_abandon(source, token), VTS_OK);
    for (i = 0; i < 1000; i++) {
        assert_ptr_equal(vts_pool_rent(&pool, &token), source);
        assert_code(vts_valuetask_get_result(old, NULL), VTS_E_STALE);
        assert_code(vts_source_set_result(source, token, i), VTS_OK);
        assert_code(vts_valuetask_get_result(old, NULL), VTS_E_STALE);
        assert_code(vts_source_get_result(source, token, NULL), VTS_OK);
    }
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_source_of_the_users_gets_every_call_with_the_token(void)
{
    own_source own = own_make(&own_ops, VTS_PENDING);
    vts_valuetask task = vts_valuetask_from_source(&own.base, 7);
    intptr_t result = 0;
    int ran = 0;

    assert_questions(task, VTS_PENDING);
    assert_int_equal(own.asked, 5);
    assert_code(vts_valuetask_on_completed(task, count, &ran, 3), VTS_OK);
    assert_int_equal(own.flags, 3);
    assert_int_equal(ran, 1);
    assert_code(vts_valuetask_unregister(task), VTS_OK);
    assert_code(vts_valuetask_get_result(task, &result), VTS_OK);
    assert_int_equal(result, 11);
    assert_int_equal(own.awaited * 100 + own.taken * 10 + own.unregistered, 111);
    assert_int_equal(own.token, 7);
}

static void get_result_asks_no_status_first(void)
{
    own_source own = own_make(&own_ops, VTS_PENDING);

    vts_valuetask_get_result(vts_valuetask_from_source(&own.base, 7), NULL);
    assert_int_equal(own.asked, 0);
    assert_int_equal(own.taken, 1);
}

static void a_source_of_the_users_answers_as_it_likes(void)
{
    own_source own = own_make(&own_ops, -77);
    vts_valuetask task = vts_valuetask_from_source(&own.base, 7);
    int ran = 0;

    own.code = -78;
    assert_questions(task, -77);
    assert_code(vts_valuetask_get_result(task, NULL), -78);
    assert_code(vts_valuetask_on_completed(task, count, &ran, 0), -78);
    assert_code(vts_valuetask_unregister(task), -78);
    assert_code(vts_valuetask_forget(task), -77);
}

static void what_a_source_lacks_is_unsupported(void)
{
    own_source own = own_make(&least_ops, VTS_PENDING);
    vts_valuetask task = vts_valuetask_from_source(&own.base, 7);

    assert_code(vts_valuetask_unregister(task), VTS_E_UNSUPPORTED);
    assert_code(vts_valuetask_forget(task), VTS_E_UNSUPPORTED);
    assert_int_equal(own.taken, 0);
    own.status = VTS_SUCCEEDED;
    assert_code(vts_valuetask_forget(task), VTS_OK);
    assert_int_equal(own.taken, 1);
}

static void equal_handles_name_the_same_operation_or_value(void)
{
    vts_source a = {0}, b = {0};
    vts_valuetask task = vts_valuetask_of(&a, 32);

    assert_true(vts_valuetask_equals(task, vts_valuetask_of(&a, 32)));
    assert_false(vts_valuetask_equals(task, vts_valuetask_of(&a, 64)));
    assert_false(vts_valuetask_equals(task, vts_valuetask_of(&b, 32)));
    assert_false(vts_valuetask_equals(task, vts_valuetask_from_result(32)));
    assert_true(vts_valuetask_equals(vts_valuetask_from_result(3),
                                     vts_valuetask_from_result(3)));
    assert_false(vts_valuetask_equals(vts_valuetask_from_result(3),
                                      vts_valuetask_from_result(4)));
    assert_true(vts_valuetask_equals(vts_valuetask_from_error(-3),
                                     vts_valuetask_from_error(-3)));
    assert_false(vts_valuetask_equals(vts_valuetask_from_error(-3),
                                      vts_valuetask_from_error(-4)));
    assert_false(vts_valuetask_equals(vts_valuetask_from_error(-3),
                                      vts_valuetask_from_canceled(-3)));
}

static void take_needs_a_source(void)
{
    intptr_t result = 9;

    assert_code(vts_valuetask_take(vts_valuetask_from_result(1), &result),
                VTS_E_ARGUMENT);
    assert_int_equal(result, 9);
    assert_code(vts_valuetask_take(vts_valuetask_from_error(-4), &result), -4);
}

// ----------------------------------------------------------------------------------
// Forget
// ----------------------------------------------------------------------------------

typedef enum forgotten {
    PENDING,
    BEGUN,
    SUCCEEDED,
    FAULTED,
    CANCELED,
    FORGOTTEN
} forgotten;

/* Forgets an operation so far on, then completes it: the source is home. */
static void check_forget(forgotten when)
{
    vts_pool pool;
    vts_token token;
    vts_source *source;
    vts_valuetask task;

    make_pool(&pool);
    source = vts_pool_rent(&pool, &token);
    task = vts_valuetask_of(source, token);
    if (when == BEGUN) assert_code(vts_source_begin_result(source, token), VTS_OK);
    if (when == SUCCEEDED) assert_code(vts_source_set_result(source, token, 1), VTS_OK);
    if (when == FAULTED) assert_code(vts_source_set_error(source, token, -1), VTS_OK);
    if (when == CANCELED)
        assert_code(vts_source_set_canceled(source, token, 0), VTS_OK);
    assert_code(vts_valuetask_forget(task), VTS_OK);
    assert_int_equal(vts_pool_outstanding(&pool), when <= BEGUN);
    if (when == PENDING) {
        assert_code(vts_valuetask_forget(task), VTS_E_ALREADY_AWAITED);
        assert_code(vts_source_set_result(source, token, 1), VTS_OK);
    }
    if (when == BEGUN) assert_code(vts_source_end_result(source, token), VTS_OK);
    assert_int_equal(vts_pool_outstanding(&pool), 0);
    assert_code(vts_valuetask_forget(task), VTS_E_STALE);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_forgotten_pooled_operation_goes_home(void)
{
    int when;
    for (when = 0; when < FORGOTTEN; when++) check_forget((forgotten)when);
}

static void forgetting_hides_no_context_from_the_next_continuation(void)
{
    static char mine;
    vts_pool pool;
    vts_token token;
    vts_source *source;

    make_pool(&pool);
    source = vts_pool_rent(&pool, &token);
    assert_code(vts_valuetask_forget(vts_valuetask_of(source, token)), VTS_OK);
    vts_context_set_current(&mine);
    assert_code(vts_source_set_result(source, token, 1), VTS_OK);
    assert_ptr_equal(vts_context_current(), &mine);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_forgotten_operation_is_not_taken_for_a_later_one(void)
{
    vts_pool pool;
    vts_token first, second;
    vts_source *source;

    make_pool(&pool);
    source = vts_pool_rent(&pool, &first);
    assert_code(vts_valuetask_forget(vts_valuetask_of(source, first)), VTS_OK);
    assert_code(vts_valuetask_unregister(vts_valuetask_of(source, first)), VTS_OK);
    assert_code(vts_source_abandon(source, first), VTS_OK);
    assert_ptr_equal(vts_pool_rent(&pool, &second), source);
    assert_code(vts_source_set_result(source, second, 1), VTS_OK);
    assert_int_equal(vts_pool_outstanding(&pool), 1);
    assert_code(vts_source_get_result(source, second, NULL), VTS_OK);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_forgotten_bare_operation_stays_readable(void)
{
    vts_source source = {0};
    vts_token token;
    intptr_t result = 0;

    assert_code(vts_source_reset(&source, &token), VTS_OK);
    assert_code(vts_valuetask_forget(vts_valuetask_of(&source, token)), VTS_OK);
    assert_code(vts_source_set_result(&source, token, 6), VTS_OK);
    assert_code(vts_source_get_result(&source, token, &result), VTS_OK);
    assert_int_equal(result, 6);
    assert_code(vts_source_reset(&source, &token), VTS_OK);
}

// ----------------------------------------------------------------------------------
// Typed handles
// ----------------------------------------------------------------------------------

/* The life of a typed task of a bare source, of a pooled one and of none; written once
   for every T. make gives a T that differs for every seed. */
#define TYPED_TESTS(name, T, make, same)                                               \
    static void name##_in_the_handle(void)                                             \
    {                                                                                  \
        T value = make(1), out = make(9), kept = make(9);                              \
        name##_valuetask task = name##_from_result(&value);                            \
        int ran = 0;                                                                   \
        assert_true(name##_is_completed(task));                                        \
        assert_true(name##_is_completed_successfully(task));                           \
        assert_false(name##_is_faulted(task) || name##_is_canceled(task));             \
        assert_code(name##_get_status(task), VTS_SUCCEEDED);                           \
        assert_code(name##_get_result(task, NULL), VTS_OK);                            \
        assert_code(name##_get_result(task, &out), VTS_OK);                            \
        assert_true(same(&out, &value));                                               \
        assert_code(name##_on_completed(task, count, &ran, 0), VTS_OK);                \
        assert_int_equal(ran, 1);                                                      \
        assert_code(name##_unregister(task), VTS_E_NOT_AWAITED);                       \
        assert_code(name##_forget(task), VTS_OK);                                      \
        out = make(9);                                                                 \
        task = name##_from_error(-5);                                                  \
        assert_true(name##_is_completed(task) && name##_is_faulted(task));             \
        assert_code(name##_get_result(task, &out), -5);                                \
        task = name##_from_canceled(0);                                                \
        assert_true(name##_is_canceled(task));                                         \
        assert_code(name##_get_result(task, &out), VTS_E_CANCELED);                    \
        assert_true(same(&out, &kept));                                                \
    }                                                                                  \
                                                                                       \
    static void name##_of_a_bare_source(void)                                          \
    {                                                                                  \
        name##_source source;                                                          \
        T value = make(2), out = make(9), kept = make(9);                              \
        vts_token token;                                                               \
        name##_valuetask task;                                                         \
        int ran = 0;                                                                   \
        name##_source_init(&source);                                                   \
        assert_code(vts_source_reset(&source.core, &token), VTS_OK);                   \
        task = name##_valuetask_of(&source, token);                                    \
        assert_code(name##_get_status(task), VTS_PENDING);                             \
        assert_code(name##_get_result(task, &out), VTS_E_NOT_COMPLETED);               \
        assert_code(name##_on_completed(task, count, &ran, 0), VTS_OK);                \
        assert_code(name##_unregister(task), VTS_OK);                                  \
        assert_code(name##_on_completed(task, count, &ran, 0), VTS_OK);                \
        assert_true(same(&out, &kept));                                                \
        assert_code(name##_set_result(&source, token, NULL), VTS_E_ARGUMENT);          \
        assert_code(name##_set_result(&source, token + 32, &value), VTS_E_STALE);      \
        assert_int_equal(ran, 0);                                                      \
        assert_code(name##_set_result(&source, token, &value), VTS_OK);                \
        assert_int_equal(ran, 1);                                                      \
        assert_code(name##_set_result(&source, token, &kept),                          \
                    VTS_E_ALREADY_COMPLETED);                                          \
        assert_code(name##_get_result(task, &out), VTS_OK);                            \
        assert_true(same(&out, &value));                                               \
        assert_code(vts_source_reset(&source.core, &token), VTS_OK);                   \
        assert_code(name##_get_result(task, &out), VTS_E_STALE);                       \
        task = name##_valuetask_of(&source, token);                                    \
        assert_code(vts_source_set_error(&source.core, token, -6), VTS_OK);            \
        assert_true(name##_is_faulted(task));                                          \
        assert_code(name##_get_result(task, &out), -6);                                \
        assert_true(same(&out, &value));                                               \
    }                                                                                  \
                                                                                       \
    static void name##_of_a_pooled_source(void)                                        \
    {                                                                                  \
        vts_pool pool;                                                                 \
        vts_pool_desc desc = name##_pool_desc();                                       \
        name##_source *source;                                                         \
        T value = make(3), out = make(9);                                              \
        intptr_t word = 9;                                                             \
        vts_token token;                                                               \
        name##_valuetask task;                                                         \
        desc.allocator = &test_allocator;                                              \
        desc.capacity = 1;                                                             \
        assert_code(vts_pool_init(&pool, &desc), VTS_OK);                              \
        source = name##_rent(&pool, &token, VTS_HERE);                                 \
        assert_non_null(source);                                                       \
        assert_null(name##_rent(&pool, &token, VTS_HERE));                             \
        task = name##_valuetask_of(source, token);                                     \
        assert_code(vts_source_begin_result(&source->core, token), VTS_OK);            \
        source->value = value;                                                         \
        assert_code(vts_source_end_result(&source->core, token), VTS_OK);              \
        assert_code(vts_source_get_result(&source->core, token, &word),                \
                    VTS_E_UNSUPPORTED);                                                \
        assert_int_equal(word, 9);                                                     \
        assert_code(name##_get_result(task, &out), VTS_OK);                            \
        assert_true(same(&out, &value));                                               \
        assert_code(name##_get_result(task, &out), VTS_E_STALE);                       \
        source = name##_rent(&pool, &token, VTS_HERE);                                 \
        assert_code(name##_forget(name##_valuetask_of(source, token)), VTS_OK);        \
        assert_code(name##_set_result(source, token, &value), VTS_OK);                 \
        assert_int_equal(vts_pool_outstanding(&pool), 0);                              \
        source = name##_rent(&pool, &token, VTS_HERE);                                 \
        assert_code(vts_source_set_canceled(&source->core, token, 0), VTS_OK);         \
        assert_code(vts_source_get_result(&source->core, token, NULL),                 \
                    VTS_E_CANCELED);                                                   \
        assert_code(vts_pool_destroy(&pool), VTS_OK);                                  \
    }                                                                                  \
    typedef name##_valuetask name##__tested

static point make_point(int seed)
{
    point p = {seed * 3, -seed};
    return p;
}

static bool same_point(const point *a, const point *b)
{
    return a->x == b->x && a->y == b->y;
}

static triple make_triple(int seed)
{
    triple t = {{(unsigned char)seed, (unsigned char)(seed + 100),
                 (unsigned char)(255 - seed)}};
    return t;
}

static bool same_triple(const triple *a, const triple *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static page make_page(int seed)
{
    page p;
    int i;
    for (i = 0; i < (int)sizeof p.bytes; i++)
        p.bytes[i] = (unsigned char)(i * 7 + seed);
    return p;
}

static bool same_page(const page *a, const page *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static double make_double(int seed) { return seed + 0.125; }

static bool same_double(const double *a, const double *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

TYPED_TESTS(point_task, point, make_point, same_point);
TYPED_TESTS(triple_task, triple, make_triple, same_triple);
TYPED_TESTS(page_task, page, make_page, same_page);
TYPED_TESTS(double_task, double, make_double, same_double);

/* A result whose size is no whole number of words touches nothing behind it. */
static void a_typed_result_writes_its_own_bytes_only(void)
{
    struct {
        triple value;
        unsigned char behind[13];
    } out;
    triple_task_source source;
    triple value = make_triple(4);
    vts_token token;
    size_t i;

    memset(&out, 0x55, sizeof out);
    triple_task_source_init(&source);
    assert_code(vts_source_reset(&source.core, &token), VTS_OK);
    assert_code(triple_task_set_result(&source, token, &value), VTS_OK);
    assert_code(
        triple_task_get_result(triple_task_valuetask_of(&source, token), &out.value),
        VTS_OK);
    assert_true(same_triple(&out.value, &value));
    for (i = 0; i < sizeof out.behind; i++) assert_int_equal(out.behind[i], 0x55);
}

static void a_zeroed_typed_source_works_after_its_reset(void)
{
    page_task_source source;
    page value = make_page(5), out = make_page(9);
    vts_token token = 9;

    memset(&source, 0, sizeof source);
    assert_code(page_task_set_result(&source, 32, &value), VTS_E_STALE);
    assert_code(page_task_get_result(page_task_valuetask_of(&source, 32), &out),
                VTS_E_STALE);
    assert_code(page_task_reset(NULL, &token), VTS_E_ARGUMENT);
    assert_code(page_task_reset(&source, NULL), VTS_E_ARGUMENT);
    assert_int_equal(token, 9);
    assert_code(page_task_reset(&source, &token), VTS_OK);
    assert_code(page_task_reset(&source, &token), VTS_E_PENDING);
    assert_code(page_task_set_result(&source, token, &value), VTS_OK);
    assert_code(page_task_get_result(page_task_valuetask_of(&source, token), &out),
                VTS_OK);
    assert_true(same_page(&out, &value));
}

/* A typed source that was reset as one of words hands out words: no T is written. */
static void a_typed_result_of_a_source_of_words_is_refused(void)
{
    page_task_source source;
    page value = make_page(5);
    vts_token token;

    memset(&source, 0, sizeof source);
    assert_code(vts_source_reset(&source.core, &token), VTS_OK);
    assert_code(page_task_set_result(&source, token, &value), VTS_E_UNSUPPORTED);
    assert_code(vts_source_get_status(&source.core, token), VTS_PENDING);
}

static void a_typed_handle_wraps_a_source_of_the_users(void)
{
    own_source own = own_make(&own_ops, VTS_FAULTED);
    point_task_valuetask task = point_task_from_source(&own.base, 7);
    point out = make_point(1);

    own.code = -5;
    assert_true(point_task_is_faulted(task));
    assert_code(point_task_get_result(task, &out), -5);
    assert_int_equal(own.token, 7);
}

static void a_null_typed_source_is_an_argument_error(void)
{
    page value = make_page(1);

    assert_code(page_task_set_result(NULL, 32, &value), VTS_E_ARGUMENT);
}

static void a_small_typed_handle_is_two_words(void)
{
    assert_int_equal(sizeof(triple_task_valuetask), 2 * sizeof(vts_word));
    assert_int_equal(sizeof(point_task_source), sizeof(vts_source) + sizeof(point));
}

// ----------------------------------------------------------------------------------
// Hooks
// ----------------------------------------------------------------------------------

typedef struct heard {
    int calls, code, result;
    vts_trace_event event;
    const void *source;
    vts_token token;
    const char *text;
} heard;

static void hear_misuse(void *user, int code, const char *text, const void *source,
                        vts_token token)
{
    heard *h = (heard *)user;
    h->calls++;
    h->code = code;
    h->text = text;
    h->source = source;
    h->token = token;
}

static void hear_trace(void *user, vts_trace_event event,
                       const vts_valuetask_source *source, vts_token token, int result)
{
    heard *h = (heard *)user;
    h->calls++;
    h->event = event;
    h->source = source;
    h->token = token;
    h->result = result;
}

static void assert_heard(heard *h, const void *source, vts_token token, int code)
{
    assert_int_equal(h->calls, 1);
    assert_code(h->code, code);
    assert_string_equal(h->text, vts_strerror(code));
    assert_ptr_equal(h->source, source);
    assert_int_equal(h->token, token);
    memset(h, 0, sizeof *h);
}

static void the_misuse_hook_hears_of_consumers_and_owners(void)
{
    heard h = {0};
    vts_source source = {0};
    vts_token token, old;
    int ran = 0;

    assert_code(vts_source_reset(&source, &old), VTS_OK);
    assert_code(vts_source_set_result(&source, old, 0), VTS_OK);
    assert_code(vts_source_reset(&source, &token), VTS_OK);
    vts_set_misuse_hook(hear_misuse, &h);
    vts_source_get_status(&source, old);
    assert_heard(&h, &source, old, VTS_E_STALE);
    vts_source_get_result(&source, old, NULL);
    assert_heard(&h, &source, old, VTS_E_STALE);
    vts_source_on_completed(&source, old, count, &ran, 0);
    assert_heard(&h, &source, old, VTS_E_STALE);
    vts_source_unregister(&source, old);
    assert_heard(&h, &source, old, VTS_E_STALE);
    vts_source_abandon(&source, old);
    assert_heard(&h, &source, old, VTS_E_STALE);
    vts_valuetask_forget(vts_valuetask_of(&source, old));
    assert_heard(&h, &source, old, VTS_E_STALE);
    vts_source_get_result(&source, token, NULL);
    assert_heard(&h, &source, token, VTS_E_NOT_COMPLETED);
    vts_source_reset(&source, &old);
    assert_heard(&h, &source, token, VTS_E_PENDING);
    assert_code(vts_source_on_completed(&source, token, count, &ran, 0), VTS_OK);
    assert_int_equal(h.calls, 0);
    vts_source_on_completed(&source, token, count, &ran, 0);
    assert_heard(&h, &source, token, VTS_E_ALREADY_AWAITED);
}

static void the_misuse_hook_hears_of_abandoning_an_awaited_operation(void)
{
    heard h = {0};
    vts_source source = {0};
    vts_token token;
    int ran = 0;

    assert_code(vts_source_reset(&source, &token), VTS_OK);
    assert_code(vts_source_on_completed(&source, token, count, &ran, 0), VTS_OK);
    vts_set_misuse_hook(hear_misuse, &h);
    vts_source_abandon(&source, token);
    assert_heard(&h, &source, token, VTS_E_ALREADY_AWAITED);
}

static void the_misuse_hook_hears_of_wrong_returns(void)
{
    static VTS_POOL_STORAGE(items, vts_word, 4);
    heard h = {0};
    vts_pool pool;
    vts_pool_desc desc = {0};
    void *item;

    desc.item_size = sizeof(vts_word);
    desc.storage = items;
    desc.storage_size = sizeof items;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    item = vts_pool_get(&pool);
    vts_set_misuse_hook(hear_misuse, &h);
    assert_code(vts_pool_put(&pool, item), VTS_OK);
    assert_int_equal(h.calls, 0);
    vts_pool_put(&pool, item);
    assert_heard(&h, item, 0, VTS_E_DOUBLE_RETURN);
    vts_pool_put(&pool, &h);
    assert_heard(&h, &h, 0, VTS_E_FOREIGN);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_source_of_the_users_reports_misuse_itself(void)
{
    own_source own = own_make(&own_ops, VTS_PENDING);
    heard h = {0};

    assert_code(vts_report_misuse(VTS_E_STALE, &own, 7), VTS_E_STALE);
    vts_set_misuse_hook(hear_misuse, &h);
    assert_code(vts_report_misuse(VTS_E_NOT_COMPLETED, &own, 7), VTS_E_NOT_COMPLETED);
    assert_heard(&h, &own, 7, VTS_E_NOT_COMPLETED);
}

static void losing_completers_are_no_misuse(void)
{
    heard h = {0};
    vts_source source = {0};
    vts_token token;

    assert_code(vts_source_reset(&source, &token), VTS_OK);
    assert_code(vts_source_set_result(&source, token, 0), VTS_OK);
    vts_set_misuse_hook(hear_misuse, &h);
    vts_source_set_result(&source, token, 1);
    vts_source_set_error(&source, token + 32, -1);
    vts_source_set_canceled(&source, token - 32, 0);
    vts_source_begin_result(&source, token);
    vts_source_unregister(&source, token);
    assert_int_equal(h.calls, 0);
    vts_set_misuse_hook(NULL, NULL);
    vts_source_get_status(&source, token + 32);
    assert_int_equal(h.calls, 0);
}

static void assert_traced(heard *h, vts_valuetask task, vts_trace_event event,
                          int result)
{
    assert_int_equal(h->calls, 1);
    assert_int_equal(h->event, event);
    assert_ptr_equal(h->source, task.source);
    assert_int_equal(h->token, task.token);
    assert_code(h->result, result);
    memset(h, 0, sizeof *h);
}

static void the_trace_hook_hears_every_call_on_a_source(void)
{
    heard h = {0};
    vts_source source = {0};
    vts_token token;
    vts_valuetask task;
    intptr_t result = 0;
    int ran = 0;

    assert_code(vts_source_reset(&source, &token), VTS_OK);
    task = vts_valuetask_of(&source, token);
    vts_set_trace_hook(hear_trace, &h);
    assert_false(vts_valuetask_is_completed(task));
    assert_traced(&h, task, VTS_TRACE_GET_STATUS, VTS_PENDING);
    assert_code(vts_valuetask_get_result(task, &result), VTS_E_NOT_COMPLETED);
    assert_traced(&h, task, VTS_TRACE_GET_RESULT, VTS_E_NOT_COMPLETED);
    assert_code(vts_valuetask_on_completed(task, count, &ran, 0), VTS_OK);
    assert_traced(&h, task, VTS_TRACE_ON_COMPLETED, VTS_OK);
    assert_code(vts_source_set_result(&source, token, 4), VTS_OK);
    assert_int_equal(h.calls, 0);
    assert_code(vts_valuetask_get_result(task, &result), VTS_OK);
    assert_traced(&h, task, VTS_TRACE_GET_RESULT, VTS_OK);
    assert_int_equal(result, 4);
}

static void the_trace_hook_hears_nothing_of_handles_completed_in_themselves(void)
{
    vts_valuetask task[3];
    heard h = {0};
    int ran = 0, i;

    task[0] = vts_valuetask_from_result(1);
    task[1] = vts_valuetask_from_error(-4);
    task[2] = vts_valuetask_from_canceled(0);
    vts_set_trace_hook(hear_trace, &h);
    for (i = 0; i < 3; i++) {
        assert_true(vts_valuetask_is_completed(task[i]));
        vts_valuetask_get_result(task[i], NULL);
        assert_code(vts_valuetask_on_completed(task[i], count, &ran, 0), VTS_OK);
    }
    assert_int_equal(ran, 3);
    assert_int_equal(h.calls, 0);
}

static void the_trace_hook_hears_of_a_zeroed_source(void)
{
    heard h = {0};
    vts_source none = {0};

    vts_set_trace_hook(hear_trace, &h);
    assert_false(vts_valuetask_is_completed(vts_valuetask_of(&none, 32)));
    assert_traced(&h, vts_valuetask_of(&none, 32), VTS_TRACE_GET_STATUS, VTS_E_STALE);
}

static void every_code_has_a_text_of_its_own(void)
{
    const char *unknown = vts_strerror(-1);
    int a, b;

    assert_string_equal(vts_strerror(VTS_OK), "ok");
    assert_string_equal(unknown, "unknown error");
    for (a = VTS_E_ARGUMENT; a >= VTS_E_STOPPED; a--) {
        assert_string_not_equal(vts_strerror(a), unknown);
        for (b = VTS_E_ARGUMENT; b > a; b--) {
            assert_string_not_equal(vts_strerror(a), vts_strerror(b));
        }
    }
    assert_string_equal(vts_strerror(VTS_E_CANCELED), "canceled");
    assert_string_equal(vts_strerror(VTS_E_EXHAUSTED), "pool exhausted");
    assert_string_equal(vts_strerror(VTS_E_STOPPED),
                        "stopped: the loop was told to return");
}

static void other_numbers_are_unknown_errors(void)
{
    static const int others[] = {1,      5,         -1,        -22,          -10000,
                                 -10020, INT32_MAX, INT32_MIN, INT32_MIN + 1};
    size_t i;

    for (i = 0; i < sizeof others / sizeof *others; i++) {
        assert_string_equal(vts_strerror(others[i]), "unknown error");
    }
}

#define TYPED(name)                                                                    \
    TEST(name##_in_the_handle), TEST(name##_of_a_bare_source),                         \
        TEST(name##_of_a_pooled_source)

static void a_typed_result_is_not_written_into_a_word(void)
{
    page_task_source source;
    vts_token token;
    page value;
    intptr_t word = 77;

    memset(&value, 5, sizeof value);
    page_task_source_init(&source);
    assert_code(page_task_reset(&source, &token), VTS_OK);
    assert_code(page_task_set_result(&source, token, &value), VTS_OK);
    assert_code(vts_valuetask_get_result(vts_valuetask_of(&source.core, token), &word),
                VTS_E_UNSUPPORTED);
    assert_int_equal(word, 77);
    assert_code(vts_valuetask_get_result(vts_valuetask_of(&source.core, token), NULL),
                VTS_OK);
}

static void a_handle_of_no_source_has_failed(void)
{
    vts_valuetask task = vts_valuetask_of(NULL, 32);
    point_task_valuetask typed = point_task_valuetask_of(NULL, 32);

    assert_code(vts_valuetask_get_status(task), VTS_FAULTED);
    assert_code(vts_valuetask_get_result(task, NULL), VTS_E_ARGUMENT);
    assert_code(point_task_get_result(typed, NULL), VTS_E_ARGUMENT);
    assert_code(vts_valuetask_get_result(vts_valuetask_from_source(NULL, 32), NULL),
                VTS_E_ARGUMENT);
}

/* A reader that is overtaken by a reset says stale and has written nothing. */
typedef struct overtaken {
    page_task_source source;
    vts_word token; /* of the newest operation; atomic */
    vts_word stop;
} overtaken;

static void *read_late(void *arg)
{
    overtaken *o = (overtaken *)arg;
    page before, out;
    unsigned i;

    memset(&before, 0xa5, sizeof before);
    for (i = 0; i < 20000; i++) {
        vts_token token = vts__load_acq(&o->token);
        out = before;
        if (page_task_get_result(page_task_valuetask_of(&o->source, token), &out) !=
            VTS_OK) {
            THREAD_CHECK(memcmp(&out, &before, sizeof out) == 0);
        }
    }
    vts__store_rel(&o->stop, 1);
    return NULL;
}

static void an_overtaken_reader_writes_nothing(void)
{
    static overtaken o;
    pthread_t reader;
    vts_token token;
    page value;

    memset(&o, 0, sizeof o);
    memset(&value, 1, sizeof value);
    page_task_source_init(&o.source);
    assert_int_equal(pthread_create(&reader, NULL, read_late, &o), 0);
    while (vts__load_acq(&o.stop) == 0) {
        assert_code(page_task_reset(&o.source, &token), VTS_OK);
        assert_code(page_task_set_result(&o.source, token, &value), VTS_OK);
        vts__store_rel(&o.token, token);
    }
    pthread_join(reader, NULL);
}

/* A result that nobody wants is still there for who asks again: the source is bare. */
static void a_typed_bare_result_may_be_looked_for_without_being_read(void)
{
    page_task_source source = {0};
    page value = make_page(3), out = make_page(9);
    page_task_valuetask task;
    vts_token token;

    assert_code(page_task_reset(&source, &token), VTS_OK);
    task = page_task_valuetask_of(&source, token);
    assert_code(page_task_get_result(task, NULL), VTS_E_NOT_COMPLETED);
    assert_code(page_task_set_result(&source, token, &value), VTS_OK);
    assert_code(page_task_get_result(task, NULL), VTS_OK);
    assert_code(page_task_get_result(task, &out), VTS_OK);
    assert_true(same_page(&out, &value));
}

/* What tells a pooled source from a bare one holds for those of any type. */
static void a_typed_pooled_source_goes_home_in_every_way(void)
{
    static VTS_POOL_STORAGE(pages, page_task_source, 1);
    vts_pool_desc desc = page_task_pool_desc();
    page value = make_page(4);
    page_task_source *source;
    vts_token token;
    vts_pool pool;

    desc.storage = pages;
    desc.storage_size = sizeof pages;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    source = page_task_rent(&pool, &token, VTS_HERE);
    assert_code(page_task_reset(source, &token), VTS_E_UNSUPPORTED);
    assert_code(vts_source_abandon(&source->core, token), VTS_OK);
    assert_int_equal(vts_pool_outstanding(&pool), 0);
    source = page_task_rent(&pool, &token, VTS_HERE);
    assert_code(page_task_set_result(source, token, &value), VTS_OK);
    assert_code(page_task_forget(page_task_valuetask_of(source, token)), VTS_OK);
    assert_int_equal(vts_pool_outstanding(&pool), 0);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void remove_trace_hook(void *arg)
{
    ++*(int *)arg;
    vts_set_trace_hook(NULL, NULL);
}

static void a_trace_hook_removed_during_the_call_does_not_hear_its_end(void)
{
    heard h = {0};
    vts_source source = {0};
    vts_token token;
    int ran = 0;

    assert_code(vts_source_reset(&source, &token), VTS_OK);
    assert_code(vts_source_set_result(&source, token, 4), VTS_OK);
    vts_set_trace_hook(hear_trace, &h);
    assert_code(vts_valuetask_on_completed(vts_valuetask_of(&source, token),
                                           remove_trace_hook, &ran, 0),
                VTS_OK);
    assert_int_equal(ran, 1);
    assert_int_equal(h.calls, 0);
}

/* Pending: the source is asked, and its answer is the call's. Completed: its result is
   taken, whatever that answers. */
static void forgetting_a_source_of_the_users_asks_it_while_it_is_pending(void)
{
    own_source own = own_make(&own_ops, VTS_PENDING);
    vts_valuetask task = vts_valuetask_from_source(&own.base, 7);

    own.code = -78;
    assert_code(vts_valuetask_forget(task), -78);
    assert_int_equal(own.forgotten * 10 + own.taken, 10);
    assert_int_equal(own.token, 7);
    own.code = VTS_OK;
    assert_code(vts_valuetask_forget(task), VTS_OK);
    assert_int_equal(own.forgotten * 10 + own.taken, 20);
    own.status = VTS_FAULTED;
    own.code = -78;
    assert_code(vts_valuetask_forget(task), VTS_OK);
    assert_int_equal(own.forgotten * 10 + own.taken, 21);
}

static const test_case tests[] = {
    TEST(a_zeroed_handle_is_done_with_zero),
    TEST(a_result_travels_in_the_handle),
    TEST(d10_a_failure_travels_in_the_handle),
    TEST(an_error_that_is_not_negative_becomes_an_argument_error),
    TEST(any_error_can_be_forgotten_the_code_of_stale_too),
    TEST(a_zeroed_source_makes_every_handle_stale),
    TEST(a_null_continuation_is_an_argument_error_on_a_zeroed_source_too),
    TEST(a_bare_source_answers_through_its_handle),
    TEST(a_pooled_source_goes_home_when_its_handle_is_asked),
    TEST(a_handle_kept_over_recycling_never_matches),
    TEST(a_source_of_the_users_gets_every_call_with_the_token),
    TEST(get_result_asks_no_status_first),
    TEST(a_source_of_the_users_answers_as_it_likes),
    TEST(what_a_source_lacks_is_unsupported),
    TEST(equal_handles_name_the_same_operation_or_value),
    TEST(take_needs_a_source),
    TEST(a_forgotten_pooled_operation_goes_home),
    TEST(forgetting_hides_no_context_from_the_next_continuation),
    TEST(a_forgotten_operation_is_not_taken_for_a_later_one),
    TEST(a_forgotten_bare_operation_stays_readable),
    TYPED(point_task),
    TYPED(triple_task),
    TYPED(page_task),
    TYPED(double_task),
    TEST(a_typed_result_writes_its_own_bytes_only),
    TEST(a_small_typed_handle_is_two_words),
    TEST(the_misuse_hook_hears_of_consumers_and_owners),
    TEST(the_misuse_hook_hears_of_abandoning_an_awaited_operation),
    TEST(the_misuse_hook_hears_of_wrong_returns),
    TEST(losing_completers_are_no_misuse),
    TEST(the_trace_hook_hears_every_call_on_a_source),
    TEST(the_trace_hook_hears_nothing_of_handles_completed_in_themselves),
    TEST(the_trace_hook_hears_of_a_zeroed_source),
    TEST(a_source_of_the_users_reports_misuse_itself),
    TEST(a_zeroed_typed_source_works_after_its_reset),
    TEST(a_typed_result_of_a_source_of_words_is_refused),
    TEST(a_typed_handle_wraps_a_source_of_the_users),
    TEST(every_code_has_a_text_of_its_own),
    TEST(other_numbers_are_unknown_errors),
    TEST(a_null_typed_source_is_an_argument_error),
    TEST(a_typed_result_is_not_written_into_a_word),
    TEST(a_handle_of_no_source_has_failed),
    TEST(an_overtaken_reader_writes_nothing),
    TEST(a_typed_bare_result_may_be_looked_for_without_being_read),
    TEST(a_typed_pooled_source_goes_home_in_every_way),
    TEST(a_trace_hook_removed_during_the_call_does_not_hear_its_end),
    TEST(forgetting_a_source_of_the_users_asks_it_while_it_is_pending),
};

TEST_MAIN(tests)
