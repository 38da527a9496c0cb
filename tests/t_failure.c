/* Every allocation fails once: no scenario loses an item, a block or an operation. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>

/* What the system refuses a thread, as error codes; 0: nothing. */
static struct {
    int once, create, specific;
} lacking;

static int refusing_once(pthread_once_t *once, void (*run)(void))
{
    return lacking.once != 0 ? lacking.once : pthread_once(once, run);
}

static int refusing_key_create(pthread_key_t *key, void (*at_exit)(void *))
{
    return lacking.create != 0 ? lacking.create : pthread_key_create(key, at_exit);
}

static int refusing_setspecific(pthread_key_t key, const void *value)
{
    return lacking.specific != 0 ? lacking.specific : pthread_setspecific(key, value);
}

#define pthread_once refusing_once
#define pthread_key_create refusing_key_create
#define pthread_setspecific refusing_setspecific
#define VTS_IMPLEMENTATION
#include "vts.h"
#undef pthread_once
#undef pthread_key_create
#undef pthread_setspecific
#include "test.h"

#define MANY 2048

static void *taken[MANY];

static vts_pool_desc growing(size_t item_size, uint32_t capacity, int cache)
{
    vts_pool_desc desc = {0};

    desc.item_size = item_size;
    desc.capacity = capacity;
    desc.cache = cache;
    desc.first = 8;
    desc.allocator = &test_allocator;
    return desc;
}

/* Init, or false if that is where the allocation failed: then nothing is held. */
static bool init(vts_pool *pool, const vts_pool_desc *desc)
{
    int error = vts_pool_init(pool, desc);

    if (error == VTS_OK) return true;
    assert_code(error, VTS_E_MEMORY);
    assert_true(test_has_failed());
    assert_int_equal(test_memory.live, 0);
    assert_code(vts_pool_destroy(pool), VTS_OK);
    return false;
}

/* Gets all there are; where an allocation fails, a get gives nothing and the next one
   goes on: what was there before is still there. */
static size_t take_all(vts_pool *pool, size_t capacity)
{
    size_t count = 0, refused = 0;

    while (refused < 2) {
        void *item = vts_pool_get(pool);
        if (item == NULL)
            refused++;
        else
            taken[count++] = item;
        assert_true(count <= capacity);
        assert_int_equal(vts_pool_outstanding(pool), count);
    }
    return count;
}

static int by_address(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    return (x > y) - (x < y);
}

static void give_back_all(vts_pool *pool, size_t count)
{
    size_t i;

    qsort(taken, count, sizeof *taken, by_address);
    for (i = 1; i < count; i++) assert_ptr_not_equal(taken[i], taken[i - 1]);
    for (i = 0; i < count; i++) assert_code(vts_pool_put(pool, taken[i]), VTS_OK);
    assert_int_equal(vts_pool_outstanding(pool), 0);
}

static void fill_and_empty(size_t capacity, int cache)
{
    vts_pool pool;
    vts_pool_desc desc = growing(24, (uint32_t)capacity, cache);
    int round;

    if (!init(&pool, &desc)) return;
    for (round = 0; round < 3; round++) {
        size_t count = take_all(&pool, capacity);
        assert_int_equal(count, capacity);
        give_back_all(&pool, count);
    }
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void without_caches(void) { fill_and_empty(100, -1); }
static void with_chosen_caches(void) { fill_and_empty(1000, 0); }
static void with_large_caches(void) { fill_and_empty(200, 32); }

static void growth_survives_every_failed_allocation(void)
{
    assert_int_equal(test_every_failure(without_caches), 5);
    assert_int_equal(test_every_failure(with_chosen_caches), 9);
    assert_int_equal(test_every_failure(with_large_caches), 7);
}

/* What was there when memory ran out is still given, again and again. */
static void a_pool_without_memory_gives_what_it_has(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(24, 1000, 4);
    size_t i;

    assert_true(init(&pool, &desc));
    for (i = 0; i < 8; i++) assert_non_null(taken[i] = vts_pool_get(&pool));
    for (i = 1; i <= 100; i++) {
        test_fail_at(1);
        assert_null(vts_pool_get(&pool));
        assert_int_equal(vts_pool_outstanding(&pool), 8);
        assert_code(vts_pool_put(&pool, taken[i % 8]), VTS_OK);
        assert_ptr_equal(vts_pool_get(&pool), taken[i % 8]);
    }
    test_fail_at(0);
    assert_non_null(taken[8] = vts_pool_get(&pool));
    give_back_all(&pool, 9);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void count(void *arg) { ++*(int *)arg; }

/* Operations through rented sources; a rent that fails is an operation that failed. */
static void run_operations(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(0, 600, 2);
    vts_source *source[40];
    vts_token token[40];
    int ran = 0, rented = 0, i;

    if (!init(&pool, &desc)) return;
    for (i = 0; i < 40; i++) {
        token[i] = 9;
        source[i] = vts_pool_rent(&pool, &token[i]);
        if (source[i] == NULL)
            assert_int_equal(token[i], 9);
        else
            rented++;
    }
    assert_true(rented >= 39);
    for (i = 0; i < 40; i++) {
        vts_valuetask task = vts_valuetask_from_error(VTS_E_MEMORY);
        if (source[i] != NULL) task = vts_valuetask_of(source[i], token[i]);
        assert_code(vts_valuetask_on_completed(task, count, &ran, 0), VTS_OK);
        if (source[i] != NULL) vts_source_set_result(source[i], token[i], i);
        assert_code(vts_valuetask_get_result(task, NULL),
                    source[i] != NULL ? VTS_OK : VTS_E_MEMORY);
    }
    assert_int_equal(ran, 40);
    assert_int_equal(vts_pool_outstanding(&pool), 0);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void operations_survive_every_failed_allocation(void)
{
    assert_int_equal(test_every_failure(run_operations), 5);
}

static void *use_on_thread(void *arg)
{
    vts_pool *pool = (vts_pool *)arg;
    void *item[20];
    int i;

    for (i = 0; i < 20; i++) item[i] = vts_pool_get(pool);
    for (i = 0; i < 20; i++) {
        if (item[i] != NULL) THREAD_CHECK(vts_pool_put(pool, item[i]) == VTS_OK);
    }
    return NULL;
}

/* Threads that meet the failure leave nothing behind but what the next one finds. */
static void use_by_threads(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(24, 600, 4);
    test_thread thread[3];
    size_t n;
    int i;

    if (!init(&pool, &desc)) return;
    for (i = 0; i < 3; i++) thread[i] = test_thread_start(use_on_thread, &pool, 0);
    for (i = 0; i < 3; i++) test_thread_join(thread[i]);
    assert_threads_passed();
    assert_int_equal(vts_pool_outstanding(&pool), 0);
    n = take_all(&pool, 600);
    assert_int_equal(n, 600);
    give_back_all(&pool, n);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void threads_survive_every_failed_allocation(void)
{
    assert_true(test_every_failure(use_by_threads) >= 8);
}

/* Memory is short, but an ended thread's cache has items: they are found. */
static void what_an_ended_thread_kept_is_found_without_memory(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(24, 600, 4);

    assert_true(init(&pool, &desc));
    test_on_thread(use_on_thread, &pool);
    test_fail_at(1);
    assert_non_null(taken[0] = vts_pool_get(&pool));
    test_fail_at(0);
    give_back_all(&pool, 1);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

/* An init that fails may be tried again on the same pool. */
static void a_failed_init_can_be_repeated(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(24, 600, 4);

    memset(&pool, 0x5a, sizeof pool);
    test_fail_at(1);
    assert_code(vts_pool_init(&pool, &desc), VTS_E_MEMORY);
    test_fail_at(0);
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    assert_non_null(taken[0] = vts_pool_get(&pool));
    give_back_all(&pool, 1);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

/* An allocator during whose call another get grows the pool: what a second thread does
   in a race, on one. */
static struct {
    vts_pool *pool;
    void *item;
    void *block; /* of the last call that ended */
    bool busy;
} meanwhile;

static void *grow_meanwhile(void *user, size_t size)
{
    if (!meanwhile.busy) {
        meanwhile.busy = true;
        meanwhile.item = vts_pool_get(meanwhile.pool);
    }
    return meanwhile.block = test_block_new(user, size);
}

static void of_two_that_grow_the_pool_one_gives_its_chunk_back(void)
{
    static const vts_allocator allocator = {grow_meanwhile, test_block_free, NULL};
    vts_pool pool;
    vts_pool_desc desc = growing(24, 100, -1);
    size_t n;

    desc.allocator = &allocator;
    meanwhile.pool = &pool;
    meanwhile.busy = false;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    taken[0] = vts_pool_get(&pool);
    assert_non_null(taken[0]);
    assert_non_null(meanwhile.item);
    assert_ptr_not_equal(taken[0], meanwhile.item);
    assert_int_equal(test_memory.calls, 2);
    assert_int_equal(test_memory.live, 1);
    assert_code(vts_pool_put(&pool, taken[0]), VTS_OK);
    assert_code(vts_pool_put(&pool, meanwhile.item), VTS_OK);
    n = take_all(&pool, 100);
    assert_int_equal(n, 100);
    give_back_all(&pool, n);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static void nothing_but_a_growing_pool_allocates(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 4);
    vts_pool pool;
    vts_pool_desc desc = {0};
    vts_token token;
    vts_source *source;
    int ran = 0;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    desc.allocator = &test_allocator;
    test_fail_at(1);
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    source = vts_pool_rent(&pool, &token);
    assert_code(vts_source_on_completed(source, token, count, &ran, 3), VTS_OK);
    assert_code(vts_source_set_result(source, token, 1), VTS_OK);
    assert_code(vts_source_get_result(source, token, NULL), VTS_OK);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
    assert_int_equal(ran, 1);
    assert_int_equal(test_memory.calls, 0);
}

/* Without free, the chunk of the one that lost stays with the allocator. */
static void of_two_that_grow_the_pool_one_keeps_its_chunk_without_free(void)
{
    static const vts_allocator allocator = {grow_meanwhile, NULL, NULL};
    vts_pool pool;
    vts_pool_desc desc = growing(24, 8, -1);
    void *won;

    desc.allocator = &allocator;
    meanwhile.pool = &pool;
    meanwhile.busy = false;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    taken[0] = vts_pool_get(&pool);
    assert_non_null(taken[0]);
    assert_non_null(meanwhile.item);
    assert_ptr_not_equal(taken[0], meanwhile.item);
    assert_int_equal(test_memory.live, 2);
    assert_code(vts_pool_put(&pool, taken[0]), VTS_OK);
    assert_code(vts_pool_put(&pool, meanwhile.item), VTS_OK);
    won = (void *)((vts_word *)pool.chunk[0])[-1];
    assert_code(vts_pool_destroy(&pool), VTS_OK);
    assert_int_equal(test_memory.live, 2);
    test_block_free(NULL, won, test_memory.last_size);
    test_block_free(NULL, meanwhile.block, test_memory.last_size);
}

/* A thread whose end nobody would tell: it takes no number, and has no cache. */
static void *use_without_number(void *arg)
{
    vts_pool *pool = (vts_pool *)arg;
    void *item = vts_pool_get(pool);

    THREAD_CHECK(item != NULL);
    THREAD_CHECK(vts__self.number == 0);
    THREAD_CHECK(vts_pool_put(pool, item) == VTS_OK);
    THREAD_CHECK(vts__self.number == 0);
    return NULL;
}

static void check_without_number(vts_pool *pool)
{
    vts_word before = vts__thread_map;
    size_t n;

    test_on_thread(use_without_number, pool);
    assert_threads_passed();
    assert_int_equal(vts__thread_map, before);
    n = take_all(pool, 100);
    assert_int_equal(n, 100);
    give_back_all(pool, n);
}

static void a_thread_whose_end_is_not_told_has_no_cache(void)
{
    vts_pool pool;
    vts_pool_desc desc = growing(24, 100, 4);

    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    lacking.once = ENOMEM;
    check_without_number(&pool);
    lacking.once = 0;
    lacking.specific = ENOMEM;
    check_without_number(&pool);
    lacking.specific = 0;
    vts__exit_key_made = false;
    check_without_number(&pool);
    lacking.create = EAGAIN;
    vts__make_exit_key();
    assert_false(vts__exit_key_made);
    check_without_number(&pool);
    lacking.create = 0;
    vts__make_exit_key();
    assert_true(vts__exit_key_made);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static const test_case tests[] = {
    TEST(growth_survives_every_failed_allocation),
    TEST(a_pool_without_memory_gives_what_it_has),
    TEST(operations_survive_every_failed_allocation),
    TEST(threads_survive_every_failed_allocation),
    TEST(what_an_ended_thread_kept_is_found_without_memory),
    TEST(a_failed_init_can_be_repeated),
    TEST(of_two_that_grow_the_pool_one_gives_its_chunk_back),
    TEST(nothing_but_a_growing_pool_allocates),
    TEST(of_two_that_grow_the_pool_one_keeps_its_chunk_without_free),
    TEST(a_thread_whose_end_is_not_told_has_no_cache),
};

TEST_MAIN(tests)
