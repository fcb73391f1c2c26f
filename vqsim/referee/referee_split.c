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

/* One walk along one chain. */
struct walk {
	struct referee_walk *base;
	const struct vring_desc *table; /* where next points into; NULL: not in one piece */
	uint64_t table_gpa;
	uint32_t entries;
	bool nested;
};

/*
 * Go on in the table that desc points to (2.7.5.3.1).
 * Returns whether there is one to go on in.
 */
static bool walk_enter(struct walk *w, const struct vring_desc *desc)
{
	struct vqsim_referee *referee = w->base->referee;
	uint64_t gpa = le64toh(desc->addr);
	uint32_t size = le32toh(desc->len);

	if (w->nested || (le16toh(desc->flags) & VRING_DESC_F_NEXT) ||
	    referee_table_malformed(w->base, gpa, size))
		w->base->malformed = true;
	if (w->base->exposed)
		referee_expose_table(w->base->exposed, gpa, size);
	if (w->nested || !referee_feature(referee, VIRTIO_RING_F_INDIRECT_DESC))
		return false;
	w->nested = true;
	w->entries = size / sizeof(struct vring_desc);
	w->table_gpa = gpa;
	w->table = vqsim_memory_find(referee->memory, gpa, size);
	return w->entries > 0;
}

/*
 * Returns whether there is such a descriptor in memory. A table of a driver that
 * breaks the rules may lie at any address.
 */
static bool load_desc(const struct walk *w, uint32_t index, struct vring_desc *desc)
{
	if (!w->table)
		return referee_copy_out(w->base->referee->memory,
					w->table_gpa + index * sizeof(*desc), desc, sizeof(*desc));
	memcpy(desc, (const uint8_t *)w->table + index * sizeof(*desc), sizeof(*desc));
	return true;
}

/* Take in the descriptor at *next. Returns whether another one follows, at *next. */
static bool walk_step(struct walk *w, uint32_t *next, uint32_t limit)
{
	struct vring_desc desc;
	uint64_t words[2];

	if (*next >= w->entries || w->base->count++ >= limit || !load_desc(w, *next, &desc)) {
		w->base->malformed = true;
		return false;
	}
	memcpy(words, &desc, sizeof(words));
	w->base->hash = referee_mix(referee_mix(w->base->hash, words[0]), words[1]);

	if (le16toh(desc.flags) & VRING_DESC_F_INDIRECT) {
		*next = 0;
		if (walk_enter(w, &desc)) {
			/* What points to a table carries no buffer and does not count. */
			w->base->count--;
			return true;
		}
		if (w->nested)
			return false;
		/* Not negotiated: a lenient device takes it for a buffer. */
	}
	referee_walk_buffer(w->base, le64toh(desc.addr), le32toh(desc.len),
			    le16toh(desc.flags) & VRING_DESC_F_WRITE);
	*next = le16toh(desc.next);
	return le16toh(desc.flags) & VRING_DESC_F_NEXT;
}

/* base says what is wanted of the walk. */
static void walk_chain(const struct vqsim_referee_queue *q, uint32_t head,
		       struct referee_walk *base)
{
	struct walk w = {
		.base = base,
		.table = q->desc,
		.table_gpa = q->setup.desc_gpa,
		.entries = q->setup.size,
	};
	uint32_t limit = q->setup.size > REFEREE_CHAIN_MAX ? q->setup.size : REFEREE_CHAIN_MAX;

	base->hash = base->readable_hash = base->writable_hash = REFEREE_HASH_SEED;
	while (walk_step(&w, &head, limit))
		;
}

static bool rings_reachable(const struct vqsim_memory *memory, const struct virtio_queue_setup *s)
{
	return referee_reachable(memory, s->desc_gpa, 16u * s->size) &&
	       referee_reachable(memory, s->driver_gpa, 6 + 2u * s->size) &&
	       referee_reachable(memory, s->device_gpa, 6 + 8u * s->size);
}

static struct referee_words words_now(const struct vqsim_referee_queue *q)
{
	return (struct referee_words){
		.flags = le16toh(q->avail->flags),
		.index = le16toh(q->avail->idx),
		.event = le16toh(*q->used_event),
		.device_event = le16toh(*q->avail_event),
	};
}

static void set_up(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	const struct virtio_queue_setup *s = &q->setup;
	struct vqsim_memory *memory = referee->memory;

	q->desc = vqsim_memory_find(memory, s->desc_gpa, 16u * s->size);
	q->avail = vqsim_memory_find(memory, s->driver_gpa, 6 + 2u * s->size);
	q->used = vqsim_memory_find(memory, s->device_gpa, 6 + 8u * s->size);
	q->readable = q->avail && q->used;
	q->ruined = q->voided = !q->readable;
	if (!rings_reachable(memory, s))
		referee->reset_excused = true;
	q->avail_seen = q->avail_checked = s->resume.avail_index;
	q->used_seen = q->reaped = s->resume.used_index;
	memset(q->chains, 0, s->size * sizeof(*q->chains));
	if (q->ruined)
		return;
	q->used_event = &q->avail->ring[s->size];
	q->avail_event = (const __virtio16 *)&q->used->ring[s->size];
	q->before = words_now(q);
	memcpy(q->used_copy, q->used->ring, s->size * sizeof(*q->used_copy));
	referee_part_set(memory, &q->parts[0], "descriptor table", s->desc_gpa);
	referee_part_set(memory, &q->parts[1], "available ring", s->driver_gpa);
	referee_part_set(memory, &q->parts[2], "used ring", s->device_gpa);
	referee_expose_ring(referee, q, "descriptor table", s->desc_gpa, 16u * s->size);
	referee_expose_ring(referee, q, "available ring", s->driver_gpa, 6 + 2u * s->size);
	referee_expose_ring(referee, q, "used ring", s->device_gpa, 6 + 8u * s->size);
}

static void expose(struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
		   uint16_t queue, uint16_t head)
{
	struct referee_chain *chain = &q->chains[head];
	struct referee_exposed exposed = {referee, queue, head, chain->malformed, 0};
	struct referee_walk walk = {.referee = referee, .only_hash = true, .exposed = &exposed};

	walk_chain(q, head, &walk);
	chain->loan = exposed.loan;
}

static void chain_available(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			    uint16_t queue, uint16_t slot)
{
	uint16_t head = q->avail_heads[slot];
	struct referee_walk walk = {.referee = referee};
	struct referee_chain *chain;

	if (head >= q->setup.size || q->chains[head].state == REFEREE_CHAIN_AVAILABLE) {
		referee_void(referee, q);
		return;
	}
	chain = &q->chains[head];
	walk.want_readable = chain->expected;
	walk_chain(q, head, &walk);
	chain->slot = slot;
	referee_chain_available(referee, q, queue, head, chain, &walk);
	if (referee_exposes(referee))
		expose(referee, q, queue, head);
	if (referee_in_order(referee))
		referee_order_push(q, head);
}

static void look(struct vqsim_referee *referee, struct vqsim_referee_queue *q, uint16_t queue)
{
	uint16_t mask = q->setup.size - 1;
	uint16_t index;

	if (q->ruined)
		return;
	index = le16toh(__atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE));
	if ((uint16_t)(index - q->avail_seen) > q->setup.size)
		referee_void(referee, q);
	while (!q->ruined && q->avail_seen != index) {
		uint16_t slot = q->avail_seen++ & mask;

		q->avail_heads[slot] = le16toh(q->avail->ring[slot]);
		chain_available(referee, q, queue, slot);
	}
}

static void before_run(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	(void)referee;
	q->before = words_now(q);
}

static bool used_early(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	uint16_t index = le16toh(q->used->idx);
	bool early = index != q->used_seen;

	(void)referee;
	q->used_seen = q->reaped = index;
	return early;
}

static void expect(struct vqsim_referee *referee, struct vqsim_referee_queue *q, uint16_t head,
		   uint32_t len)
{
	struct referee_walk walk = {.referee = referee, .want_readable = true, .only_hash = true};
	struct referee_chain *chain;

	if (q->ruined || head >= q->setup.size)
		return;
	chain = &q->chains[head];
	chain->expected = true;
	chain->expected_len = len;
	if (chain->state != REFEREE_CHAIN_AVAILABLE)
		return;
	walk_chain(q, head, &walk);
	chain->readable_hash = walk.readable_hash;
}

static bool spoilt(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	if (q->voided || !rings_reachable(referee->memory, &q->setup))
		return true;
	for (uint32_t head = 0; head < q->setup.size; head++) {
		struct referee_walk walk = {.referee = referee};

		if (q->chains[head].state != REFEREE_CHAIN_AVAILABLE)
			continue;
		walk_chain(q, head, &walk);
		if (walk.malformed)
			return true;
	}
	return false;
}

/* What the device did to the bytes and descriptors of a chain that it says is done. */
static void check_chain(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			uint16_t queue, uint16_t head, uint32_t len)
{
	const struct referee_chain *chain = &q->chains[head];
	struct referee_handed handed = {referee, queue, head, len};
	struct referee_walk walk = {
		.referee = referee, .want_readable = chain->expected, .only_hash = true};

	if (referee->memcheck || referee->undefined)
		walk.handed = &handed;
	walk_chain(q, head, &walk);
	if (walk.hash != chain->hash)
		vqsim_referee_violation(referee, VQSIM_RULE_DESC_WRITTEN, queue,
					"a descriptor of chain %u changed while it was in flight",
					head);
	else if (chain->expected && walk.readable_hash != chain->readable_hash)
		vqsim_referee_violation(referee, VQSIM_RULE_READABLE_WRITTEN, queue,
					"readable bytes of chain %u changed", head);
}

static void chain_done(const struct referee_run *run, uint16_t slot, uint16_t head)
{
	struct vqsim_referee_queue *q = run->q;
	struct referee_chain *chain = &q->chains[head];

	referee_withdraw(run->referee, chain);
	chain->state = REFEREE_CHAIN_USED;
	chain->expected = false;
	q->outstanding--;
	q->malformed -= chain->malformed;
	q->used_heads[slot] = head;
}

/* Whether the entry names a chain that waits. */
static bool check_id(const struct referee_run *run, uint16_t slot, uint32_t id)
{
	const struct vqsim_referee_queue *q = run->q;

	if (id < q->setup.size && q->chains[id].state == REFEREE_CHAIN_AVAILABLE)
		return true;
	referee_mark(run->referee, 1, slot);
	vqsim_referee_violation(
		run->referee, VQSIM_RULE_USED_ID, run->queue, "id %u in used slot %u: %s", id, slot,
		id >= q->setup.size                         ? "not below the queue size"
		: q->chains[id].state == REFEREE_CHAIN_USED ? "used already"
							    : "was not made available");
	return false;
}

/*
 * The chains before the one with id, which the entry stands for too (2.7.9): their
 * slots in the used ring are skipped.
 */
static void take_skipped(const struct referee_run *run, uint16_t index, uint16_t count)
{
	struct vqsim_referee_queue *q = run->q;

	for (uint16_t i = 0; i < count; i++) {
		uint16_t head = referee_order_pop(q);
		uint16_t slot = (index + i) & (q->setup.size - 1);

		referee_check_skipped(run->referee, run->queue, head, &q->chains[head]);
		check_chain(run->referee, q, run->queue, head, (uint32_t)q->chains[head].writable);
		chain_done(run, slot, head);
	}
}

static void check_slots_skipped(const struct referee_run *run, uint16_t index, uint16_t count)
{
	struct vqsim_referee_queue *q = run->q;

	for (uint16_t i = 1; i < count; i++) {
		uint16_t slot = (index + i) & (q->setup.size - 1);

		if (memcmp(&q->used->ring[slot], &q->used_copy[slot], sizeof(*q->used_copy)) == 0)
			continue;
		referee_mark(run->referee, 1, slot);
		vqsim_referee_violation(run->referee, VQSIM_RULE_IN_ORDER, run->queue,
					"used slot %u was written (id %u), but the entry before it "
					"stands for %u chains",
					slot, le32toh(q->used->ring[slot].id), count);
	}
}

/* The chains that an entry stands for, at most left. Returns 0: out of order. */
static uint16_t batch_size(const struct referee_run *run, uint16_t index, uint16_t id,
			   uint16_t left)
{
	uint16_t slot = index & (run->q->setup.size - 1);
	uint16_t batch;

	if (!referee_in_order(run->referee))
		return 1;
	batch = referee_order_batch(run->q, id);
	if (batch <= left) {
		check_slots_skipped(run, index, batch);
		return batch;
	}
	referee_mark(run->referee, 1, slot);
	vqsim_referee_violation(run->referee, VQSIM_RULE_IN_ORDER, run->queue,
				"id %u in used slot %u: %u chains came before it, used idx moved "
				"by %u from there",
				id, slot, batch - 1u, left);
	return 0;
}

/* Check the entry at a used index. Returns the number of entries that it stands for, at most left. */
static uint16_t take_entry(const struct referee_run *run, uint16_t index, uint16_t left)
{
	struct vqsim_referee_queue *q = run->q;
	uint16_t slot = index & (q->setup.size - 1);
	const struct vring_used_elem *entry = &q->used->ring[slot];
	uint32_t id = le32toh(entry->id), len = le32toh(entry->len);
	uint16_t batch;

	referee_note(run->referee, REFEREE_NOTE_USED, run->queue, id, len);
	q->used_heads[slot] = REFEREE_NONE;
	if (!check_id(run, slot, id))
		return 1;
	batch = batch_size(run, index, (uint16_t)id, left);
	if (batch == 0) {
		q->ruined = true;
		return left;
	}
	if (batch > 1)
		take_skipped(run, index, batch - 1);
	if (referee_in_order(run->referee)) {
		referee_order_pop(q);
		memcpy(&q->used_copy[slot], entry, sizeof(*entry));
	}
	referee_mark(run->referee, 1, slot);
	referee_check_len(run->referee, run->queue, id, &q->chains[id], len);
	check_chain(run->referee, q, run->queue, (uint16_t)id, len);
	run->referee->marked_slot = -1;
	chain_done(run, (index + batch - 1u) & (q->setup.size - 1u), (uint16_t)id);
	return batch;
}

static void used(struct referee_run *run)
{
	struct vqsim_referee_queue *q = run->q;
	uint16_t index = le16toh(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE));

	run->used_before = q->used_seen;
	run->added = index - q->used_seen;
	if (!q->ruined && run->added > q->outstanding) {
		vqsim_referee_violation(run->referee, VQSIM_RULE_USED_INDEX, run->queue,
					"used idx went from %u to %u with %u chains to use",
					q->used_seen, index, q->outstanding);
		/* Where the device believes to be is anyone's guess: one report, not hundreds. */
		q->ruined = true;
	}
	for (uint16_t i = 0; !q->ruined && i < run->added;)
		i += take_entry(run, q->used_seen + i, run->added - i);
	q->used_seen = index;
}

static void check_slots(const struct referee_run *run)
{
	struct vqsim_referee_queue *q = run->q;

	for (; q->avail_checked != q->avail_seen; q->avail_checked++) {
		uint16_t slot = q->avail_checked & (q->setup.size - 1);
		uint16_t head = le16toh(q->avail->ring[slot]);

		if (head == q->avail_heads[slot])
			continue;
		referee_mark(run->referee, 0, slot);
		vqsim_referee_violation(run->referee, VQSIM_RULE_AVAIL_WRITTEN, run->queue,
					"slot %u changed from %u to %u", slot, q->avail_heads[slot],
					head);
	}
}

static void untouched(const struct referee_run *run)
{
	struct vqsim_referee_queue *q = run->q;
	struct referee_words now = words_now(q);
	const struct referee_words *was = &q->before;

	if (now.flags != was->flags || now.index != was->index || now.event != was->event)
		vqsim_referee_violation(run->referee, VQSIM_RULE_AVAIL_WRITTEN, run->queue,
					"flags %u idx %u used_event %u were %u, %u, %u", now.flags,
					now.index, now.event, was->flags, was->index, was->event);
	/* What is available from here on is not what the driver exposed. */
	q->ruined |= now.index != was->index;
	if (!referee_event_idx(run->referee) && now.device_event != was->device_event)
		vqsim_referee_violation(run->referee, VQSIM_RULE_AVAIL_EVENT, run->queue,
					"avail_event changed from %u to %u", was->device_event,
					now.device_event);
	if (!q->ruined)
		check_slots(run);
	referee_check_canaries(run);
}

static void reaped(struct vqsim_referee_queue *q)
{
	uint16_t head = REFEREE_NONE;

	/* Entries that name no chain are of no interest to the driver either. */
	while (head == REFEREE_NONE && q->reaped != q->used_seen)
		head = q->used_heads[q->reaped++ & (q->setup.size - 1)];
	if (head != REFEREE_NONE && q->chains[head].state == REFEREE_CHAIN_USED)
		q->chains[head].state = REFEREE_CHAIN_FREE;
}

static uint64_t hash(struct vqsim_referee *referee, struct vqsim_referee_queue *q, bool buffers)
{
	uint64_t sum = referee_hash_bytes(REFEREE_HASH_SEED, q->used, 6 + 8u * q->setup.size);

	for (uint32_t head = 0; buffers && !q->ruined && head < q->setup.size; head++) {
		struct referee_walk walk = {
			.referee = referee, .only_hash = true, .want_writable = true};

		if (q->chains[head].state != REFEREE_CHAIN_AVAILABLE)
			continue;
		walk_chain(q, head, &walk);
		sum = referee_mix(sum, walk.writable_hash);
	}
	return sum;
}

const struct referee_ring_ops referee_split_ops = {
	.set_up = set_up,
	.look = look,
	.expect = expect,
	.before_run = before_run,
	.used_early = used_early,
	.used = used,
	.untouched = untouched,
	.notified = referee_split_notified,
	.at_rest = referee_split_at_rest,
	.reaped = reaped,
	.spoilt = spoilt,
	.hash = hash,
	.draw = referee_split_draw,
};
