#!/bin/sh
# Runs gates and counts: those named, or `quick` (make check), or `full` (make verify). A
# gate prints a line per test: `ok NAME`, `not ok NAME` or `skip NAME: reason`; a program
# that prints none is one test, passed if it exits with 0. Gates run side by side, two at a
# time (JOBS=1: one). At the end a table, gate by gate; the last line is the sum.
set -u
BUILD=${BUILD:-build}
LOGS=$BUILD/logs
OUTER=${OUT:-$BUILD/check}
JOBS=${JOBS:-2}
QUICK="unit explore compile tsan asan fuzz cxx mutants sockets dotnet lint examples readme
firmware_size"
FULL="unit explore lint compile asan cbmc tsan dotnet coverage cross clang_sanitizers fuzz
mutants cxx sockets examples readme firmware_size"

count() { grep -c "^$1 " "$2" || true; }

# part NAME COMMAND...: one program or script of a gate; prints what is not ok, and a line.
part() {
    part_name=$1
    shift
    log=$LOGS/$(echo "$part_name" | tr ' /' '__').log
    begin=$(date +%s)
    timeout "$LIMIT" "$@" >"$log" 2>&1 </dev/null
    status=$?
    ok=$(count ok "$log") bad=$(count "not ok" "$log") skip=$(count skip "$log")
    if [ -z "$ok" ] || [ -z "$bad" ] || [ -z "$skip" ]; then
        ok=0 bad=1 skip=0
        echo "not ok $part_name: its log is gone"
    fi
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        [ $status -eq 124 ] && echo "timed out after $LIMIT s" >>"$log"
        echo "not ok $part_name (exit status $status)"
        tail -n 40 "$log" | sed 's/^/    /'
    elif [ $((ok + bad + skip)) -eq 0 ]; then
        ok=1
    fi
    grep -A 40 '^not ok ' "$log" | sed 's/^/    /' | head -n 80
    grep '^skip ' "$log"
    printf '%-34s %4d passed %3d failed %3d skipped  %3d s\n' "$part_name" "$ok" "$bad" \
        "$skip" $(($(date +%s) - begin))
    echo "$ok $bad $skip" >>"$LOGS/$gate.parts"
}

# programs KIND: each test program of that build.
launch=
programs() {
    for source in tests/t_*.c; do
        name=$(basename "$source" .c)
        # shellcheck disable=SC2086
        part "$1 $name" $launch "$BUILD/$1/$name"
    done
}

# sanitized KIND: the tests and the stress of that build. Where the addresses of this
# kernel are more random than a sanitizer knows, they run at fixed ones.
sanitized() {
    export ASAN_OPTIONS=detect_stack_use_after_return=1:detect_leaks=1
    export TSAN_OPTIONS=halt_on_error=0:second_deadlock_stack=1
    if ! "$BUILD/$1/stress" --list >/dev/null 2>&1; then launch="setarch $(uname -m) -R"; fi
    programs "$1"
    # shellcheck disable=SC2086
    part "$1 stress" $launch "$BUILD/$1/stress"
    # shellcheck disable=SC2086
    part "$1 socket_soak" env SECONDS="$SOAK" $launch "$BUILD/$1/socket_soak"
    launch=
}

# clang KIND FUNCTION: that build, if there is a clang to have made it.
with_clang() {
    if command -v clang >/dev/null; then
        "$2" "$1"
    else
        part "$1" echo "skip $1: no clang"
    fi
}

# examples KIND; some want to be run in a certain way.
examples() {
    for source in tests/examples/*.c; do
        name=$(basename "$source" .c)
        case $name in
        pcmon_top) part "$1 $name" env SECONDS=1 INTERVAL_MS=100 "$BUILD/$1/$name" ;;
        *) part "$1 $name" "$BUILD/$1/$name" ;;
        esac
    done
}

run() {
    case $1 in
    unit)
        programs plain
        with_clang clang programs
        part "plain stress" "$BUILD/plain/stress"
        part "variants" sh tests/variants.sh
        ;;
    asan)
        sanitized asan
        examples asan
        ;;
    tsan) sanitized tsan ;;
    clang_sanitizers)
        with_clang clang-asan sanitized
        with_clang clang-tsan sanitized
        ;;
    sockets)
        part "socket_peers" sh tests/socket_peers.sh
        part "plain socket_soak" "$BUILD/plain/socket_soak"
        ;;
    examples) examples example ;;
    *) part "$1" sh "tests/$1.sh" ;;
    esac
}

# one GATE: its lines appear together, when it is through. Until then it counts as failed.
one() {
    gate=$1
    export OUT="$OUTER/$gate"
    begin_gate=$(date +%s)
    : >"$LOGS/$gate.parts"
    run "$gate" >"$LOGS/$gate.out" 2>&1
    awk -v gate="$gate" -v seconds=$(($(date +%s) - begin_gate)) '
        { ok += $1; bad += $2; skip += $3 }
        END { printf "%-18s %6d %6d %7d %8d\n", gate, ok, bad, skip, seconds }
    ' "$LOGS/$gate.parts" >"$LOGS/$gate.end"
    mv "$LOGS/$gate.end" "$LOGS/$gate.sum"
    cat "$LOGS/$gate.out"
}

gates=$*
case ${1:-quick} in
quick) gates=$QUICK LIMIT=${LIMIT:-300} SOAK=4 ;;
full) gates=$FULL LIMIT=${LIMIT:-7200} SOAK=20 ;;
esac
SOAK=${SOAK:-20}
LIMIT=${LIMIT:-7200}

# One run at a time: they share the logs.
mkdir -p "$BUILD"
if ! mkdir "$BUILD/lock" 2>/dev/null; then
    echo "another run of tests/check.sh is at work (or was killed: rmdir $BUILD/lock)"
    exit 1
fi
trap 'rmdir "$BUILD/lock"' EXIT
trap 'exit 1' INT TERM
rm -rf "$LOGS"
mkdir -p "$LOGS"

running=0
for gate in $gates; do
    echo "  run $gate"
    printf '%-18s %6d %6d %7d %8d\n' "$gate" 0 1 0 0 >"$LOGS/$gate.sum"
    one "$gate" &
    running=$((running + 1))
    if [ "$running" -ge "$JOBS" ]; then
        wait
        running=0
    fi
done
wait

printf '\n%-18s %6s %6s %7s %8s\n' gate passed failed skipped seconds
for gate in $gates; do cat "$LOGS/$gate.sum"; done
for gate in $gates; do cat "$LOGS/$gate.sum"; done | awk '
    { ok += $2; bad += $3; skip += $4 }
    END {
        printf "\n%d passed, %d failed%s\n", ok, bad, skip ? ", " skip " skipped" : ""
        exit bad > 0
    }'
