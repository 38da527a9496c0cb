/* A slow and disorderly way between two hosts, since a kernel rarely has one to offer:

       socket_forward LISTEN TARGET MILLISECONDS

   Datagrams of one client go to the target and back after a delay of about that much,
   which differs, so that some overtake others. Streams of any number of clients are
   delayed alike, in order. Prints where it listens. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"

#include <stdlib.h>

#define UNDERWAY 1024 /* datagrams; more are dropped                                   */

static vts_socket_loop net;
static vts_address listening, target, client;
static vts_time delay;
static vts_socket near, far, listener;
static vts_pool datagrams, streams;

static vts_time some_delay(void)
{
    static uint64_t random = 88172645463325252u;

    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random % 4 == 0 ? delay / 2 + random % delay : delay;
}

static vts_valuetask wait_for(vts_time duration)
{
    return vts_delay(&net.loop, vts_after(duration), vts_cancellation_none());
}

// ----------------------------------------------------------------------------------
// Datagrams
// ----------------------------------------------------------------------------------

typedef struct datagram {
    vts_co co;
    bool back;
    size_t size;
    intptr_t n;
    unsigned char bytes[1500];
} datagram;

static vts_step datagram_run(vts_co *co)
{
    datagram *d = VTS_SELF(co, datagram);

    VTS_ASYNC(co) {
        VTS_TRY(d->n, wait_for(some_delay()));
        VTS_TRY(d->n, vts_socket_send_to(d->back ? &near : &far, d->bytes, d->size, 0,
                                         d->back ? &client : &target, NULL));
    }
    return vts_co_finish(co, 0);
}

typedef struct direction {
    vts_co co;
    vts_socket *from;
    vts_address sender;
    bool back;
    intptr_t n;
    unsigned char bytes[1500];
} direction;

static void send_on(const direction *from)
{
    datagram *d = vts_co_rent(&datagrams, datagram);

    if (d == NULL) return;
    if (!from->back) client = from->sender;
    d->back = from->back;
    d->size = (size_t)from->n;
    memcpy(d->bytes, from->bytes, d->size);
    vts_valuetask_forget(vts_co_start(&d->co, datagram_run));
}

static vts_step direction_run(vts_co *co)
{
    direction *d = VTS_SELF(co, direction);

    VTS_ASYNC(co) {
        for (;;) {
            VTS_AWAIT(d->n, vts_socket_recv_from(d->from, d->bytes, sizeof d->bytes, 0,
                                                 &d->sender, NULL));
            if (d->n >= 0) send_on(d);
        }
    }
    return vts_co_finish(co, 0);
}

// ----------------------------------------------------------------------------------
// Streams
// ----------------------------------------------------------------------------------

typedef struct half {
    vts_co co;
    vts_socket *from, *to;
    size_t size;
    intptr_t n;
    unsigned char bytes[32768];
} half;

typedef struct stream {
    vts_co co;
    vts_socket near, far;
    half there, back;
    vts_valuetask there_done;
    intptr_t n;
} stream;

/* Both peers learn that the connection broke, rather than that it ended. */
static void reset_both(half *h)
{
    struct linger linger = {1, 0};
    vts_socket *both[2] = {h->from, h->to};

    for (int i = 0; i < 2; i++) {
        if (!vts_socket_is_open(both[i])) continue;
        setsockopt(vts_socket_descriptor(both[i]), SOL_SOCKET, SO_LINGER, &linger,
                   sizeof linger);
        vts_valuetask_forget(vts_socket_close(both[i]));
    }
}

/* An end is passed on. */
static vts_step half_run(vts_co *co)
{
    half *h = VTS_SELF(co, half);

    VTS_ASYNC(co) {
        do {
            VTS_TRY(h->n, vts_socket_recv(h->from, h->bytes, sizeof h->bytes, 0, NULL));
            h->size = (size_t)h->n;
            VTS_TRY(h->n, wait_for(delay));
            VTS_TRY(h->n, vts_socket_send_all(h->to, h->bytes, h->size, 0, NULL));
        } while (h->size > 0);
        VTS_TRY(h->n, vts_socket_shutdown(h->to, VTS_SHUTDOWN_SEND));
    VTS_FINALLY();
        if (h->n < 0) reset_both(h);
    }
    return vts_co_finish(co, h->n);
}

static vts_valuetask start_half(half *h, vts_socket *from, vts_socket *to)
{
    h->from = from;
    h->to = to;
    return vts_co_start(&h->co, half_run);
}

static void close_if_open(vts_socket *socket)
{
    if (vts_socket_is_open(socket)) vts_valuetask_forget(vts_socket_close(socket));
}

static vts_step stream_run(vts_co *co)
{
    stream *s = VTS_SELF(co, stream);

    VTS_ASYNC(co) {
        s->n = vts_socket_open(&s->far, &net, vts_address_family(&target), VTS_STREAM);
        if (s->n < 0) VTS_LEAVE();
        VTS_TRY(s->n, vts_socket_connect(&s->far, &target, NULL));
        s->there_done = start_half(&s->there, &s->near, &s->far);
        VTS_AWAIT(s->n, start_half(&s->back, &s->far, &s->near));
        VTS_AWAIT(s->n, s->there_done);
    VTS_FINALLY();
        close_if_open(&s->near);
        close_if_open(&s->far);
    }
    return vts_co_finish(co, 0);
}

static vts_step accept_run(vts_co *co)
{
    static intptr_t descriptor;

    VTS_ASYNC(co) {
        for (;;) {
            stream *s;
            VTS_TRY(descriptor, vts_socket_accept(&listener, NULL, NULL));
            s = vts_co_rent(&streams, stream);
            if (s == NULL || vts_socket_adopt(&s->near, &net, (int)descriptor) != VTS_OK) break;
            vts_valuetask_forget(vts_co_start(&s->co, stream_run));
        }
    }
    return vts_co_finish(co, -1);
}

// ----------------------------------------------------------------------------------
// Start
// ----------------------------------------------------------------------------------

/* One port for both. */
static bool open_all(void)
{
    vts_socket_family family = vts_address_family(&listening);

    return vts_socket_open(&listener, &net, family, VTS_STREAM) == VTS_OK &&
           vts_socket_set_option(&listener, VTS_OPTION_REUSE_ADDRESS, 1) == VTS_OK &&
           vts_socket_bind(&listener, &listening) == VTS_OK &&
           vts_socket_local_address(&listener, &listening) == VTS_OK &&
           vts_socket_listen(&listener, 0) == VTS_OK &&
           vts_socket_open(&near, &net, family, VTS_DATAGRAM) == VTS_OK &&
           vts_socket_bind(&near, &listening) == VTS_OK &&
           vts_socket_open(&far, &net, vts_address_family(&target), VTS_DATAGRAM) == VTS_OK;
}

/* What comes from afar before anything was sent there would fail: bind first. */
static bool bind_far(void)
{
    vts_address any;
    return vts_address_parse(&any, "0.0.0.0:0") == VTS_OK &&
           vts_socket_bind(&far, &any) == VTS_OK;
}

static vts_co acceptor;
static direction there, back;

static void begin(vts_work *work)
{
    (void)work;
    there.from = &near;
    back.from = &far;
    back.back = true;
    vts_valuetask_forget(vts_co_start(&there.co, direction_run));
    vts_valuetask_forget(vts_co_start(&back.co, direction_run));
    vts_valuetask_forget(vts_co_start(&acceptor, accept_run));
}

static bool init_pools(void)
{
    vts_pool_desc desc = vts_co_pool_desc(sizeof(datagram));

    desc.capacity = UNDERWAY;
    if (vts_pool_init(&datagrams, &desc) != VTS_OK) return false;
    desc = vts_co_pool_desc(sizeof(stream));
    return vts_pool_init(&streams, &desc) == VTS_OK;
}

int main(int argc, char **argv)
{
    vts_work work = {.run = begin};
    char text[64];

    if (argc != 4 || vts_address_parse(&listening, argv[1]) != VTS_OK ||
        vts_address_parse(&target, argv[2]) != VTS_OK) {
        fprintf(stderr, "usage: %s LISTEN TARGET MILLISECONDS\n", argv[0]);
        return 2;
    }
    delay = VTS_MILLISECONDS(strtoul(argv[3], NULL, 10) + 1);
    if (!init_pools() || vts_socket_loop_init(&net, NULL) != VTS_OK) return 1;
    if (!open_all() || !bind_far()) return 1;
    vts_address_format(&listening, text, sizeof text);
    printf("%s\n", text);
    fflush(stdout);
    vts_scheduler_post(&net.loop.scheduler, &work);
    return vts_loop_run(&net.loop);
}
