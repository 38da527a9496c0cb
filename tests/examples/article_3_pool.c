/* article_3_pool.c - step 3 of 3: a pooled source for every caller

   Teaches how an operation stops belonging to one source: each request rents one, each
   taken result returns it, so that any number of callers wait for the same sample.
   Nobody returns anything by hand, and nobody resets. A handle is stale as soon as its
   result is taken, even when its source already serves somebody else.
   The rented item has room for the monitor's own list: a request allocates nothing. */
#define VTS_IMPLEMENTATION
#include "vts.h"

#include "monitor.h"

// ---- the monitor -----------------------------------------------------------------

/* What the pool holds: a source, and what the monitor keeps while it is rented. */
typedef struct waiter {
    statistics_source source; /* first: an item of such a pool begins with it         */
    vts_token token;
    struct waiter *next;
} waiter;

typedef struct monitor {
    pthread_mutex_t lock; /* guards what follows, but not the pool: it needs no lock  */
    pthread_cond_t changed;
    cache cache;
    bool stop;
    waiter *waiting; /* for the next sample                                           */
    vts_pool pool;
    pthread_t sampler;
} monitor;

static void monitor_init(monitor *self)
{
    vts_pool_desc desc = statistics_pool_desc();

    desc.item_size = sizeof(waiter);
    desc.cache = -1; /* one list for all threads: the story shows a source twice */
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    if (vts_pool_init(&self->pool, &desc) != VTS_OK) abort();
}

/* A handle for the next sample; the caller holds the lock. */
static statistics_valuetask request_sample(monitor *self)
{
    vts_token token;
    waiter *rented = (waiter *)statistics_rent(&self->pool, &token, VTS_HERE);

    if (rented == NULL) return statistics_from_error(VTS_E_EXHAUSTED);
    rented->token = token;
    rented->next = self->waiting;
    self->waiting = rented;
    pthread_cond_signal(&self->changed);
    return statistics_valuetask_of(&rented->source, token);
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

/* The link is read first: when set_result returns, the item may be back in the pool and
   another caller's. */
static void complete_all(waiter *waiting, const pc_statistics *sample)
{
    while (waiting != NULL) {
        waiter *next = waiting->next;
        statistics_set_result(&waiting->source, waiting->token, sample);
        waiting = next;
    }
}

/* One sample for all who wait. (The sampler reads the cache without the lock because
   nobody else writes it.) */
static void take_sample(monitor *self, waiter *waiting)
{
    pc_statistics sample = measure(self->cache.last.number + 1);

    pthread_mutex_lock(&self->lock);
    cache_store(&self->cache, &sample);
    pthread_mutex_unlock(&self->lock);
    say("has measured, and completes every operation that waits");
    complete_all(waiting, &sample);
}

static void *run_sampler(void *arg)
{
    monitor *self = arg;

    thread_name = "sampler";
    pthread_mutex_lock(&self->lock);
    while (!self->stop) {
        waiter *waiting = self->waiting;
        if (waiting == NULL) {
            pthread_cond_wait(&self->changed, &self->lock);
            continue;
        }
        self->waiting = NULL;
        pthread_mutex_unlock(&self->lock);
        take_sample(self, waiting);
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

/* Static: a pool outlives every handle of its sources. */
static monitor the_monitor;

/* Says it, and claims it; exact while the sampler rests. */
static void sources_out(size_t expected)
{
    size_t out = vts_pool_outstanding(&the_monitor.pool);

    say("sources out of the pool: %u", (unsigned)out);
    claim(out == expected, "each request rents one source, each result returns one");
}

/* Returns the handle it awaited, for what follows. */
static statistics_valuetask scene_awaited(void)
{
    caller first;

    scene("1. The cache is empty: the caller rents a source.");
    path_begin(false);
    caller_init(&first, get_statistics_async(&the_monitor, ANY_AGE));
    caller_await(&first);
    sources_out(1);
    monitor_start(&the_monitor);
    caller_wait(&first);
    monitor_stop(&the_monitor);
    sources_out(0);
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
    sources_out(0);
    claim(second.result.number == 1, "the cached sample is given");
    claim(path_was(0, 0, 0), "an answer at once calls no source");
}

static void use_stale(statistics_valuetask old)
{
    pc_statistics result = {0, 0, 0, 0};

    claim(statistics_get_status(old) == VTS_E_STALE, "get_status finds it stale");
    claim(statistics_get_result(old, &result) == VTS_E_STALE,
          "get_result finds it stale");
    claim(statistics_on_completed(old, caller_take, NULL, VTS_NONE) == VTS_E_STALE,
          "on_completed finds it stale");
    claim(result.number == 0, "a refused call writes nothing");
}

static void scene_somebody_elses(statistics_valuetask old)
{
    caller third;
    int error;

    scene("4. Its source now serves somebody else: the old handle cannot touch that.");
    caller_init(&third, get_statistics_async(&the_monitor, NO_CACHE));
    caller_await(&third);
    claim(third.task.source == old.source, "the pool rents the same source again");
    claim(third.task.as.token != old.as.token, "the source has another token then");
    use_stale(old);
    say("awaits the new handle twice:");
    error = statistics_on_completed(third.task, caller_take, &third, VTS_NONE);
    claim(error == VTS_E_ALREADY_AWAITED, "a second continuation is refused");
    monitor_start(&the_monitor);
    caller_wait(&third);
    monitor_stop(&the_monitor);
    claim(third.error == VTS_OK && third.result.number == 2, "the new one is unharmed");
    sources_out(0);
}

#define CROWD 100

static void scene_crowd(void)
{
    static caller crowd[CROWD];
    int i, same = 0;

    scene("5. A hundred callers at once: a source each, one sample for all.");
    path_begin(true);
    for (i = 0; i < CROWD; i++) {
        caller_init(&crowd[i], get_statistics_async(&the_monitor, NO_CACHE));
        crowd[i].quiet = true;
        caller_await(&crowd[i]);
    }
    sources_out(CROWD);
    monitor_start(&the_monitor);
    for (i = 0; i < CROWD; i++) {
        caller_wait(&crowd[i]);
        same += crowd[i].error == VTS_OK && crowd[i].result.number == 3;
    }
    monitor_stop(&the_monitor);
    say("callers that have sample 3: %d", same);
    claim(same == CROWD, "one sample answers them all");
    claim(path_was(CROWD, CROWD, CROWD), "each takes the same path as one alone");
    sources_out(0);
}

int main(void)
{
    statistics_valuetask first;

    story("Step 3 of 3: a pooled source for every caller");
    vts_set_trace_hook(print_path, NULL);
    vts_set_misuse_hook(print_misuse, NULL);
    monitor_init(&the_monitor);
    first = scene_awaited();
    scene_at_once();
    scene("3. The first handle is used again: its result was taken, it is stale.");
    use_stale(first);
    scene_somebody_elses(first);
    scene_crowd();
    claim(vts_pool_destroy(&the_monitor.pool) == VTS_OK, "nothing is left behind");
    return the_end();
}
