/* article_2_core.c - step 2 of 3: the same monitor with vts_source

   Teaches that what step 1 writes by hand is one call each: reset starts an operation
   and gives its token, set_result completes it. The caller's code does not change.
   The result may be asked for until the next reset; from then on the handle is stale.
   Tokens are opaque: those of vts_source go up in steps of 32.
   One source is one operation at a time: who asks meanwhile is turned away. */
#define VTS_IMPLEMENTATION
#include "vts.h"

#include "monitor.h"

// ---- the monitor -----------------------------------------------------------------

typedef struct monitor {
    pthread_mutex_t lock; /* guards what follows, and who may reset the source        */
    pthread_cond_t changed;
    cache cache;
    bool requested, stop;
    vts_token token; /* of the operation that is requested                            */
    statistics_source source;
    pthread_t sampler;
} monitor;

/* A handle for the next sample; the caller holds the lock. */
static statistics_valuetask request_sample(monitor *self)
{
    int error = vts_source_reset(&self->source.core, &self->token);

    if (error != VTS_OK) return statistics_from_error(error);
    self->requested = true;
    pthread_cond_signal(&self->changed);
    return statistics_valuetask_of(&self->source, self->token);
}

/* Never blocks: the answer is in the handle if the cache has one, else it follows. */
static statistics_valuetask get_statistics_async(monitor *self, int max_age_ms)
{
    statistics_valuetask task;

    pthread_mutex_lock(&self->lock);
    if (cache_is_fresh(&self->cache, max_age_ms)) {
        task = statistics_from_result(&self->cache.last);
    } else {
        task = request_sample(self);
    }
    pthread_mutex_unlock(&self->lock);
    return task;
}

/* The completer names the operation, too: one that is late cannot complete the next. It
   holds no lock: the continuation runs inside set_result, and may do anything. (The
   sampler reads the cache without the lock because nobody else writes it.) */
static void take_sample(monitor *self, vts_token token)
{
    pc_statistics sample = measure(self->cache.last.number + 1);
    int error;

    pthread_mutex_lock(&self->lock);
    cache_store(&self->cache, &sample);
    pthread_mutex_unlock(&self->lock);
    say("has measured, and completes the operation");
    error = statistics_set_result(&self->source, token, &sample);
    if (error != VTS_OK) say("came too late: %s", vts_strerror(error));
}

static void *run_sampler(void *arg)
{
    monitor *self = arg;

    thread_name = "sampler";
    pthread_mutex_lock(&self->lock);
    while (!self->stop) {
        vts_token token = self->token;
        if (!self->requested) {
            pthread_cond_wait(&self->changed, &self->lock);
            continue;
        }
        self->requested = false;
        pthread_mutex_unlock(&self->lock);
        take_sample(self, token);
        pthread_mutex_lock(&self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static void monitor_start(monitor *self)
{
    self->stop = false;
    say("starts the sampler");
    if (pthread_create(&self->sampler, NULL, run_sampler, self) != 0) abort();
}

static void monitor_stop(monitor *self)
{
    say("stops the sampler");
    pthread_mutex_lock(&self->lock);
    self->stop = true;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->sampler, NULL);
}

// ---- the story -------------------------------------------------------------------

/* Static: a source outlives every handle of it. */
static monitor the_monitor = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
};

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
    pc_statistics result;
    int error;

    scene("3. The first handle, used again: its operation is still the last one.");
    error = statistics_get_result(old, &result);
    claim(error == VTS_OK, "a bare source gives its result again");
    claim(result.number == 1, "the repeated result is the same one");
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
    claim(third.done, "the continuation runs before on_completed returns");
    say("found it completed, and ran the continuation before on_completed returned");
    caller_wait(&third);
    claim(caller_was_run_by(&third, "main"), "whoever registers last runs it");
    claim(third.result.number == 2, "the second sample arrives");
}

static void scene_two_callers(void)
{
    caller fourth, fifth;

    scene("6. Two callers at once: one source is one operation.");
    monitor_stop(&the_monitor);
    path_begin(false);
    caller_init(&fourth, get_statistics_async(&the_monitor, NO_CACHE));
    caller_await(&fourth);
    caller_init(&fifth, get_statistics_async(&the_monitor, NO_CACHE));
    caller_await(&fifth);
    caller_wait(&fifth);
    claim(fifth.error == VTS_E_PENDING, "the second caller is turned away");
    monitor_start(&the_monitor);
    caller_wait(&fourth);
    claim(fourth.error == VTS_OK, "the first caller is not harmed");
    claim(fourth.result.number == 3, "the third sample arrives");
    say("step 3 has a source for each of them");
}

int main(void)
{
    statistics_valuetask first;

    story("Step 2 of 3: the same monitor with vts_source");
    vts_set_trace_hook(print_path, NULL);
    vts_set_misuse_hook(print_misuse, NULL);
    statistics_source_init(&the_monitor.source);
    first = scene_awaited();
    scene_at_once();
    scene_used_again(first);
    scene_completed_first(scene_stale(first));
    scene_two_callers();
    monitor_stop(&the_monitor);
    return the_end();
}
