/* Turns: a socket on which everything can be done at once holds up nobody else. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"
#include "test.h"

#define BYTES 3000 /* that lie ready in each socket                                     */

static vts_socket_loop net;

typedef struct reader {
    vts_co co;
    vts_socket socket;
    int peer, n;
    long count;
    char byte;
} reader;

/* One byte at a time, as greedy as can be. */
static vts_step reader_run(vts_co *co)
{
    reader *self = VTS_SELF(co, reader);

    VTS_ASYNC(co) {
        do {
            VTS_TRY(self->n, vts_socket_recv(&self->socket, &self->byte, 1, 0, NULL));
            self->count += self->n;
        } while (self->n > 0);
    VTS_FINALLY();
        VTS_AWAIT(self->n, vts_socket_close(&self->socket));
    }
    return vts_co_finish(co, self->count);
}

static void open_reader(reader *self, vts_socket_loop *loop)
{
    static const char bytes[BYTES];
    int ends[2];

    memset(self, 0, sizeof *self);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[0], bytes, BYTES), BYTES);
    self->peer = ends[0];
    assert_code(vts_socket_adopt(&self->socket, loop, ends[1]), VTS_OK);
}

typedef struct watcher {
    vts_work work;
    const reader *readers;
    int runs, left;
    long most, before; /* bytes read between two runs                                  */
} watcher;

static long read_so_far(const reader *readers) { return readers[0].count + readers[1].count; }

static void watch(vts_work *work)
{
    watcher *self = (watcher *)(void *)work;
    long now = read_so_far(self->readers);

    if (now - self->before > self->most) self->most = now - self->before;
    self->before = now;
    self->runs++;
    if (now < 2 * BYTES) vts_scheduler_post(&net.loop.scheduler, work);
}

typedef struct starter {
    vts_work work;
    reader *readers;
    vts_valuetask tasks[2];
} starter;

static void start_both(vts_work *work)
{
    starter *self = (starter *)(void *)work;

    for (int i = 0; i < 2; i++) {
        self->tasks[i] = vts_co_start(&self->readers[i].co, reader_run);
    }
}

static void greedy_readers_take_turns_over(vts_socket_poller poller)
{
    static reader readers[2];
    vts_socket_loop_desc desc = {0};
    watcher watching = {0};
    starter starting = {0};
    intptr_t count = 0;

    desc.poller = poller;
    assert_code(vts_socket_loop_init(&net, &desc), VTS_OK);
    for (int i = 0; i < 2; i++) open_reader(&readers[i], &net);
    starting.work.run = start_both;
    starting.readers = readers;
    watching.readers = readers;
    watching.work.run = watch;
    vts_scheduler_post(&net.loop.scheduler, &starting.work);
    vts_scheduler_post(&net.loop.scheduler, &watching.work);
    while (read_so_far(readers) < 2 * BYTES) {
        assert_true(vts_loop_run_once(&net.loop, vts_after(VTS_SECONDS(20))) >= 0);
    }
    while (vts_loop_run_once(&net.loop, 0) > 0) {}
    assert_true(watching.runs > 2 * BYTES / 200);
    assert_true(watching.most <= 200); /* each at most 64, once started and once served  */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(close(readers[i].peer), 0);
        assert_code(vts_loop_run_until(&net.loop, starting.tasks[i],
                                       vts_after(VTS_SECONDS(20))),
                    VTS_OK);
        assert_code(vts_valuetask_get_result(starting.tasks[i], &count), VTS_OK);
        assert_int_equal(count, BYTES);
    }
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
    TEST_NOTE("posted work ran %d times, at most %ld reads apart", watching.runs,
              watching.most);
}

static void greedy_readers_take_turns(void)
{
    greedy_readers_take_turns_over(VTS_POLLER_DEFAULT);
}

static void greedy_readers_take_turns_with_poll(void)
{
    greedy_readers_take_turns_over(VTS_POLLER_POLL);
}

/* Closed by whoever had the turn before. */
static void close_first(vts_work *work)
{
    starter *self = (starter *)(void *)work;

    assert_true((self->readers[0].socket.traits & VTS__PAUSED) != 0);
    assert_code(vts_valuetask_get_result(vts_socket_close(&self->readers[0].socket), NULL),
                VTS_OK);
}

static void a_turn_may_never_come(void)
{
    static reader readers[2];
    starter starting = {0}, closing = {0};

    assert_code(vts_socket_loop_init(&net, NULL), VTS_OK);
    for (int i = 0; i < 2; i++) open_reader(&readers[i], &net);
    starting.work.run = start_both;
    closing.work.run = close_first;
    starting.readers = closing.readers = readers;
    vts_scheduler_post(&net.loop.scheduler, &starting.work);
    vts_scheduler_post(&net.loop.scheduler, &closing.work);
    while (readers[1].count < BYTES) {
        assert_true(vts_loop_run_once(&net.loop, vts_after(VTS_SECONDS(20))) >= 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(close(readers[i].peer), 0);
        assert_code(vts_loop_run_until(&net.loop, starting.tasks[i],
                                       vts_after(VTS_SECONDS(20))),
                    VTS_OK);
    }
    assert_true(readers[0].count <= VTS__SOCKET_TURNS);
    assert_true(readers[0].count > 0);
    assert_code(vts_valuetask_get_result(starting.tasks[0], NULL), VTS_OK);
    assert_code(vts_valuetask_get_result(starting.tasks[1], NULL), VTS_OK);
    assert_code(vts_socket_loop_destroy(&net), VTS_OK);
}

static const test_case tests[] = {TEST(greedy_readers_take_turns),
                                  TEST(greedy_readers_take_turns_with_poll),
                                  TEST(a_turn_may_never_come)};
TEST_MAIN(tests)
