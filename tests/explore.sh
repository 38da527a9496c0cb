#!/bin/sh
# Every interleaving of the core: builds and runs the explorer's programs. Compiled with
# -fsanitize=thread and linked without, so that plain accesses are watched too.
. tests/lib.sh
SECONDS_EACH=${SECONDS_EACH:-60}
for source in tests/explore/e_*.c; do
    [ -f "$source" ] || continue
    program=$OUT/$(basename "$source" .c)
    $CC -std=c11 $WARN_C -Werror -O2 -fsanitize=thread -I. -c "$source" -o "$program.o" &&
        $CC "$program.o" -o "$program" || {
        echo "not ok $source compiles"
        continue
    }
    timeout "$SECONDS_EACH" "$program"
    status=$?
    if [ $status -eq 124 ]; then
        echo "skip the rest of $source: cut after $SECONDS_EACH s (SECONDS_EACH=900 for all)"
    elif [ $status -ne 0 ]; then
        echo "not ok $source (exit status $status)"
    fi
done
