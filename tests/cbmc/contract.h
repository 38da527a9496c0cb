/* What the contracts share: a world in which every word is any word, what a call did to
   it, and the specification of the state word, written anew from vts.h's text. */
#ifndef CONTRACT_H
#define CONTRACT_H

#define VTS_IMPLEMENTATION
#include "vts.h"

#include <limits.h>

/* A contract is a function without arguments; CBMC proves its checks for every value that
   a `nondet_` function may return. */
#define CONTRACT(name) void name(void)
#define check(condition) __CPROVER_assert((condition), #condition)
#define assume(condition) __CPROVER_assume(condition)

bool nondet_bool(void);
int nondet_int(void);
unsigned nondet_unsigned(void);
uint32_t nondet_uint32(void);
size_t nondet_size(void);
vts_word nondet_word(void);

static void *nondet_pointer(void) { return (void *)(uintptr_t)nondet_word(); }

/* ---- the state word ---- */

enum { IDLE, PENDING, COMPLETING, SUCCEEDED, FAULTED, CANCELED, CONSUMING, CONSUMED };
enum { REGISTERING = 8, AWAITED = 16, QUEUED = 24 };

static unsigned phase_of(vts_word word) { return (unsigned)(word % 8); }
static unsigned waiter_of(vts_word word) { return (unsigned)(word % 32 / 8 * 8); }
static vts_token token_of(vts_word word) { return word - word % 32; }

static bool is_open(vts_word word)
{
    return phase_of(word) == PENDING || phase_of(word) == COMPLETING;
}

static bool is_done(vts_word word)
{
    return phase_of(word) == SUCCEEDED || phase_of(word) == FAULTED ||
           phase_of(word) == CANCELED;
}

static bool is_current(vts_word word, vts_token token)
{
    return token_of(word) == token && (is_open(word) || is_done(word));
}

static bool is_pinned(vts_word word)
{
    return waiter_of(word) == REGISTERING || waiter_of(word) == QUEUED;
}

static vts_word with_phase(vts_word word, unsigned phase)
{
    return word - phase_of(word) + phase;
}

static vts_word with_waiter(vts_word word, unsigned waiter)
{
    return word - waiter_of(word) + waiter;
}

/* ---- what was heard ---- */

static struct {
    int old, new;   /* calls of the continuations                                       */
    void *arg;      /* of the last one, and the context it saw                          */
    void *context;
    int posts;
    vts_scheduler *scheduler;
    vts_work *work;
    int misuses;
    int code;
} heard;

static void on_old(void *arg)
{
    heard.old++;
    heard.arg = arg;
    heard.context = vts__self.context;
}

static void on_new(void *arg)
{
    heard.new++;
    heard.arg = arg;
    heard.context = vts__self.context;
}

static void on_post(vts_scheduler *scheduler, vts_work *work)
{
    heard.posts++;
    heard.scheduler = scheduler;
    heard.work = work;
}

static void on_misuse(void *user, int code, const char *text, const void *source,
                      vts_token token)
{
    (void)user;
    (void)text;
    (void)source;
    (void)token;
    heard.misuses++;
    heard.code = code;
}

/* ---- the world ---- */

static vts_scheduler captured_scheduler = {on_post};
static vts_scheduler current_scheduler = {on_post};
static vts_source source, before;
static vts_token token;
static void *ambient; /* the thread's context                                            */
static char a_context;

static void *any_context(void)
{
    if (nondet_bool()) return NULL;
    return nondet_bool() ? (void *)&vts__null_context : (void *)&a_context;
}

/* A bare source in any state, in a thread at that depth; token is any too. */
static void a_world(unsigned depth, vts_scheduler *captured)
{
    vts_set_misuse_hook(on_misuse, NULL);
    ambient = nondet_bool() ? NULL : (void *)&current_scheduler;
    vts__self.context = ambient;
    vts__self.scheduler = nondet_bool() ? NULL : &current_scheduler;
    vts__self.depth = depth;
    source.base.ops = &vts__source_ops;
    source.word = nondet_word();
    source.result = nondet_word();
    source.continuation = on_old;
    source.arg = nondet_pointer();
    source.context = any_context();
    source.work.link.scheduler = captured;
    source.work.run = NULL;
    before = source;
    token = nondet_word();
}

/* The error of a failed operation is what its completer could give. */
static void assume_stored_error(void)
{
    intptr_t result = (intptr_t)source.result;
    bool failed = phase_of(source.word) == FAULTED || phase_of(source.word) == CANCELED;
    assume(!failed || (result < 0 && result >= INT_MIN));
}

/* The body once for each way to dispatch: inline, to a scheduler, at the depth limit. A
   branch each, so that CBMC knows which function a pointer names. */
#define IN_EACH_WORLD(body)                                                            \
    do {                                                                               \
        if (nondet_bool()) {                                                              \
            a_world(0, NULL);                                                          \
            body();                                                                    \
        } else if (nondet_bool()) {                                                       \
            a_world(VTS__INLINE_LIMIT - 1, &captured_scheduler);                       \
            body();                                                                    \
        } else {                                                                       \
            a_world(VTS__INLINE_LIMIT, NULL);                                          \
            body();                                                                    \
        }                                                                              \
    } while (0)

/* ---- what a call may have done ---- */

static bool ran_nothing(void)
{
    return heard.old == 0 && heard.new == 0 && heard.posts == 0 && vts__self.first == NULL;
}

/* What a registration left is as it was; the word and the result may have changed. */
static bool same_registration(void)
{
    return source.base.ops == before.base.ops && source.continuation == before.continuation &&
           source.arg == before.arg && source.context == before.context &&
           source.work.link.scheduler == before.work.link.scheduler &&
           source.work.run == before.work.run;
}

static bool same_source(void)
{
    return source.word == before.word && source.result == before.result &&
           same_registration();
}

/* Nothing at all happened but, for some codes, a report. */
static void check_no_effect(void)
{
    check(same_source());
    check(ran_nothing());
    check(vts__self.context == ambient);
}

static void check_report(int code)
{
    bool misuse = code == VTS_E_STALE || code == VTS_E_NOT_COMPLETED ||
                  code == VTS_E_ALREADY_AWAITED || code == VTS_E_PENDING ||
                  code == VTS_E_DOUBLE_RETURN || code == VTS_E_FOREIGN;
    check(heard.misuses == (misuse ? 1 : 0));
    check(!misuse || heard.code == code);
}

/* The old continuation, dispatched by its completer. */
static void check_dispatched(vts_word done)
{
    bool at_limit = vts__self.depth >= VTS__INLINE_LIMIT;
    vts_scheduler *scheduler = before.work.link.scheduler;

    check(heard.new == 0);
    check(vts__self.context == ambient);
    if (scheduler == NULL && !at_limit) {
        void *flowed = before.context == &vts__null_context ? NULL : before.context;
        check(source.word == done);
        check(heard.old == 1 && heard.posts == 0 && vts__self.first == NULL);
        check(heard.arg == before.arg);
        check(heard.context == (before.context == NULL ? ambient : flowed));
        return;
    }
    check(source.word == with_waiter(done, QUEUED));
    check(source.work.run == vts__source_run);
    check(heard.old == 0 && heard.posts == (scheduler != NULL ? 1 : 0));
    check(scheduler == NULL || (heard.scheduler == scheduler && heard.work == &source.work));
    check(scheduler != NULL ||
          (vts__self.first == &source.work && vts__self.last == &source.work));
}

#endif
