/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver side of one virtqueue: writes descriptors and the available ring
 * into guest memory, reads the used ring, recycles descriptors and wraps its
 * indices for ever. The split ring is in driver_split.c.
 *
 * It obeys the driver's rules of the standard. To break them, write to the ring
 * through struct vqsim_split_ring, which is raw memory.
 *
 * What the device wrote is never trusted: a used entry that makes no sense is
 * reported by vqsim_driver_reap and changes nothing. The rules themselves are
 * checked by the referee, not here.
 *
 * Threads: one. The device may run on another; the barriers are those of the
 * standard.
 */
#ifndef VQSIM_DRIVER_H
#define VQSIM_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_config.h>
#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY /* its legacy helpers are not C++ */
#endif
#include <linux/virtio_ring.h>

#include "chain.h"
#include "memory.h"
#include "../devices/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The three parts of a split ring in the driver's mapping, little-endian (virtio 1.3, 2.7). */
struct vqsim_split_ring {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	__virtio16 *used_event;  /* behind avail->ring */
	__virtio16 *avail_event; /* behind used->ring */
};

/* When the driver wants to hear of used buffers (2.7.7). */
enum vqsim_notify {
	VQSIM_NOTIFY_ALWAYS, /* after every batch; with EVENT_IDX: used_event follows each reap */
	VQSIM_NOTIFY_NEVER,  /* flags 1; with EVENT_IDX: used_event half a lap of the index away */
};

/* The driver's private record of one descriptor: never in guest memory. */
struct vqsim_driver_slot {
	void *token;    /* of the chain that starts here, NULL: not a head in flight */
	uint16_t next;  /* free list, or the rest of the chain */
	uint16_t count; /* head: descriptors of the chain */
	uint16_t last;  /* head: the last of them */
};

struct vqsim_driver {
	struct vqsim_memory *memory;
	struct virtio_queue_setup setup;
	struct vqsim_split_ring ring;
	uint64_t features;
	enum vqsim_notify notify;

	uint16_t published_index; /* what the device may see */
	uint16_t kicked_index;    /* published_index at the last decision about a kick */
	/*
	 * Values of 16 bits in 32: processors pass a counter on from its store to the next
	 * load without a delay only if it is that wide.
	 */
	uint32_t avail_index; /* next entry to fill, free-running */
	uint32_t used_index;  /* next entry to reap, free-running */
	uint32_t free_head;
	uint32_t free_count;
	uint32_t in_flight; /* chains */
	struct vqsim_driver_slot *slots;
};

/* One reaped entry. */
struct vqsim_used {
	void *token; /* as given to vqsim_driver_add */
	uint16_t head;
	uint32_t len; /* as the device wrote it: not checked */
};

enum vqsim_reap {
	VQSIM_REAP_NOTHING = 0,
	VQSIM_REAP_USED,  /* *used is filled */
	VQSIM_REAP_BOGUS, /* the entry names no chain in flight; it was skipped */
};

/*
 * A ring of size elements, allocated in guest memory (the setup, and the memory
 * stays allocated until the memory is rewound).
 * Returns 0; -EINVAL: the size is no power of two in 1..32768; -ENOMEM.
 */
int vqsim_driver_init(struct vqsim_driver *driver, struct vqsim_memory *memory, uint16_t size,
		      uint64_t features);

/* Free the private part. A zeroed driver can be finished. */
void vqsim_driver_finish(struct vqsim_driver *driver);

/*
 * Write a chain into free descriptors and the next slot of the available ring; the
 * device sees it after vqsim_driver_publish. token must not be NULL.
 * Returns the head, or -1: not enough free descriptors, nothing changed.
 */
int vqsim_driver_add(struct vqsim_driver *driver, const struct vqsim_chain *chain, void *token);

/*
 * Show everything that was added. Returns whether the device wants a kick
 * (2.7.10, with the barrier of 2.7.13.4.1).
 */
bool vqsim_driver_publish(struct vqsim_driver *driver);

/* Take the next used entry, if there is one, and recycle its descriptors. */
enum vqsim_reap vqsim_driver_reap(struct vqsim_driver *driver, struct vqsim_used *used);

/*
 * Change what the driver wants to hear. After turning notifications on the caller
 * looks at the ring once more (2.7.14): returns whether there is something to reap.
 */
bool vqsim_driver_set_notify(struct vqsim_driver *driver, enum vqsim_notify notify);

/* The data of a kick: the queue index, or with NOTIFICATION_DATA the ring position too (2.9). */
uint32_t vqsim_driver_kick_data(const struct vqsim_driver *driver, uint16_t queue);

#ifdef __cplusplus
}
#endif

#endif
