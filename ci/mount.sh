#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Real programs on the file-system device, through this kernel's own FUSE client: git, tar,
# sqlite3, fio and stress-ng below `vqsim mount`, on a directory and on a tree in memory. Each must
# do its work, and the referee must see no violation; then how a mount ends.
#
#   ci/mount.sh [VQSIM]     T: only jobs with this in their name; SECONDS_OF_STRESS (3)
#
# Reports in TAP. Without root it runs in a user namespace of its own; where neither /dev/fuse nor a
# mount is allowed every test is skipped and the reason is named.

# Jobs are called by their names.
# shellcheck disable=SC2317
set -eu
LC_ALL=C
export LC_ALL
# Debian keeps what makes devices where the PATH of an ordinary user does not look.
PATH=$PATH:/usr/sbin:/sbin

src=$PWD
work=$src/build/mount
point=$work/point
stress_time=${SECONDS_OF_STRESS:-3}

tests="dir:git dir:tar dir:sqlite dir:fio dir:stress ram:git ram:tar ram:sqlite ram:fio ram:stress
	life:idle life:signal life:umount life:killed life:busy life:read_only life:interrupt
	life:crowd"

# What a mount of a tree is given, so that both ring formats and several queues are seen.
options_of() {
	case $1 in
	ram) echo "--packed --queues 3" ;;
	*) echo "--queues 2 --exclusive" ;;
	esac
}

# --- the jobs: each runs in the mount, with files of the host in $base -----------------------------

job_git() {
	git init -q "$base/repo"
	(cd "$src" && cp -R devices vqsim ci tests "$base/repo")
	commit "$base/repo" first
	git clone -q --no-local "$base/repo" clone
	git -C clone fsck --strict --no-progress
	diff -r --no-dereference --exclude=.git "$base/repo" clone
	git -C clone mv devices/iov.c devices/moved.c
	commit clone second
	git -C clone gc -q --prune=now
	git -C clone fsck --strict --no-progress
	git clone -q --no-local clone "$base/back"
	git -C "$base/back" fsck --strict --no-progress
	diff -r --no-dereference --exclude=.git clone "$base/back"
	[ -z "$(git -C clone status --porcelain)" ]
}

commit() {
	git -C "$1" add -A
	git -C "$1" -c user.name=mount -c user.email=mount@localhost commit -q -m "$2"
}

# All that tar can carry, as far as the host takes it.
make_tree() {
	mkdir -p "$1/sources" "$1/empty" "$1/modes"
	(cd "$src" && cp -R vqsim tests "$1/sources")
	for mode in 0000 0111 0444 0640 0777 2755 4755 6711 1644; do
		echo "$mode" >"$1/modes/$mode"
	done
	chown 1:2 "$1/modes/0640" "$1/empty" || true
	chown 1000:0 "$1/modes/0777" || true
	for mode in 0000 0111 0444 0640 0777 2755 4755 6711 1644; do
		chmod "$mode" "$1/modes/$mode"
	done
	chmod 1777 "$1/empty"
	ln -s modes/0777 "$1/symlink"
	ln -s "$(printf '%01000d' 7)/../nowhere" "$1/long_symlink"
	ln "$1/modes/0444" "$1/hard_link"
	mkfifo "$1/fifo"
	mknod "$1/null" c 1 3 || true
	: >"$1/$(printf 'n%.0s' $(seq 255))"
	: >"$1/$(printf 'new\nline\t"\134')"
	truncate -s 3M "$1/sparse"
	echo end >>"$1/sparse"
	touch -d '1970-01-01 00:00:01.5' "$1/modes/0444"
	touch -h -d '2033-03-03 03:03:03.123456789' "$1/symlink"
	touch -d '2001-02-03 04:05:06.000000001' "$1/empty"
	if setfattr -n user.mount -v "$(printf '%04000d' 1)" "$1/sparse"; then
		setfattr -n user.empty "$1/empty"
	fi
	setfattr -n trusted.mount -v 0x00ff00 "$1/sparse" || true
	[ "$tree" = ram ] || setfacl -m u:7:rx,g:8:w "$1/modes/0640" || true
	[ "$tree" = ram ] || setfacl -d -m u:7:rwx "$1/empty" || true
}

# Names, kinds, modes, owners, sizes, times to the nanosecond, links, device numbers; xattrs, ACLs.
list_tree() {
	(
		cd "$1"
		find . -mindepth 1 ! -type d -printf '%P %y %m %U:%G %s %T@ %n %l\n' | sort
		find . -mindepth 1 -type d -printf '%P %y %m %U:%G %T@\n' | sort
		stat -c '%n %t:%T' null 2>/dev/null || true
		find . -mindepth 1 ! -type l -print0 | sort -z |
			xargs -0 getfattr --absolute-names -h -d -m '^(user|trusted|system)' -e hex
	)
}

# With pax headers, or times would be cut to seconds.
copy_tree() {
	acls=--acls
	[ "$tree" != ram ] || acls=
	mkdir "$2"
	# shellcheck disable=SC2086
	tar -C "$1" -cf - --format=posix --sparse --xattrs --xattrs-include='*' $acls . |
		tar -C "$2" -xpf - --xattrs --xattrs-include='*' $acls
}

job_tar() {
	make_tree "$base/there"
	copy_tree "$base/there" tree
	copy_tree tree "$base/back"
	list_tree "$base/there" >"$base/there.list"
	for copy in tree "$base/back"; do
		diff -r --no-dereference --exclude=fifo --exclude=null "$base/there" "$copy"
		list_tree "$copy" >"$base/copy.list"
		diff "$base/there.list" "$base/copy.list"
	done
}

sql() {
	sqlite3 -cmd '.timeout 20000' db "$1"
}

fill='with recursive c(x) as (select 1 union all select x + 1 from c where x < 500)
	insert into t select x, hex(randomblob(30)) from c;'

# Both kinds of journal, the second of which is shared memory; writers at the same time.
job_sqlite() {
	sql 'create table t(a, b); create index i on t(b);'
	for mode in delete wal; do
		sql "pragma journal_mode=$mode;"
		writers=
		for _ in 1 2 3; do
			for _ in 1 2 3 4; do
				sql "$fill"
			done &
			writers="$writers $!"
		done
		for writer in $writers; do
			wait "$writer"
		done
		sql 'delete from t where a % 3 = 0; vacuum;'
		[ "$(sql 'pragma integrity_check;')" = ok ]
	done
	[ "$(sql 'select count(*) from t;')" -ge 6000 ]
}

job_fio() {
	fio --directory=. --verify=crc32c --verify_fatal=1 --size=16M --output="$base/fio.log" \
		--name=random --rw=randrw --bs=4k --ioengine=psync --fsync=64 --stonewall \
		--name=odd --rw=randwrite --bsrange=1k-300k --bs_unaligned --ioengine=psync --stonewall \
		--name=whole --rw=write --bs=1M --size=64M --ioengine=psync --end_fsync=1 --stonewall \
		--name=direct --rw=randrw --bs=8k --direct=1 --ioengine=libaio --iodepth=16 --stonewall \
		--name=mapped --rw=randrw --bs=4k --ioengine=mmap --size=4M --stonewall \
		--name=several --rw=randwrite --bs=16k --ioengine=psync --numjobs=3 --size=4M
}

# Stressors that work on files, all at the same time; each checks what it does.
job_stress() {
	# shellcheck disable=SC2046
	stress-ng --temp-path . --timeout "$stress_time" --verify --hdd-bytes 8M --iomix-bytes 8M \
		--fallocate-bytes 8M --seek-size 8M $(
			printf -- '--%s 1 ' access chdir chmod chown copy-file dentry dir dirdeep \
				dirmany dup fallocate fcntl filename flock fpunch fstat getdent \
				hdd io iomix lease link locka lockf lockofd mknod open rename seek \
				sendfile symlink sync-file touch utime xattr
		)
	[ -z "$(ls -A)" ]
}

# --- how a mount ends -----------------------------------------------------------------------------

mounted() {
	grep -q " $point " /proc/self/mounts
}

# start ARGUMENT...: a mount in the background; $server is its process.
start() {
	: >"$base/out"
	"$vqsim" mount "$@" >"$base/out" &
	server=$!
	for _ in $(seq 600); do
		! grep -q '^mounted$' "$base/out" || return 0
		sleep 0.05
	done
	return 1
}

# ended STATUS: wait for the server; nothing is mounted then.
ended() {
	status=0
	wait "$server" || status=$?
	[ "$status" -eq "$1" ] || {
		echo "status $status and not $1"
		return 1
	}
	for _ in $(seq 600); do
		mounted || return 0
		sleep 0.05
	done
	return 1
}

no_violations() {
	grep '^mount: .* 0 violations$' "$base/out"
}

# Ticks of the processor that it has used.
ticks() {
	sed 's/.*) //' "/proc/$server/stat" | awk '{ print $12 + $13 }'
}

life_idle() {
	start ram "$point"
	echo x >"$point/file"
	before=$(ticks)
	sleep 1
	[ "$(ticks)" -le "$((before + 1))" ]
	kill "$server"
	ended 0
	no_violations
}

life_signal() {
	for signal in TERM INT HUP; do
		start ram "$point"
		echo x >"$point/file"
		kill -s "$signal" "$server"
		ended 0
		no_violations
	done
}

life_umount() {
	start ram "$point"
	echo x >"$point/file"
	umount "$point"
	ended 0
	no_violations
}

life_killed() {
	start ram "$point"
	kill -KILL "$server"
	ended 137
}

# What is open goes on to be served until everything is written, and is cut off then.
life_busy() {
	mkdir "$base/tree"
	start "dir:$base/tree" "$point" --writeback
	exec 9>"$point/file"
	head -c 300000 /dev/zero >&9
	kill "$server"
	ended 1
	exec 9>&-
	no_violations
	[ "$(stat -c %s "$base/tree/file")" -eq 300000 ]
}

life_read_only() {
	mkdir "$base/tree"
	echo x >"$base/tree/file"
	start "dir:$base/tree" "$point" --read-only
	[ "$(cat "$point/file")" = x ]
	if touch "$point/file" || rm -f "$point/file"; then
		return 1
	fi
	kill "$server"
	ended 0
	no_violations
}

# Whoever waits for a lock can be interrupted, and nobody is busy meanwhile.
life_interrupt() {
	start ram "$point"
	exec 8>"$point/file"
	flock 8
	before=$(ticks)
	for signal in INT TERM KILL; do
		status=0
		timeout --preserve-status -s "$signal" 0.5 flock "$point/file" true 8>&- || status=$?
		[ "$status" -gt 128 ]
	done
	[ "$(ticks)" -le "$((before + 5))" ]
	flock -u 8
	flock -n "$point/file" true
	exec 8>&-
	kill "$server"
	ended 0
	no_violations
}

# More wait for one lock than there is room for messages; others are served, and all get it.
life_crowd() {
	start ram "$point"
	exec 8>"$point/file"
	flock 8
	waiting=
	for _ in $(seq 200); do
		timeout -s KILL 120 flock "$point/file" true &
		waiting="$waiting $!"
	done
	sleep 1
	timeout 60 stat -f "$point"
	flock -u 8
	for process in $waiting; do
		wait "$process"
	done
	exec 8>&-
	kill "$server"
	ended 0
	no_violations
}

# --- the runner -----------------------------------------------------------------------------------

# As a script of its own, in which `set -e` works: a function that is asked for its status has none.
case ${1:-} in
--job)
	tree=$2
	base=$work/$2.$3
	cd "$point"
	set -x
	"job_$3"
	exit
	;;
--life)
	base=$work/life.$2
	set -x
	"life_$2"
	exit
	;;
esac

vqsim=$(realpath "${1:-${VQSIM:-build/vqsim}}")
export vqsim

fail() {
	echo "ci/mount.sh: $*" >&2
	exit 1
}

# run TREE JOB
run() {
	base=$work/$1.$2
	mkdir -p "$base/store"
	case $1 in
	life) sh "$src/ci/mount.sh" --life "$2" ;;
	dir) mount_job "dir:$base/store" "$@" ;;
	*) mount_job "$1" "$@" ;;
	esac
}

# mount_job SOURCE TREE JOB
mount_job() {
	# shellcheck disable=SC2046
	"$vqsim" mount "$1" "$point" $(options_of "$2") -- sh "$src/ci/mount.sh" --job "$2" "$3"
}

# Why nothing can be mounted here; nothing if it can.
obstacle() {
	"$vqsim" mount ram "$point" -- true 2>&1 | grep -v '^mount: ' || true
}

[ -x "$vqsim" ] || fail "there is no $vqsim; make builds it"
for tool in git tar sqlite3 fio stress-ng setfattr setfacl; do
	command -v "$tool" >/dev/null || fail "$tool is missing; sh ci/deps.sh mount installs it"
done
# An ordinary user may mount in a namespace of his own.
if [ "$(id -u)" -ne 0 ] && unshare -Urm true 2>/dev/null; then
	exec unshare -Urm sh "$0" "$vqsim"
fi

rm -rf "$work"
mkdir -p "$point"
chosen=
for test in $tests; do
	case $test in
	*"${T:-}"*) chosen="$chosen $test" ;;
	esac
done
# shellcheck disable=SC2086
set -- $chosen
echo "1..$#"
reason=$(obstacle)
number=0
failed=0
for test; do
	number=$((number + 1))
	name=$(echo "$test" | tr : ' ')
	log=$work/${test%%:*}.${test#*:}.log
	if [ -n "$reason" ]; then
		echo "ok $number # SKIP $name: $reason"
		continue
	fi
	begin=$(date +%s%N)
	status=0
	run "${test%%:*}" "${test#*:}" >"$log" 2>&1 </dev/null || status=$?
	text="$name: $(sed -n 's/^mount: //p' "$log" | tail -n 1)"
	text="$text, $((($(date +%s%N) - begin) / 1000000)) ms"
	if [ "$status" -eq 0 ]; then
		echo "ok $number - $text"
	else
		echo "not ok $number - $text, status $status; see $log"
		tail -n 20 "$log" | sed 's/^/# /'
		failed=1
	fi
	umount -l "$point" 2>/dev/null || true
done
[ "$failed" -ne 0 ] || rm -rf "$work"
exit "$failed"
