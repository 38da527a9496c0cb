/* Real threads race on sources, pools and run queues; every round is checked.

       stress [SECONDS [THREADS]] [--only NAME] [--seed N] ...

   SECONDS (2) and THREADS (4) come from the environment, too. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#include <sched.h>

#define THREADS_MOST 32

static unsigned threads = 4;
static double seconds = 2; /* of all tests together */

// ----------------------------------------------------------------------------------
// Rounds
// ----------------------------------------------------------------------------------

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t load(const size_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static void add(size_t *p, size_t n) { __atomic_fetch_add(p, n, __ATOMIC_ACQ_REL); }
static void store(size_t *p, size_t n) { __atomic_store_n(p, n, __ATOMIC_RELEASE); }

/* A barrier that spins, so that all leave it at about the same time. */
typedef struct gate {
    size_t arrived, opened;
} gate;

static void meet(gate *g)
{
    size_t round = load(&g->opened), spins = 0;

    if (__atomic_add_fetch(&g->arrived, 1, __ATOMIC_ACQ_REL) == threads) {
        store(&g->arrived, 0);
        add(&g->opened, 1);
        return;
    }
    while (load(&g->opened) == round) {
        if (++spins > 100) sched_yield();
    }
}

/* A worker's own randomness. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static void wait_a_little(uint64_t *random)
{
    volatile unsigned spin = (unsigned)(next_random(random) % 64);
    while (spin > 0) spin--;
}

typedef struct race race;

typedef struct worker {
    race *race;
    unsigned id;
    uint64_t random;
} worker;

/* One source that all threads race on. */
typedef struct lane {
    vts_source bare;
    vts_source *source;
    vts_pool *pool;
    vts_token token;
    intptr_t value;
    size_t won, winner, lost, ran, unregistered, other;
    size_t ran_of[THREADS_MOST];
} lane;

#define LANES 256

/* A race: before and after run on one thread, part on all at the same time. Every round
   goes along all lanes: who is behind finds less to do and catches up, so that threads
   meet at most of them. */
struct race {
    void (*before)(lane *l, uint64_t *random);
    void (*part)(lane *l, worker *w);
    void (*after)(lane *l);
    vts_pool pool;
    gate gate;
    size_t stop, rounds;
    double until;
    lane lanes[LANES];
};

static void run_round(race *r, worker *w)
{
    unsigned i;

    for (i = 0; i < LANES; i++) {
        if (next_random(&w->random) % 8 == 0) wait_a_little(&w->random);
        r->part(&r->lanes[i], w);
    }
}

static void start_round(race *r, worker *w)
{
    unsigned i;

    store(&r->stop, r->rounds > 0 && now() > r->until); /* one, however slow it is */
    for (i = 0; i < LANES && !r->stop; i++) {
        lane *l = &r->lanes[i];
        l->won = l->winner = l->lost = l->ran = l->unregistered = l->other = 0;
        memset(l->ran_of, 0, sizeof l->ran_of);
        l->pool = &r->pool;
        r->before(l, &w->random);
        if (l->source == NULL)
            store(&r->stop, 1); /* the pool is out: that was counted */
    }
}

static void *work(void *arg)
{
    worker *w = (worker *)arg;
    race *r = w->race;
    unsigned i;

    for (;;) {
        if (w->id == 0) start_round(r, w);
        meet(&r->gate);
        if (load(&r->stop)) return NULL;
        run_round(r, w);
        meet(&r->gate);
        for (i = 0; i < LANES && w->id == 0; i++) r->after(&r->lanes[i]);
        if (w->id == 0) r->rounds += LANES;
    }
}

static size_t tests_count(void);

static double share(void) { return seconds / (double)tests_count(); }

static void run_workers(void *(*run)(void *), void *shared)
{
    worker w[THREADS_MOST];
    test_thread thread[THREADS_MOST];
    unsigned i;

    for (i = 0; i < threads; i++) {
        w[i].race = (race *)shared;
        w[i].id = i;
        w[i].random = test_random() | 1;
        thread[i] = test_thread_start(run, &w[i], 0);
    }
    for (i = 0; i < threads; i++) test_thread_join(thread[i]);
    assert_threads_passed();
}

static VTS_POOL_STORAGE(storage, vts_source, LANES);

static void make_pool(vts_pool *pool, uint32_t capacity)
{
    vts_pool_desc desc = {0};

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.capacity = capacity;
    assert_code(vts_pool_init(pool, &desc), VTS_OK);
}

/* pooled: the sources of the lanes come from a pool, and must all have gone back. */
static void run_race(void (*before)(lane *l, uint64_t *random),
                     void (*part)(lane *l, worker *w), void (*after)(lane *l),
                     bool pooled)
{
    static race r;

    memset(&r, 0, sizeof r);
    r.before = before;
    r.part = part;
    r.after = after;
    r.until = now() + share();
    if (pooled) make_pool(&r.pool, LANES);
    run_workers(work, &r);
    TEST_NOTE("%zu rounds, %u threads", r.rounds, threads);
    assert_true(r.rounds > 0);
    if (pooled) assert_code(vts_pool_destroy(&r.pool), VTS_OK);
}

static void arm_bare(lane *l)
{
    l->source = &l->bare;
    THREAD_CHECK(vts_source_reset(&l->bare, &l->token) == VTS_OK);
}

static void rent_one(lane *l)
{
    l->source = vts_pool_rent(l->pool, &l->token);
    THREAD_CHECK(l->source != NULL);
}

static void count_run(void *arg)
{
    lane *l = (lane *)arg;
    add(&l->ran, 1);
}

/* Its operation is over, and the source in the pool. */
static void check_is_home(lane *l)
{
    vts_word word = vts__load_acq(&l->source->word);
    THREAD_CHECK(word == (l->token | VTS__IDLE));
}

// ----------------------------------------------------------------------------------
// One winner
// ----------------------------------------------------------------------------------

static void arm_and_maybe_await(lane *l, uint64_t *random)
{
    arm_bare(l);
    l->other = next_random(random) % 2;
    if (!l->other) return;
    THREAD_CHECK(vts_source_on_completed(l->source, l->token, count_run, l, 0) ==
                 VTS_OK);
}

/* Each completer in its own way, with its own value. */
static int complete_as(lane *l, unsigned id)
{
    int error;

    if (id % 4 == 0) return vts_source_set_result(l->source, l->token, (intptr_t)id);
    if (id % 4 == 1) return vts_source_set_error(l->source, l->token, -100 - (int)id);
    if (id % 4 == 2)
        return vts_source_set_canceled(l->source, l->token, -100 - (int)id);
    error = vts_source_begin_result(l->source, l->token);
    if (error != VTS_OK) return error;
    vts__store_rel(&l->source->result, id);
    return vts_source_end_result(l->source, l->token);
}

static void complete_part(lane *l, worker *w)
{
    int error = complete_as(l, w->id);

    if (error == VTS_OK) {
        add(&l->won, 1);
        store(&l->winner, w->id);
    } else {
        THREAD_CHECK(error == VTS_E_ALREADY_COMPLETED);
    }
}

static void check_one_completer(lane *l)
{
    static const int status[] = {VTS_SUCCEEDED, VTS_FAULTED, VTS_CANCELED,
                                 VTS_SUCCEEDED};
    intptr_t result = -1;
    unsigned id = (unsigned)l->winner;
    bool succeeds = id % 4 == 0 || id % 4 == 3;
    int error = vts_source_get_result(l->source, l->token, &result);

    THREAD_CHECK(l->won == 1);
    THREAD_CHECK(l->ran == l->other);
    THREAD_CHECK(vts_source_get_status(l->source, l->token) == status[id % 4]);
    THREAD_CHECK(error == (succeeds ? VTS_OK : -100 - (int)id));
    THREAD_CHECK(result == (succeeds ? (intptr_t)id : -1));
}

static void of_racing_completers_exactly_one_wins(void)
{
    run_race(arm_and_maybe_await, complete_part, check_one_completer, false);
}

/* Thread 0 completes, the others register. */
static void count_run_of(void *arg) { add((size_t *)arg, 1); }

static void arm_only(lane *l, uint64_t *random)
{
    (void)random;
    arm_bare(l);
}

static void register_part(lane *l, worker *w)
{
    int error;

    if (w->id == 0) {
        THREAD_CHECK(vts_source_set_result(l->source, l->token, 5) == VTS_OK);
        return;
    }
    error = vts_source_on_completed(l->source, l->token, count_run_of,
                                    &l->ran_of[w->id], 0);
    if (error == VTS_OK) {
        add(&l->won, 1);
        store(&l->winner, w->id);
    } else {
        THREAD_CHECK(error == VTS_E_ALREADY_AWAITED);
    }
}

static void check_one_registration(lane *l)
{
    unsigned i;

    THREAD_CHECK(l->won == (threads > 1));
    for (i = 1; i < threads; i++) THREAD_CHECK(l->ran_of[i] == (i == l->winner));
    THREAD_CHECK(vts_source_get_result(l->source, l->token, NULL) == VTS_OK);
}

static void of_racing_registrations_one_wins_and_runs_once(void)
{
    run_race(arm_only, register_part, check_one_registration, false);
}

/* Thread 0 completes, the others ask for the result until it is gone. */
static void rent_next(lane *l, uint64_t *random)
{
    rent_one(l);
    l->value = (intptr_t)(next_random(random) >> 1);
    if (l->value % 2 == 0) return;
    THREAD_CHECK(vts_source_on_completed(l->source, l->token, count_run, l, 0) ==
                 VTS_OK);
}

static void consume_part(lane *l, worker *w)
{
    intptr_t result = -1;
    int error;

    if (w->id == 0) {
        THREAD_CHECK(vts_source_set_result(l->source, l->token, l->value) == VTS_OK);
        if (threads > 1) return;
    }
    while ((error = vts_source_get_result(l->source, l->token, &result)) ==
           VTS_E_NOT_COMPLETED) {
        sched_yield();
    }
    if (error == VTS_OK) {
        add(&l->won, 1);
        THREAD_CHECK(result == l->value);
    } else {
        THREAD_CHECK(error == VTS_E_STALE);
        THREAD_CHECK(result == -1);
    }
}

static void check_one_consumer(lane *l)
{
    THREAD_CHECK(l->won == 1);
    THREAD_CHECK(l->ran == (l->value % 2 != 0));
    check_is_home(l);
}

static void of_racing_consumers_exactly_one_takes_the_result(void)
{
    run_race(rent_next, consume_part, check_one_consumer, true);
}

/* Thread 0 completes, 1 cancels (the timeout), the others take the registration back. */
static void arm_and_await(lane *l, uint64_t *random)
{
    (void)random;
    arm_bare(l);
    THREAD_CHECK(vts_source_on_completed(l->source, l->token, count_run, l, 0) ==
                 VTS_OK);
}

static void timeout_part(lane *l, worker *w)
{
    int error;

    if (w->id < 2) {
        error = w->id == 0 ? vts_source_set_result(l->source, l->token, 1)
                           : vts_source_set_canceled(l->source, l->token, 0);
        if (error == VTS_OK)
            add(&l->won, 1);
        else
            THREAD_CHECK(error == VTS_E_ALREADY_COMPLETED);
        return;
    }
    error = vts_source_unregister(l->source, l->token);
    if (error == VTS_OK)
        add(&l->unregistered, 1);
    else
        THREAD_CHECK(error == VTS_E_NOT_AWAITED);
}

static void check_timeout(lane *l)
{
    THREAD_CHECK(l->won == 1);
    THREAD_CHECK(l->unregistered <= 1);
    THREAD_CHECK(l->ran + l->unregistered == 1);
    THREAD_CHECK(vts_source_get_status(l->source, l->token) > VTS_PENDING);
}

static void completion_timeout_and_unregister_agree(void)
{
    run_race(arm_and_await, timeout_part, check_timeout, false);
}

/* Thread 0 abandons, 1 completes, 2 registers, the others ask. */
static void abandon_part(lane *l, worker *w)
{
    int error = VTS_OK;

    if (w->id == 0) error = vts_source_abandon(l->source, l->token);
    if (w->id == 1) error = vts_source_set_result(l->source, l->token, 1);
    if (w->id == 2)
        error = vts_source_on_completed(l->source, l->token, count_run, l, 0);
    if (w->id > 2)
        error = vts_source_get_status(l->source, l->token) >= 0 ? 0 : VTS_E_STALE;
    if (error == VTS_OK && w->id == 0) store(&l->winner, 1);
    if (error == VTS_OK && w->id == 1) store(&l->won, 1);
    if (error == VTS_OK && w->id == 2) store(&l->other, 1);
    THREAD_CHECK(error == VTS_OK || error == VTS_E_STALE ||
                 error == VTS_E_ALREADY_COMPLETED || error == VTS_E_ALREADY_AWAITED);
}

static void rent_plain(lane *l, uint64_t *random)
{
    (void)random;
    rent_one(l);
}

/* Abandoned: nobody else had it. Else it is completed, and what registered ran. */
static void check_abandon(lane *l)
{
    if (l->winner != 0) {
        THREAD_CHECK(l->won == 0 && l->other == 0 && l->ran == 0);
    } else {
        if (l->won == 0) {
            THREAD_CHECK(vts_source_set_result(l->source, l->token, 2) == VTS_OK);
        }
        THREAD_CHECK(l->ran == l->other);
        THREAD_CHECK(vts_source_get_result(l->source, l->token, NULL) == VTS_OK);
    }
    check_is_home(l);
}

static void abandoning_races_with_everything(void)
{
    run_race(rent_plain, abandon_part, check_abandon, true);
}

/* Thread 0 completes, 1 registers a continuation that consumes, 2 forgets. */
static void consume_in_continuation(void *arg)
{
    lane *l = (lane *)arg;
    add(&l->ran, 1);
    if (vts_source_get_result(l->source, l->token, NULL) == VTS_OK) add(&l->lost, 1);
}

static void forget_part(lane *l, worker *w)
{
    int error = VTS_OK;

    if (w->id == 0) error = vts_source_set_result(l->source, l->token, 1);
    if (w->id == 1) {
        error =
            vts_source_on_completed(l->source, l->token, consume_in_continuation, l, 0);
        if (error == VTS_OK) add(&l->won, 1);
    }
    if (w->id == 2) error = vts_valuetask_forget(vts_valuetask_of(l->source, l->token));
    THREAD_CHECK(error == VTS_OK || error == VTS_E_STALE ||
                 error == VTS_E_ALREADY_AWAITED);
}

static void check_forget(lane *l)
{
    THREAD_CHECK(l->ran == l->won);
    if (threads < 2) {
        THREAD_CHECK(vts_source_get_result(l->source, l->token, NULL) == VTS_OK);
    }
    check_is_home(l);
}

static void forgetting_races_with_registration_and_completion(void)
{
    run_race(rent_plain, forget_part, check_forget, true);
}

/* The operation is completed. Even threads register, odd ones take the result: in the
   middle of a registration it is consumed, and the registration brings it home. */
static void rent_completed(lane *l, uint64_t *random)
{
    (void)random;
    rent_one(l);
    THREAD_CHECK(vts_source_set_result(l->source, l->token, 1) == VTS_OK);
}

static void late_part(lane *l, worker *w)
{
    int error;

    if (w->id % 2 == 0) {
        error = vts_source_on_completed(l->source, l->token, count_run, l, 0);
        if (error == VTS_OK) add(&l->other, 1);
    } else {
        error = vts_source_get_result(l->source, l->token, NULL);
        if (error == VTS_OK) add(&l->won, 1);
    }
    THREAD_CHECK(error == VTS_OK || error == VTS_E_STALE ||
                 error == VTS_E_ALREADY_AWAITED);
}

static void check_late(lane *l)
{
    THREAD_CHECK(l->won == 1);
    THREAD_CHECK(l->other <= 1);
    THREAD_CHECK(l->ran == l->other);
    check_is_home(l);
}

static void late_registrations_race_with_consumers(void)
{
    run_race(rent_completed, late_part, check_late, true);
}

// ----------------------------------------------------------------------------------
// Stale completers against a pool's recycled sources
// ----------------------------------------------------------------------------------

#define HAMMERED 4

static struct {
    vts_pool pool;
    vts_source *at[HAMMERED];
    vts_word over[HAMMERED]; /* the newest token that is over, of each source */
    size_t stop, operations, attempts, exhausted;
    double until;
} hammer;

#define POISON ((intptr_t)-77)

static void never(void *arg) { add((size_t *)arg, 1); }
static size_t never_ran;

/* Everything one can do with a token that is over; nothing may work. */
static int late_call(vts_source *source, vts_token token, unsigned which)
{
    intptr_t result;

    switch (which) {
    case 0:
        return vts_source_set_result(source, token, POISON);
    case 1:
        return vts_source_set_error(source, token, (int)POISON);
    case 2:
        return vts_source_set_canceled(source, token, (int)POISON);
    case 3:
        return vts_source_begin_result(source, token);
    case 4:
        return vts_source_unregister(source, token);
    case 5:
        return vts_source_abandon(source, token);
    case 6:
        return vts_source_on_completed(source, token, never, &never_ran, 0);
    case 7:
        return vts_source_get_result(source, token, &result);
    default:
        return vts_source_get_status(source, token);
    }
}

static void be_late(uint64_t *random)
{
    unsigned i = (unsigned)(next_random(random) % HAMMERED);
    vts_token token = vts__load_acq(&hammer.over[i]);

    add(&hammer.attempts, 1);
    if (token == 0) return;
    THREAD_CHECK(late_call(hammer.at[i], token, (unsigned)(next_random(random) % 9)) ==
                 VTS_E_STALE);
}

static void operate(uint64_t *random)
{
    vts_token token;
    vts_source *source = vts_pool_rent(&hammer.pool, &token);
    intptr_t value = (intptr_t)(next_random(random) >> 1), result = 0;
    unsigned i = 0;
    size_t ran = 0;

    if (source == NULL) {
        add(&hammer.exhausted, 1);
        return;
    }
    while (hammer.at[i] != source) i++;
    if (value % 2 == 0) {
        THREAD_CHECK(vts_source_on_completed(source, token, never, &ran, 0) == VTS_OK);
    }
    wait_a_little(random);
    THREAD_CHECK(vts_source_get_status(source, token) == VTS_PENDING);
    THREAD_CHECK(vts_source_set_result(source, token, value) == VTS_OK);
    THREAD_CHECK(ran == (value % 2 == 0));
    THREAD_CHECK(vts_source_get_result(source, token, &result) == VTS_OK);
    THREAD_CHECK(result == value);
    vts__store_rel(&hammer.over[i],
                   token); /* older than what was rented since: over too */
    add(&hammer.operations, 1);
}

static void *hammer_or_operate(void *arg)
{
    worker *w = (worker *)arg;

    while (!load(&hammer.stop)) {
        if (w->id % 2 == 0)
            operate(&w->random);
        else
            be_late(&w->random);
        if (w->id == 0 && now() > hammer.until) store(&hammer.stop, 1);
    }
    return NULL;
}

static void no_stale_call_touches_a_recycled_source(void)
{
    vts_token token[HAMMERED];
    int i;

    memset(&hammer, 0, sizeof hammer);
    never_ran = 0;
    make_pool(&hammer.pool, HAMMERED);
    for (i = 0; i < HAMMERED; i++)
        hammer.at[i] = vts_pool_rent(&hammer.pool, &token[i]);
    for (i = 0; i < HAMMERED; i++) {
        assert_code(vts_source_abandon(hammer.at[i], token[i]), VTS_OK);
    }
    hammer.until = now() + share();
    run_workers(hammer_or_operate, NULL);
    assert_int_equal(never_ran, 0);
    TEST_NOTE("%zu operations, %zu late calls, %zu times exhausted", hammer.operations,
              hammer.attempts, hammer.exhausted);
    assert_code(vts_pool_destroy(&hammer.pool), VTS_OK);
}

// ----------------------------------------------------------------------------------
// Late readers of a bare source's large result
// ----------------------------------------------------------------------------------

typedef struct page {
    unsigned char bytes[200];
} page;

VTS_DECLARE_VALUETASK(page_task, page);

static struct {
    page_task_source source;
    vts_word token; /* the newest; a reader may find it over */
    size_t stop, read, stale, rounds;
    double until;
} paper;

static void write_pages(void)
{
    vts_token token;
    page p;

    while (now() < paper.until) {
        THREAD_CHECK(vts_source_reset(&paper.source.core, &token) == VTS_OK);
        memset(&p, (int)(token >> 5 & 0xff), sizeof p);
        THREAD_CHECK(page_task_set_result(&paper.source, token, &p) == VTS_OK);
        vts__store_rel(&paper.token, token);
        paper.rounds++;
    }
    store(&paper.stop, 1);
}

static void read_page(void)
{
    vts_token token = vts__load_acq(&paper.token);
    page p, want;
    int error;

    memset(&p, 0xee, sizeof p);
    memset(&want, (int)(token >> 5 & 0xff), sizeof want);
    error = page_task_get_result(page_task_valuetask_of(&paper.source, token), &p);
    THREAD_CHECK(error == VTS_OK || error == VTS_E_STALE);
    if (error == VTS_OK) THREAD_CHECK(memcmp(&p, &want, sizeof p) == 0);
    add(error == VTS_OK ? &paper.read : &paper.stale, 1);
}

static void *read_or_write_pages(void *arg)
{
    worker *w = (worker *)arg;

    if (w->id == 0)
        write_pages();
    else
        while (!load(&paper.stop)) read_page();
    return NULL;
}

static void a_late_reader_gets_a_whole_result_or_stale(void)
{
    memset(&paper, 0, sizeof paper);
    page_task_source_init(&paper.source);
    paper.until = now() + share();
    run_workers(read_or_write_pages, NULL);
    TEST_NOTE("%zu results written, %zu read, %zu stale", paper.rounds, paper.read,
              paper.stale);
}

// ----------------------------------------------------------------------------------
// Pools
// ----------------------------------------------------------------------------------

#define HELD 6

typedef struct marked {
    size_t owner; /* 0: in the pool */
    uint64_t value;
} marked;

static struct {
    vts_pool pool;
    size_t stop, gets, ended;
    double until;
    bool exact; /* a get must always give something */
} store_room;

typedef struct hand {
    marked *item[HELD];
    uint64_t value[HELD];
    int count;
} hand;

static void take_one(hand *h, size_t id, uint64_t *random)
{
    marked *item = (marked *)vts_pool_get(&store_room.pool);
    size_t nobody = 0;

    THREAD_CHECK(item != NULL || !store_room.exact);
    if (item == NULL) return;
    THREAD_CHECK(__atomic_compare_exchange_n(&item->owner, &nobody, id, 0,
                                             __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    item->value = next_random(random);
    h->value[h->count] = item->value;
    h->item[h->count++] = item;
    add(&store_room.gets, 1);
}

static void put_one(hand *h, size_t id, int i)
{
    marked *item = h->item[i];

    THREAD_CHECK(item->value == h->value[i]);
    THREAD_CHECK(__atomic_exchange_n(&item->owner, 0, __ATOMIC_RELAXED) == id);
    THREAD_CHECK(vts_pool_put(&store_room.pool, item) == VTS_OK);
    h->item[i] = h->item[--h->count];
    h->value[i] = h->value[h->count];
}

static void handle_some(size_t id, uint64_t *random, size_t steps)
{
    hand h = {{NULL}, {0}, 0};

    for (; steps > 0; steps--) {
        bool more = h.count == 0 || (h.count < HELD && next_random(random) % 2 == 0);
        if (more)
            take_one(&h, id, random);
        else
            put_one(&h, id, (int)(next_random(random) % (uint64_t)h.count));
    }
    while (h.count > 0) put_one(&h, id, 0);
}

static void *get_and_put(void *arg)
{
    worker *w = (worker *)arg;

    while (!load(&store_room.stop)) {
        handle_some(w->id + 1, &w->random, 500);
        if (w->id == 0 && now() > store_room.until) store(&store_room.stop, 1);
    }
    return NULL;
}

static void open_store(uint32_t capacity, int cache, bool exact)
{
    vts_pool_desc desc = {0};

    memset(&store_room, 0, sizeof store_room);
    desc.item_size = sizeof(marked);
    desc.capacity = capacity;
    desc.first = 4;
    desc.cache = cache;
    desc.allocator = &test_allocator;
    assert_code(vts_pool_init(&store_room.pool, &desc), VTS_OK);
    store_room.exact = exact;
    store_room.until = now() + share();
}

/* All came back: everything can be had, each once. */
static void close_store(uint32_t capacity)
{
    static marked *all[1 << 16];
    vts_pool *pool = &store_room.pool;
    uint32_t i;

    assert_int_equal(vts_pool_outstanding(pool), 0);
    for (i = 0; i < capacity; i++) {
        all[i] = (marked *)vts_pool_get(pool);
        assert_non_null(all[i]);
        assert_int_equal(all[i]->owner, 0);
        all[i]->owner = 1;
    }
    assert_null(vts_pool_get(pool));
    assert_int_equal(vts_pool_list_rented(pool, NULL, NULL), capacity);
    for (i = 0; i < capacity; i++) assert_code(vts_pool_put(pool, all[i]), VTS_OK);
    assert_code(vts_pool_destroy(pool), VTS_OK);
    TEST_NOTE("%zu gets, %zu threads ended", store_room.gets, store_room.ended);
}

static void a_pool_without_caches_is_exact_to_the_last_item(void)
{
    open_store(threads * HELD, -1, true);
    run_workers(get_and_put, NULL);
    close_store(threads * HELD);
}

static void a_pool_with_caches_neither_loses_nor_doubles(void)
{
    open_store(threads * (HELD + 16), 8, false);
    run_workers(get_and_put, NULL);
    close_store(threads * (HELD + 16));
}

static void a_pool_at_its_limit_neither_loses_nor_doubles(void)
{
    open_store(threads * HELD / 2 + 1, 4, false);
    run_workers(get_and_put, NULL);
    close_store(threads * HELD / 2 + 1);
}

/* A thread that lives for a few items, and the next. */
static void *live_shortly(void *arg)
{
    worker *w = (worker *)arg;
    handle_some(w->id + 1, &w->random, 50);
    return NULL;
}

static void *start_and_end_threads(void *arg)
{
    worker *w = (worker *)arg;

    while (!load(&store_room.stop)) {
        pthread_t thread;
        THREAD_CHECK(pthread_create(&thread, NULL, live_shortly, w) == 0);
        THREAD_CHECK(pthread_join(thread, NULL) == 0);
        add(&store_room.ended, 1);
        if (w->id == 0 && now() > store_room.until) store(&store_room.stop, 1);
    }
    return NULL;
}

static void ending_threads_strand_nothing(void)
{
    open_store(threads * (HELD + 64), 32, false);
    run_workers(start_and_end_threads, NULL);
    close_store(threads * (HELD + 64));
}

// ----------------------------------------------------------------------------------
// Run queue
// ----------------------------------------------------------------------------------

#define DESKS 64

typedef struct desk {
    vts_source *source;
    vts_token token;
    intptr_t value;
    size_t taken; /* results that somebody got */
    size_t ran;   /* set by the continuation, last */
    size_t *finished;
} desk;

static struct {
    vts_pool pool;
    vts_run_queue queue;
    size_t stop, posters, posted, finished, taken_early, wakes;
    double until;
} office;

static void count_wake(void *user) { add((size_t *)user, 1); }

static void take_result(desk *d, size_t *counter)
{
    intptr_t result = 0;
    int error = vts_source_get_result(d->source, d->token, &result);

    THREAD_CHECK(error == VTS_OK || error == VTS_E_STALE);
    if (error != VTS_OK) return;
    THREAD_CHECK(result == d->value);
    add(&d->taken, 1);
    if (counter != NULL) add(counter, 1);
}

static void run_at_desk(void *arg)
{
    desk *d = (desk *)arg;

    THREAD_CHECK(vts_scheduler_current() == &office.queue.scheduler);
    take_result(d, NULL);
    add(&office.finished, 1);
    add(&d->ran, 1);
}

/* Rents, registers on the queue, completes; sometimes takes the result, too, while the
   continuation is queued or runs. */
static void post_one(desk *d, uint64_t *random)
{
    d->source = vts_pool_rent(&office.pool, &d->token);
    if (d->source == NULL) {
        sched_yield();
        return;
    }
    d->value = (intptr_t)(next_random(random) >> 1);
    d->taken = 0;
    store(&d->ran, 0);
    THREAD_CHECK(vts_source_on_completed(d->source, d->token, run_at_desk, d,
                                         VTS_USE_SCHEDULING_CONTEXT) == VTS_OK);
    THREAD_CHECK(vts_source_set_result(d->source, d->token, d->value) == VTS_OK);
    add(&office.posted, 1);
    if (d->value % 2 == 0) take_result(d, &office.taken_early);
    while (load(&d->ran) == 0) sched_yield();
    THREAD_CHECK(load(&d->ran) == 1);
    THREAD_CHECK(load(&d->taken) == 1);
}

static void *post_or_drain(void *arg)
{
    worker *w = (worker *)arg;
    desk d;

    memset(&d, 0, sizeof d);
    if (w->id == 0) {
        while (load(&office.posters) > 0) {
            if (vts_run_queue_drain(&office.queue) == 0) sched_yield();
            if (now() > office.until) store(&office.stop, 1);
        }
        THREAD_CHECK(vts_run_queue_drain(&office.queue) == 0);
        return NULL;
    }
    vts_scheduler_set_current(&office.queue.scheduler);
    while (!load(&office.stop)) post_one(&d, &w->random);
    __atomic_fetch_sub(&office.posters, 1, __ATOMIC_ACQ_REL);
    return NULL;
}

static void every_posted_continuation_runs_once(void)
{
    memset(&office, 0, sizeof office);
    make_pool(&office.pool, 8);
    vts_run_queue_init(&office.queue, count_wake, &office.wakes);
    office.posters = threads - 1;
    office.until = now() + share();
    run_workers(post_or_drain, NULL);
    assert_int_equal(office.finished, office.posted);
    assert_true(office.wakes <= office.posted);
    assert_true(office.wakes > 0 || office.posted == 0);
    TEST_NOTE("%zu posted, %zu taken while queued, %zu wakes", office.posted,
              office.taken_early, office.wakes);
    assert_code(vts_pool_destroy(&office.pool), VTS_OK);
}

// ----------------------------------------------------------------------------------

static const test_case tests[] = {
    TEST(of_racing_completers_exactly_one_wins),
    TEST(of_racing_registrations_one_wins_and_runs_once),
    TEST(of_racing_consumers_exactly_one_takes_the_result),
    TEST(completion_timeout_and_unregister_agree),
    TEST(abandoning_races_with_everything),
    TEST(forgetting_races_with_registration_and_completion),
    TEST(late_registrations_race_with_consumers),
    TEST(no_stale_call_touches_a_recycled_source),
    TEST(a_late_reader_gets_a_whole_result_or_stale),
    TEST(a_pool_without_caches_is_exact_to_the_last_item),
    TEST(a_pool_with_caches_neither_loses_nor_doubles),
    TEST(a_pool_at_its_limit_neither_loses_nor_doubles),
    TEST(ending_threads_strand_nothing),
    TEST(every_posted_continuation_runs_once),
};

static size_t tests_count(void) { return sizeof tests / sizeof *tests; }

static void read_number(const char *text, double least, double most, double *number)
{
    double given = text != NULL ? strtod(text, NULL) : 0;
    if (given > 0) *number = given < least ? least : given > most ? most : given;
}

int main(int argc, char **argv)
{
    double count = threads;
    int used = 1;

    read_number(getenv("SECONDS"), 0.01, 1e9, &seconds);
    read_number(getenv("THREADS"), 2, THREADS_MOST, &count);
    if (used < argc && argv[used][0] != '-')
        read_number(argv[used++], 0.01, 1e9, &seconds);
    if (used < argc && argv[used][0] != '-') {
        read_number(argv[used++], 2, THREADS_MOST, &count);
    }
    threads = (unsigned)count;
    argv[used - 1] = argv[0];
    return test_main(tests, tests_count(), argc - used + 1, argv + used - 1);
}
