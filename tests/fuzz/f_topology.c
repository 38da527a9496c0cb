/* f_topology.c - what a monitor is told about its machine's topology, as text. The first
   byte of an input says what the rest is:

       s   desc.topology_synthetic        x   the same, but exported as desc.topology_xml
       c   desc.sampler_cpuset            t   desc.cpu_temperature_sensor

   The machine below it always is the same: two packages of two cores, of memory. Refused
   or not, every sensor lies on an object of the topology or says why it does not, and
   the counts are hwloc's. XML is cut at a place of the input's choice and not changed
   otherwise: hwloc trusts what is well-formed, and may crash on what contradicts itself. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include "pcmon_fake.h"

#include "fuzz.h"

#include <sanitizer/lsan_interface.h>

/* Larger machines are loaded by the unit tests; here they would only cost time. */
enum { LARGEST = 2048 };

static fake *world;

static uint32_t count_of(hwloc_topology_t topology, hwloc_obj_type_t type)
{
    int count = topology != NULL ? hwloc_get_nbobjs_by_type(topology, type) : 0;
    return count > 0 ? (uint32_t)count : 0;
}

static void check_sensor(hwloc_topology_t topology, const vts_pc_sensor_info *about)
{
    FUZZ_CHECK(about->mapping != NULL && about->mapping[0] != '\0');
    FUZZ_CHECK((about->object != NULL) == (about->object_type != VTS_PC_OBJECT_NONE));
    if (about->object == NULL) return;
    FUZZ_CHECK(topology != NULL);
    FUZZ_CHECK(hwloc_get_obj_by_depth(topology, about->object->depth,
                                      about->object->logical_index) == about->object);
    if (about->package == VTS_PC_NO_INDEX) return;
    FUZZ_CHECK(about->package < count_of(topology, HWLOC_OBJ_PACKAGE));
}

static void check_objects(vts_pcmon *monitor, const vts_pcmon_info *info)
{
    static vts_pc_reading readings[LARGEST];
    const uint32_t expected[] = {info->packages, info->dies, info->cores, info->pus,
                                 info->numa_nodes};
    static const vts_pc_object_type type[] = {VTS_PC_OBJECT_PACKAGE, VTS_PC_OBJECT_DIE,
                                              VTS_PC_OBJECT_CORE, VTS_PC_OBJECT_PU,
                                              VTS_PC_OBJECT_NUMA_NODE};
    size_t i;

    for (i = 0; i < sizeof type / sizeof type[0]; i++) {
        int count = vts_pcmon_read_objects(monitor, type[i], VTS_PC_KIND_TEMPERATURE,
                                           readings, LARGEST, NULL);
        FUZZ_CHECK(count == (int)expected[i]);
    }
}

static void check_monitor(vts_pcmon *monitor)
{
    hwloc_topology_t topology = vts_pcmon_topology(monitor);
    vts_pc_reading temperature, frequency;
    vts_pc_sensor_info about;
    vts_pcmon_info info;
    uint32_t i;
    int pu;

    FUZZ_CHECK(vts_pcmon_get_info(monitor, &info) == VTS_OK);
    FUZZ_CHECK((topology != NULL) == (info.topology_error == 0));
    FUZZ_CHECK(info.pus == count_of(topology, HWLOC_OBJ_PU));
    FUZZ_CHECK(info.cores == count_of(topology, HWLOC_OBJ_CORE));
    FUZZ_CHECK(info.packages == count_of(topology, HWLOC_OBJ_PACKAGE));
    FUZZ_CHECK(info.numa_nodes == count_of(topology, HWLOC_OBJ_NUMANODE));
    FUZZ_CHECK(info.pus <= VTS__PC_MAX_PUS);
    for (i = 0; i < info.sensors; i++) {
        FUZZ_CHECK(vts_pcmon_get_sensor(monitor, i, &about) == VTS_OK);
        check_sensor(topology, &about);
    }
    check_objects(monitor, &info);
    pu = vts_pcmon_here(monitor, &temperature, &frequency);
    FUZZ_CHECK(pu == world->cpu || pu == -ENOENT);
}

/* What is tried: 0, or the error of create. pus: how many it must have, 0: not known. */
static int live(const vts_pcmon_desc *desc, uint32_t pus)
{
    vts_pcmon *monitor = NULL;
    vts_pc_statistics now;
    vts_pcmon_info info;
    int error = vts_pcmon_create(&monitor, desc);

    FUZZ_CHECK((monitor == NULL) == (error != VTS_OK));
    if (error != VTS_OK) return error;
    FUZZ_CHECK(vts_pcmon_tick(monitor, NULL) == 1);
    FUZZ_CHECK(vts_pcmon_get_latest(monitor, &now) == VTS_OK);
    FUZZ_CHECK(now.state[VTS_PC_CPU_TEMPERATURE] == VTS_PC_VALID);
    check_monitor(monitor);
    FUZZ_CHECK(vts_pcmon_get_info(monitor, &info) == VTS_OK);
    if (pus > 0) FUZZ_CHECK(info.pus == pus);
    FUZZ_CHECK(vts_pcmon_destroy(monitor) == VTS_OK);
    FUZZ_CHECK(fake_open_descriptors(world) == 0);
    return VTS_OK;
}

/* How many PUs a description means, at most: every number in it counts. */
static bool is_small(const char *text)
{
    uint64_t product = 1;
    char *end;

    for (; *text != '\0'; text++) {
        uint64_t number;
        if (!vts__pc_is_digit(*text)) continue;
        number = strtoull(text, &end, 0);
        if (number > LARGEST) return false;
        product *= number > 0 ? number : 1;
        if (product > LARGEST) return false;
        text = end - 1;
    }
    return true;
}

/* Accepted by the monitor is accepted by hwloc, and the other way round: a small machine
   is never refused for its size. */
static void try_synthetic(vts_pcmon_desc *desc, const char *text)
{
    hwloc_topology_t topology;
    int refused, error;

    if (!is_small(text)) {
        (void)vts__pc_is_sane_size(text);
        return;
    }
    __lsan_disable(); /* hwloc 2.9 loses the indexes of a description that it refuses */
    FUZZ_CHECK(hwloc_topology_init(&topology) == 0);
    refused = hwloc_topology_set_synthetic(topology, text);
    hwloc_topology_destroy(topology);
    if (refused == 0) __lsan_enable();
    desc->topology_synthetic = text;
    error = live(desc, 0);
    if (refused != 0) __lsan_enable();
    FUZZ_CHECK(error == (refused == 0 ? VTS_OK : -EINVAL));
}

/* The description as XML by hwloc's own hand, whole or cut: whole it means the same. */
static void try_xml(vts_pcmon_desc *desc, const char *text, unsigned cut)
{
    hwloc_topology_t topology;
    uint32_t pus = 0;
    char *xml = NULL, *copy;
    int length = 0, refused;

    if (!is_small(text)) return;
    __lsan_disable();
    FUZZ_CHECK(hwloc_topology_init(&topology) == 0);
    refused = hwloc_topology_set_synthetic(topology, text);
    __lsan_enable();
    if (refused == 0 &&
        hwloc_topology_load(topology) == 0 &&
        hwloc_topology_export_xmlbuffer(topology, &xml, &length, 0) == 0) {
        pus = count_of(topology, HWLOC_OBJ_PU);
        copy = fake_copy(xml, (size_t)length - (size_t)(length - 1) * cut / 256);
        desc->topology_xml = copy;
        if (cut != 0) __lsan_disable(); /* hwloc 2.9 loses what it had read before the cut */
        (void)live(desc, cut == 0 ? pus : 0);
        if (cut != 0) __lsan_enable();
        free(copy);
        hwloc_free_xmlbuffer(topology, xml);
    }
    hwloc_topology_destroy(topology);
}

/* Only a list of numbers, not empty, is a set; no thread is started that it would bind. */
static void try_cpuset(vts_pcmon_desc *desc, const char *text)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    bool good = strcmp(text, "efficient") == 0 ||
                (vts__pc_parse_cpulist(text, strlen(text), set) && !hwloc_bitmap_iszero(set));

    hwloc_bitmap_free(set);
    desc->topology_synthetic = FAKE_TWO_PACKAGES;
    desc->sampler_cpuset = text;
    FUZZ_CHECK(live(desc, 0) == (good ? VTS_OK : -EINVAL));
}

static void try_sensor(vts_pcmon_desc *desc, const char *text)
{
    desc->topology_synthetic = FAKE_TWO_PACKAGES;
    desc->cpu_temperature_sensor = text;
    FUZZ_CHECK(live(desc, 0) == (strlen(text) < 2 * VTS__PC_NAME ? VTS_OK : -EINVAL));
}

/* Made once: discovery and reading change nothing in it. */
static void make_world(void)
{
    setenv("HWLOC_HIDE_ERRORS", "2", 1);
    world = fake_new();
    world->cpu = 3;
    fake_two_packages(world);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
    vts_pcmon_desc desc;
    char *text;

    if (size == 0) return;
    if (world == NULL) make_world();
    desc = fake_desc(world, NULL);
    text = fake_copy((const char *)data + 1, size - 1);
    if (data[0] == 's') try_synthetic(&desc, text);
    if (data[0] == 'x' && size > 1) try_xml(&desc, text + 1, (uint8_t)(text[0] - '0'));
    if (data[0] == 'c') try_cpuset(&desc, text);
    if (data[0] == 't') try_sensor(&desc, text);
    free(text);
}

FUZZ_TARGET(fuzz_one)
