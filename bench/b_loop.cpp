/* b_loop.cpp - Boost.Asio's loop, for b_loop.c: callbacks posted and run, and a coroutine
   that goes on from the loop */
#include "b_loop.h"

#include <utility> /* which Asio needs and some of its versions do not include */

#include <boost/asio.hpp>

namespace asio = boost::asio;

static asio::io_context loop;
static size_t sum;

static void run(size_t n, size_t batch)
{
    for (; n > 0; n -= batch) {
        if (batch > n) batch = n;
        for (size_t i = 0; i < batch; i++) asio::post(loop, [] { sum++; });
        loop.poll();
        loop.restart();
    }
}

void asio_1(size_t n) { run(n, 1); }
void asio_64(size_t n) { run(n, 64); }

static asio::awaitable<void> wait_for_each(size_t left)
{
    for (; left > 0; left--) co_await asio::post(asio::use_awaitable);
}

void asio_awaits(size_t n)
{
    asio::co_spawn(loop, wait_for_each(n), asio::detached);
    loop.run();
    loop.restart();
}
