/* t_pcmon_calls.c - what vts_pcmon.h asks of the C library, of hwloc and of vts.h without
   the io table. Each such call can be made to fail here; and an atomic operation can be
   held up, so that what another thread does at that moment happens for certain. */
#define VTS_IMPLEMENTATION
#include "vts.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#if defined __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wcast-qual"
#endif
#include <hwloc.h>
#if defined __GNUC__
#pragma GCC diagnostic pop
#endif

// ----------------------------------------------------------------------------------
// The calls
// ----------------------------------------------------------------------------------

typedef enum made_call {
    POLL,
    READ,
    WRITE,
    CLOCK,
    TIMER,
    EVENT,
    START_THREAD,
    MUTEX,
    POOL,
    TOPOLOGY_INIT,
    TOPOLOGY_LOAD,
    BITMAP_ALLOC,
    BITMAP_COPY,
    BITMAP_RANGE,
    BIND,
    LAST_CPU,
    CALLS
} made_call;

static struct {
    unsigned made[CALLS];    /* since let_fail() */
    unsigned fail_at[CALLS]; /* this one fails; 0: none */
    int error[CALLS];        /* the errno it says */
    char bound[64];          /* the last set that a thread was bound to, as a list */
    bool nowhere;            /* the last CPU is none */
    void (*hook)(void);      /* runs once, before the next operation held up */
} answers;

/* From now on the n-th call of a kind fails, and only that one. */
static void let_fail(made_call which, unsigned n, int error)
{
    memset(&answers, 0, sizeof answers);
    answers.fail_at[which] = n;
    answers.error[which] = error;
}

static bool fails(made_call which)
{
    unsigned made = __atomic_add_fetch(&answers.made[which], 1, __ATOMIC_ACQ_REL);

    if (made != answers.fail_at[which]) return false;
    errno = answers.error[which];
    return true;
}

static bool has_failed(made_call which)
{
    return __atomic_load_n(&answers.made[which], __ATOMIC_ACQUIRE) >= answers.fail_at[which];
}

static int calls_poll(struct pollfd *wait, nfds_t count, int timeout)
{
    return fails(POLL) ? -1 : poll(wait, count, timeout);
}

/* With errno 0 it is the end of a file. */
static ssize_t calls_read(int fd, void *buffer, size_t size)
{
    if (fails(READ)) return errno != 0 ? -1 : 0;
    return read(fd, buffer, size);
}

static ssize_t calls_write(int fd, const void *buffer, size_t size)
{
    return fails(WRITE) ? -1 : write(fd, buffer, size);
}

static int calls_clock_gettime(clockid_t id, struct timespec *time)
{
    return fails(CLOCK) ? -1 : clock_gettime(id, time);
}

static int calls_timerfd_create(clockid_t id, int flags)
{
    return fails(TIMER) ? -1 : timerfd_create(id, flags);
}

static int calls_eventfd(unsigned value, int flags)
{
    return fails(EVENT) ? -1 : eventfd(value, flags);
}

static int calls_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                void *(*run)(void *), void *argument)
{
    return fails(START_THREAD) ? errno : pthread_create(thread, attributes, run, argument);
}

static int calls_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *kind)
{
    return fails(MUTEX) ? errno : pthread_mutex_init(mutex, kind);
}

static int calls_vts_pool_init(vts_pool *pool, const vts_pool_desc *desc)
{
    return fails(POOL) ? VTS_E_MEMORY : vts_pool_init(pool, desc);
}

static int calls_topology_init(hwloc_topology_t *topology)
{
    return fails(TOPOLOGY_INIT) ? -1 : hwloc_topology_init(topology);
}

static int calls_topology_load(hwloc_topology_t topology)
{
    return fails(TOPOLOGY_LOAD) ? -1 : hwloc_topology_load(topology);
}

static hwloc_bitmap_t calls_bitmap_alloc(void)
{
    return fails(BITMAP_ALLOC) ? NULL : hwloc_bitmap_alloc();
}

static int calls_bitmap_copy(hwloc_bitmap_t to, hwloc_const_bitmap_t from)
{
    return fails(BITMAP_COPY) ? -1 : hwloc_bitmap_copy(to, from);
}

static int calls_bitmap_set_range(hwloc_bitmap_t set, unsigned first, int last)
{
    return fails(BITMAP_RANGE) ? -1 : hwloc_bitmap_set_range(set, first, last);
}

/* Binds nothing: the machine may not have the CPUs of the test. */
static int calls_set_cpubind(hwloc_topology_t topology, hwloc_const_cpuset_t set, int flags)
{
    (void)topology;
    if (flags != HWLOC_CPUBIND_THREAD || fails(BIND)) return -1;
    hwloc_bitmap_list_snprintf(answers.bound, sizeof answers.bound, set);
    return 0;
}

static int calls_get_last_cpu_location(hwloc_topology_t topology, hwloc_cpuset_t set,
                                       int flags)
{
    if (fails(LAST_CPU)) return -1;
    if (!answers.nowhere) return hwloc_get_last_cpu_location(topology, set, flags);
    hwloc_bitmap_zero(set);
    return 0;
}

/* What another thread does just before an atomic operation of this one. */
static void run_hook(void)
{
    void (*hook)(void) = __atomic_exchange_n(&answers.hook, NULL, __ATOMIC_ACQ_REL);

    if (hook != NULL) hook();
}

static bool calls_cas(vts_word *word, vts_word *expected, vts_word wanted)
{
    run_hook();
    return vts__cas_acq_rel(word, expected, wanted);
}

static void calls_copy_in(void *to, const void *from, size_t size)
{
    run_hook();
    vts__copy_in(to, from, size);
}

#define poll calls_poll
#define read calls_read
#define write calls_write
#define clock_gettime calls_clock_gettime
#define timerfd_create calls_timerfd_create
#define eventfd calls_eventfd
#define pthread_create calls_pthread_create
#define pthread_mutex_init calls_pthread_mutex_init
#define vts_pool_init calls_vts_pool_init
#define hwloc_topology_init calls_topology_init
#define hwloc_topology_load calls_topology_load
#define hwloc_bitmap_alloc calls_bitmap_alloc
#define hwloc_bitmap_copy calls_bitmap_copy
#define hwloc_bitmap_set_range calls_bitmap_set_range
#define hwloc_set_cpubind calls_set_cpubind
#define hwloc_get_last_cpu_location calls_get_last_cpu_location
#define vts__cas_acq_rel calls_cas
#define vts__copy_in calls_copy_in
#include "vts_pcmon.h"
#undef poll
#undef read
#undef write
#undef clock_gettime
#undef timerfd_create
#undef eventfd
#undef pthread_create
#undef pthread_mutex_init
#undef vts_pool_init
#undef hwloc_topology_init
#undef hwloc_topology_load
#undef hwloc_bitmap_alloc
#undef hwloc_bitmap_copy
#undef hwloc_bitmap_set_range
#undef hwloc_set_cpubind
#undef hwloc_get_last_cpu_location
#undef vts__cas_acq_rel
#undef vts__copy_in

#include "pcmon_test.h"
#include "test.h"

// ----------------------------------------------------------------------------------
// Create
// ----------------------------------------------------------------------------------

/* Create says the error, leaves nothing behind and no monitor. */
static void assert_create_fails(made_call which, unsigned n, int error, int expected)
{
    size_t descriptors = test_open_descriptors();

    let_fail(which, n, error);
    pc.monitor = (vts_pcmon *)(void *)&pc;
    assert_code(vts_pcmon_create(&pc.monitor, &pc.desc), expected);
    assert_true(has_failed(which));
    assert_null(pc.monitor);
    assert_int_equal(test_memory.live, 0);
    assert_int_equal(test_open_descriptors(), descriptors);
}

static void create_without_a_mutex_or_a_pool_is_out_of_memory(void)
{
    build("pack:1 core:1 pu:1");
    assert_create_fails(MUTEX, 1, EAGAIN, -ENOMEM);
    assert_create_fails(POOL, 1, 0, -ENOMEM);
    assert_create_fails(POOL, 2, 0, -ENOMEM);
    fake_free(pc.world);
}

static void create_without_a_topology_or_a_set_is_out_of_memory(void)
{
    build("pack:1 core:1 pu:1");
    assert_create_fails(TOPOLOGY_INIT, 1, ENOMEM, -ENOMEM);
    pc.desc.sampler_cpuset = "0";
    assert_create_fails(BITMAP_ALLOC, 1, ENOMEM, -ENOMEM);
    assert_create_fails(BITMAP_RANGE, 1, ENOMEM, -EINVAL);
    fake_free(pc.world);
}

/* The default io table says what the system says. */
static void create_says_why_the_thread_is_missing(void)
{
    build("pack:1 core:1 pu:1");
    pc.desc.manual_tick = false;
    pc.world->io.open_timer = NULL;
    pc.world->io.open_event = NULL;
    pc.world->io.thread_start = NULL;
    pc.world->io.thread_join = NULL;
    pc.world->io.close = NULL;
    assert_create_fails(TIMER, 1, EMFILE, -EMFILE);
    assert_create_fails(EVENT, 1, ENFILE, -ENFILE);
    assert_create_fails(START_THREAD, 1, EAGAIN, -EAGAIN);
    fake_free(pc.world);
}

// ----------------------------------------------------------------------------------
// The topology
// ----------------------------------------------------------------------------------

/* Hwloc may say why, or nothing. */
static void topology_that_does_not_load_is_recorded(void)
{
    static const struct {
        int error, recorded;
    } all[] = {{EACCES, -EACCES}, {0, -EIO}};
    size_t i;

    for (i = 0; i < 2; i++) {
        build("pack:1 core:1 pu:1");
        fake_proc(pc.world);
        create();
        let_fail(TOPOLOGY_LOAD, 1, all[i].error);
        tick();
        assert_code(info().topology_error, all[i].recorded);
        assert_null(vts_pcmon_topology(pc.monitor));
        assert_int_equal(info().generation, 0);
        assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_VALID, pc.now.memory_total, 4096 * 1024);
        finish();
    }
}

/* This machine's topology over a made-up tree, so that it can change. */
static void build_native(void)
{
    build(NULL);
    fake_cpus(pc.world, 1, 100, 900);
    fake_proc(pc.world);
}

static void other_cpus_come_online(void)
{
    fake_file(pc.world, "0-1\n", "/sys/devices/system/cpu/online");
}

static void old_topology_stays_when_the_new_one_cannot_be_made(void)
{
    struct hwloc_topology *before;

    build_native();
    start();
    before = vts_pcmon_topology(pc.monitor);
    assert_non_null(before);
    other_cpus_come_online();
    let_fail(TOPOLOGY_INIT, 1, ENOMEM);
    pass();
    assert_code(info().topology_error, -ENOMEM);
    assert_ptr_equal(vts_pcmon_topology(pc.monitor), before);
    assert_int_equal(info().generation, 1);
    assert_mapped(sensor(VTS_PC_KIND_UTILIZATION, "cpu0", "cpu0"), VTS_PC_OBJECT_PU, 0);
    finish();
}

/* Whatever allocation fails while the topology changes: the old one or the new one. */
static void change_the_topology(void)
{
    size_t n = test_memory.fail_at;
    struct hwloc_topology *before, *after;
    bool renewed;

    build_native();
    test_fail_at(0);
    start();
    before = vts_pcmon_topology(pc.monitor);
    other_cpus_come_online();
    test_fail_at(n);
    pass();
    after = vts_pcmon_topology(pc.monitor);
    renewed = info().generation == 2;
    assert_true(renewed == (after != before));
    assert_code(info().topology_error, renewed ? 0 : -ENOMEM);
    assert_true(renewed || test_has_failed());
    finish();
}

static void every_allocation_of_a_change_may_fail(void)
{
    let_fail(POLL, 0, 0);
    assert_in_range(test_every_failure(change_the_topology), 2, 500);
}

// ----------------------------------------------------------------------------------
// Binding
// ----------------------------------------------------------------------------------

/* A monitor with a thread that is to be bound; its first pass is over. */
static void start_bound(const char *cpuset, const char *isolated)
{
    build_threaded();
    pc.desc.sampler_cpuset = cpuset;
    if (isolated != NULL) fake_file(pc.world, isolated, "/sys/devices/system/cpu/isolated");
    create();
    pc.now = await();
}

static void assert_bound(const char *cpuset, const char *isolated, const char *expected)
{
    let_fail(BIND, 0, 0);
    start_bound(cpuset, isolated);
    assert_code(info().binding_error, 0);
    finish();
    assert_string_equal(answers.bound, expected);
}

static void isolated_cpus_are_left_out_unless_all_are(void)
{
    assert_bound("0-3", NULL, "0-3");
    assert_bound("0-3", "\n", "0-3");
    assert_bound("0-3", "1-2\n", "0,3");
    assert_bound("1-2", "1-2\n", "1-2");
    assert_bound("0,2", "garbage\n", "0,2");
    assert_bound("2", "0-1\n", "2");
    assert_bound(NULL, "0-1\n", "");
}

static void binding_that_cannot_be_made_is_recorded(void)
{
    static const struct {
        made_call which;
        unsigned n;
        int error, recorded;
    } all[] = {
        {BITMAP_ALLOC, 2, ENOMEM, -ENOMEM}, /* 1: create's */
        {BITMAP_ALLOC, 3, ENOMEM, -ENOMEM}, {BITMAP_COPY, 1, ENOMEM, -ENOMEM},
        {BIND, 1, EPERM, -EPERM},           {BIND, 1, 0, -EINVAL},
    };
    size_t i;

    for (i = 0; i < sizeof all / sizeof all[0]; i++) {
        let_fail(all[i].which, all[i].n, all[i].error);
        start_bound("0", NULL);
        assert_code(info().binding_error, all[i].recorded);
        assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
        finish();
        assert_true(has_failed(all[i].which));
    }
}

static void binding_without_a_topology_is_recorded(void)
{
    let_fail(TOPOLOGY_LOAD, 1, EACCES);
    start_bound("0", NULL);
    assert_code(info().binding_error, -ENOTSUP);
    finish();
    assert_int_equal(answers.made[BIND], 0);
}

static const char two_kinds[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n<topology version=\"2.0\">\n"
    "<object type=\"Machine\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\""
    " allowed_cpuset=\"0x3\" nodeset=\"0x1\" complete_nodeset=\"0x1\""
    " allowed_nodeset=\"0x1\" gp_index=\"1\">"
    "<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"2\" local_memory=\"1048576\"/>"
    "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"3\"/>"
    "<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"4\"/></object>%s</topology>";

/* The least powerful kind that is told apart; else there is none. */
static void efficient_is_the_first_kind_with_an_efficiency(void)
{
    static const struct {
        const char *kinds, *bound;
        int error;
    } all[] = {
        {"<cpukind cpuset=\"0x1\" forced_efficiency=\"1\"/>"
         "<cpukind cpuset=\"0x2\" forced_efficiency=\"0\"/>",
         "1", 0},
        {"<cpukind cpuset=\"0x1\"><info name=\"A\" value=\"1\"/></cpukind>"
         "<cpukind cpuset=\"0x2\"><info name=\"A\" value=\"2\"/></cpukind>",
         "", -ENOTSUP},
        {"", "", -ENOTSUP},
    };
    char xml[4096];
    size_t i;

    for (i = 0; i < sizeof all / sizeof all[0]; i++) {
        snprintf(xml, sizeof xml, two_kinds, all[i].kinds);
        let_fail(BIND, 0, 0);
        build_threaded();
        pc.desc.topology_synthetic = NULL;
        pc.desc.topology_xml = xml;
        pc.desc.sampler_cpuset = "efficient";
        create();
        pc.now = await();
        assert_code(info().binding_error, all[i].error);
        finish();
        assert_string_equal(answers.bound, all[i].bound);
    }
}

// ----------------------------------------------------------------------------------
// Discovery and here
// ----------------------------------------------------------------------------------

/* The chip is listed without its object, and gets it by the next discovery. */
static void chip_without_memory_for_its_cpus_is_mapped_later(void)
{
    build("pack:1 core:2 pu:1");
    fake_k10temp(pc.world, 0, 0, "0-1");
    fake_input(pc.world, 0, 1, "Tctl", 50000);
    fake_remove(pc.world, "/sys/devices/pci0000:00/0000:00:18.3/power");
    create();
    let_fail(BITMAP_ALLOC, 1, ENOMEM);
    tick();
    assert_code(info().discovery_error, -ENOMEM);
    assert_reading(temperature("0000:00:18.3", "Tctl"), VTS_PC_VALID, 50);
    passes(2);
    assert_code(info().discovery_error, 0);
    assert_mapped(temperature("0000:00:18.3", "Tctl"), VTS_PC_OBJECT_PACKAGE, 0);
    finish();
}

static void here_says_why_hwloc_does_not_know(void)
{
    build(NULL);
    fake_cpus(pc.world, 1, 100, 900);
    pc.world->io.current_cpu = NULL;
    let_fail(LAST_CPU, 0, 0);
    create();
    assert_code(vts_pcmon_here(pc.monitor, NULL, NULL), -EAGAIN);
    tick();
    assert_true(vts_pcmon_here(pc.monitor, NULL, NULL) >= 0);
    let_fail(LAST_CPU, 1, ENOSYS);
    assert_code(vts_pcmon_here(pc.monitor, NULL, NULL), -ENOSYS);
    let_fail(LAST_CPU, 1, 0);
    assert_code(vts_pcmon_here(pc.monitor, NULL, NULL), -ENOTSUP);
    let_fail(BITMAP_ALLOC, 1, ENOMEM);
    assert_code(vts_pcmon_here(pc.monitor, NULL, NULL), -ENOMEM);
    let_fail(LAST_CPU, 0, 0);
    answers.nowhere = true;
    assert_code(vts_pcmon_here(pc.monitor, NULL, NULL), -ENOENT);
    finish();
    build_plain();
    pc.world->io.current_cpu = NULL;
    start();
    assert_code(vts_pcmon_here(pc.monitor, NULL, NULL), -ENOTSUP);
    finish();
}

// ----------------------------------------------------------------------------------
// The default io table
// ----------------------------------------------------------------------------------

typedef struct names {
    unsigned count, most;
    bool dots;
} names;

static bool count_names(void *context, const char *name)
{
    names *all = (names *)context;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) all->dots = true;
    return ++all->count < all->most;
}

static void default_files_are_the_system_s(void)
{
    vts_pc_io io = vts__pc_io_of(NULL);
    char text[64], path[8];
    int fd = io.open(NULL, "/proc/self/comm");

    assert_true(fd >= 0);
    assert_true(io.pread(NULL, fd, text, sizeof text, 0) > 0);
    io.close(NULL, fd);
    assert_code(io.pread(NULL, fd, text, sizeof text, 0), -EBADF);
    assert_code(io.open(NULL, "/proc/self/none"), -ENOENT);
    fd = io.open(NULL, "/");
    assert_code(io.pread(NULL, fd, text, sizeof text, 0), -EISDIR);
    io.close(NULL, fd);
    assert_code(io.realpath(NULL, "/proc/../proc", path, 6), 0);
    assert_string_equal(path, "/proc");
    assert_code(io.realpath(NULL, "/proc/../proc", path, 5), -ENAMETOOLONG);
    assert_code(io.realpath(NULL, "/proc/none", path, sizeof path), -ENOENT);
}

static void default_list_ends_when_it_is_told(void)
{
    vts_pc_io io = vts__pc_io_of(NULL);
    names all = {0, 1000000, false}, two = {0, 2, false};

    assert_code(io.list(NULL, "/proc/self", count_names, &all), 0);
    assert_true(all.count > 2 && !all.dots);
    assert_code(io.list(NULL, "/proc/self", count_names, &two), 0);
    assert_int_equal(two.count, 2);
    assert_code(io.list(NULL, "/proc/none", count_names, &two), -ENOENT);
    assert_code(io.list(NULL, "/proc/self/comm", count_names, &two), -ENOTDIR);
}

static void default_clocks_go_on_or_say_0(void)
{
    vts_pc_io io = vts__pc_io_of(NULL);
    uint64_t before = io.now_ns(NULL, VTS_PC_CLOCK_MONOTONIC);

    assert_true(before > 0);
    assert_true(io.now_ns(NULL, VTS_PC_CLOCK_MONOTONIC) >= before);
    assert_true(io.now_ns(NULL, VTS_PC_CLOCK_BOOTTIME) >= before);
    let_fail(CLOCK, 1, EINVAL);
    assert_int_equal(io.now_ns(NULL, VTS_PC_CLOCK_MONOTONIC), 0);
}

// ----------------------------------------------------------------------------------
// Sleeping
// ----------------------------------------------------------------------------------

static void park_open(vts__pc_park *park, vts_pc_io *io)
{
    let_fail(POLL, 0, 0);
    *io = vts__pc_io_of(NULL);
    assert_code(vts__pc_park_open(park, io), 0);
}

static void park_ends_at_its_deadline_or_a_wake(void)
{
    vts__pc_park park;
    vts_pc_io io;

    park_open(&park, &io);
    assert_code(vts__pc_park_wait(&park, FAKE_MS), 0);
    assert_code(vts__pc_park_wait(&park, 0), 0);
    vts__pc_park_wake(&park);
    vts__pc_park_wake(&park);
    assert_code(vts__pc_park_wait(&park, UINT64_MAX), 0);
    assert_int_equal(answers.made[READ], 1);
    assert_code(vts__pc_park_wait(&park, FAKE_MS), 0); /* both wakes were one */
    assert_int_equal(answers.made[READ], 1);
    vts__pc_park_close(&park, &io);
}

/* A signal is no error; the sampler looks again. */
static void poll_that_fails_is_an_error_unless_interrupted(void)
{
    vts__pc_park park;
    vts_pc_io io;

    park_open(&park, &io);
    let_fail(POLL, 1, EINTR);
    assert_code(vts__pc_park_wait(&park, FAKE_S), 0);
    let_fail(POLL, 1, ENOMEM);
    assert_code(vts__pc_park_wait(&park, FAKE_S), -ENOMEM);
    vts__pc_park_close(&park, &io);
}

static void event_that_cannot_be_read_is_left_out(void)
{
    static const struct {
        made_call also; /* fails too, the second time */
        int error, poll_error, expected;
    } all[] = {
        {READ, EAGAIN, 0, 0},           {READ, EINTR, 0, 0},
        {READ, EIO, 0, -EBADF},         {READ, 0, 0, -EBADF},
        {POLL, EIO, EINTR, -EBADF},     {POLL, EIO, ENOMEM, -ENOMEM},
    };
    vts__pc_park park;
    vts_pc_io io;
    size_t i;

    for (i = 0; i < sizeof all / sizeof all[0]; i++) {
        park_open(&park, &io);
        vts__pc_park_wake(&park);
        let_fail(READ, 1, all[i].error);
        if (all[i].also == POLL) {
            answers.fail_at[POLL] = 2;
            answers.error[POLL] = all[i].poll_error;
        }
        assert_code(vts__pc_park_wait(&park, FAKE_MS), all[i].expected);
        assert_true(has_failed(READ) && has_failed(POLL));
        vts__pc_park_close(&park, &io);
    }
}

// ----------------------------------------------------------------------------------
// At the same moment
// ----------------------------------------------------------------------------------

static vts_pc_statistics_valuetask other_task;
static vts_pc_statistics other_now;
static int other_error;

static void ask_too(void)
{
    other_task = ask();
}

/* Both are linked, and one pass completes both. */
static void two_who_push_at_the_same_moment(void)
{
    vts_pc_statistics_valuetask task;
    vts_pc_statistics now;

    let_fail(POLL, 0, 0);
    build_plain();
    create();
    answers.hook = ask_too;
    task = ask();
    assert_null(answers.hook);
    assert_false(vts_pc_statistics_is_completed(task));
    assert_false(vts_pc_statistics_is_completed(other_task));
    tick();
    assert_code(vts_pc_statistics_get_result(task, &now), VTS_OK);
    assert_int_equal(now.sequence, 1);
    assert_code(vts_pc_statistics_get_result(other_task, &now), VTS_OK);
    assert_int_equal(now.sequence, 1);
    assert_int_equal(info().waiters_completed, 2);
    finish();
}

/* The provider holds up the pass until it is let go. */
static int held_up, let_go;

static void hold_up(void *user, vts_pc_statistics *s)
{
    (void)user;
    (void)s;
    __atomic_store_n(&held_up, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&let_go, __ATOMIC_ACQUIRE) == 0) sleep_ms(1);
}

/* One wake is enough for all who come before the next pass. */
static void sampler_is_woken_by_the_first_who_waits(void)
{
    vts_pc_statistics_valuetask task[3];
    int i;

    let_fail(WRITE, 0, 0);
    held_up = let_go = 0;
    build_threaded();
    pc.desc.provider = hold_up;
    create();
    while (__atomic_load_n(&held_up, __ATOMIC_ACQUIRE) == 0) sleep_ms(1);
    for (i = 0; i < 3; i++) task[i] = ask();
    assert_int_equal(__atomic_load_n(&answers.made[WRITE], __ATOMIC_ACQUIRE), 1);
    __atomic_store_n(&let_go, 1, __ATOMIC_RELEASE);
    for (i = 0; i < 3; i++) {
        assert_true(wait_for(task[i]));
        assert_result(task[i], VTS_OK);
    }
    finish();
}

/* The sampler looks after a second at the latest. */
static void wake_that_fails_is_made_up_for(void)
{
    vts_pc_statistics_valuetask task;

    let_fail(WRITE, 1, EBADF);
    build_threaded();
    pc.desc.freshness_ns = 1;
    pc.desc.interval_ns = 100 * FAKE_MS;
    create();
    task = ask();
    assert_true(wait_for(task));
    assert_result(task, VTS_OK);
    finish();
    assert_true(has_failed(WRITE));
}

static void read_in_the_middle(void)
{
    other_error = vts_pcmon_try_get(pc.monitor, &other_now);
    other_task = ask();
}

/* The words in the cache belong to two samples then: the reader goes to the next pass,
   which is this one. */
static void reader_in_the_middle_of_a_publication_waits_for_it(void)
{
    let_fail(POLL, 0, 0);
    build_plain();
    start();
    fake_advance(pc.world, FAKE_S / 2);
    assert_code(vts_pcmon_refresh(pc.monitor), VTS_OK);
    answers.hook = read_in_the_middle;
    memset(&other_now, 0x5a, sizeof other_now);
    tick();
    assert_null(answers.hook);
    assert_code(other_error, -EAGAIN);
    assert_int_equal(other_now.sequence, 0x5a5a5a5a5a5a5a5au);
    assert_non_null(other_task.source);
    assert_code(vts_pc_statistics_get_result(other_task, &other_now), VTS_OK);
    assert_int_equal(other_now.sequence, 2);
    assert_code(vts_pcmon_try_get(pc.monitor, &other_now), VTS_OK);
    finish();
}

static const test_case tests[] = {
    TEST(create_without_a_mutex_or_a_pool_is_out_of_memory),
    TEST(create_without_a_topology_or_a_set_is_out_of_memory),
    TEST(create_says_why_the_thread_is_missing),
    TEST(topology_that_does_not_load_is_recorded),
    TEST(old_topology_stays_when_the_new_one_cannot_be_made),
    TEST(every_allocation_of_a_change_may_fail),
    TEST(isolated_cpus_are_left_out_unless_all_are),
    TEST(binding_that_cannot_be_made_is_recorded),
    TEST(binding_without_a_topology_is_recorded),
    TEST(efficient_is_the_first_kind_with_an_efficiency),
    TEST(chip_without_memory_for_its_cpus_is_mapped_later),
    TEST(here_says_why_hwloc_does_not_know),
    TEST(default_files_are_the_system_s),
    TEST(default_list_ends_when_it_is_told),
    TEST(default_clocks_go_on_or_say_0),
    TEST(park_ends_at_its_deadline_or_a_wake),
    TEST(poll_that_fails_is_an_error_unless_interrupted),
    TEST(event_that_cannot_be_read_is_left_out),
    TEST(two_who_push_at_the_same_moment),
    TEST(sampler_is_woken_by_the_first_who_waits),
    TEST(wake_that_fails_is_made_up_for),
    TEST(reader_in_the_middle_of_a_publication_waits_for_it),
};

TEST_MAIN(tests)
