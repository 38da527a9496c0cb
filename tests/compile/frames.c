/* Every macro of a coroutine's block, in C and in every C++: frames, streams, generators.
   Runs, and prints nothing unless a result is wrong. */
#ifndef __cplusplus
#define VTS_IMPLEMENTATION
#endif
#include "vts.h"

#include <stdio.h>

typedef struct point {
    double x, y;
} point;

VTS_DECLARE_VALUETASK(place, point);

static place_valuetask find_place(double x)
{
    point found;
    found.x = x;
    found.y = x;
    return place_from_result(&found);
}

typedef struct numbers {
    vts_generator generator;
    int i, rc;
} numbers;

static vts_step numbers_run(vts_co *co)
{
    numbers *n = VTS_SELF(co, numbers);

    VTS_ASYNC(co) {
        for (n->i = 0; n->i < 4; n->i++) {
            if (n->i == 3) VTS_LEAVE();
            VTS_YIELD_RETURN(&n->i);
        }
    VTS_FINALLY();
        VTS_AWAIT(n->rc, vts_valuetask_from_result(0));
    }
    return vts_co_finish(co, n->rc);
}

typedef struct frame {
    vts_co co;
    numbers first_three;
    vts_stream *stream;
    point place;
    intptr_t rc, sum;
    int seen;
    int error;
} frame;

static vts_step frame_run(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

    VTS_ASYNC(co) {
        VTS_TRY(f->rc, vts_valuetask_from_result(4));
        VTS_YIELD(NULL);
        VTS_AWAIT_TYPED(place, f->error, &f->place, find_place(2));
        f->stream = vts_generator_start(&f->first_three.generator, numbers_run);
        VTS_FOREACH(f->rc, f->stream, vts_cancellation_none()) {
            VTS_AWAIT(f->seen, vts_valuetask_from_result(1));
            f->sum += *(int *)vts_stream_current(f->stream) + (intptr_t)f->seen;
        }
        f->sum += f->place.y > 1 ? 10 : 0;
        VTS_LEAVE();
    VTS_FINALLY();
        VTS_AWAIT(f->rc, vts_stream_dispose(f->stream));
    }
    return vts_co_finish(co, f->rc < 0 ? f->rc : f->sum);
}

int main(void)
{
    static frame f;
    intptr_t sum = 0;
    vts_valuetask task;

    vts_co_configure(&f.co, VTS_NONE);
    task = vts_co_start(&f.co, frame_run);
    if (vts_valuetask_get_result(task, &sum) == VTS_OK && sum == 0 + 1 + 2 + 3 + 10)
        return 0;
    printf("wrong sum: %ld\n", (long)sum);
    return 1;
}
