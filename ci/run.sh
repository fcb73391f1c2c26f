# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# What the main jobs share; they source it after they have set
#   kind    fs or blk: the device, and ci/run-KIND.sh the script
#   vqsim   the command
#   dir     where a run keeps its files

requests=0
bytes=0
violations=0

fail() {
	echo "ci/run-$kind.sh: $*" >&2
	exit 1
}

# step NAME TEXT: one line for what has just been done, with the time it took.
clock=$(date +%s%N)
step() {
	now=$(date +%s%N)
	ms=$(((now - clock) / 1000000))
	clock=$now
	printf '%-8s %-64s %3d.%02d s\n' "$1" "$2" $((ms / 1000)) $((ms % 1000 / 10))
}

# field NAME: a number of the last report.
field() {
	value=$(sed -n "s/^  \"$1\": \([0-9.]*\),\{0,1\}\$/\1/p" "$dir/report.json")
	[ -n "$value" ] || fail "the report $dir/report.json has no $1; look at it"
	echo "$value"
}

# drive ARGUMENT...: one run of the command; its counts are added up.
drive() {
	"$vqsim" run "$kind" "$@" --json >"$dir/report.json" ||
		fail "a run failed; the report is $dir/report.json; again: $vqsim run $kind $*"
	requests=$((requests + $(field requests)))
	bytes=$((bytes + $(field bytes)))
	violations=$((violations + $(field violations)))
}
