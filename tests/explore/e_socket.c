/* Sockets: an operation ends once whoever comes first - bytes, cancel, deadline, close -
   and no byte is lost; what comes from other threads comes in order, and never to another
   socket than it was meant for; no event and no post is lost while the loop goes to sleep. */
#include "tests/explore/model.h"

#define VTS_SOCKET_SYSTEM_HEADER "tests/explore/system.h"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* its locals may be called as the explorer's */
#include "vts_socket.h"
#pragma GCC diagnostic pop

#define SOON ((vts_time)100)

static vts_socket_loop net;
static vts_socket sockets[2];
static VTS_POOL_STORAGE(requests, vts_socket_request, 4);
static VTS_POOL_STORAGE(delays, vts_delay_operation, 1);
static _Alignas(64) unsigned char poller[4096];
static vts_cancellation_source cancellation;

/* What a scenario starts, and what came of it; the loop's thread's once it is posted. */
typedef struct operation {
    vts_work work;
    vts_valuetask task;
    unsigned char buffer[8];
    int size;
    bool ends_canceled; /* and may do so */
    int ended, code;
    intptr_t result;
    void (*then)(struct operation *operation);
} operation;
static operation operations[4];
static int ended, wanted;         /* of the operations and jobs, on the loop */
static int received;              /* bytes */
static unsigned received_which;   /* as bits */

static void *poller_alloc(void *user, size_t size)
{
    (void)user;
    return size <= sizeof poller ? poller : NULL;
}

static const vts_allocator poller_allocator = {poller_alloc, NULL, NULL};

static void name_all(void)
{
    x_name(&net, sizeof net, "net", NULL);
    x_name(&net.loop.head, sizeof net.loop.head, "loop.head", NULL);
    x_name(&net.loop.thread, sizeof net.loop.thread, "loop.thread", NULL);
    x_name(&net.sockets, sizeof net.sockets, "net.sockets", NULL);
    x_name(&net.requests, sizeof net.requests, "net.requests", NULL);
    x_name(sockets, sizeof sockets, "sockets", NULL);
    x_name(&sockets[0].opened, sizeof sockets[0].opened, "opened", NULL);
    x_name(&sockets[1].opened, sizeof sockets[1].opened, "opened of the other", NULL);
    x_name(&requests, sizeof requests, "requests", NULL);
    x_name(operations, sizeof operations, "operations", NULL);
    x_name(&cancellation, sizeof cancellation, "cancellation", NULL);
    x_name(&cancellation.lock, sizeof(x_word), "cancellation.lock", NULL);
    x_name(&cancellation.state, sizeof(x_word), "cancellation.state", NULL);
}

/* What is rented for the first time has many stores more. */
static void rent_and_give_back(void)
{
    vts_source *source[4];
    vts_token token[4];

    for (int i = 0; i < 4; i++) source[i] = vts_pool_rent(&net.requests, &token[i]);
    for (int i = 0; i < 4; i++) {
        x_check(vts_source_abandon(source[i], token[i]) == VTS_OK);
    }
}

static void setup_loop(void)
{
    vts_socket_loop_desc desc = {0};

    forget_threads();
    sys_forget();
    memset(sockets, 0, sizeof sockets);
    memset(requests, 0, sizeof requests);
    memset(delays, 0, sizeof delays);
    memset(operations, 0, sizeof operations);
    memset(&cancellation, 0, sizeof cancellation);
    ended = wanted = received = 0;
    received_which = 0;
    desc.requests.storage = requests;
    desc.requests.storage_size = sizeof requests;
    desc.requests.cache = -1;
    desc.delays.storage = delays;
    desc.delays.storage_size = sizeof delays;
    desc.allocator = &poller_allocator;
    x_check(vts_socket_loop_init(&net, &desc) == VTS_OK);
    rent_and_give_back();
    name_all();
}

static void setup_open(void)
{
    setup_loop();
    x_check(vts_socket_open(&sockets[0], &net, VTS_IPV4, VTS_STREAM) == VTS_OK);
}

static void setup_both_open(void)
{
    setup_open();
    x_check(vts_socket_open(&sockets[1], &net, VTS_IPV4, VTS_STREAM) == VTS_OK);
}

// ---- operations ----

/* Each byte comes once, in order within an operation. */
static void receives(const operation *o)
{
    x_check(o->result <= o->size);
    for (int i = 0; i < o->result; i++) {
        x_check((received_which >> o->buffer[i] & 1) == 0);
        x_check(i == 0 || o->buffer[i] == o->buffer[i - 1] + 1);
        received_which |= 1u << o->buffer[i];
        received++;
    }
}

static void operation_ends(void *arg)
{
    operation *o = (operation *)arg;
    vts_status status = vts_valuetask_get_status(o->task);

    x_check(vts_loop_is_current(&net.loop));
    o->code = vts_valuetask_get_result(o->task, &o->result);
    x_check(++o->ended == 1);
    ended++;
    if (status == VTS_CANCELED) {
        x_check(o->ends_canceled);
    } else if (o->size > 0) {
        x_check(o->code == VTS_OK);
        receives(o);
    }
    if (o->then != NULL) o->then(o);
}

static void await(operation *o)
{
    if (vts_valuetask_is_completed(o->task)) operation_ends(o);
    else x_check(vts_valuetask_on_completed(o->task, operation_ends, o, VTS_NONE) == VTS_OK);
}

static void await_work(vts_work *work) { await((operation *)(void *)work); }

/* Started elsewhere, awaited on the loop. */
static void await_there(operation *o)
{
    o->work.run = await_work;
    vts_scheduler_post(&net.loop.scheduler, &o->work);
}

static void receive_in(operation *o, vts_socket *socket, const vts_socket_limit *limit)
{
    o->size = 1;
    o->task = vts_socket_recv(socket, o->buffer, 1, 0, limit);
}

static vts_socket_limit by_token(void)
{
    vts_socket_limit limit = {0, vts_cancellation_token_of(&cancellation)};
    return limit;
}

static vts_socket_limit by_deadline(void)
{
    vts_socket_limit limit = {SOON, vts_cancellation_token_of(&cancellation)};
    return limit;
}

// ---- the loop ----

static void once(vts_time deadline)
{
    x_check(vts_loop_run_once(&net.loop, deadline) >= 0);
}

static void run(void)
{
    while (ended < wanted) once(VTS_NEVER);
}

/* Does something on the loop before the threads begin, and what follows from it. */
static void on_loop(void (*run_there)(vts_work *work))
{
    vts_work work = {{NULL}, run_there};

    vts_scheduler_post(&net.loop.scheduler, &work);
    for (int i = 0; i < 3; i++) once(0);
}

static void close_all(vts_work *work)
{
    (void)work;
    for (int i = 0; i < 2; i++) {
        if (vts_socket_is_open(&sockets[i])) vts_socket_close(&sockets[i]);
    }
}

static operation last;

static void receive_last(vts_work *work)
{
    (void)work;
    memset(&last, 0, sizeof last);
    last.ends_canceled = true;
    receive_in(&last, &sockets[0], NULL);
    last.size = 8;
    await(&last);
}

/* What has arrived and nobody took is there for who receives next. Nothing is out. */
static void finish(void)
{
    const sys_socket *s = &sys_sockets[0];

    x_check(ended == wanted);
    while (s->open && s->arrived > received) {
        int before = received;
        on_loop(receive_last);
        x_check(received > before);
    }
    on_loop(close_all);
    x_check(!sys_sockets[0].open && !sys_sockets[1].open);
    x_check(vts_socket_loop_get_statistics(&net).requests == 0);
    x_check(vts_socket_loop_destroy(&net) == VTS_OK);
}

// ---- what the other threads do ----

static void arrive(void) { sys_arrive(0, 1); }
static void arrive_twice(void)
{
    sys_arrive(0, 1);
    sys_arrive(0, 1);
}
static void arrive_at_both(void)
{
    sys_arrive(0, 1);
    sys_arrive(1, 1);
}
static void make_room(void) { sys_make_room(0, 2); }
static void cancel(void) { x_check(vts_cancellation_cancel(&cancellation) == VTS_OK); }

/* operations[x_now] is this thread's. */
static void start(void)
{
    receive_in(&operations[x_now], &sockets[0], NULL);
    await_there(&operations[x_now]);
}

static void start_limited(void)
{
    vts_socket_limit limit = by_token();

    operations[x_now].ends_canceled = true;
    receive_in(&operations[x_now], &sockets[0], &limit);
    await_there(&operations[x_now]);
}

static void start_and_cancel(void)
{
    start_limited();
    cancel();
}

static void start_two(void)
{
    start();
    receive_in(&operations[3], &sockets[0], NULL);
    await_there(&operations[3]);
}

/* Where somebody closes: it did not begin, or was canceled, or done. */
static void start_or_not(void)
{
    operation *o = &operations[x_now];

    o->ends_canceled = true;
    receive_in(o, &sockets[0], NULL);
    if (vts_valuetask_get_status(o->task) == VTS_FAULTED) {
        x_check(vts_valuetask_get_result(o->task, NULL) == VTS_E_CLOSED);
        o->size = 0;
    }
    await_there(o);
}

static void close_there(void)
{
    operation *o = &operations[x_now];

    o->task = vts_socket_close(&sockets[0]);
    o->ends_canceled = true; /* by another close */
    await_there(o);
}

static void shut_there(void)
{
    operation *o = &operations[x_now];

    o->task = vts_socket_shutdown(&sockets[0], VTS_SHUTDOWN_RECEIVE);
    await_there(o);
}

static vts_work jobs[3];

static void count_job(vts_work *work)
{
    (void)work;
    ended++;
}

static void post(void)
{
    jobs[x_now].run = count_job;
    vts_scheduler_post(&net.loop.scheduler, &jobs[x_now]);
}

// ---- a receive that waits ----

static void receive_first(vts_work *work)
{
    (void)work;
    receive_in(&operations[0], &sockets[0], NULL);
    await(&operations[0]);
}

static void receive_limited(vts_work *work)
{
    vts_socket_limit limit = by_token();

    (void)work;
    operations[0].ends_canceled = true;
    receive_in(&operations[0], &sockets[0], &limit);
    await(&operations[0]);
}

static void receive_until(vts_work *work)
{
    vts_socket_limit limit = by_deadline();

    (void)work;
    operations[0].ends_canceled = true;
    receive_in(&operations[0], &sockets[0], &limit);
    await(&operations[0]);
}

static void setup_receiving(void)
{
    setup_open();
    on_loop(receive_first);
    wanted = 1;
}

static void setup_limited(void)
{
    setup_open();
    on_loop(receive_limited);
    wanted = 1;
}

static void setup_until(void)
{
    setup_open();
    on_loop(receive_until);
    wanted = 1;
}

/* Exactly one of the two, and the error that belongs to it. */
static void finish_limited(void)
{
    operation *o = &operations[0];
    vts_cancellation_token token = vts_cancellation_token_of(&cancellation);

    x_check(o->code == VTS_OK || o->code == -ECANCELED || o->code == -ETIMEDOUT);
    if (o->code == -ECANCELED && sys_closes == 0) {
        x_check(vts_cancellation_is_requested(token));
    }
    x_check(sys_sockets[0].taken == received);
    finish();
}

static void setup_receiving_2(void)
{
    setup_receiving();
    wanted = 2;
}

static void setup_receiving_closed(void)
{
    setup_receiving_2();
    operations[0].ends_canceled = true;
}

static void setup_limited_2(void)
{
    setup_limited();
    wanted = 2;
}

/* One is limited and waits, another waits behind it. */
static void receive_second(vts_work *work)
{
    (void)work;
    receive_in(&operations[3], &sockets[0], NULL);
    await(&operations[3]);
}

static void setup_behind(void)
{
    setup_limited();
    on_loop(receive_second);
    wanted = 2;
}

/* Nothing is there, and nothing tells that there is: the other does not look. */
static void setup_behind_canceled(void)
{
    setup_behind();
    operations[3].ends_canceled = true;
    sys_reads = 0;
    wanted = 1;
}

static void finish_unread(void)
{
    x_check(operations[0].code == -ECANCELED && sys_reads == 0);
    finish();
}

// ---- started elsewhere ----

static void setup_1(void)
{
    setup_open();
    wanted = 1;
}

static void setup_2(void)
{
    setup_open();
    wanted = 2;
}

static void setup_2_there(void)
{
    setup_2();
    sys_arrive(0, 2);
}

static void setup_1_there(void)
{
    setup_1();
    sys_arrive(0, 1);
}

static void finish_two(void)
{
    x_check(received == 2);
    finish();
}

/* Both of one thread, in their order. */
static void finish_start_two(void)
{
    x_check(operations[1].buffer[0] == 1 && operations[3].buffer[0] == 2);
    finish_two();
}

static void finish_closed(void)
{
    x_check(sys_closes == 1 && !vts_socket_is_open(&sockets[0]));
    finish();
}

// ---- reopened in the same memory ----

static x_word calls; /* that may still use the socket of before */

static void start_and_tell(void)
{
    start_or_not();
    x_add(&calls, ~(x_word)0, X_ACQ_REL);
}

static void reopen(operation *o)
{
    (void)o;
    if (x_load(&calls, X_ACQ) != 0) return;
    x_check(vts_socket_open(&sockets[0], &net, VTS_IPV4, VTS_STREAM) == VTS_OK);
    sys_arrive(0, 1);
}

/* The byte is the new socket's: nobody asked for it. */
static void setup_reopened(void)
{
    setup_2();
    calls = 1;
    operations[2].then = reopen;
}

static void finish_reopened(void)
{
    x_check(received == 0 && sys_closes == 1);
    finish();
}

/* Closed on the loop; whoever sees it may open it again. */
static void close_and_run(void)
{
    jobs[0].run = close_all;
    vts_scheduler_post(&net.loop.scheduler, &jobs[0]);
    run();
}

static void open_again(void)
{
    if (!vts_socket_is_open(&sockets[0])) {
        x_check(vts_socket_open(&sockets[0], &net, VTS_IPV4, VTS_STREAM) == VTS_OK);
    }
    post();
}

// ---- its own record, taken elsewhere ----

static void start_own(vts_work *work)
{
    (void)work;
    receive_in(&operations[3], &sockets[0], NULL);
}

static void setup_taken(void)
{
    setup_1();
    on_loop(start_own);
    sys_arrive(0, 1);
    once(0);
    once(0);
    x_check(vts_valuetask_is_completed(operations[3].task));
}

static void takes(void *arg)
{
    intptr_t result = 0;

    (void)arg;
    x_check(vts_valuetask_get_result(operations[3].task, &result) == VTS_OK);
    x_check(result == 1 && operations[3].buffer[0] == 1);
}

/* By a continuation: what it left in the record is not to race with the next. */
static void take(void)
{
    x_check(vts_valuetask_on_completed(operations[3].task, takes, NULL, VTS_NONE) == VTS_OK);
}

static void start_and_run(void)
{
    jobs[0].run = receive_first;
    vts_scheduler_post(&net.loop.scheduler, &jobs[0]);
    received = 1;
    run();
}

static void finish_taken(void)
{
    x_check(received == 2);
    finish();
}

// ---- opened elsewhere ----

static void setup_opened_there(void)
{
    setup_loop();
    wanted = 2;
}

static void open_there(void)
{
    x_check(vts_socket_open(&sockets[0], &net, VTS_IPV4, VTS_STREAM) == VTS_OK);
    sys_arrive(0, 1);
    post();
}

// ---- one of a batch closes the other ----

static bool closed_other;

/* Nothing of the other is left: its memory is somebody else's. */
static void close_other(operation *o)
{
    int other = o == &operations[0];

    if (closed_other || !vts_socket_is_open(&sockets[other])) return;
    closed_other = true;
    vts_socket_close(&sockets[other]);
    reuse(&sockets[other], sizeof sockets[other]);
}

static void receive_at_both(vts_work *work)
{
    (void)work;
    for (int i = 0; i < 2; i++) {
        operations[i].ends_canceled = true;
        operations[i].then = close_other;
        operations[i].size = 0;
        operations[i].task = vts_socket_recv(&sockets[i], operations[i].buffer, 1, 0, NULL);
        await(&operations[i]);
    }
}

static void setup_batch(void)
{
    setup_both_open();
    closed_other = false;
    on_loop(receive_at_both);
    wanted = 2;
}

static void finish_batch(void)
{
    int open = sys_sockets[1].open;

    x_check(sys_closes == 1 && ended == 2);
    memset(&sockets[!open], 0, sizeof sockets[!open]);
    on_loop(close_all);
    x_check(vts_socket_loop_destroy(&net) == VTS_OK);
}

// ---- sending ----

static const unsigned char text[8] = {1, 2, 3};

static void send_three(vts_work *work)
{
    vts_socket_limit limit = by_token();

    (void)work;
    operations[0].ends_canceled = true;
    operations[0].task = vts_socket_send_all(&sockets[0], text, 3, 0, &limit);
    await(&operations[0]);
}

static void setup_sending(void)
{
    setup_open();
    sys_make_room(0, 1);
    on_loop(send_three);
    wanted = 1;
}

static void finish_sending(void)
{
    const operation *o = &operations[0];

    if (o->code == VTS_OK) x_check(o->result == 3 && sys_sockets[0].sent == 3);
    else x_check(o->code == -ECANCELED && sys_sockets[0].sent == 1);
    finish();
}

// ---- the end of the loop ----

/* As soon as it says so; until then something is out. */
static void run_and_destroy(void)
{
    int code;

    while ((code = vts_socket_loop_destroy(&net)) != VTS_OK) {
        x_check(code == VTS_E_BUSY && ended < wanted);
        once(VTS_NEVER);
    }
    x_check(ended == wanted && sys_closes == 1);
    reuse(&net, sizeof net);
    reuse(sockets, sizeof sockets);
    reuse(requests, sizeof requests);
}

static void setup_destroyed(void)
{
    setup_receiving_closed();
}

// clang-format off
static const scene scenes[] = {
    {"a byte", setup_receiving, {run, arrive}, finish, 0, 0, 1},
    {"a byte and a post", setup_receiving_2, {run, arrive, post}, finish, 3, 5, 1},
    {"a receive and its cancel", setup_limited, {run, cancel}, finish_limited, 3, 5, 0},
    {"a receive, its cancel, a byte", setup_limited, {run, cancel, arrive}, finish_limited,
     2, 4, 0},
    {"a receive, its deadline, a byte", setup_until, {run, arrive}, finish_limited, 3, 5, 0},
    {"a receive, its deadline, its cancel, a byte", setup_until, {run, cancel, arrive},
     finish_limited, 2, 3, 0},
    {"a receive, another behind it, cancel, bytes", setup_behind, {run, cancel, arrive_twice},
     finish_limited, 2, 3, 0},
    {"a receive, another behind it, cancel", setup_behind_canceled, {run, cancel},
     finish_unread, 3, 5, 0},
    {"a byte and close", setup_receiving_closed, {run, arrive, close_there}, finish_closed,
     2, 4, 0},
    {"a receive, its cancel, close", setup_limited_2, {run, cancel, close_there},
     finish_limited, 2, 3, 0},
    {"a receive, its end, a byte", setup_receiving_2, {run, arrive, shut_there}, finish,
     2, 4, 0},
    {"closed by two", setup_2, {run, close_there, close_there}, finish_closed, 2, 4, 0},
    {"started elsewhere", setup_1_there, {run, start}, finish, 3, 5, 1},
    {"started elsewhere, a byte", setup_1, {run, start, arrive}, finish, 2, 4, 0},
    {"started elsewhere, and canceled", setup_1, {run, start_and_cancel, arrive}, finish,
     2, 3, 0},
    {"started elsewhere, canceled meanwhile", setup_1, {run, start_limited, cancel}, finish,
     2, 3, 0},
    {"started elsewhere, closed", setup_2, {run, start_or_not, close_there}, finish_closed,
     2, 4, 0},
    {"started elsewhere, closed, opened again", setup_reopened,
     {run, start_and_tell, close_there}, finish_reopened, 2, 4, 0},
    {"closed, opened again elsewhere", setup_1, {close_and_run, open_again}, finish, 3, 5,
     0},
    {"started by two", setup_2_there, {run, start, start}, finish_two, 2, 4, 0},
    {"two started elsewhere, bytes", setup_2, {run, start_two, arrive_twice},
     finish_start_two, 2, 3, 0},
    {"taken while the next is started", setup_taken, {start_and_run, take, arrive},
     finish_taken, 2, 4, 0},
    {"opened elsewhere", setup_opened_there, {run, open_there, start_or_not}, finish, 2, 4,
     0},
    {"one of a batch closes the other", setup_batch, {run, arrive_at_both}, finish_batch,
     0, 0, 0},
    {"a send, its cancel, room", setup_sending, {run, cancel, make_room}, finish_sending,
     2, 4, 0},
    {"closed elsewhere, destroyed", setup_destroyed, {run_and_destroy, close_there}, NULL,
     3, 5, 0},
};
// clang-format on

int main(int argc, char **argv)
{
    x_options(argc, argv);
    run_scenes(scenes, sizeof scenes / sizeof scenes[0]);
    return x_status();
}
