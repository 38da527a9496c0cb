/* Streams: written by hand over one source, written as a generator, and read with
   VTS_FOREACH or without a coroutine. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#include "examples/allocations.h"

#include <sys/wait.h>

#define ERROR_OF_STREAM (-5)

static char steps[64];

static void step(char letter)
{
    size_t length = strlen(steps);

    assert_true(length + 1 < sizeof steps);
    steps[length] = letter;
}

static void assert_steps(const char *expected)
{
    char taken_steps[sizeof steps];

    memcpy(taken_steps, steps, sizeof steps);
    memset(steps, 0, sizeof steps);
    assert_string_equal(taken_steps, expected);
}

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

// ----------------------------------------------------------------------------------
// A stream by hand: counts down to its end, every other element later
// ----------------------------------------------------------------------------------

typedef struct countdown {
    vts_stream stream;
    vts_source source; /* of every move_next                                          */
    vts_token token;
    int left;
    int every;   /* 0: all at once; n: every n-th element has to be waited for      */
    int fail_at; /* the number at which it fails, + 1                                 */
    int disposed;
    vts_cancellation_token cancel; /* of the last move_next                           */
} countdown;

static vts_valuetask countdown_move_next(vts_stream *self, vts_cancellation_token cancel)
{
    countdown *c = (countdown *)(void *)self;

    c->cancel = cancel;
    if (c->left == 0) return vts_valuetask_from_result(0);
    c->left--;
    if (c->left + 1 == c->fail_at) return vts_valuetask_from_error(ERROR_OF_STREAM);
    if (c->every == 0 || c->left % c->every != 0) return vts_valuetask_from_result(1);
    if (vts_source_reset(&c->source, &c->token) != VTS_OK) abort();
    return vts_valuetask_of(&c->source, c->token);
}

static void *countdown_current(vts_stream *self)
{
    return &((countdown *)(void *)self)->left;
}

static vts_valuetask countdown_dispose(vts_stream *self)
{
    ((countdown *)(void *)self)->disposed++;
    return vts_valuetask_from_result(0);
}

static countdown countdown_from(int n, int every)
{
    static const vts_stream_ops ops = {countdown_move_next, countdown_current,
                                       countdown_dispose};
    countdown c;

    memset(&c, 0, sizeof c);
    c.stream.ops = &ops;
    c.left = n;
    c.every = every;
    return c;
}

static void arrives(countdown *c)
{
    assert_code(vts_source_set_result(&c->source, c->token, 1), VTS_OK);
}

static void a_stream_is_read_without_a_coroutine(void)
{
    countdown c = countdown_from(4, 2);
    vts_cancellation_source source = {0};
    vts_cancellation_token cancel = vts_cancellation_token_of(&source);
    vts_valuetask task;
    int sum = 0;

    for (;;) {
        task = vts_stream_move_next(&c.stream, cancel);
        if (is_pending(task)) arrives(&c);
        if (taken(task) != 1) break;
        sum += *(int *)vts_stream_current(&c.stream);
    }
    assert_int_equal(sum, 3 + 2 + 1 + 0);
    assert_ptr_equal(c.cancel.source, &source);
    assert_int_equal(taken(vts_stream_dispose(&c.stream)), 0);
    assert_int_equal(c.disposed, 1);
}

// ----------------------------------------------------------------------------------
// VTS_FOREACH
// ----------------------------------------------------------------------------------

typedef struct reader {
    vts_co co;
    vts_stream *stream, *inner;
    vts_cancellation_token cancel;
    vts_source *pause;
    vts_token token;
    intptr_t rc, inner_rc, awaited;
    int how;
} reader;

enum { PLAIN, BREAK_AT_3, SKIP_ODD, AWAIT_IN_BODY, TRY_IN_BODY, NESTED };

static char digit(vts_stream *stream)
{
    return (char)('0' + *(int *)vts_stream_current(stream));
}

static vts_valuetask linger(reader *r)
{
    if (vts_source_reset(r->pause, &r->token) != VTS_OK) abort();
    return vts_valuetask_of(r->pause, r->token);
}

static vts_step read_all(vts_co *co)
{
    reader *r = VTS_SELF(co, reader);

    VTS_ASYNC(co) {
        VTS_FOREACH(r->rc, r->stream, r->cancel) {
            if (r->how == BREAK_AT_3 && digit(r->stream) == '3') break;
            if (r->how == SKIP_ODD && (digit(r->stream) - '0') % 2 == 1) continue;
            step(digit(r->stream));
            if (r->how == AWAIT_IN_BODY) {
                VTS_AWAIT(r->awaited, linger(r));
                step('w');
            }
            if (r->how == TRY_IN_BODY) VTS_TRY(r->rc, vts_valuetask_from_error(-9));
            if (r->how != NESTED) continue;
            ((countdown *)(void *)r->inner)->left = 3;
            VTS_FOREACH(r->inner_rc, r->inner, r->cancel) {
                if (digit(r->inner) == '0') break;
                step((char)(digit(r->inner) - '0' + 'a'));
            }
            step(r->inner_rc == 1 ? '|' : '?');
        }
        step('.');
    VTS_FINALLY();
        VTS_AWAIT(r->awaited, vts_stream_dispose(r->stream));
    }
    return vts_co_finish(co, r->rc);
}

/* Reads it to the end; its elements arrive as soon as they are waited for. */
static intptr_t read_through(countdown *c, countdown *inner, int how, const char *expected)
{
    vts_source pause_source = {0};
    reader r = {.stream = &c->stream, .how = how, .pause = &pause_source};
    vts_valuetask task;

    if (inner != NULL) r.inner = &inner->stream;
    task = vts_co_start(&r.co, read_all);
    while (is_pending(task)) {
        if (vts_source_set_result(&c->source, c->token, 1) == VTS_OK) continue;
        if (inner != NULL &&
            vts_source_set_result(&inner->source, inner->token, 1) == VTS_OK)
            continue;
        assert_code(vts_source_set_result(&pause_source, r.token, 1), VTS_OK);
    }
    assert_int_equal(c->disposed, 1);
    assert_steps(expected);
    return taken(task);
}

/* At once, every other later, each later. */
static void for_every_pace(int n, int how, const char *expected, intptr_t result)
{
    int every;

    for (every = 0; every <= 2; every++) {
        countdown c = countdown_from(n, every);
        countdown inner = countdown_from(0, every);
        assert_int_equal(read_through(&c, &inner, how, expected), result);
    }
}

static void foreach_runs_the_statement_for_each_element(void)
{
    for_every_pace(5, PLAIN, "43210.", 0);
    for_every_pace(1, PLAIN, "0.", 0);
    for_every_pace(0, PLAIN, ".", 0);
}

static void foreach_is_left_by_break(void)
{
    for_every_pace(6, BREAK_AT_3, "54.", 1);
    for_every_pace(3, BREAK_AT_3, "210.", 0);
}

static void foreach_goes_on_with_continue(void)
{
    for_every_pace(6, SKIP_ODD, "420.", 0);
    for_every_pace(2, SKIP_ODD, "0.", 0);
}

static void foreach_awaits_in_its_statement(void)
{
    for_every_pace(3, AWAIT_IN_BODY, "2w1w0w.", 0);
}

static void a_try_leaves_foreach(void) { for_every_pace(3, TRY_IN_BODY, "2", -9); }

static void foreach_nests(void)
{
    for_every_pace(3, NESTED, "2cb|1cb|0cb|.", 0);
}

static void foreach_ends_with_the_error(void)
{
    int every;

    for (every = 0; every <= 2; every++) {
        countdown c = countdown_from(5, every);
        c.fail_at = 3;
        assert_int_equal(read_through(&c, NULL, PLAIN, "43."), ERROR_OF_STREAM);
    }
}

static vts_step last_statement(vts_co *co)
{
    reader *r = VTS_SELF(co, reader);

    VTS_ASYNC(co) {
        if (r->how == PLAIN)
            VTS_FOREACH(r->rc, r->stream, r->cancel) step(digit(r->stream));
        else
            step('e');
        for (r->awaited = 0; r->awaited < 2; r->awaited++) {
            ((countdown *)(void *)r->stream)->left = 2;
            VTS_FOREACH(r->rc, r->stream, r->cancel) step(digit(r->stream));
        }
    }
    return vts_co_finish(co, r->rc);
}

static void foreach_is_one_statement(void)
{
    countdown c = countdown_from(2, 0);
    reader r = {.stream = &c.stream, .how = PLAIN};

    assert_int_equal(taken(vts_co_start(&r.co, last_statement)), 0);
    assert_steps("101010");
    r.how = NESTED;
    assert_int_equal(taken(vts_co_start(&r.co, last_statement)), 0);
    assert_steps("e1010");
}

// ----------------------------------------------------------------------------------
// Generators
// ----------------------------------------------------------------------------------

typedef struct numbers {
    vts_generator generator;
    vts_source op;
    vts_token token;
    intptr_t rc;
    int i, count, fail_at, line;
    bool waits; /* before each element                                                */
} numbers;

static vts_valuetask wait_for_number(numbers *n)
{
    if (!n->waits) return vts_valuetask_from_result(0);
    if (vts_source_reset(&n->op, &n->token) != VTS_OK) abort();
    return vts_valuetask_of(&n->op, n->token);
}

static vts_step numbers_run(vts_co *co)
{
    numbers *n = VTS_SELF(co, numbers);

    VTS_ASYNC(co) {
        step('<');
        for (n->i = 0; n->i < n->count; n->i++) {
            n->line = __LINE__ + 1;
            VTS_TRY(n->rc, wait_for_number(n));
            if (vts_cancellation_is_requested(n->generator.cancel)) {
                n->rc = VTS_E_CANCELED;
                VTS_LEAVE();
            }
            if (n->i + 1 == n->fail_at) {
                n->rc = ERROR_OF_STREAM;
                VTS_LEAVE();
            }
            VTS_YIELD_RETURN(&n->i);
        }
    VTS_FINALLY();
        step('f');
        VTS_AWAIT(n->count, wait_for_number(n));
        step('>');
    }
    return vts_co_finish(co, n->rc);
}

static void number_comes(numbers *n)
{
    assert_code(vts_source_set_result(&n->op, n->token, 0), VTS_OK);
}

/* The next element of a generator that waits, or not; -1 at the end, or an error. */
static int next_number(numbers *n, vts_stream *stream, vts_cancellation_token cancel)
{
    vts_valuetask task = vts_stream_move_next(stream, cancel);
    intptr_t more;

    if (is_pending(task)) number_comes(n);
    more = taken(task);
    if (more <= 0) assert_null(vts_stream_current(stream));
    if (more == 1) return *(int *)vts_stream_current(stream);
    return more == 0 ? -1 : (int)more;
}

static void a_generator_gives_elements_at_once_or_later(void)
{
    vts_cancellation_token none = vts_cancellation_none();
    int waits, again;

    for (waits = 0; waits < 2; waits++) {
        numbers n = {.waits = waits != 0};
        for (again = 0; again < 2; again++) {
            vts_stream *stream = vts_generator_start(&n.generator, numbers_run);
            n.count = 3;
            assert_steps(""); /* begins with the first move_next */
            assert_int_equal(next_number(&n, stream, none), 0);
            assert_int_equal(next_number(&n, stream, none), 1);
            assert_int_equal(next_number(&n, stream, none), 2);
            assert_steps("<");
            if (n.waits) {
                vts_valuetask last = vts_stream_move_next(stream, none);
                assert_true(is_pending(last));
                assert_steps("f");
                number_comes(&n);
                assert_steps(">");
                assert_int_equal(taken(last), 0);
            }
            assert_int_equal(next_number(&n, stream, none), -1);
            assert_int_equal(next_number(&n, stream, none), -1);
            assert_steps(n.waits ? "" : "f>");
            assert_int_equal(taken(vts_stream_dispose(stream)), 0);
        }
    }
}

static void a_generator_that_is_begun_is_not_started(void)
{
    numbers n = {.count = 2, .waits = true};
    vts_stream *stream = vts_generator_start(&n.generator, numbers_run);
    vts_valuetask task;

    assert_non_null(stream);
    assert_null(vts_generator_start(&n.generator, numbers_run));
    task = vts_stream_move_next(stream, vts_cancellation_none());
    assert_null(vts_generator_start(&n.generator, numbers_run));
    number_comes(&n);
    assert_int_equal(taken(task), 1);
    assert_null(vts_generator_start(&n.generator, numbers_run));
    task = vts_stream_dispose(stream);
    number_comes(&n);
    assert_int_equal(taken(task), 0);
    assert_non_null(vts_generator_start(&n.generator, numbers_run));
    assert_null(vts_generator_start((vts_generator *)NULL, numbers_run));
    assert_null(vts_generator_start(&n.generator, NULL));
    memset(steps, 0, sizeof steps);
}

static void a_rented_frame_is_no_generator(void)
{
    vts_pool_desc desc = vts_co_pool_desc(sizeof(numbers));
    vts_pool pool;
    numbers *n;

    desc.allocator = &test_allocator;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    n = vts_co_rent(&pool, numbers);
    assert_null(vts_generator_start(&n->generator, numbers_run));
    vts_source_abandon(&n->generator.co.source, vts_source_version(&n->generator.co.source));
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void dispose_after_an_element_runs_finally(void)
{
    numbers n = {.count = 5};
    vts_stream *stream = vts_generator_start(&n.generator, numbers_run);
    vts_valuetask task;

    assert_int_equal(next_number(&n, stream, vts_cancellation_none()), 0);
    assert_int_equal(next_number(&n, stream, vts_cancellation_none()), 1);
    assert_steps("<");
    assert_int_equal(taken(vts_stream_dispose(stream)), 0);
    assert_steps("f>");
    assert_int_equal(n.i, 1);
    assert_null(vts_stream_current(stream));
    assert_int_equal(next_number(&n, stream, vts_cancellation_none()), -1);
    assert_int_equal(taken(vts_stream_dispose(stream)), 0);
    assert_steps("");

    n.count = 5; /* and a dispose that has to wait for it */
    n.waits = true;
    stream = vts_generator_start(&n.generator, numbers_run);
    assert_int_equal(next_number(&n, stream, vts_cancellation_none()), 0);
    task = vts_stream_dispose(stream);
    assert_true(is_pending(task));
    assert_steps("<f");
    number_comes(&n);
    assert_steps(">");
    assert_int_equal(taken(task), 0);
}

static void dispose_before_the_first_element_runs_nothing(void)
{
    numbers n = {.count = 5};
    vts_stream *stream = vts_generator_start(&n.generator, numbers_run);

    assert_int_equal(taken(vts_stream_dispose(stream)), 0);
    assert_int_equal(next_number(&n, stream, vts_cancellation_none()), -1);
    assert_steps("");
}

static void one_call_at_a_time(void)
{
    numbers n = {.count = 5, .waits = true};
    vts_stream *stream = vts_generator_start(&n.generator, numbers_run);
    vts_valuetask task = vts_stream_move_next(stream, vts_cancellation_none());

    assert_true(is_pending(task));
    assert_int_equal(taken(vts_stream_dispose(stream)), VTS_E_BUSY);
    assert_int_equal(taken(vts_stream_move_next(stream, vts_cancellation_none())),
                     VTS_E_BUSY);
    number_comes(&n);
    assert_int_equal(taken(task), 1);
    task = vts_stream_dispose(stream);
    assert_int_equal(taken(vts_stream_dispose(stream)), VTS_E_BUSY);
    number_comes(&n);
    assert_int_equal(taken(task), 0);
    assert_steps("<f>");
}

static void note_call(void *arg) { ++*(int *)arg; }

/* While the element's continuation is on its way, the source of the next is in use. */
static void a_call_that_comes_too_early_changes_nothing(void)
{
    numbers n = {.count = 5, .waits = true};
    vts_stream *stream = vts_generator_start(&n.generator, numbers_run);
    vts_cancellation_source source = {0};
    vts_cancellation_token none = vts_cancellation_none();
    vts_valuetask task = vts_stream_move_next(stream, none);
    vts_run_queue queue;
    int ran = 0;

    vts_run_queue_init(&queue, NULL, NULL);
    vts_scheduler_set_current(&queue.scheduler);
    vts_valuetask_on_completed(task, note_call, &ran, VTS_USE_SCHEDULING_CONTEXT);
    vts_scheduler_set_current(NULL);
    number_comes(&n);
    assert_int_equal(taken(vts_stream_move_next(stream, vts_cancellation_token_of(&source))),
                     VTS_E_PENDING);
    assert_int_equal(taken(vts_stream_dispose(stream)), VTS_E_PENDING);
    assert_ptr_equal(vts_stream_current(stream), &n.i);
    assert_int_equal(ran, 0);
    assert_int_equal(vts_run_queue_drain(&queue), 1);
    assert_int_equal(taken(task), 1);
    assert_int_equal(next_number(&n, stream, none), 1);
    task = vts_stream_dispose(stream);
    number_comes(&n);
    assert_int_equal(taken(task), 0);
    assert_steps("<f>");
}

static void an_error_in_a_generator_is_move_nexts(void)
{
    int waits;

    for (waits = 0; waits < 2; waits++) {
        numbers n = {.count = 5, .fail_at = 2, .waits = waits != 0};
        vts_stream *stream = vts_generator_start(&n.generator, numbers_run);
        vts_valuetask task;

        assert_int_equal(next_number(&n, stream, vts_cancellation_none()), 0);
        task = vts_stream_move_next(stream, vts_cancellation_none());
        if (n.waits) number_comes(&n);
        if (n.waits) number_comes(&n);
        assert_true(vts_valuetask_is_faulted(task));
        assert_int_equal(taken(task), ERROR_OF_STREAM);
        assert_null(vts_stream_current(stream));
        assert_int_equal(next_number(&n, stream, vts_cancellation_none()), -1);
        assert_steps("<f>");
    }
}

static void a_generator_sees_the_token_of_each_move_next(void)
{
    numbers n = {.count = 5};
    vts_cancellation_source source = {0};
    vts_stream *stream = vts_generator_start(&n.generator, numbers_run);
    vts_valuetask task;

    assert_int_equal(next_number(&n, stream, vts_cancellation_token_of(&source)), 0);
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_int_equal(next_number(&n, stream, vts_cancellation_none()), 1);
    task = vts_stream_move_next(stream, vts_cancellation_token_of(&source));
    assert_true(vts_valuetask_is_canceled(task));
    assert_int_equal(taken(task), VTS_E_CANCELED);
    assert_steps("<f>");
}

static void foreach_reads_a_generator(void)
{
    int waits;

    for (waits = 0; waits < 2; waits++) {
        numbers n = {.count = 4, .waits = waits != 0};
        reader r = {.stream = vts_generator_start(&n.generator, numbers_run)};
        vts_valuetask task = vts_co_start(&r.co, read_all);
        while (is_pending(task)) number_comes(&n);
        assert_steps("<0123f>.");
        assert_int_equal(taken(task), 0);

        n.count = 9;
        r.stream = vts_generator_start(&n.generator, numbers_run);
        r.how = BREAK_AT_3; /* then read_all disposes */
        task = vts_co_start(&r.co, read_all);
        while (is_pending(task)) number_comes(&n);
        assert_steps("<012.f>");
        assert_int_equal(taken(task), 1);
    }
}

static vts_step forever(vts_co *co)
{
    numbers *n = VTS_SELF(co, numbers);

    VTS_ASYNC(co) {
        for (n->i = 0;; n->i++) {
            VTS_TRY(n->rc, wait_for_number(n));
            VTS_YIELD_RETURN(&n->i);
        }
    }
    return vts_co_finish(co, 0);
}

static vts_step sum_up(vts_co *co)
{
    reader *r = VTS_SELF(co, reader);

    VTS_ASYNC(co) {
        VTS_FOREACH(r->rc, r->stream, r->cancel) {
            r->awaited += 1;
            if (r->awaited == r->how) break;
        }
    }
    return vts_co_finish(co, r->awaited);
}

typedef struct long_iteration {
    intptr_t read;
    unsigned long allocated;
} long_iteration;

static void *iterate_long(void *arg)
{
    long_iteration *out = arg;
    numbers n = {.waits = false};
    reader r = {.stream = vts_generator_start(&n.generator, forever), .how = 200000};
    unsigned long before = allocations();
    vts_valuetask task;

    out->read = taken(vts_co_start(&r.co, sum_up));
    taken(vts_stream_dispose(r.stream));
    n.waits = true;
    r.stream = vts_generator_start(&n.generator, forever);
    r.awaited = 0;
    task = vts_co_start(&r.co, sum_up);
    while (is_pending(task)) vts_source_set_result(&n.op, n.token, 0);
    out->read += taken(task);
    taken(vts_stream_dispose(r.stream));
    out->allocated = allocations() - before;
    return NULL;
}

static void a_long_iteration_takes_no_stack_and_allocates_nothing(void)
{
    long_iteration out = {0, 1};

    test_thread_join(test_thread_start(iterate_long, &out, 256u * 1024));
    assert_int_equal(out.read, 400000);
    assert_int_equal(out.allocated, 0);
}

static void a_dump_leads_through_a_generator(void)
{
    numbers n = {.count = 4, .waits = true};
    reader r = {.stream = vts_generator_start(&n.generator, numbers_run)};
    char text[64], expected[64];

    vts_co_start(&r.co, read_all);
    vts_co_dump(&n.generator.co, text, sizeof text);
    snprintf(expected, sizeof expected, "numbers_run:%d < read_all:%d", n.line, r.co.line);
    assert_string_equal(text, expected);
    assert_true(r.co.line > 0);
    while (r.co.line != VTS_CO_DONE) number_comes(&n);
    assert_steps("<0123f>.");
}

static vts_step yields_after_finally(vts_co *co)
{
    numbers *n = VTS_SELF(co, numbers);

    VTS_ASYNC(co) {
        VTS_YIELD_RETURN(&n->i);
    VTS_FINALLY();
        VTS_YIELD_RETURN(&n->i);
    }
    return vts_co_finish(co, 0);
}

static void tell_trap(void *user, const char *file, int line, const char *text,
                      const vts_co *co)
{
    (void)user;
    (void)file;
    (void)co;
    test_child_exit(line > 0 && strcmp(text, "gives an element after VTS_FINALLY") == 0 ? 77
                                                                                       : 1);
}

static void an_element_after_finally_traps(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        numbers n = {.i = 0};
        vts_stream *stream = vts_generator_start(&n.generator, yields_after_finally);
        vts_set_trap_hook(tell_trap, NULL);
        vts_stream_move_next(stream, vts_cancellation_none());
        vts_stream_dispose(stream);
        _exit(0);
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 77);
}

static const test_case tests[] = {
    TEST(a_stream_is_read_without_a_coroutine),
    TEST(foreach_runs_the_statement_for_each_element),
    TEST(foreach_is_left_by_break),
    TEST(foreach_goes_on_with_continue),
    TEST(foreach_awaits_in_its_statement),
    TEST(a_try_leaves_foreach),
    TEST(foreach_nests),
    TEST(foreach_ends_with_the_error),
    TEST(foreach_is_one_statement),
    TEST(a_generator_gives_elements_at_once_or_later),
    TEST(a_generator_that_is_begun_is_not_started),
    TEST(a_rented_frame_is_no_generator),
    TEST(dispose_after_an_element_runs_finally),
    TEST(dispose_before_the_first_element_runs_nothing),
    TEST(one_call_at_a_time),
    TEST(a_call_that_comes_too_early_changes_nothing),
    TEST(an_error_in_a_generator_is_move_nexts),
    TEST(a_generator_sees_the_token_of_each_move_next),
    TEST(foreach_reads_a_generator),
    TEST(a_long_iteration_takes_no_stack_and_allocates_nothing),
    TEST(a_dump_leads_through_a_generator),
    TEST(an_element_after_finally_traps),
};
TEST_MAIN(tests)
