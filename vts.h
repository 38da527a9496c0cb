/* vts.h - v0.1.0 - reusable completion sources, value tasks and pools for C11

   An asynchronous operation that costs no allocation, whether it finishes now or
   later, and a handle that always knows when it is stale. .NET's ValueTask and
   IValueTaskSource, re-created in C; and above them loops, timers, threads,
   cancellation, shareable tasks, async/await and streams.

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
       >>time             clock and deadlines
       >>cancellation     sources, tokens, registrations
       >>task             the shareable task, and blocking waits
       >>loop             run queue, timers, delays
       >>threadpool       threads that run what is posted
       >>when             all, any, timeout
       >>await            coroutines
       >>streams          sequences whose elements have to be waited for
       >>cxx              co_await, and a coroutine type, for C++20
       >>implementation   includes, platform
       >>atomics          every memory operation vts does, order in the name
       >>hooks            misuse and trace
       >>thread           what vts keeps per thread
       >>dispatch         inline, depth limit, trampoline, run queue
       >>source           the completion source
       >>valuetask        the handle
       >>pool             the freelist
       >>hosted           malloc, and what happens when a thread ends
       >>parking          the clock, sleeping threads, locks
       >>canceling        code of >>cancellation
       >>tasks            code of >>task
       >>timers           the timers of a loop
       >>looping          code of >>loop
       >>workers          code of >>threadpool
       >>combinators      code of >>when
       >>coroutines       code of >>await and >>streams

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

   CANCELLATION. Who may cancel has a source, operations get a token and register what to
   do; unregister says whether that has run. A late cancel meets the operation's token.

   LOOP, THREAD POOL. Two schedulers: a queue that one thread runs, with timers, asleep
   when there is nothing to do; and threads that share what is posted. Posting is
   intrusive: a work is part of what it works on.

   TASK. What many want to wait for, or for longer: shared, counted, its result stays. A
   value task becomes one by as_task or preserve. Tasks are what allocates here, one block
   each (results from -1 to 8: none), and a thread pool when it is made.

   COROUTINE (async, await). A function with a block that can wait for value tasks, its
   variables in a frame; it is itself a value task to whoever calls it. Waiting neither
   allocates nor grows the stack. In C++20 the language's own do it.

   STREAM (IAsyncEnumerable). move_next is a value task of whether there is an element.

   WHICH ONE DO I RETURN? A value task: it is awaited once, and often done at once. A task
   where the caller may keep it, await it twice or share it. A stream for more than one.

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
   posting to a loop; its stop                  any thread; an interrupt
   loop run, run_once, run_until                one thread at a time (else VTS_E_BUSY)
   timer start, stop                            the loop's thread (else VTS_E_THREAD)
   delay; cancellation, task: everything        any thread
   thread pool post                             any thread
   coroutine start                              the frame's owner; it goes on where what
                                                it awaits sends it

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
   D4   errors are return codes, each misuse its own; results are a word or a T. A wrong
        token is VTS_E_STALE, there it may get the current operation's exception; is_...
        of a stale handle answer false, there they throw
   D5   registering on a completed operation runs the continuation before the call
        returns, or after the running one at the depth limit, or posts it if it has a
        scheduler that is not the current one; there it is always queued
   D6   one registration per operation, before or after completion; there any number
        may register after a completion that nobody awaited
   D7   reset while pending, or while a continuation is queued, is refused
   D8   a continuation can be unregistered
   D9   run_continuations_asynchronously names the scheduler to use
   D10  a failure known at once allocates nothing, and two of the same error are equal;
        there each allocates a Task, which equals only itself
   D11  an operation is completed only once its result is readable: no state in which
        get_result works while get_status says pending
   D12  a pooled source validates token and completion before it returns to its pool;
        there a finally block returns it even on a wrong token
   D13  a null continuation, and an error that is not negative, are VTS_E_ARGUMENT
   D14  a coroutine goes on inside the loop's call where .NET would queue, up to the depth
        limit; a coroutine's value task, too, gives its result once
   D15  cancel does not gather the exceptions of its callbacks: there are none. A
        registration on a canceled token runs its callback before register returns
   D16  when_any takes the winner's result and gives the others back unawaited: nothing
        stays registered. when_all takes all results; its error is the first entry's
   D17  waiting for a task on a loop's thread is an error, not a deadlock
   D18  get_result of a pending task is VTS_E_NOT_COMPLETED; there it blocks
   D19  every awaiter of a task runs before the completing call returns, or is posted to
        its scheduler; there at most one does, and none without a scheduler on a thread
        that has one: the others are queued
   D20  a task whose value task was consumed by somebody else fails with VTS_E_STALE;
        there it stays pending
   D21  with VTS_FLOW_EXECUTION_CONTEXT a continuation runs under its context on any
        scheduler; there the context is restored around the post only

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
   [P9] run queue or loop post               -> drain takes all

   A loop says PARKED in its head before it sleeps: a post that finds that wakes, one that
   came before keeps it awake. The thread pool's sleep, and why it misses nothing, stands
   at >>workers. Lists that anybody may leave (registrations, awaiters of a task) are under
   a lock of a few instructions: their members belong to callers, who want them back.

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
   - Timers: any number; 2.5 kB (1.3 kB) for a loop. Thread pool: 1024 threads.
   - Linked cancellation sources cancel each other inside each other: a chain of them is as
     deep as the stack allows. An awaiter waits for one thing at a time; that it does is not
     checked, nor that a frame fits into an item of the pool it is rented from.
   - A lock of a cancellation or task that an interrupt meets held would never be free:
     without an operating system define VTS_CRITICAL_ENTER, or post to the loop instead.
   - Windows: no thread pool, no blocking wait, and a loop needs a park of its own.
   - No stackful coroutines, no priorities.
*/
#ifndef VTS_H
#define VTS_H

/* The implementation needs clocks of POSIX, and the headers that build on this one more of
   the C library's extensions; they have to be asked for before its first header. */
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
    VTS_E_UNSUPPORTED = -10014,   /* this source or platform does not offer that     */
    VTS_E_TIMEOUT = -10015,       /* the deadline came first                         */
    VTS_E_DEADLOCK = -10016,      /* who waits is who would have to act              */
    VTS_E_CLOSED = -10017,        /* destroyed or disposed                           */
    VTS_E_THREAD = -10018,        /* not from this thread, or no thread to be had    */
    VTS_E_STOPPED = -10019        /* the loop was stopped first                      */
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

/* Reports every VTS_E_STALE, NOT_COMPLETED, ALREADY_AWAITED, PENDING, DOUBLE_RETURN,
   FOREIGN, DEADLOCK, THREAD, and posts to what is CLOSED, from calls a consumer or owner
   makes. Losing completers are no misuse. */
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

// ----------------------------------------------------------------------------------
// >>time
// ----------------------------------------------------------------------------------

/* Nanoseconds of a clock that never goes back. Deadlines are absolute. */
typedef uint64_t vts_time;

#define VTS_NEVER UINT64_MAX
#define VTS_MICROSECONDS(n) ((vts_time)(n) * 1000u)
#define VTS_MILLISECONDS(n) ((vts_time)(n) * 1000000u)
#define VTS_SECONDS(n) ((vts_time)(n) * 1000000000u)

/* The clock: the system's monotonic one, or the one set. 0 where there is neither. */
VTS_API vts_time vts_now(void);

/* The deadline that lies so many nanoseconds ahead; VTS_NEVER if that overflows. */
VTS_API vts_time vts_after(vts_time duration);

/* Replaces the clock: a timer register on firmware, a clock of the test's. NULL: the
   system's. Set it before other threads use vts. */
VTS_API void vts_set_clock(vts_time (*clock)(void));

// ----------------------------------------------------------------------------------
// >>cancellation
// ----------------------------------------------------------------------------------
// CancellationTokenSource, CancellationToken, CancellationTokenRegistration. Whoever may
// cancel has the source; operations get the token, which can only be asked and listened
// to. A cancelable operation stays poolable: its callback calls vts_source_set_canceled
// with the operation's token, and a cancel that comes late changes nothing.
//
// Not from an interrupt, unless vts disables interrupts for its critical sections: post a
// work that cancels.

struct vts_cancellation_source;

/* One callback. Belongs to the caller, who keeps it until unregister has returned. All
   zero is unregistered. */
typedef struct vts_cancellation_registration {
    struct vts_cancellation_registration *next, *previous; /* itself: not in the list */
    struct vts_cancellation_source *source;                /* NULL: unregistered      */
    vts_continuation callback;
    void *arg;
} vts_cancellation_registration;

/* All zero is ready: not canceled, nothing registered. Not to be copied. Outlives its
   registrations and running calls of cancel.

   state: 0 until canceled or disposed. Written under lock with release, read with acquire: whoever
   sees the cancellation sees what happened before it. Everything else is under lock.
   runs: counts callbacks that returned; unregister sleeps on it. */
typedef struct vts_cancellation_source {
    vts_word state;
    vts_word lock;
    vts_word runs;
    unsigned waiters;                       /* threads that sleep on runs             */
    vts_cancellation_registration *first;   /* newest                                 */
    vts_cancellation_registration *running; /* whose callback runs now                */
    const void *canceler;                   /* the thread it runs on                  */
} vts_cancellation_source;

/* The reader's end. {NULL} is never canceled. */
typedef struct vts_cancellation_token {
    vts_cancellation_source *source;
} vts_cancellation_token;

static inline vts_cancellation_token vts_cancellation_token_of(
    vts_cancellation_source *source);
static inline vts_cancellation_token vts_cancellation_none(void);

/* Has cancellation been asked for? One acquire load. */
VTS_API bool vts_cancellation_is_requested(vts_cancellation_token token);

/* Cancels: runs each registered callback once, newest first, on this thread. VTS_OK for
   the first caller, VTS_E_ALREADY_COMPLETED for others, who do not wait for the
   callbacks; VTS_E_CLOSED, VTS_E_ARGUMENT. A callback that completes an operation runs
   its continuation in here: that must not free the source; it may post what does. */
VTS_API int vts_cancellation_cancel(vts_cancellation_source *source);

/* Arranges that callback(arg) runs when the token is canceled: before this returns, if
   it is already. Of a token that never is, nothing is registered. VTS_E_CLOSED,
   VTS_E_ARGUMENT; VTS_E_BUSY if the registration is in use. Constant time. */
VTS_API int vts_cancellation_register(vts_cancellation_token token,
                                      vts_cancellation_registration *registration,
                                      vts_continuation callback, void *arg);

/* Takes the registration back. VTS_OK: the callback has not run and will not.
   VTS_E_ALREADY_COMPLETED: it has run, in register or in cancel, and returned, or this is
   called inside of it. If a cancel runs it on another thread, waits until it has returned:
   do not hold what it needs. (Of a register that another thread is still in, ask that
   thread.) VTS_E_ARGUMENT for NULL. Constant time but for the wait. */
VTS_API int vts_cancellation_unregister(vts_cancellation_registration *registration);

/* A linked source: child is canceled when parent is. The registration, the caller's, is
   unregistered before child goes. Errors as of register. */
VTS_API int vts_cancellation_link(vts_cancellation_source *child,
                                  vts_cancellation_registration *registration,
                                  vts_cancellation_token parent);

/* Makes a source ready again, canceled, disposed or not. VTS_E_BUSY while a callback is
   registered or runs, VTS_E_ARGUMENT. */
VTS_API int vts_cancellation_reset(vts_cancellation_source *source);

/* Ends a source: cancel and register answer VTS_E_CLOSED from now on; one that is canceled
   stays so. VTS_E_BUSY while a callback is registered or runs, VTS_E_ARGUMENT. */
VTS_API int vts_cancellation_dispose(vts_cancellation_source *source);

// ----------------------------------------------------------------------------------
// >>task
// ----------------------------------------------------------------------------------
// .NET's Task: any number of awaiters from any thread, and a result that stays. A value
// task becomes one by as_task. Reference-counted; the completed tasks of void, true,
// false and small numbers are constants, for which retain and release do nothing.
// Not from an interrupt.

typedef struct vts_task vts_task;

/* Waits for a task; belongs to the caller until it ran or unregister took it back. What
   runs is work.run. */
typedef struct vts_awaiter {
    vts_work work; /* link: the scheduler to post to                                  */
    struct vts_awaiter *next, *previous;
} vts_awaiter;

/* 64 bytes (32 on a 32-bit target). Fields are private.
   word: 0 pending; 1 pending and locked; 2 and somebody sleeps for the lock; then a
   status * 4, for good. Lock acquire, unlock and completion release: everything else is
   under the lock, or constant after completion. references: atomic, acq_rel. */
struct vts_task {
    vts_valuetask_source base;
    vts_word word;
    vts_word references; /* 0: a constant                                             */
    vts_word result;     /* or the error                                              */
    vts_awaiter *first;  /* newest                                                    */
    const vts_allocator *allocator;
    vts_valuetask inner; /* whose task this is, by as_task                            */
};

/* A pending task with one reference, the caller's (TaskCompletionSource). The allocator
   (NULL: the default) outlives it. VTS_E_MEMORY, VTS_E_ARGUMENT. One allocation. */
VTS_API int vts_task_create(vts_task **task, const vts_allocator *allocator);

/* A completed task. Of results from -1 to 8 a constant: no allocation. Errors as of
   create; VTS_E_ARGUMENT for an error that is not negative. */
VTS_API int vts_task_from_result(vts_task **task, intptr_t result,
                                 const vts_allocator *allocator);
VTS_API int vts_task_from_error(vts_task **task, int error,
                                const vts_allocator *allocator);

/* References. Whoever calls anything on a task holds one. NULL is ignored. */
VTS_API vts_task *vts_task_retain(vts_task *task);
VTS_API void vts_task_release(vts_task *task);

/* Completes the task: VTS_OK for one of racing completers, VTS_E_ALREADY_COMPLETED for
   the others; VTS_E_ARGUMENT. Awaiters run before the call returns, in the order in
   which they registered; who wants to run on a scheduler that is not the current one is
   posted there. */
VTS_API int vts_task_set_result(vts_task *task, intptr_t result);
VTS_API int vts_task_set_error(vts_task *task, int error);
VTS_API int vts_task_set_canceled(vts_task *task, int error);

/* A vts_status; VTS_E_ARGUMENT. One acquire load. */
VTS_API int vts_task_get_status(const vts_task *task);

/* The result, as often as one likes: VTS_OK and *result (unless NULL), the task's error,
   VTS_E_NOT_COMPLETED, VTS_E_ARGUMENT. */
VTS_API int vts_task_get_result(const vts_task *task, intptr_t *result);

/* Arranges that run(&awaiter->work) runs when the task is completed: before the call
   returns if it is already (or as in vts_source_on_completed). The awaiter is the
   caller's memory; flags: VTS_USE_SCHEDULING_CONTEXT. VTS_E_ARGUMENT. Never allocates. */
VTS_API int vts_task_on_completed(vts_task *task, vts_awaiter *awaiter,
                                  void (*run)(vts_work *work), unsigned flags);

/* Takes it back: after VTS_OK it will not run. VTS_E_NOT_AWAITED: it has run, or will;
   VTS_E_ARGUMENT. Constant time. */
VTS_API int vts_task_unregister(vts_task *task, vts_awaiter *awaiter);

/* Blocks until the task is completed: VTS_OK, or VTS_E_TIMEOUT at the deadline.
   VTS_E_DEADLOCK, at once, on a thread that runs a loop: the loop would stand still, and
   what it has to do may be what completes the task (use vts_loop_run_until, or await).
   VTS_E_UNSUPPORTED without threads, if the task is pending; VTS_E_ARGUMENT. */
VTS_API int vts_task_wait(vts_task *task, vts_time deadline);

/* The same for a value task, which is not consumed: its result is then to be taken. Also
   the errors of on_completed. */
VTS_API int vts_valuetask_wait(vts_valuetask task, vts_time deadline);

/* A handle over a task, to be used as often as one likes while somebody holds a reference.
   Registering through it while the task is pending allocates, from the task's allocator
   (VTS_E_MEMORY), and cannot be taken back; await does not allocate. Of NULL: failed with
   VTS_E_ARGUMENT. */
VTS_API vts_valuetask vts_valuetask_of_task(vts_task *task);

/* Makes a task of a value task with a word for its result, and consumes it; the caller
   gets the reference. Completed with -1 to 8 in itself: no allocation; over a task: that
   one; else one allocation, whether pending or not. The task is faulted or canceled as
   the value task is; one whose result is there all the same succeeds, as in .NET.
   VTS_E_MEMORY, VTS_E_STALE, VTS_E_ALREADY_AWAITED, VTS_E_UNSUPPORTED for one whose result
   is not a word, VTS_E_ARGUMENT: the value task is as it was. */
VTS_API int vts_valuetask_as_task(vts_valuetask task, const vts_allocator *allocator,
                                  vts_task **result);

/* Replaces *task by a handle that may be awaited any number of times. *owner is what to
   release after the last (NULL: nothing; a task completed in itself is its own). Errors as
   of as_task. */
VTS_API int vts_valuetask_preserve(vts_valuetask *task, const vts_allocator *allocator,
                                   vts_task **owner);

/* For code that awaits, in C or C++: run(&awaiter->work) when the task is completed,
   whatever backs it, without allocating. The awaiter is the caller's until then, or until
   unsubscribe returned VTS_OK. deadline: anything but VTS_NEVER refuses, with
   VTS_E_UNSUPPORTED, a source that cannot unregister. Other errors as of on_completed
   and unregister. */
VTS_API int vts__subscribe(vts_valuetask task, vts_awaiter *awaiter,
                           void (*run)(vts_work *work), unsigned flags,
                           vts_time deadline);
VTS_API int vts__unsubscribe(vts_valuetask task, vts_awaiter *awaiter);

/* An allocator that takes from a pool of plain items (which outlives it) what fits into
   one: pooled tasks, for example. */
VTS_API vts_allocator vts_pool_allocator(vts_pool *pool);

// ----------------------------------------------------------------------------------
// >>loop
// ----------------------------------------------------------------------------------
// A run queue that sleeps, with timers. Any thread posts; one thread runs it. Nothing
// here allocates but vts_delay, whose operations come from the loop's pool.

struct vts_loop;

/* A timer. Belongs to the caller; not to be copied or freed while it is armed. All zero
   is not armed. */
typedef struct vts_timer {
    struct vts_timer *next, *previous; /* a ring of those in one slot                */
    struct vts_loop *loop;             /* NULL: not armed                            */
    vts_continuation continuation;
    void *arg;
    vts_time deadline;
    unsigned slot;
} vts_timer;

/* What vts_delay rents; public for its size, for VTS_POOL_STORAGE. request is what other
   threads ask of the loop, bits; whoever makes it other than 0 posts work, and nobody
   posts twice. Atomic, acq_rel. */
typedef struct vts_delay_operation {
    vts_source source;
    vts_token token;
    struct vts_loop *loop;
    vts_time deadline;
    vts_timer timer;
    vts_cancellation_registration registration;
    vts_work work;
    vts_word request;
    bool finished, canceled;
} vts_delay_operation;

/* Where the loop sleeps. Zero is the default of every field. */
typedef struct vts_loop_desc {
    /* Sleeps until wake was called or the deadline, or returns early. Nothing is lost if
       it starts by asking vts_loop_is_parked with wake-ups held back (interrupts off, say)
       or if wake leaves a mark that it finds (an eventfd). NULL: a futex or a condition
       variable; without an operating system the loop polls. */
    void (*park)(void *user, vts_time deadline);
    /* Ends a sleep; from any thread that posts, or an interrupt. */
    void (*wake)(void *user);
    /* Runs what park has found, sockets for example, and returns how much that was. If
       there is one, park is also called, with deadline 0, where the loop has something
       to do: to look, not to sleep. NULL: none. */
    int (*dispatch)(void *user);
    void *user;
    vts_pool_desc delays; /* their memory: storage (of vts_delay_operation), alignment,
                             allocator, capacity, first, cache. All zero: grows by the
                             default allocator, if there is one                       */
} vts_loop_desc;

#define VTS__DIGITS 16u /* 4-bit digits of a vts_time */

/* Fields are private. Atomic words:
     head    0: nothing posted; VTS__PARKED: and the loop sleeps or is about to; else the
             newest work, a stack. Post release, taking acquire, parking acq_rel [P9]
     stop    1 while stop_work is posted; acq_rel
     thread  whose call of run it is, 0: nobody's; acq_rel
     woken   calls of desc.wake that have returned; acq_rel. Those that owed says there
             are have to, before the loop may go */
typedef struct vts_loop {
    vts_scheduler scheduler; /* post here, from anywhere                              */
    vts_word head, stop, thread, woken;
    vts_word owed;           /* sleeps that a post ended                              */
    vts_work stop_work;
    vts_work *ready;         /* taken, in order, not run yet                          */
    bool stopped;
    void (*park)(void *user, vts_time deadline);
    void (*wake)(void *user);
    int (*dispatch)(void *user);
    void *user;
    vts_time last;           /* what timer slots are counted from; never in the future */
    size_t armed;
    uint32_t levels;         /* bit n: occupied[n] is not 0                            */
    uint16_t occupied[VTS__DIGITS];
    vts_timer *slots[VTS__DIGITS * 16 + 1]; /* the last: due in this pass              */
    vts_pool delays;
} vts_loop;

/* Makes a loop; desc NULL: defaults. VTS_E_ARGUMENT for a park without a wake or the
   reverse, a dispatch without a park, and as of vts_pool_init. Owner only. */
VTS_API int vts_loop_init(vts_loop *loop, const vts_loop_desc *desc);

/* Ends a loop. VTS_E_BUSY, and nothing changed, while it runs, work is posted, a timer is
   armed or a delay is out. A desc.wake that another thread is in has returned when this
   does. What is posted afterwards, against the rules, runs on the
   poster's thread and is reported to the misuse hook as VTS_E_CLOSED. */
VTS_API int vts_loop_destroy(vts_loop *loop);

/* Runs what is posted and what is due, until vts_loop_stop. VTS_OK; VTS_E_BUSY if it is
   being run (on this thread or another), VTS_E_CLOSED, VTS_E_ARGUMENT. */
VTS_API int vts_loop_run(vts_loop *loop);

/* One pass: what is posted or due now; if that is nothing, sleeps until something is, or
   the deadline (0: does not sleep). Returns how many works and timers ran, or an error of
   vts_loop_run. 0 may come before the deadline, where a sleep ended early. */
VTS_API int vts_loop_run_once(vts_loop *loop, vts_time deadline);

/* Runs until the task is completed, whose result is then to be taken. VTS_OK, or
   VTS_E_TIMEOUT at the deadline, or VTS_E_STOPPED after vts_loop_stop: then the task
   is the caller's as before. Errors of on_completed, of vts_loop_run; VTS_E_UNSUPPORTED
   if the task's source cannot unregister and there is a deadline; without one a stop
   then has to wait for the task. */
VTS_API int vts_loop_run_until(vts_loop *loop, vts_valuetask task, vts_time deadline);

/* Makes the present run return after the work posted before this; without one, the next.
   Nothing is lost: what did not run stays posted. From any thread; an interrupt.
   VTS_E_ARGUMENT, VTS_E_CLOSED. */
VTS_API int vts_loop_stop(vts_loop *loop);

/* True on the thread that runs the loop, while it does. */
VTS_API bool vts_loop_is_current(const vts_loop *loop);

/* For a park of your own: true as long as there is a reason to sleep. */
VTS_API bool vts_loop_is_parked(const vts_loop *loop);

/* Arms a timer: continuation(arg) runs on the loop, in order of deadlines, equal ones in
   order of arming; one that is past already in the next pass, before those that are not.
   From the thread that runs the loop, or while it is not run; else VTS_E_THREAD.
   VTS_E_BUSY if armed, VTS_E_CLOSED, VTS_E_ARGUMENT. Constant time; until it fires a
   timer is moved at most once per hex digit of the time that is left, in nanoseconds (9
   for ten seconds): once if it is alone, about half as often among very many. */
VTS_API int vts_timer_start(vts_timer *timer, vts_loop *loop, vts_time deadline,
                            vts_continuation continuation, void *arg);

/* Disarms: VTS_OK, and it will not run; VTS_E_NOT_AWAITED if it is not armed. VTS_E_THREAD,
   VTS_E_ARGUMENT. Constant time. */
VTS_API int vts_timer_stop(vts_timer *timer);

/* The earliest time at which a timer may be due, VTS_NEVER without one: for a park of
   your own. Never late; early where more than 32 timers are close together. */
VTS_API vts_time vts_loop_next_deadline(const vts_loop *loop);

/* Completes at the deadline with 0, on the loop; at once if that is past; as canceled when
   the token is. From any thread. Fails with VTS_E_EXHAUSTED, VTS_E_CLOSED (the loop, or
   the token's source), VTS_E_ARGUMENT. */
VTS_API vts_valuetask vts_delay(vts_loop *loop, vts_time deadline,
                                vts_cancellation_token cancel);

/* A source that cancels itself. All zero is ready; cancel_after a second time moves the
   deadline, VTS_NEVER takes it back. From the thread that runs the loop; errors as of
   vts_timer_start. Take it back before the memory goes. */
typedef struct vts_cancellation_timer {
    vts_timer timer;
    vts_cancellation_source *source;
} vts_cancellation_timer;
VTS_API int vts_cancellation_cancel_after(vts_cancellation_timer *timer,
                                          vts_cancellation_source *source,
                                          vts_loop *loop, vts_time deadline);

// ----------------------------------------------------------------------------------
// >>threadpool
// ----------------------------------------------------------------------------------

typedef struct vts_threadpool vts_threadpool;

/* Zero is the default of every field. */
typedef struct vts_threadpool_desc {
    unsigned threads;               /* 0: as many as there are online processors      */
    const vts_allocator *allocator; /* NULL: the default                              */
} vts_threadpool_desc;

/* Starts the threads. desc NULL: defaults. VTS_E_MEMORY, VTS_E_THREAD if the system
   gives none (then nothing is left behind), VTS_E_ARGUMENT for more than 1024,
   VTS_E_UNSUPPORTED without threads. One allocation. */
VTS_API int vts_threadpool_create(vts_threadpool **pool, const vts_threadpool_desc *desc);

/* Runs what is posted, and what that posts, then ends the threads and frees. VTS_E_DEADLOCK
   on a thread of the pool, VTS_E_ARGUMENT. Nobody else may post meanwhile, or still be in a
   call that posts. */
VTS_API int vts_threadpool_destroy(vts_threadpool *pool);

/* Where to post: from any thread, without allocating. Works run in no certain order, and
   none waits for ever behind others that post themselves. A work may block its thread: what
   it posted is run by others, as long as there is one that does not block. Each work runs
   with the pool as current scheduler. NULL of NULL. */
VTS_API vts_scheduler *vts_threadpool_scheduler(vts_threadpool *pool);

/* How many threads it has; 0 of NULL. */
VTS_API unsigned vts_threadpool_threads(const vts_threadpool *pool);

// ----------------------------------------------------------------------------------
// >>when
// ----------------------------------------------------------------------------------

struct vts_when;

/* One of several tasks. Set task; the rest is vts_when's. */
typedef struct vts_when_entry {
    vts_valuetask task;
    int error;       /* once its result was taken: VTS_OK or its error                */
    intptr_t result;
    struct vts_when *when;
    vts_awaiter awaiter;
    vts_word state, index;
} vts_when_entry;

/* The caller's memory, with the entries, until the task of when_all or when_any is
   completed. All zero is ready; reusable then.
   remaining: entries (and the call itself) that may still touch this; acq_rel, and the
   one that makes it 0 completes. winner: index + 1, by compare-and-swap. */
typedef struct vts_when {
    vts_source source;
    vts_token token;
    vts_word remaining, winner;
    vts_when_entry *entries;
    size_t count;
    bool any;
} vts_when;

/* Completes with 0 when all are completed, or with the error of the first entry that has
   one, faulted or canceled as that is. Every entry's result was taken into its fields.
   Fails with VTS_E_ARGUMENT, VTS_E_PENDING if when is in use. A handle that cannot be
   awaited counts as completed with that error. Allocates nothing. */
VTS_API vts_valuetask vts_when_all(vts_when *when, vts_when_entry *entries, size_t count);

/* Completes with the index of the first that is completed, whose result was taken into its
   entry. The others are unregistered and the caller's as before: await them again, or
   forget them. Of two that complete at once one is taken; the other is completed then, and
   had its one registration: whoever asks for its status first, as quickstart, when, wait
   and await do, finds it so. One whose source cannot unregister has to be completed before
   this is. Errors as of vts_when_all, and of no entries VTS_E_ARGUMENT. */
VTS_API vts_valuetask vts_when_any(vts_when *when, vts_when_entry *entries, size_t count);

/* The caller's memory until the task of vts_with_timeout is completed; all zero is
   ready. */
typedef struct vts_timeout {
    vts_source source;
    vts_token token;
    vts_valuetask task;
    vts_awaiter awaiter;
    vts_timer timer;
    vts_loop *loop;
    vts_cancellation_source *cancel;
    bool expired;
} vts_timeout;

/* Completes as the task does, or with VTS_E_TIMEOUT at the deadline. Called on the loop's
   thread, and completes there. With a cancellation source (which the operation listens
   to) the deadline cancels it, and the timeout is completed when the operation is: its
   buffers are free then. Without one the operation goes on, unwatched: its result is
   dropped when it comes. Fails with VTS_E_THREAD, VTS_E_PENDING if timeout is in use,
   VTS_E_ARGUMENT, and the errors of on_completed; the task is taken over all the same, and
   forgotten. */
VTS_API vts_valuetask vts_with_timeout(vts_timeout *timeout, vts_valuetask task,
                                       vts_loop *loop, vts_time deadline,
                                       vts_cancellation_source *cancel);

// ----------------------------------------------------------------------------------
// >>await
// ----------------------------------------------------------------------------------
// A coroutine is a function with one block:
//
//     typedef struct copy { vts_co co; stream *from, *to; char buffer[512]; int n; } copy;
//
//     static vts_step copy_run(vts_co *co)
//     {
//         copy *c = VTS_SELF(co, copy);
//
//         VTS_ASYNC(co) {
//             do {
//                 VTS_TRY(c->n, read_async(c->from, c->buffer, sizeof c->buffer));
//                 VTS_TRY(c->n, write_async(c->to, c->buffer, c->n));
//             } while (c->n > 0);
//         VTS_FINALLY();
//             VTS_AWAIT(c->closed, close_async(c->to));
//         }
//         return vts_co_finish(co, c->n);
//     }
//
// Anything needed after an await lives in the frame. A plain local may be used between
// two awaits; declare it at the top without an initialiser, or in braces that contain no
// await. Never pass a local's address to an operation.
//
// The frame is the caller's, all zero before its first use, or rented from a pool
// (vts_co_pool_desc). A coroutine is itself awaitable: vts_co_start gives a value task.
// One await per source line; no await inside a switch of your own.

/* What the function returns: VTS_AWAIT does it, and vts_co_finish. */
typedef enum vts_step { VTS_STEP_PENDING, VTS_STEP_DONE } vts_step;

/* First member of every frame. line: the source line where the coroutine waits; 0 running,
   VTS_CO_UNWINDING on the way to VTS_FINALLY, VTS_CO_DONE. Everything in it belongs to
   whoever runs the coroutine, and is handed over by its registration ([P1]). */
typedef struct vts_co {
    vts_source source;
    vts_step (*run)(struct vts_co *co);
    int line;
    uint16_t flags;
    bool more;           /* of the innermost VTS_FOREACH                              */
    const char *name, *file;
    vts_valuetask awaiting;
    vts_awaiter awaiter;
    vts_token token;
} vts_co;

#define VTS_CO_UNWINDING (-1)
#define VTS_CO_DONE (-2)

/* The frame around its co, which is its first member. */
#define VTS_SELF(co, type) ((type *)(void *)(co))

/* Starts the coroutine on this thread, up to its first pending await, and gives its task:
   take its result once. The frame has to be idle: else a task that failed with
   VTS_E_PENDING. VTS_E_ARGUMENT. Nothing is allocated. */
#define vts_co_start(co, run) vts_co_start_named((co), (run), #run)
VTS_API vts_valuetask vts_co_start_named(vts_co *co, vts_step (*run)(vts_co *),
                                         const char *name);

/* Completes the coroutine: a result that is negative fails it, VTS_E_CANCELED cancels it.
   Last in the function: the frame may be gone when it returns. */
VTS_API vts_step vts_co_finish(vts_co *co, intptr_t result);

/* Where the coroutine resumes: VTS_USE_SCHEDULING_CONTEXT, the default, on the scheduler
   that was current at the await, if there was one; VTS_NONE where the operation completes
   (ConfigureAwait(false)). For the awaits from now on, before a start or in the block;
   a frame keeps it when it is started again, a rented one begins with the default. */
VTS_API void vts_co_configure(vts_co *co, unsigned flags);

/* For a pool of frames of this size: frames of started coroutines return to it when their
   result is taken. Rent one, fill it in, start it. */
static inline vts_pool_desc vts_co_pool_desc(size_t frame_size);
#define vts_co_rent(pool, type) ((type *)(void *)vts_co_rent_at((pool), VTS_HERE))
VTS_API vts_co *vts_co_rent_at(vts_pool *pool, const char *site);

/* Writes who awaits whom from this frame outward, "inner:12 < outer:40", at most size
   bytes and a 0; returns what that took or would have. For a debugger, and frames that
   stand still. */
VTS_API size_t vts_co_dump(const vts_co *co, char *text, size_t size);

/* Hears of misuse that cannot go on: an await in a nested switch, a resumed frame that is
   finished, a task awaited twice. If it returns the program is aborted; NULL: says so on
   stderr where there is one, then aborts. */
typedef void (*vts_trap_hook)(void *user, const char *file, int line, const char *text,
                              const vts_co *co);
VTS_API void vts_set_trap_hook(vts_trap_hook hook, void *user);

/* Private, for the macros: the steps of an await. */
VTS_API int vts__co_enter(vts_co *co, const char *file);
VTS_API void vts__co_elsewhere(vts_co *co);
VTS_API bool vts__co_await(vts_co *co, int line, vts_valuetask task);
VTS_API intptr_t vts__co_take(vts_co *co);
VTS_API int vts__co_take_typed(vts_co *co, void *result);
VTS_API bool vts__co_yield(vts_co *co, int line, vts_scheduler *scheduler);
VTS_API bool vts__co_foreach(vts_co *co, int line, vts_valuetask task);
VTS_API void vts__co_resumed(vts_co *co);
VTS_API vts_step vts__co_unwind(vts_co *co);

#if defined __cplusplus && __cplusplus >= 201703L
#define VTS_FALLTHROUGH [[fallthrough]]
#elif defined __GNUC__ && (!defined __clang__ || __clang_major__ >= 10)
#define VTS_FALLTHROUGH __attribute__((fallthrough))
#else
#define VTS_FALLTHROUGH (void)0
#endif

/* The block. Leaving it in any way ends the coroutine: return vts_co_finish after it. */
#define VTS_ASYNC(co_)                                                                 \
    vts_co *const vts_self = (co_);                                                    \
    switch (vts__co_enter(vts_self, __FILE__)) /* the block follows */                 \
    default:                                                                           \
        for (vts__co_elsewhere(vts_self); 0;)                                          \
        case 0:

#ifdef __cplusplus
#define VTS__ASSERT(condition, text) static_assert(condition, text)
#else
#define VTS__ASSERT(condition, text) _Static_assert(condition, text)
#endif
/* An error is negative: what cannot be that would lose it. */
#define VTS__HOLDS_ERRORS(dst)                                                         \
    VTS__ASSERT((__typeof__(dst))-1 < (__typeof__(dst))1, "a signed integer holds errors")

/* Waits for a value task with a word for its result; dst receives the result, or the
   negative error. */
#define VTS_AWAIT(dst, task)                                                           \
    do {                                                                               \
        VTS__HOLDS_ERRORS(dst);                                                        \
        {                                                                              \
            const vts_valuetask vts__task = (task);                                    \
            if (vts__task.source == NULL) {                                            \
                (dst) = (__typeof__(dst))(intptr_t)vts__task.token;                    \
                break;                                                                 \
            }                                                                          \
            if (!vts__co_await(vts_self, __LINE__, vts__task)) {                       \
                return VTS_STEP_PENDING;                                               \
            }                                                                          \
        }                                                                              \
        VTS_FALLTHROUGH;                                                               \
    case __LINE__:                                                                     \
        (dst) = (__typeof__(dst))vts__co_take(vts_self);                               \
    } while (0)

/* Waits, and leaves for VTS_FINALLY if dst is negative; from there, leaves the block. */
#define VTS_TRY(dst, task)                                                             \
    do {                                                                               \
        VTS_AWAIT(dst, task);                                                          \
        if ((dst) < 0) return vts__co_unwind(vts_self);                                \
    } while (0)

/* Waits for a typed value task of VTS_DECLARE_VALUETASK(name, T): error receives VTS_OK or
   the error, *value (in the frame) the result. */
#define VTS_AWAIT_TYPED(name, error, value, task_)                                     \
    do {                                                                               \
        {                                                                              \
            const name##_valuetask vts__task = (task_);                                \
            if (vts__task.source == NULL) {                                            \
                (error) = name##_get_result(vts__task, (value));                       \
                break;                                                                 \
            }                                                                          \
            if (!vts__co_await(vts_self, __LINE__, name##__plain(vts__task))) {        \
                return VTS_STEP_PENDING;                                               \
            }                                                                          \
        }                                                                              \
        VTS_FALLTHROUGH;                                                               \
    case __LINE__:                                                                     \
        (error) = vts__co_take_typed(vts_self, (value));                               \
    } while (0)

/* At most one, at the block's own level: what follows runs when the block is left by
   reaching it, by a VTS_TRY that failed, or by VTS_LEAVE. It may await. */
#define VTS_FINALLY()                                                                  \
    VTS_FALLTHROUGH;                                                                   \
    case VTS_CO_UNWINDING:                                                             \
        vts__co_finalizing(vts_self)

/* Leaves for VTS_FINALLY; from there, or without one, leaves the block. */
#define VTS_LEAVE() return vts__co_unwind(vts_self)

/* Goes on as a work posted to the scheduler (NULL: the current one; if there is none, at
   once). That is how a coroutine changes threads: to a pool for what blocks, and back. */
#define VTS_YIELD(scheduler)                                                           \
    do {                                                                               \
        if (!vts__co_yield(vts_self, __LINE__, (scheduler))) return VTS_STEP_PENDING;  \
        VTS_FALLTHROUGH;                                                               \
    case __LINE__:                                                                     \
        vts__co_resumed(vts_self);                                                     \
    } while (0)

// ----------------------------------------------------------------------------------
// >>streams
// ----------------------------------------------------------------------------------
// IAsyncEnumerator: a sequence whose next element may have to be waited for. One reusable
// source serves the whole iteration: no allocation however long it is.

struct vts_stream;

typedef struct vts_stream_ops {
    /* 1: there is an element; 0: the end, from then on; or an error. One at a time. */
    vts_valuetask (*move_next)(struct vts_stream *self, vts_cancellation_token cancel);
    /* Where the element is, until the next move_next; gives NULL if there is none. */
    void *(*current)(struct vts_stream *self);
    /* Ends the iteration early; completed when everything is given back. */
    vts_valuetask (*dispose)(struct vts_stream *self);
} vts_stream_ops;

/* First member of every stream, as vts_valuetask_source is of every source. */
typedef struct vts_stream {
    const vts_stream_ops *ops;
} vts_stream;

static inline vts_valuetask vts_stream_move_next(vts_stream *stream,
                                                 vts_cancellation_token cancel);
static inline void *vts_stream_current(vts_stream *stream);
static inline vts_valuetask vts_stream_dispose(vts_stream *stream);

/* In the block of a coroutine: for each element, the statement that follows. rc, a lvalue
   in the frame, is 1 in the statement; after it 0, the end, or the error (1 after a
   break). The element is at vts_stream_current. Does not dispose. */
#define VTS__CAT2(a, b) a##b
#define VTS__CAT(a, b) VTS__CAT2(a, b)
#define VTS_FOREACH(rc, stream, cancel)                                                \
    for (vts_self->more = true; vts_self->more;)                                       \
        if (!vts__co_foreach(vts_self, __LINE__,                                       \
                             vts_stream_move_next((stream), (cancel)))) {              \
            return VTS_STEP_PENDING;                                                   \
        } else /* the statement follows */                                             \
            for (; !vts_self->more; vts_self->more = true)                             \
                if (1) {                                                               \
                    VTS_FALLTHROUGH;                                                   \
                case __LINE__:                                                         \
                    (rc) = (__typeof__(rc))vts__co_take(vts_self);                     \
                    if ((rc) <= 0) break;                                              \
                    goto VTS__CAT(vts__body_, __LINE__);                               \
                } else VTS__CAT(vts__body_, __LINE__) :

/* A stream written as a coroutine (an async iterator method). First member of its frame;
   all zero before its first use. */
typedef struct vts_generator {
    vts_co co;
    vts_stream stream;
    vts_source next;     /* of every move_next and dispose that has to wait           */
    vts_token token;
    void *current;
    vts_cancellation_token cancel; /* of the move_next that is served                 */
    int state;
} vts_generator;

/* The stream of a generator: run begins with the first move_next. The frame has to be
   idle, and not from vts_co_rent: its stream outlives the coroutine. Else NULL. */
#define vts_generator_start(generator, run)                                            \
    vts_generator_start_named((generator), (run), #run)
VTS_API vts_stream *vts_generator_start_named(vts_generator *generator,
                                              vts_step (*run)(vts_co *), const char *name);

/* In a generator's block: gives an element, at value, and waits for the next move_next
   (yield return). After a dispose goes to VTS_FINALLY instead. Not after VTS_FINALLY. */
#define VTS_YIELD_RETURN(value)                                                        \
    do {                                                                               \
        vts__generator_yield(vts_self, __LINE__, (value));                             \
        return VTS_STEP_PENDING;                                                       \
    case __LINE__:                                                                     \
        vts__co_resumed(vts_self);                                                     \
    } while (0)

VTS_API void vts__co_finalizing(vts_co *co);
VTS_API void vts__generator_yield(vts_co *co, int line, void *value);

// ----------------------------------------------------------------------------------
// inline parts of the above
// ----------------------------------------------------------------------------------

static inline vts_cancellation_token vts_cancellation_token_of(
    vts_cancellation_source *source)
{
    vts_cancellation_token token;
    token.source = source;
    return token;
}

static inline vts_cancellation_token vts_cancellation_none(void)
{
    return vts_cancellation_token_of(NULL);
}

static inline vts_pool_desc vts_co_pool_desc(size_t frame_size)
{
    vts_pool_desc desc;
    vts__describe_typed(&desc, frame_size, 0, 0);
    return desc;
}

static inline vts_valuetask vts_stream_move_next(vts_stream *stream,
                                                 vts_cancellation_token cancel)
{
    return stream->ops->move_next(stream, cancel);
}

static inline void *vts_stream_current(vts_stream *stream)
{
    return stream->ops->current(stream);
}

static inline vts_valuetask vts_stream_dispose(vts_stream *stream)
{
    return stream->ops->dispose(stream);
}
#ifdef __cplusplus
}
#endif

// ----------------------------------------------------------------------------------
// >>cxx
// ----------------------------------------------------------------------------------
// C++20: co_await a value task or a task, and a coroutine that returns a value task:
//
//     vts::async twice(vts_pool *sources, vts_valuetask (*read)())
//     {
//         vts::result first = co_await read();
//         if (!first) co_return first;
//         vts::result second = co_await read();
//         co_return second ? vts::result{VTS_OK, first.value + second.value} : second;
//     }
//
// Its first argument (after this) is the pool its source is rented from, so that the
// handle is checked like any other; the compiler's frame is the heap's, and freed when the
// coroutine ends. No exception leaves it: one that is not caught terminates.
#if defined __cplusplus && defined __cpp_impl_coroutine

#include <coroutine>
#include <exception>
#include <new>
#include <type_traits>

/* Some versions of clang keep locals of an await_suspend that they inline in the frame of
   the coroutine, which may be gone by then. */
#ifdef __clang__
#define VTS__NOT_INLINED __attribute__((noinline))
#else
#define VTS__NOT_INLINED
#endif

namespace vts {

/* What a co_await gives: VTS_OK and a value, or the error. */
struct result {
    int error;
    intptr_t value;
    explicit operator bool() const noexcept { return error == VTS_OK; }
};

/* Awaits a value task, whatever it is backed by. Allocates nothing. */
class awaiter {
  public:
    explicit awaiter(vts_valuetask task,
                     unsigned flags = VTS_USE_SCHEDULING_CONTEXT) noexcept
        : task_(task), flags_(flags)
    {
    }
    awaiter(const awaiter &) = delete; /* what waits holds its address                   */
    awaiter &operator=(const awaiter &) = delete;
    bool await_ready() const noexcept
    {
        return task_.source == nullptr || vts_valuetask_get_status(task_) != VTS_PENDING;
    }
    /* It may have been resumed, and be gone, when subscribe returns VTS_OK. */
    VTS__NOT_INLINED bool await_suspend(std::coroutine_handle<> handle) noexcept
    {
        handle_ = handle;
        int error = vts__subscribe(task_, &node_.awaiter, resume, flags_, VTS_NEVER);
        if (error == VTS_OK) return true;
        error_ = error;
        return false;
    }
    result await_resume() noexcept
    {
        result taken{error_, 0};
        if (error_ == VTS_OK) taken.error = vts_valuetask_get_result(task_, &taken.value);
        return taken;
    }

  private:
    struct node {
        vts_awaiter awaiter; /* first: what resume gets points here                     */
        class awaiter *self;
    };
    static void resume(vts_work *work)
    {
        reinterpret_cast<node *>(work)->self->handle_.resume();
    }
    vts_valuetask task_;
    unsigned flags_;
    int error_ = VTS_OK;
    node node_{{}, this};
    std::coroutine_handle<> handle_;
};

/* A task, for as long as the caller holds a reference. */
inline awaiter await(vts_task *task) noexcept
{
    return awaiter(vts_valuetask_of_task(task));
}

/* ConfigureAwait: VTS_NONE resumes where the operation completes. */
inline awaiter configure_await(vts_valuetask task, unsigned flags) noexcept
{
    return awaiter(task, flags);
}

/* The return type of a coroutine: a value task. */
class [[nodiscard]] async {
  public:
    class promise_type;
    operator vts_valuetask() const noexcept { return task_; }

  private:
    explicit async(vts_valuetask task) noexcept : task_(task) {}
    vts_valuetask task_;
};

inline awaiter operator co_await(const async &task) noexcept { return awaiter(task); }

class async::promise_type {
  public:
    template <typename... Arguments>
    explicit promise_type(vts_pool *sources_, Arguments &&...) noexcept
        : source_(vts_pool_rent_at(sources_, &token_, "coroutine"))
    {
    }
    template <typename Self, typename... Arguments>
        requires(!std::is_convertible_v<Self, vts_pool *>)
    promise_type(Self &&, vts_pool *sources_, Arguments &&...) noexcept
        : promise_type(sources_)
    {
    }
    static void *operator new(std::size_t size) noexcept
    {
        return ::operator new(size, std::nothrow);
    }
    static void operator delete(void *frame) noexcept { ::operator delete(frame); }
    static async get_return_object_on_allocation_failure() noexcept
    {
        return async(vts_valuetask_from_error(VTS_E_MEMORY));
    }
    async get_return_object() noexcept
    {
        if (source_ == nullptr) return async(vts_valuetask_from_error(VTS_E_EXHAUSTED));
        return async(vts_valuetask_of(source_, token_));
    }
    /* Without a source nobody could hear of it: it does not begin. */
    auto initial_suspend() noexcept
    {
        struct begin {
            bool has_source;
            bool await_ready() const noexcept { return has_source; }
            VTS__NOT_INLINED void await_suspend(std::coroutine_handle<> handle) noexcept
            {
                handle.destroy();
            }
            void await_resume() noexcept {}
        };
        return begin{source_ != nullptr};
    }
    /* The frame goes first: whoever awaits may free what it refers to. */
    auto final_suspend() noexcept
    {
        struct end {
            bool await_ready() const noexcept { return false; }
            VTS__NOT_INLINED void
            await_suspend(std::coroutine_handle<promise_type> handle) noexcept
            {
                promise_type done = handle.promise();
                handle.destroy();
                done.complete();
            }
            void await_resume() noexcept {}
        };
        return end{};
    }
    void return_value(intptr_t value) noexcept { result_ = result{VTS_OK, value}; }
    void return_value(result value) noexcept { result_ = value; }
    /* VTS_E_TIMEOUT, say, is an error and not a number. */
    template <typename Error>
        requires std::is_same_v<Error, vts_result>
    void return_value(Error error) noexcept
    {
        result_ = result{error, 0};
    }
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }

  private:
    void complete() noexcept
    {
        if (result_.error == VTS_OK) vts_source_set_result(source_, token_, result_.value);
        else if (result_.error == VTS_E_CANCELED) vts_source_set_canceled(source_, token_, 0);
        else if (result_.error < 0) vts_source_set_error(source_, token_, result_.error);
        else vts_source_set_error(source_, token_, VTS_E_ARGUMENT);
    }
    vts_token token_ = 0;
    vts_source *source_;
    result result_{VTS_OK, 0};
};

} // namespace vts

inline vts::awaiter operator co_await(vts_valuetask task) noexcept
{
    return vts::awaiter(task);
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
        "already completed: somebody else was first",
        "already awaited: a continuation is registered for this operation",
        "not awaited: no continuation to take back, or it is being run",
        "still in use: an operation is pending or its continuation is queued",
        "canceled",
        "pool exhausted",
        "out of memory",
        "returned twice: the item is in the pool already",
        "foreign item: it is not of this pool",
        "busy: in use, or something of it is still out",
        "not supported by this source or on this platform",
        "timeout: the deadline came first",
        "deadlock: the thread that waits is one that has to act",
        "closed: it was destroyed or disposed",
        "wrong thread, or the system gives none",
        "stopped: the loop was told to return",
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
    struct vts_loop *loop;    /* the one this thread runs, innermost                  */
    struct vts__worker *worker; /* of the thread pool this thread is of               */
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

/* The head of a stack of posted work whose owner sleeps; it counts as empty. */
#define VTS__PARKED ((vts_word)1)

/* Pushes, and returns the head that was there. */
static vts_word vts__stack_push(vts_word *stack, vts_work *work)
{
    vts_word head = vts__load_rlx(stack);

    do {
        work->link.next = head != VTS__PARKED ? (vts_work *)head : NULL;
    } while (!vts__cas_acq_rel(stack, &head, (vts_word)work)); /* [P9] */
    return head;
}

/* Takes all, newest first. Its owner calls it, who does not sleep. */
static vts_work *vts__stack_take(vts_word *stack)
{
    vts_word head = vts__load_rlx(stack);

    if (head != 0) head = vts__xchg_acq_rel(stack, 0); /* [P9] */
    return (vts_work *)head;
}

static void vts__run_queue_post(vts_scheduler *self, vts_work *work)
{
    vts_run_queue *queue = vts__container_of(self, vts_run_queue, scheduler);
    vts_word head = vts__stack_push(&queue->head, work);

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
    work = vts__reverse(vts__stack_take(&queue->head));
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

static void vts__recycle(vts_source *source);
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

    if (vts__phase(word) == VTS__CONSUMED) vts__recycle(source);
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
    if (vts__phase(word) == VTS__CONSUMED) vts__recycle(source);
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

/* Makes the caller the one consumer of a source; *word is what it found. Until the caller
   has its result the source is not idle: whoever finds it so may arm it. */
static int vts__consume(vts_source *source, vts_token token, vts_word *word)
{
    *word = vts__load_rlx(&source->word);
    while (vts__is_current(*word, token) && vts__is_done(*word)) {
        vts_word claimed = (*word & ~VTS__PHASE) | VTS__CONSUMING;
        if (vts__cas_acq_rel(&source->word, word, claimed)) return VTS_OK; /* [P2] */
    }
    return vts__no_result(source, token, *word);
}

static bool vts__is_pooled(const vts_source *source);

/* The consumer is done: back to the pool, by whoever needs the source last. */
static void vts__consumed(vts_source *source, vts_word word)
{
    word = (word & ~VTS__PHASE) | VTS__CONSUMING;
    while (vts__is_pinned(word)) {
        if (vts__cas_acq_rel(&source->word, &word, word | VTS__CONSUMED)) return; /*[P5]*/
    }
    vts__recycle(source);
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

/* The word of a source that has no pool, but whose result is taken once all the same: a
   coroutine's. */
static int vts__once_get_result(vts_valuetask_source *self, vts_token token, void *result)
{
    vts_source *source = (vts_source *)(void *)self;
    vts_word word, value;
    int error = vts__consume(source, token, &word);

    if (error != VTS_OK) return error;
    value = vts__load_rlx(&source->result);
    vts__consumed(source, word);
    if (vts__phase(word) != VTS__SUCCEEDED) return (int)(intptr_t)value;
    if (result != NULL) *(intptr_t *)result = (intptr_t)value;
    return VTS_OK;
}

static bool vts__is_taken_once(const vts_source *source)
{
    return vts__is_pooled(source) || source->base.ops->get_result == vts__once_get_result;
}

/* A typed source's result does not fit a word: it is taken through its typed handle. */
static bool vts__has_word_result(const vts_source *source)
{
    return source->base.ops->get_result == vts__pooled_get_result ||
           source->base.ops->get_result == vts__op_get_result ||
           source->base.ops->get_result == vts__once_get_result;
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
    if (vts__is_taken_once(source)) {
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
    if (vts__is_pooled(source)) vts__recycle(source);
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

/* Of what is a source itself: coroutines, sockets. */
static const vts_source_ops vts__once_ops = {
    vts__op_get_status, vts__op_on_completed, vts__once_get_result,
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
static bool vts__gives_word(vts_valuetask task)
{
    return vts__ops(task)->on_completed != vts__op_on_completed ||
           vts__has_word_result((const vts_source *)(const void *)task.source);
}

VTS_API int vts__valuetask_take_word(vts_valuetask task, intptr_t *result)
{
    if (result != NULL && !vts__gives_word(task)) return VTS_E_UNSUPPORTED;
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

static void vts__recycle(vts_source *source)
{
    vts_token token = vts__load_rlx(&source->word) & ~VTS__LOW;

    vts__store_rel(&source->word, token | VTS__IDLE); /* one without a pool is reset next */
    if (vts__is_pooled(source)) vts__pool_return(source);
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

#include <stdio.h>
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

static void vts__say_trap(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: vts: %s\n", file, line, text);
}

VTS_API const vts_allocator *vts_allocator_default(void)
{
    static const vts_allocator allocator = {vts__malloc, vts__free, NULL};
    return &allocator;
}

#else

static void vts__say_trap(const char *file, int line, const char *text)
{
    (void)file;
    (void)line;
    (void)text;
}

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

// ----------------------------------------------------------------------------------
// >>parking
// ----------------------------------------------------------------------------------
// The clock, and how a thread sleeps until a word changes. vts__wait returns when the
// word was woken, or differs from value, or at the deadline, or for no reason; false only
// if the deadline was past: callers look at what they wait for again. vts__wake ends the
// sleep of one.

static vts_time (*vts__clock)(void);

VTS_API void vts_set_clock(vts_time (*clock)(void)) { vts__clock = clock; }

VTS_API vts_time vts_after(vts_time duration)
{
    vts_time now = vts_now();
    return duration < VTS_NEVER - now ? now + duration : VTS_NEVER;
}

#if VTS__HOSTED && !defined _WIN32

#include <time.h>
#include <unistd.h>

#ifndef CLOCK_MONOTONIC
#error "vts: the implementation needs the clock of POSIX: put the two lines that implement \
vts before other includes, or compile with -D_GNU_SOURCE"
#endif

static vts_time vts__system_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return VTS_SECONDS(now.tv_sec) + (vts_time)now.tv_nsec;
}

#else

static vts_time vts__system_clock(void) { return 0; }

#endif

VTS_API vts_time vts_now(void)
{
    return vts__clock != NULL ? vts__clock() : vts__system_clock();
}

#if VTS__HOSTED && defined __linux__
#include <sys/syscall.h>
#endif

#if defined VTS__PARKING_HEADER
#include VTS__PARKING_HEADER
#define VTS__PARKS 1

#elif VTS__HOSTED && defined __linux__ && defined SYS_futex
#define VTS__PARKS 1

#include <linux/futex.h>

/* As unistd.h does where extensions are asked for. */
long syscall(long number, ...);

/* The half of the word that changes. */
static uint32_t *vts__futex(vts_word *word)
{
    size_t half = sizeof(vts_word) / sizeof(uint32_t) - 1;
    return (uint32_t *)(void *)word +
           (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? half : 0);
}

/* The kernel's time is two longs whatever the C library's is; a sleep of an hour at most
   always fits. */
static bool vts__wait(vts_word *word, vts_word value, vts_time deadline)
{
    vts_time left = VTS_SECONDS(3600);
    long timeout[2];

    if (deadline != VTS_NEVER) {
        vts_time now = vts_now();
        if (deadline <= now) return false;
        if (deadline - now < left) left = deadline - now;
    }
    timeout[0] = (long)(left / 1000000000u);
    timeout[1] = (long)(left % 1000000000u);
    syscall(SYS_futex, vts__futex(word), FUTEX_WAIT_PRIVATE, (uint32_t)value, timeout,
            NULL, 0);
    return true;
}

static void vts__wake(vts_word *word)
{
    syscall(SYS_futex, vts__futex(word), FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

#elif VTS__HOSTED && !defined _WIN32
#define VTS__PARKS 1

#include <pthread.h>

/* One for all: whoever sleeps looks again whenever anybody is woken. */
static pthread_mutex_t vts__park_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t vts__park_condition = PTHREAD_COND_INITIALIZER;

static bool vts__wait(vts_word *word, vts_word value, vts_time deadline)
{
    vts_time now = vts_now();
    vts_time left = VTS_SECONDS(3600);
    struct timespec until;

    if (deadline <= now) return false;
    if (deadline - now < left) left = deadline - now;
    clock_gettime(CLOCK_REALTIME, &until); /* what a condition takes by default */
    left += (vts_time)until.tv_nsec;
    until.tv_sec += (time_t)(left / 1000000000u);
    until.tv_nsec = (long)(left % 1000000000u);
    pthread_mutex_lock(&vts__park_mutex);
    if (vts__load_acq(word) == value) {
        pthread_cond_timedwait(&vts__park_condition, &vts__park_mutex, &until);
    }
    pthread_mutex_unlock(&vts__park_mutex);
    return true;
}

static void vts__wake(vts_word *word)
{
    (void)word;
    pthread_mutex_lock(&vts__park_mutex);
    pthread_cond_broadcast(&vts__park_condition);
    pthread_mutex_unlock(&vts__park_mutex);
}

#else
#define VTS__PARKS 0

static bool vts__wait(vts_word *word, vts_word value, vts_time deadline)
{
    (void)word;
    (void)value;
    return deadline > vts_now();
}

static void vts__wake(vts_word *word)
{
    (void)word;
}

#endif

/* A lock in a word, for a few instructions at a time: 0 free, 1 held, 2 held and somebody
   sleeps (Drepper, "Futexes are tricky", 2011, mutex 3). */
#if defined VTS_SINGLE_THREADED

static void vts__lock(vts_word *lock) { (void)lock; }
static void vts__unlock(vts_word *lock) { (void)lock; }

#elif defined VTS_CRITICAL_ENTER

static void vts__lock(vts_word *lock)
{
    unsigned state = (unsigned)VTS_CRITICAL_ENTER();
    *lock = state;
}

static void vts__unlock(vts_word *lock)
{
    unsigned state = (unsigned)*lock;
    VTS_CRITICAL_EXIT(state);
}

#else

static void vts__lock(vts_word *lock)
{
    vts_word free = 0;

    if (vts__cas_acq_rel(lock, &free, 1)) return;
    while (vts__xchg_acq_rel(lock, 2) != 0) {
        vts__wait(lock, 2, VTS_NEVER);
    }
}

static void vts__unlock(vts_word *lock)
{
    if (vts__xchg_acq_rel(lock, 0) == 2) vts__wake(lock);
}

#endif

// ----------------------------------------------------------------------------------
// >>canceling
// ----------------------------------------------------------------------------------
#define VTS__CANCEL_RUNS 1u /* a call of cancel is running the callbacks              */
#define VTS__CANCEL_RAN 2u  /* and has returned                                        */
#define VTS__DISPOSED 4u    /* a bit: a source that is disposed stays canceled         */

VTS_API bool vts_cancellation_is_requested(vts_cancellation_token token)
{
    vts_word state = token.source != NULL ? vts__load_acq(&token.source->state) : 0;
    return (state & (VTS__CANCEL_RUNS | VTS__CANCEL_RAN)) != 0;
}

static void vts__registration_unlink(vts_cancellation_registration *registration)
{
    vts_cancellation_registration *next = registration->next;
    vts_cancellation_registration *previous = registration->previous;

    if (next != NULL) next->previous = previous;
    if (previous != NULL) {
        previous->next = next;
    } else {
        registration->source->first = next;
    }
    registration->next = registration;
}

/* The next callback to run; its registration is out of the list and may be gone once the
   callback runs. Under lock. */
static vts_cancellation_registration *vts__registration_take(
    vts_cancellation_source *source)
{
    vts_cancellation_registration *registration = source->first;

    if (registration != NULL) vts__registration_unlink(registration);
    source->running = registration;
    return registration;
}

static void vts__cancellation_run(vts_cancellation_source *source,
                                  vts_cancellation_registration *registration)
{
    vts__unlock(&source->lock);
    registration->callback(registration->arg);
    vts__lock(&source->lock);
    vts__store_rel(&source->runs, vts__load_rlx(&source->runs) + 1);
    if (source->waiters != 0) vts__wake(&source->runs);
}

VTS_API int vts_cancellation_cancel(vts_cancellation_source *source)
{
    vts_cancellation_registration *registration;
    vts_word state;

    if (source == NULL) return VTS_E_ARGUMENT;
    vts__lock(&source->lock);
    state = vts__load_rlx(&source->state);
    if (state != 0) {
        vts__unlock(&source->lock);
        return (state & VTS__DISPOSED) != 0 ? VTS_E_CLOSED : VTS_E_ALREADY_COMPLETED;
    }
    vts__store_rel(&source->state, VTS__CANCEL_RUNS);
    source->canceler = &vts__self;
    while ((registration = vts__registration_take(source)) != NULL) {
        vts__cancellation_run(source, registration);
    }
    vts__store_rel(&source->state, VTS__CANCEL_RAN);
    vts__unlock(&source->lock);
    return VTS_OK;
}

static void vts__registration_link(vts_cancellation_registration *registration,
                                   vts_cancellation_source *source)
{
    vts_cancellation_registration *first = source->first;

    registration->previous = NULL;
    registration->next = first;
    if (first != NULL) first->previous = registration;
    source->first = registration;
}

/* Of a canceled token the registration is what it is after its callback ran: in use, and
   in no list. The callback may end its memory. */
VTS_API int vts_cancellation_register(vts_cancellation_token token,
                                      vts_cancellation_registration *registration,
                                      vts_continuation callback, void *arg)
{
    vts_cancellation_source *source = token.source;
    vts_word state;

    if (registration == NULL || callback == NULL) return VTS_E_ARGUMENT;
    if (registration->source != NULL) return VTS_E_BUSY;
    if (source == NULL) return VTS_OK;
    vts__lock(&source->lock);
    state = vts__load_rlx(&source->state);
    if ((state & VTS__DISPOSED) == 0) {
        registration->source = source;
        registration->callback = callback;
        registration->arg = arg;
        registration->next = registration;
        if (state == 0) vts__registration_link(registration, source);
    }
    vts__unlock(&source->lock);
    if ((state & VTS__DISPOSED) != 0) return VTS_E_CLOSED;
    if (state != 0) callback(arg);
    return VTS_OK;
}

/* Under lock: waits until the callback that runs on another thread has returned. */
static void vts__cancellation_await_run(vts_cancellation_source *source,
                                        const vts_cancellation_registration *registration)
{
    while (source->running == registration && source->canceler != &vts__self) {
        vts_word runs = vts__load_rlx(&source->runs);
        source->waiters++;
        vts__unlock(&source->lock);
        vts__wait(&source->runs, runs, VTS_NEVER);
        vts__lock(&source->lock);
        source->waiters--;
    }
}

VTS_API int vts_cancellation_unregister(vts_cancellation_registration *registration)
{
    vts_cancellation_source *source;
    bool waiting;

    if (registration == NULL) return VTS_E_ARGUMENT;
    source = registration->source;
    if (source == NULL) return VTS_OK;
    vts__lock(&source->lock);
    waiting = registration->next != registration;
    if (waiting) vts__registration_unlink(registration);
    else vts__cancellation_await_run(source, registration);
    registration->source = NULL;
    vts__unlock(&source->lock);
    return waiting ? VTS_OK : VTS_E_ALREADY_COMPLETED;
}

static void vts__cancellation_forward(void *arg)
{
    vts_cancellation_cancel((vts_cancellation_source *)arg);
}

VTS_API int vts_cancellation_link(vts_cancellation_source *child,
                                  vts_cancellation_registration *registration,
                                  vts_cancellation_token parent)
{
    if (child == NULL) return VTS_E_ARGUMENT;
    return vts_cancellation_register(parent, registration, vts__cancellation_forward,
                                     child);
}

/* Of its state, keeps some bits and adds others. */
static int vts__cancellation_become(vts_cancellation_source *source, vts_word keep,
                                    vts_word add)
{
    int error = VTS_OK;
    vts_word state;

    if (source == NULL) return VTS_E_ARGUMENT;
    vts__lock(&source->lock);
    state = vts__load_rlx(&source->state);
    if (source->first != NULL || state == VTS__CANCEL_RUNS) error = VTS_E_BUSY;
    else vts__store_rel(&source->state, (state & keep) | add);
    vts__unlock(&source->lock);
    return error;
}

VTS_API int vts_cancellation_reset(vts_cancellation_source *source)
{
    return vts__cancellation_become(source, 0, 0);
}

VTS_API int vts_cancellation_dispose(vts_cancellation_source *source)
{
    return vts__cancellation_become(source, VTS__CANCEL_RAN, VTS__DISPOSED);
}

// ----------------------------------------------------------------------------------
// >>tasks
// ----------------------------------------------------------------------------------
#define VTS__TASK_DONE 4u /* and above: a vts_status * 4 */

/* Locks a task that is pending; false, with an acquire, if it is completed. Of several
   sleepers an unlock wakes one, who wakes the next when it unlocks, or here, if it finds
   the task completed. */
static bool vts__task_lock(vts_task *task)
{
    vts_word word = 0, held = 1;
    bool slept = false;

    if (vts__cas_acq_rel(&task->word, &word, held)) return true;
    for (held = 2; word < VTS__TASK_DONE;) {
        if (word == 2) {
            vts__wait(&task->word, 2, VTS_NEVER);
            word = vts__load_acq(&task->word);
            slept = true;
        } else if (vts__cas_acq_rel(&task->word, &word, held)) {
            if (word == 0) return true;
            word = 2;
        }
    }
    if (slept) vts__wake(&task->word);
    return false;
}

/* Unlocks, or completes: one of those who sleep for the lock looks again. */
static void vts__task_unlock(vts_task *task, vts_word word)
{
    if (vts__xchg_acq_rel(&task->word, word) == 2) vts__wake(&task->word);
}

static vts_valuetask_source *vts__task_source(vts_task *task) { return &task->base; }

static vts_task *vts__task_of(vts_valuetask_source *source)
{
    return (vts_task *)(void *)source;
}

VTS_API int vts_task_get_status(const vts_task *task)
{
    vts_word word;

    if (task == NULL) return VTS_E_ARGUMENT;
    word = vts__load_acq(&task->word);
    return word < VTS__TASK_DONE ? VTS_PENDING : (int)(word / VTS__TASK_DONE);
}

VTS_API int vts_task_get_result(const vts_task *task, intptr_t *result)
{
    int status = vts_task_get_status(task);

    if (status < 0) return status;
    if (status == VTS_PENDING) return vts__misuse(VTS_E_NOT_COMPLETED, task, 0);
    if (status != VTS_SUCCEEDED) return (int)(intptr_t)task->result;
    if (result != NULL) *result = (intptr_t)task->result;
    return VTS_OK;
}

/* Runs a work here, or at the depth limit when the outermost continuation of this thread
   has returned. */
static void vts__run_inline(vts_work *work)
{
    vts__thread *self = &vts__self;

    if (!vts__may_run_inline(self)) {
        vts__trampoline_push(self, work);
        return;
    }
    self->depth++;
    work->run(work);
    if (--self->depth == 0 && self->first != NULL) vts__trampoline_drain(self);
}

/* As in .NET: to a scheduler that is not the current one (a source always posts). */
static void vts__awaiter_dispatch(vts_awaiter *awaiter)
{
    vts_scheduler *scheduler = awaiter->work.link.scheduler;

    if (scheduler == NULL || scheduler == vts__self.scheduler) {
        vts__run_inline(&awaiter->work);
    } else {
        vts_scheduler_post(scheduler, &awaiter->work);
    }
}

VTS_API int vts_task_on_completed(vts_task *task, vts_awaiter *awaiter,
                                  void (*run)(vts_work *work), unsigned flags)
{
    bool scheduled = (flags & VTS_USE_SCHEDULING_CONTEXT) != 0;

    if (task == NULL || awaiter == NULL || run == NULL) return VTS_E_ARGUMENT;
    awaiter->work.run = run;
    awaiter->work.link.scheduler = scheduled ? vts__self.scheduler : NULL;
    if (!vts__task_lock(task)) {
        vts__awaiter_dispatch(awaiter);
        return VTS_OK;
    }
    awaiter->previous = NULL;
    awaiter->next = task->first;
    if (task->first != NULL) task->first->previous = awaiter;
    task->first = awaiter;
    vts__task_unlock(task, 0);
    return VTS_OK;
}

VTS_API int vts_task_unregister(vts_task *task, vts_awaiter *awaiter)
{
    if (task == NULL || awaiter == NULL) return VTS_E_ARGUMENT;
    if (!vts__task_lock(task)) return VTS_E_NOT_AWAITED;
    if (awaiter->work.run == NULL) {
        vts__task_unlock(task, 0);
        return VTS_E_NOT_AWAITED;
    }
    awaiter->work.run = NULL;
    if (awaiter->next != NULL) awaiter->next->previous = awaiter->previous;
    if (awaiter->previous != NULL) awaiter->previous->next = awaiter->next;
    else task->first = awaiter->next;
    vts__task_unlock(task, 0);
    return VTS_OK;
}

/* The awaiters' memory is theirs again as soon as they run. */
static void vts__task_release_awaiters(vts_awaiter *newest)
{
    vts_awaiter *oldest = newest;

    while (oldest != NULL && oldest->next != NULL) oldest = oldest->next;
    while (oldest != NULL) {
        vts_awaiter *previous = oldest->previous;
        vts__awaiter_dispatch(oldest);
        oldest = previous;
    }
}

static int vts__task_complete(vts_task *task, int status, intptr_t result)
{
    vts_awaiter *first;

    if (task == NULL) return VTS_E_ARGUMENT;
    if (!vts__task_lock(task)) return VTS_E_ALREADY_COMPLETED;
    first = task->first;
    task->first = NULL;
    task->result = (vts_word)result;
    vts__task_unlock(task, (vts_word)status * VTS__TASK_DONE);
    vts__task_release_awaiters(first);
    return VTS_OK;
}

VTS_API int vts_task_set_result(vts_task *task, intptr_t result)
{
    return vts__task_complete(task, VTS_SUCCEEDED, result);
}

VTS_API int vts_task_set_error(vts_task *task, int error)
{
    if (error >= 0) return VTS_E_ARGUMENT;
    return vts__task_complete(task, VTS_FAULTED, error);
}

VTS_API int vts_task_set_canceled(vts_task *task, int error)
{
    if (error > 0) return VTS_E_ARGUMENT;
    return vts__task_complete(task, VTS_CANCELED, error != 0 ? error : VTS_E_CANCELED);
}

// ---- a task as a source ----

/* An awaiter that came through a handle: the task's allocator has its memory. */
typedef struct vts__task_node {
    vts_awaiter awaiter;
    vts_continuation continuation;
    void *arg;
    void *context;
    const vts_allocator *allocator;
} vts__task_node;

static void vts__free_with(const vts_allocator *allocator, void *memory, size_t size)
{
    if (allocator->free != NULL) allocator->free(allocator->user, memory, size);
}

static void vts__task_node_run(vts_work *work)
{
    vts__task_node *node = vts__container_of((vts_awaiter *)(void *)work, vts__task_node,
                                             awaiter);
    vts_continuation continuation = node->continuation;
    void *arg = node->arg;
    void *context = node->context;

    vts__free_with(node->allocator, node, sizeof *node);
    vts__invoke_in(continuation, arg, context);
}

static int vts__task_op_get_status(vts_valuetask_source *self, vts_token token)
{
    (void)token;
    return vts_task_get_status(vts__task_of(self));
}

static int vts__task_op_get_result(vts_valuetask_source *self, vts_token token,
                                   void *result)
{
    (void)token;
    return vts_task_get_result(vts__task_of(self), (intptr_t *)result);
}

static int vts__task_op_on_completed(vts_valuetask_source *self, vts_token token,
                                     vts_continuation continuation, void *arg,
                                     unsigned flags)
{
    vts_task *task = vts__task_of(self);
    const vts_allocator *allocator = task->allocator;
    vts__task_node *node;

    (void)token;
    if (continuation == NULL) return VTS_E_ARGUMENT;
    if (vts_task_get_status(task) != VTS_PENDING) {
        return vts_run_continuation(continuation, arg, flags);
    }
    node = (vts__task_node *)allocator->alloc(allocator->user, sizeof *node);
    if (node == NULL) return VTS_E_MEMORY;
    node->continuation = continuation;
    node->arg = arg;
    node->context = vts__flowing_context(flags);
    node->allocator = allocator;
    return vts_task_on_completed(task, &node->awaiter, vts__task_node_run, flags);
}

/* The result stays for others. */
static int vts__task_op_forget(vts_valuetask_source *self, vts_token token)
{
    (void)self;
    (void)token;
    return VTS_OK;
}

static const vts_source_ops vts__task_ops = {
    vts__task_op_get_status, vts__task_op_on_completed, vts__task_op_get_result,
    NULL,                    vts__task_op_forget,       NULL};

static bool vts__is_task(vts_valuetask task)
{
    return task.source != NULL && task.source->ops == &vts__task_ops;
}

VTS_API vts_valuetask vts_valuetask_of_task(vts_task *task)
{
    return vts_valuetask_from_source(task != NULL ? vts__task_source(task) : NULL, 1);
}

// ---- one way to wait for a value task, whatever it is backed by ----

static void vts__awaiter_continues(void *arg)
{
    vts_awaiter *awaiter = (vts_awaiter *)arg;
    awaiter->work.run(&awaiter->work);
}

/* run(&awaiter->work) when the task is completed. Who names a deadline wants to be able
   to take it back. A completed task may have had its one registration, when_any's. */
VTS_API int vts__subscribe(vts_valuetask task, vts_awaiter *awaiter,
                           void (*run)(vts_work *work), unsigned flags,
                           vts_time deadline)
{
    int status;

    if (vts__is_task(task)) {
        return vts_task_on_completed(vts__task_of(task.source), awaiter, run, flags);
    }
    status = vts_valuetask_get_status(task);
    if (status < 0) return status;
    awaiter->work.run = run;
    if (status != VTS_PENDING) {
        vts__run_inline(&awaiter->work);
        return VTS_OK;
    }
    if (deadline != VTS_NEVER && task.source->ops->unregister == NULL) {
        return VTS_E_UNSUPPORTED;
    }
    return vts_valuetask_on_completed(task, vts__awaiter_continues, awaiter, flags);
}

VTS_API int vts__unsubscribe(vts_valuetask task, vts_awaiter *awaiter)
{
    if (!vts__is_task(task)) return vts_valuetask_unregister(task);
    return vts_task_unregister(vts__task_of(task.source), awaiter);
}

// ---- making tasks ----

// clang-format off
#define VTS__CONSTANT_TASK(n)                                                          \
    {{&vts__task_ops}, VTS_SUCCEEDED * VTS__TASK_DONE, 0, (vts_word)(intptr_t)(n),     \
     NULL, NULL, {NULL, 0}}
// clang-format on

#define VTS__CONSTANTS_FROM (-1)
static vts_task vts__constant_tasks[] = {
    VTS__CONSTANT_TASK(-1), VTS__CONSTANT_TASK(0), VTS__CONSTANT_TASK(1),
    VTS__CONSTANT_TASK(2),  VTS__CONSTANT_TASK(3), VTS__CONSTANT_TASK(4),
    VTS__CONSTANT_TASK(5),  VTS__CONSTANT_TASK(6), VTS__CONSTANT_TASK(7),
    VTS__CONSTANT_TASK(8)};

static vts_task *vts__constant_task(intptr_t result)
{
    intptr_t count = sizeof vts__constant_tasks / sizeof vts__constant_tasks[0];

    if (result < VTS__CONSTANTS_FROM || result >= VTS__CONSTANTS_FROM + count) return NULL;
    return &vts__constant_tasks[result - VTS__CONSTANTS_FROM];
}

static vts_task *vts__task_new(const vts_allocator *allocator, vts_word references)
{
    vts_task *task;

    if (allocator == NULL) allocator = vts_allocator_default();
    if (allocator == NULL || allocator->alloc == NULL) return NULL;
    task = (vts_task *)allocator->alloc(allocator->user, sizeof *task);
    if (task == NULL) return NULL;
    vts__zero(task, sizeof *task);
    task->base.ops = &vts__task_ops;
    task->references = references;
    task->allocator = allocator;
    return task;
}

VTS_API int vts_task_create(vts_task **task, const vts_allocator *allocator)
{
    vts_task *made;

    if (task == NULL) return VTS_E_ARGUMENT;
    made = vts__task_new(allocator, 1);
    if (made == NULL) return VTS_E_MEMORY;
    *task = made;
    return VTS_OK;
}

VTS_API int vts_task_from_result(vts_task **task, intptr_t result,
                                 const vts_allocator *allocator)
{
    vts_task *constant = vts__constant_task(result);
    int error;

    if (task == NULL) return VTS_E_ARGUMENT;
    if (constant != NULL) {
        *task = constant;
        return VTS_OK;
    }
    error = vts_task_create(task, allocator);
    return error != VTS_OK ? error : vts_task_set_result(*task, result);
}

VTS_API int vts_task_from_error(vts_task **task, int error,
                                const vts_allocator *allocator)
{
    int made;

    if (error >= 0) return VTS_E_ARGUMENT;
    made = vts_task_create(task, allocator);
    return made != VTS_OK ? made : vts_task_set_error(*task, error);
}

VTS_API vts_task *vts_task_retain(vts_task *task)
{
    if (task != NULL && task->allocator != NULL) vts__add_acq_rel(&task->references, 1);
    return task;
}

VTS_API void vts_task_release(vts_task *task)
{
    if (task == NULL || task->allocator == NULL) return;
    if (vts__add_acq_rel(&task->references, ~(vts_word)0) != 1) return;
    vts__free_with(task->allocator, task, sizeof *task);
}

/* The result of the value task becomes the task's: status and result as .NET's AsTask
   maps them. */
static void vts__task_take(vts_task *task, vts_valuetask inner)
{
    int status = vts_valuetask_get_status(inner);
    intptr_t value = 0;
    int error = vts_valuetask_get_result(inner, &value);

    if (error == VTS_OK) vts_task_set_result(task, value);
    else if (status == VTS_CANCELED) vts_task_set_canceled(task, error);
    else vts_task_set_error(task, error < 0 ? error : VTS_E_ARGUMENT);
}

static void vts__task_inner_completed(void *arg)
{
    vts_task *task = (vts_task *)arg;

    vts__task_take(task, task->inner);
    vts_task_release(task);
}

/* One reference is the caller's, one the registration's. */
static int vts__task_adopt(vts_task *task, vts_valuetask inner, int status)
{
    int error;

    if (status > VTS_PENDING) {
        vts__task_take(task, inner);
        vts_task_release(task);
        return VTS_OK;
    }
    task->inner = inner;
    error = vts_valuetask_on_completed(inner, vts__task_inner_completed, task, VTS_NONE);
    if (error != VTS_OK) vts__free_with(task->allocator, task, sizeof *task);
    return error;
}

VTS_API int vts_valuetask_as_task(vts_valuetask task, const vts_allocator *allocator,
                                  vts_task **result)
{
    vts_task *made;
    int status, error;

    if (result == NULL) return VTS_E_ARGUMENT;
    if (vts__is_task(task)) {
        *result = vts_task_retain(vts__task_of(task.source));
        return VTS_OK;
    }
    if (task.source == NULL) {
        return vts_task_from_result(result, (intptr_t)task.token, allocator);
    }
    status = vts_valuetask_get_status(task);
    if (status < 0) return status;
    if (!vts__gives_word(task)) return VTS_E_UNSUPPORTED;
    made = vts__task_new(allocator, 2);
    if (made == NULL) return VTS_E_MEMORY;
    error = vts__task_adopt(made, task, status);
    if (error == VTS_OK) *result = made;
    return error;
}

VTS_API int vts_valuetask_preserve(vts_valuetask *task, const vts_allocator *allocator,
                                   vts_task **owner)
{
    vts_task *made = NULL;
    int error = VTS_OK;

    if (task == NULL || owner == NULL) return VTS_E_ARGUMENT;
    if (task->source != NULL && !vts__is_known_failure(task->source)) {
        error = vts_valuetask_as_task(*task, allocator, &made);
    }
    if (error != VTS_OK) return error;
    if (made != NULL) *task = vts_valuetask_of_task(made);
    *owner = made;
    return VTS_OK;
}

static void *vts__pool_alloc(void *user, size_t size)
{
    vts_pool *pool = (vts_pool *)user;
    return pool != NULL && size <= pool->item_size ? vts_pool_get(pool) : NULL;
}

static void vts__pool_free(void *user, void *memory, size_t size)
{
    (void)size;
    vts_pool_put((vts_pool *)user, memory);
}

VTS_API vts_allocator vts_pool_allocator(vts_pool *pool)
{
    vts_allocator allocator;
    allocator.alloc = vts__pool_alloc;
    allocator.free = vts__pool_free;
    allocator.user = pool;
    return allocator;
}

// ---- blocking ----

/* One thread that sleeps has nobody to wake it. */
#if defined VTS_SINGLE_THREADED
#define VTS__BLOCKS 0
#else
#define VTS__BLOCKS VTS__PARKS
#endif

typedef struct vts__blocked {
    vts_awaiter awaiter;
    vts_word done;
} vts__blocked;

static void vts__blocked_wakes(vts_work *work)
{
    vts__blocked *blocked = vts__container_of((vts_awaiter *)(void *)work, vts__blocked,
                                              awaiter);
    vts_word *done = &blocked->done;

    vts__store_rel(done, 1);
    vts__wake(done); /* an address only: the sleeper may have returned */
}

/* False at the deadline. */
static bool vts__block_until(vts__blocked *blocked, vts_time deadline)
{
    while (vts__load_acq(&blocked->done) == 0) {
        if (!vts__wait(&blocked->done, 0, deadline)) return false;
    }
    return true;
}

static int vts__block(vts_valuetask task, vts_time deadline)
{
    vts__blocked blocked;
    int error;

    blocked.done = 0;
    error = vts__subscribe(task, &blocked.awaiter, vts__blocked_wakes, VTS_NONE, deadline);
    if (error != VTS_OK) return error;
    if (vts__block_until(&blocked, deadline)) return VTS_OK;
    if (vts__unsubscribe(task, &blocked.awaiter) == VTS_OK) return VTS_E_TIMEOUT;
    vts__block_until(&blocked, VTS_NEVER);
    return VTS_OK;
}

/* What this thread has put off runs before it sleeps, as deep as it is: that may be what
   completes the task. */
VTS_API int vts_valuetask_wait(vts_valuetask task, vts_time deadline)
{
    vts__thread *self = &vts__self;
    unsigned depth = self->depth;
    int status = vts_valuetask_get_status(task);

    if (status != VTS_PENDING) return status < 0 ? status : VTS_OK;
    if (!VTS__BLOCKS) return VTS_E_UNSUPPORTED;
    if (self->loop != NULL) return vts__misuse(VTS_E_DEADLOCK, task.source, task.token);
    self->depth = 0;
    if (self->first != NULL) vts__trampoline_drain(self);
    status = vts__block(task, deadline);
    self->depth = depth;
    return status;
}

VTS_API int vts_task_wait(vts_task *task, vts_time deadline)
{
    if (task == NULL) return VTS_E_ARGUMENT;
    return vts_valuetask_wait(vts_valuetask_of_task(task), deadline);
}

// ----------------------------------------------------------------------------------
// >>timers
// ----------------------------------------------------------------------------------
// A radix heap in base 16 (Ahuja, Mehlhorn, Orlin, Tarjan, "Faster algorithms for the
// shortest path problem", JACM 1990), which is a hierarchical timing wheel (Varghese and
// Lauck, SOSP 1987) with exact times. last is a time that no armed timer lies before. A
// timer is in the slot {level, digit}: the highest hex digit in which its deadline differs
// from last, and that digit of the deadline. So all of a lower level are due before those
// of a higher, and of one level in order of slots. When the time comes for a slot, last
// moves to its beginning and its timers to lower levels; level 0 has exact deadlines.

#define VTS__DUE (VTS__DIGITS * 16u)

/* Shifts by constants: a variable one of 64 bits may be a library call. */
static unsigned vts__timer_slot(vts_time last, vts_time deadline)
{
    vts_time difference = deadline ^ last;
    unsigned level = 0;

    while (difference > 15) {
        difference >>= 4;
        deadline >>= 4;
        level++;
    }
    return level * 16 + (unsigned)(deadline & 15);
}

/* When the time of a slot begins. */
#if UINTPTR_MAX > 0xffffffff
static vts_time vts__slot_begin(vts_time last, unsigned slot)
{
    unsigned shift = slot / 16 * 4;
    return (last >> shift >> 4 << 4 | (slot & 15)) << shift;
}
#else
static vts_time vts__slot_begin(vts_time last, unsigned slot)
{
    unsigned level = slot / 16;
    unsigned i;

    for (i = 0; i <= level; i++) last >>= 4;
    last = last << 4 | (slot & 15);
    for (i = 0; i < level; i++) last <<= 4;
    return last;
}
#endif

/* The lowest bit alone is a power of two, and times a de Bruijn sequence a number of its
   own in the highest five (Leiserson, Prokop, Randall 1998): no instruction that some
   processors lack, no loop. */
static unsigned vts__lowest_bit(uint32_t bits)
{
    static const unsigned char place[32] = {
        0,  1,  28, 2,  29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4,  8,
        31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6,  11, 5,  10, 9};
    return place[(uint32_t)((bits & (0u - bits)) * 0x077CB531u) >> 27];
}

/* The first slot that has timers; there is one. */
static unsigned vts__first_slot(const vts_loop *loop)
{
    unsigned level = vts__lowest_bit(loop->levels);
    return level * 16 + vts__lowest_bit(loop->occupied[level]);
}

static void vts__slot_mark(vts_loop *loop, unsigned slot, bool has)
{
    unsigned level = slot / 16;
    unsigned bit = 1u << (slot & 15);
    unsigned occupied;

    if (slot == VTS__DUE) return;
    occupied = has ? loop->occupied[level] | bit : loop->occupied[level] & ~bit;
    loop->occupied[level] = (uint16_t)occupied;
    if (occupied != 0) loop->levels |= 1u << level;
    else loop->levels &= ~(1u << level);
}

static void vts__timer_link(vts_loop *loop, vts_timer *timer, unsigned slot)
{
    vts_timer *first = loop->slots[slot];

    timer->slot = slot;
    if (first == NULL) {
        loop->slots[slot] = timer->next = timer->previous = timer;
        vts__slot_mark(loop, slot, true);
        return;
    }
    timer->next = first;
    timer->previous = first->previous;
    first->previous->next = timer;
    first->previous = timer;
}

static void vts__timer_unlink(vts_loop *loop, vts_timer *timer)
{
    unsigned slot = timer->slot;

    timer->next->previous = timer->previous;
    timer->previous->next = timer->next;
    if (loop->slots[slot] == timer) {
        loop->slots[slot] = timer->next != timer ? timer->next : NULL;
    }
    if (loop->slots[slot] == NULL) vts__slot_mark(loop, slot, false);
}

static void vts__timer_place(vts_loop *loop, vts_timer *timer)
{
    vts_time deadline = timer->deadline > loop->last ? timer->deadline : loop->last;
    vts__timer_link(loop, timer, vts__timer_slot(loop->last, deadline));
}

/* A time before which no timer of a slot is due: the earliest deadline of up to 32. */
static vts_time vts__slot_earliest(const vts_loop *loop, unsigned slot)
{
    const vts_timer *timer = loop->slots[slot];
    vts_time earliest = VTS_NEVER;
    unsigned n;

    for (n = 0; n < 32; n++) {
        if (timer->deadline < earliest) earliest = timer->deadline;
        timer = timer->next;
        if (timer == loop->slots[slot]) return earliest;
    }
    return vts__slot_begin(loop->last, slot);
}

/* The time of a slot has begun: its timers move down, as far as one look tells, or are
   due. */
static void vts__slot_open(vts_loop *loop, unsigned slot, vts_time now)
{
    vts_time earliest = slot < 16 ? 0 : vts__slot_earliest(loop, slot);
    vts_timer *timer;

    loop->last = vts__slot_begin(loop->last, slot);
    if (earliest > loop->last) loop->last = earliest < now ? earliest : now;
    while ((timer = loop->slots[slot]) != NULL) {
        vts__timer_unlink(loop, timer);
        if (slot < 16) vts__timer_link(loop, timer, VTS__DUE);
        else vts__timer_place(loop, timer);
    }
}

/* Those armed while these run are for the next pass. */
static int vts__timers_run(vts_loop *loop)
{
    vts_time now = loop->armed != 0 ? vts_now() : 0;
    vts_timer *timer;
    int count = 0;

    while (loop->levels != 0) {
        unsigned slot = vts__first_slot(loop);
        if (vts__slot_begin(loop->last, slot) > now) break;
        vts__slot_open(loop, slot, now);
    }
    if (now > loop->last) loop->last = now;
    while ((timer = loop->slots[VTS__DUE]) != NULL && !loop->stopped) {
        vts__timer_unlink(loop, timer);
        timer->loop = NULL;
        loop->armed--;
        timer->continuation(timer->arg);
        count++;
    }
    return count;
}

VTS_API vts_time vts_loop_next_deadline(const vts_loop *loop)
{
    if (loop == NULL) return VTS_NEVER;
    if (loop->slots[VTS__DUE] != NULL) return 0;
    if (loop->levels == 0) return VTS_NEVER;
    return vts__slot_earliest(loop, vts__first_slot(loop));
}

/* Only the thread that runs the loop touches its timers; nobody's, while none does. */
static bool vts__loop_is_mine(const vts_loop *loop)
{
    vts_word thread = vts__load_rlx(&loop->thread);
    return thread == 0 || thread == (vts_word)(uintptr_t)&vts__self;
}

static bool vts__loop_is_open(const vts_loop *loop);

static int vts__timer_may_start(const vts_loop *loop)
{
    if (!vts__loop_is_open(loop)) return VTS_E_CLOSED;
    if (!vts__loop_is_mine(loop)) return vts__misuse(VTS_E_THREAD, loop, 0);
    return VTS_OK;
}

VTS_API int vts_timer_start(vts_timer *timer, vts_loop *loop, vts_time deadline,
                            vts_continuation continuation, void *arg)
{
    int error;

    if (timer == NULL || loop == NULL || continuation == NULL) return VTS_E_ARGUMENT;
    error = vts__timer_may_start(loop);
    if (error != VTS_OK) return error;
    if (timer->loop != NULL) return VTS_E_BUSY;
    if (loop->armed == 0) loop->last = vts_now();
    loop->armed++;
    timer->loop = loop;
    timer->continuation = continuation;
    timer->arg = arg;
    timer->deadline = deadline;
    vts__timer_place(loop, timer);
    return VTS_OK;
}

VTS_API int vts_timer_stop(vts_timer *timer)
{
    vts_loop *loop;

    if (timer == NULL) return VTS_E_ARGUMENT;
    loop = timer->loop;
    if (loop == NULL) return VTS_E_NOT_AWAITED;
    if (!vts__loop_is_mine(loop)) return vts__misuse(VTS_E_THREAD, loop, 0);
    vts__timer_unlink(loop, timer);
    timer->loop = NULL;
    loop->armed--;
    return VTS_OK;
}

static void vts__cancellation_expires(void *arg)
{
    vts_cancellation_cancel(((vts_cancellation_timer *)arg)->source);
}

VTS_API int vts_cancellation_cancel_after(vts_cancellation_timer *timer,
                                          vts_cancellation_source *source,
                                          vts_loop *loop, vts_time deadline)
{
    int error;

    if (timer == NULL || source == NULL || loop == NULL) return VTS_E_ARGUMENT;
    error = vts__timer_may_start(loop);
    if (error != VTS_OK) return error;
    error = vts_timer_stop(&timer->timer);
    if (error != VTS_OK && error != VTS_E_NOT_AWAITED) return error;
    timer->source = source;
    if (deadline == VTS_NEVER) return VTS_OK;
    return vts_timer_start(&timer->timer, loop, deadline, vts__cancellation_expires,
                           timer);
}

// ----------------------------------------------------------------------------------
// >>looping
// ----------------------------------------------------------------------------------

static void vts__loop_wake(void *user)
{
    vts_loop *loop = (vts_loop *)user;
    vts__wake(&loop->head);
}

/* The work may be what ends the loop: once it is posted, nothing is left but the address
   of a loop that sleeps on its word. One with a wake of its own is kept by destroy until
   that has returned. */
static void vts__loop_post(vts_scheduler *self, vts_work *work)
{
    vts_loop *loop = vts__container_of(self, vts_loop, scheduler);
    void (*wake)(void *user) = loop->wake;
    void *user = loop->user;

    if (vts__stack_push(&loop->head, work) != VTS__PARKED) return;
    wake(user);
    if (wake != vts__loop_wake) vts__add_acq_rel(&loop->woken, 1);
}

/* Where a destroyed loop's late posts go. */
static void vts__closed_post(vts_scheduler *self, vts_work *work)
{
    vts__misuse(VTS_E_CLOSED, self, 0);
    work->run(work);
}

static bool vts__loop_is_open(const vts_loop *loop)
{
    return loop->scheduler.post == vts__loop_post;
}

/* What sleeps by default: the loop's own word is what wakes it. */
static void vts__loop_park(void *user, vts_time deadline)
{
    vts_loop *loop = (vts_loop *)user;
    vts__wait(&loop->head, VTS__PARKED, deadline);
}

#define VTS__DELAY_ARM 1u
#define VTS__DELAY_CANCEL 2u

/* From the caller's pool_desc, what is his to say: the memory. */
static int vts__delay_pool_init(vts_pool *pool, const vts_pool_desc *memory)
{
    vts_pool_desc desc;

    vts__zero(&desc, sizeof desc);
    desc.item_size = sizeof(vts_delay_operation);
    desc.source = true;
    desc.alignment = memory->alignment;
    desc.storage = memory->storage;
    desc.storage_size = memory->storage_size;
    desc.allocator = memory->allocator;
    desc.capacity = memory->capacity;
    desc.first = memory->first;
    desc.cache = memory->cache != 0 ? memory->cache : -1;
    return vts_pool_init(pool, &desc);
}

/* A loop that has no memory for delays has none. */
static bool vts__has_memory(const vts_pool_desc *memory)
{
    if (memory->storage != NULL || memory->allocator != NULL) return true;
    return vts_allocator_default() != NULL;
}

VTS_API int vts_loop_init(vts_loop *loop, const vts_loop_desc *desc)
{
    static const vts_loop_desc defaults;
    int error;

    if (loop == NULL) return VTS_E_ARGUMENT;
    if (desc == NULL) desc = &defaults;
    vts__zero(loop, sizeof *loop);
    if ((desc->park == NULL) != (desc->wake == NULL)) return VTS_E_ARGUMENT;
    if (desc->dispatch != NULL && desc->park == NULL) return VTS_E_ARGUMENT;
    error = vts__delay_pool_init(&loop->delays, &desc->delays);
    if (error != VTS_OK && vts__has_memory(&desc->delays)) return error;
    loop->park = desc->park != NULL ? desc->park : vts__loop_park;
    loop->wake = desc->wake != NULL ? desc->wake : vts__loop_wake;
    loop->dispatch = desc->dispatch;
    loop->user = desc->park != NULL ? desc->user : loop;
    loop->scheduler.post = vts__loop_post;
    return VTS_OK;
}

/* A few instructions of another thread's post. */
static void vts__loop_await_wakes(vts_loop *loop)
{
    vts_word seen;

    if (loop->wake == vts__loop_wake) return;
    while ((seen = vts__load_acq(&loop->woken)) != loop->owed) {
        vts__wait(&loop->woken, seen, vts_after(VTS_MILLISECONDS(1)));
    }
}

VTS_API int vts_loop_destroy(vts_loop *loop)
{
    int error;

    if (loop == NULL) return VTS_E_ARGUMENT;
    if (!vts__loop_is_open(loop)) return VTS_E_CLOSED;
    if (vts__load_acq(&loop->thread) != 0 || vts__load_acq(&loop->head) != 0 ||
        loop->ready != NULL || loop->armed != 0) {
        return VTS_E_BUSY;
    }
    error = vts_pool_destroy(&loop->delays);
    if (error != VTS_OK) return error;
    vts__loop_await_wakes(loop);
    loop->scheduler.post = vts__closed_post;
    return VTS_OK;
}

VTS_API bool vts_loop_is_current(const vts_loop *loop)
{
    return loop != NULL &&
           vts__load_rlx(&loop->thread) == (vts_word)(uintptr_t)&vts__self;
}

VTS_API bool vts_loop_is_parked(const vts_loop *loop)
{
    return loop != NULL && vts__load_acq(&loop->head) == VTS__PARKED;
}

static void vts__loop_stops(vts_work *work)
{
    vts_loop *loop = vts__container_of(work, vts_loop, stop_work);

    loop->stopped = true;
    vts__xchg_acq_rel(&loop->stop, 0);
}

/* A work like any other: so nothing that was posted before is left out. */
VTS_API int vts_loop_stop(vts_loop *loop)
{
    if (loop == NULL) return VTS_E_ARGUMENT;
    if (!vts__loop_is_open(loop)) return VTS_E_CLOSED;
    if (vts__xchg_acq_rel(&loop->stop, 1) != 0) return VTS_OK;
    loop->stop_work.run = vts__loop_stops;
    vts_scheduler_post(&loop->scheduler, &loop->stop_work);
    return VTS_OK;
}

/* What ran before stays ready if a stop came in between. */
static int vts__loop_pass(vts_loop *loop)
{
    int count = vts__timers_run(loop);
    vts_work *work;

    if (loop->ready == NULL) loop->ready = vts__reverse(vts__stack_take(&loop->head));
    while ((work = loop->ready) != NULL && !loop->stopped) {
        loop->ready = work->link.next;
        work->run(work);
        count++;
    }
    return count;
}

/* Says so before it sleeps: a post that comes first is seen, one that comes later wakes
   [P9]. */
static void vts__loop_sleep(vts_loop *loop, vts_time deadline)
{
    vts_time next = vts_loop_next_deadline(loop);
    vts_word word = 0;

    if (!vts__cas_acq_rel(&loop->head, &word, VTS__PARKED)) return;
    loop->park(loop->user, next < deadline ? next : deadline);
    word = VTS__PARKED;
    if (!vts__cas_acq_rel(&loop->head, &word, 0)) loop->owed++;
}

static int vts__loop_once(vts_loop *loop, vts_time deadline)
{
    int count = vts__loop_pass(loop);
    bool busy = count != 0 || deadline == 0;

    if (!busy) vts__loop_sleep(loop, deadline);
    else if (loop->dispatch == NULL || loop->stopped) return count;
    else loop->park(loop->user, 0);
    if (loop->dispatch != NULL) count += loop->dispatch(loop->user);
    return busy ? count : count + vts__loop_pass(loop);
}

/* What a run puts back when it ends. */
typedef struct vts__loop_entry {
    vts_scheduler *scheduler;
    vts_loop *loop;
    unsigned depth;
} vts__loop_entry;

/* A run inside a continuation begins at depth 0: what this thread has put off may be what
   the run is to wait for. */
static int vts__loop_enter(vts_loop *loop, vts__loop_entry *entry)
{
    vts__thread *self = &vts__self;
    vts_word nobody = 0;

    if (loop == NULL) return VTS_E_ARGUMENT;
    if (!vts__loop_is_open(loop)) return VTS_E_CLOSED;
    if (!vts__cas_acq_rel(&loop->thread, &nobody, (vts_word)(uintptr_t)self)) {
        return VTS_E_BUSY;
    }
    entry->scheduler = vts_scheduler_set_current(&loop->scheduler);
    entry->loop = self->loop;
    entry->depth = self->depth;
    self->loop = loop;
    self->depth = 0;
    if (self->first != NULL) vts__trampoline_drain(self);
    return VTS_OK;
}

static void vts__loop_leave(vts_loop *loop, const vts__loop_entry *entry)
{
    loop->stopped = false;
    vts__self.depth = entry->depth;
    vts__self.loop = entry->loop;
    vts_scheduler_set_current(entry->scheduler);
    vts__store_rel(&loop->thread, 0);
}

VTS_API int vts_loop_run(vts_loop *loop)
{
    vts__loop_entry entry;
    int error = vts__loop_enter(loop, &entry);

    if (error != VTS_OK) return error;
    while (!loop->stopped) vts__loop_once(loop, VTS_NEVER);
    vts__loop_leave(loop, &entry);
    return VTS_OK;
}

VTS_API int vts_loop_run_once(vts_loop *loop, vts_time deadline)
{
    vts__loop_entry entry;
    int count = vts__loop_enter(loop, &entry);

    if (count != VTS_OK) return count;
    count = vts__loop_once(loop, deadline);
    vts__loop_leave(loop, &entry);
    return count;
}

/* The task that run_until waits for: whoever completes it posts work to the loop. */
typedef struct vts__until {
    vts_awaiter awaiter;
    vts_loop *loop;
    bool done;
} vts__until;

static void vts__until_is_seen(vts_work *work)
{
    vts__container_of((vts_awaiter *)(void *)work, vts__until, awaiter)->done = true;
}

static void vts__until_completes(vts_work *work)
{
    vts__until *until = vts__container_of((vts_awaiter *)(void *)work, vts__until, awaiter);

    work->run = vts__until_is_seen;
    vts_scheduler_post(&until->loop->scheduler, work);
}

/* Takes the registration back; what cannot be taken back is about to come. */
static int vts__until_gives_up(vts__until *until, vts_valuetask task, int error)
{
    if (vts__unsubscribe(task, &until->awaiter) == VTS_OK) return error;
    while (!until->done) {
        until->loop->stopped = false;
        vts__loop_once(until->loop, VTS_NEVER);
    }
    return VTS_OK;
}

VTS_API int vts_loop_run_until(vts_loop *loop, vts_valuetask task, vts_time deadline)
{
    vts__loop_entry entry;
    vts__until until;
    int error = vts__loop_enter(loop, &entry);

    if (error != VTS_OK) return error;
    until.loop = loop;
    until.done = false;
    error = vts__subscribe(task, &until.awaiter, vts__until_completes, VTS_NONE, deadline);
    while (error == VTS_OK && !until.done) {
        vts__loop_once(loop, deadline);
        if (until.done) break;
        if (loop->stopped) error = vts__until_gives_up(&until, task, VTS_E_STOPPED);
        else if (deadline != VTS_NEVER && vts_now() >= deadline) {
            error = vts__until_gives_up(&until, task, VTS_E_TIMEOUT);
        }
    }
    vts__loop_leave(loop, &entry);
    return error;
}

// ---- delay ----

static void vts__delay_complete(vts_delay_operation *delay)
{
    if (delay->canceled) vts_source_set_canceled(&delay->source, delay->token, 0);
    else vts_source_set_result(&delay->source, delay->token, 0);
}

/* On the loop. If a cancel was on its way, its work is posted and completes. */
static void vts__delay_finish(vts_delay_operation *delay, bool canceled)
{
    delay->finished = true;
    delay->canceled = canceled;
    vts_cancellation_unregister(&delay->registration);
    if (vts__load_acq(&delay->request) == 0) vts__delay_complete(delay);
}

static void vts__delay_is_due(void *arg)
{
    vts__delay_finish((vts_delay_operation *)arg, false);
}

/* On the loop. */
static void vts__delay_arm(vts_delay_operation *delay)
{
    vts_timer_start(&delay->timer, delay->loop, delay->deadline, vts__delay_is_due, delay);
}

static void vts__delay_work(vts_work *work)
{
    vts_delay_operation *delay = vts__container_of(work, vts_delay_operation, work);
    vts_word request = vts__xchg_acq_rel(&delay->request, 0);

    if (delay->finished) {
        vts__delay_complete(delay);
    } else if ((request & VTS__DELAY_CANCEL) != 0) {
        vts_timer_stop(&delay->timer);
        vts__delay_finish(delay, true);
    } else {
        vts__delay_arm(delay);
    }
}

static void vts__delay_ask(vts_delay_operation *delay, vts_word what)
{
    vts_word request = vts__load_rlx(&delay->request);

    while (!vts__cas_acq_rel(&delay->request, &request, request | what)) {}
    if (request == 0) vts_scheduler_post(&delay->loop->scheduler, &delay->work);
}

static void vts__delay_cancel(void *arg)
{
    vts__delay_ask((vts_delay_operation *)arg, VTS__DELAY_CANCEL);
}

/* What a delay is before anybody else can see it. */
static vts_delay_operation *vts__delay_rent(vts_loop *loop, vts_time deadline)
{
    vts_token token;
    vts_source *source = vts_pool_rent(&loop->delays, &token);
    vts_delay_operation *delay = (vts_delay_operation *)(void *)source;

    if (delay == NULL) return NULL;
    delay->token = token;
    delay->loop = loop;
    delay->deadline = deadline;
    delay->work.run = vts__delay_work;
    delay->finished = false;
    return delay;
}

VTS_API vts_valuetask vts_delay(vts_loop *loop, vts_time deadline,
                                vts_cancellation_token cancel)
{
    bool here = vts_loop_is_current(loop);
    vts_valuetask task;
    vts_delay_operation *delay;
    int error;

    if (loop == NULL) return vts_valuetask_from_error(VTS_E_ARGUMENT);
    if (!vts__loop_is_open(loop)) return vts_valuetask_from_error(VTS_E_CLOSED);
    if (vts_cancellation_is_requested(cancel)) return vts_valuetask_from_canceled(0);
    if (deadline <= vts_now()) return vts_valuetask_from_result(0);
    delay = vts__delay_rent(loop, deadline);
    if (delay == NULL) return vts_valuetask_from_error(VTS_E_EXHAUSTED);
    task = vts_valuetask_of(&delay->source, delay->token);
    vts__store_rlx(&delay->request, here ? 0 : VTS__DELAY_ARM);
    error = vts_cancellation_register(cancel, &delay->registration, vts__delay_cancel,
                                      delay);
    if (error != VTS_OK) {
        vts_source_abandon(&delay->source, delay->token);
        return vts_valuetask_from_error(error);
    }
    if (here) vts__delay_arm(delay);
    else vts_scheduler_post(&loop->scheduler, &delay->work);
    return task;
}

// ----------------------------------------------------------------------------------
// >>workers
// ----------------------------------------------------------------------------------
// Each worker has a ring of work that it alone fills and anybody empties; what comes from
// outside, or does not fit, goes to a stack that all share. Who runs out of work takes
// what is on the stack, as much as fits into half a ring, and leaves the rest as the
// backlog; else it steals half of another's ring (Blumofe and Leiserson, JACM 1999; the
// rings are those of Go's scheduler). Work is in one place at a time: nothing is lost.
//
// Nobody sleeps while there is work: who is about to counts itself into idle and then
// looks at every place by a read-modify-write; who posts changes a place by one and then
// looks at idle. In the order of that place's changes either the sleeper sees the work,
// or the poster sees the sleeper. Work that is on its way from ring to ring is in no place:
// the thief is its poster, and wakes another for what is left. Who refills does so under
// SPLITTING, which is a place, until its ring and the backlog have all.
//
// A pool ends when it was told to and all its workers are idle: until then a work that
// blocks has others to run what it posted.

#if VTS__PARKS && !defined VTS_SINGLE_THREADED

#include <pthread.h>
#include <sched.h>

#define VTS__THREADS 1024u

#ifndef VTS__RING
#define VTS__RING 256u
#endif
#define VTS__SPLITTING ((vts_word)1) /* in backlog: somebody takes from it              */
#define VTS__FAIRNESS 61u            /* works from the own ring before others' are seen  */
#define VTS__ENDED (~(vts_word)0)    /* in stopping                                      */

#ifndef VTS__SPINS
#define VTS__SPINS 16
#endif

/* Atomic words:
     head  next to take; whoever takes, release [its slot may be filled again], acquire
     tail  next to fill; its worker only, release [the slot], acquire
     slot  relaxed: published by tail, given back by head */
typedef struct vts__worker {
    vts_word head;
    char apart[64 - sizeof(vts_word)];
    vts_word tail;
    struct vts_threadpool *pool;
    pthread_t thread;
    unsigned index, turn;
    vts_word slot[VTS__RING];
} vts__worker;

/* Atomic words:
     posted    a stack: push release, take acquire [P9]
     backlog   a list in order, taken from the stack: 0, SPLITTING, or its first;
               claimed acquire, given back release
     idle      workers that sleep or are about to, and have no permit yet; acq_rel
     permits   given to sleepers; acq_rel
     stopping  0; then how many workers there are; ENDED when all were idle; acq_rel */
struct vts_threadpool {
    vts_scheduler scheduler;
    vts_word posted, idle; /* what a post touches                                       */
    char apart[64];
    vts_word backlog, permits, stopping;
    vts_allocator allocator;
    size_t size;
    unsigned count;
    vts__worker worker[];
};

static vts_threadpool *vts__threadpool_of(vts_scheduler *scheduler)
{
    return vts__container_of(scheduler, vts_threadpool, scheduler);
}

/* By its owner: false if the ring is full. The exchange makes the push visible to a worker
   that is about to sleep, as said above. */
static bool vts__ring_push(vts__worker *worker, vts_work *work)
{
    vts_word tail = vts__load_rlx(&worker->tail);

    if (tail - vts__load_acq(&worker->head) >= VTS__RING) return false;
    vts__store_rlx(&worker->slot[tail % VTS__RING], (vts_word)(uintptr_t)work);
    vts__xchg_acq_rel(&worker->tail, tail + 1);
    return true;
}

/* By its owner: moves a list to the ring, half of what the ring holds at most, and gives
   the rest. One exchange publishes all, as above. */
static vts_work *vts__ring_fill(vts__worker *worker, vts_work *list)
{
    vts_word tail = vts__load_rlx(&worker->tail);
    vts_word room = VTS__RING - (tail - vts__load_acq(&worker->head));
    vts_word n = 0;

    if (room > VTS__RING / 2) room = VTS__RING / 2;
    for (; n < room && list != NULL; n++) {
        vts__store_rlx(&worker->slot[(tail + n) % VTS__RING], (vts_word)(uintptr_t)list);
        list = list->link.next;
    }
    if (n != 0) vts__xchg_acq_rel(&worker->tail, tail + n);
    return list;
}

/* Takes the oldest; anybody may. */
static vts_work *vts__ring_take(vts__worker *worker)
{
    vts_word head = vts__load_acq(&worker->head);

    while ((intptr_t)(vts__load_acq(&worker->tail) - head) > 0) {
        vts_word work = vts__load_rlx(&worker->slot[head % VTS__RING]);
        if (vts__cas_acq_rel(&worker->head, &head, head + 1)) {
            return (vts_work *)(uintptr_t)work;
        }
    }
    return NULL;
}

/* One sleeper, if there is any, gets a permit. */
static void vts__threadpool_wake(vts_threadpool *pool)
{
    vts_word idle = vts__load_rlx(&pool->idle);

    while (idle != 0) {
        if (!vts__cas_acq_rel(&pool->idle, &idle, idle - 1)) continue;
        vts__add_acq_rel(&pool->permits, 1);
        vts__wake(&pool->permits);
        return;
    }
}

/* Moves half of a victim's ring to the thief's empty one; gives one of it. The slots are
   copied before the swap says that they are the thief's, and published after. */
static vts_work *vts__ring_steal(vts__worker *thief, vts__worker *victim)
{
    vts_word head = vts__load_acq(&victim->head);
    vts_word tail = vts__load_rlx(&thief->tail);
    intptr_t count;
    vts_word i, half;

    while ((count = (intptr_t)(vts__load_acq(&victim->tail) - head)) > 0) {
        half = ((vts_word)count + 1) / 2;
        if (half > VTS__RING / 2) half = VTS__RING / 2;
        for (i = 0; i < half; i++) {
            vts_word work = vts__load_rlx(&victim->slot[(head + i) % VTS__RING]);
            vts__store_rlx(&thief->slot[(tail + i) % VTS__RING], work);
        }
        if (!vts__cas_acq_rel(&victim->head, &head, head + half)) continue;
        vts__xchg_acq_rel(&thief->tail, tail + half);
        if (count > 1) vts__threadpool_wake(thief->pool);
        return vts__ring_take(thief);
    }
    return NULL;
}

static void vts__threadpool_post(vts_scheduler *self, vts_work *work)
{
    vts_threadpool *pool = vts__threadpool_of(self);
    vts__worker *worker = vts__self.worker;

    if (worker == NULL || worker->pool != pool || !vts__ring_push(worker, work)) {
        vts__stack_push(&pool->posted, work);
    }
    vts__threadpool_wake(pool);
}

/* Takes from the backlog, or what was posted since: one to run, half a ring full to have,
   the rest for others. Another may be at it: then there is nothing here for now. */
static vts_work *vts__threadpool_refill(vts__worker *worker)
{
    vts_threadpool *pool = worker->pool;
    vts_word backlog = vts__load_rlx(&pool->backlog);
    vts_work *work, *rest;

    if (backlog == 0 && vts__load_rlx(&pool->posted) == 0) return NULL;
    if (backlog == VTS__SPLITTING) return NULL;
    if (!vts__cas_acq_rel(&pool->backlog, &backlog, VTS__SPLITTING)) return NULL;
    work = (vts_work *)(uintptr_t)backlog;
    if (work == NULL) work = vts__reverse(vts__stack_take(&pool->posted));
    rest = vts__ring_fill(worker, work != NULL ? work->link.next : NULL);
    vts__xchg_acq_rel(&pool->backlog, (vts_word)(uintptr_t)rest);
    return work;
}

static vts_work *vts__worker_steal(vts__worker *worker)
{
    vts_threadpool *pool = worker->pool;
    unsigned i;

    for (i = 1; i < pool->count; i++) {
        vts__worker *victim = &pool->worker[(worker->index + i) % pool->count];
        vts_work *work = vts__ring_steal(worker, victim);
        if (work != NULL) return work;
    }
    return NULL;
}

/* Who never runs out of work takes from elsewhere now and then: what was posted to all,
   and of each other ring in turn, whose worker may be blocked. */
static vts_work *vts__worker_look_around(vts__worker *worker)
{
    vts_threadpool *pool = worker->pool;
    unsigned round = worker->turn / VTS__FAIRNESS;

    if (round % 2 == 0) return vts__threadpool_refill(worker);
    return vts__ring_take(&pool->worker[round / 2 % pool->count]);
}

static vts_work *vts__worker_find(vts__worker *worker)
{
    vts_work *work = NULL;

    if (++worker->turn % VTS__FAIRNESS == 0) work = vts__worker_look_around(worker);
    if (work == NULL) work = vts__ring_take(worker);
    if (work == NULL) work = vts__threadpool_refill(worker);
    if (work == NULL) work = vts__worker_steal(worker);
    return work;
}

/* Looks at every place where work can be, by read-modify-writes. */
static bool vts__threadpool_has_work(vts_threadpool *pool)
{
    unsigned i;

    if (vts__add_acq_rel(&pool->posted, 0) != 0) return true;
    if (vts__add_acq_rel(&pool->backlog, 0) != 0) return true;
    for (i = 0; i < pool->count; i++) {
        vts_word tail = vts__add_acq_rel(&pool->worker[i].tail, 0);
        if (tail != vts__load_acq(&pool->worker[i].head)) return true;
    }
    return vts__add_acq_rel(&pool->stopping, 0) == VTS__ENDED;
}

/* The last to become idle, in a pool that was told to stop, lets all go. */
static void vts__threadpool_may_end(vts_threadpool *pool)
{
    vts_word stopping = vts__add_acq_rel(&pool->stopping, 0);
    vts_word i;

    if (stopping == 0) return;
    if (vts__add_acq_rel(&pool->idle, 0) != stopping) return; /* or ENDED */
    vts__xchg_acq_rel(&pool->stopping, VTS__ENDED);
    for (i = 0; i < stopping; i++) vts__threadpool_wake(pool);
}

/* Takes itself out of idle; false if it was given a permit first. */
static bool vts__worker_withdraw(vts_threadpool *pool)
{
    vts_word idle = vts__load_rlx(&pool->idle);

    while (idle != 0) {
        if (vts__cas_acq_rel(&pool->idle, &idle, idle - 1)) return true;
    }
    return false;
}

static void vts__worker_take_permit(vts_threadpool *pool)
{
    vts_word permits = vts__load_acq(&pool->permits);

    while (permits == 0 || !vts__cas_acq_rel(&pool->permits, &permits, permits - 1)) {
        if (permits != 0) continue;
        vts__wait(&pool->permits, 0, VTS_NEVER);
        permits = vts__load_acq(&pool->permits);
    }
}

static void vts__worker_sleep(vts_threadpool *pool)
{
    vts__add_acq_rel(&pool->idle, 1);
    if (vts__threadpool_has_work(pool)) {
        if (vts__worker_withdraw(pool)) return;
    } else {
        vts__threadpool_may_end(pool);
    }
    vts__worker_take_permit(pool);
}

/* Until the pool has ended. */
static void vts__worker_run(vts__worker *worker)
{
    vts_threadpool *pool = worker->pool;
    int spins = 0;

    vts__self.worker = worker;
    vts_scheduler_set_current(&pool->scheduler);
    for (;;) {
        vts_work *work = vts__worker_find(worker);
        if (work != NULL) {
            work->run(work);
            spins = 0;
        } else if (vts__load_acq(&pool->backlog) == VTS__SPLITTING) {
            sched_yield();
        } else if (vts__load_acq(&pool->stopping) == VTS__ENDED) {
            return;
        } else if (++spins > VTS__SPINS) {
            vts__worker_sleep(pool);
            spins = 0;
        }
    }
}

static void *vts__worker_main(void *argument)
{
    vts__worker_run((vts__worker *)argument);
    return NULL;
}

/* Ends the first started threads. They leave nothing: each looks once more before it
   goes. */
static void vts__threadpool_stop(vts_threadpool *pool, unsigned started)
{
    unsigned i;

    vts__xchg_acq_rel(&pool->stopping, started);
    vts__threadpool_wake(pool);
    for (i = 0; i < started; i++) pthread_join(pool->worker[i].thread, NULL);
}

static void vts__threadpool_free(vts_threadpool *pool)
{
    vts_allocator allocator;

    vts__copy_allocator(&allocator, &pool->allocator);
    vts__free_with(&allocator, pool, pool->size);
}

static bool vts__threadpool_start(vts_threadpool *pool)
{
    unsigned i;

    for (i = 0; i < pool->count; i++) {
        vts__worker *worker = &pool->worker[i];
        if (pthread_create(&worker->thread, NULL, vts__worker_main, worker) == 0) continue;
        vts__threadpool_stop(pool, i);
        return false;
    }
    return true;
}

static vts_threadpool *vts__threadpool_new(const vts_allocator *allocator, unsigned count)
{
    size_t size = sizeof(vts_threadpool) + count * sizeof(vts__worker);
    vts_threadpool *pool;
    unsigned i;

    if (allocator == NULL) allocator = vts_allocator_default();
    if (allocator->alloc == NULL) return NULL;
    pool = (vts_threadpool *)allocator->alloc(allocator->user, size);
    if (pool == NULL) return NULL;
    vts__zero(pool, size);
    pool->scheduler.post = vts__threadpool_post;
    vts__copy_allocator(&pool->allocator, allocator);
    pool->size = size;
    pool->count = count;
    for (i = 0; i < count; i++) {
        pool->worker[i].pool = pool;
        pool->worker[i].index = i;
    }
    return pool;
}

static unsigned vts__processors(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (online > (long)VTS__THREADS) return VTS__THREADS;
    return online > 0 ? (unsigned)online : 1;
}

VTS_API int vts_threadpool_create(vts_threadpool **pool, const vts_threadpool_desc *desc)
{
    unsigned count = desc != NULL && desc->threads != 0 ? desc->threads : vts__processors();
    vts_threadpool *made;

    if (pool == NULL || count > VTS__THREADS) return VTS_E_ARGUMENT;
    made = vts__threadpool_new(desc != NULL ? desc->allocator : NULL, count);
    if (made == NULL) return VTS_E_MEMORY;
    if (!vts__threadpool_start(made)) {
        vts__threadpool_free(made);
        return VTS_E_THREAD;
    }
    *pool = made;
    return VTS_OK;
}

VTS_API int vts_threadpool_destroy(vts_threadpool *pool)
{
    if (pool == NULL) return VTS_E_ARGUMENT;
    if (vts__self.worker != NULL && vts__self.worker->pool == pool) {
        return vts__misuse(VTS_E_DEADLOCK, pool, 0);
    }
    vts__threadpool_stop(pool, pool->count);
    vts__threadpool_free(pool);
    return VTS_OK;
}

VTS_API vts_scheduler *vts_threadpool_scheduler(vts_threadpool *pool)
{
    return pool != NULL ? &pool->scheduler : NULL;
}

VTS_API unsigned vts_threadpool_threads(const vts_threadpool *pool)
{
    return pool != NULL ? pool->count : 0;
}

#else

VTS_API int vts_threadpool_create(vts_threadpool **pool, const vts_threadpool_desc *desc)
{
    (void)pool;
    (void)desc;
    return VTS_E_UNSUPPORTED;
}

VTS_API int vts_threadpool_destroy(vts_threadpool *pool)
{
    (void)pool;
    return VTS_E_UNSUPPORTED;
}

VTS_API vts_scheduler *vts_threadpool_scheduler(vts_threadpool *pool)
{
    (void)pool;
    return NULL;
}

VTS_API unsigned vts_threadpool_threads(const vts_threadpool *pool)
{
    (void)pool;
    return 0;
}

#endif

// ----------------------------------------------------------------------------------
// >>combinators
// ----------------------------------------------------------------------------------

/* In vts_when.winner: when_any still registers, and takes the losers back itself. */
#define VTS__WHEN_OPEN (~(vts_word)0 - (~(vts_word)0 >> 1))

#define VTS__ENTRY_IDLE 0u
#define VTS__ENTRY_AWAITED 1u
#define VTS__ENTRY_FAILED 2u

/* The entry's result, or the error that its registration had; and how it stood. */
static int vts__entry_take(vts_when_entry *entry)
{
    int status = VTS_FAULTED;

    if (entry->state == VTS__ENTRY_FAILED) return status;
    status = vts_valuetask_get_status(entry->task);
    entry->error = vts_valuetask_get_result(entry->task, &entry->result);
    return status;
}

/* As the first that did not succeed, or succeeded. */
static void vts__when_all_complete(vts_when *when)
{
    int error = VTS_OK, status = VTS_SUCCEEDED;
    size_t i;

    for (i = 0; i < when->count; i++) {
        int each = vts__entry_take(&when->entries[i]);
        if (error < 0 || when->entries[i].error >= 0) continue;
        error = when->entries[i].error;
        status = each;
    }
    if (error >= 0) vts_source_set_result(&when->source, when->token, 0);
    else if (status == VTS_CANCELED) {
        vts_source_set_canceled(&when->source, when->token, error);
    } else {
        vts_source_set_error(&when->source, when->token, error);
    }
}

/* Nobody else touches when any more. */
static void vts__when_complete(vts_when *when)
{
    size_t winner = (size_t)vts__load_acq(&when->winner) - 1;

    if (!when->any) {
        vts__when_all_complete(when);
        return;
    }
    vts__entry_take(&when->entries[winner]);
    vts_source_set_result(&when->source, when->token, (intptr_t)winner);
}

static void vts__when_check_out(vts_when *when)
{
    if (vts__add_acq_rel(&when->remaining, ~(vts_word)0) == 1) vts__when_complete(when);
}

/* The losers go back to the caller; one that cannot is about to run, and checks out
   itself. */
static void vts__when_release_losers(vts_when *when, size_t winner)
{
    size_t i;

    for (i = 0; i < when->count; i++) {
        vts_when_entry *entry = &when->entries[i];
        if (i == winner || entry->state != VTS__ENTRY_AWAITED) continue;
        if (vts__unsubscribe(entry->task, &entry->awaiter) != VTS_OK) continue;
        vts__when_check_out(when);
    }
}

/* The first of when_any takes the losers back, or leaves it to the call that is still
   registering. */
static void vts__when_claim(vts_when *when, vts_word index)
{
    vts_word winner = vts__load_rlx(&when->winner);

    do {
        if ((winner & ~VTS__WHEN_OPEN) != 0) return;
    } while (!vts__cas_acq_rel(&when->winner, &winner, winner | (index + 1)));
    if (winner == 0) vts__when_release_losers(when, (size_t)index);
}

static void vts__entry_completed(vts_work *work)
{
    vts_when_entry *entry = vts__container_of((vts_awaiter *)(void *)work, vts_when_entry,
                                              awaiter);
    vts_when *when = entry->when;

    if (when->any) vts__when_claim(when, entry->index);
    vts__when_check_out(when);
}

static bool vts__when_is_decided(const vts_when *when)
{
    return when->any && (vts__load_rlx(&when->winner) & ~VTS__WHEN_OPEN) != 0;
}

static void vts__when_register(vts_when *when, vts_when_entry *entry)
{
    int error;

    vts__add_acq_rel(&when->remaining, 1);
    entry->state = VTS__ENTRY_AWAITED;
    error = vts__subscribe(entry->task, &entry->awaiter, vts__entry_completed, VTS_NONE,
                           VTS_NEVER);
    if (error == VTS_OK) return;
    entry->state = VTS__ENTRY_FAILED;
    entry->error = error;
    vts__entry_completed(&entry->awaiter.work);
}

static vts_valuetask vts__when_start(vts_when *when, vts_when_entry *entries, size_t count,
                                     bool any)
{
    vts_valuetask task;
    vts_word winner;
    size_t i;
    int error;

    if (when == NULL || (entries == NULL && count != 0) || (any && count == 0)) {
        return vts_valuetask_from_error(VTS_E_ARGUMENT);
    }
    error = vts_source_reset(&when->source, &when->token);
    if (error != VTS_OK) return vts_valuetask_from_error(error);
    task = vts_valuetask_of(&when->source, when->token);
    when->entries = entries;
    when->count = count;
    when->any = any;
    vts__store_rlx(&when->remaining, 1);
    vts__store_rlx(&when->winner, any ? VTS__WHEN_OPEN : 0);
    for (i = 0; i < count; i++) {
        entries[i].when = when;
        entries[i].state = VTS__ENTRY_IDLE;
        entries[i].index = (vts_word)i;
    }
    for (i = 0; i < count && !vts__when_is_decided(when); i++) {
        vts__when_register(when, &entries[i]);
    }
    winner = vts__add_acq_rel(&when->winner, any ? VTS__WHEN_OPEN : 0); /* flips OPEN */
    winner &= ~VTS__WHEN_OPEN;
    if (winner != 0) vts__when_release_losers(when, (size_t)winner - 1);
    vts__when_check_out(when);
    return task;
}

VTS_API vts_valuetask vts_when_all(vts_when *when, vts_when_entry *entries, size_t count)
{
    return vts__when_start(when, entries, count, false);
}

VTS_API vts_valuetask vts_when_any(vts_when *when, vts_when_entry *entries, size_t count)
{
    return vts__when_start(when, entries, count, true);
}

// ---- timeout ----

static vts_timeout *vts__timeout_of(vts_work *work)
{
    return vts__container_of((vts_awaiter *)(void *)work, vts_timeout, awaiter);
}

static void vts__timeout_complete(vts_timeout *timeout, int status, int error,
                                  intptr_t result)
{
    vts_source *source = &timeout->source;

    if (error >= 0) vts_source_set_result(source, timeout->token, result);
    else if (timeout->expired) vts_source_set_error(source, timeout->token, VTS_E_TIMEOUT);
    else if (status == VTS_CANCELED) vts_source_set_canceled(source, timeout->token, error);
    else vts_source_set_error(source, timeout->token, error);
}

/* On the loop: the operation is over. */
static void vts__timeout_task_is_over(vts_work *work)
{
    vts_timeout *timeout = vts__timeout_of(work);
    int status = vts_valuetask_get_status(timeout->task);
    intptr_t result = 0;
    int error = vts_valuetask_get_result(timeout->task, &result);

    vts_timer_stop(&timeout->timer);
    vts__timeout_complete(timeout, status, error, result);
}

/* Wherever the operation was completed. Inside of the deadline's cancel it has to wait:
   whoever goes on may end the cancellation source. */
static void vts__timeout_task_completes(vts_work *work)
{
    vts_timeout *timeout = vts__timeout_of(work);
    vts_loop *loop = timeout->loop;

    work->run = vts__timeout_task_is_over;
    if (vts_loop_is_current(loop) && !timeout->expired) work->run(work);
    else vts_scheduler_post(&loop->scheduler, work);
}

/* Without a way to cancel, the operation is left to itself; if it is just completing, its
   work is on the way here and completes the timeout. */
static void vts__timeout_expires(void *arg)
{
    vts_timeout *timeout = (vts_timeout *)arg;

    timeout->expired = true;
    if (timeout->cancel != NULL) {
        vts_cancellation_cancel(timeout->cancel);
        return;
    }
    if (vts__unsubscribe(timeout->task, &timeout->awaiter) != VTS_OK) return;
    vts_valuetask_forget(timeout->task);
    vts__timeout_complete(timeout, VTS_FAULTED, VTS_E_TIMEOUT, 0);
}

/* Nobody else may have the handle of an operation that was begun in the argument. */
static vts_valuetask vts__timeout_refuses(vts_valuetask task, int error)
{
    if (error != VTS_E_STALE && error != VTS_E_ALREADY_AWAITED) vts_valuetask_forget(task);
    return vts_valuetask_from_error(error);
}

VTS_API vts_valuetask vts_with_timeout(vts_timeout *timeout, vts_valuetask task,
                                       vts_loop *loop, vts_time deadline,
                                       vts_cancellation_source *cancel)
{
    vts_valuetask result;
    int error;

    if (timeout == NULL || loop == NULL) return vts__timeout_refuses(task, VTS_E_ARGUMENT);
    if (vts_valuetask_is_completed(task)) return task;
    error = vts_source_reset(&timeout->source, &timeout->token);
    if (error != VTS_OK) return vts__timeout_refuses(task, error);
    result = vts_valuetask_of(&timeout->source, timeout->token);
    timeout->task = task;
    timeout->loop = loop;
    timeout->cancel = cancel;
    timeout->expired = false;
    error = vts_timer_start(&timeout->timer, loop, deadline, vts__timeout_expires, timeout);
    if (error == VTS_OK) {
        error = vts__subscribe(task, &timeout->awaiter, vts__timeout_task_completes,
                               VTS_NONE, cancel == NULL ? deadline : VTS_NEVER);
        if (error != VTS_OK) vts_timer_stop(&timeout->timer);
    }
    if (error == VTS_OK) return result;
    vts_source_abandon(&timeout->source, timeout->token);
    return vts__timeout_refuses(task, error);
}

// ----------------------------------------------------------------------------------
// >>coroutines
// ----------------------------------------------------------------------------------

/* In vts_co.flags, so that a zeroed frame has the defaults. */
#define VTS__CO_ANYWHERE 1u   /* configured: resume where the operation completes     */
#define VTS__CO_FINALIZING 2u /* past VTS_FINALLY                                     */
#define VTS__CO_RENTED 4u     /* from a pool, not started yet                          */
#define VTS__CO_GENERATOR 8u  /* of a generator that was started: may give elements    */

#define VTS__CO_LEAVING (-3) /* a line: out of the block, past VTS_FINALLY             */

static vts_trap_hook vts__trap_hook;
static void *vts__trap_user;

VTS_API void vts_set_trap_hook(vts_trap_hook hook, void *user)
{
    vts__trap_user = user;
    vts__trap_hook = hook;
}

static void vts__say_trap(const char *file, int line, const char *text);

/* What cannot go on does not. */
static VTS__NOINLINE void vts__co_trap(const vts_co *co, int line, const char *text)
{
    vts_trap_hook hook = vts__trap_hook;

    if (hook != NULL) hook(vts__trap_user, co->file, line, text, co);
    else vts__say_trap(co->file, line, text);
    __builtin_trap();
}

static vts_co *vts__co_of(vts_work *work)
{
    return vts__container_of((vts_awaiter *)(void *)work, vts_co, awaiter);
}

static void vts__co_continues(void *arg)
{
    vts_co *co = (vts_co *)arg;

    if (co->line <= 0) {
        vts__co_trap(co, co->line, co->line == 0 ? "resumed while it runs"
                                                 : "resumed after it finished");
    }
    co->run(co);
}

static void vts__co_resume(vts_work *work) { vts__co_continues(vts__co_of(work)); }

VTS_API void vts_co_configure(vts_co *co, unsigned flags)
{
    bool context = (flags & VTS_USE_SCHEDULING_CONTEXT) != 0;

    if (co == NULL) return;
    if (context) co->flags &= (uint16_t)~VTS__CO_ANYWHERE;
    else co->flags |= VTS__CO_ANYWHERE;
}

static unsigned vts__co_awaits_with(const vts_co *co)
{
    bool anywhere = (co->flags & VTS__CO_ANYWHERE) != 0 || vts__self.scheduler == NULL;
    return anywhere ? VTS_NONE : VTS_USE_SCHEDULING_CONTEXT;
}

/* A rented frame is armed; one of the caller's is now. */
static int vts__co_arm(vts_co *co)
{
    if (co->source.base.ops == NULL) vts_source_init(&co->source, &vts__once_ops);
    if (co->source.base.ops == &vts__once_ops) {
        return vts_source_reset(&co->source, &co->token);
    }
    co->token = vts_source_version(&co->source);
    if ((co->flags & VTS__CO_RENTED) == 0) {
        return vts__misuse(VTS_E_PENDING, co, co->token);
    }
    co->flags &= (uint16_t)~VTS__CO_RENTED;
    return VTS_OK;
}

VTS_API vts_valuetask vts_co_start_named(vts_co *co, vts_step (*run)(vts_co *),
                                         const char *name)
{
    vts_valuetask task;
    int error = VTS_E_ARGUMENT;

    if (co != NULL && run != NULL) error = vts__co_arm(co);
    if (error != VTS_OK) return vts_valuetask_from_error(error);
    task = vts_valuetask_of(&co->source, co->token);
    co->run = run;
    co->name = name;
    co->file = "";
    co->line = 0;
    co->flags &= (uint16_t)~VTS__CO_FINALIZING;
    run(co);
    return task;
}

/* An error is an int. */
static int vts__narrow(intptr_t error)
{
    return error == (int)error ? (int)error : VTS_E_ARGUMENT;
}

VTS_API vts_step vts_co_finish(vts_co *co, intptr_t result)
{
    vts_source *source = &co->source;
    vts_token token = co->token;
    int error;

    if (co->line == VTS_CO_DONE) vts__co_trap(co, co->line, "finished twice");
    co->line = VTS_CO_DONE;
    if (result >= 0) error = vts_source_set_result(source, token, result);
    else if (result == VTS_E_CANCELED) error = vts_source_set_canceled(source, token, 0);
    else error = vts_source_set_error(source, token, vts__narrow(result));
    if (error != VTS_OK) vts__co_trap(co, VTS_CO_DONE, "completed by somebody else");
    return VTS_STEP_DONE;
}

VTS_API int vts__co_enter(vts_co *co, const char *file)
{
    co->file = file;
    return co->line;
}

/* The block is left and has no VTS_FINALLY to go to; else the line is no await of it. */
VTS_API void vts__co_elsewhere(vts_co *co)
{
    if (co->line != VTS_CO_UNWINDING && co->line != VTS__CO_LEAVING) {
        vts__co_trap(co, co->line, co->line == VTS_CO_DONE
                                       ? "run after it finished"
                                       : "resumed at a line that is not an await of this "
                                         "block (await inside a nested switch?)");
    }
    co->line = 0;
}

/* What most handles name, if nobody traces: a source whose functions can be called without
   a detour. Else NULL. */
static VTS__INLINE vts_source *vts__co_source(vts_valuetask task)
{
    if (task.source == NULL || !vts__likely(vts__trace_hook == NULL)) return NULL;
    if (!vts__likely(vts__ops(task)->on_completed == vts__op_on_completed)) return NULL;
    return (vts_source *)(void *)task.source;
}

static VTS__INLINE bool vts__is_pending(const vts_source *source, vts_token token)
{
    vts_word word = vts__load_acq(&source->word);
    return (word & ~VTS__WAITER) == (token | VTS__PENDING);
}

static VTS__INLINE bool vts__is_completed(const vts_source *source, vts_token token)
{
    vts_word word = vts__load_acq(&source->word);
    return (word & ~VTS__LOW) == token && vts__is_done(word);
}

/* What is not a pending operation of a vts_source. */
static VTS__NOINLINE bool vts__co_await_any(vts_co *co, int line, vts_valuetask task)
{
    int status = VTS_SUCCEEDED;

    if (task.source != NULL) status = vts_valuetask_get_status(task);
    if (status > VTS_PENDING) return true;
    co->line = line;
    if (status == VTS_PENDING) {
        status = vts__subscribe(task, &co->awaiter, vts__co_resume,
                                vts__co_awaits_with(co), VTS_NEVER);
    }
    if (status != VTS_OK) vts__co_trap(co, line, vts_strerror(status));
    return false;
}

/* The line is stored before the continuation is armed: from then on the frame may run on
   another thread, finish and be gone. */
VTS_API bool vts__co_await(vts_co *co, int line, vts_valuetask task)
{
    vts_source *source = vts__co_source(task);
    int error;

    co->awaiting = task;
    if (source == NULL || !vts__is_pending(source, task.token)) {
        if (source != NULL && vts__is_completed(source, task.token)) return true;
        return vts__co_await_any(co, line, task);
    }
    co->line = line;
    error = vts__op_on_completed(&source->base, task.token, vts__co_continues, co,
                                 vts__co_awaits_with(co));
    if (error != VTS_OK) vts__co_trap(co, line, vts_strerror(error));
    return false;
}

/* Whoever resumed may find that somebody else took the result. The status tells it: a
   result that is VTS_E_STALE may be the operation's own error. */
static void vts__co_may_take(vts_co *co)
{
    int status = VTS_SUCCEEDED;

    if (co->line != 0) status = vts_valuetask_get_status(co->awaiting);
    if (status < 0) vts__co_trap(co, co->line, vts_strerror(status));
    co->line = 0;
}

static VTS__NOINLINE intptr_t vts__co_take_any(vts_co *co)
{
    intptr_t value = 0;
    int error;

    vts__co_may_take(co);
    error = vts_valuetask_get_result(co->awaiting, &value);
    return error < 0 ? error : value;
}

/* Of a pooled source that succeeded after the await, one step says that nobody took the
   result, and takes it. */
VTS_API intptr_t vts__co_take(vts_co *co)
{
    vts_source *source = vts__co_source(co->awaiting);
    intptr_t value;

    if (source == NULL || co->line == 0 ||
        source->base.ops->get_result != vts__pooled_get_result ||
        !vts__fast(source, co->awaiting.token, VTS__AWAITED | VTS__SUCCEEDED, VTS__IDLE)) {
        return vts__co_take_any(co);
    }
    co->line = 0;
    value = (intptr_t)vts__load_rlx(&source->result); /* [P2] */
    vts__pool_return(source);
    return value;
}

VTS_API int vts__co_take_typed(vts_co *co, void *result)
{
    vts__co_may_take(co);
    return vts_valuetask_take(co->awaiting, result);
}

/* A break leaves more as it is here. */
VTS_API bool vts__co_foreach(vts_co *co, int line, vts_valuetask task)
{
    co->more = false;
    return vts__co_await(co, line, task);
}

VTS_API void vts__co_resumed(vts_co *co) { co->line = 0; }

VTS_API void vts__co_finalizing(vts_co *co)
{
    co->line = 0;
    co->flags |= VTS__CO_FINALIZING;
}

VTS_API vts_step vts__co_unwind(vts_co *co)
{
    bool finalizing = (co->flags & VTS__CO_FINALIZING) != 0;

    co->line = finalizing ? VTS__CO_LEAVING : VTS_CO_UNWINDING;
    return co->run(co);
}

VTS_API bool vts__co_yield(vts_co *co, int line, vts_scheduler *scheduler)
{
    if (scheduler == NULL) scheduler = vts__self.scheduler;
    if (scheduler == NULL) return true;
    co->line = line;
    co->awaiter.work.run = vts__co_resume;
    vts_scheduler_post(scheduler, &co->awaiter.work);
    return false;
}

VTS_API vts_co *vts_co_rent_at(vts_pool *pool, const char *site)
{
    vts_token token;
    vts_co *co = (vts_co *)(void *)vts_pool_rent_at(pool, &token, site);

    if (co == NULL) return NULL;
    co->flags = VTS__CO_RENTED;
    co->line = 0;
    co->name = NULL;
    return co;
}

// ---- generators ----

#define VTS__GENERATOR_IDLE 0
#define VTS__GENERATOR_READY 1
#define VTS__GENERATOR_RUNNING 2
#define VTS__GENERATOR_YIELDED 3
#define VTS__GENERATOR_ENDED 4

static vts_generator *vts__generator_of(vts_stream *stream)
{
    return vts__container_of(stream, vts_generator, stream);
}

/* The body is through: the one who waits for the next element, or for dispose, hears it. */
static void vts__generator_ended(void *arg)
{
    vts_generator *generator = (vts_generator *)arg;
    vts_source *next = &generator->next;
    vts_token token = generator->token;
    int error = vts_source_get_result(&generator->co.source, generator->co.token, NULL);

    generator->current = NULL;
    generator->state = VTS__GENERATOR_ENDED;
    if (error >= 0) vts_source_set_result(next, token, 0);
    else if (error == VTS_E_CANCELED) vts_source_set_canceled(next, token, 0);
    else vts_source_set_error(next, token, error);
}

/* Gives the element; the consumer may be back for the next before this returns. */
VTS_API void vts__generator_yield(vts_co *co, int line, void *value)
{
    vts_generator *generator = (vts_generator *)(void *)co;

    if ((co->flags & VTS__CO_GENERATOR) == 0) {
        vts__co_trap(co, line, "gives an element, and is no generator");
    }
    if ((co->flags & VTS__CO_FINALIZING) != 0) {
        vts__co_trap(co, line, "gives an element after VTS_FINALLY");
    }
    co->line = line;
    generator->current = value;
    generator->state = VTS__GENERATOR_YIELDED;
    vts_source_set_result(&generator->next, generator->token, 1);
}

static void vts__generator_begin(vts_generator *generator)
{
    vts_co *co = &generator->co;
    vts_valuetask task = vts_co_start_named(co, co->run, co->name);

    vts_valuetask_on_completed(task, vts__generator_ended, generator, VTS_NONE);
}

/* Runs the body: from its beginning, from where it gave an element, or unwinding. */
static vts_valuetask vts__generator_run(vts_generator *generator, bool unwinding)
{
    bool begin = generator->state == VTS__GENERATOR_READY;
    vts_token token;
    int error = vts_source_reset(&generator->next, &token);

    if (error != VTS_OK) return vts_valuetask_from_error(error);
    generator->token = token;
    generator->state = VTS__GENERATOR_RUNNING;
    if (unwinding) {
        generator->current = NULL;
        generator->co.line = VTS_CO_UNWINDING;
    }
    if (begin) vts__generator_begin(generator);
    else generator->co.run(&generator->co);
    return vts_valuetask_of(&generator->next, token);
}

static vts_valuetask vts__generator_move_next(vts_stream *self,
                                              vts_cancellation_token cancel)
{
    vts_generator *generator = vts__generator_of(self);
    int state = generator->state;

    if (state == VTS__GENERATOR_ENDED) return vts_valuetask_from_result(0);
    if (state == VTS__GENERATOR_RUNNING) return vts_valuetask_from_error(VTS_E_BUSY);
    generator->cancel = cancel;
    return vts__generator_run(generator, false);
}

static void *vts__generator_current(vts_stream *self)
{
    return vts__generator_of(self)->current;
}

static vts_valuetask vts__generator_dispose(vts_stream *self)
{
    vts_generator *generator = vts__generator_of(self);

    if (generator->state == VTS__GENERATOR_RUNNING) {
        return vts_valuetask_from_error(VTS_E_BUSY);
    }
    if (generator->state != VTS__GENERATOR_YIELDED) {
        generator->state = VTS__GENERATOR_ENDED;
        return vts_valuetask_from_result(0);
    }
    return vts__generator_run(generator, true);
}

/* Not begun or through, and not of a pool. */
static bool vts__generator_is_idle(const vts_generator *generator)
{
    const vts_source_ops *ops = generator->co.source.base.ops;

    if (ops != NULL && ops != &vts__once_ops) return false;
    return generator->state == VTS__GENERATOR_IDLE ||
           generator->state == VTS__GENERATOR_ENDED;
}

VTS_API vts_stream *vts_generator_start_named(vts_generator *generator,
                                              vts_step (*run)(vts_co *), const char *name)
{
    static const vts_stream_ops ops = {vts__generator_move_next, vts__generator_current,
                                       vts__generator_dispose};

    if (generator == NULL || run == NULL) return NULL;
    if (!vts__generator_is_idle(generator)) return NULL;
    generator->state = VTS__GENERATOR_READY;
    generator->current = NULL;
    generator->co.run = run;
    generator->co.name = name;
    generator->co.flags |= VTS__CO_GENERATOR;
    generator->stream.ops = &ops;
    return &generator->stream;
}

// ---- dump ----

typedef struct vts__text {
    char *at;
    size_t size, length;
} vts__text;

static void vts__text_put(vts__text *text, char c)
{
    if (text->length + 1 < text->size) text->at[text->length] = c;
    text->length++;
}

static void vts__text_add(vts__text *text, const char *string)
{
    while (*string != '\0') vts__text_put(text, *string++);
}

/* Not of zero. By subtraction: some processors would need a library call to divide. */
static void vts__text_number(vts__text *text, unsigned number)
{
    static const unsigned units[] = {1000000000u, 100000000u, 10000000u, 1000000u, 100000u,
                                     10000u,      1000u,      100u,      10u,      1u};
    bool begun = false;
    unsigned i;

    for (i = 0; i < sizeof units / sizeof units[0]; i++) {
        char digit = '0';
        for (; number >= units[i]; number -= units[i]) digit++;
        begun = begun || digit != '0';
        if (begun) vts__text_put(text, digit);
    }
}

static void vts__text_place(vts__text *text, const vts_co *co)
{
    if (co->name == NULL) {
        vts__text_add(text, "not started");
        return;
    }
    vts__text_add(text, co->name);
    if (co->line > 0) {
        vts__text_put(text, ':');
        vts__text_number(text, (unsigned)co->line);
    } else {
        vts__text_add(text, co->line == VTS_CO_DONE ? " done" : " running");
    }
}

/* Who waits for a pending source. */
static vts_continuation vts__awaited_by(const vts_source *source)
{
    vts_word word = vts__load_acq(&source->word); /* [P1] */
    bool awaited = (word & VTS__WAITER) == VTS__AWAITED && vts__is_open(word);

    return awaited ? source->continuation : NULL;
}

/* The frame that awaits this one, if it is a frame that does; a generator's waits for its
   next element. */
static const vts_co *vts__co_awaiting(const vts_co *co)
{
    const vts_source *source = &co->source;

    if (vts__awaited_by(source) == vts__generator_ended) {
        source = &((const vts_generator *)source->arg)->next;
    }
    if (vts__awaited_by(source) != vts__co_continues) return NULL;
    return (const vts_co *)source->arg;
}

VTS_API size_t vts_co_dump(const vts_co *co, char *text, size_t size)
{
    vts__text out;

    out.at = text;
    out.size = size;
    out.length = 0;
    while (co != NULL) {
        vts__text_place(&out, co);
        co = vts__co_awaiting(co);
        if (co != NULL) vts__text_add(&out, " < ");
    }
    if (size > 0) text[out.length < size ? out.length : size - 1] = '\0';
    return out.length;
}

#endif /* VTS_IMPLEMENTATION */
