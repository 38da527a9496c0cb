/* pcmon_test.h - the monitor under test in a made-up world: each test builds a machine
   out of files in memory, ticks by hand and looks at what the public functions say. */
#ifndef VTS_PCMON_TEST_H
#define VTS_PCMON_TEST_H

#include <math.h>

#include "pcmon_fake.h"

#define MAX_SENSORS 128
#define STEP (FAKE_S + 1) /* one interval later: the deadline is over, the sample stale */
#define PACKAGE_0 "/sys/class/hwmon/hwmon0/temp1_input"
#define RAPL "/sys/class/powercap/intel-rapl:0/energy_uj"

/* The world and monitor of the running test. */
static struct {
    fake *world;
    vts_pcmon_desc desc;
    vts_pcmon *monitor;
    vts_pc_statistics now; /* of the last pass */
} pc;

/* An empty world and a desc over a synthetic topology; start() makes the monitor. */
static inline void build(const char *synthetic)
{
    memset(&pc, 0, sizeof pc);
    pc.world = fake_new();
    pc.desc = fake_desc(pc.world, synthetic);
}

static inline void tick(void)
{
    assert_int_equal(vts_pcmon_tick(pc.monitor, NULL), 1);
    assert_code(vts_pcmon_get_latest(pc.monitor, &pc.now), VTS_OK);
}

static inline void create(void)
{
    assert_code(vts_pcmon_create(&pc.monitor, &pc.desc), VTS_OK);
}

static inline void start(void)
{
    create();
    tick();
}

static inline void pass(void)
{
    fake_advance(pc.world, STEP);
    tick();
}

static inline void passes(unsigned count)
{
    while (count-- > 0) pass();
}

static inline void finish(void)
{
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_OK);
    fake_free(pc.world);
}

static inline vts_pcmon_info info(void)
{
    vts_pcmon_info all;
    assert_code(vts_pcmon_get_info(pc.monitor, &all), VTS_OK);
    return all;
}

static inline vts_pc_sensor_info about(uint32_t sensor)
{
    vts_pc_sensor_info all;
    assert_code(vts_pcmon_get_sensor(pc.monitor, sensor, &all), VTS_OK);
    return all;
}

static inline vts_pc_reading reading(uint32_t sensor)
{
    static vts_pc_reading all[MAX_SENSORS];
    int count = vts_pcmon_read_sensors(pc.monitor, all, MAX_SENSORS, NULL);

    assert_in_range(count, 0, MAX_SENSORS);
    assert_true(sensor < (uint32_t)count);
    return all[sensor];
}

/* The sensor with a kind, device and label (or attribute); NO_INDEX without one. */
static inline uint32_t find(vts_pc_kind kind, const char *device, const char *name)
{
    vts_pc_sensor_info s;
    uint32_t i;

    for (i = 0; vts_pcmon_get_sensor(pc.monitor, i, &s) == VTS_OK; i++) {
        if (s.kind != kind || strcmp(s.device, device) != 0) continue;
        if (strcmp(s.label, name) == 0 || strcmp(s.attribute, name) == 0) return i;
    }
    return VTS_PC_NO_INDEX;
}

static inline uint32_t sensor(vts_pc_kind kind, const char *device, const char *name)
{
    uint32_t found = find(kind, device, name);
    if (found == VTS_PC_NO_INDEX) TEST_FAIL("no sensor %s %s\n", device, name);
    return found;
}

static inline uint32_t temperature(const char *device, const char *name)
{
    return sensor(VTS_PC_KIND_TEMPERATURE, device, name);
}

static inline void assert_number(double actual, double expected)
{
    if (isnan(expected) && isnan(actual)) return;
    if (fabs(actual - expected) <= 1e-8 * fabs(expected)) return; /* STEP is 1 ns long */
    TEST_FAIL("%.12g instead of %.12g\n", actual, expected);
}

static inline void assert_state(int actual, vts_pc_state expected, const char *what)
{
    if (actual == (int)expected) return;
    TEST_FAIL("%s is %s instead of %s\n", what, vts_pc_state_name(actual),
              vts_pc_state_name((int)expected));
}

/* A sensor has a state, and a value exactly when that is VALID. */
static inline void assert_reading(uint32_t index, vts_pc_state state, double value)
{
    vts_pc_reading actual = reading(index);

    assert_state(actual.state, state, about(index).path);
    assert_number(actual.value, state == VTS_PC_VALID ? value : (double)NAN);
}

static inline void assert_mapped(uint32_t index, vts_pc_object_type type, uint32_t object)
{
    vts_pc_sensor_info s = about(index);

    if (s.object_type != (uint8_t)type || s.object_index != object) {
        TEST_FAIL("%s %s is on %s %d: %s\n", s.device, s.label,
                  vts_pc_object_type_name(s.object_type), (int)s.object_index, s.mapping);
    }
    assert_true(s.mapping != NULL && s.mapping[0] != '\0');
    assert_true((s.object == NULL) == (type == VTS_PC_OBJECT_NONE));
}

static inline void assert_unmapped(uint32_t index)
{
    assert_mapped(index, VTS_PC_OBJECT_NONE, VTS_PC_NO_INDEX);
}

static inline void assert_metric(vts_pc_metric metric, vts_pc_state state, double number,
                          double expected)
{
    assert_state(pc.now.state[metric], state, vts_pc_metric_name((int)metric));
    assert_number(number, state == VTS_PC_VALID ? expected : (double)NAN);
}

static inline void assert_temperature(double expected, vts_pc_source source)
{
    assert_metric(VTS_PC_CPU_TEMPERATURE, VTS_PC_VALID, pc.now.cpu_temperature, expected);
    assert_string_equal(vts_pc_source_name(pc.now.cpu_temperature_source),
                        vts_pc_source_name((int)source));
}

static inline void assert_no_temperature(vts_pc_state state)
{
    assert_metric(VTS_PC_CPU_TEMPERATURE, state, pc.now.cpu_temperature, 0);
    assert_int_equal(pc.now.cpu_temperature_source, VTS_PC_SOURCE_NONE);
}

/* What the sensors of a kind say about one object. */
static inline vts_pc_reading object_reading(vts_pc_object_type type, vts_pc_kind kind,
                                     uint32_t index)
{
    vts_pc_reading all[64];
    int count = vts_pcmon_read_objects(pc.monitor, type, kind, all, 64, NULL);

    assert_true(index < 64 && count > (int)index);
    return all[index];
}

static inline void assert_object(vts_pc_object_type type, vts_pc_kind kind, uint32_t index,
                          vts_pc_state state, double value)
{
    vts_pc_reading actual = object_reading(type, kind, index);

    assert_state(actual.state, state, vts_pc_object_type_name((int)type));
    assert_number(actual.value, state == VTS_PC_VALID ? value : (double)NAN);
}

static inline double metric_number(const vts_pc_statistics *s, int metric)
{
    const double number[VTS_PC_METRIC_COUNT] = {
        s->cpu_temperature,  s->cpu_temperature_critical, s->cpu_utilization,
        s->cpu_frequency,    s->cpu_frequency_max,        s->cpu_power,
        s->cpu_energy,       s->cpu_throttle_count,       s->memory_total,
        s->memory_free,      s->memory_available,         s->swap_total,
        s->swap_free,        s->load_average[0],          s->pressure[0],
        s->gpu_temperature,  s->storage_temperature};
    return number[metric];
}

static inline void assert_nan_unless_valid(void)
{
    int metric;

    for (metric = 0; metric < VTS_PC_METRIC_COUNT; metric++) {
        bool valid = pc.now.state[metric] == VTS_PC_VALID;
        if (valid != !isnan(metric_number(&pc.now, metric))) {
            TEST_FAIL("%s is %g and %s\n", vts_pc_metric_name(metric),
                      metric_number(&pc.now, metric),
                      vts_pc_state_name(pc.now.state[metric]));
        }
    }
}

static inline vts_pc_statistics_valuetask ask(void)
{
    return vts_pcmon_get_statistics_async(pc.monitor);
}

/* The result is taken, and the error is this. */
static inline void assert_result(vts_pc_statistics_valuetask task, int error)
{
    vts_pc_statistics s;
    assert_code(vts_pc_statistics_get_result(task, &s), error);
}

static inline void build_plain(void)
{
    build("pack:1 core:1 pu:1");
    fake_proc(pc.world);
}

static char long_text[200000];

static inline void make_long_text(void)
{
    memset(long_text, '7', sizeof long_text - 1);
}

/* ---- continuations ---- */

static struct {
    vts_pc_statistics_valuetask task;
    unsigned runs, asks;
    uint64_t sequence;
    int error, tick;
} chain;

static inline void take_and_ask_again(void *arg)
{
    vts_pc_statistics s;

    (void)arg;
    chain.runs++;
    chain.tick = vts_pcmon_tick(pc.monitor, NULL);
    chain.error = vts_pc_statistics_get_result(chain.task, &s);
    if (chain.error == VTS_OK) chain.sequence = s.sequence;
    if (chain.asks == 0 || chain.error != VTS_OK) return;
    chain.asks--;
    fake_advance(pc.world, STEP);
    chain.task = ask();
    (void)vts_pc_statistics_on_completed(chain.task, take_and_ask_again, NULL, 0);
}

static inline void begin_chain(unsigned asks)
{
    memset(&chain, 0, sizeof chain);
    chain.asks = asks;
    chain.task = ask();
    assert_code(vts_pc_statistics_on_completed(chain.task, take_and_ask_again, NULL, 0),
                VTS_OK);
}

// ----------------------------------------------------------------------------------
// With a real thread
// ----------------------------------------------------------------------------------

#define WAIT_MS 10000

static inline void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* True when it is completed in time. */
static inline bool wait_for(vts_pc_statistics_valuetask task)
{
    int i;

    for (i = 0; i < WAIT_MS; i++) {
        if (vts_pc_statistics_is_completed(task)) return true;
        sleep_ms(1);
    }
    return false;
}

static inline vts_pc_statistics await(void)
{
    vts_pc_statistics_valuetask task = ask();
    vts_pc_statistics s;

    assert_true(wait_for(task));
    assert_code(vts_pc_statistics_get_result(task, &s), VTS_OK);
    return s;
}

/* A world with a real thread and real clocks. */
static inline void build_threaded(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    pc.desc.manual_tick = false;
    pc.world->io.now_ns = NULL;
}

/* Only a build that measures coverage has it. */
int __llvm_profile_write_file(void) __attribute__((weak));

/* Ends a forked child: without what the parent left to be done at its end, but with what
   the child covered. */
static inline void leave_child(int status)
{
    if (__llvm_profile_write_file != NULL) (void)__llvm_profile_write_file();
    _exit(status);
}

#endif
