/* vts_socket.h - v0.1.0 - awaitable sockets that allocate nothing per operation

   .NET's AwaitableSocketAsyncEventArgs in C: every operation is a value task. What is
   there at once is taken at once, without a detour; what has to wait waits in memory that
   the socket has anyway. A server written with it costs what the epoll loop costs that it
   replaces. TCP, UDP and Unix-domain, IPv4 and IPv6.

   Do this in ONE C file to get the code:

       #define VTS_IMPLEMENTATION
       #include "vts_socket.h"

   and only  #include "vts_socket.h"  everywhere else (C11, C++11 and later). Put the two
   lines first in that file. vts.h must lie beside this file; its code comes along. Link
   with -pthread.
   SPDX-License-Identifier: MIT-0

   CONTENTS (search for the mark)
       >>options          the build options
       >>quickstart       five steps
       >>concepts         loop, socket, try first, order, limits, closing
       >>rules            lifetime; which call from which thread
       >>differences      where it behaves differently from .NET, on purpose
       >>limits           numbers
       >>types            addresses, loop, socket, limit
       >>api              functions
       >>netstream        buffered bytes and lines over a socket
       >>implementation   includes, platform
       >>system           every system call, in one place
       >>addresses        code of vts_address
       >>tries            one attempt at each operation, never blocking
       >>operations       start, queue, finish
       >>requests         operations that came from elsewhere, or are limited
       >>lifetime         open, adopt, close
       >>pollers          the table, and epoll, io_uring, kqueue, poll
       >>socketloop       the loop that also waits for sockets
       >>public           the functions of >>api
       >>resolving        names
       >>streaming        code of >>netstream

   ----------------------------------------------------------------------------------
   >>options
   ----------------------------------------------------------------------------------
   Both where the implementation is; neither changes a public type.

   VTS_SOCKET_URING           io_uring is built in, through liburing (link with -luring);
                              asked for at run time by desc.poller. Linux 5.19, better 6.1
   VTS_SOCKET_SYSTEM_HEADER   a file that replaces the >>system section, as a string

   ----------------------------------------------------------------------------------
   >>quickstart
   ----------------------------------------------------------------------------------
   (1) a loop that waits for sockets, too

           static vts_socket_loop net;
           vts_socket_loop_init(&net, NULL);

   (2) a socket; its memory is the caller's, all zero before its first use

           static vts_socket socket;
           vts_address address;
           vts_address_parse(&address, "127.0.0.1:7");
           vts_socket_open(&socket, &net, vts_address_family(&address), VTS_STREAM);

   (3) operations are value tasks: their result is a count, a descriptor or 0, and a
       failure is a negative errno. In a coroutine of >>await:

           VTS_TRY(error, vts_socket_connect(&socket, &address, NULL));
           VTS_TRY(n, vts_socket_send_all(&socket, "hello", 5, 0, NULL));
           VTS_TRY(n, vts_socket_recv(&socket, buffer, sizeof buffer, 0, NULL));

   (4) none waits for ever unless you want it to

           vts_socket_limit limit = {0};
           limit.deadline = vts_after(VTS_SECONDS(5));
           VTS_TRY(n, vts_socket_recv(&socket, buffer, sizeof buffer, 0, &limit));

   (5) run, and end: until vts_loop_stop, or a task of yours is completed; close every
       socket, take every result

           vts_loop_run_until(&net.loop, task, VTS_NEVER);
           vts_socket_loop_destroy(&net);     // VTS_E_BUSY while anything is left

   ----------------------------------------------------------------------------------
   >>concepts
   ----------------------------------------------------------------------------------
   LOOP. A vts_loop whose sleep is the poller's. Timers, delays, posts, coroutines: all as
   in vts.h, on net.loop. One thread runs it; take several loops for several threads, each
   with its own sockets. A socket stays on its loop for as long as it is open.

   TRY FIRST. An operation that is started on the loop's thread makes its system call at
   once. Only one that would block waits for the poller. Where a stream's last read did not
   fill the buffer, nothing more was there: the next read goes to the poller without a call
   that could only fail (no such guess where the peer's end or urgent data is announced).
   Over io_uring, what is sent is not tried: the kernel gets it with everything else of the
   pass, and it completes in the next.

   TURNS. After 64 operations in a row that were done at once, the next one waits until
   timers, posted work and other sockets had their turn: a peer that never stops sending
   holds up nobody else.

   FROM OTHER THREADS every operation may be started, too: it travels to the loop first,
   and so never completes at once. Before the loop is run, every thread is another.

   ORDER. Operations of one direction happen in the order in which they were started: the
   second waits for the first. Receiving, accepting and disconnecting are one direction,
   sending and connecting the other. Each direction has one source and one record in the
   socket; a second concurrent operation, a limited one and one from another thread take
   theirs from the loop's pool. No limit on how many, but that pool's capacity.

   COMPLETION. Continuations run on the loop's thread, inside the poller's pass, unless
   they asked for a scheduler. They may do anything: start, close, free.

   LIMIT. A deadline, a cancellation token, or both. The operation is then canceled with
   -ETIMEDOUT or -ECANCELED (status VTS_CANCELED; a failure of the network is VTS_FAULTED).
   A canceled receive took no byte and never writes to its buffer again; a canceled send
   took none either, except send_all and send_file, which may have sent a part. A token
   that is canceled already wins over data that are there.

   CLOSING cancels what waits: each operation completes exactly once. What the kernel still
   reports about a closed descriptor reaches nobody, whoever has its number or the socket's
   memory by then.

   NETSTREAM. Bytes and lines: two buffers before a socket, so that most reads and writes
   are done without it. For protocols of lines or of small pieces; see >>netstream.

   PRESSURE. Nothing a peer does makes memory grow. A listener that finds no descriptors
   free waits until some are (it looks ten times a second, and when this loop closes a
   socket), and counts it: vts_socket_loop_get_statistics.

   ----------------------------------------------------------------------------------
   >>rules
   ----------------------------------------------------------------------------------
   1. Buffers, addresses and messages of an operation are the caller's, and stay where they
      are until it is completed.
   2. The memory of a socket may go when it is closed and the result of every operation was
      taken.
   3. Take every result: one that is left keeps its request, and the loop cannot be
      destroyed. An accepted descriptor that nobody takes is lost: cancel an accept instead
      of forgetting it.
   4. After a connect that failed or was canceled, close the socket. Why it failed is told
      once: to a receive, if one waits already; the connect is -ECONNABORTED then.
   5. While a socket that was closed is opened again, no other thread starts anything on it.

   function                                     from
   socket loop init, destroy                    one thread, nobody else in the loop
   open, adopt, bind, listen, options,          the socket's owner
   local and remote address, descriptor
   operations, close                            any thread
   netstream                                    the loop's thread, or before it is run

   ----------------------------------------------------------------------------------
   >>differences
   ----------------------------------------------------------------------------------
   S1   a canceled operation is VTS_CANCELED; there it is faulted
   S2   errors are negative errnos in the handle, without allocating
   S3   operations of one direction queue; there their order is the kernel's
   S4   an operation from a thread that does not run the loop never completes at once
   S5   disconnect waits for the peer's end and leaves a socket that can connect again
   S6   listen needs a bound address: nothing listens on every interface by mistake
   S7   a receive into no bytes waits until there is something to receive; there of a
        stream only

   ----------------------------------------------------------------------------------
   >>limits
   ----------------------------------------------------------------------------------
   - 256 bytes for a socket (144 where pointers have 32 bits). A request of the pool: about
     300.
   - 392 bytes for a netstream, and its two buffers.
   - One operation moves at most INT_MAX bytes.
   - A file that send_file reads is read by the loop's thread.
   - The system tells a reset once: where a send fails with it, a receive may end with 0.
   - Names are looked up by getaddrinfo, which cannot be interrupted: a canceled lookup
     completes at once, its thread is busy for as long as it takes.
   - No Windows. kqueue was compiled, not run.
*/
#ifndef VTS_SOCKET_H
#define VTS_SOCKET_H

#include "vts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ----------------------------------------------------------------------------------
// >>types
// ----------------------------------------------------------------------------------

typedef enum vts_socket_family {
    VTS_FAMILY_NONE, /* of an address that is all zero, or of another kind            */
    VTS_IPV4,
    VTS_IPV6,
    VTS_UNIX
} vts_socket_family;

typedef enum vts_socket_type {
    VTS_STREAM = 1, /* TCP, or a Unix-domain stream                                   */
    VTS_DATAGRAM,   /* UDP, or Unix-domain datagrams                                  */
    VTS_SEQPACKET   /* Unix-domain                                                    */
} vts_socket_type;

typedef enum vts_socket_poller {
    VTS_POLLER_DEFAULT, /* epoll on Linux, kqueue on BSD and macOS, else poll         */
    VTS_POLLER_EPOLL,
    VTS_POLLER_URING,
    VTS_POLLER_KQUEUE,
    VTS_POLLER_POLL
} vts_socket_poller;

typedef enum vts_socket_shutdown_how {
    VTS_SHUTDOWN_RECEIVE,
    VTS_SHUTDOWN_SEND, /* the peer reads an end                                       */
    VTS_SHUTDOWN_BOTH
} vts_socket_shutdown_how;

/* Flags of receiving and sending, to be or-ed. */
typedef enum vts_socket_flags {
    VTS_SOCKET_PEEK = 1, /* of a receive: what is read stays                          */
    VTS_SOCKET_OOB = 2,  /* urgent data; to receive: -EINVAL while there is none      */
    VTS_SOCKET_MORE = 4  /* of a send: more follows at once, wait for it              */
} vts_socket_flags;

/* On or off, or a number of bytes. */
typedef enum vts_socket_option {
    VTS_OPTION_NO_DELAY,       /* TCP: send small pieces at once                      */
    VTS_OPTION_KEEP_ALIVE,     /* TCP: notice a peer that vanished                    */
    VTS_OPTION_REUSE_ADDRESS,  /* bind though old connections linger                  */
    VTS_OPTION_REUSE_PORT,     /* several listeners share what comes in               */
    VTS_OPTION_BROADCAST,
    VTS_OPTION_IPV6_ONLY,
    VTS_OPTION_SEND_BUFFER,    /* bytes, in the kernel                                */
    VTS_OPTION_RECEIVE_BUFFER
} vts_socket_option;

/* Errors beside negative errnos and those of vts.h, most of them of vts_resolve: the
   numbers of .NET's SocketError. */
typedef enum vts_socket_error {
    VTS_E_END = -10101,         /* the stream has ended (EndOfStreamException)        */
    VTS_E_HOST_NOT_FOUND = -11001,
    VTS_E_TRY_AGAIN = -11002,   /* the name server did not answer                     */
    VTS_E_NO_RECOVERY = -11003, /* it failed                                          */
    VTS_E_NO_DATA = -11004      /* the name exists, but has no address                */
} vts_socket_error;

/* Where something is: an IP address and port, or a path. Copy it freely; all zero is
   nowhere. Fields are private. */
typedef struct vts_address {
    union {
        uint64_t words[16];
        unsigned char bytes[128];
    } as;
    uint32_t size;
} vts_address;

/* A piece of memory, of several. */
typedef struct vts_buffer {
    void *data;
    size_t size;
} vts_buffer;

/* What vts_socket_recv_msg and send_msg move: pieces, an address, control data. */
typedef struct vts_message {
    const vts_buffer *buffers;
    size_t count;              /* of buffers, at most 1024                            */
    vts_address *address;      /* from or to; NULL: none                              */
    void *control;             /* cmsghdrs, as sendmsg(2) wants them; NULL: none      */
    size_t control_size;       /* bytes of it; received: how many came                */
    bool truncated;            /* received: the datagram was longer                   */
    bool control_truncated;    /* received: there was more control data               */
} vts_message;

/* How long an operation may wait. All zero: for ever. */
typedef struct vts_socket_limit {
    vts_time deadline;             /* absolute (vts_after); 0 or VTS_NEVER: none      */
    vts_cancellation_token cancel;
} vts_socket_limit;

struct vts_socket;
struct vts_socket_loop;
struct vts__poller;

/* What one operation is about. done: what a send_all has sent, a connect has begun. */
typedef struct vts__io {
    void *buffer;
    void *more; /* the address, or what else it needs                                */
    uint32_t length, done;
    uint16_t flags;
    uint8_t kind;
    uint8_t state; /* bits, see >>operations                                          */
    int32_t result;
} vts__io;

/* An operation while it waits, in the ring of its direction. */
typedef struct vts__operation {
    vts_source source;
    struct vts__operation *next;
    vts__io io;
} vts__operation;

/* A socket. All zero before its first use; the memory is the caller's, see rule 2. Fields
   are private and belong to the loop's thread, except
     opened  {generation | 1 while open}; atomic. Written by open and close, release; read
             by whoever starts an operation, acquire. A request that arrives at the loop
             under another value than it began with is canceled. */
typedef struct vts_socket {
    vts__operation first[2];     /* one of each direction: 0 receives, 1 sends        */
    vts__operation *last[2];     /* of those that wait, a ring; NULL: none            */
    struct vts_socket_loop *loop;
    vts_word opened;
    struct vts_socket *paused;   /* the next of those that wait for their turn        */
    int descriptor;
    bool ready[2];               /* a system call may do something                    */
    uint8_t traits;
    uint8_t family;
} vts_socket;

/* An operation of the loop's pool: one that is limited, came from another thread, or is
   not the only one of its direction. Public for its size, for VTS_POOL_STORAGE. asked is
   what others ask of the loop, bits; whoever makes it other than 0 posts work, and nobody
   posts twice. Atomic, acq_rel. */
typedef struct vts_socket_request {
    vts__operation operation;
    struct vts_socket_loop *loop;
    vts_socket *socket;
    vts_word opened;
    vts_word asked;
    vts_work work;
    vts_time deadline;
    vts_timer timer;
    vts_cancellation_registration registration;
} vts_socket_request;

/* Zero is the default of every field. */
typedef struct vts_socket_loop_desc {
    vts_socket_poller poller; /* one that this system refuses: the default instead, and
                                 vts_socket_loop_note says why                        */
    vts_pool_desc requests;   /* memory of vts_socket_request: storage, alignment,
                                 allocator, capacity, first, cache. All zero: grows   */
    vts_pool_desc delays;     /* the same of vts_delay_operation                      */
    const vts_allocator *allocator; /* for the poller; NULL: the default              */
} vts_socket_loop_desc;

/* What vts_socket_loop_get_statistics tells. */
typedef struct vts_socket_loop_statistics {
    size_t sockets;        /* open                                                    */
    size_t requests;       /* out of the pool                                         */
    uint64_t events;       /* that the poller reported                                */
    uint64_t backoffs;     /* accepts, connects and datagrams that have to look again
                              after a pause                                           */
} vts_socket_loop_statistics;

/* A loop that also waits for sockets. Not to be copied. loop is public: run it, post to
   it, arm timers. The rest is private and the loop's thread's, except
     sockets  how many are open; atomic, acq_rel
     lookups  how many threads of a pool look up names for it; atomic, acq_rel. */
typedef struct vts_socket_loop {
    vts_loop loop;
    const struct vts__poller *poller;
    void *state;           /* the poller's                                            */
    vts_socket *current;   /* whose event is served, until it is closed               */
    int turns;             /* operations that may still be done at once               */
    vts_word sockets, lookups;
    vts_pool requests;
    vts_socket *paused;    /* the last of those that wait for descriptors, or their turn;
                              a ring                                                  */
    vts_timer pause;
    vts_time shortage;     /* when those that wait for something to be free look again  */
    uint64_t events, backoffs;
    vts_allocator allocator;
    char note[96];
} vts_socket_loop;

// ----------------------------------------------------------------------------------
// >>api
// ----------------------------------------------------------------------------------
// Errors are negative errnos, or VTS_E_... of vts.h. Every operation also fails with
// VTS_E_ARGUMENT (a NULL socket; NULL memory with a size; more than INT_MAX bytes; unknown
// flags), VTS_E_CLOSED (the socket is not open), VTS_E_EXHAUSTED (the pool of requests).
// Nothing allocates, unless the pool of requests, or the poller's table, has to grow.

/* ---- addresses ---- */

/* Reads "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "unix:/path", "unix:@abstract":
   numbers, not names (vts_resolve). VTS_E_ARGUMENT. */
VTS_API int vts_address_parse(vts_address *address, const char *text);

/* Writes it the same way, at most size bytes and a 0 among them; returns what that took or
   would have, without the 0. "" for an address that is nowhere. */
VTS_API size_t vts_address_format(const vts_address *address, char *text, size_t size);

/* From a struct sockaddr, and as one: bytes and size of the address's own memory.
   VTS_E_ARGUMENT for a size over 128. */
VTS_API int vts_address_from(vts_address *address, const void *sockaddr, size_t size);
VTS_API const void *vts_address_data(const vts_address *address, size_t *size);

VTS_API vts_socket_family vts_address_family(const vts_address *address);

/* 0 if it has none. set_port: VTS_E_ARGUMENT if it cannot have one. */
VTS_API uint16_t vts_address_port(const vts_address *address);
VTS_API int vts_address_set_port(vts_address *address, uint16_t port);

/* The same place. */
VTS_API bool vts_address_equals(const vts_address *a, const vts_address *b);

/* ---- loop ---- */

/* Makes a loop with its poller. desc NULL: defaults. A negative errno, VTS_E_MEMORY,
   VTS_E_ARGUMENT, errors of vts_pool_init: nothing is left behind. One allocation, and the
   pools'. */
VTS_API int vts_socket_loop_init(vts_socket_loop *loop, const vts_socket_loop_desc *desc);

/* Ends it. VTS_E_BUSY, and nothing changed, while a socket is open, a request or lookup is
   out, or
   vts_loop_destroy says so; VTS_E_CLOSED, VTS_E_ARGUMENT. */
VTS_API int vts_socket_loop_destroy(vts_socket_loop *loop);

/* Which poller it is, and why it is not the one that was asked for ("" if it is). */
VTS_API vts_socket_poller vts_socket_loop_poller(const vts_socket_loop *loop);
VTS_API const char *vts_socket_loop_note(const vts_socket_loop *loop);

/* On the loop's thread. */
VTS_API vts_socket_loop_statistics vts_socket_loop_get_statistics(
    const vts_socket_loop *loop);

/* The text of any error of a socket or of vts; never NULL. Like strerror, of which it
   takes errnos. */
VTS_API const char *vts_socket_strerror(int error);

/* ---- sockets: at once, no operation ---- */

/* A new socket, not blocking, not inherited by children. VTS_E_BUSY if it is open,
   VTS_E_ARGUMENT, VTS_E_CLOSED (the loop), a negative errno. */
VTS_API int vts_socket_open(vts_socket *socket, vts_socket_loop *loop,
                            vts_socket_family family, vts_socket_type type);

/* The same over a descriptor (an accepted one, say), which the socket owns if this returns
   VTS_OK. Made not blocking; whether children inherit it stays as it is. -ENOTSOCK. */
VTS_API int vts_socket_adopt(vts_socket *socket, vts_socket_loop *loop, int descriptor);

/* A negative errno; -EAFNOSUPPORT for an address of another family. */
VTS_API int vts_socket_bind(vts_socket *socket, const vts_address *address);

/* backlog 0: the system's maximum. -EDESTADDRREQ if it is not bound. */
VTS_API int vts_socket_listen(vts_socket *socket, int backlog);

VTS_API int vts_socket_set_option(vts_socket *socket, vts_socket_option option, int value);
VTS_API int vts_socket_get_option(vts_socket *socket, vts_socket_option option, int *value);

/* Its own address, and the peer's (-ENOTCONN). */
VTS_API int vts_socket_local_address(vts_socket *socket, vts_address *address);
VTS_API int vts_socket_remote_address(vts_socket *socket, vts_address *address);

/* The descriptor, for setsockopt and the like; -1 if it is not open. It stays the
   socket's. */
VTS_API int vts_socket_descriptor(const vts_socket *socket);
VTS_API bool vts_socket_is_open(const vts_socket *socket);

/* ---- operations ---- */

/* A connection: its descriptor, not blocking, for vts_socket_adopt on any loop. from, if
   not NULL, gets the peer's address. Where no descriptor is free, waits. */
VTS_API vts_valuetask vts_socket_accept(vts_socket *socket, vts_address *from,
                                        const vts_socket_limit *limit);

/* 0 when it is connected; of a datagram socket, when the peer is set. */
VTS_API vts_valuetask vts_socket_connect(vts_socket *socket, const vts_address *address,
                                         const vts_socket_limit *limit);

/* At least one byte, at most size: how many; 0 at the end of a stream. size 0: completes
   with 0 as soon as there is something to receive, and takes nothing. A datagram that is
   longer fails with -EMSGSIZE, after its beginning was written (recv_msg tells it apart).
   recv_from: with the sender's address, but of size 0. */
VTS_API vts_valuetask vts_socket_recv(vts_socket *socket, void *buffer, size_t size,
                                      unsigned flags, const vts_socket_limit *limit);
VTS_API vts_valuetask vts_socket_recv_from(vts_socket *socket, void *buffer, size_t size,
                                           unsigned flags, vts_address *from,
                                           const vts_socket_limit *limit);

/* The same into several pieces, at most 1024, filled one after the other. */
VTS_API vts_valuetask vts_socket_recv_vector(vts_socket *socket, const vts_buffer *buffers,
                                             size_t count, unsigned flags,
                                             const vts_socket_limit *limit);

/* The same with everything the message says of itself. */
VTS_API vts_valuetask vts_socket_recv_msg(vts_socket *socket, vts_message *message,
                                          unsigned flags, const vts_socket_limit *limit);

/* At least one byte: how many. send_all: all of them, or an error after some. Never raises
   SIGPIPE: -EPIPE. send_to: to that address; a Unix-domain receiver that is full tells only
   who is connected to it, others look again after a tenth of a second (or an event). */
VTS_API vts_valuetask vts_socket_send(vts_socket *socket, const void *buffer, size_t size,
                                      unsigned flags, const vts_socket_limit *limit);
VTS_API vts_valuetask vts_socket_send_all(vts_socket *socket, const void *buffer,
                                          size_t size, unsigned flags,
                                          const vts_socket_limit *limit);
VTS_API vts_valuetask vts_socket_send_to(vts_socket *socket, const void *buffer,
                                         size_t size, unsigned flags,
                                         const vts_address *to,
                                         const vts_socket_limit *limit);
VTS_API vts_valuetask vts_socket_send_vector(vts_socket *socket, const vts_buffer *buffers,
                                             size_t count, unsigned flags,
                                             const vts_socket_limit *limit);
VTS_API vts_valuetask vts_socket_send_msg(vts_socket *socket, const vts_message *message,
                                          unsigned flags, const vts_socket_limit *limit);

/* count bytes of a file from *offset on, which is moved along: how many, fewer only at the
   end of the file. The descriptor of the file is the caller's. */
VTS_API vts_valuetask vts_socket_send_file(vts_socket *socket, int file, uint64_t *offset,
                                           size_t count, const vts_socket_limit *limit);

/* 0. Of receiving at once: what waits to receive completes with 0. Of sending, and of both,
   in its turn: what was to be sent before is sent first. */
VTS_API vts_valuetask vts_socket_shutdown(vts_socket *socket, vts_socket_shutdown_how how);

/* Ends a connection and keeps the socket: shuts sending down, waits for the peer to do the
   same (what still comes is dropped), and leaves a socket that can connect again: 0. Of a
   datagram socket, forgets the peer. -EOPNOTSUPP of Unix-domain connections. */
VTS_API vts_valuetask vts_socket_disconnect(vts_socket *socket,
                                            const vts_socket_limit *limit);

/* Closes: what waits is canceled with -ECANCELED. 0, at once on the loop's thread; from
   another one when the loop has done it (which takes a request: VTS_E_EXHAUSTED if there
   is none, and it stays open). VTS_E_CLOSED if it is closed. Where nobody runs
   the loop: vts_valuetask_forget(vts_socket_close(&socket)), then one pass of the loop. */
VTS_API vts_valuetask vts_socket_close(vts_socket *socket);

/* ---- names ---- */

/* Looks up a name and a service ("example.org", "443") on a thread of the pool: up to
   capacity addresses of this family (VTS_FAMILY_NONE: any), best first; their number. The
   texts are copied; the addresses are written on the loop's thread, just before it
   completes. VTS_E_HOST_NOT_FOUND and its like; VTS_E_ARGUMENT for a name over 253
   characters, a service over 31 or unknown; VTS_E_MEMORY. Allocates, and keeps the loop
   from being destroyed until getaddrinfo has returned, canceled or not. */
VTS_API vts_valuetask vts_resolve(vts_socket_loop *loop, vts_threadpool *threads,
                                  const char *name, const char *service,
                                  vts_socket_family family, vts_address *addresses,
                                  size_t capacity, const vts_socket_limit *limit);

// ----------------------------------------------------------------------------------
// >>netstream
// ----------------------------------------------------------------------------------
// Bytes and lines over a connected stream socket (NetworkStream, BufferedStream,
// StreamReader): between them and the socket lie two buffers of the caller's. What a
// buffer can do is done at once, without touching the socket; else there is one wait.
// Nothing allocates, but a limited operation that waits takes a request of the loop's
// pool, as on the socket.
//
// One reader and one writer at a time: another one fails with VTS_E_BUSY until the
// first's result was taken. The socket stays the caller's; what is received or sent past
// the stream, or while it has something buffered, comes out of order.
//
// LIMIT. Of the whole operation. One that is canceled loses no byte and doubles none: go
// on with the next operation, after read_done or write_done bytes of a large one.
//
// ERRORS. A failure of the network stays: what was received before can still be read,
// then every operation of the direction fails alike. So does the end. Canceled ones, and
// VTS_E_... of vts.h, leave the stream as it was. VTS_E_THREAD where somebody else runs
// the loop, if that is found out.

/* What an operation of a netstream is about. */
typedef struct vts__transfer {
    void *data;
    vts_buffer *view;
    size_t wanted;
    unsigned char byte; /* the delimiter; of a write, what follows data               */
    bool tailed;        /* byte follows                                               */
    uint8_t kind;
} vts__transfer;

/* One direction of a netstream: bytes at..end of its buffer are there. */
typedef struct vts__half {
    vts_source source;       /* of the operation that waits                           */
    vts_valuetask task;      /* the socket's, for which it does                       */
    vts_socket *socket;
    unsigned char *bytes;
    size_t size, at, end;
    vts__transfer now;
    size_t done;             /* of now, past the buffer; of a search, what was looked at */
    vts_socket_limit limit;
    int error;               /* that stays                                            */
    bool limited, canceled, direct;
} vts__half;

/* A stream. All zero before its first use; the memory is the caller's, not to be copied,
   and may go when the result of every operation was taken. Fields are private. */
typedef struct vts_netstream {
    vts__half reads, writes;
    vts_stream lines;
    vts_buffer line;
} vts_netstream;

/* Begins over an open socket, with memory for what is read ahead and for what is not
   sent yet, one byte of each at least. Again after the socket was connected anew: what
   was buffered is dropped. VTS_E_BUSY while an operation is out, VTS_E_CLOSED (the
   socket), VTS_E_ARGUMENT. */
VTS_API int vts_netstream_init(vts_netstream *stream, vts_socket *socket, void *in,
                               size_t in_size, void *out, size_t out_size);

/* What is there, at least one byte, at most size: how many; 0 at the end. size 0: 0 as
   soon as there is something to read. Past the buffer where it is empty and smaller. */
VTS_API vts_valuetask vts_netstream_read(vts_netstream *stream, void *buffer, size_t size,
                                         const vts_socket_limit *limit);

/* So many: size. VTS_E_END if the stream ends before. skip: drops them. */
VTS_API vts_valuetask vts_netstream_read_exactly(vts_netstream *stream, void *buffer,
                                                 size_t size,
                                                 const vts_socket_limit *limit);
VTS_API vts_valuetask vts_netstream_skip(vts_netstream *stream, size_t size,
                                         const vts_socket_limit *limit);

/* The next byte, 0 to 255; VTS_E_END at the end. */
VTS_API vts_valuetask vts_netstream_read_byte(vts_netstream *stream,
                                              const vts_socket_limit *limit);

/* Up to a delimiter, and takes that, too: how many bytes that was; 0 at the end. *view
   (of the caller's, and there until then) is where they lie in the buffer, without the
   delimiter, until the next read: no copy. The last piece may have no delimiter: then the
   result is view->size. -EMSGSIZE, and nothing was taken, if it does not fit the buffer:
   read it in pieces. read_line: up to "\n" or "\r\n", which are not in the view. */
VTS_API vts_valuetask vts_netstream_read_until(vts_netstream *stream, char delimiter,
                                               vts_buffer *view,
                                               const vts_socket_limit *limit);
VTS_API vts_valuetask vts_netstream_read_line(vts_netstream *stream, vts_buffer *view,
                                              const vts_socket_limit *limit);

/* Waits until so many bytes lie in the buffer, and shows all that do: how many, fewer
   only at the end. Takes none. -EMSGSIZE if size is more than the buffer's. */
VTS_API vts_valuetask vts_netstream_peek(vts_netstream *stream, size_t size,
                                         vts_buffer *view, const vts_socket_limit *limit);

/* The lines, for VTS_FOREACH: vts_stream_current is a vts_buffer, as of read_line. They
   are reads like the others; after a break what is left can be read. */
VTS_API vts_stream *vts_netstream_lines(vts_netstream *stream);

/* Takes all of it: how many bytes, those of write_line ("\n" follows) with the last.
   What does not fit the buffer waits until that is sent; more than it could ever hold is
   sent from where it is, and has to stay there until then. Nothing is sure to be sent
   before a flush. VTS_E_END after a shutdown. */
VTS_API vts_valuetask vts_netstream_write(vts_netstream *stream, const void *buffer,
                                          size_t size, const vts_socket_limit *limit);
VTS_API vts_valuetask vts_netstream_write_line(vts_netstream *stream, const char *text,
                                               size_t size,
                                               const vts_socket_limit *limit);
VTS_API vts_valuetask vts_netstream_write_byte(vts_netstream *stream, unsigned char byte,
                                               const vts_socket_limit *limit);

/* 0 when the system has taken everything. shutdown: then says that no more comes; the
   peer reads an end, and reading goes on. */
VTS_API vts_valuetask vts_netstream_flush(vts_netstream *stream,
                                          const vts_socket_limit *limit);
VTS_API vts_valuetask vts_netstream_shutdown(vts_netstream *stream,
                                             const vts_socket_limit *limit);

/* Flushes and closes the socket, whatever flushing came to, which is the result: 0, or
   why something was not sent. A read that waits is canceled. To close without a flush:
   vts_socket_close. */
VTS_API vts_valuetask vts_netstream_close(vts_netstream *stream,
                                          const vts_socket_limit *limit);

/* How many bytes of its memory the last read_exactly, skip, write or write_line had moved
   when it failed. Of no more than fits the buffer that is all or nothing: 0. */
VTS_API size_t vts_netstream_read_done(const vts_netstream *stream);
VTS_API size_t vts_netstream_write_done(const vts_netstream *stream);

/* How many bytes can be read at once, and how many wait to be flushed. */
VTS_API size_t vts_netstream_readable(const vts_netstream *stream);
VTS_API size_t vts_netstream_unflushed(const vts_netstream *stream);

#ifdef __cplusplus
}
#endif

#endif /* VTS_SOCKET_H */

// ----------------------------------------------------------------------------------
// >>implementation
// ----------------------------------------------------------------------------------
#if defined VTS_IMPLEMENTATION && !defined VTS__SOCKET_IMPLEMENTED
#define VTS__SOCKET_IMPLEMENTED

#if !VTS__HOSTED || defined _WIN32
#error "vts: sockets need a POSIX system"
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef __linux__
#define VTS__SOCKET_LINUX 1
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#else
#define VTS__SOCKET_LINUX 0
#endif

#ifndef VTS__SOCKET_KQUEUE
#if defined __APPLE__ || defined __FreeBSD__ || defined __NetBSD__ ||                  \
    defined __OpenBSD__ || defined __DragonFly__
#define VTS__SOCKET_KQUEUE 1
#else
#define VTS__SOCKET_KQUEUE 0
#endif
#endif

#if VTS__SOCKET_KQUEUE
#include <sys/event.h>
#endif

#if defined VTS_SOCKET_URING && VTS__SOCKET_LINUX
#define VTS__SOCKET_URING 1
#include <liburing.h>
#else
#define VTS__SOCKET_URING 0
#endif

#define VTS__SOCKET_PIECES 1024u           /* IOV_MAX where it is smallest             */
#define VTS__SOCKET_BATCH 256              /* events taken from the poller at a time   */
#define VTS__SOCKET_PAUSE VTS_MILLISECONDS(100)
#define VTS__SOCKET_TURNS 64               /* operations done at once, until others come   */

/* What not every system has, and how it declares the sizes of a message. */
#if VTS__SOCKET_LINUX
#define VTS__MSG_MORE MSG_MORE
#define VTS__MSG_TRUNC MSG_TRUNC
#define VTS__MSG_CMSG_CLOEXEC MSG_CMSG_CLOEXEC
#else
#define VTS__MSG_MORE 0
#define VTS__MSG_TRUNC 0
#define VTS__MSG_CMSG_CLOEXEC 0
#endif
#if VTS__SOCKET_LINUX && defined __GLIBC__
#define VTS__IOVLEN size_t
#define VTS__CONTROLLEN size_t
#else
#define VTS__IOVLEN int
#define VTS__CONTROLLEN socklen_t
#endif
#ifdef EAI_NODATA
#define VTS__EAI_NODATA EAI_NODATA
#else
#define VTS__EAI_NODATA EAI_NONAME
#endif
#ifdef ENONET
#define VTS__ENONET ENONET
#else
#define VTS__ENONET EHOSTDOWN
#endif
#ifdef MSG_NOSIGNAL
#define VTS__MSG_NOSIGNAL MSG_NOSIGNAL
#else
#define VTS__MSG_NOSIGNAL 0 /* the socket has SO_NOSIGPIPE */
#endif

#define VTS__RECEIVES 0u
#define VTS__SENDS 1u

_Static_assert(sizeof(vts_socket) <= 256 || sizeof(void *) > 8, "a socket is small");
_Static_assert(sizeof(struct sockaddr_storage) <= 128, "an address holds every kind");
_Static_assert(sizeof(vts_buffer) == sizeof(struct iovec) &&
                   offsetof(vts_buffer, size) == offsetof(struct iovec, iov_len),
               "a buffer is an iovec");

// ----------------------------------------------------------------------------------
// >>system
// ----------------------------------------------------------------------------------
// Every system call, not blocking, in one place: each returns what it moved or made, or a
// negative errno, and starts again when a signal interrupts it.

#ifdef VTS_SOCKET_SYSTEM_HEADER
#include VTS_SOCKET_SYSTEM_HEADER
#else

#define VTS__SYS(type, call)                                                           \
    do {                                                                               \
        type vts__result;                                                              \
        do vts__result = (call);                                                       \
        while (vts__result < 0 && errno == EINTR);                                     \
        return vts__result < 0 ? -errno : (int)vts__result;                            \
    } while (0)

static int vts__sys_recv(int socket, void *buffer, size_t size, int flags)
{
    VTS__SYS(ssize_t, recv(socket, buffer, size, flags));
}

static int vts__sys_send(int socket, const void *buffer, size_t size, int flags)
{
    VTS__SYS(ssize_t, send(socket, buffer, size, flags));
}

static int vts__sys_recvfrom(int socket, void *buffer, size_t size, int flags, void *from,
                             socklen_t *length)
{
    VTS__SYS(ssize_t,
             recvfrom(socket, buffer, size, flags, (struct sockaddr *)from, length));
}

static int vts__sys_sendto(int socket, const void *buffer, size_t size, int flags,
                           const void *to, socklen_t length)
{
    VTS__SYS(ssize_t,
             sendto(socket, buffer, size, flags, (const struct sockaddr *)to, length));
}

static int vts__sys_recvmsg(int socket, struct msghdr *message, int flags)
{
    VTS__SYS(ssize_t, recvmsg(socket, message, flags));
}

static int vts__sys_sendmsg(int socket, const struct msghdr *message, int flags)
{
    VTS__SYS(ssize_t, sendmsg(socket, message, flags));
}

/* A connect that is interrupted goes on by itself. */
static int vts__sys_connect(int socket, const void *address, socklen_t length)
{
    if (connect(socket, (const struct sockaddr *)address, length) == 0) return 0;
    return errno == EINTR ? -EINPROGRESS : -errno;
}

static int vts__sys_bind(int socket, const void *address, socklen_t length)
{
    VTS__SYS(int, bind(socket, (const struct sockaddr *)address, length));
}

static int vts__sys_listen(int socket, int backlog)
{
    VTS__SYS(int, listen(socket, backlog));
}

static int vts__sys_shutdown(int socket, int how) { VTS__SYS(int, shutdown(socket, how)); }

static int vts__sys_getsockname(int socket, void *address, socklen_t *length)
{
    VTS__SYS(int, getsockname(socket, (struct sockaddr *)address, length));
}

static int vts__sys_getpeername(int socket, void *address, socklen_t *length)
{
    VTS__SYS(int, getpeername(socket, (struct sockaddr *)address, length));
}

static int vts__sys_getsockopt(int socket, int level, int option, int *value)
{
    socklen_t size = sizeof *value;
    VTS__SYS(int, getsockopt(socket, level, option, value, &size));
}

static int vts__sys_setsockopt(int socket, int level, int option, int value)
{
    VTS__SYS(int, setsockopt(socket, level, option, &value, sizeof value));
}

/* The descriptor is gone whatever close says. */
static void vts__sys_close(int descriptor) { close(descriptor); }

static int vts__sys_poll(struct pollfd *items, nfds_t count, int milliseconds)
{
    int found = poll(items, count, milliseconds);
    return found < 0 ? -errno : found;
}

/* Neither end blocks, nor is inherited. */
static int vts__sys_pipe(int ends[2])
{
    if (pipe(ends) < 0) return -errno;
    for (int end = 0; end < 2; end++) {
        fcntl(ends[end], F_SETFD, FD_CLOEXEC);
        fcntl(ends[end], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

static int vts__sys_read(int descriptor, void *buffer, size_t size)
{
    VTS__SYS(ssize_t, read(descriptor, buffer, size));
}

static int vts__sys_write(int descriptor, const void *buffer, size_t size)
{
    VTS__SYS(ssize_t, write(descriptor, buffer, size));
}

static int vts__sys_set_nonblocking(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL, 0);
    if (flags < 0) return -errno;
    if ((flags & O_NONBLOCK) != 0) return 0;
    VTS__SYS(int, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK));
}

#if VTS__SOCKET_LINUX

static int vts__sys_socket(int family, int type)
{
    VTS__SYS(int, socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

static int vts__sys_accept(int socket, void *address, socklen_t *length)
{
    VTS__SYS(int, accept4(socket, (struct sockaddr *)address, length,
                          SOCK_NONBLOCK | SOCK_CLOEXEC));
}

/* A file's bytes without a copy; SIGPIPE, which no flag keeps away here, is kept away. */
static int vts__sys_sendfile(int socket, int file, uint64_t offset, size_t count)
{
    static const struct timespec now;
    off_t at = (off_t)offset;
    sigset_t pipe, before, pending;
    ssize_t moved;
    int error;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    do moved = sendfile(socket, file, &at, count);
    while (moved < 0 && errno == EINTR);
    error = errno;
    if (moved < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) {
        while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR) {}
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return moved < 0 ? -error : (int)moved;
}

static int vts__sys_epoll_create(void) { VTS__SYS(int, epoll_create1(EPOLL_CLOEXEC)); }

static int vts__sys_epoll_ctl(int poller, int operation, int descriptor,
                              struct epoll_event *event)
{
    VTS__SYS(int, epoll_ctl(poller, operation, descriptor, event));
}

#ifdef SYS_epoll_pwait2

/* The kernel's time is two 64-bit numbers whatever the C library's is. */
static int vts__sys_epoll_pwait2(int poller, struct epoll_event *events, int count,
                                 vts_time nanoseconds)
{
    int64_t timeout[2];
    int found;

    timeout[0] = (int64_t)(nanoseconds / 1000000000u);
    timeout[1] = (int64_t)(nanoseconds % 1000000000u);
    found = (int)syscall(SYS_epoll_pwait2, poller, events, count, timeout, NULL, 0);
    return found < 0 ? -errno : found;
}

#else

static int vts__sys_epoll_pwait2(int poller, struct epoll_event *events, int count,
                                 vts_time nanoseconds)
{
    (void)poller;
    (void)events;
    (void)count;
    (void)nanoseconds;
    return -ENOSYS;
}

#endif

/* Sleeps for so many nanoseconds at most, an hour at the most; VTS_NEVER: for ever. A
   signal ends it: not started again. */
static int vts__sys_epoll_wait(int poller, struct epoll_event *events, int count,
                               vts_time nanoseconds)
{
    int milliseconds = -1, found = -ENOSYS;

    if (nanoseconds != VTS_NEVER) {
        if (nanoseconds > VTS_SECONDS(3600)) nanoseconds = VTS_SECONDS(3600);
        milliseconds = (int)((nanoseconds + 999999u) / 1000000u);
        if (nanoseconds != 0) {
            found = vts__sys_epoll_pwait2(poller, events, count, nanoseconds);
        }
    }
    if (found != -ENOSYS) return found;
    found = epoll_wait(poller, events, count, milliseconds);
    return found < 0 ? -errno : found;
}

static int vts__sys_eventfd(void)
{
    VTS__SYS(int, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

#else

/* What the system does not do in one call. */
static int vts__sys_nonblocking(int descriptor)
{
    int flags = descriptor < 0 ? -1 : fcntl(descriptor, F_GETFL, 0);

    if (flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 &&
        fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0) {
        return descriptor;
    }
    flags = -errno;
    if (descriptor >= 0) close(descriptor);
    return flags;
}

static int vts__sys_socket(int family, int type)
{
    return vts__sys_nonblocking(socket(family, type, 0));
}

static int vts__sys_accept(int socket, void *address, socklen_t *length)
{
    int descriptor;
    do descriptor = accept(socket, (struct sockaddr *)address, length);
    while (descriptor < 0 && errno == EINTR);
    return vts__sys_nonblocking(descriptor);
}

/* Read and sent in pieces: what could not be sent is read again. */
static int vts__sys_sendfile(int socket, int file, uint64_t offset, size_t count)
{
    char piece[16384];
    ssize_t size;

    do size = pread(file, piece, count < sizeof piece ? count : sizeof piece, (off_t)offset);
    while (size < 0 && errno == EINTR);
    if (size <= 0) return size < 0 ? -errno : 0;
    return vts__sys_send(socket, piece, (size_t)size, VTS__MSG_NOSIGNAL);
}

#endif

#if VTS__SOCKET_KQUEUE

static int vts__sys_kqueue(void) { VTS__SYS(int, kqueue()); }

static int vts__sys_kevent_change(int queue, const struct kevent *changes, int count)
{
    VTS__SYS(int, kevent(queue, changes, count, NULL, 0, NULL));
}

/* As epoll_wait. */
static int vts__sys_kevent_wait(int queue, struct kevent *events, int count,
                                vts_time nanoseconds)
{
    struct timespec timeout;
    int found;

    if (nanoseconds > VTS_SECONDS(3600) && nanoseconds != VTS_NEVER) {
        nanoseconds = VTS_SECONDS(3600);
    }
    timeout.tv_sec = (time_t)(nanoseconds / VTS_SECONDS(1));
    timeout.tv_nsec = (long)(nanoseconds % VTS_SECONDS(1));
    found = kevent(queue, NULL, 0, events, count,
                   nanoseconds != VTS_NEVER ? &timeout : NULL);
    return found < 0 ? -errno : found;
}

#endif

#endif /* VTS_SOCKET_SYSTEM_HEADER */

// ----------------------------------------------------------------------------------
// >>addresses
// ----------------------------------------------------------------------------------

static void vts__address_clear(vts_address *address)
{
    memset(address, 0, sizeof *address);
}

static const struct sockaddr *vts__sockaddr(const vts_address *address)
{
    return (const struct sockaddr *)(const void *)address->as.bytes;
}

VTS_API vts_socket_family vts_address_family(const vts_address *address)
{
    if (address == NULL || address->size < sizeof(sa_family_t)) return VTS_FAMILY_NONE;
    switch (vts__sockaddr(address)->sa_family) {
    case AF_INET: return VTS_IPV4;
    case AF_INET6: return VTS_IPV6;
    case AF_UNIX: return VTS_UNIX;
    default: return VTS_FAMILY_NONE;
    }
}

VTS_API int vts_address_from(vts_address *address, const void *sockaddr, size_t size)
{
    if (address == NULL || (sockaddr == NULL && size != 0)) return VTS_E_ARGUMENT;
    if (size > sizeof address->as) return VTS_E_ARGUMENT;
    vts__address_clear(address);
    if (size != 0) memcpy(address->as.bytes, sockaddr, size);
    address->size = (uint32_t)size;
    return VTS_OK;
}

VTS_API const void *vts_address_data(const vts_address *address, size_t *size)
{
    if (size != NULL) *size = address != NULL ? address->size : 0;
    return address != NULL ? address->as.bytes : NULL;
}

/* In network order, where the kind of address has one. */
static in_port_t *vts__address_port(const vts_address *address)
{
    unsigned char *bytes = (unsigned char *)(uintptr_t)address->as.bytes;

    switch (vts_address_family(address)) {
    case VTS_IPV4: return &((struct sockaddr_in *)(void *)bytes)->sin_port;
    case VTS_IPV6: return &((struct sockaddr_in6 *)(void *)bytes)->sin6_port;
    default: return NULL;
    }
}

VTS_API uint16_t vts_address_port(const vts_address *address)
{
    const in_port_t *port = address != NULL ? vts__address_port(address) : NULL;
    return port != NULL ? ntohs(*port) : 0;
}

VTS_API int vts_address_set_port(vts_address *address, uint16_t port)
{
    in_port_t *place = address != NULL ? vts__address_port(address) : NULL;

    if (place == NULL) return VTS_E_ARGUMENT;
    *place = htons(port);
    return VTS_OK;
}

static bool vts__same(const vts_address *a, const vts_address *b, size_t at, size_t size)
{
    return memcmp(a->as.bytes + at, b->as.bytes + at, size) == 0;
}

/* Without what follows the end of a path. */
static size_t vts__address_length(const vts_address *address)
{
    const size_t path = offsetof(struct sockaddr_un, sun_path);
    const char *text = (const char *)address->as.bytes + path;

    if (vts_address_family(address) != VTS_UNIX || address->size <= path || *text == 0) {
        return address->size;
    }
    return path + strnlen(text, address->size - path);
}

VTS_API bool vts_address_equals(const vts_address *a, const vts_address *b)
{
    vts_socket_family family = vts_address_family(a);

    if (a == NULL || b == NULL) return a == b;
    if (family != vts_address_family(b) || vts_address_port(a) != vts_address_port(b)) {
        return false;
    }
    if (family == VTS_IPV4) {
        return vts__same(a, b, offsetof(struct sockaddr_in, sin_addr), sizeof(struct in_addr));
    }
    if (family == VTS_IPV6) {
        return vts__same(a, b, offsetof(struct sockaddr_in6, sin6_addr),
                         sizeof(struct in6_addr)) &&
               vts__same(a, b, offsetof(struct sockaddr_in6, sin6_scope_id), 4);
    }
    return vts__address_length(a) == vts__address_length(b) &&
           vts__same(a, b, 0, vts__address_length(a));
}

/* A decimal port, all of the text. */
static bool vts__parse_port(const char *text, uint16_t *port)
{
    unsigned long value = 0;

    if (*text == 0) return false;
    for (; *text != 0; text++) {
        if (*text < '0' || *text > '9') return false;
        value = value * 10 + (unsigned long)(*text - '0');
        if (value > 65535) return false;
    }
    *port = (uint16_t)value;
    return true;
}

/* "unix:/path", or "unix:@name" in the abstract namespace. */
static int vts__parse_unix(vts_address *address, const char *path)
{
    struct sockaddr_un *to = (struct sockaddr_un *)(void *)address->as.bytes;
    size_t length = strlen(path);

    if (length == 0 || length >= sizeof to->sun_path) return VTS_E_ARGUMENT;
    to->sun_family = AF_UNIX;
    memcpy(to->sun_path, path, length);
    address->size = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    if (path[0] == '@') {
        to->sun_path[0] = 0;
        address->size--;
    }
    return VTS_OK;
}

static int vts__parse_ipv4(vts_address *address, const char *host, uint16_t port)
{
    struct sockaddr_in *to = (struct sockaddr_in *)(void *)address->as.bytes;

    if (inet_pton(AF_INET, host, &to->sin_addr) != 1) return VTS_E_ARGUMENT;
    to->sin_family = AF_INET;
    to->sin_port = htons(port);
    address->size = sizeof *to;
    return VTS_OK;
}

/* With a zone, "fe80::1%eth0", by the interface's name or number. */
static int vts__parse_ipv6(vts_address *address, char *host, uint16_t port)
{
    struct sockaddr_in6 *to = (struct sockaddr_in6 *)(void *)address->as.bytes;
    char *zone = strchr(host, '%');
    uint16_t number;

    if (zone != NULL) {
        *zone++ = 0;
        to->sin6_scope_id = if_nametoindex(zone);
        if (to->sin6_scope_id == 0) {
            if (!vts__parse_port(zone, &number)) return VTS_E_ARGUMENT;
            to->sin6_scope_id = number;
        }
    }
    if (inet_pton(AF_INET6, host, &to->sin6_addr) != 1) return VTS_E_ARGUMENT;
    to->sin6_family = AF_INET6;
    to->sin6_port = htons(port);
    address->size = sizeof *to;
    return VTS_OK;
}

static int vts__parse_ip(vts_address *address, const char *text)
{
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[';
    size_t length;
    uint16_t port;

    if (colon == NULL || !vts__parse_port(colon + 1, &port)) return VTS_E_ARGUMENT;
    if (bracketed) {
        if (colon[-1] != ']') return VTS_E_ARGUMENT;
        text++;
        colon--;
    }
    length = (size_t)(colon - text);
    if (length >= sizeof host) return VTS_E_ARGUMENT;
    memcpy(host, text, length);
    host[length] = 0;
    return bracketed ? vts__parse_ipv6(address, host, port)
                     : vts__parse_ipv4(address, host, port);
}

VTS_API int vts_address_parse(vts_address *address, const char *text)
{
    vts_address parsed;
    int error;

    if (address == NULL || text == NULL) return VTS_E_ARGUMENT;
    vts__address_clear(&parsed);
    error = strncmp(text, "unix:", 5) == 0 ? vts__parse_unix(&parsed, text + 5)
                                           : vts__parse_ip(&parsed, text);
    if (error == VTS_OK) *address = parsed;
    return error;
}

/* What snprintf returns: of plain texts it does not fail. */
static size_t vts__printed(int length) { return (size_t)length; }

static size_t vts__format_ipv6(const vts_address *address, char *text, size_t size)
{
    const struct sockaddr_in6 *from =
        (const struct sockaddr_in6 *)(const void *)address->as.bytes;
    char host[INET6_ADDRSTRLEN], zone[IF_NAMESIZE + 1] = "";

    inet_ntop(AF_INET6, &from->sin6_addr, host, sizeof host);
    if (from->sin6_scope_id != 0) {
        zone[0] = '%';
        if (if_indextoname(from->sin6_scope_id, zone + 1) == NULL) {
            snprintf(zone + 1, sizeof zone - 1, "%u", (unsigned)from->sin6_scope_id);
        }
    }
    return vts__printed(snprintf(text, size, "[%s%s]:%u", host, zone,
                                 (unsigned)ntohs(from->sin6_port)));
}

static size_t vts__format_ipv4(const vts_address *address, char *text, size_t size)
{
    const struct sockaddr_in *from =
        (const struct sockaddr_in *)(const void *)address->as.bytes;
    char host[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &from->sin_addr, host, sizeof host);
    return vts__printed(
        snprintf(text, size, "%s:%u", host, (unsigned)ntohs(from->sin_port)));
}

/* A path ends at its 0 or with the address; one that begins with 0 is abstract. */
static size_t vts__format_unix(const vts_address *address, char *text, size_t size)
{
    const struct sockaddr_un *from =
        (const struct sockaddr_un *)(const void *)address->as.bytes;
    size_t length = address->size - offsetof(struct sockaddr_un, sun_path);
    bool abstract = length > 0 && from->sun_path[0] == 0;

    if (abstract) {
        return vts__printed(snprintf(text, size, "unix:@%.*s", (int)length - 1,
                                     from->sun_path + 1));
    }
    return vts__printed(snprintf(text, size, "unix:%.*s", (int)length, from->sun_path));
}

VTS_API size_t vts_address_format(const vts_address *address, char *text, size_t size)
{
    switch (vts_address_family(address)) {
    case VTS_IPV4: return vts__format_ipv4(address, text, size);
    case VTS_IPV6: return vts__format_ipv6(address, text, size);
    case VTS_UNIX: return vts__format_unix(address, text, size);
    default: return vts__printed(snprintf(text, size, "%s", ""));
    }
}

static int vts__system_family(vts_socket_family family)
{
    switch (family) {
    case VTS_IPV4: return AF_INET;
    case VTS_IPV6: return AF_INET6;
    case VTS_UNIX: return AF_UNIX;
    default: return AF_UNSPEC;
    }
}

// ----------------------------------------------------------------------------------
// >>tries
// ----------------------------------------------------------------------------------
// One attempt at each operation: what it moved, a negative errno, or one of these two.

#define VTS__AGAIN (-EAGAIN)
#define VTS__LATER INT_MIN /* the poller will not tell: look again after a pause */
#define VTS__SOON (INT_MIN + 1) /* not tried: it is the others' turn */

/* Of a socket. */
#define VTS__IS_STREAM 1u
#define VTS__IS_DATAGRAM 2u
#define VTS__HINTS 4u    /* less than was asked for means that there is no more          */
#define VTS__ATTACHED 8u /* the poller knows it, for both directions and for good        */
#define VTS__PAUSED 16u  /* in its loop's list                                           */
#define VTS__IS_SHORT 32u /* and what it waits for was not free                          */
#define VTS__IS_SHUT 64u  /* its receives: of a datagram socket the system does not tell */

enum {
    VTS__RECV,
    VTS__RECV_NOTHING,
    VTS__RECV_FROM,
    VTS__RECV_VECTOR,
    VTS__RECV_MSG,
    VTS__ACCEPT,
    VTS__DISCONNECT,
    VTS__SEND, /* this and all that follow: the direction VTS__SENDS                    */
    VTS__SEND_ALL,
    VTS__SEND_TO,
    VTS__SEND_VECTOR,
    VTS__SEND_MSG,
    VTS__SEND_FILE,
    VTS__CONNECT,
    VTS__SHUTDOWN,
    VTS__CLOSE,
    VTS__RESOLVE /* of no socket                                                      */
};

/* Nothing is free, for now. */
static bool vts__is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* What accept says of one connection that came to nothing (accept(2)). */
static bool vts__is_passing(int error)
{
    return error == ECONNABORTED || error == EPROTO || error == ENOPROTOOPT ||
           error == ENETDOWN || error == EHOSTDOWN || error == EHOSTUNREACH ||
           error == ENETUNREACH || error == VTS__ENONET || error == ETIMEDOUT;
}

static VTS__INLINE unsigned vts__direction(const vts__io *io)
{
    return io->kind >= VTS__SEND ? VTS__SENDS : VTS__RECEIVES;
}

static int vts__message_flags(unsigned flags)
{
    return ((flags & VTS_SOCKET_PEEK) != 0 ? MSG_PEEK : 0) |
           ((flags & VTS_SOCKET_OOB) != 0 ? MSG_OOB : 0);
}

static int vts__send_flags(unsigned flags)
{
    int more = (flags & VTS_SOCKET_MORE) != 0 ? VTS__MSG_MORE : 0;
    return VTS__MSG_NOSIGNAL | more | ((flags & VTS_SOCKET_OOB) != 0 ? MSG_OOB : 0);
}

/* A stream that moved less than it could has nothing more to move for now: the next edge
   tells when it has. */
static VTS__INLINE void vts__hint(vts_socket *socket, unsigned direction, int moved,
                                  uint32_t wanted)
{
    if (moved >= 0 && (uint32_t)moved < wanted && (socket->traits & VTS__HINTS) != 0) {
        socket->ready[direction] = false;
    }
}

/* With MSG_TRUNC the system tells the length of the whole datagram. */
static int vts__datagram_flags(const vts_socket *socket)
{
    return (socket->traits & VTS__IS_STREAM) != 0 ? 0 : VTS__MSG_TRUNC;
}

static int vts__received(const vts__io *io, int moved)
{
    return moved > 0 && (uint32_t)moved > io->length ? -EMSGSIZE : moved;
}

static int vts__try_recv(vts_socket *socket, vts__io *io)
{
    int flags = io->flags == 0 ? 0 : vts__message_flags(io->flags);
    int moved = vts__sys_recv(socket->descriptor, io->buffer, io->length,
                              flags | vts__datagram_flags(socket));

    if (io->flags == 0) vts__hint(socket, VTS__RECEIVES, moved, io->length);
    return vts__received(io, moved);
}

/* Looks at one byte, and leaves it there. */
static int vts__try_recv_nothing(vts_socket *socket, vts__io *io)
{
    char byte;
    int moved = vts__sys_recv(socket->descriptor, &byte, 1, MSG_PEEK);

    (void)io;
    return moved < 0 ? moved : 0;
}

static int vts__try_recv_from(vts_socket *socket, vts__io *io)
{
    vts_address *from = (vts_address *)io->more;
    socklen_t length = sizeof from->as;
    int moved = vts__sys_recvfrom(
        socket->descriptor, io->buffer, io->length,
        vts__message_flags(io->flags) | vts__datagram_flags(socket), from->as.bytes,
        &length);

    if (moved >= 0) from->size = (uint32_t)length;
    return vts__received(io, moved);
}

static void vts__message(struct msghdr *message, const vts_buffer *buffers, size_t count)
{
    memset(message, 0, sizeof *message);
    message->msg_iov = (struct iovec *)(uintptr_t)buffers;
    message->msg_iovlen = (VTS__IOVLEN)count;
}

static int vts__try_recv_vector(vts_socket *socket, vts__io *io)
{
    struct msghdr message;
    int moved;

    vts__message(&message, (const vts_buffer *)io->buffer, io->length);
    moved = vts__sys_recvmsg(socket->descriptor, &message, vts__message_flags(io->flags));
    return moved >= 0 && (message.msg_flags & MSG_TRUNC) != 0 ? -EMSGSIZE : moved;
}

/* For a receive; what it found is told by message_received. */
static void vts__message_receives(struct msghdr *message, const vts_message *to)
{
    vts__message(message, to->buffers, to->count);
    message->msg_name = to->address != NULL ? to->address->as.bytes : NULL;
    message->msg_namelen = to->address != NULL ? sizeof to->address->as : 0;
    message->msg_control = to->control;
    message->msg_controllen = (VTS__CONTROLLEN)to->control_size;
}

static void vts__message_received(vts_message *to, const struct msghdr *message)
{
    if (to->address != NULL) to->address->size = (uint32_t)message->msg_namelen;
    to->control_size = (size_t)message->msg_controllen;
    to->truncated = (message->msg_flags & MSG_TRUNC) != 0;
    to->control_truncated = (message->msg_flags & MSG_CTRUNC) != 0;
}

static int vts__try_recv_msg(vts_socket *socket, vts__io *io)
{
    vts_message *to = (vts_message *)io->buffer;
    struct msghdr message;
    int moved;

    vts__message_receives(&message, to);
    moved = vts__sys_recvmsg(socket->descriptor, &message,
                             vts__message_flags(io->flags) | VTS__MSG_CMSG_CLOEXEC);
    if (moved >= 0) vts__message_received(to, &message);
    return moved;
}

/* No descriptor or memory: the connection waits in the kernel's queue. */
static int vts__accepted(int descriptor)
{
    return descriptor < 0 && vts__is_shortage(-descriptor) ? VTS__LATER : descriptor;
}

/* One that is gone already, or an error of the network behind it, is none of the
   listener's: the next. */
static int vts__try_accept(vts_socket *socket, vts__io *io)
{
    vts_address *from = (vts_address *)io->more;
    int descriptor;

    do {
        socklen_t length = sizeof from->as;
        descriptor = vts__sys_accept(socket->descriptor,
                                     from != NULL ? from->as.bytes : NULL,
                                     from != NULL ? &length : NULL);
        if (descriptor >= 0 && from != NULL) from->size = (uint32_t)length;
    } while (descriptor < 0 && vts__is_passing(-descriptor));
    return vts__accepted(descriptor);
}

/* Drops what still comes. */
static int vts__drain(const vts_socket *socket)
{
    char dropped[4096];
    int moved = 1;

    for (int turns = VTS__SOCKET_TURNS; moved > 0; turns--) {
        if (turns == 0) return VTS__SOON;
        moved = vts__sys_recv(socket->descriptor, dropped, sizeof dropped, 0);
    }
    return moved == -ECONNRESET || moved == -ENOTCONN ? 0 : moved;
}

/* First says that nothing more comes from here; then waits for the same from there. */
static int vts__try_disconnect(vts_socket *socket, vts__io *io)
{
    struct sockaddr nobody;
    int error = 0;

    if (socket->family == VTS_UNIX && (socket->traits & VTS__IS_DATAGRAM) == 0) {
        return -EOPNOTSUPP;
    }
    if ((socket->traits & VTS__IS_STREAM) != 0) {
        if (io->done == 0) error = vts__sys_shutdown(socket->descriptor, SHUT_WR);
        if (error < 0) return error;
        io->done = 1;
        error = vts__drain(socket);
    }
    if (error < 0) return error;
    memset(&nobody, 0, sizeof nobody);
    nobody.sa_family = AF_UNSPEC;
    error = vts__sys_connect(socket->descriptor, &nobody, sizeof nobody);
    socket->ready[VTS__RECEIVES] = socket->ready[VTS__SENDS] = true;
    return error == -EAFNOSUPPORT ? 0 : error; /* what some systems answer, and do it */
}

static int vts__try_send(vts_socket *socket, vts__io *io)
{
    int moved = vts__sys_send(socket->descriptor, io->buffer, io->length,
                              io->flags == 0 ? VTS__MSG_NOSIGNAL
                                             : vts__send_flags(io->flags));

    vts__hint(socket, VTS__SENDS, moved, io->length);
    return moved;
}

static int vts__try_send_all(vts_socket *socket, vts__io *io)
{
    const char *buffer = (const char *)io->buffer;

    for (int turns = VTS__SOCKET_TURNS; turns > 0; turns--) {
        uint32_t left = io->length - io->done;
        int moved = vts__sys_send(socket->descriptor, buffer + io->done, left,
                                  vts__send_flags(io->flags));
        if (moved < 0) return moved;
        io->done += (uint32_t)moved;
        vts__hint(socket, VTS__SENDS, moved, left);
        if (io->done == io->length) return (int)io->done;
        if (!socket->ready[VTS__SENDS]) return VTS__AGAIN;
    }
    return VTS__SOON;
}

/* A Unix-domain receiver that is full does not tell those who are not connected to it when
   it has room again. */
static int vts__sent_to(const vts_socket *socket, const vts_address *to, int moved)
{
    bool untold = socket->family == VTS_UNIX && to != NULL;
    return moved == -EAGAIN && untold ? VTS__LATER : moved;
}

static int vts__try_send_to(vts_socket *socket, vts__io *io)
{
    const vts_address *to = (const vts_address *)io->more;
    int moved = vts__sys_sendto(socket->descriptor, io->buffer, io->length,
                                vts__send_flags(io->flags), to->as.bytes, to->size);
    return vts__sent_to(socket, to, moved);
}

static int vts__try_send_vector(vts_socket *socket, vts__io *io)
{
    struct msghdr message;

    vts__message(&message, (const vts_buffer *)io->buffer, io->length);
    return vts__sys_sendmsg(socket->descriptor, &message, vts__send_flags(io->flags));
}

static void vts__message_sends(struct msghdr *message, const vts_message *from)
{
    vts__message(message, from->buffers, from->count);
    message->msg_name = from->address != NULL ? from->address->as.bytes : NULL;
    message->msg_namelen = from->address != NULL ? from->address->size : 0;
    message->msg_control = from->control;
    message->msg_controllen = (VTS__CONTROLLEN)from->control_size;
}

static int vts__try_send_msg(vts_socket *socket, vts__io *io)
{
    const vts_message *from = (const vts_message *)io->buffer;
    struct msghdr message;
    int moved;

    vts__message_sends(&message, from);
    moved = vts__sys_sendmsg(socket->descriptor, &message, vts__send_flags(io->flags));
    return vts__sent_to(socket, from->address, moved);
}

static int vts__try_send_file(vts_socket *socket, vts__io *io)
{
    uint64_t *offset = (uint64_t *)io->buffer;

    for (int turns = VTS__SOCKET_TURNS; io->done < io->length; turns--) {
        int moved = VTS__SOON;
        if (turns > 0) {
            moved = vts__sys_sendfile(socket->descriptor, (int)(intptr_t)io->more, *offset,
                                      io->length - io->done);
        }
        if (moved < 0) return moved;
        if (moved == 0) break;
        io->done += (uint32_t)moved;
        *offset += (uint64_t)moved;
    }
    return (int)io->done;
}

/* A connect that has failed, and somebody else was told why. */
static bool vts__has_hung_up(int descriptor)
{
    struct pollfd item = {descriptor, 0, 0};
    return vts__sys_poll(&item, 1, 0) > 0; /* what is always told: an end, or an error */
}

/* Begun: is it done? A poller that reports the socket of an earlier time is told apart
   by the peer's address. */
static int vts__connected(const vts_socket *socket)
{
    vts_address peer;
    socklen_t length = sizeof peer.as;
    int failure = 0;
    int error = vts__sys_getsockopt(socket->descriptor, SOL_SOCKET, SO_ERROR, &failure);

    if (error == 0) error = -failure;
    if (error == 0) error = vts__sys_getpeername(socket->descriptor, peer.as.bytes, &length);
    if (error != -ENOTCONN) return error;
    return vts__has_hung_up(socket->descriptor) ? -ECONNABORTED : VTS__AGAIN;
}

/* A Unix-domain listener whose queue is full says EAGAIN, and nobody tells when it is not
   full any more. */
static int vts__try_connect(vts_socket *socket, vts__io *io)
{
    const vts_address *to = (const vts_address *)io->more;
    int error;

    if (io->done != 0) return vts__connected(socket);
    error = vts__sys_connect(socket->descriptor, to->as.bytes, to->size);
    if (error == -EAGAIN) return VTS__LATER;
    if (error != -EINPROGRESS) return error;
    io->done = 1;
    return VTS__AGAIN;
}

static int vts__try_shutdown(vts_socket *socket, vts__io *io)
{
    static const int how[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
    int error = vts__sys_shutdown(socket->descriptor, how[io->length]);

    if (error == 0 && io->length != VTS_SHUTDOWN_SEND &&
        (socket->traits & VTS__IS_DATAGRAM) != 0) {
        socket->traits |= VTS__IS_SHUT;
        socket->ready[VTS__RECEIVES] = true;
    }
    return error;
}

static int vts__try(vts_socket *socket, vts__io *io)
{
    static int (*const tries[])(vts_socket *, vts__io *) = {
        vts__try_recv,     vts__try_recv_nothing, vts__try_recv_from, vts__try_recv_vector,
        vts__try_recv_msg, vts__try_accept,       vts__try_disconnect, vts__try_send,
        vts__try_send_all, vts__try_send_to,      vts__try_send_vector, vts__try_send_msg,
        vts__try_send_file, vts__try_connect,     vts__try_shutdown};
    int result = tries[io->kind](socket, io);
    bool shut = (socket->traits & VTS__IS_SHUT) != 0 && vts__direction(io) == VTS__RECEIVES;
    return result == VTS__AGAIN && shut ? 0 : result;
}

// ----------------------------------------------------------------------------------
// >>operations
// ----------------------------------------------------------------------------------
// All of it on the loop's thread. What waits is in the ring of its direction, the oldest
// is the only one that is tried.

/* What waits for sockets; user is the vts_socket_loop. */
typedef struct vts__poller {
    vts_socket_poller which;
    const char *name;
    int (*open)(vts_socket_loop *loop);  /* makes loop->state, or a negative error     */
    void (*close)(vts_socket_loop *loop);
    void (*park)(void *user, vts_time deadline); /* as vts_loop_desc has them          */
    void (*wake)(void *user);
    int (*dispatch)(void *user);
    /* The oldest operation of the direction waits from now on. 0, or a negative errno.
       While it is BUSY nobody else tries it. */
    int (*arm)(vts_socket *socket, unsigned direction);
    /* A BUSY operation is to end early: it is finished later. NULL: there are none, else
       what is sent is the poller's without a try. */
    void (*cancel)(vts_socket *socket, vts__operation *operation);
    /* The socket is about to be closed: nothing more is to be heard of it, and nothing is
       BUSY when this returns. What came to something before is FINISHED. */
    void (*detach)(vts_socket *socket);
} vts__poller;

/* Of an operation. */
#define VTS__POOLED 1u   /* it is a request's                                            */
#define VTS__WAITS 2u    /* it is in its ring                                            */
#define VTS__LIMITED 4u  /* a timer, or a registration, may end it                       */
#define VTS__FINISHED 8u /* result is known; who asked of it last completes it           */
#define VTS__CANCELS 16u /* is to be, or was, canceled; FINISHED: result is why          */
#define VTS__BUSY 32u    /* the poller carries it out, and result is the poller's        */
#define VTS__LATE 64u    /* with CANCELS while BUSY: its deadline is why                 */

static VTS__INLINE bool vts__waits(int result)
{
    return result == VTS__AGAIN || result == VTS__LATER || result == VTS__SOON;
}

static void vts__waiters_push(vts_socket *socket, unsigned direction, vts__operation *operation)
{
    vts__operation *last = socket->last[direction];

    operation->next = last != NULL ? last->next : operation;
    if (last != NULL) last->next = operation;
    socket->last[direction] = operation;
    operation->io.state |= VTS__WAITS;
}

/* In constant time of the oldest. */
static void vts__waiters_remove(vts_socket *socket, unsigned direction,
                             vts__operation *operation)
{
    vts__operation *before = socket->last[direction];

    while (before->next != operation) before = before->next;
    before->next = operation->next;
    if (socket->last[direction] == operation) {
        socket->last[direction] = before != operation ? before : NULL;
    }
    operation->io.state &= (uint8_t)~VTS__WAITS;
}

static vts_socket_request *vts__request_of(vts__operation *operation)
{
    return vts__container_of(operation, vts_socket_request, operation);
}

/* The continuation may free the socket and whatever else is its own. */
static VTS__INLINE void vts__source_complete(vts_source *source, int result, bool canceled)
{
    vts_token token = vts_source_version(source);

    if (result >= 0) vts_source_set_result(source, token, result);
    else if (canceled) vts_source_set_canceled(source, token, result);
    else vts_source_set_error(source, token, result);
}

/* Takes back what may end the operation. If something of it is on its way already, its
   work is posted and completes. */
static void vts__request_finish(vts_socket_request *request, int result, bool canceled)
{
    vts__io *io = &request->operation.io;

    io->result = result;
    io->state |= (uint8_t)(canceled ? VTS__FINISHED | VTS__CANCELS : VTS__FINISHED);
    if (io->kind == VTS__RESOLVE) *(vts_socket_request **)io->more = NULL;
    if ((io->state & VTS__LIMITED) != 0) {
        if (request->timer.loop != NULL) vts_timer_stop(&request->timer);
        vts_cancellation_unregister(&request->registration);
    }
    if (vts__load_acq(&request->asked) != 0) return;
    vts__source_complete(&request->operation.source, result, canceled);
}

static void vts__operation_finish(vts__operation *operation, int result, bool canceled)
{
    if ((operation->io.state & VTS__POOLED) == 0) {
        vts__source_complete(&operation->source, result, canceled);
    } else {
        vts__request_finish(vts__request_of(operation), result, canceled);
    }
}

/* Completes all of a ring that is nobody's any more: as canceled, but for what the poller
   had done before. */
static void vts__waiters_cancel(vts__operation *last)
{
    vts__operation *next = last != NULL ? last->next : NULL;

    while (next != NULL) {
        vts__operation *operation = next;
        next = operation != last ? operation->next : NULL;
        operation->io.state &= (uint8_t)~VTS__WAITS;
        if ((operation->io.state & VTS__FINISHED) != 0) {
            vts__operation_finish(operation, operation->io.result, false);
        } else {
            vts__operation_finish(operation, -ECANCELED, true);
        }
    }
}

static void vts__pause_ends(void *arg);

/* Waits for what no poller tells: until something may be free, or until the others had
   their turn. */
static void vts__pause(vts_socket *socket, vts_time until)
{
    vts_socket_loop *loop = socket->loop;
    vts_socket *last = loop->paused;

    if ((socket->traits & VTS__PAUSED) == 0) {
        socket->traits |= VTS__PAUSED;
        socket->paused = last != NULL ? last->paused : socket;
        if (last != NULL) last->paused = socket;
        loop->paused = socket;
    }
    if (loop->pause.loop != NULL && loop->pause.deadline <= until) return;
    if (loop->pause.loop != NULL) vts_timer_stop(&loop->pause);
    vts_timer_start(&loop->pause, &loop->loop, until, vts__pause_ends, loop);
}

/* Nothing is free: all that find so look again at the same time. */
static void vts__back_off(vts_socket *socket)
{
    vts_socket_loop *loop = socket->loop;

    loop->backoffs++;
    if (loop->shortage <= vts_now()) loop->shortage = vts_after(VTS__SOCKET_PAUSE);
    socket->traits |= VTS__IS_SHORT;
    vts__pause(socket, loop->shortage);
}

/* In constant time of the first. */
static void vts__unpause(vts_socket *socket)
{
    vts_socket_loop *loop = socket->loop;
    vts_socket *before = loop->paused;

    if ((socket->traits & VTS__PAUSED) == 0) return;
    socket->traits &= (uint8_t)~VTS__PAUSED;
    while (before->paused != socket) before = before->paused;
    before->paused = socket->paused;
    if (loop->paused == socket) loop->paused = before != socket ? before : NULL;
    if (loop->paused == NULL && loop->pause.loop != NULL) vts_timer_stop(&loop->pause);
}

/* A descriptor is free again: those that wait for one look now. */
static void vts__unpause_soon(vts_socket_loop *loop)
{
    if (loop->pause.loop == NULL) return;
    loop->shortage = 0;
    vts_timer_stop(&loop->pause);
    vts_timer_start(&loop->pause, &loop->loop, 0, vts__pause_ends, loop);
}

/* Does not wait its turn: it is to end what does. */
static VTS__INLINE bool vts__is_urgent(const vts__io *io)
{
    return io->kind == VTS__SHUTDOWN && io->length == VTS_SHUTDOWN_RECEIVE;
}

/* What it begins with depends on nothing that a poller tells. */
static VTS__INLINE bool vts__begins_anyway(const vts__io *io)
{
    if (io->kind == VTS__SHUTDOWN) return true;
    return io->kind == VTS__DISCONNECT || io->kind == VTS__CONNECT;
}

/* What an operation is about, if it can be about that. */
static VTS__INLINE bool vts__io_of(vts__io *io, uint8_t kind, const void *buffer,
                                   size_t size, unsigned flags, const void *more)
{
    io->buffer = (void *)(uintptr_t)buffer;
    io->more = (void *)(uintptr_t)more;
    io->length = (uint32_t)size;
    io->done = 0;
    io->flags = (uint16_t)flags;
    io->kind = kind;
    io->state = 0;
    io->result = 0;
    return size <= INT_MAX && (buffer != NULL || size == 0);
}

/* One attempt, if there is any sense in it. */
static VTS__INLINE int vts__attempt(vts_socket *socket, unsigned direction, vts__io *io)
{
    if (!socket->ready[direction] && !vts__begins_anyway(io)) return VTS__AGAIN;
    return vts__try(socket, io);
}

/* Of a datagram's receiver, when what makes it full came from this socket: before the
   pause ends. Where readiness is no edge, it would only be told again and again. */
static bool vts__edge_may_come(const vts_socket *socket)
{
    return (socket->traits & VTS__IS_DATAGRAM) != 0 &&
           socket->loop->poller->which == VTS_POLLER_EPOLL;
}

/* The oldest operation could not be done. 0, or a negative errno. */
static int vts__socket_wait(vts_socket *socket, unsigned direction, int why)
{
    if (why == VTS__SOON) {
        vts__pause(socket, 0);
        return 0;
    }
    if (why == VTS__LATER) {
        vts__back_off(socket);
        return vts__edge_may_come(socket) ? socket->loop->poller->arm(socket, direction) : 0;
    }
    socket->ready[direction] = false;
    return socket->loop->poller->arm(socket, direction);
}

/* What has come of the oldest; whether others wait behind it. A continuation may close the
   socket and free it: then it is not the loop's current one any more. What a continuation
   starts with nothing before it was tried when it was started. */
static bool vts__served(vts_socket *socket, unsigned direction, vts__operation *oldest,
                        int result)
{
    const vts_socket_loop *loop = socket->loop;
    bool others;

    if (vts__waits(result)) {
        result = vts__socket_wait(socket, direction, result);
        if (result == 0) return false;
    }
    vts__waiters_remove(socket, direction, oldest);
    others = socket->last[direction] != NULL;
    vts__operation_finish(oldest, result, false);
    return others && loop->current == socket;
}

/* Does what can be done of a direction in which something waits, in order. */
static VTS__NOINLINE void vts__serve(vts_socket *socket, unsigned direction)
{
    vts__operation *oldest;
    int result;

    do {
        oldest = socket->last[direction]->next;
        if ((oldest->io.state & VTS__BUSY) != 0) return;
        result = socket->loop->turns-- > 0 ? vts__attempt(socket, direction, &oldest->io)
                                           : VTS__SOON;
    } while (vts__served(socket, direction, oldest, result));
}

/* The same of a plain receive that waits alone, without what others need. */
static void vts__serve_receive(vts_socket *socket, vts__operation *own)
{
    vts__io *io = &own->io;
    int moved = vts__sys_recv(socket->descriptor, io->buffer, io->length,
                              vts__datagram_flags(socket));

    if (moved < 0 || (uint32_t)moved > io->length) {
        vts__served(socket, VTS__RECEIVES, own, vts__received(io, moved));
        return;
    }
    vts__hint(socket, VTS__RECEIVES, moved, io->length);
    socket->last[VTS__RECEIVES] = NULL;
    io->state = 0;
    vts_source_set_result(&own->source, vts_source_version(&own->source), moved);
}

static VTS__INLINE void vts__serve_receives(vts_socket *socket)
{
    vts__operation *last = socket->last[VTS__RECEIVES];

    socket->ready[VTS__RECEIVES] = true;
    if (last == NULL) return;
    if (last->next == last && last->io.state == VTS__WAITS && last->io.kind == VTS__RECV &&
        last->io.flags == 0 && (socket->traits & VTS__IS_SHUT) == 0) {
        vts__serve_receive(socket, last);
    } else {
        vts__serve(socket, VTS__RECEIVES);
    }
}

/* The socket is the loop's current one for as long as it lives. */
static void vts__socket_look(vts_socket_loop *loop, vts_socket *socket, bool receives,
                             bool sends)
{
    loop->turns = VTS__SOCKET_TURNS;
    loop->current = socket;
    if (receives) vts__serve_receives(socket);
    if (sends && loop->current == socket) {
        socket->ready[VTS__SENDS] = true;
        if (socket->last[VTS__SENDS] != NULL) vts__serve(socket, VTS__SENDS);
    }
    loop->current = NULL;
}

/* A poller's event. */
static void vts__socket_event(vts_socket_loop *loop, vts_socket *socket, bool receives,
                              bool sends)
{
    loop->events++;
    vts__socket_look(loop, socket, receives, sends);
}

/* Looks again for each that waited, once: those that wait for something to be free not
   before their time, though others have their turn. */
static void vts__pause_ends(void *arg)
{
    vts_socket_loop *loop = (vts_socket_loop *)arg;
    const vts_socket *last = loop->paused;
    vts_time now = vts_now();
    size_t count = 1;

    for (const vts_socket *at = last->paused; at != last; at = at->paused) count++;
    for (; count > 0 && loop->paused != NULL; count--) {
        vts_socket *first = loop->paused->paused;
        vts__unpause(first);
        if ((first->traits & VTS__IS_SHORT) != 0 && now < loop->shortage) {
            vts__pause(first, loop->shortage);
            continue;
        }
        first->traits &= (uint8_t)~VTS__IS_SHORT;
        vts__socket_look(loop, first, true, true);
    }
}

/* The direction's own operation, armed; NULL while it is in use. Its source is idle when
   its last result was taken [P5]; only the loop's thread arms it. */
static VTS__INLINE vts__operation *vts__own_operation(vts_socket *socket,
                                                      unsigned direction)
{
    vts__operation *own = &socket->first[direction];
    vts_word word = vts__load_acq(&own->source.word);

    if ((word & VTS__LOW) != 0) return NULL;
    vts__store_rlx(&own->source.word, vts__next_token(word) | VTS__PENDING);
    return own;
}

/* An operation that could not be done at once waits its turn. One that cannot wait has
   failed: its task says so. */
static VTS__INLINE void vts__operation_waits(vts_socket *socket, vts__operation *operation,
                                             int why)
{
    unsigned direction = vts__direction(&operation->io);
    bool oldest = socket->last[direction] == NULL;
    int error;

    vts__waiters_push(socket, direction, operation);
    error = oldest ? vts__socket_wait(socket, direction, why) : 0;
    if (error == 0) return;
    vts__waiters_remove(socket, direction, operation);
    vts__operation_finish(operation, error, false);
}

static VTS__INLINE vts_valuetask vts__operation_task(vts__operation *operation)
{
    return vts_valuetask_of(&operation->source, vts_source_version(&operation->source));
}

// ----------------------------------------------------------------------------------
// >>requests
// ----------------------------------------------------------------------------------

#define VTS__ASK_START 1u
#define VTS__ASK_CANCEL 2u

/* A cancellation's callback: from any thread, once. */
static void vts__request_is_canceled(void *arg)
{
    vts_socket_request *request = (vts_socket_request *)arg;
    vts_socket_loop *loop = request->loop;

    if (vts__add_acq_rel(&request->asked, VTS__ASK_CANCEL) != 0) return;
    vts_scheduler_post(&loop->loop.scheduler, &request->work);
}

/* Out of its ring. No event comes for what is the oldest then: it gets its turn here. */
static void vts__waiter_cancel(vts_socket *socket, vts__operation *operation, int why)
{
    vts_socket_loop *loop = socket->loop;
    unsigned direction = vts__direction(&operation->io);
    bool oldest = socket->last[direction]->next == operation;

    vts__waiters_remove(socket, direction, operation);
    loop->current = socket;
    vts__operation_finish(operation, why, true);
    if (oldest && loop->current == socket && socket->last[direction] != NULL) {
        vts__serve(socket, direction);
    }
    loop->current = NULL;
}

/* Ends one that waits. The poller may have to end it first. */
static void vts__request_cancel(vts_socket_request *request, int why)
{
    vts__operation *operation = &request->operation;
    vts_socket *socket = request->socket;

    if ((operation->io.state & VTS__BUSY) != 0) {
        if ((operation->io.state & VTS__CANCELS) != 0) return;
        operation->io.state |= why == -ETIMEDOUT ? VTS__CANCELS | VTS__LATE : VTS__CANCELS;
        socket->loop->poller->cancel(socket, operation);
        return;
    }
    if ((operation->io.state & VTS__WAITS) != 0) vts__waiter_cancel(socket, operation, why);
    else vts__operation_finish(operation, why, true);
}

static void vts__request_is_late(void *arg)
{
    vts__request_cancel((vts_socket_request *)arg, -ETIMEDOUT);
}

static void vts__request_start_timer(vts_socket_request *request)
{
    if (request->deadline == VTS_NEVER) return;
    vts_timer_start(&request->timer, &request->loop->loop, request->deadline,
                    vts__request_is_late, request);
}

static void vts__socket_close(vts_socket *socket);

/* Its socket is open, and has been since it was started. */
static bool vts__request_is_current(const vts_socket_request *request)
{
    vts_word opened = vts__load_rlx(&request->socket->opened);
    return (opened & 1u) != 0 && opened == request->opened;
}

/* It arrives from another thread: if its socket is still the same, it goes on as if it had
   been started here. */
static void vts__request_begin(vts_socket_request *request)
{
    vts__operation *operation = &request->operation;
    vts_socket *socket = request->socket;
    unsigned direction = vts__direction(&operation->io);
    int result = VTS__AGAIN;

    if (socket == NULL) {
        vts__request_start_timer(request);
    } else if (!vts__request_is_current(request)) {
        bool closes = operation->io.kind == VTS__CLOSE;
        vts__request_finish(request, closes ? VTS_E_CLOSED : -ECANCELED, !closes);
    } else if (operation->io.kind == VTS__CLOSE) {
        vts__socket_close(socket);
        vts__request_finish(request, 0, false);
    } else {
        if (socket->last[direction] == NULL || vts__is_urgent(&operation->io)) {
            result = vts__attempt(socket, direction, &operation->io);
        }
        if (!vts__waits(result)) {
            vts__request_finish(request, result, false);
            return;
        }
        vts__request_start_timer(request);
        vts__operation_waits(socket, operation, result);
    }
}

static void vts__request_work(vts_work *work)
{
    vts_socket_request *request = vts__container_of(work, vts_socket_request, work);
    vts__operation *operation = &request->operation;
    vts_word asked = vts__xchg_acq_rel(&request->asked, 0);

    if ((operation->io.state & VTS__FINISHED) != 0) {
        vts__source_complete(&operation->source, operation->io.result,
                             (operation->io.state & VTS__CANCELS) != 0);
    } else if ((asked & VTS__ASK_CANCEL) != 0) {
        vts__request_cancel(request, -ECANCELED);
    } else {
        vts__request_begin(request);
    }
}

/* From the pool, with what may end it. asked: what its work is about to be posted for, if
   it is. NULL, and *error. */
static vts_socket_request *vts__request_rent(vts_socket_loop *loop, vts_socket *socket,
                                             const vts__io *io,
                                             const vts_socket_limit *limit, vts_word asked,
                                             int *error)
{
    vts_token token;
    vts_source *source = vts_pool_rent(&loop->requests, &token);
    vts_socket_request *request = (vts_socket_request *)(void *)source;

    *error = VTS_E_EXHAUSTED;
    if (request == NULL) return NULL;
    request->operation.io = *io;
    request->operation.io.state = VTS__POOLED;
    request->loop = loop;
    request->socket = socket;
    request->opened = socket != NULL ? vts__load_rlx(&socket->opened) : 0;
    request->work.run = vts__request_work;
    request->deadline = VTS_NEVER;
    vts__store_rlx(&request->asked, asked);
    if (limit == NULL) return request;
    request->operation.io.state |= VTS__LIMITED;
    if (limit->deadline != 0) request->deadline = limit->deadline;
    *error = vts_cancellation_register(limit->cancel, &request->registration,
                                       vts__request_is_canceled, request);
    if (*error == VTS_OK) return request;
    vts_source_abandon(source, token);
    return NULL;
}

/* To the loop, from another thread. */
static VTS__NOINLINE vts_valuetask vts__request_post(vts_socket_loop *loop,
                                                     vts_socket *socket, const vts__io *io,
                                                     const vts_socket_limit *limit)
{
    int error;
    vts_socket_request *request =
        vts__request_rent(loop, socket, io, limit, VTS__ASK_START, &error);

    if (request == NULL) return vts_valuetask_from_error(error);
    vts_scheduler_post(&loop->loop.scheduler, &request->work);
    return vts__operation_task(&request->operation); /* until its result is taken */
}

static VTS__NOINLINE vts_valuetask vts__request_waits(vts_socket *socket, const vts__io *io,
                                                      const vts_socket_limit *limit,
                                                      int why)
{
    int error;
    vts_socket_request *request =
        vts__request_rent(socket->loop, socket, io, limit, 0, &error);
    vts_valuetask task;

    if (request == NULL) return vts_valuetask_from_error(error);
    task = vts__operation_task(&request->operation);
    vts__request_start_timer(request);
    vts__operation_waits(socket, &request->operation, why);
    return task;
}

/* What came of an attempt: it is done, or has failed, or waits, in the socket's own record
   if that is free and there is no limit. */
static VTS__INLINE vts_valuetask vts__operation_result(vts_socket *socket, const vts__io *io,
                                                       const vts_socket_limit *limit,
                                                       int result)
{
    vts__operation *own = NULL;

    if (result >= 0) return vts_valuetask_from_result(result);
    if (!vts__waits(result)) return vts_valuetask_from_error(result);
    if (limit == NULL) own = vts__own_operation(socket, vts__direction(io));
    if (own == NULL) return vts__request_waits(socket, io, limit, result);
    own->io = *io;
    vts__operation_waits(socket, own, result);
    return vts__operation_task(own);
}

/* One that never ends anything is none. */
static VTS__INLINE bool vts__is_limit(const vts_socket_limit *limit)
{
    return limit != NULL && (limit->cancel.source != NULL ||
                             (limit->deadline != 0 && limit->deadline != VTS_NEVER));
}

/* What every operation goes through that is not plain: at once, or to wait. */
static VTS__NOINLINE vts_valuetask vts__operation_start(vts_socket *socket, vts__io *io,
                                                        const vts_socket_limit *limit)
{
    unsigned direction = vts__direction(io);
    int result = VTS__AGAIN;

    if (socket == NULL) return vts_valuetask_from_error(VTS_E_ARGUMENT);
    if (!vts_socket_is_open(socket)) return vts_valuetask_from_error(VTS_E_CLOSED);
    if (!vts__is_limit(limit)) {
        limit = NULL;
    } else if (vts_cancellation_is_requested(limit->cancel)) {
        return vts_valuetask_from_canceled(-ECANCELED);
    }
    if (!vts_loop_is_current(&socket->loop->loop)) {
        return vts__request_post(socket->loop, socket, io, limit);
    }
    if (socket->last[direction] == NULL || vts__is_urgent(io)) {
        result = socket->loop->turns-- > 0 || vts__is_urgent(io)
                     ? vts__attempt(socket, direction, io)
                     : VTS__SOON;
    }
    return vts__operation_result(socket, io, limit, result);
}

/* On the loop's thread, open, without a limit or flags, some bytes, nothing before it. */
static VTS__INLINE bool vts__is_plain(const vts_socket *socket, unsigned direction,
                                      const void *buffer, size_t size, unsigned flags,
                                      const vts_socket_limit *limit)
{
    return flags == 0 && limit == NULL && buffer != NULL && size - 1 < INT_MAX &&
           socket != NULL && vts_socket_is_open(socket) &&
           vts_loop_is_current(&socket->loop->loop) && socket->last[direction] == NULL;
}

/* A plain receive where there is nothing to receive, in the socket's own record; false if
   that is in use, or the poller has to be told. */
static VTS__INLINE bool vts__receive_waits(vts_socket *socket, void *buffer, size_t size,
                                           vts_valuetask *task)
{
    vts__operation *own = &socket->first[VTS__RECEIVES];

    if (socket->ready[VTS__RECEIVES] || (socket->traits & VTS__ATTACHED) == 0 ||
        vts__own_operation(socket, VTS__RECEIVES) == NULL) {
        return false;
    }
    own->io = (vts__io){.buffer = buffer,
                        .length = (uint32_t)size,
                        .kind = VTS__RECV,
                        .state = VTS__WAITS};
    own->next = own;
    socket->last[VTS__RECEIVES] = own;
    *task = vts__operation_task(own);
    return true;
}

/* A plain send that did not take all, or failed. */
static VTS__NOINLINE vts_valuetask vts__send_rest(vts_socket *socket, uint8_t kind,
                                                  const void *buffer, size_t size,
                                                  int moved)
{
    vts__io io;

    vts__io_of(&io, kind, buffer, size, 0, NULL);
    vts__hint(socket, VTS__SENDS, moved, io.length);
    if (kind == VTS__SEND_ALL && moved >= 0) {
        io.done = (uint32_t)moved;
        moved = vts__attempt(socket, VTS__SENDS, &io);
    }
    return vts__operation_result(socket, &io, NULL, moved);
}

/* A plain send or send_all: false if it cannot be tried. */
static VTS__INLINE bool vts__send_now(vts_socket *socket, uint8_t kind, const void *buffer,
                                      size_t size, vts_valuetask *task)
{
    int moved;

    if (!socket->ready[VTS__SENDS] || socket->loop->turns <= 0) return false;
    socket->loop->turns--;
    moved = vts__sys_send(socket->descriptor, buffer, size, VTS__MSG_NOSIGNAL);
    *task = vts__likely(moved == (int)size)
                ? vts_valuetask_from_result(moved)
                : vts__send_rest(socket, kind, buffer, size, moved);
    return true;
}

// ----------------------------------------------------------------------------------
// >>lifetime
// ----------------------------------------------------------------------------------

/* A short read says something only of TCP: a Unix-domain stream also stops where control
   data begin. */
static uint8_t vts__traits_of(vts_socket_family family, int type)
{
    if (type == SOCK_DGRAM) return VTS__IS_DATAGRAM;
    if (type != SOCK_STREAM) return 0;
    if (family == VTS_UNIX) return VTS__IS_STREAM;
    return VTS__IS_STREAM | VTS__HINTS;
}

#ifdef SO_NOSIGPIPE
static void vts__no_sigpipe(int descriptor)
{
    vts__sys_setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, 1);
}
#else
static void vts__no_sigpipe(int descriptor) { (void)descriptor; }
#endif

/* Last: from now on others may use it. */
static void vts__socket_opens(vts_socket *socket, vts_socket_loop *loop, int descriptor,
                              vts_socket_family family, int type)
{
    socket->first[0].source.base.ops = &vts__once_ops;
    socket->first[1].source.base.ops = &vts__once_ops;
    socket->last[0] = socket->last[1] = NULL;
    socket->loop = loop;
    socket->paused = NULL;
    socket->descriptor = descriptor;
    socket->ready[VTS__RECEIVES] = true;
    socket->ready[VTS__SENDS] = loop->poller->cancel == NULL;
    socket->traits = vts__traits_of(family, type);
    socket->family = (uint8_t)family;
    vts__add_acq_rel(&loop->sockets, 1);
    vts__store_rel(&socket->opened, vts__load_rlx(&socket->opened) + 1);
}

static int vts__socket_may_open(const vts_socket *socket, const vts_socket_loop *loop)
{
    if (socket == NULL || loop == NULL) return VTS_E_ARGUMENT;
    if (loop->poller == NULL) return VTS_E_CLOSED;
    return vts_socket_is_open(socket) ? VTS_E_BUSY : VTS_OK;
}

VTS_API int vts_socket_open(vts_socket *socket, vts_socket_loop *loop,
                            vts_socket_family family, vts_socket_type type)
{
    static const int types[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    int error = vts__socket_may_open(socket, loop);
    int descriptor;

    if (error != VTS_OK) return error;
    if (family < VTS_IPV4 || family > VTS_UNIX) return VTS_E_ARGUMENT;
    if (type < VTS_STREAM || type > VTS_SEQPACKET) return VTS_E_ARGUMENT;
    descriptor = vts__sys_socket(vts__system_family(family), types[type]);
    if (descriptor < 0) return descriptor;
    vts__no_sigpipe(descriptor);
    vts__socket_opens(socket, loop, descriptor, family, types[type]);
    return VTS_OK;
}

VTS_API int vts_socket_adopt(vts_socket *socket, vts_socket_loop *loop, int descriptor)
{
    vts_address address;
    socklen_t length = sizeof address.as;
    int error = vts__socket_may_open(socket, loop);
    int type = 0;

    if (error != VTS_OK) return error;
    vts__address_clear(&address);
    error = vts__sys_getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type);
    if (error == 0) error = vts__sys_getsockname(descriptor, address.as.bytes, &length);
    if (error == 0) error = vts__sys_set_nonblocking(descriptor);
    if (error < 0) return error;
    address.size = (uint32_t)length;
    vts__no_sigpipe(descriptor);
    vts__socket_opens(socket, loop, descriptor, vts_address_family(&address), type);
    return VTS_OK;
}

VTS_API bool vts_socket_is_open(const vts_socket *socket)
{
    return socket != NULL && (vts__load_acq(&socket->opened) & 1u) != 0;
}

VTS_API int vts_socket_descriptor(const vts_socket *socket)
{
    return vts_socket_is_open(socket) ? socket->descriptor : -1;
}

/* Ends everything that waits. From the store on the owner may open it again; nothing of the
   socket is touched after the last completion: its continuation may free it. */
static void vts__socket_close(vts_socket *socket)
{
    vts_socket_loop *loop = socket->loop;
    vts__operation *last[2];

    loop->poller->detach(socket);
    for (unsigned direction = 0; direction < 2; direction++) {
        last[direction] = socket->last[direction];
        socket->last[direction] = NULL;
    }
    vts__unpause(socket);
    if (loop->current == socket) loop->current = NULL;
    vts__sys_close(socket->descriptor);
    vts__add_acq_rel(&loop->sockets, (vts_word)0 - 1);
    vts__store_rel(&socket->opened, vts__load_rlx(&socket->opened) + 1);
    vts__unpause_soon(loop);
    for (unsigned direction = 0; direction < 2; direction++) {
        vts__waiters_cancel(last[direction]);
    }
}

// ----------------------------------------------------------------------------------
// >>pollers
// ----------------------------------------------------------------------------------

static void *vts__poller_memory(vts_socket_loop *loop, size_t size)
{
    void *memory = loop->allocator.alloc(loop->allocator.user, size);
    if (memory != NULL) memset(memory, 0, size);
    return memory;
}

static void vts__poller_free(vts_socket_loop *loop, void *memory, size_t size)
{
    if (memory == NULL || loop->allocator.free == NULL) return;
    loop->allocator.free(loop->allocator.user, memory, size);
}

/* For how long to sleep until a deadline. */
static vts_time vts__time_left(vts_time deadline)
{
    vts_time now;

    if (deadline == 0 || deadline == VTS_NEVER) return deadline;
    now = vts_now();
    return deadline > now ? deadline - now : 0;
}

#if VTS__SOCKET_LINUX

// ---- epoll, edge-triggered ----

typedef struct vts__epoll {
    int poller, wake;
    int next, count; /* of events: not served yet, and all                            */
    struct epoll_event events[VTS__SOCKET_BATCH];
} vts__epoll;

static void vts__epoll_close(vts_socket_loop *loop)
{
    vts__epoll *state = (vts__epoll *)loop->state;

    if (state->wake >= 0) vts__sys_close(state->wake);
    if (state->poller >= 0) vts__sys_close(state->poller);
    vts__poller_free(loop, state, sizeof *state);
    loop->state = NULL;
}

/* Each write to the eventfd is an edge: nobody needs to read it. */
static int vts__epoll_open(vts_socket_loop *loop)
{
    vts__epoll *state = (vts__epoll *)vts__poller_memory(loop, sizeof *state);
    struct epoll_event event;
    int error = 0;

    if (state == NULL) return VTS_E_MEMORY;
    loop->state = state;
    state->poller = vts__sys_epoll_create();
    state->wake = state->poller >= 0 ? vts__sys_eventfd() : -1;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN | EPOLLET;
    if (state->poller < 0) error = state->poller;
    else if (state->wake < 0) error = state->wake;
    else error = vts__sys_epoll_ctl(state->poller, EPOLL_CTL_ADD, state->wake, &event);
    if (error < 0) vts__epoll_close(loop);
    return error;
}

static void vts__epoll_park(void *user, vts_time deadline)
{
    vts__epoll *state = (vts__epoll *)((vts_socket_loop *)user)->state;
    int count = vts__sys_epoll_wait(state->poller, state->events, VTS__SOCKET_BATCH,
                                    vts__time_left(deadline));

    state->next = 0;
    state->count = count > 0 ? count : 0;
}

static void vts__epoll_wake(void *user)
{
    const vts__epoll *state = (const vts__epoll *)((vts_socket_loop *)user)->state;
    uint64_t one = 1;
    vts__sys_write(state->wake, &one, sizeof one);
}

/* An end, an error and urgent data come without an edge of their own: from then on a short
   read says nothing. */
static int vts__epoll_dispatch(void *user)
{
    const uint32_t both = EPOLLHUP | EPOLLERR;
    const uint32_t receives = both | EPOLLIN | EPOLLRDHUP | EPOLLPRI;
    vts_socket_loop *loop = (vts_socket_loop *)user;
    vts__epoll *state = (vts__epoll *)loop->state;
    int count = 0;

    while (state->next < state->count) {
        const struct epoll_event *event = &state->events[state->next++];
        vts_socket *socket = (vts_socket *)event->data.ptr;
        uint32_t events = event->events;
        if (socket == NULL) continue;
        if ((events & (both | EPOLLRDHUP | EPOLLPRI)) != 0) {
            socket->traits &= (uint8_t)~VTS__HINTS;
        }
        vts__socket_event(loop, socket, (events & receives) != 0,
                          (events & (both | EPOLLOUT)) != 0);
        count++;
    }
    return count;
}

/* When it has to wait for the first time; for both directions and for good. */
static int vts__epoll_arm(vts_socket *socket, unsigned direction)
{
    const vts__epoll *state = (const vts__epoll *)socket->loop->state;
    struct epoll_event event;
    int error;

    (void)direction;
    if ((socket->traits & VTS__ATTACHED) != 0) return 0;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
    event.data.ptr = socket;
    error = vts__sys_epoll_ctl(state->poller, EPOLL_CTL_ADD, socket->descriptor, &event);
    if (error == 0) socket->traits |= VTS__ATTACHED;
    return error;
}

/* Closing the descriptor is not enough where a child has it too; and what is in the batch
   already is struck out. */
static void vts__epoll_detach(vts_socket *socket)
{
    vts__epoll *state = (vts__epoll *)socket->loop->state;
    struct epoll_event event;

    if ((socket->traits & VTS__ATTACHED) == 0) return;
    memset(&event, 0, sizeof event);
    vts__sys_epoll_ctl(state->poller, EPOLL_CTL_DEL, socket->descriptor, &event);
    for (int i = state->next; i < state->count; i++) {
        if (state->events[i].data.ptr == socket) state->events[i].data.ptr = NULL;
    }
}

static const vts__poller vts__epoll_poller = {
    VTS_POLLER_EPOLL, "epoll",           vts__epoll_open, vts__epoll_close,
    vts__epoll_park,  vts__epoll_wake,   vts__epoll_dispatch,
    vts__epoll_arm,   NULL,              vts__epoll_detach};
#define VTS__EPOLL_POLLER &vts__epoll_poller

#else
#define VTS__EPOLL_POLLER NULL
#endif

// ---- poll ----
// For systems that have nothing else: every pass costs a step per waiting socket.

typedef struct vts__polling {
    int wake[2];            /* a pipe                                                   */
    struct pollfd *items;   /* [0] is the pipe's; one nobody waits for has ~descriptor  */
    vts_socket **sockets;   /* beside them; NULL: left, to be filled                    */
    uint32_t *places;       /* in items, by descriptor; 0: none                         */
    size_t capacity, count, places_count;
    size_t next, polled;    /* of the items, in the present dispatch                    */
    bool holes;
} vts__polling;

/* A larger array with the same beginning; NULL, and the old one stays. */
static void *vts__poller_grow(vts_socket_loop *loop, void *memory, size_t size, size_t larger)
{
    void *grown = vts__poller_memory(loop, larger);

    if (grown == NULL) return NULL;
    if (memory != NULL) memcpy(grown, memory, size);
    vts__poller_free(loop, memory, size);
    return grown;
}

static void vts__polling_close(vts_socket_loop *loop)
{
    vts__polling *state = (vts__polling *)loop->state;

    for (int end = 0; end < 2; end++) {
        if (state->wake[end] >= 0) vts__sys_close(state->wake[end]);
    }
    vts__poller_free(loop, state->items, state->capacity * sizeof *state->items);
    vts__poller_free(loop, state->sockets, state->capacity * sizeof *state->sockets);
    vts__poller_free(loop, state->places, state->places_count * sizeof *state->places);
    vts__poller_free(loop, state, sizeof *state);
    loop->state = NULL;
}

/* Room for one more item. */
static int vts__polling_make_room(vts_socket_loop *loop)
{
    vts__polling *state = (vts__polling *)loop->state;
    size_t old = state->capacity, capacity = old != 0 ? old * 2 : 16;
    struct pollfd *items;
    vts_socket **sockets;

    if (state->count < old) return 0;
    sockets = (vts_socket **)vts__poller_memory(loop, capacity * sizeof *sockets);
    if (sockets == NULL) return -ENOMEM;
    items = (struct pollfd *)vts__poller_grow(loop, state->items, old * sizeof *items,
                                              capacity * sizeof *items);
    if (items == NULL) {
        vts__poller_free(loop, sockets, capacity * sizeof *sockets);
        return -ENOMEM;
    }
    if (old != 0) memcpy(sockets, state->sockets, old * sizeof *sockets);
    vts__poller_free(loop, state->sockets, old * sizeof *sockets);
    state->items = items;
    state->sockets = sockets;
    state->capacity = capacity;
    return 0;
}

static int vts__polling_open(vts_socket_loop *loop)
{
    vts__polling *state = (vts__polling *)vts__poller_memory(loop, sizeof *state);
    int error;

    if (state == NULL) return VTS_E_MEMORY;
    loop->state = state;
    error = vts__sys_pipe(state->wake);
    if (error < 0) state->wake[0] = state->wake[1] = -1;
    else error = vts__polling_make_room(loop);
    if (error < 0) {
        vts__polling_close(loop);
        return error == -ENOMEM ? VTS_E_MEMORY : error;
    }
    state->items[0].fd = state->wake[0];
    state->items[0].events = POLLIN;
    state->count = 1;
    return VTS_OK;
}

/* The place of a descriptor, which may be new. NULL: no memory. */
static uint32_t *vts__polling_place(vts_socket_loop *loop, int descriptor)
{
    vts__polling *state = (vts__polling *)loop->state;
    size_t old = state->places_count, count = old != 0 ? old : 64;
    uint32_t *places;

    if ((size_t)descriptor < old) return &state->places[descriptor];
    while (count <= (size_t)descriptor) count *= 2;
    places = (uint32_t *)vts__poller_grow(loop, state->places, old * sizeof *places,
                                          count * sizeof *places);
    if (places == NULL) return NULL;
    state->places = places;
    state->places_count = count;
    return &places[descriptor];
}

/* Urgent data only where they are asked for: nobody else would take them, and each poll
   would tell of them. */
static int vts__polling_events(const vts_socket *socket, unsigned direction)
{
    const vts__operation *last = socket->last[direction];

    if (direction == VTS__SENDS) return POLLOUT;
    return (last->next->io.flags & VTS_SOCKET_OOB) != 0 ? POLLIN | POLLPRI : POLLIN;
}

static int vts__polling_arm(vts_socket *socket, unsigned direction)
{
    vts__polling *state = (vts__polling *)socket->loop->state;
    uint32_t *place = vts__polling_place(socket->loop, socket->descriptor);
    struct pollfd *item;
    int error;

    if (place == NULL) return -ENOMEM;
    if (*place == 0) {
        error = vts__polling_make_room(socket->loop);
        if (error < 0) return error;
        *place = (uint32_t)state->count++;
        state->items[*place].events = 0;
        state->items[*place].revents = 0;
        state->sockets[*place] = socket;
    }
    item = &state->items[*place];
    item->fd = socket->descriptor;
    item->events = (short)(item->events | vts__polling_events(socket, direction));
    return 0;
}

static void vts__polling_detach(vts_socket *socket)
{
    vts__polling *state = (vts__polling *)socket->loop->state;
    size_t descriptor = (size_t)socket->descriptor;
    uint32_t place = descriptor < state->places_count ? state->places[descriptor] : 0;

    if (place == 0) return;
    state->places[descriptor] = 0;
    state->sockets[place] = NULL;
    state->items[place].fd = -1;
    state->holes = true;
}

/* Fills each hole with the last item. */
static void vts__polling_compact(vts__polling *state)
{
    size_t i = 1;

    while (state->holes && i < state->count) {
        size_t last = state->count - 1;
        if (state->sockets[i] != NULL) {
            i++;
            continue;
        }
        state->items[i] = state->items[last];
        state->sockets[i] = state->sockets[last];
        if (state->sockets[i] != NULL) {
            state->places[state->sockets[i]->descriptor] = (uint32_t)i;
        }
        state->count--;
    }
    state->holes = false;
}

static void vts__polling_park(void *user, vts_time deadline)
{
    vts__polling *state = (vts__polling *)((vts_socket_loop *)user)->state;
    vts_time left = vts__time_left(deadline);
    int milliseconds = -1, found;

    if (left != VTS_NEVER) {
        if (left > VTS_SECONDS(3600)) left = VTS_SECONDS(3600);
        milliseconds = (int)((left + 999999u) / 1000000u);
    }
    vts__polling_compact(state);
    found = vts__sys_poll(state->items, (nfds_t)state->count, milliseconds);
    state->next = 1;
    state->polled = found > 0 ? state->count : 0;
    if (found > 0 && state->items[0].revents != 0) {
        char drained[64];
        vts__sys_read(state->wake[0], drained, sizeof drained);
    }
}

static void vts__polling_wake(void *user)
{
    const vts__polling *state = (const vts__polling *)((vts_socket_loop *)user)->state;
    vts__sys_write(state->wake[1], "", 1);
}

/* Whoever still waits after an event arms again. */
static int vts__polling_dispatch(void *user)
{
    const short both = POLLHUP | POLLERR | POLLNVAL;
    vts_socket_loop *loop = (vts_socket_loop *)user;
    vts__polling *state = (vts__polling *)loop->state;
    int count = 0;

    while (state->next < state->polled) {
        size_t i = state->next++;
        struct pollfd *item = &state->items[i];
        short events = item->revents;
        if (state->sockets[i] == NULL || events == 0) continue;
        item->revents = 0;
        item->events = (short)((events & both) != 0 ? 0 : item->events & ~events);
        if (item->events == 0) item->fd = ~item->fd;
        vts__socket_event(loop, state->sockets[i],
                          (events & (both | POLLIN | POLLPRI)) != 0,
                          (events & (both | POLLOUT)) != 0);
        count++;
    }
    return count;
}

static const vts__poller vts__polling_poller = {
    VTS_POLLER_POLL,   "poll",            vts__polling_open, vts__polling_close,
    vts__polling_park, vts__polling_wake, vts__polling_dispatch,
    vts__polling_arm,  NULL,              vts__polling_detach};

#if VTS__SOCKET_URING

// ---- io_uring ----
// The oldest operation of each direction is the kernel's: BUSY from arm to its only
// completion. What the kernel does not do as well as a try does, it only waits for. Each
// has a place in a table, which its completion names: so another thread that runs the loop
// can start all of it again, in a ring of its own.

#ifndef VTS__URING_ENTRIES
#define VTS__URING_ENTRIES 1024u /* handed over at a time; 16 times as many come back   */
#endif
#define VTS__URING_NEEDS (IORING_FEAT_EXT_ARG | IORING_FEAT_LINKED_FILE) /* Linux 5.19  */

/* What a completion carries: a place, or one of these. */
#define VTS__URING_NONE UINT32_MAX
#define VTS__URING_NOBODY (VTS__URING_NONE - 1) /* of a cancellation                   */
#define VTS__URING_WAKE (VTS__URING_NONE - 2)

/* What recvmsg and sendmsg read and write until they are through. */
typedef struct vts__uring_message {
    struct msghdr header;
    vts_buffer piece;
    void *more; /* of the operation, whose own leads here meanwhile                   */
    struct vts__uring_message *next;
} vts__uring_message;

/* While its operation is BUSY, and its result the number of the place. */
typedef struct vts__uring_place {
    vts__operation *operation; /* NULL: free                                          */
    int32_t moved;             /* what came back, if it is in the list                */
    uint32_t next;             /* in the list, or of the free ones                    */
    bool polled;               /* the kernel only waits                               */
    bool done;                 /* in the list                                         */
    bool more;                 /* and there is something left to receive              */
} vts__uring_place;

/* A completion is served as it is found, except where another one is looked for: those
   before it are taken to a list first. */
typedef struct vts__uring {
    struct io_uring ring;
    vts_word owner; /* the only thread that the kernel lets in; 0: none yet           */
    int wake;
    bool awaits_wake;
    bool cancels_again; /* of a cancellation nothing came                             */
    uint32_t first, last; /* of the list                                              */
    uint32_t free, count; /* of the places: the first free one, and all               */
    vts__uring_place *places;
    vts__uring_message *messages; /* not in use                                       */
} vts__uring;

static vts__uring *vts__uring_of(const vts_socket_loop *loop)
{
    return (vts__uring *)loop->state;
}

static void vts__uring_close(vts_socket_loop *loop)
{
    vts__uring *state = vts__uring_of(loop);
    vts__uring_message *message;

    io_uring_queue_exit(&state->ring);
    if (state->wake >= 0) vts__sys_close(state->wake);
    while ((message = state->messages) != NULL) {
        state->messages = message->next;
        vts__poller_free(loop, message, sizeof *message);
    }
    vts__poller_free(loop, state->places, state->count * sizeof *state->places);
    vts__poller_free(loop, state, sizeof *state);
    loop->state = NULL;
}

/* Completions wait for the thread that looks for them, where the kernel can do that (Linux
   6.1): a ring that is not enabled yet has no thread. */
static int vts__uring_setup(struct io_uring *ring)
{
    static const unsigned modes[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN};
    struct io_uring_params params;
    int error = -EINVAL;

    for (size_t mode = 0; mode < 2 && error == -EINVAL; mode++) {
        memset(&params, 0, sizeof params);
        params.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE |
                       IORING_SETUP_SUBMIT_ALL | modes[mode];
        params.cq_entries = VTS__URING_ENTRIES * 16;
        error = io_uring_queue_init_params(VTS__URING_ENTRIES, ring, &params);
    }
    if (error < 0) return error;
    if ((ring->features & VTS__URING_NEEDS) == VTS__URING_NEEDS) return 0;
    io_uring_queue_exit(ring);
    return -ENOSYS;
}

static int vts__uring_open(vts_socket_loop *loop)
{
    vts__uring *state = (vts__uring *)vts__poller_memory(loop, sizeof *state);
    int error;

    if (state == NULL) return VTS_E_MEMORY;
    loop->state = state;
    state->first = VTS__URING_NONE;
    error = vts__uring_setup(&state->ring);
    if (error < 0) {
        vts__poller_free(loop, state, sizeof *state);
        loop->state = NULL;
        return error;
    }
    state->wake = vts__sys_eventfd();
    if (state->wake >= 0) return 0;
    error = state->wake;
    vts__uring_close(loop);
    return error;
}

// ---- what is handed over ----

/* What is no operation's: the wake, or a cancellation that came to nothing. */
static VTS__INLINE void vts__uring_hears(vts__uring *state, uint32_t at, unsigned flags)
{
    if (at == VTS__URING_WAKE) state->awaits_wake = (flags & IORING_CQE_F_MORE) != 0;
    if (at == VTS__URING_NOBODY) state->cancels_again = true;
}

/* What came back, to the list: the ring has room again. */
static void vts__uring_take(vts__uring *state)
{
    struct io_uring_cqe *event;
    unsigned head, count = 0;

    io_uring_for_each_cqe (&state->ring, head, event) {
        uint32_t at = (uint32_t)event->user_data;
        count++;
        vts__uring_hears(state, at, event->flags);
        if (at >= state->count) continue;
        state->places[at].moved = event->res;
        state->places[at].more = (event->flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
        state->places[at].done = true;
        state->places[at].next = VTS__URING_NONE;
        if (state->first == VTS__URING_NONE) state->first = at;
        else state->places[state->last].next = at;
        state->last = at;
    }
    io_uring_cq_advance(&state->ring, count);
}

/* A free entry. Where there is none the kernel takes what is there, and what that
   completes is taken from it; without memory it does so later. */
static struct io_uring_sqe *vts__uring_entry(vts__uring *state)
{
    struct io_uring_sqe *entry;

    while ((entry = io_uring_get_sqe(&state->ring)) == NULL) {
        if (io_uring_submit(&state->ring) < 0) vts__sys_poll(NULL, 0, 1);
        vts__uring_take(state);
    }
    return entry;
}

static bool vts__uring_make_room(vts_socket_loop *loop)
{
    vts__uring *state = vts__uring_of(loop);
    uint32_t old = state->count, count = old != 0 ? old * 2 : 64;
    vts__uring_place *places;

    if (state->free < old) return true;
    places = (vts__uring_place *)vts__poller_grow(loop, state->places, old * sizeof *places,
                                                  count * sizeof *places);
    if (places == NULL) return false;
    for (uint32_t i = old; i < count; i++) places[i].next = i + 1;
    state->places = places;
    state->count = count;
    return true;
}

static void vts__uring_message_begins(vts__uring_message *message, const vts__io *io)
{
    struct msghdr *header = &message->header;
    vts_address *address = (vts_address *)io->more;

    switch (io->kind) {
    case VTS__RECV_MSG:
        vts__message_receives(header, (const vts_message *)io->buffer);
        return;
    case VTS__SEND_MSG:
        vts__message_sends(header, (const vts_message *)io->buffer);
        return;
    case VTS__RECV_VECTOR:
    case VTS__SEND_VECTOR:
        vts__message(header, (const vts_buffer *)io->buffer, io->length);
        return;
    default:
        message->piece.data = io->buffer;
        message->piece.size = io->length;
        vts__message(header, &message->piece, 1);
        header->msg_name = address->as.bytes;
        header->msg_namelen = io->kind == VTS__SEND_TO ? address->size : sizeof address->as;
    }
}

static int vts__uring_message_moved(const vts__io *io, const struct msghdr *header, int moved)
{
    switch (io->kind) {
    case VTS__RECV_FROM:
        ((vts_address *)io->more)->size = (uint32_t)header->msg_namelen;
        return vts__received(io, moved);
    case VTS__RECV_VECTOR: return (header->msg_flags & MSG_TRUNC) != 0 ? -EMSGSIZE : moved;
    case VTS__RECV_MSG: vts__message_received((vts_message *)io->buffer, header); return moved;
    default: return moved;
    }
}

/* What recvmsg or sendmsg of this operation needs; false: no memory. */
static bool vts__uring_make_message(vts_socket_loop *loop, vts__io *io)
{
    vts__uring *state = vts__uring_of(loop);
    vts__uring_message *message = state->messages;

    if (message != NULL) state->messages = message->next;
    else message = (vts__uring_message *)vts__poller_memory(loop, sizeof *message);
    if (message == NULL) return false;
    vts__uring_message_begins(message, io);
    message->more = io->more;
    io->more = message;
    return true;
}

static int vts__uring_message_ends(vts__uring *state, vts__io *io, int moved)
{
    vts__uring_message *message = (vts__uring_message *)io->more;

    io->more = message->more;
    message->next = state->messages;
    state->messages = message;
    return moved >= 0 ? vts__uring_message_moved(io, &message->header, moved) : moved;
}

static bool vts__uring_is_message(const vts__io *io)
{
    return (io->kind >= VTS__RECV_FROM && io->kind <= VTS__RECV_MSG) ||
           (io->kind >= VTS__SEND_TO && io->kind <= VTS__SEND_MSG);
}

/* Does the kernel more than wait for it? Not where a try knows better what EAGAIN means. */
static bool vts__uring_does(const vts_socket *socket, const vts__io *io)
{
    if ((io->flags & VTS_SOCKET_OOB) != 0) return false;
    if (io->kind >= VTS__SEND_TO && socket->family == VTS_UNIX) return false;
    return io->kind == VTS__RECV || io->kind == VTS__ACCEPT || io->kind == VTS__SEND ||
           io->kind == VTS__SEND_ALL || vts__uring_is_message(io);
}

static void vts__uring_prepare_accept(struct io_uring_sqe *entry, int descriptor,
                                      vts_address *from)
{
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;

    if (from == NULL) {
        io_uring_prep_accept(entry, descriptor, NULL, NULL, flags);
        return;
    }
    from->size = sizeof from->as;
    io_uring_prep_accept(entry, descriptor, (struct sockaddr *)(void *)from->as.bytes,
                         (socklen_t *)&from->size, flags);
}

/* POLLPRI alone is nothing that io_uring wakes for. */
static void vts__uring_prepare_poll(struct io_uring_sqe *entry, int descriptor,
                                    const vts__io *io)
{
    unsigned events = vts__direction(io) == VTS__SENDS ? POLLOUT : POLLIN;
    bool urgent = (io->flags & VTS_SOCKET_OOB) != 0;

    if (events == POLLIN && urgent) events = POLLPRI | POLLRDBAND;
    io_uring_prep_poll_add(entry, descriptor, events);
}

static int vts__uring_flags(const vts_socket *socket, const vts__io *io)
{
    int flags = vts__message_flags(io->flags);

    if (vts__direction(io) == VTS__SENDS) return vts__send_flags(io->flags);
    if (io->kind == VTS__RECV_VECTOR) return flags;
    if (io->kind == VTS__RECV_MSG) return flags | VTS__MSG_CMSG_CLOEXEC;
    return flags | vts__datagram_flags(socket);
}

/* A receive finds nothing at once: the try before did not either. */
static void vts__uring_prepare_move(struct io_uring_sqe *entry, const vts_socket *socket,
                                    const vts__io *io)
{
    bool receives = vts__direction(io) == VTS__RECEIVES;

    if (vts__uring_is_message(io)) {
        vts__uring_message *message = (vts__uring_message *)io->more;
        io_uring_prep_rw(receives ? IORING_OP_RECVMSG : IORING_OP_SENDMSG, entry,
                         socket->descriptor, &message->header, 1, 0);
    } else {
        io_uring_prep_rw(receives ? IORING_OP_RECV : IORING_OP_SEND, entry,
                         socket->descriptor, (char *)io->buffer + io->done,
                         io->length - io->done, 0);
    }
    entry->msg_flags = (unsigned)vts__uring_flags(socket, io);
    if (receives) entry->ioprio = IORING_RECVSEND_POLL_FIRST;
}

static vts_socket *vts__uring_socket(vts__operation *operation)
{
    if ((operation->io.state & VTS__POOLED) != 0) {
        return vts__request_of(operation)->socket;
    }
    operation -= vts__direction(&operation->io);
    return vts__container_of(operation, vts_socket, first);
}

/* One that is to be canceled fails: where this is another ring, there is nothing to cancel
   any more. */
static void vts__uring_prepare(vts__uring *state, uint32_t at)
{
    struct io_uring_sqe *entry = vts__uring_entry(state);
    const vts__uring_place *place = &state->places[at];
    const vts__io *io = &place->operation->io;
    const vts_socket *socket = vts__uring_socket(place->operation);

    if ((io->state & VTS__CANCELS) != 0) {
        io_uring_prep_poll_add(entry, -1, POLLIN);
    } else if (place->polled) {
        vts__uring_prepare_poll(entry, socket->descriptor, io);
    } else if (io->kind == VTS__ACCEPT) {
        vts__uring_prepare_accept(entry, socket->descriptor, (vts_address *)io->more);
    } else {
        vts__uring_prepare_move(entry, socket, io);
    }
    io_uring_sqe_set_data64(entry, at);
}

// ---- whose ring it is ----

/* A number that no other thread ever has: the memory of one that has ended is the next
   one's, and the kernel tells them apart. */
static vts_word vts__uring_thread(void)
{
    static vts_word last;
    static VTS__THREAD_LOCAL vts_word own;

    if (own == 0) own = vts__add_acq_rel(&last, 1) + 1;
    return own;
}

static void vts__uring_enable(vts__uring *state)
{
    syscall(SYS_io_uring_register, state->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
            0);
    state->owner = vts__uring_thread();
}

/* With the ring of another thread, its operations are given back undone: they start again,
   in one of this thread. */
static int vts__uring_take_over(vts__uring *state)
{
    struct io_uring ring;
    int error = vts__uring_setup(&ring);

    if (error < 0) return error;
    vts__uring_take(state);
    io_uring_queue_exit(&state->ring);
    state->ring = ring;
    state->awaits_wake = false;
    vts__uring_enable(state);
    for (uint32_t at = 0; at < state->count; at++) {
        if (state->places[at].operation == NULL || state->places[at].done) continue;
        vts__uring_prepare(state, at);
    }
    return 0;
}

static VTS__INLINE int vts__uring_own(vts__uring *state)
{
    if (state->owner == vts__uring_thread()) return 0;
    if (state->owner != 0) return vts__uring_take_over(state);
    vts__uring_enable(state);
    return 0;
}

// ---- what the core asks for ----

/* The oldest operation; polled: only waited for. */
static int vts__uring_start(vts_socket *socket, unsigned direction, bool polled)
{
    vts__operation *oldest = socket->last[direction]->next;
    vts__uring *state = vts__uring_of(socket->loop);
    vts__io *io = &oldest->io;
    vts__uring_place *place;
    int error = vts__uring_own(state);

    if (error < 0) return error;
    if (!vts__uring_make_room(socket->loop)) return -ENOMEM;
    if (!polled && vts__uring_is_message(io)) {
        polled = !vts__uring_make_message(socket->loop, io);
    }
    io->result = (int32_t)state->free;
    io->state |= VTS__BUSY;
    place = &state->places[state->free];
    state->free = place->next;
    place->operation = oldest;
    place->polled = polled;
    place->done = false;
    vts__uring_prepare(state, (uint32_t)io->result);
    return 0;
}

static int vts__uring_arm(vts_socket *socket, unsigned direction)
{
    const vts__io *io = &socket->last[direction]->next->io;
    return vts__uring_start(socket, direction, !vts__uring_does(socket, io));
}

static void vts__uring_prepare_cancel(vts__uring *state, uint32_t at)
{
    struct io_uring_sqe *entry = vts__uring_entry(state);

    io_uring_prep_cancel64(entry, at, 0);
    io_uring_sqe_set_data64(entry, VTS__URING_NOBODY);
    io_uring_sqe_set_flags(entry, IOSQE_CQE_SKIP_SUCCESS);
}

/* As canceled, when the kernel has given it back and nothing came of it. */
static void vts__uring_cancel(vts_socket *socket, vts__operation *operation)
{
    vts__uring *state = vts__uring_of(socket->loop);

    if (state->owner != vts__uring_thread()) return; /* see prepare */
    vts__uring_prepare_cancel(state, (uint32_t)operation->io.result);
}

/* The kernel does not find an operation that it is about to try again: asked once more,
   it does. */
static void vts__uring_cancel_again(vts__uring *state)
{
    state->cancels_again = false;
    for (uint32_t at = 0; at < state->count; at++) {
        const vts__uring_place *place = &state->places[at];
        if (place->operation == NULL || place->done) continue;
        if ((place->operation->io.state & VTS__CANCELS) == 0) continue;
        vts__uring_prepare_cancel(state, at);
    }
}

// ---- what comes back ----

static int vts__uring_accepted(const vts__io *io, int moved)
{
    vts_address *from = (vts_address *)io->more;

    if (moved < 0 && from != NULL) from->size = 0;
    if (moved < 0 && vts__is_passing(-moved)) return VTS__AGAIN;
    return vts__accepted(moved);
}

/* Of what the kernel did: as from a try. */
static int vts__uring_result(vts__uring *state, vts__io *io, int moved)
{
    if (vts__uring_is_message(io)) return vts__uring_message_ends(state, io, moved);
    if (io->kind == VTS__ACCEPT) return vts__uring_accepted(io, moved);
    if (moved < 0) return moved;
    if (io->kind == VTS__RECV) return vts__received(io, moved);
    if (io->kind != VTS__SEND_ALL) return moved;
    io->done += (uint32_t)moved;
    return io->done < io->length ? VTS__AGAIN : (int)io->done;
}

static void vts__uring_leave(vts__uring *state, uint32_t at)
{
    state->places[at].next = state->free;
    state->free = at;
}

/* How an operation ended that is not BUSY any more: not at all, if it waits on. *canceled:
   it was to end, and did nothing before it did. */
static int vts__uring_ends(vts_socket_loop *loop, vts__operation *operation, bool *canceled)
{
    vts__uring *state = vts__uring_of(loop);
    uint32_t at = (uint32_t)operation->io.result;
    vts__uring_place *place = &state->places[at];
    vts__io *io = &operation->io;
    int moved = place->moved, result = moved < 0 ? moved : VTS__AGAIN;

    if (!place->polled) result = vts__uring_result(state, io, moved);
    if (result == -ECANCELED || result == -EINTR) result = VTS__AGAIN;
    *canceled = result < 0 && (io->state & VTS__CANCELS) != 0;
    if (*canceled) result = (io->state & VTS__LATE) != 0 ? -ETIMEDOUT : -ECANCELED;
    io->state &= (uint8_t)~(VTS__BUSY | VTS__CANCELS | VTS__LATE);
    place->operation = NULL;
    if (!place->done) vts__uring_leave(state, at);
    return result;
}

/* The oldest of its direction. What the kernel refuses to wait for, as old ones do for an
   accept, it polls for. What is sent is not tried without need: handed over with
   everything else it costs less. */
static void vts__uring_serve(vts_socket_loop *loop, const vts__uring_place *place)
{
    vts__operation *operation = place->operation;
    vts_socket *socket = vts__uring_socket(operation);
    unsigned direction = vts__direction(&operation->io);
    bool refused = !place->polled && place->moved == -EAGAIN;
    int result;
    bool polled = place->polled, more = place->more, canceled;

    loop->events++;
    result = vts__uring_ends(loop, operation, &canceled);
    if (canceled) {
        vts__waiter_cancel(socket, operation, result);
        return;
    }
    if (refused && vts__uring_start(socket, direction, true) == 0) return;
    loop->turns = VTS__SOCKET_TURNS;
    loop->current = socket;
    socket->ready[direction] = polled || more;
    if (polled && vts__waits(result)) result = vts__try(socket, &operation->io);
    if (vts__served(socket, direction, operation, result)) vts__serve(socket, direction);
    if (loop->current == socket) socket->ready[VTS__SENDS] = false;
    loop->current = NULL;
}

static VTS__INLINE void vts__uring_complete(vts_socket_loop *loop, uint32_t at, int moved,
                                            unsigned flags)
{
    vts__uring *state = vts__uring_of(loop);
    vts__uring_place *place;

    vts__uring_hears(state, at, flags);
    if (at >= state->count) return;
    place = &state->places[at];
    place->moved = moved;
    place->more = (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
    vts__uring_serve(loop, place);
}

/* The first of the list; false: there is none. */
static bool vts__uring_serve_list(vts_socket_loop *loop)
{
    vts__uring *state = vts__uring_of(loop);
    uint32_t at = state->first;
    vts__uring_place *place;

    if (at == VTS__URING_NONE) return false;
    place = &state->places[at];
    state->first = place->next;
    place->done = false;
    if (place->operation == NULL) vts__uring_leave(state, at);
    else vts__uring_serve(loop, place);
    return true;
}

/* What is in the list came before what is in the ring; what that had no room for, after. */
static int vts__uring_dispatch(void *user)
{
    vts_socket_loop *loop = (vts_socket_loop *)user;
    vts__uring *state = vts__uring_of(loop);
    uint64_t before = loop->events;
    struct io_uring_cqe *event;

    while (loop->events - before < VTS__URING_ENTRIES * 16) {
        if (vts__uring_serve_list(loop)) continue;
        if (io_uring_cq_ready(&state->ring) == 0) {
            if (!io_uring_cq_has_overflow(&state->ring)) break;
            io_uring_get_events(&state->ring);
        } else if (io_uring_peek_cqe(&state->ring, &event) == 0) {
            uint32_t at = (uint32_t)event->user_data;
            int moved = event->res;
            unsigned flags = event->flags;
            io_uring_cq_advance(&state->ring, 1);
            vts__uring_complete(loop, at, moved, flags);
        }
    }
    return (int)(loop->events - before);
}

/* Until the kernel has given it back. FINISHED: it came to something. */
static void vts__uring_await(vts_socket_loop *loop, vts__operation *operation)
{
    vts__uring *state = vts__uring_of(loop);
    const vts__uring_place *place = &state->places[operation->io.result];
    bool canceled;
    int result;

    while (!place->done) {
        vts__uring_prepare_cancel(state, (uint32_t)operation->io.result);
        io_uring_submit_and_wait(&state->ring, 1);
        vts__uring_take(state);
    }
    result = vts__uring_ends(loop, operation, &canceled);
    if (canceled || vts__waits(result)) return;
    operation->io.result = result;
    operation->io.state |= VTS__FINISHED;
}

static bool vts__uring_has(const vts__operation *last)
{
    return last != NULL && (last->next->io.state & VTS__BUSY) != 0;
}

/* The kernel gives back what it has: its buffers may go, and an entry that names the
   descriptor is not handed over when that is somebody else's. */
static void vts__uring_detach(vts_socket *socket)
{
    vts_socket_loop *loop = socket->loop;
    vts__uring *state = vts__uring_of(loop);

    if (!vts__uring_has(socket->last[0]) && !vts__uring_has(socket->last[1])) return;
    while (vts__uring_own(state) < 0) vts__sys_poll(NULL, 0, 10);
    for (unsigned direction = 0; direction < 2; direction++) {
        vts__operation *last = socket->last[direction];
        if (vts__uring_has(last)) vts__uring_await(loop, last->next);
    }
}

// ---- sleep ----

/* Each write to the eventfd completes it once more: nobody needs to read that. */
static void vts__uring_await_wake(vts__uring *state)
{
    struct io_uring_sqe *entry = vts__uring_entry(state);

    io_uring_prep_poll_multishot(entry, state->wake, POLLIN);
    io_uring_sqe_set_data64(entry, VTS__URING_WAKE);
    state->awaits_wake = true;
}

static void vts__uring_park(void *user, vts_time deadline)
{
    vts__uring *state = vts__uring_of((vts_socket_loop *)user);
    vts_time left = vts__time_left(deadline);
    struct __kernel_timespec timeout;
    struct io_uring_cqe *first;

    if (vts__uring_own(state) < 0) {
        vts__sys_poll(NULL, 0, 10);
        return;
    }
    if (!state->awaits_wake) vts__uring_await_wake(state);
    if (state->cancels_again) vts__uring_cancel_again(state);
    if (left == 0 || state->first != VTS__URING_NONE) {
        io_uring_submit_and_get_events(&state->ring);
        return;
    }
    timeout.tv_sec = (int64_t)(left / VTS_SECONDS(1));
    timeout.tv_nsec = (long long)(left % VTS_SECONDS(1));
    io_uring_submit_and_wait_timeout(&state->ring, &first, 1,
                                     left != VTS_NEVER ? &timeout : NULL, NULL);
}

static void vts__uring_wake(void *user)
{
    uint64_t one = 1;
    vts__sys_write(vts__uring_of((const vts_socket_loop *)user)->wake, &one, sizeof one);
}

static const vts__poller vts__uring_poller = {
    VTS_POLLER_URING, "io_uring",        vts__uring_open, vts__uring_close,
    vts__uring_park,  vts__uring_wake,   vts__uring_dispatch,
    vts__uring_arm,   vts__uring_cancel, vts__uring_detach};
#define VTS__URING_POLLER &vts__uring_poller

#else
#define VTS__URING_POLLER NULL
#endif

#if VTS__SOCKET_KQUEUE

// ---- kqueue, edge-triggered ----
// Compiled, not run.

typedef struct vts__kqueue {
    int poller;
    int wake[2];     /* a pipe                                                        */
    int next, count; /* of events: not served yet, and all                            */
    struct kevent events[VTS__SOCKET_BATCH];
} vts__kqueue;

static void vts__kqueue_close(vts_socket_loop *loop)
{
    vts__kqueue *state = (vts__kqueue *)loop->state;

    for (int end = 0; end < 2; end++) {
        if (state->wake[end] >= 0) vts__sys_close(state->wake[end]);
    }
    if (state->poller >= 0) vts__sys_close(state->poller);
    vts__poller_free(loop, state, sizeof *state);
    loop->state = NULL;
}

static int vts__kqueue_open(vts_socket_loop *loop)
{
    vts__kqueue *state = (vts__kqueue *)vts__poller_memory(loop, sizeof *state);
    struct kevent change;
    int error;

    if (state == NULL) return VTS_E_MEMORY;
    loop->state = state;
    state->wake[0] = state->wake[1] = -1;
    error = state->poller = vts__sys_kqueue();
    if (error >= 0) error = vts__sys_pipe(state->wake);
    if (error >= 0) {
        EV_SET(&change, (unsigned)state->wake[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, NULL);
        error = vts__sys_kevent_change(state->poller, &change, 1);
    }
    if (error >= 0) return VTS_OK;
    vts__kqueue_close(loop);
    return error;
}

static void vts__kqueue_park(void *user, vts_time deadline)
{
    vts__kqueue *state = (vts__kqueue *)((vts_socket_loop *)user)->state;
    int count = vts__sys_kevent_wait(state->poller, state->events, VTS__SOCKET_BATCH,
                                     vts__time_left(deadline));

    state->next = 0;
    state->count = count > 0 ? count : 0;
}

static void vts__kqueue_wake(void *user)
{
    const vts__kqueue *state = (const vts__kqueue *)((vts_socket_loop *)user)->state;
    vts__sys_write(state->wake[1], "", 1);
}

static void vts__kqueue_is_awake(const vts__kqueue *state)
{
    char drained[64];
    while (vts__sys_read(state->wake[0], drained, sizeof drained) > 0) {}
}

/* An end, like an error, comes once: from then on a short read says nothing. */
static int vts__kqueue_dispatch(void *user)
{
    vts_socket_loop *loop = (vts_socket_loop *)user;
    vts__kqueue *state = (vts__kqueue *)loop->state;
    int count = 0;

    while (state->next < state->count) {
        const struct kevent *event = &state->events[state->next++];
        vts_socket *socket = (vts_socket *)event->udata;
        bool receives = event->filter == EVFILT_READ;
        if (event->ident == (uintptr_t)state->wake[0]) vts__kqueue_is_awake(state);
        if (socket == NULL) continue;
        if ((event->flags & (EV_EOF | EV_ERROR)) != 0) {
            socket->traits &= (uint8_t)~VTS__HINTS;
        }
        vts__socket_event(loop, socket, receives, !receives);
        count++;
    }
    return count;
}

/* When it has to wait for the first time; for both directions and for good. */
static int vts__kqueue_arm(vts_socket *socket, unsigned direction)
{
    const vts__kqueue *state = (const vts__kqueue *)socket->loop->state;
    unsigned descriptor = (unsigned)socket->descriptor;
    struct kevent changes[2];
    int error;

    (void)direction;
    if ((socket->traits & VTS__ATTACHED) != 0) return 0;
    EV_SET(&changes[0], descriptor, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, socket);
    EV_SET(&changes[1], descriptor, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, socket);
    error = vts__sys_kevent_change(state->poller, changes, 2);
    if (error >= 0) socket->traits |= VTS__ATTACHED;
    return error < 0 ? error : 0;
}

/* The queue forgets a descriptor that is closed; what is in the batch is struck out. */
static void vts__kqueue_detach(vts_socket *socket)
{
    vts__kqueue *state = (vts__kqueue *)socket->loop->state;

    for (int i = state->next; i < state->count; i++) {
        if (state->events[i].udata == socket) state->events[i].udata = NULL;
    }
}

static const vts__poller vts__kqueue_poller = {
    VTS_POLLER_KQUEUE, "kqueue",         vts__kqueue_open, vts__kqueue_close,
    vts__kqueue_park,  vts__kqueue_wake, vts__kqueue_dispatch,
    vts__kqueue_arm,   NULL,             vts__kqueue_detach};
#define VTS__KQUEUE_POLLER &vts__kqueue_poller

#else
#define VTS__KQUEUE_POLLER NULL
#endif


#if VTS__SOCKET_LINUX
#define VTS__DEFAULT_POLLER VTS__EPOLL_POLLER
#elif VTS__SOCKET_KQUEUE
#define VTS__DEFAULT_POLLER VTS__KQUEUE_POLLER
#else
#define VTS__DEFAULT_POLLER &vts__polling_poller
#endif

// ----------------------------------------------------------------------------------
// >>socketloop
// ----------------------------------------------------------------------------------

static const vts__poller *vts__poller_of(vts_socket_poller which)
{
    switch (which) {
    case VTS_POLLER_EPOLL: return VTS__EPOLL_POLLER;
    case VTS_POLLER_URING: return VTS__URING_POLLER;
    case VTS_POLLER_KQUEUE: return VTS__KQUEUE_POLLER;
    case VTS_POLLER_POLL: return &vts__polling_poller;
    default: return VTS__DEFAULT_POLLER;
    }
}

/* What was asked for, or what there is, and why. */
static int vts__poller_open(vts_socket_loop *loop, vts_socket_poller which)
{
    static const char *const names[] = {"", "epoll", "io_uring", "kqueue", "poll"};
    const vts__poller *other = vts__poller_of(VTS_POLLER_DEFAULT);
    int error = -ENOSYS;

    loop->poller = vts__poller_of(which);
    if (loop->poller != NULL) error = loop->poller->open(loop);
    if (error >= 0 || error == VTS_E_MEMORY || loop->poller == other) return error;
    snprintf(loop->note, sizeof loop->note, "%s: %s; %s instead", names[which],
             loop->poller != NULL ? strerror(-error) : "not built in", other->name);
    loop->poller = other;
    return loop->poller->open(loop);
}

/* From the caller's desc, what is his to say: the memory. */
static int vts__requests_init(vts_pool *pool, const vts_pool_desc *memory)
{
    vts_pool_desc desc = *memory;

    desc.item_size = sizeof(vts_socket_request);
    desc.source = true;
    desc.value_offset = desc.value_size = 0;
    desc.run_continuations_asynchronously = NULL;
    return vts_pool_init(pool, &desc);
}

static void vts__socket_loop_park(void *user, vts_time deadline)
{
    vts_socket_loop *loop = (vts_socket_loop *)user;

    loop->turns = VTS__SOCKET_TURNS;
    loop->poller->park(user, deadline);
}

static int vts__socket_loop_open(vts_socket_loop *loop, const vts_socket_loop_desc *desc)
{
    vts_loop_desc inner;
    int error = vts__requests_init(&loop->requests, &desc->requests);

    if (error != VTS_OK) return error;
    error = vts__poller_open(loop, desc->poller);
    if (error != VTS_OK) {
        vts_pool_destroy(&loop->requests);
        return error;
    }
    memset(&inner, 0, sizeof inner);
    inner.park = vts__socket_loop_park;
    inner.wake = loop->poller->wake;
    inner.dispatch = loop->poller->dispatch;
    inner.user = loop;
    inner.delays = desc->delays;
    error = vts_loop_init(&loop->loop, &inner);
    if (error == VTS_OK) return VTS_OK;
    loop->poller->close(loop);
    vts_pool_destroy(&loop->requests);
    return error;
}

VTS_API int vts_socket_loop_init(vts_socket_loop *loop, const vts_socket_loop_desc *desc)
{
    static const vts_socket_loop_desc defaults;
    const vts_allocator *allocator;
    int error;

    if (loop == NULL) return VTS_E_ARGUMENT;
    if (desc == NULL) desc = &defaults;
    if (desc->poller > VTS_POLLER_POLL) return VTS_E_ARGUMENT;
    allocator = desc->allocator != NULL ? desc->allocator : vts_allocator_default();
    memset(loop, 0, sizeof *loop);
    loop->allocator = *allocator;
    loop->turns = VTS__SOCKET_TURNS;
    error = vts__socket_loop_open(loop, desc);
    if (error != VTS_OK) loop->poller = NULL;
    return error;
}

VTS_API int vts_socket_loop_destroy(vts_socket_loop *loop)
{
    int error;

    if (loop == NULL) return VTS_E_ARGUMENT;
    if (loop->poller == NULL) return VTS_E_CLOSED;
    if (vts__load_acq(&loop->sockets) != 0) return VTS_E_BUSY;
    if (vts__load_acq(&loop->lookups) != 0) return VTS_E_BUSY;
    if (vts_pool_outstanding(&loop->requests) != 0) return VTS_E_BUSY;
    error = vts_loop_destroy(&loop->loop);
    if (error != VTS_OK) return error;
    vts_pool_destroy(&loop->requests);
    loop->poller->close(loop);
    loop->poller = NULL;
    return VTS_OK;
}

VTS_API vts_socket_poller vts_socket_loop_poller(const vts_socket_loop *loop)
{
    if (loop == NULL || loop->poller == NULL) return VTS_POLLER_DEFAULT;
    return loop->poller->which;
}

VTS_API const char *vts_socket_loop_note(const vts_socket_loop *loop)
{
    return loop != NULL ? loop->note : "";
}

VTS_API vts_socket_loop_statistics vts_socket_loop_get_statistics(
    const vts_socket_loop *loop)
{
    vts_socket_loop_statistics statistics;

    memset(&statistics, 0, sizeof statistics);
    if (loop == NULL || loop->poller == NULL) return statistics;
    statistics.sockets = vts__load_acq(&loop->sockets);
    statistics.requests = vts_pool_outstanding(&loop->requests);
    statistics.events = loop->events;
    statistics.backoffs = loop->backoffs;
    return statistics;
}

// ----------------------------------------------------------------------------------
// >>public
// ----------------------------------------------------------------------------------

VTS_API const char *vts_socket_strerror(int error)
{
    switch (error) {
    case VTS_E_END: return "the stream has ended";
    case VTS_E_HOST_NOT_FOUND: return "no such host";
    case VTS_E_TRY_AGAIN: return "the name server did not answer";
    case VTS_E_NO_RECOVERY: return "the name server failed";
    case VTS_E_NO_DATA: return "the name has no address";
    default: break;
    }
    return error < 0 && error > -10000 ? strerror(-error) : vts_strerror(error);
}

/* Open, and an address of its family. */
static int vts__socket_takes(const vts_socket *socket, const vts_address *address)
{
    if (socket == NULL || address == NULL) return VTS_E_ARGUMENT;
    if (!vts_socket_is_open(socket)) return VTS_E_CLOSED;
    return vts_address_family(address) == (vts_socket_family)socket->family
               ? VTS_OK
               : -EAFNOSUPPORT;
}

VTS_API int vts_socket_bind(vts_socket *socket, const vts_address *address)
{
    int error = vts__socket_takes(socket, address);

    if (error != VTS_OK) return error;
    return vts__sys_bind(socket->descriptor, address->as.bytes, address->size);
}

/* To listen without an address would be to listen everywhere. */
VTS_API int vts_socket_listen(vts_socket *socket, int backlog)
{
    vts_address address;
    int error = vts_socket_local_address(socket, &address);

    if (error != VTS_OK) return error;
    if (backlog < 0) return VTS_E_ARGUMENT;
    if (vts_address_family(&address) == VTS_UNIX
            ? address.size <= offsetof(struct sockaddr_un, sun_path)
            : vts_address_port(&address) == 0) {
        return -EDESTADDRREQ;
    }
    return vts__sys_listen(socket->descriptor, backlog != 0 ? backlog : SOMAXCONN);
}

typedef struct vts__option {
    int level, name;
} vts__option;

static const vts__option *vts__option_of(vts_socket_option option)
{
    static const vts__option options[] = {
        {IPPROTO_TCP, TCP_NODELAY},  {SOL_SOCKET, SO_KEEPALIVE},
        {SOL_SOCKET, SO_REUSEADDR},  {SOL_SOCKET, SO_REUSEPORT},
        {SOL_SOCKET, SO_BROADCAST},  {IPPROTO_IPV6, IPV6_V6ONLY},
        {SOL_SOCKET, SO_SNDBUF},     {SOL_SOCKET, SO_RCVBUF}};
    return (unsigned)option < sizeof options / sizeof options[0] ? &options[option] : NULL;
}

VTS_API int vts_socket_set_option(vts_socket *socket, vts_socket_option option, int value)
{
    const vts__option *known = vts__option_of(option);

    if (socket == NULL || known == NULL) return VTS_E_ARGUMENT;
    if (!vts_socket_is_open(socket)) return VTS_E_CLOSED;
    return vts__sys_setsockopt(socket->descriptor, known->level, known->name, value);
}

VTS_API int vts_socket_get_option(vts_socket *socket, vts_socket_option option, int *value)
{
    const vts__option *known = vts__option_of(option);

    if (socket == NULL || known == NULL || value == NULL) return VTS_E_ARGUMENT;
    if (!vts_socket_is_open(socket)) return VTS_E_CLOSED;
    return vts__sys_getsockopt(socket->descriptor, known->level, known->name, value);
}

static int vts__socket_address(vts_socket *socket, vts_address *address,
                               int (*get)(int, void *, socklen_t *))
{
    vts_address got;
    socklen_t length = sizeof got.as;
    int error;

    if (socket == NULL || address == NULL) return VTS_E_ARGUMENT;
    if (!vts_socket_is_open(socket)) return VTS_E_CLOSED;
    vts__address_clear(&got);
    error = get(socket->descriptor, got.as.bytes, &length);
    if (error < 0) return error;
    got.size = (uint32_t)length;
    *address = got;
    return VTS_OK;
}

VTS_API int vts_socket_local_address(vts_socket *socket, vts_address *address)
{
    return vts__socket_address(socket, address, vts__sys_getsockname);
}

VTS_API int vts_socket_remote_address(vts_socket *socket, vts_address *address)
{
    return vts__socket_address(socket, address, vts__sys_getpeername);
}

static vts_valuetask vts__wrong_argument(void)
{
    return vts_valuetask_from_error(VTS_E_ARGUMENT);
}

static bool vts__receive_flags_are_known(unsigned flags)
{
    return (flags & ~(unsigned)(VTS_SOCKET_PEEK | VTS_SOCKET_OOB)) == 0;
}

static bool vts__send_flags_are_known(unsigned flags)
{
    return (flags & ~(unsigned)(VTS_SOCKET_MORE | VTS_SOCKET_OOB)) == 0;
}

VTS_API vts_valuetask vts_socket_accept(vts_socket *socket, vts_address *from,
                                        const vts_socket_limit *limit)
{
    vts__io io;
    vts__io_of(&io, VTS__ACCEPT, NULL, 0, 0, from);
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_connect(vts_socket *socket, const vts_address *address,
                                         const vts_socket_limit *limit)
{
    vts__io io;
    int error = vts__socket_takes(socket, address);

    if (error != VTS_OK) return vts_valuetask_from_error(error);
    vts__io_of(&io, VTS__CONNECT, NULL, 0, 0, address);
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_recv(vts_socket *socket, void *buffer, size_t size,
                                      unsigned flags, const vts_socket_limit *limit)
{
    vts__io io;
    vts_valuetask task;

    if (vts__is_plain(socket, VTS__RECEIVES, buffer, size, flags, limit) &&
        vts__receive_waits(socket, buffer, size, &task)) {
        return task;
    }
    if (!vts__io_of(&io, VTS__RECV, buffer, size, flags, NULL) ||
        !vts__receive_flags_are_known(flags)) {
        return vts__wrong_argument();
    }
    if (size == 0) io.kind = VTS__RECV_NOTHING;
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_recv_from(vts_socket *socket, void *buffer, size_t size,
                                           unsigned flags, vts_address *from,
                                           const vts_socket_limit *limit)
{
    vts__io io;

    if (!vts__io_of(&io, VTS__RECV_FROM, buffer, size, flags, from) || from == NULL ||
        !vts__receive_flags_are_known(flags)) {
        return vts__wrong_argument();
    }
    from->size = 0;
    if (size == 0) io.kind = VTS__RECV_NOTHING;
    return vts__operation_start(socket, &io, limit);
}

/* So many buffers, of which each is one and all are not too large together. */
static bool vts__buffers_are_valid(const vts_buffer *buffers, size_t count)
{
    size_t left = INT_MAX;

    if (count > VTS__SOCKET_PIECES || (buffers == NULL && count != 0)) return false;
    for (size_t i = 0; i < count; i++) {
        if (buffers[i].size > left) return false;
        if (buffers[i].data == NULL && buffers[i].size != 0) return false;
        left -= buffers[i].size;
    }
    return true;
}

static bool vts__buffers_are_empty(const vts_buffer *buffers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (buffers[i].size != 0) return false;
    }
    return true;
}

VTS_API vts_valuetask vts_socket_recv_vector(vts_socket *socket, const vts_buffer *buffers,
                                             size_t count, unsigned flags,
                                             const vts_socket_limit *limit)
{
    vts__io io;

    if (!vts__io_of(&io, VTS__RECV_VECTOR, buffers, count, flags, NULL) ||
        !vts__receive_flags_are_known(flags) || !vts__buffers_are_valid(buffers, count)) {
        return vts__wrong_argument();
    }
    if (vts__buffers_are_empty(buffers, count)) io.kind = VTS__RECV_NOTHING;
    return vts__operation_start(socket, &io, limit);
}

static bool vts__message_is_valid(const vts_message *message)
{
    return message != NULL && vts__buffers_are_valid(message->buffers, message->count) &&
           (message->control != NULL || message->control_size == 0);
}

VTS_API vts_valuetask vts_socket_recv_msg(vts_socket *socket, vts_message *message,
                                          unsigned flags, const vts_socket_limit *limit)
{
    vts__io io;

    vts__io_of(&io, VTS__RECV_MSG, message, 0, flags, NULL);
    if (!vts__receive_flags_are_known(flags) || !vts__message_is_valid(message)) {
        return vts__wrong_argument();
    }
    if (message->control_size == 0 &&
        vts__buffers_are_empty(message->buffers, message->count)) {
        io.kind = VTS__RECV_NOTHING;
    }
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_send(vts_socket *socket, const void *buffer, size_t size,
                                      unsigned flags, const vts_socket_limit *limit)
{
    vts__io io;
    vts_valuetask task;

    if (vts__is_plain(socket, VTS__SENDS, buffer, size, flags, limit) &&
        vts__send_now(socket, VTS__SEND, buffer, size, &task)) {
        return task;
    }
    if (!vts__io_of(&io, VTS__SEND, buffer, size, flags, NULL) ||
        !vts__send_flags_are_known(flags)) {
        return vts__wrong_argument();
    }
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_send_all(vts_socket *socket, const void *buffer,
                                          size_t size, unsigned flags,
                                          const vts_socket_limit *limit)
{
    vts__io io;
    vts_valuetask task;

    if (vts__is_plain(socket, VTS__SENDS, buffer, size, flags, limit) &&
        vts__send_now(socket, VTS__SEND_ALL, buffer, size, &task)) {
        return task;
    }
    if (!vts__io_of(&io, VTS__SEND_ALL, buffer, size, flags, NULL) ||
        !vts__send_flags_are_known(flags)) {
        return vts__wrong_argument();
    }
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_send_to(vts_socket *socket, const void *buffer,
                                         size_t size, unsigned flags,
                                         const vts_address *to,
                                         const vts_socket_limit *limit)
{
    vts__io io;
    int error = vts__socket_takes(socket, to);

    if (error != VTS_OK) return vts_valuetask_from_error(error);
    if (!vts__io_of(&io, VTS__SEND_TO, buffer, size, flags, to) ||
        !vts__send_flags_are_known(flags)) {
        return vts__wrong_argument();
    }
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_send_vector(vts_socket *socket, const vts_buffer *buffers,
                                             size_t count, unsigned flags,
                                             const vts_socket_limit *limit)
{
    vts__io io;

    if (!vts__io_of(&io, VTS__SEND_VECTOR, buffers, count, flags, NULL) ||
        !vts__send_flags_are_known(flags) || !vts__buffers_are_valid(buffers, count)) {
        return vts__wrong_argument();
    }
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_send_msg(vts_socket *socket, const vts_message *message,
                                          unsigned flags, const vts_socket_limit *limit)
{
    vts__io io;

    vts__io_of(&io, VTS__SEND_MSG, message, 0, flags, NULL);
    if (!vts__send_flags_are_known(flags) || !vts__message_is_valid(message)) {
        return vts__wrong_argument();
    }
    if (message->address != NULL) {
        int error = vts__socket_takes(socket, message->address);
        if (error != VTS_OK) return vts_valuetask_from_error(error);
    }
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_send_file(vts_socket *socket, int file, uint64_t *offset,
                                           size_t count, const vts_socket_limit *limit)
{
    vts__io io;

    if (!vts__io_of(&io, VTS__SEND_FILE, offset, count, 0, (void *)(intptr_t)file) ||
        offset == NULL || *offset > INT64_MAX - (uint64_t)count) {
        return vts__wrong_argument();
    }
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_shutdown(vts_socket *socket, vts_socket_shutdown_how how)
{
    vts__io io;

    if ((unsigned)how > VTS_SHUTDOWN_BOTH) return vts__wrong_argument();
    vts__io_of(&io, VTS__SHUTDOWN, NULL, 0, 0, NULL);
    io.length = (uint32_t)how;
    return vts__operation_start(socket, &io, NULL);
}

VTS_API vts_valuetask vts_socket_disconnect(vts_socket *socket,
                                            const vts_socket_limit *limit)
{
    vts__io io;
    vts__io_of(&io, VTS__DISCONNECT, NULL, 0, 0, NULL);
    return vts__operation_start(socket, &io, limit);
}

VTS_API vts_valuetask vts_socket_close(vts_socket *socket)
{
    vts__io io;

    if (socket == NULL) return vts__wrong_argument();
    if (!vts_socket_is_open(socket)) return vts_valuetask_from_error(VTS_E_CLOSED);
    if (vts_loop_is_current(&socket->loop->loop)) {
        vts__socket_close(socket);
        return vts_valuetask_from_result(0);
    }
    vts__io_of(&io, VTS__CLOSE, NULL, 0, 0, NULL);
    return vts__request_post(socket->loop, socket, &io, NULL);
}

// ----------------------------------------------------------------------------------
// >>resolving
// ----------------------------------------------------------------------------------

#define VTS__NAME_SIZE 254u
#define VTS__SERVICE_SIZE 32u

/* What a thread of the pool looks up. It outlives a request that is canceled. */
typedef struct vts__lookup {
    vts_work work;
    vts_socket_loop *loop;
    vts_socket_request *request; /* the loop's; NULL when it is finished               */
    vts_socket_family family;
    vts_address *addresses;
    size_t capacity;
    struct addrinfo *found;
    int error;
    char name[VTS__NAME_SIZE];
    char service[VTS__SERVICE_SIZE];
} vts__lookup;

static int vts__lookup_error(int code, int error)
{
    switch (code) {
    case 0: return VTS_OK;
    case EAI_NONAME: return VTS_E_HOST_NOT_FOUND;
    case EAI_AGAIN: return VTS_E_TRY_AGAIN;
    case EAI_MEMORY: return VTS_E_MEMORY;
    case EAI_SERVICE: return VTS_E_ARGUMENT;
    case EAI_FAMILY: return VTS_E_NO_DATA;
    case EAI_SYSTEM: return error > 0 ? -error : VTS_E_NO_RECOVERY;
    default: return code == VTS__EAI_NODATA ? VTS_E_NO_DATA : VTS_E_NO_RECOVERY;
    }
}

/* The addresses that have room; their number. */
static int vts__lookup_copy(const vts__lookup *lookup)
{
    int count = 0;

    for (const struct addrinfo *at = lookup->found; at != NULL; at = at->ai_next) {
        if ((size_t)count == lookup->capacity) break;
        if (vts_address_from(&lookup->addresses[count], at->ai_addr, at->ai_addrlen) ==
            VTS_OK) {
            count++;
        }
    }
    return count > 0 ? count : VTS_E_NO_DATA;
}

/* On the loop. Nobody waits any more if the request was canceled. */
static void vts__lookup_ends(vts_work *work)
{
    vts__lookup *lookup = vts__container_of(work, vts__lookup, work);
    vts_socket_loop *loop = lookup->loop;
    int result = lookup->error;

    vts__add_acq_rel(&loop->lookups, (vts_word)0 - 1);
    if (lookup->request != NULL) {
        if (result == VTS_OK) result = vts__lookup_copy(lookup);
        vts__request_finish(lookup->request, result, false);
    }
    if (lookup->found != NULL) freeaddrinfo(lookup->found);
    vts__poller_free(loop, lookup, sizeof *lookup);
}

/* On a thread of the pool. */
static void vts__lookup_run(vts_work *work)
{
    vts__lookup *lookup = vts__container_of(work, vts__lookup, work);
    struct addrinfo hints;
    int code;

    memset(&hints, 0, sizeof hints);
    hints.ai_family = vts__system_family(lookup->family);
    hints.ai_socktype = SOCK_STREAM; /* else each address comes once for each type */
    code = getaddrinfo(lookup->name, lookup->service[0] != 0 ? lookup->service : NULL,
                       &hints, &lookup->found);
    lookup->error = vts__lookup_error(code, errno);
    if (code != 0) lookup->found = NULL;
    lookup->work.run = vts__lookup_ends;
    vts_scheduler_post(&lookup->loop->loop.scheduler, &lookup->work);
}

static bool vts__is_name(const char *text, size_t size)
{
    return text != NULL && strnlen(text, size) < size;
}

/* With its request, whose io leads back to it. NULL, and *error. */
static vts__lookup *vts__lookup_create(vts_socket_loop *loop, const char *name,
                                       const char *service, const vts_socket_limit *limit,
                                       int *error)
{
    vts__lookup *lookup = (vts__lookup *)vts__poller_memory(loop, sizeof *lookup);
    vts__io io;

    *error = VTS_E_MEMORY;
    if (lookup == NULL) return NULL;
    memcpy(lookup->name, name, strlen(name));
    memcpy(lookup->service, service, strlen(service));
    lookup->loop = loop;
    lookup->work.run = vts__lookup_run;
    vts__io_of(&io, VTS__RESOLVE, NULL, 0, 0, &lookup->request);
    lookup->request = vts__request_rent(loop, NULL, &io, limit, VTS__ASK_START, error);
    if (lookup->request != NULL) return lookup;
    vts__poller_free(loop, lookup, sizeof *lookup);
    return NULL;
}

/* The request comes to the loop before the lookup can. */
VTS_API vts_valuetask vts_resolve(vts_socket_loop *loop, vts_threadpool *threads,
                                  const char *name, const char *service,
                                  vts_socket_family family, vts_address *addresses,
                                  size_t capacity, const vts_socket_limit *limit)
{
    vts__lookup *lookup;
    vts_valuetask task;
    int error;

    if (service == NULL) service = "";
    if (loop == NULL || threads == NULL || !vts__is_name(name, VTS__NAME_SIZE) ||
        !vts__is_name(service, VTS__SERVICE_SIZE) || (unsigned)family > VTS_IPV6 ||
        addresses == NULL || capacity == 0) {
        return vts__wrong_argument();
    }
    if (loop->poller == NULL) return vts_valuetask_from_error(VTS_E_CLOSED);
    if (limit != NULL && vts_cancellation_is_requested(limit->cancel)) {
        return vts_valuetask_from_canceled(-ECANCELED);
    }
    lookup = vts__lookup_create(loop, name, service, limit, &error);
    if (lookup == NULL) return vts_valuetask_from_error(error);
    lookup->family = family;
    lookup->addresses = addresses;
    lookup->capacity = capacity;
    task = vts__operation_task(&lookup->request->operation);
    vts__add_acq_rel(&loop->lookups, 1);
    vts_scheduler_post(&loop->loop.scheduler, &lookup->request->work);
    vts_scheduler_post(vts_threadpool_scheduler(threads), &lookup->work);
    return task;
}


// ----------------------------------------------------------------------------------
// >>streaming
// ----------------------------------------------------------------------------------
// An operation is tried on the buffer; where that has too few bytes, or too little room,
// the socket moves some, and it is tried again. A loop, not a recursion, for as long as
// the socket moves them at once.

enum {
    VTS__READ,
    VTS__READ_EXACTLY,
    VTS__SKIP,
    VTS__READ_BYTE,
    VTS__READ_UNTIL, /* this and the next three show what they have                   */
    VTS__READ_LINE,
    VTS__READ_ELEMENT, /* a line, for VTS_FOREACH                                     */
    VTS__PEEK,
    VTS__WRITE, /* this and all that follow: of the writing half                      */
    VTS__FLUSH,
    VTS__FLUSH_SHUTDOWN,
    VTS__FLUSH_CLOSE
};

static VTS__INLINE size_t vts__buffered(const vts__half *half)
{
    return half->end - half->at;
}

/* All room there is comes behind what is buffered. */
static void vts__compact(vts__half *half)
{
    size_t count = vts__buffered(half);

    if (half->at == 0) return;
    if (count > 0) memmove(half->bytes, half->bytes + half->at, count);
    half->at = 0;
    half->end = count;
}

// ---- reading: what the buffer can do, or VTS__AGAIN ----

/* As many bytes as there are, up to size; to NULL: drops them. */
static size_t vts__unbuffer(vts__half *half, unsigned char *to, size_t size)
{
    size_t count = vts__buffered(half) < size ? vts__buffered(half) : size;

    if (to != NULL && count > 0) memcpy(to, half->bytes + half->at, count);
    half->at += count;
    return count;
}

static unsigned char *vts__rest_of(const vts__half *half)
{
    unsigned char *data = (unsigned char *)half->now.data;
    return data != NULL ? data + half->done : NULL;
}

static int vts__read_some(vts__half *half)
{
    if (half->done > 0) return (int)half->done;
    if (vts__buffered(half) == 0) return half->error == VTS_E_END ? 0 : VTS__AGAIN;
    return (int)vts__unbuffer(half, vts__rest_of(half), half->now.wanted);
}

/* What fits the buffer is taken when it is all there. */
static int vts__read_exactly(vts__half *half)
{
    size_t left = half->now.wanted - half->done;

    if (half->now.wanted > half->size || vts__buffered(half) >= left) {
        half->done += vts__unbuffer(half, vts__rest_of(half), left);
    }
    return half->done == half->now.wanted ? (int)half->done : VTS__AGAIN;
}

static int vts__read_byte(vts__half *half)
{
    return vts__buffered(half) > 0 ? half->bytes[half->at++] : VTS__AGAIN;
}

/* count bytes are taken, the first size of them shown. */
static int vts__show(vts__half *half, size_t count, size_t size)
{
    half->now.view->data = count > 0 ? half->bytes + half->at : NULL;
    half->now.view->size = size;
    half->at += count;
    return (int)count;
}

static int vts__read_until(vts__half *half)
{
    const unsigned char *from = half->bytes + half->at, *found = NULL;
    size_t count = vts__buffered(half), size;

    if (count > half->done) {
        found = (const unsigned char *)memchr(from + half->done, half->now.byte,
                                              count - half->done);
    }
    if (found == NULL) {
        half->done = count;
        if (half->error == VTS_E_END) return vts__show(half, count, count);
        return count == half->size ? -EMSGSIZE : VTS__AGAIN;
    }
    size = (size_t)(found - from);
    count = size + 1;
    if (half->now.kind != VTS__READ_UNTIL && size > 0 && from[size - 1] == '\r') size--;
    return vts__show(half, count, size);
}

static int vts__read_element(vts__half *half)
{
    int count = vts__read_until(half);
    return count > 0 ? 1 : count;
}

static int vts__peek(vts__half *half)
{
    size_t count = vts__buffered(half);

    if (count < half->now.wanted && half->error != VTS_E_END) return VTS__AGAIN;
    vts__show(half, count, count);
    half->at -= count;
    return (int)count;
}

// ---- writing ----

/* The rest of it, if there is room. */
static int vts__write_some(vts__half *half)
{
    size_t total = half->now.wanted + half->now.tailed, left = total - half->done;

    if (half->error != 0) return half->error;
    if (left > half->size - vts__buffered(half)) return VTS__AGAIN;
    if (left > half->size - half->end) vts__compact(half);
    left -= half->now.tailed;
    if (left > 0) memcpy(half->bytes + half->end, vts__rest_of(half), left);
    half->end += left;
    if (half->now.tailed) half->bytes[half->end++] = half->now.byte;
    half->done = total;
    return (int)total;
}

static int vts__flush(vts__half *half)
{
    if (half->error != 0 && half->error != VTS_E_END) return half->error;
    return vts__buffered(half) > 0 ? VTS__AGAIN : 0;
}

static VTS__INLINE int vts__half_try(vts__half *half)
{
    static int (*const tries[])(vts__half *) = {
        vts__read_some,  vts__read_exactly, vts__read_exactly, vts__read_byte,
        vts__read_until, vts__read_until,   vts__read_element, vts__peek,
        vts__write_some, vts__flush,        vts__flush,        vts__flush};
    return tries[half->now.kind](half);
}

// ---- both ----

/* The buffer, or, where it is empty and too small, the caller's memory. */
static vts_valuetask vts__half_receive(vts__half *half, const vts_socket_limit *limit)
{
    size_t left = half->now.wanted - half->done;

    half->direct = half->now.kind <= VTS__READ_EXACTLY && left > half->size;
    if (half->direct) {
        return vts_socket_recv(half->socket, vts__rest_of(half), left, 0, limit);
    }
    vts__compact(half);
    return vts_socket_recv(half->socket, half->bytes + half->end, half->size - half->end,
                           0, limit);
}

static vts_valuetask vts__half_send(vts__half *half, const vts_socket_limit *limit)
{
    half->direct = vts__buffered(half) == 0;
    if (half->direct) {
        return vts_socket_send(half->socket, vts__rest_of(half),
                               half->now.wanted - half->done, 0, limit);
    }
    return vts_socket_send(half->socket, half->bytes + half->at, vts__buffered(half), 0,
                           limit);
}

static vts_valuetask vts__half_move(vts__half *half)
{
    const vts_socket_limit *limit = half->limited ? &half->limit : NULL;

    return half->now.kind < VTS__WRITE ? vts__half_receive(half, limit)
                                       : vts__half_send(half, limit);
}

static void vts__half_has_moved(vts__half *half, size_t count)
{
    if (half->direct) half->done += count;
    else if (half->now.kind < VTS__WRITE) half->end += count;
    else half->at += count;
    if (half->now.kind < VTS__WRITE && count == 0) half->error = VTS_E_END;
}

/* Takes what the socket did. A failure stays that the network's next answer would hide. */
static int vts__half_take(vts__half *half)
{
    bool canceled = vts_valuetask_is_canceled(half->task);
    intptr_t moved = 0;
    int error = vts_valuetask_get_result(half->task, &moved);

    half->canceled = canceled;
    if (error == VTS_OK) vts__half_has_moved(half, (size_t)moved);
    else if (!canceled && error > -10000 && !vts__is_shortage(-error)) half->error = error;
    return error;
}

/* At the end an operation that could not do with what there is has failed. VTS__AGAIN: the
   socket's task has to be waited for. */
static int vts__half_run(vts__half *half)
{
    for (;;) {
        int result = vts__half_try(half);
        if (result != VTS__AGAIN) return result;
        if (half->error != 0) return half->error;
        half->task = vts__half_move(half);
        if (!vts_valuetask_is_completed(half->task)) return VTS__AGAIN;
        result = vts__half_take(half);
        if (result != VTS_OK) return result;
    }
}

static vts_netstream *vts__stream_of_writes(vts__half *half)
{
    return vts__container_of(half, vts_netstream, writes);
}

/* Nothing that is buffered is of any use. */
static vts_valuetask vts__half_close(vts__half *half)
{
    vts__half *reads = &vts__stream_of_writes(half)->reads;

    half->at = half->end = 0;
    reads->at = reads->end = 0;
    reads->error = half->error = VTS_E_CLOSED;
    return vts_socket_close(half->socket);
}

/* The operation is through. What comes after a flush is done: at once, but where somebody
   else sends on the socket, or the loop is not run yet. */
static int vts__half_ends(vts__half *half, int result)
{
    bool closes = half->now.kind == VTS__FLUSH_CLOSE;
    bool shuts = half->now.kind == VTS__FLUSH_SHUTDOWN && result == 0;
    vts_valuetask task;
    int error = VTS_OK;

    if (!closes && !shuts) return result;
    task = closes ? vts__half_close(half)
                  : vts_socket_shutdown(half->socket, VTS_SHUTDOWN_SEND);
    if (vts_valuetask_is_completed(task)) error = vts_valuetask_get_result(task, NULL);
    else vts_valuetask_forget(task);
    if (shuts && error == VTS_OK) half->error = VTS_E_END;
    return result < 0 ? result : error;
}

static void vts__half_continues(void *arg);

static void vts__half_waits(vts__half *half)
{
    vts_valuetask_on_completed(half->task, vts__half_continues, half, VTS_NONE);
}

/* On the loop. The continuation may free the stream. */
static void vts__half_continues(void *arg)
{
    vts__half *half = (vts__half *)arg;
    int result = vts__half_take(half);

    if (result == VTS_OK) result = vts__half_run(half);
    if (result == VTS__AGAIN) {
        vts__half_waits(half);
        return;
    }
    result = vts__half_ends(half, result);
    vts__source_complete(&half->source, result, half->canceled);
}

static bool vts__half_is_busy(const vts__half *half)
{
    return (vts__load_acq(&half->source.word) & VTS__LOW) != 0;
}

static int vts__half_begin(vts__half *half, const vts__transfer *what,
                           const vts_socket_limit *limit)
{
    half->now = *what;
    half->done = 0;
    half->limited = limit != NULL && (limit->deadline != 0 || limit->cancel.source != NULL);
    if (half->limited) half->limit = *limit;
    half->canceled = limit != NULL && vts_cancellation_is_requested(limit->cancel);
    return half->canceled ? -ECANCELED : vts__half_run(half);
}

static bool vts__transfer_is_valid(const vts__transfer *what)
{
    bool shows = what->kind >= VTS__READ_UNTIL && what->kind <= VTS__PEEK;
    bool moves = what->kind <= VTS__READ_EXACTLY || what->kind == VTS__WRITE;

    if (what->wanted > (size_t)INT_MAX - what->tailed) return false;
    if (moves && what->data == NULL && what->wanted != 0) return false;
    return !shows || what->view != NULL;
}

static int vts__half_may_start(const vts__half *half, const vts__transfer *what)
{
    if (half == NULL || !vts__transfer_is_valid(what)) return VTS_E_ARGUMENT;
    if (half->socket == NULL) return VTS_E_CLOSED;
    if (!vts__loop_is_mine(&half->socket->loop->loop)) {
        return vts__misuse(VTS_E_THREAD, half, 0);
    }
    if (vts__half_is_busy(half)) return VTS_E_BUSY;
    return what->kind == VTS__PEEK && what->wanted > half->size ? -EMSGSIZE : VTS_OK;
}

/* What every operation goes through. half may be NULL. */
static vts_valuetask vts__half_start(vts__half *half, const vts__transfer *what,
                                     const vts_socket_limit *limit)
{
    vts_token token;
    int result = vts__half_may_start(half, what);

    if (result != VTS_OK) return vts_valuetask_from_error(result);
    result = vts__half_begin(half, what, limit);
    if (result == VTS__AGAIN) {
        vts_source_reset(&half->source, &token);
        vts__half_waits(half);
        return vts_valuetask_of(&half->source, token);
    }
    result = vts__half_ends(half, result);
    if (result >= 0) return vts_valuetask_from_result(result);
    return half->canceled ? vts_valuetask_from_canceled(result)
                          : vts_valuetask_from_error(result);
}

static vts_valuetask vts__reads_start(vts_netstream *stream, const vts__transfer *what,
                                      const vts_socket_limit *limit)
{
    return vts__half_start(stream != NULL ? &stream->reads : NULL, what, limit);
}

static vts_valuetask vts__writes_start(vts_netstream *stream, const vts__transfer *what,
                                       const vts_socket_limit *limit)
{
    return vts__half_start(stream != NULL ? &stream->writes : NULL, what, limit);
}

// ---- the functions of >>netstream ----

static void vts__half_init(vts__half *half, vts_socket *socket, void *bytes, size_t size)
{
    half->source.base.ops = &vts__once_ops;
    half->socket = socket;
    half->bytes = (unsigned char *)bytes;
    half->size = size;
    half->at = half->end = half->done = 0;
    half->error = 0;
}

static vts_valuetask vts__lines_move_next(vts_stream *self, vts_cancellation_token cancel)
{
    vts_netstream *stream = vts__container_of(self, vts_netstream, lines);
    vts__transfer what = {NULL, &stream->line, 0, '\n', false, VTS__READ_ELEMENT};
    vts_socket_limit limit = {0, cancel};

    if (!vts__half_is_busy(&stream->reads)) stream->line.data = NULL;
    return vts__half_start(&stream->reads, &what, &limit);
}

static void *vts__lines_current(vts_stream *self)
{
    vts_netstream *stream = vts__container_of(self, vts_netstream, lines);
    return stream->line.data != NULL ? &stream->line : NULL;
}

static vts_valuetask vts__lines_dispose(vts_stream *self)
{
    vts_netstream *stream = vts__container_of(self, vts_netstream, lines);

    if (vts__half_is_busy(&stream->reads)) return vts_valuetask_from_error(VTS_E_BUSY);
    stream->line.data = NULL;
    return vts_valuetask_from_result(0);
}

VTS_API int vts_netstream_init(vts_netstream *stream, vts_socket *socket, void *in,
                               size_t in_size, void *out, size_t out_size)
{
    static const vts_stream_ops ops = {vts__lines_move_next, vts__lines_current,
                                       vts__lines_dispose};

    if (stream == NULL || socket == NULL || in == NULL || out == NULL) return VTS_E_ARGUMENT;
    if (in_size - 1 >= (size_t)INT_MAX || out_size - 1 >= (size_t)INT_MAX) return VTS_E_ARGUMENT;
    if (!vts_socket_is_open(socket)) return VTS_E_CLOSED;
    if (vts__half_is_busy(&stream->reads) || vts__half_is_busy(&stream->writes)) {
        return VTS_E_BUSY;
    }
    vts__half_init(&stream->reads, socket, in, in_size);
    vts__half_init(&stream->writes, socket, out, out_size);
    stream->lines.ops = &ops;
    stream->line.data = NULL;
    return VTS_OK;
}

VTS_API vts_valuetask vts_netstream_read(vts_netstream *stream, void *buffer, size_t size,
                                         const vts_socket_limit *limit)
{
    vts__transfer what = {buffer, NULL, size, 0, false, VTS__READ};
    return vts__reads_start(stream, &what, limit);
}

VTS_API vts_valuetask vts_netstream_read_exactly(vts_netstream *stream, void *buffer,
                                                 size_t size,
                                                 const vts_socket_limit *limit)
{
    vts__transfer what = {buffer, NULL, size, 0, false, VTS__READ_EXACTLY};
    return vts__reads_start(stream, &what, limit);
}

VTS_API vts_valuetask vts_netstream_skip(vts_netstream *stream, size_t size,
                                         const vts_socket_limit *limit)
{
    vts__transfer what = {NULL, NULL, size, 0, false, VTS__SKIP};
    return vts__reads_start(stream, &what, limit);
}

/* A byte that is there, and one for which there is room, take no detour. */
VTS_API vts_valuetask vts_netstream_read_byte(vts_netstream *stream,
                                              const vts_socket_limit *limit)
{
    vts__transfer what = {NULL, NULL, 1, 0, false, VTS__READ_BYTE};

    if (limit == NULL && stream != NULL && stream->reads.at < stream->reads.end &&
        !vts__half_is_busy(&stream->reads)) {
        return vts_valuetask_from_result(vts__read_byte(&stream->reads));
    }
    return vts__reads_start(stream, &what, limit);
}

VTS_API vts_valuetask vts_netstream_read_until(vts_netstream *stream, char delimiter,
                                               vts_buffer *view,
                                               const vts_socket_limit *limit)
{
    vts__transfer what = {NULL, view, 0, (unsigned char)delimiter, false, VTS__READ_UNTIL};
    return vts__reads_start(stream, &what, limit);
}

VTS_API vts_valuetask vts_netstream_read_line(vts_netstream *stream, vts_buffer *view,
                                              const vts_socket_limit *limit)
{
    vts__transfer what = {NULL, view, 0, '\n', false, VTS__READ_LINE};
    return vts__reads_start(stream, &what, limit);
}

VTS_API vts_valuetask vts_netstream_peek(vts_netstream *stream, size_t size,
                                         vts_buffer *view, const vts_socket_limit *limit)
{
    vts__transfer what = {NULL, view, size, 0, false, VTS__PEEK};
    return vts__reads_start(stream, &what, limit);
}

VTS_API vts_stream *vts_netstream_lines(vts_netstream *stream)
{
    return stream != NULL && stream->lines.ops != NULL ? &stream->lines : NULL;
}

VTS_API vts_valuetask vts_netstream_write(vts_netstream *stream, const void *buffer,
                                          size_t size, const vts_socket_limit *limit)
{
    vts__transfer what = {(void *)(uintptr_t)buffer, NULL, size, 0, false, VTS__WRITE};
    return vts__writes_start(stream, &what, limit);
}

VTS_API vts_valuetask vts_netstream_write_line(vts_netstream *stream, const char *text,
                                               size_t size, const vts_socket_limit *limit)
{
    vts__transfer what = {(void *)(uintptr_t)text, NULL, size, '\n', true, VTS__WRITE};
    return vts__writes_start(stream, &what, limit);
}

VTS_API vts_valuetask vts_netstream_write_byte(vts_netstream *stream, unsigned char byte,
                                               const vts_socket_limit *limit)
{
    vts__transfer what = {NULL, NULL, 0, byte, true, VTS__WRITE};
    vts__half *half = stream != NULL ? &stream->writes : NULL;

    if (limit == NULL && half != NULL && half->end < half->size && half->error == 0 &&
        !vts__half_is_busy(half)) {
        half->bytes[half->end++] = byte;
        return vts_valuetask_from_result(1);
    }
    return vts__writes_start(stream, &what, limit);
}

/* Flushes, and then does what the kind says. */
static vts_valuetask vts__netstream_flush(vts_netstream *stream, uint8_t kind,
                                          const vts_socket_limit *limit)
{
    vts__transfer what = {NULL, NULL, 0, 0, false, kind};
    return vts__writes_start(stream, &what, limit);
}

VTS_API vts_valuetask vts_netstream_flush(vts_netstream *stream,
                                          const vts_socket_limit *limit)
{
    return vts__netstream_flush(stream, VTS__FLUSH, limit);
}

VTS_API vts_valuetask vts_netstream_shutdown(vts_netstream *stream,
                                             const vts_socket_limit *limit)
{
    return vts__netstream_flush(stream, VTS__FLUSH_SHUTDOWN, limit);
}

VTS_API vts_valuetask vts_netstream_close(vts_netstream *stream,
                                          const vts_socket_limit *limit)
{
    return vts__netstream_flush(stream, VTS__FLUSH_CLOSE, limit);
}

VTS_API size_t vts_netstream_read_done(const vts_netstream *stream)
{
    const vts__half *half;
    bool moves;

    if (stream == NULL) return 0;
    half = &stream->reads;
    moves = half->now.kind == VTS__READ_EXACTLY || half->now.kind == VTS__SKIP;
    return moves ? half->done : 0;
}

VTS_API size_t vts_netstream_write_done(const vts_netstream *stream)
{
    return stream != NULL ? stream->writes.done : 0;
}

VTS_API size_t vts_netstream_readable(const vts_netstream *stream)
{
    return stream != NULL ? vts__buffered(&stream->reads) : 0;
}

VTS_API size_t vts_netstream_unflushed(const vts_netstream *stream)
{
    return stream != NULL ? vts__buffered(&stream->writes) : 0;
}

#endif /* VTS_IMPLEMENTATION */
