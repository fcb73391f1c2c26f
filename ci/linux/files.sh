# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# Jobs on a file-system device, mounted by its tag.
# shellcheck disable=SC2154

files_mount() {
	mkdir -p /tmp/files
	mount -t virtiofs "$files_tag" /tmp/files
	mountpoint /tmp/files
	echo x >/tmp/files/first
	[ "$(cat /tmp/files/first)" = x ]
	rm /tmp/files/first
	[ -z "$(ls -A /tmp/files)" ]
	df /tmp/files
}

# A tag that nobody offers must not be found.
files_tag() {
	fails mount -t virtiofs "no$files_tag" /mnt
}

# shellcheck disable=SC2086
files_tree() {
	mkdir /tmp/files/tree
	tar -C /tmp/files/tree -xpf /work/tree.tar --xattrs --xattrs-include='*' --acls $files_owner
	same_tree /tmp/files/tree /work/tree.list /work/tree.sums
	umount /tmp/files
	echo 3 >/proc/sys/vm/drop_caches
	mount -t virtiofs "$files_tag" /tmp/files
	same_tree /tmp/files/tree /work/tree.list /work/tree.sums
	echo "= $(wc -l </work/tree.sums) files twice the same, with a new mount between"
}

# In memory there are no access control lists, so the tree goes without.
files_tree_plain() {
	mkdir /tmp/files/tree
	tar -C /tmp/files/tree -xpf /work/tree.tar
	sum_tree /tmp/files/tree | diff /work/tree.sums -
	cp -a /tmp/files/tree /tmp/files/copy
	mv /tmp/files/copy/sources /tmp/files/copy/moved
	diff -r --no-dereference --exclude=fifo --exclude=null /tmp/files/tree/sources \
		/tmp/files/copy/moved
	rm -r /tmp/files/copy
}

sql() {
	sqlite3 -cmd '.timeout 20000' /tmp/files/db "$1"
}

# Both kinds of journal, the second of which is memory that processes share.
files_sqlite() {
	sql 'create table t(a, b); create index i on t(b);'
	for mode in delete wal; do
		[ "$(sql "pragma journal_mode=$mode;")" = "$mode" ]
		writers=
		for _ in 1 2; do
			for _ in 1 2; do
				sql 'with recursive c(x) as (select 1 union all select x + 1 from c
					where x < 300) insert into t select x, hex(randomblob(30)) from c;'
			done &
			writers="$writers $!"
		done
		for writer in $writers; do
			wait "$writer"
		done
		sql 'delete from t where a % 3 = 0; vacuum;'
		[ "$(sql 'pragma integrity_check;')" = ok ]
	done
	[ "$(sql 'select count(*) from t;')" -eq 1600 ]
}

# The host's user owns what hostfs shows, whoever that is.
files_git() {
	git config --global safe.directory '*'
	git config --global user.name guest
	git config --global user.email guest@localhost
	cd /tmp/files || return
	git clone -q --no-local /work/repo clone
	git -C clone fsck --strict --no-progress
	diff -r --exclude=.git /work/repo clone
	git -C clone mv "$(git -C clone ls-files '*.c' | head -n 1)" moved.c
	git -C clone commit -q -a -m second
	git -C clone gc -q --prune=now
	git clone -q --no-local clone back
	git -C back fsck --strict --no-progress
	diff -r --exclude=.git clone back
	[ -z "$(git -C clone status --porcelain)" ]
	cd /tmp || return
	rm -rf /tmp/files/back
}

files_fio() {
	mkdir /tmp/files/fio
	verified --directory=/tmp/files/fio --size=8M \
		--name=random --rw=randrw --bs=4k --ioengine=psync --fsync=64 --stonewall \
		--name=odd --rw=randwrite --bsrange=1k-300k --bs_unaligned --ioengine=psync --stonewall \
		--name=whole --rw=write --bs=1M --size=32M --ioengine=psync --end_fsync=1 --stonewall \
		--name=direct --rw=randrw --bs=8k --direct=1 --ioengine=libaio --iodepth=16 --stonewall \
		--name=mapped --rw=randrw --bs=4k --ioengine=mmap --size=4M --stonewall
	rm -r /tmp/files/fio
}

# The driver leaves the device and takes it again, on the same connection.
files_rebind() {
	umount /tmp/files
	for _ in 1 2; do
		name=$(basename "$(dirname "$(grep -l '^0x001a' /sys/bus/virtio/devices/*/device)")")
		echo "$name" >/sys/bus/virtio/drivers/virtiofs/unbind
		fails mount -t virtiofs "$files_tag" /tmp/files
		echo "$name" >/sys/bus/virtio/drivers/virtiofs/bind
		mount -t virtiofs "$files_tag" /tmp/files
		sum_tree /tmp/files/tree | diff /work/tree.sums -
		umount /tmp/files
	done
	mount -t virtiofs "$files_tag" /tmp/files
}

files_umount() {
	sum_tree /tmp/files/tree | diff /work/tree.sums -
	umount /tmp/files
}

files_again() {
	mkdir -p /tmp/files
	mount -t virtiofs "$files_tag" /tmp/files
	same_tree /tmp/files/tree /work/tree.list /work/tree.sums
	git config --global safe.directory '*'
	git -C /tmp/files/clone fsck --strict --no-progress
	[ "$(sql 'pragma integrity_check;')" = ok ]
	umount /tmp/files
}

both_tree() {
	mkfs.ext4 -q -F "$disk"
	mount_disk
	mkdir /tmp/disk/tree /tmp/files/tree
	tar -C /tmp/files/tree -xpf /work/tree.tar &
	tar -C /tmp/disk/tree -xpf /work/tree.tar
	wait $!
	umount /tmp/disk
	mount_disk
	for copy in /tmp/disk/tree /tmp/files/tree; do
		sum_tree "$copy" | diff /work/tree.sums -
	done
	umount /tmp/disk /tmp/files
	e2fsck -fn "$disk"
}

# Disk and file system at the same time: each is the other's source, while fio keeps both busy.
both_copy() {
	mkfs.ext4 -q -F "$disk"
	mount_disk
	mkdir /tmp/disk/fio /tmp/files/fio
	fio --verify=crc32c --verify_fatal=1 --size=8M --output=/tmp/both.out \
		--name=disk --directory=/tmp/disk/fio --rw=randrw --bs=4k --fsync=32 \
		--name=files --directory=/tmp/files/fio --rw=randrw --bs=4k --fsync=32 &
	busy=$!
	cp -a /tmp/files/tree /tmp/disk/there
	cp -a /tmp/disk/there /tmp/files/back
	wait "$busy"
	for copy in /tmp/disk/there /tmp/files/back; do
		sum_tree "$copy" | diff /work/tree.sums -
	done
	rm -r /tmp/files/back /tmp/files/fio
	umount /tmp/disk
	e2fsck -fn "$disk"
}
