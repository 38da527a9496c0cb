/* One call in the middle of another: before each atomic operation of the first, in turn,
   the whole second call happens, as if another thread had come just then. Whatever the
   gap, the outcome is one that the calls have one after the other. */
#define VTS_ATOMICS_HEADER "tests/meanwhile.h"
#define VTS__TOKEN_MASK ((vts_word)0xe0) /* seven generations, then the first again */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#define GENERATION ((vts_token)32)
#define GENERATIONS 7
#define SHELF 3

typedef struct page {
    unsigned char bytes[20];
} page;

VTS_DECLARE_VALUETASK(page_task, page);

typedef struct job {
    vts_work work;
    int ran;
} job;

/* Two calls on one source, queue or pool, what they returned, and what ran. */
typedef struct scene {
    vts_pool pool;
    VTS_POOL_STORAGE(storage, vts_source, 1);
    vts_run_queue queue;
    vts_source bare;
    vts_source *source;
    vts_token token, pooled; /* of the operation; of the pool's source */
    unsigned flags;
    bool behind; /* the second call came behind the first */
    int first, second; /* codes, or how many a drain ran */
    int ran, ran_second;
    intptr_t result, result_second;
    job job, job_second;
    vts_pool shelf;
    VTS_POOL_STORAGE(items, vts_word, SHELF);
    void *held, *item, *item_second;
} scene;

typedef void (*act)(scene *s);

static void count(void *arg) { ++*(int *)arg; }

/* A pooled source with its operation pending, and a queue as scheduler. */
static void rent(scene *s)
{
    vts_pool_desc desc = {0};

    memset(s, 0, sizeof *s);
    desc.storage = s->storage;
    desc.storage_size = sizeof s->storage;
    assert_code(vts_pool_init(&s->pool, &desc), VTS_OK);
    s->source = vts_pool_rent(&s->pool, &s->token);
    assert_non_null(s->source);
    s->pooled = s->token;
    vts_run_queue_init(&s->queue, NULL, NULL);
    vts_scheduler_set_current(&s->queue.scheduler);
    s->result = s->result_second = -1;
}

/* A bare one; the pool is left as it was. */
static void arm(scene *s)
{
    rent(s);
    assert_code(vts_source_abandon(s->source, s->token), VTS_OK);
    s->source = &s->bare;
    assert_code(vts_source_reset(s->source, &s->token), VTS_OK);
}

static void succeed(scene *s)
{
    assert_code(vts_source_set_result(s->source, s->token, 7), VTS_OK);
}

static void fault(scene *s)
{
    assert_code(vts_source_set_error(s->source, s->token, -5), VTS_OK);
}

/* Registered with the queue, completed: the continuation waits in the queue. */
static void queue(scene *s)
{
    assert_code(vts_source_on_completed(s->source, s->token, count, &s->ran,
                                        VTS_USE_SCHEDULING_CONTEXT),
                VTS_OK);
    vts_scheduler_set_current(NULL);
    succeed(s);
    assert_int_equal(s->ran, 0);
}

// ---- the calls, each as the first and as the second ----

static void first_registers(scene *s)
{
    s->first = vts_source_on_completed(s->source, s->token, count, &s->ran, s->flags);
}

static void second_registers(scene *s)
{
    s->second =
        vts_source_on_completed(s->source, s->token, count, &s->ran_second, s->flags);
}

static void first_completes(scene *s)
{
    s->first = vts_source_set_result(s->source, s->token, 1);
}

static void second_completes(scene *s)
{
    s->second = vts_source_set_result(s->source, s->token, 2);
}

static void first_takes(scene *s)
{
    s->first = vts_source_get_result(s->source, s->token, &s->result);
}

static void second_takes(scene *s)
{
    s->second = vts_source_get_result(s->source, s->token, &s->result_second);
}

static void second_completes_and_takes(scene *s)
{
    assert_code(vts_source_set_result(s->source, s->token, 2), VTS_OK);
    second_takes(s);
}

static void first_forgets(scene *s)
{
    s->first = vts_valuetask_forget(vts_valuetask_of(s->source, s->token));
}

static void first_unregisters(scene *s)
{
    s->first = vts_source_unregister(s->source, s->token);
}

static void second_unregisters(scene *s)
{
    s->second = vts_source_unregister(s->source, s->token);
}

static void second_abandons(scene *s)
{
    s->second = vts_source_abandon(s->source, s->token);
}

static void first_resets(scene *s)
{
    vts_token token;
    s->first = vts_source_reset(s->source, &token);
}

static void second_resets(scene *s)
{
    vts_token token;
    s->second = vts_source_reset(s->source, &token);
}

static void second_drains(scene *s) { s->second = vts_run_queue_drain(&s->queue); }

// ---- every gap ----

typedef struct between {
    act call;
    scene *scene;
} between;

static void get_between(void *arg)
{
    between *b = (between *)arg;
    b->call(b->scene);
}

/* The last time there is no such gap: the second call comes behind the first. */
static void in_every_gap(act begin, act also, act first, act second, act check,
                         unsigned flags)
{
    static scene s;
    between b = {second, &s};
    unsigned gap;
    bool behind = false;

    for (gap = 0; !behind; gap++) {
        begin(&s);
        s.flags = flags;
        if (also != NULL) also(&s);
        meanwhile.arg = &b;
        meanwhile.turn = gap;
        meanwhile.call = get_between;
        first(&s);
        behind = meanwhile.call != NULL;
        meanwhile.call = NULL;
        if (behind) second(&s);
        s.behind = behind;
        check(&s);
        vts_scheduler_set_current(NULL);
    }
    assert_true(gap > 1);
}

static void with_all_flags(act begin, act also, act first, act second, act check)
{
    unsigned flags;

    for (flags = 0; flags < 4; flags++)
        in_every_gap(begin, also, first, second, check, flags);
}

/* The pool's one source is home: it can be rented, once, for the next operation. */
static void assert_home(scene *s)
{
    vts_token token, none;
    vts_source *source = vts_pool_rent(&s->pool, &token);

    assert_non_null(source);
    assert_int_equal(token, s->pooled + GENERATION);
    assert_null(vts_pool_rent(&s->pool, &none));
    assert_code(vts_source_abandon(source, token), VTS_OK);
    assert_int_equal(vts_pool_outstanding(&s->pool), 0);
}

// ----------------------------------------------------------------------------------
// Registration and completion
// ----------------------------------------------------------------------------------

static void assert_ran_once(scene *s)
{
    assert_code(s->first, VTS_OK);
    assert_code(s->second, VTS_OK);
    vts_run_queue_drain(&s->queue);
    assert_int_equal(s->ran + s->ran_second, 1);
    assert_code(vts_source_on_completed(s->source, s->token, count, &s->ran, 0),
                VTS_E_ALREADY_AWAITED);
    assert_code(vts_source_get_result(s->source, s->token, &s->result), VTS_OK);
    assert_home(s);
}

static void a_completion_during_registration_runs_it_once(void)
{
    with_all_flags(arm, NULL, first_registers, second_completes, assert_ran_once);
    with_all_flags(rent, NULL, first_registers, second_completes, assert_ran_once);
}

static void a_registration_during_completion_runs_once(void)
{
    with_all_flags(arm, NULL, first_completes, second_registers, assert_ran_once);
    with_all_flags(rent, NULL, first_completes, second_registers, assert_ran_once);
}

/* Who registers in time is run, though the source is somebody else's by then. */
static void assert_ran_if_registered(scene *s)
{
    assert_true(s->first == VTS_OK || s->first == VTS_E_STALE);
    assert_code(s->second, VTS_OK);
    assert_int_equal(s->result_second, 2);
    vts_run_queue_drain(&s->queue);
    assert_int_equal(s->ran, s->first == VTS_OK);
    assert_home(s);
}

/* Behind the registration its continuation may be queued still: who takes is served. */
static void a_source_taken_during_registration_goes_home_once(void)
{
    with_all_flags(rent, NULL, first_registers, second_completes_and_takes,
                   assert_ran_if_registered);
}

static void assert_one_registered(scene *s)
{
    assert_true((s->first == VTS_OK && s->second == VTS_E_ALREADY_AWAITED) ||
                (s->first == VTS_E_ALREADY_AWAITED && s->second == VTS_OK));
    succeed(s);
    vts_run_queue_drain(&s->queue);
    assert_int_equal(s->ran, s->first == VTS_OK);
    assert_int_equal(s->ran_second, s->second == VTS_OK);
}

static void of_two_registrations_one_wins(void)
{
    with_all_flags(arm, NULL, first_registers, second_registers, assert_one_registered);
    with_all_flags(rent, NULL, first_registers, second_registers, assert_one_registered);
}

/* An unregistration that succeeds leaves nothing to run. */
static void assert_ran_unless_taken_back(scene *s)
{
    assert_code(s->first, VTS_OK);
    assert_true(s->second == VTS_OK || s->second == VTS_E_NOT_AWAITED);
    vts_source_set_result(s->source, s->token, 3);
    vts_run_queue_drain(&s->queue);
    assert_int_equal(s->ran, s->second != VTS_OK);
}

static void await(scene *s)
{
    first_registers(s);
    assert_code(s->first, VTS_OK);
}

static void a_registration_is_taken_back_whole_or_not_at_all(void)
{
    with_all_flags(arm, NULL, first_registers, second_unregisters,
                   assert_ran_unless_taken_back);
    with_all_flags(arm, await, first_completes, second_unregisters,
                   assert_ran_unless_taken_back);
}

/* The registration is the second's. */
static void await_second(scene *s)
{
    second_registers(s);
    assert_code(s->second, VTS_OK);
}

static void assert_ran_unless_in_time(scene *s)
{
    assert_true(s->first == VTS_OK || s->first == VTS_E_NOT_AWAITED);
    assert_code(s->second, VTS_OK);
    vts_run_queue_drain(&s->queue);
    assert_int_equal(s->ran_second, s->first != VTS_OK);
    assert_code(vts_source_get_result(s->source, s->token, &s->result), VTS_OK);
    assert_int_equal(s->result, 2);
}

static void an_unregistration_during_a_completion_is_in_time_or_too_late(void)
{
    with_all_flags(arm, await_second, first_unregisters, second_completes,
                   assert_ran_unless_in_time);
}

static void assert_one_unregistered(scene *s)
{
    assert_true((s->first == VTS_OK && s->second == VTS_E_NOT_AWAITED) ||
                (s->first == VTS_E_NOT_AWAITED && s->second == VTS_OK));
    succeed(s);
    assert_int_equal(vts_run_queue_drain(&s->queue), 0);
    assert_int_equal(s->ran_second, 0);
}

static void of_two_unregistrations_one_succeeds(void)
{
    with_all_flags(arm, await_second, first_unregisters, second_unregisters,
                   assert_one_unregistered);
}

static void assert_one_completed(scene *s)
{
    assert_true((s->first == VTS_OK && s->second == VTS_E_ALREADY_COMPLETED) ||
                (s->first == VTS_E_ALREADY_COMPLETED && s->second == VTS_OK));
    vts_run_queue_drain(&s->queue);
    assert_code(vts_source_get_result(s->source, s->token, &s->result), VTS_OK);
    assert_int_equal(s->result, s->first == VTS_OK ? 1 : 2);
    assert_home(s);
}

static void of_two_completions_one_wins(void)
{
    with_all_flags(rent, NULL, first_completes, second_completes, assert_one_completed);
    with_all_flags(rent, await_second, first_completes, second_completes,
                   assert_one_completed);
}

static void assert_completed_or_abandoned(scene *s)
{
    if (s->second != VTS_OK) {
        assert_code(s->first, VTS_OK);
        assert_code(s->second, VTS_E_ALREADY_COMPLETED);
        first_takes(s);
        assert_int_equal(s->result, 1);
    }
    assert_code(s->first, s->second == VTS_OK ? VTS_E_STALE : VTS_OK);
    assert_home(s);
}

static void an_operation_is_completed_or_abandoned(void)
{
    in_every_gap(rent, NULL, first_completes, second_abandons,
                 assert_completed_or_abandoned, 0);
}

// ----------------------------------------------------------------------------------
// The result
// ----------------------------------------------------------------------------------

static void assert_one_took(scene *s)
{
    assert_true((s->first == VTS_OK && s->second == VTS_E_STALE) ||
                (s->first == VTS_E_STALE && s->second == VTS_OK));
    assert_int_equal(s->result_second, s->second == VTS_OK ? 7 : -1);
    assert_home(s);
}

static void of_two_consumers_one_gets_the_result(void)
{
    in_every_gap(rent, succeed, first_takes, second_takes, assert_one_took, 0);
    in_every_gap(rent, succeed, first_forgets, second_takes, assert_one_took, 0);
}

/* The same while the continuation is queued: who consumes leaves the source to it. */
static void assert_one_took_then_ran(scene *s)
{
    vts_token none;

    assert_null(vts_pool_rent(&s->pool, &none)); /* not home yet */
    assert_int_equal(vts_run_queue_drain(&s->queue), 1);
    assert_int_equal(s->ran, 1);
    assert_one_took(s);
}

static void of_two_consumers_of_a_pinned_source_one_gets_the_result(void)
{
    in_every_gap(rent, queue, first_takes, second_takes, assert_one_took_then_ran, 0);
    in_every_gap(rent, queue, first_forgets, second_takes, assert_one_took_then_ran, 0);
}

static void assert_took_and_ran(scene *s)
{
    assert_code(s->first, VTS_OK);
    assert_int_equal(s->second, 1);
    assert_int_equal(s->ran, 1);
    assert_home(s);
}

static void a_source_unpinned_while_it_is_consumed_goes_home_once(void)
{
    in_every_gap(rent, queue, first_takes, second_drains, assert_took_and_ran, 0);
    in_every_gap(rent, queue, first_forgets, second_drains, assert_took_and_ran, 0);
}

/* Too early, or the result. */
static void assert_early_or_there(scene *s)
{
    assert_code(s->second, VTS_OK);
    if (s->first == VTS_E_NOT_COMPLETED) {
        assert_int_equal(s->result, -1);
        first_takes(s);
    }
    assert_code(s->first, VTS_OK);
    assert_int_equal(s->result, 2);
    assert_home(s);
}

static void a_result_is_not_there_or_whole(void)
{
    in_every_gap(arm, NULL, first_takes, second_completes, assert_early_or_there, 0);
    in_every_gap(rent, NULL, first_takes, second_completes, assert_early_or_there, 0);
}

/* The operation's own result or error, or none: stale, and nothing written. */
static void assert_read_or_stale(scene *s)
{
    assert_code(s->second, VTS_OK);
    if (s->first == VTS_E_STALE) {
        assert_int_equal(s->result, -1);
    } else if (s->first == VTS_OK) {
        assert_int_equal(s->result, 7);
    } else {
        assert_code(s->first, -5);
        assert_int_equal(s->result, -1);
    }
}

static void a_reset_during_a_read_shows(void)
{
    in_every_gap(arm, succeed, first_takes, second_resets, assert_read_or_stale, 0);
    in_every_gap(arm, fault, first_takes, second_resets, assert_read_or_stale, 0);
}

/* As many operations as there are generations, the last one canceled: its token is the
   reader's again. */
static void second_resets_all_round(scene *s)
{
    vts_token token = s->token;
    int i;

    for (i = 0; i < GENERATIONS; i++) {
        assert_code(vts_source_reset(s->source, &token), VTS_OK);
        assert_code(vts_source_set_canceled(s->source, token, -9), VTS_OK);
    }
    assert_int_equal(token, s->token);
}

/* A result of more than one word, overwritten by that of the next operation. */
static struct {
    page_task_source source;
    page page;
} typed;

static void write_page(vts_token token, int byte)
{
    page value;

    memset(&value, byte, sizeof value);
    assert_code(page_task_set_result(&typed.source, token, &value), VTS_OK);
}

static void arm_page(scene *s)
{
    memset(s, 0, sizeof *s);
    memset(&typed, 0, sizeof typed);
    memset(&typed.page, 0xee, sizeof typed.page);
    assert_code(page_task_reset(&typed.source, &s->token), VTS_OK);
    write_page(s->token, 1);
}

static void first_takes_page(scene *s)
{
    s->first = page_task_get_result(page_task_valuetask_of(&typed.source, s->token),
                                    &typed.page);
}

static void second_writes_the_next_page(scene *s)
{
    vts_token token;

    s->second = page_task_reset(&typed.source, &token);
    write_page(token, 2);
}

static void assert_page_whole(scene *s)
{
    page want;

    assert_true(s->first == VTS_OK || s->first == VTS_E_STALE);
    assert_code(s->second, VTS_OK);
    memset(&want, s->first == VTS_OK ? 1 : 0xee, sizeof want);
    assert_memory_equal(&typed.page, &want, sizeof want);
}

static void a_larger_result_is_read_whole_or_not_at_all(void)
{
    in_every_gap(arm_page, NULL, first_takes_page, second_writes_the_next_page,
                 assert_page_whole, 0);
}

static void assert_not_mixed(scene *s)
{
    assert_true(s->first == VTS_OK || s->first == -5 || s->first == -9 ||
                s->first == VTS_E_STALE);
    assert_int_equal(s->result, s->first == VTS_OK ? 7 : -1);
}

static void all_generations_during_a_read_mix_no_two_operations(void)
{
    in_every_gap(arm, succeed, first_takes, second_resets_all_round, assert_not_mixed, 0);
    in_every_gap(arm, fault, first_takes, second_resets_all_round, assert_not_mixed, 0);
}

static void assert_reset_or_pinned(scene *s)
{
    if (s->first == VTS_OK) {
        assert_true(s->second == VTS_OK || s->second == VTS_E_STALE);
    } else {
        assert_code(s->first, VTS_E_PENDING);
        assert_code(s->second, VTS_OK);
        assert_int_equal(s->ran_second, 0);
    }
    assert_int_equal(vts_run_queue_drain(&s->queue), s->first != VTS_OK);
    assert_int_equal(s->ran_second, s->second == VTS_OK);
}

/* The queue is not this thread's: a late registration is posted, and pins. */
static void succeed_elsewhere(scene *s)
{
    static vts_source_ops ops;

    ops = vts_source_ops_of(&s->queue.scheduler);
    vts_source_init(s->source, &ops);
    assert_code(vts_source_reset(s->source, &s->token), VTS_OK);
    vts_scheduler_set_current(NULL);
    succeed(s);
}

static void a_reset_sees_the_registration_that_pins_the_source(void)
{
    in_every_gap(arm, succeed_elsewhere, first_resets, second_registers,
                 assert_reset_or_pinned, 0);
    in_every_gap(arm, succeed, first_resets, second_registers, assert_reset_or_pinned, 0);
}

// ----------------------------------------------------------------------------------
// The run queue
// ----------------------------------------------------------------------------------

static void do_job(vts_work *work) { vts__container_of(work, job, work)->ran++; }

static void prepare_jobs(scene *s)
{
    memset(s, 0, sizeof *s);
    vts_run_queue_init(&s->queue, NULL, NULL);
    s->job.work.run = s->job_second.work.run = do_job;
}

static void first_posts(scene *s)
{
    vts_scheduler_post(&s->queue.scheduler, &s->job.work);
}

static void second_posts(scene *s)
{
    vts_scheduler_post(&s->queue.scheduler, &s->job_second.work);
}

static void first_drains(scene *s) { s->first = vts_run_queue_drain(&s->queue); }

static void assert_all_ran(scene *s)
{
    int later = vts_run_queue_drain(&s->queue);

    assert_int_equal(s->first + later, 2);
    assert_int_equal(s->job.ran, 1);
    assert_int_equal(s->job_second.ran, 1);
    assert_true(vts_run_queue_is_empty(&s->queue));
}

static void what_is_posted_in_any_gap_runs_once(void)
{
    in_every_gap(prepare_jobs, NULL, first_posts, second_posts, assert_all_ran, 0);
    in_every_gap(prepare_jobs, first_posts, first_drains, second_posts, assert_all_ran, 0);
}

static void assert_one_drained(scene *s)
{
    if (s->first == 0) {
        assert_int_equal(s->second, 1);
    } else {
        assert_int_equal(s->first, 1);
        assert_int_equal(s->second, s->behind ? 0 : VTS_E_BUSY);
    }
    assert_int_equal(s->job.ran, 1);
}

static void of_two_drains_one_runs_the_work(void)
{
    in_every_gap(prepare_jobs, first_posts, first_drains, second_drains,
                 assert_one_drained, 0);
}

// ----------------------------------------------------------------------------------
// The pool
// ----------------------------------------------------------------------------------

/* A pool of which nothing was used before. */
static void build_shelf(scene *s)
{
    vts_pool_desc desc = {0};

    memset(s, 0, sizeof *s);
    desc.item_size = sizeof(vts_word);
    desc.storage = s->items;
    desc.storage_size = sizeof s->items;
    assert_code(vts_pool_init(&s->shelf, &desc), VTS_OK);
}

/* One that grows by a chunk with every item or two. */
static void build_growing_shelf(scene *s)
{
    vts_pool_desc desc = {0};

    memset(s, 0, sizeof *s);
    desc.item_size = sizeof(vts_word);
    desc.capacity = SHELF;
    desc.first = 1;
    desc.cache = -1;
    desc.allocator = &test_allocator;
    assert_code(vts_pool_init(&s->shelf, &desc), VTS_OK);
}

/* All were out, one still is. */
static void use_shelf(scene *s)
{
    void *item[SHELF];
    int i;

    for (i = 0; i < SHELF; i++) assert_non_null(item[i] = vts_pool_get(&s->shelf));
    for (i = 1; i < SHELF; i++) assert_code(vts_pool_put(&s->shelf, item[i]), VTS_OK);
    s->held = item[0];
}

static void hold_one(scene *s) { s->held = vts_pool_get(&s->shelf); }

static void first_gets(scene *s) { s->item = vts_pool_get(&s->shelf); }
static void second_gets(scene *s) { s->item_second = vts_pool_get(&s->shelf); }

static void put_held(scene *s)
{
    assert_code(vts_pool_put(&s->shelf, s->held), VTS_OK);
    s->held = NULL;
}

/* The first of the list is there again, but what follows it is not: ABA. */
static void second_gets_two_and_puts_the_first(scene *s)
{
    void *first = vts_pool_get(&s->shelf);

    second_gets(s);
    if (first != NULL) assert_code(vts_pool_put(&s->shelf, first), VTS_OK);
}

/* Every item is there, once: those that are out and those that still can be got. */
static void assert_nothing_lost(scene *s)
{
    void *item[SHELF + 1] = {s->held, s->item, s->item_second, NULL};
    int count = 0, i, k;

    for (i = 0; i < SHELF; i++)
        if (item[i] != NULL) item[count++] = item[i];
    assert_int_equal(vts_pool_outstanding(&s->shelf), count);
    while (count <= SHELF && (item[count] = vts_pool_get(&s->shelf)) != NULL) count++;
    assert_int_equal(count, SHELF);
    for (i = 0; i < SHELF; i++)
        for (k = 0; k < i; k++) assert_ptr_not_equal(item[i], item[k]);
    while (count > 0) assert_code(vts_pool_put(&s->shelf, item[--count]), VTS_OK);
    assert_code(vts_pool_destroy(&s->shelf), VTS_OK);
}

static void two_that_get_at_once_get_two_items(void)
{
    in_every_gap(build_shelf, NULL, first_gets, second_gets, assert_nothing_lost, 0);
    in_every_gap(build_shelf, use_shelf, first_gets, second_gets, assert_nothing_lost, 0);
}

static void two_that_grow_a_pool_at_once_share_its_chunks(void)
{
    in_every_gap(build_growing_shelf, NULL, first_gets, second_gets, assert_nothing_lost,
                 0);
    in_every_gap(build_growing_shelf, hold_one, first_gets, second_gets,
                 assert_nothing_lost, 0);
}

static void a_put_during_a_get_loses_nothing(void)
{
    in_every_gap(build_shelf, use_shelf, first_gets, put_held, assert_nothing_lost, 0);
    in_every_gap(build_shelf, use_shelf, put_held, second_gets, assert_nothing_lost, 0);
}

static void the_tag_tells_the_same_first_item_apart(void)
{
    in_every_gap(build_shelf, use_shelf, first_gets, second_gets_two_and_puts_the_first,
                 assert_nothing_lost, 0);
    in_every_gap(build_shelf, use_shelf, put_held, second_gets_two_and_puts_the_first,
                 assert_nothing_lost, 0);
}

// ----------------------------------------------------------------------------------
// Thread numbers
// ----------------------------------------------------------------------------------

/* A thread that gets its number while another gets or gives back its own. It keeps it
   until it is told to end. */
typedef struct owner {
    vts_pool *pool;
    pthread_barrier_t there, leave;
    pthread_t thread;
    void *item;
} owner;

static void *own_a_number(void *arg)
{
    owner *o = (owner *)arg;

    o->item = vts_pool_get(o->pool);
    THREAD_CHECK(o->item != NULL && vts__self.number != 0);
    pthread_barrier_wait(&o->there);
    pthread_barrier_wait(&o->leave);
    THREAD_CHECK(vts_pool_put(o->pool, o->item) == VTS_OK);
    return NULL;
}

static void owner_comes(void *arg)
{
    owner *o = (owner *)arg;

    pthread_barrier_init(&o->there, NULL, 2);
    pthread_barrier_init(&o->leave, NULL, 2);
    if (pthread_create(&o->thread, NULL, own_a_number, o) != 0) abort();
    pthread_barrier_wait(&o->there);
}

static void owner_leaves(owner *o)
{
    pthread_barrier_wait(&o->leave);
    pthread_join(o->thread, NULL);
    pthread_barrier_destroy(&o->there);
    pthread_barrier_destroy(&o->leave);
}

/* A thread's first call, with another's first call in each of its gaps. */
typedef struct visit {
    vts_pool *pool;
    owner *owner;
    unsigned gap;
    bool behind;
} visit;

static void *come_with_another(void *arg)
{
    visit *v = (visit *)arg;

    meanwhile.arg = v->owner;
    meanwhile.turn = v->gap;
    meanwhile.call = owner_comes;
    vts__thread_ask(&vts__self);
    v->behind = meanwhile.call != NULL;
    meanwhile.call = NULL;
    if (v->behind) owner_comes(v->owner);
    THREAD_CHECK(vts__self.number != 0);
    THREAD_CHECK((vts__thread_map & (vts__thread_map - 1)) != 0); /* two have one */
    owner_leaves(v->owner);
    return NULL;
}

static void make_cached(vts_pool *pool)
{
    vts_pool_desc desc = {0};

    desc.item_size = 16;
    desc.capacity = 64;
    desc.cache = 4;
    desc.allocator = &test_allocator;
    assert_code(vts_pool_init(pool, &desc), VTS_OK);
}

static void two_threads_that_come_at_once_get_two_numbers(void)
{
    owner o;
    vts_pool pool;
    visit v = {&pool, &o, 0, false};
    vts_word before = vts__thread_map;

    make_cached(&pool);
    o.pool = &pool;
    for (; !v.behind; v.gap++) {
        test_on_thread(come_with_another, &v);
        assert_threads_passed();
        assert_int_equal(vts__thread_map, before);
    }
    assert_true(v.gap > 2);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void *release_with_another(void *arg)
{
    visit *v = (visit *)arg;

    if (!vts__thread_claim(VTS__WORD_BITS - 1)) abort();
    meanwhile.arg = v->owner;
    meanwhile.turn = v->gap;
    meanwhile.call = owner_comes;
    vts__thread_release(VTS__WORD_BITS - 1);
    v->behind = meanwhile.call != NULL;
    meanwhile.call = NULL;
    if (v->behind) owner_comes(v->owner);
    THREAD_CHECK(vts__thread_map >> (VTS__WORD_BITS - 1) == 0);
    THREAD_CHECK(vts__thread_map != 0); /* the other's is kept */
    owner_leaves(v->owner);
    return NULL;
}

static void a_number_given_back_while_another_is_given_out_is_free(void)
{
    owner o;
    vts_pool pool;
    visit v = {&pool, &o, 0, false};
    vts_word before = vts__thread_map;

    make_cached(&pool);
    o.pool = &pool;
    for (; !v.behind; v.gap++) {
        test_on_thread(release_with_another, &v);
        assert_threads_passed();
        assert_int_equal(vts__thread_map, before);
    }
    assert_true(v.gap > 2);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static const test_case tests[] = {
    TEST(a_completion_during_registration_runs_it_once),
    TEST(a_registration_during_completion_runs_once),
    TEST(a_source_taken_during_registration_goes_home_once),
    TEST(of_two_registrations_one_wins),
    TEST(a_registration_is_taken_back_whole_or_not_at_all),
    TEST(an_unregistration_during_a_completion_is_in_time_or_too_late),
    TEST(of_two_unregistrations_one_succeeds),
    TEST(of_two_completions_one_wins),
    TEST(an_operation_is_completed_or_abandoned),
    TEST(of_two_consumers_one_gets_the_result),
    TEST(of_two_consumers_of_a_pinned_source_one_gets_the_result),
    TEST(a_source_unpinned_while_it_is_consumed_goes_home_once),
    TEST(a_result_is_not_there_or_whole),
    TEST(a_reset_during_a_read_shows),
    TEST(a_larger_result_is_read_whole_or_not_at_all),
    TEST(all_generations_during_a_read_mix_no_two_operations),
    TEST(a_reset_sees_the_registration_that_pins_the_source),
    TEST(what_is_posted_in_any_gap_runs_once),
    TEST(of_two_drains_one_runs_the_work),
    TEST(two_that_get_at_once_get_two_items),
    TEST(two_that_grow_a_pool_at_once_share_its_chunks),
    TEST(a_put_during_a_get_loses_nothing),
    TEST(the_tag_tells_the_same_first_item_apart),
    TEST(two_threads_that_come_at_once_get_two_numbers),
    TEST(a_number_given_back_while_another_is_given_out_is_free),
};

TEST_MAIN(tests)
