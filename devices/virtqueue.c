/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the ring formats have in common: the pool of chains, translation of
 * buffers, changes of the memory map.
 *
 * Chains. There is one slot for every head that can be in flight. Free slots
 * form a stack, so that a device that completes at once uses the same, warm one
 * for ever; with IN_ORDER they form a queue (in_order.c). Segments stand in the slot; when they
 * do not fit, they move to a large block, of which there are few.
 *
 * Changes of the map. A queue works with one guest_map and looks, when it takes
 * chains, whether a newer one exists. Chains that are in flight at that moment
 * keep the old map: each gets a reference of its own, which its push gives back.
 * Without changes no reference is touched.
 */
#include "virtqueue.h"
#include "virtqueue_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct virtqueue *virtqueue_create(struct virtio_device *dev)
{
	struct virtqueue *vq = calloc(1, sizeof(*vq));

	if (vq)
		vq->dev = dev;
	return vq;
}

/* Drop map and memory; the positions stay, and so do the blocks, for the next start. */
static void release(struct virtqueue *vq)
{
	if (vq->chains && vq->in_flight > 0)
		for (uint32_t i = 0; i < vq->size; i++)
			guest_map_release(vq->chains[i].old_map);
	guest_map_release(vq->map);
	free(vq->chains);
	free(vq->head_in_flight);
	free(vq->block_next);
	noted_stop(vq);
	vq->map = NULL;
	vq->chains = NULL;
	vq->free_chain = NULL;
	vq->head_in_flight = NULL;
	vq->block_next = NULL;
	vq->in_flight = 0;
	vq->ring = RING_NONE;
	vq->started = false;
}

void virtqueue_destroy(struct virtqueue *vq)
{
	if (!vq)
		return;
	release(vq);
	free(vq->blocks);
	free(vq);
}

/*
 * Not calloc: what it zeroes, up to 2 MiB, would make a start a hundred times as dear. Pages that
 * no request uses cost nothing.
 */
static bool reserve_blocks(struct virtqueue *vq)
{
	size_t segments = (size_t)vq->block_count * vq->block_segments;

	if (vq->block_room >= segments)
		return true;
	free(vq->blocks);
	vq->blocks = malloc(segments * sizeof(*vq->blocks));
	vq->block_room = vq->blocks ? segments : 0;
	return vq->blocks;
}

/* A chain may have twice as many segments as descriptors: each may cross one region border. */
static int allocate(struct virtqueue *vq)
{
	uint16_t size = vq->size;

	vq->chain_max = size > VIRTQUEUE_CHAIN_MAX ? size : VIRTQUEUE_CHAIN_MAX;
	vq->block_segments = 2 * vq->chain_max;
	vq->block_count = size < VIRTQUEUE_BLOCKS_MAX ? size : VIRTQUEUE_BLOCKS_MAX;
	vq->chains = calloc(size, sizeof(*vq->chains));
	/* A buffer id of a packed ring is any 16 bits (2.8.6). */
	vq->head_in_flight = calloc(vq->packed ? UINT16_MAX + 1 : size, 1);
	vq->block_next = calloc(vq->block_count, sizeof(*vq->block_next));
	return vq->chains && vq->head_in_flight && vq->block_next && reserve_blocks(vq) ? 0
											: -ENOMEM;
}

static void init_pools(struct virtqueue *vq)
{
	for (uint16_t i = 0; i < vq->size; i++) {
		vq->chains[i].slot = i;
		vq->chains[i].block = VIRTQUEUE_NO_BLOCK;
		vq->chains[i].iov = vq->chains[i].inline_iov;
		vq->chains[i].next_free = i + 1 < vq->size ? &vq->chains[i + 1] : NULL;
	}
	for (uint16_t i = 0; i < vq->block_count; i++)
		vq->block_next[i] = i + 1 < vq->block_count ? i + 1 : VIRTQUEUE_NO_BLOCK;
	vq->free_chain = vq->chains;
	vq->free_block = 0;
	in_order_start(vq);
}

static enum ring_kind kind_of(const struct virtqueue *vq)
{
	if (vq->notes)
		return RING_NOTED;
	if (vq->in_order)
		return RING_IN_ORDER;
	return vq->packed ? RING_PACKED : RING_SPLIT;
}

int virtqueue_start(struct virtqueue *vq, const struct virtio_queue_setup *setup, uint64_t features)
{
	int error;

	release(vq);
	vq->setup = *setup;
	vq->size = setup->size;
	vq->fault = VIRTQUEUE_OK;
	vq->starved = false;
	vq->again = false;
	vq->packed = features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	vq->in_order = features & VIRTIO_FEATURE(VIRTIO_F_IN_ORDER);
	vq->event_idx = features & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX);
	vq->indirect = features & VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC);
	if (vq->size == 0 || vq->size > VIRTQUEUE_SIZE_MAX)
		return -EINVAL;
	memset(vq->cache, 0, sizeof(vq->cache));
	vq->memory = vq->dev->memory;
	/* Generation first: a change in between is then noticed at the next look. */
	vq->generation = guest_memory_generation(vq->memory);
	vq->map = guest_memory_acquire(vq->memory);
	error = allocate(vq);
	if (!error)
		error = vq->packed ? packed_start(vq) : split_start(vq);
	if (error) {
		release(vq);
		return error;
	}
	init_pools(vq);
	vq->ring = kind_of(vq);
	vq->started = true;
	return 0;
}

bool virtqueue_stop(struct virtqueue *vq, struct virtio_queue_state *state)
{
	bool due = virtqueue_publish(vq);

	if (state)
		*state = (struct virtio_queue_state){
			.avail_index = vq->avail_next,
			.used_index = vq->used_next,
			.avail_wrap = !vq->packed || vq->avail_wrap,
			.used_wrap = !vq->packed || vq->used_wrap,
		};
	release(vq);
	return due;
}

bool virtqueue_started(const struct virtqueue *vq)
{
	return vq->started;
}

uint16_t virtqueue_in_flight(const struct virtqueue *vq)
{
	return vq->in_flight;
}

enum virtqueue_fault virtqueue_broken(const struct virtqueue *vq)
{
	return vq->fault;
}

bool virtqueue_break(struct virtqueue *vq, enum virtqueue_fault fault)
{
	if (!vq->fault)
		vq->fault = fault;
	return false;
}

/* The chains in flight that have the map of the queue keep it from here on; done ones need none. */
static void keep_map(struct virtqueue *vq)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < vq->size; i++)
		if (!vq->chains[i].old_map && !vq->chains[i].done) {
			vq->chains[i].old_map = vq->map;
			count++;
		}
	for (struct virtqueue_chain *chain = vq->free_chain; chain; chain = chain->next_free) {
		chain->old_map = NULL;
		count--;
	}
	guest_map_ref(vq->map, count);
}

static void newest_map(struct virtqueue *vq)
{
	struct guest_map *old = vq->map;

	/* Generation first: a change in between is then noticed at the next look. */
	vq->generation = guest_memory_generation(vq->memory);
	vq->map = guest_memory_acquire(vq->memory);
	memset(vq->cache, 0, sizeof(vq->cache));
	guest_map_release(old);
}

static bool map_areas(struct virtqueue *vq)
{
	return vq->packed ? packed_map(vq) : split_map(vq);
}

/* Ask the transport for the areas that are not there. */
static void ask_for_ring(struct virtqueue *vq)
{
	const struct virtio_transport_ops *transport = vq->dev->transport_ops;
	const struct virtio_queue_setup *s = &vq->setup;
	uint64_t n = vq->size;
	const struct {
		uint64_t gpa, size;
		bool write;
	} areas[] = {
		{s->desc_gpa, 16 * n, vq->packed},
		{s->driver_gpa, vq->packed ? 4 : 6 + 2 * n, false},
		{s->device_gpa, vq->packed ? 4 : 6 + 8 * n, true},
	};

	if (!transport || !transport->memory_missing)
		return;
	for (unsigned i = 0; i < 3; i++)
		if (!guest_map_contiguous(vq->map, areas[i].gpa, areas[i].size,
					  areas[i].write ? GUEST_WRITE : GUEST_READ))
			transport->memory_missing(vq->dev->transport, areas[i].gpa, areas[i].size,
						  areas[i].write);
}

bool virtqueue_map_ring(struct virtqueue *vq)
{
	if (map_areas(vq))
		return true;
	ask_for_ring(vq);
	if (vq->generation == guest_memory_generation(vq->memory))
		return false;
	newest_map(vq);
	return map_areas(vq);
}

/* The memory map changed: work with the new one from here on. */
static bool refresh(struct virtqueue *vq)
{
	if (vq->in_flight > 0)
		keep_map(vq);
	newest_map(vq);
	if (virtqueue_map_ring(vq))
		return true;
	vq->ring = RING_NONE;
	return virtqueue_break(vq, VIRTQUEUE_FAULT_RING_UNMAPPED);
}

/* A queue that can take nothing still lets go of memory that is gone. */
static __attribute__((noinline, cold)) struct virtqueue_chain *follow_map(struct virtqueue *vq)
{
	if (!vq->started || vq->generation == guest_memory_generation(vq->memory))
		return NULL;
	if (vq->ring != RING_NONE) {
		refresh(vq);
	} else {
		keep_map(vq);
		newest_map(vq);
	}
	return NULL;
}

/*
 * Memory that is not there: it may be a matter of asking. The map is then another
 * one, and the chain is taken again from its start, so that none of it was
 * translated with the old map. Always returns false.
 */
static bool missing(struct virtqueue *vq, uint64_t gpa, uint64_t size, bool write)
{
	const struct virtio_transport_ops *transport = vq->dev->transport_ops;

	if (transport && transport->memory_missing &&
	    transport->memory_missing(vq->dev->transport, gpa, size, write) == 0)
		vq->again = vq->generation != guest_memory_generation(vq->memory);
	return !vq->again && virtqueue_break(vq, VIRTQUEUE_FAULT_UNMAPPED);
}

/* Fill the cache with the region of gpa. */
static bool load_cache(struct virtqueue *vq, uint64_t gpa, uint64_t size, bool write)
{
	enum guest_access access = write ? GUEST_WRITE : GUEST_READ;
	const struct guest_region *region = guest_map_find(vq->map, gpa, access);

	if (!region)
		return missing(vq, gpa, size, write);
	vq->cache[write] = (struct region_cache){region->gpa, region->size, region->hva};
	return true;
}

/* The segments of a chain where they may be written. */
static struct iovec *segments(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	if (chain->block == VIRTQUEUE_NO_BLOCK)
		return chain->inline_iov;
	return vq->blocks + (size_t)chain->block * vq->block_segments;
}

/* Room for one more segment: the slot first, then a large block, to which all are moved. */
static bool make_room(struct virtqueue *vq, struct chain_builder *builder)
{
	struct virtqueue_chain *chain = builder->chain;
	bool large = chain->block != VIRTQUEUE_NO_BLOCK;

	if (builder->count < (large ? vq->block_segments : VIRTQUEUE_INLINE_SEGMENTS))
		return true;
	if (large)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_CHAIN_TOO_LONG);
	if (vq->free_block == VIRTQUEUE_NO_BLOCK) {
		vq->starved = true;
		return false;
	}
	chain->block = vq->free_block;
	vq->free_block = vq->block_next[chain->block];
	chain->iov = segments(vq, chain);
	memcpy(segments(vq, chain), chain->inline_iov, sizeof(chain->inline_iov));
	return true;
}

/* more: it continues the buffer before it, and may lie right behind it here too. */
static bool add_segment(struct virtqueue *vq, struct chain_builder *builder, uint8_t *hva,
			uint64_t size, bool more)
{
	struct iovec *last = more ? &segments(vq, builder->chain)[builder->count - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == hva) {
		last->iov_len += size;
		return true;
	}
	if (!make_room(vq, builder))
		return false;
	segments(vq, builder->chain)[builder->count++] =
		(struct iovec){.iov_base = hva, .iov_len = size};
	return true;
}

bool virtqueue_append(struct virtqueue *vq, struct chain_builder *builder, uint64_t gpa,
		      uint32_t len, uint16_t flags)
{
	const struct region_cache *cache;
	uint64_t size = len;

	if ((flags & VRING_DESC_F_WRITE) != builder->direction) {
		if (builder->direction)
			return virtqueue_break(vq, VIRTQUEUE_FAULT_ORDER);
		virtqueue_turn(vq, builder);
	}
	builder->size += size;
	cache = builder->cache;
	/* An empty buffer has no bytes, so its address means nothing. */
	if (size > 0 && size > UINT64_MAX - gpa)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_UNMAPPED);
	while (size > 0) {
		uint64_t offset = gpa - cache->gpa, piece;

		if (offset >= cache->size) {
			if (!load_cache(vq, gpa, size, builder->direction != 0))
				return false;
			offset = gpa - cache->gpa;
		}
		piece = cache->size - offset < size ? cache->size - offset : size;
		if (!add_segment(vq, builder, cache->hva + offset, piece, size < len))
			return false;
		gpa += piece;
		size -= piece;
	}
	return true;
}

const struct vring_desc *virtqueue_table(struct virtqueue *vq, uint64_t gpa, uint64_t size)
{
	const void *table = guest_map_contiguous(vq->map, gpa, size, GUEST_READ);

	return (uintptr_t)table % sizeof(uint64_t) == 0 ? table : NULL;
}

bool virtqueue_readable(struct virtqueue *vq, uint64_t gpa, uint64_t size)
{
	const struct guest_region *region;

	if (size > UINT64_MAX - gpa)
		return false;
	for (uint64_t end = gpa + size; gpa < end; gpa = region->gpa + region->size) {
		region = guest_map_find(vq->map, gpa, GUEST_READ);
		if (!region)
			return false;
	}
	return true;
}

bool virtqueue_read(struct virtqueue *vq, uint64_t gpa, void *buf, uint32_t size)
{
	const struct region_cache *cache = &vq->cache[0];
	uint8_t *to = buf;

	while (size > 0) {
		uint64_t offset = gpa - cache->gpa, piece;

		if (offset >= cache->size) {
			if (!load_cache(vq, gpa, size, false))
				return false;
			offset = gpa - cache->gpa;
		}
		piece = cache->size - offset < size ? cache->size - offset : size;
		memcpy(to, cache->hva + offset, piece);
		to += piece;
		gpa += piece;
		size -= (uint32_t)piece;
	}
	return true;
}

static void give_block_back(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	if (chain->block == VIRTQUEUE_NO_BLOCK)
		return;
	vq->starved = false;
	vq->block_next[chain->block] = vq->free_block;
	vq->free_block = chain->block;
	chain->block = VIRTQUEUE_NO_BLOCK;
	chain->iov = chain->inline_iov;
}

static inline struct virtqueue_chain *take(struct virtqueue *vq)
{
	return vq->packed ? packed_pop(vq) : split_pop(vq);
}

/* Take a chain with the newest map, as long as a transport adds what is missing. */
static __attribute__((noinline, cold)) struct virtqueue_chain *pop_refreshed(struct virtqueue *vq)
{
	struct virtqueue_chain *chain = NULL;

	vq->refreshing = true;
	do {
		vq->again = false;
		if (!refresh(vq))
			break;
		chain = noted_left(vq) > 0 ? noted_again(vq) : take(vq);
	} while (!chain && vq->again);
	vq->refreshing = false;
	return chain;
}

struct virtqueue_chain *virtqueue_abandon(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	give_block_back(vq, chain);
	/* Within pop_refreshed, its loop takes the chain again. */
	return vq->again && !vq->refreshing ? pop_refreshed(vq) : NULL;
}

static __attribute__((noinline)) struct virtqueue_chain *pop_noted(struct virtqueue *vq)
{
	uint32_t position = vq->avail_next;
	struct virtqueue_chain *chain;

	if (!vq->free_chain || vq->fault)
		return follow_map(vq);
	if (vq->generation != guest_memory_generation(vq->memory))
		chain = pop_refreshed(vq);
	else
		chain = noted_left(vq) > 0 ? noted_again(vq) : take(vq);
	if (chain)
		noted_take(vq, chain, position);
	return chain;
}

struct virtqueue_chain *virtqueue_pop(struct virtqueue *vq)
{
	if (vq->notes)
		return pop_noted(vq);
	/* A queue that is not started has no chains. */
	if (!vq->free_chain || vq->fault)
		return follow_map(vq);
	if (vq->generation != guest_memory_generation(vq->memory))
		return pop_refreshed(vq);
	return take(vq);
}

/* The device wrote some of the writable bytes; which, only it knows: log them all. */
static void log_chain(struct virtqueue *vq, const struct virtqueue_chain *chain,
		      const struct guest_map *map)
{
	const struct iovec *iov = chain->iov + chain->readable_count;

	for (uint32_t i = 0; i < chain->writable_count; i++)
		guest_memory_mark_dirty_hva(vq->memory, map, iov[i].iov_base, iov[i].iov_len);
}

/* What few pushes have to do. */
static __attribute__((noinline, cold)) void push_rest(struct virtqueue *vq,
						      struct virtqueue_chain *chain)
{
	if (vq->memory->dirty_log)
		log_chain(vq, chain, chain->old_map ? chain->old_map : vq->map);
	guest_map_release(chain->old_map);
	chain->old_map = NULL;
	give_block_back(vq, chain);
}

static inline void let_go(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	if (chain->old_map || chain->block != VIRTQUEUE_NO_BLOCK || vq->memory->dirty_log)
		push_rest(vq, chain);
}

/* The chain is answered, or cannot be any more: its slot and its head are free. */
static inline void take_back(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	vq->head_in_flight[chain->head] = 0;
	chain->next_free = vq->free_chain;
	vq->free_chain = chain;
	vq->in_flight--;
	let_go(vq, chain);
}

/* IN_ORDER, an inflight area, or there is no ring to answer in. */
static __attribute__((noinline)) void push_apart(struct virtqueue *vq,
						 struct virtqueue_chain *chain, uint32_t written)
{
	if (!vq->in_order) {
		take_back(vq, chain);
		if (vq->ring == RING_NOTED)
			noted_push(vq, chain, written);
		return;
	}
	let_go(vq, chain);
	in_order_push(vq, chain, written);
}

/* Apart from virtqueue_push, which then needs no stack. */
static __attribute__((noinline)) void
push_not_split(struct virtqueue *vq, struct virtqueue_chain *chain, uint32_t written)
{
	if (vq->ring == RING_PACKED) {
		packed_push(vq, chain, written);
		take_back(vq, chain);
	} else {
		push_apart(vq, chain, written);
	}
}

void virtqueue_push(struct virtqueue *vq, struct virtqueue_chain *chain, uint32_t written)
{
	if (vq->ring == RING_SPLIT) {
		split_push(vq, chain->head, written);
		take_back(vq, chain);
	} else {
		push_not_split(vq, chain, written);
	}
}

bool virtqueue_publish(struct virtqueue *vq)
{
	/* A broken queue takes nothing more, but what it took before is still answered. */
	if (vq->ring == RING_SPLIT)
		return split_publish(vq);
	if (vq->ring == RING_PACKED)
		return packed_publish(vq);
	if (vq->ring == RING_NOTED)
		return noted_publish(vq);
	return vq->ring == RING_IN_ORDER && in_order_publish(vq);
}

bool virtqueue_enable_kicks(struct virtqueue *vq)
{
	if (vq->ring == RING_NONE || vq->fault)
		return false;
	return vq->packed ? packed_enable_kicks(vq) : split_enable_kicks(vq);
}
