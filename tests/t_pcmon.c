/* t_pcmon.c - time, tasks, topologies, the reading functions and their arguments. */
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include "pcmon_test.h"
#include "test.h"

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

static void assert_status(vts_pc_statistics_valuetask task, int status)
{
    assert_int_equal(vts_pc_statistics_get_status(task), status);
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

/* Its object belongs to a topology that is no more. */
static void sensor_lost_in_a_hotplug_is_unmapped(void)
{
    uint32_t lost;

    build(NULL);
    fake_cpus(pc.world, 1, 100, 900);
    fake_cpufreq(pc.world, 0, 1000000);
    start();
    lost = sensor(VTS_PC_KIND_FREQUENCY, "policy0", "cpu0");
    assert_int_equal(about(lost).object_type, VTS_PC_OBJECT_PU);
    fake_remove(pc.world, "/sys/devices/system/cpu/cpu0/cpufreq");
    fake_file(pc.world, "0-1\n", "/sys/devices/system/cpu/online");
    pass();
    assert_reading(lost, VTS_PC_GONE, 0);
    assert_unmapped(lost);
    assert_int_equal(about(lost).package, VTS_PC_NO_INDEX);
    assert_string_equal(about(lost).mapping, "gone while the topology changed");
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
// What is asked for
// ----------------------------------------------------------------------------------

/* One metric reads its own file, and nothing else. */
static void each_metric_reads_its_file_alone(void)
{
    static const struct {
        vts_pc_metric metric;
        const char *path;
    } all[] = {
        {VTS_PC_CPU_TEMPERATURE, PACKAGE_0},
        {VTS_PC_CPU_TEMPERATURE_CRITICAL, PACKAGE_0},
        {VTS_PC_CPU_UTILIZATION, "/proc/stat"},
        {VTS_PC_CPU_FREQUENCY, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"},
        {VTS_PC_CPU_FREQUENCY_MAX, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"},
        {VTS_PC_CPU_POWER, RAPL},
        {VTS_PC_CPU_ENERGY, RAPL},
        {VTS_PC_MEMORY_TOTAL, "/sys/devices/system/node/node0/meminfo"},
        {VTS_PC_MEMORY_FREE, "/sys/devices/system/node/node0/meminfo"},
        {VTS_PC_MEMORY_TOTAL, "/proc/meminfo"},
        {VTS_PC_MEMORY_AVAILABLE, "/proc/meminfo"},
        {VTS_PC_SWAP_TOTAL, "/proc/meminfo"},
        {VTS_PC_SWAP_FREE, "/proc/meminfo"},
        {VTS_PC_LOAD_AVERAGE, "/proc/loadavg"},
        {VTS_PC_PRESSURE, "/proc/pressure/io"},
    };
    const size_t count = sizeof all / sizeof all[0];
    unsigned reads[sizeof all / sizeof all[0]];
    size_t i, k;

    for (i = 0; i < count; i++) {
        build(FAKE_TWO_PACKAGES);
        fake_two_packages(pc.world);
        pc.desc.metrics = 1u << all[i].metric;
        start();
        for (k = 0; k < count; k++) reads[k] = fake_reads(pc.world, "%s", all[k].path);
        pass();
        assert_int_equal(fake_reads(pc.world, "%s", all[i].path), reads[i] + 1);
        for (k = 0; k < count; k++) {
            bool mine = fake_get(pc.world, "%s", all[k].path)->reads != reads[k];
            bool same = strcmp(all[k].path, all[i].path) == 0;
            bool memory = strstr(all[k].path, "meminfo") != NULL &&
                          strstr(all[i].path, "meminfo") != NULL;
            if (mine && !same && !memory) {
                TEST_FAIL("%s reads %s\n", vts_pc_metric_name((int)all[i].metric),
                          all[k].path);
            }
        }
        finish();
    }
}

static void critical_limit_comes_without_the_temperature(void)
{
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    pc.desc.metrics = 1u << VTS_PC_CPU_TEMPERATURE_CRITICAL;
    start();
    assert_metric(VTS_PC_CPU_TEMPERATURE_CRITICAL, VTS_PC_VALID,
                  pc.now.cpu_temperature_critical, 95);
    assert_no_temperature(VTS_PC_DISABLED);
    finish();
}

// ----------------------------------------------------------------------------------
// A pass while somebody reads
// ----------------------------------------------------------------------------------

static int passes_left; /* of those that happen while the reader looks at the clock */

static uint64_t tick_and_say_the_time(void *user, vts_pc_clock clock)
{
    if (clock == VTS_PC_CLOCK_COARSE && passes_left > 0) {
        passes_left--;
        if (vts_pcmon_refresh(pc.monitor) == VTS_OK) (void)vts_pcmon_tick(pc.monitor, NULL);
    }
    return fake_io_now(user, clock);
}

/* The pass asks the clock too, while it is being made. */
static void build_interrupted(void)
{
    build_plain();
    pc.world->io.now_ns = tick_and_say_the_time;
    passes_left = 0;
    start();
}

static void reader_that_is_overtaken_reads_again(void)
{
    vts_pc_statistics_valuetask task;
    vts_pc_statistics s;

    build_interrupted();
    passes_left = 1;
    assert_code(vts_pcmon_try_get(pc.monitor, &s), VTS_OK);
    assert_int_equal(s.sequence, 2);
    passes_left = 1;
    task = ask();
    assert_null(task.source);
    assert_code(vts_pc_statistics_get_result(task, &s), VTS_OK);
    assert_int_equal(s.sequence, 3);
    assert_int_equal(passes_left, 0);
    finish();
}

/* Overtaken again and again the reader gives up, and waits like any other. */
static void reader_that_is_always_overtaken_waits(void)
{
    vts_pc_statistics_valuetask task;
    vts_pc_statistics s;

    build_interrupted();
    memset(&s, 0x5a, sizeof s);
    passes_left = 1000000;
    assert_code(vts_pcmon_try_get(pc.monitor, &s), -EAGAIN);
    assert_int_equal(s.sequence, 0x5a5a5a5a5a5a5a5au);
    task = ask();
    assert_non_null(task.source);
    passes_left = 0;
    assert_code(vts_pcmon_refresh(pc.monitor), VTS_OK);
    tick();
    assert_result(task, VTS_OK);
    finish();
}

static int stale_after; /* looks at the clock */

static uint64_t tick_and_grow_old(void *user, vts_pc_clock clock)
{
    uint64_t now = tick_and_say_the_time(user, clock);

    if (clock == VTS_PC_CLOCK_COARSE && stale_after > 0 && --stale_after == 0) {
        fake_advance(pc.world, 100 * FAKE_S);
        now = fake_io_now(user, clock);
    }
    return now;
}

/* A sample that goes stale while the reader is overtaken is not served. */
static void reader_that_is_overtaken_by_the_clock_gets_nothing(void)
{
    vts_pc_statistics s;
    uint64_t calls;

    build_plain();
    pc.world->io.now_ns = tick_and_grow_old;
    start();
    calls = pc.world->now_calls[VTS_PC_CLOCK_COARSE];
    passes_left = 1;
    stale_after = 3; /* looks: the reader's, the pass's, the reader's again */
    assert_code(vts_pcmon_try_get(pc.monitor, &s), -EAGAIN);
    assert_int_equal(stale_after, 0);
    assert_int_equal(info().passes, 2);
    assert_in_range(pc.world->now_calls[VTS_PC_CLOCK_COARSE] - calls, 3, 4); /* no more */
    finish();
}

// ----------------------------------------------------------------------------------
// Further promises
// ----------------------------------------------------------------------------------

static void fresh_result_may_be_thrown_away(void)
{
    build_plain();
    start();
    assert_code(vts_pc_statistics_get_result(ask(), NULL), VTS_OK);
    finish();
}

static void second_fresh_read_has_nothing_to_mark(void)
{
    vts_pc_statistics s;

    build_idle();
    assert_code(vts_pcmon_try_get(pc.monitor, &s), VTS_OK);
    assert_code(vts_pcmon_try_get(pc.monitor, &s), VTS_OK);
    assert_int_equal(seconds_to_idle(), 4);
    finish();
}

static void count_runs(void *arg)
{
    (*(unsigned *)arg)++;
}

static void continuation_may_be_taken_back(void)
{
    vts_pc_statistics_valuetask task;
    unsigned runs = 0;

    build_plain();
    create();
    task = ask();
    assert_code(vts_pc_statistics_on_completed(task, count_runs, &runs, 0), VTS_OK);
    assert_code(vts_pc_statistics_unregister(task), VTS_OK);
    tick();
    assert_int_equal(runs, 0);
    assert_result(task, VTS_OK);
    finish();
}

/* The deadline is over again by the end of the pass: the next one is due at once. */
static uint64_t hurry(void *user, vts_pc_clock clock)
{
    fake_advance((fake *)user, FAKE_S);
    return fake_io_now(user, clock);
}

static void deadline_that_is_over_is_due_now(void)
{
    uint64_t next = 1;

    build_plain();
    pc.world->io.now_ns = hurry;
    create();
    assert_int_equal(vts_pcmon_tick(pc.monitor, &next), 1);
    assert_int_equal(next, 0);
    assert_int_equal(vts_pcmon_tick(pc.monitor, &next), 1);
    finish();
}

static void here_without_a_temperature_says_so(void)
{
    vts_pc_reading heat, speed;

    build_plain();
    start();
    assert_int_equal(vts_pcmon_here(pc.monitor, &heat, &speed), 0);
    assert_int_equal(heat.sensor, VTS_PC_NO_INDEX);
    assert_state(heat.state, VTS_PC_UNSUPPORTED, "temperature");
    assert_true(isnan(heat.value) && isnan(speed.value));
    finish();
}

/* The nearest that failed says why, where none has a value. */
static void here_says_why_the_nearest_has_no_temperature(void)
{
    vts_pc_reading heat;

    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    fake_read_error(pc.world, EACCES, PACKAGE_0);
    pc.desc.per_core_temperature = true;
    fake_read_error(pc.world, ENODATA, "/sys/class/hwmon/hwmon0/temp2_input");
    start();
    assert_int_equal(vts_pcmon_here(pc.monitor, &heat, NULL), 0);
    assert_state(heat.state, VTS_PC_NO_DATA, "core");
    finish();
}

static void here_without_a_topology_finds_no_cpu(void)
{
    build(NULL);
    pc.desc.topology_xml = "<topology version=\"2.0\"><object/></topology>";
    start();
    assert_null(vts_pcmon_topology(pc.monitor));
    assert_code(vts_pcmon_here(pc.monitor, NULL, NULL), -ENOENT);
    finish();
}

/* An allocator that gives and never takes, as vts_allocator allows. */
static void *give(void *user, size_t size)
{
    unsigned char *arena = (unsigned char *)user;
    size_t used;
    void *memory;

    memcpy(&used, arena, sizeof used);
    memory = arena + 64 + used;
    used += (size + 63) / 64 * 64;
    if (used > (1u << 22)) return NULL;
    memcpy(arena, &used, sizeof used);
    return memory;
}

static void arena_takes_nothing_back(void)
{
    vts_allocator arena = {give, NULL, NULL};

    arena.user = calloc(1, (1u << 22) + 128);
    assert_non_null(arena.user);
    build(FAKE_TWO_PACKAGES);
    fake_two_packages(pc.world);
    pc.desc.allocator = &arena;
    start();
    pass();
    assert_temperature(51, VTS_PC_SOURCE_CORETEMP);
    finish();
    free(arena.user);
}

static void defaults_are_the_system_s(void)
{
    const vts_pcmon_desc desc = {.manual_tick = true};
    vts_pcmon *monitor;

    assert_code(vts_pcmon_create(&monitor, &desc), VTS_OK);
    assert_code(vts_pcmon_destroy(monitor), VTS_OK);
}

static void xml_text_of_more_than_64_mb_is_refused(void)
{
    const size_t size = (64u << 20) + 1;
    char *xml = (char *)malloc(size + 1);

    assert_non_null(xml);
    memset(xml, '<', size);
    xml[size] = '\0';
    build(NULL);
    pc.desc.topology_xml = xml;
    assert_refused(-EINVAL);
    free(xml);
}

static const test_case tests[] = {
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
    TEST(sensor_lost_in_a_hotplug_is_unmapped),
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
    TEST(each_metric_reads_its_file_alone),
    TEST(critical_limit_comes_without_the_temperature),
    TEST(reader_that_is_overtaken_reads_again),
    TEST(reader_that_is_always_overtaken_waits),
    TEST(reader_that_is_overtaken_by_the_clock_gets_nothing),
    TEST(fresh_result_may_be_thrown_away),
    TEST(second_fresh_read_has_nothing_to_mark),
    TEST(continuation_may_be_taken_back),
    TEST(deadline_that_is_over_is_due_now),
    TEST(here_without_a_temperature_says_so),
    TEST(here_says_why_the_nearest_has_no_temperature),
    TEST(here_without_a_topology_finds_no_cpu),
    TEST(arena_takes_nothing_back),
    TEST(defaults_are_the_system_s),
    TEST(xml_text_of_more_than_64_mb_is_refused),
};

TEST_MAIN(tests)
