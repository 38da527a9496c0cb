/* b_socket_uv.c - the echo server with libuv; see b_socket.h */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "b_socket.h"

#include <malloc.h>
#include <string.h>
#include <uv.h>

typedef struct connection {
    uv_tcp_t tcp;
    uv_write_t write;
    char rest[ECHO_BUFFER]; /* what could not be sent at once                         */
} connection;

static char shared[ECHO_BUFFER];

static void give(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    (void)handle;
    (void)size;
    *buffer = uv_buf_init(shared, sizeof shared);
}

static void on_closed(uv_handle_t *handle) { free(handle); }

static void on_written(uv_write_t *write, int status)
{
    if (status < 0) uv_close((uv_handle_t *)write->handle, on_closed);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    connection *c = (connection *)stream;
    uv_buf_t reply;
    int sent;

    if (size < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    reply = uv_buf_init(buffer->base, (unsigned)size);
    sent = uv_try_write(stream, &reply, 1);
    if (sent == size) return;
    if (sent < 0) sent = 0;
    memcpy(c->rest, buffer->base + sent, (size_t)(size - sent));
    reply = uv_buf_init(c->rest, (unsigned)(size - sent));
    uv_write(&c->write, stream, &reply, 1, on_written);
}

static void on_connection(uv_stream_t *listener, int status)
{
    connection *c = malloc(sizeof *c);

    if (status < 0 || c == NULL) abort();
    uv_tcp_init(listener->loop, &c->tcp);
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0) abort();
    uv_read_start((uv_stream_t *)&c->tcp, give, on_read);
}

int main(void)
{
    static uv_tcp_t listener;
    int descriptor = echo_listen();
    connection *one = malloc(sizeof *one);
    size_t own = malloc_usable_size(one) - sizeof one->tcp;

    free(one);
    uv_tcp_init(uv_default_loop(), &listener);
    if (uv_tcp_open(&listener, descriptor) != 0) return 1;
    if (uv_listen((uv_stream_t *)&listener, 4096, on_connection) != 0) return 1;
    echo_announce(descriptor, own);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
