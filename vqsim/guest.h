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

/* What to ask a device for. */
struct vqsim_guest_config {
	uint64_t features;    /* taken if offered; VERSION_1 is always taken */
	uint16_t queue_count; /* 0: all the device has */
	uint16_t queue_size;  /* 0: the device's maximum */
};

enum vqsim_bring_up {
	VQSIM_UP = 0,
	VQSIM_REFUSED_FEATURES, /* FEATURES_OK did not stick; FAILED was written */
	VQSIM_REFUSED_QUEUE,    /* a queue could not be enabled; FAILED was written */
	VQSIM_BROKEN,           /* DRIVER_OK was answered by DEVICE_NEEDS_RESET */
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

/* Take one used entry; see vqsim_driver_reap. */
enum vqsim_reap vqsim_guest_reap(struct vqsim_guest *guest, uint16_t queue,
				 struct vqsim_used *used);

/* Whether DEVICE_NEEDS_RESET is set. */
bool vqsim_guest_needs_reset(const struct vqsim_guest *guest);

#ifdef __cplusplus
}
#endif

#endif
