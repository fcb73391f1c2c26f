# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# The options of the sanitizers, for scripts to read in (". ci/sanitizers.sh"). What the caller has
# set in the environment comes last and wins.

# ASan's own handler must see a fault before cmocka's does, which would swallow the report.
# Of SIGBUS it has none: devices/serve/shrink.c survives some of them, and that option would keep
# its handler out.
asan_options=allow_user_segv_handler=0:handle_sigbus=0:detect_leaks=1

# clang's run-time names source lines with llvm-symbolizer, which does not come with clang; the
# addr2line of binutils is always there, and slower.
if ! command -v llvm-symbolizer >/dev/null 2>&1 && command -v addr2line >/dev/null 2>&1; then
	asan_options=$asan_options:external_symbolizer_path=$(command -v addr2line)
fi

export ASAN_OPTIONS="$asan_options${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
