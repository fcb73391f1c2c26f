/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The config space of any device (virtio 1.3, 2.5). What is in that of a block device:
 * cases_blk_config.c.
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define CONFIG_MAX 256u

static uint32_t read_all(struct vqsim_suite *s, uint8_t bytes[CONFIG_MAX])
{
	const struct virtio_device_ops *ops = s->device->ops;
	uint32_t size = ops->config_size ? ops->config_size(s->device) : 0;

	if (size > CONFIG_MAX)
		size = CONFIG_MAX;
	for (uint32_t at = 0; at < size; at++)
		bytes[at] = (uint8_t)vqsim_suite_config_field(s, at, 1);
	return size;
}

/* The driver sets it, and FEATURES_OK may: all other fields are what they are. */
static bool is_writeback(const struct vqsim_suite *s, uint32_t at)
{
	return s->is_blk && at == offsetof(struct virtio_blk_config, wce);
}

static void readable_early(struct vqsim_suite *s)
{
	struct virtio_transport *transport = &s->guest.link.transport;
	uint8_t early[CONFIG_MAX], late[CONFIG_MAX];
	uint32_t size;

	vqsim_guest_reset(&s->guest);
	virtio_transport_write_status(transport, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_transport_write_status(transport,
				      VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	size = read_all(s, early);
	vqsim_suite_up(s);
	read_all(s, late);
	for (uint32_t at = 0; at < size; at++)
		SUITE_EXPECT(s, early[at] == late[at] || is_writeback(s, at),
			     "byte %" PRIu32
			     " of the config space reads before FEATURES_OK as it does later",
			     at);
}

/* 1, 2, 4 and 8 bytes at every offset, and none past the end. */
static void any_access(struct vqsim_suite *s)
{
	uint8_t bytes[CONFIG_MAX], part[8];
	uint32_t size = read_all(s, bytes);

	for (uint32_t at = 0; at < size + 8; at++) {
		for (uint32_t width = 1; width <= 8; width *= 2) {
			int error = virtio_transport_config_read(&s->guest.link.transport, at, part,
								 width);

			if (at + width <= size)
				SUITE_EXPECT(s, error == 0 && memcmp(part, bytes + at, width) == 0,
					     "%" PRIu32 " bytes at %" PRIu32
					     " of the config space read as one by one",
					     width, at);
			else
				SUITE_EXPECT(s, size == CONFIG_MAX || error != 0,
					     "nothing is read past the end of the config space");
		}
	}
}

static void resize(struct vqsim_suite *s, int64_t sectors)
{
	uint64_t size = (s->blk.capacity + (uint64_t)sectors) * VQSIM_DISK_SECTOR;

	SUITE_EXPECT(s, s->subject->ops->resize(s->instance, size) == 0, "the subject resizes");
	vqsim_blk_reread(&s->blk);
}

static void generation_counts(struct vqsim_suite *s)
{
	struct virtio_transport *transport = &s->guest.link.transport;
	uint32_t first, second;

	SUITE_NEEDS_HOOK(s, resize);
	vqsim_suite_up(s);
	first = virtio_transport_config_generation(transport);
	resize(s, 8);
	second = virtio_transport_config_generation(transport);
	SUITE_EXPECT(s, first != second, "the generation changes with the config space");
	resize(s, -8);
	SUITE_EXPECT(s,
		     virtio_transport_config_generation(transport) != second &&
			     virtio_transport_config_generation(transport) != first,
		     "the generation does not come back with the old content");
}

static void change_is_announced(struct vqsim_suite *s)
{
	uint64_t heard;

	SUITE_NEEDS_HOOK(s, resize);
	vqsim_suite_up(s);
	for (int64_t sectors = -8; sectors <= 8; sectors += 16) {
		heard = s->guest.link.config_notifications;
		resize(s, -sectors);
		SUITE_EXPECT(s, s->guest.link.config_notifications > heard,
			     "a change of the config space is announced");
	}
}

const struct vqsim_case vqsim_cases_config[] = {
	{.name = "config_readable_early",
	 .clauses = "CONFIG-D-01",
	 .scope = VQSIM_ONCE,
	 .run = readable_early},
	{.name = "config_any_access",
	 .clauses = "CONFIG-D-01",
	 .bugs = "CONF-01",
	 .scope = VQSIM_ONCE,
	 .run = any_access},
	{.name = "config_generation_counts",
	 .clauses = "CONFIG-DX-02",
	 .scope = VQSIM_ONCE,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = generation_counts},
	{.name = "config_change_is_announced",
	 .clauses = "CONFIG-DX-03",
	 .scope = VQSIM_EACH_FORMAT,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = change_is_announced},
	{.name = NULL},
};
