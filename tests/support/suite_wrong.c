/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "suite_wrong.h"

/* Each table is declared here, so that a new one changes this file alone. */
extern const struct vqsim_wrong suite_wrong_smoke[];
extern const struct vqsim_wrong suite_wrong_blk[];
extern const struct vqsim_wrong suite_wrong_blk_config[];
extern const struct vqsim_wrong suite_wrong_life[];
extern const struct vqsim_wrong suite_wrong_notify[];
extern const struct vqsim_wrong suite_wrong_kick[];
extern const struct vqsim_wrong suite_wrong_used[];
extern const struct vqsim_wrong suite_wrong_packed[];
extern const struct vqsim_wrong suite_wrong_order[];
extern const struct vqsim_wrong suite_wrong_chain[];
extern const struct vqsim_wrong suite_wrong_table[];
extern const struct vqsim_wrong suite_wrong_memory[];

const struct vqsim_wrong *const suite_wrong_tables[] = {
	suite_wrong_smoke,
	suite_wrong_blk,
	suite_wrong_blk_config,
	suite_wrong_life,
	suite_wrong_notify,
	suite_wrong_kick,
	suite_wrong_used,
	suite_wrong_packed,
	suite_wrong_order,
	suite_wrong_chain,
	suite_wrong_table,
	suite_wrong_memory,
	NULL,
};

/* What the points of a case came to. */
struct tally {
	const struct vqsim_wrong *row;
	unsigned passed, failed, blamed; /* blamed: failed for the right clause */
	struct vqsim_outcome last;       /* that did not pass */
};

static bool right_clause(const struct vqsim_wrong *row, const struct vqsim_outcome *outcome)
{
	if (row->clause)
		return strcmp(row->clause, outcome->clause) == 0;
	return vqsim_case_names(outcome->test->clauses, outcome->clause);
}

static void count(void *opaque, const struct vqsim_outcome *outcome)
{
	struct tally *tally = opaque;

	tally->passed += outcome->result == VQSIM_PASSED;
	if (outcome->result == VQSIM_PASSED)
		return;
	tally->last = *outcome;
	if (outcome->result != VQSIM_FAILED)
		return;
	tally->failed++;
	tally->blamed += right_clause(tally->row, outcome);
}

static void judge(const struct tally *tally, struct suite_verdict *verdict)
{
	verdict->right =
		tally->row->tolerated ? tally->passed > 0 && tally->failed == 0 : tally->blamed > 0;
	snprintf(verdict->words, sizeof(verdict->words),
		 "%s: passed at %u points, failed at %u, for the right clause at %u; last: %s %s",
		 tally->row->test, tally->passed, tally->failed, tally->blamed, tally->last.clause,
		 tally->last.text);
}

void suite_wrong_try(const struct vqsim_wrong *row, struct suite_verdict *verdict)
{
	const struct vqsim_case *test = vqsim_case_find(row->test);
	struct tally tally = {.row = row};
	struct vqsim_totals totals = {{0}};
	struct vqsim_subject subject;

	verdict->right = false;
	if (!test) {
		snprintf(verdict->words, sizeof(verdict->words), "no case is named %s", row->test);
		return;
	}
	if (vqsim_subject_init(&subject, row->subject ? row->subject : "blk:ram") != 0) {
		snprintf(verdict->words, sizeof(verdict->words), "no subject %s", row->subject);
		return;
	}
	subject.wrap_device = row->wrap_device;
	subject.wrap_store = row->wrap_store;
	subject.how = row->how;
	if (row->ops)
		subject.ops = row->ops;
	if (vqsim_suite_run_case(&subject, test, count, &tally, &totals) == 0)
		judge(&tally, verdict);
	else
		snprintf(verdict->words, sizeof(verdict->words), "%s: no such subject", row->test);
	vqsim_subject_finish(&subject);
}

bool suite_wrong_proves(const struct vqsim_case *test)
{
	struct suite_verdict verdict;

	for (unsigned t = 0; suite_wrong_tables[t]; t++) {
		for (const struct vqsim_wrong *row = suite_wrong_tables[t]; row->test; row++) {
			if (strcmp(row->test, test->name) != 0)
				continue;
			suite_wrong_try(row, &verdict);
			if (verdict.right)
				return true;
		}
	}
	return false;
}
