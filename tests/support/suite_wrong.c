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
extern const struct vqsim_wrong suite_wrong_fs[];
extern const struct vqsim_wrong suite_wrong_fs_files[];

const struct vqsim_wrong *const suite_wrong_tables[] = {
	suite_wrong_smoke, suite_wrong_blk,      suite_wrong_blk_config,
	suite_wrong_life,  suite_wrong_notify,   suite_wrong_kick,
	suite_wrong_used,  suite_wrong_packed,   suite_wrong_order,
	suite_wrong_chain, suite_wrong_table,    suite_wrong_memory,
	suite_wrong_fs,    suite_wrong_fs_files, NULL,
};

/* What the points of a case came to. */
struct tally {
	const char *clause;              /* that is to be blamed */
	unsigned passed, failed, blamed; /* blamed: failed for that clause */
	struct vqsim_outcome last;       /* that did not pass */
	struct vqsim_point point;        /* the first that was blamed */
};

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
	if (strcmp(tally->clause, outcome->clause) != 0)
		return;
	if (tally->blamed++ == 0)
		tally->point = outcome->point;
}

bool suite_wrong_is_about(const struct vqsim_wrong *row, const struct vqsim_case *test,
			  const char *clause, bool tolerated)
{
	const char *own = row->clause ? row->clause : test->clauses;
	size_t size = strcspn(own, " ");

	return strcmp(row->test, test->name) == 0 && row->tolerated == tolerated &&
	       (!clause || (strlen(clause) == size && strncmp(own, clause, size) == 0));
}

static void judge(const struct vqsim_wrong *row, const struct tally *tally,
		  const struct tally *bare, struct suite_verdict *verdict)
{
	verdict->right = row->tolerated ? tally->passed > 0 && tally->failed == 0
					: tally->blamed > 0 && bare->passed + bare->failed > 0 &&
						  bare->blamed == 0;
	snprintf(verdict->words, sizeof(verdict->words),
		 "%s: passed at %u points, failed at %u, for %s at %u, "
		 "%s with a bring-up alone; last: %s %s",
		 row->test, tally->passed, tally->failed, tally->clause, tally->blamed,
		 bare->blamed ? "also" : "not", tally->last.clause, tally->last.text);
}

/* The case with a body that does nothing but bring the device up, at this point alone. */
static struct vqsim_case bring_up_alone(const struct vqsim_case *test,
					const struct vqsim_point *point)
{
	const struct vqsim_point all = {true, true, true, true, 0, 0};
	uint64_t taken = vqsim_point_features(point);
	struct vqsim_case bare = *test;

	bare.run = vqsim_suite_up;
	bare.scope = VQSIM_ONCE;
	bare.needs |= taken;
	bare.without |= vqsim_point_features(&all) & ~taken;
	bare.queue_count_min = point->queue_count;
	return bare;
}

/* The case, and where it blames what it must catch the same for a bring-up alone. */
static void play(const struct vqsim_wrong *row, const struct vqsim_case *test,
		 const struct vqsim_subject *subject, struct suite_verdict *verdict)
{
	const char *clauses = row->clause ? row->clause : test->clauses;
	char clause[24];
	struct tally tally = {.clause = clause}, bare_tally = {.clause = clause};
	struct vqsim_totals totals = {{0}};
	struct vqsim_case bare;
	int error;

	snprintf(clause, sizeof(clause), "%.*s", (int)strcspn(clauses, " "), clauses);
	error = vqsim_suite_run_case(subject, test, count, &tally, &totals);
	if (error == 0 && tally.blamed > 0) {
		bare = bring_up_alone(test, &tally.point);
		error = vqsim_suite_run_case(subject, &bare, count, &bare_tally, &totals);
	}
	if (error == 0)
		judge(row, &tally, &bare_tally, verdict);
	else
		snprintf(verdict->words, sizeof(verdict->words), "%s: no such subject", row->test);
}

void suite_wrong_try(const struct vqsim_wrong *row, struct suite_verdict *verdict)
{
	const struct vqsim_case *test = vqsim_case_find(row->test);
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
	subject.wrap_session = row->wrap_session;
	subject.how = row->how;
	if (row->ops)
		subject.ops = row->ops;
	play(row, test, &subject, verdict);
	vqsim_subject_finish(&subject);
}

/* clause NULL: any of the case's. */
static bool some_row_is_right(const struct vqsim_case *test, const char *clause, bool tolerated)
{
	struct suite_verdict verdict;

	for (unsigned t = 0; suite_wrong_tables[t]; t++) {
		for (const struct vqsim_wrong *row = suite_wrong_tables[t]; row->test; row++) {
			if (!suite_wrong_is_about(row, test, clause, tolerated))
				continue;
			suite_wrong_try(row, &verdict);
			if (verdict.right)
				return true;
		}
	}
	return false;
}

enum suite_proof suite_wrong_proof(const struct vqsim_case *test, const char *clause)
{
	if (some_row_is_right(test, clause, false))
		return SUITE_CAUGHT;
	if (some_row_is_right(test, clause, true) && some_row_is_right(test, NULL, false))
		return SUITE_PERMITTED;
	return SUITE_UNPROVEN;
}
