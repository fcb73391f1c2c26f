/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver side of one virtqueue: writes descriptors into guest memory, exposes
 * them, reads what was used, recycles descriptors and wraps its indices for ever.
 * One interface for both formats, which the features tell; the rings are in
 * driver_split.c and driver_packed.c.
 *
 * It obeys the driver's rules of the standard. To break them, write to the ring
 * through struct vqsim_split_ring or vqsim_packed_ring, which are raw memory.
 *
 * With IN_ORDER it takes its descriptors in the order of the ring (2.7.5.2) and
 * understands batches: a used entry stands for every chain up to the one that it
 * names, and each of them is reaped by itself, in order.
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

/* The parts of a packed ring in the driver's mapping, little-endian (2.8). */
struct vqsim_packed_ring {
	struct vring_packed_desc *desc;
	struct vring_packed_desc_event *driver; /* Driver Event Suppression: written here */
	struct vring_packed_desc_event *device; /* Device Event Suppression: read here */
};

/* When the driver wants to hear of used buffers (2.7.7, 2.8.10). */
enum vqsim_notify {
	/* After every batch; with EVENT_IDX: the event follows each reap. */
	VQSIM_NOTIFY_ALWAYS,
	/* Split: flags 1; with EVENT_IDX: used_event half a lap of the index away. Packed: DISABLE. */
	VQSIM_NOTIFY_NEVER,
};

/*
 * The driver's private record of one descriptor (split), or of one buffer id (packed): never
 * in guest memory.
 */
struct vqsim_driver_slot {
	void *token;    /* of the chain that starts here, NULL: not a head in flight */
	uint16_t next;  /* free list, or the rest of the chain */
	uint16_t count; /* head: descriptors of the chain */
	uint16_t last;  /* split, head: the last of them */
};

struct vqsim_driver {
	struct vqsim_memory *memory;
	struct virtio_queue_setup setup;
	struct vqsim_split_ring ring;    /* all NULL if the queue is packed */
	struct vqsim_packed_ring packed; /* all NULL if it is split */
	uint64_t features;
	enum vqsim_notify notify;
	bool is_packed;
	bool in_order;

	/*
	 * Packed: a position in the ring with its wrap counter where split has an index.
	 * The buffer ids are id_first.. and so on for size of them, modulo 2^16. At first it is the
	 * size of the queue, so that no id is the number of a slot; before the first chain it
	 * may be changed.
	 */
	bool avail_wrap;
	bool used_wrap;
	bool published_wrap;
	uint16_t id_first;
	uint16_t unpublished; /* descriptors that were written and are not exposed */
	uint16_t head_flags;  /* of the first of them, which are written last */

	uint16_t published_index; /* what the device may see */
	uint16_t kicked_index;    /* split: published_index at the last decision about a kick */
	/*
	 * Values of 16 bits in 32: processors pass a counter on from its store to the next
	 * load without a delay only if it is that wide.
	 */
	uint32_t avail_index; /* next entry to fill, free-running */
	uint32_t used_index;  /* next entry to reap, free-running */
	uint32_t free_head;
	uint32_t free_count; /* descriptors */
	struct vqsim_driver_slot *slots;
	uint32_t in_flight; /* chains; not beside free_count, or gcc counts both in one vector */

	/* IN_ORDER: the chain to come back next, and the batch that is being reaped. */
	uint32_t oldest;
	uint32_t batch_left; /* chains, 0: none */
	uint32_t batch_len;  /* of its last chain */
};

/* One reaped chain. */
struct vqsim_used {
	void *token;   /* as given to vqsim_driver_add */
	uint16_t head; /* what vqsim_driver_add returned */
	uint32_t len;  /* as the device wrote it: not checked. Packed: 0 without WRITE (2.8.4) */
	bool batched; /* IN_ORDER: the entry of a later chain stands for it; its len is unknown, 0 */
};

enum vqsim_reap {
	VQSIM_REAP_NOTHING = 0,
	VQSIM_REAP_USED, /* *used is filled */
	/*
	 * The entry names no chain in flight; it was skipped. Packed: by one slot; where the
	 * device goes on, nobody can know.
	 */
	VQSIM_REAP_BOGUS,
};

/*
 * A ring of size elements, allocated in guest memory (the setup, and the memory
 * stays allocated until the memory is rewound). Packed with RING_PACKED.
 * Returns 0; -EINVAL: the size is not in 1..32768, or (split) no power of two; -ENOMEM.
 */
int vqsim_driver_init(struct vqsim_driver *driver, struct vqsim_memory *memory, uint16_t size,
		      uint64_t features);

/* Free the private part. A zeroed driver can be finished. */
void vqsim_driver_finish(struct vqsim_driver *driver);

/*
 * Write a chain into free descriptors; the device sees it after vqsim_driver_publish.
 * token must not be NULL. A packed ring cannot hold descriptors before one that points to a
 * table (2.8.19): 0 < direct < count is misuse.
 * Returns what a used entry names it by (split: the head; packed: the buffer id), or -1:
 * not enough free descriptors, nothing changed.
 */
int vqsim_driver_add(struct vqsim_driver *driver, const struct vqsim_chain *chain, void *token);

/*
 * Show everything that was added. Returns whether the device wants a kick
 * (2.7.10 and 2.8.10, with the barriers of 2.7.13.4.1 and 2.8.21.3.1).
 */
bool vqsim_driver_publish(struct vqsim_driver *driver);

/* Take the next used chain, if there is one, and recycle its descriptors. */
enum vqsim_reap vqsim_driver_reap(struct vqsim_driver *driver, struct vqsim_used *used);

/* Whether vqsim_driver_reap would find something. */
bool vqsim_driver_has_used(const struct vqsim_driver *driver);

/*
 * Change what the driver wants to hear. After turning notifications on the caller
 * looks at the ring once more (2.7.14): returns whether there is something to reap.
 */
bool vqsim_driver_set_notify(struct vqsim_driver *driver, enum vqsim_notify notify);

/*
 * The data of a kick: the queue index, or with NOTIFICATION_DATA also where the next chain will
 * be exposed (2.9).
 */
uint32_t vqsim_driver_kick_data(const struct vqsim_driver *driver, uint16_t queue);

#ifdef __cplusplus
}
#endif

#endif
