/* The pool: no item is handed out twice, none is lost, and who gets one sees what its
   last holder wrote. Every item has a plain payload that its holder writes: two holders
   at a time, or a hand-over that publishes too little, are a data race. */
#include "tests/explore/shipped.h"

typedef struct item {
    long payload;
} item;

static VTS_POOL_STORAGE(storage, item, 4);
static VTS_POOL_STORAGE(sources, vts_source, 2);
static vts_pool pool;
static _Alignas(64) unsigned char arena[1 << 13]; /* what the pool allocates */
static x_word arena_used, arena_freed;

static void *arena_alloc(void *user, size_t size)
{
    size_t whole = (size + 63) & ~(size_t)63;
    size_t at = x_add(&arena_used, whole, X_RLX);

    (void)user;
    return at + whole <= sizeof arena ? arena + at : NULL;
}

static void arena_free(void *user, void *memory, size_t size)
{
    (void)user;
    (void)memory;
    x_add(&arena_freed, (size + 63) & ~(size_t)63, X_RLX);
}

static const vts_allocator arena_allocator = {arena_alloc, arena_free, NULL};

/* What a pool is made over, and how many of its items were used before. */
typedef struct shape {
    uint32_t items;
    bool source, growing;
    int cache;
    uint32_t used;
} shape;
static shape made;
static int bound; /* on preemptions */

static void name_pool(void)
{
    x_name(storage, sizeof storage, "storage", NULL);
    x_name(sources, sizeof sources, "sources", NULL);
    x_name(arena, sizeof arena, "arena", NULL);
    x_name(&pool, sizeof pool, "pool", NULL);
    x_name(&pool.head, sizeof pool.head, "pool.head", NULL);
    x_name(&pool.fresh, sizeof pool.fresh, "pool.fresh", NULL);
    x_name(&vts__thread_map, sizeof vts__thread_map, "thread map", NULL);
}

static void setup(void)
{
    vts_pool_desc desc = {0};
    void *used[4];
    uint32_t i;

    forget_threads();
    arena_used = arena_freed = 0;
    memset(arena, 0, sizeof arena);
    memset(storage, 0, sizeof storage);
    memset(sources, 0, sizeof sources);
    desc.item_size = made.source ? sizeof(vts_source) : sizeof(item);
    desc.source = made.source;
    desc.cache = made.cache;
    desc.capacity = made.items;
    desc.allocator = &arena_allocator;
    if (made.growing) {
        desc.first = 1;
    } else {
        desc.storage = made.source ? (void *)sources : (void *)storage;
        desc.storage_size = made.source ? sizeof sources : sizeof storage;
    }
    x_check(vts_pool_init(&pool, &desc) == VTS_OK);
    for (i = 0; i < made.used; i++) used[i] = vts_pool_get(&pool);
    while (i > 0) vts_pool_put(&pool, used[--i]);
    end_thread();
    forget_threads();
    name_pool();
}

static item *get(void)
{
    item *i = (item *)vts_pool_get(&pool);

    if (i != NULL) i->payload++;
    return i;
}

static void put(item *i)
{
    if (i == NULL) return;
    i->payload++;
    x_check(vts_pool_put(&pool, i) == VTS_OK);
}

/* All threads are gone: every item can be had, once. */
static void finish(void)
{
    item *all[5];
    vts_source *source[3];
    vts_token token;
    uint32_t count = 0, i;
    int t;

    for (t = 0; t < X_THREADS; t++) {
        switch_self(t);
        end_thread();
    }
    switch_self(-1);
    x_check(vts_pool_outstanding(&pool) == 0);
    x_check(vts_pool_list_rented(&pool, NULL, NULL) == 0);
    if (made.source) {
        while ((source[count] = vts_pool_rent(&pool, &token)) != NULL) count++;
        for (i = 1; i < count; i++) x_check(source[i] != source[i - 1]);
        x_check(count == made.items);
        return;
    }
    while ((all[count] = get()) != NULL) {
        for (i = 0; i < count; i++) x_check(all[i] != all[count]);
        x_check(++count <= made.items);
    }
    x_check(count == made.items);
    x_check(vts_pool_outstanding(&pool) == count);
    while (count > 0) put(all[--count]);
    end_thread();
    x_check(vts_pool_destroy(&pool) == VTS_OK);
    x_check(!made.growing || arena_freed == arena_used);
}

// ----------------------------------------------------------------------------------
// What threads do
// ----------------------------------------------------------------------------------

static void get_put(int id)
{
    (void)id;
    put(get());
    end_thread();
}

static void get_put_twice(int id)
{
    put(get());
    get_put(id);
}

/* Two at a time. */
static void get_get_put_put(int id)
{
    item *first = get(), *second = get();

    (void)id;
    put(first);
    put(second);
    end_thread();
}

/* While one is inside a pop, the other takes two and gives the first one back: the head
   looks as before. */
static void aba(int id)
{
    item *first, *second;

    if (id == 0) {
        get_put(id);
        return;
    }
    first = get();
    second = get();
    put(first);
    put(get());
    put(second);
}

/* One more in hand than the caches' batches hold, so that batches are shared. */
static void spill(int id)
{
    item *taken[3];
    int i, n = id == 0 ? 3 : 2;

    for (i = 0; i < n; i++) taken[i] = get();
    while (i > 0) put(taken[--i]);
    end_thread();
}

/* One thread ends with items in its cache; the other may find them, then or later. */
static void end_or_find(int id)
{
    item *first = get(), *second = id == 1 ? get() : NULL;

    put(second);
    put(first);
    if (id == 0) end_thread();
    if (id == 1) put(get());
    end_thread();
}

/* A thread for which there is no number, and so no cache, beside one that has one. */
static void one_without(int id)
{
    if (id == 1) vts__self.asked = true;
    spill(id);
}

/* A number is given up while others take and use theirs. */
static void give_up(int id)
{
    if (id == 0) {
        vts__thread_ask(&vts__self);
        end_thread();
    } else {
        put(get());
    }
}

/* What a thread got goes back on the other thread. */
static x_word passed;

static void pass(int id)
{
    item *i;

    if (id == 0) {
        x_store(&passed, (x_word)get(), X_REL);
        put(get());
    } else {
        i = (item *)x_exchange(&passed, 0, X_ACQ_REL);
        put(i);
        put(get());
    }
    end_thread();
}

static void setup_pass(void)
{
    passed = 0;
    setup();
}

static void finish_pass(void)
{
    if (passed != 0) put((item *)passed);
    end_thread();
    finish();
}

/* A wrong item is told from a right one while others carve. */
static void put_foreign(int id)
{
    static item foreign;
    item *i = get();

    if (id == 0) x_check(vts_pool_put(&pool, &foreign) == VTS_E_FOREIGN);
    if (i != NULL && id == 1) x_check(vts_pool_put(&pool, &i->payload + 1) == VTS_E_FOREIGN);
    put(i);
    if (id == 0 && i != NULL) {
        x_check(vts_pool_outstanding(&pool) <= made.items);
    }
}

/* One lists what is out while the other gets and gives back: it sees where, or nothing. */
static const char *const site[] = {"first", "second"};

static void report(void *user, void *i, const char *where)
{
    (void)user;
    x_check(i != NULL);
    x_check(where == site[0] || where == site[1]);
}

static void list(int id)
{
    item *first, *second;

    if (id == 1) {
        x_check(vts_pool_list_rented(&pool, report, NULL) <= made.items);
        return;
    }
    first = (item *)vts_pool_get_at(&pool, site[0]);
    second = (item *)vts_pool_get_at(&pool, site[1]);
    x_check(first != NULL && second != NULL);
    put(first);
    first = (item *)vts_pool_get_at(&pool, site[1]);
    put(second);
    put(first);
}

/* Operations of pooled sources, each with its own continuation. */
static void operate(int id)
{
    vts_token token;
    vts_source *source = vts_pool_rent(&pool, &token);
    intptr_t result = 0;

    if (source != NULL) {
        x_check(vts_source_set_result(source, token, 10 + id) == VTS_OK);
        x_check(vts_source_get_result(source, token, &result) == VTS_OK);
        x_check(result == 10 + id);
        x_check(vts_source_get_result(source, token, &result) == VTS_E_STALE);
    }
    end_thread();
}

static void takes(void *arg)
{
    const vts_valuetask *task = (const vts_valuetask *)arg;
    intptr_t result = 0;

    x_check(vts_valuetask_get_result(*task, &result) == VTS_OK);
    x_check(result == 5);
}

static vts_valuetask tasks[X_THREADS];

static void operate_awaited(int id)
{
    vts_token token;
    vts_source *source = vts_pool_rent_awaited(&pool, &token, takes, &tasks[id]);

    if (source != NULL) {
        tasks[id] = vts_valuetask_of(source, token);
        x_check(vts_source_set_result(source, token, 5) == VTS_OK);
        x_check(vts_source_set_result(source, token, 6) == VTS_E_STALE);
    }
    end_thread();
}

static void run(const char *name, void (*thread)(int id), int threads, shape what)
{
    x_scenario scenario = {0};

    made = what;
    scenario.name = name;
    scenario.threads = threads;
    scenario.bound = bound;
    scenario.setup = thread == pass ? setup_pass : setup;
    scenario.thread = thread;
    scenario.finish = thread == pass ? finish_pass : finish;
    x_explore(&scenario);
}

int main(int argc, char **argv)
{
    x_options(argc, argv);
    x_on_switch = switch_self;
    run("get and put, two items", get_put, 2, (shape){2, false, false, 0, 2});
    run("get and put, one item", get_put, 2, (shape){1, false, false, 0, 1});
    run("get and put, untouched items", get_put, 2, (shape){2, false, false, 0, 0});
    run("get and put twice, two items", get_put_twice, 2, (shape){2, false, false, 0, 2});
    run("two at a time, three items", get_get_put_put, 2, (shape){3, false, false, 0, 3});
    run("the same head again", aba, 2, (shape){3, false, false, 0, 3});
    run("growing, two threads", get_put, 2, (shape){2, false, true, -1, 0});
    run("growing, two at a time", get_get_put_put, 2, (shape){4, false, true, -1, 0});
    run("passed to another thread", pass, 2, (shape){2, false, false, 0, 2});
    run("foreign items", put_foreign, 2, (shape){2, false, true, -1, 0});
    run("listed meanwhile", list, 2, (shape){2, false, false, 0, 2});
    run("listed meanwhile, untouched items", list, 2, (shape){2, false, true, -1, 0});
    run("sources", operate, 2, (shape){2, true, false, 0, 0});
    run("one source", operate, 2, (shape){1, true, false, 0, 1});
    run("sources, awaited", operate_awaited, 2, (shape){1, true, false, 0, 1});
    run("caches, get and put", get_put_twice, 2, (shape){2, false, false, 1, 0});
    run("caches, batches of one", spill, 2, (shape){4, false, false, 1, 4});
    run("caches, batches of two", spill, 2, (shape){4, false, false, 2, 4});
    run("caches, an ending thread", end_or_find, 2, (shape){2, false, false, 1, 0});
    run("caches, ending threads", end_or_find, 2, (shape){3, false, false, 2, 3});
    run("caches, passed to another thread", pass, 2, (shape){2, false, false, 1, 2});
    run("caches, a thread without", one_without, 2, (shape){4, false, false, 2, 4});
    run("caches, a number given up", give_up, 3, (shape){2, false, false, 1, 0});
    bound = 2;
    run("caches, three threads", get_put, 3, (shape){3, false, false, 1, 0});
    bound = 0;
    run("caches, sources", operate, 2, (shape){2, true, false, 1, 2});
    run("three threads, two items", get_put, 3, (shape){2, false, false, 0, 2});
    return x_status();
}
