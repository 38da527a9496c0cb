/* What the programs about the programming model share: memory that notices, and a way to
   name a scenario in one line. */
#ifndef MODEL_H
#define MODEL_H

#include "tests/explore/shipped.h"

// ---- memory: nothing is used again, and who is late is seen ----

static _Alignas(64) unsigned char arena[1 << 12];
static x_word arena_used, arena_freed;

static size_t whole_lines(size_t size) { return (size + 63) & ~(size_t)63; }

static inline void *arena_alloc(void *user, size_t size)
{
    size_t at = x_add(&arena_used, whole_lines(size), X_RLX);

    (void)user;
    return at + whole_lines(size) <= sizeof arena ? arena + at : NULL;
}

/* Uses memory for something else: a write that races with whatever is late. (gcc does not
   report what memset does.) */
X_QUIET void reuse(void *memory, size_t size)
{
    x_plain(memory, size, X_WRITE);
    memset(memory, 0xdd, size);
}

static inline void arena_free(void *user, void *memory, size_t size)
{
    (void)user;
    reuse(memory, size);
    x_add(&arena_freed, whole_lines(size), X_RLX);
}

static const vts_allocator arena_allocator = {arena_alloc, arena_free, NULL};

X_QUIET void forget_arena(void)
{
    arena_used = arena_freed = 0;
    memset(arena, 0, sizeof arena);
    x_name(arena, sizeof arena, "arena", NULL);
}

static inline void check_freed(void) { x_check(arena_used == arena_freed); }

// ---- scenarios ----

typedef struct scene {
    const char *name;
    void (*setup)(void);
    void (*thread[X_THREADS])(void); /* NULL: fewer */
    void (*finish)(void);
    int bound, long_bound; /* 0: none */
    int disturbed;
} scene;

static const scene *scene_now;

static inline void scene_thread(int id) { scene_now->thread[id](); }

static inline void run_scenes(const scene *scenes, size_t count)
{
    size_t i;

    x_on_switch = switch_self;
    vts_set_clock(model_clock);
    for (i = 0; i < count; i++) {
        x_scenario scenario = {0};
        scene_now = &scenes[i];
        scenario.name = scene_now->name;
        scenario.setup = scene_now->setup;
        scenario.thread = scene_thread;
        scenario.finish = scene_now->finish;
        scenario.bound = scene_now->bound;
        scenario.long_bound = scene_now->long_bound;
        scenario.disturbed = scene_now->disturbed;
        while (scenario.threads < X_THREADS &&
               scene_now->thread[scenario.threads] != NULL) {
            scenario.threads++;
        }
        x_explore(&scenario);
    }
}

#endif
