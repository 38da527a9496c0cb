/* allocations.h - how often this program has asked the C library for memory

   Replaces malloc by one that counts and passes on. A sanitizer replaces malloc itself
   and must be the only one: then COUNTS_ALLOCATIONS is 0, and nothing is counted.
   One file, one program: include it there. */
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <stdlib.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define COUNTS_ALLOCATIONS 0
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||             \
    __has_feature(memory_sanitizer)
#define COUNTS_ALLOCATIONS 0
#endif
#endif
#if !defined COUNTS_ALLOCATIONS && defined __GLIBC__
#define COUNTS_ALLOCATIONS 1
#elif !defined COUNTS_ALLOCATIONS
#define COUNTS_ALLOCATIONS 0
#endif

static unsigned long allocation_count;

static inline unsigned long allocations(void)
{
    return __atomic_load_n(&allocation_count, __ATOMIC_RELAXED);
}

#if COUNTS_ALLOCATIONS

/* glibc's own names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static inline void count_allocation(void)
{
    __atomic_fetch_add(&allocation_count, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
    count_allocation();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_allocation();
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    count_allocation();
    return __libc_realloc(memory, size);
}

#endif

#endif
