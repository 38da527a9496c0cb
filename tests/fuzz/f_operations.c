/* f_operations.c - sequences of operations on sources, value tasks, pools and a run queue,
   each byte a choice, against a sequential model that knows beforehand what every call
   returns, which continuation runs when and under which context, what is reported as
   misuse, and what is out of the pools. Continuations go on with the same sequence from
   inside the call that runs them, as deep as it takes them.

   The first byte chooses how many bits tokens have: with few of them they wrap around, and
   old handles name new operations. */
#define VTS_IMPLEMENTATION
#include <stdint.h>
static uintptr_t token_mask;
#define VTS__TOKEN_MASK token_mask
#include "vts.h"

#include "fuzz.h"

typedef struct triple {
    intptr_t word[3];
} triple;

VTS_DECLARE_VALUETASK(triple, triple);

enum { BARE = 4, MAX_POOLED = 12, SOURCES = BARE + MAX_POOLED, HANDLES = 16, LOW = 31 };
enum { MAX_QUEUE = 512, MAX_DEPTH = 48, MAX_CALLS = 4000 };

typedef enum phase { GONE, PENDING, COMPLETING, SUCCEEDED, FAULTED, CANCELED } phase;
typedef enum waiter { NOBODY, AWAITED, QUEUED } waiter;

struct record;

/* What the model knows of a source. GONE: no operation is current. */
typedef struct model {
    vts_source *source; /* NULL: a pooled one that was never rented */
    bool pooled, typed, asynchronous, zeroed;
    bool out; /* of the pool */
    vts_token token;
    phase phase;
    waiter waiter;
    intptr_t result;
    struct record *record; /* of the registered continuation */
} model;

/* A continuation to come. A forgotten operation's is vts's own: no call is seen. */
typedef struct record {
    model *of; /* NULL: of a task completed in itself */
    vts_token token;
    void *context; /* that it runs under */
    bool flows, forget, late, posts;
} record;

/* Oldest first. */
typedef struct line {
    record *item[MAX_QUEUE];
    unsigned first, count;
} line;

typedef struct handle {
    vts_valuetask task;
    model *of;
    phase phase; /* of a task completed in itself */
    intptr_t result;
} handle;

/* One run: the world, and the model of it. */
static struct {
    fuzz_input input;
    unsigned calls;
    model source[SOURCES];
    handle handle[HANDLES];
    vts_pool pool;
    vts_pool_desc pool_desc;
    uint32_t capacity, out;
    bool pool_typed, refuse, refused;
    vts_run_queue queue;
    vts_source_ops ops; /* of bare sources that post */
    line posted, drained, trampoline;
    record *now; /* runs inside the present call */
    unsigned depth, late, wakes, expected_wakes;
    bool draining;
    vts_scheduler *scheduler;
    void *context;
    int misuse; /* what is to be reported next */
    record records[MAX_CALLS + 8];
    unsigned record_count;
} w;

static char contexts[4];

static void play(unsigned steps);

// ----------------------------------------------------------------------------------
// The model: what vts keeps to itself
// ----------------------------------------------------------------------------------

static void line_push(line *l, record *r)
{
    FUZZ_CHECK(l->count < MAX_QUEUE);
    l->item[(l->first + l->count++) % MAX_QUEUE] = r;
}

static record *line_pop(line *l)
{
    record *r = l->item[l->first];
    l->first = (l->first + 1) % MAX_QUEUE;
    l->count--;
    return r;
}

static vts_token next_token(vts_token token)
{
    vts_token next = ((token | LOW) + 1) & token_mask;
    return next != 0 ? next : LOW + 1;
}

/* Back to the pool, or idle. */
static void model_end(model *s)
{
    s->phase = GONE;
    if (s->pooled && s->waiter != QUEUED && s->out) {
        s->out = false;
        w.out--;
    }
}

/* A queued continuation begins: nothing keeps the source any more. */
static void model_unpin(model *s)
{
    s->waiter = AWAITED;
    if (s->phase == GONE) model_end(s);
}

/* The result of a forgotten operation is taken. */
static void model_forgotten(const record *r)
{
    model *s = r->of;

    if (s->phase == GONE || s->token != r->token) {
        w.misuse = VTS_E_STALE;
    } else if (s->pooled) {
        model_end(s);
    }
}

static void model_post(record *r)
{
    if (w.posted.count == 0) w.expected_wakes++;
    line_push(&w.posted, r);
}

/* Where the continuation of a completed operation goes. One that was captured for the
   queue is posted by a completer even if the queue is the current scheduler. */
static void model_dispatch(model *s, bool completer)
{
    record *r = s->record;

    if (r->posts && (completer || w.scheduler != &w.queue.scheduler)) {
        s->waiter = QUEUED;
        model_post(r);
    } else if (w.depth >= VTS__INLINE_LIMIT) {
        s->waiter = QUEUED;
        if (r->posts) model_post(r);
        else line_push(&w.trampoline, r);
    } else if (r->forget) {
        model_forgotten(r);
    } else {
        w.now = r;
    }
}

/* What runs next without a call of ours: the trampoline when nothing else is running,
   else what is being drained. */
static line *model_waiting(void)
{
    if (w.depth == 0 && w.trampoline.count > 0) return &w.trampoline;
    if (w.draining && w.depth == 0 && w.drained.count > 0) return &w.drained;
    return NULL;
}

/* Forgotten operations end unseen, between two calls of ours; at most one up to each
   misuse that is reported. */
static void model_settle(void)
{
    line *l;

    while (w.misuse == 0 && (l = model_waiting()) != NULL && l->item[l->first]->forget) {
        record *r = line_pop(l);
        model_unpin(r->of);
        model_forgotten(r);
    }
}

static record *model_record(model *s, unsigned flags)
{
    record *r = &w.records[w.record_count++];

    r->of = s;
    r->flows = (flags & VTS_FLOW_EXECUTION_CONTEXT) != 0;
    r->context = w.context;
    if (s != NULL) r->token = s->token;
    if (s != NULL) r->posts = s->asynchronous;
    if ((flags & VTS_USE_SCHEDULING_CONTEXT) != 0 && w.scheduler != NULL) r->posts = true;
    return r;
}

// ----------------------------------------------------------------------------------
// What the calls hear back
// ----------------------------------------------------------------------------------

static void on_misuse(void *user, int code, const char *text, const void *source,
                      vts_token token)
{
    (void)user;
    (void)source;
    (void)token;
    model_settle();
    FUZZ_CHECK(code == w.misuse);
    FUZZ_CHECK(strcmp(text, vts_strerror(code)) == 0);
    w.misuse = 0;
}

static void on_wake(void *user)
{
    (void)user;
    w.wakes++;
}

/* The model says who it must be. A late one ran through the trampoline: depth 2. */
static void continuation(void *arg)
{
    record *r = (record *)arg;
    void *before = w.context;
    unsigned depth = w.depth;
    line *l;

    model_settle();
    if (w.now != NULL) {
        FUZZ_CHECK(r == w.now);
        w.now = NULL;
    } else {
        l = model_waiting();
        FUZZ_CHECK(l != NULL && line_pop(l) == r);
        if (l == &w.trampoline) w.depth = 1;
        if (r->late) w.late--;
        else model_unpin(r->of);
    }
    FUZZ_CHECK(w.misuse == 0);
    w.depth++;
    if (r->flows) w.context = r->context;
    FUZZ_CHECK(vts_context_current() == w.context);
    play(fuzz_byte(&w.input) % 8);
    if (r->flows) w.context = before;
    w.depth = depth;
}

/* After every call: what was expected has happened. */
static void call_returned(void)
{
    model_settle();
    FUZZ_CHECK(w.now == NULL);
    FUZZ_CHECK(w.depth > 0 || w.trampoline.count == 0);
    FUZZ_CHECK(w.misuse == 0);
    FUZZ_CHECK(w.wakes == w.expected_wakes);
    FUZZ_CHECK(vts_scheduler_current() == w.scheduler);
    FUZZ_CHECK(vts_context_current() == w.context);
}

static int misused(int code)
{
    w.misuse = code;
    return code;
}

// ----------------------------------------------------------------------------------
// Choices
// ----------------------------------------------------------------------------------

/* A source, and a token: mostly its own, or an old, a coming, or a broken one. */
typedef struct choice {
    model *of;
    vts_token token;
    bool current;
    bool by_handle; /* call the value task's function */
    vts_valuetask task;
} choice;

static choice choose(void)
{
    unsigned byte = fuzz_byte(&w.input), how = fuzz_byte(&w.input);
    choice c;

    c.of = &w.source[byte % SOURCES];
    if (c.of->source == NULL) c.of = &w.source[byte % BARE];
    c.token = c.of->token;
    switch (how % 8) {
    case 1: c.token = next_token(c.token); break;
    case 2: c.token -= LOW + 1; break;
    case 3: c.token |= (how / 8) & LOW; break;
    case 4: c.token = 0; break;
    default: break;
    }
    c.current = c.of->phase != GONE && c.token == c.of->token;
    c.by_handle = (how & 128) != 0;
    c.task = vts_valuetask_of(c.of->source, c.token);
    return c;
}

/* Who asks with a wrong token, or of an operation that is over, is told so. */
static int stale(void) { return misused(VTS_E_STALE); }

// ----------------------------------------------------------------------------------
// Operations on a source
// ----------------------------------------------------------------------------------

static int expect_claim(const choice *c)
{
    if (!c->current) return VTS_E_STALE;
    return c->of->phase == PENDING ? VTS_OK : VTS_E_ALREADY_COMPLETED;
}

static void model_complete(model *s, phase how, intptr_t result)
{
    s->phase = how;
    s->result = result;
    if (s->waiter == AWAITED) model_dispatch(s, true);
}

static void do_complete(void)
{
    choice c = choose();
    unsigned how = fuzz_byte(&w.input);
    int value = (int)(how / 4) - 8, expected = expect_claim(&c), actual;
    triple large = {{value, ~value, 7}};

    if (how % 4 == 1 && value >= 0) expected = VTS_E_ARGUMENT;
    if (how % 4 == 2 && value > 0) expected = VTS_E_ARGUMENT;
    if (how % 4 == 3 && !c.of->typed) expected = c.of->zeroed ? VTS_E_STALE : VTS_E_UNSUPPORTED;
    if (expected == VTS_OK) {
        phase to = how % 4 == 1 ? FAULTED : how % 4 == 2 ? CANCELED : SUCCEEDED;
        model_complete(c.of, to, to == CANCELED && value == 0 ? VTS_E_CANCELED : value);
    }
    switch (how % 4) {
    case 1: actual = vts_source_set_error(c.of->source, c.token, value); break;
    case 2: actual = vts_source_set_canceled(c.of->source, c.token, value); break;
    case 3:
        actual = triple_set_result((triple_source *)(void *)c.of->source, c.token, &large);
        break;
    default:
        /* A typed source's value is its own: the word is not it. */
        actual = vts_source_set_result(c.of->source, c.token, value);
        break;
    }
    FUZZ_CHECK(actual == expected);
}

static void do_begin(void)
{
    choice c = choose();
    int expected = expect_claim(&c);

    if (expected == VTS_OK) c.of->phase = COMPLETING;
    FUZZ_CHECK(vts_source_begin_result(c.of->source, c.token) == expected);
}

static void do_end(void)
{
    choice c = choose();
    int expected = c.current && c.of->phase == COMPLETING ? VTS_OK : VTS_E_ARGUMENT;

    if (expected == VTS_OK) {
        vts_word kept = c.of->source->result;
        model_complete(c.of, SUCCEEDED, (intptr_t)kept);
    }
    FUZZ_CHECK(vts_source_end_result(c.of->source, c.token) == expected);
}

static void do_status(void)
{
    static const int status[] = {0, VTS_PENDING, VTS_PENDING, VTS_SUCCEEDED, VTS_FAULTED,
                                 VTS_CANCELED};
    choice c = choose();
    int expected = c.current ? status[c.of->phase] : stale();
    int actual = c.by_handle || c.of->zeroed ? vts_valuetask_get_status(c.task)
                                             : vts_source_get_status(c.of->source, c.token);

    FUZZ_CHECK(actual == expected);
    FUZZ_CHECK(vts_source_version(c.of->source) == c.of->token);
    if (expected < 0) return;
    FUZZ_CHECK(vts_valuetask_is_completed(c.task) == (expected != VTS_PENDING));
    FUZZ_CHECK(vts_valuetask_is_completed_successfully(c.task) == (expected == VTS_SUCCEEDED));
    FUZZ_CHECK(vts_valuetask_is_faulted(c.task) == (expected == VTS_FAULTED));
    FUZZ_CHECK(vts_valuetask_is_canceled(c.task) == (expected == VTS_CANCELED));
}

static void do_on_completed(void)
{
    choice c = choose();
    unsigned flags = fuzz_byte(&w.input);
    vts_continuation run = (flags & 64) != 0 ? NULL : continuation;
    record *r = model_record(c.of, flags);
    int expected = VTS_OK, actual;

    if (run == NULL) expected = VTS_E_ARGUMENT;
    else if (!c.current) expected = stale();
    else if (c.of->waiter != NOBODY) expected = misused(VTS_E_ALREADY_AWAITED);
    if (expected == VTS_OK) {
        c.of->waiter = AWAITED;
        c.of->record = r;
        if (c.of->phase >= SUCCEEDED) model_dispatch(c.of, false);
    }
    if (c.by_handle) actual = vts_valuetask_on_completed(c.task, run, r, flags & 31);
    else actual = vts_source_on_completed(c.of->source, c.token, run, r, flags & 31);
    FUZZ_CHECK(actual == expected);
}

static void do_unregister(void)
{
    choice c = choose();
    int expected, actual;

    if (!c.current) expected = stale();
    else if (c.of->phase == PENDING && c.of->waiter == AWAITED) expected = VTS_OK;
    else expected = VTS_E_NOT_AWAITED;
    if (expected == VTS_OK) c.of->waiter = NOBODY;
    if (c.by_handle) actual = vts_valuetask_unregister(c.task);
    else actual = vts_source_unregister(c.of->source, c.token);
    FUZZ_CHECK(actual == expected);
}

static int expect_result(const choice *c)
{
    if (!c->current) return stale();
    if (c->of->phase < SUCCEEDED) return misused(VTS_E_NOT_COMPLETED);
    return c->of->phase == SUCCEEDED ? VTS_OK : (int)c->of->result;
}

/* Not asked for, or of a typed source: the word stays as it was. */
static void do_get_result(void)
{
    choice c = choose();
    bool wanted = (fuzz_byte(&w.input) & 1) != 0;
    intptr_t value = 4711, *to = wanted ? &value : NULL;
    bool unsupported = wanted && c.of->typed && !c.of->zeroed;
    int expected = unsupported ? VTS_E_UNSUPPORTED : expect_result(&c), actual;
    intptr_t result = c.of->result;

    if (!unsupported && c.of->pooled && c.current && c.of->phase >= SUCCEEDED) model_end(c.of);
    actual = c.by_handle ? vts_valuetask_get_result(c.task, to)
                         : vts_source_get_result(c.of->source, c.token, to);
    FUZZ_CHECK(actual == expected);
    FUZZ_CHECK(value == (wanted && actual == VTS_OK ? result : 4711));
}

static void do_take(void)
{
    choice c = choose();
    triple value = {{1, 2, 3}};
    int expected = expect_result(&c);

    if (c.of->pooled && c.current && c.of->phase >= SUCCEEDED) model_end(c.of);
    FUZZ_CHECK(vts_valuetask_take(c.task, &value) == expected);
    if (!c.of->typed || expected != VTS_OK) FUZZ_CHECK(value.word[1] == 2);
}

static void do_forget(void)
{
    choice c = choose();
    record *r = model_record(c.of, VTS_NONE);
    int expected = VTS_OK;

    r->forget = true;
    if (!c.current) {
        expected = stale();
    } else if (c.of->phase >= SUCCEEDED) {
        if (c.of->pooled) model_end(c.of);
    } else if (c.of->waiter != NOBODY) {
        expected = misused(VTS_E_ALREADY_AWAITED);
    } else {
        c.of->waiter = AWAITED;
        c.of->record = r;
    }
    FUZZ_CHECK(vts_valuetask_forget(c.task) == expected);
}

static void do_abandon(void)
{
    choice c = choose();
    int expected = VTS_OK;

    if (!c.current) expected = stale();
    else if (c.of->phase != PENDING) expected = VTS_E_ALREADY_COMPLETED;
    else if (c.of->waiter != NOBODY) expected = misused(VTS_E_ALREADY_AWAITED);
    if (expected == VTS_OK) model_end(c.of);
    FUZZ_CHECK(vts_source_abandon(c.of->source, c.token) == expected);
}

static void do_reset(void)
{
    choice c = choose();
    model *s = c.of;
    vts_token token = 12345;
    int expected = VTS_OK, actual;

    if (s->pooled) expected = VTS_E_UNSUPPORTED;
    else if (s->phase == PENDING || s->phase == COMPLETING || s->waiter == QUEUED) {
        expected = misused(VTS_E_PENDING);
    }
    if (expected == VTS_OK) {
        s->token = next_token(s->token);
        s->phase = PENDING;
        s->waiter = NOBODY;
        s->zeroed = false;
    }
    actual = s->typed ? triple_reset((triple_source *)(void *)s->source, &token)
                      : vts_source_reset(s->source, &token);
    FUZZ_CHECK(actual == expected);
    FUZZ_CHECK(token == (expected == VTS_OK ? s->token : 12345));
}

// ----------------------------------------------------------------------------------
// Operations on the pool, the queue, the thread, and on tasks completed in themselves
// ----------------------------------------------------------------------------------

static model *model_of(const vts_source *source)
{
    model *s = &w.source[BARE];

    while (s->source != NULL && s->source != source) s++;
    FUZZ_CHECK(s < w.source + BARE + w.capacity);
    return s;
}

/* A source that is not out, with its next token; none if and only if all are out or the
   allocator refused. */
static void do_rent(void)
{
    unsigned flags = fuzz_byte(&w.input);
    record *r = model_record(NULL, VTS_NONE);
    vts_token token = 0;
    vts_source *source;
    model *s;

    w.refused = false;
    if ((flags & 1) != 0) source = vts_pool_rent_awaited(&w.pool, &token, continuation, r);
    else source = vts_pool_rent(&w.pool, &token);
    FUZZ_CHECK((source == NULL) == (w.out == w.capacity || w.refused));
    if (source == NULL) return;
    s = model_of(source);
    FUZZ_CHECK(!s->out && s->phase == GONE && s->waiter != QUEUED);
    FUZZ_CHECK(token == next_token(s->token));
    s->source = source;
    s->pooled = s->out = true;
    s->typed = w.pool_typed;
    s->asynchronous = w.pool_desc.run_continuations_asynchronously != NULL;
    s->token = token;
    s->phase = PENDING;
    s->waiter = (flags & 1) != 0 ? AWAITED : NOBODY;
    s->record = r;
    r->of = s;
    r->token = token;
    r->posts = s->asynchronous;
    w.out++;
}

static void do_pool(void)
{
    unsigned byte = fuzz_byte(&w.input);
    model *s = &w.source[BARE + byte / 8 % MAX_POOLED];
    int foreign;

    FUZZ_CHECK(vts_pool_outstanding(&w.pool) == w.out);
    FUZZ_CHECK(vts_pool_get(&w.pool) == NULL);
    FUZZ_CHECK(vts_pool_put(&w.pool, NULL) == VTS_E_ARGUMENT);
    if (w.out > 0) FUZZ_CHECK(vts_pool_destroy(&w.pool) == VTS_E_BUSY);
    if ((byte & 1) != 0) {
        w.misuse = VTS_E_FOREIGN;
        FUZZ_CHECK(vts_pool_put(&w.pool, &foreign) == VTS_E_FOREIGN);
    }
    if (s->source == NULL) return;
    FUZZ_CHECK(vts_pool_put(&w.pool, s->source) == VTS_E_ARGUMENT);
    if ((byte & 2) == 0) return;
    w.misuse = VTS_E_FOREIGN;
    FUZZ_CHECK(vts_pool_put(&w.pool, (char *)s->source + 8) == VTS_E_FOREIGN);
}

static void do_drain(void)
{
    unsigned count = w.posted.count;
    vts_scheduler *before = w.scheduler;
    int actual;

    if (w.draining) {
        FUZZ_CHECK(vts_run_queue_drain(&w.queue) == VTS_E_BUSY);
        return;
    }
    if (w.depth > 0) return; /* the model's order of what waits is that of depth 0 */
    w.drained = w.posted;
    w.posted.count = 0;
    w.draining = true;
    w.scheduler = &w.queue.scheduler;
    actual = vts_run_queue_drain(&w.queue);
    model_settle();
    FUZZ_CHECK(actual == (int)count && w.drained.count == 0);
    w.draining = false;
    w.scheduler = before;
    FUZZ_CHECK(vts_run_queue_is_empty(&w.queue) == (w.posted.count == 0));
}

static void do_surroundings(void)
{
    unsigned byte = fuzz_byte(&w.input);

    if ((byte & 1) != 0) {
        vts_scheduler *to = (byte & 2) != 0 ? &w.queue.scheduler : NULL;
        FUZZ_CHECK(vts_scheduler_set_current(to) == w.scheduler);
        w.scheduler = to;
    }
    if ((byte & 4) != 0) {
        void *to = (byte & 8) != 0 ? &contexts[byte / 16 % 4] : NULL;
        FUZZ_CHECK(vts_context_set_current(to) == w.context);
        w.context = to;
    }
    if ((byte & 128) != 0) w.refuse = (byte & 64) != 0;
}

static handle *choose_handle(void)
{
    return &w.handle[fuzz_byte(&w.input) % HANDLES];
}

static void do_make(void)
{
    handle *h = choose_handle();
    unsigned byte = fuzz_byte(&w.input);
    int value = (int)(byte / 4) - 8;

    h->phase = byte % 4 == 1 ? FAULTED : byte % 4 == 2 ? CANCELED : SUCCEEDED;
    h->result = value;
    if (h->phase == SUCCEEDED) {
        h->task = vts_valuetask_from_result(value);
        return;
    }
    if (h->phase == FAULTED) h->task = vts_valuetask_from_error(value);
    else h->task = vts_valuetask_from_canceled(value);
    if (h->phase == CANCELED && value == 0) h->result = VTS_E_CANCELED;
    if (h->result >= 0) {
        h->phase = FAULTED;
        h->result = VTS_E_ARGUMENT;
    }
}

/* Completed in itself: for ever the same answers. */
static void do_ask(void)
{
    const handle *h = choose_handle();
    intptr_t value = 4711;
    int error = h->phase == SUCCEEDED ? VTS_OK : (int)h->result;

    FUZZ_CHECK(vts_valuetask_get_status(h->task) == (int)h->phase - SUCCEEDED + VTS_SUCCEEDED);
    FUZZ_CHECK(vts_valuetask_is_completed(h->task));
    FUZZ_CHECK(vts_valuetask_get_result(h->task, &value) == error);
    FUZZ_CHECK(value == (error == VTS_OK ? h->result : 4711));
    FUZZ_CHECK(vts_valuetask_unregister(h->task) == VTS_E_NOT_AWAITED);
    FUZZ_CHECK(vts_valuetask_forget(h->task) == VTS_OK);
}

/* Runs at once, or at the depth limit later, while one of the few places is free. */
static void do_continue(void)
{
    const handle *h = choose_handle();
    unsigned flags = fuzz_byte(&w.input) & 3;
    record *r = model_record(NULL, flags);

    if (w.depth >= VTS__INLINE_LIMIT && w.late < VTS__LATE_COUNT) {
        r->late = true;
        w.late++;
        line_push(&w.trampoline, r);
    } else if (w.depth < MAX_DEPTH) {
        w.now = r;
    } else {
        return;
    }
    FUZZ_CHECK(vts_valuetask_on_completed(h->task, continuation, r, flags) == VTS_OK);
}

// ----------------------------------------------------------------------------------
// The world
// ----------------------------------------------------------------------------------

static void play(unsigned steps)
{
    static void (*const operation[])(void) = {
        do_rent,   do_complete,     do_on_completed, do_get_result, do_reset,        do_status,
        do_forget, do_unregister,   do_abandon,      do_begin,      do_end,          do_drain,
        do_pool,   do_surroundings, do_make,         do_continue,   do_complete,     do_take,
        do_ask,    do_get_result,   do_rent,         do_reset,      do_on_completed, do_continue};

    for (; steps > 0 && w.input.at < w.input.size && w.calls < MAX_CALLS; steps--) {
        unsigned which = fuzz_byte(&w.input);
        w.calls++;
        operation[which % (sizeof operation / sizeof operation[0])]();
        call_returned();
    }
}

static void *world_alloc(void *user, size_t size)
{
    (void)user;
    w.refused = w.refuse;
    return w.refuse ? NULL : malloc(size);
}

static void world_free(void *user, void *memory, size_t size)
{
    (void)user;
    (void)size;
    free(memory);
}

static const vts_allocator world_allocator = {world_alloc, world_free, NULL};

/* Over storage or growing, of words or of triples, with or without caches. */
static void make_pool(unsigned byte)
{
    static VTS_POOL_STORAGE(storage, triple_source, MAX_POOLED);
    vts_pool_desc *desc = &w.pool_desc;

    w.pool_typed = (byte & 1) != 0;
    if (w.pool_typed) *desc = triple_pool_desc();
    w.capacity = 1 + byte / 32 % 8;
    desc->capacity = w.capacity;
    desc->allocator = &world_allocator;
    desc->cache = (byte & 4) != 0 ? 2 : -1;
    if ((byte & 8) != 0) desc->run_continuations_asynchronously = &w.queue.scheduler;
    if ((byte & 2) != 0) {
        desc->storage = storage;
        desc->storage_size = sizeof storage;
    } else {
        desc->first = 1u << (byte / 16 % 2);
    }
    FUZZ_CHECK(vts_pool_init(&w.pool, desc) == VTS_OK);
}

/* Four bare sources: a usual one, one that posts, one of triples, one of zeros. */
static void make_sources(void)
{
    static vts_source bare[BARE];
    static triple_source large;
    int i;

    memset(bare, 0, sizeof bare);
    memset(&large, 0, sizeof large);
    for (i = 0; i < BARE; i++) w.source[i].source = &bare[i];
    vts_source_init(&bare[0], NULL);
    w.ops = vts_source_ops_of(&w.queue.scheduler);
    vts_source_init(&bare[1], &w.ops);
    w.source[1].asynchronous = true;
    triple_source_init(&large);
    w.source[2].source = &large.core;
    w.source[2].typed = true;
    w.source[3].zeroed = true;
}

/* Whatever is under way is brought to its end: then nothing is out any more. */
static void finish(void)
{
    int i;

    w.input.size = w.input.at;
    w.calls = 0;
    for (i = 0; i < SOURCES; i++) {
        model *s = &w.source[i];
        if (s->phase == PENDING) {
            model_complete(s, CANCELED, VTS_E_CANCELED);
            FUZZ_CHECK(vts_source_set_canceled(s->source, s->token, 0) == VTS_OK);
        } else if (s->phase == COMPLETING) {
            model_complete(s, SUCCEEDED, (intptr_t)s->source->result);
            FUZZ_CHECK(vts_source_end_result(s->source, s->token) == VTS_OK);
        }
        call_returned();
        if (s->phase == GONE || !s->pooled) continue;
        model_end(s);
        (void)vts_source_get_result(s->source, s->token, NULL);
        call_returned();
    }
    do_drain();
    call_returned();
    FUZZ_CHECK(w.out == 0 && vts_pool_outstanding(&w.pool) == 0);
    FUZZ_CHECK(vts_pool_destroy(&w.pool) == VTS_OK);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
    static const uintptr_t masks[] = {~(uintptr_t)LOW, 0x60, 0xe0, 0x20};

    memset(&w, 0, sizeof w);
    w.input.data = data;
    w.input.size = size;
    token_mask = masks[fuzz_byte(&w.input) % 4];
    vts_run_queue_init(&w.queue, on_wake, NULL);
    vts_set_misuse_hook(on_misuse, NULL);
    vts_scheduler_set_current(NULL);
    vts_context_set_current(NULL);
    make_pool(fuzz_byte(&w.input));
    make_sources();
    for (size = 0; size < HANDLES; size++) w.handle[size].phase = SUCCEEDED;
    play(MAX_CALLS);
    finish();
}

FUZZ_TARGET(fuzz_one)
