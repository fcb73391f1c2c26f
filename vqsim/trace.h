/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run as a list of operations: what a fuzzer decodes its bytes into, what a test writes down as
 * a literal array, and what can be printed line by line. A player carries the operations out on
 * one device, with one guest and the referee watching.
 *
 * An operation asks for something; it never fails. What is impossible at that moment (a chain
 * into a full ring, a queue that is not up) is left out, and what is out of range is brought into
 * range. So every list of operations is a run, and the same list is the same run.
 *
 * Everything is legal but for VQSIM_OP_BREAK, which breaks the last chain that was added, and
 * VQSIM_OP_BREAKAGE, which breaks one of its own.
 *
 * Threads: one for each player.
 */
#ifndef VQSIM_TRACE_H
#define VQSIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "guest.h"
#include "faults.h"
#include "guest_blk.h"
#include "referee/disk.h"
#include "referee/referee.h"
#include "../devices/blk/store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum vqsim_op_code {
	VQSIM_OP_UP,      /* reset, then bring up: value features, size queue size, count queues */
	VQSIM_OP_CHAIN,   /* add a chain; blk: what is 1 + kind for its header, 0: unknown */
	VQSIM_OP_BLK,     /* add a block request; left out on another device */
	VQSIM_OP_PUBLISH, /* show what was added, kick if asked to */
	VQSIM_OP_KICK,    /* kick, wanted or not; what: 1: with value as its data */
	VQSIM_OP_RUN,     /* let the device work */
	VQSIM_OP_REAP,    /* take all that came back */
	VQSIM_OP_NOTIFY,  /* what: enum vqsim_notify */
	VQSIM_OP_USED_EVENT, /* value: the event, counted from the next entry (or slot) to reap */
	VQSIM_OP_BREAK,      /* what: enum vqsim_break, at: which descriptor, value */
	VQSIM_OP_RESET,      /* and stay down */
	VQSIM_OP_HIDE,       /* region number at goes away; 0 has the rings */
	VQSIM_OP_EXPOSE,     /* region number at comes back */
	VQSIM_OP_CAPACITY,   /* value: sectors the store shall have; blk only */
	VQSIM_OP_WRITEBACK,  /* value: 0 or 1, into the config space; blk only */
	VQSIM_OP_BREAKAGE, /* value: row of vqsim_breakages (breakage.h), chain and run included */
	VQSIM_OP_QUEUE_RESET,  /* left out without RING_RESET */
	VQSIM_OP_QUEUE_ENABLE, /* size: of the new ring of a queue that was reset */
	VQSIM_OP_REPLACE,      /* the memory map, in one step, by one that has the same regions */
	VQSIM_OP_DRIVER,       /* this driver goes, another one has not yet brought the device up */
	VQSIM_OP_CONFIG, /* write value, size bytes of it, at offset count of the config space */

	/* What the store of a block device does (faults.h); left out if it is another one. */
	VQSIM_OP_HOLD, /* what: 0: nothing is held; 1: all operations, 2: and the newest go first */
	VQSIM_OP_LET_GO,  /* value: so many held operations may be done */
	VQSIM_OP_RELEASE, /* at: the held operation with this place may be done */
	VQSIM_OP_FAIL,    /* value: operations before the one that fails; size: what it moved */
	VQSIM_OP_COUNT
};

/* How a chain stands in the ring. Without INDIRECT_DESC all are direct. */
enum vqsim_layout {
	VQSIM_DIRECT,
	VQSIM_INDIRECT, /* all in a table */
	VQSIM_MIXED,    /* the first element direct, the rest in a table; packed: all in a table */
	VQSIM_LAYOUT_COUNT
};

/* Where the buffers of a chain lie. */
enum vqsim_place {
	VQSIM_OWN,      /* in memory of its own, with canaries around */
	VQSIM_CROSSING, /* over a border of two regions that are neighbours for the guest only */
	VQSIM_EDGE,     /* up to the last byte of a region with nothing behind it */
	VQSIM_LARGE,    /* in 4 KiB that all pieces share: chains of many times that size */
	VQSIM_PLACE_COUNT
};

/*
 * What VQSIM_OP_BREAK does to the last chain that was added and not yet published. What has
 * another meaning in a packed ring stands behind the semicolon.
 */
enum vqsim_break {
	VQSIM_BREAK_ADDR,        /* descriptor: addr = value */
	VQSIM_BREAK_LEN,         /* descriptor: len = value */
	VQSIM_BREAK_FLAGS,       /* descriptor: flags ^= value */
	VQSIM_BREAK_NEXT,        /* descriptor: next = value, and NEXT set; id = value */
	VQSIM_BREAK_TABLE_ADDR,  /* the same for an entry of the indirect table: addr */
	VQSIM_BREAK_TABLE_LEN,   /* ... len */
	VQSIM_BREAK_TABLE_FLAGS, /* ... flags */
	VQSIM_BREAK_TABLE_NEXT,  /* ... next, id */
	VQSIM_BREAK_SLOT,        /* its entry of the available ring = value; its id */
	VQSIM_BREAK_TWICE,       /* available once more, in the next entry; in the next slots */
	VQSIM_BREAK_INDEX,       /* available index += value, at once; so many more slots exposed */
	VQSIM_BREAK_AVAIL_FLAGS, /* flags of the available ring = value, at once; its events */
	VQSIM_BREAK_COUNT
};

/* What a block request asks for. */
enum vqsim_blk_kind {
	VQSIM_BLK_IN,
	VQSIM_BLK_OUT,
	VQSIM_BLK_FLUSH,
	VQSIM_BLK_GET_ID,
	VQSIM_BLK_DISCARD,
	VQSIM_BLK_WRITE_ZEROES,
	VQSIM_BLK_UNKNOWN, /* a type that no standard has */
	VQSIM_BLK_KIND_COUNT
};

/* One operation. What a code does not name is ignored; zero is a good default for all. */
struct vqsim_op {
	enum vqsim_op_code code;
	uint8_t queue;
	uint8_t what;   /* BLK: enum vqsim_blk_kind; BREAK: enum vqsim_break; others: see there */
	uint8_t layout; /* CHAIN, BLK: enum vqsim_layout */
	uint8_t place;  /* CHAIN: enum vqsim_place */
	uint8_t at;     /* BREAK: descriptor; HIDE, EXPOSE: region; BLK: flags of a segment */
	uint16_t count; /* UP: queues; BLK: sectors of each segment; CHAIN, blk: sector */

	/*
	 * CHAIN and BLK: into how many descriptors the bytes of each direction are cut, evenly; some
	 * are empty if there are fewer bytes. BLK: 0 is one descriptor each for header, data, status.
	 */
	uint16_t readable, writable;
	uint32_t size; /* UP: queue size; CHAIN: writable bytes; BLK: bytes of data */

	/* CHAIN: readable bytes. BLK: sector. Otherwise as the code says. */
	uint64_t value;
};

/* Print one operation as a line of words. */
void vqsim_op_print(FILE *out, const struct vqsim_op *op);

/* What came of the runs of a player. */
struct vqsim_player_counts {
	uint64_t completed; /* chains that were used */
	uint64_t resets;    /* of a device that was up */
	uint64_t queue_resets;
	uint64_t needs_reset; /* resets that the device had asked for */
	uint64_t broken;      /* breakages carried out */
};

#define VQSIM_PLAYER_SLOTS      16u
#define VQSIM_PLAYER_REQUESTS   8u
#define VQSIM_PLAYER_QUEUES     2u
#define VQSIM_PLAYER_QUEUE_SIZE 64u /* the largest that VQSIM_OP_UP asks for */
#define VQSIM_PLAYER_ELEMENTS   128u
#define VQSIM_PLAYER_CUTS       32u

/* A run of bytes that the buffers of one direction are cut from, again and again if need be. */
struct vqsim_player_area {
	uint64_t gpa;
	uint32_t size;
	uint32_t start; /* of the first buffer */
};

/* One chain of VQSIM_OP_CHAIN. */
struct vqsim_player_slot {
	bool ready; /* has memory of its own */
	bool busy;
	bool pending; /* added, not published */
	bool lost;    /* with the queue that it was in; not used since */
	bool exact;   /* what must come back is known */
	uint8_t place;
	uint8_t fill; /* every readable byte: the null device counts on from it */
	uint16_t queue;
	uint16_t head;
	uint16_t first;      /* packed: its first slot in the ring */
	uint16_t ring_count; /* descriptors in the ring, a pointer to a table included */
	uint16_t readable_count, count;
	uint32_t readable_size, writable_size;
	struct vqsim_player_area own[2], area[2]; /* [0] readable, [1] writable */
	uint64_t table_gpa;
	struct vqsim_element elements[VQSIM_PLAYER_ELEMENTS];
};

/* The status that a request must come back with. */
enum vqsim_player_answer {
	VQSIM_ANSWER_ANY,
	VQSIM_ANSWER_OK,
	VQSIM_ANSWER_FAIL, /* IOERR or UNSUPP */
	VQSIM_ANSWER_UNSUPP,
};

/* One request of VQSIM_OP_BLK. */
struct vqsim_player_request {
	struct vqsim_blk_request request;
	enum vqsim_player_answer answer;
	bool ready;
	bool busy;
	bool lost; /* with the queue that it was in; not used since */
	uint32_t readable_cuts[VQSIM_PLAYER_CUTS];
	uint32_t writable_cuts[VQSIM_PLAYER_CUTS];
};

/* All that runs need; made once, reset by each run. Members are for reading only. */
struct vqsim_player {
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct vqsim_guest guest;
	struct vqsim_player_counts counts; /* of the operations of all runs */
	bool asked_for_reset;              /* the device did, in the last run */

	/* Private. */
	bool raw;         /* chains are out that may have done anything to the disk */
	bool dirty;       /* a breakage is out: nothing is known of content and lengths */
	uint32_t skewed;  /* one bit a queue: device and driver disagree, until a reset */
	bool packed;      /* the last device that was up had packed rings */
	unsigned enables; /* of queues, since the device was brought up: each takes memory */
	struct vqsim_player_slot slots[VQSIM_PLAYER_SLOTS];
	struct vqsim_player_slot *last[VQSIM_PLAYER_QUEUES]; /* added last, not published */

	/* Of a block device. */
	struct blk_store *store; /* NULL: the null device */
	struct blk_store_queue *store_queue;
	uint64_t sectors; /* of the store at the start of a run */
	struct vqsim_blk blk;
	struct vqsim_disk disk;
	struct vqsim_disk_request spoiled; /* the whole disk, while raw */
	uint8_t *zeroes;
	uint8_t pattern;
	struct vqsim_faults *faults; /* NULL: the store never fails */
	uint32_t failures_known; /* operations that the store failed and requests answered for */
	uint32_t errors;         /* requests that were answered with IOERR since then */
	bool errors_unknown;     /* and some of which the answer is not known */
	struct vqsim_player_request requests[VQSIM_PLAYER_REQUESTS];
};

/*
 * A player for a device that is not attached yet; neither it nor the store is owned.
 * store: that of a block device; NULL: the device is null_create's, with NULL_FILL.
 * Returns 0 or a negative errno.
 */
int vqsim_player_init(struct vqsim_player *player, struct virtio_device *device,
		      struct blk_store *store);

/*
 * The same for a device on a store that can be told to hold operations and to fail them, and is not
 * owned either.
 */
int vqsim_player_init_faults(struct vqsim_player *player, struct virtio_device *device,
			     struct vqsim_faults *faults);

/* A zeroed player can be finished. The device is reset. */
void vqsim_player_finish(struct vqsim_player *player);

/*
 * Start from nothing and carry out the operations. Then what must hold whatever happened: if the
 * device is not broken, what is outstanding comes back and a good request completes; after a
 * reset a good request completes, and the device holds no guest memory. Returns the violations of
 * this run; the first is in player->referee.first.
 */
uint64_t vqsim_trace_run(struct vqsim_player *player, const struct vqsim_op *ops, unsigned count);

#ifdef __cplusplus
}
#endif

#endif
