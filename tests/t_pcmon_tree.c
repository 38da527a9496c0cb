/* t_pcmon_tree.c - the monitor and hwloc over a tree of real files: the default io table,
   and PCI devices as the kernel shows them. The tree is made below build/. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include <sys/stat.h>

#include "pcmon_test.h"
#include "test.h"

static char root[512]; /* of the tree */

/* Makes the directories above a path in the tree. */
static void make_way(const char *path)
{
    char part[1024];
    size_t i;

    snprintf(part, sizeof part, "%s%s", root, path);
    for (i = strlen(root); part[i] != '\0'; i++) {
        if (part[i] != '/') continue;
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) TEST_FAIL("cannot make %s\n", part);
        part[i] = '/';
    }
}

FAKE_PRINTF(2, 3)
static void put(const char *text, const char *format, ...)
{
    char path[400], whole[1024];
    FILE *file;

    FAKE_FORMAT(path, format);
    make_way(path);
    snprintf(whole, sizeof whole, "%s%s", root, path);
    file = fopen(whole, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        TEST_FAIL("cannot write %s\n", whole);
    }
}

static void put_link(const char *target, const char *path)
{
    char whole[1024];

    make_way(path);
    snprintf(whole, sizeof whole, "%s%s", root, path);
    if (symlink(target, whole) != 0) TEST_FAIL("cannot link %s\n", whole);
}

static void put_pci_device(const char *path, const char *name, const char *class,
                           const char *vendor, const char *device)
{
    char link[256], target[256];

    put(class, "/sys/devices%s/class", path);
    put(vendor, "/sys/devices%s/vendor", path);
    put(device, "/sys/devices%s/device", path);
    put(vendor, "/sys/devices%s/subsystem_vendor", path);
    put(device, "/sys/devices%s/subsystem_device", path);
    put("0x00\n", "/sys/devices%s/revision", path);
    put("1\n", "/sys/devices%s/local_cpus", path);
    put("0\n", "/sys/devices%s/local_cpulist", path);
    snprintf(target, sizeof target, "../../../devices%s", path);
    snprintf(link, sizeof link, "/sys/bus/pci/devices/%s", name);
    put_link(target, link);
}

static void put_chip(int number, const char *chip, const char *device, const char *milli)
{
    char link[256], target[256];

    put(chip, "/sys/devices%s/hwmon/hwmon%d/name", device, number);
    put(milli, "/sys/devices%s/hwmon/hwmon%d/temp1_input", device, number);
    snprintf(link, sizeof link, "/sys/devices%s/hwmon/hwmon%d/device", device, number);
    put_link("../..", link);
    snprintf(target, sizeof target, "../../devices%s/hwmon/hwmon%d", device, number);
    snprintf(link, sizeof link, "/sys/class/hwmon/hwmon%d", number);
    put_link(target, link);
}

static void remove_tree(void)
{
    char command[600];

    snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (system(command) != 0) TEST_FAIL("%s stays\n", root);
}

/* One core, a GPU at 02.0 and a disk behind a bridge, each with a sensor. */
static void make_tree(void)
{
    static const char *const topology[] = {"core_cpus", "package_cpus", "thread_siblings",
                                           "core_siblings"};
    const char *cpu = "/sys/devices/system/cpu";
    char here[256];
    size_t i;

    if (getcwd(here, sizeof here) == NULL) TEST_FAIL("no working directory\n");
    snprintf(root, sizeof root, "%s/build/tree-%ld", here, (long)getpid());
    remove_tree();
    put("processor\t: 0\n", "/proc/cpuinfo");
    put("MemTotal: 4 kB\nMemFree: 1 kB\n", "/proc/meminfo");
    put("0\n", "%s/online", cpu);
    put("0\n", "%s/possible", cpu);
    put("0\n", "%s/cpu0/topology/physical_package_id", cpu);
    put("0\n", "%s/cpu0/topology/core_id", cpu);
    for (i = 0; i < 4; i++) put("1\n", "%s/cpu0/topology/%s", cpu, topology[i]);
    put_pci_device("/pci0000:00/0000:00:02.0", "0000:00:02.0", "0x030000\n", "0x1002\n",
                   "0x73bf\n");
    put_pci_device("/pci0000:00/0000:00:01.1/0000:01:00.0", "0000:01:00.0", "0x010802\n",
                   "0x144d\n", "0xa808\n");
    put_chip(0, "amdgpu\n", "/pci0000:00/0000:00:02.0", "45000\n");
    put_chip(1, "nvme\n", "/pci0000:00/0000:00:01.1/0000:01:00.0/nvme0", "40000\n");
}

/* The monitor finds the tree as hwloc does: by the environment alone. */
static void start_in_tree(bool discover_io)
{
    memset(&pc, 0, sizeof pc);
    pc.desc.manual_tick = true;
    pc.desc.metrics = VTS_PC_METRICS_ALL;
    pc.desc.discover_io = discover_io;
    pc.desc.allocator = &test_allocator;
    setenv("HWLOC_FSROOT", root, 1);
    setenv("HWLOC_COMPONENTS", "linux,stop", 1);
    start();
    unsetenv("HWLOC_FSROOT");
    unsetenv("HWLOC_COMPONENTS");
}

static void assert_on_device(uint32_t index, uint16_t vendor)
{
    vts_pc_sensor_info s = about(index);

    assert_int_equal(s.object_type, VTS_PC_OBJECT_DEVICE);
    assert_int_equal(s.object->attr->pcidev.vendor_id, vendor);
    assert_false(s.subordinate);
}

static void pci_devices_carry_their_sensors(void)
{
    make_tree();
    start_in_tree(true);
    assert_code(info().topology_error, 0);
    assert_on_device(temperature("0000:00:02.0", "temp1"), 0x1002);
    assert_on_device(temperature("nvme0", "temp1"), 0x144d);
    assert_metric(VTS_PC_GPU_TEMPERATURE, VTS_PC_VALID, pc.now.gpu_temperature, 45);
    assert_metric(VTS_PC_STORAGE_TEMPERATURE, VTS_PC_VALID, pc.now.storage_temperature, 40);
    assert_metric(VTS_PC_MEMORY_TOTAL, VTS_PC_VALID, pc.now.memory_total, 4096);
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_OK);
    remove_tree();
}

/* Without them a sensor is near the package that its device is near to. */
static void devices_not_looked_for_are_near_a_package(void)
{
    vts_pc_sensor_info gpu;

    make_tree();
    start_in_tree(false);
    gpu = about(temperature("0000:00:02.0", "temp1"));
    assert_int_equal(gpu.object_type, VTS_PC_OBJECT_PACKAGE);
    assert_true(gpu.subordinate);
    assert_metric(VTS_PC_GPU_TEMPERATURE, VTS_PC_VALID, pc.now.gpu_temperature, 45);
    assert_code(vts_pcmon_destroy(pc.monitor), VTS_OK);
    remove_tree();
}

static const test_case tests[] = {
    TEST(pci_devices_carry_their_sensors),
    TEST(devices_not_looked_for_are_near_a_package),
};

TEST_MAIN(tests)
