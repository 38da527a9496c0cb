/* Sources and value tasks: every two calls from two threads over every state, and what
   three threads do to one. Outcomes must be those of a sequential order of the calls.
   With --long three threads do every three calls to every kind of source. */
#define VTS__TOKEN_MASK ((vts_word)0x60) /* three generations: the next one wraps */
#include "tests/explore/shipped.h"

/* A result of several words. */
typedef struct trio {
    long part[3];
} trio;
VTS_DECLARE_VALUETASK(trio, trio);

// ----------------------------------------------------------------------------------
// The source, of six kinds
// ----------------------------------------------------------------------------------

typedef enum kind {
    BARE,
    POOLED,
    BARE_ASYNC,
    POOLED_ASYNC,
    BARE_TYPED,
    POOLED_TYPED,
    KINDS
} kind;
static const char *const kind_name[] = {"bare",         "pooled",     "bare async",
                                        "pooled async", "bare typed", "pooled typed"};

static VTS_POOL_STORAGE(storage, trio_source, 1);
static vts_pool pool;
static trio_source bare; /* of which the others use the core */
static vts_source_ops async_ops;
static vts_run_queue queue;

static kind of;
static vts_source *source;      /* the one of the start state */
static vts_token token, before; /* its operation, and the one before */
static x_word handed;           /* an operation that a thread gave to another */

static bool is_pooled(void)
{
    return of == POOLED || of == POOLED_ASYNC || of == POOLED_TYPED;
}

static bool is_typed(void) { return of == BARE_TYPED || of == POOLED_TYPED; }
static trio_source *typed(void) { return (trio_source *)(void *)source; }
static trio trio_of(long i) { return (trio){{i, 10 * i, 100 * i}}; }

static int set_result(vts_token t, long result)
{
    trio value = trio_of(result);

    if (is_typed()) return trio_set_result(typed(), t, &value);
    return vts_source_set_result(source, t, result);
}

/* Through the handle. */
static int task_get_result(vts_token t, long *result)
{
    trio value = trio_of(0);
    intptr_t word = 0;
    int code;

    if (is_typed()) code = trio_get_result(trio_valuetask_of(typed(), t), &value);
    else code = vts_valuetask_get_result(vts_valuetask_of(source, t), &word);
    *result = is_typed() ? value.part[0] : (long)word;
    x_check(value.part[1] == 10 * value.part[0] && value.part[2] == 100 * value.part[0]);
    return code;
}

/* Of a typed source a word cannot hold the result. */
static int get_result(vts_token t, long *result)
{
    intptr_t word = 0;
    int code = vts_source_get_result(source, t, is_typed() ? NULL : &word);

    *result = (long)word;
    return code;
}

/* What a thread works on: the operation it started last. Only its own. */
typedef struct view {
    vts_token token;
} view;
static view views[X_THREADS];

static view *mine(void) { return &views[x_now]; }

/* A continuation counts that it ran in a sum of its own (0 of the start state, 1 + its
   thread), and what it took in another. */
typedef struct waiter {
    int slot;
    bool takes;
    vts_token token;
} waiter;
static waiter waiters[1 + X_THREADS];
#define TAKEN 8
#define WORKED 7

static void runs(void *arg)
{
    const waiter *w = (const waiter *)arg;
    long result = 0;
    int code;

    x_call();
    x_check(x_count(w->slot, 1) == 1);
    if (!w->takes) return;
    code = task_get_result(w->token, &result);
    x_count(TAKEN + w->slot, code == VTS_OK ? result : code);
}

// ----------------------------------------------------------------------------------
// Calls
// ----------------------------------------------------------------------------------

typedef enum op {
    END, /* of a program */
    SET_RESULT,
    SET_ERROR,
    SET_CANCELED,
    BEGIN,
    END_RESULT,
    GET_STATUS,
    GET_RESULT,
    ON_COMPLETED,
    ON_COMPLETED_TAKE,
    ON_COMPLETED_POSTED,
    UNREGISTER,
    FORGET,
    ABANDON,
    RESET,
    RENT,
    DRAIN,
    STALE_SET_RESULT,
    STALE_GET_RESULT,
    SET_RESULT_DEEP,   /* at the depth limit: the continuation waits on this thread */
    ON_COMPLETED_DEEP,
    TRIPLE_OPS,        /* above: what triples are made of */
    VERSION = TRIPLE_OPS,
    RENT_AWAITED,
    POST,              /* work that has no source */
    IS_EMPTY,
    TASK_GET_STATUS,   /* the rest through the handle */
    TASK_GET_RESULT,
    TASK_ON_COMPLETED,
    TASK_UNREGISTER,
    PAIR_OPS,          /* above: what pairs are made of */
    HAND_OVER = PAIR_OPS, /* the operation to another thread */
    SET_HANDED,        /* which completes it */
    OPS
} op;

static const char *const op_name[] = {
    "",           "set_result",      "set_error",    "set_canceled",
    "begin_end",  "end",             "get_status",   "get_result",
    "await",      "await_take",      "await_posted", "unregister",
    "forget",     "abandon",         "reset",        "rent",
    "drain",      "stale_result",    "stale_get",    "set_result_deep",
    "await_deep", "version",         "rent_awaited", "post",
    "is_empty",   "task_get_status", "task_get",     "task_await",
    "task_unregister", "hand_over",  "set_handed"};

static int do_get_result(op o, vts_token which)
{
    long result;
    int code = o == TASK_GET_RESULT ? task_get_result(which, &result)
                                    : get_result(which, &result);

    x_note("result", result);
    return code;
}

/* Completes or registers where no continuation may run inside another any more. */
static int do_deep(op o)
{
    vts__thread *self = &vts__self;
    waiter *w = &waiters[1 + x_now];
    int code;

    self->depth = VTS__INLINE_LIMIT;
    if (o == SET_RESULT_DEEP) {
        code = set_result(mine()->token, 77);
    } else {
        w->takes = true;
        w->token = mine()->token;
        code = vts_source_on_completed(source, w->token, runs, w, VTS_NONE);
    }
    self->depth = 0;
    x_call();
    vts__trampoline_drain(self);
    return code;
}

static int do_register(op o)
{
    waiter *w = &waiters[1 + x_now];
    unsigned flags = o == ON_COMPLETED_POSTED ? VTS_USE_SCHEDULING_CONTEXT : VTS_NONE;
    int code;

    w->takes = o == ON_COMPLETED_TAKE;
    w->token = mine()->token;
    if (o == ON_COMPLETED_POSTED) vts_scheduler_set_current(&queue.scheduler);
    if (o != TASK_ON_COMPLETED) {
        code = vts_source_on_completed(source, w->token, runs, w, flags);
    } else if (is_typed()) {
        code = trio_on_completed(trio_valuetask_of(typed(), w->token), runs, w, flags);
    } else {
        code = vts_valuetask_on_completed(vts_valuetask_of(source, w->token), runs, w, flags);
    }
    vts_scheduler_set_current(NULL);
    return code;
}

/* Only who has begun may end. The result is written in place where late readers cannot
   look at it meanwhile: of a pooled source. */
static int do_begin(vts_token which)
{
    int code = vts_source_begin_result(source, which);

    if (code != VTS_OK) return code;
    if (of == POOLED_TYPED) typed()->value = trio_of(9);
    x_call();
    x_note("end", vts_source_end_result(source, which));
    return code;
}

static int do_start(op o)
{
    vts_token next = 0;
    int code = VTS_OK;

    if (o == RESET) {
        code = is_typed() ? trio_reset(typed(), &next) : vts_source_reset(source, &next);
    } else if (o == RENT && is_typed()) {
        if (trio_rent(&pool, &next, VTS_HERE) == NULL) code = VTS_E_EXHAUSTED;
    } else if (o == RENT) {
        if (vts_pool_rent(&pool, &next) == NULL) code = VTS_E_EXHAUSTED;
    } else {
        waiter *w = &waiters[1 + x_now];
        w->takes = false;
        if (vts_pool_rent_awaited(&pool, &next, runs, w) == NULL) code = VTS_E_EXHAUSTED;
    }
    x_note("token", (long)(next >> 5));
    if (next != 0) mine()->token = next;
    return code;
}

/* Completes what was handed over, if something was; 1: nothing. */
static int do_set_handed(void)
{
    vts_token t = x_load(&handed, X_ACQ);
    return t != 0 ? vts_source_set_result(source, t, 88) : 1;
}

/* Work of the thread's own. */
static vts_work works[X_THREADS];

static void count_work(vts_work *work)
{
    x_call();
    x_count(WORKED, work != NULL);
}

static int do_post(void)
{
    works[x_now].run = count_work;
    vts_scheduler_post(&queue.scheduler, &works[x_now]);
    return VTS_OK;
}

static int do_task(op o, vts_token t)
{
    if (o == TASK_GET_STATUS) {
        return is_typed() ? trio_get_status(trio_valuetask_of(typed(), t))
                          : vts_valuetask_get_status(vts_valuetask_of(source, t));
    }
    if (o == TASK_UNREGISTER) {
        return is_typed() ? trio_unregister(trio_valuetask_of(typed(), t))
                          : vts_valuetask_unregister(vts_valuetask_of(source, t));
    }
    return is_typed() ? trio_forget(trio_valuetask_of(typed(), t))
                      : vts_valuetask_forget(vts_valuetask_of(source, t));
}

static int do_call(op o)
{
    vts_token t = mine()->token;

    switch (o) {
    case SET_RESULT: return set_result(t, 100 + (long)(t >> 5));
    case SET_ERROR: return vts_source_set_error(source, t, -5);
    case SET_CANCELED: return vts_source_set_canceled(source, t, 0);
    case BEGIN: return do_begin(t);
    case END_RESULT: return vts_source_end_result(source, t);
    case GET_STATUS: return vts_source_get_status(source, t);
    case GET_RESULT:
    case TASK_GET_RESULT: return do_get_result(o, t);
    case ON_COMPLETED:
    case ON_COMPLETED_TAKE:
    case ON_COMPLETED_POSTED:
    case TASK_ON_COMPLETED: return do_register(o);
    case UNREGISTER: return vts_source_unregister(source, t);
    case TASK_GET_STATUS:
    case TASK_UNREGISTER:
    case FORGET: return do_task(o, t);
    case VERSION: return (int)(vts_source_version(source) >> 5);
    case POST: return do_post();
    case IS_EMPTY: return vts_run_queue_is_empty(&queue);
    case ABANDON: return vts_source_abandon(source, t);
    case RESET:
    case RENT:
    case RENT_AWAITED: return do_start(o);
    case DRAIN: return vts_run_queue_drain(&queue);
    case STALE_SET_RESULT: return set_result(before, -1);
    case STALE_GET_RESULT: return do_get_result(o, before);
    case SET_RESULT_DEEP:
    case ON_COMPLETED_DEEP: return do_deep(o);
    case HAND_OVER: x_store(&handed, t, X_REL); return 0;
    case SET_HANDED: return do_set_handed();
    case END:
    case OPS: break;
    }
    return 0;
}

// ----------------------------------------------------------------------------------
// Start states
// ----------------------------------------------------------------------------------

typedef enum state {
    IDLE,
    ARMED,
    AWAITED,
    AWAITED_TAKE,
    AWAITED_POSTED,
    BEGUN,
    BEGUN_AWAITED,
    COMPLETED,
    COMPLETED_AWAITED,
    QUEUED,
    QUEUED_TAKE,
    STATES
} state;
static const char *const state_name[] = {
    "idle",          "armed",     "awaited",           "awaited taking", "awaited posted",
    "begun",         "begun awaited", "completed",     "completed awaited", "queued",
    "queued taking"};

static int registered_before;

static void arm(void)
{
    if (is_pooled()) source = vts_pool_rent(&pool, &token);
    else vts_source_reset(source, &token);
}

static void await(bool takes, bool posted)
{
    registered_before = 1;
    waiters[0].takes = takes;
    waiters[0].token = token;
    if (posted) vts_scheduler_set_current(&queue.scheduler);
    vts_source_on_completed(source, token, runs, &waiters[0],
                            posted ? VTS_USE_SCHEDULING_CONTEXT : VTS_NONE);
    vts_scheduler_set_current(NULL);
}

static void bring_to(state s)
{
    bool posted = s == AWAITED_POSTED || s == QUEUED || s == QUEUED_TAKE;

    if (s == IDLE) vts_source_abandon(source, token);
    if (posted || s == AWAITED || s == AWAITED_TAKE || s == COMPLETED_AWAITED ||
        s == BEGUN_AWAITED) {
        await(s == AWAITED_TAKE || s == QUEUED_TAKE, posted);
    }
    if (s == BEGUN || s == BEGUN_AWAITED) vts_source_begin_result(source, token);
    if (s >= COMPLETED) set_result(token, 42);
    if (s == COMPLETED_AWAITED) vts_run_queue_drain(&queue);
}

// ----------------------------------------------------------------------------------
// A scenario: a program of calls for each thread
// ----------------------------------------------------------------------------------

static state start;
static op program[X_THREADS][8];
static int failures; /* of weak swaps, of each thread */

static void name_all(void)
{
    name_source(source, "source", "word");
    x_name(&source->result, sizeof source->result, "result", NULL);
    if (is_typed()) x_name(&typed()->value, sizeof(trio), "value", NULL);
    x_name(&queue.head, sizeof queue.head, "queue.head", NULL);
    x_name(&queue.draining, sizeof queue.draining, "queue.draining", NULL);
    x_name(&pool.head, sizeof pool.head, "pool.head", NULL);
}

static void setup(void)
{
    vts_pool_desc desc = trio_pool_desc();
    int i;

    forget_threads();
    memset(storage, 0, sizeof storage);
    memset(&bare, 0, sizeof bare);
    handed = 0;
    memset(works, 0, sizeof works);
    vts_run_queue_init(&queue, NULL, NULL);
    if (!is_typed()) desc.value_offset = desc.value_size = 0;
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    if (of == POOLED_ASYNC) desc.run_continuations_asynchronously = &queue.scheduler;
    vts_pool_init(&pool, &desc);
    async_ops = vts_source_ops_of(&queue.scheduler);
    source = &bare.core;
    if (is_typed()) trio_source_init(&bare);
    else vts_source_init(source, of == BARE_ASYNC ? &async_ops : NULL);
    for (i = 0; i <= X_THREADS; i++) waiters[i].slot = i;
    for (i = 0; i < 3; i++) {
        if (i > 0) vts_source_abandon(source, token);
        before = token;
        arm();
    }
    registered_before = 0;
    bring_to(start);
    for (i = 0; i < X_THREADS; i++) views[i].token = token;
    registered_before -= (int)x_count(0, 0); /* that ran already */
    name_all();
}

static void thread(int id)
{
    const op *o;

    for (o = program[id]; *o != END; o++) {
        x_call();
        x_note(op_name[*o], do_call(*o));
    }
}

/* How often threads called o and got code. */
static int called(op o, long code)
{
    int t, i, count = 0;

    for (t = 0; t < X_THREADS; t++) {
        for (i = 0; i < x_result.notes[t]; i++) {
            if (x_result.note[t][i].label != op_name[o]) continue;
            count += x_result.note[t][i].value == code;
        }
    }
    return count;
}

/* Of what was registered, each ran, was taken back, or waits. (What forget registers is
   not counted.) */
static void check_registrations(void)
{
    vts_word word = source->word;
    bool waits = vts__is_open(word) && (word & VTS__WAITER) != 0;
    long count = 0;
    op o;
    int i;

    if (called(FORGET, VTS_OK) > 0) return;
    for (o = ON_COMPLETED; o <= ON_COMPLETED_POSTED; o++) count += called(o, VTS_OK);
    count += called(ON_COMPLETED_DEEP, VTS_OK) + called(TASK_ON_COMPLETED, VTS_OK);
    count += called(RENT_AWAITED, VTS_OK) + registered_before;
    count -= called(UNREGISTER, VTS_OK) + called(TASK_UNREGISTER, VTS_OK);
    for (i = 0; i <= X_THREADS; i++) count -= x_count(i, 0);
    x_check(count == (waits ? 1 : 0));
}

/* Once quiet: the state, what was still queued, and that a source is where it belongs. */
static void finish(void)
{
    x_note("word", (long)source->word);
    x_note("drained", vts_run_queue_drain(&queue));
    x_note("word", (long)source->word);
    check_registrations();
    x_check((source->word & VTS__WAITER) != VTS__REGISTERING);
    x_check((source->word & VTS__WAITER) != VTS__QUEUED);
    x_check(vts__phase(source->word) < VTS__CONSUMING);
    if (is_pooled()) {
        vts_token next = token;
        bool idle = vts__phase(source->word) == VTS__IDLE;
        int taken_back = called(UNREGISTER, VTS_OK) + called(TASK_UNREGISTER, VTS_OK);
        if (called(FORGET, VTS_OK) > taken_back &&
            (source->word & ~VTS__LOW) == token) {
            x_check(!vts__is_done(source->word)); /* it takes what comes */
        }
        x_check(vts_pool_outstanding(&pool) == (idle ? 0 : 1));
        x_check((vts_pool_rent(&pool, &next) == source) == idle);
        x_check(next != 0);
    }
}

/* Whether a sequential order has it but that a continuation was posted instead of run in
   place. */
static bool posted_instead(void)
{
    x_outcome saved = x_result;
    bool found;

    x_result.note[X_THREADS][0].value |= (long)VTS__QUEUED;
    x_result.note[X_THREADS][1].value = 1;
    found = x_is_sequential();
    x_result = saved;
    return found;
}

/* Outcomes that no sequential order has, and that are right. */
static const char *except(void)
{
    if (called(DRAIN, VTS_E_BUSY) > 0) return "one drain at a time";
    if (called(RESET, VTS_E_PENDING) > 0) return "no reset while another call is under way";
    if (called(RENT, VTS_E_EXHAUSTED) + called(RENT_AWAITED, VTS_E_EXHAUSTED) > 0) {
        return "a pinned source is not in the pool";
    }
    if (posted_instead()) return "completed while it was registered";
    if (x_scene->threads > 2 && called(FORGET, VTS_OK) > 0) {
        return "taken before the continuation that forgets";
    }
    return NULL;
}

/* Runs a scenario of up to three programs. */
static void run(const char *name, const op *a, const op *b, const op *c)
{
    x_scenario scenario = {0};
    const op *each[3];
    int i;

    each[0] = a;
    each[1] = b;
    each[2] = c;
    scenario.name = name;
    scenario.setup = setup;
    scenario.thread = thread;
    scenario.finish = finish;
    scenario.except = except;
    scenario.linear = true;
    scenario.spurious = failures;
    for (i = 0; i < 3 && each[i] != NULL && each[i][0] != END; i++) {
        const op *from = each[i];
        op *to = program[i];
        while ((*to++ = *from++) != END) {}
        scenario.threads++;
    }
    x_explore(&scenario);
}

// ----------------------------------------------------------------------------------
// Pairs
// ----------------------------------------------------------------------------------

static bool makes_sense(op o)
{
    if (o == END_RESULT) return start == BEGUN || start == BEGUN_AWAITED;
    if (o == RESET) return !is_pooled();
    if (o == RENT || o == RENT_AWAITED) return is_pooled();
    return true;
}

/* These make one attempt, which must succeed if it can: they need strong swaps. */
static bool needs_strong(op o)
{
    return o == UNREGISTER || o == TASK_UNREGISTER || o == ABANDON || o == DRAIN;
}

/* Only one can end what was begun before. */
static bool fits(op a, op b)
{
    if (failures > 0 && (needs_strong(a) || needs_strong(b))) return false;
    return makes_sense(a) && makes_sense(b) && !(a == END_RESULT && b == END_RESULT);
}

static void pairs(int weak)
{
    const char *swaps = weak > 0 ? ", weak swaps" : "";
    char name[128];
    op a, b;

    failures = weak;
    x_group(NULL);
    for (a = SET_RESULT; a < PAIR_OPS; a++) {
        for (b = a; b < PAIR_OPS; b++) {
            if (!fits(a, b)) continue;
            snprintf(name, sizeof name, "pair, %s, %s%s: %s | %s", kind_name[of],
                     state_name[start], swaps, op_name[a], op_name[b]);
            run(name, (op[]){a, END}, (op[]){b, END}, NULL);
        }
    }
    snprintf(name, sizeof name, "every pair of calls, %s, %s%s", kind_name[of],
             state_name[start], swaps);
    x_group(name);
    failures = 0;
}

static void triples(void)
{
    char name[128];
    op a, b, c;

    x_group(NULL);
    for (a = SET_RESULT; a < TRIPLE_OPS; a++) {
        for (b = a; b < TRIPLE_OPS; b++) {
            for (c = b; fits(a, b) && c < TRIPLE_OPS; c++) {
                if (!fits(b, c)) continue;
                snprintf(name, sizeof name, "triple, %s, %s: %s | %s | %s",
                         kind_name[of], state_name[start], op_name[a], op_name[b],
                         op_name[c]);
                run(name, (op[]){a, END}, (op[]){b, END}, (op[]){c, END});
            }
        }
    }
    snprintf(name, sizeof name, "every three calls, %s, %s", kind_name[of],
             state_name[start]);
    x_group(name);
}

// ----------------------------------------------------------------------------------
// Longer programs
// ----------------------------------------------------------------------------------

typedef struct programs {
    const char *name;
    kind of;
    state start;
    op thread[3][6];
} programs;

static const programs longer[] = {
    {"result, timeout, cancel", BARE, AWAITED, {{SET_RESULT}, {SET_ERROR}, {SET_CANCELED}}},
    {"two registrations and a completion", BARE, ARMED,
     {{ON_COMPLETED}, {ON_COMPLETED_TAKE}, {SET_RESULT}}},
    {"completed, consumed and returned, rented", POOLED, ARMED,
     {{SET_RESULT}, {GET_RESULT, GET_RESULT}, {RENT, SET_RESULT, GET_RESULT}}},
    {"late completers leave the next operation alone", POOLED, ARMED,
     {{SET_RESULT}, {GET_RESULT, RENT, GET_STATUS, GET_RESULT}, {SET_ERROR}}},
    {"late completers leave the next continuation alone", POOLED, ARMED,
     {{SET_RESULT}, {GET_RESULT, RENT, ON_COMPLETED, GET_STATUS}, {SET_ERROR}}},
    {"the completer is gone when the source is rented again", POOLED, AWAITED_TAKE,
     {{SET_RESULT}, {RENT, ON_COMPLETED_TAKE, SET_ERROR}, {SET_CANCELED}}},
    {"consumed while its continuation is queued", POOLED, QUEUED,
     {{DRAIN}, {GET_RESULT}, {RENT, ON_COMPLETED, SET_ERROR}}},
    {"consumed, rented and queued while queued", POOLED, QUEUED,
     {{DRAIN}, {GET_RESULT, RENT, ON_COMPLETED_POSTED, SET_RESULT}, {END}}},
    {"completed, consumed, rented while being queued", POOLED, AWAITED_POSTED,
     {{SET_RESULT}, {GET_RESULT, RENT, ON_COMPLETED_POSTED, SET_RESULT}, {DRAIN}}},
    {"queued from the registration, consumed, rented", POOLED_ASYNC, COMPLETED,
     {{ON_COMPLETED}, {GET_RESULT, RENT, ON_COMPLETED, SET_RESULT}, {DRAIN}}},
    {"waiting on a thread, consumed, rented", POOLED, AWAITED,
     {{SET_RESULT_DEEP}, {GET_RESULT, RENT, ON_COMPLETED}, {SET_RESULT}}},
    {"registered past completion, consumed, rented", POOLED, COMPLETED,
     {{ON_COMPLETED}, {GET_RESULT, RENT, ON_COMPLETED}, {RENT, SET_RESULT}}},
    {"registered again and again", BARE, AWAITED,
     {{UNREGISTER, ON_COMPLETED}, {UNREGISTER, ON_COMPLETED_TAKE}, {SET_RESULT}}},
    {"registered again, posted", POOLED, AWAITED_POSTED,
     {{UNREGISTER, ON_COMPLETED}, {SET_RESULT}, {GET_RESULT, RENT}}},
    {"read while reset and completed again", BARE, COMPLETED,
     {{GET_RESULT, GET_RESULT}, {RESET, SET_RESULT}, {GET_STATUS}}},
    {"read while completed twice", BARE, COMPLETED,
     {{GET_RESULT}, {RESET, SET_ERROR, RESET, SET_RESULT}, {END}}},
    {"reset races with resets", BARE, COMPLETED,
     {{RESET, SET_RESULT}, {RESET, SET_RESULT}, {GET_RESULT}}},
    {"reset after an unregistration", BARE, AWAITED,
     {{SET_RESULT, RESET, ON_COMPLETED}, {UNREGISTER}, {SET_ERROR}}},
    {"abandoned and rented", POOLED, ARMED,
     {{ABANDON, RENT}, {SET_RESULT}, {RENT, SET_RESULT}}},
    {"forgotten and rented", POOLED, ARMED,
     {{FORGET, RENT}, {SET_RESULT, RENT}, {SET_ERROR}}},
    {"rented awaited, handed over, completed", POOLED, IDLE,
     {{RENT_AWAITED, HAND_OVER, GET_RESULT}, {SET_HANDED}, {STALE_SET_RESULT}}},
    {"rented, handed over, awaited, completed", POOLED, IDLE,
     {{RENT, HAND_OVER, ON_COMPLETED_TAKE}, {SET_HANDED, RENT}, {SET_RESULT}}},
    {"rented from one by two", POOLED, ARMED,
     {{ABANDON, RENT, ABANDON}, {RENT, SET_RESULT, GET_RESULT}, {END}}},
};

static void run_longer(void)
{
    size_t i;

    for (i = 0; i < sizeof longer / sizeof longer[0]; i++) {
        const programs *p = &longer[i];
        of = p->of;
        start = p->start;
        run(p->name, p->thread[0], p->thread[1], p->thread[2]);
    }
}

// ----------------------------------------------------------------------------------
// Results of several words
// ----------------------------------------------------------------------------------

static trio_source wide;

static void setup_wide(void)
{
    trio first = trio_of(1);

    forget_threads();
    memset(&wide, 0, sizeof wide);
    trio_source_init(&wide);
    trio_reset(&wide, &token);
    trio_set_result(&wide, token, &first);
    name_source(&wide.core, "wide", "word");
    x_name(&wide.value, sizeof wide.value, "value", NULL);
}

/* One reads the first result, the other starts a second operation meanwhile. */
static void thread_wide(int id)
{
    trio value = trio_of(7);
    vts_token next;
    int code;

    if (id == 0) {
        code = trio_get_result(trio_valuetask_of(&wide, token), &value);
        x_check(code == VTS_OK || code == VTS_E_STALE);
        x_check(value.part[0] == (code == VTS_OK ? 1 : 7));
        x_check(value.part[1] == 10 * value.part[0]);
        x_check(value.part[2] == 100 * value.part[0]);
    } else {
        value = trio_of(2);
        x_check(trio_reset(&wide, &next) == VTS_OK);
        x_check(trio_set_result(&wide, next, &value) == VTS_OK);
    }
}

static void run_wide(void)
{
    x_scenario scenario = {0};

    scenario.name = "a wide result is read whole or not at all";
    scenario.threads = 2;
    scenario.setup = setup_wide;
    scenario.thread = thread_wide;
    x_explore(&scenario);
}

int main(int argc, char **argv)
{
    x_options(argc, argv);
    x_on_switch = switch_self;
    run_wide();
    run_longer();
    for (of = BARE; of < KINDS; of++) {
        for (start = IDLE; start < STATES; start++) {
            pairs(0);
            pairs(1);
            if (of == BARE || of == POOLED || x_option.longer) triples();
        }
    }
    if (!x_option.longer) printf("    --long: every three calls of the other kinds too\n");
    return x_status();
}
