/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a virtqueue does with its inflight area. Stores go in the order in which they are written
 * here: the process may die between any two of them. Not for devices or transports.
 */
#ifndef DEVICES_INFLIGHT_INTERNAL_H
#define DEVICES_INFLIGHT_INTERNAL_H

#include <linux/virtio_config.h>
#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY /* its legacy helpers are not C++ */
#endif
#include <linux/virtio_ring.h>

#include "device.h"
#include "inflight.h"

/*
 * One store that the process may die behind: neither compiler nor processor moves it before an
 * earlier one.
 */
#define INFLIGHT_STORE(field, value) __atomic_store_n(&(field), value, __ATOMIC_RELEASE)
#define INFLIGHT_LOAD(field)         __atomic_load_n(&(field), __ATOMIC_ACQUIRE)

/* A chain that an earlier queue took and did not use. */
struct inflight_left {
	uint64_t counter;
	uint16_t entry; /* split: its head; packed: its first entry */
};

/* Packed: what the area says of an entry, in memory that only we write. */
struct inflight_link {
	uint16_t next;
	uint16_t last; /* of a chain, at its first entry; the same for num */
	uint16_t num;
};

struct inflight {
	union {
		struct inflight_split *split;
		struct inflight_packed *packed;
	};
	uint32_t size;    /* entries */
	bool begun;       /* by an earlier queue */
	uint64_t counter; /* of the next chain */
	struct inflight_left *left;
	uint32_t left_count;
	uint32_t left_next;
	uint16_t last_batch_head;
	uint16_t free_head;
	struct inflight_packed_position position;
	struct inflight_link *links;
};

/*
 * Take over the area of setup for a queue whose ring lies at ring (split: its used ring). If it is
 * not fresh, *at becomes where the queue goes on.
 * Returns 0; -EINVAL: what stands in it is impossible; -ENOMEM. Then there is nothing to close.
 */
int inflight_open(struct inflight *inflight, const struct virtio_queue_setup *setup, bool packed,
		  const void *ring, struct virtio_queue_state *at);

/* Begin a fresh one for a queue that starts at this state; any other stays as it is. */
void inflight_begin(struct inflight *inflight, bool packed, const struct virtio_queue_state *at);
void inflight_close(struct inflight *inflight);

/* For these two. */
int inflight_split_open(struct inflight *inflight, const struct virtio_queue_setup *setup,
			const struct vring_used *used, struct virtio_queue_state *at);
int inflight_packed_open(struct inflight *inflight, const struct virtio_queue_setup *setup,
			 const struct vring_packed_desc *ring, struct virtio_queue_state *at);
void inflight_split_begin(struct inflight *inflight, const struct virtio_queue_state *at);
void inflight_packed_begin(struct inflight *inflight, const struct virtio_queue_state *at);
void inflight_sort(struct inflight *inflight);

static inline struct inflight_split_entry *inflight_split_entries(struct inflight_split *area)
{
	return (struct inflight_split_entry *)(area + 1);
}

static inline struct inflight_packed_entry *inflight_packed_entries(struct inflight_packed *area)
{
	return (struct inflight_packed_entry *)(area + 1);
}

/* The chain of head was taken. */
static inline void inflight_split_take(struct inflight *inflight, uint16_t head)
{
	struct inflight_split_entry *entry = inflight_split_entries(inflight->split) + head;

	INFLIGHT_STORE(entry->counter, inflight->counter++);
	INFLIGHT_STORE(entry->inflight, 1);
}

/* It is about to be shown to the driver as used. */
static inline void inflight_split_done(struct inflight *inflight, uint16_t head)
{
	struct inflight_split *area = inflight->split;

	INFLIGHT_STORE(inflight_split_entries(area)[head].next, inflight->last_batch_head);
	inflight->last_batch_head = head;
	INFLIGHT_STORE(area->last_batch_head, head);
}

/* It was shown. */
static inline void inflight_split_clear(struct inflight *inflight, uint16_t head)
{
	INFLIGHT_STORE(inflight_split_entries(inflight->split)[head].inflight, 0);
}

/* All of the batch are cleared. used_idx: the index of the used ring that showed them. */
static inline void inflight_split_settle(struct inflight *inflight, uint16_t used_idx)
{
	INFLIGHT_STORE(inflight->split->used_idx, used_idx);
}

/*
 * The chain of count slots of the ring from position on was taken. Returns its first entry. The
 * descriptors are read anew: what the driver made of them meanwhile stands in its own
 * area as it stands in its own ring, and is checked when a queue takes it from there.
 */
uint16_t inflight_packed_take(struct inflight *inflight, const struct vring_packed_desc *ring,
			      uint32_t ring_size, uint32_t position, uint16_t count);

/* The same descriptors, once more. Returns the entry behind it in the chain. */
uint16_t inflight_packed_load(const struct inflight *inflight, uint16_t entry,
			      struct vring_packed_desc *desc);

/* The chain is about to be shown as used, which moves the used position to at. */
void inflight_packed_done(struct inflight *inflight, uint16_t entry,
			  const struct virtio_queue_state *at);

/* It was shown. */
void inflight_packed_settle(struct inflight *inflight, uint16_t entry,
			    const struct virtio_queue_state *at);

#endif
