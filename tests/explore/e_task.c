/* Tasks and what waits for several: awaiters run once, waits end, a task is freed once,
   when_any resolves each entry once and gives the losers back. */
#include "tests/explore/model.h"

static vts_task *task;
static x_word completed; /* calls that completed it */
static x_word woken;     /* awaiters that ran       */

typedef struct listener {
    vts_awaiter awaiter;
    int ran;
} listener;
static listener listeners[3];

static void name_task(void)
{
    x_name(task, sizeof *task, "task", NULL);
    x_name(&task->word, sizeof task->word, "task.word", NULL);
    x_name(&task->references, sizeof task->references, "task.references", NULL);
    x_name(listeners, sizeof listeners, "listeners", NULL);
}

static void setup(void)
{
    forget_threads();
    forget_arena();
    memset(listeners, 0, sizeof listeners);
    completed = woken = 0;
    vts_task_create(&task, &arena_allocator);
    name_task();
}

/* One reference for each of two threads. */
static void setup_shared(void)
{
    setup();
    vts_task_retain(task);
}

// ---- completion ----

static void complete(void)
{
    int code = vts_task_set_result(task, 40 + x_now);

    x_check(code == VTS_OK || code == VTS_E_ALREADY_COMPLETED);
    if (code == VTS_OK) x_add(&completed, 1, X_RLX);
}

static void fail(void)
{
    int code = vts_task_set_error(task, -50);

    x_check(code == VTS_OK || code == VTS_E_ALREADY_COMPLETED);
    if (code == VTS_OK) x_add(&completed, 1, X_RLX);
}

static void complete_release(void)
{
    complete();
    vts_task_release(task);
}

/* What is read once is read always. */
static void look(void)
{
    int status = vts_task_get_status(task);
    intptr_t result = 0;
    int code;

    if (status == VTS_PENDING) return;
    code = vts_task_get_result(task, &result);
    x_check(code == (status == VTS_SUCCEEDED ? VTS_OK : -50));
    x_check(code != VTS_OK || (result >= 40 && result <= 42));
    x_check(vts_task_get_status(task) == status);
}

static void completed_once(void)
{
    x_check(completed == 1);
    vts_task_release(task);
    check_freed();
}

// ---- awaiters ----

static void hears(vts_work *work)
{
    listener *l = (listener *)(void *)work;
    intptr_t result = 0;

    x_check(vts_task_get_result(task, &result) == VTS_OK && result >= 40);
    x_check(l->ran++ == 0);
    x_add(&woken, 1, X_RLX);
}

static void await(void)
{
    x_check(vts_task_on_completed(task, &listeners[x_now].awaiter, hears, VTS_NONE) ==
            VTS_OK);
}

/* What was taken back is used for something else at once. */
static void await_unregister(void)
{
    listener *l = &listeners[x_now];
    int code;

    await();
    code = vts_task_unregister(task, &l->awaiter);
    x_check(code == VTS_OK || code == VTS_E_NOT_AWAITED);
    if (code != VTS_OK) return;
    x_check(l->ran == 0);
    reuse(l, sizeof *l);
    x_add(&woken, 1, X_RLX);
}

static void finish_awaited(void)
{
    x_check(woken == (x_word)x_scene->threads - 1);
    completed_once();
}

static void finish_awaited_once(void)
{
    x_check(woken == 1);
    completed_once();
}

static void await_release(void)
{
    await();
    vts_task_release(task);
}

static void finish_released(void)
{
    x_check(completed == 1);
    check_freed();
}

static void runs_handle(void *arg) { x_add((x_word *)arg, 1, X_RLX); }

static void await_handle(void)
{
    x_check(vts_valuetask_on_completed(vts_valuetask_of_task(task), runs_handle, &woken,
                                       VTS_NONE) == VTS_OK);
}

/* Two may sleep for the lock that this has, and this completes the task before the one
   that is woken has it. */
static void await_complete(void)
{
    await();
    complete();
}

static void finish_all_awaited(void)
{
    x_check(woken == (x_word)x_scene->threads);
    completed_once();
}

/* What was done before the completion is seen without asking for the result. */
static long payload;

static void sees(vts_work *work)
{
    (void)work;
    x_check(payload == 7);
    x_add(&woken, 1, X_RLX);
}

static void setup_payload(void)
{
    setup();
    payload = 0;
}

static void write_complete(void)
{
    payload = 7;
    complete();
}

static void await_to_see(void)
{
    x_check(vts_task_on_completed(task, &listeners[x_now].awaiter, sees, VTS_NONE) ==
            VTS_OK);
}

// ---- waits ----

static void wait_release(void)
{
    intptr_t result = 0;

    x_check(vts_task_wait(task, VTS_NEVER) == VTS_OK);
    x_check(vts_task_get_result(task, &result) == VTS_OK && result >= 40);
    vts_task_release(task);
}

static void wait_only(void)
{
    x_check(vts_task_wait(task, VTS_NEVER) == VTS_OK);
    x_check(vts_task_get_status(task) == VTS_SUCCEEDED);
}

static void wait_a_while(void)
{
    int code = vts_task_wait(task, 100);

    x_check(code == VTS_OK || code == VTS_E_TIMEOUT);
    x_check(code == VTS_OK || vts_now() >= 100);
    if (code == VTS_OK) x_check(vts_task_get_status(task) == VTS_SUCCEEDED);
}

// ---- references ----

static void release(void) { vts_task_release(task); }

static void retain_release_both(void)
{
    vts_task_retain(task);
    vts_task_release(task);
    vts_task_release(task);
}

/* The last one frees what the others wrote. */
static void look_release(void)
{
    look();
    vts_task_release(task);
}

// ---- a task of a value task ----

static VTS_POOL_STORAGE(storage, vts_source, 3);
static vts_pool pool;
static vts_source *source[3];
static vts_token token[3];

static void rent(int count)
{
    vts_pool_desc desc = {0};
    static const char *const whole[] = {"a", "b", "c"}, *const word[] = {"a.word", "b.word",
                                                                      "c.word"};
    int i;

    forget_threads();
    forget_arena();
    completed = woken = 0;
    memset(storage, 0, sizeof storage);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    vts_pool_init(&pool, &desc);
    for (i = 0; i < count; i++) {
        source[i] = vts_pool_rent(&pool, &token[i]);
        name_source(source[i], whole[i], word[i]);
    }
}

static void setup_source(void) { rent(1); }

static void set(int i)
{
    x_check(vts_source_set_result(source[i], token[i], 100 + i) == VTS_OK);
}

static void set_a(void) { set(0); }
static void set_b(void) { set(1); }
static void set_c(void) { set(2); }

static void set_b_and_c(void)
{
    set(1);
    set(2);
}

static void take_as_task(void)
{
    vts_task *made = NULL;
    intptr_t result = 0;

    x_check(vts_valuetask_as_task(vts_valuetask_of(source[0], token[0]), &arena_allocator,
                                  &made) == VTS_OK);
    x_check(vts_task_wait(made, VTS_NEVER) == VTS_OK);
    x_check(vts_task_get_result(made, &result) == VTS_OK && result == 100);
    vts_task_release(made);
}

static void drop_as_task(void)
{
    vts_task *made = NULL;

    x_check(vts_valuetask_as_task(vts_valuetask_of(source[0], token[0]), &arena_allocator,
                                  &made) == VTS_OK);
    vts_task_release(made);
}

static void take_a(void)
{
    vts_valuetask a = vts_valuetask_of(source[0], token[0]);
    intptr_t result = 0;

    x_check(vts_valuetask_get_result(a, &result) == VTS_OK && result == 100);
}

static void wait_for_source(void)
{
    vts_valuetask a = vts_valuetask_of(source[0], token[0]);

    x_check(vts_valuetask_wait(a, VTS_NEVER) == VTS_OK);
    take_a();
}

static void wait_for_source_a_while(void)
{
    vts_valuetask a = vts_valuetask_of(source[0], token[0]);
    int code = vts_valuetask_wait(a, 100);

    x_check(code == VTS_OK || code == VTS_E_TIMEOUT);
    if (code == VTS_OK) take_a();
    else x_check(vts_valuetask_forget(a) == VTS_OK);
}

static void all_back(void)
{
    check_freed();
    x_check(vts_pool_outstanding(&pool) == 0);
}

// ---- when ----

static vts_when when;
static vts_when_entry entries[3];
static int entry_count;
static vts_valuetask whole; /* the task of when */
static x_word results;      /* taken, each once: bits */
static bool of_tasks;       /* the entries are tasks, not sources */
static vts_task *tasks[3];

static void took(int i, intptr_t result)
{
    x_check(result == 100 + i);
    x_check((x_add(&results, (x_word)1 << 8 * i, X_RLX) >> 8 * i & 0xff) == 0);
}

static void take_entry(int i)
{
    intptr_t result = 0;

    x_check(vts_valuetask_get_result(entries[i].task, &result) == VTS_OK);
    took(i, result);
}

static void loser_completed(void *arg) { take_entry((int)(intptr_t)arg); }

static void setup_entries(int count)
{
    int i;

    rent(count);
    memset(&when, 0, sizeof when);
    memset(entries, 0, sizeof entries);
    results = 0;
    entry_count = count;
    for (i = 0; i < count; i++) {
        entries[i].task = vts_valuetask_of(source[i], token[i]);
        if (!of_tasks) continue;
        vts_task_create(&tasks[i], &arena_allocator);
        entries[i].task = vts_valuetask_of_task(tasks[i]);
        x_name(&tasks[i]->word, sizeof(x_word), i == 0 ? "task a" : "task b", NULL);
    }
    x_name(&when, sizeof when, "when", NULL);
    x_name(&when.remaining, sizeof when.remaining, "when.remaining", NULL);
    x_name(&when.winner, sizeof when.winner, "when.winner", NULL);
    name_source(&when.source, "when.source", "when.source.word");
    x_name(entries, sizeof entries, "entries", NULL);
}

/* The losers are ours again: wait for them, or take what is there. when is ours too. */
static void any_completed(void *arg)
{
    vts_valuetask loser[3];
    intptr_t winner = -1;
    int i;

    x_check(arg == &when);
    x_check(vts_valuetask_get_result(whole, &winner) == VTS_OK);
    x_check(winner >= 0 && winner < entry_count);
    x_check(entries[winner].error == VTS_OK);
    took((int)winner, entries[winner].result);
    for (i = 0; i < entry_count; i++) loser[i] = entries[i].task;
    reuse(&when, sizeof when);
    reuse(entries, sizeof entries);
    for (i = 0; i < entry_count; i++) {
        entries[i].task = loser[i];
        if (i == winner) continue;
        if (vts_valuetask_get_status(loser[i]) != VTS_PENDING) {
            take_entry(i);
            continue;
        }
        x_check(vts_valuetask_on_completed(loser[i], loser_completed, (void *)(intptr_t)i,
                                           VTS_NONE) == VTS_OK);
    }
}

static void start_any(void)
{
    whole = vts_when_any(&when, entries, (size_t)entry_count);
    x_check(vts_valuetask_on_completed(whole, any_completed, &when, VTS_NONE) == VTS_OK);
}

static void all_completed(void *arg)
{
    intptr_t result = -1;
    int i;

    x_check(arg == &when);
    x_check(vts_valuetask_get_result(whole, &result) == VTS_OK && result == 0);
    for (i = 0; i < entry_count; i++) {
        x_check(entries[i].error == VTS_OK);
        took(i, entries[i].result);
    }
    reuse(&when, sizeof when);
    reuse(entries, sizeof entries);
}

static void start_all(void)
{
    whole = vts_when_all(&when, entries, (size_t)entry_count);
    x_check(vts_valuetask_on_completed(whole, all_completed, &when, VTS_NONE) == VTS_OK);
}

static void setup_two(void)
{
    of_tasks = false;
    setup_entries(2);
}

static void setup_any_two(void)
{
    setup_two();
    start_any();
}

static void setup_any_three(void)
{
    of_tasks = false;
    setup_entries(3);
    start_any();
}

static void setup_all_two(void)
{
    setup_two();
    start_all();
}

static void setup_all_three(void)
{
    of_tasks = false;
    setup_entries(3);
    start_all();
}

static void setup_two_tasks(void)
{
    of_tasks = true;
    setup_entries(2);
}

static void setup_any_two_tasks(void)
{
    setup_two_tasks();
    start_any();
}

static void complete_task_a(void) { x_check(vts_task_set_result(tasks[0], 100) == VTS_OK); }
static void complete_task_b(void) { x_check(vts_task_set_result(tasks[1], 101) == VTS_OK); }

static void one_result(void)
{
    x_check(results == 1);
    x_check(vts_pool_outstanding(&pool) == 1);
    set(1);
    x_check(results == 0x101);
}

/* Each result was taken once: a pooled source would be stale the second time. */
static void every_result(void)
{
    int i;

    for (i = 0; i < entry_count; i++) x_check((results >> 8 * i & 0xff) == 1);
    if (!of_tasks) {
        x_check(vts_pool_outstanding(&pool) == 0);
        return;
    }
    for (i = 0; i < entry_count; i++) vts_task_release(tasks[i]);
    check_freed();
}

// clang-format off
static const scene scenes[] = {
    {"completed by two, looked at", setup, {complete, fail, look}, completed_once, 0, 0, 0},
    {"completed, awaited by two", setup, {complete, await, await}, finish_awaited, 2, 4, 0},
    {"awaited by all three, completed by one", setup, {await_complete, await, await},
     finish_all_awaited, 3, 4, 0},
    {"seen without a look at the result", setup_payload, {write_complete, await_to_see},
     finish_awaited, 0, 0, 0},
    {"seen by two without a look at the result", setup_payload,
     {write_complete, await_to_see, await_to_see}, finish_awaited, 2, 4, 0},
    {"completed by two, awaited", setup, {complete, complete, await}, finish_awaited_once, 0, 0,
     0},
    {"awaited and taken back", setup, {complete, await_unregister}, finish_awaited, 0, 0, 1},
    {"taken back by two", setup, {complete, await_unregister, await_unregister},
     finish_awaited, 2, 3, 0},
    {"awaited through a handle", setup, {complete, await_handle}, finish_awaited, 0, 0, 0},
    {"awaited by a handle and not", setup, {complete, await_handle, await_unregister},
     finish_awaited, 2, 3, 0},
    {"completed and released, awaited and released", setup_shared,
     {complete_release, await_release}, finish_released, 0, 0, 0},
    {"completed and released, waited for", setup_shared, {complete_release, wait_release},
     finish_released, 0, 0, 1},
    {"waited for by two", setup, {complete, wait_only, wait_only}, completed_once, 2, 3, 0},
    {"waited for until a deadline", setup, {complete, wait_a_while}, completed_once, 0, 0, 1},
    {"waited for and taken back", setup, {complete, wait_a_while, await_unregister},
     completed_once, 2, 3, 0},
    {"released by two", setup_shared, {release, release}, check_freed, 0, 0, 0},
    {"retained, released by two", setup_shared, {release, retain_release_both}, check_freed,
     0, 0, 0},
    {"looked at and released", setup_shared, {complete_release, look_release},
     finish_released, 0, 0, 0},
    {"as a task, waited for", setup_source, {set_a, take_as_task}, all_back, 0, 0, 0},
    {"as a task, dropped", setup_source, {set_a, drop_as_task}, all_back, 0, 0, 0},
    {"a source waited for", setup_source, {set_a, wait_for_source}, all_back, 0, 0, 1},
    {"a source waited for until a deadline", setup_source, {set_a, wait_for_source_a_while},
     all_back, 0, 0, 0},
    {"any of two, completed by two", setup_any_two, {set_a, set_b}, every_result, 0, 0, 0},
    {"any of three, completed by two", setup_any_three, {set_a, set_b_and_c}, every_result,
     0, 0, 0},
    {"any of three, completed by three", setup_any_three, {set_a, set_b, set_c},
     every_result, 0, 0, 0},
    {"any of two, completed meanwhile", setup_two, {start_any, set_a}, one_result, 0, 0,
     0},
    {"any of two, both completed meanwhile", setup_two, {start_any, set_a, set_b},
     every_result, 2, 4, 0},
    {"any of two tasks", setup_any_two_tasks, {complete_task_a, complete_task_b},
     every_result, 0, 0, 0},
    {"any of two tasks, both meanwhile", setup_two_tasks,
     {start_any, complete_task_a, complete_task_b}, every_result, 2, 3, 0},
    {"all of two", setup_all_two, {set_a, set_b}, every_result, 0, 0, 0},
    {"all of three, completed by two", setup_all_three, {set_a, set_b_and_c}, every_result,
     0, 0, 0},
    {"all of two, meanwhile", setup_two, {start_all, set_a, set_b}, every_result, 0, 0, 0},
};
// clang-format on

int main(int argc, char **argv)
{
    x_options(argc, argv);
    run_scenes(scenes, sizeof scenes / sizeof scenes[0]);
    return x_status();
}
