/* t_pcmon.c - the monitor in a made-up world: each test builds a machine out of files in
   memory, ticks by hand and looks at what the public functions say. The last part runs
   the real thread on the real machine. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include <math.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "pcmon_fake.h"
#include "test.h"

#define MAX_SENSORS 128
#define STEP (FAKE_S + 1) /* one interval later: the deadline is over, the sample stale */

/* The world and monitor of the running test. */
static struct {
    fake *world;
    vts_pcmon_desc desc;
    vts_pcmon *monitor;
    vts_pc_statistics now; /* of the last pass */
} pc;

// ----------------------------------------------------------------------------------
// Helpers
// ----------------------------------------------------------------------------------

/* An empty world and a desc over a synthetic topology; start() makes the monitor. */
static void build(const char *synthetic)
{
    memset(&pc, 0, sizeof pc);
    pc.world = fake_new();
    pc.desc = fake_desc(pc.world, synthetic);
}

static void tick(void)
{
    assert_int_equal(vts_pcmon_tick(pc.monitor, NULL), 1);
    assert_code(vts_pcmon_get_latest(pc.monitor, &pc.now), VTS_OK);
}

static void create(void)
{
    assert_code(vts_pcmon_create(&pc.monitor, &pc.desc), VTS_OK);
}

static void start(void)
{
    create();
    tick();
}

static void pass(void)
{
    fake_advance(pc.world, STEP);
    tick();
}

static void passes(unsigned count)
{
    while (count-- > 0) pass();
}

static void finish(void)
{
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_OK);
    fake_free(pc.world);
}

static vts_pcmon_info info(void)
{
    vts_pcmon_info all;
    assert_code(vts_pcmon_get_info(pc.monitor, &all), VTS_OK);
    return all;
}

static vts_pc_sensor_info about(uint32_t sensor)
{
    vts_pc_sensor_info all;
    assert_code(vts_pcmon_get_sensor(pc.monitor, sensor, &all), VTS_OK);
    return all;
}

static vts_pc_reading reading(uint32_t sensor)
{
    static vts_pc_reading all[MAX_SENSORS];
    int count = vts_pcmon_read_sensors(pc.monitor, all, MAX_SENSORS, NULL);

    assert_in_range(count, 0, MAX_SENSORS);
    assert_true(sensor < (uint32_t)count);
    return all[sensor];
}

/* The sensor with a kind, device and label (or attribute); NO_INDEX without one. */
static uint32_t find(vts_pc_kind kind, const char *device, const char *name)
{
    vts_pc_sensor_info s;
    uint32_t i;

    for (i = 0; vts_pcmon_get_sensor(pc.monitor, i, &s) == VTS_OK; i++) {
        if (s.kind != kind || strcmp(s.device, device) != 0) continue;
        if (strcmp(s.label, name) == 0 || strcmp(s.attribute, name) == 0) return i;
    }
    return VTS_PC_NO_INDEX;
}

static uint32_t sensor(vts_pc_kind kind, const char *device, const char *name)
{
    uint32_t found = find(kind, device, name);
    if (found == VTS_PC_NO_INDEX) TEST_FAIL("no sensor %s %s\n", device, name);
    return found;
}

static uint32_t temperature(const char *device, const char *name)
{
    return sensor(VTS_PC_KIND_TEMPERATURE, device, name);
}

static void assert_number(double actual, double expected)
{
    if (isnan(expected) && isnan(actual)) return;
    if (fabs(actual - expected) <= 1e-8 * fabs(expected)) return; /* STEP is 1 ns long */
    TEST_FAIL("%.12g instead of %.12g\n", actual, expected);
}

static void assert_state(int actual, vts_pc_state expected, const char *what)
{
    if (actual == (int)expected) return;
    TEST_FAIL("%s is %s instead of %s\n", what, vts_pc_state_name(actual),
              vts_pc_state_name((int)expected));
}

/* A sensor has a state, and a value exactly when that is VALID. */
static void assert_reading(uint32_t index, vts_pc_state state, double value)
{
    vts_pc_reading actual = reading(index);

    assert_state(actual.state, state, about(index).path);
    assert_number(actual.value, state == VTS_PC_VALID ? value : (double)NAN);
}

static void assert_mapped(uint32_t index, vts_pc_object_type type, uint32_t object)
{
    vts_pc_sensor_info s = about(index);

    if (s.object_type != (uint8_t)type || s.object_index != object) {
        TEST_FAIL("%s %s is on %s %d: %s\n", s.device, s.label,
                  vts_pc_object_type_name(s.object_type), (int)s.object_index, s.mapping);
    }
    assert_true(s.mapping != NULL && s.mapping[0] != '\0');
    assert_true((s.object == NULL) == (type == VTS_PC_OBJECT_NONE));
}

static void assert_unmapped(uint32_t index)
{
    assert_mapped(index, VTS_PC_OBJECT_NONE, VTS_PC_NO_INDEX);
}

static void assert_metric(vts_pc_metric metric, vts_pc_state state, double number,
                          double expected)
{
    assert_state(pc.now.state[metric], state, vts_pc_metric_name((int)metric));
    assert_number(number, state == VTS_PC_VALID ? expected : (double)NAN);
}

static void assert_temperature(double expected, vts_pc_source source)
{
    assert_metric(VTS_PC_CPU_TEMPERATURE, VTS_PC_VALID, pc.now.cpu_temperature, expected);
    assert_string_equal(vts_pc_source_name(pc.now.cpu_temperature_source),
                        vts_pc_source_name((int)source));
}

static void assert_no_temperature(vts_pc_state state)
{
    assert_metric(VTS_PC_CPU_TEMPERATURE, state, pc.now.cpu_temperature, 0);
    assert_int_equal(pc.now.cpu_temperature_source, VTS_PC_SOURCE_NONE);
}

/* What the sensors of a kind say about one object. */
static vts_pc_reading object_reading(vts_pc_object_type type, vts_pc_kind kind,
                                     uint32_t index)
{
    vts_pc_reading all[64];
    int count = vts_pcmon_read_objects(pc.monitor, type, kind, all, 64, NULL);

    assert_true(index < 64 && count > (int)index);
    return all[index];
}

static void assert_object(vts_pc_object_type type, vts_pc_kind kind, uint32_t index,
                          vts_pc_state state, double value)
{
    vts_pc_reading actual = object_reading(type, kind, index);

    assert_state(actual.state, state, vts_pc_object_type_name((int)type));
    assert_number(actual.value, state == VTS_PC_VALID ? value : (double)NAN);
}

// ----------------------------------------------------------------------------------
// The whole machine once
// ----------------------------------------------------------------------------------

static double metric_number(const vts_pc_statistics *s, int metric)
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

static void assert_nan_unless_valid(void)
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

static void two_packages_give_every_metric(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
    assert_metric(VTS_PC_CPU_TEMPERATURE_CRITICAL, VTS_PC_VALID,
                  pc.now.cpu_temperature_critical, 95);
    assert_metric(VTS_PC_CPU_UTILIZATION, VTS_PC_NOT_YET, pc.now.cpu_utilization, 0);
    assert_metric(VTS_PC_CPU_FREQUENCY, VTS_PC_VALID, pc.now.cpu_frequency, 1.15e9);
    assert_metric(VTS_PC_CPU_FREQUENCY_MAX, VTS_PC_VALID, pc.now.cpu_frequency_max, 1.3e9);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_NOT_YET, pc.now.cpu_power, 0);
    assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_VALID, pc.now.cpu_energy, 3);
    assert_metric(VTS_PC_CPU_THROTTLE_COUNT, VTS_PC_VALID, pc.now.cpu_throttle_count, 30);
    assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_VALID, pc.now.memory_total, 4096 * 1024.0);
    assert_metric(VTS_PC_MEMORY_FREE, VTS_PC_VALID, pc.now.memory_free, 1024 * 1024.0);
    assert_metric(VTS_PC_MEMORY_AVAILABLE, VTS_PC_VALID, pc.now.memory_available,
                  2048 * 1024.0);
    assert_metric(VTS_PC_SWAP_TOTAL, VTS_PC_VALID, pc.now.swap_total, 512 * 1024.0);
    assert_metric(VTS_PC_SWAP_FREE, VTS_PC_VALID, pc.now.swap_free, 256 * 1024.0);
    assert_metric(VTS_PC_LOAD_AVERAGE, VTS_PC_VALID, pc.now.load_average[2], 0.125);
    assert_metric(VTS_PC_PRESSURE, VTS_PC_VALID, pc.now.pressure[0], 0.01);
    assert_number(pc.now.pressure[1], 0.02);
    assert_number(pc.now.pressure[2], 0.03);
    assert_metric(VTS_PC_GPU_TEMPERATURE, VTS_PC_DISABLED, pc.now.gpu_temperature, 0);
    assert_metric(VTS_PC_STORAGE_TEMPERATURE, VTS_PC_DISABLED, pc.now.storage_temperature,
                  0);
    assert_int_equal(info().unmapped, 0);
    finish();
}

static void machine_without_any_file_is_no_error(void)
{
    int metric;

    build("pack:1 core:2 pu:1");
    pc.desc.metrics = VTS_PC_METRICS_ALL;
    start();
    for (metric = 0; metric < VTS_PC_METRIC_COUNT; metric++) {
        assert_state(pc.now.state[metric], VTS_PC_UNSUPPORTED, vts_pc_metric_name(metric));
    }
    assert_nan_unless_valid();
    assert_int_equal(info().discovery_error, 0);
    pass();
    assert_int_equal(pc.now.sequence, 2);
    finish();
}

static void unreadable_directories_are_no_error(void)
{
    static const char *const directory[] = {
        "/sys/class/hwmon", "/sys/class/thermal", "/sys/class/powercap",
        "/sys/devices/system/cpu", "/sys/devices/system/node"};
    size_t i;

    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    fake_zone(pc.world, 0, "acpitz", 30000);
    for (i = 0; i < sizeof directory / sizeof directory[0]; i++) {
        fake_get(pc.world, "%s", directory[i])->list_error = EACCES;
    }
    start();
    assert_no_temperature(VTS_PC_UNSUPPORTED);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_UNSUPPORTED, pc.now.cpu_power, 0);
    assert_metric(VTS_PC_LOAD_AVERAGE, VTS_PC_VALID, pc.now.load_average[0], 0.5);
    finish();
}

static void metrics_not_asked_for_are_disabled_and_not_read(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    pc.desc.metrics = 1u << VTS_PC_LOAD_AVERAGE;
    start();
    passes(2);
    assert_metric(VTS_PC_LOAD_AVERAGE, VTS_PC_VALID, pc.now.load_average[0], 0.5);
    assert_no_temperature(VTS_PC_DISABLED);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_DISABLED, pc.now.cpu_power, 0);
    assert_int_equal(fake_reads(pc.world, "/proc/meminfo"), 0);
    assert_int_equal(fake_reads(pc.world, "/proc/pressure/cpu"), 0);
    assert_int_equal(fake_reads(pc.world, "/sys/class/hwmon/hwmon0/temp1_input"), 0);
    assert_int_equal(fake_reads(pc.world, "/sys/class/powercap/intel-rapl:0/energy_uj"), 0);
    assert_nan_unless_valid();
    finish();
}

// ----------------------------------------------------------------------------------
// Mapping
// ----------------------------------------------------------------------------------

static void package_with_os_index_36_is_found_by_rank_and_by_physical_id(void)
{
    build("pack:1(indexes=36) core:2 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 40000);
    fake_core(pc.world, 0, 1, 41000);
    fake_rapl(pc.world, "0", "package-36", 1, 1000);
    fake_rapl(pc.world, "1", "package-0", 1, 1000);
    start();
    assert_mapped(temperature("coretemp.0", "temp1"), VTS_PC_OBJECT_PACKAGE, 0);
    assert_mapped(temperature("coretemp.0", "Core 1"), VTS_PC_OBJECT_CORE, 1);
    assert_mapped(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:0", "package-36"),
                  VTS_PC_OBJECT_PACKAGE, 0);
    assert_unmapped(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:1", "package-0"));
    finish();
}

static void packages_in_another_order_are_found_by_os_index(void)
{
    build("pack:4(indexes=0,1,3,2) core:1(indexes=0,0,0,0) pu:1");
    fake_coretemp(pc.world, 0, 2, "Package id 2", 42000);
    fake_core(pc.world, 0, 0, 42000);
    fake_coretemp(pc.world, 1, 3, "Package id 3", 43000);
    fake_core(pc.world, 1, 0, 43000);
    fake_rapl(pc.world, "0", "package-2", 1, 1000);
    start();
    assert_mapped(temperature("coretemp.2", "temp1"), VTS_PC_OBJECT_PACKAGE, 3);
    assert_mapped(temperature("coretemp.3", "temp1"), VTS_PC_OBJECT_PACKAGE, 2);
    assert_mapped(temperature("coretemp.2", "Core 0"), VTS_PC_OBJECT_CORE, 3);
    assert_mapped(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:0", "package-2"),
                  VTS_PC_OBJECT_PACKAGE, 3);
    finish();
}

/* The label of the second chip says 0 as well: only the device tells them apart. */
static void equal_labels_of_two_chips_do_not_collide(void)
{
    build("pack:2 core:1(indexes=0,0) pu:1");
    fake_coretemp(pc.world, 0, 0, "Physical id 0", 40000);
    fake_core(pc.world, 0, 0, 40000);
    fake_coretemp(pc.world, 1, 1, "Physical id 0", 60000);
    fake_core(pc.world, 1, 0, 60000);
    start();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 40);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 60);
    assert_temperature(60, VTS_PC_SOURCE_CORETEMP);
    finish();
}

static void sparse_core_ids_repeat_in_each_package(void)
{
    build("pack:2 core:3(indexes=0,8,25,0,8,25) pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 40000);
    fake_core(pc.world, 0, 8, 41000);
    fake_coretemp(pc.world, 1, 1, "Package id 1", 50000);
    fake_core(pc.world, 1, 8, 51000);
    fake_core(pc.world, 1, 25, 52000);
    fake_core(pc.world, 1, 1, 53000);
    pc.desc.per_core_temperature = true;
    start();
    assert_mapped(temperature("coretemp.0", "Core 8"), VTS_PC_OBJECT_CORE, 1);
    assert_mapped(temperature("coretemp.1", "Core 8"), VTS_PC_OBJECT_CORE, 4);
    assert_mapped(temperature("coretemp.1", "Core 25"), VTS_PC_OBJECT_CORE, 5);
    assert_unmapped(temperature("coretemp.1", "Core 1"));
    assert_reading(temperature("coretemp.1", "Core 1"), VTS_PC_VALID, 53);
    assert_int_equal(about(temperature("coretemp.1", "Core 25")).own_index, 25);
    assert_int_equal(about(temperature("coretemp.1", "Core 25")).package, 1);
    finish();
}

static void core_id_twice_in_a_package_is_not_guessed(void)
{
    build("pack:1 core:4(indexes=0,1,0,2) pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 40000);
    fake_core(pc.world, 0, 0, 41000);
    fake_core(pc.world, 0, 2, 42000);
    start();
    assert_mapped(temperature("coretemp.0", "temp1"), VTS_PC_OBJECT_PACKAGE, 0);
    assert_unmapped(temperature("coretemp.0", "Core 0"));
    assert_mapped(temperature("coretemp.0", "Core 2"), VTS_PC_OBJECT_CORE, 3);
    finish();
}

static void chip_without_a_core_of_the_package_is_rejected_and_listed(void)
{
    build("pack:1 core:2 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 40000);
    fake_core(pc.world, 0, 17, 41000);
    fake_core(pc.world, 0, 18, 41000);
    start();
    assert_unmapped(temperature("coretemp.0", "temp1"));
    assert_unmapped(temperature("coretemp.0", "Core 17"));
    assert_int_equal(info().unmapped, 3);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_UNSUPPORTED, 0);
    assert_temperature(40, VTS_PC_SOURCE_CORETEMP);
    finish();
}

static void proof_prefers_the_package_that_has_the_core(void)
{
    build("pack:2(indexes=1,0) core:1(indexes=5,7) pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 40000);
    fake_core(pc.world, 0, 5, 41000);
    start();
    assert_mapped(temperature("coretemp.0", "temp1"), VTS_PC_OBJECT_PACKAGE, 0);
    assert_mapped(temperature("coretemp.0", "Core 5"), VTS_PC_OBJECT_CORE, 0);
    finish();
}

static void chip_without_core_labels_is_only_the_single_package_s(void)
{
    build("pack:1 core:2 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 40000);
    start();
    assert_mapped(temperature("coretemp.0", "temp1"), VTS_PC_OBJECT_PACKAGE, 0);
    finish();
    build("pack:2 core:2 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 40000);
    start();
    assert_unmapped(temperature("coretemp.0", "temp1"));
    finish();
}

/* coretemp.3 is the fourth die; RAPL's die 1 is the second of its own package. */
static void dies_are_logical_for_coretemp_and_physical_for_rapl(void)
{
    build("pack:2(indexes=4,9) die:2(indexes=0,1,0,1) core:1(indexes=0,1,0,1) pu:1");
    fake_coretemp(pc.world, 0, 2, "Package id 2", 42000);
    fake_core(pc.world, 0, 0, 42000);
    fake_coretemp(pc.world, 1, 3, "Package id 3", 43000);
    fake_core(pc.world, 1, 1, 43000);
    fake_rapl(pc.world, "0", "package-9-die-1", 5000000, 1000000000);
    fake_rapl(pc.world, "1", "package-9-die-0", 7000000, 1000000000);
    fake_rapl(pc.world, "2", "package-9-die-2", 1, 1000);
    start();
    assert_mapped(temperature("coretemp.3", "temp1"), VTS_PC_OBJECT_DIE, 3);
    assert_mapped(temperature("coretemp.2", "temp1"), VTS_PC_OBJECT_DIE, 2);
    assert_mapped(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:0", "energy_uj"),
                  VTS_PC_OBJECT_DIE, 3);
    assert_mapped(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:1", "energy_uj"),
                  VTS_PC_OBJECT_DIE, 2);
    assert_unmapped(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:2", "energy_uj"));
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 43);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_ENERGY, 1, VTS_PC_VALID, 12);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_UNSUPPORTED, 0);
    finish();
}

static void rapl_goes_by_the_name_and_not_by_the_zone_number(void)
{
    build("pack:2(indexes=0,10) core:1 pu:1");
    fake_rapl(pc.world, "0", "package-10", 5000000, 1000000000);
    fake_rapl(pc.world, "1", "package-0", 7000000, 1000000000);
    fake_rapl(pc.world, "0:0", "dram", 1000000, 1000000000);
    fake_rapl(pc.world, "2", "psys", 9000000, 1000000000);
    start();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_ENERGY, 0, VTS_PC_VALID, 7);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_ENERGY, 1, VTS_PC_VALID, 5);
    assert_mapped(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:0:0", "dram"),
                  VTS_PC_OBJECT_PACKAGE, 1);
    assert_true(about(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:0:0", "dram")).subordinate);
    assert_unmapped(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:2", "psys"));
    assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_VALID, pc.now.cpu_energy, 12);
    finish();
}

static void pus_go_by_os_index(void)
{
    uint32_t cpu;

    build("pack:1 core:2 pu:2(indexes=0,2,1,3)");
    fake_cpus(pc.world, 4, 100, 900);
    for (cpu = 0; cpu < 4; cpu++) fake_cpufreq(pc.world, (int)cpu, 1000 * (cpu + 1));
    start();
    assert_mapped(sensor(VTS_PC_KIND_FREQUENCY, "policy1", "cpu1"), VTS_PC_OBJECT_PU, 2);
    assert_mapped(sensor(VTS_PC_KIND_BUSY_TIME, "cpu2", "stat"), VTS_PC_OBJECT_PU, 1);
    assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_FREQUENCY, 1, VTS_PC_VALID, 3e6);
    finish();
}

static void policy_of_several_cpus_is_read_once(void)
{
    build("pack:1 core:2 pu:1");
    fake_cpus(pc.world, 2, 100, 900);
    fake_cpufreq(pc.world, 0, 1500000);
    fake_link(pc.world, "../cpufreq/policy0", "/sys/devices/system/cpu/cpu1/cpufreq");
    start();
    assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_FREQUENCY, 0, VTS_PC_VALID, 1.5e9);
    assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_FREQUENCY, 1, VTS_PC_VALID, 1.5e9);
    pass();
    assert_int_equal(
        fake_reads(pc.world, "/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq"), 2);
    finish();
}

static void measured_frequency_is_preferred(void)
{
    build("pack:1 core:1 pu:1");
    fake_cpus(pc.world, 1, 100, 900);
    fake_cpufreq(pc.world, 0, 1500000);
    fake_number(pc.world, 1400000,
                "/sys/devices/system/cpu/cpufreq/policy0/cpuinfo_avg_freq");
    start();
    assert_metric(VTS_PC_CPU_FREQUENCY, VTS_PC_VALID, pc.now.cpu_frequency, 1.4e9);
    finish();
}

static void aggregate_line_is_no_cpu(void)
{
    static const char stat[] = "cpu  301854 612 111922 8979004 3552 2 3944 0 44 36\n"
                               "cpu0 44490 19 21045 1087069 220 1 3410 2 2 1\n"
                               "cpu1 47869 23 16474 1110787 591 0 46 3 3 2\n"
                               "cpufoo 1 2 3 4 5 6 7 8 9 10\nintr 1\n";
    uint32_t i, count = 0;
    vts_pc_sensor_info s;

    build("pack:1 core:2 pu:1");
    fake_file(pc.world, stat, "/proc/stat");
    start();
    for (i = 0; vts_pcmon_get_sensor(pc.monitor, i, &s) == VTS_OK; i++) {
        count += s.kind == VTS_PC_KIND_UTILIZATION;
    }
    assert_int_equal(count, 2);
    assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_BUSY_TIME, 0, VTS_PC_VALID, 689.67);
    assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_IDLE_TIME, 1, VTS_PC_VALID, 11113.78);
    finish();
}

static void cpus_of_the_host_are_listed_unmapped(void)
{
    build("pack:1 core:2 pu:1");
    fake_cpus(pc.world, 8, 100, 900);
    start();
    assert_unmapped(sensor(VTS_PC_KIND_BUSY_TIME, "cpu7", "stat"));
    assert_reading(sensor(VTS_PC_KIND_BUSY_TIME, "cpu7", "stat"), VTS_PC_VALID, 1);
    assert_int_equal(about(sensor(VTS_PC_KIND_BUSY_TIME, "cpu7", "stat")).own_index, 7);
    assert_int_equal(info().unmapped, 6 * 3);
    finish();
}

static void numa_nodes_go_by_sparse_os_index(void)
{
    build("numa:2(indexes=2,33) pack:1 core:1 pu:1");
    fake_node_memory(pc.world, 33, 500, 100);
    fake_node_memory(pc.world, 2, 300, 200);
    fake_node_memory(pc.world, 7, 100, 100);
    start();
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_TOTAL, 0, VTS_PC_VALID,
                  300 * 1024.0);
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_FREE, 1, VTS_PC_VALID,
                  100 * 1024.0);
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_USED, 1, VTS_PC_VALID,
                  400 * 1024.0);
    assert_unmapped(sensor(VTS_PC_KIND_MEMORY_TOTAL, "node7", "meminfo"));
    finish();
}

static void throttle_is_read_once_per_core_and_package(void)
{
    uint32_t i, count = 0;
    vts_pc_sensor_info s;
    int cpu;

    build("pack:1 core:2 pu:2");
    fake_cpus(pc.world, 4, 100, 900);
    for (cpu = 0; cpu < 4; cpu++) fake_throttle(pc.world, cpu, cpu < 2 ? 5 : 9, 30);
    start();
    for (i = 0; vts_pcmon_get_sensor(pc.monitor, i, &s) == VTS_OK; i++) {
        count += s.kind == VTS_PC_KIND_THROTTLE_COUNT;
    }
    assert_int_equal(count, 3);
    assert_object(VTS_PC_OBJECT_CORE, VTS_PC_KIND_THROTTLE_COUNT, 1, VTS_PC_VALID, 9);
    assert_metric(VTS_PC_CPU_THROTTLE_COUNT, VTS_PC_VALID, pc.now.cpu_throttle_count, 30);
    finish();
}

/* ---- AMD ---- */

static void amd_chip_of_one_node_is_the_package_s(void)
{
    build("pack:1 l3:1 core:4 pu:1");
    fake_k10temp(pc.world, 0, 0, "0-3");
    fake_input(pc.world, 0, 1, "Tctl", 60000);
    fake_input(pc.world, 0, 3, "Tccd1", 58000);
    pc.desc.every_temperature = true;
    start();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 60);
    assert_object(VTS_PC_OBJECT_L3, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 58);
    finish();
}

static void amd_chips_go_by_their_local_cpus(void)
{
    build("pack:2 l3:2 core:2 pu:1");
    fake_k10temp(pc.world, 0, 0, "4-7");
    fake_input(pc.world, 0, 1, "Tctl", 60000);
    fake_k10temp(pc.world, 1, 1, "0-3");
    fake_input(pc.world, 1, 1, "Tctl", 50000);
    start();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 50);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 60);
    finish();
}

static void amd_chip_without_local_cpus_goes_by_its_slot(void)
{
    build("pack:2 [numa] l3:2 core:2 pu:1");
    fake_k10temp(pc.world, 0, 1, "");
    fake_input(pc.world, 0, 1, "Tctl", 60000);
    fake_remove(pc.world, "/sys/devices/pci0000:00/0000:00:19.3/local_cpulist");
    start();
    assert_mapped(temperature("0000:00:19.3", "Tctl"), VTS_PC_OBJECT_PACKAGE, 1);
    finish();
}

static void amd_chip_over_several_packages_is_unmapped(void)
{
    build("pack:2 core:2 pu:1");
    fake_k10temp(pc.world, 0, 5, "0-3");
    fake_input(pc.world, 0, 1, "Tctl", 60000);
    start();
    assert_unmapped(temperature("0000:00:1d.3", "Tctl"));
    finish();
}

static void sparse_ccds_go_by_rank_if_the_counts_agree(void)
{
    build("pack:1 l3:2 core:2 pu:1");
    fake_k10temp(pc.world, 0, 0, "0-3");
    fake_input(pc.world, 0, 1, "Tctl", 60000);
    fake_input(pc.world, 0, 3, "Tccd1", 51000);
    fake_input(pc.world, 0, 6, "Tccd4", 54000);
    pc.desc.every_temperature = true;
    start();
    assert_object(VTS_PC_OBJECT_L3, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 51);
    assert_object(VTS_PC_OBJECT_L3, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 54);
    finish();
    build("pack:1 l3:4 core:2 pu:1");
    fake_k10temp(pc.world, 0, 0, "0-7");
    fake_input(pc.world, 0, 3, "Tccd1", 51000);
    fake_input(pc.world, 0, 6, "Tccd4", 54000);
    start();
    assert_unmapped(temperature("0000:00:18.3", "Tccd1"));
    assert_unmapped(temperature("0000:00:18.3", "Tccd4"));
    finish();
}

/* ---- zones and other chips ---- */

static void package_zones_count_only_when_there_is_one_for_each(void)
{
    build("pack:2 core:1 pu:1");
    fake_zone(pc.world, 3, "x86_pkg_temp", 41000);
    fake_zone(pc.world, 12, "x86_pkg_temp", 42000);
    start();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 41);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 42);
    finish();
    build("pack:2 core:1 pu:1");
    fake_zone(pc.world, 3, "x86_pkg_temp", 41000);
    start();
    assert_unmapped(temperature("thermal_zone3", "x86_pkg_temp"));
    assert_temperature(41, VTS_PC_SOURCE_X86_PKG_TEMP);
    finish();
}

static void device_near_a_package_does_not_give_its_temperature(void)
{
    build("pack:1 core:2 pu:1");
    fake_hwmon(pc.world, 0, "nvme", "/sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0");
    fake_input(pc.world, 0, 1, "Composite", 70000);
    fake_file(pc.world, "0-1\n", "/sys/devices/pci0000:00/0000:01:00.0/local_cpulist");
    pc.desc.metrics = VTS_PC_METRICS_ALL;
    start();
    assert_int_equal(about(temperature("nvme0", "Composite")).package, 0);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_UNSUPPORTED, 0);
    assert_no_temperature(VTS_PC_UNSUPPORTED);
    assert_metric(VTS_PC_STORAGE_TEMPERATURE, VTS_PC_VALID, pc.now.storage_temperature, 70);
    finish();
}

static void zone_that_is_a_hwmon_chip_too_is_one_sensor(void)
{
    build("pack:1 core:2 pu:1");
    fake_zone(pc.world, 0, "cpu-thermal", 41000);
    fake_hwmon(pc.world, 0, "cpu_thermal", "/sys/devices/virtual/thermal/thermal_zone0");
    fake_input(pc.world, 0, 1, NULL, 41000);
    start();
    assert_int_equal(find(VTS_PC_KIND_TEMPERATURE, "thermal_zone0", "cpu-thermal"),
                     VTS_PC_NO_INDEX);
    assert_temperature(41, VTS_PC_SOURCE_SOC_HWMON);
    finish();
}

static void owned_topology_carries_its_sensors(void)
{
    hwloc_obj_t package;

    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    package = hwloc_get_obj_by_type(vts_pcmon_topology(pc.monitor), HWLOC_OBJ_PACKAGE, 1);
    assert_string_equal(hwloc_obj_get_info_by_name(package, "VtsSensor"),
                        "coretemp.1/temp1 Package id 1");
    finish();
}

// ----------------------------------------------------------------------------------
// Which temperature is the CPU's
// ----------------------------------------------------------------------------------

/* Every candidate, the best first; the last two are none. */
static void build_every_source(void)
{
    build("pack:1 l3:1 core:2 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_core(pc.world, 0, 0, 51000);
    fake_k10temp(pc.world, 1, 0, "0-1");
    fake_input(pc.world, 1, 2, "Tdie", 52000);
    fake_input(pc.world, 1, 1, "Tctl", 53000);
    fake_hwmon(pc.world, 2, "soc_thermal", "/sys/devices/platform/soc");
    fake_input(pc.world, 2, 1, NULL, 54000);
    fake_zone(pc.world, 0, "x86_pkg_temp", 55000);
    fake_zone(pc.world, 1, "cpu-thermal", 56000);
    fake_hwmon(pc.world, 3, "nct6775", "/sys/devices/platform/nct6775.656");
    fake_input(pc.world, 3, 7, "PECI Agent 0", 57000);
    fake_zone(pc.world, 2, "acpitz", 58000);
    fake_input(pc.world, 3, 1, "SYSTIN", 59000);
    fake_zone(pc.world, 3, "iwlwifi_1", 60000);
}

static const struct {
    const char *path;
    double value;
    vts_pc_source source;
} order[] = {
    {"/sys/class/hwmon/hwmon0/temp1_input", 50, VTS_PC_SOURCE_CORETEMP},
    {"/sys/class/hwmon/hwmon0/temp2_input", 51, VTS_PC_SOURCE_CORETEMP_CORE},
    {"/sys/class/hwmon/hwmon1/temp2_input", 52, VTS_PC_SOURCE_K10TEMP},
    {"/sys/class/hwmon/hwmon1/temp1_input", 53, VTS_PC_SOURCE_K10TEMP_CTL},
    {"/sys/class/hwmon/hwmon2/temp1_input", 54, VTS_PC_SOURCE_SOC_HWMON},
    {"/sys/class/thermal/thermal_zone0/temp", 55, VTS_PC_SOURCE_X86_PKG_TEMP},
    {"/sys/class/thermal/thermal_zone1/temp", 56, VTS_PC_SOURCE_SOC_ZONE},
    {"/sys/class/hwmon/hwmon3/temp7_input", 57, VTS_PC_SOURCE_BOARD},
    {"/sys/class/thermal/thermal_zone2/temp", 58, VTS_PC_SOURCE_ACPI},
};

#define SOURCES (sizeof order / sizeof order[0])

/* Each source takes over when all before it say nothing plausible. */
static void sources_are_asked_in_order(void)
{
    size_t i;

    build_every_source();
    start();
    for (i = 0; i < SOURCES; i++) {
        assert_temperature(order[i].value, order[i].source);
        fake_number(pc.world, i % 2 == 0 ? 151000 : -41000, "%s", order[i].path);
        pass();
    }
    assert_no_temperature(VTS_PC_IMPLAUSIBLE);
    finish();
}

static void failing_source_gives_way_and_takes_over_again(void)
{
    build_every_source();
    fake_read_error(pc.world, ENODATA, "%s", order[0].path);
    start();
    assert_temperature(51, VTS_PC_SOURCE_CORETEMP_CORE);
    fake_read_error(pc.world, 0, "%s", order[0].path);
    pass();
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    finish();
}

/* A core's sensor interrupts that core: it is read only when the package says nothing. */
static void worse_sources_are_not_read(void)
{
    size_t i;

    build_every_source();
    start();
    passes(3);
    for (i = 1; i < SOURCES; i++) {
        assert_int_equal(fake_reads(pc.world, "%s", order[i].path), 0);
    }
    assert_reading(temperature("coretemp.0", "Core 0"), VTS_PC_DISABLED, 0);
    finish();
}

static void per_core_temperature_reads_the_cores(void)
{
    build_every_source();
    pc.desc.per_core_temperature = true;
    start();
    assert_reading(temperature("coretemp.0", "Core 0"), VTS_PC_VALID, 51);
    assert_reading(temperature("thermal_zone2", "acpitz"), VTS_PC_DISABLED, 0);
    finish();
}

static void every_temperature_reads_all(void)
{
    build_every_source();
    pc.desc.every_temperature = true;
    start();
    assert_reading(temperature("thermal_zone3", "iwlwifi_1"), VTS_PC_VALID, 60);
    assert_reading(temperature("nct6775.656", "SYSTIN"), VTS_PC_VALID, 59);
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    finish();
}

static void plausible_is_from_minus_40_to_150(void)
{
    static const struct {
        int64_t milli;
        vts_pc_state state;
    } edge[] = {{-40000, VTS_PC_VALID},      {-40001, VTS_PC_IMPLAUSIBLE},
                {150000, VTS_PC_VALID},      {150001, VTS_PC_IMPLAUSIBLE},
                {0, VTS_PC_VALID},           {-650788984, VTS_PC_IMPLAUSIBLE},
                {INT64_MAX, VTS_PC_IMPLAUSIBLE}, {INT64_MIN + 1, VTS_PC_IMPLAUSIBLE}};
    size_t i;

    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    start();
    for (i = 0; i < sizeof edge / sizeof edge[0]; i++) {
        fake_number(pc.world, edge[i].milli, "%s", order[0].path);
        pass();
        assert_metric(VTS_PC_CPU_TEMPERATURE, edge[i].state, pc.now.cpu_temperature,
                      (double)edge[i].milli / 1000.0);
    }
    finish();
}

/* One package that cannot be read does not take the temperature of the other away. */
static void hottest_of_the_packages_that_answer_counts(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
    fake_read_error(pc.world, EIO, "/sys/class/hwmon/hwmon1/temp1_input");
    pass();
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_NO_DATA, 0);
    finish();
}

static void limits_out_of_range_are_not_set(void)
{
    vts_pc_sensor_info s;

    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_limits(pc.world, 0, 1, 200001, -273000);
    fake_core(pc.world, 0, 0, 50000);
    fake_limits(pc.world, 0, 2, 200000, -272999);
    start();
    s = about(temperature("coretemp.0", "temp1"));
    assert_true(isnan(s.maximum) && isnan(s.critical));
    s = about(temperature("coretemp.0", "Core 0"));
    assert_number(s.maximum, 200);
    assert_number(s.critical, -272.999);
    assert_metric(VTS_PC_CPU_TEMPERATURE_CRITICAL, VTS_PC_UNSUPPORTED,
                  pc.now.cpu_temperature_critical, 0);
    finish();
}

static void limits_are_read_once(void)
{
    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_limits(pc.world, 0, 1, 80000, 100000);
    start();
    passes(5);
    assert_int_equal(fake_reads(pc.world, "/sys/class/hwmon/hwmon0/temp1_crit"), 1);
    assert_metric(VTS_PC_CPU_TEMPERATURE_CRITICAL, VTS_PC_VALID,
                  pc.now.cpu_temperature_critical, 100);
    finish();
}

static void assert_override(const char *name, double value, vts_pc_source source)
{
    build_every_source();
    pc.desc.cpu_temperature_sensor = name;
    start();
    assert_temperature(value, source);
    finish();
}

static void desc_may_name_the_sensor(void)
{
    assert_override("nct6775/SYSTIN", 59, VTS_PC_SOURCE_USER);
    assert_override("nct6775/temp1", 59, VTS_PC_SOURCE_USER);
    assert_override("thermal/iwlwifi_1", 60, VTS_PC_SOURCE_USER);
    assert_override("k10temp", 53, VTS_PC_SOURCE_USER);
    assert_override("k10temp/Tdie", 52, VTS_PC_SOURCE_USER);
    assert_override("coretem", 50, VTS_PC_SOURCE_CORETEMP);
    assert_override("coretemp2", 50, VTS_PC_SOURCE_CORETEMP);
    assert_override("nct6775/NOTHING", 50, VTS_PC_SOURCE_CORETEMP);
}

static void named_sensor_that_fails_gives_way(void)
{
    build_every_source();
    pc.desc.cpu_temperature_sensor = "nct6775/SYSTIN";
    fake_read_error(pc.world, EIO, "/sys/class/hwmon/hwmon3/temp1_input");
    start();
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    finish();
}

/* ---- provider ---- */

static unsigned provided;

static void provide_temperature(void *user, vts_pc_statistics *s)
{
    provided++;
    s->cpu_temperature = *(const double *)user;
    s->state[VTS_PC_CPU_TEMPERATURE] = VTS_PC_VALID;
}

static void provide_rubbish(void *user, vts_pc_statistics *s)
{
    (void)user;
    s->cpu_power = 12;
    s->state[VTS_PC_CPU_POWER] = VTS_PC_NO_DATA;
    s->load_average[1] = 7;
    s->state[VTS_PC_LOAD_AVERAGE] = VTS_PC_UNSUPPORTED;
    s->gpu_temperature = 66;
    s->state[VTS_PC_GPU_TEMPERATURE] = VTS_PC_VALID;
}

static void provider_fills_in_and_is_the_source(void)
{
    double value = 44;

    build("pack:1 core:1 pu:1");
    pc.desc.provider = provide_temperature;
    pc.desc.provider_user = &value;
    provided = 0;
    start();
    assert_temperature(44, VTS_PC_SOURCE_USER);
    pass();
    assert_int_equal(provided, 2);
    finish();
}

static void provider_overrides_a_sensor(void)
{
    double value = 44;

    build_every_source();
    pc.desc.provider = provide_temperature;
    pc.desc.provider_user = &value;
    start();
    assert_temperature(44, VTS_PC_SOURCE_USER);
    finish();
}

static void number_of_a_provider_without_a_valid_state_is_nan(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    pc.desc.provider = provide_rubbish;
    start();
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_NO_DATA, pc.now.cpu_power, 0);
    assert_metric(VTS_PC_LOAD_AVERAGE, VTS_PC_UNSUPPORTED, pc.now.load_average[1], 0);
    assert_metric(VTS_PC_GPU_TEMPERATURE, VTS_PC_VALID, pc.now.gpu_temperature, 66);
    assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
    finish();
}

// ----------------------------------------------------------------------------------
// Errors become states
// ----------------------------------------------------------------------------------

static const struct {
    int error;
    vts_pc_state state;
} states[] = {
    {ENOENT, VTS_PC_GONE},      {ENODEV, VTS_PC_GONE},     {ENOTDIR, VTS_PC_GONE},
    {EACCES, VTS_PC_DENIED},    {EPERM, VTS_PC_DENIED},    {EAGAIN, VTS_PC_NO_DATA},
    {ENODATA, VTS_PC_NO_DATA},  {EIO, VTS_PC_NO_DATA},     {ETIMEDOUT, VTS_PC_NO_DATA},
    {EINVAL, VTS_PC_NO_DATA},   {ENXIO, VTS_PC_NO_DATA},   {EINTR, VTS_PC_NO_DATA},
    {EBUSY, VTS_PC_NO_DATA},    {EOPNOTSUPP, VTS_PC_UNSUPPORTED},
    {ENOSYS, VTS_PC_UNSUPPORTED}, {EBADMSG, VTS_PC_NO_DATA}, {EOVERFLOW, VTS_PC_NO_DATA},
};

#define STATES (sizeof states / sizeof states[0])

static void every_errno_of_a_sensor_has_its_state(void)
{
    size_t i;

    for (i = 0; i < STATES; i++) {
        build("pack:1 core:1 pu:1");
        fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
        fake_read_error(pc.world, states[i].error, "%s", order[0].path);
        start();
        assert_no_temperature(states[i].state);
        assert_reading(temperature("coretemp.0", "temp1"), states[i].state, 0);
        finish();
    }
}

/* A file of /proc that is not there is not supported; nothing of it comes and goes. */
static void every_errno_of_a_proc_file_has_its_state(void)
{
    size_t i;

    for (i = 0; i < STATES; i++) {
        vts_pc_state state = states[i].state;
        if (state == VTS_PC_GONE) state = VTS_PC_UNSUPPORTED;
        build("pack:1 core:1 pu:1");
        fake_proc(pc.world);
        fake_cpus(pc.world, 1, 100, 900);
        fake_read_error(pc.world, states[i].error, "/proc/stat");
        fake_read_error(pc.world, states[i].error, "/proc/meminfo");
        fake_read_error(pc.world, states[i].error, "/proc/loadavg");
        fake_read_error(pc.world, states[i].error, "/proc/pressure/io");
        start();
        assert_metric(VTS_PC_CPU_UTILIZATION, state, pc.now.cpu_utilization, 0);
        assert_metric(VTS_PC_MEMORY_TOTAL, state, pc.now.memory_total, 0);
        assert_metric(VTS_PC_SWAP_FREE, state, pc.now.swap_free, 0);
        assert_metric(VTS_PC_LOAD_AVERAGE, state, pc.now.load_average[0], 0);
        assert_metric(VTS_PC_PRESSURE, state, pc.now.pressure[0], 0);
        assert_nan_unless_valid();
        finish();
    }
}

static void errno_of_an_open_has_its_state(void)
{
    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_rapl(pc.world, "0", "package-0", 1000000, 262143328850);
    fake_get(pc.world, "/sys/class/powercap/intel-rapl:0/energy_uj")->open_error = EACCES;
    fake_get(pc.world, "%s", order[0].path)->open_error = EMFILE;
    start();
    assert_no_temperature(VTS_PC_NO_DATA);
    assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_DENIED, pc.now.cpu_energy, 0);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_DENIED, pc.now.cpu_power, 0);
    finish();
}

/* A denied file is tried once, not in every pass; a rediscovery tries again. */
static void denied_file_is_left_alone(void)
{
    const char *path = "/sys/class/powercap/intel-rapl:0/energy_uj";

    build("pack:1 core:1 pu:1");
    fake_rapl(pc.world, "0", "package-0", 1000000, 262143328850);
    fake_get(pc.world, "%s", path)->open_error = EACCES;
    start();
    passes(5);
    assert_int_equal(fake_opens(pc.world, "%s", path), 1);
    fake_get(pc.world, "%s", path)->open_error = 0;
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    tick();
    assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_VALID, pc.now.cpu_energy, 1);
    finish();
}

static void transient_error_is_read_again_by_the_next_pass(void)
{
    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    start();
    fake_read_error(pc.world, EAGAIN, "%s", order[0].path);
    pass();
    assert_no_temperature(VTS_PC_NO_DATA);
    fake_read_error(pc.world, 0, "%s", order[0].path);
    pass();
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    assert_int_equal(fake_opens(pc.world, "%s", order[0].path), 1);
    finish();
}

// ----------------------------------------------------------------------------------
// Malformed content
// ----------------------------------------------------------------------------------

static char long_text[200000];

/* Content that no file may hold. */
static const char *const rubbish[] = {
    "",       "\n",        "abc\n",   "-",         "- 5\n",    "0x10\n",
    "1e5\n",  "50000x\n",  "5 0\n",   "\xff\xfe\x80\n", "99999999999999999999999999\n",
    "--5\n",  "+5\n",      "nan\n",   "50000,0\n", "\t\n \n",  "cpu\ncpu0\n",
    long_text};

#define RUBBISH (sizeof rubbish / sizeof rubbish[0])

static void make_long_text(void)
{
    memset(long_text, '7', sizeof long_text - 1);
}

static void malformed_sensor_files_are_malformed(void)
{
    size_t i;

    make_long_text();
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    for (i = 0; i < RUBBISH; i++) {
        fake_file(pc.world, rubbish[i], "/sys/class/hwmon/hwmon0/temp1_input");
        fake_file(pc.world, rubbish[i], "/sys/class/powercap/intel-rapl:0/energy_uj");
        fake_file(pc.world, rubbish[i],
                  "/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq");
        fake_file(pc.world, rubbish[i],
                  "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count");
        fake_file(pc.world, rubbish[i], "/sys/devices/system/node/node0/meminfo");
        pass();
        assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0,
                      VTS_PC_MALFORMED, 0);
        assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_ENERGY, 0, VTS_PC_MALFORMED, 0);
        assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_FREQUENCY, 0, VTS_PC_MALFORMED, 0);
        assert_object(VTS_PC_OBJECT_CORE, VTS_PC_KIND_THROTTLE_COUNT, 0, VTS_PC_MALFORMED,
                      0);
        assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_USED, 0,
                      VTS_PC_MALFORMED, 0);
        assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_MALFORMED, pc.now.cpu_energy, 0);
        assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
    }
    finish();
}

static void malformed_proc_files_are_malformed(void)
{
    size_t i;

    make_long_text();
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    for (i = 0; i < RUBBISH; i++) {
        fake_file(pc.world, rubbish[i], "/proc/stat");
        fake_file(pc.world, rubbish[i], "/proc/meminfo");
        fake_file(pc.world, rubbish[i], "/proc/loadavg");
        fake_file(pc.world, rubbish[i], "/proc/pressure/memory");
        pass();
        assert_metric(VTS_PC_CPU_UTILIZATION, VTS_PC_MALFORMED, pc.now.cpu_utilization, 0);
        assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_MALFORMED, pc.now.memory_total, 0);
        assert_metric(VTS_PC_SWAP_TOTAL, VTS_PC_MALFORMED, pc.now.swap_total, 0);
        assert_metric(VTS_PC_LOAD_AVERAGE, VTS_PC_MALFORMED, pc.now.load_average[0], 0);
        assert_metric(VTS_PC_PRESSURE, VTS_PC_MALFORMED, pc.now.pressure[1], 0);
        assert_nan_unless_valid();
    }
    finish();
}

/* At discovery too: names, labels, limits, ids, lists of CPUs, runtime_status. */
static void malformed_descriptions_do_no_harm(void)
{
    size_t i;

    make_long_text();
    for (i = 0; i < RUBBISH; i++) {
        build(FAKE_TWO_PACKAGES);
        fake_two_packages(pc.world);
        fake_k10temp(pc.world, 5, 0, rubbish[i]);
        fake_input(pc.world, 5, 1, rubbish[i], 40000);
        fake_zone(pc.world, 0, rubbish[i], 40000);
        fake_rapl(pc.world, "7", rubbish[i], 1, 1);
        fake_file(pc.world, rubbish[i], "/sys/class/hwmon/hwmon0/name");
        fake_file(pc.world, rubbish[i], "/sys/class/hwmon/hwmon0/temp1_crit");
        fake_file(pc.world, rubbish[i], "/sys/class/hwmon/hwmon1/temp2_label");
        fake_file(pc.world, rubbish[i],
                  "/sys/devices/platform/coretemp.1/power/runtime_status");
        fake_file(pc.world, rubbish[i], "/sys/devices/system/cpu/online");
        fake_file(pc.world, rubbish[i],
                  "/sys/class/powercap/intel-rapl:0/max_energy_range_uj");
        start();
        assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
        pass();
        assert_nan_unless_valid();
        finish();
    }
}

static void files_without_a_final_newline_are_read(void)
{
    build("pack:1 [numa] core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 0);
    fake_file(pc.world, "50000", "%s", order[0].path);
    fake_file(pc.world, "MemTotal: 10 kB", "/proc/meminfo");
    fake_file(pc.world, "cpu 1 2 3 4\ncpu0 1 2 3 4", "/proc/stat");
    fake_file(pc.world, "Node 0 MemTotal: 8 kB\nNode 0 MemFree: 3 kB\nNode 0 MemUsed: 5 kB",
              "/sys/devices/system/node/node0/meminfo");
    start();
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_VALID, pc.now.memory_total, 10240);
    assert_metric(VTS_PC_MEMORY_FREE, VTS_PC_UNSUPPORTED, pc.now.memory_free, 0);
    assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_IDLE_TIME, 0, VTS_PC_VALID, 0.04);
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_USED, 0, VTS_PC_VALID, 5120);
    finish();
}

static void one_broken_line_of_stat_is_that_cpu_s(void)
{
    build("pack:1 core:2 pu:1");
    fake_cpus(pc.world, 2, 100, 900);
    start();
    fake_file(pc.world, "cpu  0 0 0 0\ncpu0 1 2 x 4\ncpu1 150 0 0 950 0 0 0 0\n",
              "/proc/stat");
    pass();
    assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_UTILIZATION, 0, VTS_PC_MALFORMED, 0);
    assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_UTILIZATION, 1, VTS_PC_VALID, 0.5);
    finish();
}

static void meminfo_values_out_of_range_are_malformed(void)
{
    static const char *const bad[] = {
        "MemTotal: 18014398509481984 kB\n", "MemTotal: 99999999999999999999 kB\n",
        "MemTotal: -1 kB\n", "MemTotal: 5 MB\n", "MemTotal: 5\n", "MemTotal:\n"};
    size_t i;

    build("pack:1 core:1 pu:1");
    fake_proc(pc.world);
    start();
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fake_file(pc.world, bad[i], "/proc/meminfo");
        pass();
        assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_MALFORMED, pc.now.memory_total, 0);
    }
    finish();
}

static void more_free_memory_than_there_is_is_implausible(void)
{
    build("pack:1 core:1 pu:1");
    fake_proc(pc.world);
    fake_file(pc.world, "MemTotal: 4 kB\nMemFree: 5 kB\nMemAvailable: 4 kB\n"
                        "SwapTotal: 0 kB\nSwapFree: 1 kB\n", "/proc/meminfo");
    start();
    assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_VALID, pc.now.memory_total, 4096);
    assert_metric(VTS_PC_MEMORY_FREE, VTS_PC_IMPLAUSIBLE, pc.now.memory_free, 0);
    assert_metric(VTS_PC_MEMORY_AVAILABLE, VTS_PC_VALID, pc.now.memory_available, 4096);
    assert_metric(VTS_PC_SWAP_TOTAL, VTS_PC_VALID, pc.now.swap_total, 0);
    assert_metric(VTS_PC_SWAP_FREE, VTS_PC_IMPLAUSIBLE, pc.now.swap_free, 0);
    finish();
}

/* An io table that returns what no read can: an error like any other, and a cast of it
   would be 0 or positive. */
static int64_t lie;

static int64_t lying_pread(void *user, int descriptor, void *buffer, size_t size,
                           uint64_t offset)
{
    if (lie != 0) return lie;
    return fake_io_pread(user, descriptor, buffer, size, offset);
}

static void pread_results_out_of_range_are_errors(void)
{
    static const int64_t lies[] = {INT64_MIN, -(INT64_C(1) << 32), -(INT64_C(1) << 32) + 7,
                                   -4096, INT64_C(1) << 32, INT64_MAX};
    size_t i;

    for (i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        lie = lies[i];
        build(FAKE_TWO_PACKAGES);
        fake_two_packages(pc.world);
        pc.world->io.pread = lying_pread;
        start();
        assert_code(info().discovery_error, -EIO);
        assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_NO_DATA, pc.now.memory_total, 0);
        assert_nan_unless_valid();
        lie = 0;
        fake_advance(pc.world, 100 * FAKE_S);
        pass();
        assert_code(info().discovery_error, 0);
        assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
        finish();
    }
}

static void pressure_above_100_percent_is_malformed(void)
{
    build("pack:1 core:1 pu:1");
    fake_proc(pc.world);
    fake_file(pc.world, "some avg10=100.01 avg60=0.00 avg300=0.00 total=0\n",
              "/proc/pressure/cpu");
    start();
    assert_metric(VTS_PC_PRESSURE, VTS_PC_MALFORMED, pc.now.pressure[0], 0);
    finish();
}

/* A read is one snapshot: the buffer grows until the whole file fits. */
static void stat_of_a_thousand_cpus_is_read_whole(void)
{
    build("pack:8 core:128 pu:1");
    fake_cpus(pc.world, 1024, 100, 900);
    start();
    fake_cpus(pc.world, 1024, 150, 950);
    pass();
    assert_metric(VTS_PC_CPU_UTILIZATION, VTS_PC_VALID, pc.now.cpu_utilization, 0.5);
    assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_BUSY_TIME, 63, VTS_PC_VALID, 1.5);
    assert_in_range(find(VTS_PC_KIND_BUSY_TIME, "cpu1023", "stat"), 3000, 3100);
    finish();
}

// ----------------------------------------------------------------------------------
// Rates
// ----------------------------------------------------------------------------------

#define RAPL "/sys/class/powercap/intel-rapl:0/energy_uj"

static void build_rapl(uint64_t energy, uint64_t range)
{
    build("pack:1 core:1 pu:1");
    fake_rapl(pc.world, "0", "package-0", energy, range);
    start();
}

/* So many seconds later the counter says that much. */
static void rapl_after(uint64_t ns, uint64_t energy)
{
    fake_number(pc.world, (int64_t)energy, RAPL);
    fake_advance(pc.world, ns);
    assert_code(vts_pcmon_refresh(pc.monitor), VTS_OK);
    tick();
}

static void assert_rapl(double energy, vts_pc_state state, double power)
{
    assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_VALID, pc.now.cpu_energy, energy);
    assert_metric(VTS_PC_CPU_POWER, state, pc.now.cpu_power, power);
}

static void power_is_energy_over_time(void)
{
    build_rapl(1000000, 262143328850);
    assert_rapl(1, VTS_PC_NOT_YET, 0);
    rapl_after(2 * FAKE_S, 21000000);
    assert_rapl(21, VTS_PC_VALID, 10);
    rapl_after(FAKE_S, 21000000);
    assert_rapl(21, VTS_PC_VALID, 0);
    finish();
}

static void energy_goes_on_past_its_wraps(void)
{
    build_rapl(262143000000, 262143328850);
    rapl_after(FAKE_S, 671150);
    assert_rapl(262143 + 1, VTS_PC_VALID, 1);
    rapl_after(100 * FAKE_S, 100000671150);
    assert_rapl(362144, VTS_PC_VALID, 1000);
    finish();
}

/* At 1 kW the range lasts 262 s: past half of that a wrap may have been missed. */
static void too_long_a_gap_is_no_rate(void)
{
    build_rapl(1000000, 262143328850);
    rapl_after(131071664425, 2000000);
    assert_state(pc.now.state[VTS_PC_CPU_POWER], VTS_PC_VALID, "half of the range");
    rapl_after(131071664426, 3000000);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_NOT_YET, pc.now.cpu_power, 0);
    rapl_after(FAKE_S, 8000000);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_VALID, pc.now.cpu_power, 5);
    finish();
}

static void more_than_10_kw_is_implausible_and_no_energy(void)
{
    build_rapl(1000000, 262143328850);
    rapl_after(FAKE_S, 10001000000);
    assert_rapl(10001, VTS_PC_VALID, 10000);
    rapl_after(FAKE_S, 30000000000);
    assert_rapl(10001, VTS_PC_IMPLAUSIBLE, 0);
    rapl_after(FAKE_S, 30005000000);
    assert_rapl(10006, VTS_PC_VALID, 5);
    finish();
}

/* A counter that starts anew looks like a wrap, of more than 10 kW. */
static void counter_without_a_range_that_goes_back_is_rebased(void)
{
    build("pack:1 core:1 pu:1");
    fake_rapl(pc.world, "0", "package-0", 9000000, 1);
    fake_remove(pc.world,
                "/sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/max_energy_range_uj");
    start();
    rapl_after(FAKE_S, 4000000);
    assert_rapl(9, VTS_PC_NOT_YET, 0);
    rapl_after(FAKE_S, 6000000);
    assert_rapl(11, VTS_PC_VALID, 2);
    finish();
}

static void counter_beyond_its_range_is_rebased(void)
{
    build_rapl(9000000, 5000000);
    rapl_after(FAKE_MS, 1000000);
    assert_rapl(9, VTS_PC_NOT_YET, 0);
    finish();
}

static void two_reads_at_the_same_time_give_no_power(void)
{
    build_rapl(1000000, 262143328850);
    rapl_after(0, 2000000);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_NOT_YET, pc.now.cpu_power, 0);
    finish();
}

/* The step over a read that failed is not lost: the counter has counted. */
static void energy_survives_a_failed_read(void)
{
    build_rapl(1000000, 262143328850);
    fake_read_error(pc.world, EAGAIN, RAPL);
    rapl_after(FAKE_S, 3000000);
    assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_NO_DATA, pc.now.cpu_energy, 0);
    fake_read_error(pc.world, 0, RAPL);
    rapl_after(FAKE_S, 5000000);
    assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_VALID, pc.now.cpu_energy, 5);
    finish();
}

static void power_with_a_package_missing_is_no_sum(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    pass();
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_VALID, pc.now.cpu_power, 0);
    fake_read_error(pc.world, EACCES, "/sys/class/powercap/intel-rapl:1/energy_uj");
    pass();
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_DENIED, pc.now.cpu_power, 0);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_POWER, 0, VTS_PC_VALID, 0);
    finish();
}

/* ---- utilization ---- */

static void build_cpus(int cpus)
{
    build("pack:1 core:4 pu:1");
    fake_cpus(pc.world, cpus, 1000, 9000);
    start();
}

static void cpu_after_a_second(const fake_cpu *cpus, size_t count)
{
    fake_stat(pc.world, cpus, count);
    pass();
}

static void assert_utilization(vts_pc_state state, double expected)
{
    assert_metric(VTS_PC_CPU_UTILIZATION, state, pc.now.cpu_utilization, expected);
}

static void assert_pu(uint32_t pu, vts_pc_state state, double expected)
{
    assert_object(VTS_PC_OBJECT_PU, VTS_PC_KIND_UTILIZATION, pu, state, expected);
}

static void iowait_is_idle_and_guest_inside_user(void)
{
    const fake_cpu later[] = {{0, 1010, 5, 5, 9010, 30, 5, 5, 10, 8, 5}};

    build_cpus(1);
    assert_utilization(VTS_PC_NOT_YET, 0);
    cpu_after_a_second(later, 1);
    assert_utilization(VTS_PC_VALID, 0.5);
    assert_pu(0, VTS_PC_VALID, 0.5);
    finish();
}

static void counters_that_go_back_count_as_no_step(void)
{
    const fake_cpu later[] = {{0, 1030, 0, 0, 8990, 10, 0, 0, 0, 0, 0}};

    build_cpus(1);
    cpu_after_a_second(later, 1);
    assert_utilization(VTS_PC_VALID, 0.75);
    finish();
}

static void cpu_that_comes_back_with_lower_counts_starts_anew(void)
{
    const fake_cpu both[] = {{0, 1050, 0, 0, 9050, 0, 0, 0, 0, 0, 0},
                             {1, 5, 0, 0, 5, 0, 0, 0, 0, 0, 0}};
    const fake_cpu later[] = {{0, 1050, 0, 0, 9150, 0, 0, 0, 0, 0, 0},
                              {1, 105, 0, 0, 5, 0, 0, 0, 0, 0, 0}};

    build("pack:1 core:4 pu:1");
    fake_cpus(pc.world, 2, 900, 8900);
    start();
    fake_cpus(pc.world, 2, 1000, 9000);
    pass();
    assert_pu(1, VTS_PC_VALID, 0.5);
    cpu_after_a_second(both, 2);
    assert_pu(0, VTS_PC_VALID, 0.5);
    assert_pu(1, VTS_PC_NOT_YET, 0);
    assert_utilization(VTS_PC_VALID, 0.5);
    cpu_after_a_second(later, 2);
    assert_pu(1, VTS_PC_VALID, 1);
    assert_utilization(VTS_PC_VALID, 0.5);
    finish();
}

static void cpu_without_its_line_is_gone_and_back(void)
{
    build_cpus(2);
    fake_cpus(pc.world, 1, 1050, 9050);
    fake_file(pc.world, "0-1\n", "/sys/devices/system/cpu/online");
    pass();
    assert_pu(1, VTS_PC_GONE, 0);
    fake_cpus(pc.world, 2, 1100, 9100);
    pass();
    assert_pu(1, VTS_PC_NOT_YET, 0);
    fake_cpus(pc.world, 2, 1200, 9100);
    pass();
    assert_pu(1, VTS_PC_VALID, 1);
    finish();
}

/* Two passes within one tick of the kernel's counters keep the utilization there was. */
static void pass_within_a_clock_tick_keeps_the_utilization(void)
{
    build_cpus(2);
    fake_cpus(pc.world, 2, 1025, 9075);
    pass();
    assert_utilization(VTS_PC_VALID, 0.25);
    pass();
    assert_utilization(VTS_PC_VALID, 0.25);
    assert_pu(0, VTS_PC_VALID, 0.25);
    finish();
}

static void sum_line_alone_is_enough(void)
{
    build("pack:1 core:1 pu:1");
    fake_file(pc.world, "cpu  10 0 0 90\n", "/proc/stat");
    start();
    fake_file(pc.world, "cpu  40 0 0 160\n", "/proc/stat");
    pass();
    assert_utilization(VTS_PC_VALID, 0.3);
    finish();
}

/* ---- suspend ---- */

static void suspend_starts_rates_anew(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    fake_cpus(pc.world, 4, 200, 1000);
    pass();
    assert_utilization(VTS_PC_VALID, 0.5);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_VALID, pc.now.cpu_power, 0);
    fake_suspend(pc.world, 3600 * FAKE_S);
    fake_cpus(pc.world, 4, 300, 1100);
    fake_number(pc.world, 100, RAPL);
    pass();
    assert_utilization(VTS_PC_NOT_YET, 0);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_NOT_YET, pc.now.cpu_power, 0);
    assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_VALID, pc.now.cpu_energy, 3);
    assert_int_equal(info().suspends, 1);
    assert_int_equal(info().discoveries, 2);
    fake_cpus(pc.world, 4, 400, 1100);
    fake_number(pc.world, 5000100, RAPL);
    pass();
    assert_utilization(VTS_PC_VALID, 1);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_VALID, pc.now.cpu_power, 5);
    assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_VALID, pc.now.cpu_energy, 8);
    assert_int_equal(info().suspends, 1);
    finish();
}

/* The two clocks are not read at the same moment. */
static void small_difference_of_the_clocks_is_no_suspend(void)
{
    build_rapl(1000000, 262143328850);
    fake_suspend(pc.world, 99 * FAKE_MS);
    rapl_after(FAKE_S, 2000000);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_VALID, pc.now.cpu_power, 1);
    assert_int_equal(info().suspends, 0);
    fake_suspend(pc.world, 100 * FAKE_MS);
    rapl_after(FAKE_S, 3000000);
    assert_int_equal(info().suspends, 1);
    finish();
}

static void sample_is_stale_after_a_suspend_only_by_the_monotonic_clock(void)
{
    uint64_t next;

    build_rapl(1, 1000);
    fake_suspend(pc.world, 10 * FAKE_S);
    assert_int_equal(vts_pcmon_tick(pc.monitor, &next), 1);
    assert_true(next <= FAKE_S);
    finish();
}

/* Devices answer ENXIO for seconds after a resume: 10 s of it are no loss. */
static void enxio_is_tolerated_for_10_s(void)
{
    unsigned i;

    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    start();
    fake_read_error(pc.world, ENXIO, "%s", order[0].path);
    for (i = 0; i < 10; i++) {
        fake_advance(pc.world, FAKE_S);
        tick();
        assert_no_temperature(VTS_PC_NO_DATA);
    }
    fake_advance(pc.world, FAKE_S);
    tick();
    assert_no_temperature(VTS_PC_NO_DATA);
    fake_advance(pc.world, FAKE_S);
    tick();
    assert_no_temperature(VTS_PC_GONE);
    finish();
}

static void enxio_that_ends_in_time_starts_the_10_s_anew(void)
{
    unsigned i;

    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    start();
    for (i = 0; i < 4; i++) {
        fake_read_error(pc.world, ENXIO, "%s", order[0].path);
        passes(9);
        assert_no_temperature(VTS_PC_NO_DATA);
        fake_read_error(pc.world, 0, "%s", order[0].path);
        pass();
        assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    }
    finish();
}

// ----------------------------------------------------------------------------------
// Gone and back
// ----------------------------------------------------------------------------------

#define CHIP "/sys/devices/platform/coretemp.0/hwmon/hwmon0"

static void build_coretemp(void)
{
    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    start();
}

static void unplug_coretemp(void)
{
    fake_remove(pc.world, "/sys/class/hwmon/hwmon0");
    fake_remove(pc.world, CHIP);
}

/* Its descriptor says ENODEV for ever, even when a device of that name is back. */
static void unplugged_sensor_is_gone_and_keeps_its_index(void)
{
    uint32_t index, sensors;

    build_coretemp();
    index = temperature("coretemp.0", "temp1");
    sensors = info().sensors;
    unplug_coretemp();
    pass();
    assert_reading(index, VTS_PC_GONE, 0);
    assert_no_temperature(VTS_PC_GONE);
    fake_coretemp(pc.world, 3, 0, "Package id 0", 61000);
    passes(2);
    assert_temperature(61, VTS_PC_SOURCE_CORETEMP);
    assert_int_equal(temperature("coretemp.0", "temp1"), index);
    assert_int_equal(info().sensors, sensors);
    assert_non_null(strstr(about(index).path, "hwmon3"));
    finish();
}

static void new_device_is_appended_by_a_rediscovery(void)
{
    uint32_t index;

    build_coretemp();
    index = temperature("coretemp.0", "temp1");
    fake_zone(pc.world, 0, "acpitz", 30000);
    pass();
    assert_int_equal(find(VTS_PC_KIND_TEMPERATURE, "thermal_zone0", "acpitz"),
                     VTS_PC_NO_INDEX);
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    tick();
    assert_int_equal(temperature("coretemp.0", "temp1"), index);
    assert_int_equal(temperature("thermal_zone0", "acpitz"), info().sensors - 1);
    finish();
}

/* Discoveries in so many seconds, one pass each. */
static uint32_t discoveries_in(unsigned seconds)
{
    uint32_t before = info().discoveries;
    passes(seconds);
    return info().discoveries - before;
}

static void lost_sensor_is_looked_for_after_1_2_4_to_64_s(void)
{
    build_coretemp();
    unplug_coretemp();
    pass();
    assert_int_equal(discoveries_in(1), 1);
    assert_int_equal(discoveries_in(1), 0);
    assert_int_equal(discoveries_in(1), 1);
    assert_int_equal(discoveries_in(3), 0);
    assert_int_equal(discoveries_in(1), 1);
    assert_int_equal(discoveries_in(8 + 16 + 32 + 64), 4);
    assert_int_equal(discoveries_in(63), 0);
    assert_int_equal(discoveries_in(1), 1);
    assert_int_equal(discoveries_in(640), 10);
    finish();
}

/* Some drivers show a file that always says ENODEV: found each time, gone each time. */
static void sensor_that_is_there_but_never_answers_is_backed_off_too(void)
{
    build_coretemp();
    fake_read_error(pc.world, ENODEV, "%s", order[0].path);
    pass();
    assert_in_range(discoveries_in(300), 5, 20);
    assert_no_temperature(VTS_PC_GONE);
    finish();
}

static void back_off_starts_anew_after_a_recovery(void)
{
    build_coretemp();
    unplug_coretemp();
    passes(20);
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    passes(20);
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    assert_int_equal(discoveries_in(100), 0);
    unplug_coretemp();
    pass();
    assert_int_equal(discoveries_in(1), 1);
    finish();
}

/* A directory that cannot be listed for once does not make its sensors gone. */
static void incomplete_discovery_loses_nothing(void)
{
    build_coretemp();
    fake_fail(pc.world, FAKE_LIST, 1, EIO);
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    tick();
    assert_int_not_equal(info().discovery_error, 0);
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    passes(2);
    assert_int_equal(info().discovery_error, 0);
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    finish();
}

/* After a hotplug another core may have the input: that is another sensor. */
static void relabelled_input_is_another_sensor(void)
{
    uint32_t before;

    build("pack:1 core:4 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_core(pc.world, 0, 1, 51000);
    pc.desc.per_core_temperature = true;
    start();
    before = temperature("coretemp.0", "Core 1");
    fake_file(pc.world, "Core 3\n", "/sys/class/hwmon/hwmon0/temp3_label");
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    tick();
    assert_reading(before, VTS_PC_GONE, 0);
    assert_string_equal(about(before).label, "Core 1");
    assert_int_not_equal(temperature("coretemp.0", "Core 3"), before);
    assert_object(VTS_PC_OBJECT_CORE, VTS_PC_KIND_TEMPERATURE, 3, VTS_PC_VALID, 51);
    finish();
}

static void renumbered_hwmon_is_the_same_sensor(void)
{
    uint32_t index;

    build_coretemp();
    index = temperature("coretemp.0", "temp1");
    unplug_coretemp();
    fake_coretemp(pc.world, 9, 0, "Package id 0", 52000);
    fake_suspend(pc.world, 60 * FAKE_S);
    pass();
    assert_reading(index, VTS_PC_VALID, 52);
    assert_int_equal(info().discoveries, 2);
    finish();
}

// ----------------------------------------------------------------------------------
// Slow, asleep, seldom
// ----------------------------------------------------------------------------------

/* Reads of the package sensor in so many passes. */
static unsigned reads_in(unsigned count)
{
    unsigned before = fake_reads(pc.world, "%s", order[0].path);
    passes(count);
    return fake_reads(pc.world, "%s", order[0].path) - before;
}

static void slow_sensor_is_read_every_2_to_64_passes(void)
{
    unsigned level;

    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_delay(pc.world, 21 * FAKE_MS, "%s", order[0].path);
    start();
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    for (level = 1; level <= 6; level++) {
        unsigned period = 1u << level;
        assert_int_equal(reads_in(period - 1), 0);
        assert_no_temperature(VTS_PC_SLOW);
        assert_int_equal(reads_in(1), 1);
        assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    }
    assert_int_equal(reads_in(3 * 64), 3);
    finish();
}

static void sensor_that_is_fast_again_is_released(void)
{
    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_delay(pc.world, 30 * FAKE_MS, "%s", order[0].path);
    start();
    fake_delay(pc.world, 0, "%s", order[0].path);
    assert_int_equal(reads_in(2), 1);
    assert_int_equal(reads_in(10), 10);
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    finish();
}

static void slow_read_limit_is_the_desc_s(void)
{
    build("pack:1 core:1 pu:1");
    pc.desc.slow_read_ns = 50 * FAKE_MS;
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_delay(pc.world, 50 * FAKE_MS, "%s", order[0].path);
    start();
    assert_int_equal(reads_in(10), 10);
    fake_delay(pc.world, 150 * FAKE_MS, "%s", order[0].path);
    assert_int_equal(reads_in(3), 2);
    finish();
}

static void pass_cost_counts_the_slow_read(void)
{
    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_delay(pc.world, 6 * FAKE_MS, "%s", order[0].path);
    start();
    assert_int_equal(pc.now.pass_cost_ns, 6 * FAKE_MS);
    assert_true(pc.now.sampled_at_ns == 5000 * FAKE_S + 3 * FAKE_MS);
    assert_true(info().cost_total_ns == 6 * FAKE_MS);
    finish();
}

#define GPU "/sys/devices/pci0000:00/0000:03:00.0"
#define GPU_INPUT "/sys/class/hwmon/hwmon4/temp1_input"

static void build_gpu(const char *status)
{
    build("pack:1 core:1 pu:1");
    fake_hwmon(pc.world, 4, "amdgpu", GPU);
    fake_input(pc.world, 4, 1, "edge", 45000);
    fake_limits(pc.world, 4, 1, 90000, 100000);
    fake_file(pc.world, status, GPU "/power/runtime_status");
    pc.desc.metrics = VTS_PC_METRICS_ALL;
}

static void assert_gpu(vts_pc_state state, double value)
{
    assert_metric(VTS_PC_GPU_TEMPERATURE, state, pc.now.gpu_temperature, value);
}

static void suspended_device_is_asleep_and_not_opened(void)
{
    build_gpu("suspended\n");
    start();
    passes(3);
    assert_gpu(VTS_PC_ASLEEP, 0);
    assert_int_equal(fake_opens(pc.world, GPU_INPUT), 0);
    assert_int_equal(fake_opens(pc.world, "/sys/class/hwmon/hwmon4/temp1_crit"), 0);
    fake_file(pc.world, "active\n", GPU "/power/runtime_status");
    pass();
    assert_gpu(VTS_PC_VALID, 45);
    fake_file(pc.world, "suspending\n", GPU "/power/runtime_status");
    pass();
    assert_gpu(VTS_PC_ASLEEP, 0);
    finish();
}

static void wake_devices_reads_a_suspended_one(void)
{
    build_gpu("suspended\n");
    pc.desc.wake_devices = true;
    start();
    assert_gpu(VTS_PC_VALID, 45);
    assert_int_equal(fake_opens(pc.world, GPU "/power/runtime_status"), 0);
    finish();
}

/* Whether it sleeps is asked before every read, also after that failed once. */
static void runtime_status_that_fails_once_is_asked_again(void)
{
    unsigned reads;

    build_gpu("active\n");
    start();
    assert_gpu(VTS_PC_VALID, 45);
    fake_read_error(pc.world, EAGAIN, GPU "/power/runtime_status");
    pass();
    fake_read_error(pc.world, 0, GPU "/power/runtime_status");
    fake_file(pc.world, "suspended\n", GPU "/power/runtime_status");
    reads = fake_reads(pc.world, GPU_INPUT);
    passes(3);
    assert_gpu(VTS_PC_ASLEEP, 0);
    assert_int_equal(fake_reads(pc.world, GPU_INPUT), reads);
    finish();
}

static void gpu_and_storage_are_left_alone_unless_asked_for(void)
{
    build_gpu("active\n");
    pc.desc.metrics = 0;
    fake_hwmon(pc.world, 5, "nvme", "/sys/devices/pci0000:00/0000:04:00.0/nvme/nvme0");
    fake_input(pc.world, 5, 1, "Composite", 35000);
    fake_limits(pc.world, 5, 1, 80000, 85000);
    start();
    pass();
    assert_int_equal(fake_opens(pc.world, GPU_INPUT), 0);
    assert_int_equal(fake_opens(pc.world, "/sys/class/hwmon/hwmon5/temp1_input"), 0);
    assert_int_equal(fake_opens(pc.world, "/sys/class/hwmon/hwmon5/temp1_max"), 0);
    assert_reading(temperature("nvme0", "Composite"), VTS_PC_DISABLED, 0);
    finish();
}

/* A disk's temperature is a command to the disk: the composite only, every 10 s. */
static void storage_is_read_every_10_s(void)
{
    build("pack:1 core:1 pu:1");
    pc.desc.metrics = VTS_PC_METRICS_ALL;
    fake_hwmon(pc.world, 5, "nvme", "/sys/devices/pci0000:00/0000:04:00.0/nvme/nvme0");
    fake_input(pc.world, 5, 1, "Composite", 35000);
    fake_input(pc.world, 5, 2, "Sensor 1", 60000);
    start();
    passes(30);
    assert_metric(VTS_PC_STORAGE_TEMPERATURE, VTS_PC_VALID, pc.now.storage_temperature, 35);
    assert_int_equal(fake_reads(pc.world, "/sys/class/hwmon/hwmon5/temp1_input"), 4);
    assert_int_equal(fake_reads(pc.world, "/sys/class/hwmon/hwmon5/temp2_input"), 0);
    finish();
}

static void second_pass_opens_nothing(void)
{
    size_t opens, lists, closes;

    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    pc.desc.every_temperature = true;
    start();
    opens = fake_calls(pc.world, FAKE_OPEN);
    lists = fake_calls(pc.world, FAKE_LIST);
    closes = fake_calls(pc.world, FAKE_CLOSE);
    passes(20);
    assert_int_equal(fake_calls(pc.world, FAKE_OPEN), opens);
    assert_int_equal(fake_calls(pc.world, FAKE_LIST), lists);
    assert_int_equal(fake_calls(pc.world, FAKE_CLOSE), closes);
    finish();
}

static void pass_reads_each_file_once(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    passes(9);
    assert_int_equal(fake_reads(pc.world, "/proc/loadavg"), 10);
    assert_int_equal(fake_reads(pc.world, "/proc/meminfo"), 10);
    assert_int_equal(fake_reads(pc.world, "/sys/devices/system/node/node1/meminfo"), 10);
    assert_int_equal(fake_reads(pc.world, "%s", order[0].path), 10);
    assert_int_equal(fake_reads(pc.world, RAPL), 10);
    finish();
}

static void passes_allocate_nothing(void)
{
    size_t calls;

    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    calls = test_memory.calls;
    passes(20);
    assert_int_equal(test_memory.calls, calls);
    finish();
}

// ----------------------------------------------------------------------------------
// Time
// ----------------------------------------------------------------------------------

static void assert_due(bool due)
{
    assert_int_equal(vts_pcmon_tick(pc.monitor, NULL), due ? 1 : 0);
}

static void sample_is_fresh_up_to_and_at_its_age(void)
{
    vts_pc_statistics s;

    build("pack:1 core:1 pu:1");
    create();
    memset(&s, 0x5a, sizeof s);
    assert_code(vts_pcmon_try_get(pc.monitor, &s), -EAGAIN);
    assert_code(vts_pcmon_get_latest(pc.monitor, &s), -EAGAIN);
    tick();
    assert_code(vts_pcmon_try_get(pc.monitor, &s), VTS_OK);
    fake_advance(pc.world, FAKE_S);
    assert_code(vts_pcmon_try_get(pc.monitor, &s), VTS_OK);
    assert_int_equal(s.sequence, 1);
    fake_advance(pc.world, 1);
    assert_code(vts_pcmon_try_get(pc.monitor, &s), -EAGAIN);
    assert_code(vts_pcmon_get_latest(pc.monitor, &s), VTS_OK);
    finish();
}

/* The age counts from before the first read, not from the end of a slow pass. */
static void sample_is_as_old_as_its_first_read(void)
{
    vts_pc_statistics s;

    build("pack:1 core:1 pu:1");
    fake_proc(pc.world);
    pc.desc.freshness_ns = 100 * FAKE_MS;
    fake_delay(pc.world, 101 * FAKE_MS, "/proc/loadavg");
    start();
    assert_code(vts_pcmon_try_get(pc.monitor, &s), -EAGAIN);
    finish();
}

static void fine_freshness_uses_the_precise_clock(void)
{
    vts_pc_statistics s;
    uint64_t coarse, monotonic;

    build("pack:1 core:1 pu:1");
    pc.desc.freshness_ns = 10 * FAKE_MS - 1;
    start();
    coarse = pc.world->now_calls[VTS_PC_CLOCK_COARSE];
    monotonic = pc.world->now_calls[VTS_PC_CLOCK_MONOTONIC];
    assert_code(vts_pcmon_try_get(pc.monitor, &s), VTS_OK);
    assert_true(pc.world->now_calls[VTS_PC_CLOCK_COARSE] == coarse);
    assert_true(pc.world->now_calls[VTS_PC_CLOCK_MONOTONIC] == monotonic + 1);
    finish();
    build("pack:1 core:1 pu:1");
    pc.desc.freshness_ns = 10 * FAKE_MS;
    start();
    monotonic = pc.world->now_calls[VTS_PC_CLOCK_MONOTONIC];
    assert_code(vts_pcmon_try_get(pc.monitor, &s), VTS_OK);
    assert_true(pc.world->now_calls[VTS_PC_CLOCK_MONOTONIC] == monotonic);
    finish();
}

/* The coarse clock may lag behind the moment the sample was taken. */
static void clock_behind_the_sample_is_fresh(void)
{
    vts_pc_statistics s;

    build("pack:1 core:1 pu:1");
    start();
    pc.world->coarse_ns -= 10 * FAKE_S;
    assert_code(vts_pcmon_try_get(pc.monitor, &s), VTS_OK);
    finish();
}

/* Passes come at start + n * interval, however late each of them is. */
static void deadlines_do_not_drift_over_600_intervals(void)
{
    uint64_t begin, next;
    unsigned n;

    build("pack:1 core:1 pu:1");
    pc.desc.interval_ns = 10 * FAKE_MS;
    fake_proc(pc.world);
    fake_delay(pc.world, 40000, "/proc/loadavg");
    begin = pc.world->boottime_ns;
    create();
    assert_int_equal(vts_pcmon_tick(pc.monitor, &next), 1);
    for (n = 1; n <= 600; n++) {
        fake_advance(pc.world, next);
        assert_true((pc.world->boottime_ns - begin) == n * 10 * FAKE_MS);
        fake_advance(pc.world, test_random() % (9 * FAKE_MS));
        assert_int_equal(vts_pcmon_tick(pc.monitor, &next), 1);
    }
    assert_true(info().passes == 601);
    assert_true(info().deadlines_missed == 0);
    finish();
}

static void tick_before_the_deadline_does_nothing(void)
{
    uint64_t next;

    build("pack:1 core:1 pu:1");
    start();
    fake_advance(pc.world, FAKE_S - 1);
    assert_int_equal(vts_pcmon_tick(pc.monitor, &next), 0);
    assert_true(next == 1);
    fake_advance(pc.world, 1);
    assert_due(true);
    assert_due(false);
    finish();
}

static void missed_deadlines_are_skipped_and_counted(void)
{
    uint64_t next;

    build("pack:1 core:1 pu:1");
    start();
    fake_advance(pc.world, 10 * FAKE_S + 300 * FAKE_MS);
    assert_int_equal(vts_pcmon_tick(pc.monitor, &next), 1);
    assert_true(next == 700 * FAKE_MS);
    assert_true(info().deadlines_missed == 9);
    assert_due(false);
    finish();
}

static void pass_in_between_does_not_move_the_deadlines(void)
{
    uint64_t next;

    build("pack:1 core:1 pu:1");
    start();
    fake_advance(pc.world, 400 * FAKE_MS);
    assert_code(vts_pcmon_refresh(pc.monitor), VTS_OK);
    assert_int_equal(vts_pcmon_tick(pc.monitor, &next), 1);
    assert_true(next == 600 * FAKE_MS);
    assert_due(false);
    finish();
}

/* ---- idle stop ---- */

static void build_idle(void)
{
    build("pack:1 core:1 pu:1");
    pc.desc.idle_stop_ns = 3 * FAKE_S;
    start();
}

/* Seconds pass until the timer stops. */
static unsigned seconds_to_idle(void)
{
    unsigned seconds = 0;
    uint64_t next = 0;

    while (next != UINT64_MAX && seconds < 100) {
        fake_advance(pc.world, FAKE_S);
        assert_in_range(vts_pcmon_tick(pc.monitor, &next), 0, 1);
        seconds++;
    }
    return seconds;
}

static void nobody_asking_stops_the_timer(void)
{
    build_idle();
    assert_int_equal(seconds_to_idle(), 3);
    assert_true(info().idle);
    fake_advance(pc.world, 1000 * FAKE_S);
    assert_due(false);
    assert_true(info().passes == 4);
    finish();
}

static void fresh_reads_keep_the_timer_running(void)
{
    vts_pc_statistics s;
    unsigned i;

    build_idle();
    for (i = 0; i < 20; i++) {
        fake_advance(pc.world, FAKE_S);
        assert_due(true);
        assert_code(vts_pcmon_try_get(pc.monitor, &s), VTS_OK);
    }
    assert_false(info().idle);
    finish();
}

static void miss_restarts_the_timer(void)
{
    vts_pc_statistics_valuetask task;
    vts_pc_statistics s;
    uint64_t next;

    build_idle();
    (void)seconds_to_idle();
    fake_advance(pc.world, 50 * FAKE_S + 1);
    task = vts_pcmon_get_statistics_async(pc.monitor);
    assert_int_equal(vts_pcmon_tick(pc.monitor, &next), 1);
    assert_true(next == FAKE_S);
    assert_false(info().idle);
    assert_code(vts_pc_statistics_get_result(task, &s), VTS_OK);
    assert_true(info().deadlines_missed == 0);
    finish();
}

// ----------------------------------------------------------------------------------
// Tasks
// ----------------------------------------------------------------------------------

static vts_pc_statistics_valuetask ask(void)
{
    return vts_pcmon_get_statistics_async(pc.monitor);
}

static void assert_status(vts_pc_statistics_valuetask task, int status)
{
    assert_int_equal(vts_pc_statistics_get_status(task), status);
}

/* The result is taken, and the error is this. */
static void assert_result(vts_pc_statistics_valuetask task, int error)
{
    vts_pc_statistics s;
    assert_code(vts_pc_statistics_get_result(task, &s), error);
}

static void build_plain(void)
{
    build("pack:1 core:1 pu:1");
    fake_proc(pc.world);
}

static void fresh_sample_is_inside_the_handle(void)
{
    vts_pc_statistics_valuetask task;
    size_t calls;

    build_plain();
    start();
    calls = test_memory.calls;
    task = ask();
    assert_null(task.source);
    assert_true(vts_pc_statistics_is_completed_successfully(task));
    assert_int_equal(task.as.value.sequence, 1);
    assert_result(task, VTS_OK);
    assert_int_equal(test_memory.calls, calls);
    finish();
}

static void fresh_reads_allocate_and_read_nothing(void)
{
    size_t calls, preads;
    unsigned i;

    build_plain();
    start();
    calls = test_memory.calls;
    preads = fake_calls(pc.world, FAKE_PREAD);
    for (i = 0; i < 10000; i++) assert_result(ask(), VTS_OK);
    assert_int_equal(test_memory.calls, calls);
    assert_int_equal(fake_calls(pc.world, FAKE_PREAD), preads);
    finish();
}

static void stale_sample_is_pending_until_the_next_pass(void)
{
    vts_pc_statistics_valuetask task;

    build_plain();
    create();
    task = ask();
    assert_status(task, VTS_PENDING);
    assert_result(task, VTS_E_NOT_COMPLETED);
    assert_due(true);
    assert_status(task, VTS_SUCCEEDED);
    assert_result(task, VTS_OK);
    assert_result(task, VTS_E_STALE);
    finish();
}

#define MANY 1000

static void thousand_waiters_cost_one_pass(void)
{
    static vts_pc_statistics_valuetask task[MANY];
    vts_pc_statistics s;
    unsigned preads, i;

    build_plain();
    start();
    fake_advance(pc.world, STEP);
    preads = fake_reads(pc.world, "/proc/loadavg");
    for (i = 0; i < MANY; i++) task[i] = ask();
    assert_due(true);
    assert_due(false);
    assert_int_equal(fake_reads(pc.world, "/proc/loadavg"), preads + 1);
    assert_true(info().waiters_completed == MANY);
    for (i = 0; i < MANY; i++) {
        assert_code(vts_pc_statistics_get_result(task[i], &s), VTS_OK);
        assert_int_equal(s.sequence, 2);
        assert_number(s.load_average[0], 0.5);
    }
    finish();
}

/* What was completed by one pass is of that pass, whenever it is taken. */
static void result_taken_late_is_of_its_own_pass(void)
{
    vts_pc_statistics_valuetask early, late;
    vts_pc_statistics s;

    build_plain();
    create();
    early = ask();
    assert_due(true);
    fake_file(pc.world, "0.75 0.25 0.125 1/719 19737\n", "/proc/loadavg");
    fake_advance(pc.world, STEP);
    late = ask();
    assert_due(true);
    passes(3);
    assert_code(vts_pc_statistics_get_result(early, &s), VTS_OK);
    assert_true(s.sequence == 1 && s.load_average[0] == 0.5);
    assert_code(vts_pc_statistics_get_result(late, &s), VTS_OK);
    assert_true(s.sequence == 2 && s.load_average[0] == 0.75);
    finish();
}

static void cancel_completes_a_pending_task(void)
{
    vts_pc_statistics_valuetask task;

    build_plain();
    create();
    task = ask();
    assert_code(vts_pcmon_cancel(pc.monitor, task), VTS_OK);
    assert_status(task, VTS_CANCELED);
    assert_code(vts_pcmon_cancel(pc.monitor, task), VTS_E_ALREADY_COMPLETED);
    assert_result(task, VTS_E_CANCELED);
    assert_code(vts_pcmon_cancel(pc.monitor, task), VTS_E_STALE);
    assert_due(true);
    assert_true(info().waiters_completed == 0);
    finish();
}

static void cancel_after_the_pass_is_too_late(void)
{
    vts_pc_statistics_valuetask task;

    build_plain();
    create();
    task = ask();
    assert_due(true);
    assert_code(vts_pcmon_cancel(pc.monitor, task), VTS_E_ALREADY_COMPLETED);
    assert_result(task, VTS_OK);
    task = ask();
    assert_code(vts_pcmon_cancel(pc.monitor, task), VTS_E_ALREADY_COMPLETED);
    assert_result(task, VTS_OK);
    finish();
}

/* The source is still linked when it is rented again: the pass completes the operation
   that it finds there, once. */
static void canceled_consumed_and_rented_again_before_the_pass(void)
{
    vts_pc_statistics_valuetask first, task, again;
    unsigned i;

    build_plain();
    pc.desc.waiters = 1;
    create();
    task = first = ask();
    for (i = 0; i < 5; i++) {
        assert_code(vts_pcmon_cancel(pc.monitor, task), VTS_OK);
        assert_result(task, VTS_E_CANCELED);
        again = ask();
        assert_ptr_equal(again.source, first.source);
        assert_status(task, VTS_E_STALE);
        task = again;
    }
    assert_due(true);
    assert_status(task, VTS_SUCCEEDED);
    assert_true(info().waiters_completed == 1);
    assert_result(task, VTS_OK);
    assert_result(first, VTS_E_STALE);
    finish();
}

static void no_more_waiters_than_the_desc_says(void)
{
    vts_pc_statistics_valuetask a, b, c;

    build_plain();
    pc.desc.waiters = 2;
    create();
    a = ask();
    b = ask();
    c = ask();
    assert_true(vts_pc_statistics_is_faulted(c));
    assert_result(c, VTS_E_EXHAUSTED);
    assert_due(true);
    assert_result(a, VTS_OK);
    fake_advance(pc.world, STEP);
    c = ask();
    assert_status(c, VTS_PENDING);
    assert_due(true);
    assert_result(b, VTS_OK);
    assert_result(c, VTS_OK);
    finish();
}

static void forgotten_task_goes_home(void)
{
    vts_pc_statistics_valuetask task;

    build_plain();
    create();
    task = ask();
    assert_code(vts_pc_statistics_forget(task), VTS_OK);
    assert_due(true);
    finish();
}

/* ---- continuations ---- */

static struct {
    vts_pc_statistics_valuetask task;
    unsigned runs, asks;
    uint64_t sequence;
    int error, tick;
} chain;

static void take_and_ask_again(void *arg)
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

static void begin_chain(unsigned asks)
{
    memset(&chain, 0, sizeof chain);
    chain.asks = asks;
    chain.task = ask();
    assert_code(vts_pc_statistics_on_completed(chain.task, take_and_ask_again, NULL, 0),
                VTS_OK);
}

static void continuation_may_ask_again(void)
{
    build_plain();
    create();
    begin_chain(5);
    passes(6);
    assert_int_equal(chain.runs, 6);
    assert_int_equal(chain.error, VTS_OK);
    assert_int_equal(chain.sequence, 6);
    assert_int_equal(chain.tick, -EBUSY);
    finish();
}

/* A task of somebody else is left alone. */
static int foreign_status(vts_valuetask_source *self, vts_token token)
{
    (void)self;
    (void)token;
    return VTS_PENDING;
}

static void foreign_task_is_not_canceled(void)
{
    static const vts_source_ops ops = {.get_status = foreign_status};
    vts_valuetask_source own = {&ops};
    vts_pc_statistics_valuetask task;
    vts_pcmon *other;

    build_plain();
    create();
    other = pc.monitor;
    create();
    task = ask();
    assert_code(vts_pcmon_cancel(other, task), VTS_E_FOREIGN);
    assert_status(task, VTS_PENDING);
    assert_code(vts_pcmon_cancel(pc.monitor, task), VTS_OK);
    assert_code(vts_pcmon_cancel(other, task), VTS_E_FOREIGN);
    assert_result(task, VTS_E_CANCELED);
    task.source = &own;
    assert_code(vts_pcmon_cancel(pc.monitor, task), VTS_E_FOREIGN);
    assert_code(vts_pcmon_destroy(other), VTS_OK);
    finish();
}

static void cancel_runs_the_continuation(void)
{
    build_plain();
    create();
    begin_chain(0);
    assert_code(vts_pcmon_cancel(pc.monitor, chain.task), VTS_OK);
    assert_int_equal(chain.runs, 1);
    assert_int_equal(chain.error, VTS_E_CANCELED);
    finish();
}

static void scheduler_of_the_desc_runs_continuations(void)
{
    vts_run_queue queue;

    build_plain();
    vts_run_queue_init(&queue, NULL, NULL);
    pc.desc.scheduler = &queue.scheduler;
    create();
    begin_chain(0);
    assert_due(true);
    assert_int_equal(chain.runs, 0);
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_E_BUSY);
    assert_int_equal(vts_run_queue_drain(&queue), 1);
    assert_int_equal(chain.runs, 1);
    assert_int_equal(chain.error, VTS_OK);
    finish();
}

/* ---- destroy ---- */

static void destroy_cancels_what_is_pending(void)
{
    build_plain();
    create();
    begin_chain(0);
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_OK);
    assert_int_equal(chain.runs, 1);
    assert_int_equal(chain.error, VTS_E_CANCELED);
    fake_free(pc.world);
}

static void destroy_waits_for_results_to_be_taken(void)
{
    vts_pc_statistics_valuetask pending, done, canceled;

    build_plain();
    create();
    done = ask();
    assert_due(true);
    fake_advance(pc.world, STEP);
    pending = ask();
    canceled = ask();
    assert_code(vts_pcmon_cancel(pc.monitor, canceled), VTS_OK);
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_E_BUSY);
    assert_status(pending, VTS_CANCELED);
    assert_result(pending, VTS_E_CANCELED);
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_E_BUSY);
    assert_result(done, VTS_OK);
    assert_result(canceled, VTS_E_CANCELED);
    finish();
}

static void stopped_monitor_gives_no_new_pending_task(void)
{
    vts_pc_statistics_valuetask done;

    build_plain();
    create();
    done = ask();
    assert_due(true);
    fake_advance(pc.world, STEP);
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_E_BUSY);
    assert_int_equal(vts_pcmon_tick(pc.monitor, NULL), -EINVAL);
    assert_result(ask(), VTS_E_CANCELED);
    assert_result(done, VTS_OK);
    finish();
}

static void destroy_of_an_unused_monitor_is_fine(void)
{
    build_plain();
    create();
    finish();
    assert_code(vts_pcmon_destroy(NULL), VTS_OK);
}

// ----------------------------------------------------------------------------------
// Topology and hotplug
// ----------------------------------------------------------------------------------

static hwloc_topology_t load_synthetic(const char *description)
{
    hwloc_topology_t topology;

    assert_int_equal(hwloc_topology_init(&topology), 0);
    assert_int_equal(hwloc_topology_set_synthetic(topology, description), 0);
    assert_int_equal(hwloc_topology_load(topology), 0);
    return topology;
}

static void borrowed_topology_is_not_changed_nor_freed(void)
{
    hwloc_topology_t topology = load_synthetic(FAKE_TWO_PACKAGES);
    hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);

    build(NULL);
    fake_two_packages(pc.world);
    pc.desc.topology = topology;
    start();
    assert_ptr_equal(vts_pcmon_topology(pc.monitor), topology);
    assert_ptr_equal(about(temperature("coretemp.0", "temp1")).object, package);
    fake_file(pc.world, "0-2\n", "/sys/devices/system/cpu/online");
    pass();
    assert_ptr_equal(vts_pcmon_topology(pc.monitor), topology);
    assert_int_equal(info().generation, 1);
    assert_int_equal(info().discoveries, 2);
    finish();
    assert_null(package->userdata);
    assert_null(hwloc_obj_get_info_by_name(package, "VtsSensor"));
    hwloc_topology_destroy(topology);
}

static void topology_from_an_xml_text(void)
{
    hwloc_topology_t topology = load_synthetic(FAKE_TWO_PACKAGES);
    char *xml;
    int length;

    assert_int_equal(hwloc_topology_export_xmlbuffer(topology, &xml, &length, 0), 0);
    build(NULL);
    fake_two_packages(pc.world);
    pc.desc.topology_xml = xml;
    start();
    hwloc_free_xmlbuffer(topology, xml);
    hwloc_topology_destroy(topology);
    assert_int_equal(info().packages, 2);
    assert_int_equal(info().cores, 4);
    assert_object(VTS_PC_OBJECT_CORE, VTS_PC_KIND_THROTTLE_COUNT, 3, VTS_PC_VALID, 4);
    finish();
}

/* The description is refused by create, or its load fails and is reported. */
static void broken_xml_is_refused_or_reported(void)
{
    int error;

    build(NULL);
    fake_two_packages(pc.world);
    pc.desc.topology_xml = "<topology><nonsense/></topology>";
    error = vts_pcmon_create(&pc.monitor, &pc.desc);
    if (error == VTS_OK) {
        tick();
        assert_true(info().topology_error < 0);
        assert_null(vts_pcmon_topology(pc.monitor));
        assert_unmapped(temperature("coretemp.0", "temp1"));
        assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
        assert_int_equal(vts_pcmon_read_objects(pc.monitor, VTS_PC_OBJECT_PACKAGE,
                                                VTS_PC_KIND_TEMPERATURE, NULL, 0, NULL),
                         0);
        assert_code(vts_pcmon_destroy(pc.monitor), VTS_OK);
    } else {
        assert_code(error, -EINVAL);
    }
    fake_free(pc.world);
}

/* hwloc reads the real machine here; the sensors are those of the world. */
static void cpus_that_change_load_the_topology_anew(void)
{
    struct hwloc_obj *before;

    build(NULL);
    fake_cpus(pc.world, 2, 100, 900);
    start();
    assert_int_equal(info().generation, 1);
    before = about(sensor(VTS_PC_KIND_BUSY_TIME, "cpu0", "stat")).object;
    pass();
    assert_int_equal(info().generation, 1);
    fake_file(pc.world, "0\n", "/sys/devices/system/cpu/online");
    pass();
    assert_int_equal(info().generation, 2);
    assert_int_equal(info().discoveries, 2);
    assert_ptr_not_equal(about(sensor(VTS_PC_KIND_BUSY_TIME, "cpu0", "stat")).object, before);
    assert_int_equal(before->type, HWLOC_OBJ_PU);
    finish();
}

static void synthetic_topology_is_not_loaded_anew(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    fake_file(pc.world, "0-1\n", "/sys/devices/system/cpu/online");
    pass();
    assert_int_equal(info().generation, 1);
    assert_int_equal(info().discoveries, 2);
    assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
    finish();
}

// ----------------------------------------------------------------------------------
// Reading functions
// ----------------------------------------------------------------------------------

static void read_sensors_fills_no_more_than_asked(void)
{
    vts_pc_reading two[3];
    uint64_t sequence = 77;
    int count;

    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    create();
    assert_int_equal(vts_pcmon_read_sensors(pc.monitor, two, 3, &sequence), 0);
    assert_true(sequence == 0);
    tick();
    count = vts_pcmon_read_sensors(pc.monitor, NULL, 0, &sequence);
    assert_int_equal(count, info().sensors);
    assert_true(sequence == 1);
    memset(two, 0x5a, sizeof two);
    assert_int_equal(vts_pcmon_read_sensors(pc.monitor, two, 2, NULL), count);
    assert_int_equal(two[1].sensor, 1);
    assert_int_equal(two[2].sensor, 0x5a5a5a5a);
    assert_int_equal(vts_pcmon_read_sensors(pc.monitor, NULL, 1, NULL), -EINVAL);
    finish();
}

static void read_objects_fills_no_more_than_asked(void)
{
    vts_pc_reading core[4];
    uint64_t sequence = 77;

    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    pc.desc.per_core_temperature = true;
    start();
    memset(core, 0x5a, sizeof core);
    assert_int_equal(vts_pcmon_read_objects(pc.monitor, VTS_PC_OBJECT_CORE,
                                            VTS_PC_KIND_TEMPERATURE, core, 3, &sequence), 4);
    assert_true(sequence == 1);
    assert_number(core[2].value, 41);
    assert_int_equal(core[3].sensor, 0x5a5a5a5a);
    assert_int_equal(vts_pcmon_read_objects(pc.monitor, VTS_PC_OBJECT_CORE,
                                            VTS_PC_KIND_TEMPERATURE, NULL, 1, NULL), -EINVAL);
    assert_int_equal(vts_pcmon_read_objects(pc.monitor, VTS_PC_OBJECT_DIE,
                                            VTS_PC_KIND_TEMPERATURE, NULL, 0, NULL), 0);
    finish();
}

static void read_objects_refuses_types_without_objects(void)
{
    static const vts_pc_object_type bad[] = {VTS_PC_OBJECT_NONE, VTS_PC_OBJECT_DEVICE,
                                             VTS_PC_OBJECT_TYPE_COUNT,
                                             (vts_pc_object_type)-1};
    size_t i;

    build_plain();
    start();
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(vts_pcmon_read_objects(pc.monitor, bad[i], VTS_PC_KIND_POWER, NULL,
                                                0, NULL), -EINVAL);
    }
    assert_int_equal(vts_pcmon_read_objects(pc.monitor, VTS_PC_OBJECT_PU, VTS_PC_KIND_COUNT,
                                            NULL, 0, NULL), -EINVAL);
    finish();
}

static void object_without_a_sensor_is_unsupported(void)
{
    vts_pc_reading actual;

    build_plain();
    start();
    actual = object_reading(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_POWER, 0);
    assert_int_equal(actual.sensor, VTS_PC_NO_INDEX);
    assert_int_equal(actual.kind, VTS_PC_KIND_POWER);
    assert_state(actual.state, VTS_PC_UNSUPPORTED, "power");
    assert_true(isnan(actual.value));
    finish();
}

static void get_sensor_ends_with_enoent(void)
{
    vts_pc_sensor_info s;

    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    create();
    assert_code(vts_pcmon_get_sensor(pc.monitor, 0, &s), -ENOENT);
    tick();
    assert_code(vts_pcmon_get_sensor(pc.monitor, info().sensors - 1, &s), VTS_OK);
    assert_code(vts_pcmon_get_sensor(pc.monitor, info().sensors, &s), -ENOENT);
    assert_code(vts_pcmon_get_sensor(pc.monitor, UINT32_MAX, &s), -ENOENT);
    finish();
}

static void long_texts_are_cut(void)
{
    vts_pc_sensor_info s;
    uint32_t i;

    build("pack:1 core:1 pu:1");
    make_long_text();
    fake_hwmon(pc.world, 0, "chip_with_a_name_that_is_longer_than_31_letters",
               "/sys/devices/platform/a_device_with_a_name_that_is_much_longer_than_the_room.0");
    fake_input(pc.world, 0, 1, "x", 1000);
    fake_file(pc.world, long_text, "/sys/class/hwmon/hwmon0/temp1_label");
    start();
    for (i = 0; vts_pcmon_get_sensor(pc.monitor, i, &s) == VTS_OK; i++) {
        assert_non_null(memchr(s.chip, '\0', sizeof s.chip));
        assert_non_null(memchr(s.device, '\0', sizeof s.device));
        assert_non_null(memchr(s.label, '\0', sizeof s.label));
        assert_non_null(memchr(s.path, '\0', sizeof s.path));
    }
    assert_true(i > 0);
    finish();
}

static void here_is_the_core_of_the_caller(void)
{
    vts_pc_reading heat, speed;

    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    pc.desc.per_core_temperature = true;
    create();
    assert_int_equal(vts_pcmon_here(pc.monitor, &heat, &speed), -EAGAIN);
    tick();
    pc.world->cpu = 3;
    assert_int_equal(vts_pcmon_here(pc.monitor, &heat, &speed), 3);
    assert_number(heat.value, 42);
    assert_number(speed.value, 1.3e9);
    assert_int_equal(vts_pcmon_here(pc.monitor, NULL, NULL), 3);
    pc.world->cpu = 4;
    assert_int_equal(vts_pcmon_here(pc.monitor, &heat, &speed), -ENOENT);
    finish();
}

static void here_falls_back_to_the_package(void)
{
    vts_pc_reading heat;

    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    pc.world->cpu = 2;
    assert_int_equal(vts_pcmon_here(pc.monitor, &heat, NULL), 2);
    assert_number(heat.value, 51);
    finish();
}

static void here_on_another_machine_needs_to_be_told(void)
{
    build_plain();
    pc.world->io.current_cpu = NULL;
    start();
    assert_int_equal(vts_pcmon_here(pc.monitor, NULL, NULL), -ENOTSUP);
    finish();
}

static void refresh_makes_a_pass_due(void)
{
    build_plain();
    start();
    assert_due(false);
    assert_code(vts_pcmon_refresh(pc.monitor), VTS_OK);
    tick();
    assert_int_equal(pc.now.sequence, 2);
    assert_int_equal(info().discoveries, 1);
    assert_due(false);
    finish();
}

// ----------------------------------------------------------------------------------
// Arguments
// ----------------------------------------------------------------------------------

/* The world's desc with one thing wrong; refused with nothing left behind. */
static void assert_refused(int error)
{
    vts_pcmon *monitor = (vts_pcmon *)(void *)&pc;

    assert_code(vts_pcmon_create(&monitor, &pc.desc), error);
    assert_null(monitor);
    assert_int_equal(test_memory.live, 0);
    fake_free(pc.world);
}

#define REFUSED(member, value)                                                         \
    (build_plain(), pc.desc.member = (value), assert_refused(-EINVAL))

static void absurd_numbers_are_refused(void)
{
    REFUSED(interval_ns, FAKE_MS - 1);
    REFUSED(interval_ns, 86400 * FAKE_S + 1);
    REFUSED(interval_ns, UINT64_MAX);
    REFUSED(freshness_ns, 86400 * FAKE_S + 1);
    REFUSED(idle_stop_ns, FAKE_S - 1);
    REFUSED(idle_stop_ns, 365 * 86400 * FAKE_S + 1);
    REFUSED(slow_read_ns, 3600 * FAKE_S + 1);
    REFUSED(metrics, 1u << VTS_PC_METRIC_COUNT);
    REFUSED(metrics, UINT32_MAX);
    REFUSED(waiters, (1u << 24) + 1);
}

static void absurd_texts_are_refused(void)
{
    REFUSED(sysfs_root, "");
    REFUSED(procfs_root, "");
    REFUSED(sampler_cpuset, "");
    REFUSED(sampler_cpuset, "x");
    REFUSED(sampler_cpuset, "3-1");
    REFUSED(sampler_cpuset, "1,");
    REFUSED(sampler_cpuset, "99999999");
    REFUSED(topology_synthetic, "");
    REFUSED(topology_synthetic, "nonsense:0");
    REFUSED(topology_synthetic, "pack:999999999 pu:1");
    REFUSED(topology_synthetic, "pack:2 [numa(memory=1GB)] core:0x8000 pu:2");
    REFUSED(topology_synthetic, "65537");
    REFUSED(topology_synthetic, "L3:256(size=1MB) 256 pu:2");
    REFUSED(topology_synthetic, "pu:99999999999999999999999");
    REFUSED(topology_xml, "/proc/no/such/file.xml");
    make_long_text();
    REFUSED(cpu_temperature_sensor, long_text);
}

static void root_that_is_too_long_is_refused(void)
{
    make_long_text();
    build_plain();
    pc.desc.sysfs_root = long_text;
    assert_refused(-ENAMETOOLONG);
    build_plain();
    pc.desc.procfs_root = long_text;
    assert_refused(-ENAMETOOLONG);
}

static void two_topologies_are_refused(void)
{
    build_plain();
    pc.desc.topology_xml = "<topology/>";
    assert_refused(-EINVAL);
}

static void allocator_without_alloc_is_refused(void)
{
    static const vts_allocator none = {NULL, NULL, NULL};
    REFUSED(allocator, &none);
}

static void limits_of_the_desc_are_allowed(void)
{
    build_plain();
    pc.desc.interval_ns = FAKE_MS;
    pc.desc.freshness_ns = 1;
    pc.desc.idle_stop_ns = 365 * 86400 * FAKE_S;
    pc.desc.slow_read_ns = 3600 * FAKE_S;
    pc.desc.metrics = VTS_PC_METRICS_ALL;
    start();
    finish();
}

static void null_is_an_error_everywhere(void)
{
    vts_pc_statistics s;
    vts_pcmon_info all;
    vts_pc_sensor_info one;
    vts_pc_statistics_valuetask task = vts_pcmon_get_statistics_async(NULL);

    assert_result(task, -EINVAL);
    assert_code(vts_pcmon_create(NULL, NULL), -EINVAL);
    assert_code(vts_pcmon_cancel(NULL, task), -EINVAL);
    assert_code(vts_pcmon_try_get(NULL, &s), -EINVAL);
    assert_code(vts_pcmon_get_latest(NULL, &s), -EINVAL);
    assert_code(vts_pcmon_tick(NULL, NULL), -EINVAL);
    assert_code(vts_pcmon_refresh(NULL), -EINVAL);
    assert_code(vts_pcmon_rediscover(NULL), -EINVAL);
    assert_code(vts_pcmon_get_sensor(NULL, 0, &one), -EINVAL);
    assert_int_equal(vts_pcmon_read_sensors(NULL, NULL, 0, NULL), -EINVAL);
    assert_int_equal(vts_pcmon_read_objects(NULL, VTS_PC_OBJECT_PU, VTS_PC_KIND_POWER, NULL,
                                            0, NULL), -EINVAL);
    assert_int_equal(vts_pcmon_here(NULL, NULL, NULL), -EINVAL);
    assert_null(vts_pcmon_topology(NULL));
    assert_code(vts_pcmon_get_info(NULL, &all), -EINVAL);
    build_plain();
    start();
    assert_code(vts_pcmon_try_get(pc.monitor, NULL), -EINVAL);
    assert_code(vts_pcmon_get_latest(pc.monitor, NULL), -EINVAL);
    assert_code(vts_pcmon_get_sensor(pc.monitor, 0, NULL), -EINVAL);
    assert_code(vts_pcmon_get_info(pc.monitor, NULL), -EINVAL);
    finish();
}

/* Names are lower case, different, and "?" beyond both ends. */
static void assert_names(const char *(*name)(int), int count)
{
    int i, j;

    assert_string_equal(name(-1), "?");
    assert_string_equal(name(count), "?");
    assert_string_equal(name(INT_MAX), "?");
    for (i = 0; i < count; i++) {
        assert_true(strspn(name(i), "abcdefghijklmnopqrstuvwxyz0123456789_") ==
                    strlen(name(i)));
        for (j = 0; j < i; j++) assert_string_not_equal(name(i), name(j));
    }
}

static void names_are_those_of_the_enumerations(void)
{
    assert_names(vts_pc_state_name, VTS_PC_STATE_COUNT);
    assert_names(vts_pc_metric_name, VTS_PC_METRIC_COUNT);
    assert_names(vts_pc_source_name, VTS_PC_SOURCE_COUNT);
    assert_names(vts_pc_kind_name, VTS_PC_KIND_COUNT);
    assert_names(vts_pc_object_type_name, VTS_PC_OBJECT_TYPE_COUNT);
    assert_string_equal(vts_pc_state_name(VTS_PC_VALID), "valid");
    assert_string_equal(vts_pc_state_name(VTS_PC_DISABLED), "disabled");
    assert_string_equal(vts_pc_metric_name(VTS_PC_STORAGE_TEMPERATURE),
                        "storage_temperature");
    assert_string_equal(vts_pc_source_name(VTS_PC_SOURCE_OTHER), "other");
    assert_string_equal(vts_pc_kind_name(VTS_PC_KIND_MEMORY_USED), "memory_used");
    assert_string_equal(vts_pc_object_type_name(VTS_PC_OBJECT_DEVICE), "device");
}

// ----------------------------------------------------------------------------------
// The real thread
// ----------------------------------------------------------------------------------

#define WAIT_MS 10000

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* True when it is completed in time. */
static bool wait_for(vts_pc_statistics_valuetask task)
{
    int i;

    for (i = 0; i < WAIT_MS; i++) {
        if (vts_pc_statistics_is_completed(task)) return true;
        sleep_ms(1);
    }
    return false;
}

static vts_pc_statistics await(void)
{
    vts_pc_statistics_valuetask task = ask();
    vts_pc_statistics s;

    assert_true(wait_for(task));
    assert_code(vts_pc_statistics_get_result(task, &s), VTS_OK);
    return s;
}

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

/* A world with a real thread and real clocks. */
static void build_threaded(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    pc.desc.manual_tick = false;
    pc.world->io.now_ns = NULL;
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
    build_threaded();
    pc.world->io.open_timer = open_null;
    create();
    (void)await();
    sleep_ms(30);
    assert_true(info().park_error < 0);
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
    _exit(3);
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
        if (vts_pcmon_cancel(pc.monitor, task) != -ECHILD) _exit(1);
        _exit(vts_pcmon_destroy(pc.monitor) == VTS_OK ? 0 : 2);
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
    if (child == 0) _exit(child_of(fresh, pc.monitor));
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

static const test_case tests[] = {
    TEST(two_packages_give_every_metric),
    TEST(machine_without_any_file_is_no_error),
    TEST(unreadable_directories_are_no_error),
    TEST(metrics_not_asked_for_are_disabled_and_not_read),
    TEST(package_with_os_index_36_is_found_by_rank_and_by_physical_id),
    TEST(packages_in_another_order_are_found_by_os_index),
    TEST(equal_labels_of_two_chips_do_not_collide),
    TEST(sparse_core_ids_repeat_in_each_package),
    TEST(core_id_twice_in_a_package_is_not_guessed),
    TEST(chip_without_a_core_of_the_package_is_rejected_and_listed),
    TEST(proof_prefers_the_package_that_has_the_core),
    TEST(chip_without_core_labels_is_only_the_single_package_s),
    TEST(dies_are_logical_for_coretemp_and_physical_for_rapl),
    TEST(rapl_goes_by_the_name_and_not_by_the_zone_number),
    TEST(pus_go_by_os_index),
    TEST(policy_of_several_cpus_is_read_once),
    TEST(measured_frequency_is_preferred),
    TEST(aggregate_line_is_no_cpu),
    TEST(cpus_of_the_host_are_listed_unmapped),
    TEST(numa_nodes_go_by_sparse_os_index),
    TEST(throttle_is_read_once_per_core_and_package),
    TEST(amd_chip_of_one_node_is_the_package_s),
    TEST(amd_chips_go_by_their_local_cpus),
    TEST(amd_chip_without_local_cpus_goes_by_its_slot),
    TEST(amd_chip_over_several_packages_is_unmapped),
    TEST(sparse_ccds_go_by_rank_if_the_counts_agree),
    TEST(package_zones_count_only_when_there_is_one_for_each),
    TEST(device_near_a_package_does_not_give_its_temperature),
    TEST(zone_that_is_a_hwmon_chip_too_is_one_sensor),
    TEST(owned_topology_carries_its_sensors),
    TEST(sources_are_asked_in_order),
    TEST(failing_source_gives_way_and_takes_over_again),
    TEST(worse_sources_are_not_read),
    TEST(per_core_temperature_reads_the_cores),
    TEST(every_temperature_reads_all),
    TEST(plausible_is_from_minus_40_to_150),
    TEST(hottest_of_the_packages_that_answer_counts),
    TEST(limits_out_of_range_are_not_set),
    TEST(limits_are_read_once),
    TEST(desc_may_name_the_sensor),
    TEST(named_sensor_that_fails_gives_way),
    TEST(provider_fills_in_and_is_the_source),
    TEST(provider_overrides_a_sensor),
    TEST(number_of_a_provider_without_a_valid_state_is_nan),
    TEST(every_errno_of_a_sensor_has_its_state),
    TEST(every_errno_of_a_proc_file_has_its_state),
    TEST(errno_of_an_open_has_its_state),
    TEST(denied_file_is_left_alone),
    TEST(transient_error_is_read_again_by_the_next_pass),
    TEST(malformed_sensor_files_are_malformed),
    TEST(malformed_proc_files_are_malformed),
    TEST(malformed_descriptions_do_no_harm),
    TEST(files_without_a_final_newline_are_read),
    TEST(one_broken_line_of_stat_is_that_cpu_s),
    TEST(meminfo_values_out_of_range_are_malformed),
    TEST(more_free_memory_than_there_is_is_implausible),
    TEST(pread_results_out_of_range_are_errors),
    TEST(pressure_above_100_percent_is_malformed),
    TEST(stat_of_a_thousand_cpus_is_read_whole),
    TEST(power_is_energy_over_time),
    TEST(energy_goes_on_past_its_wraps),
    TEST(too_long_a_gap_is_no_rate),
    TEST(more_than_10_kw_is_implausible_and_no_energy),
    TEST(counter_without_a_range_that_goes_back_is_rebased),
    TEST(counter_beyond_its_range_is_rebased),
    TEST(two_reads_at_the_same_time_give_no_power),
    TEST(energy_survives_a_failed_read),
    TEST(power_with_a_package_missing_is_no_sum),
    TEST(iowait_is_idle_and_guest_inside_user),
    TEST(counters_that_go_back_count_as_no_step),
    TEST(cpu_that_comes_back_with_lower_counts_starts_anew),
    TEST(cpu_without_its_line_is_gone_and_back),
    TEST(pass_within_a_clock_tick_keeps_the_utilization),
    TEST(sum_line_alone_is_enough),
    TEST(suspend_starts_rates_anew),
    TEST(small_difference_of_the_clocks_is_no_suspend),
    TEST(sample_is_stale_after_a_suspend_only_by_the_monotonic_clock),
    TEST(enxio_is_tolerated_for_10_s),
    TEST(enxio_that_ends_in_time_starts_the_10_s_anew),
    TEST(unplugged_sensor_is_gone_and_keeps_its_index),
    TEST(new_device_is_appended_by_a_rediscovery),
    TEST(lost_sensor_is_looked_for_after_1_2_4_to_64_s),
    TEST(sensor_that_is_there_but_never_answers_is_backed_off_too),
    TEST(back_off_starts_anew_after_a_recovery),
    TEST(incomplete_discovery_loses_nothing),
    TEST(relabelled_input_is_another_sensor),
    TEST(renumbered_hwmon_is_the_same_sensor),
    TEST(slow_sensor_is_read_every_2_to_64_passes),
    TEST(sensor_that_is_fast_again_is_released),
    TEST(slow_read_limit_is_the_desc_s),
    TEST(pass_cost_counts_the_slow_read),
    TEST(suspended_device_is_asleep_and_not_opened),
    TEST(wake_devices_reads_a_suspended_one),
    TEST(runtime_status_that_fails_once_is_asked_again),
    TEST(gpu_and_storage_are_left_alone_unless_asked_for),
    TEST(storage_is_read_every_10_s),
    TEST(second_pass_opens_nothing),
    TEST(pass_reads_each_file_once),
    TEST(passes_allocate_nothing),
    TEST(sample_is_fresh_up_to_and_at_its_age),
    TEST(sample_is_as_old_as_its_first_read),
    TEST(fine_freshness_uses_the_precise_clock),
    TEST(clock_behind_the_sample_is_fresh),
    TEST(deadlines_do_not_drift_over_600_intervals),
    TEST(tick_before_the_deadline_does_nothing),
    TEST(missed_deadlines_are_skipped_and_counted),
    TEST(pass_in_between_does_not_move_the_deadlines),
    TEST(nobody_asking_stops_the_timer),
    TEST(fresh_reads_keep_the_timer_running),
    TEST(miss_restarts_the_timer),
    TEST(fresh_sample_is_inside_the_handle),
    TEST(fresh_reads_allocate_and_read_nothing),
    TEST(stale_sample_is_pending_until_the_next_pass),
    TEST(thousand_waiters_cost_one_pass),
    TEST(result_taken_late_is_of_its_own_pass),
    TEST(cancel_completes_a_pending_task),
    TEST(cancel_after_the_pass_is_too_late),
    TEST(canceled_consumed_and_rented_again_before_the_pass),
    TEST(no_more_waiters_than_the_desc_says),
    TEST(forgotten_task_goes_home),
    TEST(continuation_may_ask_again),
    TEST(foreign_task_is_not_canceled),
    TEST(cancel_runs_the_continuation),
    TEST(scheduler_of_the_desc_runs_continuations),
    TEST(destroy_cancels_what_is_pending),
    TEST(destroy_waits_for_results_to_be_taken),
    TEST(stopped_monitor_gives_no_new_pending_task),
    TEST(destroy_of_an_unused_monitor_is_fine),
    TEST(borrowed_topology_is_not_changed_nor_freed),
    TEST(topology_from_an_xml_text),
    TEST(broken_xml_is_refused_or_reported),
    TEST(cpus_that_change_load_the_topology_anew),
    TEST(synthetic_topology_is_not_loaded_anew),
    TEST(read_sensors_fills_no_more_than_asked),
    TEST(read_objects_fills_no_more_than_asked),
    TEST(read_objects_refuses_types_without_objects),
    TEST(object_without_a_sensor_is_unsupported),
    TEST(get_sensor_ends_with_enoent),
    TEST(long_texts_are_cut),
    TEST(here_is_the_core_of_the_caller),
    TEST(here_falls_back_to_the_package),
    TEST(here_on_another_machine_needs_to_be_told),
    TEST(refresh_makes_a_pass_due),
    TEST(absurd_numbers_are_refused),
    TEST(absurd_texts_are_refused),
    TEST(root_that_is_too_long_is_refused),
    TEST(two_topologies_are_refused),
    TEST(allocator_without_alloc_is_refused),
    TEST(limits_of_the_desc_are_allowed),
    TEST(null_is_an_error_everywhere),
    TEST(names_are_those_of_the_enumerations),
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
};

TEST_MAIN(tests)
