/* Prints the size and every offset of the public structs: the same in C and C++, with
   every option. */
#include "vts.h"
#ifdef WITH_PCMON
#include "vts_pcmon.h"
#endif

#include <stdio.h>

#define SIZE(type) printf(#type " %u\n", (unsigned)sizeof(type))
#define FIELD(type, field) printf("  " #field " %u\n", (unsigned)offsetof(type, field))

typedef struct odd {
    char c[3];
} odd;

VTS_DECLARE_VALUETASK(odd_task, odd);

static void print_core(void)
{
    SIZE(vts_work);
    FIELD(vts_work, run);
    SIZE(vts_source_ops);
    FIELD(vts_source_ops, forget);
    FIELD(vts_source_ops, run_continuations_asynchronously);
    SIZE(vts_source);
    FIELD(vts_source, word);
    FIELD(vts_source, work);
    FIELD(vts_source, continuation);
    FIELD(vts_source, arg);
    FIELD(vts_source, context);
    FIELD(vts_source, result);
    SIZE(vts_valuetask);
    FIELD(vts_valuetask, token);
    SIZE(odd_task_source);
    FIELD(odd_task_source, value);
    SIZE(odd_task_valuetask);
}

static void print_pool(void)
{
    SIZE(vts_allocator);
    SIZE(vts_pool_slot);
    SIZE(vts_pool_desc);
    FIELD(vts_pool_desc, cache);
    FIELD(vts_pool_desc, run_continuations_asynchronously);
    SIZE(vts_pool);
    FIELD(vts_pool, head);
    FIELD(vts_pool, chunk);
    FIELD(vts_pool, caches);
    FIELD(vts_pool, stride);
    FIELD(vts_pool, source);
    FIELD(vts_pool, allocator);
    SIZE(vts_run_queue);
    FIELD(vts_run_queue, user);
}

#ifdef WITH_PCMON
static void print_pcmon(void)
{
    SIZE(vts_pc_statistics);
    FIELD(vts_pc_statistics, sequence);
    FIELD(vts_pc_statistics, state);
    SIZE(vts_pc_statistics_source);
    SIZE(vts_pc_reading);
    FIELD(vts_pc_reading, kind);
    SIZE(vts_pc_sensor_info);
    FIELD(vts_pc_sensor_info, object);
    FIELD(vts_pc_sensor_info, maximum);
    SIZE(vts_pcmon_info);
    FIELD(vts_pcmon_info, idle);
    SIZE(vts_pc_io);
    SIZE(vts_pcmon_desc);
    FIELD(vts_pcmon_desc, scheduler);
}
#else
static void print_pcmon(void) {}
#endif

int main(void)
{
    print_core();
    print_pool();
    print_pcmon();
    return 0;
}
