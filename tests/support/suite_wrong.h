/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proof that the cases of the suite can fail: for each, a subject that is wrong in
 * one way and that the case must catch; for what the standard permits, a subject that makes use
 * of it and that the case must let pass. A case without a row that it catches proves nothing,
 * and the ledger does not count it.
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

	/* What makes it wrong: see struct vqsim_subject. Both may be set. */
	struct virtio_device *(*wrap_device)(struct virtio_device *inner, const void *how);
	struct blk_store *(*wrap_store)(struct blk_store *inner, const void *how);
	const void *how;

	const char *clause; /* that the case must blame; NULL: any of its own */
	bool tolerated;     /* permitted: the case must pass, and not at no point */

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

/* Run the case of a row at all its points. */
void suite_wrong_try(const struct vqsim_wrong *row, struct suite_verdict *verdict);

/* Whether some row proves a case: a wrong one that it catches, or a tolerated one for a permission. */
bool suite_wrong_proves(const struct vqsim_case *test);

#ifdef __cplusplus
}
#endif

#endif
