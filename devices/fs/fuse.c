/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a session and of its queues. */
#include "fuse.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fuse_internal.h"

#define MAX_WRITE_DEFAULT      (UINT32_C(1) << 20)
#define MAX_WRITE_MIN          UINT32_C(4096)
#define MAX_WRITE_MAX          (UINT16_MAX * UINT32_C(4096)) /* what max_pages can tell */
#define MAX_BACKGROUND_DEFAULT UINT16_MAX

static struct fuse_session *to_session(struct fs_session *session)
{
	return (struct fuse_session *)session;
}

/* Queues */

static int watch(int poll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/*
 * A queue waits for calls that ended on other threads, and for the tree if it must be polled;
 * if that cannot be waited for, neither can the queue.
 */
static int open_fds(struct fuse_queue *queue)
{
	struct fs_tree *tree = fuse_session_of(queue)->tree;
	int tree_fd = tree->ops->poll && tree->ops->poll_fd ? tree->ops->poll_fd(tree) : -1;
	int error;

	queue->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->event_fd < 0)
		return -errno;
	if (tree_fd < 0)
		return 0;
	queue->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (queue->poll_fd < 0)
		return -errno;
	error = watch(queue->poll_fd, queue->event_fd);
	return error ? error : watch(queue->poll_fd, tree_fd);
}

static void queue_free(struct fuse_queue *queue)
{
	if (queue->event_fd >= 0)
		close(queue->event_fd);
	if (queue->poll_fd >= 0)
		close(queue->poll_fd);
	free(queue->pool);
	free(queue);
}

static struct fuse_queue *queue_create(struct fuse_session *session, enum fs_queue_kind kind)
{
	struct fuse_queue *queue = aligned_alloc(_Alignof(struct fuse_queue), sizeof(*queue));

	if (queue)
		*queue = (struct fuse_queue){
			.base.session = &session->base,
			.kind = kind,
			.event_fd = -1,
			.poll_fd = -1,
		};
	return queue;
}

/* Nothing ever waits in hiprio, so it has no descriptors. */
static struct fs_session_queue *fuse_queue_open(struct fs_session *base, enum fs_queue_kind kind,
						uint16_t depth)
{
	struct fuse_session *session = to_session(base);
	struct fuse_queue *queue = queue_create(session, kind);

	if (!queue)
		return NULL;
	queue->over_end = &queue->over;
	if (fuse_pool_create(queue, depth) != 0 ||
	    (kind != FS_QUEUE_HIPRIO && open_fds(queue) != 0)) {
		queue_free(queue);
		return NULL;
	}
	pthread_mutex_lock(&session->lock);
	queue->next = session->queues;
	session->queues = queue;
	pthread_mutex_unlock(&session->lock);
	return &queue->base;
}

static void fuse_queue_close(struct fs_session_queue *base)
{
	struct fuse_queue *queue = (struct fuse_queue *)base;
	struct fuse_session *session = fuse_session_of(queue);
	struct fuse_queue **at = &session->queues;

	assert(!queue->changing);
	/* Whoever handed the last message over still has the lock, if anybody. */
	pthread_mutex_lock(&session->lock);
	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	pthread_mutex_unlock(&session->lock);
	queue_free(queue);
}

static int fuse_poll_fd(struct fs_session_queue *base)
{
	const struct fuse_queue *queue = (struct fuse_queue *)base;
	const struct fs_tree_ops *tree = fuse_session_of(queue)->tree->ops;

	return tree->poll ? queue->poll_fd : queue->event_fd;
}

static void fuse_cancel(struct fs_session_queue *base)
{
	const struct fuse_queue *queue = (struct fuse_queue *)base;

	fuse_cancel_queue(fuse_session_of(queue), queue);
}

/* Sessions */

static void fuse_reset(struct fs_session *base)
{
	struct fuse_session *session = to_session(base);

	assert(!session->queues && !session->waiting && !session->changer);
	if (session->started)
		session->tree->ops->reset(session->tree);
	session->started = false;
	session->phase = FUSE_NO_SESSION;
}

static void fuse_destroy(struct fs_session *base)
{
	struct fuse_session *session = to_session(base);

	fuse_reset(base);
	pthread_mutex_destroy(&session->lock);
	free(session);
}

static const struct fs_session_ops fuse_session_ops = {
	.name = "fuse",
	.queue_open = fuse_queue_open,
	.queue_close = fuse_queue_close,
	.submit = fuse_submit,
	.poll = fuse_poll,
	.poll_fd = fuse_poll_fd,
	.cancel = fuse_cancel,
	.reset = fuse_reset,
	.destroy = fuse_destroy,
};

static struct fuse_options complete(const struct fuse_options *given)
{
	struct fuse_options options = given ? *given : (struct fuse_options){0};

	if (options.max_write == 0)
		options.max_write = MAX_WRITE_DEFAULT;
	if (options.max_background == 0)
		options.max_background = MAX_BACKGROUND_DEFAULT;
	return options;
}

int fuse_session_create(struct fs_session **created, const struct fuse_options *given,
			struct fs_tree *tree)
{
	struct fuse_options options = complete(given);
	struct fuse_session *session;

	if (options.max_write < MAX_WRITE_MIN || options.max_write > MAX_WRITE_MAX)
		return -EINVAL;
	session = calloc(1, sizeof(*session));
	if (!session)
		return -ENOMEM;
	session->base.ops = &fuse_session_ops;
	session->tree = tree;
	session->options = options;
	tree->ops->limits(tree, &session->limits);
	for (uint32_t i = 0; i < FUSE_OPCODES; i++)
		session->members[i] = fs_tree_op_of(tree->ops, i);
	pthread_mutex_init(&session->lock, NULL);
	*created = &session->base;
	return 0;
}
