/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are wrong in how they live: status, features, resets, config space.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "suite_wrong.h"
#include "vqsim/link.h"
#include "wrong_rows.h"

extern const struct vqsim_wrong suite_wrong_life[];

#define VERSION_1 VIRTIO_FEATURE(VIRTIO_F_VERSION_1)

/* Whether queue 0 had a ring and has none now. */
static bool is_stopped(const struct wrong_wrap *wrap)
{
	return wrap->setups[0].size != 0 && !wrap->started[0];
}

/* The ring of queue 0 is written to although the queue is not live. */
static int scribble(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);
	uint8_t *area;

	if (is_stopped(wrap)) {
		area = wrong_wrap_at(wrap, wrap->setups[0].device_gpa, 4);
		area[2]++;
	}
	return inner->ops->config_read(inner, offset, buf, size);
}

static int chatter(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	if (is_stopped(wrong_wrap_of(dev)))
		dev->transport_ops->notify_used(dev->transport, 0);
	return inner->ops->config_read(inner, offset, buf, size);
}

static void keep_quiet(void *transport)
{
	(void)transport;
}

/* The bit without the notification. */
static void set_the_bit_only(void *transport)
{
	struct wrong_wrap *wrap = transport;
	struct vqsim_link *link = wrap->base.transport;

	virtio_transport_needs_reset(&link->transport);
}

static uint64_t broken_at_birth(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	if (dev->transport_ops)
		dev->transport_ops->needs_reset(dev->transport);
	return inner->ops->features(inner);
}

static int breaks_at_features(struct virtio_device *dev, uint64_t features)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	dev->transport_ops->needs_reset(dev->transport);
	return inner->ops->set_features(inner, features);
}

/* Features */

struct offer {
	uint64_t without, with;
};

static uint64_t bent_offer(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	const struct offer *offer = wrong_wrap_of(dev)->bend->how;

	return (inner->ops->features(inner) & ~offer->without) | offer->with;
}

/* The first look tells the truth; what is asked for later is all there. */
static uint64_t anything_goes(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return wrong_wrap_of(dev)->calls++ < 2 ? inner->ops->features(inner) : UINT64_MAX;
}

static uint64_t takes_back(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	uint64_t gone = wrong_wrap_of(dev)->features ? VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) : 0;

	return inner->ops->features(inner) & ~gone;
}

static int wants_indirect(struct virtio_device *dev, uint64_t features)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	if (!(features & VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)))
		return -EINVAL;
	return inner->ops->set_features(inner, features);
}

static int tires(struct virtio_device *dev, uint64_t features)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	if (wrong_wrap_of(dev)->calls++ >= 2)
		return -EINVAL;
	return inner->ops->set_features(inner, features);
}

/* Only a driver that takes the bit of the offer is accepted. */
static int insists(struct virtio_device *dev, uint64_t features)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	const struct offer *offer = wrong_wrap_of(dev)->bend->how;

	if (offer->with & ~features)
		return -EINVAL;
	return inner->ops->set_features(inner, features & ~(offer->with & ~VERSION_1));
}

/* Every driver is accepted, but only one that takes the bit gets a queue. */
static int sulks(struct virtio_device *dev, uint16_t index, const struct virtio_queue_setup *setup)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);
	const struct offer *offer = wrap->bend->how;

	if (offer->with & ~wrap->features)
		return -EINVAL;
	return inner->ops->queue_start(inner, index, setup);
}

/* The same in another place: what they send is never looked at. */
static enum virtio_progress ignores(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);
	const struct offer *offer = wrap->bend->how;

	if (offer->with & ~wrap->features)
		return VIRTIO_IDLE;
	return inner->ops->progress(inner, index, budget);
}

#define OFFER(bits_without, bits_with)                                      \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.ops = {.features = bent_offer},                            \
		.how = &(const struct offer){bits_without, bits_with},      \
	}

#define OFFER_AND(member, function, bit)                                    \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.ops = {.features = bent_offer, .member = function},        \
		.how = &(const struct offer){.with = VIRTIO_FEATURE(bit)},  \
	}

/* What it offers it accepts, and then it fails. */
static int fails_with_it(struct virtio_device *dev, uint16_t index,
			 const struct virtio_queue_setup *setup)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	const struct offer *offer = wrong_wrap_of(dev)->bend->how;

	if (offer->with & wrong_wrap_of(dev)->features)
		return -EINVAL;
	return inner->ops->queue_start(inner, index, setup);
}

/* Resets */

/* The first driver's choice of a ring is that of all later ones. */
static int one_format(struct virtio_device *dev, uint64_t features)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	unsigned packed = !!(features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)) + 1u;
	struct wrong_wrap *wrap = wrong_wrap_of(dev);

	if (wrap->calls == 0)
		wrap->calls = packed;
	return wrap->calls == packed ? inner->ops->set_features(inner, features) : -EINVAL;
}

/* Once it was used a reset takes for ever, or nearly so: the suite must be able to let go. */
static enum virtio_completion slow_reset(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	if (wrong_wrap_of(dev)->features && wrong_wrap_of(dev)->calls++ < 5000)
		return VIRTIO_PENDING;
	return inner->ops->reset(inner);
}

/* The second life goes on where the first one ended, or so the device thinks. */
static int start_late(struct virtio_device *dev, uint16_t index,
		      const struct virtio_queue_setup *setup)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct virtio_queue_setup late = *setup;

	if (wrong_wrap_of(dev)->calls++ > 0) {
		late.resume.avail_index = 1;
		late.resume.used_index = 1;
	}
	return inner->ops->queue_start(inner, index, &late);
}

/* The first ring of a queue is its ring for ever. */
static int start_where_it_was(struct virtio_device *dev, uint16_t index,
			      const struct virtio_queue_setup *setup)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);

	if (wrap->setups[index].size == 0)
		wrap->setups[index] = *setup;
	return inner->ops->queue_start(inner, index, &wrap->setups[index]);
}

/* Config space */

/* The capacity is there, so that there is a disk; the block size comes with its feature. */
static int blank_until_negotiated(struct virtio_device *dev, uint32_t offset, void *buf,
				  uint32_t size)
{
	const uint32_t from = offsetof(struct virtio_blk_config, blk_size);
	struct virtio_device *inner = wrong_wrap_inner(dev);
	int error = inner->ops->config_read(inner, offset, buf, size);
	uint8_t *bytes = buf;

	for (uint32_t at = 0; at < size && !wrong_wrap_of(dev)->features; at++)
		if (offset + at >= from && offset + at < from + sizeof(uint32_t))
			bytes[at] = 0;
	return error;
}

static int refuse_halves(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return size == 2 ? -EINVAL : inner->ops->config_read(inner, offset, buf, size);
}

static int blank_across_words(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	int error = inner->ops->config_read(inner, offset, buf, size);

	if (offset % 4 + size > 4 && offset % 4 != 0)
		memset(buf, 0, size);
	return error;
}

static uint32_t same_generation(struct virtio_device *dev)
{
	(void)dev;
	return 7;
}

/* An even number for one size and an odd one for the other. */
static uint32_t generation_of_content(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	uint8_t byte = 0;

	inner->ops->config_read(inner, 0, &byte, 1);
	return byte;
}

#define SIGNAL(member, function)                                            \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.transport = {.member = function},                          \
	}

const struct vqsim_wrong suite_wrong_life[] = {
	{.test = "status_before_driver_ok",
	 BENT(.config_read = scribble),
	 .clause = "STATUS-D-01",
	 .wrong = "used entries before DRIVER_OK"},
	{.test = "status_before_driver_ok",
	 BENT(.config_read = chatter),
	 .clause = "STATUS-D-02",
	 .wrong = "a notification before DRIVER_OK"},
	{.test = "status_needs_reset",
	 SIGNAL(needs_reset, keep_quiet),
	 .clause = "STATUS-D-03",
	 .wrong = "it does not say so"},
	{.test = "status_needs_reset",
	 SIGNAL(needs_reset, set_the_bit_only),
	 .clause = "STATUS-D-04",
	 .wrong = "a bit without a notification"},
	{.test = "status_fresh",
	 BENT(.features = broken_at_birth),
	 .clause = "STATUS-DX-01",
	 .wrong = "it needs a reset at birth"},
	{.test = "status_reads_back",
	 BENT(.set_features = breaks_at_features),
	 .clause = "STATUS-DX-02",
	 .wrong = "a bit that nobody wrote"},

	{.test = "features_dependencies",
	 OFFER(VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH), VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE)),
	 .clause = "FEAT-D-01",
	 .wrong = "CONFIG_WCE without FLUSH"},
	{.test = "features_every_subset",
	 BENT(.set_features = wants_indirect),
	 .clause = "FEAT-D-02",
	 .wrong = "INDIRECT_DESC is a must"},
	{.test = "features_nothing_else",
	 BENT(.features = anything_goes),
	 .clause = "FEAT-D-03",
	 .wrong = "anything is accepted"},
	{.test = "features_only_what_works",
	 OFFER(0, VIRTIO_FEATURE(3)),
	 .clause = "FEAT-D-04",
	 .wrong = "a bit that means nothing"},
	{.test = "features_only_what_works",
	 OFFER(0, VIRTIO_FEATURE(30)),
	 .clause = "FEAT-D-04",
	 .wrong = "a reserved bit"},
	{.test = "features_only_what_works",
	 OFFER_AND(queue_start, fails_with_it, VIRTIO_BLK_F_SEG_MAX),
	 .clause = "FEAT-D-04",
	 .wrong = "a bit that does not work"},
	{.test = "features_accepted_again",
	 BENT(.set_features = tires),
	 .clause = "FEAT-D-05",
	 .wrong = "the third time it refuses"},
	{.test = "features_stay_fixed",
	 BENT(.features = takes_back),
	 .clause = "FEAT-DX-01",
	 .wrong = "a bit is taken back"},
	{.test = "features_version_1",
	 OFFER(VERSION_1, 0),
	 .clause = "RFB-D-01",
	 .wrong = "no VERSION_1"},
	{.test = "features_without_version_1",
	 OFFER_AND(set_features, insists, VIRTIO_F_VERSION_1),
	 .clause = "RFB-D-02",
	 .tolerated = true,
	 .wrong = "it insists (tolerated)"},
	{.test = "features_without_version_1",
	 OFFER_AND(queue_start, sulks, VIRTIO_F_VERSION_1),
	 .clause = "RFB-D-02",
	 .wrong = "it accepts and does not serve"},
	{.test = "features_without_version_1",
	 OFFER_AND(progress, ignores, VIRTIO_F_VERSION_1),
	 .clause = "RFB-D-02",
	 .wrong = "it accepts and does not answer"},
	{.test = "features_without_access_platform",
	 OFFER_AND(set_features, insists, VIRTIO_F_ACCESS_PLATFORM),
	 .clause = "RFB-D-04",
	 .tolerated = true,
	 .wrong = "it insists (tolerated)"},
	{.test = "features_without_access_platform",
	 OFFER_AND(queue_start, sulks, VIRTIO_F_ACCESS_PLATFORM),
	 .clause = "RFB-D-04",
	 .wrong = "it accepts and does not serve"},
	{.test = "features_without_order_platform",
	 OFFER_AND(set_features, insists, VIRTIO_F_ORDER_PLATFORM),
	 .clause = "RFB-D-06",
	 .tolerated = true,
	 .wrong = "it insists (tolerated)"},
	{.test = "features_without_order_platform",
	 OFFER_AND(queue_start, sulks, VIRTIO_F_ORDER_PLATFORM),
	 .clause = "RFB-D-06",
	 .wrong = "it accepts and does not serve"},
	{.test = "features_no_sr_iov",
	 OFFER(0, VIRTIO_FEATURE(37)),
	 .clause = "RFB-D-10",
	 .wrong = "SR_IOV"},

	{.test = "reset_from_every_state",
	 BENT(.reset = slow_reset),
	 .clause = "RESET-D-01",
	 .wrong = "it never ends"},
	{.test = "reset_leaves_alone",
	 BENT(.config_read = chatter),
	 .clause = "RESET-D-02",
	 .wrong = "notifications after a reset"},
	{.test = "reset_leaves_alone",
	 BENT(.config_read = scribble),
	 .clause = "RESET-D-03",
	 .wrong = "used entries after a reset"},
	{.test = "reset_forgets",
	 BENT(.queue_start = start_late),
	 .clause = "RESET-DX-01",
	 .wrong = "old indices"},
	{.test = "reset_forgets",
	 BENT(.set_features = one_format),
	 .clause = "RESET-DX-01",
	 .wrong = "an old format"},
	{.test = "reset_forgets_rings",
	 BENT(.config_read = scribble),
	 .clause = "RESET-DX-01",
	 .wrong = "an old ring"},
	{.test = "queue_reset_is_quiet",
	 BENT(.config_read = scribble),
	 .clause = "VQRESET-D-01",
	 .wrong = "used entries after the reset of a queue"},
	{.test = "queue_reset_is_quiet",
	 BENT(.config_read = chatter),
	 .clause = "VQRESET-D-02",
	 .wrong = "notifications after the reset of a queue"},
	{.test = "queue_reset_starts_anew",
	 BENT(.queue_start = start_late),
	 .clause = "VQRESET-D-03",
	 .wrong = "old indices"},
	{.test = "queue_reset_takes_settings",
	 BENT(.queue_start = start_where_it_was),
	 .clause = "VQRESET-D-04",
	 .wrong = "the old ring"},

	{.test = "config_readable_early",
	 BENT(.config_read = blank_until_negotiated),
	 .clause = "CONFIG-D-01",
	 .wrong = "no block size before FEATURES_OK"},
	{.test = "config_any_access",
	 BENT(.config_read = refuse_halves),
	 .clause = "CONFIG-D-01",
	 .wrong = "two bytes cannot be read"},
	{.test = "config_any_access",
	 BENT(.config_read = blank_across_words),
	 .clause = "CONFIG-D-01",
	 .wrong = "zeroes across words"},
	{.test = "config_generation_counts",
	 BENT(.config_generation = same_generation),
	 .clause = "CONFIG-DX-02",
	 .wrong = "one generation for ever"},
	{.test = "config_generation_counts",
	 BENT(.config_generation = generation_of_content),
	 .clause = "CONFIG-DX-02",
	 .wrong = "the generation comes back"},
	{.test = "config_change_is_announced",
	 SIGNAL(config_changed, keep_quiet),
	 .clause = "CONFIG-DX-03",
	 .wrong = "a change without a word"},
	{.test = NULL},
};
