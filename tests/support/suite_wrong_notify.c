/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that notify the driver when they should not, or fail to when they should. Most of
 * them misread what the driver asks for: it is bent for as long as the good device inside looks at
 * it, and put right again.
 */
#include <endian.h>

#include <linux/virtio_config.h>
#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY
#endif
#include <linux/virtio_ring.h>

#include "suite_wrong.h"
#include "wrong_rows.h"

extern const struct vqsim_wrong suite_wrong_notify[];

#define FAR_AWAY 0x8000u

/* What the driver asks for, and what a batch that starts now would be. */
struct wish {
	bool event_idx;
	uint16_t size;
	uint16_t flags, event; /* of both formats; to be bent */
	uint16_t used, avail;  /* split: the batch, from index to index */
	bool inside;           /* packed: event is a slot inside of a list */
};

struct lie {
	void (*bend)(struct wish *wish);
};

/* The two words of the driver's area, wherever its format puts them. */
struct words {
	uint16_t *flags, *event;
};

static struct words split_words(struct wrong_wrap *wrap, uint16_t index, struct wish *wish)
{
	const struct virtio_queue_setup *setup = &wrap->setups[index];
	struct vring_avail *avail =
		wrong_wrap_at(wrap, setup->driver_gpa, 6 + 2 * (uint64_t)setup->size);
	const struct vring_used *used = wrong_wrap_at(wrap, setup->device_gpa, 4);

	wish->used = le16toh(used->idx);
	wish->avail = le16toh(avail->idx);
	return (struct words){&avail->flags, &avail->ring[setup->size]};
}

static struct words packed_words(struct wrong_wrap *wrap, uint16_t index, struct wish *wish)
{
	const struct virtio_queue_setup *setup = &wrap->setups[index];
	struct vring_packed_desc_event *area =
		wrong_wrap_at(wrap, setup->driver_gpa, sizeof(*area));
	const struct vring_packed_desc *ring =
		wrong_wrap_at(wrap, setup->desc_gpa, sizeof(*ring) * (uint64_t)setup->size);
	uint32_t slot = le16toh(area->off_wrap) & 0x7fffu;

	slot = (slot + setup->size - 1u) % setup->size;
	wish->inside = le16toh(ring[slot].flags) & VRING_DESC_F_NEXT;
	return (struct words){&area->flags, &area->off_wrap};
}

static enum virtio_progress misread(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);
	const struct lie *lie = wrap->bend->how;
	struct wish wish = {
		.event_idx = wrap->features & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
		.size = wrap->setups[index].size,
	};
	bool packed = wrap->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	struct words words =
		packed ? packed_words(wrap, index, &wish) : split_words(wrap, index, &wish);
	uint16_t flags = *words.flags, event = *words.event;
	enum virtio_progress progress;

	wish.flags = le16toh(flags);
	wish.event = le16toh(event);
	lie->bend(&wish);
	*words.flags = htole16(wish.flags);
	*words.event = htole16(wish.event);
	progress = inner->ops->progress(inner, index, budget);
	*words.flags = flags;
	*words.event = event;
	return progress;
}

/* Split */

static void no_flags(struct wish *wish)
{
	wish->flags = 0;
}

/* As if EVENT_IDX had been negotiated. */
static void flags_from_event(struct wish *wish)
{
	bool passed = (uint16_t)(wish->event - wish->used) < (uint16_t)(wish->avail - wish->used);

	wish->flags = !passed;
}

static void deaf_at_wrap(struct wish *wish)
{
	if (wish->avail < wish->used)
		wish->flags = VRING_AVAIL_F_NO_INTERRUPT;
}

static void loud_at_wrap(struct wish *wish)
{
	if (wish->avail < wish->used)
		wish->flags = 0;
}

static void one_late(struct wish *wish)
{
	wish->event++;
}

static void last_of_a_batch(struct wish *wish)
{
	if (wish->event != (uint16_t)(wish->avail - 1))
		wish->event = (uint16_t)(wish->used + FAR_AWAY);
}

static void first_of_a_batch(struct wish *wish)
{
	if (wish->event != wish->used)
		wish->event = (uint16_t)(wish->used + FAR_AWAY);
}

/* Compared as if an index never wrapped. */
static void no_wrap(struct wish *wish)
{
	if (wish->event < wish->used || wish->event >= wish->avail)
		wish->event = (uint16_t)(wish->used + FAR_AWAY);
}

static void always(struct wish *wish)
{
	wish->event = wish->used;
}

/* Passed once is passed for ever. */
static void ever_after(struct wish *wish)
{
	if ((int16_t)(wish->avail - wish->event) > 0)
		wish->event = wish->used;
}

static void flags_too(struct wish *wish)
{
	if (wish->event_idx && (wish->flags & VRING_AVAIL_F_NO_INTERRUPT))
		wish->event = (uint16_t)(wish->used + FAR_AWAY);
}

/* Packed */

static void enable_is_desc(struct wish *wish)
{
	if (wish->flags == VRING_PACKED_EVENT_FLAG_ENABLE)
		wish->flags = VRING_PACKED_EVENT_FLAG_DESC;
}

static void enable_is_disable(struct wish *wish)
{
	if (wish->flags == VRING_PACKED_EVENT_FLAG_ENABLE)
		wish->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
}

static void no_slots(struct wish *wish)
{
	wish->flags &= VRING_PACKED_EVENT_FLAG_DISABLE;
}

static void no_wrap_counter(struct wish *wish)
{
	wish->event |= 0x8000;
}

static void one_slot_late(struct wish *wish)
{
	uint16_t slot = wish->event & 0x7fff, wrap = wish->event & 0x8000;

	wish->event = slot + 1u < wish->size ? wish->event + 1u : wrap ^ 0x8000u;
}

static void heads_alone(struct wish *wish)
{
	if (wish->inside)
		wish->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
}

static void not_at_the_end(struct wish *wish)
{
	if ((wish->event & 0x7fff) == wish->size - 1u)
		wish->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
}

/* Notifications that go astray */

static void keep_quiet(void *transport, uint16_t index)
{
	(void)transport;
	(void)index;
}

static void tell_the_first(void *transport, uint16_t index)
{
	struct wrong_wrap *wrap = transport;

	(void)index;
	wrap->base.transport_ops->notify_used(wrap->base.transport, 0);
}

#define MISREAD(function)                                                                   \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend)                 \
	{                                                                                   \
		.ops = {.progress = misread}, .how = &(const struct lie){.bend = function}, \
	}

#define ASTRAY(function)                                                    \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.transport = {.notify_used = function},                     \
	}

const struct vqsim_wrong suite_wrong_notify[] = {
	{.test = "notify_by_flags",
	 ASTRAY(keep_quiet),
	 .clause = "SPLIT-D-11",
	 .wrong = "it never notifies"},
	{.test = "notify_by_flags",
	 ASTRAY(tell_the_first),
	 .clause = "SPLIT-D-11",
	 .wrong = "all queues have the notifications of the first"},
	{.test = "notify_by_flags",
	 MISREAD(deaf_at_wrap),
	 .clause = "SPLIT-D-11",
	 .wrong = "it does not notify when the index wraps"},
	{.test = "notify_by_flags",
	 MISREAD(no_flags),
	 .clause = "SPLIT-D-10",
	 .wrong = "it always notifies"},
	{.test = "notify_by_flags",
	 MISREAD(loud_at_wrap),
	 .clause = "SPLIT-D-10",
	 .wrong = "it notifies when the index wraps"},
	{.test = "notify_by_flags",
	 MISREAD(flags_from_event),
	 .clause = "SPLIT-D-09",
	 .wrong = "used_event without EVENT_IDX"},

	{.test = "notify_by_event",
	 ASTRAY(keep_quiet),
	 .clause = "SPLIT-D-13",
	 .wrong = "it never notifies"},
	{.test = "notify_by_event",
	 ASTRAY(tell_the_first),
	 .clause = "SPLIT-D-13",
	 .wrong = "all queues have the notifications of the first"},
	{.test = "notify_by_event",
	 MISREAD(one_late),
	 .clause = "SPLIT-D-13",
	 .wrong = "one entry late"},
	{.test = "notify_by_event",
	 MISREAD(first_of_a_batch),
	 .clause = "SPLIT-D-13",
	 .wrong = "only the first entry of a batch"},
	{.test = "notify_by_event",
	 MISREAD(last_of_a_batch),
	 .clause = "SPLIT-D-13",
	 .wrong = "only the last entry of a batch"},
	{.test = "notify_by_event",
	 MISREAD(no_wrap),
	 .clause = "SPLIT-D-13",
	 .wrong = "indices that are compared as numbers"},
	{.test = "notify_by_event",
	 MISREAD(always),
	 .clause = "SPLIT-D-14",
	 .wrong = "it always notifies"},
	{.test = "notify_by_event",
	 MISREAD(ever_after),
	 .clause = "SPLIT-D-14",
	 .wrong = "it goes on notifying once the event was passed"},
	{.test = "notify_by_event",
	 MISREAD(flags_too),
	 .clause = "SPLIT-D-12",
	 .wrong = "the flags are obeyed too"},

	{.test = "notify_by_area",
	 ASTRAY(keep_quiet),
	 .clause = "PACKED-DX-14",
	 .wrong = "it never notifies"},
	{.test = "notify_by_area",
	 ASTRAY(tell_the_first),
	 .clause = "PACKED-DX-14",
	 .wrong = "all queues have the notifications of the first"},
	{.test = "notify_by_area",
	 MISREAD(enable_is_desc),
	 .clause = "PACKED-DX-14",
	 .wrong = "off and wrap count with ENABLE"},
	{.test = "notify_by_area",
	 MISREAD(enable_is_disable),
	 .clause = "PACKED-DX-14",
	 .wrong = "ENABLE is taken for DISABLE"},
	{.test = "notify_by_area",
	 MISREAD(no_flags),
	 .clause = "PACKED-DX-15",
	 .wrong = "it always notifies"},

	{.test = "notify_by_slot",
	 ASTRAY(keep_quiet),
	 .clause = "PACKED-DX-16",
	 .wrong = "it never notifies"},
	{.test = "notify_by_slot",
	 MISREAD(no_slots),
	 .clause = "PACKED-DX-16",
	 .wrong = "it always notifies"},
	{.test = "notify_by_slot",
	 MISREAD(one_slot_late),
	 .clause = "PACKED-DX-16",
	 .wrong = "one slot late"},
	{.test = "notify_by_slot",
	 MISREAD(no_wrap_counter),
	 .clause = "PACKED-DX-16",
	 .wrong = "the wrap counter is not looked at"},
	{.test = "notify_by_slot",
	 MISREAD(heads_alone),
	 .clause = "PACKED-DX-16",
	 .wrong = "slots inside of a list do not count"},
	{.test = "notify_by_slot",
	 MISREAD(not_at_the_end),
	 .clause = "PACKED-DX-16",
	 .wrong = "the last slot of the ring does not count"},
	{.test = NULL},
};
