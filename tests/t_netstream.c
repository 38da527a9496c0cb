/* Buffered bytes and lines over real sockets: what is done at once and what waits, every
   place where a line can be cut, ends, failures, cancellation that loses nothing. Most
   tests hold one end themselves, as a plain descriptor. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* What the stream asks of the system, counted; and what the system is made to answer. */
static struct {
    size_t recvs, sends, mallocs;
    size_t most;              /* bytes of one call; 0: as many as it wants            */
    int recv_error, send_error;
} sys;

static ssize_t counted_recv(int socket, void *buffer, size_t size, int flags)
{
    sys.recvs++;
    errno = sys.recv_error;
    if (sys.recv_error != 0) return -1;
    if (sys.most != 0 && size > sys.most) size = sys.most;
    return recv(socket, buffer, size, flags);
}

static ssize_t counted_send(int socket, const void *buffer, size_t size, int flags)
{
    sys.sends++;
    errno = sys.send_error;
    if (sys.send_error != 0) return -1;
    if (sys.most != 0 && size > sys.most) size = sys.most;
    return send(socket, buffer, size, flags);
}

static void *counted_malloc(size_t size)
{
    sys.mallocs++;
    return malloc(size);
}

#define malloc(size) counted_malloc(size)
#define recv counted_recv
#define send counted_send
#define VTS_IMPLEMENTATION
#include "vts_socket.h"
#undef malloc
#undef recv
#undef send
#include "test.h"

#define PATIENCE VTS_SECONDS(20) /* for what has to happen                             */
#define LARGE 65536u

// ----------------------------------------------------------------------------------
// The scene: a loop, a stream, and the other end
// ----------------------------------------------------------------------------------

static vts_socket_loop net;

/* A script is a coroutine on the loop; this is what it works with. */
static struct {
    vts_co co;
    vts_step (*run)(vts_co *co);
    vts_work work;
    vts_valuetask script, task;
    bool done;
    vts_socket socket;
    vts_netstream stream;
    int peer; /* the descriptor of the other end, which does not block                */
    size_t in_size, out_size;
    vts_cancellation_source cancel;
    vts_socket_limit limit;
    vts_stream *lines;
    vts_buffer view;
    size_t i, at, cut, count;
    intptr_t n, sum;
} s;

static unsigned char in[LARGE], out[LARGE], data[4 * LARGE], got[4 * LARGE];

/* Waits, and compares. */
#define EXPECT(value, task_)                                                           \
    do {                                                                               \
        VTS_AWAIT(s.n, task_);                                                         \
        assert_code(s.n, value);                                                       \
    } while (0)

/* The same of what needs nothing but the buffer, and says so. */
#define AT_ONCE(value, task_)                                                          \
    do {                                                                               \
        size_t calls = sys.recvs + sys.sends;                                          \
        vts_valuetask now = (task_);                                                   \
        intptr_t result = 0;                                                           \
        int error = vts_valuetask_get_result(now, &result);                            \
        assert_code(error == VTS_OK ? result : error, value);                          \
        assert_int_equal(sys.recvs + sys.sends, calls);                                \
    } while (0)

static void script_ended(void *arg)
{
    (void)arg;
    assert_code(vts_valuetask_get_result(s.script, NULL), VTS_OK);
    if (vts_socket_is_open(&s.socket)) {
        assert_code(vts_valuetask_get_result(vts_socket_close(&s.socket), NULL), VTS_OK);
    }
    if (s.peer >= 0) close(s.peer);
    s.done = true;
}

static void script_begins(vts_work *work)
{
    (void)work;
    s.script = vts_co_start_named(&s.co, s.run, "script");
    vts_valuetask_on_completed(s.script, script_ended, NULL, VTS_NONE);
}

static void open_stream(size_t in_size, size_t out_size)
{
    int ends[2];

    memset(&s, 0, sizeof s);
    memset(&sys, 0, sizeof sys);
    s.in_size = in_size;
    s.out_size = out_size;
    s.limit.cancel = vts_cancellation_token_of(&s.cancel);
    assert_code(vts_socket_loop_init(&net, NULL), VTS_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    s.peer = ends[1];
    assert_code(vts_socket_adopt(&s.socket, &net, ends[0]), VTS_OK);
    assert_code(vts_netstream_init(&s.stream, &s.socket, in, in_size, out, out_size), 0);
}

static void play_on(vts_step (*run)(vts_co *co))
{
    vts_time end = vts_after(VTS_SECONDS(60));

    s.run = run;
    s.work.run = script_begins;
    vts_scheduler_post(&net.loop.scheduler, &s.work);
    while (!s.done && vts_now() < end) {
        assert_true(vts_loop_run_once(&net.loop, end) >= 0);
    }
    if (!s.done) TEST_FAIL("it stands still\n");
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
}

/* Runs a script on a new stream with buffers of these sizes. */
static void play(vts_step (*run)(vts_co *co), size_t in_size, size_t out_size)
{
    open_stream(in_size, out_size);
    play_on(run);
}

static void peer_sends(const char *text)
{
    size_t size = strlen(text);
    assert_int_equal(send(s.peer, text, size, MSG_NOSIGNAL), size);
}

static void peer_ends(void) { shutdown(s.peer, SHUT_WR); }

/* What has arrived there, which is this. */
static void peer_has(const char *text)
{
    char arrived[4096];
    ssize_t size = recv(s.peer, arrived, sizeof arrived, 0);

    if (size < 0) size = 0;
    assert_int_equal(size, strlen(text));
    assert_memory_equal(arrived, text, (size_t)size);
}

/* The view shows this text. */
static void shows(const char *text)
{
    assert_int_equal(s.view.size, strlen(text));
    if (s.view.size > 0) assert_memory_equal(s.view.data, text, s.view.size);
}

static void fill(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)test_random();
}

static const vts_socket_limit *in_time(void)
{
    s.limit.deadline = vts_after(PATIENCE);
    return &s.limit;
}

static const vts_socket_limit *soon_late(void)
{
    s.limit.deadline = vts_after(VTS_MILLISECONDS(1));
    return &s.limit;
}

/* Bytes that have arrived and were not taken. */
static int unread(void)
{
    int count = 0;
    assert_int_equal(ioctl(s.socket.descriptor, FIONREAD, &count), 0);
    return count;
}

static vts_valuetask rest(void)
{
    return vts_delay(&net.loop, vts_after(VTS_MILLISECONDS(1)), vts_cancellation_none());
}

// ----------------------------------------------------------------------------------
// Beginning
// ----------------------------------------------------------------------------------

static void what_cannot_be_is_refused(void)
{
    static vts_netstream none;
    vts_netstream *null = NULL;

    open_stream(4, 4);
    assert_code(vts_netstream_init(null, &s.socket, in, 1, out, 1), VTS_E_ARGUMENT);
    assert_code(vts_netstream_init(&none, NULL, in, 1, out, 1), VTS_E_ARGUMENT);
    assert_code(vts_netstream_init(&none, &s.socket, NULL, 1, out, 1), VTS_E_ARGUMENT);
    assert_code(vts_netstream_init(&none, &s.socket, in, 0, out, 1), VTS_E_ARGUMENT);
    assert_code(vts_netstream_init(&none, &s.socket, in, 1, NULL, 1), VTS_E_ARGUMENT);
    assert_code(vts_netstream_init(&none, &s.socket, in, 1, out, 0), VTS_E_ARGUMENT);
    assert_code(vts_netstream_init(&none, &s.socket, in, (size_t)INT_MAX + 1, out, 1),
                VTS_E_ARGUMENT);
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_read(null, got, 1, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_read(&s.stream, NULL, 1, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_read(&s.stream, got, (size_t)INT_MAX + 1, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_read_exactly(null, got, 1, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_read_exactly(&s.stream, NULL, 1, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_skip(null, 1, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_read_byte(null, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_read_line(null, &s.view, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_read_line(&s.stream, NULL, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_read_until(&s.stream, 'x', NULL, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_peek(&s.stream, 1, NULL, NULL));
    AT_ONCE(-EMSGSIZE, vts_netstream_peek(&s.stream, 5, &s.view, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_write(null, got, 1, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_write(&s.stream, NULL, 1, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_write_line(&s.stream, NULL, 1, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_write_line(&s.stream, "", INT_MAX, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_write_byte(null, 1, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_flush(null, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_shutdown(null, NULL));
    AT_ONCE(VTS_E_ARGUMENT, vts_netstream_close(null, NULL));
    AT_ONCE(VTS_E_CLOSED, vts_netstream_read_byte(&none, NULL));
    AT_ONCE(VTS_E_CLOSED, vts_netstream_write_byte(&none, 1, NULL));
    assert_null(vts_netstream_lines(null));
    assert_null(vts_netstream_lines(&none));
    s.task = vts_socket_close(&s.socket);
    assert_code(vts_loop_run_until(&net.loop, s.task, vts_after(PATIENCE)), VTS_OK);
    assert_code(vts_valuetask_get_result(s.task, NULL), VTS_OK);
    assert_code(vts_netstream_init(&none, &s.socket, in, 1, out, 1), VTS_E_CLOSED);
    close(s.peer);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
}

/* Nobody runs the loop yet: what the buffer does is done, the rest waits for the loop. */
static void before_the_loop_is_run_operations_wait_for_it(void)
{
    open_stream(4, 4);
    AT_ONCE(3, vts_netstream_write(&s.stream, "abc", 3, NULL));
    s.task = vts_netstream_flush(&s.stream, in_time());
    assert_false(vts_valuetask_is_completed(s.task));
    assert_code(vts_loop_run_until(&net.loop, s.task, VTS_NEVER), VTS_OK);
    assert_code(vts_valuetask_get_result(s.task, NULL), VTS_OK);
    peer_has("abc");
    s.task = vts_netstream_close(&s.stream, NULL);
    assert_code(vts_valuetask_get_result(s.task, NULL), VTS_OK);
    while (vts_socket_is_open(&s.socket)) vts_loop_run_once(&net.loop, vts_after(PATIENCE));
    close(s.peer);
    while (vts_socket_loop_destroy(&net) != VTS_OK) vts_loop_run_once(&net.loop, 0);
}

static void *reads_elsewhere(void *arg)
{
    (void)arg;
    THREAD_CHECK(vts_valuetask_get_result(vts_netstream_read_byte(&s.stream, NULL), NULL) ==
                 VTS_E_THREAD);
    THREAD_CHECK(vts_valuetask_get_result(vts_netstream_close(&s.stream, NULL), NULL) ==
                 VTS_E_THREAD);
    return NULL;
}

static vts_step writing_run(vts_co *co)
{
    VTS_ASYNC(co) {
        while (send(s.socket.descriptor, data, sizeof data, MSG_DONTWAIT) > 0) {}
        AT_ONCE(3, vts_netstream_write(&s.stream, "end", 3, NULL));
        s.task = vts_netstream_flush(&s.stream, in_time());
        assert_code(vts_netstream_init(&s.stream, &s.socket, in, 4, out, 4), VTS_E_BUSY);
        while (recv(s.peer, got, sizeof got, 0) > 0) {}
        EXPECT(0, s.task);
        peer_has("end");
        assert_code(vts_netstream_init(&s.stream, &s.socket, in, 4, out, 4), VTS_OK);
    }
    return vts_co_finish(co, 0);
}

static void a_stream_that_writes_begins_nothing_else(void) { play(writing_run, 4, 4); }

static vts_step elsewhere_run(vts_co *co)
{
    test_on_thread(reads_elsewhere, NULL);
    assert_true(vts_socket_is_open(&s.socket));
    return vts_co_finish(co, 0);
}

static void another_thread_is_told(void) { play(elsewhere_run, 4, 4); }

static vts_step again_run(vts_co *co)
{
    int ends[2];

    VTS_ASYNC(co) {
        peer_sends("old");
        EXPECT('o', vts_netstream_read_byte(&s.stream, NULL));
        s.task = vts_netstream_read_exactly(&s.stream, got, 4, NULL);
        assert_code(vts_netstream_init(&s.stream, &s.socket, in, 4, out, 4), VTS_E_BUSY);
        peer_ends();
        EXPECT(VTS_E_END, s.task);
        assert_string_equal(vts_socket_strerror((int)s.n), "the stream has ended");
        EXPECT(1, vts_netstream_write_byte(&s.stream, 'x', NULL));
        EXPECT(0, vts_socket_close(&s.socket));
        close(s.peer);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        s.peer = ends[1];
        assert_code(vts_socket_adopt(&s.socket, &net, ends[0]), VTS_OK);
        assert_code(vts_netstream_init(&s.stream, &s.socket, in, 4, out, 4), VTS_OK);
        assert_int_equal(vts_netstream_readable(&s.stream), 0);
        peer_sends("new");
        EXPECT('n', vts_netstream_read_byte(&s.stream, NULL));
        EXPECT(1, vts_netstream_write_byte(&s.stream, 'y', NULL));
        EXPECT(0, vts_netstream_flush(&s.stream, NULL));
        peer_has("y");
    }
    return vts_co_finish(co, 0);
}

static void a_stream_begins_again(void) { play(again_run, 4, 4); }

// ----------------------------------------------------------------------------------
// What is done at once, and how often the socket is asked
// ----------------------------------------------------------------------------------

#define POEM "0123456789abcdefghijklmnopqrstuvwxyz0123456789AB" /* 48 bytes */

static vts_step read_bytes_run(vts_co *co)
{
    VTS_ASYNC(co) {
        peer_sends(POEM);
        for (s.i = 0; s.i < 48; s.i++) {
            s.count = vts_netstream_readable(&s.stream);
            s.at = sys.recvs;
            s.task = vts_netstream_read_byte(&s.stream, NULL);
            assert_null(s.task.source);
            assert_int_equal(sys.recvs - s.at, s.count == 0);
            EXPECT(POEM[s.i], s.task);
        }
        assert_int_equal(sys.recvs, (48 + s.in_size - 1) / s.in_size);
        s.task = vts_netstream_read_byte(&s.stream, NULL);
        assert_false(vts_valuetask_is_completed(s.task));
        peer_sends("\xff");
        EXPECT(255, s.task);
        peer_ends();
        EXPECT(VTS_E_END, vts_netstream_read_byte(&s.stream, NULL));
        AT_ONCE(VTS_E_END, vts_netstream_read_byte(&s.stream, NULL));
        AT_ONCE(0, vts_netstream_read(&s.stream, got, 1, NULL));
        AT_ONCE(0, vts_netstream_read(&s.stream, got, LARGE * 2, NULL));
    }
    return vts_co_finish(co, 0);
}

static void bytes_are_read_a_buffer_at_a_time(void)
{
    static const size_t sizes[] = {1, 2, 3, 16, 47, 48, 49, LARGE};
    for (size_t i = 0; i < 8; i++) play(read_bytes_run, sizes[i], 1);
}

static vts_step write_bytes_run(vts_co *co)
{
    VTS_ASYNC(co) {
        for (s.i = 0; s.i < 48; s.i++) {
            s.count = vts_netstream_unflushed(&s.stream);
            s.at = sys.sends;
            s.task = vts_netstream_write_byte(&s.stream, (unsigned char)POEM[s.i], NULL);
            assert_null(s.task.source);
            assert_int_equal(sys.sends - s.at, s.count == s.out_size);
            EXPECT(1, s.task);
        }
        EXPECT(0, vts_netstream_flush(&s.stream, NULL));
        assert_int_equal(sys.sends, (48 + s.out_size - 1) / s.out_size);
        AT_ONCE(0, vts_netstream_flush(&s.stream, NULL));
        AT_ONCE(0, vts_netstream_write(&s.stream, NULL, 0, NULL));
        peer_has(POEM);
    }
    return vts_co_finish(co, 0);
}

static void bytes_are_sent_a_buffer_at_a_time(void)
{
    static const size_t sizes[] = {1, 2, 3, 16, 47, 48, 49, LARGE};
    for (size_t i = 0; i < 8; i++) play(write_bytes_run, 1, sizes[i]);
}

static vts_step bypass_run(vts_co *co)
{
    VTS_ASYNC(co) {
        fill(data, 1000);
        assert_int_equal(send(s.peer, data, 1000, 0), 1000);
        EXPECT(1000, vts_netstream_read(&s.stream, got, 2000, NULL));
        assert_int_equal(sys.recvs, 1);
        assert_memory_equal(got, data, 1000);

        assert_int_equal(send(s.peer, data, 1000, 0), 1000);
        EXPECT(data[0], vts_netstream_read_byte(&s.stream, NULL));
        AT_ONCE(15, vts_netstream_read(&s.stream, got, 2000, NULL));
        EXPECT(984, vts_netstream_read_exactly(&s.stream, got, 984, NULL));
        assert_memory_equal(got, data + 16, 984);
        assert_int_equal(sys.recvs, 3);

        EXPECT(1000, vts_netstream_write(&s.stream, data, 1000, NULL));
        assert_int_equal(sys.sends, 1);
        assert_int_equal(vts_netstream_unflushed(&s.stream), 0);
        AT_ONCE(3, vts_netstream_write(&s.stream, "abc", 3, NULL));
        EXPECT(17, vts_netstream_write_line(&s.stream, POEM, 16, NULL));
        assert_int_equal(sys.sends, 3);
        EXPECT(0, vts_netstream_flush(&s.stream, NULL));
        assert_int_equal(recv(s.peer, got, 2000, 0), 1020);
        assert_memory_equal(got, data, 1000);
        assert_memory_equal(got + 1000, "abc0123456789abcdef\n", 20);
    }
    return vts_co_finish(co, 0);
}

static void what_is_large_goes_past_an_empty_buffer(void) { play(bypass_run, 16, 16); }

/* The socket gives one byte at a time, all at once: no call is inside another. */
static vts_step long_run(vts_co *co)
{
    VTS_ASYNC(co) {
        sys.most = 1;
        net.turns = INT_MAX;
        for (s.count = 0; (s.n = send(s.peer, data, 1000, 0)) > 0;) s.count += (size_t)s.n;
        s.task = vts_netstream_skip(&s.stream, s.count, NULL);
        assert_true(vts_valuetask_is_completed(s.task));
        EXPECT(s.count, s.task);
        assert_int_equal(sys.recvs, s.count);
        TEST_NOTE("%zu bytes, each its own receive, in one read", s.count);
    }
    return vts_co_finish(co, 0);
}

static void a_long_run_at_once_does_not_grow_the_stack(void) { play(long_run, 16, 16); }

static vts_step allocating_run(vts_co *co)
{
    VTS_ASYNC(co) {
        for (s.i = 0; s.i < 1000; s.i++) {
            if (s.i == 10) s.count = sys.mallocs;
            s.task = vts_netstream_read_line(&s.stream, &s.view, s.i % 2 == 0 ? NULL
                                                                            : in_time());
            assert_false(vts_valuetask_is_completed(s.task));
            peer_sends("line\nmore\n");
            EXPECT(5, s.task);
            AT_ONCE(5, vts_netstream_read_line(&s.stream, &s.view, NULL));
            AT_ONCE(5, vts_netstream_write_line(&s.stream, "line", 4, NULL));
            EXPECT(0, vts_netstream_flush(&s.stream, NULL));
            peer_has("line\n");
        }
        assert_int_equal(sys.mallocs, s.count);
    }
    return vts_co_finish(co, 0);
}

static void nothing_is_allocated(void) { play(allocating_run, 64, 64); }

// ----------------------------------------------------------------------------------
// Lines
// ----------------------------------------------------------------------------------

static const char text[] = "one\ntwo\r\n\n\r\nf\rv\nlast";
static const struct {
    const char *line;
    int taken;
} lines[] = {{"one", 4}, {"two", 5}, {"", 1}, {"", 2}, {"f\rv", 4}, {"last", 4}};

/* Two pieces: the second when the stream waits for it, having taken all of the first. */
static vts_valuetask feed(vts_valuetask task)
{
    if (vts_valuetask_is_completed(task) || s.cut > sizeof text - 1) return task;
    peer_sends(text + s.cut);
    peer_ends();
    s.cut = sizeof text;
    return task;
}

static vts_step lines_run(vts_co *co)
{
    VTS_ASYNC(co) {
        if (s.cut > 0) assert_int_equal(send(s.peer, text, s.cut, 0), s.cut);
        for (s.i = 0; s.i < 6; s.i++) {
            s.task = feed(vts_netstream_read_line(&s.stream, &s.view, NULL));
            EXPECT(lines[s.i].taken, s.task);
            shows(lines[s.i].line);
        }
        EXPECT(0, vts_netstream_read_line(&s.stream, &s.view, NULL));
        shows("");
        AT_ONCE(0, vts_netstream_read_line(&s.stream, &s.view, NULL));
    }
    return vts_co_finish(co, 0);
}

static void lines_are_cut_anywhere(void)
{
    for (size_t size = 5; size < 24; size++) {
        for (size_t cut = 0; cut < sizeof text - 1; cut++) {
            open_stream(size, 1);
            s.cut = cut;
            play_on(lines_run);
        }
    }
}

/* Byte by byte: the stream never has more than it needs. */
static vts_step dripped_run(vts_co *co)
{
    VTS_ASYNC(co) {
        peer_sends(text);
        peer_ends();
        sys.most = 1;
        for (s.i = 0; s.i < 6; s.i++) {
            EXPECT(lines[s.i].taken, vts_netstream_read_line(&s.stream, &s.view, NULL));
            shows(lines[s.i].line);
            assert_int_equal(vts_netstream_readable(&s.stream), 0);
        }
    }
    return vts_co_finish(co, 0);
}

static void lines_come_byte_by_byte(void)
{
    for (size_t size = 5; size < 24; size++) play(dripped_run, size, 1);
}

static vts_step foreach_run(vts_co *co)
{
    VTS_ASYNC(co) {
        peer_sends(text);
        s.lines = vts_netstream_lines(&s.stream);
        assert_null(vts_stream_current(s.lines));
        VTS_FOREACH(s.n, s.lines, vts_cancellation_none()) {
            s.view = *(vts_buffer *)vts_stream_current(s.lines);
            shows(lines[s.i].line);
            if (++s.i == 2) break;
        }
        assert_int_equal(s.n, 1);
        EXPECT(0, vts_stream_dispose(s.lines));
        assert_null(vts_stream_current(s.lines));
        EXPECT(1, vts_netstream_read_line(&s.stream, &s.view, NULL));
        VTS_FOREACH(s.n, s.lines, vts_cancellation_token_of(&s.cancel)) {
            s.view = *(vts_buffer *)vts_stream_current(s.lines);
            shows(lines[++s.i].line);
            if (s.i == 4) vts_cancellation_cancel(&s.cancel);
        }
        assert_code(s.n, -ECANCELED);
        assert_int_equal(s.i, 4);
        assert_null(vts_stream_current(s.lines));
        s.task = vts_stream_move_next(s.lines, vts_cancellation_none());
        AT_ONCE(VTS_E_BUSY, vts_stream_move_next(s.lines, vts_cancellation_none()));
        AT_ONCE(VTS_E_BUSY, vts_stream_dispose(s.lines));
        peer_ends();
        EXPECT(1, s.task);
        s.view = *(vts_buffer *)vts_stream_current(s.lines);
        shows("last");
        EXPECT(0, vts_stream_move_next(s.lines, vts_cancellation_none()));
        assert_null(vts_stream_current(s.lines));
    }
    return vts_co_finish(co, 0);
}

static void foreach_gives_the_lines(void) { play(foreach_run, 16, 1); }

static vts_step too_long_run(vts_co *co)
{
    VTS_ASYNC(co) {
        peer_sends("12345678\nshort\n");
        EXPECT(-EMSGSIZE, vts_netstream_read_line(&s.stream, &s.view, NULL));
        EXPECT(-EMSGSIZE, vts_netstream_read_line(&s.stream, &s.view, NULL));
        AT_ONCE(8, vts_netstream_peek(&s.stream, 8, &s.view, NULL));
        shows("12345678");
        AT_ONCE(8, vts_netstream_read(&s.stream, got, 100, NULL));
        assert_memory_equal(got, "12345678", 8);
        EXPECT(1, vts_netstream_read_line(&s.stream, &s.view, NULL));
        EXPECT(6, vts_netstream_read_line(&s.stream, &s.view, NULL));
        shows("short");
        peer_sends("12345678");
        peer_ends();
        EXPECT(-EMSGSIZE, vts_netstream_read_line(&s.stream, &s.view, NULL));
        EXPECT('1', vts_netstream_read_byte(&s.stream, NULL));
        EXPECT(7, vts_netstream_read_line(&s.stream, &s.view, NULL));
        shows("2345678");
    }
    return vts_co_finish(co, 0);
}

static void a_line_longer_than_the_buffer_loses_nothing(void) { play(too_long_run, 8, 1); }

static vts_step pieces_run(vts_co *co)
{
    VTS_ASYNC(co) {
        peer_sends("key=value;\r;\n");
        EXPECT(4, vts_netstream_read_until(&s.stream, '=', &s.view, NULL));
        shows("key");
        EXPECT(6, vts_netstream_read_until(&s.stream, ';', &s.view, NULL));
        shows("value");
        EXPECT(2, vts_netstream_read_until(&s.stream, ';', &s.view, NULL));
        shows("\r");
        EXPECT(1, vts_netstream_skip(&s.stream, 1, NULL));
        s.task = vts_netstream_peek(&s.stream, 2, &s.view, NULL);
        peer_sends("\x01");
        while (unread() > 0) EXPECT(0, rest());
        assert_false(vts_valuetask_is_completed(s.task));
        peer_sends("\x02\x03");
        EXPECT(3, s.task);
        shows("\x01\x02\x03");
        AT_ONCE(3, vts_netstream_peek(&s.stream, 0, &s.view, NULL));
        EXPECT(3, vts_netstream_read_exactly(&s.stream, got, 3, NULL));
        AT_ONCE(0, vts_netstream_read_exactly(&s.stream, NULL, 0, NULL));
        AT_ONCE(0, vts_netstream_peek(&s.stream, 0, &s.view, NULL));
        s.task = vts_netstream_read(&s.stream, NULL, 0, NULL);
        assert_false(vts_valuetask_is_completed(s.task));
        peer_sends("abcd");
        EXPECT(0, s.task);
        assert_int_equal(vts_netstream_readable(&s.stream), 4);
        AT_ONCE(0, vts_netstream_read(&s.stream, NULL, 0, NULL));
        peer_ends();
        EXPECT(VTS_E_END, vts_netstream_read_exactly(&s.stream, got, 5, NULL));
        assert_int_equal(vts_netstream_read_done(&s.stream), 0);
        EXPECT(4, vts_netstream_peek(&s.stream, 5, &s.view, NULL));
        EXPECT(VTS_E_END, vts_netstream_read_exactly(&s.stream, got, 17, NULL));
        assert_int_equal(vts_netstream_read_done(&s.stream), 4);
        assert_memory_equal(got, "abcd", 4);
        EXPECT(0, vts_netstream_peek(&s.stream, 5, &s.view, NULL));
        EXPECT(0, vts_netstream_read(&s.stream, NULL, 0, NULL));
    }
    return vts_co_finish(co, 0);
}

static void pieces_are_read_skipped_and_looked_at(void) { play(pieces_run, 16, 1); }

static vts_step large_end_run(vts_co *co)
{
    VTS_ASYNC(co) {
        peer_sends("12345");
        peer_ends();
        EXPECT(VTS_E_END, vts_netstream_read_exactly(&s.stream, got, 100, NULL));
        assert_int_equal(vts_netstream_read_done(&s.stream), 5);
        AT_ONCE(0, vts_netstream_read(&s.stream, got, 100, NULL));
        AT_ONCE(VTS_E_END, vts_netstream_skip(&s.stream, 1, NULL));
    }
    return vts_co_finish(co, 0);
}

static void a_large_read_finds_the_end(void) { play(large_end_run, 4, 1); }

// ----------------------------------------------------------------------------------
// One at a time; ends, failures
// ----------------------------------------------------------------------------------

static vts_step busy_run(vts_co *co)
{
    VTS_ASYNC(co) {
        peer_sends("x");
        s.task = vts_netstream_read_exactly(&s.stream, got, 2, NULL);
        AT_ONCE(VTS_E_BUSY, vts_netstream_read_byte(&s.stream, NULL));
        AT_ONCE(VTS_E_BUSY, vts_netstream_read_line(&s.stream, &s.view, in_time()));
        AT_ONCE(1, vts_netstream_write_byte(&s.stream, 'w', NULL));
        EXPECT(0, vts_netstream_flush(&s.stream, NULL));
        peer_sends("yz");
        while (!vts_valuetask_is_completed(s.task)) EXPECT(0, rest());
        AT_ONCE(VTS_E_BUSY, vts_netstream_read_byte(&s.stream, NULL));
        EXPECT(2, s.task);
        AT_ONCE('z', vts_netstream_read_byte(&s.stream, NULL));
        AT_ONCE(VTS_E_STALE, s.task);
        while (send(s.socket.descriptor, data, sizeof data, MSG_DONTWAIT) > 0) {}
        AT_ONCE(2, vts_netstream_write(&s.stream, "12", 2, NULL));
        s.task = vts_netstream_flush(&s.stream, NULL);
        AT_ONCE(VTS_E_BUSY, vts_netstream_write_byte(&s.stream, 'w', NULL));
        AT_ONCE(VTS_E_BUSY, vts_netstream_close(&s.stream, NULL));
        while (recv(s.peer, got, sizeof got, 0) > 0) {}
        EXPECT(0, s.task);
        peer_has("12");
    }
    return vts_co_finish(co, 0);
}

static void one_reads_and_one_writes(void) { play(busy_run, 4, 4); }

static vts_step failing_reads_run(vts_co *co)
{
    VTS_ASYNC(co) {
        peer_sends("line\nhalf");
        EXPECT(5, vts_netstream_read_line(&s.stream, &s.view, NULL));
        sys.recv_error = ENOBUFS;
        EXPECT(-ENOBUFS, vts_netstream_read_line(&s.stream, &s.view, NULL));
        sys.recv_error = ECONNRESET;
        EXPECT(-ECONNRESET, vts_netstream_read_line(&s.stream, &s.view, NULL));
        sys.recv_error = 0;
        AT_ONCE(-ECONNRESET, vts_netstream_read_line(&s.stream, &s.view, NULL));
        AT_ONCE(-ECONNRESET, vts_netstream_read_exactly(&s.stream, got, 5, NULL));
        AT_ONCE(-ECONNRESET, vts_netstream_peek(&s.stream, 5, &s.view, NULL));
        AT_ONCE(2, vts_netstream_read_exactly(&s.stream, got, 2, NULL));
        AT_ONCE(2, vts_netstream_read(&s.stream, got, 5, NULL));
        AT_ONCE(-ECONNRESET, vts_netstream_read(&s.stream, got, 5, NULL));
        AT_ONCE(-ECONNRESET, vts_netstream_read_byte(&s.stream, NULL));
        EXPECT(1, vts_netstream_write_byte(&s.stream, 'w', NULL));
        EXPECT(0, vts_netstream_flush(&s.stream, NULL));
        EXPECT(0, vts_netstream_close(&s.stream, NULL));
        AT_ONCE(VTS_E_CLOSED, vts_netstream_read(&s.stream, got, 5, NULL));
    }
    return vts_co_finish(co, 0);
}

static void a_failure_stays_behind_what_came_before(void) { play(failing_reads_run, 16, 4); }

static vts_step failing_writes_run(vts_co *co)
{
    VTS_ASYNC(co) {
        AT_ONCE(4, vts_netstream_write(&s.stream, "1234", 4, NULL));
        sys.send_error = ENOBUFS;
        EXPECT(-ENOBUFS, vts_netstream_write_byte(&s.stream, '5', NULL));
        sys.send_error = 0;
        EXPECT(1, vts_netstream_write_byte(&s.stream, '5', NULL));
        peer_has("1234");
        close(s.peer);
        s.peer = -1;
        EXPECT(-EPIPE, vts_netstream_flush(&s.stream, NULL));
        AT_ONCE(-EPIPE, vts_netstream_write_byte(&s.stream, '6', NULL));
        AT_ONCE(-EPIPE, vts_netstream_write(&s.stream, data, LARGE, NULL));
        AT_ONCE(-EPIPE, vts_netstream_flush(&s.stream, NULL));
        AT_ONCE(-EPIPE, vts_netstream_shutdown(&s.stream, NULL));
        AT_ONCE(-EPIPE, vts_netstream_close(&s.stream, NULL));
        assert_false(vts_socket_is_open(&s.socket));
        AT_ONCE(VTS_E_CLOSED, vts_netstream_write_byte(&s.stream, '6', NULL));
        AT_ONCE(VTS_E_CLOSED, vts_netstream_close(&s.stream, NULL));
    }
    return vts_co_finish(co, 0);
}

static void a_write_that_failed_fails_all_others(void) { play(failing_writes_run, 4, 4); }

static vts_step ends_run(vts_co *co)
{
    VTS_ASYNC(co) {
        AT_ONCE(3, vts_netstream_write(&s.stream, "end", 3, NULL));
        EXPECT(0, vts_netstream_shutdown(&s.stream, NULL));
        peer_has("end");
        assert_int_equal(recv(s.peer, got, 1, 0), 0);
        AT_ONCE(VTS_E_END, vts_netstream_write_byte(&s.stream, 'x', NULL));
        AT_ONCE(0, vts_netstream_flush(&s.stream, NULL));
        peer_sends("still\nhere");
        EXPECT(6, vts_netstream_read_line(&s.stream, &s.view, NULL));
        s.task = vts_netstream_read_line(&s.stream, &s.view, NULL);
        EXPECT(0, vts_netstream_close(&s.stream, NULL));
        assert_true(vts_valuetask_is_canceled(s.task));
        EXPECT(-ECANCELED, s.task);
        AT_ONCE(VTS_E_CLOSED, vts_netstream_read_byte(&s.stream, NULL));
        AT_ONCE(VTS_E_CLOSED, vts_netstream_write_byte(&s.stream, 'x', NULL));
        AT_ONCE(VTS_E_CLOSED, vts_netstream_flush(&s.stream, NULL));
    }
    return vts_co_finish(co, 0);
}

static void shutdown_ends_writing_and_close_both(void) { play(ends_run, 16, 4); }

/* It is not the stream's to keep: the socket may be opened again. */
static vts_step closed_run(vts_co *co)
{
    int ends[2];

    VTS_ASYNC(co) {
        EXPECT(0, vts_socket_close(&s.socket));
        EXPECT(VTS_E_CLOSED, vts_netstream_read_byte(&s.stream, NULL));
        EXPECT(VTS_E_CLOSED, vts_netstream_shutdown(&s.stream, NULL));
        close(s.peer);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        s.peer = ends[1];
        assert_code(vts_socket_adopt(&s.socket, &net, ends[0]), VTS_OK);
        peer_sends("x");
        EXPECT('x', vts_netstream_read_byte(&s.stream, NULL));
        EXPECT(1, vts_netstream_write_byte(&s.stream, 'y', NULL));
        EXPECT(0, vts_netstream_flush(&s.stream, NULL));
        peer_has("y");
    }
    return vts_co_finish(co, 0);
}

static void that_the_socket_is_closed_is_told(void) { play(closed_run, 4, 4); }

/* The peer reads nothing: what is left unsent is told, and the socket closed. */
static vts_step late_close_run(vts_co *co)
{
    VTS_ASYNC(co) {
        while (send(s.socket.descriptor, data, sizeof data, MSG_DONTWAIT) > 0) {}
        AT_ONCE(3, vts_netstream_write(&s.stream, "end", 3, NULL));
        if (s.in_size == 1) vts_cancellation_cancel(&s.cancel);
        s.task = vts_netstream_close(&s.stream, soon_late());
        EXPECT(s.in_size == 1 ? -ECANCELED : -ETIMEDOUT, s.task);
        assert_false(vts_socket_is_open(&s.socket));
        AT_ONCE(VTS_E_CLOSED, vts_netstream_close(&s.stream, NULL));
    }
    return vts_co_finish(co, 0);
}

static void close_closes_in_any_case(void)
{
    play(late_close_run, 1, 4);
    play(late_close_run, 2, 4);
}

/* The memory of all of it goes in the continuation of the close. */
static struct connection {
    vts_socket socket;
    vts_netstream stream;
    unsigned char in[8], out[8];
    vts_valuetask task;
} *connection;

static void connection_goes(void *arg)
{
    assert_ptr_equal(arg, connection);
    assert_code(vts_valuetask_get_result(connection->task, NULL), VTS_OK);
    free(connection);
    connection = NULL;
}

static vts_step free_run(vts_co *co)
{
    int ends[2];

    VTS_ASYNC(co) {
        connection = calloc(1, sizeof *connection);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        close(s.peer);
        s.peer = ends[1];
        vts_socket_adopt(&connection->socket, &net, ends[0]);
        vts_netstream_init(&connection->stream, &connection->socket, connection->in, 8,
                           connection->out, 8);
        while (send(connection->socket.descriptor, data, sizeof data, 0) > 0) {}
        vts_netstream_write(&connection->stream, "end", 3, NULL);
        connection->task = vts_netstream_close(&connection->stream, in_time());
        vts_valuetask_on_completed(connection->task, connection_goes, connection, VTS_NONE);
        assert_non_null(connection);
        while (recv(s.peer, got, sizeof got, 0) > 0) {}
        while (connection != NULL) EXPECT(0, rest());
        peer_has("end");
    }
    return vts_co_finish(co, 0);
}

static void a_continuation_frees_the_stream(void) { play(free_run, 1, 1); }

// ----------------------------------------------------------------------------------
// Cancellation
// ----------------------------------------------------------------------------------

static void cancel_again(void)
{
    memset(&s.cancel, 0, sizeof s.cancel);
    s.limit.deadline = 0;
}

/* Each operation has a part of what it needs, and is canceled by a token. */
static vts_step canceled_reads_run(vts_co *co)
{
    VTS_ASYNC(co) {
        for (s.i = 0; s.i < 6; s.i++) {
            cancel_again();
            peer_sends("1234");
            if (s.i == 0) s.task = vts_netstream_read_line(&s.stream, &s.view, &s.limit);
            if (s.i == 1) s.task = vts_netstream_read_exactly(&s.stream, got, 8, &s.limit);
            if (s.i == 2) s.task = vts_netstream_peek(&s.stream, 8, &s.view, &s.limit);
            if (s.i == 3) s.task = vts_netstream_skip(&s.stream, 8, &s.limit);
            if (s.i == 4) s.task = vts_netstream_read_exactly(&s.stream, got, 9, &s.limit);
            if (s.i == 5) s.task = vts_netstream_skip(&s.stream, 9, &s.limit);
            peer_sends("5");
            while (unread() > 0) EXPECT(0, rest());
            assert_false(vts_valuetask_is_completed(s.task));
            vts_cancellation_cancel(&s.cancel);
            VTS_AWAIT(s.sum, s.task);
            assert_code(s.sum, -ECANCELED);
            s.at = vts_netstream_read_done(&s.stream);
            assert_int_equal(s.at, s.i < 4 ? 0 : 5);
            if (s.i == 4) assert_memory_equal(got, "12345", 5);
            peer_sends("\n");
            s.task = vts_netstream_read_line(&s.stream, &s.view, NULL);
            EXPECT(6 - (intptr_t)s.at, s.task);
            shows(&"12345"[s.at]);
        }
    }
    return vts_co_finish(co, 0);
}

static void a_canceled_read_loses_nothing(void) { play(canceled_reads_run, 8, 8); }

static vts_step late_run(vts_co *co)
{
    VTS_ASYNC(co) {
        EXPECT(-ETIMEDOUT, vts_netstream_read(&s.stream, got, 4, soon_late()));
        EXPECT(-ETIMEDOUT, vts_netstream_read(&s.stream, got, 400, soon_late()));
        peer_sends("half");
        s.task = vts_netstream_read_line(&s.stream, &s.view, soon_late());
        while (!vts_valuetask_is_completed(s.task)) EXPECT(0, rest());
        assert_true(vts_valuetask_is_canceled(s.task));
        EXPECT(-ETIMEDOUT, s.task);
        AT_ONCE(4, vts_netstream_peek(&s.stream, 4, &s.view, &s.limit));
        vts_cancellation_cancel(&s.cancel);
        s.task = vts_netstream_read(&s.stream, got, 4, &s.limit);
        assert_true(vts_valuetask_is_canceled(s.task));
        AT_ONCE(-ECANCELED, s.task);
        AT_ONCE(-ECANCELED, vts_netstream_read_byte(&s.stream, &s.limit));
        AT_ONCE(-ECANCELED, vts_netstream_write(&s.stream, "x", 1, &s.limit));
        AT_ONCE(-ECANCELED, vts_netstream_write_byte(&s.stream, 'x', &s.limit));
        AT_ONCE(4, vts_netstream_read(&s.stream, got, 4, NULL));
        assert_memory_equal(got, "half", 4);
        assert_int_equal(vts_netstream_unflushed(&s.stream), 0);
    }
    return vts_co_finish(co, 0);
}

static void a_late_read_is_canceled_and_can_go_on(void) { play(late_run, 16, 16); }

/* The peer counts what it reads: data[0], data[1] and so on, without end. */
static void peer_drains(void)
{
    for (;;) {
        ssize_t size = recv(s.peer, got, sizeof got, 0);
        if (size <= 0) break;
        for (ssize_t i = 0; i < size; i++) {
            if (got[i] != data[s.count % LARGE]) TEST_FAIL("byte %zu is wrong\n", s.count);
            s.count++;
        }
    }
}

/* Writes of any size, most of them canceled in the middle, and gone on with. */
static vts_step canceled_writes_run(vts_co *co)
{
    VTS_ASYNC(co) {
        fill(data, LARGE);
        memcpy(data + LARGE, data, LARGE);
        assert_code(vts_socket_set_option(&s.socket, VTS_OPTION_SEND_BUFFER, 1), 0);
        for (s.i = 0; s.i < 300; s.i++) {
            cancel_again();
            s.cut = test_random() % (s.i % 3 == 0 ? 20 : LARGE);
            s.task = vts_netstream_write(&s.stream, data + s.at, s.cut, &s.limit);
            if (!vts_valuetask_is_completed(s.task)) {
                if (s.i % 5 == 0) peer_drains();
                if (s.i % 2 == 0) EXPECT(0, rest());
                vts_cancellation_cancel(&s.cancel);
            }
            VTS_AWAIT(s.n, s.task);
            if (s.n < 0) assert_code(s.n, -ECANCELED);
            s.sum += s.n < 0;
            if (s.n < 0) s.n = (intptr_t)vts_netstream_write_done(&s.stream);
            assert_true(s.n == 0 || (size_t)s.n <= s.cut);
            s.at = (s.at + (size_t)s.n) % LARGE;
            if (s.i % 7 == 0) peer_drains();
        }
        cancel_again();
        s.task = vts_netstream_flush(&s.stream, in_time());
        while (!vts_valuetask_is_completed(s.task)) {
            peer_drains();
            EXPECT(0, rest());
        }
        EXPECT(0, s.task);
        peer_drains();
        assert_int_equal(s.count % LARGE, s.at);
        assert_true(s.sum > 10);
        TEST_NOTE("%zu bytes, %d writes canceled", s.count, (int)s.sum);
    }
    return vts_co_finish(co, 0);
}

static void canceled_writes_lose_and_double_nothing(void)
{
    play(canceled_writes_run, 1, 16);
    play(canceled_writes_run, 1, 4096);
}

static vts_step canceled_flush_run(vts_co *co)
{
    VTS_ASYNC(co) {
        while ((s.n = send(s.socket.descriptor, data, 4096, MSG_DONTWAIT)) > 0) {
            s.at += (size_t)s.n;
        }
        AT_ONCE(4, vts_netstream_write(&s.stream, "1234", 4, NULL));
        EXPECT(-ETIMEDOUT, vts_netstream_flush(&s.stream, soon_late()));
        EXPECT(-ETIMEDOUT, vts_netstream_write_byte(&s.stream, '5', soon_late()));
        EXPECT(-ETIMEDOUT, vts_netstream_write(&s.stream, "56", 2, soon_late()));
        EXPECT(-ETIMEDOUT, vts_netstream_shutdown(&s.stream, soon_late()));
        assert_int_equal(vts_netstream_write_done(&s.stream), 0);
        assert_int_equal(vts_netstream_unflushed(&s.stream), 4);
        while (s.at > 0) s.at -= (size_t)recv(s.peer, got, s.at, 0);
        EXPECT(3, vts_netstream_write(&s.stream, "567", 3, NULL));
        EXPECT(0, vts_netstream_flush(&s.stream, NULL));
        peer_has("1234567");
    }
    return vts_co_finish(co, 0);
}

static void a_canceled_flush_can_be_flushed_again(void) { play(canceled_flush_run, 1, 4); }

// ----------------------------------------------------------------------------------
// A megabyte both ways
// ----------------------------------------------------------------------------------

/* One end: a coroutine that writes, and one that reads, pieces of any size. */
typedef struct end {
    vts_co writes, reads;
    vts_socket socket;
    vts_netstream stream;
    unsigned char *in, *out, piece[3000], other[3000];
    size_t to_send, to_receive, size;
    uint64_t written, read; /* checksums                                              */
    intptr_t w, r;
    vts_valuetask writing, reading;
} end;

static end ends[2];
static size_t megabyte;

static uint64_t checksum(uint64_t sum, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

static vts_step writes_run(vts_co *co)
{
    end *e = &ends[VTS_SELF(co, end) != &ends[0]];

    VTS_ASYNC(co) {
        while (e->to_send > 0) {
            e->size = 1 + test_random() % sizeof e->piece;
            if (e->size > e->to_send) e->size = e->to_send;
            fill(e->piece, e->size);
            e->written = checksum(e->written, e->piece, e->size);
            VTS_TRY(e->w, vts_netstream_write(&e->stream, e->piece, e->size, NULL));
            assert_int_equal(e->w, e->size);
            e->to_send -= e->size;
            if (test_random() % 16 == 0) {
                VTS_TRY(e->w, vts_netstream_flush(&e->stream, NULL));
            }
        }
        VTS_TRY(e->w, vts_netstream_shutdown(&e->stream, NULL));
    }
    return vts_co_finish(co, e->w < 0 ? e->w : 0);
}

static end *end_of_reads(vts_co *co) { return vts__container_of(co, end, reads); }

static vts_valuetask read_piece(end *e)
{
    size_t size = 1 + test_random() % sizeof e->other;

    if (size > e->to_receive) size = e->to_receive;
    if (test_random() % 2 == 0) {
        return vts_netstream_read_exactly(&e->stream, e->other, size, NULL);
    }
    return vts_netstream_read(&e->stream, e->other, size, NULL);
}

static vts_step reads_run(vts_co *co)
{
    end *e = end_of_reads(co);

    VTS_ASYNC(co) {
        while (e->to_receive > 0) {
            VTS_TRY(e->r, read_piece(e));
            e->read = checksum(e->read, e->other, (size_t)e->r);
            e->to_receive -= (size_t)e->r;
        }
        VTS_TRY(e->r, vts_netstream_read(&e->stream, e->other, 1, NULL));
    }
    return vts_co_finish(co, e->r);
}

static void end_opens(end *e, int descriptor)
{
    memset(e, 0, sizeof *e);
    e->in = malloc(s.in_size);
    e->out = malloc(s.out_size);
    e->to_send = e->to_receive = megabyte;
    assert_code(vts_socket_adopt(&e->socket, &net, descriptor), VTS_OK);
    assert_code(vts_netstream_init(&e->stream, &e->socket, e->in, s.in_size, e->out,
                                   s.out_size), VTS_OK);
}

static vts_step both_ways_run(vts_co *co)
{
    VTS_ASYNC(co) {
        for (s.i = 0; s.i < 2; s.i++) {
            ends[s.i].writing = vts_co_start(&ends[s.i].writes, writes_run);
            ends[s.i].reading = vts_co_start(&ends[s.i].reads, reads_run);
        }
        for (s.i = 0; s.i < 2; s.i++) {
            EXPECT(0, ends[s.i].writing);
            EXPECT(0, ends[s.i].reading);
        }
        assert_true(ends[0].written == ends[1].read && ends[1].written == ends[0].read);
        assert_true(ends[0].read != ends[1].read);
        EXPECT(0, vts_netstream_close(&ends[0].stream, NULL));
        EXPECT(0, vts_netstream_close(&ends[1].stream, NULL));
    }
    return vts_co_finish(co, 0);
}

/* Over the loopback; the short-read guess is of TCP only. */
static void connect_ends(int pair[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t length = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&at, &length);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(pair[0], (struct sockaddr *)&at, length), 0);
    pair[1] = accept(listener, NULL, NULL);
    close(listener);
}

static void both_ways(size_t bytes, size_t in_size, size_t out_size, bool tcp)
{
    int pair[2];

    open_stream(in_size, out_size);
    megabyte = bytes;
    if (tcp) connect_ends(pair);
    else assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    end_opens(&ends[0], pair[0]);
    end_opens(&ends[1], pair[1]);
    play_on(both_ways_run);
    for (size_t i = 0; i < 2; i++) {
        free(ends[i].in);
        free(ends[i].out);
    }
}

static void a_megabyte_goes_both_ways(void)
{
    both_ways(1000000, 4096, 4096, true);
    both_ways(1000000, 65536, 100, true);
    both_ways(1000000, 100, 65536, false);
}

static void small_buffers_carry_it_too(void)
{
    for (size_t size = 1; size <= 3; size++) {
        both_ways(20000, size, size, true);
        both_ways(20000, size, 4 - size, false);
    }
}

static void no_stream_has_nothing(void)
{
    assert_int_equal(vts_netstream_read_done(NULL), 0);
    assert_int_equal(vts_netstream_write_done(NULL), 0);
    assert_int_equal(vts_netstream_readable(NULL), 0);
    assert_int_equal(vts_netstream_unflushed(NULL), 0);
}

static const test_case tests[] = {
    TEST(no_stream_has_nothing),
    TEST(what_cannot_be_is_refused),
    TEST(before_the_loop_is_run_operations_wait_for_it),
    TEST(a_stream_that_writes_begins_nothing_else),
    TEST(another_thread_is_told),
    TEST(a_stream_begins_again),
    TEST(bytes_are_read_a_buffer_at_a_time),
    TEST(bytes_are_sent_a_buffer_at_a_time),
    TEST(what_is_large_goes_past_an_empty_buffer),
    TEST(a_long_run_at_once_does_not_grow_the_stack),
    TEST(nothing_is_allocated),
    TEST(lines_are_cut_anywhere),
    TEST(lines_come_byte_by_byte),
    TEST(foreach_gives_the_lines),
    TEST(a_line_longer_than_the_buffer_loses_nothing),
    TEST(pieces_are_read_skipped_and_looked_at),
    TEST(a_large_read_finds_the_end),
    TEST(one_reads_and_one_writes),
    TEST(a_failure_stays_behind_what_came_before),
    TEST(a_write_that_failed_fails_all_others),
    TEST(shutdown_ends_writing_and_close_both),
    TEST(that_the_socket_is_closed_is_told),
    TEST(close_closes_in_any_case),
    TEST(a_continuation_frees_the_stream),
    TEST(a_canceled_read_loses_nothing),
    TEST(a_late_read_is_canceled_and_can_go_on),
    TEST(canceled_writes_lose_and_double_nothing),
    TEST(a_canceled_flush_can_be_flushed_again),
    TEST(a_megabyte_goes_both_ways),
    TEST(small_buffers_carry_it_too),
};
TEST_MAIN(tests)
