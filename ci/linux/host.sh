# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# What the checks with Linux as a guest share; they source it after they have set
#   script  their name
#   work    a folder for one run
#   vqsim   the command
# Guests and servers are processes that run in $work; each has there NAME.log and, until somebody
# has seen to its end, NAME.pid. None outlives the script.
# shellcheck disable=SC2154

# The calibrations of raid's checksums take half of the time of a start, and nothing here has a raid.
quick='quiet initcall_blacklist=calibrate_xor_blocks,raid6_select_algo'
guest_mib=192
servers= # of this run, in the order of their start

fail() {
	echo "$script: $*" >&2
	exit 1
}

needs_tools() {
	[ -x "$vqsim" ] || fail "there is no $vqsim; make builds it"
	for tool in linux.uml busybox mke2fs e2fsck debugfs git tar sqlite3 fio setfattr setfacl; do
		command -v "$tool" >/dev/null ||
			fail "$tool is missing; sh ci/deps.sh linux installs it"
	done
}

now_ms() {
	echo $(($(date +%s%N) / 1000000))
}

# --- processes ------------------------------------------------------------------------------------

# launch NAME COMMAND...: in the background, in $work.
launch() {
	name=$1
	shift
	# Here and not in the process, or the log of the last one could be taken for its own.
	: >"$work/$name.log"
	(cd "$work" && exec "$@") </dev/null >>"$work/$name.log" 2>&1 &
	echo $! >"$work/$name.pid"
}

# A process that has ended is a zombie until the shell has waited for it.
ended() {
	[ -e "$work/$1.pid" ] || return 0
	read -r pid <"$work/$1.pid"
	state=Z
	# shellcheck disable=SC2034
	{ read -r number command state rest <"/proc/$pid/stat"; } 2>/dev/null || true
	[ "$state" = Z ]
}

# wait_until MS COMMAND...: does it become true before that time of now_ms?
wait_until() {
	until_ms=$1
	shift
	until "$@"; do
		[ "$(now_ms)" -lt "$until_ms" ] || return 1
		sleep 0.05
	done
}

# within SECONDS COMMAND...
within() {
	seconds=$1
	shift
	wait_until $(($(now_ms) + seconds * 1000)) "$@"
}

# bury NAME: end it and whatever it made (a guest has a session of its own, and its processes
# outlive the first). Returns its exit status.
bury() {
	[ -e "$work/$1.pid" ] || return 0
	read -r pid <"$work/$1.pid"
	kill -s KILL -- "-$pid" 2>/dev/null || true
	kill -s KILL "$pid" 2>/dev/null || true
	rm -f "$work/$1.pid"
	wait "$pid" 2>/dev/null
}

bury_everything() {
	for file in "$work"/*.pid; do
		[ -e "$file" ] || continue
		file=${file##*/}
		bury "${file%.pid}" || true
	done
}

# --- servers --------------------------------------------------------------------------------------

listens() {
	ended "$1" || grep -q '^serving' "$work/$1.log"
}

# serve NAME ARGUMENT...: a device behind $work/NAME.sock. (The path of a socket must be short, so
# all are relative to $work, for guests too.)
serve() {
	served=$1
	shift
	servers="$servers $served"
	launch "$served" "$vqsim" serve "$@" --socket "$served.sock"
	within 30 listens "$served" || fail "$served does not listen; see $work/$served.log"
	! ended "$served" || fail "$served: $(tail -n 3 "$work/$served.log" | tr '\n' ' ')"
}

# stop_server NAME: as an operator does it; true if it ended well, having refused no message.
stop_server() {
	cat "$work/$1.log"
	! ended "$1" || return 1
	kill -s TERM "$(cat "$work/$1.pid")"
	within 20 ended "$1" || echo "it does not end"
	bury "$1" && ! grep -iq refused "$work/$1.log"
}

# --- guests ---------------------------------------------------------------------------------------

# The guest's memory is a file, of which Docker's /dev/shm would have too little.
memory_folder() {
	for folder in /dev/shm "${TMPDIR:-/tmp}"; do
		free=$(df -Pk "$folder" 2>/dev/null | awk 'NR == 2 { print $4 }')
		if [ "${free:-0}" -gt $((guest_mib * 1024 * 5)) ] &&
			! grep -q " $folder [^ ]* [^ ]*noexec" /proc/self/mounts; then
			echo "$folder"
			return
		fi
	done
	fail "there is no room for the memory of guests ($guest_mib MiB each) in /dev/shm or /tmp"
}

# The archive that a guest starts from: one static program, three modules, the way to the rest.
make_initrd() {
	root=$work/root
	mkdir -p "$root/etc" "$root/modules"
	cp "$(command -v busybox)" "$root/busybox"
	cp ci/linux/init "$root/init"
	modules=$(find /usr/lib/uml/modules -name '*.ko')
	for module in virtio_blk fuse virtiofs; do
		cp "$(echo "$modules" | grep "/$module.ko\$" | tail -n 1)" "$root/modules/"
	done
	echo 'root:x:0:0:root:/tmp:/bin/sh' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
	for file in ld.so.cache mke2fs.conf alternatives; do
		[ ! -e "/etc/$file" ] || cp -RP "/etc/$file" "$root/etc/"
	done
	dirs=
	for dir in usr bin sbin lib lib32 lib64 libx32; do
		if [ -L "/$dir" ]; then
			cp -P "/$dir" "$root/$dir"
		elif [ -d "/$dir" ]; then
			dirs="$dirs $dir"
		fi
	done
	printf "HOST_DIRS='%s'\nHOST_WORK='%s'\n" "$dirs" "$work" >"$root/host"
	(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/initrd"
	mkdir -p "$work/guest"
	cp ci/linux/*.sh "$work/guest/"
}

# boot NAME WORDS JOBS SOCKET:ID...: a guest with these devices; WORDS are for its environment.
boot() {
	guest=$1
	words=$2
	jobs=$3
	shift 3
	devices=
	for device; do
		devices="$devices virtio_uml.device=$device"
	done
	# Not fd:0: /dev/null cannot be polled, and User-Mode Linux complains.
	# shellcheck disable=SC2086
	launch "$guest" env TMPDIR="$memory" HOME="$work" linux.uml "mem=${guest_mib}M" \
		initrd=initrd con=null con0=null,fd:1 uml_dir=uml umid="$guest" $quick $devices \
		jobs="$jobs" $words
}

# answer NAME: what a guest asked for. The caller defines reply QUESTION.
answer() {
	question=$(tr -d '\r' <"$work/$1.log" | sed -n 's/^@ask //p' | tail -n 1)
	[ -n "$question" ] && [ ! -e "$work/$question.answer" ] || return 0
	reply "$question" >"$work/answer.$1"
	mv "$work/answer.$1" "$work/$question.answer"
}

# A guest that says nothing for so long never will.
silence=180

is_silent() {
	[ $(($(date +%s) - $(stat -c %Y "$work/$1.log"))) -gt "$silence" ]
}

attended() {
	answer "$1"
	ended "$1" || is_silent "$1"
}

# end_guest NAME: if it has not ended by itself. Its status goes to its console, for people.
end_guest() {
	status_of_guest=0
	bury "$1" || status_of_guest=$?
	printf '\n@gone %s\n' "$status_of_guest" >>"$work/$1.log"
}

# attend NAME MS: until it ends by itself, or at that time not by itself.
attend() {
	wait_until "$2" attended "$1" && ended "$1" ||
		printf '\n@late: it hung, or was too slow\n' >>"$work/$1.log"
	end_guest "$1"
}

# --- counting -------------------------------------------------------------------------------------

# result STATUS TEXT: one check, for people and for the count.
result() {
	if [ "$1" -eq 0 ]; then
		echo "ok      $2"
		echo ok >>"$work/results"
	else
		echo "FAILED  $2"
		echo failed >>"$work/results"
	fi
}

# check TEXT COMMAND...: the command says what came of it.
check() {
	text=$1
	shift
	status=0
	check_log=$work/check.${lane:-all}.log
	"$@" >"$check_log" 2>&1 || status=$?
	result "$status" "$text"
	[ "$status" -eq 0 ] || tail -n 10 "$check_log" | sed 's/^/    /'
}

# judge NAME JOBS: each job has to have been reported; what a dead guest did not say has failed.
judge() {
	console=$work/$1.log
	worst=0
	for job in $(echo "$2" | tr , ' '); do
		line=$(tr -d '\r' <"$console" | grep "^@job $job " || true)
		status=$(echo "$line" | cut -d ' ' -f 3)
		if [ "${status:-1}" -eq 0 ]; then
			result 0 "$1: $(echo "$line" | awk '{ printf "%s, %d ms", $2, $4
				for (i = 5; i <= NF; i++) printf "%s%s", i == 5 ? ": " : " ", $i }')"
		else
			result 1 "$1: $job, ${status:+status }${status:-the guest did not get there}"
			worst=1
		fi
	done
	[ "$worst" -eq 0 ] || show_console "$1"
}

show_console() {
	echo "    the last lines of the guest's console ($work/$1.log); again:"
	echo "    $(echo "$again" | sed "s/GUEST/$1/")"
	tr -d '\r' <"$work/$1.log" | tail -n 30 | sed 's/^/    | /'
}

# The last line of a check, and its exit status.
finish() {
	passed=$(grep -c '^ok' "$work/results" || true)
	failed=$(grep -c '^failed' "$work/results" || true)
	[ "$failed" -ne 0 ] || rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
