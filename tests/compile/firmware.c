/* The core for a processor without an operating system. */
#ifdef CRITICAL
#include CRITICAL
#endif
#define VTS_IMPLEMENTATION
#include "vts.h"
