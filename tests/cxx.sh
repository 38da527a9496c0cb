#!/bin/sh
# C++20: the tests of co_await with each C++ compiler, plain and under the sanitizers; the
# C++ examples, and that each of them says what its two likes in C say.
. tests/lib.sh
printf '#define VTS_IMPLEMENTATION\n#include "vts_socket.h"\n' >"$OUT/cxx_vts.c"

# build PROGRAM SOURCE CXX FLAGS...: with the implementation, C, built with the same flags.
build() {
    program=$1 source=$2 cxx=$3
    shift 3
    $CC -std=c11 -g "$@" -I. -c "$OUT/cxx_vts.c" -o "$OUT/cxx_vts.o" &&
        $cxx -std=c++20 -g "$@" $WARN -Werror -I. "$source" "$OUT/cxx_vts.o" -pthread \
            -o "$OUT/$program"
}

# run_tests CXX FLAGS...
run_tests() {
    label="$1 $2"
    try "C++20 tests build ($label)" build t_cxx tests/cxx/t_cxx.cpp "$@" || return
    "$OUT/t_cxx" >"$OUT/t_cxx.log" 2>&1
    status=$?
    sed -n "s/^\(ok\|not ok\) .*/& ($label)/p" "$OUT/t_cxx.log"
    [ $status -eq 0 ] && return
    echo "not ok C++20 tests ($label): exit status $status"
    grep -v '^ok ' "$OUT/t_cxx.log" | sed 's/^/    /' | head -n 40
}

for cxx in g++ clang++; do
    have $cxx || { echo "skip C++20 with $cxx: no $cxx"; continue; }
    run_tests $cxx -O0
    run_tests $cxx -O2
    for source in tests/examples/*.cpp; do
        example=$(basename "$source" .cpp)
        try "$example builds ($cxx)" build $example "$source" $cxx -O2 &&
            try "$example runs ($cxx)" "$OUT/$example"
    done
done
if have g++; then
    run_tests g++ -fsanitize=address,undefined -O1 -fno-sanitize-recover=undefined
    run_tests g++ -fsanitize=thread -O1
fi

# same_lines PROGRAM: the same program three times.
same_lines() {
    for way in callbacks await; do
        $CC -std=c11 -I. tests/examples/$1_$way.c -pthread -o "$OUT/$1_$way" &&
            "$OUT/$1_$way" >"$OUT/$1_$way.txt" || return 1
    done
    "$OUT/$1_cxx" >"$OUT/$1_cxx.txt" &&
        cmp "$OUT/$1_callbacks.txt" "$OUT/$1_await.txt" &&
        cmp "$OUT/$1_await.txt" "$OUT/$1_cxx.txt"
}
[ -x "$OUT/timeout_cxx" ] && try "the three timeout programs say the same" same_lines timeout
[ -x "$OUT/socket_echo_cxx" ] && try "the three echo servers say the same" same_lines socket_echo
exit 0
