# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# Jobs on block devices. /dev/vda is a file of the host, /dev/vdb memory of the server, /dev/vdc a
# file system that the host made, served read-only.
# shellcheck disable=SC2154

disk=/dev/vda
scratch=/dev/vdb
frozen=/dev/vdc

# limit DEVICE NAME: what the driver made of the configuration space.
limit() {
	cat "/sys/block/${1#/dev/}/queue/$2"
}

# ring_of DEVICE: bit 34 of what was negotiated.
ring_of() {
	case $(cut -c 35 "/sys/block/${1#/dev/}/device/features") in
	1) echo packed ;;
	*) echo split ;;
	esac
}

disk_probe() {
	[ "$(cat /sys/block/vda/size)" -eq "$disk_sectors" ]
	[ "$(cat /sys/block/vda/serial)" = "$disk_serial" ]
	[ "$(limit $disk write_cache)" = "write back" ]
	[ "$(limit $disk discard_max_bytes)" -gt 0 ]
	[ "$(limit $disk write_zeroes_max_bytes)" -gt 0 ]
	[ "$(ring_of $disk)" = packed ]
	[ "$(ring_of $scratch)" = split ]
	[ "$(blockdev --getro $disk)" -eq 0 ]
	[ "$(blockdev --getro $frozen)" -eq 1 ]
	echo "= features $(cat /sys/block/vda/device/features)"
}

disk_mkfs() {
	mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 $disk
	e2fsck -fn $disk
}

mount_disk() {
	mkdir -p /tmp/disk
	mount -t ext4 $disk /tmp/disk
}

disk_tree() {
	mount_disk
	tar -C /tmp/disk -xpf /work/tree.tar --xattrs --xattrs-include='*' --acls
	sync
	same_tree /tmp/disk /work/tree.list /work/tree.sums
	umount /tmp/disk
	e2fsck -fn $disk
	# Nothing is left in a cache: what is compared now comes from the device.
	echo 3 >/proc/sys/vm/drop_caches
	mount_disk
	same_tree /tmp/disk /work/tree.list /work/tree.sums
	echo "= $(wc -l </work/tree.sums) files twice the same, with a new mount between"
}

# The host counts the blocks of its file, before and after.
disk_discard() {
	mkdir /tmp/disk/big
	head -c 32M /dev/urandom >/tmp/disk/big/file
	sync
	before=$(ask blocks_before)
	rm -r /tmp/disk/big
	sync
	fstrim -v /tmp/disk
	after=$(ask blocks_after)
	[ $((before - after)) -ge 60000 ]
	echo "= the host's file shrank from $((before / 2)) to $((after / 2)) KiB"
}

# The host makes its file longer; nobody tells the guest but the device.
disk_grow() {
	[ "$(ask grow)" = grown ]
	for _ in $(seq 400); do
		[ "$(cat /sys/block/vda/size)" -eq "$disk_sectors" ] || break
		sleep 0.05
	done
	[ "$(cat /sys/block/vda/size)" -eq "$disk_grown_sectors" ]
	resize2fs $disk
	[ "$(df --output=size /tmp/disk | tail -n 1)" -gt $((disk_sectors / 2)) ]
	umount /tmp/disk
	e2fsck -fn $disk
	mount_disk
	echo "= $disk_sectors to $(cat /sys/block/vda/size) sectors, and ext4 with it"
}

# zeroes DEVICE OFFSET SIZE, in KiB: only zeroes there, and as many as that?
zeroes() {
	dd if="$1" iflag=direct bs=1024 skip="$2" count="$3" of=/tmp/zeroes
	[ "$(stat -c %s /tmp/zeroes)" -eq $(($3 * 1024)) ]
	cmp -n $(($3 * 1024)) /tmp/zeroes /dev/zero
}

disk_zeroes() {
	head -c 8M /dev/urandom >/tmp/before
	dd if=/tmp/before of=$scratch oflag=direct bs=64k
	blkdiscard -z -o $((1 << 20)) -l $((3 << 20)) $scratch
	zeroes $scratch 1024 3072
	cmp -n $((1 << 20)) /tmp/before $scratch
	cmp -i $((4 << 20)) -n $((4 << 20)) /tmp/before $scratch
	blkdiscard $scratch
	mkfs.ext4 -q -F $scratch
	e2fsck -fn $scratch
}

# verified OPTION...: fio writes, reads and compares; all of it must have been good.
verified() {
	fio --verify=crc32c --verify_fatal=1 --verify_backlog=64 --group_reporting \
		--output=/tmp/fio.out "$@"
	grep -E ' err= *0' /tmp/fio.out
	fails grep -E 'err= *[1-9]|verify:' /tmp/fio.out
}

disk_fio() {
	verified --filename=$scratch --direct=1 --ioengine=libaio --iodepth=32 \
		--name=random --rw=randrw --bs=4k --size=12M --stonewall \
		--name=long --rw=write --bs=1M --iodepth=4 --offset=16M --size=24M --stonewall
	verified --directory=/tmp/disk --size=12M \
		--name=random --rw=randwrite --bs=4k --direct=1 --ioengine=libaio --iodepth=32 \
		--stonewall \
		--name=mixed --rw=randrw --bssplit=512/30:4k/40:64k/20:1m/10 --ioengine=libaio \
		--direct=1 --iodepth=8 --fsync=64 --stonewall \
		--name=buffered --rw=randrw --bsrange=1k-128k --bs_unaligned --fsync=32 --stonewall \
		--name=mapped --rw=randrw --bs=4k --ioengine=mmap --size=4M --stonewall
	rm /tmp/disk/*.*.0
}

# The driver leaves the device (a reset) and takes it again, on the same connection.
disk_rebind() {
	umount /tmp/disk
	for _ in 1 2; do
		name=$(basename "$(readlink /sys/block/vda/device)")
		echo "$name" >/sys/bus/virtio/drivers/virtio_blk/unbind
		[ ! -e $disk ]
		echo "$name" >/sys/bus/virtio/drivers/virtio_blk/bind
		[ -b $disk ]
		mount_disk
		sum_tree /tmp/disk | diff /work/tree.sums -
		umount /tmp/disk
	done
	e2fsck -fn $disk
	mount_disk
}

disk_readonly() {
	mkdir /tmp/frozen
	mount -t ext4 -o ro $frozen /tmp/frozen
	sum_tree /tmp/frozen | diff /work/tree.sums -
	umount /tmp/frozen
	fails dd if=/dev/zero of=$frozen bs=4k count=1 oflag=direct
}

disk_umount() {
	umount /tmp/disk
}

# What an earlier guest left.
disk_again() {
	e2fsck -fn $disk
	mount_disk
	same_tree /tmp/disk /work/tree.list /work/tree.sums
	umount /tmp/disk
}
