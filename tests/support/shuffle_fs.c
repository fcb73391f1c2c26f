/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shuffle_fs.h"
#include "devices/fs/fuse_wire.h"

struct shuffle_queue {
	struct fs_session_queue base;
	struct fs_session_queue *inner;
};

static struct shuffle_fs *shuffle_of(struct fs_session *session)
{
	return (struct shuffle_fs *)session;
}

static struct fs_session_queue *queue_open(struct fs_session *session, enum fs_queue_kind kind,
					   uint16_t depth)
{
	struct fs_session *inner = shuffle_of(session)->inner;
	struct shuffle_queue *queue = calloc(1, sizeof(*queue));

	assert_non_null(queue);
	queue->base.session = session;
	queue->inner = inner->ops->queue_open(inner, kind, depth);
	assert_non_null(queue->inner);
	return &queue->base;
}

static void queue_close(struct fs_session_queue *base)
{
	struct shuffle_queue *queue = (struct shuffle_queue *)base;

	shuffle_of(base->session)->inner->ops->queue_close(queue->inner);
	free(queue);
}

static enum fs_submit forward(struct shuffle_queue *queue, struct fs_request *request)
{
	struct shuffle_fs *shuffle = shuffle_of(queue->base.session);
	enum fs_submit result = shuffle->inner->ops->submit(queue->inner, request);

	assert_true(result == FS_DONE || shuffle->late);
	return result;
}

static void spoil(const struct fs_request *request)
{
	struct iov_window last = iov_window_part(&request->out, request->reply_size - 1, 1);
	uint8_t byte;

	iov_window_read(&last, &byte, 1);
	byte ^= 0x55;
	iov_window_write(&last, &byte, 1);
}

/* What it would have been told, from a request that is then undone: it must be one of names. */
static void pretend(struct shuffle_queue *queue, struct fs_request *request)
{
	struct fuse_in_header header;
	struct fuse_out_header ignored;
	uint8_t message[sizeof(header) + 16] = {0}, reply[256];
	struct iovec in = {message, sizeof(header) + 4}, out = {reply, sizeof(reply)};
	struct fs_request undo = {.in = {&in, 1, 0, in.iov_len}, .out = {&out, 1, 0, out.iov_len}};

	forward(queue, request);
	iov_window_read(&request->in, &header, sizeof(header));
	header.opcode = FUSE_RMDIR;
	header.len = sizeof(header) + 4;
	header.unique += 1000;
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), "new", 4);
	forward(queue, &undo);
	memcpy(&ignored, reply, sizeof(ignored));
	assert_int_equal(ignored.error, 0);
}

static enum fs_submit work_on(struct shuffle_queue *queue, struct fs_request *request,
			      unsigned number)
{
	struct shuffle_fs *shuffle = shuffle_of(queue->base.session);
	enum fs_submit result = FS_DONE;

	if (number == shuffle->skip)
		pretend(queue, request);
	else
		result = forward(queue, request);
	if (number == shuffle->spoil)
		spoil(request);
	return result;
}

static enum fs_submit submit(struct fs_session_queue *base, struct fs_request *request)
{
	struct shuffle_fs *shuffle = shuffle_of(base->session);
	unsigned number = ++shuffle->number;

	if (shuffle->hold == 0)
		return work_on((struct shuffle_queue *)base, request, number);
	shuffle->hold--;
	shuffle->held[shuffle->held_count++] = request;
	return FS_QUEUED;
}

static unsigned poll(struct fs_session_queue *base)
{
	struct shuffle_fs *shuffle = shuffle_of(base->session);
	unsigned count = shuffle->held_count;

	if (shuffle->late)
		return shuffle->inner->ops->poll(((struct shuffle_queue *)base)->inner);
	if (shuffle->hold > 0 || count == 0 || shuffle->keep)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		unsigned at = shuffle->work[i];

		work_on((struct shuffle_queue *)base, shuffle->held[at], at + 1);
	}
	shuffle->held_count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct fs_request *request = shuffle->held[shuffle->replies[i]];

		request->done(request);
	}
	return count;
}

static void cancel(struct fs_session_queue *base)
{
	assert_int_equal(shuffle_of(base->session)->held_count, 0);
}

static void reset(struct fs_session *session)
{
	struct fs_session *inner = shuffle_of(session)->inner;

	inner->ops->reset(inner);
}

static void destroy(struct fs_session *session)
{
	struct fs_session *inner = shuffle_of(session)->inner;

	inner->ops->destroy(inner);
	free(session);
}

static const struct fs_session_ops ops = {
	.name = "shuffle",
	.queue_open = queue_open,
	.queue_close = queue_close,
	.submit = submit,
	.poll = poll,
	.cancel = cancel,
	.reset = reset,
	.destroy = destroy,
};

struct shuffle_fs *shuffle_fs_create(struct fs_session *inner)
{
	struct shuffle_fs *shuffle = calloc(1, sizeof(*shuffle));

	assert_non_null(shuffle);
	shuffle->base.ops = &ops;
	shuffle->inner = inner;
	return shuffle;
}

void shuffle_fs_hold(struct shuffle_fs *shuffle, const uint8_t *work, const uint8_t *replies,
		     unsigned count)
{
	assert_true(count <= SHUFFLE_FS_MAX);
	shuffle->number = 0;
	shuffle->hold = count;
	shuffle->work = work;
	shuffle->replies = replies;
}
