#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What a request costs, in a table and one line for each limit.
#
#   perf/perf.sh           everything; exit 1 if a bar is short
#   perf/perf.sh gate      instructions only, against perf/budget; exit 1 if one is above
#   perf/perf.sh budget    write perf/budget anew from what is measured now
#   perf/perf.sh sockets   a served device against a backend of somebody else
#
# Instructions are those of the device (inside perf_device_progress) without the C library, whose
# memcpy differs with the processor. They are the same in every run, so a gate on them can be tight.
set -eu
export LC_ALL=C

perf=build/gcc/perf/perf
perf_fs=build/gcc/perf/perf_fs
vqsim=$PWD/build/vqsim
out=build/perf
budget=perf/budget
processes=7
socket_pairs=9
socket_requests=300000
gcc=${GCC:-gcc}
gated="null-b1 null-b32 null-packed-b1 null-packed-b32 null-in-order-b1 null-in-order-b32
	null-packed-in-order-b32 null-4k-b32 blk-4k-b1 blk-4k-b32
	fs-getattr-b1 fs-getattr-b32"

mkdir -p "$out"

# program NAME: the one that has this benchmark.
program() {
	case $1 in
	fs-*) echo "$perf_fs" ;;
	*) echo "$perf" ;;
	esac
}

# collected NAME REQUESTS: device instructions of a whole run.
collected() {
	valgrind --tool=callgrind --collect-atstart=no --toggle-collect=perf_device_progress \
		--callgrind-out-file="$out/callgrind.$1" "$(program "$1")" run "$1" "$2" \
		>"$out/callgrind.log" 2>&1 || { cat "$out/callgrind.log" >&2; return 1; }
	# The file has the cost of a call behind each "calls=" line, which the callee has too.
	awk '
		/^c?ob=/ {
			id = $1
			sub(/^c?ob=/, "", id)
			if (NF > 1) object[id] = $2
			if (/^ob=/) ours = object[id] ~ /\/perf(_fs)?$/
		}
		/^calls=/ { called = 1; next }
		/^[-+*0-9]/ {
			if (!called && ours) sum += $2
			called = 0
		}
		END { print sum + 0 }' "$out/callgrind.$1"
}

# Two runs of different length: what is done once falls out of the difference.
instructions() {
	for name in $gated; do
		few=$(collected "$name" 640)
		many=$(collected "$name" 7040)
		echo "$name $(((many - few + 3200) / 6400))"
	done >"$out/instructions"
}

# value NAME FILE: what stands behind NAME.
value() {
	awk -v name="$1" '$1 == name { print $2; exit }' "$2"
}

compiler() {
	"$gcc" -dumpversion | cut -d . -f 1
}

comparable() {
	[ "$(value gcc "$budget")" = "$(compiler)" ] && [ "$(value machine "$budget")" = "$(uname -m)" ]
}

gate() {
	instructions
	if ! comparable; then
		echo "perf-gate: $budget is for gcc $(value gcc "$budget") on" \
			"$(value machine "$budget"), this is gcc $(compiler) on $(uname -m): not compared"
		cat "$out/instructions"
		return 0
	fi
	awk '
		FNR == NR { if ($1 !~ /^#/) limit[$1] = $2; next }
		!($1 in limit) { printf "%-24s %5d  no budget\n", $1, $2; bad = 1; next }
		{
			over = $2 > limit[$1]
			bad += over
			note = over ? "ABOVE BUDGET" : $2 < 0.9 * limit[$1] ? "ok; lower the budget" : "ok"
			printf "%-24s %5d of %5d instructions per request  %s\n", $1, $2, limit[$1], note
		}
		END { exit bad > 0 }' "$budget" "$out/instructions" && return 0
	cat <<-EOT

		A request has become dearer than perf/budget allows. See where with
		    callgrind_annotate build/perf/callgrind.NAME
		(a run of 7040 requests) and make it cheaper. If what it buys is worth the price, write the
		budget anew with "sh perf/perf.sh budget" in the commit that spends it, and give the reason
		and both figures in its message.
	EOT
	return 1
}

write_budget() {
	instructions
	{
		sed -n '/^#/p' "$budget"
		echo "gcc $(compiler)"
		echo "machine $(uname -m)"
		awk '{ printf "%s %d\n", $1, $2 * 1.03 }' "$out/instructions"
	} >"$out/budget"
	cp "$out/budget" "$budget"
	cat "$budget"
}

table() {
	printf '%-24s %8s %8s %14s  %s\n' "" "ns min" "median" "instructions" "ns over its null case"
	awk '
		FNR == 1 { file++ }
		file == 1 { count[$1] = $2; next }
		file == 2 { min[$1] = $2; next }
		{
			over = $4 in min ? sprintf("%+8.1f  %s", $2 - min[$4], $4) : ""
			printf "%-24s %8.1f %8.1f %14s  %s\n", $1, $2, $3,
				($1 in count) ? count[$1] : "-", over
		}
	' "$out/instructions" "$out/ns" "$out/ns"
}

# bar NAME VALUE LIMIT: the value is at most the limit
bar() {
	echo "$1 $2 $3" | awk '{
		ok = $2 <= $3
		print "bar:", $1, $2, $3, ok ? "ok" : "short"
		exit !ok
	}' || short=1
}

bars() {
	bar null-b32-ns "$(value null-b32 "$out/ns")" 25
	bar null-b32-instructions "$(value null-b32 "$out/instructions")" 350
	bar packed-to-split-instructions "$(awk '
		{ count[$1] = $2 }
		END {
			small = count["null-packed-b1"] / count["null-b1"]
			large = count["null-packed-b32"] / count["null-b32"]
			printf "%.2f", (small > large ? small : large)
		}' "$out/instructions")" 1.3
	bar fs-getattr-b32-ns "$(value fs-getattr-b32 "$out/ns")" 150
	# 0.9 of the speed.
	bar fs-read-100MB-time-ratio "$(value fs-read-100MB "$out/jobs")" 1.11
	bar fs-10000-files-time-ratio "$(value fs-10000-files "$out/jobs")" 1.3
	# Without the promise of FS_DIR_EXCLUSIVE: system calls alone are 1.55.
	bar fs-10000-files-shared-time-ratio "$(value fs-10000-files-shared "$out/jobs")" 2.0
	bar first-use-ms "$(awk '$2 > max { max = $2 } END { print max }' "$out/first-use")" 10
	bar allocations-per-request \
		"$(awk '{ calls += $2; requests += $3 } END { print calls / requests }' "$out/allocations")" 0
}

# on PROCESSOR COMMAND... : there alone, if there are two of them.
on() {
	processor=$1
	shift
	if [ "$(nproc)" -gt 1 ] && command -v taskset >/dev/null 2>&1; then
		taskset -c "$processor" "$@"
	else
		"$@"
	fi
}

# socket_ns COMMAND... : ns a request of what the command serves at the socket "served".
socket_ns() {
	on 0 "$vqsim" run blk --device vhost-user:served --spawn "exec $*" --no-referee \
		--workload read --depth 32 --block-size 4K --requests "$socket_requests" --json \
		2>/dev/null | awk -F '[:,]' '/"ns_per_request"/ { print $2 + 0 }'
}

# Ours on memory against a backend that moves no data at all, in turn, with the same guest. The
# processors of a host that has others do not matter so: each of the two has one of its own.
sockets() {
	command -v qemu-storage-daemon >/dev/null 2>&1 || return 0
	mkdir -p "$out/socket"
	there=$PWD
	cd "$out/socket"
	pin=
	[ "$(nproc)" -le 1 ] || ! command -v taskset >/dev/null 2>&1 || pin="taskset -c 1"
	i=0
	while [ $((i += 1)) -le "$socket_pairs" ]; do
		ours=$(socket_ns $pin "$vqsim" serve blk --store ram:16M --socket served)
		theirs=$(socket_ns $pin qemu-storage-daemon \
			--blockdev driver=null-co,node-name=d,size=16777216 \
			--export type=vhost-user-blk,id=e,node-name=d,addr.type=unix,addr.path=served)
		echo "$ours $theirs"
	done >pairs
	cd "$there"
	awk '{ print $1 / $2, $1, $2 }' "$out/socket/pairs" | sort -n | awk '
		{ line[NR] = $0 }
		END { print line[int((NR + 1) / 2)] }' >"$out/socket/median"
	awk '{
		printf "over a socket, 4 KiB reads at depth 32: vqsim serve %.0f ns, ", $2
		printf "qemu-storage-daemon null-co %.0f ns, %.2f times as fast\n", $3, 1 / $1
	}' "$out/socket/median"
	# 1.5 times as fast.
	bar socket-4k-time-ratio "$(awk '{ print $1 }' "$out/socket/median")" 0.667
}

plot() {
	command -v gnuplot >/dev/null 2>&1 || return 0
	"$perf" curve >"$out/curve"
	gnuplot -e "curve='$out/curve'; picture='$out/latency.svg'" perf/latency.gnuplot
	echo "picture: $out/latency.svg"
}

# Where a process gets its pages is worth up to 2 ns a request and stays for its life, so it is
# a thing to sample like the rest: the minimum of the minima of many processes, the median of
# their medians.
nanoseconds() {
	i=0
	while [ $((i += 1)) -le "$processes" ]; do
		"$perf" ns
		"$perf_fs" ns
	done | sort -k 1,1 -k 3,3n | awk '
		$1 != name { if (name) show(); name = $1; count = 0; low = $2 }
		{ median[++count] = $3; null_case = $4; if ($2 < low) low = $2 }
		END { show() }
		function show() { print name, low, median[int((count + 1) / 2)], null_case }
	' >"$out/ns.sorted"
	# In the order in which the program lists them.
	{ "$perf" ns && "$perf_fs" ns; } | awk '
		FNR == NR { line[$1] = $0; next }
		{ print line[$1] }' "$out/ns.sorted" - >"$out/ns"
}

all() {
	short=0
	instructions
	nanoseconds
	for figure in allocations first-use machine; do
		"$perf" "$figure" >"$out/$figure"
	done
	"$perf_fs" allocations >>"$out/allocations"
	"$perf_fs" jobs >"$out/jobs"
	table
	awk '{ printf "%-24s %8.1f ms, %.1f ms with system calls\n", $1, $3, $4 }' "$out/jobs"
	echo "machine: memcpy of 4 KiB $(value memcpy-4k "$out/machine") ns"
	plot
	bars
	sockets
	return "$short"
}

case ${1:-all} in
all) all ;;
sockets)
	short=0
	sockets
	exit "$short"
	;;
gate | --gate) gate ;;
budget) write_budget ;;
*)
	echo "usage: perf/perf.sh [gate | budget | sockets]" >&2
	exit 2
	;;
esac
