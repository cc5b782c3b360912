# SPDX-License-Identifier: MIT
#
# weft - build with GNU make; `make help` lists the targets.
#
# Flavours live side by side under build/, so one never leaves stale objects
# for another:  make BUILD=debug   make CC=clang   make SWITCH=ucontext
# Adding a source, a test, a benchmark or an example is adding a file.

BUILD  ?= release
CC     ?= cc
PREFIX ?= /usr/local
RUNNER ?=
FILTER ?=
QUICK  ?=

VALGRIND ?= valgrind
MEMCHECK  = $(VALGRIND) -q --fair-sched=try --leak-check=full --show-leak-kinds=all \
            --errors-for-leak-kinds=all --error-exitcode=99
HELGRIND  = $(VALGRIND) -q --tool=helgrind --fair-sched=try --error-exitcode=99

# --- platform: one file for each choice, and this is the only place to choose
TRIPLE := $(shell $(CC) -dumpmachine)
ifeq ($(TRIPLE),)
$(error '$(CC)' is not a working C compiler)
endif
CPU    := $(firstword $(subst -, ,$(TRIPLE)))
ARCH   := $(patsubst arm64,aarch64,$(patsubst amd64,x86_64,$(CPU)))
ARCH   := $(patsubst i%86,i386,$(ARCH:x86_64=$(if $(filter -m32,$(CC) \
          $(CFLAGS)),i386,x86_64)))
SWITCH ?= $(if $(wildcard runtime/switch_$(ARCH).S),$(ARCH),ucontext)
POLLER ?= $(if $(findstring linux,$(TRIPLE)),epoll,kqueue)
SEAM   ?= $(if $(findstring linux,$(TRIPLE)),linux,posix)
MACH_O := $(or $(findstring darwin,$(TRIPLE)),$(findstring macos,$(TRIPLE)),\
          $(findstring apple,$(TRIPLE)))
ifeq ($(SWITCH)$(findstring musl,$(TRIPLE)$(CC)),ucontextmusl)
$(error SWITCH=ucontext: musl has no makecontext)
endif

# The C++ compiler that belongs to CC; or why there is none.
ifeq ($(origin CXX),default)
CXX := $(subst gcc,g++,$(subst clang,clang++,$(patsubst cc,c++,$(CC))))
endif
NO_CXX := $(shell test "$$($(CXX) -dumpmachine 2>&1)" = '$(TRIPLE)' && \
          $(CXX) -include exception -fsyntax-only -x c++ /dev/null \
          2>/dev/null || echo 'no C++ compiler: $(CXX) does not work')

# A cross compiler brings its own archiver; CC='ccache gcc' makes one word.
ifeq ($(origin AR),default)
AR := $(or $(patsubst %gcc,%ar,$(filter-out musl-gcc,$(filter %-gcc,$(CC)))),\
      $(patsubst %zig,%zig ar,$(filter zig %/zig,$(firstword $(CC)))),ar)
endif
empty  :=
CCNAME := $(subst =,-,$(subst $(empty) ,_,$(strip $(notdir $(CC)))))
OUT    := build/$(BUILD)-$(CCNAME)-$(SWITCH)-$(POLLER)$(if \
          $(filter posix,$(SEAM)),-posix)

# --- flags: a flavour's own come first, the caller's CFLAGS last
FLAVOUR_release  := -O2 -g
FLAVOUR_debug    := -O0 -g -DWEFT_DEBUG
FLAVOUR_valgrind := -O1 -g -DWEFT_DEBUG -DWEFT_VALGRIND \
                    -include runtime/helgrind.h
FLAVOUR_asan     := -O1 -g -DWEFT_DEBUG -fsanitize=address,undefined \
                    -fno-sanitize-recover=all
FLAVOUR_ubsan    := -O1 -g -DWEFT_DEBUG -DWEFT_UBSAN -fsanitize=undefined \
                    -fno-sanitize-recover=all
FLAVOUR_tsan     := -O1 -g -DWEFT_DEBUG -fsanitize=thread
FLAVOUR_msan     := -O1 -g -DWEFT_DEBUG -fsanitize=memory \
                    -fsanitize-memory-track-origins -fno-sanitize-recover=all
FLAVOUR_hostile  := -O1 -g -DWEFT_DEBUG -DWEFT_HOSTILE
FLAVOUR_fuzz     := -O1 -g -DWEFT_DEBUG -DWEFT_FUZZ \
                    -fsanitize=fuzzer-no-link,address,undefined \
                    -fno-sanitize-recover=all
FLAVOUR_cover    := -O0 -g -DWEFT_DEBUG -DWEFT_HOSTILE -DWEFT_COVER --coverage \
                    -fprofile-update=atomic
ifeq ($(FLAVOUR_$(BUILD)),)
$(error BUILD=$(BUILD) is not one of: release debug valgrind asan ubsan tsan \
        msan hostile fuzz cover)
endif

# A debug flavour keeps frame pointers and stack canaries; a canary in every
# frame costs too much on the switch path of a release.
DEBUGGABLE := $(if $(filter release,$(BUILD)),,-fno-omit-frame-pointer \
              -fstack-protector-strong)

# What not every compiler knows is tried once; $(call takes,-fflag) is the flag
# or nothing. (There are compilers that put what is for /dev/null elsewhere.)
takes   = $(shell mkdir -p build && $(CC) -Werror $(1) -x c -c /dev/null \
          -o build/takes-$$$$.o 2>/dev/null && echo '$(1)'; \
          rm -f build/takes-$$$$.o)
HARDEN := $(call takes,-fstack-clash-protection) \
          $(if $(filter x86_64 i386,$(ARCH)),\
          $(call takes,-fcf-protection=branch))
PREMAP := $(call takes,-ffile-prefix-map=$(CURDIR)=.)
# Of assembly clang names the directory all the same.
ASMMAP := $(call takes,-fdebug-compilation-dir=.)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wvla -Wundef

# Where a long has 32 bits: files over 2 GiB, and times after 2038. A user of
# weft/file.h needs the same, which it says, and weft.pc tells.
LONG := $(shell echo __SIZEOF_LONG__ | $(CC) $(CFLAGS) -E -P -x c -)
WIDE := $(if $(filter 4,$(LONG)),-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64)

# Without unwind tables, which riscv64 compilers leave out, a report's backtrace
# would end at its first line.
COMPILE = $(CC) -std=c11 -D_GNU_SOURCE $(WARN) -fvisibility=hidden -pthread \
          -fasynchronous-unwind-tables $(WIDE) $(HARDEN) $(PREMAP) \
          $(DEBUGGABLE) $(FLAVOUR_$(BUILD)) \
          $(if $(filter ucontext,$(SWITCH)),-DWF_SWITCH_UCONTEXT) \
          $(if $(filter posix,$(SEAM)),-DWF_SEAM_POSIX) $(CPPFLAGS) $(CFLAGS) \
          $(TUNE)
COMPILE_CXX = $(CXX) -std=c++17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic \
          -pthread $(WIDE) $(HARDEN) $(PREMAP) $(DEBUGGABLE) \
          $(filter-out -include %.h,$(FLAVOUR_$(BUILD))) $(CPPFLAGS) $(CXXFLAGS)
CXXFLAGS ?= $(CFLAGS)
LINK     = $(CC) $(LINKS)
LINK_CXX = $(CXX) $(LINKS)
LINKS    = -pthread $(filter -fsanitize=% --coverage,$(FLAVOUR_$(BUILD))) \
          $(LINK_ELF) $(LINK_SHIM) $(CFLAGS) $(LDFLAGS)
ifeq ($(MACH_O),)
LINK_ELF := -Wl,-z,relro,-z,now,-z,noexecstack
endif
# Timers were in a library of their own before glibc 2.34.
ifneq ($(findstring linux,$(TRIPLE)),)
SYSLIBS := -lrt
endif

# --- sources: every .c of a module, less the platform files not chosen
MODULES  := runtime reactor sync exec net http
PLATFORM := $(wildcard runtime/switch_*.[cS] reactor/poller_*.c) \
            runtime/os_posix.c
CHOSEN   := $(wildcard runtime/switch_$(SWITCH).[cS] runtime/os_$(SEAM).c \
                       reactor/poller_$(POLLER).c)
SRCS := $(filter-out $(PLATFORM),$(wildcard $(MODULES:=/*.c))) $(CHOSEN)
LIB  := $(OUT)/libweft.a

# --- kqueue where there is none: a stand-in, for the tests (tests/kqueue)
ifeq ($(POLLER)$(findstring linux,$(TRIPLE)),kqueuelinux)
SHIM      := $(OUT)/tests/kqueue/kqueue.o
LINK_SHIM := $(SHIM) -Wl,--wrap=close
$(OUT)/reactor/poller_kqueue.o $(OUT)/tests/kqueue/%.o: \
    INCLUDE = -Iinclude -I. -Itests/kqueue
endif

# --- programs: test_*, bench_*, floor_* and load*; what stands beside them is
#     linked into each
TEST_SRCS  := $(wildcard tests/test_*.c $(if $(filter kqueue,$(POLLER)),\
              tests/kqueue/test_kqueue.c $(if $(SHIM),tests/kqueue/test_shim*.c)))
BENCH_SRCS := $(wildcard bench/bench_*.c bench/floor_*.c bench/load*.c)
EXAMP_SRCS := $(wildcard examples/*.c)

# In C++ too; tests say so where they cannot be built.
CXX_TESTS := $(patsubst %.cc,$(OUT)/%,$(wildcard tests/test_*.cc))
CXX_EXAMP := $(if $(NO_CXX),,\
             $(patsubst %.cc,$(OUT)/%,$(wildcard examples/*.cc)))

TESTS := $(TEST_SRCS:%.c=$(OUT)/%) $(CXX_TESTS)
BENCH := $(BENCH_SRCS:%.c=$(OUT)/%)
EXAMP := $(EXAMP_SRCS:%.c=$(OUT)/%) $(CXX_EXAMP)

object     = $(patsubst %,$(OUT)/%.o,$(basename $(1)))
LIB_OBJS   := $(call object,$(SRCS))
TEST_WITH  := $(call object,$(filter-out $(TEST_SRCS),$(wildcard tests/*.c)))
BENCH_WITH := $(call object,$(filter-out $(BENCH_SRCS),$(wildcard bench/*.c)))

# The stress is a program, and, in short, a test.
STRESS      := $(OUT)/stress/stress
STRESS_MAIN := $(OUT)/stress/main.o
STRESS_WITH := $(filter-out $(STRESS_MAIN),$(call object,$(wildcard stress/*.c)))

# Streams of HTTP changed by chance, through the parser and through a model.
FUZZ_HTTP      := $(OUT)/stress/http/fuzz-http
FUZZ_HTTP_OBJS := $(call object,stress/http/main.c tests/chance.c \
                  $(filter-out tests/http_heads.c,$(wildcard tests/http_*.c)))

# What reads the octets of strangers: programs of clang's fuzzer, and a test.
FUZZ      := $(patsubst %.c,$(OUT)/%,$(wildcard fuzz/fuzz_*.c))
FUZZ_WITH := $(FUZZ:=.o)

# --- layers: net, http, the benchmarks and the examples see only what a user sees
INCLUDE = -Iinclude -I.
$(OUT)/net/%.o $(OUT)/http/%.o $(OUT)/bench/%.o $(OUT)/examples/%.o: INCLUDE = -Iinclude

# The tests may be compiled with flags of their own: -O0 takes a quarter of the
# time, where it is the library that differs.
$(OUT)/tests/%.o $(OUT)/stress/%.o: private TUNE = $(TESTFLAGS)

# The JSON of an example, where its library can be linked (libjansson-dev). It
# has no part in what msan sees. (\043 is what begins a comment here.)
JSON = $(if $(filter msan,$(BUILD)),,$(shell mkdir -p build && printf '%b' \
       '\043include <jansson.h>\nint main(void) { json_decref(json_null()); }' \
       | $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -x c - -ljansson \
       -o build/json-$$$$ 2>/dev/null && echo jansson; \
       rm -f build/json-$$$$))
$(OUT)/examples/http_server.o: private TUNE = $(if $(JSON),-DWITH_JANSSON)
$(OUT)/examples/http_server: private ALSO = $(JSON:%=-ljansson)

# --- targets
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all test suite orders memcheck threads helgrind cases memcases sweep \
        sweep-here hostile hostile-here torture torture-here stress fuzz-http \
        fuzz fuzz-here fuzz-merge fuzz-merge-here check lint analyze cover elf \
        bench bench-programs test-programs examples install clean help FORCE

# Test runs of one `make` add up in the file TOTALS when it is given.
TOTALS ?=
SUM     = tools/run-tests.sh --sum
AGAIN   = $(MAKE) --no-print-directory \
          $(if $(findstring -j,$(MAKEFLAGS)),,-j$(CORES))
CORES   = $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

all: $(LIB) ## the library (default)

test: ## the tests, and again under Valgrind where it is installed
	@mkdir -p $(OUT) && rm -f $(OUT)/totals
	+@$(AGAIN) suite TOTALS=$(OUT)/totals
ifeq ($(BUILD)$(RUNNER),release)
	+@if why=$$(tools/run-tests.sh --can-run '$(VALGRIND)'); then \
	    $(AGAIN) suite BUILD=valgrind RUNNER='$(MEMCHECK)' \
	        TOTALS=$(OUT)/totals; \
	else \
	    echo "skip the Valgrind part: $$why"; \
	    echo '0 0 1' >>$(OUT)/totals; \
	fi
endif
	@$(SUM) $(OUT)/totals

suite: $(TESTS) $(EXAMP) ## the tests in this flavour alone
	@echo '== $(notdir $(OUT))'
	@TOTALS='$(TOTALS)' tools/run-tests.sh '$(RUNNER)' '$(FILTER)' $(TESTS)

# What is the same in every order is left out.
ORDERS ?= 20
orders: $(TESTS) ## the tests in ORDERS=20 orders of ready fibers
	@echo '== $(notdir $(OUT)) in $(ORDERS) orders'
	@TEST_ORDER=1-$(ORDERS) TOTALS='$(TOTALS)' tools/run-tests.sh \
	    '$(RUNNER)' '$(FILTER)' $(TESTS)

memcheck: ## the tests under Valgrind
	+@$(AGAIN) suite BUILD=valgrind RUNNER='$(MEMCHECK)'

# Of what runs on several threads; helgrind has nothing to say about the rest.
THREADED = $(patsubst %,$(OUT)/tests/test_%,remote post token blocking file \
             signal process foreign_thread fork two_threads watchdog)
threads: $(THREADED) ## the tests that have several threads
	@echo '== $(notdir $(OUT)), several threads'
	@TOTALS='$(TOTALS)' tools/run-tests.sh '$(RUNNER)' '$(FILTER)' $(THREADED)
helgrind: ## the same under helgrind
	+@$(AGAIN) threads BUILD=valgrind RUNNER='$(HELGRIND)'

# Tests named by a rule of structured concurrency, such as nur_02_...
CASES := $(patsubst %,/%_,nur spn pol sco shd cp err cln gat wai loc gen bgt \
         clk dlk grt sem mtx cnd evb rwl chn sel fds blk xth)
cases: ## the cases of the contract in all orders
	+@$(AGAIN) orders FILTER='$(CASES)'
memcases: ORDERS = 2
memcases: ## the same under Valgrind, in ORDERS=2 orders
	+@$(AGAIN) cases BUILD=valgrind RUNNER='$(MEMCHECK)' ORDERS=$(ORDERS)

# A hostile world in SEEDS=20 draws: what moves octets, waits for the outside or
# has threads; what takes long, in the first of them.
HOSTILE      = $(patsubst %,$(OUT)/tests/test_%,$(HOSTILE_WORK))
HOSTILE_WORK = accept away away_scopes away_tasks blocking cancel_points_io \
               chan_workers dial dial_names dns dns_cache dns_forged \
               dns_records dns_servers dns_tcp dns_which dump example_proxy \
               eyeballs eyeballs_failed file file_cache foreign fork grant_io \
               http_client_send http_client_stale http_files http_files_parts \
               http_route_replies http_served http_server http_server_body \
               http_server_pieces http_server_refusals http_server_reuse io \
               io_close io_edges io_ends listen listen_inherited net outside \
               pipe poller post process process_without_pidfd random remote \
               select_fd serve serve_bad serve_limits serve_memory serve_stats \
               serve_stop serve_workers signal splice splice_ways stream \
               stream_out stream_over stream_over_copy stream_over_out \
               stream_random stream_reserve stream_try_flush sweep_dial \
               sweep_io sweep_net sweep_process sweep_udp sweep_unix testing \
               token tty udp udp_batch udp_group udp_local unix unix_fds \
               workers workers_end workers_random workers_with ws_client \
               ws_close ws_edges ws_read ws_send ws_server
HOSTILE_LONG = $(patsubst %,$(OUT)/tests/test_%,anywhere chan_mt fd_races \
               memory random_programs stream_scratch watchdog \
               workers_deadlock)
hostile: ## the tests in SEEDS=20 hostile worlds: short, EINTR, EAGAIN, events
	+@$(AGAIN) hostile-here BUILD=hostile SEEDS=$(if \
	    $(filter command%,$(origin SEEDS)),$(SEEDS),20)
hostile-here: export TEST_TIMEOUT ?= 100
hostile-here: $(HOSTILE) $(HOSTILE_LONG)
	@echo '== $(notdir $(OUT)) in $(SEEDS) hostile worlds' && \
	    rm -f $(OUT)/totals
	@for seed in $$(seq $(SEEDS)); do \
	    echo "-- WEFT_HOSTILE=$$seed"; \
	    WEFT_HOSTILE=$$seed TOTALS=$(OUT)/totals tools/run-tests.sh \
	        '$(RUNNER)' '$(FILTER)' $(HOSTILE) \
	        $$([ $$seed != 1 ] || echo $(HOSTILE_LONG)) | \
	        grep -Ev '^(ok|skip)  ' || true; \
	done
	@$(SUM) $(OUT)/totals

sweep: ## each fiber cancelled at each cancel point, each allocation failed
	+@$(AGAIN) sweep-here BUILD=hostile

# In eight orders each, which takes seconds; SWEEP_ORDERS=100 takes minutes.
SWEEPS = $(filter $(OUT)/tests/test_sweep%,$(TESTS))
sweep-here: export SWEEP_ORDERS ?= 8
sweep-here: export TEST_TIMEOUT ?= 600
sweep-here: export SWEEP_TOTALS = $(CURDIR)/$(OUT)/swept
sweep-here: $(SWEEPS)
	@echo '== $(notdir $(OUT))' && rm -f $(OUT)/totals $(SWEEP_TOTALS)
	@TOTALS=$(OUT)/totals tools/run-tests.sh '$(RUNNER)' '$(FILTER)' $(SWEEPS)
	@awk '{ s += $$1; p += $$2; a += $$3 } END { printf \
	    "%d scenarios, %d points struck, %d allocations failed\n", s, p, a }' \
	    $(SWEEP_TOTALS)
	@$(SUM) $(OUT)/totals

# What is counted: targets, each with the variables it is given, joined by +.
COVER_RUNS  ?= suite suite+WEFT_HOSTILE_EINTR=1+FILTER=test_io sweep-here
COVER_LEAST ?= 95
GCOV        ?= gcov
cover: export TEST_TIMEOUT ?= 300
cover: ## which lines of the library all that reaches, 95 % at the least
	@tools/cover.sh --forget build/cover-*
	+@bad=0; for run in $(COVER_RUNS); do \
	    $(AGAIN) BUILD=cover $$(echo $$run | tr + ' ') || bad=1; \
	done; \
	tools/cover.sh '$(GCOV)' build/cover '$(COVER_LEAST)' build/cover-* && \
	    exit $$bad

# Each call that can fail does so (torture/). TORTURE=quick: at its first use.
TORTURE      ?= full
TORTURE_MAIN := $(OUT)/torture/torture
TORTURE_OBJS := $(call object,$(wildcard torture/*.c))
torture: ## every site of a fallible call fails, with each of its errors
	+@$(AGAIN) torture-here BUILD=hostile
torture-here: $(TORTURE_MAIN)
	@echo '== $(notdir $(OUT)), $(TORTURE)'
	@$(TORTURE_MAIN) --self-test
	@$(TORTURE_MAIN) $(if $(filter quick,$(TORTURE)),--quick) $(FILTER)

# A difference names the SEED and the FIRST step of the program that shows it.
SEED  ?= $(shell date +%s)
SEEDS ?= 1
FIRST ?= 0
STEPS ?= 1000000
WAKES ?= 2000000
stress: $(STRESS) ## SEEDS=1 times STEPS=1000000 random steps against a model
	@echo '== $(notdir $(OUT))'
	@$(RUNNER) $(STRESS) -v --seed $(SEED) --seeds $(SEEDS) \
	    --first $(FIRST) --steps $(STEPS) --wakes $(WAKES)

# What is printed of a difference ends in its SEED.
fuzz-http: $(FUZZ_HTTP) ## SEEDS=1 mutated streams of HTTP: parser against model
	@echo '== $(notdir $(OUT)), seeds from $(SEED) on'
	@$(RUNNER) $(FUZZ_HTTP) --seed $(SEED) --seeds $(SEEDS)

# Each program for SECS=60 seconds. What it finds is kept in build/; fuzz-merge
# makes of it the corpus that test_corpus replays.
SECS    ?= 60
FUZZ_CC ?= clang
FUZZING  = $(AGAIN) BUILD=fuzz CC='$(FUZZ_CC)'
NO_FUZZ  = $(shell tools/fuzz.sh --can '$(FUZZ_CC)')
fuzz: ## SECS=60 seconds of libFuzzer for each parser of strangers' octets
	+@$(if $(NO_FUZZ),echo 'skip the fuzzer: $(NO_FUZZ)',$(FUZZING) fuzz-here)
fuzz-merge: ## fuzz/corpus anew, of what these have found
	+@$(if $(NO_FUZZ),echo 'skip the fuzzer: $(NO_FUZZ)',\
	    $(FUZZING) fuzz-merge-here)
fuzz-here: $(FUZZ)
	@tools/fuzz.sh '$(SECS)' '$(FILTER)' $(OUT)/found $(FUZZ)
fuzz-merge-here: $(FUZZ)
	@tools/fuzz.sh --merge '$(FILTER)' $(OUT)/found $(FUZZ)

check: ## all that should hold before a commit
	+@$(AGAIN) examples bench-programs
	+@$(AGAIN) lint
	@mkdir -p $(OUT) && rm -f $(OUT)/totals
	+@$(AGAIN) suite TOTALS=$(OUT)/totals BUILD=debug
	+@$(AGAIN) suite TOTALS=$(OUT)/totals SWITCH=ucontext
	+@$(AGAIN) suite TOTALS=$(OUT)/totals POLLER=poll
	@$(SUM) $(OUT)/totals

lint: ## include rules, the seam, and headers that stand alone
	@tools/lint.sh '$(strip $(CC) $(WIDE))' $(OUT)

analyze: ## what gcc -fanalyzer, cppcheck, clang-tidy and shellcheck find
	@tools/analyze.sh

# Of a library and programs as users link them, so not of a sanitizer's.
ELF_PROGRAMS = $(OUT)/examples/hello $(OUT)/examples/http_server \
               $(OUT)/tests/test_fiber
elf: $(LIB) $(ELF_PROGRAMS) ## what readelf says of the library and of programs
	@tools/check-elf.sh --self-test '$(CC)'
	@LDFLAGS='$(LDFLAGS)' tools/check-elf.sh '$(CC)' $^
	@tools/check-elf.sh --twice '$(CC)' BUILD='$(BUILD)' SWITCH='$(SWITCH)' \
	    POLLER='$(POLLER)'

bench: ## build all in release and measure; QUICK=1 for a short run
	+@$(AGAIN) bench-programs examples BUILD=release
	@QUICK='$(QUICK)' tools/run-bench.sh $(OUT:build/$(BUILD)-%=build/release-%)

bench-programs: $(BENCH)

test-programs: $(TESTS) $(STRESS) ## the tests, not run

examples: $(EXAMP) ## the examples, as build/examples/NAME
	@mkdir -p build/examples
	@for program in $(EXAMP); do \
	    ln -sf ../../$$program build/examples/ || exit 1; \
	done

install: $(LIB) ## library, headers and weft.pc to DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig \
	    $(DESTDIR)$(PREFIX)/include/weft
	install -m 644 $(LIB) $(DESTDIR)$(PREFIX)/lib
	install -m 644 include/weft.h $(DESTDIR)$(PREFIX)/include
	install -m 644 include/weft/*.h $(DESTDIR)$(PREFIX)/include/weft
	version=$$(sed -n 's/^#define WEFT_VERSION *"\(.*\)"/\1/p' \
	        include/weft.h include/weft/*.h | head -n 1) && \
	    sed -e 's|@PREFIX@|$(PREFIX)|' -e "s|@VERSION@|$${version:-0.1.0}|" \
	        -e 's|@SYSLIBS@|$(SYSLIBS)|' \
	        -e 's|@WIDE@|$(if $(WIDE),$(empty) $(WIDE))|' \
	        tools/weft.pc.in >$(OUT)/weft.pc
	install -m 644 $(OUT)/weft.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig

clean: ## remove what was built
	@rm -rf build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /    \1\t/p' Makefile | expand -t 16
	@echo '  BUILD=release|debug|valgrind|asan|ubsan|tsan|msan|hostile|fuzz|cover'
	@echo '  CC=  SWITCH=  POLLER=  SEAM=linux|posix  PREFIX=  DESTDIR=  FILTER=name'
	@echo '  RUNNER=program  QUICK=1  ORDERS=n  SEED=n  SEEDS=n  STEPS=n  WAKES=n'
	@echo '  SECS=n  TESTFLAGS=-O0'

# --- rules
$(LIB): $(LIB_OBJS) $(OUT)/members
	@echo '  AR   $@' && rm -f $@ && $(AR) rcs $@ $(LIB_OBJS)
$(TESTS): %: %.o $(TEST_WITH) $(LIB) $(OUT)/members
	@echo '  LD   $@' && $(LINK) -o $@ $< $(TEST_WITH) $(ALSO) $(LIB) -lm \
	    $(SYSLIBS) $(LDLIBS)
$(OUT)/tests/test_stress: ALSO = $(STRESS_WITH)
$(OUT)/tests/test_stress: $(STRESS_WITH)
$(OUT)/tests/test_corpus: ALSO = $(FUZZ_WITH)
$(OUT)/tests/test_corpus: $(FUZZ_WITH)
$(FUZZ): %: %.o $(LIB) $(OUT)/members
	@echo '  LD   $@' && $(LINK) -fsanitize=fuzzer -o $@ $< $(LIB) $(SYSLIBS) \
	    $(LDLIBS)
$(STRESS): $(STRESS_MAIN) $(STRESS_WITH) $(LIB) $(OUT)/members
	@echo '  LD   $@' && \
	    $(LINK) -o $@ $(STRESS_MAIN) $(STRESS_WITH) $(LIB) $(SYSLIBS) \
	    $(LDLIBS)
$(FUZZ_HTTP): $(FUZZ_HTTP_OBJS) $(LIB) $(OUT)/members
	@echo '  LD   $@' && $(LINK) -o $@ $(FUZZ_HTTP_OBJS) $(LIB) $(SYSLIBS) \
	    $(LDLIBS)
$(TORTURE_MAIN): $(TORTURE_OBJS) $(LIB) $(OUT)/members
	@echo '  LD   $@' && $(LINK) -o $@ $(TORTURE_OBJS) -Wl,--whole-archive \
	    $(LIB) -Wl,--no-whole-archive -lm $(SYSLIBS) $(LDLIBS)
$(BENCH): %: %.o $(BENCH_WITH) $(LIB) $(OUT)/members
	@echo '  LD   $@' && $(LINK) -o $@ $< $(BENCH_WITH) $(LIB) -lm \
	    $(SYSLIBS) $(LDLIBS)
$(EXAMP): %: %.o $(LIB) $(OUT)/flags
	@echo '  LD   $@' && $(LINK) -o $@ $< $(LIB) $(ALSO) $(SYSLIBS) \
	    $(LDLIBS)
$(OUT)/%.o: %.c $(OUT)/flags
	@echo '  CC   $<' && mkdir -p $(@D) && \
	    $(COMPILE) $(INCLUDE) -MMD -MP -c -o $@ $<
$(OUT)/%.o: %.S $(OUT)/flags
	@echo '  AS   $<' && mkdir -p $(@D) && \
	    $(COMPILE) $(ASMMAP) $(INCLUDE) -MMD -MP -c -o $@ $<

$(TESTS) $(BENCH) $(EXAMP) $(STRESS) $(FUZZ_HTTP): $(SHIM)
ifeq ($(NO_CXX),)
$(CXX_TESTS) $(CXX_EXAMP): private LINK = $(LINK_CXX)
$(OUT)/%.o: %.cc $(OUT)/flags
	@echo '  CXX  $<' && mkdir -p $(@D) && \
	    $(COMPILE_CXX) $(INCLUDE) -MMD -MP -c -o $@ $<
else
$(CXX_TESTS:=.o): tests/without/cxx.c $(OUT)/flags
	@echo '  CC   $< for $(@F)' && mkdir -p $(@D) && \
	    $(COMPILE) $(INCLUDE) -DWHY='"$(NO_CXX)"' -MMD -MP -c -o $@ $<
endif

# A stamp holds a text and is touched when the text changes: the commands with
# the compiler's version for every object, and the list of what is linked, so
# that a file taken away leaves the library too.
$(OUT)/flags: export STAMP = $(COMPILE) / $(LINK) $(LDLIBS) / \
    $(COMPILE_CXX) / $(NO_CXX) / $(TESTFLAGS) / \
    $(shell $(CC) --version | head -n 1)
$(OUT)/members: export STAMP = $(LIB_OBJS) / $(TEST_WITH) / $(BENCH_WITH) / \
    $(STRESS_WITH) / $(FUZZ_HTTP_OBJS) / $(FUZZ_WITH) / $(TORTURE_OBJS)
$(OUT)/members: $(OUT)/flags
$(OUT)/flags $(OUT)/members: FORCE
	@mkdir -p $(@D) && printf '%s\n' "$$STAMP" | cmp -s - $@ || \
	    printf '%s\n' "$$STAMP" >$@

-include $(patsubst %.o,%.d,$(SHIM) $(LIB_OBJS) $(TEST_WITH) $(BENCH_WITH) \
         $(STRESS_MAIN) $(STRESS_WITH) $(FUZZ_HTTP_OBJS) $(FUZZ_WITH) \
         $(TORTURE_OBJS)) \
         $(patsubst %,%.d,$(TESTS) $(BENCH) $(EXAMP))
