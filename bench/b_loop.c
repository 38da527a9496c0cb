/* b_loop.c - work posted to a loop and run by it: on one thread, by one and by 64 at a time;
   a coroutine that goes on from the loop; and two threads that wake each other */
#include "bench.h"

#include "vts.h"

#include "b_loop.h"

#ifdef BENCH_UV
#include <uv.h>
#endif

#define MOST 64

static size_t sum;
static vts_loop loop;

// ----------------------------------------------------------------------------------
// >>vts
// ----------------------------------------------------------------------------------

static vts_work works[MOST];
static vts_run_queue queue;

static void count_work(vts_work *work)
{
    (void)work;
    sum++;
}

static void loop_run(size_t n, size_t batch)
{
    size_t i;

    for (; n > 0; n -= batch) {
        if (batch > n) batch = n;
        for (i = 0; i < batch; i++) {
            works[i].run = count_work;
            vts_scheduler_post(&loop.scheduler, &works[i]);
        }
        if (vts_loop_run_once(&loop, 0) != (int)batch) abort();
    }
}

static void loop_1(size_t n) { loop_run(n, 1); }
static void loop_64(size_t n) { loop_run(n, 64); }

static void queue_run(size_t n, size_t batch)
{
    size_t i;

    for (; n > 0; n -= batch) {
        if (batch > n) batch = n;
        for (i = 0; i < batch; i++) {
            works[i].run = count_work;
            vts_scheduler_post(&queue.scheduler, &works[i]);
        }
        if (vts_run_queue_drain(&queue) != (int)batch) abort();
    }
}

static void queue_1(size_t n) { queue_run(n, 1); }
static void queue_64(size_t n) { queue_run(n, 64); }

// ----------------------------------------------------------------------------------
// >>mutex and malloc
// ----------------------------------------------------------------------------------

typedef struct callback {
    struct callback *next;
    void (*run)(struct callback *self);
} callback;

typedef struct mailbox {
    _Alignas(BENCH_LINE) pthread_mutex_t mutex;
    pthread_cond_t filled;
    callback *first, *last;
    bool sleeping;
} mailbox;

#define MAILBOX {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, NULL, false}

static mailbox box = MAILBOX;

/* True if somebody has to be woken. */
static BENCH_CALL bool mail(mailbox *to, callback *self)
{
    bool wake;

    self->next = NULL;
    pthread_mutex_lock(&to->mutex);
    wake = to->first == NULL;
    if (wake) to->first = self;
    else to->last->next = self;
    to->last = self;
    wake = wake && to->sleeping;
    pthread_mutex_unlock(&to->mutex);
    if (wake) pthread_cond_signal(&to->filled);
    return wake;
}

/* Everything there is, the oldest first. */
static BENCH_CALL callback *collect(mailbox *from, bool wait)
{
    callback *all;

    pthread_mutex_lock(&from->mutex);
    while (wait && from->first == NULL) {
        from->sleeping = true;
        pthread_cond_wait(&from->filled, &from->mutex);
        from->sleeping = false;
    }
    all = from->first;
    from->first = NULL;
    pthread_mutex_unlock(&from->mutex);
    return all;
}

static void count_callback(callback *self)
{
    sum++;
    free(self);
}

static BENCH_CALL void mail_new(mailbox *to)
{
    callback *self = (callback *)bench_malloc(sizeof *self);

    if (self == NULL) abort();
    self->run = count_callback;
    mail(to, self);
}

static void run_all(callback *self)
{
    callback *next;

    for (; self != NULL; self = next) {
        next = self->next;
        self->run(self);
    }
}

static void mail_run(size_t n, size_t batch)
{
    size_t i;

    for (; n > 0; n -= batch) {
        if (batch > n) batch = n;
        for (i = 0; i < batch; i++) mail_new(&box);
        run_all(collect(&box, false));
    }
}

static void mail_1(size_t n) { mail_run(n, 1); }
static void mail_64(size_t n) { mail_run(n, 64); }

// ----------------------------------------------------------------------------------
// >>libuv
// ----------------------------------------------------------------------------------
// Its way for other threads: a list of one's own, and uv_async_send, which is remembered
// once however often it is called.

#ifdef BENCH_UV

static uv_loop_t uv;
static uv_async_t uv_posted;

static void uv_is_posted(uv_async_t *self)
{
    (void)self;
    run_all(collect(&box, false));
}

static void uv_post_and_run(size_t n, size_t batch)
{
    size_t i;

    for (; n > 0; n -= batch) {
        if (batch > n) batch = n;
        for (i = 0; i < batch; i++) {
            mail_new(&box);
            uv_async_send(&uv_posted);
        }
        uv_run(&uv, UV_RUN_NOWAIT);
    }
}

static void uv_1(size_t n) { uv_post_and_run(n, 1); }
static void uv_64(size_t n) { uv_post_and_run(n, 64); }

static void peers_begin(void)
{
    if (uv_loop_init(&uv) != 0 || uv_async_init(&uv, &uv_posted, uv_is_posted) != 0) abort();
}

static void peers_end(void)
{
    uv_close((uv_handle_t *)&uv_posted, NULL);
    uv_run(&uv, UV_RUN_DEFAULT);
    uv_loop_close(&uv);
}

#else

static void peers_begin(void) {}
static void peers_end(void) {}

#endif

// ----------------------------------------------------------------------------------
// >>await
// ----------------------------------------------------------------------------------
// An operation is completed, which posts whoever waits for it to the loop; the loop runs
// it, and it starts the next operation.

static vts_pool sources;
static vts_source *pending_source;
static vts_token pending_token;

static BENCH_CALL vts_valuetask start(void)
{
    pending_source = vts_pool_rent(&sources, &pending_token);
    return vts_valuetask_of(pending_source, pending_token);
}

static void complete_each(size_t n)
{
    for (; n > 0; n--) {
        vts_source_set_result(pending_source, pending_token, 1);
        if (vts_loop_run_once(&loop, 0) != 1) abort();
    }
}

typedef struct waiter {
    vts_co co;
    vts_valuetask task;
    size_t left;
    intptr_t value;
} waiter;

static void on_loop(void *arg)
{
    waiter *self = (waiter *)arg;

    if (vts_valuetask_get_result(self->task, &self->value) != VTS_OK) abort();
    if (--self->left == 0) return;
    self->task = start();
    vts_valuetask_on_completed(self->task, on_loop, self, VTS_USE_SCHEDULING_CONTEXT);
}

static void loop_callbacks(size_t n)
{
    vts_scheduler *before = vts_scheduler_set_current(&loop.scheduler);
    waiter self;

    memset(&self, 0, sizeof self);
    self.left = n;
    self.task = start();
    vts_valuetask_on_completed(self.task, on_loop, &self, VTS_USE_SCHEDULING_CONTEXT);
    vts_scheduler_set_current(before);
    complete_each(n);
}

static vts_step wait_for_each(vts_co *co)
{
    waiter *self = VTS_SELF(co, waiter);

    VTS_ASYNC(co) {
        for (; self->left > 0; self->left--) {
            VTS_AWAIT(self->value, start());
        }
    }
    return vts_co_finish(co, 0);
}

static void loop_awaits(size_t n)
{
    vts_scheduler *before = vts_scheduler_set_current(&loop.scheduler);
    waiter self;
    vts_valuetask task;

    memset(&self, 0, sizeof self);
    self.left = n;
    task = vts_co_start(&self.co, wait_for_each);
    vts_scheduler_set_current(before);
    complete_each(n);
    if (vts_valuetask_get_result(task, NULL) != VTS_OK) abort();
}

// ----------------------------------------------------------------------------------
// >>two threads
// ----------------------------------------------------------------------------------
// One work that goes to and fro. Who has nothing to do sleeps at once.

static _Alignas(BENCH_LINE) vts_loop there;
static _Alignas(BENCH_LINE) vts_loop here;
static _Alignas(BENCH_LINE) vts_work ball;
static size_t rallies; /* the ball's holder's */

static void ball_is_here(vts_work *work);

static void ball_is_there(vts_work *work)
{
    work->run = ball_is_here;
    vts_scheduler_post(&here.scheduler, work);
    if (rallies == 0) vts_loop_stop(&there);
}

static void ball_is_here(vts_work *work)
{
    if (rallies == 0) {
        vts_loop_stop(&here);
        return;
    }
    rallies--;
    work->run = ball_is_there;
    vts_scheduler_post(&there.scheduler, work);
}

static void rally_here(size_t n)
{
    rallies = n;
    ball.run = ball_is_here;
    vts_scheduler_post(&here.scheduler, &ball);
    vts_loop_run(&here);
}

static void rally_there(size_t n)
{
    (void)n;
    vts_loop_run(&there);
}

static mailbox box_there = MAILBOX;
static mailbox box_here = MAILBOX;
static callback mailed;

static void mail_here(size_t n)
{
    for (; n > 0; n--) {
        mail(&box_there, &mailed);
        collect(&box_here, true);
    }
}

static void mail_there(size_t n)
{
    for (; n > 0; n--) {
        collect(&box_there, true);
        mail(&box_here, &mailed);
    }
}

// ----------------------------------------------------------------------------------
// >>tables
// ----------------------------------------------------------------------------------

#define ONE "post and run, 1 at a time"
#define MANY "post and run, 64 at a time"
#define WAIT "await, resumed by a loop"
#define RALLY "to another thread and back"
#define LOCKED "malloc'd callback under a mutex"
#define PAIR(in, called, here_function, there_function)                                \
    .group = in, .name = called, .run = here_function, .other = there_function,        \
    .symbol = #here_function, .syscall_n = 5000

static bench_row rows[] = {
    BENCH_CALIBRATOR(ONE),
    {BENCH_ROW(ONE, LOCKED, mail_1)},
    {BENCH_ROW(ONE, "run queue", queue_1), .vts = true, .ratio_to = LOCKED},
    {BENCH_ROW(ONE, "loop", loop_1), .vts = true, .ratio_to = LOCKED},
#ifdef BENCH_ASIO
    {BENCH_ROW(ONE, "Asio, io_context", asio_1), .ratio_to = LOCKED},
#endif
#ifdef BENCH_UV
    {BENCH_ROW(ONE, "libuv, uv_async_send", uv_1), .ratio_to = LOCKED,
     .syscall_n = 5000},
#endif
    BENCH_CALIBRATOR(MANY),
    {BENCH_ROW(MANY, LOCKED, mail_64)},
    {BENCH_ROW(MANY, "run queue", queue_64), .vts = true, .ratio_to = LOCKED},
    {BENCH_ROW(MANY, "loop", loop_64), .vts = true, .ratio_to = LOCKED},
#ifdef BENCH_ASIO
    {BENCH_ROW(MANY, "Asio, io_context", asio_64), .ratio_to = LOCKED},
#endif
#ifdef BENCH_UV
    {BENCH_ROW(MANY, "libuv, uv_async_send", uv_64), .ratio_to = LOCKED,
     .syscall_n = 6400},
#endif
    BENCH_CALIBRATOR(WAIT),
    {BENCH_ROW(WAIT, "callback", loop_callbacks), .vts = true},
    {BENCH_ROW(WAIT, "coroutine", loop_awaits), .vts = true, .ratio_to = "callback"},
#ifdef BENCH_ASIO
    {BENCH_ROW(WAIT, "Asio, C++20 coroutine", asio_awaits), .ratio_to = "callback"},
#endif
    BENCH_CALIBRATOR(RALLY),
    {PAIR(RALLY, "mutex and condition", mail_here, mail_there)},
    {PAIR(RALLY, "loops", rally_here, rally_there), .vts = true,
     .ratio_to = "mutex and condition"},
};

static const bench_bar bars[] = {
    {"post_one", ONE, "loop", LOCKED, 1, false},
    {"post_64", MANY, "loop", LOCKED, 1, false},
    {"await_loop", WAIT, "coroutine", "callback", 1.5, false},
};

int main(int argc, char **argv)
{
    vts_pool_desc desc;

    memset(&desc, 0, sizeof desc);
    if (vts_pool_init(&sources, &desc) != VTS_OK) return 1;
    if (vts_loop_init(&loop, NULL) != VTS_OK || vts_loop_init(&here, NULL) != VTS_OK ||
        vts_loop_init(&there, NULL) != VTS_OK) {
        return 1;
    }
    vts_run_queue_init(&queue, NULL, NULL);
    peers_begin();
    bench_main(argc, argv, rows, BENCH_COUNT(rows), bars, BENCH_COUNT(bars));
    peers_end();
    bench_sink = (intptr_t)sum;
    return vts_pool_destroy(&sources) != VTS_OK;
}
