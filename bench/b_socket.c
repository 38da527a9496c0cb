/* b_socket.c - echo servers: vts_socket.h by callbacks and by await over each poller, and
   the epoll loop by hand that they are compared with; see b_socket.h

       b_socket raw | callbacks POLLER | await POLLER       POLLER: epoll io_uring poll */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "b_socket.h"

#include "vts_socket.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* A connection's memory: what malloc gives for it. */
static size_t allocated(size_t size)
{
    void *memory = malloc(size);
    size_t usable = malloc_usable_size(memory);

    free(memory);
    return usable;
}

static void *must(void *memory)
{
    if (memory == NULL) abort();
    return memory;
}

// ----------------------------------------------------------------------------------
// >>raw
// ----------------------------------------------------------------------------------
// Level-triggered: no call that only says EAGAIN, and one buffer for all.

typedef struct raw {
    int descriptor;
    int left;                /* bytes of rest that could not be sent yet              */
    char rest[ECHO_BUFFER];
} raw;

static int raw_poller;

static void raw_watch(raw *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(raw_poller, operation, connection->descriptor, &event) < 0) abort();
}

static void raw_accept(int listener)
{
    int descriptor;

    while ((descriptor = echo_accept(listener)) >= 0) {
        raw *connection = must(malloc(sizeof *connection));
        connection->descriptor = descriptor;
        connection->left = 0;
        raw_watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void raw_close(raw *connection)
{
    close(connection->descriptor);
    free(connection);
}

static void raw_send(raw *connection, const char *bytes, int size)
{
    ssize_t sent = send(connection->descriptor, bytes, (size_t)size, MSG_NOSIGNAL);

    if (sent == size) return;
    if (sent < 0 && errno != EAGAIN) {
        raw_close(connection);
        return;
    }
    if (sent < 0) sent = 0;
    memmove(connection->rest, bytes + sent, (size_t)(size - sent));
    if (connection->left == 0) raw_watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
    connection->left = size - (int)sent;
}

static void raw_send_rest(raw *connection)
{
    int size = connection->left;

    connection->left = 0;
    raw_watch(connection, EPOLL_CTL_MOD, EPOLLIN);
    raw_send(connection, connection->rest, size);
}

static void raw_receive(raw *connection)
{
    char buffer[ECHO_BUFFER];
    ssize_t size = recv(connection->descriptor, buffer, sizeof buffer, 0);

    if (size > 0) raw_send(connection, buffer, (int)size);
    else if (size == 0 || errno != EAGAIN) raw_close(connection);
}

static void raw_serve(void)
{
    static struct epoll_event events[256];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int listener = echo_listen();

    raw_poller = epoll_create1(EPOLL_CLOEXEC);
    if (raw_poller < 0) abort();
    if (epoll_ctl(raw_poller, EPOLL_CTL_ADD, listener, &event) < 0) abort();
    echo_announce(listener, allocated(sizeof(raw)));
    for (;;) {
        int count = epoll_wait(raw_poller, events, 256, -1);
        for (int i = 0; i < count; i++) {
            raw *connection = events[i].data.ptr;
            if (connection == NULL) raw_accept(listener);
            else if (connection->left != 0) raw_send_rest(connection);
            else raw_receive(connection);
        }
    }
}

// ----------------------------------------------------------------------------------
// >>callbacks
// ----------------------------------------------------------------------------------

static vts_socket_loop net;

typedef struct connection {
    vts_socket socket;
    vts_valuetask task;
    char buffer[ECHO_BUFFER];
} connection;

static void on_sent(void *arg);

static void close_connection(connection *c)
{
    vts_valuetask_get_result(vts_socket_close(&c->socket), NULL);
    free(c);
}

/* The result of a task, 0 or less if it failed. */
static intptr_t taken(vts_valuetask task)
{
    intptr_t size;
    int error = vts_valuetask_get_result(task, &size);
    return error == VTS_OK ? size : error;
}

/* Has received: sends, and receives again, for as long as that is done at once. */
static void on_received(void *arg)
{
    connection *c = arg;
    vts_valuetask task = c->task;

    do {
        intptr_t size = taken(task);
        if (size > 0) {
            task = vts_socket_send_all(&c->socket, c->buffer, (size_t)size, 0, NULL);
            if (!vts_valuetask_is_completed(task)) {
                c->task = task;
                vts_valuetask_on_completed(task, on_sent, c, VTS_NONE);
                return;
            }
            size = taken(task);
        }
        if (size <= 0) {
            close_connection(c);
            return;
        }
        task = vts_socket_recv(&c->socket, c->buffer, sizeof c->buffer, 0, NULL);
    } while (vts_valuetask_is_completed(task));
    c->task = task;
    vts_valuetask_on_completed(task, on_received, c, VTS_NONE);
}

static void receive(connection *c)
{
    c->task = vts_socket_recv(&c->socket, c->buffer, sizeof c->buffer, 0, NULL);
    if (vts_valuetask_is_completed(c->task)) on_received(c);
    else vts_valuetask_on_completed(c->task, on_received, c, VTS_NONE);
}

static void on_sent(void *arg)
{
    connection *c = arg;

    if (taken(c->task) > 0) receive(c);
    else close_connection(c);
}

static void start_callbacks(int descriptor)
{
    connection *c = must(calloc(1, sizeof *c));
    if (vts_socket_adopt(&c->socket, &net, descriptor) != VTS_OK) abort();
    receive(c);
}

// ----------------------------------------------------------------------------------
// >>await
// ----------------------------------------------------------------------------------

typedef struct handler {
    vts_co co;
    vts_valuetask task;
    vts_socket socket;
    int size, closed;
    char buffer[ECHO_BUFFER];
} handler;

static vts_step handle(vts_co *co)
{
    handler *h = VTS_SELF(co, handler);

    VTS_ASYNC(co) {
        do {
            VTS_TRY(h->size, vts_socket_recv(&h->socket, h->buffer, sizeof h->buffer, 0,
                                             NULL));
            VTS_TRY(h->size, vts_socket_send_all(&h->socket, h->buffer, (size_t)h->size, 0,
                                                 NULL));
        } while (h->size > 0);
    VTS_FINALLY();
        VTS_AWAIT(h->closed, vts_socket_close(&h->socket));
    }
    return vts_co_finish(co, 0);
}

static void handled(void *arg)
{
    handler *h = arg;
    vts_valuetask_get_result(h->task, NULL);
    free(h);
}

static void start_await(int descriptor)
{
    handler *h = must(calloc(1, sizeof *h));

    if (vts_socket_adopt(&h->socket, &net, descriptor) != VTS_OK) abort();
    h->task = vts_co_start(&h->co, handle);
    vts_valuetask_on_completed(h->task, handled, h, VTS_NONE);
}

// ----------------------------------------------------------------------------------
// >>serving
// ----------------------------------------------------------------------------------

static vts_socket listener;
static vts_valuetask accepted;
static void (*start)(int descriptor);

static void on_accepted(void *arg)
{
    intptr_t descriptor;

    (void)arg;
    do {
        if (vts_valuetask_get_result(accepted, &descriptor) != VTS_OK) abort();
        start((int)descriptor);
        accepted = vts_socket_accept(&listener, NULL, NULL);
    } while (vts_valuetask_is_completed(accepted));
    vts_valuetask_on_completed(accepted, on_accepted, NULL, VTS_NONE);
}

/* From the loop's thread: what is there at once is taken at once. */
static void begin(vts_work *work)
{
    (void)work;
    accepted = vts_socket_accept(&listener, NULL, NULL);
    if (vts_valuetask_is_completed(accepted)) on_accepted(NULL);
    else vts_valuetask_on_completed(accepted, on_accepted, NULL, VTS_NONE);
}

static vts_socket_poller poller_of(const char *name)
{
    if (strcmp(name, "io_uring") == 0) return VTS_POLLER_URING;
    return strcmp(name, "poll") == 0 ? VTS_POLLER_POLL : VTS_POLLER_EPOLL;
}

static int vts_serve(const char *poller, size_t own)
{
    vts_socket_loop_desc desc = {0};
    vts_work work = {.run = begin};

    desc.poller = poller_of(poller);
    if (vts_socket_loop_init(&net, &desc) != VTS_OK) return 1;
    if (vts_socket_loop_poller(&net) != desc.poller) {
        printf("absent %s\n", vts_socket_loop_note(&net));
        return 0;
    }
    if (vts_socket_adopt(&listener, &net, echo_listen()) != VTS_OK) return 1;
    echo_announce(vts_socket_descriptor(&listener), own);
    vts_scheduler_post(&net.loop.scheduler, &work);
    return vts_loop_run(&net.loop);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    const char *poller = argc > 2 ? argv[2] : "epoll";

    if (strcmp(what, "callbacks") == 0) {
        start = start_callbacks;
        return vts_serve(poller, allocated(sizeof(connection)) - sizeof(vts_socket));
    }
    if (strcmp(what, "await") == 0) {
        start = start_await;
        return vts_serve(poller, allocated(sizeof(handler)) - sizeof(vts_socket));
    }
    if (strcmp(what, "raw") != 0) return 2;
    raw_serve();
    return 0;
}
