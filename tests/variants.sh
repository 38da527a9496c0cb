#!/bin/sh
# The unit tests on other back ends: with the critical-section hook, with sequentially
# consistent operations from a replacement header, with condition variables for sleeping
# threads, and with 32-bit words.
. tests/lib.sh

# variant NAME FLAGS...: builds and runs each suite of the core.
variant() {
    variant=$1
    shift
    for suite in t_source t_valuetask t_pool t_dispatch t_failure t_wrap; do
        # shellcheck disable=SC2086
        try "$suite with $variant" sh -c "$CC -std=c11 -O1 -I. $* tests/$suite.c \
            -o $OUT/variant -pthread -lm -lcmocka && $OUT/variant"
    done
}

for suite in t_cancellation t_task t_loop t_threadpool; do
    try "$suite with condition variables" sh -c "$CC -std=c11 -O1 -I. -U__linux__ \
        -D_GNU_SOURCE= tests/$suite.c -o $OUT/variant -pthread -lm -lcmocka && $OUT/variant"
done
try "t_cancellation with critical sections" sh -c "$CC -std=c11 -O1 -I. \
    -include tests/compile/critical.h tests/t_cancellation.c -o $OUT/variant -pthread -lm \
    -lcmocka && $OUT/variant"
variant "critical sections" -include tests/compile/critical.h
variant "replaced atomics" "'-DVTS_ATOMICS_HEADER=\"tests/compile/atomics.h\"'"

# cmocka of the other word size is rarely there: the program that uses every name is.
name="every name with 32-bit words"
if echo 'int main(void) { return 0; }' >"$OUT/m32.c" &&
    $CC -m32 "$OUT/m32.c" -o "$OUT/m32" 2>/dev/null; then
    for example in quickstart article_2_core article_3_pool main_loop; do
        try "example $example with 32-bit words" sh -c "$CC -m32 -std=c11 -O1 -I. \
            tests/examples/$example.c -o $OUT/variant -pthread -lm && $OUT/variant"
    done
else
    echo "skip $name: this compiler has no -m32 (Debian: gcc-multilib)"
fi
