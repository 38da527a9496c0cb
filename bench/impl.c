/* impl.c - the implementation in a translation unit of its own, as its users have it:
   every call of the benchmarks is a real call. */
#define VTS_IMPLEMENTATION
#ifdef BENCH_PCMON
#include "vts_pcmon.h"
#else
#include "vts.h"
#endif
