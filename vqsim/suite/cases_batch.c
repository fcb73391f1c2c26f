/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases_batch_internal.h"

void cases_batch_init(struct vqsim_suite *s, struct vqsim_suite_io ios[CASES_BATCH])
{
	for (unsigned i = 0; i < CASES_BATCH; i++)
		vqsim_suite_io_init(s, &ios[i], CASES_IO_SIZE);
}

void cases_batch_add(struct vqsim_suite *s, uint16_t queue, struct vqsim_suite_io ios[CASES_BATCH])
{
	for (unsigned i = 0; i < CASES_BATCH; i++) {
		vqsim_suite_io_reset(s, &ios[i]);
		vqsim_suite_io_add(s, queue, &ios[i]);
	}
}

void cases_batch_check(struct vqsim_suite *s, uint16_t queue,
		       struct vqsim_suite_io ios[CASES_BATCH])
{
	vqsim_suite_io_reap(s, queue);
	for (unsigned i = 0; i < CASES_BATCH; i++)
		vqsim_suite_io_check(s, &ios[i]);
}

bool cases_is_served(const struct vqsim_suite_io *io)
{
	return *io->status != VQSIM_BLK_STATUS_UNSET;
}

unsigned cases_served(const struct vqsim_suite_io *ios, unsigned count)
{
	unsigned served = 0;

	for (unsigned i = 0; i < count; i++)
		served += cases_is_served(&ios[i]);
	return served;
}
