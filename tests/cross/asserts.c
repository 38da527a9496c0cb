/* Every assert that the core's tests use, once so that it holds and once so that it does
   not: a test passes, fails or skips as its name says. Run with cmocka and with what
   stands in for it, the lines are the same. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "test.h"

static int zero, one = 1;
static int *nothing, *something = &one;

// clang-format off
#define BOTH(name, holds, breaks)                                                      \
    static void passes_##name(void) { holds; }                                         \
    static void fails_##name(void) { breaks; }
// clang-format on

BOTH(true, assert_true(one), assert_true(zero))
BOTH(false, assert_false(zero), assert_false(one))
BOTH(null, assert_null(nothing), assert_null(something))
BOTH(non_null, assert_non_null(something), assert_non_null(nothing))
BOTH(int_equal, assert_int_equal(one, 1), assert_int_equal(one, zero))
BOTH(int_not_equal, assert_int_not_equal(one, zero), assert_int_not_equal(one, 1))
BOTH(negative_int, assert_int_equal(-one, (intptr_t)-1), assert_int_equal(-one, one))
BOTH(ptr_equal, assert_ptr_equal(something, &one), assert_ptr_equal(something, &zero))
BOTH(ptr_not_equal, assert_ptr_not_equal(something, &zero),
     assert_ptr_not_equal(something, &one))
BOTH(string_equal, assert_string_equal("ab", "ab"), assert_string_equal("ab", "ac"))
BOTH(string_not_equal, assert_string_not_equal("ab", "ac"),
     assert_string_not_equal("ab", "ab"))
BOTH(memory_equal, assert_memory_equal("ab\0c", "ab\0d", 3),
     assert_memory_equal("ab\0c", "ab\0d", 4))
BOTH(code, assert_code(VTS_OK, VTS_OK), assert_code(VTS_E_STALE, VTS_OK))
BOTH(thread, THREAD_CHECK(one), THREAD_CHECK(zero))

static void skips_the_rest(void)
{
    TEST_SKIP("on purpose");
    assert_true(zero);
}

#define HALVES(name) TEST(passes_##name), TEST(fails_##name)

static const test_case tests[] = {
    HALVES(true),
    HALVES(false),
    HALVES(null),
    HALVES(non_null),
    HALVES(int_equal),
    HALVES(int_not_equal),
    HALVES(negative_int),
    HALVES(ptr_equal),
    HALVES(ptr_not_equal),
    HALVES(string_equal),
    HALVES(string_not_equal),
    HALVES(memory_equal),
    HALVES(code),
    HALVES(thread),
    TEST(skips_the_rest),
};

TEST_MAIN(tests)
