/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the good device stands in a packed ring is kept in the wrapper's calls: the slot,
 * and in bit 15 the inverse of its wrap counter.
 */
#include <endian.h>
#include <string.h>

#include "wrong_ring.h"

#define WRAPPED 0x8000u

/* The ring as it is before the progress. */
union picture {
	struct vring_used_elem used[WRONG_RING_SIZE_MAX];
	struct vring_packed_desc desc[WRONG_RING_SIZE_MAX];
};

static void look(struct wrong_ring *ring, union picture *picture)
{
	const struct virtio_queue_setup *setup = &ring->wrap->setups[0];
	uint64_t size = setup->size;

	ring->size = setup->size;
	if (ring->wrap->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)) {
		ring->desc = wrong_wrap_at(ring->wrap, setup->desc_gpa, 16 * size);
		memcpy(picture->desc, ring->desc, size * sizeof(ring->desc[0]));
		return;
	}
	ring->used = wrong_wrap_at(ring->wrap, setup->device_gpa, 6 + 8 * size);
	ring->used_was = le16toh(ring->used->idx);
	memcpy(picture->used, ring->used->ring, size * sizeof(ring->used->ring[0]));
}

static void gather_split(struct wrong_ring *ring, const union picture *picture)
{
	uint16_t end = le16toh(ring->used->idx);

	for (uint16_t at = ring->used_was; at != end && ring->count < ring->size; at++) {
		uint16_t slot = at % ring->size;

		ring->entries[ring->count++] = (struct wrong_ring_entry){
			.elem = &ring->used->ring[slot],
			.was.elem = picture->used[slot],
			.slot = slot,
		};
	}
}

/* Slots of the list that begins in this one. */
static uint16_t list_length(const struct wrong_ring *ring, const union picture *picture,
			    uint16_t slot)
{
	uint16_t length = 1;

	while (length < ring->size && le16toh(picture->desc[slot].flags) & VRING_DESC_F_NEXT) {
		slot = (slot + 1u) % ring->size;
		length++;
	}
	return length;
}

/* Move on in the ring as a device does. */
static void advance(struct wrong_ring *ring, uint16_t slots)
{
	unsigned *calls = &ring->wrap->calls, slot = (*calls & ~WRAPPED) + slots;

	*calls = (*calls & WRAPPED) | slot % ring->size;
	if (slot >= ring->size)
		*calls ^= WRAPPED;
}

static void gather_packed(struct wrong_ring *ring, const union picture *picture)
{
	while (ring->count < ring->size) {
		uint16_t slot = ring->wrap->calls & ~WRAPPED;
		bool wrap = !(ring->wrap->calls & WRAPPED);
		uint16_t flags = le16toh(ring->desc[slot].flags);
		struct wrong_ring_entry *entry = &ring->entries[ring->count];

		if (!(flags & WRONG_RING_AVAIL) != !wrap || !(flags & WRONG_RING_USED) != !wrap)
			return;
		*entry = (struct wrong_ring_entry){
			.desc = &ring->desc[slot],
			.was.desc = picture->desc[slot],
			.slot = slot,
			.slots = list_length(ring, picture, slot),
			.wrap = wrap,
		};
		ring->count++;
		advance(ring, entry->slots);
	}
}

enum virtio_progress wrong_ring_progress(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_ring ring = {.wrap = wrong_wrap_of(dev)};
	const struct wrong_ring_hook *hook = ring.wrap->bend->how;
	enum virtio_progress progress;
	union picture picture;

	if (index != 0 || ring.wrap->setups[0].size > WRONG_RING_SIZE_MAX)
		return inner->ops->progress(inner, index, budget);
	look(&ring, &picture);
	progress = inner->ops->progress(inner, index, budget);
	if (ring.desc)
		gather_packed(&ring, &picture);
	else
		gather_split(&ring, &picture);
	if (ring.count > 0)
		hook->after(&ring);
	return progress;
}

uint32_t wrong_ring_len(const struct wrong_ring_entry *entry)
{
	return le32toh(entry->desc ? entry->desc->len : entry->elem->len);
}

void wrong_ring_set_len(struct wrong_ring_entry *entry, uint32_t len)
{
	if (entry->desc)
		entry->desc->len = htole32(len);
	else
		entry->elem->len = htole32(len);
}

void wrong_ring_copy(struct wrong_ring_entry *to, const struct wrong_ring_entry *from)
{
	if (to->elem) {
		*to->elem = *from->elem;
		return;
	}
	to->desc->id = from->desc->id;
	to->desc->len = from->desc->len;
}

void wrong_ring_undo(struct wrong_ring_entry *entry)
{
	if (entry->desc)
		*entry->desc = entry->was.desc;
	else
		*entry->elem = entry->was.elem;
}
