/* t_pcmon_thread.c - the real thread, most of it on the real machine. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include "pcmon_test.h"
#include "test.h"

// ----------------------------------------------------------------------------------
// The real thread
// ----------------------------------------------------------------------------------

/* This machine, a real thread, all defaults but the counting allocator. */
static void build_real(void)
{
    memset(&pc, 0, sizeof pc);
    pc.desc.allocator = &test_allocator;
}

static void stop_real(void)
{
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_OK);
}

static void all_defaults_work_on_this_machine(void)
{
    vts_pcmon *monitor;

    assert_code(vts_pcmon_create(&monitor, NULL), VTS_OK);
    memset(&pc, 0, sizeof pc);
    pc.monitor = monitor;
    pc.now = await();
    assert_nan_unless_valid();
    assert_state(pc.now.state[VTS_PC_MEMORY_TOTAL], VTS_PC_VALID, "memory");
    assert_state(pc.now.state[VTS_PC_LOAD_AVERAGE], VTS_PC_VALID, "load");
    assert_true(pc.now.sequence >= 1 && pc.now.sampled_at_ns > 0);
    assert_true(info().pus > 0 && info().topology_error == 0);
    stop_real();
}

static void create_and_destroy_at_once(void)
{
    int i;

    for (i = 0; i < 10; i++) {
        build_real();
        create();
        stop_real();
    }
}

static double proc_number(const char *path, const char *format)
{
    char line[256];
    double value = (double)NAN;
    FILE *file = fopen(path, "r");

    if (file == NULL) return value;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, format, &value) == 1) break;
    }
    fclose(file);
    return value;
}

/* Read before and after: what did not change meanwhile must be equal. */
static void load_and_memory_are_those_of_proc(void)
{
    double total, before, after, free_kb;
    unsigned equal = 0, close_by = 0, i;

    build_real();
    pc.desc.freshness_ns = 1;
    create();
    total = proc_number("/proc/meminfo", "MemTotal: %lf") * 1024;
    for (i = 0; i < 20; i++) {
        before = proc_number("/proc/loadavg", "%lf");
        pc.now = await();
        after = proc_number("/proc/loadavg", "%lf");
        if (before == after) assert_number(pc.now.load_average[0], before);
        if (before == after) equal++;
        free_kb = proc_number("/proc/meminfo", "MemFree: %lf");
        if (fabs(pc.now.memory_free - free_kb * 1024) < 0.05 * total) close_by++;
        assert_number(pc.now.memory_total, total);
    }
    assert_in_range(equal, 10, 20);
    assert_in_range(close_by, 5, 20);
    stop_real();
}

static void missing_temperature_has_a_state_on_this_machine(void)
{
    build_real();
    create();
    pc.now = await();
    if (pc.now.state[VTS_PC_CPU_TEMPERATURE] == VTS_PC_VALID) {
        assert_int_not_equal(pc.now.cpu_temperature_source, VTS_PC_SOURCE_NONE);
    } else {
        assert_int_equal(pc.now.cpu_temperature_source, VTS_PC_SOURCE_NONE);
    }
    assert_nan_unless_valid();
    stop_real();
}

static void here_is_a_pu_of_this_machine(void)
{
    int pu;

    build_real();
    create();
    (void)await();
    pu = vts_pcmon_here(pc.monitor, NULL, NULL);
    assert_true(pu >= 0);
    assert_non_null(hwloc_get_pu_obj_by_os_index(vts_pcmon_topology(pc.monitor),
                                                 (unsigned)pu));
    stop_real();
}

static void threaded_monitor_refuses_to_be_ticked(void)
{
    build_threaded();
    create();
    assert_code(vts_pcmon_tick(pc.monitor, NULL), -EINVAL);
    finish();
}

static void fresh_reads_of_the_real_thing_allocate_nothing(void)
{
    size_t calls;
    unsigned i;

    build_real();
    pc.desc.interval_ns = pc.desc.freshness_ns = 3600 * FAKE_S;
    create();
    (void)await();
    calls = __atomic_load_n(&test_memory.calls, __ATOMIC_RELAXED);
    for (i = 0; i < 100000; i++) assert_result(ask(), VTS_OK);
    assert_int_equal(__atomic_load_n(&test_memory.calls, __ATOMIC_RELAXED), calls);
    stop_real();
}

/* Every deadline is met or counted as missed, so their sum follows the clock. */
static void real_deadlines_do_not_drift(void)
{
    struct timespec begin, end;
    vts_pcmon_info all;
    double elapsed;

    build_threaded();
    pc.desc.interval_ns = 10 * FAKE_MS;
    pc.desc.freshness_ns = FAKE_S;
    create();
    (void)await();
    clock_gettime(CLOCK_MONOTONIC, &begin);
    all = info();
    sleep_ms(400);
    clock_gettime(CLOCK_MONOTONIC, &end);
    elapsed = (double)(end.tv_sec - begin.tv_sec) * 100 +
              (double)(end.tv_nsec - begin.tv_nsec) / 1e7;
    elapsed -= (double)(info().passes - all.passes) +
               (double)(info().deadlines_missed - all.deadlines_missed);
    assert_true(elapsed > -2.5 && elapsed < 20);
    finish();
}

static void real_thread_stops_when_nobody_asks(void)
{
    uint64_t before;
    int i;

    build_threaded();
    pc.desc.interval_ns = 2 * FAKE_MS;
    pc.desc.idle_stop_ns = 10 * FAKE_MS;
    create();
    (void)await();
    for (i = 0; i < WAIT_MS && !info().idle; i++) sleep_ms(1);
    assert_true(info().idle);
    before = info().passes;
    sleep_ms(50);
    assert_true(info().passes == before);
    (void)await();
    assert_true(info().passes > before);
    finish();
}

/* Only the sampler is bound. */
static void binding_leaves_the_caller_alone(void)
{
    hwloc_bitmap_t before = hwloc_bitmap_alloc(), after = hwloc_bitmap_alloc();
    hwloc_topology_t topology;

    build_real();
    create();
    (void)await();
    topology = vts_pcmon_topology(pc.monitor);
    assert_int_equal(hwloc_get_cpubind(topology, before, HWLOC_CPUBIND_THREAD), 0);
    stop_real();
    pc.desc.sampler_cpuset = "0";
    create();
    (void)await();
    topology = vts_pcmon_topology(pc.monitor);
    assert_int_equal(hwloc_get_cpubind(topology, after, HWLOC_CPUBIND_THREAD), 0);
    assert_true(hwloc_bitmap_isequal(before, after));
    stop_real();
    hwloc_bitmap_free(before);
    hwloc_bitmap_free(after);
}

static void binding_that_fails_is_recorded(void)
{
    build_real();
    pc.desc.sampler_cpuset = "65535";
    create();
    (void)await();
    assert_true(info().binding_error < 0);
    stop_real();
}

/* A scheduling error of the timer is reported, and is no busy loop. */
static int open_null(void *user)
{
    (void)user;
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void timer_that_cannot_be_armed_is_recorded(void)
{
    int i;

    build_threaded();
    pc.world->io.open_timer = open_null;
    create();
    (void)await();
    for (i = 0; i < WAIT_MS && info().park_error == 0; i++) sleep_ms(1);
    assert_code(info().park_error, -EINVAL);
    sleep_ms(30);
    assert_in_range(info().passes, 1, 100);
    finish();
}

/* A descriptor of the monitor that the program has closed, or that never was an event:
   recorded, no busy loop, and whoever asks or destroys waits a second at most. */
static int timer_made, event_made;

static int open_known_timer(void *user)
{
    return timer_made = fake_io_timer(user);
}

static int open_known_event(void *user)
{
    return event_made = fake_io_event(user);
}

/* Past the thread sanitizer, which takes a close under a reader for the bug it is. */
static void close_behind_its_back(int descriptor)
{
    (void)syscall(SYS_close, descriptor);
}

static void build_hourly(void)
{
    build_threaded();
    pc.world->io.open_timer = open_known_timer;
    pc.world->io.open_event = open_known_event;
    pc.desc.interval_ns = 3600 * FAKE_S;
    pc.desc.freshness_ns = 1;
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void assert_still_asleep(void)
{
    double before = cpu_seconds();
    sleep_ms(300);
    assert_true(cpu_seconds() - before < 0.1);
}

static void event_that_is_closed_is_recorded(void)
{
    double before;
    int i;

    build_hourly();
    create();
    (void)await();
    close_behind_its_back(event_made);
    before = seconds();
    (void)await();
    for (i = 0; i < WAIT_MS && info().park_error == 0; i++) sleep_ms(1);
    assert_code(info().park_error, -EBADF);
    assert_still_asleep();
    (void)await();
    assert_true(seconds() - before < 4);
    finish();
}

static void event_that_is_none_is_recorded(void)
{
    int i;

    build_hourly();
    pc.world->io.open_event = open_null;
    create();
    (void)await();
    for (i = 0; i < WAIT_MS && info().park_error == 0; i++) sleep_ms(1);
    assert_code(info().park_error, -EBADF);
    assert_still_asleep();
    finish();
}

static void destroy_ends_without_its_descriptors(void)
{
    double before;

    build_hourly();
    create();
    (void)await();
    sleep_ms(20);
    close_behind_its_back(timer_made);
    close_behind_its_back(event_made);
    before = seconds();
    finish();
    assert_true(seconds() - before < 3);
}

/* ---- fork ---- */

static void exit_in_a_child(void *arg)
{
    (void)arg;
    leave_child(3);
}

/* What the parent waits for is not completed, and nothing runs, in the child. */
static void child_completes_nothing(void)
{
    vts_pc_statistics_valuetask task;
    int status = -1;
    pid_t child;

    build_plain();
    start();
    fake_advance(pc.world, 100 * FAKE_S);
    task = ask();
    child = fork();
    if (child == 0) {
        (void)vts_pc_statistics_on_completed(task, exit_in_a_child, NULL, 0);
        if (vts_pcmon_cancel(pc.monitor, task) != -ECHILD) leave_child(1);
        leave_child(vts_pcmon_destroy(pc.monitor) == VTS_OK ? 0 : 2);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    tick();
    assert_result(task, VTS_OK);
    finish();
}

/* In the child: 0, or the number of the promise that is broken. */
static int child_of(vts_pcmon *fresh, vts_pcmon *stale)
{
    vts_pcmon_desc desc = {.manual_tick = true};
    vts_pc_statistics s;
    vts_pcmon_info all;

    if (vts_pcmon_try_get(fresh, &s) != VTS_OK) return 1;
    if (vts_pc_statistics_get_result(vts_pcmon_get_statistics_async(fresh), &s) != VTS_OK)
        return 2;
    if (vts_pc_statistics_get_result(vts_pcmon_get_statistics_async(stale), &s) != -ECHILD)
        return 3;
    if (vts_pcmon_get_latest(stale, &s) != -ECHILD) return 4;
    if (vts_pcmon_get_info(stale, &all) != -ECHILD) return 5;
    if (vts_pcmon_refresh(stale) != -ECHILD) return 6;
    if (vts_pcmon_rediscover(stale) != -ECHILD) return 7;
    if (vts_pcmon_read_sensors(stale, NULL, 0, NULL) != -ECHILD) return 8;
    if (vts_pcmon_here(stale, NULL, NULL) != -ECHILD) return 9;
    if (vts_pcmon_tick(stale, NULL) != -ECHILD) return 10;
    if (vts_pcmon_topology(stale) != NULL) return 11;
    if (vts_pcmon_destroy(stale) != VTS_OK) return 12;
    if (vts_pcmon_destroy(fresh) != VTS_OK) return 13;
    if (vts_pcmon_create(&stale, &desc) != VTS_OK) return 14;
    if (vts_pcmon_tick(stale, NULL) != 1) return 15;
    return vts_pcmon_destroy(stale) == VTS_OK ? 0 : 16;
}

static void child_after_fork_serves_what_is_fresh(void)
{
    vts_pcmon *fresh;
    int status = -1;
    pid_t child;

    build_real();
    pc.desc.interval_ns = pc.desc.freshness_ns = 3600 * FAKE_S;
    create();
    (void)await();
    fresh = pc.monitor;
    pc.desc.freshness_ns = 1;
    create();
    (void)await();
    child = fork();
    if (child == 0) leave_child(child_of(fresh, pc.monitor));
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    (void)await();
    stop_real();
    assert_code(vts_pcmon_destroy(fresh), VTS_OK);
}

/* ---- everything at once ---- */

#define READERS 3
#define ROUNDS 150

static unsigned readers_left;

/* Asks, and cancels or awaits; whatever comes is one of the documented ends. */
static void *read_and_cancel(void *arg)
{
    uint64_t random = *(const uint64_t *)arg;
    vts_pc_statistics s;
    unsigned i;

    for (i = 0; i < ROUNDS; i++) {
        vts_pc_statistics_valuetask task = ask();
        bool cancel = (random = random * 6364136223846793005u + 1) >> 63 != 0;
        int error;
        if (cancel && task.source != NULL) {
            error = vts_pcmon_cancel(pc.monitor, task);
            THREAD_CHECK(error == VTS_OK || error == VTS_E_ALREADY_COMPLETED);
        }
        THREAD_CHECK(wait_for(task));
        error = vts_pc_statistics_get_result(task, &s);
        THREAD_CHECK(error == VTS_OK || (cancel && error == VTS_E_CANCELED));
        if (error == VTS_OK) THREAD_CHECK(s.memory_total == 4096 * 1024.0);
        if (vts_pcmon_try_get(pc.monitor, &s) == VTS_OK) THREAD_CHECK(s.sequence > 0);
    }
    __atomic_fetch_sub(&readers_left, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void *look_around_and_rediscover(void *arg)
{
    vts_pc_reading core[4];
    vts_pc_sensor_info s;
    vts_pcmon_info all;
    unsigned i;

    (void)arg;
    for (i = 0; __atomic_load_n(&readers_left, __ATOMIC_ACQUIRE) != 0; i++) {
        THREAD_CHECK(vts_pcmon_rediscover(pc.monitor) == VTS_OK);
        THREAD_CHECK(vts_pcmon_refresh(pc.monitor) == VTS_OK);
        (void)vts_pcmon_read_objects(pc.monitor, VTS_PC_OBJECT_CORE,
                                     VTS_PC_KIND_THROTTLE_COUNT, core, 4, NULL);
        (void)vts_pcmon_get_sensor(pc.monitor, i % 20, &s);
        (void)vts_pcmon_here(pc.monitor, &core[0], &core[1]);
        THREAD_CHECK(vts_pcmon_get_info(pc.monitor, &all) == VTS_OK);
        fake_file(pc.world, i % 2 == 0 ? "0-3\n" : "0-2\n", "/sys/devices/system/cpu/online");
        if (i % 8 == 3) fake_remove(pc.world, "/sys/class/hwmon/hwmon1");
        if (i % 8 == 7) {
            fake_link(pc.world, "/sys/devices/platform/coretemp.1/hwmon/hwmon1",
                      "/sys/class/hwmon/hwmon1");
        }
    }
    return NULL;
}

static void run_readers(uint64_t freshness_ns)
{
    test_thread thread[READERS + 1];
    uint64_t seed[READERS];
    unsigned i;

    build_threaded();
    pc.desc.interval_ns = FAKE_MS;
    pc.desc.freshness_ns = freshness_ns;
    create();
    readers_left = READERS;
    for (i = 0; i < READERS; i++) {
        seed[i] = test_random();
        thread[i] = test_thread_start(read_and_cancel, &seed[i], 0);
    }
    thread[READERS] = test_thread_start(look_around_and_rediscover, NULL, 0);
    for (i = 0; i <= READERS; i++) test_thread_join(thread[i]);
    assert_threads_passed();
}

static void missing_readers_cancels_and_rediscoveries_at_once(void)
{
    run_readers(1);
    assert_true(info().passes > 1);
    assert_true(info().waiters_completed > ROUNDS / 4);
    finish();
}

static void fresh_readers_cancels_and_rediscoveries_at_once(void)
{
    run_readers(FAKE_MS);
    finish();
}

/* A continuation on the sampler thread asks again and again, until destroy. */
static void destroy_ends_a_chain_of_continuations(void)
{
    int i;

    for (i = 0; i < 20; i++) {
        build_threaded();
        pc.desc.interval_ns = FAKE_MS;
        pc.desc.freshness_ns = 1;
        create();
        begin_chain(1000000);
        sleep_ms(i % 4);
        assert_code(vts_pcmon_destroy(pc.monitor), VTS_OK);
        assert_int_equal(chain.error, VTS_E_CANCELED);
        fake_free(pc.world);
    }
}

static void destroy_of_a_threaded_monitor_waits_for_results(void)
{
    vts_pc_statistics_valuetask task;

    build_threaded();
    pc.desc.freshness_ns = 1;
    create();
    task = ask();
    assert_non_null(task.source);
    assert_true(wait_for(task));
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_E_BUSY);
    assert_result(task, VTS_OK);
    finish();
}

// ----------------------------------------------------------------------------------
// The thread and its end
// ----------------------------------------------------------------------------------

static char thread_name[32];

static void look_at_the_name(void *user, vts_pc_statistics *s)
{
    (void)user;
    (void)s;
    (void)pthread_getname_np(pthread_self(), thread_name, sizeof thread_name);
}

static void assert_thread_is_called(const char *name, bool no_thread_name)
{
    build_threaded();
    pc.desc.no_thread_name = no_thread_name;
    pc.desc.provider = look_at_the_name;
    create();
    (void)await();
    finish();
    assert_string_equal(thread_name, name);
}

static void thread_is_named_unless_the_desc_says_not(void)
{
    char mine[32];

    assert_int_equal(pthread_getname_np(pthread_self(), mine, sizeof mine), 0);
    assert_thread_is_called("vts_pcmon", false);
    assert_thread_is_called(mine, true);
}

/* It has been stopped already: the request is taken, and nobody is woken. */
static void refresh_of_a_stopped_monitor_wakes_nobody(void)
{
    vts_pc_statistics_valuetask task;

    build_threaded();
    pc.desc.freshness_ns = 1;
    create();
    task = ask();
    assert_true(wait_for(task));
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_E_BUSY);
    assert_code(vts_pcmon_refresh(pc.monitor), VTS_OK);
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    assert_result(task, VTS_OK);
    finish();
}

/* A clock that leaps ahead: each deadline is over before the sampler can sleep. */
static uint64_t leaping_ns;

static uint64_t leap(void *user, vts_pc_clock clock)
{
    (void)user;
    (void)clock;
    return __atomic_add_fetch(&leaping_ns, FAKE_S, __ATOMIC_RELAXED);
}

static void deadlines_that_are_over_do_not_wait(void)
{
    int i;

    build_threaded();
    pc.world->io.now_ns = leap;
    create();
    for (i = 0; i < WAIT_MS && info().passes < 20; i++) sleep_ms(1);
    assert_true(info().passes >= 20);
    finish();
}

/* ---- a fork in the middle of a pass ---- */

static pid_t middle_child;

static void fork_in_a_pass(fake *world, fake_call call, const char *path)
{
    if (call != FAKE_PREAD || strcmp(path, "/proc/loadavg") != 0) return;
    world->hook = NULL;
    middle_child = fork();
    if (middle_child != 0) return;
    if (vts_pcmon_destroy(pc.monitor) != VTS_OK) leave_child(1);
    leave_child(test_memory.live > 0 ? 0 : 2);
}

/* What the pass was changing stays allocated in the child; the parent goes on. */
static void child_of_a_fork_in_a_pass_frees_no_more_than_it_can(void)
{
    int status = -1;

    build_plain();
    pc.world->hook = fork_in_a_pass;
    start();
    assert_true(middle_child > 0);
    assert_true(waitpid(middle_child, &status, 0) == middle_child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_metric(VTS_PC_LOAD_AVERAGE, VTS_PC_VALID, pc.now.load_average[0], 0.5);
    finish();
}

static const test_case tests[] = {
    TEST(all_defaults_work_on_this_machine),
    TEST(create_and_destroy_at_once),
    TEST(load_and_memory_are_those_of_proc),
    TEST(missing_temperature_has_a_state_on_this_machine),
    TEST(here_is_a_pu_of_this_machine),
    TEST(threaded_monitor_refuses_to_be_ticked),
    TEST(fresh_reads_of_the_real_thing_allocate_nothing),
    TEST(real_deadlines_do_not_drift),
    TEST(real_thread_stops_when_nobody_asks),
    TEST(binding_leaves_the_caller_alone),
    TEST(binding_that_fails_is_recorded),
    TEST(timer_that_cannot_be_armed_is_recorded),
    TEST(event_that_is_closed_is_recorded),
    TEST(event_that_is_none_is_recorded),
    TEST(destroy_ends_without_its_descriptors),
    TEST(child_completes_nothing),
    TEST(child_after_fork_serves_what_is_fresh),
    TEST(missing_readers_cancels_and_rediscoveries_at_once),
    TEST(fresh_readers_cancels_and_rediscoveries_at_once),
    TEST(destroy_ends_a_chain_of_continuations),
    TEST(destroy_of_a_threaded_monitor_waits_for_results),
    TEST(thread_is_named_unless_the_desc_says_not),
    TEST(refresh_of_a_stopped_monitor_wakes_nobody),
    TEST(deadlines_that_are_over_do_not_wait),
    TEST(child_of_a_fork_in_a_pass_frees_no_more_than_it_can),
};

TEST_MAIN(tests)
