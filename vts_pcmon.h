/* vts_pcmon.h - v0.1.0 - a PC monitor: temperature, load, power, memory, awaitable

   One sampler reads the machine's sensors, any number of threads ask for the result:
   at once and without a system call while it is fresh, else as a value task that the
   next sampling pass completes. libhwloc discovers and names the machine's objects,
   and every sensor hangs on the one it measures - or says that it hangs on none.

   Do this in ONE C file to get the code:

       #define VTS_IMPLEMENTATION
       #include "vts_pcmon.h"

   and only  #include "vts_pcmon.h"  everywhere else (C11, C++11 and later). Put the
   two lines first in that file. vts.h must lie beside this file; its code comes along.
   Compile and link with  $(pkg-config --cflags --libs hwloc) -pthread.
   SPDX-License-Identifier: MIT-0

   CONTENTS (search for the mark)
       >>quickstart        five steps
       >>concepts          states, sensors, objects, fresh and stale, the pass
       >>rules             lifetime, threads, fork, what costs what
       >>correctness       the shared words and their pairs
       >>types             states, metrics, statistics, readings, io table, desc
       >>api               functions
       >>implementation    includes, limits, small helpers
       >>parse             strict parsers: integers, decimals, each file's format
       >>os                the default io table: Linux, or any other system
       >>park              how the sampler sleeps and is woken
       >>model             the sensors and the monitor itself
       >>topology          hwloc: loading, mapping, the membership proof
       >>discover          which sensors there are
       >>merge             a new discovery meets the sensors known before
       >>read              one sensor, one file: states, slow, asleep, gone
       >>stat              /proc and NUMA files
       >>summary           the machine-wide numbers out of the sensors
       >>publish           the cache and the waiters
       >>sampler           one step, deadlines, the thread
       >>lifetime          desc, create, destroy, fork
       >>public            the functions of >>api

   ----------------------------------------------------------------------------------
   >>quickstart
   ----------------------------------------------------------------------------------
   (1) start: costs microseconds, the sampler thread loads the topology by itself

           vts_pcmon *monitor;
           int error = vts_pcmon_create(&monitor, NULL);       // NULL: all defaults

   (2) ask; the answer is inside the handle while the cache is fresh

           vts_pc_statistics_valuetask task = vts_pcmon_get_statistics_async(monitor);
           if (vts_pc_statistics_is_completed(task)) on_statistics(&task);
           else vts_pc_statistics_on_completed(task, on_statistics, &task, 0);
                // &task: must live until on_statistics() has run, on another thread;
                // not a local variable of a function that returns before

   (3) take it; a number counts only when its state is VTS_PC_VALID, else it is NaN

           vts_pc_statistics now;
           if (vts_pc_statistics_get_result(task, &now) == VTS_OK &&
               now.state[VTS_PC_CPU_TEMPERATURE] == VTS_PC_VALID)
               printf("%.1f C\n", now.cpu_temperature);

   (4) look closer: every sensor, mapped or not; or one kind per hwloc object

           vts_pc_sensor_info about;
           for (uint32_t i = 0; vts_pcmon_get_sensor(monitor, i, &about) == VTS_OK; i++)
               printf("%s %s on %s\n", about.chip, about.label,
                      vts_pc_object_type_name(about.object_type));

           vts_pc_reading core[64];
           int cores = vts_pcmon_read_objects(monitor, VTS_PC_OBJECT_CORE,
                                              VTS_PC_KIND_TEMPERATURE, core, 64, NULL);

   (5) stop; whoever still waits is completed as canceled

           vts_pcmon_destroy(monitor);    // VTS_E_BUSY: a result is still to be taken

   ----------------------------------------------------------------------------------
   >>concepts
   ----------------------------------------------------------------------------------
   STATE. Each metric and each sensor has one. The value is NaN unless the state is
   VTS_PC_VALID: there is no fake zero. A machine without sensors (a virtual machine,
   a container) is no error: its temperature is UNSUPPORTED, its load and memory work.

   SENSOR. One number from one place: a hwmon or thermal zone temperature, a RAPL
   zone's energy and its power, a PU's frequency and load, a NUMA node's memory. Its
   index is stable while the monitor lives, whatever hwmonN is called after a reboot,
   a suspend or a replug: identity is chip, device, attribute and label.

   OBJECT. The hwloc object a sensor measures, with the proof in .mapping: a coretemp
   chip is only accepted for a package that has one of its cores, a RAPL zone goes by
   the physical ids in its name, a cpuN by the PU's os_index. What cannot be proved
   stays unmapped and listed; nothing is guessed and nothing dropped.

   CPU TEMPERATURE. The hottest package by the first of these that gives a plausible
   value (-40 to 150 C): coretemp package sensors, else its cores; k10temp or zenpower
   Tdie, else Tctl; a SoC's hwmon chip; zone x86_pkg_temp; zone cpu* or soc*; a board
   chip's CPU or PECI input; acpitz. .cpu_temperature_source tells which it was.

   FRESH. A sample is served from the cache while it is not older than
   desc.freshness_ns. A later request is a miss: it rents a source, the sampler is
   woken, and one pass completes all who wait. In between, passes come at absolute
   deadlines (start + n * interval); late ones are skipped, not made up for. For passes
   on request alone make interval_ns long and freshness_ns short.

   PASS. Reads with pread from descriptors that stay open. Nothing wakes a device: a
   runtime-suspended one is ASLEEP, storage and GPU are off unless asked for, and so is
   the sensor of each core, which would interrupt that core. A sensor that needs longer
   than desc.slow_read_ns is read every 2nd, 4th ... 64th pass only, SLOW in between.

   GONE AND BACK. ENODEV, ENOENT, or ENXIO for 10 s make a sensor GONE; discovery is
   then repeated after 1, 2, 4 ... 64 s, and after every suspend. A device whose name
   or label cannot be read just then (EIO, EAGAIN, EMFILE ...) is left out until the
   next discovery. When the set of CPUs changes, an owned topology is loaded anew and
   .generation grows.

   OTHER SYSTEMS. hwloc's objects and memory sizes; the rest is UNSUPPORTED unless
   desc.provider fills it in.

   ----------------------------------------------------------------------------------
   >>rules
   ----------------------------------------------------------------------------------
   1. The monitor owns its sources. destroy completes what is pending as canceled, and
      while a result is still to be taken it answers VTS_E_BUSY and frees nothing; after
      it said VTS_OK no handle may be used any more.
   2. Strings and arrays the desc points to are copied; the topology, the io table's
      user pointer, the allocator and the scheduler must outlive the monitor.
   3. A continuation runs on the sampler thread (unless desc.scheduler or a scheduling
      context says otherwise) and holds up the next pass for as long as it runs. It
      may call anything here but vts_pcmon_destroy().
   4. After fork() the child has no sampler. There a fresh sample is still served, a
      miss and every other call give -ECHILD, and vts_pcmon_destroy() works.
   5. The topology is for reading. hwloc objects handed out stay valid until destroy:
      a topology that is replaced is kept, not freed.

   function                                       from
   create, destroy                                one thread, nobody else in the monitor
   get_statistics_async, try_get, cancel,         any thread; destroy excluded
   read_*, get_*, here, refresh, rediscover
   tick                                           one thread at a time (else -EBUSY)
   a function of desc.io, desc.provider           is called on the sampler thread (on
                                                  the ticking one with manual_tick);
                                                  io.now_ns and io.current_cpu on any

   Cost on a 2-core virtual machine: a fresh read 1.5 (try_get) to 1.7 times one
   clock_gettime of the coarse clock; a pass over /proc 35 us, plus 1 to 2 us for each
   sysfs attribute, half of what opening the files anew costs; a waiter 15 ns.

   ----------------------------------------------------------------------------------
   >>correctness
   ----------------------------------------------------------------------------------
   Three things are shared without a lock:

   - The cache is a sequence lock (Boehm, "Can seqlocks get along with programming
     language memory models?", MSPC 2012). Its words are copied with atomic
     accesses, so no reader makes a data race; a reader stores nothing.
   - The waiters are a stack that is only pushed to and taken whole: no ABA. A source's
     link belongs to the stack from the push until the pass has taken .armed back to 0.
     A source that was canceled, consumed and rented again before that is not linked
     twice: the new operation only replaces the token in .armed, and the pass completes
     the operation it finds there. A pass that comes late for an operation (canceled,
     timed out) carries its old token, and vts.h refuses it. All who were completed by
     one pass share one copy of its statistics, counted, until the last has taken it.
   - .asked tells the sampler that somebody read, for idle stop. It is written once per
     pass at most, and only when idle stop is on.

   Each release and the acquire it pairs with:
   [M1] publish stores the even sequence       -> the reader's first load of it
   [M2] publish stores each word               -> the reader's load of it: whoever sees
                                                  a new word sees the odd sequence too
   [M3] push publishes a waiter                -> the pass takes all: link and token
   [M4] the pass takes .armed back             -> the next renter's exchange: the link
                                                  is free again
   [M5] a renter's exchange of .armed          -> the pass's exchange: the new token
   [M6] a taker counts itself off a share      -> the last taker: the share is free
   Everything else - sensors, readings, the topology's pointer - is under one mutex,
   which is never held during a read, a callback or a completion.
*/
#ifndef VTS_PCMON_H
#define VTS_PCMON_H

#include "vts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* hwloc's types, for pointers only: hwloc.h itself is included by the implementation. */
struct hwloc_topology;
struct hwloc_obj;

#ifdef __cplusplus
extern "C" {
#endif

// ----------------------------------------------------------------------------------
// >>types
// ----------------------------------------------------------------------------------

/* Why a value is there or not. A zeroed struct claims nothing: 0 is "not yet". */
typedef enum vts_pc_state {
    VTS_PC_NOT_YET,     /* no sample yet; a rate before its second sample or after a rebase */
    VTS_PC_VALID,       /* the value counts */
    VTS_PC_UNSUPPORTED, /* this machine has no such sensor or file */
    VTS_PC_DENIED,      /* EACCES or EPERM: RAPL energy belongs to root since Linux 5.10 */
    VTS_PC_NO_DATA,     /* transient: EAGAIN, ENODATA, EIO, ETIMEDOUT, ENXIO ...; read again
                           by the next pass */
    VTS_PC_MALFORMED,   /* the file was read but does not hold what it should */
    VTS_PC_IMPLAUSIBLE, /* a number outside the physical range */
    VTS_PC_ASLEEP,      /* the device is runtime-suspended; reading would wake it */
    VTS_PC_GONE,        /* unplugged, or its driver was unloaded; looked for again */
    VTS_PC_SLOW,        /* quarantined: reading takes longer than desc.slow_read_ns */
    VTS_PC_DISABLED,    /* not asked for in the desc, or a better source answered */
    VTS_PC_STATE_COUNT
} vts_pc_state;

/* Index into vts_pc_statistics.state; 1u << metric is its bit in desc.metrics. */
typedef enum vts_pc_metric {
    VTS_PC_CPU_TEMPERATURE,
    VTS_PC_CPU_TEMPERATURE_CRITICAL,
    VTS_PC_CPU_UTILIZATION,
    VTS_PC_CPU_FREQUENCY,
    VTS_PC_CPU_FREQUENCY_MAX,
    VTS_PC_CPU_POWER,
    VTS_PC_CPU_ENERGY,
    VTS_PC_CPU_THROTTLE_COUNT,
    VTS_PC_MEMORY_TOTAL,
    VTS_PC_MEMORY_FREE,
    VTS_PC_MEMORY_AVAILABLE,
    VTS_PC_SWAP_TOTAL,
    VTS_PC_SWAP_FREE,
    VTS_PC_LOAD_AVERAGE,
    VTS_PC_PRESSURE,
    VTS_PC_GPU_TEMPERATURE,
    VTS_PC_STORAGE_TEMPERATURE,
    VTS_PC_METRIC_COUNT
} vts_pc_metric;

/* Every metric, and those read by default: all but GPU and storage, which cost an
   administrative command or wake a device. */
#define VTS_PC_METRICS_ALL ((1u << VTS_PC_METRIC_COUNT) - 1u)
#define VTS_PC_METRICS_DEFAULT \
    (VTS_PC_METRICS_ALL & \
     ~((1u << VTS_PC_GPU_TEMPERATURE) | (1u << VTS_PC_STORAGE_TEMPERATURE)))

/* Where a temperature comes from; for the CPU temperature the order of preference. */
typedef enum vts_pc_source {
    VTS_PC_SOURCE_NONE,
    VTS_PC_SOURCE_USER,           /* desc.cpu_temperature_sensor or desc.provider */
    VTS_PC_SOURCE_CORETEMP,       /* Intel's digital sensor, package input */
    VTS_PC_SOURCE_CORETEMP_CORE,  /* the same, input of one core */
    VTS_PC_SOURCE_K10TEMP,        /* AMD's: k10temp or zenpower, Tdie */
    VTS_PC_SOURCE_K10TEMP_CTL,    /* AMD's control value Tctl: may carry an offset */
    VTS_PC_SOURCE_K10TEMP_CCD,    /* AMD's: one core complex die */
    VTS_PC_SOURCE_SOC_HWMON,      /* a system on chip's hwmon chip */
    VTS_PC_SOURCE_X86_PKG_TEMP,   /* thermal zone of an Intel package */
    VTS_PC_SOURCE_SOC_ZONE,       /* thermal zone cpu*, soc*, bcm2835 */
    VTS_PC_SOURCE_BOARD,          /* a board chip's input labelled CPU or PECI */
    VTS_PC_SOURCE_ACPI,           /* acpitz */
    VTS_PC_SOURCE_GPU,            /* not a CPU: a graphics processor */
    VTS_PC_SOURCE_STORAGE,        /* not a CPU: a disk */
    VTS_PC_SOURCE_OTHER,          /* not a CPU: listed, read with every_temperature */
    VTS_PC_SOURCE_COUNT
} vts_pc_source;

/* What a sensor measures. */
typedef enum vts_pc_kind {
    VTS_PC_KIND_TEMPERATURE,    /* C */
    VTS_PC_KIND_ENERGY,         /* J, the counter carried on past its wraps */
    VTS_PC_KIND_POWER,          /* W since the previous pass, NOT_YET within a step of the
                                   counter; 0 W is VALID for a part alone (see .subordinate) */
    VTS_PC_KIND_FREQUENCY,      /* Hz */
    VTS_PC_KIND_THROTTLE_COUNT, /* times the core or package was throttled */
    VTS_PC_KIND_UTILIZATION,    /* 0 to 1 since the previous pass, iowait counted as idle */
    VTS_PC_KIND_BUSY_TIME,      /* s: user, nice, system, irq, softirq and steal */
    VTS_PC_KIND_IDLE_TIME,      /* s: idle and iowait */
    VTS_PC_KIND_MEMORY_TOTAL,   /* bytes */
    VTS_PC_KIND_MEMORY_FREE,    /* bytes */
    VTS_PC_KIND_MEMORY_USED,    /* bytes */
    VTS_PC_KIND_COUNT
} vts_pc_kind;

/* The hwloc object a sensor measures, by type. */
typedef enum vts_pc_object_type {
    VTS_PC_OBJECT_NONE, /* unmapped: .mapping says why */
    VTS_PC_OBJECT_MACHINE,
    VTS_PC_OBJECT_PACKAGE,
    VTS_PC_OBJECT_DIE,
    VTS_PC_OBJECT_L3, /* a group of cores under one L3 cache: AMD's core complex */
    VTS_PC_OBJECT_CORE,
    VTS_PC_OBJECT_PU, /* one hardware thread */
    VTS_PC_OBJECT_NUMA_NODE,
    VTS_PC_OBJECT_DEVICE, /* a PCI device; only with desc.discover_io */
    VTS_PC_OBJECT_TYPE_COUNT
} vts_pc_object_type;

#define VTS_PC_NO_INDEX UINT32_MAX

/* The result of the value task. Every number is NaN unless state[its metric] is
   VTS_PC_VALID. The struct is plain data: copy it, compare .sequence. */
typedef struct vts_pc_statistics {
    double cpu_temperature;          /* C, hottest package */
    double cpu_temperature_critical; /* C, lowest critical limit among the packages */
    double cpu_utilization;          /* 0 to 1 since the previous pass, all CPUs */
    double cpu_frequency;            /* Hz, mean over the PUs */
    double cpu_frequency_max;        /* Hz, the fastest PU */
    double cpu_power;                /* W, sum of the packages since the previous pass */
    double cpu_energy;               /* J, sum of the packages' counters, past wraps */
    double cpu_throttle_count;       /* sum of the packages' */
    double memory_total;             /* bytes; exact up to 2^53 */
    double memory_free;              /* bytes */
    double memory_available;         /* bytes a program could get without swapping */
    double swap_total;               /* bytes */
    double swap_free;                /* bytes */
    double load_average[3];          /* runnable tasks over 1, 5, 15 minutes */
    double pressure[3];              /* 0 to 1: share of the last 10 s in which some task
                                        waited for cpu, memory, io */
    double gpu_temperature;          /* C, hottest */
    double storage_temperature;      /* C, hottest */
    uint64_t sequence;               /* number of the pass, from 1; 0: no sample yet */
    uint64_t sampled_at_ns;          /* CLOCK_BOOTTIME at the middle of the pass */
    uint32_t pass_cost_ns;           /* how long the pass took; 4.29 s at most */
    uint8_t cpu_temperature_source;  /* vts_pc_source */
    uint8_t state[VTS_PC_METRIC_COUNT]; /* vts_pc_state of each metric */
} vts_pc_statistics;

/* vts_pc_statistics_valuetask, vts_pc_statistics_source and their functions: see
   >>typed in vts.h. */
VTS_DECLARE_VALUETASK(vts_pc_statistics, vts_pc_statistics);

/* What one sensor said in the last pass. */
typedef struct vts_pc_reading {
    double value;    /* NaN unless state is VTS_PC_VALID; unit: see vts_pc_kind */
    uint32_t sensor; /* index for vts_pcmon_get_sensor(); VTS_PC_NO_INDEX: no such sensor */
    uint8_t state;   /* vts_pc_state */
    uint8_t kind;    /* vts_pc_kind */
    uint16_t reserved;
} vts_pc_reading;

/* What a sensor is. Strings are copied, and cut if they do not fit. */
typedef struct vts_pc_sensor_info {
    char chip[32];      /* "coretemp", "thermal", "intel-rapl", "cpufreq", "stat", "node" */
    char device[64];    /* "coretemp.0", "thermal_zone0", "intel-rapl:0:0", "policy2", "cpu2",
                           "package0-core1" */
    char attribute[32]; /* "temp1", "energy_uj", "scaling_cur_freq" */
    char label[64];     /* "Package id 0", "cpu-thermal", "package-0"; "" when unlabelled */
    char path[256];     /* the file it is read from */
    struct hwloc_obj *object; /* NULL: unmapped; valid until vts_pcmon_destroy() */
    const char *mapping; /* the proof of the mapping, or why there is none; static text */
    uint32_t object_index; /* logical index among the objects of its type */
    uint32_t package;      /* logical index of the package it lies in, or VTS_PC_NO_INDEX */
    uint32_t own_index;    /* the number the sensor carries itself: cpu4 4, "Core 2" 2,
                              package-1 1, node0 0; VTS_PC_NO_INDEX: none */
    uint8_t object_type;   /* vts_pc_object_type */
    uint8_t kind;          /* vts_pc_kind */
    uint8_t source;        /* vts_pc_source, of temperatures */
    bool subordinate;      /* part of another sensor on the same object: a RAPL subzone */
    double critical;       /* C, or NaN; read once at discovery */
    double maximum;        /* C, or NaN; read once at discovery */
} vts_pc_sensor_info;

/* About the monitor itself. */
typedef struct vts_pcmon_info {
    uint64_t passes;           /* sampling passes so far */
    uint64_t deadlines_missed; /* skipped because a pass or the scheduler was late */
    uint64_t waiters_completed;
    uint64_t cost_total_ns; /* of all passes */
    uint64_t suspends;      /* seen as a jump of CLOCK_BOOTTIME against CLOCK_MONOTONIC */
    uint32_t discoveries;   /* 1 after the first pass */
    uint32_t generation;    /* topologies loaded or adopted so far */
    uint32_t packages;      /* hwloc objects of the present topology */
    uint32_t dies;
    uint32_t cores;
    uint32_t pus;
    uint32_t numa_nodes;
    uint32_t sensors;
    uint32_t unmapped;
    int topology_error;  /* 0, or the negative errno with which hwloc refused to load */
    int discovery_error; /* 0, or a negative errno: the last one is incomplete; it is repeated
                            like for a sensor that is gone */
    int binding_error;   /* 0, or the negative errno of binding the sampler thread */
    int park_error;      /* 0, or the negative errno of arming the timer or of poll; -EBADF
                            too when the timer or the event was closed: the sampler then
                            looks every second at least */
    bool idle;           /* stopped because nobody asked for desc.idle_stop_ns */
} vts_pcmon_info;

/* Clocks of the io table. */
typedef enum vts_pc_clock {
    VTS_PC_CLOCK_COARSE,    /* CLOCK_MONOTONIC_COARSE: 1 to 10 ms steps, cheapest */
    VTS_PC_CLOCK_MONOTONIC, /* CLOCK_MONOTONIC: stands still in suspend */
    VTS_PC_CLOCK_BOOTTIME   /* CLOCK_BOOTTIME: counts suspend */
} vts_pc_clock;

/* Everything the monitor asks of the operating system, so that a test can take its
   place. NULL members are the real thing. Functions that can fail return a negative
   errno. Paths are absolute, under desc.sysfs_root or desc.procfs_root. */
typedef struct vts_pc_io {
    void *user;
    /* Opens for reading, not blocking, close-on-exec: a descriptor >= 0. */
    int (*open)(void *user, const char *path);
    /* One read at an offset (always 0): bytes read, 0 to size. */
    int64_t (*pread)(void *user, int fd, void *buffer, size_t size, uint64_t offset);
    void (*close)(void *user, int fd);
    /* Calls entry() for each name in a directory, "." and ".." left out, until it
       returns false. 0, or a negative errno. */
    int (*list)(void *user, const char *path,
                bool (*entry)(void *context, const char *name), void *context);
    /* The path without links into out, with a terminating NUL. 0, or a negative errno. */
    int (*realpath)(void *user, const char *path, char *out, size_t size);
    /* Nanoseconds of a clock. Any thread. */
    uint64_t (*now_ns)(void *user, vts_pc_clock clock);
    /* os_index of the PU the caller runs on. Any thread. NULL: hwloc is asked. */
    int (*current_cpu)(void *user);
    /* A descriptor that poll() finds readable when a deadline set with
       timerfd_settime(), or a write(), has come. Linux only. */
    int (*open_timer)(void *user);
    int (*open_event)(void *user);
    /* Starts and joins the sampler thread. A positive errno counts as a negative one. */
    int (*thread_start)(void *user, void *(*run)(void *), void *argument,
                        uintptr_t *thread);
    void (*thread_join)(void *user, uintptr_t thread);
} vts_pc_io;

/* Fills in or overrides metrics at the end of each pass: set a number and its state. A
   valid cpu_temperature set here is reported as VTS_PC_SOURCE_USER when the provider
   leaves cpu_temperature_source alone. Called on the sampler thread (on the ticking one
   with manual_tick) without a lock held; must not call vts_pcmon_destroy(). */
typedef void (*vts_pc_provider)(void *user, vts_pc_statistics *statistics);

/* Zero means default for every member. */
typedef struct vts_pcmon_desc {
    uint64_t interval_ns;  /* between passes (default 1 s; 1 ms to 1 day). Below 1 s
                              coretemp repeats the kernel's cached value */
    uint64_t freshness_ns; /* a sample this old is still served from the cache (default
                              interval_ns; up to 1 day). Below 10 ms the precise clock
                              is used: a fresh read then costs 3 x as much */
    uint64_t idle_stop_ns; /* stop the timer when nobody asked for this long; the next
                              miss starts it again (default 0: never; interval_ns to
                              365 days). Nothing wakes the thread then; while a timer
                              is set it looks once a second whether it was stopped */
    uint64_t slow_read_ns; /* quarantine a sensor that takes longer (default 20 ms; up
                              to 1 hour) */
    uint32_t metrics;      /* bits 1u << vts_pc_metric (default VTS_PC_METRICS_DEFAULT) */
    uint32_t waiters;      /* most requests pending at once (default 65536; up to 2^24);
                              memory is taken as they are needed */
    bool per_core_temperature; /* read every core's sensor; each costs an interrupt on
                                  that core */
    bool every_temperature;    /* read all temperatures, also those that no metric needs */
    bool wake_devices;         /* read runtime-suspended devices too */
    bool discover_io;          /* let hwloc find PCI devices: slower start, and GPU and
                                  storage sensors get an object */
    bool manual_tick;          /* no thread: vts_pcmon_tick() does the work */
    bool no_thread_name;       /* do not name the sampler thread "vts_pcmon" */
    const char *sysfs_root;    /* (default $HWLOC_FSROOT/sys when set, else /sys) */
    const char *procfs_root;   /* (default $HWLOC_FSROOT/proc when set, else /proc) */
    struct hwloc_topology *topology; /* borrow a loaded one: never changed, not freed */
    const char *topology_xml;  /* a file, or the text itself when it begins with '<': up
                                  to 64 MB */
    const char *topology_synthetic; /* hwloc's notation: "pack:2 core:4 pu:2"; up to
                                       65536 PUs */
    const char *sampler_cpuset; /* bind the sampler thread: "0-3,8", or "efficient" for
                                   the most efficient kind of core; isolated CPUs are
                                   left out (default: not bound) */
    const char *cpu_temperature_sensor; /* decide it yourself: "chip", "chip/label" or
                                           "chip/attribute" */
    vts_pc_provider provider;
    void *provider_user;
    const vts_pc_io *io;             /* copied */
    const vts_allocator *allocator;  /* (default vts_allocator_default()) */
    vts_scheduler *scheduler;        /* where continuations run (default: where the pass
                                        completes them) */
} vts_pcmon_desc;

typedef struct vts_pcmon vts_pcmon;

// ----------------------------------------------------------------------------------
// >>api
// ----------------------------------------------------------------------------------

/* Starts a monitor. desc may be NULL: all defaults. A machine without any sensor is no
   error. Costs microseconds: the sampler thread loads the topology, and the first task
   completes after that. With manual_tick the first tick does.
   Errors: -EINVAL (monitor NULL, a desc member out of its range, more than one
   topology, a synthetic description that hwloc refuses or of more than 65536 PUs, an XML
   file or text that hwloc refuses before it loads it, a cpuset that is none, a thread in
   a VTS_SINGLE_THREADED build), -ENOMEM,
   -ENAMETOOLONG (a root), -EAGAIN or what io.thread_start, io.open_timer and
   io.open_event return; then nothing is left behind and *monitor is NULL.
   What is wrong inside an XML description hwloc may find only when it loads: see
   vts_pcmon_info.topology_error after the first pass; there is no topology then. */
VTS_API int vts_pcmon_create(vts_pcmon **monitor, const vts_pcmon_desc *desc);

/* Stops the sampler (waits for a pass under way), completes every pending task with
   VTS_E_CANCELED, and frees all. NULL is allowed. No task, topology or object of this
   monitor may be used afterwards; nobody may be in another call. Must not be called
   from a continuation, a provider or an io function. In a forked child it frees what
   is the child's, and completes nothing: the parent's pending tasks are the parent's,
   their continuations do not run in the child. While there are such tasks, or when the
   fork hit a pass, the child's copy of that memory stays allocated.
   VTS_E_BUSY: results are still to be taken (or their continuations to run on
   desc.scheduler). Then the monitor is stopped but all memory is still there, so that
   no handle dangles: take them, and call again. Ignored, it is a leak. */
VTS_API int vts_pcmon_destroy(vts_pcmon *monitor);

/* The statistics. Fresh: a completed task with the value inside; no system call, no
   allocation, no shared write. Stale: a pending task that the next pass completes, and
   the sampler is woken (manual_tick: the next tick is due). Take the result once.
   Errors, as a completed faulted task: -EINVAL (monitor NULL), VTS_E_EXHAUSTED
   (desc.waiters are pending, or no memory for one more), -ECHILD (stale after a fork).
   A pending task ends with VTS_OK and the statistics of the pass that completed it,
   whenever they are taken; or canceled with VTS_E_CANCELED by cancel or destroy; or with
   -ENOMEM if the pass had no memory for its result. */
VTS_API vts_pc_statistics_valuetask vts_pcmon_get_statistics_async(vts_pcmon *monitor);

/* Cancels a pending task of this monitor: it completes with VTS_E_CANCELED now, its
   continuation runs here. The result must still be taken. Costs one completion.
   Errors: -EINVAL (monitor NULL), VTS_E_ALREADY_COMPLETED (the pass was first, or the
   value is inside the handle), VTS_E_STALE (taken already), VTS_E_FOREIGN (a task of
   another monitor or of a source of your own; it is left alone), -ECHILD. */
VTS_API int vts_pcmon_cancel(vts_pcmon *monitor, vts_pc_statistics_valuetask task);

/* The statistics if they are fresh; never rents, never wakes the sampler. VTS_OK, or
   -EAGAIN (stale: *statistics untouched), -EINVAL (an argument is NULL). */
VTS_API int vts_pcmon_try_get(vts_pcmon *monitor, vts_pc_statistics *statistics);

/* The newest statistics of whatever age. VTS_OK, -EAGAIN (no pass yet: *statistics
   untouched), -EINVAL. */
VTS_API int vts_pcmon_get_latest(vts_pcmon *monitor, vts_pc_statistics *statistics);

/* manual_tick: does what the sampler thread would do now. 1: a pass was made and all
   waiters completed; 0: nothing was due. *next_ns (may be NULL) gets the time from now
   to the next deadline, UINT64_MAX while idle. Errors: -EINVAL (NULL, or the monitor
   has a thread), -EBUSY (another tick is running), -ECHILD. */
VTS_API int vts_pcmon_tick(vts_pcmon *monitor, uint64_t *next_ns);

/* Makes a pass due now, whatever the age of the sample. VTS_OK, -EINVAL, -ECHILD. */
VTS_API int vts_pcmon_refresh(vts_pcmon *monitor);

/* Makes the next pass look for sensors first, and a pass due now: for devices plugged
   in since. VTS_OK, -EINVAL, -ECHILD. */
VTS_API int vts_pcmon_rediscover(vts_pcmon *monitor);

/* Describes the sensor with this index. Indices start at 0, have no gaps and keep their
   meaning while the monitor lives; new sensors are appended. VTS_OK, -ENOENT (no such
   sensor, or the first pass is not done), -EINVAL, -ECHILD. */
VTS_API int vts_pcmon_get_sensor(vts_pcmon *monitor, uint32_t sensor,
                                 vts_pc_sensor_info *info);

/* What all sensors said in one pass, by sensor index. Fills at most capacity readings
   and returns how many sensors there are (0 before the first pass); readings may be
   NULL when capacity is 0. *sequence (may be NULL) gets the number of that pass.
   Errors: -EINVAL, -ECHILD. Costs a mutex and a copy. */
VTS_API int vts_pcmon_read_sensors(vts_pcmon *monitor, vts_pc_reading *readings,
                                   size_t capacity, uint64_t *sequence);

/* What the sensors of one kind said about each object of one type, by hwloc logical
   index; an object without such a sensor has state VTS_PC_UNSUPPORTED and sensor
   VTS_PC_NO_INDEX. With several sensors the best source counts, a package without its
   own gets the maximum (temperature, of the dies that answer) or sum over its dies.
   Fills at most capacity readings and returns how many such objects there are. Errors:
   -EINVAL (NULL, type is not MACHINE to NUMA_NODE, or kind is none), -ECHILD. Costs a
   mutex and a walk over the sensors. */
VTS_API int vts_pcmon_read_objects(vts_pcmon *monitor, vts_pc_object_type type,
                                   vts_pc_kind kind, vts_pc_reading *readings,
                                   size_t capacity, uint64_t *sequence);

/* The PU the caller runs on: returns its os_index, and the temperature of its core
   (else of its package) and its frequency as of the last pass; each pointer may be
   NULL. Errors: -EINVAL (monitor NULL), -EAGAIN (no pass yet), -ENOENT (that PU is not
   in the topology), -ENOTSUP (the topology is not this machine's and io.current_cpu
   is not set), -ECHILD. */
VTS_API int vts_pcmon_here(vts_pcmon *monitor, vts_pc_reading *temperature,
                           vts_pc_reading *frequency);

/* The present topology, or NULL (before the first pass, or hwloc could not load one).
   For reading only, valid until vts_pcmon_destroy(). The objects of an owned one carry
   "VtsSensor" infos as lstopo -v shows them, for the sensors found when it was loaded. */
VTS_API struct hwloc_topology *vts_pcmon_topology(vts_pcmon *monitor);

/* About the monitor. VTS_OK, -EINVAL, -ECHILD. */
VTS_API int vts_pcmon_get_info(vts_pcmon *monitor, vts_pcmon_info *info);

/* Names as in this file, lower case: "valid", "coretemp", "temperature", "package" ...;
   "?" for a number outside the enumeration. Static text; any thread. */
VTS_API const char *vts_pc_state_name(int state);
VTS_API const char *vts_pc_metric_name(int metric);
VTS_API const char *vts_pc_source_name(int source);
VTS_API const char *vts_pc_kind_name(int kind);
VTS_API const char *vts_pc_object_type_name(int type);

#ifdef __cplusplus
}
#endif

#endif /* VTS_PCMON_H */

// ----------------------------------------------------------------------------------
// >>implementation
// ----------------------------------------------------------------------------------
#if defined VTS_IMPLEMENTATION && !defined VTS__PCMON_IMPLEMENTED
#define VTS__PCMON_IMPLEMENTED

#ifdef __cplusplus
#error "vts_pcmon: the implementation is C; define VTS_IMPLEMENTATION in a .c file"
#elif defined __GLIBC__ && !defined __USE_GNU
#error "vts: put '#define VTS_IMPLEMENTATION' and '#include \"vts_pcmon.h\"' before other includes"
#else

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#define VTS__PC_LINUX 1
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#else
#define VTS__PC_LINUX 0
#endif

/* hwloc's inline functions convert signs silently; the warnings are the user's flags. */
#if defined __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wcast-qual"
#endif
#include <hwloc.h>
#if defined __GNUC__
#pragma GCC diagnostic pop
#endif

#if HWLOC_API_VERSION < 0x00020500
#error "vts_pcmon needs hwloc 2.5 or later (DONT_CHANGE_BINDING)"
#endif

enum {
    VTS__PC_PATH = 512,           /* longest path */
    VTS__PC_ROOT = 256,           /* longest sysfs_root or procfs_root */
    VTS__PC_ATTRIBUTE = 4096,     /* a sysfs attribute is one page at most */
    VTS__PC_NAME = 64,            /* longest directory entry that matters */
    VTS__PC_FIRST_BUFFER = 16384, /* /proc/stat of 256 CPUs: 10.8 KB */
    VTS__PC_MAX_BUFFER = 1 << 22, /* more than that is no /proc file */
    VTS__PC_MAX_CPU = 65535,      /* higher CPU numbers are garbage */
    VTS__PC_MAX_PUS = 65536,      /* of a synthetic topology */
    VTS__PC_MAX_ERRNO = 4095,     /* Linux's own limit */
    VTS__PC_MAX_XML = 1 << 26,    /* a text; the largest machines' have 1 << 23 */
    VTS__PC_MAX_ITEMS = 1 << 20,  /* of an array: names in a directory, sensors */
    VTS__PC_MAX_WAITERS = 1 << 24,
    VTS__PC_SLOWEST_LEVEL = 6,    /* quarantine: every 2^6th pass; back-off: 2^6 s */
    VTS__PC_READ_TRIES = 64       /* of the cache, against a writer in its middle */
};

#define VTS__PC_MS UINT64_C(1000000)
#define VTS__PC_S UINT64_C(1000000000)
#define VTS__PC_DAY (86400 * VTS__PC_S)

#define VTS__PC_STORAGE_PERIOD (10 * VTS__PC_S) /* a disk's reading is a command to it */
#define VTS__PC_PATIENCE (10 * VTS__PC_S)       /* with ENXIO, as after a resume */
#define VTS__PC_SUSPEND_JUMP (100 * VTS__PC_MS) /* of BOOTTIME against MONOTONIC */
#define VTS__PC_PRECISE_BELOW (10 * VTS__PC_MS) /* freshness finer than coarse steps */
#define VTS__PC_ENERGY_STEP (10 * VTS__PC_MS)   /* a counter steps about every 1 ms */
#define VTS__PC_MAX_POWER 10000.0               /* W; more is a counter gone wrong */
#define VTS__PC_MAX_FREQUENCY 1e11              /* Hz; 0 is a driver that does not know */
#define VTS__PC_LOWEST_TEMPERATURE (-40.0)
#define VTS__PC_HIGHEST_TEMPERATURE 150.0
#define VTS__PC_NAN ((double)NAN)

static void *vts__pc_alloc(const vts_allocator *allocator, size_t size)
{
    return allocator->alloc(allocator->user, size);
}

static void vts__pc_free(const vts_allocator *allocator, void *memory, size_t size)
{
    if (memory != NULL && allocator->free != NULL) {
        allocator->free(allocator->user, memory, size);
    }
}

/* Moves an array into memory for at least wanted items. NULL: no memory or too many, and
   the old array is still there. */
static void *vts__pc_widen(const vts_allocator *allocator, void *old, size_t item,
                           uint32_t count, uint32_t wanted, uint32_t *capacity)
{
    void *memory;

    if (old != NULL && wanted <= *capacity) return old;
    if (wanted > VTS__PC_MAX_ITEMS) return NULL;
    if (wanted == 0) wanted = 1;
    memory = vts__pc_alloc(allocator, wanted * item);
    if (memory == NULL) return NULL;
    if (count > 0) memcpy(memory, old, count * item);
    vts__pc_free(allocator, old, *capacity * item);
    *capacity = wanted;
    return memory;
}

/* The same for one item more, with room for others to come. */
static void *vts__pc_grow(const vts_allocator *allocator, void *old, size_t item,
                          uint32_t count, uint32_t *capacity)
{
    uint32_t wanted = count < *capacity ? *capacity : count < 8 ? 8 : count * 2;
    return vts__pc_widen(allocator, old, item, count, wanted, capacity);
}

static bool vts__pc_equal(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool vts__pc_begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Copies as much as fits, always terminated. */
static void vts__pc_copy_text(char *out, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size) length = size - 1;
    memcpy(out, text, length);
    out[length] = '\0';
}

/* What the monitor names itself below a root always fits; what a link leads to may not. */
_Static_assert(VTS__PC_ROOT + 2 * VTS__PC_NAME + 32 <= VTS__PC_PATH,
               "a path below a root is cut");

/* directory/name; false and "" when it does not fit. */
static bool vts__pc_join(char out[VTS__PC_PATH], const char *directory, const char *name)
{
    size_t head = strlen(directory), tail = strlen(name);

    out[0] = '\0';
    if (head + tail + 2 > VTS__PC_PATH) return false;
    memcpy(out, directory, head);
    out[head] = '/';
    memcpy(out + head + 1, name, tail + 1);
    return true;
}

static const char *vts__pc_last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

// ----------------------------------------------------------------------------------
// >>parse
// ----------------------------------------------------------------------------------
// Strict, without locale, and never past text + length: the files of a container, a
// driver's bug or a fuzzer may hold anything. A parser that says false has left its
// output alone.

static bool vts__pc_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool vts__pc_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t vts__pc_skip_blanks(const char *text, size_t length, size_t at)
{
    while (at < length && vts__pc_is_blank(text[at])) at++;
    return at;
}

static size_t vts__pc_line_end(const char *text, size_t length, size_t at)
{
    const char *end = (const char *)memchr(text + at, '\n', length - at);
    return end != NULL ? (size_t)(end - text) : length;
}

/* Digits at *at; moves *at behind them. False on none, or above 2^64 - 1. */
static bool vts__pc_parse_digits(const char *text, size_t length, size_t *at,
                                 uint64_t *value)
{
    size_t i = *at;
    uint64_t sum = 0;

    if (i >= length || !vts__pc_is_digit(text[i])) return false;
    for (; i < length && vts__pc_is_digit(text[i]); i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        if (sum > (UINT64_MAX - digit) / 10) return false;
        sum = sum * 10 + digit;
    }
    *at = i;
    *value = sum;
    return true;
}

/* Digits at at, then blanks or newlines to the end. */
static bool vts__pc_parse_last(const char *text, size_t length, size_t at, uint64_t *value)
{
    uint64_t number;

    if (!vts__pc_parse_digits(text, length, &at, &number)) return false;
    while (at < length && (vts__pc_is_blank(text[at]) || text[at] == '\n')) at++;
    if (at != length) return false;
    *value = number;
    return true;
}

/* A whole attribute: blanks, sign, digits, blanks or newlines. */
static bool vts__pc_parse_integer(const char *text, size_t length, int64_t *value)
{
    size_t at = vts__pc_skip_blanks(text, length, 0);
    bool negative = at < length && text[at] == '-';
    uint64_t size;

    if (!vts__pc_parse_last(text, length, at + negative, &size)) return false;
    if (size > INT64_MAX) return false;
    *value = negative ? -(int64_t)size : (int64_t)size;
    return true;
}

/* The same, not negative, up to 2^64 - 1: counters. */
static bool vts__pc_parse_counter(const char *text, size_t length, uint64_t *value)
{
    return vts__pc_parse_last(text, length, vts__pc_skip_blanks(text, length, 0), value);
}

/* "12.34" at *at: at most 12 digits before the point and 6 behind it, so that value is
   the double nearest to the text. */
static bool vts__pc_parse_decimal(const char *text, size_t length, size_t *at,
                                  double *value)
{
    size_t i = *at, point;
    uint64_t whole, fraction = 0, scale = 1;

    if (!vts__pc_parse_digits(text, length, &i, &whole)) return false;
    if (whole >= UINT64_C(1000000000000)) return false;
    if (i < length && text[i] == '.') {
        point = ++i;
        if (!vts__pc_parse_digits(text, length, &i, &fraction)) return false;
        if (i - point > 6) return false;
        for (; point < i; point++) scale *= 10;
    }
    if (whole >= (UINT64_C(1) << 53) / scale) return false;
    *value = (double)(whole * scale + fraction) / (double)scale;
    *at = i;
    return true;
}

/* prefix, digits, suffix and nothing else: "hwmon12", "temp1_input". */
static bool vts__pc_parse_name(const char *text, size_t length, const char *prefix,
                               const char *suffix, uint32_t *number)
{
    size_t at = strlen(prefix), tail = strlen(suffix);
    uint64_t value;

    if (length < at || memcmp(text, prefix, at) != 0) return false;
    if (!vts__pc_parse_digits(text, length, &at, &value)) return false;
    if (value >= VTS_PC_NO_INDEX) return false;
    if (length - at != tail || memcmp(text + at, suffix, tail) != 0) return false;
    *number = (uint32_t)value;
    return true;
}

/* The number of a name that was listed for it: prefix and digits. */
static uint32_t vts__pc_number_in(const char *name, const char *prefix)
{
    return (uint32_t)strtoul(name + strlen(prefix), NULL, 10);
}

/* "0-3,8" into a bitmap; blanks and newlines may follow. False, and set undefined, on
   anything else and on numbers above VTS__PC_MAX_CPU. An empty list is empty. */
static bool vts__pc_parse_cpulist(const char *text, size_t length, hwloc_bitmap_t set)
{
    size_t at = 0;
    uint64_t first, last;

    while (length > 0 && (vts__pc_is_blank(text[length - 1]) || text[length - 1] == '\n')) {
        length--;
    }
    hwloc_bitmap_zero(set);
    while (at < length) {
        if (!vts__pc_parse_digits(text, length, &at, &first)) return false;
        last = first;
        if (at < length && text[at] == '-') {
            at++;
            if (!vts__pc_parse_digits(text, length, &at, &last)) return false;
        }
        if (last < first || last > VTS__PC_MAX_CPU) return false;
        if (hwloc_bitmap_set_range(set, (unsigned)first, (int)last) < 0) return false;
        if (at == length) return true;
        if (text[at++] != ',' || at == length) return false;
    }
    return true;
}

/* The value of "Key:   123 kB" in bytes. prefix comes before the key on each line: ""
   in /proc/meminfo, "Node 3 " in a node's. */
static vts_pc_state vts__pc_parse_memory(const char *text, size_t length,
                                         const char *prefix, const char *key,
                                         double *bytes)
{
    size_t before = strlen(prefix), size = strlen(key), at = 0, end;
    uint64_t kilobytes;

    for (; at < length; at = end + 1) {
        end = vts__pc_line_end(text, length, at);
        if (end - at < before + size + 1) continue;
        if (memcmp(text + at, prefix, before) != 0) continue;
        if (memcmp(text + at + before, key, size) != 0) continue;
        if (text[at + before + size] != ':') continue;
        at = vts__pc_skip_blanks(text, end, at + before + size + 1);
        if (!vts__pc_parse_digits(text, end, &at, &kilobytes)) return VTS_PC_MALFORMED;
        if (end - at != 3 || memcmp(text + at, " kB", 3) != 0) return VTS_PC_MALFORMED;
        if (kilobytes > UINT64_MAX >> 10) return VTS_PC_MALFORMED;
        *bytes = (double)(kilobytes << 10);
        return VTS_PC_VALID;
    }
    return VTS_PC_UNSUPPORTED;
}

/* "0.21 0.37 0.39 1/719 19737" */
static bool vts__pc_parse_loadavg(const char *text, size_t length, double load[3])
{
    double value[3];
    size_t at = 0;
    int i;

    for (i = 0; i < 3; i++) {
        at = vts__pc_skip_blanks(text, length, at);
        if (!vts__pc_parse_decimal(text, length, &at, &value[i])) return false;
        if (at >= length || !vts__pc_is_blank(text[at])) return false;
    }
    memcpy(load, value, sizeof value);
    return true;
}

/* The percentage in "some avg10=0.18 avg60=..." as a ratio. */
static bool vts__pc_parse_pressure(const char *text, size_t length, double *ratio)
{
    static const char head[] = "some avg10=";
    size_t at = sizeof head - 1;
    double percent;

    if (length < at || memcmp(text, head, at) != 0) return false;
    if (!vts__pc_parse_decimal(text, length, &at, &percent)) return false;
    if (at >= length || !vts__pc_is_blank(text[at]) || percent > 100.0) return false;
    *ratio = percent / 100.0;
    return true;
}

/* The fields of a cpu line of /proc/stat that are added up; guest is inside user. */
enum {
    VTS__PC_USER, VTS__PC_NICE, VTS__PC_SYSTEM, VTS__PC_IDLE, VTS__PC_IOWAIT,
    VTS__PC_IRQ, VTS__PC_SOFTIRQ, VTS__PC_STEAL, VTS__PC_TICKS
};

typedef enum vts__pc_line {
    VTS__PC_LINE_OTHER,    /* not about a CPU */
    VTS__PC_LINE_BROKEN,   /* about a CPU (its number is set if it was readable) */
    VTS__PC_LINE_ALL_CPUS, /* the sum of all */
    VTS__PC_LINE_CPU
} vts__pc_line;

/* The numbers of a cpu line; old kernels have four of them, present ones ten. */
static bool vts__pc_parse_ticks(const char *text, size_t end, size_t at,
                                uint64_t ticks[VTS__PC_TICKS])
{
    uint64_t value;
    int count;

    memset(ticks, 0, VTS__PC_TICKS * sizeof ticks[0]);
    for (count = 0; at < end; count++) {
        if (!vts__pc_is_blank(text[at])) return false;
        at = vts__pc_skip_blanks(text, end, at);
        if (at == end) break;
        if (!vts__pc_parse_digits(text, end, &at, &value)) return false;
        if (count < VTS__PC_TICKS) ticks[count] = value;
    }
    return count >= 4;
}

/* One line of /proc/stat from *at on, which moves to the next line. */
static vts__pc_line vts__pc_parse_stat_line(const char *text, size_t length, size_t *at,
                                            uint32_t *cpu,
                                            uint64_t ticks[VTS__PC_TICKS])
{
    size_t i = *at, end = vts__pc_line_end(text, length, i);
    vts__pc_line line = VTS__PC_LINE_ALL_CPUS;
    uint64_t number;

    *at = end + 1;
    *cpu = VTS_PC_NO_INDEX;
    if (end - i < 4 || memcmp(text + i, "cpu", 3) != 0) return VTS__PC_LINE_OTHER;
    i += 3;
    if (!vts__pc_is_blank(text[i])) {
        if (!vts__pc_parse_digits(text, end, &i, &number)) return VTS__PC_LINE_BROKEN;
        if (number > VTS__PC_MAX_CPU) return VTS__PC_LINE_BROKEN;
        *cpu = (uint32_t)number;
        line = VTS__PC_LINE_CPU;
    }
    return vts__pc_parse_ticks(text, end, i, ticks) ? line : VTS__PC_LINE_BROKEN;
}

/* "package-1" or "package-1-die-0"; *die is VTS_PC_NO_INDEX without one. */
static bool vts__pc_parse_rapl_name(const char *text, size_t length, uint32_t *package,
                                    uint32_t *die)
{
    static const char head[] = "package-";
    size_t at = sizeof head - 1;
    uint64_t number;

    if (length < at || memcmp(text, head, at) != 0) return false;
    if (!vts__pc_parse_digits(text, length, &at, &number)) return false;
    if (number >= VTS_PC_NO_INDEX) return false;
    *die = VTS_PC_NO_INDEX;
    if (at < length && !vts__pc_parse_name(text + at, length - at, "-die-", "", die)) {
        return false;
    }
    *package = (uint32_t)number;
    return true;
}

static bool vts__pc_is_hex(char c)
{
    return vts__pc_is_digit(c) || (c >= 'a' && c <= 'f');
}

/* "0000:00:18.3", the name of a PCI device's directory. */
static bool vts__pc_is_pci_name(const char *text, size_t length)
{
    static const char shape[] = "xxxx:xx:xx.x";
    size_t i;

    if (length != sizeof shape - 1) return false;
    for (i = 0; i < length; i++) {
        if (shape[i] == 'x' ? !vts__pc_is_hex(text[i]) : text[i] != shape[i]) return false;
    }
    return true;
}

/* runtime_status: only "suspended" and "suspending" would be woken by a read. */
static bool vts__pc_parse_suspended(const char *text, size_t length)
{
    return length >= 7 && memcmp(text, "suspend", 7) == 0;
}

/* Text of a driver for people: trailing blanks off, other control characters '?'. */
static size_t vts__pc_clean_text(char *text, size_t length)
{
    size_t i;

    while (length > 0 && (text[length - 1] == '\n' || vts__pc_is_blank(text[length - 1]))) {
        length--;
    }
    for (i = 0; i < length; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 127) text[i] = '?';
    }
    text[length] = '\0';
    return length;
}

// ----------------------------------------------------------------------------------
// >>os
// ----------------------------------------------------------------------------------
// The default io table. user is not used.

static int vts__pc_os_open(void *user, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    (void)user;
    return fd >= 0 ? fd : -errno;
}

static int64_t vts__pc_os_pread(void *user, int fd, void *buffer, size_t size,
                                uint64_t offset)
{
    ssize_t got = pread(fd, buffer, size, (off_t)offset);
    (void)user;
    return got >= 0 ? (int64_t)got : -(int64_t)errno;
}

static void vts__pc_os_close(void *user, int fd)
{
    (void)user;
    close(fd);
}

static int vts__pc_os_list(void *user, const char *path,
                           bool (*entry)(void *context, const char *name), void *context)
{
    DIR *directory = opendir(path);
    struct dirent *next;
    int error;

    (void)user;
    if (directory == NULL) return -errno;
    for (;;) {
        errno = 0;
        next = readdir(directory);
        if (next == NULL) break;
        if (vts__pc_equal(next->d_name, ".") || vts__pc_equal(next->d_name, "..")) continue;
        if (!entry(context, next->d_name)) break;
    }
    error = next == NULL ? errno : 0;
    closedir(directory);
    return -error;
}

static int vts__pc_os_realpath(void *user, const char *path, char *out, size_t size)
{
    char *whole = realpath(path, NULL);
    size_t length;
    int error = 0;

    (void)user;
    if (whole == NULL) return -errno;
    length = strlen(whole);
    if (length < size) memcpy(out, whole, length + 1);
    else error = -ENAMETOOLONG;
    free(whole);
    return error;
}

static int vts__pc_os_thread_start(void *user, void *(*run)(void *), void *argument,
                                   uintptr_t *thread)
{
    sigset_t all, before;
    pthread_t made;
    int error;

    /* The program's signals are not for the sampler. */
    (void)user;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&made, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) *thread = (uintptr_t)made;
    return -error;
}

static void vts__pc_os_thread_join(void *user, uintptr_t thread)
{
    (void)user;
    pthread_join((pthread_t)thread, NULL);
}

static VTS__INLINE uint64_t vts__pc_clock(clockid_t id)
{
    struct timespec time;

    if (clock_gettime(id, &time) != 0) return 0;
    return (uint64_t)time.tv_sec * VTS__PC_S + (uint64_t)time.tv_nsec;
}

#if VTS__PC_LINUX

static uint64_t vts__pc_os_now(void *user, vts_pc_clock clock)
{
    static const clockid_t id[] = {CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC,
                                   CLOCK_BOOTTIME};
    (void)user;
    return vts__pc_clock(id[clock]);
}

static VTS__INLINE uint64_t vts__pc_coarse_clock(void)
{
    return vts__pc_clock(CLOCK_MONOTONIC_COARSE);
}

static int vts__pc_os_open_timer(void *user)
{
    int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    (void)user;
    return fd >= 0 ? fd : -errno;
}

static int vts__pc_os_open_event(void *user)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)user;
    return fd >= 0 ? fd : -errno;
}

static void vts__pc_os_name_thread(void)
{
    (void)prctl(PR_SET_NAME, "vts_pcmon", 0, 0, 0);
}

#else

static uint64_t vts__pc_os_now(void *user, vts_pc_clock clock)
{
    (void)user;
    (void)clock;
    return vts__pc_clock(CLOCK_MONOTONIC);
}

static VTS__INLINE uint64_t vts__pc_coarse_clock(void)
{
    return vts__pc_clock(CLOCK_MONOTONIC);
}

static int vts__pc_os_open_timer(void *user)
{
    (void)user;
    return -ENOSYS;
}

static int vts__pc_os_open_event(void *user)
{
    (void)user;
    return -ENOSYS;
}

static void vts__pc_os_name_thread(void)
{
}

#endif

static vts_pc_io vts__pc_io_of(const vts_pc_io *given)
{
    vts_pc_io io = {0};

    if (given != NULL) io = *given;
    if (io.open == NULL) io.open = vts__pc_os_open;
    if (io.pread == NULL) io.pread = vts__pc_os_pread;
    if (io.close == NULL) io.close = vts__pc_os_close;
    if (io.list == NULL) io.list = vts__pc_os_list;
    if (io.realpath == NULL) io.realpath = vts__pc_os_realpath;
    if (io.now_ns == NULL) io.now_ns = vts__pc_os_now;
    if (io.open_timer == NULL) io.open_timer = vts__pc_os_open_timer;
    if (io.open_event == NULL) io.open_event = vts__pc_os_open_event;
    if (io.thread_start == NULL) io.thread_start = vts__pc_os_thread_start;
    if (io.thread_join == NULL) io.thread_join = vts__pc_os_thread_join;
    return io;
}

// ----------------------------------------------------------------------------------
// >>park
// ----------------------------------------------------------------------------------
// The sampler sleeps until a deadline or a wake. A wake that comes while it is awake
// is kept and ends the next sleep at once.

#if VTS__PC_LINUX

/* timer: CLOCK_BOOTTIME, so that it fires at once after a suspend. */
typedef struct vts__pc_park {
    int timer;
    int event;
} vts__pc_park;

static int vts__pc_park_open(vts__pc_park *park, const vts_pc_io *io)
{
    park->timer = io->open_timer(io->user);
    if (park->timer < 0) return park->timer;
    park->event = io->open_event(io->user);
    if (park->event >= 0) return 0;
    io->close(io->user, park->timer);
    return park->event;
}

static void vts__pc_park_close(vts__pc_park *park, const vts_pc_io *io)
{
    io->close(io->user, park->timer);
    io->close(io->user, park->event);
}

static void vts__pc_park_wake(vts__pc_park *park)
{
    uint64_t one = 1;
    ssize_t written = write(park->event, &one, sizeof one);
    /* EAGAIN: the counter is full of wakes already. Any other failure: the sampler looks
       after a second at the latest. */
    (void)written;
}

/* False: what poll() finds readable there is no event. */
static bool vts__pc_park_drain(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

/* UINT64_MAX: without a deadline. 0, or a negative errno. */
static int vts__pc_park_arm(vts__pc_park *park, uint64_t ns)
{
    struct itimerspec when = {{0, 0}, {0, 0}};

    if (ns != UINT64_MAX) {
        if (ns == 0) ns = 1; /* 0 would disarm the timer */
        when.it_value.tv_sec = (time_t)(ns / VTS__PC_S);
        when.it_value.tv_nsec = (long)(ns % VTS__PC_S);
    }
    return timerfd_settime(park->timer, 0, &when, NULL) == 0 ? 0 : -errno;
}

/* Sleeps for ns (UINT64_MAX: without a deadline), a second at most: a program that closes
   the descriptors under a sleeping sampler can wake it no more, nor stop it. A descriptor
   that cannot be used is left out and poll's timeout takes its place. 0, or a negative
   errno. */
static int vts__pc_park_wait(vts__pc_park *park, uint64_t ns)
{
    int error = vts__pc_park_arm(park, ns);
    struct pollfd wait[2] = {{0, POLLIN, 0}, {0, POLLIN, 0}};
    int timeout = ns < VTS__PC_S ? (int)(ns / VTS__PC_MS) + 1 : 1000;
    bool idle = ns == UINT64_MAX; /* then nothing but a request wakes this thread */

    wait[0].fd = error == 0 ? park->timer : -1;
    wait[1].fd = park->event;
    if (poll(wait, 2, idle ? -1 : timeout) < 0) return errno == EINTR ? 0 : -errno;
    if ((wait[0].revents & ~POLLIN) != 0) {
        error = -EBADF;
        wait[0].fd = -1;
    }
    if (wait[1].revents == 0) return error;
    if (wait[1].revents == POLLIN && vts__pc_park_drain(park->event)) return error;
    if (poll(wait, 1, timeout) < 0 && errno != EINTR) return -errno;
    return -EBADF;
}

#else

typedef struct vts__pc_park {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken; /* under lock */
} vts__pc_park;

static int vts__pc_park_open(vts__pc_park *park, const vts_pc_io *io)
{
    (void)io;
    park->woken = false;
    if (pthread_mutex_init(&park->lock, NULL) != 0) return -EAGAIN;
    if (pthread_cond_init(&park->changed, NULL) == 0) return 0;
    pthread_mutex_destroy(&park->lock);
    return -EAGAIN;
}

static void vts__pc_park_close(vts__pc_park *park, const vts_pc_io *io)
{
    (void)io;
    pthread_cond_destroy(&park->changed);
    pthread_mutex_destroy(&park->lock);
}

static void vts__pc_park_wake(vts__pc_park *park)
{
    pthread_mutex_lock(&park->lock);
    park->woken = true;
    pthread_cond_signal(&park->changed);
    pthread_mutex_unlock(&park->lock);
}

/* A condition variable's default clock can be set: sleeps of a second at most, so that
   the sampler notices. */
static int vts__pc_park_wait(vts__pc_park *park, uint64_t ns)
{
    struct timespec until;
    uint64_t at;
    int error = 0;

    if (ns > VTS__PC_S) ns = VTS__PC_S;
    at = vts__pc_clock(CLOCK_REALTIME) + ns;
    until.tv_sec = (time_t)(at / VTS__PC_S);
    until.tv_nsec = (long)(at % VTS__PC_S);
    pthread_mutex_lock(&park->lock);
    while (!park->woken && error == 0) {
        error = pthread_cond_timedwait(&park->changed, &park->lock, &until);
    }
    park->woken = false;
    pthread_mutex_unlock(&park->lock);
    return error == ETIMEDOUT ? 0 : -error;
}

#endif

// ----------------------------------------------------------------------------------
// >>model
// ----------------------------------------------------------------------------------

/* A file that stays open between passes. resting: why it is not read again before the
   next discovery (denied, not there), or VTS_PC_VALID. */
typedef struct vts__pc_file {
    const char *path;
    int fd; /* -1: closed */
    vts_pc_state resting;
} vts__pc_file;

/* The counters of one CPU in /proc/stat as of the pass before. */
typedef struct vts__pc_ticks {
    uint64_t tick[VTS__PC_TICKS];
    bool known;
} vts__pc_ticks;

/* What a sensor is: strings in one block of memory. home is the device's directory
   without links: with chip, attribute and label the sensor's identity. */
typedef struct vts__pc_text {
    const char *chip;
    const char *home;
    const char *attribute;
    const char *label;
    const char *path;
    const char *sleep_path; /* runtime_status; "": cannot be asleep */
} vts__pc_text;

/* How the file of a leader is understood. */
typedef enum vts__pc_reader {
    VTS__PC_READ_TEMPERATURE, /* m degrees C */
    VTS__PC_READ_ENERGY,      /* uJ; parts: energy, power */
    VTS__PC_READ_FREQUENCY,   /* kHz */
    VTS__PC_READ_COUNT,
    VTS__PC_READ_NODE, /* a node's meminfo; parts: total, free, used */
    VTS__PC_READ_STAT, /* a line of /proc/stat; parts: utilization, busy, idle */
    VTS__PC_READ_NONE  /* known since discovery */
} vts__pc_reader;

enum { VTS__PC_PARTS = 3 };

/* A sensor. Several that come out of one file share the reading of their leader, each
   takes one part of it; most lead only themselves. What it is changes in merge, under
   the monitor's lock; what it read belongs to the sampler. */
typedef struct vts__pc_sensor {
    /* what it is */
    vts__pc_text text;
    char *memory; /* of the text */
    size_t memory_size;
    hwloc_obj_t object;
    const char *mapping;
    uint32_t object_index;
    uint32_t package;
    uint32_t own_index;
    uint32_t leader;
    vts_pc_object_type object_type;
    vts_pc_kind kind;
    vts_pc_source source;
    vts__pc_reader reader;
    int part;
    bool subordinate;
    bool chosen; /* by desc.cpu_temperature_sensor */
    bool wanted; /* read by every pass */
    double critical;
    double maximum;
    uint64_t wrap;      /* uJ: the energy counter's range */
    uint64_t period_ns; /* read at most this often; 0: by every pass */

    /* what a leader read */
    double value[VTS__PC_PARTS];
    vts_pc_state state[VTS__PC_PARTS];
    vts__pc_file file;
    vts__pc_file sleep;
    uint64_t pass;         /* in which it was dealt with last */
    uint64_t due_ns;       /* with period_ns */
    uint64_t failing_since_ns;
    bool failing;          /* with ENXIO */
    bool gone;
    uint64_t cost_ns;      /* moving average of one read */
    unsigned slow_level;   /* 0: not in quarantine */
    unsigned skip;         /* passes to leave out */
    bool counting;         /* energy: last_raw is of the same count */
    uint64_t last_raw;     /* uJ */
    uint64_t last_at_ns;
    uint64_t total;        /* uJ, past wraps */
    vts__pc_ticks ticks;   /* of a line of /proc/stat */
} vts__pc_sensor;

/* The statistics of one pass, for all who waited for it. Lives until the last of them
   has taken the result.
     owners  takers still to come; set by the pass before it completes anybody, taken
             down by each taker after its copy, acq_rel: the last one gives it back */
typedef struct vts__pc_share {
    vts_pc_statistics statistics;
    vts_word owners;
    vts_pool *pool;
} vts__pc_share;

/* Somebody who waits: a pooled source whose result is a vts__pc_share, and in front of
   it the source that handles point to, which copies the statistics out of that. So a
   completion costs the same however large the statistics are.
     next   the waiter pushed before; plain: written by the renter that found armed 0,
            before the push [M3]; read by the pass before it takes armed back [M4]
     armed  0: not linked; else linked, and the token of the operation to complete.
            Written by a renter (exchange, [M5]) and by the pass (exchange to 0, [M4]) */
typedef struct vts__pc_waiter {
    vts_source core;
    vts_valuetask_source front;
    struct vts__pc_waiter *next;
    vts_word armed;
} vts__pc_waiter;

/* What the fast path copies; whole words, both sizes. stamp_ns: vts_pcmon.fresh_clock
   at the start of the pass. */
typedef struct vts__pc_cache {
    uint64_t stamp_ns;
    vts_pc_statistics statistics;
} vts__pc_cache;

enum {
    VTS__PC_FILE_STAT, VTS__PC_FILE_MEMINFO, VTS__PC_FILE_LOADAVG,
    VTS__PC_FILE_PRESSURE, /* three in a row: cpu, memory, io */
    VTS__PC_FILE_ONLINE = VTS__PC_FILE_PRESSURE + 3,
    VTS__PC_FILES
};

typedef struct vts__pc_file_slot {
    vts__pc_file file;
    char path[VTS__PC_PATH];
} vts__pc_file_slot;

/* Atomic words: who writes, who reads, order.
     sequence    odd while a pass publishes. Written by the pass, release [M1]; readers
                 load it with acquire, and again relaxed after the copy [M2]
     cache       written word by word by the pass, release; read with acquire [M2]
     waiters     top of the stack. Pushed by compare-and-swap, taken whole by exchange
                 with 0; both acq_rel [M3]
     asked       1: somebody read since the last step. Written by readers, relaxed, only
                 when it is 0; taken by the sampler
     refresh, rediscover
                 requests to the sampler: release store of 1, taken by exchange; the
                 wake that follows is what brings them through
     stop        1: destroy was here. Set by exchange, never taken back
     ticking     1: a tick is running; taken by exchange, given back with release
     passing     1: a pass is changing sensors and buffers; by the sampler, with
                 release; read after a fork to know whether they can be freed
   Private to the sampler (or whoever ticks): everything marked so. Under lock: what
   the public functions read. */
struct vts_pcmon {
    /* constant after create; read by every fresh read */
    vts_pc_io io;
    int64_t freshness_ns;
    vts_pc_clock fresh_clock;
    bool coarse;        /* fresh_clock is the system's own coarse one */
    bool marks_readers; /* idle stop is on */
    char pad0[64];

    vts_word sequence;
    vts__pc_cache cache;
    char pad1[64];

    vts_word waiters;
    vts_word asked;
    vts_word refresh;
    vts_word rediscover;
    vts_word stop;
    vts_word ticking;
    vts_word passing;
    char pad2[64];

    /* constant after create */
    vts_pcmon_desc desc; /* its strings are not valid any more */
    vts_allocator allocator;
    vts_pool pool;   /* of vts__pc_waiter */
    vts_pool shares; /* of vts__pc_share */
    vts_word forks; /* vts__pc_forks at create */
    vts__pc_park park;
    uintptr_t thread;
    char sysfs[VTS__PC_ROOT];
    char procfs[VTS__PC_ROOT];
    char chosen[VTS__PC_NAME * 2]; /* desc.cpu_temperature_sensor */
    hwloc_bitmap_t binding;        /* NULL: none given */
    bool bind_efficient;
    bool owns_topology;
    bool native; /* the topology is loaded from this system, and again on hotplug */

    /* the sampler's */
    hwloc_topology_t topology;
    hwloc_topology_t prepared; /* configured by create, not loaded yet */
    bool annotate;             /* topology is new and not yet published */
    vts__pc_sensor *sensor;    /* their structure: changed under lock */
    uint32_t sensor_count;
    uint32_t sensor_capacity;
    uint64_t *cpu; /* {CPU number, leader of its line in /proc/stat}, ascending */
    uint32_t cpu_count;
    uint32_t cpu_capacity;
    vts__pc_ticks all_cpus;
    vts__pc_file_slot file[VTS__PC_FILES];
    char *buffer;
    size_t buffer_size;
    vts_pc_statistics next; /* being sampled */
    uint64_t pass;
    uint64_t now_ns;       /* CLOCK_MONOTONIC at the last look */
    uint64_t boot_ns;      /* CLOCK_BOOTTIME at the start of the pass */
    uint64_t suspended_ns; /* BOOTTIME - MONOTONIC at the last pass */
    uint64_t deadline_ns;  /* BOOTTIME */
    uint64_t last_asked_ns;
    bool has_deadline;
    bool idle;
    bool wants_discovery;
    unsigned gone_level;
    uint64_t retry_ns; /* BOOTTIME of the next discovery; 0: none needed */
    uint64_t online_hash;

    /* under lock */
    pthread_mutex_t lock;
    hwloc_topology_t published_topology;
    hwloc_topology_t *retired;
    uint32_t retired_count;
    uint32_t retired_capacity;
    vts_pc_reading *readings;
    uint32_t reading_count;
    uint32_t reading_capacity;
    vts_pc_statistics latest;
    vts_pcmon_info info;
};

/* Pairs of words that lie within a cache line each: the fast path copies those. */
_Static_assert(sizeof(void *) != 8 ||
                   offsetof(vts_pcmon, cache.statistics) % 16 == 0,
               "the cached statistics are not aligned");

static uint64_t vts__pc_now(vts_pcmon *m, vts_pc_clock clock)
{
    return m->io.now_ns(m->io.user, clock);
}

static bool vts__pc_asks_for(const vts_pcmon *m, vts_pc_metric metric)
{
    return (m->desc.metrics >> metric & 1u) != 0;
}

static void vts__pc_file_close(vts_pcmon *m, vts__pc_file *file)
{
    if (file->fd >= 0) m->io.close(m->io.user, file->fd);
    file->fd = -1;
}

static void vts__pc_set_all(vts__pc_sensor *s, vts_pc_state state)
{
    int i;
    for (i = 0; i < VTS__PC_PARTS; i++) {
        s->value[i] = VTS__PC_NAN;
        s->state[i] = state;
    }
}

static void vts__pc_set_part(vts__pc_sensor *s, int part, vts_pc_state state, double value)
{
    s->state[part] = state;
    s->value[part] = state == VTS_PC_VALID ? value : VTS__PC_NAN;
}

/* One read: 0 to size, or a negative errno; anything else from an io table is -EIO. */
static int64_t vts__pc_pread(vts_pcmon *m, int fd, char *out, size_t size)
{
    int64_t got = m->io.pread(m->io.user, fd, out, size, 0);
    return got > (int64_t)size || got < -VTS__PC_MAX_ERRNO ? -EIO : got;
}

/* Opens, reads once and closes: for discovery. Bytes read (out is terminated, and
   cleaned as text for people), or a negative errno. */
static int vts__pc_slurp(vts_pcmon *m, const char *directory, const char *name, char *out,
                         size_t size)
{
    char path[VTS__PC_PATH];
    int64_t got;
    int fd;

    out[0] = '\0';
    if (!vts__pc_join(path, directory, name)) return -ENAMETOOLONG;
    fd = m->io.open(m->io.user, path);
    if (fd < 0) return fd;
    got = vts__pc_pread(m, fd, out, size - 1);
    m->io.close(m->io.user, fd);
    if (got < 0) {
        out[0] = '\0';
        return (int)got;
    }
    return (int)vts__pc_clean_text(out, (size_t)got);
}

static int vts__pc_realpath(vts_pcmon *m, const char *directory, const char *name,
                            char out[VTS__PC_PATH])
{
    char path[VTS__PC_PATH];
    int error;

    out[0] = '\0';
    (void)vts__pc_join(path, directory, name);
    error = m->io.realpath(m->io.user, path, out, VTS__PC_PATH);
    if (error < 0) out[0] = '\0';
    return error;
}

/* One read of a file that stays open. Bytes, or a negative errno. */
static int64_t vts__pc_file_read(vts_pcmon *m, vts__pc_file *file, char *out, size_t size)
{
    if (file->fd < 0) {
        file->fd = m->io.open(m->io.user, file->path);
        if (file->fd < 0) {
            int error = file->fd;
            file->fd = -1;
            return error;
        }
    }
    return vts__pc_pread(m, file->fd, out, size);
}

static int vts__pc_widen_buffer(vts_pcmon *m)
{
    size_t wider = m->buffer_size * 2;
    char *memory;

    if (wider > VTS__PC_MAX_BUFFER) return -EFBIG;
    memory = (char *)vts__pc_alloc(&m->allocator, wider);
    if (memory == NULL) return -ENOMEM;
    vts__pc_free(&m->allocator, m->buffer, m->buffer_size);
    m->buffer = memory;
    m->buffer_size = wider;
    return 0;
}

/* A whole file into m->buffer with one read, so that it is of one moment: the buffer
   grows once and stays. A file that may go on is an error: a number cut short would be
   another number. */
static int64_t vts__pc_file_read_all(vts_pcmon *m, vts__pc_file *file)
{
    int64_t got = vts__pc_file_read(m, file, m->buffer, m->buffer_size);

    while (got == (int64_t)m->buffer_size) {
        int error = vts__pc_widen_buffer(m);
        if (error < 0) return error;
        got = vts__pc_file_read(m, file, m->buffer, m->buffer_size);
    }
    return got;
}

// ----------------------------------------------------------------------------------
// >>topology
// ----------------------------------------------------------------------------------

/* Where a sensor belongs, and why. */
typedef struct vts__pc_place {
    hwloc_obj_t object;
    vts_pc_object_type type;
    const char *mapping;
} vts__pc_place;

static vts__pc_place vts__pc_somewhere(hwloc_obj_t object, vts_pc_object_type type,
                                       const char *why)
{
    vts__pc_place place = {object, type, why};
    return place;
}

static vts__pc_place vts__pc_nowhere(const char *why)
{
    return vts__pc_somewhere(NULL, VTS_PC_OBJECT_NONE, why);
}

static hwloc_obj_type_t vts__pc_hwloc_type(vts_pc_object_type type)
{
    static const hwloc_obj_type_t map[VTS_PC_OBJECT_TYPE_COUNT] = {
        HWLOC_OBJ_TYPE_MAX, HWLOC_OBJ_MACHINE, HWLOC_OBJ_PACKAGE,
        HWLOC_OBJ_DIE,      HWLOC_OBJ_L3CACHE, HWLOC_OBJ_CORE,
        HWLOC_OBJ_PU,       HWLOC_OBJ_NUMANODE, HWLOC_OBJ_PCI_DEVICE};
    return map[type];
}

static uint32_t vts__pc_count(hwloc_topology_t topology, vts_pc_object_type type)
{
    int count;
    if (topology == NULL) return 0;
    count = hwloc_get_nbobjs_by_type(topology, vts__pc_hwloc_type(type));
    return count > 0 ? (uint32_t)count : 0;
}

static hwloc_obj_t vts__pc_by_rank(hwloc_topology_t topology, vts_pc_object_type type,
                                   uint32_t rank)
{
    if (rank >= vts__pc_count(topology, type)) return NULL;
    return hwloc_get_obj_by_type(topology, vts__pc_hwloc_type(type), rank);
}

static hwloc_obj_t vts__pc_by_os_index(hwloc_topology_t topology, vts_pc_object_type type,
                                       uint32_t os_index)
{
    uint32_t i, count = vts__pc_count(topology, type);

    for (i = 0; i < count; i++) {
        hwloc_obj_t object = vts__pc_by_rank(topology, type, i);
        if (object->os_index == os_index) return object;
    }
    return NULL;
}

/* The first object of a type with an os_index (VTS_PC_NO_INDEX: with any) inside another;
   *matches says how many there are: core ids may repeat even within a package. */
static hwloc_obj_t vts__pc_inside(hwloc_topology_t topology, hwloc_obj_t outer,
                                  vts_pc_object_type type, uint32_t os_index,
                                  uint32_t *matches)
{
    hwloc_obj_t object = NULL, found = NULL;

    *matches = 0;
    for (;;) {
        object = hwloc_get_next_obj_inside_cpuset_by_type(
            topology, outer->cpuset, vts__pc_hwloc_type(type), object);
        if (object == NULL) return found;
        if (os_index != VTS_PC_NO_INDEX && object->os_index != os_index) continue;
        if ((*matches)++ == 0) found = object;
    }
}

static hwloc_obj_t vts__pc_package_of(hwloc_topology_t topology, hwloc_obj_t object)
{
    if (object == NULL) return NULL;
    if (object->cpuset == NULL) object = hwloc_get_non_io_ancestor_obj(topology, object);
    if (object->type == HWLOC_OBJ_PACKAGE) return object;
    return hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, object);
}

/* The PU with an os_index, which is what a cpuN directory and line mean. */
static vts__pc_place vts__pc_place_pu(hwloc_topology_t topology, uint32_t cpu)
{
    hwloc_obj_t pu;

    if (topology == NULL) return vts__pc_nowhere("no topology");
    pu = hwloc_get_pu_obj_by_os_index(topology, cpu);
    if (pu == NULL) return vts__pc_nowhere("this CPU is not in the topology");
    return vts__pc_somewhere(pu, VTS_PC_OBJECT_PU, "PU with this os_index");
}

static vts__pc_place vts__pc_place_node(hwloc_topology_t topology, uint32_t node)
{
    hwloc_obj_t object;

    if (topology == NULL) return vts__pc_nowhere("no topology");
    object = hwloc_get_numanode_obj_by_os_index(topology, node);
    if (object == NULL) return vts__pc_nowhere("this node is not in the topology");
    return vts__pc_somewhere(object, VTS_PC_OBJECT_NUMA_NODE,
                             "NUMANode with this os_index");
}

/* The smallest of package, die and L3 that holds all of a set of CPUs; of equal ones the
   outermost. */
static vts__pc_place vts__pc_place_cpuset(hwloc_topology_t topology,
                                          hwloc_const_bitmap_t set)
{
    static const vts_pc_object_type order[] = {VTS_PC_OBJECT_PACKAGE, VTS_PC_OBJECT_DIE,
                                               VTS_PC_OBJECT_L3};
    vts__pc_place place = vts__pc_nowhere("local_cpulist spans several packages");
    uint32_t i, count;
    size_t t;

    if (hwloc_bitmap_iszero(set)) return vts__pc_nowhere("local_cpulist is empty");
    for (t = 0; t < sizeof order / sizeof order[0]; t++) {
        count = vts__pc_count(topology, order[t]);
        for (i = 0; i < count; i++) {
            hwloc_obj_t object = vts__pc_by_rank(topology, order[t], i);
            if (!hwloc_bitmap_isincluded(set, object->cpuset)) continue;
            if (place.object != NULL &&
                hwloc_bitmap_isequal(object->cpuset, place.object->cpuset)) {
                continue;
            }
            place = vts__pc_somewhere(object, order[t], "covers the local_cpulist");
        }
    }
    return place;
}

/* RAPL's physical ids. */
static vts__pc_place vts__pc_place_rapl(hwloc_topology_t topology, uint32_t package,
                                        uint32_t die)
{
    hwloc_obj_t object = vts__pc_by_os_index(topology, VTS_PC_OBJECT_PACKAGE, package);
    uint32_t matches;

    if (object == NULL) return vts__pc_nowhere("no package with the zone's physical id");
    if (die == VTS_PC_NO_INDEX) {
        return vts__pc_somewhere(object, VTS_PC_OBJECT_PACKAGE,
                                 "package with the zone's physical id");
    }
    object = vts__pc_inside(topology, object, VTS_PC_OBJECT_DIE, die, &matches);
    if (matches != 1) return vts__pc_nowhere("no die with the zone's physical id");
    return vts__pc_somewhere(object, VTS_PC_OBJECT_DIE,
                             "die with the zone's physical ids");
}

static void vts__pc_blacklist(hwloc_topology_t topology)
{
    /* x86 re-binds the calling thread to every PU, the others open devices and
       displays; none of them adds an object that is used here. */
    static const char *const name[] = {"x86",  "opencl", "gl",       "cuda",
                                       "nvml", "rsmi",   "levelzero"};
    size_t i;

    for (i = 0; i < sizeof name / sizeof name[0]; i++) {
        (void)hwloc_topology_set_components(
            topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, name[i]);
    }
}

static void vts__pc_filter(hwloc_topology_t topology, bool discover_io)
{
    static const hwloc_obj_type_t keep[] = {HWLOC_OBJ_PACKAGE, HWLOC_OBJ_DIE,
                                            HWLOC_OBJ_L3CACHE, HWLOC_OBJ_CORE};
    size_t i;

    (void)hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    for (i = 0; i < sizeof keep / sizeof keep[0]; i++) {
        (void)hwloc_topology_set_type_filter(topology, keep[i],
                                             HWLOC_TYPE_FILTER_KEEP_ALL);
    }
    if (!discover_io) return;
    (void)hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
}

/* What hwloc 2.8 and later can leave out. */
#if HWLOC_API_VERSION >= 0x00020800
#define VTS__PC_NO_EXTRAS \
    (HWLOC_TOPOLOGY_FLAG_NO_DISTANCES | HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS)
#define VTS__PC_NO_CPUKINDS HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS
#else
#define VTS__PC_NO_EXTRAS 0
#define VTS__PC_NO_CPUKINDS 0
#endif

/* INCLUDE_DISALLOWED: a container's cpuset must not hide the objects of sensors. */
static unsigned long vts__pc_topology_flags(const vts_pcmon *m)
{
    unsigned long flags = HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING |
                          HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED | VTS__PC_NO_EXTRAS;
    return m->bind_efficient ? flags : flags | VTS__PC_NO_CPUKINDS;
}

static int vts__pc_set_xml(hwloc_topology_t topology, const char *xml)
{
    size_t length = strlen(xml);
    if (xml[0] != '<') return hwloc_topology_set_xml(topology, xml);
    if (length > VTS__PC_MAX_XML) return -1;
    return hwloc_topology_set_xmlbuffer(topology, xml, (int)length + 1);
}

/* The product of a description's counts is its number of PUs. A count is a number that
   begins a word or comes behind ':', as hwloc reads it; in parentheses are attributes. */
static bool vts__pc_is_sane_size(const char *text)
{
    unsigned long long count;
    uint64_t pus = 1;
    bool begins = true, attributes = false;
    char *end;

    for (; *text != '\0'; text++) {
        if (*text == '(') attributes = true;
        if (*text == ')') attributes = false;
        if (attributes || !begins || !vts__pc_is_digit(*text)) {
            begins = !vts__pc_is_digit(*text) && strchr(" \t\n:)]", *text) != NULL;
            continue;
        }
        count = strtoull(text, &end, 0);
        if (count > VTS__PC_MAX_PUS) return false;
        if (count > 0) pus *= count; /* hwloc refuses 0 */
        if (pus > VTS__PC_MAX_PUS) return false;
        text = end - 1;
        begins = false;
    }
    return true;
}

/* Everything before the load. -EINVAL: hwloc refuses the description, or ought to. */
static int vts__pc_prepare_topology(vts_pcmon *m, hwloc_topology_t *prepared)
{
    hwloc_topology_t topology;
    int error = 0;

    *prepared = NULL;
    if (hwloc_topology_init(&topology) < 0) return -ENOMEM;
    vts__pc_blacklist(topology);
    vts__pc_filter(topology, m->desc.discover_io);
    (void)hwloc_topology_set_flags(topology, vts__pc_topology_flags(m));
    if (m->desc.topology_synthetic != NULL) {
        error = vts__pc_is_sane_size(m->desc.topology_synthetic)
                    ? hwloc_topology_set_synthetic(topology, m->desc.topology_synthetic)
                    : -1;
    } else if (m->desc.topology_xml != NULL) {
        error = vts__pc_set_xml(topology, m->desc.topology_xml);
    }
    if (error < 0) {
        hwloc_topology_destroy(topology);
        return -EINVAL;
    }
    *prepared = topology;
    return 0;
}

/* Loads into *loaded what create prepared, or the system's anew. */
static int vts__pc_load_topology(vts_pcmon *m, hwloc_topology_t *loaded)
{
    hwloc_topology_t topology = m->prepared;
    int error = 0;

    *loaded = NULL;
    m->prepared = NULL;
    if (topology == NULL) error = vts__pc_prepare_topology(m, &topology);
    if (error < 0) return error;
    errno = 0;
    if (hwloc_topology_load(topology) == 0) {
        *loaded = topology;
        return 0;
    }
    error = errno != 0 ? -errno : -EIO;
    hwloc_topology_destroy(topology);
    return error;
}

/* The replaced topology stays for those who hold its objects. */
static bool vts__pc_retire(vts_pcmon *m, hwloc_topology_t old)
{
    hwloc_topology_t *list;

    if (old == NULL) return true;
    list = (hwloc_topology_t *)vts__pc_grow(&m->allocator, m->retired, sizeof *list,
                                            m->retired_count, &m->retired_capacity);
    if (list == NULL) return false;
    m->retired = list;
    m->retired[m->retired_count++] = old;
    return true;
}

/* First topology, or the one after a hotplug. On failure the old one stays. */
static void vts__pc_renew_topology(vts_pcmon *m)
{
    hwloc_topology_t loaded;
    int error = vts__pc_load_topology(m, &loaded);

    pthread_mutex_lock(&m->lock);
    if (error == 0 && !vts__pc_retire(m, m->topology)) error = -ENOMEM;
    if (error == 0) {
        m->topology = loaded;
        m->annotate = true;
        m->info.generation++;
        loaded = NULL;
    }
    m->info.topology_error = error;
    pthread_mutex_unlock(&m->lock);
    if (loaded != NULL) hwloc_topology_destroy(loaded);
}

/* Where the sampler may run: the cpuset asked for, without isolated CPUs if any is left
   then. */
static int vts__pc_binding_set(vts_pcmon *m, hwloc_bitmap_t set)
{
    hwloc_bitmap_t isolated = hwloc_bitmap_alloc();
    char text[VTS__PC_ATTRIBUTE];
    int length, efficiency = -1, error = 0;

    if (isolated == NULL) return -ENOMEM;
    if (m->bind_efficient) {
        /* Kinds are in the order of their efficiency, -1 means that it is not known. */
        if (hwloc_cpukinds_get_info(m->topology, 0, set, &efficiency, NULL, NULL, 0) < 0 ||
            efficiency < 0) {
            error = -ENOTSUP;
        }
    } else if (hwloc_bitmap_copy(set, m->binding) < 0) {
        error = -ENOMEM;
    }
    length = vts__pc_slurp(m, m->sysfs, "devices/system/cpu/isolated", text, sizeof text);
    if (length > 0 && vts__pc_parse_cpulist(text, (size_t)length, isolated) &&
        !hwloc_bitmap_isincluded(set, isolated)) {
        hwloc_bitmap_andnot(set, set, isolated);
    }
    hwloc_bitmap_free(isolated);
    return error;
}

/* Failing is recorded, not fatal: a container may forbid it. */
static int vts__pc_bind(vts_pcmon *m)
{
    hwloc_bitmap_t set;
    int error;

    if (m->desc.manual_tick || (m->binding == NULL && !m->bind_efficient)) return 0;
    if (m->topology == NULL) return -ENOTSUP;
    set = hwloc_bitmap_alloc();
    if (set == NULL) return -ENOMEM;
    error = vts__pc_binding_set(m, set);
    errno = 0;
    if (error == 0 && hwloc_set_cpubind(m->topology, set, HWLOC_CPUBIND_THREAD) < 0) {
        error = errno != 0 ? -errno : -EINVAL;
    }
    hwloc_bitmap_free(set);
    return error;
}

// ----------------------------------------------------------------------------------
// >>discover
// ----------------------------------------------------------------------------------
// Reads names, labels and limits, once. What it finds is a list of its own; merge
// brings it together with the sensors known before.

typedef struct vts__pc_find {
    vts_pcmon *monitor;
    vts__pc_sensor *sensor;
    uint32_t count;
    uint32_t capacity;
    int error;       /* the first that calls for another discovery */
    bool incomplete; /* sensors may have been left out: nothing is taken for gone */
} vts__pc_find;

/* Names from one directory. */
typedef struct vts__pc_names {
    vts__pc_find *find;
    const char *prefix;
    const char *suffix; /* NULL: anything may follow the prefix, else a number must */
    char (*name)[VTS__PC_NAME];
    uint32_t count;
    uint32_t capacity;
} vts__pc_names;

static void vts__pc_find_failed(vts__pc_find *f, int error)
{
    if (f->error == 0) f->error = error;
    f->incomplete = true;
}

/* Errors that say nothing about the file: what it holds, or whether it is there, is not
   known. Any other is the file's own answer, and means that it holds nothing. */
static bool vts__pc_is_passing(int64_t error)
{
    switch (-error) {
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

/* For what a sensor is told apart by, and for what is listed: false when it is not known.
   The sensor is then left out of this discovery; a guess would stay as another one. */
static bool vts__pc_is_known(vts__pc_find *f, int64_t result)
{
    if (!vts__pc_is_passing(result)) return true;
    vts__pc_find_failed(f, (int)result);
    return false;
}

/* For what is only told about a sensor: it is listed without, until the next discovery. */
static int vts__pc_detail(vts__pc_find *f, int result)
{
    if (vts__pc_is_passing(result) && f->error == 0) f->error = result;
    return result;
}

static bool vts__pc_take_name(void *context, const char *name)
{
    vts__pc_names *names = (vts__pc_names *)context;
    size_t length = strlen(name);
    uint32_t number;
    void *grown;

    if (length >= VTS__PC_NAME || !vts__pc_begins(name, names->prefix)) return true;
    if (names->suffix != NULL &&
        !vts__pc_parse_name(name, length, names->prefix, names->suffix, &number)) {
        return true;
    }
    grown = vts__pc_grow(&names->find->monitor->allocator, names->name, VTS__PC_NAME,
                         names->count, &names->capacity);
    if (grown == NULL) {
        vts__pc_find_failed(names->find, -ENOMEM);
        return false;
    }
    names->name = (char (*)[VTS__PC_NAME])grown;
    memcpy(names->name[names->count++], name, length + 1);
    return true;
}

/* hwmon2 before hwmon10, intel-rapl:1 before intel-rapl:0:0. */
static int vts__pc_compare_names(const void *a, const void *b)
{
    const char *x = (const char *)a, *y = (const char *)b;
    size_t x_length = strlen(x), y_length = strlen(y);

    if (x_length != y_length) return x_length < y_length ? -1 : 1;
    return strcmp(x, y);
}

/* An attribute that is part of a sensor's identity; "" when it is not there. */
static bool vts__pc_find_name(vts__pc_find *f, const char *directory, const char *name,
                              char *out, size_t size)
{
    return vts__pc_is_known(f, vts__pc_slurp(f->monitor, directory, name, out, size));
}

static bool vts__pc_find_integer(vts__pc_find *f, const char *directory, const char *name,
                                 int64_t *value)
{
    char text[32];
    int length = vts__pc_detail(
        f, vts__pc_slurp(f->monitor, directory, name, text, sizeof text));
    return length > 0 && vts__pc_parse_integer(text, (size_t)length, value);
}

/* Where a link leads. 0, or a negative errno. */
static int vts__pc_find_link(vts__pc_find *f, const char *directory, const char *name,
                             char out[VTS__PC_PATH])
{
    int error = vts__pc_realpath(f->monitor, directory, name, out);
    (void)vts__pc_is_known(f, error);
    return error;
}

/* The directory of a device: without links, else as it is called. False: not known. */
static bool vts__pc_find_home(vts__pc_find *f, const char *directory, const char *name,
                              char home[VTS__PC_PATH])
{
    int error = vts__pc_find_link(f, directory, name, home);

    if (vts__pc_is_passing(error)) return false;
    if (error < 0) (void)vts__pc_join(home, directory, name);
    return true;
}

static void vts__pc_list_names(vts__pc_names *names, const char *directory)
{
    vts_pcmon *m = names->find->monitor;

    (void)vts__pc_is_known(names->find,
                           m->io.list(m->io.user, directory, vts__pc_take_name, names));
    if (names->count > 1) {
        qsort(names->name, names->count, VTS__PC_NAME, vts__pc_compare_names);
    }
}

static void vts__pc_free_names(vts__pc_names *names)
{
    vts__pc_free(&names->find->monitor->allocator, names->name,
                 (size_t)names->capacity * VTS__PC_NAME);
}

/* Calls visit for each name in directory, in order. */
static void vts__pc_for_each(vts__pc_find *f, const char *directory, const char *prefix,
                             const char *suffix,
                             void (*visit)(vts__pc_find *f, const char *directory,
                                           const char *name))
{
    vts__pc_names names = {NULL, NULL, NULL, NULL, 0, 0};
    uint32_t i;

    names.find = f;
    names.prefix = prefix;
    names.suffix = suffix;
    vts__pc_list_names(&names, directory);
    for (i = 0; i < names.count; i++) visit(f, directory, names.name[i]);
    vts__pc_free_names(&names);
}

/* Packs one string behind the others. */
static const char *vts__pc_pack(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *packed = *at;

    memcpy(packed, text, size);
    *at += size;
    return packed;
}

/* Copies a sensor's strings into one block. */
static bool vts__pc_keep_text(const vts_allocator *allocator, vts__pc_sensor *s,
                              const vts__pc_text *text)
{
    size_t size = strlen(text->chip) + strlen(text->home) + strlen(text->attribute) +
                  strlen(text->label) + strlen(text->path) + strlen(text->sleep_path) + 6;
    char *at = (char *)vts__pc_alloc(allocator, size);

    if (at == NULL) return false;
    s->memory = at;
    s->memory_size = size;
    s->text.chip = vts__pc_pack(&at, text->chip);
    s->text.home = vts__pc_pack(&at, text->home);
    s->text.attribute = vts__pc_pack(&at, text->attribute);
    s->text.label = vts__pc_pack(&at, text->label);
    s->text.path = vts__pc_pack(&at, text->path);
    s->text.sleep_path = vts__pc_pack(&at, text->sleep_path);
    return true;
}

static void vts__pc_reset_sensor(vts__pc_sensor *s)
{
    memset(s, 0, sizeof *s);
    s->object_index = s->package = s->own_index = VTS_PC_NO_INDEX;
    s->critical = s->maximum = VTS__PC_NAN;
    s->file.fd = s->sleep.fd = -1;
    s->file.resting = s->sleep.resting = VTS_PC_VALID;
    s->mapping = "";
    vts__pc_set_all(s, VTS_PC_NOT_YET);
}

/* Takes back what was found from an index on. */
static void vts__pc_drop_found(vts__pc_find *f, uint32_t first)
{
    for (; f->count > first; f->count--) {
        vts__pc_sensor *s = &f->sensor[f->count - 1];
        vts__pc_free(&f->monitor->allocator, s->memory, s->memory_size);
    }
}

/* A new sensor that leads itself, or NULL. Pointers to earlier ones are not valid any
   more afterwards. */
static vts__pc_sensor *vts__pc_add(vts__pc_find *f, const vts__pc_text *text,
                                   vts_pc_kind kind, vts__pc_reader reader)
{
    const vts_allocator *allocator = &f->monitor->allocator;
    vts__pc_sensor *list, *s;

    list = (vts__pc_sensor *)vts__pc_grow(allocator, f->sensor, sizeof *list, f->count,
                                          &f->capacity);
    if (list != NULL) {
        f->sensor = list;
        s = &f->sensor[f->count];
        vts__pc_reset_sensor(s);
        if (vts__pc_keep_text(allocator, s, text)) {
            s->kind = kind;
            s->reader = reader;
            s->leader = f->count++;
            return s;
        }
    }
    vts__pc_find_failed(f, -ENOMEM);
    return NULL;
}

static uint32_t vts__pc_index_of(hwloc_obj_t object)
{
    return object != NULL ? object->logical_index : VTS_PC_NO_INDEX;
}

static void vts__pc_put(vts__pc_find *f, vts__pc_sensor *s, vts__pc_place place)
{
    s->object = place.object;
    s->object_type = place.type;
    s->mapping = place.mapping;
    s->object_index = vts__pc_index_of(place.object);
    s->package = vts__pc_index_of(vts__pc_package_of(f->monitor->topology, place.object));
}

/* One more sensor out of the file of f->sensor[leader]. */
static void vts__pc_add_part(vts__pc_find *f, uint32_t leader, vts_pc_kind kind, int part)
{
    vts__pc_text text = f->sensor[leader].text;
    vts__pc_sensor *s, *first;

    s = vts__pc_add(f, &text, kind, f->sensor[leader].reader);
    if (s == NULL) return;
    first = &f->sensor[leader];
    s->leader = leader;
    s->part = part;
    s->object = first->object;
    s->object_type = first->object_type;
    s->object_index = first->object_index;
    s->package = first->package;
    s->mapping = first->mapping;
    s->own_index = first->own_index;
    s->subordinate = first->subordinate;
}

/* ---- temperatures: what a chip is ---- */

static bool vts__pc_is_one_of(const char *name, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (vts__pc_equal(name, *list)) return true;
    }
    return false;
}

static bool vts__pc_is_gpu(const char *chip)
{
    static const char *const list[] = {"amdgpu", "radeon", "nouveau", "i915",
                                       "xe",     "nvidia", NULL};
    return vts__pc_is_one_of(chip, list);
}

static bool vts__pc_is_storage(const char *chip)
{
    static const char *const list[] = {"nvme", "drivetemp", NULL};
    return vts__pc_is_one_of(chip, list);
}

/* cpu_thermal, cpu0-thermal, soc_thermal, bigcore0_thermal, scpi_sensors, bcm2835 ... */
static bool vts__pc_is_soc(const char *chip)
{
    static const char *const head[] = {"cpu", "soc", "bigcore", "littlecore", "big",
                                       "little", NULL};
    int i;

    if (vts__pc_equal(chip, "scpi_sensors") || vts__pc_begins(chip, "bcm2835")) return true;
    if (strstr(chip, "thermal") == NULL) return false;
    for (i = 0; head[i] != NULL; i++) {
        if (vts__pc_begins(chip, head[i])) return true;
    }
    return false;
}

static vts_pc_source vts__pc_amd_source(const char *label)
{
    if (vts__pc_equal(label, "Tdie")) return VTS_PC_SOURCE_K10TEMP;
    if (vts__pc_begins(label, "Tccd")) return VTS_PC_SOURCE_K10TEMP_CCD;
    return VTS_PC_SOURCE_K10TEMP_CTL;
}

static vts_pc_source vts__pc_hwmon_source(const char *chip, const char *label)
{
    if (vts__pc_equal(chip, "coretemp")) {
        return vts__pc_begins(label, "Core ") ? VTS_PC_SOURCE_CORETEMP_CORE
                                              : VTS_PC_SOURCE_CORETEMP;
    }
    if (vts__pc_equal(chip, "k10temp") || vts__pc_equal(chip, "zenpower")) {
        return vts__pc_amd_source(label);
    }
    if (vts__pc_equal(chip, "acpitz")) return VTS_PC_SOURCE_ACPI;
    if (vts__pc_is_gpu(chip)) return VTS_PC_SOURCE_GPU;
    if (vts__pc_is_storage(chip)) return VTS_PC_SOURCE_STORAGE;
    if (vts__pc_is_soc(chip)) return VTS_PC_SOURCE_SOC_HWMON;
    if (vts__pc_begins(label, "CPU") || vts__pc_begins(label, "PECI")) {
        return VTS_PC_SOURCE_BOARD;
    }
    return VTS_PC_SOURCE_OTHER;
}

static vts_pc_source vts__pc_zone_source(const char *type)
{
    if (vts__pc_equal(type, "x86_pkg_temp")) return VTS_PC_SOURCE_X86_PKG_TEMP;
    if (vts__pc_equal(type, "acpitz")) return VTS_PC_SOURCE_ACPI;
    if (vts__pc_begins(type, "cpu") || vts__pc_begins(type, "soc") ||
        vts__pc_begins(type, "bcm2835")) {
        return VTS_PC_SOURCE_SOC_ZONE;
    }
    return VTS_PC_SOURCE_OTHER;
}

/* "chip", "chip/label" or "chip/attribute" in the desc. */
static bool vts__pc_is_chosen(const vts_pcmon *m, const vts__pc_text *text)
{
    size_t length = strlen(text->chip);
    const char *rest = m->chosen + length;

    if (m->chosen[0] == '\0' || strncmp(m->chosen, text->chip, length) != 0) return false;
    if (rest[0] == '\0') return true;
    return rest[0] == '/' && (vts__pc_equal(rest + 1, text->label) ||
                              vts__pc_equal(rest + 1, text->attribute));
}

/* Reading a limit may wake a device or be a command to it. */
static bool vts__pc_may_read_limits(const vts_pcmon *m, const vts__pc_sensor *s)
{
    if (s->source == VTS_PC_SOURCE_GPU) return vts__pc_asks_for(m, VTS_PC_GPU_TEMPERATURE);
    if (s->source != VTS_PC_SOURCE_STORAGE) return true;
    return vts__pc_asks_for(m, VTS_PC_STORAGE_TEMPERATURE);
}

/* Above 200 C or at absolute zero a limit is not set. */
static double vts__pc_limit(vts__pc_find *f, const char *directory, const char *attribute,
                            const char *suffix)
{
    char name[VTS__PC_NAME];
    int64_t value;

    (void)snprintf(name, sizeof name, "%s_%s", attribute, suffix);
    if (!vts__pc_find_integer(f, directory, name, &value)) return VTS__PC_NAN;
    if (value > 200000 || value <= -273000) return VTS__PC_NAN;
    return (double)value / 1000.0;
}

/* ---- hwmon ---- */

/* The chip whose inputs are being collected. */
typedef struct vts__pc_chip {
    vts__pc_find *find;
    const char *directory; /* with the attributes */
    char name[VTS__PC_NAME];
    char home[VTS__PC_PATH];
    char sleep_path[VTS__PC_PATH]; /* "": never asleep */
    bool asleep;
    bool known; /* all names and labels */
} vts__pc_chip;

/* Looks whether runtime power management may put the chip's device to sleep. */
static void vts__pc_find_sleep(vts__pc_chip *chip)
{
    vts_pcmon *m = chip->find->monitor;
    char directory[VTS__PC_PATH], text[32];
    int length = -ENOENT;

    chip->sleep_path[0] = '\0';
    chip->asleep = false;
    if (m->desc.wake_devices || !vts__pc_join(directory, chip->home, "power")) return;
    length = vts__pc_detail(
        chip->find, vts__pc_slurp(m, directory, "runtime_status", text, sizeof text));
    if (length <= 0 || vts__pc_equal(text, "unsupported")) return;
    chip->asleep = vts__pc_parse_suspended(text, (size_t)length);
    (void)vts__pc_join(chip->sleep_path, directory, "runtime_status");
}

/* "Core 3" 3, "Package id 1" and "Physical id 1" 1. */
static uint32_t vts__pc_label_number(const char *label)
{
    static const char *const head[] = {"Core ", "Package id ", "Physical id ", "Tccd"};
    size_t i, length = strlen(label);
    uint32_t number;

    for (i = 0; i < sizeof head / sizeof head[0]; i++) {
        if (vts__pc_parse_name(label, length, head[i], "", &number)) return number;
    }
    return VTS_PC_NO_INDEX;
}

static void vts__pc_add_input(vts__pc_chip *chip, const char *name)
{
    vts_pcmon *m = chip->find->monitor;
    char attribute[VTS__PC_NAME], label[VTS__PC_NAME], path[VTS__PC_PATH];
    char label_name[VTS__PC_NAME + 8];
    vts__pc_text text = {chip->name, chip->home, attribute, label, path, chip->sleep_path};
    vts__pc_sensor *s;

    vts__pc_copy_text(attribute, sizeof attribute, name);
    attribute[strlen(attribute) - strlen("_input")] = '\0';
    (void)snprintf(label_name, sizeof label_name, "%s_label", attribute);
    if (!vts__pc_find_name(chip->find, chip->directory, label_name, label, sizeof label)) {
        chip->known = false;
        return;
    }
    (void)vts__pc_join(path, chip->directory, name);
    s = vts__pc_add(chip->find, &text, VTS_PC_KIND_TEMPERATURE, VTS__PC_READ_TEMPERATURE);
    if (s == NULL) return;
    s->source = vts__pc_hwmon_source(chip->name, label);
    s->chosen = vts__pc_is_chosen(m, &text);
    s->own_index = vts__pc_label_number(label);
    if (s->source == VTS_PC_SOURCE_STORAGE) s->period_ns = VTS__PC_STORAGE_PERIOD;
    if (chip->asleep || !vts__pc_may_read_limits(m, s)) return;
    s->critical = vts__pc_limit(chip->find, chip->directory, attribute, "crit");
    s->maximum = vts__pc_limit(chip->find, chip->directory, attribute, "max");
}

/* The proof: at least one "Core K" of the chip is a core of the object. A chip without
   core labels can only be the single candidate's. */
static bool vts__pc_proves(const vts__pc_find *f, uint32_t first, hwloc_obj_t object,
                           vts_pc_object_type type)
{
    hwloc_topology_t topology = f->monitor->topology;
    bool labels = false;
    uint32_t matches;
    uint32_t i;

    for (i = first; i < f->count; i++) {
        const vts__pc_sensor *s = &f->sensor[i];
        if (s->source != VTS_PC_SOURCE_CORETEMP_CORE) continue;
        labels = true;
        if (s->own_index == VTS_PC_NO_INDEX) continue;
        (void)vts__pc_inside(topology, object, VTS_PC_OBJECT_CORE, s->own_index, &matches);
        if (matches > 0) return true;
    }
    return !labels && vts__pc_count(topology, type) == 1;
}

/* coretemp.N: N is the kernel's logical die id, which is a package's only where packages
   are of one die. */
static vts__pc_place vts__pc_place_coretemp(const vts__pc_find *f, uint32_t first,
                                            uint32_t number)
{
    hwloc_topology_t topology = f->monitor->topology;
    const vts_pc_object_type die = VTS_PC_OBJECT_DIE, package = VTS_PC_OBJECT_PACKAGE;
    const vts__pc_place candidate[] = {
        {vts__pc_by_rank(topology, die, number), die,
         "die of this rank, and it has a core of this chip"},
        {vts__pc_by_os_index(topology, package, number), package,
         "package with this os_index, and it has a core of this chip"},
        {vts__pc_by_rank(topology, package, number), package,
         "package of this rank, and it has a core of this chip"}};
    int i, count = vts__pc_count(topology, die) > vts__pc_count(topology, package) ? 1 : 3;

    for (i = 0; i < count; i++) {
        if (candidate[i].object == NULL) continue;
        if (vts__pc_proves(f, first, candidate[i].object, candidate[i].type)) {
            return candidate[i];
        }
    }
    return vts__pc_nowhere("no package has a core of this chip");
}

static vts__pc_place vts__pc_place_core(hwloc_topology_t topology,
                                        vts__pc_place chip, uint32_t core)
{
    uint32_t matches;
    hwloc_obj_t object;

    if (chip.object == NULL) return chip;
    if (core == VTS_PC_NO_INDEX) return vts__pc_nowhere("the label has no core id");
    object = vts__pc_inside(topology, chip.object, VTS_PC_OBJECT_CORE, core, &matches);
    if (matches == 0) return vts__pc_nowhere("this core is not in the topology");
    if (matches > 1) return vts__pc_nowhere("several cores of the package have this id");
    return vts__pc_somewhere(object, VTS_PC_OBJECT_CORE,
                             "core with this id inside the chip's package");
}

static void vts__pc_map_coretemp(vts__pc_find *f, const vts__pc_chip *chip, uint32_t first)
{
    const char *device = vts__pc_last_part(chip->home);
    vts__pc_place place = vts__pc_nowhere("the device is not called coretemp.N");
    uint32_t i, number;

    if (vts__pc_parse_name(device, strlen(device), "coretemp.", "", &number)) {
        place = vts__pc_place_coretemp(f, first, number);
    }
    for (i = first; i < f->count; i++) {
        vts__pc_sensor *s = &f->sensor[i];
        bool core = s->source == VTS_PC_SOURCE_CORETEMP_CORE;
        vts__pc_put(f, s, core ? vts__pc_place_core(f->monitor->topology, place,
                                                    s->own_index)
                               : place);
    }
}

/* The objects near a PCI device, by the CPUs it says are local. */
static vts__pc_place vts__pc_place_local(vts__pc_find *f, const char *home)
{
    vts_pcmon *m = f->monitor;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    char text[VTS__PC_ATTRIBUTE];
    vts__pc_place place = vts__pc_nowhere("the device has no local_cpulist");
    int length;

    if (set == NULL) {
        (void)vts__pc_detail(f, -ENOMEM);
        return place;
    }
    length = vts__pc_detail(f, vts__pc_slurp(m, home, "local_cpulist", text, sizeof text));
    if (length >= 0 && vts__pc_parse_cpulist(text, (size_t)length, set)) {
        place = vts__pc_place_cpuset(m->topology, set);
    }
    hwloc_bitmap_free(set);
    return place;
}

/* An AMD processor's own PCI devices sit in slot 0x18 + node, where node counts packages or
   dies: the firmware may make NUMA nodes of less. */
static vts__pc_place vts__pc_place_amd_slot(hwloc_topology_t topology, const char *device)
{
    char slot[3] = {0, 0, 0};
    unsigned long number;
    uint32_t nodes;
    hwloc_obj_t node;
    vts__pc_place place;

    if (!vts__pc_is_pci_name(device, strlen(device))) {
        return vts__pc_nowhere("not a PCI device");
    }
    memcpy(slot, device + 8, 2);
    number = strtoul(slot, NULL, 16);
    if (number < 0x18) return vts__pc_nowhere("no node of this slot");
    nodes = vts__pc_count(topology, VTS_PC_OBJECT_NUMA_NODE);
    if (nodes != vts__pc_count(topology, VTS_PC_OBJECT_PACKAGE) &&
        nodes != vts__pc_count(topology, VTS_PC_OBJECT_DIE)) {
        return vts__pc_nowhere("NUMA nodes are not the processor's own");
    }
    node = hwloc_get_numanode_obj_by_os_index(topology, (unsigned)(number - 0x18));
    if (node == NULL) return vts__pc_nowhere("no node of this slot");
    place = vts__pc_place_cpuset(topology, node->cpuset);
    if (place.object != NULL) place.mapping = "covers the node of the PCI slot";
    return place;
}

/* Tccd labels have gaps: the rank among those present counts, and only if there are as
   many dies or L3 groups. */
static vts__pc_place vts__pc_place_ccd(hwloc_topology_t topology, vts__pc_place chip,
                                       uint32_t rank, uint32_t ccds)
{
    static const vts_pc_object_type order[] = {VTS_PC_OBJECT_DIE, VTS_PC_OBJECT_L3};
    hwloc_obj_t first;
    uint32_t count;
    size_t t;

    if (chip.object == NULL) return chip;
    for (t = 0; t < sizeof order / sizeof order[0]; t++) {
        first = vts__pc_inside(topology, chip.object, order[t], VTS_PC_NO_INDEX, &count);
        if (count != ccds) continue;
        return vts__pc_somewhere(
            vts__pc_by_rank(topology, order[t], first->logical_index + rank), order[t],
            "as many of these as CCDs, same rank");
    }
    return vts__pc_nowhere("as many dies or L3 caches as CCDs are not in the topology");
}

/* The chip is a die's or a package's however few CPUs are near it, and the package's if
   it knows the package's core complex dies. */
static vts__pc_place vts__pc_place_amd(vts__pc_find *f, const char *home, uint32_t ccds)
{
    hwloc_topology_t topology = f->monitor->topology;
    vts__pc_place place = vts__pc_place_local(f, home), slot;
    hwloc_obj_t package;

    if (place.object == NULL) {
        slot = vts__pc_place_amd_slot(topology, vts__pc_last_part(home));
        if (slot.object != NULL) place = slot;
    }
    if (place.object == NULL || (ccds == 0 && place.type != VTS_PC_OBJECT_L3)) return place;
    package = vts__pc_package_of(topology, place.object);
    if (package == NULL) return vts__pc_nowhere("the chip's package is not known");
    return vts__pc_somewhere(package, VTS_PC_OBJECT_PACKAGE, place.mapping);
}

static void vts__pc_map_amd(vts__pc_find *f, const vts__pc_chip *chip, uint32_t first)
{
    vts__pc_place place;
    uint32_t i, rank = 0, ccds = 0;

    for (i = first; i < f->count; i++) {
        if (f->sensor[i].source == VTS_PC_SOURCE_K10TEMP_CCD) ccds++;
    }
    place = vts__pc_place_amd(f, chip->home, ccds);
    for (i = first; i < f->count; i++) {
        vts__pc_sensor *s = &f->sensor[i];
        bool ccd = s->source == VTS_PC_SOURCE_K10TEMP_CCD;
        vts__pc_put(f, s, ccd ? vts__pc_place_ccd(f->monitor->topology, place, rank++, ccds)
                              : place);
    }
}

/* The part of a device's path that names a PCI device, with the path up to it. */
static const char *vts__pc_pci_part(const char *home, char upto[VTS__PC_PATH])
{
    const char *found = NULL, *part = home;
    size_t length;

    while (*part != '\0') {
        length = strcspn(part, "/");
        if (vts__pc_is_pci_name(part, length)) found = part;
        part += length;
        if (*part == '/') part++;
    }
    if (found == NULL) return NULL;
    length = (size_t)(found - home) + strlen("xxxx:xx:xx.x");
    memcpy(upto, home, length);
    upto[length] = '\0';
    return upto + (found - home);
}

/* Any other chip: the PCI device it sits on, else the package near it, which it is no
   part of. */
static void vts__pc_map_device(vts__pc_find *f, const vts__pc_chip *chip, uint32_t first)
{
    hwloc_topology_t topology = f->monitor->topology;
    vts__pc_place place = vts__pc_nowhere("not a sensor of a CPU or a PCI device");
    char upto[VTS__PC_PATH];
    const char *name = vts__pc_pci_part(chip->home, upto);
    hwloc_obj_t device = NULL;
    uint32_t i;

    if (name != NULL) {
        device = hwloc_get_pcidev_by_busidstring(topology, name);
        place = device != NULL ? vts__pc_somewhere(device, VTS_PC_OBJECT_DEVICE,
                                                   "PCI device with this address")
                               : vts__pc_place_local(f, upto);
    }
    for (i = first; i < f->count; i++) {
        vts__pc_put(f, &f->sensor[i], place);
        f->sensor[i].subordinate =
            place.object != NULL && place.type != VTS_PC_OBJECT_DEVICE;
    }
}

static void vts__pc_map_chip(vts__pc_find *f, const vts__pc_chip *chip, uint32_t first)
{
    if (f->monitor->topology == NULL) {
        for (; first < f->count; first++) {
            vts__pc_put(f, &f->sensor[first], vts__pc_nowhere("no topology"));
        }
    } else if (vts__pc_equal(chip->name, "coretemp")) {
        vts__pc_map_coretemp(f, chip, first);
    } else if (vts__pc_equal(chip->name, "k10temp") ||
               vts__pc_equal(chip->name, "zenpower")) {
        vts__pc_map_amd(f, chip, first);
    } else {
        vts__pc_map_device(f, chip, first);
    }
}

/* All inputs of a chip in one directory. */
static void vts__pc_add_inputs(vts__pc_chip *chip, const char *directory)
{
    vts__pc_names names = {NULL, NULL, NULL, NULL, 0, 0};
    uint32_t i;

    chip->directory = directory;
    names.find = chip->find;
    names.prefix = "temp";
    names.suffix = "_input";
    vts__pc_list_names(&names, directory);
    for (i = 0; i < names.count; i++) vts__pc_add_input(chip, names.name[i]);
    vts__pc_free_names(&names);
}

/* The chip's name and device. Old drivers keep the name beside the device, some have none
   at all; then hwmonN is all there is. */
static bool vts__pc_find_chip(vts__pc_chip *chip, const char *class_directory,
                              const char *name, const char *directory, const char *device)
{
    vts__pc_find *f = chip->find;
    int error;

    if (!vts__pc_find_name(f, directory, "name", chip->name, sizeof chip->name)) return false;
    if (chip->name[0] == '\0' &&
        !vts__pc_find_name(f, device, "name", chip->name, sizeof chip->name)) {
        return false;
    }
    if (chip->name[0] == '\0') vts__pc_copy_text(chip->name, sizeof chip->name, name);
    error = vts__pc_find_link(f, directory, "device", chip->home);
    if (error == 0 || vts__pc_is_passing(error)) return error == 0;
    return vts__pc_find_home(f, class_directory, name, chip->home);
}

/* One hwmonN. What its inputs measure is worked out from all of them together: without
   one of the labels the chip is left out whole. */
static void vts__pc_visit_hwmon(vts__pc_find *f, const char *class_directory,
                                const char *name)
{
    char directory[VTS__PC_PATH], device[VTS__PC_PATH];
    uint32_t first = f->count;
    vts__pc_chip chip;

    (void)vts__pc_join(directory, class_directory, name);
    (void)vts__pc_join(device, directory, "device");
    chip.find = f;
    chip.known = true;
    if (!vts__pc_find_chip(&chip, class_directory, name, directory, device)) return;
    vts__pc_find_sleep(&chip);
    vts__pc_add_inputs(&chip, directory);
    if (f->count == first) vts__pc_add_inputs(&chip, device);
    if (chip.known) vts__pc_map_chip(f, &chip, first);
    else vts__pc_drop_found(f, first);
}

/* ---- thermal zones ---- */

/* The zones of some drivers appear as a hwmon chip too. */
static bool vts__pc_is_known_home(const vts__pc_find *f, const char *home)
{
    uint32_t i;

    for (i = 0; i < f->count; i++) {
        if (vts__pc_equal(f->sensor[i].text.home, home)) return true;
    }
    return false;
}

static void vts__pc_visit_zone(vts__pc_find *f, const char *class_directory,
                               const char *name)
{
    vts_pcmon *m = f->monitor;
    char directory[VTS__PC_PATH], home[VTS__PC_PATH], path[VTS__PC_PATH];
    char type[VTS__PC_NAME];
    vts__pc_text text = {"thermal", home, "temp", type, path, ""};
    vts__pc_sensor *s;

    (void)vts__pc_join(directory, class_directory, name);
    (void)vts__pc_join(path, directory, "temp");
    if (!vts__pc_find_home(f, class_directory, name, home)) return;
    if (vts__pc_is_known_home(f, home)) return;
    if (!vts__pc_find_name(f, directory, "type", type, sizeof type)) return;
    s = vts__pc_add(f, &text, VTS_PC_KIND_TEMPERATURE, VTS__PC_READ_TEMPERATURE);
    if (s == NULL) return;
    s->source = vts__pc_zone_source(type);
    s->chosen = vts__pc_is_chosen(m, &text);
    vts__pc_put(f, s, vts__pc_nowhere("a thermal zone does not say what it measures"));
}

/* The zones of packages say nothing but their order; it only counts if every package
   (or die) has one. */
static void vts__pc_map_package_zones(vts__pc_find *f)
{
    hwloc_topology_t topology = f->monitor->topology;
    vts_pc_object_type type = VTS_PC_OBJECT_PACKAGE;
    uint32_t i, zones = 0, rank = 0;

    for (i = 0; i < f->count; i++) {
        if (f->sensor[i].source == VTS_PC_SOURCE_X86_PKG_TEMP) zones++;
    }
    if (zones == 0) return;
    if (vts__pc_count(topology, VTS_PC_OBJECT_DIE) == zones) type = VTS_PC_OBJECT_DIE;
    else if (vts__pc_count(topology, type) != zones) return;
    for (i = 0; i < f->count; i++) {
        if (f->sensor[i].source != VTS_PC_SOURCE_X86_PKG_TEMP) continue;
        vts__pc_put(f, &f->sensor[i],
                    vts__pc_somewhere(vts__pc_by_rank(topology, type, rank++), type,
                                      "as many zones as objects, same rank"));
    }
}

/* ---- energy ---- */

/* A subzone ("intel-rapl:0:1") lies on its parent's object, and is part of its energy. */
static vts__pc_place vts__pc_place_subzone(vts__pc_find *f, const char *name)
{
    size_t length = strlen(name);
    uint32_t i;

    for (i = 0; i < f->count; i++) {
        const vts__pc_sensor *s = &f->sensor[i];
        const char *parent = vts__pc_last_part(s->text.home);
        size_t size = strlen(parent);
        if (s->kind != VTS_PC_KIND_ENERGY || s->subordinate) continue;
        if (size >= length || strncmp(parent, name, size) != 0 || name[size] != ':') continue;
        return vts__pc_somewhere(s->object, s->object_type, s->mapping);
    }
    return vts__pc_nowhere("its zone was not found");
}

static vts__pc_place vts__pc_place_zone(vts__pc_find *f, const char *directory_name,
                                        const char *zone, bool *subordinate,
                                        uint32_t *own_index)
{
    uint32_t package, die;

    *subordinate = false;
    *own_index = VTS_PC_NO_INDEX;
    if (vts__pc_parse_rapl_name(zone, strlen(zone), &package, &die)) {
        *own_index = package;
        return vts__pc_place_rapl(f->monitor->topology, package, die);
    }
    *subordinate = true;
    return vts__pc_place_subzone(f, directory_name);
}

/* intel-rapl:0, intel-rapl:0:0. intel-rapl-mmio is the same counter once more. */
static void vts__pc_visit_rapl(vts__pc_find *f, const char *class_directory,
                               const char *name)
{
    char directory[VTS__PC_PATH], path[VTS__PC_PATH], zone[VTS__PC_NAME];
    vts__pc_text text = {"intel-rapl", directory, "energy_uj", zone, path, ""};
    vts__pc_sensor *s;
    uint32_t leader = f->count, own_index;
    int64_t range;
    bool subordinate;
    vts__pc_place place;

    (void)vts__pc_join(directory, class_directory, name);
    (void)vts__pc_join(path, directory, "energy_uj");
    if (!vts__pc_find_name(f, directory, "name", zone, sizeof zone) || zone[0] == '\0') return;
    place = vts__pc_place_zone(f, name, zone, &subordinate, &own_index);
    s = vts__pc_add(f, &text, VTS_PC_KIND_ENERGY, VTS__PC_READ_ENERGY);
    if (s == NULL) return;
    vts__pc_put(f, s, place);
    s->subordinate = subordinate;
    s->own_index = own_index;
    if (vts__pc_find_integer(f, directory, "max_energy_range_uj", &range) && range > 0) {
        s->wrap = (uint64_t)range;
    }
    vts__pc_add_part(f, leader, VTS_PC_KIND_POWER, 1);
}

/* ---- frequency and throttling ---- */

/* A CPU of the same policy that came before: it reads the file for both. */
static uint32_t vts__pc_policy_leader(const vts__pc_find *f, const char *home)
{
    uint32_t i;

    for (i = 0; i < f->count; i++) {
        if (f->sensor[i].kind == VTS_PC_KIND_FREQUENCY &&
            vts__pc_equal(f->sensor[i].text.home, home)) {
            return i;
        }
    }
    return f->count;
}

/* cpuinfo_avg_freq is measured, and says EAGAIN of a CPU that is idle; scaling_cur_freq is
   what was asked for or measured; cpuinfo_cur_freq would ask the hardware and belongs to
   root. NULL: not known. */
static const char *vts__pc_frequency_attribute(vts__pc_find *f, const char *home)
{
    static const char *const average = "cpuinfo_avg_freq";
    char text[32];
    int length = vts__pc_slurp(f->monitor, home, average, text, sizeof text);

    if (length > 0 || length == -EAGAIN) return average;
    return vts__pc_is_known(f, length) ? "scaling_cur_freq" : NULL;
}

static void vts__pc_find_frequency(vts__pc_find *f, const char *directory,
                                   const char *name, uint32_t cpu)
{
    char home[VTS__PC_PATH], path[VTS__PC_PATH];
    vts__pc_text text = {"cpufreq", home, NULL, name, path, ""};
    vts__pc_sensor *s;
    uint32_t leader;

    if (vts__pc_find_link(f, directory, "cpufreq", home) < 0) return;
    leader = vts__pc_policy_leader(f, home);
    text.attribute = leader < f->count ? f->sensor[leader].text.attribute
                                       : vts__pc_frequency_attribute(f, home);
    if (text.attribute == NULL || !vts__pc_join(path, home, text.attribute)) return;
    s = vts__pc_add(f, &text, VTS_PC_KIND_FREQUENCY, VTS__PC_READ_FREQUENCY);
    if (s == NULL) return;
    s->leader = leader;
    s->own_index = cpu;
    vts__pc_put(f, s, vts__pc_place_pu(f->monitor->topology, cpu));
}

static bool vts__pc_has_throttle(const vts__pc_find *f, const vts__pc_place *place)
{
    uint32_t i;

    if (place->object == NULL) return false;
    for (i = f->count; i > 0; i--) {
        const vts__pc_sensor *s = &f->sensor[i - 1];
        if (s->kind == VTS_PC_KIND_THROTTLE_COUNT && s->object == place->object) return true;
    }
    return false;
}

/* What a count is told apart by: its core or package and not the CPU whose file is read,
   which may be another one after a hotplug. */
static void vts__pc_name_throttle(const vts__pc_find *f, const vts__pc_place *place,
                                  const char *directory, char home[VTS__PC_PATH])
{
    hwloc_obj_t package = vts__pc_package_of(f->monitor->topology, place->object);
    uint32_t number = package != NULL ? package->os_index : 0;

    if (place->object == NULL) {
        vts__pc_copy_text(home, VTS__PC_PATH, directory);
    } else if (place->type == VTS_PC_OBJECT_PACKAGE) {
        (void)snprintf(home, VTS__PC_PATH, "package%u", (unsigned)number);
    } else {
        (void)snprintf(home, VTS__PC_PATH, "package%u-core%u", (unsigned)number,
                       place->object->os_index);
    }
}

static void vts__pc_add_throttle(vts__pc_find *f, const char *directory, const char *files,
                                 uint32_t cpu, const char *attribute, vts__pc_place place)
{
    char home[VTS__PC_PATH], path[VTS__PC_PATH], unused[32];
    vts__pc_text text = {"thermal_throttle", home, attribute, "", path, ""};
    vts__pc_sensor *s;
    int length;

    if (vts__pc_has_throttle(f, &place)) return;
    length = vts__pc_slurp(f->monitor, files, attribute, unused, sizeof unused);
    if (!vts__pc_is_known(f, length) || length == -ENOENT) return;
    if (!vts__pc_join(path, files, attribute)) return;
    vts__pc_name_throttle(f, &place, directory, home);
    s = vts__pc_add(f, &text, VTS_PC_KIND_THROTTLE_COUNT, VTS__PC_READ_COUNT);
    if (s == NULL) return;
    s->own_index = cpu;
    vts__pc_put(f, s, place);
}

/* Every CPU of a core shows the core's count, every one of a package the package's:
   the first of each is read. */
static void vts__pc_find_throttle(vts__pc_find *f, const char *directory, uint32_t cpu)
{
    hwloc_topology_t topology = f->monitor->topology;
    vts__pc_place pu = vts__pc_place_pu(topology, cpu), core = pu, package = pu;
    char files[VTS__PC_PATH];

    if (vts__pc_find_link(f, directory, "thermal_throttle", files) < 0) return;
    if (pu.object != NULL) {
        core = vts__pc_somewhere(
            hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu.object),
            VTS_PC_OBJECT_CORE, "core of this CPU");
        package = vts__pc_somewhere(vts__pc_package_of(topology, pu.object),
                                    VTS_PC_OBJECT_PACKAGE, "package of this CPU");
    }
    if (core.object == NULL) core = vts__pc_nowhere("the CPU's core is not known");
    if (package.object == NULL) package = vts__pc_nowhere("the CPU's package is not known");
    vts__pc_add_throttle(f, directory, files, cpu, "core_throttle_count", core);
    vts__pc_add_throttle(f, directory, files, cpu, "package_throttle_count", package);
}

static void vts__pc_visit_cpu(vts__pc_find *f, const char *cpu_directory,
                              const char *name)
{
    char directory[VTS__PC_PATH];
    uint32_t cpu = vts__pc_number_in(name, "cpu");

    if (cpu > VTS__PC_MAX_CPU) return;
    (void)vts__pc_join(directory, cpu_directory, name);
    vts__pc_find_frequency(f, directory, name, cpu);
    vts__pc_find_throttle(f, directory, cpu);
}

/* ---- load and memory ---- */

static void vts__pc_visit_node(vts__pc_find *f, const char *node_directory,
                               const char *name)
{
    char directory[VTS__PC_PATH], path[VTS__PC_PATH];
    vts__pc_text text = {"node", directory, "meminfo", name, path, ""};
    vts__pc_sensor *s;
    uint32_t node = vts__pc_number_in(name, "node"), leader = f->count;

    (void)vts__pc_join(directory, node_directory, name);
    (void)vts__pc_join(path, directory, "meminfo");
    s = vts__pc_add(f, &text, VTS_PC_KIND_MEMORY_TOTAL, VTS__PC_READ_NODE);
    if (s == NULL) return;
    s->own_index = node;
    vts__pc_put(f, s, vts__pc_place_node(f->monitor->topology, node));
    vts__pc_add_part(f, leader, VTS_PC_KIND_MEMORY_FREE, 1);
    vts__pc_add_part(f, leader, VTS_PC_KIND_MEMORY_USED, 2);
}

static void vts__pc_add_cpu(vts__pc_find *f, uint32_t cpu, const char *path)
{
    char name[VTS__PC_NAME];
    vts__pc_text text = {"stat", name, "stat", name, path, ""};
    vts__pc_sensor *s;
    uint32_t leader = f->count;

    (void)snprintf(name, sizeof name, "cpu%u", (unsigned)cpu);
    s = vts__pc_add(f, &text, VTS_PC_KIND_UTILIZATION, VTS__PC_READ_STAT);
    if (s == NULL) return;
    s->own_index = cpu;
    vts__pc_put(f, s, vts__pc_place_pu(f->monitor->topology, cpu));
    vts__pc_add_part(f, leader, VTS_PC_KIND_BUSY_TIME, 1);
    vts__pc_add_part(f, leader, VTS_PC_KIND_IDLE_TIME, 2);
}

/* One sensor for each CPU that /proc/stat counts: a container may show the host's. The
   kernel lists them in ascending order; a line out of order is no CPU. */
static void vts__pc_find_cpus(vts__pc_find *f)
{
    vts_pcmon *m = f->monitor;
    vts__pc_file *file = &m->file[VTS__PC_FILE_STAT].file;
    int64_t length = vts__pc_file_read_all(m, file);
    uint64_t ticks[VTS__PC_TICKS];
    uint32_t cpu, next = 0;
    size_t at = 0;

    (void)vts__pc_is_known(f, length);
    while (length > 0 && at < (size_t)length) {
        vts__pc_line line =
            vts__pc_parse_stat_line(m->buffer, (size_t)length, &at, &cpu, ticks);
        if (line == VTS__PC_LINE_OTHER) break;
        if (line != VTS__PC_LINE_CPU || cpu < next) continue;
        vts__pc_add_cpu(f, cpu, file->path);
        next = cpu + 1;
    }
}

/* Where the system shows no nodes, hwloc knows how much memory each has. */
static void vts__pc_find_hwloc_nodes(vts__pc_find *f)
{
    hwloc_topology_t topology = f->monitor->topology;
    uint32_t i, count = vts__pc_count(topology, VTS_PC_OBJECT_NUMA_NODE);
    char name[VTS__PC_NAME];
    vts__pc_text text = {"hwloc", name, "local_memory", name, "", ""};

    if (count == 0 || !hwloc_topology_is_thissystem(topology)) return;
    for (i = 0; i < count; i++) {
        hwloc_obj_t node = vts__pc_by_rank(topology, VTS_PC_OBJECT_NUMA_NODE, i);
        vts__pc_sensor *s;
        if (node->attr->numanode.local_memory == 0) continue;
        (void)snprintf(name, sizeof name, "node%u", node->os_index);
        s = vts__pc_add(f, &text, VTS_PC_KIND_MEMORY_TOTAL, VTS__PC_READ_NONE);
        if (s == NULL) return;
        s->own_index = node->os_index;
        vts__pc_set_part(s, 0, VTS_PC_VALID, (double)node->attr->numanode.local_memory);
        vts__pc_put(f, s, vts__pc_somewhere(node, VTS_PC_OBJECT_NUMA_NODE,
                                            "hwloc's own number"));
    }
}

static void vts__pc_find_nodes(vts__pc_find *f, const char *directory)
{
    uint32_t before = f->count;

    vts__pc_for_each(f, directory, "node", "", vts__pc_visit_node);
    if (f->count == before && !f->incomplete) vts__pc_find_hwloc_nodes(f);
}

static void vts__pc_find_all(vts__pc_find *f)
{
    const char *sysfs = f->monitor->sysfs;
    char directory[VTS__PC_PATH];

    (void)vts__pc_join(directory, sysfs, "class/hwmon");
    vts__pc_for_each(f, directory, "hwmon", "", vts__pc_visit_hwmon);
    if (!f->incomplete) { /* else a zone may be a chip's that was left out */
        (void)vts__pc_join(directory, sysfs, "class/thermal");
        vts__pc_for_each(f, directory, "thermal_zone", "", vts__pc_visit_zone);
        vts__pc_map_package_zones(f);
    }
    (void)vts__pc_join(directory, sysfs, "class/powercap");
    vts__pc_for_each(f, directory, "intel-rapl:", NULL, vts__pc_visit_rapl);
    (void)vts__pc_join(directory, sysfs, "devices/system/cpu");
    vts__pc_for_each(f, directory, "cpu", "", vts__pc_visit_cpu);
    (void)vts__pc_join(directory, sysfs, "devices/system/node");
    vts__pc_find_nodes(f, directory);
    vts__pc_find_cpus(f);
}

// ----------------------------------------------------------------------------------
// >>merge
// ----------------------------------------------------------------------------------
// Sensors keep their index for as long as the monitor lives: a found one takes the
// place of the known one with the same identity, new ones are appended, and those that
// were not found are gone.

static bool vts__pc_same_sensor(const vts__pc_sensor *a, const vts__pc_sensor *b)
{
    return a->kind == b->kind && vts__pc_equal(a->text.attribute, b->text.attribute) &&
           vts__pc_equal(a->text.label, b->text.label) &&
           vts__pc_equal(a->text.chip, b->text.chip) &&
           vts__pc_equal(a->text.home, b->text.home);
}

/* Index of the known sensor that found is, or the count. Discovery finds them in the
   same order mostly, so the search begins where the last one ended. taken: those that
   have their match already. */
static uint32_t vts__pc_find_known(const vts_pcmon *m, const vts__pc_sensor *found,
                                   uint32_t *start, const bool *taken)
{
    uint32_t i, at;

    for (i = 0; i < m->sensor_count; i++) {
        at = (*start + i) % m->sensor_count;
        if (taken[at] || !vts__pc_same_sensor(&m->sensor[at], found)) continue;
        *start = at + 1;
        return at;
    }
    return m->sensor_count;
}

static void vts__pc_close_sensor(vts_pcmon *m, vts__pc_sensor *s)
{
    vts__pc_file_close(m, &s->file);
    vts__pc_file_close(m, &s->sleep);
}

/* What the sensor's files are called now; closed, so that the next read opens them. */
static void vts__pc_aim(vts__pc_sensor *s)
{
    s->file.path = s->text.path;
    s->sleep.path = s->text.sleep_path;
    s->file.resting = s->sleep.resting = VTS_PC_VALID;
}

/* A known sensor was found again: it keeps what it measured, unless it was gone. */
static void vts__pc_renew(vts_pcmon *m, vts__pc_sensor *known, vts__pc_sensor *found)
{
    vts__pc_sensor old = *known;
    bool moved = !vts__pc_equal(known->text.path, found->text.path);

    if (moved || known->gone) vts__pc_close_sensor(m, known);
    *known = *found;
    if (old.gone) {
        vts__pc_free(&m->allocator, old.memory, old.memory_size);
        return;
    }
    memcpy(known->value, old.value, sizeof old.value);
    memcpy(known->state, old.state, sizeof old.state);
    /* What could not be read this time has not changed. */
    if (known->wrap == 0) known->wrap = old.wrap;
    if (!(known->critical == known->critical)) known->critical = old.critical;
    if (!(known->maximum == known->maximum)) known->maximum = old.maximum;
    known->file.fd = moved ? -1 : old.file.fd;
    known->sleep.fd = moved ? -1 : old.sleep.fd;
    known->pass = old.pass;
    known->due_ns = old.due_ns;
    known->failing_since_ns = old.failing_since_ns;
    known->failing = old.failing;
    known->cost_ns = old.cost_ns;
    known->slow_level = old.slow_level;
    known->skip = old.skip;
    known->counting = old.counting;
    known->last_raw = old.last_raw;
    known->last_at_ns = old.last_at_ns;
    known->total = old.total;
    known->ticks = old.ticks;
    vts__pc_free(&m->allocator, old.memory, old.memory_size);
}

static void vts__pc_lose(vts_pcmon *m, vts__pc_sensor *s)
{
    vts__pc_close_sensor(m, s);
    s->gone = true;
    s->counting = false;
    s->ticks.known = false;
    s->file.resting = VTS_PC_GONE;
    vts__pc_set_all(s, VTS_PC_GONE);
}

/* After a hotplug the old objects are not in the topology any more. */
static void vts__pc_unmap(vts__pc_sensor *s)
{
    s->object = NULL;
    s->object_type = VTS_PC_OBJECT_NONE;
    s->object_index = s->package = VTS_PC_NO_INDEX;
    s->mapping = "gone while the topology changed";
}

/* Room for everything first, so that a merge happens whole or not at all. */
static bool vts__pc_reserve(vts_pcmon *m, uint32_t more)
{
    const vts_allocator *allocator = &m->allocator;
    uint32_t wanted = m->sensor_count + more;
    void *sensor, *readings, *cpu;

    sensor = vts__pc_widen(allocator, m->sensor, sizeof *m->sensor, m->sensor_count, wanted,
                           &m->sensor_capacity);
    if (sensor == NULL) return false;
    m->sensor = (vts__pc_sensor *)sensor;
    readings = vts__pc_widen(allocator, m->readings, sizeof *m->readings, m->reading_count,
                             wanted, &m->reading_capacity);
    if (readings == NULL) return false;
    m->readings = (vts_pc_reading *)readings;
    cpu = vts__pc_widen(allocator, m->cpu, sizeof *m->cpu, m->cpu_count, wanted,
                        &m->cpu_capacity);
    if (cpu == NULL) return false;
    m->cpu = (uint64_t *)cpu;
    return true;
}

/* Which sensors every pass reads; the CPU temperature's candidates are read as they are
   needed. */
static bool vts__pc_wants(const vts_pcmon *m, const vts__pc_sensor *s)
{
    switch (s->kind) {
    case VTS_PC_KIND_ENERGY:
    case VTS_PC_KIND_POWER:
        return vts__pc_asks_for(m, VTS_PC_CPU_ENERGY) || vts__pc_asks_for(m, VTS_PC_CPU_POWER);
    case VTS_PC_KIND_FREQUENCY:
        return vts__pc_asks_for(m, VTS_PC_CPU_FREQUENCY) ||
               vts__pc_asks_for(m, VTS_PC_CPU_FREQUENCY_MAX);
    case VTS_PC_KIND_THROTTLE_COUNT:
        return vts__pc_asks_for(m, VTS_PC_CPU_THROTTLE_COUNT);
    case VTS_PC_KIND_UTILIZATION:
    case VTS_PC_KIND_BUSY_TIME:
    case VTS_PC_KIND_IDLE_TIME:
        return vts__pc_asks_for(m, VTS_PC_CPU_UTILIZATION);
    case VTS_PC_KIND_TEMPERATURE:
        if (m->desc.every_temperature) return true;
        if (s->source == VTS_PC_SOURCE_CORETEMP_CORE) return m->desc.per_core_temperature;
        if (s->source == VTS_PC_SOURCE_GPU) {
            return vts__pc_asks_for(m, VTS_PC_GPU_TEMPERATURE);
        }
        return s->source == VTS_PC_SOURCE_STORAGE &&
               vts__pc_asks_for(m, VTS_PC_STORAGE_TEMPERATURE) &&
               (s->text.label[0] == '\0' || vts__pc_equal(s->text.label, "Composite"));
    default:
        return vts__pc_asks_for(m, VTS_PC_MEMORY_TOTAL) ||
               vts__pc_asks_for(m, VTS_PC_MEMORY_FREE);
    }
}

static void vts__pc_place_found(vts_pcmon *m, vts__pc_find *f, bool *taken, uint32_t *index)
{
    uint32_t i, start = 0, known = m->sensor_count;

    for (i = 0; i < f->count; i++) {
        index[i] = vts__pc_find_known(m, &f->sensor[i], &start, taken);
        if (index[i] < known) {
            taken[index[i]] = true;
            vts__pc_renew(m, &m->sensor[index[i]], &f->sensor[i]);
        }
    }
    for (i = 0; i < f->count; i++) {
        if (index[i] < known) continue;
        index[i] = m->sensor_count++;
        m->sensor[index[i]] = f->sensor[i];
    }
    for (i = 0; i < f->count; i++) {
        vts__pc_sensor *s = &m->sensor[index[i]];
        s->leader = index[s->leader];
        s->wanted = vts__pc_wants(m, s);
        vts__pc_aim(s);
    }
    f->count = 0; /* their memory belongs to the monitor now */
}

/* Sensors that were not found: gone, if the search was complete. */
static void vts__pc_place_lost(vts_pcmon *m, const vts__pc_find *f, const bool *taken,
                               uint32_t known)
{
    uint32_t i;

    for (i = 0; i < known; i++) {
        vts__pc_sensor *s = &m->sensor[i];
        if (taken[i]) continue;
        if (m->annotate) vts__pc_unmap(s);
        if (f->incomplete) continue;
        if (taken[s->leader]) { /* a CPU that left the policy of others */
            s->leader = i;
            s->part = 0;
        }
        vts__pc_lose(m, s);
    }
}

static void vts__pc_annotate(hwloc_obj_t object, const vts__pc_sensor *s)
{
    char value[VTS__PC_PATH];

    if (object == NULL || s->reader == VTS__PC_READ_STAT ||
        s->reader == VTS__PC_READ_NODE || s->reader == VTS__PC_READ_NONE || s->part > 0) {
        return;
    }
    (void)snprintf(value, sizeof value, "%s/%s %s", vts__pc_last_part(s->text.home),
                   s->text.attribute, s->text.label);
    (void)hwloc_obj_add_info(object, "VtsSensor", value);
}

/* A new topology becomes public, with its sensors written on it if it is the monitor's:
   from here on it is only read. */
static void vts__pc_publish_topology(vts_pcmon *m)
{
    uint32_t i;

    if (!m->annotate) return;
    m->annotate = false;
    for (i = 0; i < m->sensor_count && m->owns_topology; i++) {
        vts__pc_annotate(m->sensor[i].object, &m->sensor[i]);
    }
    m->published_topology = m->topology;
    m->info.packages = vts__pc_count(m->topology, VTS_PC_OBJECT_PACKAGE);
    m->info.dies = vts__pc_count(m->topology, VTS_PC_OBJECT_DIE);
    m->info.cores = vts__pc_count(m->topology, VTS_PC_OBJECT_CORE);
    m->info.pus = vts__pc_count(m->topology, VTS_PC_OBJECT_PU);
    m->info.numa_nodes = vts__pc_count(m->topology, VTS_PC_OBJECT_NUMA_NODE);
}

static int vts__pc_compare_cpus(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The leaders of /proc/stat lines in the order of the file. */
static void vts__pc_index_cpus(vts_pcmon *m)
{
    uint32_t i;

    m->cpu_count = 0;
    for (i = 0; i < m->sensor_count; i++) {
        const vts__pc_sensor *s = &m->sensor[i];
        if (s->reader != VTS__PC_READ_STAT || s->leader != i) continue;
        m->cpu[m->cpu_count++] = (uint64_t)s->own_index << 32 | i;
    }
    qsort(m->cpu, m->cpu_count, sizeof *m->cpu, vts__pc_compare_cpus);
}

/* The only place where what readers see of a sensor changes. -ENOMEM: nothing did. */
static int vts__pc_merge(vts_pcmon *m, vts__pc_find *f)
{
    uint32_t known = m->sensor_count;
    size_t size = known * sizeof(bool) + f->count * sizeof(uint32_t) + sizeof(uint32_t);
    char *scratch = (char *)vts__pc_alloc(&m->allocator, size);
    uint32_t *index = (uint32_t *)(void *)scratch;
    bool *taken;

    if (scratch == NULL) return -ENOMEM;
    if (!vts__pc_reserve(m, f->count)) {
        vts__pc_free(&m->allocator, scratch, size);
        return -ENOMEM;
    }
    taken = (bool *)(void *)(index + f->count);
    memset(taken, 0, known * sizeof *taken);
    vts__pc_place_found(m, f, taken, index);
    vts__pc_place_lost(m, f, taken, known);
    vts__pc_free(&m->allocator, scratch, size);
    vts__pc_index_cpus(m);
    return 0;
}

static void vts__pc_forget_files(vts_pcmon *m)
{
    int i;

    for (i = 0; i < VTS__PC_FILES; i++) {
        if (m->file[i].file.resting == VTS_PC_VALID) continue;
        vts__pc_file_close(m, &m->file[i].file);
        m->file[i].file.resting = VTS_PC_VALID;
    }
}

static void vts__pc_discover(vts_pcmon *m)
{
    vts__pc_find find;
    int error;

    memset(&find, 0, sizeof find);
    find.monitor = m;
    vts__pc_forget_files(m);
    vts__pc_find_all(&find);
    pthread_mutex_lock(&m->lock);
    error = vts__pc_merge(m, &find);
    vts__pc_publish_topology(m);
    m->info.discoveries++;
    m->info.discovery_error = error != 0 ? error : find.error;
    m->info.sensors = m->sensor_count;
    pthread_mutex_unlock(&m->lock);
    vts__pc_drop_found(&find, 0);
    vts__pc_free(&m->allocator, find.sensor, find.capacity * sizeof *find.sensor);
}

// ----------------------------------------------------------------------------------
// >>read
// ----------------------------------------------------------------------------------

static vts_pc_state vts__pc_state_of(int64_t error)
{
    switch (-error) {
    case EACCES:
    case EPERM:
        return VTS_PC_DENIED;
    case ENODEV:
    case ENOENT:
    case ENOTDIR:
        return VTS_PC_GONE;
    case EOPNOTSUPP:
    case ENOSYS:
        return VTS_PC_UNSUPPORTED;
    default:
        return VTS_PC_NO_DATA;
    }
}

/* After a failed read: the state; but for a transient error the file rests. */
static vts_pc_state vts__pc_file_failed(vts_pcmon *m, vts__pc_file *file, int64_t error)
{
    vts_pc_state state = vts__pc_state_of(error);

    if (error == -EBADF) file->fd = -1; /* somebody closed it: open it again */
    if (state == VTS_PC_NO_DATA) return state;
    vts__pc_file_close(m, file);
    file->resting = state;
    return state;
}

/* A sensor is lost: look for it again, after 1 s at first. */
static void vts__pc_schedule_discovery(vts_pcmon *m)
{
    if (m->retry_ns != 0) return;
    m->retry_ns = m->boot_ns + (VTS__PC_S << m->gone_level);
    if (m->gone_level < VTS__PC_SLOWEST_LEVEL) m->gone_level++;
}

/* ENXIO comes for seconds after a resume; from a device that is away, for ever. */
static bool vts__pc_is_out_of_patience(vts_pcmon *m, vts__pc_sensor *s, int64_t error)
{
    if (error != -ENXIO) {
        s->failing = false;
        return false;
    }
    if (!s->failing) s->failing_since_ns = m->boot_ns;
    s->failing = true;
    return m->boot_ns - s->failing_since_ns > VTS__PC_PATIENCE;
}

static void vts__pc_fail(vts_pcmon *m, vts__pc_sensor *s, int64_t error)
{
    vts_pc_state state;

    if (vts__pc_is_out_of_patience(m, s, error)) error = -ENODEV;
    state = vts__pc_file_failed(m, &s->file, error);
    vts__pc_set_all(s, state);
    if (state == VTS_PC_NO_DATA) return; /* an energy counter goes on counting meanwhile */
    s->counting = false;
    if (state != VTS_PC_GONE) return;
    s->gone = true;
    vts__pc_schedule_discovery(m);
}

static void vts__pc_accept_temperature(vts__pc_sensor *s, const char *text, size_t length)
{
    int64_t millidegrees;
    double value;

    if (!vts__pc_parse_integer(text, length, &millidegrees)) {
        vts__pc_set_part(s, 0, VTS_PC_MALFORMED, 0);
        return;
    }
    value = (double)millidegrees / 1000.0;
    if (value < VTS__PC_LOWEST_TEMPERATURE || value > VTS__PC_HIGHEST_TEMPERATURE) {
        vts__pc_set_part(s, 0, VTS_PC_IMPLAUSIBLE, 0);
    } else {
        vts__pc_set_part(s, 0, VTS_PC_VALID, value);
    }
}

/* The counter's step since the last read; false: it cannot be known. At 1 kW the range
   is used up after as many ns as it has uJ; past half of that a wrap may have been
   missed. */
static bool vts__pc_energy_step(const vts__pc_sensor *s, uint64_t raw, uint64_t gap_ns,
                                uint64_t *step)
{
    if (!s->counting || (s->wrap > 0 && gap_ns > s->wrap / 2)) return false;
    if (raw >= s->last_raw) {
        *step = raw - s->last_raw;
        return true;
    }
    if (s->wrap == 0 || s->last_raw > s->wrap) return false;
    *step = raw + (s->wrap - s->last_raw);
    return true;
}

/* A counter that stands still says that a part is switched off; a package that runs this
   program uses something, so that its counter does not count. */
static vts_pc_state vts__pc_power_state(const vts__pc_sensor *s, double power)
{
    if (power == 0) return s->subordinate ? VTS_PC_VALID : VTS_PC_IMPLAUSIBLE;
    return power <= VTS__PC_MAX_POWER ? VTS_PC_VALID : VTS_PC_IMPLAUSIBLE;
}

static void vts__pc_accept_energy(vts__pc_sensor *s, const char *text, size_t length,
                                  uint64_t now_ns)
{
    uint64_t raw, step = 0, gap = now_ns - s->last_at_ns;
    double power = VTS__PC_NAN;
    vts_pc_state state = VTS_PC_NOT_YET;
    bool known, waiting;

    if (!vts__pc_parse_counter(text, length, &raw)) {
        vts__pc_set_all(s, VTS_PC_MALFORMED);
        return;
    }
    known = vts__pc_energy_step(s, raw, gap, &step);
    waiting = known && step == 0 && gap < VTS__PC_ENERGY_STEP; /* for the next step */
    if (known && !waiting && gap > 0) {
        power = (double)step * 1000.0 / (double)gap; /* uJ/ns is kW */
        state = vts__pc_power_state(s, power);
    }
    if (s->total == 0) s->total = raw;
    else if (state != VTS_PC_IMPLAUSIBLE) s->total += step;
    s->counting = true;
    s->last_raw = raw;
    if (!waiting) s->last_at_ns = now_ns;
    vts__pc_set_part(s, 0, VTS_PC_VALID, (double)s->total / 1000000.0);
    vts__pc_set_part(s, 1, state, power);
}

static void vts__pc_accept_count(vts__pc_sensor *s, const char *text, size_t length)
{
    uint64_t count = 0;
    bool good = vts__pc_parse_counter(text, length, &count);
    vts__pc_set_part(s, 0, good ? VTS_PC_VALID : VTS_PC_MALFORMED, (double)count);
}

static void vts__pc_accept_frequency(vts__pc_sensor *s, const char *text, size_t length)
{
    double value;

    vts__pc_accept_count(s, text, length);
    if (s->state[0] != VTS_PC_VALID) return;
    value = s->value[0] * 1000.0;
    vts__pc_set_part(s, 0, value > 0 && value <= VTS__PC_MAX_FREQUENCY ? VTS_PC_VALID
                                                                      : VTS_PC_IMPLAUSIBLE,
                     value);
}

static void vts__pc_accept_node(vts__pc_sensor *s, const char *text, size_t length)
{
    static const char *const key[VTS__PC_PARTS] = {"MemTotal", "MemFree", "MemUsed"};
    char prefix[32];
    double bytes = 0, total = VTS__PC_NAN;
    int i;

    (void)snprintf(prefix, sizeof prefix, "Node %u ", (unsigned)s->own_index);
    for (i = 0; i < VTS__PC_PARTS; i++) {
        vts_pc_state state = vts__pc_parse_memory(text, length, prefix, key[i], &bytes);
        if (state == VTS_PC_UNSUPPORTED) state = VTS_PC_MALFORMED;
        if (state == VTS_PC_VALID && bytes > total) state = VTS_PC_IMPLAUSIBLE;
        vts__pc_set_part(s, i, state, bytes);
        total = s->value[0];
    }
}

static void vts__pc_accept(vts_pcmon *m, vts__pc_sensor *s, const char *text, size_t length)
{
    s->failing = false;
    switch (s->reader) {
    case VTS__PC_READ_TEMPERATURE:
        vts__pc_accept_temperature(s, text, length);
        break;
    case VTS__PC_READ_ENERGY:
        vts__pc_accept_energy(s, text, length, m->now_ns);
        break;
    case VTS__PC_READ_FREQUENCY:
        vts__pc_accept_frequency(s, text, length);
        break;
    case VTS__PC_READ_COUNT:
        vts__pc_accept_count(s, text, length);
        break;
    default: /* VTS__PC_READ_NODE; see vts__pc_has_file */
        vts__pc_accept_node(s, text, length);
        break;
    }
}

/* Why a device is left alone, or VALID. runtime_status is answered by the kernel, reading
   it wakes nothing; while it cannot be read the device may be asleep. */
static vts_pc_state vts__pc_look_asleep(vts_pcmon *m, vts__pc_sensor *s)
{
    char text[32];
    int64_t got;
    vts_pc_state state;

    if (s->sleep.path[0] == '\0' || s->sleep.resting != VTS_PC_VALID) return VTS_PC_VALID;
    got = vts__pc_file_read(m, &s->sleep, text, sizeof text);
    if (got >= 0) {
        return vts__pc_parse_suspended(text, (size_t)got) ? VTS_PC_ASLEEP : VTS_PC_VALID;
    }
    state = vts__pc_file_failed(m, &s->sleep, got);
    return state == VTS_PC_NO_DATA ? state : VTS_PC_VALID;
}

/* A read that was slow deepens the quarantine, one that was not ends it as soon as the
   average has come down. */
static void vts__pc_account(vts_pcmon *m, vts__pc_sensor *s)
{
    uint64_t before = m->now_ns, cost;

    m->now_ns = vts__pc_now(m, VTS_PC_CLOCK_MONOTONIC);
    cost = m->now_ns - before;
    s->cost_ns = s->cost_ns == 0 ? cost : s->cost_ns / 2 + cost / 2;
    if (cost > m->desc.slow_read_ns && s->cost_ns > m->desc.slow_read_ns) {
        if (s->slow_level < VTS__PC_SLOWEST_LEVEL) s->slow_level++;
    } else if (s->cost_ns <= m->desc.slow_read_ns) {
        s->slow_level = 0;
    }
    s->skip = (1u << s->slow_level) - 1u;
}

/* Whether there is a reason not to read now; the state then says which. */
static bool vts__pc_rests(vts_pcmon *m, vts__pc_sensor *s)
{
    vts_pc_state asleep;

    if (s->file.resting != VTS_PC_VALID) {
        vts__pc_set_all(s, s->file.resting);
        return true;
    }
    if (s->skip > 0) {
        s->skip--;
        vts__pc_set_all(s, VTS_PC_SLOW);
        return true;
    }
    if (s->period_ns > 0 && m->boot_ns < s->due_ns) return true;
    asleep = vts__pc_look_asleep(m, s);
    if (asleep == VTS_PC_VALID) return false;
    vts__pc_set_all(s, asleep);
    return true;
}

/* Reads a leader, once per pass. */
static void vts__pc_read(vts_pcmon *m, vts__pc_sensor *s)
{
    char text[VTS__PC_ATTRIBUTE];
    size_t size = s->reader == VTS__PC_READ_NODE ? sizeof text : 64;
    int64_t got;

    if (s->pass == m->pass) return;
    s->pass = m->pass;
    if (vts__pc_rests(m, s)) return;
    got = vts__pc_file_read(m, &s->file, text, size);
    vts__pc_account(m, s);
    s->due_ns = m->boot_ns + s->period_ns;
    if (got < 0) vts__pc_fail(m, s, got);
    else vts__pc_accept(m, s, text, (size_t)got);
}

static bool vts__pc_has_file(const vts__pc_sensor *s)
{
    return s->reader != VTS__PC_READ_STAT && s->reader != VTS__PC_READ_NONE;
}

static void vts__pc_read_wanted(vts_pcmon *m)
{
    uint32_t i;

    for (i = 0; i < m->sensor_count; i++) {
        vts__pc_sensor *s = &m->sensor[i];
        if (s->wanted && s->leader == i && vts__pc_has_file(s)) vts__pc_read(m, s);
    }
}

/* What nobody needed in this pass does not keep an old value. */
static void vts__pc_settle_unread(vts_pcmon *m)
{
    uint32_t i;

    for (i = 0; i < m->sensor_count; i++) {
        vts__pc_sensor *s = &m->sensor[i];
        if (s->leader != i || s->pass == m->pass || s->gone) continue;
        if (s->reader != VTS__PC_READ_NONE) vts__pc_set_all(s, VTS_PC_DISABLED);
    }
}

// ----------------------------------------------------------------------------------
// >>stat
// ----------------------------------------------------------------------------------

/* Reads a file of /proc into m->buffer. The length, or -1 and the state in *state. */
static int64_t vts__pc_read_proc(vts_pcmon *m, int which, vts_pc_state *state)
{
    vts__pc_file *file = &m->file[which].file;
    int64_t got = -1;

    *state = file->resting;
    if (file->resting != VTS_PC_VALID) return -1;
    got = vts__pc_file_read_all(m, file);
    if (got >= 0) return got;
    *state = vts__pc_file_failed(m, file, got);
    if (*state == VTS_PC_GONE) *state = file->resting = VTS_PC_UNSUPPORTED;
    return -1;
}

/* Progress of one CPU, or of all. */
typedef struct vts__pc_progress {
    double busy;
    double total;
} vts__pc_progress;

/* Counters of iowait and idle may run backwards: such a step counts as none. */
static vts__pc_progress vts__pc_advance(vts__pc_ticks *before,
                                        const uint64_t now[VTS__PC_TICKS])
{
    vts__pc_progress step = {0, 0};
    int i;

    for (i = 0; i < VTS__PC_TICKS; i++) {
        double ticks = now[i] > before->tick[i] ? (double)(now[i] - before->tick[i]) : 0;
        step.total += ticks;
        if (i != VTS__PC_IDLE && i != VTS__PC_IOWAIT) step.busy += ticks;
    }
    return step;
}

/* A CPU that was off and came back counts from lower values in every field. */
static bool vts__pc_restarted(const vts__pc_ticks *before,
                              const uint64_t now[VTS__PC_TICKS])
{
    bool lower = false;
    int i;

    for (i = 0; i < VTS__PC_TICKS; i++) {
        if (now[i] > before->tick[i]) return false;
        if (now[i] < before->tick[i]) lower = true;
    }
    return lower && now[VTS__PC_USER] < before->tick[VTS__PC_USER];
}

/* The utilization since the last pass; one that comes within the same clock tick keeps
   the value there was. */
static vts_pc_state vts__pc_utilize(vts__pc_ticks *before, const uint64_t now[VTS__PC_TICKS],
                                    vts__pc_progress *step, double *value,
                                    vts_pc_state state)
{
    vts__pc_progress none = {0, 0};

    *step = none;
    if (!before->known || vts__pc_restarted(before, now)) {
        state = VTS_PC_NOT_YET;
    } else {
        *step = vts__pc_advance(before, now);
        if (step->total > 0) {
            *value = step->busy / step->total;
            state = VTS_PC_VALID;
        }
    }
    before->known = true;
    memcpy(before->tick, now, sizeof before->tick);
    return state;
}

static void vts__pc_accept_cpu(vts__pc_sensor *s, const uint64_t now[VTS__PC_TICKS],
                               vts__pc_progress *step)
{
    double second = (double)sysconf(_SC_CLK_TCK), value = s->value[0];
    uint64_t idle = now[VTS__PC_IDLE] + now[VTS__PC_IOWAIT];
    uint64_t busy = now[VTS__PC_USER] + now[VTS__PC_NICE] + now[VTS__PC_SYSTEM] +
                    now[VTS__PC_IRQ] + now[VTS__PC_SOFTIRQ] + now[VTS__PC_STEAL];
    vts_pc_state state = vts__pc_utilize(&s->ticks, now, step, &value, s->state[0]);

    vts__pc_set_part(s, 0, state, value);
    vts__pc_set_part(s, 1, VTS_PC_VALID, (double)busy / second);
    vts__pc_set_part(s, 2, VTS_PC_VALID, (double)idle / second);
}

/* The leader for a CPU's line; the cursor moves on, as both are in ascending order. */
static vts__pc_sensor *vts__pc_cpu_sensor(vts_pcmon *m, uint32_t cpu, uint32_t *cursor)
{
    while (*cursor < m->cpu_count && m->cpu[*cursor] >> 32 < cpu) (*cursor)++;
    if (*cursor == m->cpu_count || m->cpu[*cursor] >> 32 != cpu) return NULL;
    return &m->sensor[m->cpu[(*cursor)++] & 0xffffffffu];
}

static void vts__pc_stop_cpu(vts__pc_sensor *s, vts_pc_state state)
{
    s->ticks.known = false;
    vts__pc_set_all(s, state);
}

/* CPUs without a line in this pass: offline, or the file could not be read. */
static void vts__pc_stop_cpus(vts_pcmon *m, vts_pc_state state)
{
    uint32_t i;

    for (i = 0; i < m->cpu_count; i++) {
        vts__pc_sensor *s = &m->sensor[m->cpu[i] & 0xffffffffu];
        if (s->pass == m->pass) continue;
        s->pass = m->pass;
        vts__pc_stop_cpu(s, state);
    }
}

/* What a walk over /proc/stat adds up. */
typedef struct vts__pc_load {
    vts__pc_progress cpus;
    vts_pc_state state; /* of the machine-wide utilization, by the line for all CPUs */
    double value;
    uint32_t valid; /* CPUs that have a utilization */
    uint32_t good;
    uint32_t broken;
    uint32_t cursor;
} vts__pc_load;

static void vts__pc_take_stat_line(vts_pcmon *m, vts__pc_load *load, vts__pc_line line,
                                   uint32_t cpu, const uint64_t ticks[VTS__PC_TICKS])
{
    vts__pc_progress step;
    vts__pc_sensor *s;

    if (line == VTS__PC_LINE_ALL_CPUS) {
        load->good++;
        load->state = vts__pc_utilize(
            &m->all_cpus, ticks, &step, &load->value,
            (vts_pc_state)m->latest.state[VTS_PC_CPU_UTILIZATION]);
        return;
    }
    if (line == VTS__PC_LINE_BROKEN) load->broken++;
    else load->good++;
    s = cpu != VTS_PC_NO_INDEX ? vts__pc_cpu_sensor(m, cpu, &load->cursor) : NULL;
    if (s == NULL) return;
    s->pass = m->pass;
    if (line == VTS__PC_LINE_BROKEN) {
        vts__pc_stop_cpu(s, VTS_PC_MALFORMED);
        return;
    }
    vts__pc_accept_cpu(s, ticks, &step);
    if (s->state[0] == VTS_PC_VALID) load->valid++;
    load->cpus.busy += step.busy;
    load->cpus.total += step.total;
}

static void vts__pc_walk_stat(vts_pcmon *m, size_t length, vts__pc_load *load)
{
    uint64_t ticks[VTS__PC_TICKS];
    size_t at = 0;
    uint32_t cpu;

    while (at < length) {
        vts__pc_line line = vts__pc_parse_stat_line(m->buffer, length, &at, &cpu, ticks);
        if (line == VTS__PC_LINE_OTHER) break;
        vts__pc_take_stat_line(m, load, line, cpu, ticks);
    }
}

static void vts__pc_set(vts_pcmon *m, vts_pc_metric metric, double *where,
                        vts_pc_state state, double value)
{
    m->next.state[metric] = (uint8_t)state;
    *where = state == VTS_PC_VALID ? value : VTS__PC_NAN;
}

/* Machine-wide: the sum over the CPUs, which survives one that comes or goes; the
   kernel's own sum where it lists no CPU. Within one clock tick the value stays. */
static void vts__pc_sum_load(vts_pcmon *m, const vts__pc_load *load)
{
    double *where = &m->next.cpu_utilization;

    if (load->good == 0) {
        vts__pc_set(m, VTS_PC_CPU_UTILIZATION, where, VTS_PC_MALFORMED, 0);
    } else if (load->cpus.total > 0) {
        vts__pc_set(m, VTS_PC_CPU_UTILIZATION, where, VTS_PC_VALID,
                    load->cpus.busy / load->cpus.total);
    } else if (load->valid > 0) {
        vts__pc_set(m, VTS_PC_CPU_UTILIZATION, where,
                    (vts_pc_state)m->latest.state[VTS_PC_CPU_UTILIZATION],
                    m->latest.cpu_utilization);
    } else {
        vts__pc_set(m, VTS_PC_CPU_UTILIZATION, where, load->state, load->value);
    }
}

static void vts__pc_read_stat(vts_pcmon *m)
{
    vts__pc_load load;
    vts_pc_state state;
    int64_t length = vts__pc_read_proc(m, VTS__PC_FILE_STAT, &state);

    memset(&load, 0, sizeof load);
    load.state = VTS_PC_NOT_YET;
    load.value = m->latest.cpu_utilization;
    if (length >= 0) vts__pc_walk_stat(m, (size_t)length, &load);
    vts__pc_stop_cpus(m, length >= 0 ? VTS_PC_GONE : state);
    if (length < 0 || load.good == 0) m->all_cpus.known = false;
    if (length >= 0) vts__pc_sum_load(m, &load);
    else vts__pc_set(m, VTS_PC_CPU_UTILIZATION, &m->next.cpu_utilization, state, 0);
}

/* limit: more than that cannot be; NaN: not known. */
static void vts__pc_set_memory(vts_pcmon *m, vts_pc_metric metric, double *where,
                               const char *key, int64_t length, vts_pc_state state,
                               double limit)
{
    double bytes = 0;

    if (length >= 0) {
        state = vts__pc_parse_memory(m->buffer, (size_t)length, "", key, &bytes);
        if (state == VTS_PC_VALID && bytes > limit) state = VTS_PC_IMPLAUSIBLE;
    }
    vts__pc_set(m, metric, where, state, bytes);
}

/* A meminfo that lacks a key is an old kernel's; one that lacks MemTotal is none. */
static void vts__pc_read_meminfo(vts_pcmon *m)
{
    vts_pc_statistics *next = &m->next;
    vts_pc_state state;
    int64_t length = vts__pc_read_proc(m, VTS__PC_FILE_MEMINFO, &state);
    double unused;

    if (length >= 0 && vts__pc_parse_memory(m->buffer, (size_t)length, "", "MemTotal",
                                            &unused) == VTS_PC_UNSUPPORTED) {
        length = -1;
        state = VTS_PC_MALFORMED;
    }
    vts__pc_set_memory(m, VTS_PC_MEMORY_TOTAL, &next->memory_total, "MemTotal", length,
                       state, VTS__PC_NAN);
    vts__pc_set_memory(m, VTS_PC_MEMORY_FREE, &next->memory_free, "MemFree", length, state,
                       next->memory_total);
    vts__pc_set_memory(m, VTS_PC_MEMORY_AVAILABLE, &next->memory_available, "MemAvailable",
                       length, state, next->memory_total);
    vts__pc_set_memory(m, VTS_PC_SWAP_TOTAL, &next->swap_total, "SwapTotal", length, state,
                       VTS__PC_NAN);
    vts__pc_set_memory(m, VTS_PC_SWAP_FREE, &next->swap_free, "SwapFree", length, state,
                       next->swap_total);
}

/* Where there is no meminfo, hwloc knows the total of this machine. */
static void vts__pc_total_from_hwloc(vts_pcmon *m)
{
    uint64_t total;

    if (m->next.state[VTS_PC_MEMORY_TOTAL] != VTS_PC_UNSUPPORTED || m->topology == NULL) return;
    if (!hwloc_topology_is_thissystem(m->topology)) return;
    total = hwloc_get_root_obj(m->topology)->total_memory;
    if (total == 0) return;
    vts__pc_set(m, VTS_PC_MEMORY_TOTAL, &m->next.memory_total, VTS_PC_VALID, (double)total);
}

static void vts__pc_read_loadavg(vts_pcmon *m)
{
    vts_pc_state state;
    int64_t length = vts__pc_read_proc(m, VTS__PC_FILE_LOADAVG, &state);

    if (length >= 0) {
        state = vts__pc_parse_loadavg(m->buffer, (size_t)length, m->next.load_average)
                    ? VTS_PC_VALID
                    : VTS_PC_MALFORMED;
    }
    m->next.state[VTS_PC_LOAD_AVERAGE] = (uint8_t)state;
}

/* One state for the three: valid if all are. */
static void vts__pc_read_pressure(vts_pcmon *m)
{
    vts_pc_state state = VTS_PC_VALID, worst = VTS_PC_VALID;
    int i;

    for (i = 0; i < 3; i++) {
        int64_t length = vts__pc_read_proc(m, VTS__PC_FILE_PRESSURE + i, &state);
        if (length >= 0 && !vts__pc_parse_pressure(m->buffer, (size_t)length,
                                                   &m->next.pressure[i])) {
            state = VTS_PC_MALFORMED;
        }
        if (worst == VTS_PC_VALID) worst = state;
    }
    m->next.state[VTS_PC_PRESSURE] = (uint8_t)worst;
}

static void vts__pc_read_files(vts_pcmon *m)
{
    const uint32_t memory = 1u << VTS_PC_MEMORY_TOTAL | 1u << VTS_PC_MEMORY_FREE |
                            1u << VTS_PC_MEMORY_AVAILABLE | 1u << VTS_PC_SWAP_TOTAL |
                            1u << VTS_PC_SWAP_FREE;

    if (vts__pc_asks_for(m, VTS_PC_CPU_UTILIZATION)) vts__pc_read_stat(m);
    if ((m->desc.metrics & memory) != 0) vts__pc_read_meminfo(m);
    vts__pc_total_from_hwloc(m);
    if (vts__pc_asks_for(m, VTS_PC_LOAD_AVERAGE)) vts__pc_read_loadavg(m);
    if (vts__pc_asks_for(m, VTS_PC_PRESSURE)) vts__pc_read_pressure(m);
}

// ----------------------------------------------------------------------------------
// >>summary
// ----------------------------------------------------------------------------------

/* What several sensors come to together. */
typedef struct vts__pc_total {
    double sum;
    double highest;
    double lowest_critical;
    uint32_t count;
    uint32_t valid;
    vts_pc_state first_failure; /* in the order of the sensors */
} vts__pc_total;

static vts__pc_total vts__pc_no_total(void)
{
    vts__pc_total total = {0, 0, 0, 0, 0, VTS_PC_UNSUPPORTED};
    total.highest = total.lowest_critical = VTS__PC_NAN;
    return total;
}

static void vts__pc_add_to(vts_pcmon *m, vts__pc_total *total, const vts__pc_sensor *s)
{
    const vts__pc_sensor *leader = &m->sensor[s->leader];
    double value = leader->value[s->part];

    if (!(total->lowest_critical <= s->critical) && s->critical == s->critical) {
        total->lowest_critical = s->critical;
    }
    if (leader->state[s->part] != VTS_PC_VALID) {
        if (total->count++ == total->valid) total->first_failure = leader->state[s->part];
        return;
    }
    total->count++;
    total->valid++;
    total->sum += value;
    if (!(total->highest >= value)) total->highest = value;
}

/* All sensors of a kind that stand for themselves on an object of a type. */
static vts__pc_total vts__pc_total_of(vts_pcmon *m, vts_pc_kind kind,
                                      vts_pc_object_type type)
{
    vts__pc_total total = vts__pc_no_total();
    uint32_t i;

    for (i = 0; i < m->sensor_count; i++) {
        const vts__pc_sensor *s = &m->sensor[i];
        if (s->kind != kind || s->subordinate) continue;
        if (type != VTS_PC_OBJECT_NONE && s->object_type != type) continue;
        vts__pc_add_to(m, &total, s);
    }
    return total;
}

/* A sum with a part missing is no sum, the highest of those that answered is one. */
static vts_pc_state vts__pc_all(const vts__pc_total *total)
{
    return total->valid == total->count && total->count > 0 ? VTS_PC_VALID
                                                            : total->first_failure;
}

static vts_pc_state vts__pc_any(const vts__pc_total *total)
{
    return total->valid > 0 ? VTS_PC_VALID : total->first_failure;
}

static bool vts__pc_is_candidate(const vts__pc_sensor *s, vts_pc_source source)
{
    if (s->kind != VTS_PC_KIND_TEMPERATURE) return false;
    return source == VTS_PC_SOURCE_USER ? s->chosen : s->source == source;
}

/* Reads all candidates of one source. */
static vts__pc_total vts__pc_try_source(vts_pcmon *m, vts_pc_source source)
{
    vts__pc_total total = vts__pc_no_total();
    uint32_t i;

    for (i = 0; i < m->sensor_count; i++) {
        if (!vts__pc_is_candidate(&m->sensor[i], source)) continue;
        vts__pc_read(m, &m->sensor[i]);
        vts__pc_add_to(m, &total, &m->sensor[i]);
    }
    return total;
}

/* Goes down the order until a source has a value; without any, the best source there is
   says why. */
static void vts__pc_choose_temperature(vts_pcmon *m)
{
    vts__pc_total total = vts__pc_no_total(), best = total;
    vts_pc_statistics *next = &m->next;
    int source, chosen = VTS_PC_SOURCE_NONE;

    for (source = VTS_PC_SOURCE_USER; source <= VTS_PC_SOURCE_ACPI; source++) {
        total = vts__pc_try_source(m, (vts_pc_source)source);
        if (total.count == 0) continue;
        if (best.count == 0) best = total;
        if (total.valid == 0) continue;
        best = total;
        chosen = source;
        break;
    }
    next->cpu_temperature_source = (uint8_t)chosen;
    vts__pc_set(m, VTS_PC_CPU_TEMPERATURE, &next->cpu_temperature, vts__pc_any(&best),
                best.highest);
    vts__pc_set(m, VTS_PC_CPU_TEMPERATURE_CRITICAL, &next->cpu_temperature_critical,
                best.lowest_critical == best.lowest_critical ? VTS_PC_VALID
                                                             : VTS_PC_UNSUPPORTED,
                best.lowest_critical);
}

static void vts__pc_hottest(vts_pcmon *m, vts_pc_metric metric, vts_pc_source source,
                            double *where)
{
    vts__pc_total total = vts__pc_no_total();
    uint32_t i;

    for (i = 0; i < m->sensor_count; i++) {
        const vts__pc_sensor *s = &m->sensor[i];
        if (s->source == source && s->wanted) vts__pc_add_to(m, &total, s);
    }
    vts__pc_set(m, metric, where, vts__pc_any(&total), total.highest);
}

static void vts__pc_sum_up(vts_pcmon *m)
{
    vts_pc_statistics *next = &m->next;
    vts__pc_total total;

    total = vts__pc_total_of(m, VTS_PC_KIND_FREQUENCY, VTS_PC_OBJECT_NONE);
    vts__pc_set(m, VTS_PC_CPU_FREQUENCY, &next->cpu_frequency, vts__pc_any(&total),
                total.sum / (total.valid > 0 ? total.valid : 1));
    vts__pc_set(m, VTS_PC_CPU_FREQUENCY_MAX, &next->cpu_frequency_max, vts__pc_any(&total),
                total.highest);
    total = vts__pc_total_of(m, VTS_PC_KIND_POWER, VTS_PC_OBJECT_NONE);
    vts__pc_set(m, VTS_PC_CPU_POWER, &next->cpu_power, vts__pc_all(&total), total.sum);
    total = vts__pc_total_of(m, VTS_PC_KIND_ENERGY, VTS_PC_OBJECT_NONE);
    vts__pc_set(m, VTS_PC_CPU_ENERGY, &next->cpu_energy, vts__pc_all(&total), total.sum);
    total = vts__pc_total_of(m, VTS_PC_KIND_THROTTLE_COUNT, VTS_PC_OBJECT_PACKAGE);
    vts__pc_set(m, VTS_PC_CPU_THROTTLE_COUNT, &next->cpu_throttle_count,
                vts__pc_all(&total), total.sum);
    vts__pc_hottest(m, VTS_PC_GPU_TEMPERATURE, VTS_PC_SOURCE_GPU, &next->gpu_temperature);
    vts__pc_hottest(m, VTS_PC_STORAGE_TEMPERATURE, VTS_PC_SOURCE_STORAGE,
                    &next->storage_temperature);
}

/* Where each metric's numbers are. */
typedef struct vts__pc_field {
    size_t offset;
    int count;
} vts__pc_field;

static const vts__pc_field vts__pc_fields[VTS_PC_METRIC_COUNT] = {
    {offsetof(vts_pc_statistics, cpu_temperature), 1},
    {offsetof(vts_pc_statistics, cpu_temperature_critical), 1},
    {offsetof(vts_pc_statistics, cpu_utilization), 1},
    {offsetof(vts_pc_statistics, cpu_frequency), 1},
    {offsetof(vts_pc_statistics, cpu_frequency_max), 1},
    {offsetof(vts_pc_statistics, cpu_power), 1},
    {offsetof(vts_pc_statistics, cpu_energy), 1},
    {offsetof(vts_pc_statistics, cpu_throttle_count), 1},
    {offsetof(vts_pc_statistics, memory_total), 1},
    {offsetof(vts_pc_statistics, memory_free), 1},
    {offsetof(vts_pc_statistics, memory_available), 1},
    {offsetof(vts_pc_statistics, swap_total), 1},
    {offsetof(vts_pc_statistics, swap_free), 1},
    {offsetof(vts_pc_statistics, load_average), 3},
    {offsetof(vts_pc_statistics, pressure), 3},
    {offsetof(vts_pc_statistics, gpu_temperature), 1},
    {offsetof(vts_pc_statistics, storage_temperature), 1},
};

/* A number counts only with its state: whatever a provider left is put right. */
static void vts__pc_blank_invalid(vts_pc_statistics *statistics)
{
    int metric, i;

    for (metric = 0; metric < VTS_PC_METRIC_COUNT; metric++) {
        const vts__pc_field *field = &vts__pc_fields[metric];
        double *number = (double *)(void *)((char *)statistics + field->offset);
        if (statistics->state[metric] == VTS_PC_VALID) continue;
        for (i = 0; i < field->count; i++) number[i] = VTS__PC_NAN;
    }
    if (statistics->state[VTS_PC_CPU_TEMPERATURE] != VTS_PC_VALID) {
        statistics->cpu_temperature_source = VTS_PC_SOURCE_NONE;
    } else if (statistics->cpu_temperature_source == VTS_PC_SOURCE_NONE) {
        statistics->cpu_temperature_source = VTS_PC_SOURCE_USER;
    }
}

static void vts__pc_disable_others(vts_pcmon *m)
{
    int metric;

    for (metric = 0; metric < VTS_PC_METRIC_COUNT; metric++) {
        if (vts__pc_asks_for(m, (vts_pc_metric)metric)) continue;
        m->next.state[metric] = VTS_PC_DISABLED;
    }
}

/* A provider that sets a valid temperature is its source, unless it names another. */
static void vts__pc_ask_provider(vts_pcmon *m)
{
    double before = m->next.cpu_temperature;
    uint8_t source = m->next.cpu_temperature_source;

    if (m->desc.provider == NULL) return;
    m->desc.provider(m->desc.provider_user, &m->next);
    if (m->next.state[VTS_PC_CPU_TEMPERATURE] != VTS_PC_VALID) return;
    if (m->next.cpu_temperature_source != source || m->next.cpu_temperature == before) return;
    m->next.cpu_temperature_source = VTS_PC_SOURCE_USER;
}

// ----------------------------------------------------------------------------------
// >>publish
// ----------------------------------------------------------------------------------

/* The cache for the fast path. One writer: the pass. */
static void vts__pc_publish_cache(vts_pcmon *m, uint64_t stamp_ns)
{
    vts_word sequence = vts__load_rlx(&m->sequence);

    vts__store_rlx(&m->sequence, sequence + 1);
    vts__copy_in(&m->cache.statistics, &m->next, sizeof m->next);
    vts__copy_in(&m->cache.stamp_ns, &stamp_ns, sizeof stamp_ns);
    vts__store_rel(&m->sequence, sequence + 2); /* [M1] */
}

static void vts__pc_publish_readings(vts_pcmon *m)
{
    uint32_t i, unmapped = 0;

    for (i = 0; i < m->sensor_count; i++) {
        const vts__pc_sensor *s = &m->sensor[i], *leader = &m->sensor[s->leader];
        vts_pc_reading *reading = &m->readings[i];
        reading->value = leader->value[s->part];
        reading->state = (uint8_t)leader->state[s->part];
        reading->sensor = i;
        reading->kind = (uint8_t)s->kind;
        reading->reserved = 0;
        if (s->object == NULL) unmapped++;
    }
    m->reading_count = m->sensor_count;
    m->info.unmapped = unmapped;
}

static void vts__pc_publish(vts_pcmon *m, uint64_t stamp_ns)
{
    vts__pc_publish_cache(m, stamp_ns);
    pthread_mutex_lock(&m->lock);
    vts__pc_publish_readings(m);
    m->latest = m->next;
    m->info.passes = m->pass;
    m->info.cost_total_ns += m->next.pass_cost_ns;
    pthread_mutex_unlock(&m->lock);
}

#if defined __x86_64__ && defined __GNUC__

/* A reader's copy, in pairs of words that stay in registers until the sequence says
   that they belong together: half the instructions of the version below, and nothing
   of the caller's is touched by a copy that has to be made again. Pairs may tear, as
   the whole may: the sequence shows it. This processor keeps loads in order, volatile
   and the barrier keep them so in the code. */
typedef unsigned long long vts__pc_pair
    __attribute__((vector_size(16), aligned(8), may_alias));

typedef struct vts__pc_snapshot {
    vts__pc_pair pair[13];
} vts__pc_snapshot;

static VTS__INLINE vts__pc_pair vts__pc_load_pair(const vts__pc_pair *from)
{
    vts__pc_pair pair;
    __asm__ volatile("{movups %1, %0|movups %0, %1}" : "=x"(pair) : "m"(*from));
    return pair;
}

static VTS__INLINE void vts__pc_load_snapshot(vts__pc_snapshot *to,
                                              const vts_pc_statistics *cached)
{
    const vts__pc_pair *from = (const vts__pc_pair *)(const void *)cached;

    _Static_assert(sizeof *to == sizeof *cached, "one line for each pair");
    to->pair[0] = vts__pc_load_pair(from);
    to->pair[1] = vts__pc_load_pair(from + 1);
    to->pair[2] = vts__pc_load_pair(from + 2);
    to->pair[3] = vts__pc_load_pair(from + 3);
    to->pair[4] = vts__pc_load_pair(from + 4);
    to->pair[5] = vts__pc_load_pair(from + 5);
    to->pair[6] = vts__pc_load_pair(from + 6);
    to->pair[7] = vts__pc_load_pair(from + 7);
    to->pair[8] = vts__pc_load_pair(from + 8);
    to->pair[9] = vts__pc_load_pair(from + 9);
    to->pair[10] = vts__pc_load_pair(from + 10);
    to->pair[11] = vts__pc_load_pair(from + 11);
    to->pair[12] = vts__pc_load_pair(from + 12);
    __asm__ volatile("" ::: "memory");
}

static VTS__INLINE void vts__pc_store_snapshot(vts_pc_statistics *out,
                                               const vts__pc_snapshot *from)
{
    vts__pc_pair *to = (vts__pc_pair *)(void *)out;

    to[0] = from->pair[0];
    to[1] = from->pair[1];
    to[2] = from->pair[2];
    to[3] = from->pair[3];
    to[4] = from->pair[4];
    to[5] = from->pair[5];
    to[6] = from->pair[6];
    to[7] = from->pair[7];
    to[8] = from->pair[8];
    to[9] = from->pair[9];
    to[10] = from->pair[10];
    to[11] = from->pair[11];
    to[12] = from->pair[12];
}

#else

typedef vts_pc_statistics vts__pc_snapshot;

static VTS__INLINE void vts__pc_load_snapshot(vts__pc_snapshot *to,
                                              const vts_pc_statistics *cached)
{
    vts__copy_out(to, cached, sizeof *to);
}

static VTS__INLINE void vts__pc_store_snapshot(vts_pc_statistics *out,
                                               const vts__pc_snapshot *from)
{
    *out = *from;
}

#endif

/* The clock a sample's age is measured with; the coarse one without a detour. */
static VTS__INLINE uint64_t vts__pc_fresh_now(vts_pcmon *m)
{
    return m->coarse ? vts__pc_coarse_clock() : vts__pc_now(m, m->fresh_clock);
}

/* One look at the cache. True: *out is a fresh sample. False: there is none, or *retry;
   *out is untouched. */
static VTS__INLINE bool vts__pc_try_fresh(vts_pcmon *m, vts_pc_statistics *out, bool *retry)
{
    vts_word sequence = vts__load_acq(&m->sequence); /* [M1] */
    vts__pc_snapshot snapshot;
    uint64_t stamp_ns, now_ns;

    *retry = (sequence & 1) != 0;
    if (*retry || sequence == 0) return false;
    vts__copy_out(&stamp_ns, &m->cache.stamp_ns, sizeof stamp_ns);
    now_ns = vts__pc_fresh_now(m);
    if ((int64_t)(now_ns - stamp_ns) > m->freshness_ns) return false;
    vts__pc_load_snapshot(&snapshot, &m->cache.statistics);
    *retry = vts__load_rlx(&m->sequence) != sequence; /* [M2] */
    if (*retry) return false;
    vts__pc_store_snapshot(out, &snapshot);
    return true;
}

/* For idle stop: somebody is reading. */
static VTS__INLINE void vts__pc_mark_reader(vts_pcmon *m)
{
    if (m->marks_readers && vts__load_rlx(&m->asked) == 0) vts__store_rlx(&m->asked, 1);
}

/* Again, after a pass came in between. Gives up on a writer that was stopped in its
   middle: the caller then waits for the next pass like any other miss. */
static VTS__NOINLINE bool vts__pc_retry_fresh(vts_pcmon *m, vts_pc_statistics *out)
{
    int tries;
    bool retry = true;

    for (tries = 0; retry && tries < VTS__PC_READ_TRIES; tries++) {
        if (!vts__pc_try_fresh(m, out, &retry)) continue;
        vts__pc_mark_reader(m);
        return true;
    }
    return false;
}

/* Links a waiter; true: the stack was empty, so the sampler has to be woken. */
static bool vts__pc_push(vts_pcmon *m, vts__pc_waiter *waiter)
{
    vts_word top = vts__load_rlx(&m->waiters);

    do {
        waiter->next = (vts__pc_waiter *)top;
    } while (!vts__cas_acq_rel(&m->waiters, &top, (vts_word)waiter)); /* [M3] */
    return top == 0;
}

/* Gives up count of the shares in a pass's statistics. */
static void vts__pc_release_share(vts__pc_share *share, vts_word count)
{
    if (vts__add_acq_rel(&share->owners, 0 - count) != count) return; /* [M6] */
    (void)vts_pool_put(share->pool, share);
}

/* The copy of a pass's statistics that all waiters get; NULL: no memory. More owners
   than there can be waiters, so that it stays until the pass has counted them. */
static vts__pc_share *vts__pc_new_share(vts_pcmon *m, const vts_pc_statistics *statistics)
{
    vts__pc_share *share = (vts__pc_share *)vts_pool_get(&m->shares);

    if (share == NULL) return NULL;
    share->statistics = *statistics;
    share->pool = &m->shares;
    vts__store_rlx(&share->owners, 2 * VTS__PC_MAX_WAITERS);
    return share;
}

/* Completes one waiter of the stack and returns the next: with the share, or without one
   as failed. One that was canceled before is only unlinked. */
static vts__pc_waiter *vts__pc_complete(vts__pc_waiter *waiter, vts__pc_share *share,
                                        int error, vts_word *completed)
{
    vts__pc_waiter *next = waiter->next;
    vts_token token = vts__xchg_acq_rel(&waiter->armed, 0); /* [M4] [M5] */
    int lost;

    __builtin_prefetch(next, 1);
    if (share != NULL) lost = vts_source_set_result(&waiter->core, token, (intptr_t)share);
    else if (error == VTS_E_CANCELED) lost = vts_source_set_canceled(&waiter->core, token, error);
    else lost = vts_source_set_error(&waiter->core, token, error);
    if (lost == VTS_OK) (*completed)++;
    return next;
}

/* Completes everybody who waits, the last come first: with the statistics, or with
   statistics NULL as canceled. Returns how many. */
static vts_word vts__pc_complete_waiters(vts_pcmon *m, const vts_pc_statistics *statistics)
{
    vts__pc_waiter *waiter = (vts__pc_waiter *)vts__xchg_acq_rel(&m->waiters, 0); /* [M3] */
    int error = statistics != NULL ? -ENOMEM : VTS_E_CANCELED;
    vts__pc_share *share = NULL;
    vts_word completed = 0;

    if (waiter == NULL) return 0;
    if (statistics != NULL) share = vts__pc_new_share(m, statistics);
    while (waiter != NULL) waiter = vts__pc_complete(waiter, share, error, &completed);
    if (share != NULL) {
        vts__pc_release_share(share, 2 * VTS__PC_MAX_WAITERS - completed);
    }
    return completed;
}

/* ---- what a handle of a waiter does (vts_source_ops) ---- */

static vts__pc_waiter *vts__pc_waiter_of(vts_valuetask_source *front)
{
    return vts__container_of(front, vts__pc_waiter, front);
}

static int vts__pc_get_status(vts_valuetask_source *self, vts_token token)
{
    return vts_source_get_status(&vts__pc_waiter_of(self)->core, token);
}

static int vts__pc_on_completed(vts_valuetask_source *self, vts_token token,
                                vts_continuation continuation, void *arg, unsigned flags)
{
    return vts_source_on_completed(&vts__pc_waiter_of(self)->core, token, continuation, arg,
                                   flags);
}

static int vts__pc_unregister(vts_valuetask_source *self, vts_token token)
{
    return vts_source_unregister(&vts__pc_waiter_of(self)->core, token);
}

/* Taking the result gives the source back to its pool; the share is this taker's until
   it is released. */
static int vts__pc_get_result(vts_valuetask_source *self, vts_token token, void *result)
{
    intptr_t word;
    int error = vts_source_get_result(&vts__pc_waiter_of(self)->core, token, &word);
    vts__pc_share *share;

    if (error != VTS_OK) return error;
    share = (vts__pc_share *)word;
    if (result != NULL) memcpy(result, &share->statistics, sizeof share->statistics);
    vts__pc_release_share(share, 1);
    return VTS_OK;
}

/* Runs when a forgotten operation is completed: nobody else takes its result, so the
   source's token is still that operation's. */
static void vts__pc_drop(void *argument)
{
    vts__pc_waiter *waiter = (vts__pc_waiter *)argument;
    (void)vts__pc_get_result(&waiter->front, vts_source_version(&waiter->core), NULL);
}

static int vts__pc_forget(vts_valuetask_source *self, vts_token token)
{
    return vts__pc_on_completed(self, token, vts__pc_drop, vts__pc_waiter_of(self),
                                VTS_NONE);
}

static const vts_source_ops vts__pc_waiter_ops = {
    vts__pc_get_status, vts__pc_on_completed, vts__pc_get_result,
    vts__pc_unregister, vts__pc_forget,       NULL};

// ----------------------------------------------------------------------------------
// >>sampler
// ----------------------------------------------------------------------------------

/* After a suspend counters may have been reset, devices have been away, and a rate over
   the gap means nothing. */
static void vts__pc_look_for_suspend(vts_pcmon *m)
{
    uint64_t suspended = m->boot_ns - m->now_ns, before = m->suspended_ns;
    uint32_t i;

    m->suspended_ns = suspended;
    if (m->pass == 1 || (int64_t)(suspended - before) < (int64_t)VTS__PC_SUSPEND_JUMP) return;
    for (i = 0; i < m->sensor_count; i++) {
        m->sensor[i].counting = false;
        m->sensor[i].ticks.known = false;
    }
    m->all_cpus.known = false;
    m->wants_discovery = true;
    pthread_mutex_lock(&m->lock);
    m->info.suspends++;
    pthread_mutex_unlock(&m->lock);
}

/* FNV-1a: which CPUs are online, as a number to compare. */
static uint64_t vts__pc_hash(const char *text, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    size_t i;

    for (i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

/* True when other CPUs are online than in the pass before. */
static bool vts__pc_look_for_hotplug(vts_pcmon *m)
{
    uint64_t before = m->online_hash;
    vts_pc_state state;
    int64_t length = vts__pc_read_proc(m, VTS__PC_FILE_ONLINE, &state);

    if (length < 0) return false;
    m->online_hash = vts__pc_hash(m->buffer, (size_t)length);
    return m->pass > 1 && m->online_hash != before;
}

static void vts__pc_topology_for_pass(vts_pcmon *m)
{
    bool changed = vts__pc_look_for_hotplug(m);
    int error;

    if (m->pass > 1 && !changed) return;
    m->wants_discovery = true;
    if (m->owns_topology && (m->pass == 1 || m->native)) {
        vts__pc_renew_topology(m);
        error = vts__pc_bind(m);
        pthread_mutex_lock(&m->lock);
        m->info.binding_error = error;
        pthread_mutex_unlock(&m->lock);
    }
}

/* After a discovery: whether another one is needed later. */
static void vts__pc_plan_discovery(vts_pcmon *m)
{
    bool missing = m->info.discovery_error != 0;
    uint32_t i;

    m->retry_ns = 0;
    for (i = 0; i < m->sensor_count && !missing; i++) {
        missing = m->sensor[i].gone && vts__pc_has_file(&m->sensor[i]);
    }
    if (missing) vts__pc_schedule_discovery(m);
}

static void vts__pc_discover_for_pass(vts_pcmon *m)
{
    if (m->retry_ns != 0 && m->boot_ns >= m->retry_ns) m->wants_discovery = true;
    if (!m->wants_discovery) return;
    m->wants_discovery = false;
    vts__pc_discover(m);
    vts__pc_plan_discovery(m);
}

static void vts__pc_sample(vts_pcmon *m)
{
    memset(&m->next, 0, sizeof m->next);
    vts__pc_read_files(m);
    vts__pc_read_wanted(m);
    if (vts__pc_asks_for(m, VTS_PC_CPU_TEMPERATURE) ||
        vts__pc_asks_for(m, VTS_PC_CPU_TEMPERATURE_CRITICAL)) {
        vts__pc_choose_temperature(m);
    }
    vts__pc_settle_unread(m);
    vts__pc_sum_up(m);
    vts__pc_disable_others(m);
    vts__pc_ask_provider(m);
    vts__pc_blank_invalid(&m->next);
}

/* One sampling pass: everything is read once, published, and given to all who wait. The
   stamp is from before the first read: a value is never younger than it says. */
static void vts__pc_pass(vts_pcmon *m)
{
    uint64_t stamp_ns, start_ns, cost;
    vts_word completed;

    vts__store_rel(&m->passing, 1);
    m->pass++;
    m->boot_ns = vts__pc_now(m, VTS_PC_CLOCK_BOOTTIME);
    m->now_ns = vts__pc_now(m, VTS_PC_CLOCK_MONOTONIC);
    vts__pc_look_for_suspend(m);
    vts__pc_topology_for_pass(m);
    vts__pc_discover_for_pass(m);
    stamp_ns = vts__pc_now(m, m->fresh_clock);
    start_ns = m->now_ns = vts__pc_now(m, VTS_PC_CLOCK_MONOTONIC);
    m->boot_ns = vts__pc_now(m, VTS_PC_CLOCK_BOOTTIME);
    vts__pc_sample(m);
    if (m->retry_ns == 0) m->gone_level = 0; /* nothing is missing, and all there was answered */
    cost = vts__pc_now(m, VTS_PC_CLOCK_MONOTONIC) - start_ns;
    m->next.sequence = m->pass;
    m->next.sampled_at_ns = m->boot_ns + cost / 2;
    m->next.pass_cost_ns = cost < UINT32_MAX ? (uint32_t)cost : UINT32_MAX;
    vts__pc_publish(m, stamp_ns);
    vts__store_rel(&m->passing, 0);
    completed = vts__pc_complete_waiters(m, &m->next);
    pthread_mutex_lock(&m->lock);
    m->info.waiters_completed += completed;
    pthread_mutex_unlock(&m->lock);
}

/* Deadlines are absolute: those that passed meanwhile are skipped. A pass in between,
   for somebody who waits, does not move them; after idling they start anew. */
static void vts__pc_schedule(vts_pcmon *m, uint64_t started_ns)
{
    uint64_t now_ns = vts__pc_now(m, VTS_PC_CLOCK_BOOTTIME), missed = 0;

    if (!m->has_deadline || m->idle) m->deadline_ns = started_ns + m->desc.interval_ns;
    m->has_deadline = true;
    if (now_ns >= m->deadline_ns) {
        missed = (now_ns - m->deadline_ns) / m->desc.interval_ns;
        m->deadline_ns += (missed + 1) * m->desc.interval_ns;
    }
    m->idle = m->desc.idle_stop_ns > 0 && now_ns > m->last_asked_ns &&
              now_ns - m->last_asked_ns >= m->desc.idle_stop_ns;
    pthread_mutex_lock(&m->lock);
    m->info.deadlines_missed += missed;
    m->info.idle = m->idle;
    pthread_mutex_unlock(&m->lock);
}

static bool vts__pc_take(vts_word *flag)
{
    return vts__xchg_acq_rel(flag, 0) != 0;
}

/* What is to be done now: a pass if its deadline has come, if somebody waits, or if it
   was asked for. *next_ns: time to the next deadline. */
static bool vts__pc_step(vts_pcmon *m, uint64_t *next_ns)
{
    uint64_t now_ns = vts__pc_now(m, VTS_PC_CLOCK_BOOTTIME);
    bool wanted = vts__load_acq(&m->waiters) != 0 || !m->has_deadline;
    bool due;

    if (vts__pc_take(&m->refresh)) wanted = true;
    if (vts__pc_take(&m->rediscover)) wanted = m->wants_discovery = true;
    if (vts__pc_take(&m->asked) || wanted) m->last_asked_ns = now_ns;
    due = wanted || (!m->idle && now_ns >= m->deadline_ns);
    if (due) {
        vts__pc_pass(m);
        vts__pc_schedule(m, now_ns);
        now_ns = vts__pc_now(m, VTS_PC_CLOCK_BOOTTIME);
    }
    *next_ns = m->idle ? UINT64_MAX
                       : (m->deadline_ns > now_ns ? m->deadline_ns - now_ns : 0);
    return due;
}

static bool vts__pc_is_stopped(vts_pcmon *m)
{
    return vts__load_acq(&m->stop) != 0;
}

/* A park that fails must not turn into a busy loop. */
static void vts__pc_park_failed(vts_pcmon *m, int error)
{
    struct timespec pause = {0, 10000000};

    pthread_mutex_lock(&m->lock);
    m->info.park_error = error;
    pthread_mutex_unlock(&m->lock);
    (void)nanosleep(&pause, NULL);
}

static void *vts__pc_run(void *argument)
{
    vts_pcmon *m = (vts_pcmon *)argument;
    uint64_t next_ns;
    int error;

    if (!m->desc.no_thread_name) vts__pc_os_name_thread();
    while (!vts__pc_is_stopped(m)) {
        (void)vts__pc_step(m, &next_ns);
        if (vts__pc_is_stopped(m)) break;
        error = vts__pc_park_wait(&m->park, next_ns);
        if (error < 0) vts__pc_park_failed(m, error);
    }
    return NULL;
}

static void vts__pc_wake(vts_pcmon *m)
{
    if (!m->desc.manual_tick && !vts__pc_is_stopped(m)) vts__pc_park_wake(&m->park);
}

// ----------------------------------------------------------------------------------
// >>lifetime
// ----------------------------------------------------------------------------------

/* Forks of this process' line of ancestors: a monitor from before one is the parent's. */
static vts_word vts__pc_forks;

static void vts__pc_count_fork(void)
{
    vts__store_rlx(&vts__pc_forks, vts__load_rlx(&vts__pc_forks) + 1);
}

static void vts__pc_watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, vts__pc_count_fork);
}

static bool vts__pc_is_forked(const vts_pcmon *m)
{
    return vts__load_rlx(&vts__pc_forks) != m->forks;
}

static bool vts__pc_is_between(uint64_t value, uint64_t low, uint64_t high)
{
    return value >= low && value <= high;
}

/* Fills in the defaults. */
static void vts__pc_default_desc(vts_pcmon_desc *desc)
{
    if (desc->interval_ns == 0) desc->interval_ns = VTS__PC_S;
    if (desc->freshness_ns == 0) desc->freshness_ns = desc->interval_ns;
    if (desc->slow_read_ns == 0) desc->slow_read_ns = 20 * VTS__PC_MS;
    if (desc->metrics == 0) desc->metrics = VTS_PC_METRICS_DEFAULT;
    if (desc->waiters == 0) desc->waiters = 65536;
}

#ifdef VTS_SINGLE_THREADED
static bool vts__pc_may_start(const vts_pcmon_desc *desc)
{
    return desc->manual_tick; /* there is no other thread */
}
#else
static bool vts__pc_may_start(const vts_pcmon_desc *desc)
{
    (void)desc;
    return true;
}
#endif

/* A desc with its defaults: 0, or -EINVAL. */
static int vts__pc_check_desc(const vts_pcmon_desc *desc)
{
    int topologies = (desc->topology != NULL) + (desc->topology_xml != NULL) +
                     (desc->topology_synthetic != NULL);

    if (!vts__pc_is_between(desc->interval_ns, VTS__PC_MS, VTS__PC_DAY) ||
        desc->freshness_ns > VTS__PC_DAY || desc->slow_read_ns > 3600 * VTS__PC_S) {
        return -EINVAL;
    }
    if (desc->idle_stop_ns != 0 &&
        !vts__pc_is_between(desc->idle_stop_ns, desc->interval_ns, 365 * VTS__PC_DAY)) {
        return -EINVAL;
    }
    if ((desc->metrics & ~VTS_PC_METRICS_ALL) != 0 ||
        desc->waiters > VTS__PC_MAX_WAITERS || topologies > 1) {
        return -EINVAL;
    }
    if (desc->allocator != NULL && desc->allocator->alloc == NULL) return -EINVAL;
    return vts__pc_may_start(desc) ? 0 : -EINVAL;
}

/* The root given, else that of hwloc's test trees, else the system's. */
static int vts__pc_root(char out[VTS__PC_ROOT], const char *given, const char *name)
{
    const char *base = given == NULL ? getenv("HWLOC_FSROOT") : NULL;
    int length;

    if (given != NULL && given[0] == '\0') return -EINVAL;
    if (given != NULL) length = snprintf(out, VTS__PC_ROOT, "%s", given);
    else length = snprintf(out, VTS__PC_ROOT, "%s/%s", base != NULL ? base : "", name);
    return (unsigned)length < VTS__PC_ROOT ? 0 : -ENAMETOOLONG;
}

static int vts__pc_take_names(vts_pcmon *m, const vts_pcmon_desc *desc)
{
    int error = vts__pc_root(m->sysfs, desc->sysfs_root, "sys");

    if (error == 0) error = vts__pc_root(m->procfs, desc->procfs_root, "proc");
    if (error < 0 || desc->cpu_temperature_sensor == NULL) return error;
    if (strlen(desc->cpu_temperature_sensor) >= sizeof m->chosen) return -EINVAL;
    vts__pc_copy_text(m->chosen, sizeof m->chosen, desc->cpu_temperature_sensor);
    return 0;
}

static int vts__pc_take_binding(vts_pcmon *m, const char *text)
{
    if (text == NULL) return 0;
    if (vts__pc_equal(text, "efficient")) {
        m->bind_efficient = true;
        return 0;
    }
    m->binding = hwloc_bitmap_alloc();
    if (m->binding == NULL) return -ENOMEM;
    if (!vts__pc_parse_cpulist(text, strlen(text), m->binding)) return -EINVAL;
    return hwloc_bitmap_iszero(m->binding) ? -EINVAL : 0;
}

static void vts__pc_name_files(vts_pcmon *m)
{
    static const char *const name[VTS__PC_FILES] = {
        "stat",        "meminfo",         "loadavg",
        "pressure/cpu", "pressure/memory", "pressure/io",
        "devices/system/cpu/online"};
    int i;

    for (i = 0; i < VTS__PC_FILES; i++) {
        vts__pc_file_slot *slot = &m->file[i];
        (void)vts__pc_join(slot->path, i == VTS__PC_FILE_ONLINE ? m->sysfs : m->procfs,
                           name[i]);
        slot->file.path = slot->path;
        slot->file.resting = VTS_PC_VALID;
    }
}

/* A description is given to hwloc here, so that a wrong one is found before anything is
   started; the load itself is the sampler's. */
static int vts__pc_take_topology(vts_pcmon *m)
{
    m->owns_topology = m->desc.topology == NULL;
    if (!m->owns_topology) {
        m->topology = m->desc.topology;
        m->annotate = true;
        m->info.generation = 1;
        return 0;
    }
    m->native = m->desc.topology_xml == NULL && m->desc.topology_synthetic == NULL;
    return m->native ? 0 : vts__pc_prepare_topology(m, &m->prepared);
}

/* As many shares as waiters, and one for the pass: each may hold another pass's. */
static int vts__pc_make_pools(vts_pcmon *m)
{
    vts_pool_desc desc = {0};

    desc.allocator = &m->allocator;
    desc.item_size = sizeof(vts__pc_share);
    desc.capacity = m->desc.waiters + 1;
    desc.first = 1;
    desc.cache = -1;
    if (vts_pool_init(&m->shares, &desc) != VTS_OK) return -ENOMEM;
    desc.item_size = sizeof(vts__pc_waiter);
    desc.source = true;
    desc.capacity = m->desc.waiters;
    desc.first = 0;
    desc.cache = 0;
    desc.run_continuations_asynchronously = m->desc.scheduler;
    if (vts_pool_init(&m->pool, &desc) == VTS_OK) return 0;
    (void)vts_pool_destroy(&m->shares);
    return -ENOMEM;
}

/* VTS_E_BUSY while results are to be taken; a share is out only as long as a source. */
static int vts__pc_free_pools(vts_pcmon *m)
{
    int error = vts_pool_destroy(&m->pool);
    return error == VTS_OK ? vts_pool_destroy(&m->shares) : error;
}

static int vts__pc_start(vts_pcmon *m)
{
    int error;

    if (m->desc.manual_tick) return 0;
    error = vts__pc_park_open(&m->park, &m->io);
    if (error < 0) return error;
    error = m->io.thread_start(m->io.user, vts__pc_run, m, &m->thread);
    if (error > 0) error = -error; /* as pthread_create says it */
    if (error < 0) vts__pc_park_close(&m->park, &m->io);
    return error;
}

static void vts__pc_free_sensors(vts_pcmon *m)
{
    uint32_t i;

    for (i = 0; i < m->sensor_count; i++) {
        vts__pc_close_sensor(m, &m->sensor[i]);
        vts__pc_free(&m->allocator, m->sensor[i].memory, m->sensor[i].memory_size);
    }
    for (i = 0; i < VTS__PC_FILES; i++) vts__pc_file_close(m, &m->file[i].file);
    vts__pc_free(&m->allocator, m->sensor, m->sensor_capacity * sizeof *m->sensor);
    vts__pc_free(&m->allocator, m->cpu, m->cpu_capacity * sizeof *m->cpu);
    vts__pc_free(&m->allocator, m->readings, m->reading_capacity * sizeof *m->readings);
    vts__pc_free(&m->allocator, m->buffer, m->buffer_size);
}

static void vts__pc_free_topologies(vts_pcmon *m)
{
    uint32_t i;

    for (i = 0; i < m->retired_count; i++) hwloc_topology_destroy(m->retired[i]);
    vts__pc_free(&m->allocator, m->retired, m->retired_capacity * sizeof *m->retired);
    if (m->prepared != NULL) hwloc_topology_destroy(m->prepared);
    if (m->owns_topology && m->topology != NULL) hwloc_topology_destroy(m->topology);
    if (m->binding != NULL) hwloc_bitmap_free(m->binding);
}

/* Everything but the pool. */
static void vts__pc_free_monitor(vts_pcmon *m)
{
    vts_allocator allocator = m->allocator;

    vts__pc_free_sensors(m);
    vts__pc_free_topologies(m);
    pthread_mutex_destroy(&m->lock);
    vts__pc_free(&allocator, m, sizeof *m);
}

/* The parts of create that can fail, in order; destroying what was made is the
   caller's. *pooled: the pool was made. */
static int vts__pc_build(vts_pcmon *m, bool *pooled)
{
    int error = vts__pc_take_names(m, &m->desc);

    if (error == 0) error = vts__pc_take_binding(m, m->desc.sampler_cpuset);
    if (error == 0) error = vts__pc_take_topology(m);
    if (error < 0) return error;
    vts__pc_name_files(m);
    m->buffer = (char *)vts__pc_alloc(&m->allocator, VTS__PC_FIRST_BUFFER);
    if (m->buffer == NULL) return -ENOMEM;
    m->buffer_size = VTS__PC_FIRST_BUFFER;
    error = vts__pc_make_pools(m);
    if (error < 0) return error;
    *pooled = true;
    return vts__pc_start(m);
}

static vts_pcmon *vts__pc_new(const vts_pcmon_desc *desc)
{
    const vts_allocator *allocator =
        desc->allocator != NULL ? desc->allocator : vts_allocator_default();
    vts_pcmon *m = (vts_pcmon *)vts__pc_alloc(allocator, sizeof *m);
    int i;

    if (m == NULL) return NULL;
    memset(m, 0, sizeof *m);
    for (i = 0; i < VTS__PC_FILES; i++) m->file[i].file.fd = -1;
    if (pthread_mutex_init(&m->lock, NULL) != 0) {
        vts__pc_free(allocator, m, sizeof *m);
        return NULL;
    }
    m->allocator = *allocator;
    m->desc = *desc;
    m->io = vts__pc_io_of(desc->io);
    m->freshness_ns = (int64_t)desc->freshness_ns;
    m->fresh_clock = desc->freshness_ns < VTS__PC_PRECISE_BELOW ? VTS_PC_CLOCK_MONOTONIC
                                                               : VTS_PC_CLOCK_COARSE;
    m->coarse = m->fresh_clock == VTS_PC_CLOCK_COARSE && m->io.now_ns == vts__pc_os_now;
    m->marks_readers = desc->idle_stop_ns > 0;
    m->forks = vts__load_rlx(&vts__pc_forks);
    return m;
}

/* 0: everything of the monitor is usable here. */
static int vts__pc_check(const vts_pcmon *m)
{
    if (m == NULL) return -EINVAL;
    return vts__pc_is_forked(m) ? -ECHILD : 0;
}

static void vts__pc_stop(vts_pcmon *m)
{
    if (vts__xchg_acq_rel(&m->stop, 1) != 0 || m->desc.manual_tick) return;
    if (!vts__pc_is_forked(m)) {
        vts__pc_park_wake(&m->park);
        m->io.thread_join(m->io.user, m->thread);
    }
    vts__pc_park_close(&m->park, &m->io);
}

/* In a child: what a pass of the parent was changing at the fork cannot be freed, and
   sources whose results only the parent will take are left where they are. */
static int vts__pc_destroy_forked(vts_pcmon *m, int pool_error)
{
    if (vts__load_acq(&m->passing) != 0) return VTS_OK;
    if (pool_error != VTS_OK) return VTS_OK;
    vts__pc_free_monitor(m);
    return VTS_OK;
}

/* Not fresh at the first look. retry: a pass was publishing just then. */
static VTS__NOINLINE vts_pc_statistics_valuetask vts__pc_miss(vts_pcmon *m, bool retry)
{
    vts_pc_statistics_valuetask task;
    vts__pc_waiter *waiter;
    vts_token token;

    task.source = NULL;
    if (retry && vts__pc_retry_fresh(m, &task.as.value)) return task;
    if (vts__pc_is_forked(m)) return vts_pc_statistics_from_error(-ECHILD);
    if (vts__pc_is_stopped(m)) return vts_pc_statistics_from_canceled(VTS_E_CANCELED);
    waiter = (vts__pc_waiter *)(void *)vts_pool_rent_at(&m->pool, &token, "vts_pcmon");
    if (waiter == NULL) return vts_pc_statistics_from_error(VTS_E_EXHAUSTED);
    if (waiter->front.ops == NULL) waiter->front.ops = &vts__pc_waiter_ops;
    task.source = &waiter->front;
    task.as.token = token;
    /* Still linked from an operation that was canceled: the pass finds the new token. */
    if (vts__xchg_acq_rel(&waiter->armed, token) != 0) return task; /* [M5] */
    if (vts__pc_push(m, waiter)) vts__pc_wake(m);
    return task;
}

// ----------------------------------------------------------------------------------
// >>public
// ----------------------------------------------------------------------------------

VTS_API int vts_pcmon_create(vts_pcmon **monitor, const vts_pcmon_desc *desc)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    vts_pcmon_desc full = {0};
    bool pooled = false;
    vts_pcmon *m;
    int error;

    if (monitor == NULL) return -EINVAL;
    *monitor = NULL;
    if (desc != NULL) full = *desc;
    vts__pc_default_desc(&full);
    error = vts__pc_check_desc(&full);
    if (error < 0) return error;
    (void)pthread_once(&once, vts__pc_watch_forks);
    m = vts__pc_new(&full);
    if (m == NULL) return -ENOMEM;
    error = vts__pc_build(m, &pooled);
    if (error == 0) {
        *monitor = m;
        return VTS_OK;
    }
    if (pooled) (void)vts__pc_free_pools(m);
    vts__pc_free_monitor(m);
    return error;
}

VTS_API int vts_pcmon_destroy(vts_pcmon *monitor)
{
    int error;

    if (monitor == NULL) return VTS_OK;
    vts__pc_stop(monitor);
    if (!vts__pc_is_forked(monitor)) (void)vts__pc_complete_waiters(monitor, NULL);
    error = vts__pc_free_pools(monitor);
    if (vts__pc_is_forked(monitor)) return vts__pc_destroy_forked(monitor, error);
    if (error != VTS_OK) return VTS_E_BUSY;
    vts__pc_free_monitor(monitor);
    return VTS_OK;
}

VTS_API vts_pc_statistics_valuetask vts_pcmon_get_statistics_async(vts_pcmon *monitor)
{
    vts_pc_statistics_valuetask task;
    bool retry;

    if (monitor == NULL) return vts_pc_statistics_from_error(-EINVAL);
    task.source = NULL;
    if (vts__likely(vts__pc_try_fresh(monitor, &task.as.value, &retry))) {
        vts__pc_mark_reader(monitor);
    } else {
        task = vts__pc_miss(monitor, retry);
    }
    return task;
}

VTS_API int vts_pcmon_cancel(vts_pcmon *monitor, vts_pc_statistics_valuetask task)
{
    int error = vts__pc_check(monitor);
    vts_source *core;

    if (error < 0) return error;
    if (task.source == NULL) return VTS_E_ALREADY_COMPLETED;
    if (task.source->ops != &vts__pc_waiter_ops) return VTS_E_FOREIGN;
    core = &vts__pc_waiter_of(task.source)->core;
    if (core->base.ops != &monitor->pool.ops) return VTS_E_FOREIGN;
    return vts_source_set_canceled(core, task.as.token, VTS_E_CANCELED);
}

VTS_API int vts_pcmon_try_get(vts_pcmon *monitor, vts_pc_statistics *statistics)
{
    bool retry;

    if (monitor == NULL || statistics == NULL) return -EINVAL;
    if (vts__likely(vts__pc_try_fresh(monitor, statistics, &retry))) {
        vts__pc_mark_reader(monitor);
        return VTS_OK;
    }
    return retry && vts__pc_retry_fresh(monitor, statistics) ? VTS_OK : -EAGAIN;
}

VTS_API int vts_pcmon_get_latest(vts_pcmon *monitor, vts_pc_statistics *statistics)
{
    int error = vts__pc_check(monitor);

    if (statistics == NULL) return -EINVAL;
    if (error < 0) return error;
    pthread_mutex_lock(&monitor->lock);
    if (monitor->latest.sequence == 0) error = -EAGAIN;
    else *statistics = monitor->latest;
    pthread_mutex_unlock(&monitor->lock);
    return error;
}

VTS_API int vts_pcmon_tick(vts_pcmon *monitor, uint64_t *next_ns)
{
    uint64_t next;
    int error = vts__pc_check(monitor);
    bool passed;

    if (error < 0) return error;
    if (!monitor->desc.manual_tick || vts__pc_is_stopped(monitor)) return -EINVAL;
    if (vts__xchg_acq_rel(&monitor->ticking, 1) != 0) return -EBUSY;
    passed = vts__pc_step(monitor, &next);
    vts__store_rel(&monitor->ticking, 0);
    if (next_ns != NULL) *next_ns = next;
    return passed ? 1 : 0;
}

static int vts__pc_request(vts_pcmon *m, vts_word *flag)
{
    int error = vts__pc_check(m);

    if (error < 0) return error;
    vts__store_rel(flag, 1);
    vts__pc_wake(m);
    return VTS_OK;
}

VTS_API int vts_pcmon_refresh(vts_pcmon *monitor)
{
    return monitor != NULL ? vts__pc_request(monitor, &monitor->refresh) : -EINVAL;
}

VTS_API int vts_pcmon_rediscover(vts_pcmon *monitor)
{
    return monitor != NULL ? vts__pc_request(monitor, &monitor->rediscover) : -EINVAL;
}

static void vts__pc_describe(const vts__pc_sensor *s, vts_pc_sensor_info *info)
{
    memset(info, 0, sizeof *info);
    vts__pc_copy_text(info->chip, sizeof info->chip, s->text.chip);
    vts__pc_copy_text(info->device, sizeof info->device, vts__pc_last_part(s->text.home));
    vts__pc_copy_text(info->attribute, sizeof info->attribute, s->text.attribute);
    vts__pc_copy_text(info->label, sizeof info->label, s->text.label);
    vts__pc_copy_text(info->path, sizeof info->path, s->text.path);
    info->object = s->object;
    info->mapping = s->mapping;
    info->object_index = s->object_index;
    info->package = s->package;
    info->own_index = s->own_index;
    info->object_type = (uint8_t)s->object_type;
    info->kind = (uint8_t)s->kind;
    info->source = (uint8_t)s->source;
    info->subordinate = s->subordinate;
    info->critical = s->critical;
    info->maximum = s->maximum;
}

VTS_API int vts_pcmon_get_sensor(vts_pcmon *monitor, uint32_t sensor,
                                 vts_pc_sensor_info *info)
{
    int error = vts__pc_check(monitor);

    if (info == NULL) return -EINVAL;
    if (error < 0) return error;
    pthread_mutex_lock(&monitor->lock);
    if (sensor < monitor->reading_count) vts__pc_describe(&monitor->sensor[sensor], info);
    else error = -ENOENT;
    pthread_mutex_unlock(&monitor->lock);
    return error;
}

VTS_API int vts_pcmon_read_sensors(vts_pcmon *monitor, vts_pc_reading *readings,
                                   size_t capacity, uint64_t *sequence)
{
    int error = vts__pc_check(monitor);
    size_t count;

    if (error < 0) return error;
    if (readings == NULL && capacity > 0) return -EINVAL;
    pthread_mutex_lock(&monitor->lock);
    count = monitor->reading_count;
    if (count < capacity) capacity = count;
    if (capacity > 0) memcpy(readings, monitor->readings, capacity * sizeof *readings);
    if (sequence != NULL) *sequence = monitor->latest.sequence;
    pthread_mutex_unlock(&monitor->lock);
    return (int)count;
}

static vts_pc_reading vts__pc_no_reading(vts_pc_kind kind)
{
    vts_pc_reading reading = {0, VTS_PC_NO_INDEX, VTS_PC_UNSUPPORTED, 0, 0};
    reading.value = VTS__PC_NAN;
    reading.kind = (uint8_t)kind;
    return reading;
}

/* Whether sensor is to be preferred to the reading there is: one with a value first,
   then by the order of the sources. */
static bool vts__pc_is_better(const vts_pcmon *m, uint32_t sensor,
                              const vts_pc_reading *than)
{
    bool valid = m->readings[sensor].state == VTS_PC_VALID;
    bool than_valid = than->state == VTS_PC_VALID;

    if (than->sensor == VTS_PC_NO_INDEX) return true;
    if (valid != than_valid) return valid;
    return m->sensor[sensor].source < m->sensor[than->sensor].source;
}

static void vts__pc_collect(const vts_pcmon *m, vts_pc_object_type type, vts_pc_kind kind,
                            vts_pc_reading *readings, size_t capacity)
{
    uint32_t i;

    for (i = 0; i < m->reading_count; i++) {
        const vts__pc_sensor *s = &m->sensor[i];
        if (s->kind != kind || s->object_type != type || s->subordinate) continue;
        if (s->object_index >= capacity) continue;
        if (vts__pc_is_better(m, i, &readings[s->object_index])) {
            readings[s->object_index] = m->readings[i];
        }
    }
}

/* Adds a die's reading to its package's: the highest temperature of those that answered,
   the sum of the rest if all did. */
static void vts__pc_roll_up(vts_pc_reading *package, const vts_pc_reading *die)
{
    bool valid = die->state == VTS_PC_VALID;

    if (package->sensor == VTS_PC_NO_INDEX) {
        *package = *die;
    } else if (die->kind == VTS_PC_KIND_TEMPERATURE) {
        if (valid && !(package->value >= die->value)) *package = *die;
    } else if (package->state == VTS_PC_VALID) {
        if (valid) package->value += die->value;
        else *package = *die;
    }
}

static void vts__pc_collect_dies(const vts_pcmon *m, vts_pc_kind kind,
                                 vts_pc_reading *readings, size_t capacity)
{
    vts_pc_reading none = vts__pc_no_reading(kind), whole;
    size_t package;
    uint32_t i;

    for (package = 0; package < capacity; package++) {
        if (readings[package].sensor != VTS_PC_NO_INDEX) continue;
        whole = none;
        for (i = 0; i < m->reading_count; i++) {
            const vts__pc_sensor *s = &m->sensor[i];
            if (s->kind != kind || s->object_type != VTS_PC_OBJECT_DIE) continue;
            if (s->package != package || s->subordinate) continue;
            vts__pc_roll_up(&whole, &m->readings[i]);
        }
        readings[package] = whole;
    }
}

VTS_API int vts_pcmon_read_objects(vts_pcmon *monitor, vts_pc_object_type type,
                                   vts_pc_kind kind, vts_pc_reading *readings,
                                   size_t capacity, uint64_t *sequence)
{
    int error = vts__pc_check(monitor);
    size_t i, count;

    if (error < 0) return error;
    if (readings == NULL && capacity > 0) return -EINVAL;
    if (type < VTS_PC_OBJECT_MACHINE || type > VTS_PC_OBJECT_NUMA_NODE) return -EINVAL;
    if ((unsigned)kind >= VTS_PC_KIND_COUNT) return -EINVAL;
    pthread_mutex_lock(&monitor->lock);
    count = vts__pc_count(monitor->published_topology, type);
    if (count < capacity) capacity = count;
    for (i = 0; i < capacity; i++) readings[i] = vts__pc_no_reading(kind);
    vts__pc_collect(monitor, type, kind, readings, capacity);
    if (type == VTS_PC_OBJECT_PACKAGE) {
        vts__pc_collect_dies(monitor, kind, readings, capacity);
    }
    if (sequence != NULL) *sequence = monitor->latest.sequence;
    pthread_mutex_unlock(&monitor->lock);
    return (int)count;
}

/* os_index of the PU the caller runs on, by hwloc. */
static int vts__pc_ask_hwloc_where(hwloc_topology_t topology)
{
    hwloc_bitmap_t set;
    int pu;

    if (topology == NULL || !hwloc_topology_is_thissystem(topology)) return -ENOTSUP;
    set = hwloc_bitmap_alloc();
    if (set == NULL) return -ENOMEM;
    errno = 0;
    if (hwloc_get_last_cpu_location(topology, set, HWLOC_CPUBIND_THREAD) < 0) {
        pu = errno != 0 ? -errno : -ENOTSUP;
    } else {
        pu = hwloc_bitmap_first(set);
        if (pu < 0) pu = -ENOENT;
    }
    hwloc_bitmap_free(set);
    return pu;
}

/* The best reading of a kind on one object. */
static vts_pc_reading vts__pc_reading_of(const vts_pcmon *m, hwloc_obj_t object,
                                         vts_pc_kind kind)
{
    vts_pc_reading best = vts__pc_no_reading(kind);
    uint32_t i;

    for (i = 0; i < m->reading_count; i++) {
        const vts__pc_sensor *s = &m->sensor[i];
        if (s->object != object || s->kind != kind || s->subordinate) continue;
        if (vts__pc_is_better(m, i, &best)) best = m->readings[i];
    }
    return best;
}

/* From the core outwards: the first object with a temperature. */
static vts_pc_reading vts__pc_temperature_near(const vts_pcmon *m, hwloc_obj_t object)
{
    vts_pc_reading best = vts__pc_no_reading(VTS_PC_KIND_TEMPERATURE), here;

    for (; object != NULL; object = object->parent) {
        here = vts__pc_reading_of(m, object, VTS_PC_KIND_TEMPERATURE);
        if (best.sensor == VTS_PC_NO_INDEX) best = here;
        if (here.state == VTS_PC_VALID) return here;
    }
    return best;
}

VTS_API int vts_pcmon_here(vts_pcmon *monitor, vts_pc_reading *temperature,
                           vts_pc_reading *frequency)
{
    int pu, error = vts__pc_check(monitor);
    hwloc_topology_t topology;
    hwloc_obj_t object = NULL;

    if (error < 0) return error;
    pthread_mutex_lock(&monitor->lock);
    topology = monitor->published_topology;
    pthread_mutex_unlock(&monitor->lock);
    if (monitor->io.current_cpu != NULL) pu = monitor->io.current_cpu(monitor->io.user);
    else pu = vts__pc_ask_hwloc_where(topology);
    pthread_mutex_lock(&monitor->lock);
    if (monitor->latest.sequence == 0) pu = -EAGAIN;
    topology = monitor->published_topology;
    if (pu >= 0 && topology != NULL) {
        object = hwloc_get_pu_obj_by_os_index(topology, (unsigned)pu);
    }
    if (pu >= 0 && object == NULL) pu = -ENOENT;
    if (pu >= 0 && temperature != NULL) {
        *temperature = vts__pc_temperature_near(monitor, object);
    }
    if (pu >= 0 && frequency != NULL) {
        *frequency = vts__pc_reading_of(monitor, object, VTS_PC_KIND_FREQUENCY);
    }
    pthread_mutex_unlock(&monitor->lock);
    return pu;
}

VTS_API struct hwloc_topology *vts_pcmon_topology(vts_pcmon *monitor)
{
    hwloc_topology_t topology;

    if (vts__pc_check(monitor) < 0) return NULL;
    pthread_mutex_lock(&monitor->lock);
    topology = monitor->published_topology;
    pthread_mutex_unlock(&monitor->lock);
    return topology;
}

VTS_API int vts_pcmon_get_info(vts_pcmon *monitor, vts_pcmon_info *info)
{
    int error = vts__pc_check(monitor);

    if (info == NULL) return -EINVAL;
    if (error < 0) return error;
    pthread_mutex_lock(&monitor->lock);
    *info = monitor->info;
    pthread_mutex_unlock(&monitor->lock);
    return VTS_OK;
}

static const char *vts__pc_name(const char *const *names, int count, int which)
{
    return which >= 0 && which < count ? names[which] : "?";
}

VTS_API const char *vts_pc_state_name(int state)
{
    static const char *const names[VTS_PC_STATE_COUNT] = {
        "not_yet",     "valid",  "unsupported", "denied", "no_data", "malformed",
        "implausible", "asleep", "gone",        "slow",   "disabled"};
    return vts__pc_name(names, VTS_PC_STATE_COUNT, state);
}

VTS_API const char *vts_pc_metric_name(int metric)
{
    static const char *const names[VTS_PC_METRIC_COUNT] = {
        "cpu_temperature",   "cpu_temperature_critical", "cpu_utilization",
        "cpu_frequency",     "cpu_frequency_max",        "cpu_power",
        "cpu_energy",        "cpu_throttle_count",       "memory_total",
        "memory_free",       "memory_available",         "swap_total",
        "swap_free",         "load_average",             "pressure",
        "gpu_temperature",   "storage_temperature"};
    return vts__pc_name(names, VTS_PC_METRIC_COUNT, metric);
}

VTS_API const char *vts_pc_source_name(int source)
{
    static const char *const names[VTS_PC_SOURCE_COUNT] = {
        "none",        "user",        "coretemp",     "coretemp_core", "k10temp",
        "k10temp_ctl", "k10temp_ccd", "soc_hwmon",    "x86_pkg_temp",  "soc_zone",
        "board",       "acpi",        "gpu",          "storage",       "other"};
    return vts__pc_name(names, VTS_PC_SOURCE_COUNT, source);
}

VTS_API const char *vts_pc_kind_name(int kind)
{
    static const char *const names[VTS_PC_KIND_COUNT] = {
        "temperature", "energy",    "power",     "frequency",    "throttle_count",
        "utilization", "busy_time", "idle_time", "memory_total", "memory_free",
        "memory_used"};
    return vts__pc_name(names, VTS_PC_KIND_COUNT, kind);
}

VTS_API const char *vts_pc_object_type_name(int type)
{
    static const char *const names[VTS_PC_OBJECT_TYPE_COUNT] = {
        "none", "machine", "package", "die", "l3", "core", "pu", "numa_node", "device"};
    return vts__pc_name(names, VTS_PC_OBJECT_TYPE_COUNT, type);
}

#endif
#endif /* VTS_IMPLEMENTATION */
