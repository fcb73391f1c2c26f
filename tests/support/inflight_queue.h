/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue alone with an inflight area and a driver of it. The area is as large as it must be and
 * not a byte more, so that a sanitizer sees a step beside it.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_INFLIGHT_QUEUE_H
#define TESTS_SUPPORT_INFLIGHT_QUEUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/inflight.h"
#include "devices/virtqueue.h"
#include "vqsim/driver.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define PACKED   VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENTS   VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define IN_ORDER VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)
#define TABLES   VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

struct inflight_queue {
	struct vqsim_memory memory;
	struct vqsim_driver driver;
	struct virtio_device dev;
	struct virtqueue *vq;
	uint64_t features;
	uint64_t gpa; /* a page for buffers */
	size_t area_size;
	union {
		uint8_t *area;
		struct inflight_split *split;
		struct inflight_packed *packed;
	};
};

/* Of cmocka: *state is an inflight_queue without driver and area. */
int inflight_queue_setup(void **state);
int inflight_queue_teardown(void **state);

/* A driver with a new ring, and an area of zeros for it. */
void inflight_queue_boot(struct inflight_queue *q, uint16_t size, uint64_t features);

/* Start a queue; resume is what the frontend says. Returns what virtqueue_start does. */
int inflight_queue_start_at(struct inflight_queue *q, struct virtio_queue_state resume);

/* The same from the fresh state; it must work. */
void inflight_queue_start(struct inflight_queue *q);

/* The device dies, and another one takes its place. */
void inflight_queue_die(struct inflight_queue *q);

/*
 * A chain of count buffers of 16 bytes that the device may write, at most 20 and with gaps between
 * them. Returns what it is named by.
 */
uint16_t inflight_queue_expose(struct inflight_queue *q, uint16_t count);

/* The next chain, which there is. */
struct virtqueue_chain *inflight_queue_pop(struct inflight_queue *q);

/* The driver finds one used chain, of this name, and no more. */
void inflight_queue_reap(struct inflight_queue *q, uint16_t name);

struct inflight_split_entry *inflight_queue_split(struct inflight_queue *q, uint16_t index);
struct inflight_packed_entry *inflight_queue_packed(struct inflight_queue *q, uint16_t index);

#endif
