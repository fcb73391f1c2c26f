/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of a virtqueue: take chains, mark them used, decide about
 * notifications. One interface for both ring formats; which one a queue
 * has, the features tell. The rings are in split.c and packed.c, the order in in_order.c.
 *
 * A device calls, for each queue and on the thread of that queue:
 *
 *     while ((chain = virtqueue_pop(vq)) != NULL)
 *             ... work on chain->iov ..., virtqueue_push(vq, chain, written);
 *     if (virtqueue_publish(vq))
 *             notify
 *
 * Everything in a ring is written by an enemy. A descriptor is copied once into
 * private memory, checked, translated, and never read again. What breaks the
 * rules of the ring (an index that jumps by more than the queue size, a head out
 * of range or in flight already, a loop, a nested or misplaced indirect table,
 * memory that is not there) breaks the queue: virtqueue_pop returns NULL from
 * then on, virtqueue_broken() says why, and the device asks for a reset.
 *
 * Memory: all of it is allocated by virtqueue_start. A chain of up to
 * VIRTQUEUE_INLINE_SEGMENTS segments lives in its slot; a longer one borrows one
 * of a few large blocks. When none is left, virtqueue_pop returns NULL without
 * taking the chain, and goes on after a push.
 *
 * Order: a device pushes in any order it likes. With VIRTIO_F_IN_ORDER (2.7.9, 2.8.11) a
 * chain that is done waits here until all that were popped before it are done too, and
 * one used entry may stand for several chains. The driver learns the written length of
 * a chain from its own entry alone, and takes one that has none for written in full. So
 * a chain goes without an entry only if written was its writable_size, which includes
 * chains with nothing to write; one with less gets its own, and ends a batch. What is
 * left open at the publish ends there.
 *
 * With an inflight area (inflight.h) every chain that is popped is noted, and a chain that is
 * pushed stands neither in the ring nor in the area before the publish. After a start, the
 * chains that an earlier queue left unused are popped first. With VIRTIO_F_IN_ORDER
 * each chain then has a used entry of its own.
 *
 * Threads: one thread at a time for each virtqueue.
 */
#ifndef DEVICES_VIRTQUEUE_H
#define DEVICES_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <linux/virtio_config.h>
#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY /* its legacy helpers are not C++ */
#endif
#include <linux/virtio_ring.h>

#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VIRTQUEUE_API_MAJOR 0
#define VIRTQUEUE_API_MINOR 2

/* The largest queue of either format (2.7, 2.8). */
#define VIRTQUEUE_SIZE_MAX 32768u

/*
 * The cap on the descriptors of one chain, counted over ring and table. A
 * larger queue raises it to its size. The standard demands no more than the
 * queue size (2.7.4.1 allows a cap); drivers with indirect tables exceed it.
 */
#define VIRTQUEUE_CHAIN_MAX 1024u

#define VIRTQUEUE_INLINE_SEGMENTS 12u

/*
 * Feature bits that concern the ring alone and that a device built on this can offer. One
 * whose requests may wait for a later request of the same queue (a file lock for its
 * release) must leave out VIRTIO_F_IN_ORDER, with which the later one cannot be answered first.
 */
#define VIRTQUEUE_FEATURES                                                                  \
	(VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) | \
	 VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) |   \
	 VIRTIO_FEATURE(VIRTIO_F_IN_ORDER))

struct guest_map;
struct virtqueue;

/*
 * One chain that was taken from the ring. iov holds the device-readable bytes
 * first, then the device-writable ones; empty descriptors are left out, a
 * descriptor that crosses regions has several segments. The array belongs to
 * the queue, is constant, and is valid until the push.
 */
struct virtqueue_chain {
	const struct iovec *iov;
	uint32_t readable_count; /* segments */
	uint32_t writable_count;
	uint64_t readable_size; /* bytes */
	uint64_t writable_size;
	/* 0..queue size - 1, unique among the chains in flight: index your state by it. */
	uint16_t slot;
	uint16_t head; /* the buffer's name in the used ring: split head, packed buffer id */

	/* Private to the virtqueue. */
	uint16_t slots; /* packed: in the ring */
	uint16_t block;
	uint32_t written; /* IN_ORDER: of a chain that is done and waits for an earlier one */
	uint16_t entry;   /* packed: its first in the inflight area */
	bool done;
	struct virtqueue_chain *next_free;
	struct guest_map *old_map; /* that it was translated with, if that is not the queue's */
	struct iovec inline_iov[VIRTQUEUE_INLINE_SEGMENTS];
};

/* Why a queue broke. The names are for messages and tests: virtqueue_fault_name(). */
enum virtqueue_fault {
	VIRTQUEUE_OK = 0,
	VIRTQUEUE_FAULT_INDEX_JUMP,     /* available index moved by more than the queue size */
	VIRTQUEUE_FAULT_HEAD_RANGE,     /* head not below the queue size */
	VIRTQUEUE_FAULT_HEAD_IN_FLIGHT, /* head available again before it was used */
	VIRTQUEUE_FAULT_NEXT_RANGE,     /* next not below the size of its table */
	VIRTQUEUE_FAULT_CHAIN_TOO_LONG, /* a loop, or longer than the cap */
	VIRTQUEUE_FAULT_CHAIN_SIZE,     /* more than 2^32 bytes */
	VIRTQUEUE_FAULT_ORDER,          /* a readable descriptor after a writable one */
	VIRTQUEUE_FAULT_INDIRECT,       /* not negotiated, nested, or together with NEXT */
	VIRTQUEUE_FAULT_TABLE_SIZE,     /* indirect length 0, not a multiple of 16, or too large */
	VIRTQUEUE_FAULT_UNMAPPED,       /* buffer or table not in guest memory, or not allowed */
	VIRTQUEUE_FAULT_RING_UNMAPPED,  /* the ring itself went away with a change of the map */
};

/* What the queue is called in messages ("head not below the queue size"). */
const char *virtqueue_fault_name(enum virtqueue_fault fault);

/* Allocate an idle queue for dev. Returns NULL without memory. */
struct virtqueue *virtqueue_create(struct virtio_device *dev);

/* Stop and free. NULL is accepted. Chains in flight become invalid. */
void virtqueue_destroy(struct virtqueue *vq);

/*
 * Make the queue live, with the ring format that features tell.
 * Returns 0; -EFAULT: the ring is not in guest memory, or available or used ring not in one
 * piece; -EINVAL: size, alignment or the state to resume from are impossible (with IN_ORDER that
 * is also one with chains that were taken and not used, unless an inflight area names them: any
 * later entry would stand for them), or what stands in the inflight area is;
 * -ENOMEM. The queue is idle after an error.
 */
int virtqueue_start(struct virtqueue *vq, const struct virtio_queue_setup *setup,
		    uint64_t features);

/*
 * Forget ring and chains; *state (may be NULL) gets the place to resume from,
 * which is right only if nothing is in flight. What was pushed is published, but for chains
 * that wait for an earlier one (IN_ORDER), which the driver never gets back from this queue.
 * What is in flight stays noted in the inflight area, if there is one.
 * Returns whether a used-buffer notification is due, as virtqueue_publish. A device that is being
 * reset sends none (2.4.1).
 */
bool virtqueue_stop(struct virtqueue *vq, struct virtio_queue_state *state);

bool virtqueue_started(const struct virtqueue *vq);

/*
 * Chains that were popped and not pushed; with IN_ORDER also those that were pushed and
 * wait for an earlier one, so it is 0 in the same moments.
 */
uint16_t virtqueue_in_flight(const struct virtqueue *vq);

enum virtqueue_fault virtqueue_broken(const struct virtqueue *vq);

/*
 * The next chain, or NULL: nothing is exposed, no block is free, or the queue
 * is broken or not started. The caller pushes it back exactly once.
 */
struct virtqueue_chain *virtqueue_pop(struct virtqueue *vq);

/*
 * The chain is done. written: bytes that were stored, counted from the first
 * writable byte without a gap (2.7.8.2); at most writable_size. The driver sees
 * it after virtqueue_publish.
 */
void virtqueue_push(struct virtqueue *vq, struct virtqueue_chain *chain, uint32_t written);

/*
 * Show all pushed chains to the driver with one store.
 * Returns whether a used-buffer notification is due (2.7.7.2), which the caller sends.
 */
bool virtqueue_publish(struct virtqueue *vq);

/*
 * Call when virtqueue_pop found nothing and before waiting for a kick: tells
 * the driver to kick for the next chain (avail_event) and looks again.
 * Returns true if a chain came in between: pop again.
 */
bool virtqueue_enable_kicks(struct virtqueue *vq);

#ifdef __cplusplus
}
#endif

#endif
