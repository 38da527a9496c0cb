/* The completion source: every call in every state with every kind of token, bare and
   pooled; then each promise on its own. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

static void count(void *arg) { ++*(int *)arg; }

#define ERROR_OF_OPERATION (-5)
#define CANCEL_OF_OPERATION (-7)
#define GENERATION ((vts_token)32)

// ----------------------------------------------------------------------------------
// The conformance table
// ----------------------------------------------------------------------------------

typedef enum state {
    ARMED,
    AWAITED,
    BEGUN,
    BEGUN_AWAITED,
    SUCCEEDED,
    SUCCEEDED_AWAITED,
    FAULTED,
    CANCELED,
    QUEUED, /* completed, its continuation posted but not run */
    ENDED,  /* bare: abandoned; pooled: its result was taken  */
    IDLE,   /* bare: never armed; pooled: abandoned           */
    STATES
} state;

typedef enum call {
    GET_STATUS,
    GET_RESULT,
    ON_COMPLETED,
    ON_COMPLETED_NULL,
    UNREGISTER,
    SET_RESULT,
    SET_ERROR,
    SET_ERROR_ZERO,
    SET_CANCELED,
    SET_CANCELED_POSITIVE,
    BEGIN_RESULT,
    END_RESULT,
    ABANDON,
    FORGET,
    CALLS
} call;

static const char *const state_name[STATES] = {
    "armed",   "awaited",  "begun",  "begun+awaited", "succeeded", "succeeded+awaited",
    "faulted", "canceled", "queued", "ended",         "idle"};
static const char *const call_name[CALLS] = {
    "get_status",   "get_result",      "on_completed", "on_completed(NULL)",
    "unregister",   "set_result",      "set_error",    "set_error(0)",
    "set_canceled", "set_canceled(1)", "begin_result", "end_result",
    "abandon",      "forget"};

#define OK VTS_OK
#define STALE VTS_E_STALE
#define EARLY VTS_E_NOT_COMPLETED
#define TWICE VTS_E_ALREADY_AWAITED
#define LOST VTS_E_ALREADY_COMPLETED
#define NOBODY VTS_E_NOT_AWAITED
#define ARGUMENT VTS_E_ARGUMENT
#define P_ VTS_PENDING
#define S_ VTS_SUCCEEDED

/* What a call gives with the token of the operation. */
static const int expected[CALLS][STATES] = {
    /* armed, awaited, begun, begun+awaited, succeeded, succeeded+awaited, faulted,
       canceled, queued, ended, idle */
    [GET_STATUS] = {P_, P_, P_, P_, S_, S_, VTS_FAULTED, VTS_CANCELED, S_, STALE,
                    STALE},
    [GET_RESULT] = {EARLY, EARLY, EARLY, EARLY, OK, OK, ERROR_OF_OPERATION,
                    CANCEL_OF_OPERATION, OK, STALE, STALE},
    [ON_COMPLETED] = {OK, TWICE, OK, TWICE, OK, TWICE, OK, OK, TWICE, STALE, STALE},
    [ON_COMPLETED_NULL] = {ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT,
                           ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT},
    [UNREGISTER] = {NOBODY, OK, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY,
                    STALE, STALE},
    [SET_RESULT] = {OK, OK, LOST, LOST, LOST, LOST, LOST, LOST, LOST, STALE, STALE},
    [SET_ERROR] = {OK, OK, LOST, LOST, LOST, LOST, LOST, LOST, LOST, STALE, STALE},
    [SET_ERROR_ZERO] = {ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT,
                        ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT},
    [SET_CANCELED] = {OK, OK, LOST, LOST, LOST, LOST, LOST, LOST, LOST, STALE, STALE},
    [SET_CANCELED_POSITIVE] = {ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT,
                               ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT,
                               ARGUMENT},
    [BEGIN_RESULT] = {OK, OK, LOST, LOST, LOST, LOST, LOST, LOST, LOST, STALE, STALE},
    [END_RESULT] = {ARGUMENT, ARGUMENT, OK, OK, ARGUMENT, ARGUMENT, ARGUMENT, ARGUMENT,
                    ARGUMENT, ARGUMENT, ARGUMENT},
    [ABANDON] = {OK, TWICE, LOST, LOST, LOST, LOST, LOST, LOST, LOST, STALE, STALE},
    [FORGET] = {OK, TWICE, OK, TWICE, OK, OK, OK, OK, OK, STALE, STALE},
};

typedef struct fixture {
    bool pooled;
    vts_pool pool;
    vts_source storage[4]; /* of the pool; more than one item of it */
    vts_source bare;
    vts_source *source;
    vts_token token;
    vts_run_queue queue;
    int first, second; /* how often each continuation ran */
} fixture;

/* A source whose operation is armed, and not its first. */
static void arm(fixture *f, bool pooled)
{
    vts_pool_desc desc = {0};

    memset(f, 0, sizeof *f);
    f->pooled = pooled;
    vts_run_queue_init(&f->queue, NULL, NULL);
    vts_source_init(&f->bare, NULL);
    if (!pooled) {
        f->source = &f->bare;
        assert_code(vts_source_reset(&f->bare, &f->token), VTS_OK);
        assert_code(vts_source_abandon(&f->bare, f->token), VTS_OK);
        assert_code(vts_source_reset(&f->bare, &f->token), VTS_OK);
        return;
    }
    desc.storage = f->storage;
    desc.storage_size = sizeof f->storage;
    desc.capacity = 1;
    assert_code(vts_pool_init(&f->pool, &desc), VTS_OK);
    assert_non_null(vts_pool_rent(&f->pool, &f->token));
    f->source = &f->storage[0];
    assert_code(vts_source_abandon(f->source, f->token), VTS_OK);
    assert_ptr_equal(vts_pool_rent(&f->pool, &f->token), f->source);
}

static void await_first(fixture *f)
{
    assert_code(vts_source_on_completed(f->source, f->token, count, &f->first, 0), OK);
}

static void await_on_queue(fixture *f)
{
    vts_scheduler_set_current(&f->queue.scheduler);
    assert_code(vts_source_on_completed(f->source, f->token, count, &f->first,
                                        VTS_USE_SCHEDULING_CONTEXT),
                OK);
    vts_scheduler_set_current(NULL);
}

static void end(fixture *f)
{
    if (f->pooled) {
        assert_code(vts_source_set_result(f->source, f->token, 0), OK);
        assert_code(vts_source_get_result(f->source, f->token, NULL), OK);
    } else {
        assert_code(vts_source_abandon(f->source, f->token), OK);
    }
}

static void make_idle(fixture *f)
{
    if (f->pooled) {
        assert_code(vts_source_abandon(f->source, f->token), OK);
    } else {
        vts_source_init(f->source, NULL);
        f->token = vts_source_version(f->source);
    }
}

/* Brings an armed source into the state. */
static void bring(fixture *f, state to)
{
    vts_source *source = f->source;
    vts_token token = f->token;

    if (to == AWAITED || to == BEGUN_AWAITED || to == SUCCEEDED_AWAITED) await_first(f);
    if (to == QUEUED) await_on_queue(f);
    if (to == BEGUN || to == BEGUN_AWAITED) {
        assert_code(vts_source_begin_result(source, token), OK);
    }
    if (to == SUCCEEDED || to == SUCCEEDED_AWAITED || to == QUEUED) {
        assert_code(vts_source_set_result(source, token, 42), OK);
    }
    if (to == FAULTED) {
        assert_code(vts_source_set_error(source, token, ERROR_OF_OPERATION), OK);
    }
    if (to == CANCELED) {
        assert_code(vts_source_set_canceled(source, token, CANCEL_OF_OPERATION), OK);
    }
    if (to == ENDED) end(f);
    if (to == IDLE) make_idle(f);
}

static int make_call(fixture *f, call which, vts_token token)
{
    vts_source *source = f->source;

    switch (which) {
    case GET_STATUS:
        return vts_source_get_status(source, token);
    case GET_RESULT:
        return vts_source_get_result(source, token, NULL);
    case ON_COMPLETED:
        return vts_source_on_completed(source, token, count, &f->second, 0);
    case ON_COMPLETED_NULL:
        return vts_source_on_completed(source, token, NULL, NULL, 3);
    case UNREGISTER:
        return vts_source_unregister(source, token);
    case SET_RESULT:
        return vts_source_set_result(source, token, 7);
    case SET_ERROR:
        return vts_source_set_error(source, token, -1);
    case SET_ERROR_ZERO:
        return vts_source_set_error(source, token, 0);
    case SET_CANCELED:
        return vts_source_set_canceled(source, token, 0);
    case SET_CANCELED_POSITIVE:
        return vts_source_set_canceled(source, token, 1);
    case BEGIN_RESULT:
        return vts_source_begin_result(source, token);
    case END_RESULT:
        return vts_source_end_result(source, token);
    case ABANDON:
        return vts_source_abandon(source, token);
    case FORGET:
        return vts_valuetask_forget(vts_valuetask_of(source, token));
    default:
        return 1;
    }
}

/* All that a call could have changed. */
typedef struct image {
    unsigned char bytes[sizeof(fixture)];
} image;

static image look(const fixture *f)
{
    image seen;
    memcpy(seen.bytes, f, sizeof seen.bytes);
    return seen;
}

static void assert_unchanged(const fixture *f, const image *before)
{
    assert_memory_equal(f, before->bytes, sizeof *f);
}

/* Finishes whatever goes on: nothing is left, pending or out. */
static void finish(fixture *f)
{
    vts_token token = f->token;
    int status;

    vts_source_set_result(f->source, token, 0);
    vts_source_end_result(f->source, token);
    status = vts_source_get_status(f->source, token);
    if (status > VTS_PENDING) vts_source_get_result(f->source, token, NULL);
    assert_true(vts_run_queue_drain(&f->queue) >= 0);
    if (f->pooled) {
        assert_int_equal(vts_pool_outstanding(&f->pool), 0);
        assert_code(vts_pool_destroy(&f->pool), OK);
    } else {
        assert_code(vts_source_reset(&f->bare, &token), OK);
    }
}

static bool awaits(state from)
{
    return from == AWAITED || from == BEGUN_AWAITED || from == SUCCEEDED_AWAITED ||
           from == QUEUED;
}

static void check(bool as_expected, state from, call which, const char *what, long got)
{
    if (as_expected) return;
    TEST_FAIL("%s while %s: %s %ld\n", call_name[which], state_name[from], what, got);
}

/* One cell: the code, no effect of a failure, and each continuation runs as promised. */
static void check_cell(bool pooled, state from, call which)
{
    fixture f;
    image before;
    int want = expected[which][from], got;
    bool reads = which == GET_STATUS || (which == GET_RESULT && !pooled);

    arm(&f, pooled);
    bring(&f, from);
    before = look(&f);
    got = make_call(&f, which, f.token);
    check(got == want, from, which, "gives", got);
    if (got <= VTS_E_ARGUMENT || reads) assert_unchanged(&f, &before);
    finish(&f);
    check(f.first == (awaits(from) && !(which == UNREGISTER && got == OK)), from, which,
          "the first continuation runs", f.first);
    check(f.second == (which == ON_COMPLETED && got == OK), from, which,
          "the second continuation runs", f.second);
}

static void check_table(bool pooled)
{
    int from, which;

    for (from = 0; from < STATES; from++) {
        for (which = 0; which < CALLS; which++) {
            check_cell(pooled, (state)from, (call)which);
        }
    }
}

static void every_call_in_every_state_of_a_bare_source(void) { check_table(false); }
static void every_call_in_every_state_of_a_pooled_source(void) { check_table(true); }

/* A wrong token: stale, or what is wrong whatever the token; and no effect. */
static void check_wrong_token(bool pooled, state from, call which, vts_token difference)
{
    fixture f;
    image before;
    int want = STALE, got;

    if (which == ON_COMPLETED_NULL || which == SET_ERROR_ZERO || which == END_RESULT ||
        which == SET_CANCELED_POSITIVE) {
        want = ARGUMENT;
    }
    arm(&f, pooled);
    bring(&f, from);
    before = look(&f);
    got = make_call(&f, which, f.token + difference);
    check(got == want, from, which, "with a wrong token gives", got);
    assert_unchanged(&f, &before);
    finish(&f);
    check(f.first == awaits(from) && f.second == 0, from, which, "runs", f.second);
}

static void check_wrong_tokens(bool pooled, vts_token difference)
{
    int from, which;

    for (from = 0; from < STATES; from++) {
        for (which = 0; which < CALLS; which++) {
            check_wrong_token(pooled, (state)from, (call)which, difference);
        }
    }
}

static void a_token_of_an_earlier_operation_is_stale_everywhere(void)
{
    check_wrong_tokens(false, 0 - GENERATION);
    check_wrong_tokens(true, 0 - GENERATION);
}

static void a_token_of_a_later_operation_is_stale_everywhere(void)
{
    check_wrong_tokens(false, GENERATION);
    check_wrong_tokens(true, GENERATION);
}

static void the_zero_token_is_stale_everywhere(void)
{
    fixture f;

    arm(&f, false); /* every operation of a fixture has this token, bare or pooled */
    check_wrong_tokens(false, 0 - f.token);
    check_wrong_tokens(true, 0 - f.token);
}

static void a_token_with_forged_low_bits_is_stale_everywhere(void)
{
    vts_token low;

    for (low = 1; low < GENERATION; low++) {
        check_wrong_tokens(false, low);
        check_wrong_tokens(true, low);
    }
}

/* A forged token that makes the expected word right for another state. */
static void a_token_below_the_current_one_is_no_state(void)
{
    vts_token low;

    for (low = 1; low < GENERATION; low++) {
        check_wrong_tokens(false, 0 - low);
        check_wrong_tokens(true, 0 - low);
    }
}

static void a_null_source_is_an_argument_error(void)
{
    vts_token token = 9;
    intptr_t result = 8;

    vts_source_init(NULL, NULL);
    assert_int_equal(vts_source_version(NULL), 0);
    assert_code(vts_source_reset(NULL, &token), ARGUMENT);
    assert_code(vts_source_set_result(NULL, 32, 1), ARGUMENT);
    assert_code(vts_source_set_error(NULL, 32, -1), ARGUMENT);
    assert_code(vts_source_set_canceled(NULL, 32, 0), ARGUMENT);
    assert_code(vts_source_begin_result(NULL, 32), ARGUMENT);
    assert_code(vts_source_end_result(NULL, 32), ARGUMENT);
    assert_code(vts_source_get_status(NULL, 32), ARGUMENT);
    assert_code(vts_source_get_result(NULL, 32, &result), ARGUMENT);
    assert_code(vts_source_on_completed(NULL, 32, count, NULL, 0), ARGUMENT);
    assert_code(vts_source_unregister(NULL, 32), ARGUMENT);
    assert_code(vts_source_abandon(NULL, 32), ARGUMENT);
    assert_int_equal(token, 9);
    assert_int_equal(result, 8);
}

// ----------------------------------------------------------------------------------
// Reset and version
// ----------------------------------------------------------------------------------

/* Reset in a state of a bare source: the code, and nothing changed by a refusal. */
static void check_reset(state from, int want)
{
    fixture f;
    image before;
    vts_token next = 1, old;

    arm(&f, false);
    bring(&f, from);
    old = f.token;
    before = look(&f);
    assert_code(vts_source_reset(f.source, &next), want);
    if (want != OK) {
        assert_unchanged(&f, &before);
        assert_int_equal(next, 1);
        finish(&f);
        return;
    }
    assert_int_equal(next, from == IDLE ? GENERATION : old + GENERATION);
    assert_int_equal(vts_source_version(f.source), next);
    assert_code(vts_source_get_status(f.source, next), VTS_PENDING);
    assert_code(vts_source_get_status(f.source, old), STALE);
}

static void reset_starts_the_next_operation_unless_one_goes_on(void)
{
    static const state may[] = {SUCCEEDED, SUCCEEDED_AWAITED, FAULTED, CANCELED, ENDED,
                                IDLE};
    size_t i;

    for (i = 0; i < sizeof may / sizeof *may; i++) check_reset(may[i], OK);
}

static void d07_reset_is_refused_while_pending_or_queued(void)
{
    static const state must_not[] = {ARMED, AWAITED, BEGUN, BEGUN_AWAITED, QUEUED};
    size_t i;

    for (i = 0; i < sizeof must_not / sizeof *must_not; i++) {
        check_reset(must_not[i], VTS_E_PENDING);
    }
}

static void reset_works_as_soon_as_the_queued_continuation_runs(void)
{
    fixture f;

    arm(&f, false);
    bring(&f, QUEUED);
    assert_code(vts_source_reset(f.source, &f.token), VTS_E_PENDING);
    assert_int_equal(vts_run_queue_drain(&f.queue), 1);
    assert_int_equal(f.first, 1);
    assert_code(vts_source_reset(f.source, &f.token), OK);
}

static void reset_needs_a_place_for_the_token(void)
{
    vts_source source = {0};
    image before = {{0}};

    assert_code(vts_source_reset(&source, NULL), ARGUMENT);
    assert_memory_equal(&source, before.bytes, sizeof source);
}

static void reset_of_a_pooled_source_is_refused_in_every_state(void)
{
    int from;

    for (from = 0; from < STATES; from++) {
        fixture f;
        image before;
        vts_token token = 1;

        arm(&f, true);
        bring(&f, (state)from);
        before = look(&f);
        assert_code(vts_source_reset(f.source, &token), VTS_E_UNSUPPORTED);
        assert_unchanged(&f, &before);
        assert_int_equal(token, 1);
        finish(&f);
    }
}

static void version_is_the_token_of_the_operation(void)
{
    int from;

    for (from = 0; from < STATES; from++) {
        fixture f;
        arm(&f, false);
        bring(&f, (state)from);
        assert_int_equal(vts_source_version(f.source), f.token);
    }
}

static void every_reset_makes_the_tokens_before_it_stale(void)
{
    vts_source source = {0};
    vts_token tokens[100];
    size_t i, k;

    for (i = 0; i < 100; i++) {
        assert_code(vts_source_reset(&source, &tokens[i]), OK);
        assert_code(vts_source_set_result(&source, tokens[i], (intptr_t)i), OK);
        for (k = 0; k < i; k++) {
            assert_int_not_equal(tokens[k], tokens[i]);
            assert_code(vts_source_get_result(&source, tokens[k], NULL), STALE);
        }
    }
}

// ----------------------------------------------------------------------------------
// Completing
// ----------------------------------------------------------------------------------

typedef enum completer {
    BY_RESULT,
    BY_ERROR,
    BY_CANCEL,
    BY_BEGIN,
    COMPLETERS
} completer;

static int complete(vts_source *source, vts_token token, completer how)
{
    if (how == BY_RESULT) return vts_source_set_result(source, token, 42);
    if (how == BY_ERROR) return vts_source_set_error(source, token, ERROR_OF_OPERATION);
    if (how == BY_CANCEL) return vts_source_set_canceled(source, token, 0);
    return vts_source_begin_result(source, token);
}

/* The operation stands as that completer left it. */
static void assert_completed(fixture *f, completer how)
{
    static const int status[] = {VTS_SUCCEEDED, VTS_FAULTED, VTS_CANCELED};
    static const int code[] = {VTS_OK, ERROR_OF_OPERATION, VTS_E_CANCELED};
    intptr_t result = 9;

    if (how == BY_BEGIN) {
        assert_code(vts_source_get_status(f->source, f->token), VTS_PENDING);
        return;
    }
    assert_code(vts_source_get_status(f->source, f->token), status[how]);
    assert_code(vts_source_get_result(f->source, f->token, &result), code[how]);
    assert_int_equal(result, how == BY_RESULT ? 42 : 9);
}

static void of_two_completers_the_first_wins_in_every_order(void)
{
    int first, second, pooled;

    for (pooled = 0; pooled < 2; pooled++) {
        for (first = 0; first < COMPLETERS; first++) {
            for (second = 0; second < COMPLETERS; second++) {
                fixture f;
                arm(&f, pooled != 0);
                await_first(&f);
                assert_code(complete(f.source, f.token, (completer)first), OK);
                assert_code(complete(f.source, f.token, (completer)second), LOST);
                assert_int_equal(f.first, first != BY_BEGIN);
                assert_completed(&f, (completer)first);
                finish(&f);
            }
        }
    }
}

static void completion_before_and_after_registration_run_it_once(void)
{
    int how, before;

    for (how = 0; how < BY_BEGIN; how++) {
        for (before = 0; before < 2; before++) {
            fixture f;
            arm(&f, false);
            if (before) assert_code(complete(f.source, f.token, (completer)how), OK);
            await_first(&f);
            assert_int_equal(f.first, before);
            if (!before) assert_code(complete(f.source, f.token, (completer)how), OK);
            assert_int_equal(f.first, 1);
            assert_completed(&f, (completer)how);
        }
    }
}

static void canceled_carries_its_own_error_or_the_usual(void)
{
    fixture f;

    arm(&f, false);
    assert_code(vts_source_set_canceled(f.source, f.token, -125), OK);
    assert_code(vts_source_get_status(f.source, f.token), VTS_CANCELED);
    assert_code(vts_source_get_result(f.source, f.token, NULL), -125);
    arm(&f, false);
    assert_code(vts_source_set_canceled(f.source, f.token, 0), OK);
    assert_code(vts_source_get_result(f.source, f.token, NULL), VTS_E_CANCELED);
}

static void results_and_errors_keep_their_extremes(void)
{
    static const intptr_t results[] = {0, 1, -1, INTPTR_MAX, INTPTR_MIN};
    size_t i;

    for (i = 0; i < sizeof results / sizeof *results; i++) {
        fixture f;
        intptr_t result = 9;
        arm(&f, i % 2 != 0);
        assert_code(vts_source_set_result(f.source, f.token, results[i]), OK);
        assert_code(vts_source_get_result(f.source, f.token, &result), OK);
        assert_true(result == results[i]);
        arm(&f, i % 2 == 0);
        assert_code(vts_source_set_error(f.source, f.token, INT32_MIN), OK);
        assert_code(vts_source_get_result(f.source, f.token, &result), INT32_MIN);
        assert_true(result == results[i]);
    }
}

static void a_result_written_between_begin_and_end_is_taken(void)
{
    fixture f;
    intptr_t result = 0;

    arm(&f, false);
    await_first(&f);
    assert_code(vts_source_begin_result(f.source, f.token), OK);
    assert_int_equal(f.first, 0);
    f.source->result = 77;
    assert_code(vts_source_end_result(f.source, f.token), OK);
    assert_int_equal(f.first, 1);
    assert_code(vts_source_get_result(f.source, f.token, &result), OK);
    assert_int_equal(result, 77);
    assert_code(vts_source_end_result(f.source, f.token), ARGUMENT);
}

static void a_registration_between_begin_and_end_is_found_by_end(void)
{
    fixture f;

    arm(&f, true);
    assert_code(vts_source_begin_result(f.source, f.token), OK);
    await_first(&f);
    assert_int_equal(f.first, 0);
    assert_code(vts_source_unregister(f.source, f.token), NOBODY);
    assert_code(vts_source_end_result(f.source, f.token), OK);
    assert_int_equal(f.first, 1);
    finish(&f);
}

static void a_bare_result_may_be_taken_again_until_reset(void)
{
    fixture f;
    intptr_t result = 0;
    int i;

    arm(&f, false);
    bring(&f, SUCCEEDED);
    for (i = 0; i < 3; i++) {
        result = 0;
        assert_code(vts_source_get_result(f.source, f.token, &result), OK);
        assert_int_equal(result, 42);
    }
}

static void a_pooled_result_is_taken_once(void)
{
    fixture f;
    intptr_t result = 0;

    arm(&f, true);
    bring(&f, SUCCEEDED);
    assert_code(vts_source_get_result(f.source, f.token, &result), OK);
    assert_int_equal(result, 42);
    assert_int_equal(vts_pool_outstanding(&f.pool), 0);
    result = 9;
    assert_code(vts_source_get_result(f.source, f.token, &result), STALE);
    assert_int_equal(result, 9);
    assert_int_equal(vts_pool_outstanding(&f.pool), 0);
}

static void a_failed_pooled_operation_goes_home_with_its_error(void)
{
    fixture f;
    intptr_t result = 9;

    arm(&f, true);
    bring(&f, FAULTED);
    assert_code(vts_source_get_result(f.source, f.token, &result), ERROR_OF_OPERATION);
    assert_int_equal(result, 9);
    assert_int_equal(vts_pool_outstanding(&f.pool), 0);
    assert_code(vts_source_get_result(f.source, f.token, NULL), STALE);
}

// ----------------------------------------------------------------------------------
// Registering
// ----------------------------------------------------------------------------------

static void after_unregister_another_may_register(void)
{
    fixture f;

    arm(&f, false);
    await_first(&f);
    assert_code(vts_source_unregister(f.source, f.token), OK);
    assert_code(vts_source_unregister(f.source, f.token), NOBODY);
    assert_code(vts_source_on_completed(f.source, f.token, count, &f.second, 0), OK);
    assert_code(vts_source_set_result(f.source, f.token, 1), OK);
    assert_int_equal(f.first, 0);
    assert_int_equal(f.second, 1);
}

static void after_unregister_the_operation_completes_without_running_it(void)
{
    fixture f;

    arm(&f, true);
    await_first(&f);
    assert_code(vts_source_unregister(f.source, f.token), OK);
    assert_code(vts_source_set_result(f.source, f.token, 1), OK);
    assert_int_equal(f.first, 0);
    finish(&f);
}

static void d08_a_continuation_can_be_unregistered_and_then_abandoned(void)
{
    fixture f;

    arm(&f, true);
    await_first(&f);
    assert_code(vts_source_abandon(f.source, f.token), TWICE);
    assert_code(vts_source_unregister(f.source, f.token), OK);
    assert_code(vts_source_abandon(f.source, f.token), OK);
    assert_int_equal(vts_pool_outstanding(&f.pool), 0);
    assert_code(vts_source_set_result(f.source, f.token, 1), STALE);
    assert_int_equal(f.first, 0);
}

static void a_rejected_registration_leaves_the_first_one_and_its_context(void)
{
    static char mine, other;
    fixture f;

    arm(&f, false);
    vts_context_set_current(&mine);
    assert_code(vts_source_on_completed(f.source, f.token, count, &f.first,
                                        VTS_FLOW_EXECUTION_CONTEXT),
                OK);
    vts_context_set_current(&other);
    vts_scheduler_set_current(&f.queue.scheduler);
    assert_code(vts_source_on_completed(f.source, f.token, count, &f.second, 3), TWICE);
    assert_code(vts_source_set_result(f.source, f.token, 1), OK);
    assert_int_equal(f.first, 1);
    assert_int_equal(f.second, 0);
    assert_true(vts_run_queue_is_empty(&f.queue));
}

static void unknown_flags_are_ignored(void)
{
    fixture f;

    arm(&f, false);
    assert_code(vts_source_on_completed(f.source, f.token, count, &f.first, ~3u), OK);
    assert_null(f.source->context);
    assert_code(vts_source_set_result(f.source, f.token, 1), OK);
    assert_int_equal(f.first, 1);
}

// ----------------------------------------------------------------------------------
// From inside a continuation
// ----------------------------------------------------------------------------------

typedef struct rerun {
    vts_source *source;
    vts_token token;
    intptr_t sum;
    int left;
} rerun;

/* Takes the result, starts the next operation and awaits it. */
static void reset_and_await(void *arg)
{
    rerun *r = (rerun *)arg;
    intptr_t result = 0;

    assert_code(vts_source_get_result(r->source, r->token, &result), OK);
    r->sum += result;
    if (r->left-- == 0) return;
    assert_code(vts_source_reset(r->source, &r->token), OK);
    assert_code(vts_source_on_completed(r->source, r->token, reset_and_await, r, 0),
                OK);
}

static void a_continuation_may_reset_and_await_its_own_source(void)
{
    vts_source source = {0};
    rerun r = {&source, 0, 0, 9};
    intptr_t i;

    assert_code(vts_source_reset(&source, &r.token), OK);
    assert_code(vts_source_on_completed(&source, r.token, reset_and_await, &r, 0), OK);
    for (i = 1; i <= 10; i++)
        assert_code(vts_source_set_result(&source, r.token, i), OK);
    assert_int_equal(r.sum, 55);
}

/* As above, and completes the next operation before the first completer is back. */
static void reset_and_complete(void *arg)
{
    rerun *r = (rerun *)arg;

    reset_and_await(r);
    if (r->left > 0) assert_code(vts_source_set_result(r->source, r->token, 1), OK);
}

static void a_continuation_may_complete_the_next_operation_itself(void)
{
    vts_source source = {0};
    rerun r = {&source, 0, 0, 1};

    assert_code(vts_source_reset(&source, &r.token), OK);
    assert_code(vts_source_on_completed(&source, r.token, reset_and_complete, &r, 0),
                OK);
    assert_code(vts_source_set_result(&source, r.token, 3), OK);
    assert_code(vts_source_set_result(&source, r.token, 4), OK);
    assert_int_equal(r.sum, 7);
}

static void a_late_registration_may_reset_from_its_continuation(void)
{
    vts_source source = {0};
    rerun r = {&source, 0, 0, 1};

    assert_code(vts_source_reset(&source, &r.token), OK);
    assert_code(vts_source_set_result(&source, r.token, 5), OK);
    assert_code(vts_source_on_completed(&source, r.token, reset_and_await, &r, 0), OK);
    assert_code(vts_source_set_result(&source, r.token, 6), OK);
    assert_int_equal(r.sum, 11);
}

/* Consumes and rents again: the pool has one source, so it is the same. */
static void consume_and_rent(void *arg)
{
    fixture *f = (fixture *)arg;
    vts_token old = f->token;

    assert_code(vts_source_get_result(f->source, old, NULL), OK);
    assert_ptr_equal(vts_pool_rent(&f->pool, &f->token), f->source);
    assert_int_equal(f->token, old + GENERATION);
}

static void a_continuation_may_rent_the_source_that_runs_it(void)
{
    fixture f;

    arm(&f, true);
    assert_code(vts_source_on_completed(f.source, f.token, consume_and_rent, &f, 0),
                OK);
    assert_code(vts_source_set_result(f.source, f.token, 1), OK);
    assert_code(vts_source_get_status(f.source, f.token), VTS_PENDING);
    await_first(&f);
    finish(&f);
    assert_int_equal(f.first, 1);
}

// ----------------------------------------------------------------------------------
// Abandon
// ----------------------------------------------------------------------------------

static void an_abandoned_operation_is_stale_for_its_completer(void)
{
    int pooled;

    for (pooled = 0; pooled < 2; pooled++) {
        fixture f;
        image before;
        arm(&f, pooled != 0);
        assert_code(vts_source_abandon(f.source, f.token), OK);
        before = look(&f);
        assert_code(vts_source_set_result(f.source, f.token, 1), STALE);
        assert_code(vts_source_begin_result(f.source, f.token), STALE);
        assert_unchanged(&f, &before);
    }
}

static void an_abandoned_source_is_rented_again_with_a_new_token(void)
{
    fixture f;
    vts_token old;

    arm(&f, true);
    old = f.token;
    assert_code(vts_source_abandon(f.source, f.token), OK);
    assert_int_equal(vts_pool_outstanding(&f.pool), 0);
    assert_ptr_equal(vts_pool_rent(&f.pool, &f.token), f.source);
    assert_int_equal(f.token, old + GENERATION);
    assert_code(vts_source_set_result(f.source, old, 1), STALE);
    finish(&f);
}

// ----------------------------------------------------------------------------------
// Rented with the continuation
// ----------------------------------------------------------------------------------

/* Rents the fixture's one source again, awaited from the start. */
static void rent_awaited(fixture *f)
{
    arm(f, true);
    assert_code(vts_source_abandon(f->source, f->token), OK);
    assert_ptr_equal(vts_pool_rent_awaited(&f->pool, &f->token, count, &f->first),
                     f->source);
}

static void an_operation_rented_awaited_is_as_if_registered(void)
{
    fixture f;
    image before;

    rent_awaited(&f);
    before = look(&f);
    assert_code(vts_source_get_status(f.source, f.token), VTS_PENDING);
    assert_code(vts_source_on_completed(f.source, f.token, count, &f.second, 0), TWICE);
    assert_code(vts_source_abandon(f.source, f.token), TWICE);
    assert_code(vts_source_get_result(f.source, f.token, NULL), EARLY);
    assert_unchanged(&f, &before);
    assert_code(vts_source_set_result(f.source, f.token, 3), OK);
    assert_int_equal(f.first, 1);
    finish(&f);
    assert_int_equal(f.first + f.second, 1);
}

static void an_operation_rented_awaited_can_be_unregistered(void)
{
    fixture f;

    rent_awaited(&f);
    assert_code(vts_source_unregister(f.source, f.token), OK);
    assert_code(vts_source_on_completed(f.source, f.token, count, &f.second, 0), OK);
    finish(&f);
    assert_int_equal(f.first, 0);
    assert_int_equal(f.second, 1);
}

static void an_operation_rented_awaited_captures_nothing_of_the_last_one(void)
{
    static char mine;
    fixture f;

    arm(&f, true);
    vts_context_set_current(&mine);
    vts_scheduler_set_current(&f.queue.scheduler);
    assert_code(vts_source_on_completed(f.source, f.token, count, &f.second, 3), OK);
    assert_code(vts_source_set_result(f.source, f.token, 1), OK);
    assert_int_equal(vts_run_queue_drain(&f.queue), 1);
    assert_code(vts_source_get_result(f.source, f.token, NULL), OK);
    assert_non_null(vts_pool_rent_awaited(&f.pool, &f.token, count, &f.first));
    assert_null(f.source->context);
    assert_code(vts_source_set_result(f.source, f.token, 1), OK);
    assert_int_equal(f.first, 1);
    finish(&f);
}

static void a_rent_awaited_that_fails_takes_nothing(void)
{
    fixture f;
    vts_token token = 9;

    arm(&f, true);
    assert_null(
        vts_pool_rent_awaited(&f.pool, &token, count, &f.first)); /* exhausted */
    assert_code(vts_source_abandon(f.source, f.token), OK);
    assert_null(vts_pool_rent_awaited(&f.pool, &token, NULL, &f.first));
    assert_null(vts_pool_rent_awaited(&f.pool, NULL, count, &f.first));
    assert_null(vts_pool_rent_awaited(NULL, &token, count, &f.first));
    assert_int_equal(token, 9);
    assert_int_equal(f.first, 0);
    finish(&f);
}

// ----------------------------------------------------------------------------------
// Differences from .NET
// ----------------------------------------------------------------------------------

static void d01_a_zeroed_source_is_idle_and_zero_is_no_token(void)
{
    vts_source source;
    vts_token token = 0;

    memset(&source, 0, sizeof source);
    assert_int_equal(vts_source_version(&source), 0);
    assert_code(vts_source_get_status(&source, 0), STALE);
    assert_code(vts_source_get_result(&source, 0, NULL), STALE);
    assert_code(vts_source_on_completed(&source, 0, count, NULL, 0), STALE);
    assert_code(vts_source_set_result(&source, 0, 1), STALE);
    assert_code(vts_source_unregister(&source, 0), STALE);
    assert_code(vts_source_abandon(&source, 0), STALE);
    assert_code(vts_source_end_result(&source, 0), ARGUMENT);
    assert_code(vts_source_reset(&source, &token), OK);
    assert_int_equal(token, GENERATION);
    assert_code(vts_source_get_status(&source, token), VTS_PENDING);
}

static void d01_the_token_has_all_but_five_bits_of_the_word(void)
{
    vts_source source = {0};
    vts_token token = 0;

    source.word = ~(vts_word)0 << 5; /* idle, the last generation before the wrap */
    assert_int_equal(vts_source_version(&source), ~(vts_word)0 << 5);
    source.word -= GENERATION;
    assert_code(vts_source_reset(&source, &token), OK);
    assert_int_equal(token, ~(vts_word)0 << 5);
}

static void d02_a_late_completer_cannot_complete_the_next_operation(void)
{
    fixture f;
    vts_token old;

    arm(&f, false);
    old = f.token;
    assert_code(vts_source_set_result(f.source, old, 1), OK);
    assert_code(vts_source_reset(f.source, &f.token), OK);
    await_first(&f);
    assert_code(vts_source_set_result(f.source, old, 2), STALE);
    assert_code(vts_source_set_error(f.source, old, -2), STALE);
    assert_code(vts_source_set_canceled(f.source, old, 0), STALE);
    assert_code(vts_source_get_status(f.source, f.token), VTS_PENDING);
    assert_int_equal(f.first, 0);
}

static void d03_a_second_result_does_not_overwrite_the_first(void)
{
    fixture f;
    intptr_t result = 0;

    arm(&f, false);
    assert_code(vts_source_set_result(f.source, f.token, 42), OK);
    assert_code(vts_source_set_result(f.source, f.token, 43), LOST);
    assert_code(vts_source_set_error(f.source, f.token, -43), LOST);
    assert_code(vts_source_get_status(f.source, f.token), VTS_SUCCEEDED);
    assert_code(vts_source_get_result(f.source, f.token, &result), OK);
    assert_int_equal(result, 42);
}

static void d04_each_misuse_has_a_code_of_its_own(void)
{
    static const int codes[] = {STALE,  EARLY,    TWICE,        LOST,
                                NOBODY, ARGUMENT, VTS_E_PENDING};
    size_t i, k;

    for (i = 0; i < sizeof codes / sizeof *codes; i++) {
        assert_true(codes[i] <= -10001);
        for (k = 0; k < i; k++) assert_int_not_equal(codes[i], codes[k]);
    }
}

static void d06_a_completed_operation_takes_one_registration(void)
{
    fixture f;

    arm(&f, false);
    bring(&f, SUCCEEDED);
    await_first(&f);
    assert_int_equal(f.first, 1);
    assert_code(vts_source_on_completed(f.source, f.token, count, &f.second, 0), TWICE);
    assert_int_equal(f.second, 0);
}

static void d11_nothing_is_completed_until_its_result_is_readable(void)
{
    fixture f;

    arm(&f, false);
    assert_code(vts_source_begin_result(f.source, f.token), OK);
    assert_code(vts_source_get_status(f.source, f.token), VTS_PENDING);
    assert_code(vts_source_get_result(f.source, f.token, NULL), EARLY);
    assert_code(vts_source_end_result(f.source, f.token), OK);
    assert_code(vts_source_get_status(f.source, f.token), VTS_SUCCEEDED);
    assert_code(vts_source_get_result(f.source, f.token, NULL), OK);
}

static void d12_a_wrong_token_does_not_return_a_pooled_source(void)
{
    fixture f;
    image before;

    arm(&f, true);
    bring(&f, SUCCEEDED);
    before = look(&f);
    assert_code(vts_source_get_result(f.source, f.token - GENERATION, NULL), STALE);
    assert_int_equal(vts_pool_outstanding(&f.pool), 1);
    assert_unchanged(&f, &before);
    assert_code(vts_source_get_result(f.source, f.token, NULL), OK);
    assert_int_equal(vts_pool_outstanding(&f.pool), 0);
}

static void d12_an_early_get_result_does_not_return_a_pooled_source(void)
{
    fixture f;

    arm(&f, true);
    assert_code(vts_source_get_result(f.source, f.token, NULL), EARLY);
    assert_int_equal(vts_pool_outstanding(&f.pool), 1);
    assert_null(vts_pool_rent(&f.pool, &f.token));
    finish(&f);
}

static void d13_a_bad_argument_leaves_the_operation_pending(void)
{
    fixture f;

    arm(&f, false);
    assert_code(vts_source_on_completed(f.source, f.token, NULL, NULL, 0), ARGUMENT);
    assert_code(vts_source_set_error(f.source, f.token, 0), ARGUMENT);
    assert_code(vts_source_set_error(f.source, f.token, 5), ARGUMENT);
    assert_code(vts_source_set_canceled(f.source, f.token, 5), ARGUMENT);
    await_first(&f);
    assert_code(vts_source_get_status(f.source, f.token), VTS_PENDING);
    assert_code(vts_source_set_result(f.source, f.token, 1), OK);
    assert_int_equal(f.first, 1);
}

static void d13_the_argument_is_looked_at_before_the_token(void)
{
    vts_source source = {0};

    assert_code(vts_source_on_completed(&source, 32, NULL, NULL, 0), ARGUMENT);
    assert_code(vts_source_set_error(&source, 32, 1), ARGUMENT);
    assert_code(vts_source_set_canceled(&source, 32, 1), ARGUMENT);
}

static void a_source_is_one_cache_line(void)
{
    assert_true(sizeof(vts_source) <= 8 * sizeof(void *));
    assert_int_equal(sizeof(vts_valuetask), 2 * sizeof(vts_word));
}

static const test_case tests[] = {
    TEST(every_call_in_every_state_of_a_bare_source),
    TEST(every_call_in_every_state_of_a_pooled_source),
    TEST(a_token_of_an_earlier_operation_is_stale_everywhere),
    TEST(a_token_of_a_later_operation_is_stale_everywhere),
    TEST(the_zero_token_is_stale_everywhere),
    TEST(a_token_with_forged_low_bits_is_stale_everywhere),
    TEST(a_token_below_the_current_one_is_no_state),
    TEST(a_null_source_is_an_argument_error),
    TEST(reset_starts_the_next_operation_unless_one_goes_on),
    TEST(d07_reset_is_refused_while_pending_or_queued),
    TEST(reset_works_as_soon_as_the_queued_continuation_runs),
    TEST(reset_needs_a_place_for_the_token),
    TEST(reset_of_a_pooled_source_is_refused_in_every_state),
    TEST(version_is_the_token_of_the_operation),
    TEST(every_reset_makes_the_tokens_before_it_stale),
    TEST(of_two_completers_the_first_wins_in_every_order),
    TEST(completion_before_and_after_registration_run_it_once),
    TEST(canceled_carries_its_own_error_or_the_usual),
    TEST(results_and_errors_keep_their_extremes),
    TEST(a_result_written_between_begin_and_end_is_taken),
    TEST(a_registration_between_begin_and_end_is_found_by_end),
    TEST(a_bare_result_may_be_taken_again_until_reset),
    TEST(a_pooled_result_is_taken_once),
    TEST(a_failed_pooled_operation_goes_home_with_its_error),
    TEST(after_unregister_another_may_register),
    TEST(after_unregister_the_operation_completes_without_running_it),
    TEST(d08_a_continuation_can_be_unregistered_and_then_abandoned),
    TEST(a_rejected_registration_leaves_the_first_one_and_its_context),
    TEST(unknown_flags_are_ignored),
    TEST(a_continuation_may_reset_and_await_its_own_source),
    TEST(a_continuation_may_complete_the_next_operation_itself),
    TEST(a_late_registration_may_reset_from_its_continuation),
    TEST(a_continuation_may_rent_the_source_that_runs_it),
    TEST(an_abandoned_operation_is_stale_for_its_completer),
    TEST(an_abandoned_source_is_rented_again_with_a_new_token),
    TEST(an_operation_rented_awaited_is_as_if_registered),
    TEST(an_operation_rented_awaited_can_be_unregistered),
    TEST(an_operation_rented_awaited_captures_nothing_of_the_last_one),
    TEST(a_rent_awaited_that_fails_takes_nothing),
    TEST(d01_a_zeroed_source_is_idle_and_zero_is_no_token),
    TEST(d01_the_token_has_all_but_five_bits_of_the_word),
    TEST(d02_a_late_completer_cannot_complete_the_next_operation),
    TEST(d03_a_second_result_does_not_overwrite_the_first),
    TEST(d04_each_misuse_has_a_code_of_its_own),
    TEST(d06_a_completed_operation_takes_one_registration),
    TEST(d11_nothing_is_completed_until_its_result_is_readable),
    TEST(d12_a_wrong_token_does_not_return_a_pooled_source),
    TEST(d12_an_early_get_result_does_not_return_a_pooled_source),
    TEST(d13_a_bad_argument_leaves_the_operation_pending),
    TEST(d13_the_argument_is_looked_at_before_the_token),
    TEST(a_source_is_one_cache_line),
};

TEST_MAIN(tests)
