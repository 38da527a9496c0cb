/* A system for the explorer, in the place of vts_socket.h's >>system: a few stream sockets
   whose peers are the scenarios, and edge-triggered epoll over them. Each call is a step
   on one word and happens there as a whole, but it orders nothing: what vts_socket.h takes
   for ordered it has to order itself. A call on a descriptor that is closed fails the
   execution. Included by vts_socket.h through VTS_SOCKET_SYSTEM_HEADER. */
enum { SYS_FIRST = 3, SYS_SOCKETS = 2, SYS_POLLER = 90, SYS_EVENT = 91 };

typedef struct sys_socket {
    bool open, ended;
    void *waiter;       /* what epoll was told; NULL: it does not know the socket        */
    unsigned edges;     /* that epoll has not reported                                   */
    int arrived, taken; /* bytes; the nth has the value n                                */
    int room, sent;     /* bytes that may be sent, and were                              */
} sys_socket;

static x_word sys_word;
static bool sys_event_edge, sys_sleeps;
static int sys_closes, sys_reads;
static sys_socket sys_sockets[SYS_SOCKETS];

X_QUIET void sys_forget(void)
{
    sys_word = 0;
    sys_event_edge = sys_sleeps = false;
    sys_closes = sys_reads = 0;
    memset(sys_sockets, 0, sizeof sys_sockets);
    x_name(&sys_word, sizeof sys_word, "the system", NULL);
}

X_QUIET x_word sys_turn(void) { return x_add(&sys_word, 1, X_RLX) + 1; }

X_QUIET sys_socket *sys_of(int descriptor)
{
    int i = descriptor - SYS_FIRST;

    if (i < 0 || i >= SYS_SOCKETS || !sys_sockets[i].open) x_fail("not a descriptor");
    return &sys_sockets[i];
}

X_QUIET void sys_wake_sleeper(void)
{
    if (sys_sleeps) x_wake(&sys_word, false);
}

X_QUIET void sys_edge(sys_socket *s, unsigned edges)
{
    if (s->waiter == NULL) return;
    s->edges |= edges;
    sys_wake_sleeper();
}

// ---- what the peers do ----

X_QUIET void sys_arrive(int i, int bytes)
{
    sys_turn();
    sys_sockets[i].arrived += bytes;
    sys_edge(&sys_sockets[i], EPOLLIN);
}

X_QUIET void sys_make_room(int i, int bytes)
{
    sys_turn();
    sys_sockets[i].room += bytes;
    sys_edge(&sys_sockets[i], EPOLLOUT);
}

// ---- sockets ----

X_QUIET int vts__sys_socket(int family, int type)
{
    int i = 0;

    (void)family;
    (void)type;
    sys_turn();
    while (i < SYS_SOCKETS && sys_sockets[i].open) i++;
    if (i == SYS_SOCKETS) return -EMFILE;
    memset(&sys_sockets[i], 0, sizeof sys_sockets[i]);
    sys_sockets[i].open = true;
    return SYS_FIRST + i;
}

X_QUIET void vts__sys_close(int descriptor)
{
    if (descriptor >= SYS_POLLER) return;
    sys_turn();
    if (sys_of(descriptor)->waiter != NULL) x_fail("a child that has it goes on to tell");
    sys_of(descriptor)->open = false;
    sys_closes++;
}

X_QUIET int sys_least(size_t size, int have) { return (int)size < have ? (int)size : have; }

X_QUIET int sys_recv(int descriptor, size_t size, bool peeks, int *first)
{
    sys_socket *s;
    int count;

    sys_turn();
    s = sys_of(descriptor);
    sys_reads++;
    count = sys_least(size, s->arrived - s->taken);
    *first = s->taken + 1;
    if (!peeks) s->taken += count;
    return count > 0 || s->ended ? count : -EAGAIN;
}

/* The bytes are written where the watch over races sees it. */
static int vts__sys_recv(int socket, void *buffer, size_t size, int flags)
{
    int first, count = sys_recv(socket, size, (flags & MSG_PEEK) != 0, &first);

    for (int i = 0; i < count; i++) ((unsigned char *)buffer)[i] = (unsigned char)(first + i);
    return count;
}

X_QUIET int sys_send(int descriptor, size_t size, int *first)
{
    sys_socket *s;
    int count;

    sys_turn();
    s = sys_of(descriptor);
    count = sys_least(size, s->room);
    *first = s->sent + 1;
    s->room -= count;
    s->sent += count;
    return count > 0 ? count : -EAGAIN;
}

static int vts__sys_send(int socket, const void *buffer, size_t size, int flags)
{
    int first, count = sys_send(socket, size, &first);

    x_check((flags & MSG_NOSIGNAL) != 0);
    for (int i = 0; i < count; i++) {
        x_check(((const unsigned char *)buffer)[i] == (unsigned char)(first + i));
    }
    return count;
}

X_QUIET int vts__sys_shutdown(int socket, int how)
{
    sys_turn();
    if (how == SHUT_WR) return 0;
    sys_of(socket)->ended = true;
    sys_edge(sys_of(socket), EPOLLIN | EPOLLRDHUP);
    return 0;
}

// ---- epoll ----

X_QUIET int vts__sys_epoll_create(void) { return SYS_POLLER; }
X_QUIET int vts__sys_eventfd(void) { return SYS_EVENT; }

X_QUIET int vts__sys_epoll_ctl(int poller, int operation, int descriptor,
                               struct epoll_event *event)
{
    sys_socket *s;

    (void)poller;
    if (descriptor == SYS_EVENT) return 0;
    sys_turn();
    s = sys_of(descriptor);
    if (operation == EPOLL_CTL_ADD && s->waiter != NULL) return -EEXIST;
    s->waiter = operation == EPOLL_CTL_ADD ? event->data.ptr : NULL;
    s->edges = 0;
    if (s->waiter != NULL && s->arrived > s->taken) s->edges |= EPOLLIN;
    if (s->waiter != NULL && s->room > 0) s->edges |= EPOLLOUT;
    return 0;
}

X_QUIET int sys_report(struct epoll_event *events)
{
    int count = 0;

    if (sys_event_edge) {
        events[count].events = EPOLLIN;
        events[count++].data.ptr = NULL;
        sys_event_edge = false;
    }
    for (int i = 0; i < SYS_SOCKETS; i++) {
        if (sys_sockets[i].edges == 0) continue;
        events[count].events = sys_sockets[i].edges;
        events[count++].data.ptr = sys_sockets[i].waiter;
        sys_sockets[i].edges = 0;
    }
    return count;
}

/* A sleep that is disturbed ends with nothing, as one that a signal ends. */
X_QUIET int vts__sys_epoll_wait(int poller, struct epoll_event *events, int count,
                                vts_time nanoseconds)
{
    x_word seen = sys_turn();
    int found = sys_report(events);

    (void)poller;
    (void)count;
    if (found > 0 || nanoseconds == 0) return found;
    sys_sleeps = true;
    if (!x_wait(&sys_word, seen, nanoseconds != VTS_NEVER)) {
        set_model_time(vts_now() + nanoseconds);
    }
    sys_turn();
    sys_sleeps = false;
    return sys_report(events);
}

X_QUIET int vts__sys_write(int descriptor, const void *buffer, size_t size)
{
    (void)buffer;
    if (descriptor != SYS_EVENT) x_fail("not a descriptor");
    sys_turn();
    sys_event_edge = true;
    sys_wake_sleeper();
    return (int)size;
}

// ---- what no scenario uses ----

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define SYS_NONE(name, ...)                                                            \
    X_QUIET int name(__VA_ARGS__) { return -ENOSYS; }
SYS_NONE(vts__sys_recvfrom, int s, void *b, size_t n, int f, void *from, socklen_t *l)
SYS_NONE(vts__sys_sendto, int s, const void *b, size_t n, int f, const void *to, socklen_t l)
SYS_NONE(vts__sys_recvmsg, int s, struct msghdr *m, int f)
SYS_NONE(vts__sys_sendmsg, int s, const struct msghdr *m, int f)
SYS_NONE(vts__sys_connect, int s, const void *a, socklen_t l)
SYS_NONE(vts__sys_bind, int s, const void *a, socklen_t l)
SYS_NONE(vts__sys_listen, int s, int backlog)
SYS_NONE(vts__sys_accept, int s, void *a, socklen_t *l)
SYS_NONE(vts__sys_getsockname, int s, void *a, socklen_t *l)
SYS_NONE(vts__sys_getpeername, int s, void *a, socklen_t *l)
SYS_NONE(vts__sys_getsockopt, int s, int level, int option, int *value)
SYS_NONE(vts__sys_setsockopt, int s, int level, int option, int value)
SYS_NONE(vts__sys_set_nonblocking, int s)
SYS_NONE(vts__sys_sendfile, int s, int file, uint64_t offset, size_t n)
SYS_NONE(vts__sys_poll, struct pollfd *items, nfds_t n, int milliseconds)
SYS_NONE(vts__sys_pipe, int ends[2])
SYS_NONE(vts__sys_read, int s, void *b, size_t n)
#undef SYS_NONE
#pragma GCC diagnostic pop
