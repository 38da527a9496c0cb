/* Must fail: the C library's header came first without its extensions. */
#include <stdio.h>
#define VTS_IMPLEMENTATION
#include "vts_pcmon.h"
