/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that breaks one rule of the standard on purpose, and no other: what
 * the referee is tested with. It serves the requests of the null device
 * (devices/null/null.h, with NULL_FILL) on one split queue with ring code of its
 * own, which is naive but right as long as no fault is planted.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_WRONG_DEVICE_H
#define TESTS_SUPPORT_WRONG_DEVICE_H

#include "devices/device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WRONG_DEVICE_QUEUE_SIZE_MAX 64u

/* The disk it poses as when a block driver comes: this many sectors of 0 to 255 twice. */
#define WRONG_DEVICE_SECTORS 64u

enum wrong_fault {
	WRONG_NOTHING = 0,

	/* Used ring. */
	WRONG_ID,            /* id of a chain that was never available */
	WRONG_ID_RANGE,      /* id not below the queue size */
	WRONG_ID_TWICE,      /* every chain but the first gets the id of the one before it */
	WRONG_LEN_LARGE,     /* one more than the writable bytes */
	WRONG_LEN_SMALL,     /* one less than was written */
	WRONG_INDEX_JUMP,    /* used idx moves by 2 for one entry */
	WRONG_INDEX_BACK,    /* used idx moves back */
	WRONG_FLAGS,         /* used flags 2 */
	WRONG_FLAGS_NONZERO, /* used flags 1 */

	/* Notifications. */
	WRONG_NO_NOTIFICATION,
	WRONG_MUCH_NOTIFICATION,  /* after every batch, wanted or not */
	WRONG_IDLE_NOTIFICATION,  /* also when nothing was used */
	WRONG_MANY_NOTIFICATIONS, /* three for each chain */
	WRONG_EARLY_NOTIFICATION, /* when features are set */

	/* Footprint. */
	WRONG_AVAIL_INDEX, /* writes what it took back into avail idx */
	WRONG_AVAIL_SLOT,  /* marks slots that it took */
	WRONG_DESC,        /* clears the length of the head descriptor */
	WRONG_TABLE,       /* clears the length of the first descriptor of an indirect table */
	WRONG_AVAIL_EVENT, /* writes avail_event though EVENT_IDX is not negotiated */
	WRONG_READABLE,    /* marks the header as done */
	WRONG_BEYOND,      /* writes one byte behind the last buffer */
	WRONG_BEYOND_RING, /* writes one byte behind the used ring */

	/* Liveness. */
	WRONG_DROP,     /* takes a chain and never uses it */
	WRONG_NO_REARM, /* leaves avail_event where it was */
	WRONG_ENDLESS,  /* says VIRTIO_WORK_LEFT for ever */

	/* Life cycle. */
	WRONG_NEEDS_RESET, /* asks for a reset after a good request */
	WRONG_LATE_RESET,  /* does not ask for one when the ring is broken, and goes deaf */

	/* Requests. */
	WRONG_NO_STATUS, /* leaves the status byte as it is */
	WRONG_DATA,      /* the data counts on from a wrong byte */

	WRONG_COUNT
};

/* Make one with this fault. Returns NULL without memory. Free it with ops->destroy. */
struct virtio_device *wrong_device_create(enum wrong_fault fault);

/*
 * What an I/O thread does that nobody stopped: a completion on the ring of the last
 * life of the device (the first used entry changes, the index moves).
 */
void wrong_device_complete_late(struct virtio_device *dev);

#ifdef __cplusplus
}
#endif

#endif
