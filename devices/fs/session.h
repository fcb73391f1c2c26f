/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What answers the FUSE messages of a file-system device. A session implements
 * fs_session_ops; the device (fs.c) calls it. A session sees messages, nothing of
 * rings: one request in, one reply out. The decoder (fuse.h) is a session that
 * turns messages into calls on a tree; one that forwards them unread is possible.
 * A wrapper that delays, fails or logs is a session that forwards to another one.
 *
 * Life: the session's constructor; one queue_open for each virtqueue; submit, poll
 * and cancel on it; queue_close; reset, when the device is reset; destroy.
 *
 * Threads: calls that name the same fs_session_queue are serialised; different
 * queues may be used at the same time. reset and destroy come when all queues are
 * closed. A request is done on a thread of its own queue: in submit, poll or cancel.
 *
 * Errors: 0 or a negative errno, of the host. What a guest did wrong is answered in
 * a reply.
 */
#ifndef DEVICES_FS_SESSION_H
#define DEVICES_FS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../iov.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FS_SESSION_API_MAJOR 0
#define FS_SESSION_API_MINOR 1

struct fs_session;

/*
 * One message. The caller fills in, out and done, and keeps the structure, the
 * windows and their memory valid until the request is done. Both windows lie in
 * memory of the guest, who may change it at any time: copy once, check, use the copy.
 *
 * session_private points to request_size bytes for the session alone, aligned to 16 and
 * zeroed by the caller once, before the first request that uses them.
 */
struct fs_request {
	struct iov_window in;  /* fuse_in_header and what follows; any size, even 0 */
	struct iov_window out; /* room for the reply; size 0: none is wanted */

	/* Called once if submit said FS_QUEUED; it may submit another request. */
	void (*done)(struct fs_request *request);

	/* By the session: bytes of out that were written, from its start without a gap. */
	size_t reply_size;

	void *session_private; /* request_size bytes for the session, of the caller's */
};

enum fs_submit {
	FS_DONE = 0, /* it is over, reply_size is set, done is not called */
	FS_QUEUED,   /* done will be called */
	FS_BUSY,     /* not taken; submit it again after the next poll of this queue */
};

/* Which virtqueue a session queue serves (virtio 1.3, 5.11.2). */
enum fs_queue_kind {
	FS_QUEUE_HIPRIO, /* FORGET, BATCH_FORGET, INTERRUPT: nothing here may ever wait */
	FS_QUEUE_REQUEST,
};

/* A session's context for one virtqueue. A session embeds it as the first member of its own. */
struct fs_session_queue {
	struct fs_session *session;
};

struct fs_session_ops {
	/* Short name for messages ("fuse"). Mandatory. */
	const char *name;

	/* Bytes that session_private of each request points to. */
	size_t request_size;

	/* A context for a queue with at most depth requests in flight. Mandatory. NULL: no memory. */
	struct fs_session_queue *(*queue_open)(struct fs_session *session, enum fs_queue_kind kind,
					       uint16_t depth);

	/* Free it; nothing is in flight. Mandatory. */
	void (*queue_close)(struct fs_session_queue *queue);

	/* Answer a request, now or later. Mandatory. On hiprio never FS_BUSY. */
	enum fs_submit (*submit)(struct fs_session_queue *queue, struct fs_request *request);

	/*
	 * Call done for requests of this queue that are over, without waiting. May be
	 * NULL: submit never says FS_QUEUED or FS_BUSY. Returns how many.
	 */
	unsigned (*poll)(struct fs_session_queue *queue);

	/* Readable when poll has something to do. May be NULL: call poll again. -1: none for this queue. */
	int (*poll_fd)(struct fs_session_queue *queue);

	/*
	 * Everything in flight on this queue is to end soon: what waits for something
	 * that another request must do (a lock) is answered with EINTR. Called when a
	 * queue is to be stopped, perhaps more than once. NULL if and only if poll is.
	 */
	void (*cancel)(struct fs_session_queue *queue);

	/* The device was reset: the session is as after construction. Mandatory. */
	void (*reset)(struct fs_session *session);

	/* Free the session; all queues are closed. Mandatory. */
	void (*destroy)(struct fs_session *session);
};

/* The common head of every session: a session embeds it as its first member. */
struct fs_session {
	const struct fs_session_ops *ops;
};

#ifdef __cplusplus
}
#endif

#endif
