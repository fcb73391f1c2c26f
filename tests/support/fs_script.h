/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session that a test steers: what it makes of a request, and when. It knows nothing of
 * FUSE: a reply is the request's bytes, each with all its bits turned, as many as there is room for.
 *
 * It fails the test if the device breaks the rules of session.h.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_FS_SCRIPT_H
#define TESTS_SUPPORT_FS_SCRIPT_H

#include "devices/fs/session.h"

#define FS_SCRIPT_HELD_MAX   64u
#define FS_SCRIPT_QUEUES_MAX 8u

struct fs_script_queue {
	struct fs_session_queue base;
	enum fs_queue_kind kind;
	uint16_t depth;
	bool open;
	struct fs_request *held[FS_SCRIPT_HELD_MAX];
	unsigned held_count;
	unsigned cancels;
	unsigned let_go; /* of the held ones, the newest first, with the next poll */
	bool let_go_oldest;
};

struct fs_script {
	struct fs_session base;

	/* What is done with the next requests. */
	bool hold;         /* FS_QUEUED; on hiprio never */
	unsigned accept;   /* so many are taken before the next poll, then FS_BUSY */
	bool limited;      /* accept counts */
	bool deaf;         /* cancel ends nothing */
	bool refuse_queue; /* queue_open has no memory */

	/* The next requests get these bytes, reply_size of them; NULL: as said above. */
	const void *reply;
	size_t reply_size;

	/* What happened. */
	struct fs_script_queue queues[FS_SCRIPT_QUEUES_MAX]; /* in the order of queue_open */
	unsigned queue_count;
	unsigned open_count;
	unsigned submits, busy, resets, cancelled;
	size_t last_in, last_out; /* sizes of the last request */
};

/* The session, as a device takes it. Its destroy frees it. */
struct fs_script *fs_script_create(void);

/* The session queue that was opened last for the hiprio queue, or for the request queue of this number from 0. */
struct fs_script_queue *fs_script_queue_at(struct fs_script *script, bool hiprio, unsigned number);

#endif
