/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that is wrong in what it writes into a ring: it stands around a good one,
 * and changes the used entries of queue 0 that the good one has just written. Of either format;
 * of packed rings the first one of its life, if lists come back in order or are all as long as
 * each other.
 *
 *     static void forget_len(struct wrong_ring *ring)
 *     {
 *         for (unsigned i = 0; i < ring->count; i++)
 *             wrong_ring_set_len(&ring->entries[i], 0);
 *     }
 *
 *     static const struct wrong_bend bend = {
 *         .ops = {.progress = wrong_ring_progress},
 *         .how = &(const struct wrong_ring_hook){forget_len},
 *     };
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_WRONG_RING_H
#define TESTS_SUPPORT_WRONG_RING_H

#include <linux/virtio_config.h>
#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY /* its legacy helpers are not C++ */
#endif
#include <linux/virtio_ring.h>

#include "wrong_wrap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Larger rings stay as they are. */
#define WRONG_RING_SIZE_MAX 1024u

#define WRONG_RING_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define WRONG_RING_USED  (1u << VRING_PACKED_DESC_F_USED)

/* A used entry of one progress: in a split ring elem, in a packed one desc, the other NULL. */
struct wrong_ring_entry {
	struct vring_used_elem *elem;
	struct vring_packed_desc *desc;
	union {
		struct vring_used_elem elem;
		struct vring_packed_desc desc;
	} was;          /* before the progress */
	uint16_t slot;  /* in the ring */
	uint16_t slots; /* packed: of the list */
	bool wrap;      /* packed: the wrap counter at slot */
};

struct wrong_ring {
	struct wrong_wrap *wrap;
	uint16_t size;
	struct vring_packed_desc *desc; /* packed */
	struct vring_used *used;        /* split */
	uint16_t used_was;              /* split: used index */
	unsigned count;
	struct wrong_ring_entry entries[WRONG_RING_SIZE_MAX];
};

/* Called after a progress that used something. */
struct wrong_ring_hook {
	void (*after)(struct wrong_ring *ring);
};

enum virtio_progress wrong_ring_progress(struct virtio_device *dev, uint16_t index,
					 uint32_t budget);

uint32_t wrong_ring_len(const struct wrong_ring_entry *entry);
void wrong_ring_set_len(struct wrong_ring_entry *entry, uint32_t len);

/* Id and length of from to to. */
void wrong_ring_copy(struct wrong_ring_entry *to, const struct wrong_ring_entry *from);

/* As if the device had not written it. */
void wrong_ring_undo(struct wrong_ring_entry *entry);

#ifdef __cplusplus
}
#endif

#endif
