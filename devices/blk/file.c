/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store in a regular file or block device, through the page cache. Every
 * operation is carried out inside submit.
 *
 * What a file system cannot do is found out by trying: the first operation that
 * meets EOPNOTSUPP is done in another way, and so are all that follow.
 */
#define _GNU_SOURCE /* fallocate, pwritev2, O_PATH */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store.h"

#define SECTOR_SIZE 512u

/* What goes to the kernel in one call: enough for the longest usual request, below IOV_MAX. */
#define BATCH 256u

#define ZERO_PAGE_SIZE 4096u

/* What there is until an operation finds that it is missing. */
enum feature {
	HAS_PUNCH = 1,
	HAS_ZERO_RANGE = 2,
	HAS_DSYNC = 4,
};

struct file {
	struct blk_store base;
	struct blk_store_queue queue; /* has no state, so one does for all */
	int fd;
	unsigned features; /* atomic */
	int sync_error;    /* of the first sync that failed; atomic */
	bool block_device;
	struct blk_limits limits; /* without size */
};

static const uint8_t zero_page[ZERO_PAGE_SIZE];

static struct file *to_file(struct blk_store *store)
{
	return (struct file *)store;
}

static bool has(const struct file *file, enum feature feature)
{
	return __atomic_load_n(&file->features, __ATOMIC_RELAXED) & feature;
}

static void lose(struct file *file, enum feature feature)
{
	__atomic_fetch_and(&file->features, ~(unsigned)feature, __ATOMIC_RELAXED);
}

static int file_size(int fd, bool block_device, uint64_t *size)
{
	struct stat st;

	if (block_device)
		return ioctl(fd, BLKGETSIZE64, size) < 0 ? -errno : 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

static void file_limits(struct blk_store *store, struct blk_limits *limits)
{
	struct file *file = to_file(store);

	*limits = file->limits;
	if (file_size(file->fd, file->block_device, &limits->size) != 0)
		limits->size = 0;
	/* Someone else may have cut the file anywhere. */
	limits->size -= limits->size % limits->block_size;
}

static int file_resize(struct blk_store *store, uint64_t size)
{
	struct file *file = to_file(store);

	if (size == 0 || size % file->limits.block_size != 0 || size > INT64_MAX)
		return -EINVAL;
	if (file->block_device)
		return -ENOTSUP;
	if (file->limits.read_only)
		return -EROFS;
	while (ftruncate(file->fd, (off_t)size) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static struct blk_store_queue *file_queue_open(struct blk_store *store, uint16_t depth)
{
	(void)depth;
	return &to_file(store)->queue;
}

static void file_queue_close(struct blk_store_queue *queue)
{
	(void)queue;
}

static void note_sync(struct file *file, int err)
{
	if (err != 0)
		__atomic_store_n(&file->sync_error, err, __ATOMIC_RELAXED);
}

/*
 * The kernel tells of a failed write-back once; what it lost then stays lost. So
 * after one failure no sync succeeds again, whichever queue asks.
 */
static int sync_data(struct file *file)
{
	while (fdatasync(file->fd) < 0) {
		if (errno == EINTR)
			continue;
		note_sync(file, -errno);
		break;
	}
	return __atomic_load_n(&file->sync_error, __ATOMIC_RELAXED);
}

/* Returns 0 when all of the window was moved; a short transfer goes on where it ended. */
static int read_all(const struct file *file, struct iov_window left, uint64_t offset)
{
	struct iovec iov[BATCH];

	while (left.size > 0) {
		size_t size;
		size_t count = iov_window_export(&left, iov, BATCH, &size);
		ssize_t moved = preadv(file->fd, iov, (int)count, (off_t)offset);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved < 0)
			return -errno;
		if (moved == 0) /* the file has become shorter than the store said */
			return -EIO;
		iov_window_advance(&left, (size_t)moved);
		offset += (uint64_t)moved;
	}
	return 0;
}

static int write_all(const struct file *file, struct iov_window left, uint64_t offset, int flags)
{
	struct iovec iov[BATCH];

	while (left.size > 0) {
		size_t size;
		size_t count = iov_window_export(&left, iov, BATCH, &size);
		ssize_t moved = pwritev2(file->fd, iov, (int)count, (off_t)offset, flags);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved < 0)
			return -errno;
		if (moved == 0)
			return -EIO;
		iov_window_advance(&left, (size_t)moved);
		offset += (uint64_t)moved;
	}
	return 0;
}

static bool unsupported(int err)
{
	return err == -EOPNOTSUPP || err == -ENOSYS;
}

static int do_write(struct file *file, const struct blk_io *io)
{
	bool durable = io->flags & BLK_IO_FUA;
	int err;

	if (durable && has(file, HAS_DSYNC)) {
		err = write_all(file, io->data, io->offset, RWF_DSYNC);
		if (!unsupported(err)) {
			/* It may have been told of another write's failure. */
			note_sync(file, err);
			return err;
		}
		lose(file, HAS_DSYNC);
	}
	err = write_all(file, io->data, io->offset, 0);
	return err == 0 && durable ? sync_data(file) : err;
}

/* Write zeroes with as few calls as one page of them allows. */
static int write_zero_pages(const struct file *file, uint64_t offset, uint64_t size)
{
	struct iovec iov[BATCH];

	for (unsigned i = 0; i < BATCH; i++)
		iov[i] = (struct iovec){(void *)zero_page, ZERO_PAGE_SIZE};
	while (size > 0) {
		size_t part = size < BATCH * ZERO_PAGE_SIZE ? size : BATCH * ZERO_PAGE_SIZE;
		struct iov_window window = {.iov = iov, .count = BATCH, .size = part};
		int err = write_all(file, window, offset, 0);

		if (err != 0)
			return err;
		offset += part;
		size -= part;
	}
	return 0;
}

static int allocate(const struct file *file, int mode, const struct blk_io *io)
{
	while (fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset, (off_t)io->size) <
	       0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int try_allocate(struct file *file, enum feature feature, const struct blk_io *io)
{
	int err;

	if (!has(file, feature))
		return -EOPNOTSUPP;
	err = allocate(file, feature == HAS_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE,
		       io);
	if (unsupported(err)) {
		lose(file, feature);
		return -EOPNOTSUPP;
	}
	return err;
}

static int do_write_zeroes(struct file *file, const struct blk_io *io)
{
	int err = -EOPNOTSUPP;

	if (io->flags & BLK_IO_UNMAP)
		err = try_allocate(file, HAS_PUNCH, io);
	if (err == -EOPNOTSUPP)
		err = try_allocate(file, HAS_ZERO_RANGE, io);
	if (err == -EOPNOTSUPP)
		err = write_zero_pages(file, io->offset, io->size);
	return err;
}

/* Contents become undefined, so a file that turns out not to take holes may keep them. */
static int do_discard(struct file *file, const struct blk_io *io)
{
	int err = try_allocate(file, HAS_PUNCH, io);

	return err == -EOPNOTSUPP ? 0 : err;
}

static int change_range(struct file *file, const struct blk_io *io)
{
	int err = io->op == BLK_OP_DISCARD ? do_discard(file, io) : do_write_zeroes(file, io);

	return err == 0 && (io->flags & BLK_IO_FUA) ? sync_data(file) : err;
}

static enum blk_submit file_submit(struct blk_store_queue *queue, struct blk_io *io)
{
	struct file *file = to_file(queue->store);

	switch (io->op) {
	case BLK_OP_READ:
		io->result = read_all(file, io->data, io->offset);
		break;
	case BLK_OP_WRITE:
		io->result = do_write(file, io);
		break;
	case BLK_OP_FLUSH:
		io->result = file->limits.read_only ? 0 : sync_data(file);
		break;
	case BLK_OP_DISCARD:
	case BLK_OP_WRITE_ZEROES:
		io->result = change_range(file, io);
		break;
	}
	return BLK_SUBMITTED_DONE;
}

static void file_destroy(struct blk_store *store)
{
	struct file *file = to_file(store);

	close(file->fd);
	free(file);
}

static const struct blk_store_ops file_ops = {
	.name = "file",
	.limits = file_limits,
	.resize = file_resize,
	.queue_open = file_queue_open,
	.queue_close = file_queue_close,
	.submit = file_submit,
	.destroy = file_destroy,
};

/* 0, or why this kind of file cannot be a store. */
static int check_kind(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return -EISDIR;
	return S_ISREG(st->st_mode) || S_ISBLK(st->st_mode) ? 0 : -ENOTSUP;
}

/*
 * To open a fifo or a device has effects, so the kind is looked at before, and
 * again afterwards in case the name means something else by then.
 */
static int open_checked(const char *path, unsigned flags, struct stat *st)
{
	int mode = flags & BLK_FILE_READ_ONLY ? O_RDONLY : O_RDWR;
	int fd = open(path, O_PATH | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = fstat(fd, st) < 0 ? -errno : check_kind(st);
	close(fd);
	if (err != 0)
		return err;
	fd = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fstat(fd, st) < 0 ? -errno : check_kind(st);
	if (err != 0) {
		close(fd);
		return err;
	}
	return fd;
}

/* A power of two from SECTOR_SIZE to max. */
static uint32_t sane_block_size(long size, long max)
{
	bool power_of_two = size > 0 && (size & (size - 1)) == 0;

	if (!power_of_two || size < (long)SECTOR_SIZE)
		return SECTOR_SIZE;
	return (uint32_t)(size < max ? size : max);
}

/*
 * Punching behind the end of a regular file changes nothing and tells whether it
 * can be done. A block device has nothing behind its end: it is taken to be able.
 */
static bool can_punch(const struct file *file, uint64_t size)
{
	struct blk_io behind = {.offset = size, .size = SECTOR_SIZE};

	if (file->limits.read_only)
		return false;
	return file->block_device || allocate(file, FALLOC_FL_PUNCH_HOLE, &behind) == 0;
}

/* What a network file system calls its block size is a transfer size: it is cut to a page. */
static void fill_block_sizes(struct file *file, const struct stat *st)
{
	struct blk_limits *limits = &file->limits;
	int logical;
	unsigned physical;

	limits->block_size = SECTOR_SIZE;
	limits->physical_block_size = sane_block_size(st->st_blksize, 4096);
	if (!file->block_device)
		return;
	if (ioctl(file->fd, BLKSSZGET, &logical) == 0)
		limits->block_size = sane_block_size(logical, 65536);
	if (ioctl(file->fd, BLKPBSZGET, &physical) == 0)
		limits->physical_block_size = sane_block_size(physical, 65536);
}

static void fill_limits(struct file *file, const struct stat *st, uint64_t size)
{
	struct blk_limits *limits = &file->limits;

	fill_block_sizes(file, st);
	limits->memory_alignment = 1;
	limits->volatile_cache = !limits->read_only;
	limits->write_zeroes = !limits->read_only;
	limits->unmap = can_punch(file, size);
	if (limits->unmap)
		limits->discard_granularity = limits->physical_block_size;
	file->features = HAS_ZERO_RANGE | HAS_DSYNC | (limits->unmap ? HAS_PUNCH : 0);
}

static int init(struct file *file, const struct stat *st, unsigned flags)
{
	uint64_t size;
	int err;

	file->base.ops = &file_ops;
	file->queue.store = &file->base;
	file->block_device = S_ISBLK(st->st_mode);
	file->limits.read_only = flags & BLK_FILE_READ_ONLY;
	err = file_size(file->fd, file->block_device, &size);
	if (err != 0)
		return err;
	if (size == 0 || size % SECTOR_SIZE != 0)
		return -EINVAL;
	fill_limits(file, st, size);
	return 0;
}

int blk_store_file_create(struct blk_store **store, const char *path, unsigned flags)
{
	struct file *file = calloc(1, sizeof(*file));
	struct stat st;
	int err;

	if (file == NULL)
		return -ENOMEM;
	file->fd = open_checked(path, flags, &st);
	if (file->fd < 0) {
		err = file->fd;
		free(file);
		return err;
	}
	err = init(file, &st, flags);
	if (err != 0) {
		file_destroy(&file->base);
		return err;
	}
	*store = &file->base;
	return 0;
}
