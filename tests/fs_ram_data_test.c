/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes of files in the tree in memory: a seeded run of everything that changes them, on a
 * file of the tree and on one of the host, which must hold the same; and single rules.
 */
#define _GNU_SOURCE /* fallocate, copy_file_range, SEEK_DATA */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/tree_client.h"

#define PAGE  4096u
#define SPAN  (16 * PAGE)
#define STEPS 2500u

static int setup(void **state)
{
	return fs_tree_ram_create((struct fs_tree **)state, NULL);
}

static int teardown(void **state)
{
	struct fs_tree *tree = *state;

	tree->ops->destroy(tree);
	return 0;
}

/* --- a tree and the host --- */

struct twin {
	struct tree_client client;
	struct tree_file file[2];
	int fd[2];
	bool host_zeroes; /* tmpfs does not know ZERO_RANGE */
	uint64_t random;
	uint8_t out[SPAN], seen[2 * SPAN], host_seen[2 * SPAN];
};

static uint32_t draw(struct twin *twin, uint32_t below)
{
	twin->random = twin->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(twin->random >> 33) % below;
}

/* Half of the time at a border of pages, or beside one. */
static uint32_t draw_place(struct twin *twin, uint32_t below)
{
	if (draw(twin, 2) == 0)
		return draw(twin, below);
	return (draw(twin, below / PAGE) * PAGE + draw(twin, 3) + below - 1) % below;
}

static int64_t host_result(int64_t value)
{
	return value < 0 ? -errno : value;
}

static void step_write(struct twin *twin, unsigned which)
{
	uint32_t at = draw_place(twin, SPAN), size = draw_place(twin, SPAN);

	memset(twin->out, (int)draw(twin, 256), size);
	assert_int_equal(tree_pwrite(&twin->client, &twin->file[which], twin->out, size, at),
			 host_result(pwrite(twin->fd[which], twin->out, size, at)));
}

static void step_truncate(struct twin *twin, unsigned which)
{
	uint32_t size = draw_place(twin, 2 * SPAN);
	const struct statx attr = {.stx_size = size};

	assert_int_equal(ftruncate(twin->fd[which], size), 0);
	assert_int_equal(tree_setattr(&twin->client, which ? "b" : "a", FS_SET_SIZE, &attr), 0);
}

static void step_fallocate(struct twin *twin, unsigned which)
{
	static const int modes[] = {
		0,
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	uint32_t at = draw_place(twin, SPAN), size = draw_place(twin, SPAN);
	int mode = modes[draw(twin, twin->host_zeroes ? 7 : 5)];
	struct fs_call *call = tree_begin(&twin->client, twin->file[which].node);

	call->handle = twin->file[which].handle;
	call->fallocate_mode = (uint32_t)mode;
	call->offset = at;
	call->size = size;
	assert_int_equal(tree_run(&twin->client, twin->client.tree->ops->fallocate),
			 host_result(fallocate(twin->fd[which], mode, at, size)));
}

static void step_copy(struct twin *twin, unsigned which)
{
	unsigned to = draw(twin, 2);
	off_t at = draw_place(twin, SPAN), to_at = draw_place(twin, SPAN);
	uint32_t size = draw_place(twin, SPAN);
	struct fs_call *call = tree_begin(&twin->client, twin->file[which].node);
	int64_t result;

	call->handle = twin->file[which].handle;
	call->offset = (uint64_t)at;
	call->size = size;
	call->target_node = twin->file[to].node;
	call->target_handle = twin->file[to].handle;
	call->target_offset = (uint64_t)to_at;
	result = tree_run(&twin->client, twin->client.tree->ops->copy_file_range);
	assert_int_equal(
		result < 0 ? result : (int64_t)call->count,
		host_result(copy_file_range(twin->fd[which], &at, twin->fd[to], &to_at, size, 0)));
}

static void compare(struct twin *twin, unsigned which)
{
	int64_t size = tree_pread(&twin->client, &twin->file[which], twin->seen, 2 * SPAN, 0);

	assert_int_equal(size, pread(twin->fd[which], twin->host_seen, 2 * SPAN, 0));
	assert_memory_equal(twin->seen, twin->host_seen, (size_t)size);
}

static void open_twins(struct twin *twin, struct fs_tree *tree)
{
	const char *tmp = getenv("TMPDIR");

	twin->client.tree = tree;
	for (unsigned i = 0; i < 2; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/fs_ram_data_test.XXXXXX", tmp ? tmp : "/tmp");
		twin->fd[i] = mkstemp(path);
		assert_true(twin->fd[i] >= 0);
		unlink(path);
		assert_int_equal(tree_open(&twin->client, i ? "b" : "a", O_CREAT | O_RDWR, 0600,
					   &twin->file[i]),
				 0);
	}
	twin->host_zeroes =
		fallocate(twin->fd[0], FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, PAGE) == 0;
}

static void bytes_are_the_same_as_on_the_host(void **state)
{
	static void (*const kinds[])(struct twin *, unsigned) = {
		step_write, step_write, step_truncate, step_fallocate, step_copy};
	struct twin *twin = calloc(1, sizeof(*twin));

	open_twins(twin, *state);
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned which = draw(twin, 2);

		kinds[draw(twin, 5)](twin, which);
		compare(twin, which);
	}
	for (unsigned i = 0; i < 2; i++) {
		close(twin->fd[i]);
		tree_close(&twin->client, &twin->file[i]);
	}
	free(twin);
}

/* --- single rules --- */

static int64_t seek(struct tree_client *client, const struct tree_file *file, uint64_t offset,
		    uint32_t whence)
{
	int error;

	tree_begin(client, file->node)->handle = file->handle;
	client->call.offset = offset;
	client->call.whence = whence;
	error = tree_run(client, client->tree->ops->lseek);
	return error != 0 ? error : (int64_t)client->call.count;
}

static uint64_t blocks(struct tree_client *client, const char *path)
{
	struct statx attr;

	assert_int_equal(tree_stat(client, path, &attr), 0);
	return attr.stx_blocks;
}

static void open_file(struct tree_client *client, struct tree_file *file, uint32_t flags)
{
	assert_int_equal(tree_open(client, "f", O_CREAT | flags, 0644, file), 0);
}

static void only_pages_that_were_written_are_there(void **state)
{
	static const struct {
		uint64_t at;
		uint32_t whence;
		int64_t want;
	} seeks[] = {
		{0, SEEK_DATA, PAGE},
		{0, SEEK_HOLE, 0},
		{PAGE, SEEK_HOLE, 2 * PAGE},
		{PAGE + 7, SEEK_DATA, PAGE + 7},
		{2 * PAGE, SEEK_DATA, (int64_t)1 << 40},
		{(uint64_t)1 << 40, SEEK_HOLE, ((int64_t)1 << 40) + 1},
		{((uint64_t)1 << 40) + 1, SEEK_HOLE, -ENXIO},
		{((uint64_t)1 << 40) + 1, SEEK_DATA, -ENXIO},
		{UINT64_MAX, SEEK_DATA, -ENXIO},
		{0, SEEK_SET, -EINVAL},
	};
	struct tree_client client = {.tree = *state};
	struct tree_file file;
	char seen[3] = "...";

	open_file(&client, &file, O_RDWR);
	assert_int_equal(tree_pwrite(&client, &file, "x", 1, (uint64_t)1 << 40), 1);
	assert_int_equal(tree_pwrite(&client, &file, "y", 1, PAGE + 5), 1);
	assert_int_equal(blocks(&client, "f"), 2 * PAGE / 512);
	for (size_t i = 0; i < sizeof(seeks) / sizeof(seeks[0]); i++)
		assert_int_equal(seek(&client, &file, seeks[i].at, seeks[i].whence), seeks[i].want);
	assert_int_equal(tree_pread(&client, &file, seen, 3, PAGE + 4), 3);
	assert_memory_equal(seen, "\0y\0", 3);
	tree_close(&client, &file);
}

/* A hole at the end of the file is no data, though pages may be behind the end. */
static void nothing_behind_the_end_is_seen(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_file file;
	char seen[10] = "xxxxxxxxxx";

	open_file(&client, &file, O_RDWR);
	tree_begin(&client, file.node)->handle = file.handle;
	client.call.fallocate_mode = FALLOC_FL_KEEP_SIZE;
	client.call.size = 4 * PAGE;
	assert_int_equal(tree_run(&client, client.tree->ops->fallocate), 0);
	assert_int_equal(blocks(&client, "f"), 4 * PAGE / 512);
	assert_int_equal(tree_pread(&client, &file, seen, 10, 0), 0);
	assert_int_equal(seek(&client, &file, 0, SEEK_DATA), -ENXIO);
	assert_int_equal(tree_setattr(&client, "f", FS_SET_SIZE, &(struct statx){.stx_size = 5}),
			 0);
	assert_int_equal(blocks(&client, "f"), PAGE / 512);
	assert_int_equal(tree_pread(&client, &file, seen, 10, 0), 5);
	assert_memory_equal(seen, "\0\0\0\0\0xxxxx", 10);
	tree_close(&client, &file);
}

static void pages_behind_the_end_are_no_data(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_file file;

	open_file(&client, &file, O_RDWR);
	assert_int_equal(tree_setattr(&client, "f", FS_SET_SIZE, &(struct statx){.stx_size = PAGE}),
			 0);
	tree_begin(&client, file.node)->handle = file.handle;
	client.call.fallocate_mode = FALLOC_FL_KEEP_SIZE;
	client.call.offset = 2 * PAGE;
	client.call.size = PAGE;
	assert_int_equal(tree_run(&client, client.tree->ops->fallocate), 0);
	assert_int_equal(seek(&client, &file, 0, SEEK_DATA), -ENXIO);
	assert_int_equal(seek(&client, &file, 0, SEEK_HOLE), 0);
	tree_close(&client, &file);
}

/* What changes the bytes of a file takes its privileges away, however it does. */
static void space_that_changes_takes_suid_away(void **state)
{
	const struct statx suid = {.stx_mode = 06777};
	struct tree_client client = {.tree = *state};
	struct tree_file file, target;
	struct statx attr;

	open_file(&client, &file, O_RDWR);
	assert_int_equal(tree_pwrite(&client, &file, "bytes", 5, 0), 5);
	assert_int_equal(tree_open(&client, "g", O_CREAT | O_RDWR, 0666, &target), 0);
	for (unsigned copy = 0; copy < 2; copy++) {
		client.uid = client.gid = 0;
		assert_int_equal(tree_setattr(&client, "g", FS_SET_MODE, &suid), 0);
		client.uid = client.gid = 1000;
		tree_begin(&client, copy ? file.node : target.node);
		client.call.handle = copy ? file.handle : target.handle;
		client.call.target_node = target.node;
		client.call.target_handle = target.handle;
		client.call.size = 5;
		assert_int_equal(tree_run(&client, copy ? client.tree->ops->copy_file_range
							: client.tree->ops->fallocate),
				 0);
		assert_int_equal(tree_stat(&client, "g", &attr), 0);
		assert_int_equal(attr.stx_mode & 07777, 0777);
	}
	tree_close(&client, &file);
	tree_close(&client, &target);
}

/* Nobody waits for a copy of nothing for long: a call ends after a part, and says so. */
static void a_huge_hole_is_copied_in_parts(void **state)
{
	const uint64_t size = (uint64_t)1 << 40, part = (uint64_t)256 << 20;
	struct tree_client client = {.tree = *state};
	struct tree_file file, target;
	struct statx attr;

	open_file(&client, &file, O_RDWR);
	assert_int_equal(tree_open(&client, "g", O_CREAT | O_RDWR, 0644, &target), 0);
	assert_int_equal(tree_pwrite(&client, &file, "end", 3, size - 3), 3);
	for (unsigned i = 0; i < 3; i++) {
		tree_begin(&client, file.node)->handle = file.handle;
		client.call.target_node = target.node;
		client.call.target_handle = target.handle;
		client.call.offset = client.call.target_offset = i < 2 ? i * part : size - 5;
		client.call.size = size - client.call.offset;
		assert_int_equal(tree_run(&client, client.tree->ops->copy_file_range), 0);
		assert_int_equal(client.call.count, i < 2 ? part : 5);
		assert_int_equal(tree_stat(&client, "g", &attr), 0);
		assert_int_equal(attr.stx_size, i < 2 ? (i + 1) * part : size);
		assert_int_equal(attr.stx_blocks, i < 2 ? 0 : PAGE / 512);
	}
	tree_close(&client, &file);
	tree_close(&client, &target);
}

static void append_writes_at_the_end_but_for_a_page_cache(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_file file;
	char seen[10];

	open_file(&client, &file, O_RDWR | O_APPEND);
	assert_int_equal(tree_pwrite(&client, &file, "abc", 3, 0), 3);
	assert_int_equal(tree_pwrite(&client, &file, "def", 3, 0), 3);
	tree_begin(&client, file.node)->handle = file.handle;
	client.call.flags = FS_WRITE_CACHE;
	client.call.open_flags = O_RDWR | O_APPEND;
	client.call.offset = 1;
	tree_data(&client, "X", 1);
	assert_int_equal(tree_run(&client, client.tree->ops->write), 0);
	assert_int_equal(tree_pread(&client, &file, seen, 10, 0), 6);
	assert_memory_equal(seen, "aXcdef", 6);
	tree_close(&client, &file);
}

static void handles_do_what_they_were_opened_for(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_file readable, writable;
	char byte = 'x';

	open_file(&client, &writable, O_WRONLY);
	open_file(&client, &readable, O_RDONLY);
	assert_int_equal(tree_pread(&client, &writable, &byte, 1, 0), -EBADF);
	assert_int_equal(tree_pwrite(&client, &readable, &byte, 1, 0), -EBADF);
	assert_int_equal(tree_pwrite(&client, &writable, &byte, 1, 0), 1);
	assert_int_equal(tree_pread(&client, &readable, &byte, 1, 0), 1);
	tree_begin(&client, readable.node)->handle = readable.handle;
	client.call.size = 1;
	assert_int_equal(tree_run(&client, client.tree->ops->fallocate), -EBADF);
	tree_begin(&client, readable.node)->handle = readable.handle;
	client.call.target_node = readable.node;
	client.call.target_handle = readable.handle;
	client.call.size = 1;
	assert_int_equal(tree_run(&client, client.tree->ops->copy_file_range), -EBADF);
	tree_close(&client, &readable);
	tree_close(&client, &writable);
}

static void files_end_below_2_to_the_63(void **state)
{
	const uint64_t last = INT64_MAX;
	struct tree_client client = {.tree = *state};
	struct tree_file file;
	char bytes[8] = "bytes";

	open_file(&client, &file, O_RDWR);
	assert_int_equal(tree_pwrite(&client, &file, bytes, 8, last - 3), 3);
	assert_int_equal(tree_pwrite(&client, &file, bytes, 8, last), -EFBIG);
	assert_int_equal(tree_pwrite(&client, &file, bytes, 8, last + 1), -EINVAL);
	assert_int_equal(tree_pread(&client, &file, bytes, 8, last - 3), 3);
	assert_int_equal(tree_pread(&client, &file, bytes, 8, last), 0);
	assert_int_equal(tree_pread(&client, &file, bytes, 8, UINT64_MAX), -EINVAL);
	assert_int_equal(
		tree_setattr(&client, "f", FS_SET_SIZE, &(struct statx){.stx_size = last + 1}),
		-EFBIG);
	tree_begin(&client, file.node)->handle = file.handle;
	client.call.offset = last - 10;
	client.call.size = 11;
	assert_int_equal(tree_run(&client, client.tree->ops->fallocate), -EFBIG);
	client.call.fallocate_mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	client.call.size = 10;
	assert_int_equal(tree_run(&client, client.tree->ops->fallocate), 0);
	assert_int_equal(blocks(&client, "f"), PAGE / 512);
	assert_int_equal(tree_setattr(&client, "f", FS_SET_SIZE, &(struct statx){.stx_size = 0}),
			 0);
	assert_int_equal(blocks(&client, "f"), 0);
	tree_close(&client, &file);
}

static void fallocate_refuses_what_it_does_not_know(void **state)
{
	static const struct {
		uint32_t mode;
		uint64_t offset, size;
		int want;
	} cases[] = {
		{0, 0, 0, -EINVAL},
		{0, UINT64_MAX, 1, -EINVAL},
		{0, 0, UINT64_MAX, -EINVAL},
		{FALLOC_FL_PUNCH_HOLE, 0, 1, -EOPNOTSUPP},
		{FALLOC_FL_COLLAPSE_RANGE, 0, PAGE, -EOPNOTSUPP},
		{FALLOC_FL_INSERT_RANGE, 0, PAGE, -EOPNOTSUPP},
		{FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, PAGE,
		 -EOPNOTSUPP},
		{1u << 31, 0, PAGE, -EOPNOTSUPP},
	};
	struct tree_client client = {.tree = *state};
	struct tree_file file;

	open_file(&client, &file, O_RDWR);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tree_begin(&client, file.node)->handle = file.handle;
		client.call.fallocate_mode = cases[i].mode;
		client.call.offset = cases[i].offset;
		client.call.size = cases[i].size;
		assert_int_equal(tree_run(&client, client.tree->ops->fallocate), cases[i].want);
	}
	tree_close(&client, &file);
}

/* Data in many pieces, some of them empty. */
static void data_may_lie_anywhere(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_file file;
	static uint8_t out[3 * PAGE], in[3 * PAGE];
	struct iovec iov[] = {
		{out, 1}, {out + 1, 0}, {out + 1, PAGE}, {out + 1 + PAGE, 2 * PAGE - 1}};

	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i % 251);
	open_file(&client, &file, O_RDWR);
	tree_begin(&client, file.node)->handle = file.handle;
	client.call.offset = 100;
	client.call.data = iov_window(iov, 4, 0, sizeof(out));
	assert_int_equal(tree_run(&client, client.tree->ops->write), 0);
	assert_int_equal(client.call.count, sizeof(out));
	assert_int_equal(tree_pread(&client, &file, in, sizeof(in), 100), sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	tree_close(&client, &file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bytes_are_the_same_as_on_the_host, setup, teardown),
		cmocka_unit_test_setup_teardown(only_pages_that_were_written_are_there, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nothing_behind_the_end_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_behind_the_end_are_no_data, setup, teardown),
		cmocka_unit_test_setup_teardown(space_that_changes_takes_suid_away, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_huge_hole_is_copied_in_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(append_writes_at_the_end_but_for_a_page_cache,
						setup, teardown),
		cmocka_unit_test_setup_teardown(handles_do_what_they_were_opened_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(files_end_below_2_to_the_63, setup, teardown),
		cmocka_unit_test_setup_teardown(fallocate_refuses_what_it_does_not_know, setup,
						teardown),
		cmocka_unit_test_setup_teardown(data_may_lie_anywhere, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
