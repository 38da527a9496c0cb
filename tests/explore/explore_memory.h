/* The memory of explore.h: stores and who may read them, and the watch over data races.
   Part of explore.h. */

// ----------------------------------------------------------------------------------
// Words
// ----------------------------------------------------------------------------------

/* The last accesses of each thread to a word of memory. */
typedef enum x_access { X_READ, X_WRITE, X_ATOMIC_READ, X_ATOMIC_WRITE } x_access;
typedef struct x_cell {
    unsigned long execution;
    uintptr_t word;
    int location;     /* -1: never atomic */
    unsigned threads; /* that were here   */
    unsigned short last[4][X_THREADS];
} x_cell;

enum { X_CELLS = 2048 };

static x_cell x_cells[X_CELLS];
static x_view x_messages[X_STEPS + 1]; /* [0] is none */
static int x_cell_count, x_message_count;

void x_forget_memory(void) { x_location_count = x_message_count = x_cell_count = 0; }

X_QUIET const char *x_place(uintptr_t word, char *text, size_t size, x_writer *writer);

/* The cell of the word that p lies in, found by hashing; cells of older executions are
   empty. */
X_QUIET x_cell *x_find(const void *p)
{
    uintptr_t word = (uintptr_t)p & ~(uintptr_t)7;
    size_t i = (size_t)(word >> 3) * 0x9e3779b1u >> 7;

    for (;; i++) {
        x_cell *cell = &x_cells[i % X_CELLS];
        if (cell->execution == x_execution && cell->word == word) return cell;
        if (cell->execution == x_execution) continue;
        if (x_cell_count++ == X_CELLS / 2) x_fail("too many words");
        cell->execution = x_execution;
        cell->word = word;
        cell->location = -1;
        cell->threads = 0;
        memset(cell->last, 0, sizeof cell->last);
        return cell;
    }
}

/* An access races with an earlier one of another thread that its own thread does not
   know of. */
X_QUIET void x_touch(x_cell *cell, x_access access)
{
    static const char *const name[] = {"a plain read", "a plain write", "an atomic read",
                                       "an atomic write"};
    static const unsigned char against[] = {10, 15, 2, 3}; /* sets of x_access */
    const unsigned short *clock = x_fibers[x_now].view.clock;
    bool alone = (cell->threads |= 1u << x_now) == 1u << x_now;
    int other, t;

    for (other = X_READ; other <= X_ATOMIC_WRITE; other++) {
        if (alone || x_at < x_fresh) break;
        if ((against[access] >> other & 1) == 0) continue;
        for (t = 0; t < x_scene->threads; t++) {
            char place[64];
            x_writer writer;
            if (t == x_now || cell->last[other][t] <= clock[t]) continue;
            x_place(cell->word, place, sizeof place, &writer);
            x_fail("data race: %s by thread %d, %s by thread %d, of %s", name[other], t,
                   name[access], x_now, place);
        }
    }
    cell->last[access][x_now] = clock[x_now];
}

/* A plain access that the compiler reports. Fibers do not share their stacks. */
X_QUIET void x_plain(const void *p, size_t size, x_access access)
{
    uintptr_t word = (uintptr_t)p & ~(uintptr_t)7;

    if (x_now < 0 || x_memory == X_SEQ) return;
    if ((uintptr_t)p - (uintptr_t)x_stacks < sizeof x_stacks) return;
    for (; word < (uintptr_t)p + size; word += 8) {
        x_touch(x_find((const void *)word), access);
    }
}

// ----------------------------------------------------------------------------------
// Stores and messages
// ----------------------------------------------------------------------------------

/* Outside of threads, and inside of calls that nothing interrupts. */
X_QUIET bool x_is_plain(void) { return x_now < 0 || x_memory == X_SEQ; }

X_QUIET x_location *x_locate(const x_word *p)
{
    x_cell *cell = x_find(p);
    x_location *l;

    if (cell->location >= 0) return &x_locations[cell->location];
    if (x_location_count == X_LOCATIONS) x_fail("too many locations");
    cell->location = x_location_count++;
    l = &x_locations[cell->location];
    memset(l, 0, offsetof(x_location, store));
    l->address = (x_word *)(uintptr_t)p;
    l->stores = 1;
    l->store[0].value = *p;
    l->store[0].message = l->store[0].wrote = 0;
    return l;
}

X_QUIET void x_append(x_location *l, x_word value, int message)
{
    l->store[l->stores].value = value;
    l->store[l->stores].wrote = 0;
    l->store[l->stores++].message = message;
}

/* Waits for its turn; then the step is the caller's to do. A plain write in between is a
   store that all know: that they do is what the watch over races checks. */
X_QUIET x_location *x_turn(const x_word *p, bool writes, const char *what)
{
    x_location *l = x_locate(p);
    x_step *s;

    x_yield((int)(l - x_locations), writes);
    s = &x_steps[x_at];
    s->location = (int)(l - x_locations);
    s->what = what;
    s->loaded = s->stored = s->swap = s->spurious = s->parking = false;
    s->choices = 1;
    s->age = 0;
    if (l->stores > X_STORES - 2) x_fail("too many stores");
    if (*p != l->store[l->stores - 1].value) {
        l->lowest = l->stores;
        x_append(l, *p, 0);
    }
    return l;
}

X_QUIET void x_learn(x_view *to, const x_view *from)
{
    int i;

    for (i = 0; i < x_location_count; i++) {
        if (from->seen[i] > to->seen[i]) to->seen[i] = from->seen[i];
    }
    for (i = 0; i < X_THREADS; i++) {
        if (from->clock[i] > to->clock[i]) to->clock[i] = from->clock[i];
    }
}

/* The oldest store that the running thread may read. */
X_QUIET int x_oldest(const x_location *l, const x_step *s)
{
    int oldest = x_fibers[x_now].view.seen[s->location];

    if (x_memory == X_SC) return l->stores - 1;
    if (x_bound != 0 && s->preemptions >= x_bound) return l->stores - 1;
    if (oldest < l->lowest) oldest = l->lowest;
    return oldest < s->unread[x_now] ? s->unread[x_now] : oldest;
}

/* Reads one of the stores that are left to read, and returns its message. Of those that
   a compare-exchange expects, it can replace the newest alone; reading any it can fail
   for no reason, if it still may. */
X_QUIET int x_read(x_location *l, const x_word *expected)
{
    x_step *s = &x_steps[x_at];
    x_fiber *self = &x_fibers[x_now];
    bool weak = self->spurious < x_scene->spurious;
    int newest = l->stores - 1, oldest = x_oldest(l, s), i, chosen = newest;

    s->choices = 0;
    for (i = newest; i >= oldest; i--) {
        bool equal = expected != NULL && l->store[i].value == *expected;
        if ((!equal || i == newest) && s->choices++ == s->choice) chosen = i;
        if (equal && weak && s->choices++ == s->choice) {
            s->spurious = true;
            chosen = i;
        }
    }
    if (s->choice >= s->choices) x_fail("the replay takes another course");
    self->spurious += s->spurious;
    s->age = newest - chosen;
    s->preemptions += s->age > 0;
    s->loaded = true;
    s->was = l->store[chosen].value;
    self->view.seen[s->location] = (unsigned char)chosen;
    return l->store[chosen].message;
}

X_QUIET void x_acquire(int message)
{
    if (message != 0) x_learn(&x_fibers[x_now].view, &x_messages[message]);
}

/* The new store carries the writer's view if it releases, and what it carries on. */
X_QUIET void x_write(x_location *l, x_word value, x_order order, int carried)
{
    x_step *s = &x_steps[x_at];
    x_view *view = &x_fibers[x_now].view;

    s->stored = true;
    s->is = *l->address = value;
    view->seen[s->location] = (unsigned char)l->stores;
    if ((order & X_REL) != 0) {
        x_messages[++x_message_count] = *view;
        if (carried != 0) x_learn(&x_messages[x_message_count], &x_messages[carried]);
        carried = x_message_count;
    }
    x_append(l, value, carried);
}

/* Plain accesses from here on are later than what this step released. Who spins on the
   word goes on if it changed. */
X_QUIET void x_finish_step(x_location *l)
{
    x_step *s = &x_steps[x_at];
    int t;

    x_touch(x_find(l->address), s->stored ? X_ATOMIC_WRITE : X_ATOMIC_READ);
    x_fibers[x_now].view.clock[x_now]++;
    x_done(s, l);
    for (t = 0; t < x_scene->threads && s->stored; t++) {
        const x_fiber *f = &x_fibers[t];
        if ((x_parked >> t & 1) == 0 || !f->spins || f->sleeps_on != l->address) continue;
        if (f->value != s->is) x_unpark(t);
    }
}

// ----------------------------------------------------------------------------------
// Operations
// ----------------------------------------------------------------------------------

x_word x_load(const x_word *p, x_order order)
{
    x_location *l;
    x_word value;
    int message;

    if (x_is_plain()) return *p;
    l = x_turn(p, false, (order & X_ACQ) != 0 ? "load acquire" : "load");
    message = x_read(l, NULL);
    value = x_steps[x_at].was;
    if ((order & X_ACQ) != 0) x_acquire(message);
    x_finish_step(l);
    return value;
}

void x_store(x_word *p, x_word value, x_order order)
{
    x_location *l;

    if (x_is_plain()) {
        *p = value;
        return;
    }
    l = x_turn(p, true, (order & X_REL) != 0 ? "store release" : "store");
    x_write(l, value, order, 0);
    x_finish_step(l);
}

bool x_cas(x_word *p, x_word *expected, x_word value, x_order order, x_order failure)
{
    x_word old;
    x_location *l;
    bool equal;
    int message;

    if (x_is_plain()) {
        old = *p;
        equal = old == *expected;
        if (equal) *p = value;
        *expected = old;
        return equal;
    }
    l = x_turn(p, true, "compare-swap");
    x_steps[x_at].swap = true;
    message = x_read(l, expected);
    old = x_steps[x_at].was;
    equal = old == *expected && !x_steps[x_at].spurious;
    if (((equal ? order : failure) & X_ACQ) != 0) x_acquire(message);
    if (equal) x_write(l, value, order, message);
    x_finish_step(l);
    *expected = old;
    return equal;
}

/* A read-modify-write without condition: the newest value times keep, plus value. */
X_QUIET x_word x_modify(x_word *p, x_word keep, x_word value, x_order order,
                        const char *what)
{
    x_word old;
    x_location *l;
    int message;

    if (x_is_plain()) {
        old = *p;
        *p = old * keep + value;
        return old;
    }
    l = x_turn(p, true, what);
    old = x_steps[x_at].was = l->store[l->stores - 1].value;
    message = l->store[l->stores - 1].message;
    x_steps[x_at].loaded = true;
    if ((order & X_ACQ) != 0) x_acquire(message);
    x_write(l, old * keep + value, order, message);
    x_finish_step(l);
    return old;
}

x_word x_exchange(x_word *p, x_word value, x_order order)
{
    return x_modify(p, 0, value, order, "swap");
}

x_word x_add(x_word *p, x_word value, x_order order)
{
    return x_modify(p, 1, value, order, "add");
}

// ----------------------------------------------------------------------------------
// Sleep
// ----------------------------------------------------------------------------------

/* The turn of a wait or a wake: its place in the order of the word's changes, and what the
   word is there. Not an access: a wake knows the address only. */
X_QUIET x_location *x_park_turn(const x_word *p, const char *what)
{
    x_location *l = x_turn(p, true, what);
    x_step *s = &x_steps[x_at];
    int newest = l->stores - 1;

    s->parking = s->loaded = true;
    s->was = l->store[newest].value;
    x_write(l, s->was, X_RLX, l->store[newest].message);
    return l;
}

/* Sleeps; false if the deadline came. The awakening is a step. */
X_QUIET bool x_park(const x_word *p, x_word value, bool spins, bool timed)
{
    x_fiber *self = &x_fibers[x_now];
    bool expired;
    x_step *s;

    self->sleeps_on = p;
    self->value = value;
    self->spins = spins;
    self->timed = timed;
    x_parked |= 1u << x_now;
    x_yield(-1, false);
    s = &x_steps[x_at];
    expired = self->timed;
    self->timed = false;
    s->what = expired ? "expires" : "wakes up";
    s->location = -1;
    s->loaded = s->stored = s->swap = s->spurious = s->parking = false;
    s->choices = 1;
    s->age = 0;
    x_done(s, NULL);
    return !expired;
}

/* Who falls asleep may be disturbed, or meet the deadline, at once: that is as if later. */
X_QUIET bool x_sleep_on(x_word *p, x_word value, bool spins, bool timed)
{
    x_fiber *self = &x_fibers[x_now];
    x_location *l = x_park_turn(p, spins ? "spin, goes on" : "wait, returns");
    x_step *s = &x_steps[x_at];
    bool sleeps = s->was == value, expires;

    s->choices = 1 + (sleeps && timed) +
                 (sleeps && self->disturbed < x_scene->disturbed);
    if (s->choice >= s->choices) x_fail("the replay takes another course");
    expires = timed && s->choice == 1;
    s->spurious = s->choice > 0 && !expires;
    self->disturbed += s->spurious;
    sleeps = sleeps && s->choice == 0;
    if (sleeps) s->what = spins ? "spins" : "wait, sleeps";
    if (expires) s->what = "wait, expires";
    x_touch(x_find(p), X_ATOMIC_READ);
    self->view.clock[x_now]++;
    x_done(s, l);
    return sleeps ? x_park(p, value, spins, timed) : !expires;
}

bool x_wait(x_word *p, x_word value, bool timed)
{
    if (!x_is_plain()) return x_sleep_on(p, value, false, timed);
    if (*p == value && !timed) x_fail("sleeps where nothing can wake");
    return *p != value;
}

void x_spin(x_word *p, x_word value) { x_sleep_on(p, value, true, false); }

/* Wakes any one of the sleepers, or all. */
void x_wake(x_word *p, bool all)
{
    unsigned sleepers = 0;
    x_location *l;
    x_step *s;
    int t, n = 0;

    if (x_is_plain()) return;
    l = x_park_turn(p, all ? "wake all" : "wake one");
    s = &x_steps[x_at];
    for (t = 0; t < x_scene->threads; t++) {
        const x_fiber *f = &x_fibers[t];
        if ((x_parked >> t & 1) != 0 && !f->spins && f->sleeps_on == p) sleepers |= 1u << t;
    }
    s->choices = all || sleepers == 0 ? 1 : __builtin_popcount(sleepers);
    if (s->choice >= s->choices) x_fail("the replay takes another course");
    n = s->choice;
    x_done(s, l);
    for (t = 0; t < x_scene->threads; t++) {
        if ((sleepers >> t & 1) != 0 && (all || n-- == 0)) x_unpark(t);
    }
}

// ----------------------------------------------------------------------------------
// What -fsanitize=thread calls
// ----------------------------------------------------------------------------------

#define X_HOOK(type, name, ...)                                                        \
    type name(__VA_ARGS__);                                                            \
    __attribute__((no_sanitize("thread"))) type name(__VA_ARGS__)
#define X_HOOKS(n)                                                                     \
    X_HOOK(void, __tsan_read##n, void *p) { x_plain(p, n, X_READ); }                   \
    X_HOOK(void, __tsan_write##n, void *p) { x_plain(p, n, X_WRITE); }                 \
    X_HOOK(void, __tsan_unaligned_read##n, void *p) { x_plain(p, n, X_READ); }         \
    X_HOOK(void, __tsan_unaligned_write##n, void *p) { x_plain(p, n, X_WRITE); }
X_HOOKS(1)
X_HOOKS(2)
X_HOOKS(4)
X_HOOKS(8)
X_HOOKS(16)
X_HOOK(void, __tsan_read_range, void *p, size_t size) { x_plain(p, size, X_READ); }
X_HOOK(void, __tsan_write_range, void *p, size_t size) { x_plain(p, size, X_WRITE); }
X_HOOK(void, __tsan_init, void) {}
X_HOOK(void, __tsan_func_entry, void *p) { (void)p; }
X_HOOK(void, __tsan_func_exit, void *p) { (void)p; }
X_HOOK(void *, __tsan_memset, void *p, int value, size_t size)
{
    x_plain(p, size, X_WRITE);
    return memset(p, value, size);
}
X_HOOK(void *, __tsan_memcpy, void *to, const void *from, size_t size)
{
    x_plain(from, size, X_READ);
    x_plain(to, size, X_WRITE);
    return memcpy(to, from, size);
}
