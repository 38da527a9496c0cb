#!/bin/sh
# Extracts every C and C++ block of README.md, compiles and runs it. A block with main() is
# a program of its own; the text block that follows such a block, if it is marked
# ```output, is what it must print. Blocks without main() must compile. C++ (20) is linked
# with a C file that has the implementation.
. tests/lib.sh
dir=$OUT/readme
rm -rf "$dir"
mkdir -p "$dir"
awk -v dir="$dir" '
    /^```c$/ { n++; file = sprintf("%s/%02d.c", dir, n); next }
    /^```cpp$/ { n++; file = sprintf("%s/%02d.cpp", dir, n); next }
    /^```output$/ { file = sprintf("%s/%02d.out", dir, n); next }
    /^```/ { file = ""; next }
    file != "" { print > file }' README.md
count=0
for source in "$dir"/*.c; do
    [ -f "$source" ] || continue
    count=$((count + 1))
    name=$(basename "$source" .c)
    program=${source%.c}
    libs="-pthread -lm"
    grep -q vts_pcmon "$source" && libs="$libs $(pkg-config --cflags --libs hwloc)"
    if ! grep -q 'main(' "$source"; then
        try "README snippet $name compiles" $CC -std=c11 $WARN_C -Werror -I. -c \
            "$source" -o "$program.o"
        continue
    fi
    # shellcheck disable=SC2086
    try "README program $name compiles" $CC -std=c11 $WARN_C -Werror -I. "$source" \
        -o "$program" $libs || continue
    if [ -f "$program.out" ]; then
        try "README program $name prints what is shown" sh -c \
            "'$program' | diff '$program.out' -"
    else
        try "README program $name runs" "$program"
    fi
done
for source in "$dir"/*.cpp; do
    [ -f "$source" ] || continue
    name=$(basename "$source" .cpp)
    program=${source%.cpp}
    have c++ || { echo "skip README program $name: no c++"; continue; }
    printf '#define VTS_IMPLEMENTATION\n#include "vts.h"\n' >"$dir/impl.c"
    # shellcheck disable=SC2086
    try "README program $name compiles" sh -c "$CC -std=c11 -I. -c $dir/impl.c -o $dir/impl.o &&
        c++ -std=c++20 $WARN -Werror -I. $source $dir/impl.o -pthread -o $program" || continue
    try "README program $name prints what is shown" sh -c \
        "'$program' | diff '$program.out' -"
done
try "README has programs" test $count -gt 0
