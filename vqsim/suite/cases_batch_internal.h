/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A few requests of a case that are published together.
 *
 * Threads: one.
 */
#ifndef VQSIM_SUITE_CASES_BATCH_INTERNAL_H
#define VQSIM_SUITE_CASES_BATCH_INTERNAL_H

#include "suite.h"

#define CASES_BATCH   4u
#define CASES_IO_SIZE 512u

/* Of CASES_IO_SIZE bytes, after a bring-up. */
void cases_batch_init(struct vqsim_suite *s, struct vqsim_suite_io ios[CASES_BATCH]);

/* Make them ready (again) and add them; nothing is published. */
void cases_batch_add(struct vqsim_suite *s, uint16_t queue, struct vqsim_suite_io ios[CASES_BATCH]);

/* Reap; fails the case unless all of them came back with the right answer. */
void cases_batch_check(struct vqsim_suite *s, uint16_t queue,
		       struct vqsim_suite_io ios[CASES_BATCH]);

/*
 * Whether the device carried a request out, and how many of count: by their status, so before
 * the used ring is looked at.
 */
bool cases_is_served(const struct vqsim_suite_io *io);
unsigned cases_served(const struct vqsim_suite_io *ios, unsigned count);

#endif
