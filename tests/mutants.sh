#!/bin/sh
# Plants bugs in copies of the headers, one at a time: the gate that each names must fail.
#
#     sh tests/mutants.sh [NAME...]   those (shell patterns); without a name a quick choice
#     FULL=1 sh tests/mutants.sh      all
#     MATRIX=1 sh tests/mutants.sh    all, or those named, by every gate: writes their rows
#                                     of tests/mutants/matrix.md (takes hours)
#     MATRIX=named ...                the same rows with the one gate that each names
#     LIST=1 sh tests/mutants.sh      says what there is
#
# tests/mutants/SECTION.mutants has the planted bugs:
#
#     header FILE           of all that follow
#     mutant NAME
#     why    what goes wrong
#     killed PROGRAM [TEST] the test program that finds it; TEST makes it quicker;
#                           tsan/PROGRAM: built with ThreadSanitizer, asan/PROGRAM
#     -, + and blank        the lines to take away, to add, to leave: as in a diff, and they
#                           must stand in the header exactly once; @@ begins another place
#
# Besides, each acquire and each release of a call of an atomic operation is weakened in
# turn: orders.awk finds them all. orders.txt has `NAME PROGRAM [TEST]` for each, or
# equivalent.md has the name before the reason why no gate misses it. A call that is in
# neither, and a hunk or an order that is not in the header any more, are failures.
. tests/lib.sh
MUTANTS=tests/mutants
DIR=$OUT/mutants
UNIT="t_source t_valuetask t_pool t_dispatch t_failure t_wrap t_meanwhile t_cancellation
t_task t_task_meanwhile t_loop t_loop_meanwhile t_when t_await t_stream t_correct_use
t_threadpool t_threadpool_meanwhile t_cxx"
SOCKET="t_socket_rules t_socket_sim t_socket t_netstream"
PCMON="t_pcmon_sensor t_pcmon_map t_pcmon t_pcmon_failure t_pcmon_thread"
EXPLORE="e_queue e_caller e_pool e_source e_cancel e_task e_loop e_ring e_threadpool"
EXPLORE_PCMON=e_pcmon
EXPLORE_SOCKET=e_socket
GATES="unit explore tsan asan"
ORDERS="vts.h vts_socket.h" # the headers whose orders the explorer sees
QUICK="claim-any-token token-not-increased unregister-lost depth-limit-off tag-dropped
claim-without-swap put-double-unchecked freshness-unchecked vts__dispatch/store-1/relaxed
vts__stack_push/cas-1/no-release await-arms-first unregister-cancellation-lost
task-unregister-lost"
status=0
rm -rf "$DIR"
mkdir -p "$DIR/copy" "$DIR/base"
cp vts.h vts_pcmon.h vts_socket.h "$DIR/base"

bad() {
    echo "not ok mutant $*"
    status=1
}

# ---- what there is ----

# A line for each order mutant, NAME HEADER PROGRAM TEST; PROGRAM is `equivalent` for those
# not needed, `none` for those nobody has judged, `stale` for those that are judged and not
# there.
orders() {
    for header in $ORDERS; do
        awk -f $MUTANTS/orders.awk "$header" | sed "s/^/site $header /"
    done >"$DIR/sites"
    awk '/^[^ ]/ { reason = !/^- / }
         { for (; !reason && match($0, /`[^`]*`/); $0 = substr($0, RSTART + RLENGTH))
               if ($0 ~ /^[-, ]*`/) print substr($0, RSTART + 1, RLENGTH - 2), "equivalent"
           if (/:/) reason = 1 }' $MUTANTS/equivalent.md >"$DIR/equivalent"
    awk '
        /^#/ || /^$/ { next }
        $1 != "site" { gate[$1] = substr($0, length($1) + 2); next }
        { print $3, $2, ($3 in gate) ? gate[$3] : "none"; delete gate[$3] }
        END { for (name in gate) print name, "vts.h", "stale" }' \
        $MUTANTS/orders.txt "$DIR/equivalent" "$DIR/sites"
}

# The same lines for all.
all() {
    awk -f $MUTANTS/apply.awk $MUTANTS/*.mutants && orders
}

# wanted NAME PATTERN...: whether it is asked for; without patterns all are.
wanted() {
    wanted=$1
    shift
    [ $# -ne 0 ] || return 0
    for pattern in "$@"; do
        # shellcheck disable=SC2254
        case $wanted in $pattern) return 0 ;; esac
    done
    return 1
}

# ---- programs ----

# build PROGRAM GATE DIRECTORY: over the headers there, as $DIR/PROGRAM.
build() {
    built=$DIR/$1
    set -- "$1" "$2" -std=c11 -w "-I$3" -I. -include $MUTANTS/weak.h
    case $2 in
    unit) set -- "$@" -O0 ;;
    asan) set -- "$@" -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined ;;
    *) set -- "$@" -O1 -fsanitize=thread ;;
    esac
    program=$1
    shift 2
    # shellcheck disable=SC2086
    case $program in
    e_*) $CC "$@" $HWLOC -DMUTANT_EXPLORED -c "tests/explore/$program.c" -o "$built.o" &&
        $CC "$built.o" -o "$built" ;;
    t_cxx) printf '#define VTS_IMPLEMENTATION\n#include "vts.h"\n' |
        $CC "$@" -x c -c - -o "$built.o" &&
        ${CXX:-c++} "$@" -std=c++20 tests/cxx/t_cxx.cpp "$built.o" -o "$built" -pthread ;;
    *pcmon*) $CC "$@" "tests/$program.c" -o "$built" $HWLOC -lhwloc -pthread -lm -lcmocka ;;
    *) $CC "$@" "tests/$program.c" -o "$built" -pthread -lm -lcmocka ;;
    esac >"$DIR/log" 2>&1
}

# execute PROGRAM TEST: true if it passes. One that hangs has failed; the explorer, which
# takes its time, finds endless loops itself.
execute() {
    case $1,$2 in
    e_*) limit=900 ;;
    stress,* | t_pcmon*, | t_socket*,) limit=120 ;;
    *) limit=20 ;;
    esac
    program=$DIR/$1 only=$2
    set --
    case $program in */e_*) set -- --first ;; esac
    [ -z "$only" ] || set -- "$@" --only "$only"
    timeout $limit "$program" "$@" >"$DIR/log" 2>&1 </dev/null
}

# Which test of the log failed.
culprit() {
    culprit=$(sed -n 's/^not ok \([^:]*\).*/\1/p' "$DIR/log" | head -n 1)
    grep -q 'ThreadSanitizer: data race' "$DIR/log" && culprit=${culprit:-data race}
    grep -q 'AddressSanitizer' "$DIR/log" && culprit=${culprit:-address}
    echo "${culprit:-exit status $1}"
}

# sound PROGRAM GATE TEST: whether it builds and passes over the headers as they are;
# otherwise nothing that it says about a mutant counts.
sound() {
    mark=$DIR/sound.$1.$2.$(echo "$3" | tr -c 'a-z0-9_\n' _)
    if [ ! -f "$mark" ]; then
        result=passes
        if ! build "$1" "$2" "$DIR/base"; then result=unbuilt
        elif ! execute "$1" "$3"; then result=fails && bad "none: $1 fails ($(culprit 1))"
        fi
        echo $result >"$mark"
    fi
    [ "$(cat "$mark")" = passes ]
}

# kill_by PROGRAM GATE TEST: whether it kills the mutant in $DIR/copy; $killer says how.
kill_by() {
    sound "$1" "$2" "$3" && build "$1" "$2" "$DIR/copy" || return 1
    execute "$1" "$3"
    result=$?
    [ $result -ne 0 ] || return 1
    case $result in
    125 | 126 | 127 | 137) bad "$name: $1 did not run (status $result)" && return 1 ;;
    esac
    killer="$1 ($(culprit $result))"
}

# What of the programs stands for a gate.
programs() {
    case $1,$2 in
    explore,vts.h) echo "$EXPLORE" ;;
    explore,vts_socket.h) echo "$EXPLORE_SOCKET" ;;
    explore,*) echo "$EXPLORE_PCMON" ;;
    unit,vts.h | asan,vts.h) echo "$UNIT" ;;
    tsan,vts.h) echo stress t_await ;;
    *,vts_socket.h) echo "$SOCKET" ;;
    unit,*) echo "$PCMON" ;;
    asan,* | tsan,*) echo t_pcmon t_pcmon_thread ;;
    esac
}

# gate NAME HEADER: runs its programs up to the one that kills; $cell says which.
gate() {
    cell=-
    for each in $(programs "$1" "$2"); do
        kill_by "$each" "$1" "" || continue
        cell=$each
        return 0
    done
    return 1
}

gate_of() {
    case $1 in
    */*) echo "${1%/*}" ;;
    e_*) echo explore ;;
    stress) echo tsan ;;
    *) echo unit ;;
    esac
}

# ---- mutants ----

# plant NAME HEADER: makes the copy.
plant() {
    cp "$DIR/base/"*.h "$DIR/copy"
    case $1 in
    */*) awk -v name="$1" -f $MUTANTS/orders.awk "$2" ;;
    *) awk -v name="$1" -f $MUTANTS/apply.awk $MUTANTS/*.mutants "$2" ;;
    esac >"$DIR/copy/$2" 2>"$DIR/log"
}

# Whether the copy is C at all.
compiles() {
    # shellcheck disable=SC2086
    printf '#define VTS_IMPLEMENTATION\n#include "vts.h"\n#include "%s"\n' "$1" |
        $CC -std=c11 -w -fsyntax-only "-I$DIR/copy" $HWLOC -include $MUTANTS/weak.h \
            -x c - >"$DIR/log" 2>&1
}

# Whether any gate kills it; on x86 an order is seen by the explorer and TSan alone.
any_gate() {
    for gate in $GATES; do
        case $gate,$1 in unit,*/* | asan,*/*) continue ;; esac
        gate "$gate" "$2" && return 0
    done
    return 1
}

# named_row NAME GATE PROGRAM: a row of the matrix with one cell.
named_row() {
    row="| \`$1\` |"
    for gate in $GATES; do
        if [ "$gate" = "$2" ]; then row="$row $3 |"; else row="$row |"; fi
    done
    echo "$row" >>"$DIR/rows"
}

# examine NAME HEADER PROGRAM TEST: does the program named kill it?
examine() {
    case $3 in
    none) bad "$1: no gate is named" && return ;;
    equivalent) return ;;
    esac
    named=$(gate_of "$3")
    set -- "$1" "$2" "${3##*/}" "$4"
    if ! sound "$3" "$named" "$4" && grep -q unbuilt "$mark"; then
        echo "skip mutant $1: $3 does not build here"
    elif kill_by "$3" "$named" "$4"; then
        echo "ok mutant $1: killed by $killer"
        named_row "$1" "$named" "$3"
    elif any_gate "$1" "$2"; then
        bad "$1: not killed by $3, but by $killer"
    else
        bad "$1 survived"
    fi
}

# tabulate NAME HEADER PROGRAM: every gate; a row of the matrix.
tabulate() {
    row="| \`$1\` |" killed=
    for gate in $GATES; do
        case $gate,$1 in unit,*/* | asan,*/*) row="$row |" && continue ;; esac
        gate "$gate" "$2" && killed="$killed $cell"
        row="$row $cell |"
    done
    echo "$row" >>"$DIR/rows"
    case $3,$killed in
    equivalent,) echo "ok mutant $1: not needed, survived" ;;
    equivalent,*) bad "$1: is needed, killed by$killed" ;;
    *,) bad "$1 survived" ;;
    *) echo "ok mutant $1: killed by$killed" ;;
    esac
}

# The rows of this run in place of the old ones, in the order of the list.
write_matrix() {
    touch "$DIR/rows" $MUTANTS/matrix.md
    awk 'part == "rows" && /^\| `/ { row[$2] = $0 }
         part == "list" && FNR == 1 {
             print "# Which gate kills which mutant\n"
             print "Written by `MATRIX=1 sh tests/mutants.sh`. A cell names the first program"
             print "of the gate that fails; - says that all pass; an empty one was not run: in"
             print "a row with one cell (`MATRIX=named`), and for orders, which unit and asan"
             print "cannot see on a processor that is stricter than the language. What tsan"
             print "sees with its real threads may differ from run to run.\n"
             print "| mutant | unit | explore | tsan | asan |"
             print "|---|---|---|---|---|"
         }
         part == "list" && ("`" $1 "`") in row { print row["`" $1 "`"] }' \
        part=rows $MUTANTS/matrix.md "$DIR/rows" part=list "$DIR/list" >"$DIR/matrix.md"
    cp "$DIR/matrix.md" $MUTANTS/matrix.md
}

all >"$DIR/list" || exit 1
[ -z "${LIST:-}" ] || { cat "$DIR/list" && exit 0; }
[ -z "${MATRIX:-}" ] || trap write_matrix EXIT
trap 'exit 1' INT TERM
# shellcheck disable=SC2086
[ "$#${FULL:-}${MATRIX:-}" != 0 ] || set -- $QUICK
while read -r name header program test <&3; do
    wanted "$name" "$@" || continue
    if [ "$program" = stale ] || ! plant "$name" "$header"; then
        bad "$name is stale: $header has changed"
        sed 's/^/    /' "$DIR/log"
    elif [ "$header" = vts_pcmon.h ] && ! pkg-config --exists hwloc; then
        echo "skip mutant $name: no hwloc"
    elif ! compiles "$header"; then
        bad "$name does not compile"
        sed 's/^/    /' "$DIR/log" | head -n 5
    elif [ "${MATRIX:-}" = 1 ]; then
        tabulate "$name" "$header" "$program"
    else
        examine "$name" "$header" "$program" "$test"
    fi
done 3<"$DIR/list"

# What is asked for and not there is no success.
for pattern in "$@"; do
    found=
    while read -r name rest <&3; do
        wanted "$name" "$pattern" && found=1 && break
    done 3<"$DIR/list"
    [ -n "$found" ] || bad "$pattern: there is none of this name"
done
exit $status
