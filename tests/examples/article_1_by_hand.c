/* article_1_by_hand.c - step 1 of 3: a source written by hand

   Teaches what a value task asks of its source: three functions that check a token.
   A PC monitor answers from its cache, inside the handle, or with a handle that its
   sampler thread completes later; the trace shows which calls that makes.
   The last scene runs the same three functions as one writes them in a hurry.
   Step 2 replaces all of this source by vts_source. */
#define VTS_IMPLEMENTATION
#include "vts.h"

#include "monitor.h"

// ---- the source ------------------------------------------------------------------

/* One operation at a time. The lock guards all that follows it, and is never held while
   a continuation runs: the first thing that one does is call get_result. */
typedef struct hand_source {
    vts_valuetask_source base; /* first: the handle points here                       */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* wakes the thread that runs continuations               */
    vts_token token;        /* the operation; 0: there was none yet                   */
    bool completed;         /* a flag, because any result is a legal one              */
    bool awaited;           /* stays set, so that no second one registers             */
    vts_continuation continuation; /* registered, but not run yet                     */
    void *arg;
    pc_statistics result;
} hand_source;

static hand_source *hand_lock(vts_valuetask_source *base)
{
    hand_source *self = (hand_source *)base;
    pthread_mutex_lock(&self->lock);
    return self;
}

/* Reports a refusal without the lock: what hears of it is somebody else's code. */
static int hand_unlock(hand_source *self, vts_token token, int answer)
{
    pthread_mutex_unlock(&self->lock);
    if (answer < 0) vts_report_misuse(answer, self, token);
    return answer;
}

/* To be asked under the same lock as what depends on it: between a check and a change
   that are two steps, the operation can become another. */
static bool hand_is_current(const hand_source *self, vts_token token)
{
    return token != 0 && token == self->token;
}

static int hand_get_status(vts_valuetask_source *base, vts_token token)
{
    hand_source *self = hand_lock(base);
    int status = self->completed ? VTS_SUCCEEDED : VTS_PENDING;

    if (!hand_is_current(self, token)) status = VTS_E_STALE;
    return hand_unlock(self, token, status);
}

/* Only leaves a note. If the operation is completed already, then running the
   continuation here looks natural, but the caller may hold locks of its own, and a
   chain of such calls grows the stack without end. */
static int hand_on_completed(vts_valuetask_source *base, vts_token token,
                             vts_continuation continuation, void *arg, unsigned flags)
{
    hand_source *self;

    if (continuation == NULL) return VTS_E_ARGUMENT;
    /* To ignore them would run the continuation silently in the wrong place. */
    if ((flags & (VTS_USE_SCHEDULING_CONTEXT | VTS_FLOW_EXECUTION_CONTEXT)) != 0) {
        return VTS_E_UNSUPPORTED;
    }
    self = hand_lock(base);
    if (!hand_is_current(self, token)) return hand_unlock(self, token, VTS_E_STALE);
    if (self->awaited) return hand_unlock(self, token, VTS_E_ALREADY_AWAITED);
    self->awaited = true;
    self->continuation = continuation;
    self->arg = arg;
    pthread_cond_signal(&self->changed);
    return hand_unlock(self, token, VTS_OK);
}

/* Never waits: a caller that blocks here may be the one the completer waits for. */
static int hand_get_result(vts_valuetask_source *base, vts_token token, void *result)
{
    hand_source *self = hand_lock(base);

    if (!hand_is_current(self, token)) return hand_unlock(self, token, VTS_E_STALE);
    if (!self->completed) return hand_unlock(self, token, VTS_E_NOT_COMPLETED);
    if (result != NULL) *(pc_statistics *)result = self->result;
    return hand_unlock(self, token, VTS_OK);
}

static const vts_source_ops hand_ops = {
    .get_status = hand_get_status,
    .on_completed = hand_on_completed,
    .get_result = hand_get_result,
};

static void hand_init(hand_source *self)
{
    self->base.ops = &hand_ops;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
}

/* Starts the next operation; the caller holds the lock. While one is pending, or its
   continuation has not run, somebody still counts on the source. */
static int hand_reset(hand_source *self, vts_token *token)
{
    bool pending = self->token != 0 && !self->completed;

    if (pending || self->continuation != NULL) return VTS_E_PENDING;
    self->completed = false;
    self->awaited = false;
    *token = ++self->token;
    return VTS_OK;
}

/* The completer names the operation, too: a late one must not complete the next. */
static int hand_set_result(hand_source *self, vts_token token,
                           const pc_statistics *result)
{
    int error = VTS_OK;

    pthread_mutex_lock(&self->lock);
    if (!hand_is_current(self, token)) {
        error = VTS_E_STALE;
    } else if (self->completed) {
        error = VTS_E_ALREADY_COMPLETED;
    } else {
        self->result = *result;
        self->completed = true;
        pthread_cond_signal(&self->changed);
    }
    pthread_mutex_unlock(&self->lock);
    return error;
}

/* Completion and registration come in any order, on two threads. They meet only here,
   so the continuation is neither lost nor run twice. It is copied out, because the
   source may be another operation's before the continuation returns. */
static bool hand_take_continuation(hand_source *self, vts_continuation *run, void **arg)
{
    if (!self->completed || self->continuation == NULL) return false;
    *run = self->continuation;
    *arg = self->arg;
    self->continuation = NULL;
    return true;
}

// ---- the monitor -----------------------------------------------------------------

/* The source's lock guards the monitor as well. */
typedef struct monitor {
    hand_source source;
    cache cache;
    bool requested, stop;
    vts_token token; /* of the operation that is requested                            */
    pthread_t sampler;
} monitor;

/* A handle for the next sample; the caller holds the lock. */
static statistics_valuetask request_sample(monitor *self)
{
    statistics_valuetask task;
    int error = hand_reset(&self->source, &self->token);

    if (error != VTS_OK) return statistics_from_error(error);
    self->requested = true;
    pthread_cond_signal(&self->source.changed);
    task.source = &self->source.base;
    task.as.token = self->token;
    return task;
}

/* Never blocks: the answer is in the handle if the cache has one, else it follows. */
static statistics_valuetask get_statistics_async(monitor *self, int max_age_ms)
{
    statistics_valuetask task;

    pthread_mutex_lock(&self->source.lock);
    if (cache_is_fresh(&self->cache, max_age_ms)) {
        task = statistics_from_result(&self->cache.last);
    } else {
        task = request_sample(self);
    }
    pthread_mutex_unlock(&self->source.lock);
    return task;
}

/* (The sampler reads the cache without the lock because nobody else writes it.) */
static void take_sample(monitor *self, vts_token token)
{
    pc_statistics sample = measure(self->cache.last.number + 1);
    int error;

    pthread_mutex_lock(&self->source.lock);
    cache_store(&self->cache, &sample);
    pthread_mutex_unlock(&self->source.lock);
    say("has measured, and completes the operation");
    error = hand_set_result(&self->source, token, &sample);
    if (error != VTS_OK) say("came too late: %s", vts_strerror(error));
}

/* What there is to do, without the lock; false if there is nothing. This is the safe
   place to run a continuation: no lock is held, and the stack is empty. */
static bool sampler_step(monitor *self)
{
    vts_continuation run = NULL;
    void *arg = NULL;
    vts_token token = self->token;
    bool ready = hand_take_continuation(&self->source, &run, &arg);

    if (!ready && !self->requested) return false;
    if (!ready) self->requested = false;
    pthread_mutex_unlock(&self->source.lock);
    if (ready) {
        run(arg);
    } else {
        take_sample(self, token);
    }
    pthread_mutex_lock(&self->source.lock);
    return true;
}

static void *run_sampler(void *arg)
{
    monitor *self = arg;

    thread_name = "sampler";
    pthread_mutex_lock(&self->source.lock);
    while (!self->stop) {
        if (sampler_step(self)) continue;
        pthread_cond_wait(&self->source.changed, &self->source.lock);
    }
    pthread_mutex_unlock(&self->source.lock);
    return NULL;
}

static void monitor_start(monitor *self)
{
    say("starts the sampler");
    if (pthread_create(&self->sampler, NULL, run_sampler, self) != 0) abort();
}

static void monitor_stop(monitor *self)
{
    say("stops the sampler");
    pthread_mutex_lock(&self->source.lock);
    self->stop = true;
    pthread_cond_signal(&self->source.changed);
    pthread_mutex_unlock(&self->source.lock);
    pthread_join(self->sampler, NULL);
}

// ---- the story -------------------------------------------------------------------

/* Static: a source outlives every handle of it. */
static monitor the_monitor;

/* Returns the handle it awaited, for what follows. */
static statistics_valuetask scene_awaited(void)
{
    caller first;

    scene("1. The cache is empty: the answer comes later.");
    path_begin(false);
    caller_init(&first, get_statistics_async(&the_monitor, ANY_AGE));
    caller_await(&first);
    monitor_start(&the_monitor);
    caller_wait(&first);
    claim(first.error == VTS_OK, "the first answer is no error");
    claim(first.result.number == 1, "the first sample arrives");
    claim(path_was(1, 1, 1), "the path is get_status, on_completed, get_result");
    return first.task;
}

static void scene_at_once(void)
{
    caller second;

    scene("2. Asked again: the cache is fresh, the answer is inside the handle.");
    path_begin(false);
    caller_init(&second, get_statistics_async(&the_monitor, ANY_AGE));
    caller_await(&second);
    caller_wait(&second);
    say("calls on a source: none");
    claim(second.result.number == 1, "the cached sample is given");
    claim(path_was(0, 0, 0), "an answer at once calls no source");
}

static void scene_used_again(statistics_valuetask old)
{
    pc_statistics result = {0, 0, 0, 0};
    int error;

    scene("3. The first handle, used again: its operation is still the last one.");
    error = statistics_get_result(old, &result);
    claim(error == VTS_OK && result.number == 1, "this source gives its result again");
    say_statistics("has again", &result);
    error = statistics_on_completed(old, caller_take, NULL, VTS_NONE);
    claim(error == VTS_E_ALREADY_AWAITED, "a second continuation is refused");
}

/* Returns the newer handle. */
static statistics_valuetask scene_stale(statistics_valuetask old)
{
    statistics_valuetask newer;
    pc_statistics result = {0, 0, 0, 0};

    scene("4. A newer sample is asked for: the reset makes the first handle stale.");
    newer = get_statistics_async(&the_monitor, NO_CACHE);
    claim(statistics_get_status(old) == VTS_E_STALE, "get_status finds it stale");
    claim(statistics_get_result(old, &result) == VTS_E_STALE,
          "get_result finds it stale");
    claim(statistics_on_completed(old, caller_take, NULL, VTS_NONE) == VTS_E_STALE,
          "on_completed finds it stale");
    claim(result.number == 0, "a refused call writes nothing");
    return newer;
}

static void scene_completed_first(statistics_valuetask task)
{
    caller third;

    scene("5. The newer one completes before anyone registers: nothing is lost.");
    wait_until_completed(task);
    caller_init(&third, task);
    statistics_on_completed(task, caller_take, &third, VTS_NONE);
    caller_wait(&third);
    say("only left a note: the sampler ran it, holding no lock, its stack empty");
    claim(third.result.number == 2, "the second sample arrives");
    claim(caller_was_run_by(&third, "sampler"), "the sampler runs every continuation");
}

// ---- the same, in a hurry --------------------------------------------------------
// Three functions that pass many a test, each with the mistake it invites.

typedef struct hasty_source {
    vts_valuetask_source base;
    vts_continuation continuation;
    void *arg;
    pc_statistics result;
} hasty_source;

/* MISTAKE: a result that equals zero counts as none. Who has such a result waits for
   ever. */
static int hasty_get_status(vts_valuetask_source *base, vts_token token)
{
    const pc_statistics *r = &((hasty_source *)base)->result;
    bool zero = r->number == 0 && r->memory_kib == 0 && r->cpu_us == 0 && r->load <= 0;

    (void)token;
    return zero ? VTS_PENDING : VTS_SUCCEEDED;
}

/* MISTAKE: counts on a completer that is still to come. */
static int hasty_on_completed(vts_valuetask_source *base, vts_token token,
                              vts_continuation continuation, void *arg, unsigned flags)
{
    hasty_source *self = (hasty_source *)base;

    (void)token;
    (void)flags;
    self->continuation = continuation;
    self->arg = arg;
    return VTS_OK;
}

/* MISTAKE: does not look at the token. Whatever the source holds is given to anyone. */
static int hasty_get_result(vts_valuetask_source *base, vts_token token, void *result)
{
    (void)token;
    *(pc_statistics *)result = ((hasty_source *)base)->result;
    return VTS_OK;
}

static const vts_source_ops hasty_ops = {
    .get_status = hasty_get_status,
    .on_completed = hasty_on_completed,
    .get_result = hasty_get_result,
};

static void hasty_set_result(hasty_source *self, const pc_statistics *result)
{
    self->result = *result;
    if (self->continuation != NULL) self->continuation(self->arg);
}

static void note_that_it_ran(void *arg) { *(bool *)arg = true; }

static void scene_in_a_hurry(void)
{
    static hasty_source source = {.base = {&hasty_ops}};
    static const pc_statistics nothing = {0, 0, 0, 0};
    statistics_valuetask task = {.source = &source.base, .as = {.token = 1}};
    pc_statistics result = {0, 0, 0, 0};
    bool ran = false;

    scene("6. The same three functions, in a hurry: no one complains, all is wrong.");
    hasty_set_result(&source, &nothing);
    claim(!statistics_is_completed(task), "'is zero' takes a result for none");
    say("has a completed operation whose result is zero: pending for ever");

    statistics_on_completed(task, note_that_it_ran, &ran, VTS_NONE);
    claim(!ran, "a continuation that comes second is lost");
    say("has registered after the completion: the continuation never runs");

    source.result = the_monitor.cache.last; /* the next operation completes */
    statistics_get_result(task, &result);
    claim(result.number == 2, "without a token check a handle gets another's result");
    say("asks with an old handle, and is given another operation's result:");
    say_statistics("has", &result);
}

int main(void)
{
    statistics_valuetask first;

    story("Step 1 of 3: a value task source by hand");
    vts_set_trace_hook(print_path, NULL);
    vts_set_misuse_hook(print_misuse, NULL);
    hand_init(&the_monitor.source);
    first = scene_awaited();
    scene_at_once();
    scene_used_again(first);
    scene_completed_first(scene_stale(first));
    monitor_stop(&the_monitor);
    scene_in_a_hurry();
    return the_end();
}
