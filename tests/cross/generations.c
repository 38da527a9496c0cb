/* Tokens with all their bits, over the wrap. What else there is to say of it is said with
   three bits, in t_wrap.c. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#define FIRST ((vts_token)0x20)
#define LAST (~(vts_token)0x1f)

static void the_source_is_eight_words(void)
{
    assert_int_equal(sizeof(vts_word), sizeof(void *));
    assert_int_equal(sizeof(vts_source), 8 * sizeof(void *));
    assert_int_equal(sizeof(vts_valuetask), 2 * sizeof(void *));
}

static void the_first_generation_follows_the_last(void)
{
    vts_source source = {0};
    vts_token token;

    source.word = (LAST - FIRST) | VTS__SUCCEEDED;
    assert_code(vts_source_reset(&source, &token), VTS_OK);
    assert_int_equal(token, LAST);
    assert_code(vts_source_set_result(&source, LAST, 1), VTS_OK);
    assert_code(vts_source_reset(&source, &token), VTS_OK);
    assert_int_equal(token, FIRST);
    assert_code(vts_source_set_result(&source, LAST, 2), VTS_E_STALE);
    assert_code(vts_source_set_result(&source, FIRST, 3), VTS_OK);
}

/* The last two take seconds with words of 32 bits; with 64 they would take centuries. */
static void a_bare_source_goes_through_all_generations(void)
{
    vts_source source = {0};
    vts_token token, before = 0;

    for (; before != LAST; before = token) {
        assert_code(vts_source_reset(&source, &token), VTS_OK);
        assert_int_equal(token, before + FIRST);
        assert_code(vts_source_set_result(&source, token, 0), VTS_OK);
    }
    assert_code(vts_source_reset(&source, &token), VTS_OK);
    assert_int_equal(token, FIRST);
}

static void a_pooled_source_goes_through_all_generations(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    vts_pool pool;
    vts_pool_desc desc = {0};
    vts_token token, before = 0;
    vts_source *source;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    for (; before != LAST; before = token) {
        source = vts_pool_rent(&pool, &token);
        assert_int_equal(token, before + FIRST);
        assert_code(vts_source_abandon(source, token), VTS_OK);
    }
    source = vts_pool_rent(&pool, &token);
    assert_int_equal(token, FIRST);
    assert_code(vts_source_abandon(source, token), VTS_OK);
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

static const test_case tests[] = {
    TEST(the_source_is_eight_words),
    TEST(the_first_generation_follows_the_last),
    TEST(a_bare_source_goes_through_all_generations),
    TEST(a_pooled_source_goes_through_all_generations),
};

TEST_MAIN(tests)
