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
 *   avail_next .. avail_seen   exposed, not taken      (all free-running)
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
	vq->simple_max = 0;
	if (ring->desc)
		vq->simple_max =
			vq->size < VIRTQUEUE_INLINE_SEGMENTS ? vq->size : VIRTQUEUE_INLINE_SEGMENTS;
	ring->avail = guest_map_contiguous(vq->map, s->driver_gpa, 6 + 2 * size, GUEST_READ);
	ring->used = guest_map_contiguous(vq->map, s->device_gpa, 6 + 8 * size, GUEST_WRITE);
	/* The host address of a region is the transport's choice, and may be odd. */
	if (!ring->avail || !ring->used || (uintptr_t)ring->avail % 2 || (uintptr_t)ring->used % 4)
		return false;
	ring->used_event = &ring->avail->ring[size];
	ring->avail_event = (uint16_t *)(void *)&ring->used->ring[size];
	return true;
}

/* The used ring as a range of guest addresses, for the dirty log. */
static void log_used(struct virtqueue *vq)
{
	guest_memory_mark_dirty(vq->memory, vq->setup.device_gpa, 6 + 8 * (uint64_t)vq->size);
}

static bool aligned(const struct virtio_queue_setup *setup)
{
	return setup->desc_gpa % 16 == 0 && setup->driver_gpa % 2 == 0 &&
	       setup->device_gpa % 4 == 0;
}

/* How many chains may have been taken and not used. */
static bool possible(const struct virtqueue *vq, const struct virtio_queue_state *at)
{
	uint32_t max = vq->in_order ? noted_left(vq) : vq->size;

	return (uint16_t)(at->avail_index - at->used_index) <= max;
}

int split_start(struct virtqueue *vq)
{
	struct virtio_queue_state at = vq->setup.resume;
	int error;

	if ((vq->size & (vq->size - 1)) != 0 || !aligned(&vq->setup))
		return -EINVAL;
	if (!vq->setup.inflight && !possible(vq, &at))
		return -EINVAL;
	if (!virtqueue_map_ring(vq))
		return -EFAULT;
	error = noted_start(vq, vq->split.used, &at);
	if (error)
		return error;
	if (!possible(vq, &at))
		return -EINVAL;
	noted_begin(vq, &at);
	/* Whoever served the queue before may have left NO_NOTIFY there; we want kicks. */
	__atomic_store_n(&vq->split.used->flags, 0, __ATOMIC_RELAXED);
	if (vq->memory->dirty_log)
		log_used(vq);
	vq->mask = vq->size - 1;
	vq->avail_next = at.avail_index;
	vq->avail_seen = at.avail_index;
	vq->used_next = at.used_index;
	vq->used_shown = at.used_index;
	return 0;
}

/* A descriptor in host byte order. */
struct descriptor {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* The table that a walk is in, and how far it may go. */
struct walk {
	const struct vring_desc *table; /* NULL: not in one piece here, read it through gpa */
	uint64_t gpa;
	uint32_t size; /* entries */
	uint32_t left; /* descriptors that the chain may still have */
	bool indirect;
};

/* Each byte of a descriptor is loaded once, and the compiler cannot make it twice. */
static inline struct descriptor load(const struct vring_desc *desc)
{
	return (struct descriptor){
		.gpa = le64toh(__atomic_load_n(&desc->addr, __ATOMIC_RELAXED)),
		.len = le32toh(__atomic_load_n(&desc->len, __ATOMIC_RELAXED)),
		.flags = le16toh(__atomic_load_n(&desc->flags, __ATOMIC_RELAXED)),
		.next = le16toh(__atomic_load_n(&desc->next, __ATOMIC_RELAXED)),
	};
}

/* The same for a table that is in pieces. */
static bool gather(struct virtqueue *vq, uint64_t gpa, struct descriptor *desc)
{
	struct vring_desc copy;

	if (!virtqueue_read(vq, gpa, &copy, sizeof(copy)))
		return false;
	*desc = load(&copy);
	return true;
}

/* Look whether the driver exposed more. Returns whether there is something to take. */
static bool look(struct virtqueue *vq)
{
	uint16_t index = le16toh(__atomic_load_n(&vq->split.avail->idx, __ATOMIC_ACQUIRE));
	uint16_t exposed = index - vq->avail_next;

	if (exposed > vq->size)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_INDEX_JUMP);
	vq->avail_seen = vq->avail_next + exposed;
	return exposed > 0;
}

/*
 * 2.7.5.3: an indirect table ends the chain it hangs on; WRITE on it is ignored.
 * Returns whether the walk goes on at its first entry.
 */
static bool enter_table(struct virtqueue *vq, struct walk *walk, const struct descriptor *desc)
{
	uint32_t size = desc->len / 16;

	if (!vq->indirect || walk->indirect || (desc->flags & VRING_DESC_F_NEXT))
		return virtqueue_break(vq, VIRTQUEUE_FAULT_INDIRECT);
	if (desc->len == 0 || desc->len % 16 != 0 || size > VIRTQUEUE_SIZE_MAX)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_TABLE_SIZE);
	if (desc->gpa > UINT64_MAX - desc->len)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_UNMAPPED);
	walk->table = virtqueue_table(vq, desc->gpa, desc->len);
	walk->gpa = desc->gpa;
	walk->size = size;
	/* A higher cap; the pointing descriptor carries no buffer and does not count. */
	walk->left += vq->chain_max - vq->size + 1;
	walk->indirect = true;
	return true;
}

/* Replace desc by the one it leads to. */
static bool follow(struct virtqueue *vq, struct walk *walk, struct descriptor *desc)
{
	uint16_t index = desc->next;

	if (index >= walk->size)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_NEXT_RANGE);
	/* Counting hops is what ends a loop: empty descriptors never exceed a size. */
	if (walk->left-- == 0)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_CHAIN_TOO_LONG);
	if (!walk->table)
		return gather(vq, walk->gpa + 16 * (uint64_t)index, desc);
	*desc = load(&walk->table[index]);
	return true;
}

static bool take(struct virtqueue *vq, struct walk *walk, struct chain_builder *builder,
		 struct descriptor *desc)
{
	if (!(desc->flags & VRING_DESC_F_INDIRECT))
		return virtqueue_append(vq, builder, desc->gpa, desc->len, desc->flags);
	if (!enter_table(vq, walk, desc))
		return false;
	desc->flags = VRING_DESC_F_NEXT;
	desc->next = 0;
	return true;
}

static inline struct virtqueue_chain *finish(struct virtqueue *vq, struct chain_builder *builder,
					     uint16_t head)
{
	if (builder->size > UINT32_MAX + UINT64_C(1)) {
		virtqueue_break(vq, VIRTQUEUE_FAULT_CHAIN_SIZE);
		return virtqueue_abandon(vq, builder->chain);
	}
	vq->avail_next++;
	return virtqueue_commit(vq, builder, head);
}

/*
 * The rest of a chain. desc is loaded but not taken; it is the last of visited
 * descriptors. The arguments are copies, so that those of split_pop can stay in
 * registers.
 */
static __attribute__((noinline)) struct virtqueue_chain *pop_rest(struct virtqueue *vq,
								  struct chain_builder builder,
								  struct descriptor desc,
								  uint16_t visited, uint16_t head)
{
	struct walk walk = {
		.table = vq->split.desc,
		.gpa = vq->setup.desc_gpa,
		.size = vq->size,
		.left = vq->size - visited,
	};

	while (take(vq, &walk, &builder, &desc)) {
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return finish(vq, &builder, head);
		if (!follow(vq, &walk, &desc))
			break;
	}
	return virtqueue_abandon(vq, builder.chain);
}

/* The next entry of the available ring, checked. Returns false: there is none, or it is bad. */
static inline bool next_head(struct virtqueue *vq, uint16_t *head)
{
	if (vq->avail_next == vq->avail_seen && !look(vq))
		return false;
	*head = le16toh(__atomic_load_n(&vq->split.avail->ring[vq->avail_next & vq->mask],
					__ATOMIC_RELAXED));
	if (*head >= vq->size)
		return virtqueue_break(vq, VIRTQUEUE_FAULT_HEAD_RANGE);
	if (vq->head_in_flight[*head])
		return virtqueue_break(vq, VIRTQUEUE_FAULT_HEAD_IN_FLIGHT);
	return true;
}

/*
 * Nearly every chain is made of a few descriptors of the ring itself, with buffers in
 * the region that was used last. This function takes those, one segment for each
 * descriptor, and leaves what is not so to pop_rest.
 */
struct virtqueue_chain *split_pop(struct virtqueue *vq)
{
	struct chain_builder builder;
	uint16_t head, next, flags;
	uint64_t gpa;
	uint32_t len;

	if (!next_head(vq, &head))
		return NULL;
	virtqueue_begin(vq, &builder);
	if (vq->simple_max == 0)
		return pop_rest(vq, builder, (struct descriptor){0, 0, VRING_DESC_F_NEXT, head}, 0,
				head);
	next = head;
	do {
		const struct vring_desc *desc = &vq->split.desc[next];

		/* load() in four variables: gcc 12 keeps a struct that may be passed on in memory. */
		gpa = le64toh(__atomic_load_n(&desc->addr, __ATOMIC_RELAXED));
		len = le32toh(__atomic_load_n(&desc->len, __ATOMIC_RELAXED));
		flags = le16toh(__atomic_load_n(&desc->flags, __ATOMIC_RELAXED));
		next = le16toh(__atomic_load_n(&desc->next, __ATOMIC_RELAXED));
		if (!virtqueue_append_simple(vq, &builder, gpa, len, flags))
			return pop_rest(vq, builder, (struct descriptor){gpa, len, flags, next},
					builder.count + 1, head);
		if (!(flags & VRING_DESC_F_NEXT))
			return finish(vq, &builder, head);
	} while (next < vq->size && builder.count < vq->simple_max);
	/* As if an empty buffer stood between this one and the next. */
	flags = VRING_DESC_F_NEXT | builder.direction;
	return pop_rest(vq, builder, (struct descriptor){0, 0, flags, next}, builder.count, head);
}

struct virtqueue_chain *split_pop_again(struct virtqueue *vq, uint16_t head)
{
	struct virtqueue_chain *chain;
	struct chain_builder builder;

	/* It was counted when it was taken first. */
	vq->avail_next--;
	virtqueue_begin(vq, &builder);
	chain = pop_rest(vq, builder, (struct descriptor){0, 0, VRING_DESC_F_NEXT, head}, 0, head);
	if (!chain)
		vq->avail_next++;
	return chain;
}

/* 2.7.7.2: whether the driver wants to hear of the entries from old to vq->used_shown. */
static bool wanted(const struct virtqueue *vq, uint32_t old)
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
	uint32_t old = vq->used_shown;

	if (old == vq->used_next)
		return false;
	vq->used_shown = vq->used_next;
	__atomic_store_n(&vq->split.used->idx, htole16(vq->used_shown), __ATOMIC_RELEASE);
	if (vq->memory->dirty_log)
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
	if (vq->memory->dirty_log)
		log_used(vq);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return look(vq) && !backlog;
}
