/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The block stores, through blk_store_ops. What every store must do is tested on
 * each of them; files are real ones, below TMPDIR.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "devices/blk/store.h"

#define KIB       1024u
#define DISK_SIZE (1024 * KIB)

/* A store on its own, with one queue, and the directory that its files are in. */
struct fixture {
	struct blk_store *store;
	struct blk_store_queue *queue;
	char dir[PATH_MAX];
	char path[PATH_MAX + 16];
};

/* A file with size bytes, all of them a hole. */
static void make_file(const char *path, uint64_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static int directory_setup(void **state)
{
	static struct fixture f;
	const char *tmp = getenv("TMPDIR");

	memset(&f, 0, sizeof(f));
	snprintf(f.dir, sizeof(f.dir), "%s/blk_store_test.XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/disk", f.dir);
	*state = &f;
	return 0;
}

static void open_queue(struct fixture *f)
{
	f->queue = f->store->ops->queue_open(f->store, 128);
	assert_non_null(f->queue);
}

static int ram_setup(void **state)
{
	struct fixture *f;

	directory_setup(state);
	f = *state;
	assert_int_equal(blk_store_ram_create(&f->store, DISK_SIZE), 0);
	open_queue(f);
	return 0;
}

static int file_setup(void **state)
{
	struct fixture *f;

	directory_setup(state);
	f = *state;
	make_file(f->path, DISK_SIZE);
	assert_int_equal(blk_store_file_create(&f->store, f->path, 0), 0);
	open_queue(f);
	return 0;
}

static void close_store(struct fixture *f)
{
	if (f->queue != NULL)
		f->store->ops->queue_close(f->queue);
	if (f->store != NULL)
		f->store->ops->destroy(f->store);
	f->queue = NULL;
	f->store = NULL;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close_store(f);
	unlink(f->path);
	return rmdir(f->dir);
}

static int submit(struct fixture *f, struct blk_io *io)
{
	io->result = -ECANCELED;
	assert_int_equal(f->store->ops->submit(f->queue, io), BLK_SUBMITTED_DONE);
	return io->result;
}

static int transfer(struct fixture *f, struct blk_io io, const struct iovec *iov, size_t count)
{
	for (size_t i = 0; i < count; i++)
		io.size += iov[i].iov_len;
	io.data = iov_window(iov, count, 0, io.size);
	return submit(f, &io);
}

static int move(struct fixture *f, enum blk_op op, uint64_t offset, void *buf, size_t size)
{
	struct iovec iov = {buf, size};

	return transfer(f, (struct blk_io){.op = op, .offset = offset}, &iov, 1);
}

static int change(struct fixture *f, enum blk_op op, unsigned flags, uint64_t offset, uint64_t size)
{
	struct blk_io io = {.op = op, .flags = flags, .offset = offset, .size = size};

	return submit(f, &io);
}

/* Bytes that tell where they belong. */
static void fill_pattern(uint8_t *buf, size_t size, uint64_t offset)
{
	for (size_t i = 0; i < size; i++)
		buf[i] = (uint8_t)((offset + i) % 251 + 1);
}

static void write_pattern(struct fixture *f, uint64_t offset, size_t size)
{
	uint8_t *buf = malloc(size);

	fill_pattern(buf, size, offset);
	assert_int_equal(move(f, BLK_OP_WRITE, offset, buf, size), 0);
	free(buf);
}

static void assert_content(struct fixture *f, uint64_t offset, size_t size, bool pattern)
{
	uint8_t *want = calloc(1, size), *got = malloc(size);

	if (pattern)
		fill_pattern(want, size, offset);
	memset(got, 0xff, size);
	assert_int_equal(move(f, BLK_OP_READ, offset, got, size), 0);
	assert_memory_equal(got, want, size);
	free(want);
	free(got);
}

static void assert_pattern(struct fixture *f, uint64_t offset, size_t size)
{
	assert_content(f, offset, size, true);
}

static void assert_zero(struct fixture *f, uint64_t offset, size_t size)
{
	assert_content(f, offset, size, false);
}

static uint64_t store_size(struct fixture *f)
{
	struct blk_limits limits;

	f->store->ops->limits(f->store, &limits);
	return limits.size;
}

static uint64_t blocks_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* What every store does */

static void limits_are_consistent(void **state)
{
	struct fixture *f = *state;
	struct blk_limits limits;

	f->store->ops->limits(f->store, &limits);
	assert_int_equal(limits.size, DISK_SIZE);
	assert_int_equal(limits.block_size, 512);
	assert_int_equal(limits.physical_block_size % limits.block_size, 0);
	assert_int_equal(limits.memory_alignment, 1);
	assert_true(limits.write_zeroes);
	assert_false(limits.read_only);
}

static void new_store_is_zero(void **state)
{
	assert_zero(*state, 0, DISK_SIZE);
}

static void reads_back_what_was_written(void **state)
{
	struct fixture *f = *state;

	write_pattern(f, 0, 512);
	write_pattern(f, DISK_SIZE - 4 * KIB, 4 * KIB);
	write_pattern(f, 5 * 512, 7 * 512);
	assert_pattern(f, 0, 512);
	assert_pattern(f, DISK_SIZE - 4 * KIB, 4 * KIB);
	assert_pattern(f, 5 * 512, 7 * 512);
	assert_zero(f, 512, 4 * 512);
	assert_zero(f, 12 * 512, 512);
}

static void segments_may_be_of_any_size(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[1536], got[1536] = {0};
	struct iovec out[] = {{buf, 1}, {buf + 1, 510}, {buf + 511, 1000}, {buf + 1511, 25}};
	struct iovec in[] = {{got, 700}, {got + 700, 836}};

	fill_pattern(buf, sizeof(buf), 0);
	assert_int_equal(transfer(f, (struct blk_io){.op = BLK_OP_WRITE}, out, 4), 0);
	assert_int_equal(transfer(f, (struct blk_io){.op = BLK_OP_READ}, in, 2), 0);
	assert_memory_equal(got, buf, sizeof(buf));
}

/* The window starts inside the first segment and ends inside the last: a header, a status. */
static void only_the_window_moves(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[16 + 1024 + 1];
	struct iovec iov[] = {{buf, 500}, {buf + 500, sizeof(buf) - 500}};
	struct blk_io io = {.op = BLK_OP_READ, .size = 1024};

	write_pattern(f, 0, 1024);
	memset(buf, 0xee, sizeof(buf));
	io.data = iov_window(iov, 2, 16, 1024);
	assert_int_equal(submit(f, &io), 0);
	assert_int_equal(buf[15], 0xee);
	assert_int_equal(buf[16], 1);
	assert_int_equal(buf[16 + 1023], 1023 % 251 + 1);
	assert_int_equal(buf[16 + 1024], 0xee);
}

static void more_segments_than_the_kernel_takes(void **state)
{
	enum { COUNT = 2 * UIO_MAXIOV + 512, PIECE = 3, SIZE = COUNT * PIECE };
	static uint8_t buf[SIZE], want[SIZE];
	struct iovec iov[COUNT];
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT; i++)
		iov[i] = (struct iovec){buf + i * PIECE, PIECE};
	fill_pattern(buf, SIZE, 0);
	fill_pattern(want, SIZE, 0);
	assert_int_equal(transfer(f, (struct blk_io){.op = BLK_OP_WRITE}, iov, COUNT), 0);
	assert_pattern(f, 0, SIZE);
	memset(buf, 0, SIZE);
	assert_int_equal(transfer(f, (struct blk_io){.op = BLK_OP_READ}, iov, COUNT), 0);
	assert_memory_equal(buf, want, SIZE);
}

static void flush_and_fua_succeed(void **state)
{
	struct blk_io io = {.op = BLK_OP_WRITE, .flags = BLK_IO_FUA, .offset = 8 * KIB};
	struct fixture *f = *state;
	uint8_t buf[4 * KIB];
	struct iovec iov = {buf, sizeof(buf)};

	fill_pattern(buf, sizeof(buf), 8 * KIB);
	assert_int_equal(transfer(f, io, &iov, 1), 0);
	assert_pattern(f, 8 * KIB, sizeof(buf));
	assert_int_equal(change(f, BLK_OP_FLUSH, 0, 0, 0), 0);
	assert_int_equal(change(f, BLK_OP_WRITE_ZEROES, BLK_IO_FUA, 8 * KIB, 4 * KIB), 0);
	assert_zero(f, 8 * KIB, 4 * KIB);
}

/* Neither end of the range is at a page: the neighbours must keep their bytes. */
static void zeroes_end_where_they_are_told(struct fixture *f, unsigned flags)
{
	write_pattern(f, 0, 64 * KIB);
	assert_int_equal(change(f, BLK_OP_WRITE_ZEROES, flags, 512, 40 * KIB), 0);
	assert_pattern(f, 0, 512);
	assert_zero(f, 512, 40 * KIB);
	assert_pattern(f, 512 + 40 * KIB, 64 * KIB - 512 - 40 * KIB);
	assert_int_equal(change(f, BLK_OP_WRITE_ZEROES, flags, 50 * KIB, 512), 0);
	assert_pattern(f, 49 * KIB, KIB);
	assert_zero(f, 50 * KIB, 512);
	assert_pattern(f, 50 * KIB + 512, KIB);
}

static void write_zeroes_are_exact(void **state)
{
	zeroes_end_where_they_are_told(*state, 0);
	zeroes_end_where_they_are_told(*state, BLK_IO_UNMAP);
}

static void discard_spares_its_neighbours(void **state)
{
	struct fixture *f = *state;
	struct blk_limits limits;

	f->store->ops->limits(f->store, &limits);
	if (limits.discard_granularity == 0)
		skip();
	write_pattern(f, 0, 64 * KIB);
	assert_int_equal(change(f, BLK_OP_DISCARD, 0, 2 * 512, 512), 0);
	assert_int_equal(change(f, BLK_OP_DISCARD, 0, 8 * KIB + 512, 32 * KIB), 0);
	assert_pattern(f, 0, 2 * 512);
	assert_pattern(f, 3 * 512, 8 * KIB - 2 * 512);
	assert_pattern(f, 40 * KIB + 512, 24 * KIB - 512);
}

static void resize_keeps_and_clears(void **state)
{
	struct fixture *f = *state;

	write_pattern(f, 0, DISK_SIZE);
	assert_int_equal(f->store->ops->resize(f->store, 5 * 512), 0);
	assert_int_equal(store_size(f), 5 * 512);
	assert_int_equal(f->store->ops->resize(f->store, 2 * DISK_SIZE), 0);
	assert_int_equal(store_size(f), 2 * DISK_SIZE);
	assert_pattern(f, 0, 5 * 512);
	assert_zero(f, 5 * 512, 2 * DISK_SIZE - 5 * 512);
}

static void resize_refuses_bad_sizes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->store->ops->resize(f->store, 0), -EINVAL);
	assert_int_equal(f->store->ops->resize(f->store, 513), -EINVAL);
	assert_int_not_equal(f->store->ops->resize(f->store, UINT64_MAX - 511), 0);
	assert_int_equal(store_size(f), DISK_SIZE);
}

static void ram_refuses_bad_sizes(void **state)
{
	struct blk_store *store;

	(void)state;
	assert_int_equal(blk_store_ram_create(&store, 0), -EINVAL);
	assert_int_equal(blk_store_ram_create(&store, 1000), -EINVAL);
	assert_int_equal(blk_store_ram_create(&store, UINT64_MAX - 511), -ENOMEM);
}

static void file_gives_space_back(struct fixture *f, enum blk_op op, unsigned flags)
{
	struct blk_limits limits;
	uint64_t before;

	f->store->ops->limits(f->store, &limits);
	if (!limits.unmap)
		skip();
	write_pattern(f, 0, DISK_SIZE);
	assert_int_equal(change(f, BLK_OP_FLUSH, 0, 0, 0), 0);
	before = blocks_of(f->path);
	assert_int_equal(change(f, op, flags, DISK_SIZE / 4, DISK_SIZE / 2), 0);
	assert_true(blocks_of(f->path) <= before - DISK_SIZE / 2);
	assert_int_equal(store_size(f), DISK_SIZE);
}

static void file_punches_holes(void **state)
{
	file_gives_space_back(*state, BLK_OP_DISCARD, 0);
	file_gives_space_back(*state, BLK_OP_WRITE_ZEROES, BLK_IO_UNMAP);
}

static void file_stays_sparse(void **state)
{
	struct fixture *f = *state;

	write_pattern(f, DISK_SIZE / 2, 4 * KIB);
	assert_int_equal(change(f, BLK_OP_FLUSH, 0, 0, 0), 0);
	assert_true(blocks_of(f->path) < DISK_SIZE / 2);
}

static void file_that_shrank_behind_our_back(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[4 * KIB];

	assert_int_equal(truncate(f->path, DISK_SIZE / 2 + 700), 0);
	assert_int_equal(move(f, BLK_OP_READ, DISK_SIZE - 4 * KIB, buf, sizeof(buf)), -EIO);
	assert_int_equal(store_size(f), DISK_SIZE / 2 + 512);
}

static void read_only_file_keeps_its_data(void **state)
{
	struct fixture *f = *state;
	struct blk_limits limits;
	uint8_t buf[512] = {1};

	write_pattern(f, 0, 4 * KIB);
	close_store(f);
	assert_int_equal(blk_store_file_create(&f->store, f->path, BLK_FILE_READ_ONLY), 0);
	open_queue(f);
	f->store->ops->limits(f->store, &limits);
	assert_true(limits.read_only);
	assert_int_equal(limits.discard_granularity, 0);
	assert_false(limits.write_zeroes);
	assert_int_not_equal(move(f, BLK_OP_WRITE, 0, buf, sizeof(buf)), 0);
	assert_int_not_equal(change(f, BLK_OP_WRITE_ZEROES, 0, 0, 512), 0);
	assert_int_equal(change(f, BLK_OP_FLUSH, 0, 0, 0), 0);
	assert_int_equal(f->store->ops->resize(f->store, 2 * DISK_SIZE), -EROFS);
	assert_pattern(f, 0, 4 * KIB);
}

/* What cannot be a store */

static int create_file(struct fixture *f, const char *path)
{
	return blk_store_file_create(&f->store, path, 0);
}

static void directory_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(create_file(f, f->dir), -EISDIR);
}

/* To open a fifo would wait for its other end, to open a terminal could do anything. */
static void fifo_and_character_device_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	assert_int_equal(create_file(f, f->path), -ENOTSUP);
	assert_int_equal(create_file(f, "/dev/null"), -ENOTSUP);
}

static void missing_file_is_not_made(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(create_file(f, f->path), -ENOENT);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void odd_and_empty_files_are_refused(void **state)
{
	struct fixture *f = *state;

	make_file(f->path, 0);
	assert_int_equal(create_file(f, f->path), -EINVAL);
	assert_int_equal(truncate(f->path, 4096 + 100), 0);
	assert_int_equal(create_file(f, f->path), -EINVAL);
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* clang-format off */
#define EVERY_STORE(setup) \
	WITH(setup, limits_are_consistent), \
	WITH(setup, new_store_is_zero), \
	WITH(setup, reads_back_what_was_written), \
	WITH(setup, segments_may_be_of_any_size), \
	WITH(setup, only_the_window_moves), \
	WITH(setup, more_segments_than_the_kernel_takes), \
	WITH(setup, flush_and_fua_succeed), \
	WITH(setup, write_zeroes_are_exact), \
	WITH(setup, discard_spares_its_neighbours), \
	WITH(setup, resize_keeps_and_clears), \
	WITH(setup, resize_refuses_bad_sizes)
/* clang-format on */

int main(void)
{
	const struct CMUnitTest ram[] = {
		EVERY_STORE(ram_setup),
		cmocka_unit_test(ram_refuses_bad_sizes),
	};
	const struct CMUnitTest file[] = {
		EVERY_STORE(file_setup),
		WITH(file_setup, file_punches_holes),
		WITH(file_setup, file_stays_sparse),
		WITH(file_setup, file_that_shrank_behind_our_back),
		WITH(file_setup, read_only_file_keeps_its_data),
		WITH(directory_setup, directory_is_refused),
		WITH(directory_setup, fifo_and_character_device_are_refused),
		WITH(directory_setup, missing_file_is_not_made),
		WITH(directory_setup, odd_and_empty_files_are_refused),
	};
	int failed = cmocka_run_group_tests_name("blk store ram", ram, NULL, NULL);

	return failed + cmocka_run_group_tests_name("blk store file", file, NULL, NULL);
}
