/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inflight area of a queue: memory that outlives the device's process, in which the queue
 * notes each chain that it takes and each that it has used. A device that died is followed by
 * another with the same area (virtio_queue_setup.inflight): what was taken and not used is taken
 * again, first and in the old order, and what was used is not. So the driver gets every chain
 * back exactly once; the request behind it may be carried out twice.
 *
 * The layout is that of the vhost-user protocol ("Inflight I/O tracking", version 1): one area for
 * each queue, one behind the other in one file that the frontend keeps. Numbers have the byte
 * order of the machine, but for the descriptors, which are copies of those in the ring.
 *
 * The area belongs to the frontend, so it is an enemy's. A queue believes it only while it
 * starts, after checking it, and from then on only writes to it.
 *
 * Threads: an area is touched by the thread of its queue alone.
 */
#ifndef DEVICES_INFLIGHT_H
#define DEVICES_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INFLIGHT_API_MAJOR 0
#define INFLIGHT_API_MINOR 1

#define INFLIGHT_VERSION 1u

/* Of a split ring: for each head an entry. */
struct inflight_split {
	uint64_t features;        /* 0: none is known */
	uint16_t version;         /* 0: the rest means nothing yet */
	uint16_t desc_num;        /* entries that follow: the queue size or more */
	uint16_t last_batch_head; /* used last; the one before it is its next, and so on */
	uint16_t used_idx;        /* of the used ring, when inflight is right for all entries */
};

struct inflight_split_entry {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter; /* grows with each chain that is taken */
};

/*
 * Where the used position is, and where it was when the last batch was complete: both in one
 * word, so that they never disagree.
 */
struct inflight_packed_position {
	uint16_t used_idx;
	uint16_t old_used_idx;
	uint8_t used_wrap_counter;
	uint8_t old_used_wrap_counter;
	uint8_t padding[2];
};

/*
 * Of a packed ring: entries are copies of descriptors, which form lists, one for each chain and
 * one of those that are free. A number that is no entry ends the latter.
 */
struct inflight_packed {
	uint64_t features; /* the first three as above */
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head; /* when the last batch or chain was complete */
	struct inflight_packed_position position;
	uint8_t padding[8];
};

struct inflight_packed_entry {
	uint8_t inflight; /* this, last, num and counter count in the first entry of a chain */
	uint8_t padding;
	uint16_t next;
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	uint16_t id; /* from here on little-endian, as in the ring */
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

/*
 * Bytes from the area of one queue to that of the next: a multiple of 64. The protocol does not
 * say it; this is what DPDK and, for split rings, QEMU's libvhost-user use, so that their areas
 * are found here and ours there.
 */
size_t inflight_area_size(bool packed, uint16_t queue_size);

/*
 * Nothing in the area counts any more; the next start takes virtio_queue_setup.resume. For a
 * transport whose driver resets the device or a queue. The queue must be stopped.
 */
void inflight_forget(void *area);

/*
 * The same for a transport that stopped a queue and told the frontend where it stands: that
 * counts from now on. But if chains are left in the area, which is of size bytes, it stays: the queue
 * was stopped before it could take them again, and only the area knows them.
 */
void inflight_settle(void *area, size_t size, bool packed);

#ifdef __cplusplus
}
#endif

#endif
