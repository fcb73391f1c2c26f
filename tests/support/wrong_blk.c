/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include <linux/virtio_config.h>
#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY /* its legacy helpers are not C++ */
#endif
#include <linux/virtio_ring.h>

#include "wrong_blk.h"

#define HEADER_SIZE  16u
#define REQUESTS_MAX 64u

/* The requests' parts are runs of bytes: one piece after the other in guest memory. */
static void take(struct wrong_wrap *wrap, struct wrong_blk_request *request,
		 const struct vring_desc *desc)
{
	uint32_t size = le32toh(desc->len);
	uint8_t *at = wrong_wrap_at(wrap, le64toh(desc->addr), size);

	if (le16toh(desc->flags) & VRING_DESC_F_WRITE) {
		if (!request->answer)
			request->answer = at;
		request->answer_size += size;
		request->last = at;
		return;
	}
	if (!request->header)
		request->header = at;
	request->payload = request->header + HEADER_SIZE;
	request->payload_size += size;
}

static void walk(struct wrong_wrap *wrap, struct wrong_blk_request *request,
		 const struct vring_desc *table, uint16_t at)
{
	const struct vring_desc *desc = &table[at];

	while (le16toh(desc->flags) & VRING_DESC_F_NEXT) {
		take(wrap, request, desc);
		desc = &table[le16toh(desc->next)];
	}
	if (le16toh(desc->flags) & VRING_DESC_F_INDIRECT)
		walk(wrap, request, wrong_wrap_at(wrap, le64toh(desc->addr), le32toh(desc->len)),
		     0);
	else
		take(wrap, request, desc);
}

static void parse(struct wrong_wrap *wrap, struct wrong_blk_request *request,
		  const struct vring_desc *table, uint16_t head)
{
	uint32_t size;

	memset(request, 0, sizeof(*request));
	walk(wrap, request, table, head);
	request->payload_size -= HEADER_SIZE;
	size = request->payload_size < WRONG_BLK_SAVED ? request->payload_size : WRONG_BLK_SAVED;
	memcpy(request->saved, request->header, HEADER_SIZE + size);
	memcpy(&request->type, request->header, sizeof(request->type));
	request->type = le32toh(request->type);
}

static void put_back(struct wrong_blk_request *request)
{
	uint32_t size =
		request->payload_size < WRONG_BLK_SAVED ? request->payload_size : WRONG_BLK_SAVED;

	memcpy(request->header, request->saved, HEADER_SIZE + size);
}

/* Everything from used index to available index is what the device will answer now. */
static unsigned gather(struct wrong_wrap *wrap, uint16_t index,
		       struct wrong_blk_request requests[REQUESTS_MAX])
{
	const struct virtio_queue_setup *setup = &wrap->setups[index];
	const struct vring_desc *table =
		wrong_wrap_at(wrap, setup->desc_gpa, 16 * (uint64_t)setup->size);
	const struct vring_avail *avail =
		wrong_wrap_at(wrap, setup->driver_gpa, 6 + 2 * (uint64_t)setup->size);
	struct vring_used *used =
		wrong_wrap_at(wrap, setup->device_gpa, 6 + 8 * (uint64_t)setup->size);
	uint16_t at = le16toh(used->idx), end = le16toh(avail->idx);
	unsigned count = 0;

	for (; at != end && count < REQUESTS_MAX; at++) {
		parse(wrap, &requests[count], table, le16toh(avail->ring[at % setup->size]));
		requests[count++].used_len = &used->ring[at % setup->size].len;
	}
	return count;
}

enum virtio_progress wrong_blk_progress(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);
	const struct wrong_blk_hooks *hooks = wrap->bend->how;
	struct wrong_blk_request requests[REQUESTS_MAX];
	enum virtio_progress progress;
	unsigned count;

	if (index >= WRONG_WRAP_QUEUES || wrap->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED))
		return inner->ops->progress(inner, index, budget);
	count = gather(wrap, index, requests);
	for (unsigned i = 0; hooks->before && i < count; i++)
		hooks->before(&requests[i]);
	progress = inner->ops->progress(inner, index, budget);
	for (unsigned i = 0; i < count; i++) {
		put_back(&requests[i]);
		if (hooks->after)
			hooks->after(&requests[i]);
	}
	return progress;
}
