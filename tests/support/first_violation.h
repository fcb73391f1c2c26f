/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first violation of a test, in full: what a sink keeps until the test is known to fail.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_FIRST_VIOLATION_H
#define TESTS_SUPPORT_FIRST_VIOLATION_H

#include "vqsim/referee/referee.h"

struct first_violation {
	char text[8192]; /* "": there was none */
};

/* Called for each, within the sink. */
void first_violation_keep(struct first_violation *first, const struct vqsim_referee *referee,
			  const struct vqsim_violation *violation);

/* If there was one: on standard error, where cmocka cuts nothing off. Then the test fails. */
void first_violation_fail(const struct first_violation *first, uint64_t violations);

#endif
