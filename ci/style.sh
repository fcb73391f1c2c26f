#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The rules of this tree that a program can check. Every finding is one line "file:line: what to
# do"; the last line is "style: N files ok" or how many findings there are (exit status 1).
# Programs for awk and sh -c stand in single quotes on purpose:
# shellcheck disable=SC2016
set -eu
export LC_ALL=C

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 2' HUP INT TERM

# find, not git: a release tarball is checked as well.
find devices vqsim tests fuzz perf ci -name '*.[ch]' 2>/dev/null | sort >"$tmp/files"
grep '\.h$' "$tmp/files" >"$tmp/headers" || true
# What `make install` gives to others.
grep -E '^(devices|vqsim)/' "$tmp/headers" | grep -v -E '^vqsim/cli/|internal\.h$' \
	>"$tmp/public" || true

# each LIST COMMAND... : run COMMAND on the files of LIST, if there are any.
each() {
	list=$1
	shift
	[ ! -s "$list" ] || xargs "$@" <"$list"
}

# Releases of clang-format disagree about details, so only the one of Debian 12 counts.
formatter() {
	for tool in clang-format-14 clang-format; do
		case $("$tool" --version 2>/dev/null) in
		*"version 14."*)
			echo "$tool"
			return
			;;
		esac
	done
}

format() {
	tool=$(formatter)
	[ -n "$tool" ] || return 0
	each "$tmp/files" -P "$(nproc)" -n 16 "$tool" --dry-run -Werror 2>&1 |
		sed -n 's/^\([^ ]*:[0-9]*\):[0-9]*: error: .*/\1/p' | sort -u |
		awk -F : '
			!($1 in first) || $2 < first[$1] { first[$1] = $2 }
			{ places[$1]++ }
			END {
				for (file in first)
					printf "%s:%d: %d lines: clang-format -i %s\n",
						file, first[file], places[file], file
			}'
}

# includes PREFIX FORBIDDEN MESSAGE: nothing under PREFIX includes a path with FORBIDDEN in it.
includes() {
	grep -E "^($1)/" "$tmp/files" >"$tmp/some" || return 0
	each "$tmp/some" grep -nHE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]([^>\"]*/)?($2)/" |
		sed "s|^\([^:]*:[0-9]*\):.*|\1: $3|"
}

direction() {
	includes devices 'vqsim|tests|fuzz|perf' \
		"devices/ stands alone: do not include the guest's side or tests"
	includes vqsim 'tests|fuzz|perf' "vqsim/ must not include tests/, fuzz/ or perf/"
}

# Words that nobody should find in sources and in what builds them; written so that this script
# does not find itself.
leftovers() {
	find Makefile ci .ci .github -type f 2>/dev/null | cat - "$tmp/files" |
		xargs grep -nHwE 'TOD[O]|FIXM[E]|XX[X]' |
		sed 's/^\([^:]*:[0-9]*\):.*/\1: do it now or open an issue; nothing is left for later in comments/'
}

# One pass over each file: its first line, its length, the length of its functions.
shape() {
	each "$tmp/files" awk '
		function done() {
			limit = file ~ /^tests\// ? 500 : 600
			if (file ~ /\.c$/ && lines > limit)
				printf "%s:%d: %d lines, at most %d: split the file\n",
					file, lines, lines, limit
		}
		FNR == 1 {
			done()
			file = FILENAME
			start = 0
			if ($0 !~ /^(\/\*|\/\/) SPDX-License-Identifier: /)
				printf "%s:1: start with an SPDX-License-Identifier line\n", file
		}
		{ lines = FNR }
		/^{/ { start = FNR }
		/^}/ && start {
			if (FNR - start - 1 > 70)
				printf "%s:%d: function of %d lines, at most 70: split it\n",
					file, start, FNR - start - 1
			start = 0
		}
		END { done() }'
}

# A header under devices/ has a version of its own; vqsim/ has one for all, in version.h.
public_headers() {
	while read -r header; do
		grep -q 'extern "C"' "$header" ||
			echo "$header:1: public header: wrap it in extern \"C\" for C++"
		case $header in
		vqsim/*) macro=VQSIM_VERSION_MAJOR where=vqsim/version.h ;;
		*) macro='[A-Z0-9_]+_API_MAJOR' where=$header ;;
		esac
		grep -qsE "^#define $macro " "$where" ||
			echo "$header:1: public header: define NAME_API_MAJOR (vqsim/: in version.h)"
	done <"$tmp/public"
}

# Every member of a table is documented where it is declared: a comment ends on the line before
# it, or follows it on its line. Members are declared at depth 1 of "struct NAME_ops {".
tables() {
	each "$tmp/headers" awk '
		FNR == 1 { inside = comment = 0 }
		/^struct [a-z0-9_]+_ops {/ { inside = 1; documented = open = 0; next }
		!inside { next }
		/^}/ { inside = 0; next }
		comment { if (/\*\//) { comment = 0; documented = 1 } next }
		/^[ \t]*\/\// { documented = 1; next }
		/^[ \t]*\/\*/ { if (/\*\//) documented = 1; else comment = 1; next }
		/^[ \t]*$/ { documented = 0; next }
		{
			if (!open && !documented && !/\/\*/)
				printf "%s:%d: document this member: when, NULL, units, owner, results\n",
					FILENAME, FNR
			open = !/;/
			documented = 0
		}'
}

# compiles COMPILER-AND-FLAGS LIST: each header alone.
compiles() {
	compiler=$1
	each "$2" -P "$(nproc)" -n 1 sh -c '
		if ! said=$($0 -fsyntax-only -I. -include "$1" /dev/null 2>&1); then
			why=$(echo "$said" | grep -m 1 -o "error: .*")
			echo "$1:1: must compile alone with $0: $why"
		fi
	' "$compiler"
}

self_contained() {
	compiles "${GCC:-gcc} -std=gnu11 -Wall -Wextra -Werror -x c" "$tmp/headers"
	for cxx in g++ clang++; do
		command -v "$cxx" >/dev/null 2>&1 || continue
		compiles "$cxx -std=c++11 -Wall -Werror -x c++" "$tmp/public"
		break
	done
}

{
	format
	direction
	leftovers
	shape
	public_headers
	tables
	self_contained
} >"$tmp/findings" || true

if [ -s "$tmp/findings" ]; then
	sort -t : -k 1,1 -k 2,2n "$tmp/findings"
	echo "style: $(wc -l <"$tmp/findings") findings"
	exit 1
fi
[ -n "$(formatter)" ] || echo "style: format not checked: there is no clang-format 14"
echo "style: $(wc -l <"$tmp/files") files ok"
