# report.awk: joins what the programs and the counting steps print (bench.h,
# instructions.sh, syscalls.sh, run.sh) into results.json, and prints the tables.
#     awk -v json=build/bench/results.json -f bench/report.awk build/bench/parts.tsv

BEGIN { FS = "\t" }

$1 == "header" { header[++headers] = $2; text[$2] = $3 }
$1 == "peer" { peer[++peers] = $2 }
$1 == "row" { row[++rows] = $2 FS $3; ns[rows] = $4; to[rows] = $5; ratio[rows] = $6
              allocations[rows] = $7; vts[rows] = $8 == "vts"
              if ($9 != "") bytes[rows] = $9 }
$1 == "bar" { add_bar($2, $3, $4, $5 == ">=") }
$1 == "count" { instructions[$2 FS $3] = $4; locked[$2 FS $3] = $5 }
$1 == "calls" { syscalls[$2 FS $3] = $4; calls_total[$2 FS $3] = $5 }
$1 == "dotnet" { add_dotnet($2, $3, $4, $5, $6) }
$1 == "pair" { add_pair($2 FS $3, $4, $5) }
$1 == "turn" { add_turn($2 FS $3 FS $4 FS $5, $6, $7) }
$1 == "held" { held[++helds] = $2; held_bytes[helds] = $3 }
$1 == "served" { add_served($2 FS $3, $2, $3, $4, $5, $6, $7, $8) }
$1 == "serves" { serves[$2, $3, ++serves_count[$2, $3]] = $4 }
$1 == "absent" { absent[++absents] = $2 ": " $3 }
$1 == "place" { place_ns[$2, ++place_count[$2]] = $3 }

END {
    if (!("only" in text)) bars_of_all()
    server_bars()
    print_tables()
    print_dotnet()
    print_turns()
    if (!("only" in text)) print_memory()
    print_servers()
    print_notes()
    print_bars()
    write_json()
}

function bars_of_all() {
    placement_bar()
    instruction_bars()
    allocation_bar()
    key = "monitor, fresh read" FS "value task"
    add_bar("pcmon_fresh_syscalls", key in calls_total ? calls_total[key] : "null", 0)
    dotnet_rows()
    dotnet_bars()
    turn_rows()
    held_rows()
    memory_bars()
    missing_bars("sync_value 1.3 cycle_pooled 0.70 cycle_limit 1.25 cycle_single 1.6 " \
        "pool_one 0.30 pool_two 0.03 pool_malloc 0.25 pool_cross 0.6 cross_64 0.80 " \
        "pcmon_fresh 1.6 pcmon_scale 1.9 pcmon_pass 0.6 pcmon_waiters 1.5 " \
        "dotnet_cycle 0.30 dotnet_sync 0.6 dotnet_bytes 0 " \
        "await_value 1.5 await_done 1.5 await_suspended 1.5 await_loop 1.5 post_one 1 " \
        "post_64 1 threadpool 2 threadpool_own 2 timers_heap 1 timers_uv 1 " \
        "memory_at_once 0 memory_pending 0 memory_shared 1")
}

# ---- bars ----

function add_bar(id, value, limit, at_least) {
    bar[++bars] = id; bar_ratio[bars] = value; bound[bars] = limit
    if (value == "null") met[bars] = "null"
    else if (at_least) met[bars] = value + 0 >= limit + 0 ? "true" : "false"
    else met[bars] = value + 0 <= limit + 0 ? "true" : "false"
    sign[bars] = at_least ? ">=" : "<="
}

# Bars of programs that could not run here are listed all the same.
function missing_bars(list,    field, count, i, k) {
    count = split(list, field, " ")
    for (i = 1; i < count; i += 2) {
        for (k = 1; k <= bars && bar[k] != field[i]; k++) {}
        if (k > bars) add_bar(field[i], "null", field[i + 1], field[i] == "pcmon_scale")
    }
}

function median(values, count,    i, k, swap) {
    for (i = 2; i <= count; i++)
        for (k = i; k > 1 && values[k] + 0 < values[k - 1] + 0; k--) {
            swap = values[k]; values[k] = values[k - 1]; values[k - 1] = swap
        }
    return values[int(count / 2) + 1]
}

# The slowest placement against the middle of all; each is the median of its rounds.
function placement_bar(    p, i, one, all, count, slowest) {
    for (p in place_count) {
        for (i = 1; i <= place_count[p]; i++) one[i] = place_ns[p, i]
        all[++count] = median(one, place_count[p])
        if (all[count] + 0 > slowest + 0) slowest = all[count]
    }
    places = count
    if (count > 1) {
        placement_median = median(all, count); placement_slowest = slowest
        add_bar("cycle_placement", slowest / placement_median, 1.6)
    } else add_bar("cycle_placement", "null", 1.6)
}

# One id, two numbers: it is met if both are.
function instruction_bars(    pooled, cached) {
    pooled = count_of("completion cycle" FS "pooled source")
    cached = count_of("completion cycle" FS "cached source")
    add_bar("cycle_instructions", pooled, 100)
    add_bar("cycle_instructions_cached", cached, 70)
    if (met[bars] == "false") met[bars - 1] = "false"
}

function count_of(key) { return key in instructions ? instructions[key] : "null" }

function allocation_bar(    i, total, counted) {
    for (i = 1; i <= rows; i++) {
        if (!vts[i] || allocations[i] == "null") continue
        counted++
        total += allocations[i]
    }
    add_bar("allocations", counted ? total + 0 : "null", 0)
}

# ---- .NET: several processes, each with several rounds ----

function add_dotnet(name, value, allocated, base, base_ratio) {
    if (!(name in dotnet_runs)) dotnet[++dotnets] = name
    dotnet_ns[name, ++dotnet_runs[name]] = value
    dotnet_ratio[name, dotnet_runs[name]] = base_ratio
    dotnet_bytes[name] = allocated; dotnet_to[name] = base
}

function add_pair(key, vts_value, dotnet_value) {
    if (!(key in pair_rounds)) pair[++pairs] = key
    pair_vts[key, ++pair_rounds[key]] = vts_value
    pair_dotnet[key, pair_rounds[key]] = dotnet_value
    pair_ratio[key, pair_rounds[key]] = vts_value / dotnet_value
}

function median_of(values, key, count,    i, one) {
    for (i = 1; i <= count; i++) one[i] = values[key, i]
    return median(one, count)
}

function dotnet_rows(    i, name) {
    for (i = 1; i <= dotnets; i++) {
        name = dotnet[i]
        row[++rows] = ".NET" FS name
        ns[rows] = median_of(dotnet_ns, name, dotnet_runs[name])
        to[rows] = dotnet_to[name]; ratio[rows] = allocations[rows] = "null"
        if (to[rows] != "null") ratio[rows] = median_of(dotnet_ratio, name, dotnet_runs[name])
        bytes[rows] = dotnet_bytes[name]
    }
}

function dotnet_bars() {
    if (pairs == 0) return
    pair_bar("dotnet_cycle", "pooled source" FS "pooled source, awaited", 0.30)
    pair_bar("dotnet_sync", "value task" FS "value task at once", 0.6)
    add_bar("dotnet_bytes", allocations_of("completion cycle" FS "pooled source"), 0)
}

function pair_bar(id, key, limit) {
    add_bar(id, key in pair_rounds ? median_of(pair_ratio, key, pair_rounds[key]) : "null",
        limit)
}

# What vts does not allocate has no bytes.
function allocations_of(key,    i) {
    for (i = 1; i <= rows && row[i] != key; i++) {}
    return i <= rows ? allocations[i] : "null"
}

# ---- other peers that are programs of their own, several rounds in turn with vts ----

function add_turn(key, vts_value, peer_value) {
    if (!(key in turn_rounds)) turn[++turns] = key
    turn_vts[key, ++turn_rounds[key]] = vts_value
    turn_peer[key, turn_rounds[key]] = peer_value
    turn_ratio[key, turn_rounds[key]] = peer_value / vts_value
}

function turn_rows(    i, key, field) {
    for (i = 1; i <= turns; i++) {
        key = turn[i]
        split(key, field, FS)
        row[++rows] = field[1] FS field[4]
        ns[rows] = median_of(turn_peer, key, turn_rounds[key])
        to[rows] = "vts, " field[2] ", " field[3]
        ratio[rows] = median_of(turn_ratio, key, turn_rounds[key])
        allocations[rows] = "null"
    }
}

# ---- memory ----

function held_rows(    i) {
    for (i = 1; i <= helds; i++) {
        row[++rows] = "memory, held while pending" FS held[i]
        ns[rows] = ratio[rows] = allocations[rows] = to[rows] = "null"
        bytes[rows] = held_bytes[i]
    }
}

function memory_bars(    shared, task) {
    add_bar("memory_at_once", bytes_of("memory, result at once" FS "value task"), 0)
    add_bar("memory_pending", bytes_of("memory, pending" FS "value task, pooled"), 0)
    shared = bytes_of("memory, shared by 3" FS "value task made a task")
    task = bytes_of("memory, shared by 3" FS "task")
    add_bar("memory_shared", task != "null" && task > 0 ? shared / task : "null", 1)
}

function bytes_of(key,    i) {
    for (i = 1; i <= rows && row[i] != key; i++) {}
    return i in bytes ? bytes[i] : "null"
}

# ---- servers: measured in rounds, and counted (b_socket_load.c) ----

function add_served(key, name, connections, rate, cpu, p50, p99, busy,    i) {
    if (!(key in served_rounds)) served[++serveds] = key
    i = ++served_rounds[key]
    served_value[key, "rate", i] = rate; served_value[key, "cpu", i] = cpu
    served_value[key, "p50", i] = p50; served_value[key, "p99", i] = p99
    served_value[key, "busy", i] = busy
}

function served_median(key, what,    i, one) {
    for (i = 1; i <= served_rounds[key]; i++) one[i] = served_value[key, what, i]
    return median(one, served_rounds[key])
}

# Of the ratios of the rounds: the median, and quartiles[1] and [3] around it.
function served_ratio(name, to, connections, what, quartiles,    a, b, i, count, one) {
    a = name FS connections; b = to FS connections
    if (!(a in served_rounds) || !(b in served_rounds)) return "null"
    count = served_rounds[a]
    for (i = 1; i <= count; i++)
        one[i] = served_value[a, what, i] / served_value[b, what, i]
    median(one, count)
    quartiles[1] = one[int((count + 3) / 4)]
    quartiles[3] = one[count + 1 - int((count + 3) / 4)]
    return one[int(count / 2) + 1]
}

function count_of_server(name, what,    i, one) {
    if (!((name, what) in serves_count)) return "null"
    for (i = 1; i <= serves_count[name, what]; i++) one[i] = serves[name, what, i]
    return median(one, serves_count[name, what])
}

# The least of the ratios to the libraries, each that of the rounds.
function least_ratio(connections,    i, field, one, least) {
    least = "null"
    for (i = 1; i <= serveds; i++) {
        split(served[i], field, FS)
        if (field[2] != connections || field[1] ~ /^(vts|raw epoll)/) continue
        one = served_ratio("vts", field[1], connections, "rate")
        if (one != "null" && (least == "null" || one < least)) least = one
    }
    return least
}

# Against the loop by hand, and against the best library.
function rate_bars(id, connections) {
    add_bar(id, served_ratio("vts", "raw epoll", connections, "rate"), 0.98, 1)
    add_bar(id "_libraries", least_ratio(connections), 0.98, 1)
}

function server_bars() {
    if (("only" in text) && serveds == 0) return
    rate_bars("echo_64", 64)
    rate_bars("echo_1000", 1000)
    add_bar("echo_uring_64", served_ratio("vts, io_uring", "raw epoll", 64, "rate"), 1.03, 1)
    add_bar("echo_uring_10000", served_ratio("vts, io_uring", "raw epoll", 10000, "rate"),
        1.10, 1)
    add_bar("echo_cpu", served_ratio("vts", "raw epoll", 64, "cpu"), 1.02)
    add_bar("echo_syscalls", count_of_server("vts", "syscalls"), 2.06)
    add_bar("echo_instructions", count_of_server("vts", "instructions"), 200)
    add_bar("echo_allocations", count_of_server("vts", "allocations"), 0)
    add_bar("idle_bytes", count_of_server("vts", "idle_bytes"), 256)
    add_bar("idle_10000", count_of_server("vts", "idle_served"), 10000, 1)
    add_bar("echo_await", served_ratio("vts, await", "vts", 64, "cpu"), 1.03)
}

function print_servers(    i, field, connections) {
    if (serveds == 0 && absents == 0) return
    for (i = 1; i <= serveds; i++) {
        split(served[i], field, FS)
        if (field[2] != connections) {
            connections = field[2]
            printf "\n%-28s %9s %6s %13s %8s %6s %8s %8s %5s\n",
                "echo, " connections " connection" (connections > 1 ? "s" : ""), "req/s", "ratio", "quartiles", "CPU ns",
                "ratio", "p50 us", "p99 us", "busy"
        }
        print_served(served[i], field[1], connections)
    }
    print_server_counts()
    for (i = 1; i <= absents; i++) printf "absent: %s\n", absent[i]
}

function print_served(key, name, connections,    ratio, quartiles) {
    ratio = served_ratio(name, "raw epoll", connections, "rate", quartiles)
    printf "  %-26s %9.0f %6s %13s %8.0f %6s %8.1f %8.1f %5.2f\n", name,
        served_median(key, "rate"), short(ratio, 3),
        sprintf("%.3f %.3f", quartiles[1], quartiles[3]), served_median(key, "cpu"),
        short(served_ratio(name, "raw epoll", connections, "cpu"), 3),
        served_median(key, "p50"), served_median(key, "p99"), served_median(key, "busy")
}

function print_server_counts(    i, field) {
    printf "\n%-28s %8s %8s %8s %10s %10s %10s\n", "per request; per idle connection",
        "syscall", "instr", "alloc", "bytes", "resident", "of 10000"
    for (i = 1; i <= serveds; i++) {
        split(served[i], field, FS)
        if (field[2] != 64) continue
        printf "  %-30s %8s %8s %8s %10s %10s %10s\n", field[1],
            short(count_of_server(field[1], "syscalls"), 2),
            short(count_of_server(field[1], "instructions"), 0),
            short(count_of_server(field[1], "allocations"), 2),
            short(count_of_server(field[1], "idle_bytes"), 0),
            short(count_of_server(field[1], "idle_resident"), 0),
            short(count_of_server(field[1], "idle_served"), 0)
    }
}

function write_servers(    i, field, ratio, quartiles, key) {
    printf "  ],\n  \"servers\": [\n" >json
    for (i = 1; i <= serveds; i++) {
        key = served[i]
        split(key, field, FS)
        ratio = served_ratio(field[1], "raw epoll", field[2], "rate", quartiles)
        printf "    {\"name\": %s, \"connections\": %s, \"requests_per_second\": %.6g, " \
            "\"ratio\": %s, \"ratio_quartiles\": [%s, %s], \"cpu_ns\": %.6g, " \
            "\"cpu_ratio\": %s, \"p50_us\": %.6g, \"p99_us\": %.6g, \"busy\": %.3g}%s\n",
            quote(field[1]), field[2], served_median(key, "rate"), ratio,
            or_null(quartiles[1]), or_null(quartiles[3]), served_median(key, "cpu"),
            served_ratio(field[1], "raw epoll", field[2], "cpu"), served_median(key, "p50"),
            served_median(key, "p99"), served_median(key, "busy"),
            (i < serveds ? "," : "") >json
    }
    write_server_counts()
}

function write_server_counts(    i, field, end) {
    printf "  ],\n  \"server_counts\": [" >json
    for (i = 1; i <= serveds; i++) {
        split(served[i], field, FS)
        if (field[2] != 64) continue
        printf "%s\n    {\"name\": %s, \"syscalls\": %s, \"instructions\": %s, " \
            "\"allocations\": %s, \"idle_bytes\": %s, \"idle_resident\": %s, " \
            "\"idle_served\": %s}", end, quote(field[1]),
            count_of_server(field[1], "syscalls"), count_of_server(field[1], "instructions"),
            count_of_server(field[1], "allocations"), count_of_server(field[1], "idle_bytes"),
            count_of_server(field[1], "idle_resident"),
            count_of_server(field[1], "idle_served") >json
        end = ","
    }
    printf "\n  ],\n  \"servers_absent\": [" >json
    for (i = 1; i <= absents; i++)
        printf "%s%s", (i > 1 ? ", " : ""), quote(absent[i]) >json
}

# ---- tables ----

function short(value, digits) {
    return value == "null" || value == "" ? "-" : sprintf("%." digits "f", value)
}

function print_tables(    i, group, field) {
    for (i = 1; i <= rows; i++) {
        split(row[i], field, FS)
        if (field[1] == "memory, held while pending") continue
        if (field[1] != group) {
            group = field[1]
            printf "\n%-40s %10s %7s %6s %7s %7s %6s\n", group, "ns", "ratio", "alloc",
                "syscall", "instr", "locked"
        }
        printf "  %-38s %10s %7s %6s %7s %7s %6s\n", field[2], short(ns[i], 2),
            short(ratio[i], 3), short(allocations[i], 2), short(syscalls[row[i]], 2),
            short(instructions[row[i]], 0), short(locked[row[i]], 0)
    }
    if (places > 1) printf "\n%d placements: median %.2f ns, slowest %.2f ns\n", places,
        placement_median, placement_slowest
}

function print_dotnet(    i, field, key, count) {
    if (pairs == 0) return
    printf "\n%-20s %-32s %8s %8s %7s\n", "vts, in turn with", ".NET", "ns", "ns", "ratio"
    for (i = 1; i <= pairs; i++) {
        key = pair[i]; count = pair_rounds[key]
        split(key, field, FS)
        printf "%-20s %-32s %8.2f %8.2f %7.3f\n", field[1], field[2],
            median_of(pair_vts, key, count), median_of(pair_dotnet, key, count),
            median_of(pair_ratio, key, count)
    }
    printf "bytes allocated per pending operation:\n"
    printf "  %-38s %10s\n", "vts, pooled source",
        short(allocations_of("completion cycle" FS "pooled source"), 0)
    for (i = 1; i <= dotnets; i++)
        if (dotnet[i] ~ /awaited$/)
            printf "  %-38s %10s\n", ".NET, " dotnet[i], short(dotnet_bytes[dotnet[i]], 0)
}

function print_turns(    i, field, key, count) {
    if (turns == 0) return
    printf "\n%-48s %-32s %8s %8s %7s\n", "vts, in turn with", "a program of its own",
        "ns", "ns", "times"
    for (i = 1; i <= turns; i++) {
        key = turn[i]; count = turn_rounds[key]
        split(key, field, FS)
        printf "%-48s %-32s %8.1f %8.1f %7.1f\n", field[2] ", " field[3],
            field[1] ", " field[4], median_of(turn_vts, key, count),
            median_of(turn_peer, key, count), median_of(turn_ratio, key, count)
    }
}

function print_memory(    i, field) {
    printf "\nbytes allocated per operation:\n"
    for (i = 1; i <= rows; i++) {
        split(row[i], field, FS)
        if (field[1] ~ /^memory, / && field[1] != "memory, held while pending" && i in bytes)
            printf "  %-24s %-38s %8s\n", substr(field[1], 9), field[2], short(bytes[i], 0)
    }
    printf "bytes held while an operation is pending:\n"
    for (i = 1; i <= helds; i++)
        printf "  %-63s %8s\n", held[i], short(held_bytes[i], 0)
}

# The bar cycle_limit compares with 4 locked operations: is that what a cycle executes?
function print_notes(    key) {
    key = "completion cycle" FS "pooled source"
    if (locked[key] != "" && locked[key] != 4)
        printf "\nnote: the pooled cycle executes %s locked operations, not 4\n", locked[key]
}

function print_bars(    i, missed, unknown) {
    printf "\n%-28s %10s    %-8s\n", "bar", "ratio", "bound"
    for (i = 1; i <= bars; i++) {
        printf "%-28s %10s %s %-8s %s\n", bar[i], short(bar_ratio[i], 3), sign[i], bound[i],
            met[i] == "true" ? "met" : met[i] == "false" ? "MISSED" : "not measured"
        missed += met[i] == "false"
        unknown += met[i] == "null"
    }
    printf "%d bars: %d missed, %d not measured\n", bars, missed, unknown
}

# ---- json ----

function quote(string) {
    gsub(/\\/, "\\\\", string); gsub(/"/, "\\\"", string)
    return "\"" string "\""
}

function or_null(value) { return value == "" ? "null" : value }

function write_json(    i, field, end) {
    printf "{\n  \"header\": {\n" >json
    for (i = 1; i <= headers; i++)
        printf "    %s: %s,\n", quote(header[i]), quote(text[header[i]]) >json
    printf "    \"peers found\": [" >json
    for (i = 1; i <= peers; i++) printf "%s%s", (i > 1 ? ", " : ""), quote(peer[i]) >json
    printf "]\n  },\n  \"rows\": [\n" >json
    for (i = 1; i <= rows; i++) {
        split(row[i], field, FS)
        end = i < rows ? "," : ""
        printf "    {\"group\": %s, \"name\": %s, \"ns\": %s, \"ratio_to\": %s, " \
            "\"ratio\": %s, \"allocations\": %s, \"syscalls\": %s, \"instructions\": %s%s}%s\n",
            quote(field[1]), quote(field[2]), ns[i],
            (to[i] == "null" ? "null" : quote(to[i])), ratio[i], allocations[i],
            or_null(syscalls[row[i]]), or_null(instructions[row[i]]),
            (i in bytes ? ", \"bytes\": " bytes[i] : ""), end >json
    }
    write_servers()
    printf "],\n  \"bars\": [\n" >json
    for (i = 1; i <= bars; i++)
        printf "    {\"id\": %s, \"ratio\": %s, \"bar\": %s, \"met\": %s}%s\n",
            quote(bar[i]), bar_ratio[i], bound[i], met[i], (i < bars ? "," : "") >json
    printf "  ]\n}\n" >json
    close(json)
    printf "written: %s\n", json
}
