# vts - reusable completion sources, value tasks and pools for C.
#
# Nothing here is needed to use vts: copy the headers. `make` lists the targets.

CC ?= cc
BUILD ?= build
WARN = -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef \
       -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Werror
CFLAGS ?= -O2 -g
BASE = -std=c11 $(WARN) -I.
HWLOC = $(shell pkg-config --cflags --libs hwloc 2>/dev/null)
LINK = -pthread -lm
# io_uring is built into the socket tests where liburing is.
URING = $(shell pkg-config --exists liburing 2>/dev/null && \
                echo -DVTS_SOCKET_URING $$(pkg-config --cflags --libs liburing))
Q = $(if $(V),,@)

HEADERS = $(wildcard vts.h vts_pcmon.h vts_socket.h)
TESTS = $(notdir $(basename $(wildcard tests/t_*.c)))
EXAMPLES = $(notdir $(basename $(wildcard tests/examples/*.c)))

# Not optimised: another way than gcc's, and built in no time.
PLAINLY = -O0 -g
ASAN = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
       -fno-omit-frame-pointer
TSAN = -O1 -g -fsanitize=thread

DEPS = build-essential pkg-config libhwloc-dev libcmocka-dev clang strace liburing-dev \
       socat netcat-openbsd curl iproute2 nftables
FIRMWARE_DEPS = gcc-arm-none-eabi libnewlib-arm-none-eabi gcc-riscv64-unknown-elf \
       picolibc-riscv64-unknown-elf
CROSS_DEPS = qemu-user clang \
       $(foreach cpu,i686 s390x powerpc powerpc64 aarch64 riscv64,binutils-$(cpu)-linux-gnu) \
       binutils-arm-linux-gnueabihf \
       $(foreach cpu,i386 s390x powerpc ppc64 arm64 armhf riscv64, \
           libgcc-12-dev-$(cpu)-cross libc6-dev-$(cpu)-cross)
VERIFY_DEPS = $(DEPS) clang-19 llvm-19 libclang-rt-19-dev libclang-rt-14-dev
BENCH_DEPS = valgrind strace g++ libuv1-dev libevent-dev libboost-dev golang-go cargo \
       librust-tokio-dev liburing-dev gnuplot-nox

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:

# Run from anywhere; no built-in rules.
MAKEFLAGS += --no-builtin-rules

.PHONY: help
## this list
help:
	@echo "usage: make TARGET [CC=clang] [CFLAGS=...] [V=1]"
	@awk '/^## /{text=substr($$0,4)} /^[a-z_-]+:/{if(text){split($$0,name,":"); \
	     printf "  %-14s %s\n", name[1], text; text=""}}' Makefile

.PHONY: deps
## install what demo and check need (Debian, Ubuntu: apt)
deps:
	@sh tests/install.sh $(DEPS)

.PHONY: demo
## the PC monitor on this machine (SECONDS=5 INTERVAL_MS=1000 ARGS="--root DIR")
demo: need-hwloc $(BUILD)/example/pcmon_top
	@env $(if $(SECONDS),SECONDS=$(SECONDS)) $(if $(INTERVAL_MS),INTERVAL_MS=$(INTERVAL_MS)) \
	    $(BUILD)/example/pcmon_top $(ARGS)

.PHONY: check
## every test: what a contributor runs
check: need-hwloc need-cmocka
	@$(MAKE) --no-print-directory -j$$(nproc) build-check
	@CC="$(CC)" BUILD="$(BUILD)" sh tests/check.sh quick

.PHONY: verify verify-deps
## every gate in full: all mutants, proofs, coverage, other processors (hours)
verify: need-hwloc need-cmocka
	@$(MAKE) --no-print-directory -j$$(nproc) build-check build-clang-sanitized
	@CC="$(CC)" BUILD="$(BUILD)" FULL=1 sh tests/check.sh full

## install what the gates of verify use; what is missing is skipped
verify-deps:
	@sh tests/install.sh $(VERIFY_DEPS) $(CROSS_DEPS)
	@sh tests/cbmc/install.sh

.PHONY: build-check
build-check: build-plain build-asan build-tsan build-examples build-clang

.PHONY: build-plain build-asan build-tsan build-examples build-clang build-clang-sanitized
build-plain: $(TESTS:%=$(BUILD)/plain/%) $(BUILD)/plain/stress $(BUILD)/plain/socket_soak
SANITIZED = $(TESTS) stress socket_soak
HAVE_CLANG = $(shell command -v clang)
build-asan: $(SANITIZED:%=$(BUILD)/asan/%) $(EXAMPLES:%=$(BUILD)/asan/%)
build-tsan: $(SANITIZED:%=$(BUILD)/tsan/%)
build-clang-sanitized: $(if $(HAVE_CLANG),$(SANITIZED:%=$(BUILD)/clang-asan/%) \
                                          $(SANITIZED:%=$(BUILD)/clang-tsan/%))
build-examples: $(EXAMPLES:%=$(BUILD)/example/%)
build-clang: $(if $(HAVE_CLANG),$(TESTS:%=$(BUILD)/clang/%))

.PHONY: unit asan tsan examples
## the unit tests alone, fast
unit: need-hwloc need-cmocka build-plain
	@sh tests/check.sh unit

## the unit tests and examples under AddressSanitizer and UBSan
asan: need-hwloc need-cmocka build-asan
	@sh tests/check.sh asan

## the unit tests and the stress test under ThreadSanitizer
tsan: need-hwloc need-cmocka build-tsan
	@sh tests/check.sh tsan

## the example programs
examples: need-hwloc build-examples
	@sh tests/check.sh examples

.PHONY: stress
## real threads against one pool (SECONDS=10 THREADS=4)
stress: $(BUILD)/plain/stress $(BUILD)/tsan/stress
	SECONDS=$${SECONDS:-10} $(BUILD)/plain/stress
	SECONDS=$${SECONDS:-10} $(BUILD)/tsan/stress

.PHONY: soak
## a thousand connections, canceled, closed and reset at random (SECONDS=600)
soak: $(BUILD)/plain/socket_soak
	SECONDS=$${SECONDS:-600} $(BUILD)/plain/socket_soak

.PHONY: sockets
## sockets against other programs, ten thousand of them, a lossy network; the soak
sockets: $(BUILD)/plain/socket_soak
	@CC="$(CC)" sh tests/check.sh sockets

.PHONY: explore mutants cbmc dotnet coverage cross clang_sanitizers
## every interleaving of pairs and triples of calls, also under weak memory (FULL=1)
explore:
	@CC="$(CC)" sh tests/check.sh explore

## bugs planted in copies of the headers, each killed by a gate (FULL=1: all)
mutants:
	@CC="$(CC)" sh tests/check.sh mutants

## the contract of each call for every word and token, if CBMC is there
cbmc:
	@sh tests/check.sh cbmc

## the same operations in vts and in .NET, if its SDK is there
dotnet:
	@CC="$(CC)" sh tests/check.sh dotnet

## lines, branches and conditions that the tests reach, with clang 19
coverage: need-hwloc need-cmocka
	@sh tests/check.sh coverage

## 32-bit, big-endian and other processors, through qemu
cross:
	@sh tests/check.sh cross

## the sanitizers of clang
clang_sanitizers: need-hwloc need-cmocka build-clang-sanitized
	@sh tests/check.sh clang_sanitizers

.PHONY: fuzz
## libFuzzer over operations, parsers, machines and topologies (SECONDS=60)
fuzz: need-hwloc
	@env SECONDS=$(or $(SECONDS),60) SEED=0 sh tests/fuzz.sh

.PHONY: compile
## every language, compiler, option and order of the headers
compile:
	@CC="$(CC)" sh tests/check.sh compile

.PHONY: cxx
## C++20: co_await with every compiler there is, and the C++ example
cxx:
	@CC="$(CC)" sh tests/check.sh cxx

.PHONY: readme
## extract, compile and run the README's snippets
readme:
	@CC="$(CC)" sh tests/check.sh readme

.PHONY: lint
## contents against marks, line and function lengths, spelling of options
lint:
	@sh tests/check.sh lint

.PHONY: firmware-size firmware-deps
## compile the core for microcontrollers, print its size
firmware-size:
	@sh tests/check.sh firmware_size

## install the cross compilers (1.9 GB)
firmware-deps:
	@sh tests/install.sh $(FIRMWARE_DEPS)

.PHONY: include-cost
## what including a header costs a compilation
include-cost:
	@CC="$(CC)" sh tests/include_cost.sh

.PHONY: size
## bytes of each public struct and of the code on this machine
size:
	@mkdir -p $(BUILD)
	@$(CC) -std=c11 -I. -DWITH_PCMON tests/compile/layout.c -o $(BUILD)/layout
	@$(BUILD)/layout | grep -v '^  '
	@printf '#define VTS_IMPLEMENTATION\n#include "vts.h"\n' >$(BUILD)/size.c
	@$(CC) -std=c11 -I. -Os -c $(BUILD)/size.c -o $(BUILD)/size.o && size $(BUILD)/size.o

.PHONY: bench bench-plot bench-deps
## compare with the peers that are installed; writes build/bench/results.json
bench:
	@CC="$(CC)" BUILD="$(BUILD)" sh bench/run.sh

## draw what the servers of the last bench did: build/bench/servers.svg
bench-plot:
	@BUILD="$(BUILD)" sh bench/plot.sh

## install what bench compares with and counts by
bench-deps:
	@sh tests/install.sh $(BENCH_DEPS)

.PHONY: clean
## remove build/
clean:
	rm -rf $(BUILD)

# ---- what is missing is named before anything fails for it ----

.PHONY: need-hwloc need-cmocka
need-hwloc:
	@pkg-config --exists hwloc || { \
	    echo "hwloc is missing: make deps (Debian: libhwloc-dev, Fedora: hwloc-devel," \
	         "Alpine: hwloc-dev, Homebrew: hwloc), and pkg-config"; exit 1; }
need-cmocka:
	@pkg-config --exists cmocka || { \
	    echo "cmocka is missing: make deps (Debian: libcmocka-dev, Fedora:" \
	         "libcmocka-devel, Alpine: cmocka-dev, Homebrew: cmocka)"; exit 1; }

# ---- builds ----

TEST_FILES = $(wildcard tests/*.h tests/examples/*.h) $(HEADERS)
KINDS = plain clang asan tsan clang-asan clang-tsan
$(foreach kind,$(KINDS),$(patsubst %,$(BUILD)/$(kind)/%, \
    t_socket t_socket_rules t_socket_uring t_netstream socket_soak)): EXTRA = $(URING)

$(BUILD)/plain/%: tests/%.c $(TEST_FILES)
	@mkdir -p $(@D) && echo "  build $@"
	$(Q)$(CC) $(BASE) $(CFLAGS) $< -o $@ $(EXTRA) $(HWLOC) $(LINK) -lcmocka

$(BUILD)/clang/%: tests/%.c $(TEST_FILES)
	@mkdir -p $(@D) && echo "  build $@"
	$(Q)clang $(BASE) $(PLAINLY) $< -o $@ $(EXTRA) $(HWLOC) $(LINK) -lcmocka

$(BUILD)/asan/%: tests/%.c $(TEST_FILES)
	@mkdir -p $(@D) && echo "  build $@"
	$(Q)$(CC) $(BASE) $(ASAN) $< -o $@ $(EXTRA) $(HWLOC) $(LINK) -lcmocka

$(BUILD)/asan/%: tests/examples/%.c $(wildcard tests/examples/*.h) $(HEADERS)
	@mkdir -p $(@D) && echo "  build $@"
	$(Q)$(CC) $(BASE) $(ASAN) $< -o $@ $(HWLOC) $(LINK)

$(BUILD)/tsan/%: tests/%.c $(TEST_FILES)
	@mkdir -p $(@D) && echo "  build $@"
	$(Q)$(CC) $(BASE) $(TSAN) $< -o $@ $(EXTRA) $(HWLOC) $(LINK) -lcmocka

$(BUILD)/clang-asan/%: tests/%.c $(TEST_FILES)
	@mkdir -p $(@D) && echo "  build $@"
	$(Q)clang $(BASE) $(ASAN) $< -o $@ $(EXTRA) $(HWLOC) $(LINK) -lcmocka

$(BUILD)/clang-tsan/%: tests/%.c $(TEST_FILES)
	@mkdir -p $(@D) && echo "  build $@"
	$(Q)clang $(BASE) $(TSAN) $< -o $@ $(EXTRA) $(HWLOC) $(LINK) -lcmocka

$(BUILD)/example/%: tests/examples/%.c $(wildcard tests/examples/*.h) $(HEADERS)
	@mkdir -p $(@D) && echo "  build $@"
	$(Q)$(CC) $(BASE) $(CFLAGS) $< -o $@ $(HWLOC) $(LINK)
