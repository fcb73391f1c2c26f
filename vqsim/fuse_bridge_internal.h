/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the bridge know of each other: fuse_bridge.c, which moves messages,
 * fuse_bridge_message.c, which makes requests of them, fuse_bridge_args.c, which reads what they
 * ask for, and fuse_bridge_lock.c, which keeps locks that wait out of the way. Private to vqsim/.
 *
 * Threads: one.
 */
#ifndef VQSIM_FUSE_BRIDGE_INTERNAL_H
#define VQSIM_FUSE_BRIDGE_INTERNAL_H

#include "fuse_bridge.h"
#include "guest_fs_internal.h"

struct vqsim_fuse_bridge_slot {
	struct vqsim_fs_request request;
	struct fuse_in_header header; /* of the message, as it was read */
	struct fuse_init_in init;     /* if it is one */
	struct fuse_setattr_in set;   /* likewise */
	bool trying;                  /* SETLKW that went as SETLK */
	bool again;                   /* it came from the parked ones */
	struct vqsim_fuse_bridge_slot *next;
};

/*
 * The message of size bytes that was read into the slot becomes a request that can be
 * submitted. Returns false: it is no message.
 */
bool fuse_bridge_prepare(struct vqsim_fs *fs, struct vqsim_fuse_bridge_slot *slot, size_t size);

/*
 * Locks that wait (fuse_bridge_lock.c). How many SETLKW may be in the device at a time, so that
 * the others always find a slot and a place in a ring.
 */
uint16_t fuse_bridge_lock_max(const struct vqsim_guest *guest, uint16_t slots);

/* A SETLKW is about to be submitted: as it is, or as a mere try. */
void fuse_bridge_lock_choose(const struct vqsim_fuse_bridge *bridge,
			     struct vqsim_fuse_bridge_slot *slot);

/* The message was submitted. */
void fuse_bridge_lock_sent(struct vqsim_fuse_bridge *bridge,
			   const struct vqsim_fuse_bridge_slot *slot);

/*
 * The message came back, before it is answered. Returns true: the kernel gets no answer yet, or
 * has got another one. The slot is free.
 */
bool fuse_bridge_lock_came(struct vqsim_fuse_bridge *bridge,
			   const struct vqsim_fuse_bridge_slot *slot);

/* The first of the parked ones into a slot. */
void fuse_bridge_lock_load(const struct vqsim_fuse_bridge *bridge,
			   struct vqsim_fuse_bridge_slot *slot);

/* That one has been submitted. */
void fuse_bridge_lock_drop_first(struct vqsim_fuse_bridge *bridge);

/* The parked message gets EINTR for an answer. Returns false: none has this number. */
bool fuse_bridge_lock_interrupt(struct vqsim_fuse_bridge *bridge, uint64_t unique);

void fuse_bridge_lock_finish(struct vqsim_fuse_bridge *bridge);

/* fuse_bridge.c: answer the kernel with an error alone. */
void fuse_bridge_write_error(struct vqsim_fuse_bridge *bridge, uint64_t unique, int32_t error);

/* What the message asks for, which begins with slot->header, and in fs on whose behalf. */
void fuse_bridge_args(struct vqsim_fs *fs, struct vqsim_fuse_bridge_slot *slot,
		      struct vqsim_fs_args *args);

#endif
