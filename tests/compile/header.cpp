/* The header alone, as the first line of a C++ file. HEADER names it. */
#include HEADER

int vts_compile_header() { return VTS_VERSION_MAJOR; }
