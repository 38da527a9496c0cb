/* Contracts of vts_pool over storage, and of a pooled source whose word is any word. The
   pool is laid out here field by field, as vts_pool_init and the first gets leave it: the
   word-wise clearing that those do would cost CBMC the values of all fields. unwind: 5 */
/* unreachable: vts__forget_run vts__run_queue_post vts__late_run vts__source_run
   unreachable: vts__trampoline_drain vts__thread_exits vts__malloc vts__free
   unreachable: vts__thread_ask vts__need_chunk vts__chain */
#include "contract.h"

#define ITEMS 2
#define CALLS 2

/* Modulo 2^64; strides are 40 and 88 bytes. */
#define INVERSE_OF_5 0xcccccccccccccccdu
#define INVERSE_OF_11 0x2e8ba2e8ba2e8ba3u

typedef struct item {
    vts_word content[2];
} item;

static struct {
    item item;
    vts_pool_slot slot;
} items[ITEMS];
static struct {
    vts_source item;
    vts_pool_slot slot;
} sources[1];
static vts_pool pool;

/* Items carved: fresh, none of them free yet. */
static void a_pool(void *storage, size_t item_size, vts_word fresh)
{
    vts_set_misuse_hook(on_misuse, NULL);
    pool.item_size = pool.slot_offset = item_size;
    pool.stride = item_size + sizeof(vts_pool_slot);
    pool.stride_shift = 3;
    pool.inverse = item_size == sizeof(item) ? INVERSE_OF_5 : INVERSE_OF_11;
    pool.chunk[0] = (vts_word)(uintptr_t)storage;
    pool.caches = &vts__no_cache;
    pool.capacity = ITEMS;
    pool.fresh = fresh;
    pool.first_shift = 31;
}

static void slot_is_out(vts_pool_slot *slot, vts_word index)
{
    slot->link = index;
    slot->next = (vts_word)(uintptr_t)slot;
}

/* ---- get and put: every sequence of calls on a pool of two ---- */

static struct {
    item *out[ITEMS];
    int count;
} held;

static item *item_at(int i) { return &items[i].item; }

static void a_plain_pool(void)
{
    a_pool(items, sizeof(item), ITEMS);
    pool.plain = true;
    for (int i = 0; i < ITEMS; i++) {
        slot_is_out(&items[i].slot, (vts_word)i);
        held.out[i] = item_at(i);
    }
    held.count = ITEMS;
}

static bool is_out(const item *one) { return held.out[0] == one || held.out[1] == one; }

static void get_one(void)
{
    item *got = (item *)vts_pool_get(&pool);

    check((got == NULL) == (held.count == ITEMS));
    if (got == NULL) return;
    check(got == item_at(0) || got == item_at(1));
    check(!is_out(got));
    held.out[got == item_at(1)] = got;
    held.count++;
}

static void put_one(int i)
{
    bool out = held.out[i] != NULL;
    int misuses = heard.misuses;

    check(vts_pool_put(&pool, item_at(i)) == (out ? VTS_OK : VTS_E_DOUBLE_RETURN));
    check(heard.misuses == misuses + (out ? 0 : 1));
    if (out) held.count--;
    held.out[i] = NULL;
}

/* Each choice a branch of its own to the end, so that CBMC knows where pointers point. */
static void calls(int left)
{
    check(vts_pool_outstanding(&pool) == (size_t)held.count);
    if (left == 0) return;
    if (nondet_bool()) {
        get_one();
        calls(left - 1);
    } else if (nondet_bool()) {
        put_one(0);
        calls(left - 1);
    } else {
        put_one(1);
        calls(left - 1);
    }
}

CONTRACT(get_put)
{
    a_plain_pool();
    calls(CALLS);
}

/* Any address but those of the items is refused, unread. */
CONTRACT(put_foreign)
{
    void *address = nondet_pointer();

    a_plain_pool();
    assume(address != item_at(0) && address != item_at(1) && address != NULL);
    check(vts_pool_put(&pool, address) == VTS_E_FOREIGN);
    check_report(VTS_E_FOREIGN);
    check(vts_pool_outstanding(&pool) == ITEMS);
    check(vts_pool_put(&pool, NULL) == VTS_E_ARGUMENT);
    check(vts_pool_put(NULL, item_at(0)) == VTS_E_ARGUMENT);
    check(vts_pool_get(NULL) == NULL && heard.misuses == 1);
}

/* ---- a pooled source ---- */

static vts_source *rented;

static void a_source_pool(void)
{
    a_pool(sources, sizeof(vts_source), 1);
    vts__fill_ops(&pool.ops, NULL);
    pool.ops.get_result = vts__pooled_get_result;
    pool.value_offset = offsetof(vts_source, result);
    pool.value_size = sizeof(vts_word);
    pool.source = true;
    pool.capacity = 1;
    slot_is_out(&sources[0].slot, 0);
    rented = &sources[0].item;
    rented->base.ops = &pool.ops;
}

/* Rented from its pool, its word any word, its token any token. */
static void a_pooled_world(void)
{
    a_source_pool();
    ambient = vts__self.context;
    rented->word = source.word = nondet_word();
    rented->result = source.result = nondet_word();
    assume_stored_error();
    before = source;
    token = nondet_word();
}

static bool is_home(void) { return vts_pool_outstanding(&pool) == 0; }

static void check_untouched(void)
{
    check(rented->word == before.word && rented->result == before.result);
    check(!is_home() && ran_nothing());
}

/* The result was taken: home, or pinned until whoever pins it lets go. */
static void check_taken(void)
{
    check(rented->result == before.result && ran_nothing() && heard.misuses == 0);
    if (is_pinned(before.word)) {
        check(rented->word == with_phase(before.word, CONSUMED) && !is_home());
        return;
    }
    check(rented->word == token && is_home());
}

static int taking_code(void)
{
    if (!is_current(before.word, token)) return VTS_E_STALE;
    if (is_open(before.word)) return VTS_E_NOT_COMPLETED;
    return phase_of(before.word) == SUCCEEDED ? VTS_OK : (int)(intptr_t)before.result;
}

CONTRACT(pooled_get_result)
{
    intptr_t was = (intptr_t)nondet_word(), result = was;
    bool asked = nondet_bool();

    a_pooled_world();
    int code = vts_source_get_result(rented, token, asked ? &result : NULL);
    check(code == taking_code());
    check(result == (code == VTS_OK && asked ? (intptr_t)before.result : was));
    if (is_current(before.word, token) && is_done(before.word)) {
        check_taken();
    } else {
        check_untouched();
        check_report(code);
    }
}

CONTRACT(pooled_forget)
{
    a_pooled_world();
    int code = vts_valuetask_forget(vts_valuetask_of(rented, token));
    bool current = is_current(before.word, token);
    if (current && is_done(before.word)) {
        check(code == VTS_OK);
        check_taken();
    } else if (current && waiter_of(before.word) == 0) {
        check(code == VTS_OK && rented->word == before.word + AWAITED && !is_home());
        check(rented->continuation == vts__forget_run && rented->arg == rented);
    } else {
        check(code == (current ? VTS_E_ALREADY_AWAITED : VTS_E_STALE));
        check_untouched();
        check_report(code);
    }
}

CONTRACT(pooled_abandon)
{
    a_pooled_world();
    int code = vts_source_abandon(rented, token);
    if (before.word == token + PENDING && token % 32 == 0) {
        check(code == VTS_OK && rented->word == token && is_home());
        return;
    }
    check(code == (!is_current(before.word, token)        ? VTS_E_STALE
                   : phase_of(before.word) != PENDING ? VTS_E_ALREADY_COMPLETED
                                                      : VTS_E_ALREADY_AWAITED));
    check_report(code);
    check_untouched();
}

CONTRACT(pooled_reset)
{
    vts_token was = nondet_word(), given = was;

    a_pooled_world();
    check(vts_source_reset(rented, &given) == VTS_E_UNSUPPORTED && given == was);
    check(heard.misuses == 0);
    check_untouched();
    check(vts_pool_put(&pool, rented) == VTS_E_ARGUMENT);
    check(vts_pool_get(&pool) == NULL);
    check_untouched();
}

/* Home, with the word that its last operation left. */
static vts_token a_source_at_home(void)
{
    vts_token last = token_of(nondet_word());

    a_source_pool();
    ambient = vts__self.context;
    pool.head = 1;
    sources[0].slot.next = 0;
    rented->word = last + IDLE;
    return last + 32 != 0 ? last + 32 : 32;
}

/* Whatever token its last operation had, the next rent has the one after it. */
CONTRACT(rent)
{
    vts_token given, next = a_source_at_home();

    check(vts_pool_rent(NULL, &given) == NULL && vts_pool_rent(&pool, NULL) == NULL);
    check(is_home());
    check(vts_pool_rent(&pool, &given) == rented);
    check(given == next && rented->word == next + PENDING);
    check(!is_home() && ran_nothing());
}

CONTRACT(rent_awaited)
{
    vts_token given, next = a_source_at_home();
    void *arg = nondet_bool() ? NULL : &source;

    check(vts_pool_rent_awaited(&pool, &given, NULL, arg) == NULL && is_home());
    check(vts_pool_rent_awaited(&pool, &given, on_new, arg) == rented);
    check(given == next && rented->word == next + AWAITED + PENDING);
    check(rented->continuation == on_new && rented->arg == arg);
    check(rented->context == NULL && rented->work.link.scheduler == NULL);
    check(!is_home() && ran_nothing());
}
