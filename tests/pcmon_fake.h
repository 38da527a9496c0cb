/* pcmon_fake.h - a machine made of memory: the file tree, clocks and failures behind a
   vts_pc_io, so that the tests of vts_pcmon.h decide what every call answers.

       fake *world = fake_new();
       fake_coretemp(world, 0, 0, "Package id 0", 55000);
       fake_file(world, "1 2 3 4\n", "/proc/%s", "loadavg");
       desc.io = fake_io(world);
       ...
       fake_advance(world, 1000000000);
       ...
       fake_free(world);          // fails the test when a descriptor is still open

   A node is a file, a directory or a link; the directories above a node come along. A
   file answers with its content, with an errno, or step by step with a script; it may
   take time, which passes on the fake clocks. Removing a file leaves its descriptors
   answering ENODEV for ever, as sysfs does, even when the path comes back.

   Every call is counted, per kind and per file; the n-th of a kind can be made to fail.
   All functions may be used from any thread. */
#ifndef VTS_PCMON_FAKE_H
#define VTS_PCMON_FAKE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "test.h"

#define FAKE_MS 1000000ull
#define FAKE_S 1000000000ull
#define FAKE_DESCRIPTORS 100000 /* the first descriptor of a world */

#define FAKE_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* What the io table is asked for, by function. */
typedef enum fake_call {
    FAKE_OPEN,
    FAKE_PREAD,
    FAKE_CLOSE,
    FAKE_LIST,
    FAKE_REALPATH,
    FAKE_NOW,
    FAKE_TIMER,
    FAKE_EVENT,
    FAKE_START,
    FAKE_JOIN,
    FAKE_CALLS
} fake_call;

/* One answer of a scripted file: an errno if error is not 0, else the content. */
typedef struct fake_step {
    const char *content;
    int error;
    uint64_t delay_ns;
} fake_step;

typedef enum fake_type { FAKE_DIRECTORY, FAKE_FILE, FAKE_LINK } fake_type;

typedef struct fake_node {
    char *path;
    struct fake_node *parent, *next; /* next: of the same hash */
    fake_type type;
    bool removed;
    char *content; /* of a link: its target, relative to its directory or absolute */
    size_t size;
    int open_error, read_error, list_error;
    uint64_t delay_ns;
    const fake_step *script;
    size_t steps, step;
    unsigned opens, reads;
} fake_node;

#define FAKE_BUCKETS 1024u

typedef struct fake {
    pthread_mutex_t lock;
    fake_node **nodes;
    size_t node_count, node_room;
    fake_node *bucket[FAKE_BUCKETS];
    fake_node **descriptors; /* NULL once closed; numbers are never used twice */
    size_t descriptor_count, descriptor_room;
    size_t misuse; /* reads and closes of a descriptor that is not open */
    uint64_t coarse_ns, monotonic_ns, boottime_ns;
    uint64_t now_calls[3];
    int cpu; /* what current_cpu answers */
    size_t calls[FAKE_CALLS], fail_at[FAKE_CALLS], failures[FAKE_CALLS];
    int fail_errno[FAKE_CALLS];
    /* Runs at the start of every open, pread and list, without the lock. */
    void (*hook)(struct fake *world, fake_call call, const char *path);
    void *hook_user;
    vts_pc_io io;
} fake;

// ----------------------------------------------------------------------------------
// Nodes
// ----------------------------------------------------------------------------------

static inline void *fake_need(void *memory)
{
    if (memory == NULL) abort();
    return memory;
}

static inline char *fake_copy(const char *text, size_t size)
{
    char *copy = (char *)fake_need(malloc(size + 1));
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

static inline uint32_t fake_hash(const char *text, size_t size)
{
    uint32_t hash = 2166136261u;
    size_t i;

    for (i = 0; i < size; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash % FAKE_BUCKETS;
}

/* The live node with exactly this path, links not followed. */
static inline fake_node *fake_at(const fake *world, const char *path, size_t size)
{
    fake_node *node = world->bucket[fake_hash(path, size)];

    for (; node != NULL; node = node->next) {
        if (!node->removed && strlen(node->path) == size &&
            memcmp(node->path, path, size) == 0) return node;
    }
    return NULL;
}

static inline fake_node *fake_make(fake *world, const char *path, size_t size)
{
    fake_node *node = fake_at(world, path, size);
    size_t cut = size;
    uint32_t hash;

    if (node != NULL) return node;
    node = (fake_node *)fake_need(calloc(1, sizeof *node));
    node->path = fake_copy(path, size);
    hash = fake_hash(path, size);
    node->next = world->bucket[hash];
    world->bucket[hash] = node;
    if (world->node_count == world->node_room) {
        world->node_room = world->node_room * 2 + 64;
        world->nodes = (fake_node **)fake_need(
            realloc(world->nodes, world->node_room * sizeof *world->nodes));
    }
    world->nodes[world->node_count++] = node;
    while (cut > 0 && path[cut - 1] != '/') cut--;
    if (cut > 1) node->parent = fake_make(world, path, cut - 1);
    return node;
}

/* Path becomes canonical in place; "." and "..", links and doubled slashes go. 0, or a
   negative errno. */
static inline int fake_resolve_at(const fake *world, char *path, size_t size, int depth)
{
    char in[1024], out[1024] = "";
    size_t used = 0, i = 0, length = strlen(path);

    if (depth > 16) return -ELOOP;
    if (length >= sizeof in) return -ENAMETOOLONG;
    memcpy(in, path, length + 1);
    while (i < length) {
        size_t start, part;
        const fake_node *node;

        while (in[i] == '/') i++;
        for (start = i; i < length && in[i] != '/'; i++) {}
        part = i - start;
        if (part == 0 || (part == 1 && in[start] == '.')) continue;
        if (part == 2 && in[start] == '.' && in[start + 1] == '.') {
            while (used > 0 && out[--used] != '/') {}
            out[used] = '\0';
            continue;
        }
        if (used + part + 2 > sizeof out) return -ENAMETOOLONG;
        out[used++] = '/';
        memcpy(out + used, in + start, part);
        out[used += part] = '\0';
        node = fake_at(world, out, used);
        if (node == NULL) return -ENOENT;
        if (node->type == FAKE_LINK) {
            char next[2048];
            int error;

            while (used > 0 && out[--used] != '/') {}
            out[used] = '\0';
            snprintf(next, sizeof next, "%s%s%s/%s",
                     node->content[0] == '/' ? "" : out,
                     node->content[0] == '/' ? "" : "/", node->content, in + i);
            error = fake_resolve_at(world, next, sizeof next, depth + 1);
            if (error == 0) snprintf(path, size, "%s", next);
            return error;
        }
    }
    snprintf(path, size, "%s", used == 0 ? "/" : out);
    return 0;
}

/* The node a path leads to, links followed; NULL and the errno in *error. */
static inline fake_node *fake_lookup(const fake *world, const char *path, int *error)
{
    char canonical[2048];

    snprintf(canonical, sizeof canonical, "%s", path);
    *error = fake_resolve_at(world, canonical, sizeof canonical, 0);
    if (*error != 0) return NULL;
    return fake_at(world, canonical, strlen(canonical));
}

#define FAKE_FORMAT(path, format)                                                      \
    do {                                                                               \
        va_list list_;                                                                 \
        va_start(list_, format);                                                       \
        vsnprintf(path, sizeof path, format, list_);                                   \
        va_end(list_);                                                                 \
    } while (0)

static inline fake_node *fake_set(fake *world, const char *path, fake_type type,
                                  const char *content, size_t size)
{
    fake_node *node;

    pthread_mutex_lock(&world->lock);
    if (type == FAKE_FILE) {
        int error;
        node = fake_lookup(world, path, &error);
    } else {
        node = NULL;
    }
    if (node == NULL) node = fake_make(world, path, strlen(path));
    free(node->content);
    node->content = fake_copy(content, size);
    node->size = size;
    node->type = type;
    pthread_mutex_unlock(&world->lock);
    return node;
}

/* Makes a file, or gives an existing one new content. */
FAKE_PRINTF(3, 4)
static inline fake_node *fake_file(fake *world, const char *content, const char *format,
                                   ...)
{
    char path[1024];
    FAKE_FORMAT(path, format);
    return fake_set(world, path, FAKE_FILE, content, strlen(content));
}

/* The same with a number, as sysfs writes it. */
FAKE_PRINTF(3, 4)
static inline fake_node *fake_number(fake *world, int64_t number, const char *format, ...)
{
    char path[1024], text[32];
    FAKE_FORMAT(path, format);
    snprintf(text, sizeof text, "%lld\n", (long long)number);
    return fake_set(world, path, FAKE_FILE, text, strlen(text));
}

FAKE_PRINTF(3, 4)
static inline void fake_link(fake *world, const char *target, const char *format, ...)
{
    char path[1024];
    FAKE_FORMAT(path, format);
    fake_set(world, path, FAKE_LINK, target, strlen(target));
}

FAKE_PRINTF(2, 3)
static inline void fake_directory(fake *world, const char *format, ...)
{
    char path[1024];
    FAKE_FORMAT(path, format);
    pthread_mutex_lock(&world->lock);
    fake_make(world, path, strlen(path));
    pthread_mutex_unlock(&world->lock);
}

/* The node of a path, links followed; fails the test when there is none. */
FAKE_PRINTF(2, 3)
static inline fake_node *fake_get(fake *world, const char *format, ...)
{
    char path[1024];
    fake_node *node;
    int error;

    FAKE_FORMAT(path, format);
    pthread_mutex_lock(&world->lock);
    node = fake_lookup(world, path, &error);
    pthread_mutex_unlock(&world->lock);
    if (node == NULL) fail_msg("the world has no %s", path);
    return node;
}

/* Takes away a node and all below it, links not followed. */
FAKE_PRINTF(2, 3)
static inline void fake_remove(fake *world, const char *format, ...)
{
    char path[1024];
    size_t i, size;

    FAKE_FORMAT(path, format);
    size = strlen(path);
    pthread_mutex_lock(&world->lock);
    for (i = 0; i < world->node_count; i++) {
        fake_node *node = world->nodes[i];
        if (strncmp(node->path, path, size) == 0 &&
            (node->path[size] == '/' || node->path[size] == '\0')) node->removed = true;
    }
    pthread_mutex_unlock(&world->lock);
}

/* From now on reads of the file fail with an errno; 0: they work. */
FAKE_PRINTF(3, 4)
static inline void fake_read_error(fake *world, int error, const char *format, ...)
{
    char path[1024];
    fake_node *node;

    FAKE_FORMAT(path, format);
    node = fake_get(world, "%s", path);
    pthread_mutex_lock(&world->lock);
    node->read_error = error;
    pthread_mutex_unlock(&world->lock);
}

/* Each read of the file takes so long on the fake clocks. */
FAKE_PRINTF(3, 4)
static inline void fake_delay(fake *world, uint64_t delay_ns, const char *format, ...)
{
    char path[1024];
    fake_node *node;

    FAKE_FORMAT(path, format);
    node = fake_get(world, "%s", path);
    pthread_mutex_lock(&world->lock);
    node->delay_ns = delay_ns;
    pthread_mutex_unlock(&world->lock);
}

/* The reads of the file answer step by step; the last step repeats. */
FAKE_PRINTF(4, 5)
static inline void fake_script(fake *world, const fake_step *script, size_t steps,
                               const char *format, ...)
{
    char path[1024];
    fake_node *node;

    FAKE_FORMAT(path, format);
    node = fake_get(world, "%s", path);
    pthread_mutex_lock(&world->lock);
    node->script = script;
    node->steps = steps;
    node->step = 0;
    pthread_mutex_unlock(&world->lock);
}

FAKE_PRINTF(2, 3)
static inline unsigned fake_reads(fake *world, const char *format, ...)
{
    char path[1024];
    FAKE_FORMAT(path, format);
    return fake_get(world, "%s", path)->reads;
}

FAKE_PRINTF(2, 3)
static inline unsigned fake_opens(fake *world, const char *format, ...)
{
    char path[1024];
    FAKE_FORMAT(path, format);
    return fake_get(world, "%s", path)->opens;
}

// ----------------------------------------------------------------------------------
// Clocks and failures
// ----------------------------------------------------------------------------------

static inline void fake_advance(fake *world, uint64_t ns)
{
    pthread_mutex_lock(&world->lock);
    world->coarse_ns += ns;
    world->monotonic_ns += ns;
    world->boottime_ns += ns;
    pthread_mutex_unlock(&world->lock);
}

/* The machine sleeps: only CLOCK_BOOTTIME goes on. */
static inline void fake_suspend(fake *world, uint64_t ns)
{
    pthread_mutex_lock(&world->lock);
    world->boottime_ns += ns;
    pthread_mutex_unlock(&world->lock);
}

/* From now on the n-th call of a kind fails, and only that one; n 0: none does. */
static inline void fake_fail(fake *world, fake_call call, size_t n, int error)
{
    pthread_mutex_lock(&world->lock);
    world->fail_at[call] = n == 0 ? 0 : world->calls[call] + n;
    world->fail_errno[call] = error;
    world->failures[call] = 0;
    pthread_mutex_unlock(&world->lock);
}

static inline size_t fake_calls(fake *world, fake_call call)
{
    size_t calls;

    pthread_mutex_lock(&world->lock);
    calls = world->calls[call];
    pthread_mutex_unlock(&world->lock);
    return calls;
}

/* Whether the call that fake_fail named was reached. */
static inline bool fake_has_failed(fake *world, fake_call call)
{
    size_t failures;

    pthread_mutex_lock(&world->lock);
    failures = world->failures[call];
    pthread_mutex_unlock(&world->lock);
    return failures != 0;
}

static inline size_t fake_open_descriptors(fake *world)
{
    size_t i, open = 0;

    pthread_mutex_lock(&world->lock);
    for (i = 0; i < world->descriptor_count; i++) open += world->descriptors[i] != NULL;
    pthread_mutex_unlock(&world->lock);
    return open;
}

/* Counts a call; the errno with which it fails, or 0. The lock is held. */
static inline int fake_count(fake *world, fake_call call)
{
    if (++world->calls[call] != world->fail_at[call]) return 0;
    world->failures[call]++;
    return world->fail_errno[call];
}

static inline void fake_run_hook(fake *world, fake_call call, const char *path)
{
    if (world->hook != NULL) world->hook(world, call, path);
}

// ----------------------------------------------------------------------------------
// The io table
// ----------------------------------------------------------------------------------

/* A directory can be opened, and says EISDIR when it is read. */
static inline int fake_open_locked(fake *world, const char *path)
{
    int error = fake_count(world, FAKE_OPEN);
    fake_node *node;

    if (error != 0) return -error;
    node = fake_lookup(world, path, &error);
    if (node == NULL) return error;
    node->opens++;
    if (node->open_error != 0) return -node->open_error;
    if (world->descriptor_count == world->descriptor_room) {
        world->descriptor_room = world->descriptor_room * 2 + 64;
        world->descriptors = (fake_node **)fake_need(realloc(
            world->descriptors, world->descriptor_room * sizeof *world->descriptors));
    }
    world->descriptors[world->descriptor_count++] = node;
    return FAKE_DESCRIPTORS + (int)world->descriptor_count - 1;
}

static inline int fake_io_open(void *user, const char *path)
{
    fake *world = (fake *)user;
    int descriptor;

    fake_run_hook(world, FAKE_OPEN, path);
    pthread_mutex_lock(&world->lock);
    descriptor = fake_open_locked(world, path);
    pthread_mutex_unlock(&world->lock);
    return descriptor;
}

static inline fake_node **fake_descriptor(fake *world, int descriptor)
{
    int index = descriptor - FAKE_DESCRIPTORS;

    if (index >= 0 && (size_t)index < world->descriptor_count &&
        world->descriptors[index] != NULL) return &world->descriptors[index];
    world->misuse++;
    return NULL;
}

static inline void fake_pass_time(fake *world, uint64_t ns)
{
    world->coarse_ns += ns;
    world->monotonic_ns += ns;
    world->boottime_ns += ns;
}

static inline int64_t fake_read_node(fake *world, fake_node *node, void *buffer,
                                     size_t size, uint64_t offset)
{
    const char *content = node->content;
    size_t length = node->size;

    node->reads++;
    fake_pass_time(world, node->delay_ns);
    if (node->removed) return -ENODEV;
    if (node->type == FAKE_DIRECTORY) return -EISDIR;
    if (node->steps != 0) {
        const fake_step *step = &node->script[node->step];
        if (node->step + 1 < node->steps) node->step++;
        fake_pass_time(world, step->delay_ns);
        if (step->error != 0) return -step->error;
        content = step->content;
        length = strlen(content);
    }
    if (node->read_error != 0) return -node->read_error;
    if (offset >= length) return 0;
    if (size > length - offset) size = length - offset;
    memcpy(buffer, content + offset, size);
    return (int64_t)size;
}

static inline int64_t fake_io_pread(void *user, int descriptor, void *buffer, size_t size,
                                    uint64_t offset)
{
    fake *world = (fake *)user;
    fake_node **open;
    int64_t result = -EBADF;
    int error;

    pthread_mutex_lock(&world->lock);
    open = fake_descriptor(world, descriptor);
    pthread_mutex_unlock(&world->lock);
    if (open != NULL) fake_run_hook(world, FAKE_PREAD, (*open)->path);
    pthread_mutex_lock(&world->lock);
    error = fake_count(world, FAKE_PREAD);
    if (error != 0) result = -error;
    else if (open != NULL) {
        open = fake_descriptor(world, descriptor);
        result = fake_read_node(world, *open, buffer, size, offset);
    }
    pthread_mutex_unlock(&world->lock);
    return result;
}

static inline void fake_io_close(void *user, int descriptor)
{
    fake *world = (fake *)user;
    fake_node **open;

    pthread_mutex_lock(&world->lock);
    fake_count(world, FAKE_CLOSE);
    if (descriptor >= 0 && descriptor < FAKE_DESCRIPTORS) {
        close(descriptor); /* a timer or an event: those are real */
    } else {
        open = fake_descriptor(world, descriptor);
        if (open != NULL) *open = NULL;
    }
    pthread_mutex_unlock(&world->lock);
}

/* The names are copied first: entry() may call the world again. */
static inline int fake_io_list(void *user, const char *path,
                               bool (*entry)(void *context, const char *name),
                               void *context)
{
    fake *world = (fake *)user;
    char **names;
    size_t count = 0, i;
    fake_node *directory;
    bool more = true;
    int error;

    fake_run_hook(world, FAKE_LIST, path);
    pthread_mutex_lock(&world->lock);
    error = -fake_count(world, FAKE_LIST);
    directory = error != 0 ? NULL : fake_lookup(world, path, &error);
    if (directory != NULL && directory->type != FAKE_DIRECTORY) error = -ENOTDIR;
    if (directory != NULL && directory->list_error != 0) error = -directory->list_error;
    names = (char **)fake_need(calloc(world->node_count + 1, sizeof *names));
    for (i = 0; error == 0 && i < world->node_count; i++) {
        const fake_node *node = world->nodes[i];
        const char *name = strrchr(node->path, '/') + 1;
        if (node->removed || node->parent != directory) continue;
        names[count++] = fake_copy(name, strlen(name));
    }
    pthread_mutex_unlock(&world->lock);
    for (i = 0; i < count; i++) {
        if (more) more = entry(context, names[i]);
        free(names[i]);
    }
    free(names);
    return error;
}

static inline int fake_io_realpath(void *user, const char *path, char *out, size_t size)
{
    fake *world = (fake *)user;
    char canonical[2048];
    int error;

    snprintf(canonical, sizeof canonical, "%s", path);
    pthread_mutex_lock(&world->lock);
    error = -fake_count(world, FAKE_REALPATH);
    if (error == 0) error = fake_resolve_at(world, canonical, sizeof canonical, 0);
    pthread_mutex_unlock(&world->lock);
    if (error != 0) return error;
    if (strlen(canonical) >= size) return -ENAMETOOLONG;
    memcpy(out, canonical, strlen(canonical) + 1);
    return 0;
}

static inline uint64_t fake_io_now(void *user, vts_pc_clock clock)
{
    fake *world = (fake *)user;
    uint64_t now;

    pthread_mutex_lock(&world->lock);
    world->now_calls[clock]++;
    now = clock == VTS_PC_CLOCK_COARSE      ? world->coarse_ns
          : clock == VTS_PC_CLOCK_MONOTONIC ? world->monotonic_ns
                                            : world->boottime_ns;
    pthread_mutex_unlock(&world->lock);
    return now;
}

static inline int fake_io_cpu(void *user)
{
    return ((fake *)user)->cpu;
}

/* The real things, with a failure on demand. */
static inline int fake_io_timer(void *user)
{
    fake *world = (fake *)user;
    int error, timer;

    pthread_mutex_lock(&world->lock);
    error = fake_count(world, FAKE_TIMER);
    pthread_mutex_unlock(&world->lock);
    if (error != 0) return -error;
    timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    return timer < 0 ? -errno : timer;
}

static inline int fake_io_event(void *user)
{
    fake *world = (fake *)user;
    int error, event;

    pthread_mutex_lock(&world->lock);
    error = fake_count(world, FAKE_EVENT);
    pthread_mutex_unlock(&world->lock);
    if (error != 0) return -error;
    event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return event < 0 ? -errno : event;
}

static inline int fake_io_start(void *user, void *(*run)(void *), void *argument,
                                uintptr_t *thread)
{
    fake *world = (fake *)user;
    pthread_t id;
    int error;

    pthread_mutex_lock(&world->lock);
    error = fake_count(world, FAKE_START);
    pthread_mutex_unlock(&world->lock);
    if (error == 0) error = pthread_create(&id, NULL, run, argument);
    if (error == 0) *thread = (uintptr_t)id;
    return -error;
}

static inline void fake_io_join(void *user, uintptr_t thread)
{
    fake *world = (fake *)user;

    pthread_mutex_lock(&world->lock);
    fake_count(world, FAKE_JOIN);
    pthread_mutex_unlock(&world->lock);
    pthread_join((pthread_t)thread, NULL);
}

static inline const vts_pc_io *fake_io(fake *world) { return &world->io; }

/* An empty world: /sys and /proc exist, nothing is in them. Clocks start at 1000 s
   (coarse and monotonic) and 5000 s (boottime). */
static inline fake *fake_new(void)
{
    fake *world = (fake *)fake_need(calloc(1, sizeof *world));

    pthread_mutex_init(&world->lock, NULL);
    world->coarse_ns = world->monotonic_ns = 1000 * FAKE_S;
    world->boottime_ns = 5000 * FAKE_S;
    world->io.user = world;
    world->io.open = fake_io_open;
    world->io.pread = fake_io_pread;
    world->io.close = fake_io_close;
    world->io.list = fake_io_list;
    world->io.realpath = fake_io_realpath;
    world->io.now_ns = fake_io_now;
    world->io.current_cpu = fake_io_cpu;
    world->io.open_timer = fake_io_timer;
    world->io.open_event = fake_io_event;
    world->io.thread_start = fake_io_start;
    world->io.thread_join = fake_io_join;
    fake_directory(world, "/sys");
    fake_directory(world, "/proc");
    return world;
}

/* Gives the world back and fails the test when a descriptor is open or one was used
   after it was closed. */
static inline void fake_free(fake *world)
{
    size_t open = fake_open_descriptors(world), misuse = world->misuse, i;

    for (i = 0; i < world->node_count; i++) {
        free(world->nodes[i]->path);
        free(world->nodes[i]->content);
        free(world->nodes[i]);
    }
    free(world->nodes);
    free(world->descriptors);
    pthread_mutex_destroy(&world->lock);
    free(world);
    if (open != 0) fail_msg("%zu descriptors of the world are still open", open);
    if (misuse != 0) fail_msg("%zu uses of a closed descriptor", misuse);
}

// ----------------------------------------------------------------------------------
// Machines: /sys
// ----------------------------------------------------------------------------------

/* A hwmon chip on a device, linked from the class as the kernel does. */
static inline void fake_hwmon(fake *world, int hwmon, const char *chip, const char *device)
{
    char path[512], name[64];

    snprintf(path, sizeof path, "%s/hwmon/hwmon%d", device, hwmon);
    fake_link(world, path, "/sys/class/hwmon/hwmon%d", hwmon);
    fake_link(world, "../..", "%s/device", path);
    snprintf(name, sizeof name, "%s\n", chip);
    fake_file(world, name, "%s/name", path);
}

/* One temperature input of it; label NULL: without. */
static inline void fake_input(fake *world, int hwmon, int input, const char *label,
                              int64_t milli)
{
    char dir[1024], text[64];
    int error;

    snprintf(dir, sizeof dir, "/sys/class/hwmon/hwmon%d", hwmon);
    pthread_mutex_lock(&world->lock);
    error = fake_resolve_at(world, dir, sizeof dir, 0);
    pthread_mutex_unlock(&world->lock);
    if (error != 0) fail_msg("no hwmon%d", hwmon);
    fake_number(world, milli, "%s/temp%d_input", dir, input);
    if (label == NULL) return;
    snprintf(text, sizeof text, "%s\n", label);
    fake_file(world, text, "%s/temp%d_label", dir, input);
}

/* Limits of an input, in millidegrees. */
static inline void fake_limits(fake *world, int hwmon, int input, int64_t maximum,
                               int64_t critical)
{
    char dir[1024];

    snprintf(dir, sizeof dir, "%s",
             fake_get(world, "/sys/class/hwmon/hwmon%d", hwmon)->path);
    fake_number(world, maximum, "%s/temp%d_max", dir, input);
    fake_number(world, critical, "%s/temp%d_crit", dir, input);
}

/* Intel's chip of one package (die): coretemp.N with its package input. */
static inline void fake_coretemp(fake *world, int hwmon, int number, const char *label,
                                 int64_t milli)
{
    char device[64];

    snprintf(device, sizeof device, "/sys/devices/platform/coretemp.%d", number);
    fake_hwmon(world, hwmon, "coretemp", device);
    fake_input(world, hwmon, 1, label, milli);
}

/* One core of it: temp(id + 2) "Core id". */
static inline void fake_core(fake *world, int hwmon, int id, int64_t milli)
{
    char label[32];

    snprintf(label, sizeof label, "Core %d", id);
    fake_input(world, hwmon, id + 2, label, milli);
}

/* AMD's chip of one node, with the CPUs it belongs to. */
static inline void fake_k10temp(fake *world, int hwmon, int node, const char *cpus)
{
    char device[64], text[64];

    snprintf(device, sizeof device, "/sys/devices/pci0000:00/0000:00:%x.3", 0x18 + node);
    fake_hwmon(world, hwmon, "k10temp", device);
    snprintf(text, sizeof text, "%s\n", cpus);
    fake_file(world, text, "%s/local_cpulist", device);
}

static inline void fake_zone(fake *world, int zone, const char *type, int64_t milli)
{
    char path[128], text[64];

    snprintf(path, sizeof path, "/sys/devices/virtual/thermal/thermal_zone%d", zone);
    fake_link(world, path, "/sys/class/thermal/thermal_zone%d", zone);
    snprintf(text, sizeof text, "%s\n", type);
    fake_file(world, text, "%s/type", path);
    fake_number(world, milli, "%s/temp", path);
}

/* A RAPL zone: suffix "0", "0:1" ... */
static inline void fake_rapl(fake *world, const char *suffix, const char *name,
                             uint64_t energy_uj, uint64_t range_uj)
{
    char path[128], text[64];

    snprintf(path, sizeof path, "/sys/devices/virtual/powercap/intel-rapl/intel-rapl:%s",
             suffix);
    fake_link(world, path, "/sys/class/powercap/intel-rapl:%s", suffix);
    snprintf(text, sizeof text, "%s\n", name);
    fake_file(world, text, "%s/name", path);
    fake_number(world, (int64_t)energy_uj, "%s/energy_uj", path);
    fake_number(world, (int64_t)range_uj, "%s/max_energy_range_uj", path);
}

/* A cpufreq policy of one CPU, linked from the CPU. */
static inline void fake_cpufreq(fake *world, int cpu, int64_t khz)
{
    char policy[128], text[32];

    snprintf(policy, sizeof policy, "/sys/devices/system/cpu/cpufreq/policy%d", cpu);
    snprintf(text, sizeof text, "%d\n", cpu);
    fake_file(world, text, "%s/related_cpus", policy);
    fake_file(world, text, "%s/affected_cpus", policy);
    fake_number(world, khz, "%s/scaling_cur_freq", policy);
    snprintf(policy, sizeof policy, "../cpufreq/policy%d", cpu);
    fake_link(world, policy, "/sys/devices/system/cpu/cpu%d/cpufreq", cpu);
}

static inline void fake_throttle(fake *world, int cpu, int64_t core, int64_t package)
{
    const char *dir = "/sys/devices/system/cpu";

    fake_number(world, core, "%s/cpu%d/thermal_throttle/core_throttle_count", dir, cpu);
    fake_number(world, package, "%s/cpu%d/thermal_throttle/package_throttle_count", dir,
                cpu);
}

static inline void fake_node_memory(fake *world, int node, uint64_t total_kb,
                                    uint64_t free_kb)
{
    char text[256];

    snprintf(text, sizeof text,
             "Node %d MemTotal:       %llu kB\nNode %d MemFree:        %llu kB\n"
             "Node %d MemUsed:        %llu kB\n",
             node, (unsigned long long)total_kb, node, (unsigned long long)free_kb, node,
             (unsigned long long)(total_kb - free_kb));
    fake_file(world, text, "/sys/devices/system/node/node%d/meminfo", node);
}

// ----------------------------------------------------------------------------------
// Machines: /proc
// ----------------------------------------------------------------------------------

/* A line of /proc/stat; ticks of 10 ms. */
typedef struct fake_cpu {
    int cpu;
    uint64_t user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice;
} fake_cpu;

static inline size_t fake_stat_line(char *text, size_t size, const char *name,
                                    const fake_cpu *c)
{
    int length = snprintf(
        text, size, "%s %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu\n", name,
        (unsigned long long)c->user, (unsigned long long)c->nice,
        (unsigned long long)c->system, (unsigned long long)c->idle,
        (unsigned long long)c->iowait, (unsigned long long)c->irq,
        (unsigned long long)c->softirq, (unsigned long long)c->steal,
        (unsigned long long)c->guest, (unsigned long long)c->guest_nice);
    return (size_t)length;
}

/* /proc/stat with these lines, and their sum before them. */
static inline void fake_stat(fake *world, const fake_cpu *cpus, size_t count)
{
    static const char tail[] = "intr 8885917 17 0 0\nctxt 38014093\nbtime 1418183276\n";
    size_t room = (count + 2) * 256, used, i;
    char *text = (char *)fake_need(malloc(room)), name[32];
    fake_cpu sum = {0};

    for (i = 0; i < count; i++) {
        sum.user += cpus[i].user;
        sum.nice += cpus[i].nice;
        sum.system += cpus[i].system;
        sum.idle += cpus[i].idle;
        sum.iowait += cpus[i].iowait;
        sum.irq += cpus[i].irq;
        sum.softirq += cpus[i].softirq;
        sum.steal += cpus[i].steal;
        sum.guest += cpus[i].guest;
        sum.guest_nice += cpus[i].guest_nice;
    }
    used = fake_stat_line(text, room, "cpu ", &sum);
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "cpu%d", cpus[i].cpu);
        used += fake_stat_line(text + used, room - used, name, &cpus[i]);
    }
    snprintf(text + used, room - used, "%s", tail);
    fake_file(world, text, "/proc/stat");
    free(text);
}

/* The CPUs 0 to count-1 all at the same counts, and their entries under /sys. */
static inline void fake_cpus(fake *world, int count, uint64_t busy, uint64_t idle)
{
    fake_cpu *cpus = (fake_cpu *)fake_need(calloc((size_t)count + 1, sizeof *cpus));
    char online[32];
    int i;

    for (i = 0; i < count; i++) {
        cpus[i].cpu = i;
        cpus[i].user = busy;
        cpus[i].idle = idle;
        fake_directory(world, "/sys/devices/system/cpu/cpu%d", i);
    }
    fake_stat(world, cpus, (size_t)count);
    free(cpus);
    snprintf(online, sizeof online, count > 1 ? "0-%d\n" : "%d\n", count - 1);
    fake_file(world, online, "/sys/devices/system/cpu/online");
    fake_file(world, online, "/sys/devices/system/cpu/possible");
    fake_file(world, online, "/sys/devices/system/cpu/present");
}

/* meminfo, loadavg and pressure: 4096 kB, 1024 free, 2048 available, swap 512 and 256;
   loads 0.50 0.25 0.125; pressure 1 %, 2 %, 3 %. */
static inline void fake_proc(fake *world)
{
    fake_file(world,
              "MemTotal:           4096 kB\nMemFree:            1024 kB\n"
              "MemAvailable:       2048 kB\nBuffers:              10 kB\n"
              "SwapCached:            1 kB\nSwapTotal:           512 kB\n"
              "SwapFree:            256 kB\nHugePages_Total:       0\n",
              "/proc/meminfo");
    fake_file(world, "0.50 0.25 0.125 1/719 19737\n", "/proc/loadavg");
    fake_file(world,
              "some avg10=1.00 avg60=9.00 avg300=9.00 total=14036781\n"
              "full avg10=9.00 avg60=9.00 avg300=9.00 total=0\n",
              "/proc/pressure/cpu");
    fake_file(world,
              "some avg10=2.00 avg60=9.00 avg300=9.00 total=1\n"
              "full avg10=9.00 avg60=9.00 avg300=9.00 total=1\n",
              "/proc/pressure/memory");
    fake_file(world,
              "some avg10=3.00 avg60=9.00 avg300=9.00 total=1\n"
              "full avg10=9.00 avg60=9.00 avg300=9.00 total=1\n",
              "/proc/pressure/io");
}

/* Two packages of two cores; everything the kernel shows of such a machine. For
   FAKE_TWO_PACKAGES: cores 0 and 1 in each, PUs 0 and 1, 2 and 3. */
#define FAKE_TWO_PACKAGES "pack:2 [numa] core:2(indexes=0,1,0,1) pu:1"

static inline void fake_two_packages(fake *world)
{
    int i;

    for (i = 0; i < 2; i++) {
        fake_coretemp(world, i, i, i == 0 ? "Package id 0" : "Package id 1",
                      50000 + i * 1000);
        fake_limits(world, i, 1, 80000, i == 0 ? 100000 : 95000);
        fake_core(world, i, 0, 40000 + i * 1000);
        fake_core(world, i, 1, 41000 + i * 1000);
        fake_node_memory(world, i, 1000, 250);
    }
    fake_rapl(world, "0", "package-0", 1000000, 262143328850);
    fake_rapl(world, "0:0", "core", 400000, 262143328850);
    fake_rapl(world, "1", "package-1", 2000000, 262143328850);
    fake_cpus(world, 4, 100, 900);
    for (i = 0; i < 4; i++) {
        fake_cpufreq(world, i, 1000000 + i * 100000);
        fake_throttle(world, i, i + 1, i < 2 ? 10 : 20);
    }
    fake_proc(world);
}

// ----------------------------------------------------------------------------------
// Desc
// ----------------------------------------------------------------------------------

/* A desc over the world: manual_tick, the counting allocator, a synthetic topology. */
static inline vts_pcmon_desc fake_desc(fake *world, const char *synthetic)
{
    vts_pcmon_desc desc;

    memset(&desc, 0, sizeof desc);
    desc.manual_tick = true;
    desc.sysfs_root = "/sys";
    desc.procfs_root = "/proc";
    desc.topology_synthetic = synthetic;
    desc.io = fake_io(world);
    desc.allocator = &test_allocator;
    return desc;
}

#endif
