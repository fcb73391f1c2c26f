#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# One job of a guest: jobs.sh NAME. Exit status 0 if the guest found everything as it must be.
#
# /work is the host's folder of this run, read-only; facts there says what the devices must be.

# Jobs are called by their names, and read what /work/facts sets.
# shellcheck disable=SC1091,SC2034,SC2154
set -eu
. /work/facts
. /work/guest/tree.sh
. /work/guest/disk.sh
. /work/guest/files.sh
. /work/guest/crash.sh

# ask QUESTION: the host does it and answers with a word.
ask() {
	echo "@ask $1" >/dev/console
	for _ in $(seq 600); do
		if [ -e "/work/$1.answer" ]; then
			cat "/work/$1.answer"
			return
		fi
		sleep 0.05
	done
	echo "the host has not answered '$1'" >&2
	return 1
}

# fails COMMAND...: it must. (After a plain "!" the shell would go on whatever came of it.)
fails() {
	if "$@"; then
		echo "this must have failed: $*" >&2
		return 1
	fi
}

# Nothing that a driver, a file system or the kernel complained about.
kernel_log() {
	dmesg >/tmp/dmesg
	fails grep -E 'I/O error|Buffer I/O|EXT4-fs.*(error|warning)|virtio.*(fail|error)|fuse.*error' \
		/tmp/dmesg
	fails grep -E 'WARNING|BUG|Oops|blocked for more than|stuck|Call Trace' /tmp/dmesg
}

set -x
"$1"
