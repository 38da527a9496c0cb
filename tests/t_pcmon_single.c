/* t_pcmon_single.c - the monitor in a build for one thread: it has no sampler and is
   ticked. */
#ifndef VTS_SINGLE_THREADED
#define VTS_SINGLE_THREADED
#endif
#define VTS_IMPLEMENTATION
#include "vts.h"
#include "vts_pcmon.h"

#include "pcmon_test.h"
#include "test.h"

static void monitor_with_a_thread_is_refused(void)
{
    build_plain();
    pc.desc.manual_tick = false;
    pc.monitor = (vts_pcmon *)(void *)&pc;
    assert_code(vts_pcmon_create(&pc.monitor, &pc.desc), -EINVAL);
    assert_null(pc.monitor);
    assert_int_equal(fake_calls(pc.world, FAKE_START), 0);
    fake_free(pc.world);
}

static void monitor_that_is_ticked_works(void)
{
    vts_pc_statistics_valuetask task;

    build_plain();
    create();
    task = ask();
    tick();
    assert_result(task, VTS_OK);
    assert_metric(VTS_PC_LOAD_AVERAGE, VTS_PC_VALID, pc.now.load_average[0], 0.5);
    finish();
}

static const test_case tests[] = {
    TEST(monitor_with_a_thread_is_refused),
    TEST(monitor_that_is_ticked_works),
};

TEST_MAIN(tests)
