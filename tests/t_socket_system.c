/* The wrappers of the system's calls: started again when a signal interrupts them, an
   error as a negative errno. The system answers what a test has written down. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define VTS_IMPLEMENTATION
#include "vts.h"

/* What it answers, in order: a result, or a negative errno; and what it was asked. */
static struct {
    int answers[8];
    size_t count, asked;
    char calls[128];       /* their names                                             */
    int milliseconds;      /* of epoll_wait                                           */
    int64_t timeout[2];    /* of epoll_pwait2                                         */
    int flags[4];          /* of fcntl                                                */
    struct timespec patience; /* of sigtimedwait                                      */
} script;

/* The arguments do not matter. One that was not expected fails: see assert_asked. */
static int answer(const char *call, ...)
{
    size_t used = strlen(script.calls);
    int now = script.asked < script.count ? script.answers[script.asked] : -EDOM;

    snprintf(script.calls + used, sizeof script.calls - used, "%s ", call);
    script.asked++;
    errno = now < 0 ? -now : 0;
    return now < 0 ? -1 : now;
}

static int answer_fcntl(int descriptor, int command, int value)
{
    if (script.asked < 4) script.flags[script.asked] = value;
    return answer(command == F_GETFL   ? "get"
                  : command == F_SETFD ? "set-descriptor"
                                       : "set",
                  descriptor);
}

static int answer_epoll_wait(int poller, struct epoll_event *events, int count,
                             int milliseconds)
{
    script.milliseconds = milliseconds;
    return answer("epoll_wait", poller, events, count);
}

static long answer_syscall(long number, int poller, struct epoll_event *events, int count,
                           const int64_t *timeout, void *mask, int size)
{
    memcpy(script.timeout, timeout, sizeof script.timeout);
    return answer("epoll_pwait2", number, poller, events, count, mask, size);
}

static int answer_sigtimedwait(const sigset_t *set, siginfo_t *info,
                               const struct timespec *patience)
{
    script.patience = *patience;
    return answer(sigismember(set, SIGPIPE) ? "sigtimedwait" : "other", info);
}

#define recv(...) answer("recv", __VA_ARGS__)
#define send(...) answer("send", __VA_ARGS__)
#define recvfrom(...) answer("recvfrom", __VA_ARGS__)
#define sendto(...) answer("sendto", __VA_ARGS__)
#define recvmsg(...) answer("recvmsg", __VA_ARGS__)
#define sendmsg(...) answer("sendmsg", __VA_ARGS__)
#define connect(...) answer("connect", __VA_ARGS__)
#define bind(...) answer("bind", __VA_ARGS__)
#define listen(...) answer("listen", __VA_ARGS__)
#define shutdown(...) answer("shutdown", __VA_ARGS__)
#define getsockname(...) answer("getsockname", __VA_ARGS__)
#define getpeername(...) answer("getpeername", __VA_ARGS__)
#define getsockopt(...) answer("getsockopt", __VA_ARGS__)
#define setsockopt(...) answer("setsockopt", __VA_ARGS__)
#define poll(...) answer("poll", __VA_ARGS__)
#define pipe(...) answer("pipe", __VA_ARGS__)
#define read(...) answer("read", __VA_ARGS__)
#define write(...) answer("write", __VA_ARGS__)
#define fcntl(...) answer_fcntl(__VA_ARGS__)
#define socket(...) answer("socket", __VA_ARGS__)
#define accept4(...) answer("accept4", __VA_ARGS__)
#define sendfile(...) answer("sendfile", __VA_ARGS__)
#define sigtimedwait(...) answer_sigtimedwait(__VA_ARGS__)
#define epoll_create1(...) answer("epoll_create1", __VA_ARGS__)
#define epoll_ctl(...) answer("epoll_ctl", __VA_ARGS__)
#define epoll_wait(...) answer_epoll_wait(__VA_ARGS__)
#define syscall(...) answer_syscall(__VA_ARGS__)
#define eventfd(...) answer("eventfd", __VA_ARGS__)
#include "vts_socket.h"
#undef recv
#undef send
#undef recvfrom
#undef sendto
#undef recvmsg
#undef sendmsg
#undef connect
#undef bind
#undef listen
#undef shutdown
#undef getsockname
#undef getpeername
#undef getsockopt
#undef setsockopt
#undef poll
#undef pipe
#undef read
#undef write
#undef fcntl
#undef socket
#undef accept4
#undef sendfile
#undef sigtimedwait
#undef epoll_create1
#undef epoll_ctl
#undef epoll_wait
#undef syscall
#undef eventfd
#include "test.h"

#define BEGIN(...)                                                                     \
    begin((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void begin(const int *answers, size_t count)
{
    memset(&script, 0, sizeof script);
    memcpy(script.answers, answers, count * sizeof *answers);
    script.count = count;
}

/* These calls were made, and no other. */
static void assert_asked(const char *calls)
{
    assert_string_equal(script.calls, calls);
    assert_int_equal(script.asked, script.count);
}

// ----------------------------------------------------------------------------------
// Those that are all alike
// ----------------------------------------------------------------------------------

static char bytes[8];
static vts_address address;
static socklen_t length;
static int value;

#define CALL(name, arguments)                                                          \
    static int call_##name(void) { return vts__sys_##name arguments; }

CALL(recv, (7, bytes, sizeof bytes, 0))
CALL(send, (7, bytes, sizeof bytes, 0))
CALL(recvfrom, (7, bytes, sizeof bytes, 0, &address, &length))
CALL(sendto, (7, bytes, sizeof bytes, 0, &address, length))
CALL(recvmsg, (7, NULL, 0))
CALL(sendmsg, (7, NULL, 0))
CALL(bind, (7, &address, length))
CALL(listen, (7, 1))
CALL(shutdown, (7, SHUT_WR))
CALL(getsockname, (7, &address, &length))
CALL(getpeername, (7, &address, &length))
CALL(getsockopt, (7, SOL_SOCKET, SO_ERROR, &value))
CALL(setsockopt, (7, SOL_SOCKET, SO_RCVBUF, 1))
CALL(read, (7, bytes, sizeof bytes))
CALL(write, (7, bytes, sizeof bytes))
CALL(socket, (AF_INET, SOCK_STREAM))
CALL(accept, (7, &address, &length))
CALL(sendfile, (7, 8, 0, 1))
CALL(epoll_create, ())
CALL(epoll_ctl, (7, EPOLL_CTL_ADD, 8, NULL))
CALL(eventfd, ())

static const struct {
    int (*call)(void);
    const char *name;
} calls[] = {{call_recv, "recv"},
             {call_send, "send"},
             {call_recvfrom, "recvfrom"},
             {call_sendto, "sendto"},
             {call_recvmsg, "recvmsg"},
             {call_sendmsg, "sendmsg"},
             {call_bind, "bind"},
             {call_listen, "listen"},
             {call_shutdown, "shutdown"},
             {call_getsockname, "getsockname"},
             {call_getpeername, "getpeername"},
             {call_getsockopt, "getsockopt"},
             {call_setsockopt, "setsockopt"},
             {call_read, "read"},
             {call_write, "write"},
             {call_socket, "socket"},
             {call_accept, "accept4"},
             {call_sendfile, "sendfile"},
             {call_epoll_create, "epoll_create1"},
             {call_epoll_ctl, "epoll_ctl"},
             {call_eventfd, "eventfd"}};
#define CALLS (sizeof calls / sizeof calls[0])

static void what_a_signal_interrupts_starts_again(void)
{
    char twice[64];

    for (size_t i = 0; i < CALLS; i++) {
        snprintf(twice, sizeof twice, "%s %s %s ", calls[i].name, calls[i].name,
                 calls[i].name);
        BEGIN(-EINTR, -EINTR, 5);
        assert_int_equal(calls[i].call(), 5);
        assert_asked(twice);
    }
}

static void an_error_is_a_negative_number(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        BEGIN(-EIO);
        assert_int_equal(calls[i].call(), -EIO);
        assert_int_equal(script.asked, 1);
        BEGIN(-EINTR, -EAGAIN);
        assert_int_equal(calls[i].call(), -EAGAIN);
        assert_int_equal(script.asked, 2);
    }
}

static void nothing_is_a_result(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        BEGIN(0);
        assert_int_equal(calls[i].call(), 0);
        assert_int_equal(script.asked, 1);
    }
}

// ----------------------------------------------------------------------------------
// Those that are not
// ----------------------------------------------------------------------------------

/* A second connect would only say that one is under way. */
static void an_interrupted_connect_goes_on(void)
{
    BEGIN(0);
    assert_int_equal(vts__sys_connect(7, &address, length), 0);
    BEGIN(-EINTR);
    assert_int_equal(vts__sys_connect(7, &address, length), -EINPROGRESS);
    assert_asked("connect ");
    BEGIN(-ECONNREFUSED);
    assert_int_equal(vts__sys_connect(7, &address, length), -ECONNREFUSED);
}

/* The loop looks at what the signal may have done. */
static void a_signal_ends_poll(void)
{
    BEGIN(2);
    assert_int_equal(vts__sys_poll(NULL, 0, 1), 2);
    BEGIN(-EINTR);
    assert_int_equal(vts__sys_poll(NULL, 0, 1), -EINTR);
    assert_asked("poll ");
}

static void neither_end_of_a_pipe_blocks(void)
{
    int ends[2] = {3, 4};

    BEGIN(0, 0, 0, 0, 0);
    assert_int_equal(vts__sys_pipe(ends), 0);
    assert_asked("pipe set-descriptor set set-descriptor set ");
    assert_int_equal(script.flags[1], FD_CLOEXEC);
    assert_int_equal(script.flags[2], O_NONBLOCK);
    BEGIN(-EMFILE);
    assert_int_equal(vts__sys_pipe(ends), -EMFILE);
    assert_asked("pipe ");
}

static void what_blocks_does_no_more(void)
{
    BEGIN(O_APPEND, -EINTR, 0);
    assert_int_equal(vts__sys_set_nonblocking(7), 0);
    assert_asked("get set set ");
    assert_int_equal(script.flags[2], O_APPEND | O_NONBLOCK);
    BEGIN(O_NONBLOCK);
    assert_int_equal(vts__sys_set_nonblocking(7), 0);
    assert_asked("get ");
    BEGIN(-EBADF);
    assert_int_equal(vts__sys_set_nonblocking(7), -EBADF);
    assert_asked("get ");
    BEGIN(O_APPEND, -EPERM);
    assert_int_equal(vts__sys_set_nonblocking(7), -EPERM);
    assert_asked("get set ");
}

// ---- send_file ----

static bool pipe_signal_is_blocked(void)
{
    sigset_t now;

    pthread_sigmask(SIG_SETMASK, NULL, &now);
    return sigismember(&now, SIGPIPE) != 0;
}

static void the_signal_of_a_closed_peer_is_taken_away(void)
{
    BEGIN(-EPIPE, -EINTR, SIGPIPE);
    assert_int_equal(call_sendfile(), -EPIPE);
    assert_asked("sendfile sigtimedwait sigtimedwait ");
    assert_int_equal(script.patience.tv_sec, 0);
    assert_int_equal(script.patience.tv_nsec, 0);
    assert_false(pipe_signal_is_blocked());
    BEGIN(-EPIPE, -EAGAIN);
    assert_int_equal(call_sendfile(), -EPIPE);
    assert_asked("sendfile sigtimedwait ");
    BEGIN(-ECONNRESET);
    assert_int_equal(call_sendfile(), -ECONNRESET);
    assert_asked("sendfile ");
}

/* It was there before: the caller's own, which stays. */
static void a_signal_of_the_caller_s_stays(void)
{
    const struct timespec now = {0, 0};
    sigset_t pipe, before;
    int error, taken;
    bool blocked;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    raise(SIGPIPE);
    BEGIN(-EPIPE);
    error = call_sendfile();
    blocked = pipe_signal_is_blocked();
    taken = sigtimedwait(&pipe, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(error, -EPIPE);
    assert_asked("sendfile ");
    assert_true(blocked);
    assert_int_equal(taken, SIGPIPE);
}

// ---- epoll_wait ----

static int wait_for(vts_time nanoseconds)
{
    struct epoll_event events[1];
    return vts__sys_epoll_wait(7, events, 1, nanoseconds);
}

static void for_ever_and_not_at_all_need_no_clock(void)
{
    BEGIN(1);
    assert_int_equal(wait_for(VTS_NEVER), 1);
    assert_asked("epoll_wait ");
    assert_int_equal(script.milliseconds, -1);
    BEGIN(0);
    assert_int_equal(wait_for(0), 0);
    assert_asked("epoll_wait ");
    assert_int_equal(script.milliseconds, 0);
}

#ifdef SYS_epoll_pwait2

static void a_time_is_exact(void)
{
    BEGIN(1);
    assert_int_equal(wait_for(VTS_SECONDS(3) + 7), 1);
    assert_asked("epoll_pwait2 ");
    assert_int_equal(script.timeout[0], 3);
    assert_int_equal(script.timeout[1], 7);
    BEGIN(0);
    assert_int_equal(wait_for(VTS_SECONDS(7200)), 0);
    assert_int_equal(script.timeout[0], 3600);
    assert_int_equal(script.timeout[1], 0);
}

/* Then it is at least as long, in milliseconds. */
static void a_kernel_without_exact_times_gets_milliseconds(void)
{
    BEGIN(-ENOSYS, 1);
    assert_int_equal(wait_for(VTS_MILLISECONDS(2) + 1), 1);
    assert_asked("epoll_pwait2 epoll_wait ");
    assert_int_equal(script.milliseconds, 3);
    BEGIN(-ENOSYS, 0);
    assert_int_equal(wait_for(VTS_MILLISECONDS(2)), 0);
    assert_int_equal(script.milliseconds, 2);
    BEGIN(-ENOSYS, 0);
    assert_int_equal(wait_for(VTS_SECONDS(7200)), 0);
    assert_int_equal(script.milliseconds, 3600000);
}

static void a_signal_ends_waiting(void)
{
    BEGIN(-EINTR);
    assert_int_equal(wait_for(1), -EINTR);
    assert_asked("epoll_pwait2 ");
    BEGIN(-EINTR);
    assert_int_equal(wait_for(VTS_NEVER), -EINTR);
    assert_asked("epoll_wait ");
}

#else

static void a_time_is_exact(void) { TEST_SKIP("the system's headers lack epoll_pwait2"); }

static void a_kernel_without_exact_times_gets_milliseconds(void)
{
    BEGIN(1);
    assert_int_equal(wait_for(VTS_MILLISECONDS(2) + 1), 1);
    assert_int_equal(script.milliseconds, 3);
}

static void a_signal_ends_waiting(void)
{
    BEGIN(-EINTR);
    assert_int_equal(wait_for(1), -EINTR);
    assert_asked("epoll_wait ");
}

#endif

static const test_case tests[] = {
    TEST(what_a_signal_interrupts_starts_again),
    TEST(an_error_is_a_negative_number),
    TEST(nothing_is_a_result),
    TEST(an_interrupted_connect_goes_on),
    TEST(a_signal_ends_poll),
    TEST(neither_end_of_a_pipe_blocks),
    TEST(what_blocks_does_no_more),
    TEST(the_signal_of_a_closed_peer_is_taken_away),
    TEST(a_signal_of_the_caller_s_stays),
    TEST(for_ever_and_not_at_all_need_no_clock),
    TEST(a_time_is_exact),
    TEST(a_kernel_without_exact_times_gets_milliseconds),
    TEST(a_signal_ends_waiting),
};
TEST_MAIN(tests)
