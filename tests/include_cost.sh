#!/bin/sh
# Milliseconds that including a header adds to the compilation of an empty file: the
# smallest of 15, in turn.
. tests/lib.sh
echo "" >"$OUT/empty.c"
for header in vts.h vts_pcmon.h vts_socket.h; do
    [ -f $header ] && echo "#include \"$header\"" >"$OUT/include_$header.c"
done
cost() {
    begin=$(date +%s%N)
    $CC -std=c11 -O0 -I. -fsyntax-only "$1"
    echo "$1 $((($(date +%s%N) - begin) / 1000))"
}
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    for file in "$OUT"/empty.c "$OUT"/include_*.c; do cost "$file"; done
done | awk '
    !($1 in best) || $2 < best[$1] { best[$1] = $2 }
    /empty/ { empty = $1 }
    END {
        for (file in best) if (file != empty) {
            name = file; sub(/.*include_/, "", name); sub(/\.c$/, "", name)
            printf "%-14s %5.1f ms over an empty file (%.1f ms)\n", name, \
                (best[file] - best[empty]) / 1000, best[empty] / 1000
        }
    }'
