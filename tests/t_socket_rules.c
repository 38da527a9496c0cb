/* Sockets: what the planted bugs of tests/mutants/socket.mutants break and no other test
   sees. Over each poller; the peer of each socket is a descriptor of the test's own. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"
#include "test.h"

#define PATIENCE VTS_SECONDS(10) /* for what has to happen */

static vts_socket_poller poller;
static vts_socket_loop net;
static vts_socket a, b;
static int peer;
static vts_cancellation_source cancellation;
static vts_socket_limit limit;

typedef struct operation {
    vts_valuetask task;
    bool done;
    intptr_t result;
    vts_status status;
} operation;
static operation one, two;

// ---- the scene ----

static void open_loop(void)
{
    static char reason[sizeof net.note];
    vts_socket_loop_desc desc = {.poller = poller};

    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    memset(&cancellation, 0, sizeof cancellation);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    limit = (vts_socket_limit){0, vts_cancellation_token_of(&cancellation)};
    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    if (vts_socket_loop_note(&net)[0] == 0) return;
    memcpy(reason, net.note, sizeof reason);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    TEST_SKIP(reason);
}

static int listen_anywhere(struct sockaddr_in *at)
{
    socklen_t size = sizeof *at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    memset(at, 0, sizeof *at);
    at->sin_family = AF_INET;
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)at, size), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)at, &size), 0);
    return listener;
}

/* A TCP connection: the socket's end and the peer's. */
static void connect_to_peer(vts_socket *socket_, int *peer_)
{
    struct sockaddr_in at;
    int listener = listen_anywhere(&at), end = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(end, (struct sockaddr *)&at, sizeof at), 0);
    *peer_ = accept(listener, NULL, NULL);
    assert_true(*peer_ >= 0);
    close(listener);
    assert_code(vts_socket_adopt(socket_, &net, end), VTS_OK);
}

static void setup(void)
{
    open_loop();
    connect_to_peer(&a, &peer);
}

/* Over a Unix-domain pair: what is sent is at the peer at once, or not at all. */
static void setup_pair(void)
{
    int ends[2];

    open_loop();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    peer = ends[1];
    assert_code(vts_socket_adopt(&a, &net, ends[0]), VTS_OK);
}

static void on_loop(void (*run)(vts_work *work))
{
    vts_work work = {{NULL}, run};

    vts_scheduler_post(&net.loop.scheduler, &work);
    assert_true(vts_loop_run_once(&net.loop, 0) >= 0);
}

static void run_until(const bool *done)
{
    vts_time end = vts_after(PATIENCE);

    while (!*done && vts_now() < end) {
        assert_true(vts_loop_run_once(&net.loop, end) >= 0);
    }
    assert_true(*done);
}

static void close_all(vts_work *work)
{
    (void)work;
    if (vts_socket_is_open(&a)) vts_socket_close(&a);
    if (vts_socket_is_open(&b)) vts_socket_close(&b);
}

static void tear_down(void)
{
    int code;

    on_loop(close_all);
    while ((code = vts_socket_loop_destroy(&net)) == VTS_E_BUSY) {
        assert_true(vts_loop_run_once(&net.loop, vts_after(PATIENCE)) >= 0);
    }
    assert_code(code, VTS_OK);
}

// ---- operations ----

static void operation_ends(void *arg)
{
    operation *o = (operation *)arg;

    assert_false(o->done);
    o->status = (vts_status)vts_valuetask_get_status(o->task);
    o->result = 0;
    if (o->status == VTS_SUCCEEDED) vts_valuetask_get_result(o->task, &o->result);
    else o->result = vts_valuetask_get_result(o->task, NULL);
    o->done = true;
}

static void await(operation *o, vts_valuetask task)
{
    o->task = task;
    if (vts_valuetask_is_completed(task)) operation_ends(o);
    else vts_valuetask_on_completed(task, operation_ends, o, VTS_NONE);
}

static bool is_readable(int descriptor)
{
    struct pollfd item = {descriptor, POLLIN, 0};
    return poll(&item, 1, 8000) == 1;
}

// ---- what begins, begins whatever the poller said ----

static char buffer[64];

static void receives(vts_work *work)
{
    (void)work;
    await(&one, vts_socket_recv(&a, buffer, sizeof buffer, 0, NULL));
}

static void disconnects(vts_work *work)
{
    (void)work;
    await(&two, vts_socket_disconnect(&a, NULL));
}

/* The read was short: nothing is there to receive, and the peer waits for the end. */
static void a_disconnect_sends_the_end_after_a_short_read(void)
{
    setup();
    assert_int_equal(send(peer, "x", 1, 0), 1);
    assert_true(is_readable(a.descriptor));
    on_loop(receives);
    run_until(&one.done);
    assert_int_equal(one.result, 1);
    on_loop(disconnects);
    assert_true(is_readable(peer));
    assert_int_equal(recv(peer, buffer, 1, 0), 0);
    assert_false(two.done);
    close(peer);
    run_until(&two.done);
    assert_int_equal(two.result, 0);
    tear_down();
}

static char many[1 << 22];

static void sends_and_shuts(vts_work *work)
{
    (void)work;
    await(&one, vts_socket_send_all(&a, many, sizeof many, 0, &limit));
    await(&two, vts_socket_shutdown(&a, VTS_SHUTDOWN_SEND));
}

/* The peer reads nothing: no event ever comes. */
static void what_waited_behind_a_canceled_operation_has_its_turn(void)
{
    setup_pair();
    on_loop(sends_and_shuts);
    assert_false(one.done || two.done);
    vts_cancellation_cancel(&cancellation);
    run_until(&two.done);
    assert_true(one.done && one.status == VTS_CANCELED);
    assert_int_equal(two.result, 0);
    tear_down();
    close(peer);
}

/* The first has a limit, and so is not in the socket's own record, which is free. */
static void receives_both(vts_work *work)
{
    (void)work;
    await(&one, vts_socket_recv(&a, buffer, 1, 0, &limit));
    await(&two, vts_socket_recv(&a, buffer + 1, 1, 0, NULL));
}

static void a_plain_receive_waits_behind_a_limited_one(void)
{
    setup();
    on_loop(receives_both);
    assert_false(one.done || two.done);
    assert_int_equal(send(peer, "12", 2, 0), 2);
    run_until(&two.done);
    assert_true(one.done);
    assert_memory_equal(buffer, "12", 2);
    tear_down();
    close(peer);
}

// ---- turns ----

#define CROWD 300

static int rounds;
static bool fired;

static void note(void *arg) { *(bool *)arg = true; }

/* Takes a byte and asks for the next, before another one that waits, for ever. */
static void receives_again(void *arg)
{
    operation *o = (operation *)arg;
    intptr_t n;

    if (vts_valuetask_get_result(o->task, &n) != VTS_OK) {
        o->done = true;
        return;
    }
    rounds++;
    o->task = vts_socket_recv(&a, buffer, 1, 0, NULL);
    vts_valuetask_on_completed(o->task, receives_again, o, VTS_NONE);
}

static void receives_in_turn(vts_work *work)
{
    operation *each[2] = {&one, &two};

    (void)work;
    for (int i = 0; i < 2; i++) {
        each[i]->task = vts_socket_recv(&a, buffer, 1, 0, NULL);
        vts_valuetask_on_completed(each[i]->task, receives_again, each[i], VTS_NONE);
    }
}

/* Two that wait, of which each starts again when it is served, take turns with others. */
static void receives_that_start_again_let_timers_fire(void)
{
    vts_timer timer = {0};

    setup_pair();
    rounds = 0;
    fired = false;
    on_loop(receives_in_turn);
    assert_int_equal(send(peer, many, 100000, 0), 100000);
    assert_code(vts_timer_start(&timer, &net.loop, 1, note, &fired), VTS_OK);
    while (!fired) vts_loop_run_once(&net.loop, vts_after(PATIENCE));
    assert_true(rounds < 1000);
    while (rounds < 100000) vts_loop_run_once(&net.loop, vts_after(PATIENCE));
    tear_down();
    assert_true(one.done && two.done);
    close(peer);
}

static vts_valuetask spent[CROWD];

static void shuts_after_many(vts_work *work)
{
    (void)work;
    await(&one, vts_socket_recv(&a, buffer, 1, 0, NULL));
    spent[0] = vts_socket_send_all(&a, many, sizeof many, 0, NULL);
    for (int i = 1; i < CROWD; i++) spent[i] = vts_socket_send(&b, "x", 1, 0, NULL);
    await(&two, vts_socket_shutdown(&a, VTS_SHUTDOWN_RECEIVE));
}

/* Though nothing is done at once any more, and a send is stuck. */
static void a_shutdown_of_receiving_never_waits(void)
{
    int other;

    setup_pair();
    connect_to_peer(&b, &other);
    on_loop(shuts_after_many);
    run_until(&one.done);
    assert_int_equal(one.result, 0);
    run_until(&two.done);
    assert_int_equal(two.result, 0);
    on_loop(close_all);
    for (int i = 0; i < 8; i++) vts_loop_run_once(&net.loop, 0);
    for (int i = 0; i < CROWD; i++) vts_valuetask_get_result(spent[i], NULL);
    tear_down();
    close(peer);
    close(other);
}

// ---- what the system does not tell, or tells somebody else ----

static void receives_and_shuts(vts_work *work)
{
    (void)work;
    await(&one, vts_socket_recv(&a, buffer, 1, 0, NULL));
    await(&two, vts_socket_shutdown(&a, VTS_SHUTDOWN_RECEIVE));
}

static void a_datagram_receive_ends_with_its_direction(void)
{
    struct sockaddr_in at = {0};
    int end = socket(AF_INET, SOCK_DGRAM, 0);

    open_loop();
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(9);
    assert_int_equal(connect(end, (struct sockaddr *)&at, sizeof at), 0);
    assert_code(vts_socket_adopt(&a, &net, end), VTS_OK);
    on_loop(receives_and_shuts);
    run_until(&one.done);
    assert_int_equal(one.result, 0);
    run_until(&two.done);
    assert_int_equal(two.result, 0);
    tear_down();
}

static vts_address refused;

static void connects_and_receives(vts_work *work)
{
    (void)work;
    await(&one, vts_socket_connect(&a, &refused, NULL));
    await(&two, vts_socket_recv(&a, buffer, 1, 0, NULL));
}

/* The receive may be told why: then the connect still knows that it failed. */
static void a_refused_connect_ends_though_a_receive_waits(void)
{
    struct sockaddr_in at;
    int listener = listen_anywhere(&at);

    open_loop();
    close(listener);
    assert_code(vts_address_from(&refused, &at, sizeof at), VTS_OK);
    assert_code(vts_socket_open(&a, &net, VTS_IPV4, VTS_STREAM), VTS_OK);
    on_loop(connects_and_receives);
    run_until(&one.done);
    assert_true(one.result == -ECONNREFUSED || one.result == -ECONNABORTED);
    run_until(&two.done);
    assert_true(two.result < 0);
    tear_down();
}

// ---- one thread after the other ----

static void *runs_a_receive(void *arg)
{
    (void)arg;
    on_loop(receives);
    run_until(&one.done);
    THREAD_CHECK(one.result == 1);
    one.done = false;
    return NULL;
}

/* The second thread may have the memory of the first. */
static void a_loop_goes_from_a_thread_that_ended_to_the_next(void)
{
    setup();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send(peer, "x", 1, 0), 1);
        test_on_thread(runs_a_receive, NULL);
    }
    tear_down();
    close(peer);
}

// ---- nothing asked for ----

static char control[8];
static vts_message message;

static void looks_for_a_message(vts_work *work)
{
    (void)work;
    await(&one, vts_socket_recv_msg(&a, &message, 0, NULL));
    await(&two, vts_socket_recv(&a, buffer, sizeof buffer, 0, NULL));
}

static void a_message_of_nothing_takes_nothing(void)
{
    int ends[2];

    open_loop();
    memset(&message, 0, sizeof message);
    message.control = control;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    assert_code(vts_socket_adopt(&a, &net, ends[0]), VTS_OK);
    on_loop(looks_for_a_message);
    assert_int_equal(send(ends[1], "whole", 5, 0), 5);
    run_until(&two.done);
    assert_true(one.done && one.result == 0);
    assert_int_equal(two.result, 5);
    tear_down();
    close(ends[1]);
}

// ---- its own record ----

/* Each use of a socket's record is an operation of its own. */
static void a_handle_whose_result_was_taken_is_not_the_next_ones(void)
{
    vts_valuetask old;

    setup_pair();
    on_loop(receives);
    old = one.task;
    assert_int_equal(send(peer, "x", 1, 0), 1);
    run_until(&one.done);
    one.done = false;
    on_loop(receives);
    assert_ptr_equal(old.source, one.task.source);
    assert_false(vts_valuetask_equals(old, one.task));
    assert_code(vts_valuetask_get_result(old, NULL), VTS_E_STALE);
    tear_down();
    assert_true(one.done && one.status == VTS_CANCELED);
    close(peer);
}

// ---- what a completion frees ----

static vts_socket *freed;

static void closes_and_frees(void *arg)
{
    operation_ends(arg);
    vts_socket_close(freed);
    memset(freed, 0xdd, sizeof *freed);
    free(freed);
}

static void receives_twice(vts_work *work)
{
    (void)work;
    one.task = vts_socket_recv(freed, buffer, 8, 0, &limit);
    await(&two, vts_socket_recv(freed, buffer + 8, 8, 0, &limit));
    vts_valuetask_on_completed(one.task, closes_and_frees, &one, VTS_NONE);
}

/* The first of two is canceled; its completion closes and frees the socket. */
static void a_canceled_operation_may_free_its_socket(void)
{
    int ends[2];

    open_loop();
    freed = (vts_socket *)calloc(1, sizeof *freed);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_code(vts_socket_adopt(freed, &net, ends[0]), VTS_OK);
    limit.deadline = vts_after(VTS_MILLISECONDS(1));
    on_loop(receives_twice);
    run_until(&one.done);
    run_until(&two.done);
    assert_int_equal(one.result, -ETIMEDOUT);
    assert_true(two.status == VTS_CANCELED);
    tear_down();
    close(ends[1]);
}

// ---- the list ----

#define EACH(test_)                                                                    \
    static void test_##_epoll(void)                                                    \
    {                                                                                  \
        poller = VTS_POLLER_EPOLL;                                                     \
        test_();                                                                       \
    }                                                                                  \
    static void test_##_uring(void)                                                    \
    {                                                                                  \
        poller = VTS_POLLER_URING;                                                     \
        test_();                                                                       \
    }                                                                                  \
    static void test_##_poll(void)                                                     \
    {                                                                                  \
        poller = VTS_POLLER_POLL;                                                      \
        test_();                                                                       \
    }
#define LIST(test_) TEST(test_##_epoll), TEST(test_##_uring), TEST(test_##_poll)

EACH(a_disconnect_sends_the_end_after_a_short_read)
EACH(what_waited_behind_a_canceled_operation_has_its_turn)
EACH(a_plain_receive_waits_behind_a_limited_one)
EACH(receives_that_start_again_let_timers_fire)
EACH(a_shutdown_of_receiving_never_waits)
EACH(a_datagram_receive_ends_with_its_direction)
EACH(a_refused_connect_ends_though_a_receive_waits)
EACH(a_loop_goes_from_a_thread_that_ended_to_the_next)
EACH(a_message_of_nothing_takes_nothing)
EACH(a_handle_whose_result_was_taken_is_not_the_next_ones)
EACH(a_canceled_operation_may_free_its_socket)

static const test_case tests[] = {
    LIST(a_disconnect_sends_the_end_after_a_short_read),
    LIST(what_waited_behind_a_canceled_operation_has_its_turn),
    LIST(a_plain_receive_waits_behind_a_limited_one),
    LIST(receives_that_start_again_let_timers_fire),
    LIST(a_shutdown_of_receiving_never_waits),
    LIST(a_datagram_receive_ends_with_its_direction),
    LIST(a_refused_connect_ends_though_a_receive_waits),
    LIST(a_loop_goes_from_a_thread_that_ended_to_the_next),
    LIST(a_message_of_nothing_takes_nothing),
    LIST(a_handle_whose_result_was_taken_is_not_the_next_ones),
    LIST(a_canceled_operation_may_free_its_socket),
};

TEST_MAIN(tests)
