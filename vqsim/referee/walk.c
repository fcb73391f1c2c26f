/* SPDX-License-Identifier: BSD-3-Clause */
#include "walk_internal.h"

#include <string.h>

#include "referee_internal.h"

/* A change of a chain's bytes past these is left to the watch and to the canaries. */
#define BYTES_HASHED 64u

#define CHAIN_BYTES_MAX (UINT64_C(1) << 32)

uint64_t referee_hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;
	uint64_t word;

	for (; size >= sizeof(word); size -= sizeof(word), from += sizeof(word)) {
		memcpy(&word, from, sizeof(word));
		hash = referee_mix(hash, word);
	}
	for (; size; size--)
		hash = referee_mix(hash, *from++);
	return hash;
}

bool referee_reachable(const struct vqsim_memory *memory, uint64_t gpa, uint64_t size)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct vqsim_mapping *m = &memory->mappings[i];
		uint64_t offset = gpa - m->range.gpa;

		if (gpa < m->range.gpa || offset >= m->range.size || !m->exposed)
			continue;
		if (size <= m->range.size - offset)
			return true;
		gpa += m->range.size - offset;
		size -= m->range.size - offset;
	}
	return false;
}

bool referee_copy_out(const struct vqsim_memory *memory, uint64_t gpa, void *to, size_t size)
{
	const uint8_t *from = vqsim_memory_find(memory, gpa, size);
	uint8_t *out = to;

	if (from) {
		memcpy(to, from, size);
		return true;
	}
	for (; size; size--, gpa++) {
		from = vqsim_memory_find(memory, gpa, 1);
		if (!from)
			return false;
		*out++ = *from;
	}
	return true;
}

/* Add the first bytes of a buffer to a hash that has taken in *hashed bytes of its chain. */
static uint64_t hash_start(const struct referee_walk *w, uint64_t hash, uint32_t *hashed,
			   uint64_t gpa, uint32_t size)
{
	const uint8_t *bytes;

	if (size > BYTES_HASHED - *hashed)
		size = BYTES_HASHED - *hashed;
	if (size == 0)
		return hash;
	*hashed += size;
	bytes = vqsim_memory_find(w->referee->memory, gpa, size);
	return bytes ? referee_hash_bytes(hash, bytes, size) : hash;
}

static void walk_writable(struct referee_walk *w, uint64_t gpa, uint32_t size)
{
	w->writable_seen = true;
	w->writable += size;
	if (w->want_writable)
		w->writable_hash = hash_start(w, w->writable_hash, &w->writable_hashed, gpa, size);
	if (w->handed)
		referee_handed_buffer(w->handed, gpa, size);
}

static bool touches(uint64_t gpa, uint64_t size, uint64_t from, uint64_t count)
{
	return gpa < from + count && from < gpa + size;
}

/*
 * A writable buffer in a ring: what stands there is not the device's doing alone. Queues that the
 * set-up has not come to yet have no size.
 */
static __attribute__((noinline, cold)) void lay_over(struct vqsim_referee *referee, uint64_t gpa,
						     uint64_t size)
{
	bool packed = referee_feature(referee, VIRTIO_F_RING_PACKED);

	for (uint16_t i = 0; i < referee->queue_count; i++) {
		const struct virtio_queue_setup *s = &referee->queues[i].setup;

		referee->queues[i].laid_over |=
			packed ? touches(gpa, size, s->desc_gpa, 16u * s->size) ||
					 touches(gpa, size, s->device_gpa, 4)
			       : touches(gpa, size, s->device_gpa, 6 + 8u * s->size);
	}
}

void referee_walk_buffer(struct referee_walk *w, uint64_t gpa, uint32_t size, bool write)
{
	if (write && !w->only_hash &&
	    touches(gpa, size, w->referee->rings_from,
		    w->referee->rings_to - w->referee->rings_from))
		lay_over(w->referee, gpa, size);
	if (size && !w->only_hash && !referee_reachable(w->referee->memory, gpa, size))
		w->malformed = true;
	w->size += size;
	if (w->size > CHAIN_BYTES_MAX)
		w->malformed = true;
	if (w->exposed)
		referee_expose_buffer(w->exposed, gpa, size, write);
	if (write) {
		walk_writable(w, gpa, size);
		return;
	}
	if (w->writable_seen)
		w->malformed = true; /* 2.7.4.2, 2.8.17: readable ones come first */
	if (w->want_readable)
		w->readable_hash = hash_start(w, w->readable_hash, &w->readable_hashed, gpa, size);
}

bool referee_table_malformed(const struct referee_walk *w, uint64_t gpa, uint32_t size)
{
	const uint32_t entry = sizeof(struct vring_desc);

	return !referee_feature(w->referee, VIRTIO_RING_F_INDIRECT_DESC) || size == 0 ||
	       size % entry || size / entry > REFEREE_CHAIN_MAX ||
	       !referee_reachable(w->referee->memory, gpa, size);
}
