/* test.h - what cmocka lacks: one line per test, a reason for each skip, a seed, and
   for every test a count of leaked blocks and descriptors.

   A test file:

       #define VTS_IMPLEMENTATION
       #include "vts.h"
       #include "test.h"

       static void promise_in_words(void) { assert_code(call(), VTS_OK); }

       static const test_case tests[] = {TEST(promise_in_words)};
       TEST_MAIN(tests)

   prints "ok NAME", "not ok NAME" or "skip NAME: reason" per test, and exits 0 or 1.
   Lines that begin with # explain. Arguments: --list, --only NAME (a shell pattern),
   --seed N, --repeat N.

   cmocka's asserts belong to the main thread (they jump). Other threads say
   THREAD_CHECK(condition); the test fails after it, at the latest when it ends. */
#ifndef VTS_TEST_H
#define VTS_TEST_H

#include <dirent.h>
#include <fnmatch.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

// clang-format off
#define TEST(function) {#function, function}
// clang-format on

#define TEST_MAIN(tests)                                                               \
    int main(int argc, char **argv)                                                    \
    {                                                                                  \
        return test_main(tests, sizeof(tests) / sizeof((tests)[0]), argc, argv);       \
    }

static struct {
    uint64_t seed;       /* of test_random, given anew to every test                  */
    uint64_t random;     /* its state                                                 */
    const char *skipped; /* the reason, while a test skips                            */
    char note[160];      /* printed after the test's line                             */
    size_t checks;       /* failed THREAD_CHECKs                                      */
    const char *check;   /* the first of them                                         */
} test;

/* ---- asserts ---- */

/* A vts call gives this code; says both texts if not. */
#define assert_code(actual, expected)                                                  \
    test_assert_code((long)(actual), (long)(expected), #actual, __FILE__, __LINE__)

static inline void test_assert_code(long actual, long expected, const char *what,
                                    const char *file, int line)
{
    if (actual == expected) return;
    print_message("%s gives %ld (%s), expected %ld (%s)\n", what, actual,
                  vts_strerror((int)actual), expected, vts_strerror((int)expected));
    _fail(file, line);
}

/* Ends the test as failed, with a message. */
#define TEST_FAIL(...) (print_message(__VA_ARGS__), _fail(__FILE__, __LINE__))

/* Ends the test as skipped. */
#define TEST_SKIP(reason)                                                              \
    do {                                                                               \
        test.skipped = (reason);                                                       \
        skip();                                                                        \
    } while (0)

/* Prints numbers behind the test's line, passed or not. */
#define TEST_NOTE(...) ((void)snprintf(test.note, sizeof test.note, __VA_ARGS__))

/* Counts a failure on any thread. */
#define TEST_TEXT2(x) #x
#define TEST_TEXT(x) TEST_TEXT2(x)
#define THREAD_CHECK(condition)                                                        \
    ((condition)                                                                       \
         ? (void)0                                                                     \
         : test_check_failed(__FILE__ ":" TEST_TEXT(__LINE__) ": " #condition))

static inline void test_check_failed(const char *text)
{
    if (__atomic_fetch_add(&test.checks, 1, __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(&test.check, text, __ATOMIC_RELEASE);
    }
}

/* On the main thread, after joining the others. */
static inline void assert_threads_passed(void)
{
    size_t failed = __atomic_load_n(&test.checks, __ATOMIC_ACQUIRE);
    if (failed == 0) return;
    print_message("%zu checks failed on threads, the first: %s\n", failed,
                  __atomic_load_n(&test.check, __ATOMIC_ACQUIRE));
    _fail(__FILE__, __LINE__);
}

/* ---- randomness: splitmix64, the same sequence for the same --seed ---- */

static inline uint64_t test_random(void)
{
    uint64_t z = (test.random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- threads ---- */

typedef struct test_thread {
    pthread_t id;
} test_thread;

/* stack: bytes, but at least what the system demands; or 0 for the usual. */
static inline test_thread test_thread_start(void *(*run)(void *), void *arg,
                                            size_t stack)
{
    test_thread thread;
    pthread_attr_t attributes;
    size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    int error = pthread_attr_init(&attributes);

    memset(&thread, 0, sizeof thread);
    if (stack != 0 && stack < least) stack = least;
    if (stack != 0) error |= pthread_attr_setstacksize(&attributes, stack);
    if (error == 0) error = pthread_create(&thread.id, &attributes, run, arg);
    pthread_attr_destroy(&attributes);
    if (error != 0) TEST_FAIL("cannot start a thread\n");
    return thread;
}

static inline void test_thread_join(test_thread thread)
{
    assert_int_equal(pthread_join(thread.id, NULL), 0);
}

/* Runs it on a thread of its own and waits for the end of that. */
static inline void test_on_thread(void *(*run)(void *), void *arg)
{
    test_thread_join(test_thread_start(run, arg, 0));
}

/* ---- child processes, for what ends one ---- */

#if defined __LLVM_INSTR_PROFILE_GENERATE
int __llvm_profile_write_file(void);
#define TEST_WRITE_PROFILE() ((void)__llvm_profile_write_file())
#else
#define TEST_WRITE_PROFILE() ((void)0)
#endif

/* Ends the child; what it ran counts as covered. */
static inline void test_child_exit(int code)
{
    TEST_WRITE_PROFILE();
    _exit(code);
}

static inline void test_child_dies(int number)
{
    TEST_WRITE_PROFILE();
    signal(number, SIG_DFL);
    raise(number);
}

/* A signal ends the child as usual: a sanitizer's own handlers are not meant. */
static inline void test_child_may_die(void)
{
    int i;

    for (i = 1; i < 32; i++) signal(i, SIG_DFL);
    signal(SIGILL, test_child_dies);
    signal(SIGTRAP, test_child_dies);
    signal(SIGABRT, test_child_dies);
}

/* ---- an allocator that counts, checks sizes, and can fail ---- */

static struct {
    size_t live;      /* blocks given and not taken back                              */
    size_t calls;     /* since test_fail_at                                           */
    size_t fail_at;   /* this call fails, and only this one; 0: none                  */
    size_t wrong;     /* blocks given back with another size than asked for           */
    size_t last_size; /* asked for last                                               */
} test_memory;

#define TEST_BLOCK_HEADER 16u

static inline void *test_block_new(void *user, size_t size)
{
    size_t call = __atomic_add_fetch(&test_memory.calls, 1, __ATOMIC_RELAXED);
    unsigned char *block;

    (void)user;
    __atomic_store_n(&test_memory.last_size, size, __ATOMIC_RELAXED);
    if (call == test_memory.fail_at) return NULL;
    block = (unsigned char *)malloc(size + TEST_BLOCK_HEADER);
    if (block == NULL) return NULL;
    memcpy(block, &size, sizeof size);
    memset(block + TEST_BLOCK_HEADER, 0xa5, size);
    __atomic_fetch_add(&test_memory.live, 1, __ATOMIC_RELAXED);
    return block + TEST_BLOCK_HEADER;
}

static inline void test_block_free(void *user, void *memory, size_t size)
{
    unsigned char *block = (unsigned char *)memory - TEST_BLOCK_HEADER;
    size_t asked;

    (void)user;
    memcpy(&asked, block, sizeof asked);
    if (asked != size) __atomic_fetch_add(&test_memory.wrong, 1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&test_memory.live, 1, __ATOMIC_RELAXED);
    free(block);
}

static const vts_allocator test_allocator = {test_block_new, test_block_free, NULL};

/* From now on the n-th allocation fails; 0: none. */
static inline void test_fail_at(size_t n)
{
    test_memory.calls = 0;
    test_memory.fail_at = n;
}

/* An allocation has failed since. */
static inline bool test_has_failed(void)
{
    return test_memory.fail_at != 0 && test_memory.calls >= test_memory.fail_at;
}

/* Runs the scenario with the first allocation failing, then with the second, and so on
   until it ends without reaching the failure. Each run must leave no block. Returns in
   how many runs one failed. */
static inline size_t test_every_failure(void (*scenario)(void))
{
    size_t n = 1;

    for (;; n++) {
        test_fail_at(n);
        scenario();
        assert_int_equal(test_memory.live, 0);
        if (!test_has_failed()) break;
    }
    test_fail_at(0);
    return n - 1;
}

/* ---- running ---- */

static inline size_t test_open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;

    if (directory == NULL) return 0;
    while (readdir(directory) != NULL) count++;
    closedir(directory);
    return count;
}

/* What cmocka runs: the test, then what holds after every test. */
static inline void test_body(void **state)
{
    const test_case *current = (const test_case *)*state;
    size_t descriptors = test_open_descriptors();

    current->run();
    assert_threads_passed();
    if (test_memory.live != 0) TEST_FAIL("%zu blocks leaked\n", test_memory.live);
    if (test_memory.wrong != 0) TEST_FAIL("blocks freed with a wrong size\n");
    if (descriptors != test_open_descriptors()) TEST_FAIL("descriptors leaked\n");
}

static inline void test_fresh(void)
{
    memset(&test_memory, 0, sizeof test_memory);
    test.random = test.seed;
    test.skipped = NULL;
    test.note[0] = '\0';
    test.checks = 0;
    vts_set_misuse_hook(NULL, NULL);
    vts_set_trace_hook(NULL, NULL);
    vts_scheduler_set_current(NULL);
    vts_context_set_current(NULL);
}

/* Shows what a failed test wrote, but for cmocka's own count. */
static inline void test_show(FILE *written)
{
    char line[512];

    rewind(written);
    while (fgets(line, sizeof line, written) != NULL) {
        if (strncmp(line, "1..", 3) == 0 || strncmp(line, "not ok", 6) == 0) continue;
        if (strncmp(line, "# not ok", 8) == 0) continue;
        printf("%s%s", line[0] == '#' ? "" : "# ", line);
    }
}

/* Runs one test with cmocka's output kept aside; its line is the caller's. */
static inline bool test_run(const test_case *current, FILE *written)
{
    union {
        const void *read_only;
        void *state;
    } initial = {current};
    const struct CMUnitTest one[] = {
        {current->name, test_body, NULL, NULL, initial.state}};
    int out, failed;

    test_fresh();
    fflush(stdout);
    out = dup(STDOUT_FILENO);
    dup2(fileno(written), STDOUT_FILENO);
    failed = _cmocka_run_group_tests(current->name, one, 1, NULL, NULL);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    return failed == 0;
}

typedef struct test_arguments {
    const char *only;
    unsigned long repeat;
    bool list;
} test_arguments;

static inline bool test_read_arguments(test_arguments *given, int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        bool last = i + 1 == argc;
        if (strcmp(argv[i], "--list") == 0)
            given->list = true;
        else if (!last && strcmp(argv[i], "--only") == 0)
            given->only = argv[++i];
        else if (!last && strcmp(argv[i], "--seed") == 0)
            test.seed = strtoull(argv[++i], NULL, 0);
        else if (!last && strcmp(argv[i], "--repeat") == 0)
            given->repeat = strtoul(argv[++i], NULL, 0);
        else
            return false;
    }
    return true;
}

/* Runs one test and prints its line. */
static inline bool test_report(const test_case *current, const char *program)
{
    FILE *written = tmpfile();
    bool passed = written != NULL && test_run(current, written);

    if (test.skipped != NULL) {
        printf("skip %s: %s\n", current->name, test.skipped);
        passed = true;
    } else {
        printf("%s %s\n", passed ? "ok" : "not ok", current->name);
    }
    if (test.note[0] != '\0') printf("# %s\n", test.note);
    if (!passed && written != NULL) test_show(written);
    if (!passed) {
        printf("# again: %s --only %s --seed 0x%llx\n", program, current->name,
               (unsigned long long)test.seed);
    }
    if (written != NULL) fclose(written);
    fflush(stdout);
    return passed;
}

static inline int test_main(const test_case *cases, size_t count, int argc, char **argv)
{
    test_arguments given = {NULL, 1, false};
    size_t ran = 0, failed = 0, i;

    test.seed = 1;
    if (!test_read_arguments(&given, argc, argv)) {
        fprintf(stderr, "usage: %s [--list] [--only NAME] [--seed N] [--repeat N]\n",
                argv[0]);
        return 1;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (; given.repeat > 0; given.repeat--, test.seed++) {
        for (i = 0; i < count; i++) {
            if (given.only != NULL && fnmatch(given.only, cases[i].name, 0) != 0)
                continue;
            ran++;
            if (given.list)
                puts(cases[i].name);
            else if (!test_report(&cases[i], argv[0]))
                failed++;
        }
    }
    if (ran == 0) fprintf(stderr, "%s: no such test\n", argv[0]);
    return failed != 0 || ran == 0;
}

#endif
