/* b_loop.h - rows of b_loop.cpp, for b_loop.c */
#ifndef B_LOOP_H
#define B_LOOP_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void asio_1(size_t n);
void asio_64(size_t n);
void asio_awaits(size_t n);

#ifdef __cplusplus
}
#endif

#endif
