/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are wrong about kicks: in what they say of them, in what they do without
 * one, and in what they do with one too many. The tolerated ones use what the standard permits.
 */
#include <endian.h>

#include <linux/virtio_config.h>
#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY
#endif
#include <linux/virtio_ring.h>

#include "suite_wrong.h"
#include "wrong_rows.h"

extern const struct vqsim_wrong suite_wrong_kick[];

#define FAR_AWAY 0x8000u

static bool has(const struct wrong_wrap *wrap, unsigned bit)
{
	return wrap->features & VIRTIO_FEATURE(bit);
}

static struct vring_avail *avail_of(struct wrong_wrap *wrap, uint16_t index)
{
	const struct virtio_queue_setup *setup = &wrap->setups[index];

	return wrong_wrap_at(wrap, setup->driver_gpa, 6 + 2 * (uint64_t)setup->size);
}

static struct vring_used *used_of(struct wrong_wrap *wrap, uint16_t index)
{
	const struct virtio_queue_setup *setup = &wrap->setups[index];

	return wrong_wrap_at(wrap, setup->device_gpa, 6 + 8 * (uint64_t)setup->size);
}

static struct vring_packed_desc_event *area_of(struct wrong_wrap *wrap, uint16_t index)
{
	return wrong_wrap_at(wrap, wrap->setups[index].device_gpa,
			     sizeof(struct vring_packed_desc_event));
}

static void set_avail_event(struct wrong_wrap *wrap, uint16_t index, uint16_t event)
{
	uint16_t value = htole16(event);

	__builtin_memcpy(&used_of(wrap, index)->ring[wrap->setups[index].size], &value,
			 sizeof(value));
}

/* --- what it writes into its part of the ring, after it worked -------------------------------- */

struct scribble {
	void (*write)(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress);
};

static enum virtio_progress scribbling(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	const struct scribble *scribble = wrong_wrap_of(dev)->bend->how;
	enum virtio_progress progress = inner->ops->progress(inner, index, budget);

	scribble->write(wrong_wrap_of(dev), index, progress);
	return progress;
}

static void flags_2(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	(void)progress;
	if (!has(wrap, VIRTIO_RING_F_EVENT_IDX))
		used_of(wrap, index)->flags = htole16(2);
}

static void flags_2_at_work(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	used_of(wrap, index)->flags = htole16(progress == VIRTIO_IDLE ? 0 : 2);
}

static void flags_1(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	(void)progress;
	used_of(wrap, index)->flags = htole16(VRING_USED_F_NO_NOTIFY);
}

static void flags_1_at_work(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	if (!has(wrap, VIRTIO_RING_F_EVENT_IDX))
		used_of(wrap, index)->flags =
			htole16(progress == VIRTIO_IDLE ? 0 : VRING_USED_F_NO_NOTIFY);
}

static void area_flags(struct wrong_wrap *wrap, uint16_t index, uint16_t flags)
{
	area_of(wrap, index)->flags = htole16(flags);
}

static void area_3(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	(void)progress;
	area_flags(wrap, index, 3);
}

static void area_3_at_work(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	if (progress != VIRTIO_IDLE)
		area_flags(wrap, index, 3);
}

static void area_2(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	(void)progress;
	area_flags(wrap, index, VRING_PACKED_EVENT_FLAG_DESC);
}

static void area_reserved(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	(void)progress;
	area_of(wrap, index)->flags |= htole16(0x8000);
}

static void area_1_at_work(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	if (progress != VIRTIO_IDLE)
		area_flags(wrap, index, VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (!has(wrap, VIRTIO_RING_F_EVENT_IDX))
		area_flags(wrap, index, VRING_PACKED_EVENT_FLAG_ENABLE);
}

static void event_ahead(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	(void)progress;
	if (has(wrap, VIRTIO_RING_F_EVENT_IDX))
		set_avail_event(wrap, index, (uint16_t)(le16toh(avail_of(wrap, index)->idx) + 1));
}

static void event_at_0(struct wrong_wrap *wrap, uint16_t index, enum virtio_progress progress)
{
	(void)progress;
	if (has(wrap, VIRTIO_RING_F_EVENT_IDX))
		set_avail_event(wrap, index, 0);
}

/* The inner device puts it right when it finds nothing more. */
static void event_ahead_at_work(struct wrong_wrap *wrap, uint16_t index,
				enum virtio_progress progress)
{
	if (progress != VIRTIO_IDLE)
		event_ahead(wrap, index, progress);
}

/* --- when it works ---------------------------------------------------------------------------- */

/* It asks for no kick and looks by itself, for ever. */
static enum virtio_progress poll_for_ever(struct virtio_device *dev, uint16_t index,
					  uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);

	inner->ops->progress(inner, index, budget);
	if (has(wrap, VIRTIO_RING_F_EVENT_IDX))
		set_avail_event(wrap, index,
				(uint16_t)(le16toh(avail_of(wrap, index)->idx) + FAR_AWAY));
	else
		used_of(wrap, index)->flags = htole16(VRING_USED_F_NO_NOTIFY);
	return VIRTIO_WAITING;
}

static int no_fd(struct virtio_device *dev, uint16_t index)
{
	(void)dev;
	(void)index;
	return -1;
}

static void count_kick(struct virtio_device *dev, uint16_t index, uint32_t data)
{
	(void)index;
	(void)data;
	wrong_wrap_of(dev)->calls++;
}

static enum virtio_progress when_kicked(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);

	if (wrap->calls == 0)
		return VIRTIO_IDLE;
	wrap->calls = 0;
	return inner->ops->progress(inner, index, budget);
}

static enum virtio_progress one_for_a_kick(struct virtio_device *dev, uint16_t index,
					   uint32_t budget)
{
	(void)budget;
	when_kicked(dev, index, 1);
	return VIRTIO_IDLE;
}

/* Rests after one chain, though it asks for a kick for the one behind the last. */
static enum virtio_progress one_and_rest(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	(void)budget;
	inner->ops->progress(inner, index, 1);
	return VIRTIO_IDLE;
}

static enum virtio_progress at_the_second_kick(struct virtio_device *dev, uint16_t index,
					       uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	if (wrong_wrap_of(dev)->calls < 2)
		return VIRTIO_IDLE;
	return inner->ops->progress(inner, index, budget);
}

/* Everything in the ring of heads is taken, shown or not. */
static enum virtio_progress read_ahead(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct vring_avail *avail = avail_of(wrong_wrap_of(dev), index);
	uint16_t shown = avail->idx;
	enum virtio_progress progress;

	avail->idx = htole16((uint16_t)(le16toh(shown) + 1));
	progress = inner->ops->progress(inner, index, budget);
	avail->idx = shown;
	return progress;
}

/* --- what it does with a kick ----------------------------------------------------------------- */

static void hoot(struct virtio_device *dev, uint16_t index, uint32_t data)
{
	(void)data;
	dev->transport_ops->notify_used(dev->transport, index);
}

/* Two kicks with the same data must be a mistake. */
static void no_repetition(struct virtio_device *dev, uint16_t index, uint32_t data)
{
	struct wrong_wrap *wrap = wrong_wrap_of(dev);

	(void)index;
	if (wrap->calls == data + 1)
		dev->transport_ops->needs_reset(dev->transport);
	wrap->calls = data + 1;
}

/* The last entry is used once more when there is nothing to do. */
static void use_again(struct virtio_device *dev, uint16_t index, uint32_t data)
{
	struct wrong_wrap *wrap = wrong_wrap_of(dev);
	struct vring_used *used = used_of(wrap, index);

	(void)data;
	if (used->idx == avail_of(wrap, index)->idx)
		used->idx = htole16((uint16_t)(le16toh(used->idx) + 1));
}

/* --- what was there before DRIVER_OK ---------------------------------------------------------- */

/* It starts behind it. */
static int start_behind(struct virtio_device *dev, uint16_t index,
			const struct virtio_queue_setup *setup)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);
	struct virtio_queue_setup behind = *setup;

	wrap->setups[index] = *setup;
	if (!has(wrap, VIRTIO_F_RING_PACKED))
		behind.resume.avail_index = le16toh(avail_of(wrap, index)->idx);
	return inner->ops->queue_start(inner, index, &behind);
}

#define SCRIBBLES(function)                                                 \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.ops = {.progress = scribbling},                            \
		.how = &(const struct scribble){.write = function},         \
	}

const struct vqsim_wrong suite_wrong_kick[] = {
	{.test = "kick_used_flags",
	 SCRIBBLES(flags_2),
	 .clause = "SPLIT-D-18",
	 .wrong = "used flags 2"},
	{.test = "kick_used_flags",
	 SCRIBBLES(flags_2_at_work),
	 .clause = "SPLIT-D-18",
	 .wrong = "used flags 2 between two chains"},
	{.test = "kick_used_flags",
	 SCRIBBLES(flags_1),
	 .clause = "SPLIT-D-20",
	 .wrong = "used flags 1 with EVENT_IDX"},
	{.test = "kick_used_flags",
	 SCRIBBLES(flags_1_at_work),
	 .tolerated = true,
	 .wrong = "used flags 1 between two chains (tolerated)"},

	{.test = "kick_device_area",
	 SCRIBBLES(area_3),
	 .clause = "PACKED-DX-17",
	 .wrong = "flags 3"},
	{.test = "kick_device_area",
	 SCRIBBLES(area_3_at_work),
	 .clause = "PACKED-DX-17",
	 .wrong = "flags 3 between two chains"},
	{.test = "kick_device_area",
	 SCRIBBLES(area_2),
	 .clause = "PACKED-DX-17",
	 .wrong = "flags 2 without EVENT_IDX"},
	{.test = "kick_device_area",
	 SCRIBBLES(area_reserved),
	 .clause = "PACKED-DX-18",
	 .wrong = "a reserved bit"},
	{.test = "kick_device_area",
	 SCRIBBLES(area_1_at_work),
	 .tolerated = true,
	 .wrong = "DISABLE between two chains (tolerated)"},

	{.test = "kick_obeyed",
	 SCRIBBLES(flags_1),
	 .clause = "SPLIT-D-19",
	 .wrong = "it rests and asks for no kick"},
	{.test = "kick_obeyed",
	 BENT(.progress = one_and_rest),
	 .clause = "SPLIT-D-19",
	 .wrong = "it rests after one chain"},
	{.test = "kick_obeyed",
	 SCRIBBLES(event_ahead),
	 .clause = "SPLIT-D-21",
	 .wrong = "it rests and lets one chain pass"},
	{.test = "kick_obeyed",
	 SCRIBBLES(event_at_0),
	 .clause = "SPLIT-D-21",
	 .wrong = "avail_event is never moved"},
	{.test = "kick_obeyed",
	 BENT(.progress = one_and_rest),
	 .clause = "SPLIT-D-21",
	 .wrong = "it rests after one chain, with EVENT_IDX"},
	{.test = "kick_obeyed",
	 SCRIBBLES(flags_1_at_work),
	 .tolerated = true,
	 .wrong = "no kicks while it works (tolerated)"},
	{.test = "kick_obeyed",
	 SCRIBBLES(event_ahead_at_work),
	 .clause = "SPLIT-D-21",
	 .tolerated = true,
	 .wrong = "a later kick while it works (tolerated)"},
	{.test = "kick_obeyed",
	 BENT(.progress = poll_for_ever, .progress_fd = no_fd),
	 .tolerated = true,
	 .wrong = "it polls for ever (tolerated)"},

	{.test = "kick_spurious",
	 BENT(.kick = hoot),
	 .clause = "SPLIT-D-22",
	 .wrong = "a notification for each kick"},
	{.test = "kick_spurious",
	 BENT(.kick = no_repetition),
	 .clause = "SPLIT-D-22",
	 .wrong = "it breaks at the second kick"},
	{.test = "kick_spurious",
	 BENT(.kick = use_again),
	 .clause = "SPLIT-D-22",
	 .wrong = "the last chain is used again"},
	{.test = "kick_repeated",
	 BENT(.kick = no_repetition),
	 .clause = "NOTIF-DX-01",
	 .wrong = "it breaks at the second kick"},
	{.test = "kick_repeated",
	 BENT(.kick = hoot),
	 .clause = "NOTIF-DX-01",
	 .wrong = "a notification for each kick"},

	{.test = "kick_not_awaited",
	 BENT(.progress = read_ahead),
	 .clause = "SPLIT-D-23",
	 .wrong = "chains that are not shown yet"},
	{.test = "kick_not_awaited",
	 BENT(.progress = one_for_a_kick, .kick = count_kick),
	 .clause = "SPLIT-D-23",
	 .wrong = "one chain for a kick"},
	{.test = "kick_not_awaited",
	 BENT(.progress = one_for_a_kick, .kick = count_kick),
	 .clause = "PACKED-D-10",
	 .wrong = "one chain for a kick, packed"},
	{.test = "kick_not_awaited",
	 BENT(.progress = when_kicked, .kick = count_kick),
	 .tolerated = true,
	 .wrong = "it waits for the kick (tolerated)"},

	{.test = "kick_before_driver_ok",
	 BENT(.queue_start = start_behind),
	 .clause = "SPLIT-DX-11",
	 .wrong = "it starts behind them"},
	{.test = "kick_before_driver_ok",
	 BENT(.progress = at_the_second_kick, .kick = count_kick),
	 .clause = "SPLIT-DX-11",
	 .wrong = "the first kick is lost"},
	{.test = NULL},
};
