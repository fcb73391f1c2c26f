/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A held operation reaches the store inside when it is let go, so that nothing
 * of its memory is touched before, and nothing after.
 *
 * A FLUSH makes durable what was done when it was submitted: the sectors whose
 * last change has a number below its own. That is the least the contract allows.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wrap_store.h"

#define SECTOR 512u

struct held {
	struct blk_io *io;
	uint32_t number;
};

struct wrap_queue {
	struct blk_store_queue base;
	struct blk_store_queue *inner;
	uint32_t count;
	struct held held[WRAP_HELD_MAX];
};

static struct wrap_store *to_wrap(struct blk_store *store)
{
	return (struct wrap_store *)store;
}

static void wrap_limits(struct blk_store *store, struct blk_limits *limits)
{
	struct wrap_store *wrap = to_wrap(store);

	wrap->inner->ops->limits(wrap->inner, limits);
	limits->volatile_cache = true;
	if (wrap->limit)
		wrap->limit(limits);
}

static int wrap_resize(struct blk_store *store, uint64_t size)
{
	struct wrap_store *wrap = to_wrap(store);

	/* The medium keeps its size: what is cut off or added is not followed. */
	return wrap->inner->ops->resize(wrap->inner, size);
}

static struct blk_store_queue *wrap_queue_open(struct blk_store *store, uint16_t depth)
{
	struct wrap_store *wrap = to_wrap(store);
	struct wrap_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->base.store = store;
	queue->inner = wrap->inner->ops->queue_open(wrap->inner, depth);
	if (!queue->inner) {
		free(queue);
		return NULL;
	}
	wrap->queues++;
	return &queue->base;
}

static void wrap_queue_close(struct blk_store_queue *base)
{
	struct wrap_queue *queue = (struct wrap_queue *)base;
	struct wrap_store *wrap = to_wrap(base->store);

	assert(queue->count == 0);
	wrap->inner->ops->queue_close(queue->inner);
	wrap->queues--;
	free(queue);
}

static void settle_sector(struct wrap_store *wrap, struct blk_store_queue *inner, uint64_t sector)
{
	struct iovec iov = {wrap->medium + sector * SECTOR, SECTOR};
	struct blk_io io = {
		.op = BLK_OP_READ,
		.offset = sector * SECTOR,
		.size = SECTOR,
		.data = {&iov, 1, 0, SECTOR},
	};

	wrap->inner->ops->submit(inner, &io);
	wrap->changed[sector] = 0;
}

/* What the operation with this number, just done, means for the medium. */
static void update_medium(struct wrap_store *wrap, struct blk_store_queue *inner,
			  const struct blk_io *io, uint32_t number)
{
	uint64_t first = io->offset / SECTOR, end = (io->offset + io->size) / SECTOR;

	if (io->op == BLK_OP_READ)
		return;
	if (io->op == BLK_OP_FLUSH) {
		for (uint64_t s = 0; s < wrap->size / SECTOR; s++)
			if (wrap->changed[s] != 0 && wrap->changed[s] < number)
				settle_sector(wrap, inner, s);
		return;
	}
	for (uint64_t s = first; s < end && s < wrap->size / SECTOR; s++) {
		/* Done now, so it comes after all that was submitted up to now. */
		wrap->changed[s] = wrap->taken;
		if (io->flags & BLK_IO_FUA)
			settle_sector(wrap, inner, s);
	}
}

static void carry_out(struct wrap_queue *queue, struct blk_io *io, uint32_t number)
{
	struct wrap_store *wrap = to_wrap(queue->base.store);

	if (wrap->fail_all || number == wrap->fail_at) {
		io->result = wrap->error;
		return;
	}
	wrap->inner->ops->submit(queue->inner, io);
	if (io->result == 0)
		update_medium(wrap, queue->inner, io, number);
}

static void note(struct wrap_store *wrap, const struct blk_io *io)
{
	if (wrap->taken <= WRAP_LOG_MAX)
		wrap->log[wrap->taken - 1] = (struct wrap_entry){
			.op = io->op,
			.flags = io->flags,
			.offset = io->offset,
			.size = io->size,
			.segments = io->data.count,
		};
}

static bool is_busy(const struct wrap_store *wrap)
{
	return wrap->submits == wrap->busy_at ||
	       (wrap->busy_above != 0 && wrap->held >= wrap->busy_above);
}

static enum blk_submit wrap_submit(struct blk_store_queue *base, struct blk_io *io)
{
	struct wrap_queue *queue = (struct wrap_queue *)base;
	struct wrap_store *wrap = to_wrap(base->store);

	wrap->submits++;
	if (is_busy(wrap)) {
		wrap->busy++;
		return BLK_BUSY;
	}
	wrap->taken++;
	note(wrap, io);
	if (!wrap->hold) {
		carry_out(queue, io, wrap->taken);
		return BLK_SUBMITTED_DONE;
	}
	assert(queue->count < WRAP_HELD_MAX);
	queue->held[queue->count++] = (struct held){io, wrap->taken};
	wrap->held++;
	return BLK_QUEUED;
}

static struct held take_held(struct wrap_queue *queue, bool newest)
{
	struct held held = queue->held[newest ? queue->count - 1 : 0];

	queue->count--;
	if (!newest)
		memmove(queue->held, queue->held + 1, queue->count * sizeof(queue->held[0]));
	to_wrap(queue->base.store)->held--;
	return held;
}

static unsigned wrap_poll(struct blk_store_queue *base)
{
	struct wrap_queue *queue = (struct wrap_queue *)base;
	struct wrap_store *wrap = to_wrap(base->store);
	unsigned done = 0;

	for (; queue->count > 0 && wrap->let_go > 0; done++) {
		struct held held = take_held(queue, wrap->newest_first);

		if (wrap->let_go != WRAP_ALL)
			wrap->let_go--;
		carry_out(queue, held.io, held.number);
		held.io->done(held.io);
	}
	return done;
}

static void wrap_drain(struct blk_store_queue *base)
{
	struct wrap_store *wrap = to_wrap(base->store);
	uint32_t let_go = wrap->let_go;

	wrap->let_go = WRAP_ALL;
	wrap_poll(base);
	wrap->let_go = let_go;
}

static void wrap_destroy(struct blk_store *store)
{
	struct wrap_store *wrap = to_wrap(store);

	assert(wrap->queues == 0);
	wrap->inner->ops->destroy(wrap->inner);
	free(wrap->medium);
	free(wrap->changed);
	free(wrap);
}

static const struct blk_store_ops wrap_ops = {
	.name = "wrap",
	.limits = wrap_limits,
	.resize = wrap_resize,
	.queue_open = wrap_queue_open,
	.queue_close = wrap_queue_close,
	.submit = wrap_submit,
	.poll = wrap_poll,
	.drain = wrap_drain,
	.destroy = wrap_destroy,
};

/* The medium starts with what the store inside holds. */
static void read_medium(struct wrap_store *wrap)
{
	struct blk_store_queue *inner = wrap->inner->ops->queue_open(wrap->inner, 1);

	for (uint64_t s = 0; s < wrap->size / SECTOR; s++)
		settle_sector(wrap, inner, s);
	wrap->inner->ops->queue_close(inner);
}

struct wrap_store *wrap_store_create(struct blk_store *inner)
{
	struct wrap_store *wrap = calloc(1, sizeof(*wrap));
	struct blk_limits limits;

	if (!wrap)
		return NULL;
	inner->ops->limits(inner, &limits);
	wrap->base.ops = &wrap_ops;
	wrap->inner = inner;
	wrap->let_go = WRAP_ALL;
	wrap->error = -EIO;
	wrap->size = limits.size;
	wrap->medium = malloc(limits.size);
	wrap->changed = calloc(limits.size / SECTOR, sizeof(*wrap->changed));
	if (!wrap->medium || !wrap->changed) {
		free(wrap->medium);
		free(wrap->changed);
		free(wrap);
		return NULL;
	}
	read_medium(wrap);
	return wrap;
}
