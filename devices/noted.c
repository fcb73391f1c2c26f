/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue that notes in an inflight area what it holds (inflight.h), for both ring formats and
 * orders: what that changes in start, pop, push and publish.
 *
 *   pop       the chain is whole and checked; then the area says that we have it
 *   push      its slot is free again, and it waits here; ring and area say what they said
 *   publish   for each of them: area, ring; then the store that shows it; then area again
 *
 * A split ring shows all of them with one store, a packed ring one after the other
 * (inflight_packed.c). The head of a chain that waits is still in flight, so that a driver that
 * exposes it too early does not make them more than the queue size.
 *
 * The process may die between any two stores; whoever follows finds in area and ring which of
 * the chains are used. Whether the driver has heard of them it cannot know, so it notifies once.
 */
#include "virtqueue_internal.h"

#include <errno.h>
#include <stdlib.h>

int noted_start(struct virtqueue *vq, const void *ring, struct virtio_queue_state *at)
{
	struct notes *notes;
	int error;

	if (!vq->setup.inflight)
		return 0;
	notes = malloc(sizeof(*notes) + vq->size * sizeof(notes->pushed[0]));
	if (!notes)
		return -ENOMEM;
	notes->pushed_count = 0;
	error = inflight_open(&notes->inflight, &vq->setup, vq->packed, ring, at);
	if (error) {
		free(notes);
		return error;
	}
	notes->owed = notes->inflight.begun;
	vq->notes = notes;
	return 0;
}

void noted_begin(struct virtqueue *vq, const struct virtio_queue_state *at)
{
	if (vq->notes)
		inflight_begin(&vq->notes->inflight, vq->packed, at);
}

void noted_stop(struct virtqueue *vq)
{
	if (!vq->notes)
		return;
	inflight_close(&vq->notes->inflight);
	free(vq->notes);
	vq->notes = NULL;
}

uint32_t noted_left(const struct virtqueue *vq)
{
	const struct notes *notes = vq->notes;

	return notes ? notes->inflight.left_count - notes->inflight.left_next : 0;
}

static uint16_t oldest_left(const struct virtqueue *vq)
{
	const struct inflight *inflight = &vq->notes->inflight;

	return inflight->left[inflight->left_next].entry;
}

struct virtqueue_chain *noted_again(struct virtqueue *vq)
{
	return vq->packed ? packed_pop_again(vq, oldest_left(vq))
			  : split_pop_again(vq, oldest_left(vq));
}

void noted_take(struct virtqueue *vq, struct virtqueue_chain *chain, uint32_t position)
{
	struct inflight *inflight = &vq->notes->inflight;

	if (noted_left(vq) > 0) {
		chain->entry = oldest_left(vq);
		inflight->left_next++;
	} else if (vq->packed) {
		chain->entry = inflight_packed_take(inflight, vq->packed_ring.desc, vq->size,
						    position, chain->slots);
	} else {
		inflight_split_take(inflight, chain->head);
	}
}

void noted_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written)
{
	vq->head_in_flight[chain->head] = 1;
	vq->notes->pushed[vq->notes->pushed_count++] = (struct noted_push){
		.written = written,
		.head = chain->head,
		.slots = chain->slots,
		.entry = chain->entry,
	};
}

static bool publish_split(struct virtqueue *vq)
{
	struct notes *notes = vq->notes;
	bool due;

	for (uint32_t i = 0; i < notes->pushed_count; i++) {
		inflight_split_done(&notes->inflight, notes->pushed[i].head);
		split_push(vq, notes->pushed[i].head, notes->pushed[i].written);
	}
	due = split_publish(vq);
	for (uint32_t i = 0; i < notes->pushed_count; i++)
		inflight_split_clear(&notes->inflight, notes->pushed[i].head);
	inflight_split_settle(&notes->inflight, (uint16_t)vq->used_shown);
	return due;
}

static bool publish_packed(struct virtqueue *vq)
{
	struct notes *notes = vq->notes;
	uint16_t slots = 0;

	for (uint32_t i = 0; i < notes->pushed_count; i++) {
		const struct noted_push *push = &notes->pushed[i];
		const struct order_batch one = {
			.written = push->written, .slots = push->slots, .id = push->head};
		struct virtio_queue_state at = packed_used_after(vq, push->slots);

		inflight_packed_done(&notes->inflight, push->entry, &at);
		packed_push_batch(vq, &one);
		packed_show(vq);
		inflight_packed_settle(&notes->inflight, push->entry, &at);
		slots += push->slots;
	}
	return packed_notify(vq, slots);
}

bool noted_publish(struct virtqueue *vq)
{
	struct notes *notes = vq->notes;
	bool due = notes->owed;

	notes->owed = false;
	if (notes->pushed_count == 0)
		return due;
	due |= vq->packed ? publish_packed(vq) : publish_split(vq);
	for (uint32_t i = 0; i < notes->pushed_count; i++)
		vq->head_in_flight[notes->pushed[i].head] = 0;
	notes->pushed_count = 0;
	return due;
}
