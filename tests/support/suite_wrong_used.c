/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are wrong in what they say of a chain that they are done with.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "suite_wrong.h"
#include "wrong_rows.h"

extern const struct vqsim_wrong suite_wrong_used[];

/* The newest entry of a split ring; NULL: another ring. */
static struct vring_used_elem *newest(struct wrong_wrap *wrap)
{
	const struct virtio_queue_setup *setup = &wrap->setups[0];
	struct vring_used *used;

	if (wrap->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED))
		return NULL;
	used = wrong_wrap_at(wrap, setup->device_gpa, 6 + 8 * (uint64_t)setup->size);
	return &used->ring[(uint16_t)(le16toh(used->idx) - 1) % setup->size];
}

/* The first writable byte of a chain. */
static uint8_t *first_byte(struct wrong_wrap *wrap, uint32_t head)
{
	const struct virtio_queue_setup *setup = &wrap->setups[0];
	const struct vring_desc *table =
		wrong_wrap_at(wrap, setup->desc_gpa, 16 * (uint64_t)setup->size);
	const struct vring_desc *desc = &table[head];

	if (le16toh(desc->flags) & VRING_DESC_F_INDIRECT) {
		table = wrong_wrap_at(wrap, le64toh(desc->addr), le32toh(desc->len));
		desc = table;
	}
	while (!(le16toh(desc->flags) & VRING_DESC_F_WRITE))
		desc = &table[le16toh(desc->next)];
	return wrong_wrap_at(wrap, le64toh(desc->addr), 1);
}

/* The driver is told, and then the length is written. */
static void tell_before_len(void *transport, uint16_t index)
{
	struct wrong_wrap *wrap = transport;
	struct vring_used_elem *entry = index == 0 ? newest(wrap) : NULL;
	uint32_t len = 0;

	if (entry) {
		len = entry->len;
		entry->len = 0;
	}
	wrap->base.transport_ops->notify_used(wrap->base.transport, index);
	if (entry)
		entry->len = len;
}

/* The driver is told, and then the data is written. */
static void tell_before_data(void *transport, uint16_t index)
{
	struct wrong_wrap *wrap = transport;
	const struct vring_used_elem *entry = index == 0 ? newest(wrap) : NULL;
	uint8_t *byte = entry ? first_byte(wrap, le32toh(entry->id)) : NULL;

	if (byte)
		*byte ^= 1;
	wrap->base.transport_ops->notify_used(wrap->base.transport, index);
	if (byte)
		*byte ^= 1;
}

#define SIGNAL(function)                                                    \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.transport = {.notify_used = function},                     \
	}

static bool read_nothing(struct blk_io *io)
{
	return io->op != BLK_OP_READ;
}

static void count_status_twice(struct wrong_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++)
		wrong_ring_set_len(&ring->entries[i], wrong_ring_len(&ring->entries[i]) + 1);
}

static void forget_status(struct wrong_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (wrong_ring_len(&ring->entries[i]) > 0)
			wrong_ring_set_len(&ring->entries[i],
					   wrong_ring_len(&ring->entries[i]) - 1);
}

static void no_length(struct wrong_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++)
		wrong_ring_set_len(&ring->entries[i], 0);
}

/* The answers to writes and flushes, which consist of a status. */
static void no_length_of_status(struct wrong_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (wrong_ring_len(&ring->entries[i]) == 1)
			wrong_ring_set_len(&ring->entries[i], 0);
}

static void nothing_is_something(struct wrong_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (wrong_ring_len(&ring->entries[i]) == 0)
			wrong_ring_set_len(&ring->entries[i], 1);
}

static void write_always(struct wrong_ring *ring)
{
	for (unsigned i = 0; ring->desc && i < ring->count; i++)
		ring->entries[i].desc->flags |= htole16(VRING_DESC_F_WRITE);
}

static void write_never(struct wrong_ring *ring)
{
	for (unsigned i = 0; ring->desc && i < ring->count; i++)
		ring->entries[i].desc->flags &= htole16((uint16_t)~VRING_DESC_F_WRITE);
}

/* Nowhere to put a status: the chain is taken and forgotten, and its slot in the ring with it. */
static void lose_if_empty(struct wrong_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (wrong_ring_len(&ring->entries[i]) == 0) {
			wrong_ring_undo(&ring->entries[i]);
			if (ring->used)
				ring->used->idx = htole16(ring->used_was);
		}
}

/* The index starts over where half of its numbers are spent. */
static void count_to_half(struct wrong_ring *ring)
{
	if (ring->used)
		ring->used->idx &= htole16(0x7fff);
}

static void one_ahead(struct wrong_ring *ring)
{
	if (ring->used)
		ring->used->idx = htole16(le16toh(ring->used->idx) + 1u);
}

/* However many entries there are. */
static void one_at_a_time(struct wrong_ring *ring)
{
	if (ring->used)
		ring->used->idx = htole16(ring->used_was + 1u);
}

static uint16_t a_thousand(struct virtio_device *dev, uint16_t index)
{
	(void)dev;
	(void)index;
	return 1000;
}

/* All but the first queue. */
static uint16_t sixty_four_thousand(struct virtio_device *dev, uint16_t index)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return index > 0 ? 65535 : inner->ops->queue_size_max(inner, index);
}

static int less_than_promised(struct virtio_device *dev, uint16_t index,
			      const struct virtio_queue_setup *setup)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	if (setup->size == inner->ops->queue_size_max(inner, index))
		return -EINVAL;
	return inner->ops->queue_start(inner, index, setup);
}

const struct vqsim_wrong suite_wrong_used[] = {
	{.test = "used_in_place_in_time",
	 SIGNAL(tell_before_len),
	 .clause = "SPLIT-D-15",
	 .wrong = "len after the notification"},
	{.test = "used_in_place_in_time",
	 SIGNAL(tell_before_data),
	 .clause = "SPLIT-D-16",
	 .wrong = "data after the notification"},
	{.test = "used_in_place_in_time",
	 STORE(read_nothing),
	 .clause = "SPLIT-D-16",
	 .wrong = "len counts bytes that were never written"},

	{.test = "used_exact_length",
	 RING(count_status_twice),
	 .clause = "SPLIT-DX-03",
	 .wrong = "one more"},
	{.test = "used_exact_length",
	 RING(count_status_twice),
	 .clause = "PACKED-DX-07",
	 .wrong = "one more (packed)"},
	{.test = "used_exact_length",
	 RING(forget_status),
	 .clause = "SPLIT-DX-03",
	 .wrong = "no status"},
	{.test = "used_exact_length",
	 RING(forget_status),
	 .clause = "PACKED-DX-07",
	 .wrong = "no status (packed)"},
	{.test = "used_exact_length",
	 RING(no_length),
	 .subject = "null",
	 .clause = "SPLIT-DX-03",
	 .wrong = "no length at all"},
	{.test = "used_exact_length",
	 RING(no_length_of_status),
	 .clause = "SPLIT-DX-03",
	 .wrong = "no length of a status alone"},
	{.test = "used_exact_length",
	 RING(no_length_of_status),
	 .clause = "PACKED-DX-07",
	 .wrong = "no length of a status alone (packed)"},
	{.test = "used_exact_length",
	 RING(write_never),
	 .clause = "PACKED-DX-06",
	 .wrong = "no WRITE"},
	{.test = "used_nothing_to_write",
	 RING(write_always),
	 .subject = "null",
	 .clause = "PACKED-DX-06",
	 .wrong = "always WRITE"},
	{.test = "used_nothing_to_write",
	 RING(nothing_is_something),
	 .clause = "SPLIT-DX-03",
	 .wrong = "a length of nothing"},
	{.test = "used_nothing_to_write",
	 RING(lose_if_empty),
	 .clause = "SPLIT-DX-03",
	 .wrong = "such a request is lost"},

	{.test = "used_index_counts",
	 RING(one_at_a_time),
	 .clause = "SPLIT-DX-04",
	 .wrong = "it grows by one for many"},
	{.test = "used_index_counts",
	 RING(one_ahead),
	 .clause = "SPLIT-DX-04",
	 .wrong = "it starts at 1"},
	{.test = "used_index_counts",
	 RING(count_to_half),
	 .clause = "SPLIT-DX-04",
	 .wrong = "it wraps at 32768"},

	{.test = "queue_size_maximum",
	 BENT(.queue_size_max = a_thousand),
	 .clause = "SPLIT-DX-01",
	 .wrong = "no power of two"},
	{.test = "queue_size_maximum",
	 BENT(.queue_size_max = sixty_four_thousand),
	 .clause = "SPLIT-DX-01",
	 .wrong = "too large, of a later queue"},
	{.test = "queue_size_maximum",
	 BENT(.queue_start = less_than_promised),
	 .clause = "SPLIT-DX-01",
	 .wrong = "less than it says"},
	{.test = NULL},
};
