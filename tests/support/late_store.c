/* SPDX-License-Identifier: BSD-3-Clause */
#include "late_store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct late_store {
	struct blk_store base;
	struct blk_store *ram;
	unsigned polls;
};

struct late_queue {
	struct blk_store_queue base;
	struct blk_store_queue *ram;
	int fd;
	unsigned polls; /* since something is held */
	unsigned count;
	struct blk_io *held[];
};

static struct late_store *to_late(struct blk_store *store)
{
	return (struct late_store *)store;
}

static void limits(struct blk_store *store, struct blk_limits *limits)
{
	to_late(store)->ram->ops->limits(to_late(store)->ram, limits);
}

static struct blk_store_queue *queue_open(struct blk_store *store, uint16_t depth)
{
	struct blk_store *ram = to_late(store)->ram;
	struct late_queue *queue = calloc(1, sizeof(*queue) + depth * sizeof(queue->held[0]));

	if (!queue)
		return NULL;
	queue->base.store = store;
	queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	queue->ram = ram->ops->queue_open(ram, depth);
	return &queue->base;
}

static void queue_close(struct blk_store_queue *base)
{
	struct late_queue *queue = (struct late_queue *)base;

	queue->ram->store->ops->queue_close(queue->ram);
	close(queue->fd);
	free(queue);
}

static enum blk_submit submit(struct blk_store_queue *base, struct blk_io *io)
{
	struct late_queue *queue = (struct late_queue *)base;

	queue->held[queue->count++] = io;
	return eventfd_write(queue->fd, 1) == 0 ? BLK_QUEUED : BLK_BUSY;
}

static unsigned poll_queue(struct blk_store_queue *base)
{
	struct late_queue *queue = (struct late_queue *)base;
	unsigned count = queue->count;
	eventfd_t ignored;

	if (count == 0 || ++queue->polls < to_late(base->store)->polls)
		return 0;
	queue->polls = 0;
	queue->count = 0;
	eventfd_read(queue->fd, &ignored);
	for (unsigned i = 0; i < count; i++) {
		queue->ram->store->ops->submit(queue->ram, queue->held[i]);
		queue->held[i]->done(queue->held[i]);
	}
	return count;
}

static int poll_fd(struct blk_store_queue *base)
{
	return ((struct late_queue *)base)->fd;
}

static void destroy(struct blk_store *store)
{
	struct late_store *late = to_late(store);

	late->ram->ops->destroy(late->ram);
	free(late);
}

static const struct blk_store_ops late_ops = {
	.name = "late",
	.limits = limits,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.submit = submit,
	.poll = poll_queue,
	.poll_fd = poll_fd,
	.destroy = destroy,
};

int late_store_create(struct blk_store **store, uint64_t size, unsigned polls)
{
	struct late_store *late = calloc(1, sizeof(*late));
	int error;

	if (!late)
		return -ENOMEM;
	late->base.ops = &late_ops;
	late->polls = polls;
	error = blk_store_ram_create(&late->ram, size);
	if (error)
		free(late);
	else
		*store = &late->base;
	return error;
}
