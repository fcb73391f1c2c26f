/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of the packed ring (virtio 1.3, 2.8).
 *
 *   one ring, written by both                    Driver / Device Event Suppression
 *   +----------------------------+               +----------------+-------+
 *   | addr | len | id | flags    |  size of them | off:15, wrap:1 | flags |
 *   +----------------------------+               +----------------+-------+
 *
 * A descriptor is the driver's to expose and the device's to mark used; two bits
 * of its flags tell whose turn it is, and what they mean turns with each lap:
 *
 *                        AVAIL  USED
 *     exposed, lap w       w     !w      (avail_wrap is the w that is awaited)
 *     used, lap w          w      w      (used_wrap is the w that is written)
 *
 *   used_next .. avail_next     slots of chains in flight: taken, not pushed
 *   batch_next .. used_next     pushed; the first of them keeps its old flags
 *                               until the publish, so that the driver, which goes
 *                               in order, sees none of them before
 *
 * Invariants: slots_in_flight is the distance from used_next to avail_next, and at
 * most size. Buffer ids are any 16 bits; each is in flight at most once.
 *
 * Barriers, in pairs with the driver's:
 *   load of a head's flags is an acquire    <-> driver's release of them, written last
 *   store of used flags is a release        <-> driver's acquire of them
 *   fence between the flags of a batch and loading the driver's event area
 *                                           <-> driver's fence between writing it and
 *                                               looking at the flags
 *   fence between writing our event area and looking at flags
 *                                           <-> driver's fence between exposing and
 *                                               loading our event area
 */
#include "virtqueue_internal.h"

#include <errno.h>

#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1u << VRING_PACKED_DESC_F_USED)

bool packed_map(struct virtqueue *vq)
{
	const struct virtio_queue_setup *s = &vq->setup;
	struct packed_ring *ring = &vq->packed_ring;
	uint64_t size = 16 * (uint64_t)vq->size;

	ring->desc = guest_map_contiguous(vq->map, s->desc_gpa, size, GUEST_READ_WRITE);
	ring->driver = guest_map_contiguous(vq->map, s->driver_gpa, 4, GUEST_READ);
	ring->device = guest_map_contiguous(vq->map, s->device_gpa, 4, GUEST_WRITE);
	vq->simple_max = VIRTQUEUE_INLINE_SEGMENTS;
	return ring->desc && ring->driver && ring->device && (uintptr_t)ring->desc % 8 == 0 &&
	       (uintptr_t)ring->driver % 4 == 0 && (uintptr_t)ring->device % 4 == 0;
}

/* What the device may have written: the ring and its event area. */
static void log_rings(struct virtqueue *vq)
{
	guest_memory_mark_dirty(vq->memory, vq->setup.desc_gpa, 16 * (uint64_t)vq->size);
	guest_memory_mark_dirty(vq->memory, vq->setup.device_gpa, 4);
}

/* How far position to with its wrap is ahead of from, in slots; -1 if that cannot be. */
static int32_t distance(const struct virtqueue *vq, const struct virtio_queue_state *state)
{
	int32_t slots = (int32_t)state->avail_index - state->used_index;

	if (state->avail_wrap != state->used_wrap)
		slots += vq->size;
	return slots <= vq->size ? slots : -1;
}

static bool possible(const struct virtqueue *vq, const struct virtio_queue_state *at)
{
	int32_t slots = distance(vq, at);

	if (at->avail_index >= vq->size || at->used_index >= vq->size || slots < 0)
		return false;
	return slots == 0 || !vq->in_order || noted_left(vq) > 0;
}

int packed_start(struct virtqueue *vq)
{
	const struct virtio_queue_setup *s = &vq->setup;
	struct virtio_queue_state at = s->resume;
	int error;

	if (s->desc_gpa % 16 != 0 || s->driver_gpa % 4 != 0 || s->device_gpa % 4 != 0)
		return -EINVAL;
	if (!s->inflight && !possible(vq, &at))
		return -EINVAL;
	if (!virtqueue_map_ring(vq))
		return -EFAULT;
	error = noted_start(vq, vq->packed_ring.desc, &at);
	if (error)
		return error;
	if (!possible(vq, &at))
		return -EINVAL;
	noted_begin(vq, &at);
	/* Whoever served the queue before may have left DISABLE there; we want kicks. */
	__atomic_store_n((uint32_t *)(void *)vq->packed_ring.device, 0, __ATOMIC_RELAXED);
	if (vq->memory->dirty_log)
		log_rings(vq);
	vq->avail_next = at.avail_index;
	vq->avail_wrap = at.avail_wrap;
	vq->used_next = at.used_index;
	vq->used_wrap = at.used_wrap;
	vq->slots_in_flight = (uint16_t)distance(vq, &at);
	vq->batch_slots = 0;
	return 0;
}

static bool exposed(const struct virtqueue *vq, uint16_t flags)
{
	return !!(flags & F_AVAIL) == vq->avail_wrap && !!(flags & F_USED) != vq->avail_wrap;
}

static uint16_t load_flags(const struct vring_packed_desc *desc)
{
	return le16toh(__atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE));
}

/* An element of a list or a table. Its bytes are loaded once; flags are those of the caller. */
static bool append(struct virtqueue *vq, struct chain_builder *builder,
		   const struct vring_packed_desc *desc, uint16_t flags)
{
	uint64_t gpa = le64toh(__atomic_load_n(&desc->addr, __ATOMIC_RELAXED));
	uint32_t len = le32toh(__atomic_load_n(&desc->len, __ATOMIC_RELAXED));

	flags &= VRING_DESC_F_WRITE;
	if (builder->count < vq->simple_max &&
	    virtqueue_append_simple(vq, builder, gpa, len, flags))
		return true;
	return virtqueue_append(vq, builder, gpa, len, flags);
}

/* 2.8.7: the table is an array; ids and all flags but WRITE mean nothing in it. */
static bool append_table(struct virtqueue *vq, struct chain_builder *builder, uint64_t gpa,
			 uint32_t count)
{
	const struct vring_packed_desc *table =
		(const void *)virtqueue_table(vq, gpa, 16 * (uint64_t)count);
	struct vring_packed_desc copy;

	for (uint32_t i = 0; i < count; i++) {
		const struct vring_packed_desc *desc = table ? &table[i] : &copy;

		if (!table && !virtqueue_read(vq, gpa + 16 * (uint64_t)i, &copy, sizeof(copy)))
			return false;
		if (!append(vq, builder, desc,
			    le16toh(__atomic_load_n(&desc->flags, __ATOMIC_RELAXED))))
			return false;
	}
	return true;
}

static bool enter_table(struct virtqueue *vq, struct chain_builder *builder,
			const struct vring_packed_desc *desc, uint16_t flags)
{
	uint64_t gpa = le64toh(__atomic_load_n(&desc->addr, __ATOMIC_RELAXED));
	uint32_t len = le32toh(__atomic_load_n(&desc->len, __ATOMIC_RELAXED));

	if (!vq->indirect || (flags & VRING_DESC_F_NEXT))
		return virtqueue_break(vq, VIRTQUEUE_FAULT_INDIRECT);
	if (len == 0 || len % 16 != 0)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_TABLE_SIZE);
	if (len / 16 > vq->chain_max)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_CHAIN_TOO_LONG);
	if (gpa > UINT64_MAX - len)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_UNMAPPED);
	return append_table(vq, builder, gpa, len / 16);
}

/*
 * The list that starts at avail_next with these flags. Sets *slots to its length
 * in the ring and *id to that of its last element, the only one that counts.
 */
static bool walk(struct virtqueue *vq, struct chain_builder *builder, uint16_t flags,
		 uint16_t *slots, uint16_t *id)
{
	uint16_t room = vq->size - vq->slots_in_flight;
	uint16_t index = vq->avail_next;
	const struct vring_packed_desc *desc;

	for (*slots = 0;; flags = load_flags(&vq->packed_ring.desc[index])) {
		desc = &vq->packed_ring.desc[index];
		/* Slots in flight are not the driver's to expose again: this also ends a loop. */
		if ((*slots)++ == room)
			return virtqueue_break(vq, VIRTQUEUE_FAULT_CHAIN_TOO_LONG);
		if (!(flags & VRING_DESC_F_INDIRECT)) {
			if (!append(vq, builder, desc, flags))
				return false;
		} else if (*slots > 1) {
			return virtqueue_break(vq, VIRTQUEUE_FAULT_INDIRECT);
		} else if (!enter_table(vq, builder, desc, flags)) {
			return false;
		}
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		index = index + 1u < vq->size ? index + 1u : 0;
	}
	*id = le16toh(__atomic_load_n(&desc->id, __ATOMIC_RELAXED));
	return true;
}

/* Move a ring position, and its wrap counter past the end. */
static inline void advance(const struct virtqueue *vq, uint32_t *position, bool *wrap,
			   uint16_t slots)
{
	*position += slots;
	if (*position >= vq->size) {
		*position -= vq->size;
		*wrap = !*wrap;
	}
}

/* The chain is whole: check what only then is known. */
static inline bool whole(struct virtqueue *vq, const struct chain_builder *builder, uint16_t id)
{
	if (builder->size <= UINT32_MAX + UINT64_C(1) && !vq->head_in_flight[id])
		return true;
	return virtqueue_break(vq, vq->head_in_flight[id] ? VIRTQUEUE_FAULT_HEAD_IN_FLIGHT
							  : VIRTQUEUE_FAULT_CHAIN_SIZE);
}

/* The ring goes on behind it. */
static inline struct virtqueue_chain *finish(struct virtqueue *vq, struct chain_builder *builder,
					     uint16_t slots, uint16_t id)
{
	if (!whole(vq, builder, id))
		return virtqueue_abandon(vq, builder->chain);
	builder->chain->slots = slots;
	vq->slots_in_flight += slots;
	advance(vq, &vq->avail_next, &vq->avail_wrap, slots);
	return virtqueue_commit(vq, builder, id);
}

/* Any chain at all, from its head, whose flags were loaded. */
static __attribute__((noinline)) struct virtqueue_chain *pop_any(struct virtqueue *vq,
								 uint16_t flags)
{
	struct chain_builder builder;
	uint16_t slots = 0, id = 0;

	virtqueue_begin(vq, &builder);
	if (!walk(vq, &builder, flags, &slots, &id))
		return virtqueue_abandon(vq, builder.chain);
	return finish(vq, &builder, slots, id);
}

/*
 * As in split_pop, the usual chain is taken here: a few elements with buffers in the
 * region that was used last. For any other pop_any begins anew, and nothing that was
 * loaded before is used.
 */
struct virtqueue_chain *packed_pop(struct virtqueue *vq)
{
	const struct vring_packed_desc *ring = vq->packed_ring.desc, *desc;
	uint32_t room = vq->size - vq->slots_in_flight, index = vq->avail_next;
	uint16_t head = load_flags(&ring[index]), flags = head;
	struct chain_builder builder;

	/* With every slot in flight, what stands here is a chain that was taken. */
	if (room == 0 || !exposed(vq, head))
		return NULL;
	if (room > vq->simple_max)
		room = vq->simple_max;
	virtqueue_begin(vq, &builder);
	for (;;) {
		desc = &ring[index];
		if (builder.count == room ||
		    !virtqueue_append_simple(
			    vq, &builder, le64toh(__atomic_load_n(&desc->addr, __ATOMIC_RELAXED)),
			    le32toh(__atomic_load_n(&desc->len, __ATOMIC_RELAXED)), flags))
			return pop_any(vq, head);
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		if (++index == vq->size)
			index = 0;
		flags = le16toh(__atomic_load_n(&ring[index].flags, __ATOMIC_RELAXED));
	}
	return finish(vq, &builder, (uint16_t)builder.count,
		      le16toh(__atomic_load_n(&desc->id, __ATOMIC_RELAXED)));
}

/* An element of a list of slots elements: a table is alone. */
static bool append_again(struct virtqueue *vq, struct chain_builder *builder,
			 const struct vring_packed_desc *desc, uint16_t slots)
{
	uint16_t flags = le16toh(desc->flags);

	if (!(flags & VRING_DESC_F_INDIRECT))
		return append(vq, builder, desc, flags);
	if (slots > 1)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_INDIRECT);
	return enter_table(vq, builder, desc, flags);
}

/* Its slots are counted, and the ring stands behind them already. */
struct virtqueue_chain *packed_pop_again(struct virtqueue *vq, uint16_t entry)
{
	const struct inflight *inflight = &vq->notes->inflight;
	uint16_t slots = inflight->links[entry].num, id = 0;
	struct chain_builder builder;

	virtqueue_begin(vq, &builder);
	for (uint16_t i = 0; i < slots; i++) {
		struct vring_packed_desc desc;

		entry = inflight_packed_load(inflight, entry, &desc);
		if (!append_again(vq, &builder, &desc, slots))
			return virtqueue_abandon(vq, builder.chain);
		id = le16toh(desc.id);
	}
	if (!whole(vq, &builder, id))
		return virtqueue_abandon(vq, builder.chain);
	builder.chain->slots = slots;
	return virtqueue_commit(vq, &builder, id);
}

/* One used descriptor, for what has slots in the ring from used_next on. */
static inline void push(struct virtqueue *vq, uint16_t id, uint16_t slots, uint32_t written)
{
	struct vring_packed_desc *desc = &vq->packed_ring.desc[vq->used_next];
	uint16_t flags =
		(vq->used_wrap ? F_AVAIL | F_USED : 0) | (written > 0 ? VRING_DESC_F_WRITE : 0);

	__atomic_store_n(&desc->id, htole16(id), __ATOMIC_RELAXED);
	__atomic_store_n(&desc->len, htole32(written), __ATOMIC_RELAXED);
	if (vq->batch_slots == 0) {
		vq->batch_next = vq->used_next;
		vq->batch_flags = flags;
	} else {
		__atomic_store_n(&desc->flags, htole16(flags), __ATOMIC_RELEASE);
	}
	vq->batch_slots += slots;
	vq->slots_in_flight -= slots;
	advance(vq, &vq->used_next, &vq->used_wrap, slots);
}

void packed_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written)
{
	push(vq, chain->head, chain->slots, written);
}

void packed_push_batch(struct virtqueue *vq, const struct order_batch *batch)
{
	push(vq, batch->id, batch->slots, batch->written);
}

/*
 * 2.8.10: whether the driver wants to hear of the slots of this batch. An offset of
 * the lap that the device has left lies size slots behind the same one of this lap.
 */
static bool wanted(const struct virtqueue *vq, uint16_t batch_slots)
{
	uint32_t event = le32toh(__atomic_load_n(
		(const uint32_t *)(const void *)vq->packed_ring.driver, __ATOMIC_RELAXED));
	uint16_t flags = (event >> 16) & 3;
	uint16_t offset = event & 0x7fff;
	bool wrap = event & 0x8000;

	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return false;
	if (!vq->event_idx || flags != VRING_PACKED_EVENT_FLAG_DESC)
		return true;
	if (wrap != vq->used_wrap)
		offset -= vq->size;
	return (uint16_t)(vq->used_next - offset - 1) < batch_slots;
}

struct virtio_queue_state packed_used_after(const struct virtqueue *vq, uint16_t slots)
{
	uint32_t position = vq->used_next;
	bool wrap = vq->used_wrap;

	advance(vq, &position, &wrap, slots);
	return (struct virtio_queue_state){.used_index = (uint16_t)position, .used_wrap = wrap};
}

inline void packed_show(struct virtqueue *vq)
{
	struct vring_packed_desc *first = &vq->packed_ring.desc[vq->batch_next];

	vq->batch_slots = 0;
	__atomic_store_n(&first->flags, htole16(vq->batch_flags), __ATOMIC_RELEASE);
}

inline bool packed_notify(struct virtqueue *vq, uint16_t slots)
{
	if (vq->memory->dirty_log)
		log_rings(vq);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return wanted(vq, slots);
}

bool packed_publish(struct virtqueue *vq)
{
	uint16_t slots = vq->batch_slots;

	if (slots == 0)
		return false;
	packed_show(vq);
	return packed_notify(vq, slots);
}

static bool look(const struct virtqueue *vq)
{
	return vq->slots_in_flight < vq->size &&
	       exposed(vq, load_flags(&vq->packed_ring.desc[vq->avail_next]));
}

bool packed_enable_kicks(struct virtqueue *vq)
{
	uint32_t event = vq->avail_next | (uint32_t)vq->avail_wrap << 15 |
			 (uint32_t)VRING_PACKED_EVENT_FLAG_DESC << 16;

	/* Without EVENT_IDX our flags stay 0, ENABLE: the driver kicks for every exposure. */
	if (!vq->event_idx)
		return false;
	__atomic_store_n((uint32_t *)(void *)vq->packed_ring.device, htole32(event),
			 __ATOMIC_RELAXED);
	if (vq->memory->dirty_log)
		log_rings(vq);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* A chain that waits for a free block is no news; it is taken after a push. */
	return look(vq) && !vq->starved;
}
