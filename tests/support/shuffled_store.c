/* SPDX-License-Identifier: BSD-3-Clause */
#include "shuffled_store.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vqsim/schedule.h"

struct shuffled {
	struct blk_store base;
	struct blk_store *inner;
	uint64_t seed;
};

struct shuffled_queue {
	struct blk_store_queue base;
	struct blk_store_queue *inner;
	struct vqsim_schedule schedule;
	int fd;
	uint16_t depth;
	unsigned count;
	struct blk_io *held[];
};

static struct shuffled_queue *to_queue(struct blk_store_queue *queue)
{
	return (struct shuffled_queue *)queue;
}

static void limits(struct blk_store *store, struct blk_limits *limits)
{
	struct blk_store *inner = ((struct shuffled *)store)->inner;

	inner->ops->limits(inner, limits);
}

static struct blk_store_queue *queue_open(struct blk_store *store, uint16_t depth)
{
	struct shuffled *shuffled = (struct shuffled *)store;
	struct blk_store *inner = shuffled->inner;
	struct shuffled_queue *queue = calloc(1, sizeof(*queue) + depth * sizeof(queue->held[0]));

	if (!queue)
		return NULL;
	queue->base.store = store;
	queue->depth = depth;
	queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	queue->inner = inner->ops->queue_open(inner, depth);
	vqsim_schedule_seed(&queue->schedule, shuffled->seed);
	if (queue->fd >= 0 && queue->inner)
		return &queue->base;
	if (queue->inner)
		inner->ops->queue_close(queue->inner);
	if (queue->fd >= 0)
		close(queue->fd);
	free(queue);
	return NULL;
}

static void queue_close(struct blk_store_queue *base)
{
	struct shuffled_queue *queue = to_queue(base);

	queue->inner->store->ops->queue_close(queue->inner);
	close(queue->fd);
	free(queue);
}

static enum blk_submit submit(struct blk_store_queue *base, struct blk_io *io)
{
	struct shuffled_queue *queue = to_queue(base);

	if (queue->count == queue->depth)
		return BLK_BUSY;
	queue->held[queue->count++] = io;
	return BLK_QUEUED;
}

/* Ready as long as anything waits: an eventfd can be written as often as one likes. */
static void commit(struct blk_store_queue *base)
{
	struct shuffled_queue *queue = to_queue(base);
	uint64_t count = 1;

	if (queue->count > 0 ? write(queue->fd, &count, sizeof(count)) < 0
			     : read(queue->fd, &count, sizeof(count)) < 0)
		return;
}

static unsigned poll(struct blk_store_queue *base)
{
	struct shuffled_queue *queue = to_queue(base);
	unsigned todo = vqsim_schedule_choose(&queue->schedule, queue->count + 1);

	for (unsigned i = 0; i < todo; i++) {
		unsigned which = vqsim_schedule_choose(&queue->schedule, queue->count);
		struct blk_io *io = queue->held[which];

		queue->held[which] = queue->held[--queue->count];
		queue->inner->store->ops->submit(queue->inner, io);
		io->done(io);
	}
	return todo;
}

static int poll_fd(struct blk_store_queue *base)
{
	return to_queue(base)->fd;
}

static void destroy(struct blk_store *store)
{
	struct blk_store *inner = ((struct shuffled *)store)->inner;

	inner->ops->destroy(inner);
	free(store);
}

static const struct blk_store_ops ops = {
	.name = "shuffled",
	.limits = limits,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.submit = submit,
	.commit = commit,
	.poll = poll,
	.poll_fd = poll_fd,
	.destroy = destroy,
};

struct blk_store *shuffled_store_create(struct blk_store *inner, uint64_t seed)
{
	struct shuffled *shuffled = calloc(1, sizeof(*shuffled));

	if (!shuffled)
		return NULL;
	shuffled->base.ops = &ops;
	shuffled->inner = inner;
	shuffled->seed = seed;
	return &shuffled->base;
}
