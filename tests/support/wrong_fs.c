/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "wrong_fs.h"

static struct wrong_fs *fs_of(struct fs_session *session)
{
	return (struct wrong_fs *)session;
}

static struct wrong_fs_queue *queue_of(struct fs_session_queue *queue)
{
	return (struct wrong_fs_queue *)queue;
}

static struct fs_session_queue *queue_open(struct fs_session *session, enum fs_queue_kind kind,
					   uint16_t depth)
{
	struct wrong_fs_queue *queue = calloc(1, sizeof(*queue));
	struct wrong_fs *fs = fs_of(session);

	if (!queue)
		return NULL;
	queue->inner = fs->inner->ops->queue_open(fs->inner, kind, depth);
	if (!queue->inner) {
		free(queue);
		return NULL;
	}
	queue->base.session = session;
	queue->fs = fs;
	queue->number = fs->queues++;
	return &queue->base;
}

static void queue_close(struct fs_session_queue *base)
{
	struct wrong_fs_queue *queue = queue_of(base);

	queue->fs->inner->ops->queue_close(queue->inner);
	free(queue);
}

static enum fs_submit submit(struct fs_session_queue *base, struct fs_request *request)
{
	struct wrong_fs_queue *queue = queue_of(base);

	return queue->fs->bend->submit(queue, request);
}

static unsigned poll(struct fs_session_queue *base)
{
	struct wrong_fs_queue *queue = queue_of(base);

	return queue->fs->inner->ops->poll(queue->inner);
}

static void cancel(struct fs_session_queue *base)
{
	struct wrong_fs_queue *queue = queue_of(base);

	queue->fs->queued = 0;
	queue->fs->inner->ops->cancel(queue->inner);
}

static void reset(struct fs_session *session)
{
	struct wrong_fs *fs = fs_of(session);

	fs->queues = 0;
	fs->count = 0;
	fs->queued = 0;
	fs->copy_size = 0;
	fs->inner->ops->reset(fs->inner);
}

static void destroy(struct fs_session *session)
{
	struct wrong_fs *fs = fs_of(session);

	fs->inner->ops->destroy(fs->inner);
	free(fs);
}

/* No poll_fd: a queue that is held up wrongly has nothing to wait on. */
static const struct fs_session_ops ops = {
	.name = "wrong",
	.queue_open = queue_open,
	.queue_close = queue_close,
	.submit = submit,
	.poll = poll,
	.cancel = cancel,
	.reset = reset,
	.destroy = destroy,
};

struct fs_session *wrong_fs_create(struct fs_session *inner, const void *bend)
{
	struct wrong_fs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->base.ops = &ops;
	fs->inner = inner;
	fs->bend = bend;
	return &fs->base;
}

enum fs_submit wrong_fs_forward(struct wrong_fs_queue *queue, struct fs_request *request)
{
	enum fs_submit result = queue->fs->inner->ops->submit(queue->inner, request);

	queue->fs->queued += result == FS_QUEUED;
	return result;
}

struct fuse_in_header wrong_fs_header(const struct fs_request *request)
{
	struct fuse_in_header header = {0};
	size_t size = request->in.size < sizeof(header) ? request->in.size : sizeof(header);

	iov_window_read(&request->in, &header, size);
	return header;
}

struct fuse_out_header wrong_fs_answer(const struct fs_request *request)
{
	struct fuse_out_header header = {0};

	if (request->reply_size >= sizeof(header))
		iov_window_read(&request->out, &header, sizeof(header));
	return header;
}

void wrong_fs_put(const struct fs_request *request, const struct fuse_out_header *header)
{
	if (request->reply_size >= sizeof(*header))
		iov_window_write(&request->out, header, sizeof(*header));
}

enum fs_submit wrong_fs_reply(struct fs_request *request, int error)
{
	const struct fuse_out_header header = {
		.len = sizeof(header), .error = error, .unique = wrong_fs_header(request).unique};

	request->reply_size = request->out.size < sizeof(header) ? 0 : sizeof(header);
	wrong_fs_put(request, &header);
	return FS_DONE;
}
