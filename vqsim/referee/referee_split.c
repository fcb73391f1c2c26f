/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The referee's own reading of a split ring (virtio 1.3, 2.7), independent of
 * the driver and of every device.
 *
 * A chain is walked twice: when it becomes available, to learn what the device
 * may do with it, and when it is used, to see that its descriptors are as they
 * were. In between the referee keeps a hash and no copy, so that nothing is
 * allocated for a request.
 *
 * A walk reads through the driver's mapping, also what is hidden from the
 * device; it goes on past a fault where the ring still says what comes next,
 * so that "writable" is the most that a lenient device may have written.
 */
#include <endian.h>
#include <string.h>

#include "referee_internal.h"

/* A change of the readable bytes past these is left to the watch and to the canaries. */
#define READABLE_HASHED 64u

#define CHAIN_BYTES_MAX (UINT64_C(1) << 32)

#define HASH_SEED UINT64_C(0x9e3779b97f4a7c15)
#define HASH_STEP UINT64_C(0xff51afd7ed558ccd)

/* One walk along one chain. */
struct walk {
	const struct vqsim_referee *referee;
	bool want_readable; /* hash readable bytes too */
	bool only_hash;     /* the second walk: what may be done with the chain is known */

	const struct vring_desc *table; /* where next points into; NULL: not in one piece */
	uint64_t table_gpa;
	uint32_t entries;
	bool nested;
	uint32_t count;
	bool writable_seen;
	uint32_t readable_hashed;

	uint64_t hash;
	uint64_t readable_hash;
	uint64_t size;
	uint64_t writable;
	bool malformed;
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * HASH_STEP;
	return hash ^ (hash >> 32);
}

static uint64_t hash_bytes(uint64_t hash, const uint8_t *bytes, size_t size)
{
	uint64_t word;

	for (; size >= sizeof(word); size -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = mix(hash, word);
	}
	for (; size; size--)
		hash = mix(hash, *bytes++);
	return hash;
}

/* Whether the device may reach [gpa, gpa + size); regions may follow each other. */
static bool reachable(const struct vqsim_memory *memory, uint64_t gpa, uint64_t size)
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

static void walk_readable(struct walk *w, uint64_t gpa, uint32_t size)
{
	const uint8_t *bytes;

	if (size > READABLE_HASHED - w->readable_hashed)
		size = READABLE_HASHED - w->readable_hashed;
	if (size == 0)
		return;
	bytes = vqsim_memory_find(w->referee->memory, gpa, size);
	if (bytes)
		w->readable_hash = hash_bytes(w->readable_hash, bytes, size);
	w->readable_hashed += size;
}

static void walk_buffer(struct walk *w, const struct vring_desc *desc)
{
	uint64_t gpa = le64toh(desc->addr);
	uint32_t size = le32toh(desc->len);

	if (size && !w->only_hash && !reachable(w->referee->memory, gpa, size))
		w->malformed = true;
	w->size += size;
	if (w->size > CHAIN_BYTES_MAX)
		w->malformed = true;
	if (le16toh(desc->flags) & VRING_DESC_F_WRITE) {
		w->writable_seen = true;
		w->writable += size;
		return;
	}
	if (w->writable_seen)
		w->malformed = true; /* 2.7.4.2: readable ones come first */
	if (w->want_readable)
		walk_readable(w, gpa, size);
}

/*
 * Go on in the table that desc points to (2.7.5.3.1).
 * Returns whether there is one to go on in.
 */
static bool walk_enter(struct walk *w, const struct vring_desc *desc)
{
	uint64_t gpa = le64toh(desc->addr);
	uint32_t size = le32toh(desc->len);
	bool negotiated = w->referee->features & VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC);

	if (!negotiated || w->nested || (le16toh(desc->flags) & VRING_DESC_F_NEXT))
		w->malformed = true;
	if (size == 0 || size % sizeof(struct vring_desc) ||
	    size / sizeof(struct vring_desc) > REFEREE_CHAIN_MAX)
		w->malformed = true;
	if (!reachable(w->referee->memory, gpa, size))
		w->malformed = true;
	if (w->nested || !negotiated)
		return false;
	w->nested = true;
	w->entries = size / sizeof(struct vring_desc);
	w->table_gpa = gpa;
	w->table = vqsim_memory_find(w->referee->memory, gpa, size);
	return w->entries > 0;
}

/* Copy out of guest memory, over regions that follow each other. Returns whether all is there. */
static bool copy_out(const struct vqsim_memory *memory, uint64_t gpa, uint8_t *to, size_t size)
{
	const uint8_t *from = vqsim_memory_find(memory, gpa, size);

	if (from) {
		memcpy(to, from, size);
		return true;
	}
	for (; size; size--, gpa++) {
		from = vqsim_memory_find(memory, gpa, 1);
		if (!from)
			return false;
		*to++ = *from;
	}
	return true;
}

/*
 * Returns whether there is such a descriptor in memory. A table of a driver that
 * breaks the rules may lie at any address.
 */
static bool load_desc(const struct walk *w, uint32_t index, struct vring_desc *desc)
{
	if (!w->table)
		return copy_out(w->referee->memory, w->table_gpa + index * sizeof(*desc),
				(uint8_t *)desc, sizeof(*desc));
	memcpy(desc, (const uint8_t *)w->table + index * sizeof(*desc), sizeof(*desc));
	return true;
}

/* Take in the descriptor at *next. Returns whether another one follows, at *next. */
static bool walk_step(struct walk *w, uint32_t *next, uint32_t limit)
{
	struct vring_desc desc;
	uint64_t words[2];

	if (*next >= w->entries || w->count++ >= limit || !load_desc(w, *next, &desc)) {
		w->malformed = true;
		return false;
	}
	memcpy(words, &desc, sizeof(words));
	w->hash = mix(mix(w->hash, words[0]), words[1]);

	if (le16toh(desc.flags) & VRING_DESC_F_INDIRECT) {
		*next = 0;
		if (walk_enter(w, &desc)) {
			/* What points to a table carries no buffer and does not count. */
			w->count--;
			return true;
		}
		if (w->nested)
			return false;
		/* Not negotiated: a lenient device takes it for a buffer. */
	}
	walk_buffer(w, &desc);
	*next = le16toh(desc.next);
	return le16toh(desc.flags) & VRING_DESC_F_NEXT;
}

static struct walk walk_chain(const struct vqsim_referee *referee,
			      const struct vqsim_referee_queue *q, uint32_t head,
			      bool want_readable, bool only_hash)
{
	struct walk w = {
		.referee = referee,
		.want_readable = want_readable,
		.only_hash = only_hash,
		.table = q->desc,
		.table_gpa = q->setup.desc_gpa,
		.entries = q->setup.size,
		.hash = HASH_SEED,
		.readable_hash = HASH_SEED,
	};
	uint32_t limit = q->setup.size > REFEREE_CHAIN_MAX ? q->setup.size : REFEREE_CHAIN_MAX;

	while (walk_step(&w, &head, limit))
		;
	return w;
}

/* Remember the canaries around the piece at gpa, if it is one that the allocator gave out. */
static void set_part(const struct vqsim_memory *memory, struct referee_part *part, const char *name,
		     uint64_t gpa)
{
	*part = (struct referee_part){.name = name, .gpa = gpa};
	for (size_t i = 0; i < memory->allocation_count; i++)
		if (memory->allocations[i].gpa == gpa)
			part->size = memory->allocations[i].size;
	if (part->size == 0)
		return;
	part->before = vqsim_memory_at(memory, gpa - VQSIM_CANARY_SIZE, VQSIM_CANARY_SIZE);
	part->behind = vqsim_memory_at(memory, gpa + part->size, VQSIM_CANARY_SIZE);
	memcpy(part->canaries[0], part->before, VQSIM_CANARY_SIZE);
	memcpy(part->canaries[1], part->behind, VQSIM_CANARY_SIZE);
}

static bool rings_reachable(const struct vqsim_memory *memory, const struct virtio_queue_setup *s)
{
	return reachable(memory, s->desc_gpa, 16u * s->size) &&
	       reachable(memory, s->driver_gpa, 6 + 2u * s->size) &&
	       reachable(memory, s->device_gpa, 6 + 8u * s->size);
}

void referee_split_set_up(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	const struct virtio_queue_setup *s = &q->setup;
	struct vqsim_memory *memory = referee->memory;

	q->desc = vqsim_memory_find(memory, s->desc_gpa, 16u * s->size);
	q->avail = vqsim_memory_find(memory, s->driver_gpa, 6 + 2u * s->size);
	q->used = vqsim_memory_find(memory, s->device_gpa, 6 + 8u * s->size);
	q->ruined = q->voided = !q->avail || !q->used;
	if (!rings_reachable(memory, s))
		referee->reset_excused = true;
	q->avail_seen = q->avail_checked = s->resume.avail_index;
	q->used_seen = q->reaped = s->resume.used_index;
	q->outstanding = 0;
	q->malformed = 0;
	memset(q->chains, 0, s->size * sizeof(*q->chains));
	if (q->ruined)
		return;
	q->used_event = &q->avail->ring[s->size];
	q->avail_event = (const __virtio16 *)&q->used->ring[s->size];
	q->before = referee_split_words(q);
	set_part(memory, &q->parts[0], "descriptor table", s->desc_gpa);
	set_part(memory, &q->parts[1], "available ring", s->driver_gpa);
	set_part(memory, &q->parts[2], "used ring", s->device_gpa);
}

struct referee_words referee_split_words(const struct vqsim_referee_queue *q)
{
	return (struct referee_words){
		.flags = le16toh(q->avail->flags),
		.index = le16toh(q->avail->idx),
		.used_event = le16toh(*q->used_event),
		.avail_event = le16toh(*q->avail_event),
	};
}

static void ruin(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	q->ruined = true;
	q->voided = true;
	referee->reset_excused = true;
}

static void chain_available(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			    uint16_t head)
{
	struct referee_chain *chain;
	struct walk w;

	if (head >= q->setup.size || q->chains[head].state == REFEREE_CHAIN_AVAILABLE) {
		ruin(referee, q);
		return;
	}
	chain = &q->chains[head];
	w = walk_chain(referee, q, head, chain->expected, false);
	chain->hash = w.hash;
	chain->readable_hash = w.readable_hash;
	chain->writable = w.writable;
	chain->malformed = w.malformed;
	chain->reported = false;
	chain->state = REFEREE_CHAIN_AVAILABLE;
	q->outstanding++;
	q->malformed += w.malformed;
	referee->reset_excused |= w.malformed;
}

void referee_split_look(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	uint16_t mask = q->setup.size - 1;
	uint16_t index;

	if (q->ruined)
		return;
	index = le16toh(__atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE));
	if ((uint16_t)(index - q->avail_seen) > q->setup.size)
		ruin(referee, q);
	while (!q->ruined && q->avail_seen != index) {
		uint16_t slot = q->avail_seen++ & mask;

		q->avail_heads[slot] = le16toh(q->avail->ring[slot]);
		chain_available(referee, q, q->avail_heads[slot]);
	}
}

void referee_split_expect(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			  uint16_t head, uint32_t len)
{
	struct referee_chain *chain;

	if (q->ruined || head >= q->setup.size)
		return;
	chain = &q->chains[head];
	chain->expected = true;
	chain->expected_len = len;
	if (chain->state == REFEREE_CHAIN_AVAILABLE)
		chain->readable_hash = walk_chain(referee, q, head, true, true).readable_hash;
}

bool referee_split_spoilt(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	if (q->voided || !rings_reachable(referee->memory, &q->setup))
		return true;
	for (uint32_t head = 0; head < q->setup.size; head++)
		if (q->chains[head].state == REFEREE_CHAIN_AVAILABLE &&
		    walk_chain(referee, q, head, false, false).malformed)
			return true;
	return false;
}

static void check_len(struct vqsim_referee *referee, uint16_t queue, uint32_t head,
		      const struct referee_chain *chain, uint32_t len)
{
	if (len > chain->writable)
		vqsim_referee_violation(referee, VQSIM_RULE_USED_LEN, queue,
					"id %u: len %u, writable bytes %llu", head, len,
					(unsigned long long)chain->writable);
	else if (chain->expected && !chain->malformed && len != chain->expected_len)
		vqsim_referee_violation(referee, VQSIM_RULE_USED_LEN_EXACT, queue,
					"id %u: len %u, expected %u", head, len,
					chain->expected_len);
}

static void check_unchanged(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			    uint16_t queue, uint32_t head)
{
	const struct referee_chain *chain = &q->chains[head];
	struct walk w = walk_chain(referee, q, head, chain->expected, true);

	if (w.hash != chain->hash)
		vqsim_referee_violation(referee, VQSIM_RULE_DESC_WRITTEN, queue,
					"a descriptor of chain %u changed while it was in flight",
					head);
	else if (chain->expected && w.readable_hash != chain->readable_hash)
		vqsim_referee_violation(referee, VQSIM_RULE_READABLE_WRITTEN, queue,
					"readable bytes of chain %u changed", head);
}

/* Check the entry at a used index. Returns its head, or REFEREE_NO_HEAD if it names none. */
static uint16_t check_entry(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			    uint16_t queue, uint16_t index)
{
	const struct vring_used_elem *entry = &q->used->ring[index & (q->setup.size - 1)];
	uint32_t id = le32toh(entry->id);
	struct referee_chain *chain;

	if (id >= q->setup.size || q->chains[id].state != REFEREE_CHAIN_AVAILABLE) {
		vqsim_referee_violation(
			referee, VQSIM_RULE_USED_ID, queue, "id %u at used index %u: %s", id, index,
			id >= q->setup.size                         ? "not below the queue size"
			: q->chains[id].state == REFEREE_CHAIN_USED ? "used already"
								    : "was not made available");
		return REFEREE_NO_HEAD;
	}
	chain = &q->chains[id];
	check_len(referee, queue, id, chain, le32toh(entry->len));
	check_unchanged(referee, q, queue, id);
	chain->state = REFEREE_CHAIN_USED;
	chain->expected = false;
	q->outstanding--;
	q->malformed -= chain->malformed;
	return id;
}

void referee_split_used(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			uint16_t queue)
{
	uint16_t index = le16toh(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE));
	uint16_t added = index - q->used_seen;
	uint16_t mask = q->setup.size - 1;

	if (!q->ruined && added > q->outstanding) {
		vqsim_referee_violation(referee, VQSIM_RULE_USED_INDEX, queue,
					"used idx went from %u to %u with %u chains to use",
					q->used_seen, index, q->outstanding);
		/* Where the device believes to be is anyone's guess: one report, not hundreds. */
		q->ruined = true;
	}
	for (uint16_t i = 0; !q->ruined && i < added; i++)
		q->used_heads[(q->used_seen + i) & mask] =
			check_entry(referee, q, queue, q->used_seen + i);
	q->used_seen = index;
}

static void check_canaries(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			   uint16_t queue)
{
	for (unsigned i = 0; i < REFEREE_PARTS; i++) {
		struct referee_part *part = &q->parts[i];
		uint64_t bad = 0;

		if (part->size == 0 ||
		    (memcmp(part->before, part->canaries[0], VQSIM_CANARY_SIZE) == 0 &&
		     memcmp(part->behind, part->canaries[1], VQSIM_CANARY_SIZE) == 0))
			continue;
		vqsim_memory_canary_intact(referee->memory, part->gpa, part->size, &bad);
		vqsim_referee_violation(referee, VQSIM_RULE_FOOTPRINT, queue,
					"byte at gpa 0x%llx beside the %s changed",
					(unsigned long long)bad, part->name);
		part->size = 0;
	}
}

static void check_slots(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			uint16_t queue)
{
	for (; q->avail_checked != q->avail_seen; q->avail_checked++) {
		uint16_t slot = q->avail_checked & (q->setup.size - 1);
		uint16_t head = le16toh(q->avail->ring[slot]);

		if (head != q->avail_heads[slot])
			vqsim_referee_violation(referee, VQSIM_RULE_AVAIL_WRITTEN, queue,
						"slot %u changed from %u to %u", slot,
						q->avail_heads[slot], head);
	}
}

void referee_split_untouched(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			     uint16_t queue)
{
	struct referee_words now = referee_split_words(q);
	const struct referee_words *was = &q->before;

	if (now.flags != was->flags || now.index != was->index || now.used_event != was->used_event)
		vqsim_referee_violation(referee, VQSIM_RULE_AVAIL_WRITTEN, queue,
					"flags %u idx %u used_event %u were %u, %u, %u", now.flags,
					now.index, now.used_event, was->flags, was->index,
					was->used_event);
	/* What is available from here on is not what the driver exposed. */
	q->ruined |= now.index != was->index;
	if (!referee_event_idx(referee) && now.avail_event != was->avail_event)
		vqsim_referee_violation(referee, VQSIM_RULE_AVAIL_EVENT, queue,
					"avail_event changed from %u to %u", was->avail_event,
					now.avail_event);
	if (!q->ruined)
		check_slots(referee, q, queue);
	check_canaries(referee, q, queue);
}

uint64_t referee_split_hash(const struct vqsim_referee_queue *q)
{
	if (!q->used)
		return 0;
	return hash_bytes(HASH_SEED, (const uint8_t *)q->used, 6 + 8u * q->setup.size);
}
