/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store in anonymous memory. Pages that were never written cost nothing, so a
 * disk may be far larger than the machine's memory; DISCARD and unmapping
 * WRITE_ZEROES give whole pages back.
 */
#define _GNU_SOURCE /* mremap */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store.h"

#define SECTOR_SIZE 512u

struct ram {
	struct blk_store base;
	struct blk_store_queue queue; /* has no state, so one does for all */
	uint8_t *data;
	uint64_t size; /* atomic, for limits */
	uint32_t page_size;
};

static struct ram *to_ram(struct blk_store *store)
{
	return (struct ram *)store;
}

static void ram_limits(struct blk_store *store, struct blk_limits *limits)
{
	struct ram *ram = to_ram(store);

	*limits = (struct blk_limits){
		.size = __atomic_load_n(&ram->size, __ATOMIC_RELAXED),
		.block_size = SECTOR_SIZE,
		.physical_block_size = SECTOR_SIZE,
		.memory_alignment = 1,
		.discard_granularity = ram->page_size,
		.write_zeroes = true,
		.unmap = true,
	};
}

/* The memory may move, so no operation may run at the same time. */
static int ram_resize(struct blk_store *store, uint64_t size)
{
	struct ram *ram = to_ram(store);
	uint64_t old = ram->size;
	uint8_t *data;

	if (size == 0 || size % SECTOR_SIZE != 0)
		return -EINVAL;
	if (size > SIZE_MAX - ram->page_size)
		return -ENOMEM;
	data = mremap(ram->data, old, size, MREMAP_MAYMOVE);
	if (data == MAP_FAILED)
		return -errno;
	/* A page that is cut keeps its tail, which must be zero when the store grows again. */
	if (size < old && size % ram->page_size != 0)
		memset(data + size, 0, ram->page_size - size % ram->page_size);
	ram->data = data;
	__atomic_store_n(&ram->size, size, __ATOMIC_RELAXED);
	return 0;
}

static struct blk_store_queue *ram_queue_open(struct blk_store *store, uint16_t depth)
{
	(void)depth;
	return &to_ram(store)->queue;
}

static void ram_queue_close(struct blk_store_queue *queue)
{
	(void)queue;
}

/* Whole pages inside the range are dropped and read as zero afterwards; its ends are cleared. */
static void zero_and_drop(struct ram *ram, uint64_t offset, uint64_t size)
{
	uint64_t end = offset + size;
	uint64_t first = (offset + ram->page_size - 1) & ~(uint64_t)(ram->page_size - 1);
	uint64_t last = end & ~(uint64_t)(ram->page_size - 1);

	if (first >= last || madvise(ram->data + first, last - first, MADV_DONTNEED) != 0) {
		memset(ram->data + offset, 0, size);
		return;
	}
	memset(ram->data + offset, 0, first - offset);
	memset(ram->data + last, 0, end - last);
}

static void write_zeroes(struct ram *ram, const struct blk_io *io)
{
	if (io->flags & BLK_IO_UNMAP)
		zero_and_drop(ram, io->offset, io->size);
	else
		memset(ram->data + io->offset, 0, io->size);
}

static enum blk_submit ram_submit(struct blk_store_queue *queue, struct blk_io *io)
{
	struct ram *ram = to_ram(queue->store);

	/* The caller vouches for the range; a miss would be silent here. */
	assert(io->offset <= ram->size && io->size <= ram->size - io->offset);
	switch (io->op) {
	case BLK_OP_READ:
		iov_window_write(&io->data, ram->data + io->offset, io->size);
		break;
	case BLK_OP_WRITE:
		iov_window_read(&io->data, ram->data + io->offset, io->size);
		break;
	case BLK_OP_FLUSH:
		break;
	case BLK_OP_DISCARD:
		zero_and_drop(ram, io->offset, io->size);
		break;
	case BLK_OP_WRITE_ZEROES:
		write_zeroes(ram, io);
		break;
	}
	io->result = 0;
	return BLK_SUBMITTED_DONE;
}

static void ram_destroy(struct blk_store *store)
{
	struct ram *ram = to_ram(store);

	munmap(ram->data, ram->size);
	free(ram);
}

static const struct blk_store_ops ram_ops = {
	.name = "ram",
	.limits = ram_limits,
	.resize = ram_resize,
	.queue_open = ram_queue_open,
	.queue_close = ram_queue_close,
	.submit = ram_submit,
	.destroy = ram_destroy,
};

int blk_store_ram_create(struct blk_store **store, uint64_t size)
{
	struct ram *ram;

	if (size == 0 || size % SECTOR_SIZE != 0)
		return -EINVAL;
	if (size > SIZE_MAX)
		return -ENOMEM;
	ram = calloc(1, sizeof(*ram));
	if (ram == NULL)
		return -ENOMEM;
	ram->data = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram->data == MAP_FAILED) {
		free(ram);
		return -ENOMEM;
	}
	ram->base.ops = &ram_ops;
	ram->queue.store = &ram->base;
	ram->size = size;
	ram->page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	*store = &ram->base;
	return 0;
}
