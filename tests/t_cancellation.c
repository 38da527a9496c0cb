/* Cancellation: sources, tokens, registrations, links, and what threads see of them. */
#define _GNU_SOURCE
#include <stdlib.h>

static size_t mallocs;

static void *counted_malloc(size_t size)
{
    __atomic_fetch_add(&mallocs, 1, __ATOMIC_RELAXED);
    return malloc(size);
}

#define malloc(size) counted_malloc(size)
#define VTS_IMPLEMENTATION
#include "vts.h"
#undef malloc
#include "test.h"

typedef vts_cancellation_source source_t;
typedef vts_cancellation_registration registration_t;

static vts_cancellation_token token_of(source_t *source)
{
    return vts_cancellation_token_of(source);
}

/* A callback that notes its order. */
static struct {
    int ran;
    int order[64];
} seen;

static void note(void *arg)
{
    if (seen.ran < 64) seen.order[seen.ran] = *(int *)arg;
    seen.ran++;
}

static void count(void *arg) { ++*(int *)arg; }

static void assert_order(int n, const int *expected)
{
    int i;

    assert_int_equal(seen.ran, n);
    for (i = 0; i < n; i++) assert_int_equal(seen.order[i], expected[i]);
    seen.ran = 0;
}

/* Three registrations that note 0, 1, 2. */
typedef struct three {
    source_t source;
    registration_t registration[3];
    int number[3];
} three;

static three three_registered(void) { return (three){.number = {0, 1, 2}}; }

static void register_three(three *all)
{
    int i;

    seen.ran = 0;
    for (i = 0; i < 3; i++) {
        assert_code(vts_cancellation_register(token_of(&all->source),
                                              &all->registration[i], note,
                                              &all->number[i]),
                    VTS_OK);
    }
}

// ---- one thread ----

static void none_is_never_canceled(void)
{
    registration_t registration = {0};
    int ran = 0, i;

    assert_false(vts_cancellation_is_requested(vts_cancellation_none()));
    for (i = 0; i < 2; i++) {
        assert_code(vts_cancellation_register(vts_cancellation_none(), &registration,
                                              count, &ran),
                    VTS_OK);
    }
    assert_null(registration.source);
    assert_code(vts_cancellation_unregister(&registration), VTS_OK);
    assert_int_equal(ran, 0);
}

static void cancel_runs_each_callback_once_newest_first(void)
{
    three all = three_registered();
    int i;

    register_three(&all);
    assert_false(vts_cancellation_is_requested(token_of(&all.source)));
    assert_code(vts_cancellation_cancel(&all.source), VTS_OK);
    assert_true(vts_cancellation_is_requested(token_of(&all.source)));
    assert_order(3, (int[]){2, 1, 0});
    assert_code(vts_cancellation_cancel(&all.source), VTS_E_ALREADY_COMPLETED);
    assert_int_equal(seen.ran, 0);
    for (i = 0; i < 3; i++) {
        assert_code(vts_cancellation_unregister(&all.registration[i]),
                    VTS_E_ALREADY_COMPLETED);
        assert_code(vts_cancellation_unregister(&all.registration[i]), VTS_OK);
    }
}

static void what_is_unregistered_does_not_run(void)
{
    static const int rest[3][2] = {{2, 1}, {2, 0}, {1, 0}};
    int gone;

    for (gone = 0; gone < 3; gone++) {
        three all = three_registered();
        register_three(&all);
        assert_code(vts_cancellation_unregister(&all.registration[gone]), VTS_OK);
        assert_code(vts_cancellation_unregister(&all.registration[gone]), VTS_OK);
        assert_code(vts_cancellation_cancel(&all.source), VTS_OK);
        assert_order(2, rest[gone]);
    }
}

static void a_registration_is_used_again(void)
{
    three all = three_registered();
    int round;

    for (round = 0; round < 3; round++) {
        register_three(&all);
        assert_code(vts_cancellation_register(token_of(&all.source), &all.registration[1],
                                              note, &all.number[1]),
                    VTS_E_BUSY);
        assert_code(vts_cancellation_unregister(&all.registration[1]), VTS_OK);
        assert_code(vts_cancellation_register(token_of(&all.source), &all.registration[1],
                                              note, &all.number[1]),
                    VTS_OK);
        assert_code(vts_cancellation_cancel(&all.source), VTS_OK);
        assert_order(3, (int[]){1, 2, 0});
        assert_code(vts_cancellation_register(token_of(&all.source), &all.registration[1],
                                              note, &all.number[1]),
                    VTS_E_BUSY);
        assert_code(vts_cancellation_unregister(&all.registration[0]),
                    VTS_E_ALREADY_COMPLETED);
        assert_code(vts_cancellation_unregister(&all.registration[1]),
                    VTS_E_ALREADY_COMPLETED);
        assert_code(vts_cancellation_unregister(&all.registration[2]),
                    VTS_E_ALREADY_COMPLETED);
        assert_code(vts_cancellation_reset(&all.source), VTS_OK);
        assert_false(vts_cancellation_is_requested(token_of(&all.source)));
    }
}

static void registering_on_a_canceled_token_runs_at_once(void)
{
    source_t source = {0};
    registration_t registration = {0};
    int ran = 0;

    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_code(vts_cancellation_register(token_of(&source), &registration, count, &ran),
                VTS_OK);
    assert_int_equal(ran, 1);
    assert_code(vts_cancellation_register(token_of(&source), &registration, count, &ran),
                VTS_E_BUSY);
    assert_code(vts_cancellation_unregister(&registration), VTS_E_ALREADY_COMPLETED);
    assert_code(vts_cancellation_unregister(&registration), VTS_OK);
    assert_int_equal(ran, 1);
}

static void a_disposed_source_says_so(void)
{
    source_t source = {0};
    registration_t registration = {0};
    int ran = 0;

    assert_code(vts_cancellation_register(token_of(&source), &registration, count, &ran),
                VTS_OK);
    assert_code(vts_cancellation_dispose(&source), VTS_E_BUSY);
    assert_code(vts_cancellation_reset(&source), VTS_E_BUSY);
    assert_code(vts_cancellation_unregister(&registration), VTS_OK);
    assert_code(vts_cancellation_dispose(&source), VTS_OK);
    assert_code(vts_cancellation_dispose(&source), VTS_OK);
    assert_false(vts_cancellation_is_requested(token_of(&source)));
    assert_code(vts_cancellation_cancel(&source), VTS_E_CLOSED);
    assert_false(vts_cancellation_is_requested(token_of(&source)));
    assert_code(vts_cancellation_register(token_of(&source), &registration, count, &ran),
                VTS_E_CLOSED);
    assert_null(registration.source);
    assert_int_equal(ran, 0);
    assert_code(vts_cancellation_reset(&source), VTS_OK);
    assert_code(vts_cancellation_register(token_of(&source), &registration, count, &ran),
                VTS_OK);
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_int_equal(ran, 1);
}

/* Whoever asks now and then must not miss it. */
static void a_disposed_source_stays_canceled(void)
{
    source_t source = {0};
    registration_t registration = {0};
    int ran = 0;

    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    assert_code(vts_cancellation_dispose(&source), VTS_OK);
    assert_true(vts_cancellation_is_requested(token_of(&source)));
    assert_code(vts_cancellation_cancel(&source), VTS_E_CLOSED);
    assert_code(vts_cancellation_register(token_of(&source), &registration, count, &ran),
                VTS_E_CLOSED);
    assert_int_equal(ran, 0);
    assert_code(vts_cancellation_dispose(&source), VTS_OK);
    assert_true(vts_cancellation_is_requested(token_of(&source)));
}

static void bad_arguments_are_refused(void)
{
    source_t source = {0};
    registration_t registration = {0};
    int ran = 0;

    assert_code(vts_cancellation_cancel(NULL), VTS_E_ARGUMENT);
    assert_code(vts_cancellation_reset(NULL), VTS_E_ARGUMENT);
    assert_code(vts_cancellation_dispose(NULL), VTS_E_ARGUMENT);
    assert_code(vts_cancellation_unregister(NULL), VTS_E_ARGUMENT);
    assert_code(vts_cancellation_register(token_of(&source), NULL, count, &ran),
                VTS_E_ARGUMENT);
    assert_code(vts_cancellation_register(token_of(&source), &registration, NULL, &ran),
                VTS_E_ARGUMENT);
    assert_code(vts_cancellation_register(vts_cancellation_none(), NULL, count, &ran),
                VTS_E_ARGUMENT);
    assert_code(vts_cancellation_link(NULL, &registration, token_of(&source)),
                VTS_E_ARGUMENT);
    assert_code(vts_cancellation_link(&source, NULL, vts_cancellation_none()),
                VTS_E_ARGUMENT);
    assert_null(registration.source);
    assert_null(source.first);
}

// ---- inside callbacks ----

/* What a callback did, and what it was told. */
typedef struct inside {
    source_t source;
    registration_t first, self, other;
    int code[6];
    int ran, other_ran, first_ran;
    bool requested;
} inside;

static void act_inside(void *arg)
{
    inside *all = (inside *)arg;

    all->ran++;
    all->requested = vts_cancellation_is_requested(token_of(&all->source));
    all->code[0] = vts_cancellation_cancel(&all->source);
    all->code[1] = vts_cancellation_dispose(&all->source);
    all->code[2] = vts_cancellation_reset(&all->source);
    all->code[3] = vts_cancellation_register(token_of(&all->source), &all->other, count,
                                             &all->other_ran);
    all->code[4] = vts_cancellation_unregister(&all->first);
    all->code[5] = vts_cancellation_unregister(&all->self);
}

static void a_callback_may_use_its_source(void)
{
    inside all = {0};

    vts_cancellation_register(token_of(&all.source), &all.first, count, &all.first_ran);
    vts_cancellation_register(token_of(&all.source), &all.self, act_inside, &all);
    assert_code(vts_cancellation_cancel(&all.source), VTS_OK);
    assert_int_equal(all.ran, 1);
    assert_true(all.requested);
    assert_code(all.code[0], VTS_E_ALREADY_COMPLETED);
    assert_code(all.code[1], VTS_E_BUSY);
    assert_code(all.code[2], VTS_E_BUSY);
    assert_code(all.code[3], VTS_OK);
    assert_int_equal(all.other_ran, 1);
    assert_code(all.code[4], VTS_OK);
    assert_int_equal(all.first_ran, 0);
    assert_code(all.code[5], VTS_E_ALREADY_COMPLETED);
    assert_code(vts_cancellation_unregister(&all.self), VTS_OK);
}

static void end_memory(void *arg) { free(arg); }

/* The registration's memory goes in its callback, in cancel and in register. */
static void a_callback_may_end_its_registration(void)
{
    source_t source = {0};
    int i;

    for (i = 0; i < 4; i++) {
        registration_t *registration = (registration_t *)calloc(1, sizeof *registration);
        assert_non_null(registration);
        if (i == 3) assert_code(vts_cancellation_cancel(&source), VTS_OK);
        assert_code(vts_cancellation_register(token_of(&source), registration, end_memory,
                                              registration),
                    VTS_OK);
    }
}

typedef struct again {
    source_t first, second;
    registration_t registration;
    int ran;
} again;

static void move_on(void *arg)
{
    again *all = (again *)arg;

    all->ran++;
    vts_cancellation_unregister(&all->registration);
    vts_cancellation_register(token_of(&all->second), &all->registration, count, &all->ran);
}

static void a_callback_may_register_elsewhere(void)
{
    again all = {0};

    vts_cancellation_register(token_of(&all.first), &all.registration, move_on, &all);
    assert_code(vts_cancellation_cancel(&all.first), VTS_OK);
    assert_int_equal(all.ran, 1);
    assert_ptr_equal(all.registration.source, &all.second);
    assert_code(vts_cancellation_cancel(&all.second), VTS_OK);
    assert_int_equal(all.ran, 2);
    assert_code(vts_cancellation_unregister(&all.registration), VTS_E_ALREADY_COMPLETED);
}

// ---- links ----

static void a_link_carries_downwards_only(void)
{
    source_t parent = {0}, child = {0}, grandchild = {0};
    registration_t link[2] = {{0}}, registration = {0};
    int ran = 0;

    assert_code(vts_cancellation_link(&child, &link[0], token_of(&parent)), VTS_OK);
    assert_code(vts_cancellation_link(&grandchild, &link[1], token_of(&child)), VTS_OK);
    vts_cancellation_register(token_of(&grandchild), &registration, count, &ran);
    assert_code(vts_cancellation_link(&child, &link[0], token_of(&parent)), VTS_E_BUSY);
    assert_code(vts_cancellation_cancel(&child), VTS_OK);
    assert_false(vts_cancellation_is_requested(token_of(&parent)));
    assert_true(vts_cancellation_is_requested(token_of(&grandchild)));
    assert_int_equal(ran, 1);
    assert_code(vts_cancellation_cancel(&parent), VTS_OK);
    assert_int_equal(ran, 1);
    assert_code(vts_cancellation_unregister(&link[0]), VTS_E_ALREADY_COMPLETED);
}

static void a_child_has_any_number_of_parents(void)
{
    source_t parent[3] = {{0}}, child = {0};
    registration_t link[3] = {{0}};
    int i;

    for (i = 0; i < 3; i++) {
        assert_code(vts_cancellation_link(&child, &link[i], token_of(&parent[i])), VTS_OK);
    }
    assert_code(vts_cancellation_unregister(&link[0]), VTS_OK);
    assert_code(vts_cancellation_cancel(&parent[0]), VTS_OK);
    assert_false(vts_cancellation_is_requested(token_of(&child)));
    assert_code(vts_cancellation_cancel(&parent[2]), VTS_OK);
    assert_true(vts_cancellation_is_requested(token_of(&child)));
    assert_code(vts_cancellation_cancel(&parent[1]), VTS_OK);
    assert_code(vts_cancellation_cancel(&child), VTS_E_ALREADY_COMPLETED);
}

static void a_link_to_what_is_over(void)
{
    source_t canceled = {0}, closed = {0}, child = {0}, spared = {0};
    registration_t link[3] = {{0}};

    vts_cancellation_cancel(&canceled);
    vts_cancellation_dispose(&closed);
    assert_code(vts_cancellation_link(&spared, &link[0], token_of(&closed)), VTS_E_CLOSED);
    assert_code(vts_cancellation_link(&spared, &link[1], vts_cancellation_none()), VTS_OK);
    assert_false(vts_cancellation_is_requested(token_of(&spared)));
    assert_code(vts_cancellation_link(&child, &link[2], token_of(&canceled)), VTS_OK);
    assert_true(vts_cancellation_is_requested(token_of(&child)));
}

// ---- operations ----

typedef struct operation {
    vts_source *source;
    vts_token token;
    int code;
} operation;

static void cancel_operation(void *arg)
{
    operation *late = (operation *)arg;
    late->code = vts_source_set_canceled(late->source, late->token, 0);
}

/* A pool of one: the second operation has the first one's source, and a cancel that still
   means the first does not touch it. */
static void a_late_cancel_does_not_touch_the_next_operation(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    vts_pool pool;
    vts_pool_desc desc = {0};
    source_t cancel = {0};
    registration_t registration = {0};
    operation first = {0}, second = {0};
    size_t before = mallocs;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    first.source = vts_pool_rent(&pool, &first.token);
    vts_cancellation_register(token_of(&cancel), &registration, cancel_operation, &first);
    vts_source_set_result(first.source, first.token, 1);
    assert_code(vts_source_get_result(first.source, first.token, NULL), VTS_OK);
    second.source = vts_pool_rent(&pool, &second.token);
    assert_ptr_equal(second.source, first.source);
    assert_code(vts_cancellation_cancel(&cancel), VTS_OK);
    assert_code(first.code, VTS_E_STALE);
    assert_code(vts_source_get_status(second.source, second.token), VTS_PENDING);
    cancel_operation(&second);
    assert_code(second.code, VTS_OK);
    assert_code(vts_source_get_result(second.source, second.token, NULL), VTS_E_CANCELED);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
    assert_int_equal(mallocs, before);
}

#define MANY 10000

/* Random ones leave; the others run in the reverse of their order, each once. */
static void any_of_many_may_leave(void)
{
    static registration_t registration[MANY];
    static int ran[MANY];
    source_t source = {0};
    size_t before = mallocs;
    int left = 0, i;

    memset(registration, 0, sizeof registration);
    memset(ran, 0, sizeof ran);
    for (i = 0; i < MANY; i++) {
        assert_code(vts_cancellation_register(token_of(&source), &registration[i], count,
                                              &ran[i]),
                    VTS_OK);
        while ((test_random() & 1) != 0) {
            size_t n = (size_t)(test_random() % (uint64_t)(i + 1));
            bool is = registration[n].source != NULL;
            assert_code(vts_cancellation_unregister(&registration[n]), VTS_OK);
            if (is) ran[n] = -1;
        }
    }
    for (i = 0; i < MANY; i++) left += ran[i] == 0;
    assert_true(left > MANY / 10 && left < MANY * 9 / 10);
    assert_code(vts_cancellation_cancel(&source), VTS_OK);
    for (i = 0; i < MANY; i++) assert_int_equal(ran[i], registration[i].source ? 1 : -1);
    assert_int_equal(mallocs, before);
}

// ---- threads ----

static void set(vts_word *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }
static bool is_set(vts_word *flag) { return __atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0; }

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void wait_for(vts_word *flag)
{
    while (!is_set(flag)) sleep_ms(1);
}

/* A callback that stands still until it is told to go on. */
typedef struct slow {
    source_t source;
    registration_t registration, other;
    vts_word entered, release, returned;
    int plain; /* written by the callback: what the waiter sees                       */
    int code, others;
} slow;

static void stand_still(void *arg)
{
    slow *all = (slow *)arg;

    set(&all->entered);
    wait_for(&all->release);
    all->plain = 1;
}

static void *cancel_slowly(void *arg)
{
    THREAD_CHECK(vts_cancellation_cancel(&((slow *)arg)->source) == VTS_OK);
    return NULL;
}

static void *unregister_slowly(void *arg)
{
    slow *all = (slow *)arg;

    all->code = vts_cancellation_unregister(&all->registration);
    THREAD_CHECK(all->plain == 1);
    set(&all->returned);
    return NULL;
}

static void unregister_waits_for_a_callback_on_another_thread(void)
{
    slow all = {0};
    test_thread canceler, waiter;

    vts_cancellation_register(token_of(&all.source), &all.other, count, &all.others);
    vts_cancellation_register(token_of(&all.source), &all.registration, stand_still, &all);
    canceler = test_thread_start(cancel_slowly, &all, 0);
    wait_for(&all.entered);
    waiter = test_thread_start(unregister_slowly, &all, 0);
    sleep_ms(30);
    assert_false(is_set(&all.returned));
    assert_code(vts_cancellation_cancel(&all.source), VTS_E_ALREADY_COMPLETED);
    assert_code(vts_cancellation_unregister(&all.other), VTS_OK);
    assert_code(vts_cancellation_dispose(&all.source), VTS_E_BUSY);
    assert_code(vts_cancellation_reset(&all.source), VTS_E_BUSY);
    set(&all.release);
    test_thread_join(waiter);
    test_thread_join(canceler);
    assert_code(all.code, VTS_E_ALREADY_COMPLETED);
    assert_int_equal(all.others, 0);
    assert_code(vts_cancellation_dispose(&all.source), VTS_OK);
}

/* The wait is for this callback, not for those that come after it. */
static void unregister_of_one_that_has_run_does_not_wait(void)
{
    slow all = {0};
    test_thread canceler;

    vts_cancellation_register(token_of(&all.source), &all.registration, stand_still, &all);
    vts_cancellation_register(token_of(&all.source), &all.other, count, &all.others);
    canceler = test_thread_start(cancel_slowly, &all, 0);
    wait_for(&all.entered);
    assert_code(vts_cancellation_unregister(&all.other), VTS_E_ALREADY_COMPLETED);
    assert_int_equal(all.others, 1);
    set(&all.release);
    test_thread_join(canceler);
    assert_code(vts_cancellation_unregister(&all.registration), VTS_E_ALREADY_COMPLETED);
}

/* Rounds in which threads meet: nobody starts before all are there. */
typedef struct meeting {
    source_t source;
    registration_t registration[4];
    vts_word arrived, rounds;
    vts_word ended; /* rounds in which unregister has returned                        */
    int ran[4], won;
    int plain;
} meeting;

static void meet(meeting *all, vts_word threads, vts_word round)
{
    __atomic_fetch_add(&all->arrived, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&all->arrived, __ATOMIC_ACQUIRE) < threads * (round + 1)) {
        sched_yield();
    }
}

static void spin(int n)
{
    volatile int i;
    for (i = 0; i < n; i++) {}
}

static void add(void *arg) { __atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED); }

static void plainly(void *arg) { ++*(int *)arg; }

static void *cancel_each_round(void *arg)
{
    meeting *all = (meeting *)arg;
    vts_word round;

    for (round = 0; round < all->rounds; round++) {
        meet(all, 2, 2 * round);
        THREAD_CHECK(vts_cancellation_cancel(&all->source) == VTS_OK);
        meet(all, 2, 2 * round + 1);
    }
    return NULL;
}

/* The same, after unregister in each eighth round. */
static void *cancel_now_and_then_later(void *arg)
{
    meeting *all = (meeting *)arg;
    vts_word round;

    for (round = 0; round < all->rounds; round++) {
        meet(all, 2, 2 * round);
        spin((int)(round % 16) * 40);
        while (round % 8 == 1 && __atomic_load_n(&all->ended, __ATOMIC_RELAXED) <= round) {
            sched_yield();
        }
        THREAD_CHECK(vts_cancellation_cancel(&all->source) == VTS_OK);
        meet(all, 2, 2 * round + 1);
    }
    return NULL;
}

/* Who unregisters may end what the callback uses: it ran before, or never will. */
static void unregister_races_cancel(void)
{
    meeting all = {0};
    test_thread canceler;
    vts_word round;
    int before = 0, after = 0;

    all.rounds = 3000;
    canceler = test_thread_start(cancel_now_and_then_later, &all, 0);
    for (round = 0; round < all.rounds; round++) {
        int code, ran = all.ran[0];
        vts_cancellation_register(token_of(&all.source), &all.registration[0], plainly,
                                  &all.ran[0]);
        meet(&all, 2, 2 * round);
        spin((int)(round % 7) * 40);
        while (round % 8 == 2 && !vts_cancellation_is_requested(token_of(&all.source))) {
            sched_yield();
        }
        code = vts_cancellation_unregister(&all.registration[0]);
        __atomic_store_n(&all.ended, round + 1, __ATOMIC_RELAXED);
        THREAD_CHECK(all.ran[0] == ran + (code == VTS_E_ALREADY_COMPLETED));
        THREAD_CHECK(code == VTS_OK || code == VTS_E_ALREADY_COMPLETED);
        before += code == VTS_OK;
        after += code != VTS_OK;
        meet(&all, 2, 2 * round + 1);
        THREAD_CHECK(vts_cancellation_reset(&all.source) == VTS_OK);
    }
    test_thread_join(canceler);
    assert_true(before > 0 && after > 0);
    TEST_NOTE("unregister first in %d rounds, cancel in %d", before, after);
}

static void register_races_cancel(void)
{
    meeting all = {0};
    test_thread canceler;
    vts_word round;
    int i;

    all.rounds = 2000;
    canceler = test_thread_start(cancel_each_round, &all, 0);
    for (round = 0; round < all.rounds; round++) {
        meet(&all, 2, 2 * round);
        for (i = 0; i < 4; i++) {
            int code = vts_cancellation_register(token_of(&all.source),
                                                 &all.registration[i], add, &all.ran[i]);
            THREAD_CHECK(code == VTS_OK);
        }
        meet(&all, 2, 2 * round + 1);
        for (i = 0; i < 4; i++) {
            int code = vts_cancellation_unregister(&all.registration[i]);
            THREAD_CHECK(code == VTS_E_ALREADY_COMPLETED);
            THREAD_CHECK(all.ran[i] == (int)round + 1);
        }
        THREAD_CHECK(vts_cancellation_reset(&all.source) == VTS_OK);
    }
    test_thread_join(canceler);
}

static void *cancel_together(void *arg)
{
    meeting *all = (meeting *)arg;
    vts_word round;

    for (round = 0; round < all->rounds; round++) {
        int code;
        meet(all, 4, 2 * round);
        code = vts_cancellation_cancel(&all->source);
        if (code == VTS_OK) all->won++;
        else THREAD_CHECK(code == VTS_E_ALREADY_COMPLETED);
        meet(all, 4, 2 * round + 1);
        if (code == VTS_OK) vts_cancellation_reset(&all->source);
    }
    return NULL;
}

static void of_racing_cancels_one_wins(void)
{
    meeting all = {0};
    test_thread thread[4];
    int i;

    all.rounds = 300;
    for (i = 0; i < 4; i++) thread[i] = test_thread_start(cancel_together, &all, 0);
    for (i = 0; i < 4; i++) test_thread_join(thread[i]);
    assert_int_equal(all.won, 300);
}

static void *ask_until_requested(void *arg)
{
    meeting *all = (meeting *)arg;

    while (!vts_cancellation_is_requested(token_of(&all->source))) sched_yield();
    THREAD_CHECK(all->plain == 42);
    return NULL;
}

static void who_sees_the_cancellation_sees_what_came_before(void)
{
    meeting all = {0};
    test_thread thread = test_thread_start(ask_until_requested, &all, 0);

    all.plain = 42;
    assert_code(vts_cancellation_cancel(&all.source), VTS_OK);
    test_thread_join(thread);
}

/* Threads that register and unregister their own while one cancels and resets. */
typedef struct crowd {
    source_t source;
    vts_word stop;
} crowd;

static void *come_and_go(void *arg)
{
    crowd *all = (crowd *)arg;
    int ran = 0, expected = 0;
    registration_t registration = {0};

    while (!is_set(&all->stop)) {
        int code = vts_cancellation_register(token_of(&all->source), &registration, plainly,
                                             &ran);
        THREAD_CHECK(code == VTS_OK);
        code = vts_cancellation_unregister(&registration);
        expected += code == VTS_E_ALREADY_COMPLETED;
        THREAD_CHECK(ran == expected);
    }
    return NULL;
}

static void registrations_come_and_go_while_it_cancels(void)
{
    crowd all = {{0}, 0};
    test_thread thread[3];
    int canceled = 0, i;

    for (i = 0; i < 3; i++) thread[i] = test_thread_start(come_and_go, &all, 0);
    for (i = 0; i < 1500; i++) {
        if (vts_cancellation_cancel(&all.source) == VTS_OK) canceled++;
        while (vts_cancellation_reset(&all.source) != VTS_OK) sched_yield();
        if (i % 16 == 0) sleep_ms(1);
    }
    set(&all.stop);
    for (i = 0; i < 3; i++) test_thread_join(thread[i]);
    assert_int_equal(canceled, 1500);
    assert_code(vts_cancellation_dispose(&all.source), VTS_OK);
}

static const test_case tests[] = {
    TEST(none_is_never_canceled),
    TEST(cancel_runs_each_callback_once_newest_first),
    TEST(what_is_unregistered_does_not_run),
    TEST(a_registration_is_used_again),
    TEST(registering_on_a_canceled_token_runs_at_once),
    TEST(a_disposed_source_says_so),
    TEST(a_disposed_source_stays_canceled),
    TEST(bad_arguments_are_refused),
    TEST(a_callback_may_use_its_source),
    TEST(a_callback_may_end_its_registration),
    TEST(a_callback_may_register_elsewhere),
    TEST(a_link_carries_downwards_only),
    TEST(a_child_has_any_number_of_parents),
    TEST(a_link_to_what_is_over),
    TEST(a_late_cancel_does_not_touch_the_next_operation),
    TEST(any_of_many_may_leave),
    TEST(unregister_waits_for_a_callback_on_another_thread),
    TEST(unregister_of_one_that_has_run_does_not_wait),
    TEST(unregister_races_cancel),
    TEST(register_races_cancel),
    TEST(of_racing_cancels_one_wins),
    TEST(who_sees_the_cancellation_sees_what_came_before),
    TEST(registrations_come_and_go_while_it_cancels),
};

TEST_MAIN(tests)
