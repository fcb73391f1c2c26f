# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest that is killed at work, and the one after it. keep tells the host what it has fsync'ed
# in /tmp/disk (ext4 on /dev/vda) and in /tmp/files (virtiofs), and the host gives all of it to the
# next guest, in /work/$lane.
# shellcheck disable=SC2154

# Journal replay by the kernel, a clean unmount, and then not one complaint.
crash_check() {
	mount_disk
	umount /tmp/disk
	e2fsck -fn "$disk"
	mount_disk
	mkdir -p /tmp/files
	mount -t virtiofs "$files_tag" /tmp/files
	for where in disk files; do
		/work/guest/keep check "/tmp/$where" "/work/$lane/kept.$where"
	done
	kernel_log
	echo "= $(cat "/work/$lane"/kept.* | wc -l) files"
}

# for_ever COMMAND...: what must not end before the guest is killed, and says so if it does.
for_ever() {
	"$@" || true
	echo "@ended $*" >/dev/console
}

crash_work() {
	mountpoint -q /tmp/disk
	mountpoint -q /tmp/files
	for where in disk files; do
		for_ever /work/guest/keep noise "/tmp/$where" &
		for_ever /work/guest/keep work $where "/tmp/$where" "$round" >/dev/console &
	done
	echo "@ready" >/dev/console
	wait
}
