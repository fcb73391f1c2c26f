/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "wrong_store.h"

struct wrong_store {
	struct blk_store base;
	struct blk_store *inner;
	const struct wrong_store_bend *bend;
};

struct wrong_store_queue {
	struct blk_store_queue base;
	struct blk_store_queue *inner;
};

static struct blk_store *inside(struct blk_store *store)
{
	return ((struct wrong_store *)store)->inner;
}

static struct blk_store_queue *queue_inside(struct blk_store_queue *queue)
{
	return ((struct wrong_store_queue *)queue)->inner;
}

static void limits(struct blk_store *store, struct blk_limits *out)
{
	inside(store)->ops->limits(inside(store), out);
}

static int resize(struct blk_store *store, uint64_t size)
{
	return inside(store)->ops->resize(inside(store), size);
}

static struct blk_store_queue *queue_open(struct blk_store *store, uint16_t depth)
{
	struct wrong_store_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->base.store = store;
	queue->inner = inside(store)->ops->queue_open(inside(store), depth);
	if (queue->inner)
		return &queue->base;
	free(queue);
	return NULL;
}

static void queue_close(struct blk_store_queue *queue)
{
	inside(queue->store)->ops->queue_close(queue_inside(queue));
	free(queue);
}

static enum blk_submit submit(struct blk_store_queue *queue, struct blk_io *io)
{
	const struct wrong_store *store = (const struct wrong_store *)queue->store;

	if (store->bend->submit(io))
		return store->inner->ops->submit(queue_inside(queue), io);
	io->result = 0;
	return BLK_SUBMITTED_DONE;
}

static unsigned poll(struct blk_store_queue *queue)
{
	return inside(queue->store)->ops->poll(queue_inside(queue));
}

static void destroy(struct blk_store *store)
{
	inside(store)->ops->destroy(inside(store));
	free(store);
}

/* Around faults, which has all of these. */
static const struct blk_store_ops wrong_store_ops = {
	.name = "wrong",
	.limits = limits,
	.resize = resize,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.submit = submit,
	.poll = poll,
	.destroy = destroy,
};

struct blk_store *wrong_store_create(struct blk_store *inner, const void *bend)
{
	struct wrong_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->base.ops = &wrong_store_ops;
	store->inner = inner;
	store->bend = bend;
	return &store->base;
}
