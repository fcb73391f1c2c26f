/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What virtqueue.c and the ring formats share. Not for devices.
 */
#ifndef DEVICES_VIRTQUEUE_INTERNAL_H
#define DEVICES_VIRTQUEUE_INTERNAL_H

#include <endian.h>

#include "guest_memory.h"
#include "inflight_internal.h"
#include "virtqueue.h"

#define VIRTQUEUE_NO_BLOCK UINT16_MAX

/* Large blocks a queue owns at the most; virtqueue.h says what happens when they are out. */
#define VIRTQUEUE_BLOCKS_MAX 64u

/* The region that a translation used last: reads and writes each have their own. */
struct region_cache {
	uint64_t gpa;
	uint64_t size; /* 0: empty */
	uint8_t *hva;  /* of gpa */
};

/* Positions of both rings. Everything the driver can write is behind these pointers. */
struct split_ring {
	const struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t *used_event;  /* behind the available ring: read */
	uint16_t *avail_event; /* behind the used ring: written */
};

struct packed_ring {
	struct vring_packed_desc *desc;
	struct vring_packed_desc_event *driver; /* Driver Event Suppression: read */
	struct vring_packed_desc_event *device; /* Device Event Suppression: written */
};

/* What a queue works with now. */
enum ring_kind {
	RING_NONE, /* not started, or it went away with a change of the map */
	RING_SPLIT,
	RING_PACKED,
	RING_IN_ORDER, /* of either format */
	RING_NOTED,    /* of either format and order, with an inflight area */
};

/* IN_ORDER: done chains for which one used entry is to be written, if there are any. */
struct order_batch {
	uint32_t chains;
	uint32_t written; /* of the last one */
	uint16_t slots;   /* packed: in the ring, of all */
	uint16_t id;      /* of the last one */
};

/* A chain that was pushed and is not published. Its slot is free already, its head is not. */
struct noted_push {
	uint32_t written;
	uint16_t head;
	uint16_t slots;
	uint16_t entry;
};

/* A queue with an inflight area; what is done with it stands in noted.c. */
struct notes {
	struct inflight inflight;
	uint32_t pushed_count;
	bool owed; /* whether the driver heard of the last used chains is not known */
	struct noted_push pushed[]; /* of the size of the queue */
};

struct virtqueue {
	/* What every request touches. */
	union {
		struct split_ring split;
		struct packed_ring packed_ring;
	};
	uint16_t size;
	uint16_t mask; /* size - 1 */
	/*
	 * Of their 32 bits the ring shows 16: processors pass a counter on from its store
	 * to the next load without a delay only if it is that wide.
	 */
	uint32_t avail_next; /* next entry to take */
	uint32_t avail_seen; /* the driver's index at the last look */
	uint32_t used_next;  /* next entry to write */
	uint32_t used_shown; /* split: what the driver may see */
	uint32_t in_flight;
	enum ring_kind ring;
	struct notes *notes; /* NULL: no inflight area */
	bool packed;         /* what the features say */
	bool in_order;
	bool event_idx;
	bool indirect;
	bool started;
	bool starved;    /* no block was free when one was last needed */
	bool refreshing; /* a chain is being taken with a new map */
	bool again;      /* a chain was given up because the map has changed since it was begun */
	enum virtqueue_fault fault;
	size_t simple_max;            /* segments of a chain taken the short way, 0: none */
	uint32_t chain_max;           /* descriptors */
	struct region_cache cache[2]; /* [0] device reads, [1] device writes */

	/* Packed: what they are stands in packed.c. */
	uint32_t slots_in_flight;
	uint32_t batch_next;
	uint32_t batch_slots;
	uint16_t batch_flags;
	bool avail_wrap;
	bool used_wrap;

	struct virtqueue_chain *chains;
	struct virtqueue_chain *free_chain; /* NULL: all are in flight */
	uint8_t *head_in_flight;            /* by head; packed: by buffer id */
	struct guest_memory *memory;        /* of dev */
	struct guest_map *map;
	uint32_t generation;

	/* What only long chains and changes touch. */
	uint16_t free_block;
	uint16_t block_count;
	uint32_t block_segments;
	uint16_t *block_next;
	struct iovec *blocks;
	size_t block_room; /* segments in blocks; outlives a stop */
	uint32_t oldest;   /* IN_ORDER: slot of the chain to be used next */
	struct order_batch order;
	struct virtio_device *dev;
	struct virtio_queue_setup setup;
};

/*
 * A chain while it is being read from the ring. Buffers have one direction until it
 * turns, once, from readable to writable; what the chain knows of its readable part
 * is valid from then on.
 */
struct chain_builder {
	struct virtqueue_chain *chain;
	const struct region_cache *cache; /* of the present direction */
	uint64_t size;                    /* bytes of all buffers */
	size_t count;                     /* segments; of the width of an index, as it is one */
	uint32_t direction;               /* 0, or VRING_DESC_F_WRITE after the turn */
};

/*
 * Find the ring in the map, asking the transport for what is missing. Returns false: it is
 * not there, or cannot be used as it lies.
 */
bool virtqueue_map_ring(struct virtqueue *vq);

/* Break the queue; always returns false. The first fault is kept. */
__attribute__((cold)) bool virtqueue_break(struct virtqueue *vq, enum virtqueue_fault fault);

/* Start a chain in the free slot, of which there is one. */
static inline void virtqueue_begin(struct virtqueue *vq, struct chain_builder *builder)
{
	builder->chain = vq->free_chain;
	builder->cache = &vq->cache[0];
	builder->size = 0;
	builder->count = 0;
	builder->direction = 0;
}

/* From here on the buffers are writable. */
static inline void virtqueue_turn(struct virtqueue *vq, struct chain_builder *builder)
{
	builder->direction = VRING_DESC_F_WRITE;
	builder->cache = &vq->cache[1];
	builder->chain->readable_count = (uint32_t)builder->count;
	builder->chain->readable_size = builder->size;
}

/*
 * Append one buffer if that is simple: it is not empty, its direction (flags) fits,
 * and it lies in the cached region. The caller knows that there is room in the
 * chain's slot. Returns false: it is not, and nothing was appended.
 */
static inline bool virtqueue_append_simple(struct virtqueue *vq, struct chain_builder *builder,
					   uint64_t gpa, uint32_t len, uint16_t flags)
{
	struct iovec *iov = &builder->chain->inline_iov[builder->count];
	uint64_t offset, end;

	if ((flags & (VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT)) != builder->direction) {
		if ((flags & VRING_DESC_F_INDIRECT) || builder->direction)
			return false;
		virtqueue_turn(vq, builder);
	}
	/* An empty buffer and one that wraps end at or before their offset. */
	offset = gpa - builder->cache->gpa;
	end = offset + len;
	if (end > builder->cache->size || end <= offset)
		return false;
	iov->iov_base = builder->cache->hva + offset;
	iov->iov_len = len;
	builder->count++;
	builder->size += len;
	return true;
}

/*
 * Append one buffer, whatever it is like. Returns false: the queue is broken, or no
 * block is free and the chain has to be taken again later.
 */
bool virtqueue_append(struct virtqueue *vq, struct chain_builder *builder, uint64_t gpa,
		      uint32_t len, uint16_t flags);

/*
 * Give up a chain that was begun; the slot stays free. Returns NULL, or, if the map has
 * changed since it was begun, the chain taken again.
 */
struct virtqueue_chain *virtqueue_abandon(struct virtqueue *vq, struct virtqueue_chain *chain);

/* The chain is complete and in flight from here on. */
static inline struct virtqueue_chain *virtqueue_commit(struct virtqueue *vq,
						       struct chain_builder *builder, uint32_t head)
{
	struct virtqueue_chain *chain = builder->chain;

	if (!builder->direction)
		virtqueue_turn(vq, builder);
	chain->writable_count = (uint32_t)builder->count - chain->readable_count;
	chain->writable_size = builder->size - chain->readable_size;
	chain->head = head;
	vq->free_chain = chain->next_free;
	vq->in_flight++;
	vq->head_in_flight[head] = 1;
	return chain;
}

/*
 * A host pointer to a descriptor table of size bytes. NULL: it is not in one
 * piece in this process or not aligned for its words; use virtqueue_read.
 */
const struct vring_desc *virtqueue_table(struct virtqueue *vq, uint64_t gpa, uint64_t size);

/* Whether the device may read the range, in however many regions. */
bool virtqueue_readable(struct virtqueue *vq, uint64_t gpa, uint64_t size);

/* Copy bytes out of guest memory, over regions. Returns false: the queue is broken. */
bool virtqueue_read(struct virtqueue *vq, uint64_t gpa, void *buf, uint32_t size);

/* split.c */
int split_start(struct virtqueue *vq);
bool split_map(struct virtqueue *vq);
struct virtqueue_chain *split_pop(struct virtqueue *vq);
/* The chain of head, which the ring has passed already. */
struct virtqueue_chain *split_pop_again(struct virtqueue *vq, uint16_t head);
bool split_publish(struct virtqueue *vq);
bool split_enable_kicks(struct virtqueue *vq);

/* packed.c */
int packed_start(struct virtqueue *vq);
bool packed_map(struct virtqueue *vq);
struct virtqueue_chain *packed_pop(struct virtqueue *vq);
/* A chain that the ring has passed already, from the inflight area. */
struct virtqueue_chain *packed_pop_again(struct virtqueue *vq, uint16_t entry);
/* The used position behind count slots more. */
struct virtio_queue_state packed_used_after(const struct virtqueue *vq, uint16_t slots);
/* A publish in two: the flags that show what was pushed; whether the driver wants to hear of it. */
void packed_show(struct virtqueue *vq);
bool packed_notify(struct virtqueue *vq, uint16_t slots);
void packed_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written);
void packed_push_batch(struct virtqueue *vq, const struct order_batch *batch);
bool packed_publish(struct virtqueue *vq);
bool packed_enable_kicks(struct virtqueue *vq);

/* in_order.c: what a push and a publish are then; the chain needs neither map nor block any more. */
void in_order_start(struct virtqueue *vq);
void in_order_push(struct virtqueue *vq, struct virtqueue_chain *chain, uint32_t written);
bool in_order_publish(struct virtqueue *vq);

/*
 * noted.c: a queue with an inflight area. noted_start takes the area over for the ring (split:
 * used ring), and changes *at, as inflight_open; noted_begin follows when the queue is sure to
 * start. noted_left: the chains that an earlier queue
 * left; noted_again pops the oldest of them. noted_take: chain was popped, its slots of
 * a packed ring are those from position on.
 */
int noted_start(struct virtqueue *vq, const void *ring, struct virtio_queue_state *at);
void noted_begin(struct virtqueue *vq, const struct virtio_queue_state *at);
void noted_stop(struct virtqueue *vq);
uint32_t noted_left(const struct virtqueue *vq);
struct virtqueue_chain *noted_again(struct virtqueue *vq);
void noted_take(struct virtqueue *vq, struct virtqueue_chain *chain, uint32_t position);
void noted_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written);
bool noted_publish(struct virtqueue *vq);

/* Here, because a push is so short that a call would be a third of it. */
static inline void split_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	struct vring_used_elem *elem = &vq->split.used->ring[vq->used_next & vq->mask];

	__atomic_store_n(&elem->id, htole32(head), __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, htole32(written), __ATOMIC_RELAXED);
	vq->used_next++;
}

#endif
