/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are wrong in the order of things. One that offers IN_ORDER here stands around one
 * that is not told of it, and which uses requests one by one as they end.
 */
#include <endian.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "suite_wrong.h"
#include "wrong_rows.h"

extern const struct vqsim_wrong suite_wrong_order[];

static uint64_t offer_in_order(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->features(inner) | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER);
}

static int keep_to_oneself(struct virtio_device *dev, uint64_t features)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	wrong_wrap_of(dev)->features = features;
	return inner->ops->set_features(inner, features & ~VIRTIO_FEATURE(VIRTIO_F_IN_ORDER));
}

#define NOT_TOLD .features = offer_in_order, .set_features = keep_to_oneself

static bool in_order(const struct wrong_ring *ring)
{
	return ring->wrap->features & VIRTIO_FEATURE(VIRTIO_F_IN_ORDER);
}

/* What a batch needs: no entry but the one that stands for all. */
static void keep_only(struct wrong_ring *ring, unsigned kept)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (i != kept)
			wrong_ring_undo(&ring->entries[i]);
}

static void good_batch(struct wrong_ring *ring)
{
	if (!in_order(ring))
		return;
	wrong_ring_copy(&ring->entries[0], &ring->entries[ring->count - 1]);
	keep_only(ring, 0);
}

static void id_of_first(struct wrong_ring *ring)
{
	if (in_order(ring))
		keep_only(ring, 0);
}

static void slot_of_last(struct wrong_ring *ring)
{
	if (in_order(ring))
		keep_only(ring, ring->count - 1);
}

static void index_by_one(struct wrong_ring *ring)
{
	good_batch(ring);
	if (ring->used && in_order(ring))
		ring->used->idx = htole16(ring->used_was + 1u);
}

static bool no_reads(struct blk_io *io)
{
	return io->op != BLK_OP_READ;
}

/* Two that end together change places. */
static void change_places(struct wrong_ring *ring)
{
	struct vring_packed_desc first;

	if (!ring->desc || ring->count != 2)
		return;
	first = *ring->entries[0].desc;
	wrong_ring_copy(&ring->entries[0], &ring->entries[1]);
	ring->entries[1].desc->id = first.id;
	ring->entries[1].desc->len = first.len;
}

static void leave_a_gap(struct wrong_ring *ring)
{
	struct wrong_ring_entry *entry = &ring->entries[0];

	if (!ring->desc)
		return;
	ring->desc[(entry->slot + 1u) % ring->size] = *entry->desc;
	wrong_ring_undo(entry);
}

/* The contents of the first two lists of the ring, which are as long as each other. */
static void swap_lists(struct vring_packed_desc *ring)
{
	unsigned length = 1;

	while (le16toh(ring[length - 1].flags) & VRING_DESC_F_NEXT)
		length++;
	for (unsigned i = 0; i < length; i++) {
		struct vring_packed_desc first = ring[i], second = ring[length + i];
		uint16_t first_flags = first.flags;

		first.flags = second.flags;
		second.flags = first_flags;
		ring[i] = second;
		ring[length + i] = first;
	}
}

/* Once, while the store makes all wait: the second list of the ring is started first. */
static enum virtio_progress second_first(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);
	const struct virtio_queue_setup *setup = &wrap->setups[0];
	struct vring_packed_desc *ring = NULL;
	enum virtio_progress progress;

	if (index == 0 && wrap->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) && !wrap->calls)
		ring = wrong_wrap_at(wrap, setup->desc_gpa, 16 * (uint64_t)setup->size);
	if (!ring || !(le16toh(ring[0].flags) & WRONG_RING_AVAIL))
		return inner->ops->progress(inner, index, budget);
	wrap->calls = 1;
	swap_lists(ring);
	progress = inner->ops->progress(inner, index, budget);
	swap_lists(ring);
	return progress;
}

const struct vqsim_wrong suite_wrong_order[] = {
	{.test = "packed_start_order",
	 BENT(.progress = second_first),
	 .clause = "PACKED-D-01",
	 .wrong = "the second one first"},
	{.test = "packed_start_order",
	 STORE(no_reads),
	 .clause = "PACKED-D-01",
	 .wrong = "none is started"},

	{.test = "packed_completion_order",
	 RING(change_places),
	 .clause = "PACKED-D-02",
	 .wrong = "two change places"},
	{.test = "packed_completion_order",
	 RING(leave_a_gap),
	 .clause = "PACKED-D-02",
	 .wrong = "a gap"},

	{.test = "in_order_batches",
	 BENT(NOT_TOLD),
	 .subject = "null",
	 .tolerated = true,
	 .wrong = "no batches (tolerated)"},
	{.test = "in_order_batches",
	 RING(good_batch, NOT_TOLD),
	 .subject = "null",
	 .tolerated = true,
	 .wrong = "one batch of all (tolerated)"},
	{.test = "in_order_batches",
	 RING(id_of_first, NOT_TOLD),
	 .subject = "null",
	 .clause = "SPLIT-DX-09",
	 .wrong = "id of the first"},
	{.test = "in_order_batches",
	 RING(id_of_first, NOT_TOLD),
	 .subject = "null",
	 .clause = "PACKED-DX-12",
	 .wrong = "id of the first (packed)"},
	{.test = "in_order_batches",
	 RING(slot_of_last, NOT_TOLD),
	 .subject = "null",
	 .clause = "SPLIT-DX-09",
	 .wrong = "slot of the last"},
	{.test = "in_order_batches",
	 RING(slot_of_last, NOT_TOLD),
	 .subject = "null",
	 .clause = "PACKED-DX-12",
	 .wrong = "slot of the last (packed)"},
	{.test = "in_order_batches",
	 RING(index_by_one, NOT_TOLD),
	 .subject = "null",
	 .clause = "SPLIT-DX-09",
	 .wrong = "used idx grows by one"},

	{.test = "in_order_mixed_speed",
	 BENT(NOT_TOLD),
	 .clause = "RFB-D-05",
	 .wrong = "as they end"},
	{.test = "in_order_failed_read",
	 RING(good_batch, NOT_TOLD),
	 .clause = "SPLIT-DX-09",
	 .wrong = "it is skipped"},
	{.test = "in_order_failed_read",
	 RING(good_batch, NOT_TOLD),
	 .clause = "PACKED-DX-12",
	 .wrong = "it is skipped (packed)"},
	{.test = NULL},
};
