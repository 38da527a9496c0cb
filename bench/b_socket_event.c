/* b_socket_event.c - the echo server with libevent; see b_socket.h

       b_socket_event event | bufferevent */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "b_socket.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

static struct event_base *base;

// ---- event ----

typedef struct connection {
    struct event *receives, *sends;
    int left; /* bytes of rest that could not be sent yet */
    char rest[ECHO_BUFFER];
} connection;

static void end(connection *c, int descriptor)
{
    event_free(c->receives);
    event_free(c->sends);
    close(descriptor);
    free(c);
}

static void reply(connection *c, int descriptor, const char *bytes, int size)
{
    ssize_t sent = send(descriptor, bytes, (size_t)size, MSG_NOSIGNAL);

    c->left = 0;
    if (sent == size) return;
    if (sent < 0 && errno != EAGAIN) {
        end(c, descriptor);
        return;
    }
    if (sent < 0) sent = 0;
    c->left = size - (int)sent;
    memmove(c->rest, bytes + sent, (size_t)c->left);
    event_del(c->receives);
    event_add(c->sends, NULL);
}

static void on_room(evutil_socket_t descriptor, short events, void *arg)
{
    connection *c = arg;

    (void)events;
    event_add(c->receives, NULL);
    reply(c, descriptor, c->rest, c->left);
}

static void on_request(evutil_socket_t descriptor, short events, void *arg)
{
    char buffer[ECHO_BUFFER];
    ssize_t size = recv(descriptor, buffer, sizeof buffer, 0);

    (void)events;
    if (size > 0) reply(arg, descriptor, buffer, (int)size);
    else if (size == 0 || errno != EAGAIN) end(arg, descriptor);
}

static void start_event(int descriptor)
{
    connection *c = malloc(sizeof *c);

    if (c == NULL) abort();
    c->receives = event_new(base, descriptor, EV_READ | EV_PERSIST, on_request, c);
    c->sends = event_new(base, descriptor, EV_WRITE, on_room, c);
    event_add(c->receives, NULL);
}

// ---- bufferevent ----

static void on_read(struct bufferevent *stream, void *arg)
{
    (void)arg;
    bufferevent_write_buffer(stream, bufferevent_get_input(stream));
}

static void on_event(struct bufferevent *stream, short events, void *arg)
{
    (void)arg;
    if ((events & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) bufferevent_free(stream);
}

static void start_bufferevent(int descriptor)
{
    struct bufferevent *stream =
        bufferevent_socket_new(base, descriptor, BEV_OPT_CLOSE_ON_FREE);

    if (stream == NULL) abort();
    bufferevent_setcb(stream, on_read, NULL, on_event, NULL);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

// ---- both ----

static void (*start)(int descriptor);

static void on_connection(evutil_socket_t listener, short events, void *arg)
{
    int descriptor;

    (void)events;
    (void)arg;
    while ((descriptor = echo_accept(listener)) >= 0) start(descriptor);
}

int main(int argc, char **argv)
{
    struct event_config *config = event_config_new();
    int listener = echo_listen();

    start = argc > 1 && strcmp(argv[1], "event") == 0 ? start_event : start_bufferevent;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    base = event_base_new_with_config(config);
    if (base == NULL) return 1;
    event_add(event_new(base, listener, EV_READ | EV_PERSIST, on_connection, NULL), NULL);
    echo_announce(listener, start == start_event ? sizeof(connection) : 0);
    return event_base_dispatch(base);
}
