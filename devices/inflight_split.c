/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inflight area of a split ring: what an earlier queue left in it.
 *
 *   entry of each head      inflight, counter      set when it is taken
 *   last_batch_head, next   the heads that were used, youngest first
 *   used_idx                follows the index of the used ring when all of a batch are cleared
 *
 * A batch is shown by one store, that of the used ring's index. A process that died before it has
 * used nothing of the batch; one that died after it, all, though inflight may still say
 * otherwise: the difference of the indices says how many.
 */
#include "inflight_internal.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* version comes last: a process that dies in here leaves an area that is still fresh. */
void inflight_split_begin(struct inflight *inflight, const struct virtio_queue_state *at)
{
	struct inflight_split *area = inflight->split;

	memset(inflight_split_entries(area), 0,
	       inflight->size * sizeof(struct inflight_split_entry));
	area->features = 0;
	area->desc_num = (uint16_t)inflight->size;
	area->last_batch_head = 0;
	area->used_idx = at->used_index;
	INFLIGHT_STORE(area->version, INFLIGHT_VERSION);
}

/* Complete the last batch, if it was shown. Returns false: it cannot have been like that. */
static bool finish_batch(struct inflight_split *area, uint16_t size, uint16_t used_idx)
{
	struct inflight_split_entry *entries = inflight_split_entries(area);
	uint16_t left = used_idx - INFLIGHT_LOAD(area->used_idx);
	uint16_t head = INFLIGHT_LOAD(area->last_batch_head);

	if (left > size)
		return false;
	for (; left > 0; left--) {
		if (head >= size)
			return false;
		INFLIGHT_STORE(entries[head].inflight, 0);
		head = INFLIGHT_LOAD(entries[head].next);
	}
	INFLIGHT_STORE(area->used_idx, used_idx);
	return true;
}

static void find_left(struct inflight *inflight)
{
	struct inflight_split_entry *entries = inflight_split_entries(inflight->split);

	for (uint32_t head = 0; head < inflight->size; head++)
		if (INFLIGHT_LOAD(entries[head].inflight))
			inflight->left[inflight->left_count++] = (struct inflight_left){
				INFLIGHT_LOAD(entries[head].counter), (uint16_t)head};
	inflight_sort(inflight);
}

int inflight_split_open(struct inflight *inflight, const struct virtio_queue_setup *setup,
			const struct vring_used *used, struct virtio_queue_state *at)
{
	struct inflight_split *area = setup->inflight;
	uint16_t used_idx = le16toh(__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE));

	inflight->split = area;
	inflight->size = setup->size;
	if (!inflight->begun)
		return 0;
	if (INFLIGHT_LOAD(area->desc_num) < setup->size ||
	    !finish_batch(area, setup->size, used_idx))
		return -EINVAL;
	inflight->left = calloc(setup->size, sizeof(*inflight->left));
	if (!inflight->left)
		return -ENOMEM;
	inflight->last_batch_head = INFLIGHT_LOAD(area->last_batch_head);
	find_left(inflight);
	/* Chains are taken in the order of the available ring: so many of them lie behind. */
	at->used_index = used_idx;
	at->avail_index = used_idx + (uint16_t)inflight->left_count;
	return 0;
}
