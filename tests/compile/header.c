/* The header alone, as the first line of a C file. HEADER names it. */
#include HEADER

int vts_compile_header(void);
int vts_compile_header(void) { return VTS_VERSION_MAJOR; }
