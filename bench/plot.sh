#!/bin/sh
# plot.sh: draws what the servers of build/bench/results.json did, as build/bench/servers.svg.
#     BUILD=build sh bench/plot.sh
set -eu
cd "$(dirname "$0")/.."
out=${BUILD:-build}/bench

command -v gnuplot >/dev/null || {
    echo "gnuplot is missing: make bench-deps (Debian: gnuplot-nox)" >&2
    exit 1
}
[ -f "$out/results.json" ] || {
    echo "$out/results.json is missing: make bench" >&2
    exit 1
}

# The value of a member in a line of results.json.
member='function member(name,    text) {
    text = $0
    if (!sub(".*\"" name "\": *", "", text)) return ""
    if (sub(/^"/, "", text)) sub(/".*/, "", text)
    else sub(/[],}].*/, "", text)
    return text
}'

# A block for each number of connections; a line for each server: its place, name,
# thousands of requests per second, microseconds of CPU, of p50 and of p99.
awk "$member"'
    /"requests_per_second"/ {
        connections = member("connections"); name = member("name")
        if (connections != before && before != "") print "\n"
        if (connections != before) print "\"" connections (connections == 1 ? \
            " connection" : " connections") "\""
        before = connections
        if (!(name in place)) place[name] = places++
        printf "%d \"%s\" %g %g %g %g\n", place[name], name,
            member("requests_per_second") / 1000, member("cpu_ns") / 1000,
            member("p50_us"), member("p99_us")
    }' "$out/results.json" >"$out/servers.dat"
[ -s "$out/servers.dat" ] || {
    echo "no servers in $out/results.json: make bench" >&2
    exit 1
}
machine=$(awk "$member"'
    /"compiler"/ { compiler = member("compiler"); sub(/ \(.*\)/, "", compiler) }
    /"flags"/ { flags = member("flags") }
    /"processor"/ { processor = member("processor") }
    /"kernel"/ { kernel = member("kernel") }
    END { print processor ", " kernel ", " compiler " " flags }' "$out/results.json")

gnuplot <<END
set terminal svg size 1200,1400 font "sans-serif,15" background "white"
set output "$out/servers.svg"
data = "$out/servers.dat"
stats data using 1 nooutput
blocks = STATS_blocks
width = 0.84 / blocks
at(place, block) = place + (block - (blocks - 1) / 2.0) * width
array colours[4] = [0x9ecae1, 0x3182bd, 0x54a24b, 0xe6842a]
set style fill solid border rgb "white"
set boxwidth width
set xrange [-0.6:STATS_max + 0.6]
set xtics rotate by 24 right nomirror scale 0 noenhanced
set ytics nomirror
set grid y lc rgb "#d0d0d0"
set border 3
set key outside top center horizontal noenhanced
set lmargin 11
set rmargin 3
what = "Echo of 64 bytes over TCP on loopback: medians of interleaved rounds"
set multiplot layout 3,1 title what . "\n$machine" noenhanced

set ylabel "requests per second, thousands"
set yrange [0:*]
plot for [b=0:blocks-1] data index b using (at(\$1, b)):3 with boxes \
    lc rgb colours[b + 1] title columnheader(1), \
    data index 0 using 1:(0/0):xtic(2) notitle

set ylabel "server CPU per request, µs"
plot for [b=0:blocks-1] data index b using (at(\$1, b)):4 with boxes \
    lc rgb colours[b + 1] title columnheader(1), \
    data index 0 using 1:(0/0):xtic(2) notitle

set ylabel "latency, µs: bar p50, line up to p99"
set logscale y
set yrange [10:*]
set format y "%.0f"
plot for [b=0:blocks-1] data index b using (at(\$1, b)):5 with boxes \
    lc rgb colours[b + 1] title columnheader(1), \
    data index 0 using 1:(0/0):xtic(2) notitle, \
    for [b=0:blocks-1] data index b using (at(\$1, b)):5:(0):(\$6 - \$5) \
    with vectors nohead lw 2 lc rgb "#404040" notitle
unset multiplot
END
echo "written: $out/servers.svg"
