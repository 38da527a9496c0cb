/* t_pcmon_sensor.c - what one sensor says over time: errors, malformed content, rates,
   devices that come and go, that are slow, asleep or seldom read. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include "pcmon_test.h"
#include "test.h"

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
        fake_read_error(pc.world, states[i].error, PACKAGE_0);
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
    fake_get(pc.world, PACKAGE_0)->open_error = EMFILE;
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
    fake_read_error(pc.world, EAGAIN, PACKAGE_0);
    pass();
    assert_no_temperature(VTS_PC_NO_DATA);
    fake_read_error(pc.world, 0, PACKAGE_0);
    pass();
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    assert_int_equal(fake_opens(pc.world, PACKAGE_0), 1);
    finish();
}

// ----------------------------------------------------------------------------------
// Malformed content
// ----------------------------------------------------------------------------------

/* Content that no file may hold. */
static const char *const rubbish[] = {
    "",       "\n",        "abc\n",   "-",         "- 5\n",    "0x10\n",
    "1e5\n",  "50000x\n",  "5 0\n",   "\xff\xfe\x80\n", "99999999999999999999999999\n",
    "--5\n",  "+5\n",      "nan\n",   "50000,0\n", "\t\n \n",  "cpu\ncpu0\n",
    long_text};

#define RUBBISH (sizeof rubbish / sizeof rubbish[0])

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
    fake_file(pc.world, "50000", PACKAGE_0);
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
    rapl_after(FAKE_S / 2, 21000001);
    assert_rapl(21.000001, VTS_PC_VALID, 2e-6);
    finish();
}

/* Between two steps of the counter there is no power yet, and none is lost. */
static void counter_is_given_time_for_a_step(void)
{
    build_rapl(1000000, 262143328850);
    rapl_after(FAKE_S, 2000000);
    assert_rapl(2, VTS_PC_VALID, 1);
    rapl_after(10 * FAKE_MS - 1, 2000000);
    assert_rapl(2, VTS_PC_NOT_YET, 0);
    rapl_after(FAKE_S - 10 * FAKE_MS + 1, 5000000);
    assert_rapl(5, VTS_PC_VALID, 3);
    finish();
}

/* What runs this program uses energy: such a counter does not count. */
static void package_that_uses_nothing_is_implausible(void)
{
    build_rapl(1000000, 262143328850);
    rapl_after(10 * FAKE_MS, 1000000);
    assert_rapl(1, VTS_PC_IMPLAUSIBLE, 0);
    rapl_after(FAKE_S, 3000000);
    assert_rapl(3, VTS_PC_VALID, 2);
    finish();
}

/* The graphics of a package may be switched off. */
static void part_that_uses_nothing_is_switched_off(void)
{
    build("pack:1 core:1 pu:1");
    fake_rapl(pc.world, "0", "package-0", 1000000, 262143328850);
    fake_rapl(pc.world, "0:1", "uncore", 5000000, 262143328850);
    start();
    rapl_after(FAKE_S, 2000000);
    assert_rapl(2, VTS_PC_VALID, 1);
    assert_reading(sensor(VTS_PC_KIND_POWER, "intel-rapl:0:1", "uncore"), VTS_PC_VALID, 0);
    assert_reading(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:0:1", "uncore"), VTS_PC_VALID, 5);
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
    assert_rapl(2, VTS_PC_NOT_YET, 0);
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
    fake_number(pc.world, 3000000, "/sys/class/powercap/intel-rapl:1/energy_uj");
    rapl_after(FAKE_S, 3000000);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_VALID, pc.now.cpu_power, 3);
    fake_read_error(pc.world, EACCES, "/sys/class/powercap/intel-rapl:1/energy_uj");
    rapl_after(FAKE_S, 4000000);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_DENIED, pc.now.cpu_power, 0);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_POWER, 0, VTS_PC_VALID, 1);
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
    fake_remove(pc.world, "/sys/class/powercap/intel-rapl:1");
    start();
    fake_cpus(pc.world, 4, 200, 1000);
    rapl_after(FAKE_S, 3000000);
    assert_utilization(VTS_PC_VALID, 0.5);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_VALID, pc.now.cpu_power, 2);
    fake_suspend(pc.world, 3600 * FAKE_S);
    fake_cpus(pc.world, 4, 300, 1100);
    rapl_after(FAKE_S, 100);
    assert_utilization(VTS_PC_NOT_YET, 0);
    assert_metric(VTS_PC_CPU_POWER, VTS_PC_NOT_YET, pc.now.cpu_power, 0);
    assert_metric(VTS_PC_CPU_ENERGY, VTS_PC_VALID, pc.now.cpu_energy, 3);
    assert_int_equal(info().suspends, 1);
    assert_int_equal(info().discoveries, 2);
    fake_cpus(pc.world, 4, 400, 1100);
    rapl_after(FAKE_S, 5000100);
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
    fake_read_error(pc.world, ENXIO, PACKAGE_0);
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
        fake_read_error(pc.world, ENXIO, PACKAGE_0);
        passes(9);
        assert_no_temperature(VTS_PC_NO_DATA);
        fake_read_error(pc.world, 0, PACKAGE_0);
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
    fake_read_error(pc.world, ENODEV, PACKAGE_0);
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
    unsigned before = fake_reads(pc.world, PACKAGE_0);
    passes(count);
    return fake_reads(pc.world, PACKAGE_0) - before;
}

static void slow_sensor_is_read_every_2_to_64_passes(void)
{
    unsigned level;

    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_delay(pc.world, 21 * FAKE_MS, PACKAGE_0);
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
    fake_delay(pc.world, 30 * FAKE_MS, PACKAGE_0);
    start();
    fake_delay(pc.world, 0, PACKAGE_0);
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
    fake_delay(pc.world, 50 * FAKE_MS, PACKAGE_0);
    start();
    assert_int_equal(reads_in(10), 10);
    fake_delay(pc.world, 150 * FAKE_MS, PACKAGE_0);
    assert_int_equal(reads_in(3), 2);
    finish();
}

static void pass_cost_counts_the_slow_read(void)
{
    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_delay(pc.world, 6 * FAKE_MS, PACKAGE_0);
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
    assert_int_equal(fake_reads(pc.world, PACKAGE_0), 10);
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
// Files that are too long, or of somebody else
// ----------------------------------------------------------------------------------

/* No file of /proc is that long: a part of it is not taken for the whole. */
static void file_without_an_end_is_no_data(void)
{
    const size_t size = (4u << 20) + 1;
    char *text = (char *)fake_need(malloc(size + 1));

    memset(text, '\n', size);
    text[size] = '\0';
    memcpy(text, "MemTotal: 4 kB", 14);
    build_plain();
    start();
    fake_file(pc.world, text, "/proc/meminfo");
    pass();
    assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_NO_DATA, pc.now.memory_total, 0);
    fake_file(pc.world, "MemTotal: 4 kB\n", "/proc/meminfo");
    pass();
    assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_VALID, pc.now.memory_total, 4096);
    finish();
    free(text);
}

/* Without memory for the whole file none of it counts: a CPU cut off is not offline. */
static void read_a_thousand_cpus(void)
{
    size_t n = test_memory.fail_at;

    build("pack:8 core:128 pu:1");
    pc.desc.metrics = 1u << VTS_PC_CPU_UTILIZATION;
    test_fail_at(0);
    create();
    test_fail_at(n);
    fake_cpus(pc.world, 1024, 100, 900);
    tick();
    assert_true(pc.now.state[VTS_PC_CPU_UTILIZATION] != VTS_PC_GONE);
    assert_true(info().sensors == 3 * 1024 || info().discovery_error == -ENOMEM);
    passes(2);
    assert_int_equal(info().sensors, 3 * 1024);
    fake_cpus(pc.world, 1024, 150, 950);
    pass();
    assert_metric(VTS_PC_CPU_UTILIZATION, VTS_PC_VALID, pc.now.cpu_utilization, 0.5);
    assert_int_equal(find(VTS_PC_KIND_BUSY_TIME, "cpu1024", "stat"), VTS_PC_NO_INDEX);
    finish();
}

static void cpus_without_memory_for_their_file_are_read_later(void)
{
    size_t n;

    for (n = 1; n <= 16; n++) {
        test_fail_at(n);
        read_a_thousand_cpus();
        assert_int_equal(test_memory.live, 0);
    }
    test_fail_at(0);
}

/* The program closed what it did not open: the file is opened again. */
static void descriptor_that_was_closed_is_opened_again(void)
{
    size_t i;

    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    start();
    for (i = 0; i < pc.world->descriptor_count; i++) pc.world->descriptors[i] = NULL;
    pass();
    assert_no_temperature(VTS_PC_NO_DATA);
    assert_true(pc.world->misuse > 0);
    pc.world->misuse = 0;
    pass();
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    finish();
}

// ----------------------------------------------------------------------------------
// Errors while sensors are looked for
// ----------------------------------------------------------------------------------

/* An errno that says nothing about the file is recorded, and discovery is repeated. */
static void every_passing_errno_is_recorded(void)
{
    static const struct {
        int error, recorded;
    } all[] = {
        {EAGAIN, -EAGAIN}, {EBUSY, -EBUSY},   {EINTR, -EINTR},   {EIO, -EIO},
        {EMFILE, -EMFILE}, {ENFILE, -ENFILE}, {ENOMEM, -ENOMEM}, {ETIMEDOUT, -ETIMEDOUT},
        {EACCES, 0},       {EPERM, 0},        {EINVAL, 0},       {ENOENT, 0},
    };
    size_t i;

    for (i = 0; i < sizeof all / sizeof all[0]; i++) {
        build("pack:1 core:1 pu:1");
        fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
        fake_get(pc.world, "/sys/class/hwmon/hwmon0/temp1_label")->open_error = all[i].error;
        start();
        assert_code(info().discovery_error, all[i].recorded);
        assert_int_equal(info().sensors, all[i].recorded == 0 ? 1 : 0);
        finish();
    }
}

/* Limits are details: the sensor is listed without, and the first error is recorded. */
static void limits_that_cannot_be_read_come_later(void)
{
    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_limits(pc.world, 0, 1, 80000, 100000);
    fake_read_error(pc.world, EIO, "/sys/class/hwmon/hwmon0/temp1_crit");
    fake_read_error(pc.world, EAGAIN, "/sys/class/hwmon/hwmon0/temp1_max");
    start();
    assert_code(info().discovery_error, -EIO);
    assert_temperature(50, VTS_PC_SOURCE_CORETEMP);
    assert_true(isnan(about(0).critical) && isnan(about(0).maximum));
    fake_read_error(pc.world, 0, "/sys/class/hwmon/hwmon0/temp1_crit");
    fake_read_error(pc.world, 0, "/sys/class/hwmon/hwmon0/temp1_max");
    passes(2);
    assert_code(info().discovery_error, 0);
    assert_number(about(0).critical, 100);
    assert_number(about(0).maximum, 80);
    finish();
}

/* A chip under another name is another one: its driver was replaced. */
static void chip_that_changes_its_name_is_another(void)
{
    uint32_t before;

    build("pack:1 core:1 pu:1");
    pc.desc.every_temperature = true;
    fake_hwmon(pc.world, 0, "nct6775", "/sys/devices/platform/nct.656");
    fake_input(pc.world, 0, 1, "SYSTIN", 30000);
    start();
    before = temperature("nct.656", "SYSTIN");
    fake_file(pc.world, "nct6776\n", "/sys/class/hwmon/hwmon0/name");
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    pass();
    assert_reading(before, VTS_PC_GONE, 0);
    assert_string_equal(about(before).chip, "nct6775");
    assert_int_equal(info().sensors, 2);
    assert_string_equal(about(1).chip, "nct6776");
    assert_reading(1, VTS_PC_VALID, 30);
    finish();
}

/* Two that are lost in one pass are looked for together. */
static void sensors_lost_together_are_looked_for_once(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    start();
    fake_read_error(pc.world, ENODEV, "/sys/class/hwmon/hwmon0/temp1_input");
    fake_read_error(pc.world, ENODEV, "/sys/class/hwmon/hwmon1/temp1_input");
    pass();
    fake_read_error(pc.world, 0, "/sys/class/hwmon/hwmon0/temp1_input");
    fake_read_error(pc.world, 0, "/sys/class/hwmon/hwmon1/temp1_input");
    assert_int_equal(discoveries_in(1), 1);
    assert_int_equal(discoveries_in(10), 0);
    assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
    finish();
}

/* A CPU that is offline is no device that comes back by being looked for. */
static void cpu_that_is_gone_is_not_looked_for(void)
{
    build_cpus(2);
    fake_cpus(pc.world, 1, 1050, 9050);
    fake_file(pc.world, "0-1\n", "/sys/devices/system/cpu/online");
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    pass();
    assert_pu(1, VTS_PC_GONE, 0);
    assert_int_equal(discoveries_in(100), 0);
    finish();
}

// ----------------------------------------------------------------------------------
// Values out of bounds
// ----------------------------------------------------------------------------------

static void node_with_more_free_or_used_than_it_has_is_implausible(void)
{
    const char *node = "/sys/devices/system/node/node0/meminfo";

    build("pack:1 core:1 pu:1");
    fake_node_memory(pc.world, 0, 1000, 1000);
    start();
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_FREE, 0, VTS_PC_VALID, 1024000);
    fake_file(pc.world,
              "Node 0 MemTotal: 1000 kB\nNode 0 MemFree: 1001 kB\nNode 0 MemUsed: 2 kB\n",
              "%s", node);
    pass();
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_TOTAL, 0, VTS_PC_VALID, 1024000);
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_FREE, 0, VTS_PC_IMPLAUSIBLE, 0);
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_USED, 0, VTS_PC_VALID, 2048);
    fake_file(pc.world,
              "Node 0 MemTotal: 1000 kB\nNode 0 MemFree: x kB\nNode 0 MemUsed: 1001 kB\n",
              "%s", node);
    pass();
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_FREE, 0, VTS_PC_MALFORMED, 0);
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_USED, 0, VTS_PC_IMPLAUSIBLE, 0);
    fake_file(pc.world,
              "Node 0 MemTotal: x kB\nNode 0 MemFree: 5 kB\nNode 0 MemUsed: 6 kB\n", "%s",
              node);
    pass();
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_TOTAL, 0, VTS_PC_MALFORMED, 0);
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_FREE, 0, VTS_PC_VALID, 5120);
    finish();
}

/* A range of 0 is none: where the counter wraps is not known. */
static void range_of_0_is_no_range(void)
{
    build_rapl(5000000, 0);
    rapl_after(FAKE_S, 6000000);
    assert_rapl(6, VTS_PC_VALID, 1);
    rapl_after(FAKE_S, 1000000);
    assert_rapl(6, VTS_PC_NOT_YET, 0);
    finish();
}

static void cpus_with_a_gap_or_out_of_the_world_are_told_apart(void)
{
    const fake_cpu later[] = {{0, 1050, 0, 0, 9050, 0, 0, 0, 0, 0, 0},
                              {2, 1100, 0, 0, 9000, 0, 0, 0, 0, 0, 0},
                              {7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}};

    build_cpus(3);
    cpu_after_a_second(later, 3);
    assert_pu(0, VTS_PC_VALID, 0.5);
    assert_pu(1, VTS_PC_GONE, 0);
    assert_pu(2, VTS_PC_VALID, 1);
    finish();
}

/* Idle time alone may run backwards: the CPU was not away. */
static void idle_that_goes_back_alone_is_no_restart(void)
{
    const fake_cpu back[] = {{0, 1050, 0, 0, 9040, 0, 0, 0, 0, 0, 0}};
    const fake_cpu later[] = {{0, 1060, 0, 0, 9070, 0, 0, 0, 0, 0, 0}};

    build_cpus(1);
    fake_cpus(pc.world, 1, 1050, 9050);
    pass();
    cpu_after_a_second(back, 1);
    assert_pu(0, VTS_PC_VALID, 0.5); /* as before: nothing has moved on */
    cpu_after_a_second(later, 1);
    assert_pu(0, VTS_PC_VALID, 0.25);
    finish();
}

// ----------------------------------------------------------------------------------
// Slow by chance, asleep for good
// ----------------------------------------------------------------------------------

static void single_slow_read_is_no_quarantine(void)
{
    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_delay(pc.world, FAKE_MS, PACKAGE_0);
    start();
    fake_delay(pc.world, 30 * FAKE_MS, PACKAGE_0);
    assert_int_equal(reads_in(1), 1);
    fake_delay(pc.world, FAKE_MS, PACKAGE_0);
    assert_int_equal(reads_in(5), 5);
    finish();
}

/* The average has to come down first: 100, 50.5, 25.8, 13.4 ms. */
static void quarantine_ends_when_the_average_is_low(void)
{
    build("pack:1 core:1 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 50000);
    fake_delay(pc.world, 100 * FAKE_MS, PACKAGE_0);
    start();
    fake_delay(pc.world, FAKE_MS, PACKAGE_0);
    assert_int_equal(reads_in(6), 3);
    assert_int_equal(reads_in(4), 4);
    finish();
}

/* More than pass_cost_ns can hold. */
static void pass_of_5_s_costs_the_most_that_can_be_said(void)
{
    build_plain();
    fake_delay(pc.world, 5 * FAKE_S, "/proc/loadavg");
    start();
    assert_true(pc.now.pass_cost_ns == UINT32_MAX);
    assert_int_equal(info().cost_total_ns, UINT32_MAX);
    finish();
}

/* A device whose status may not be read is taken for awake, and not asked again. */
static void runtime_status_that_is_denied_is_left_alone(void)
{
    unsigned reads;

    build_gpu("active\n");
    start();
    fake_read_error(pc.world, EACCES, GPU "/power/runtime_status");
    pass();
    assert_gpu(VTS_PC_VALID, 45);
    reads = fake_reads(pc.world, GPU "/power/runtime_status");
    passes(3);
    assert_gpu(VTS_PC_VALID, 45);
    assert_int_equal(fake_reads(pc.world, GPU "/power/runtime_status"), reads);
    finish();
}

static void device_without_runtime_power_is_never_asleep(void)
{
    unsigned reads;

    build_gpu("unsupported\n");
    start();
    assert_gpu(VTS_PC_VALID, 45);
    reads = fake_reads(pc.world, GPU "/power/runtime_status");
    passes(3);
    assert_int_equal(fake_reads(pc.world, GPU "/power/runtime_status"), reads);
    finish();
}

/* A disk without labels has one sensor, the disk's. */
static void unlabelled_disk_is_read(void)
{
    build("pack:1 core:1 pu:1");
    pc.desc.metrics = VTS_PC_METRICS_ALL;
    fake_hwmon(pc.world, 5, "drivetemp", "/sys/devices/pci0000:00/0000:00:17.0/ata1");
    fake_input(pc.world, 5, 1, NULL, 33000);
    fake_hwmon(pc.world, 6, "nvme", "/sys/devices/pci0000:00/0000:04:00.0/nvme/nvme0");
    fake_input(pc.world, 6, 1, "Composite", 31000);
    fake_input(pc.world, 6, 2, "Sensor 1", 60000);
    start();
    assert_metric(VTS_PC_STORAGE_TEMPERATURE, VTS_PC_VALID, pc.now.storage_temperature, 33);
    assert_reading(temperature("ata1", "temp1"), VTS_PC_VALID, 33);
    assert_reading(temperature("nvme0", "Composite"), VTS_PC_VALID, 31);
    assert_reading(temperature("nvme0", "Sensor 1"), VTS_PC_DISABLED, 0);
    finish();
}

static const test_case tests[] = {
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
    TEST(counter_is_given_time_for_a_step),
    TEST(package_that_uses_nothing_is_implausible),
    TEST(part_that_uses_nothing_is_switched_off),
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
    TEST(file_without_an_end_is_no_data),
    TEST(cpus_without_memory_for_their_file_are_read_later),
    TEST(descriptor_that_was_closed_is_opened_again),
    TEST(every_passing_errno_is_recorded),
    TEST(limits_that_cannot_be_read_come_later),
    TEST(chip_that_changes_its_name_is_another),
    TEST(sensors_lost_together_are_looked_for_once),
    TEST(cpu_that_is_gone_is_not_looked_for),
    TEST(node_with_more_free_or_used_than_it_has_is_implausible),
    TEST(range_of_0_is_no_range),
    TEST(cpus_with_a_gap_or_out_of_the_world_are_told_apart),
    TEST(idle_that_goes_back_alone_is_no_restart),
    TEST(single_slow_read_is_no_quarantine),
    TEST(quarantine_ends_when_the_average_is_low),
    TEST(pass_of_5_s_costs_the_most_that_can_be_said),
    TEST(runtime_status_that_is_denied_is_left_alone),
    TEST(device_without_runtime_power_is_never_asleep),
    TEST(unlabelled_disk_is_read),
};

TEST_MAIN(tests)
