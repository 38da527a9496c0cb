#!/bin/sh
# Every interleaving of the core: builds the explorer's programs and runs them side by
# side. Options go to each of them:
#
#     sh tests/explore.sh [--only TEXT] [--replay ID] [--first] [--verbose] [--full] [--long]
#
# FULL=1 is --long without the limit of SECONDS_EACH. Compiled with -fsanitize=thread and
# linked without: the compiler's reports of plain accesses end in explore_memory.h.
. tests/lib.sh
SECONDS_EACH=${SECONDS_EACH:-120}
if [ -n "${FULL:-}" ]; then
    SECONDS_EACH=3600
    set -- --long "$@"
fi

# explore PROGRAM OPTION...: its output appears as a whole, its status in a file.
explore() {
    program=$OUT/$1
    source=tests/explore/$1.c
    shift
    libraries=
    if grep -q hwloc.h "$source"; then
        if ! pkg-config --exists hwloc; then
            echo "skip $source: no hwloc"
            echo 0 >"$program.status"
            return
        fi
        libraries=$(pkg-config --libs hwloc)
    fi
    # shellcheck disable=SC2086
    if ! $CC -std=c11 $WARN_C -Werror -O2 -fsanitize=thread $HWLOC -I. -c "$source" \
        -o "$program.o" || ! $CC "$program.o" $libraries -pthread -lm -o "$program"; then
        echo "not ok $source compiles"
        echo 1 >"$program.status"
        return
    fi
    begin=$(date +%s)
    timeout "$SECONDS_EACH" "$program" "$@" &
    running=$!
    trap 'kill $running; exit 143' TERM
    wait $running
    status=$?
    echo $status >"$program.status"
    case $status in
    0 | 1 | 2) ;;
    124) echo "skip the rest of $source: cut after $SECONDS_EACH s (FULL=1 for all)" ;;
    *) echo "not ok $source (exit status $status)" ;;
    esac
    echo "$source: $(($(date +%s) - begin)) s"
}

# Stopped from outside, nothing goes on behind it.
trap 'kill $(jobs -p) 2>/dev/null; exit 143' INT TERM

names=
for each in tests/explore/e_*.c; do
    name=$(basename "$each" .c)
    names="$names $name"
    rm -f "$OUT/$name.status"
    explore "$name" "$@" >"$OUT/$name.log" 2>&1 &
done
wait

# A replay that no program knows is an error (status 2 of all).
result=0 unknown=1
for name in $names; do
    cat "$OUT/$name.log"
    status=1
    if [ -f "$OUT/$name.status" ]; then
        read -r status <"$OUT/$name.status"
    else
        echo "not ok $name ended without a status"
    fi
    case $status in
    0 | 124) unknown=0 ;;
    2) ;;
    *) unknown=0 result=1 ;;
    esac
done
[ $unknown -eq 0 ] || result=2
exit $result
