/* b_await.cpp - C++20 coroutines for b_await.c: over vts, and by themselves

   By themselves means: the least code that works on one thread. A handle is resumed where
   the operation completes; nothing is checked, and nothing but the frame is allocated. */
#include "b_await.h"

#include <coroutine>
#include <cstdlib>
#include <exception>
#include <utility>

template <typename T> static void use(T value)
{
    __asm__ volatile("" : : "r"(value));
}

// ----------------------------------------------------------------------------------
// >>vts
// ----------------------------------------------------------------------------------

static vts::async read_values(vts_pool *, size_t turns, const intptr_t *device)
{
    for (; turns > 0; turns--) {
        use((co_await await_value(device)).value);
        use((co_await await_value(device)).value);
        use((co_await await_value(device)).value);
        use((co_await await_value(device)).value);
    }
    co_return 0;
}

void cxx_values(size_t n)
{
    intptr_t device = 1;
    vts_valuetask task = read_values(await_sources(), n / 4, &device);
    if (vts_valuetask_get_result(task, nullptr) != VTS_OK) std::abort();
}

static vts::async wait_for_each(vts_pool *, size_t left)
{
    for (; left > 0; left--) use((co_await await_pending()).value);
    co_return 0;
}

void cxx_each(size_t n)
{
    vts_valuetask task = wait_for_each(await_sources(), n);
    await_drive(n);
    if (vts_valuetask_get_result(task, nullptr) != VTS_OK) std::abort();
}

// ----------------------------------------------------------------------------------
// >>C++ alone
// ----------------------------------------------------------------------------------

/* Runs at once, and frees itself. */
struct detached {
    struct promise_type {
        detached get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
};

struct ready {
    intptr_t value;
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    intptr_t await_resume() const noexcept { return value; }
};

static detached read_ready(size_t turns, const intptr_t *device)
{
    for (; turns > 0; turns--) {
        use(co_await ready{await_plain(device)});
        use(co_await ready{await_plain(device)});
        use(co_await ready{await_plain(device)});
        use(co_await ready{await_plain(device)});
    }
}

void cxx_ready(size_t n)
{
    intptr_t device = 1;
    read_ready(n / 4, &device);
}

/* An operation that is part of whoever waits for it. */
struct bare {
    std::coroutine_handle<> waiting;
    intptr_t value = 0;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    intptr_t await_resume() const noexcept { return value; }
};

static bare *pending;

/* A call, as starting an operation is. */
__attribute__((noinline)) void bare::await_suspend(std::coroutine_handle<> handle) noexcept
{
    waiting = handle;
    pending = this;
}

__attribute__((noinline)) static void complete(intptr_t value)
{
    pending->value = value;
    pending->waiting.resume();
}

static void drive(size_t n)
{
    for (size_t i = 0; i < n; i++) complete(1);
}

static detached wait_bare(size_t left)
{
    for (; left > 0; left--) use(co_await bare{});
}

void cxx_bare(size_t n)
{
    wait_bare(n);
    drive(n);
}

/* A coroutine that starts when it is awaited, and goes on with its awaiter when it is
   through, by symmetric transfer. */
class task {
  public:
    struct promise_type {
        std::coroutine_handle<> awaiting;
        intptr_t value = 0;
        struct end {
            bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(
                std::coroutine_handle<promise_type> handle) const noexcept
            {
                return handle.promise().awaiting;
            }
            void await_resume() const noexcept {}
        };
        task get_return_object() noexcept
        {
            return task(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        end final_suspend() noexcept { return {}; }
        void return_value(intptr_t result) noexcept { value = result; }
        void unhandled_exception() noexcept { std::terminate(); }
    };
    task(task &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    ~task()
    {
        if (handle_) handle_.destroy();
    }
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept
    {
        handle_.promise().awaiting = awaiting;
        return handle_;
    }
    intptr_t await_resume() const noexcept { return handle_.promise().value; }

  private:
    explicit task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    std::coroutine_handle<promise_type> handle_;
};

__attribute__((noinline)) static task return_at_once() { co_return 1; }

__attribute__((noinline)) static task wait_once() { co_return co_await bare{}; }

static detached call_returning(size_t left)
{
    for (; left > 0; left--) use(co_await return_at_once());
}

static detached call_waiting(size_t left)
{
    for (; left > 0; left--) use(co_await wait_once());
}

void cxx_call_returning(size_t n) { call_returning(n); }

void cxx_call_suspending(size_t n)
{
    call_waiting(n);
    drive(n);
}
