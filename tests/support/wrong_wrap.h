/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device around another one, which bends what passes through it: a good device
 * made wrong in one place. What is not bent is forwarded.
 *
 *     static enum virtio_progress deaf(struct virtio_device *dev, uint16_t index, uint32_t budget)
 *     {
 *         struct virtio_device *inner = wrong_wrap_inner(dev);
 *         ... meddle, then return inner->ops->progress(inner, index, budget);
 *     }
 *
 *     static const struct wrong_bend bend = {.ops = {.progress = deaf}};
 *     {.test = "...", .wrap_device = wrong_wrap_create, .how = &bend, ...},
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_WRONG_WRAP_H
#define TESTS_SUPPORT_WRONG_WRAP_H

#include "devices/device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WRONG_WRAP_QUEUES 16u

/* What is bent: members that are not NULL stand in place of the forwarding ones. */
struct wrong_bend {
	struct virtio_device_ops ops;
	struct virtio_transport_ops transport; /* transport: the struct wrong_wrap */
	const void *how;                       /* for the functions above */
};

struct wrong_wrap {
	struct virtio_device base;
	struct virtio_device_ops ops;
	struct virtio_transport_ops transport_ops; /* that inner calls */
	struct virtio_device *inner;               /* owned */
	const struct wrong_bend *bend;

	/* What went through, for those who meddle with rings. */
	uint64_t features; /* negotiated */
	struct virtio_queue_setup setups[WRONG_WRAP_QUEUES];
	bool started[WRONG_WRAP_QUEUES];
	uint32_t packed_next[WRONG_WRAP_QUEUES]; /* slots behind those taken, modulo two laps */
	unsigned calls;                          /* free for the functions of the bend */
};

/* bend: a struct wrong_bend. Takes inner over. Returns NULL without memory. */
struct virtio_device *wrong_wrap_create(struct virtio_device *inner, const void *bend);

struct wrong_wrap *wrong_wrap_of(struct virtio_device *dev);
struct virtio_device *wrong_wrap_inner(struct virtio_device *dev);

/* The device's pointer to [gpa, gpa + size) of guest memory, in one region; NULL: not there. */
void *wrong_wrap_at(struct wrong_wrap *wrap, uint64_t gpa, uint64_t size);

#ifdef __cplusplus
}
#endif

#endif
