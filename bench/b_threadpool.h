/* b_threadpool.h - what b_threadpool.c and b_threadpool.cpp share */
#ifndef B_THREADPOOL_H
#define B_THREADPOOL_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The work: a worker's, and what the poster waits for. */
void pool_work(void);
void pool_wait_for_room(size_t posted);
void pool_wait(size_t posted);

/* Rows of b_threadpool.cpp: begin starts the thread, end ends it. */
void asio_begin(void);
void asio_end(void);
void asio_posted(size_t n);

#ifdef __cplusplus
}
#endif

#endif
