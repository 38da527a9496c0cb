/* explore.h - runs a few threads in every order that can make a difference

   A scenario is a handful of threads that share memory through the operations below
   (x_load, x_store, x_cas...). It is executed again and again, on fibers, until every
   choice was made in every way:

     - which thread does the next operation
     - in weak mode, which store a load reads
     - whether a compare-exchange fails for no reason, as one that is made of a load
       linked and a store conditional may; as often as the scenario allows each thread
     - who is woken, whether a sleep ends at its deadline, or for no reason; that too as
       often as the scenario allows

   MODES
   SEQ  calls (marked by x_call) are never interrupted. It collects the outcomes that
        the sequential orders have; in the other modes each outcome must be one of them.
   SC   sequential consistency: a load reads the newest store.
   RA   release and acquire. Each location keeps its stores in the order they were made.
        A load may read any that its thread does not know to be overwritten; an acquire
        load then knows what the releasing thread knew. Read-modify-writes read the
        newest store and carry on the message of what they read (release sequences). A
        compare-exchange that fails may read an older store, with the order given for
        failure; of a value that differs, unless it fails for no reason.
   Not in RA: a load that reads a store made later (load buffering), a store that goes
   before one already made in the order of its location (2+2W).

   SLEEP
   x_wait and x_wake are a futex: wait looks at the word and falls asleep in one step, and
   being woken tells nothing about memory. x_spin is for a loop that yields: it stands
   still while the word is the same. That all threads sleep that have not ended is a
   failure, "lost wake-up". Of a deadline the scenario's clock is told; when all sleep it
   comes.

   DATA RACES
   Plain accesses are watched when the program is compiled with -fsanitize=thread and
   linked without: the compiler then reports each one to functions of explore_memory.h.
   Two accesses of different threads to a word, one of them a write, not both atomic,
   and neither ordered before the other by release and acquire, are a failure, in SC
   mode too. Words have eight bytes. Not watched: what setup and finish do, and the C
   library. A plain read has the newest value: if another were possible, it is a race.

   REDUCTION
   Operations on different words, and loads of the same one, commute: of executions that
   differ only in the order of such, one is enough. Wait and wake count as
   read-modify-writes of their word that change nothing. Source sets with sleep sets (Abdulla,
   Aronsson, Jonsson, Sagonas, "Optimal dynamic partial order reduction", POPL 2014) find
   what must be reversed; --full goes without, which must find the same outcomes. A
   scenario must not show one thread what another did except by these operations, x_note
   and x_count: plain variables that threads share are reported as races.

   A bound on preemptions (reading an older store counts as one) goes without the
   reduction: that would be against the bound. It is for what a full search does not
   finish in time; --long replaces it by the one for long runs, or none.

   A failure prints what every thread did and an id; --replay ID runs that again.
   e_self.c checks all this on programs whose outcomes are known.
   Needs ucontext.h, and gcc or clang. One program, one C file. */
#ifndef EXPLORE_H
#define EXPLORE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#undef _FORTIFY_SOURCE /* its longjmp refuses to change stacks */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

/* The explorer does not watch itself. */
#define X_QUIET __attribute__((no_sanitize("thread"), unused)) static

// ----------------------------------------------------------------------------------
// What a scenario uses
// ----------------------------------------------------------------------------------

typedef uintptr_t x_word;
typedef enum x_order { X_RLX = 0, X_ACQ = 1, X_REL = 2, X_ACQ_REL = 3 } x_order;
typedef enum x_mode { X_SEQ, X_SC, X_RA, X_MODES } x_mode;

typedef struct x_scenario {
    const char *name;
    int threads;
    void (*setup)(void);         /* before each execution; sets everything anew        */
    void (*thread)(int id);      /* what each thread does                              */
    void (*finish)(void);        /* after it: checks, notes                            */
    const char *(*except)(void); /* names why an outcome without a sequential order is
                                    right, or NULL; itself NULL: none is               */
    bool linear;                 /* outcomes must be those of sequential orders        */
    int spurious;                /* failures for no reason of each thread, at most     */
    int disturbed;               /* sleeps of each that end for no reason, at most     */
    bool may_hang;               /* that all sleep is an outcome, not a failure        */
    int bound, long_bound;       /* preemptions at most, and with --long; 0: no bound  */
} x_scenario;

/* Shared memory. Outside of threads these are plain. */
X_QUIET x_word x_load(const x_word *p, x_order order);
X_QUIET void x_store(x_word *p, x_word value, x_order order);
X_QUIET bool x_cas(x_word *p, x_word *expected, x_word value, x_order order,
                   x_order failure);
X_QUIET x_word x_exchange(x_word *p, x_word value, x_order order);
X_QUIET x_word x_add(x_word *p, x_word value, x_order order);

/* Sleeps if the word has that value, until somebody wakes (one, or all) who sleep on it:
   true; with a deadline (timed), false if that came first. */
X_QUIET bool x_wait(x_word *p, x_word value, bool timed);
X_QUIET void x_wake(x_word *p, bool all);

/* In a loop, instead of trying again while the word has that value. */
X_QUIET void x_spin(x_word *p, x_word value);

/* Before each call that a sequential order keeps whole. */
X_QUIET void x_call(void);

/* Parts of the outcome: what a thread (or finish) saw, in its order; and sums over all
   threads, in no order. */
X_QUIET void x_note(const char *label, long value);
X_QUIET long x_count(int which, long amount);

/* Fails the execution. */
#define x_check(condition)                                                             \
    ((condition) ? (void)0 : x_fail("line %d: not so: %s", __LINE__, #condition))
__attribute__((noreturn, format(printf, 1, 2))) X_QUIET void x_fail(const char *format,
                                                                    ...);

/* For the trace: what lies where, and how to write its value (NULL: as a number). */
typedef void (*x_writer)(char *text, size_t size, x_word value);
X_QUIET void x_name(const void *p, size_t size, const char *name, x_writer writer);

/* Called whenever another thread goes on, -1 for setup and finish: what is per thread. */
static void (*x_on_switch)(int thread);

/* Explores in all modes and prints a line for each. Between x_group(NULL) and
   x_group(NAME) scenarios share the lines. False: it failed. */
X_QUIET bool x_explore(const x_scenario *scenario);
X_QUIET void x_group(const char *name);

/* The executions of one mode, without a word; true if one failed: x_message says why.
   x_summary says what was found. */
X_QUIET bool x_search(const x_scenario *scenario, x_mode mode);
typedef struct x_summary {
    unsigned long executions;
    int outcomes;         /* different ones             */
    uint64_t digest;      /* of their set               */
    char id[2048];        /* of the failure, for replay */
} x_summary;
X_QUIET x_summary x_found(void);

/* Runs the execution of such an id; true if it failed. */
X_QUIET bool x_repeat(const x_scenario *scenario, const char *id);

/* Reads the options; prints the sums and gives the exit status after all scenarios. */
X_QUIET void x_options(int argc, char **argv);
X_QUIET int x_status(void);

// ----------------------------------------------------------------------------------
// State of an execution
// ----------------------------------------------------------------------------------

enum {
    X_THREADS = 4,
    X_STEPS = 600, /* of an execution; one that needs more is taken for endless */
    X_LOCATIONS = 192,
    X_STORES = 64,
    X_NOTES = 10,
    X_COUNTS = 16,
    X_STACK = 1 << 16
};

/* What a thread knows: the oldest store of each location that it may still read, and how
   far it knows the other threads to be. A message is a view that a store carries. */
typedef struct x_view {
    unsigned char seen[X_LOCATIONS];
    unsigned short clock[X_THREADS];
} x_view;

typedef struct x_location {
    x_word *address;
    int stores;
    int lowest;          /* no thread may read what is older       */
    int wrote;           /* 1 + step of the last write; 0: none    */
    int read[X_THREADS]; /* and of each thread's last read since   */
    struct {
        x_word value;
        int message; /* 0: none */
        int wrote;   /* 1 + its step; 0: before all */
    } store[X_STORES];
} x_location;

/* A choice and what came of it. Sets of threads are bits. */
typedef struct x_step {
    int thread;
    int choice, choices;   /* of the stores to read                                    */
    int preemptions;
    unsigned done;         /* explored from here                                       */
    unsigned backtrack;    /* these, and what is still to be explored                  */
    unsigned sleep;        /* whose next operation was explored elsewhere              */
    int unread[X_THREADS]; /* of each one's next load, all older stores were           */
    int before[X_THREADS]; /* 1 + last step of each that is ordered before             */
    int location;
    const char *what;
    bool loaded, stored, swap;
    bool spurious;         /* it failed, or returned, for no reason                    */
    bool parking;          /* wait or wake: what it stored was there                   */
    int age;               /* stores made since the one that was read                  */
    x_word was, is;
} x_step;

/* A thread: where it goes on, its next operation, its knowledge. */
typedef struct x_fiber {
    ucontext_t context;
    jmp_buf top, at;
    int location; /* of the next operation, -1: a call or awakening */
    bool writes;
    int spurious; /* failures for no reason so far */
    int disturbed;           /* ends of sleeps for no reason */
    const x_word *sleeps_on; /* if it is parked... */
    bool spins, timed;       /* ... how */
    x_word value;            /* that the word had */
    x_view view;
    int before[X_THREADS]; /* its last step's */
} x_fiber;

typedef struct x_outcome {
    struct {
        const char *label;
        long value;
    } note[X_THREADS + 1][X_NOTES];
    int notes[X_THREADS + 1];
    long count[X_COUNTS];
} x_outcome;

static _Alignas(16) char x_stacks[X_THREADS][X_STACK];
static x_fiber x_fibers[X_THREADS];
static x_location x_locations[X_LOCATIONS];
static x_step x_steps[X_STEPS];
static x_outcome x_result;

static const x_scenario *x_scene;
static x_mode x_memory;
static bool x_reduced;
static int x_bound;               /* on preemptions, of this search       */
static unsigned long x_execution; /* number of this one, ever             */
static int x_now = -1;            /* the running thread                   */
static int x_at;                  /* the step to come                     */
static int x_length;              /* how many steps have their choices    */
static int x_fresh;               /* the first that is not as last time   */
static unsigned x_ended;          /* threads                              */
static unsigned x_parked;         /* those that wait to be woken          */
static unsigned x_sleep;          /* of the step to come: its sleep...    */
static int x_unread[X_THREADS];   /* ... and unread                       */
static int x_location_count;
static bool x_starting;           /* threads go to their first operation  */
static bool x_cut, x_failed;      /* how the execution ended              */
static jmp_buf x_outside;

X_QUIET int x_choose(void);
X_QUIET void x_forget_names(void);
X_QUIET void x_forget_memory(void);
X_QUIET void x_judge(void);
X_QUIET void x_print_failure(void);
X_QUIET void x_count_execution(void);

// ----------------------------------------------------------------------------------
// Fibers
// ----------------------------------------------------------------------------------

/* Goes on with a thread, or outside with -1. */
__attribute__((noreturn)) X_QUIET void x_resume(int thread)
{
    x_now = thread;
    if (x_on_switch != NULL) x_on_switch(thread);
    if (thread < 0) _longjmp(x_outside, 1);
    _longjmp(x_fibers[thread].at, 1);
}

/* A fiber is entered once; every execution starts it again from its top. */
X_QUIET void x_fiber_body(void)
{
    if (_setjmp(x_fibers[x_now].top) == 0) x_resume(-1);
    x_scene->thread(x_now);
    x_ended |= 1u << x_now;
    x_resume(x_starting ? -1 : x_choose());
}

X_QUIET void x_make_fiber(void)
{
    ucontext_t *context = &x_fibers[x_now].context;

    getcontext(context);
    context->uc_stack.ss_sp = x_stacks[x_now];
    context->uc_stack.ss_size = X_STACK;
    context->uc_link = NULL;
    makecontext(context, x_fiber_body, 0);
    setcontext(context);
}

X_QUIET void x_start(void) { x_resume(x_now); }
X_QUIET void x_run(void) { x_resume(x_choose()); }

/* Does something as a thread, or as none (-1), until it returns or somebody goes outside,
   as x_fail does. */
__attribute__((noinline)) X_QUIET void x_enter(int thread, void (*something)(void))
{
    x_now = thread;
    if (_setjmp(x_outside) == 0) something();
    x_now = -1;
}

/* The running thread is about to do its next operation: who goes first? */
__attribute__((noinline)) X_QUIET void x_yield(int location, bool writes)
{
    int self = x_now, next;

    x_fibers[self].location = location;
    x_fibers[self].writes = writes;
    next = x_starting ? -1 : x_choose();
    if (next != self && _setjmp(x_fibers[self].at) == 0) x_resume(next);
}

// ----------------------------------------------------------------------------------
// Search
// ----------------------------------------------------------------------------------

/* The threads that a step not reached before may begin with: all within the bound, or,
   reduced, one that is awake; races add others later. */
X_QUIET unsigned x_candidates(x_step *s, unsigned enabled)
{
    unsigned previous = x_at > 0 ? 1u << x_steps[x_at - 1].thread & enabled : 0;
    unsigned awake = enabled & ~s->sleep;

    if (!x_reduced) {
        int preemptions = x_at > 0 ? x_steps[x_at - 1].preemptions : 0;
        bool spent = x_bound != 0 && preemptions >= x_bound;
        return spent && previous != 0 ? previous : enabled;
    }
    return (awake & previous) != 0 ? previous : awake & (0u - awake);
}

/* One of a set, rather the thread that did the last step. */
X_QUIET void x_take(x_step *s, unsigned threads)
{
    int previous = x_at > 0 ? x_steps[x_at - 1].thread : 0;

    s->thread = (threads >> previous & 1) != 0 ? previous : __builtin_ctz(threads);
    s->choice = 0;
}

/* All threads sleep that have not ended. A deadline will come; of the reduced search that
   is cut: it came in the execution in which it did so at once. */
X_QUIET unsigned x_all_sleep(unsigned left)
{
    int t;

    for (t = 0; t < x_scene->threads; t++) {
        if ((left >> t & 1) == 0 || !x_fibers[t].timed) continue;
        if (x_reduced) x_cut = true;
        else x_parked &= ~(1u << t);
        return left & ~x_parked;
    }
    if (!x_scene->may_hang) x_fail("lost wake-up: all sleep who have not ended");
    x_result.count[X_COUNTS - 1] = left;
    return 0;
}

/* The thread that does the next step; -1: the execution is over, or cut because all that
   could follow was explored elsewhere. */
X_QUIET int x_choose(void)
{
    x_step *s = &x_steps[x_at];
    unsigned left = ((1u << x_scene->threads) - 1) & ~x_ended;
    unsigned enabled = left & ~x_parked;

    if (enabled == 0 && left != 0) enabled = x_all_sleep(left);
    if (enabled == 0) return -1;
    if (x_at == X_STEPS - 1) x_fail("does not end");
    if (x_at >= x_length) {
        s->sleep = x_sleep;
        s->done = 0;
        s->backtrack = x_candidates(s, enabled);
        if (s->backtrack == 0) {
            x_cut = true;
            return -1;
        }
        x_take(s, s->backtrack);
        x_length = x_at + 1;
    }
    if ((enabled >> s->thread & 1) == 0) x_fail("the replay takes another course");
    memcpy(s->unread, x_unread, sizeof s->unread);
    s->preemptions = 0;
    if (x_at > 0) {
        int previous = x_steps[x_at - 1].thread;
        bool preempts = previous != s->thread && (enabled >> previous & 1) != 0;
        s->preemptions = x_steps[x_at - 1].preemptions + preempts;
    }
    return s->thread;
}

/* Steps i and n race. Unless what leads to the other order is explored already, one of
   the threads that can begin it is to be: v are the steps after i that are not ordered
   after it, and n; a thread can begin v if its first step there comes after no other. */
X_QUIET void x_reverse(int i, int n)
{
    int first[X_THREADS], k, t, other;
    unsigned begin = 0;

    for (t = 0; t < X_THREADS; t++) first[t] = -1;
    for (k = i + 1; k <= n; k++) {
        if (k < n && x_steps[k].before[x_steps[i].thread] > i) continue;
        if (first[x_steps[k].thread] < 0) first[x_steps[k].thread] = k;
    }
    for (t = 0; t < X_THREADS; t++) {
        bool free = first[t] >= 0;
        for (other = 0; other < X_THREADS && free; other++) {
            if (other == t || first[other] < 0) continue;
            free = x_steps[first[t]].before[other] <= first[other];
        }
        if (free) begin |= 1u << t;
    }
    if ((begin & (x_steps[i].backtrack | x_steps[i].sleep)) != 0) return;
    x_steps[i].backtrack |= begin & (0u - begin);
}

/* Orders a step after another, given as 1 + its number. */
X_QUIET void x_order_after(x_step *s, int other)
{
    int t;

    for (t = 0; t < X_THREADS && other > 0; t++) {
        int before = x_steps[other - 1].before[t];
        if (before > s->before[t]) s->before[t] = before;
    }
}

/* Orders a step after what it depends on, and has races with it reversed. In weak mode
   a load is ordered after the store it reads, and not before later ones: reading the
   same store, it may as well come after them. Its race with a store to come is that it
   could read that; with a store made, none: reading an older one is a choice. But a
   compare-exchange that failed might succeed before the last store. */
X_QUIET void x_depend(x_step *s, x_location *l)
{
    x_fiber *self = &x_fibers[s->thread];
    bool weak = x_memory == X_RA, read = false;
    int races[X_THREADS + 1], count = 0, i, t;

    memcpy(s->before, self->before, sizeof s->before);
    for (t = 0; t < X_THREADS && s->stored; t++) {
        if (t == s->thread || l->read[t] == 0) continue;
        races[count++] = l->read[t];
        read = true;
        if (!weak) x_order_after(s, l->read[t]);
    }
    if (l->wrote != 0 && (weak ? s->stored || s->swap : !read)) races[count++] = l->wrote;
    x_order_after(s, weak && !s->stored ? l->store[l->stores - 1 - s->age].wrote : l->wrote);
    s->before[s->thread] = x_at + 1;
    for (i = 0; i < count && x_at >= x_fresh; i++) {
        int other = races[i] - 1;
        if (other >= self->before[x_steps[other].thread]) x_reverse(other, x_at);
    }
    memcpy(self->before, s->before, sizeof s->before);
    l->read[s->thread] = x_at + 1;
    if (!s->stored) return;
    l->wrote = l->store[l->stores - 1].wrote = x_at + 1;
    memset(l->read, 0, sizeof l->read);
}

/* A step that depends on nothing but what its thread was woken by. */
X_QUIET void x_follow(x_step *s)
{
    x_fiber *self = &x_fibers[s->thread];

    self->before[s->thread] = x_at + 1;
    memcpy(s->before, self->before, sizeof s->before);
}

/* Ends the sleep of a thread; all it does comes after the step just done. */
X_QUIET void x_unpark(int thread)
{
    const int *before = x_steps[x_at - 1].before;
    x_fiber *f = &x_fibers[thread];
    int t;

    x_parked &= ~(1u << thread);
    f->timed = false;
    for (t = 0; t < X_THREADS; t++) {
        if (before[t] > f->before[t]) f->before[t] = before[t];
    }
}

/* The step is done. Threads explored before it, or asleep, sleep on if they do not
   depend on it. In weak mode a store does not wake a load but for reading that store. */
X_QUIET void x_done(x_step *s, x_location *l)
{
    int t;

    if (l != NULL && x_reduced) x_depend(s, l);
    else if (x_reduced) x_follow(s);
    x_sleep = 0;
    x_unread[s->thread] = 0;
    for (t = 0; t < x_scene->threads && x_reduced; t++) {
        const x_fiber *f = &x_fibers[t];
        bool wakes = l != NULL && f->location == s->location &&
                     (s->stored || (f->writes && x_memory == X_SC));
        if (t == s->thread || ((s->sleep | s->done) >> t & 1) == 0) continue;
        if (!wakes) x_sleep |= 1u << t;
        else if (x_memory == X_RA) x_unread[t] = l->stores - 1;
    }
    x_at++;
}

/* Sets the choices of the next execution; false if all were made. */
X_QUIET bool x_advance(void)
{
    while (x_length > 0) {
        x_step *s = &x_steps[x_length - 1];
        unsigned left;
        x_fresh = x_length - 1;
        if (++s->choice < s->choices) return true;
        s->done |= 1u << s->thread;
        left = s->backtrack & ~s->done & ~s->sleep;
        x_at = x_length - 1;
        if (left != 0) {
            x_take(s, left);
            return true;
        }
        x_length--;
    }
    return false;
}

// ----------------------------------------------------------------------------------
// Running
// ----------------------------------------------------------------------------------

/* In the sequential mode a call is a step, and all of it happens there. */
void x_call(void)
{
    x_step *s = &x_steps[x_at];

    if (x_memory != X_SEQ || x_now < 0) return;
    x_yield(-1, true);
    s = &x_steps[x_at];
    s->choices = 1;
    s->location = -1;
    s->what = "call";
    s->loaded = s->stored = s->spurious = s->parking = false;
    s->age = 0;
    x_done(s, NULL);
}

void x_note(const char *label, long value)
{
    int t = x_now < 0 ? X_THREADS : x_now, n = x_result.notes[t];

    if (n == X_NOTES) x_fail("too many notes");
    x_result.notes[t]++;
    x_result.note[t][n].label = label;
    x_result.note[t][n].value = value;
}

long x_count(int which, long amount) { return x_result.count[which] += amount; }

X_QUIET void x_begin(void)
{
    x_at = 0;
    x_ended = x_sleep = x_parked = 0;
    x_cut = x_failed = false;
    x_execution++;
    memset(x_unread, 0, sizeof x_unread);
    memset(&x_result, 0, sizeof x_result);
    x_forget_names();
    x_forget_memory();
    if (x_on_switch != NULL) x_on_switch(-1);
    x_scene->setup();
    memset(&x_result, 0, sizeof x_result);
}

X_QUIET void x_end(void)
{
    if (x_scene->finish != NULL) x_scene->finish();
    x_judge();
}

/* One execution with the choices in x_steps. */
X_QUIET void x_execute(void)
{
    static bool made;
    int t;

    for (t = 0; t < X_THREADS && !made; t++) x_enter(t, x_make_fiber);
    made = true;
    x_enter(-1, x_begin);
    x_starting = true;
    for (t = 0; t < x_scene->threads && !x_failed; t++) {
        x_fiber *f = &x_fibers[t];
        memcpy(&f->at, &f->top, sizeof f->at);
        memset(f->before, 0, sizeof f->before);
        memset(&f->view, 0, sizeof f->view);
        f->spurious = f->disturbed = 0;
        f->timed = false;
        f->view.clock[t] = 1;
        x_enter(t, x_start);
    }
    x_starting = false;
    if (!x_failed) x_enter(-1, x_run);
    if (!x_failed && !x_cut) x_enter(-1, x_end);
}

/* All executions in one mode, or up to the first failure. */
X_QUIET bool x_fails(x_mode mode)
{
    x_memory = mode;
    x_length = x_fresh = 0;
    do {
        x_execute();
        x_count_execution();
    } while (!x_failed && x_advance());
    if (x_failed) x_print_failure();
    return x_failed;
}

#include "tests/explore/explore_memory.h"
#include "tests/explore/explore_report.h"

#endif
