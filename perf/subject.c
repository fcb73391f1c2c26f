/* SPDX-License-Identifier: BSD-3-Clause */
#include "subject.h"

#include <errno.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "../devices/blk/blk.h"
#include "../devices/null/null.h"

#define QUEUE_SIZE_MAX 256u

static int create_none(struct virtio_device **dev, struct blk_store **store)
{
	(void)store;
	return perf_none_create(dev, PERF_COPY_NOTHING);
}

static int create_none_4k(struct virtio_device **dev, struct blk_store **store)
{
	(void)store;
	return perf_none_create(dev, PERF_COPY_PATTERN);
}

static int create_none_blk_4k(struct virtio_device **dev, struct blk_store **store)
{
	(void)store;
	return perf_none_create(dev, PERF_COPY_STORE);
}

static int create_null(struct virtio_device **dev, struct blk_store **store)
{
	(void)store;
	return null_create(dev, 1, QUEUE_SIZE_MAX, 0);
}

static int create_null_4k(struct virtio_device **dev, struct blk_store **store)
{
	(void)store;
	return null_create(dev, 1, QUEUE_SIZE_MAX, NULL_FILL);
}

/*
 * Bytes of the store's own: pages that were never written are all the same page of
 * zeros, which is faster to copy from, or slower, than any data.
 */
static int fill(struct blk_store *store)
{
	static uint8_t block[PERF_DATA_SIZE];
	const struct iovec iov = {.iov_base = block, .iov_len = sizeof(block)};
	struct blk_store_queue *queue = store->ops->queue_open(store, 1);
	struct blk_io io = {.op = BLK_OP_WRITE, .size = sizeof(block)};

	if (!queue)
		return -ENOMEM;
	for (unsigned i = 0; i < PERF_BUFFERS && io.result == 0; i++) {
		memset(block, (int)i, sizeof(block));
		io.offset = i * sizeof(block);
		io.data = iov_window(&iov, 1, 0, sizeof(block));
		if (store->ops->submit(queue, &io) != BLK_SUBMITTED_DONE)
			io.result = -EBUSY;
	}
	store->ops->queue_close(queue);
	return io.result;
}

static int create_blk(struct virtio_device **dev, struct blk_store **store)
{
	const struct blk_options options = {.queue_size_max = QUEUE_SIZE_MAX};
	int error = blk_store_ram_create(store, PERF_BUFFERS * PERF_DATA_SIZE);

	if (error)
		return error;
	error = fill(*store);
	if (!error)
		error = blk_create(dev, &options, *store);
	if (error) {
		(*store)->ops->destroy(*store);
		*store = NULL;
	}
	return error;
}

const struct perf_subject perf_subjects[] = {
	{"none", create_none, 0, NULL, 0},
	{"null", create_null, 0, "none", 0},
	{"null-packed", create_null, 0, NULL, VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)},
	{"null-in-order", create_null, 0, NULL, VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)},
	{"null-packed-in-order", create_null, 0, NULL,
	 VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)},
	{"none-4k", create_none_4k, PERF_DATA_SIZE + 1, NULL, 0},
	{"null-4k", create_null_4k, PERF_DATA_SIZE + 1, "none-4k", 0},
	{"none-blk-4k", create_none_blk_4k, PERF_DATA_SIZE + 1, NULL, 0},
	{"blk-4k", create_blk, PERF_DATA_SIZE + 1, "none-blk-4k", 0},
	{NULL, NULL, 0, NULL, 0},
};

const struct perf_subject *perf_subject_find(const char *name)
{
	for (const struct perf_subject *subject = perf_subjects; subject->name; subject++)
		if (strcmp(subject->name, name) == 0)
			return subject;
	return NULL;
}
