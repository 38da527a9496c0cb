#!/bin/sh
# Bounded model checking of vts.h itself by CBMC (sh tests/cbmc/install.sh gets it). A
# contract proves one function for every state word and token; a handshake proves one
# race of two threads under a memory model. Arguments: names of those to run (all).
. tests/lib.sh
TOOL=${BUILD:-build}/tools/cbmc
PATH=$PATH:$PWD/$TOOL
CONTRACT_LIMIT=${CONTRACT_LIMIT:-30}
HANDSHAKE_LIMIT=${HANDSHAKE_LIMIT:-${FULL:+900}}
HANDSHAKE_LIMIT=${HANDSHAKE_LIMIT:-60}
ONLY=$*
UB="--unwinding-assertions --pointer-overflow-check --no-malloc-may-fail --object-bits 10"

for tool in cbmc goto-cc goto-instrument; do
    have $tool || {
        echo "skip cbmc: no $tool (sh tests/cbmc/install.sh)"
        exit 0
    }
done
case $(cbmc --version) in
[6-9].* | [1-9][0-9].*) ;;
*)
    echo "skip cbmc: $(cbmc --version) is older than 6"
    exit 0
    ;;
esac

now() { date +%s.%N; }
since() { echo "$(now) $1" | awk '{ printf "%.1f s", $1 - $2 }'; }
wanted() { [ -z "$ONLY" ] || case " $ONLY " in *" $1 "*) ;; *) return 1 ;; esac; }

# program SOURCE: compiles it. The functions that it says are unreachable lose their
# bodies, which keeps CBMC from following every pointer to a function into them; that
# they are not reached is proved with the rest. So do those of the programming model:
# nothing in the core calls up.
program() {
    binary=$OUT/$(basename "$1" .c)
    goto-cc -std=c11 -I"${VTS_DIR:-.}" -I. "$1" -o "$binary.all" &&
        bodies "$binary" $(sed -n 's/.*unreachable: \([a-z_ ]*\).*/\1/p' "$1") $(model)
}

model() {
    sed -n '/^\/\/ >>parking/,$ s/^static [^(]*\(vts__[a-z_]*\)(.*/\1/p' \
        "${VTS_DIR:-.}/vts.h" | sort -u
}

bodies() {
    bodies_binary=$1
    shift
    names=$(echo "$*" | tr ' ' '|')
    goto-instrument $(printf -- '--remove-function-body %s ' "$@") \
        "$bodies_binary.all" "$bodies_binary.cut" &&
        goto-instrument --generate-function-body "$names" \
            --generate-function-body-options assert-false-assume-false \
            "$bodies_binary.cut" "$bodies_binary.gb"
}

# prove KIND NAME LIMIT COMMAND...: one line.
prove() {
    prove_name="$1 $2"
    limit=$3
    shift 3
    begin=$(now)
    timeout "$limit" "$@" --drop-unused-functions --verbosity 4 >"$OUT/cbmc.log" 2>&1
    status=$?
    if [ $status -eq 0 ]; then
        echo "ok $prove_name ($(since "$begin"))"
    elif [ $status -eq 124 ]; then
        echo "skip $prove_name: not proved within $limit s"
    else
        echo "not ok $prove_name"
        grep -e 'FAILURE$' -e 'rror:' "$OUT/cbmc.log" | sed 's/^/    /' | head -n 20
        failed=1
    fi
}

# built SOURCE: its program, or a line that says that it does not compile.
built() {
    program "$1" >"$OUT/cbmc.log" 2>&1 && return 0
    echo "not ok $1 compiles"
    sed 's/^/    /' "$OUT/cbmc.log" | tail -n 20
    failed=1
    return 1
}

contracts() {
    built "$1" || return
    unwind=$(sed -n 's/.*unwind: \([0-9]*\).*/\1/p' "$1")
    for name in $(sed -n 's/^CONTRACT(\([a-z_]*\)).*/\1/p' "$1"); do
        wanted "$name" || continue
        # shellcheck disable=SC2086
        prove contract "$name" "$CONTRACT_LIMIT" cbmc "$binary.gb" --function "$name" \
            --unwind "${unwind:-4}" $UB
    done
}

handshake() {
    built "$1" || return
    name=$(basename "$1" .c)
    for model in sc tso pso; do
        wanted "$name" || continue
        prove handshake "$name under $model" "$HANDSHAKE_LIMIT" cbmc "$binary.gb" \
            --mm $model --no-standard-checks --unwind 3 --unwinding-assertions
    done
}

failed=0
for source in tests/cbmc/c_*.c; do
    contracts "$source"
done
for source in tests/cbmc/h_*.c; do
    handshake "$source"
done
[ $failed -eq 0 ]
