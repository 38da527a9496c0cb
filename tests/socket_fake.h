/* socket_fake.h - an operating system with sockets that a test drives, in memory:

       #define VTS_SOCKET_SYSTEM_HEADER "tests/socket_fake.h"
       #define VTS_IMPLEMENTATION
       #include "vts_socket.h"

   Behind each descriptor stands a peer that the test plays: sim_peer_sends,
   sim_peer_takes, sim_peer_ends, sim_peer_resets, ... Readiness is Linux's: epoll
   reports edges, with all that holds when it is asked; poll reports what holds. Every
   call can be made to fail, and is counted. Descriptor numbers are used again at once.
   Nothing blocks: what would sleep moves the clock, or is a mistake.

   One thread. SIM_FAIL(text), if it is defined before, is what a mistake does. */
#ifndef VTS_SOCKET_FAKE_H
#define VTS_SOCKET_FAKE_H

#include <stdlib.h>

#ifndef SIM_FAIL
#define SIM_FAIL(text) (fprintf(stderr, "%s\n", text), abort())
#endif

#define SIM_FIRST                                                                      \
    60 /* the lowest descriptor: both sides of where poll's table grows   */
#define SIM_DESCRIPTORS 200
#define SIM_BYTES 8192u
#define SIM_QUEUE 16

typedef enum sim_kind {
    SIM_FREE,
    SIM_STREAM,
    SIM_DATAGRAM,
    SIM_EPOLL,
    SIM_EVENT,
    SIM_PIPE
} sim_kind;

typedef enum sim_state {
    SIM_CLOSED, /* of a stream: not connected                                          */
    SIM_LISTENS,
    SIM_CONNECTS,
    SIM_CONNECTED
} sim_state;

/* The calls, to be counted and to fail. */
typedef enum sim_call {
    SIM_ANY,
    SIM_RECV,
    SIM_SEND,
    SIM_RECVFROM,
    SIM_SENDTO,
    SIM_RECVMSG,
    SIM_SENDMSG,
    SIM_CONNECT,
    SIM_BIND,
    SIM_LISTEN,
    SIM_SHUTDOWN,
    SIM_GETSOCKNAME,
    SIM_GETPEERNAME,
    SIM_GETSOCKOPT,
    SIM_SETSOCKOPT,
    SIM_CLOSE,
    SIM_POLL,
    SIM_PIPE_CALL,
    SIM_READ,
    SIM_WRITE,
    SIM_SET_NONBLOCKING,
    SIM_SOCKET,
    SIM_ACCEPT,
    SIM_SENDFILE,
    SIM_EPOLL_CREATE,
    SIM_EPOLL_CTL,
    SIM_EPOLL_WAIT,
    SIM_EVENTFD,
    SIM_CALLS
} sim_call;

/* Bytes on their way, the oldest first. */
typedef struct sim_bytes {
    unsigned char data[SIM_BYTES];
    size_t count;
} sim_bytes;

typedef struct sim_address {
    unsigned char bytes[128];
    socklen_t size;
} sim_address;

typedef struct sim_datagram {
    unsigned char data[256];
    size_t size;
    sim_address
        address; /* where it is from, or to                                    */
} sim_datagram;

typedef struct sim_file {
    sim_kind kind;
    sim_state state;
    int family, type, error;
    sim_address local, peer;
    sim_bytes in, out;
    size_t room;  /* of out: the send buffer                                  */
    bool starved; /* a send found no room: tell when there is some            */
    bool in_ended, out_ended, urgent, urgent_taken;
    unsigned char urgent_byte;
    sim_datagram datagrams[SIM_QUEUE], sent[SIM_QUEUE];
    size_t datagram_count, sent_count;
    bool full; /* of datagrams: the receiver takes no more                 */
    sim_address
        backlog[SIM_QUEUE]; /* connections that wait for accept                */
    size_t backlog_count;
    int options[64];
    int epoll; /* that watches it, or 0                                    */
    struct epoll_event watched;
    bool reported;    /* in the list of that epoll                                */
    uint64_t counter; /* of an eventfd                                            */
    int other;        /* end of a pipe                                            */
    size_t piped;
} sim_file;

static struct {
    vts_time now;
    sim_file files[SIM_DESCRIPTORS];
    int ready
        [SIM_DESCRIPTORS]; /* of epoll, the oldest edge first                     */
    int ready_count;
    unsigned calls[SIM_CALLS];
    unsigned
        fail_at[SIM_CALLS]; /* counts down to the call that fails; 0: none        */
    int fail_with[SIM_CALLS];
    int fail_always[SIM_CALLS]; /* an errno, or 0                                     */
    size_t most;                /* that a call moves; 0: all                          */
    bool connects_later;        /* a stream's connect is in progress                  */
    const char *file;           /* what send_file reads                               */
    size_t file_size;
    bool truncates_control;
    bool blocks;            /* no datagram socket is writable                     */
    void (*on_sleep)(void); /* what happens instead of sleeping for ever          */
    int last_flags;         /* of the last receive or send                        */
} sim;

static vts_time sim_clock(void) { return sim.now; }

static void sim_reset(void)
{
    memset(&sim, 0, sizeof sim);
    sim.now = VTS_SECONDS(1000);
}

static sim_file *sim_at(int descriptor)
{
    int n = descriptor - SIM_FIRST;
    if (n < 0 || n >= SIM_DESCRIPTORS || sim.files[n].kind == SIM_FREE) return NULL;
    return &sim.files[n];
}

static int sim_number(const sim_file *file)
{
    return SIM_FIRST + (int)(file - sim.files);
}

/* How many descriptors are open. */
static int sim_open(void)
{
    int count = 0;
    for (int i = 0; i < SIM_DESCRIPTORS; i++) count += sim.files[i].kind != SIM_FREE;
    return count;
}

/* ---- failures ---- */

/* The n-th call from now on, of this function or of any, fails once. */
static inline void sim_fails(sim_call call, unsigned n, int error)
{
    sim.fail_at[call] = n;
    sim.fail_with[call] = error;
}

/* Every call fails; 0: none any more. */
static inline void sim_always_fails(sim_call call, int error)
{
    sim.fail_always[call] = error;
}

static int sim_failure_of(sim_call call)
{
    sim.calls[call]++;
    if (sim.fail_always[call] != 0) return -sim.fail_always[call];
    if (sim.fail_at[call] == 0 || --sim.fail_at[call] != 0) return 0;
    return -sim.fail_with[call];
}

/* Counts the call. 0, or how it is to fail. */
static int sim_begin(sim_call call)
{
    int any = sim_failure_of(SIM_ANY), this_one = sim_failure_of(call);
    return any != 0 ? any : this_one;
}

/* The same of a call on a descriptor of that kind. */
static int sim_begin_on(sim_call call, int descriptor, sim_file **file)
{
    int error = sim_begin(call);

    *file = sim_at(descriptor);
    if (error != 0) return error;
    if (*file == NULL) return -EBADF;
    return (*file)->kind == SIM_STREAM || (*file)->kind == SIM_DATAGRAM ? 0 : -ENOTSOCK;
}

/* ---- readiness ---- */

static size_t sim_room(const sim_file *file) { return file->room - file->out.count; }

static bool sim_writable(const sim_file *file)
{
    if (file->kind == SIM_STREAM) return sim_room(file) * 3 >= file->room;
    return !sim.blocks && (!file->full || file->family == AF_UNIX);
}

static uint32_t sim_stream_level(sim_file *file)
{
    uint32_t level = 0;

    if (file->state == SIM_LISTENS) return file->backlog_count != 0 ? EPOLLIN : 0;
    if (file->error != 0) level |= EPOLLERR;
    if (file->state == SIM_CONNECTS) return level;
    if (file->state == SIM_CLOSED || (file->in_ended && file->out_ended))
        level |= EPOLLHUP;
    if (file->in_ended) level |= EPOLLIN | EPOLLRDHUP;
    if (file->in.count != 0) level |= EPOLLIN;
    if (file->urgent) level |= EPOLLPRI;
    if (file->out_ended || sim_writable(file))
        level |= EPOLLOUT;
    else
        file->starved = true;
    return level;
}

static uint32_t sim_level(sim_file *file)
{
    switch (file->kind) {
    case SIM_STREAM: return sim_stream_level(file);
    case SIM_DATAGRAM:
        return (file->error != 0 ? EPOLLERR : 0u) |
               (file->datagram_count != 0 || file->in_ended ? EPOLLIN : 0u) |
               (sim_writable(file) ? EPOLLOUT : 0u);
    case SIM_EVENT: return file->counter != 0 ? EPOLLIN : 0;
    case SIM_PIPE: return file->piped != 0 ? EPOLLIN : 0;
    default: return 0;
    }
}

/* Something happened that concerns these events: an edge. */
static void sim_edge(sim_file *file, uint32_t events)
{
    if (file->epoll == 0 || file->reported) return;
    if ((file->watched.events & events) == 0) return;
    file->reported = true;
    sim.ready[sim.ready_count++] = sim_number(file);
}

#define SIM_EVERY 0xffffu

static void sim_unreport(int place)
{
    sim_at(sim.ready[place])->reported = false;
    sim.ready_count--;
    memmove(&sim.ready[place], &sim.ready[place + 1],
            (size_t)(sim.ready_count - place) * sizeof sim.ready[0]);
}

/* ---- the peer ---- */

/* The file behind a descriptor, which has to be open. */
static inline sim_file *sim_file_of(int descriptor)
{
    sim_file *file = sim_at(descriptor);
    if (file == NULL) SIM_FAIL("the simulated descriptor is not open");
    return file;
}

static void sim_bytes_add(sim_bytes *bytes, const void *data, size_t size)
{
    if (size > SIM_BYTES - bytes->count) SIM_FAIL("the simulated buffer is too small");
    memcpy(bytes->data + bytes->count, data, size);
    bytes->count += size;
}

static size_t sim_bytes_take(sim_bytes *bytes, void *data, size_t size, bool keep)
{
    if (size > bytes->count) size = bytes->count;
    if (size != 0) memcpy(data, bytes->data, size);
    if (keep) return size;
    bytes->count -= size;
    memmove(bytes->data, bytes->data + size, bytes->count);
    return size;
}

static inline void sim_peer_sends(int descriptor, const void *data, size_t size)
{
    sim_file *file = sim_file_of(descriptor);

    sim_bytes_add(&file->in, data, size);
    sim_edge(file, EPOLLIN | EPOLLPRI);
}

static inline void sim_peer_sends_urgent(int descriptor, unsigned char byte)
{
    sim_file *file = sim_file_of(descriptor);

    file->urgent = true;
    file->urgent_taken = false;
    file->urgent_byte = byte;
    sim_edge(file, EPOLLIN | EPOLLPRI);
}

static inline void sim_peer_ends(int descriptor)
{
    sim_file_of(descriptor)->in_ended = true;
    sim_edge(sim_file_of(descriptor), SIM_EVERY);
}

/* What was received stays readable. */
static inline void sim_peer_resets(int descriptor)
{
    sim_file *file = sim_file_of(descriptor);

    file->error = ECONNRESET;
    file->state = SIM_CLOSED;
    file->in_ended = file->out_ended = true;
    sim_edge(file, SIM_EVERY);
}

/* Takes what was sent: how many bytes. */
static inline size_t sim_peer_takes(int descriptor, void *data, size_t size)
{
    sim_file *file = sim_file_of(descriptor);
    size_t taken = sim_bytes_take(&file->out, data, size, false);

    if (file->starved && sim_writable(file)) {
        file->starved = false;
        sim_edge(file, EPOLLOUT);
    }
    return taken;
}

static void sim_address_of(sim_address *address, uint16_t port)
{
    struct sockaddr_in from;

    memset(&from, 0, sizeof from);
    from.sin_family = AF_INET;
    from.sin_port = htons(port);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(address, 0, sizeof *address);
    memcpy(address->bytes, &from, sizeof from);
    address->size = sizeof from;
}

/* A connection comes from that port. */
static inline void sim_peer_connects(int listener, uint16_t port)
{
    sim_file *file = sim_file_of(listener);

    if (file->backlog_count == SIM_QUEUE) SIM_FAIL("the simulated backlog is full");
    sim_address_of(&file->backlog[file->backlog_count++], port);
    sim_edge(file, EPOLLIN);
}

/* A connect in progress ends, with an errno or 0. */
static inline void sim_peer_answers(int descriptor, int error)
{
    sim_file *file = sim_file_of(descriptor);

    file->state = error == 0 ? SIM_CONNECTED : SIM_CLOSED;
    file->error = error;
    file->in_ended = file->out_ended = error != 0;
    sim_edge(file, SIM_EVERY);
}

static inline void sim_peer_sends_datagram(int descriptor, const void *data,
                                           size_t size, uint16_t port)
{
    sim_file *file = sim_file_of(descriptor);
    sim_datagram *datagram = &file->datagrams[file->datagram_count++];

    memcpy(datagram->data, data, size);
    datagram->size = size;
    sim_address_of(&datagram->address, port);
    sim_edge(file, EPOLLIN);
}

/* Of datagrams: nothing can be sent for now, or again. Of a Unix-domain one that does not
   concern its own buffer, and makes no edge. */
static inline void sim_peer_is_full(int descriptor, bool full)
{
    sim_file *file = sim_file_of(descriptor);

    file->full = full;
    if (!full && file->family != AF_UNIX) sim_edge(file, EPOLLOUT);
}

/* An error that the next call tells. */
static inline void sim_peer_fails(int descriptor, int error)
{
    sim_file_of(descriptor)->error = error;
    sim_edge(sim_file_of(descriptor), EPOLLERR);
}

/* ---- descriptors ---- */

static int sim_new(sim_kind kind)
{
    for (int i = 0; i < SIM_DESCRIPTORS; i++) {
        sim_file *file = &sim.files[i];
        if (file->kind != SIM_FREE) continue;
        memset(file, 0, sizeof *file);
        file->kind = kind;
        file->room = SIM_BYTES;
        return SIM_FIRST + i;
    }
    return -EMFILE;
}

static int vts__sys_socket(int family, int type)
{
    int error = sim_begin(SIM_SOCKET);
    int descriptor =
        error != 0 ? error : sim_new(type == SOCK_DGRAM ? SIM_DATAGRAM : SIM_STREAM);
    if (descriptor < 0) return descriptor;
    sim_at(descriptor)->family = family;
    sim_at(descriptor)->type = type;
    return descriptor;
}

/* A stream that is connected already, as an accept would give it. */
static inline int sim_connected(int family)
{
    int descriptor = sim_new(SIM_STREAM);
    sim_file *file = sim_file_of(descriptor);

    file->family = family;
    file->type = SOCK_STREAM;
    file->state = SIM_CONNECTED;
    sim_address_of(&file->local, 7);
    sim_address_of(&file->peer, 4711);
    if (family == AF_UNIX) file->local.bytes[0] = AF_UNIX, file->local.size = 2;
    return descriptor;
}

/* Never fails: close takes the descriptor whatever it says. */
static void vts__sys_close(int descriptor)
{
    sim_file *file = sim_at(descriptor);

    sim.calls[SIM_CLOSE]++;
    if (file == NULL) {
        SIM_FAIL("close of a simulated descriptor that is not open");
        return;
    }
    for (int i = sim.ready_count - 1; i >= 0; i--) {
        if (sim.ready[i] == descriptor) sim_unreport(i);
    }
    file->kind = SIM_FREE;
}

static int vts__sys_set_nonblocking(int descriptor)
{
    sim_file *file;
    return sim_begin_on(SIM_SET_NONBLOCKING, descriptor, &file);
}

/* ---- receiving ---- */

static size_t sim_at_most(size_t size)
{
    return sim.most != 0 && size > sim.most ? sim.most : size;
}

/* The error that is told once, or 0. */
static int sim_error_of(sim_file *file)
{
    int error = file->error;
    file->error = 0;
    return -error;
}

static int sim_recv_urgent(sim_file *file, unsigned char *buffer)
{
    if (!file->urgent) return file->urgent_taken ? -EINVAL : -EAGAIN;
    *buffer = file->urgent_byte;
    file->urgent = false;
    file->urgent_taken = true;
    return 1;
}

static int sim_recv_stream(sim_file *file, void *buffer, size_t size, int flags)
{
    int error;

    if ((flags & MSG_OOB) != 0) return sim_recv_urgent(file, (unsigned char *)buffer);
    if (file->in.count != 0) {
        return (int)sim_bytes_take(&file->in, buffer, sim_at_most(size),
                                   (flags & MSG_PEEK) != 0);
    }
    error = sim_error_of(file);
    if (error != 0) return error;
    if (file->in_ended) return 0;
    return file->state == SIM_CLOSED ? -ENOTCONN : -EAGAIN;
}

/* The oldest datagram; its length, however much fits. */
static int sim_recv_datagram(sim_file *file, void *buffer, size_t size, int flags,
                             sim_address *from)
{
    sim_datagram *datagram = &file->datagrams[0];
    size_t whole = datagram->size;
    int error = sim_error_of(file);

    if (error != 0) return error;
    if (file->datagram_count == 0) return file->in_ended ? 0 : -EAGAIN;
    memcpy(buffer, datagram->data, whole < size ? whole : size);
    if (from != NULL) *from = datagram->address;
    if ((flags & MSG_PEEK) != 0) return (int)whole;
    file->datagram_count--;
    memmove(datagram, datagram + 1, file->datagram_count * sizeof *datagram);
    return (int)whole;
}

static int sim_recv(sim_call call, int socket, void *buffer, size_t size, int flags,
                    sim_address *from)
{
    sim_file *file;
    int moved = sim_begin_on(call, socket, &file);

    sim.last_flags = flags;
    if (moved != 0) return moved;
    if (file->kind == SIM_STREAM) return sim_recv_stream(file, buffer, size, flags);
    moved = sim_recv_datagram(file, buffer, size, flags, from);
    return (flags & MSG_TRUNC) != 0 || moved < (int)size ? moved : (int)size;
}

static int vts__sys_recv(int socket, void *buffer, size_t size, int flags)
{
    return sim_recv(SIM_RECV, socket, buffer, size, flags, NULL);
}

static int vts__sys_recvfrom(int socket, void *buffer, size_t size, int flags,
                             void *from, socklen_t *length)
{
    sim_address address;
    int moved;

    memset(&address, 0, sizeof address);
    moved = sim_recv(SIM_RECVFROM, socket, buffer, size, flags, &address);
    if (moved < 0) return moved;
    memcpy(from, address.bytes, address.size);
    *length = address.size;
    return moved;
}

static size_t sim_total(const struct msghdr *message)
{
    size_t total = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        total += message->msg_iov[i].iov_len;
    return total;
}

/* Bytes into the pieces of a message, or out of them. */
static void sim_scatter(const struct msghdr *message, unsigned char *bytes,
                        size_t count, bool out)
{
    for (size_t i = 0; i < message->msg_iovlen && count != 0; i++) {
        const struct iovec *piece = &message->msg_iov[i];
        size_t part = piece->iov_len < count ? piece->iov_len : count;
        if (part == 0) continue;
        if (out)
            memcpy(bytes, piece->iov_base, part);
        else
            memcpy(piece->iov_base, bytes, part);
        bytes += part;
        count -= part;
    }
}

static int vts__sys_recvmsg(int socket, struct msghdr *message, int flags)
{
    unsigned char bytes[SIM_BYTES];
    sim_address from;
    size_t total = sim_total(message);
    int moved;

    memset(&from, 0, sizeof from);
    moved = sim_recv(SIM_RECVMSG, socket, bytes, total, flags | MSG_TRUNC, &from);
    if (moved < 0) return moved;
    message->msg_flags = (size_t)moved > total ? MSG_TRUNC : 0;
    if (sim.truncates_control) message->msg_flags |= MSG_CTRUNC;
    if (message->msg_name != NULL) memcpy(message->msg_name, from.bytes, from.size);
    message->msg_namelen = from.size;
    message->msg_controllen = 0;
    if ((size_t)moved > total) moved = (int)total;
    sim_scatter(message, bytes, (size_t)moved, false);
    return moved;
}

/* ---- sending ---- */

static int sim_send_stream(sim_file *file, const void *buffer, size_t size)
{
    int error = sim_error_of(file);

    if (error != 0) return error;
    if (file->state == SIM_CLOSED || file->out_ended) return -EPIPE;
    if (file->state == SIM_CONNECTS) return -EAGAIN;
    if (size == 0) return 0;
    if (size > sim_room(file)) {
        file->starved = true;
        size = sim_room(file);
        if (size == 0) return -EAGAIN;
    }
    size = sim_at_most(size);
    sim_bytes_add(&file->out, buffer, size);
    return (int)size;
}

static int sim_send_datagram(sim_file *file, const void *buffer, size_t size,
                             const void *to, socklen_t length)
{
    sim_datagram *datagram = &file->sent[file->sent_count];
    int error = sim_error_of(file);

    if (error != 0) return error;
    if (file->full) return -EAGAIN;
    if (size > sizeof datagram->data) return -EMSGSIZE;
    if (to == NULL && file->peer.size == 0) return -EDESTADDRREQ;
    if (size != 0) memcpy(datagram->data, buffer, size);
    datagram->size = size;
    datagram->address = file->peer;
    if (to != NULL) memcpy(datagram->address.bytes, to, length);
    file->sent_count++;
    return (int)size;
}

static int sim_send(sim_call call, int socket, const void *buffer, size_t size,
                    int flags, const void *to, socklen_t length)
{
    sim_file *file;
    int error = sim_begin_on(call, socket, &file);

    sim.last_flags = flags;
    if (error != 0) return error;
    if ((flags & MSG_NOSIGNAL) == 0 && call != SIM_SENDFILE) SIM_FAIL("raises SIGPIPE");
    if (file->kind == SIM_STREAM) return sim_send_stream(file, buffer, size);
    return sim_send_datagram(file, buffer, size, to, length);
}

static int vts__sys_send(int socket, const void *buffer, size_t size, int flags)
{
    return sim_send(SIM_SEND, socket, buffer, size, flags, NULL, 0);
}

static int vts__sys_sendto(int socket, const void *buffer, size_t size, int flags,
                           const void *to, socklen_t length)
{
    return sim_send(SIM_SENDTO, socket, buffer, size, flags, to, length);
}

static int vts__sys_sendmsg(int socket, const struct msghdr *message, int flags)
{
    unsigned char bytes[SIM_BYTES];
    size_t total = sim_total(message);

    sim_scatter(message, bytes, total, true);
    return sim_send(SIM_SENDMSG, socket, bytes, total, flags, message->msg_name,
                    message->msg_namelen);
}

static int vts__sys_sendfile(int socket, int file, uint64_t offset, size_t count)
{
    size_t left = offset < sim.file_size ? sim.file_size - (size_t)offset : 0;

    (void)file;
    if (left == 0) return sim_begin(SIM_SENDFILE);
    return sim_send(SIM_SENDFILE, socket, sim.file + offset,
                    count < left ? count : left, 0, NULL, 0);
}

/* ---- connections ---- */

static void sim_disconnects(sim_file *file)
{
    file->state = SIM_CLOSED;
    file->in.count = file->out.count = 0;
    file->error = 0;
    file->in_ended = file->out_ended = false;
    file->peer.size = 0;
    sim_edge(file, SIM_EVERY);
}

static int vts__sys_connect(int socket, const void *address, socklen_t length)
{
    sim_file *file;
    int error = sim_begin_on(SIM_CONNECT, socket, &file);

    if (error != 0) return error;
    if (((const struct sockaddr *)address)->sa_family == AF_UNSPEC) {
        sim_disconnects(file);
        return 0;
    }
    if (file->state == SIM_CONNECTED) return -EISCONN;
    if (file->state == SIM_CONNECTS) return -EALREADY;
    memcpy(file->peer.bytes, address, length);
    file->peer.size = length;
    if (file->kind == SIM_DATAGRAM) return 0;
    file->state = sim.connects_later ? SIM_CONNECTS : SIM_CONNECTED;
    return sim.connects_later ? -EINPROGRESS : 0;
}

static int vts__sys_bind(int socket, const void *address, socklen_t length)
{
    sim_file *file;
    int error = sim_begin_on(SIM_BIND, socket, &file);

    if (error != 0) return error;
    memcpy(file->local.bytes, address, length);
    file->local.size = length;
    return 0;
}

static int vts__sys_listen(int socket, int backlog)
{
    sim_file *file;
    int error = sim_begin_on(SIM_LISTEN, socket, &file);

    if (error != 0) return error;
    if (backlog <= 0) SIM_FAIL("a backlog of nothing");
    file->state = SIM_LISTENS;
    return 0;
}

static int vts__sys_accept(int socket, void *address, socklen_t *length)
{
    sim_file *file;
    int error = sim_begin_on(SIM_ACCEPT, socket, &file);
    sim_address from;

    if (error != 0) return error;
    if (file->state != SIM_LISTENS) return -EINVAL;
    if (file->backlog_count == 0) return -EAGAIN;
    from = file->backlog[0];
    file->backlog_count--;
    memmove(file->backlog, file->backlog + 1, file->backlog_count * sizeof from);
    if (address != NULL) {
        memcpy(address, from.bytes, from.size);
        *length = from.size;
    }
    return sim_connected(file->family);
}

static int vts__sys_shutdown(int socket, int how)
{
    sim_file *file;
    int error = sim_begin_on(SIM_SHUTDOWN, socket, &file);

    if (error != 0) return error;
    if (file->kind == SIM_STREAM && file->state != SIM_CONNECTED) return -ENOTCONN;
    if (how != SHUT_WR) file->in_ended = true;
    if (how != SHUT_RD) file->out_ended = true;
    sim_edge(file, SIM_EVERY);
    return 0;
}

static int vts__sys_getsockname(int socket, void *address, socklen_t *length)
{
    sim_file *file;
    int error = sim_begin_on(SIM_GETSOCKNAME, socket, &file);

    if (error != 0) return error;
    memset(address, 0, *length);
    memcpy(address, file->local.bytes, file->local.size);
    *length = file->local.size;
    if (*length != 0) return 0;
    ((struct sockaddr *)address)->sa_family = (sa_family_t)file->family;
    *length =
        file->family == AF_UNIX ? sizeof(sa_family_t) : sizeof(struct sockaddr_in);
    return 0;
}

static int vts__sys_getpeername(int socket, void *address, socklen_t *length)
{
    sim_file *file;
    int error = sim_begin_on(SIM_GETPEERNAME, socket, &file);

    if (error != 0) return error;
    if (file->kind == SIM_STREAM && file->state != SIM_CONNECTED) return -ENOTCONN;
    if (file->peer.size == 0) return -ENOTCONN;
    memcpy(address, file->peer.bytes, file->peer.size);
    *length = file->peer.size;
    return 0;
}

static int vts__sys_getsockopt(int socket, int level, int option, int *value)
{
    sim_file *file;
    int error = sim_begin_on(SIM_GETSOCKOPT, socket, &file);

    if (error != 0) return error;
    if (level == SOL_SOCKET && option == SO_TYPE)
        *value = file->type;
    else if (level == SOL_SOCKET && option == SO_ERROR)
        *value = -sim_error_of(file);
    else
        *value = file->options[option];
    return 0;
}

static int vts__sys_setsockopt(int socket, int level, int option, int value)
{
    sim_file *file;
    int error = sim_begin_on(SIM_SETSOCKOPT, socket, &file);

    (void)level;
    if (error != 0) return error;
    file->options[option] = value;
    return 0;
}

/* ---- waiting ---- */

/* Nothing is ready: time passes, or something happens. */
static void sim_sleep(vts_time nanoseconds)
{
    void (*happens)(void) = sim.on_sleep;

    if (nanoseconds != VTS_NEVER) {
        sim.now += nanoseconds;
        return;
    }
    sim.on_sleep = NULL;
    if (happens == NULL)
        SIM_FAIL("sleeps for ever");
    else
        happens();
}

static int vts__sys_epoll_create(void)
{
    int error = sim_begin(SIM_EPOLL_CREATE);
    return error != 0 ? error : sim_new(SIM_EPOLL);
}

static int vts__sys_eventfd(void)
{
    int error = sim_begin(SIM_EVENTFD);
    return error != 0 ? error : sim_new(SIM_EVENT);
}

static int vts__sys_epoll_ctl(int poller, int operation, int descriptor,
                              struct epoll_event *event)
{
    sim_file *file = sim_at(descriptor);
    int error = sim_begin(SIM_EPOLL_CTL);

    if (error != 0) return error;
    if (file == NULL) return -EBADF;
    if (operation == EPOLL_CTL_DEL) {
        if (file->epoll == 0) return -ENOENT;
        for (int i = sim.ready_count - 1; i >= 0; i--) {
            if (sim.ready[i] == descriptor) sim_unreport(i);
        }
        file->epoll = 0;
        return 0;
    }
    if (file->epoll != 0) return -EEXIST;
    file->epoll = poller;
    file->watched = *event;
    file->watched.events |= EPOLLERR | EPOLLHUP;
    sim_edge(file, sim_level(file));
    return 0;
}

/* Each edge once, with all that holds now; one of which nothing is left is none. */
static int sim_epoll_collect(int poller, struct epoll_event *events, int count)
{
    int found = 0, place = 0;

    while (place < sim.ready_count && found < count) {
        sim_file *file = sim_at(sim.ready[place]);
        uint32_t level = sim_level(file) & file->watched.events;
        if (file->epoll != poller) {
            place++;
            continue;
        }
        sim_unreport(place);
        if (level == 0) continue;
        events[found] = file->watched;
        events[found++].events = level;
    }
    return found;
}

static int vts__sys_epoll_wait(int poller, struct epoll_event *events, int count,
                               vts_time nanoseconds)
{
    int found = sim_begin(SIM_EPOLL_WAIT);

    if (found != 0) return found;
    found = sim_epoll_collect(poller, events, count);
    if (found != 0 || nanoseconds == 0) return found;
    sim_sleep(nanoseconds);
    return sim_epoll_collect(poller, events, count);
}

/* What holds now. A number below the simulated ones is somebody else's, and quiet. */
static int sim_poll_collect(struct pollfd *items, nfds_t count)
{
    int found = 0;

    for (nfds_t i = 0; i < count; i++) {
        const uint32_t always = EPOLLERR | EPOLLHUP;
        sim_file *file = items[i].fd >= 0 ? sim_at(items[i].fd) : NULL;
        uint32_t wanted = (uint32_t)items[i].events | always;
        items[i].revents = 0;
        if (file != NULL)
            items[i].revents = (short)(sim_level(file) & wanted);
        else if (items[i].fd >= SIM_FIRST)
            items[i].revents = POLLNVAL;
        found += items[i].revents != 0;
    }
    return found;
}

static int vts__sys_poll(struct pollfd *items, nfds_t count, int milliseconds)
{
    int found = sim_begin(SIM_POLL);

    if (found != 0) return found;
    found = sim_poll_collect(items, count);
    if (found != 0 || milliseconds == 0) return found;
    sim_sleep(milliseconds < 0 ? VTS_NEVER : VTS_MILLISECONDS(milliseconds));
    return sim_poll_collect(items, count);
}

static int vts__sys_pipe(int ends[2])
{
    int error = sim_begin(SIM_PIPE_CALL);

    if (error != 0) return error;
    ends[0] = sim_new(SIM_PIPE);
    ends[1] = sim_new(SIM_PIPE);
    sim_file_of(ends[1])->other = ends[0];
    return 0;
}

static int vts__sys_read(int descriptor, void *buffer, size_t size)
{
    sim_file *file = sim_file_of(descriptor);
    size_t count = file->piped < size ? file->piped : size;
    int error = sim_begin(SIM_READ);

    if (error != 0) return error;
    if (count == 0) return -EAGAIN;
    memset(buffer, 0, count);
    file->piped -= count;
    return (int)count;
}

static int vts__sys_write(int descriptor, const void *buffer, size_t size)
{
    sim_file *file = sim_file_of(descriptor);
    int error = sim_begin(SIM_WRITE);
    uint64_t value;

    if (error != 0) return error;
    if (file->kind == SIM_PIPE) {
        sim_file_of(file->other)->piped += size;
        return (int)size;
    }
    memcpy(&value, buffer, sizeof value);
    file->counter += value;
    sim_edge(file, EPOLLIN);
    return (int)size;
}

#endif
