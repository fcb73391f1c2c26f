/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The referee's own reading of a packed ring (virtio 1.3, 2.8), independent of the
 * driver and of every device.
 *
 * Positions count slots and never go back:
 *
 *          reaped        used            avail
 *     free |  used ...   |  in flight .. |  free, up to reaped + size
 *
 * Chains may be used out of order, and the slots of one that is in flight then
 * become the driver's again (what counts is how many slots are used, not which):
 * so the descriptors of a chain are copied when it becomes available, into nodes
 * of a pool. There are never more of them than slots.
 *
 * The device may write to the slots at used positions and to no other. That is
 * checked by comparing the slots around its position, the window, with what they
 * held before the run.
 */
#include <endian.h>
#include <string.h>

#include "packed_internal.h"

#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1u << VRING_PACKED_DESC_F_USED)

/* Slots of the window: behind the device's position, and in all. */
#define WINDOW_BEHIND 8u
#define WINDOW_MAX    128u

static uint16_t flags_at(const struct vqsim_referee_queue *q, uint16_t slot)
{
	return le16toh(__atomic_load_n(&q->packed.ring[slot].flags, __ATOMIC_ACQUIRE));
}

static bool is_available(uint16_t flags, bool wrap)
{
	return !!(flags & F_AVAIL) == wrap && !!(flags & F_USED) != wrap;
}

static bool is_used(uint16_t flags, bool wrap)
{
	return !!(flags & F_AVAIL) == wrap && !!(flags & F_USED) == wrap;
}

static bool rings_reachable(const struct vqsim_memory *memory, const struct virtio_queue_setup *s)
{
	return referee_reachable(memory, s->desc_gpa, 16u * s->size) &&
	       referee_reachable(memory, s->driver_gpa, sizeof(struct vring_packed_desc_event)) &&
	       referee_reachable(memory, s->device_gpa, sizeof(struct vring_packed_desc_event));
}

static struct referee_words words_now(const struct vqsim_referee_queue *q)
{
	return (struct referee_words){
		.flags = le16toh(q->packed.driver->flags),
		.event = le16toh(q->packed.driver->off_wrap),
	};
}

static void set_up(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	const uint64_t area = sizeof(struct vring_packed_desc_event);
	const struct virtio_queue_setup *s = &q->setup;
	struct vqsim_memory *memory = referee->memory;
	struct referee_packed *p = &q->packed;

	memset(p, 0, sizeof(*p));
	p->ring = vqsim_memory_find(memory, s->desc_gpa, 16u * s->size);
	p->driver = vqsim_memory_find(memory, s->driver_gpa, area);
	p->device = vqsim_memory_find(memory, s->device_gpa, area);
	q->readable = p->ring && p->driver && p->device;
	q->ruined = q->voided = !q->readable;
	if (!rings_reachable(memory, s))
		referee->reset_excused = true;
	p->avail = referee_place(s->resume.avail_index + (s->resume.avail_wrap ? 0u : s->size),
				 s->size);
	p->used =
		referee_place(s->resume.used_index + (s->resume.used_wrap ? 0u : s->size), s->size);
	p->reaped = p->used.position;
	p->avail_at_run = p->avail.position;
	referee_packed_pools_fill(q);
	if (q->ruined)
		return;
	q->before = words_now(q);
	q->map_generation = guest_memory_generation(&memory->guest) - 1; /* look at once */
	memcpy(q->known, p->ring, s->size * sizeof(*q->known));
	referee_part_set(memory, &q->parts[0], "descriptor ring", s->desc_gpa);
	referee_part_set(memory, &q->parts[1], "driver area", s->driver_gpa);
	referee_part_set(memory, &q->parts[2], "device area", s->device_gpa);
	referee_expose_ring(referee, q, "descriptor ring", s->desc_gpa, 16u * s->size);
	referee_expose_ring(referee, q, "driver area", s->driver_gpa, area);
	referee_expose_ring(referee, q, "device area", s->device_gpa, area);
}

/* A list at the driver's position, copied into nodes. */
struct list {
	uint16_t first, last; /* nodes */
	uint16_t count;
	uint16_t id;
	bool stale; /* a later descriptor has flags of another lap */
};

static uint32_t in_flight(const struct vqsim_referee_queue *q)
{
	return (uint32_t)(q->packed.avail.position - q->packed.used.position);
}

/* Returns false: the list does not end within the slots that are the driver's. */
static bool list_copy(struct vqsim_referee_queue *q, struct list *list)
{
	struct referee_packed *p = &q->packed;
	uint16_t room = (uint16_t)(q->setup.size - in_flight(q));
	struct referee_place at = p->avail;
	uint16_t flags;

	*list = (struct list){.first = p->free_node};
	do {
		if (list->count == room)
			return false;
		list->last = p->free_node;
		p->free_node = q->node_next[list->last];
		q->known[at.slot] = p->ring[at.slot];
		if (p->is_coming && at.slot == p->coming_slot)
			q->known[at.slot].flags = htole16(p->coming_flags);
		q->nodes[list->last] = q->known[at.slot];
		flags = le16toh(q->known[at.slot].flags);
		list->id = le16toh(q->known[at.slot].id);
		list->stale |= !is_available(flags, at.wrap);
		list->count++;
		referee_place_advance(&at, q->setup.size, 1);
	} while (flags & VRING_DESC_F_NEXT);
	return true;
}

static void expose(struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
		   uint16_t queue, struct referee_chain *chain)
{
	struct referee_exposed exposed = {referee, queue, chain->id, chain->malformed, 0};
	struct referee_walk walk = {.referee = referee, .only_hash = true, .exposed = &exposed};

	referee_packed_walk(q, chain, &walk);
	chain->loan = exposed.loan;
}

static void list_available(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			   uint16_t queue)
{
	struct referee_walk walk = {.referee = referee};
	struct referee_chain *chain;
	struct list list;
	uint16_t record;

	if (!list_copy(q, &list)) {
		referee_void(referee, q);
		return;
	}
	record = referee_packed_record_find(q, list.id);
	if (record == REFEREE_NONE)
		record = referee_packed_record_take(q, list.id);
	if (record == REFEREE_NONE || q->chains[record].state == REFEREE_CHAIN_AVAILABLE) {
		referee_void(referee, q);
		return;
	}
	chain = &q->chains[record];
	chain->node = list.first;
	chain->count = list.count;
	walk.want_readable = chain->expected;
	walk.malformed = list.stale;
	referee_packed_walk(q, chain, &walk);
	referee_place_advance(&q->packed.avail, q->setup.size, list.count);
	referee_chain_available(referee, q, queue, list.id, chain, &walk);
	if (referee_exposes(referee))
		expose(referee, q, queue, chain);
	if (referee_in_order(referee))
		referee_order_push(q, record);
}

/* As they will be when the driver has published. */
static uint16_t flags_ahead(const struct vqsim_referee_queue *q, uint16_t slot)
{
	const struct referee_packed *p = &q->packed;

	return p->is_coming && slot == p->coming_slot ? p->coming_flags : flags_at(q, slot);
}

static void look(struct vqsim_referee *referee, struct vqsim_referee_queue *q, uint16_t queue)
{
	const struct referee_packed *p = &q->packed;

	while (!q->ruined && in_flight(q) < q->setup.size &&
	       is_available(flags_ahead(q, p->avail.slot), p->avail.wrap))
		list_available(referee, q, queue);
}

static void expect(struct vqsim_referee *referee, struct vqsim_referee_queue *q, uint16_t id,
		   uint32_t len)
{
	struct referee_walk walk = {.referee = referee, .want_readable = true, .only_hash = true};
	struct referee_chain *chain;
	uint16_t record = referee_packed_record_find(q, id);

	if (record == REFEREE_NONE)
		record = referee_packed_record_take(q, id);
	if (q->ruined || record == REFEREE_NONE)
		return;
	chain = &q->chains[record];
	chain->expected = true;
	chain->expected_len = len;
	if (chain->state != REFEREE_CHAIN_AVAILABLE)
		return;
	referee_packed_walk(q, chain, &walk);
	chain->readable_hash = walk.readable_hash;
}

static bool same_desc(const struct vring_packed_desc *a, const struct vring_packed_desc *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Slots from one to another, in the direction of the ring. */
static uint32_t distance(const struct vqsim_referee_queue *q, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + q->setup.size - from;
}

/* The window, which may go round the end of the ring, is as it was. */
static bool window_as_known(const struct vqsim_referee_queue *q)
{
	const struct referee_packed *p = &q->packed;
	uint32_t first = q->setup.size - p->window;

	if (first >= p->window_size)
		return memcmp(&p->ring[p->window], &q->known[p->window],
			      p->window_size * sizeof(*p->ring)) == 0;
	return memcmp(&p->ring[p->window], &q->known[p->window], first * sizeof(*p->ring)) == 0 &&
	       memcmp(p->ring, q->known, (p->window_size - first) * sizeof(*p->ring)) == 0;
}

/* Without its ring a device cannot go on: what it had begun to write there it leaves. */
static void look_at_map(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	uint32_t generation = guest_memory_generation(&referee->memory->guest);

	if (generation == q->map_generation)
		return;
	q->map_generation = generation;
	if (!rings_reachable(referee->memory, &q->setup))
		referee_void(referee, q);
}

/*
 * What is in flight is as the driver exposed it, or it is the driver that broke a rule;
 * elsewhere the driver may have begun with a list.
 */
static void before_run(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	struct referee_packed *p = &q->packed;
	uint32_t size = q->setup.size;
	uint16_t used = p->used.slot;

	look_at_map(referee, q);
	q->before = words_now(q);
	p->avail_at_run = p->avail.position;
	p->window_size = WINDOW_BEHIND + in_flight(q) + 2;
	if (p->window_size > WINDOW_MAX)
		p->window_size = WINDOW_MAX;
	if (p->window_size > size)
		p->window_size = size;
	p->window = used >= WINDOW_BEHIND ? used - WINDOW_BEHIND
					  : (used + size - WINDOW_BEHIND % size) % size;
	if (window_as_known(q))
		return;
	for (uint32_t i = 0; i < p->window_size; i++) {
		uint32_t slot = p->window + i < size ? p->window + i : p->window + i - size;

		bool waits = distance(q, used, slot) < in_flight(q);

		if (same_desc(&p->ring[slot], &q->known[slot]))
			continue;
		/* Elsewhere it is the device that was quick: it is judged after the run. */
		if (waits && referee->elsewhere)
			continue;
		if (waits)
			referee_void(referee, q);
		q->known[slot] = p->ring[slot];
	}
}

static bool used_early(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	uint16_t slot = q->packed.used.slot;
	bool early = is_used(flags_at(q, slot), q->packed.used.wrap) &&
		     !same_desc(&q->packed.ring[slot], &q->known[slot]);

	if (early)
		referee_mark(referee, 0, slot);
	q->ruined |= early;
	return early;
}

static bool spoilt(struct vqsim_referee *referee, struct vqsim_referee_queue *q)
{
	if (q->voided || !rings_reachable(referee->memory, &q->setup))
		return true;
	for (uint32_t i = 0; i < q->setup.size; i++) {
		struct referee_walk walk = {.referee = referee};

		if (q->chains[i].state != REFEREE_CHAIN_AVAILABLE)
			continue;
		referee_packed_walk(q, &q->chains[i], &walk);
		if (walk.malformed)
			return true;
	}
	return false;
}

/*
 * What the device did to tables and readable bytes of a chain, and what it claims to have written.
 * Its other descriptors are copies that no device can reach.
 */
static void check_chain(const struct referee_run *run, const struct referee_chain *chain,
			uint64_t len)
{
	struct referee_handed handed = {run->referee, run->queue, chain->id, len};
	struct referee_walk walk = {
		.referee = run->referee, .want_readable = chain->expected, .only_hash = true};

	if (run->referee->memcheck || run->referee->undefined)
		walk.handed = &handed;
	if (!walk.handed && !chain->expected && !chain->tables)
		return;
	referee_packed_walk(run->q, chain, &walk);
	if (walk.hash != chain->hash)
		vqsim_referee_violation(
			run->referee, VQSIM_RULE_DESC_WRITTEN, run->queue,
			"the indirect table of id %u changed while it was in flight", chain->id);
	else if (chain->expected && walk.readable_hash != chain->readable_hash)
		vqsim_referee_violation(run->referee, VQSIM_RULE_READABLE_WRITTEN, run->queue,
					"readable bytes of id %u changed", chain->id);
}

/* The slots of the chain are used, and its nodes free. */
static void chain_done(struct referee_run *run, uint16_t record)
{
	struct vqsim_referee_queue *q = run->q;
	struct referee_chain *chain = &q->chains[record];
	struct referee_packed *p = &q->packed;
	uint16_t last = chain->node;

	referee_withdraw(run->referee, chain);
	for (uint16_t i = 1; i < chain->count; i++)
		last = q->node_next[last];
	q->node_next[last] = p->free_node;
	p->free_node = chain->node;
	q->lengths[(p->lengths_first + p->lengths_count) % q->setup.size] = chain->count;
	p->lengths_count += p->lengths_count < q->setup.size;
	referee_place_advance(&p->used, q->setup.size, chain->count);
	q->outstanding--;
	q->malformed -= chain->malformed;
	run->added++;
	referee_packed_record_free(q, record);
}

/* The length counts only with WRITE (2.8.4). */
static void check_written(const struct referee_run *run, const struct referee_chain *chain,
			  const struct vring_packed_desc *desc)
{
	bool write = le16toh(desc->flags) & VRING_DESC_F_WRITE;
	bool known = chain->expected && !chain->malformed;

	if ((write && chain->writable == 0) || (known && write != (chain->expected_len > 0)))
		vqsim_referee_violation(run->referee, VQSIM_RULE_PACKED_WRITE, run->queue,
					"id %u: WRITE is %u, writable bytes %llu, expected %u",
					chain->id, write, (unsigned long long)chain->writable,
					known ? chain->expected_len : 0);
	else if (write)
		referee_check_len(run->referee, run->queue, chain->id, chain, le32toh(desc->len));
}

static void take_skipped(struct referee_run *run, uint16_t count)
{
	struct vqsim_referee_queue *q = run->q;

	while (count-- > 0) {
		uint16_t record = referee_order_pop(q);
		const struct referee_chain *chain = &q->chains[record];

		referee_check_skipped(run->referee, run->queue, chain->id, chain);
		check_chain(run, chain, chain->writable);
		chain_done(run, record);
	}
}

/* The used descriptor in slot, which is the one at the device's position. */
static void take_used(struct referee_run *run, uint16_t slot)
{
	struct vqsim_referee_queue *q = run->q;
	struct vring_packed_desc desc = q->packed.ring[slot];
	uint16_t id = le16toh(desc.id), record = referee_packed_record_find(q, id);
	uint32_t len = le16toh(desc.flags) & VRING_DESC_F_WRITE ? le32toh(desc.len) : 0;
	const struct referee_chain *chain;

	referee_note(run->referee, REFEREE_NOTE_USED, run->queue, id, le32toh(desc.len));
	referee_mark(run->referee, 0, slot);
	q->known[slot] = desc;
	if (record == REFEREE_NONE || q->chains[record].state != REFEREE_CHAIN_AVAILABLE) {
		vqsim_referee_violation(run->referee, VQSIM_RULE_USED_ID, run->queue,
					"slot %u: id %u is not one that waits", slot, id);
		q->ruined = true; /* nobody knows where the next one stands */
		return;
	}
	chain = &q->chains[record];
	if (referee_in_order(run->referee)) {
		take_skipped(run, referee_order_batch(q, record) - 1);
		referee_order_pop(q);
	}
	referee_mark(run->referee, 0, slot);
	check_written(run, chain, &desc);
	check_chain(run, chain, len);
	run->referee->marked_slot = -1;
	chain_done(run, record);
}

/* Nothing is used at the device's position: then nothing may have been written there. */
static void check_not_used(const struct referee_run *run, uint16_t slot, bool wrap)
{
	struct vqsim_referee_queue *q = run->q;
	uint16_t flags = flags_at(q, slot);

	if (same_desc(&q->packed.ring[slot], &q->known[slot]))
		return;
	referee_mark(run->referee, 0, slot);
	if (is_used(flags, wrap))
		vqsim_referee_violation(run->referee, VQSIM_RULE_USED_ID, run->queue,
					"slot %u: id %u is used and no chain waits", slot,
					le16toh(q->packed.ring[slot].id));
	else
		vqsim_referee_violation(run->referee, VQSIM_RULE_PACKED_WRAP, run->queue,
					"slot %u was written with AVAIL %u, USED %u; the wrap "
					"counter is %u",
					slot, !!(flags & F_AVAIL), !!(flags & F_USED), wrap);
	q->ruined = true;
}

static void used(struct referee_run *run)
{
	struct vqsim_referee_queue *q = run->q;
	const struct referee_packed *p = &q->packed;

	run->used_before = p->used.position;
	while (!q->ruined) {
		uint16_t slot = p->used.slot;
		bool wrap = p->used.wrap;

		if (q->outstanding == 0 || !is_used(flags_at(q, slot), wrap)) {
			check_not_used(run, slot, wrap);
			break;
		}
		take_used(run, slot);
	}
}

/* A slot that the device had no business in; ahead: slots from the device's old position. */
static void report_slot(const struct referee_run *run, uint16_t slot, uint32_t ahead)
{
	struct vqsim_referee_queue *q = run->q;
	uint64_t passed = q->packed.used.position - run->used_before;
	uint64_t was_in_flight = q->packed.avail.position - run->used_before;
	enum vqsim_rule rule = VQSIM_RULE_PACKED_TOUCHED;
	const char *where = "a slot that is not in flight";

	if (ahead < passed) {
		rule = referee_in_order(run->referee) ? VQSIM_RULE_IN_ORDER
						      : VQSIM_RULE_PACKED_SKIPPED;
		where = "a slot that the used descriptor before it skips";
	} else if (ahead < was_in_flight) {
		rule = VQSIM_RULE_PACKED_POSITION;
		where = "a slot ahead of the device's position";
		q->ruined = true;
	}
	referee_mark(run->referee, 0, slot);
	vqsim_referee_violation(run->referee, rule, run->queue,
				"%s was written: slot %u, now id %u, flags 0x%x; its position was "
				"slot %u and is slot %u",
				where, slot, le16toh(q->packed.ring[slot].id), flags_at(q, slot),
				referee_place(run->used_before, q->setup.size).slot,
				q->packed.used.slot);
}

static void check_window(const struct referee_run *run)
{
	struct vqsim_referee_queue *q = run->q;
	const struct referee_packed *p = &q->packed;
	uint32_t size = q->setup.size;
	uint16_t old = referee_place(run->used_before, q->setup.size).slot;

	for (uint32_t i = 0; !q->ruined && i < p->window_size; i++) {
		uint32_t slot = p->window + i < size ? p->window + i : p->window + i - size;

		if (same_desc(&p->ring[slot], &q->known[slot]))
			continue;
		report_slot(run, (uint16_t)slot, distance(q, old, slot));
		q->known[slot] = p->ring[slot];
	}
}

static void untouched(const struct referee_run *run)
{
	struct vqsim_referee_queue *q = run->q;
	struct referee_words now = words_now(q);

	if (now.flags != q->before.flags || now.event != q->before.event)
		vqsim_referee_violation(run->referee, VQSIM_RULE_AVAIL_WRITTEN, run->queue,
					"driver area: flags %u event 0x%x were %u, 0x%x", now.flags,
					now.event, q->before.flags, q->before.event);
	if (!window_as_known(run->q))
		check_window(run);
	referee_check_canaries(run);
}

static void reaped(struct vqsim_referee_queue *q)
{
	struct referee_packed *p = &q->packed;

	if (p->lengths_count == 0)
		return;
	p->reaped += q->lengths[p->lengths_first];
	p->lengths_first = (uint16_t)((p->lengths_first + 1u) % q->setup.size);
	p->lengths_count--;
}

static uint64_t hash(struct vqsim_referee *referee, struct vqsim_referee_queue *q, bool buffers)
{
	const struct referee_packed *p = &q->packed;
	uint64_t sum = referee_hash_bytes(REFEREE_HASH_SEED, p->ring, 16u * q->setup.size);

	sum = referee_hash_bytes(sum, p->device, sizeof(*p->device));
	for (uint32_t i = 0; buffers && !q->ruined && i < q->setup.size; i++) {
		struct referee_walk walk = {
			.referee = referee, .only_hash = true, .want_writable = true};

		if (q->chains[i].state != REFEREE_CHAIN_AVAILABLE)
			continue;
		referee_packed_walk(q, &q->chains[i], &walk);
		sum = referee_mix(sum, walk.writable_hash);
	}
	return sum;
}

const struct referee_ring_ops referee_packed_ops = {
	.set_up = set_up,
	.look = look,
	.expect = expect,
	.before_run = before_run,
	.used_early = used_early,
	.used = used,
	.untouched = untouched,
	.notified = referee_packed_notified,
	.at_rest = referee_packed_at_rest,
	.reaped = reaped,
	.spoilt = spoilt,
	.hash = hash,
	.draw = referee_packed_draw,
};
