#!/bin/sh
# Compiles the core for microcontrollers: no undefined symbol, and its size. The sizes
# are those of everything vts.h holds; a linker with --gc-sections keeps less.
. tests/lib.sh
hook='-DCRITICAL="primask.h"'
riscv_hook='-DVTS_SINGLE_THREADED'

# target NAME COMPILER FLAGS...
target() {
    name=$1
    cc=$2
    shift 2
    have "$cc" || { echo "skip firmware $name: no $cc (make firmware-deps)"; return; }
    object="$OUT/firmware_$(echo "$name" | tr -c 'a-z0-9\n' '_').o"
    try "firmware $name compiles" "$cc" -std=c11 -Os -ffreestanding -ffunction-sections \
        $WARN_C -Werror -I. "$@" -c tests/compile/firmware.c -o "$object" || return
    if [ -n "$(nm -u "$object")" ]; then
        echo "not ok firmware $name has no undefined symbol"
        nm -u "$object"
    else
        echo "ok firmware $name has no undefined symbol"
    fi
    # Code by section of the header: what a program that uses all of it would link.
    nm -S --defined-only "$object" | awk -v name="$name" '
        function hex(h,   i, n) {
            for (i = 1; i <= length(h); i++)
                n = n * 16 + index("0123456789abcdef", substr(h, i, 1)) - 1
            return n
        }
        BEGIN {
            pools = "pool|chunk|slot|batch|chain|carve|free|cache|refill|get_|rent|put_" \
                "|spill|divide|quotient|zero|scavenge|allocator"
            tasks = "valuetask|failed|canceled_|none_|traced|late"
            others = "queue|reverse|thread|scheduler|context|trampoline|vts__stack_"
            models = "loop|timer|delay|cancellation|registration|task_|_task|awaiter" \
                "|when|entry|timeout|_co_|generator|text_|until|lowest_bit|slot_(b|o|m|e)" \
                "|first_slot|closed_post|subscribe|until|blocked|block_|vts__(un)?lock" \
                "|clock|vts_now|vts_after|threadpool|vts__(wait|wake)|trap"
        }
        $3 ~ /[tT]/ {
            size = hex($2); total += size
            if ($4 ~ models && $4 !~ "valuetask") model += size
            else if ($4 ~ pools) pool += size
            else if ($4 ~ tasks) task += size
            else if ($4 ~ others) other += size
            else source += size
        }
        END {
            printf "    %-28s source %5d  value task %4d  pool %5d  dispatch %4d  core " \
                "%5d  model %5d bytes\n", name, source, task, pool, other, \
                total - model, model
        }'
}

target "cortex-m0 (hook) clang" clang --target=thumbv6m-none-eabi -mcpu=cortex-m0 "$hook"
target "cortex-m3 clang" clang --target=thumbv7m-none-eabi -mcpu=cortex-m3
target "cortex-m33 clang" clang --target=thumbv8m.main-none-eabi -mcpu=cortex-m33
target "rv32imac clang" clang --target=riscv32 -march=rv32imac
target "cortex-m0 (hook) gcc" arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb "$hook"
target "cortex-m3 gcc" arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb
target "cortex-m33 gcc" arm-none-eabi-gcc -mcpu=cortex-m33 -mthumb
target "rv32imac gcc" riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32
target "rv32imc (one thread) gcc" riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 \
    "$riscv_hook"
