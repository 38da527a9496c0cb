// trace.c - performs sequences of operations with vts and prints what happened
//
// Reads what sequences.c prints (and what differences.txt holds) and prints a line per
// operation when it returned, "OPERATION -> OUTCOME", and one per continuation when it
// begins, both indented by how deep in continuations they happen. Program.cs does the same
// with .NET.

#define VTS_IMPLEMENTATION
#include "vts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCES 2
#define SLOTS 3
#define SCRIPTS 8
#define OPS 64
#define QUEUED 256
#define CONTEXTS 4

// ---- schedulers ----

/* Keeps what is posted, in order, with the context of the posting thread if it flows. */
typedef struct queue {
    vts_scheduler base;
    const char *name;
    bool flows;
    int count;
    vts_work *work[QUEUED];
    void *context[QUEUED];
} queue;

static void queue_post(vts_scheduler *self, vts_work *work)
{
    queue *q = (queue *)(void *)self;

    if (q->count == QUEUED) abort();
    q->work[q->count] = work;
    q->context[q->count++] = q->flows ? vts_context_current() : NULL;
}

/* ui is what threads have for a scheduler; pool is for run_continuations_asynchronously
   and, like a pool's threads, brings neither scheduler nor context. */
static queue ui = {{queue_post}, "ui", true, 0, {NULL}, {NULL}};
static queue pool_threads = {{queue_post}, "pool", false, 0, {NULL}, {NULL}};

/* Where the next continuation begins, if not inline. */
static const char *place;

static void queue_run(queue *q, vts_scheduler *scheduler)
{
    queue posted = *q;
    void *context = vts_context_current();
    vts_scheduler *previous = vts_scheduler_set_current(scheduler);

    q->count = 0;
    for (int i = 0; i < posted.count; i++) {
        place = q->name;
        vts_context_set_current(posted.context[i]);
        posted.work[i]->run(posted.work[i]);
    }
    vts_context_set_current(context);
    vts_scheduler_set_current(previous);
}

// ---- memory of tasks ----

/* Blocks are listed: a sequence ends with tasks whose source is never completed. */
typedef struct block {
    struct block *next, **at;
} block;

static block *blocks;

static void *block_new(void *user, size_t size)
{
    block *made = (block *)malloc(sizeof *made + size);

    (void)user;
    if (made == NULL) abort();
    made->next = blocks;
    made->at = &blocks;
    if (blocks != NULL) blocks->at = &made->next;
    blocks = made;
    return made + 1;
}

static void block_free(void *user, void *memory, size_t size)
{
    block *old = (block *)memory - 1;

    (void)user;
    (void)size;
    *old->at = old->next;
    if (old->next != NULL) old->next->at = old->at;
    free(old);
}

static const vts_allocator task_memory = {block_new, block_free, NULL};

static void drop_memory(void)
{
    while (blocks != NULL) block_free(NULL, blocks + 1, 0);
}

// ---- the world of one sequence ----

typedef struct operation operation;

typedef struct step {
    const operation *operation;
    char text[64];
    int arg[4];
} step;

typedef struct script {
    int count;
    step ops[OPS];
} script;

static script scripts[SCRIPTS], main_script;
static bool asynchronously, pooled;
static vts_source bare[SOURCES];
static VTS_POOL_STORAGE(memory, vts_source, SOURCES); /* one for each pool */
static vts_pool pools[SOURCES];
static vts_source_ops asynchronous_ops;
static vts_source *sources[SOURCES];
static vts_token first_token, generation[SOURCES];
static vts_valuetask slots[SLOTS];
static vts_task *tasks[SLOTS], *owners[SLOTS]; /* of as_task; of preserve, by slot */
static char contexts[CONTEXTS];
static int depth;

static void make_pool(int i)
{
    vts_pool_desc desc = {0};

    memset(&memory[i], 0, sizeof memory[i]);
    desc.storage = &memory[i];
    desc.storage_size = sizeof memory[i];
    if (asynchronously) desc.run_continuations_asynchronously = &pool_threads.base;
    if (vts_pool_init(&pools[i], &desc) != VTS_OK) abort();
    sources[i] = &memory[i].item;
}

static void make_source(int i)
{
    memset(&bare[i], 0, sizeof bare[i]);
    if (asynchronously) vts_source_init(&bare[i], &asynchronous_ops);
    sources[i] = &bare[i];
}

static void make_world(void)
{
    drop_memory();
    ui.count = pool_threads.count = 0;
    asynchronous_ops = vts_source_ops_of(&pool_threads.base);
    vts_scheduler_set_current(NULL);
    vts_context_set_current(NULL);
    memset(slots, 0, sizeof slots);
    memset(tasks, 0, sizeof tasks);
    memset(owners, 0, sizeof owners);
    memset(generation, 0, sizeof generation);
    for (int i = 0; i < SOURCES; i++) {
        if (pooled) make_pool(i);
        if (!pooled) make_source(i);
    }
}

// ---- outcomes ----

#define OUTCOME 80

static void say(char *outcome, const char *text) { snprintf(outcome, OUTCOME, "%s", text); }

/* What a call returned; below zero and not of vts: the operation's own failure. */
static void say_code(char *outcome, int code)
{
    switch (code) {
    case VTS_OK: say(outcome, "ok"); break;
    case VTS_E_ARGUMENT: say(outcome, "argument"); break;
    case VTS_E_STALE: say(outcome, "stale"); break;
    case VTS_E_NOT_COMPLETED: say(outcome, "not_completed"); break;
    case VTS_E_ALREADY_COMPLETED: say(outcome, "already_completed"); break;
    case VTS_E_ALREADY_AWAITED: say(outcome, "already_awaited"); break;
    case VTS_E_NOT_AWAITED: say(outcome, "not_awaited"); break;
    case VTS_E_PENDING: say(outcome, "pending"); break;
    case VTS_E_CANCELED: say(outcome, "failed canceled"); break;
    default: snprintf(outcome, OUTCOME, "failed %d", code); break;
    }
}

static void say_result(char *outcome, int code, intptr_t result)
{
    say_code(outcome, code);
    if (code == VTS_OK) snprintf(outcome, OUTCOME, "ok %ld", (long)result);
}

static void say_status(char *outcome, int status)
{
    static const char *const names[] = {"pending", "succeeded", "faulted", "canceled"};

    if (status < 0) {
        say_code(outcome, status);
    } else {
        say(outcome, names[status]);
    }
}

// ---- continuations ----

static void perform(const step *op);

static void run_script(void *arg)
{
    const script *s = (const script *)arg;
    char *context = (char *)vts_context_current();

    printf("%*srun %d %s scheduler=%d context=%d\n", 2 * depth, "", (int)(s - scripts), place,
           vts_scheduler_current() != NULL, context != NULL ? (int)(context - contexts) : 0);
    place = "inline";
    depth++;
    for (int i = 0; i < s->count; i++) perform(&s->ops[i]);
    depth--;
}

static vts_continuation continuation_of(int k) { return k < 0 ? NULL : run_script; }

static void *script_of(int k) { return k < 0 ? NULL : &scripts[k]; }

// ---- operations on sources: arg[0] is the source, arg[1] the token ----

/* Tokens of a source follow one another; 0 is the one that is never issued. */
static vts_token token_of(const int *arg)
{
    long g = (long)generation[arg[0]] + arg[1];
    return g > 0 ? (vts_token)g * first_token : 0;
}

static int start(int i, vts_token *token)
{
    vts_source *rented;

    if (!pooled) return vts_source_reset(sources[i], token);
    rented = vts_pool_rent(&pools[i], token);
    if (rented == NULL) return VTS_E_PENDING;
    if (rented != sources[i]) abort();
    return VTS_OK;
}

static void do_reset(const int *arg, char *outcome)
{
    vts_token token = 0;
    int error = start(arg[0], &token);

    say_code(outcome, error);
    if (error != VTS_OK) return;
    generation[arg[0]] = token / first_token;
    snprintf(outcome, OUTCOME, "ok %lu", (unsigned long)generation[arg[0]]);
}

static void do_set_result(const int *arg, char *outcome)
{
    say_code(outcome, vts_source_set_result(sources[arg[0]], token_of(arg), arg[2]));
}

static void do_set_error(const int *arg, char *outcome)
{
    say_code(outcome, vts_source_set_error(sources[arg[0]], token_of(arg), arg[2]));
}

static void do_set_canceled(const int *arg, char *outcome)
{
    say_code(outcome, vts_source_set_canceled(sources[arg[0]], token_of(arg), arg[2]));
}

static void do_on_completed(const int *arg, char *outcome)
{
    say_code(outcome,
             vts_source_on_completed(sources[arg[0]], token_of(arg), continuation_of(arg[3]),
                                     script_of(arg[3]), (unsigned)arg[2]));
}

static void do_unregister(const int *arg, char *outcome)
{
    say_code(outcome, vts_source_unregister(sources[arg[0]], token_of(arg)));
}

static void do_get_status(const int *arg, char *outcome)
{
    say_status(outcome, vts_source_get_status(sources[arg[0]], token_of(arg)));
}

static void do_get_result(const int *arg, char *outcome)
{
    intptr_t result = 0;
    int error = vts_source_get_result(sources[arg[0]], token_of(arg), &result);
    say_result(outcome, error, result);
}

/* As many operations as 16 bits can tell apart. */
static void do_wrap(const int *arg, char *outcome)
{
    int now[2] = {arg[0], 0};

    for (long i = 0; i < 65536; i++) {
        vts_source_set_result(sources[arg[0]], token_of(now), 0);
        do_reset(arg, outcome);
    }
    say(outcome, "ok");
}

// ---- operations on value tasks: arg[0] is the slot ----

static void do_task_result(const int *arg, char *outcome)
{
    slots[arg[0]] = vts_valuetask_from_result(arg[1]);
    say(outcome, "ok");
}

static void do_task_error(const int *arg, char *outcome)
{
    slots[arg[0]] = vts_valuetask_from_error(arg[1]);
    say(outcome, "ok");
}

static void do_task_canceled(const int *arg, char *outcome)
{
    slots[arg[0]] = vts_valuetask_from_canceled(0);
    say(outcome, "ok");
}

static void do_task_of(const int *arg, char *outcome)
{
    slots[arg[0]] = vts_valuetask_of(sources[arg[1]], token_of(arg + 1));
    say(outcome, "ok");
}

static void do_task_is(const int *arg, char *outcome)
{
    vts_valuetask task = slots[arg[0]];

    snprintf(outcome, OUTCOME, "completed=%d succeeded=%d faulted=%d canceled=%d",
             vts_valuetask_is_completed(task), vts_valuetask_is_completed_successfully(task),
             vts_valuetask_is_faulted(task), vts_valuetask_is_canceled(task));
}

static void do_task_get_result(const int *arg, char *outcome)
{
    intptr_t result = 0;
    int error = vts_valuetask_get_result(slots[arg[0]], &result);
    say_result(outcome, error, result);
}

static void do_task_on_completed(const int *arg, char *outcome)
{
    say_code(outcome, vts_valuetask_on_completed(slots[arg[0]], continuation_of(arg[2]),
                                                 script_of(arg[2]), (unsigned)arg[1]));
}

static void do_task_equals(const int *arg, char *outcome)
{
    say(outcome, vts_valuetask_equals(slots[arg[0]], slots[arg[1]]) ? "equal" : "different");
}

// ---- tasks, which outlive their source ----
// as_task X Y: task Y of slot X; preserve X; task_state Y: "pending", or the result.

/* The reference takes the place of another. */
static void hold(vts_task **at, vts_task *task)
{
    vts_task_release(*at);
    *at = task;
}

static void do_as_task(const int *arg, char *outcome)
{
    vts_task *task = NULL;
    int error = vts_valuetask_as_task(slots[arg[0]], &task_memory, &task);

    say_code(outcome, error);
    if (error == VTS_OK) hold(&tasks[arg[1]], task);
}

static void do_preserve(const int *arg, char *outcome)
{
    vts_task *owner = NULL;
    int error = vts_valuetask_preserve(&slots[arg[0]], &task_memory, &owner);

    say_code(outcome, error);
    if (error == VTS_OK) hold(&owners[arg[0]], owner);
}

static void do_task_state(const int *arg, char *outcome)
{
    const vts_task *task = tasks[arg[0]];
    intptr_t result = 0;
    int error;

    if (task == NULL) {
        say(outcome, "none");
    } else if (vts_task_get_status(task) == VTS_PENDING) {
        say(outcome, "pending");
    } else {
        error = vts_task_get_result(task, &result);
        say_result(outcome, error, result);
    }
}

// ---- operations on the thread ----

static void do_scheduler(const int *arg, char *outcome)
{
    vts_scheduler_set_current(arg[0] != 0 ? &ui.base : NULL);
    say(outcome, "ok");
}

static void do_context(const int *arg, char *outcome)
{
    vts_context_set_current(arg[0] != 0 ? &contexts[arg[0]] : NULL);
    say(outcome, "ok");
}

static void do_run(const int *arg, char *outcome)
{
    if (arg[0] == 0) queue_run(&ui, &ui.base);
    if (arg[0] != 0) queue_run(&pool_threads, NULL);
    place = "inline";
    say(outcome, "ok");
}

struct operation {
    const char *name;
    void (*perform)(const int *arg, char *outcome);
};

static const operation operations[] = {
    {"reset", do_reset},
    {"set_result", do_set_result},
    {"set_error", do_set_error},
    {"set_canceled", do_set_canceled},
    {"on_completed", do_on_completed},
    {"unregister", do_unregister},
    {"get_status", do_get_status},
    {"get_result", do_get_result},
    {"wrap", do_wrap},
    {"task_result", do_task_result},
    {"task_error", do_task_error},
    {"task_canceled", do_task_canceled},
    {"task_of", do_task_of},
    {"task_is", do_task_is},
    {"task_get_result", do_task_get_result},
    {"task_on_completed", do_task_on_completed},
    {"task_equals", do_task_equals},
    {"as_task", do_as_task},
    {"preserve", do_preserve},
    {"task_state", do_task_state},
    {"scheduler", do_scheduler},
    {"context", do_context},
    {"run", do_run},
};

static void perform(const step *op)
{
    char outcome[OUTCOME] = "";

    op->operation->perform(op->arg, outcome);
    printf("%*s%s -> %s\n", 2 * depth, "", op->text, outcome);
}

// ---- reading ----

static const operation *operation_named(const char *name)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strcmp(operations[i].name, name) == 0) return &operations[i];
    }
    fprintf(stderr, "no operation is called %s\n", name);
    exit(2);
}

static void read_op(script *into, const char *line)
{
    step *op = &into->ops[into->count++];
    char name[32];

    if (into->count == OPS) abort();
    memset(op, 0, sizeof *op);
    snprintf(op->text, sizeof op->text, "%s", line);
    sscanf(line, "%31s %d %d %d %d", name, &op->arg[0], &op->arg[1], &op->arg[2],
           &op->arg[3]);
    op->operation = operation_named(name);
}

static void perform_sequence(void)
{
    make_world();
    for (int i = 0; i < main_script.count; i++) perform(&main_script.ops[i]);
    memset(scripts, 0, sizeof scripts);
    main_script.count = 0;
}

/* True if the line is about the sequence: operations that follow go to *into. */
static bool read_heading(const char *line, script **into)
{
    int number, rca, pool;

    if (sscanf(line, "seq %d %d %d", &number, &rca, &pool) == 3) {
        asynchronously = rca != 0;
        pooled = pool != 0;
        *into = &main_script;
        puts(line);
    } else if (sscanf(line, "script %d", &number) == 1 && number >= 0 && number < SCRIPTS) {
        *into = &scripts[number];
    } else if (strcmp(line, "main") == 0) {
        *into = &main_script;
    } else if (strcmp(line, "end") == 0) {
        perform_sequence();
    } else {
        return false;
    }
    return true;
}

int main(void)
{
    char line[64];
    script *into = &main_script;
    vts_source probe = {0};

    place = "inline";
    if (vts_source_reset(&probe, &first_token) != VTS_OK) return 2;
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (!read_heading(line, &into)) read_op(into, line);
    }
    return 0;
}
