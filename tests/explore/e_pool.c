/* The pool: no item is handed out twice, none is lost, and who gets one sees what its
   last holder wrote. Every item has a plain payload that its holder writes: two holders
   at a time, or a hand-over that publishes too little, are a data race.
   With --long less is bounded, and more is done over caches. */
#define VTS__TAG_MASK ((vts_word)7) /* of the head: a thread that stops inside a pop for
                                       exactly eight changes would see the same again */
#include "tests/explore/shipped.h"

typedef struct item {
    long payload;
} item;

static VTS_POOL_STORAGE(storage, item, 4);
static VTS_POOL_STORAGE(sources, vts_source, 4);
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

static void make(void)
{
    vts_pool_desc desc = {0};

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
    name_pool();
}

/* The thread that set up ends; the tag is about to wrap. */
static void set_up(void)
{
    end_thread();
    forget_threads();
    pool.head = (pool.head & VTS__HALF_MASK) | (VTS__TAG_MASK - 1) << VTS__HALF;
}

static void setup(void)
{
    void *used[4];
    uint32_t i;

    make();
    for (i = 0; i < made.used; i++) used[i] = vts_pool_get(&pool);
    while (i > 0) vts_pool_put(&pool, used[--i]);
    set_up();
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
    vts_source *source[5];
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
        while ((source[count] = vts_pool_rent(&pool, &token)) != NULL) {
            for (i = 0; i < count; i++) x_check(source[i] != source[count]);
            x_check(++count <= made.items);
        }
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

// ----------------------------------------------------------------------------------
// Every two calls, every three
// ----------------------------------------------------------------------------------

typedef enum op {
    GET,
    PUT,         /* what the thread has since before                                */
    PUT_AGAIN,   /* an item that is in the pool                                     */
    PUT_FOREIGN,
    RENT,
    RENT_AWAITED,
    COMPLETE,    /* what the thread has: its result is taken, and it returns itself */
    ABANDON,
    OUTSTANDING,
    LIST,
    OPS
} op;
static const char *const op_name[] = {"get",      "put",          "put_again", "put_foreign",
                                      "rent",     "rent_awaited", "complete",  "abandon",
                                      "outstanding", "list"};

/* What each thread has since before, and has got; of sources with their tokens. */
static struct {
    void *item[2];
    vts_token token[2];
} has[X_THREADS];
static op program[X_THREADS];
static uint32_t free_items; /* of those used before      */
static void *returned;      /* one of them               */
static int failures;        /* of weak swaps, per thread */

static void nothing(void *arg) { (void)arg; }

static bool take(int id, int which)
{
    vts_token *token = &has[id].token[which];

    has[id].item[which] = made.source ? (void *)vts_pool_rent(&pool, token) : (void *)get();
    return has[id].item[which] != NULL;
}

static int give_back(int id, int which)
{
    void *i = has[id].item[which];
    vts_token token = has[id].token[which];

    has[id].item[which] = NULL;
    if (i == NULL) return VTS_OK;
    if (made.source) {
        x_check(vts_source_set_result((vts_source *)i, token, 1) == VTS_OK);
        return vts_source_get_result((vts_source *)i, token, NULL);
    }
    ((item *)i)->payload++;
    return vts_pool_put(&pool, i);
}

static void setup_calls(void)
{
    int id, i;

    make();
    memset(has, 0, sizeof has);
    for (id = 0; id < x_scene->threads; id++) take(id, 0);
    for (i = 0; i < (int)free_items; i++) take(X_THREADS - 1, i);
    returned = has[X_THREADS - 1].item[0];
    while (i > 0) give_back(X_THREADS - 1, --i);
    set_up();
}

static bool rent_awaited(int id)
{
    has[id].item[1] = vts_pool_rent_awaited(&pool, &has[id].token[1], nothing, NULL);
    return has[id].item[1] != NULL;
}

static int abandon(int id)
{
    vts_source *source = (vts_source *)has[id].item[0];

    has[id].item[0] = NULL;
    return vts_source_abandon(source, has[id].token[0]);
}

static long call(op o, int id)
{
    static item foreign;

    switch (o) {
    case GET:
    case RENT: return take(id, 1);
    case RENT_AWAITED: return rent_awaited(id);
    case PUT:
    case COMPLETE: return give_back(id, 0);
    case PUT_AGAIN: return vts_pool_put(&pool, returned);
    case PUT_FOREIGN: return vts_pool_put(&pool, &foreign);
    case ABANDON: return abandon(id);
    case OUTSTANDING: return (long)vts_pool_outstanding(&pool);
    case LIST: return (long)vts_pool_list_rented(&pool, NULL, NULL);
    case OPS: break;
    }
    return 0;
}

static void thread_calls(int id)
{
    x_call();
    x_note(op_name[program[id]], call(program[id], id));
    x_call();
    end_thread();
}

static void finish_calls(void)
{
    int id;

    x_note("out", (long)vts_pool_outstanding(&pool));
    for (id = 0; id < x_scene->threads; id++) {
        x_check(give_back(id, 0) == VTS_OK);
        x_check(give_back(id, 1) == VTS_OK);
    }
    end_thread();
    finish();
}

static bool gets(op o) { return o == GET || o == RENT || o == RENT_AWAITED; }

/* What a thread that gets nothing would have got in a sequential order. */
static const char *except_calls(void)
{
    int id;

    for (id = 0; id < x_scene->threads && made.cache > 0; id++) {
        if (gets(program[id]) && x_result.note[id][0].value == 0) {
            return "the rest is in another thread's cache";
        }
    }
    return NULL;
}

/* An item put again must still be there; sources and plain items have their own calls. */
static bool fits(op a, op b)
{
    if ((a == PUT_AGAIN && b == GET) || (a == GET && b == PUT_AGAIN)) return false;
    if (failures > 0 && (a == ABANDON || b == ABANDON)) return false;
    return a >= OUTSTANDING || (a >= RENT) == made.source;
}

static void explore_calls(const char *kind, int threads)
{
    x_scenario scenario = {0};
    char name[160];
    int length, id;

    length = snprintf(name, sizeof name, "%s, %u used, %u new%s:", kind, free_items,
                      made.items - free_items - (unsigned)threads,
                      failures > 0 ? ", weak swaps" : "");
    for (id = 0; id < threads; id++) {
        length += snprintf(name + length, sizeof name - (size_t)length, " %s %s",
                           id > 0 ? "|" : "", op_name[program[id]]);
    }
    scenario.name = name;
    scenario.threads = threads;
    scenario.setup = setup_calls;
    scenario.thread = thread_calls;
    scenario.finish = finish_calls;
    scenario.except = except_calls;
    scenario.linear = true;
    scenario.spurious = failures;
    if (threads > 2 && made.cache > 0) scenario.bound = scenario.long_bound = 1;
    x_explore(&scenario);
}

/* The calls of thread id and those after it, none before that of the thread before. */
static void choose_calls(const char *kind, int threads, int id)
{
    op o;

    if (id == threads) {
        explore_calls(kind, threads);
        return;
    }
    for (o = id > 0 ? program[id - 1] : GET; o < OPS; o++) {
        if (!fits(o, o) || (id > 0 && !fits(program[id - 1], o))) continue;
        if (id > 1 && !fits(program[0], o)) continue;
        program[id] = o;
        choose_calls(kind, threads, id + 1);
    }
}

/* Over every number of free items, used before and new. */
static void every_calls(const char *kind, shape what, int threads, int weak)
{
    char name[120];
    uint32_t most = threads == 2 ? 2 : 1, fresh;

    failures = weak;
    x_group(NULL);
    for (free_items = 0; free_items <= most; free_items++) {
        for (fresh = 0; free_items + fresh <= most; fresh++) {
            made = what;
            made.items = (uint32_t)threads + free_items + fresh;
            choose_calls(kind, threads, 0);
        }
    }
    snprintf(name, sizeof name, "every %s calls, %s%s", threads == 2 ? "two" : "three", kind,
             weak > 0 ? ", weak swaps" : "");
    x_group(name);
    failures = 0;
}

/* A pool that grows needs strong swaps: that for a chunk is tried once. */
static void run_calls(void)
{
    static const struct {
        const char *name;
        shape shape;
    } kinds[] = {
        {"items", {0, false, false, 0, 0}},
        {"sources", {0, true, false, 0, 0}},
        {"items, growing", {0, false, true, -1, 0}},
        {"items, caches of one", {0, false, false, 1, 0}},
        {"items, caches of two", {0, false, false, 2, 0}},
        {"sources, caches of two", {0, true, false, 2, 0}},
    };
    size_t i;

    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool grows = kinds[i].shape.growing, cached = kinds[i].shape.cache > 0;
        every_calls(kinds[i].name, kinds[i].shape, 2, 0);
        every_calls(kinds[i].name, kinds[i].shape, 3, 0);
        if (grows || (cached && !x_option.longer)) continue;
        every_calls(kinds[i].name, kinds[i].shape, 2, 1);
    }
    if (!x_option.longer) printf("    --long: fewer bounds, weak swaps over caches\n");
}

// ----------------------------------------------------------------------------------
// Programs
// ----------------------------------------------------------------------------------

static void run_bounded(const char *name, void (*thread)(int id), int threads, shape what,
                        int bound)
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

static void run(const char *name, void (*thread)(int id), int threads, shape what)
{
    run_bounded(name, thread, threads, what, 0);
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
    run_bounded("caches, three threads", get_put, 3, (shape){3, false, false, 1, 0}, 2);
    run("caches, sources", operate, 2, (shape){2, true, false, 1, 2});
    run("three threads, two items", get_put, 3, (shape){2, false, false, 0, 2});
    run_calls();
    return x_status();
}
