#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Guests that are killed (kill -9 of Linux as a process, at any moment, under load) and the guest
# after each: ext4 must be clean after the replay of its journal, and every file that was fsync'ed, on
# the disk and on the file-system device, must have its bytes. The servers live through all of it and
# hold nothing of a guest that is gone; but in every fifth round they end before their guest, in one
# lane by SIGTERM and in the other by SIGKILL, and what the guest believed safe must be safe then too.
#
#   ci/linux-crash.sh [VQSIM]     ROUNDS: guests to kill (50); SEED: chooses the moments (1)
#
# Two lanes run at the same time, each with servers of its own, the second with split
# rings and a directory that nobody else changes.

set -eu
LC_ALL=C
export LC_ALL
# Debian keeps mke2fs where the PATH of an ordinary user does not look.
PATH=$PATH:/usr/sbin:/sbin

rounds=${ROUNDS:-50}
seed=${SEED:-1}
script=ci/linux-crash.sh
work=$PWD/build/linux-crash
again="SEED=$seed ROUNDS=$rounds make check-crash"
vqsim=$(realpath "${1:-${VQSIM:-build/vqsim}}")
. ci/linux/host.sh

# random BELOW: into $drawn.
random() {
	seed=$(((seed * 1103515245 + 12345) & 0x7fffffff))
	drawn=$(((seed >> 16) % $1))
}

sleep_ms() {
	sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"
}

ready() {
	ended "$lane" || grep -q '^@ready' "$work/$lane.log"
}

# Wait for the moment of death: four of five at work, the fifth wherever it is by then: starting,
# probing its devices, replaying its journal. Sets $moment, for people.
await_moment() {
	random 5
	if [ "$drawn" -eq 0 ]; then
		random 2000
		sleep_ms "$drawn"
		moment="$drawn ms after its start"
		return
	fi
	within 60 ready || return 1
	random 1000
	sleep_ms "$drawn"
	moment="after $drawn ms of work"
}

# take_list WHERE: what the guest said of its files, added to what the earlier ones said. A line
# has its end, or it was cut off.
take_list() {
	list=$work/$lane/kept.$1
	tr -d '\r' <"$work/$lane.log" | awk -v where="$1" '
		earlier { kept[$1] = $0; next }
		$2 != where { next }
		$1 == "@kept" && $6 == "." { kept[$3] = $3 " " $4 " " $5 }
		$1 == "@gone" && $4 == "." { delete kept[$3] }
		END { for (name in kept) print kept[name] }
	' earlier=1 "$list" earlier=0 - | sort >"$list.new"
	mv "$list.new" "$list"
}

# What crash_check said: 0 well, 1 not; 2: it did not get there.
checked() {
	case $(tr -d '\r' <"$work/$lane.log" | sed -n 's/^@job crash_check \([0-9]*\) .*/\1/p') in
	0) return 0 ;;
	'') return 2 ;;
	*) return 1 ;;
	esac
}

# How much the servers of the lane hold, those that watch over them included: descriptors, and
# mappings of files without a name, which is how a guest's memory comes.
holdings() {
	for server in $servers; do
		read -r pid <"$work/$server.pid"
		for process in $pid $(cat "/proc/$pid/task/$pid/children"); do
			ls "/proc/$process/fd"
			grep deleted "/proc/$process/maps" || true
		done
	done 2>/dev/null | wc -l
}

hold_nothing() {
	[ "$(holdings)" -le "$held_at_first" ]
}

# shellcheck disable=SC2086
serve_lane() {
	servers=
	rings=
	names=
	if [ "$lane" = lane2 ]; then
		rings=--features=all
		names=--exclusive
	fi
	serve "$lane.disk" blk --store "file:$work/$lane/disk.img" $rings
	serve "$lane.files" fs --tree "dir:$work/$lane/files" --tag linux-files $rings $names
	held_at_first=$(holdings)
}

# end_servers: under a guest at work. By SIGKILL in the second lane.
end_servers() {
	for server in $servers; do
		if [ "$lane" = lane1 ]; then
			stop_server "$server" >/dev/null || blame "$server did not end well"
		else
			bury "$server" || true
		fi
	done
}

blame() {
	status=1
	why="$why; $*"
}

# Before anything is killed: a guest that has nothing to lose any more proves nothing.
still_works() {
	! ended "$lane" || blame "it ended by itself"
	! grep -q '^@ended' "$work/$lane.log" ||
		blame "in it ended: $(tr -d '\r' <"$work/$lane.log" | sed -n 's/^@ended //p' | tr '\n' ';')"
}

# Of a guest that was killed: what has it and its servers to show? (One whose servers ended while
# it looked at its files has seen errors, and the next one looks again.)
look_back() {
	seen=0
	checked || seen=$?
	case $moment:$restart:$seen in
	*work:*:2 | never:*) blame "it did not come up" ;;
	*start:1:1) ;;
	*:1) blame "crash_check failed" ;;
	esac
	for server in $servers; do
		! ended "$server" || blame "$server has ended"
	done
	within 60 hold_nothing || blame "the servers hold $(holdings) things, at first $held_at_first"
	"$work/guest/keep" check "$work/$lane/files" "$work/$lane/kept.files" >/dev/null ||
		blame "a file on the host is not as it was fsync'ed"
}

# one ROUND: a guest that checks what the last one left, works, and dies.
one() {
	boot "$lane" "lane=$lane round=$1" crash_check,crash_work "$lane.disk.sock:2" \
		"$lane.files.sock:26"
	moment=never
	status=0
	why=
	await_moment || true
	still_works
	restart=$(($1 % 5 == 0))
	[ $restart -eq 0 ] || end_servers
	end_guest "$lane"
	[ $restart -eq 0 ] || serve_lane
	take_list disk
	take_list files
	look_back
	result "$status" "$lane: guest $1 killed $moment; $(
		cat "$work/$lane"/kept.* | wc -l
	) files are safe$why"
	[ "$status" -eq 0 ] || show_console "$lane"
}

# lane NUMBER ROUNDS
lane() {
	lane=lane$1
	seed=$((seed * 1000 + $1))
	mkdir -p "$work/$lane/files"
	: >"$work/$lane/kept.disk"
	: >"$work/$lane/kept.files"
	truncate -s 96M "$work/$lane/disk.img"
	mke2fs -q -t ext4 "$work/$lane/disk.img"
	serve_lane
	round=0
	while [ "$round" -lt "$2" ]; do
		round=$((round + 1))
		one "$round"
	done
	# Otherwise the guests were killed before they had anything to lose.
	check "$lane: files were fsync'ed on the disk" test -s "$work/$lane/kept.disk"
	check "$lane: files were fsync'ed on the file system" test -s "$work/$lane/kept.files"
	boot "$lane" "lane=$lane" crash_check "$lane.disk.sock:2" "$lane.files.sock:26"
	attend "$lane" $(($(now_ms) + 120000))
	judge "$lane" crash_check
	for server in $servers; do
		check "$server: the server ends well" stop_server "$server"
	done
	check "$lane: e2fsck on the host" e2fsck -fn "$work/$lane/disk.img"
}

# --- the run --------------------------------------------------------------------------------------

lanes=
stop() {
	# shellcheck disable=SC2086
	[ -z "$lanes" ] || kill $lanes 2>/dev/null || true
	bury_everything
}

needs_tools
rm -rf "$work"
mkdir -p "$work"
trap stop EXIT
trap 'exit 2' HUP INT PIPE TERM
begin=$(now_ms)
memory=$(memory_folder)
make_initrd
# In the guest without anything else, so it starts quickly there.
${GCC:-gcc} -std=gnu11 -O2 -Wall -Wextra -Werror -static -o "$work/guest/keep" ci/linux/keep.c
echo files_tag=linux-files >"$work/facts"
lane 1 $(((rounds + 1) / 2)) &
lanes=$!
lane 2 $((rounds / 2)) &
lanes="$lanes $!"
for pid in $lanes; do
	wait "$pid" || result 1 "a lane ended with status $?"
done
lanes=
echo "crash: seed ${SEED:-1}, $((($(now_ms) - begin) / 1000)) s"
finish
