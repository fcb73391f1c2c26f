/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables of cases, one for each topic. A new one is declared here and listed in
 * cases.c. And what many cases say.
 *
 * Threads: one.
 */
#ifndef VQSIM_SUITE_CASES_INTERNAL_H
#define VQSIM_SUITE_CASES_INTERNAL_H

#include "suite.h"

extern const struct vqsim_case vqsim_cases_smoke[];
extern const struct vqsim_case vqsim_cases_blk[];
extern const struct vqsim_case vqsim_cases_blk_ranges[];
extern const struct vqsim_case vqsim_cases_blk_durable[];
extern const struct vqsim_case vqsim_cases_blk_config[];
extern const struct vqsim_case vqsim_cases_status[];
extern const struct vqsim_case vqsim_cases_features[];
extern const struct vqsim_case vqsim_cases_reset[];
extern const struct vqsim_case vqsim_cases_config[];
extern const struct vqsim_case vqsim_cases_notify[];
extern const struct vqsim_case vqsim_cases_kick[];
extern const struct vqsim_case vqsim_cases_kick_spare[];
extern const struct vqsim_case vqsim_cases_used[];
extern const struct vqsim_case vqsim_cases_packed[];
extern const struct vqsim_case vqsim_cases_order[];
extern const struct vqsim_case vqsim_cases_chain[];
extern const struct vqsim_case vqsim_cases_long[];
extern const struct vqsim_case vqsim_cases_table[];
extern const struct vqsim_case vqsim_cases_memory[];
extern const struct vqsim_case vqsim_cases_bytes[];
extern const struct vqsim_case vqsim_cases_fs[];
extern const struct vqsim_case vqsim_cases_fs_messages[];
extern const struct vqsim_case vqsim_cases_fs_files[];

/* The first of the queues of a point. */
static inline uint16_t cases_first(const struct vqsim_suite *s)
{
	return vqsim_suite_queue(s, 0);
}

/* The queue of a case that is about one of them: not the first, which everything else uses. */
static inline uint16_t cases_queue(const struct vqsim_suite *s)
{
	return vqsim_suite_queue(s, s->point.queue_count - 1);
}

static inline struct vqsim_driver *cases_driver(struct vqsim_suite *s)
{
	return &s->guest.queues[cases_queue(s)];
}

#endif
