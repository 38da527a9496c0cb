/* The shipped vts.h under the explorer: its atomic operations and its sleep are steps of
   explore.h, and what it keeps per thread is kept per fiber. */
#ifndef SHIPPED_H
#define SHIPPED_H

#include "tests/explore/explore.h"

#define VTS_ATOMICS_HEADER "tests/explore/atomics.h"
#define VTS__PARKING_HEADER "tests/explore/parking.h"
#define VTS_STATIC
#define VTS_IMPLEMENTATION
/* vts.h declares vts__self thread-local: this makes that declaration a pointer, which is
   moved whenever another fiber goes on. */
#define vts__self (*vts__self_now)
#include "vts.h"

static vts__thread selves[X_THREADS + 1];

X_QUIET void switch_self(int thread) { vts__self_now = &selves[thread + 1]; }

/* As if no thread had run yet. The first call makes the key for thread exits, which the
   C library does once, unwatched. */
X_QUIET void forget_threads(void)
{
    static bool made;

    if (!made) vts__thread_at_exit(vts__self_now);
    made = true;
    memset(selves, 0, sizeof selves);
    memset(model_time, 0, sizeof model_time);
    vts__thread_map = 0;
}

/* What the C library does when a thread ends. */
X_QUIET void end_thread(void)
{
    if (vts__self_now->number != 0) vts__thread_exits(vts__self_now);
}

static inline void write_word(char *text, size_t size, x_word word)
{
    static const char *const phase[] = {"IDLE",    "PENDING",  "COMPLETING", "SUCCEEDED",
                                        "FAULTED", "CANCELED", "CONSUMING",  "CONSUMED"};
    static const char *const waiter[] = {"", "|REGISTERING", "|AWAITED", "|QUEUED"};

    snprintf(text, size, "%lu|%s%s", (unsigned long)(word >> 5), phase[word & 7],
             waiter[word >> 3 & 3]);
}

X_QUIET void name_source(const vts_source *source, const char *whole, const char *word)
{
    x_name(source, sizeof *source, whole, NULL);
    x_name(&source->word, sizeof source->word, word, write_word);
}

#endif
