/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One block request from chain to answer (virtio 1.3, 5.2.6): parse it wherever
 * the framing put header, data and status, check it, let the store carry it out,
 * answer it. Internal to devices/blk; blk.c owns features, config space and the
 * life of the queues.
 *
 * Threads: one thread at a time for each blk_requests. A blk_disk is shared by
 * all queues.
 */
#ifndef DEVICES_BLK_REQUEST_INTERNAL_H
#define DEVICES_BLK_REQUEST_INTERNAL_H

#include <linux/virtio_blk.h>

#include "../virtqueue.h"
#include "blk.h"

/* The longest segment of a DISCARD or WRITE_ZEROES (2 GiB) bounds what one request may cost. */
#define BLK_RANGE_SECTORS_MAX (UINT32_C(1) << 22)

/* What a request must know of its device. All but the first two is constant while a queue runs. */
struct blk_disk {
	uint64_t capacity; /* sectors; atomic */
	uint8_t writeback; /* as in the config space; atomic */
	bool read_only;
	uint64_t features;        /* negotiated */
	struct blk_limits limits; /* size in it is not kept up to date: use capacity */
	char id[BLK_ID_SIZE];     /* padded with NUL, not terminated (5.2.6) */
};

struct blk_request;

/* The requests of one virtqueue: a pool indexed by the slots of its chains. */
struct blk_requests {
	const struct blk_disk *disk;
	struct virtqueue *vq;
	struct blk_store_queue *store_queue;

	/* Private to request.c. */
	struct blk_request *pool;
	struct virtio_blk_discard_write_zeroes *ranges; /* BLK_DISCARD_SEGMENTS_MAX for each slot */
	struct blk_request *busy;                       /* first of those the store did not take */
	struct blk_request **busy_end;
};

/*
 * Make the pool for a queue of size elements. The caller has set disk, vq and
 * store_queue; the features of the disk are final. Returns 0 or -ENOMEM.
 */
int blk_requests_init(struct blk_requests *requests, uint16_t size);

/* Free the pool; no request is with the store. A zeroed blk_requests can be finished. */
void blk_requests_finish(struct blk_requests *requests);

/* Start the request of a chain that was just popped. It ends in a virtqueue_push, now or later. */
void blk_request_start(struct blk_requests *requests, struct virtqueue_chain *chain);

/* Offer the store again what it was too busy to take, in order. Call it after poll. */
void blk_requests_retry(struct blk_requests *requests);

/* Whether the store was too busy for some request: taking more chains would not help. */
static inline bool blk_requests_busy(const struct blk_requests *requests)
{
	return requests->busy != NULL;
}

#endif
