/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both ends of a packed ring, written out plainly, with a referee that watches: a
 * driver that obeys the rules and a device that breaks one of them on purpose.
 * Shares no code with driver, device and referee.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_PACKED_PAIR_H
#define TESTS_SUPPORT_PACKED_PAIR_H

#include "vqsim/driver.h"
#include "vqsim/referee/referee.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PAIR_IDS  600u
#define PAIR_PART 8u /* bytes of each buffer */

enum pair_fault {
	PAIR_NOTHING = 0,
	PAIR_OUT_OF_ORDER, /* the last chain of a run first: right without IN_ORDER */
	PAIR_BATCH,        /* one used descriptor for all of a run: right with IN_ORDER */
	PAIR_BATCH_SHORT,  /* and less was to be written into the first of them */

	PAIR_ID,        /* of no chain */
	PAIR_LEN_LARGE, /* one more than the writable bytes */
	PAIR_LEN_SMALL, /* one less than was written */
	PAIR_NO_WRITE,  /* WRITE is left out */
	PAIR_NO_TOGGLE, /* the wrap counter stays 1 */
	PAIR_POSITION,  /* used descriptors one slot too far */
	PAIR_FILL,      /* the last slot of a list gets the flags of a used one, too */
	PAIR_TOUCH,     /* the last used descriptor of the run before is written again */
	PAIR_EXTRA,     /* a used descriptor when nothing waits */
	PAIR_DROP,      /* the first chain of a run is taken and not used */

	PAIR_NO_NOTIFICATION,
	PAIR_MUCH_NOTIFICATION,
	PAIR_IDLE_NOTIFICATION,

	PAIR_DRIVER_AREA,     /* is written */
	PAIR_EVENT_RESERVED,  /* device area: flags 3 */
	PAIR_EVENT_DESC,      /* flags 2, the event where it must be */
	PAIR_EVENT_STALE,     /* flags 2, the event where it was at first */
	PAIR_EVENT_DISABLE,   /* flags 1 */
	PAIR_EVENT_HIGH_BITS, /* flags 4 */

	PAIR_TABLE,     /* clears the length of the first entry of an indirect table */
	PAIR_READABLE,  /* marks the first readable byte */
	PAIR_UNWRITTEN, /* claims the last byte and leaves it as it was */
	PAIR_COUNT
};

struct packed_pair {
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	enum pair_fault fault;
	uint64_t features;
	uint16_t size;
	struct virtio_queue_setup setup;
	struct vring_packed_desc *ring;
	struct vring_packed_desc_event *driver, *device;
	uint64_t buffers; /* gpa: PAIR_IDS times 2 * 512 bytes, readable before writable */
	uint64_t tables;  /* gpa: PAIR_IDS times 16 entries */

	/* Of the driver. */
	uint16_t next, next_wrap;
	uint16_t waiting[PAIR_IDS], waiting_count; /* ids, oldest first */
	uint16_t slots[PAIR_IDS];                  /* of each id */
	uint16_t writable[PAIR_IDS];               /* bytes of each id */

	/* Of the device. */
	uint16_t used, used_wrap;
	uint16_t last; /* slot of the used descriptor before */
	uint64_t notifications;

	bool untold; /* the referee is not told how long a chain will be */
};

void pair_make(struct packed_pair *p, uint16_t size, uint64_t features, enum pair_fault fault);
void pair_finish(struct packed_pair *p);

/* Expose a chain of readable and writable buffers of PAIR_PART bytes; tell its length. */
void pair_add(struct packed_pair *p, uint16_t id, unsigned readable, unsigned writable,
	      bool indirect);

/* The driver's event area. */
void pair_want(struct packed_pair *p, uint16_t flags, uint16_t off, bool wrap);

/* The device serves all that waits, the driver takes it. */
void pair_run(struct packed_pair *p);

#ifdef __cplusplus
}
#endif

#endif
