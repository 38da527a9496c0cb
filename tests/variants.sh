#!/bin/sh
# The core's unit tests on its other back ends: with the critical-section hook, with
# sequentially consistent operations from a replacement header, and with 32-bit words.
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

variant "critical sections" -include tests/compile/critical.h
variant "replaced atomics" "'-DVTS_ATOMICS_HEADER=\"tests/compile/atomics.h\"'"

# With 32-bit words.
sh tests/cross.sh i386
