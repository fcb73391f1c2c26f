/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The null subject: a ring that is answered by hand. It believes the driver,
 * knows that a chain has three descriptors and that memory is one region, and
 * checks nothing. What a benchmark costs with it is the driver's own work and the
 * traffic of the ring; what a device costs more is the device.
 */
#include "subject.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "../devices/guest_memory.h"

struct none {
	struct virtio_device dev; /* first: a virtio_device * is a none * */
	enum perf_copy copy;
	uint8_t *data; /* what is copied, NULL: only the status is written */
	uint16_t next;
	uint16_t mask;
	const struct vring_desc *desc;
	const struct vring_avail *avail;
	struct vring_used *used;
	uint8_t *memory; /* of guest address 0 */
	struct guest_map *map;
};

static struct none *to_none(struct virtio_device *dev)
{
	return (struct none *)dev;
}

static uint64_t features(struct virtio_device *dev)
{
	(void)dev;
	return VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
}

static int set_features(struct virtio_device *dev, uint64_t value)
{
	(void)dev;
	(void)value;
	return 0;
}

static uint16_t queue_count(struct virtio_device *dev)
{
	(void)dev;
	return 1;
}

static uint16_t queue_size_max(struct virtio_device *dev, uint16_t index)
{
	(void)dev;
	(void)index;
	return 256;
}

static int queue_start(struct virtio_device *dev, uint16_t index,
		       const struct virtio_queue_setup *setup)
{
	struct none *none = to_none(dev);
	const struct guest_region *region;

	(void)index;
	none->map = guest_memory_acquire(dev->memory);
	region = guest_map_region(none->map, 0);
	none->memory = region->hva - region->gpa;
	none->desc = (const void *)(none->memory + setup->desc_gpa);
	none->avail = (const void *)(none->memory + setup->driver_gpa);
	none->used = (void *)(none->memory + setup->device_gpa);
	none->mask = setup->size - 1;
	none->next = setup->resume.avail_index;
	return 0;
}

static enum virtio_completion queue_stop(struct virtio_device *dev, uint16_t index,
					 struct virtio_queue_state *state)
{
	struct none *none = to_none(dev);

	(void)index;
	if (state)
		*state = (struct virtio_queue_state){none->next, none->next, true, true};
	guest_map_release(none->map);
	none->map = NULL;
	return VIRTIO_DONE;
}

static enum virtio_completion reset(struct virtio_device *dev)
{
	return queue_stop(dev, 0, NULL);
}

static size_t source_size(enum perf_copy copy)
{
	return copy == PERF_COPY_PATTERN ? PERF_DATA_SIZE + 256 : PERF_BUFFERS * PERF_DATA_SIZE;
}

/* A size that gcc does not know: of one that it knows it makes a slower string instruction. */
static void copy(const struct none *none, uint64_t header_gpa, const struct vring_desc *data)
{
	const uint8_t *bytes = none->memory + header_gpa;
	const struct virtio_blk_outhdr *header = (const void *)bytes;
	uint64_t from = none->copy == PERF_COPY_PATTERN ? *bytes : le64toh(header->sector) * 512;

	memcpy(none->memory + le64toh(data->addr), none->data + from, le32toh(data->len));
}

static void answer(const struct none *none, uint16_t head)
{
	const struct vring_desc *header = &none->desc[head];
	const struct vring_desc *data = &none->desc[le16toh(header->next)];
	const struct vring_desc *status = &none->desc[le16toh(data->next)];

	if (none->data)
		copy(none, le64toh(header->addr), data);
	none->memory[le64toh(status->addr)] = 0;
}

static enum virtio_progress progress(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct none *none = to_none(dev);
	uint16_t end = le16toh(__atomic_load_n(&none->avail->idx, __ATOMIC_ACQUIRE));
	uint32_t len = none->data ? PERF_DATA_SIZE + 1 : 0;

	(void)index;
	(void)budget;
	for (; none->next != end; none->next++) {
		uint16_t head = le16toh(none->avail->ring[none->next & none->mask]);
		struct vring_used_elem *elem = &none->used->ring[none->next & none->mask];

		answer(none, head);
		elem->id = htole32(head);
		elem->len = htole32(len);
	}
	__atomic_store_n(&none->used->idx, htole16(none->next), __ATOMIC_RELEASE);
	return VIRTIO_IDLE;
}

static void destroy(struct virtio_device *dev)
{
	free(to_none(dev)->data);
	free(to_none(dev));
}

static const struct virtio_device_ops none_ops = {
	.name = "none",
	.features = features,
	.set_features = set_features,
	.queue_count = queue_count,
	.queue_size_max = queue_size_max,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.reset = reset,
	.progress = progress,
	.destroy = destroy,
};

int perf_none_create(struct virtio_device **dev, enum perf_copy copy)
{
	struct none *none = calloc(1, sizeof(*none));

	if (!none)
		return -ENOMEM;
	none->dev.ops = &none_ops;
	none->copy = copy;
	if (copy != PERF_COPY_NOTHING) {
		none->data = malloc(source_size(copy));
		if (!none->data) {
			free(none);
			return -ENOMEM;
		}
		for (size_t i = 0; i < source_size(copy); i++)
			none->data[i] = (uint8_t)i;
	}
	*dev = &none->dev;
	return 0;
}
