/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the referee remembers of one queue, and its own reading of a split ring
 * (referee_split.c). Private to the referee.
 *
 * Threads: one.
 */
#ifndef VQSIM_REFEREE_REFEREE_INTERNAL_H
#define VQSIM_REFEREE_REFEREE_INTERNAL_H

#include <linux/virtio_ring.h>

#include "referee.h"

#define REFEREE_NO_HEAD 0xffffu

/* A longer chain, or a table with more entries, excuses a device; a larger queue raises it. */
#define REFEREE_CHAIN_MAX 1024u

enum referee_chain_state {
	REFEREE_CHAIN_FREE = 0,
	REFEREE_CHAIN_AVAILABLE, /* the device owes a used entry */
	REFEREE_CHAIN_USED,      /* and has written it; the driver has not taken it yet */
};

/* What is known of the chain that starts at one descriptor. */
struct referee_chain {
	uint64_t hash;          /* of its descriptors, indirect table included */
	uint64_t readable_hash; /* of the first readable bytes, if expected */
	uint64_t writable;      /* bytes */
	uint32_t expected_len;
	uint8_t state;
	bool malformed;
	bool expected; /* expected_len is set */
	bool reported; /* as lost */
};

/* The words of a ring that only the driver changes, and avail_event. */
struct referee_words {
	uint16_t flags;
	uint16_t index;
	uint16_t used_event;
	uint16_t avail_event;
};

/* One part of the ring that has canaries around it; size 0: it has none. */
struct referee_part {
	const char *name;
	uint64_t gpa;
	uint64_t size;
	const uint8_t *before, *behind;
	uint8_t canaries[2][VQSIM_CANARY_SIZE];
};

#define REFEREE_PARTS 3

struct vqsim_referee_queue {
	struct virtio_queue_setup setup;
	const struct vring_desc *desc; /* NULL: the table crosses regions */
	const struct vring_avail *avail;
	const struct vring_used *used;
	const __virtio16 *used_event;
	const __virtio16 *avail_event;
	struct referee_part parts[REFEREE_PARTS];

	bool ruined; /* nothing can be said of the entries any more: driver or device broke the ring */
	bool voided;            /* it was the driver */
	uint16_t avail_seen;    /* next entry to look at, free-running, as all of these */
	uint16_t avail_checked; /* the device was seen to leave the slots before it alone */
	uint16_t used_seen;
	uint16_t reaped;
	uint16_t outstanding;
	uint16_t malformed; /* part of outstanding */
	uint64_t notifications;
	struct referee_words before; /* the run */

	/* One element for each descriptor or slot. */
	uint32_t room;
	struct referee_chain *chains;
	uint16_t *avail_heads; /* what the driver wrote into each slot */
	uint16_t *used_heads;  /* what the device wrote, or REFEREE_NO_HEAD */
};

/* Find the rings in memory and forget all chains. A ring that is not in memory ruins the queue. */
void referee_split_set_up(struct vqsim_referee *referee, struct vqsim_referee_queue *q);

/* The words as they are now. */
struct referee_words referee_split_words(const struct vqsim_referee_queue *q);

/* Walk every chain that became available since the last look. */
void referee_split_look(struct vqsim_referee *referee, struct vqsim_referee_queue *q);

/* Note the readable bytes of a chain whose used length is told. */
void referee_split_expect(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			  uint16_t head, uint32_t len);

/* Whether ring or a chain that waits cannot be served any more: its memory may have gone away. */
bool referee_split_spoilt(struct vqsim_referee *referee, struct vqsim_referee_queue *q);

/* Check the used entries written since the last look. */
void referee_split_used(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			uint16_t queue);

/* Check what a device must leave alone: the available ring, avail_event, canaries. */
void referee_split_untouched(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			     uint16_t queue);

/* A hash of the used ring. */
uint64_t referee_split_hash(const struct vqsim_referee_queue *q);

static inline bool referee_event_idx(const struct vqsim_referee *referee)
{
	return referee->features & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX);
}

#endif
