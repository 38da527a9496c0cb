#!/bin/sh
# syscalls.sh DIR PROGRAM...: system calls of each row, by strace: lines of
#     calls TAB group TAB name TAB per operation TAB in 2 n operations TAB 2 n
# The program marks where a row begins and ends by writes that fail. Per operation is
# the difference of 2 n and n operations; the total is everything in 2 n of them.
set -u
dir=$1
shift

if ! command -v strace >/dev/null 2>&1; then
    echo "skip system calls: strace is not installed" >&2
    exit 0
fi

for program in "$@"; do
    if ! strace -f -qq -s 256 -e signal=none -o "$dir/$program.strace" \
        "$dir/$program" syscalls >/dev/null 2>"$dir/$program.strace.err"; then
        echo "skip system calls of $program: strace failed, see $program.strace.err" >&2
        continue
    fi
    awk '
        /write\(-1, "bench[|]/ {
            split($0, field, "|")
            row = field[2] "\t" field[3]; what = field[4]; n = field[5]
            if (what == "end") {
                each = (count["twice"] - count["once"]) / n
                printf "calls\t%s\t%.6g\t%d\t%d\n", row, (each > 0 ? each : 0),
                    count["twice"], 2 * n
            }
            count[what] = 0
            next
        }
        / resumed>/ { next }
        { count[what]++ }' "$dir/$program.strace"
done
