/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the referee remembers of one queue, and what the two readings of a ring
 * (referee_split.c, referee_packed.c) and the rest of the referee ask of each
 * other. Private to the referee.
 *
 * Threads: one.
 */
#ifndef VQSIM_REFEREE_REFEREE_INTERNAL_H
#define VQSIM_REFEREE_REFEREE_INTERNAL_H

#include <linux/virtio_config.h>
#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY
#endif
#include <linux/virtio_ring.h>

#include "../loans_internal.h"
#include "referee.h"
#include "walk_internal.h"

#define REFEREE_NONE 0xffffu

/* A longer chain, or a table with more entries, excuses a device; a larger queue raises it. */
#define REFEREE_CHAIN_MAX 1024u

enum referee_chain_state {
	REFEREE_CHAIN_FREE = 0,
	REFEREE_CHAIN_TOLD,      /* packed: its length is told, it is not yet available */
	REFEREE_CHAIN_AVAILABLE, /* the device owes a used entry */
	REFEREE_CHAIN_USED,      /* split: and has written it; the driver has not taken it yet */
};

/* What is known of one chain. Split: by its head; packed: a record from a pool. */
struct referee_chain {
	uint64_t hash;          /* of its descriptors, indirect table included */
	uint64_t readable_hash; /* of the first readable bytes, if expected */
	uint64_t writable;      /* bytes */
	uint32_t expected_len;
	uint32_t run;  /* the queue's count of runs when it became available */
	uint32_t loan; /* what it exposes (exposed.c) */
	uint8_t state;
	bool malformed;
	bool expected; /* expected_len is set */
	bool reported; /* as lost */
	bool tables;   /* it has an indirect table */
	uint16_t slot; /* split: in the available ring */

	/* Packed. */
	uint16_t id;        /* the buffer id */
	uint16_t next_free; /* record */
	uint16_t node;      /* first of its descriptors */
	uint16_t count;     /* slots */
};

/* What driver and device say about notifications, and the words that only one side changes. */
struct referee_words {
	uint16_t flags; /* packed: of the driver area */
	uint16_t index; /* split */
	uint16_t event; /* used_event, or off_wrap of the driver area */
	uint16_t device_event;
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

/* What one queue did in one run. */
struct referee_run {
	struct vqsim_referee *referee;
	struct vqsim_referee_queue *q;
	uint16_t queue;
	uint8_t status;
	enum virtio_progress progress;
	uint64_t used_before; /* used index (split) or count of slots (packed), as used_seen */
	uint16_t added;       /* chains used */
	uint64_t notified;    /* notifications */
};

struct referee_picture;

/* A reading of one ring format. Every call but set_up and spoilt needs a ring that is in memory. */
struct referee_ring_ops {
	/* Find the ring in memory and forget all chains; !q->readable: it is not there. */
	void (*set_up)(struct vqsim_referee *referee, struct vqsim_referee_queue *q);

	/* Walk every chain that became available since the last look. */
	void (*look)(struct vqsim_referee *referee, struct vqsim_referee_queue *q, uint16_t queue);

	/* Note the used length of a chain, available or not yet. */
	void (*expect)(struct vqsim_referee *referee, struct vqsim_referee_queue *q, uint16_t head,
		       uint32_t len);

	/* The device is about to run: note what it must leave alone. */
	void (*before_run)(struct vqsim_referee *referee, struct vqsim_referee_queue *q);

	/* Whether something is used though nothing may be; go on behind it. */
	bool (*used_early)(struct vqsim_referee *referee, struct vqsim_referee_queue *q);

	/* Check what the device wrote into the ring as used, and fill run->added. */
	void (*used)(struct referee_run *run);

	/* Check what the device must have left alone. */
	void (*untouched)(const struct referee_run *run);

	/* Check notifications, and what the device says of kicks. */
	void (*notified)(const struct referee_run *run);

	/* The queue is idle and all is used: does the device hear of the next chain? */
	void (*at_rest)(const struct referee_run *run);

	/* The driver took one used chain. */
	void (*reaped)(struct vqsim_referee_queue *q);

	/* Whether ring or a chain that waits cannot be served any more: memory may have gone away. */
	bool (*spoilt)(struct vqsim_referee *referee, struct vqsim_referee_queue *q);

	/* A hash of all that the device may write: of the ring, and (buffers) of buffers that wait. */
	uint64_t (*hash)(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			 bool buffers);

	/* The ring around the slot that is marked, or around the device's position if none is. */
	void (*draw)(const struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
		     struct referee_picture *picture);
};

/* In notify.c, by which the ops above point to them. */
void referee_split_notified(const struct referee_run *run);
void referee_split_at_rest(const struct referee_run *run);
void referee_packed_notified(const struct referee_run *run);
void referee_packed_at_rest(const struct referee_run *run);

/* Whether the slot of the driver's event is among so many from a position on. */
bool referee_packed_event_passed(const struct vqsim_referee_queue *q, uint64_t from,
				 uint64_t slots);

/* In draw.c, likewise. */
void referee_split_draw(const struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
			struct referee_picture *picture);
void referee_packed_draw(const struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
			 struct referee_picture *picture);

extern const struct referee_ring_ops referee_split_ops;
extern const struct referee_ring_ops referee_packed_ops;

/* A place in a packed ring; slot and wrap follow from the position, and are kept to save divisions. */
struct referee_place {
	uint64_t position; /* counts slots and never goes back */
	uint16_t slot;     /* position % size */
	bool wrap;         /* the wrap counter: 1 in every other lap, the first one included */
};

struct referee_place referee_place(uint64_t position, uint16_t size);

/* count is at most size. */
static inline void referee_place_advance(struct referee_place *place, uint32_t size, uint32_t count)
{
	uint32_t slot = place->slot + count;

	place->position += count;
	place->wrap ^= slot >= size;
	place->slot = (uint16_t)(slot >= size ? slot - size : slot);
}

/* What is particular to a packed ring. */
struct referee_packed {
	struct vring_packed_desc *ring; /* never written; NULL: not in one piece */
	const struct vring_packed_desc_event *driver;
	const struct vring_packed_desc_event *device;
	struct referee_place avail; /* next to become available */
	struct referee_place used;  /* next to be used */
	uint64_t reaped;            /* position: next that the driver takes */
	uint16_t free_chain;
	uint16_t free_node;
	uint64_t avail_at_run; /* avail.position when the device ran last */
	uint32_t window;       /* first slot that is compared after a run */
	uint32_t window_size;
	uint16_t lengths_first, lengths_count;

	/* While the driver is about to publish: what it will write last, and into which slot. */
	bool is_coming;
	uint16_t coming_slot, coming_flags;
};

struct vqsim_referee_queue {
	const struct referee_ring_ops *ops;
	struct virtio_queue_setup setup;
	bool readable; /* the ring is in memory */

	/* Split. */
	const struct vring_desc *desc; /* NULL: the table crosses regions */
	const struct vring_avail *avail;
	const struct vring_used *used;
	const __virtio16 *used_event;
	const __virtio16 *avail_event;
	uint16_t avail_seen;    /* next entry to look at, free-running, as all of these */
	uint16_t avail_checked; /* the device was seen to leave the slots before it alone */
	uint16_t used_seen;
	uint16_t reaped;

	struct referee_packed packed;
	uint32_t map_generation; /* packed: the map of memory at the last look */

	struct referee_part parts[REFEREE_PARTS];
	bool ruined; /* nothing can be said of the entries any more: driver or device broke the ring */
	bool voided; /* it was the driver */
	bool all_exposed;
	uint16_t outstanding;
	uint16_t malformed; /* part of outstanding */
	uint32_t runs;
	uint64_t notifications;
	struct referee_words before; /* the run */

	/* This queue alone was reset. */
	bool in_reset;
	bool laid_over; /* the driver gave memory of the ring to the device as a writable buffer */
	uint64_t reset_hash;
	uint64_t reset_notifications;

	/* IN_ORDER: the chains that wait, oldest first, a circle of setup.size. */
	uint32_t order_first;
	uint16_t *order;

	/* One element for each descriptor or slot. */
	uint32_t room;
	bool room_packed;
	struct referee_chain *chains;
	uint16_t *avail_heads;             /* split: what the driver wrote into each slot */
	uint16_t *used_heads;              /* split: what the device wrote, or REFEREE_NONE */
	struct vring_used_elem *used_copy; /* split, IN_ORDER: the used ring as it was */
	struct vring_packed_desc *known;   /* packed: the ring as it was */
	struct vring_packed_desc *nodes;   /* packed: descriptors of chains that wait */
	uint16_t *node_next;
	uint16_t *by_id;   /* packed: record of each buffer id, if that record says so too */
	uint16_t *lengths; /* packed: slots of the chains used and not yet taken, a circle */
};

/* --- chains.c: what both readings do with a chain --- */

/* The driver broke the ring: nothing can be expected of the device any more. */
void referee_void(struct vqsim_referee *referee, struct vqsim_referee_queue *q);

/* A chain is available; walk was along it. name is what a used entry names it by. */
void referee_chain_available(struct vqsim_referee *referee, struct vqsim_referee_queue *q,
			     uint16_t queue, uint32_t name, struct referee_chain *chain,
			     const struct referee_walk *walk);

/* Check the length that a used entry claims. */
void referee_check_len(struct vqsim_referee *referee, uint16_t queue, uint32_t name,
		       const struct referee_chain *chain, uint32_t len);

/* IN_ORDER: the chains that wait. referee_order_batch: the number of chains up to index. */
void referee_order_push(struct vqsim_referee_queue *q, uint16_t index);
uint16_t referee_order_pop(struct vqsim_referee_queue *q);
uint16_t referee_order_batch(const struct vqsim_referee_queue *q, uint16_t index);

/* Check a chain that an entry of IN_ORDER skips. */
void referee_check_skipped(struct vqsim_referee *referee, uint16_t queue, uint32_t name,
			   const struct referee_chain *chain);

/* --- parts.c --- */

/* Remember the canaries around the piece at gpa, if it is one that the allocator gave out. */
void referee_part_set(const struct vqsim_memory *memory, struct referee_part *part,
		      const char *name, uint64_t gpa);
void referee_check_canaries(const struct referee_run *run);

/* --- handed.c: what the device hands to the driver --- */

bool referee_under_memcheck(void);

/* memcheck: the bytes are defined in the device's mapping, or are not until they are written. */
void referee_define(struct vqsim_referee *referee, uint64_t gpa, uint64_t size, bool defined);

/* len bytes of the writable buffers of a chain are handed over. */
struct referee_handed {
	struct vqsim_referee *referee;
	uint16_t queue;
	uint32_t name;
	uint64_t left;
};
void referee_handed_buffer(struct referee_handed *handed, uint64_t gpa, uint32_t size);

/* --- exposed.c: what the device may touch --- */

/* Walks of chains for this are worth their time: somebody sees what the device touches. */
static inline bool referee_exposes(const struct vqsim_referee *referee)
{
	return referee->memcheck || referee->loans;
}

/* Start to watch what the device touches, where that can be seen. */
void referee_watch_strays(struct vqsim_referee *referee);

/* One part of a ring. */
void referee_expose_ring(struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
			 const char *what, uint64_t gpa, uint64_t size);

/* A chain that became available, while it is walked for this. */
struct referee_exposed {
	struct vqsim_referee *referee;
	uint16_t queue;
	uint32_t name;
	bool malformed;
	uint32_t loan; /* for the chain, when it was walked */
};
void referee_expose_table(struct referee_exposed *exposed, uint64_t gpa, uint64_t size);
void referee_expose_buffer(struct referee_exposed *exposed, uint64_t gpa, uint64_t size,
			   bool write);

/* If the queue is ruined. */
void referee_expose_ruined(struct vqsim_referee *referee, struct vqsim_referee_queue *q);

/* The chain was used; the queue, or the device, was reset. */
void referee_withdraw(struct vqsim_referee *referee, struct referee_chain *chain);
void referee_withdraw_queue(struct vqsim_referee *referee, uint16_t queue);
void referee_withdraw_all(struct vqsim_referee *referee);

/* --- report.c --- */

enum referee_note {
	REFEREE_NOTE_SET_UP,
	REFEREE_NOTE_AVAILABLE,
	REFEREE_NOTE_BEFORE_RUN,
	REFEREE_NOTE_RAN,
	REFEREE_NOTE_USED,
	REFEREE_NOTE_SKIPPED,
	REFEREE_NOTE_REAPED,
	REFEREE_NOTE_RESET,
	REFEREE_NOTE_QUEUE_RESET,
	REFEREE_NOTE_QUEUE_SET_UP,
	REFEREE_NOTE_STATUS,
	REFEREE_NOTE_FEATURES,
	REFEREE_NOTE_CONFIG,
};

static inline void referee_note(struct vqsim_referee *referee, enum referee_note kind,
				uint16_t queue, uint64_t first, uint64_t second)
{
	struct vqsim_referee_note *note =
		&referee->notes[referee->note_count++ % VQSIM_REFEREE_NOTES];

	note->step = referee->step;
	note->kind = (uint8_t)kind;
	note->queue = queue;
	note->values[0] = first;
	note->values[1] = second;
}

/* The next violation is about this slot of part 0 or 1 of the ring. */
static inline void referee_mark(struct vqsim_referee *referee, uint8_t part, uint16_t slot)
{
	referee->marked_part = part;
	referee->marked_slot = slot;
}

static inline bool referee_feature(const struct vqsim_referee *referee, unsigned bit)
{
	return referee->features & VIRTIO_FEATURE(bit);
}

#define referee_event_idx(referee) referee_feature(referee, VIRTIO_RING_F_EVENT_IDX)
#define referee_in_order(referee)  referee_feature(referee, VIRTIO_F_IN_ORDER)

#endif
