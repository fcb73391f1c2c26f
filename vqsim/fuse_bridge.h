/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bridge from FUSE as a kernel speaks it, one message a read(2) and one reply a
 * write(2) of /dev/fuse, to a file-system device: each message is read straight into the
 * memory of the simulated guest, travels as a chain through a virtqueue, and the reply is
 * written from where the device put it. So programs of this host test the device.
 *
 *     kernel -- read --> slot in guest memory -- chain --> device
 *     kernel <- write -- the same slot        <-- used --
 *
 * FORGET, BATCH_FORGET and INTERRUPT go to hiprio, the rest in turn to the request
 * queues. An INTERRUPT that the device cannot obey yet (EAGAIN) stays here, and is sent to it
 * again in each step until it can be, or its message is over. Any number of locks may be waited
 * for: those that find no place in the device wait here, and ask again when one may be free.
 * Beside what guest_fs.h checks of every reply, the size of what an operation
 * answers is; a reply that the kernel cannot be given becomes EIO. Violations are the referee's.
 *
 * Threads: one.
 */
#ifndef VQSIM_FUSE_BRIDGE_H
#define VQSIM_FUSE_BRIDGE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest_fs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a message may have beside the data of a WRITE, as the kernel counts it. */
#define VQSIM_FUSE_BRIDGE_EXTRA 4096u

struct vqsim_fuse_bridge_slot;
struct vqsim_fuse_bridge_parked;

struct vqsim_fuse_bridge {
	struct vqsim_fs *fs;
	int fd;
	uint32_t max_write;

	/* So far. */
	uint64_t requests; /* messages of the kernel */
	uint64_t bytes;    /* of files, that READ and WRITE moved */
	int error;         /* 0, or the errno (negative) that ended it */
	bool over;         /* nothing more comes: it was unmounted, or something failed */

	/* Private. Slots get their guest memory when they are first needed. */
	uint16_t slot_max, slot_count, in_flight;
	uint16_t lock_max, locks; /* SETLKW that may be in the device, and are */
	bool stirred;             /* locks may be free that were not */
	uint32_t parked_count;    /* SETLKW that wait here */
	struct vqsim_fuse_bridge_parked *parked, **parked_end;
	struct vqsim_fuse_bridge_slot *slots, *free;
	struct vqsim_fuse_bridge_slot *held;  /* no ring had room for it */
	struct vqsim_fuse_bridge_slot *early; /* INTERRUPTs that the device is to see again */
	uint16_t next_queue;
	struct vqsim_fuse_bridge_queue *queues;
};

/*
 * Guest memory that a bridge needs for this many messages at a time; locks that are waited for take no
 * more than half of them. max_write is what the
 * device will allow a WRITE to have.
 */
uint64_t vqsim_fuse_bridge_memory(uint32_t max_write, uint16_t slots);

/*
 * A bridge between fd (not owned; not to block) and fs, whose guest is up with hiprio and at least
 * one request queue. No session may have begun: the kernel begins it. Returns 0 or -ENOMEM.
 */
int vqsim_fuse_bridge_init(struct vqsim_fuse_bridge *bridge, struct vqsim_fs *fs, int fd,
			   uint32_t max_write, uint16_t slots);

/* Free the private part; the device is to be reset before the memory is used again. Zeroed is fine. */
void vqsim_fuse_bridge_finish(struct vqsim_fuse_bridge *bridge);

/*
 * Pass on what there is, without waiting: some messages of the kernel, work of the device,
 * replies. Sets bridge->over at the end.
 */
void vqsim_fuse_bridge_step(struct vqsim_fuse_bridge *bridge);

/*
 * What to wait for before the next step: writes at most max entries, which must be
 * 1 more than the guest has queues. *timeout is what poll(2) takes. Returns the number of entries.
 */
unsigned vqsim_fuse_bridge_wait(const struct vqsim_fuse_bridge *bridge, struct pollfd *fds,
				unsigned max, int *timeout);

#ifdef __cplusplus
}
#endif

#endif
