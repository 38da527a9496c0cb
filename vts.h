/* vts.h - v0.1.0 - reusable completion sources, value tasks and pools for C11

   An asynchronous operation that costs no allocation, whether it finishes now or
   later, and a handle that always knows when it is stale. .NET's ValueTask and
   IValueTaskSource, re-created in C.

   Do this in ONE C file to get the code:

       #define VTS_IMPLEMENTATION
       #include "vts.h"

   and only  #include "vts.h"  everywhere else (C11, C++11 and later). Put the two
   lines first in that file. Link with -pthread where the platform has threads.
   SPDX-License-Identifier: MIT-0

   FIRST OF ALL
   A stale handle is caught as long as its source's memory is still a source. That is
   why sources live in a pool, in static storage, or in a parent that outlives its
   operations - never on a stack that returns before the last handle is gone.

   CONTENTS (search for the mark)
       >>options          the four build options
       >>quickstart       five steps
       >>concepts         source, token, value task, pool, dispatch, context
       >>rules            lifetime rules; which call from which thread
       >>differences      where vts behaves differently from .NET, on purpose
       >>correctness      the state word, its transitions, the pairs
       >>limits           numbers
       >>config           version, compiler, language
       >>types            results, status, source, value task, pool
       >>api              functions
       >>typed            value tasks and sources of any result type
       >>implementation   includes, platform
       >>atomics          every memory operation vts does, order in the name
       >>hooks            misuse and trace
       >>thread           what vts keeps per thread
       >>dispatch         inline, depth limit, trampoline, run queue
       >>source           the completion source
       >>valuetask        the handle
       >>pool             the freelist
       >>hosted           malloc, and what happens when a thread ends

   ----------------------------------------------------------------------------------
   >>options
   ----------------------------------------------------------------------------------
   Each is optional. GLOBAL: define it alike in every file. IMPL: only where the
   implementation is. No option changes a public type.

   VTS_STATIC            GLOBAL  every function static: for a single-file program
   VTS_SINGLE_THREADED   IMPL    plain memory operations: one thread, no interrupts
   VTS_CRITICAL_ENTER()  IMPL    with VTS_CRITICAL_EXIT(state): for processors without
                                 compare-and-swap. ENTER disables interrupts (or takes
                                 the core-to-core lock) and gives the previous state as
                                 an unsigned integer; EXIT restores it
   VTS_ATOMICS_HEADER    IMPL    a file that replaces the >>atomics section, as a string

   ----------------------------------------------------------------------------------
   >>quickstart
   ----------------------------------------------------------------------------------
   (1) a pool of sources: here over 16 that are static, so nothing is ever allocated

           static VTS_POOL_STORAGE(storage, vts_source, 16);
           static vts_pool pool;

           vts_pool_desc desc = {0};
           desc.storage = storage;
           desc.storage_size = sizeof storage;
           vts_pool_init(&pool, &desc);

   (2) an operation rents a source, keeps source and token, and returns the handle

           vts_token  token;
           vts_source *source = vts_pool_rent(&pool, &token);
           if (source == NULL) return vts_valuetask_from_error(VTS_E_EXHAUSTED);
           start_hardware(source, token);
           return vts_valuetask_of(source, token);

   (3) whoever finishes it says so; a second completer, or a late one, is told no

           vts_source_set_result(source, token, bytes_read);

   (4) the caller takes a result that is there at once, else says what runs then; the
       argument leads the continuation to where the handle is kept

           request->task = read_async(device);
           if (vts_valuetask_is_completed(request->task)) on_read(request);
           else vts_valuetask_on_completed(request->task, on_read, request, VTS_NONE);

   (5) taking the result of a source returns it to its pool and makes the handle stale

           intptr_t bytes;
           int error = vts_valuetask_get_result(request->task, &bytes); // VTS_OK
           error = vts_valuetask_get_result(request->task, &bytes);     // VTS_E_STALE

   ----------------------------------------------------------------------------------
   >>concepts
   ----------------------------------------------------------------------------------
   SOURCE (ManualResetValueTaskSourceCore). One operation at a time: pending, then
   succeeded, faulted or canceled. 64 bytes on a 64-bit target, 32 on a 32-bit one.
   Its state and its generation share one atomic word.

   TOKEN. The generation, 59 bits of the word (27 where a word has 32). Every call
   that concerns an operation carries the token and checks it in the same atomic step
   that changes the state: a caller that is late by any number of operations changes
   nothing. That goes for completers too: of any number of racing completers (result,
   timeout, cancel) one wins, the others get VTS_E_ALREADY_COMPLETED or VTS_E_STALE.

   VALUE TASK (ValueTask). Two words, passed in registers: {source, token}, or
   {NULL, value} when the result was there at once. All zero is "done, 0". A failure
   that is known at once travels in the handle too: no path allocates.

   POOL (ObjectPool, and the pooled source). A freelist of items in memory that stays
   a source for as long as the pool lives. Over an array of the caller's, or growing in
   chunks up to a maximum. A pooled source goes back when its result is taken.

   CONTINUATION. A function and its argument, one per operation, registered before or
   after completion. It runs on the completing thread, unless a scheduler was captured
   (VTS_USE_SCHEDULING_CONTEXT) or the source's ops name one
   (run_continuations_asynchronously): then it is posted there, without allocating.
   Inline runs nest 32 deep per thread (4 without an operating system); past that they
   wait until the outermost has returned, so no chain of any length grows the stack.

   CONTEXT. An ambient pointer per thread, like ExecutionContext: with
   VTS_FLOW_EXECUTION_CONTEXT a continuation sees the one of its registration.

   SOURCE OF YOUR OWN (IValueTaskSource). Any struct that begins with a
   vts_valuetask_source and fills a vts_source_ops is a source; value tasks over it
   work like the others.

   ----------------------------------------------------------------------------------
   >>rules
   ----------------------------------------------------------------------------------
   1. A source may be reset, freed or reused only when no operation on it is pending
      and its last result was taken (or nobody will ask for it).
   2. Await a value task once. The second time is caught: VTS_E_STALE after the result
      was taken, VTS_E_ALREADY_AWAITED before.
   3. A continuation may do anything: take the result, rent, register, complete. It has
      to return: one that is left by longjmp or an exception leaves the count of nested
      continuations wrong.
   4. The completer owns nothing of a source after the completing call returned.
   5. A call that fails changed nothing: no result, no context, no out parameter.

   function                                     from
   set_result, set_error, set_canceled          any thread; an interrupt (rule 6)
   begin_result, end_result                     one thread, between the two
   on_completed, unregister, get_status,        any thread; racing callers: one wins
   get_result, forget
   reset (bare source)                          the owner
   pool get, put, rent, abandon                 any thread; an interrupt
   pool init, destroy                           one thread, nobody else in the pool
   run queue post                               any thread; an interrupt
   run queue drain                              one thread at a time (else VTS_E_BUSY)

   6. An interrupt (or a signal handler) completes operations whose continuations go
      to a scheduler: the inline trampoline belongs to the code it interrupts. A pool
      that an interrupt uses has no per-thread cache (desc.cache = -1, or storage of
      the caller's).

   ----------------------------------------------------------------------------------
   >>differences
   ----------------------------------------------------------------------------------
   From .NET 8's ManualResetValueTaskSourceCore and ValueTask, each on purpose:
   D1   the token has 59 (27) bits, not 16, and 0 is never issued: a zeroed source is
        idle, its first reset starts generation 1
   D2   completers carry the token; racing ones are resolved, not undefined
   D3   a call that fails has no effect (there, a second SetResult overwrites the
        result and a rejected OnCompleted replaces the first one's context)
   D4   errors are return codes, each misuse its own; results are a word or a T
   D5   registering on a completed operation runs the continuation before the call
        returns, or after the running one at the depth limit, or posts it if it has a
        scheduler that is not the current one; there it is always queued
   D6   one registration per operation, before or after completion; there any number
        may register after a completion that nobody awaited
   D7   reset while pending, or while a continuation is queued, is refused
   D8   a continuation can be unregistered
   D9   run_continuations_asynchronously names the scheduler to use
   D10  a failure known at once allocates nothing; there it allocates a Task
   D11  an operation is completed only once its result is readable: no state in which
        get_result works while get_status says pending
   D12  a pooled source validates token and completion before it returns to its pool;
        there a finally block returns it even on a wrong token
   D13  a null continuation, and an error that is not negative, are VTS_E_ARGUMENT

   ----------------------------------------------------------------------------------
   >>correctness
   ----------------------------------------------------------------------------------
   The word is {generation | waiter | phase}. The token is the word with the low bits
   zero. Waiter and phase move independently:

       phase    IDLE -> PENDING -> COMPLETING -> SUCCEEDED | FAULTED | CANCELED
                     -> (reset) PENDING of the next generation       a bare source
                     -> CONSUMING -> IDLE [-> PENDING of the next]    a pooled one
       waiter   NONE -> REGISTERING -> AWAITED      NONE <- AWAITED (unregister)
                AWAITED or REGISTERING -> QUEUED -> AWAITED (it runs)

   - PENDING to COMPLETING by compare-and-swap makes one completer of many: it alone
     writes the result. REGISTERING makes one registration of many: it alone writes the
     continuation. CONSUMING makes one consumer of many: it alone reads and returns.
   - Completer and registration meet in the word. Whoever comes second sees the other
     and dispatches: the completer when it finds AWAITED, the registration when its
     publishing compare-and-swap finds the phase past COMPLETING. No call waits for
     another; every loop ends after at most as many steps as there are states.
   - REGISTERING and QUEUED pin the source: whoever consumes meanwhile takes the result
     and leaves the word CONSUMED; the one that unpins returns the source. So the
     intrusive link of a queued continuation is never recycled under the queue.
   - Publication is last: after the store or swap that makes the result visible, the
     completer touches the source only where QUEUED pins it.

   Each release and the acquire it pairs with:
   [P1] registration publishes AWAITED       -> the completer's claim, or its publishing
                                                swap: continuation, argument, context
   [P2] completion publishes the phase       -> get_status, the consuming swap, the
                                                registration's failed swap: the result
   [P3] result words are stored with release -> get_result of a bare source loads them
                                                with acquire and then looks at the word
                                                again: a reset in between shows
   [P4] unregister publishes NONE            -> the next registration's claim
   [P5] unpin publishes AWAITED              -> the consumer's closing swap, and back:
                                                CONSUMED -> the unpinning swap
   [P6] pool push publishes a batch          -> pool pop: contents and links of items
   [P7] pool publishes a chunk               -> whoever finds an index in it
   [P8] an ending thread gives its number up -> the next owner, or a thread that looks
                                                for stranded items: that thread's cache
   [P9] run queue post                       -> drain takes all

   The freelist is Treiber's stack (IBM RJ 5118, 1986) of batches with a tag against
   ABA; the per-thread magazines are Bonwick's (USENIX 2001). That one registration
   costs two atomic operations, not one, follows from Attiya et al., "Laws of Order"
   (POPL 2011): it races with other registrations and with the completer.

   ----------------------------------------------------------------------------------
   >>limits
   ----------------------------------------------------------------------------------
   - Token: 59 bits last 182 years at 100 million reuses a second; 27 bits last 134
     million reuses of one source. After the wrap a handle kept that long would match.
   - Pool: 2^32-2 items (65534 on 32-bit targets). The freelist's tag has 32 (16) bits:
     a thread that stops inside a pop for exactly 2^32 (65536) pool operations may see
     the same head again.
   - A double return is found when the first return came before; two returns of the
     same plain item that race on two threads are not (of a source: always).
   - Continuations of tasks completed in themselves nest deeper than the limit where one
     awaits more than eight such tasks and each of those does the same.
   - Items in other threads' caches are not found by a thread that runs out: at most
     one quarter of the capacity unless desc.cache asks for more (-1: none). What ended
     threads had cached is found.
   - Caches are for as many threads at a time as a word has bits: 64 (32). Further ones
     use the shared list.
   - In a child after fork(), what the parent's other threads had cached stays out.
   - No stackful coroutines, no fairness promise, no blocking wait in this part.
*/
#ifndef VTS_H
#define VTS_H

/* The headers that build on this one need the C library's extensions in implementation
   mode; they have to be asked for before its first header. vts.h itself does not. */
#if defined VTS_IMPLEMENTATION && defined __linux__ && !defined _GNU_SOURCE
#define _GNU_SOURCE
#endif

// ----------------------------------------------------------------------------------
// >>config
// ----------------------------------------------------------------------------------
#define VTS_VERSION_MAJOR 0
#define VTS_VERSION_MINOR 1
#define VTS_VERSION_PATCH 0
#define VTS_VERSION "0.1.0"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined __GNUC__
#define VTS_UNUSED __attribute__((unused))
#define VTS_NODISCARD __attribute__((warn_unused_result))
#else
#define VTS_UNUSED
#define VTS_NODISCARD
#endif

#ifdef VTS_STATIC
#define VTS_API static VTS_UNUSED
#else
#define VTS_API extern
#endif

#define VTS__TEXT2(x) #x
#define VTS__TEXT(x) VTS__TEXT2(x)
/* The place in the source text, as "file:line". */
#define VTS_HERE (__FILE__ ":" VTS__TEXT(__LINE__))

#ifdef __cplusplus
extern "C" {
#endif

// ----------------------------------------------------------------------------------
// >>types
// ----------------------------------------------------------------------------------

/* The atomic word: as wide as a pointer, 32 bits at least. Everything that vts touches
   atomically is one of these. */
#if UINTPTR_MAX >= 0xffffffff
typedef uintptr_t vts_word;
#else
typedef uint32_t vts_word;
#endif

/* Names one operation of one source. Opaque: never 0 for an operation that was started,
   and each operation of a source has the next one, in steps of 32. */
typedef vts_word vts_token;

/* What calls return: VTS_OK, or a negative number. Errors of operations are the
   caller's own (a negative errno, say); these lie below -10000 and never collide. */
typedef enum vts_result {
    VTS_OK = 0,
    VTS_E_ARGUMENT = -10001,      /* a null or impossible argument                   */
    VTS_E_STALE = -10002,         /* the token names an operation that is over       */
    VTS_E_NOT_COMPLETED = -10003, /* result taken before completion                  */
    VTS_E_ALREADY_COMPLETED = -10004, /* another completer won                       */
    VTS_E_ALREADY_AWAITED = -10005,   /* a continuation is registered already        */
    VTS_E_NOT_AWAITED = -10006,   /* unregister: none is registered, or it runs now  */
    VTS_E_PENDING = -10007,       /* reset of a source that is still in use          */
    VTS_E_CANCELED = -10008,      /* the operation was canceled                      */
    VTS_E_EXHAUSTED = -10009,     /* the pool's maximum is out                       */
    VTS_E_MEMORY = -10010,        /* the allocator gave nothing                      */
    VTS_E_DOUBLE_RETURN = -10011, /* the item is in the pool already                 */
    VTS_E_FOREIGN = -10012,       /* the item is not of this pool                    */
    VTS_E_BUSY = -10013,          /* items are out, or the queue is being drained    */
    VTS_E_UNSUPPORTED = -10014    /* this source does not offer that                 */
} vts_result;

/* How an operation stands (ValueTaskSourceStatus). */
typedef enum vts_status {
    VTS_PENDING = 0,
    VTS_SUCCEEDED = 1,
    VTS_FAULTED = 2,
    VTS_CANCELED = 3
} vts_status;

/* What on_completed captures from the registering thread
   (ValueTaskSourceOnCompletedFlags). Other bits are ignored. */
#define VTS_NONE 0u
#define VTS_USE_SCHEDULING_CONTEXT 1u  /* run on the scheduler current at registration */
#define VTS_FLOW_EXECUTION_CONTEXT 2u  /* run under the context current at registration */

/* Runs when the operation is completed, once. */
typedef void (*vts_continuation)(void *arg);

struct vts_scheduler;

/* A piece of work that can be queued without allocating: embed it in what it works on.
   It belongs to the scheduler from post until run is entered. */
typedef struct vts_work {
    union {
        struct vts_work *next;           /* while queued: the queue's                 */
        struct vts_scheduler *scheduler; /* of a source, before: where it wants to go */
    } link;
    void (*run)(struct vts_work *work);
} vts_work;

/* Where work runs. An interface with one function: begin a struct of your own with it.
   post takes the work over and must run it once, from any thread's call, and must not
   fail; it must not run it before it returns unless it is an inline scheduler. */
typedef struct vts_scheduler {
    void (*post)(struct vts_scheduler *self, vts_work *work);
} vts_scheduler;

/* First member of every source (IValueTaskSource): what a value task points to. */
typedef struct vts_valuetask_source {
    const struct vts_source_ops *ops;
} vts_valuetask_source;

/* What a source does. Every function gets the token and answers VTS_E_STALE to a wrong
   one. Required: get_status, on_completed, get_result; the others may be NULL. */
typedef struct vts_source_ops {
    /* A vts_status, or an error. */
    int (*get_status)(vts_valuetask_source *self, vts_token token);
    /* Arranges that continuation(arg) runs once, when the operation is completed: if it
       is already, with vts_run_continuation. A source that does not capture what flags
       ask for answers VTS_E_UNSUPPORTED to them. */
    int (*on_completed)(vts_valuetask_source *self, vts_token token,
                        vts_continuation continuation, void *arg, unsigned flags);
    /* Writes the result where result points (unless NULL) and returns VTS_OK, or returns
       the operation's error. Never blocks: VTS_E_NOT_COMPLETED if it is pending. */
    int (*get_result)(vts_valuetask_source *self, vts_token token, void *result);
    /* Takes the registration back: after VTS_OK the continuation will not run. */
    int (*unregister)(vts_valuetask_source *self, vts_token token);
    /* Takes the result as soon as there is one and drops it. */
    int (*forget)(vts_valuetask_source *self, vts_token token);
    /* Not NULL: a continuation without a captured scheduler is posted here instead of
       running inside the completing call. Used by vts_source only. */
    vts_scheduler *run_continuations_asynchronously;
} vts_source_ops;

/* A completion source (ManualResetValueTaskSourceCore) with a word-sized result.
   All zero is idle: the first reset arms it. Not to be copied. One cache line.

   word: the one truth (see >>correctness). Atomic, by whom and how:
     arm      IDLE -> PENDING            owner         relaxed store: hand-over publishes
     register NONE -> REGISTERING        any, one wins acquire           (the claim)
              REGISTERING -> AWAITED     its owner     release [P1], acquire [P2]
     complete PENDING -> COMPLETING      any, one wins acquire [P1]      (the claim)
              COMPLETING -> done         its owner     release [P2], acquire [P1]
     consume  done -> CONSUMING          any, one wins acquire [P2]      (the claim)
              CONSUMING -> IDLE/CONSUMED its owner     release [P5]
     unpin    QUEUED -> AWAITED          the runner    acq_rel [P5]
     undo     AWAITED -> NONE            any, one wins acq_rel [P4]
   The other fields are plain and belong to whoever holds the claim; result is stored
   and loaded atomically, because a late reader of a bare source may look at it. */
typedef struct vts_source {
    vts_valuetask_source base;
    vts_word word;
    vts_work work;                 /* link: captured scheduler, then queue link      */
    vts_continuation continuation;
    void *arg;
    void *context;                 /* captured context; NULL: did not flow           */
    vts_word result;               /* an intptr_t; the error of a failed operation   */
} vts_source;

/* A handle for one operation (ValueTask<word>). Copy it freely, await it once. All zero
   is completed with result 0. source == NULL: completed, token holds the result. */
typedef struct vts_valuetask {
    vts_valuetask_source *source;
    vts_word token;
} vts_valuetask;

/* Memory for what grows. size is the same in both calls. free may be NULL if nothing is
   ever given back. Called from any thread that uses what was given the allocator. */
typedef struct vts_allocator {
    void *(*alloc)(void *user, size_t size);
    void (*free)(void *user, void *memory, size_t size);
    void *user;
} vts_allocator;

/* What a pool keeps beside each item. Atomic words, all relaxed unless said:
     next  in the pool: the next of the batch, or 0; rented: the slot's own address.
           Written by the one that holds the item, read by a wrong return
     site  where it was rented last; written by the renter before next (release), read
           after it (acquire) by the list of rented items
     link  {head of the next batch + 1 | own index}: written by the holder before [P6],
           read by racing pops (whose compare-and-swap then fails) */
typedef struct vts_pool_slot {
    vts_word next;
    vts_word site;
    vts_word link;
} vts_pool_slot;

#define VTS__POOL_CHUNKS 27

struct vts_pool_cache;

/* What a pool is made of. Zero is the default of every field. */
typedef struct vts_pool_desc {
    size_t item_size;     /* bytes of one item; 0: sizeof(vts_source)                 */
    size_t alignment;     /* of items, a power of two up to 64; 0: a word over storage,
                             16 when growing                                          */
    bool source;          /* items begin with a vts_source (item_size 0 implies it)   */
    size_t value_offset;  /* of a source's result in the item; 0: its result word     */
    size_t value_size;    /* bytes of it; 0: one word                                 */
    void *storage;        /* the caller's array (VTS_POOL_STORAGE), or NULL: grow     */
    size_t storage_size;  /* bytes of storage                                         */
    const vts_allocator *allocator; /* to grow; NULL: the default where there is one  */
    uint32_t capacity;    /* maximum of items when growing; 0: 1048576 (8192)         */
    uint32_t first;       /* items of the first chunk, a power of two; 0: 64. Each
                             next chunk doubles what there is                         */
    int cache;            /* items per batch of the per-thread caches; 0: chosen by
                             capacity, 32 at most; -1: no caches. Over storage there
                             are none unless asked for, and an allocator is needed    */
    vts_scheduler *run_continuations_asynchronously; /* see vts_source_ops            */
} vts_pool_desc;

/* A lock-free freelist of items of one size. Fields are private. Atomic words:
     head   {tag | index of the first batch + 1}; push release, pop acquire [P6]
     fresh  items ever carved from the chunks; grows only, acq_rel
     chunk  set once each, release [P7] */
typedef struct vts_pool {
    vts_source_ops ops;   /* pooled sources point here, and so know their pool        */
    vts_word head;
    vts_word fresh;
    vts_word chunk[VTS__POOL_CHUNKS];
    struct vts_pool_cache *caches; /* by thread number; [0], for none, is always empty
                                      and always full                                 */
    vts_word cache_mask;  /* 0: no caches, only [0]                                   */
    size_t item_size, value_offset, value_size, slot_offset, stride;
    vts_word inverse;     /* of the odd part of stride, to divide exactly             */
    unsigned stride_shift, first_shift;
    uint32_t capacity, batch;
    bool plain, source, owned; /* items of plain structs, or sources; own chunks       */
    vts_allocator allocator;
} vts_pool;

/* Static memory for count items of a type: VTS_POOL_STORAGE(name, type, count) declares
   an array to be given as desc.storage with desc.storage_size = sizeof name. type is a
   name (an array type needs a typedef). One that wants more than a word's alignment also
   needs desc.alignment. */
#define VTS_POOL_STORAGE(name, type, count)                                            \
    union {                                                                            \
        type item;                                                                     \
        vts_word align;                                                                \
        unsigned char bytes[(sizeof(type) + sizeof(vts_word) - 1) / sizeof(vts_word) * \
                                sizeof(vts_word) +                                     \
                            sizeof(vts_pool_slot)];                                    \
    } name[count]

/* A run queue: any thread posts, one thread drains (a main loop). All zero but for init.
   Atomic words:
     head      newest posted work, a stack; post release, drain takes all, acquire [P9]
     draining  0 or 1; the drainer's, acq_rel: a second drainer is told BUSY */
typedef struct vts_run_queue {
    vts_scheduler scheduler;
    vts_word head;
    vts_word draining;
    void (*wake)(void *user);
    void *user;
} vts_run_queue;

/* Hears of misuse: the code, its text, the source (or item) and the token given. Runs on
   the misusing thread, before the call returns the code. */
typedef void (*vts_misuse_hook)(void *user, int code, const char *text,
                                const void *source, vts_token token);

/* The calls a value task makes on its source, for vts_set_trace_hook. */
typedef enum vts_trace_event {
    VTS_TRACE_GET_STATUS,
    VTS_TRACE_ON_COMPLETED,
    VTS_TRACE_GET_RESULT
} vts_trace_event;

/* Hears of every call a value task makes on its source, after it returned result. Tasks
   completed in themselves (a value, an error) make none. */
typedef void (*vts_trace_hook)(void *user, vts_trace_event event,
                               const vts_valuetask_source *source, vts_token token,
                               int result);

// ----------------------------------------------------------------------------------
// >>api
// ----------------------------------------------------------------------------------
// Where nothing else is said, a function may be called from any thread, allocates
// nothing, never blocks, and costs a few nanoseconds.

/* The text of a vts_result or vts_status error; never NULL. "unknown error" for others,
   a negative errno among them. */
VTS_API const char *vts_strerror(int result);

/* ---- hooks: set them before other threads use vts; NULL: none ---- */

/* Reports every VTS_E_STALE, NOT_COMPLETED, ALREADY_AWAITED, PENDING, DOUBLE_RETURN and
   FOREIGN from calls a consumer or owner makes. Losing completers are no misuse. */
VTS_API void vts_set_misuse_hook(vts_misuse_hook hook, void *user);

/* What a source of your own reports a misuse with: calls the hook, returns the code. */
VTS_API int vts_report_misuse(int code, const void *source, vts_token token);

/* Traces get_status, on_completed and get_result of value tasks with a source. */
VTS_API void vts_set_trace_hook(vts_trace_hook hook, void *user);

/* ---- source ---- */

/* Makes a bare source idle. ops: NULL for the default, or a table from vts_source_ops_of
   that outlives the source. Owner only; nothing may refer to the source. NULL is
   ignored. */
VTS_API void vts_source_init(vts_source *source, const vts_source_ops *ops);

/* The default operations of a bare source with a scheduler for its continuations:
   fill a table that outlives its sources, give it to vts_source_init. */
VTS_API vts_source_ops vts_source_ops_of(vts_scheduler *run_continuations_asynchronously);

/* Starts a new operation on a bare source and gives its token; every older token is
   stale from then on. Owner only. VTS_E_PENDING if an operation is pending or its
   continuation queued, VTS_E_UNSUPPORTED for a pooled source, VTS_E_ARGUMENT. */
VTS_API int vts_source_reset(vts_source *source, vts_token *token);

/* The current token (Version); 0 if no operation was ever started, or source is NULL. */
VTS_API vts_token vts_source_version(const vts_source *source);

/* Completes the operation: exactly one of all racing completers gets VTS_OK, the others
   VTS_E_ALREADY_COMPLETED, late ones VTS_E_STALE. The continuation runs inside the call
   unless it goes to a scheduler. error must be negative (else VTS_E_ARGUMENT, and the
   operation stays pending); set_canceled takes 0 for VTS_E_CANCELED. The caller must
   not touch the source afterwards. One atomic operation if a continuation waits, else
   two. */
VTS_API int vts_source_set_result(vts_source *source, vts_token token, intptr_t result);
VTS_API int vts_source_set_error(vts_source *source, vts_token token, int error);
VTS_API int vts_source_set_canceled(vts_source *source, vts_token token, int error);

/* set_result in two steps, to write a larger result in place between them: after
   begin_result returned VTS_OK the caller is the completer and must call end_result.
   Errors of begin_result as of set_result; end_result: VTS_E_ARGUMENT if not begun. */
VTS_API int vts_source_begin_result(vts_source *source, vts_token token);
VTS_API int vts_source_end_result(vts_source *source, vts_token token);

/* A vts_status, or VTS_E_STALE, VTS_E_ARGUMENT. */
VTS_API int vts_source_get_status(vts_source *source, vts_token token);

/* Registers what runs at completion. If the operation is completed already, it runs
   before the call returns (or, at the depth limit, when the outermost continuation of
   this thread has returned); if run_continuations_asynchronously names a scheduler that
   is not the current one, it is posted there all the same. VTS_E_STALE,
   VTS_E_ALREADY_AWAITED, VTS_E_ARGUMENT. */
VTS_API int vts_source_on_completed(vts_source *source, vts_token token,
                                    vts_continuation continuation, void *arg,
                                    unsigned flags);

/* Takes the registration back: after VTS_OK the continuation will not run, and another
   may register. VTS_E_NOT_AWAITED if there is none or it is being dispatched (it has
   run or will), VTS_E_STALE, VTS_E_ARGUMENT. */
VTS_API int vts_source_unregister(vts_source *source, vts_token token);

/* The result: VTS_OK and *result (unless NULL), or the operation's error, or
   VTS_E_STALE, VTS_E_NOT_COMPLETED. Never blocks. A bare source may be asked again
   until its reset; a pooled one goes back to its pool, and the token is stale. Of a
   source whose result is not a word: VTS_E_UNSUPPORTED unless result is NULL. */
VTS_API int vts_source_get_result(vts_source *source, vts_token token, intptr_t *result);

/* Ends an operation whose handle nobody has, pending and not awaited: a pooled source
   goes back to its pool, a bare one becomes idle. VTS_E_STALE, VTS_E_ALREADY_COMPLETED,
   VTS_E_ALREADY_AWAITED, VTS_E_ARGUMENT. */
VTS_API int vts_source_abandon(vts_source *source, vts_token token);

/* ---- value task ---- */

/* Completed now: with a result, with an error (negative), canceled (0: VTS_E_CANCELED).
   Nothing is allocated. An error that is not negative becomes VTS_E_ARGUMENT. */
static inline vts_valuetask vts_valuetask_from_result(intptr_t result);
VTS_API vts_valuetask vts_valuetask_from_error(int error);
VTS_API vts_valuetask vts_valuetask_from_canceled(int error);

/* The handle of an operation of any source; of NULL (a rent that gave nothing, say) a
   task that failed with VTS_E_ARGUMENT. */
static inline vts_valuetask vts_valuetask_from_source(vts_valuetask_source *source,
                                                      vts_token token);
static inline vts_valuetask vts_valuetask_of(vts_source *source, vts_token token);

/* A vts_status, or VTS_E_STALE. */
VTS_API int vts_valuetask_get_status(vts_valuetask task);

/* Questions about the status; all false for a stale handle. */
static inline bool vts_valuetask_is_completed(vts_valuetask task);
static inline bool vts_valuetask_is_completed_successfully(vts_valuetask task);
VTS_API bool vts_valuetask_is_faulted(vts_valuetask task);
VTS_API bool vts_valuetask_is_canceled(vts_valuetask task);

/* The result, once: VTS_OK and *result (unless NULL), or the operation's error, or
   VTS_E_STALE, VTS_E_NOT_COMPLETED. Never blocks. Of a typed vts_source, whose result
   is not a word: VTS_E_UNSUPPORTED unless result is NULL. */
static inline int vts_valuetask_get_result(vts_valuetask task, intptr_t *result);

/* Registers what runs at completion (flags: VTS_NONE is ConfigureAwait(false)). Whatever
   the flags, it may have run when the call returns: set up what it needs before. Of a
   completed task it runs before the call returns, or as in vts_source_on_completed.
   VTS_E_STALE, VTS_E_ALREADY_AWAITED, VTS_E_ARGUMENT. */
VTS_API int vts_valuetask_on_completed(vts_valuetask task, vts_continuation continuation,
                                       void *arg, unsigned flags);

/* Takes the registration back; see vts_source_unregister. VTS_E_UNSUPPORTED if the
   source cannot. */
VTS_API int vts_valuetask_unregister(vts_valuetask task);

/* Nobody will ask: takes the result when it comes and drops it, so that a pooled source
   goes home (unregister through a copy of the handle would undo that). VTS_E_STALE,
   VTS_E_ALREADY_AWAITED, VTS_E_UNSUPPORTED if the task is pending and its source
   cannot. Of a source of your own that is completed, the result is taken with its
   get_result, whatever that answers. */
VTS_API int vts_valuetask_forget(vts_valuetask task);

/* Same handle: the same operation, or the same result at once. */
static inline bool vts_valuetask_equals(vts_valuetask a, vts_valuetask b);

/* For typed tasks that have a source (else VTS_E_ARGUMENT): as get_result, into memory of
   the source's result type. */
VTS_API int vts_valuetask_take(vts_valuetask task, void *result);
VTS_API int vts__valuetask_take_word(vts_valuetask task, intptr_t *result);

/* ---- pool ---- */

/* Makes a pool. With storage: over the caller's array, which must outlive it. Without:
   growing. VTS_E_ARGUMENT for a desc that contradicts itself, VTS_E_MEMORY; then the
   pool is all zero, which gives nothing and takes nothing. Touches no item: constant
   time. */
VTS_API int vts_pool_init(vts_pool *pool, const vts_pool_desc *desc);

/* Frees what the pool allocated. VTS_E_BUSY, and nothing is freed, while items are out.
   No handle of the pool may be used afterwards. */
VTS_API int vts_pool_destroy(vts_pool *pool);

/* An item, or NULL if capacity is out or memory is (vts_pool_get tells no difference;
   see vts_pool_outstanding), and always NULL of a pool of sources: rent. An item never
   used before is all zero; later it is as it was put. Lock-free; without an atomic
   operation while the thread's cache has some. */
VTS_API void *vts_pool_get_at(vts_pool *pool, const char *site);
#define vts_pool_get(pool) vts_pool_get_at((pool), VTS_HERE)

/* Gives an item back. VTS_E_DOUBLE_RETURN, VTS_E_FOREIGN (in constant time, without
   touching the memory), VTS_E_ARGUMENT for a source: it returns itself. */
VTS_API int vts_pool_put(vts_pool *pool, void *item);

/* A source with a new operation pending, and its token; NULL as vts_pool_get. It goes
   back when the result is taken (or by vts_source_abandon). */
VTS_API vts_source *vts_pool_rent_at(vts_pool *pool, vts_token *token, const char *site);
#define vts_pool_rent(pool, token) vts_pool_rent_at((pool), (token), VTS_HERE)

/* The same with the continuation registered before anybody can see the operation, which
   saves the two atomic operations of vts_source_on_completed: for calls that are given
   their callback at the start. NULL also for a null continuation. */
VTS_API vts_source *vts_pool_rent_awaited_at(vts_pool *pool, vts_token *token,
                                             vts_continuation continuation, void *arg,
                                             const char *site);
#define vts_pool_rent_awaited(pool, token, continuation, arg)                          \
    vts_pool_rent_awaited_at((pool), (token), (continuation), (arg), VTS_HERE)

/* How many items are out; exact while no other thread uses the pool. Costs a step per
   item carved: getting and putting keep no count. */
VTS_API size_t vts_pool_outstanding(const vts_pool *pool);

/* Calls back for each item that is out with the place where it was rented; returns their
   number. Exact while no other thread uses the pool. Costs a step per item carved. */
VTS_API size_t vts_pool_list_rented(const vts_pool *pool,
                                    void (*report)(void *user, void *item,
                                                   const char *site),
                                    void *user);

/* ---- scheduler, context, run queue ---- */

/* The calling thread's scheduler, NULL if it has none; set returns the previous one. */
VTS_API vts_scheduler *vts_scheduler_current(void);
VTS_API vts_scheduler *vts_scheduler_set_current(vts_scheduler *scheduler);

/* The calling thread's ambient context; set returns the previous one. A continuation
   that flowed its own leaves the thread's as it was; one that did not may change it. */
VTS_API void *vts_context_current(void);
VTS_API void *vts_context_set_current(void *context);

/* For a source of your own: runs a continuation whose operation is completed already,
   inside the call, or at the depth limit when the outermost one of this thread has
   returned. flags as given to on_completed. VTS_OK, VTS_E_ARGUMENT. */
VTS_API int vts_run_continuation(vts_continuation continuation, void *arg,
                                 unsigned flags);

/* Posts work; it belongs to the scheduler until run is entered. */
static inline void vts_scheduler_post(vts_scheduler *scheduler, vts_work *work);

/* Makes a queue (NULL is ignored). wake(user) (or NULL) is called by a post that finds
   the queue empty, on the posting thread: it may set an event or break a wait. */
VTS_API void vts_run_queue_init(vts_run_queue *queue, void (*wake)(void *user),
                                void *user);

/* Runs what was posted before the call, in order, with the queue as current scheduler.
   Returns how many ran; VTS_E_BUSY if a drain is going on (on this thread or another),
   VTS_E_ARGUMENT. */
VTS_API int vts_run_queue_drain(vts_run_queue *queue);

/* True if nothing is posted, or queue is NULL; a snapshot. */
VTS_API bool vts_run_queue_is_empty(const vts_run_queue *queue);

/* ---- the C library's allocator, where there is one ---- */

/* malloc and free; NULL where vts has no C library under it. */
VTS_API const vts_allocator *vts_allocator_default(void);

/* ---- inline parts: only what a result at once needs ---- */

static inline vts_valuetask vts__valuetask_make(vts_valuetask_source *source,
                                                vts_word token)
{
    vts_valuetask task;
    task.source = source;
    task.token = token;
    return task;
}

static inline vts_valuetask vts_valuetask_from_source(vts_valuetask_source *source,
                                                      vts_token token)
{
    if (source == NULL) return vts_valuetask_from_error(VTS_E_ARGUMENT);
    return vts__valuetask_make(source, token);
}

static inline vts_valuetask vts_valuetask_from_result(intptr_t result)
{
    return vts__valuetask_make(NULL, (vts_word)result);
}

static inline vts_valuetask vts_valuetask_of(vts_source *source, vts_token token)
{
    return vts_valuetask_from_source((vts_valuetask_source *)(void *)source, token);
}

static inline bool vts_valuetask_is_completed(vts_valuetask task)
{
    return task.source == NULL || vts_valuetask_get_status(task) > VTS_PENDING;
}

static inline bool vts_valuetask_is_completed_successfully(vts_valuetask task)
{
    return task.source == NULL || vts_valuetask_get_status(task) == VTS_SUCCEEDED;
}

static inline int vts_valuetask_get_result(vts_valuetask task, intptr_t *result)
{
    if (task.source != NULL) return vts__valuetask_take_word(task, result);
    if (result != NULL) *result = (intptr_t)task.token;
    return VTS_OK;
}

static inline bool vts_valuetask_equals(vts_valuetask a, vts_valuetask b)
{
    return a.source == b.source && a.token == b.token;
}

static inline void vts_scheduler_post(vts_scheduler *scheduler, vts_work *work)
{
    scheduler->post(scheduler, work);
}

// ----------------------------------------------------------------------------------
// >>typed
// ----------------------------------------------------------------------------------

/* Private, for the macro below: the operations of a bare source, and the copies between
   a source's word-aligned value and the outside, sizes in bytes. */
VTS_API int vts__op_get_status(vts_valuetask_source *self, vts_token token);
VTS_API int vts__op_on_completed(vts_valuetask_source *self, vts_token token,
                                 vts_continuation continuation, void *arg,
                                 unsigned flags);
VTS_API int vts__op_unregister(vts_valuetask_source *self, vts_token token);
VTS_API int vts__op_forget(vts_valuetask_source *self, vts_token token);
VTS_API void vts__describe_typed(vts_pool_desc *desc, size_t item_size,
                                 size_t value_offset, size_t value_size);
VTS_API int vts__source_read(vts_source *source, vts_token token, void *result,
                             const void *value, size_t size);
VTS_API int vts__source_write(vts_source *source, vts_token token, void *value,
                              const void *result, size_t size);

/* VTS_DECLARE_VALUETASK(name, T), at file scope, declares for any copyable type T

     name_valuetask   a handle {source, token or T}: two words, more if T is larger
     name_source      a vts_source "core" followed by a T "value"

   and these functions, which do what their counterparts for a word do:

     name_valuetask name_from_result(const T *result);
     name_valuetask name_from_error(int error), name_from_canceled(int error);
     name_valuetask name_valuetask_of(name_source *source, vts_token token);
     name_valuetask name_from_source(vts_valuetask_source *source, vts_token token);
     int  name_get_status(name_valuetask task);
     bool name_is_completed, name_is_completed_successfully, name_is_faulted,
          name_is_canceled(name_valuetask task);
     int  name_get_result(name_valuetask task, T *result);
     int  name_on_completed(name_valuetask task, continuation, void *arg, unsigned flags);
     int  name_unregister(name_valuetask task), name_forget(name_valuetask task);
     void name_source_init(name_source *source);                      a bare source
     int  name_reset(name_source *source, vts_token *token);
     int  name_set_result(name_source *source, vts_token token, const T *result);
     vts_pool_desc name_pool_desc(void);                              pooled sources
     name_source *name_rent(vts_pool *pool, vts_token *token, const char *site);
                                                                  site: VTS_HERE

   Error and cancellation: vts_source_set_error(&source->core, token, error), and so on;
   to write the result in place: vts_source_begin_result, source->value, end_result (of a
   bare source only when nobody may still ask for the last result).

   A pooled item may be larger than its source: begin a struct of your own with a
   name_source and set desc.item_size = sizeof your struct in what name_pool_desc gave.
   What an operation needs travels with it then; read it before the completing call. */
#define VTS_DECLARE_VALUETASK(name, T)                                                 \
    typedef struct name##_source {                                                     \
        vts_source core;                                                               \
        T value;                                                                       \
    } name##_source;                                                                   \
    typedef struct name##_valuetask {                                                  \
        vts_valuetask_source *source;                                                  \
        union {                                                                        \
            vts_word token;                                                            \
            T value;                                                                   \
        } as;                                                                          \
    } name##_valuetask;                                                                \
    static inline VTS_UNUSED vts_valuetask name##__plain(const name##_valuetask task)  \
    {                                                                                  \
        return vts__valuetask_make(task.source, task.source ? task.as.token : 0);      \
    }                                                                                  \
    static inline VTS_UNUSED name##_valuetask name##__typed(vts_valuetask plain)       \
    {                                                                                  \
        name##_valuetask task;                                                         \
        task.source = plain.source;                                                    \
        task.as.token = plain.token;                                                   \
        return task;                                                                   \
    }                                                                                  \
    static inline VTS_UNUSED name##_valuetask name##_from_result(const T *result)      \
    {                                                                                  \
        name##_valuetask task;                                                         \
        task.source = NULL;                                                            \
        task.as.value = *result;                                                       \
        return task;                                                                   \
    }                                                                                  \
    static inline VTS_UNUSED name##_valuetask name##_from_error(int error)             \
    {                                                                                  \
        return name##__typed(vts_valuetask_from_error(error));                         \
    }                                                                                  \
    static inline VTS_UNUSED name##_valuetask name##_from_canceled(int error)          \
    {                                                                                  \
        return name##__typed(vts_valuetask_from_canceled(error));                      \
    }                                                                                  \
    static inline VTS_UNUSED name##_valuetask name##_from_source(                      \
        vts_valuetask_source *source, vts_token token)                                 \
    {                                                                                  \
        return name##__typed(vts_valuetask_from_source(source, token));                \
    }                                                                                  \
    static inline VTS_UNUSED name##_valuetask name##_valuetask_of(                     \
        name##_source *source, vts_token token)                                        \
    {                                                                                  \
        return name##_from_source((vts_valuetask_source *)(void *)source, token);      \
    }                                                                                  \
    static inline VTS_UNUSED int name##_get_status(const name##_valuetask task)        \
    {                                                                                  \
        return vts_valuetask_get_status(name##__plain(task));                          \
    }                                                                                  \
    static inline VTS_UNUSED bool name##_is_completed(const name##_valuetask task)     \
    {                                                                                  \
        return vts_valuetask_is_completed(name##__plain(task));                        \
    }                                                                                  \
    static inline VTS_UNUSED bool name##_is_completed_successfully(                    \
        const name##_valuetask task)                                                   \
    {                                                                                  \
        return vts_valuetask_is_completed_successfully(name##__plain(task));           \
    }                                                                                  \
    static inline VTS_UNUSED bool name##_is_faulted(const name##_valuetask task)       \
    {                                                                                  \
        return vts_valuetask_is_faulted(name##__plain(task));                          \
    }                                                                                  \
    static inline VTS_UNUSED bool name##_is_canceled(const name##_valuetask task)      \
    {                                                                                  \
        return vts_valuetask_is_canceled(name##__plain(task));                         \
    }                                                                                  \
    static inline VTS_UNUSED int name##_get_result(const name##_valuetask task, T *result) \
    {                                                                                  \
        if (task.source != NULL) {                                                     \
            return vts_valuetask_take(name##__plain(task), result);                    \
        }                                                                              \
        if (result != NULL) *result = task.as.value;                                   \
        return VTS_OK;                                                                 \
    }                                                                                  \
    static inline VTS_UNUSED int name##_on_completed(                                  \
        const name##_valuetask task, vts_continuation continuation, void *arg,         \
        unsigned flags)                                                                \
    {                                                                                  \
        return vts_valuetask_on_completed(name##__plain(task), continuation, arg,      \
                                          flags);                                      \
    }                                                                                  \
    static inline VTS_UNUSED int name##_unregister(const name##_valuetask task)        \
    {                                                                                  \
        return vts_valuetask_unregister(name##__plain(task));                          \
    }                                                                                  \
    static inline VTS_UNUSED int name##_forget(const name##_valuetask task)            \
    {                                                                                  \
        return vts_valuetask_forget(name##__plain(task));                              \
    }                                                                                  \
    static inline VTS_UNUSED int name##__read(vts_valuetask_source *self,              \
                                              vts_token token, void *result)           \
    {                                                                                  \
        name##_source *source = (name##_source *)(void *)self;                         \
        T value;                                                                       \
        int error = vts__source_read(&source->core, token, &value, &source->value,     \
                                     sizeof value);                                    \
        if (error == VTS_OK && result != NULL) *(T *)result = value;                   \
        return error;                                                                  \
    }                                                                                  \
    static inline VTS_UNUSED void name##_source_init(name##_source *source)            \
    {                                                                                  \
        static const vts_source_ops ops = {                                            \
            vts__op_get_status, vts__op_on_completed, name##__read,                    \
            vts__op_unregister, vts__op_forget,       NULL};                           \
        vts_source_init(&source->core, &ops);                                          \
    }                                                                                  \
    static inline VTS_UNUSED int name##_reset(name##_source *source, vts_token *token) \
    {                                                                                  \
        if (source == NULL) return VTS_E_ARGUMENT;                                     \
        if (source->core.base.ops == NULL) name##_source_init(source);                 \
        return vts_source_reset(&source->core, token);                                 \
    }                                                                                  \
    static inline VTS_UNUSED int name##_set_result(name##_source *source,              \
                                                   vts_token token, const T *result)   \
    {                                                                                  \
        if (source == NULL) return VTS_E_ARGUMENT;                                     \
        return vts__source_write(&source->core, token, &source->value, result,         \
                                 sizeof source->value);                                \
    }                                                                                  \
    static inline VTS_UNUSED vts_pool_desc name##_pool_desc(void)                      \
    {                                                                                  \
        vts_pool_desc desc;                                                            \
        vts__describe_typed(&desc, sizeof(name##_source),                              \
                            offsetof(name##_source, value), sizeof(T));                \
        return desc;                                                                   \
    }                                                                                  \
    static inline VTS_UNUSED name##_source *name##_rent(                               \
        vts_pool *pool, vts_token *token, const char *site)                            \
    {                                                                                  \
        return (name##_source *)(void *)vts_pool_rent_at(pool, token, site);           \
    }                                                                                  \
    typedef name##_valuetask name##__declared

#ifdef __cplusplus
}
#endif

#endif /* VTS_H */

// ----------------------------------------------------------------------------------
// >>implementation
// ----------------------------------------------------------------------------------
#if defined VTS_IMPLEMENTATION && !defined VTS__IMPLEMENTED
#define VTS__IMPLEMENTED

#ifdef __cplusplus
#error "vts: the implementation is C; define VTS_IMPLEMENTATION in a .c file"
#endif

/* Hosted: an operating system with threads and a C library. */
#if defined __unix__ || defined __APPLE__ || defined _WIN32
#define VTS__HOSTED 1
#else
#define VTS__HOSTED 0
#endif

#if VTS__HOSTED && !defined VTS_SINGLE_THREADED
#define VTS__THREAD_LOCAL _Thread_local
#else
#define VTS__THREAD_LOCAL
#endif

#if VTS__HOSTED
#define VTS__INLINE_LIMIT 32u
#else
#define VTS__INLINE_LIMIT 4u
#endif

/* The common case of each hot call is tried first, inline, with an expected word computed
   from the token; what is left goes to one general function. Where code size counts for
   more, only the general function is there. */
#define VTS__FAST VTS__HOSTED

/* Caches need to know when a thread ends. */
#define VTS__CACHED VTS__HOSTED

#if !defined __GNUC__
#error "vts: the implementation needs gcc, clang, or a compiler that is like them"
#elif VTS__FAST
#define VTS__INLINE inline __attribute__((always_inline))
#else
#define VTS__INLINE inline
#endif
#define VTS__NOINLINE __attribute__((noinline))
#define vts__likely(x) __builtin_expect((x) ? 1 : 0, 1)

#define VTS__WORD_BITS (sizeof(vts_word) * 8u)
#define vts__container_of(pointer, type, member)                                       \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

// ----------------------------------------------------------------------------------
// >>atomics
// ----------------------------------------------------------------------------------
// Every memory operation on a shared word goes through these seven; the memory order is
// in the name. rlx: relaxed, acq: acquire, rel: release. A compare-and-swap that fails is
// an acquire load of another value: it must not fail for no reason (unregister, abandon,
// drain and the making of a chunk try once). To replace them all, name a file in
// VTS_ATOMICS_HEADER.

#if defined VTS_ATOMICS_HEADER
#include VTS_ATOMICS_HEADER

#elif defined VTS_SINGLE_THREADED

static VTS__INLINE vts_word vts__load_rlx(const vts_word *p) { return *p; }
static VTS__INLINE vts_word vts__load_acq(const vts_word *p) { return *p; }
static VTS__INLINE void vts__store_rlx(vts_word *p, vts_word v) { *p = v; }
static VTS__INLINE void vts__store_rel(vts_word *p, vts_word v) { *p = v; }

static VTS__INLINE bool vts__cas_acq_rel(vts_word *p, vts_word *expected, vts_word v)
{
    vts_word old = *p;
    if (old == *expected) {
        *p = v;
        return true;
    }
    *expected = old;
    return false;
}

static VTS__INLINE vts_word vts__xchg_acq_rel(vts_word *p, vts_word v)
{
    vts_word old = *p;
    *p = v;
    return old;
}

static VTS__INLINE vts_word vts__add_acq_rel(vts_word *p, vts_word v)
{
    vts_word old = *p;
    *p = old + v;
    return old;
}

#elif defined VTS_CRITICAL_ENTER

/* An aligned word is loaded and stored whole; volatile keeps the compiler from moving
   it. What changes a word in more than one step runs in the critical section. */
static VTS__INLINE vts_word vts__load_rlx(const vts_word *p)
{
    return *(const volatile vts_word *)p;
}

static VTS__INLINE vts_word vts__load_acq(const vts_word *p)
{
    vts_word v = *(const volatile vts_word *)p;
    __asm__ volatile("" ::: "memory");
    return v;
}

static VTS__INLINE void vts__store_rlx(vts_word *p, vts_word v)
{
    *(volatile vts_word *)p = v;
}

static VTS__INLINE void vts__store_rel(vts_word *p, vts_word v)
{
    __asm__ volatile("" ::: "memory");
    *(volatile vts_word *)p = v;
}

static inline bool vts__cas_acq_rel(vts_word *p, vts_word *expected, vts_word v)
{
    unsigned state = (unsigned)VTS_CRITICAL_ENTER();
    vts_word old = *(volatile vts_word *)p;
    bool equal = old == *expected;
    if (equal) *(volatile vts_word *)p = v;
    VTS_CRITICAL_EXIT(state);
    *expected = old;
    return equal;
}

static inline vts_word vts__xchg_acq_rel(vts_word *p, vts_word v)
{
    unsigned state = (unsigned)VTS_CRITICAL_ENTER();
    vts_word old = *(volatile vts_word *)p;
    *(volatile vts_word *)p = v;
    VTS_CRITICAL_EXIT(state);
    return old;
}

static inline vts_word vts__add_acq_rel(vts_word *p, vts_word v)
{
    unsigned state = (unsigned)VTS_CRITICAL_ENTER();
    vts_word old = *(volatile vts_word *)p;
    *(volatile vts_word *)p = old + v;
    VTS_CRITICAL_EXIT(state);
    return old;
}

#elif defined __GCC_HAVE_SYNC_COMPARE_AND_SWAP_4 ||                                    \
    defined __GCC_HAVE_SYNC_COMPARE_AND_SWAP_8

static VTS__INLINE vts_word vts__load_rlx(const vts_word *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static VTS__INLINE vts_word vts__load_acq(const vts_word *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static VTS__INLINE void vts__store_rlx(vts_word *p, vts_word v)
{
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static VTS__INLINE void vts__store_rel(vts_word *p, vts_word v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static VTS__INLINE bool vts__cas_acq_rel(vts_word *p, vts_word *expected, vts_word v)
{
    return __atomic_compare_exchange_n(p, expected, v, 0, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static VTS__INLINE vts_word vts__xchg_acq_rel(vts_word *p, vts_word v)
{
    return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL);
}

static VTS__INLINE vts_word vts__add_acq_rel(vts_word *p, vts_word v)
{
    return __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL);
}

#else
#error "vts: this processor has no compare-and-swap: define VTS_CRITICAL_ENTER() and \
VTS_CRITICAL_EXIT(state) (disable interrupts / restore them), or VTS_SINGLE_THREADED"
#endif

/* Copies that race with a writer without being undefined: word by word, then the rest
   byte by byte; the side inside vts is word-aligned and padded to whole words. Release
   on the way in and acquire on the way out let the reader of a sequence word find out
   ([P3]). The tail loop leaves in the middle so that no compiler makes it a libc call. */
typedef struct vts__unaligned {
    vts_word value;
} __attribute__((packed, may_alias)) vts__unaligned;

static VTS__INLINE void vts__copy_out(void *to, const void *from, size_t size)
{
    const vts_word *word = (const vts_word *)from;
    unsigned char *out = (unsigned char *)to;
    size_t at, i;

    for (at = 0; at + sizeof(vts_word) <= size; at += sizeof(vts_word)) {
        vts_word value = vts__load_acq(word++);
        ((vts__unaligned *)(void *)(out + at))->value = value;
    }
    if (at < size) {
        vts_word value = vts__load_acq(word);
        const unsigned char *bytes = (const unsigned char *)&value;
        for (i = 0; i < sizeof value; i++) {
            if (at + i >= size) return;
            out[at + i] = bytes[i];
        }
    }
}

static VTS__INLINE void vts__copy_in(void *to, const void *from, size_t size)
{
    vts_word *word = (vts_word *)to;
    const unsigned char *in = (const unsigned char *)from;
    vts_word value;
    size_t at, i;

    for (at = 0; at + sizeof value <= size; at += sizeof value) {
        value = ((const vts__unaligned *)(const void *)(in + at))->value;
        vts__store_rel(word++, value);
    }
    if (at < size) {
        unsigned char *bytes = (unsigned char *)&value;
        value = 0;
        for (i = 0; i < sizeof value; i++) {
            if (at + i >= size) break;
            bytes[i] = in[at + i];
        }
        vts__store_rel(word, value);
    }
}

// ----------------------------------------------------------------------------------
// >>hooks
// ----------------------------------------------------------------------------------
static vts_misuse_hook vts__misuse_hook;
static void *vts__misuse_user;
static vts_trace_hook vts__trace_hook;
static void *vts__trace_user;

VTS_API void vts_set_misuse_hook(vts_misuse_hook hook, void *user)
{
    vts__misuse_user = user;
    vts__misuse_hook = hook;
}

VTS_API void vts_set_trace_hook(vts_trace_hook hook, void *user)
{
    vts__trace_user = user;
    vts__trace_hook = hook;
}

VTS_API const char *vts_strerror(int result)
{
    static const char *const text[] = {
        "invalid argument",
        "stale token: the operation is over, its handle was used or kept too long",
        "not completed: the result was taken too early",
        "already completed: another completer was first",
        "already awaited: a continuation is registered for this operation",
        "not awaited: no continuation to take back, or it is being run",
        "still in use: an operation is pending or its continuation is queued",
        "canceled",
        "pool exhausted",
        "out of memory",
        "returned twice: the item is in the pool already",
        "foreign item: it is not of this pool",
        "busy: items are out, or another drain is running",
        "not supported by this source",
    };
    int last = VTS_E_ARGUMENT - (int)(sizeof text / sizeof text[0]);

    if (result == VTS_OK) return "ok";
    if (result > VTS_E_ARGUMENT || result <= last) return "unknown error";
    return text[VTS_E_ARGUMENT - result];
}

static VTS__NOINLINE int vts__misuse(int code, const void *source, vts_token token)
{
    vts_misuse_hook hook = vts__misuse_hook;
    if (hook != NULL) hook(vts__misuse_user, code, vts_strerror(code), source, token);
    return code;
}

VTS_API int vts_report_misuse(int code, const void *source, vts_token token)
{
    return vts__misuse(code, source, token);
}

// ----------------------------------------------------------------------------------
// >>thread
// ----------------------------------------------------------------------------------
// What vts keeps per thread. Without an operating system there is one: interrupts leave
// it as they found it (rule 6).

/* A continuation of a handle that needs no source, past the depth limit: there is no
   source whose link could queue it. Free while work.run is NULL. */
typedef struct vts__late {
    vts_work work;
    vts_continuation continuation;
    void *arg;
    void *context;
} vts__late;

#define VTS__LATE_COUNT 8

typedef struct vts__thread {
    vts_scheduler *scheduler;
    void *context;
    unsigned depth;           /* continuations running inside each other              */
    vts_word number;          /* 1 + bit in the thread map; 0: none                   */
    bool asked;               /* for a number                                         */
    vts_work *first, *last;   /* the trampoline: what waits for depth 0               */
    vts__late late[VTS__LATE_COUNT];
} vts__thread;

static VTS__THREAD_LOCAL vts__thread vts__self;

/* Bit n is set while a thread (or one that looks for stranded items) owns number n:
   set with acquire, cleared with release [P8]. */
static vts_word vts__thread_map;

/* Takes one number, if it is free. */
static bool vts__thread_claim(unsigned n)
{
    vts_word map = vts__load_rlx(&vts__thread_map);
    while ((map >> n & 1u) == 0) {
        if (vts__cas_acq_rel(&vts__thread_map, &map, map | (vts_word)1 << n)) return true;
    }
    return false;
}

static void vts__thread_release(unsigned n)
{
    vts_word map = vts__load_rlx(&vts__thread_map);
    while (!vts__cas_acq_rel(&vts__thread_map, &map, map & ~((vts_word)1 << n))) {}
}

/* Arranges that the number is given back when the thread ends; false if nobody can say
   when that is: then the thread gets no number, and no caches. */
#if defined VTS_SINGLE_THREADED
static bool vts__thread_at_exit(vts__thread *self)
{
    (void)self;
    return true;
}
#elif VTS__HOSTED && !defined _WIN32
static bool vts__thread_at_exit(vts__thread *self); /* >>hosted */
#else
static bool vts__thread_at_exit(vts__thread *self)
{
    (void)self;
    return false;
}
#endif

/* A number for the calling thread, if it has none and there is one left. */
static void vts__thread_ask(vts__thread *self)
{
    unsigned n;

    if (self->asked) return;
    self->asked = true;
    for (n = 0; n < VTS__WORD_BITS; n++) {
        if (!vts__thread_claim(n)) continue;
        self->number = n + 1;
        if (vts__thread_at_exit(self)) return;
        self->number = 0;
        vts__thread_release(n);
        return;
    }
}

VTS_API vts_scheduler *vts_scheduler_current(void) { return vts__self.scheduler; }

VTS_API vts_scheduler *vts_scheduler_set_current(vts_scheduler *scheduler)
{
    vts_scheduler *previous = vts__self.scheduler;
    vts__self.scheduler = scheduler;
    return previous;
}

VTS_API void *vts_context_current(void) { return vts__self.context; }

VTS_API void *vts_context_set_current(void *context)
{
    void *previous = vts__self.context;
    vts__self.context = context;
    return previous;
}

// ----------------------------------------------------------------------------------
// >>dispatch
// ----------------------------------------------------------------------------------

/* A captured context that was NULL; NULL itself says that none was captured. */
static char vts__null_context;

/* Runs what had to wait for the outermost continuation to return. */
static VTS__NOINLINE void vts__trampoline_drain(vts__thread *self)
{
    while (self->first != NULL) {
        vts_work *work = self->first;
        self->first = work->link.next;
        self->depth = 1;
        work->run(work);
        self->depth = 0;
    }
}

static void vts__trampoline_push(vts__thread *self, vts_work *work)
{
    work->link.next = NULL;
    if (self->first == NULL) {
        self->first = work;
    } else {
        self->last->link.next = work;
    }
    self->last = work;
}

static VTS__INLINE bool vts__may_run_inline(const vts__thread *self)
{
    return vts__likely(self->depth < VTS__INLINE_LIMIT);
}

static VTS__INLINE void vts__invoke(vts__thread *self, vts_continuation continuation,
                                    void *arg)
{
    self->depth++;
    continuation(arg);
    if (--self->depth == 0 && self->first != NULL) vts__trampoline_drain(self);
}

/* The same under the context it captured, if it did. */
static VTS__NOINLINE void vts__invoke_in(vts_continuation continuation, void *arg,
                                         void *context)
{
    vts__thread *self = &vts__self;
    void *previous = self->context;

    if (context == NULL) {
        vts__invoke(self, continuation, arg);
        return;
    }
    self->context = context != &vts__null_context ? context : NULL;
    self->depth++;
    continuation(arg);
    self->context = previous;
    if (--self->depth == 0 && self->first != NULL) vts__trampoline_drain(self);
}

static void vts__late_run(vts_work *work)
{
    vts__late *late = vts__container_of(work, vts__late, work);
    vts_continuation continuation = late->continuation;
    void *arg = late->arg;
    void *context = late->context;

    work->run = NULL;
    vts__invoke_in(continuation, arg, context);
}

/* What VTS_FLOW_EXECUTION_CONTEXT captures. */
static void *vts__flowing_context(unsigned flags)
{
    if ((flags & VTS_FLOW_EXECUTION_CONTEXT) == 0) return NULL;
    return vts__self.context != NULL ? vts__self.context : &vts__null_context;
}

/* Runs the continuation of a handle that is completed in itself. At the depth limit it
   waits in one of the thread's few places; when those are taken, it runs all the same:
   a chain uses one place however long it is. */
VTS_API int vts_run_continuation(vts_continuation continuation, void *arg,
                                 unsigned flags)
{
    vts__thread *self = &vts__self;
    vts__late *late = self->late;
    void *context = vts__flowing_context(flags);

    if (continuation == NULL) return VTS_E_ARGUMENT;
    if (!vts__may_run_inline(self)) {
        while (late < self->late + VTS__LATE_COUNT && late->work.run != NULL) late++;
        if (late < self->late + VTS__LATE_COUNT) {
            late->work.run = vts__late_run;
            late->continuation = continuation;
            late->arg = arg;
            late->context = context;
            vts__trampoline_push(self, &late->work);
            return VTS_OK;
        }
    }
    vts__invoke_in(continuation, arg, context);
    return VTS_OK;
}

static void vts__run_queue_post(vts_scheduler *self, vts_work *work)
{
    vts_run_queue *queue = vts__container_of(self, vts_run_queue, scheduler);
    vts_word head = vts__load_rlx(&queue->head);

    do {
        work->link.next = (vts_work *)head;
    } while (!vts__cas_acq_rel(&queue->head, &head, (vts_word)work)); /* [P9] */
    if (head == 0 && queue->wake != NULL) queue->wake(queue->user);
}

VTS_API void vts_run_queue_init(vts_run_queue *queue, void (*wake)(void *user),
                                void *user)
{
    if (queue == NULL) return;
    queue->scheduler.post = vts__run_queue_post;
    queue->head = 0;
    queue->draining = 0;
    queue->wake = wake;
    queue->user = user;
}

VTS_API bool vts_run_queue_is_empty(const vts_run_queue *queue)
{
    return queue == NULL || vts__load_rlx(&queue->head) == 0;
}

/* Oldest first. */
static vts_work *vts__reverse(vts_work *work)
{
    vts_work *reversed = NULL;

    while (work != NULL) {
        vts_work *next = work->link.next;
        work->link.next = reversed;
        reversed = work;
        work = next;
    }
    return reversed;
}

VTS_API int vts_run_queue_drain(vts_run_queue *queue)
{
    vts_word idle = 0;
    vts_scheduler *previous;
    vts_work *work;
    int count = 0;

    if (queue == NULL) return VTS_E_ARGUMENT;
    if (!vts__cas_acq_rel(&queue->draining, &idle, 1)) return VTS_E_BUSY;
    previous = vts_scheduler_set_current(&queue->scheduler);
    work = vts__reverse((vts_work *)vts__xchg_acq_rel(&queue->head, 0)); /* [P9] */
    while (work != NULL) {
        vts_work *next = work->link.next;
        work->run(work);
        work = next;
        count++;
    }
    vts_scheduler_set_current(previous);
    vts__store_rel(&queue->draining, 0);
    return count;
}

// ----------------------------------------------------------------------------------
// >>source
// ----------------------------------------------------------------------------------
// See >>correctness for the protocol; [Pn] are its pairs.

#define VTS__IDLE 0u
#define VTS__PENDING 1u
#define VTS__COMPLETING 2u
#define VTS__SUCCEEDED 3u /* this and the next two: VTS_SUCCEEDED... + 2 */
#define VTS__FAULTED 4u
#define VTS__CANCELED 5u
#define VTS__CONSUMING 6u
#define VTS__CONSUMED 7u
#define VTS__PHASE ((vts_word)7u)

#define VTS__REGISTERING ((vts_word)8u)
#define VTS__AWAITED ((vts_word)16u)
#define VTS__QUEUED ((vts_word)24u)
#define VTS__WAITER ((vts_word)24u)

#define VTS__LOW ((vts_word)31u)

/* The bits a token may have; fewer make a test reach the wrap. */
#ifndef VTS__TOKEN_MASK
#define VTS__TOKEN_MASK (~VTS__LOW)
#endif

_Static_assert(sizeof(vts_source) <= 8 * sizeof(void *), "a source is one cache line");
_Static_assert(sizeof(vts_valuetask) == 2 * sizeof(vts_word), "two words");

static VTS__INLINE unsigned vts__phase(vts_word word)
{
    return (unsigned)(word & VTS__PHASE);
}

static VTS__INLINE bool vts__is_done(vts_word word)
{
    return vts__phase(word) - VTS__SUCCEEDED <= VTS__CANCELED - VTS__SUCCEEDED;
}

/* Not completed yet. */
static VTS__INLINE bool vts__is_open(vts_word word)
{
    return vts__phase(word) - VTS__PENDING <= VTS__COMPLETING - VTS__PENDING;
}

/* The word belongs to the operation, and the operation is not over. */
static VTS__INLINE bool vts__is_current(vts_word word, vts_token token)
{
    return (word & ~VTS__LOW) == token && (vts__is_done(word) || vts__is_open(word));
}

/* REGISTERING or QUEUED: somebody still needs the source after its completion. */
static VTS__INLINE bool vts__is_pinned(vts_word word)
{
    return (word & VTS__REGISTERING) != 0;
}

static VTS__INLINE vts_token vts__next_token(vts_word word)
{
    vts_token token = ((word | VTS__LOW) + 1) & VTS__TOKEN_MASK;
    return vts__likely(token != 0) ? token : VTS__LOW + 1;
}

static void vts__pool_recycle(vts_source *source);
static int vts__pool_return(vts_source *source);
static int vts__op_get_result(vts_valuetask_source *self, vts_token token, void *result);

/* Runs a queued continuation: unpin, then call. */
static void vts__source_run(vts_work *work)
{
    vts_source *source = vts__container_of(work, vts_source, work);
    vts_continuation continuation = source->continuation;
    void *arg = source->arg;
    void *context = source->context;
    vts_word word = vts__add_acq_rel(&source->word, VTS__AWAITED - VTS__QUEUED); /*[P5]*/

    if (vts__phase(word) == VTS__CONSUMED) vts__pool_recycle(source);
    vts__invoke_in(continuation, arg, context);
}

/* Queues a continuation: to a scheduler, or to wait on this thread for depth 0. */
static void vts__queue(vts_source *source, vts_scheduler *scheduler)
{
    if (scheduler != NULL) {
        scheduler->post(scheduler, &source->work);
    } else {
        vts__trampoline_push(&vts__self, &source->work);
    }
}

/* The completer queues the continuation; QUEUED pins the source meanwhile. */
static VTS__NOINLINE int vts__enqueue(vts_source *source, vts_word done)
{
    vts_scheduler *scheduler = source->work.link.scheduler;

    source->work.run = vts__source_run;
    vts__store_rel(&source->word, done + (VTS__QUEUED - VTS__AWAITED)); /* [P2] */
    vts__queue(source, scheduler);
    return VTS_OK;
}

/* With a scheduler, a context, or at the depth limit. */
static VTS__NOINLINE int vts__dispatch_slow(vts_source *source, vts_word done)
{
    vts_continuation continuation = source->continuation;
    void *arg = source->arg;
    void *context = source->context;

    if (source->work.link.scheduler != NULL || !vts__may_run_inline(&vts__self)) {
        return vts__enqueue(source, done);
    }
    vts__store_rel(&source->word, done); /* [P2] */
    vts__invoke_in(continuation, arg, context);
    return VTS_OK;
}

/* The completer found a continuation: publish the word done (AWAITED and a phase), run
   the continuation or queue it. What it needs is read before: afterwards the source may
   be another operation's. */
static VTS__INLINE int vts__dispatch(vts_source *source, vts_word done)
{
    vts__thread *self = &vts__self;
    vts_continuation continuation = source->continuation;
    void *arg = source->arg;
    uintptr_t captured = (uintptr_t)source->work.link.scheduler |
                         (uintptr_t)source->context;

    if (!vts__likely(captured == 0 && vts__may_run_inline(self))) {
        return vts__dispatch_slow(source, done);
    }
    vts__store_rel(&source->word, done); /* [P2] */
    vts__invoke(self, continuation, arg);
    return VTS_OK;
}

/* The completer publishes. It found no continuation when it claimed; one may have come
   since. At most three rounds: the waiter only moves on. */
static VTS__NOINLINE int vts__publish(vts_source *source, vts_word word, unsigned phase)
{
    vts_word done = (word & ~VTS__PHASE) | phase;

    while ((word & VTS__WAITER) != VTS__AWAITED) {
        if (vts__cas_acq_rel(&source->word, &word, done)) return VTS_OK; /* [P2], [P1] */
        done = (word & ~VTS__PHASE) | phase;
    }
    return vts__dispatch(source, done);
}

/* Makes the caller the one completer; *word is the word it holds then. */
static int vts__claim(vts_source *source, vts_token token, vts_word *word)
{
    *word = vts__load_rlx(&source->word);
    while ((*word & ~VTS__LOW) == token && vts__phase(*word) == VTS__PENDING) {
        vts_word claimed = *word + (VTS__COMPLETING - VTS__PENDING);
        if (!vts__cas_acq_rel(&source->word, word, claimed)) continue; /* [P1] */
        *word = claimed;
        return VTS_OK;
    }
    return vts__is_current(*word, token) ? VTS_E_ALREADY_COMPLETED : VTS_E_STALE;
}

static VTS__NOINLINE int vts__complete(vts_source *source, vts_token token,
                                       intptr_t result, unsigned phase)
{
    vts_word word;
    int error;

    if (source == NULL) return VTS_E_ARGUMENT;
    error = vts__claim(source, token, &word);
    if (error != VTS_OK) return error;
    vts__store_rel(&source->result, (vts_word)result); /* [P3] */
    return vts__publish(source, word, phase);
}

/* A swap in the common case of a call; always fails where there are no fast paths. A
   token with low bits is no token. */
static VTS__INLINE bool vts__fast(vts_source *source, vts_token token, vts_word from,
                                  vts_word to)
{
    vts_word expected = token | from;
    return VTS__FAST && vts__likely((token & VTS__LOW) == 0) &&
           vts__likely(vts__cas_acq_rel(&source->word, &expected, token | to));
}

VTS_API int vts_source_set_result(vts_source *source, vts_token token, intptr_t result)
{
    if (source != NULL && vts__fast(source, token, VTS__AWAITED | VTS__PENDING,
                                    VTS__AWAITED | VTS__COMPLETING)) { /* [P1] */
        vts__store_rel(&source->result, (vts_word)result);             /* [P3] */
        return vts__dispatch(source, token | VTS__AWAITED | VTS__SUCCEEDED);
    }
    return vts__complete(source, token, result, VTS__SUCCEEDED);
}

VTS_API int vts_source_set_error(vts_source *source, vts_token token, int error)
{
    if (error >= 0) return VTS_E_ARGUMENT;
    return vts__complete(source, token, error, VTS__FAULTED);
}

VTS_API int vts_source_set_canceled(vts_source *source, vts_token token, int error)
{
    if (error > 0) return VTS_E_ARGUMENT;
    return vts__complete(source, token, error != 0 ? error : VTS_E_CANCELED,
                         VTS__CANCELED);
}

VTS_API int vts_source_begin_result(vts_source *source, vts_token token)
{
    vts_word word;
    return source == NULL ? VTS_E_ARGUMENT : vts__claim(source, token, &word);
}

VTS_API int vts_source_end_result(vts_source *source, vts_token token)
{
    vts_word word;

    if (source == NULL) return VTS_E_ARGUMENT;
    word = vts__load_acq(&source->word); /* [P1] */
    if ((word & ~VTS__LOW) != token || vts__phase(word) != VTS__COMPLETING) {
        return VTS_E_ARGUMENT;
    }
    return vts__publish(source, word, VTS__SUCCEEDED);
}

VTS_API vts_token vts_source_version(const vts_source *source)
{
    return source == NULL ? 0 : vts__load_rlx(&source->word) & ~VTS__LOW;
}

VTS_API int vts__op_get_status(vts_valuetask_source *self, vts_token token)
{
    vts_source *source = (vts_source *)(void *)self;
    vts_word word = vts__load_acq(&source->word); /* [P2] */

    if (!vts__is_current(word, token)) return vts__misuse(VTS_E_STALE, self, token);
    if (vts__is_open(word)) return VTS_PENDING;
    return (int)(vts__phase(word) - VTS__SUCCEEDED) + VTS_SUCCEEDED;
}

VTS_API int vts_source_get_status(vts_source *source, vts_token token)
{
    return source == NULL ? VTS_E_ARGUMENT : vts__op_get_status(&source->base, token);
}

/* Registering ends: announce the continuation, or find the operation completed and
   dispatch it here. Five rounds at most: the phase only moves on. */
static VTS__NOINLINE int vts__announce(vts_source *source, vts_word word)
{
    vts__thread *self = &vts__self;
    vts_continuation continuation = source->continuation;
    void *arg = source->arg;
    void *context = source->context;
    vts_scheduler *scheduler = source->work.link.scheduler;

    while (vts__is_open(word)) {
        vts_word awaited = word + (VTS__AWAITED - VTS__REGISTERING);
        if (vts__cas_acq_rel(&source->word, &word, awaited)) return VTS_OK; /* [P1] */
    }
    if ((scheduler != NULL && scheduler != self->scheduler) ||
        !vts__may_run_inline(self)) {
        source->work.run = vts__source_run;
        vts__add_acq_rel(&source->word, VTS__QUEUED - VTS__REGISTERING); /* [P5] */
        vts__queue(source, scheduler);
        return VTS_OK;
    }
    word = vts__add_acq_rel(&source->word, VTS__AWAITED - VTS__REGISTERING); /* [P5] */
    if (vts__phase(word) == VTS__CONSUMED) vts__pool_recycle(source);
    vts__invoke_in(continuation, arg, context);
    return VTS_OK;
}

/* A flag of vts__register alone: the token itself travels as the context. */
#define VTS__FLOW_TOKEN 0x80000000u

static void *vts__captured_context(vts_token token, unsigned flags)
{
    if ((flags & VTS__FLOW_TOKEN) != 0) return (void *)(uintptr_t)token;
    return vts__flowing_context(flags);
}

/* What the registration captures; the caller holds REGISTERING. */
static VTS__INLINE void vts__capture(vts_source *source, vts_token token,
                                     vts_continuation continuation, void *arg,
                                     unsigned flags)
{
    vts_scheduler *scheduler = NULL;

    if ((flags & VTS_USE_SCHEDULING_CONTEXT) != 0) scheduler = vts__self.scheduler;
    if (scheduler == NULL) scheduler = source->base.ops->run_continuations_asynchronously;
    source->continuation = continuation;
    source->arg = arg;
    source->context = vts__captured_context(token, flags);
    source->work.link.scheduler = scheduler;
}

/* Two swaps: the first makes one registration of many, so that the fields have one
   writer; the second, in announce, meets the completer. */
static VTS__NOINLINE int vts__register(vts_source *source, vts_token token,
                                       vts_continuation continuation, void *arg,
                                       unsigned flags)
{
    vts_word word = vts__load_rlx(&source->word);

    if (continuation == NULL) return VTS_E_ARGUMENT;
    while (vts__is_current(word, token) && (word & VTS__WAITER) == 0) {
        vts_word claimed = word + VTS__REGISTERING;
        if (!vts__cas_acq_rel(&source->word, &word, claimed)) continue; /* [P2], [P4] */
        vts__capture(source, token, continuation, arg, flags);
        return vts__announce(source, claimed);
    }
    return vts__misuse(vts__is_current(word, token) ? VTS_E_ALREADY_AWAITED : VTS_E_STALE,
                       source, token);
}

VTS_API int vts__op_on_completed(vts_valuetask_source *self, vts_token token,
                                 vts_continuation continuation, void *arg,
                                 unsigned flags)
{
    vts_source *source = (vts_source *)(void *)self;
    vts_word word = token | VTS__REGISTERING | VTS__PENDING;

    flags &= VTS_USE_SCHEDULING_CONTEXT | VTS_FLOW_EXECUTION_CONTEXT;
    if (continuation == NULL || flags != VTS_NONE ||
        !vts__fast(source, token, VTS__PENDING, VTS__REGISTERING | VTS__PENDING)) {
        return vts__register(source, token, continuation, arg, flags);
    }
    vts__capture(source, token, continuation, arg, VTS_NONE);
    if (vts__likely(vts__cas_acq_rel(&source->word, &word,
                                     token | VTS__AWAITED | VTS__PENDING))) {
        return VTS_OK; /* [P1] */
    }
    return vts__announce(source, word);
}

VTS_API int vts_source_on_completed(vts_source *source, vts_token token,
                                    vts_continuation continuation, void *arg,
                                    unsigned flags)
{
    if (source == NULL) return VTS_E_ARGUMENT;
    return vts__op_on_completed(&source->base, token, continuation, arg, flags);
}

VTS_API int vts__op_unregister(vts_valuetask_source *self, vts_token token)
{
    vts_source *source = (vts_source *)(void *)self;
    vts_word word = token | VTS__AWAITED | VTS__PENDING;

    if ((token & VTS__LOW) == 0 &&
        vts__cas_acq_rel(&source->word, &word, token | VTS__PENDING)) { /* [P4] */
        return VTS_OK;
    }
    if (vts__is_current(word, token)) return VTS_E_NOT_AWAITED;
    return vts__misuse(VTS_E_STALE, source, token);
}

VTS_API int vts_source_unregister(vts_source *source, vts_token token)
{
    return source == NULL ? VTS_E_ARGUMENT : vts__op_unregister(&source->base, token);
}

/* Why a result is not to be had. */
static VTS__NOINLINE int vts__no_result(vts_source *source, vts_token token,
                                        vts_word word)
{
    bool open = vts__is_current(word, token) && vts__is_open(word);
    return vts__misuse(open ? VTS_E_NOT_COMPLETED : VTS_E_STALE, source, token);
}

/* The result of a bare source: read, then look whether it was still this operation's. */
VTS_API int vts__source_read(vts_source *source, vts_token token, void *result,
                             const void *value, size_t size)
{
    vts_word word = vts__load_acq(&source->word); /* [P2] */
    vts_word error, after;

    if (!vts__is_current(word, token) || !vts__is_done(word)) {
        return vts__no_result(source, token, word);
    }
    error = vts__load_acq(&source->result); /* [P3] */
    if (vts__phase(word) == VTS__SUCCEEDED) {
        vts__copy_out(result, value, size); /* [P3] */
    }
    after = vts__load_rlx(&source->word);
    if (((word ^ after) & ~VTS__WAITER) != 0) return vts__no_result(source, token, after);
    return vts__phase(word) == VTS__SUCCEEDED ? VTS_OK : (int)(intptr_t)error;
}

/* A word that succeeded, without the general copy. */
static VTS__INLINE bool vts__read_word(const vts_source *source, vts_token token,
                                       vts_word *value)
{
    vts_word word = vts__load_acq(&source->word) & ~VTS__WAITER; /* [P2] */

    if (!VTS__FAST || !vts__likely(word - token == VTS__SUCCEEDED)) return false;
    *value = vts__load_acq(&source->result); /* [P3] */
    return vts__likely((vts__load_rlx(&source->word) & ~VTS__WAITER) == word) &&
           (token & VTS__LOW) == 0;
}

static int vts__op_get_result(vts_valuetask_source *self, vts_token token, void *result)
{
    vts_source *source = (vts_source *)(void *)self;
    vts_word value;
    int error = VTS_OK;

    if (!vts__read_word(source, token, &value)) {
        error = vts__source_read(source, token, &value, &source->result, sizeof value);
    }
    if (error == VTS_OK && result != NULL) *(intptr_t *)result = (intptr_t)value;
    return error;
}

/* Makes the caller the one consumer of a pooled source; *word is what it found. A source
   that nobody else needs is idle then, and the caller's to return; a pinned one waits
   in CONSUMING. */
static int vts__consume(vts_source *source, vts_token token, vts_word *word)
{
    *word = vts__load_rlx(&source->word);
    while (vts__is_current(*word, token) && vts__is_done(*word)) {
        vts_word claimed = token | VTS__IDLE;
        if (vts__is_pinned(*word)) claimed = (*word & ~VTS__PHASE) | VTS__CONSUMING;
        if (vts__cas_acq_rel(&source->word, word, claimed)) return VTS_OK; /* [P2] */
    }
    return vts__no_result(source, token, *word);
}

/* The consumer is done: back to the pool, by whoever needs the source last. */
static void vts__consumed(vts_source *source, vts_word word)
{
    word = (word & ~VTS__PHASE) | VTS__CONSUMING;
    while (vts__is_pinned(word)) {
        if (vts__cas_acq_rel(&source->word, &word, word | VTS__CONSUMED)) return; /*[P5]*/
    }
    vts__pool_recycle(source);
}

/* The result of a pooled source of any type; a word if the pool is told none. */
static VTS__NOINLINE int vts__pooled_take(vts_valuetask_source *self, vts_token token,
                                          void *result)
{
    vts_source *source = (vts_source *)(void *)self;
    const vts_pool *pool = vts__container_of((uintptr_t)self->ops, vts_pool, ops);
    vts_word word, value;
    int error = vts__consume(source, token, &word);

    if (error != VTS_OK) return error;
    value = vts__load_rlx(&source->result);
    if (vts__phase(word) == VTS__SUCCEEDED && result != NULL) {
        vts__copy_out(result, (const char *)source + pool->value_offset,
                      pool->value_size);
    }
    vts__consumed(source, word);
    return vts__phase(word) == VTS__SUCCEEDED ? VTS_OK : (int)(intptr_t)value;
}

static VTS__INLINE int vts__pooled_word(vts_source *source, vts_token token, void *result)
{
    if (!vts__fast(source, token, VTS__AWAITED | VTS__SUCCEEDED, VTS__IDLE)) { /* [P2] */
        return vts__pooled_take(&source->base, token, result);
    }
    if (result != NULL) *(intptr_t *)result = (intptr_t)vts__load_rlx(&source->result);
    return vts__pool_return(source);
}

static int vts__pooled_get_result(vts_valuetask_source *self, vts_token token,
                                  void *result)
{
    return vts__pooled_word((vts_source *)(void *)self, token, result);
}

static bool vts__is_pooled(const vts_source *source)
{
    return source->base.ops->get_result == vts__pooled_get_result ||
           source->base.ops->get_result == vts__pooled_take;
}

/* A typed source's result does not fit a word: it is taken through its typed handle. */
static bool vts__has_word_result(const vts_source *source)
{
    return source->base.ops->get_result == vts__pooled_get_result ||
           source->base.ops->get_result == vts__op_get_result;
}

VTS_API int vts__source_write(vts_source *source, vts_token token, void *value,
                              const void *result, size_t size)
{
    int error;

    if (result == NULL) return VTS_E_ARGUMENT;
    if (source->base.ops == NULL) return VTS_E_STALE;
    if (vts__has_word_result(source)) return VTS_E_UNSUPPORTED;
    error = vts_source_begin_result(source, token);
    if (error != VTS_OK) return error;
    vts__copy_in(value, result, size); /* [P3] */
    return vts_source_end_result(source, token);
}

VTS_API int vts_source_get_result(vts_source *source, vts_token token, intptr_t *result)
{
    if (source == NULL) return VTS_E_ARGUMENT;
    if (source->base.ops == NULL) return vts__misuse(VTS_E_STALE, source, token);
    if (VTS__FAST && vts__likely(source->base.ops->get_result == vts__pooled_get_result)) {
        return vts__pooled_word(source, token, result);
    }
    if (result != NULL && !vts__has_word_result(source)) return VTS_E_UNSUPPORTED;
    return source->base.ops->get_result(&source->base, token, result);
}

/* The token travels as the captured context, which the continuation runs under. */
static void vts__forget_run(void *arg)
{
    vts_source *source = (vts_source *)arg;
    vts_token token = (vts_token)(uintptr_t)vts__self.context;
    source->base.ops->get_result(&source->base, token, NULL);
}

/* Of a completed operation at once, so that of racing consumers one wins; a bare source
   has nothing to give back. */
VTS_API int vts__op_forget(vts_valuetask_source *self, vts_token token)
{
    vts_source *source = (vts_source *)(void *)self;
    vts_word word = vts__load_rlx(&source->word);
    int error = VTS_OK;

    if (!vts__is_current(word, token) || !vts__is_done(word)) {
        return vts__register(source, token, vts__forget_run, source, VTS__FLOW_TOKEN);
    }
    if (vts__is_pooled(source)) {
        error = vts__consume(source, token, &word);
        if (error == VTS_OK) vts__consumed(source, word);
    }
    return error;
}

VTS_API int vts_source_abandon(vts_source *source, vts_token token)
{
    vts_word word = token | VTS__PENDING;

    if (source == NULL) return VTS_E_ARGUMENT;
    if ((token & VTS__LOW) != 0 || !vts__cas_acq_rel(&source->word, &word, token)) {
        if (!vts__is_current(word, token)) return vts__misuse(VTS_E_STALE, source, token);
        if (vts__phase(word) != VTS__PENDING) return VTS_E_ALREADY_COMPLETED;
        return vts__misuse(VTS_E_ALREADY_AWAITED, source, token);
    }
    if (vts__is_pooled(source)) vts__pool_recycle(source);
    return VTS_OK;
}

static void vts__fill_ops(vts_source_ops *ops, vts_scheduler *scheduler)
{
    ops->get_status = vts__op_get_status;
    ops->on_completed = vts__op_on_completed;
    ops->get_result = vts__op_get_result;
    ops->unregister = vts__op_unregister;
    ops->forget = vts__op_forget;
    ops->run_continuations_asynchronously = scheduler;
}

VTS_API vts_source_ops vts_source_ops_of(vts_scheduler *run_continuations_asynchronously)
{
    vts_source_ops ops;
    vts__fill_ops(&ops, run_continuations_asynchronously);
    return ops;
}

static const vts_source_ops vts__source_ops = {
    vts__op_get_status, vts__op_on_completed, vts__op_get_result,
    vts__op_unregister, vts__op_forget,       NULL};

VTS_API void vts_source_init(vts_source *source, const vts_source_ops *ops)
{
    if (source == NULL) return;
    source->base.ops = ops != NULL ? ops : &vts__source_ops;
    vts__store_rlx(&source->word, 0);
    vts__store_rlx(&source->result, 0);
}

VTS_API int vts_source_reset(vts_source *source, vts_token *token)
{
    vts_word word;
    vts_token next;

    if (source == NULL || token == NULL) return VTS_E_ARGUMENT;
    if (source->base.ops != &vts__source_ops) {
        if (source->base.ops == NULL) source->base.ops = &vts__source_ops;
        if (vts__is_pooled(source)) return VTS_E_UNSUPPORTED;
    }
    word = vts__load_rlx(&source->word);
    do {
        if (vts__is_open(word) || vts__is_pinned(word)) {
            return vts__misuse(VTS_E_PENDING, source, word & ~VTS__LOW);
        }
        next = vts__next_token(word);
    } while (!vts__cas_acq_rel(&source->word, &word, next | VTS__PENDING));
    *token = next;
    return VTS_OK;
}

// ----------------------------------------------------------------------------------
// >>valuetask
// ----------------------------------------------------------------------------------

/* A task that failed or was canceled at once: one of two constant sources, the error in
   place of the token. It does not go stale: there is nothing it could be confused with. */
static int vts__failed_get_status(vts_valuetask_source *self, vts_token token)
{
    (void)self;
    (void)token;
    return VTS_FAULTED;
}

static int vts__canceled_get_status(vts_valuetask_source *self, vts_token token)
{
    (void)self;
    (void)token;
    return VTS_CANCELED;
}

static int vts__failed_on_completed(vts_valuetask_source *self, vts_token token,
                                    vts_continuation continuation, void *arg,
                                    unsigned flags)
{
    (void)self;
    (void)token;
    return vts_run_continuation(continuation, arg, flags);
}

static int vts__failed_get_result(vts_valuetask_source *self, vts_token token,
                                  void *result)
{
    (void)self;
    (void)result;
    return (int)(intptr_t)token;
}

static int vts__failed_unregister(vts_valuetask_source *self, vts_token token)
{
    (void)self;
    (void)token;
    return VTS_E_NOT_AWAITED;
}

static const vts_source_ops vts__failed_ops = {
    vts__failed_get_status, vts__failed_on_completed, vts__failed_get_result,
    vts__failed_unregister, NULL,                     NULL};
static const vts_source_ops vts__canceled_ops = {
    vts__canceled_get_status, vts__failed_on_completed, vts__failed_get_result,
    vts__failed_unregister,   NULL,                     NULL};
static vts_valuetask_source vts__failed_source = {&vts__failed_ops};
static vts_valuetask_source vts__canceled_source = {&vts__canceled_ops};

VTS_API vts_valuetask vts_valuetask_from_error(int error)
{
    if (error >= 0) error = VTS_E_ARGUMENT;
    return vts_valuetask_from_source(&vts__failed_source, (vts_word)(intptr_t)error);
}

VTS_API vts_valuetask vts_valuetask_from_canceled(int error)
{
    if (error > 0) return vts_valuetask_from_error(error);
    if (error == 0) error = VTS_E_CANCELED;
    return vts_valuetask_from_source(&vts__canceled_source, (vts_word)(intptr_t)error);
}

/* A zeroed source has no operation: whatever is asked of it is stale. */
static int vts__none_get_status(vts_valuetask_source *self, vts_token token)
{
    return vts__misuse(VTS_E_STALE, self, token);
}

static int vts__none_on_completed(vts_valuetask_source *self, vts_token token,
                                  vts_continuation continuation, void *arg,
                                  unsigned flags)
{
    (void)arg;
    (void)flags;
    if (continuation == NULL) return VTS_E_ARGUMENT;
    return vts__misuse(VTS_E_STALE, self, token);
}

static int vts__none_get_result(vts_valuetask_source *self, vts_token token, void *result)
{
    (void)result;
    return vts__misuse(VTS_E_STALE, self, token);
}

static const vts_source_ops vts__none_ops = {
    vts__none_get_status, vts__none_on_completed, vts__none_get_result,
    vts__none_get_status, vts__none_get_status,   NULL};

static VTS__INLINE const vts_source_ops *vts__ops(vts_valuetask task)
{
    return vts__likely(task.source->ops != NULL) ? task.source->ops : &vts__none_ops;
}

static bool vts__is_known_failure(const vts_valuetask_source *source)
{
    return source == &vts__failed_source || source == &vts__canceled_source;
}

static int vts__trace(vts_trace_event event, vts_valuetask task, int result)
{
    vts_trace_hook hook = vts__trace_hook;
    if (hook != NULL && !vts__is_known_failure(task.source)) {
        hook(vts__trace_user, event, task.source, task.token, result);
    }
    return result;
}

static int vts__get_status_traced(vts_valuetask task)
{
    int status = vts__ops(task)->get_status(task.source, task.token);
    return vts__trace(VTS_TRACE_GET_STATUS, task, status);
}

VTS_API int vts_valuetask_get_status(vts_valuetask task)
{
    if (task.source == NULL) return VTS_SUCCEEDED;
    if (!vts__likely(vts__trace_hook == NULL)) return vts__get_status_traced(task);
    return vts__ops(task)->get_status(task.source, task.token);
}

VTS_API bool vts_valuetask_is_faulted(vts_valuetask task)
{
    return vts_valuetask_get_status(task) == VTS_FAULTED;
}

VTS_API bool vts_valuetask_is_canceled(vts_valuetask task)
{
    return vts_valuetask_get_status(task) == VTS_CANCELED;
}

static int vts__take_traced(vts_valuetask task, void *result)
{
    int error = vts__ops(task)->get_result(task.source, task.token, result);
    return vts__trace(VTS_TRACE_GET_RESULT, task, error);
}

VTS_API int vts_valuetask_take(vts_valuetask task, void *result)
{
    if (task.source == NULL) return VTS_E_ARGUMENT;
    if (!vts__likely(vts__trace_hook == NULL)) return vts__take_traced(task, result);
    return vts__ops(task)->get_result(task.source, task.token, result);
}

/* A vts_source whose result a word does not hold must not write it there. */
VTS_API int vts__valuetask_take_word(vts_valuetask task, intptr_t *result)
{
    const vts_source_ops *ops = vts__ops(task);

    if (result != NULL && ops->on_completed == vts__op_on_completed &&
        !vts__has_word_result((const vts_source *)(const void *)task.source)) {
        return VTS_E_UNSUPPORTED;
    }
    return vts_valuetask_take(task, result);
}

static int vts__on_completed_traced(vts_valuetask task, vts_continuation continuation,
                                    void *arg, unsigned flags)
{
    int error = vts__ops(task)->on_completed(task.source, task.token, continuation, arg,
                                             flags);
    return vts__trace(VTS_TRACE_ON_COMPLETED, task, error);
}

VTS_API int vts_valuetask_on_completed(vts_valuetask task, vts_continuation continuation,
                                       void *arg, unsigned flags)
{
    if (task.source == NULL) return vts_run_continuation(continuation, arg, flags);
    if (!vts__likely(vts__trace_hook == NULL)) {
        return vts__on_completed_traced(task, continuation, arg, flags);
    }
    return vts__ops(task)->on_completed(task.source, task.token, continuation, arg, flags);
}

VTS_API int vts_valuetask_unregister(vts_valuetask task)
{
    const vts_source_ops *ops;

    if (task.source == NULL) return VTS_E_NOT_AWAITED;
    ops = vts__ops(task);
    if (ops->unregister == NULL) return VTS_E_UNSUPPORTED;
    return ops->unregister(task.source, task.token);
}

VTS_API int vts_valuetask_forget(vts_valuetask task)
{
    const vts_source_ops *ops;
    int status;

    if (task.source == NULL) return VTS_OK;
    ops = vts__ops(task);
    if (ops->forget == vts__op_forget) return ops->forget(task.source, task.token);
    status = ops->get_status(task.source, task.token);
    if (status < 0) return status;
    if (status != VTS_PENDING) {
        ops->get_result(task.source, task.token, NULL);
        return VTS_OK;
    }
    if (ops->forget == NULL) return VTS_E_UNSUPPORTED;
    return ops->forget(task.source, task.token);
}

// ----------------------------------------------------------------------------------
// >>pool
// ----------------------------------------------------------------------------------
// Items lie in chunks, a slot behind each. Free ones hang together in batches: chains
// through slot->next. The shared list is a stack of batches; its head names the first
// slot of the first batch by index, beside a tag that every change increases. In front
// of it stand per-thread caches of two batches, which only their owner touches.

#define VTS__HALF (sizeof(vts_word) * 4u)
#define VTS__HALF_MASK (((vts_word)1 << VTS__HALF) - 1)

/* The bits the head's tag may have; fewer make a test reach the wrap. */
#ifndef VTS__TAG_MASK
#define VTS__TAG_MASK VTS__HALF_MASK
#endif

#define VTS__CACHE_BATCH 32u

/* A thread's cache: its owner's alone; counts are looked at (relaxed) by threads that run
   out; passed on by [P8]. */
typedef struct vts_pool_cache {
    vts_word first, count;             /* of the batch in use                         */
    vts_word spare, spare_count;       /* a whole one, or 0                           */
    vts_word near, near_count;         /* carved items of a chunk this thread put to  */
    unsigned char pad[64 - 6 * sizeof(vts_word)]; /* a line each: no false sharing    */
} vts_pool_cache;

#define VTS__CACHES (VTS__WORD_BITS + 1)
#define VTS__CACHE_MASK ((vts_word)VTS__WORD_BITS * 2 - 1)

static VTS__INLINE bool vts__has_caches(const vts_pool *pool)
{
    return VTS__CACHED && pool->cache_mask != 0;
}

/* Cache [0] of a pool without caches. */
static vts_pool_cache vts__no_cache = {0, ~(vts_word)0, 0, 0, 0, 0, {0}};

static void vts__zero(void *memory, size_t size)
{
    vts_word *word = (vts_word *)memory;
    size_t i;
    for (i = 0; i < size / sizeof *word; i++) vts__store_rlx(&word[i], 0);
}

static VTS__INLINE vts_pool_slot *vts__slot_of(vts_word word)
{
    return (vts_pool_slot *)(uintptr_t)word;
}

static VTS__INLINE void *vts__slot_item(const vts_pool *pool, vts_pool_slot *slot)
{
    return (char *)slot - pool->slot_offset;
}

/* Chunk 0 holds the first 1 << first_shift items, chunk k as many as all before it. */
static uint32_t vts__chunk_start(const vts_pool *pool, unsigned k)
{
    return k == 0 ? 0 : (uint32_t)1 << (pool->first_shift + k - 1);
}

static uint32_t vts__chunk_end(const vts_pool *pool, unsigned k)
{
    uint32_t rest = pool->capacity >> pool->first_shift >> k;
    return rest != 0 ? (uint32_t)1 << (pool->first_shift + k) : pool->capacity;
}

static unsigned vts__chunk_of(const vts_pool *pool, uint32_t index)
{
    unsigned k = 0;
    for (index >>= pool->first_shift; index != 0; index >>= 1) k++;
    return k;
}

static vts_pool_slot *vts__slot_at(const vts_pool *pool, uint32_t index)
{
    unsigned k = vts__chunk_of(pool, index);
    char *base = (char *)(uintptr_t)vts__load_acq(&pool->chunk[k]); /* [P7] */
    base += (size_t)(index - vts__chunk_start(pool, k)) * pool->stride;
    return (vts_pool_slot *)(void *)(base + pool->slot_offset);
}

/* The head's next tag, in its place. */
static VTS__INLINE vts_word vts__next_tag(vts_word head)
{
    return (((head >> VTS__HALF) + 1) & VTS__TAG_MASK) << VTS__HALF;
}

/* Pushes a batch with one swap. */
static void vts__push_batch(vts_pool *pool, vts_pool_slot *first)
{
    vts_word index = vts__load_rlx(&first->link) & VTS__HALF_MASK;
    vts_word head = vts__load_rlx(&pool->head);
    vts_word next;

    do {
        vts__store_rlx(&first->link, head << VTS__HALF | index);
        next = vts__next_tag(head) | (index + 1);
    } while (!vts__cas_acq_rel(&pool->head, &head, next)); /* [P6] */
}

/* Pops a batch, or NULL. A slot read here may be another's by now: then the tag moved. */
static vts_pool_slot *vts__pop_batch(vts_pool *pool)
{
    vts_word head = vts__load_acq(&pool->head); /* [P6] */

    while ((head & VTS__HALF_MASK) != 0) {
        uint32_t index = (uint32_t)((head & VTS__HALF_MASK) - 1);
        vts_pool_slot *first = vts__slot_at(pool, index);
        vts_word below = vts__load_rlx(&first->link) >> VTS__HALF;
        vts_word next = vts__next_tag(head) | below;
        if (vts__cas_acq_rel(&pool->head, &head, next)) return first;
    }
    return NULL;
}

/* Makes sure that chunk k is there; of several threads that allocate it, one wins. The
   raw address lies in the word before the aligned chunk. */
static bool vts__need_chunk(vts_pool *pool, unsigned k)
{
    size_t size = (vts__chunk_end(pool, k) - vts__chunk_start(pool, k)) * pool->stride;
    vts_word none = 0, chunk;
    void *raw;

    if (vts__load_acq(&pool->chunk[k]) != 0) return true;
    size += 64 + sizeof(vts_word);
    raw = pool->allocator.alloc(pool->allocator.user, size);
    if (raw == NULL) return false;
    chunk = ((vts_word)(uintptr_t)raw + sizeof(vts_word) + 63) & ~(vts_word)63;
    ((vts_word *)(uintptr_t)chunk)[-1] = (vts_word)(uintptr_t)raw;
    if (!vts__cas_acq_rel(&pool->chunk[k], &none, chunk) && /* [P7] */
        pool->allocator.free != NULL) {
        pool->allocator.free(pool->allocator.user, raw, size);
    }
    return true;
}

/* Makes count untouched items into a chain. */
static vts_pool_slot *vts__chain(vts_pool *pool, uint32_t index, uint32_t count)
{
    vts_pool_slot *first = NULL;

    for (index += count; count > 0; count--) {
        vts_pool_slot *slot = vts__slot_at(pool, --index);
        void *item = vts__slot_item(pool, slot);
        vts__zero(item, pool->slot_offset);
        if (pool->source) ((vts_source *)item)->base.ops = &pool->ops;
        vts__store_rlx(&slot->link, index);
        vts__store_rlx(&slot->next, (vts_word)(uintptr_t)first);
        first = slot;
    }
    return first;
}

/* Up to count items never used before, of one chunk; NULL if there are none left or no
   memory for them. */
static vts_pool_slot *vts__carve(vts_pool *pool, uint32_t count)
{
    vts_word fresh = vts__load_rlx(&pool->fresh);

    while (fresh < pool->capacity) {
        unsigned k = vts__chunk_of(pool, (uint32_t)fresh);
        uint32_t left = vts__chunk_end(pool, k) - (uint32_t)fresh;
        if (!vts__need_chunk(pool, k)) return NULL;
        if (left > count) left = count;
        if (vts__cas_acq_rel(&pool->fresh, &fresh, fresh + left)) {
            return vts__chain(pool, (uint32_t)fresh, left);
        }
    }
    return NULL;
}

/* What an ended thread left in its cache; the number is claimed while looking. */
static vts_pool_slot *vts__scavenge(vts_pool *pool)
{
    vts_pool_slot *found = NULL;
    unsigned n;

    for (n = 0; vts__has_caches(pool) && found == NULL && n < VTS__WORD_BITS; n++) {
        vts_pool_cache *cache = &pool->caches[n + 1];
        if (vts__load_rlx(&cache->count) + vts__load_rlx(&cache->spare_count) == 0) continue;
        if (!vts__thread_claim(n)) continue; /* [P8] */
        if (cache->spare != 0) vts__push_batch(pool, vts__slot_of(cache->spare));
        found = vts__slot_of(cache->first);
        cache->spare = cache->first = 0;
        vts__store_rlx(&cache->spare_count, 0);
        vts__store_rlx(&cache->count, 0);
        vts__thread_release(n);
    }
    return found != NULL ? found : vts__pop_batch(pool);
}

/* A chain of free items from wherever there are some: a batch, or up to count new ones. */
static VTS__NOINLINE vts_pool_slot *vts__find_free(vts_pool *pool, uint32_t count)
{
    vts_pool_slot *first = vts__pop_batch(pool);

    if (first == NULL) first = vts__carve(pool, count);
    return first != NULL ? first : vts__scavenge(pool);
}

/* The calling thread's cache; [0] if it has none. */
static VTS__INLINE vts_pool_cache *vts__cache(const vts_pool *pool)
{
    return &pool->caches[vts__self.number & pool->cache_mask];
}

/* From the shared list, past the caches; of a batch the rest goes back. */
static vts_pool_slot *vts__get_shared(vts_pool *pool)
{
    vts_pool_slot *slot = vts__find_free(pool, 1);
    vts_word rest = slot != NULL ? vts__load_rlx(&slot->next) : 0;

    if (rest != 0) vts__push_batch(pool, vts__slot_of(rest));
    return slot;
}

/* Fills an empty cache. */
static void vts__refill(vts_pool *pool, vts_pool_cache *cache)
{
    vts_word count = cache->spare_count;
    vts_word slot;

    cache->first = cache->spare;
    cache->spare = 0;
    vts__store_rlx(&cache->spare_count, 0);
    if (cache->first == 0) {
        cache->first = (vts_word)(uintptr_t)vts__find_free(pool, pool->batch);
        for (slot = cache->first; slot != 0; count++) {
            slot = vts__load_rlx(&vts__slot_of(slot)->next);
        }
    }
    vts__store_rlx(&cache->count, count);
}

static VTS__INLINE vts_pool_slot *vts__cache_pop(vts_pool_cache *cache)
{
    vts_pool_slot *slot = vts__slot_of(cache->first);

    if (!vts__likely(slot != NULL)) return NULL;
    cache->first = vts__load_rlx(&slot->next);
    vts__store_rlx(&cache->count, vts__load_rlx(&cache->count) - 1);
    return slot;
}

static VTS__INLINE void vts__cache_push(vts_pool_cache *cache, vts_pool_slot *slot,
                                        vts_word count)
{
    vts__store_rlx(&slot->next, cache->first);
    cache->first = (vts_word)(uintptr_t)slot;
    vts__store_rlx(&cache->count, count + 1);
}

static vts_pool_slot *vts__get_slow(vts_pool *pool)
{
    vts_pool_cache *cache;

    if (!vts__has_caches(pool)) return vts__get_shared(pool);
    vts__thread_ask(&vts__self);
    cache = vts__cache(pool);
    if (cache == pool->caches) return vts__get_shared(pool);
    if (cache->first == 0) vts__refill(pool, cache);
    return vts__cache_pop(cache);
}

/* Out with it: next == itself says rented. */
static VTS__INLINE void *vts__rented(const vts_pool *pool, vts_pool_slot *slot,
                                     const char *site)
{
    vts__store_rlx(&slot->site, (vts_word)(uintptr_t)site);
    vts__store_rel(&slot->next, (vts_word)(uintptr_t)slot);
    return vts__slot_item(pool, slot);
}

static VTS__NOINLINE void *vts__get_item(vts_pool *pool, const char *site)
{
    vts_pool_slot *slot = vts__get_slow(pool);
    return slot != NULL ? vts__rented(pool, slot, site) : NULL;
}

VTS_API void *vts_pool_get_at(vts_pool *pool, const char *site)
{
    vts_pool_slot *slot = NULL;

    if (pool == NULL || !pool->plain) return NULL;
    if (VTS__FAST) slot = vts__cache_pop(vts__cache(pool));
    return vts__likely(slot != NULL) ? vts__rented(pool, slot, site)
                                     : vts__get_item(pool, site);
}

/* Starts the next operation of a source that is the caller's alone. */
static VTS__INLINE vts_source *vts__arm(vts_source *source, vts_token *token)
{
    vts_token next = vts__next_token(vts__load_rlx(&source->word));
    vts__store_rlx(&source->word, next + VTS__PENDING);
    *token = next;
    return source;
}

static VTS__NOINLINE vts_source *vts__rent_slow(vts_pool *pool, vts_token *token,
                                                const char *site)
{
    vts_source *source;

    if (pool == NULL || token == NULL || !pool->source) return NULL;
    source = (vts_source *)vts__get_item(pool, site);
    return source != NULL ? vts__arm(source, token) : NULL;
}

VTS_API vts_source *vts_pool_rent_at(vts_pool *pool, vts_token *token, const char *site)
{
    vts_pool_slot *slot = NULL;

    if (VTS__FAST && pool != NULL && token != NULL && pool->source) {
        slot = vts__cache_pop(vts__cache(pool));
    }
    if (!vts__likely(slot != NULL)) return vts__rent_slow(pool, token, site);
    return vts__arm((vts_source *)vts__rented(pool, slot, site), token);
}

VTS_API vts_source *vts_pool_rent_awaited_at(vts_pool *pool, vts_token *token,
                                             vts_continuation continuation, void *arg,
                                             const char *site)
{
    vts_source *source = NULL;

    if (continuation != NULL) source = vts_pool_rent_at(pool, token, site);
    if (source == NULL) return NULL;
    vts__capture(source, *token, continuation, arg, VTS_NONE);
    vts__store_rlx(&source->word, *token | VTS__AWAITED | VTS__PENDING);
    return source;
}

/* A full cache makes room: its batch becomes the spare one, an older spare is shared. */
static VTS__NOINLINE void vts__spill(vts_pool *pool, vts_pool_cache *cache)
{
    if (cache->spare != 0) {
        vts__push_batch(pool, vts__slot_of(cache->spare));
    }
    cache->spare = cache->first;
    vts__store_rlx(&cache->spare_count, vts__load_rlx(&cache->count));
    cache->first = 0;
    vts__store_rlx(&cache->count, 0);
}

static VTS__NOINLINE int vts__put_slow(vts_pool *pool, vts_pool_slot *slot)
{
    vts_pool_cache *cache = pool->caches;

    if (vts__has_caches(pool)) {
        vts__thread_ask(&vts__self);
        cache = vts__cache(pool);
    }
    if (cache == pool->caches) {
        vts__store_rlx(&slot->next, 0);
        vts__push_batch(pool, slot);
        return VTS_OK;
    }
    if (vts__load_rlx(&cache->count) >= pool->batch) vts__spill(pool, cache);
    vts__cache_push(cache, slot, vts__load_rlx(&cache->count));
    return VTS_OK;
}

static VTS__INLINE int vts__put_to(vts_pool *pool, vts_pool_cache *cache,
                                   vts_pool_slot *slot)
{
    vts_word count = vts__load_rlx(&cache->count);

    if (VTS__FAST && vts__likely(count < pool->batch)) {
        vts__cache_push(cache, slot, count);
        return VTS_OK;
    }
    return vts__put_slow(pool, slot);
}

static VTS__INLINE int vts__put_slot(vts_pool *pool, vts_pool_slot *slot)
{
    return vts__put_to(pool, vts__cache(pool), slot);
}

/* An idle source goes home: its old handles are stale, now it may be rented. */
static int vts__pool_return(vts_source *source)
{
    vts_pool *pool = vts__container_of((uintptr_t)source->base.ops, vts_pool, ops);
    char *slot = (char *)source + pool->slot_offset;
    return vts__put_slot(pool, (vts_pool_slot *)(void *)slot);
}

static void vts__pool_recycle(vts_source *source)
{
    vts_token token = vts__load_rlx(&source->word) & ~VTS__LOW;

    vts__store_rlx(&source->word, token | VTS__IDLE);
    vts__pool_return(source);
}

/* offset / stride if it is a whole number below 2^bits / stride, else a larger one: a
   multiplication by the inverse of the odd part and a rotation (Granlund and
   Montgomery, PLDI 1994, section 9). */
static vts_word vts__divide(const vts_pool *pool, vts_word offset)
{
    vts_word quotient = offset * pool->inverse;
    unsigned right = pool->stride_shift;
    unsigned left = (0u - right) & (unsigned)(VTS__WORD_BITS - 1);
    return quotient >> right | quotient << left;
}

/* The slot of an item, or NULL if the pool has no such item. Does not touch memory that
   is not the pool's. */
static vts_pool_slot *vts__find_slot(const vts_pool *pool, void *item)
{
    unsigned k;

    for (k = 0; k < VTS__POOL_CHUNKS; k++) {
        vts_word base = vts__load_acq(&pool->chunk[k]); /* [P7] */
        uint32_t start;
        vts_word at;
        if (base == 0) return NULL;
        start = vts__chunk_start(pool, k);
        at = vts__divide(pool, (vts_word)(uintptr_t)item - base);
        if (at >= vts__chunk_end(pool, k) - start) continue;
        if (start + at >= vts__load_acq(&pool->fresh)) return NULL;
        return (vts_pool_slot *)(void *)((char *)item + pool->slot_offset);
    }
    return NULL;
}

/* The chunk of an item is the likely one of the thread's next. */
static void vts__remember_chunk(vts_pool *pool, vts_pool_cache *cache,
                                const vts_pool_slot *slot)
{
    vts_word start, end, fresh;
    unsigned k;

    if (cache == pool->caches) return;
    k = vts__chunk_of(pool, (uint32_t)(vts__load_rlx(&slot->link) & VTS__HALF_MASK));
    start = vts__chunk_start(pool, k);
    end = vts__chunk_end(pool, k);
    fresh = vts__load_acq(&pool->fresh);
    cache->near = vts__load_acq(&pool->chunk[k]); /* [P7] */
    cache->near_count = (fresh < end ? fresh : end) - start;
}

static VTS__NOINLINE int vts__put_any(vts_pool *pool, void *item)
{
    vts_pool_slot *slot;

    if (pool == NULL || item == NULL) return VTS_E_ARGUMENT;
    slot = vts__find_slot(pool, item);
    if (slot == NULL) return vts__misuse(VTS_E_FOREIGN, item, 0);
    if (pool->source) return VTS_E_ARGUMENT;
    if (vts__load_rlx(&slot->next) != (vts_word)(uintptr_t)slot) {
        return vts__misuse(VTS_E_DOUBLE_RETURN, item, 0);
    }
    vts__remember_chunk(pool, vts__cache(pool), slot);
    return vts__put_slot(pool, slot);
}

VTS_API int vts_pool_put(vts_pool *pool, void *item)
{
    vts_pool_cache *cache;
    vts_pool_slot *slot;
    vts_word at;

    if (pool == NULL || !pool->plain) return vts__put_any(pool, item);
    cache = vts__cache(pool);
    at = vts__divide(pool, (vts_word)(uintptr_t)item - cache->near);
    if (!VTS__FAST || !vts__likely(at < cache->near_count)) {
        return vts__put_any(pool, item);
    }
    slot = (vts_pool_slot *)(void *)((char *)item + pool->slot_offset);
    if (!vts__likely(vts__load_rlx(&slot->next) == (vts_word)(uintptr_t)slot)) {
        return vts__put_any(pool, item);
    }
    return vts__put_to(pool, cache, slot);
}

VTS_API size_t vts_pool_list_rented(const vts_pool *pool,
                                    void (*report)(void *user, void *item,
                                                   const char *site),
                                    void *user)
{
    vts_word index, fresh = pool != NULL ? vts__load_acq(&pool->fresh) : 0;
    size_t count = 0;

    for (index = 0; index < fresh; index++) {
        vts_pool_slot *slot = vts__slot_at(pool, (uint32_t)index);
        if (vts__load_acq(&slot->next) != (vts_word)(uintptr_t)slot) continue;
        count++;
        if (report == NULL) continue;
        report(user, vts__slot_item(pool, slot),
               (const char *)(uintptr_t)vts__load_rlx(&slot->site));
    }
    return count;
}

VTS_API size_t vts_pool_outstanding(const vts_pool *pool)
{
    return vts_pool_list_rented(pool, NULL, NULL);
}

VTS_API void vts__describe_typed(vts_pool_desc *desc, size_t item_size,
                                 size_t value_offset, size_t value_size)
{
    vts__zero(desc, sizeof *desc);
    desc->item_size = item_size;
    desc->source = true;
    desc->value_offset = value_offset;
    desc->value_size = value_size;
}

/* Item, slot, stride, and what divides by it. */
static void vts__pool_layout(vts_pool *pool, size_t alignment)
{
    size_t word = sizeof(vts_word);
    vts_word odd, inverse;
    unsigned i;

    pool->slot_offset = (pool->item_size + word - 1) & ~(word - 1);
    pool->stride = pool->slot_offset + sizeof(vts_pool_slot);
    if (pool->owned && pool->stride > 64) alignment = 64;
    pool->stride = (pool->stride + alignment - 1) & ~(alignment - 1);
    for (odd = pool->stride; (odd & 1u) == 0; odd >>= 1) pool->stride_shift++;
    for (inverse = odd, i = 0; i < 6; i++) inverse *= 2 - odd * inverse; /* Newton */
    pool->inverse = inverse;
}

static bool vts__pool_describe_source(vts_pool *pool, const vts_pool_desc *desc)
{
    bool word = desc->value_size == 0;

    pool->value_offset = word ? offsetof(vts_source, result) : desc->value_offset;
    pool->value_size = word ? sizeof(vts_word) : desc->value_size;
    vts__fill_ops(&pool->ops, desc->run_continuations_asynchronously);
    pool->ops.get_result = word ? vts__pooled_get_result : vts__pooled_take;
    if (pool->item_size < sizeof(vts_source)) return false;
    if (pool->value_offset % sizeof(vts_word) != 0) return false;
    if (!word && pool->value_offset < sizeof(vts_source)) return false;
    return pool->value_offset <= pool->item_size &&
           pool->value_size <= pool->item_size - pool->value_offset;
}

/* a / b by shifting: some processors would need a library call. */
static size_t vts__quotient(size_t a, size_t b)
{
    size_t quotient = 0;
    size_t bit = 1;

    while (b <= a / 2) {
        b *= 2;
        bit *= 2;
    }
    for (; bit != 0; bit /= 2, b /= 2) {
        if (a < b) continue;
        a -= b;
        quotient += bit;
    }
    return quotient;
}

/* Field by field: a struct copy may become a library call. */
static void vts__copy_allocator(vts_allocator *to, const vts_allocator *from)
{
    to->alloc = from->alloc;
    to->free = from->free;
    to->user = from->user;
}

/* Over the caller's array: one chunk of what fits. */
static bool vts__pool_over_storage(vts_pool *pool, const vts_pool_desc *desc)
{
    size_t limit = VTS__HALF_MASK - 1 < 0x7fffffff ? VTS__HALF_MASK - 1 : 0x7fffffff;
    size_t fit = vts__quotient(desc->storage_size, pool->stride);

    if (desc->cache > 0) {
        if (desc->allocator == NULL || desc->allocator->alloc == NULL) return false;
        vts__copy_allocator(&pool->allocator, desc->allocator);
    }
    if (desc->capacity != 0 && desc->capacity < fit) fit = desc->capacity;
    pool->capacity = (uint32_t)(fit < limit ? fit : limit);
    pool->first_shift = 31;
    vts__store_rlx(&pool->chunk[0], (vts_word)(uintptr_t)desc->storage);
    return pool->capacity != 0;
}

/* Growing: the first chunk's size, and a maximum that the index can name. */
static bool vts__pool_growing(vts_pool *pool, const vts_pool_desc *desc)
{
    const vts_allocator *allocator = desc->allocator;
    uint32_t first = desc->first != 0 ? desc->first : 64;
    uint32_t usual = sizeof(vts_word) > 4 ? 1u << 20 : 1u << 13;

    if (allocator == NULL) allocator = vts_allocator_default();
    if (allocator == NULL || allocator->alloc == NULL) return false;
    vts__copy_allocator(&pool->allocator, allocator);
    if (desc->storage_size != 0 || (first & (first - 1)) != 0) return false;
    while (first >> pool->first_shift != 1) pool->first_shift++;
    pool->capacity = desc->capacity != 0 ? desc->capacity : usual;
    if (pool->stride > vts__quotient(SIZE_MAX - 128, pool->capacity)) return false;
    return pool->capacity <= VTS__HALF_MASK - 1 &&
           (uint64_t)pool->capacity <= (uint64_t)first << (VTS__POOL_CHUNKS - 1);
}

/* All threads' caches together hold a quarter of the capacity at most. */
static bool vts__pool_make_caches(vts_pool *pool, const vts_pool_desc *desc)
{
    size_t size = VTS__CACHES * sizeof(vts_pool_cache);
    uint32_t share = pool->capacity / (uint32_t)(8 * VTS__WORD_BITS);

    pool->caches = &vts__no_cache;
    pool->batch = desc->cache > 0 ? (uint32_t)desc->cache : share;
    if (pool->batch > VTS__CACHE_BATCH) pool->batch = VTS__CACHE_BATCH;
    if (!VTS__CACHED || desc->cache < 0 || pool->batch == 0) return true;
    if (pool->allocator.alloc == NULL) return true;
    pool->caches = (vts_pool_cache *)pool->allocator.alloc(pool->allocator.user, size);
    if (pool->caches == NULL) return false;
    vts__zero(pool->caches, size);
    vts__store_rlx(&pool->caches[0].count, ~(vts_word)0);
    pool->cache_mask = VTS__CACHE_MASK;
    return true;
}

/* VTS_OK with the pool set up but for its caches. */
static int vts__pool_set_up(vts_pool *pool, const vts_pool_desc *desc)
{
    size_t alignment;
    bool fits;

    pool->source = desc->source || desc->item_size == 0;
    pool->plain = !pool->source;
    pool->item_size = desc->item_size != 0 ? desc->item_size : sizeof(vts_source);
    pool->owned = desc->storage == NULL;
    alignment = desc->alignment;
    if ((alignment & (alignment - 1)) != 0 || alignment > 64) return VTS_E_ARGUMENT;
    if (alignment == 0) alignment = pool->owned ? 16 : sizeof(vts_word);
    if (alignment < sizeof(vts_word)) alignment = sizeof(vts_word);
    if (((uintptr_t)desc->storage & (alignment - 1)) != 0) return VTS_E_ARGUMENT;
    vts__pool_layout(pool, alignment);
    if (pool->source && !vts__pool_describe_source(pool, desc)) return VTS_E_ARGUMENT;
    fits = pool->owned ? vts__pool_growing(pool, desc) : vts__pool_over_storage(pool, desc);
    if (!fits) return VTS_E_ARGUMENT;
    return vts__pool_make_caches(pool, desc) ? VTS_OK : VTS_E_MEMORY;
}

VTS_API int vts_pool_init(vts_pool *pool, const vts_pool_desc *desc)
{
    int error = VTS_E_ARGUMENT;

    if (pool == NULL) return VTS_E_ARGUMENT;
    vts__zero(pool, sizeof *pool);
    if (desc != NULL && desc->item_size <= SIZE_MAX / 4) {
        error = vts__pool_set_up(pool, desc);
    }
    if (error != VTS_OK) vts__zero(pool, sizeof *pool);
    return error;
}

VTS_API int vts_pool_destroy(vts_pool *pool)
{
    vts_allocator *allocator;
    unsigned k;

    if (pool == NULL) return VTS_E_ARGUMENT;
    if (vts_pool_outstanding(pool) != 0) return VTS_E_BUSY;
    allocator = &pool->allocator;
    for (k = 0; pool->owned && allocator->free != NULL && k < VTS__POOL_CHUNKS; k++) {
        vts_word *chunk = (vts_word *)(uintptr_t)vts__load_rlx(&pool->chunk[k]);
        size_t size;
        if (chunk == NULL) break;
        size = vts__chunk_end(pool, k) - vts__chunk_start(pool, k);
        allocator->free(allocator->user, (void *)(uintptr_t)chunk[-1],
                        size * pool->stride + 64 + sizeof(vts_word));
    }
    if (vts__has_caches(pool) && allocator->free != NULL) {
        allocator->free(allocator->user, pool->caches,
                        VTS__CACHES * sizeof(vts_pool_cache));
    }
    vts__zero(pool, sizeof *pool);
    return VTS_OK;
}

// ----------------------------------------------------------------------------------
// >>hosted
// ----------------------------------------------------------------------------------
#if VTS__HOSTED

#include <stdlib.h>

static void *vts__malloc(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void vts__free(void *user, void *memory, size_t size)
{
    (void)user;
    (void)size;
    free(memory);
}

VTS_API const vts_allocator *vts_allocator_default(void)
{
    static const vts_allocator allocator = {vts__malloc, vts__free, NULL};
    return &allocator;
}

#else

VTS_API const vts_allocator *vts_allocator_default(void) { return NULL; }

#endif

#if VTS__HOSTED && !defined _WIN32 && !defined VTS_SINGLE_THREADED

#include <pthread.h>

static pthread_key_t vts__exit_key;
static bool vts__exit_key_made;

/* The thread's last call into vts: its caches pass on with its number [P8]. */
static void vts__thread_exits(void *argument)
{
    vts__thread *self = (vts__thread *)argument;
    unsigned number = (unsigned)self->number - 1;

    self->number = 0;
    vts__thread_release(number);
}

static void vts__make_exit_key(void)
{
    vts__exit_key_made = pthread_key_create(&vts__exit_key, vts__thread_exits) == 0;
}

static bool vts__thread_at_exit(vts__thread *self)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (pthread_once(&once, vts__make_exit_key) != 0 || !vts__exit_key_made) return false;
    return pthread_setspecific(vts__exit_key, self) == 0;
}

#endif

#endif /* VTS_IMPLEMENTATION */
