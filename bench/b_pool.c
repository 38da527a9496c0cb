/* b_pool.c - one get and one put of a 64-byte item: one thread, two threads on the same
   pool, and got on one core but put back on the other */
#include "bench.h"

#include "vts.h"

#define ITEM 64
#define ITEMS 256

typedef struct item {
    uint32_t next; /* index + 1; atomic where the list is shared */
    unsigned char bytes[ITEM - sizeof(uint32_t)];
} item;

static vts_pool growing; /* with per-thread caches                                */
static vts_pool large;   /* the same with 100000 items out, so of many chunks     */
static vts_pool shared;  /* the same for two threads                              */
static vts_pool crossed; /* the same for items that are put on another thread     */
static vts_pool fixed;   /* over storage: without caches                          */
static VTS_POOL_STORAGE(storage, item, ITEMS);

// ----------------------------------------------------------------------------------
// >>twins
// ----------------------------------------------------------------------------------

static _Alignas(BENCH_LINE) item items[ITEMS];

/* A bare tagged freelist: {tag | index + 1} in one word, no checks, no cache. */
static _Alignas(BENCH_LINE) uint64_t tagged_head;

static BENCH_CALL void *tagged_get(void)
{
    uint64_t head = __atomic_load_n(&tagged_head, __ATOMIC_ACQUIRE);
    uint64_t next;
    item *first;

    do {
        if ((uint32_t)head == 0) return NULL;
        first = &items[(uint32_t)head - 1];
        next = ((head >> 32) + 1) << 32 | __atomic_load_n(&first->next, __ATOMIC_RELAXED);
    } while (!__atomic_compare_exchange_n(&tagged_head, &head, next, 0, __ATOMIC_ACQUIRE,
                                          __ATOMIC_ACQUIRE));
    return first;
}

static BENCH_CALL void tagged_put(void *memory)
{
    item *first = (item *)memory;
    uint64_t index = (uint64_t)(first - items) + 1;
    uint64_t head = __atomic_load_n(&tagged_head, __ATOMIC_RELAXED);
    uint64_t next;

    do {
        __atomic_store_n(&first->next, (uint32_t)head, __ATOMIC_RELAXED);
        next = ((head >> 32) + 1) << 32 | index;
    } while (!__atomic_compare_exchange_n(&tagged_head, &head, next, 0, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
}

typedef struct node {
    struct node *next;
    unsigned char bytes[ITEM - sizeof(void *)];
} node;

static node plain_nodes[ITEMS], locked_nodes[ITEMS];

/* A list without atomics: one thread only. */
static node *plain_head;

static BENCH_CALL void *plain_get(void)
{
    node *first = plain_head;
    if (first != NULL) plain_head = first->next;
    return first;
}

static BENCH_CALL void plain_put(void *memory)
{
    node *first = (node *)memory;
    first->next = plain_head;
    plain_head = first;
}

static struct {
    _Alignas(BENCH_LINE) pthread_mutex_t mutex;
    node *head;
} locked = {PTHREAD_MUTEX_INITIALIZER, NULL};

static BENCH_CALL void *locked_get(void)
{
    node *first;

    pthread_mutex_lock(&locked.mutex);
    first = locked.head;
    if (first != NULL) locked.head = first->next;
    pthread_mutex_unlock(&locked.mutex);
    return first;
}

static BENCH_CALL void locked_put(void *memory)
{
    node *first = (node *)memory;

    pthread_mutex_lock(&locked.mutex);
    first->next = locked.head;
    locked.head = first;
    pthread_mutex_unlock(&locked.mutex);
}

static BENCH_CALL void *heap_get(void) { return bench_malloc(ITEM); }

static BENCH_CALL void heap_put(void *memory) { free(memory); }

static void fill(void)
{
    unsigned i;

    for (i = 0; i < ITEMS; i++) {
        tagged_put(&items[i]);
        plain_put(&plain_nodes[i]);
        locked_put(&locked_nodes[i]);
    }
}

// ----------------------------------------------------------------------------------
// >>get and put
// ----------------------------------------------------------------------------------
// Each loop touches the item, as a user does.

#define LOOP(name, get, put)                                                           \
    static void name(size_t n)                                                         \
    {                                                                                  \
        size_t i;                                                                      \
        for (i = 0; i < n; i++) {                                                      \
            unsigned char *got = (unsigned char *)get;                                 \
            got[32] = (unsigned char)i;                                                \
            put;                                                                       \
        }                                                                              \
    }

LOOP(loop_plain, plain_get(), plain_put(got))
LOOP(loop_tagged, tagged_get(), tagged_put(got))
LOOP(loop_heap, heap_get(), heap_put(got))
LOOP(loop_locked, locked_get(), locked_put(got))
LOOP(loop_growing, vts_pool_get(&growing), vts_pool_put(&growing, got))
LOOP(loop_large, vts_pool_get(&large), vts_pool_put(&large, got))
LOOP(loop_shared, vts_pool_get(&shared), vts_pool_put(&shared, got))
LOOP(loop_fixed, vts_pool_get(&fixed), vts_pool_put(&fixed, got))

// ----------------------------------------------------------------------------------
// >>crossing
// ----------------------------------------------------------------------------------
// One thread gets and sends, the other receives and puts. What carries them is the same
// for all: a ring of pointers with one writer and one reader.

#define RING 128

static struct {
    _Alignas(BENCH_LINE) size_t written;
    size_t read_seen;
    _Alignas(BENCH_LINE) size_t read;
    size_t written_seen;
    _Alignas(BENCH_LINE) void *slot[RING];
} ring;

static inline void ring_send(void *pointer)
{
    size_t at = ring.written;

    while (at - ring.read_seen == RING) {
        ring.read_seen = __atomic_load_n(&ring.read, __ATOMIC_ACQUIRE);
    }
    ring.slot[at % RING] = pointer;
    __atomic_store_n(&ring.written, at + 1, __ATOMIC_RELEASE);
}

static inline void *ring_receive(void)
{
    size_t at = ring.read;
    void *pointer;

    while (at == ring.written_seen) {
        ring.written_seen = __atomic_load_n(&ring.written, __ATOMIC_ACQUIRE);
    }
    pointer = ring.slot[at % RING];
    __atomic_store_n(&ring.read, at + 1, __ATOMIC_RELEASE);
    return pointer;
}

#define CROSSING(name, get, put)                                                       \
    static void name##_send(size_t n)                                                  \
    {                                                                                  \
        size_t i;                                                                      \
        for (i = 0; i < n; i++) {                                                      \
            unsigned char *got = (unsigned char *)get;                                 \
            got[32] = (unsigned char)i;                                                \
            ring_send(got);                                                            \
        }                                                                              \
    }                                                                                  \
    static void name##_receive(size_t n)                                               \
    {                                                                                  \
        size_t i;                                                                      \
        for (i = 0; i < n; i++) {                                                      \
            unsigned char *got = (unsigned char *)ring_receive();                      \
            bench_sink = got[32];                                                      \
            put;                                                                       \
        }                                                                              \
    }

CROSSING(cross_ring, items[i % ITEMS].bytes, (void)got)
CROSSING(cross_tagged, tagged_get(), tagged_put(got))
CROSSING(cross_heap, heap_get(), heap_put(got))
CROSSING(cross_locked, locked_get(), locked_put(got))
CROSSING(cross_pool, vts_pool_get(&crossed), vts_pool_put(&crossed, got))

// ----------------------------------------------------------------------------------
// >>tables
// ----------------------------------------------------------------------------------

#define ONE "pool, one thread"
#define TWO "pool, two threads"
#define CROSS "pool, got here and put there"
#define TWICE(function)                                                                \
    .run = function, .other = function, .symbol = #function, .ops = 2, .syscall_n = 20000
#define ACROSS(function)                                                               \
    .run = function##_send, .other = function##_receive, .symbol = #function,          \
    .syscall_n = 20000

static bench_row rows[] = {
    BENCH_CALIBRATOR(ONE),
    {BENCH_ROW(ONE, "plain list", loop_plain), .ratio_to = "tagged freelist"},
    {BENCH_ROW(ONE, "tagged freelist", loop_tagged)},
    {BENCH_ROW(ONE, "malloc and free", loop_heap), .ratio_to = "tagged freelist"},
    {BENCH_ROW(ONE, "mutex and list", loop_locked), .ratio_to = "tagged freelist"},
    {BENCH_ROW(ONE, "vts_pool", loop_growing), .vts = true,
     .ratio_to = "tagged freelist"},
    {BENCH_ROW(ONE, "vts_pool, 100000 items out", loop_large), .vts = true,
     .ratio_to = "tagged freelist"},
    {BENCH_ROW(ONE, "vts_pool over storage, no caches", loop_fixed), .vts = true,
     .ratio_to = "tagged freelist"},
    {.group = TWO, .name = "tagged freelist", TWICE(loop_tagged)},
    {.group = TWO, .name = "malloc and free", TWICE(loop_heap),
     .ratio_to = "tagged freelist"},
    {.group = TWO, .name = "mutex and list", TWICE(loop_locked),
     .ratio_to = "tagged freelist"},
    {.group = TWO, .name = "vts_pool", TWICE(loop_shared), .vts = true,
     .ratio_to = "tagged freelist"},
    {.group = TWO, .name = "vts_pool over storage, no caches", TWICE(loop_fixed),
     .vts = true, .ratio_to = "tagged freelist"},
    {.group = CROSS, .name = "bare ring", ACROSS(cross_ring),
     .ratio_to = "malloc and free"},
    {.group = CROSS, .name = "tagged freelist", ACROSS(cross_tagged),
     .ratio_to = "malloc and free"},
    {.group = CROSS, .name = "malloc and free", ACROSS(cross_heap)},
    {.group = CROSS, .name = "mutex and list", ACROSS(cross_locked),
     .ratio_to = "malloc and free"},
    {.group = CROSS, .name = "vts_pool", ACROSS(cross_pool), .vts = true,
     .ratio_to = "malloc and free"},
};

static const bench_bar bars[] = {
    {"pool_one", ONE, "vts_pool", "tagged freelist", 0.30, false},
    {"pool_two", TWO, "vts_pool", "tagged freelist", 0.03, false},
    {"pool_malloc", ONE, "vts_pool", "malloc and free", 0.25, false},
    {"pool_cross", CROSS, "vts_pool", "malloc and free", 0.6, false},
};

static bool start(void)
{
    vts_pool_desc desc;
    unsigned i;

    memset(&desc, 0, sizeof desc);
    desc.item_size = ITEM;
    if (vts_pool_init(&growing, &desc) != VTS_OK) return false;
    if (vts_pool_init(&large, &desc) != VTS_OK) return false;
    if (vts_pool_init(&shared, &desc) != VTS_OK) return false;
    if (vts_pool_init(&crossed, &desc) != VTS_OK) return false;
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    if (vts_pool_init(&fixed, &desc) != VTS_OK) return false;
    for (i = 0; i < 100000; i++) {
        if (vts_pool_get(&large) == NULL) return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    if (!start()) return 1;
    fill();
    return bench_main(argc, argv, rows, BENCH_COUNT(rows), bars, BENCH_COUNT(bars));
}
