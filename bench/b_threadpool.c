/* b_threadpool.c - the smallest work handed to a thread: through a bare bounded ring, which
   is nothing but transport, and through thread pools

   Posted by another thread: at most ROOM works are under way, the worker has the second
   processor for itself. Posted by works: on one worker, each posts itself again. */
#include "bench.h"

#include <semaphore.h>

#include "vts.h"

#include "b_threadpool.h"

#ifdef BENCH_UV
#include <uv.h>
#endif

#define ROOM 1024u
#define CHAINS 64u

/* Works done, by the one worker; in a line of its own. */
static struct {
    _Alignas(BENCH_LINE) size_t done;
    _Alignas(BENCH_LINE) size_t seen; /* the poster's copy */
} count;

void pool_work(void)
{
    __atomic_store_n(&count.done, count.done + 1, __ATOMIC_RELEASE);
}

static void wait_until(size_t done)
{
    while (count.seen < done) {
        count.seen = __atomic_load_n(&count.done, __ATOMIC_ACQUIRE);
        if (count.seen < done) bench_relax();
    }
}

void pool_wait_for_room(size_t posted)
{
    if (posted - count.seen >= ROOM) wait_until(posted - ROOM + 1);
}

void pool_wait(size_t posted)
{
    wait_until(posted);
    count.seen = 0;
    __atomic_store_n(&count.done, 0, __ATOMIC_RELEASE);
}

static sem_t through; /* the chains are */

/* Ends chains: true for the last. */
static size_t chains_left;
static bool chain_is_through(void) { return --chains_left == 0; }

// ----------------------------------------------------------------------------------
// >>vts
// ----------------------------------------------------------------------------------

static vts_threadpool *pool;
static vts_scheduler *scheduler;
static vts_work works[ROOM];

static void run_work(vts_work *work)
{
    (void)work;
    pool_work();
}

static void vts_posted(size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        vts_work *work = &works[i % ROOM];
        pool_wait_for_room(i);
        work->run = run_work;
        vts_scheduler_post(scheduler, work);
    }
    pool_wait(n);
}

typedef struct chain {
    vts_work work;
    size_t left;
    unsigned char apart[BENCH_LINE - sizeof(vts_work) - sizeof(size_t)];
} chain;

static _Alignas(BENCH_LINE) chain chains[CHAINS];

static void run_chain(vts_work *work)
{
    chain *self = (chain *)(void *)work;

    if (--self->left > 0) vts_scheduler_post(scheduler, work);
    else if (chain_is_through()) sem_post(&through);
}

/* The lengths of the chains, n together. */
static size_t chain_length(size_t n, size_t i) { return n / CHAINS + (i < n % CHAINS); }

static void vts_chained(size_t n)
{
    size_t i;

    chains_left = n < CHAINS ? n : CHAINS;
    for (i = 0; i < CHAINS && i < n; i++) {
        chains[i].left = chain_length(n, i);
        chains[i].work.run = run_chain;
        vts_scheduler_post(scheduler, &chains[i].work);
    }
    while (sem_wait(&through) != 0) {}
}

// ----------------------------------------------------------------------------------
// >>bare bounded ring
// ----------------------------------------------------------------------------------
// D. Vyukov's: a cell's number says whose turn it is. Any number of threads at both ends,
// as a pool has. It neither grows nor sleeps.

typedef struct cell {
    size_t turn;
    chain *work;
} cell;

static struct {
    _Alignas(BENCH_LINE) size_t head;
    _Alignas(BENCH_LINE) size_t tail;
    _Alignas(BENCH_LINE) cell cell[ROOM];
} ring;

static bool ring_put(chain *work)
{
    size_t tail = __atomic_load_n(&ring.tail, __ATOMIC_RELAXED);

    for (;;) {
        cell *at = &ring.cell[tail % ROOM];
        intptr_t ahead = (intptr_t)(__atomic_load_n(&at->turn, __ATOMIC_ACQUIRE) - tail);
        if (ahead < 0) return false;
        if (ahead > 0) {
            tail = __atomic_load_n(&ring.tail, __ATOMIC_RELAXED);
        } else if (__atomic_compare_exchange_n(&ring.tail, &tail, tail + 1, true,
                                               __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            at->work = work;
            __atomic_store_n(&at->turn, tail + 1, __ATOMIC_RELEASE);
            return true;
        }
    }
}

static chain *ring_get(void)
{
    size_t head = __atomic_load_n(&ring.head, __ATOMIC_RELAXED);

    for (;;) {
        cell *at = &ring.cell[head % ROOM];
        intptr_t ahead =
            (intptr_t)(__atomic_load_n(&at->turn, __ATOMIC_ACQUIRE) - (head + 1));
        if (ahead < 0) return NULL;
        if (ahead > 0) {
            head = __atomic_load_n(&ring.head, __ATOMIC_RELAXED);
        } else if (__atomic_compare_exchange_n(&ring.head, &head, head + 1, true,
                                               __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            chain *work = at->work;
            __atomic_store_n(&at->turn, head + ROOM, __ATOMIC_RELEASE);
            return work;
        }
    }
}

static void ring_send(chain *work)
{
    while (!ring_put(work)) bench_relax();
}

static sem_t ring_start;
static size_t ring_wanted; /* of the worker, from ring_start on; 0: end */
static pthread_t ring_thread;

/* Who looks at once takes each cell's line from under the poster's hands; after a while
   there are many to take. */
static void ring_look_later(void)
{
    int i;
    for (i = 0; i < 32; i++) bench_relax();
}

static void *ring_worker(void *unused)
{
    size_t left;

    for (;;) {
        while (sem_wait(&ring_start) != 0) {}
        if (ring_wanted == 0) return unused;
        for (left = ring_wanted; left > 0;) {
            chain *work = ring_get();
            if (work == NULL) {
                ring_look_later();
            } else {
                work->work.run(&work->work);
                left--;
            }
        }
    }
}

static void ring_posted(size_t n)
{
    size_t i;

    ring_wanted = n;
    sem_post(&ring_start);
    for (i = 0; i < n; i++) {
        chain *work = &chains[i % CHAINS];
        pool_wait_for_room(i);
        work->work.run = run_work;
        ring_send(work);
    }
    pool_wait(n);
}

static void run_ring_chain(vts_work *work)
{
    chain *self = (chain *)(void *)work;

    if (--self->left > 0) ring_send(self);
    else if (chain_is_through()) sem_post(&through);
}

static void ring_chained(size_t n)
{
    size_t i;

    chains_left = n < CHAINS ? n : CHAINS;
    ring_wanted = n;
    for (i = 0; i < CHAINS && i < n; i++) {
        chains[i].left = chain_length(n, i);
        chains[i].work.run = run_ring_chain;
        ring_send(&chains[i]);
    }
    sem_post(&ring_start);
    while (sem_wait(&through) != 0) {}
}

static void ring_begin(void)
{
    size_t i;

    for (i = 0; i < ROOM; i++) ring.cell[i].turn = i;
    sem_init(&ring_start, 0, 0);
    if (pthread_create(&ring_thread, NULL, ring_worker, NULL) != 0) abort();
}

static void ring_end(void)
{
    ring_wanted = 0;
    sem_post(&ring_start);
    pthread_join(ring_thread, NULL);
}

// ----------------------------------------------------------------------------------
// >>mutex and condition
// ----------------------------------------------------------------------------------
// The pool that everybody writes: a list of malloc'd callbacks.

typedef struct callback {
    struct callback *next;
    void (*run)(struct callback *self);
} callback;

static struct {
    _Alignas(BENCH_LINE) pthread_mutex_t mutex;
    pthread_cond_t filled;
    callback *first, *last;
    unsigned sleeping;
    bool stopping;
    pthread_t thread;
} locked = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, NULL, 0, false, 0};

static BENCH_CALL void locked_post(callback *self)
{
    bool wake;

    self->next = NULL;
    pthread_mutex_lock(&locked.mutex);
    if (locked.first == NULL) locked.first = self;
    else locked.last->next = self;
    locked.last = self;
    wake = locked.sleeping > 0;
    pthread_mutex_unlock(&locked.mutex);
    if (wake) pthread_cond_signal(&locked.filled);
}

static BENCH_CALL callback *locked_take(void)
{
    callback *first;

    pthread_mutex_lock(&locked.mutex);
    while (locked.first == NULL && !locked.stopping) {
        locked.sleeping++;
        pthread_cond_wait(&locked.filled, &locked.mutex);
        locked.sleeping--;
    }
    first = locked.first;
    if (first != NULL) locked.first = first->next;
    pthread_mutex_unlock(&locked.mutex);
    return first;
}

static void *locked_worker(void *unused)
{
    callback *work;

    while ((work = locked_take()) != NULL) work->run(work);
    return unused;
}

static void locked_work(callback *self)
{
    free(self);
    pool_work();
}

static void locked_posted(size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        callback *work = (callback *)bench_malloc(sizeof *work);
        if (work == NULL) abort();
        pool_wait_for_room(i);
        work->run = locked_work;
        locked_post(work);
    }
    pool_wait(n);
}

static void locked_begin(void)
{
    if (pthread_create(&locked.thread, NULL, locked_worker, NULL) != 0) abort();
}

static void locked_end(void)
{
    pthread_mutex_lock(&locked.mutex);
    locked.stopping = true;
    pthread_mutex_unlock(&locked.mutex);
    pthread_cond_signal(&locked.filled);
    pthread_join(locked.thread, NULL);
}

// ----------------------------------------------------------------------------------
// >>libuv
// ----------------------------------------------------------------------------------
// Its works come back to the loop, too: there is no other way to use it.

#ifdef BENCH_UV

static uv_loop_t uv;
static uv_work_t uv_works[ROOM];

static void uv_work(uv_work_t *work)
{
    (void)work;
    pool_work();
}

static void uv_after(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

static void uv_posted(size_t n)
{
    size_t i, posted;

    for (posted = 0; posted < n; posted += i) {
        for (i = 0; i < ROOM && posted + i < n; i++) {
            uv_queue_work(&uv, &uv_works[i], uv_work, uv_after);
        }
        uv_run(&uv, UV_RUN_DEFAULT);
    }
    pool_wait(n);
}

/* The first work starts the threads. */
static void uv_begin(void)
{
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    if (uv_loop_init(&uv) != 0) abort();
    uv_posted(1);
}

static void uv_end(void) { uv_loop_close(&uv); }

#else

static void uv_begin(void) {}
static void uv_end(void) {}

#endif

#ifndef BENCH_ASIO
void asio_begin(void) {}
void asio_end(void) {}
#endif

// ----------------------------------------------------------------------------------
// >>tables
// ----------------------------------------------------------------------------------

#define POSTED "thread pool, posted by another thread"
#define CHAINED "thread pool, posted by its works"
#define RING "bare bounded ring"

static void posted_realtime(void (*run)(size_t n), size_t n)
{
    bench_realtime(true);
    run(n);
    bench_realtime(false);
}

/* While a row runs, nothing else gets its processors, where that is allowed. */
#define RUN(function)                                                                  \
    static void run_##function(size_t n) { posted_realtime(function, n); }
#define ROW(in, called, function)                                                      \
    .group = in, .name = called, .run = run_##function, .symbol = "run_" #function,    \
    .syscall_n = 20000, .two = true

RUN(ring_posted)
RUN(vts_posted)
RUN(locked_posted)
RUN(ring_chained)
RUN(vts_chained)
#ifdef BENCH_ASIO
RUN(asio_posted)
#endif
#ifdef BENCH_UV
RUN(uv_posted)
#endif

static bench_row rows[] = {
    BENCH_CALIBRATOR(POSTED),
    {ROW(POSTED, RING, ring_posted)},
    {ROW(POSTED, "thread pool", vts_posted), .vts = true, .ratio_to = RING},
    {ROW(POSTED, "malloc'd, mutex and condition", locked_posted), .ratio_to = RING},
#ifdef BENCH_ASIO
    {ROW(POSTED, "Asio, thread_pool", asio_posted), .ratio_to = RING},
#endif
#ifdef BENCH_UV
    {ROW(POSTED, "libuv, uv_queue_work, and back", uv_posted), .ratio_to = RING},
#endif
    BENCH_CALIBRATOR(CHAINED),
    {ROW(CHAINED, RING, ring_chained)},
    {ROW(CHAINED, "thread pool", vts_chained), .vts = true, .ratio_to = RING},
};

static const bench_bar bars[] = {
    {"threadpool", POSTED, "thread pool", RING, 2, false},
    {"threadpool_own", CHAINED, "thread pool", RING, 2, false},
};

static void pool_begin(void)
{
    vts_threadpool_desc desc;

    memset(&desc, 0, sizeof desc);
    desc.threads = 1;
    if (vts_threadpool_create(&pool, &desc) != VTS_OK) abort();
    scheduler = vts_threadpool_scheduler(pool);
}

/* Threads get the processor and the priority of the one that starts them. */
static void begin(void)
{
    bench_as_second(true);
    sem_init(&through, 0, 0);
    pool_begin();
    ring_begin();
    locked_begin();
    asio_begin();
    uv_begin();
    bench_as_second(false);
}

int main(int argc, char **argv)
{
    bench_may_be_realtime = argc == 1 || strcmp(argv[1], "burst") == 0;
    begin();
    bench_main(argc, argv, rows, BENCH_COUNT(rows), bars, BENCH_COUNT(bars));
    uv_end();
    asio_end();
    locked_end();
    ring_end();
    return vts_threadpool_destroy(pool) != VTS_OK;
}
