/* t_pcmon_map.c - which sensors the monitor finds, on which hwloc object it puts them, and
   which temperature is the CPU's. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include "pcmon_test.h"
#include "test.h"

// ----------------------------------------------------------------------------------
// The whole machine once
// ----------------------------------------------------------------------------------

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
    vts_pc_reading heat;

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
    assert_int_equal(vts_pcmon_here(pc.monitor, &heat, NULL), 0);
    assert_int_equal(heat.sensor, VTS_PC_NO_INDEX);
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

/* The source a provider names counts; naming none, it is the source itself. */
static void name_a_source(void *user, vts_pc_statistics *s)
{
    s->cpu_temperature = 44;
    s->cpu_temperature_source = *(const uint8_t *)user;
    s->state[VTS_PC_CPU_TEMPERATURE] = VTS_PC_VALID;
}

static void provider_may_name_its_source(void)
{
    uint8_t source = VTS_PC_SOURCE_BOARD;

    build_every_source();
    pc.desc.provider = name_a_source;
    pc.desc.provider_user = &source;
    start();
    assert_temperature(44, VTS_PC_SOURCE_BOARD);
    source = VTS_PC_SOURCE_NONE;
    pass();
    assert_temperature(44, VTS_PC_SOURCE_USER);
    finish();
}

static void take_the_temperature(void *user, vts_pc_statistics *s)
{
    (void)user;
    s->state[VTS_PC_CPU_TEMPERATURE] = VTS_PC_NO_DATA;
}

static void provider_may_take_the_temperature(void)
{
    build_every_source();
    pc.desc.provider = take_the_temperature;
    start();
    assert_no_temperature(VTS_PC_NO_DATA);
    finish();
}

// ----------------------------------------------------------------------------------
// Dies, core complexes, slots
// ----------------------------------------------------------------------------------

/* The number of a coretemp chip is a die's there, not a package's. */
static void chip_of_a_package_of_several_dies_is_no_package_s(void)
{
    build("pack:2 die:2 core:1(indexes=0,1,0,1) pu:1");
    fake_coretemp(pc.world, 0, 1, "Package id 1", 42000);
    fake_core(pc.world, 0, 0, 42000); /* die 1 has core 1 only */
    start();
    assert_unmapped(temperature("coretemp.1", "Package id 1"));
    assert_unmapped(temperature("coretemp.1", "Core 0"));
    finish();
}

static void single_die_of_a_package_gives_the_package_s_numbers(void)
{
    build("pack:2 die:1 core:2(indexes=0,1,0,1) pu:1");
    pc.desc.every_temperature = true;
    fake_coretemp(pc.world, 0, 0, "Package id 0", 42000);
    fake_core(pc.world, 0, 0, 41000);
    fake_coretemp(pc.world, 1, 1, "Package id 1", 43000);
    fake_core(pc.world, 1, 1, 43500);
    fake_rapl(pc.world, "0", "package-0", 1000000, 1000000000);
    fake_rapl(pc.world, "1", "package-1", 2000000, 1000000000);
    start();
    assert_mapped(temperature("coretemp.1", "Package id 1"), VTS_PC_OBJECT_DIE, 1);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 42);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 43);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_ENERGY, 1, VTS_PC_VALID, 2);
    assert_object(VTS_PC_OBJECT_CORE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 41);
    assert_object(VTS_PC_OBJECT_CORE, VTS_PC_KIND_TEMPERATURE, 3, VTS_PC_VALID, 43.5);
    finish();
}

/* One zone for each die, and thermal_zone9 before thermal_zone10. */
static void package_zones_may_be_those_of_dies(void)
{
    build("pack:2 die:2 core:1 pu:1");
    pc.desc.every_temperature = true;
    fake_zone(pc.world, 10, "x86_pkg_temp", 34000);
    fake_zone(pc.world, 1, "x86_pkg_temp", 31000);
    fake_zone(pc.world, 2, "x86_pkg_temp", 32000);
    fake_zone(pc.world, 9, "x86_pkg_temp", 33000);
    start();
    assert_mapped(temperature("thermal_zone1", "x86_pkg_temp"), VTS_PC_OBJECT_DIE, 0);
    assert_mapped(temperature("thermal_zone10", "x86_pkg_temp"), VTS_PC_OBJECT_DIE, 3);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 32);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 34);
    finish();
}

/* The hottest of the dies that answer; a sum with a part missing is no sum. */
static void package_of_dies_is_what_they_say_together(void)
{
    build("pack:1 die:3 core:1 pu:1");
    pc.desc.every_temperature = true;
    fake_zone(pc.world, 0, "x86_pkg_temp", 33000);
    fake_zone(pc.world, 1, "x86_pkg_temp", 31000);
    fake_zone(pc.world, 2, "x86_pkg_temp", 35000);
    fake_rapl(pc.world, "0", "package-0-die-0", 1000000, 1000000000);
    fake_rapl(pc.world, "0:0", "core", 500000, 1000000000);
    fake_rapl(pc.world, "1", "package-0-die-1", 2000000, 1000000000);
    fake_rapl(pc.world, "2", "package-0-die-2", 3000000, 1000000000);
    start();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 35);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_ENERGY, 0, VTS_PC_VALID, 6);
    fake_read_error(pc.world, ENODATA, "/sys/class/thermal/thermal_zone2/temp");
    fake_read_error(pc.world, ENODATA, "/sys/class/powercap/intel-rapl:1/energy_uj");
    pass();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 33);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_ENERGY, 0, VTS_PC_NO_DATA, 0);
    fake_read_error(pc.world, ENODATA, "/sys/class/thermal/thermal_zone0/temp");
    pass();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 31);
    fake_read_error(pc.world, EACCES, "/sys/class/thermal/thermal_zone1/temp");
    pass();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_NO_DATA, 0);
    finish();
}

static void tdie_comes_before_tctl(void)
{
    build("pack:1 l3:2 core:2 pu:1");
    pc.desc.every_temperature = true;
    fake_k10temp(pc.world, 0, 0, "0-3");
    fake_input(pc.world, 0, 1, "Tctl", 87000);
    fake_input(pc.world, 0, 2, "Tdie", 60000);
    fake_input(pc.world, 0, 3, "Tccd1", 59000);
    fake_input(pc.world, 0, 4, "Tccd2", 58000);
    start();
    assert_temperature(60, VTS_PC_SOURCE_K10TEMP);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 60);
    assert_object(VTS_PC_OBJECT_L3, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 58);
    fake_read_error(pc.world, ENODATA, "/sys/class/hwmon/hwmon0/temp2_input");
    pass();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 87);
    fake_read_error(pc.world, 0, "/sys/class/hwmon/hwmon0/temp2_input");
    fake_read_error(pc.world, ENODATA, "/sys/class/hwmon/hwmon0/temp1_input");
    pass();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 60);
    finish();
}

static void zenpower_is_understood_like_k10temp(void)
{
    const char *device = "/sys/devices/pci0000:00/0000:00:18.3";
    vts_pc_reading heat;

    build("pack:1 l3:1 core:2 pu:1");
    pc.desc.every_temperature = true;
    fake_hwmon(pc.world, 0, "zenpower", device);
    fake_file(pc.world, "0-1\n", "%s/local_cpulist", device);
    fake_input(pc.world, 0, 1, "Tdie", 61000);
    fake_input(pc.world, 0, 2, "Tctl", 71000);
    fake_input(pc.world, 0, 3, "Tccd1", 60500);
    start();
    assert_temperature(61, VTS_PC_SOURCE_K10TEMP);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 61);
    assert_object(VTS_PC_OBJECT_L3, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 60.5);
    fake_read_error(pc.world, ENODATA, "/sys/class/hwmon/hwmon0/temp3_input");
    pass();
    assert_int_equal(vts_pcmon_here(pc.monitor, &heat, NULL), 0);
    assert_number(heat.value, 61); /* not the control value, which comes second */
    finish();
}

static void k10temp_of_old_without_labels_is_tctl(void)
{
    build("pack:1 core:2 pu:1");
    fake_k10temp(pc.world, 0, 0, "0-1");
    fake_input(pc.world, 0, 1, NULL, 50000);
    start();
    assert_temperature(50, VTS_PC_SOURCE_K10TEMP_CTL);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 50);
    finish();
}

/* The firmware makes a node of each L3: the chip is still the package's. */
static void chip_near_one_l3_is_the_package_s(void)
{
    build("pack:2 l3:4 [numa] core:2 pu:1");
    pc.desc.every_temperature = true;
    fake_k10temp(pc.world, 0, 0, "0-1");
    fake_input(pc.world, 0, 1, "Tctl", 50000);
    fake_input(pc.world, 0, 3, "Tccd1", 41000);
    fake_input(pc.world, 0, 4, "Tccd3", 42000);
    fake_input(pc.world, 0, 5, "Tccd5", 43000);
    fake_input(pc.world, 0, 6, "Tccd7", 44000);
    fake_k10temp(pc.world, 1, 1, "8-9");
    fake_input(pc.world, 1, 1, "Tctl", 52000);
    start();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 50);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 52);
    assert_object(VTS_PC_OBJECT_L3, VTS_PC_KIND_TEMPERATURE, 2, VTS_PC_VALID, 43);
    finish();
}

/* A k10temp chip that only its slot, or its path, could place; none does. */
static void assert_not_placed(const char *synthetic, const char *device, const char *why)
{
    const char *name = strrchr(device, '/') + 1;

    build(synthetic);
    fake_hwmon(pc.world, 0, "k10temp", device);
    fake_input(pc.world, 0, 1, "Tctl", 50000);
    fake_input(pc.world, 0, 2, "Tccd1", 49000);
    start();
    assert_unmapped(temperature(name, "Tctl"));
    assert_unmapped(temperature(name, "Tccd1"));
    assert_string_equal(about(temperature(name, "Tctl")).mapping, why);
    finish();
}

static void slot_is_no_proof_without_its_node(void)
{
    const char *unknown = "the device has no local_cpulist";

    assert_not_placed("pack:2 l3:4 [numa] core:2 pu:1",
                      "/sys/devices/pci0000:00/0000:00:19.3", unknown);
    assert_not_placed("pack:2 [numa] core:2 pu:1", "/sys/devices/pci0000:00/0000:00:17.3",
                      unknown);
    assert_not_placed("pack:2 [numa] core:2 pu:1", "/sys/devices/pci0000:00/0000:00:1a.3",
                      unknown);
    assert_not_placed("pack:2 [numa] core:2 pu:1", "/sys/devices/platform/k10temp.0",
                      unknown);
    assert_not_placed("[numa] [numa] pack:2 core:2 pu:1",
                      "/sys/devices/pci0000:00/0000:00:18.3", unknown);
}

/* Nodes are the dies', so slots count dies. */
static void slot_may_be_that_of_a_die(void)
{
    build("pack:2 die:2 [numa] l3:2 core:2 pu:1");
    pc.desc.every_temperature = true;
    fake_k10temp(pc.world, 0, 0, "0-3");
    fake_input(pc.world, 0, 1, "Tctl", 50000);
    fake_k10temp(pc.world, 1, 1, "4-7");
    fake_input(pc.world, 1, 1, "Tctl", 55000);
    fake_hwmon(pc.world, 2, "k10temp", "/sys/devices/pci0000:00/0000:00:1b.3");
    fake_input(pc.world, 2, 1, "Tctl", 57000);
    start();
    assert_mapped(temperature("0000:00:18.3", "Tctl"), VTS_PC_OBJECT_DIE, 0);
    assert_mapped(temperature("0000:00:19.3", "Tctl"), VTS_PC_OBJECT_DIE, 1);
    assert_mapped(temperature("0000:00:1b.3", "Tctl"), VTS_PC_OBJECT_DIE, 3);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 55);
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 57);
    finish();
}

static void ccds_may_be_dies(void)
{
    build("pack:1 die:2 l3:1 core:2 pu:1");
    pc.desc.every_temperature = true;
    fake_k10temp(pc.world, 0, 0, "0-1");
    fake_input(pc.world, 0, 1, "Tctl", 50000);
    fake_input(pc.world, 0, 3, "Tccd1", 48000);
    fake_input(pc.world, 0, 4, "Tccd2", 47000);
    start();
    assert_object(VTS_PC_OBJECT_PACKAGE, VTS_PC_KIND_TEMPERATURE, 0, VTS_PC_VALID, 50);
    assert_object(VTS_PC_OBJECT_DIE, VTS_PC_KIND_TEMPERATURE, 1, VTS_PC_VALID, 47);
    finish();
}

static void amd_chip_of_no_package_or_near_no_cpu_is_unmapped(void)
{
    build("l3:2 core:2 pu:1");
    fake_k10temp(pc.world, 0, 0, "0-1");
    fake_input(pc.world, 0, 1, "Tctl", 50000);
    start();
    assert_unmapped(temperature("0000:00:18.3", "Tctl"));
    assert_string_equal(about(temperature("0000:00:18.3", "Tctl")).mapping,
                        "the chip's package is not known");
    finish();
    build("pack:2 core:2 pu:1");
    fake_k10temp(pc.world, 0, 0, "");
    fake_input(pc.world, 0, 1, "Tctl", 50000);
    start();
    assert_unmapped(temperature("0000:00:18.3", "Tctl"));
    assert_string_equal(about(temperature("0000:00:18.3", "Tctl")).mapping,
                        "local_cpulist is empty");
    finish();
}

/* Names that a driver gives, or not. */
static void coretemp_without_its_numbers_is_unmapped(void)
{
    build("pack:1 core:2 pu:1");
    fake_hwmon(pc.world, 0, "coretemp", "/sys/devices/platform/thermal");
    fake_input(pc.world, 0, 1, "Package id 0", 50000);
    fake_input(pc.world, 0, 2, "Core 0", 40000);
    fake_coretemp(pc.world, 1, 0, "Package id 0", 51000);
    fake_core(pc.world, 1, 0, 41000);
    fake_input(pc.world, 1, 9, "Core x", 42000);
    start();
    assert_unmapped(temperature("thermal", "Package id 0"));
    assert_unmapped(temperature("thermal", "Core 0"));
    assert_mapped(temperature("coretemp.0", "Core 0"), VTS_PC_OBJECT_CORE, 0);
    assert_unmapped(temperature("coretemp.0", "Core x"));
    assert_int_equal(about(temperature("coretemp.0", "Core x")).own_index, VTS_PC_NO_INDEX);
    finish();
}

/* A chip all of whose core labels are without a number proves nothing. */
static void label_without_a_number_is_no_proof(void)
{
    build("pack:1 core:2 pu:1");
    fake_coretemp(pc.world, 0, 0, "Package id 0", 51000);
    fake_input(pc.world, 0, 9, "Core x", 42000);
    start();
    assert_unmapped(temperature("coretemp.0", "Package id 0"));
    finish();
}

// ----------------------------------------------------------------------------------
// Devices of the topology
// ----------------------------------------------------------------------------------

/* Two cores, a disk at 01:00.0 and a GPU at 02.0. */
static const char machine_with_devices[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n<topology version=\"2.0\">\n"
    "<object type=\"Machine\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\""
    " allowed_cpuset=\"0x3\" nodeset=\"0x1\" complete_nodeset=\"0x1\""
    " allowed_nodeset=\"0x1\" gp_index=\"1\">"
    "<object type=\"Package\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"2\">"
    "<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"3\"%s/>"
    "<object type=\"Core\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"4\">"
    "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"5\"/></object>"
    "<object type=\"Core\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"6\">"
    "<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"7\"/></object>"
    "<object type=\"Bridge\" gp_index=\"8\" bridge_type=\"0-1\" depth=\"0\""
    " bridge_pci=\"0000:[00-01]\">"
    "<object type=\"PCIDev\" gp_index=\"9\" pci_busid=\"0000:01:00.0\""
    " pci_type=\"0108 [144d:a808] [144d:a801] 00\" pci_link_speed=\"3.9\"/>"
    "<object type=\"PCIDev\" gp_index=\"10\" pci_busid=\"0000:00:02.0\""
    " pci_type=\"0300 [1002:73bf] [1002:73bf] 00\" pci_link_speed=\"3.9\"/>"
    "</object></object></object></topology>";

static void build_devices(bool discover_io)
{
    static char xml[4096];

    snprintf(xml, sizeof xml, machine_with_devices, "");
    build(NULL);
    pc.desc.topology_xml = xml;
    pc.desc.discover_io = discover_io;
    pc.desc.metrics = VTS_PC_METRICS_ALL;
    fake_hwmon(pc.world, 0, "nvme",
               "/sys/devices/pci0000:00/0000:00:01.1/0000:01:00.0/nvme/nvme0");
    fake_input(pc.world, 0, 1, "Composite", 40000);
    fake_input(pc.world, 0, 2, "Sensor 1", 50000);
    fake_hwmon(pc.world, 1, "amdgpu", "/sys/devices/pci0000:00/0000:00:02.0");
    fake_input(pc.world, 1, 1, "edge", 45000);
    fake_hwmon(pc.world, 2, "iwlwifi_1",
               "/sys/devices/pci0000:00/0000:00:14.3/ieee80211/phy0");
    fake_input(pc.world, 2, 1, NULL, 46000);
    start();
}

static void sensors_of_devices_are_on_their_pci_device(void)
{
    vts_pc_sensor_info disk, gpu;

    build_devices(true);
    disk = about(temperature("nvme0", "Composite"));
    gpu = about(temperature("0000:00:02.0", "edge"));
    assert_int_equal(disk.object_type, VTS_PC_OBJECT_DEVICE);
    assert_int_equal(disk.package, 0);
    assert_false(disk.subordinate);
    assert_int_equal(disk.object->attr->pcidev.vendor_id, 0x144d);
    assert_int_equal(gpu.object_type, VTS_PC_OBJECT_DEVICE);
    assert_int_equal(gpu.object->attr->pcidev.vendor_id, 0x1002);
    assert_unmapped(temperature("phy0", "temp1"));
    assert_metric(VTS_PC_GPU_TEMPERATURE, VTS_PC_VALID, pc.now.gpu_temperature, 45);
    assert_metric(VTS_PC_STORAGE_TEMPERATURE, VTS_PC_VALID, pc.now.storage_temperature, 40);
    finish();
}

static void devices_are_not_looked_for_unless_asked(void)
{
    build_devices(false);
    assert_unmapped(temperature("nvme0", "Composite"));
    assert_unmapped(temperature("0000:00:02.0", "edge"));
    assert_metric(VTS_PC_GPU_TEMPERATURE, VTS_PC_VALID, pc.now.gpu_temperature, 45);
    finish();
}

// ----------------------------------------------------------------------------------
// Chips, policies, zones
// ----------------------------------------------------------------------------------

/* The chip's name and the input's label say what it is. */
static void names_decide_the_source(void)
{
    static const struct {
        const char *chip, *label;
        vts_pc_source source;
    } all[] = {
        {"acpitz", NULL, VTS_PC_SOURCE_ACPI},
        {"scpi_sensors", "pvt", VTS_PC_SOURCE_SOC_HWMON},
        {"bcm2835_thermal", NULL, VTS_PC_SOURCE_SOC_HWMON},
        {"bcm2835", NULL, VTS_PC_SOURCE_SOC_HWMON},
        {"bigcore0_thermal", NULL, VTS_PC_SOURCE_SOC_HWMON},
        {"soc_thermal", NULL, VTS_PC_SOURCE_SOC_HWMON},
        {"gpu_thermal", NULL, VTS_PC_SOURCE_OTHER},
        {"cpu", NULL, VTS_PC_SOURCE_OTHER},
        {"nct6775", "CPUTIN", VTS_PC_SOURCE_BOARD},
        {"nct6775", "PECI Agent 0", VTS_PC_SOURCE_BOARD},
        {"nct6775", "SYSTIN", VTS_PC_SOURCE_OTHER},
        {"xe", "pkg", VTS_PC_SOURCE_GPU},
        {"drivetemp", NULL, VTS_PC_SOURCE_STORAGE},
        {"k10temp", "Tccd1", VTS_PC_SOURCE_K10TEMP_CCD},
        {"zenpower", "Tctl", VTS_PC_SOURCE_K10TEMP_CTL},
    };
    const int count = (int)(sizeof all / sizeof all[0]);
    char device[64];
    int i;

    build("pack:1 core:1 pu:1");
    for (i = 0; i < count; i++) {
        snprintf(device, sizeof device, "/sys/devices/platform/d%d", i);
        fake_hwmon(pc.world, i, all[i].chip, device);
        fake_input(pc.world, i, 1, all[i].label, 50000);
    }
    start();
    for (i = 0; i < count; i++) {
        snprintf(device, sizeof device, "d%d", i);
        assert_string_equal(vts_pc_source_name(about(temperature(device, "temp1")).source),
                            vts_pc_source_name((int)all[i].source));
    }
    finish();
}

static void types_decide_the_source_of_a_zone(void)
{
    static const struct {
        const char *type;
        vts_pc_source source;
    } all[] = {
        {"x86_pkg_temp", VTS_PC_SOURCE_X86_PKG_TEMP}, {"acpitz", VTS_PC_SOURCE_ACPI},
        {"cpu0-thermal", VTS_PC_SOURCE_SOC_ZONE},     {"soc-thermal", VTS_PC_SOURCE_SOC_ZONE},
        {"bcm2835_thermal", VTS_PC_SOURCE_SOC_ZONE},  {"gpu-thermal", VTS_PC_SOURCE_OTHER},
    };
    const int count = (int)(sizeof all / sizeof all[0]);
    char device[64];
    int i;

    build("pack:2 core:1 pu:1");
    for (i = 0; i < count; i++) fake_zone(pc.world, i, all[i].type, 50000);
    start();
    for (i = 0; i < count; i++) {
        snprintf(device, sizeof device, "thermal_zone%d", i);
        assert_int_equal(about(temperature(device, "temp")).source, all[i].source);
    }
    finish();
}

/* Drivers of old have the name and the inputs beside the device, or no name. */
static void old_chips_keep_everything_at_the_device(void)
{
    const char *device = "/sys/devices/platform/w83627hf.656";

    build("pack:1 core:1 pu:1");
    fake_link(pc.world, device, "/sys/class/hwmon/hwmon0/device");
    fake_file(pc.world, "w83627hf\n", "%s/name", device);
    fake_number(pc.world, 40000, "%s/temp1_input", device);
    fake_directory(pc.world, "/sys/class/hwmon/hwmon1/device");
    fake_number(pc.world, 41000, "/sys/class/hwmon/hwmon1/temp1_input");
    fake_number(pc.world, 42000, "/sys/class/hwmon/hwmon2/temp1_input");
    pc.desc.every_temperature = true;
    start();
    assert_string_equal(about(temperature("w83627hf.656", "temp1")).chip, "w83627hf");
    assert_reading(temperature("w83627hf.656", "temp1"), VTS_PC_VALID, 40);
    assert_string_equal(about(temperature("device", "temp1")).chip, "hwmon1");
    assert_reading(temperature("device", "temp1"), VTS_PC_VALID, 41);
    assert_string_equal(about(temperature("hwmon2", "temp1")).chip, "hwmon2");
    assert_reading(temperature("hwmon2", "temp1"), VTS_PC_VALID, 42);
    finish();
}

/* While the name beside the device, or the device, is not known the chip waits. */
static void old_chip_is_left_out_while_it_is_not_known(void)
{
    const char *device = "/sys/devices/platform/w83627hf.656";

    build("pack:1 core:1 pu:1");
    fake_link(pc.world, device, "/sys/class/hwmon/hwmon0/device");
    fake_file(pc.world, "w83627hf\n", "%s/name", device);
    fake_read_error(pc.world, EAGAIN, "%s/name", device);
    fake_number(pc.world, 40000, "%s/temp1_input", device);
    create();
    tick();
    assert_int_equal(find(VTS_PC_KIND_TEMPERATURE, "w83627hf.656", "temp1"), VTS_PC_NO_INDEX);
    assert_code(info().discovery_error, -EAGAIN);
    fake_read_error(pc.world, 0, "%s/name", device);
    fake_fail(pc.world, FAKE_REALPATH, 1, EIO);
    pass();
    assert_int_equal(find(VTS_PC_KIND_TEMPERATURE, "w83627hf.656", "temp1"), VTS_PC_NO_INDEX);
    assert_code(info().discovery_error, -EIO);
    passes(2);
    assert_code(info().discovery_error, 0);
    assert_string_equal(about(temperature("w83627hf.656", "temp1")).chip, "w83627hf");
    finish();
}

/* A path that cannot be kept whole is none. */
static void device_with_too_long_a_path_is_listed_without(void)
{
    char device[600], policy[600];

    memset(device, 'd', sizeof device);
    memcpy(device, "/sys/devices/", strlen("/sys/devices/"));
    memcpy(policy, device, sizeof policy);
    device[508] = policy[500] = '\0';
    build("pack:1 core:1 pu:1");
    pc.desc.every_temperature = true;
    fake_directory(pc.world, "%s", device);
    fake_link(pc.world, device, "/sys/class/hwmon/hwmon0/device");
    fake_file(pc.world, "nct6775\n", "/sys/class/hwmon/hwmon0/name");
    fake_number(pc.world, 40000, "/sys/class/hwmon/hwmon0/temp1_input");
    fake_directory(pc.world, "%s", policy);
    fake_cpus(pc.world, 1, 100, 900);
    fake_link(pc.world, policy, "/sys/devices/system/cpu/cpu0/cpufreq");
    fake_link(pc.world, policy, "/sys/devices/system/cpu/cpu0/thermal_throttle");
    start();
    assert_code(info().discovery_error, 0);
    assert_int_equal(info().sensors, 1 + 3);
    assert_reading(0, VTS_PC_VALID, 40);
    assert_state(pc.now.state[VTS_PC_CPU_FREQUENCY], VTS_PC_UNSUPPORTED, "frequency");
    assert_state(pc.now.state[VTS_PC_CPU_THROTTLE_COUNT], VTS_PC_UNSUPPORTED, "throttle");
    finish();
}

static void policy_leader_leaves_and_returns(void)
{
    const char *cpu = "/sys/devices/system/cpu";
    uint32_t first, last;

    build("pack:1 core:3 pu:1");
    fake_cpus(pc.world, 3, 100, 900);
    fake_cpufreq(pc.world, 0, 1500000);
    fake_link(pc.world, "../cpufreq/policy0", "%s/cpu1/cpufreq", cpu);
    fake_link(pc.world, "../cpufreq/policy0", "%s/cpu2/cpufreq", cpu);
    start();
    first = sensor(VTS_PC_KIND_FREQUENCY, "policy0", "cpu0");
    last = sensor(VTS_PC_KIND_FREQUENCY, "policy0", "cpu2");
    fake_remove(pc.world, "%s/cpu2/cpufreq", cpu);
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    pass();
    assert_reading(first, VTS_PC_VALID, 1.5e9);
    assert_reading(last, VTS_PC_GONE, 0);
    fake_remove(pc.world, "%s/cpu0/cpufreq", cpu);
    fake_link(pc.world, "../cpufreq/policy0", "%s/cpu2/cpufreq", cpu);
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    pass();
    assert_reading(first, VTS_PC_GONE, 0);
    assert_reading(last, VTS_PC_VALID, 1.5e9);
    assert_metric(VTS_PC_CPU_FREQUENCY, VTS_PC_VALID, pc.now.cpu_frequency, 1.5e9);
    fake_link(pc.world, "../cpufreq/policy0", "%s/cpu0/cpufreq", cpu);
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    pass();
    assert_reading(first, VTS_PC_VALID, 1.5e9);
    assert_reading(last, VTS_PC_VALID, 1.5e9);
    finish();
}

#define POLICY "/sys/devices/system/cpu/cpufreq/policy0"

static void start_average(int error)
{
    build("pack:1 core:1 pu:1");
    fake_cpus(pc.world, 1, 100, 900);
    fake_cpufreq(pc.world, 0, 1500000);
    fake_number(pc.world, 1400000, POLICY "/cpuinfo_avg_freq");
    fake_read_error(pc.world, error, POLICY "/cpuinfo_avg_freq");
    start();
}

/* An idle CPU has no average just then; one that never has one is not asked. */
static void average_frequency_may_be_missing_for_a_while(void)
{
    start_average(EAGAIN);
    assert_reading(sensor(VTS_PC_KIND_FREQUENCY, "policy0", "cpuinfo_avg_freq"),
                   VTS_PC_NO_DATA, 0);
    fake_read_error(pc.world, 0, POLICY "/cpuinfo_avg_freq");
    pass();
    assert_metric(VTS_PC_CPU_FREQUENCY, VTS_PC_VALID, pc.now.cpu_frequency, 1.4e9);
    finish();
    start_average(EOPNOTSUPP);
    assert_metric(VTS_PC_CPU_FREQUENCY, VTS_PC_VALID, pc.now.cpu_frequency, 1.5e9);
    assert_int_equal(find(VTS_PC_KIND_FREQUENCY, "policy0", "cpuinfo_avg_freq"),
                     VTS_PC_NO_INDEX);
    finish();
}

static void frequency_is_above_0_and_up_to_100_ghz(void)
{
    static const struct {
        int64_t khz;
        vts_pc_state state;
    } all[] = {{0, VTS_PC_IMPLAUSIBLE},
               {1, VTS_PC_VALID},
               {100000000, VTS_PC_VALID},
               {100000001, VTS_PC_IMPLAUSIBLE}};
    size_t i;

    build("pack:1 core:1 pu:1");
    fake_cpus(pc.world, 1, 100, 900);
    fake_cpufreq(pc.world, 0, 1);
    start();
    for (i = 0; i < sizeof all / sizeof all[0]; i++) {
        fake_number(pc.world, all[i].khz, POLICY "/scaling_cur_freq");
        pass();
        assert_metric(VTS_PC_CPU_FREQUENCY, all[i].state, pc.now.cpu_frequency,
                      (double)all[i].khz * 1000);
    }
    finish();
}

/* The count is the core's and the package's, whichever CPU shows it. */
static void throttle_survives_the_hotplug_of_its_first_cpu(void)
{
    uint32_t package;
    int cpu;

    build("pack:1 core:2 pu:2");
    fake_cpus(pc.world, 4, 100, 900);
    for (cpu = 0; cpu < 4; cpu++) fake_throttle(pc.world, cpu, cpu < 2 ? 5 : 9, 30);
    start();
    package = sensor(VTS_PC_KIND_THROTTLE_COUNT, "package0", "package_throttle_count");
    fake_remove(pc.world, "/sys/devices/system/cpu/cpu0/thermal_throttle");
    assert_code(vts_pcmon_rediscover(pc.monitor), VTS_OK);
    pass();
    assert_reading(package, VTS_PC_VALID, 30);
    assert_object(VTS_PC_OBJECT_CORE, VTS_PC_KIND_THROTTLE_COUNT, 0, VTS_PC_VALID, 5);
    assert_metric(VTS_PC_CPU_THROTTLE_COUNT, VTS_PC_VALID, pc.now.cpu_throttle_count, 30);
    finish();
}

static void throttle_of_cores_alone_is_listed_alone(void)
{
    build("pack:1 core:1 pu:1");
    fake_cpus(pc.world, 1, 100, 900);
    fake_number(pc.world, 4,
                "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count");
    start();
    assert_object(VTS_PC_OBJECT_CORE, VTS_PC_KIND_THROTTLE_COUNT, 0, VTS_PC_VALID, 4);
    assert_int_equal(find(VTS_PC_KIND_THROTTLE_COUNT, "package0", "package_throttle_count"),
                     VTS_PC_NO_INDEX);
    assert_metric(VTS_PC_CPU_THROTTLE_COUNT, VTS_PC_UNSUPPORTED, pc.now.cpu_throttle_count, 0);
    finish();
}

/* A part belongs to the zone whose whole name it begins with. */
static void subzone_of_a_missing_zone_is_unmapped(void)
{
    build("pack:2 core:1 pu:1");
    fake_rapl(pc.world, "1", "package-1", 1000000, 1000000000);
    fake_rapl(pc.world, "1:0", "core", 400000, 1000000000);
    fake_rapl(pc.world, "10:0", "core", 500000, 1000000000);
    start();
    assert_mapped(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:1:0", "core"),
                  VTS_PC_OBJECT_PACKAGE, 1);
    assert_unmapped(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:10:0", "core"));
    assert_true(about(sensor(VTS_PC_KIND_ENERGY, "intel-rapl:10:0", "core")).subordinate);
    finish();
}

/* Numbers that no CPU has, and a line out of order. */
static void cpus_that_cannot_be_are_left_out(void)
{
    build("pack:1 core:2 pu:1");
    fake_cpus(pc.world, 2, 100, 900);
    fake_file(pc.world,
              "cpu  3 0 0 9 0 0 0 0 0 0\ncpu1 1 0 0 3 0 0 0 0 0 0\n"
              "cpu0 1 0 0 3 0 0 0 0 0 0\ncpu1 1 0 0 3 0 0 0 0 0 0\n",
              "/proc/stat");
    fake_cpufreq(pc.world, 70000, 1000000);
    start();
    assert_int_equal(info().sensors, 3);
    assert_mapped(sensor(VTS_PC_KIND_UTILIZATION, "cpu1", "cpu1"), VTS_PC_OBJECT_PU, 1);
    finish();
}

// ----------------------------------------------------------------------------------
// Without a topology, without files
// ----------------------------------------------------------------------------------

static void broken_topology_leaves_sensors_without_objects(void)
{
    build(NULL);
    pc.desc.topology_xml = "<topology version=\"2.0\"><object/></topology>";
    fake_two_packages(pc.world);
    fake_zone(pc.world, 0, "x86_pkg_temp", 40000);
    fake_remove(pc.world, "/proc/meminfo");
    start();
    assert_true(info().topology_error < 0);
    assert_int_equal(info().unmapped, info().sensors);
    assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
    assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_UNSUPPORTED, pc.now.memory_total, 0);
    assert_code(vts_pcmon_here(pc.monitor, NULL, NULL), -ENOENT);
    finish();
}

/* Hwloc's own number where the system shows none; not that of another machine. */
static void memory_of_hwloc_counts_on_this_machine_alone(void)
{
    static const struct {
        const char *memory, *here;
        vts_pc_state state;
    } all[] = {
        {" local_memory=\"1073741824\"", "1", VTS_PC_VALID},
        {" local_memory=\"1073741824\"", "0", VTS_PC_UNSUPPORTED},
        {"", "1", VTS_PC_UNSUPPORTED},
    };
    char xml[4096];
    size_t i;

    for (i = 0; i < sizeof all / sizeof all[0]; i++) {
        snprintf(xml, sizeof xml, machine_with_devices, all[i].memory);
        setenv("HWLOC_THISSYSTEM", all[i].here, 1);
        build(NULL);
        pc.desc.topology_xml = xml;
        start();
        unsetenv("HWLOC_THISSYSTEM");
        assert_metric(VTS_PC_MEMORY_TOTAL, all[i].state, pc.now.memory_total, 1073741824);
        assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_TOTAL, 0, all[i].state,
                      1073741824);
        finish();
    }
}

/* Nothing is listed by halves when memory is short. */
static void find_memory_of_hwloc(void)
{
    char xml[4096];
    int error;

    snprintf(xml, sizeof xml, machine_with_devices, " local_memory=\"1073741824\"");
    build(NULL);
    pc.desc.topology_xml = xml;
    error = vts_pcmon_create(&pc.monitor, &pc.desc);
    if (error != VTS_OK) {
        assert_code(error, -ENOMEM);
        fake_free(pc.world);
        return;
    }
    tick();
    passes(2);
    assert_code(info().discovery_error, 0);
    assert_object(VTS_PC_OBJECT_NUMA_NODE, VTS_PC_KIND_MEMORY_TOTAL, 0, VTS_PC_VALID,
                  1073741824);
    finish();
}

static void memory_of_hwloc_survives_every_allocation_that_fails(void)
{
    setenv("HWLOC_THISSYSTEM", "1", 1);
    assert_in_range(test_every_failure(find_memory_of_hwloc), 4, 500);
    unsetenv("HWLOC_THISSYSTEM");
}

/* The path of the class serves where the device's own is too long to be kept. */
static void chip_with_too_long_a_path_goes_by_its_class(void)
{
    char device[600];

    memset(device, 'd', sizeof device);
    memcpy(device, "/sys/devices/", strlen("/sys/devices/"));
    device[520] = '\0';
    build("pack:1 core:1 pu:1");
    pc.desc.every_temperature = true;
    fake_file(pc.world, "nct6775\n", "%s/name", device);
    fake_number(pc.world, 40000, "%s/temp1_input", device);
    fake_link(pc.world, device, "/sys/class/hwmon/hwmon0");
    start();
    assert_string_equal(about(0).device, "hwmon0");
    assert_reading(0, VTS_PC_VALID, 40);
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
    TEST(chip_of_a_package_of_several_dies_is_no_package_s),
    TEST(single_die_of_a_package_gives_the_package_s_numbers),
    TEST(package_zones_may_be_those_of_dies),
    TEST(package_of_dies_is_what_they_say_together),
    TEST(tdie_comes_before_tctl),
    TEST(zenpower_is_understood_like_k10temp),
    TEST(k10temp_of_old_without_labels_is_tctl),
    TEST(chip_near_one_l3_is_the_package_s),
    TEST(slot_is_no_proof_without_its_node),
    TEST(slot_may_be_that_of_a_die),
    TEST(ccds_may_be_dies),
    TEST(amd_chip_of_no_package_or_near_no_cpu_is_unmapped),
    TEST(coretemp_without_its_numbers_is_unmapped),
    TEST(label_without_a_number_is_no_proof),
    TEST(sensors_of_devices_are_on_their_pci_device),
    TEST(devices_are_not_looked_for_unless_asked),
    TEST(names_decide_the_source),
    TEST(types_decide_the_source_of_a_zone),
    TEST(old_chips_keep_everything_at_the_device),
    TEST(old_chip_is_left_out_while_it_is_not_known),
    TEST(device_with_too_long_a_path_is_listed_without),
    TEST(policy_leader_leaves_and_returns),
    TEST(average_frequency_may_be_missing_for_a_while),
    TEST(frequency_is_above_0_and_up_to_100_ghz),
    TEST(throttle_survives_the_hotplug_of_its_first_cpu),
    TEST(throttle_of_cores_alone_is_listed_alone),
    TEST(subzone_of_a_missing_zone_is_unmapped),
    TEST(cpus_that_cannot_be_are_left_out),
    TEST(broken_topology_leaves_sensors_without_objects),
    TEST(memory_of_hwloc_counts_on_this_machine_alone),
    TEST(memory_of_hwloc_survives_every_allocation_that_fails),
    TEST(provider_may_name_its_source),
    TEST(provider_may_take_the_temperature),
    TEST(chip_with_too_long_a_path_goes_by_its_class),
};

TEST_MAIN(tests)
