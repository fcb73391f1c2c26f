/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "suite.h"

/* The first size of each format is the one of cases that do not run at each point. */
static const uint16_t sizes[2][2] = {
	{16, 128}, /* split: powers of two */
	{16, 33},  /* packed: any */
};

static const uint16_t queue_counts[] = {1, 4};

uint64_t vqsim_point_features(const struct vqsim_point *point)
{
	return (point->packed ? VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) : 0) |
	       (point->indirect ? VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) : 0) |
	       (point->event_idx ? VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) : 0) |
	       (point->in_order ? VIRTIO_FEATURE(VIRTIO_F_IN_ORDER) : 0);
}

void vqsim_point_name(const struct vqsim_point *point, char name[VQSIM_POINT_NAME])
{
	snprintf(name, VQSIM_POINT_NAME, "%s,%s%s%s,%ux%u", point->packed ? "packed" : "split",
		 point->indirect ? "indirect" : "direct", point->event_idx ? ",event_idx" : "",
		 point->in_order ? ",in_order" : "", point->queue_count, point->queue_size);
}

/* The bits of code, from the slowest to the fastest: what stands in the struct from first to last. */
static struct vqsim_point point_of(unsigned code)
{
	bool packed = code & 32;

	return (struct vqsim_point){
		.packed = packed,
		.indirect = code & 16,
		.event_idx = code & 8,
		.in_order = code & 4,
		.queue_count = queue_counts[code >> 1 & 1],
		.queue_size = sizes[packed][code & 1],
	};
}

unsigned vqsim_points(uint64_t offered, struct vqsim_point points[VQSIM_POINTS_MAX])
{
	unsigned count = 0;

	for (unsigned code = 0; code < 64; code++) {
		struct vqsim_point point = point_of(code);

		if ((vqsim_point_features(&point) & ~offered) == 0)
			points[count++] = point;
	}
	return count;
}
