/* t_fixture.c - the monitor against a recorded machine: a sysfs and procfs tree with the
   readings it must give, one row of expected.tsv each. Every row is compared; a row that
   this file does not understand fails.

   The tree is unpacked below build/. VTS_FIXTURES names another folder to take it from. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include <math.h>

#include "test.h"

#define MAX_SENSORS 256
#define MAX_ROW 512

/* One line of expected.tsv, split at its tabs. */
typedef struct row {
    char text[MAX_ROW];
    const char *metric, *object, *value, *unit, *state;
} row;

/* The monitor under test and what it said. */
static struct {
    vts_pcmon *monitor;
    vts_pc_statistics now;
    vts_pc_sensor_info about[MAX_SENSORS];
    vts_pc_reading reading[MAX_SENSORS];
    uint32_t count;
    unsigned rows, wrong;
} machine;

static char fixture[512]; /* the folder the tree comes from */
static char unpacked[64]; /* the folder it is unpacked to; "": not yet */
static unsigned rows_compared;

// ----------------------------------------------------------------------------------
// The tree
// ----------------------------------------------------------------------------------

static void fixture_find(void)
{
    const char *given = getenv("VTS_FIXTURES");
    snprintf(fixture, sizeof fixture, "%s/dev_node_exporter",
             given != NULL ? given : "../shared/fixtures");
}

static bool fixture_is_there(void)
{
    char path[600];
    snprintf(path, sizeof path, "%s/expected.tsv", fixture);
    return access(path, R_OK) == 0;
}

static void fixture_remove(void)
{
    char command[128];
    if (unpacked[0] == '\0') return;
    snprintf(command, sizeof command, "rm -rf '%s'", unpacked);
    if (system(command) != 0) fprintf(stderr, "%s stays\n", unpacked);
}

/* Several builds of this test may run at once: each has its own copy. */
static void fixture_unpack(void)
{
    char command[1024];

    if (unpacked[0] != '\0') return;
    snprintf(unpacked, sizeof unpacked, "build/fixture-%ld", (long)getpid());
    atexit(fixture_remove);
    snprintf(command, sizeof command,
             "mkdir -p '%s' && tar -xzf '%s/dev_node_exporter.tar.gz' -C '%s'", unpacked,
             fixture, unpacked);
    if (system(command) != 0) TEST_FAIL("cannot unpack %s\n", fixture);
}

/* An absolute path in the tree: hwloc wants one. */
static void fixture_path(char out[1024], const char *name)
{
    char here[512];

    fixture_unpack();
    if (getcwd(here, sizeof here) == NULL) TEST_FAIL("no working directory\n");
    snprintf(out, 1024, "%s/%s/dev_node_exporter/%s", here, unpacked, name);
}

// ----------------------------------------------------------------------------------
// The monitor
// ----------------------------------------------------------------------------------

static vts_pcmon_desc fixture_desc(void)
{
    vts_pcmon_desc desc = {0};
    desc.manual_tick = true;
    desc.every_temperature = true;
    desc.per_core_temperature = true;
    desc.allocator = &test_allocator;
    return desc;
}

/* One pass, and everything the public functions say afterwards. */
static void machine_start(const vts_pcmon_desc *desc)
{
    uint32_t i;
    int count;

    memset(&machine, 0, sizeof machine);
    assert_code(vts_pcmon_create(&machine.monitor, desc), VTS_OK);
    assert_int_equal(vts_pcmon_tick(machine.monitor, NULL), 1);
    assert_code(vts_pcmon_get_latest(machine.monitor, &machine.now), VTS_OK);
    count = vts_pcmon_read_sensors(machine.monitor, machine.reading, MAX_SENSORS, NULL);
    assert_in_range(count, 1, MAX_SENSORS);
    machine.count = (uint32_t)count;
    for (i = 0; i < machine.count; i++) {
        assert_code(vts_pcmon_get_sensor(machine.monitor, i, &machine.about[i]), VTS_OK);
    }
}

static void machine_stop(void)
{
    assert_code(vts_pcmon_destroy(machine.monitor), VTS_OK);
}

/* The monitor finds the tree as hwloc does: by the environment alone. */
static void machine_start_in_tree(void)
{
    char root[1024];
    vts_pcmon_desc desc = fixture_desc();

    fixture_path(root, "root");
    setenv("HWLOC_FSROOT", root, 1);
    setenv("HWLOC_COMPONENTS", "linux,stop", 1);
    machine_start(&desc);
    unsetenv("HWLOC_FSROOT");
    unsetenv("HWLOC_COMPONENTS");
}

// ----------------------------------------------------------------------------------
// Rows
// ----------------------------------------------------------------------------------

static void row_is_wrong(const row *r, const char *why)
{
    print_message("%s %s: %s\n", r->metric, r->object, why);
    machine.wrong++;
}

static bool row_split(row *r)
{
    const char **field[] = {&r->metric, &r->object, &r->value, &r->unit, &r->state};
    char *at = r->text;
    size_t i;

    r->text[strcspn(r->text, "\n")] = '\0';
    for (i = 0; i < sizeof field / sizeof field[0]; i++) {
        char *tab = strchr(at, '\t');
        if (tab == NULL) return false;
        *tab = '\0';
        *field[i] = at;
        at = tab + 1;
    }
    return true;
}

/* A number of the monitor's and its state against the row's. */
static void row_compare(const row *r, double value, int state)
{
    char *end;
    double expected = strtod(r->value, &end);

    if (strncmp(r->state, "UNAVAILABLE", 11) == 0) {
        if (state != VTS_PC_UNSUPPORTED) row_is_wrong(r, vts_pc_state_name(state));
        if (!isnan(value)) row_is_wrong(r, "a value although it is not valid");
        if (r->value[0] != '\0') row_is_wrong(r, "the row has a value and no state");
        return;
    }
    if (strncmp(r->state, "valid", 5) != 0 || end == r->value || *end != '\0') {
        row_is_wrong(r, "value and state of the row are not understood");
        return;
    }
    if (state != VTS_PC_VALID) row_is_wrong(r, vts_pc_state_name(state));
    if (!(fabs(value - expected) <= 1e-12 * fabs(expected))) {
        print_message("%.9g instead of %.9g: ", value, expected);
        row_is_wrong(r, "value");
    }
}

/* ---- rows about one sensor ---- */

static const struct {
    const char *metric, *unit;
    vts_pc_kind kind;
} kinds[] = {
    {"temperature", "C", VTS_PC_KIND_TEMPERATURE},
    {"energy", "J", VTS_PC_KIND_ENERGY},
    {"frequency", "Hz", VTS_PC_KIND_FREQUENCY},
    {"throttle_count", "1", VTS_PC_KIND_THROTTLE_COUNT},
    {"memory_total", "B", VTS_PC_KIND_MEMORY_TOTAL},
    {"memory_free", "B", VTS_PC_KIND_MEMORY_FREE},
    {"memory_used", "B", VTS_PC_KIND_MEMORY_USED},
    {"cpu_time_busy", "s", VTS_PC_KIND_BUSY_TIME},
    {"cpu_time_idle", "s", VTS_PC_KIND_IDLE_TIME},
};

/* The object column: type and index, or unmapped with the number the sensor carries. */
typedef struct place {
    vts_pc_object_type type;
    uint32_t index, own_index;
} place;

static uint32_t core_inside(uint32_t package, uint32_t os_index)
{
    hwloc_topology_t topology = vts_pcmon_topology(machine.monitor);
    hwloc_obj_t outer = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, package);
    hwloc_obj_t core = NULL;

    while (outer != NULL) {
        core = hwloc_get_next_obj_inside_cpuset_by_type(topology, outer->cpuset,
                                                        HWLOC_OBJ_CORE, core);
        if (core == NULL || core->os_index == os_index) break;
    }
    return core != NULL ? core->logical_index : VTS_PC_NO_INDEX;
}

static bool place_read(const char *text, place *p)
{
    unsigned a, b;

    p->type = VTS_PC_OBJECT_NONE;
    p->index = p->own_index = VTS_PC_NO_INDEX;
    if (text[0] == '-') {
        if (sscanf(text, "- (cpu%u", &a) == 1) p->own_index = a;
        if (sscanf(text, "- (core %u", &a) == 1) p->own_index = a;
        return true;
    }
    if (sscanf(text, "Package:%u/Core:%u", &a, &b) == 2) {
        p->type = VTS_PC_OBJECT_CORE;
        p->index = core_inside(a, b);
    } else if (sscanf(text, "Package:%u", &p->index) == 1) {
        p->type = VTS_PC_OBJECT_PACKAGE;
    } else if (sscanf(text, "PU:%u", &p->index) == 1) {
        p->type = VTS_PC_OBJECT_PU;
    } else if (sscanf(text, "NUMANode:%u", &p->index) == 1) {
        p->type = VTS_PC_OBJECT_NUMA_NODE;
    }
    return p->index != VTS_PC_NO_INDEX;
}

/* Names in the rows have '_' for '.' and the bus before them. */
static bool is_end_of(const char *row_name, const char *name)
{
    char clean[64];
    size_t i, size = strlen(row_name), length = strlen(name);

    if (length == 0 || length > size || length >= sizeof clean) return false;
    for (i = 0; i <= length; i++) clean[i] = name[i] == '.' ? '_' : name[i];
    row_name += size - length;
    return strcmp(row_name, clean) == 0 && (size == length || row_name[-1] == '_');
}

static bool has_device(const vts_pc_sensor_info *about, const char *name)
{
    return is_end_of(name, about->device) || is_end_of(name, about->chip);
}

/* What stands in brackets: [device/input "label"] or [device label]. */
static bool names_sensor(const char *object, const vts_pc_sensor_info *about)
{
    char device[64], input[64], label[64];
    const char *bracket = strchr(object, '[');

    if (bracket == NULL) return true;
    if (sscanf(bracket, "[%63[^/ ]/%63s \"%63[^\"]", device, input, label) == 3) {
        return has_device(about, device) && strcmp(input, about->attribute) == 0 &&
               strcmp(label, about->label) == 0;
    }
    if (sscanf(bracket, "[%63[^/ ]/%63s", device, input) == 2) {
        return has_device(about, device) && strcmp(input, about->attribute) == 0 &&
               about->label[0] == '\0';
    }
    if (sscanf(bracket, "[%63[^ ] %63[^]]", device, label) != 2) return false;
    return has_device(about, device) && strncmp(label, about->label, strlen(label)) == 0;
}

static bool is_at(const vts_pc_sensor_info *about, const place *p)
{
    if (about->object_type != p->type || about->object_index != p->index) return false;
    return p->own_index == VTS_PC_NO_INDEX || about->own_index == p->own_index;
}

/* The only sensor that a row can mean; the count without one. */
static uint32_t sensor_of(const row *r, vts_pc_kind kind, const place *p)
{
    uint32_t i, found = machine.count;

    for (i = 0; i < machine.count; i++) {
        if (machine.about[i].kind != kind || !is_at(&machine.about[i], p)) continue;
        if (!names_sensor(r->object, &machine.about[i])) continue;
        if (found < machine.count) row_is_wrong(r, "two sensors are this one");
        found = i;
    }
    return found;
}

/* A rate that the row says cannot be known yet. */
static void row_compare_rate(const row *r, uint32_t sensor, vts_pc_kind rate)
{
    uint32_t i;

    for (i = 0; i < machine.count; i++) {
        if (machine.about[i].kind != rate) continue;
        if (strcmp(machine.about[i].device, machine.about[sensor].device) != 0) continue;
        if (machine.reading[i].state != VTS_PC_NOT_YET) row_is_wrong(r, "rate has a state");
        if (!isnan(machine.reading[i].value)) row_is_wrong(r, "rate has a value");
        return;
    }
    row_is_wrong(r, "there is no sensor of its rate");
}

static void row_compare_remark(const row *r, uint32_t sensor)
{
    const char *remark = strchr(r->state, ';');

    if (remark == NULL) return;
    if (strcmp(remark, "; power_w unavailable at the first sample") == 0) {
        row_compare_rate(r, sensor, VTS_PC_KIND_POWER);
    } else if (strcmp(remark, "; utilization unavailable at the first sample") == 0) {
        row_compare_rate(r, sensor, VTS_PC_KIND_UTILIZATION);
    } else {
        row_is_wrong(r, "its remark is not understood");
    }
}

/* The same number by object. */
static void row_compare_object(const row *r, uint32_t sensor)
{
    const vts_pc_sensor_info *about = &machine.about[sensor];
    vts_pc_reading reading[16];
    int count;

    if (about->object_type == VTS_PC_OBJECT_NONE || about->subordinate) return;
    count = vts_pcmon_read_objects(machine.monitor, (vts_pc_object_type)about->object_type,
                                   (vts_pc_kind)about->kind, reading, 16, NULL);
    if (count <= 0 || count > 16 || about->object_index >= (uint32_t)count) {
        row_is_wrong(r, "read_objects has no such object");
        return;
    }
    row_compare(r, reading[about->object_index].value,
                reading[about->object_index].state);
}

static void row_compare_sensor(const row *r, vts_pc_kind kind)
{
    place p;
    uint32_t sensor;

    if (!place_read(r->object, &p)) {
        row_is_wrong(r, "its object is not understood");
        return;
    }
    sensor = sensor_of(r, kind, &p);
    if (sensor == machine.count) {
        row_is_wrong(r, "no sensor is this one");
        return;
    }
    if (machine.about[sensor].mapping[0] == '\0') row_is_wrong(r, "mapping has no reason");
    if ((machine.about[sensor].object == NULL) != (p.type == VTS_PC_OBJECT_NONE)) {
        row_is_wrong(r, "object");
    }
    row_compare(r, machine.reading[sensor].value, machine.reading[sensor].state);
    row_compare_object(r, sensor);
    row_compare_remark(r, sensor);
}

/* ---- rows about the machine ---- */

static bool metric_of(const char *name, vts_pc_metric *metric, double *value)
{
    const vts_pc_statistics *now = &machine.now;
    const struct {
        const char *name;
        vts_pc_metric metric;
        double value;
    } known[] = {
        {"cpu_temperature", VTS_PC_CPU_TEMPERATURE, now->cpu_temperature},
        {"MemTotal", VTS_PC_MEMORY_TOTAL, now->memory_total},
        {"MemFree", VTS_PC_MEMORY_FREE, now->memory_free},
        {"memory_available", VTS_PC_MEMORY_AVAILABLE, now->memory_available},
        {"SwapTotal", VTS_PC_SWAP_TOTAL, now->swap_total},
        {"SwapFree", VTS_PC_SWAP_FREE, now->swap_free},
        {"loadavg1", VTS_PC_LOAD_AVERAGE, now->load_average[0]},
        {"loadavg5", VTS_PC_LOAD_AVERAGE, now->load_average[1]},
        {"loadavg15", VTS_PC_LOAD_AVERAGE, now->load_average[2]},
    };
    size_t i;

    for (i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) != 0) continue;
        *metric = known[i].metric;
        *value = known[i].value;
        return true;
    }
    return false;
}

static void row_compare_machine(const row *r)
{
    vts_pc_metric metric;
    double value;
    const char *remark = strchr(r->state, ';');

    if (!metric_of(r->metric, &metric, &value)) {
        row_is_wrong(r, "its metric is not understood");
        return;
    }
    row_compare(r, value, machine.now.state[metric]);
    if (remark == NULL) return;
    if (strncmp(remark, "; source coretemp package sensor", 32) != 0) {
        row_is_wrong(r, "its remark is not understood");
    } else if (machine.now.cpu_temperature_source != VTS_PC_SOURCE_CORETEMP) {
        row_is_wrong(r, vts_pc_source_name(machine.now.cpu_temperature_source));
    }
}

static void row_check(const row *r)
{
    size_t i;

    machine.rows++;
    if (strcmp(r->object, "Machine") == 0) {
        row_compare_machine(r);
        return;
    }
    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].metric, r->metric) != 0) continue;
        if (strcmp(kinds[i].unit, r->unit) != 0) row_is_wrong(r, "unit");
        row_compare_sensor(r, kinds[i].kind);
        return;
    }
    row_is_wrong(r, "its metric is not understood");
}

static void rows_check(void)
{
    char path[600];
    FILE *file;
    row r;

    snprintf(path, sizeof path, "%s/expected.tsv", fixture);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(r.text, sizeof r.text, file) != NULL) {
        if (r.text[0] == '#') continue;
        if (row_split(&r)) {
            row_check(&r);
        } else {
            print_message("not five columns: %s\n", r.text);
            machine.wrong++;
        }
    }
    fclose(file);
}

// ----------------------------------------------------------------------------------
// Tests
// ----------------------------------------------------------------------------------

static void every_expected_row_is_read(void)
{
    machine_start_in_tree();
    rows_check();
    assert_int_equal(machine.wrong, 0);
    assert_int_equal(machine.rows, 62);
    rows_compared = machine.rows;
    machine_stop();
}

/* The rows name every temperature there is: no sensor is invented. */
static void no_temperature_is_invented(void)
{
    uint32_t i, temperatures = 0;

    machine_start_in_tree();
    for (i = 0; i < machine.count; i++) {
        if (machine.about[i].kind == VTS_PC_KIND_TEMPERATURE) temperatures++;
    }
    assert_int_equal(temperatures, 16);
    machine_stop();
}

static void both_packages_are_at_55(void)
{
    vts_pc_reading package[4];

    machine_start_in_tree();
    assert_int_equal(vts_pcmon_read_objects(machine.monitor, VTS_PC_OBJECT_PACKAGE,
                                            VTS_PC_KIND_TEMPERATURE, package, 4, NULL), 2);
    assert_true(package[0].value == 55.0 && package[1].value == 55.0);
    assert_int_not_equal(package[0].sensor, package[1].sensor);
    assert_string_equal(machine.about[package[0].sensor].device, "coretemp.0");
    assert_string_equal(machine.about[package[1].sensor].device, "coretemp.1");
    assert_true(machine.now.cpu_temperature == 55.0);
    assert_int_equal(machine.now.cpu_temperature_source, VTS_PC_SOURCE_CORETEMP);
    machine_stop();
}

static void the_topology_has_the_expected_objects(void)
{
    vts_pcmon_info info;

    machine_start_in_tree();
    assert_code(vts_pcmon_get_info(machine.monitor, &info), VTS_OK);
    assert_int_equal(info.packages, 2);
    assert_int_equal(info.cores, 4);
    assert_int_equal(info.pus, 4);
    assert_int_equal(info.numa_nodes, 3);
    assert_int_equal(info.topology_error, 0);
    assert_int_equal(info.discovery_error, 0);
    machine_stop();
}

/* ---- another way to the topology gives the same mapping ---- */

static void describe(char out[512], const vts_pc_sensor_info *about)
{
    snprintf(out, 512, "%s %s %s %s kind %d on %d %ld, package %ld: %s", about->chip,
             about->device, about->attribute, about->label, about->kind,
             about->object_type, (long)about->object_index, (long)about->package,
             about->mapping);
}

static vts_pcmon_desc desc_over_tree(char sys[1024], char proc[1024])
{
    vts_pcmon_desc desc = fixture_desc();

    fixture_path(sys, "root/sys");
    fixture_path(proc, "root/proc");
    desc.sysfs_root = sys;
    desc.procfs_root = proc;
    return desc;
}

static void assert_mapped_as_in_tree(const vts_pcmon_desc *desc)
{
    static char expected[MAX_SENSORS][512];
    char actual[512];
    uint32_t i, count;

    machine_start_in_tree();
    count = machine.count;
    for (i = 0; i < count; i++) describe(expected[i], &machine.about[i]);
    machine_stop();
    machine_start(desc);
    assert_int_equal(machine.count, count);
    for (i = 0; i < count; i++) {
        describe(actual, &machine.about[i]);
        assert_string_equal(actual, expected[i]);
    }
    rows_check();
    assert_int_equal(machine.wrong, 0);
    machine_stop();
}

static void topology_from_an_xml_file_maps_the_same(void)
{
    char sys[1024], proc[1024], xml[600];
    vts_pcmon_desc desc = desc_over_tree(sys, proc);

    snprintf(xml, sizeof xml, "%s/topology.xml", fixture);
    desc.topology_xml = xml;
    assert_mapped_as_in_tree(&desc);
}

static void borrowed_topology_maps_the_same(void)
{
    char sys[1024], proc[1024], xml[600];
    vts_pcmon_desc desc = desc_over_tree(sys, proc);
    hwloc_topology_t topology;

    snprintf(xml, sizeof xml, "%s/topology.xml", fixture);
    assert_int_equal(hwloc_topology_init(&topology), 0);
    assert_int_equal(hwloc_topology_set_xml(topology, xml), 0);
    assert_int_equal(hwloc_topology_load(topology), 0);
    desc.topology = topology;
    assert_mapped_as_in_tree(&desc);
    assert_null(hwloc_obj_get_info_by_name(
        hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0), "VtsSensor"));
    hwloc_topology_destroy(topology);
}

static const test_case tests[] = {
    TEST(every_expected_row_is_read),
    TEST(no_temperature_is_invented),
    TEST(both_packages_are_at_55),
    TEST(the_topology_has_the_expected_objects),
    TEST(topology_from_an_xml_file_maps_the_same),
    TEST(borrowed_topology_maps_the_same),
};

static void every_expected_row_is_read_from_the_fixture(void)
{
    static char reason[600];
    snprintf(reason, sizeof reason, "no %s (VTS_FIXTURES names another folder)", fixture);
    TEST_SKIP(reason);
}

static const test_case without_fixture[] = {
    TEST(every_expected_row_is_read_from_the_fixture)};

int main(int argc, char **argv)
{
    int result;

    fixture_find();
    if (!fixture_is_there()) return test_main(without_fixture, 1, argc, argv);
    result = test_main(tests, sizeof tests / sizeof tests[0], argc, argv);
    if (rows_compared > 0) printf("%u rows compared\n", rows_compared);
    return result;
}
