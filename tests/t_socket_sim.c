/* Sockets over a simulated system (tests/socket_fake.h): every operation and every fault,
   each run the same. Each test runs over epoll and over poll. The test is the loop's
   thread between the passes that it asks for. */
#define _GNU_SOURCE
#include <stdlib.h>

static void sim_fail(const char *text);

#define SIM_FAIL(text) sim_fail(text)
#define VTS_SOCKET_SYSTEM_HEADER "tests/socket_fake.h"
#define VTS_IMPLEMENTATION
#include "vts_socket.h"
#include "test.h"

static void sim_fail(const char *text) { TEST_FAIL("%s\n", text); }

// ----------------------------------------------------------------------------------
// A loop, three sockets, and what became of operations
// ----------------------------------------------------------------------------------

static vts_socket_poller poller;
static vts_socket_loop net;
static vts_socket one, two, three;
static vts__loop_entry entry;
static char buffer[4096];

/* The test becomes the loop's thread, or another. */
static void enter(void) { assert_code(vts__loop_enter(&net.loop, &entry), VTS_OK); }
static void leave(void) { vts__loop_leave(&net.loop, &entry); }

static int pass(void)
{
    int count;

    leave();
    count = vts_loop_run_once(&net.loop, 0);
    enter();
    return count;
}

/* Passes until there is nothing to do. */
static void settle(void)
{
    int passes = 0;

    while (pass() != 0) {
        if (++passes == 1000) TEST_FAIL("the loop spins\n");
    }
}

static void set_up_with(vts_socket_loop_desc desc)
{
    sim_reset();
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    memset(&three, 0, sizeof three);
    memset(buffer, 0, sizeof buffer);
    vts_set_clock(sim_clock);
    desc.poller = poller;
    desc.allocator = desc.requests.allocator = desc.delays.allocator = &test_allocator;
    desc.requests.cache = -1;
    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    assert_string_equal(vts_socket_loop_note(&net), "");
    enter();
}

static void set_up(void)
{
    vts_socket_loop_desc desc = {0};
    set_up_with(desc);
}

static void close_if_open(vts_socket *socket)
{
    if (vts_socket_is_open(socket)) assert_code(vts_socket_close(socket).token, 0);
}

/* Every descriptor is closed, every request given back. */
static void tear_down(void)
{
    close_if_open(&one);
    close_if_open(&two);
    close_if_open(&three);
    settle();
    leave();
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    assert_int_equal(sim_open(), 0);
    vts_set_clock(NULL);
}

static void run_over(vts_socket_poller which, void (*body)(void))
{
    poller = which;
    set_up();
    body();
    tear_down();
}

// clang-format off
#define BOTH(name)                                                                     \
    static void name(void);                                                            \
    static void name##_over_epoll(void) { run_over(VTS_POLLER_EPOLL, name); }          \
    static void name##_over_poll(void) { run_over(VTS_POLLER_POLL, name); }            \
    static void name(void)
#define TESTS(name) TEST(name##_over_epoll), TEST(name##_over_poll)
// clang-format on

/* What an operation comes to; then runs inside its completion. */
typedef struct outcome {
    int completions;
    vts_valuetask task;
    vts_status status;
    intptr_t result;
    unsigned order;
    void (*then)(struct outcome *self);
} outcome;

static unsigned order;

static void outcome_is_known(void *arg)
{
    outcome *self = (outcome *)arg;
    int error;

    self->completions++;
    self->order = ++order;
    self->status = (vts_status)vts_valuetask_get_status(self->task);
    error = vts_valuetask_get_result(self->task, &self->result);
    if (error != VTS_OK) self->result = error;
    if (self->then != NULL) self->then(self);
}

static void watch(outcome *self, vts_valuetask task)
{
    self->task = task;
    self->completions = 0;
    assert_code(vts_valuetask_on_completed(task, outcome_is_known, self, VTS_NONE),
                VTS_OK);
}

static void assert_pending(const outcome *self)
{
    assert_int_equal(self->completions, 0);
}

static void assert_outcome(const outcome *self, vts_status status, intptr_t result)
{
    assert_int_equal(self->completions, 1);
    assert_code(self->result, result);
    assert_int_equal(self->status, status);
}

static void assert_done(const outcome *self, intptr_t result)
{
    assert_outcome(self, result < 0 ? VTS_FAULTED : VTS_SUCCEEDED, result);
}

static void assert_canceled(const outcome *self, int error)
{
    assert_outcome(self, VTS_CANCELED, error);
}

/* It needed no source: the result was in the handle. */
static void assert_at_once(vts_valuetask task, intptr_t result)
{
    intptr_t got = 0;
    int error = vts_valuetask_get_result(task, &got);

    assert_code(error != VTS_OK ? error : got, result);
    assert_int_equal(vts_valuetask_is_canceled(task), false);
}

static void assert_canceled_at_once(vts_valuetask task, int error)
{
    assert_true(vts_valuetask_is_canceled(task));
    assert_code(vts_valuetask_get_result(task, NULL), error);
}

/* A connection; returns its descriptor. */
static int connect_family(vts_socket *socket, int family)
{
    int descriptor = sim_connected(family);

    assert_code(vts_socket_adopt(socket, &net, descriptor), VTS_OK);
    assert_int_equal(vts_socket_descriptor(socket), descriptor);
    return descriptor;
}

static int connected(vts_socket *socket) { return connect_family(socket, AF_INET); }

static vts_address address_of(const char *text)
{
    vts_address address;

    assert_code(vts_address_parse(&address, text), VTS_OK);
    return address;
}

static int opened(vts_socket *socket, vts_socket_family family, vts_socket_type type)
{
    assert_code(vts_socket_open(socket, &net, family, type), VTS_OK);
    return vts_socket_descriptor(socket);
}

static int listening(vts_socket *socket)
{
    vts_address address = address_of("127.0.0.1:80");
    int descriptor = opened(socket, VTS_IPV4, VTS_STREAM);

    assert_code(vts_socket_bind(socket, &address), VTS_OK);
    assert_code(vts_socket_listen(socket, 0), VTS_OK);
    return descriptor;
}

static unsigned calls(sim_call call) { return sim.calls[call]; }

static vts_valuetask receive(vts_socket *socket, const vts_socket_limit *limit)
{
    return vts_socket_recv(socket, buffer, 64, 0, limit);
}

/* Waits already, attached to the poller. */
static void receives(outcome *self, vts_socket *socket)
{
    watch(self, receive(socket, NULL));
    assert_pending(self);
}

static uint64_t backoffs(void) { return vts_socket_loop_get_statistics(&net).backoffs; }

static void fill(void) { memset(buffer, 'p', sizeof buffer); }

static void assert_filled(void)
{
    for (size_t i = 0; i < sizeof buffer; i++) assert_int_equal(buffer[i], 'p');
}

// ----------------------------------------------------------------------------------
// Receiving
// ----------------------------------------------------------------------------------

BOTH(what_is_there_is_received_at_once)
{
    int fd = connected(&one);

    sim_peer_sends(fd, "hello", 5);
    assert_at_once(receive(&one, NULL), 5);
    assert_memory_equal(buffer, "hello", 5);
    assert_int_equal(calls(SIM_RECV), 1);
    assert_int_equal(calls(SIM_EPOLL_CTL), poller == VTS_POLLER_EPOLL ? 1 : 0);
}

BOTH(a_receive_waits_for_what_comes)
{
    outcome got = {0};
    int fd = connected(&one);

    receives(&got, &one);
    settle();
    assert_pending(&got);
    sim_peer_sends(fd, "hello", 5);
    assert_int_equal(pass(), 1);
    assert_done(&got, 5);
    assert_memory_equal(buffer, "hello", 5);
}

BOTH(a_buffer_is_not_written_after_its_operation)
{
    outcome got = {0};
    vts_cancellation_source cancel = {0};
    vts_socket_limit limit = {0, {&cancel}};
    int fd = connected(&one);

    receives(&got, &one);
    sim_peer_sends(fd, "hello", 5);
    settle();
    fill();
    sim_peer_sends(fd, "more", 4);
    settle();
    assert_filled();
    watch(&got, receive(&one, NULL));
    settle();
    assert_done(&got, 4);

    watch(&got, receive(&one, &limit));
    vts_cancellation_cancel(&cancel);
    settle();
    assert_canceled(&got, -ECANCELED);
    fill();
    sim_peer_sends(fd, "third", 5);
    settle();
    assert_filled();
    assert_at_once(receive(&one, NULL), 5);
}

static void send_back_and_receive_again(outcome *self)
{
    if (self->result <= 0) return;
    assert_at_once(vts_socket_send(&one, buffer, (size_t)self->result, 0, NULL),
                   self->result);
    watch(self, receive(&one, NULL));
}

BOTH(a_round_of_echo_takes_two_calls)
{
    outcome got = {.then = send_back_and_receive_again};
    int fd = connected(&one);
    char back[8];

    receives(&got, &one);
    assert_int_equal(calls(SIM_RECV), 1);
    for (unsigned round = 1; round <= 10; round++) {
        sim_peer_sends(fd, "round", 5);
        assert_int_equal(pass(), 1);
        assert_int_equal(sim_peer_takes(fd, back, sizeof back), 5);
        assert_int_equal(calls(SIM_RECV), 1 + round);
        assert_int_equal(calls(SIM_SEND), round);
    }
    assert_int_equal(pass(), 0);
    assert_int_equal(calls(SIM_RECV), 11);
    sim_peer_ends(fd);
    settle();
    assert_done(&got, 0);
}

/* Data and the end in one event: the read is short, and there is more all the same. */
BOTH(an_end_right_behind_a_short_read_is_not_lost)
{
    outcome got = {0};
    int fd = connected(&one);

    receives(&got, &one);
    sim_peer_sends(fd, "last", 4);
    sim_peer_ends(fd);
    settle();
    assert_done(&got, 4);
    watch(&got, receive(&one, NULL));
    settle();
    assert_done(&got, 0);
}

static void the_peer_of_two_ends(outcome *self)
{
    (void)self;
    sim_peer_ends(vts_socket_descriptor(&two));
}

/* The end comes when the event is taken already, and the data are not. */
BOTH(an_end_between_event_and_read_is_not_lost)
{
    outcome first = {.then = the_peer_of_two_ends}, second = {0};
    int fd1 = connected(&one), fd2 = connected(&two);

    receives(&first, &one);
    receives(&second, &two);
    sim_peer_sends(fd1, "x", 1);
    sim_peer_sends(fd2, "last", 4);
    assert_int_equal(pass(), 2);
    assert_done(&second, 4);
    watch(&second, receive(&two, NULL));
    assert_pending(&second);
    settle();
    assert_done(&second, 0);
}

BOTH(a_short_read_is_not_trusted_when_something_is_urgent)
{
    outcome got = {0};
    unsigned before;
    int fd = connected(&one);

    receives(&got, &one);
    sim_peer_sends(fd, "x", 1);
    sim_peer_sends_urgent(fd, '!');
    settle();
    assert_done(&got, 1);
    watch(&got, vts_socket_recv(&one, buffer, 1, VTS_SOCKET_OOB, NULL));
    settle();
    assert_done(&got, 1);
    assert_int_equal(buffer[0], '!');
    before = calls(SIM_RECV);
    watch(&got, receive(&one, NULL));
    assert_pending(&got);
    assert_int_equal(calls(SIM_RECV), before + 1);
    assert_at_once(vts_socket_close(&one), 0);
}

BOTH(urgent_data_are_waited_for)
{
    outcome got = {0};
    int fd = connected(&one);

    watch(&got, vts_socket_recv(&one, buffer, 1, VTS_SOCKET_OOB, NULL));
    settle();
    assert_pending(&got);
    sim_peer_sends_urgent(fd, '!');
    settle();
    assert_done(&got, 1);
    assert_int_equal(buffer[0], '!');
}

/* While they are there, a usual receive waits, and does not spin. */
BOTH(urgent_data_that_nobody_takes_disturb_nobody)
{
    outcome got = {0};
    int fd = connected(&one);

    sim_peer_sends_urgent(fd, '!');
    receives(&got, &one);
    settle();
    assert_pending(&got);
    sim_peer_sends(fd, "x", 1);
    settle();
    assert_done(&got, 1);
}

BOTH(what_is_peeked_at_stays)
{
    int fd = connected(&one);

    sim_peer_sends(fd, "abc", 3);
    assert_at_once(vts_socket_recv(&one, buffer, 64, VTS_SOCKET_PEEK, NULL), 3);
    assert_int_equal(sim.last_flags, MSG_PEEK);
    assert_at_once(receive(&one, NULL), 3);
}

BOTH(a_receive_of_nothing_waits_and_takes_nothing)
{
    vts_buffer none[2] = {{NULL, 0}, {buffer, 0}};
    vts_address from;
    outcome got = {0};
    int fd = connected(&one);

    watch(&got, vts_socket_recv(&one, NULL, 0, 0, NULL));
    settle();
    assert_pending(&got);
    sim_peer_sends(fd, "abc", 3);
    settle();
    assert_done(&got, 0);
    assert_at_once(vts_socket_recv(&one, NULL, 0, 0, NULL), 0);
    assert_at_once(vts_socket_recv_vector(&one, none, 2, 0, NULL), 0);
    assert_at_once(receive(&one, NULL), 3);

    fd = opened(&two, VTS_IPV4, VTS_DATAGRAM);
    watch(&got, vts_socket_recv_from(&two, NULL, 0, 0, &from, NULL));
    sim_peer_sends_datagram(fd, "whole", 5, 9);
    settle();
    assert_done(&got, 0);
    assert_at_once(vts_socket_recv_vector(&two, none, 2, 0, NULL), 0);
    assert_at_once(vts_socket_recv_vector(&two, NULL, 0, 0, NULL), 0);
    assert_at_once(receive(&two, NULL), 5);
}

BOTH(datagrams_tell_where_they_are_from)
{
    outcome got = {0};
    vts_address from;
    int fd = opened(&one, VTS_IPV4, VTS_DATAGRAM);

    watch(&got, vts_socket_recv_from(&one, buffer, 64, 0, &from, NULL));
    settle();
    assert_pending(&got);
    sim_peer_sends_datagram(fd, "ping", 4, 1234);
    settle();
    assert_done(&got, 4);
    assert_int_equal(vts_address_family(&from), VTS_IPV4);
    assert_int_equal(vts_address_port(&from), 1234);
}

BOTH(a_datagram_that_is_too_long_is_told)
{
    vts_buffer pieces[2] = {{buffer, 2}, {buffer + 2, 1}};
    vts_message message = {0};
    vts_address from;
    outcome got = {0};
    int fd = opened(&one, VTS_IPV4, VTS_DATAGRAM);

    for (int i = 0; i < 5; i++) sim_peer_sends_datagram(fd, "long", 4, 1);
    assert_at_once(vts_socket_recv(&one, buffer, 3, 0, NULL), -EMSGSIZE);
    assert_memory_equal(buffer, "lon\0", 4);
    assert_at_once(vts_socket_recv_from(&one, buffer, 3, 0, &from, NULL), -EMSGSIZE);
    assert_at_once(vts_socket_recv_vector(&one, pieces, 2, 0, NULL), -EMSGSIZE);
    message.buffers = pieces;
    message.count = 2;
    assert_at_once(vts_socket_recv_msg(&one, &message, 0, NULL), 3);
    assert_true(message.truncated);
    assert_false(message.control_truncated);
    assert_at_once(vts_socket_recv(&one, buffer, 4, 0, NULL), 4);
    watch(&got, vts_socket_recv(&one, buffer, 3, 0, NULL));
    sim_peer_sends_datagram(fd, "long", 4, 1);
    settle();
    assert_done(&got, -EMSGSIZE);
}

BOTH(pieces_are_filled_one_after_the_other)
{
    vts_buffer pieces[3] = {{buffer, 2}, {buffer + 100, 0}, {buffer + 200, 3}};
    outcome got = {0};
    int fd = connected(&one);

    watch(&got, vts_socket_recv_vector(&one, pieces, 3, 0, NULL));
    sim_peer_sends(fd, "abcd", 4);
    settle();
    assert_done(&got, 4);
    assert_memory_equal(buffer, "ab\0", 3);
    assert_memory_equal(buffer + 200, "cd\0", 3);
    assert_int_equal(buffer[100], 0);
}

BOTH(a_message_tells_what_it_has)
{
    vts_buffer piece = {buffer, 64};
    vts_address from;
    char control[32];
    vts_message message = {&piece, 1, &from, control, sizeof control, true, true};
    outcome got = {0};
    int fd = opened(&one, VTS_IPV4, VTS_DATAGRAM);

    watch(&got, vts_socket_recv_msg(&one, &message, 0, NULL));
    sim_peer_sends_datagram(fd, "abc", 3, 55);
    settle();
    assert_done(&got, 3);
    assert_int_equal(vts_address_port(&from), 55);
    assert_false(message.truncated);
    assert_false(message.control_truncated);
    assert_int_equal(message.control_size, 0);
    sim.truncates_control = true;
    sim_peer_sends_datagram(fd, "abc", 3, 55);
    assert_at_once(vts_socket_recv_msg(&one, &message, VTS_SOCKET_PEEK, NULL), 3);
    assert_true(message.control_truncated);
}

/* The poller reports what is gone when one looks. */
BOTH(a_storm_of_eagain_is_survived)
{
    outcome got = {0}, sent = {0};
    int fd = connected(&one);

    sim_file_of(fd)->room = 8;
    assert_at_once(vts_socket_send(&one, "12345678", 8, 0, NULL), 8);
    watch(&sent, vts_socket_send(&one, "9", 1, 0, NULL));
    receives(&got, &one);
    sim_always_fails(SIM_RECV, EAGAIN);
    sim_always_fails(SIM_SEND, EAGAIN);
    sim_peer_takes(fd, buffer, 8);
    for (int i = 0; i < 100; i++) {
        sim_peer_sends(fd, "x", 1);
        pass();
    }
    assert_pending(&got);
    assert_pending(&sent);
    assert_true(calls(SIM_RECV) >= 100);
    sim_always_fails(SIM_RECV, 0);
    sim_always_fails(SIM_SEND, 0);
    sim_peer_sends(fd, "y", 1);
    settle();
    assert_done(&got, 64);
    assert_done(&sent, 1);
}

// ----------------------------------------------------------------------------------
// Sending
// ----------------------------------------------------------------------------------

BOTH(a_send_moves_what_there_is_room_for)
{
    char out[16];
    outcome sent = {0};
    int fd = connected(&one);

    sim_file_of(fd)->room = 6;
    assert_at_once(vts_socket_send(&one, "abcdefgh", 8, 0, NULL), 6);
    watch(&sent, vts_socket_send(&one, "gh", 2, 0, NULL));
    assert_int_equal(calls(SIM_SEND), 1);
    settle();
    assert_pending(&sent);
    assert_int_equal(sim_peer_takes(fd, out, sizeof out), 6);
    settle();
    assert_done(&sent, 2);
    assert_int_equal(sim_peer_takes(fd, out, sizeof out), 2);
    assert_at_once(vts_socket_send(&one, NULL, 0, 0, NULL), 0);
}

BOTH(flags_reach_the_system)
{
    connected(&one);
    assert_at_once(vts_socket_send(&one, "x", 1, VTS_SOCKET_MORE, NULL), 1);
    assert_int_equal(sim.last_flags, MSG_NOSIGNAL | MSG_MORE);
    assert_at_once(vts_socket_send(&one, "x", 1, VTS_SOCKET_OOB, NULL), 1);
    assert_int_equal(sim.last_flags, MSG_NOSIGNAL | MSG_OOB);
}

BOTH(send_all_sends_all)
{
    char data[1000], out[64];
    outcome sent = {0};
    size_t taken = 0, round;
    int fd = connected(&one);

    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 7);
    sim_file_of(fd)->room = 64;
    sim.most = 50;
    watch(&sent, vts_socket_send_all(&one, data, sizeof data, 0, NULL));
    while ((round = sim_peer_takes(fd, out, sizeof out)) != 0) {
        assert_memory_equal(out, data + taken, round);
        taken += round;
        settle();
    }
    assert_int_equal(taken, sizeof data);
    assert_done(&sent, sizeof data);
    assert_at_once(vts_socket_send_all(&one, NULL, 0, 0, NULL), 0);
}

BOTH(send_all_tells_of_an_error_after_some)
{
    outcome sent = {0};
    int fd = connected(&one);

    sim_file_of(fd)->room = 64;
    watch(&sent, vts_socket_send_all(&one, buffer, 100, 0, NULL));
    sim_peer_resets(fd);
    settle();
    assert_done(&sent, -ECONNRESET);
    assert_at_once(vts_socket_send_all(&one, buffer, 1, 0, NULL), -EPIPE);
}

/* Without the short-write hint of TCP. */
BOTH(send_all_of_a_unix_stream_sends_all)
{
    char out[64];
    outcome sent = {0};
    int fd = connect_family(&one, AF_UNIX);

    sim_file_of(fd)->room = 64;
    watch(&sent, vts_socket_send_all(&one, buffer, 100, 0, NULL));
    assert_pending(&sent);
    assert_int_equal(calls(SIM_SEND), 2);
    assert_int_equal(sim_peer_takes(fd, out, sizeof out), 64);
    sim.most = 10;
    settle();
    assert_done(&sent, 100);
    assert_int_equal(calls(SIM_SEND), 2 + 4);
}

BOTH(a_hundred_sends_go_out_in_order)
{
    static outcome sent[100];
    static char data[100][100];
    char out[1024];
    size_t taken = 0, round;
    int fd = connected(&one);

    memset(sent, 0, sizeof sent);
    sim_file_of(fd)->room = sizeof out;
    for (size_t i = 0; i < 100; i++) {
        memset(data[i], (int)i, sizeof data[i]);
        watch(&sent[i], vts_socket_send_all(&one, data[i], sizeof data[i], 0, NULL));
    }
    while ((round = sim_peer_takes(fd, out, sizeof out)) != 0) {
        for (size_t i = 0; i < round; i++, taken++) {
            assert_int_equal(out[i], taken / sizeof data[0]);
        }
        settle();
    }
    assert_int_equal(taken, sizeof data);
    for (int i = 0; i < 100; i++) {
        assert_done(&sent[i], sizeof data[0]);
        if (i > 0) assert_true(sent[i].order > sent[i - 1].order);
    }
    assert_int_equal(vts_socket_loop_get_statistics(&net).requests, 0);
}

BOTH(datagrams_go_where_they_are_to_go)
{
    vts_address to = address_of("127.0.0.1:99");
    vts_buffer pieces[2] = {{buffer, 2}, {buffer + 2, 3}};
    vts_message message = {pieces, 2, &to, NULL, 0, false, false};
    outcome sent = {0};
    int fd = opened(&one, VTS_IPV4, VTS_DATAGRAM);

    assert_at_once(vts_socket_send(&one, "x", 1, 0, NULL), -EDESTADDRREQ);
    assert_at_once(vts_socket_send_to(&one, "ping", 4, 0, &to, NULL), 4);
    assert_int_equal(sim.last_flags, MSG_NOSIGNAL);
    assert_at_once(vts_socket_send_to(&one, NULL, 0, 0, &to, NULL), 0);
    sim_peer_is_full(fd, true);
    watch(&sent, vts_socket_send_to(&one, "pong", 4, 0, &to, NULL));
    settle();
    assert_pending(&sent);
    sim_peer_is_full(fd, false);
    settle();
    assert_done(&sent, 4);
    assert_at_once(vts_socket_send_msg(&one, &message, 0, NULL), 5);
    assert_memory_equal(sim_file_of(fd)->sent[3].address.bytes, to.as.bytes, 16);
    message.address = NULL;
    assert_at_once(vts_socket_send_msg(&one, &message, 0, NULL), -EDESTADDRREQ);
    assert_at_once(vts_socket_connect(&one, &to, NULL), 0);
    assert_at_once(vts_socket_send_msg(&one, &message, 0, NULL), 5);
    assert_at_once(vts_socket_send_vector(&one, pieces, 2, 0, NULL), 5);
    assert_int_equal(sim_file_of(fd)->sent_count, 6);
}

/* Its receiver takes no more. Who sends it has room: nobody tells when that changes. */
BOTH(a_unix_datagram_to_somebody_full_looks_again_after_a_pause)
{
    vts_address to = address_of("unix:@receiver");
    vts_buffer piece = {buffer, 3};
    vts_message message = {&piece, 1, &to, NULL, 0, false, false};
    outcome sent = {0}, second = {0};
    int fd = opened(&one, VTS_UNIX, VTS_DATAGRAM);

    sim_peer_is_full(fd, true);
    watch(&sent, vts_socket_send_to(&one, "pong", 4, 0, &to, NULL));
    watch(&second, vts_socket_send_msg(&one, &message, 0, NULL));
    settle();
    assert_pending(&sent);
    sim_peer_is_full(fd, false);
    settle();
    assert_pending(&sent);
    sim.now += VTS__SOCKET_PAUSE;
    settle();
    assert_done(&sent, 4);
    assert_done(&second, 3);
    sim_peer_is_full(fd, true);
    watch(&second, vts_socket_send_msg(&one, &message, 0, NULL));
    settle();
    assert_pending(&second);
    sim_peer_is_full(fd, false);
    sim.now += VTS__SOCKET_PAUSE;
    settle();
    assert_done(&second, 3);
}

/* Connected to it, a datagram is told. And what makes it full may be from here. */
BOTH(a_unix_datagram_waits_for_an_event_where_one_comes)
{
    vts_address to = address_of("unix:@receiver");
    vts_buffer piece = {buffer, 3};
    vts_message message = {&piece, 1, NULL, NULL, 0, false, false};
    outcome sent = {0};
    int fd = opened(&one, VTS_UNIX, VTS_DATAGRAM);

    assert_at_once(vts_socket_connect(&one, &to, NULL), 0);
    sim_peer_is_full(fd, true);
    sim.blocks = true;
    watch(&sent, vts_socket_send_msg(&one, &message, 0, NULL));
    settle();
    assert_pending(&sent);
    assert_int_equal(backoffs(), 0);
    sim.blocks = false;
    sim_peer_is_full(fd, false);
    sim_edge(sim_file_of(fd), EPOLLOUT);
    settle();
    assert_done(&sent, 3);

    fd = opened(&two, VTS_UNIX, VTS_DATAGRAM);
    sim_peer_is_full(fd, true);
    watch(&sent, vts_socket_send_to(&two, "abc", 3, 0, &to, NULL));
    settle();
    assert_pending(&sent);
    sim_peer_is_full(fd, false);
    sim_edge(sim_file_of(fd), EPOLLOUT);
    settle();
    assert_int_equal(sent.completions, poller == VTS_POLLER_EPOLL);
    sim.now += VTS__SOCKET_PAUSE;
    settle();
    assert_done(&sent, 3);
}

BOTH(a_datagram_tells_of_the_one_before_it)
{
    outcome got = {0};
    int fd = opened(&one, VTS_IPV4, VTS_DATAGRAM);

    receives(&got, &one);
    sim_peer_fails(fd, ECONNREFUSED);
    settle();
    assert_done(&got, -ECONNREFUSED);
    watch(&got, receive(&one, NULL));
    sim_peer_sends_datagram(fd, "x", 1, 1);
    settle();
    assert_done(&got, 1);
}

/* Of one operation, too: a byte at a time, and never all at once. */
BOTH(a_long_operation_lets_others_have_their_turn)
{
    static const char file[200] = "file";
    uint64_t offset = 0;
    outcome sent = {0}, filed = {0}, gone = {0};
    int unix_fd = connect_family(&one, AF_UNIX), fd = connected(&two);

    sim_file_of(unix_fd)->room = sim_file_of(fd)->room = 1000;
    sim.file = file;
    sim.file_size = sizeof file;
    sim.most = 1;
    watch(&sent, vts_socket_send_all(&one, buffer, 200, 0, NULL));
    assert_pending(&sent);
    assert_int_equal(calls(SIM_SEND), 1 + VTS__SOCKET_TURNS); /* the first is plain      */
    watch(&filed, vts_socket_send_file(&two, 3, &offset, 200, NULL));
    assert_pending(&filed);
    assert_int_equal(offset, VTS__SOCKET_TURNS);
    settle();
    assert_done(&sent, 200);
    assert_done(&filed, 200);
    sim.most = 4096; /* what a disconnect drops at a time */
    sim_peer_sends(fd, buffer, 100);
    sim.most = 1;
    watch(&gone, vts_socket_disconnect(&two, NULL));
    assert_pending(&gone);
    assert_int_equal(sim_file_of(fd)->in.count, 100 - VTS__SOCKET_TURNS);
    sim_peer_ends(fd);
    settle();
    assert_done(&gone, 0);
}

BOTH(a_connection_of_the_unix_domain_cannot_disconnect)
{
    int fd = connect_family(&one, AF_UNIX);

    assert_at_once(vts_socket_disconnect(&one, NULL), -EOPNOTSUPP);
    assert_false(sim_file_of(fd)->out_ended);
    opened(&two, VTS_UNIX, VTS_DATAGRAM);
    assert_at_once(vts_socket_disconnect(&two, NULL), 0);
}

BOTH(a_shutdown_that_fails_ends_nothing)
{
    outcome got = {0};

    opened(&one, VTS_IPV4, VTS_DATAGRAM);
    receives(&got, &one);
    sim_fails(SIM_SHUTDOWN, 1, ENOTCONN);
    assert_at_once(vts_socket_shutdown(&one, VTS_SHUTDOWN_RECEIVE), -ENOTCONN);
    settle();
    assert_pending(&got);
    assert_at_once(vts_socket_shutdown(&one, VTS_SHUTDOWN_SEND), 0);
    settle();
    assert_pending(&got);
    assert_at_once(vts_socket_shutdown(&one, VTS_SHUTDOWN_RECEIVE), 0);
    settle();
    assert_done(&got, 0);
}

/* A limit that never ends anything costs no request. */
BOTH(a_limit_of_never_is_none)
{
    static outcome got; /* canceled after the test */
    vts_socket_limit never = {VTS_NEVER, vts_cancellation_none()}, zero = {0};
    int fd;

    got = (outcome){0};
    fd = connected(&one);
    sim_peer_sends(fd, "x", 1);
    assert_at_once(receive(&one, &zero), 1);
    watch(&got, receive(&one, &never));
    assert_pending(&got);
    assert_int_equal(vts_socket_loop_get_statistics(&net).requests, 0);
}

BOTH(a_message_needs_pieces_or_control)
{
    char control[8];
    vts_address six = address_of("[::1]:80");
    vts_buffer piece = {buffer, 4};
    vts_message message;
    int fd = connected(&one);

    sim_peer_sends(fd, "12", 2);
    memset(&message, 0, sizeof message);
    assert_at_once(vts_socket_recv_msg(&one, &message, 0, NULL), 0);
    message.control = control;
    message.control_size = sizeof control;
    assert_at_once(vts_socket_recv_msg(&one, &message, 0, NULL), 0);
    memset(&message, 0, sizeof message);
    message.buffers = &piece;
    message.count = 1;
    assert_at_once(vts_socket_recv_msg(&one, &message, 0, NULL), 2);
    message.address = &six;
    assert_at_once(vts_socket_send_msg(&one, &message, 0, NULL), -EAFNOSUPPORT);
}

BOTH(a_file_is_sent_to_its_end)
{
    uint64_t offset = 2;
    char out[64];
    outcome sent = {0};
    int fd = connected(&one);

    sim.file = "0123456789abcdef";
    sim.file_size = 16;
    sim_file_of(fd)->room = 8;
    watch(&sent, vts_socket_send_file(&one, 3, &offset, 100, NULL));
    assert_pending(&sent);
    assert_int_equal(offset, 10);
    assert_int_equal(sim_peer_takes(fd, out, sizeof out), 8);
    assert_memory_equal(out, "23456789", 8);
    settle();
    assert_done(&sent, 14);
    assert_int_equal(offset, 16);
    assert_int_equal(sim_peer_takes(fd, out, sizeof out), 6);
    assert_at_once(vts_socket_send_file(&one, 3, &offset, 1, NULL), 0);
    offset = 4;
    sim.most = 2;
    assert_at_once(vts_socket_send_file(&one, 3, &offset, 5, NULL), 5);
    assert_int_equal(offset, 9);
    assert_at_once(vts_socket_send_file(&one, 3, &offset, 0, NULL), 0);
}

BOTH(a_file_that_fails_midway_tells_how_far_it_came)
{
    uint64_t offset = 0;
    outcome sent = {0};
    int fd = connected(&one);

    sim.file = "0123456789abcdef";
    sim.file_size = 16;
    sim_file_of(fd)->room = 8;
    watch(&sent, vts_socket_send_file(&one, 3, &offset, 16, NULL));
    sim_peer_resets(fd);
    settle();
    assert_done(&sent, -ECONNRESET);
    assert_int_equal(offset, 8);
    sim_fails(SIM_SENDFILE, 1, EIO);
    assert_at_once(vts_socket_send_file(&one, 3, &offset, 8, NULL), -EIO);
}

// ----------------------------------------------------------------------------------
// Connections: resets, ends, connecting, disconnecting
// ----------------------------------------------------------------------------------

BOTH(a_reset_is_told_before_during_and_after)
{
    outcome got = {0}, sent = {0};
    int fd = connected(&one);

    sim_peer_resets(fd);
    assert_at_once(receive(&one, NULL), -ECONNRESET);
    assert_at_once(receive(&one, NULL), 0);
    assert_at_once(vts_socket_send(&one, "x", 1, 0, NULL), -EPIPE);

    fd = connected(&two);
    sim_file_of(fd)->room = 4;
    watch(&sent, vts_socket_send_all(&two, buffer, 8, 0, NULL));
    receives(&got, &two);
    sim_peer_resets(fd);
    settle();
    assert_done(&got, -ECONNRESET);
    assert_done(&sent, -EPIPE);

    fd = connected(&three);
    receives(&got, &three);
    sim_peer_sends(fd, "x", 1);
    sim_peer_resets(fd);
    settle();
    assert_done(&got, 1);
    watch(&got, receive(&three, NULL));
    settle();
    assert_done(&got, -ECONNRESET);
}

BOTH(either_half_may_end_alone)
{
    outcome got = {0};
    char out[8];
    int fd = connected(&one);

    assert_at_once(vts_socket_shutdown(&one, VTS_SHUTDOWN_SEND), 0);
    receives(&got, &one);
    settle();
    assert_pending(&got);
    sim_peer_sends(fd, "x", 1);
    settle();
    assert_done(&got, 1);
    assert_at_once(vts_socket_send(&one, "x", 1, 0, NULL), -EPIPE);

    fd = connected(&two);
    receives(&got, &two);
    sim_peer_ends(fd);
    settle();
    assert_done(&got, 0);
    assert_at_once(vts_socket_send(&two, "x", 1, 0, NULL), 1);
    assert_int_equal(sim_peer_takes(fd, out, sizeof out), 1);
}

BOTH(a_shutdown_of_sending_waits_for_what_is_sent)
{
    outcome sent = {0}, shut = {0};
    char out[16];
    int fd = connected(&one);

    sim_file_of(fd)->room = 4;
    watch(&sent, vts_socket_send_all(&one, "12345678", 8, 0, NULL));
    watch(&shut, vts_socket_shutdown(&one, VTS_SHUTDOWN_SEND));
    assert_false(sim_file_of(fd)->out_ended);
    assert_int_equal(sim_peer_takes(fd, out, sizeof out), 4);
    settle();
    assert_done(&sent, 8);
    assert_done(&shut, 0);
    assert_true(sent.order < shut.order);
    assert_true(sim_file_of(fd)->out_ended);
}

BOTH(a_shutdown_of_receiving_waits_for_nobody)
{
    outcome sent = {0}, got = {0};
    int fd = connected(&one);

    sim_file_of(fd)->room = 4;
    watch(&sent, vts_socket_send_all(&one, "12345678", 8, 0, NULL));
    receives(&got, &one);
    assert_at_once(vts_socket_shutdown(&one, VTS_SHUTDOWN_RECEIVE), 0);
    settle();
    assert_done(&got, 0);
    assert_pending(&sent);
    assert_at_once(vts_socket_close(&one), 0);
    assert_canceled(&sent, -ECANCELED);
    opened(&two, VTS_IPV4, VTS_STREAM);
    assert_at_once(vts_socket_shutdown(&two, VTS_SHUTDOWN_BOTH), -ENOTCONN);
}

BOTH(a_connect_takes_its_time)
{
    vts_address to = address_of("127.0.0.1:80"), peer;
    outcome done = {0};
    int fd = opened(&one, VTS_IPV4, VTS_STREAM);

    assert_code(vts_socket_remote_address(&one, &peer), -ENOTCONN);
    assert_at_once(vts_socket_connect(&one, &to, NULL), 0);
    assert_at_once(vts_socket_connect(&one, &to, NULL), -EISCONN);
    assert_code(vts_socket_remote_address(&one, &peer), VTS_OK);
    assert_true(vts_address_equals(&peer, &to));

    sim.connects_later = true;
    fd = opened(&two, VTS_IPV4, VTS_STREAM);
    watch(&done, vts_socket_connect(&two, &to, NULL));
    settle();
    assert_pending(&done);
    sim_peer_answers(fd, 0);
    settle();
    assert_done(&done, 0);
    assert_at_once(vts_socket_send(&two, "x", 1, 0, NULL), 1);
}

BOTH(a_connect_fails_as_it_does)
{
    const int errors[] = {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH};
    vts_address to = address_of("127.0.0.1:80");

    sim.connects_later = true;
    for (int i = 0; i < 4; i++) {
        outcome done = {0};
        int fd = opened(&one, VTS_IPV4, VTS_STREAM);
        watch(&done, vts_socket_connect(&one, &to, NULL));
        sim_peer_answers(fd, errors[i]);
        settle();
        assert_done(&done, -errors[i]);
        assert_at_once(vts_socket_close(&one), 0);
        opened(&one, VTS_IPV4, VTS_STREAM);
        sim_fails(SIM_CONNECT, 1, errors[i]);
        assert_at_once(vts_socket_connect(&one, &to, NULL), -errors[i]);
        assert_at_once(vts_socket_close(&one), 0);
    }
}

BOTH(what_a_connect_asks_may_fail_too)
{
    vts_address to = address_of("127.0.0.1:80");
    const sim_call asked[] = {SIM_GETSOCKOPT, SIM_GETPEERNAME};

    sim.connects_later = true;
    for (int i = 0; i < 2; i++) {
        outcome done = {0};
        int fd = opened(&one, VTS_IPV4, VTS_STREAM);
        watch(&done, vts_socket_connect(&one, &to, NULL));
        sim_peer_answers(fd, 0);
        sim_fails(asked[i], 1, EIO);
        settle();
        assert_done(&done, -EIO);
        assert_at_once(vts_socket_close(&one), 0);
    }
}

/* The poller reports the socket that it was before. */
BOTH(a_connect_is_not_done_by_an_older_event)
{
    vts_address to = address_of("127.0.0.1:80");
    outcome done = {0};
    int fd = opened(&one, VTS_IPV4, VTS_STREAM);

    sim.connects_later = true;
    watch(&done, vts_socket_connect(&one, &to, NULL));
    for (int i = 0; i < 3; i++) {
        sim_file_of(fd)->in_ended = true;
        vts__socket_event(&net, &one, true, true);
        assert_pending(&done);
    }
    sim_file_of(fd)->in_ended = false;
    sim_peer_answers(fd, 0);
    settle();
    assert_done(&done, 0);
}

BOTH(a_connect_to_a_full_unix_listener_looks_again_after_a_pause)
{
    vts_address to = address_of("unix:@full");
    outcome done = {0};

    opened(&one, VTS_UNIX, VTS_STREAM);
    sim_always_fails(SIM_CONNECT, EAGAIN);
    watch(&done, vts_socket_connect(&one, &to, NULL));
    settle();
    assert_pending(&done);
    assert_true(calls(SIM_CONNECT) <= 3);
    sim.now += VTS__SOCKET_PAUSE;
    settle();
    assert_pending(&done);
    sim_always_fails(SIM_CONNECT, 0);
    settle();
    assert_pending(&done);
    sim.now += VTS__SOCKET_PAUSE;
    settle();
    assert_done(&done, 0);
    assert_true(vts_socket_loop_get_statistics(&net).backoffs >= 2);
}

BOTH(a_disconnect_drains_and_leaves_a_socket_that_connects_again)
{
    vts_address to = address_of("127.0.0.1:81");
    outcome gone = {0}, got = {0};
    int fd = connected(&one);

    sim_peer_sends(fd, "x", 1);
    assert_at_once(receive(&one, NULL), 1);
    watch(&gone, vts_socket_disconnect(&one, NULL));
    assert_true(sim_file_of(fd)->out_ended);
    settle();
    assert_pending(&gone);
    sim_peer_sends(fd, "dropped", 7);
    settle();
    assert_pending(&gone);
    sim_peer_ends(fd);
    settle();
    assert_done(&gone, 0);
    assert_int_equal(calls(SIM_SHUTDOWN), 1);

    sim.connects_later = true;
    watch(&gone, vts_socket_connect(&one, &to, NULL));
    settle();
    assert_pending(&gone);
    sim_peer_answers(fd, 0);
    settle();
    assert_done(&gone, 0);
    receives(&got, &one);
    sim_peer_sends(fd, "again", 5);
    settle();
    assert_done(&got, 5);
}

/* Where a receive came first, too. */
BOTH(a_disconnect_says_so_as_soon_as_it_is_its_turn)
{
    outcome gone = {0}, got = {0};
    int fd = connected(&one);

    receives(&got, &one);
    watch(&gone, vts_socket_disconnect(&one, NULL));
    assert_false(sim_file_of(fd)->out_ended);
    sim_peer_sends(fd, "x", 1);
    settle();
    assert_done(&got, 1);
    assert_true(sim_file_of(fd)->out_ended);
    sim_peer_ends(fd);
    settle();
    assert_done(&gone, 0);
}

BOTH(a_disconnect_survives_a_reset_and_tells_of_failures)
{
    int fd = connected(&one);

    sim_fails(SIM_SHUTDOWN, 1, ENOTCONN);
    assert_at_once(vts_socket_disconnect(&one, NULL), -ENOTCONN);
    sim_fails(SIM_RECV, 1, EIO);
    assert_at_once(vts_socket_disconnect(&one, NULL), -EIO);
    sim_fails(SIM_RECV, 1, ENOTCONN);
    assert_at_once(vts_socket_disconnect(&one, NULL), 0);
    fd = connected(&two);
    sim_file_of(fd)->error = ECONNRESET;
    sim_fails(SIM_CONNECT, 1, EAFNOSUPPORT);
    assert_at_once(vts_socket_disconnect(&two, NULL), 0);
    connected(&three);
    sim_file_of(vts_socket_descriptor(&three))->in_ended = true;
    sim_fails(SIM_CONNECT, 1, EIO);
    assert_at_once(vts_socket_disconnect(&three, NULL), -EIO);
}

BOTH(a_datagram_socket_forgets_its_peer)
{
    vts_address to = address_of("127.0.0.1:81");
    vts_socket_limit limit = {sim.now + 1, {NULL}};
    outcome got = {0};

    opened(&one, VTS_IPV4, VTS_DATAGRAM);
    assert_at_once(vts_socket_connect(&one, &to, NULL), 0);
    watch(&got, receive(&one, &limit));
    sim.now += 1;
    settle();
    assert_canceled(&got, -ETIMEDOUT);
    assert_at_once(vts_socket_disconnect(&one, NULL), 0);
    assert_int_equal(calls(SIM_SHUTDOWN), 0);
    assert_at_once(vts_socket_send(&one, "x", 1, 0, NULL), -EDESTADDRREQ);
    limit.deadline = vts_after(1);
    sim_peer_is_full(vts_socket_descriptor(&one), true);
    watch(&got, vts_socket_send_to(&one, "x", 1, 0, &to, &limit));
    sim.now += 1;
    settle();
    assert_canceled(&got, -ETIMEDOUT);
    assert_at_once(vts_socket_connect(&one, &to, NULL), 0);
}

// ----------------------------------------------------------------------------------
// Accepting
// ----------------------------------------------------------------------------------

/* What an accept gave, closed. */
static void assert_accepted(outcome *self)
{
    assert_int_equal(self->completions, 1);
    assert_true(self->result >= SIM_FIRST);
    assert_code(vts_socket_adopt(&three, &net, (int)self->result), VTS_OK);
    assert_at_once(vts_socket_close(&three), 0);
}

BOTH(an_accept_waits_and_tells_who_comes)
{
    vts_address from;
    outcome got = {0};
    int fd = listening(&one);

    watch(&got, vts_socket_accept(&one, &from, NULL));
    settle();
    assert_pending(&got);
    sim_peer_connects(fd, 1000);
    sim_peer_connects(fd, 1001);
    settle();
    assert_accepted(&got);
    assert_int_equal(vts_address_port(&from), 1000);
    watch(&got, vts_socket_accept(&one, NULL, NULL));
    assert_accepted(&got);
    watch(&got, vts_socket_accept(&one, &from, NULL));
    assert_pending(&got);
    assert_at_once(vts_socket_close(&one), 0);
    opened(&two, VTS_IPV4, VTS_STREAM);
    assert_at_once(vts_socket_accept(&two, NULL, NULL), -EINVAL);
}

BOTH(what_is_wrong_with_one_connection_is_not_with_the_listener)
{
    const int passing[] = {ECONNABORTED, EPROTO,      ENOPROTOOPT, ENETDOWN, EHOSTDOWN,
                           EHOSTUNREACH, ENETUNREACH, VTS__ENONET, ETIMEDOUT};
    int fd = listening(&one);

    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        outcome got = {0};
        sim_peer_connects(fd, 1);
        sim_fails(SIM_ACCEPT, 1, passing[i]);
        watch(&got, vts_socket_accept(&one, NULL, NULL));
        assert_accepted(&got);
    }
    sim_fails(SIM_ACCEPT, 1, EPERM);
    assert_at_once(vts_socket_accept(&one, NULL, NULL), -EPERM);
}

BOTH(an_accept_without_descriptors_looks_ten_times_a_second)
{
    const int shortages[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    int fd = listening(&one);

    for (int i = 0; i < 4; i++) {
        outcome got = {0};
        unsigned before = calls(SIM_ACCEPT);
        sim_peer_connects(fd, 1);
        sim_always_fails(SIM_ACCEPT, shortages[i]);
        watch(&got, vts_socket_accept(&one, NULL, NULL));
        for (unsigned pauses = 0; pauses < 5; pauses++) {
            settle();
            assert_pending(&got);
            assert_int_equal(calls(SIM_ACCEPT), before + 1 + pauses);
            sim.now += VTS__SOCKET_PAUSE;
        }
        sim_always_fails(SIM_ACCEPT, 0);
        settle();
        assert_accepted(&got);
        assert_int_equal(backoffs(), 5 * (uint64_t)(i + 1));
    }
}

BOTH(an_accept_goes_on_when_this_loop_closes_a_socket)
{
    outcome first = {0}, second = {0};
    int fd = listening(&one);

    connected(&two);
    sim_peer_connects(fd, 1);
    sim_peer_connects(fd, 2);
    sim_always_fails(SIM_ACCEPT, EMFILE);
    watch(&first, vts_socket_accept(&one, NULL, NULL));
    watch(&second, vts_socket_accept(&one, NULL, NULL));
    settle();
    sim_always_fails(SIM_ACCEPT, 0);
    settle();
    assert_pending(&first);
    assert_at_once(vts_socket_close(&two), 0);
    settle();
    assert_accepted(&first);
    assert_accepted(&second);
    assert_true(first.order < second.order);
}

/* Each connection that comes makes it look, and nothing else does. */
BOTH(connections_do_not_make_a_listener_without_descriptors_spin)
{
    outcome got = {0};
    unsigned before;
    int fd = listening(&one);

    watch(&got, vts_socket_accept(&one, NULL, NULL));
    sim_always_fails(SIM_ACCEPT, EMFILE);
    sim_peer_connects(fd, 1);
    settle();
    before = calls(SIM_ACCEPT);
    for (int i = 0; i < 10; i++) sim_peer_connects(fd, 2);
    settle();
    settle();
    assert_true(calls(SIM_ACCEPT) <= before + 1);
    assert_pending(&got);
    assert_at_once(vts_socket_close(&one), 0);
    assert_canceled(&got, -ECANCELED);
}

static void close_two(outcome *self)
{
    (void)self;
    if (vts_socket_is_open(&two)) assert_at_once(vts_socket_close(&two), 0);
}

/* Two and three listeners pause; one is closed, another closes one, one is canceled. */
BOTH(listeners_that_pause_may_be_closed)
{
    vts_socket_limit limit = {sim.now + VTS__SOCKET_PAUSE / 2, {NULL}};
    outcome got[3] = {{.then = close_two}, {0}, {0}};

    sim_peer_connects(listening(&one), 1);
    sim_peer_connects(listening(&two), 1);
    sim_peer_connects(listening(&three), 1);
    sim_always_fails(SIM_ACCEPT, EMFILE);
    watch(&got[0], vts_socket_accept(&one, NULL, NULL));
    watch(&got[1], vts_socket_accept(&two, NULL, NULL));
    watch(&got[2], vts_socket_accept(&three, NULL, &limit));
    sim.now += VTS__SOCKET_PAUSE / 2;
    settle();
    assert_canceled(&got[2], -ETIMEDOUT);
    sim_always_fails(SIM_ACCEPT, 0);
    sim.now += VTS__SOCKET_PAUSE / 2;
    settle();
    assert_int_equal(got[0].completions, 1);
    assert_canceled(&got[1], -ECANCELED);
    assert_at_once(vts_socket_close(&three), 0);
    assert_accepted(&got[0]);
}

BOTH(the_last_listener_that_pauses_may_be_closed)
{
    outcome got[2] = {{0}, {0}};

    listening(&one);
    listening(&two);
    sim_always_fails(SIM_ACCEPT, EMFILE);
    watch(&got[0], vts_socket_accept(&one, NULL, NULL));
    watch(&got[1], vts_socket_accept(&two, NULL, NULL));
    assert_at_once(vts_socket_close(&two), 0);
    assert_at_once(vts_socket_close(&one), 0);
    assert_canceled(&got[0], -ECANCELED);
    assert_canceled(&got[1], -ECANCELED);
    assert_int_equal(net.loop.armed, 0);
}

static void try_once_more(outcome *self)
{
    if (self->result >= 0 || !vts_socket_is_open(&one)) return;
    watch(self, vts_socket_accept(&one, NULL, NULL));
}

/* Inside the look of a pause: the others have their turn all the same. */
BOTH(a_close_inside_the_look_of_a_pause_is_fine)
{
    outcome got[2] = {{.then = close_two}, {.then = try_once_more}};

    listening(&one);
    listening(&two);
    sim_always_fails(SIM_ACCEPT, EMFILE);
    watch(&got[0], vts_socket_accept(&one, NULL, NULL));
    watch(&got[1], vts_socket_accept(&two, NULL, NULL));
    settle();
    sim_always_fails(SIM_ACCEPT, 0);
    sim_fails(SIM_ACCEPT, 1, EPERM);
    sim.now += VTS__SOCKET_PAUSE;
    settle();
    assert_done(&got[0], -EPERM);
    assert_pending(&got[1]);
    assert_at_once(vts_socket_close(&one), 0);
}

// ----------------------------------------------------------------------------------
// Closing
// ----------------------------------------------------------------------------------

BOTH(a_close_cancels_all_that_waits_once)
{
    outcome got[3] = {{0}, {0}, {0}}, sent[2] = {{0}, {0}};
    int fd = connected(&one);

    sim_file_of(fd)->room = 4;
    for (int i = 0; i < 3; i++) receives(&got[i], &one);
    for (int i = 0; i < 2; i++) {
        watch(&sent[i], vts_socket_send_all(&one, buffer, 8, 0, NULL));
    }
    settle();
    assert_at_once(vts_socket_close(&one), 0);
    settle();
    for (int i = 0; i < 3; i++) assert_canceled(&got[i], -ECANCELED);
    for (int i = 0; i < 2; i++) assert_canceled(&sent[i], -ECANCELED);
    assert_true(got[0].order < got[1].order && got[1].order < got[2].order);
    assert_at_once(vts_socket_close(&one), VTS_E_CLOSED);
    assert_at_once(receive(&one, NULL), VTS_E_CLOSED);
    assert_int_equal(vts_socket_descriptor(&one), -1);
}

static void close_one(outcome *self)
{
    (void)self;
    assert_at_once(vts_socket_close(&one), 0);
}

BOTH(a_completion_may_close_its_socket)
{
    outcome first = {.then = close_one}, second = {0}, sent = {0};
    int fd = connected(&one);

    sim_file_of(fd)->room = 4;
    receives(&first, &one);
    receives(&second, &one);
    watch(&sent, vts_socket_send_all(&one, buffer, 8, 0, NULL));
    sim_peer_sends(fd, "x", 1);
    sim_peer_takes(fd, buffer, 4);
    settle();
    assert_done(&first, 1);
    assert_canceled(&second, -ECANCELED);
    assert_canceled(&sent, -ECANCELED);
}

typedef struct owned {
    vts_socket socket;
    outcome got, sent;
    int left;
} owned;

static void owned_is_done(owned *self)
{
    if (--self->left != 0) return;
    memset(self, 0xee, sizeof *self);
    free(self);
}

static void owned_got(outcome *self)
{
    owned *mine = vts__container_of(self, owned, got);

    if (self->status == VTS_SUCCEEDED)
        assert_at_once(vts_socket_close(&mine->socket), 0);
    owned_is_done(mine);
}

static void owned_sent(outcome *self)
{
    owned_is_done(vts__container_of(self, owned, sent));
}

static owned *owned_new(int *descriptor)
{
    owned *self = (owned *)calloc(1, sizeof *self);

    self->left = 2;
    self->got.then = owned_got;
    self->sent.then = owned_sent;
    *descriptor = connected(&self->socket);
    sim_file_of(*descriptor)->room = 4;
    watch(&self->got, receive(&self->socket, NULL));
    watch(&self->sent, vts_socket_send_all(&self->socket, "12345678", 8, 0, NULL));
    return self;
}

/* Closed from outside, and inside of a completion whose event has the other direction,
   too. */
BOTH(the_last_completion_may_free_the_socket)
{
    int fd;
    owned *self = owned_new(&fd);

    assert_at_once(vts_socket_close(&self->socket), 0);
    owned_new(&fd);
    sim_peer_sends(fd, "x", 1);
    sim_peer_takes(fd, buffer, 4);
    settle();
    assert_int_equal(vts_socket_loop_get_statistics(&net).sockets, 0);
}

static outcome *others;

/* The event of one closes two, whose event waits in the same batch, and opens it again:
   with the number and the memory that it had. */
static void replace_two(outcome *self)
{
    int before = vts_socket_descriptor(&two);

    (void)self;
    assert_at_once(vts_socket_close(&two), 0);
    assert_int_equal(connected(&two), before);
    watch(&others[1], receive(&two, NULL));
}

BOTH(an_event_of_a_closed_socket_reaches_nobody)
{
    outcome first = {.then = replace_two}, second[2] = {{0}, {0}};
    int fd1 = connected(&one), fd2 = connected(&two);
    uint64_t before;

    others = second;
    receives(&first, &one);
    receives(&second[0], &two);
    sim_peer_sends(fd1, "x", 1);
    sim_peer_sends(fd2, "old", 3);
    sim_peer_ends(fd2);
    before = vts_socket_loop_get_statistics(&net).events;
    pass();
    assert_done(&first, 1);
    assert_canceled(&second[0], -ECANCELED);
    assert_pending(&second[1]);
    assert_int_equal(vts_socket_loop_get_statistics(&net).events, before + 1);
    settle();
    assert_pending(&second[1]);
    sim_peer_sends(fd2, "new", 3);
    settle();
    assert_done(&second[1], 3);
    assert_memory_equal(buffer, "new", 3);
}

/* The same of its own event. */
static void replace_one(outcome *self)
{
    (void)self;
    assert_at_once(vts_socket_close(&one), 0);
    connected(&one);
    watch(&others[1], receive(&one, NULL));
}

BOTH(a_completion_may_replace_its_socket)
{
    outcome got[3] = {{.then = replace_one}, {0}, {0}};
    int fd = connected(&one);

    others = got;
    receives(&got[0], &one);
    receives(&got[2], &one);
    sim_peer_sends(fd, "x", 1);
    settle();
    assert_done(&got[0], 1);
    assert_canceled(&got[2], -ECANCELED);
    assert_pending(&got[1]);
    sim_peer_sends(fd, "new", 3);
    settle();
    assert_done(&got[1], 3);
}

/* While a close cancels, the first canceled opens it again and uses it. */
BOTH(a_canceled_operation_may_open_its_socket_again)
{
    outcome got[3] = {{0}, {0}, {0}};
    int fd;

    others = got;
    connected(&one);
    receives(&got[0], &one);
    receives(&got[2], &one);
    got[0].then = NULL;
    got[2].then = NULL;
    assert_at_once(vts_socket_close(&one), 0);
    assert_canceled(&got[0], -ECANCELED);
    fd = connected(&one);
    receives(&got[1], &one);
    sim_peer_sends(fd, "new", 3);
    settle();
    assert_done(&got[1], 3);
}

static void open_one_again(outcome *self)
{
    (void)self;
    if (self->status != VTS_CANCELED) return;
    connected(&one);
    watch(&others[1], receive(&one, NULL));
    assert_pending(&others[1]);
}

BOTH(a_close_that_is_not_done_yet_leaves_a_new_socket_alone)
{
    outcome got[3] = {{.then = open_one_again}, {0}, {0}};

    others = got;
    connected(&one);
    receives(&got[0], &one);
    receives(&got[2], &one);
    assert_at_once(vts_socket_close(&one), 0);
    assert_canceled(&got[0], -ECANCELED);
    assert_canceled(&got[2], -ECANCELED);
    assert_pending(&got[1]);
    sim_peer_sends(vts_socket_descriptor(&one), "new", 3);
    settle();
    assert_done(&got[1], 3);
}

// ----------------------------------------------------------------------------------
// Limits: tokens and deadlines
// ----------------------------------------------------------------------------------

BOTH(a_canceled_token_wins_over_data)
{
    vts_cancellation_source cancel = {0};
    vts_socket_limit limit = {0, {&cancel}};
    int fd = connected(&one);

    vts_cancellation_cancel(&cancel);
    sim_peer_sends(fd, "x", 1);
    assert_canceled_at_once(receive(&one, &limit), -ECANCELED);
    assert_int_equal(calls(SIM_RECV), 0);
    assert_at_once(receive(&one, NULL), 1);
}

BOTH(a_token_cancels_what_waits)
{
    vts_cancellation_source cancel = {0};
    vts_socket_limit limit = {0, {&cancel}};
    outcome got[4] = {{0}, {0}, {0}, {0}};
    int fd = connected(&one);

    receives(&got[0], &one);
    watch(&got[1], receive(&one, &limit));
    receives(&got[2], &one);
    watch(&got[3], receive(&one, &limit));
    vts_cancellation_cancel(&cancel);
    assert_pending(&got[1]);
    settle();
    assert_canceled(&got[1], -ECANCELED);
    assert_canceled(&got[3], -ECANCELED);
    sim_peer_sends(fd, "x", 1);
    settle();
    assert_done(&got[0], 1);
    sim_peer_sends(fd, "y", 1);
    settle();
    assert_done(&got[2], 1);
    assert_code(vts_cancellation_dispose(&cancel), VTS_OK);
    cancel.state = 0;
    assert_code(vts_cancellation_dispose(&cancel), VTS_OK);
    assert_at_once(receive(&one, &limit), VTS_E_CLOSED);
}

/* The first of those that wait: the second takes its place. */
BOTH(what_waits_behind_a_canceled_one_goes_on)
{
    vts_cancellation_source cancel = {0};
    vts_socket_limit limit = {0, {&cancel}};
    outcome got[2] = {{0}, {0}};
    int fd = connected(&one);

    watch(&got[0], receive(&one, &limit));
    receives(&got[1], &one);
    vts_cancellation_cancel(&cancel);
    settle();
    assert_canceled(&got[0], -ECANCELED);
    sim_peer_sends(fd, "x", 1);
    settle();
    assert_done(&got[1], 1);
}

/* Nothing that a poller tells would move them. */
BOTH(what_needs_no_event_goes_on_behind_a_canceled_one)
{
    vts_socket_limit limit = {vts_after(5), {NULL}};
    outcome sent = {0}, shut = {0}, got = {0}, gone = {0};
    int fd = connected(&one);

    sim_file_of(fd)->room = 4;
    watch(&sent, vts_socket_send_all(&one, "12345678", 8, 0, &limit));
    watch(&shut, vts_socket_shutdown(&one, VTS_SHUTDOWN_SEND));
    fd = connected(&two);
    watch(&got, receive(&two, &limit));
    watch(&gone, vts_socket_disconnect(&two, NULL));
    settle();
    sim.now += 5;
    settle();
    assert_canceled(&sent, -ETIMEDOUT);
    assert_done(&shut, 0);
    assert_canceled(&got, -ETIMEDOUT);
    assert_true(sim_file_of(fd)->out_ended);
    sim_peer_ends(fd);
    settle();
    assert_done(&gone, 0);
}

static void close_and_free(outcome *self)
{
    owned *mine = vts__container_of(self, owned, got);

    assert_canceled(self, -ETIMEDOUT);
    assert_at_once(vts_socket_close(&mine->socket), 0);
    mine->left = 1;
    owned_is_done(mine);
}

BOTH(a_canceled_operation_may_free_its_socket)
{
    vts_socket_limit limit = {vts_after(5), {NULL}};
    owned *self = (owned *)calloc(1, sizeof *self);

    self->got.then = close_and_free;
    connected(&self->socket);
    watch(&self->got, receive(&self->socket, &limit));
    sim.now += 5;
    settle();
    assert_int_equal(vts_socket_loop_get_statistics(&net).sockets, 0);
}

static vts_cancellation_source asked;

static void ask_to_cancel(outcome *self)
{
    (void)self;
    vts_cancellation_cancel(&asked);
}

/* Asked while the event is in the batch: the data are there first. Not a byte is lost. */
BOTH(data_may_come_before_a_cancel_that_was_asked_for)
{
    vts_socket_limit limit = {0, {&asked}};
    outcome first = {.then = ask_to_cancel}, second = {0};
    int fd1 = connected(&one), fd2 = connected(&two);

    memset(&asked, 0, sizeof asked);
    receives(&first, &one);
    watch(&second, receive(&two, &limit));
    sim_peer_sends(fd1, "x", 1);
    sim_peer_sends(fd2, "data", 4);
    settle();
    assert_done(&first, 1);
    assert_done(&second, 4);
}

/* The other order: the cancel runs first, and the data stay. */
BOTH(a_cancel_may_come_before_data_that_are_on_their_way)
{
    vts_socket_limit limit = {0, {&asked}};
    outcome got = {0};
    int fd = connected(&one);

    memset(&asked, 0, sizeof asked);
    watch(&got, receive(&one, &limit));
    vts_cancellation_cancel(&asked);
    sim_peer_sends(fd, "data", 4);
    settle();
    assert_canceled(&got, -ECANCELED);
    assert_at_once(receive(&one, NULL), 4);
}

/* A close, and a deadline, against a cancel that is asked for: each completes once. */
BOTH(a_cancel_that_is_late_changes_nothing)
{
    vts_socket_limit limit = {0, {&asked}};
    outcome got = {0};

    memset(&asked, 0, sizeof asked);
    connected(&one);
    watch(&got, receive(&one, &limit));
    vts_cancellation_cancel(&asked);
    assert_at_once(vts_socket_close(&one), 0);
    assert_pending(&got);
    settle();
    assert_canceled(&got, -ECANCELED);

    memset(&asked, 0, sizeof asked);
    limit.deadline = vts_after(5);
    connected(&one);
    watch(&got, receive(&one, &limit));
    sim.now += 5;
    vts_cancellation_cancel(&asked);
    settle();
    assert_canceled(&got, -ETIMEDOUT);
    assert_int_equal(vts_socket_loop_get_statistics(&net).requests, 0);
}

BOTH(a_deadline_ends_what_waits)
{
    vts_socket_limit limit = {0, {NULL}}, never = {VTS_NEVER, {NULL}};
    outcome got[2] = {{0}, {0}};
    int fd = connected(&one);

    limit.deadline = vts_after(VTS_SECONDS(5));
    watch(&got[0], receive(&one, &limit));
    watch(&got[1], receive(&one, &never));
    sim.now += VTS_SECONDS(5) - 1;
    settle();
    assert_pending(&got[0]);
    sim.now += 1;
    settle();
    assert_canceled(&got[0], -ETIMEDOUT);
    sim.now += VTS_SECONDS(1000000);
    settle();
    assert_pending(&got[1]);
    sim_peer_sends(fd, "x", 1);
    settle();
    assert_done(&got[1], 1);

    limit.deadline = vts_after(VTS_SECONDS(5));
    watch(&got[0], receive(&one, &limit));
    sim_peer_sends(fd, "y", 1);
    settle();
    assert_done(&got[0], 1);
    assert_int_equal(net.loop.armed, 0);
}

BOTH(a_deadline_that_is_past_takes_only_what_is_there)
{
    vts_socket_limit limit = {1, {NULL}};
    outcome got = {0};
    int fd = connected(&one);

    sim_peer_sends(fd, "x", 1);
    assert_at_once(receive(&one, &limit), 1);
    watch(&got, receive(&one, &limit));
    assert_pending(&got);
    settle();
    assert_canceled(&got, -ETIMEDOUT);
}

// ----------------------------------------------------------------------------------
// More than one at a time, and inside of completions
// ----------------------------------------------------------------------------------

BOTH(operations_of_one_direction_complete_in_order)
{
    outcome got[3] = {{0}, {0}, {0}};
    char data[3][4];
    int fd = connected(&one);

    for (int i = 0; i < 3; i++) {
        watch(&got[i], vts_socket_recv(&one, data[i], 2, 0, NULL));
    }
    assert_int_equal(vts_socket_loop_get_statistics(&net).requests, 2);
    sim_peer_sends(fd, "abcdef", 6);
    settle();
    for (int i = 0; i < 3; i++) {
        assert_done(&got[i], 2);
        assert_int_equal(got[i].order - got[0].order, i);
        assert_memory_equal(data[i], &"abcdef"[2 * i], 2);
    }
    assert_int_equal(vts_socket_loop_get_statistics(&net).requests, 0);
}

/* While its last result was not taken, the direction's own record is in use. */
BOTH(a_result_that_nobody_took_keeps_its_record)
{
    vts_valuetask task;
    outcome got = {0};
    int fd = connected(&one);

    task = receive(&one, NULL);
    sim_peer_sends(fd, "x", 1);
    settle();
    watch(&got, receive(&one, NULL));
    assert_int_equal(vts_socket_loop_get_statistics(&net).requests, 1);
    assert_at_once(task, 1);
    sim_peer_sends(fd, "y", 1);
    settle();
    assert_done(&got, 1);
}

static void receive_more(outcome *self)
{
    if (self->result <= 0) return;
    watch(&others[1], receive(&one, NULL));
}

BOTH(a_completion_may_start_another_behind_those_that_wait)
{
    outcome got[3] = {{.then = receive_more}, {0}, {0}};
    char data[4];
    int fd = connected(&one);

    others = got;
    watch(&got[0], vts_socket_recv(&one, data, 2, 0, NULL));
    watch(&got[2], vts_socket_recv(&one, data, 2, 0, NULL));
    sim_peer_sends(fd, "abcdef", 6);
    settle();
    assert_done(&got[0], 2);
    assert_done(&got[2], 2);
    assert_done(&got[1], 2);
    assert_true(got[1].order > got[2].order);
    assert_memory_equal(buffer, "ef", 2);
}

static void exhausted(void)
{
    static VTS_POOL_STORAGE(storage, vts_socket_request, 1);
    vts_socket_loop_desc desc = {0};
    vts_socket_limit limit = {VTS_NEVER, {NULL}};
    outcome got[2] = {{0}, {0}};

    desc.requests.storage = storage;
    desc.requests.storage_size = sizeof storage;
    set_up_with(desc);
    connected(&one);
    receives(&got[0], &one);
    watch(&got[1], receive(&one, &limit));
    assert_at_once(receive(&one, NULL), VTS_E_EXHAUSTED);
    assert_at_once(receive(&one, &limit), VTS_E_EXHAUSTED);
    leave();
    assert_at_once(receive(&one, NULL), VTS_E_EXHAUSTED);
    assert_at_once(vts_socket_close(&one), VTS_E_EXHAUSTED);
    enter();
    assert_at_once(vts_socket_close(&one), 0);
    assert_canceled(&got[1], -ECANCELED);
    tear_down();
}

static void an_exhausted_pool_is_told(void)
{
    poller = VTS_POLLER_EPOLL;
    exhausted();
    poller = VTS_POLLER_POLL;
    exhausted();
}

// ----------------------------------------------------------------------------------
// From other threads
// ----------------------------------------------------------------------------------

BOTH(an_operation_from_elsewhere_never_completes_at_once)
{
    outcome got = {0}, second = {0}, wrong = {0};
    int fd = connected(&one);

    connected(&two);
    sim_peer_sends(fd, "data", 4);
    leave();
    watch(&got, receive(&one, NULL));
    watch(&second, receive(&one, NULL));
    watch(&wrong, vts_socket_accept(&two, NULL, NULL));
    enter();
    assert_pending(&got);
    assert_int_equal(calls(SIM_RECV), 0);
    settle();
    assert_done(&got, 4);
    assert_pending(&second);
    assert_done(&wrong, -EINVAL);
    sim_peer_sends(fd, "more", 4);
    settle();
    assert_done(&second, 4);
}

BOTH(a_limit_from_elsewhere_holds)
{
    vts_cancellation_source cancel = {0};
    vts_socket_limit soon = {vts_after(10), {NULL}}, token = {0, {&cancel}};
    outcome late = {0}, canceled = {0}, waits = {0};

    connected(&one);
    leave();
    watch(&late, receive(&one, &soon));
    watch(&canceled, receive(&one, &token));
    vts_cancellation_cancel(&cancel);
    enter();
    memset(&cancel, 0, sizeof cancel);
    settle();
    assert_canceled(&canceled, -ECANCELED);
    assert_pending(&late);
    leave();
    watch(&waits, receive(&one, &token));
    enter();
    settle();
    assert_pending(&waits);
    vts_cancellation_cancel(&cancel);
    sim.now += 10;
    settle();
    assert_canceled(&late, -ETIMEDOUT);
    assert_canceled(&waits, -ECANCELED);
}

BOTH(what_arrives_at_a_closed_socket_is_canceled)
{
    outcome got = {0}, closed = {0}, again = {0};

    connected(&one);
    leave();
    watch(&closed, vts_socket_close(&one));
    watch(&got, receive(&one, NULL));
    watch(&again, vts_socket_close(&one));
    enter();
    assert_true(vts_socket_is_open(&one));
    settle();
    assert_done(&closed, 0);
    assert_canceled(&got, -ECANCELED);
    assert_done(&again, VTS_E_CLOSED);
    assert_false(vts_socket_is_open(&one));
}

/* Closed between the look whether it is open and the start. */
BOTH(what_is_started_while_its_socket_closes_is_canceled)
{
    outcome got = {0};
    vts__io io;

    connected(&one);
    assert_at_once(vts_socket_close(&one), 0);
    vts__io_of(&io, VTS__RECV, buffer, 4, 0, NULL);
    watch(&got, vts__request_post(&net, &one, &io, NULL));
    settle();
    assert_canceled(&got, -ECANCELED);
    assert_int_equal(calls(SIM_RECV), 0);
}

/* It was opened again before the operation arrived: that is another socket. */
BOTH(what_was_for_a_socket_before_is_canceled)
{
    outcome got = {0};

    connected(&one);
    leave();
    watch(&got, receive(&one, NULL));
    enter();
    assert_at_once(vts_socket_close(&one), 0);
    sim_peer_sends(connected(&one), "new", 3);
    settle();
    assert_canceled(&got, -ECANCELED);
    assert_at_once(receive(&one, NULL), 3);
}

BOTH(shutdowns_from_elsewhere_have_their_order)
{
    outcome sent = {0}, shut = {0}, urgent = {0}, got = {0};
    char out[16];
    int fd = connected(&one);

    sim_file_of(fd)->room = 4;
    receives(&got, &one);
    watch(&sent, vts_socket_send_all(&one, "12345678", 8, 0, NULL));
    leave();
    watch(&shut, vts_socket_shutdown(&one, VTS_SHUTDOWN_SEND));
    watch(&urgent, vts_socket_shutdown(&one, VTS_SHUTDOWN_RECEIVE));
    enter();
    settle();
    assert_done(&urgent, 0);
    assert_done(&got, 0);
    assert_pending(&shut);
    sim_peer_takes(fd, out, sizeof out);
    settle();
    assert_done(&sent, 8);
    assert_done(&shut, 0);
}

// ----------------------------------------------------------------------------------
// Bad input
// ----------------------------------------------------------------------------------

#define EVERY_OPERATION 15

/* One of every operation, over any socket. */
static vts_valuetask operation(int number, vts_socket *socket)
{
    static uint64_t offset;
    static vts_buffer piece = {buffer, 4};
    static vts_address address;
    static vts_message message = {&piece, 1, NULL, NULL, 0, false, false};

    offset = 0;
    address = address_of("127.0.0.1:1");
    switch (number) {
    case 0: return vts_socket_recv(socket, buffer, 4, 0, NULL);
    case 1: return vts_socket_recv(socket, NULL, 0, 0, NULL);
    case 2: return vts_socket_recv_from(socket, buffer, 4, 0, &address, NULL);
    case 3: return vts_socket_recv_vector(socket, &piece, 1, 0, NULL);
    case 4: return vts_socket_recv_msg(socket, &message, 0, NULL);
    case 5: return vts_socket_accept(socket, NULL, NULL);
    case 6: return vts_socket_disconnect(socket, NULL);
    case 7: return vts_socket_send(socket, buffer, 4, 0, NULL);
    case 8: return vts_socket_send_all(socket, buffer, 4, 0, NULL);
    case 9: return vts_socket_send_to(socket, buffer, 4, 0, &address, NULL);
    case 10: return vts_socket_send_vector(socket, &piece, 1, 0, NULL);
    case 11: return vts_socket_send_msg(socket, &message, 0, NULL);
    case 12: return vts_socket_send_file(socket, 3, &offset, 4, NULL);
    case 13: return vts_socket_connect(socket, &address, NULL);
    case 14: return vts_socket_shutdown(socket, VTS_SHUTDOWN_SEND);
    default: return vts_socket_close(socket);
    }
}

BOTH(every_operation_needs_an_open_socket)
{
    sim.file_size = 0;
    for (int i = 0; i <= EVERY_OPERATION; i++) {
        assert_at_once(operation(i, NULL), VTS_E_ARGUMENT);
        assert_at_once(operation(i, &one), VTS_E_CLOSED);
    }
    connected(&one);
    assert_at_once(vts_socket_close(&one), 0);
    for (int i = 0; i <= EVERY_OPERATION; i++) {
        assert_at_once(operation(i, &one), VTS_E_CLOSED);
    }
    assert_int_equal(calls(SIM_RECV), 0);
}

#define TOO_MUCH ((size_t)INT_MAX + 1)
#define UNKNOWN_FLAG 64u

BOTH(bad_arguments_of_receiving_are_refused)
{
    vts_buffer none = {NULL, 1};
    vts_address from;

    connected(&one);
    assert_at_once(vts_socket_recv(&one, NULL, 1, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv(&one, buffer, TOO_MUCH, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv(&one, buffer, 1, UNKNOWN_FLAG, NULL),
                   VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv(&one, buffer, 1, VTS_SOCKET_MORE, NULL),
                   VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv_from(&one, NULL, 1, 0, &from, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv_from(&one, buffer, 1, 0, NULL, NULL),
                   VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv_from(&one, buffer, 1, UNKNOWN_FLAG, &from, NULL),
                   VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv_vector(&one, NULL, 1, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv_vector(&one, &none, 1, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv_vector(&one, &none, 0, UNKNOWN_FLAG, NULL),
                   VTS_E_ARGUMENT);
    assert_int_equal(calls(SIM_RECV) + calls(SIM_RECVFROM) + calls(SIM_RECVMSG), 0);
}

BOTH(bad_arguments_of_sending_are_refused)
{
    vts_address to = address_of("127.0.0.1:1"), v6 = address_of("[::1]:1");
    vts_buffer none = {NULL, 1};
    uint64_t offset = 0;

    connected(&one);
    assert_at_once(vts_socket_send(&one, NULL, 1, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send(&one, buffer, TOO_MUCH, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send(&one, buffer, 1, VTS_SOCKET_PEEK, NULL),
                   VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_all(&one, NULL, 1, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_all(&one, buffer, 1, 64, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_to(&one, NULL, 1, 0, &to, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_to(&one, buffer, 1, 64, &to, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_to(&one, buffer, 1, 0, NULL, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_to(&one, buffer, 1, 0, &v6, NULL), -EAFNOSUPPORT);
    assert_at_once(vts_socket_connect(&one, NULL, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_connect(&one, &v6, NULL), -EAFNOSUPPORT);
    assert_at_once(vts_socket_send_vector(&one, NULL, 1, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_vector(&one, &none, 1, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_vector(&one, &none, 0, 64, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_file(&one, 3, NULL, 1, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_file(&one, 3, NULL, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_file(&one, 3, &offset, TOO_MUCH, NULL),
                   VTS_E_ARGUMENT);
    offset = INT64_MAX;
    assert_at_once(vts_socket_send_file(&one, 3, &offset, 1, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_shutdown(&one, (vts_socket_shutdown_how)3),
                   VTS_E_ARGUMENT);
    assert_int_equal(calls(SIM_SEND) + calls(SIM_SENDTO) + calls(SIM_SENDMSG), 0);
}

BOTH(bad_messages_are_refused)
{
    static vts_buffer many[1025];
    vts_buffer large[2] = {{buffer, INT_MAX}, {buffer, 1}};
    vts_message message = {0};

    connected(&one);
    assert_at_once(vts_socket_recv_vector(&one, large, 2, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv_vector(&one, many, 1025, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_vector(&one, many, TOO_MUCH, 0, NULL),
                   VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_vector(&one, many, 1024, 0, NULL), 0);
    assert_at_once(vts_socket_recv_msg(&one, NULL, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_msg(&one, NULL, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_recv_msg(&one, &message, 64, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_msg(&one, &message, 64, NULL), VTS_E_ARGUMENT);
    message.control_size = 1;
    assert_at_once(vts_socket_recv_msg(&one, &message, 0, NULL), VTS_E_ARGUMENT);
    assert_at_once(vts_socket_send_msg(&one, &message, 0, NULL), VTS_E_ARGUMENT);
    message.control_size = 0;
    message.count = 1;
    assert_at_once(vts_socket_recv_msg(&one, &message, 0, NULL), VTS_E_ARGUMENT);
}

BOTH(bad_calls_on_sockets_are_refused)
{
    vts_address to = address_of("127.0.0.1:80"), v6 = address_of("[::1]:80"), got;
    int value;

    assert_code(vts_socket_open(NULL, &net, VTS_IPV4, VTS_STREAM), VTS_E_ARGUMENT);
    assert_code(vts_socket_open(&one, NULL, VTS_IPV4, VTS_STREAM), VTS_E_ARGUMENT);
    assert_code(vts_socket_open(&one, &net, VTS_FAMILY_NONE, VTS_STREAM),
                VTS_E_ARGUMENT);
    assert_code(vts_socket_open(&one, &net, (vts_socket_family)4, VTS_STREAM),
                VTS_E_ARGUMENT);
    assert_code(vts_socket_open(&one, &net, VTS_IPV4, (vts_socket_type)0),
                VTS_E_ARGUMENT);
    assert_code(vts_socket_open(&one, &net, VTS_IPV4, (vts_socket_type)4),
                VTS_E_ARGUMENT);
    assert_code(vts_socket_bind(NULL, &to), VTS_E_ARGUMENT);
    assert_code(vts_socket_bind(&one, &to), VTS_E_CLOSED);
    assert_code(vts_socket_listen(&one, 0), VTS_E_CLOSED);
    assert_code(vts_socket_listen(NULL, 0), VTS_E_ARGUMENT);
    assert_code(vts_socket_set_option(&one, VTS_OPTION_NO_DELAY, 1), VTS_E_CLOSED);
    assert_code(vts_socket_get_option(&one, VTS_OPTION_NO_DELAY, &value), VTS_E_CLOSED);
    assert_code(vts_socket_set_option(NULL, VTS_OPTION_NO_DELAY, 1), VTS_E_ARGUMENT);
    assert_code(vts_socket_get_option(NULL, VTS_OPTION_NO_DELAY, &value),
                VTS_E_ARGUMENT);
    assert_int_equal(vts_socket_descriptor(NULL), -1);
    assert_false(vts_socket_is_open(NULL));

    opened(&one, VTS_IPV4, VTS_STREAM);
    assert_code(vts_socket_open(&one, &net, VTS_IPV4, VTS_STREAM), VTS_E_BUSY);
    assert_code(vts_socket_bind(&one, &v6), -EAFNOSUPPORT);
    assert_code(vts_socket_bind(&one, NULL), VTS_E_ARGUMENT);
    assert_code(vts_socket_listen(&one, 0), -EDESTADDRREQ);
    assert_code(vts_socket_bind(&one, &to), VTS_OK);
    assert_code(vts_socket_listen(&one, -1), VTS_E_ARGUMENT);
    assert_code(vts_socket_listen(&one, 5), VTS_OK);
    assert_code(vts_socket_set_option(&one, (vts_socket_option)8, 1), VTS_E_ARGUMENT);
    assert_code(vts_socket_get_option(&one, (vts_socket_option)8, &value),
                VTS_E_ARGUMENT);
    assert_code(vts_socket_get_option(&one, VTS_OPTION_NO_DELAY, NULL), VTS_E_ARGUMENT);
    assert_code(vts_socket_local_address(&one, NULL), VTS_E_ARGUMENT);
    assert_code(vts_socket_local_address(&one, &got), VTS_OK);
    assert_true(vts_address_equals(&got, &to));

    opened(&two, VTS_UNIX, VTS_STREAM);
    assert_code(vts_socket_listen(&two, 0), -EDESTADDRREQ);
    to = address_of("unix:@x");
    assert_code(vts_socket_bind(&two, &to), VTS_OK);
    assert_code(vts_socket_listen(&two, 0), VTS_OK);
}

BOTH(options_are_the_systems)
{
    int value = 0;

    connected(&one);
    assert_code(vts_socket_set_option(&one, VTS_OPTION_SEND_BUFFER, 4096), VTS_OK);
    assert_code(vts_socket_get_option(&one, VTS_OPTION_SEND_BUFFER, &value), VTS_OK);
    assert_int_equal(value, 4096);
    assert_int_equal(sim_file_of(vts_socket_descriptor(&one))->options[SO_SNDBUF],
                     4096);
}

BOTH(what_opening_asks_of_the_system_may_fail)
{
    const sim_call asked_of[] = {SIM_GETSOCKOPT, SIM_GETSOCKNAME, SIM_SET_NONBLOCKING};
    int fd;

    sim_fails(SIM_SOCKET, 1, EMFILE);
    assert_code(vts_socket_open(&one, &net, VTS_IPV6, VTS_STREAM), -EMFILE);
    fd = sim_connected(AF_INET);
    for (int i = 0; i < 3; i++) {
        sim_fails(asked_of[i], 1, ENOTSOCK);
        assert_code(vts_socket_adopt(&one, &net, fd), -ENOTSOCK);
        assert_false(vts_socket_is_open(&one));
    }
    assert_int_equal(vts_socket_loop_get_statistics(&net).sockets, 0);
    assert_code(vts_socket_adopt(&one, &net, fd), VTS_OK);
    assert_code(vts_socket_adopt(&one, &net, fd), VTS_E_BUSY);
    opened(&two, VTS_UNIX, VTS_SEQPACKET);
    assert_int_equal(sim_file_of(vts_socket_descriptor(&two))->type, SOCK_SEQPACKET);
    assert_code(vts_socket_adopt(&three, &net, -1), -EBADF);
}

// ----------------------------------------------------------------------------------
// A poller that fails
// ----------------------------------------------------------------------------------

/* Each operation that has to wait, with a poller that does not take the socket; then one
   that does. */
BOTH(an_operation_that_cannot_wait_fails)
{
    vts_cancellation_source cancel = {0};
    vts_socket_limit limit = {vts_after(100), {&cancel}};
    outcome got = {0}, posted = {0};
    int fd = connected(&one);

    if (poller == VTS_POLLER_EPOLL)
        sim_always_fails(SIM_EPOLL_CTL, ENOSPC);
    else
        test_fail_at(1);
    watch(&got, receive(&one, NULL));
    assert_done(&got, poller == VTS_POLLER_EPOLL ? -ENOSPC : -ENOMEM);
    if (poller == VTS_POLLER_EPOLL) {
        watch(&got, receive(&one, &limit));
        assert_done(&got, -ENOSPC);
        leave();
        watch(&posted, receive(&one, NULL));
        enter();
        settle();
        assert_done(&posted, -ENOSPC);
    }
    assert_int_equal(net.loop.armed, 0);
    test_fail_at(0);
    sim_always_fails(SIM_EPOLL_CTL, 0);
    receives(&got, &one);
    sim_peer_sends(fd, "x", 1);
    settle();
    assert_done(&got, 1);
}

/* It had to wait for its turn, and then cannot wait for the poller. */
BOTH(an_operation_that_cannot_wait_when_it_is_its_turn_fails)
{
    outcome got = {0}, second = {0};

    connected(&one);
    connected(&two);
    for (int i = 0; i < VTS__SOCKET_TURNS; i++) {
        assert_at_once(vts_socket_send(&two, "x", 1, 0, NULL), 1);
    }
    watch(&got, receive(&one, NULL));
    watch(&second, receive(&one, NULL));
    assert_pending(&got);
    sim_always_fails(SIM_EPOLL_CTL, ENOSPC);
    test_fail_at(poller == VTS_POLLER_POLL ? 1 : 0);
    settle();
    sim_always_fails(SIM_EPOLL_CTL, 0);
    assert_done(&got, poller == VTS_POLLER_EPOLL ? -ENOSPC : -ENOMEM);
    if (poller == VTS_POLLER_EPOLL) assert_done(&second, -ENOSPC);
    assert_at_once(vts_socket_close(&one), 0);
}

/* A listener that pauses lets the turns of others begin at once. */
BOTH(a_turn_comes_before_the_end_of_a_pause)
{
    outcome accepted = {0}, sent = {0};

    listening(&one);
    connected(&two);
    sim_always_fails(SIM_ACCEPT, EMFILE);
    watch(&accepted, vts_socket_accept(&one, NULL, NULL));
    for (int i = 1; i < VTS__SOCKET_TURNS; i++) {
        assert_at_once(vts_socket_send(&two, "x", 1, 0, NULL), 1);
    }
    watch(&sent, vts_socket_send_all(&two, "x", 1, 0, NULL));
    assert_pending(&sent);
    settle();
    assert_done(&sent, 1);
    assert_pending(&accepted);
    assert_at_once(vts_socket_close(&one), 0);
}

static void close_the_socket_of_its_direction(outcome *self)
{
    if (self->status == VTS_CANCELED && vts_socket_is_open(&one)) close_one(self);
}

/* The next one gets its turn when the first is canceled; unless the first closes all. */
BOTH(a_canceled_operation_may_close_its_socket)
{
    vts_socket_limit limit = {vts_after(5), {NULL}};
    outcome got[2] = {{.then = close_the_socket_of_its_direction}, {0}};

    connected(&one);
    watch(&got[0], receive(&one, &limit));
    receives(&got[1], &one);
    sim.now += 5;
    settle();
    assert_canceled(&got[0], -ETIMEDOUT);
    assert_canceled(&got[1], -ECANCELED);
}

/* Five sockets that wait, and the n-th call or allocation fails: that one is told, the
   others work. */
static unsigned crowd(unsigned n)
{
    static vts_socket many[5];
    outcome got[5] = {{0}, {0}, {0}, {0}, {0}};
    unsigned failed = 0;

    memset(many, 0, sizeof many);
    sim_fails(SIM_EPOLL_CTL, poller == VTS_POLLER_EPOLL ? n : 0, ENOMEM);
    for (int i = 0; i < 5; i++) {
        connected(&many[i]);
        if (poller == VTS_POLLER_POLL) test_fail_at((unsigned)i + 1 == n ? 1 : 0);
        watch(&got[i], receive(&many[i], NULL));
        if (got[i].completions != 0)
            failed++;
        else
            sim_peer_sends(vts_socket_descriptor(&many[i]), "x", 1);
    }
    test_fail_at(0);
    sim_fails(SIM_EPOLL_CTL, 0, 0);
    settle();
    for (int i = 0; i < 5; i++) {
        if (got[i].result < 0)
            assert_done(&got[i], -ENOMEM);
        else
            assert_done(&got[i], 1);
        assert_at_once(vts_socket_close(&many[i]), 0);
    }
    return failed;
}

BOTH(one_socket_that_cannot_wait_disturbs_no_other)
{
    unsigned failed = 0;

    for (unsigned n = 1; n <= 6; n++) failed += crowd(n);
    assert_true(failed >= 1);
}

static void wake_up(void) { vts_loop_stop(&net.loop); }

static void nothing(void *arg) { (void)arg; }

/* Posts from elsewhere end a sleep; a deadline does, too. */
BOTH(a_loop_that_sleeps_is_woken)
{
    vts_socket_limit limit = {vts_after(VTS_SECONDS(7200)), {NULL}};
    outcome got = {0};
    vts_time before = sim.now;
    unsigned sleeps = 0;

    connected(&one);
    sim.on_sleep = wake_up;
    leave();
    assert_code(vts_loop_run(&net.loop), VTS_OK);
    sim.on_sleep = wake_up;
    assert_code(vts_loop_run(&net.loop), VTS_OK);
    assert_int_equal(calls(SIM_WRITE), 2);
    enter();
    watch(&got, receive(&one, &limit));
    while (got.completions == 0) {
        leave();
        assert_true(vts_loop_run_once(&net.loop, VTS_NEVER) >= 0);
        enter();
        assert_true(++sleeps < 100);
    }
    assert_canceled(&got, -ETIMEDOUT);
    assert_true(sim.now - before >= VTS_SECONDS(7200));
    leave();
    assert_int_equal(vts_loop_run_once(&net.loop, 1), 0);
    enter();
}

BOTH(a_wait_that_a_signal_ends_is_no_event)
{
    outcome got = {0};
    int fd = connected(&one);

    receives(&got, &one);
    sim_peer_sends(fd, "x", 1);
    sim_fails(poller == VTS_POLLER_EPOLL ? SIM_EPOLL_WAIT : SIM_POLL, 1, EINTR);
    assert_int_equal(pass(), 0);
    assert_pending(&got);
    settle();
    assert_done(&got, 1);
}

// ----------------------------------------------------------------------------------
// Loops
// ----------------------------------------------------------------------------------

static vts_socket_loop_desc desc_of(vts_socket_poller which)
{
    vts_socket_loop_desc desc = {0};

    desc.poller = which;
    desc.allocator = desc.requests.allocator = desc.delays.allocator = &test_allocator;
    return desc;
}

/* Whether one could be made in spite of the failure. */
static bool try_loop(vts_socket_poller which)
{
    vts_socket_loop_desc desc = desc_of(which);
    int error = vts_socket_loop_init(&net, &desc);
    bool made = error == VTS_OK;

    assert_true(error <= 0);
    if (made)
        assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    else
        assert_int_equal(net.poller == NULL, 1);
    assert_code(vts_socket_loop_destroy(&net), VTS_E_CLOSED);
    assert_int_equal(sim_open(), 0);
    assert_int_equal(test_memory.live, 0);
    return made;
}

static void a_loop_that_cannot_be_made_leaves_nothing_behind(void)
{
    const vts_socket_poller which[] = {VTS_POLLER_EPOLL, VTS_POLLER_POLL};
    unsigned failures = 0;

    for (int i = 0; i < 2; i++) {
        for (unsigned n = 1;; n++) {
            sim_reset();
            sim_fails(SIM_ANY, n, EMFILE);
            failures += !try_loop(which[i]);
            if (sim.fail_at[SIM_ANY] != 0) break;
        }
        for (size_t n = 1;; n++) {
            sim_reset();
            test_fail_at(n);
            failures += !try_loop(which[i]);
            if (!test_has_failed()) break;
        }
        test_fail_at(0);
    }
    assert_true(failures >= 6);
}

static void a_poller_that_is_refused_falls_back_and_says_so(void)
{
    vts_socket_loop_desc desc = desc_of(VTS_POLLER_POLL);

    sim_reset();
    sim_fails(SIM_PIPE_CALL, 1, EMFILE);
    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    assert_int_equal(vts_socket_loop_poller(&net), VTS_POLLER_EPOLL);
    assert_string_equal(vts_socket_loop_note(&net),
                        "poll: Too many open files; epoll instead");
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);

    desc.poller = VTS_POLLER_KQUEUE;
    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    assert_int_equal(vts_socket_loop_poller(&net), VTS_POLLER_EPOLL);
    assert_string_equal(vts_socket_loop_note(&net),
                        "kqueue: not built in; epoll instead");
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);

    desc.poller = VTS_POLLER_EPOLL;
    sim_fails(SIM_EPOLL_CREATE, 1, EMFILE);
    assert_code(vts_socket_loop_init(&net, &desc), -EMFILE);
    assert_int_equal(vts_socket_loop_poller(&net), VTS_POLLER_DEFAULT);
    sim_always_fails(SIM_EPOLL_CREATE, ENFILE);
    desc.poller = VTS_POLLER_POLL;
    sim_fails(SIM_PIPE_CALL, 1, EMFILE);
    assert_code(vts_socket_loop_init(&net, &desc), -ENFILE);
    assert_int_equal(sim_open(), 0);
}

static void a_loop_has_defaults(void)
{
    vts_socket_loop_desc desc = desc_of((vts_socket_poller)(VTS_POLLER_POLL + 1));

    sim_reset();
    assert_code(vts_socket_loop_init(NULL, NULL), VTS_E_ARGUMENT);
    assert_code(vts_socket_loop_init(&net, &desc), VTS_E_ARGUMENT);
    assert_code(vts_socket_loop_init(&net, NULL), VTS_OK);
    assert_int_equal(vts_socket_loop_poller(&net), VTS_POLLER_EPOLL);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    assert_int_equal(vts_socket_loop_poller(&net), VTS_POLLER_DEFAULT);
    assert_int_equal(vts_socket_loop_poller(NULL), VTS_POLLER_DEFAULT);
    assert_string_equal(vts_socket_loop_note(NULL), "");
    assert_int_equal(vts_socket_loop_get_statistics(NULL).sockets, 0);
    assert_int_equal(vts_socket_loop_get_statistics(&net).sockets, 0);
    assert_code(vts_socket_open(&one, &net, VTS_IPV4, VTS_STREAM), VTS_E_CLOSED);
    assert_code(vts_socket_loop_destroy(NULL), VTS_E_ARGUMENT);
    assert_code(vts_socket_loop_destroy(&net), VTS_E_CLOSED);
}

static void what_is_wrong_with_memory_is_told(void)
{
    vts_socket_loop_desc desc = desc_of(VTS_POLLER_EPOLL);

    sim_reset();
    desc.delays.alignment = 3;
    assert_code(vts_socket_loop_init(&net, &desc), VTS_E_ARGUMENT);
    assert_int_equal(sim_open(), 0);
    desc = desc_of(VTS_POLLER_EPOLL);
    desc.requests.alignment = 3;
    assert_code(vts_socket_loop_init(&net, &desc), VTS_E_ARGUMENT);
    assert_int_equal(sim_open(), 0);
    assert_code(vts_socket_loop_destroy(&net), VTS_E_CLOSED);
}

static void *take(void *user, size_t size)
{
    *(size_t *)user += 1;
    return calloc(1, size);
}

/* An allocator without a free keeps what it gave: nothing is asked of it. */
static void an_allocator_may_have_no_free(void)
{
    size_t taken = 0;
    const vts_allocator keeps = {take, NULL, &taken};
    vts_socket_loop_desc desc = desc_of(VTS_POLLER_EPOLL);
    void *state;

    sim_reset();
    desc.allocator = &keeps;
    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    assert_int_equal(taken, 1);
    state = net.state;
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    free(state);
}

BOTH(a_loop_in_use_is_not_destroyed)
{
    outcome got = {0};
    vts_timer timer = {0};

    connected(&one);
    leave();
    assert_code(vts_socket_loop_destroy(&net), VTS_E_BUSY);
    watch(&got, vts_socket_close(&one));
    enter();
    settle();
    vts__add_acq_rel(&net.lookups, 1);
    leave();
    assert_code(vts_socket_loop_destroy(&net), VTS_E_BUSY);
    vts__add_acq_rel(&net.lookups, (vts_word)0 - 1);
    vts_timer_start(&timer, &net.loop, 5, nothing, NULL);
    assert_code(vts_socket_loop_destroy(&net), VTS_E_BUSY);
    vts_timer_stop(&timer);
    enter();
    connected(&one);
    got.task = receive(&one, NULL);
    vts_valuetask_forget(got.task);
    got.task = receive(&one, NULL);
    assert_at_once(vts_socket_close(&one), 0);
    leave();
    assert_code(vts_socket_loop_destroy(&net), VTS_E_BUSY);
    assert_code(vts_valuetask_get_result(got.task, NULL), -ECANCELED);
    enter();
}

BOTH(statistics_count)
{
    outcome got[2] = {{0}, {0}};
    vts_socket_loop_statistics statistics;
    int fd = connected(&one);

    receives(&got[0], &one);
    receives(&got[1], &one);
    statistics = vts_socket_loop_get_statistics(&net);
    assert_int_equal(statistics.sockets, 1);
    assert_int_equal(statistics.requests, 1);
    assert_int_equal(statistics.backoffs, 0);
    pass();
    sim_peer_sends(fd, "x", 1);
    statistics = vts_socket_loop_get_statistics(&net);
    settle();
    assert_int_equal(vts_socket_loop_get_statistics(&net).events,
                     statistics.events + 1);
    assert_at_once(vts_socket_close(&one), 0);
}

BOTH(looking_again_after_a_pause_is_no_event)
{
    outcome got = {0};

    listening(&one);
    sim_always_fails(SIM_ACCEPT, EMFILE);
    watch(&got, vts_socket_accept(&one, NULL, NULL));
    settle();
    sim.now += VTS__SOCKET_PAUSE;
    settle();
    assert_int_equal(vts_socket_loop_get_statistics(&net).events, 0);
    assert_int_equal(vts_socket_loop_get_statistics(&net).backoffs, 2);
    assert_at_once(vts_socket_close(&one), 0);
}

static void every_error_has_a_text(void)
{
    assert_string_equal(vts_socket_strerror(VTS_E_HOST_NOT_FOUND), "no such host");
    assert_string_equal(vts_socket_strerror(VTS_E_TRY_AGAIN),
                        "the name server did not answer");
    assert_string_equal(vts_socket_strerror(VTS_E_NO_RECOVERY),
                        "the name server failed");
    assert_string_equal(vts_socket_strerror(VTS_E_NO_DATA), "the name has no address");
    assert_string_equal(vts_socket_strerror(-ECONNRESET), strerror(ECONNRESET));
    assert_string_equal(vts_socket_strerror(VTS_E_CLOSED), vts_strerror(VTS_E_CLOSED));
    assert_string_equal(vts_socket_strerror(VTS_OK), vts_strerror(VTS_OK));
}

// ----------------------------------------------------------------------------------
// Many sockets: the tables of poll, the batches of epoll
// ----------------------------------------------------------------------------------

#define MANY 100

static struct {
    vts_socket sockets[MANY];
    outcome got[MANY];
    char data[MANY];
} many;

static void many_receive(int first, int step)
{
    for (int i = first; i < MANY; i += step) {
        connected(&many.sockets[i]);
        watch(&many.got[i],
              vts_socket_recv(&many.sockets[i], &many.data[i], 1, 0, NULL));
    }
}

static void many_get(char what)
{
    for (int i = 0; i < MANY; i++) {
        sim_peer_sends(vts_socket_descriptor(&many.sockets[i]), &what, 1);
    }
    settle();
    for (int i = 0; i < MANY; i++) {
        assert_done(&many.got[i], 1);
        assert_int_equal(many.data[i], what);
    }
}

static void many_close(int first, int step)
{
    for (int i = first; i < MANY; i += step) {
        assert_at_once(vts_socket_close(&many.sockets[i]), 0);
    }
}

BOTH(many_sockets_come_and_go)
{
    memset(&many, 0, sizeof many);
    many_receive(0, 1);
    many_get('a');
    for (int step = 2; step < 5; step++) {
        many_close(0, step);
        if (step == 3) settle();
        many_receive(0, step);
        for (int i = 0; i < MANY; i++) {
            if (i % step == 0) continue;
            watch(&many.got[i],
                  vts_socket_recv(&many.sockets[i], &many.data[i], 1, 0, NULL));
        }
        many_get((char)('a' + step));
    }
    many_close(50, 1);
    settle();
    many_receive(50, 1);
    many_close(0, 1);
    settle();
}

static void close_the_others(outcome *self)
{
    for (int i = 0; i < MANY; i++) {
        if (&many.got[i] == self || !vts_socket_is_open(&many.sockets[i])) continue;
        assert_at_once(vts_socket_close(&many.sockets[i]), 0);
    }
}

/* All have an event in one batch, and the first of them closes the others. */
BOTH(a_batch_of_events_may_lose_its_sockets)
{
    int completed = 0;

    memset(&many, 0, sizeof many);
    many_receive(0, 1);
    settle();
    for (int i = 0; i < MANY; i++) {
        many.got[i].then = close_the_others;
        sim_peer_sends(vts_socket_descriptor(&many.sockets[i]), "x", 1);
    }
    settle();
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(many.got[i].completions, 1);
        completed += many.got[i].status == VTS_SUCCEEDED;
    }
    assert_int_equal(completed, 1);
    close_the_others(NULL);
}

/* Where nothing can grow, the operation fails and all others go on. */
BOTH(tables_that_cannot_grow_are_told)
{
    int failed = 0;

    memset(&many, 0, sizeof many);
    for (int i = 0; i < MANY; i++) {
        settle();
        connected(&many.sockets[i]);
        for (size_t n = 1; n < 4; n++) {
            test_fail_at(poller == VTS_POLLER_POLL ? n : 0);
            watch(&many.got[i],
                  vts_socket_recv(&many.sockets[i], &many.data[i], 1, 0, NULL));
            if (many.got[i].completions == 0) break;
            assert_done(&many.got[i], -ENOMEM);
            failed++;
        }
        test_fail_at(0);
        assert_pending(&many.got[i]);
    }
    assert_int_equal(failed, poller == VTS_POLLER_POLL ? 3 + 3 * 2 : 0);
    many_get('z');
    many_close(0, 1);
}

// ----------------------------------------------------------------------------------
// Everything at once, at random
// ----------------------------------------------------------------------------------

#define LIVES 3
#define AT_ONCE 6 /* operations of one socket                                          */

/* A socket, and how far its peer and it have counted: each byte is the next number. */
typedef struct life {
    vts_socket socket;
    unsigned char sent, received;
} life;

typedef struct act {
    outcome seen;
    life *whose;
    bool receives, used;
    vts_cancellation_source cancel;
    vts_socket_limit limit;
    unsigned char data[16];
} act;

static life lives[LIVES];
static act acts[LIVES][AT_ONCE];
static unsigned begun, ended;

/* What is received is what comes next, whatever was canceled before. */
static void act_ends(outcome *seen)
{
    act *self = vts__container_of(seen, act, seen);

    ended++;
    self->used = false;
    for (intptr_t i = 0; self->receives && i < seen->result; i++) {
        assert_int_equal(self->data[i], self->whose->received++);
    }
    memset(self->data, 'p', sizeof self->data);
    if (test_random() % 8 == 0 && vts_socket_is_open(&self->whose->socket)) {
        assert_at_once(vts_socket_close(&self->whose->socket), 0);
    }
}

static void act_begins(life *whose, act *self)
{
    const vts_socket_limit *limit = test_random() % 2 != 0 ? &self->limit : NULL;
    size_t size = 1 + test_random() % sizeof self->data;
    bool elsewhere = test_random() % 4 == 0;

    if (self->used || !vts_socket_is_open(&whose->socket)) return;
    memset(&self->cancel, 0, sizeof self->cancel);
    self->limit.cancel.source = &self->cancel;
    self->limit.deadline = test_random() % 2 != 0 ? vts_after(test_random() % 4) : 0;
    self->seen.then = act_ends;
    self->whose = whose;
    self->used = true;
    begun++;
    if (elsewhere) leave();
    watch(&self->seen, self->receives
                           ? vts_socket_recv(&whose->socket, self->data, size, 0, limit)
                           : vts_socket_send_all(&whose->socket, self->data, size, 0, limit));
    if (elsewhere) enter();
}

static void peer_acts(life *whose)
{
    int fd = vts_socket_descriptor(&whose->socket);
    unsigned char bytes[32];
    size_t size = test_random() % sizeof bytes;

    if (fd < 0) return;
    switch (test_random() % 16) {
    case 0: sim_peer_ends(fd); break;
    case 1: sim_peer_resets(fd); break;
    case 2:
    case 3:
    case 4:
    case 5: sim_peer_takes(fd, bytes, size); break;
    default:
        if (sim_file_of(fd)->in_ended || sim_file_of(fd)->in.count > SIM_BYTES / 2) return;
        for (size_t i = 0; i < size; i++) bytes[i] = whose->sent++;
        sim_peer_sends(fd, bytes, size);
    }
}

static void life_steps(life *whose, act *mine)
{
    act *chosen = &mine[test_random() % AT_ONCE];

    switch (test_random() % 8) {
    case 0:
    case 1:
    case 2: act_begins(whose, chosen); break;
    case 3:
        if (chosen->used) vts_cancellation_cancel(&chosen->cancel);
        break;
    case 4: sim.now += test_random() % 3; break;
    case 5: pass(); break;
    default: peer_acts(whose);
    }
    if (vts_socket_is_open(&whose->socket) || test_random() % 4 != 0) return;
    whose->sent = whose->received = 0;
    sim_file_of(connected(&whose->socket))->room = 20;
}

static unsigned busy(const act *mine)
{
    unsigned count = 0;

    for (int i = 0; i < AT_ONCE; i++) count += mine[i].used;
    return count;
}

/* Each operation completes exactly once; not a byte is lost, or comes twice. */
BOTH(whatever_happens_each_operation_completes_once)
{
    memset(lives, 0, sizeof lives);
    memset(acts, 0, sizeof acts);
    begun = ended = 0;
    for (int i = 0; i < LIVES * AT_ONCE; i++) {
        acts[i / AT_ONCE][i % AT_ONCE].receives = i % 2 != 0;
    }
    for (int step = 0; step < 30000; step++) {
        int i = (int)(test_random() % LIVES);
        life_steps(&lives[i], acts[i]);
    }
    for (int i = 0; i < LIVES; i++) {
        close_if_open(&lives[i].socket);
        settle();
        assert_int_equal(busy(acts[i]), 0);
    }
    assert_int_equal(begun, ended);
    assert_true(begun > 3000);
    assert_int_equal(vts_socket_loop_get_statistics(&net).requests, 0);
}

static const test_case tests[] = {
    TESTS(what_is_there_is_received_at_once),
    TESTS(a_receive_waits_for_what_comes),
    TESTS(a_buffer_is_not_written_after_its_operation),
    TESTS(a_round_of_echo_takes_two_calls),
    TESTS(an_end_right_behind_a_short_read_is_not_lost),
    TESTS(an_end_between_event_and_read_is_not_lost),
    TESTS(a_short_read_is_not_trusted_when_something_is_urgent),
    TESTS(urgent_data_are_waited_for),
    TESTS(urgent_data_that_nobody_takes_disturb_nobody),
    TESTS(what_is_peeked_at_stays),
    TESTS(a_receive_of_nothing_waits_and_takes_nothing),
    TESTS(datagrams_tell_where_they_are_from),
    TESTS(a_datagram_that_is_too_long_is_told),
    TESTS(pieces_are_filled_one_after_the_other),
    TESTS(a_message_tells_what_it_has),
    TESTS(a_storm_of_eagain_is_survived),
    TESTS(a_send_moves_what_there_is_room_for),
    TESTS(flags_reach_the_system),
    TESTS(send_all_sends_all),
    TESTS(send_all_tells_of_an_error_after_some),
    TESTS(send_all_of_a_unix_stream_sends_all),
    TESTS(a_hundred_sends_go_out_in_order),
    TESTS(datagrams_go_where_they_are_to_go),
    TESTS(a_unix_datagram_to_somebody_full_looks_again_after_a_pause),
    TESTS(a_unix_datagram_waits_for_an_event_where_one_comes),
    TESTS(a_datagram_tells_of_the_one_before_it),
    TESTS(a_file_is_sent_to_its_end),
    TESTS(a_file_that_fails_midway_tells_how_far_it_came),
    TESTS(a_reset_is_told_before_during_and_after),
    TESTS(either_half_may_end_alone),
    TESTS(a_shutdown_of_sending_waits_for_what_is_sent),
    TESTS(a_shutdown_of_receiving_waits_for_nobody),
    TESTS(a_connect_takes_its_time),
    TESTS(a_connect_fails_as_it_does),
    TESTS(what_a_connect_asks_may_fail_too),
    TESTS(a_connect_is_not_done_by_an_older_event),
    TESTS(a_connect_to_a_full_unix_listener_looks_again_after_a_pause),
    TESTS(a_disconnect_drains_and_leaves_a_socket_that_connects_again),
    TESTS(a_disconnect_says_so_as_soon_as_it_is_its_turn),
    TESTS(a_disconnect_survives_a_reset_and_tells_of_failures),
    TESTS(a_datagram_socket_forgets_its_peer),
    TESTS(an_accept_waits_and_tells_who_comes),
    TESTS(what_is_wrong_with_one_connection_is_not_with_the_listener),
    TESTS(an_accept_without_descriptors_looks_ten_times_a_second),
    TESTS(an_accept_goes_on_when_this_loop_closes_a_socket),
    TESTS(connections_do_not_make_a_listener_without_descriptors_spin),
    TESTS(listeners_that_pause_may_be_closed),
    TESTS(the_last_listener_that_pauses_may_be_closed),
    TESTS(a_close_inside_the_look_of_a_pause_is_fine),
    TESTS(a_close_cancels_all_that_waits_once),
    TESTS(a_completion_may_close_its_socket),
    TESTS(the_last_completion_may_free_the_socket),
    TESTS(an_event_of_a_closed_socket_reaches_nobody),
    TESTS(a_completion_may_replace_its_socket),
    TESTS(a_canceled_operation_may_open_its_socket_again),
    TESTS(a_close_that_is_not_done_yet_leaves_a_new_socket_alone),
    TESTS(a_canceled_token_wins_over_data),
    TESTS(a_token_cancels_what_waits),
    TESTS(what_waits_behind_a_canceled_one_goes_on),
    TESTS(what_needs_no_event_goes_on_behind_a_canceled_one),
    TESTS(a_canceled_operation_may_free_its_socket),
    TESTS(data_may_come_before_a_cancel_that_was_asked_for),
    TESTS(a_cancel_may_come_before_data_that_are_on_their_way),
    TESTS(a_cancel_that_is_late_changes_nothing),
    TESTS(a_deadline_ends_what_waits),
    TESTS(a_deadline_that_is_past_takes_only_what_is_there),
    TESTS(operations_of_one_direction_complete_in_order),
    TESTS(a_result_that_nobody_took_keeps_its_record),
    TESTS(a_completion_may_start_another_behind_those_that_wait),
    TEST(an_exhausted_pool_is_told),
    TESTS(an_operation_from_elsewhere_never_completes_at_once),
    TESTS(a_limit_from_elsewhere_holds),
    TESTS(a_long_operation_lets_others_have_their_turn),
    TESTS(a_connection_of_the_unix_domain_cannot_disconnect),
    TESTS(a_shutdown_that_fails_ends_nothing),
    TESTS(a_limit_of_never_is_none),
    TESTS(a_message_needs_pieces_or_control),
    TESTS(what_arrives_at_a_closed_socket_is_canceled),
    TESTS(what_is_started_while_its_socket_closes_is_canceled),
    TESTS(what_was_for_a_socket_before_is_canceled),
    TESTS(shutdowns_from_elsewhere_have_their_order),
    TESTS(every_operation_needs_an_open_socket),
    TESTS(bad_arguments_of_receiving_are_refused),
    TESTS(bad_arguments_of_sending_are_refused),
    TESTS(bad_messages_are_refused),
    TESTS(bad_calls_on_sockets_are_refused),
    TESTS(options_are_the_systems),
    TESTS(what_opening_asks_of_the_system_may_fail),
    TESTS(an_operation_that_cannot_wait_fails),
    TESTS(an_operation_that_cannot_wait_when_it_is_its_turn_fails),
    TESTS(a_turn_comes_before_the_end_of_a_pause),
    TESTS(a_canceled_operation_may_close_its_socket),
    TESTS(one_socket_that_cannot_wait_disturbs_no_other),
    TESTS(a_loop_that_sleeps_is_woken),
    TESTS(a_wait_that_a_signal_ends_is_no_event),
    TEST(a_loop_that_cannot_be_made_leaves_nothing_behind),
    TEST(a_poller_that_is_refused_falls_back_and_says_so),
    TEST(a_loop_has_defaults),
    TEST(what_is_wrong_with_memory_is_told),
    TEST(an_allocator_may_have_no_free),
    TESTS(a_loop_in_use_is_not_destroyed),
    TESTS(statistics_count),
    TESTS(looking_again_after_a_pause_is_no_event),
    TEST(every_error_has_a_text),
    TESTS(many_sockets_come_and_go),
    TESTS(a_batch_of_events_may_lose_its_sockets),
    TESTS(tables_that_cannot_grow_are_told),
    TESTS(whatever_happens_each_operation_completes_once)};
TEST_MAIN(tests)
