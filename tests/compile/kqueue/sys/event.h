/* What kqueue(2) declares, so that a compiler without it can check the types of its use. */
#ifndef VTS_TESTS_KQUEUE_EVENT_H
#define VTS_TESTS_KQUEUE_EVENT_H

#include <stdint.h>
#include <time.h>

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned int fflags;
    int64_t data;
    void *udata;
};

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EV_ADD 0x0001u
#define EV_DELETE 0x0002u
#define EV_CLEAR 0x0020u
#define EV_ERROR 0x4000u
#define EV_EOF 0x8000u

#define EV_SET(event, i, f, g, ff, d, u)                                               \
    do {                                                                               \
        (event)->ident = (uintptr_t)(i);                                               \
        (event)->filter = (f);                                                         \
        (event)->flags = (unsigned short)(g);                                          \
        (event)->fflags = (ff);                                                        \
        (event)->data = (d);                                                           \
        (event)->udata = (u);                                                          \
    } while (0)

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int count, struct kevent *events,
           int room, const struct timespec *timeout);

#endif
