#!/bin/sh
# Extracts every C block of README.md, compiles and runs it. A block with main() is a
# program of its own; the text block that follows such a block, if it is marked
# ```output, is what it must print. Blocks without main() must compile.
. tests/lib.sh
dir=$OUT/readme
rm -rf "$dir"
mkdir -p "$dir"
awk -v dir="$dir" '
    /^```c$/ { n++; file = sprintf("%s/%02d.c", dir, n); next }
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
try "README has programs" test $count -gt 0
