/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two formats implement for driver.c, and what they share. Private to the driver.
 *
 * Threads: as in driver.h.
 */
#ifndef VQSIM_DRIVER_INTERNAL_H
#define VQSIM_DRIVER_INTERNAL_H

#include "driver.h"

/* Allocate the ring in guest memory and write its first state. Called with setup.size set. */
void driver_split_init(struct vqsim_driver *driver);
void driver_packed_init(struct vqsim_driver *driver);

/* The public functions of the same names; add and reap of a split ring are those themselves. */
int driver_packed_add(struct vqsim_driver *driver, const struct vqsim_chain *chain, void *token);
bool driver_split_publish(struct vqsim_driver *driver);
bool driver_packed_publish(struct vqsim_driver *driver);
enum vqsim_reap driver_packed_reap(struct vqsim_driver *driver, struct vqsim_used *used);
bool driver_split_has_used(const struct vqsim_driver *driver);
bool driver_packed_has_used(const struct vqsim_driver *driver);

/* Write what the device is to know of driver->notify; no barrier. */
void driver_split_show_notify(struct vqsim_driver *driver);
void driver_packed_show_notify(struct vqsim_driver *driver);

/* Ends the process for a chain that no driver can lay out. */
void driver_check_chain(const struct vqsim_driver *driver, const struct vqsim_chain *chain,
			const void *token);

static inline bool driver_has_event_idx(const struct vqsim_driver *driver)
{
	return driver->features & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX);
}

/*
 * IN_ORDER: how many chains come back with the entry that names slot: the oldest in
 * flight and all up to this one, whose token is set. At most limit; 0: the chain is
 * further away, or not in flight.
 */
uint32_t driver_batch(const struct vqsim_driver *driver, uint32_t slot, uint32_t limit);

/* IN_ORDER: the slot of the chain behind the one in this slot. */
static inline uint32_t driver_after(const struct vqsim_driver *driver, uint32_t slot)
{
	uint32_t next = slot + (driver->is_packed ? 1u : driver->slots[slot].count);

	return next < driver->setup.size ? next : next - driver->setup.size;
}

#endif
