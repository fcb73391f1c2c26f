/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Block devices that say wrong things of themselves, and some that do what they may: for
 * cases_blk_config.c.
 */
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "suite_wrong.h"
#include "wrong_rows.h"
#include "wrong_subject.h"

extern const struct vqsim_wrong suite_wrong_blk_config[];

#define F_LIFETIME     15
#define T_GET_LIFETIME 10u

/* Features that are taken from the offer and added to it. */
struct offer {
	uint64_t without, with;
};

static uint64_t bent_offer(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	const struct offer *offer = wrong_wrap_of(dev)->bend->how;

	return (inner->ops->features(inner) & ~offer->without) | offer->with;
}

#define OFFER(...)                                                            \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend)   \
	{                                                                     \
		.ops = {.features = bent_offer}, .how = &(const struct offer) \
		{                                                             \
			__VA_ARGS__                                           \
		}                                                             \
	}

/* A field of the config space that is something else. */
struct field {
	uint32_t offset, size;
	uint8_t bytes[8];
};

static int bent_field(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	const struct field *field = wrong_wrap_of(dev)->bend->how;
	int error = inner->ops->config_read(inner, offset, buf, size);

	for (uint32_t i = 0; i < field->size; i++)
		if (field->offset + i >= offset && field->offset + i - offset < size)
			((uint8_t *)buf)[field->offset + i - offset] = field->bytes[i];
	return error;
}

#define SAYS(...)                                                                \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend)      \
	{                                                                        \
		.ops = {.config_read = bent_field}, .how = &(const struct field) \
		{                                                                \
			__VA_ARGS__                                              \
		}                                                                \
	}

static int flip_unmap(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	const uint32_t at = offsetof(struct virtio_blk_config, write_zeroes_may_unmap);
	struct virtio_device *inner = wrong_wrap_inner(dev);
	int error = inner->ops->config_read(inner, offset, buf, size);

	if (at >= offset && at - offset < size)
		((uint8_t *)buf)[at - offset] ^= 1;
	return error;
}

/* The fields behind capacity are packed in another way. */
static int shifted(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	if (offset >= 8 && offset + size + 2 <= inner->ops->config_size(inner))
		offset += 2;
	return inner->ops->config_read(inner, offset, buf, size);
}

static int capacity_in_blocks(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct virtio_blk_config config = {.capacity = 0};

	inner->ops->config_read(inner, 0, &config, inner->ops->config_size(inner));
	config.capacity = htole64(le64toh(config.capacity) / 8);
	memcpy(buf, (const uint8_t *)&config + offset, size);
	return 0;
}

static uint32_t short_config(struct virtio_device *dev)
{
	(void)dev;
	return 32;
}

static void sector_in_blocks(struct wrong_blk_request *request)
{
	uint64_t sector;

	memcpy(&sector, request->header + 8, sizeof(sector));
	sector = htole64(le64toh(sector) * 8);
	memcpy(request->header + 8, &sector, sizeof(sector));
}

static void unsupported_succeeds(struct wrong_blk_request *request)
{
	uint8_t *status = &request->answer[request->answer_size - 1];

	if (*status != VIRTIO_BLK_S_UNSUPP)
		return;
	*status = VIRTIO_BLK_S_OK;
	*request->used_len = htole32(request->answer_size);
}

/* An estimate of 12, which is reserved. */
static void answer_lifetime(struct wrong_blk_request *request)
{
	if (request->type != T_GET_LIFETIME)
		return;
	memset(request->answer, 0, request->answer_size);
	request->answer[2] = 12;
	*request->used_len = htole32(request->answer_size);
}

static uint64_t offer_lifetime(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->features(inner) | VIRTIO_FEATURE(F_LIFETIME);
}

static const struct wrong_bend reserved_lifetime = {
	.ops = {.features = offer_lifetime, .progress = wrong_blk_progress},
	.how = &(const struct wrong_blk_hooks){.after = answer_lifetime},
};

static void silent(void *transport)
{
	(void)transport;
}

static void announce_twice(void *transport)
{
	struct wrong_wrap *wrap = transport;

	wrap->base.transport_ops->config_changed(wrap->base.transport);
	wrap->base.transport_ops->config_changed(wrap->base.transport);
}

#define FLUSH VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH)
#define WCE   VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE)

#define HEARD(function)                                                     \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.transport = {.config_changed = function},                  \
	}

const struct vqsim_wrong suite_wrong_blk_config[] = {
	{.test = "blk_offers_flush",
	 OFFER(.without = FLUSH | WCE),
	 .clause = "BLK-D-01",
	 .wrong = "no FLUSH"},
	{.test = "blk_wce_comes_with_flush",
	 OFFER(.without = FLUSH, .with = WCE),
	 .clause = "BLK-D-02",
	 .wrong = "CONFIG_WCE without FLUSH"},
	{.test = "blk_wce_without_flush",
	 SAYS(32, 1, {1}),
	 .clause = "BLK-D-03",
	 .wrong = "writeback 1"},
	{.test = "blk_unused_are_zero",
	 SAYS(33, 1, {7}),
	 .clause = "BLK-D-04",
	 .wrong = "something in unused0"},
	{.test = "blk_unused_are_zero",
	 SAYS(57, 3, {0, 0, 1}),
	 .clause = "BLK-D-04",
	 .wrong = "something in unused1"},
	{.test = "blk_capacity_changes",
	 HEARD(silent),
	 .clause = "BLK-D-06",
	 .wrong = "a new capacity without a word"},
	{.test = "blk_capacity_changes",
	 HEARD(announce_twice),
	 .tolerated = true,
	 .wrong = "a new capacity announced twice (tolerated)"},
	{.test = "blk_may_unmap",
	 BENT(.config_read = flip_unmap),
	 .clause = "BLK-D-16",
	 .wrong = "the opposite"},
	{.test = "blk_may_unmap_changes",
	 HEARD(silent),
	 .clause = "BLK-D-18",
	 .wrong = "a change without a word"},
	{.test = "blk_may_unmap_changes",
	 HEARD(announce_twice),
	 .tolerated = true,
	 .wrong = "a change announced twice (tolerated)"},
	{.test = "blk_lifetime_offer",
	 .ops = &wrong_subject_worn,
	 .clause = "BLK-D-23",
	 .wrong = "metrics that are not offered"},
	{.test = "blk_lifetime_offer",
	 OFFER(.with = VIRTIO_FEATURE(F_LIFETIME)),
	 .clause = "BLK-D-24",
	 .wrong = "an offer without metrics"},
	{.test = "blk_lifetime_values",
	 AFTER(unsupported_succeeds),
	 .clause = "BLK-DX-08",
	 .wrong = "success without the feature"},
	{.test = "blk_lifetime_values",
	 .wrap_device = wrong_wrap_create,
	 .how = &reserved_lifetime,
	 .clause = "BLK-D-25",
	 .wrong = "a reserved estimate"},
	{.test = "blk_queue_count",
	 SAYS(34, 2, {9, 0}),
	 .clause = "BLK-DX-01",
	 .wrong = "more queues than there are"},
	{.test = "blk_config_layout",
	 BENT(.config_read = shifted),
	 .clause = "BLK-DX-02",
	 .wrong = "fields two bytes further"},
	{.test = "blk_config_layout",
	 BENT(.config_size = short_config),
	 .clause = "BLK-DX-02",
	 .wrong = "a field that is cut off"},
	{.test = "blk_config_bytes",
	 SAYS(20, 4, {0, 0, 0x10, 0}),
	 .clause = "CONFIG-DX-01",
	 .wrong = "a big-endian field"},
	{.test = "blk_sectors_of_512",
	 BENT(.config_read = capacity_in_blocks),
	 .clause = "BLK-DX-03",
	 .wrong = "capacity in blocks"},
	{.test = "blk_sectors_of_512",
	 BEFORE(sector_in_blocks),
	 .clause = "BLK-DX-03",
	 .wrong = "sector in blocks"},
	{.test = NULL},
};
