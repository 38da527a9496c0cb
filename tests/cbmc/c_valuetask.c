/* Contracts of vts_valuetask: completed in itself, over a bare source, a zeroed one, a
   typed one and one of the caller's own. unwind: 9 */
/* unreachable: vts__forget_run vts__run_queue_post vts__recycle vts__pool_return
   unreachable: vts__pooled_take vts__source_run vts__trampoline_drain
   unreachable: vts__thread_exits vts__malloc vts__free */
#include "contract.h"

typedef struct triple {
    vts_word a, b;
    uint32_t c;
} triple;
VTS_DECLARE_VALUETASK(triples, triple);

/* What every call on a task that needs no source answers. */
static void check_at_once(vts_valuetask task, int status, int code, intptr_t value)
{
    intptr_t was = (intptr_t)nondet_word(), result = was;

    check(vts_valuetask_get_status(task) == status);
    check(vts_valuetask_is_completed(task));
    check(vts_valuetask_is_completed_successfully(task) == (status == VTS_SUCCEEDED));
    check(vts_valuetask_is_faulted(task) == (status == VTS_FAULTED));
    check(vts_valuetask_is_canceled(task) == (status == VTS_CANCELED));
    check(vts_valuetask_get_result(task, &result) == code);
    check(result == (code == VTS_OK ? value : was));
    check(vts_valuetask_get_result(task, NULL) == code);
    check(vts_valuetask_unregister(task) == VTS_E_NOT_AWAITED);
    check(vts_valuetask_forget(task) == VTS_OK);
    check(heard.misuses == 0);
    check_no_effect();
}

CONTRACT(from_result)
{
    intptr_t value = (intptr_t)nondet_word();
    a_world(0, NULL);
    check_at_once(vts_valuetask_from_result(value), VTS_SUCCEEDED, VTS_OK, value);
    check(vts_valuetask_take(vts_valuetask_from_result(value), NULL) == VTS_E_ARGUMENT);
}

CONTRACT(from_error)
{
    int error = nondet_int();
    a_world(0, NULL);
    check_at_once(vts_valuetask_from_error(error), VTS_FAULTED,
                  error < 0 ? error : VTS_E_ARGUMENT, 0);
}

CONTRACT(from_canceled)
{
    int error = nondet_int();
    a_world(0, NULL);
    if (error > 0) {
        check_at_once(vts_valuetask_from_canceled(error), VTS_FAULTED, VTS_E_ARGUMENT, 0);
    } else {
        check_at_once(vts_valuetask_from_canceled(error), VTS_CANCELED,
                      error == 0 ? VTS_E_CANCELED : error, 0);
    }
}

CONTRACT(from_source)
{
    a_world(0, NULL);
    vts_valuetask task = vts_valuetask_from_source(&source.base, token);
    check(task.source == &source.base && task.token == token);
    task = vts_valuetask_of(&source, token);
    check(task.source == &source.base && task.token == token);
    check_at_once(vts_valuetask_of(NULL, token), VTS_FAULTED, VTS_E_ARGUMENT, 0);
}

CONTRACT(equals)
{
    vts_valuetask a = {&source.base, nondet_word()}, b = {NULL, nondet_word()};

    if (nondet_bool()) a.source = NULL;
    if (nondet_bool()) b.source = &source.base;
    check(vts_valuetask_equals(a, b) == (a.source == b.source && a.token == b.token));
}

/* ---- registering on a task that needs no source ---- */

static bool place_taken[VTS__LATE_COUNT];

static void a_thread_with_places(void)
{
    for (unsigned i = 0; i < VTS__LATE_COUNT; i++) {
        place_taken[i] = nondet_bool();
        vts__self.late[i].work.run = place_taken[i] ? vts__late_run : NULL;
    }
}

static unsigned first_free_place(void)
{
    unsigned i = 0;
    while (i < VTS__LATE_COUNT && place_taken[i]) i++;
    return i;
}

static void check_ran_at_once(void *arg)
{
    check(heard.new == 1 && heard.arg == arg && heard.context == ambient);
    check(vts__self.context == ambient && vts__self.first == NULL);
}

static void on_completed_at_once_body(void)
{
    void *arg = nondet_bool() ? NULL : &source;
    unsigned flags = nondet_unsigned();
    unsigned place;
    vts_valuetask task = vts_valuetask_from_result((intptr_t)nondet_word());

    a_thread_with_places();
    check(vts_valuetask_on_completed(task, NULL, arg, flags) == VTS_E_ARGUMENT);
    check_no_effect();
    check(vts_valuetask_on_completed(task, on_new, arg, flags) == VTS_OK);
    check(same_source() && heard.misuses == 0 && heard.posts == 0);
    place = first_free_place();
    if (vts__self.depth < VTS__INLINE_LIMIT || place == VTS__LATE_COUNT) {
        check_ran_at_once(arg);
        return;
    }
    check(heard.new == 0 && vts__self.first == &vts__self.late[place].work);
    check(vts__self.late[place].continuation == on_new);
    check(vts__self.late[place].arg == arg);
    check(vts__self.late[place].work.run == vts__late_run);
}

CONTRACT(on_completed_at_once) { IN_EACH_WORLD(on_completed_at_once_body); }

/* ---- over a bare source: the same as the source's own calls ---- */

CONTRACT(status_of_source)
{
    a_world(0, NULL);
    vts_valuetask task = vts_valuetask_of(&source, token);
    bool current = is_current(before.word, token);
    unsigned phase = phase_of(before.word);
    int status = vts_valuetask_get_status(task);

    check_report(status);
    check(current || status == VTS_E_STALE);
    check(!current || status == (is_open(before.word) ? VTS_PENDING : (int)phase - 2));
    check(vts_valuetask_is_completed(task) == (current && is_done(before.word)));
    check(vts_valuetask_is_completed_successfully(task) == (current && phase == SUCCEEDED));
    check(vts_valuetask_is_faulted(task) == (current && phase == FAULTED));
    check(vts_valuetask_is_canceled(task) == (current && phase == CANCELED));
    check_no_effect();
}

CONTRACT(result_of_source)
{
    intptr_t was = (intptr_t)nondet_word(), result = was;

    a_world(0, NULL);
    assume_stored_error();
    int code = vts_valuetask_get_result(vts_valuetask_of(&source, token), &result);
    if (!is_current(before.word, token)) {
        check(code == VTS_E_STALE);
    } else if (is_open(before.word)) {
        check(code == VTS_E_NOT_COMPLETED);
    } else if (phase_of(before.word) == SUCCEEDED) {
        check(code == VTS_OK && result == (intptr_t)before.result);
    } else {
        check(code == (int)(intptr_t)before.result);
    }
    check(result == was || phase_of(before.word) == SUCCEEDED);
    check_no_effect();
}

CONTRACT(zeroed_source)
{
    intptr_t was = (intptr_t)nondet_word(), result = was;

    a_world(0, NULL);
    source.base.ops = before.base.ops = NULL;
    source.word = before.word = 0;
    vts_valuetask task = vts_valuetask_of(&source, token);
    check(vts_valuetask_get_status(task) == VTS_E_STALE);
    check(vts_valuetask_get_result(task, &result) == VTS_E_STALE && result == was);
    check(vts_valuetask_take(task, &result) == VTS_E_STALE && result == was);
    check(vts_valuetask_on_completed(task, on_new, NULL, nondet_unsigned()) == VTS_E_STALE);
    check(vts_valuetask_unregister(task) == VTS_E_STALE);
    check(vts_valuetask_forget(task) == VTS_E_STALE);
    check(heard.misuses == 6 && heard.code == VTS_E_STALE);
    check(vts_valuetask_on_completed(task, NULL, NULL, 0) == VTS_E_ARGUMENT);
    check(heard.misuses == 6);
    check_no_effect();
}

/* ---- a typed source ---- */

static bool same_triple(const triple *a, const triple *b)
{
    return a->a == b->a && a->b == b->b && a->c == b->c;
}

CONTRACT(typed_set_result)
{
    static triples_source typed;
    triple value = {nondet_word(), nondet_word(), nondet_uint32()};
    triple old = {nondet_word(), nondet_word(), nondet_uint32()};

    a_world(0, NULL);
    triples_source_init(&typed);
    typed.core.word = before.word;
    typed.value = old;
    assume(waiter_of(before.word) != AWAITED); /* dispatch is set_result's contract */
    int code = triples_set_result(&typed, token, &value);
    bool current = is_current(before.word, token);
    bool wins = current && phase_of(before.word) == PENDING;
    check(code == (wins ? VTS_OK : current ? VTS_E_ALREADY_COMPLETED : VTS_E_STALE));
    check(typed.core.word == (wins ? with_phase(before.word, SUCCEEDED) : before.word));
    check(same_triple(&typed.value, wins ? &value : &old));
    check(triples_set_result(NULL, token, &value) == VTS_E_ARGUMENT);
    check(triples_set_result(&typed, token, NULL) == VTS_E_ARGUMENT);
    check(heard.misuses == 0);
}

CONTRACT(typed_get_result)
{
    static triples_source typed;
    triple out = {nondet_word(), nondet_word(), nondet_uint32()}, was = out;
    intptr_t word = 7;

    a_world(0, NULL);
    triples_source_init(&typed);
    typed.core.word = before.word;
    typed.core.result = before.result;
    typed.value.a = nondet_word();
    typed.value.b = nondet_word();
    typed.value.c = nondet_uint32();
    assume_stored_error();
    int code = triples_get_result(triples_valuetask_of(&typed, token), &out);
    bool current = is_current(before.word, token);
    if (!current || !is_done(before.word)) {
        check(code == (current ? VTS_E_NOT_COMPLETED : VTS_E_STALE));
    } else {
        bool succeeded = phase_of(before.word) == SUCCEEDED;
        check(code == (succeeded ? VTS_OK : (int)(intptr_t)before.result));
    }
    check(same_triple(&out, code == VTS_OK ? &typed.value : &was));
    vts_valuetask plain = vts_valuetask_of(&typed.core, token);
    check(vts_valuetask_get_result(plain, &word) == VTS_E_UNSUPPORTED && word == 7);
    check(vts_source_get_result(&typed.core, token, &word) == VTS_E_UNSUPPORTED);
    check(typed.core.word == before.word && word == 7);
}

/* ---- a source of the caller's own: each call arrives as it was made ---- */

static struct {
    int calls, answer, status;
    vts_valuetask_source *self;
    vts_token token;
} own;

static int own_answer(vts_valuetask_source *self, vts_token given)
{
    own.calls++;
    own.self = self;
    own.token = given;
    return own.answer;
}

static int own_status(vts_valuetask_source *self, vts_token given)
{
    own_answer(self, given);
    return own.status;
}

static int own_on_completed(vts_valuetask_source *self, vts_token given,
                            vts_continuation continuation, void *arg, unsigned flags)
{
    check(continuation == on_new && arg == &own && flags == VTS_FLOW_EXECUTION_CONTEXT);
    return own_answer(self, given);
}

static int own_get_result(vts_valuetask_source *self, vts_token given, void *result)
{
    check(result == NULL || result == &source.result);
    return own_answer(self, given);
}

static void check_own_call(vts_valuetask task, int code)
{
    check(code == own.answer && own.calls == 1);
    check(own.self == task.source && own.token == task.token);
    own.calls = 0;
}

CONTRACT(own_source)
{
    static vts_source_ops ops = {own_status,     own_on_completed, own_get_result,
                                 own_answer,     own_answer,       NULL};
    static vts_valuetask_source base = {&ops};
    vts_valuetask task = vts_valuetask_from_source(&base, nondet_word());

    own.answer = own.status = nondet_int();
    check_own_call(task, vts_valuetask_get_status(task));
    check_own_call(task, vts_valuetask_get_result(task, (intptr_t *)(void *)&source.result));
    check_own_call(task, vts_valuetask_take(task, &source.result));
    check_own_call(task, vts_valuetask_on_completed(task, on_new, &own,
                                                    VTS_FLOW_EXECUTION_CONTEXT));
    check_own_call(task, vts_valuetask_unregister(task));
    check(heard.misuses == 0);
}

CONTRACT(own_source_forget)
{
    static vts_source_ops ops = {own_status, own_on_completed, own_get_result,
                                 NULL,       NULL,             NULL};
    static vts_valuetask_source base = {&ops};
    vts_valuetask task = vts_valuetask_from_source(&base, nondet_word());
    bool offered = nondet_bool();

    if (offered) ops.forget = own_answer;
    own.answer = nondet_int();
    own.status = nondet_int();
    int code = vts_valuetask_forget(task);
    if (own.status < 0) {
        check(code == own.status && own.calls == 1);
    } else if (own.status != VTS_PENDING) {
        check(code == VTS_OK && own.calls == 2);
    } else {
        check(code == (offered ? own.answer : VTS_E_UNSUPPORTED));
        check(own.calls == (offered ? 2 : 1));
    }
    check(vts_valuetask_unregister(task) == VTS_E_UNSUPPORTED);
}

/* ---- texts, context, scheduler ---- */

CONTRACT(strerror)
{
    int code = nondet_int();
    const char *text = vts_strerror(code);
    bool known = code == VTS_OK || (code <= VTS_E_ARGUMENT && code >= VTS_E_STOPPED);

    check(text != NULL && text[0] != 0);
    check((text[0] == 'u' && text[1] == 'n' && text[2] == 'k') == !known);
}

CONTRACT(ambient_pointers)
{
    void *first = nondet_pointer(), *second = nondet_pointer();
    vts_scheduler *was;

    vts_context_set_current(first);
    check(vts_context_current() == first);
    check(vts_context_set_current(second) == first);
    check(vts_context_current() == second);
    was = vts_scheduler_set_current(&captured_scheduler);
    check(was == NULL && vts_scheduler_current() == &captured_scheduler);
    check(vts_scheduler_set_current(NULL) == &captured_scheduler);
    vts_scheduler_post(&captured_scheduler, &source.work);
    check(heard.posts == 1 && heard.work == &source.work);
}
