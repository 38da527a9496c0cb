/* The pool: capacity, growth, wrong returns, what threads keep and leave behind. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#include <sys/mman.h>

#define MANY 4096

static void *taken[MANY];

static vts_pool_desc growing(size_t item_size, uint32_t capacity, int cache)
{
    vts_pool_desc desc = {0};

    desc.item_size = item_size;
    desc.capacity = capacity;
    desc.cache = cache;
    desc.allocator = &test_allocator;
    return desc;
}

static void make(vts_pool *pool, const vts_pool_desc *desc)
{
    assert_code(vts_pool_init(pool, desc), VTS_OK);
}

/* Gets into taken[] until there are no more. */
static size_t take_all(vts_pool *pool)
{
    size_t count = 0;

    while (count < MANY && (taken[count] = vts_pool_get(pool)) != NULL) count++;
    return count;
}

static void give_back(vts_pool *pool, size_t count)
{
    while (count > 0) assert_code(vts_pool_put(pool, taken[--count]), VTS_OK);
}

static void destroy(vts_pool *pool)
{
    assert_int_equal(vts_pool_outstanding(pool), 0);
    assert_int_equal(vts_pool_list_rented(pool, NULL, NULL), 0);
    assert_code(vts_pool_destroy(pool), VTS_OK);
}

/* A pool of plain items over storage that is anything but zero. */
static void make_over(vts_pool *pool, void *storage, size_t size, size_t item_size)
{
    vts_pool_desc desc = {0};

    memset(storage, 0xee, size);
    desc.item_size = item_size;
    desc.storage = storage;
    desc.storage_size = size;
    make(pool, &desc);
}

// ----------------------------------------------------------------------------------
// Capacity
// ----------------------------------------------------------------------------------

#define CHECK_STORAGE(bytes_of_item, count)                                            \
    do {                                                                               \
        typedef struct {                                                               \
            unsigned char bytes[bytes_of_item];                                        \
        } item;                                                                        \
        static VTS_POOL_STORAGE(storage, item, count);                                 \
        vts_pool pool;                                                                 \
        make_over(&pool, storage, sizeof storage, sizeof(item));                       \
        assert_int_equal(take_all(&pool), count);                                      \
        give_back(&pool, count);                                                       \
        destroy(&pool);                                                                \
    } while (0)

static void storage_holds_exactly_its_count(void)
{
    CHECK_STORAGE(1, 1);
    CHECK_STORAGE(1, 100);
    CHECK_STORAGE(7, 100);
    CHECK_STORAGE(8, 100);
    CHECK_STORAGE(9, 100);
    CHECK_STORAGE(40, 33);
    CHECK_STORAGE(64, 16);
    CHECK_STORAGE(200, 5);
}

static void storage_of_sources_holds_exactly_its_count(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 16);
    vts_pool pool;
    vts_pool_desc desc = {0};
    vts_source *sources[17];
    vts_token tokens[17];
    int i;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    make(&pool, &desc);
    for (i = 0; i < 17; i++) sources[i] = vts_pool_rent(&pool, &tokens[i]);
    for (i = 0; i < 16; i++) assert_non_null(sources[i]);
    assert_null(sources[16]);
    for (i = 0; i < 16; i++)
        assert_code(vts_source_abandon(sources[i], tokens[i]), VTS_OK);
    destroy(&pool);
}

static void capacity_limits_what_storage_gives(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 10);
    vts_pool pool;
    vts_pool_desc desc = {0};

    desc.item_size = sizeof(vts_word);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.capacity = 3;
    make(&pool, &desc);
    assert_int_equal(take_all(&pool), 3);
    give_back(&pool, 3);
    destroy(&pool);
}

static void exhaustion_is_a_result_and_a_return_ends_it(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 4);
    vts_pool pool;
    int i;

    make_over(&pool, storage, sizeof storage, sizeof(vts_word));
    assert_int_equal(take_all(&pool), 4);
    for (i = 0; i < 4; i++) {
        assert_null(vts_pool_get(&pool));
        assert_code(vts_pool_put(&pool, taken[i]), VTS_OK);
        assert_ptr_equal(vts_pool_get(&pool), taken[i]);
    }
    assert_null(vts_pool_get(&pool));
    assert_int_equal(vts_pool_outstanding(&pool), 4);
    give_back(&pool, 4);
    destroy(&pool);
}

static int by_address(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    return (x > y) - (x < y);
}

/* Items in taken[] are apart by their size at least. */
static void assert_apart(size_t count, size_t item_size)
{
    size_t i;

    qsort(taken, count, sizeof *taken, by_address);
    for (i = 1; i < count; i++) {
        assert_true((uintptr_t)taken[i] - (uintptr_t)taken[i - 1] >= item_size);
    }
}

static void check_growth(uint32_t first, uint32_t capacity, int cache, size_t chunks)
{
    vts_pool pool;
    vts_pool_desc desc = growing(24, capacity, cache);
    size_t caches = cache >= 0 && capacity >= 512;
    int round;

    desc.first = first;
    make(&pool, &desc);
    assert_int_equal(test_memory.live, caches);
    for (round = 0; round < 3; round++) {
        assert_int_equal(take_all(&pool), capacity);
        assert_int_equal(vts_pool_outstanding(&pool), capacity);
        assert_int_equal(test_memory.live, chunks + caches);
        assert_apart(capacity, 24);
        give_back(&pool, capacity);
    }
    destroy(&pool);
    assert_int_equal(test_memory.live, 0);
}

static void growing_reaches_exactly_its_capacity(void)
{
    check_growth(4, 37, -1, 5);
    check_growth(4, 32, -1, 4);
    check_growth(4, 33, -1, 5);
    check_growth(1, 9, -1, 5);
    check_growth(64, 10, -1, 1);
    check_growth(0, 64, -1, 1);
    check_growth(0, 65, -1, 2);
    check_growth(2048, 2048, 0, 1);
    check_growth(8, 4000, 0, 10);
    check_growth(8, 4000, -1, 10);
}

static void one_thread_gets_everything_through_its_cache(void)
{
    int cache;

    for (cache = 1; cache <= 32; cache *= 2) {
        vts_pool pool;
        vts_pool_desc desc = growing(8, 600, cache);
        make(&pool, &desc);
        assert_int_equal(take_all(&pool), 600);
        give_back(&pool, 600);
        assert_int_equal(take_all(&pool), 600);
        give_back(&pool, 600);
        destroy(&pool);
    }
}

static void a_pool_touches_no_memory_before_the_first_get(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(8, 100, -1);

    make(&pool, &desc);
    assert_int_equal(test_memory.calls, 0);
    destroy(&pool);
}

static void a_zero_desc_makes_a_growing_pool_of_sources(void)
{
    vts_pool pool;
    vts_pool_desc desc = {0};
    vts_token token;
    vts_source *source;

    make(&pool, &desc);
    source = vts_pool_rent(&pool, &token);
    assert_non_null(source);
    assert_code(vts_source_abandon(source, token), VTS_OK);
    destroy(&pool);
}

// ----------------------------------------------------------------------------------
// Contents
// ----------------------------------------------------------------------------------

static void an_item_is_zero_at_first_and_kept_afterwards(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 16); /* only for its size */
    static const unsigned char zero[37];
    unsigned char *item;
    vts_pool pool;
    size_t n, i;

    make_over(&pool, storage, sizeof storage, 37);
    n = take_all(&pool);
    assert_true(n >= 8);
    for (i = 0; i < n; i++) {
        assert_memory_equal(taken[i], zero, 37);
        memset(taken[i], (int)i + 1, 37);
    }
    for (i = 0; i < n; i++) {
        assert_code(vts_pool_put(&pool, taken[i]), VTS_OK);
        item = (unsigned char *)vts_pool_get(&pool);
        assert_ptr_equal(item, taken[i]);
        assert_int_equal(item[0], i + 1);
        assert_int_equal(item[36], i + 1);
    }
    give_back(&pool, n);
    destroy(&pool);
}

static void grown_items_are_zero_at_first_too(void)
{
    static const unsigned char zero[100];
    vts_pool pool;
    vts_pool_desc desc = growing(100, 1000, 0);
    size_t i;

    make(&pool, &desc);
    assert_int_equal(take_all(&pool), 1000);
    for (i = 0; i < 1000; i++) assert_memory_equal(taken[i], zero, 100);
    give_back(&pool, 1000);
    destroy(&pool);
}

static void check_alignment(size_t item_size, size_t asked, size_t least)
{
    vts_pool pool;
    vts_pool_desc desc = growing(item_size, 20, -1);
    size_t i;

    desc.first = 4;
    desc.alignment = asked;
    make(&pool, &desc);
    assert_int_equal(take_all(&pool), 20);
    for (i = 0; i < 20; i++) assert_int_equal((uintptr_t)taken[i] % least, 0);
    give_back(&pool, 20);
    destroy(&pool);
}

static void items_are_aligned_as_asked(void)
{
    size_t item_size;

    for (item_size = 1; item_size < 200; item_size += 13) {
        check_alignment(item_size, 0, 16);
        check_alignment(item_size, 1, sizeof(vts_word));
        check_alignment(item_size, 16, 16);
        check_alignment(item_size, 32, 32);
        check_alignment(item_size, 64, 64);
    }
}

static void items_over_aligned_storage_are_aligned(void)
{
    typedef struct {
        _Alignas(32) unsigned char bytes[32];
    } wide;
    static VTS_POOL_STORAGE(storage, wide, 9);
    vts_pool pool;
    vts_pool_desc desc = {0};
    size_t i;

    desc.item_size = sizeof(wide);
    desc.alignment = 32;
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    make(&pool, &desc);
    assert_int_equal(take_all(&pool), 9);
    for (i = 0; i < 9; i++) assert_int_equal((uintptr_t)taken[i] % 32, 0);
    give_back(&pool, 9);
    destroy(&pool);
}

// ----------------------------------------------------------------------------------
// Errors of init
// ----------------------------------------------------------------------------------

static void assert_refused(const vts_pool_desc *desc, int code)
{
    vts_pool pool;

    memset(&pool, 0, sizeof pool);
    assert_code(vts_pool_init(&pool, desc), code);
    assert_int_equal(test_memory.live, 0);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void init_refuses_what_is_no_pool(void)
{
    vts_pool_desc desc = growing(0, 0, -1);
    vts_pool pool;

    assert_code(vts_pool_init(NULL, &desc), VTS_E_ARGUMENT);
    assert_code(vts_pool_init(&pool, NULL), VTS_E_ARGUMENT);
    assert_code(vts_pool_destroy(NULL), VTS_E_ARGUMENT);
}

/* With a first chunk of one item: what the chunks hold, or what an index names. */
#define LARGEST (sizeof(vts_word) > 4 ? 1u << 26 : 65534u)

static void init_refuses_impossible_sizes(void)
{
    vts_pool_desc desc = growing(SIZE_MAX, 0, -1);

    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.item_size = SIZE_MAX / 4 + 1;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc = growing(8, UINT32_MAX, -1);
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc = growing(8, 0, -1);
    desc.first = 3;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.first = 1;
    desc.capacity = LARGEST + 1;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.capacity = LARGEST;
    assert_code(vts_pool_init(&(vts_pool){0}, &desc), VTS_OK);
}

static void a_chunk_size_never_wraps(void)
{
    size_t item_size;

    for (item_size = SIZE_MAX / 4; item_size > 1024; item_size /= 2) {
        vts_pool pool;
        vts_pool_desc desc = growing(item_size, 64, -1);
        test_fail_at(1);
        if (vts_pool_init(&pool, &desc) != VTS_OK) continue;
        assert_null(vts_pool_get(&pool));
        assert_true(test_memory.last_size / 64 >= item_size);
        destroy(&pool);
    }
}

static void init_refuses_an_allocator_that_cannot_allocate(void)
{
    static const vts_allocator none = {NULL, test_block_free, NULL};
    vts_pool_desc desc = growing(8, 0, -1);

    desc.allocator = &none;
    assert_refused(&desc, VTS_E_ARGUMENT);
}

static void init_refuses_storage_that_holds_nothing(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 2);
    vts_pool_desc desc = {0};

    desc.item_size = sizeof(vts_word);
    desc.storage = storage;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.storage_size = sizeof storage / 2 - 1;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.storage = (char *)storage + 1;
    desc.storage_size = sizeof storage - 1;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.storage = NULL;
    desc.storage_size = sizeof storage;
    assert_refused(&desc, VTS_E_ARGUMENT);
}

static void init_refuses_caches_over_storage_without_an_allocator(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 2);
    vts_pool_desc desc = {0};

    desc.item_size = sizeof(vts_word);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.cache = 2;
    assert_refused(&desc, VTS_E_ARGUMENT);
}

static void init_refuses_odd_alignments(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 4);
    vts_pool_desc desc = growing(8, 0, -1);

    desc.alignment = 3;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.alignment = 128;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.alignment = 64;
    desc.storage = (char *)storage + ((uintptr_t)storage % 64 == 0 ? 8 : 0);
    desc.storage_size = sizeof storage - 8;
    assert_refused(&desc, VTS_E_ARGUMENT);
}

static void init_refuses_sources_that_do_not_fit(void)
{
    vts_pool_desc desc = growing(sizeof(vts_source) - 1, 0, -1);

    desc.source = true;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.item_size = sizeof(vts_source) + 16;
    desc.value_size = 8;
    desc.value_offset = sizeof(vts_source) - sizeof(vts_word); /* inside the source */
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.value_offset = sizeof(vts_source) + 1; /* not a word's address */
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.value_offset = sizeof(vts_source) + 16; /* behind the item */
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.value_offset = sizeof(vts_source) + 8;
    desc.value_size = 9;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.value_size = 8;
    assert_code(vts_pool_init(&(vts_pool){0}, &desc), VTS_OK);
}

static void a_pool_that_failed_to_start_gives_and_takes_nothing(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(8, 0, -1);
    vts_token token = 9;

    desc.first = 3;
    memset(&pool, 0x5a, sizeof pool);
    assert_code(vts_pool_init(&pool, &desc), VTS_E_ARGUMENT);
    assert_null(vts_pool_get(&pool));
    assert_null(vts_pool_rent(&pool, &token));
    assert_int_equal(token, 9);
    assert_code(vts_pool_put(&pool, &desc), VTS_E_FOREIGN);
    destroy(&pool);
}

// ----------------------------------------------------------------------------------
// Wrong returns
// ----------------------------------------------------------------------------------

static void check_double_return(int cache, size_t count)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 1000, cache);
    size_t i, out;

    make(&pool, &desc);
    for (i = 0; i < count; i++) taken[i] = vts_pool_get(&pool);
    for (i = 0; i < count; i++) {
        assert_code(vts_pool_put(&pool, taken[i]), VTS_OK);
        out = vts_pool_outstanding(&pool);
        assert_code(vts_pool_put(&pool, taken[i]), VTS_E_DOUBLE_RETURN);
        assert_code(vts_pool_put(&pool, taken[0]), VTS_E_DOUBLE_RETURN);
        assert_int_equal(vts_pool_outstanding(&pool), out);
    }
    assert_int_equal(take_all(&pool), 1000); /* each once */
    assert_apart(1000, 16);
    give_back(&pool, 1000);
    destroy(&pool);
}

static void a_double_return_is_found_wherever_the_item_lies(void)
{
    check_double_return(-1, 1);
    check_double_return(-1, 100);
    check_double_return(0, 1);
    check_double_return(0, 100);
    check_double_return(8, 1);
    check_double_return(8, 100);
}

static void an_item_carved_but_never_rented_is_a_double_return(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 1000, 8);
    char *item;

    make(&pool, &desc);
    item = (char *)vts_pool_get(&pool); /* seven more come into the cache */
    assert_code(vts_pool_put(&pool, item + pool.stride), VTS_E_DOUBLE_RETURN);
    assert_code(vts_pool_put(&pool, item), VTS_OK);
    destroy(&pool);
}

/* Every address from before the storage to behind it: an item's is known, no other. */
static void check_every_address(size_t item_size)
{
    static vts_word room[600];
    vts_pool pool;
    char *storage = (char *)&room[50], *at;
    size_t size = 400 * sizeof(vts_word), carved = 3, i;

    make_over(&pool, storage, size, item_size);
    for (i = 0; i < carved; i++) taken[i] = vts_pool_get(&pool);
    assert_ptr_equal(taken[0], storage);
    assert_code(vts_pool_put(&pool, taken[1]), VTS_OK);
    for (at = (char *)room; at < (char *)(room + 600); at++) {
        ptrdiff_t offset = at - storage;
        bool item = offset >= 0 && (size_t)offset % pool.stride == 0 &&
                    (size_t)offset / pool.stride < carved;
        if (item && offset != (ptrdiff_t)pool.stride)
            continue; /* rented: a right return */
        assert_code(vts_pool_put(&pool, at),
                    item ? VTS_E_DOUBLE_RETURN : VTS_E_FOREIGN);
    }
    assert_int_equal(vts_pool_outstanding(&pool), 2);
    assert_code(vts_pool_put(&pool, taken[0]), VTS_OK);
    assert_code(vts_pool_put(&pool, taken[2]), VTS_OK);
    destroy(&pool);
}

static void only_an_items_own_address_is_not_foreign(void)
{
    size_t item_size;

    for (item_size = 1; item_size <= 130; item_size++) check_every_address(item_size);
}

static void one_past_the_last_item_is_foreign(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 5); /* one is behind the capacity */
    vts_pool pool;
    vts_pool_desc desc = {0};
    size_t i;

    desc.item_size = sizeof(vts_word);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.capacity = 4;
    make(&pool, &desc);
    assert_int_equal(take_all(&pool), 4);
    for (i = 0; i < 5; i++) memset(&storage[i], 0, sizeof storage[i]);
    assert_code(vts_pool_put(&pool, &storage[4]), VTS_E_FOREIGN);
}

static void addresses_anywhere_are_foreign_to_a_pool_of_many_chunks(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(40, 1000, -1);
    int on_stack = 0;
    size_t i;

    desc.first = 4;
    make(&pool, &desc);
    assert_int_equal(take_all(&pool), 1000);
    assert_code(vts_pool_put(&pool, &on_stack), VTS_E_FOREIGN);
    assert_code(vts_pool_put(&pool, &pool), VTS_E_FOREIGN);
    for (i = 0; i < 1000; i++) {
        char *item = (char *)taken[i];
        assert_code(vts_pool_put(&pool, item + 1), VTS_E_FOREIGN);
        assert_code(vts_pool_put(&pool, item + 8), VTS_E_FOREIGN);
        assert_code(vts_pool_put(&pool, item + pool.slot_offset), VTS_E_FOREIGN);
        assert_code(vts_pool_put(&pool, item + pool.stride - 1), VTS_E_FOREIGN);
    }
    for (i = 0; i < 100000; i++) {
        uintptr_t address =
            (uintptr_t)taken[i % 1000] ^ (uintptr_t)(test_random() << 16);
        if (address == (uintptr_t)taken[i % 1000]) continue;
        assert_code(vts_pool_put(&pool, (void *)address), VTS_E_FOREIGN);
    }
    assert_int_equal(vts_pool_outstanding(&pool), 1000);
    give_back(&pool, 1000);
    destroy(&pool);
}

/* One past each chunk lies no item, though the next chunk's first has that number. */
static void one_past_a_chunk_is_foreign(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(40, 64, -1);
    unsigned k;

    desc.first = 4;
    make(&pool, &desc);
    assert_int_equal(take_all(&pool), 64);
    for (k = 0; pool.chunk[k] != 0; k++) {
        size_t items = vts__chunk_end(&pool, k) - vts__chunk_start(&pool, k);
        char *past = (char *)pool.chunk[k] + items * pool.stride;
        assert_code(vts_pool_put(&pool, past), VTS_E_FOREIGN);
        assert_code(vts_pool_put(&pool, (char *)pool.chunk[k] - pool.stride),
                    VTS_E_FOREIGN);
    }
    assert_int_equal(k, 5);
    give_back(&pool, 64);
    destroy(&pool);
}

static void an_item_of_another_pool_is_foreign(void)
{
    vts_pool a, b;
    vts_pool_desc desc = growing(16, 100, -1);
    void *item;

    make(&a, &desc);
    make(&b, &desc);
    assert_non_null(vts_pool_get(&b));
    item = vts_pool_get(&a);
    assert_code(vts_pool_put(&b, item), VTS_E_FOREIGN);
    assert_int_equal(vts_pool_outstanding(&b), 1);
    assert_code(vts_pool_put(&a, item), VTS_OK);
    destroy(&a);
    item = vts_pool_get(&b);
    assert_code(vts_pool_put(&b, item), VTS_OK);
    assert_code(vts_pool_put(&b, (char *)item - b.stride), VTS_OK);
    destroy(&b);
}

static void a_source_is_not_put_but_returns_itself(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(0, 4, -1);
    vts_token token;
    vts_source *source;

    make(&pool, &desc);
    source = vts_pool_rent(&pool, &token);
    assert_code(vts_pool_put(&pool, source), VTS_E_ARGUMENT);
    assert_code(vts_pool_put(&pool, &pool), VTS_E_FOREIGN);
    assert_code(vts_source_get_status(source, token), VTS_PENDING);
    assert_code(vts_source_abandon(source, token), VTS_OK);
    assert_code(vts_pool_put(&pool, source), VTS_E_ARGUMENT);
    destroy(&pool);
}

static void get_of_a_source_pool_gives_nothing(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(0, 4, -1);

    make(&pool, &desc);
    assert_null(vts_pool_get(&pool));
    destroy(&pool);
}

static void rent_needs_a_pool_of_sources_and_a_place_for_the_token(void)
{
    vts_pool plain, sources;
    vts_pool_desc desc = growing(sizeof(vts_source), 4, -1);
    vts_token token = 9;

    make(&plain, &desc);
    desc.source = true;
    make(&sources, &desc);
    assert_null(vts_pool_rent(&plain, &token));
    assert_null(vts_pool_rent(&sources, NULL));
    assert_null(vts_pool_rent(NULL, &token));
    assert_null(vts_pool_get(NULL));
    assert_int_equal(token, 9);
    assert_code(vts_pool_put(NULL, &plain), VTS_E_ARGUMENT);
    assert_code(vts_pool_put(&plain, NULL), VTS_E_ARGUMENT);
    assert_int_equal(vts_pool_outstanding(NULL), 0);
    assert_int_equal(vts_pool_list_rented(NULL, NULL, NULL), 0);
    destroy(&plain);
    destroy(&sources);
}

static void an_exhausted_rent_leaves_the_token(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(0, 1, -1);
    vts_token token, other = 9;
    vts_source *source;

    make(&pool, &desc);
    source = vts_pool_rent(&pool, &token);
    assert_null(vts_pool_rent(&pool, &other));
    assert_int_equal(other, 9);
    assert_code(vts_source_abandon(source, token), VTS_OK);
    destroy(&pool);
}

// ----------------------------------------------------------------------------------
// What is out
// ----------------------------------------------------------------------------------

typedef struct listed {
    int count;
    void *item[8];
    const char *site[8];
} listed;

static void list_one(void *user, void *item, const char *site)
{
    listed *list = (listed *)user;
    list->item[list->count] = item;
    list->site[list->count++] = site;
}

static void what_is_out_is_listed_with_its_place(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 600, 0);
    listed list = {0};
    const char *here;
    void *a, *b, *c;

    make(&pool, &desc);
    a = vts_pool_get(&pool);
    b = vts_pool_get(&pool), here = VTS_HERE;
    c = vts_pool_get_at(&pool, "by hand");
    assert_code(vts_pool_put(&pool, a), VTS_OK);
    assert_int_equal(vts_pool_list_rented(&pool, list_one, &list), 2);
    assert_int_equal(list.count, 2);
    assert_int_equal(vts_pool_outstanding(&pool), 2);
    assert_ptr_equal(list.item[list.item[0] != b], b);
    assert_string_equal(list.site[list.item[0] != b], here);
    assert_ptr_equal(list.item[list.item[0] != c], c);
    assert_string_equal(list.site[list.item[0] != c], "by hand");
    assert_code(vts_pool_put(&pool, b), VTS_OK);
    assert_code(vts_pool_put(&pool, c), VTS_OK);
    destroy(&pool);
}

static void a_place_is_file_and_line(void)
{
    char text[16];

    snprintf(text, sizeof text, ":%d", __LINE__ + 1);
    assert_non_null(strstr(VTS_HERE, text));
    assert_int_equal(strncmp(VTS_HERE, __FILE__, strlen(__FILE__)), 0);
}

static void rented_sources_are_listed_until_their_result_is_taken(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(0, 4, -1);
    listed list = {0};
    vts_token token;
    vts_source *source;
    const char *here;

    make(&pool, &desc);
    source = vts_pool_rent(&pool, &token), here = VTS_HERE;
    assert_int_equal(vts_pool_list_rented(&pool, list_one, &list), 1);
    assert_ptr_equal(list.item[0], source);
    assert_string_equal(list.site[0], here);
    assert_code(vts_source_set_result(source, token, 1), VTS_OK);
    assert_int_equal(vts_pool_list_rented(&pool, NULL, NULL), 1);
    assert_code(vts_source_get_result(source, token, NULL), VTS_OK);
    assert_int_equal(vts_pool_list_rented(&pool, NULL, NULL), 0);
    destroy(&pool);
}

static void destroy_is_refused_while_items_are_out(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(8, 600, 0);
    void *item;
    size_t live;

    make(&pool, &desc);
    item = vts_pool_get(&pool);
    live = test_memory.live;
    assert_code(vts_pool_destroy(&pool), VTS_E_BUSY);
    assert_int_equal(test_memory.live, live);
    assert_code(vts_pool_put(&pool, item), VTS_OK);
    destroy(&pool);
    assert_int_equal(test_memory.live, 0);
}

static void an_allocator_without_free_is_never_asked_to(void)
{
    static void *given[8];
    vts_allocator allocator = {test_block_new, NULL, NULL};
    vts_pool pool;
    vts_pool_desc desc = growing(8, 8, -1);

    desc.allocator = &allocator;
    make(&pool, &desc);
    given[0] = vts_pool_get(&pool);
    assert_code(vts_pool_put(&pool, given[0]), VTS_OK);
    given[1] = (void *)pool.chunk[0];
    destroy(&pool);
    assert_int_equal(test_memory.live, 1);
    given[2] = (void *)((vts_word *)given[1])[-1];
    test_block_free(NULL, given[2], test_memory.last_size);
}

// ----------------------------------------------------------------------------------
// Reuse
// ----------------------------------------------------------------------------------

static void every_change_of_the_shared_list_changes_its_tag(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 2);
    unsigned half = sizeof(vts_word) * 4;
    vts_pool pool;
    vts_word before, out;
    void *item;

    make_over(&pool, storage, sizeof storage, sizeof(vts_word));
    item = vts_pool_get(&pool);
    assert_code(vts_pool_put(&pool, item), VTS_OK);
    before = pool.head;
    assert_ptr_equal(vts_pool_get(&pool), item);
    out = pool.head;
    assert_code(vts_pool_put(&pool, item), VTS_OK);
    assert_true(pool.head << half == before << half); /* the same item is first */
    assert_true(pool.head >> half == (before >> half) + 2);
    assert_true(out >> half == (before >> half) + 1);
    destroy(&pool);
}

static void the_tag_of_the_shared_list_wraps(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 3);
    unsigned half = sizeof(vts_word) * 4;
    vts_pool pool;
    int i;

    make_over(&pool, storage, sizeof storage, sizeof(vts_word));
    assert_int_equal(take_all(&pool), 3);
    give_back(&pool, 3);
    pool.head |= ~(vts_word)0 << half;
    for (i = 0; i < 4; i++) {
        assert_int_equal(take_all(&pool), 3);
        assert_apart(3, sizeof(vts_word));
        give_back(&pool, 3);
    }
    assert_true(pool.head >> half < 100);
    destroy(&pool);
}

typedef struct stamped {
    uint64_t value;
    uint32_t index;
} stamped;

/* Any sequence of gets and puts against a list of what is out. */
static void check_random_sequence(vts_pool *pool, size_t capacity)
{
    static stamped *out[MANY];
    static uint64_t value[MANY];
    size_t count = 0, step, i;

    for (step = 0; step < 20000; step++) {
        bool more = test_random() % 1000 < (step / 2000 % 2 == 0 ? 700u : 300u);
        if (more) {
            stamped *item = (stamped *)vts_pool_get(pool);
            assert_int_equal(item == NULL, count == capacity);
            if (item == NULL) continue;
            value[count] = item->value = test_random();
            out[count++] = item;
        } else if (count > 0) {
            i = (size_t)(test_random() % count);
            assert_true(out[i]->value == value[i]);
            assert_code(vts_pool_put(pool, out[i]), VTS_OK);
            out[i] = out[--count];
            value[i] = value[count];
        }
    }
    assert_int_equal(vts_pool_outstanding(pool), count);
    assert_int_equal(vts_pool_list_rented(pool, NULL, NULL), count);
    while (count > 0) assert_code(vts_pool_put(pool, out[--count]), VTS_OK);
}

static void no_sequence_of_gets_and_puts_loses_or_doubles_an_item(void)
{
    static const struct {
        uint32_t first, capacity;
        int cache;
    } shape[] = {{4, 50, -1}, {1, 700, 0}, {16, 600, 3}, {64, 4000, 0}, {8, 40, 32}};
    size_t i;

    for (i = 0; i < sizeof shape / sizeof *shape; i++) {
        vts_pool pool;
        vts_pool_desc desc =
            growing(sizeof(stamped), shape[i].capacity, shape[i].cache);
        desc.first = shape[i].first;
        make(&pool, &desc);
        check_random_sequence(&pool, shape[i].capacity);
        destroy(&pool);
    }
}

static void pools_of_one_thread_do_not_mix(void)
{
    vts_pool a, b;
    vts_pool_desc desc = growing(16, 600, 4);
    void *x, *y;
    int i;

    make(&a, &desc);
    make(&b, &desc);
    for (i = 0; i < 100; i++) {
        x = vts_pool_get(&a);
        y = vts_pool_get(&b);
        assert_code(vts_pool_put(&a, y), VTS_E_FOREIGN);
        assert_code(vts_pool_put(&b, x), VTS_E_FOREIGN);
        assert_code(vts_pool_put(&a, x), VTS_OK);
        if (i % 3 == 0) assert_code(vts_pool_put(&b, y), VTS_OK);
    }
    assert_int_equal(vts_pool_outstanding(&b), 66);
    destroy(&a);
    b.fresh = 0; /* its items are not given back: forget them */
    memset(b.caches + 1, 0, (VTS__CACHES - 1) * sizeof *b.caches);
    destroy(&b);
}

// ----------------------------------------------------------------------------------
// Threads
// ----------------------------------------------------------------------------------

typedef struct visit {
    vts_pool *pool;
    size_t count;
    pthread_barrier_t *there, *leave; /* the visitor has done its part; it may end */
    void *item[64];
} visit;

/* Gets count items and gives them back: some stay in its cache. */
static void *get_and_put(void *arg)
{
    visit *v = (visit *)arg;
    size_t i;

    for (i = 0; i < v->count; i++)
        THREAD_CHECK((v->item[i] = vts_pool_get(v->pool)) != NULL);
    for (i = 0; i < v->count; i++)
        THREAD_CHECK(vts_pool_put(v->pool, v->item[i]) == VTS_OK);
    if (v->there != NULL) pthread_barrier_wait(v->there);
    if (v->leave != NULL) pthread_barrier_wait(v->leave);
    return NULL;
}

static void what_an_ended_thread_kept_is_found(void)
{
    int cache;

    for (cache = 0; cache <= 32; cache += 8) {
        vts_pool pool;
        vts_pool_desc desc = growing(16, 700, cache);
        visit v = {&pool, 64, NULL, NULL, {0}};
        int round;

        make(&pool, &desc);
        for (round = 0; round < 20; round++) test_on_thread(get_and_put, &v);
        assert_int_equal(vts_pool_outstanding(&pool), 0);
        assert_int_equal(take_all(&pool), 700);
        assert_apart(700, 16);
        give_back(&pool, 700);
        destroy(&pool);
    }
}

static void what_an_ended_thread_kept_is_found_by_a_thread_without_cache(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 64, 32);
    visit v = {&pool, 64, NULL, NULL, {0}};
    vts_word number;
    size_t found;

    make(&pool, &desc);
    test_on_thread(get_and_put, &v);
    assert_non_null(vts_pool_get(&pool)); /* this thread has a number now */
    number = vts__self.number;
    vts__self.number = 0;
    found = take_all(&pool);
    vts__self.number = number;
    assert_true(found > 0);
    assert_int_equal(vts_pool_outstanding(&pool), found + 1);
    pool.fresh = 0;
    memset(pool.caches + 1, 0, (VTS__CACHES - 1) * sizeof *pool.caches);
    destroy(&pool);
}

/* Ends with an empty batch in use and a whole one beside it. */
static void *keep_a_spare_batch(void *arg)
{
    visit *v = (visit *)arg;
    size_t i;

    get_and_put(v);
    for (i = 0; i + 1 < v->count; i++)
        THREAD_CHECK((v->item[i] = vts_pool_get(v->pool)) != NULL);
    return NULL;
}

static void a_spare_batch_that_an_ended_thread_kept_is_found(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 16, 8);
    visit v = {&pool, 9, NULL, NULL, {0}};
    size_t i;

    make(&pool, &desc);
    test_on_thread(keep_a_spare_batch, &v);
    assert_int_equal(take_all(&pool), 8);
    give_back(&pool, 8);
    for (i = 0; i < 8; i++) assert_code(vts_pool_put(&pool, v.item[i]), VTS_OK);
    destroy(&pool);
}

static void *get_nothing(void *arg)
{
    THREAD_CHECK(vts_pool_get(((visit *)arg)->pool) == NULL);
    return NULL;
}

static void what_an_ended_thread_kept_is_not_its_successors(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 64, 8);
    visit v = {&pool, 32, NULL, NULL, {0}};

    make(&pool, &desc);
    test_on_thread(get_and_put, &v);
    assert_int_equal(take_all(&pool), 64);
    test_on_thread(get_nothing, &v);
    give_back(&pool, 64);
    destroy(&pool);
}

static void a_number_whose_cache_was_searched_is_free_again(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 64, 8);
    visit v = {&pool, 48, NULL, NULL, {0}};
    vts_word numbers;
    void *item;

    make(&pool, &desc);
    item = vts_pool_get(&pool); /* this thread has a number now */
    numbers = vts__thread_map;
    test_on_thread(get_and_put, &v);
    assert_int_equal(take_all(&pool), 63);
    assert_int_equal(vts__thread_map, numbers);
    give_back(&pool, 63);
    assert_code(vts_pool_put(&pool, item), VTS_OK);
    destroy(&pool);
}

static pthread_key_t late_key;
static unsigned late_calls;

/* Destructors that are set again run again, after all others had their turn. */
static void get_and_put_late(void *arg)
{
    if (++late_calls == 1) {
        THREAD_CHECK(pthread_setspecific(late_key, arg) == 0);
        return;
    }
    THREAD_CHECK(vts__self.number == 0);
    get_and_put(arg);
}

static void *get_and_put_again_at_exit(void *arg)
{
    get_and_put(arg);
    THREAD_CHECK(pthread_setspecific(late_key, arg) == 0);
    return NULL;
}

/* Storage as a leaked pool leaves it: each slot looks rented. */
static void an_item_never_carved_is_foreign_whatever_its_memory_says(void)
{
    static _Alignas(64) unsigned char memory[64 * 4096];
    vts_pool_desc desc = {0};
    vts_pool pool;
    size_t k;

    desc.storage = memory;
    desc.storage_size = sizeof memory;
    desc.item_size = 16;
    desc.allocator = &test_allocator;
    desc.cache = 8;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    for (k = 0; k < pool.capacity; k++) {
        void *at = memory + k * pool.stride + pool.slot_offset;
        ((vts_pool_slot *)at)->next = (vts_word)(uintptr_t)at;
    }
    assert_code(vts_pool_put(&pool, vts_pool_get(&pool)), VTS_OK);
    assert_code(vts_pool_put(&pool, memory + (pool.capacity - 1) * pool.stride),
                VTS_E_FOREIGN);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void a_thread_that_gave_its_number_back_has_no_cache(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 64, 8);
    visit v = {&pool, 64, NULL, NULL, {0}};

    late_calls = 0;
    assert_int_equal(pthread_key_create(&late_key, get_and_put_late), 0);
    make(&pool, &desc);
    test_on_thread(get_and_put_again_at_exit, &v);
    assert_int_equal(late_calls, 2);
    assert_int_equal(take_all(&pool), 64);
    give_back(&pool, 64);
    destroy(&pool);
    pthread_key_delete(late_key);
}

/* An item got by one thread and returned by another, over and over. */
static void *put_one(void *arg)
{
    visit *v = (visit *)arg;
    THREAD_CHECK(vts_pool_put(v->pool, v->item[0]) == VTS_OK);
    return NULL;
}

static void items_returned_by_threads_that_end_are_not_stranded(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 64, 2);
    visit v = {&pool, 0, NULL, NULL, {0}};
    int i;

    make(&pool, &desc);
    for (i = 0; i < 200; i++) {
        v.item[0] = vts_pool_get(&pool);
        assert_non_null(v.item[0]);
        test_on_thread(put_one, &v);
    }
    assert_int_equal(take_all(&pool), 64);
    give_back(&pool, 64);
    destroy(&pool);
}

#define VISITORS 8

static void living_threads_hide_two_batches_each_at_most(void)
{
    pthread_barrier_t there, leave;
    test_thread thread[VISITORS];
    visit v[VISITORS];
    vts_pool pool;
    vts_pool_desc desc = growing(16, 2048, 0);
    size_t got, i;

    pthread_barrier_init(&there, NULL, VISITORS + 1);
    pthread_barrier_init(&leave, NULL, VISITORS + 1);
    make(&pool, &desc);
    for (i = 0; i < VISITORS; i++) {
        visit one = {&pool, 64, &there, &leave, {0}};
        v[i] = one;
        thread[i] = test_thread_start(get_and_put, &v[i], 0);
    }
    pthread_barrier_wait(&there);
    got = take_all(&pool);
    assert_true(got >= 2048 - VISITORS * 2 * pool.batch);
    assert_true(got <= 2048 - VISITORS); /* what a living thread keeps is its own */
    assert_true(VTS__WORD_BITS * 2 * pool.batch <= 2048 / 4);
    assert_int_equal(vts_pool_outstanding(&pool), got);
    pthread_barrier_wait(&leave);
    for (i = 0; i < VISITORS; i++) test_thread_join(thread[i]);
    give_back(&pool, got);
    assert_int_equal(take_all(&pool), 2048);
    give_back(&pool, 2048);
    destroy(&pool);
    pthread_barrier_destroy(&there);
    pthread_barrier_destroy(&leave);
}

#define CROWD 70

static void more_threads_than_caches_work_all_the_same(void)
{
    static visit v[CROWD];
    pthread_barrier_t there;
    test_thread thread[CROWD];
    vts_pool pool;
    vts_pool_desc desc = growing(16, MANY, 0);
    size_t i;

    pthread_barrier_init(&there, NULL, CROWD);
    make(&pool, &desc);
    for (i = 0; i < CROWD; i++) {
        visit one = {&pool, 20, &there, NULL, {0}};
        v[i] = one;
        thread[i] = test_thread_start(get_and_put, &v[i], 128 * 1024);
    }
    for (i = 0; i < CROWD; i++) test_thread_join(thread[i]);
    assert_threads_passed();
    assert_int_equal(take_all(&pool), MANY);
    assert_apart(MANY, 16);
    give_back(&pool, MANY);
    destroy(&pool);
    pthread_barrier_destroy(&there);
}

static void thread_numbers_are_given_back(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 600, 0);
    visit v = {&pool, 4, NULL, NULL, {0}};
    vts_word before;
    int i;

    make(&pool, &desc);
    test_on_thread(get_and_put, &v);
    before = vts__thread_map;
    for (i = 0; i < 200; i++) test_on_thread(get_and_put, &v);
    assert_int_equal(vts__thread_map, before);
    destroy(&pool);
}

/* Rents and returns while the list is read. */
typedef struct watched {
    vts_pool pool;
    vts_word stop;
    size_t wrong;
} watched;

static const char site_text[] = "here";

static void *rent_and_return(void *arg)
{
    watched *l = (watched *)arg;

    while (vts__load_acq(&l->stop) == 0) {
        void *item = vts_pool_get_at(&l->pool, site_text);
        THREAD_CHECK(vts_pool_put(&l->pool, item) == VTS_OK);
    }
    return NULL;
}

static void look_at_site(void *user, void *item, const char *site)
{
    watched *l = (watched *)user;
    (void)item;
    if (site != site_text) l->wrong++;
}

static void a_list_read_while_others_rent_names_true_places(void)
{
    static watched l;
    vts_pool_desc desc = growing(16, 4096, -1);
    pthread_t renter;
    int i;

    memset(&l, 0, sizeof l);
    make(&l.pool, &desc);
    assert_int_equal(pthread_create(&renter, NULL, rent_and_return, &l), 0);
    for (i = 0; i < 5000000; i++) vts_pool_list_rented(&l.pool, look_at_site, &l);
    vts__store_rel(&l.stop, 1);
    pthread_join(renter, NULL);
    assert_int_equal(l.wrong, 0);
    destroy(&l.pool);
}

// ----------------------------------------------------------------------------------
// Limits of a desc
// ----------------------------------------------------------------------------------

static void init_refuses_a_result_behind_the_item(void)
{
    vts_pool_desc desc = growing(sizeof(vts_source) + 16, 0, -1);

    desc.source = true;
    desc.value_size = 8;
    desc.value_offset = desc.item_size + sizeof(vts_word);
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.value_offset = SIZE_MAX & ~(sizeof(vts_word) - 1);
    assert_refused(&desc, VTS_E_ARGUMENT);
}

static void a_capacity_beyond_the_storage_is_what_fits(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 3);
    vts_pool pool;
    vts_pool_desc desc = {0};

    desc.item_size = sizeof(vts_word);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.capacity = 4;
    make(&pool, &desc);
    assert_int_equal(take_all(&pool), 3);
    give_back(&pool, 3);
    destroy(&pool);
}

/* More than the address space has, but init and the first get touch one item only. */
static void storage_of_any_size_has_no_more_items_than_an_index_names(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 1);
    vts_pool pool;
    vts_pool_desc desc = {0};

    desc.item_size = sizeof(vts_word);
    desc.storage = storage;
    desc.storage_size = SIZE_MAX;
    make(&pool, &desc);
    assert_true(pool.capacity <= 0x7fffffff);
    assert_true(pool.capacity <= VTS__HALF_MASK - 1);
    taken[0] = vts_pool_get(&pool);
    assert_ptr_equal(taken[0], storage);
    give_back(&pool, 1);
    destroy(&pool);
}

static void storage_large_enough_for_caches_has_none_unless_asked(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 1024);
    vts_pool pool;
    vts_pool_desc desc = {0};

    desc.item_size = sizeof(vts_word);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    make(&pool, &desc);
    assert_false(vts__has_caches(&pool));
    assert_int_equal(take_all(&pool), 1024);
    give_back(&pool, 1024);
    destroy(&pool);
}

static void storage_may_have_caches_from_an_allocator(void)
{
    static VTS_POOL_STORAGE(storage, vts_word, 16);
    vts_pool pool;
    vts_pool_desc desc = {0};
    vts_allocator none = {NULL, test_block_free, NULL};

    desc.item_size = sizeof(vts_word);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.cache = 4;
    desc.allocator = &none;
    assert_refused(&desc, VTS_E_ARGUMENT);
    desc.allocator = &test_allocator;
    make(&pool, &desc);
    assert_int_equal(test_memory.live, 1);
    assert_true(vts__has_caches(&pool));
    assert_int_equal(take_all(&pool), 16);
    assert_apart(16, sizeof(vts_word));
    give_back(&pool, 16);
    assert_int_equal(vts__cache(&pool)->count, 4);
    destroy(&pool);
    assert_int_equal(test_memory.live, 0);
}

/* Without a C library there is no default one. */
static void a_growing_pool_needs_an_allocator(void)
{
    vts_pool_desc desc = growing(16, 64, -1);
    vts_pool pool;

    make(&pool, &desc);
    destroy(&pool);
    desc.allocator = NULL;
    if (vts_allocator_default() == NULL) {
        assert_refused(&desc, VTS_E_ARGUMENT);
        return;
    }
    make(&pool, &desc);
    assert_non_null(taken[0] = vts_pool_get(&pool));
    give_back(&pool, 1);
    destroy(&pool);
}

static void caches_stay_with_an_allocator_without_free(void)
{
    vts_allocator allocator = {test_block_new, NULL, NULL};
    vts_pool pool;
    vts_pool_desc desc = growing(8, 8, 4);
    void *caches;

    desc.allocator = &allocator;
    make(&pool, &desc);
    assert_int_equal(test_memory.live, 1);
    caches = pool.caches;
    destroy(&pool);
    assert_int_equal(test_memory.live, 1);
    test_block_free(NULL, caches, test_memory.last_size);
}

/* Chunks of their full size, of which a page is ever touched. */
static struct {
    void *block[VTS__POOL_CHUNKS];
    size_t size[VTS__POOL_CHUNKS];
    size_t count;
} chunks;

static void *new_chunk(void *user, size_t size)
{
    void *block;

    (void)user;
    block = mmap(NULL, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED || chunks.count == VTS__POOL_CHUNKS) return NULL;
    chunks.size[chunks.count] = size;
    return chunks.block[chunks.count++] = block;
}

static void free_chunk(void *user, void *memory, size_t size)
{
    size_t i = chunks.count;

    (void)user;
    while (i-- > 0) {
        if (chunks.block[i] != memory) continue;
        assert_int_equal(chunks.size[i], size);
        chunks.block[i] = NULL;
    }
    munmap(memory, size);
}

/* As large as a pool can be: of each chunk the first item is used. */
static void a_pool_of_all_chunks_knows_its_items_and_frees_every_chunk(void)
{
    static const vts_allocator allocator = {new_chunk, free_chunk, NULL};
    vts_pool pool;
    vts_pool_desc desc = growing(sizeof(vts_word), (uint32_t)1 << 26, -1);
    unsigned k;

    if (sizeof(vts_word) < 8) TEST_SKIP("an index has 16 bits here");
    chunks.count = 0;
    desc.first = 1;
    desc.allocator = &allocator;
    make(&pool, &desc);
    for (k = 0; k < VTS__POOL_CHUNKS; k++) {
        pool.fresh = vts__chunk_start(&pool, k);
        taken[k] = vts_pool_get(&pool);
        if (taken[k] == NULL) TEST_SKIP("no 2 GB of addresses");
    }
    assert_int_equal(chunks.count, VTS__POOL_CHUNKS);
    assert_code(vts_pool_put(&pool, &pool), VTS_E_FOREIGN);
    give_back(&pool, VTS__POOL_CHUNKS);
    pool.fresh = 0;
    destroy(&pool);
    for (k = 0; k < VTS__POOL_CHUNKS; k++) assert_null(chunks.block[k]);
}

/* A thread that ends with less than a batch has no spare one to leave. */
static void a_single_item_that_an_ended_thread_kept_is_found(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(16, 8, 4);
    visit v = {&pool, 1, NULL, NULL, {0}};

    make(&pool, &desc);
    v.item[0] = vts_pool_get(&pool);
    assert_int_equal(take_all(&pool), 7);
    test_on_thread(put_one, &v);
    assert_int_equal(vts_pool_outstanding(&pool), 7);
    assert_ptr_equal(vts_pool_get(&pool), v.item[0]);
    assert_null(vts_pool_get(&pool));
    assert_code(vts_pool_put(&pool, v.item[0]), VTS_OK);
    give_back(&pool, 7);
    destroy(&pool);
}

static const test_case tests[] = {
    TEST(storage_holds_exactly_its_count),
    TEST(storage_of_sources_holds_exactly_its_count),
    TEST(capacity_limits_what_storage_gives),
    TEST(exhaustion_is_a_result_and_a_return_ends_it),
    TEST(growing_reaches_exactly_its_capacity),
    TEST(one_thread_gets_everything_through_its_cache),
    TEST(a_pool_touches_no_memory_before_the_first_get),
    TEST(a_zero_desc_makes_a_growing_pool_of_sources),
    TEST(an_item_is_zero_at_first_and_kept_afterwards),
    TEST(grown_items_are_zero_at_first_too),
    TEST(items_are_aligned_as_asked),
    TEST(items_over_aligned_storage_are_aligned),
    TEST(init_refuses_what_is_no_pool),
    TEST(init_refuses_impossible_sizes),
    TEST(a_chunk_size_never_wraps),
    TEST(init_refuses_an_allocator_that_cannot_allocate),
    TEST(init_refuses_storage_that_holds_nothing),
    TEST(init_refuses_caches_over_storage_without_an_allocator),
    TEST(init_refuses_odd_alignments),
    TEST(init_refuses_sources_that_do_not_fit),
    TEST(a_pool_that_failed_to_start_gives_and_takes_nothing),
    TEST(a_double_return_is_found_wherever_the_item_lies),
    TEST(an_item_carved_but_never_rented_is_a_double_return),
    TEST(only_an_items_own_address_is_not_foreign),
    TEST(one_past_the_last_item_is_foreign),
    TEST(addresses_anywhere_are_foreign_to_a_pool_of_many_chunks),
    TEST(one_past_a_chunk_is_foreign),
    TEST(an_item_of_another_pool_is_foreign),
    TEST(a_source_is_not_put_but_returns_itself),
    TEST(get_of_a_source_pool_gives_nothing),
    TEST(rent_needs_a_pool_of_sources_and_a_place_for_the_token),
    TEST(an_exhausted_rent_leaves_the_token),
    TEST(what_is_out_is_listed_with_its_place),
    TEST(a_place_is_file_and_line),
    TEST(rented_sources_are_listed_until_their_result_is_taken),
    TEST(destroy_is_refused_while_items_are_out),
    TEST(an_allocator_without_free_is_never_asked_to),
    TEST(every_change_of_the_shared_list_changes_its_tag),
    TEST(the_tag_of_the_shared_list_wraps),
    TEST(no_sequence_of_gets_and_puts_loses_or_doubles_an_item),
    TEST(pools_of_one_thread_do_not_mix),
    TEST(what_an_ended_thread_kept_is_found),
    TEST(what_an_ended_thread_kept_is_found_by_a_thread_without_cache),
    TEST(a_spare_batch_that_an_ended_thread_kept_is_found),
    TEST(what_an_ended_thread_kept_is_not_its_successors),
    TEST(a_number_whose_cache_was_searched_is_free_again),
    TEST(an_item_never_carved_is_foreign_whatever_its_memory_says),
    TEST(a_thread_that_gave_its_number_back_has_no_cache),
    TEST(items_returned_by_threads_that_end_are_not_stranded),
    TEST(living_threads_hide_two_batches_each_at_most),
    TEST(more_threads_than_caches_work_all_the_same),
    TEST(thread_numbers_are_given_back),
    TEST(a_list_read_while_others_rent_names_true_places),
    TEST(init_refuses_a_result_behind_the_item),
    TEST(a_capacity_beyond_the_storage_is_what_fits),
    TEST(storage_of_any_size_has_no_more_items_than_an_index_names),
    TEST(storage_large_enough_for_caches_has_none_unless_asked),
    TEST(storage_may_have_caches_from_an_allocator),
    TEST(a_growing_pool_needs_an_allocator),
    TEST(caches_stay_with_an_allocator_without_free),
    TEST(a_pool_of_all_chunks_knows_its_items_and_frees_every_chunk),
    TEST(a_single_item_that_an_ended_thread_kept_is_found),
};

TEST_MAIN(tests)
