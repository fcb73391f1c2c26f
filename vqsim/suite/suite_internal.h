/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the runner (suite.c) and what cases call (suite_case.c, suite_io.c).
 *
 * Threads: one.
 */
#ifndef VQSIM_SUITE_SUITE_INTERNAL_H
#define VQSIM_SUITE_SUITE_INTERNAL_H

#include "suite.h"

/* A request that was given out. */
struct vqsim_suite_request {
	struct vqsim_suite_request *next;
	struct vqsim_blk_request request;
};

struct vqsim_suite_fs_request {
	struct vqsim_suite_fs_request *next;
	struct vqsim_fs_request request;
};

/* The client of a file-system device: the device is up, or about to be reset. */
void suite_fs_up(struct vqsim_suite *suite);
void suite_fs_down(struct vqsim_suite *suite);

/* Whatever an io needs before it is made: a session, and the file that it reads. */
void suite_fs_open_pattern(struct vqsim_suite *suite);

/*
 * The queues of a file-system device that carry no ios: hiprio, and the request queue of the
 * session; the latter does if there is no other.
 */
#define SUITE_FS_QUEUES 2u

/* The pattern at the start of the disk; the device is not up, before and after. */
void suite_lay_pattern(struct vqsim_suite *suite);

/* Let go of the device, or of the requests: nothing of them is in flight after this. */
void suite_drop_device(struct vqsim_suite *suite);
void suite_drop_requests(struct vqsim_suite *suite);

/* Why a case says nothing of a subject whose device is elsewhere (subject.h), or NULL. */
const char *suite_hidden_elsewhere(const struct vqsim_subject *subject,
				   const struct vqsim_case *test);

/* "VIRTIO_F_RING_PACKED" for a bit; the bits below 24 depend on the device id. */
const char *suite_feature_name(uint32_t device_id, unsigned bit);

#endif
