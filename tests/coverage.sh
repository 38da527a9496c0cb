#!/bin/sh
# Lines, branches and MC/DC of the headers, over all unit tests:
#
#     sh tests/coverage.sh [HEADER...]       default: every header there is
#
# A header's programs are the tests/t_*.c that include it, built as they are; for what
# exists only there, some are built for another back end, too. Each is measured by
# itself; tests/coverage.awk adds up: what one of them reaches is covered. What none
# can reach stands in tests/coverage_exclusions, with the reason.
. tests/lib.sh
VERSION=${LLVM_VERSION:-19}
CLANG=clang-$VERSION
PROFDATA=llvm-profdata-$VERSION
COV=llvm-cov-$VERSION
DIR=$OUT/coverage
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 1)}
LIMIT=${LIMIT:-120} # seconds for each program
MEASURE="-std=c11 -O0 -g -I. -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc
    -fprofile-update=atomic"
LIBS="$(pkg-config --libs hwloc 2>/dev/null || true) -pthread -lm -lcmocka"
URING="$(pkg-config --libs liburing 2>/dev/null || true)"
started=0

# refute TEXT FILE: a failure, with the head of what a tool said.
refute() {
    echo "not ok coverage: $1"
    sed 's/^/    /' "$2" | head -n 20
    touch "$DIR/failed"
}

# measure PROGRAM SOURCE TESTS FLAGS...: builds it and runs its tests of those names (a
# pattern). They must pass: what a failing one reached proves nothing.
measure() {
    program=$DIR/$1
    source=$2
    tests=$3
    shift 3
    # shellcheck disable=SC2086
    if ! $CLANG $MEASURE $HWLOC "$@" "$source" -o "$program" $LIBS $URING \
        2>"$program.warnings"; then
        refute "$program does not compile" "$program.warnings"
    elif ! LLVM_PROFILE_FILE="$program.%m.profraw" timeout "$LIMIT" "$program" \
        --only "$tests" >"$program.log" 2>&1; then
        grep -v '^ok' "$program.log" >"$program.bad"
        refute "$program fails, or takes more than $LIMIT s" "$program.bad"
    elif ! $PROFDATA merge "$program".*.profraw -o "$program.profdata" 2>"$program.bad"; then
        refute "$program leaves no profile" "$program.bad"
    fi
}

# The same beside others, as many at a time as there are processors.
start() {
    measure "$@" &
    started=$((started + 1))
    [ $((started % JOBS)) -ne 0 ] || wait
}

# includes SOURCE HEADER: directly or not.
includes() {
    # shellcheck disable=SC2086
    $CLANG -std=c11 -I. $HWLOC -MM "$1" | tr ' ' '\n' | grep -qx "$2"
}

# The other back ends: all of the protocol, or what is different there.
measure_back_ends() {
    start critical_t_source tests/t_source.c '*' -include tests/compile/critical.h
    start critical_t_cancellation tests/t_cancellation.c 'a_*' \
        -include tests/compile/critical.h
    start single_t_source tests/t_source.c '*' -DVTS_SINGLE_THREADED
    start single_t_pool tests/t_pool.c 'one_thread_gets_everything_through_its_cache' \
        -DVTS_SINGLE_THREADED
    # No operating system; one that does not tell when a thread ends.
    start bare_t_pool tests/t_pool.c 'a_growing_pool_needs_an_allocator' -U__unix__
    start untold_t_pool tests/t_pool.c 'more_threads_than_caches_work_all_the_same' \
        -D_WIN32 -D_UINTPTR_T_DEFINED -U__linux__ -D_GNU_SOURCE=
    # Threads sleep on a condition variable.
    start portable_t_task tests/t_task.c '*' -U__linux__ -D_GNU_SOURCE=
}

# flags_of NAME: as the Makefile has them.
flags_of() {
    case $1 in
    t_socket | t_socket_rules | t_socket_uring | t_netstream)
        [ -z "$URING" ] || echo "-DVTS_SOCKET_URING $(pkg-config --cflags liburing)"
        ;;
    esac
}

# What exists only without io_uring.
measure_without_uring() {
    start plain_t_socket_uring tests/t_socket_uring.c '*'
}

measure_tests() {
    for source in tests/t_*.c; do
        name=$(basename "$source" .c)
        for header in "$@"; do
            includes "$source" "$header" || continue
            # shellcheck disable=SC2046
            start "$name" "$source" '*' $(flags_of "$name")
            break
        done
    done
    for header in "$@"; do
        [ "$header" != vts.h ] || measure_back_ends
        [ "$header" != vts_socket.h ] || measure_without_uring
    done
    wait
}

# What each program's run shows of a header.
show() {
    for profile in "$DIR"/*.profdata; do
        $COV show --show-branches=count --show-mcdc --show-expansions \
            --show-instantiations=false -instr-profile="$profile" "${profile%.profdata}" "$1"
    done
}

# report HEADER: a line each for lines, branches and MC/DC; first of all, conditions
# that the compiler does not measure would be missing from the sums.
report() {
    grep -h "^\(\./\)\{0,1\}$1:.*MC/DC" "$DIR"/*.warnings | sort -u >"$DIR/$1.unmeasured"
    [ ! -s "$DIR/$1.unmeasured" ] || refute "$1: MC/DC is not measured" "$DIR/$1.unmeasured"
    show "$1" >"$DIR/$1.show"
    awk -v header="$1" -f tests/coverage.awk tests/coverage_exclusions "$DIR/$1.show" ||
        touch "$DIR/failed"
}

# lacks_uring HEADER: what only io_uring reaches, in the core of the sockets too, cannot be
# measured here.
lacks_uring() {
    [ "$1" = vts_socket.h ] || return 1
    [ -n "$URING" ] || return 0
    grep -q '^skip .*: io_uring: ' "$DIR/t_socket_uring.log"
}

for tool in "$CLANG" "$PROFDATA" "$COV"; do
    have "$tool" && continue
    echo "skip coverage: no $tool (Debian: clang-$VERSION llvm-$VERSION libclang-rt-$VERSION-dev)"
    exit 0
done
rm -rf "$DIR"
mkdir -p "$DIR"
if [ $# -eq 0 ]; then
    for header in vts.h vts_pcmon.h vts_socket.h; do
        [ -f $header ] && set -- "$@" $header
    done
fi
measure_tests "$@"
for header in "$@"; do
    if lacks_uring "$header"; then
        echo "skip coverage $header: no io_uring (Debian: liburing-dev; the kernel's leave)"
    else
        report "$header"
    fi
done
[ ! -e "$DIR/failed" ]
