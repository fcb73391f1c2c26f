/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VIRTIO_F_IN_ORDER on the device side, for both ring formats (virtio 1.3, 2.7.9, 2.8.11):
 * chains are used in the order in which they were taken, and one used entry may stand
 * for several. Between the device and the ring stand two stages:
 *
 *   slots     | free |      taken, not done / done, waiting     | free |
 *                     ^ oldest                                   ^ free_chain
 *   batch     done chains from the oldest on, for which one entry is to be written
 *   ring      used_next: where that entry goes
 *
 * Waiting. Slots are handed out round and round, so those of the chains in flight are
 * the ones from oldest on, in the order of their taking. For that the free list is a
 * queue here: it holds the slots from behind the youngest chain up to before the oldest,
 * in that order. A chain that is done keeps its slot and its length while an older
 * one is not; its map and its block are given back at once, so what waits holds up nothing.
 *
 * Batches. A driver takes a skipped chain for one that was written in full, so only such
 * a one may be skipped; any other gets an entry, which ends its batch. The entry of an
 * open batch is written at the publish at the latest.
 */
#include "virtqueue_internal.h"

/* One used entry for all chains of the batch: id and length of the last, place of the first. */
static void end_batch(struct virtqueue *vq)
{
	const struct order_batch *batch = &vq->order;

	if (batch->chains == 0)
		return;
	if (vq->packed) {
		packed_push_batch(vq, batch);
	} else {
		split_push(vq, batch->id, batch->written);
		vq->used_next += batch->chains - 1;
	}
	vq->order = (struct order_batch){0};
}

static void add_to_batch(struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	struct order_batch *batch = &vq->order;

	batch->chains++;
	batch->slots += chain->slots;
	batch->id = chain->head;
	batch->written = chain->written;
	if (chain->written != chain->writable_size)
		end_batch(vq);
}

/* The slot of the oldest chain becomes free: behind all others, or, all being free, before them. */
static void free_oldest(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	uint32_t before = (vq->oldest > 0 ? vq->oldest : vq->size) - 1u;

	chain->done = false;
	vq->head_in_flight[chain->head] = 0;
	if (--vq->in_flight == 0) {
		/* The same slot again for the next chain: it is warm. */
		chain->next_free = vq->free_chain;
		vq->free_chain = chain;
		return;
	}
	chain->next_free = NULL;
	if (vq->free_chain)
		vq->chains[before].next_free = chain;
	else
		vq->free_chain = chain;
	vq->oldest = vq->oldest + 1 < vq->size ? vq->oldest + 1 : 0;
}

void in_order_start(struct virtqueue *vq)
{
	vq->oldest = 0;
	vq->order = (struct order_batch){0};
}

void in_order_push(struct virtqueue *vq, struct virtqueue_chain *chain, uint32_t written)
{
	chain->written = written;
	chain->done = true;
	while (vq->in_flight > 0 && vq->chains[vq->oldest].done) {
		chain = &vq->chains[vq->oldest];
		if (vq->ring == RING_IN_ORDER)
			add_to_batch(vq, chain);
		free_oldest(vq, chain);
		if (vq->ring == RING_NOTED)
			noted_push(vq, chain, chain->written);
	}
}

bool in_order_publish(struct virtqueue *vq)
{
	end_batch(vq);
	return vq->packed ? packed_publish(vq) : split_publish(vq);
}
