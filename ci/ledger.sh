#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The ledger: for each clause of the standard that a test of a device can see
# (vqsim/suite/clauses.csv), and for each historic bug (vqsim/suite/bugs.csv), what covers it.
#
#   sh ci/ledger.sh PROGRAM    PROGRAM prints what is known of the cases (tests/ledger.c)
#
# A clause is covered by a case that names it, passes against our devices and is proven for it: it
# blames that very clause for a device that is wrong on purpose. What the standard permits (MAY) is
# proven, too, by a case that lets a device pass which makes use of it and catches another one.
# A clause of split or of packed rings is covered by a case that ran on such rings.
#
# A bug is covered by a case that is proven for one of its clauses, or by a test with its id in a
# comment. A test whose comment says "like ID" does what comes nearest to a bug of a device of
# another type: that is printed as an analogy and not counted as covered. What cannot be met here
# is listed with its reason in ci/ledger.reasons.
#
# The last line is "clauses: N of M", where M counts the clauses of rings, life cycle,
# notifications, config, blk and fs that need no optional feature. The exit status is 1 if N is below
# ci/ledger.floor, or if a case names an id that does not exist.
set -eu
export LC_ALL=C

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 2' HUP INT TERM

"$1" >"$tmp/cases"
# "id file", or "id file like", for each id of a bug in a comment of a test.
grep -noE '(/\*|^[[:space:]]*\*).*[A-Z0-9]+-[0-9]+.*' tests/*.c tests/support/*.c fuzz/*.c |
	sed 's|^[^:]*/\([^/:]*\)\.c:[0-9]*:|\1 |' |
	awk '{
		rest = $0
		sub(/^[^ ]* /, "", rest)
		while (match(rest, /([Ll]ike )?[A-Z][A-Z0-9]*-[0-9]+/)) {
			id = substr(rest, RSTART, RLENGTH)
			rest = substr(rest, RSTART + RLENGTH)
			print (sub(/^[Ll]ike /, "", id) ? id " " $1 " like" : id " " $1)
		}
	}' | sort -u >"$tmp/comments"

cat >"$tmp/ledger.awk" <<'AWK'
# Fill f[1..] with the fields of a line of CSV.
function csv(line, f,    n, field) {
	for (n = 1; ; n++) {
		if (line ~ /^"/) {
			field = ""
			line = substr(line, 2)
			while (match(line, /""/) && RSTART < index(line "\",", "\",")) {
				field = field substr(line, 1, RSTART)
				line = substr(line, RSTART + 2)
			}
			field = field substr(line, 1, index(line, "\"") - 1)
			line = substr(line, index(line, "\"") + 1)
		} else {
			match(line, /^[^,]*/)
			field = substr(line, 1, RLENGTH)
			line = substr(line, RLENGTH + 1)
		}
		f[n] = field
		if (line !~ /^,/)
			return n
		line = substr(line, 2)
	}
}
# Add a word to a list.
function append(list, id, word) {
	if (id in list)
		word = list[id] ", " word
	list[id] = word
}
function say(id, state, words) {
	printf "%-14s  %-14s  %s\n", id, state, words
}
# Whether a list with spaces between holds an id.
function holds(list, id) {
	return index(" " list " ", " " id " ") > 0
}
# What the cases that name an id of this level come to.
function from_cases(id, level) {
	if (id in covered)
		return "covered"
	if (id in permitted && level == "MAY")
		return "permitted"
	if (id in unproven || id in permitted)
		return "gap"
	return id in idle ? "not applicable" : "gap"
}
# A clause of one ring format is tested only on rings of that format.
function elsewhere(id, formats) {
	return (id ~ /^SPLIT-/ && formats !~ /split/) || (id ~ /^PACKED-/ && formats !~ /packed/)
}
# caught, allowed: ids of which the case is proven. For a bug any of them will do.
function note_case(list, name, result, caught, allowed, reason, formats, bugs,    ids, n, i) {
	n = split(list, ids, " ")
	for (i = 1; i <= n; i++) {
		named[ids[i]] = named[ids[i]] " " name
		if (result == "not applicable" || result == "not observable")
			idle[ids[i]] = result ": " reason
		else if (elsewhere(ids[i], formats))
			unproven[ids[i]] = name " ran on no such ring"
		else if (result != "passed")
			unproven[ids[i]] = name " " result
		else if (bugs ? caught != "" : holds(caught, ids[i]))
			append(covered, ids[i], name)
		else if (!bugs && holds(allowed, ids[i]))
			append(permitted, ids[i], name)
		else
			unproven[ids[i]] = name " catches no wrong subject for it"
	}
}
FILENAME == cases {
	split($0, f, "\t")
	note_case(f[2], f[1], f[6], f[4], f[5], f[7], f[8], 0)
	note_case(f[3], f[1], f[6], f[4], f[5], f[7], f[8], 1)
	next
}
FILENAME == comments {
	if ($3 == "like")
		append(alike, $1, $2)
	else
		append(commented, $1, $2)
	next
}
FILENAME == reasons {
	if ($1 == "#" || NF < 2)
		next
	key = $1
	sub(/^[^ ]+ +/, "")
	reason[key] = $0
	next
}
FNR == 1 { next }
FILENAME == clauses {
	csv($0, f)
	known[f[1]] = 1
	if (f[7] != "yes")
		next
	split(f[1], part, "-")
	counts = f[8] == "" && part[1] != "LEG"
	total += counts
	state = from_cases(f[1], f[4])
	if (state == "covered" || state == "permitted") {
		say(f[1], "covered", state == "covered" ? covered[f[1]] : permitted[f[1]])
		done += counts
	} else if (!counts && !(f[1] in named)) {
		say(f[1], "not applicable", f[8] == "" ? "no legacy interface" : f[8] " is not offered")
	} else if (state == "not applicable") {
		say(f[1], state, idle[f[1]])
	} else {
		say(f[1], "gap", f[1] in unproven ? unproven[f[1]] : f[1] in permitted ? \
			permitted[f[1]] " proves a permission, and this is none" : f[6])
	}
	next
}
FILENAME == bugs {
	csv($0, f)
	known[f[1]] = 1
	all_bugs++
	if (f[1] in covered)
		append(commented, f[1], covered[f[1]])
	if (f[1] in commented) {
		say(f[1], "covered", commented[f[1]])
		covered_bugs++
	} else if (f[1] in alike) {
		say(f[1], "analogy", (f[1] in reason ? reason[f[1]] "; " : "") "like it: " alike[f[1]])
		alike_bugs++
	} else if (f[1] in reason || f[3] in reason) {
		say(f[1], "not applicable", f[1] in reason ? reason[f[1]] : reason[f[3]])
		idle_bugs++
	} else {
		say(f[1], "gap", f[1] in unproven ? unproven[f[1]] : f[2])
	}
	next
}
END {
	for (id in named)
		if (!(id in known)) {
			print "ledger: no clause or bug has the id " id " (case" named[id] ")"
			bad = 1
		}
	printf "bugs: %d covered, %d by analogy, %d not applicable, %d gaps\n", covered_bugs,
		alike_bugs, idle_bugs, all_bugs - covered_bugs - alike_bugs - idle_bugs
	if (done < floor) {
		printf "ledger: below ci/ledger.floor, which is %d\n", floor
		bad = 1
	}
	printf "clauses: %d of %d\n", done, total
	exit bad
}
AWK

awk -f "$tmp/ledger.awk" -v cases="$tmp/cases" -v comments="$tmp/comments" \
	-v reasons=ci/ledger.reasons -v clauses=vqsim/suite/clauses.csv -v bugs=vqsim/suite/bugs.csv \
	-v floor="$(cat ci/ledger.floor)" \
	"$tmp/cases" "$tmp/comments" ci/ledger.reasons vqsim/suite/clauses.csv vqsim/suite/bugs.csv
