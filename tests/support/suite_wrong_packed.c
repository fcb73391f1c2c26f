/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are wrong in how they use a packed ring.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "suite_wrong.h"
#include "wrong_rows.h"

extern const struct vqsim_wrong suite_wrong_packed[];

static bool is_packed(const struct wrong_wrap *wrap)
{
	return wrap->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
}

static uint16_t power_of_two(uint16_t size)
{
	uint16_t power = 1;

	while (power < size)
		power *= 2;
	return power;
}

/* As if only split rings had sizes. */
static int powers_of_two(struct virtio_device *dev, uint16_t index,
			 const struct virtio_queue_setup *setup)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	if (setup->size != power_of_two(setup->size))
		return -EINVAL;
	return inner->ops->queue_start(inner, index, setup);
}

/* The size of the ring is a mask. */
static int round_up(struct virtio_device *dev, uint16_t index,
		    const struct virtio_queue_setup *setup)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct virtio_queue_setup rounded = *setup;

	rounded.size = power_of_two(setup->size);
	return inner->ops->queue_start(inner, index, &rounded);
}

/* Positions of 14 bits. */
static int half_of_the_largest(struct virtio_device *dev, uint16_t index,
			       const struct virtio_queue_setup *setup)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct virtio_queue_setup half = *setup;

	if (setup->size > 16384)
		half.size = 16384;
	return inner->ops->queue_start(inner, index, &half);
}

static void set_flags(struct wrong_ring_entry *entry, bool avail, bool used)
{
	uint16_t flags = le16toh(entry->desc->flags) & VRING_DESC_F_WRITE;

	flags |= avail ? WRONG_RING_AVAIL : 0;
	flags |= used ? WRONG_RING_USED : 0;
	entry->desc->flags = htole16(flags);
}

/* The wrap counter of the first lap for ever. */
static void never_toggle(struct wrong_ring *ring)
{
	for (unsigned i = 0; ring->desc && i < ring->count; i++)
		set_flags(&ring->entries[i], true, true);
}

static void start_at_zero(struct wrong_ring *ring)
{
	for (unsigned i = 0; ring->desc && i < ring->count; i++)
		set_flags(&ring->entries[i], !ring->entries[i].wrap, !ring->entries[i].wrap);
}

/* AVAIL is turned round with USED. */
static void turn_both(struct wrong_ring *ring)
{
	for (unsigned i = 0; ring->desc && i < ring->count; i++)
		set_flags(&ring->entries[i], !ring->entries[i].wrap, ring->entries[i].wrap);
}

/* Each descriptor of a list is marked used. */
static void use_each(struct wrong_ring *ring)
{
	for (unsigned i = 0; ring->desc && i < ring->count; i++) {
		const struct wrong_ring_entry *entry = &ring->entries[i];

		for (uint16_t n = 1; n < entry->slots; n++)
			ring->desc[(entry->slot + n) % ring->size].flags = entry->desc->flags;
	}
}

/* The second used descriptor stands right behind the first, whatever that stands for. */
static void crowd(struct wrong_ring *ring)
{
	struct wrong_ring_entry *second = &ring->entries[1];
	struct vring_packed_desc *behind;

	if (!ring->desc || ring->count < 2 || ring->entries[0].slots < 2)
		return;
	behind = &ring->desc[(ring->entries[0].slot + 1) % ring->size];
	*behind = *second->desc;
	wrong_ring_undo(second);
}

/* The descriptor at the start of the ring is made to look as the device takes it for. */
static enum virtio_progress mistake(struct virtio_device *dev, uint16_t index, uint32_t budget,
				    bool taken(uint16_t flags))
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);
	struct vring_packed_desc *first;

	if (index == 0 && wrap->started[0] && is_packed(wrap) && !wrap->calls) {
		first = wrong_wrap_at(wrap, wrap->setups[0].desc_gpa, sizeof(*first));
		if (taken(le16toh(first->flags))) {
			first->flags = htole16(VRING_DESC_F_WRITE | WRONG_RING_AVAIL);
			wrap->calls = 1;
		}
	}
	return inner->ops->progress(inner, index, budget);
}

static bool differ(uint16_t flags)
{
	return !(flags & WRONG_RING_AVAIL) != !(flags & WRONG_RING_USED);
}

static bool has_avail(uint16_t flags)
{
	return flags & WRONG_RING_AVAIL;
}

static bool lacks_used(uint16_t flags)
{
	return !(flags & WRONG_RING_USED) && flags != 0;
}

static enum virtio_progress ignore_counter(struct virtio_device *dev, uint16_t index,
					   uint32_t budget)
{
	return mistake(dev, index, budget, differ);
}

static enum virtio_progress ignore_used(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	return mistake(dev, index, budget, has_avail);
}

static enum virtio_progress ignore_avail(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	return mistake(dev, index, budget, lacks_used);
}

const struct vqsim_wrong suite_wrong_packed[] = {
	{.test = "packed_odd_sizes",
	 BENT(.queue_start = powers_of_two),
	 .clause = "PACKED-DX-01",
	 .wrong = "powers of two alone"},
	{.test = "packed_odd_sizes",
	 BENT(.queue_start = round_up),
	 .clause = "PACKED-DX-01",
	 .wrong = "the size is a mask"},
	{.test = "packed_largest_size",
	 BENT(.queue_start = half_of_the_largest),
	 .clause = "PACKED-DX-01",
	 .wrong = "positions of 14 bits"},

	{.test = "packed_wrap_counter",
	 RING(never_toggle),
	 .clause = "PACKED-DX-03",
	 .wrong = "it never toggles"},
	{.test = "packed_wrap_counter",
	 RING(start_at_zero),
	 .clause = "PACKED-DX-03",
	 .wrong = "it starts at 0"},
	{.test = "packed_wrap_counter",
	 RING(turn_both),
	 .clause = "PACKED-DX-04",
	 .wrong = "AVAIL is inverted too"},

	{.test = "packed_one_for_each_list",
	 RING(use_each),
	 .clause = "PACKED-DX-05",
	 .wrong = "one for each descriptor"},
	{.test = "packed_one_for_each_list",
	 RING(crowd),
	 .clause = "PACKED-DX-05",
	 .wrong = "the next one stands in the list"},

	{.test = "packed_stale_descriptors",
	 BENT(.progress = ignore_counter),
	 .clause = "PACKED-D-06",
	 .wrong = "AVAIL and USED that differ are enough"},
	{.test = "packed_stale_descriptors",
	 BENT(.progress = ignore_used),
	 .clause = "PACKED-D-06",
	 .wrong = "AVAIL alone is looked at"},
	{.test = "packed_stale_descriptors",
	 BENT(.progress = ignore_avail),
	 .clause = "PACKED-D-06",
	 .wrong = "USED alone is looked at"},
	{.test = NULL},
};
