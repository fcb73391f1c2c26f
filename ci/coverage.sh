#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Run every test and corpus in the variant "coverage" and say how much of devices/ and vqsim/ they
# reach. The limits are those that the project has set itself. Exit status 1: short, or a test
# failed.
set -eu

out=build/coverage
line_limit=${LINE_LIMIT:-90}
branch_limit=${BRANCH_LIMIT:-75}

# Counts of an earlier run would add up.
find "$out" -name '*.gcda' -delete

tests=0
V=coverage LOGS=$out/check sh ci/check.sh || tests=1

gcovr --root . --filter devices/ --filter vqsim/ --gcov-executable "${GCOV:-gcov}" \
	--exclude-unreachable-branches --exclude-throw-branches \
	--html-details "$out/index.html" --txt "$out/summary.txt" --print-summary \
	-j "$(nproc)" "$out/obj" >"$out/gcovr.log" 2>&1 || {
	cat "$out/gcovr.log" >&2
	exit 1
}

# gcovr prints "lines: 93.5% (a out of b)".
percent() {
	sed -n "s/^$1: \([0-9.]*\)%.*/\1/p" "$out/gcovr.log"
}

# bar NAME VALUE LIMIT
bar() {
	awk -v name="$1" -v value="$2" -v limit="$3" 'BEGIN {
		short = value + 0 < limit + 0
		printf "bar: %s %.1f %s %s\n", name, value, limit, short ? "short" : "ok"
		exit short
	}'
}

lines=$(percent lines)
branches=$(percent branches)
if [ -z "$lines" ] || [ -z "$branches" ]; then
	cat "$out/gcovr.log" >&2
	echo "coverage: gcovr gave no figures" >&2
	exit 1
fi

status=$tests
echo "coverage: lines $lines % branches $branches %  ($out/index.html)"
bar line-coverage "$lines" "$line_limit" || status=1
bar branch-coverage "$branches" "$branch_limit" || status=1
exit "$status"
