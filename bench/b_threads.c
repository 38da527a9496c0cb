/* b_threads.c - operations asked for on one thread and completed on the other, 64 and 1
   of them in flight

   The asking thread starts an operation, which travels to the serving thread; the
   serving thread completes it, and the continuation travels back and starts the next
   one. With vts both ways are run queues; the twin has a list under a mutex and a
   condition variable each way and allocates every operation. Both sides look a while
   before they sleep. */
#include "bench.h"

#include "vts.h"

#define MOST 64

/* How the asking side stands; its own. */
static struct {
    size_t started, done, wanted;
    intptr_t sum;
} asking;

// ----------------------------------------------------------------------------------
// >>vts
// ----------------------------------------------------------------------------------

typedef struct request {
    vts_work work;
    vts_source *source;
    vts_token token;
    unsigned char pad[BENCH_LINE - sizeof(vts_work) - 2 * sizeof(void *)];
} request;

static _Alignas(BENCH_LINE) vts_run_queue to_server;
static _Alignas(BENCH_LINE) vts_run_queue to_asker;
static _Alignas(BENCH_LINE) request requests[MOST];
static vts_pool sources;

static void serve(vts_work *work)
{
    request *self = (request *)(void *)work;
    vts_source_set_result(self->source, self->token, 1);
}

static void on_served(void *arg);

static void ask(request *self)
{
    asking.started++;
    self->source = vts_pool_rent(&sources, &self->token);
    vts_source_on_completed(self->source, self->token, on_served, self,
                            VTS_USE_SCHEDULING_CONTEXT);
    self->work.run = serve;
    vts_scheduler_post(&to_server.scheduler, &self->work);
}

static void on_served(void *arg)
{
    request *self = (request *)arg;
    intptr_t result = 0;

    if (vts_source_get_result(self->source, self->token, &result) != VTS_OK) abort();
    asking.sum += result;
    asking.done++;
    if (asking.started < asking.wanted) ask(self);
}

static void ask_vts(size_t n, size_t flight)
{
    vts_scheduler *before = vts_scheduler_set_current(&to_asker.scheduler);
    size_t i;

    asking.started = asking.done = 0;
    asking.wanted = n;
    for (i = 0; i < flight && i < n; i++) ask(&requests[i]);
    while (asking.done < n) {
        if (vts_run_queue_is_empty(&to_asker)) {
            bench_relax();
        } else {
            vts_run_queue_drain(&to_asker);
        }
    }
    vts_scheduler_set_current(before);
}

static void vts_64(size_t n) { ask_vts(n, 64); }
static void vts_1(size_t n) { ask_vts(n, 1); }

static void vts_serve(size_t n)
{
    size_t served = 0;

    while (served < n) {
        if (vts_run_queue_is_empty(&to_server)) {
            bench_relax();
        } else {
            served += (size_t)vts_run_queue_drain(&to_server);
        }
    }
}

// ----------------------------------------------------------------------------------
// >>mutex and malloc
// ----------------------------------------------------------------------------------

typedef struct operation {
    struct operation *next;
    void (*run)(struct operation *self);
    intptr_t result;
} operation;

typedef struct mailbox {
    _Alignas(BENCH_LINE) pthread_mutex_t mutex;
    pthread_cond_t filled;
    operation *first, *last;
    bool sleeping;
} mailbox;

static mailbox box_to_server = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL,
                                NULL, false};
static mailbox box_to_asker = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL,
                               NULL, false};

static BENCH_CALL void mail(mailbox *box, operation *self)
{
    bool wake;

    self->next = NULL;
    pthread_mutex_lock(&box->mutex);
    if (box->first == NULL) {
        __atomic_store_n(&box->first, self, __ATOMIC_RELAXED);
    } else {
        box->last->next = self;
    }
    box->last = self;
    wake = box->sleeping;
    pthread_mutex_unlock(&box->mutex);
    if (wake) pthread_cond_signal(&box->filled);
}

/* Everything there is, the oldest first. */
static BENCH_CALL operation *collect(mailbox *box)
{
    operation *all;
    int look;

    for (look = 0; look < 100000; look++) {
        if (__atomic_load_n(&box->first, __ATOMIC_RELAXED) != NULL) break;
        bench_relax();
    }
    pthread_mutex_lock(&box->mutex);
    while (box->first == NULL) {
        box->sleeping = true;
        pthread_cond_wait(&box->filled, &box->mutex);
        box->sleeping = false;
    }
    all = box->first;
    __atomic_store_n(&box->first, NULL, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&box->mutex);
    return all;
}

static void on_mail(operation *self);

static BENCH_CALL void ask_by_mail(void)
{
    operation *self = (operation *)bench_malloc(sizeof *self);

    if (self == NULL) abort();
    asking.started++;
    self->run = on_mail;
    mail(&box_to_server, self);
}

static void on_mail(operation *self)
{
    asking.sum += self->result;
    asking.done++;
    free(self);
    if (asking.started < asking.wanted) ask_by_mail();
}

static void ask_mail(size_t n, size_t flight)
{
    asking.started = asking.done = 0;
    asking.wanted = n;
    while (asking.started < flight && asking.started < n) ask_by_mail();
    while (asking.done < n) {
        operation *next, *self = collect(&box_to_asker);
        for (; self != NULL; self = next) {
            next = self->next;
            self->run(self);
        }
    }
}

static void mail_64(size_t n) { ask_mail(n, 64); }
static void mail_1(size_t n) { ask_mail(n, 1); }

static void mail_serve(size_t n)
{
    size_t served = 0;

    while (served < n) {
        operation *next, *self = collect(&box_to_server);
        for (; self != NULL; self = next, served++) {
            next = self->next;
            self->result = 1;
            mail(&box_to_asker, self);
        }
    }
}

// ----------------------------------------------------------------------------------
// >>rings
// ----------------------------------------------------------------------------------
// The floor: two rings of words, nothing but transport.

typedef struct ring {
    _Alignas(BENCH_LINE) size_t written;
    size_t read_seen;
    _Alignas(BENCH_LINE) size_t read;
    size_t written_seen;
    _Alignas(BENCH_LINE) intptr_t slot[MOST * 2];
} ring;

static ring ring_to_server, ring_to_asker;

/* Never more than MOST are under way, so there is room. */
static inline void ring_send(ring *self, intptr_t value)
{
    self->slot[self->written % (MOST * 2)] = value;
    __atomic_store_n(&self->written, self->written + 1, __ATOMIC_RELEASE);
}

static inline intptr_t ring_receive(ring *self)
{
    intptr_t value;

    while (self->read == self->written_seen) {
        self->written_seen = __atomic_load_n(&self->written, __ATOMIC_ACQUIRE);
    }
    value = self->slot[self->read % (MOST * 2)];
    self->read++;
    return value;
}

static void ask_ring(size_t n, size_t flight)
{
    size_t started = 0, done;

    while (started < flight && started < n) ring_send(&ring_to_server, (intptr_t)started++);
    for (done = 0; done < n; done++) {
        asking.sum += ring_receive(&ring_to_asker);
        if (started < n) ring_send(&ring_to_server, (intptr_t)started++);
    }
}

static void ring_64(size_t n) { ask_ring(n, 64); }
static void ring_1(size_t n) { ask_ring(n, 1); }

static void ring_serve(size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) ring_send(&ring_to_asker, ring_receive(&ring_to_server) + 1);
}

// ----------------------------------------------------------------------------------
// >>tables
// ----------------------------------------------------------------------------------

#define MANY "across threads, 64 in flight"
#define SINGLE "across threads, 1 in flight"
#define PAIR(in, called, ask_function, serve_function)                                 \
    .group = in, .name = called, .run = ask_function, .other = serve_function,         \
    .symbol = #ask_function, .syscall_n = 5000

static bench_row rows[] = {
    BENCH_CALIBRATOR(MANY),
    {PAIR(MANY, "two bare rings", ring_64, ring_serve),
     .ratio_to = "malloc'd callback under a mutex"},
    {PAIR(MANY, "malloc'd callback under a mutex", mail_64, mail_serve)},
    {PAIR(MANY, "pooled source over run queues", vts_64, vts_serve), .vts = true,
     .ratio_to = "malloc'd callback under a mutex"},
    {PAIR(SINGLE, "two bare rings", ring_1, ring_serve),
     .ratio_to = "malloc'd callback under a mutex"},
    {PAIR(SINGLE, "malloc'd callback under a mutex", mail_1, mail_serve)},
    {PAIR(SINGLE, "pooled source over run queues", vts_1, vts_serve), .vts = true,
     .ratio_to = "malloc'd callback under a mutex"},
};

static const bench_bar bars[] = {
    {"cross_64", MANY, "pooled source over run queues", "malloc'd callback under a mutex",
     0.80, false},
};

int main(int argc, char **argv)
{
    vts_pool_desc desc;

    memset(&desc, 0, sizeof desc);
    if (vts_pool_init(&sources, &desc) != VTS_OK) return 1;
    vts_run_queue_init(&to_server, NULL, NULL);
    vts_run_queue_init(&to_asker, NULL, NULL);
    bench_main(argc, argv, rows, BENCH_COUNT(rows), bars, BENCH_COUNT(bars));
    bench_sink = asking.sum;
    return vts_pool_destroy(&sources) != VTS_OK;
}
