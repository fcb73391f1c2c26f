/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of a packed ring under a driver that is written out here: it exposes what a
 * test says, legal or not, and a test reads what the device wrote, byte by byte.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_PACKED_QUEUE_H
#define TESTS_SUPPORT_PACKED_QUEUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtqueue.h"
#include "vqsim/memory.h"

#define PACKED_QUEUE_BASE UINT64_C(0x100000)
#define PACKED_QUEUE_SIZE (8u << 20) /* of guest memory */

#define PACKED VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENT  VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define TABLES VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

enum {
	NEXT = VRING_DESC_F_NEXT,
	WRITE = VRING_DESC_F_WRITE,
	INDIRECT = VRING_DESC_F_INDIRECT,
	AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL,
	USED = 1 << VRING_PACKED_DESC_F_USED,
};

struct packed_queue {
	struct vqsim_memory memory;
	struct virtio_device dev;
	struct virtqueue *vq;
	struct virtio_queue_setup setup;
	struct vring_packed_desc *ring;
	struct vring_packed_desc_event *driver, *device;
	uint64_t data; /* gpa of the buffers */
	uint16_t next; /* where the driver exposes */
	bool wrap;
};

/* For cmocka: *state is a struct packed_queue without a ring. */
int packed_queue_set_up(void **state);
int packed_queue_tear_down(void **state);

/* A fresh ring in memory of its own. */
void packed_queue_start(struct packed_queue *q, uint16_t size, uint64_t features);

/* Write a descriptor; flags are all of them. */
void packed_queue_put(struct vring_packed_desc *desc, uint64_t addr, uint32_t len, uint16_t id,
		      uint16_t flags);

/* Expose one element at q->data; flags are completed with the bits of this lap. */
void packed_queue_expose(struct packed_queue *q, uint32_t len, uint16_t id, uint16_t flags);

/* Take, push and publish one chain; returns the segments it had. */
uint32_t packed_queue_serve(struct packed_queue *q, uint32_t written);

/* What stands in a slot. */
void packed_queue_assert_used(const struct packed_queue *q, uint16_t slot, uint16_t id,
			      uint32_t len, uint16_t flags);

#endif
