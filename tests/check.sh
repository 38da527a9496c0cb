#!/bin/sh
# Runs the gates named (default: all) and counts. A gate prints a line per test:
# `ok NAME`, `not ok NAME` or `skip NAME: reason`; a program that prints none is one
# test, passed if it exits with 0. The last line is the sum.
set -u
BUILD=${BUILD:-build}
LOGS=$BUILD/logs
LIMIT=${LIMIT:-300}
rm -rf "$LOGS"
mkdir -p "$LOGS"
passed=0 failed=0 skipped=0

count() { grep -c "^$1 " "$2" || true; }

# gate NAME COMMAND...: runs it, prints what is not ok, adds up.
gate() {
    gate_name=$1
    shift
    log=$LOGS/$(echo "$gate_name" | tr ' /' '__').log
    begin=$(date +%s)
    timeout "$LIMIT" "$@" >"$log" 2>&1 </dev/null
    status=$?
    ok=$(count ok "$log") bad=$(count "not ok" "$log") skip=$(count skip "$log")
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        [ $status -eq 124 ] && echo "timed out after $LIMIT s" >>"$log"
        echo "not ok $gate_name (exit status $status)"
        tail -n 40 "$log" | sed 's/^/    /'
    elif [ $((ok + bad + skip)) -eq 0 ]; then
        ok=1
    fi
    grep -A 40 '^not ok ' "$log" | sed 's/^/    /' | head -n 80
    grep '^skip ' "$log"
    printf '%-34s %4d passed %3d failed %3d skipped  %3d s\n' "$gate_name" "$ok" "$bad" \
        "$skip" $(($(date +%s) - begin))
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

# programs KIND: each test program of that build.
programs() {
    for source in tests/t_*.c; do
        name=$(basename "$source" .c)
        gate "$1 $name" "$BUILD/$1/$name"
    done
}

# example KIND NAME: some want to be run in a certain way.
example() {
    case $2 in
    pcmon_top) gate "$1 $2" env SECONDS=1 INTERVAL_MS=100 "$BUILD/$1/$2" ;;
    *) gate "$1 $2" "$BUILD/$1/$2" ;;
    esac
}

examples() {
    for source in tests/examples/*.c; do
        example "$1" "$(basename "$source" .c)"
    done
}

run() {
    case $1 in
    unit)
        programs plain
        if command -v clang >/dev/null; then
            programs clang
        else
            gate "clang unit tests" echo "skip unit tests with clang: no clang"
        fi
        gate "plain stress" "$BUILD/plain/stress"
        gate "variants" sh tests/variants.sh
        ;;
    asan)
        export ASAN_OPTIONS=detect_stack_use_after_return=1:detect_leaks=1
        programs asan
        examples asan
        ;;
    tsan)
        export TSAN_OPTIONS=halt_on_error=0:second_deadlock_stack=1
        programs tsan
        gate "tsan stress" "$BUILD/tsan/stress"
        ;;
    examples) examples example ;;
    *) gate "$1" sh "tests/$1.sh" ;;
    esac
}

for name in "${@:-}"; do
    if [ -n "$name" ]; then
        run "$name"
    else
        for each in lint compile unit explore asan tsan examples readme firmware_size; do
            run "$each"
        done
    fi
done
if [ $skipped -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]
