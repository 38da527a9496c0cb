/* The generation after its last one: a token of three bits wraps within a test. */
#define VTS__TOKEN_MASK ((vts_word)0xe0)
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

#define FIRST ((vts_token)0x20)
#define LAST ((vts_token)0xe0)
#define GENERATIONS 7 /* of three bits, without zero */

static vts_token after(vts_token token)
{
    return token == LAST ? FIRST : token + FIRST;
}

static void count(void *arg) { ++*(int *)arg; }

static void a_bare_source_skips_zero_at_every_wrap(void)
{
    vts_source source = {0};
    vts_token token, before = 0;
    int i;

    for (i = 0; i < 10 * GENERATIONS; i++) {
        assert_code(vts_source_reset(&source, &token), VTS_OK);
        assert_int_equal(token, before == 0 ? FIRST : after(before));
        assert_int_equal(vts_source_version(&source), token);
        assert_code(vts_source_set_result(&source, token, i), VTS_OK);
        before = token;
    }
}

static void a_pooled_source_skips_zero_at_every_wrap(void)
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    vts_pool pool;
    vts_pool_desc desc = {0};
    vts_token token, before = LAST;
    int i;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    assert_code(vts_pool_init(&pool, &desc), VTS_OK);
    for (i = 0; i < 10 * GENERATIONS; i++) {
        vts_source *source = vts_pool_rent(&pool, &token);
        assert_non_null(source);
        assert_int_equal(token, after(before));
        before = token;
        if (i % 3 == 0) {
            assert_code(vts_source_abandon(source, token), VTS_OK);
            continue;
        }
        assert_code(vts_source_set_result(source, token, i), VTS_OK);
        assert_code(vts_source_get_result(source, token, NULL), VTS_OK);
    }
    assert_code(vts_pool_destroy(&pool), VTS_OK);
}

/* All tokens that are not the current one are stale, on both sides of the wrap. */
static void every_other_generation_is_stale(void)
{
    vts_source source = {0};
    vts_token token, other;
    int i;

    for (i = 0; i < 3 * GENERATIONS; i++) {
        assert_code(vts_source_reset(&source, &token), VTS_OK);
        for (other = 0; other <= LAST + FIRST; other++) {
            if (other == token) continue;
            assert_code(vts_source_set_result(&source, other, 1), VTS_E_STALE);
            assert_code(vts_source_get_status(&source, other), VTS_E_STALE);
            assert_code(vts_source_abandon(&source, other), VTS_E_STALE);
        }
        assert_code(vts_source_set_result(&source, token, i), VTS_OK);
        for (other = 0; other <= LAST + FIRST; other++) {
            if (other == token) continue;
            assert_code(vts_source_get_result(&source, other, NULL), VTS_E_STALE);
        }
    }
}

/* What the limit says: a handle kept over all generations matches again. */
static void a_handle_kept_over_all_generations_matches_again(void)
{
    vts_source source = {0};
    vts_token kept, token;
    int i;

    assert_code(vts_source_reset(&source, &kept), VTS_OK);
    for (i = 1; i < GENERATIONS; i++) {
        assert_code(vts_source_set_result(&source, vts_source_version(&source), 0),
                    VTS_OK);
        assert_code(vts_source_reset(&source, &token), VTS_OK);
        assert_code(vts_source_get_status(&source, kept), VTS_E_STALE);
    }
    assert_code(vts_source_set_result(&source, token, 0), VTS_OK);
    assert_code(vts_source_reset(&source, &token), VTS_OK);
    assert_int_equal(token, kept);
    assert_code(vts_source_get_status(&source, kept), VTS_PENDING);
}

static void operations_go_on_over_the_wrap(void)
{
    vts_source source = {0};
    vts_token token;
    intptr_t result;
    int ran = 0, i;

    for (i = 1; i <= 5 * GENERATIONS; i++) {
        assert_code(vts_source_reset(&source, &token), VTS_OK);
        assert_code(
            vts_source_on_completed(&source, token, count, &ran, (unsigned)i % 4),
            VTS_OK);
        assert_code(vts_source_set_result(&source, token, i), VTS_OK);
        assert_int_equal(ran, i);
        assert_code(vts_source_get_result(&source, token, &result), VTS_OK);
        assert_int_equal(result, i);
    }
}

static const test_case tests[] = {
    TEST(a_bare_source_skips_zero_at_every_wrap),
    TEST(a_pooled_source_skips_zero_at_every_wrap),
    TEST(every_other_generation_is_stale),
    TEST(a_handle_kept_over_all_generations_matches_again),
    TEST(operations_go_on_over_the_wrap),
};

TEST_MAIN(tests)
