/* The PC monitor's cache: a reader beside a pass that publishes gets one sample, whole, or
   none. The copy of pairs that x86 has is left out: its loads are no steps here. */
#include "tests/explore/shipped.h"

#include <errno.h>
#include <hwloc.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#undef __x86_64__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* its locals may be called as the explorer's */
#include "vts_pcmon.h"
#pragma GCC diagnostic pop

static vts_pcmon monitor;
static uint64_t clock_ns;

static uint64_t now(void *user, vts_pc_clock clock)
{
    (void)user;
    (void)clock;
    return clock_ns;
}

/* A sample of equal words, told apart by their value. */
static void publish(uint64_t value)
{
    uint64_t *word = (uint64_t *)(void *)&monitor.next;
    size_t i;

    for (i = 0; i < sizeof monitor.next / sizeof *word; i++) word[i] = value;
    vts__pc_publish_cache(&monitor, value);
}

static void setup(void)
{
    forget_threads();
    memset(&monitor, 0, sizeof monitor);
    monitor.io.now_ns = now;
    monitor.fresh_clock = VTS_PC_CLOCK_MONOTONIC;
    monitor.freshness_ns = 100; /* zeros would be fresh, too */
    clock_ns = 12;
    x_name(&monitor.sequence, sizeof monitor.sequence, "sequence", NULL);
    x_name(&monitor.cache, sizeof monitor.cache, "cache", NULL);
}

static void setup_published(void)
{
    setup();
    publish(4);
}

/* What is read is old or new, all of it, and not there at all before the first pass. */
static void publish_or_read(int id)
{
    uint64_t word[sizeof(vts_pc_statistics) / 8];
    bool retry;
    size_t i;

    if (id == 0) {
        publish(5);
        return;
    }
    memset(word, 0, sizeof word);
    if (!vts__pc_try_fresh(&monitor, (vts_pc_statistics *)(void *)word, &retry)) {
        x_check(word[0] == 0);
        return;
    }
    x_check(word[0] == 4 || word[0] == 5);
    for (i = 1; i < sizeof word / sizeof *word; i++) x_check(word[i] == word[0]);
}

static void run(const char *name, void (*begin)(void))
{
    x_scenario scenario = {0};

    scenario.name = name;
    scenario.threads = 2;
    scenario.bound = 2;
    scenario.setup = begin;
    scenario.thread = publish_or_read;
    x_explore(&scenario);
}

int main(int argc, char **argv)
{
    x_options(argc, argv);
    x_on_switch = switch_self;
    run("a sample is read whole or not", setup_published);
    run("before the first pass there is none", setup);
    return x_status();
}
