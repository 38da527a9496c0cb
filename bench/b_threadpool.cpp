/* b_threadpool.cpp - Boost.Asio's thread pool, for b_threadpool.c */
#include "b_threadpool.h"

#include <utility> /* which Asio needs and some of its versions do not include */

#include <boost/asio.hpp>

static boost::asio::thread_pool *pool;

void asio_begin(void) { pool = new boost::asio::thread_pool(1); }

void asio_end(void)
{
    pool->join();
    delete pool;
}

void asio_posted(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pool_wait_for_room(i);
        boost::asio::post(*pool, [] { pool_work(); });
    }
    pool_wait(n);
}
