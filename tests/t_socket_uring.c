/* What is special to io_uring. Built with VTS_SOCKET_URING where liburing is there, as
   t_socket.c is, which has the rest. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define VTS__URING_ENTRIES 8u /* the ring is often full                               */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"
#include "test.h"

#ifndef VTS_SOCKET_URING

static void io_uring(void) { TEST_SKIP("built without VTS_SOCKET_URING"); }

static const test_case tests[] = {TEST(io_uring)};

#else

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#define PATIENCE VTS_SECONDS(20)
#define CROWD 100

static vts_socket_loop net;

/* Sockets and their peers, which are descriptors of the test's own. */
static struct {
    vts_socket sockets[CROWD];
    int peers[CROWD];
    char bytes[CROWD][4];
    vts_valuetask tasks[CROWD];
} crowd;

static void set_up(void)
{
    static char reason[sizeof net.note];
    vts_socket_loop_desc desc = {.poller = VTS_POLLER_URING};

    memset(&crowd, 0, sizeof crowd);
    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    if (vts_socket_loop_note(&net)[0] == 0) return;
    memcpy(reason, net.note, sizeof reason);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    TEST_SKIP(reason);
}

static void join(int i)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    crowd.peers[i] = ends[1];
    assert_code(vts_socket_adopt(&crowd.sockets[i], &net, ends[0]), VTS_OK);
}

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

static vts_cancellation_source cancel;

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
};

#endif

TEST_MAIN(tests)
