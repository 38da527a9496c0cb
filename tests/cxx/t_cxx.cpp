/* C++20: co_await of value tasks and tasks, coroutines that are value tasks, and how much
   they allocate. The implementation is linked in; tests/cxx.sh builds and runs this. */
#include "vts.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <thread>

static std::atomic<unsigned long> allocations;
static std::atomic<long> live;
static bool out_of_memory;

/* Not inlined: g++ would warn of an operator delete for what malloc gave. */
__attribute__((noinline)) void *operator new(std::size_t size,
                                             const std::nothrow_t &) noexcept
{
    if (out_of_memory) return nullptr;
    allocations++;
    live++;
    return std::malloc(size);
}

void *operator new(std::size_t size) { return operator new(size, std::nothrow); }

__attribute__((noinline)) void operator delete(void *memory) noexcept
{
    if (memory != nullptr) live--;
    std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept { operator delete(memory); }

static int failed;

static void check(bool good, const char *what, int line)
{
    if (!good) std::printf("# t_cxx.cpp:%d: %s\n", line, what);
    if (!good) failed++;
}
#define CHECK(condition) check((condition), #condition, __LINE__)

// ---- what is awaited -------------------------------------------------------------

struct operation {
    vts_source source{};
    vts_token token = 0;

    vts_valuetask begin()
    {
        if (vts_source_reset(&source, &token) != VTS_OK) std::abort();
        return vts_valuetask_of(&source, token);
    }
    void complete(intptr_t result)
    {
        CHECK(vts_source_set_result(&source, token, result) == VTS_OK);
    }
};

static vts_pool sources;

static intptr_t taken(vts_valuetask task)
{
    intptr_t result = 0;
    int error = vts_valuetask_get_result(task, &result);
    return error != VTS_OK ? error : result;
}

static bool is_pending(vts_valuetask task)
{
    return vts_valuetask_get_status(task) == VTS_PENDING;
}

/* Sees the end of a frame. */
struct witness {
    int *ended;
    ~witness() { ++*ended; }
};

// ---- coroutines ------------------------------------------------------------------

static vts::async sum(vts_pool *, operation &a, operation &b, int *ended)
{
    witness end{ended};
    vts::result first = co_await a.begin();
    if (!first) co_return first;
    vts::result second = co_await b.begin();
    co_return second ? vts::result{VTS_OK, first.value + second.value} : second;
}

static void a_coroutine_is_a_value_task()
{
    operation a, b;
    int ended = 0;
    vts_valuetask task = sum(&sources, a, b, &ended);

    CHECK(is_pending(task));
    a.complete(40);
    CHECK(is_pending(task) && ended == 0);
    b.complete(2);
    CHECK(ended == 1); /* the frame has gone, before the result is taken */
    CHECK(taken(task) == 42);
    CHECK(taken(task) == VTS_E_STALE);
    CHECK(vts_pool_outstanding(&sources) == 0);
}

static void errors_and_cancellation_are_results()
{
    operation a, b;
    int ended = 0;
    vts_valuetask task = sum(&sources, a, b, &ended);

    vts_source_set_error(&a.source, a.token, -5);
    CHECK(vts_valuetask_is_faulted(task));
    CHECK(taken(task) == -5);
    task = sum(&sources, a, b, &ended);
    vts_source_set_canceled(&a.source, a.token, 0);
    CHECK(vts_valuetask_is_canceled(task));
    CHECK(taken(task) == VTS_E_CANCELED);
    CHECK(ended == 2);
}

static vts::async at_once(vts_pool *, intptr_t value) { co_return value; }

static vts::async completed_ones(vts_pool *pool)
{
    vts::result r = co_await vts_valuetask_from_result(7);
    CHECK(r && r.value == 7);
    r = co_await vts_valuetask_from_error(-5);
    CHECK(!r && r.error == -5 && r.value == 0);
    r = co_await vts_valuetask_from_canceled(0);
    CHECK(r.error == VTS_E_CANCELED);
    r = co_await at_once(pool, 9);
    CHECK(r && r.value == 9);
    vts_valuetask task = at_once(pool, 3);
    r = co_await task;
    r = co_await task; /* a second time: an error, not undefined */
    CHECK(r.error == VTS_E_STALE);
    co_return 1;
}

static void completed_tasks_are_awaited_at_once()
{
    CHECK(taken(completed_ones(&sources)) == 1);
    CHECK(vts_pool_outstanding(&sources) == 0);
}

static vts::async await_one(vts_pool *, vts_valuetask task) { co_return co_await task; }

/* What another awaits already: refused, and that is what is said. */
static void an_await_that_is_refused_says_why()
{
    operation op;
    vts_valuetask task = op.begin();
    vts_valuetask first = await_one(&sources, task);

    CHECK(taken(await_one(&sources, task)) == VTS_E_ALREADY_AWAITED);
    op.complete(3);
    CHECK(taken(first) == 3);
}

static vts::async of_task(vts_pool *, vts_task *task)
{
    co_return co_await vts::await(task);
}

static void many_await_one_task()
{
    vts_task *task = nullptr;
    vts_valuetask tasks[3];

    CHECK(vts_task_create(&task, nullptr) == VTS_OK);
    for (auto &each : tasks) each = of_task(&sources, task);
    for (auto &each : tasks) CHECK(is_pending(each));
    vts_task_set_result(task, 6);
    for (auto &each : tasks) CHECK(taken(each) == 6);
    CHECK(taken(of_task(&sources, task)) == 6);
    vts_task_release(task);
}

static vts::async configured(vts_pool *, operation &op, unsigned flags)
{
    co_return co_await vts::configure_await(op.begin(), flags);
}

static void it_resumes_on_the_scheduler_of_its_await()
{
    vts_run_queue queue;
    operation a, b;

    vts_run_queue_init(&queue, nullptr, nullptr);
    vts_scheduler_set_current(&queue.scheduler);
    vts_valuetask there = configured(&sources, a, VTS_USE_SCHEDULING_CONTEXT);
    vts_valuetask anywhere = configured(&sources, b, VTS_NONE);
    vts_scheduler_set_current(nullptr);
    a.complete(1);
    b.complete(2);
    CHECK(is_pending(there) && taken(anywhere) == 2);
    CHECK(vts_run_queue_drain(&queue) == 1);
    CHECK(taken(there) == 1);
}

struct device {
    vts_pool *pool;
    operation op;
    vts::async read(vts_pool *) { co_return co_await op.begin(); }
};

static vts::async two_pools(vts_pool *, vts_pool *other)
{
    co_return other == &sources ? 1 : 0;
}

static void members_lambdas_and_second_pools()
{
    device d{};
    vts_valuetask task = d.read(&sources);
    d.op.complete(4);
    CHECK(taken(task) == 4);
    auto lambda = [](vts_pool *, int n) -> vts::async { co_return n + 1; };
    CHECK(taken(lambda(&sources, 4)) == 5);
    CHECK(taken(two_pools(&sources, &sources)) == 1);
}

static vts::async fails_by_code(vts_pool *) { co_return VTS_E_TIMEOUT; }

static vts::async fails_by_result(vts_pool *, int error) { co_return vts::result{error, 0}; }

static void every_error_is_one_of_the_coroutine()
{
    CHECK(taken(fails_by_code(&sources)) == VTS_E_TIMEOUT);
    CHECK(taken(fails_by_result(&sources, -5)) == -5);
    CHECK(taken(fails_by_result(&sources, 5)) == VTS_E_ARGUMENT);
    CHECK(vts_pool_outstanding(&sources) == 0);
}

static void without_a_source_or_memory_it_does_not_begin()
{
    static VTS_POOL_STORAGE(storage, vts_source, 1);
    vts_pool_desc desc{};
    vts_pool one;
    operation a, b;
    int ended = 0;

    desc.storage = storage;
    desc.storage_size = sizeof storage;
    CHECK(vts_pool_init(&one, &desc) == VTS_OK);
    vts_valuetask first = sum(&one, a, b, &ended);
    CHECK(taken(sum(&one, a, b, &ended)) == VTS_E_EXHAUSTED);
    CHECK(ended == 0);
    a.complete(1);
    b.complete(1);
    CHECK(taken(first) == 2 && ended == 1);
    out_of_memory = true;
    vts_valuetask none = at_once(&one, 1);
    out_of_memory = false;
    CHECK(taken(none) == VTS_E_MEMORY);
    CHECK(vts_pool_outstanding(&one) == 0);
}

static vts::async thousand(vts_pool *, vts_pool *pool, vts_source **source, vts_token *token)
{
    intptr_t total = 0;
    for (int i = 0; i < 1000; i++) {
        *source = vts_pool_rent(pool, token);
        vts::result r = co_await vts_valuetask_of(*source, *token);
        total += r.value;
    }
    co_return total;
}

static void an_await_allocates_nothing()
{
    vts_source *source = nullptr;
    vts_token token = 0;
    vts_valuetask task = thousand(&sources, &sources, &source, &token);
    unsigned long before = allocations;

    for (int i = 0; i < 1000; i++) vts_source_set_result(source, token, 1);
    CHECK(taken(task) == 1000);
    CHECK(allocations == before);
    before = allocations;
    CHECK(taken(at_once(&sources, 5)) == 5);
    CHECK(allocations <= before + 1); /* the frame, unless the compiler does without */
}

static vts::async link(vts_pool *, vts_valuetask inner)
{
    vts::result r = co_await inner;
    co_return r ? vts::result{VTS_OK, r.value + 1} : r;
}

/* The frames complete one another; the compiler's own call of each ends first. */
static void a_chain_of_100000_takes_no_stack()
{
    operation op;
    vts_valuetask task = op.begin();

    for (int i = 0; i < 100000; i++) task = link(&sources, task);
    op.complete(1);
    CHECK(taken(task) == 100001);
}

struct crossing {
    std::atomic<vts_source *> inbox[2]{};
    vts_token token[2]{};
    std::atomic<bool> stop{false};

    vts_valuetask elsewhere(int thread)
    {
        vts_token t;
        vts_source *source = vts_pool_rent(&sources, &t);
        token[thread] = t;
        inbox[thread].store(source, std::memory_order_release);
        return vts_valuetask_of(source, t);
    }
    void complete(int thread)
    {
        while (!stop.load(std::memory_order_acquire)) {
            vts_source *source = inbox[thread].load(std::memory_order_acquire);
            if (source == nullptr) {
                std::this_thread::yield();
                continue;
            }
            vts_token t = token[thread];
            inbox[thread].store(nullptr, std::memory_order_relaxed);
            vts_source_set_result(source, t, 1);
        }
    }
};

static vts::async cross(vts_pool *, crossing &all)
{
    intptr_t total = 0;
    for (int i = 0; i < 5000; i++) {
        vts::result r = co_await all.elsewhere(i % 2);
        if (!r) co_return r;
        total += r.value;
    }
    co_return total;
}

static void each_await_is_completed_from_another_thread()
{
    crossing all;
    std::thread first([&all] { all.complete(0); });
    std::thread second([&all] { all.complete(1); });
    vts_valuetask task = cross(&sources, all);

    CHECK(vts_valuetask_wait(task, vts_after(VTS_SECONDS(120))) == VTS_OK);
    CHECK(taken(task) == 5000);
    all.stop.store(true, std::memory_order_release);
    first.join();
    second.join();
}

/* A coroutine of the macros awaits one of the language, and the reverse. */
struct mixed {
    vts_co co;
    operation *op;
    intptr_t rc;
};

static vts_step mixed_run(vts_co *co)
{
    mixed *m = VTS_SELF(co, mixed);

    VTS_ASYNC(co) {
        VTS_TRY(m->rc, link(&sources, m->op->begin()));
    }
    return vts_co_finish(co, m->rc);
}

static void both_kinds_await_each_other()
{
    operation op;
    mixed m{};

    m.op = &op;
    vts_valuetask task = link(&sources, vts_co_start(&m.co, mixed_run));
    op.complete(5);
    CHECK(taken(task) == 7);
}

int main()
{
    struct {
        const char *name;
        void (*run)();
    } tests[] = {
#define TEST(name) {#name, name}
        TEST(a_coroutine_is_a_value_task),
        TEST(errors_and_cancellation_are_results),
        TEST(completed_tasks_are_awaited_at_once),
        TEST(an_await_that_is_refused_says_why),
        TEST(many_await_one_task),
        TEST(it_resumes_on_the_scheduler_of_its_await),
        TEST(members_lambdas_and_second_pools),
        TEST(without_a_source_or_memory_it_does_not_begin),
        TEST(every_error_is_one_of_the_coroutine),
        TEST(an_await_allocates_nothing),
        TEST(a_chain_of_100000_takes_no_stack),
        TEST(each_await_is_completed_from_another_thread),
        TEST(both_kinds_await_each_other),
    };
    vts_pool_desc desc{};
    int wrong = 0;

    if (vts_pool_init(&sources, &desc) != VTS_OK) return 1;
    for (auto &test : tests) {
        long before = live;
        failed = 0;
        test.run();
        if (live != before) check(false, "a frame has leaked", __LINE__);
        std::printf("%s C++20 %s\n", failed == 0 ? "ok" : "not ok", test.name);
        wrong += failed;
    }
    if (vts_pool_destroy(&sources) != VTS_OK) wrong++;
    return wrong != 0;
}
