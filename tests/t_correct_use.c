/* Correct use, enforced: what guides to value tasks list as good, as a warning and as bad,
   each a test. Whatever is bad is refused with a code of its own, tells the misuse hook
   what it was, and changes nothing for whoever uses the operation rightly. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#include <sys/wait.h>

#define STALE "stale token: the operation is over, its handle was used or kept too long"
#define ALREADY_AWAITED "already awaited: a continuation is registered for this operation"
#define NOT_COMPLETED "not completed: the result was taken too early"

// ----------------------------------------------------------------------------------
// What is used: operations of a pool of one source, so that each reuses it
// ----------------------------------------------------------------------------------

typedef struct device {
    VTS_POOL_STORAGE(memory, vts_source, 1);
    vts_pool pool;
    vts_source *source; /* of the operation that is pending */
    vts_token token;
} device;

static const char *rented_here; /* where begin rents */

static void device_init(device *d)
{
    vts_pool_desc desc = {0};

    memset(d, 0, sizeof *d);
    desc.storage = d->memory;
    desc.storage_size = sizeof d->memory;
    assert_code(vts_pool_init(&d->pool, &desc), VTS_OK);
}

static vts_valuetask begin(device *d)
{
    d->source = vts_pool_rent(&d->pool, &d->token), rented_here = VTS_HERE;
    if (d->source == NULL) return vts_valuetask_from_error(VTS_E_EXHAUSTED);
    return vts_valuetask_of(d->source, d->token);
}

static void complete(device *d, intptr_t result)
{
    assert_code(vts_source_set_result(d->source, d->token, result), VTS_OK);
}

/* Everything that was rented is back. */
static void device_end(device *d)
{
    assert_int_equal(vts_pool_outstanding(&d->pool), 0);
    assert_code(vts_pool_destroy(&d->pool), VTS_OK);
}

/* The rightful user: awaits its task, takes the result when told to. */
typedef struct user {
    vts_valuetask task;
    int calls, error;
    intptr_t result;
} user;

static void user_goes_on(void *arg)
{
    user *u = arg;

    u->calls++;
    u->error = vts_valuetask_get_result(u->task, &u->result);
}

static int user_awaits(user *u, vts_valuetask task)
{
    memset(u, 0, sizeof *u);
    u->task = task;
    return vts_valuetask_on_completed(task, user_goes_on, u, VTS_NONE);
}

static void assert_user_got(const user *u, intptr_t result)
{
    assert_int_equal(u->calls, 1);
    assert_code(u->error, VTS_OK);
    assert_int_equal(u->result, result);
}

// ----------------------------------------------------------------------------------
// What the misuse hook hears
// ----------------------------------------------------------------------------------

static struct {
    int count, code;
    const char *text;
    const void *source;
} heard;

static void hear(void *arg, int code, const char *text, const void *source, vts_token token)
{
    (void)arg;
    (void)token;
    __atomic_add_fetch(&heard.count, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&heard.code, code, __ATOMIC_RELAXED);
    __atomic_store_n(&heard.text, text, __ATOMIC_RELAXED);
    __atomic_store_n(&heard.source, source, __ATOMIC_RELAXED);
}

static void listen_for_misuse(void)
{
    memset(&heard, 0, sizeof heard);
    vts_set_misuse_hook(hear, NULL);
}

static void forget_what_was_heard(void) { memset(&heard, 0, sizeof heard); }

static void assert_silence(void) { assert_int_equal(heard.count, 0); }

/* One call was refused with this code, and the hook was told so. */
static void assert_refused(int got, int code, const char *text, const void *source)
{
    assert_code(got, code);
    assert_int_equal(heard.count, 1);
    assert_code(heard.code, code);
    assert_string_equal(heard.text, text);
    assert_ptr_equal(heard.source, source);
    forget_what_was_heard();
}

// ----------------------------------------------------------------------------------
// BAD
// ----------------------------------------------------------------------------------

static void bad_awaited_twice(void)
{
    device d;
    user rightful, other;
    vts_valuetask task;

    device_init(&d);
    listen_for_misuse();
    task = begin(&d);
    assert_code(user_awaits(&rightful, task), VTS_OK);
    assert_refused(user_awaits(&other, task), VTS_E_ALREADY_AWAITED, ALREADY_AWAITED,
                   d.source);
    complete(&d, 42);
    assert_user_got(&rightful, 42);
    assert_refused(user_awaits(&other, task), VTS_E_STALE, STALE, d.source);
    assert_int_equal(other.calls, 0);
    device_end(&d);
}

static void bad_result_taken_twice(void)
{
    device d;
    intptr_t result = 0;
    vts_valuetask task;

    device_init(&d);
    listen_for_misuse();
    task = begin(&d);
    complete(&d, 42);
    assert_code(vts_valuetask_get_result(task, &result), VTS_OK);
    assert_refused(vts_valuetask_get_result(task, &result), VTS_E_STALE, STALE, d.source);
    assert_int_equal(result, 42);
    device_end(&d);
}

#define ROUNDS 2000

/* Two threads that do the same with one handle, round by round. */
typedef struct contest {
    pthread_barrier_t barrier;
    vts_valuetask task;
    void (*move)(struct contest *c, int who);
    user users[2];
    int codes[2];
} contest;

static void compete(contest *c, int who)
{
    pthread_barrier_wait(&c->barrier);
    c->move(c, who);
    pthread_barrier_wait(&c->barrier);
}

static void *other_thread(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) compete(arg, 1);
    return NULL;
}

static void await(contest *c, int who)
{
    c->codes[who] = user_awaits(&c->users[who], c->task);
}

static void take(contest *c, int who)
{
    c->codes[who] = vts_valuetask_get_result(c->task, &c->users[who].result);
}

/* Which of the two it was; the other has the code, and the hook was told. */
static int winner_of(contest *c, int code, const char *text)
{
    int winner = c->codes[0] == VTS_OK ? 0 : 1;

    assert_code(c->codes[winner], VTS_OK);
    assert_refused(c->codes[!winner], code, text, c->task.source);
    return winner;
}

static test_thread contest_start(contest *c, void (*move)(contest *c, int who))
{
    memset(c, 0, sizeof *c);
    c->move = move;
    assert_int_equal(pthread_barrier_init(&c->barrier, NULL, 2), 0);
    return test_thread_start(other_thread, c, 0);
}

static void contest_end(contest *c, test_thread other)
{
    test_thread_join(other);
    pthread_barrier_destroy(&c->barrier);
}

static void bad_awaited_from_two_threads(void)
{
    static contest c; /* a failed assert leaves the other thread in it */
    device d;
    test_thread other;
    int won[2] = {0, 0};

    device_init(&d);
    listen_for_misuse();
    other = contest_start(&c, await);
    for (int i = 0; i < ROUNDS; i++) {
        c.task = begin(&d);
        compete(&c, 0);
        int winner = winner_of(&c, VTS_E_ALREADY_AWAITED, ALREADY_AWAITED);
        won[winner]++;
        complete(&d, i);
        assert_user_got(&c.users[winner], i);
        assert_int_equal(c.users[!winner].calls, 0);
    }
    contest_end(&c, other);
    TEST_NOTE("%d and %d won", won[0], won[1]);
    device_end(&d);
}

static void bad_result_taken_by_two_threads(void)
{
    static contest c; /* a failed assert leaves the other thread in it */
    device d;
    test_thread other;

    device_init(&d);
    listen_for_misuse();
    other = contest_start(&c, take);
    for (int i = 0; i < ROUNDS; i++) {
        c.task = begin(&d);
        c.users[0].result = c.users[1].result = -1;
        complete(&d, i);
        compete(&c, 0);
        int winner = winner_of(&c, VTS_E_STALE, STALE);
        assert_int_equal(c.users[winner].result, i);
        assert_int_equal(c.users[!winner].result, -1);
    }
    contest_end(&c, other);
    device_end(&d);
}

/* GetAwaiter().GetResult() of what is pending: it does not block, and takes nothing. */
static void bad_result_taken_early(void)
{
    device d;
    user rightful;
    intptr_t result = -1;
    vts_valuetask task;

    device_init(&d);
    listen_for_misuse();
    task = begin(&d);
    assert_refused(vts_valuetask_get_result(task, &result), VTS_E_NOT_COMPLETED,
                   NOT_COMPLETED, d.source);
    assert_code(user_awaits(&rightful, task), VTS_OK);
    assert_refused(vts_valuetask_get_result(task, &result), VTS_E_NOT_COMPLETED,
                   NOT_COMPLETED, d.source);
    assert_int_equal(result, -1);
    complete(&d, 42);
    assert_user_got(&rightful, 42);
    device_end(&d);
}

/* Every call with a handle whose operation is over. */
static void assert_everything_is_stale(vts_valuetask stored)
{
    vts_valuetask copy = stored;
    vts_task *task = NULL;
    user late;
    intptr_t result = -1;

    assert_refused(vts_valuetask_get_status(stored), VTS_E_STALE, STALE, stored.source);
    assert_refused(vts_valuetask_get_result(stored, &result), VTS_E_STALE, STALE,
                   stored.source);
    assert_refused(user_awaits(&late, stored), VTS_E_STALE, STALE, stored.source);
    assert_refused(vts_valuetask_unregister(stored), VTS_E_STALE, STALE, stored.source);
    assert_refused(vts_valuetask_forget(stored), VTS_E_STALE, STALE, stored.source);
    assert_refused(vts_valuetask_wait(stored, 0), VTS_E_STALE, STALE, stored.source);
    assert_refused(vts_valuetask_as_task(stored, &test_allocator, &task), VTS_E_STALE,
                   STALE, stored.source);
    assert_refused(vts_valuetask_preserve(&copy, &test_allocator, &task), VTS_E_STALE,
                   STALE, stored.source);
    assert_null(task);
    assert_true(vts_valuetask_equals(copy, stored));
    assert_int_equal(result, -1);
    assert_false(vts_valuetask_is_completed(stored));
    assert_false(vts_valuetask_is_completed_successfully(stored));
    forget_what_was_heard();
}

static void bad_stored_in_a_field_and_used_after_it_was_consumed(void)
{
    device d;
    user rightful, next;
    vts_valuetask field;

    device_init(&d);
    listen_for_misuse();
    field = begin(&d);
    assert_code(user_awaits(&rightful, field), VTS_OK);
    complete(&d, 1);
    assert_user_got(&rightful, 1);
    assert_everything_is_stale(field); /* its source is in the pool */
    assert_code(user_awaits(&next, begin(&d)), VTS_OK);
    assert_ptr_equal(next.task.source, field.source);
    assert_everything_is_stale(field); /* and now somebody else's */
    complete(&d, 42);
    assert_user_got(&next, 42);
    device_end(&d);
}

/* ---- by a coroutine: no code to return, so it traps with the file and the line ---- */

typedef struct awaiting {
    vts_co co;
    vts_valuetask task;
    intptr_t first, second;
} awaiting;

static int here; /* the line of the bad await */

/* In a child process: a coroutine that traps does not go on, so nobody does. */
static struct {
    int out;
    device device;
    user rightful;
} child;

static vts_step awaits_once(vts_co *co)
{
    awaiting *a = VTS_SELF(co, awaiting);

    VTS_ASYNC(co) {
        here = __LINE__ + 1;
        VTS_AWAIT(a->first, a->task);
    }
    return vts_co_finish(co, a->first);
}

static vts_step awaits_twice(vts_co *co)
{
    awaiting *a = VTS_SELF(co, awaiting);

    VTS_ASYNC(co) {
        VTS_AWAIT(a->first, a->task);
        user_awaits(&child.rightful, begin(&child.device)); /* of the same source */
        here = __LINE__ + 1;
        VTS_AWAIT(a->second, a->task);
    }
    return vts_co_finish(co, a->second);
}

static void tell_trap(void *arg, const char *file, int line, const char *text,
                      const vts_co *co)
{
    const user *rightful = &child.rightful;
    const char *name = strrchr(file, '/');

    (void)arg;
    vts_source_set_result(child.device.source, child.device.token, 42);
    dprintf(child.out, "%s:%s %s: %s; the rightful user was called %s and got %ld",
            name != NULL ? name + 1 : file, line == here ? "here" : "elsewhere", co->name,
            text, rightful->calls == 1 ? "once" : "not once", (long)rightful->result);
    test_child_exit(0);
}

static const char *trap_of(void (*misuse)(void))
{
    static char text[512];
    int ends[2], status;
    ssize_t size;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        child.out = ends[1];
        device_init(&child.device);
        vts_set_trap_hook(tell_trap, NULL);
        misuse();
        _exit(1); /* it did not trap */
    }
    close(ends[1]);
    size = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    waitpid(pid, &status, 0);
    text[size > 0 ? size : 0] = '\0';
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return text;
}

static void await_what_the_coroutine_has_consumed(void)
{
    static awaiting a;

    a.task = begin(&child.device);
    vts_co_start(&a.co, awaits_twice);
    complete(&child.device, 7);
}

static void await_a_stored_handle(void)
{
    static awaiting a;

    a.task = begin(&child.device);
    complete(&child.device, 7);
    vts_valuetask_get_result(a.task, NULL);
    user_awaits(&child.rightful, begin(&child.device));
    vts_co_start(&a.co, awaits_once);
}

static void await_what_is_awaited(void)
{
    static awaiting a;

    a.task = begin(&child.device);
    user_awaits(&child.rightful, a.task);
    vts_co_start(&a.co, awaits_once);
}

#define RIGHTFUL_GOT_42 "; the rightful user was called once and got 42"

static void bad_awaited_by_a_coroutine_after_it_was_consumed(void)
{
    assert_string_equal(trap_of(await_a_stored_handle),
                        "t_correct_use.c:here awaits_once: " STALE RIGHTFUL_GOT_42);
}

static void bad_awaited_twice_by_a_coroutine(void)
{
    assert_string_equal(trap_of(await_what_the_coroutine_has_consumed),
                        "t_correct_use.c:here awaits_twice: " STALE RIGHTFUL_GOT_42);
    assert_string_equal(
        trap_of(await_what_is_awaited),
        "t_correct_use.c:here awaits_once: " ALREADY_AWAITED RIGHTFUL_GOT_42);
}

// ----------------------------------------------------------------------------------
// WARNING
// ----------------------------------------------------------------------------------

static void note_rented(void *arg, void *item, const char *site)
{
    (void)item;
    *(const char **)arg = site;
}

static void warning_not_awaited_at_all(void)
{
    device d;
    const char *site = NULL;
    vts_valuetask task;

    device_init(&d);
    listen_for_misuse();
    task = begin(&d);
    complete(&d, 42);
    assert_int_equal(vts_pool_list_rented(&d.pool, note_rented, &site), 1);
    assert_string_equal(site, rented_here);
    assert_code(vts_valuetask_get_status(begin(&d)), VTS_FAULTED); /* exhausted */
    assert_code(vts_pool_destroy(&d.pool), VTS_E_BUSY);
    assert_code(vts_valuetask_forget(task), VTS_OK); /* what should have been said */
    assert_int_equal(vts_pool_list_rented(&d.pool, note_rented, &site), 0);
    assert_silence();
    device_end(&d);
}

static void warning_kept_while_the_source_is_reused(void)
{
    vts_source source = {0};
    vts_token first, second;
    user rightful;
    vts_valuetask kept;

    listen_for_misuse();
    assert_code(vts_source_reset(&source, &first), VTS_OK);
    kept = vts_valuetask_of(&source, first);
    assert_code(vts_source_set_result(&source, first, 1), VTS_OK);
    assert_true(vts_valuetask_is_completed(kept));
    assert_code(vts_source_reset(&source, &second), VTS_OK);
    assert_code(user_awaits(&rightful, vts_valuetask_of(&source, second)), VTS_OK);
    assert_everything_is_stale(kept);
    assert_code(vts_source_set_result(&source, first, 666), VTS_E_STALE);
    assert_code(vts_source_set_result(&source, second, 42), VTS_OK);
    assert_user_got(&rightful, 42);
}

static void warning_when_all_over_the_same_handle_twice(void)
{
    device d;
    vts_when when = {0};
    vts_when_entry entries[2] = {0};
    vts_valuetask all;

    device_init(&d);
    listen_for_misuse();
    entries[0].task = entries[1].task = begin(&d);
    all = vts_when_all(&when, entries, 2);
    assert_refused(entries[1].error, VTS_E_ALREADY_AWAITED, ALREADY_AWAITED, d.source);
    assert_int_equal(vts_valuetask_get_status(all), VTS_PENDING);
    complete(&d, 42);
    assert_code(entries[0].error, VTS_OK);
    assert_int_equal(entries[0].result, 42);
    assert_code(vts_valuetask_get_result(all, NULL), VTS_E_ALREADY_AWAITED);
    assert_silence();
    device_end(&d);
}

// ----------------------------------------------------------------------------------
// GOOD: the hook hears nothing
// ----------------------------------------------------------------------------------

static void good_awaited_once_at_once(void)
{
    device d;
    user rightful;

    device_init(&d);
    listen_for_misuse();
    for (int i = 0; i < 3; i++) {
        assert_code(user_awaits(&rightful, begin(&d)), VTS_OK);
        assert_int_equal(rightful.calls, 0);
        complete(&d, i);
        assert_user_got(&rightful, i);
    }
    assert_silence();
    device_end(&d);
}

static void good_awaited_once_by_a_coroutine(void)
{
    device d;
    awaiting a = {0};
    intptr_t result = 0;
    vts_valuetask task;

    device_init(&d);
    listen_for_misuse();
    a.task = begin(&d);
    task = vts_co_start(&a.co, awaits_once);
    assert_int_equal(vts_valuetask_get_status(task), VTS_PENDING);
    complete(&d, 42);
    assert_code(vts_valuetask_get_result(task, &result), VTS_OK);
    assert_int_equal(result, 42);
    assert_silence();
    device_end(&d);
}

static void *wait_for_task(void *arg)
{
    vts_task *task = arg;
    intptr_t result = 0;

    THREAD_CHECK(vts_task_wait(task, vts_after(VTS_SECONDS(60))) == VTS_OK);
    THREAD_CHECK(vts_task_get_result(task, &result) == VTS_OK && result == 42);
    vts_task_release(task);
    return NULL;
}

static void good_made_a_task_then_shared(void)
{
    device d;
    user users[2];
    vts_task *task = NULL;
    test_thread waits;

    device_init(&d);
    listen_for_misuse();
    assert_code(vts_valuetask_as_task(begin(&d), &test_allocator, &task), VTS_OK);
    waits = test_thread_start(wait_for_task, vts_task_retain(task), 0);
    assert_code(user_awaits(&users[0], vts_valuetask_of_task(task)), VTS_OK);
    assert_code(user_awaits(&users[1], vts_valuetask_of_task(task)), VTS_OK);
    complete(&d, 42);
    test_thread_join(waits);
    assert_user_got(&users[0], 42);
    assert_user_got(&users[1], 42);
    assert_silence();
    vts_task_release(task);
    device_end(&d);
}

static void good_preserved_then_awaited_twice(void)
{
    device d;
    user users[3];
    vts_task *owner = NULL;
    vts_valuetask task;

    device_init(&d);
    listen_for_misuse();
    task = begin(&d);
    assert_code(vts_valuetask_preserve(&task, &test_allocator, &owner), VTS_OK);
    assert_code(user_awaits(&users[0], task), VTS_OK);
    assert_code(user_awaits(&users[1], task), VTS_OK);
    complete(&d, 42);
    assert_user_got(&users[0], 42);
    assert_user_got(&users[1], 42);
    assert_code(user_awaits(&users[2], task), VTS_OK); /* also when it is over */
    assert_user_got(&users[2], 42);
    assert_silence();
    vts_task_release(owner);
    device_end(&d);
}

static void take_or_await(user *u, vts_valuetask task)
{
    memset(u, 0, sizeof *u);
    if (vts_valuetask_is_completed_successfully(task)) {
        u->error = vts_valuetask_get_result(task, &u->result);
    } else {
        assert_code(user_awaits(u, task), VTS_OK);
    }
}

static void good_result_taken_if_it_is_there_else_awaited(void)
{
    device d;
    user u;
    vts_valuetask task;

    device_init(&d);
    listen_for_misuse();
    take_or_await(&u, vts_valuetask_from_result(42)); /* there at once: no source */
    assert_int_equal(u.calls, 0);
    assert_int_equal(u.result, 42);
    task = begin(&d);
    complete(&d, 43);
    take_or_await(&u, task);
    assert_int_equal(u.calls, 0);
    assert_int_equal(u.result, 43);
    take_or_await(&u, begin(&d));
    assert_int_equal(u.calls, 0);
    complete(&d, 44);
    assert_user_got(&u, 44);
    assert_silence();
    device_end(&d);
}

static const test_case tests[] = {
    TEST(bad_awaited_twice),
    TEST(bad_result_taken_twice),
    TEST(bad_awaited_from_two_threads),
    TEST(bad_result_taken_by_two_threads),
    TEST(bad_result_taken_early),
    TEST(bad_stored_in_a_field_and_used_after_it_was_consumed),
    TEST(bad_awaited_by_a_coroutine_after_it_was_consumed),
    TEST(bad_awaited_twice_by_a_coroutine),
    TEST(warning_not_awaited_at_all),
    TEST(warning_kept_while_the_source_is_reused),
    TEST(warning_when_all_over_the_same_handle_twice),
    TEST(good_awaited_once_at_once),
    TEST(good_awaited_once_by_a_coroutine),
    TEST(good_made_a_task_then_shared),
    TEST(good_preserved_then_awaited_twice),
    TEST(good_result_taken_if_it_is_there_else_awaited),
};
TEST_MAIN(tests)
