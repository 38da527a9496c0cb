/* Cancellation: a callback runs once or not at all, unregister says which and waits for
   one that runs, and a cancel that comes late changes nothing. */
#include "tests/explore/model.h"

static vts_cancellation_source source, child;
static vts_cancellation_registration link_registration;
static x_word canceled; /* calls of cancel that were first */
static long payload;

/* What a callback works on; plain, and its owner's again once unregister has returned. */
typedef struct listener {
    vts_cancellation_registration registration;
    int ran;
    int of_child;
} listener;
static listener listeners[3];

static void setup(void)
{
    forget_threads();
    memset(&source, 0, sizeof source);
    memset(&child, 0, sizeof child);
    memset(&link_registration, 0, sizeof link_registration);
    memset(listeners, 0, sizeof listeners);
    canceled = 0;
    payload = 0;
    x_name(&source, sizeof source, "source", NULL);
    x_name(&source.lock, sizeof source.lock, "source.lock", NULL);
    x_name(&source.state, sizeof source.state, "source.state", NULL);
    x_name(&source.runs, sizeof source.runs, "source.runs", NULL);
    x_name(&child, sizeof child, "child", NULL);
    x_name(&child.lock, sizeof child.lock, "child.lock", NULL);
    x_name(&child.state, sizeof child.state, "child.state", NULL);
    x_name(listeners, sizeof listeners, "listeners", NULL);
}

static void hears(void *arg)
{
    listener *l = (listener *)arg;

    x_check(vts_cancellation_is_requested(
        vts_cancellation_token_of(l->of_child ? &child : &source)));
    x_check(l->ran == 0);
    l->ran = 1;
}

static int listen_to(listener *l, vts_cancellation_source *to)
{
    return vts_cancellation_register(vts_cancellation_token_of(to), &l->registration, hears,
                                     l);
}

/* Takes it back, and uses its memory for something else at once. */
static void stop_listening(listener *l)
{
    int code = vts_cancellation_unregister(&l->registration);

    x_check(code == VTS_OK || code == VTS_E_ALREADY_COMPLETED);
    x_check(l->ran == (code != VTS_OK));
    reuse(l, sizeof *l);
}

static void cancel(void)
{
    int code = vts_cancellation_cancel(&source);

    x_check(code == VTS_OK || code == VTS_E_ALREADY_COMPLETED);
    x_check(vts_cancellation_is_requested(vts_cancellation_token_of(&source)));
    if (code == VTS_OK) x_add(&canceled, 1, X_RLX);
}

static void canceled_once(void) { x_check(canceled == 1); }

// ---- registrations ----

static void register_unregister(void)
{
    listener *l = &listeners[x_now];

    x_check(listen_to(l, &source) == VTS_OK);
    stop_listening(l);
}

static void setup_two(void)
{
    setup();
    listen_to(&listeners[0], &source);
    listen_to(&listeners[1], &source);
}

static void unregister_first(void) { stop_listening(&listeners[0]); }
static void unregister_second(void) { stop_listening(&listeners[1]); }

/* Registered and left: the callback has run when the cancel, or the registration, has. */
static void register_only(void)
{
    x_check(listen_to(&listeners[2], &source) == VTS_OK);
}

static void all_ran(void)
{
    int i;

    canceled_once();
    for (i = 0; i < 3; i++) x_check(listeners[i].ran == 1);
}

static void publish_cancel(void)
{
    payload = 7;
    cancel();
}

static void ask(void)
{
    if (!vts_cancellation_is_requested(vts_cancellation_token_of(&source))) return;
    x_check(payload == 7);
}

/* A callback that takes itself back, and another: on its own thread it never waits. */
static void takes_back(void *arg)
{
    listener *l = (listener *)arg;
    int code;

    l->ran = 1;
    x_check(vts_cancellation_unregister(&l->registration) == VTS_E_ALREADY_COMPLETED);
    code = vts_cancellation_unregister(&listeners[0].registration);
    x_check(code == (listeners[0].ran == 1 ? VTS_E_ALREADY_COMPLETED : VTS_OK));
}

static void setup_taking_back(void)
{
    setup();
    listen_to(&listeners[0], &source);
    vts_cancellation_register(vts_cancellation_token_of(&source),
                              &listeners[1].registration, takes_back, &listeners[1]);
}

static void one_was_taken_back(void)
{
    canceled_once();
    x_check(listeners[0].ran == 0 && listeners[1].ran == 1);
}

// ---- an operation that can be canceled ----

static VTS_POOL_STORAGE(storage, vts_source, 1);
static vts_pool pool;
static vts_source *operation;
static vts_token token;

static void cancel_operation(void *arg)
{
    int code = vts_source_set_canceled((vts_source *)arg, token, 0);

    x_check(code == VTS_OK || code == VTS_E_ALREADY_COMPLETED || code == VTS_E_STALE);
}

static void setup_operation(void)
{
    vts_pool_desc desc = {0};

    setup();
    memset(storage, 0, sizeof storage);
    desc.storage = storage;
    desc.storage_size = sizeof storage;
    vts_pool_init(&pool, &desc);
    operation = vts_pool_rent(&pool, &token);
    vts_cancellation_register(vts_cancellation_token_of(&source),
                              &listeners[0].registration, cancel_operation, operation);
    name_source(operation, "operation", "operation.word");
}

/* Completes it, takes the result, and starts the next with the same source: that one is
   not canceled. */
static void complete_and_recycle(void)
{
    int code = vts_source_set_result(operation, token, 5);
    intptr_t result = 0;
    vts_token next;

    x_check(code == VTS_OK || code == VTS_E_ALREADY_COMPLETED);
    if (vts_source_get_status(operation, token) == VTS_PENDING) return; /* being canceled */
    x_check(vts_source_get_result(operation, token, &result) ==
            (code == VTS_OK ? VTS_OK : VTS_E_CANCELED));
    x_check(vts_pool_rent(&pool, &next) == operation && next != token);
    x_check(vts_source_get_status(operation, next) == VTS_PENDING);
    x_check(vts_source_set_result(operation, next, 6) == VTS_OK);
    x_check(vts_source_get_result(operation, next, &result) == VTS_OK && result == 6);
}

static void recycle_and_unregister(void)
{
    complete_and_recycle();
    vts_cancellation_unregister(&listeners[0].registration);
    token = 0; /* that the callback reads */
}

// ---- linked ----

static void setup_linked(void)
{
    setup();
    listeners[0].of_child = 1;
    listen_to(&listeners[0], &child);
    vts_cancellation_link(&child, &link_registration, vts_cancellation_token_of(&source));
}

static void cancel_child(void)
{
    int code = vts_cancellation_cancel(&child);

    x_check(code == VTS_OK || code == VTS_E_ALREADY_COMPLETED);
    x_check(vts_cancellation_is_requested(vts_cancellation_token_of(&child)));
}

/* Once the link is taken back the child is nobody else's. */
static void cancel_and_end_child(void)
{
    cancel_child();
    vts_cancellation_unregister(&link_registration);
    stop_listening(&listeners[0]);
    reuse(&child, sizeof child);
}

static void unlink_child(void)
{
    int code = vts_cancellation_unregister(&link_registration);
    vts_cancellation_token of_child = vts_cancellation_token_of(&child);

    x_check(vts_cancellation_is_requested(of_child) == (code != VTS_OK));
}

static void child_ran(void)
{
    canceled_once();
    x_check(listeners[0].ran == 1);
    x_check(vts_cancellation_unregister(&link_registration) == VTS_E_ALREADY_COMPLETED);
}

// ---- the end ----

static void dispose(void)
{
    int code = vts_cancellation_dispose(&source);

    x_check(code == VTS_OK || code == VTS_E_BUSY);
    if (code == VTS_OK) {
        x_check(listen_to(&listeners[1], &source) == VTS_E_CLOSED);
        x_check(vts_cancellation_cancel(&source) == VTS_E_CLOSED);
    }
}

static void cancel_if_open(void)
{
    int code = vts_cancellation_cancel(&source);
    x_check(code == VTS_OK || code == VTS_E_CLOSED);
}

static void register_if_open(void)
{
    listener *l = &listeners[2];
    int code = listen_to(l, &source);

    x_check(code == VTS_OK || code == VTS_E_CLOSED);
    if (code == VTS_OK) stop_listening(l);
    else x_check(l->registration.source == NULL && l->ran == 0);
}

// ---- the lock under it ----

static x_word lock;

static void setup_lock(void)
{
    setup();
    lock = 0;
    x_name(&lock, sizeof lock, "lock", NULL);
}

static void count_under_lock(void)
{
    vts__lock(&lock);
    payload++;
    vts__unlock(&lock);
}

static void count_twice(void)
{
    count_under_lock();
    count_under_lock();
}

static void counted_three(void) { x_check(payload == 3 && lock == 0); }
static void counted_four(void) { x_check(payload == 4 && lock == 0); }

// clang-format off
static const scene scenes[] = {
    {"three threads and a lock", setup_lock,
     {count_under_lock, count_under_lock, count_under_lock}, counted_three, 0, 0, 0},
    {"two threads and a lock, twice, disturbed", setup_lock, {count_twice, count_twice},
     counted_four, 0, 0, 1},
    {"cancel, register and unregister", setup, {cancel, register_unregister},
     canceled_once, 0, 0, 1},
    {"cancel and two that unregister", setup_two,
     {cancel, unregister_first, unregister_second}, canceled_once, 2, 4, 0},
    {"cancel twice", setup_two, {cancel, cancel}, canceled_once, 0, 0, 0},
    {"cancel twice and unregister", setup_two, {cancel, cancel, unregister_first},
     canceled_once, 2, 4, 0},
    {"cancel twice and register", setup_two, {cancel, cancel, register_only}, all_ran,
     2, 4, 0},
    {"who sees it sees what was before", setup, {publish_cancel, ask, ask}, NULL, 0, 0, 0},
    {"taken back by a callback", setup_taking_back, {cancel, cancel}, one_was_taken_back,
     0, 0, 0},
    {"cancel and a result", setup_operation, {cancel, complete_and_recycle}, canceled_once,
     0, 0, 0},
    {"cancel and a result, unregistered", setup_operation, {cancel, recycle_and_unregister},
     canceled_once, 0, 0, 0},
    {"linked, both canceled", setup_linked, {cancel, cancel_child}, child_ran, 0, 0, 0},
    {"linked, both canceled, ended", setup_linked, {cancel, cancel_and_end_child},
     canceled_once, 0, 0, 0},
    {"unlinked", setup_linked, {cancel, unlink_child}, canceled_once, 0, 0, 0},
    {"cancel, dispose, register", setup, {cancel_if_open, dispose, register_if_open}, NULL,
     2, 4, 0},
};
// clang-format on

int main(int argc, char **argv)
{
    x_options(argc, argv);
    run_scenes(scenes, sizeof scenes / sizeof scenes[0]);
    return x_status();
}
