/* socket_ping.c - UDP pings, each with a timeout

   A server answers datagrams, but for one that it drops on purpose. The client sends one
   after the other and waits for each answer no longer than a deadline: the one that never
   comes is canceled by it, and the socket goes on as if nothing had happened.

   Teaches limits: an operation with a deadline takes nothing when it is canceled, and an
   answer that comes too late is told apart by its number. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PINGS 5u
#define DROPPED 3u
#define PATIENCE VTS_SECONDS(1)

static vts_socket_loop net;

static struct {
    vts_co co;
    vts_socket socket;
    vts_address address, from;
    uint32_t number;
    intptr_t n;
} server;

/* Until its socket is closed. */
static vts_step server_run(vts_co *co)
{
    VTS_ASYNC(co) {
        for (;;) {
            VTS_TRY(server.n,
                    vts_socket_recv_from(&server.socket, &server.number,
                                         sizeof server.number, 0, &server.from, NULL));
            if (server.number == DROPPED) continue;
            VTS_TRY(server.n, vts_socket_send_to(&server.socket, &server.number,
                                                 (size_t)server.n, 0, &server.from, NULL));
        }
    }
    return vts_co_finish(co, server.n);
}

static struct {
    vts_co co;
    vts_socket socket;
    vts_socket_limit limit;
    vts_time begun;
    uint32_t number, answer;
    int answered, late;
    intptr_t n;
} client;

static void tell(void)
{
    double took = (double)(vts_now() - client.begun) / 1e6;

    if (client.n < 0) printf("%u: %s\n", client.number, vts_socket_strerror((int)client.n));
    else printf("%u: answered after %.2f ms\n", client.number, took);
}

static vts_step client_run(vts_co *co)
{
    VTS_ASYNC(co) {
        VTS_TRY(client.n, vts_socket_connect(&client.socket, &server.address, NULL));
        for (client.number = 1; client.number <= PINGS; client.number++) {
            client.begun = vts_now();
            client.limit.deadline = vts_after(PATIENCE);
            VTS_TRY(client.n, vts_socket_send(&client.socket, &client.number,
                                              sizeof client.number, 0, NULL));
            do {
                VTS_AWAIT(client.n, vts_socket_recv(&client.socket, &client.answer,
                                                    sizeof client.answer, 0,
                                                    &client.limit));
            } while (client.n > 0 && client.answer != client.number);
            tell();
            if (client.n > 0) client.answered++;
            else if (client.n == -ETIMEDOUT) client.late++;
            else VTS_LEAVE();
        }
    VTS_FINALLY();
        VTS_AWAIT(client.n, vts_socket_close(&client.socket));
        VTS_AWAIT(client.n, vts_socket_close(&server.socket));
    }
    return vts_co_finish(co, client.n);
}

static int open_sockets(void)
{
    int error = vts_address_parse(&server.address, "127.0.0.1:0");

    if (error == VTS_OK) {
        error = vts_socket_open(&server.socket, &net, VTS_IPV4, VTS_DATAGRAM);
    }
    if (error == VTS_OK) error = vts_socket_bind(&server.socket, &server.address);
    if (error == VTS_OK) error = vts_socket_local_address(&server.socket, &server.address);
    if (error == VTS_OK) {
        error = vts_socket_open(&client.socket, &net, VTS_IPV4, VTS_DATAGRAM);
    }
    return error;
}

int main(void)
{
    vts_valuetask serving, pinging;

    if (vts_socket_loop_init(&net, NULL) != VTS_OK || open_sockets() != VTS_OK) {
        return EXIT_FAILURE;
    }
    serving = vts_co_start(&server.co, server_run);
    pinging = vts_co_start(&client.co, client_run);
    vts_loop_run_until(&net.loop, pinging, VTS_NEVER);
    vts_loop_run_until(&net.loop, serving, VTS_NEVER);
    printf("%u sent, %d answered, %d timed out\n", PINGS, client.answered, client.late);
    return vts_valuetask_get_result(pinging, NULL) == VTS_OK &&
                   vts_valuetask_get_result(serving, NULL) == -ECANCELED &&
                   vts_socket_loop_destroy(&net) == VTS_OK && client.answered == PINGS - 1 &&
                   client.late == 1
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}
