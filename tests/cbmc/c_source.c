/* Contracts of vts_source: any word, any token, inline, scheduled and at the limit. */
/* unreachable: vts__forget_run vts__run_queue_post vts__late_run vts__recycle
   unreachable: vts__pool_return vts__pooled_take vts__trampoline_drain vts__thread_exits
   unreachable: vts__malloc vts__free */
#include "contract.h"

/* ---- completing ---- */

static int completion_code(void)
{
    if (!is_current(before.word, token)) return VTS_E_STALE;
    return phase_of(before.word) == PENDING ? VTS_OK : VTS_E_ALREADY_COMPLETED;
}

/* After a completer's call; losing ones are no misuse. */
static void check_completed(int code, int wanted, vts_word result, unsigned phase)
{
    vts_word done = with_phase(before.word, phase);

    check(code == wanted);
    check(heard.misuses == 0);
    if (code != VTS_OK) {
        check_no_effect();
        return;
    }
    check(source.result == result);
    check(source.continuation == before.continuation && source.arg == before.arg);
    if (waiter_of(before.word) == AWAITED) {
        check_dispatched(done);
        return;
    }
    check(source.word == done && same_registration() && ran_nothing());
}

static void set_result_body(void)
{
    intptr_t result = (intptr_t)nondet_word();
    int code = vts_source_set_result(&source, token, result);
    check_completed(code, completion_code(), (vts_word)result, SUCCEEDED);
}

CONTRACT(set_result) { IN_EACH_WORLD(set_result_body); }

static void set_error_body(void)
{
    int error = nondet_int();
    int wanted = error < 0 ? completion_code() : VTS_E_ARGUMENT;
    int code = vts_source_set_error(&source, token, error);
    check_completed(code, wanted, (vts_word)(intptr_t)error, FAULTED);
}

CONTRACT(set_error) { IN_EACH_WORLD(set_error_body); }

static void set_canceled_body(void)
{
    int error = nondet_int();
    int wanted = error <= 0 ? completion_code() : VTS_E_ARGUMENT;
    int code = vts_source_set_canceled(&source, token, error);
    intptr_t result = error == 0 ? VTS_E_CANCELED : error;
    check_completed(code, wanted, (vts_word)result, CANCELED);
}

CONTRACT(set_canceled) { IN_EACH_WORLD(set_canceled_body); }

CONTRACT(begin_result)
{
    a_world(0, NULL);
    int code = vts_source_begin_result(&source, token);
    check(code == completion_code() && heard.misuses == 0);
    if (code == VTS_OK) before.word = with_phase(before.word, COMPLETING);
    check_no_effect();
}

static void end_result_body(void)
{
    bool begun = token_of(before.word) == token && phase_of(before.word) == COMPLETING;
    int code = vts_source_end_result(&source, token);
    check_completed(code, begun ? VTS_OK : VTS_E_ARGUMENT, before.result, SUCCEEDED);
}

CONTRACT(end_result) { IN_EACH_WORLD(end_result_body); }

/* ---- asking ---- */

static int status_code(void)
{
    if (!is_current(before.word, token)) return VTS_E_STALE;
    if (is_open(before.word)) return VTS_PENDING;
    if (phase_of(before.word) == SUCCEEDED) return VTS_SUCCEEDED;
    return phase_of(before.word) == FAULTED ? VTS_FAULTED : VTS_CANCELED;
}

CONTRACT(get_status)
{
    a_world(0, NULL);
    int code = vts_source_get_status(&source, token);
    check(code == status_code());
    check_report(code);
    check_no_effect();
}

static int result_code(void)
{
    if (!is_current(before.word, token)) return VTS_E_STALE;
    if (is_open(before.word)) return VTS_E_NOT_COMPLETED;
    return phase_of(before.word) == SUCCEEDED ? VTS_OK : (int)(intptr_t)before.result;
}

CONTRACT(get_result)
{
    a_world(0, NULL);
    assume_stored_error();
    intptr_t was = (intptr_t)nondet_word(), result = was;
    bool wanted = nondet_bool();
    int code = vts_source_get_result(&source, token, wanted ? &result : NULL);
    check(code == result_code());
    check(result == (code == VTS_OK && wanted ? (intptr_t)before.result : was));
    if (!is_done(before.word) || !is_current(before.word, token)) check_report(code);
    check_no_effect();
}

CONTRACT(version)
{
    a_world(0, NULL);
    check(vts_source_version(&source) == token_of(before.word));
    check(vts_source_version(NULL) == 0);
    check_no_effect();
}

/* ---- registering ---- */

static int registration_code(void)
{
    if (!is_current(before.word, token)) return VTS_E_STALE;
    return waiter_of(before.word) == 0 ? VTS_OK : VTS_E_ALREADY_AWAITED;
}

static void check_captured(vts_scheduler *scheduler, void *arg, unsigned flags)
{
    void *context = ambient != NULL ? ambient : &vts__null_context;

    check(source.continuation == on_new && source.arg == arg);
    check(source.context == ((flags & VTS_FLOW_EXECUTION_CONTEXT) != 0 ? context : NULL));
    check(source.work.link.scheduler == scheduler || vts__self.first == &source.work);
    check(source.result == before.result && source.base.ops == before.base.ops);
}

/* The operation is completed: the registering call dispatches. */
static void check_late(vts_scheduler *scheduler, void *arg)
{
    bool elsewhere = scheduler != NULL && scheduler != vts__self.scheduler;

    if (!elsewhere && vts__self.depth < VTS__INLINE_LIMIT) {
        check(source.word == before.word + AWAITED);
        check(heard.new == 1 && heard.arg == arg && heard.context == ambient);
        check(heard.posts == 0 && vts__self.first == NULL);
        return;
    }
    check(source.word == before.word + QUEUED);
    check(heard.new == 0 && source.work.run == vts__source_run);
    check(heard.posts == (scheduler != NULL ? 1 : 0));
    check(scheduler != NULL || vts__self.first == &source.work);
    check(scheduler == NULL || (heard.scheduler == scheduler && heard.work == &source.work));
}

static void register_new(unsigned flags)
{
    void *arg = nondet_pointer();
    bool scheduling = (flags & VTS_USE_SCHEDULING_CONTEXT) != 0;
    vts_scheduler *scheduler = scheduling ? vts__self.scheduler : NULL;
    int code = vts_source_on_completed(&source, token, on_new, arg, flags);

    check(code == registration_code());
    check_report(code);
    if (code != VTS_OK) {
        check_no_effect();
        return;
    }
    check(heard.old == 0 && vts__self.context == ambient);
    check_captured(scheduler, arg, flags);
    if (is_done(before.word)) {
        check_late(scheduler, arg);
        return;
    }
    check(source.word == before.word + AWAITED && source.work.run == before.work.run);
    check(ran_nothing());
}

static void on_completed_body(void) { register_new(nondet_unsigned()); }

CONTRACT(on_completed)
{
    if (nondet_bool()) {
        a_world(0, &captured_scheduler);
        on_completed_body();
    } else {
        a_world(VTS__INLINE_LIMIT, &captured_scheduler);
        on_completed_body();
    }
}

CONTRACT(unregister)
{
    a_world(0, &captured_scheduler);
    int code = vts_source_unregister(&source, token);
    bool current = is_current(before.word, token);
    bool waits = waiter_of(before.word) == AWAITED && phase_of(before.word) == PENDING;
    check(code == (!current ? VTS_E_STALE : waits ? VTS_OK : VTS_E_NOT_AWAITED));
    check_report(code);
    if (code == VTS_OK) before.word = with_waiter(before.word, 0);
    check_no_effect();
}

/* A bare source has nothing to give back: pending, it registers what drops the result. */
CONTRACT(forget)
{
    a_world(0, NULL);
    int code = vts_valuetask_forget(vts_valuetask_of(&source, token));
    bool done = is_current(before.word, token) && is_done(before.word);
    check(code == (done ? VTS_OK : registration_code()));
    check_report(code);
    if (code != VTS_OK || done) {
        check_no_effect();
        return;
    }
    check(source.word == before.word + AWAITED && source.result == before.result);
    check(source.continuation == vts__forget_run && source.arg == &source);
    check((vts_token)(uintptr_t)source.context == token && ran_nothing());
}

/* ---- beginning and ending ---- */

CONTRACT(init)
{
    static const vts_source_ops own;
    const vts_source_ops *ops = nondet_bool() ? &own : NULL;

    a_world(0, NULL);
    vts_source_init(NULL, ops);
    check_no_effect();
    vts_source_init(&source, ops);
    check(source.base.ops == (ops != NULL ? ops : &vts__source_ops));
    check(source.word == 0 && source.result == 0 && ran_nothing());
}

CONTRACT(reset)
{
    vts_token was = nondet_word(), given = was;

    a_world(0, &captured_scheduler);
    if (nondet_bool()) source.base.ops = NULL; /* a zeroed source is made a bare one */
    int code = vts_source_reset(&source, &given);
    bool in_use = is_open(before.word) || is_pinned(before.word);
    vts_token next = token_of(before.word) + 32;
    if (next == 0) next = 32;
    check(code == (in_use ? VTS_E_PENDING : VTS_OK));
    check(given == (in_use ? was : next));
    check_report(code);
    if (code == VTS_OK) before.word = next + PENDING;
    check_no_effect();
}

CONTRACT(abandon)
{
    a_world(0, &captured_scheduler);
    int code = vts_source_abandon(&source, token);
    int wanted = VTS_OK;
    if (waiter_of(before.word) != 0) wanted = VTS_E_ALREADY_AWAITED;
    if (phase_of(before.word) != PENDING) wanted = VTS_E_ALREADY_COMPLETED;
    if (!is_current(before.word, token)) wanted = VTS_E_STALE;
    check(code == wanted);
    check_report(code);
    if (code == VTS_OK) before.word = token;
    check_no_effect();
}

/* A queued continuation runs: unpinned first, under its context, or the thread's. */
CONTRACT(queued_run)
{
    a_world(0, NULL);
    assume(waiter_of(source.word) == QUEUED && is_done(source.word));
    vts__source_run(&source.work);
    before.work.link.scheduler = NULL;
    check(source.result == before.result && same_registration());
    check_dispatched(with_waiter(before.word, AWAITED));
    check(heard.misuses == 0);
}

/* ---- null, and a source without operations ---- */

CONTRACT(null_arguments)
{
    vts_token given = nondet_word(), same = given;

    a_world(0, NULL);
    check(vts_source_set_result(NULL, token, 0) == VTS_E_ARGUMENT);
    check(vts_source_set_error(NULL, token, -1) == VTS_E_ARGUMENT);
    check(vts_source_set_canceled(NULL, token, 0) == VTS_E_ARGUMENT);
    check(vts_source_begin_result(NULL, token) == VTS_E_ARGUMENT);
    check(vts_source_end_result(NULL, token) == VTS_E_ARGUMENT);
    check(vts_source_get_status(NULL, token) == VTS_E_ARGUMENT);
    check(vts_source_get_result(NULL, token, NULL) == VTS_E_ARGUMENT);
    check(vts_source_on_completed(NULL, token, on_new, NULL, 0) == VTS_E_ARGUMENT);
    check(vts_source_on_completed(&source, token, NULL, NULL, 3) == VTS_E_ARGUMENT);
    check(vts_source_unregister(NULL, token) == VTS_E_ARGUMENT);
    check(vts_source_abandon(NULL, token) == VTS_E_ARGUMENT);
    check(vts_source_reset(NULL, &given) == VTS_E_ARGUMENT && given == same);
    check(vts_source_reset(&source, NULL) == VTS_E_ARGUMENT);
    check(heard.misuses == 0);
    check_no_effect();
}

CONTRACT(zeroed_get_result)
{
    intptr_t was = (intptr_t)nondet_word(), result = was;

    a_world(0, NULL);
    source.base.ops = before.base.ops = NULL;
    source.word = before.word = 0;
    check(vts_source_get_result(&source, token, &result) == VTS_E_STALE && result == was);
    check_report(VTS_E_STALE);
    check_no_effect();
}

CONTRACT(ops_of)
{
    vts_scheduler *scheduler = nondet_bool() ? &captured_scheduler : NULL;
    vts_source_ops ops = vts_source_ops_of(scheduler);

    check(ops.get_status == vts__source_ops.get_status);
    check(ops.on_completed == vts__source_ops.on_completed);
    check(ops.get_result == vts__source_ops.get_result);
    check(ops.unregister == vts__source_ops.unregister);
    check(ops.forget == vts__source_ops.forget);
    check(ops.run_continuations_asynchronously == scheduler);
}
