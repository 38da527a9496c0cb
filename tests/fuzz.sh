#!/bin/sh
# Fuzzing: runs each target of tests/fuzz for SECONDS (default 5) with its seeds. A crash
# leaves its input in build/fuzz and prints the line that runs it again; once mended it
# becomes a seed. With SEED (default 1) it begins with the same choices each time; with
# SEED=0 with others, and goes on from what it learned before in build/fuzz/TARGET. The
# recorded machine of the fixtures, where there is one, is a further seed.
#
#     sh tests/fuzz.sh [TARGET...]                SECONDS=600 SEED=0 sh tests/fuzz.sh f_root
#
# Without libFuzzer the seeds are run once, by any compiler.
. tests/lib.sh
seconds=$(printenv SECONDS) || seconds=5 # $SECONDS itself is a clock in some shells
SEED=${SEED:-1}
WORK=${BUILD:-build}/fuzz
FIXTURES=${VTS_FIXTURES:-../shared/fixtures}
SANITIZE="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
LIBS="$(pkg-config --libs hwloc 2>/dev/null) -pthread -lm"
status=0
mkdir -p "$WORK"

# build TARGET COMPILER FLAGS...
# shellcheck disable=SC2086
build() {
    target=$1
    compiler=$2
    shift 2
    libs=$LIBS
    case $target in f_root | f_topology) libs="$libs -lcmocka" ;; esac
    $compiler -std=c11 $WARN_C -Werror "$@" -I. -Itests $HWLOC "tests/fuzz/$target.c" \
        -o "$WORK/$target.bin" $libs >"$WORK/$target.log" 2>&1
}

longest() {
    case $1 in f_root) echo 20000 ;; f_topology) echo 3000 ;; *) echo 512 ;; esac
}

# A recorded machine as one input of f_root: each file after a line with its name.
seed_root() {
    archive=$FIXTURES/dev_node_exporter/dev_node_exporter.tar.gz
    seed=$WORK/f_root.fixtures/machine
    [ -f "$archive" ] || return 0
    mkdir -p "$WORK/f_root.fixtures" "$WORK/machine"
    [ -s "$seed" ] && return 0
    tar -xzf "$archive" -C "$WORK/machine" || return 0
    (
        cd "$WORK"/machine/*/root || exit
        find sys/class/hwmon sys/class/thermal sys/class/powercap sys/devices \
            proc/stat proc/meminfo proc/loadavg proc/pressure \
            \( -type f -size -8 -o -type l \) |
            grep -E 'temp|name|type|energy|freq|throttle|meminfo|hwmon[0-9]*$|proc' |
            while read -r file; do
                if [ -L "$file" ]; then
                    echo "@/$file > $(readlink "$file")"
                else
                    echo "@/$file"
                    cat "$file"
                    echo
                fi
            done
        printf '@tick 1000\n@tick 1000\n'
    ) >"$seed" 2>/dev/null
    rm -rf "$WORK/machine"
}

# Prints what was run of it: the runs and the edges of the last line that has them.
numbers() {
    awk '/^Done/ { runs = $2 } { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
         END { printf "%d runs, %d edges", runs, edges }' "$1"
}

# fuzz TARGET
# shellcheck disable=SC2086
fuzz() {
    corpus=tests/fuzz/corpus/$1
    options="-max_total_time=$seconds -timeout=20 -rss_limit_mb=2048 -max_len=$(longest "$1")"
    if [ "$SEED" -ne 0 ]; then
        options="$options -seed=$SEED"
        rm -rf "${WORK:?}/$1"
    fi
    [ -f "tests/fuzz/$1.dict" ] && options="$options -dict=tests/fuzz/$1.dict"
    mkdir -p "$WORK/$1" "$WORK/$1.fixtures"
    [ "$1" = f_root ] && seed_root
    if "$WORK/$1.bin" $options -artifact_prefix="$WORK/$1." "$WORK/$1" "$corpus" \
        "$WORK/$1.fixtures" >"$WORK/$1.log" 2>&1; then
        echo "ok fuzz $1 ($(numbers "$WORK/$1.log"))"
        return
    fi
    echo "not ok fuzz $1"
    sed -n "s;.*Test unit written to ;    again: $WORK/$1.bin ;p" "$WORK/$1.log"
    grep -m 3 -E 'not so:|ERROR:|SUMMARY:|runtime error:' "$WORK/$1.log" | sed 's/^/    /'
    status=1
}

# seeds TARGET: each once.
seeds() {
    if "$WORK/$1.bin" "tests/fuzz/corpus/$1" >"$WORK/$1.log" 2>&1; then
        echo "ok fuzz seeds of $1 ($(tail -n 1 "$WORK/$1.log"))"
    else
        echo "not ok fuzz seeds of $1"
        tail -n 5 "$WORK/$1.log" | sed 's/^/    /'
        status=1
    fi
}

# fails TARGET: it does not compile.
fails() {
    echo "not ok fuzz $1 compiles"
    head -n 20 "$WORK/$1.log" | sed 's/^/    /'
    status=1
}

echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d == 0 && n; }' \
    >"$WORK/probe.c"
if have clang && clang -fsanitize=fuzzer,address "$WORK/probe.c" -o "$WORK/probe" 2>/dev/null; then
    with=fuzzer
else
    with=standalone
    echo "skip fuzzing: no libFuzzer (Debian: clang, libclang-rt-14-dev); seeds are run once"
fi
[ $# -gt 0 ] || set -- f_operations f_parse f_root f_topology
for target in "$@"; do
    # shellcheck disable=SC2086
    if [ $with = fuzzer ]; then
        build "$target" clang $SANITIZE -fsanitize=fuzzer && fuzz "$target" || fails "$target"
    else
        build "$target" "$CC" $SANITIZE -DFUZZ_STANDALONE && seeds "$target" || fails "$target"
    fi
done
exit $status
