#!/bin/sh
# instructions.sh DIR PROGRAM...: executed instructions and locked operations of each
# row, per operation, by valgrind's callgrind: lines of
#     count TAB group TAB name TAB instructions TAB locked
# Each row runs once with n and once with 2 n operations, called by two functions whose
# names tell the costs apart; the difference is what n operations cost.
set -u
dir=$1
shift

if ! command -v valgrind >/dev/null 2>&1; then
    echo "skip instructions: valgrind is not installed" >&2
    exit 0
fi

for program in "$@"; do
    out=$dir/$program.callgrind
    if ! valgrind -q --tool=callgrind --collect-bus=yes --compress-strings=no \
        --compress-pos=no --callgrind-out-file="$out" "$dir/$program" instructions 1000 \
        >"$dir/$program.map" 2>"$dir/$program.valgrind"; then
        echo "skip instructions of $program: valgrind failed, see $program.valgrind" >&2
        continue
    fi
    awk -F '\t' '
        FILENAME ~ /[.]map$/ { if ($1 == "map") {
            row[++rows] = $2 "\t" $3; symbol[rows] = $4; runs[$4] += $5 } next }
        /^fn=/ { caller = substr($0, 4) }
        /^cfn=/ { callee = substr($0, 5) }
        /^calls=/ { cost = 1; next }
        cost {
            split($0, field, " "); cost = 0
            sign = caller == "bench_run_twice" ? 1 : caller == "bench_run_once" ? -1 : 0
            instructions[callee] += sign * field[2]
            locked[callee] += sign * field[3]
        }
        END {
            for (i = 1; i <= rows; i++) printf "count\t%s\t%.6g\t%.6g\n", row[i],
                instructions[symbol[i]] / runs[symbol[i]], locked[symbol[i]] / runs[symbol[i]]
        }' "$dir/$program.map" "$out"
done
