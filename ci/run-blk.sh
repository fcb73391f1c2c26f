#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The main job on real input: an ext4 image of a real directory tree goes through the simulated
# guest, the ring and the block device in both directions, and must stay what it was.
#
#   ci/run-blk.sh [VQSIM]      KEEP=yes leaves the images in build/run; SEED=N chooses the mixes
#
# The last line is "run: N requests, N bytes, 0 violations". After a failure the exit status is 1,
# a line on standard error says what to do, and build/run stays as it is.
set -eu
LC_ALL=C
export LC_ALL
# Debian keeps mke2fs where the PATH of an ordinary user does not look.
PATH=$PATH:/usr/sbin:/sbin

vqsim=${1:-build/vqsim}
seed=${SEED:-1}
dir=build/run
tree=$dir/tree
image=$dir/image
kind=blk

# shellcheck source=ci/run.sh
. ci/run.sh

checksum() {
	sha256sum <"$1"
}

# Names, kinds, modes and link targets; owners are those of whoever extracts.
listing() {
	(cd "$1" && find . -mindepth 1 -printf '%P %y %m %l\n' | sort)
}

make_tree() {
	mkdir -p "$tree/sources" "$tree/include"
	tar -cf - --exclude=./build --exclude=./.git . | tar -xf - -C "$tree/sources"
	cp -a /usr/include/. "$tree/include"
}

# What the files take in blocks of 4 KiB, and room for the tables and the journal.
make_image() {
	files=$(find "$tree" | wc -l)
	size=$(($(find "$tree" -printf '%s\n' | awk '{ n += int(($1 + 4095) / 4096) }
		END { print int(n * 4 / 1024) }') + files / 1024 + 48))
	truncate -s "${size}M" "$image"
	mke2fs -q -F -t ext4 -b 4096 -N $((files + 1024)) -d "$tree" "$image" ||
		fail "mke2fs could not make $image; is there room for $((size * 4)) MiB in build/?"
}

read_image() {
	drive --store "file:$image" --workload read --to "$dir/read"
	[ "$(checksum "$dir/read")" = "$(checksum "$image")" ] ||
		fail "what was read differs: cmp $dir/read $image shows where"
	rm "$dir/read"
}

write_image() {
	truncate -s "${size}M" "$dir/written"
	drive --store "file:$dir/written" --workload write --from "$image" --queues 2 \
		--block-size 256K
	e2fsck -fn "$dir/written" >"$dir/e2fsck.log" 2>&1 ||
		fail "e2fsck finds faults in what was written; see $dir/e2fsck.log"
	cmp -s "$dir/written" "$image" ||
		fail "what was written differs: cmp $dir/written $image shows where"
}

# debugfs ends with 0 whatever happens, and complains when it may not set owners: only the files
# themselves tell whether it worked.
extract_image() {
	mkdir "$dir/files"
	debugfs -R "rdump / $dir/files" "$dir/written" >"$dir/debugfs.log" 2>&1
	rm -rf "$dir/files/lost+found"
	diff -r --no-dereference "$tree" "$dir/files" >"$dir/diff.log" ||
		fail "the files differ from $tree; see $dir/diff.log and $dir/debugfs.log"
	listing "$tree" >"$dir/tree.list"
	listing "$dir/files" >"$dir/files.list"
	cmp -s "$dir/tree.list" "$dir/files.list" ||
		fail "names or modes differ: diff $dir/tree.list $dir/files.list shows which"
}

# mix STORE TEXT ARGUMENT...: each with a seed of its own.
mix() {
	store=$1
	text=$2
	shift 2
	drive --store "$store" --workload mix --seed "$seed" "$@"
	step mix "${store%%:*}: $text, seed $seed"
	seed=$((seed + 1))
}

mix_file() {
	head -c 64M "$image" >"$dir/mixed"
	mix "file:$dir/mixed" "$@"
}

for tool in mke2fs e2fsck debugfs sha256sum; do
	command -v "$tool" >/dev/null || fail "$tool is missing; sh ci/deps.sh run installs it"
done
[ -x "$vqsim" ] || fail "there is no $vqsim; make builds it"
[ -d /usr/include/linux ] || fail "there is no /usr/include/linux; sh ci/deps.sh build installs it"

rm -rf "$dir"
mkdir -p "$dir"
make_tree
make_image
step image "$files files of the sources and /usr/include, $size MiB of ext4"
read_image
step read "the whole image through the ring, SHA-256 as on the host"
write_image
step write "a second image through the ring, e2fsck finds no fault"
extract_image
step files "every file of the second image is as in the tree"

mix_file "all features, 2 queues" --requests 10000 --queues 2
mix_file "no event index, direct, ring of 16" --requests 5000 --features all,-event_idx \
	--indirect never --queue-size 16 --block-size 8K
mix_file "no write cache, every write durable" --requests 1000 --features none
mix ram:64M "all features, 4 queues" --requests 40000 --queues 4
mix ram:64M "always indirect, ring of 4, depth 64" --requests 40000 --queue-size 4 \
	--depth 64 --indirect always --block-size 16K
mix ram:64M "ring of 1024, depth 256, odd blocks" --requests 20000 --queue-size 1024 \
	--depth 256 --block-size 37K
mix ram:64M "no ring features, 3 queues" --requests 20000 --queues 3 \
	--features all,-indirect_desc,-event_idx
mix ram:1M "small disk, requests overlap" --requests 40000 --queues 2

[ "$violations" -eq 0 ] || fail "$violations violations; they are named above"
[ "${KEEP:-no}" = yes ] || rm -rf "$dir"
echo "run: $requests requests, $bytes bytes, $violations violations"
