/* t_pcmon_failure.c - everything the monitor asks for fails once: each allocation, open,
   pread, list and realpath, the timer, the event and the thread.

   Then create says its documented error and leaves nothing behind, or the monitor works:
   each number it calls valid is the true one, each number that is missing has a state
   that says why, and some passes later nothing is missing any more. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include <math.h>

#include "pcmon_fake.h"
#include "test.h"

#define MAX_PASSES 14
#define HEALTHY_PASSES 5 /* with so many the last call is past */
#define STEP (FAKE_S + 1) /* between passes: the sample is stale by then */
#define HEALING_PASSES 4 /* back-off of 1 s, one discovery, one rate */
#define MAX_OBJECTS 8
#define MAX_SENSORS 128

/* All that is public after a pass. */
typedef struct snapshot {
    vts_pc_statistics now;
    vts_pcmon_info info;
    vts_pc_reading object[VTS_PC_OBJECT_NUMA_NODE + 1][VTS_PC_KIND_COUNT][MAX_OBJECTS];
} snapshot;

static snapshot healthy[MAX_PASSES];
static bool healthy_known;

// ----------------------------------------------------------------------------------
// The machine: one second later everything has moved on by the same amount
// ----------------------------------------------------------------------------------

static void world_at(fake *world, unsigned second)
{
    fake_cpus(world, 4, 100 + second * 25, 900 + second * 75);
    fake_number(world, 1000000 + (int64_t)second * 5000000,
                "/sys/class/powercap/intel-rapl:0/energy_uj");
    fake_number(world, 2000000 + (int64_t)second * 7000000,
                "/sys/class/powercap/intel-rapl:1/energy_uj");
}

static fake *world_new(void)
{
    fake *world = fake_new();

    fake_two_packages(world);
    fake_zone(world, 0, "acpitz", 30000);
    fake_hwmon(world, 7, "amdgpu", "/sys/devices/pci0000:00/0000:00:02.0");
    fake_input(world, 7, 1, "edge", 45000);
    fake_file(world, "active\n",
              "/sys/devices/pci0000:00/0000:00:02.0/power/runtime_status");
    world_at(world, 0);
    return world;
}

static vts_pcmon_desc desc_of(fake *world)
{
    vts_pcmon_desc desc = fake_desc(world, FAKE_TWO_PACKAGES);
    desc.metrics = VTS_PC_METRICS_ALL;
    desc.per_core_temperature = true;
    return desc;
}

static void take_snapshot(vts_pcmon *monitor, snapshot *s)
{
    int type, kind, count;

    memset(s, 0, sizeof *s);
    assert_code(vts_pcmon_get_latest(monitor, &s->now), VTS_OK);
    assert_code(vts_pcmon_get_info(monitor, &s->info), VTS_OK);
    for (type = VTS_PC_OBJECT_MACHINE; type <= VTS_PC_OBJECT_NUMA_NODE; type++) {
        for (kind = 0; kind < VTS_PC_KIND_COUNT; kind++) {
            count = vts_pcmon_read_objects(monitor, (vts_pc_object_type)type,
                                           (vts_pc_kind)kind, s->object[type][kind],
                                           MAX_OBJECTS, NULL);
            assert_in_range(count, 0, MAX_OBJECTS);
        }
    }
}

static void learn_what_is_healthy(void)
{
    fake *world = world_new();
    vts_pcmon_desc desc = desc_of(world);
    vts_pcmon *monitor;
    unsigned pass;

    if (healthy_known) {
        fake_free(world);
        return;
    }
    assert_code(vts_pcmon_create(&monitor, &desc), VTS_OK);
    for (pass = 0; pass < MAX_PASSES; pass++) {
        world_at(world, pass);
        assert_int_equal(vts_pcmon_tick(monitor, NULL), 1);
        take_snapshot(monitor, &healthy[pass]);
        fake_advance(world, STEP);
    }
    assert_code(vts_pcmon_destroy(monitor), VTS_OK);
    fake_free(world);
    healthy_known = true;
}

// ----------------------------------------------------------------------------------
// What holds after every pass
// ----------------------------------------------------------------------------------

static double metric_value(const vts_pc_statistics *s, int metric)
{
    const double value[VTS_PC_METRIC_COUNT] = {
        s->cpu_temperature,  s->cpu_temperature_critical, s->cpu_utilization,
        s->cpu_frequency,    s->cpu_frequency_max,        s->cpu_power,
        s->cpu_energy,       s->cpu_throttle_count,       s->memory_total,
        s->memory_free,      s->memory_available,         s->swap_total,
        s->swap_free,        s->load_average[2],          s->pressure[2],
        s->gpu_temperature,  s->storage_temperature};
    return value[metric];
}

/* Of these the best that answered counts, so a part may be missing. */
static bool is_of_those_that_answer(int metric)
{
    return metric == VTS_PC_CPU_TEMPERATURE || metric == VTS_PC_CPU_TEMPERATURE_CRITICAL ||
           metric == VTS_PC_CPU_FREQUENCY || metric == VTS_PC_CPU_FREQUENCY_MAX;
}

static bool is_rate(int metric)
{
    return metric == VTS_PC_CPU_UTILIZATION || metric == VTS_PC_CPU_POWER;
}

/* Whether the state tells the truth about a metric that a healthy machine has. */
static bool explains(int metric, int state)
{
    if (state == VTS_PC_NO_DATA) return true;
    return state == VTS_PC_NOT_YET && is_rate(metric);
}

static bool is_close(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(b);
}

/* NULL, or what is wrong with a metric. */
static const char *metric_fault(const snapshot *actual, const snapshot *expected, int metric)
{
    double value = metric_value(&actual->now, metric);
    double truth = metric_value(&expected->now, metric);
    int state = actual->now.state[metric];

    if (isnan(value) != (state != VTS_PC_VALID)) return "value and state disagree";
    if (expected->now.state[metric] != VTS_PC_VALID) return NULL;
    if (actual->info.discovery_error != 0) return NULL;
    if (state != VTS_PC_VALID) {
        return explains(metric, state) ? NULL : "state does not say why it is missing";
    }
    if (is_of_those_that_answer(metric)) return NULL;
    return is_close(value, truth) ? NULL : "wrong value that is called valid";
}

static void assert_honest(const snapshot *actual, const snapshot *expected, size_t n)
{
    int metric;

    for (metric = 0; metric < VTS_PC_METRIC_COUNT; metric++) {
        const char *fault = metric_fault(actual, expected, metric);
        if (fault == NULL) continue;
        TEST_FAIL("failure %zu, pass %llu: %s is %g (%s), healthy %g: %s\n", n,
                  (unsigned long long)actual->now.sequence, vts_pc_metric_name(metric),
                  metric_value(&actual->now, metric),
                  vts_pc_state_name(actual->now.state[metric]),
                  metric_value(&expected->now, metric), fault);
    }
}

static void assert_object_healed(const vts_pc_reading *actual,
                                 const vts_pc_reading *expected, size_t n, int type,
                                 int object)
{
    bool same = actual->state == expected->state &&
                (actual->state != VTS_PC_VALID || is_close(actual->value, expected->value));
    if (same) return;
    TEST_FAIL("failure %zu: %s of %s %d stays %g (%s), healthy %g (%s)\n", n,
              vts_pc_kind_name(expected->kind), vts_pc_object_type_name(type), object,
              actual->value, vts_pc_state_name(actual->state), expected->value,
              vts_pc_state_name(expected->state));
}

/* Some passes after the failure nothing of it is left. */
static void assert_healed(const snapshot *actual, const snapshot *expected, size_t n)
{
    int type, kind, i;

    assert_honest(actual, expected, n);
    assert_int_equal(actual->info.discovery_error, 0);
    assert_memory_equal(actual->now.state, expected->now.state, sizeof actual->now.state);
    for (type = VTS_PC_OBJECT_MACHINE; type <= VTS_PC_OBJECT_NUMA_NODE; type++) {
        for (kind = 0; kind < VTS_PC_KIND_COUNT; kind++) {
            for (i = 0; i < MAX_OBJECTS; i++) {
                assert_object_healed(&actual->object[type][kind][i],
                                     &expected->object[type][kind][i], n, type, i);
            }
        }
    }
    if (actual->info.sensors != expected->info.sensors) {
        TEST_FAIL("failure %zu: %u sensors, healthy %u\n", n, actual->info.sensors,
                  expected->info.sensors);
    }
    assert_int_equal(actual->info.unmapped, expected->info.unmapped);
}

// ----------------------------------------------------------------------------------
// One run
// ----------------------------------------------------------------------------------

/* Whether the failure of this run has come. */
typedef bool (*has_failed)(fake *world);

/* Awaits a pass; only the memory for a waiter or for its result may be missing. */
static void await_pass(vts_pcmon *monitor)
{
    vts_pc_statistics_valuetask task = vts_pcmon_get_statistics_async(monitor);
    bool rented = !vts_pc_statistics_is_faulted(task);
    vts_pc_statistics now;
    int error;

    assert_code(vts_pcmon_refresh(monitor), VTS_OK);
    assert_int_equal(vts_pcmon_tick(monitor, NULL), 1);
    error = vts_pc_statistics_get_result(task, &now);
    if (!rented) assert_code(error, VTS_E_EXHAUSTED);
    else if (error != VTS_OK) assert_code(error, -ENOMEM);
    if (error != VTS_OK) assert_true(test_has_failed());
}

/* Passes until the failure has come and healed; true if it never came. */
static bool run_passes(vts_pcmon *monitor, fake *world, has_failed failed, size_t n)
{
    unsigned pass, since = 0;
    snapshot s;

    for (pass = 0; pass < MAX_PASSES; pass++) {
        world_at(world, pass);
        await_pass(monitor);
        take_snapshot(monitor, &s);
        assert_honest(&s, &healthy[pass], n);
        if (failed(world)) since++;
        if (since > HEALING_PASSES) {
            assert_healed(&s, &healthy[pass], n);
            return false;
        }
        if (since == 0 && pass == HEALTHY_PASSES) return true;
        fake_advance(world, STEP);
    }
    TEST_FAIL("not healed\n");
    return true;
}

// ----------------------------------------------------------------------------------
// Allocations
// ----------------------------------------------------------------------------------

static bool allocation_failed(fake *world)
{
    (void)world;
    return test_has_failed();
}

static void scenario_with_an_allocation_failing(void)
{
    size_t n = test_memory.fail_at, live = test_memory.live;
    fake *world = world_new();
    vts_pcmon_desc desc = desc_of(world);
    vts_pcmon *monitor = (vts_pcmon *)(void *)&desc;
    int error = vts_pcmon_create(&monitor, &desc);

    if (error != VTS_OK) {
        assert_code(error, -ENOMEM);
        assert_null(monitor);
    } else {
        (void)run_passes(monitor, world, allocation_failed, n);
        assert_code(vts_pcmon_destroy(monitor), VTS_OK);
    }
    assert_int_equal(test_memory.live, live);
    fake_free(world);
}

static void every_allocation_may_fail(void)
{
    learn_what_is_healthy();
    assert_in_range(test_every_failure(scenario_with_an_allocation_failing), 50, 5000);
}

// ----------------------------------------------------------------------------------
// Calls of the io table
// ----------------------------------------------------------------------------------

static fake_call failing_call;

static bool call_failed(fake *world)
{
    return fake_has_failed(world, failing_call);
}

/* True when the n-th call was never made. */
static bool run_with_a_call_failing(fake_call call, size_t n, int error)
{
    fake *world = world_new();
    vts_pcmon_desc desc = desc_of(world);
    vts_pcmon *monitor;
    bool past;

    failing_call = call;
    fake_fail(world, call, n, error);
    assert_code(vts_pcmon_create(&monitor, &desc), VTS_OK);
    past = run_passes(monitor, world, call_failed, n);
    assert_code(vts_pcmon_destroy(monitor), VTS_OK);
    assert_int_equal(test_memory.live, 0);
    fake_free(world);
    return past;
}

static void assert_every_call_may_fail(fake_call call, int error, size_t at_least)
{
    size_t n = 1;

    learn_what_is_healthy();
    while (!run_with_a_call_failing(call, n, error)) n++;
    assert_in_range(n, at_least, 5000);
}

static void every_open_may_fail_with_eio(void)
{
    assert_every_call_may_fail(FAKE_OPEN, EIO, 50);
}

static void every_open_may_fail_with_emfile(void)
{
    assert_every_call_may_fail(FAKE_OPEN, EMFILE, 50);
}

static void every_pread_may_fail_with_eio(void)
{
    assert_every_call_may_fail(FAKE_PREAD, EIO, 100);
}

static void every_pread_may_fail_with_eagain(void)
{
    assert_every_call_may_fail(FAKE_PREAD, EAGAIN, 100);
}

static void every_list_may_fail(void)
{
    assert_every_call_may_fail(FAKE_LIST, EIO, 5);
}

static void every_realpath_may_fail(void)
{
    assert_every_call_may_fail(FAKE_REALPATH, EIO, 5);
}

// ----------------------------------------------------------------------------------
// The thread and what it needs
// ----------------------------------------------------------------------------------

static void assert_create_reports(fake_call call, int error)
{
    fake *world = world_new();
    vts_pcmon_desc desc = desc_of(world);
    vts_pcmon *monitor = (vts_pcmon *)(void *)&desc;
    size_t descriptors = test_open_descriptors();

    desc.manual_tick = false;
    fake_fail(world, call, 1, error);
    assert_code(vts_pcmon_create(&monitor, &desc), -error);
    assert_null(monitor);
    assert_true(fake_has_failed(world, call));
    assert_int_equal(test_memory.live, 0);
    assert_int_equal(test_open_descriptors(), descriptors);
    assert_int_equal(fake_calls(world, FAKE_JOIN), 0);
    fake_free(world);
}

static void create_reports_a_timer_that_cannot_be_made(void)
{
    assert_create_reports(FAKE_TIMER, EMFILE);
    assert_create_reports(FAKE_TIMER, ENOMEM);
}

static void create_reports_an_event_that_cannot_be_made(void)
{
    assert_create_reports(FAKE_EVENT, ENFILE);
    assert_create_reports(FAKE_EVENT, ENOMEM);
}

static void create_reports_a_thread_that_cannot_be_started(void)
{
    assert_create_reports(FAKE_START, EAGAIN);
    assert_create_reports(FAKE_START, EPERM);
}

/* As pthread_create says it: an error all the same. */
static int start_nothing(void *user, void *(*run)(void *), void *argument,
                         uintptr_t *thread)
{
    (void)user;
    (void)run;
    (void)argument;
    (void)thread;
    return EAGAIN;
}

static void create_takes_a_positive_errno_for_an_error(void)
{
    fake *world = world_new();
    vts_pcmon_desc desc = desc_of(world);
    vts_pcmon *monitor = (vts_pcmon *)(void *)&desc;
    size_t descriptors = test_open_descriptors();

    desc.manual_tick = false;
    world->io.thread_start = start_nothing;
    assert_code(vts_pcmon_create(&monitor, &desc), -EAGAIN);
    assert_null(monitor);
    assert_int_equal(test_memory.live, 0);
    assert_int_equal(test_open_descriptors(), descriptors);
    fake_free(world);
}

/* The same with a thread: create allocates and opens before it starts one. */
static void scenario_with_a_thread(void)
{
    fake *world = world_new();
    vts_pcmon_desc desc = desc_of(world);
    vts_pcmon *monitor;
    int error;

    desc.manual_tick = false;
    error = vts_pcmon_create(&monitor, &desc);
    if (error == VTS_OK) assert_code(vts_pcmon_destroy(monitor), VTS_OK);
    else assert_code(error, -ENOMEM);
    fake_free(world);
}

static void every_allocation_of_create_with_a_thread_may_fail(void)
{
    size_t n;

    for (n = 1; n < 12; n++) {
        test_fail_at(n);
        scenario_with_a_thread();
        assert_int_equal(test_memory.live, 0);
    }
    test_fail_at(0);
}

static const test_case tests[] = {
    TEST(every_allocation_may_fail),
    TEST(every_open_may_fail_with_eio),
    TEST(every_open_may_fail_with_emfile),
    TEST(every_pread_may_fail_with_eio),
    TEST(every_pread_may_fail_with_eagain),
    TEST(every_list_may_fail),
    TEST(every_realpath_may_fail),
    TEST(create_reports_a_timer_that_cannot_be_made),
    TEST(create_reports_an_event_that_cannot_be_made),
    TEST(create_reports_a_thread_that_cannot_be_started),
    TEST(create_takes_a_positive_errno_for_an_error),
    TEST(every_allocation_of_create_with_a_thread_may_fail),
};

TEST_MAIN(tests)
