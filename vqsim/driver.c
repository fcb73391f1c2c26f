/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What both formats have in common.
 *
 * Who owns a descriptor (split) or a buffer id (packed) is known from the slots alone,
 * which no device can reach. With IN_ORDER they are handed out and come back in the
 * order of their numbers, so that the list of free ones is the ring itself, slots[].next never
 * changes, and the chains in flight lie one behind the other from oldest on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver_internal.h"
#include "misuse_internal.h"

/* Missing from older linux/virtio_config.h. */
#define F_NOTIFICATION_DATA 38

#define SIZE_MAX_OF_A_QUEUE 32768u

/* The last one is the end of the free list; with IN_ORDER the first one follows it. */
static void slots_link(struct vqsim_driver *driver)
{
	for (unsigned i = 0; i + 1u < driver->setup.size; i++)
		driver->slots[i].next = (uint16_t)(i + 1);
}

int vqsim_driver_init(struct vqsim_driver *driver, struct vqsim_memory *memory, uint16_t size,
		      uint64_t features)
{
	bool is_packed = features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);

	memset(driver, 0, sizeof(*driver));
	if (size == 0 || size > SIZE_MAX_OF_A_QUEUE || (!is_packed && (size & (size - 1)) != 0))
		return -EINVAL;
	driver->slots = calloc(size, sizeof(*driver->slots));
	if (!driver->slots)
		return -ENOMEM;
	driver->memory = memory;
	driver->features = features;
	driver->is_packed = is_packed;
	driver->in_order = features & VIRTIO_FEATURE(VIRTIO_F_IN_ORDER);
	driver->setup.size = size;
	driver->setup.resume = (struct virtio_queue_state)VIRTIO_QUEUE_STATE_FRESH;
	driver->free_count = size;
	slots_link(driver);
	if (is_packed)
		driver_packed_init(driver);
	else
		driver_split_init(driver);
	return 0;
}

void vqsim_driver_finish(struct vqsim_driver *driver)
{
	free(driver->slots);
	driver->slots = NULL;
}

void driver_check_chain(const struct vqsim_driver *driver, const struct vqsim_chain *chain,
			const void *token)
{
	if (chain->count == 0 || chain->direct > chain->count)
		vqsim_misuse("vqsim_driver_add", "%u of %u elements outside a table", chain->direct,
			     chain->count);
	if (driver->is_packed && chain->direct > 0 && chain->direct < chain->count)
		vqsim_misuse("vqsim_driver_add", "%u elements before a table in a packed ring",
			     chain->direct);
	if (!token)
		vqsim_misuse("vqsim_driver_add", "no token");
}

bool vqsim_driver_publish(struct vqsim_driver *driver)
{
	return driver->is_packed ? driver_packed_publish(driver) : driver_split_publish(driver);
}

bool vqsim_driver_has_used(const struct vqsim_driver *driver)
{
	return driver->is_packed ? driver_packed_has_used(driver) : driver_split_has_used(driver);
}

uint32_t driver_batch(const struct vqsim_driver *driver, uint32_t slot, uint32_t limit)
{
	uint32_t at = driver->oldest;

	if (limit > driver->in_flight)
		limit = driver->in_flight;
	for (uint32_t count = 1; count <= limit; count++, at = driver_after(driver, at))
		if (at == slot)
			return count;
	return 0;
}

bool vqsim_driver_set_notify(struct vqsim_driver *driver, enum vqsim_notify notify)
{
	driver->notify = notify;
	if (driver->is_packed)
		driver_packed_show_notify(driver);
	else
		driver_split_show_notify(driver);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vqsim_driver_has_used(driver);
}

uint32_t vqsim_driver_kick_data(const struct vqsim_driver *driver, uint16_t queue)
{
	uint32_t position = driver->published_index;

	if (!(driver->features & VIRTIO_FEATURE(F_NOTIFICATION_DATA)))
		return queue;
	/* next_off and next_wrap of a split ring are the two parts of avail->idx. */
	if (driver->is_packed)
		position |= (uint32_t)driver->published_wrap << 15;
	return queue | position << 16;
}
