/* The explorer itself: of each small program it must find the outcomes that are known to
   be possible, and no others, with the reduction and without; and it must find the bugs
   that are planted here. Otherwise it would mean nothing that it finds none elsewhere. */
#include "tests/explore/explore.h"

static x_word x, y;
static x_word seen[4];         /* what threads saw: 0 or 1 each                 */
static unsigned long outcomes; /* a bit for each number that the seen ones make */
static bool any_failed;

static void saw(int which, bool what) { seen[which] = what; }

static void setup(void)
{
    x = y = 0;
    memset(seen, 0, sizeof seen);
}

static void collect(void)
{
    outcomes |= 1ul << (seen[0] | seen[1] << 1 | seen[2] << 2 | seen[3] << 3);
}

static void report(bool good, const char *name, const char *what)
{
    any_failed |= !good;
    printf("%sok %s: %s\n", good ? "" : "not ", name, what);
    fflush(stdout);
}

// ----------------------------------------------------------------------------------
// Known outcomes
// ----------------------------------------------------------------------------------

/* The orders of the table's line. */
static x_order publishes, observes;

static void store_buffering(int id)
{
    x_store(id == 0 ? &x : &y, 1, publishes);
    saw(id, x_load(id == 0 ? &y : &x, observes) == 1);
}

static void load_buffering(int id)
{
    saw(id, x_load(id == 0 ? &x : &y, observes) == 1);
    x_store(id == 0 ? &y : &x, 1, publishes);
}

static void message(int id)
{
    if (id == 0) {
        x_store(&x, 1, X_RLX);
        x_store(&y, 1, publishes);
    } else {
        saw(0, x_load(&y, observes) == 1);
        saw(1, x_load(&x, X_RLX) == 1);
    }
}

/* The same by way of a compare-exchange that fails. */
static void message_of_failure(int id)
{
    x_word expected = 5;

    if (id == 0) {
        message(0);
    } else {
        x_cas(&y, &expected, 6, X_ACQ_REL, observes);
        saw(0, expected == 1);
        saw(1, x_load(&x, X_RLX) == 1);
    }
}

/* A third thread passes the message on with another store of its own. */
static void message_passed_on(int id)
{
    if (id == 0) {
        x_store(&x, 1, X_REL);
    } else if (id == 1) {
        if (x_load(&x, observes) == 1) x_store(&y, 1, publishes);
    } else {
        saw(0, x_load(&y, X_ACQ) == 1);
        saw(1, x_load(&x, X_RLX) == 1);
    }
}

/* A relaxed read-modify-write carries on the message of what it read. */
static void release_sequence(int id)
{
    if (id == 0) {
        message(0);
    } else if (id == 1) {
        x_add(&y, 1, X_RLX);
    } else {
        saw(0, x_load(&y, observes) == 2);
        saw(1, x_load(&x, X_RLX) == 1);
    }
}

/* One that releases does too, beside its own. */
static void release_sequences(int id)
{
    if (id == 1) x_add(&y, 1, X_REL);
    else release_sequence(id);
}

/* A relaxed store does not. */
static void broken_sequence(int id)
{
    if (id == 1) {
        if (x_load(&y, X_RLX) == 1) x_store(&y, 2, X_RLX);
    } else {
        release_sequence(id);
    }
}

static void coherence(int id)
{
    if (id == 0) {
        x_store(&x, 1, X_RLX);
    } else {
        saw(0, x_load(&x, X_RLX) == 1);
        saw(1, x_load(&x, X_RLX) == 1);
    }
}

/* Two writers, two readers who may disagree which was first. */
static void two_readers(int id)
{
    if (id < 2) {
        x_store(id == 0 ? &x : &y, 1, publishes);
    } else {
        int first = 2 * (id - 2);
        saw(first, x_load(id == 2 ? &x : &y, observes) == 1);
        saw(first + 1, x_load(id == 2 ? &y : &x, observes) == 1);
    }
}

static void two_swaps(int id)
{
    x_word expected = 0;
    saw(id, x_cas(&x, &expected, 1, X_ACQ_REL, X_ACQ));
}

static void two_loops(int id)
{
    x_word expected = 0;
    bool won;

    do {
        won = x_cas(&x, &expected, 1, X_ACQ_REL, X_ACQ);
    } while (!won && expected == 0);
    saw(id, won);
}

/* A swap may fail by reading an old value; it may not succeed so. */
static void swap_and_store(int id)
{
    x_word expected = 0;

    if (id == 0) {
        x_store(&x, 1, X_RLX);
        x_store(&y, 1, X_REL);
    } else {
        saw(0, x_load(&y, X_ACQ) == 1);
        saw(1, x_cas(&x, &expected, 2, X_RLX, X_RLX));
    }
}

/* A sleep with a deadline: woken, or not; and without one: woken, or too late to sleep. */
static void sleep_timed(int id)
{
    if (id == 0) {
        x_store(&x, 1, X_RLX);
        x_wake(&x, false);
    } else {
        saw(0, x_wait(&x, 0, true));
        saw(1, x_load(&x, X_RLX) == 1);
    }
}

static void sleep_on_and_on(int id)
{
    if (id == 0) {
        x_store(&x, 1, X_RLX);
        x_wake(&x, false);
    } else {
        saw(0, x_wait(&x, 0, false));
        saw(1, x_load(&x, X_RLX) == 1);
    }
}

/* One of two sleepers is woken; the other meets its deadline. */
static void wake_one_of_two(int id)
{
    if (id < 2) saw(id, x_wait(&x, 0, true));
    else x_wake(&x, false);
}

static void wake_both(int id)
{
    if (id < 2) saw(id, x_wait(&x, 0, true));
    else x_wake(&x, true);
}

/* Any one of two may stay asleep. */
static void leave_one_asleep(int id)
{
    if (id == 2) {
        x_store(&x, 1, X_RLX);
        x_wake(&x, false);
    } else {
        x_wait(&x, 0, false);
        saw(id, true);
    }
}

/* Who spins goes on when the word changes, not when something else does. */
static void spin_until(int id)
{
    if (id == 0) {
        x_store(&y, 1, X_RLX);
        x_store(&x, 1, X_RLX);
    } else {
        x_spin(&x, 0);
        saw(0, x_load(&x, X_RLX) == 1);
        saw(1, x_load(&y, X_RLX) == 1);
    }
}

/* Both adds count, whatever their order. */
static void two_adds(int id)
{
    (void)id;
    saw((int)x_add(&x, 1, X_RLX), true);
}

/* Of the seen values, from the first on, the sets of outcomes as bits: 0xd is all but
   "the first, without the second". */
static const struct litmus {
    const char *name;
    void (*thread)(int id);
    int threads, spurious;
    x_order publishes, observes;
    unsigned long sc, ra;
} litmus[] = {
    {"store buffering", store_buffering, 2, 0, X_REL, X_ACQ, 0xe, 0xf},
    {"load buffering, which is not modelled", load_buffering, 2, 0, X_RLX, X_RLX, 0x7, 0x7},
    {"message passing", message, 2, 0, X_REL, X_ACQ, 0xd, 0xd},
    {"message passing without release", message, 2, 0, X_RLX, X_ACQ, 0xd, 0xf},
    {"message passing without acquire", message, 2, 0, X_REL, X_RLX, 0xd, 0xf},
    {"message of a failed swap", message_of_failure, 2, 0, X_REL, X_ACQ, 0xd, 0xd},
    {"message of a failed swap without acquire", message_of_failure, 2, 0, X_REL, X_RLX, 0xd,
     0xf},
    {"message passed on", message_passed_on, 3, 0, X_REL, X_ACQ, 0xd, 0xd},
    {"message passed on by coherence", message_passed_on, 3, 0, X_REL, X_RLX, 0xd, 0xd},
    {"message passed on without release", message_passed_on, 3, 0, X_RLX, X_ACQ, 0xd, 0xf},
    {"release sequence", release_sequence, 3, 0, X_REL, X_ACQ, 0xd, 0xd},
    {"release sequences", release_sequences, 3, 0, X_REL, X_ACQ, 0xd, 0xd},
    {"broken release sequence", broken_sequence, 3, 0, X_REL, X_ACQ, 0xd, 0xf},
    {"coherence", coherence, 2, 0, X_RLX, X_RLX, 0xd, 0xd},
    {"two readers of two writers", two_readers, 4, 0, X_REL, X_ACQ, 0xffdf, 0xffff},
    {"one of two swaps", two_swaps, 2, 0, X_RLX, X_RLX, 0x6, 0x6},
    {"one of two weak swaps, or none", two_swaps, 2, 1, X_RLX, X_RLX, 0x7, 0x7},
    {"one of two loops of weak swaps", two_loops, 2, 2, X_RLX, X_RLX, 0x6, 0x6},
    {"a swap and a store", swap_and_store, 2, 0, X_RLX, X_RLX, 0x7, 0x7},
    {"two adds", two_adds, 2, 0, X_RLX, X_RLX, 0x8, 0x8},
    {"a sleep with a deadline", sleep_timed, 2, 0, X_RLX, X_RLX, 0xd, 0xf},
    {"a sleep without one", sleep_on_and_on, 2, 0, X_RLX, X_RLX, 0x8, 0xa},
    {"one of two sleepers", wake_one_of_two, 3, 0, X_RLX, X_RLX, 0x7, 0x7},
    {"both sleepers", wake_both, 3, 0, X_RLX, X_RLX, 0xf, 0xf},
    {"one of two stays asleep", leave_one_asleep, 3, 0, X_RLX, X_RLX, 0xe, 0xe},
    {"a thread that spins", spin_until, 2, 0, X_RLX, X_RLX, 0x8, 0xf},
};

static x_scenario scenario_of(const struct litmus *l)
{
    x_scenario scenario = {0};

    scenario.name = l->name;
    scenario.threads = l->threads;
    scenario.spurious = l->spurious;
    scenario.setup = setup;
    scenario.thread = l->thread;
    scenario.finish = collect;
    scenario.may_hang = true;
    publishes = l->publishes;
    observes = l->observes;
    return scenario;
}

/* Finds the outcomes in one mode, with the reduction and without. */
static void expect_outcomes(const struct litmus *l, x_mode mode, unsigned long expected)
{
    x_scenario scenario = scenario_of(l);
    unsigned long executions[2], found[2];
    char text[160];
    bool failed = false;
    int full;

    for (full = 0; full < 2; full++) {
        outcomes = 0;
        x_option.full = full == 1;
        failed |= x_search(&scenario, mode);
        found[full] = outcomes;
        executions[full] = x_found().executions;
    }
    x_option.full = false;
    snprintf(text, sizeof text,
             "outcomes %#lx in %lu executions, %#lx in all %lu, expected %#lx (%s)", found[0],
             executions[0], found[1], executions[1], expected, x_mode_name[mode]);
    report(!failed && found[0] == expected && found[1] == expected, l->name, text);
}

static void every_litmus(void)
{
    size_t i;

    for (i = 0; i < sizeof litmus / sizeof litmus[0]; i++) {
        expect_outcomes(&litmus[i], X_SC, litmus[i].sc);
        expect_outcomes(&litmus[i], X_RA, litmus[i].ra);
    }
}

// ----------------------------------------------------------------------------------
// Planted bugs, beside what is right
// ----------------------------------------------------------------------------------

static bool planted; /* the program has its bug */
static long payload; /* plain */

static void setup_planted(void)
{
    setup();
    payload = 0;
}

static void count_plainly(int id)
{
    x_word unlocked = 0;

    (void)id;
    if (!planted && !x_cas(&x, &unlocked, 1, X_ACQ, X_ACQ)) return;
    payload++;
    if (!planted) x_store(&x, 0, X_REL);
}

/* A lock, of which the other thread takes over what the first wrote. */
static void unlock_relaxed(int id)
{
    x_word unlocked = 0;

    (void)id;
    if (!x_cas(&x, &unlocked, 1, X_ACQ, X_ACQ)) return;
    payload++;
    x_store(&x, 0, planted ? X_RLX : X_REL);
}

static void hand_over(int id)
{
    if (id == 0) {
        payload = 7;
        x_store(&x, 1, X_REL);
    } else if (x_load(&x, planted ? X_RLX : X_ACQ) == 1) {
        x_check(payload == 7);
    }
}

static void hand_over_early(int id)
{
    if (id == 1) {
        if (x_load(&x, X_ACQ) == 1) x_check(payload == 7);
        return;
    }
    if (!planted) payload = 7;
    x_store(&x, 1, X_REL);
    if (planted) payload = 7;
}

/* Both the word and a plain read of it. */
static void peek(int id)
{
    if (id == 0) x_store(&x, 1, X_REL);
    else if (planted) payload = (long)x;
    else payload = (long)x_load(&x, X_ACQ);
}

/* x: done, y: somebody sleeps. Whoever looks first and then says that it sleeps is not
   woken by who completes in between. */
static void sleep_or_wake(int id)
{
    x_word none = 0;

    if (id == 0) {
        x_word was = x_exchange(&x, 1, X_ACQ_REL);
        if (was == 2) x_store(&y, 0, X_REL);
    } else if (planted) {
        if (x_load(&x, X_ACQ) != 0) return;
        x_store(&y, 1, X_RLX);
        x_store(&x, 2, X_REL);
    } else {
        x_store(&y, 1, X_RLX);
        if (!x_cas(&x, &none, 2, X_ACQ_REL, X_ACQ)) x_store(&y, 0, X_REL);
    }
}

static void somebody_woke(void) { x_check(y == 0); }

/* The same by two words that each one writes and then reads the other's: store buffering,
   which read-modify-writes rule out. */
static void each_looks(int id)
{
    x_word *own = id == 0 ? &x : &y, *other = id == 0 ? &y : &x;

    if (planted) x_store(own, 1, X_REL);
    else x_exchange(own, 1, X_ACQ_REL);
    saw(id, (planted ? x_load(other, X_ACQ) : x_add(other, 0, X_ACQ_REL)) == 1);
}

static void saw_it(void) { x_check(seen[1] == 1); }
static void one_saw(void) { x_check(seen[0] + seen[1] > 0); }

/* A freelist of three: head is {tag, index + 1}, of the bug without its tag. */
static x_word below[3], owner[3];

static void setup_list(void)
{
    setup();
    x = 1;
    below[0] = 2;
    below[1] = 3;
    below[2] = 0;
    memset(owner, 0, sizeof owner);
}

static x_word tagged(x_word old, x_word index)
{
    return planted ? index : ((old >> 8) + 1) << 8 | index;
}

static int pop(void)
{
    x_word head = x_load(&x, X_ACQ);

    while ((head & 255) != 0) {
        x_word next = x_load(&below[(head & 255) - 1], X_RLX);
        if (x_cas(&x, &head, tagged(head, next), X_ACQ_REL, X_ACQ)) {
            int index = (int)(head & 255) - 1;
            x_check(x_exchange(&owner[index], 1, X_RLX) == 0);
            return index;
        }
    }
    return -1;
}

static void push(int index)
{
    x_word head = x_load(&x, X_RLX);

    x_store(&owner[index], 0, X_RLX);
    do {
        x_store(&below[index], head & 255, X_RLX);
    } while (!x_cas(&x, &head, tagged(head, (x_word)index + 1), X_ACQ_REL, X_ACQ));
}

/* One takes two and gives the first back: a head like that before the second was gone. */
static void same_head(int id)
{
    int first = pop();

    if (id == 0) {
        pop();
    } else if (first >= 0 && pop() >= 0) {
        push(first);
    }
}

/* One of both must win; a weak swap that is not tried again may leave none. */
static void swap_once(int id)
{
    if (planted) two_swaps(id);
    else two_loops(id);
}

static void spin(int id)
{
    if (id == 0) x_store(&x, 1, X_REL);
    while (planted && x_load(&x, X_ACQ) != 2) {}
}

/* Reads and adds in two steps: two that read the same, which no order of calls has. */
static void take_ticket(int id)
{
    x_word ticket;

    (void)id;
    x_call();
    if (planted) {
        ticket = x_load(&x, X_ACQ);
        x_store(&x, ticket + 1, X_REL);
    } else {
        ticket = x_add(&x, 1, X_ACQ_REL);
    }
    x_note("ticket", (long)ticket);
}

/* Who waits takes a look between reading the count and sleeping on it: what comes in
   between shows in the count. Of the bug it looks first. */
static void count_events(int id)
{
    x_word count = 0;

    if (id == 0) {
        payload = 7;
        x_store(&x, 1, X_REL);
        x_add(&y, 1, X_REL);
        x_wake(&y, true);
        return;
    }
    while (x_load(&x, X_ACQ) == 0) {
        if (planted) {
            count = x_load(&y, X_ACQ);
        } else if (x_load(&x, X_ACQ) != 0) {
            break;
        }
        x_wait(&y, count, false);
        count = x_load(&y, X_ACQ);
    }
    x_check(payload == 7);
}

/* The word to sleep on is the one that says why: else a wake in between is lost. */
static void look_once(int id)
{
    if (id == 0) {
        x_store(&x, 1, X_REL);
        x_wake(planted ? &y : &x, true);
    } else if (planted) {
        if (x_load(&x, X_ACQ) == 0) x_wait(&y, 0, false);
    } else {
        x_wait(&x, 0, false);
    }
}

/* A lock that sleeps: 0 free, 1 held, 2 held and somebody sleeps. */
static void lock_asleep(bool awoken_is_last)
{
    x_word unlocked = 0;

    if (x_cas(&x, &unlocked, 1, X_ACQ, X_ACQ)) return;
    while (x_exchange(&x, 2, X_ACQ) != 0) {
        x_wait(&x, 2, false);
        if (awoken_is_last && x_cas(&x, (x_word[]){0}, 1, X_ACQ, X_ACQ)) return;
    }
}

static void lock_and_wake(int id)
{
    (void)id;
    lock_asleep(false);
    payload++;
    if (x_exchange(&x, 0, X_REL) == 2 && !planted) x_wake(&x, false);
}

/* Who was woken says that no other sleeps. */
static void lock_of_three(int id)
{
    (void)id;
    lock_asleep(planted);
    payload++;
    if (x_exchange(&x, 0, X_REL) == 2) x_wake(&x, false);
}

/* Works only as long as no sleep ends for no reason. */
static void sleep_once(int id)
{
    if (id == 0) {
        x_store(&x, 1, X_REL);
        x_wake(&x, true);
        return;
    }
    if (planted) {
        x_wait(&x, 0, false);
    } else {
        while (x_load(&x, X_ACQ) == 0) x_wait(&x, 0, false);
    }
    saw(1, x_load(&x, X_ACQ) == 1);
}

/* Awake, and yet the news may not have come: a sleep that ends orders nothing. */
static void trust_the_wake(int id)
{
    if (id == 0) {
        payload = 7;
        x_store(&x, 1, X_REL);
        x_wake(&x, true);
        return;
    }
    x_wait(&x, 0, false);
    if (planted || x_load(&x, X_ACQ) == 1) x_check(payload == 7);
}

static const struct bug {
    const char *name, *says;
    x_mode mode; /* the first one that shows it */
    void (*setup)(void);
    void (*thread)(int id);
    void (*finish)(void);
    int spurious;
    bool linear;
    int threads, disturbed;
} bugs[] = {
    {"no lock", "data race: a plain", X_SC, setup_planted, count_plainly, NULL, 0, false, 2, 0},
    {"unlocked without release", "data race", X_SC, setup_planted, unlock_relaxed, NULL, 0,
     false, 2, 0},
    {"handed over without acquire", "data race", X_SC, setup_planted, hand_over, NULL, 0,
     false, 2, 0},
    {"handed over before it is written", "data race", X_SC, setup_planted, hand_over_early,
     NULL, 0, false, 2, 0},
    {"a plain read of an atomic word", "data race", X_SC, setup_planted, peek, NULL, 0,
     false, 2, 0},
    {"lost wake-up", "y == 0", X_SC, setup, sleep_or_wake, somebody_woke, 0, false, 2, 0},
    {"each looks before the other's store arrives", "seen[0]", X_RA, setup, each_looks,
     one_saw, 0, false, 2, 0},
    {"the same head again", "owner", X_SC, setup_list, same_head, NULL, 0, false, 2, 0},
    {"a weak swap taken for a strong one", "seen[0]", X_SC, setup, swap_once, one_saw, 1,
     false, 2, 0},
    {"spinning", "does not end", X_SC, setup, spin, NULL, 0, false, 2, 0},
    {"tickets in two steps", "no sequential order", X_SC, setup, take_ticket, NULL, 0, true, 2, 0},
    {"counts events, and looks first", "all sleep", X_SC, setup_planted, count_events, NULL, 0,
     false, 2, 0},
    {"looks once, then sleeps", "all sleep", X_SC, setup, look_once, NULL, 0, false, 2, 0},
    {"unlocks without a wake", "all sleep", X_SC, setup_planted, lock_and_wake, NULL, 0,
     false, 2, 0},
    {"woken, says that no other sleeps", "all sleep", X_SC, setup_planted, lock_of_three,
     NULL, 0, false, 3, 0},
    {"sleeps once", "seen[1]", X_SC, setup, sleep_once, saw_it, 0, false, 2, 1},
    {"takes being woken for news", "data race", X_SC, setup_planted, trust_the_wake, NULL, 0,
     false, 2, 0},
};

static bool search_both(const x_scenario *scenario, x_mode mode)
{
    return (scenario->linear && x_search(scenario, X_SEQ)) || x_search(scenario, mode);
}

/* Found with its bug, by the id too, in that mode and not in a stronger one; not found
   without it. */
static void expect_bug(const struct bug *b)
{
    x_scenario scenario = {0};
    x_summary found;
    char text[640];
    bool good;

    scenario.name = b->name;
    scenario.threads = b->threads;
    scenario.spurious = b->spurious;
    scenario.disturbed = b->disturbed;
    scenario.setup = b->setup;
    scenario.thread = b->thread;
    scenario.finish = b->finish;
    scenario.linear = b->linear;
    planted = false;
    good = !search_both(&scenario, X_SC) && !search_both(&scenario, X_RA);
    planted = true;
    good = good && (b->mode == X_SC || !search_both(&scenario, X_SC));
    good = good && search_both(&scenario, b->mode) && strstr(x_message, b->says) != NULL;
    found = x_found();
    snprintf(text, sizeof text, "execution %lu (%s): %s", found.executions,
             x_mode_name[b->mode], x_message);
    good = good && x_repeat(&scenario, found.id) && strstr(x_message, b->says) != NULL;
    report(good, b->name, text);
}

static void every_bug(void)
{
    size_t i;

    for (i = 0; i < sizeof bugs / sizeof bugs[0]; i++) expect_bug(&bugs[i]);
}

// ----------------------------------------------------------------------------------
// The reduction
// ----------------------------------------------------------------------------------

static void own_words(int id)
{
    x_store(&seen[id], 1, X_REL);
    x_add(&seen[id], 1, X_ACQ_REL);
}

static void one_word(int id) { x_store(&x, (x_word)id, X_RLX); }
static void only_loads(int id) { saw(id, x_load(&x, X_ACQ) == 1); }

/* Of orders that come to the same one is enough. */
static void expect_executions(const char *name, void (*thread)(int id), unsigned long count)
{
    x_scenario scenario = {0};
    char text[80];
    x_mode mode;

    scenario.name = name;
    scenario.threads = 3;
    scenario.setup = setup;
    scenario.thread = thread;
    for (mode = X_SC; mode <= X_RA; mode++) {
        bool failed = x_search(&scenario, mode);
        unsigned long executions = x_found().executions;
        snprintf(text, sizeof text, "%lu executions of %lu (%s)", executions, count,
                 x_mode_name[mode]);
        report(!failed && executions == count, name, text);
    }
}

/* To see both stores takes a switch after each of the first three steps. */
static void step_by_step(int id)
{
    if (id == 0) {
        x_store(&x, 1, X_RLX);
        x_store(&x, 2, X_RLX);
    } else {
        saw(0, x_load(&x, X_RLX) == 1);
        saw(1, x_load(&x, X_RLX) == 2);
    }
}

/* A bound leaves out what needs more preemptions, and nothing else. */
static void expect_within_bound(int bound, unsigned long expected)
{
    x_scenario scenario = {0};
    char text[80];
    bool failed;

    scenario.name = "step by step";
    scenario.threads = 2;
    scenario.setup = setup;
    scenario.thread = step_by_step;
    scenario.finish = collect;
    scenario.bound = scenario.long_bound = bound;
    outcomes = 0;
    failed = x_search(&scenario, X_SC);
    snprintf(text, sizeof text, "outcomes %#lx, expected %#lx (SC, bound %d)", outcomes,
             expected, bound);
    report(!failed && outcomes == expected, scenario.name, text);
}

/* Programs drawn at random: up to three operations of three threads on two words. */
typedef enum act { LOAD, STORE, SWAP, ADD, CAS, WAIT, TIMED, WAKE, WAKE_ALL, SPIN, ACTS } act;
static struct {
    act what;
    x_word *word, value;
    x_order order;
} drawn[3][3];
static int lengths[3];

static unsigned draw(unsigned limit)
{
    static uint64_t state = 88172645463325252u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % limit;
}

static void draw_program(act acts)
{
    int t, i;

    for (t = 0; t < 3; t++) {
        lengths[t] = 1 + (int)draw(3);
        for (i = 0; i < lengths[t]; i++) {
            drawn[t][i].what = (act)draw(acts);
            drawn[t][i].word = draw(2) == 0 ? &x : &y;
            drawn[t][i].value = 1 + draw(2);
            drawn[t][i].order = (x_order)draw(4);
        }
    }
}

static void act_it(int id)
{
    int i;

    for (i = 0; i < lengths[id]; i++) {
        x_word *word = drawn[id][i].word, value = drawn[id][i].value, old = value - 1;
        x_order order = drawn[id][i].order;
        bool swapped = false;
        switch (drawn[id][i].what) {
        case LOAD: old = x_load(word, order); break;
        case STORE: x_store(word, value, order); break;
        case SWAP: old = x_exchange(word, value, order); break;
        case ADD: old = x_add(word, value, order); break;
        case CAS: swapped = x_cas(word, &old, value + 1, order, order & X_ACQ); break;
        case WAIT: swapped = x_wait(word, old, false); break;
        case TIMED: swapped = x_wait(word, old, true); break;
        case WAKE: x_wake(word, false); break;
        case WAKE_ALL: x_wake(word, true); break;
        case SPIN: x_spin(word, old); break;
        case ACTS: break;
        }
        x_note("saw", (long)(old << 1 | swapped));
    }
}

static void note_words(void)
{
    x_note("x", (long)x);
    x_note("y", (long)y);
}

/* The reduction must find every outcome, and no other. */
static void every_drawn(const char *name, act acts, int programs)
{
    unsigned long reduced = 0, full = 0;
    x_scenario scenario = {0};
    char text[120];
    int i, bad = 0;
    x_mode mode;

    scenario.name = name;
    scenario.may_hang = true;
    scenario.threads = 3;
    scenario.setup = setup;
    scenario.thread = act_it;
    scenario.finish = note_words;
    for (i = 0; i < programs; i++) {
        draw_program(acts);
        scenario.spurious = i % 2;
        scenario.disturbed = i / 2 % 2;
        for (mode = X_SC; mode <= X_RA; mode++) {
            x_summary a, b;
            bad += x_search(&scenario, mode);
            a = x_found();
            x_option.full = true;
            bad += x_search(&scenario, mode);
            x_option.full = false;
            b = x_found();
            bad += a.outcomes != b.outcomes || a.digest != b.digest;
            reduced += a.executions;
            full += b.executions;
        }
    }
    snprintf(text, sizeof text, "%d of %d differ; %lu executions for %lu", bad, programs,
             reduced, full);
    report(bad == 0 && reduced < full, scenario.name, text);
}

int main(int argc, char **argv)
{
    x_options(argc, argv);
    every_litmus();
    every_bug();
    expect_executions("threads with words of their own", own_words, 1);
    expect_executions("three stores to one word", one_word, 6);
    expect_executions("loads of one word", only_loads, 1);
    expect_within_bound(1, 0x7);
    expect_within_bound(2, 0xf);
    expect_within_bound(0, 0xf);
    every_drawn("programs drawn at random", WAIT, x_option.longer ? 2000 : 100);
    every_drawn("with sleep", ACTS, x_option.longer ? 2000 : 100);
    return any_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
