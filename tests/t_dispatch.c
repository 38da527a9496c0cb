/* Where continuations run: inline, past the depth limit, on schedulers, in a run queue;
   and under which context. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#define LIMIT ((int)VTS__INLINE_LIMIT)

static void count(void *arg) { ++*(int *)arg; }

typedef struct operation {
    vts_source source;
    vts_token token;
} operation;

static void start(operation *op, const vts_source_ops *ops)
{
    vts_source_init(&op->source, ops);
    assert_code(vts_source_reset(&op->source, &op->token), VTS_OK);
}

static void await(operation *op, vts_continuation continuation, void *arg,
                  unsigned flags)
{
    assert_code(
        vts_source_on_completed(&op->source, op->token, continuation, arg, flags),
        VTS_OK);
}

static void complete(operation *op)
{
    assert_code(vts_source_set_result(&op->source, op->token, 1), VTS_OK);
}

// ----------------------------------------------------------------------------------
// Inline
// ----------------------------------------------------------------------------------

static void a_continuation_runs_inside_the_completing_call(void)
{
    operation op;
    int ran = 0;

    start(&op, NULL);
    await(&op, count, &ran, 0);
    assert_int_equal(ran, 0);
    complete(&op);
    assert_int_equal(ran, 1);
}

static void d05_a_late_registration_runs_before_the_call_returns(void)
{
    operation op;
    int ran = 0;

    start(&op, NULL);
    complete(&op);
    await(&op, count, &ran, 0);
    assert_int_equal(ran, 1);
}

typedef struct where {
    pthread_t thread;
    vts_scheduler *scheduler;
    void *context;
    int runs;
} where;

static void note_where(void *arg)
{
    where *w = (where *)arg;
    w->thread = pthread_self();
    w->scheduler = vts_scheduler_current();
    w->context = vts_context_current();
    w->runs++;
}

static void *complete_on_thread(void *arg)
{
    operation *op = (operation *)arg;
    THREAD_CHECK(vts_source_set_result(&op->source, op->token, 1) == VTS_OK);
    return NULL;
}

static void a_continuation_runs_on_the_completing_thread(void)
{
    operation op;
    where w = {0};
    test_thread thread;

    start(&op, NULL);
    await(&op, note_where, &w, 0);
    thread = test_thread_start(complete_on_thread, &op, 0);
    test_thread_join(thread);
    assert_int_equal(w.runs, 1);
    assert_true(pthread_equal(w.thread, thread.id) != 0);
}

// ----------------------------------------------------------------------------------
// Depth
// ----------------------------------------------------------------------------------

/* Completes the next operation of a chain; notes the deepest nesting. */
typedef struct chain {
    operation *op;
    int at, length;
    int depth, deepest;
} chain;

static void enter(chain *c)
{
    if (++c->depth > c->deepest) c->deepest = c->depth;
}

static void complete_next(void *arg)
{
    chain *c = (chain *)arg;

    enter(c);
    if (++c->at < c->length) complete(&c->op[c->at]);
    c->depth--;
}

static void a_chain_of_completions_nests_to_the_limit_and_no_deeper(void)
{
    static operation op[200];
    int length;

    for (length = 1; length <= 200; length += 1 + length / 8) {
        chain c = {op, 0, length, 0, 0};
        int i;
        for (i = 0; i < length; i++) {
            start(&op[i], NULL);
            await(&op[i], complete_next, &c, 0);
        }
        complete(&op[0]);
        assert_int_equal(c.at, length);
        assert_int_equal(c.deepest, length < LIMIT ? length : LIMIT);
    }
}

static void await_completed_next(void *arg)
{
    chain *c = (chain *)arg;

    enter(c);
    if (++c->at < c->length) await(&c->op[c->at], await_completed_next, c, 0);
    c->depth--;
}

static void a_chain_of_late_registrations_nests_to_the_limit_and_no_deeper(void)
{
    static operation op[200];
    chain c = {op, 0, 200, 0, 0};
    int i;

    for (i = 0; i < 200; i++) {
        start(&op[i], NULL);
        complete(&op[i]);
    }
    await(&op[0], await_completed_next, &c, 0);
    assert_int_equal(c.at, 200);
    assert_int_equal(c.deepest, LIMIT);
}

/* A value task that was completed from the start, of one kind or the other. */
static vts_valuetask completed_task(int which)
{
    return which % 2 == 0 ? vts_valuetask_from_result(which)
                          : vts_valuetask_from_error(-1);
}

static void await_value_next(void *arg)
{
    chain *c = (chain *)arg;

    enter(c);
    if (++c->at < c->length) {
        int error =
            vts_valuetask_on_completed(completed_task(c->at), await_value_next, c, 0);
        THREAD_CHECK(error == VTS_OK);
    }
    c->depth--;
}

static void a_chain_of_completed_handles_nests_to_the_limit_and_no_deeper(void)
{
    chain c = {NULL, 0, 1000, 0, 0};

    assert_code(vts_valuetask_on_completed(completed_task(0), await_value_next, &c, 0),
                VTS_OK);
    assert_int_equal(c.at, 1000);
    assert_int_equal(c.deepest, LIMIT);
}

/* Every continuation awaits two completed handles: more than the thread has places. */
static void fan_out(void *arg)
{
    chain *c = (chain *)arg;

    enter(c);
    if (c->at < c->length) {
        c->at += 2;
        vts_valuetask_on_completed(completed_task(0), fan_out, c, 0);
        vts_valuetask_on_completed(completed_task(1), fan_out, c, 0);
    }
    c->depth--;
}

static void run_continuation_refuses_null(void)
{
    assert_code(vts_run_continuation(NULL, NULL, 0), VTS_E_ARGUMENT);
}

static void a_fan_of_completed_handles_runs_every_one(void)
{
    chain c = {NULL, 0, 4000, 0, 0};
    int ran = 0, i;

    fan_out(&c);
    assert_int_equal(c.at, 4000);
    for (i = 0; i < 100; i++) {
        assert_code(vts_valuetask_on_completed(completed_task(i), count, &ran, 0),
                    VTS_OK);
    }
    assert_int_equal(ran, 100);
}

/* Goes down to the limit by completed handles, then calls. */
typedef struct diver {
    int left;
    void (*at_limit)(void *arg);
    void *arg;
} diver;

static void dive(void *arg)
{
    diver *d = (diver *)arg;

    if (--d->left > 0) {
        assert_code(vts_valuetask_on_completed(completed_task(0), dive, d, 0), VTS_OK);
    } else {
        d->at_limit(d->arg);
    }
}

static void at_limit(void (*call)(void *arg), void *arg)
{
    diver d = {LIMIT, call, arg};
    assert_code(vts_valuetask_on_completed(completed_task(0), dive, &d, 0), VTS_OK);
}

/* At the limit: nothing that is completed or registered there runs at once. */
typedef struct limited {
    operation op[30];
    int order[30], ran;
} limited;

typedef struct numbered {
    limited *all;
    int number;
} numbered;

static void note_order(void *arg)
{
    numbered *n = (numbered *)arg;
    n->all->order[n->all->ran++] = n->number;
}

static numbered number_of[30];

static void queue_in_all_ways(void *arg)
{
    limited *all = (limited *)arg;
    int i;

    for (i = 0; i < 30; i++) {
        number_of[i].all = all;
        number_of[i].number = i;
        if (i < 10 || i >= 14) start(&all->op[i], NULL);
        if (i < 10) {
            await(&all->op[i], note_order, &number_of[i], 0);
            complete(&all->op[i]);
        } else if (i < 14) {
            assert_code(vts_valuetask_on_completed(completed_task(i), note_order,
                                                   &number_of[i], 0),
                        VTS_OK);
        } else {
            complete(&all->op[i]);
            await(&all->op[i], note_order, &number_of[i], 0);
        }
    }
    assert_int_equal(all->ran, 0);
}

static void what_waits_at_the_limit_runs_in_order_once_the_outermost_returns(void)
{
    static limited all;
    int i;

    memset(&all, 0, sizeof all);
    at_limit(queue_in_all_ways, &all);
    assert_int_equal(all.ran, 30);
    for (i = 0; i < 30; i++) assert_int_equal(all.order[i], i);
}

/* Past the thread's few places a completed handle runs at once rather than be lost. */
static void await_many_handles(void *arg)
{
    int i;
    for (i = 0; i < 50; i++) {
        assert_code(vts_valuetask_on_completed(completed_task(i), count, arg, 0),
                    VTS_OK);
    }
}

static void more_completed_handles_than_places_all_run(void)
{
    int ran = 0, round;

    for (round = 1; round <= 3; round++) {
        at_limit(await_many_handles, &ran);
        assert_int_equal(ran, 50 * round);
    }
}

#define MILLION 1000000

/* One source, reset and completed again from its own continuation: a million times. */
typedef struct loop {
    operation op;
    int left;
    bool late; /* complete before registering */
} loop;

static void go_round(void *arg)
{
    loop *l = (loop *)arg;

    if (--l->left <= 0) return;
    THREAD_CHECK(vts_source_get_result(&l->op.source, l->op.token, NULL) == VTS_OK);
    THREAD_CHECK(vts_source_reset(&l->op.source, &l->op.token) == VTS_OK);
    if (l->late) vts_source_set_result(&l->op.source, l->op.token, 1);
    THREAD_CHECK(vts_source_on_completed(&l->op.source, l->op.token, go_round, l, 0) ==
                 0);
    if (!l->late) vts_source_set_result(&l->op.source, l->op.token, 1);
}

static void *loop_on_thread(void *arg)
{
    loop *l = (loop *)arg;

    vts_source_init(&l->op.source, NULL);
    THREAD_CHECK(vts_source_reset(&l->op.source, &l->op.token) == VTS_OK);
    vts_source_on_completed(&l->op.source, l->op.token, go_round, l, 0);
    vts_source_set_result(&l->op.source, l->op.token, 1);
    return NULL;
}

#define SMALL_STACK (64 * 1024)

static void a_million_completions_need_no_stack(void)
{
    loop l = {.left = MILLION, .late = false};

    test_thread_join(test_thread_start(loop_on_thread, &l, SMALL_STACK));
    assert_threads_passed();
    assert_int_equal(l.left, 0);
}

static void a_million_late_registrations_need_no_stack(void)
{
    loop l = {.left = MILLION, .late = true};

    test_thread_join(test_thread_start(loop_on_thread, &l, SMALL_STACK));
    assert_threads_passed();
    assert_int_equal(l.left, 0);
}

static void *values_on_thread(void *arg)
{
    THREAD_CHECK(vts_valuetask_on_completed(completed_task(0), await_value_next, arg,
                                            0) == VTS_OK);
    return NULL;
}

static void a_million_completed_handles_need_no_stack(void)
{
    chain c = {NULL, 0, MILLION, 0, 0};

    test_thread_join(test_thread_start(values_on_thread, &c, SMALL_STACK));
    assert_threads_passed();
    assert_int_equal(c.at, MILLION);
    assert_int_equal(c.deepest, LIMIT);
}

/* A pool of two sources carries a chain of any length past the limit: each that waited
   comes back before the next is needed. */
typedef struct relay {
    vts_pool *pool;
    vts_source *source;
    vts_token token;
    int left;
} relay;

static void pass_on(void *arg)
{
    relay *r = (relay *)arg;
    vts_source *source = r->source;
    vts_token token = r->token;

    assert_code(vts_source_get_result(source, token, NULL), VTS_OK);
    if (--r->left == 0) return;
    r->source = vts_pool_rent(r->pool, &r->token);
    assert_non_null(r->source);
    source = r->source;
    token = r->token;
    assert_code(vts_source_on_completed(source, token, pass_on, r, 0), VTS_OK);
    assert_code(vts_source_set_result(source, token, 1), VTS_OK);
}

static void a_chain_through_the_limit_recycles_its_sources(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 2);
    vts_pool pool;
    vts_pool_desc desc = {0};
    relay r = {&pool, NULL, 0, 10000};

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    r.source = vts_pool_rent(&pool, &r.token);
    assert_code(vts_source_on_completed(r.source, r.token, pass_on, &r, 0), VTS_OK);
    assert_code(vts_source_set_result(r.source, r.token, 1), VTS_OK);
    assert_int_equal(r.left, 0);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

// ----------------------------------------------------------------------------------
// Schedulers
// ----------------------------------------------------------------------------------

/* Keeps what is posted. */
typedef struct keeper {
    vts_scheduler scheduler;
    vts_work *work[8];
    int posts;
} keeper;

static void keep(vts_scheduler *self, vts_work *work)
{
    keeper *k = (keeper *)(void *)self;
    k->work[k->posts++] = work;
}

static void run_kept(keeper *k)
{
    int i;
    for (i = 0; i < k->posts; i++) k->work[i]->run(k->work[i]);
    k->posts = 0;
}

static void post_inline(vts_scheduler *self, vts_work *work)
{
    (void)self;
    work->run(work);
}

static void the_scheduler_of_registration_is_used_if_asked_for(void)
{
    keeper mine = {{keep}, {NULL}, 0}, other = {{keep}, {NULL}, 0};
    operation op;
    int ran = 0;

    start(&op, NULL);
    vts_scheduler_set_current(&mine.scheduler);
    await(&op, count, &ran, VTS_USE_SCHEDULING_CONTEXT);
    vts_scheduler_set_current(&other.scheduler);
    complete(&op);
    assert_int_equal(mine.posts, 1);
    assert_int_equal(other.posts, 0);
    assert_int_equal(ran, 0);
    run_kept(&mine);
    assert_int_equal(ran, 1);
}

static void the_scheduler_is_ignored_if_not_asked_for(void)
{
    keeper mine = {{keep}, {NULL}, 0};
    operation op;
    int ran = 0;

    start(&op, NULL);
    vts_scheduler_set_current(&mine.scheduler);
    await(&op, count, &ran, VTS_FLOW_EXECUTION_CONTEXT);
    complete(&op);
    assert_int_equal(mine.posts, 0);
    assert_int_equal(ran, 1);
}

static void a_captured_scheduler_is_posted_to_from_itself_too(void)
{
    keeper mine = {{keep}, {NULL}, 0};
    operation op;
    int ran = 0;

    start(&op, NULL);
    vts_scheduler_set_current(&mine.scheduler);
    await(&op, count, &ran, VTS_USE_SCHEDULING_CONTEXT);
    complete(&op);
    assert_int_equal(ran, 0);
    assert_int_equal(mine.posts, 1);
    run_kept(&mine);
    assert_int_equal(ran, 1);
}

static void without_a_current_scheduler_the_flag_means_inline(void)
{
    operation op;
    int ran = 0;

    start(&op, NULL);
    await(&op, count, &ran, VTS_USE_SCHEDULING_CONTEXT);
    complete(&op);
    assert_int_equal(ran, 1);
}

static void set_current_returns_the_previous_scheduler(void)
{
    keeper a = {{keep}, {NULL}, 0}, b = {{keep}, {NULL}, 0};

    assert_null(vts_scheduler_current());
    assert_null(vts_scheduler_set_current(&a.scheduler));
    assert_ptr_equal(vts_scheduler_set_current(&b.scheduler), &a.scheduler);
    assert_ptr_equal(vts_scheduler_current(), &b.scheduler);
    assert_ptr_equal(vts_scheduler_set_current(NULL), &b.scheduler);
}

static void d09_run_continuations_asynchronously_names_the_scheduler(void)
{
    keeper async = {{keep}, {NULL}, 0}, mine = {{keep}, {NULL}, 0};
    vts_source_ops ops = vts_source_ops_of(&async.scheduler);
    operation op;
    int ran = 0;

    start(&op, &ops);
    await(&op, count, &ran, 0);
    complete(&op);
    assert_int_equal(async.posts, 1);
    assert_int_equal(ran, 0);
    run_kept(&async);
    assert_int_equal(ran, 1);
    assert_code(vts_source_reset(&op.source, &op.token), VTS_OK); /* and keeps to it */
    vts_scheduler_set_current(&mine.scheduler);
    await(&op, count, &ran, VTS_USE_SCHEDULING_CONTEXT);
    complete(&op);
    assert_int_equal(async.posts, 0);
    assert_int_equal(mine.posts, 1);
    run_kept(&mine);
    assert_int_equal(ran, 2);
}

static void a_pool_names_the_scheduler_of_its_sources(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    keeper async = {{keep}, {NULL}, 0};
    vts_pool pool;
    vts_pool_desc desc = {0};
    vts_token token;
    vts_source *source;
    int ran = 0;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.run_continuations_asynchronously = &async.scheduler;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    source = vts_pool_rent(&pool, &token);
    assert_code(vts_source_on_completed(source, token, count, &ran, 0), VTS_OK);
    assert_code(vts_source_set_result(source, token, 1), VTS_OK);
    assert_int_equal(ran, 0);
    run_kept(&async);
    assert_int_equal(ran, 1);
    assert_code(vts_source_get_result(source, token, NULL), VTS_OK);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void an_inline_scheduler_runs_inside_the_completing_call(void)
{
    vts_scheduler now = {post_inline};
    operation op;
    int ran = 0;

    start(&op, NULL);
    vts_scheduler_set_current(&now);
    await(&op, count, &ran, VTS_USE_SCHEDULING_CONTEXT);
    complete(&op);
    assert_int_equal(ran, 1);
    assert_code(vts_source_reset(&op.source, &op.token), VTS_OK);
}

/* A late registration on a source that names a scheduler; the thread has a current one,
   or none, and asks for it or not. Returns whether it ran inside the call. */
static bool runs_late_at_once(keeper *named, keeper *current, unsigned flags)
{
    vts_source_ops ops = vts_source_ops_of(named != NULL ? &named->scheduler : NULL);
    operation op;
    int ran = 0, at_once;

    start(&op, &ops);
    complete(&op);
    vts_scheduler_set_current(current != NULL ? &current->scheduler : NULL);
    await(&op, count, &ran, flags);
    at_once = ran;
    if (!at_once) assert_code(vts_source_reset(&op.source, &op.token), VTS_E_PENDING);
    if (!at_once) assert_int_equal(named->posts, 1);
    if (named != NULL) run_kept(named);
    if (current != NULL) assert_int_equal(current->posts, 0);
    assert_int_equal(ran, 1);
    assert_code(vts_source_reset(&op.source, &op.token), VTS_OK);
    return at_once != 0;
}

static void d05_a_late_registration_is_posted_only_where_it_is_not(void)
{
    keeper named = {{keep}, {NULL}, 0}, mine = {{keep}, {NULL}, 0};

    assert_true(runs_late_at_once(NULL, NULL, VTS_USE_SCHEDULING_CONTEXT));
    assert_true(runs_late_at_once(NULL, &mine, VTS_USE_SCHEDULING_CONTEXT));
    assert_true(runs_late_at_once(NULL, &mine, 0));
    assert_true(runs_late_at_once(&named, &named, 0));
    assert_true(runs_late_at_once(&named, &mine, VTS_USE_SCHEDULING_CONTEXT));
    assert_false(runs_late_at_once(&named, NULL, 0));
    assert_false(runs_late_at_once(&named, &mine, 0));
    assert_false(runs_late_at_once(&named, NULL, VTS_USE_SCHEDULING_CONTEXT));
}

/* Registered late, posted, and consumed before it runs: the pin holds. */
static void a_late_continuation_that_was_posted_pins_its_source(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    keeper named = {{keep}, {NULL}, 0};
    vts_pool pool;
    vts_pool_desc desc = {0};
    vts_token token, other;
    vts_source *source;
    int ran = 0;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.run_continuations_asynchronously = &named.scheduler;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    source = vts_pool_rent(&pool, &token);
    assert_code(vts_source_set_result(source, token, 1), VTS_OK);
    assert_code(vts_source_on_completed(source, token, count, &ran, 0), VTS_OK);
    assert_code(vts_source_get_result(source, token, NULL), VTS_OK);
    assert_null(vts_pool_rent(&pool, &other));
    run_kept(&named);
    assert_int_equal(ran, 1);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_rented_awaited_continuation_goes_to_the_pools_scheduler(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    keeper named = {{keep}, {NULL}, 0};
    vts_pool pool;
    vts_pool_desc desc = {0};
    vts_token token;
    vts_source *source;
    int ran = 0;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.run_continuations_asynchronously = &named.scheduler;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    source = vts_pool_rent_awaited(&pool, &token, count, &ran);
    assert_code(vts_source_set_result(source, token, 1), VTS_OK);
    assert_int_equal(ran, 0);
    run_kept(&named);
    assert_int_equal(ran, 1);
    assert_code(vts_source_get_result(source, token, NULL), VTS_OK);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_scheduler_captured_while_completing_is_used(void)
{
    keeper mine = {{keep}, {NULL}, 0};
    operation op;
    int ran = 0;

    start(&op, NULL);
    assert_code(vts_source_begin_result(&op.source, op.token), VTS_OK);
    vts_scheduler_set_current(&mine.scheduler);
    await(&op, count, &ran, VTS_USE_SCHEDULING_CONTEXT);
    vts_scheduler_set_current(NULL);
    assert_code(vts_source_end_result(&op.source, op.token), VTS_OK);
    assert_int_equal(ran, 0);
    assert_int_equal(mine.posts, 1);
    run_kept(&mine);
    assert_int_equal(ran, 1);
}

static void an_unregistered_continuation_is_not_posted(void)
{
    keeper mine = {{keep}, {NULL}, 0};
    operation op;
    int ran = 0, other = 0;

    start(&op, NULL);
    vts_scheduler_set_current(&mine.scheduler);
    await(&op, count, &ran, VTS_USE_SCHEDULING_CONTEXT);
    assert_code(vts_source_unregister(&op.source, op.token), VTS_OK);
    await(&op, count, &other, 0);
    complete(&op);
    assert_int_equal(mine.posts, 0);
    assert_int_equal(ran, 0);
    assert_int_equal(other, 1);
}

// ----------------------------------------------------------------------------------
// The pin
// ----------------------------------------------------------------------------------

typedef struct pinned {
    vts_pool pool;
    vts_source storage[3];
    vts_source *source;
    vts_token token;
    keeper keeper;
    int ran;
} pinned;

/* A pooled source, completed, its continuation posted and not yet run. */
static void make_pinned(pinned *p)
{
    vts_pool_desc desc = {0};

    memset(p, 0, sizeof *p);
    p->keeper.scheduler.post = keep;
    desc.storage = p->storage;
    desc.storage_size = sizeof p->storage;
    desc.capacity = 1;
    assert_code(vts_pool_init(&p->pool, &desc), VTS_OK);
    p->source = vts_pool_rent(&p->pool, &p->token);
    vts_scheduler_set_current(&p->keeper.scheduler);
    assert_code(vts_source_on_completed(p->source, p->token, count, &p->ran,
                                        VTS_USE_SCHEDULING_CONTEXT),
                VTS_OK);
    vts_scheduler_set_current(NULL);
    assert_code(vts_source_set_result(p->source, p->token, 5), VTS_OK);
}

static void a_source_consumed_while_queued_goes_home_when_it_runs(void)
{
    pinned p;
    intptr_t result = 0;
    vts_token token = 9;

    make_pinned(&p);
    assert_code(vts_source_get_result(p.source, p.token, &result), VTS_OK);
    assert_int_equal(result, 5);
    assert_int_equal(vts_pool_outstanding(&p.pool), 1);
    assert_null(vts_pool_rent(&p.pool, &token));
    assert_ptr_equal(p.keeper.work[0], &p.source->work);
    run_kept(&p.keeper);
    assert_int_equal(p.ran, 1);
    assert_int_equal(vts_pool_outstanding(&p.pool), 0);
    assert_ptr_equal(vts_pool_rent(&p.pool, &token), p.source);
    assert_int_equal(token, p.token + 32);
    assert_code(vts_source_abandon(p.source, token), VTS_OK);
    assert_code(vts_pool_destroy(&p.pool), VTS_OK);
}

static void a_source_consumed_while_queued_is_stale_meanwhile(void)
{
    pinned p;
    int other = 0;

    make_pinned(&p);
    assert_code(vts_source_get_result(p.source, p.token, NULL), VTS_OK);
    assert_code(vts_source_get_result(p.source, p.token, NULL), VTS_E_STALE);
    assert_code(vts_source_get_status(p.source, p.token), VTS_E_STALE);
    assert_code(vts_source_on_completed(p.source, p.token, count, &other, 0),
                VTS_E_STALE);
    assert_code(vts_source_unregister(p.source, p.token), VTS_E_STALE);
    assert_code(vts_source_set_result(p.source, p.token, 1), VTS_E_STALE);
    assert_code(vts_source_abandon(p.source, p.token), VTS_E_STALE);
    run_kept(&p.keeper);
    assert_int_equal(p.ran, 1);
    assert_int_equal(other, 0);
    assert_int_equal(vts_pool_outstanding(&p.pool), 0);
}

static void a_source_not_consumed_while_queued_stays_out(void)
{
    pinned p;

    make_pinned(&p);
    run_kept(&p.keeper);
    assert_int_equal(p.ran, 1);
    assert_int_equal(vts_pool_outstanding(&p.pool), 1);
    assert_code(vts_source_get_result(p.source, p.token, NULL), VTS_OK);
    assert_int_equal(vts_pool_outstanding(&p.pool), 0);
}

static void a_failed_operation_consumed_while_queued_gives_its_error(void)
{
    pinned p;
    vts_token token;

    make_pinned(&p);
    run_kept(&p.keeper);
    assert_code(vts_source_get_result(p.source, p.token, NULL), VTS_OK);
    p.source = vts_pool_rent(&p.pool, &token);
    vts_scheduler_set_current(&p.keeper.scheduler);
    assert_code(vts_source_on_completed(p.source, token, count, &p.ran, 1), VTS_OK);
    assert_code(vts_source_set_error(p.source, token, -6), VTS_OK);
    assert_code(vts_source_get_result(p.source, token, NULL), -6);
    assert_int_equal(vts_pool_outstanding(&p.pool), 1);
    run_kept(&p.keeper);
    assert_int_equal(vts_pool_outstanding(&p.pool), 0);
    assert_int_equal(p.ran, 2);
}

/* The queued continuation itself rents the source it came from. */
typedef struct again {
    pinned *p;
    vts_source *rented;
    vts_token token;
} again;

static void rent_again(void *arg)
{
    again *a = (again *)arg;
    a->rented = vts_pool_rent(&a->p->pool, &a->token);
}

static void a_consumed_source_is_home_before_its_continuation_runs(void)
{
    pinned p;
    again a = {&p, NULL, 0};

    make_pinned(&p);
    p.source->continuation = rent_again;
    p.source->arg = &a;
    assert_code(vts_source_get_result(p.source, p.token, NULL), VTS_OK);
    run_kept(&p.keeper);
    assert_ptr_equal(a.rented, p.source);
    assert_int_equal(a.token, p.token + 32);
}

/* At the depth limit the trampoline pins as a scheduler does. */
typedef struct deep {
    vts_pool *pool;
    vts_source *source;
    vts_token token;
    int ran;
    bool late;
} deep;

static void consume_at_limit(void *arg)
{
    deep *d = (deep *)arg;
    vts_token other;

    if (d->late) assert_code(vts_source_set_result(d->source, d->token, 1), VTS_OK);
    assert_code(vts_source_on_completed(d->source, d->token, count, &d->ran, 0),
                VTS_OK);
    if (!d->late) assert_code(vts_source_set_result(d->source, d->token, 1), VTS_OK);
    assert_int_equal(d->ran, 0);
    assert_code(vts_source_get_result(d->source, d->token, NULL), VTS_OK);
    assert_int_equal(vts_pool_outstanding(d->pool), 1);
    assert_null(vts_pool_rent(d->pool, &other));
}

static void a_source_consumed_at_the_depth_limit_goes_home_when_it_runs(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    int late;

    for (late = 0; late < 2; late++) {
        vts_pool pool;
        vts_pool_desc desc = {0};
        deep d = {&pool, NULL, 0, 0, late != 0};
        desc.storage = storage;
        desc.storage_size = sizeof storage;
        assert_code(vts_pool_init(&pool, &desc), VTS_OK);
        d.source = vts_pool_rent(&pool, &d.token);
        at_limit(consume_at_limit, &d);
        assert_int_equal(d.ran, 1);
        assert_int_equal(vts_pool_outstanding(&pool), 0);
        assert_code(vts_pool_destroy(&pool), VTS_OK);
    }
}

/* A bare source that waits at the limit cannot be reset before it ran. */
static void reset_at_limit(void *arg)
{
    operation *op = (operation *)arg;
    static int ran;
    vts_token token;

    await(op, count, &ran, 0);
    complete(op);
    assert_code(vts_source_reset(&op->source, &token), VTS_E_PENDING);
}

static void reset_is_refused_while_waiting_at_the_depth_limit(void)
{
    operation op;

    start(&op, NULL);
    at_limit(reset_at_limit, &op);
    assert_code(vts_source_reset(&op.source, &op.token), VTS_OK);
}

static void forget_at_limit(void *arg)
{
    deep *d = (deep *)arg;

    if (d->late) assert_code(vts_source_begin_result(d->source, d->token), VTS_OK);
    assert_code(vts_valuetask_forget(vts_valuetask_of(d->source, d->token)), VTS_OK);
    if (d->late) {
        assert_code(vts_source_end_result(d->source, d->token), VTS_OK);
    } else {
        assert_code(vts_source_set_result(d->source, d->token, 1), VTS_OK);
    }
    assert_int_equal(vts_pool_outstanding(d->pool), 1);
}

static void forgetting_at_the_depth_limit_returns_the_source(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    int late;

    for (late = 0; late < 2; late++) {
        vts_pool pool;
        vts_pool_desc desc = {0};
        deep d = {&pool, NULL, 0, 0, late != 0};
        desc.storage = storage;
        desc.storage_size = sizeof storage;
        assert_code(vts_pool_init(&pool, &desc), VTS_OK);
        d.source = vts_pool_rent(&pool, &d.token);
        at_limit(forget_at_limit, &d);
        assert_code(vts_pool_destroy(&pool), VTS_OK);
    }
}

// ----------------------------------------------------------------------------------
// Context
// ----------------------------------------------------------------------------------

static char here, there, elsewhere;

static void change_context(void *arg)
{
    note_where(arg);
    vts_context_set_current(&elsewhere);
}

/* How a continuation comes to run. */
typedef enum route {
    COMPLETED,
    LATE,
    POSTED,
    HANDLE,
    FAILED_HANDLE,
    OF_ONES_OWN,
    ROUTES
} route;

/* Registers under &here (or NULL), lets it run under &there, by any route. */
static void run_by(route by, vts_continuation run, where *w, unsigned flags,
                   void *registered)
{
    keeper mine = {{keep}, {NULL}, 0};
    operation op;

    start(&op, NULL);
    vts_context_set_current(registered);
    if (by == POSTED) {
        vts_scheduler_set_current(&mine.scheduler);
        flags |= VTS_USE_SCHEDULING_CONTEXT;
    }
    if (by == LATE) complete(&op);
    if (by == HANDLE) {
        vts_valuetask_on_completed(completed_task(0), run, w, flags);
    } else if (by == FAILED_HANDLE) {
        vts_valuetask_on_completed(completed_task(1), run, w, flags);
    } else if (by == OF_ONES_OWN) {
        assert_code(vts_run_continuation(run, w, flags), VTS_OK);
    } else {
        await(&op, run, w, flags);
    }
    vts_scheduler_set_current(NULL);
    if (by == COMPLETED || by == POSTED) vts_context_set_current(&there);
    if (by == COMPLETED || by == POSTED) complete(&op);
    run_kept(&mine);
}

static void a_flowed_context_is_seen_by_every_route(void)
{
    int by;

    for (by = 0; by < ROUTES; by++) {
        where w = {0};
        run_by((route)by, note_where, &w, VTS_FLOW_EXECUTION_CONTEXT, &here);
        assert_int_equal(w.runs, 1);
        assert_ptr_equal(w.context, &here);
    }
}

static void a_flowed_null_context_is_seen_as_null(void)
{
    int by;

    for (by = 0; by < ROUTES; by++) {
        where w = {0};
        w.context = &elsewhere;
        run_by((route)by, note_where, &w, VTS_FLOW_EXECUTION_CONTEXT, NULL);
        assert_int_equal(w.runs, 1);
        assert_null(w.context);
    }
}

static void without_the_flag_the_running_threads_context_is_seen(void)
{
    where w = {0};

    run_by(COMPLETED, note_where, &w, 0, &here);
    assert_ptr_equal(w.context, &there);
    run_by(POSTED, note_where, &w, 0, &here);
    assert_ptr_equal(w.context, &there);
}

static void a_flowed_continuation_leaves_the_threads_context(void)
{
    int by;

    for (by = 0; by < ROUTES; by++) {
        where w = {0};
        void *before = by == COMPLETED || by == POSTED ? &there : &here;
        run_by((route)by, change_context, &w, VTS_FLOW_EXECUTION_CONTEXT, &here);
        assert_int_equal(w.runs, 1);
        assert_ptr_equal(vts_context_current(), before);
    }
}

static void a_continuation_that_flowed_null_leaves_the_threads_context(void)
{
    int by;

    for (by = 0; by < ROUTES; by++) {
        where w = {0};
        void *before = by == COMPLETED || by == POSTED ? &there : NULL;
        run_by((route)by, change_context, &w, VTS_FLOW_EXECUTION_CONTEXT, NULL);
        assert_ptr_equal(vts_context_current(), before);
    }
}

static void a_continuation_that_did_not_flow_may_change_the_context(void)
{
    int by;

    for (by = 0; by < ROUTES; by++) {
        where w = {0};
        run_by((route)by, change_context, &w, 0, &here);
        assert_ptr_equal(vts_context_current(), &elsewhere);
    }
}

static void set_current_returns_the_previous_context(void)
{
    assert_null(vts_context_current());
    assert_null(vts_context_set_current(&here));
    assert_ptr_equal(vts_context_set_current(&there), &here);
    assert_ptr_equal(vts_context_set_current(NULL), &there);
}

static void *context_of_new_thread(void *arg)
{
    note_where(arg);
    vts_context_set_current(&elsewhere);
    return NULL;
}

static void context_and_scheduler_are_each_threads_own(void)
{
    keeper mine = {{keep}, {NULL}, 0};
    where w = {0};

    vts_context_set_current(&here);
    vts_scheduler_set_current(&mine.scheduler);
    test_on_thread(context_of_new_thread, &w);
    assert_int_equal(w.runs, 1);
    assert_null(w.context);
    assert_null(w.scheduler);
    assert_ptr_equal(vts_context_current(), &here);
}

/* Three ways to wait at the limit; the thread's context changes before they run. */
typedef struct flowing {
    operation op[2];
    where w[4];
} flowing;

static void flow_at_limit(void *arg)
{
    flowing *f = (flowing *)arg;

    vts_context_set_current(&here);
    start(&f->op[0], NULL);
    await(&f->op[0], note_where, &f->w[0], VTS_FLOW_EXECUTION_CONTEXT);
    start(&f->op[1], NULL);
    complete(&f->op[1]);
    await(&f->op[1], note_where, &f->w[1], VTS_FLOW_EXECUTION_CONTEXT);
    vts_valuetask_on_completed(completed_task(0), note_where, &f->w[2],
                               VTS_FLOW_EXECUTION_CONTEXT);
    vts_valuetask_on_completed(completed_task(1), note_where, &f->w[3],
                               VTS_FLOW_EXECUTION_CONTEXT);
    vts_context_set_current(&there);
    complete(&f->op[0]);
}

static void the_context_flows_past_the_depth_limit(void)
{
    flowing f;
    int i;

    memset(&f, 0, sizeof f);
    at_limit(flow_at_limit, &f);
    for (i = 0; i < 4; i++) {
        assert_int_equal(f.w[i].runs, 1);
        assert_ptr_equal(f.w[i].context, &here);
    }
    assert_ptr_equal(vts_context_current(), &there);
}

/* Registers, at the depth limit, a continuation that flows nothing. */
static void wait_without_context(void *arg)
{
    assert_code(vts_valuetask_on_completed(completed_task(0), note_where, arg, VTS_NONE),
                VTS_OK);
}

/* From inside one continuation already. */
static void dive_deeper(void *arg)
{
    diver d = {LIMIT - 1, wait_without_context, arg};
    assert_code(vts_valuetask_on_completed(completed_task(0), dive, &d, 0), VTS_OK);
}

static void what_did_not_flow_is_not_run_under_anothers_context(void)
{
    operation outermost;
    where w = {0};

    start(&outermost, NULL);
    vts_context_set_current(&here);
    await(&outermost, dive_deeper, &w, VTS_FLOW_EXECUTION_CONTEXT);
    vts_context_set_current(NULL);
    complete(&outermost);
    assert_int_equal(w.runs, 1);
    assert_null(w.context);
}

/* A continuation captured for a scheduler that is current, registered at the limit
   inside its drain, is posted: it runs in the next drain and not after this one. */
typedef struct posted_at_limit {
    vts_run_queue queue;
    operation op;
    where w;
} posted_at_limit;

static void register_for_the_scheduler(void *arg)
{
    posted_at_limit *p = (posted_at_limit *)arg;
    complete(&p->op);
    await(&p->op, note_where, &p->w, VTS_USE_SCHEDULING_CONTEXT);
}

static void drain_at_limit(void *arg)
{
    posted_at_limit *p = (posted_at_limit *)arg;
    vts_scheduler *before = vts_scheduler_set_current(&p->queue.scheduler);
    register_for_the_scheduler(p);
    vts_scheduler_set_current(before);
}

static void at_the_depth_limit_a_scheduler_still_gets_its_own(void)
{
    posted_at_limit p;

    memset(&p, 0, sizeof p);
    vts_run_queue_init(&p.queue, NULL, NULL);
    start(&p.op, NULL);
    at_limit(drain_at_limit, &p);
    assert_int_equal(p.w.runs, 0);
    assert_int_equal(vts_run_queue_drain(&p.queue), 1);
    assert_int_equal(p.w.runs, 1);
    assert_ptr_equal(p.w.scheduler, &p.queue.scheduler);
}

// ----------------------------------------------------------------------------------
// The run queue
// ----------------------------------------------------------------------------------

typedef struct job {
    vts_work work;
    int number;
    struct log *log;
    vts_work *then; /* posted by it */
} job;

typedef struct log {
    vts_run_queue queue;
    int order[64], ran, wakes;
    int drained; /* what a drain inside a job returned */
    vts_scheduler *scheduler;
} log_of_jobs;

static void do_job(vts_work *work)
{
    job *j = vts__container_of(work, job, work);
    log_of_jobs *log = j->log;

    log->order[log->ran++] = j->number;
    log->scheduler = vts_scheduler_current();
    if (j->then != NULL) vts_scheduler_post(&log->queue.scheduler, j->then);
}

static void do_drain(vts_work *work)
{
    job *j = vts__container_of(work, job, work);
    j->log->drained = vts_run_queue_drain(&j->log->queue);
}

static void wake(void *user) { ((log_of_jobs *)user)->wakes++; }

static void make_queue(log_of_jobs *log, job *jobs, int jobs_count)
{
    int i;

    memset(log, 0, sizeof *log);
    vts_run_queue_init(&log->queue, wake, log);
    for (i = 0; i < jobs_count; i++) {
        job one = {{{NULL}, do_job}, i, log, NULL};
        jobs[i] = one;
    }
}

static void post(log_of_jobs *log, job *j)
{
    vts_scheduler_post(&log->queue.scheduler, &j->work);
}

static void a_drain_runs_in_the_order_of_posting(void)
{
    log_of_jobs log;
    job jobs[20];
    int i;

    make_queue(&log, jobs, 20);
    for (i = 0; i < 20; i++) post(&log, &jobs[i]);
    assert_int_equal(vts_run_queue_drain(&log.queue), 20);
    assert_int_equal(log.ran, 20);
    for (i = 0; i < 20; i++) assert_int_equal(log.order[i], i);
    assert_int_equal(vts_run_queue_drain(&log.queue), 0);
}

static void wake_is_called_once_when_the_queue_fills(void)
{
    log_of_jobs log;
    job jobs[5];
    int round, i;

    make_queue(&log, jobs, 5);
    for (round = 1; round <= 3; round++) {
        assert_true(vts_run_queue_is_empty(&log.queue));
        for (i = 0; i < 5; i++) {
            post(&log, &jobs[i]);
            assert_int_equal(log.wakes, round);
            assert_false(vts_run_queue_is_empty(&log.queue));
        }
        assert_int_equal(vts_run_queue_drain(&log.queue), 5);
        assert_true(vts_run_queue_is_empty(&log.queue));
    }
}

static void a_queue_without_wake_works(void)
{
    vts_run_queue queue;
    operation op;
    int ran = 0;

    vts_run_queue_init(&queue, NULL, NULL);
    start(&op, NULL);
    vts_scheduler_set_current(&queue.scheduler);
    await(&op, count, &ran, VTS_USE_SCHEDULING_CONTEXT);
    complete(&op);
    assert_int_equal(ran, 0);
    assert_int_equal(vts_run_queue_drain(&queue), 1);
    assert_int_equal(ran, 1);
}

static void work_posted_during_a_drain_runs_in_the_next(void)
{
    log_of_jobs log;
    job jobs[3];

    make_queue(&log, jobs, 3);
    jobs[0].then = &jobs[2].work;
    post(&log, &jobs[0]);
    post(&log, &jobs[1]);
    assert_int_equal(vts_run_queue_drain(&log.queue), 2);
    assert_int_equal(log.ran, 2);
    assert_int_equal(log.wakes, 2);
    assert_int_equal(vts_run_queue_drain(&log.queue), 1);
    assert_int_equal(log.order[2], 2);
}

static void work_may_post_itself_again(void)
{
    log_of_jobs log;
    job jobs[1];
    int i;

    make_queue(&log, jobs, 1);
    jobs[0].then = &jobs[0].work;
    post(&log, &jobs[0]);
    for (i = 1; i <= 10; i++) {
        assert_int_equal(vts_run_queue_drain(&log.queue), 1);
        assert_int_equal(log.ran, i);
    }
}

static void a_drain_inside_a_drain_is_busy(void)
{
    log_of_jobs log;
    job jobs[3];

    make_queue(&log, jobs, 3);
    jobs[1].work.run = do_drain;
    post(&log, &jobs[0]);
    post(&log, &jobs[1]);
    post(&log, &jobs[2]);
    assert_int_equal(vts_run_queue_drain(&log.queue), 3);
    assert_code(log.drained, VTS_E_BUSY);
    assert_int_equal(log.ran, 2);
    post(&log, &jobs[0]);
    assert_int_equal(vts_run_queue_drain(&log.queue), 1);
}

static void a_drain_makes_its_queue_the_current_scheduler(void)
{
    keeper outer = {{keep}, {NULL}, 0};
    log_of_jobs log;
    job jobs[1];

    make_queue(&log, jobs, 1);
    vts_scheduler_set_current(&outer.scheduler);
    post(&log, &jobs[0]);
    assert_int_equal(vts_run_queue_drain(&log.queue), 1);
    assert_ptr_equal(log.scheduler, &log.queue.scheduler);
    assert_ptr_equal(vts_scheduler_current(), &outer.scheduler);
}

/* Posters number their jobs; each poster's come in its order. */
#define POSTERS 4
#define JOBS 500

typedef struct poster {
    log_of_jobs *log;
    job jobs[JOBS];
} poster;

static int next_of[POSTERS];

static void do_numbered(vts_work *work)
{
    job *j = vts__container_of(work, job, work);
    int who = j->number / JOBS;

    assert_int_equal(j->number % JOBS, next_of[who]);
    next_of[who]++;
}

static void *post_all(void *arg)
{
    poster *p = (poster *)arg;
    int i;

    for (i = 0; i < JOBS; i++)
        vts_scheduler_post(&p->log->queue.scheduler, &p->jobs[i].work);
    return NULL;
}

static void several_posters_lose_nothing_and_keep_their_order(void)
{
    static poster posters[POSTERS];
    test_thread thread[POSTERS];
    log_of_jobs log;
    int sum = 0, who, i;

    make_queue(&log, NULL, 0);
    vts_run_queue_init(&log.queue, NULL, NULL);
    memset(next_of, 0, sizeof next_of);
    for (who = 0; who < POSTERS; who++) {
        posters[who].log = &log;
        for (i = 0; i < JOBS; i++) {
            job one = {{{NULL}, do_numbered}, who * JOBS + i, &log, NULL};
            posters[who].jobs[i] = one;
        }
        thread[who] = test_thread_start(post_all, &posters[who], 0);
    }
    while (sum < POSTERS * JOBS) sum += vts_run_queue_drain(&log.queue);
    for (who = 0; who < POSTERS; who++) test_thread_join(thread[who]);
    assert_int_equal(sum, POSTERS * JOBS);
    assert_true(vts_run_queue_is_empty(&log.queue));
}

static void an_awaiting_loop_of_the_queue_is_fair_to_itself(void)
{
    log_of_jobs log;
    operation op[10];
    int ran = 0, i;

    make_queue(&log, NULL, 0);
    vts_scheduler_set_current(&log.queue.scheduler);
    for (i = 0; i < 10; i++) {
        start(&op[i], NULL);
        await(&op[i], count, &ran, VTS_USE_SCHEDULING_CONTEXT);
    }
    for (i = 9; i >= 0; i--) complete(&op[i]);
    assert_int_equal(log.wakes, 1);
    assert_int_equal(ran, 0);
    assert_int_equal(vts_run_queue_drain(&log.queue), 10);
    assert_int_equal(ran, 10);
    for (i = 0; i < 10; i++)
        assert_code(vts_source_reset(&op[i].source, &op[i].token), 0);
}

static void a_null_queue_is_an_argument_error(void)
{
    vts_run_queue_init(NULL, NULL, NULL);
    assert_code(vts_run_queue_drain(NULL), VTS_E_ARGUMENT);
    assert_true(vts_run_queue_is_empty(NULL));
}

static const test_case tests[] = {
    TEST(a_continuation_runs_inside_the_completing_call),
    TEST(d05_a_late_registration_runs_before_the_call_returns),
    TEST(a_continuation_runs_on_the_completing_thread),
    TEST(a_chain_of_completions_nests_to_the_limit_and_no_deeper),
    TEST(a_chain_of_late_registrations_nests_to_the_limit_and_no_deeper),
    TEST(a_chain_of_completed_handles_nests_to_the_limit_and_no_deeper),
    TEST(run_continuation_refuses_null),
    TEST(a_fan_of_completed_handles_runs_every_one),
    TEST(what_waits_at_the_limit_runs_in_order_once_the_outermost_returns),
    TEST(more_completed_handles_than_places_all_run),
    TEST(a_million_completions_need_no_stack),
    TEST(a_million_late_registrations_need_no_stack),
    TEST(a_million_completed_handles_need_no_stack),
    TEST(a_chain_through_the_limit_recycles_its_sources),
    TEST(the_scheduler_of_registration_is_used_if_asked_for),
    TEST(the_scheduler_is_ignored_if_not_asked_for),
    TEST(a_captured_scheduler_is_posted_to_from_itself_too),
    TEST(without_a_current_scheduler_the_flag_means_inline),
    TEST(set_current_returns_the_previous_scheduler),
    TEST(d09_run_continuations_asynchronously_names_the_scheduler),
    TEST(a_pool_names_the_scheduler_of_its_sources),
    TEST(an_inline_scheduler_runs_inside_the_completing_call),
    TEST(d05_a_late_registration_is_posted_only_where_it_is_not),
    TEST(a_late_continuation_that_was_posted_pins_its_source),
    TEST(a_rented_awaited_continuation_goes_to_the_pools_scheduler),
    TEST(a_scheduler_captured_while_completing_is_used),
    TEST(an_unregistered_continuation_is_not_posted),
    TEST(a_source_consumed_while_queued_goes_home_when_it_runs),
    TEST(a_source_consumed_while_queued_is_stale_meanwhile),
    TEST(a_source_not_consumed_while_queued_stays_out),
    TEST(a_failed_operation_consumed_while_queued_gives_its_error),
    TEST(a_consumed_source_is_home_before_its_continuation_runs),
    TEST(a_source_consumed_at_the_depth_limit_goes_home_when_it_runs),
    TEST(reset_is_refused_while_waiting_at_the_depth_limit),
    TEST(forgetting_at_the_depth_limit_returns_the_source),
    TEST(a_flowed_context_is_seen_by_every_route),
    TEST(a_flowed_null_context_is_seen_as_null),
    TEST(without_the_flag_the_running_threads_context_is_seen),
    TEST(a_flowed_continuation_leaves_the_threads_context),
    TEST(a_continuation_that_flowed_null_leaves_the_threads_context),
    TEST(a_continuation_that_did_not_flow_may_change_the_context),
    TEST(set_current_returns_the_previous_context),
    TEST(context_and_scheduler_are_each_threads_own),
    TEST(the_context_flows_past_the_depth_limit),
    TEST(what_did_not_flow_is_not_run_under_anothers_context),
    TEST(at_the_depth_limit_a_scheduler_still_gets_its_own),
    TEST(a_drain_runs_in_the_order_of_posting),
    TEST(wake_is_called_once_when_the_queue_fills),
    TEST(a_queue_without_wake_works),
    TEST(work_posted_during_a_drain_runs_in_the_next),
    TEST(work_may_post_itself_again),
    TEST(a_drain_inside_a_drain_is_busy),
    TEST(a_drain_makes_its_queue_the_current_scheduler),
    TEST(several_posters_lose_nothing_and_keep_their_order),
    TEST(an_awaiting_loop_of_the_queue_is_fair_to_itself),
    TEST(a_null_queue_is_an_argument_error),
};

TEST_MAIN(tests)
