// b_socket_asio.cpp - the echo server with Boost.Asio; see b_socket.h
//
//     b_socket_asio callbacks | co_await
#include "b_socket.h"

#include <cstring>
#include <memory>
#include <utility> // which Asio needs and some of its versions do not include

#include <boost/asio.hpp>

namespace asio = boost::asio;
using asio::ip::tcp;

static asio::io_context loop{1};

class connection : public std::enable_shared_from_this<connection> {
public:
    explicit connection(tcp::socket socket) : socket_(std::move(socket)) {}

    void receive()
    {
        socket_.async_read_some(
            asio::buffer(buffer_),
            [self = shared_from_this()](boost::system::error_code error, std::size_t size) {
                if (!error) self->send(size);
            });
    }

private:
    void send(std::size_t size)
    {
        asio::async_write(
            socket_, asio::buffer(buffer_, size),
            [self = shared_from_this()](boost::system::error_code error, std::size_t) {
                if (!error) self->receive();
            });
    }

    tcp::socket socket_;
    char buffer_[ECHO_BUFFER];
};

static asio::awaitable<void> handle(tcp::socket socket)
{
    char buffer[ECHO_BUFFER];

    try {
        for (;;) {
            std::size_t size =
                co_await socket.async_read_some(asio::buffer(buffer), asio::use_awaitable);
            co_await asio::async_write(socket, asio::buffer(buffer, size),
                                       asio::use_awaitable);
        }
    } catch (const boost::system::system_error &) {
    }
}

static void accept(tcp::acceptor &acceptor, bool awaits)
{
    acceptor.async_accept([&acceptor, awaits](boost::system::error_code error,
                                              tcp::socket socket) {
        if (!error && awaits) asio::co_spawn(loop, handle(std::move(socket)), asio::detached);
        if (!error && !awaits) std::make_shared<connection>(std::move(socket))->receive();
        accept(acceptor, awaits);
    });
}

int main(int argc, char **argv)
{
    int descriptor = echo_listen();
    tcp::acceptor acceptor(loop, tcp::v4(), descriptor);

    accept(acceptor, argc > 1 && std::strcmp(argv[1], "co_await") == 0);
    echo_announce(descriptor, ECHO_BUFFER);
    loop.run();
}
