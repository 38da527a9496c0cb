/* Soak of sockets: a thousand connections that are made, used, canceled, closed, reset and
   made again, by one loop and several threads; each stream's bytes are known.

       [SECONDS=20] [SEED=n] [CONNECTIONS=1000] [POLLER=epoll|poll|uring] socket_soak

   A life of a track: a connects, b is accepted; a writes, b reads, until one of the endings.
   Every operation may be canceled by its deadline or by a thread. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#define VTS_IMPLEMENTATION
#include "vts_socket.h"
#include "test.h"

#define MEDDLERS 3
#define PIECE 512

#define LOAD(place) __atomic_load_n((place), __ATOMIC_ACQUIRE)
#define STORE(place, value) __atomic_store_n((place), (value), __ATOMIC_RELEASE)
#define ADD(place, value) __atomic_fetch_add((place), (value), __ATOMIC_ACQ_REL)

/* One end of a track, and what may end its operation. */
typedef struct end {
    vts_socket socket;
    vts_cancellation_source cancel;
    vts_socket_limit limit;
    uint64_t at; /* bytes                                                              */
    intptr_t n;
    size_t size;
    unsigned char buffer[PIECE];
} end;

typedef enum ending {
    HALF_CLOSE, /* a shuts down, b answers with its count of bytes                     */
    CLOSE,      /* a closes                                                            */
    RESET,      /* a closes, and b is told that it is over                             */
    BREAK,      /* b closes while a writes                                             */
    ELSEWHERE,  /* another thread closes b                                             */
    ENDINGS
} ending;

typedef struct track {
    vts_co life, reading;
    end a, b;
    vts_address place; /* of a; its port is 0 while b is not expected                  */
    vts_source over;   /* b is closed                                                  */
    vts_token token;
    uint64_t salt, goal, most;
    ending ending;
    int slept;
    bool all, met, ended;
    size_t elsewhere; /* 0, asked to close b, at it, done                              */
} track;

/* What a thread does alone, on two connected sockets. */
typedef struct meddler {
    vts_socket a, b;
    vts_cancellation_source cancel;
    uint64_t sent, got, random;
    test_thread thread;
} meddler;

static vts_socket_loop net;
static vts_socket listener;
static vts_address listening;
static track *tracks;
static size_t count = 1000, living;
static meddler meddlers[MEDDLERS];
static size_t stopped, finished, meddling = MEDDLERS;
static struct {
    uint64_t lives, endings[ENDINGS], bytes, operations, canceled, late, strangers;
    size_t allocations, live; /* by vts                                                */
} seen;

// ----------------------------------------------------------------------------------
// Bytes
// ----------------------------------------------------------------------------------

static unsigned char pattern(uint64_t at)
{
    return (unsigned char)(at * 167 + (at >> 8) * 13 + (at >> 16) * 7);
}

static void fill(unsigned char *bytes, uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i++) bytes[i] = pattern(at + i);
}

static bool fits(const unsigned char *bytes, uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != pattern(at + i)) return false;
    }
    return true;
}

/* A receive wrote what it said, and nothing else. */
static void make_untouched(unsigned char *bytes) { memset(bytes, 0xee, PIECE); }

static bool is_untouched(const unsigned char *bytes, size_t from)
{
    for (size_t i = from; i < PIECE; i++) {
        if (bytes[i] != 0xee) return false;
    }
    return true;
}

// ----------------------------------------------------------------------------------
// Tracks
// ----------------------------------------------------------------------------------

static bool chance(unsigned one_of) { return test_random() % one_of == 0; }

static bool was_canceled(intptr_t n) { return n == -ECANCELED || n == -ETIMEDOUT; }

/* None, a deadline, or a token that the meddlers may cancel at any time. */
static const vts_socket_limit *choose_limit(end *e)
{
    bool cancels = chance(3), late = chance(3);

    if (vts_cancellation_is_requested(vts_cancellation_token_of(&e->cancel))) {
        cancels = cancels && vts_cancellation_reset(&e->cancel) == VTS_OK;
    }
    e->limit.cancel = cancels ? vts_cancellation_token_of(&e->cancel)
                              : vts_cancellation_none();
    e->limit.deadline = late ? vts_after(test_random() % VTS_MILLISECONDS(5)) : 0;
    seen.operations++;
    return cancels || late ? &e->limit : NULL;
}

/* It is over for this end: not just for this operation. */
static bool goes_on(const end *e)
{
    if (e->n > 0) return true;
    if (!was_canceled(e->n) || !vts_socket_is_open(&e->socket)) return false;
    if (e->n == -ECANCELED) seen.canceled++;
    else seen.late++;
    return true;
}

static bool is_failure_of_network(intptr_t n)
{
    return n == -ECONNRESET || n == -EPIPE;
}

static vts_valuetask a_while(vts_time most)
{
    return vts_delay(&net.loop, vts_after(test_random() % most), vts_cancellation_none());
}

static void close_end(end *e)
{
    if (vts_socket_is_open(&e->socket)) {
        THREAD_CHECK(vts_valuetask_get_result(vts_socket_close(&e->socket), NULL) == VTS_OK);
    }
}

static void check_received(track *l)
{
    end *b = &l->b;
    size_t size = b->n > 0 ? (size_t)b->n : 0;

    THREAD_CHECK(size <= b->size && is_untouched(b->buffer, size));
    THREAD_CHECK(fits(b->buffer, l->salt + b->at, size));
    b->at += size;
    seen.bytes += size;
}

static vts_valuetask receive(track *l)
{
    end *b = &l->b;

    make_untouched(b->buffer);
    b->size = 1 + test_random() % PIECE;
    return vts_socket_recv(&b->socket, b->buffer, b->size, 0, choose_limit(b));
}

static vts_step reading_run(vts_co *co)
{
    track *l = vts__container_of(co, track, reading);
    end *b = &l->b;

    VTS_ASYNC(co) {
        STORE(&l->elsewhere, l->ending == ELSEWHERE ? 1 : 0);
        do {
            if (chance(20)) VTS_AWAIT(l->slept, a_while(VTS_MILLISECONDS(20)));
            b->n = 1;
            if (l->ending == BREAK && b->at >= l->goal / 2) break;
            VTS_AWAIT(b->n, receive(l));
            check_received(l);
        } while (goes_on(b));
        l->ended = b->n == 0;
        THREAD_CHECK(b->n >= 0 || is_failure_of_network(b->n) || l->ending == ELSEWHERE);
        if (l->ended && l->ending == HALF_CLOSE) {
            VTS_AWAIT(b->n, vts_socket_send_all(&b->socket, &b->at, sizeof b->at, 0, NULL));
        }
        while (l->ending == ELSEWHERE && LOAD(&l->elsewhere) != 3) {
            VTS_AWAIT(b->n, a_while(VTS_MILLISECONDS(2)));
        }
        close_end(b);
        THREAD_CHECK(vts_source_set_result(&l->over, l->token, 0) == VTS_OK);
    }
    return vts_co_finish(co, 0);
}

/* Whose address it is, if it is expected. */
static track *track_of(const vts_address *from)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)vts_address_data(from, NULL);
    uint32_t i = ntohl(in->sin_addr.s_addr) & 0xffff;

    return i < count && vts_address_equals(from, &tracks[i].place) ? &tracks[i] : NULL;
}

/* One whose connect was canceled is a stranger. */
static void welcome(int descriptor, const vts_address *from)
{
    track *l = track_of(from);

    if (l == NULL) {
        seen.strangers++;
        close(descriptor);
        return;
    }
    l->met = true;
    THREAD_CHECK(vts_socket_adopt(&l->b.socket, &net, descriptor) == VTS_OK);
    THREAD_CHECK(vts_valuetask_forget(vts_co_start(&l->reading, reading_run)) == VTS_OK);
}

static struct {
    vts_co co;
    vts_valuetask task;
    vts_address from;
    vts_socket_limit limit;
    intptr_t n;
} acceptor;

static vts_step accept_run(vts_co *co)
{
    VTS_ASYNC(co) {
        do {
            acceptor.limit.deadline = vts_after(test_random() % VTS_MILLISECONDS(5));
            VTS_AWAIT(acceptor.n, vts_socket_accept(&listener, &acceptor.from,
                                                    chance(4) ? &acceptor.limit : NULL));
            if (acceptor.n >= 0) welcome((int)acceptor.n, &acceptor.from);
        } while (acceptor.n >= 0 || acceptor.n == -ETIMEDOUT);
    }
    return vts_co_finish(co, acceptor.n);
}

/* Each track has a loopback address of its own: ports do not run out. */
static void open_track(track *l)
{
    char text[32];
    unsigned i = (unsigned)(l - tracks);

    snprintf(text, sizeof text, "127.1.%u.%u:0", i >> 8, i & 255);
    vts_address_parse(&l->place, text);
    THREAD_CHECK(vts_socket_open(&l->a.socket, &net, VTS_IPV4, VTS_STREAM) == VTS_OK);
    vts_socket_set_option(&l->a.socket, VTS_OPTION_SEND_BUFFER, 4096);
    THREAD_CHECK(vts_socket_bind(&l->a.socket, &l->place) == VTS_OK);
    THREAD_CHECK(vts_socket_local_address(&l->a.socket, &l->place) == VTS_OK);
}

static void begin_life(track *l)
{
    open_track(l);
    THREAD_CHECK(vts_source_reset(&l->over, &l->token) == VTS_OK);
    l->ending = (ending)(test_random() % ENDINGS);
    l->goal = test_random() % (1u << test_random() % 16);
    l->salt = test_random();
    l->a.at = l->b.at = l->most = 0;
    l->met = l->ended = false;
    seen.lives++;
    seen.endings[l->ending]++;
}

static vts_valuetask send_piece(track *l)
{
    end *a = &l->a;
    const vts_socket_limit *limit = choose_limit(a);

    a->size = 1 + test_random() % PIECE;
    l->all = chance(8);
    fill(a->buffer, l->salt + a->at, a->size);
    l->most = a->at + a->size;
    return l->all ? vts_socket_send_all(&a->socket, a->buffer, a->size, 0, limit)
                  : vts_socket_send(&a->socket, a->buffer, a->size, 0, limit);
}

/* Of a canceled send_all nobody knows how much went out. */
static bool check_sent(track *l)
{
    end *a = &l->a;

    THREAD_CHECK(a->n <= (intptr_t)a->size && (a->n > 0 || a->n < 0));
    THREAD_CHECK(a->n > 0 || was_canceled(a->n) || is_failure_of_network(a->n));
    if (a->n > 0) a->at += (uint64_t)a->n;
    if (a->n > 0 || !l->all) l->most = a->at;
    return goes_on(a) && (a->n > 0 || !l->all);
}

static void reset_when_closed(const vts_socket *socket)
{
    struct linger linger = {1, 0};
    setsockopt(vts_socket_descriptor(socket), SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* b has counted the bytes: a tells. */
static vts_valuetask await_answer(track *l)
{
    end *a = &l->a;
    return vts_socket_recv(&a->socket, a->buffer, sizeof(uint64_t), 0, choose_limit(a));
}

static void check_answer(track *l)
{
    uint64_t answer = 0;

    if (l->a.n == sizeof answer) memcpy(&answer, l->a.buffer, sizeof answer);
    THREAD_CHECK(l->a.n == sizeof answer ? answer == l->b.at : l->a.n < 0);
}

/* All of it arrived, or the beginning of it, in order; what of a connection that was not
   broken off is all. */
static void end_life(track *l)
{
    bool whole = l->ending == HALF_CLOSE || l->ending == CLOSE;

    THREAD_CHECK(l->b.at <= l->most);
    THREAD_CHECK(!whole || (l->ended && l->b.at >= l->a.at));
    vts_address_set_port(&l->place, 0);
    close_end(&l->a);
}

static vts_step life_run(vts_co *co)
{
    track *l = vts__container_of(co, track, life);
    end *a = &l->a;

    VTS_ASYNC(co) {
        while (!LOAD(&stopped)) {
            begin_life(l);
            VTS_AWAIT(a->n, vts_socket_connect(&a->socket, &listening, choose_limit(a)));
            if (a->n < 0) {
                THREAD_CHECK(was_canceled(a->n) || is_failure_of_network(a->n));
                if (!l->met) vts_address_set_port(&l->place, 0);
                close_end(a);
                if (l->met) VTS_AWAIT(a->n, vts_valuetask_of(&l->over, l->token));
                else vts_source_abandon(&l->over, l->token);
                continue;
            }
            while (l->a.at < l->goal && !LOAD(&stopped)) {
                if (chance(5)) VTS_AWAIT(l->slept, a_while(VTS_MILLISECONDS(20)));
                VTS_AWAIT(a->n, send_piece(l));
                if (!check_sent(l)) break;
            }
            if (l->ending == HALF_CLOSE) {
                VTS_AWAIT(a->n, vts_socket_shutdown(&a->socket, VTS_SHUTDOWN_SEND));
                do VTS_AWAIT(a->n, await_answer(l));
                while (was_canceled(a->n));
                check_answer(l);
            } else {
                if (l->ending == RESET) reset_when_closed(&a->socket);
                close_end(a);
            }
            VTS_AWAIT(a->n, vts_valuetask_of(&l->over, l->token));
            end_life(l);
        }
        living--;
    }
    return vts_co_finish(co, 0);
}

// ----------------------------------------------------------------------------------
// Meddlers
// ----------------------------------------------------------------------------------

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static intptr_t await_result(vts_valuetask task)
{
    intptr_t result = 0;
    int error = vts_valuetask_wait(task, vts_after(VTS_SECONDS(60)));

    THREAD_CHECK(error == VTS_OK);
    error = vts_valuetask_get_result(task, &result);
    return error != VTS_OK ? error : result;
}

static void close_elsewhere(track *l)
{
    size_t asked = 1;

    if (!__atomic_compare_exchange_n(&l->elsewhere, &asked, 2, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        return;
    }
    THREAD_CHECK(await_result(vts_socket_close(&l->b.socket)) == 0);
    STORE(&l->elsewhere, 3);
}

/* Sends and receives on sockets of its own; another meddler may cancel the receive. */
static void use_own(meddler *m)
{
    unsigned char sent[PIECE], got[PIECE];
    vts_socket_limit limit = {.cancel = vts_cancellation_token_of(&m->cancel)};
    size_t size = 1 + next_random(&m->random) % 64;
    vts_valuetask receive;
    intptr_t n;

    if (vts_cancellation_is_requested(limit.cancel)) vts_cancellation_reset(&m->cancel);
    make_untouched(got);
    receive = vts_socket_recv(&m->b, got, size, 0, &limit);
    if (m->sent - m->got < PIECE) {
        fill(sent, m->sent, size);
        n = await_result(vts_socket_send(&m->a, sent, size, 0, NULL));
        THREAD_CHECK(n > 0 && n <= (intptr_t)size);
        m->sent += n > 0 ? (uint64_t)n : 0;
    }
    n = await_result(receive);
    THREAD_CHECK(n > 0 || n == -ECANCELED);
    if (n < 0) n = 0;
    THREAD_CHECK(fits(got, m->got, (size_t)n) && is_untouched(got, (size_t)n));
    STORE(&m->got, m->got + (uint64_t)n);
}

static void cancel_some(uint64_t random)
{
    for (uint64_t i = 0; i < 16; i++) {
        track *l = &tracks[(random + i) % count];
        vts_cancellation_cancel(i % 2 ? &l->a.cancel : &l->b.cancel);
    }
}

static void *meddle(void *arg)
{
    meddler *m = (meddler *)arg;
    struct timespec rest = {0, 20000};

    while (!LOAD(&finished)) {
        uint64_t random = next_random(&m->random);
        close_elsewhere(&tracks[random % count]);
        switch (random >> 40 & 7) {
        case 0: vts_cancellation_cancel(&meddlers[random % MEDDLERS].cancel); break;
        case 1: use_own(m); break;
        case 2: nanosleep(&rest, NULL); break;
        default: cancel_some(random); break;
        }
    }
    ADD(&meddling, (size_t)-1);
    return NULL;
}

static void start_meddler(meddler *m, uint64_t seed)
{
    int ends[2];

    THREAD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    THREAD_CHECK(vts_socket_adopt(&m->a, &net, ends[0]) == VTS_OK);
    THREAD_CHECK(vts_socket_adopt(&m->b, &net, ends[1]) == VTS_OK);
    m->random = seed * 2 + 1;
    m->thread = test_thread_start(meddle, m, 0);
}

static void end_meddler(meddler *m)
{
    test_thread_join(m->thread);
    THREAD_CHECK(m->sent >= m->got);
    vts_valuetask_get_result(vts_socket_close(&m->a), NULL);
    vts_valuetask_get_result(vts_socket_close(&m->b), NULL);
}

// ----------------------------------------------------------------------------------
// The whole
// ----------------------------------------------------------------------------------

static void *counted_alloc(void *user, size_t size)
{
    (void)user;
    ADD(&seen.allocations, 1);
    ADD(&seen.live, 1);
    return malloc(size);
}

static void counted_free(void *user, void *memory, size_t size)
{
    (void)user;
    (void)size;
    ADD(&seen.live, (size_t)-1);
    free(memory);
}

static const vts_allocator counted = {counted_alloc, counted_free, NULL};

/* Resident, in kB. */
static long resident(void)
{
    long all, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL) return 0;
    if (fscanf(file, "%ld %ld", &all, &pages) != 2) pages = 0;
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define RESIDENT_MAY_GROW 1000000 /* it is the sanitizer's                              */
#else
#define RESIDENT_MAY_GROW 4096
#endif

static struct {
    vts_co co;
    vts_work work;
    vts_time time;
    intptr_t n;
    size_t i, allocations;
    long resident;
} conductor;

static void listen_somewhere(void)
{
    vts_address_parse(&listening, "127.0.0.1:0");
    THREAD_CHECK(vts_socket_open(&listener, &net, VTS_IPV4, VTS_STREAM) == VTS_OK);
    THREAD_CHECK(vts_socket_bind(&listener, &listening) == VTS_OK);
    THREAD_CHECK(vts_socket_local_address(&listener, &listening) == VTS_OK);
    THREAD_CHECK(vts_socket_listen(&listener, 0) == VTS_OK);
    acceptor.task = vts_co_start(&acceptor.co, accept_run);
}

static bool everything_happened(void)
{
    return seen.lives > count && seen.canceled > 0 && seen.late > 0 && LOAD(&meddlers[0].got) > 0;
}

/* Whoever is done leaves: lives end, then the threads, then the listener. */
static vts_step conduct_run(vts_co *co)
{
    VTS_ASYNC(co) {
        listen_somewhere();
        for (size_t i = 0; i < MEDDLERS; i++) start_meddler(&meddlers[i], test_random());
        for (living = 0; living < count; living++) {
            vts_valuetask_forget(vts_co_start(&tracks[living].life, life_run));
        }
        VTS_AWAIT(conductor.n, vts_delay(&net.loop, vts_after(conductor.time / 2),
                                         vts_cancellation_none()));
        conductor.allocations = LOAD(&seen.allocations);
        conductor.resident = resident();
        VTS_AWAIT(conductor.n, vts_delay(&net.loop, vts_after(conductor.time / 2),
                                         vts_cancellation_none()));
        conductor.allocations = LOAD(&seen.allocations) - conductor.allocations;
        conductor.resident = resident() - conductor.resident;
        conductor.time = vts_after(VTS_SECONDS(90)); /* for a machine that is very slow  */
        while (!everything_happened() && vts_now() < conductor.time) {
            VTS_AWAIT(conductor.n, a_while(VTS_MILLISECONDS(100)));
        }
        STORE(&stopped, 1);
        while (living > 0) VTS_AWAIT(conductor.n, a_while(VTS_MILLISECONDS(10)));
        STORE(&finished, 1);
        while (LOAD(&meddling) > 0) VTS_AWAIT(conductor.n, a_while(VTS_MILLISECONDS(10)));
        for (size_t i = 0; i < MEDDLERS; i++) end_meddler(&meddlers[i]);
        vts_valuetask_get_result(vts_socket_close(&listener), NULL);
        VTS_AWAIT(conductor.n, acceptor.task);
        THREAD_CHECK(conductor.n == -ECANCELED);
        vts_loop_stop(&net.loop);
    }
    return vts_co_finish(co, 0);
}

static void begin(vts_work *work)
{
    (void)work;
    vts_valuetask_forget(vts_co_start(&conductor.co, conduct_run));
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != 0 ? strtoull(text, NULL, 0) : otherwise;
}

static vts_socket_poller chosen_poller(void)
{
    static const char *const names[] = {"", "epoll", "uring", "kqueue", "poll"};
    const char *text = getenv("POLLER");

    for (unsigned i = 1; text != NULL && i < 5; i++) {
        if (strcmp(text, names[i]) == 0) return (vts_socket_poller)i;
    }
    return VTS_POLLER_DEFAULT;
}

/* As many as asked for, or as there are descriptors for. */
static size_t choose_count(void)
{
    struct rlimit limit;
    size_t wanted = setting("CONNECTIONS", 1000);

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * wanted + 100) {
        wanted = limit.rlim_cur > 140 ? (size_t)(limit.rlim_cur - 100) / 2 : 20;
        printf("# %zu connections: the limit of descriptors is small\n", wanted);
    }
    return wanted < 0xffff ? wanted : 0xffff;
}

static void report(void)
{
    printf("# %llu lives of %zu tracks (half-closed %llu, closed %llu, reset %llu, broken off "
           "%llu, by another thread %llu)\n",
           (unsigned long long)seen.lives, count, (unsigned long long)seen.endings[0],
           (unsigned long long)seen.endings[1], (unsigned long long)seen.endings[2],
           (unsigned long long)seen.endings[3], (unsigned long long)seen.endings[4]);
    printf("# %llu operations, %llu canceled, %llu late; %llu bytes; %llu strangers\n",
           (unsigned long long)seen.operations, (unsigned long long)seen.canceled,
           (unsigned long long)seen.late, (unsigned long long)seen.bytes,
           (unsigned long long)seen.strangers);
    printf("# threads on their own sockets: %llu bytes\n",
           (unsigned long long)(meddlers[0].got + meddlers[1].got + meddlers[2].got));
    printf("# the second half: %zu allocations, %+ld kB resident\n", conductor.allocations,
           conductor.resident);
}

static int verdict(const char *name, bool passed)
{
    printf("%s soak: %s\n", passed ? "ok" : "not ok", name);
    return !passed;
}

static void soak(void)
{
    vts_socket_loop_desc desc = {.poller = chosen_poller(), .allocator = &counted};

    desc.requests.allocator = desc.delays.allocator = &counted;
    THREAD_CHECK(vts_socket_loop_init(&net, &desc) == VTS_OK);
    if (net.note[0] != 0) printf("# %s\n", net.note);
    conductor.work.run = begin;
    vts_scheduler_post(&net.loop.scheduler, &conductor.work);
    THREAD_CHECK(vts_loop_run(&net.loop) == VTS_OK);
}

int main(void)
{
    uint64_t seconds = setting("SECONDS", 20);
    size_t descriptors = test_open_descriptors();
    vts_socket_loop_statistics statistics;
    int failed = 0;

    test.random = test.seed = setting("SEED", (uint64_t)time(NULL));
    printf("# SEED=%llu SECONDS=%llu\n", (unsigned long long)test.seed,
           (unsigned long long)seconds);
    fflush(stdout);
    alarm((unsigned)seconds * 2 + 300); /* what stands still is ended                  */
    count = choose_count();
    tracks = (track *)calloc(count, sizeof *tracks);
    conductor.time = VTS_SECONDS(seconds);
    soak();
    statistics = vts_socket_loop_get_statistics(&net);
    report();
    failed |= verdict("something of everything happened", everything_happened());
    failed |= verdict("no socket and no operation is left",
                      statistics.sockets == 0 && statistics.requests == 0 &&
                          vts_socket_loop_destroy(&net) == VTS_OK);
    failed |= verdict("no descriptor is left", test_open_descriptors() == descriptors);
    failed |= verdict("no block is left", LOAD(&seen.live) == 0);
    failed |= verdict("memory is flat", conductor.allocations <= 4 &&
                                            conductor.resident <= RESIDENT_MAY_GROW);
    failed |= verdict("every byte arrived once, every operation ended once", test.checks == 0);
    if (test.checks != 0) printf("    %zu checks, the first: %s\n", test.checks, test.check);
    free(tracks);
    return failed;
}
