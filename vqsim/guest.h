/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest without a machine: brings a device up by the standard's steps (virtio
 * 1.3, 3.1), runs its queues, resets it. Drivers for device types are built on
 * it (guest_blk.h); the referee watches every step it makes.
 *
 * A round trip:
 *
 *     vqsim_guest_add(guest, queue, &chain, token);     lay a chain into the ring
 *     vqsim_guest_publish(guest, queue);                show it, kick if asked to
 *     vqsim_guest_run(guest, queue);                    let the device work
 *     vqsim_guest_reap(guest, queue, &used);            take what came back
 *
 * The device outlives its guests: after vqsim_guest_finish another one, in the same
 * memory or not, may take it over.
 *
 * Threads: one.
 */
#ifndef VQSIM_GUEST_H
#define VQSIM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "driver.h"
#include "link.h"
#include "memory.h"
#include "referee/referee.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * For a test that writes to split rings by itself: all that a device may offer but the
 * bits that make its rings something else.
 */
#define VQSIM_FEATURES_SPLIT \
	(~(VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)))

/* What to ask a device for. */
struct vqsim_guest_config {
	/*
	 * Taken if offered, RING_PACKED and IN_ORDER like any other: a 0 is a split ring.
	 * VERSION_1 is always taken; SR_IOV, NOTIF_CONFIG_DATA and ADMIN_VQ, which belong to PCI,
	 * never are.
	 */
	uint64_t features;
	uint16_t queue_count; /* 0: all the device has */
	uint16_t queue_size;  /* 0: the device's maximum */
};

enum vqsim_bring_up {
	VQSIM_UP = 0,
	VQSIM_REFUSED_FEATURES, /* FEATURES_OK did not stick; FAILED was written */
	VQSIM_REFUSED_QUEUE,    /* a queue could not be enabled; FAILED was written */
	VQSIM_BROKEN,           /* the device asked for a reset before it was up */
};

struct vqsim_guest {
	struct vqsim_memory *memory;
	struct vqsim_link link;
	struct vqsim_referee *referee; /* NULL: nobody watches */
	uint64_t features;             /* negotiated */
	uint16_t queue_count;          /* set up */
	struct vqsim_driver *queues;
	struct vqsim_memory_mark mark; /* before the rings were allocated */
};

/*
 * A guest for device, in memory, watched by referee (may be NULL). None is owned.
 * Returns 0 or -ENOMEM.
 */
int vqsim_guest_init(struct vqsim_guest *guest, struct vqsim_memory *memory,
		     struct virtio_device *device, struct vqsim_referee *referee);

/* Reset the device and let go of everything. A zeroed guest can be finished. */
void vqsim_guest_finish(struct vqsim_guest *guest);

/*
 * Steps 1 to 8 of 3.1.1: reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK, re-read,
 * queues, DRIVER_OK. vqsim_guest_negotiate stops before the queues and
 * vqsim_guest_go makes the rest.
 */
enum vqsim_bring_up vqsim_guest_bring_up(struct vqsim_guest *guest,
					 const struct vqsim_guest_config *config);
enum vqsim_bring_up vqsim_guest_negotiate(struct vqsim_guest *guest, uint64_t features);
enum vqsim_bring_up vqsim_guest_go(struct vqsim_guest *guest,
				   const struct vqsim_guest_config *config);

/*
 * Write 0 to the status, wait until it reads 0, forget the queues. Memory that
 * was allocated since the queues were set up is given back.
 */
void vqsim_guest_reset(struct vqsim_guest *guest);

/*
 * Reset one queue (2.6.1), whatever is in flight on it, and wait until the device has
 * confirmed that. RING_RESET must be negotiated; anything else is misuse, and so is adding to
 * the queue, publishing or reaping until it is enabled again. It may be kicked and run,
 * which does nothing. Its chains do not come back: their tokens are forgotten. The old ring
 * is overwritten with 0xa5.
 */
void vqsim_guest_queue_reset(struct vqsim_guest *guest, uint16_t queue);

/*
 * Enable a queue that was reset, with a ring of size (0: the device's maximum) in other memory;
 * each time takes more of it, until the device is reset. The format stays what was negotiated.
 * Returns VQSIM_UP; VQSIM_REFUSED_QUEUE: the size cannot be, the queue stays as it was;
 * VQSIM_BROKEN: the device needs a reset.
 */
enum vqsim_bring_up vqsim_guest_queue_enable(struct vqsim_guest *guest, uint16_t queue,
					     uint16_t size);

/* Whether vqsim_guest_queue_reset was called, and vqsim_guest_queue_enable was not. */
bool vqsim_guest_queue_is_reset(const struct vqsim_guest *guest, uint16_t queue);

/* Add a chain; see vqsim_driver_add. */
int vqsim_guest_add(struct vqsim_guest *guest, uint16_t queue, const struct vqsim_chain *chain,
		    void *token);

/* Publish, let the referee look, and kick if the device asked for it. Returns whether it was kicked. */
bool vqsim_guest_publish(struct vqsim_guest *guest, uint16_t queue);

/* Kick, wanted or not. */
void vqsim_guest_kick(struct vqsim_guest *guest, uint16_t queue);

/*
 * Let the device work until it is idle or waits; the referee looks at the ring.
 * A device that never comes to an end is stopped by the referee's budget.
 */
enum virtio_progress vqsim_guest_run(struct vqsim_guest *guest, uint16_t queue);

/* Run and wait until the queue is idle (asynchronous devices). */
void vqsim_guest_settle(struct vqsim_guest *guest, uint16_t queue);

/*
 * All queues in turn, round after round, until none has anything to do.
 * vqsim_guest_run_all makes one round and returns VIRTIO_WAITING if one of them waits.
 */
enum virtio_progress vqsim_guest_run_all(struct vqsim_guest *guest);
void vqsim_guest_settle_all(struct vqsim_guest *guest);

/* Take one used chain; see vqsim_driver_reap. */
enum vqsim_reap vqsim_guest_reap(struct vqsim_guest *guest, uint16_t queue,
				 struct vqsim_used *used);

/* Whether DEVICE_NEEDS_RESET is set. */
bool vqsim_guest_needs_reset(const struct vqsim_guest *guest);

#ifdef __cplusplus
}
#endif

#endif
