#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A real Linux on the served devices: User-Mode Linux (Linux as an ordinary process, so neither
# QEMU nor KVM) has its disks and file systems from `vqsim serve`, by vhost-user, and does
# there what guests do. Every check is what the guest found, or what the host finds afterwards.
#
#   ci/linux.sh [VQSIM]     T: only guests with one of these words in their name
#
# The guests are
#   disk    block devices: a file, memory, a file that is read-only
#   files   a directory of the host, by virtiofs
#   both    a disk and a file system in memory, at the same time
#   again   after disk and files: what they left, on the same servers
#   poll    rings without indirect descriptors and event index, and a disk whose server looks at its
#           ring all the time instead of waiting for kicks
#
# User-Mode Linux has one processor, so its drivers use one request queue of those offered.

set -eu
LC_ALL=C
export LC_ALL
# Debian keeps mke2fs where the PATH of an ordinary user does not look.
PATH=$PATH:/usr/sbin:/sbin

script=ci/linux.sh
work=$PWD/build/linux
again="T=GUEST make check-linux"
limit=240 # seconds for all guests that run at the same time
vqsim=$(realpath "${1:-${VQSIM:-build/vqsim}}")
. ci/linux/host.sh
. ci/linux/tree.sh

disk_jobs=disk_probe,disk_mkfs,disk_tree,disk_discard,disk_grow,disk_zeroes,disk_fio,disk_rebind
disk_jobs=$disk_jobs,disk_readonly,disk_umount,kernel_log
files_jobs=files_tag,files_mount,files_tree,files_sqlite,files_git,files_fio,files_rebind
files_jobs=$files_jobs,files_umount,kernel_log
both_jobs=files_mount,files_tree_plain,both_copy,files_sqlite,files_umount,kernel_log
again_jobs=disk_again,files_again,kernel_log
poll_jobs=files_mount,both_tree,kernel_log

disk_mib=160
grown_mib=288
serial=linux-disk-0001

# --- what the guests get --------------------------------------------------------------------------

# All that tar can carry, as far as the host takes it.
make_tree() {
	mkdir -p "$1/sources" "$1/empty" "$1/modes"
	cp -R devices ci "$1/sources"
	for mode in 0000 0111 0444 0640 0777 2755 4755 6711 1644; do
		echo "$mode" >"$1/modes/$mode"
	done
	if [ "$(id -u)" -eq 0 ]; then
		chown 1:2 "$1/modes/0640" "$1/empty"
		chown 1000:0 "$1/modes/0777"
		mknod "$1/null" c 1 3 || true
		for mode in 0000 0111; do
			chmod "$mode" "$1/modes/$mode"
		done
	fi
	for mode in 0444 0640 0777 2755 4755 6711 1644; do
		chmod "$mode" "$1/modes/$mode"
	done
	chmod 1777 "$1/empty"
	ln -s modes/0777 "$1/symlink"
	ln "$1/modes/0444" "$1/hard_link"
	mkfifo "$1/fifo"
	: >"$1/$(printf 'n%.0s' $(seq 255))"
	: >"$1/$(printf 'new\nline\t"\134')"
	truncate -s 3M "$1/sparse"
	echo end >>"$1/sparse"
	setfattr -n user.guest -v "$(printf '%0500d' 1)" "$1/sparse" || true
	setfacl -m u:7:rx,g:8:w "$1/modes/0777" || true
	touch -d '1970-01-01 00:00:01.5' "$1/modes/0444"
	touch -h -d '2033-03-03 03:03:03.123456789' "$1/symlink"
}

make_repository() {
	export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
	git init -q "$1"
	cp -R devices/blk devices/serve ci "$1/"
	git -C "$1" add -A
	git -C "$1" -c user.name=host -c user.email=host@localhost commit -q -m first
}

# A server that is no superuser can give files to nobody else.
owner_option() {
	[ "$(id -u)" -eq 0 ] || echo --no-same-owner
}

make_inputs() {
	make_tree "$work/tree" 2>"$work/tree.errors"
	list_tree "$work/tree" >"$work/tree.list"
	sum_tree "$work/tree" >"$work/tree.sums"
	tar -C "$work/tree" -cf "$work/tree.tar" --format=posix --sparse --xattrs \
		--xattrs-include='*' --acls .
	make_repository "$work/repo"
	truncate -s ${disk_mib}M "$work/disk.img"
	truncate -s 32M "$work/frozen.img"
	mke2fs -q -t ext4 -d "$work/tree" "$work/frozen.img"
	cat >"$work/facts" <<-EOF
		disk_sectors=$((disk_mib * 2048))
		disk_grown_sectors=$((grown_mib * 2048))
		disk_serial=$serial
		files_tag=linux-files
		files_owner=$(owner_option)
	EOF
}

# --- the guests -----------------------------------------------------------------------------------

# Packed rings are offered unless something is said of features; "all" leaves them out.
serve_disk() {
	serve disk_file blk --store "file:$work/disk.img" --queues 2 --id $serial
	serve disk_ram blk --store ram:48M --features all
	serve disk_frozen blk --store "file:$work/frozen.img" --read-only
}

serve_files() {
	mkdir "$work/files"
	serve files_dir fs --tree "dir:$work/files" --tag linux-files --queues 2
}

serve_both() {
	serve both_disk blk --store ram:64M --queues 4 --features all
	serve both_files fs --tree ram --tag linux-files --features all
}

serve_poll() {
	serve poll_disk blk --store ram:64M --poll --features=-indirect_desc,-event_idx
	serve poll_files fs --tree ram --tag linux-files --features=-indirect_desc,-event_idx
}

boot_disk() {
	boot disk "" "$disk_jobs" disk_file.sock:2 disk_ram.sock:2 disk_frozen.sock:2
}

boot_files() {
	boot files "" "$files_jobs" files_dir.sock:26
}

boot_both() {
	boot both "" "$both_jobs" both_disk.sock:2 both_files.sock:26
}

boot_again() {
	boot again "" "$again_jobs" disk_file.sock:2 files_dir.sock:26
}

boot_poll() {
	boot poll "" "$poll_jobs" poll_disk.sock:2 poll_files.sock:26
}

# What the guest of the disk asks for.
reply() {
	case $1 in
	blocks_*) stat -c %b "$work/disk.img" ;;
	grow)
		truncate -s ${grown_mib}M "$work/disk.img"
		kill -s HUP "$(cat "$work/disk_file.pid")"
		echo grown
		;;
	esac
}

# --- what is left on the host ---------------------------------------------------------------------

# (check asks for the status of it all, so that "set -e" does not end it.)
host_disk() {
	e2fsck -fn "$work/disk.img" &&
		mkdir "$work/dumped" &&
		debugfs -R "rdump sources $work/dumped" "$work/disk.img" &&
		diff -r "$work/tree/sources" "$work/dumped/sources"
}

# --- the run --------------------------------------------------------------------------------------

# chosen GUEST
chosen() {
	for word in ${T:-$1}; do
		case $1 in *"$word"*) return ;; esac
	done
	return 1
}

# jobs_of GUEST
jobs_of() {
	eval "echo \"\$${1}_jobs\""
}

# wave GUEST...: run them at the same time, and say what they found.
wave() {
	[ $# -ne 0 ] || return 0
	for guest; do
		"boot_$guest"
	done
	echo "linux: running: $*"
	deadline=$(($(now_ms) + limit * 1000))
	for guest; do
		attend "$guest" "$deadline"
		judge "$guest" "$(jobs_of "$guest")"
	done
}

needs_tools
rm -rf "$work"
mkdir -p "$work"
trap bury_everything EXIT
trap 'exit 2' HUP INT PIPE TERM
begin=$(now_ms)
memory=$(memory_folder)
make_initrd
make_inputs

first=
for guest in disk files both; do
	chosen $guest || continue
	first="$first $guest"
	serve_$guest
done
# shellcheck disable=SC2086
wave $first

second=
case $first in *disk*files*) second=again ;; esac
if chosen poll; then
	second="$second poll"
	serve_poll
fi
[ -n "$first$second" ] || fail "no guest has '$T' in its name"
# shellcheck disable=SC2086
wave $second

for server in $servers; do
	check "$server: the server ends well" stop_server "$server"
done
case $first in *disk*) check "host: e2fsck and the tree on the disk" host_disk ;; esac
case $first in *files*) check "host: the tree in the directory" \
	same_tree "$work/files/tree" "$work/tree.list" "$work/tree.sums" ;; esac
echo "linux: $((($(now_ms) - begin) / 1000)) s"
finish
