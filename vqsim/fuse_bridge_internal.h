/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the bridge know of each other: fuse_bridge.c, which moves messages,
 * fuse_bridge_message.c, which makes requests of them, and fuse_bridge_args.c, which reads what they
 * ask for. Private to vqsim/.
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
	struct vqsim_fuse_bridge_slot *next;
};

/*
 * The message of size bytes that was read into the slot becomes a request that can be
 * submitted. Returns false: it is no message.
 */
bool fuse_bridge_prepare(struct vqsim_fs *fs, struct vqsim_fuse_bridge_slot *slot, size_t size);

/* What the message asks for, which begins with slot->header, and in fs on whose behalf. */
void fuse_bridge_args(struct vqsim_fs *fs, struct vqsim_fuse_bridge_slot *slot,
		      struct vqsim_fs_args *args);

#endif
