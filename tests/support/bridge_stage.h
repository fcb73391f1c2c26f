/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bridge (vqsim/fuse_bridge.h) for tests: below it a guest, a device and a session, above it what
 * stands for the kernel, the other end of a socket that keeps messages apart as /dev/fuse does.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_BRIDGE_STAGE_H
#define TESTS_SUPPORT_BRIDGE_STAGE_H

#include "devices/fs/fs.h"
#include "devices/fs/fuse.h"
#include "vqsim/fuse_bridge.h"

#define BRIDGE_MAX_WRITE   8192u
#define BRIDGE_SLOTS       3u
#define BRIDGE_QUEUES      2u /* for requests */
#define BRIDGE_QUEUE_SIZE  16u
#define BRIDGE_MESSAGE_MAX 16384u

/* A session that gives the same answer to everything. */
struct bridge_parrot {
	struct fs_session base;
	struct fs_session_queue queue;
	struct fuse_out_header header; /* len 0: no answer; unique is that of the message */
	bool other_unique;
};

struct bridge_stage {
	struct fs_tree *tree;
	struct fs_session *session;
	struct bridge_parrot parrot;
	struct virtio_device *device;
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct vqsim_guest guest;
	struct vqsim_fs fs;
	struct vqsim_fuse_bridge bridge;
	int kernel; /* the kernel's end */
	uint64_t unique;
	unsigned violations;
	enum vqsim_rule rule; /* of the last one */

	/* The reply that was received last. */
	struct {
		struct fuse_out_header header;
		uint8_t payload[BRIDGE_MESSAGE_MAX];
	} reply;
};

/* Of cmocka: on a tree in memory; likewise, with more slots than the rings have room; on a parrot. */
int bridge_set_up(void **state);
int bridge_set_up_wide(void **state);
int bridge_set_up_parrot(void **state);
int bridge_tear_down(void **state);

/* On a session of the caller's, who destroys it after the tear-down. */
struct bridge_stage *bridge_stage_create(struct fs_session *session);

/* Send a message; its unique number is returned. */
uint64_t bridge_ask(struct bridge_stage *stage, uint32_t opcode, uint64_t node, const void *args,
		    size_t size);
/* SETLKW of a flock. */
uint64_t bridge_ask_lock(struct bridge_stage *stage, uint64_t node, uint64_t handle,
			 uint64_t owner);

/* Whether a reply is there; it is in stage->reply then. */
bool bridge_answered(struct bridge_stage *stage);

/* Ask, let it travel, and take the reply to it. Returns its error. */
int32_t bridge_call(struct bridge_stage *stage, uint32_t opcode, uint64_t node, const void *args,
		    size_t size);

/* INIT. */
void bridge_begin(struct bridge_stage *stage);

/* A new file in the root; its node, and the handle that it is open with. */
uint64_t bridge_create(struct bridge_stage *stage, uint64_t *handle);

#endif
