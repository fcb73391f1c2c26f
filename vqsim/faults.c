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

#include "faults.h"
#include "misuse_internal.h"

#define SECTOR 512u

struct held {
	struct blk_io *io;
	uint32_t number;
	bool released;
};

/* held is in the order of the numbers. */
struct vqsim_faults_queue {
	struct blk_store_queue base;
	struct blk_store_queue *inner;
	struct vqsim_faults_queue *next;
	uint32_t count;
	struct held held[VQSIM_FAULTS_HELD_MAX];
};

static struct vqsim_faults *to_faults(struct blk_store *store)
{
	return (struct vqsim_faults *)store;
}

static void faults_limits(struct blk_store *store, struct blk_limits *limits)
{
	struct vqsim_faults *faults = to_faults(store);

	faults->inner->ops->limits(faults->inner, limits);
	limits->volatile_cache = true;
	if (faults->limit)
		faults->limit(limits);
}

static int faults_resize(struct blk_store *store, uint64_t size)
{
	struct vqsim_faults *faults = to_faults(store);

	/* The medium keeps its size: what is cut off or added is not followed. */
	return faults->inner->ops->resize(faults->inner, size);
}

static struct blk_store_queue *faults_queue_open(struct blk_store *store, uint16_t depth)
{
	struct vqsim_faults *faults = to_faults(store);
	struct vqsim_faults_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->base.store = store;
	queue->inner = faults->inner->ops->queue_open(faults->inner, depth);
	if (!queue->inner) {
		free(queue);
		return NULL;
	}
	queue->next = faults->open;
	faults->open = queue;
	faults->queues++;
	return &queue->base;
}

static void faults_queue_close(struct blk_store_queue *base)
{
	struct vqsim_faults_queue *queue = (struct vqsim_faults_queue *)base;
	struct vqsim_faults *faults = to_faults(base->store);
	struct vqsim_faults_queue **link = &faults->open;

	assert(queue->count == 0);
	while (*link != queue)
		link = &(*link)->next;
	*link = queue->next;
	faults->inner->ops->queue_close(queue->inner);
	faults->queues--;
	free(queue);
}

static int move_sector(struct vqsim_faults *faults, struct blk_store_queue *inner, enum blk_op op,
		       uint64_t sector)
{
	struct iovec iov = {faults->medium + sector * SECTOR, SECTOR};
	struct blk_io io = {
		.op = op,
		.offset = sector * SECTOR,
		.size = SECTOR,
		.data = {&iov, 1, 0, SECTOR},
	};

	faults->inner->ops->submit(inner, &io);
	faults->changed[sector] = 0;
	return io.result;
}

/* Of the sectors of the medium those that the store inside has now. */
static uint64_t sectors_of(const struct vqsim_faults *faults)
{
	struct blk_limits limits;

	faults->inner->ops->limits(faults->inner, &limits);
	return (limits.size < faults->size ? limits.size : faults->size) / SECTOR;
}

/* What the operation with this number, just done, means for the medium. */
static void update_medium(struct vqsim_faults *faults, struct blk_store_queue *inner,
			  const struct blk_io *io, uint32_t number)
{
	uint64_t first = io->offset / SECTOR, end = (io->offset + io->size + SECTOR - 1) / SECTOR;

	if (io->op == BLK_OP_READ)
		return;
	if (io->op == BLK_OP_FLUSH) {
		uint64_t sectors = sectors_of(faults);

		for (uint64_t s = 0; s < sectors; s++)
			if (faults->changed[s] != 0 && faults->changed[s] < number)
				move_sector(faults, inner, BLK_OP_READ, s);
		return;
	}
	for (uint64_t s = first; s < end && s < faults->size / SECTOR; s++) {
		/* Done now, so it comes after all that was submitted up to now. */
		faults->changed[s] = faults->taken;
		if (io->flags & BLK_IO_FUA)
			move_sector(faults, inner, BLK_OP_READ, s);
	}
}

/* It fails, but its first bytes have moved: a short read or write of the host, or a torn one. */
static void carry_out_part(struct vqsim_faults_queue *queue, const struct blk_io *io,
			   uint32_t number)
{
	struct vqsim_faults *faults = to_faults(queue->base.store);
	struct blk_io part = *io;

	if (faults->part == 0 || (io->op != BLK_OP_READ && io->op != BLK_OP_WRITE))
		return;
	if (faults->part < io->size) {
		part.size = faults->part;
		part.data = iov_window_part(&io->data, 0, faults->part);
	}
	part.flags = 0;
	faults->inner->ops->submit(queue->inner, &part);
	if (part.result == 0)
		update_medium(faults, queue->inner, &part, number);
}

static void carry_out(struct vqsim_faults_queue *queue, struct blk_io *io, uint32_t number)
{
	struct vqsim_faults *faults = to_faults(queue->base.store);

	if (faults->fail_all || number == faults->fail_at) {
		carry_out_part(queue, io, number);
		io->result = faults->error;
		faults->failed++;
		return;
	}
	faults->inner->ops->submit(queue->inner, io);
	if (io->result == 0)
		update_medium(faults, queue->inner, io, number);
}

static void note(struct vqsim_faults *faults, const struct blk_io *io)
{
	if (faults->taken <= VQSIM_FAULTS_LOG_MAX)
		faults->log[faults->taken - 1] = (struct vqsim_faults_entry){
			.op = io->op,
			.flags = io->flags,
			.offset = io->offset,
			.size = io->size,
			.segments = io->data.count,
		};
}

static bool is_busy(const struct vqsim_faults *faults)
{
	return faults->submits == faults->busy_at ||
	       (faults->busy_above != 0 && faults->held >= faults->busy_above);
}

static enum blk_submit faults_submit(struct blk_store_queue *base, struct blk_io *io)
{
	struct vqsim_faults_queue *queue = (struct vqsim_faults_queue *)base;
	struct vqsim_faults *faults = to_faults(base->store);

	faults->submits++;
	if (is_busy(faults)) {
		faults->busy++;
		return BLK_BUSY;
	}
	faults->taken++;
	note(faults, io);
	if (!faults->hold) {
		carry_out(queue, io, faults->taken);
		return BLK_SUBMITTED_DONE;
	}
	assert(queue->count < VQSIM_FAULTS_HELD_MAX);
	queue->held[queue->count++] = (struct held){.io = io, .number = faults->taken};
	faults->held++;
	return BLK_QUEUED;
}

/* Which held operation is next: one that was released, or else what let_go allows. */
static bool find_next(struct vqsim_faults_queue *queue, uint32_t *index)
{
	struct vqsim_faults *faults = to_faults(queue->base.store);

	for (*index = 0; *index < queue->count; ++*index)
		if (queue->held[*index].released)
			return true;
	if (queue->count == 0 || faults->let_go == 0)
		return false;
	*index = faults->newest_first ? queue->count - 1 : 0;
	if (faults->let_go != VQSIM_FAULTS_ALL)
		faults->let_go--;
	return true;
}

static struct held take_held(struct vqsim_faults_queue *queue, uint32_t index)
{
	struct held held = queue->held[index];

	queue->count--;
	memmove(&queue->held[index], &queue->held[index + 1],
		(queue->count - index) * sizeof(queue->held[0]));
	to_faults(queue->base.store)->held--;
	return held;
}

static unsigned faults_poll(struct blk_store_queue *base)
{
	struct vqsim_faults_queue *queue = (struct vqsim_faults_queue *)base;
	unsigned done = 0;
	uint32_t index;

	for (; find_next(queue, &index); done++) {
		struct held held = take_held(queue, index);

		carry_out(queue, held.io, held.number);
		held.io->done(held.io);
	}
	return done;
}

static void faults_destroy(struct blk_store *store)
{
	struct vqsim_faults *faults = to_faults(store);

	assert(faults->queues == 0);
	faults->inner->ops->destroy(faults->inner);
	free(faults->medium);
	free(faults->changed);
	free(faults);
}

static const struct blk_store_ops faults_ops = {
	.name = "faults",
	.limits = faults_limits,
	.resize = faults_resize,
	.queue_open = faults_queue_open,
	.queue_close = faults_queue_close,
	.submit = faults_submit,
	.poll = faults_poll,
	.destroy = faults_destroy,
};

/* Every sector from the store inside to the medium (READ) or back (WRITE). */
static int move_all(struct vqsim_faults *faults, enum blk_op op)
{
	struct blk_store_queue *inner = faults->inner->ops->queue_open(faults->inner, 1);
	int error = 0;

	if (!inner)
		return -ENOMEM;
	for (uint64_t s = 0; s < faults->size / SECTOR && error == 0; s++)
		error = move_sector(faults, inner, op, s);
	faults->inner->ops->queue_close(inner);
	return error;
}

struct vqsim_faults *vqsim_faults_create(struct blk_store *inner)
{
	struct vqsim_faults *faults = calloc(1, sizeof(*faults));
	struct blk_limits limits;

	if (!faults)
		return NULL;
	inner->ops->limits(inner, &limits);
	faults->base.ops = &faults_ops;
	faults->inner = inner;
	faults->let_go = VQSIM_FAULTS_ALL;
	faults->error = -EIO;
	faults->size = limits.size;
	faults->medium = malloc(limits.size);
	faults->changed = calloc(limits.size / SECTOR, sizeof(*faults->changed));
	if (!faults->medium || !faults->changed || move_all(faults, BLK_OP_READ) != 0) {
		free(faults->medium);
		free(faults->changed);
		free(faults);
		return NULL;
	}
	return faults;
}

bool vqsim_faults_release(struct vqsim_faults *faults, uint32_t number)
{
	for (struct vqsim_faults_queue *queue = faults->open; queue; queue = queue->next)
		for (uint32_t i = 0; i < queue->count; i++)
			if (queue->held[i].number == number && !queue->held[i].released) {
				queue->held[i].released = true;
				return true;
			}
	return false;
}

/* The smallest number above after that is held by a queue and not released; 0: none. */
static uint32_t held_above(const struct vqsim_faults_queue *queue, uint32_t after)
{
	for (uint32_t i = 0; i < queue->count; i++)
		if (queue->held[i].number > after && !queue->held[i].released)
			return queue->held[i].number;
	return 0;
}

uint32_t vqsim_faults_held(const struct vqsim_faults *faults, uint32_t nth)
{
	uint32_t number = 0, next;

	do {
		next = 0;
		for (const struct vqsim_faults_queue *q = faults->open; q; q = q->next) {
			uint32_t candidate = held_above(q, number);

			if (candidate && (next == 0 || candidate < next))
				next = candidate;
		}
		number = next;
	} while (nth-- > 0 && number != 0);
	return number;
}

int vqsim_faults_power_cut(struct vqsim_faults *faults)
{
	if (faults->queues > 0)
		vqsim_misuse(__func__, "%u queues are open", faults->queues);
	return move_all(faults, BLK_OP_WRITE);
}
