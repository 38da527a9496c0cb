#!/bin/sh
# The core's tests on other processors: words of 32 bits, big-endian, other atomics. They
# are linked statically and run by qemu-user; 32-bit x86 runs by itself where it can.
#
#     cross.sh [PROCESSOR...]        default: all; FULL=1: with every compiler, and longer
#
# qemu-user runs their threads with the memory order of this machine, and their LL/SC as
# compare-and-swap: on x86, no reordering that only they allow is ever seen, nor a
# spurious failure. tests/explore.sh looks for those. No sanitizer runs here.
# shellcheck disable=SC2086
. tests/lib.sh
FULL=${FULL:-0}
JOBS=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)}
all="i386 s390x powerpc powerpc64 aarch64 armhf riscv64"
suites="t_source t_valuetask t_pool t_dispatch t_failure t_wrap"
failed=0

# Sets the processor's triplet, its name in qemu, and its name in Debian's packages.
describe() {
    triplet=$1-linux-gnu qemu=$1 debian=$1
    case $1 in
    i386) triplet=i686-linux-gnu ;;
    s390x) ;;
    powerpc) qemu=ppc ;;
    powerpc64) qemu=ppc64 debian=ppc64 ;;
    aarch64) debian=arm64 ;;
    armhf) triplet=arm-linux-gnueabihf qemu=arm ;;
    riscv64) ;;
    *)
        echo "not ok cross $1: one of $all"
        exit 1
        ;;
    esac
}

# clang with the libraries of Debian's cross compilers; it finds only some by itself.
clang_for() {
    printf 'clang --target=%s -nostdlibinc -isystem /usr/%s/include' "$1" "$1"
    for place in "/usr/$1/lib" /usr/lib/gcc-cross/"$1"/*; do
        printf ' -B%s -L%s' "$place" "$place"
    done
    echo
}

# The compilers that there are for a triplet, a line each.
compilers_for() {
    if [ "$1" = i686-linux-gnu ]; then echo "$CC -m32"; fi
    if have "$1-gcc"; then echo "$1-gcc"; fi
    if have clang && [ -d "/usr/$1/include" ]; then clang_for "$1"; fi
}

# What runs the processor's programs: nothing, or qemu; fails if there is neither.
emulator() {
    case $1-$(uname -m) in
    i386-x86_64 | i386-i?86) return ;;
    esac
    have "qemu-$qemu" && echo "qemu-$qemu"
}

# Links and runs a program that starts a thread.
works() {
    cat >"$OUT/probe.c" <<'PROBE'
#include <pthread.h>
static void *run(void *arg) { return arg; }
int main(int count, char **given)
{
    pthread_t thread;
    (void)given;
    return pthread_create(&thread, 0, run, &count) || pthread_join(thread, 0);
}
PROBE
    $1 -static "$OUT/probe.c" -o "$OUT/probe" -pthread >"$OUT/probe.txt" 2>&1 &&
        $run "$OUT/probe" >"$OUT/probe.txt" 2>&1
}

# build SOURCE: with the stand-in for cmocka; the program is $OUT/program.
build() {
    $compiler $flags -static -std=c11 $WARN_C -Werror -I. -Itests/cross -Itests \
        "tests/$1.c" -o "$OUT/program" -pthread -lm
}

# program SOURCE [ARGUMENT...]: prints what is not ok.
program() {
    build "$1" || return
    shift
    timeout "$limit" $run "$OUT/program" "$@" >"$OUT/program.txt"
    status=$?
    grep -v '^ok ' "$OUT/program.txt"
    return $status
}

# The asserts can fail here: each test of asserts.c ends as its name says.
asserts() {
    build cross/asserts || return
    $run "$OUT/program" >"$OUT/program.txt"
    awk -v wanted="$($run "$OUT/program" --list | grep -c .)" '
        /^ok passes_|^not ok fails_|^skip skips_/ { right++; next }
        /^ok |^not ok |^skip / { print }
        END { exit right != wanted || right == 0 }' "$OUT/program.txt"
}

# all_programs PROCESSOR: with one compiler, of which the test's name has a word.
all_programs() {
    case $compiler in
    clang*) where="$1 (clang)" ;;
    *) where="$1 (gcc)" ;;
    esac
    try "asserts on $where" asserts || failed=1
    for suite in $suites; do
        try "$suite on $where" program "$suite" || failed=1
    done
    try "generations on $where" program cross/generations --only "$generations" ||
        failed=1
    try "stress on $where" program stress "$seconds" || failed=1
}

processor() {
    describe "$1"
    flags=-O1 seconds=1 limit=60 generations='the_*'
    if [ "$FULL" = 1 ]; then flags=-O2 seconds=10 limit=200; fi
    if ! run=$(emulator "$1"); then
        echo "skip $1: no qemu-$qemu (Debian: qemu-user)"
        return
    fi
    if [ "$FULL" = 1 ] && [ -z "$run" ]; then generations='*'; fi
    count=0
    compilers_for "$triplet" >"$OUT/compilers"
    while read -r compiler; do
        works "$compiler" </dev/null || continue
        count=$((count + 1))
        all_programs "$1" </dev/null
        if [ "$FULL" != 1 ]; then break; fi
    done <"$OUT/compilers"
    if [ $count -eq 0 ]; then
        echo "skip $1: no compiler that links for it (Debian: gcc-$triplet, or clang" \
            "binutils-$triplet libgcc-12-dev-$debian-cross libc6-dev-$debian-cross)"
    fi
}

# verdicts FLAG: how each test of asserts.c ends on this machine.
verdicts() {
    $CC -std=c11 -I. -Itests tests/cross/asserts.c -o "$OUT/asserts" -pthread -lm "$1" &&
        { "$OUT/asserts" || true; } | grep -E '^(ok|not ok|skip) '
}

alike() {
    verdicts -Itests/cross >"$OUT/stand_in.txt" && verdicts -lcmocka >"$OUT/cmocka.txt" &&
        diff "$OUT/stand_in.txt" "$OUT/cmocka.txt"
}

# Some processors at the same time, each with a log of its own.
several() {
    if pkg-config --exists cmocka; then
        try "asserts as with cmocka" alike || failed=1
    else
        echo "skip asserts as with cmocka: no cmocka"
    fi
    # shellcheck disable=SC2016
    printf '%s\n' "$@" | OUT=$OUT CC=$CC FULL=$FULL xargs -n 1 -P "$JOBS" sh -c \
        'OUT=$OUT/$1 sh tests/cross.sh "$1" >"$OUT/cross_$1.txt" 2>&1' sh || failed=1
    for name in "$@"; do cat "$OUT/cross_$name.txt"; done
}

case $# in
0) several $all ;;
1) processor "$1" ;;
*) several "$@" ;;
esac
exit $failed
