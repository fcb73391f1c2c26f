# SPDX-License-Identifier: BSD-3-Clause
# One file, not recursive; `make help` prints the targets. Nothing is written outside build/, where
# each variant (a compiler with its flags) has a folder of its own:
#
#   build/VARIANT/obj/         objects, as the sources lie
#   build/VARIANT/*.a vqsim    the two libraries and the command
#   build/VARIANT/tests/NAME   from tests/NAME.c, for every tests/*_test.c
#   build/VARIANT/replay_NAME  from fuzz/target_NAME.c: runs input files, under any compiler
#   build/fuzz/NAME            from fuzz/target_NAME.c, with libFuzzer
#   build/gcc/perf/NAME        from perf/NAME.c, for every one that has a main
#
# CC=... chooses the compiler of `make` (and with it the variant gcc or clang); CFLAGS, CPPFLAGS,
# LDFLAGS and LDLIBS come after our own flags and so win over them; WERROR= lets warnings pass.

PREFIX  ?= /usr/local
V       ?= gcc clang clang-asan memcheck style
T       ?=
TIME    ?= 60
WERROR  ?= -Werror
VERSION := $(shell sed -n 's/.*VQSIM_VERSION *"\(.*\)"/\1/p' vqsim/version.h 2>/dev/null)

# CC names one of the two compilers; make's own default ("cc") says nothing.
GCC     ?= gcc
CLANG   ?= clang
VARIANT := gcc
ifneq ($(origin CC),default)
ifneq ($(findstring clang,$(CC)),)
CLANG   := $(CC)
VARIANT := clang
else
GCC     := $(CC)
endif
endif

# The scripts read these; Debian keeps mke2fs where the PATH of an ordinary user does not look.
export INSTALL V T TIME GCC CLANG
export PATH := $(PATH):/usr/sbin:/sbin

# In parallel unless -j says otherwise (a -j of the command line wins over this one).
ifeq ($(filter -j% --jobs%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif
MAKEFLAGS += --output-sync=target --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
GOALS := $(or $(MAKECMDGOALS),all)

# `make clean check` means one after the other.
ifneq ($(and $(filter clean,$(GOALS)),$(filter-out clean,$(GOALS))),)
.NOTPARALLEL:
endif

# Starts a recipe that shows its progress: '+' takes it out of --output-sync. Because '+' also
# makes it run under `make -n`, it must not do so itself.
LIVE = +@$(if $(findstring n,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),echo,)

# --- variants ---------------------------------------------------------------------------------

VARIANTS := gcc clang gcc-asan clang-asan coverage fuzz

WARN := -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wvla
SAN  := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

CC_gcc        := $(GCC)
CC_clang      := $(CLANG)
CC_gcc-asan   := $(GCC)
CC_clang-asan := $(CLANG)
CC_coverage   := $(GCC)
CC_fuzz       := $(CLANG)

# valgrind 3.19 aborts on the DWARF 5 of clang 14, hence -gdwarf-4.
# -g1: a report needs functions and lines, not variables, and gcc is faster without those.
CFLAGS_gcc        := -O2 -g
CFLAGS_clang      := -O2 -gdwarf-4
CFLAGS_gcc-asan   := -O1 -g1 $(SAN)
CFLAGS_clang-asan := -O1 -g $(SAN)
CFLAGS_coverage   := -O0 -g --coverage -fprofile-update=atomic
CFLAGS_fuzz       := -O1 -g $(SAN) -fsanitize=fuzzer-no-link

LDFLAGS_gcc-asan   := $(SAN)
LDFLAGS_clang-asan := $(SAN)
LDFLAGS_coverage   := --coverage
LDFLAGS_fuzz       := $(SAN) -fsanitize=fuzzer

# --- sources ----------------------------------------------------------------------------------

DEVICES      := $(sort $(wildcard devices/*.c devices/*/*.c))
CLI          := $(sort $(wildcard vqsim/cli/*.c))
VQSIM        := $(filter-out $(CLI),$(sort $(wildcard vqsim/*.c vqsim/*/*.c)))
TESTS        := $(patsubst tests/%.c,%,$(sort $(wildcard tests/*_test.c)))
TEST_SUPPORT := $(sort $(wildcard tests/support/*.c))
FUZZERS      := $(patsubst fuzz/target_%.c,%,$(sort $(wildcard fuzz/target_*.c)))
FUZZ_SUPPORT := $(sort $(wildcard fuzz/support/*.c))
PERF         := $(sort $(wildcard perf/*.c))
PERF_MAINS   := $(if $(PERF),$(sort $(shell grep -lw '^int main' $(PERF))))
PERF_SUPPORT := $(filter-out $(PERF_MAINS),$(PERF))
PERFS        := $(PERF_MAINS:%.c=build/gcc/%)

HEADERS := $(filter-out vqsim/cli/% %internal.h, \
	$(sort $(wildcard devices/*.h devices/*/*.h vqsim/*.h vqsim/*/*.h)))

# --- targets ----------------------------------------------------------------------------------

.PHONY: all run check check-million check-mount check-linux check-crash check-peers fuzz fuzz-seeds perf perf-gate coverage ledger style deps install clean help FORCE

all: build/vqsim ## Build the command build/vqsim and its libraries (the default)

run: build/vqsim ## The main job: real images and directories through ring, block and fs device
	$(LIVE) sh ci/run-blk.sh build/vqsim
	$(LIVE) sh ci/run-fs.sh build/vqsim

check: ## Every test: gcc and clang, plain, sanitized and under memcheck; corpora; style
	$(LIVE) sh ci/check.sh

check-mount: build/vqsim ## git, tar, sqlite3, fio, stress-ng on the fs device, through this kernel's FUSE
	$(LIVE) sh ci/mount.sh build/vqsim

check-million: build/gcc/million ## One million files in one tree, as root and as an ordinary user
	$(LIVE) sh ci/million.sh build/gcc/million

check-linux: build/vqsim ## A real Linux as a guest (no virtual machine) on the served devices
	$(LIVE) sh ci/linux.sh build/vqsim

check-crash: build/vqsim ## Kill such guests at work; what they had fsync'ed must be there
	$(LIVE) sh ci/linux-crash.sh build/vqsim

check-peers: build/vqsim ## The suite against strangers' backends and our own, over vhost-user: a table
	$(LIVE) sh ci/peers.sh build/vqsim

fuzz: ## Run every fuzz target for TIME seconds
	$(LIVE) sh ci/fuzz.sh $(FUZZERS)

fuzz-seeds: build/gcc/seeds ## Write the seed corpora in fuzz/corpus anew
	$< fuzz/corpus

perf: $(PERFS) build/vqsim ## Measure: ns and device instructions per request, with plots
	$(LIVE) sh perf/perf.sh

perf-gate: $(PERFS) ## Only what CI compares with perf/budget: instructions per request
	$(LIVE) sh perf/perf.sh gate

coverage: ## Line and branch coverage of devices/ and vqsim/, in build/coverage/index.html
	$(LIVE) sh ci/coverage.sh

ledger: build/gcc/ledger ## Which clauses of the standard and historic bugs have a case, and which not
	$(LIVE) sh ci/ledger.sh build/gcc/ledger

style: ## Format, include direction, headers, documented tables, lengths
	@sh ci/style.sh

deps: ## Install what the targets need (they also do it when something is missing)
	$(LIVE) sh ci/deps.sh build run check mount linux coverage fuzz perf

install: all ## Install below PREFIX (and DESTDIR): command, libraries, headers, man page, vqsim.pc
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 755 build/vqsim $(DESTDIR)$(PREFIX)/bin/vqsim
	install -m 644 build/$(VARIANT)/libdevices.a build/$(VARIANT)/libvqsim.a \
		$(DESTDIR)$(PREFIX)/lib
	set -e; for h in $(HEADERS); do \
		install -D -m 644 $$h $(DESTDIR)$(PREFIX)/include/vqsim/$$h; done
	install -D -m 644 vqsim/cli/vqsim.1 $(DESTDIR)$(PREFIX)/share/man/man1/vqsim.1
	sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' vqsim/cli/vqsim.pc.in \
		>$(DESTDIR)$(PREFIX)/lib/pkgconfig/vqsim.pc

clean: ## Remove build/
	rm -rf build

help: ## This text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s  %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  V=\"gcc memcheck\"  make check: only these of: gcc clang gcc-asan clang-asan memcheck style"
	@echo "  T=\"blk disk\"      make check: only tests with one of these words in their name"
	@echo "  TIME=600          make fuzz: seconds for each target"
	@echo "  INSTALL=no        never install a package; name what is missing and stop"
	@echo "  CC= CFLAGS= CPPFLAGS= LDFLAGS= LDLIBS= WERROR= PREFIX= DESTDIR=  as everywhere"

# --- what the goals need from the system ------------------------------------------------------

CHECKED := $(sort $(filter $(VARIANTS),$(V)) $(if $(filter memcheck,$(V)),gcc))

NEEDS_run       := run
NEEDS_check     := tests $(filter memcheck style,$(V)) $(if $(filter clang%,$(CHECKED)),clang)
NEEDS_check-mount := mount
NEEDS_check-million := tests
NEEDS_check-linux := linux
NEEDS_check-crash := linux
NEEDS_check-peers := peers
NEEDS_fuzz      := fuzz
NEEDS_perf      := perf peers
NEEDS_perf-gate := perf
NEEDS_coverage  := coverage
NEEDS_ledger    := tests
NEEDS_style     := style

GROUPS := $(sort build $(foreach g,$(GOALS),$(NEEDS_$g)) \
	$(if $(findstring /tests/,$(GOALS)),tests) \
	$(if $(findstring build/clang,$(GOALS))$(findstring build/fuzz,$(GOALS)),clang))
DEPS := $(GROUPS:%=build/deps/%)

# One call for all groups: two of apt at once would wait for each other's lock.
$(DEPS) &: ci/deps.sh
	$(LIVE) sh ci/deps.sh $(GROUPS)
	@mkdir -p build/deps && touch $(DEPS)

run check fuzz perf perf-gate coverage ledger style: | $(DEPS)

# --- rules, once for each variant -------------------------------------------------------------

# $(call stamp,FILE,VARIABLE): FILE holds the text of VARIABLE and is new when that has changed.
define stamp
ifneq ($$(file <$(1)),$$($(2)))
$(1): FORCE
endif
$(1):
	@mkdir -p $$(@D) && printf '%s\n' '$$(subst ','\'',$$($(2)))' >$$@
endef

# $(call objects,VARIANT,SOURCES)
objects = $(patsubst %.c,build/$(1)/obj/%.o,$(2))

# $(call libraries,VARIANT), in the order of the linker: vqsim calls devices.
libraries = build/$(1)/libvqsim.a build/$(1)/libdevices.a

archive = rm -f $@ && ar rcs $@ $(filter %.o,$^)

# Only what serves devices has a sandbox.
SECCOMP := -Wl,--as-needed -lseccomp -Wl,--no-as-needed

# $(call link,VARIANT)
link = mkdir -p $(@D) && echo "  LD  $@" && $(CC_$(1)) $(CFLAGS_$(1)) $(CFLAGS) $(LDFLAGS_$(1)) \
	$(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(2) -pthread $(SECCOMP) $(LDLIBS)

define variant
COMPILE_$(1) := $$(strip $$(CC_$(1)) -std=gnu11 $$(WARN) -pthread -I. $$(CFLAGS_$(1)) \
	$$(CPPFLAGS) $$(CFLAGS))
FLAGS_$(1) := $$(strip $$(COMPILE_$(1)) $$(LDFLAGS) $$(LDLIBS))
PARTS_$(1) := $$(strip $$(DEVICES) $$(VQSIM) $$(TEST_SUPPORT))
$(call stamp,build/$(1)/flags,FLAGS_$(1))
$(call stamp,build/$(1)/parts,PARTS_$(1))

build/$(1)/obj/%.o: %.c build/$(1)/flags | $(DEPS)
	@mkdir -p $$(@D) && echo "  CC  $$@" && $$(COMPILE_$(1)) -MMD -MP -c -o $$@ $$<

build/$(1)/libdevices.a: $(call objects,$(1),$(DEVICES)) build/$(1)/parts
	@$$(archive)

build/$(1)/libvqsim.a: $(call objects,$(1),$(VQSIM)) build/$(1)/parts
	@$$(archive)

-include $(patsubst %.o,%.d,$(call objects,$(1),$(DEVICES) $(VQSIM) $(CLI) $(TEST_SUPPORT) \
	$(TESTS:%=tests/%.c) tests/ledger.c tests/million.c $(wildcard fuzz/*.c) $(FUZZ_SUPPORT) $(PERF)))
endef

# All but fuzz, whose libFuzzer brings a main of its own.
define programs
build/$(1)/vqsim: $(call objects,$(1),$(CLI)) $(call libraries,$(1))
	@$$(call link,$(1))

# An archive, so that a test is linked with only what it uses of it.
build/$(1)/libsupport.a: $(call objects,$(1),$(TEST_SUPPORT)) build/$(1)/parts
	@$$(archive)

$(TESTS:%=build/$(1)/tests/%): build/$(1)/tests/%: build/$(1)/obj/tests/%.o \
	build/$(1)/libsupport.a $(call libraries,$(1))
	@$$(call link,$(1),-lcmocka)

# It runs the others.
build/$(1)/tests/fs_dir_overlay_test: | $(patsubst %,build/$(1)/tests/%, \
	$(filter-out %_overlay_test,$(filter fs_dir_% fs_xattr_kinds_test fs_forget_test,$(TESTS))))

$(FUZZERS:%=build/$(1)/replay_%): build/$(1)/replay_%: build/$(1)/obj/fuzz/target_%.o \
	$(call objects,$(1),fuzz/replay.c $(FUZZ_SUPPORT)) $(call libraries,$(1))
	@$$(call link,$(1))
endef

$(foreach v,$(VARIANTS),$(eval $(call variant,$v)))
$(foreach v,$(filter-out fuzz,$(VARIANTS)),$(eval $(call programs,$v)))

# Tests run for milliseconds: optimizing them takes longer than it saves. (Not for gcc, which has
# some of its warnings from the optimizer.)
$(foreach v,clang clang-asan,$(eval build/$v/obj/tests/%.o: COMPILE_$v := \
	$(subst $(CFLAGS_$v),$(CFLAGS_$v) -O0,$(COMPILE_$v))))

# Comparisons are worth tracing in the backends; in the guest they are most of the run.
build/fuzz/obj/vqsim/%.o: COMPILE_fuzz += -fno-sanitize-coverage=trace-cmp

$(FUZZERS:%=build/fuzz/%): build/fuzz/%: build/fuzz/obj/fuzz/target_%.o \
	$(call objects,fuzz,$(FUZZ_SUPPORT)) $(call libraries,fuzz)
	@$(call link,fuzz)

SCENARIOS := $(sort $(wildcard tests/support/scenarios*.c))

build/gcc/seeds: $(call objects,gcc,fuzz/seeds.c $(FUZZ_SUPPORT) $(SCENARIOS)) \
	$(call libraries,gcc)
	@$(call link,gcc)

build/gcc/ledger: $(call objects,gcc,tests/ledger.c) build/gcc/libsupport.a $(call libraries,gcc)
	@$(call link,gcc,-lcmocka)

build/gcc/million: $(call objects,gcc,tests/million.c) build/gcc/libsupport.a $(call libraries,gcc)
	@$(call link,gcc,-lcmocka)

$(PERFS): build/gcc/perf/%: build/gcc/obj/perf/%.o $(call objects,gcc,$(PERF_SUPPORT)) \
	$(call libraries,gcc)
	@$(call link,gcc)

# A copy (over a new file: the old one may be running), new also when CC has named another variant.
CHOSEN := build/$(VARIANT)/vqsim
$(eval $(call stamp,build/chosen,CHOSEN))
build/vqsim: $(CHOSEN) build/chosen
	@cp --remove-destination $< $@

# --- what the scripts run ---------------------------------------------------------------------

# $(call named,NAMES): those that have one of the words of T in them.
named = $(if $(strip $(T)),$(foreach n,$(1),$(if $(call has,$n),$n)),$(1))
has = $(strip $(foreach t,$(T),$(findstring $t,$(1))))

# $(call tested,VARIANT): the binaries that ci/check.sh runs; tests call the command too.
tested = build/$(1)/vqsim $(patsubst %,build/$(1)/tests/%,$(call named,$(TESTS))) \
	$(patsubst %,build/$(1)/%,$(call named,$(FUZZERS:%=replay_%))) \
	$(if $(filter gcc,$(1)),$(patsubst %,build/$(1)/%,$(call named,ledger)))

check: $(foreach v,$(CHECKED),$(call tested,$v))
coverage: $(call tested,coverage)
fuzz: $(FUZZERS:%=build/fuzz/%) $(FUZZERS:%=build/gcc/replay_%)
