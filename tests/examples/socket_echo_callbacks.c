/* socket_echo_callbacks.c - an echo server, in callbacks

   The same server as socket_echo_await.c and socket_echo_cxx.cpp. Without an argument it
   serves clients of its own on the loopback and checks what they get back; with one,
   "127.0.0.1:7000", whoever connects there, until it is interrupted (try nc).

   Teaches what an operation is: a value task, and a function that goes on when it is
   completed. One that is completed at once goes on at once, in the same way, and however
   long that goes the stack does not grow. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static vts_socket_loop net;

/* Goes on with next(arg); where the task is kept, for next to take its result. */
static void then(vts_valuetask *kept, vts_valuetask task, vts_continuation next, void *arg)
{
    *kept = task;
    if (vts_valuetask_on_completed(task, next, arg, VTS_NONE) != VTS_OK) abort();
}

/* The count, or a negative error. */
static intptr_t result_of(vts_valuetask task)
{
    intptr_t result = 0;
    int error = vts_valuetask_get_result(task, &result);
    return error != VTS_OK ? error : result;
}

// ---- the server ------------------------------------------------------------------

typedef struct connection {
    vts_socket socket;
    vts_valuetask task; /* what it waits for now                                      */
    char buffer[4096];
} connection;

static struct {
    vts_socket listener;
    vts_address address;
    vts_valuetask task;
    vts_pool connections;
    int served;
} server;

static void connection_received(void *arg);

static void connection_receives(connection *c)
{
    then(&c->task, vts_socket_recv(&c->socket, c->buffer, sizeof c->buffer, 0, NULL),
         connection_received, c);
}

static void connection_ends(connection *c)
{
    vts_valuetask_forget(vts_socket_close(&c->socket));
    vts_pool_put(&server.connections, c);
}

static void connection_sent(void *arg)
{
    connection *c = arg;

    if (result_of(c->task) < 0) connection_ends(c);
    else connection_receives(c);
}

static void connection_received(void *arg)
{
    connection *c = arg;
    intptr_t count = result_of(c->task);

    if (count <= 0) {
        connection_ends(c);
        return;
    }
    then(&c->task, vts_socket_send_all(&c->socket, c->buffer, (size_t)count, 0, NULL),
         connection_sent, c);
}

/* A descriptor that nobody can serve is closed again. */
static void server_serves(int descriptor)
{
    connection *c = vts_pool_get(&server.connections);

    if (c == NULL || vts_socket_adopt(&c->socket, &net, descriptor) != VTS_OK) {
        close(descriptor);
        if (c != NULL) vts_pool_put(&server.connections, c);
        return;
    }
    server.served++;
    connection_receives(c);
}

static void server_accepts(void);

static void server_accepted(void *arg)
{
    intptr_t descriptor = result_of(server.task);

    (void)arg;
    if (descriptor < 0) return; /* the listener was closed                            */
    server_serves((int)descriptor);
    server_accepts();
}

static void server_accepts(void)
{
    then(&server.task, vts_socket_accept(&server.listener, NULL, NULL), server_accepted,
         NULL);
}

static int server_opens(const char *where)
{
    vts_pool_desc desc = {.item_size = sizeof(connection)};
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
    if (error == VTS_OK) {
        error = vts_socket_local_address(&server.listener, &server.address);
    }
    if (error == VTS_OK) server_accepts();
    return error;
}

// ---- clients, to see that it works -----------------------------------------------

#define CLIENTS 10
#define MESSAGES 200

typedef struct client {
    vts_socket socket;
    vts_valuetask task;
    char message[32], buffer[32];
    size_t size, got;
    int sent;
} client;

static client clients[CLIENTS];
static int clients_left = CLIENTS, came_back, wrong;

static void client_received(void *arg);

static void client_ends(client *c)
{
    vts_valuetask_forget(vts_socket_close(&c->socket));
    if (--clients_left > 0) return;
    vts_valuetask_forget(vts_socket_close(&server.listener));
    vts_loop_stop(&net.loop);
}

static void client_receives(client *c)
{
    then(&c->task,
         vts_socket_recv(&c->socket, c->buffer + c->got, c->size - c->got, 0, NULL),
         client_received, c);
}

static void client_sent(void *arg)
{
    client *c = arg;

    if (result_of(c->task) < 0) wrong++;
    client_receives(c);
}

static void client_says(client *c)
{
    c->got = 0;
    c->size = (size_t)snprintf(c->message, sizeof c->message, "message %d\n", c->sent++);
    then(&c->task, vts_socket_send_all(&c->socket, c->message, c->size, 0, NULL),
         client_sent, c);
}

static void client_received(void *arg)
{
    client *c = arg;
    intptr_t count = result_of(c->task);

    if (count > 0) c->got += (size_t)count;
    if (count > 0 && c->got < c->size) {
        client_receives(c);
        return;
    }
    if (count <= 0 || memcmp(c->buffer, c->message, c->size) != 0) wrong++;
    else came_back++;
    if (count > 0 && c->sent < MESSAGES) client_says(c);
    else client_ends(c);
}

static void client_connected(void *arg)
{
    client *c = arg;

    if (result_of(c->task) == 0) {
        client_says(c);
    } else {
        wrong++;
        client_ends(c);
    }
}

static void client_begins(client *c)
{
    if (vts_socket_open(&c->socket, &net, VTS_IPV4, VTS_STREAM) != VTS_OK) abort();
    then(&c->task, vts_socket_connect(&c->socket, &server.address, NULL), client_connected,
         c);
}

static bool serve_clients(void)
{
    for (int i = 0; i < CLIENTS; i++) client_begins(&clients[i]);
    vts_loop_run(&net.loop);
    while (vts_socket_loop_destroy(&net) == VTS_E_BUSY) {
        vts_loop_run_once(&net.loop, VTS_NEVER); /* the server's ends of them         */
    }
    vts_pool_destroy(&server.connections);
    printf("%d clients were served, %d messages came back\n", server.served, came_back);
    return wrong == 0 && server.served == CLIENTS && came_back == CLIENTS * MESSAGES;
}

int main(int argc, char **argv)
{
    char where[64];
    int error = server_opens(argc > 1 ? argv[1] : "127.0.0.1:0");

    if (error != VTS_OK) {
        fprintf(stderr, "%s\n", vts_socket_strerror(error));
        return EXIT_FAILURE;
    }
    if (argc == 1) return serve_clients() ? EXIT_SUCCESS : EXIT_FAILURE;
    vts_address_format(&server.address, where, sizeof where);
    printf("echo at %s\n", where);
    fflush(stdout);
    vts_loop_run(&net.loop);
    return EXIT_SUCCESS;
}
