#!/bin/sh
# vts and .NET do the same: random sequences of operations performed by both leave the same
# trace, but for the differences that vts.h lists, and each of these shows as
# tests/dotnet/differences.txt says. Without the .NET SDK only vts's side is tested: the
# differences, and that every back end leaves the same trace.
#
# SEED=1 SEQUENCES=5000
. tests/lib.sh
DIR=tests/dotnet
WORK=$OUT/dotnet
SEED=${SEED:-1}
SEQUENCES=${SEQUENCES:-5000}
mkdir -p "$WORK"
failed=0

# Differences of vts.h that no trace of one thread can show, or none of these calls:
#   D9   which scheduler is meant is an argument there     t_dispatch
#   D11  a state between two others                        tests/explore
#   D14  coroutines                                        t_await
#   D15  cancellation                                      t_cancellation
#   D16  when_any, when_all                                t_when
#   D17  a task is waited for on a loop's thread           t_task
#   D21  schedulers here flow the context, as .NET's do    t_dispatch
INVISIBLE="D9 D11 D14 D15 D16 D17 D21"

compile() {
    program=$1
    shift
    # shellcheck disable=SC2086
    $CC -std=c11 $WARN_C -Werror -O1 -I. "$@" -o "$WORK/$program" -pthread
}

same() { diff "$1" "$2" >"$WORK/diff" || { head -n 30 "$WORK/diff"; false; }; }

# What differences.txt holds, as input of the trace programs and as what they must print.
split_differences() {
    awk -v "dir=$WORK" '
        BEGIN { input = dir "/differences.in"; names = dir "/differences.names"
                side["<"] = dir "/differences.vts"; side[">"] = dir "/differences.net" }
        /^test / { test = NR; operations = 1; name = $2
                   seq = "seq " ++count " " $3 " " $4
                   print seq >input; print seq >side["<"]; print seq >side[">"]
                   sub(/^test [^ ]+ [^ ]+ [^ ]+ /, ""); print count, name, $0 >names; next }
        !test || /^$/ { next }
        operations { print >input; operations = $0 != "end"; next }
        /^=/ { print substr($0, 3) >side["<"]; print substr($0, 3) >side[">"]; next }
        /^[<>]/ { print substr($0, 3) >side[substr($0, 1, 1)]; next }
        { print FILENAME ":" NR ": neither operation nor trace"; exit 1 }' \
        $DIR/differences.txt
}

# part FILE NUMBER: the trace of one sequence.
part() { awk -v "n=$2" '$1 == "seq" { on = $2 == n } on' "$1"; }

shows() {
    part "$1" "$3" >"$WORK/wanted"
    part "$2" "$3" >"$WORK/got"
    same "$WORK/wanted" "$WORK/got"
}

# shown SIDE WANTED GOT: a test per difference.
shown() {
    while read -r number name text; do
        try "$name in $1: $text" shows "$2" "$3" "$number" || failed=1
    done <"$WORK/differences.names"
}

differ() {
    while read -r number name text; do
        part "$WORK/differences.vts" "$number" >"$WORK/wanted"
        part "$WORK/differences.net" "$number" >"$WORK/got"
        cmp -s "$WORK/wanted" "$WORK/got" || continue
        echo "$name: $text: shows no difference"
        return 1
    done <"$WORK/differences.names"
}

# back_end NAME FLAGS...: the same trace as that of the usual build.
back_end() {
    name=$1
    shift
    if ! compile other $DIR/trace.c "$@" 2>"$WORK/other.log"; then
        echo "skip the same trace with $name: this compiler does not build it"
        return
    fi
    # shellcheck disable=SC2016
    try "$SEQUENCES sequences leave the same trace with $name" sh -c \
        '"$1/other" <"$1/sequences.txt" >"$1/other.trace" && cmp "$1/vts.trace" "$1/other.trace"' \
        - "$WORK" || failed=1
}

# Offline, by what the SDK brings; nothing is written beside the sources or at home.
build_dotnet() {
    version=$(dotnet --version)
    [ "$(cat "$WORK/net/built" 2>/dev/null)" = "$version" ] &&
        [ -z "$(find $DIR -newer "$WORK/net/built")" ] && return
    rm -rf "$WORK/net"
    mkdir -p "$WORK/net"
    dotnet build $DIR/trace.csproj "-p:Out=$(cd "$WORK/net" && pwd)/" -nodeReuse:false \
        -p:UseSharedCompilation=false && echo "$version" >"$WORK/net/built"
}

net() { dotnet "$WORK/net/trace.dll" "$@"; }

every_difference_has_a_rule() {
    sed -n '/^   >>differences/,/^   >>correctness/s/^   \(D[0-9]*\) .*/\1/p' vts.h |
        while read -r name; do
            case " $INVISIBLE " in *" $name "*) continue ;; esac
            grep -q "^$name " "$WORK/seen" || echo "$name has no rule in Differences.cs"
            grep -q "^test $name " $DIR/differences.txt || echo "$name has no test"
        done >"$WORK/missing"
    cat "$WORK/missing"
    [ ! -s "$WORK/missing" ]
}

# A rule that nothing needs hides whatever it does.
every_rule_was_needed() {
    awk '$2 == 0 { print "difference " $1 " was never seen"; bad = 1 } END { exit bad }' \
        "$WORK/seen"
}

compare_with_dotnet() {
    try "the C# side builds" build_dotnet || return
    net rules "$WORK/seen" <"$WORK/sequences.txt" >"$WORK/net.trace" || return
    net raw <"$WORK/differences.in" >"$WORK/net.differences" || return
    try "$SEQUENCES sequences leave the same trace in vts and .NET $(dotnet --version)" \
        same "$WORK/vts.trace" "$WORK/net.trace" || failed=1
    try "every difference that vts.h lists has a rule and a test" \
        every_difference_has_a_rule || failed=1
    try "every rule was needed" every_rule_was_needed || failed=1
    shown .NET "$WORK/differences.net" "$WORK/net.differences"
}

set -e
split_differences
compile sequences $DIR/sequences.c
compile trace $DIR/trace.c
"$WORK/sequences" "$SEED" "$SEQUENCES" >"$WORK/sequences.txt"
"$WORK/trace" <"$WORK/sequences.txt" >"$WORK/vts.trace"
"$WORK/trace" <"$WORK/differences.in" >"$WORK/vts.differences"
set +e

try "every difference differs" differ || failed=1
shown vts "$WORK/differences.vts" "$WORK/vts.differences"
back_end "one thread" -DVTS_SINGLE_THREADED
back_end "critical sections" -include tests/compile/critical.h
back_end "replaced atomics" '-DVTS_ATOMICS_HEADER="tests/compile/atomics.h"'
back_end "sanitizers" -fsanitize=address,undefined -fno-sanitize-recover=undefined
back_end "32-bit words" -m32
DOTNET_CLI_HOME=$(cd "$WORK" && pwd)/home
export DOTNET_CLI_HOME DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
if dotnet --version >/dev/null 2>&1; then
    compare_with_dotnet || failed=1
else
    echo "skip the comparison with .NET: its SDK is not installed"
fi
exit $failed
