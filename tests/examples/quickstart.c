/* quickstart.c - the five steps of the quick start in vts.h, as a complete program

   Teaches one whole round: a pool, an operation that rents a source, a completer, a
   caller, and what the handle is worth once its result is taken.
   The operation reads a pipe. Bytes that are there are the answer at once, and need no
   source; else a thread in the place of hardware completes the read when some come. */
#define VTS_IMPLEMENTATION
#include "vts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* (1) a pool of sources, in static memory: vts allocates nothing */
static VTS_POOL_STORAGE(storage, vts_source, 16);
static vts_pool pool;

static int make_pool(void)
{
    vts_pool_desc desc = {0};

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    return vts_pool_init(&pool, &desc);
}

typedef struct device {
    int fd; /* the reading end of a pipe, non-blocking                                */
    char bytes[64];
    vts_source *source;
    vts_token token;
    pthread_t thread;
    bool started;
} device;

/* (3) whoever finishes the operation says so, with the token it was given */
static void *run_hardware(void *arg)
{
    device *self = arg;
    struct pollfd readable = {.fd = self->fd, .events = POLLIN};
    ssize_t count = -1;

    if (poll(&readable, 1, -1) > 0) {
        count = read(self->fd, self->bytes, sizeof self->bytes);
    }
    if (count >= 0) {
        vts_source_set_result(self->source, self->token, count);
    } else {
        vts_source_set_error(self->source, self->token, -errno);
    }
    return NULL;
}

static int start_hardware(device *self, vts_source *source, vts_token token)
{
    int error;

    self->source = source;
    self->token = token;
    error = pthread_create(&self->thread, NULL, run_hardware, self);
    self->started = error == 0;
    return -error;
}

/* (2) the operation: an answer at once is the handle itself; else it rents a source,
   leaves source and token with the one who completes it, and returns the handle */
static vts_valuetask read_async(device *self)
{
    vts_token token;
    vts_source *source;
    ssize_t count = read(self->fd, self->bytes, sizeof self->bytes);
    int error;

    if (count >= 0) return vts_valuetask_from_result(count);
    if (errno != EAGAIN) return vts_valuetask_from_error(-errno);
    source = vts_pool_rent(&pool, &token);
    if (source == NULL) return vts_valuetask_from_error(VTS_E_EXHAUSTED);
    error = start_hardware(self, source, token);
    if (error == 0) return vts_valuetask_of(source, token);
    vts_source_abandon(source, token); /* nobody has the handle: back to the pool */
    return vts_valuetask_from_error(error);
}

/* The caller: its handle, and what came out. */
typedef struct reader {
    device *device;
    vts_valuetask task;
    intptr_t count;
    int error, again;
} reader;

/* (5) taking the result returns the source to its pool and makes the handle stale */
static void on_read(void *arg)
{
    reader *self = arg;

    self->error = vts_valuetask_get_result(self->task, &self->count);
    if (self->error != VTS_OK) return;
    printf("  %d bytes: %.*s\n", (int)self->count, (int)self->count,
           self->device->bytes);
    self->again = vts_valuetask_get_result(self->task, NULL);
    printf("  the same handle again: %s\n", vts_strerror(self->again));
}

/* (4) the caller takes a result that is there at once, else says what runs then */
static void start_reading(reader *self)
{
    self->task = read_async(self->device);
    if (vts_valuetask_is_completed(self->task)) {
        printf("  it is there at once\n");
        on_read(self);
    } else {
        printf("  nothing is there yet, a continuation waits\n");
        self->error = vts_valuetask_on_completed(self->task, on_read, self, VTS_NONE);
    }
}

static void write_text(int fd, const char *text)
{
    printf("  somebody writes to the pipe\n");
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text)) abort();
}

/* Main has nothing else to do. The continuation runs on the hardware's thread. */
static void wait_for_hardware(device *self)
{
    if (self->started) pthread_join(self->thread, NULL);
    self->started = false;
}

static int check(const reader *self, int count, int again)
{
    bool right = self->error == VTS_OK && self->count == count && self->again == again;

    if (!right) {
        fprintf(stderr, "WRONG: error %d, %d bytes (not %d), again %d (not %d)\n",
                self->error, (int)self->count, count, self->again, again);
    }
    return right ? 0 : 1;
}

int main(void)
{
    int ends[2], wrong = 0;
    device pipe_device = {0};
    reader first = {.device = &pipe_device};
    reader second = {.device = &pipe_device};

    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) abort();
    if (make_pool() != VTS_OK) abort();
    pipe_device.fd = ends[0];

    printf("A read of an empty pipe:\n");
    start_reading(&first);
    write_text(ends[1], "hello");
    wait_for_hardware(&pipe_device);
    wrong += check(&first, 5, VTS_E_STALE);

    printf("A read of a pipe with bytes in it:\n");
    write_text(ends[1], "hello again");
    start_reading(&second);
    wait_for_hardware(&pipe_device);
    wrong += check(&second, 11, VTS_OK); /* a result in the handle is never stale */

    if (vts_pool_outstanding(&pool) != 0) wrong++;
    printf("Sources that are still out of the pool: %u\n",
           (unsigned)vts_pool_outstanding(&pool));
    close(ends[0]);
    close(ends[1]);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
