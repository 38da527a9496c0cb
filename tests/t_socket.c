/* Sockets of the system, over each poller that this build and kernel have: every kind of
   address, every operation, faults, other threads, several loops. Loopback only. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

static size_t mallocs;

static void *counted_malloc(size_t size)
{
    __atomic_fetch_add(&mallocs, 1, __ATOMIC_RELAXED);
    return malloc(size);
}

#define malloc(size) counted_malloc(size)
#define VTS_IMPLEMENTATION
#include "vts_socket.h"
#undef malloc
#include "test.h"

#define PATIENCE VTS_SECONDS(20) /* for what has to happen                             */
#define BYTES 1000000u

// ----------------------------------------------------------------------------------
// The scene: a loop, a listener, and a connection between a and b
// ----------------------------------------------------------------------------------

typedef struct kind {
    const char *name, *address; /* the address with a number that is the test's own   */
    vts_socket_type type;
} kind;

static const kind streams[] = {{"TCP over IPv4", "127.0.0.1:0", VTS_STREAM},
                               {"TCP over IPv6", "[::1]:0", VTS_STREAM},
                               {"Unix stream", "unix:/tmp/vts-%d-%d", VTS_STREAM},
                               {"abstract stream", "unix:@vts-%d-%d", VTS_STREAM},
                               {"seqpacket", "unix:@vts-%d-%d", VTS_SEQPACKET}};
static const kind datagrams[] = {{"UDP over IPv4", "127.0.0.1:0", VTS_DATAGRAM},
                                 {"UDP over IPv6", "[::1]:0", VTS_DATAGRAM},
                                 {"Unix datagrams", "unix:/tmp/vts-%d-%d", VTS_DATAGRAM},
                                 {"abstract datagrams", "unix:@vts-%d-%d", VTS_DATAGRAM}};
#define TCP (&streams[0])
#define UNIX_PATH (&streams[2])
#define ABSTRACT (&streams[3])
#define SEQPACKET (&streams[4])
#define UDP (&datagrams[0])

static vts_socket_poller poller;
static vts_socket_loop net;

/* What a script works with: a coroutine on the loop. */
static struct {
    vts_co co;
    vts_step (*run)(vts_co *co);
    vts_work work;
    vts_valuetask script;
    bool done;
    const kind *kind;
    vts_socket listener, a, b;
    vts_address at, from;
    vts_valuetask one, two, many[100];
    vts_cancellation_source cancel;
    vts_socket_limit limit;
    vts_timeout timeout;
    vts_message message;
    vts_buffer pieces[4];
    uint64_t offset, backoffs;
    vts_time begin;
    intptr_t n;
    int i, descriptor, spare, ends[2];
    bool at_once;
    size_t count, descriptors;
    char buffer[1024], other[64];
    uint64_t control[32];
} s;

/* Waits, and compares. */
#define EXPECT(value, task)                                                            \
    do {                                                                               \
        VTS_AWAIT(s.n, task);                                                          \
        assert_code(s.n, value);                                                       \
    } while (0)

static void open_loop(vts_socket_loop *loop)
{
    static char reason[sizeof loop->note];
    vts_socket_loop_desc desc = {.poller = poller};

    assert_code(vts_socket_loop_init(loop, &desc), VTS_OK);
    if (vts_socket_loop_note(loop)[0] == 0) {
        assert_int_equal(vts_socket_loop_poller(loop), poller);
        return;
    }
    memcpy(reason, loop->note, sizeof reason);
    assert_code(vts_socket_loop_destroy(loop), VTS_OK);
    TEST_SKIP(reason);
}

static void close_now(vts_socket *socket)
{
    assert_true(vts_valuetask_equals(vts_socket_close(socket), vts_valuetask_from_result(0)));
}

static void close_if_open(vts_socket *socket)
{
    if (vts_socket_is_open(socket)) close_now(socket);
}

static void script_ended(void *arg)
{
    (void)arg;
    assert_code(vts_valuetask_get_result(s.script, NULL), VTS_OK);
    close_if_open(&s.a);
    close_if_open(&s.b);
    close_if_open(&s.listener);
    s.done = true;
}

static void script_begins(vts_work *work)
{
    (void)work;
    s.script = vts_co_start_named(&s.co, s.run, "script");
    vts_valuetask_on_completed(s.script, script_ended, NULL, VTS_NONE);
}

static void run_until_done(void)
{
    vts_time end = vts_after(VTS_SECONDS(60));

    while (!s.done && vts_now() < end) {
        assert_true(vts_loop_run_once(&net.loop, end) >= 0);
    }
    if (!s.done) TEST_FAIL("%s stands still\n", s.kind != NULL ? s.kind->name : "it");
}

static struct {
    vts_co co;
    vts_valuetask accepting;
    intptr_t n;
} meeting;

/* Runs a script on a loop of its own, which it leaves empty. */
static void play(vts_step (*run)(vts_co *co), const kind *k)
{
    memset(&s, 0, sizeof s);
    memset(&meeting, 0, sizeof meeting);
    s.run = run;
    s.kind = k;
    s.work.run = script_begins;
    open_loop(&net);
    vts_scheduler_post(&net.loop.scheduler, &s.work);
    run_until_done();
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
}

/* An address of this kind that nobody else has. */
static void find_address(vts_address *address)
{
    static int number;
    char text[64];
    const char *format = s.kind->address;

    snprintf(text, sizeof text, format, (int)getpid(), number++);
    assert_code(vts_address_parse(address, text), VTS_OK);
}

static void unlink_address(const vts_address *address)
{
    char text[160];

    vts_address_format(address, text, sizeof text);
    if (strncmp(text, "unix:/", 6) == 0) unlink(text + 5);
}

static void open_one(vts_socket *socket)
{
    vts_address family;

    find_address(&family);
    assert_code(vts_socket_open(socket, &net, vts_address_family(&family), s.kind->type),
                VTS_OK);
}

/* Opens it at a place of its own, which is then in *at. */
static void open_bound(vts_socket *socket, vts_address *at)
{
    open_one(socket);
    find_address(at);
    assert_code(vts_socket_bind(socket, at), VTS_OK);
    assert_code(vts_socket_local_address(socket, at), VTS_OK);
}

/* a connects, b is what the listener accepts. */
static vts_step meet_run(vts_co *co)
{
    VTS_ASYNC(co) {
        open_bound(&s.listener, &s.at);
        assert_code(vts_socket_listen(&s.listener, 0), VTS_OK);
        open_one(&s.a);
        meeting.accepting = vts_socket_accept(&s.listener, &s.from, NULL);
        VTS_TRY(meeting.n, vts_socket_connect(&s.a, &s.at, NULL));
        VTS_TRY(meeting.n, meeting.accepting);
        assert_code(vts_socket_adopt(&s.b, &net, (int)meeting.n), VTS_OK);
        unlink_address(&s.at);
    }
    return vts_co_finish(co, meeting.n < 0 ? meeting.n : 0);
}

static vts_valuetask meet(void) { return vts_co_start(&meeting.co, meet_run); }

static vts_valuetask pause_for(vts_time duration)
{
    return vts_delay(&net.loop, vts_after(duration), vts_cancellation_none());
}

static bool ipv6_is_there(void)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int descriptor = socket(AF_INET6, SOCK_STREAM, 0);
    bool there = bind(descriptor, (const struct sockaddr *)&at, sizeof at) == 0;

    if (descriptor >= 0) close(descriptor);
    return there;
}

static void play_each(vts_step (*run)(vts_co *co), const kind *kinds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strstr(kinds[i].address, "::1") != NULL && !ipv6_is_there()) {
            TEST_NOTE("without IPv6: this system has none");
        } else {
            play(run, &kinds[i]);
        }
    }
}

#define STREAMS streams, sizeof streams / sizeof streams[0]
#define DATAGRAMS datagrams, sizeof datagrams / sizeof datagrams[0]

static void reset_when_closed(vts_socket *socket)
{
    struct linger linger = {1, 0};
    assert_int_equal(setsockopt(vts_socket_descriptor(socket), SOL_SOCKET, SO_LINGER,
                                &linger, sizeof linger),
                     0);
}

// ----------------------------------------------------------------------------------
// Streams whose every byte is known
// ----------------------------------------------------------------------------------

static unsigned char pattern(uint64_t at)
{
    return (unsigned char)(at * 167 + (at >> 8) * 13 + (at >> 16));
}

static void fill(unsigned char *bytes, uint64_t at, size_t count)
{
    for (size_t i = 0; i < count; i++) bytes[i] = pattern(at + i);
}

static bool fits(const unsigned char *bytes, uint64_t at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != pattern(at + i)) return false;
    }
    return true;
}

static unsigned char big[BYTES];

static void make_buffer_small(void)
{
    assert_code(vts_socket_set_option(&s.a, VTS_OPTION_SEND_BUFFER, 1024), VTS_OK);
    fill(big, 0, BYTES);
}

typedef struct pump {
    vts_co co;
    vts_socket *socket;
    uint64_t at, end;
    size_t size;
    intptr_t n;
    bool all;
    unsigned char buffer[8192];
} pump;

static pump pumps[4];

/* Writes end bytes and shuts sending down. */
static vts_step write_run(vts_co *co)
{
    pump *p = VTS_SELF(co, pump);

    VTS_ASYNC(co) {
        while (p->at < p->end) {
            p->size = 1 + test_random() % sizeof p->buffer;
            if (p->size > p->end - p->at) p->size = (size_t)(p->end - p->at);
            fill(p->buffer, p->at, p->size);
            p->all = !p->all;
            VTS_TRY(p->n, p->all ? vts_socket_send_all(p->socket, p->buffer, p->size, 0, NULL)
                                 : vts_socket_send(p->socket, p->buffer, p->size, 0, NULL));
            p->at += (uint64_t)p->n;
        }
        VTS_TRY(p->n, vts_socket_shutdown(p->socket, VTS_SHUTDOWN_SEND));
    }
    return vts_co_finish(co, p->n < 0 ? p->n : (intptr_t)p->at);
}

/* Reads until the end. */
static vts_step read_run(vts_co *co)
{
    pump *p = VTS_SELF(co, pump);

    VTS_ASYNC(co) {
        do {
            p->size = 1 + test_random() % sizeof p->buffer;
            VTS_TRY(p->n, vts_socket_recv(p->socket, p->buffer, p->size, 0, NULL));
            assert_true(fits(p->buffer, p->at, (size_t)p->n));
            p->at += (uint64_t)p->n;
        } while (p->n > 0);
    }
    return vts_co_finish(co, p->n < 0 ? p->n : (intptr_t)p->at);
}

static vts_valuetask start_pump(int i, vts_step (*run)(vts_co *co), vts_socket *socket)
{
    pump *p = &pumps[i];

    memset(p, 0, sizeof *p);
    p->socket = socket;
    p->end = BYTES;
    return vts_co_start_named(&p->co, run, "pump");
}

// ----------------------------------------------------------------------------------
// What connections do
// ----------------------------------------------------------------------------------

static void addresses_agree(void)
{
    vts_address address;

    assert_code(vts_socket_remote_address(&s.a, &address), VTS_OK);
    assert_true(vts_address_equals(&address, &s.at));
    if (vts_address_family(&s.at) == VTS_UNIX) return; /* who connects has no name     */
    assert_code(vts_socket_local_address(&s.a, &address), VTS_OK);
    assert_true(vts_address_equals(&address, &s.from));
    assert_code(vts_socket_remote_address(&s.b, &address), VTS_OK);
    assert_true(vts_address_equals(&address, &s.from));
}

static vts_step echo_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        addresses_agree();
        s.one = vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL);
        assert_false(vts_valuetask_is_completed(s.one));
        EXPECT(5, vts_socket_send_all(&s.a, "hello", 5, 0, NULL));
        EXPECT(5, s.one);
        EXPECT(5, vts_socket_send_all(&s.b, s.buffer, 5, 0, NULL));
        EXPECT(5, vts_socket_recv(&s.a, s.other, sizeof s.other, 0, NULL));
        assert_memory_equal(s.other, "hello", 5);
        s.one = vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL);
        close_now(&s.a);
        EXPECT(0, s.one);
        EXPECT(0, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
    }
    return vts_co_finish(co, 0);
}

static void streams_connect_and_echo(void) { play_each(echo_run, STREAMS); }

/* Either end says that it has no more to say; the other may go on. */
static vts_step half_close_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.one = vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL);
        EXPECT(0, vts_socket_shutdown(&s.a, VTS_SHUTDOWN_SEND));
        EXPECT(0, s.one);
        EXPECT(-EPIPE, vts_socket_send(&s.a, "x", 1, 0, NULL));
        s.one = vts_socket_recv(&s.a, s.buffer, sizeof s.buffer, 0, NULL);
        EXPECT(3, vts_socket_send_all(&s.b, "yes", 3, 0, NULL));
        EXPECT(3, s.one);
        s.one = vts_socket_recv(&s.a, s.buffer, sizeof s.buffer, 0, NULL);
        EXPECT(0, vts_socket_shutdown(&s.b, VTS_SHUTDOWN_SEND));
        EXPECT(0, s.one);
    }
    return vts_co_finish(co, 0);
}

static void either_end_closes_half(void) { play_each(half_close_run, STREAMS); }

static vts_step shutdown_receive_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.one = vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL);
        s.two = vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL);
        EXPECT(0, vts_socket_shutdown(&s.b, VTS_SHUTDOWN_RECEIVE));
        EXPECT(0, s.one);
        EXPECT(0, s.two);
        EXPECT(2, vts_socket_send(&s.b, "on", 2, 0, NULL));
        EXPECT(2, vts_socket_recv(&s.a, s.buffer, sizeof s.buffer, 0, NULL));
    }
    return vts_co_finish(co, 0);
}

/* It does not wait for sends that do. */
static vts_step urgent_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        make_buffer_small();
        s.one = vts_socket_send_all(&s.a, big, BYTES, 0, NULL);
        s.two = vts_socket_recv(&s.a, s.buffer, sizeof s.buffer, 0, NULL);
        EXPECT(0, vts_socket_shutdown(&s.a, VTS_SHUTDOWN_RECEIVE));
        EXPECT(0, s.two);
        assert_false(vts_valuetask_is_completed(s.one));
        close_now(&s.a);
        EXPECT(-ECANCELED, s.one);
    }
    return vts_co_finish(co, 0);
}

static void shutdown_of_receiving_ends_a_receive(void)
{
    play_each(shutdown_receive_run, STREAMS);
    play_each(urgent_run, streams, 4);
}

static vts_step vector_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.pieces[0] = (vts_buffer){s.buffer, 3};
        s.pieces[1] = (vts_buffer){NULL, 0};
        s.pieces[2] = (vts_buffer){s.buffer + 3, 5};
        memcpy(s.buffer, "onethree", 8);
        EXPECT(8, vts_socket_send_vector(&s.a, s.pieces, 3, 0, NULL));
        s.pieces[0] = (vts_buffer){s.other, 2};
        s.pieces[1] = (vts_buffer){s.other + 10, 4};
        s.pieces[2] = (vts_buffer){s.other + 20, 20};
        EXPECT(8, vts_socket_recv_vector(&s.b, s.pieces, 3, 0, NULL));
        assert_memory_equal(s.other, "on\0\0\0\0\0\0\0\0ethr\0\0\0\0\0\0ee\0", 23);
        EXPECT(VTS_E_ARGUMENT, vts_socket_send_vector(&s.a, s.pieces, 1025, 0, NULL));
    }
    return vts_co_finish(co, 0);
}

static void pieces_go_and_come(void) { play_each(vector_run, STREAMS); }

static vts_step peek_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.one = vts_socket_recv(&s.b, NULL, 0, 0, NULL);
        assert_false(vts_valuetask_is_completed(s.one));
        EXPECT(4, vts_socket_send(&s.a, "look", 4, VTS_SOCKET_MORE, NULL));
        EXPECT(1, vts_socket_send(&s.a, "!", 1, 0, NULL));
        EXPECT(0, s.one);
        EXPECT(2, vts_socket_recv(&s.b, s.buffer, 2, VTS_SOCKET_PEEK, NULL));
        EXPECT(2, vts_socket_recv(&s.b, s.buffer, 2, 0, NULL));
        assert_memory_equal(s.buffer, "lo", 2);
        EXPECT(1, vts_socket_send(&s.a, "o", 1, VTS_SOCKET_OOB, NULL));
        do { /* until it has come: nothing waits for urgent data */
            VTS_AWAIT(s.n, pause_for(VTS_MILLISECONDS(1)));
            VTS_AWAIT(s.n, vts_socket_recv(&s.b, s.buffer, 1, VTS_SOCKET_OOB, NULL));
        } while (s.n == -EINVAL);
        assert_int_equal(s.buffer[0], 'o');
        EXPECT(3, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
        assert_memory_equal(s.buffer, "ok!", 3);
    }
    return vts_co_finish(co, 0);
}

static void peeking_takes_nothing_and_urgent_data_overtake(void) { play(peek_run, TCP); }

/* A million bytes each way at once, in pieces of any size. */
static vts_step million_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.many[0] = start_pump(0, write_run, &s.a);
        s.many[1] = start_pump(1, write_run, &s.b);
        s.many[2] = start_pump(2, read_run, &s.a);
        s.many[3] = start_pump(3, read_run, &s.b);
        for (s.i = 0; s.i < 4; s.i++) EXPECT(BYTES, s.many[s.i]);
    }
    return vts_co_finish(co, 0);
}

static void a_million_bytes_arrive_both_ways(void)
{
    play_each(million_run, streams, 4); /* a record of seqpacket is not a stream       */
}

/* What does not fit is sent when it does; sends that wait keep their order. */
static vts_step many_sends_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        make_buffer_small();
        for (s.i = 0; s.i < 100; s.i++) {
            s.many[s.i] = vts_socket_send_all(&s.a, big + s.i * 10000, 10000, 0, NULL);
        }
        assert_false(vts_valuetask_is_completed(s.many[99]));
        s.one = vts_socket_shutdown(&s.a, VTS_SHUTDOWN_SEND);
        s.two = start_pump(0, read_run, &s.b);
        for (s.i = 0; s.i < 100; s.i++) EXPECT(10000, s.many[s.i]);
        EXPECT(0, s.one);
        EXPECT(BYTES, s.two);
    }
    return vts_co_finish(co, 0);
}

static void a_hundred_sends_share_a_small_buffer(void)
{
    play_each(many_sends_run, streams, 4);
}

static vts_step partial_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        make_buffer_small();
        VTS_AWAIT(s.n, vts_socket_send(&s.a, big, BYTES, 0, NULL));
        assert_in_range(s.n, 1, BYTES - 1);
        s.offset = (uint64_t)s.n;
        s.one = vts_socket_send(&s.a, big + s.offset, BYTES - (size_t)s.offset, 0, NULL);
        s.two = start_pump(0, read_run, &s.b);
        VTS_AWAIT(s.n, s.one);
        assert_in_range(s.n, 1, BYTES - s.offset);
        s.offset += (uint64_t)s.n;
        EXPECT(0, vts_socket_shutdown(&s.a, VTS_SHUTDOWN_SEND));
        EXPECT((intptr_t)s.offset, s.two);
    }
    return vts_co_finish(co, 0);
}

static void a_send_says_how_much_it_sent(void) { play(partial_run, TCP); }

/* Receives that wait get what comes in the order in which they were started. */
static vts_step queue_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        for (s.i = 0; s.i < 60; s.i++) {
            s.many[s.i] = vts_socket_recv(&s.b, s.other + s.i, 1, 0, NULL);
        }
        fill((unsigned char *)s.buffer, 0, 60);
        for (s.i = 0; s.i < 60; s.i++) {
            EXPECT(1, vts_socket_send(&s.a, s.buffer + s.i, 1, 0, NULL));
        }
        for (s.i = 0; s.i < 60; s.i++) EXPECT(1, s.many[s.i]);
        assert_memory_equal(s.other, s.buffer, 60);
    }
    return vts_co_finish(co, 0);
}

static void receives_are_served_in_order(void) { play_each(queue_run, STREAMS); }

static int file_of(size_t size)
{
    int file = memfd_create("file", MFD_CLOEXEC);

    fill(big, 0, size);
    assert_int_equal(write(file, big, size), (ssize_t)size);
    return file;
}

static vts_step send_file_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.descriptor = file_of(BYTES);
        s.one = start_pump(0, read_run, &s.b);
        EXPECT(1000, vts_socket_send_file(&s.a, s.descriptor, &s.offset, 1000, NULL));
        assert_int_equal(s.offset, 1000);
        EXPECT(BYTES - 1000,
               vts_socket_send_file(&s.a, s.descriptor, &s.offset, 2 * BYTES, NULL));
        assert_int_equal(s.offset, BYTES);
        EXPECT(0, vts_socket_send_file(&s.a, s.descriptor, &s.offset, 1, NULL));
        EXPECT(0, vts_socket_shutdown(&s.a, VTS_SHUTDOWN_SEND));
        EXPECT(BYTES, s.one);
        EXPECT(-EBADF, vts_socket_send_file(&s.b, -1, &s.offset, 1, NULL));
        close(s.descriptor);
    }
    return vts_co_finish(co, 0);
}

static void a_file_is_sent(void) { play_each(send_file_run, streams, 4); }

/* Ends a connection, and connects the same socket again. */
static vts_step disconnect_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        EXPECT(4, vts_socket_send(&s.b, "rest", 4, 0, NULL));
        s.one = vts_socket_disconnect(&s.a, NULL);
        assert_false(vts_valuetask_is_completed(s.one));
        EXPECT(0, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
        close_now(&s.b);
        EXPECT(0, s.one);
        s.one = vts_socket_accept(&s.listener, NULL, NULL);
        EXPECT(0, vts_socket_connect(&s.a, &s.at, NULL));
        VTS_AWAIT(s.n, s.one);
        assert_code(vts_socket_adopt(&s.b, &net, (int)s.n), VTS_OK);
        EXPECT(5, vts_socket_send(&s.a, "again", 5, 0, NULL));
        EXPECT(5, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
    }
    return vts_co_finish(co, 0);
}

static void a_disconnected_socket_connects_again(void) { play(disconnect_run, TCP); }

// ----------------------------------------------------------------------------------
// Datagrams and messages
// ----------------------------------------------------------------------------------

static vts_step datagram_run(vts_co *co)
{
    vts_address mine;

    VTS_ASYNC(co) {
        open_bound(&s.a, &s.from);
        open_bound(&s.b, &s.at);
        s.one = vts_socket_recv_from(&s.b, s.buffer, sizeof s.buffer, 0, &s.from, NULL);
        assert_false(vts_valuetask_is_completed(s.one));
        EXPECT(4, vts_socket_send_to(&s.a, "ping", 4, 0, &s.at, NULL));
        EXPECT(4, s.one);
        assert_code(vts_socket_local_address(&s.a, &mine), VTS_OK);
        assert_true(vts_address_equals(&s.from, &mine));
        EXPECT(4, vts_socket_send_to(&s.b, "long", 4, 0, &s.from, NULL));
        EXPECT(-EMSGSIZE, vts_socket_recv(&s.a, s.other, 2, 0, NULL));
        assert_memory_equal(s.other, "lo\0\0", 4);
        EXPECT(0, vts_socket_connect(&s.a, &s.at, NULL));
        EXPECT(0, vts_socket_send(&s.a, NULL, 0, 0, NULL));
        EXPECT(3, vts_socket_send(&s.a, "abc", 3, 0, NULL));
        EXPECT(0, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
        EXPECT(0, vts_socket_recv(&s.b, NULL, 0, 0, NULL));
        EXPECT(3, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
        EXPECT(0, vts_socket_disconnect(&s.a, NULL));
        VTS_AWAIT(s.n, vts_socket_send(&s.a, "x", 1, 0, NULL));
        assert_true(s.n == -EDESTADDRREQ || s.n == -ENOTCONN);
        unlink_address(&s.at);
        unlink_address(&s.from);
    }
    return vts_co_finish(co, 0);
}

static void datagrams_come_and_go(void) { play_each(datagram_run, DATAGRAMS); }

static vts_message *message_into(void *memory, size_t size)
{
    s.pieces[0] = (vts_buffer){memory, size};
    s.message = (vts_message){.buffers = s.pieces, .count = 1, .address = &s.from};
    s.message.control = s.control;
    s.message.control_size = sizeof s.control;
    return &s.message;
}

static vts_step truncated_run(vts_co *co)
{
    VTS_ASYNC(co) {
        open_bound(&s.a, &s.from);
        open_bound(&s.b, &s.at);
        EXPECT(4, vts_socket_send_to(&s.a, "long", 4, 0, &s.at, NULL));
        EXPECT(2, vts_socket_recv_msg(&s.b, message_into(s.other, 2), 0, NULL));
        assert_true(s.message.truncated);
        assert_false(s.message.control_truncated);
        EXPECT(4, vts_socket_send_to(&s.a, "fits", 4, 0, &s.at, NULL));
        EXPECT(4, vts_socket_recv_msg(&s.b, message_into(s.other, 4), 0, NULL));
        assert_false(s.message.truncated);
        EXPECT(4, vts_socket_send_to(&s.a, "long", 4, 0, &s.at, NULL));
        s.pieces[0].size = 3;
        EXPECT(-EMSGSIZE, vts_socket_recv_vector(&s.b, s.pieces, 1, 0, NULL));
    }
    return vts_co_finish(co, 0);
}

static void a_message_tells_that_it_was_longer(void) { play(truncated_run, UDP); }

static const struct cmsghdr *find_control(int level, int type)
{
    struct msghdr message = {.msg_control = s.control};
    struct cmsghdr *at;

    message.msg_controllen = s.message.control_size;
    for (at = CMSG_FIRSTHDR(&message); at != NULL; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_level == level && at->cmsg_type == type) return at;
    }
    return NULL;
}

static void ask_for_control(void)
{
    int on = 1, descriptor = vts_socket_descriptor(&s.b);

    assert_int_equal(setsockopt(descriptor, IPPROTO_IP, IP_PKTINFO, &on, sizeof on), 0);
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on), 0);
}

static void control_is_there(void)
{
    const struct cmsghdr *info = find_control(IPPROTO_IP, IP_PKTINFO);
    struct in_pktinfo where;

    assert_non_null(info);
    memcpy(&where, CMSG_DATA(info), sizeof where);
    assert_int_equal(ntohl(where.ipi_addr.s_addr), INADDR_LOOPBACK);
    assert_non_null(find_control(SOL_SOCKET, SCM_TIMESTAMP));
    assert_int_equal(vts_address_port(&s.from), vts_address_port(&s.at) /* of a */);
}

static vts_step packet_info_run(vts_co *co)
{
    VTS_ASYNC(co) {
        open_bound(&s.b, &s.at);
        ask_for_control();
        s.one = vts_socket_recv_msg(&s.b, message_into(s.other, sizeof s.other), 0, NULL);
        assert_false(vts_valuetask_is_completed(s.one));
        open_one(&s.a);
        EXPECT(4, vts_socket_send_to(&s.a, "ping", 4, 0, &s.at, NULL));
        EXPECT(4, s.one);
        assert_code(vts_socket_local_address(&s.a, &s.at), VTS_OK);
        control_is_there();
    }
    return vts_co_finish(co, 0);
}

static void a_message_tells_when_and_where_it_came(void) { play(packet_info_run, UDP); }

/* A message with this descriptor. */
static vts_message *message_with(int descriptor)
{
    struct cmsghdr *header = (struct cmsghdr *)s.control;

    message_into(s.other, 1);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    s.message.control_size = CMSG_SPACE(sizeof descriptor);
    s.message.address = NULL;
    return &s.message;
}

/* The descriptor that came is the pipe's. */
static void descriptor_came(void)
{
    const struct cmsghdr *rights = find_control(SOL_SOCKET, SCM_RIGHTS);
    char byte = 0;
    int descriptor;

    assert_non_null(rights);
    memcpy(&descriptor, CMSG_DATA(rights), sizeof descriptor);
    assert_true((fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(write(descriptor, "!", 1), 1);
    assert_int_equal(read(s.ends[0], &byte, 1), 1);
    assert_int_equal(byte, '!');
    close(descriptor);
}

static vts_step rights_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        assert_int_equal(pipe(s.ends), 0);
        EXPECT(1, vts_socket_send_msg(&s.a, message_with(s.ends[1]), 0, NULL));
        EXPECT(1, vts_socket_recv_msg(&s.b, message_into(s.other, 9), 0, NULL));
        assert_false(s.message.control_truncated);
        descriptor_came();
        EXPECT(1, vts_socket_send_msg(&s.a, message_with(s.ends[1]), 0, NULL));
        message_into(s.other, 9)->control_size = 4;
        EXPECT(1, vts_socket_recv_msg(&s.b, &s.message, 0, NULL));
        assert_true(s.message.control_truncated);
        close(s.ends[0]);
        close(s.ends[1]);
    }
    return vts_co_finish(co, 0);
}

/* A receive stops after a byte with control data, and the next one finds the rest. */
static vts_step split_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        assert_int_equal(pipe(s.ends), 0);
        s.one = vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL);
        EXPECT(1, vts_socket_send(&s.a, "x", 1, 0, NULL));
        EXPECT(1, s.one);
        EXPECT(1, vts_socket_send_msg(&s.a, message_with(s.ends[1]), 0, NULL));
        EXPECT(2, vts_socket_send(&s.a, "ab", 2, 0, NULL));
        EXPECT(0, pause_for(VTS_MILLISECONDS(1)));
        EXPECT(1, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
        EXPECT(2, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
        close(s.ends[0]);
        close(s.ends[1]);
    }
    return vts_co_finish(co, 0);
}

static void descriptors_are_passed(void)
{
    play(split_run, UNIX_PATH);
    play(rights_run, UNIX_PATH);
    play(rights_run, ABSTRACT);
    play(rights_run, SEQPACKET);
}

// ----------------------------------------------------------------------------------
// Faults
// ----------------------------------------------------------------------------------

static vts_step reset_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.one = vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL);
        reset_when_closed(&s.a);
        close_now(&s.a);
        EXPECT(-ECONNRESET, s.one);
        EXPECT(-EPIPE, vts_socket_send(&s.b, "x", 1, 0, NULL));
        EXPECT(0, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
    }
    return vts_co_finish(co, 0);
}

static void a_reset_ends_a_receive(void) { play(reset_run, TCP); }

/* While a send waits. */
static vts_step reset_send_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        make_buffer_small();
        s.one = vts_socket_send_all(&s.a, big, BYTES, 0, NULL);
        assert_false(vts_valuetask_is_completed(s.one));
        reset_when_closed(&s.b);
        close_now(&s.b);
        EXPECT(-ECONNRESET, s.one);
    }
    return vts_co_finish(co, 0);
}

static void a_reset_ends_a_send(void) { play(reset_send_run, TCP); }

/* Connected, written to and reset before anybody accepts. */
static void connect_and_reset(void)
{
    size_t size;
    const void *address = vts_address_data(&s.at, &size);
    struct linger linger = {1, 0};
    int client = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(client, (const struct sockaddr *)address, (socklen_t)size), 0);
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(client);
}

static vts_step reset_before_run(vts_co *co)
{
    VTS_ASYNC(co) {
        open_bound(&s.listener, &s.at);
        assert_code(vts_socket_listen(&s.listener, 0), VTS_OK);
        connect_and_reset();
        VTS_AWAIT(s.n, vts_socket_accept(&s.listener, &s.from, NULL));
        assert_true(s.n >= 0);
        assert_code(vts_socket_adopt(&s.b, &net, (int)s.n), VTS_OK);
        EXPECT(-ECONNRESET, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
    }
    return vts_co_finish(co, 0);
}

static void a_reset_comes_before_the_accept(void) { play(reset_before_run, TCP); }

/* Nobody listens there any more. */
static vts_step refused_run(vts_co *co)
{
    VTS_ASYNC(co) {
        open_bound(&s.a, &s.at);
        close_now(&s.a);
        open_one(&s.b);
        EXPECT(-ECONNREFUSED, vts_socket_connect(&s.b, &s.at, NULL));
        unlink_address(&s.at);
    }
    return vts_co_finish(co, 0);
}

static void a_connection_is_refused(void) { play_each(refused_run, STREAMS); }

/* Of a datagram the refusal comes back, to the one who waits. */
static vts_step refused_datagram_run(vts_co *co)
{
    VTS_ASYNC(co) {
        open_bound(&s.a, &s.at);
        close_now(&s.a);
        open_one(&s.b);
        EXPECT(0, vts_socket_connect(&s.b, &s.at, NULL));
        s.one = vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL);
        EXPECT(1, vts_socket_send(&s.b, "x", 1, 0, NULL));
        EXPECT(-ECONNREFUSED, s.one);
    }
    return vts_co_finish(co, 0);
}

static void a_datagram_is_refused(void) { play(refused_datagram_run, UDP); }

/* A place that the standards keep empty: who answers is the network, or the deadline. */
static vts_step unreachable_run(vts_co *co)
{
    VTS_ASYNC(co) {
        assert_code(vts_address_parse(&s.at, "192.0.2.1:9"), VTS_OK);
        open_one(&s.a);
        s.limit.deadline = vts_after(VTS_MILLISECONDS(200));
        s.one = vts_socket_connect(&s.a, &s.at, &s.limit);
        s.at_once = vts_valuetask_is_completed(s.one);
        VTS_AWAIT(s.n, s.one);
        TEST_NOTE("%s, %s", vts_socket_strerror((int)s.n),
                  s.at_once ? "at once" : "later");
        assert_true(s.n < 0);
        if (s.n == -ETIMEDOUT) assert_true(vts_now() >= s.limit.deadline);
    }
    return vts_co_finish(co, 0);
}

static void a_place_is_unreachable(void) { play(unreachable_run, TCP); }

static size_t pipes_broken;
static void on_sigpipe(int number)
{
    (void)number;
    pipes_broken++;
}

static vts_step sigpipe_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.descriptor = file_of(1000);
        EXPECT(0, vts_socket_shutdown(&s.a, VTS_SHUTDOWN_SEND));
        s.pieces[0] = (vts_buffer){s.buffer, 1};
        EXPECT(-EPIPE, vts_socket_send(&s.a, "x", 1, 0, NULL));
        EXPECT(-EPIPE, vts_socket_send_all(&s.a, "x", 1, 0, NULL));
        EXPECT(-EPIPE, vts_socket_send_vector(&s.a, s.pieces, 1, 0, NULL));
        s.message = (vts_message){.buffers = s.pieces, .count = 1};
        EXPECT(-EPIPE, vts_socket_send_msg(&s.a, &s.message, 0, NULL));
        EXPECT(-EPIPE, vts_socket_send_file(&s.a, s.descriptor, &s.offset, 10, NULL));
        assert_int_equal(s.offset, 0);
        close(s.descriptor);
    }
    return vts_co_finish(co, 0);
}

/* Neither raised nor left pending, and one of the program's own still comes. */
static void no_send_raises_sigpipe(void)
{
    void (*before)(int) = signal(SIGPIPE, on_sigpipe);

    pipes_broken = 0;
    play_each(sigpipe_run, STREAMS);
    assert_int_equal(pipes_broken, 0);
    raise(SIGPIPE);
    assert_int_equal(pipes_broken, 1);
    signal(SIGPIPE, before);
}

static uint64_t backoffs(void) { return vts_socket_loop_get_statistics(&net).backoffs; }

/* From now on the process has no descriptor to spare. */
static struct rlimit take_descriptors(void)
{
    struct rlimit before, none;
    int lowest = dup(0);

    close(lowest);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = (rlim_t)lowest;
    setrlimit(RLIMIT_NOFILE, &none);
    return before;
}

static struct rlimit limit_before;

static int connect_client(const vts_address *to)
{
    size_t size;
    const void *address = vts_address_data(to, &size);
    int family = ((const struct sockaddr *)address)->sa_family;
    int client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = connect(client, (const struct sockaddr *)address, (socklen_t)size);

    if (error == 0) return client;
    close(client);
    return -1;
}

/* Waits without spinning, until a socket of this loop is closed or, looking now and then,
   any other descriptor. */
static vts_step no_descriptors_run(vts_co *co)
{
    VTS_ASYNC(co) {
        open_bound(&s.listener, &s.at);
        assert_code(vts_socket_listen(&s.listener, 0), VTS_OK);
        open_one(&s.a);
        s.spare = dup(0);
        s.ends[0] = connect_client(&s.at);
        s.ends[1] = connect_client(&s.at);
        limit_before = take_descriptors();
        s.begin = vts_now();
        s.one = vts_socket_accept(&s.listener, NULL, NULL);
        VTS_AWAIT(s.n, pause_for(VTS_MILLISECONDS(350)));
        s.count = !vts_valuetask_is_completed(s.one);
        s.backoffs = backoffs();
        s.begin = vts_now() - s.begin;
        close_if_open(&s.a);
        VTS_AWAIT(s.n, pause_for(VTS_MILLISECONDS(1)));
        s.count += vts_valuetask_is_completed(s.one);
        VTS_AWAIT(s.descriptor, s.one);
        s.two = vts_socket_accept(&s.listener, NULL, NULL);
        s.count += !vts_valuetask_is_completed(s.two);
        close(s.spare);
        VTS_AWAIT(s.n, s.two);
        setrlimit(RLIMIT_NOFILE, &limit_before);
        assert_true(s.descriptor >= 0 && s.n >= 0);
        assert_int_equal(s.count, 3);
        assert_in_range(s.backoffs, 2, 2 + s.begin / VTS_MILLISECONDS(100));
        close(s.descriptor);
        close((int)s.n);
        close(s.ends[0]);
        close(s.ends[1]);
    }
    return vts_co_finish(co, 0);
}

static void accept_waits_for_descriptors(void) { play(no_descriptors_run, TCP); }

/* A Unix-domain listener whose queue is full makes who connects wait. */
static vts_step full_queue_run(vts_co *co)
{
    VTS_ASYNC(co) {
        open_bound(&s.listener, &s.at);
        assert_code(vts_socket_listen(&s.listener, 1), VTS_OK);
        s.ends[0] = connect_client(&s.at);
        s.ends[1] = connect_client(&s.at);
        open_one(&s.a);
        s.one = vts_socket_connect(&s.a, &s.at, NULL);
        assert_false(vts_valuetask_is_completed(s.one));
        assert_true(backoffs() > 0);
        for (s.i = 0; s.i < 3; s.i++) {
            VTS_AWAIT(s.n, vts_socket_accept(&s.listener, NULL, NULL));
            assert_true(s.n >= 0);
            close((int)s.n);
        }
        EXPECT(0, s.one);
        close(s.ends[0]);
        close(s.ends[1]);
    }
    return vts_co_finish(co, 0);
}

static void connect_waits_for_a_full_queue(void) { play(full_queue_run, ABSTRACT); }

// ----------------------------------------------------------------------------------
// Limits
// ----------------------------------------------------------------------------------

/* A deadline, then a token: neither takes a byte or writes one. */
static vts_step limit_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        memset(s.buffer, 0x5a, sizeof s.buffer);
        s.limit.deadline = vts_after(VTS_MILLISECONDS(20));
        s.one = vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, &s.limit);
        EXPECT(-ETIMEDOUT, s.one);
        assert_true(vts_now() >= s.limit.deadline);
        s.limit.deadline = VTS_NEVER;
        s.limit.cancel = vts_cancellation_token_of(&s.cancel);
        s.one = vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, &s.limit);
        s.two = vts_socket_recv(&s.b, s.other, 4, 0, NULL);
        assert_code(vts_cancellation_cancel(&s.cancel), VTS_OK);
        EXPECT(4, vts_socket_send(&s.a, "word", 4, 0, NULL));
        EXPECT(-ECANCELED, s.one);
        EXPECT(4, s.two);
        assert_int_equal((unsigned char)s.buffer[0], 0x5a);
        EXPECT(-ECANCELED, vts_socket_send(&s.a, "x", 1, 0, &s.limit));
        EXPECT(1, vts_socket_send(&s.a, "y", 1, 0, NULL));
        EXPECT(1, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
        assert_int_equal(s.buffer[0], 'y');
    }
    return vts_co_finish(co, 0);
}

static void limits_take_no_byte(void) { play_each(limit_run, STREAMS); }

static vts_step canceled_accept_run(vts_co *co)
{
    VTS_ASYNC(co) {
        open_bound(&s.listener, &s.at);
        assert_code(vts_socket_listen(&s.listener, 0), VTS_OK);
        s.limit.cancel = vts_cancellation_token_of(&s.cancel);
        s.one = vts_socket_accept(&s.listener, NULL, &s.limit);
        vts_cancellation_cancel(&s.cancel);
        EXPECT(-ECANCELED, s.one);
        s.ends[0] = connect_client(&s.at);
        VTS_AWAIT(s.n, vts_socket_accept(&s.listener, NULL, NULL));
        assert_true(s.n >= 0);
        close((int)s.n);
        close(s.ends[0]);
    }
    return vts_co_finish(co, 0);
}

static void a_canceled_accept_loses_no_connection(void) { play(canceled_accept_run, TCP); }

static vts_step timeout_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.limit.cancel = vts_cancellation_token_of(&s.cancel);
        s.one = vts_socket_recv(&s.b, s.buffer, 4, 0, &s.limit);
        EXPECT(VTS_E_TIMEOUT, vts_with_timeout(&s.timeout, s.one, &net.loop,
                                               vts_after(VTS_MILLISECONDS(20)), &s.cancel));
        assert_code(vts_cancellation_reset(&s.cancel), VTS_OK);
        s.one = vts_socket_recv(&s.b, s.buffer, 4, 0, &s.limit);
        EXPECT(4, vts_socket_send(&s.a, "word", 4, 0, NULL));
        EXPECT(4, vts_with_timeout(&s.timeout, s.one, &net.loop, vts_after(PATIENCE),
                                   &s.cancel));
    }
    return vts_co_finish(co, 0);
}

static void an_operation_has_a_timeout(void) { play(timeout_run, TCP); }

/* Closing completes what waits, in both directions, once. */
static vts_step close_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        make_buffer_small();
        s.limit.cancel = vts_cancellation_token_of(&s.cancel);
        s.many[0] = vts_socket_recv(&s.a, s.buffer, sizeof s.buffer, 0, NULL);
        s.many[1] = vts_socket_recv(&s.a, s.buffer, sizeof s.buffer, 0, &s.limit);
        s.many[2] = vts_socket_send_all(&s.a, big, BYTES, 0, NULL);
        s.many[3] = vts_socket_send_all(&s.a, big, BYTES, 0, NULL);
        s.many[4] = vts_socket_shutdown(&s.a, VTS_SHUTDOWN_SEND);
        close_now(&s.a);
        for (s.i = 0; s.i < 5; s.i++) assert_true(vts_valuetask_is_canceled(s.many[s.i]));
        for (s.i = 0; s.i < 5; s.i++) EXPECT(-ECANCELED, s.many[s.i]);
        EXPECT(VTS_E_CLOSED, vts_socket_recv(&s.a, s.buffer, 1, 0, NULL));
        EXPECT(VTS_E_CLOSED, vts_socket_close(&s.a));
    }
    return vts_co_finish(co, 0);
}

static void closing_cancels_what_waits(void) { play_each(close_run, streams, 4); }

// ----------------------------------------------------------------------------------
// Lifetime
// ----------------------------------------------------------------------------------

#define CROWD 8

/* Sockets whose memory goes with them; peers are plain descriptors. */
static struct {
    vts_socket *sockets[CROWD];
    vts_socket fresh[CROWD];
    int peers[CROWD], fresh_peers[CROWD], numbers[CROWD];
    char bytes[CROWD], fresh_bytes[CROWD];
    vts_valuetask tasks[CROWD], fresh_tasks[CROWD];
    int completed;
} crowd;

static void join_crowd(vts_socket *socket, int *peer)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    *peer = ends[1];
    assert_code(vts_socket_adopt(socket, &net, ends[0]), VTS_OK);
}

static bool number_is_known(int number)
{
    for (int i = 0; i < CROWD; i++) {
        if (crowd.numbers[i] == number) return true;
    }
    return false;
}

/* The others' events are in the same batch. Their sockets and memory go, and their
   descriptors' numbers belong to others at once. */
static void replace_crowd(void)
{
    for (int i = 0; i < CROWD; i++) close_now(crowd.sockets[i]);
    assert_int_equal(crowd.completed, CROWD);
    for (int i = 0; i < CROWD; i++) free(crowd.sockets[i]);
    for (int i = 0; i < CROWD; i++) {
        vts_socket *socket = &crowd.fresh[i];
        join_crowd(socket, &crowd.fresh_peers[i]);
        assert_true(i > 0 || number_is_known(vts_socket_descriptor(socket)));
        crowd.fresh_tasks[i] = vts_socket_recv(socket, &crowd.fresh_bytes[i], 1, 0, NULL);
        assert_false(vts_valuetask_is_completed(crowd.fresh_tasks[i]));
    }
}

/* io_uring has received before anybody is served; what was received stays. */
static bool receives_in_advance(void)
{
    return vts_socket_loop_poller(&net) == VTS_POLLER_URING;
}

/* Whoever is served first replaces all; the others were about to be. */
static void crowd_continues(void *arg)
{
    int i = (int)((char *)arg - crowd.bytes);
    int error = vts_valuetask_get_result(crowd.tasks[i], NULL);

    bool first = crowd.completed++ == 0;

    if (first || !receives_in_advance()) assert_code(error, first ? VTS_OK : -ECANCELED);
    else assert_true(error == VTS_OK || error == -ECANCELED);
    if (first) replace_crowd();
}

static void make_crowd(void)
{
    memset(&crowd, 0, sizeof crowd);
    for (int i = 0; i < CROWD; i++) {
        crowd.sockets[i] = (vts_socket *)calloc(1, sizeof(vts_socket));
        join_crowd(crowd.sockets[i], &crowd.peers[i]);
        crowd.numbers[i] = vts_socket_descriptor(crowd.sockets[i]);
        crowd.tasks[i] = vts_socket_recv(crowd.sockets[i], &crowd.bytes[i], 1, 0, NULL);
    }
}

static void write_to(const int *peers, const char *bytes)
{
    for (int i = 0; i < CROWD; i++) assert_int_equal(write(peers[i], bytes + i, 1), 1);
}

static vts_step reuse_run(vts_co *co)
{
    VTS_ASYNC(co) {
        make_crowd();
        EXPECT(0, pause_for(VTS_MILLISECONDS(1)));
        write_to(crowd.peers, "abcdefgh");
        for (s.i = 0; s.i < CROWD; s.i++) {
            assert_code(vts_valuetask_on_completed(crowd.tasks[s.i], crowd_continues,
                                                   &crowd.bytes[s.i], VTS_NONE),
                        VTS_OK);
        }
        while (crowd.completed == 0) EXPECT(0, pause_for(VTS_MILLISECONDS(1)));
        write_to(crowd.fresh_peers, "ABCDEFGH");
        for (s.i = 0; s.i < CROWD; s.i++) EXPECT(1, crowd.fresh_tasks[s.i]);
        assert_memory_equal(crowd.fresh_bytes, "ABCDEFGH", CROWD);
        for (s.i = 0; s.i < CROWD; s.i++) {
            close_now(&crowd.fresh[s.i]);
            close(crowd.peers[s.i]);
            close(crowd.fresh_peers[s.i]);
        }
    }
    return vts_co_finish(co, 0);
}

static void an_event_of_a_closed_socket_reaches_nobody(void) { play(reuse_run, TCP); }

static vts_step warm_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.limit.cancel = vts_cancellation_token_of(&s.cancel);
        s.limit.deadline = vts_after(VTS_SECONDS(3600));
        for (s.i = 0; s.i < 510; s.i++) {
            if (s.i == 10) s.count = mallocs, s.descriptors = test_open_descriptors();
            s.one = vts_socket_recv(&s.b, s.buffer, 1, 0, NULL);
            s.two = vts_socket_recv(&s.b, s.buffer + 1, 1, 0, &s.limit);
            EXPECT(2, vts_socket_send_all(&s.a, "ab", 2, 0, &s.limit));
            EXPECT(1, s.one);
            EXPECT(1, s.two);
            EXPECT(1, vts_socket_send(&s.b, s.buffer, 1, 0, NULL));
            EXPECT(1, vts_socket_recv(&s.a, s.buffer, 1, 0, &s.limit));
        }
        assert_int_equal(mallocs, s.count);
        assert_int_equal(test_open_descriptors(), s.descriptors);
    }
    return vts_co_finish(co, 0);
}

static void nothing_is_allocated_once_it_is_warm(void) { play_each(warm_run, streams, 4); }

/* From outside: run_until; and a loop is not destroyed under its sockets. */
static void a_loop_runs_until_an_operation_is_done(void)
{
    vts_valuetask receive, send;
    int peer;

    memset(&s, 0, sizeof s);
    open_loop(&net);
    join_crowd(&s.a, &peer);
    assert_code(vts_socket_loop_destroy(&net), VTS_E_BUSY);
    receive = vts_socket_recv(&s.a, s.buffer, sizeof s.buffer, 0, NULL);
    assert_code(vts_loop_run_until(&net.loop, receive, vts_after(VTS_MILLISECONDS(5))),
                VTS_E_TIMEOUT);
    send = vts_socket_send(&s.a, "x", 1, 0, NULL);
    assert_code(vts_loop_run_until(&net.loop, send, vts_after(PATIENCE)), VTS_OK);
    assert_code(vts_valuetask_get_result(send, NULL), VTS_OK);
    assert_code(vts_socket_loop_destroy(&net), VTS_E_BUSY);
    assert_int_equal(write(peer, "abc", 3), 3);
    assert_code(vts_loop_run_until(&net.loop, receive, vts_after(PATIENCE)), VTS_OK);
    assert_code(vts_valuetask_get_result(receive, &s.n), VTS_OK);
    assert_int_equal(s.n, 3);
    assert_code(vts_valuetask_forget(vts_socket_close(&s.a)), VTS_OK);
    assert_int_equal(vts_loop_run_once(&net.loop, 0), 1);
    close(peer);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    assert_code(vts_socket_loop_destroy(&net), VTS_E_CLOSED);
}

// ----------------------------------------------------------------------------------
// Other threads
// ----------------------------------------------------------------------------------

#define LOAD(place) __atomic_load_n((place), __ATOMIC_ACQUIRE)
#define STORE(place, value) __atomic_store_n((place), (value), __ATOMIC_RELEASE)
#define ADD(place, value) __atomic_fetch_add((place), (value), __ATOMIC_ACQ_REL)

/* The result of an operation, on a thread that runs no loop; or its error. */
static intptr_t await_result(vts_valuetask task)
{
    intptr_t result = 0;
    int error = vts_valuetask_wait(task, vts_after(VTS_SECONDS(60)));

    THREAD_CHECK(error == VTS_OK);
    error = vts_valuetask_get_result(task, &result);
    return error != VTS_OK ? error : result;
}

static size_t closer_is_done;

static void *closes_a(void *arg)
{
    (void)arg;
    THREAD_CHECK(await_result(vts_socket_close(&s.a)) == 0);
    STORE(&closer_is_done, 1);
    return NULL;
}

static vts_step closed_elsewhere_run(vts_co *co)
{
    static test_thread closer;

    VTS_ASYNC(co) {
        EXPECT(0, meet());
        s.one = vts_socket_recv(&s.a, s.buffer, sizeof s.buffer, 0, NULL);
        closer = test_thread_start(closes_a, NULL, 0);
        EXPECT(-ECANCELED, s.one);
        EXPECT(0, vts_socket_recv(&s.b, s.buffer, sizeof s.buffer, 0, NULL));
        while (!LOAD(&closer_is_done)) EXPECT(0, pause_for(VTS_MILLISECONDS(1)));
        test_thread_join(closer);
    }
    return vts_co_finish(co, 0);
}

static void another_thread_closes(void)
{
    closer_is_done = 0;
    play_each(closed_elsewhere_run, STREAMS);
}

/* An operation that another thread is about to start while the loop closes the socket: the
   allocator holds that thread up. */
static struct {
    size_t holding, closed;
    intptr_t result;
    bool closes;
} late;

static void *holding_alloc(void *user, size_t size)
{
    if (!vts_loop_is_current(&net.loop)) {
        STORE(&late.holding, 1);
        while (!LOAD(&late.closed)) sched_yield();
    }
    return test_block_new(user, size);
}

static const vts_allocator holding_allocator = {holding_alloc, test_block_free, NULL};

static void *starts_late(void *arg)
{
    (void)arg;
    STORE(&late.result,
          await_result(late.closes ? vts_socket_close(&s.a)
                                   : vts_socket_recv(&s.a, s.buffer, 1, 0, NULL)));
    return NULL;
}

static void closes_early(vts_work *work)
{
    (void)work;
    while (!LOAD(&late.holding)) sched_yield();
    close_now(&s.a);
    STORE(&late.closed, 1);
}

/* The descriptor's number is another's when the operation arrives. */
static void start_late(bool closes)
{
    vts_socket_loop_desc desc = {.poller = poller};
    vts_work close_work = {.run = closes_early};
    test_thread thread;
    int peer, number, other;

    memset(&s, 0, sizeof s);
    memset(&late, 0, sizeof late);
    late.closes = closes;
    desc.requests.allocator = &holding_allocator;
    desc.requests.cache = -1;
    open_loop(&net);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    join_crowd(&s.a, &peer);
    number = vts_socket_descriptor(&s.a);
    thread = test_thread_start(starts_late, NULL, 0);
    vts_scheduler_post(&net.loop.scheduler, &close_work);
    while (!LOAD(&late.closed)) vts_loop_run_once(&net.loop, 0);
    other = dup(0);
    assert_int_equal(other, number);
    while (vts_socket_loop_get_statistics(&net).requests != 0 || LOAD(&late.result) == 0) {
        vts_loop_run_once(&net.loop, vts_after(VTS_MILLISECONDS(1)));
    }
    test_thread_join(thread);
    assert_code(late.result, late.closes ? VTS_E_CLOSED : -ECANCELED);
    assert_int_equal(vts_socket_loop_get_statistics(&net).sockets, 0);
    assert_int_equal(fcntl(other, F_GETFD), 0);
    close(other);
    close(peer);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
}

static void an_operation_that_comes_too_late_is_canceled(void)
{
    start_late(false);
    start_late(true);
}

#define THREADS 4
#define RECORDS 400

typedef struct record {
    uint32_t thread, number;
} record;

static struct {
    vts_socket idle[THREADS];
    int peers[THREADS];
    size_t canceled;
    uint32_t next[THREADS];
    record records[64];
    vts_co co;
    size_t bytes;
    intptr_t n;
} shared;

/* Records on the one socket, and receives of its own that it cancels. */
static void *sends_and_cancels(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg;
    vts_cancellation_source cancel = {0};
    vts_socket_limit limit = {.cancel = vts_cancellation_token_of(&cancel)};
    char byte;

    for (uint32_t i = 0; i < RECORDS; i++) {
        record mine = {me, i};
        vts_valuetask task = vts_socket_recv(&shared.idle[me], &byte, 1, 0, &limit);
        THREAD_CHECK(await_result(vts_socket_send_all(&s.a, &mine, sizeof mine, 0,
                                                      i % 2 ? &limit : NULL)) ==
                     sizeof mine);
        THREAD_CHECK(vts_cancellation_cancel(&cancel) == VTS_OK);
        THREAD_CHECK(await_result(task) == -ECANCELED);
        THREAD_CHECK(vts_cancellation_reset(&cancel) == VTS_OK);
        ADD(&shared.canceled, 1);
    }
    return NULL;
}

static void check_records(void)
{
    size_t count = shared.bytes / sizeof(record);

    for (size_t i = 0; i < count; i++) {
        const record *got = &shared.records[i];
        assert_true(got->thread < THREADS);
        assert_int_equal(got->number, shared.next[got->thread]++);
    }
    shared.bytes -= count * sizeof(record);
    memmove(shared.records, &shared.records[count], shared.bytes);
}

static vts_step records_run(vts_co *co)
{
    VTS_ASYNC(co) {
        for (s.count = 0; s.count < THREADS * RECORDS * sizeof(record);) {
            VTS_TRY(shared.n, vts_socket_recv(&s.b, (char *)shared.records + shared.bytes,
                                              sizeof shared.records - shared.bytes, 0, NULL));
            s.count += (size_t)shared.n;
            shared.bytes += (size_t)shared.n;
            check_records();
        }
    }
    return vts_co_finish(co, 0);
}

static vts_step many_threads_run(vts_co *co)
{
    static test_thread threads[THREADS];

    VTS_ASYNC(co) {
        EXPECT(0, meet());
        for (s.i = 0; s.i < THREADS; s.i++) {
            join_crowd(&shared.idle[s.i], &shared.peers[s.i]);
            threads[s.i] = test_thread_start(sends_and_cancels, (void *)(intptr_t)s.i, 0);
        }
        EXPECT(0, vts_co_start(&shared.co, records_run));
        while (LOAD(&shared.canceled) < THREADS * RECORDS) {
            EXPECT(0, pause_for(VTS_MILLISECONDS(1)));
        }
        for (s.i = 0; s.i < THREADS; s.i++) {
            test_thread_join(threads[s.i]);
            close_now(&shared.idle[s.i]);
            close(shared.peers[s.i]);
        }
    }
    return vts_co_finish(co, 0);
}

static void other_threads_start_and_cancel(void)
{
    memset(&shared, 0, sizeof shared);
    play(many_threads_run, TCP);
    for (int i = 0; i < THREADS; i++) assert_int_equal(shared.next[i], RECORDS);
}

/* A race in rounds: one thread sends bytes, one cancels the receive that waits for them. */
static struct {
    size_t round, sent, canceled; /* the last one each has done                       */
    size_t stop;
    int peer;
    uint64_t total;
    size_t won, lost;
    unsigned char buffer[16];
} race;

static uint64_t scrambled(uint64_t x)
{
    x ^= x << 13;
    x ^= x >> 7;
    return x ^ (x << 17);
}

/* Waits for the next round, then for a while of any order of magnitude. False: no more. */
static bool next_round(size_t mine, uint64_t *random)
{
    while (LOAD(&race.round) == mine) {
        if (LOAD(&race.stop)) return false;
        sched_yield();
    }
    *random = scrambled(*random);
    for (volatile uint64_t spin = (*random >> 8) % (1u << *random % 18); spin > 0;) spin--;
    return true;
}

static void *sends_bytes(void *arg)
{
    uint64_t random = 0x123456789u, at = 0;
    unsigned char bytes[8];

    (void)arg;
    for (size_t round = 0; next_round(round, &random);) {
        size_t count = 1 + random % sizeof bytes;
        fill(bytes, at, count);
        THREAD_CHECK(send(race.peer, bytes, count, 0) == (ssize_t)count);
        at += count;
        race.total = at;
        STORE(&race.sent, ++round);
    }
    return NULL;
}

static void *cancels(void *arg)
{
    uint64_t random = 0x987654321u;

    (void)arg;
    for (size_t round = 0; next_round(round, &random);) {
        THREAD_CHECK(vts_cancellation_cancel(&s.cancel) == VTS_OK);
        STORE(&race.canceled, ++round);
    }
    return NULL;
}

/* What comes next in the stream. */
static void check_bytes(void)
{
    assert_true(s.n > 0 && fits(race.buffer, s.offset, (size_t)s.n));
    s.offset += (uint64_t)s.n;
    memset(race.buffer, 0, sizeof race.buffer);
}

/* Received: some bytes. Canceled: not one was written. */
static void check_round(void)
{
    static const unsigned char untouched[sizeof race.buffer];

    if (s.n > 0) {
        race.won++;
        check_bytes();
    } else {
        race.lost++;
        assert_code(s.n, -ECANCELED);
        assert_memory_equal(race.buffer, untouched, sizeof untouched);
    }
    while (LOAD(&race.sent) < race.round || LOAD(&race.canceled) < race.round) sched_yield();
    assert_code(vts_cancellation_reset(&s.cancel), VTS_OK);
}

static vts_step race_run(vts_co *co)
{
    static test_thread threads[2];

    VTS_ASYNC(co) {
        open_bound(&s.listener, &s.at);
        assert_code(vts_socket_listen(&s.listener, 0), VTS_OK);
        race.peer = connect_client(&s.at);
        VTS_AWAIT(s.n, vts_socket_accept(&s.listener, NULL, NULL));
        assert_code(vts_socket_adopt(&s.b, &net, (int)s.n), VTS_OK);
        threads[0] = test_thread_start(sends_bytes, NULL, 0);
        threads[1] = test_thread_start(cancels, NULL, 0);
        s.limit.cancel = vts_cancellation_token_of(&s.cancel);
        s.begin = vts_after(PATIENCE);
        while ((race.won < 300 || race.lost < 300) && vts_now() < s.begin) {
            s.one = vts_socket_recv(&s.b, race.buffer, sizeof race.buffer, 0, &s.limit);
            STORE(&race.round, race.round + 1);
            VTS_AWAIT(s.n, s.one);
            check_round();
            while (s.offset < race.total) {
                VTS_TRY(s.n, vts_socket_recv(&s.b, race.buffer, sizeof race.buffer, 0, NULL));
                check_bytes();
            }
        }
        STORE(&race.stop, 1);
        test_thread_join(threads[0]);
        test_thread_join(threads[1]);
        close(race.peer);
        EXPECT(0, vts_socket_recv(&s.b, race.buffer, sizeof race.buffer, 0, NULL));
    }
    return vts_co_finish(co, 0);
}

static void of_cancel_and_completion_one_wins(void)
{
    memset(&race, 0, sizeof race);
    play(race_run, TCP);
    TEST_NOTE("received %zu times, canceled %zu times", race.won, race.lost);
    assert_true(race.won > 0 && race.lost > 0);
}

/* A peer that is in no hurry. */
static void *sends_one_at_a_time(void *arg)
{
    int peer = connect_client((const vts_address *)arg), on = 1;

    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (uint64_t at = 0; at < 300; at++) {
        unsigned char byte = pattern(at);
        struct timespec time = {0, at % 3 == 0 ? 300000 : 0};
        THREAD_CHECK(send(peer, &byte, 1, 0) == 1);
        nanosleep(&time, NULL);
    }
    close(peer);
    return NULL;
}

static vts_step slow_peer_run(vts_co *co)
{
    static test_thread thread;

    VTS_ASYNC(co) {
        open_bound(&s.listener, &s.at);
        assert_code(vts_socket_listen(&s.listener, 0), VTS_OK);
        thread = test_thread_start(sends_one_at_a_time, &s.at, 0);
        VTS_AWAIT(s.n, vts_socket_accept(&s.listener, NULL, NULL));
        assert_code(vts_socket_adopt(&s.b, &net, (int)s.n), VTS_OK);
        EXPECT(300, start_pump(0, read_run, &s.b));
        test_thread_join(thread);
    }
    return vts_co_finish(co, 0);
}

static void a_peer_sends_one_byte_at_a_time(void) { play(slow_peer_run, TCP); }

// ----------------------------------------------------------------------------------
// Several loops, each with its thread
// ----------------------------------------------------------------------------------

#define CONNECTIONS 64

struct server;

typedef struct connection {
    vts_co co;
    vts_socket socket;
    struct server *server;
    vts_work handed; /* from another server, with descriptor                           */
    int descriptor;
    intptr_t n;
    char buffer[64];
} connection;

/* Echoes; or hands connections over to another, which echoes. */
typedef struct server {
    vts_socket_loop net;
    vts_co co;
    vts_socket listener;
    vts_valuetask task;
    intptr_t n;
    struct server *to;
    test_thread thread;
    size_t accepted, served, count, blocked;
    sem_t goes_on;
    connection connections[CONNECTIONS];
} server;

static server servers[2];

/* A message that begins with B blocks its loop. */
static vts_step serve_run(vts_co *co)
{
    connection *c = VTS_SELF(co, connection);

    VTS_ASYNC(co) {
        do {
            VTS_TRY(c->n, vts_socket_recv(&c->socket, c->buffer, sizeof c->buffer, 0, NULL));
            THREAD_CHECK(vts_loop_is_current(&c->server->net.loop));
            if (c->n > 0 && c->buffer[0] == 'B') {
                STORE(&c->server->blocked, 1);
                sem_wait(&c->server->goes_on);
            }
            VTS_TRY(c->n, vts_socket_send_all(&c->socket, c->buffer, (size_t)c->n, 0, NULL));
        } while (c->n > 0);
    VTS_FINALLY();
        VTS_AWAIT(c->n, vts_socket_close(&c->socket));
        ADD(&c->server->served, 1);
    }
    return vts_co_finish(co, c->n);
}

static void serve(server *self, connection *c)
{
    c->server = self;
    THREAD_CHECK(vts_socket_adopt(&c->socket, &self->net, c->descriptor) == VTS_OK);
    THREAD_CHECK(vts_valuetask_forget(vts_co_start(&c->co, serve_run)) == VTS_OK);
}

static void serve_handed(vts_work *work)
{
    connection *c = vts__container_of(work, connection, handed);
    serve(c->server, c);
}

static void take_connection(server *self, int descriptor)
{
    connection *c = &self->connections[self->count++];

    c->descriptor = descriptor;
    c->server = LOAD(&self->to);
    c->handed.run = serve_handed;
    ADD(&self->accepted, 1);
    if (c->server == NULL) serve(self, c);
    else vts_scheduler_post(&c->server->net.loop.scheduler, &c->handed);
}

static vts_step accept_run(vts_co *co)
{
    server *self = vts__container_of(co, server, co);

    VTS_ASYNC(co) {
        for (;;) {
            VTS_TRY(self->n, vts_socket_accept(&self->listener, NULL, NULL));
            take_connection(self, (int)self->n);
        }
    }
    return vts_co_finish(co, self->n);
}

static void *runs_server(void *arg)
{
    THREAD_CHECK(vts_loop_run(&((server *)arg)->net.loop) == VTS_OK);
    return NULL;
}

/* at: port 0 is replaced by the one that was given. NULL: it listens nowhere. */
static void server_start(server *self, vts_address *at)
{
    memset(self, 0, sizeof *self);
    open_loop(&self->net);
    sem_init(&self->goes_on, 0, 0);
    if (at != NULL) {
        assert_code(vts_socket_open(&self->listener, &self->net, VTS_IPV4, VTS_STREAM), VTS_OK);
        assert_code(vts_socket_set_option(&self->listener, VTS_OPTION_REUSE_PORT, 1), VTS_OK);
        assert_code(vts_socket_bind(&self->listener, at), VTS_OK);
        assert_code(vts_socket_local_address(&self->listener, at), VTS_OK);
        assert_code(vts_socket_listen(&self->listener, 0), VTS_OK);
        self->task = vts_co_start(&self->co, accept_run);
    }
    self->thread = test_thread_start(runs_server, self, 0);
}

static void server_stop(server *self)
{
    if (vts_socket_is_open(&self->listener)) {
        assert_int_equal(await_result(vts_socket_close(&self->listener)), 0);
        assert_int_equal(await_result(self->task), -ECANCELED);
    }
    assert_code(vts_loop_stop(&self->net.loop), VTS_OK);
    test_thread_join(self->thread);
    assert_code(vts_socket_loop_destroy(&self->net), VTS_OK);
    sem_destroy(&self->goes_on);
}

/* A client, which does wait. */
static void say(int client, const char *text)
{
    assert_int_equal(send(client, text, strlen(text), 0), (ssize_t)strlen(text));
}

static void hear(int client, const char *text)
{
    char buffer[64];

    assert_int_equal(recv(client, buffer, strlen(text), MSG_WAITALL), (ssize_t)strlen(text));
    assert_memory_equal(buffer, text, strlen(text));
}

static void await_count(const size_t *first, const size_t *second, size_t count)
{
    vts_time end = vts_after(PATIENCE);

    while (LOAD(first) + LOAD(second) < count && vts_now() < end) sched_yield();
    assert_int_equal(LOAD(first) + LOAD(second), count);
}

/* Each is connected, then each is answered; all are gone in the end. */
static void visit_servers(const vts_address *at)
{
    int clients[CONNECTIONS];

    for (int i = 0; i < CONNECTIONS; i++) clients[i] = connect_client(at);
    for (int i = 0; i < CONNECTIONS; i++) say(clients[i], "hello");
    for (int i = 0; i < CONNECTIONS; i++) hear(clients[i], "hello");
    for (int i = 0; i < CONNECTIONS; i++) close(clients[i]);
    await_count(&servers[0].served, &servers[1].served, CONNECTIONS);
}

static void loops_share_a_port(void)
{
    vts_address at;

    vts_address_parse(&at, "127.0.0.1:0");
    server_start(&servers[0], &at);
    server_start(&servers[1], &at);
    visit_servers(&at);
    TEST_NOTE("%zu and %zu connections", servers[0].accepted, servers[1].accepted);
    assert_int_equal(servers[0].accepted + servers[1].accepted, CONNECTIONS);
    assert_true(servers[0].accepted > 0 && servers[1].accepted > 0);
    server_stop(&servers[0]);
    server_stop(&servers[1]);
}

static void a_loop_hands_connections_over(void)
{
    vts_address at;

    vts_address_parse(&at, "127.0.0.1:0");
    server_start(&servers[1], NULL);
    server_start(&servers[0], &at);
    STORE(&servers[0].to, &servers[1]);
    visit_servers(&at);
    assert_int_equal(servers[0].accepted, CONNECTIONS);
    assert_int_equal(servers[1].served, CONNECTIONS);
    server_stop(&servers[0]);
    server_stop(&servers[1]);
}

static void a_continuation_that_blocks_stops_its_loop_only(void)
{
    vts_address first, second;
    int blocked, other;

    vts_address_parse(&first, "127.0.0.1:0");
    second = first;
    server_start(&servers[0], &first);
    server_start(&servers[1], &second);
    blocked = connect_client(&first);
    other = connect_client(&second);
    say(blocked, "Block");
    await_count(&servers[0].blocked, &servers[1].blocked, 1);
    for (int i = 0; i < 100; i++) say(other, "go"), hear(other, "go");
    sem_post(&servers[0].goes_on);
    hear(blocked, "Block");
    close(blocked);
    close(other);
    await_count(&servers[0].served, &servers[1].served, 2);
    server_stop(&servers[0]);
    server_stop(&servers[1]);
}

// ----------------------------------------------------------------------------------

#define EACH(TEST_)                                                                    \
    TEST_(streams_connect_and_echo)                                                    \
    TEST_(either_end_closes_half)                                                      \
    TEST_(shutdown_of_receiving_ends_a_receive)                                        \
    TEST_(pieces_go_and_come)                                                          \
    TEST_(peeking_takes_nothing_and_urgent_data_overtake)                              \
    TEST_(a_million_bytes_arrive_both_ways)                                            \
    TEST_(a_hundred_sends_share_a_small_buffer)                                        \
    TEST_(a_send_says_how_much_it_sent)                                                \
    TEST_(receives_are_served_in_order)                                                \
    TEST_(a_file_is_sent)                                                              \
    TEST_(a_disconnected_socket_connects_again)                                        \
    TEST_(datagrams_come_and_go)                                                       \
    TEST_(a_message_tells_that_it_was_longer)                                          \
    TEST_(a_message_tells_when_and_where_it_came)                                      \
    TEST_(descriptors_are_passed)                                                      \
    TEST_(a_reset_ends_a_receive)                                                      \
    TEST_(a_reset_ends_a_send)                                                         \
    TEST_(a_reset_comes_before_the_accept)                                             \
    TEST_(a_connection_is_refused)                                                     \
    TEST_(a_datagram_is_refused)                                                       \
    TEST_(a_place_is_unreachable)                                                      \
    TEST_(no_send_raises_sigpipe)                                                      \
    TEST_(accept_waits_for_descriptors)                                                \
    TEST_(connect_waits_for_a_full_queue)                                              \
    TEST_(limits_take_no_byte)                                                         \
    TEST_(a_canceled_accept_loses_no_connection)                                       \
    TEST_(an_operation_has_a_timeout)                                                  \
    TEST_(closing_cancels_what_waits)                                                  \
    TEST_(an_event_of_a_closed_socket_reaches_nobody)                                  \
    TEST_(nothing_is_allocated_once_it_is_warm)                                        \
    TEST_(a_loop_runs_until_an_operation_is_done)                                      \
    TEST_(another_thread_closes)                                                       \
    TEST_(an_operation_that_comes_too_late_is_canceled)                                \
    TEST_(other_threads_start_and_cancel)                                              \
    TEST_(of_cancel_and_completion_one_wins)                                           \
    TEST_(a_peer_sends_one_byte_at_a_time)                                             \
    TEST_(loops_share_a_port)                                                          \
    TEST_(a_loop_hands_connections_over)                                               \
    TEST_(a_continuation_that_blocks_stops_its_loop_only)

#define DEFINE(test_, name, which)                                                     \
    static void test_##_##name(void)                                                   \
    {                                                                                  \
        poller = (which);                                                              \
        test_();                                                                       \
    }
#define DEFINE_EPOLL(test_) DEFINE(test_, epoll, VTS_POLLER_EPOLL)
#define DEFINE_POLL(test_) DEFINE(test_, poll, VTS_POLLER_POLL)
#define DEFINE_URING(test_) DEFINE(test_, uring, VTS_POLLER_URING)
#define LIST_EPOLL(test_) TEST(test_##_epoll),
#define LIST_POLL(test_) TEST(test_##_poll),
#define LIST_URING(test_) TEST(test_##_uring),

EACH(DEFINE_EPOLL)
EACH(DEFINE_POLL)

#ifdef VTS_SOCKET_URING
EACH(DEFINE_URING)
#define URING EACH(LIST_URING)
#else
static void io_uring(void) { TEST_SKIP("built without VTS_SOCKET_URING"); }
#define URING TEST(io_uring)
#endif

static const test_case tests[] = {EACH(LIST_EPOLL) EACH(LIST_POLL) URING};
TEST_MAIN(tests)
