/* SPDX-License-Identifier: BSD-3-Clause */
#include "wrong_device.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "devices/guest_memory.h"
#include "devices/null/null.h"

#define ELEMENTS_MAX 128u

struct element {
	uint8_t *bytes;
	uint32_t size;
};

/* One chain: the readable elements stand before the writable ones. */
struct chain {
	struct element elements[ELEMENTS_MAX];
	unsigned readable;
	unsigned count;
	uint32_t readable_size;
	uint32_t writable_size;
};

struct wrong_device {
	struct virtio_device device;
	enum wrong_fault fault;
	uint64_t features;
	bool live;
	bool broken;
	struct virtio_queue_setup setup;
	struct guest_map *map; /* kept over a reset, for complete_late */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t avail_next;
	uint16_t used_next;
	uint16_t last_head;
};

static struct wrong_device *from(struct virtio_device *dev)
{
	return (struct wrong_device *)dev;
}

static uint64_t features(struct virtio_device *dev)
{
	(void)dev;
	return VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
	       VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH);
}

static void notify(struct wrong_device *w)
{
	w->device.transport_ops->notify_used(w->device.transport, 0);
}

static int set_features(struct virtio_device *dev, uint64_t chosen)
{
	struct wrong_device *w = from(dev);

	w->features = chosen;
	if (w->fault == WRONG_EARLY_NOTIFICATION)
		notify(w);
	return 0;
}

static bool event_idx(const struct wrong_device *w)
{
	return w->features & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX);
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
	return WRONG_DEVICE_QUEUE_SIZE_MAX;
}

static uint32_t config_size(struct virtio_device *dev)
{
	(void)dev;
	return sizeof(struct virtio_blk_config);
}

static int config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	struct virtio_blk_config config = {.capacity = htole64(WRONG_DEVICE_SECTORS)};

	(void)dev;
	memcpy(buf, (const uint8_t *)&config + offset, size);
	return 0;
}

static void *at(struct wrong_device *w, uint64_t gpa, uint64_t size)
{
	return guest_map_contiguous(w->map, gpa, size, GUEST_READ_WRITE);
}

static int queue_start(struct virtio_device *dev, uint16_t index,
		       const struct virtio_queue_setup *setup)
{
	struct wrong_device *w = from(dev);

	(void)index;
	guest_map_release(w->map);
	w->map = guest_memory_acquire(dev->memory);
	w->setup = *setup;
	w->desc = at(w, setup->desc_gpa, 16u * setup->size);
	w->avail = at(w, setup->driver_gpa, 6 + 2u * setup->size);
	w->used = at(w, setup->device_gpa, 6 + 8u * setup->size);
	w->avail_next = setup->resume.avail_index;
	w->used_next = setup->resume.used_index;
	w->broken = false;
	w->live = w->desc && w->avail && w->used;
	return w->live ? 0 : -EFAULT;
}

static enum virtio_completion queue_stop(struct virtio_device *dev, uint16_t index,
					 struct virtio_queue_state *state)
{
	struct wrong_device *w = from(dev);

	(void)index;
	w->live = false;
	*state = (struct virtio_queue_state){w->avail_next, w->used_next, true, true};
	return VIRTIO_DONE;
}

static enum virtio_completion reset(struct virtio_device *dev)
{
	from(dev)->live = false;
	from(dev)->features = 0;
	return VIRTIO_DONE;
}

static bool add_element(struct wrong_device *w, struct chain *chain, const struct vring_desc *desc)
{
	bool write = le16toh(desc->flags) & VRING_DESC_F_WRITE;
	uint32_t size = le32toh(desc->len);
	uint8_t *bytes = at(w, le64toh(desc->addr), size);

	if (chain->count == ELEMENTS_MAX || (size && !bytes))
		return false;
	if (!write && chain->count > chain->readable)
		return false;
	chain->elements[chain->count++] = (struct element){bytes, size};
	if (write)
		chain->writable_size += size;
	else
		chain->readable_size += size;
	chain->readable += !write;
	return true;
}

/* Returns false: the chain is malformed. */
static bool walk(struct wrong_device *w, struct chain *chain, struct vring_desc *table,
		 uint32_t entries, uint16_t index)
{
	struct vring_desc desc;

	do {
		if (index >= entries)
			return false;
		desc = table[index];
		if (le16toh(desc.flags) & VRING_DESC_F_INDIRECT) {
			struct vring_desc *inner = at(w, le64toh(desc.addr), le32toh(desc.len));

			if (!inner || table != w->desc || !le32toh(desc.len))
				return false;
			if (w->fault == WRONG_TABLE)
				inner->len = 0;
			return walk(w, chain, inner, le32toh(desc.len) / sizeof(desc), 0);
		}
		if (!add_element(w, chain, &desc))
			return false;
		index = le16toh(desc.next);
	} while (le16toh(desc.flags) & VRING_DESC_F_NEXT);
	return true;
}

static uint8_t *readable_byte(struct chain *chain)
{
	for (unsigned i = 0; i < chain->readable; i++)
		if (chain->elements[i].size)
			return chain->elements[i].bytes;
	return NULL;
}

/* Fill the writable bytes; the last one is the status. */
static void answer(struct wrong_device *w, struct chain *chain, uint8_t fill, uint8_t status)
{
	uint32_t left = chain->writable_size;

	for (unsigned i = chain->readable; i < chain->count; i++) {
		const struct element *e = &chain->elements[i];

		for (uint32_t j = 0; j < e->size; j++, left--) {
			if (left > 1)
				e->bytes[j] = (uint8_t)(fill + chain->writable_size - left);
			else if (w->fault != WRONG_NO_STATUS)
				e->bytes[j] = status;
			if (left == 1 && w->fault == WRONG_BEYOND)
				e->bytes[j + 1]++;
		}
	}
}

/* Serve one chain. Returns the used length. */
static uint32_t serve(struct wrong_device *w, struct chain *chain)
{
	uint8_t *header = readable_byte(chain);
	bool good = chain->readable_size >= NULL_HEADER_SIZE;
	uint8_t fill = header ? *header : 0;

	if (w->fault == WRONG_DATA)
		fill ^= 1;
	answer(w, chain, fill, good ? NULL_STATUS_OK : NULL_STATUS_BAD_HEADER);
	if (w->fault == WRONG_READABLE && header)
		*header = 0xdd;
	return chain->writable_size;
}

static void put_used(struct wrong_device *w, uint16_t head, uint32_t len)
{
	struct vring_used_elem *entry = &w->used->ring[w->used_next++ % w->setup.size];
	uint32_t id = head;

	if (w->fault == WRONG_ID)
		id = (head + w->setup.size / 2) % w->setup.size;
	if (w->fault == WRONG_ID_RANGE)
		id = head + w->setup.size;
	if (w->fault == WRONG_ID_TWICE)
		id = w->last_head;
	w->last_head = head;
	len += w->fault == WRONG_LEN_LARGE;
	len -= w->fault == WRONG_LEN_SMALL;
	entry->id = htole32(id);
	entry->len = htole32(len);
}

static void needs_reset(struct wrong_device *w)
{
	w->broken = true;
	if (w->fault != WRONG_LATE_RESET)
		w->device.transport_ops->needs_reset(w->device.transport);
}

/* Take the next chain and use it. */
static void handle(struct wrong_device *w)
{
	uint16_t slot = w->avail_next % w->setup.size;
	uint16_t head = le16toh(w->avail->ring[slot]);
	struct chain chain = {.count = 0};

	if (!walk(w, &chain, w->desc, w->setup.size, head)) {
		needs_reset(w);
		return;
	}
	w->avail_next++;
	if (w->avail_next == 1)
		w->last_head = head;
	if (w->fault == WRONG_AVAIL_SLOT)
		w->avail->ring[slot] = 0xffff;
	if (w->fault == WRONG_DESC)
		w->desc[head].len = 0;
	if (w->fault != WRONG_DROP)
		put_used(w, head, serve(w, &chain));
}

/* The writes to ring memory that are wrong at any time. */
static void scribble(struct wrong_device *w)
{
	uint16_t size = w->setup.size;

	if (w->fault == WRONG_FLAGS || w->fault == WRONG_FLAGS_NONZERO)
		w->used->flags = htole16(w->fault == WRONG_FLAGS ? 2 : 1);
	if (w->fault == WRONG_AVAIL_INDEX)
		w->avail->idx = htole16(w->avail_next + 1);
	if (w->fault == WRONG_AVAIL_EVENT)
		memcpy(&w->used->ring[size], &w->avail_next, sizeof(w->avail_next));
	if (w->fault == WRONG_BEYOND_RING)
		((uint8_t *)&w->used->ring[size])[2]++;
}

static uint16_t index_to_show(const struct wrong_device *w, uint16_t old)
{
	if (w->used_next == old)
		return old;
	if (w->fault == WRONG_INDEX_JUMP)
		return w->used_next + 1;
	return w->fault == WRONG_INDEX_BACK ? old - 1 : w->used_next;
}

static bool notification_due(const struct wrong_device *w, uint16_t old)
{
	uint16_t event = le16toh(w->avail->ring[w->setup.size]);

	if (w->fault == WRONG_NO_NOTIFICATION)
		return false;
	if (w->used_next == old)
		return w->fault == WRONG_IDLE_NOTIFICATION;
	if (w->fault == WRONG_MUCH_NOTIFICATION)
		return true;
	if (!event_idx(w))
		return !(le16toh(w->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	return (uint16_t)(w->used_next - event - 1) < (uint16_t)(w->used_next - old);
}

static void publish(struct wrong_device *w, uint16_t old)
{
	bool due = notification_due(w, old);
	unsigned times = due;

	w->used->idx = htole16(index_to_show(w, old));
	if (event_idx(w) && w->fault != WRONG_NO_REARM)
		memcpy(&w->used->ring[w->setup.size], &w->avail->idx, sizeof(w->avail->idx));
	if (due && w->fault == WRONG_MANY_NOTIFICATIONS)
		times = 3u * (uint16_t)(w->used_next - old);
	for (unsigned i = 0; i < times; i++)
		notify(w);
	scribble(w);
}

static enum virtio_progress progress(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct wrong_device *w = from(dev);
	uint16_t old = w->used_next;

	(void)index;
	(void)budget;
	if (!w->live || w->broken)
		return VIRTIO_IDLE;
	while (!w->broken && w->avail_next != le16toh(w->avail->idx))
		handle(w);
	publish(w, old);
	if (w->fault == WRONG_NEEDS_RESET && w->used_next != old)
		needs_reset(w);
	return w->fault == WRONG_ENDLESS ? VIRTIO_WORK_LEFT : VIRTIO_IDLE;
}

void wrong_device_complete_late(struct virtio_device *dev)
{
	struct wrong_device *w = from(dev);

	w->used->ring[0].len = htole32(~le32toh(w->used->ring[0].len));
	w->used->idx = htole16(le16toh(w->used->idx) + 1);
}

static void destroy(struct virtio_device *dev)
{
	guest_map_release(from(dev)->map);
	free(dev);
}

static const struct virtio_device_ops wrong_ops = {
	.name = "wrong",
	.features = features,
	.set_features = set_features,
	.queue_count = queue_count,
	.queue_size_max = queue_size_max,
	.config_size = config_size,
	.config_read = config_read,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.reset = reset,
	.progress = progress,
	.destroy = destroy,
};

struct virtio_device *wrong_device_create(enum wrong_fault fault)
{
	struct wrong_device *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->device.ops = &wrong_ops;
	w->fault = fault;
	return &w->device;
}
