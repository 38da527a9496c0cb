/* What callers may rely on: memory of their own that they wrote before a call is seen,
   whole, by whoever learns of it through vts, and an operation is nobody else's. Such
   memory is plain: where vts orders too little, it is a data race. */
#include "tests/explore/shipped.h"

/* A word and a half: its end is copied by another path than its beginning. */
typedef struct odd {
    int part[3];
} odd;
VTS_DECLARE_VALUETASK(odd, odd);

typedef struct argument {
    long value;
} argument;

static vts_source source;
static odd_source wide;
static vts_token token;
static long buffer; /* what the completer fills before it completes */
static _Alignas(16) argument waiting;

static void setup(void)
{
    forget_threads();
    memset(&source, 0, sizeof source);
    vts_source_reset(&source, &token);
    buffer = 0;
    waiting.value = 0;
    name_source(&source, "source", "word");
    x_name(&buffer, sizeof buffer, "buffer", NULL);
    x_name(&waiting, sizeof waiting, "argument", NULL);
}

static void fill_and_complete(void)
{
    buffer = 7;
    x_check(vts_source_set_result(&source, token, 1) == VTS_OK);
}

static void nothing(void *arg) { (void)arg; }

/* The completer has a context to bring along. */
static void setup_flowing(void)
{
    setup();
    vts_context_set_current(&waiting);
    vts_source_on_completed(&source, token, nothing, NULL, VTS_FLOW_EXECUTION_CONTEXT);
    vts_context_set_current(NULL);
}

static void polls(int id)
{
    if (id == 0) {
        fill_and_complete();
    } else if (vts_source_get_status(&source, token) == VTS_SUCCEEDED) {
        x_check(buffer == 7);
    }
}

static void takes(int id)
{
    if (id == 0) {
        fill_and_complete();
    } else if (vts_source_get_result(&source, token, NULL) == VTS_OK) {
        x_check(buffer == 7);
    }
}

static void reads_both(void *arg)
{
    x_check(((argument *)arg)->value == 3);
    x_check(buffer == 7);
}

static void awaits(int id)
{
    if (id == 0) {
        fill_and_complete();
        return;
    }
    waiting.value = 3;
    x_check(vts_source_on_completed(&source, token, reads_both, &waiting, VTS_NONE) ==
            VTS_OK);
}

/* Who took a continuation back has its argument to itself. */
static void takes_back(int id)
{
    if (id == 0) {
        waiting.value = 3;
        x_check(vts_source_on_completed(&source, token, reads_both, &waiting, VTS_NONE) ==
                VTS_OK);
    } else if (vts_source_unregister(&source, token) == VTS_OK) {
        x_check(waiting.value == 3);
        waiting.value = 4;
    }
}

/* One reads the first result, the other awaits and completes the next meanwhile. */
static void setup_completed(void)
{
    setup();
    vts_source_set_result(&source, token, 1);
    buffer = 7;
    waiting.value = 3;
}

static void read_or_go_on(int id)
{
    intptr_t result = 0;
    vts_token next;
    int code;

    if (id == 0) {
        code = vts_source_get_result(&source, token, &result);
        x_check(code == VTS_OK ? result == 1 : code == VTS_E_STALE);
        return;
    }
    vts_source_reset(&source, &next);
    vts_source_on_completed(&source, next, reads_both, &waiting, VTS_NONE);
    x_check(vts_source_set_result(&source, next, 2) == VTS_OK);
}

static void setup_faulted(void)
{
    setup();
    vts_source_set_error(&source, token, -1);
}

static void read_or_fail_again(int id)
{
    vts_token next;
    int code;

    if (id == 0) {
        code = vts_source_get_result(&source, token, NULL);
        x_check(code == -1 || code == VTS_E_STALE);
        return;
    }
    vts_source_reset(&source, &next);
    x_check(vts_source_set_error(&source, next, -2) == VTS_OK);
}

static odd odd_of(int i) { return (odd){{i, 10 * i, 100 * i}}; }

static void setup_odd(void)
{
    odd first = odd_of(1);

    forget_threads();
    memset(&wide, 0, sizeof wide);
    odd_source_init(&wide);
    odd_reset(&wide, &token);
    odd_set_result(&wide, token, &first);
    name_source(&wide.core, "wide", "word");
    x_name(&wide.value, sizeof wide.value, "value", NULL);
}

static void read_odd_or_go_on(int id)
{
    odd value = odd_of(2);
    vts_token next;
    int code;

    if (id == 0) {
        code = odd_get_result(odd_valuetask_of(&wide, token), &value);
        x_check(code == VTS_OK ? value.part[0] == 1 : code == VTS_E_STALE);
        x_check(value.part[1] == 10 * value.part[0]);
        x_check(value.part[2] == 100 * value.part[0]);
        return;
    }
    x_check(odd_reset(&wide, &next) == VTS_OK);
    x_check(odd_set_result(&wide, next, &value) == VTS_OK);
}

// ----------------------------------------------------------------------------------
// A pooled operation that two have to do with
// ----------------------------------------------------------------------------------

static VTS_POOL_STORAGE(storage, vts_source, 1);
static vts_pool sources;
static vts_source *pooled;

static void setup_rented(void)
{
    vts_pool_desc desc = {0};

    forget_threads();
    memset(storage, 0, sizeof storage);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    vts_pool_init(&sources, &desc);
    pooled = vts_pool_rent(&sources, &token);
    name_source(pooled, "pooled", "word");
}

static void setup_forgotten(void)
{
    setup_rented();
    vts_valuetask_forget(vts_valuetask_of(pooled, token));
}

/* One completes it, the other takes it away and begins the next, which is its own. */
static void complete_or_go_on(int id)
{
    vts_source *again;
    vts_token next;
    intptr_t result;

    if (id == 0) {
        x_check(vts_source_set_result(pooled, token, 1) == VTS_OK);
        return;
    }
    if (vts_source_get_result(pooled, token, NULL) != VTS_OK) return;
    again = vts_pool_rent(&sources, &next);
    x_check(again == pooled);
    x_check(vts_source_set_result(pooled, next, 2) == VTS_OK);
    x_check(vts_source_get_result(pooled, next, &result) == VTS_OK);
    x_check(result == 2);
}

/* One awaits and thinks better of it, the other abandons, rents again and awaits. */
static void await_or_abandon(int id)
{
    vts_token next;

    if (id == 0) {
        vts_source_on_completed(pooled, token, nothing, NULL, VTS_NONE);
        vts_source_unregister(pooled, token);
        return;
    }
    if (vts_source_abandon(pooled, token) != VTS_OK) return;
    x_check(vts_pool_rent(&sources, &next) == pooled);
    x_check(vts_source_on_completed(pooled, next, nothing, NULL, VTS_NONE) == VTS_OK);
}

// ----------------------------------------------------------------------------------
// An allocator that keeps notes in what it gives out
// ----------------------------------------------------------------------------------

typedef struct item {
    long payload;
} item;

static vts_pool pool;
static _Alignas(64) unsigned char arena[1 << 12];
static x_word arena_used;

static void *arena_alloc(void *user, size_t size)
{
    size_t whole = (size + 63) & ~(size_t)63;
    size_t at = x_add(&arena_used, whole, X_RLX), i;

    (void)user;
    if (at + whole > sizeof arena) return NULL;
    for (i = 0; i < whole; i += sizeof(long)) *(long *)(void *)(arena + at + i) = -1;
    return arena + at;
}

static void arena_free(void *user, void *memory, size_t size)
{
    (void)user;
    (void)memory;
    (void)size;
}

static void setup_pool(void)
{
    static const vts_allocator allocator = {arena_alloc, arena_free, NULL};
    vts_pool_desc desc = {0};

    forget_threads();
    arena_used = 0;
    desc.item_size = sizeof(item);
    desc.capacity = 4;
    desc.first = 2;
    desc.cache = -1;
    desc.allocator = &allocator;
    x_check(vts_pool_init(&pool, &desc) == VTS_OK);
    x_name(arena, sizeof arena, "arena", NULL);
    x_name(&pool.head, sizeof pool.head, "pool.head", NULL);
    x_name(&pool.fresh, sizeof pool.fresh, "pool.fresh", NULL);
}

static void get_two(int id)
{
    item *i = (item *)vts_pool_get(&pool), *other;

    x_check(i != NULL);
    i->payload = id;
    other = (item *)vts_pool_get(&pool);
    x_check(other != NULL && other != i);
    other->payload = id;
    x_check(vts_pool_put(&pool, i) == VTS_OK);
}

static void run(const char *name, void (*begin)(void), void (*thread)(int id))
{
    x_scenario scenario = {0};

    scenario.name = name;
    scenario.threads = 2;
    scenario.setup = begin;
    scenario.thread = thread;
    x_explore(&scenario);
}

int main(int argc, char **argv)
{
    x_options(argc, argv);
    x_on_switch = switch_self;
    run("a poll sees what the completer wrote", setup, polls);
    run("a poll sees it, too, when a context flows", setup_flowing, polls);
    run("who takes the result sees what the completer wrote", setup, takes);
    run("a continuation sees what both sides wrote", setup, awaits);
    run("an argument taken back is the taker's", setup, takes_back);
    run("read while the next is awaited and completed", setup_completed, read_or_go_on);
    run("an error read while the next one is set", setup_faulted, read_or_fail_again);
    run("the end of a result is read whole or not at all", setup_odd, read_odd_or_go_on);
    run("what was forgotten leaves the next alone", setup_forgotten, complete_or_go_on);
    run("what was abandoned is the next one's alone", setup_rented, await_or_abandon);
    run("chunks are seen as the allocator left them", setup_pool, get_two);
    return x_status();
}
