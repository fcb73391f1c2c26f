/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What virtqueue.c and the ring formats share. Not for devices.
 */
#ifndef DEVICES_VIRTQUEUE_INTERNAL_H
#define DEVICES_VIRTQUEUE_INTERNAL_H

#include "guest_memory.h"
#include "virtqueue.h"

#define VIRTQUEUE_NO_BLOCK UINT16_MAX
#define VIRTQUEUE_NO_SLOT  UINT16_MAX

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

struct virtqueue {
	/* What every request touches. */
	struct split_ring split;
	uint16_t size;
	uint16_t mask;       /* size - 1 */
	uint16_t avail_next; /* next entry to take */
	uint16_t avail_seen; /* the driver's index at the last look */
	uint16_t used_next;  /* next entry to write */
	uint16_t used_shown; /* what the driver may see */
	uint16_t free_slot;
	uint16_t in_flight;
	bool event_idx;
	bool indirect;
	bool started;
	enum virtqueue_fault fault;
	uint32_t chain_max;           /* descriptors */
	struct region_cache cache[2]; /* [0] device reads, [1] device writes */
	struct virtqueue_chain *chains;
	uint8_t *head_in_flight; /* by head */
	struct guest_map *map;
	uint32_t generation;

	/* What only long chains and changes touch. */
	uint16_t free_block;
	uint16_t block_count;
	uint32_t block_segments;
	uint16_t *block_next;
	struct iovec *blocks;
	struct virtio_device *dev;
	struct virtio_queue_setup setup;
};

/* A chain while it is being read from the ring. */
struct chain_builder {
	struct virtqueue_chain *chain;
	struct iovec *iov;
	uint32_t count;
	uint32_t room;
	uint32_t descriptors;
	uint64_t readable_size, writable_size;
	uint32_t readable_count;
	bool writable_seen;
	bool starved; /* a block was needed and none is free */
};

/* Break the queue; always returns false. The first fault is kept. */
bool virtqueue_break(struct virtqueue *vq, enum virtqueue_fault fault);

/*
 * Append one buffer. Returns false: the queue is broken or, with
 * builder->starved, the chain has to be taken again later.
 */
bool virtqueue_append(struct virtqueue *vq, struct chain_builder *builder, uint64_t gpa,
		      uint32_t len, bool write);

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
bool split_pop(struct virtqueue *vq, struct chain_builder *builder);
void split_push(struct virtqueue *vq, uint16_t head, uint32_t written);
bool split_publish(struct virtqueue *vq);
bool split_enable_kicks(struct virtqueue *vq);

#endif
