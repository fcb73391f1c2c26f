/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the ledger (ci/ledger.sh) must know of the cases, one line each, with tabs between:
 *
 *     name  clauses  bugs  caught  permitted  passed|failed|not applicable|not observable  reason  formats
 *
 * caught: those of the clauses that it blames for a subject that is wrong on purpose; permitted:
 * those of which it lets a subject make use, while it catches another one. The result is that
 * against our own devices: failed if it failed anywhere, passed if it ran anywhere; formats
 * ("split packed") are those of the rings it passed on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite_wrong.h"

static const char *const subjects[] = {"fs:ram", "null", "null:bare", "blk:ram"};

#define SUBJECT_COUNT (sizeof(subjects) / sizeof(subjects[0]))

/* A case names no more of them. */
#define CLAUSES_MAX 16u

static const char *const words[] = {
	[VQSIM_PASSED] = "passed",
	[VQSIM_FAILED] = "failed",
	[VQSIM_NOT_APPLICABLE] = "not applicable",
	[VQSIM_NOT_OBSERVABLE] = "not observable",
};

/* The smaller, the more it says about a case. */
static const unsigned ranks[] = {
	[VQSIM_FAILED] = 0,
	[VQSIM_PASSED] = 1,
	[VQSIM_NOT_OBSERVABLE] = 2,
	[VQSIM_NOT_APPLICABLE] = 3,
};

/* What a case came to. */
struct tally {
	struct vqsim_outcome best;
	bool passed[2]; /* on split and on packed rings */
};

static void keep(void *opaque, const struct vqsim_outcome *outcome)
{
	struct tally *tally = opaque;
	struct vqsim_outcome *best = &tally->best;

	if (outcome->result == VQSIM_PASSED)
		tally->passed[outcome->point.packed] = true;
	/* Of two reasons the later one counts: the block device comes last. */
	if (!best->test || ranks[outcome->result] < ranks[best->result] ||
	    (outcome->result == best->result && outcome->result >= VQSIM_NOT_APPLICABLE))
		*best = *outcome;
}

/* The clauses of which this is what is proven. */
static void print_proofs(const struct vqsim_case *test, const enum suite_proof *proofs,
			 enum suite_proof proof)
{
	const char *at = test->clauses, *space = "";
	char clause[24];

	for (unsigned i = 0; sscanf(at, "%23s", clause) == 1; i++) {
		if (proofs[i] == proof) {
			printf("%s%s", space, clause);
			space = " ";
		}
		at += strspn(at, " ") + strlen(clause);
	}
	putchar('\t');
}

static void prove(const struct vqsim_case *test)
{
	enum suite_proof proofs[CLAUSES_MAX];
	const char *at = test->clauses;
	char clause[24];

	for (unsigned i = 0; sscanf(at, "%23s", clause) == 1; i++) {
		if (i == CLAUSES_MAX)
			abort();
		proofs[i] = suite_wrong_proof(test, clause);
		at += strspn(at, " ") + strlen(clause);
	}
	print_proofs(test, proofs, SUITE_CAUGHT);
	print_proofs(test, proofs, SUITE_PERMITTED);
}

static void print_case(const struct vqsim_case *test)
{
	struct tally tally = {.best = {.test = NULL}};
	struct vqsim_totals totals = {{0}};
	struct vqsim_subject subject;

	for (unsigned i = 0; i < SUBJECT_COUNT; i++) {
		if (vqsim_subject_init(&subject, subjects[i]) != 0 ||
		    vqsim_suite_run_case(&subject, test, keep, &tally, &totals) != 0)
			abort();
		vqsim_subject_finish(&subject);
	}
	printf("%s\t%s\t%s\t", test->name, test->clauses, test->bugs ? test->bugs : "");
	prove(test);
	printf("%s\t%s\t%s%s\n", words[tally.best.result], tally.best.text,
	       tally.passed[0] ? "split " : "", tally.passed[1] ? "packed" : "");
}

int main(void)
{
	for (unsigned t = 0; vqsim_case_tables[t]; t++)
		for (const struct vqsim_case *test = vqsim_case_tables[t]; test->name; test++)
			print_case(test);
	return 0;
}
