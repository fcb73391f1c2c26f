/* SPDX-License-Identifier: BSD-3-Clause */
#include "inflight.h"

#include <errno.h>
#include <stdlib.h>

#include "inflight_internal.h"

#define AREA_ALIGNMENT 64u

/* The protocol fixes where each field is. */
_Static_assert(sizeof(struct inflight_split) == 16, "entries follow at 16");
_Static_assert(sizeof(struct inflight_split_entry) == 16, "a split entry is 16 bytes");
_Static_assert(sizeof(struct inflight_packed) == 32, "entries follow at 32");
_Static_assert(sizeof(struct inflight_packed_entry) == 32, "a packed entry is 32 bytes");
_Static_assert(offsetof(struct inflight_packed, position) == 16, "used_idx is at 16");
_Static_assert(offsetof(struct inflight_split, version) ==
		       offsetof(struct inflight_packed, version),
	       "the version is where it is in both");

size_t inflight_area_size(bool packed, uint16_t queue_size)
{
	size_t size = packed ? sizeof(struct inflight_packed) +
				       queue_size * sizeof(struct inflight_packed_entry)
			     : sizeof(struct inflight_split) +
				       queue_size * sizeof(struct inflight_split_entry);

	return (size + AREA_ALIGNMENT - 1) & ~(size_t)(AREA_ALIGNMENT - 1);
}

void inflight_forget(void *area)
{
	struct inflight_split *head = area;

	INFLIGHT_STORE(head->version, 0);
}

/* Of an enemy's area, or a fresh one, any answer will do. */
static bool has_left(const void *area, size_t size, bool packed)
{
	size_t head = packed ? sizeof(struct inflight_packed) : sizeof(struct inflight_split);
	size_t entry =
		packed ? sizeof(struct inflight_packed_entry) : sizeof(struct inflight_split_entry);
	const uint8_t *inflight = area;

	_Static_assert(offsetof(struct inflight_split_entry, inflight) == 0 &&
			       offsetof(struct inflight_packed_entry, inflight) == 0,
		       "an entry begins with the byte that is looked at");
	for (size_t at = head; at + entry <= size; at += entry)
		if (INFLIGHT_LOAD(inflight[at]))
			return true;
	return false;
}

void inflight_settle(void *area, size_t size, bool packed)
{
	if (!has_left(area, size, packed))
		inflight_forget(area);
}

static int older_first(const void *a, const void *b)
{
	const struct inflight_left *x = a, *y = b;

	if (x->counter != y->counter)
		return x->counter < y->counter ? -1 : 1;
	return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* Chains are taken again in their old order, and new ones are counted behind them. */
void inflight_sort(struct inflight *inflight)
{
	if (inflight->left_count == 0)
		return;
	qsort(inflight->left, inflight->left_count, sizeof(*inflight->left), older_first);
	inflight->counter = inflight->left[inflight->left_count - 1].counter + 1;
}

int inflight_open(struct inflight *inflight, const struct virtio_queue_setup *setup, bool packed,
		  const void *ring, struct virtio_queue_state *at)
{
	const struct inflight_split *head = setup->inflight;
	uint16_t version;
	int error;

	*inflight = (struct inflight){0};
	if ((uintptr_t)head % sizeof(uint64_t) != 0 ||
	    setup->inflight_size < inflight_area_size(packed, setup->size))
		return -EINVAL;
	version = INFLIGHT_LOAD(head->version);
	if (version > INFLIGHT_VERSION || (version > 0 && INFLIGHT_LOAD(head->features) != 0))
		return -EINVAL;
	inflight->begun = version > 0;
	error = packed ? inflight_packed_open(inflight, setup, ring, at)
		       : inflight_split_open(inflight, setup, ring, at);
	if (error)
		inflight_close(inflight);
	return error;
}

void inflight_begin(struct inflight *inflight, bool packed, const struct virtio_queue_state *at)
{
	if (inflight->begun)
		return;
	if (packed)
		inflight_packed_begin(inflight, at);
	else
		inflight_split_begin(inflight, at);
}

void inflight_close(struct inflight *inflight)
{
	free(inflight->left);
	free(inflight->links);
	*inflight = (struct inflight){0};
}
