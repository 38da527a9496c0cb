/* f_root.c - a whole machine made from the input: files and links below /sys and /proc,
   and what happens to them between passes. An input is text:

       @/proc/loadavg                a file; its content is all up to the next line
       0.21 0.37 0.39 1/719 19737    that begins with '@'
       @/sys/class/hwmon/hwmon0 > ../../devices/platform/coretemp.0/hwmon/hwmon0
       @/proc/stat ! 13              reads of it fail with this errno
       @/sys/devices/x - gone        taken away, with all below it
       @tick 1000                    time passes (ms), then the monitor makes a pass
       @suspend 5000                 the machine sleeps
       @rediscover
       @topology 1                   which of the topologies below; @option 3: desc bits

   After every pass: no number without its state, each in its physical range, sensors
   keep their index. At the end no memory and no descriptor is left. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include "pcmon_fake.h"

#include "fuzz.h"

enum { MAX_PASSES = 12, MAX_SENSORS = 256, MAX_NODES = 2048 };

static const char *const descriptions[] = {
    "pack:2 [numa] core:2(indexes=0,1,0,1) pu:1", "pack:1 l3:2 core:2 pu:2",
    "pack:1 die:2 [numa] core:2 pu:1", "pu:1"};

enum { TOPOLOGIES = sizeof descriptions / sizeof descriptions[0] };

/* Loaded once: what is fuzzed here is the rest of the machine. */
static hwloc_topology_t topologies[TOPOLOGIES];

/* A machine under test. */
typedef struct machine {
    fake *world;
    vts_pcmon *monitor;
    vts_pcmon_desc desc;
    unsigned topology, passes;
    vts_pc_sensor_info about[MAX_SENSORS];
    uint32_t sensors;
} machine;

// ----------------------------------------------------------------------------------
// What must hold after a pass
// ----------------------------------------------------------------------------------

static void check_number(double value, uint8_t state, double low, double high)
{
    FUZZ_CHECK(state < VTS_PC_STATE_COUNT);
    if (state != VTS_PC_VALID) FUZZ_CHECK(isnan(value));
    else FUZZ_CHECK(isfinite(value) && value >= low && value <= high);
}

static void check_statistics(const machine *m, const vts_pc_statistics *now)
{
    const double any = 0x1p64, power = VTS__PC_MAX_POWER * MAX_SENSORS;
    const uint8_t *state = now->state;
    int i;

    check_number(now->cpu_temperature, state[VTS_PC_CPU_TEMPERATURE], -40, 150);
    check_number(now->cpu_temperature_critical, state[VTS_PC_CPU_TEMPERATURE_CRITICAL], -273,
                 200);
    check_number(now->cpu_utilization, state[VTS_PC_CPU_UTILIZATION], 0, 1);
    check_number(now->cpu_frequency, state[VTS_PC_CPU_FREQUENCY], 1000, 1e11);
    check_number(now->cpu_frequency_max, state[VTS_PC_CPU_FREQUENCY_MAX], 1000, 1e11);
    check_number(now->cpu_power, state[VTS_PC_CPU_POWER], 0, power);
    check_number(now->cpu_energy, state[VTS_PC_CPU_ENERGY], 0, any);
    check_number(now->cpu_throttle_count, state[VTS_PC_CPU_THROTTLE_COUNT], 0, any * 256);
    check_number(now->memory_total, state[VTS_PC_MEMORY_TOTAL], 0, any);
    check_number(now->memory_free, state[VTS_PC_MEMORY_FREE], 0, any);
    check_number(now->memory_available, state[VTS_PC_MEMORY_AVAILABLE], 0, any);
    check_number(now->swap_total, state[VTS_PC_SWAP_TOTAL], 0, any);
    check_number(now->swap_free, state[VTS_PC_SWAP_FREE], 0, any);
    check_number(now->gpu_temperature, state[VTS_PC_GPU_TEMPERATURE], -40, 150);
    check_number(now->storage_temperature, state[VTS_PC_STORAGE_TEMPERATURE], -40, 150);
    for (i = 0; i < 3; i++) {
        check_number(now->load_average[i], state[VTS_PC_LOAD_AVERAGE], 0, 1e12);
        check_number(now->pressure[i], state[VTS_PC_PRESSURE], 0, 1);
    }
    if (state[VTS_PC_MEMORY_FREE] == VTS_PC_VALID &&
        state[VTS_PC_MEMORY_TOTAL] == VTS_PC_VALID) {
        FUZZ_CHECK(now->memory_free <= now->memory_total);
    }
    if (state[VTS_PC_CPU_FREQUENCY] == VTS_PC_VALID) {
        FUZZ_CHECK(now->cpu_frequency <= now->cpu_frequency_max * (1 + 1e-12));
    }
    FUZZ_CHECK((state[VTS_PC_CPU_TEMPERATURE] == VTS_PC_VALID) ==
               (now->cpu_temperature_source != VTS_PC_SOURCE_NONE));
    FUZZ_CHECK(now->cpu_temperature_source < VTS_PC_SOURCE_COUNT);
    FUZZ_CHECK(now->sequence == m->passes);
}

/* An object is one of the topology, and lies where the sensor says. */
static void check_place(const machine *m, const vts_pc_sensor_info *about)
{
    hwloc_topology_t topology = topologies[m->topology];

    FUZZ_CHECK(about->mapping != NULL && about->mapping[0] != '\0');
    FUZZ_CHECK(about->object_type < VTS_PC_OBJECT_TYPE_COUNT);
    FUZZ_CHECK((about->object != NULL) == (about->object_type != VTS_PC_OBJECT_NONE));
    if (about->object == NULL) return;
    FUZZ_CHECK(hwloc_get_obj_by_depth(topology, about->object->depth,
                                      about->object->logical_index) == about->object);
    FUZZ_CHECK(about->object_index == about->object->logical_index);
}

static void check_about(const machine *m, const vts_pc_sensor_info *about)
{
    FUZZ_CHECK(memchr(about->chip, '\0', sizeof about->chip) != NULL);
    FUZZ_CHECK(memchr(about->device, '\0', sizeof about->device) != NULL);
    FUZZ_CHECK(memchr(about->attribute, '\0', sizeof about->attribute) != NULL);
    FUZZ_CHECK(memchr(about->label, '\0', sizeof about->label) != NULL);
    FUZZ_CHECK(memchr(about->path, '\0', sizeof about->path) != NULL);
    FUZZ_CHECK(about->kind < VTS_PC_KIND_COUNT && about->source < VTS_PC_SOURCE_COUNT);
    FUZZ_CHECK(!(about->critical > 200) && !(about->maximum > 200));
    check_place(m, about);
}

/* A sensor's index means the same thing for ever. */
static void check_identity(const vts_pc_sensor_info *before, const vts_pc_sensor_info *now)
{
    FUZZ_CHECK(strcmp(before->chip, now->chip) == 0);
    FUZZ_CHECK(strcmp(before->device, now->device) == 0);
    FUZZ_CHECK(strcmp(before->attribute, now->attribute) == 0);
    FUZZ_CHECK(strcmp(before->label, now->label) == 0);
    FUZZ_CHECK(before->kind == now->kind);
}

static void check_reading(const vts_pc_reading *reading)
{
    static const struct {
        double low, high;
    } range[VTS_PC_KIND_COUNT] = {
        {-40, 150}, {0, 0x1p64}, {0, VTS__PC_MAX_POWER}, {1000, 1e11}, {0, 0x1p64},
        {0, 1},     {0, 0x1p64}, {0, 0x1p64},            {0, 0x1p64},  {0, 0x1p64},
        {0, 0x1p64}};

    FUZZ_CHECK(reading->kind < VTS_PC_KIND_COUNT);
    check_number(reading->value, reading->state, range[reading->kind].low,
                 range[reading->kind].high);
}

static void check_sensors(machine *m)
{
    static vts_pc_reading readings[MAX_SENSORS];
    vts_pc_sensor_info about;
    int count = vts_pcmon_read_sensors(m->monitor, readings, MAX_SENSORS, NULL);
    uint32_t i;

    FUZZ_CHECK(count >= (int)m->sensors);
    for (i = 0; i < (uint32_t)count && i < MAX_SENSORS; i++) {
        FUZZ_CHECK(vts_pcmon_get_sensor(m->monitor, i, &about) == VTS_OK);
        check_about(m, &about);
        if (i < m->sensors) check_identity(&m->about[i], &about);
        m->about[i] = about;
        FUZZ_CHECK(readings[i].sensor == i && readings[i].kind == about.kind);
        check_reading(&readings[i]);
    }
    FUZZ_CHECK(vts_pcmon_get_sensor(m->monitor, (uint32_t)count, &about) == -ENOENT);
    m->sensors = i;
}

static void check_objects(const machine *m)
{
    vts_pc_reading readings[8];
    int type, kind, count, i;

    for (type = VTS_PC_OBJECT_MACHINE; type <= VTS_PC_OBJECT_NUMA_NODE; type++) {
        for (kind = 0; kind < VTS_PC_KIND_COUNT; kind++) {
            count = vts_pcmon_read_objects(m->monitor, (vts_pc_object_type)type,
                                           (vts_pc_kind)kind, readings, 8, NULL);
            FUZZ_CHECK(count >= 0);
            for (i = 0; i < count && i < 8; i++) {
                FUZZ_CHECK(readings[i].kind == kind);
                if (kind != VTS_PC_KIND_POWER) check_reading(&readings[i]);
            }
        }
    }
}

// ----------------------------------------------------------------------------------
// What happens
// ----------------------------------------------------------------------------------

static void machine_start(machine *m)
{
    if (m->monitor != NULL) return;
    m->desc.topology = topologies[m->topology];
    FUZZ_CHECK(vts_pcmon_create(&m->monitor, &m->desc) == VTS_OK);
}

static void machine_tick(machine *m, uint64_t ms)
{
    vts_pc_statistics now, taken;
    vts_pc_statistics_valuetask task;

    if (m->passes >= MAX_PASSES) return;
    machine_start(m);
    fake_advance(m->world, ms * FAKE_MS);
    FUZZ_CHECK(vts_pcmon_refresh(m->monitor) == VTS_OK);
    task = vts_pcmon_get_statistics_async(m->monitor);
    FUZZ_CHECK(vts_pcmon_tick(m->monitor, NULL) == 1);
    m->passes++;
    FUZZ_CHECK(vts_pcmon_get_latest(m->monitor, &now) == VTS_OK);
    FUZZ_CHECK(vts_pc_statistics_get_result(task, &taken) == VTS_OK);
    FUZZ_CHECK(taken.sequence == now.sequence || taken.sequence + 1 == now.sequence);
    check_statistics(m, &now);
    check_sensors(m);
    check_objects(m);
}

static void machine_option(machine *m, uint64_t bits)
{
    if (m->monitor != NULL) return;
    m->desc.every_temperature = (bits & 1) != 0;
    m->desc.per_core_temperature = (bits & 2) != 0;
    m->desc.wake_devices = (bits & 4) != 0;
    if ((bits & 8) != 0) m->desc.metrics = VTS_PC_METRICS_ALL;
    if ((bits & 16) != 0) m->desc.cpu_temperature_sensor = "coretemp/Core 1";
}

/* A path that a kernel could show: absolute, below /sys or /proc, no empty parts. */
static bool is_path(const char *path)
{
    const char *c;

    if (strncmp(path, "/sys/", 5) != 0 && strncmp(path, "/proc/", 6) != 0) return false;
    if (strlen(path) > 300) return false;
    for (c = path; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || *c == 127) return false;
        if (*c != '/') continue;
        if (c[1] == '/' || c[1] == '\0') return false;
        if (c[1] == '.' && (c[2] == '/' || c[2] == '\0')) return false;
        if (c[1] == '.' && c[2] == '.' && (c[3] == '/' || c[3] == '\0')) return false;
    }
    return true;
}

/* "PATH", "PATH > TARGET", "PATH ! ERRNO" or "PATH - gone"; line is cut at the blank. */
static void machine_file(machine *m, char *line, const char *content, size_t size)
{
    char *rest = strchr(line, ' ');
    fake_node *node;
    int error;

    if (rest != NULL) *rest++ = '\0';
    if (!is_path(line) || m->world->node_count > MAX_NODES) return;
    node = fake_lookup(m->world, line, &error);
    if (rest == NULL) {
        fake_set(m->world, line, FAKE_FILE, content, size);
    } else if (strncmp(rest, "> ", 2) == 0 && rest[2] != '\0' && strlen(rest) < 300) {
        fake_set(m->world, line, FAKE_LINK, rest + 2, strlen(rest + 2));
    } else if (strncmp(rest, "! ", 2) == 0 && node != NULL) {
        error = (int)(strtoul(rest + 2, NULL, 10) % 134);
        if (error != EBADF) node->read_error = error; /* of an open descriptor: never */
    } else if (rest[0] == '-') {
        fake_remove(m->world, "%s", line);
    }
}

static void machine_do(machine *m, char *line, const char *content, size_t size)
{
    const char *space = strchr(line, ' ');
    uint64_t number = space != NULL ? strtoull(space, NULL, 10) % 100000000 : 0;

    if (line[0] == '/') {
        machine_file(m, line, content, size);
    } else if (line[0] == 't' && line[1] == 'i') {
        machine_tick(m, number);
    } else if (line[0] == 's') {
        fake_suspend(m->world, number * FAKE_MS);
    } else if (line[0] == 'r' && m->monitor != NULL) {
        FUZZ_CHECK(vts_pcmon_rediscover(m->monitor) == VTS_OK);
    } else if (line[0] == 'o') {
        machine_option(m, number);
    } else if (line[0] == 't' && m->monitor == NULL) {
        m->topology = (unsigned)(number % TOPOLOGIES);
    }
}

/* Each '@' at the beginning of a line begins an entry. */
static void machine_live(machine *m, const char *text, size_t size)
{
    size_t at = 0;

    while (at < size) {
        const char *entry = text + at;
        const char *newline = (const char *)memchr(entry, '\n', size - at);
        size_t head = newline != NULL ? (size_t)(newline - entry) : size - at;
        const char *content = entry + head + (newline != NULL);
        const char *end = (const char *)memmem(content, (size_t)(text + size - content),
                                               "\n@", 2);
        size_t length = (size_t)((end != NULL ? end + 1 : text + size) - content);
        char *line = fake_copy(entry, head);

        if (length > 0 && content[0] == '@') length = 0;
        if (line[0] == '@') machine_do(m, line + 1, content, length);
        free(line);
        at = (size_t)(content - text) + length;
    }
}

static void load_topologies(void)
{
    unsigned i;

    for (i = 0; i < TOPOLOGIES; i++) {
        if (hwloc_topology_init(&topologies[i]) != 0 ||
            hwloc_topology_set_all_types_filter(topologies[i],
                                                HWLOC_TYPE_FILTER_KEEP_ALL) != 0 ||
            hwloc_topology_set_synthetic(topologies[i], descriptions[i]) != 0 ||
            hwloc_topology_load(topologies[i]) != 0) abort();
    }
}

static void fuzz_one(const uint8_t *data, size_t size)
{
    static machine m;

    if (topologies[0] == NULL) load_topologies();
    memset(&m, 0, sizeof m);
    m.world = fake_new();
    m.desc = fake_desc(m.world, NULL);
    machine_live(&m, (const char *)data, size);
    machine_tick(&m, 1000);
    FUZZ_CHECK(vts_pcmon_destroy(m.monitor) == VTS_OK);
    FUZZ_CHECK(fake_open_descriptors(m.world) == 0 && m.world->misuse == 0);
    fake_free(m.world);
}

FUZZ_TARGET(fuzz_one)
