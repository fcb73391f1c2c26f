# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# Of a tree of files all that must arrive with it; host and guest both read this file.

# list_tree DIRECTORY: names, kinds, modes, owners, sizes, times to the nanosecond, links, device
# numbers; extended attributes. Links, sizes of directories belong to the file system.
list_tree() {
	(
		cd "$1" || exit
		find . -mindepth 1 ! -type d ! -path ./lost+found \
			-printf '%P %y %m %U:%G %s %T@ %n %l\n' | sort
		find . -mindepth 1 -type d ! -path ./lost+found -printf '%P %y %m %U:%G %T@\n' | sort
		find . -type c -exec stat -c '%n %t:%T' {} +
		find . -mindepth 1 ! -type l ! -path ./lost+found -print0 | sort -z |
			xargs -0 getfattr --absolute-names -h -d -m '^(user|trusted|system)' -e hex
	)
}

# sum_tree DIRECTORY: lines for sha256sum -c of all regular files.
sum_tree() {
	(cd "$1" && find . -type f ! -path './lost+found/*' -print0 | sort -z | xargs -0 sha256sum)
}

# same_tree DIRECTORY LIST SUMS: is it what the lists say, each byte and each attribute?
same_tree() {
	list_tree "$1" | diff "$2" - || return 1
	sum_tree "$1" | diff "$3" -
}
