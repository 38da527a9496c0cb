#!/bin/sh
# run.sh: builds the benchmarks, runs them, counts, and writes build/bench/results.json.
#     CC=cc BUILD=build [BENCH_QUICK=1] [BENCH_ONLY=b_socket] sh bench/run.sh
# BENCH_ONLY: programs of programs(), or b_socket; the results are of those alone.
# A bar that is missed is printed as missed; it does not fail the run.
set -u
cd "$(dirname "$0")/.." || exit 1

CC=${CC:-cc}
CXX=${CXX:-c++}
OUT=${BUILD:-build}/bench
FLAGS="-std=c11 -O2"
WARN="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual
      -Wstrict-prototypes -Wmissing-prototypes -Werror"
LINK="-pthread -lm"
PLACES="0 1 2 3 4 5 6 7"
SOURCES="vts.h vts_pcmon.h vts_socket.h"
mkdir -p "$OUT"
[ "${BENCH_QUICK:-0}" = 0 ] && unset BENCH_QUICK

have() { command -v "$1" >/dev/null 2>&1; }

# Whether that program is to be run.
wants() {
    [ -z "${BENCH_ONLY:-}" ] && return
    case " $BENCH_ONLY " in *" $1 "*) return 0 ;; esac
    return 1
}

# ---- build: the implementation is a translation unit of its own ----

# By the same command, from sources that have not changed since.
is_built() {
    [ -x "$OUT/$program" ] &&
        [ "$(cat "$OUT/$program.command" 2>/dev/null)" = "$command" ] &&
        [ -z "$(find $SOURCES bench -newer "$OUT/$program" 2>/dev/null)" ]
}

# build PROGRAM SOURCE FLAG...
build() {
    program=$1
    source=$2
    shift 2
    command="$CC $FLAGS $WARN -I. bench/$source bench/impl.c -o $OUT/$program $* $LINK"
    is_built && return
    printf "%s" "$command" >"$OUT/$program.command"
    # shellcheck disable=SC2086
    $command || { echo "bench: $program does not compile" >&2; rm -f "$OUT/$program"; }
}

# Every function begins 8 * $1 bytes behind a cache line's start.
build_place() {
    build "place_$1" b_core.c -falign-functions=64 \
        "-fpatchable-function-entry=$((8 * $1)),$((8 * $1))"
}

# cxx_part PROGRAM DEFINE WHAT: compiles its C++20 part, if that can be done here, and
# prints what it adds to the command.
cxx_part() {
    object=$OUT/$1_cxx.o
    if [ ! -f "$object" ] ||
        [ -n "$(find vts.h "bench/$1.cpp" "bench/$1.h" -newer "$object")" ]; then
        "$CXX" -std=c++20 -O2 -I. -c "bench/$1.cpp" -o "$object" 2>"$OUT/$1_cxx.log" || {
            rm -f "$object"
            echo "skip $3: not installed, or see $OUT/$1_cxx.log" >&2
            return
        }
    fi
    echo "$object -D$2 -lstdc++"
}

uv_part() {
    if pkg-config --exists libuv 2>/dev/null; then
        echo "-DBENCH_UV $(pkg-config --cflags --libs libuv) -ldl"
    else
        echo "skip the libuv rows of $1: libuv is not installed" >&2
    fi
}

# The programming model beside its peers.
# shellcheck disable=SC2046
build_model() {
    build b_await b_await.c $(cxx_part b_await BENCH_CXX "the C++20 rows of b_await") &
    build b_loop b_loop.c $(cxx_part b_loop BENCH_ASIO "the Asio rows of b_loop") \
        $(uv_part b_loop) &
    wait
    build b_threadpool b_threadpool.c \
        $(cxx_part b_threadpool BENCH_ASIO "the Asio rows of b_threadpool") \
        $(uv_part b_threadpool) &
    build b_timers b_timers.c $(uv_part b_timers) &
    wait
    build b_memory b_memory.c &
    build_go
    build_tokio
    wait
}

# Offline, from what cargo has or Debian's librust-tokio-dev brings; beside nobody's sources.
build_tokio() {
    [ -x "$OUT/b_tokio" ] && [ -z "$(find bench/tokio -newer "$OUT/b_tokio")" ] && return
    rm -rf "$OUT/tokio" "$OUT/b_tokio"
    have cargo || {
        echo "skip the tokio rows: cargo is not installed" >&2
        return
    }
    cp -r bench/tokio "$OUT/tokio"
    if (
        cd "$OUT/tokio" || exit 1
        cargo build --release --offline --quiet && exit
        cargo build --release --offline --quiet \
            --config 'source.crates-io.replace-with="installed"' \
            --config 'source.installed.directory="/usr/share/cargo/registry"'
    ) >"$OUT/tokio.log" 2>&1; then
        cp "$OUT/tokio/target/release/b_tokio" "$OUT/b_tokio"
    else
        echo "skip the tokio rows: tokio is not installed, or see $OUT/tokio.log" >&2
    fi
}

build_go() {
    have go || {
        rm -f "$OUT/b_go"
        echo "skip the Go rows: Go is not installed" >&2
        return
    }
    [ -x "$OUT/b_go" ] && [ -z "$(find bench/b_go.go -newer "$OUT/b_go")" ] && return
    home=$(cd "$OUT" && pwd)/go
    GO111MODULE=off GOFLAGS='' GOCACHE=$home GOPATH=$home/path \
        go build -o "$OUT/b_go" bench/b_go.go >"$OUT/go.log" 2>&1 || {
        rm -f "$OUT/b_go"
        echo "skip the Go rows: their program does not build, see $OUT/go.log" >&2
    }
}

# Offline, by what the SDK brings; nothing is written beside the sources or at home.
build_dotnet() {
    version=$(dotnet --version 2>/dev/null) || {
        rm -rf "$OUT/dotnet"
        echo "skip the .NET rows: the .NET SDK is not installed" >&2
        return
    }
    [ "$(cat "$OUT/dotnet/built" 2>/dev/null)" = "$version" ] &&
        [ -z "$(find bench/dotnet -newer "$OUT/dotnet/built")" ] && return
    rm -rf "$OUT/dotnet"
    mkdir -p "$OUT/dotnet"
    if (
        out=$(cd "$OUT/dotnet" && pwd)
        export DOTNET_CLI_HOME="$out/home" DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
        dotnet build bench/dotnet/bench.csproj "-p:Out=$out/" -nodeReuse:false \
            -p:UseSharedCompilation=false
    ) >"$OUT/dotnet.log" 2>&1; then
        echo "$version" >"$OUT/dotnet/built"
    else
        echo "skip the .NET rows: their project does not build, see $OUT/dotnet.log" >&2
    fi
}

# peer PROGRAM SOURCE PACKAGE: a server that has nothing of vts in it.
peer() {
    rm -f "$OUT/$1"
    pkg-config --exists "$3" 2>/dev/null || {
        echo "skip $1: $3 is not installed" >&2
        return
    }
    # shellcheck disable=SC2046,SC2086
    $CC $FLAGS $WARN "bench/$2" -o "$OUT/$1" $(pkg-config --cflags --libs "$3")
}

asio_server() {
    [ -x "$OUT/b_socket_asio" ] &&
        [ -z "$(find bench/b_socket* -newer "$OUT/b_socket_asio")" ] && return
    "$CXX" -std=c++20 -O2 bench/b_socket_asio.cpp -o "$OUT/b_socket_asio" -pthread \
        2>"$OUT/b_socket_asio.log" || {
        rm -f "$OUT/b_socket_asio"
        echo "skip b_socket_asio: not installed, or see $OUT/b_socket_asio.log" >&2
    }
}

# io_uring is asked for if liburing is there; without it the servers say so.
uring_flags() {
    pkg-config --exists liburing 2>/dev/null || return
    echo "-DVTS_SOCKET_URING $(pkg-config --cflags --libs liburing)"
}

# Servers, each a program of its own, and the load.
build_servers() {
    [ "$(uname -s)" = Linux ] || {
        echo "skip b_socket: its load needs Linux" >&2
        return
    }
    asio_server &
    # shellcheck disable=SC2046
    build b_socket b_socket.c -DBENCH_SOCKET $(uring_flags)
    build b_socket_load b_socket_load.c
    # shellcheck disable=SC2086
    $CC $FLAGS $WARN -shared -fPIC bench/b_socket_count.c -o "$OUT/b_socket_count.so"
    peer b_socket_uv b_socket_uv.c libuv
    peer b_socket_event b_socket_event.c libevent_core
    wait
}

build_peers() {
    build_dotnet &
    build_go
    build_tokio
    wait
}

build_some() {
    build_peers
    for program in $BENCH_ONLY; do
        case $program in
        b_socket) build_servers ;;
        b_single) build b_single b_core.c -DVTS_SINGLE_THREADED ;;
        b_core | b_pool | b_threads | b_memory) build "$program" "$program.c" ;;
        *) build_all ;;
        esac
    done
}

build_all() {
    build_dotnet &
    build b_core b_core.c &
    build b_single b_core.c -DVTS_SINGLE_THREADED &
    wait
    build b_pool b_pool.c &
    build b_threads b_threads.c &
    wait
    build_model
    if pkg-config --exists hwloc 2>/dev/null; then
        # shellcheck disable=SC2046
        build b_pcmon b_pcmon.c -DBENCH_PCMON $(pkg-config --cflags --libs hwloc) &
    else
        rm -f "$OUT/b_pcmon"
        echo "skip the monitor's rows: hwloc is not installed" >&2
    fi
    for place in $PLACES; do
        build_place "$place" &
        [ $((place % 2)) = 1 ] && wait
    done
    wait
    build_servers
}

# ---- peers: what is installed that later programs compare with ----

peers() {
    have dotnet && echo "dotnet $(dotnet --version 2>/dev/null)"
    have mono && echo "mono"
    have go && echo "go $(go env GOVERSION 2>/dev/null)"
    have cargo && echo "cargo"
    have node && echo "node $(node --version 2>/dev/null)"
    have c++ && echo 'int main() {}' | c++ -std=c++20 -x c++ -fsyntax-only - 2>/dev/null &&
        echo "c++20"
    echo '#include <boost/asio.hpp>' | c++ -E -x c++ - >/dev/null 2>&1 && echo "boost"
    for library in libuv libevent liburing glib-2.0 talloc tevent ck libtcmalloc jemalloc \
        mimalloc; do
        pkg-config --exists "$library" 2>/dev/null &&
            echo "$library $(pkg-config --modversion "$library")"
    done
    return 0
}

header() {
    printf 'header\tcompiler\t%s\n' "$($CC --version | head -n 1)"
    printf 'header\tflags\t%s\n' "$FLAGS"
    printf 'header\tprocessor\t%s, %s cpus\n' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)" \
        "$(getconf _NPROCESSORS_ONLN 2>/dev/null)"
    printf 'header\tkernel\t%s\n' "$(uname -srm)"
    printf 'header\tmethod\t%s\n' "medians of interleaved rounds; a ratio is the median \
of the ratios of the rounds${BENCH_QUICK:+; quick}"
    peers | sed 's/^/peer	/'
}

# ---- measure ----

# The same cycle at 8 code placements, round by round.
placements() {
    rounds=15
    [ -n "${BENCH_QUICK:-}" ] && rounds=5
    while [ "$rounds" -gt 0 ]; do
        for place in $PLACES; do
            [ -x "$OUT/place_$place" ] || continue
            printf 'place\t%s\t%s\n' "$place" \
                "$("$OUT/place_$place" burst 'completion cycle' 'pooled source')"
        done
        rounds=$((rounds - 1))
    done
}

# C and .NET in turn, see bench/dotnet/Program.cs; in several processes, because each
# has its code elsewhere.
dotnet_rows() {
    [ -f "$OUT/dotnet/built" ] && [ -x "$OUT/b_core" ] || return
    processes=5
    [ -n "${BENCH_QUICK:-}" ] && processes=3
    while [ "$processes" -gt 0 ]; do
        dotnet "$OUT/dotnet/bench.dll" "$OUT/b_core" || {
            echo "bench: the .NET rows failed" >&2
            return
        }
        processes=$((processes - 1))
    done
}

# Those of peers that are programs, each in turn with what it is compared with.
peer_rows() {
    for peer in b_go b_tokio; do
        [ -x "$OUT/$peer" ] || continue
        "$OUT/$peer" "$OUT" || echo "bench: $peer failed" >&2
    done
}

programs() {
    for program in b_core b_single b_pool b_threads b_pcmon b_await b_loop b_threadpool \
        b_timers b_memory; do
        [ -x "$OUT/$program" ] && wants "$program" && echo "$program"
    done
}

# After the others: each server and the load have a processor of their own.
socket_rows() {
    wants b_socket && [ -x "$OUT/b_socket_load" ] || return
    "$OUT/b_socket_load" "$OUT" || echo "bench: b_socket_load failed" >&2
}

only_rows() {
    header
    printf 'header\tonly\t%s\n' "$BENCH_ONLY"
    for program in $(programs); do
        "$OUT/$program" || echo "bench: $program failed" >&2
    done
    socket_rows
}

measure() {
    header
    for program in $(programs); do
        "$OUT/$program" || echo "bench: $program failed" >&2
    done
    placements
    dotnet_rows
    peer_rows
    # shellcheck disable=SC2046
    sh bench/instructions.sh "$OUT" $(programs) >"$OUT/instructions.tsv" &
    # shellcheck disable=SC2046
    sh bench/syscalls.sh "$OUT" $(programs)
    wait
    cat "$OUT/instructions.tsv"
    socket_rows
}

if [ -n "${BENCH_ONLY:-}" ]; then
    build_some
    only_rows >"$OUT/parts.tsv"
else
    build_all
    measure >"$OUT/parts.tsv"
fi
awk -v json="$OUT/results.json" -f bench/report.awk "$OUT/parts.tsv"
