/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proof that the cases of the suite can fail: for each clause of each, a subject that breaks
 * it and for which the case must blame that clause; for what the standard permits, a subject that
 * makes use of it and that the case must let pass, beside one that it catches. A case proves
 * nothing of a clause without such a row, and the ledger does not count it.
 *
 * Threads: constants.
 */
#ifndef TESTS_SUPPORT_SUITE_WRONG_H
#define TESTS_SUPPORT_SUITE_WRONG_H

#include "vqsim/suite/suite.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vqsim_wrong {
	const char *test;    /* name of the case; NULL ends a table */
	const char *subject; /* of vqsim_subject_init; NULL: "blk:ram" */

	/* What makes it wrong: see struct vqsim_subject. Several may be set. */
	struct virtio_device *(*wrap_device)(struct virtio_device *inner, const void *how);
	struct blk_store *(*wrap_store)(struct blk_store *inner, const void *how);
	struct fs_session *(*wrap_session)(struct fs_session *inner, const void *how);
	const void *how;

	const char *clause; /* that the case must blame; NULL: the first of its own */
	bool tolerated;     /* clause permits it: the case must pass, and not at no point */

	/* Ops in place of the subject's (its hooks, mostly); NULL: its own. */
	const struct vqsim_subject_ops *ops;

	const char *wrong; /* what is wrong, in a few words, for the name of the test */
};

/* All tables; the list ends with NULL. */
extern const struct vqsim_wrong *const suite_wrong_tables[];

/* What a case made of a wrong subject. */
struct suite_verdict {
	bool right;      /* it caught it, or let it pass, as the row says */
	char words[640]; /* what happened */
};

/*
 * Run the case of a row at all its points. A subject is caught if the clause is blamed at one of
 * them, and at none if the body of the case is a bring-up and nothing else.
 */
void suite_wrong_try(const struct vqsim_wrong *row, struct suite_verdict *verdict);

/* Whether a row is one of this case and clause; clause NULL: of any. */
bool suite_wrong_is_about(const struct vqsim_wrong *row, const struct vqsim_case *test,
			  const char *clause, bool tolerated);

enum suite_proof {
	SUITE_UNPROVEN,
	SUITE_PERMITTED, /* a tolerated subject passes and a wrong one is caught: enough for a MAY */
	SUITE_CAUGHT,    /* the case blames this clause for a wrong subject */
};

/* What the rows of a case prove of one of its clauses. */
enum suite_proof suite_wrong_proof(const struct vqsim_case *test, const char *clause);

#ifdef __cplusplus
}
#endif

#endif
