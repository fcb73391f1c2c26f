#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# One million files in one tree, through the simulated guest and the file-system device: made, all
# looked up without forgetting one, attributes and contents of a sample, all forgotten. On a
# directory with at most 1024 descriptors for the process, as root and as an ordinary user, as it is
# and as the lower layer of an overlay; and in memory.
#
#   ci/million.sh [PROGRAM]     PROGRAM is built from tests/million.c
#
# The directory is made below TMPDIR, or, if that is not set, in memory where there are 4 GB for it: a
# disk that others use takes minutes instead of seconds. It is removed. What needs root
# is left out without it. The last line is "N passed, N failed".
set -eu
LC_ALL=C
export LC_ALL
export CMOCKA_MESSAGE_OUTPUT=TAP

program=$(realpath "${1:-build/gcc/million}")
nobody=65534
limit=1024

[ -x "$program" ] || {
	echo "ci/million.sh: there is no $program; make build/gcc/million builds it" >&2
	exit 1
}

# Where a million files are made quickly.
base() {
	free=$(df -P -k /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
	if [ -n "${TMPDIR:-}" ] || [ "${free:-0}" -lt 4000000 ] || [ ! -w /dev/shm ]; then
		echo "${TMPDIR:-/tmp}"
	else
		echo /dev/shm
	fi
}

dir=$(mktemp -d "$(base)/million.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM
mkdir "$dir/tree"
chmod 755 "$dir" "$dir/tree"

# few PROGRAM ARGUMENT... : with few descriptors.
few() {
	prlimit --nofile="$limit" "$@"
}

# on_overlay ARGUMENT... : the files lie in its lower layer.
on_overlay() {
	mkdir -p "$dir/upper" "$dir/work" "$dir/all"
	# shellcheck disable=SC2016
	few unshare -m sh -c '
		mount -t overlay overlay \
			-o "lowerdir=$1/tree,upperdir=$1/upper,workdir=$1/work" "$1/all" || exit 77
		shift
		"$@"' overlay "$dir" "$program" "$dir/all" "$@"
}

passed=0
failed=0

# job WHAT COMMAND... : count the TAP that it prints.
job() {
	what=$1
	shift
	begin=$(date +%s%N)
	status=0
	"$@" >"$dir/out" 2>"$dir/err" || status=$?
	ms=$((($(date +%s%N) - begin) / 1000000))
	if [ "$status" -eq 77 ]; then
		echo "$what: skipped, no overlay can be mounted here"
		return
	fi
	good=$(grep -c '^ok ' "$dir/out") || true
	bad=$(grep '^not ok ' "$dir/out" | grep -vc ' # SKIP') || true
	# A program that died says nothing of what it had not come to.
	[ "$bad" -gt 0 ] || [ "$status" -eq 0 ] || bad=1
	passed=$((passed + good))
	failed=$((failed + bad))
	echo "$what: $good passed, $bad failed, $ms ms$(sed -n 's/^# \(.* bytes\)/, \1/p' "$dir/out")"
	[ "$bad" -eq 0 ] || cat "$dir/out" "$dir/err"
}

job "in memory" "$program" ram
if [ "$(id -u)" -eq 0 ]; then
	job "a directory, as root" few "$program" "$dir/tree"
	job "a directory, as an ordinary user" few "$program" "$dir/tree" "$nobody"
	job "an overlay, as root" on_overlay
	job "an overlay, as an ordinary user" on_overlay "$nobody"
else
	job "a directory, as an ordinary user" few "$program" "$dir/tree"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
