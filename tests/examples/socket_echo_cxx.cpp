/* socket_echo_cxx.cpp - an echo server, in C++20 coroutines

   The same server as socket_echo_callbacks.c and socket_echo_await.c. Without an argument
   it serves clients of its own on the loopback and checks what they get back; with one,
   "127.0.0.1:7000", whoever connects there, until it is interrupted (try nc).

   Teaches that the operations are the same value tasks: socket and buffer are locals of a
   coroutine. Build with -std=c++20, and link a C file that has the implementation. */
#include "vts_socket.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unistd.h>

struct server {
    vts_socket_loop net{};
    vts_pool sources{};
    vts_socket listener{};
    vts_address address{};
    int served = 0;
};

static vts::async echo(vts_pool *, server &own, int descriptor)
{
    vts_socket socket{};
    std::array<char, 4096> buffer;

    if (vts_socket_adopt(&socket, &own.net, descriptor) != VTS_OK) {
        close(descriptor);
        co_return VTS_E_ARGUMENT;
    }
    own.served++;
    for (;;) {
        vts::result got =
            co_await vts_socket_recv(&socket, buffer.data(), buffer.size(), 0, nullptr);
        if (!got || got.value == 0) break;
        vts::result sent = co_await vts_socket_send_all(
            &socket, buffer.data(), static_cast<size_t>(got.value), 0, nullptr);
        if (!sent) break;
    }
    co_return co_await vts_socket_close(&socket);
}

/* Until the listener is closed. Nobody waits for a connection: its end is forgotten. */
static vts::async serve(vts_pool *sources, server &own)
{
    for (;;) {
        vts::result accepted = co_await vts_socket_accept(&own.listener, nullptr, nullptr);
        if (!accepted) co_return accepted;
        vts_valuetask_forget(echo(sources, own, static_cast<int>(accepted.value)));
    }
}

static int open_server(server &own, const char *where)
{
    vts_pool_desc desc{};
    int error = vts_address_parse(&own.address, where);

    if (error == VTS_OK) error = vts_socket_loop_init(&own.net, nullptr);
    if (error == VTS_OK) error = vts_pool_init(&own.sources, &desc);
    if (error == VTS_OK) {
        error = vts_socket_open(&own.listener, &own.net, vts_address_family(&own.address),
                                VTS_STREAM);
    }
    if (error != VTS_OK) return error;
    vts_socket_set_option(&own.listener, VTS_OPTION_REUSE_ADDRESS, 1);
    error = vts_socket_bind(&own.listener, &own.address);
    if (error == VTS_OK) error = vts_socket_listen(&own.listener, 0);
    if (error != VTS_OK) return error;
    return vts_socket_local_address(&own.listener, &own.address);
}

// ---- clients, to see that it works -----------------------------------------------

static constexpr int clients = 10, messages = 200;

/* Says something and hears the same. */
static vts::async talk(vts_pool *, vts_socket &socket, const std::string &message)
{
    std::string back(message.size(), ' ');
    size_t got = 0;

    vts::result moved =
        co_await vts_socket_send_all(&socket, message.data(), message.size(), 0, nullptr);
    while (moved && moved.value > 0 && got < back.size()) {
        moved = co_await vts_socket_recv(&socket, back.data() + got, back.size() - got, 0,
                                         nullptr);
        if (moved) got += static_cast<size_t>(moved.value);
    }
    co_return back == message ? 1 : 0;
}

static vts::async client(vts_pool *sources, server &own)
{
    vts_socket socket{};
    int good = 0;

    if (vts_socket_open(&socket, &own.net, VTS_IPV4, VTS_STREAM) != VTS_OK) co_return 0;
    vts::result connected = co_await vts_socket_connect(&socket, &own.address, nullptr);
    for (int i = 0; connected && i < messages; i++) {
        vts::result talked =
            co_await talk(sources, socket, "message " + std::to_string(i) + "\n");
        if (talked && talked.value == 1) good++;
    }
    vts::result closed = co_await vts_socket_close(&socket);
    co_return closed ? good : 0;
}

static intptr_t finish(server &own, vts_valuetask task)
{
    intptr_t value = 0;

    vts_loop_run_until(&own.net.loop, task, VTS_NEVER);
    vts_valuetask_get_result(task, &value);
    return value;
}

static bool serve_clients(server &own)
{
    vts_valuetask serving = serve(&own.sources, own);
    std::array<vts_valuetask, clients> tasks;
    intptr_t came_back = 0;

    for (vts_valuetask &task : tasks) task = client(&own.sources, own);
    for (vts_valuetask &task : tasks) came_back += finish(own, task);
    vts_valuetask_forget(vts_socket_close(&own.listener));
    finish(own, serving);
    while (vts_socket_loop_destroy(&own.net) == VTS_E_BUSY) {
        vts_loop_run_once(&own.net.loop, VTS_NEVER); /* the server's ends of them     */
    }
    std::printf("%d clients were served, %d messages came back\n", own.served,
                static_cast<int>(came_back));
    return vts_pool_destroy(&own.sources) == VTS_OK && own.served == clients &&
           came_back == clients * messages;
}

int main(int argc, char **argv)
{
    static server own;
    char where[64];
    int error = open_server(own, argc > 1 ? argv[1] : "127.0.0.1:0");

    if (error != VTS_OK) {
        std::fprintf(stderr, "%s\n", vts_socket_strerror(error));
        return EXIT_FAILURE;
    }
    if (argc == 1) return serve_clients(own) ? EXIT_SUCCESS : EXIT_FAILURE;
    vts_address_format(&own.address, where, sizeof where);
    std::printf("echo at %s\n", where);
    std::fflush(stdout);
    finish(own, serve(&own.sources, own));
    return EXIT_SUCCESS;
}
