/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plainest things: what everything else in the suite builds on.
 */
#include "cases_internal.h"

static void one_request(struct vqsim_suite *s)
{
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	for (uint16_t queue = cases_first(s); queue <= cases_queue(s); queue++) {
		vqsim_suite_io_init(s, &io, 1024);
		SUITE_EXPECT(s, vqsim_suite_io_do(s, queue, &io), "a request comes back");
	}
}

const struct vqsim_case vqsim_cases_smoke[] = {
	{.name = "one_request", .clauses = "SPLIT-DX-02 PACKED-DX-08", .run = one_request},
	{.name = NULL},
};
