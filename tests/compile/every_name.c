/* Two files that include and use every public macro and inline function, one that
   implements (FILE_IMPLEMENTS): they link, in C and with this file compiled as C++. */
#ifdef FILE_IMPLEMENTS
#define VTS_IMPLEMENTATION
#endif
#include "vts.h"
#include "vts.h" /* twice is harmless */

#include <stdio.h>

typedef struct point {
    double x, y;
} point;

VTS_DECLARE_VALUETASK(point_task, point);

static void count(void *arg) { ++*(int *)arg; }

static int use_plain(void)
{
    int ran = 0;
    intptr_t result = 0;
    vts_valuetask task = vts_valuetask_from_result(7);
    vts_valuetask_on_completed(task, count, &ran, VTS_NONE);
    vts_valuetask_get_result(task, &result);
    return ran == 1 && result == 7 && vts_valuetask_is_completed(task) &&
           vts_valuetask_is_completed_successfully(task) &&
           vts_valuetask_equals(task, vts_valuetask_from_result(7));
}

static int use_typed(vts_pool *pool)
{
    point in = {1, 2}, out = {0, 0};
    vts_token token;
    point_task_source *source = point_task_rent(pool, &token, VTS_HERE);
    point_task_valuetask task = point_task_valuetask_of(source, token);
    int ran = 0;
    point_task_on_completed(task, count, &ran,
                            VTS_USE_SCHEDULING_CONTEXT | VTS_FLOW_EXECUTION_CONTEXT);
    point_task_set_result(source, token, &in);
    point_task_get_result(task, &out);
    return ran == 1 && out.y == in.y && point_task_get_status(task) == VTS_E_STALE &&
           !point_task_is_completed(task) &&
           !point_task_is_completed_successfully(task) && !point_task_is_faulted(task) &&
           !point_task_is_canceled(task) && point_task_unregister(task) == VTS_E_STALE &&
           point_task_forget(task) == VTS_E_STALE &&
           point_task_is_completed(point_task_from_result(&in)) &&
           point_task_is_faulted(point_task_from_error(-5)) &&
           point_task_is_canceled(point_task_from_canceled(0));
}

static int use_bare_typed(void)
{
    point in = {3, 4}, out = {0, 0};
    point_task_source source;
    vts_token token;
    point_task_source_init(&source);
    vts_source_reset(&source.core, &token);
    point_task_set_result(&source, token, &in);
    return point_task_get_result(point_task_valuetask_of(&source, token), &out) ==
               VTS_OK &&
           out.x == in.x;
}

static int use_storage(void)
{
    static VTS_POOL_STORAGE(storage, point, 3);
    static vts_pool_desc desc;
    vts_pool pool;
    void *item;
    desc.item_size = sizeof(point);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    if (vts_pool_init(&pool, &desc) != VTS_OK) return 0;
    item = vts_pool_get(&pool);
    return item != NULL && vts_pool_put(&pool, item) == VTS_OK;
}

#ifdef __cplusplus
extern "C"
#endif
    int
    FILE_NAME(void);

int FILE_NAME(void)
{
    vts_pool pool;
    vts_pool_desc desc = point_task_pool_desc();
    int good = vts_pool_init(&pool, &desc) == VTS_OK;
    good = good && use_plain() && use_typed(&pool) && use_bare_typed() && use_storage();
    return good && vts_pool_destroy(&pool) == VTS_OK;
}

#ifdef FILE_MAIN
#ifdef __cplusplus
extern "C"
#endif
    int
    FILE_OTHER(void);

int main(void)
{
    int good = FILE_NAME() && FILE_OTHER();
    printf("%s\n", good ? "linked and ran" : "wrong result");
    return !good;
}
#endif
