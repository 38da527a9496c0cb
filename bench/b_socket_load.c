/* b_socket_load.c - starts the echo servers of b_socket.h and measures them

       b_socket_load DIR        DIR: where the programs are. BENCH_QUICK=1: less of all

   The servers have the first processor, this program the second. The load is a closed
   loop: each connection has one request of 64 bytes under way. In each round every server
   is measured once for each number of connections, another one first each time. Prints
   lines of tab-separated fields for report.awk:

       absent  server  why
       served  server  connections  requests/s  CPU ns per request  p50 us  p99 us  busy
       serves  server  what  value

   busy: the share of the time that the server had its processor. What serves tells is
   counted, not timed, by servers of their own:

       syscalls      per request, 64 connections, by the kernel's tracepoint; several times
       instructions  per request in user space, 64 connections: by the processor's counter,
                     else by callgrind
       allocations   per request, 64 connections
       idle_bytes    allocated per idle connection at 10000, without what is the handler's
       idle_resident the same of the process' memory, with what is the handler's
       idle_served   of 10000 connections open at once, how many got their replies */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REQUEST 64
#define MOST 10000
#define WARM 64 /* connections */
#define COUNT(table) (sizeof(table) / sizeof *(table))
#define MS 1000000u

enum { NATIVE = 1, QUICK = 2, MANY = 4, VALGRIND = 8 };

typedef struct server {
    const char *name;
    int flags;             /* NATIVE: by malloc; QUICK: of the short run, too; MANY: also
                              with MOST connections; VALGRIND: can run there             */
    const char *program, *arguments[3];
    pid_t pid;             /* 0: absent                                                  */
    uint16_t port;
    size_t own;
} server;

#define ALL (NATIVE | MANY | VALGRIND)

static server servers[] = {
    {"raw epoll", ALL | QUICK, "b_socket", {"raw"}, 0, 0, 0},
    {"vts", ALL | QUICK, "b_socket", {"callbacks", "epoll"}, 0, 0, 0},
    {"vts, await", ALL | QUICK, "b_socket", {"await", "epoll"}, 0, 0, 0},
    {"vts, io_uring", NATIVE | MANY | QUICK, "b_socket", {"callbacks", "io_uring"}, 0, 0, 0},
    {"vts, poll", NATIVE | VALGRIND, "b_socket", {"callbacks", "poll"}, 0, 0, 0},
    {"libuv", ALL, "b_socket_uv", {NULL}, 0, 0, 0},
    {"libevent", ALL, "b_socket_event", {"event"}, 0, 0, 0},
    {"libevent, bufferevent", ALL, "b_socket_event", {"bufferevent"}, 0, 0, 0},
    {"Boost.Asio", ALL, "b_socket_asio", {"callbacks"}, 0, 0, 0},
    {"Boost.Asio, co_await", ALL, "b_socket_asio", {"co_await"}, 0, 0, 0},
    {"tokio", ALL, "b_tokio", {"echo"}, 0, 0, 0},
    {".NET", MANY, "dotnet/bench.dll", {"echo"}, 0, 0, 0},
    {"Go", MANY, "b_go", {"echo"}, 0, 0, 0}};

static const char *directory;
static bool quick;
static size_t processors[2];

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * (long)MS};
    nanosleep(&time, NULL);
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

// ----------------------------------------------------------------------------------
// >>servers
// ----------------------------------------------------------------------------------

static bool find_processors(void)
{
    unsigned found = 0;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0) return false;
    for (size_t cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
        if (CPU_ISSET(cpu, &set)) processors[found++] = cpu;
    }
    return found == 2;
}

static void pin(int side)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(processors[side], &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* Its command, after what it is to run under (NULL: nothing). */
static void execute(const server *of, char *const *under)
{
    static char path[4096], dotnet[] = "dotnet";
    char *command[16];
    size_t count = 0;

    snprintf(path, sizeof path, "%s/%s", directory, of->program);
    for (; under != NULL && *under != NULL && count < 8; under++) command[count++] = *under;
    if (of->name[0] == '.') command[count++] = dotnet;
    command[count++] = path;
    for (size_t i = 0; i < 3 && of->arguments[i] != NULL; i++) {
        command[count++] = (char *)(uintptr_t)of->arguments[i];
    }
    command[count] = NULL;
    execvp(command[0], command);
    _exit(127);
}

/* Reads what the server says of itself; *why if it is absent. */
static bool hear(server *of, FILE *said, char *why, size_t size)
{
    struct pollfd item = {.fd = fileno(said), .events = POLLIN};
    char line[256] = "";
    unsigned port;

    if (poll(&item, 1, 60000) <= 0 || fgets(line, sizeof line, said) == NULL) {
        snprintf(why, size, "its program does not start");
        return false;
    }
    if (sscanf(line, "port %u own %zu", &port, &of->own) == 2) {
        of->port = (uint16_t)port;
        return true;
    }
    line[strcspn(line, "\n")] = 0;
    snprintf(why, size, "%s", strncmp(line, "absent ", 7) == 0 ? line + 7 : line);
    return false;
}

/* What does not end by being asked is ended. */
static void stop(server *of)
{
    int tries = 500;

    if (of->pid == 0) return;
    kill(of->pid, SIGTERM);
    while (tries-- > 0 && waitpid(of->pid, NULL, WNOHANG) == 0) sleep_ms(20);
    if (tries < 0) {
        kill(of->pid, SIGKILL);
        waitpid(of->pid, NULL, 0);
    }
    of->pid = 0;
}

/* preload: count.so's path, or NULL. */
static bool start(server *of, char *const *under, const char *preload, char *why,
                  size_t size)
{
    char path[4096];
    int ends[2];
    FILE *said;
    bool runs;

    snprintf(path, sizeof path, "%s/%s", directory, of->program);
    if (access(path, R_OK) != 0) {
        snprintf(why, size, "not installed, or not built");
        return false;
    }
    if (pipe(ends) < 0) fail("pipe");
    of->pid = fork();
    if (of->pid < 0) fail("fork");
    if (of->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(0);
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        if (preload != NULL) setenv("LD_PRELOAD", preload, 1);
        execute(of, under);
    }
    close(ends[1]);
    said = fdopen(ends[0], "r");
    runs = said != NULL && hear(of, said, why, size);
    if (said != NULL) fclose(said);
    if (!runs) stop(of);
    return runs;
}

static uint64_t processor_time(const server *of)
{
    struct timespec time;
    clockid_t clock;

    if (clock_getcpuclockid(of->pid, &clock) != 0) return 0;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Until it has nothing to do: it has seen that its connections are gone. */
static void wait_until_quiet(const server *of)
{
    uint64_t before, after = processor_time(of);

    for (int i = 0; i < 500; i++) {
        before = after;
        sleep_ms(4);
        after = processor_time(of);
        if (after - before < 40000) return;
    }
}

// ----------------------------------------------------------------------------------
// >>load
// ----------------------------------------------------------------------------------

typedef struct peer {
    int descriptor;
    int got;          /* bytes of the reply                                           */
    uint64_t sent_at;
    uint64_t replies;
} peer;

/* Latencies in nanoseconds: 32 steps per power of two. */
#define STEPS 32
typedef struct histogram {
    uint64_t count[64 * STEPS];
    uint64_t total;
} histogram;

typedef struct result {
    uint64_t replies, elapsed, processor;
    histogram latency;
} result;

static peer peers[MOST];
static result taken; /* by the last burst */
static int poller;
static char request[REQUEST];

static void histogram_add(histogram *to, uint64_t ns)
{
    unsigned power = 63 - (unsigned)__builtin_clzll(ns | STEPS);
    uint64_t step = (ns >> (power - 5)) & (STEPS - 1);

    to->count[power * STEPS + step]++;
    to->total++;
}

/* The middle of the step below which that share is. */
static double histogram_at(const histogram *of, double share)
{
    uint64_t left = (uint64_t)((double)of->total * share);
    size_t i = 0;

    while (i < 64 * STEPS - 1 && of->count[i] <= left) left -= of->count[i++];
    return (double)(STEPS + i % STEPS) * (double)(1ull << i / STEPS) / STEPS;
}

static int connect_to(const server *of)
{
    struct sockaddr_in address = {0};
    struct linger at_once = {1, 0};
    struct timeval patience = {10, 0};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_family = AF_INET;
    address.sin_port = htons(of->port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (descriptor < 0) fail("socket");
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        fail("connect");
    }
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return descriptor;
}

/* One request while nothing else is under way: the server has accepted the peer, and all
   before it. */
static void ask_alone(const peer *of)
{
    char reply[REQUEST];

    if (send(of->descriptor, request, REQUEST, MSG_NOSIGNAL) != REQUEST ||
        recv(of->descriptor, reply, REQUEST, MSG_WAITALL) != REQUEST) {
        fail("the first request");
    }
}

static void connect_all(const server *to, int count)
{
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &peers[i]};
        memset(&peers[i], 0, sizeof peers[i]);
        peers[i].descriptor = connect_to(to);
        if (i % 256 == 255 || i == count - 1) ask_alone(&peers[i]);
        if (epoll_ctl(poller, EPOLL_CTL_ADD, peers[i].descriptor, &event) < 0) {
            fail("epoll_ctl");
        }
    }
}

static void disconnect_all(const server *from, int count)
{
    for (int i = 0; i < count; i++) close(peers[i].descriptor);
    close(poller);
    wait_until_quiet(from);
}

static void ask(peer *of, uint64_t time)
{
    of->sent_at = time;
    of->got = 0;
    if (send(of->descriptor, request, REQUEST, MSG_NOSIGNAL) != REQUEST) fail("send");
}

/* Whether all of the reply is there. */
static bool hears(peer *of)
{
    char reply[REQUEST];
    ssize_t got = recv(of->descriptor, reply, (size_t)(REQUEST - of->got), MSG_DONTWAIT);

    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) return false;
        fail("a reply");
    }
    if (memcmp(reply, request + of->got, (size_t)got) != 0) {
        fprintf(stderr, "b_socket_load: a reply is not its request\n");
        exit(1);
    }
    of->got += (int)got;
    return of->got == REQUEST;
}

/* Each connection asks, and asks again when it is answered, until the end or until there
   were so many; then what is under way arrives. Who gets nothing for 10 seconds ends it
   all. */
static void drive(int count, uint64_t end, uint64_t most)
{
    static struct epoll_event events[1024];
    uint64_t asked = (uint64_t)count;

    for (int i = 0; i < count; i++) ask(&peers[i], now());
    while (taken.replies < asked) {
        int ready = epoll_wait(poller, events, COUNT(events), 10000);
        if (ready <= 0) fail("b_socket_load: no replies any more");
        for (int i = 0; i < ready; i++) {
            peer *of = events[i].data.ptr;
            uint64_t time;
            if (!hears(of)) continue;
            time = now();
            histogram_add(&taken.latency, time - of->sent_at);
            of->replies++;
            taken.replies++;
            if (time >= end || asked >= most) continue;
            ask(of, time);
            asked++;
        }
    }
}

/* One burst, of nothing under way to nothing under way. */
static void burst(const server *of, int count, uint64_t ns)
{
    uint64_t before, begin;

    memset(&taken, 0, sizeof taken);
    before = processor_time(of);
    begin = now();
    drive(count, begin + ns, UINT64_MAX);
    taken.elapsed = now() - begin;
    taken.processor = processor_time(of) - before;
}

/* So many, however long that takes. */
static void drive_some(int count, uint64_t requests)
{
    memset(&taken, 0, sizeof taken);
    drive(count, UINT64_MAX, requests);
}

// ----------------------------------------------------------------------------------
// >>rounds
// ----------------------------------------------------------------------------------

static uint64_t burst_ns(int connections)
{
    if (connections == MOST) return (quick ? 400 : 600) * (uint64_t)MS;
    return connections == 1000 ? 60 * MS : 30 * MS;
}

/* Each connection is served before it counts. */
static void warm_connections(const server *of, int count)
{
    burst(of, count, 5 * MS + 20000 * (uint64_t)count);
}

static void measure(server *of, int connections)
{
    double replies;

    connect_all(of, connections);
    warm_connections(of, connections);
    burst(of, connections, burst_ns(connections));
    disconnect_all(of, connections);
    replies = (double)taken.replies;
    printf("served\t%s\t%d\t%.6g\t%.6g\t%.6g\t%.6g\t%.3f\n", of->name, connections,
           replies * 1e9 / (double)taken.elapsed, (double)taken.processor / replies,
           histogram_at(&taken.latency, 0.5) * 1e-3,
           histogram_at(&taken.latency, 0.99) * 1e-3,
           (double)taken.processor / (double)taken.elapsed);
    fflush(stdout);
}

static void rounds(int connections, int count)
{
    for (int round = 0; round < count; round++) {
        for (size_t i = 0; i < COUNT(servers); i++) {
            server *of = &servers[(i + (size_t)round * 5) % COUNT(servers)];
            if (of->pid == 0) continue;
            if (connections == MOST && (of->flags & MANY) == 0) continue;
            if (connections == MOST && quick && (of->flags & QUICK) == 0) continue;
            measure(of, connections);
        }
    }
}

/* Some run through interpreters and compilers first. */
static void warm_up(server *of)
{
    connect_all(of, WARM);
    burst(of, WARM, (of->flags & NATIVE) != 0 ? 50 * MS : 1500 * MS);
    disconnect_all(of, WARM);
}

// ----------------------------------------------------------------------------------
// >>counting
// ----------------------------------------------------------------------------------

static void print_count(const server *of, const char *what, double value)
{
    printf("serves\t%s\t%s\t%.6g\n", of->name, what, value);
    fflush(stdout);
}

/* The number of the tracepoint at the beginning of every system call; -1: not for us. */
static long tracepoint(void)
{
    static const char *const places[] = {
        "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
        "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id"};
    long id = -1;

    for (size_t i = 0; i < COUNT(places) && id < 0; i++) {
        FILE *file = fopen(places[i], "r");
        if (file == NULL) continue;
        if (fscanf(file, "%ld", &id) != 1) id = -1;
        fclose(file);
    }
    return id;
}

#define COUNTERS 64

/* One counter for each thread of the server; how many, -1: not for us. */
static int counters_open(const server *of, uint32_t type, uint64_t config, int *counters)
{
    struct perf_event_attr attributes = {0};
    char path[64];
    struct dirent *entry;
    int count = 0;
    DIR *threads;

    attributes.size = sizeof attributes;
    attributes.type = type;
    attributes.config = config;
    attributes.exclude_kernel = type == PERF_TYPE_HARDWARE;
    attributes.inherit = 1;
    snprintf(path, sizeof path, "/proc/%d/task", (int)of->pid);
    threads = opendir(path);
    while (threads != NULL && count < COUNTERS && (entry = readdir(threads)) != NULL) {
        int thread = atoi(entry->d_name);
        if (thread == 0) continue;
        counters[count] = (int)syscall(SYS_perf_event_open, &attributes, thread, -1, -1, 0);
        if (counters[count] >= 0) count++;
    }
    if (threads != NULL) closedir(threads);
    return count;
}

static uint64_t counters_read(const int *counters, int count)
{
    uint64_t sum = 0, value;

    for (int i = 0; i < count; i++) {
        if (read(counters[i], &value, sizeof value) == sizeof value) sum += value;
    }
    return sum;
}

/* Per request of a burst; false if the kernel or the processor does not count that. */
static bool count_events(server *of, uint32_t type, uint64_t config, double *per_request)
{
    int counters[COUNTERS];
    uint64_t before, after;
    int count;

    connect_all(of, WARM);
    burst(of, WARM, 20 * MS);
    count = counters_open(of, type, config, counters);
    before = counters_read(counters, count);
    burst(of, WARM, 40 * MS);
    after = counters_read(counters, count);
    for (int i = 0; i < count; i++) close(counters[i]);
    disconnect_all(of, WARM);
    *per_request = (double)(after - before) / (double)taken.replies;
    return count > 0;
}

/* Everything that a server executes until it is ended after so many requests; 0: valgrind
   is not there, or failed. */
static double callgrind(server *of, uint64_t requests)
{
    static char tool[] = "valgrind", quiet[] = "-q", kind[] = "--tool=callgrind";
    char out[4096], option[4200], why[256], line[256];
    char *under[] = {tool, quiet, kind, option, NULL};
    double total = 0;
    FILE *file;

    snprintf(out, sizeof out, "%s/b_socket.callgrind", directory);
    snprintf(option, sizeof option, "--callgrind-out-file=%s", out);
    unlink(out);
    if (!start(of, under, NULL, why, sizeof why)) return 0;
    connect_all(of, WARM);
    drive_some(WARM, requests);
    disconnect_all(of, WARM);
    stop(of);
    file = fopen(out, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "totals: %lf", &total) == 1) break;
    }
    if (file != NULL) fclose(file);
    return total;
}

static void count_by_callgrind(server *of)
{
    server copy = *of;
    double few, many;

    if ((of->flags & VALGRIND) == 0 || (quick && (of->flags & QUICK) == 0)) return;
    few = callgrind(&copy, 2000);
    many = callgrind(&copy, 12000);
    if (few != 0 && many != 0) print_count(of, "instructions", (many - few) / 10000);
}

static double resident(const server *of)
{
    char path[64];
    unsigned long size = 0, pages = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)of->pid);
    file = fopen(path, "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%lu %lu", &size, &pages) != 2) pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* counted: what count.so counts, or NULL. */
static void count_idle(server *of, const volatile uint64_t *counted)
{
    uint64_t before = counted != NULL ? counted[1] : 0;
    double pages = resident(of);
    int served = 0;

    connect_all(of, MOST);
    drive_some(MOST, MOST);
    if (counted != NULL) {
        double grown = (double)counted[1] - (double)before;
        print_count(of, "idle_bytes", grown / MOST - (double)of->own);
    }
    print_count(of, "idle_resident", (resident(of) - pages) / MOST);
    for (int i = 0; i < MOST; i++) peers[i].replies = 0;
    burst(of, MOST, burst_ns(MOST));
    for (int i = 0; i < MOST; i++) served += peers[i].replies > 0;
    print_count(of, "idle_served", served);
    disconnect_all(of, MOST);
}

static void count_allocations(server *of, const volatile uint64_t *counted)
{
    uint64_t before;

    connect_all(of, WARM);
    burst(of, WARM, 50 * MS);
    before = counted[0];
    burst(of, WARM, 50 * MS);
    print_count(of, "allocations", (double)(counted[0] - before) / (double)taken.replies);
    disconnect_all(of, WARM);
}

/* The page that count.so and this program share. */
static volatile uint64_t *share(void)
{
    static char path[4096];
    void *page;
    int file;

    snprintf(path, sizeof path, "%s/b_socket.count", directory);
    setenv("BENCH_COUNT", path, 1);
    file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, 4096) < 0) fail(path);
    page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) fail("mmap");
    close(file);
    return page;
}

static void count_memory(server *of)
{
    char preload[4096], why[256];
    server copy = *of;
    volatile uint64_t *counted = (of->flags & NATIVE) != 0 ? share() : NULL;
    struct rlimit limit;

    snprintf(preload, sizeof preload, "%s/b_socket_count.so", directory);
    if (!start(&copy, NULL, counted != NULL ? preload : NULL, why, sizeof why)) return;
    warm_up(&copy);
    if (counted != NULL && counted[0] == 0) counted = NULL;
    if (counted != NULL) count_allocations(&copy, counted);
    getrlimit(RLIMIT_NOFILE, &limit);
    if ((of->flags & MANY) != 0 && limit.rlim_cur >= MOST + 100) count_idle(&copy, counted);
    stop(&copy);
}

static void count_one(server *of)
{
    long id = tracepoint();
    double value;

    for (int i = 0; i < 5 && id >= 0; i++) {
        if (!count_events(of, PERF_TYPE_TRACEPOINT, (uint64_t)id, &value)) break;
        print_count(of, "syscalls", value);
    }
    if (count_events(of, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, &value)) {
        print_count(of, "instructions", value);
    } else {
        count_by_callgrind(of);
    }
    count_memory(of);
}

// ----------------------------------------------------------------------------------
// >>main
// ----------------------------------------------------------------------------------

/* Where that may be asked for, whoever else is on the machine gets the processors only
   when this program and the servers leave them. Those in turns: some wait by spinning. */
static void prepare(void)
{
    struct sched_param parameter = {.sched_priority = 1};
    struct rlimit limit;

    signal(SIGPIPE, SIG_IGN);
    pin(1);
    sched_setscheduler(0, SCHED_RR, &parameter);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < REQUEST; i++) request[i] = (char)('!' + i);
}

static void start_all(void)
{
    for (size_t i = 0; i < COUNT(servers); i++) {
        char why[256];
        server *of = &servers[i];
        if (start(of, NULL, NULL, why, sizeof why)) {
            warm_up(of);
        } else {
            printf("absent\t%s\t%s\n", of->name, why);
        }
    }
}

static void stop_all(void)
{
    for (size_t i = 0; i < COUNT(servers); i++) stop(&servers[i]);
}

int main(int argc, char **argv)
{
    const char *asked = getenv("BENCH_QUICK");
    struct rlimit limit;

    if (argc < 2) return 2;
    directory = argv[1];
    quick = asked != NULL && *asked != 0 && *asked != '0';
    if (!find_processors()) {
        printf("absent\tall\tthey need two processors\n");
        return 0;
    }
    prepare();
    atexit(stop_all);
    start_all();
    rounds(1, quick ? 5 : 21);
    rounds(64, quick ? 15 : 61);
    rounds(1000, quick ? 5 : 31);
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= MOST + 100) rounds(MOST, quick ? 3 : 5);
    for (size_t i = 0; i < COUNT(servers); i++) {
        if (servers[i].pid != 0) count_one(&servers[i]);
    }
    return 0;
}
