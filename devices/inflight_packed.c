/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inflight area of a packed ring.
 *
 * Entries are copies of descriptors, for those of a chain may be overwritten in the ring by used
 * descriptors of others long before it is used itself. They form lists:
 *
 *   free_head ---> e ---> e ---> ... ---> no entry          free
 *   first (inflight, num, last, counter) ---> e ---> last   a chain; its end's next means nothing
 *
 * Taking a chain moves free_head behind its entries, and old_free_head follows when it is whole.
 * Using one puts it before free_head and moves the used position; then the flags of
 * the used descriptor show it to the driver, with one store; then inflight is cleared, and
 * the old_ fields follow. So where old_ and present fields differ, the process died in between,
 * and whether the descriptor at the old used position is used says which of them count.
 *
 * We show one chain at a time. With more in one batch the flags of all but the first would be in
 * the ring before the batch is, and if the process died then, the driver would find them there
 * as soon as it has got past the first.
 *
 * While the queue runs, links and free_head are ours: the area is only written.
 */
#include "inflight_internal.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void store_position(const struct inflight *inflight)
{
	uint64_t word;

	memcpy(&word, &inflight->position, sizeof(word));
	__atomic_store_n((uint64_t *)(void *)&inflight->packed->position, word, __ATOMIC_RELEASE);
}

/* Where it is and where it was are the same. */
static void settle_position(struct inflight *inflight, const struct virtio_queue_state *at)
{
	inflight->position = (struct inflight_packed_position){
		.used_idx = at->used_index,
		.old_used_idx = at->used_index,
		.used_wrap_counter = at->used_wrap,
		.old_used_wrap_counter = at->used_wrap,
	};
	store_position(inflight);
}

static struct inflight_packed_position load_position(const struct inflight_packed *area)
{
	uint64_t word =
		__atomic_load_n((const uint64_t *)(const void *)&area->position, __ATOMIC_ACQUIRE);
	struct inflight_packed_position position;

	memcpy(&position, &word, sizeof(position));
	return position;
}

void inflight_packed_begin(struct inflight *inflight, const struct virtio_queue_state *at)
{
	struct inflight_packed *area = inflight->packed;
	struct inflight_packed_entry *entries = inflight_packed_entries(area);

	memset(entries, 0, inflight->size * sizeof(*entries));
	for (uint32_t i = 0; i < inflight->size; i++) {
		entries[i].next = (uint16_t)(i + 1);
		inflight->links[i].next = (uint16_t)(i + 1);
	}
	area->features = 0;
	area->desc_num = (uint16_t)inflight->size;
	area->free_head = 0;
	area->old_free_head = 0;
	settle_position(inflight, at);
	INFLIGHT_STORE(area->version, INFLIGHT_VERSION);
}

/* Whether the driver still waits for the descriptor: nobody has marked it used. */
static bool unused(const struct vring_packed_desc *desc, bool wrap)
{
	uint16_t flags = le16toh(__atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE));

	return !!(flags & (1u << VRING_PACKED_DESC_F_AVAIL)) == wrap &&
	       !!(flags & (1u << VRING_PACKED_DESC_F_USED)) != wrap;
}

/*
 * Complete what was begun last or undo it, and say in *at where the used position is. Returns
 * false: positions that cannot be.
 */
static bool decide(struct inflight *inflight, const struct vring_packed_desc *ring,
		   uint16_t ring_size, struct virtio_queue_state *at)
{
	struct inflight_packed *area = inflight->packed;
	struct inflight_packed_position position = load_position(area);
	bool wrap = position.used_wrap_counter, old_wrap = position.old_used_wrap_counter;

	if (position.used_idx >= ring_size || position.old_used_idx >= ring_size)
		return false;
	/* Not the index alone: a chain may have as many slots as the ring. */
	if ((position.used_idx != position.old_used_idx || wrap != old_wrap) &&
	    !unused(&ring[position.old_used_idx], old_wrap)) {
		at->used_index = position.used_idx;
		at->used_wrap = wrap;
		inflight->free_head = INFLIGHT_LOAD(area->free_head);
		INFLIGHT_STORE(area->old_free_head, inflight->free_head);
	} else {
		at->used_index = position.old_used_idx;
		at->used_wrap = old_wrap;
		inflight->free_head = INFLIGHT_LOAD(area->old_free_head);
		INFLIGHT_STORE(area->free_head, inflight->free_head);
	}
	settle_position(inflight, at);
	return true;
}

/* Walk the free list. Returns false: it has a loop. */
static bool find_free(struct inflight *inflight, bool *seen)
{
	struct inflight_packed_entry *entries = inflight_packed_entries(inflight->packed);

	for (uint32_t e = inflight->free_head; e < inflight->size; e = inflight->links[e].next) {
		if (seen[e])
			return false;
		seen[e] = true;
		INFLIGHT_STORE(entries[e].inflight, 0);
	}
	return true;
}

/* Walk the chain that begins at first. Returns false: it is none, or shares entries. */
static bool find_chain(struct inflight *inflight, uint16_t first, bool *seen)
{
	struct inflight_packed_entry *entry = &inflight_packed_entries(inflight->packed)[first];
	struct inflight_link *link = &inflight->links[first];
	uint32_t e = first;

	link->num = INFLIGHT_LOAD(entry->num);
	for (uint32_t i = 0; i < link->num; i++) {
		if (e >= inflight->size || seen[e])
			return false;
		seen[e] = true;
		link->last = (uint16_t)e;
		e = inflight->links[e].next;
	}
	return link->num > 0 && link->last == INFLIGHT_LOAD(entry->last);
}

/*
 * The chains that are left; what is not free must be part of one. Returns the slots of all, or
 * UINT32_MAX: it cannot be.
 */
static uint32_t find_left(struct inflight *inflight, bool *seen)
{
	struct inflight_packed_entry *entries = inflight_packed_entries(inflight->packed);
	uint32_t slots = 0;

	for (uint32_t e = 0; e < inflight->size; e++) {
		if (seen[e] || !INFLIGHT_LOAD(entries[e].inflight))
			continue;
		if (!find_chain(inflight, (uint16_t)e, seen))
			return UINT32_MAX;
		slots += inflight->links[e].num;
		inflight->left[inflight->left_count++] =
			(struct inflight_left){INFLIGHT_LOAD(entries[e].counter), (uint16_t)e};
	}
	for (uint32_t e = 0; e < inflight->size; e++)
		if (!seen[e])
			return UINT32_MAX;
	inflight_sort(inflight);
	return slots;
}

static int recover(struct inflight *inflight, const struct virtio_queue_setup *setup,
		   const struct vring_packed_desc *ring, struct virtio_queue_state *at)
{
	struct inflight_packed_entry *entries = inflight_packed_entries(inflight->packed);
	bool *seen = calloc(inflight->size, sizeof(*seen));
	uint32_t slots = UINT32_MAX;

	inflight->left = calloc(inflight->size, sizeof(*inflight->left));
	if (!seen || !inflight->left) {
		free(seen);
		return -ENOMEM;
	}
	for (uint32_t e = 0; e < inflight->size; e++)
		inflight->links[e].next = INFLIGHT_LOAD(entries[e].next);
	if (decide(inflight, ring, setup->size, at) && find_free(inflight, seen))
		slots = find_left(inflight, seen);
	free(seen);
	if (slots > setup->size)
		return -EINVAL;
	/* Chains are taken in the order of the ring: so many slots lie behind. */
	slots += at->used_index;
	at->avail_wrap = slots < setup->size ? at->used_wrap : !at->used_wrap;
	at->avail_index = (uint16_t)(slots < setup->size ? slots : slots - setup->size);
	return 0;
}

int inflight_packed_open(struct inflight *inflight, const struct virtio_queue_setup *setup,
			 const struct vring_packed_desc *ring, struct virtio_queue_state *at)
{
	struct inflight_packed *area = setup->inflight;

	inflight->packed = area;
	inflight->size = setup->size;
	if (inflight->begun)
		inflight->size = INFLIGHT_LOAD(area->desc_num);
	/* A larger area than the queue needs may be one for the largest queue. */
	if (inflight->size < setup->size ||
	    inflight_area_size(true, (uint16_t)inflight->size) > setup->inflight_size)
		return -EINVAL;
	inflight->links = calloc(inflight->size, sizeof(*inflight->links));
	if (!inflight->links)
		return -ENOMEM;
	return inflight->begun ? recover(inflight, setup, ring, at) : 0;
}

static void copy(struct inflight_packed_entry *entry, const struct vring_packed_desc *desc)
{
	entry->addr = __atomic_load_n(&desc->addr, __ATOMIC_RELAXED);
	entry->len = __atomic_load_n(&desc->len, __ATOMIC_RELAXED);
	entry->flags = __atomic_load_n(&desc->flags, __ATOMIC_RELAXED);
	entry->id = __atomic_load_n(&desc->id, __ATOMIC_RELAXED);
}

uint16_t inflight_packed_take(struct inflight *inflight, const struct vring_packed_desc *ring,
			      uint32_t ring_size, uint32_t position, uint16_t count)
{
	struct inflight_packed_entry *entries = inflight_packed_entries(inflight->packed);
	uint16_t first = inflight->free_head, e = first;
	struct inflight_link *link = &inflight->links[first];

	entries[first].num = count;
	INFLIGHT_STORE(entries[first].counter, inflight->counter++);
	INFLIGHT_STORE(entries[first].inflight, 1);
	for (uint16_t i = 0; i < count; i++) {
		copy(&entries[e], &ring[position]);
		link->last = e;
		e = inflight->links[e].next;
		position = position + 1 < ring_size ? position + 1 : 0;
	}
	link->num = count;
	inflight->free_head = e;
	INFLIGHT_STORE(entries[first].last, link->last);
	INFLIGHT_STORE(inflight->packed->free_head, e);
	INFLIGHT_STORE(inflight->packed->old_free_head, e);
	return first;
}

uint16_t inflight_packed_load(const struct inflight *inflight, uint16_t entry,
			      struct vring_packed_desc *desc)
{
	const struct inflight_packed_entry *from =
		&inflight_packed_entries(inflight->packed)[entry];

	desc->addr = __atomic_load_n(&from->addr, __ATOMIC_RELAXED);
	desc->len = __atomic_load_n(&from->len, __ATOMIC_RELAXED);
	desc->flags = __atomic_load_n(&from->flags, __ATOMIC_RELAXED);
	desc->id = __atomic_load_n(&from->id, __ATOMIC_RELAXED);
	return inflight->links[entry].next;
}

void inflight_packed_done(struct inflight *inflight, uint16_t entry,
			  const struct virtio_queue_state *at)
{
	struct inflight_packed *area = inflight->packed;
	uint16_t last = inflight->links[entry].last;

	inflight->links[last].next = inflight->free_head;
	INFLIGHT_STORE(inflight_packed_entries(area)[last].next, inflight->free_head);
	inflight->free_head = entry;
	INFLIGHT_STORE(area->free_head, entry);
	inflight->position.used_idx = at->used_index;
	inflight->position.used_wrap_counter = at->used_wrap;
	store_position(inflight);
}

void inflight_packed_settle(struct inflight *inflight, uint16_t entry,
			    const struct virtio_queue_state *at)
{
	struct inflight_packed *area = inflight->packed;

	INFLIGHT_STORE(inflight_packed_entries(area)[entry].inflight, 0);
	INFLIGHT_STORE(area->old_free_head, entry);
	settle_position(inflight, at);
}
