#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The main job on real input, of the file-system device: a real directory tree goes through the
# simulated guest, the ring and the device into a directory of this host and back, and must stay what
# it was; then many small files and a large one, with the times of plain system calls beside.
#
#   ci/run-fs.sh [VQSIM]      KEEP=yes leaves the trees in build/run-fs
#
# The last line is "run: N requests, N bytes, 0 violations". After a failure the exit status is 1,
# a line on standard error says what to do, and build/run-fs stays as it is.
set -eu
LC_ALL=C
export LC_ALL

vqsim=${1:-build/vqsim}
dir=build/run-fs
kind=fs

# shellcheck source=ci/run.sh
. ci/run.sh

# Names, kinds, modes, times of change and link targets; owners, if they can be set.
listing() {
	owner=
	[ "$(id -u)" -ne 0 ] || owner=%U:%G
	(
		cd "$1"
		find . -mindepth 1 ! -type l -printf "%P %y %m $owner %T@\\n" | sort
		find . -type l -printf "%P $owner %T@ %l\\n" | sort
	)
}

# same FROM TO: the two trees are.
same() {
	diff -r --no-dereference "$1" "$2" >"$dir/diff.log" ||
		fail "the files of $2 differ from $1; see $dir/diff.log"
	listing "$1" >"$dir/from.list"
	listing "$2" >"$dir/to.list"
	cmp -s "$dir/from.list" "$dir/to.list" ||
		fail "names, modes, owners or times differ: diff $dir/from.list $dir/to.list shows which"
}

# round_trip NAME FROM: into a directory, and on another kind of ring back.
round_trip() {
	mkdir -p "$dir/tree/$1" "$dir/back/$1"
	drive --tree "dir:$dir/tree/$1" --workload put --from "$2"
	same "$2" "$dir/tree/$1"
	step put "$1: $(field files) files into a directory, all as they were"
	drive --tree "dir:$dir/tree/$1" --workload get --to "$dir/back/$1" --block-size 50000 \
		--queue-size 11 --features all,ring_packed
	same "$2" "$dir/back/$1"
	step get "$1: on a packed ring and back, all as they were"
}

# beside WHAT: what the last run of the workload files took.
beside() {
	for phase in write read remove; do
		printf '         %-8s %-7s %9.3f s  plain %9.3f s\n' "$1" "$phase" \
			"$(field "${phase}_seconds")" "$(field "${phase}_plain_seconds")"
	done
}

[ -x "$vqsim" ] || fail "there is no $vqsim; make builds it"
[ -d /usr/include/linux ] || fail "there is no /usr/include/linux; sh ci/deps.sh build installs it"

rm -rf "$dir"
mkdir -p "$dir/sources"
tar -cf - --exclude=./build --exclude=./.git . | tar -xf - -C "$dir/sources"
round_trip sources "$dir/sources"
round_trip include /usr/include

drive --tree "dir:$dir/tree" --files 10000 --size 1K --no-referee
step small "10000 files of 1 KiB, written, read, compared and removed"
beside small
drive --tree "dir:$dir/tree" --files 1 --size 100M --no-referee
step large "one file of 100 MiB"
beside large
drive --tree ram --files 10000 --size 3000
step ram "10000 files of 3000 bytes on a tree in memory, watched"

[ "$violations" -eq 0 ] || fail "$violations violations; they are named above"
[ "${KEEP:-no}" = yes ] || rm -rf "$dir"
echo "run: $requests requests, $bytes bytes, $violations violations"
