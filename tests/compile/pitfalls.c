/* What must not compile: PITFALL chooses. 0 compiles. */
#include "vts.h"

vts_step pitfall(vts_co *co);
vts_valuetask read_async(void);

typedef struct frame {
    vts_co co;
    intptr_t x, y;
} frame;

vts_step pitfall(vts_co *co)
{
    frame *f = VTS_SELF(co, frame);

#if PITFALL == 1
    VTS_AWAIT(f->x, read_async());
#endif
    VTS_ASYNC(co) {
        VTS_AWAIT(f->x, read_async());
#if PITFALL == 2
        VTS_AWAIT(f->x, read_async()); VTS_AWAIT(f->y, read_async());
#elif PITFALL == 3
    VTS_FINALLY();
        VTS_AWAIT(f->x, read_async());
    VTS_FINALLY();
#elif PITFALL == 6
        unsigned lossy;
        VTS_TRY(lossy, read_async());
#elif PITFALL == 4
        int sizes[(size_t)f->x];
        VTS_AWAIT(sizes[0], read_async());
#endif
    }
#if PITFALL == 5
    VTS_ASYNC(co) {
        VTS_AWAIT(f->y, read_async());
    }
#endif
    return vts_co_finish(co, f->x);
}
