/* cmocka.h - stands in for cmocka where there is a cross compiler, but no cmocka for its
   processor: what test.h and the core's tests use of it, with the same meaning.

   Two differences: a crash ends the program instead of the test, and numbers that differ
   are all shown in hexadecimal. tests/cross/asserts.c holds both against each other. */
#ifndef VTS_TEST_CROSS_CMOCKA_H
#define VTS_TEST_CROSS_CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define print_message printf

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
    int (*setup_func)(void **state);
    int (*teardown_func)(void **state);
    void *initial_state;
};

enum cm_message_output { CM_OUTPUT_TAP };

static inline void cmocka_set_message_output(enum cm_message_output output)
{
    (void)output; /* test.h reads the count of failed tests, and shows the rest */
}

/* ---- how a test ends ---- */

enum { CMOCKA_FAILED = 1, CMOCKA_SKIPPED };

static jmp_buf cmocka_end;

static inline int cmocka_run_test(const struct CMUnitTest *test)
{
    void *state = test->initial_state;

    switch (setjmp(cmocka_end)) {
    case 0:
        test->test_func(&state);
        return 0;
    case CMOCKA_SKIPPED:
        return 0;
    default:
        return 1;
    }
}

/* The fixtures are NULL in test.h. */
static inline int _cmocka_run_group_tests(const char *name,
                                          const struct CMUnitTest *tests, size_t count,
                                          int (*setup)(void **), int (*teardown)(void **))
{
    int failed = 0;
    size_t i;

    (void)name;
    (void)setup;
    (void)teardown;
    for (i = 0; i < count; i++) failed += cmocka_run_test(&tests[i]);
    return failed;
}

static inline void skip(void) { longjmp(cmocka_end, CMOCKA_SKIPPED); }

static inline void _fail(const char *file, int line)
{
    printf("%s:%d: error: failure\n", file, line);
    longjmp(cmocka_end, CMOCKA_FAILED);
}

/* ---- asserts: each evaluates what it is given once ---- */

#define CMOCKA_NUMBER(x) ((uintmax_t)(x))
#define CMOCKA_ADDRESS(x) ((uintmax_t)(uintptr_t)(x))
#define CMOCKA_HERE(a, b) #a " and " #b, __FILE__, __LINE__

#define assert_true(c) cmocka_truth(CMOCKA_NUMBER(c), #c, __FILE__, __LINE__)
#define assert_false(c) cmocka_truth(!CMOCKA_NUMBER(c), "!" #c, __FILE__, __LINE__)
#define assert_non_null(p) cmocka_truth(CMOCKA_ADDRESS(p), #p, __FILE__, __LINE__)
#define assert_null(p) cmocka_truth(!CMOCKA_ADDRESS(p), "!" #p, __FILE__, __LINE__)

#define assert_int_equal(a, b)                                                         \
    cmocka_numbers(CMOCKA_NUMBER(a), CMOCKA_NUMBER(b), 1, CMOCKA_HERE(a, b))
#define assert_int_not_equal(a, b)                                                     \
    cmocka_numbers(CMOCKA_NUMBER(a), CMOCKA_NUMBER(b), 0, CMOCKA_HERE(a, b))
#define assert_ptr_equal(a, b)                                                         \
    cmocka_numbers(CMOCKA_ADDRESS(a), CMOCKA_ADDRESS(b), 1, CMOCKA_HERE(a, b))
#define assert_ptr_not_equal(a, b)                                                     \
    cmocka_numbers(CMOCKA_ADDRESS(a), CMOCKA_ADDRESS(b), 0, CMOCKA_HERE(a, b))

#define assert_string_equal(a, b) cmocka_strings((a), (b), 1, CMOCKA_HERE(a, b))
#define assert_string_not_equal(a, b) cmocka_strings((a), (b), 0, CMOCKA_HERE(a, b))
#define assert_memory_equal(a, b, size)                                                \
    cmocka_truth(memcmp((a), (b), (size)) == 0, CMOCKA_HERE(a, b))

static inline void cmocka_truth(uintmax_t holds, const char *what, const char *file,
                                int line)
{
    if (holds) return;
    printf("%s\n", what);
    _fail(file, line);
}

static inline void cmocka_numbers(uintmax_t a, uintmax_t b, int equal, const char *what,
                                  const char *file, int line)
{
    if ((a == b) == equal) return;
    printf("%s: %#jx %s %#jx\n", what, a, equal ? "!=" : "==", b);
    _fail(file, line);
}

static inline void cmocka_strings(const char *a, const char *b, int equal,
                                  const char *what, const char *file, int line)
{
    if ((strcmp(a, b) == 0) == equal) return;
    printf("%s: \"%s\" %s \"%s\"\n", what, a, equal ? "!=" : "==", b);
    _fail(file, line);
}

#endif
