/* SPDX-License-Identifier: BSD-3-Clause */
#include "suite_wrong.h"
#include "wrong_device.h"

extern const struct vqsim_wrong suite_wrong_smoke[];

/* A device with ring code of its own in place of the null device. */
static struct virtio_device *replace(struct virtio_device *inner, const void *how)
{
	inner->ops->destroy(inner);
	return wrong_device_create(*(const enum wrong_fault *)how);
}

#define REPLACED(fault)                                                             \
	.subject = "null", .wrap_device = replace, .how = &(const enum wrong_fault) \
	{                                                                           \
		fault                                                               \
	}

const struct vqsim_wrong suite_wrong_smoke[] = {
	{.test = "one_request", REPLACED(WRONG_ID), .clause = "SPLIT-DX-02", .wrong = "used id"},
	{.test = NULL},
};
