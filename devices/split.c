/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of the split ring (virtio 1.3, 2.7).
 *
 *   descriptor table      available ring            used ring
 *   (driver writes)       (driver writes)           (device writes)
 *   +-----------------+   +-----+-----+---------+   +-----+-----+---------------+
 *   | addr len fl nxt |   |flags| idx | heads...|   |flags| idx | {id, len}...  |
 *   | ...             |   +-----+-----+---------+   +-----+-----+---------------+
 *   +-----------------+    used_event behind it      avail_event behind it
 *
 *   avail_next .. avail_seen   exposed, not taken      (both free-running, 16 bits)
 *   used_shown .. used_next    pushed, not yet shown
 *
 * Invariants: avail_seen - avail_next <= size. used_next - used_shown <= size.
 * A head is marked in head_in_flight from the pop to the push.
 *
 * Barriers, in pairs with the driver's:
 *   load of avail->idx is an acquire      <-> driver's release of it after filling
 *   store of used->idx is a release       <-> driver's acquire of it before reading
 *   fence between storing used->idx and loading flags/used_event
 *                                         <-> driver's fence between asking for a
 *                                             notification and looking at used->idx
 *   fence between storing avail_event and loading avail->idx
 *                                         <-> driver's fence between storing
 *                                             avail->idx and loading avail_event
 */
#include "virtqueue_internal.h"

#include <endian.h>
#include <errno.h>

/*
 * Find the parts of the ring (2.7). The event fields belong to them whether or
 * not EVENT_IDX is negotiated. A descriptor table may cross regions; available and
 * used ring must each be in one piece in this process.
 */
bool split_map(struct virtqueue *vq)
{
	const struct virtio_queue_setup *s = &vq->setup;
	struct split_ring *ring = &vq->split;
	uint64_t size = vq->size;

	if (!virtqueue_readable(vq, s->desc_gpa, 16 * size))
		return false;
	ring->desc = virtqueue_table(vq, s->desc_gpa, 16 * size);
	ring->avail = guest_map_contiguous(vq->map, s->driver_gpa, 6 + 2 * size, GUEST_READ);
	ring->used = guest_map_contiguous(vq->map, s->device_gpa, 6 + 8 * size, GUEST_WRITE);
	/* The host address of a region is the transport's choice, and may be odd. */
	if (!ring->avail || !ring->used || (uintptr_t)ring->avail % 2 || (uintptr_t)ring->used % 4)
		return false;
	ring->used_event = &ring->avail->ring[size];
	ring->avail_event = (uint16_t *)(void *)&ring->used->ring[size];
	return true;
}

static bool aligned(const struct virtio_queue_setup *setup)
{
	return setup->desc_gpa % 16 == 0 && setup->driver_gpa % 2 == 0 &&
	       setup->device_gpa % 4 == 0;
}

int split_start(struct virtqueue *vq)
{
	const struct virtio_queue_state *resume = &vq->setup.resume;

	if ((vq->size & (vq->size - 1)) != 0 || !aligned(&vq->setup))
		return -EINVAL;
	if ((uint16_t)(resume->avail_index - resume->used_index) > vq->size)
		return -EINVAL;
	if (!split_map(vq))
		return -EFAULT;
	vq->mask = vq->size - 1;
	vq->avail_next = resume->avail_index;
	vq->avail_seen = resume->avail_index;
	vq->used_next = resume->used_index;
	vq->used_shown = resume->used_index;
	return 0;
}

/* A descriptor in host byte order. */
struct descriptor {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* The descriptors of one table. */
struct walk {
	const struct vring_desc *table; /* NULL: not in one piece here, read it through gpa */
	uint64_t gpa;
	uint32_t size; /* entries */
	bool indirect;
};

static inline struct descriptor decode(uint64_t first, uint64_t second)
{
	second = le64toh(second);
	return (struct descriptor){
		.gpa = le64toh(first),
		.len = (uint32_t)second,
		.flags = (uint16_t)(second >> 32),
		.next = (uint16_t)(second >> 48),
	};
}

/* Each byte of a descriptor is loaded once, and the compiler cannot make it twice. */
static inline bool load(struct virtqueue *vq, const struct walk *walk, uint16_t index,
			struct descriptor *desc)
{
	uint64_t copy[2];

	if (walk->table) {
		const uint64_t *words = (const void *)&walk->table[index];

		*desc = decode(__atomic_load_n(&words[0], __ATOMIC_RELAXED),
			       __atomic_load_n(&words[1], __ATOMIC_RELAXED));
		return true;
	}
	if (!virtqueue_read(vq, walk->gpa + 16 * (uint64_t)index, copy, sizeof(copy)))
		return false;
	*desc = decode(copy[0], copy[1]);
	return true;
}

/* Look whether the driver exposed more. Returns whether there is something to take. */
static bool look(struct virtqueue *vq)
{
	uint16_t index = le16toh(__atomic_load_n(&vq->split.avail->idx, __ATOMIC_ACQUIRE));

	if ((uint16_t)(index - vq->avail_next) > vq->size)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_INDEX_JUMP);
	vq->avail_seen = index;
	return index != vq->avail_next;
}

static bool walk_table(struct virtqueue *vq, struct chain_builder *builder, const struct walk *walk,
		       uint16_t first);

/* 2.7.5.3: an indirect table ends the chain it hangs on; WRITE on it is ignored. */
static bool enter_table(struct virtqueue *vq, struct chain_builder *builder,
			const struct descriptor *desc)
{
	struct walk walk = {.gpa = desc->gpa, .size = desc->len / 16, .indirect = true};

	if (!vq->indirect || (desc->flags & VRING_DESC_F_NEXT))
		return virtqueue_break(vq, VIRTQUEUE_FAULT_INDIRECT);
	if (desc->len == 0 || desc->len % 16 != 0 || walk.size > VIRTQUEUE_SIZE_MAX)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_TABLE_SIZE);
	if (desc->gpa > UINT64_MAX - desc->len)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_UNMAPPED);
	walk.table = virtqueue_table(vq, desc->gpa, desc->len);
	/* The pointing descriptor carries no buffer and does not count. */
	builder->descriptors--;
	return walk_table(vq, builder, &walk, 0);
}

static bool walk_table(struct virtqueue *vq, struct chain_builder *builder, const struct walk *walk,
		       uint16_t first)
{
	uint32_t cap = walk->indirect ? vq->chain_max : vq->size;
	struct descriptor desc = {.next = first};

	do {
		uint16_t index = desc.next;

		if (index >= walk->size)
			return virtqueue_break(vq, VIRTQUEUE_FAULT_NEXT_RANGE);
		/* Counting hops is what ends a loop: empty descriptors never exceed a size. */
		if (builder->descriptors++ == cap)
			return virtqueue_break(vq, VIRTQUEUE_FAULT_CHAIN_TOO_LONG);
		if (!load(vq, walk, index, &desc))
			return false;
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (walk->indirect)
				return virtqueue_break(vq, VIRTQUEUE_FAULT_INDIRECT);
			return enter_table(vq, builder, &desc);
		}
		if (!virtqueue_append(vq, builder, desc.gpa, desc.len,
				      desc.flags & VRING_DESC_F_WRITE))
			return false;
	} while (desc.flags & VRING_DESC_F_NEXT);
	return true;
}

bool split_pop(struct virtqueue *vq, struct chain_builder *builder)
{
	struct walk walk = {
		.table = vq->split.desc,
		.gpa = vq->setup.desc_gpa,
		.size = vq->size,
	};
	uint16_t head;

	if (vq->avail_next == vq->avail_seen && !look(vq))
		return false;
	head = le16toh(__atomic_load_n(&vq->split.avail->ring[vq->avail_next & vq->mask],
				       __ATOMIC_RELAXED));
	if (head >= vq->size)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_HEAD_RANGE);
	if (vq->head_in_flight[head])
		return virtqueue_break(vq, VIRTQUEUE_FAULT_HEAD_IN_FLIGHT);
	if (!walk_table(vq, builder, &walk, head))
		return false;
	if (builder->readable_size + builder->writable_size > UINT32_MAX + UINT64_C(1))
		return virtqueue_break(vq, VIRTQUEUE_FAULT_CHAIN_SIZE);
	vq->head_in_flight[head] = 1;
	builder->chain->head = head;
	vq->avail_next++;
	return true;
}

void split_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	struct vring_used_elem *elem = &vq->split.used->ring[vq->used_next & vq->mask];

	__atomic_store_n(&elem->id, htole32(head), __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, htole32(written), __ATOMIC_RELAXED);
	vq->used_next++;
}

/* The used ring as a range of guest addresses, for the dirty log. */
static void log_used(struct virtqueue *vq)
{
	guest_memory_mark_dirty(vq->dev->memory, vq->setup.device_gpa, 6 + 8 * (uint64_t)vq->size);
}

/* 2.7.7.2: whether the driver wants to hear of the entries from old to vq->used_shown. */
static bool wanted(const struct virtqueue *vq, uint16_t old)
{
	uint16_t event;

	if (!vq->event_idx)
		return !(le16toh(__atomic_load_n(&vq->split.avail->flags, __ATOMIC_RELAXED)) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	event = le16toh(__atomic_load_n(vq->split.used_event, __ATOMIC_RELAXED));
	return (uint16_t)(vq->used_shown - event - 1) < (uint16_t)(vq->used_shown - old);
}

bool split_publish(struct virtqueue *vq)
{
	uint16_t old = vq->used_shown;

	if (old == vq->used_next)
		return false;
	vq->used_shown = vq->used_next;
	__atomic_store_n(&vq->split.used->idx, htole16(vq->used_shown), __ATOMIC_RELEASE);
	if (vq->dev->memory->dirty_log)
		log_used(vq);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return wanted(vq, old);
}

bool split_enable_kicks(struct virtqueue *vq)
{
	/* Chains that wait for a free block are no news; they are taken after a push. */
	bool backlog = vq->avail_next != vq->avail_seen;

	/* Without EVENT_IDX used->flags stays 0: the driver kicks for every publish. */
	if (!vq->event_idx)
		return false;
	__atomic_store_n(vq->split.avail_event, htole16(vq->avail_next), __ATOMIC_RELAXED);
	if (vq->dev->memory->dirty_log)
		log_used(vq);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return look(vq) && !backlog;
}
