/* One end of a conversation, for tests with other programs at the other end:

       socket_peer echo ADDRESS            accepts for ever, sends back what comes
       socket_peer echo-datagrams ADDRESS  the same of datagrams
       socket_peer exchange ADDRESS BYTES  sends them, and expects them back
       socket_peer ping ADDRESS COUNT      the same of numbered datagrams, in any order
       socket_peer crowd ADDRESS COUNT     so many connections, all open at once

   echo prints where it listens. Exit status 0: all as expected; 1: an error, which it
   names; 3: something arrived that was not sent. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"

#include <stdlib.h>

#define PATIENCE VTS_SECONDS(60)

static vts_socket_loop net;
static vts_address address;
static uint64_t count;

/* Ends the program. */
static void fail(const char *what, intptr_t error)
{
    fprintf(stderr, "%s: %s\n", what, vts_socket_strerror((int)error));
    exit(1);
}

static void wrong(const char *what, uint64_t at)
{
    fprintf(stderr, "wrong: %s, at %llu\n", what, (unsigned long long)at);
    exit(3);
}

static unsigned char pattern(uint64_t at)
{
    return (unsigned char)(at * 167 + (at >> 8) * 13 + (at >> 16) * 7);
}

static void fill(unsigned char *bytes, uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i++) bytes[i] = pattern(at + i);
}

static void check(const unsigned char *bytes, uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != pattern(at + i)) wrong("a byte", at + i);
    }
}

static void open_socket(vts_socket *socket, vts_socket_type type)
{
    int error = vts_socket_open(socket, &net, vts_address_family(&address), type);
    if (error != VTS_OK) fail("open", error);
}

static void open_bound(vts_socket *socket, vts_socket_type type)
{
    char text[160];
    int error;

    open_socket(socket, type);
    if (vts_address_family(&address) != VTS_UNIX) {
        vts_socket_set_option(socket, VTS_OPTION_REUSE_ADDRESS, 1);
    }
    error = vts_socket_bind(socket, &address);
    if (error == VTS_OK && type == VTS_STREAM) error = vts_socket_listen(socket, 0);
    if (error != VTS_OK) fail("bind and listen", error);
    vts_socket_local_address(socket, &address);
    vts_address_format(&address, text, sizeof text);
    printf("%s\n", text);
    fflush(stdout);
}

// ----------------------------------------------------------------------------------
// Servers
// ----------------------------------------------------------------------------------

typedef struct guest {
    vts_co co;
    vts_socket socket;
    intptr_t n;
    char buffer[2048];
} guest;

static vts_socket own;
static vts_pool guests;
static intptr_t result;

static vts_step guest_run(vts_co *co)
{
    guest *g = VTS_SELF(co, guest);

    VTS_ASYNC(co) {
        for (;;) {
            VTS_TRY(g->n, vts_socket_recv(&g->socket, g->buffer, sizeof g->buffer, 0, NULL));
            if (g->n == 0) break;
            VTS_TRY(g->n, vts_socket_send_all(&g->socket, g->buffer, (size_t)g->n, 0, NULL));
        }
    VTS_FINALLY();
        VTS_AWAIT(g->n, vts_socket_close(&g->socket));
    }
    return vts_co_finish(co, 0);
}

static vts_step echo_run(vts_co *co)
{
    VTS_ASYNC(co) {
        open_bound(&own, VTS_STREAM);
        for (;;) {
            guest *g;
            VTS_TRY(result, vts_socket_accept(&own, NULL, NULL));
            g = vts_co_rent(&guests, guest);
            if (g == NULL) fail("echo", VTS_E_EXHAUSTED);
            if (vts_socket_adopt(&g->socket, &net, (int)result) != VTS_OK) break;
            vts_valuetask_forget(vts_co_start(&g->co, guest_run));
        }
    }
    return vts_co_finish(co, result);
}

static vts_step echo_datagrams_run(vts_co *co)
{
    static unsigned char datagram[2048];
    static vts_address from;

    VTS_ASYNC(co) {
        open_bound(&own, VTS_DATAGRAM);
        for (;;) {
            VTS_AWAIT(result, vts_socket_recv_from(&own, datagram, sizeof datagram, 0, &from,
                                                   NULL));
            if (result < 0) continue; /* of a peer that is gone                        */
            VTS_AWAIT(result, vts_socket_send_to(&own, datagram, (size_t)result, 0, &from,
                                                 NULL));
        }
    }
    return vts_co_finish(co, result);
}

// ----------------------------------------------------------------------------------
// Clients
// ----------------------------------------------------------------------------------

static struct {
    vts_co co;
    uint64_t at;
    intptr_t n;
    size_t size;
    unsigned char buffer[8192];
} sending, receiving;

static vts_step send_run(vts_co *co)
{
    VTS_ASYNC(co) {
        while (sending.at < count) {
            sending.size = sizeof sending.buffer;
            if (sending.size > count - sending.at) sending.size = (size_t)(count - sending.at);
            fill(sending.buffer, sending.at, sending.size);
            VTS_TRY(sending.n, vts_socket_send_all(&own, sending.buffer, sending.size, 0, NULL));
            sending.at += sending.size;
        }
        VTS_TRY(sending.n, vts_socket_shutdown(&own, VTS_SHUTDOWN_SEND));
    }
    return vts_co_finish(co, sending.n < 0 ? sending.n : 0);
}

/* Until the end; an end that comes too early is one that the peer made. */
static vts_step receive_run(vts_co *co)
{
    static vts_socket_limit limit;

    VTS_ASYNC(co) {
        do {
            limit.deadline = vts_after(PATIENCE);
            VTS_TRY(receiving.n, vts_socket_recv(&own, receiving.buffer,
                                                 sizeof receiving.buffer, 0, &limit));
            check(receiving.buffer, receiving.at, (size_t)receiving.n);
            receiving.at += (uint64_t)receiving.n;
        } while (receiving.n > 0);
    }
    return vts_co_finish(co, receiving.n < 0 ? receiving.n : (intptr_t)receiving.at);
}

/* The system tells a reset once: if it told the sender, the receiver sees an end. */
static void end_early(uint64_t at, vts_valuetask sent)
{
    int error = vts_valuetask_get_result(sent, NULL);

    if (error == VTS_OK || error == VTS_E_NOT_COMPLETED) wrong("the end", at);
    fail("send", error);
}

static vts_step exchange_run(vts_co *co)
{
    static vts_socket_limit limit;
    static vts_valuetask sent;

    VTS_ASYNC(co) {
        open_socket(&own, VTS_STREAM);
        limit.deadline = vts_after(PATIENCE);
        VTS_TRY(result, vts_socket_connect(&own, &address, &limit));
        sent = vts_co_start(&sending.co, send_run);
        VTS_TRY(result, vts_co_start(&receiving.co, receive_run));
        if ((uint64_t)result == count) VTS_TRY(result, sent);
        else end_early((uint64_t)result, sent);
    }
    return vts_co_finish(co, result);
}

/* A datagram: its number, and bytes that follow from it. */
typedef struct numbered {
    uint64_t number;
    unsigned char bytes[56];
} numbered;

static struct {
    uint64_t sent, arrived, disordered, next;
    unsigned char *seen;
} pings;

static void check_ping(const numbered *got, intptr_t size)
{
    if (size != sizeof *got || got->number >= pings.sent) wrong("a datagram", pings.arrived);
    check(got->bytes, got->number * 1000, sizeof got->bytes);
    if (got->number < pings.next) pings.disordered++;
    else pings.next = got->number + 1;
    if (!pings.seen[got->number]) pings.arrived++;
    pings.seen[got->number] = 1;
}

/* Takes what comes for so long. */
static vts_step answers_run(vts_co *co)
{
    static vts_socket_limit limit;
    static numbered got;

    VTS_ASYNC(co) {
        limit.deadline = vts_after(VTS_SECONDS(5) + count * VTS_MILLISECONDS(3));
        do {
            VTS_AWAIT(result, vts_socket_recv(&own, &got, sizeof got, 0, &limit));
            if (result >= 0) check_ping(&got, result);
        } while (result >= 0 && pings.arrived < count);
    }
    return vts_co_finish(co, 0);
}

static vts_step ping_run(vts_co *co)
{
    static vts_co receiver;
    static vts_valuetask answers;
    static numbered mine;

    VTS_ASYNC(co) {
        open_socket(&own, VTS_DATAGRAM);
        pings.seen = (unsigned char *)calloc(count, 1);
        VTS_TRY(result, vts_socket_connect(&own, &address, NULL));
        answers = vts_co_start(&receiver, answers_run);
        while (pings.sent < count) {
            mine.number = pings.sent++;
            fill(mine.bytes, mine.number * 1000, sizeof mine.bytes);
            VTS_TRY(result, vts_socket_send(&own, &mine, sizeof mine, 0, NULL));
            VTS_TRY(result, vts_delay(&net.loop, vts_after(VTS_MILLISECONDS(2)),
                                      vts_cancellation_none()));
        }
        VTS_TRY(result, answers);
        free(pings.seen);
        printf("%llu of %llu arrived, %llu out of order\n", (unsigned long long)pings.arrived,
               (unsigned long long)count, (unsigned long long)pings.disordered);
    }
    return vts_co_finish(co, result);
}

/* Everybody is connected before anybody speaks, and stays until everybody was answered. */
static vts_step crowd_run(vts_co *co)
{
    static vts_socket *crowd;
    static uint64_t i;
    static unsigned char bytes[8];

    VTS_ASYNC(co) {
        crowd = (vts_socket *)calloc(count, sizeof *crowd);
        for (i = 0; i < count; i++) {
            open_socket(&crowd[i], VTS_STREAM);
            VTS_TRY(result, vts_socket_connect(&crowd[i], &address, NULL));
        }
        for (i = 0; i < count; i++) {
            fill(bytes, i, sizeof bytes);
            VTS_TRY(result, vts_socket_send_all(&crowd[i], bytes, sizeof bytes, 0, NULL));
        }
        for (i = 0; i < count; i++) {
            VTS_TRY(result, vts_socket_recv(&crowd[i], bytes, sizeof bytes, 0, NULL));
            check(bytes, i, (size_t)result);
            if (result != sizeof bytes) wrong("an answer", i);
        }
        for (i = 0; i < count; i++) VTS_AWAIT(result, vts_socket_close(&crowd[i]));
        printf("%llu connections\n", (unsigned long long)count);
        free(crowd);
    }
    return vts_co_finish(co, result);
}

static const struct {
    const char *name;
    vts_step (*run)(vts_co *co);
} roles[] = {{"echo", echo_run},
             {"echo-datagrams", echo_datagrams_run},
             {"exchange", exchange_run},
             {"ping", ping_run},
             {"crowd", crowd_run}};

static vts_step (*role_of(const char *name))(vts_co *co)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(name, roles[i].name) == 0) return roles[i].run;
    }
    return NULL;
}

static vts_co player;
static vts_step (*play)(vts_co *co);
static vts_valuetask played;

static void stop(void *arg)
{
    (void)arg;
    vts_loop_stop(&net.loop);
}

static void begin(vts_work *work)
{
    (void)work;
    played = vts_co_start_named(&player, play, "role");
    vts_valuetask_on_completed(played, stop, NULL, VTS_NONE);
}

int main(int argc, char **argv)
{
    vts_work work = {.run = begin};
    vts_pool_desc desc = vts_co_pool_desc(sizeof(guest));
    int error;

    play = argc >= 3 ? role_of(argv[1]) : NULL;
    if (play == NULL || vts_address_parse(&address, argv[2]) != VTS_OK) {
        fprintf(stderr, "usage: %s ROLE ADDRESS [COUNT]\n", argv[0]);
        return 2;
    }
    count = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    if (vts_pool_init(&guests, &desc) != VTS_OK) return 1;
    error = vts_socket_loop_init(&net, NULL);
    if (error != VTS_OK) fail("loop", error);
    vts_scheduler_post(&net.loop.scheduler, &work);
    vts_loop_run(&net.loop);
    error = vts_valuetask_get_result(played, NULL);
    if (error != VTS_OK) fail(argv[1], error);
    return 0;
}
