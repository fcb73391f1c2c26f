#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Run every test that `make check` has built, replay the corpora, follow the tutorial, and count.
#
#   V   what to run: variants, "memcheck" (the tests of ci/valgrind.list), "style"
#   T   only tests with one of these words in their name; a word that no test has is an error
#   TIMEOUT   seconds for one binary (300)
#   LOGS      where the logs go (build/check, or build/check.PID while another run has that)
#   VQSIM_VIOLATIONS   where violations are drawn (LOGS/violations.VARIANT)
#
# A job is one binary of one variant. Jobs run in parallel; each leaves LOGS/VARIANT.NAME.log and,
# beside it, .count with "PASSED FAILED SKIPPED". A test binary reports in TAP. The last line is
# "N passed, N failed"; the exit status is 1 if anything failed or nothing passed.
set -eu

logs=${LOGS:-build/check}
limit=${TIMEOUT:-300}
# shellcheck disable=SC2086
T=$(echo ${T:-}) # a T of spaces asks for nothing in particular

# shellcheck source=ci/sanitizers.sh
. ci/sanitizers.sh

# limited COMMAND... : -k, because a test that hangs may also ignore SIGTERM.
limited() {
	timeout -k 10 "$limit" "$@"
}

# why STATUS: what an exit status of a limited command means.
why() {
	case $1 in
	124 | 137) echo "killed: it ran longer than $limit s, or was killed from outside" ;;
	1[3-9]?) echo "died of signal $(($1 - 128))" ;;
	*) echo "exit status $1" ;;
	esac
}

# count_tap FILE STATUS: print "PASSED FAILED SKIPPED" for the TAP of a binary. What the plan
# promises and the output does not hold is one failure more: the binary died on the way. cmocka
# prints one plan for each group, skipped tests as "not ok N # SKIP", and a group whose set-up
# failed as "not ok 0", without results for its tests.
count_tap() {
	awk -v status="$2" '
		/^1\.\.[0-9]+/ { plan += substr($0, 4) }
		/^(not )?ok [0-9]+ # SKIP/ { skipped++; next }
		/^ok [0-9]/ { passed++ }
		/^not ok 0 / { group++ }
		/^not ok [0-9]/ { failed++ }
		END {
			whole = passed + failed + skipped == plan || group
			if (!whole || !plan || (status != 0 && !failed))
				failed++
			print passed + 0, failed + 0, skipped + 0
		}' "$1"
}

# Run the rest of the line as a TAP producer: $log and $count are set.
run_tap() {
	status=0
	limited "$@" >"$log.out" 2>"$log.err" </dev/null || status=$?
	count_tap "$log.out" "$status" >"$count"
	{
		cat "$log.out"
		echo "# --- stderr"
		cat "$log.err"
		[ "$status" -eq 0 ] || echo "# --- $(why "$status")"
	} >"$log"
	grep -A 9 '^not ok' "$log.out" | grep -v '^ok ' >"$log.brief" || true
	tail -n 40 "$log.err" >>"$log.brief"
	[ "$status" -eq 0 ] || why "$status" >>"$log.brief"
	rm -f "$log.out" "$log.err"
}

# Run the rest of the line; it passes with status 0.
run_plain() {
	status=0
	limited "$@" >"$log" 2>&1 </dev/null || status=$?
	case $status in
	0) echo 1 0 0 ;;
	*) echo 0 1 0 ;;
	esac >"$count"
	tail -n 40 "$log" >"$log.brief"
	[ "$status" -eq 0 ] || why "$status" >>"$log.brief"
}

# A corpus is one test: all its files in one process. Some that fail are then named one by one.
run_corpus() {
	replay=$1
	corpus=$2
	if [ -z "$(find "$corpus" -type f 2>/dev/null | head -n 1)" ]; then
		echo "no files in $corpus" | tee "$log" >"$log.brief"
		echo 0 0 1 >"$count"
		return
	fi
	run_plain find "$corpus" -type f -exec "$replay" {} +
	grep -q '^0 1 ' "$count" || return 0
	find "$corpus" -type f | sort | while read -r file; do
		limited "$replay" "$file" >/dev/null 2>&1 </dev/null || echo "fails: $replay $file"
	done | head -n 20 | tee -a "$log" >>"$log.brief"
}

# compiler VARIANT
compiler() {
	case $1 in
	clang*) echo "${CLANG:-clang}" ;;
	*) echo "${GCC:-gcc}" ;;
	esac
}

# run_job VARIANT NAME
run_job() {
	variant=$1
	name=$2
	begin=$(date +%s)
	log=$logs/$variant.$name.log
	count=$logs/$variant.$name.count
	export VQSIM="build/$variant/vqsim"
	export CMOCKA_MESSAGE_OUTPUT=TAP
	# Where violations are drawn, but for those of devices that are wrong on purpose.
	case $name in
	suite_proof_test | ledger) VQSIM_VIOLATIONS= ;;
	*) : "${VQSIM_VIOLATIONS=$(cd "$logs" && pwd)/violations.$variant}" ;;
	esac
	export VQSIM_VIOLATIONS
	case $variant.$name in
	style.*)
		run_plain sh ci/style.sh
		;;
	memcheck.*)
		VQSIM=build/gcc/vqsim
		run_tap valgrind --quiet --error-exitcode=99 --leak-check=full \
			--errors-for-leak-kinds=definite,indirect "build/gcc/tests/$name"
		;;
	*.ledger)
		run_plain sh ci/ledger.sh "build/$variant/ledger"
		;;
	*.tutorial)
		CC=$(compiler "$variant") run_tap sh ci/tutorial.sh "$variant"
		;;
	*.replay_*)
		run_corpus "build/$variant/$name" "fuzz/corpus/${name#replay_}"
		;;
	*)
		run_tap "build/$variant/tests/$name"
		;;
	esac
	report "$variant" "$name"
}

# One line, written at once, so that parallel jobs do not mix. What took long says so.
report() {
	seconds=$(($(date +%s) - begin))
	read -r passed failed skipped <"$count"
	line=$(printf '%-10s  %-24s  %d passed' "$1" "$2" "$passed")
	[ "$failed" -eq 0 ] || line="$line, $failed FAILED"
	[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
	[ "$seconds" -lt 5 ] || line="$line, $seconds s"
	echo "$line"
}

# sources DIRECTORY PATTERN: names of the tests in the tree, not of what build/ may still hold.
sources() {
	find "$1" -maxdepth 1 -name "$2" 2>/dev/null | sed 's|.*/||; s|\.c$||' | sort
}

listed() {
	sed 's/#.*//; s/[[:space:]]*$//; /^$/d' ci/valgrind.list
}

# wanted NAME: it has one of the words of T in it.
wanted() {
	[ -n "${T:-}" ] || return 0
	for word in $T; do
		case $1 in
		*"$word"*) return 0 ;;
		esac
	done
	return 1
}

# Say which words of T no job has, and fail if there are any.
known_words() {
	unknown=0
	for word in ${T:-}; do
		cut -d ' ' -f 2 "$logs/jobs" | grep -qF -e "$word" && continue
		echo "check: no test of V='${V:-}' has '$word' in its name" >&2
		unknown=1
	done
	return "$unknown"
}

# Two runs in one tree at once must not count each other's jobs. The jobs inherit the lock, so
# that it lasts as long as one of them.
choose_logs() {
	[ -z "${LOGS:-}" ] || return 0
	mkdir -p build
	exec 9>build/check.lock
	flock -n 9 || logs=build/check.$$
}

# Print the jobs, one a line. The longest first, so that they do not run alone at the end.
jobs_of() {
	case $1 in
	style) echo style style ;;
	memcheck) listed | sed "s/^/$1 /" ;;
	*)
		sources tests '*_test.c' | sed "s/^/$1 /"
		sources fuzz 'target_*.c' | sed "s/^target_/$1 replay_/"
		# A reader builds it with no sanitizer, so that is what is tested.
		case $1 in
		gcc | clang) sources ci 'tutorial.sh' | sed "s/^.*/$1 tutorial/" ;;
		esac
		case $1 in
		gcc) sources ci 'ledger.sh' | sed "s/^.*/$1 ledger/" ;;
		esac
		;;
	esac
}

all_jobs() {
	for v in memcheck style clang-asan gcc-asan clang gcc coverage; do
		case " ${V:-gcc clang clang-asan memcheck style} " in
		*" $v "*) jobs_of "$v" ;;
		esac
	done | while read -r v name; do
		! wanted "$name" || echo "$v $name"
	done
}

show_failures() {
	for count in "$logs"/*.count; do
		[ -e "$count" ] || continue
		read -r passed failed skipped <"$count"
		[ "$failed" -gt 0 ] || continue
		log=${count%.count}.log
		echo
		echo "FAILED: $log ($failed failed)"
		sed 's/^/    /' "$log.brief"
	done
}

# A job that vanished (the runner was killed) has no count: that is a failure too.
totals() {
	cat "$logs"/*.count 2>/dev/null | awk -v jobs="$(wc -l <"$logs/jobs")" '
		{ passed += $1; failed += $2; skipped += $3 }
		END {
			failed += jobs - NR
			printf "%d passed, %d failed", passed, failed
			if (skipped)
				printf ", %d skipped", skipped
			printf "\n"
			exit failed > 0 || passed == 0
		}'
}

if [ "${1:-}" = --job ]; then
	run_job "$2" "$3"
	exit
fi

for v in ${V:-}; do
	case " gcc clang gcc-asan clang-asan coverage memcheck style " in
	*" $v "*) ;;
	*)
		echo "check: V cannot be '$v'; known are gcc clang gcc-asan clang-asan memcheck style" >&2
		exit 2
		;;
	esac
done

choose_logs
export LOGS="$logs"
mkdir -p "$logs"
rm -rf "$logs"/violations.*
rm -f "$logs"/*.log "$logs"/*.count "$logs"/*.brief
all_jobs >"$logs/jobs"
known_words || exit 2
# One more than there are processors: many a job waits for the disk. A job fails in its count, not in
# its status; xargs says so if one could not run at all.
xargs -r -P "$(($(nproc) + 1))" -n 2 sh "$0" --job <"$logs/jobs" || echo "check: not every job ran"
show_failures
totals
