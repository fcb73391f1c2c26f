/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A FUSE session around another one, which bends what passes through it.
 *
 *     static enum fs_submit lose(struct wrong_fs_queue *queue, struct fs_request *request)
 *     {
 *             struct fuse_in_header header = wrong_fs_header(request);
 *             ... meddle, answer with wrong_fs_reply, or
 *             return wrong_fs_forward(queue, request);
 *     }
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_WRONG_FS_H
#define TESTS_SUPPORT_WRONG_FS_H

#include "devices/fs/fuse_wire.h"
#include "devices/fs/session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WRONG_FS_COPY 256u

struct wrong_fs_queue;

struct wrong_fs_bend {
	enum fs_submit (*submit)(struct wrong_fs_queue *queue, struct fs_request *request);
};

struct wrong_fs {
	struct fs_session base;
	struct fs_session *inner; /* owned */
	const struct wrong_fs_bend *bend;
	unsigned queues; /* opened since the last reset */

	/* Free for submit. */
	unsigned count;
	uint64_t queued; /* requests that the inner session kept, and has perhaps */
	uint8_t copy[WRONG_FS_COPY];
	size_t copy_size;
};

struct wrong_fs_queue {
	struct fs_session_queue base;
	struct fs_session_queue *inner;
	struct wrong_fs *fs;
	unsigned number; /* in the order of the virtqueues */
};

/* bend: a struct wrong_fs_bend. Takes inner over. Returns NULL without memory. */
struct fs_session *wrong_fs_create(struct fs_session *inner, const void *bend);

/* Let the inner session answer. */
enum fs_submit wrong_fs_forward(struct wrong_fs_queue *queue, struct fs_request *request);

/* The header of the message, as it stands; zeroes for what is missing. And of the reply. */
struct fuse_in_header wrong_fs_header(const struct fs_request *request);
struct fuse_out_header wrong_fs_answer(const struct fs_request *request);

/* Replace the header of the reply. */
void wrong_fs_put(const struct fs_request *request, const struct fuse_out_header *header);

/* Answer with an error, or 0, and nothing behind it. */
enum fs_submit wrong_fs_reply(struct fs_request *request, int error);

#ifdef __cplusplus
}
#endif

#endif
