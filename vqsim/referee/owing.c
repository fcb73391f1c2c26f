/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device of another process, which works while nobody calls it, has still to do before it
 * can be judged as one that was called and came back: use, notify, ask for a kick. Nothing is
 * remembered here; a ring that makes no sense owes nothing, so that its judge gets to see it.
 */
#include <endian.h>

#include "packed_internal.h"
#include "referee_internal.h"

#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1u << VRING_PACKED_DESC_F_USED)

#define EVENT_FLAGS 0x3u

static enum vqsim_owing owes(bool something)
{
	return something ? VQSIM_OWES : VQSIM_OWES_NOTHING;
}

/* A malformed chain may keep others from being served, and itself for ever. */
static enum vqsim_owing owes_chains(const struct vqsim_referee_queue *q)
{
	return q->malformed ? VQSIM_OWES_WHO_KNOWS : VQSIM_OWES;
}

static bool split_due(const struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
		      uint16_t now)
{
	uint16_t added = now - q->used_seen;

	if (referee_event_idx(referee))
		return (uint16_t)(now - q->before.event - 1) < added;
	return added && !(q->before.flags & VRING_AVAIL_F_NO_INTERRUPT);
}

static enum vqsim_owing owing_split(const struct vqsim_referee *referee,
				    const struct vqsim_referee_queue *q, bool notified)
{
	uint16_t now = le16toh(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE));
	uint16_t added = now - q->used_seen;

	if (added > q->outstanding)
		return VQSIM_OWES_NOTHING;
	if (added < q->outstanding)
		return owes_chains(q);
	if (!notified && split_due(referee, q, now))
		return VQSIM_OWES;
	if (referee_event_idx(referee))
		return owes(le16toh(*q->avail_event) != q->avail_seen);
	return owes(le16toh(q->used->flags) & VRING_USED_F_NO_NOTIFY);
}

/*
 * Go over the chains that the used descriptor at *place stands for, the first of which is the
 * waiting'th of those that wait. Returns how many; 0: it names none.
 */
static uint16_t pass_used(const struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
			  uint16_t waiting, struct referee_place *place)
{
	uint16_t id = le16toh(q->packed.ring[place->slot].id);
	uint16_t record = referee_packed_record_find(q, id), count = 0;

	if (record == REFEREE_NONE || q->chains[record].state != REFEREE_CHAIN_AVAILABLE)
		return 0;
	if (!referee_in_order(referee)) {
		referee_place_advance(place, q->setup.size, q->chains[record].count);
		return 1;
	}
	while (waiting + count < q->outstanding) {
		uint16_t next = q->order[(q->order_first + waiting + count) % q->setup.size];

		referee_place_advance(place, q->setup.size, q->chains[next].count);
		count++;
		if (next == record)
			return count;
	}
	return 0;
}

static bool is_used(const struct vqsim_referee_queue *q, const struct referee_place *place)
{
	uint16_t flags =
		le16toh(__atomic_load_n(&q->packed.ring[place->slot].flags, __ATOMIC_ACQUIRE));

	return !!(flags & F_AVAIL) == place->wrap && !!(flags & F_USED) == place->wrap;
}

static bool packed_due(const struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
		       uint64_t slots)
{
	switch (q->before.flags) {
	case VRING_PACKED_EVENT_FLAG_ENABLE:
		return slots > 0;
	case VRING_PACKED_EVENT_FLAG_DESC:
		return referee_event_idx(referee) && (q->before.event & 0x7fff) < q->setup.size &&
		       referee_packed_event_passed(q, q->packed.used.position, slots);
	default:
		return false;
	}
}

static enum vqsim_owing owing_kick_packed(const struct vqsim_referee_queue *q)
{
	const struct referee_place *avail = &q->packed.avail;
	uint16_t flags = le16toh(q->packed.device->flags) & EVENT_FLAGS;

	if (flags == VRING_PACKED_EVENT_FLAG_DESC)
		return owes(le16toh(q->packed.device->off_wrap) !=
			    (avail->slot | avail->wrap << 15));
	return owes(flags == VRING_PACKED_EVENT_FLAG_DISABLE);
}

static enum vqsim_owing owing_packed(const struct vqsim_referee *referee,
				     const struct vqsim_referee_queue *q, bool notified)
{
	struct referee_place place = q->packed.used;
	uint16_t count = 0;

	while (count < q->outstanding && is_used(q, &place)) {
		uint16_t passed = pass_used(referee, q, count, &place);

		if (!passed)
			return VQSIM_OWES_NOTHING;
		count += passed;
	}
	if (count < q->outstanding)
		return owes_chains(q);
	if (!notified && packed_due(referee, q, place.position - q->packed.used.position))
		return VQSIM_OWES;
	return owing_kick_packed(q);
}

enum vqsim_owing vqsim_referee_owing(const struct vqsim_referee *referee, uint16_t queue,
				     uint64_t notifications)
{
	const struct vqsim_referee_queue *q;

	if (queue >= referee->queue_count || referee->in_reset || referee->needs_reset)
		return VQSIM_OWES_NOTHING;
	q = &referee->queues[queue];
	if (q->in_reset)
		return VQSIM_OWES_NOTHING;
	if (!q->readable || q->ruined)
		return VQSIM_OWES_WHO_KNOWS;
	return (q->ops == &referee_packed_ops ? owing_packed : owing_split)(
		referee, q, notifications != q->notifications);
}
