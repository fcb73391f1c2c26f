#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The tutorial (devices/null/README.md) is tested as a reader would: extract its files, build and
# run them with the commands of the page, then break the device as the page says.
# Usage: tutorial.sh VARIANT (one whose libraries are built, without sanitizers)
set -eu

variant=${1:?usage: tutorial.sh VARIANT}
page=devices/null/README.md
dir=build/$variant/tutorial
libs="build/$variant/libvqsim.a build/$variant/libdevices.a"
cc=${CC:-cc}
rm -rf "$dir"
mkdir -p "$dir"

# The code block that follows the heading which names the file.
extract()
{
	awk -v name="$1" '
		/^## / { mine = index($0, "`" name "`") > 0 }
		/^```/ { if (inside) exit; inside = mine && $0 == "```c"; next }
		inside' "$page" > "$dir/$1"
	test -s "$dir/$1" || { echo "not ok - $page has no listing of $1"; exit 1; }
}

echo 1..3
extract rot13.c
extract rot13_test.c
# shellcheck disable=SC2086
$cc -Wall -Wextra -Werror -I. "$dir/rot13.c" "$dir/rot13_test.c" $libs -pthread -o "$dir/rot13"
echo "ok 1 - the listings of $page build without a warning"

"$dir/rot13" > "$dir/out"
grep -q '^100000 requests, 0 violations$' "$dir/out"
echo "ok 2 - the tutorial's device passes its test"

sed -n "s/^sed '\(.*\)' rot13.c > wrong.c$/\1/p" "$page" > "$dir/break.sed"
test -s "$dir/break.sed"
sed -f "$dir/break.sed" "$dir/rot13.c" > "$dir/wrong.c"
if cmp -s "$dir/rot13.c" "$dir/wrong.c"; then
	echo "not ok 3 - the page's sed command changes nothing"
	exit 1
fi
# shellcheck disable=SC2086
$cc -I. "$dir/wrong.c" "$dir/rot13_test.c" $libs -pthread -w -o "$dir/wrong"
if "$dir/wrong" > "$dir/wrong.out" 2>&1 || ! grep -q '^violation SPLIT-D-16' "$dir/wrong.out"; then
	echo "not ok 3 - the broken device is caught as the page says (see $dir/wrong.out)"
	exit 1
fi
echo "ok 3 - the broken device is caught as the page says"
