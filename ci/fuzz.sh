#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Run each named fuzz target for TIME seconds (60), as many at once as there are processors.
#
#   fuzz/corpus/NAME          the seeds, read only
#   fuzz/NAME.dict            its dictionary, if there is one
#   build/fuzz/corpus/NAME    what earlier runs have found worth keeping; this run goes on from it
#   build/fuzz/crash-NAME-*   findings: inputs that break a rule, crash, hang or leak
#   build/fuzz/violations     the ring around a broken rule, as a picture
#   build/fuzz/NAME.log       everything that libFuzzer printed
#
# Exit status 1 if there was a finding; the command that reproduces it is printed.
set -eu

seconds=${TIME:-60}
case $seconds in
'' | 0 | *[!0-9]*)
	echo "fuzz: TIME cannot be '$seconds'; give a whole number of seconds" >&2
	exit 2
	;;
esac
out=build/fuzz
# The cadence of the progress lines.
pulse=10

# shellcheck source=ci/sanitizers.sh
. ci/sanitizers.sh

# Where the ring around a violation is drawn.
export VQSIM_VIOLATIONS="${VQSIM_VIOLATIONS-$out/violations}"

# progress NAME PID: a line now and then until PID is gone.
progress() {
	waited=0
	while kill -0 "$2" 2>/dev/null; do
		sleep 1
		waited=$((waited + 1))
		[ $((waited % pulse)) -eq 0 ] || continue
		state=$(grep '^#[0-9]' "$out/$1.log" | tail -n 1 | tr '\t' ' ' | tr -s ' ')
		echo "fuzz: $1 $waited s of $seconds: $state"
	done
}

# findings NAME: the artifacts of this run.
findings() {
	find "$out" -maxdepth 1 -name "crash-$1-*" -newer "$out/$1.start" | sort
}

run_target() {
	name=$1
	work=$out/corpus/$name
	mkdir -p "$work"
	: >"$out/$name.start"
	set -- -max_total_time="$seconds" -artifact_prefix="$out/crash-$name-" -timeout=10 \
		-print_final_stats=1
	[ ! -f "fuzz/$name.dict" ] || set -- "$@" -dict="fuzz/$name.dict"
	# To weigh inputs by their rarest features costs a fifth to a third of all runs, and gained nothing.
	set -- "$@" -entropic=0
	# libFuzzer adds to the first corpus only: the seeds stay as they are.
	set -- "$@" "$work"
	[ ! -d "fuzz/corpus/$name" ] || set -- "$@" "fuzz/corpus/$name"

	"$out/$name" "$@" >"$out/$name.log" 2>&1 </dev/null &
	fuzzer=$!
	progress "$name" "$fuzzer"
	status=0
	wait "$fuzzer" || status=$?
	report "$name" "$status"
}

report() {
	name=$1
	count=$(findings "$name" | wc -l)
	done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log" | tail -n 1)
	if [ "$2" -ne 0 ] || [ "$count" -gt 0 ]; then
		tail -n 60 "$out/$name.log" | sed 's/^/    /'
		findings "$name" | sed "s|^|reproduce: build/gcc/replay_$name |"
		# It can also stop without an artifact, for one because a seed does not load.
		[ "$count" -gt 0 ] || echo "fuzz: $name stopped with status $2: $out/$name.log"
		: >"$out/$name.failed"
	fi
	echo "fuzz: $name ${done:-0} executions, $count findings"
}

if [ "${1:-}" = --target ]; then
	run_target "$2"
	exit
fi

if [ $# -eq 0 ]; then
	echo "fuzz: there are no targets (fuzz/target_NAME.c)" >&2
	exit 1
fi
rm -f "$out"/*.failed
# The status of a target is in its .failed file; xargs fails if one could not run at all.
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 sh "$0" --target
for name; do
	[ ! -e "$out/$name.failed" ] || exit 1
done
