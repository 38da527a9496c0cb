/* impl.c - the implementation in a translation unit of its own, as its users have it:
   every call of the benchmarks is a real call. */
#define VTS_IMPLEMENTATION
#if defined BENCH_PCMON
#include "vts_pcmon.h"
#elif defined BENCH_SOCKET
#include "vts_socket.h"
#else
#include "vts.h"
#endif
