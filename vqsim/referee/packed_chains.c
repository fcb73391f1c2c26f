/* SPDX-License-Identifier: BSD-3-Clause */
#include "packed_internal.h"

#include <endian.h>
#include <string.h>

struct referee_place referee_place(uint64_t position, uint16_t size)
{
	return (struct referee_place){
		.position = position,
		.slot = (uint16_t)(position % size),
		.wrap = !(position / size & 1),
	};
}

void referee_packed_pools_fill(struct vqsim_referee_queue *q)
{
	uint16_t size = q->setup.size;

	memset(q->chains, 0, size * sizeof(*q->chains));
	for (uint32_t i = 0; i < size; i++) {
		uint16_t next = i + 1u < size ? (uint16_t)(i + 1) : REFEREE_NONE;

		q->chains[i].next_free = next;
		q->chains[i].id = (uint16_t)i;
		q->node_next[i] = next;
	}
	q->packed.free_chain = q->packed.free_node = 0;
}

uint16_t referee_packed_record_find(const struct vqsim_referee_queue *q, uint16_t id)
{
	uint16_t record = q->by_id[id];

	if (record >= q->setup.size || q->chains[record].id != id ||
	    q->chains[record].state == REFEREE_CHAIN_FREE)
		return REFEREE_NONE;
	return record;
}

void referee_packed_record_free(struct vqsim_referee_queue *q, uint16_t record)
{
	q->chains[record].state = REFEREE_CHAIN_FREE;
	q->chains[record].expected = false;
	q->chains[record].next_free = q->packed.free_chain;
	q->packed.free_chain = record;
}

/* All are in use: some driver told of chains that it never exposed. */
static void record_steal(struct vqsim_referee_queue *q)
{
	for (uint16_t i = 0; i < q->setup.size; i++)
		if (q->chains[i].state == REFEREE_CHAIN_TOLD) {
			referee_packed_record_free(q, i);
			return;
		}
}

uint16_t referee_packed_record_take(struct vqsim_referee_queue *q, uint16_t id)
{
	uint16_t record;

	if (q->packed.free_chain == REFEREE_NONE)
		record_steal(q);
	record = q->packed.free_chain;
	if (record == REFEREE_NONE)
		return REFEREE_NONE;
	q->packed.free_chain = q->chains[record].next_free;
	q->chains[record].id = id;
	q->chains[record].state = REFEREE_CHAIN_TOLD;
	q->by_id[id] = record;
	return record;
}

static void walk_table(struct referee_walk *w, uint64_t gpa, uint32_t size)
{
	uint32_t entries = size / sizeof(struct vring_packed_desc);

	if (entries > REFEREE_CHAIN_MAX)
		entries = REFEREE_CHAIN_MAX;
	w->tables = true;
	if (w->exposed)
		referee_expose_table(w->exposed, gpa, size);
	for (uint32_t i = 0; i < entries; i++, gpa += sizeof(struct vring_packed_desc)) {
		struct vring_packed_desc desc;
		uint64_t words[2];

		if (!referee_copy_out(w->referee->memory, gpa, &desc, sizeof(desc))) {
			w->malformed = true;
			return;
		}
		memcpy(words, &desc, sizeof(words));
		w->hash = referee_mix(referee_mix(w->hash, words[0]), words[1]);
		referee_walk_buffer(w, le64toh(desc.addr), le32toh(desc.len),
				    le16toh(desc.flags) & VRING_DESC_F_WRITE);
	}
}

static void walk_desc(struct referee_walk *w, const struct vring_packed_desc *desc, uint16_t count)
{
	uint64_t gpa = le64toh(desc->addr);
	uint32_t size = le32toh(desc->len);
	uint16_t flags = le16toh(desc->flags);

	if (flags & VRING_DESC_F_INDIRECT) {
		/* A table stands alone (2.8.19). */
		if (count > 1 || referee_table_malformed(w, gpa, size))
			w->malformed = true;
		if (referee_feature(w->referee, VIRTIO_RING_F_INDIRECT_DESC)) {
			walk_table(w, gpa, size);
			return;
		}
		/* Not negotiated: a lenient device takes it for a buffer. */
	}
	referee_walk_buffer(w, gpa, size, flags & VRING_DESC_F_WRITE);
}

void referee_packed_walk(const struct vqsim_referee_queue *q, const struct referee_chain *chain,
			 struct referee_walk *w)
{
	uint16_t node = chain->node;

	w->hash = w->readable_hash = w->writable_hash = REFEREE_HASH_SEED;
	for (uint16_t i = 0; i < chain->count; i++, node = q->node_next[node])
		walk_desc(w, &q->nodes[node], chain->count);
}
