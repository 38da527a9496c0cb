/* socket_echo_await.c - an echo server, in coroutines

   The same server as socket_echo_callbacks.c and socket_echo_cxx.cpp. Without an argument
   it serves clients of its own on the loopback and checks what they get back; with one,
   "127.0.0.1:7000", whoever connects there, until it is interrupted (try nc).

   Teaches a coroutine for each connection, whose frame comes from a pool: it has the
   socket and the buffer in it, and goes back when the coroutine has ended. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static vts_socket_loop net;

// ---- the server ------------------------------------------------------------------

typedef struct connection {
    vts_co co;
    vts_socket socket;
    intptr_t n;
    char buffer[4096];
} connection;

static struct {
    vts_co co;
    vts_socket listener;
    vts_address address;
    intptr_t descriptor;
    vts_pool connections;
    int served;
} server;

static vts_step connection_run(vts_co *co)
{
    connection *c = VTS_SELF(co, connection);

    VTS_ASYNC(co) {
        for (;;) {
            VTS_TRY(c->n, vts_socket_recv(&c->socket, c->buffer, sizeof c->buffer, 0, NULL));
            if (c->n == 0) break;
            VTS_TRY(c->n,
                    vts_socket_send_all(&c->socket, c->buffer, (size_t)c->n, 0, NULL));
        }
    VTS_FINALLY();
        VTS_AWAIT(c->n, vts_socket_close(&c->socket));
    }
    return vts_co_finish(co, c->n);
}

/* Nobody waits for it: the frame goes back by itself. */
static void server_serves(int descriptor)
{
    connection *c = vts_co_rent(&server.connections, connection);

    if (c == NULL) {
        close(descriptor);
    } else if (vts_socket_adopt(&c->socket, &net, descriptor) != VTS_OK) {
        close(descriptor);
        vts_source_abandon(&c->co.source, vts_source_version(&c->co.source));
    } else {
        server.served++;
        vts_valuetask_forget(vts_co_start(&c->co, connection_run));
    }
}

/* Until the listener is closed. */
static vts_step server_run(vts_co *co)
{
    VTS_ASYNC(co) {
        for (;;) {
            VTS_TRY(server.descriptor, vts_socket_accept(&server.listener, NULL, NULL));
            server_serves((int)server.descriptor);
        }
    }
    return vts_co_finish(co, server.descriptor);
}

static int server_opens(const char *where)
{
    vts_pool_desc desc = vts_co_pool_desc(sizeof(connection));
    int error = vts_address_parse(&server.address, where);

    if (error == VTS_OK) error = vts_socket_loop_init(&net, NULL);
    if (error == VTS_OK) error = vts_pool_init(&server.connections, &desc);
    if (error == VTS_OK) {
        error = vts_socket_open(&server.listener, &net,
                                vts_address_family(&server.address), VTS_STREAM);
    }
    if (error != VTS_OK) return error;
    vts_socket_set_option(&server.listener, VTS_OPTION_REUSE_ADDRESS, 1);
    error = vts_socket_bind(&server.listener, &server.address);
    if (error == VTS_OK) error = vts_socket_listen(&server.listener, 0);
    if (error != VTS_OK) return error;
    return vts_socket_local_address(&server.listener, &server.address);
}

// ---- clients, to see that it works -----------------------------------------------

#define CLIENTS 10
#define MESSAGES 200

typedef struct client {
    vts_co co;
    vts_socket socket;
    vts_valuetask task;
    intptr_t n;
    char message[32], buffer[32];
    size_t size, got;
    int sent;
} client;

static client clients[CLIENTS];

static vts_step client_run(vts_co *co)
{
    client *c = VTS_SELF(co, client);

    VTS_ASYNC(co) {
        VTS_TRY(c->n, vts_socket_connect(&c->socket, &server.address, NULL));
        for (; c->sent < MESSAGES; c->sent++) {
            c->size = (size_t)snprintf(c->message, sizeof c->message, "message %d\n", c->sent);
            VTS_TRY(c->n, vts_socket_send_all(&c->socket, c->message, c->size, 0, NULL));
            for (c->got = 0; c->got < c->size && c->n > 0; c->got += (size_t)c->n) {
                VTS_TRY(c->n, vts_socket_recv(&c->socket, c->buffer + c->got,
                                              c->size - c->got, 0, NULL));
            }
            if (c->n == 0 || memcmp(c->buffer, c->message, c->size) != 0) VTS_LEAVE();
        }
    VTS_FINALLY();
        VTS_AWAIT(c->n, vts_socket_close(&c->socket));
    }
    return vts_co_finish(co, c->sent);
}

/* Everybody who was served has said what there was to say. */
static bool serve_clients(void)
{
    vts_valuetask serving = vts_co_start(&server.co, server_run);
    intptr_t came_back = 0;

    for (client *c = clients; c < clients + CLIENTS; c++) {
        if (vts_socket_open(&c->socket, &net, VTS_IPV4, VTS_STREAM) != VTS_OK) abort();
        c->task = vts_co_start(&c->co, client_run);
    }
    for (client *c = clients; c < clients + CLIENTS; c++) {
        intptr_t count = 0;
        vts_loop_run_until(&net.loop, c->task, VTS_NEVER);
        vts_valuetask_get_result(c->task, &count);
        came_back += count;
    }
    vts_valuetask_forget(vts_socket_close(&server.listener));
    vts_loop_run_until(&net.loop, serving, VTS_NEVER);
    vts_valuetask_get_result(serving, NULL);
    while (vts_socket_loop_destroy(&net) == VTS_E_BUSY) {
        vts_loop_run_once(&net.loop, VTS_NEVER); /* the server's ends of them         */
    }
    printf("%d clients were served, %d messages came back\n", server.served,
           (int)came_back);
    return vts_pool_destroy(&server.connections) == VTS_OK && server.served == CLIENTS &&
           came_back == CLIENTS * MESSAGES;
}

static void serve(void)
{
    char where[64];

    vts_address_format(&server.address, where, sizeof where);
    printf("echo at %s\n", where);
    fflush(stdout);
    vts_loop_run_until(&net.loop, vts_co_start(&server.co, server_run), VTS_NEVER);
}

int main(int argc, char **argv)
{
    int error = server_opens(argc > 1 ? argv[1] : "127.0.0.1:0");

    if (error != VTS_OK) {
        fprintf(stderr, "%s\n", vts_socket_strerror(error));
        return EXIT_FAILURE;
    }
    if (argc == 1) return serve_clients() ? EXIT_SUCCESS : EXIT_FAILURE;
    serve();
    return EXIT_SUCCESS;
}
