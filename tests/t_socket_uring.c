/* What is special to io_uring. Built with VTS_SOCKET_URING where liburing is there, as
   t_socket.c is, which has the rest. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef VTS_SOCKET_URING
#include <liburing.h>

/* Answers that a kernel gives rarely, or another kernel gives: each so many times. */
static struct {
    int setup, setups;     /* an error of making a ring                               */
    unsigned lacks;        /* features                                                */
    int eventfd;           /* an error, once                                          */
    int submit, submits;   /* an error of handing over                                */
    int moved, moves;      /* what an operation comes to                              */
    bool accepts;          /* which are accepts                                       */
    int lost_cancels;      /* that find nothing                                       */
    int peeks;             /* that show nothing                                       */
} kernel;

static int kernel_setup(unsigned entries, struct io_uring *ring,
                        struct io_uring_params *params)
{
    int error;

    if (kernel.setups > 0) {
        kernel.setups--;
        return kernel.setup;
    }
    error = io_uring_queue_init_params(entries, ring, params);
    ring->features &= ~kernel.lacks;
    return error;
}

static int kernel_eventfd(unsigned value, int flags)
{
    errno = kernel.eventfd;
    kernel.eventfd = 0;
    return errno != 0 ? -1 : eventfd(value, flags);
}

static void kernel_moves(struct io_uring_cqe *event)
{
    if (kernel.moves == 0 || event->user_data >= UINT16_MAX) return;
    kernel.moves--;
    if (kernel.accepts) close(event->res);
    event->res = kernel.moved;
}

static int kernel_submit(struct io_uring *ring)
{
    int count;
    unsigned head;
    struct io_uring_cqe *event;

    if (kernel.submits > 0) {
        kernel.submits--;
        return kernel.submit;
    }
    count = io_uring_submit(ring);
    io_uring_for_each_cqe (ring, head, event) kernel_moves(event);
    return count;
}

static int kernel_peek(struct io_uring *ring, struct io_uring_cqe **event)
{
    int error = io_uring_peek_cqe(ring, event);

    if (kernel.peeks > 0) {
        kernel.peeks--;
        return -EAGAIN;
    }
    if (error == 0) kernel_moves(*event);
    return error;
}

static void kernel_cancel(struct io_uring_sqe *entry, uint64_t what, int flags)
{
    if (kernel.lost_cancels > 0) {
        kernel.lost_cancels--;
        what = UINT64_MAX;
    }
    io_uring_prep_cancel64(entry, what, flags);
}

#define io_uring_queue_init_params kernel_setup
#define io_uring_submit kernel_submit
#define io_uring_peek_cqe kernel_peek
#define io_uring_prep_cancel64 kernel_cancel
#define eventfd kernel_eventfd
#endif

#define VTS__URING_ENTRIES 8u /* the ring is often full                               */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"
#undef eventfd
#include "test.h"

#ifndef VTS_SOCKET_URING

static void what_is_not_built_in_is_told(void)
{
    vts_socket_loop_desc desc = {.poller = VTS_POLLER_URING};
    static vts_socket_loop net;

    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    assert_int_equal(vts_socket_loop_poller(&net), VTS_POLLER_EPOLL);
    assert_string_equal(vts_socket_loop_note(&net),
                        "io_uring: not built in; epoll instead");
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
}

static void io_uring(void) { TEST_SKIP("built without VTS_SOCKET_URING"); }

static const test_case tests[] = {TEST(what_is_not_built_in_is_told), TEST(io_uring)};

#else

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#define PATIENCE VTS_SECONDS(20)
#define CROWD 150 /* more than the ring of completions holds */

static vts_socket_loop net;

/* Sockets and their peers, which are descriptors of the test's own. */
static struct {
    vts_socket sockets[CROWD];
    int peers[CROWD];
    char bytes[CROWD][4];
    vts_valuetask tasks[CROWD];
} crowd;

static vts_cancellation_source cancel;

static void set_up(void)
{
    static char reason[sizeof net.note];
    vts_socket_loop_desc desc = {.poller = VTS_POLLER_URING};

    memset(&crowd, 0, sizeof crowd);
    memset(&cancel, 0, sizeof cancel);
    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    if (vts_socket_loop_note(&net)[0] == 0) return;
    memcpy(reason, net.note, sizeof reason);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    TEST_SKIP(reason);
}

static void join_as(int i, int type)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    crowd.peers[i] = ends[1];
    assert_code(vts_socket_adopt(&crowd.sockets[i], &net, ends[0]), VTS_OK);
}

static void join(int i) { join_as(i, SOCK_STREAM); }

static void join_all(void)
{
    for (int i = 0; i < CROWD; i++) join(i);
}

/* Work on the loop, and passes until it has run. */
typedef struct step {
    vts_work work;
    void (*run)(void);
    bool done;
} step;

static void step_runs(vts_work *work)
{
    step *self = vts__container_of(work, step, work);
    self->run();
    self->done = true;
}

static void on_loop(void (*run)(void))
{
    step self = {.work = {.run = step_runs}, .run = run};

    vts_scheduler_post(&net.loop.scheduler, &self.work);
    while (!self.done) assert_true(vts_loop_run_once(&net.loop, vts_after(PATIENCE)) >= 0);
}

static void run_until_completed(vts_valuetask task)
{
    vts_time end = vts_after(PATIENCE);

    while (!vts_valuetask_is_completed(task) && vts_now() < end) {
        assert_true(vts_loop_run_once(&net.loop, end) >= 0);
    }
    assert_true(vts_valuetask_is_completed(task));
}

static int result_of(vts_valuetask task, intptr_t *count)
{
    run_until_completed(task);
    return vts_valuetask_get_result(task, count);
}

static void close_all(void)
{
    for (int i = 0; i < CROWD; i++) {
        if (vts_socket_is_open(&crowd.sockets[i])) vts_socket_close(&crowd.sockets[i]);
    }
}

static void tear_down(void)
{
    on_loop(close_all);
    for (int i = 0; i < CROWD; i++) {
        if (crowd.peers[i] != 0) close(crowd.peers[i]);
    }
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    memset(&kernel, 0, sizeof kernel);
}

static void receive_all(void)
{
    for (int i = 0; i < CROWD; i++) {
        crowd.tasks[i] = vts_socket_recv(&crowd.sockets[i], crowd.bytes[i], 4, 0, NULL);
    }
}

static void write_to(int i, const char *text)
{
    assert_int_equal(write(crowd.peers[i], text, strlen(text)), (ssize_t)strlen(text));
}

static void assert_received(int i, const char *text)
{
    intptr_t count;

    assert_code(result_of(crowd.tasks[i], &count), VTS_OK);
    assert_int_equal(count, strlen(text));
    assert_memory_equal(crowd.bytes[i], text, strlen(text));
}

// ---- more at a time than the ring has room for ----

static void a_full_ring_loses_nothing(void)
{
    set_up();
    join_all();
    on_loop(receive_all);
    for (int i = 0; i < CROWD; i++) write_to(i, "one");
    for (int i = CROWD; i-- > 0;) assert_received(i, "one");
    on_loop(receive_all);
    for (int i = 0; i < CROWD; i++) write_to(i, "two");
    for (int i = 0; i < CROWD; i++) assert_received(i, "two");
    tear_down();
}

static void send_all_sockets(void)
{
    for (int i = 0; i < CROWD; i++) {
        crowd.tasks[i] = vts_socket_send_all(&crowd.sockets[i], "abc", 3, 0, NULL);
    }
}

/* Each is complete at once: what the kernel has to say does not fit its ring. */
static void what_completes_at_once_overflows_nothing(void)
{
    char got[4];
    intptr_t count;

    set_up();
    join_all();
    for (int round = 0; round < 3; round++) {
        on_loop(send_all_sockets);
        for (int i = 0; i < CROWD; i++) {
            assert_code(result_of(crowd.tasks[i], &count), VTS_OK);
            assert_int_equal(count, 3);
            assert_int_equal(read(crowd.peers[i], got, sizeof got), 3);
        }
    }
    tear_down();
}

/* They wait in the kernel, and end together: more than its ring holds. */
static void what_completes_together_overflows_nothing(void)
{
    intptr_t count;

    set_up();
    join_all();
    for (int round = 0; round < 3; round++) {
        on_loop(receive_all);
        while (vts_loop_run_once(&net.loop, 0) > 0) {}
        for (int i = 0; i < CROWD; i++) write_to(i, "x");
        for (int i = 0; i < CROWD; i++) {
            assert_code(result_of(crowd.tasks[i], &count), VTS_OK);
            assert_int_equal(count, 1);
        }
    }
    tear_down();
}

// ---- canceled while the kernel has it ----

static void receive_limited(void)
{
    vts_socket_limit limit = {0, vts_cancellation_token_of(&cancel)};
    crowd.tasks[0] = vts_socket_recv(&crowd.sockets[0], crowd.bytes[0], 4, 0, &limit);
    crowd.tasks[1] = vts_socket_recv(&crowd.sockets[0], crowd.bytes[1], 4, 0, NULL);
}

static void receive_late(void)
{
    vts_socket_limit limit = {vts_after(VTS_MILLISECONDS(5)), {0}};
    crowd.tasks[0] = vts_socket_recv(&crowd.sockets[0], crowd.bytes[0], 4, 0, &limit);
    crowd.tasks[1] = vts_socket_recv(&crowd.sockets[0], crowd.bytes[1], 4, 0, NULL);
}

static void assert_canceled(int error)
{
    run_until_completed(crowd.tasks[0]);
    assert_int_equal(vts_valuetask_get_status(crowd.tasks[0]), VTS_CANCELED);
    assert_code(vts_valuetask_get_result(crowd.tasks[0], NULL), error);
}

/* The next has what the first did not take. */
static void a_canceled_receive_leaves_the_bytes_to_the_next(void)
{
    set_up();
    join(0);
    for (int round = 0; round < 20; round++) {
        memset(&cancel, 0, sizeof cancel);
        memset(crowd.bytes[0], '-', 4);
        on_loop(receive_limited);
        vts_loop_run_once(&net.loop, 0);
        vts_cancellation_cancel(&cancel);
        assert_canceled(-ECANCELED);
        write_to(0, "abcd");
        assert_received(1, "abcd");
        assert_memory_equal(crowd.bytes[0], "----", 4);
        assert_code(vts_cancellation_dispose(&cancel), VTS_OK);
    }
    tear_down();
}

static void a_deadline_ends_what_the_kernel_has(void)
{
    set_up();
    join(0);
    on_loop(receive_late);
    assert_canceled(-ETIMEDOUT);
    write_to(0, "ab");
    assert_received(1, "ab");
    tear_down();
}

// ---- closed while the kernel has it ----

static void receive_and_close(void)
{
    receive_all();
    close_all();
    for (int i = 0; i < CROWD; i++) {
        assert_true(vts_valuetask_is_completed(crowd.tasks[i]));
        assert_code(vts_valuetask_get_result(crowd.tasks[i], NULL), -ECANCELED);
    }
}

/* Before the kernel has heard of all of it: their numbers belong to others then. */
static void closing_ends_what_was_not_handed_over_yet(void)
{
    set_up();
    join_all();
    for (int i = 0; i < CROWD; i++) memset(crowd.bytes[i], '-', 4);
    on_loop(receive_and_close);
    for (int i = 0; i < CROWD; i++) {
        close(crowd.peers[i]);
        join(i);
        write_to(i, "new");
    }
    on_loop(receive_all);
    for (int i = 0; i < CROWD; i++) assert_received(i, "new");
    tear_down();
}

/* Though nobody runs the loop. */
static void assert_peer_hears_the_end(int i)
{
    struct pollfd item = {.fd = crowd.peers[i], .events = POLLIN};
    char byte;

    assert_int_equal(poll(&item, 1, 20000), 1);
    assert_int_equal(read(crowd.peers[i], &byte, 1), 0);
}

static void close_and_look(void)
{
    close_all();
    for (int i = 0; i < CROWD; i++) {
        assert_code(vts_valuetask_get_result(crowd.tasks[i], NULL), -ECANCELED);
        assert_peer_hears_the_end(i);
    }
    memset(crowd.sockets, 0x5a, sizeof crowd.sockets);
}

/* At once: nothing of a closed socket is the kernel's, whose memory may go. */
static void closing_takes_everything_back(void)
{
    set_up();
    join_all();
    on_loop(receive_all);
    while (vts_loop_run_once(&net.loop, 0) > 0) {}
    for (int i = 0; i < CROWD; i++) memset(crowd.bytes[i], '-', 4);
    on_loop(close_and_look);
    memset(crowd.sockets, 0, sizeof crowd.sockets);
    for (int i = 0; i < CROWD; i++) assert_memory_equal(crowd.bytes[i], "----", 4);
    tear_down();
}

static void send_and_close(void)
{
    intptr_t count;

    crowd.tasks[0] = vts_socket_send_all(&crowd.sockets[0], "last", 4, 0, NULL);
    vts_socket_close(&crowd.sockets[0]);
    assert_code(vts_valuetask_get_result(crowd.tasks[0], &count), VTS_OK);
    assert_int_equal(count, 4);
}

static void what_is_sent_before_a_close_is_sent(void)
{
    char got[8];

    set_up();
    join(0);
    on_loop(send_and_close);
    assert_int_equal(read(crowd.peers[0], got, sizeof got), 4);
    assert_memory_equal(got, "last", 4);
    tear_down();
}

// ---- one thread after the other ----

static void *runs_once(void *arg)
{
    (void)arg;
    on_loop(receive_all);
    while (vts_loop_run_once(&net.loop, 0) > 0) {}
    return NULL;
}

/* The kernel lets in one thread only: the next one starts everything again. */
static void another_thread_goes_on(void)
{
    set_up();
    join_all();
    test_on_thread(runs_once, NULL);
    for (int i = 0; i < CROWD; i += 2) write_to(i, "one");
    for (int i = 0; i < CROWD; i += 2) assert_received(i, "one");
    for (int i = 1; i < CROWD; i += 2) write_to(i, "two");
    for (int i = 1; i < CROWD; i += 2) assert_received(i, "two");
    test_on_thread(runs_once, NULL);
    on_loop(close_and_look);
    memset(crowd.sockets, 0, sizeof crowd.sockets);
    tear_down();
}

static void *posts_stop(void *arg)
{
    (void)arg;
    THREAD_CHECK(vts_loop_stop(&net.loop) == VTS_OK);
    return NULL;
}

static void other_threads_wake_it(void)
{
    set_up();
    for (int i = 0; i < 20; i++) {
        test_thread thread = test_thread_start(posts_stop, NULL, 0);
        assert_code(vts_loop_run(&net.loop), VTS_OK);
        test_thread_join(thread);
    }
    tear_down();
}

// ---- refused ----

/* No process may set up a ring. */
static bool refuse_rings(void)
{
    struct sock_filter filter[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_io_uring_setup},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int refused_in_child(void)
{
    vts_socket_loop_desc desc = {.poller = VTS_POLLER_URING};

    if (!refuse_rings()) return 77;
    if (vts_socket_loop_init(&net, &desc) != VTS_OK) return 1;
    if (vts_socket_loop_poller(&net) != VTS_POLLER_EPOLL) return 2;
    if (strcmp(vts_socket_loop_note(&net),
               "io_uring: Operation not permitted; epoll instead") != 0) {
        return 3;
    }
    return vts_socket_loop_destroy(&net) == VTS_OK ? 0 : 4;
}

static void a_kernel_that_refuses_is_told(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) test_child_exit(refused_in_child());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) TEST_SKIP("no seccomp to refuse with");
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void memory_fails(void)
{
    vts_socket_loop_desc desc = {.poller = VTS_POLLER_URING, .allocator = &test_allocator};
    int error = vts_socket_loop_init(&net, &desc);

    if (error != VTS_OK) {
        assert_code(error, VTS_E_MEMORY);
        return;
    }
    join(0);
    on_loop(receive_all);
    for (int i = 1; i < CROWD; i++) {
        assert_code(vts_valuetask_get_result(crowd.tasks[i], NULL), VTS_E_CLOSED);
    }
    on_loop(close_all);
    assert_code(vts_valuetask_get_result(crowd.tasks[0], NULL),
                test_has_failed() ? -ENOMEM : -ECANCELED);
    close(crowd.peers[0]);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
}

static void without_memory_an_operation_fails(void)
{
    set_up();
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    assert_int_equal(test_every_failure(memory_fails), 2);
}

// ---- several pieces, urgent data ----

static char pieces[2][4];

static void receive_pieces(void)
{
    static const vts_buffer buffers[] = {{pieces[0], 2}, {pieces[1], 4}};
    crowd.tasks[0] = vts_socket_recv_vector(&crowd.sockets[0], buffers, 2, 0, NULL);
}

static void pieces_are_received(void)
{
    intptr_t count;

    set_up();
    join(0);
    on_loop(receive_pieces);
    write_to(0, "abcde");
    assert_code(result_of(crowd.tasks[0], &count), VTS_OK);
    assert_int_equal(count, 5);
    assert_memory_equal(pieces[0], "ab", 2);
    assert_memory_equal(pieces[1], "cde", 3);
    tear_down();
}

static void a_datagram_that_is_too_long_for_the_pieces_is_told(void)
{
    set_up();
    join_as(0, SOCK_DGRAM);
    on_loop(receive_pieces);
    write_to(0, "abcdefg");
    assert_code(result_of(crowd.tasks[0], NULL), -EMSGSIZE);
    on_loop(receive_pieces);
    write_to(0, "abcdef");
    assert_code(result_of(crowd.tasks[0], NULL), VTS_OK);
    tear_down();
}

/* The kernel only waits then. */
static void message_memory_fails(void)
{
    vts_socket_loop_desc desc = {.poller = VTS_POLLER_URING, .allocator = &test_allocator};
    intptr_t count = 0;
    int error;

    if (vts_socket_loop_init(&net, &desc) != VTS_OK) return;
    join(0);
    on_loop(receive_pieces);
    write_to(0, "abc");
    error = result_of(crowd.tasks[0], &count);
    if (error != VTS_OK) assert_code(error, -ENOMEM);
    else assert_int_equal(count, 3);
    on_loop(close_all);
    close(crowd.peers[0]);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
}

static void without_memory_for_a_message_it_is_received_all_the_same(void)
{
    set_up();
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    assert_int_equal(test_every_failure(message_memory_fails), 3);
}

static int listener;

static void listen_somewhere(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET};

    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&here, sizeof here), 0);
    assert_int_equal(listen(listener, 8), 0);
}

static int connected(void)
{
    struct sockaddr_in there;
    socklen_t length = sizeof there;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(getsockname(listener, (struct sockaddr *)&there, &length), 0);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&there, length), 0);
    return descriptor;
}

static void join_over_tcp(int i)
{
    listen_somewhere();
    crowd.peers[i] = connected();
    assert_code(vts_socket_adopt(&crowd.sockets[i], &net, accept(listener, NULL, NULL)),
                VTS_OK);
    close(listener);
}

/* A short read first: it says that there is nothing to try. */
static void receive_urgent(void)
{
    intptr_t count;

    crowd.tasks[0] = vts_socket_recv(&crowd.sockets[0], crowd.bytes[0], 4, 0, NULL);
    assert_code(vts_valuetask_get_result(crowd.tasks[0], &count), VTS_OK);
    assert_int_equal(count, 2);
    crowd.tasks[0] =
        vts_socket_recv(&crowd.sockets[0], crowd.bytes[0], 4, VTS_SOCKET_OOB, NULL);
}

static void send_urgent(void)
{
    crowd.tasks[1] = vts_socket_send(&crowd.sockets[0], "?", 1, VTS_SOCKET_OOB, NULL);
}

static void urgent_data_are_sent(void)
{
    char got;

    set_up();
    join_over_tcp(0);
    on_loop(send_urgent);
    assert_code(result_of(crowd.tasks[1], NULL), VTS_OK);
    assert_int_equal(recv(crowd.peers[0], &got, 1, MSG_OOB), 1);
    assert_int_equal(got, '?');
    tear_down();
}

static void urgent_data_are_waited_for(void)
{
    set_up();
    join_over_tcp(0);
    write_to(0, "ab");
    on_loop(receive_urgent);
    assert_false(vts_valuetask_is_completed(crowd.tasks[0]));
    assert_int_equal(send(crowd.peers[0], "cd!", 3, MSG_OOB), 3);
    assert_received(0, "!");
    tear_down();
}

static void waiting_fails(void)
{
    set_up();
    join_over_tcp(0);
    write_to(0, "ab");
    kernel.moved = -ENOMEM;
    kernel.moves = 1;
    on_loop(receive_urgent);
    assert_int_equal(send(crowd.peers[0], "!", 1, MSG_OOB), 1);
    assert_code(result_of(crowd.tasks[0], NULL), -ENOMEM);
    tear_down();
}

// ---- accepting ----

static vts_address from;

static void accept_from(void)
{
    crowd.tasks[0] = vts_socket_accept(&crowd.sockets[0], &from, NULL);
}

static void accept_only(void)
{
    crowd.tasks[0] = vts_socket_accept(&crowd.sockets[0], NULL, NULL);
}

/* The first comes to nothing, as the kernel says; the second is accepted. */
static void accept_after(int error, void (*accepts)(void))
{
    intptr_t descriptor;
    int peers[2];

    set_up();
    listen_somewhere();
    assert_code(vts_socket_adopt(&crowd.sockets[0], &net, listener), VTS_OK);
    kernel.moved = error;
    kernel.moves = 1;
    kernel.accepts = true;
    on_loop(accepts);
    peers[0] = connected();
    while (kernel.moves > 0) vts_loop_run_once(&net.loop, vts_after(PATIENCE));
    assert_false(vts_valuetask_is_completed(crowd.tasks[0]));
    peers[1] = connected();
    assert_code(result_of(crowd.tasks[0], &descriptor), VTS_OK);
    close((int)descriptor);
    close(peers[0]);
    close(peers[1]);
    tear_down();
}

static void a_connection_that_is_gone_is_none(void)
{
    accept_after(-ECONNABORTED, accept_from);
    assert_int_equal(vts_address_family(&from), VTS_IPV4);
    accept_after(-ECONNABORTED, accept_only);
}

static void what_is_interrupted_goes_on(void) { accept_after(-EINTR, accept_only); }

static void what_the_kernel_refuses_to_wait_for_is_polled(void)
{
    accept_after(-EAGAIN, accept_from);
    assert_int_equal(vts_address_family(&from), VTS_IPV4);
    accept_after(-EAGAIN, accept_only);
}

// ---- other kernels ----

static void receives_something(void)
{
    join(0);
    receive_all();
    write_to(0, "abc");
}

static void a_kernel_that_is_older_does_it_in_its_way(void)
{
    kernel.setup = -EINVAL;
    kernel.setups = 1;
    set_up();
    on_loop(receives_something);
    assert_received(0, "abc");
    tear_down();
}

static void assert_refused(const char *note)
{
    vts_socket_loop_desc desc = {.poller = VTS_POLLER_URING};

    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    assert_int_equal(vts_socket_loop_poller(&net), VTS_POLLER_EPOLL);
    assert_string_equal(vts_socket_loop_note(&net), note);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    memset(&kernel, 0, sizeof kernel);
}

static void a_kernel_that_is_too_old_is_told(void)
{
    set_up();
    tear_down();
    kernel.setup = -EINVAL;
    kernel.setups = 2;
    assert_refused("io_uring: Invalid argument; epoll instead");
    kernel.lacks = IORING_FEAT_EXT_ARG;
    assert_refused("io_uring: Function not implemented; epoll instead");
    kernel.eventfd = EMFILE;
    assert_refused("io_uring: Too many open files; epoll instead");
}

/* Without memory the kernel takes nothing: asked again, it does. */
static void a_full_ring_is_handed_over_when_there_is_memory(void)
{
    set_up();
    join_all();
    kernel.submit = -EAGAIN;
    kernel.submits = 3;
    on_loop(receive_all);
    assert_int_equal(kernel.submits, 0);
    for (int i = 0; i < CROWD; i++) write_to(i, "one");
    for (int i = 0; i < CROWD; i++) assert_received(i, "one");
    tear_down();
}

/* More than the ring holds, and not all of it the sockets': it is fetched in one pass. An
   older kernel does not wait to be asked for completions. */
static void what_overflows_is_fetched(void)
{
    kernel.setup = -EINVAL;
    kernel.setups = 1;
    set_up();
    join_all();
    on_loop(receive_all);
    while (vts_loop_run_once(&net.loop, 0) > 0) {}
    vts__uring_wake(&net);
    for (int i = 0; i < CROWD; i++) write_to(i, "one");
    kernel.peeks = 1;
    for (int i = 0; i < CROWD; i++) assert_received(i, "one");
    tear_down();
}

// ---- two reasons to end, a turn while the kernel has it ----

static void cancel_and_close(void)
{
    assert_false(vts_valuetask_is_completed(crowd.tasks[0]));
    close_all();
}

static void what_is_canceled_can_be_closed(void)
{
    set_up();
    join(0);
    on_loop(receive_limited);
    vts_cancellation_cancel(&cancel);
    on_loop(cancel_and_close);
    assert_canceled(-ECANCELED);
    assert_code(vts_valuetask_get_result(crowd.tasks[1], NULL), -ECANCELED);
    assert_code(vts_cancellation_dispose(&cancel), VTS_OK);
    tear_down();
}

static void receive_limited_twice(void)
{
    vts_socket_limit limit = {vts_after(VTS_MILLISECONDS(5)),
                              vts_cancellation_token_of(&cancel)};
    crowd.tasks[0] = vts_socket_recv(&crowd.sockets[0], crowd.bytes[0], 4, 0, &limit);
}

/* The deadline is looked at first. */
static void the_first_reason_to_end_counts(void)
{
    set_up();
    join(0);
    on_loop(receive_limited_twice);
    vts__sys_poll(NULL, 0, 10);
    vts_cancellation_cancel(&cancel);
    assert_canceled(-ETIMEDOUT);
    assert_code(vts_cancellation_dispose(&cancel), VTS_OK);
    tear_down();
}

/* The socket's turn is the sends': what receives is the kernel's. */
static void receive_and_send_in_turn(void)
{
    receive_all();
    net.turns = 0;
    crowd.tasks[1] = vts_socket_send_all(&crowd.sockets[0], "abc", 3, 0, NULL);
    assert_false(vts_valuetask_is_completed(crowd.tasks[1]));
}

static void a_turn_leaves_the_kernel_what_it_has(void)
{
    intptr_t count;

    set_up();
    join(0);
    on_loop(receive_and_send_in_turn);
    assert_code(result_of(crowd.tasks[1], &count), VTS_OK);
    assert_int_equal(count, 3);
    write_to(0, "def");
    assert_received(0, "def");
    tear_down();
}

// ---- what came back and was not served yet ----

/* The pass ends with this. */
static void send_and_stop(void)
{
    send_all_sockets();
    net.loop.stopped = true;
}

static void *sends_and_stops(void *arg)
{
    (void)arg;
    on_loop(send_and_stop);
    return NULL;
}

static void assert_all_sent(int from_i)
{
    intptr_t count;
    char got[4];

    for (int i = from_i; i < CROWD; i++) {
        assert_code(result_of(crowd.tasks[i], &count), VTS_OK);
        assert_int_equal(count, 3);
        assert_int_equal(read(crowd.peers[i], got, sizeof got), 3);
    }
}

static void what_was_not_served_is_served_in_the_next_pass(void)
{
    set_up();
    join_all();
    on_loop(send_and_stop);
    assert_all_sent(0);
    tear_down();
}

static void what_another_thread_did_not_serve_is_served(void)
{
    set_up();
    join_all();
    test_on_thread(sends_and_stops, NULL);
    assert_all_sent(0);
    tear_down();
}

static void cancel_send_and_stop(void)
{
    crowd.tasks[0] = vts_valuetask_from_result(3);
    vts__request_cancel(vts__request_of(crowd.sockets[0].last[0]->next), -ECANCELED);
    for (int i = 1; i < CROWD; i++) {
        crowd.tasks[i] = vts_socket_send_all(&crowd.sockets[i], "abc", 3, 0, NULL);
    }
    net.loop.stopped = true;
}

/* The kernel does not find it, as when it is about to try it again. */
static void a_cancellation_that_finds_nothing_is_tried_again(void)
{
    vts_valuetask canceled, other;

    set_up();
    join_all();
    on_loop(receive_limited);
    canceled = crowd.tasks[0];
    other = crowd.tasks[1];
    kernel.lost_cancels = 1;
    on_loop(cancel_send_and_stop);
    assert_int_equal(kernel.lost_cancels, 0);
    assert_all_sent(1);
    crowd.tasks[0] = canceled;
    assert_canceled(-ECANCELED);
    crowd.tasks[1] = other;
    write_to(0, "abc");
    assert_received(1, "abc");
    assert_code(vts_cancellation_dispose(&cancel), VTS_OK);
    tear_down();
}

// ---- another thread, in trouble ----

static void *receives_limited(void *arg)
{
    (void)arg;
    on_loop(receive_limited);
    return NULL;
}

/* Nothing of the other thread's ring can be canceled: it ends in this one's. */
static void another_thread_s_operation_is_canceled(void)
{
    set_up();
    join(0);
    test_on_thread(receives_limited, NULL);
    vts_cancellation_cancel(&cancel);
    assert_canceled(-ECANCELED);
    write_to(0, "abcd");
    assert_received(1, "abcd");
    assert_code(vts_cancellation_dispose(&cancel), VTS_OK);
    tear_down();
}

static void no_ring_for_this_thread(int times)
{
    kernel.setup = -EMFILE;
    kernel.setups = times;
}

static void receive_late_comer(void)
{
    crowd.tasks[1] = vts_socket_recv(&crowd.sockets[1], crowd.bytes[1], 4, 0, NULL);
}

/* What is new fails; the rest waits until there is one. */
static void a_thread_that_gets_no_ring_tries_again(void)
{
    set_up();
    join(0);
    test_on_thread(runs_once, NULL);
    join(1);
    no_ring_for_this_thread(2);
    on_loop(receive_late_comer);
    assert_code(vts_valuetask_get_result(crowd.tasks[1], NULL), -EMFILE);
    assert_int_equal(kernel.setups, 0);
    write_to(0, "abc");
    assert_received(0, "abc");
    tear_down();
}

static void closing_waits_for_a_ring(void)
{
    set_up();
    join_all();
    test_on_thread(runs_once, NULL);
    no_ring_for_this_thread(2);
    on_loop(close_and_look);
    memset(crowd.sockets, 0, sizeof crowd.sockets);
    tear_down();
}

/* What the kernel refused the other thread, this one cannot ask for again. */
static void what_cannot_be_asked_for_again_fails(void)
{
    intptr_t count;

    set_up();
    join_all();
    kernel.moved = -EAGAIN;
    kernel.moves = 1;
    test_on_thread(sends_and_stops, NULL);
    assert_int_equal(kernel.moves, 0);
    no_ring_for_this_thread(3);
    assert_true(vts_loop_run_once(&net.loop, vts_after(PATIENCE)) >= 0);
    assert_code(vts_valuetask_get_result(crowd.tasks[0], NULL), -EMFILE);
    assert_int_equal(kernel.setups, 0);
    for (int i = 1; i < CROWD; i++) {
        assert_code(result_of(crowd.tasks[i], &count), VTS_OK);
    }
    tear_down();
}

static const test_case tests[] = {
    TEST(a_full_ring_loses_nothing),
    TEST(what_completes_at_once_overflows_nothing),
    TEST(what_completes_together_overflows_nothing),
    TEST(a_canceled_receive_leaves_the_bytes_to_the_next),
    TEST(a_deadline_ends_what_the_kernel_has),
    TEST(closing_ends_what_was_not_handed_over_yet),
    TEST(closing_takes_everything_back),
    TEST(what_is_sent_before_a_close_is_sent),
    TEST(another_thread_goes_on),
    TEST(other_threads_wake_it),
    TEST(a_kernel_that_refuses_is_told),
    TEST(without_memory_an_operation_fails),
    TEST(pieces_are_received),
    TEST(a_datagram_that_is_too_long_for_the_pieces_is_told),
    TEST(without_memory_for_a_message_it_is_received_all_the_same),
    TEST(urgent_data_are_sent),
    TEST(urgent_data_are_waited_for),
    TEST(waiting_fails),
    TEST(a_connection_that_is_gone_is_none),
    TEST(what_is_interrupted_goes_on),
    TEST(what_the_kernel_refuses_to_wait_for_is_polled),
    TEST(a_kernel_that_is_older_does_it_in_its_way),
    TEST(a_kernel_that_is_too_old_is_told),
    TEST(a_full_ring_is_handed_over_when_there_is_memory),
    TEST(what_overflows_is_fetched),
    TEST(what_is_canceled_can_be_closed),
    TEST(the_first_reason_to_end_counts),
    TEST(a_turn_leaves_the_kernel_what_it_has),
    TEST(what_was_not_served_is_served_in_the_next_pass),
    TEST(what_another_thread_did_not_serve_is_served),
    TEST(a_cancellation_that_finds_nothing_is_tried_again),
    TEST(another_thread_s_operation_is_canceled),
    TEST(a_thread_that_gets_no_ring_tries_again),
    TEST(closing_waits_for_a_ring),
    TEST(what_cannot_be_asked_for_again_fails),
};

#endif

TEST_MAIN(tests)
