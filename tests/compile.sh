#!/bin/sh
# Compiles the headers in every language and with every option they promise.
. tests/lib.sh
headers="vts.h"
for header in vts_pcmon.h vts_socket.h; do
    [ -f $header ] && headers="$headers $header"
done

# Each header alone, as the first line of a file.
for header in $headers; do
    for std in c11 c17; do
        for cc in gcc clang; do
            name="compile $header as $std with $cc"
            have $cc || { echo "skip $name: no $cc"; continue; }
            try "$name" $cc -std=$std $WARN_C -Werror -I. "-DHEADER=\"$header\"" \
                -fsyntax-only tests/compile/header.c
        done
    done
    for std in c++11 c++17 c++20; do
        for cxx in g++ clang++; do
            name="compile $header as $std with $cxx"
            have $cxx || { echo "skip $name: no $cxx"; continue; }
            try "$name" $cxx -std=$std $WARN -Werror -I. "-DHEADER=\"$header\"" \
                -fsyntax-only tests/compile/header.cpp
        done
    done
done

# The implementations together, in every order.
orders="vts.h"
[ -f vts_pcmon.h ] && orders="vts.h:vts_pcmon.h vts_pcmon.h:vts.h vts_pcmon.h"
if [ -f vts_pcmon.h ] && [ -f vts_socket.h ]; then
    a=vts.h b=vts_pcmon.h c=vts_socket.h
    orders="$orders $a:$b:$c $a:$c:$b $b:$a:$c $b:$c:$a $c:$a:$b $c:$b:$a"
fi
for order in $orders; do
    {
        echo "#define VTS_IMPLEMENTATION"
        echo "$order" | tr ':' '\n' | sed 's/.*/#include "&"/'
        echo "int vts_compile_order(void);"
        echo "int vts_compile_order(void) { return 0; }"
    } >"$OUT/order.c"
    for cc in gcc clang; do
        for opt in -O0 $([ "$order" = "${orders##* }" ] && echo -O2); do
            name="implement $order with $cc $opt"
            have $cc || { echo "skip $name: no $cc"; continue; }
            try "$name" $cc -std=c11 $opt $WARN_C -Werror -I. $HWLOC -c \
                "$OUT/order.c" -o "$OUT/order.o"
        done
    done
done

# Pollers that are not built in by default: io_uring's where liburing is; kqueue's with
# declarations of the tests', also as on a system that is not Linux.
printf '#define VTS_IMPLEMENTATION\n#include "vts_socket.h"\n' >"$OUT/poller.c"
kqueue="-DVTS__SOCKET_KQUEUE=1 -Itests/compile/kqueue"
for cc in gcc clang; do
    have $cc || { echo "skip pollers with $cc: no $cc"; continue; }
    try "kqueue with $cc" $cc -std=c11 $WARN_C -Werror -I. $kqueue -c "$OUT/poller.c" \
        -o "$OUT/poller.o"
    try "kqueue with $cc, not Linux" $cc -std=c11 $WARN_C -Wno-sign-conversion -Werror \
        -I. $kqueue -U__linux__ -D_GNU_SOURCE -c "$OUT/poller.c" -o "$OUT/poller.o"
    if pkg-config --exists liburing 2>/dev/null; then
        try "io_uring with $cc" $cc -std=c11 $WARN_C -Werror -I. -DVTS_SOCKET_URING -c \
            "$OUT/poller.c" -o "$OUT/poller.o"
    else
        echo "skip io_uring with $cc: no liburing"
    fi
done

# Two files that include, one that implements; C with C, C++ with C.
unit=tests/compile/every_name.c
try "two files link" $CC -std=c11 $WARN_C -Werror -I. -DFILE_MAIN -DFILE_NAME=one \
    -DFILE_OTHER=two -c $unit -o "$OUT/one.o"
$CC -std=c11 -I. -DFILE_IMPLEMENTS -DFILE_NAME=two -c $unit -o "$OUT/two.o"
try "two files run" sh -c "$CC $OUT/one.o $OUT/two.o -pthread -o $OUT/link && $OUT/link"
for cxx in g++ clang++; do
    for std in c++11 c++17 c++20; do
        name="C++ links with C ($cxx $std)"
        have $cxx || { echo "skip $name: no $cxx"; continue; }
        try "$name" sh -c "$cxx -x c++ -std=$std $WARN -Werror -I. -DFILE_MAIN \
            -DFILE_NAME=one -DFILE_OTHER=two -c $unit -o $OUT/onecc.o &&
            $cxx $OUT/onecc.o $OUT/two.o -pthread -o $OUT/linkcc && $OUT/linkcc"
    done
done

# The monitor the same way: one file implements, a C and a C++ file use it.
if [ -f vts_pcmon.h ]; then
    echo '#include "vts_pcmon.h"
    int main(void) { return vts_pcmon_tick(0, 0) == 0; }' >"$OUT/use_pcmon.c"
    cp "$OUT/use_pcmon.c" "$OUT/use_pcmon.cpp"
    printf '#define VTS_IMPLEMENTATION\n#include "vts_pcmon.h"\n' >"$OUT/impl_pcmon.c"
    libs="$(pkg-config --libs hwloc) -pthread -lm"
    try "vts_pcmon.h: two files run" sh -c "$CC -std=c11 -I. $HWLOC $OUT/use_pcmon.c \
        $OUT/impl_pcmon.c -o $OUT/pcmon $libs && $OUT/pcmon"
    try "vts_pcmon.h: C++ links with C" sh -c "$CC -std=c11 -I. $HWLOC -c \
        $OUT/impl_pcmon.c -o $OUT/impl_pcmon.o && g++ -std=c++17 -I. $OUT/use_pcmon.cpp \
        $OUT/impl_pcmon.o -o $OUT/pcmoncc $libs && $OUT/pcmoncc"
    for option in -DVTS_STATIC -DVTS_SINGLE_THREADED "-include tests/compile/critical.h"; do
        try "vts_pcmon.h with $option" sh -c "$CC -std=c11 $WARN_C -Werror -O1 -I. $HWLOC \
            $option -c $OUT/impl_pcmon.c -o $OUT/option.o"
    done
fi

# Each option alone builds without a warning, runs, and leaves the layout as it was.
$CC -std=c11 -I. tests/compile/layout.c -o "$OUT/layout" && "$OUT/layout" >"$OUT/layout.txt"
option() {
    option_name=$1
    shift
    try "option $option_name" sh -c "$CC -std=c11 $WARN_C -Werror -I. $* \
        -DFILE_MAIN -DFILE_NAME=one -DFILE_OTHER=one -DFILE_IMPLEMENTS $unit -pthread \
        -o $OUT/option && $OUT/option"
    try "option $option_name keeps the layout" sh -c "$CC -std=c11 -I. $* \
        tests/compile/layout.c -o $OUT/layout2 && $OUT/layout2 | diff $OUT/layout.txt -"
}
option VTS_STATIC -DVTS_STATIC
option VTS_SINGLE_THREADED -DVTS_SINGLE_THREADED
option VTS_CRITICAL_ENTER -include tests/compile/critical.h
option VTS_ATOMICS_HEADER "'-DVTS_ATOMICS_HEADER=\"tests/compile/atomics.h\"'"
for cxx in g++ clang++; do
    for std in c++11 c++20; do
        name="layout in $std with $cxx"
        have $cxx || { echo "skip $name: no $cxx"; continue; }
        try "$name" sh -c "$cxx -x c++ -std=$std -I. tests/compile/layout.c \
            -o $OUT/layout2 && $OUT/layout2 | diff $OUT/layout.txt -"
    done
done
if [ -f vts_pcmon.h ]; then
    try "layout of vts_pcmon.h in C and C++" sh -c "
        $CC -std=c11 -I. -DWITH_PCMON tests/compile/layout.c -o $OUT/layout3 &&
        g++ -x c++ -I. -DWITH_PCMON tests/compile/layout.c -o $OUT/layout4 &&
        $OUT/layout3 >$OUT/layout3.txt && $OUT/layout4 | diff $OUT/layout3.txt -"
    refuse "late C library header is explained" "before other" \
        $CC -std=c11 -I. $HWLOC -c tests/compile/late.c -o "$OUT/late.o"
fi
# Coroutines' macros in every language; what they must not let pass.
printf '#define VTS_IMPLEMENTATION\n#include "vts.h"\n' >"$OUT/impl_vts.c"
$CC -std=c11 -I. -c "$OUT/impl_vts.c" -o "$OUT/impl_vts.o"
for std in c11 c17; do
    for cc in gcc clang; do
        name="coroutine in $std with $cc"
        have $cc || { echo "skip $name: no $cc"; continue; }
        try "$name" sh -c "$cc -std=$std -O2 $WARN_C -Werror -I. tests/compile/frames.c \
            -pthread -o $OUT/frames && $OUT/frames"
    done
done
for std in c++11 c++17 c++20; do
    for cxx in g++ clang++; do
        name="coroutine in $std with $cxx"
        have $cxx || { echo "skip $name: no $cxx"; continue; }
        try "$name" sh -c "$cxx -x c++ -std=$std -O2 $WARN -Werror -I. -c \
            tests/compile/frames.c -o $OUT/frames.o && $cxx $OUT/frames.o \
            $OUT/impl_vts.o -pthread -o $OUT/frames && $OUT/frames"
    done
done
for cc in gcc clang; do
    have $cc || { echo "skip pitfalls of await with $cc: no $cc"; continue; }
    pitfall() {
        refuse "$1 ($cc)" "$2" $cc -std=c11 -I. "-DPITFALL=$3" -fsyntax-only \
            tests/compile/pitfalls.c
    }
    try "a right block compiles ($cc)" $cc -std=c11 $WARN_C -Werror -I. -DPITFALL=0 \
        -fsyntax-only tests/compile/pitfalls.c
    pitfall "await outside a block is refused" "vts_self.*undeclared\|undeclared.*vts_self" 1
    pitfall "two awaits on a line are refused" "duplicate case" 2
    pitfall "two VTS_FINALLY are refused" "duplicate case" 3
    pitfall "an await in the scope of a VLA is refused" "variably modified\|variable length" 4
    pitfall "two blocks in a function are refused" "redefinition of .vts_self" 5
    pitfall "an unsigned result is refused" "a signed integer holds errors" 6
done

refuse "implementation in C++ is explained" "implementation is C" \
    g++ -x c++ -I. -DVTS_IMPLEMENTATION -DHEADER='"vts.h"' -fsyntax-only \
    tests/compile/header.cpp
hook="missing critical-section hook is explained"
if have clang; then
    refuse "$hook" "VTS_CRITICAL_ENTER" \
        clang --target=thumbv6m-none-eabi -mcpu=cortex-m0 -ffreestanding -I. -c \
        tests/compile/firmware.c -o "$OUT/firmware.o"
else
    echo "skip $hook: no clang"
fi
