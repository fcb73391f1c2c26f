#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The conformance suite against backends that other people wrote, each in a process of its own
# behind a vhost-user socket; and against our own, served, which must do there what they do in this
# process. What comes of each case with each backend is a table, and the table is as it was:
#
#   passes          at every point of the matrix that it ran at
#   fails CLAUSE    at some point; tests/peers/README.md says what is behind it
#   not offered     the device does not have what the case is about
#   not observable  nothing of it can be seen from another process
#   varies CLAUSE   passes, or fails with a clause that begins so: the backend races with itself.
#                   Nobody but a person writes that into the table.
#
#   ci/peers.sh [VQSIM]     T: only peers with one of these words in their name
#
# build/peers/table.txt is the table of this run, tests/peers/table.txt that of the last one that
# somebody looked at; UPDATE=yes (and no T) writes it anew. A case that differs is run once more before it
# counts. What cannot run here (no such program, not root) is skipped. The last line is
# "N passed, N failed".
set -eu
LC_ALL=C
export LC_ALL

work=$PWD/build/peers
golden=$PWD/tests/peers/table.txt
case ${1:-} in
--peer) vqsim=$VQSIM ;;
*) vqsim=$(realpath "${1:-${VQSIM:-build/vqsim}}") ;;
esac
limit=${TIMEOUT:-900}
virtiofsd=/usr/lib/qemu/virtiofsd
# A few requests of each case fill a small ring; the larger one shows nothing else.
points='*x16'

peers="qsd_raw qsd_null blk_served virtiofsd fs_served"

# --- who they are ----------------------------------------------------------------------------------

# The command that serves a peer; it is run in the folder of the peer.
qsd() {
	echo "exec qemu-storage-daemon $* --export type=vhost-user-blk,id=e,node-name=d,num-queues=4,writable=on,addr.type=unix,addr.path=socket"
}

command_of() {
	case $1 in
	qsd_raw) qsd --blockdev driver=file,node-name=f,filename=disk --blockdev driver=raw,node-name=d,file=f ;;
	qsd_null) qsd --blockdev driver=null-co,node-name=d,size=4194304,read-zeroes=on ;;
	virtiofsd)
		echo "rm -rf tree; mkdir tree; exec $virtiofsd --socket-path=socket -o source=$work/virtiofsd/tree -o sandbox=chroot" \
			"-o xattr"
		;;
	blk_served) echo "exec $vqsim serve blk --store ram:4M --queues 4 --socket socket" ;;
	fs_served) echo "exec $vqsim serve fs --tree ram --tag vqsim --queues 2 --socket socket" ;;
	esac
}

device_of() {
	case $1 in
	qsd_null) echo vhost-user:socket,zero ;;
	virtiofsd) echo vhost-user:socket,fs ;;
	*) echo vhost-user:socket ;;
	esac
}

# The same device without a socket, or nothing.
twin_of() {
	case $1 in
	blk_served) echo blk:ram:4M ;;
	fs_served) echo fs:ram ;;
	esac
}

# Why a peer cannot run here, or nothing.
missing() {
	case $1 in
	qsd_*) command -v qemu-storage-daemon >/dev/null || echo "no qemu-storage-daemon" ;;
	virtiofsd)
		if [ ! -x "$virtiofsd" ]; then
			echo "no $virtiofsd"
		elif [ "$(id -u)" -ne 0 ]; then
			echo "it needs root"
		fi
		;;
	esac
}

# --- one peer --------------------------------------------------------------------------------------

# The table that `vqsim check` prints, as lines of "CASE OUTCOME".
outcomes() {
	awk '
		function out(name, what) { print name "\t" what }
		failed != "" && /^    [a-z]/ {
			sub(/:$/, "", $2)
			out(failed, "fails " $2)
			failed = ""
		}
		/^[a-z][a-z0-9_]* / {
			if ($2 == "passed")
				out($1, "passes")
			else if ($2 == "FAILED")
				failed = $1
			else if ($2 == "not" && $3 ~ /^applicable/)
				out($1, "not offered")
			else if ($2 == "not" && $3 ~ /^observable/)
				out($1, "not observable")
		}'
}

# check_peer NAME OPTION... : outcomes on standard output.
check_peer() {
	name=$1
	shift
	timeout -k 10 "$limit" "$vqsim" check --device "$(device_of "$name")" \
		--spawn "$(command_of "$name")" --point "$points" "$@" 2>>backend.log | outcomes
}

# expected NAME CASE: of the table that somebody looked at.
expected() {
	awk -F '  +' -v peer="$1" -v test="$2" '
		$1 == "case" { for (i = 2; i <= NF; i++) if ($i == peer) column = i }
		$1 == test && column { print $column }' "$golden"
}

# agrees WAS OUTCOME
agrees() {
	case $1 in
	"$2" | "") return 0 ;;
	"varies "*)
		case $2 in
		passes | "fails ${1#varies }"*) return 0 ;;
		esac
		;;
	esac
	return 1
}

# Once more what differs from the table: a machine that is very busy can look like a backend
# that does nothing. What it was at first is told: it can also be a defect that is rare.
check_again() {
	while IFS="$tab" read -r test outcome; do
		was=$(expected "$1" "$test")
		if ! agrees "$was" "$outcome"; then
			echo "$1, $test: $outcome at first" >>again
			outcome=$(check_peer "$1" --filter "$test" </dev/null |
				awk -F '\t' -v test="$test" '$1 == test { print $2 }')
		fi
		case $was in
		"varies "*) ! agrees "$was" "$outcome" || outcome=$was ;;
		esac
		printf '%s\t%s\n' "$test" "$outcome"
	done
}

run_peer() {
	rm -rf "${work:?}/$1"
	mkdir -p "$work/$1"
	cd "$work/$1"
	truncate -s 4M disk
	check_peer "$1" >first
	check_again "$1" <first >outcomes
	twin=$(twin_of "$1")
	[ -z "$twin" ] || "$vqsim" check --device "$twin" --point "$points" | outcomes >twin
	awk -F '\t' -v peer="$1" '
		$2 ~ /^fails/ { fails++ }
		$2 == "passes" { passes++ }
		END { printf "%-12s %d cases: %d pass, %d fail\n", peer, NR, passes, fails }' outcomes
	[ ! -e again ] || cat again
}

# --- all of them -----------------------------------------------------------------------------------

wanted() {
	[ -n "${T:-}" ] || return 0
	for word in $T; do
		case $1 in
		*"$word"*) return 0 ;;
		esac
	done
	return 1
}

# Cases down, peers across.
table() {
	for peer in $ran; do
		sed "s/^/$peer$tab/" "$work/$peer/outcomes"
	done | awk -F '\t' -v peers="$ran" '
		!($2 in seen) { seen[$2] = ++count; name[count] = $2 }
		{ cell[$1, $2] = $3 }
		END {
			n = split(peers, peer, " ")
			printf "%-34s", "case"
			for (i = 1; i <= n; i++)
				printf i < n ? "  %-20s" : "  %s", peer[i]
			print ""
			for (c = 1; c <= count; c++) {
				printf "%-34s", name[c]
				for (i = 1; i <= n; i++) {
					what = cell[peer[i], name[c]]
					printf i < n ? "  %-20s" : "  %s", what == "" ? "no answer" : what
				}
				print ""
			}
		}'
}

# Cells that are not as they were, one a line.
compare_table() {
	for peer in $ran; do
		while IFS="$tab" read -r test outcome; do
			was=$(expected "$peer" "$test")
			[ "$was" = "$outcome" ] || echo "$peer, $test: $outcome; it was: ${was:-not there}"
		done <"$work/$peer/outcomes"
		awk -F '  +' -v peer="$peer" '
			$1 == "case" { for (i = 2; i <= NF; i++) if ($i == peer) column = i; next }
			column { print $1 }' "$golden" | while read -r test; do
			grep -q "^$test$tab" "$work/$peer/outcomes" ||
				echo "$peer, $test: there is no outcome"
		done
	done
}

# Our own do over the socket what they do without one, as far as that can be seen.
compare_twins() {
	for peer in $ran; do
		[ -e "$work/$peer/twin" ] || continue
		awk -F '\t' -v peer="$peer" '
			NR == FNR { here[$1] = $2; next }
			$2 != here[$1] && $2 != "not observable" {
				print peer ", " $1 ": " $2 "; in this process: " here[$1]
			}' "$work/$peer/twin" "$work/$peer/outcomes"
	done
}

tab=$(printf '\t')
mkdir -p "$work"
[ -e "$golden" ] || echo case >"$golden"

if [ "${1:-}" = --peer ]; then
	vqsim=$VQSIM
	run_peer "$2"
	exit
fi

ran=
skipped=0
for peer in $peers; do
	wanted "$peer" || continue
	why=$(missing "$peer")
	if [ -n "$why" ]; then
		echo "skipped: $peer: $why"
		skipped=$((skipped + 1))
	else
		ran="$ran $peer"
	fi
done
ran=${ran# }
if [ -z "$ran" ]; then
	echo "peers: none has a word of '${T:-}' in its name, or can run here" >&2
	exit 2
fi

export VQSIM="$vqsim"
export VQSIM_VIOLATIONS=
echo "$ran" | tr ' ' '\n' | xargs -P "$(nproc)" -n 1 sh "$0" --peer
table >"$work/table.txt"
[ "${UPDATE:-no}" = no ] || [ -n "${T:-}" ] || cp "$work/table.txt" "$golden"
compare_table >"$work/differences"
compare_twins >>"$work/differences"
cat "$work/table.txt"
[ ! -s "$work/differences" ] || sed 's/^/DIFFERS: /' "$work/differences"
cells=$(cat $(for peer in $ran; do echo "$work/$peer/outcomes"; done) | wc -l)
failed=$(wc -l <"$work/differences")
passed=$((cells > failed ? cells - failed : 0))
rest=
[ "$skipped" -eq 0 ] || rest=", $skipped skipped"
echo "$passed passed, $failed failed$rest"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
