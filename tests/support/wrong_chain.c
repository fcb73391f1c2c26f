/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include "wrong_chain.h"

#define CHAINS_MAX 64u
#define REFUSED    1

#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1u << VRING_PACKED_DESC_F_USED)

static bool has(const struct wrong_wrap *wrap, unsigned bit)
{
	return wrap->features & VIRTIO_FEATURE(bit);
}

struct wrong_desc wrong_desc_get(const struct wrong_chain *chain, const uint8_t *at)
{
	struct vring_packed_desc raw; /* the fields of a split one, but for the last two */
	uint16_t third, fourth;

	memcpy(&raw, at, sizeof(raw));
	third = le16toh(raw.id);
	fourth = le16toh(raw.flags);
	return (struct wrong_desc){
		.addr = le64toh(raw.addr),
		.len = le32toh(raw.len),
		.flags = chain->packed ? fourth : third,
		.link = chain->packed ? third : fourth,
	};
}

void wrong_desc_put(const struct wrong_chain *chain, uint8_t *at, const struct wrong_desc *desc)
{
	struct vring_packed_desc raw = {
		.addr = htole64(desc->addr),
		.len = htole32(desc->len),
		.id = htole16(chain->packed ? desc->link : desc->flags),
		.flags = htole16(chain->packed ? desc->flags : desc->link),
	};

	memcpy(at, &raw, sizeof(raw));
}

struct wrong_desc wrong_chain_last(const struct wrong_chain *chain)
{
	return wrong_desc_get(chain, chain->ring[chain->ring_count - 1]);
}

void wrong_chain_refuse(struct wrong_chain *chain)
{
	if (chain->status)
		*chain->status = REFUSED;
}

static void take(struct wrong_chain *chain, uint8_t *at, const struct wrong_desc *desc)
{
	struct wrong_element *element = &chain->elements[chain->count++];

	*element = (struct wrong_element){
		.desc = at,
		.bytes = desc->len ? wrong_wrap_at(chain->wrap, desc->addr, desc->len) : NULL,
		.size = desc->len,
		.write = desc->flags & VRING_DESC_F_WRITE,
	};
	chain->readable += !element->write;
	if (element->write && element->bytes)
		chain->status = element->bytes + element->size - 1;
}

/* The entries that the chain goes through. What lies outside of the table is taken too. */
static void walk_table(struct wrong_chain *chain, const struct wrong_desc *pointer)
{
	struct wrong_desc desc = {.flags = VRING_DESC_F_NEXT};
	uint32_t entry = 0;

	chain->table = wrong_wrap_at(chain->wrap, pointer->addr, pointer->len);
	chain->entries = pointer->len / 16;
	while (chain->table && chain->count < WRONG_CHAIN_ELEMENTS &&
	       (chain->packed ? entry < chain->entries : desc.flags & VRING_DESC_F_NEXT)) {
		desc = wrong_desc_get(chain, chain->table + 16 * (size_t)entry);
		take(chain, chain->table + 16 * (size_t)entry, &desc);
		entry = chain->packed ? entry + 1 : desc.link;
	}
}

/* The descriptors in the ring, from this one on. */
static void walk_ring(struct wrong_chain *chain, uint32_t at)
{
	const struct virtio_queue_setup *setup = &chain->wrap->setups[chain->queue];
	uint8_t *ring = wrong_wrap_at(chain->wrap, setup->desc_gpa, 16 * (uint64_t)setup->size);
	struct wrong_desc desc;

	do {
		desc = wrong_desc_get(chain, ring + 16 * (size_t)at);
		chain->ring[chain->ring_count++] = ring + 16 * (size_t)at;
		if (desc.flags & VRING_DESC_F_INDIRECT)
			walk_table(chain, &desc);
		else
			take(chain, ring + 16 * (size_t)at, &desc);
		at = chain->packed ? (at + 1) % setup->size : desc.link;
	} while (desc.flags & VRING_DESC_F_NEXT && at < setup->size &&
		 chain->count < WRONG_CHAIN_ELEMENTS);
}

static struct wrong_chain *chain_new(struct wrong_wrap *wrap, uint16_t index,
				     struct wrong_chain *chain)
{
	memset(chain, 0, sizeof(*chain));
	chain->wrap = wrap;
	chain->queue = index;
	chain->packed = has(wrap, VIRTIO_F_RING_PACKED);
	return chain;
}

static unsigned gather_split(struct wrong_wrap *wrap, uint16_t index, struct wrong_chain *chains,
			     unsigned max)
{
	const struct virtio_queue_setup *setup = &wrap->setups[index];
	const struct vring_avail *avail =
		wrong_wrap_at(wrap, setup->driver_gpa, 6 + 2 * (uint64_t)setup->size);
	struct vring_used *used =
		wrong_wrap_at(wrap, setup->device_gpa, 6 + 8 * (uint64_t)setup->size);
	uint16_t at = le16toh(used->idx), end = le16toh(avail->idx);
	unsigned count = 0;

	for (; at != end && count < max; at++, count++) {
		struct wrong_chain *chain = chain_new(wrap, index, &chains[count]);

		walk_ring(chain, le16toh(avail->ring[at % setup->size]));
		chain->used = (uint8_t *)&used->ring[at % setup->size];
	}
	return count;
}

/* The device uses everything at once: what waits stands where it has stopped. */
static unsigned gather_packed(struct wrong_wrap *wrap, uint16_t index, struct wrong_chain *chains,
			      unsigned max)
{
	uint32_t size = wrap->setups[index].size, at = wrap->packed_next[index];
	uint8_t *ring = wrong_wrap_at(wrap, wrap->setups[index].desc_gpa, 16 * (uint64_t)size);
	unsigned count = 0;

	for (; count < max; count++) {
		struct wrong_chain *chain = chain_new(wrap, index, &chains[count]);
		uint16_t flags = wrong_desc_get(chain, ring + 16 * (size_t)(at % size)).flags;
		bool wrap_counter = at < size;

		if (!!(flags & F_AVAIL) != wrap_counter || !!(flags & F_USED) == wrap_counter)
			break;
		walk_ring(chain, at % size);
		chain->used = chain->ring[0];
		at = (at + chain->ring_count) % (2 * size);
	}
	return count;
}

unsigned wrong_chain_gather(struct wrong_wrap *wrap, uint16_t index, struct wrong_chain *chains,
			    unsigned max)
{
	if (index >= WRONG_WRAP_QUEUES || !wrap->started[index] || has(wrap, VIRTIO_F_IN_ORDER))
		return 0;
	return has(wrap, VIRTIO_F_RING_PACKED) ? gather_packed(wrap, index, chains, max)
					       : gather_split(wrap, index, chains, max);
}

static uint16_t used_index(struct wrong_wrap *wrap, uint16_t index)
{
	const struct vring_used *used = wrong_wrap_at(wrap, wrap->setups[index].device_gpa, 4);

	return le16toh(used->idx);
}

/* Whether the good device used the first of what waited; then it used all of it. */
static bool were_used(struct wrong_wrap *wrap, uint16_t index, const struct wrong_chain *chains,
		      uint16_t index_before)
{
	uint16_t flags = wrong_desc_get(chains, chains->used).flags;

	if (!chains->packed)
		return used_index(wrap, index) != index_before;
	return !!(flags & F_AVAIL) == !!(flags & F_USED);
}

enum virtio_progress wrong_chain_progress(struct virtio_device *dev, uint16_t index,
					  uint32_t budget)
{
	static struct wrong_chain chains[CHAINS_MAX];
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);
	const struct wrong_chain_hooks *hooks = wrap->bend->how;
	unsigned count = wrong_chain_gather(wrap, index, chains, CHAINS_MAX);
	uint16_t before = count > 0 ? used_index(wrap, index) : 0;
	enum virtio_progress progress;

	for (unsigned i = 0; hooks->before && i < count; i++)
		hooks->before(&chains[i]);
	progress = inner->ops->progress(inner, index, budget);
	if (count == 0 || !were_used(wrap, index, chains, before))
		return progress;
	for (unsigned i = 0; i < count; i++) {
		if (chains[i].packed)
			wrap->packed_next[index] =
				(wrap->packed_next[index] + chains[i].ring_count) %
				(2u * wrap->setups[index].size);
		if (hooks->after)
			hooks->after(&chains[i]);
	}
	return progress;
}
