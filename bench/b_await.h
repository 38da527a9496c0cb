/* b_await.h - what b_await.c and b_await.cpp share */
#ifndef B_AWAIT_H
#define B_AWAIT_H

#include "vts.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Operations: a plain function, one completed in itself, one completed by a source, and
   one that await_drive completes. */
intptr_t await_plain(const intptr_t *device);
vts_valuetask await_value(const intptr_t *device);
vts_valuetask await_done(const intptr_t *device);
vts_valuetask await_pending(void);
void await_drive(size_t n);
vts_pool *await_sources(void);

/* Rows of b_await.cpp. */
void cxx_values(size_t n);
void cxx_ready(size_t n);
void cxx_each(size_t n);
void cxx_bare(size_t n);
void cxx_call_returning(size_t n);
void cxx_call_suspending(size_t n);

#ifdef __cplusplus
}
#endif

#endif
