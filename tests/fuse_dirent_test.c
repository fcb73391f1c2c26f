/* SPDX-License-Identifier: BSD-3-Clause */
/* Directory entries: padded to 8 bytes, as many as there is room for, names as they are. */
#include <errno.h>
#include <stdlib.h>

#include "tests/support/fuse_bench.h"

#define NAMES 16u

static int set_up(void **state)
{
	struct fuse_bench *bench = fuse_bench_create(NULL, NULL);

	fuse_bench_init(bench);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	fuse_bench_destroy(*state);
	return 0;
}

/* The guest has the byte order of the host here. */
static int read_dir(struct fuse_bench *bench, uint32_t opcode, uint32_t size, size_t room)
{
	struct fuse_read_in in = {.size = size};

	bench->tree->added = 0;
	fake_tree_last(bench->tree);
	return fuse_bench_do(
		bench, &(struct fuse_bytes){
			       .opcode = opcode, .body = &in, .size = sizeof(in), .room = room});
}

static const char letters[] = "abcdefghijklmnop";

static void make_entries(struct fake_dirent *entries, char names[NAMES][NAMES + 1])
{
	for (unsigned i = 0; i < NAMES; i++) {
		memcpy(names[i], letters, i + 1);
		names[i][i + 1] = '\0';
		entries[i] = (struct fake_dirent){.name = names[i],
						  .type = 4,
						  .ino = 100 + i,
						  .next = i + 1,
						  .node = 200 + i};
	}
}

/* One entry at the front of a reply. Returns its size. */
static size_t check_entry(const uint8_t *at, unsigned i)
{
	struct fuse_dirent dirent;
	size_t size = (sizeof(dirent) + i + 1 + 7) / 8 * 8;

	memcpy(&dirent, at, sizeof(dirent));
	assert_int_equal(dirent.ino, 100 + i);
	assert_int_equal(dirent.off, i + 1);
	assert_int_equal(dirent.namelen, i + 1);
	assert_int_equal(dirent.type, 4);
	assert_memory_equal(at + sizeof(dirent), letters, i + 1);
	for (size_t k = sizeof(dirent) + i + 1; k < size; k++)
		assert_int_equal(at[k], 0);
	return size;
}

/* FS-31. */
static void names_of_every_length_are_padded(void **state)
{
	struct fuse_bench *bench = *state;
	struct fake_dirent entries[NAMES];
	char names[NAMES][NAMES + 1];
	size_t at = 16;

	make_entries(entries, names);
	bench->tree->dirents = entries;
	bench->tree->dirent_count = NAMES;
	assert_int_equal(read_dir(bench, FUSE_READDIR, 4096, 4112), 0);
	for (unsigned i = 0; i < NAMES; i++)
		at += check_entry(bench->reply + at, i);
	assert_int_equal(bench->reply_size, at);
}

static void look_ups_go_before_the_names(void **state)
{
	struct fuse_bench *bench = *state;
	struct fake_dirent entries[NAMES];
	char names[NAMES][NAMES + 1];
	size_t at = 16;

	make_entries(entries, names);
	bench->tree->dirents = entries;
	bench->tree->dirent_count = NAMES;
	assert_int_equal(read_dir(bench, FUSE_READDIRPLUS, 8192, 8208), 0);
	for (unsigned i = 0; i < NAMES; i++) {
		struct fuse_entry_out entry;

		memcpy(&entry, bench->reply + at, sizeof(entry));
		assert_int_equal(entry.nodeid, 200 + i);
		assert_int_equal(entry.attr.ino, 0x7172737475767778);
		at += sizeof(entry);
		at += check_entry(bench->reply + at, i);
	}
	assert_int_equal(bench->reply_size, at);
}

/* "." and ".." are not looked up, and nothing is told of them. */
static void entries_that_are_not_looked_up_are_zero(void **state)
{
	static const struct fake_dirent dot = {.name = ".", .type = 4, .ino = 7, .next = 1};
	static const uint8_t zero[sizeof(struct fuse_entry_out)];
	struct fuse_bench *bench = *state;

	bench->tree->dirents = &dot;
	bench->tree->dirent_count = 1;
	assert_int_equal(read_dir(bench, FUSE_READDIRPLUS, 4096, 4112), 0);
	assert_int_equal(bench->reply_size, 16 + 128 + 32);
	assert_memory_equal(bench->reply + 16, zero, sizeof(zero));
	assert_int_equal(bench->reply[16 + 128], bench->big ? 0 : 7);
}

/* Whatever the size, or the room if that is smaller: whole entries, and none past the end. */
static void replies_hold_whole_entries(void **state)
{
	static const uint32_t opcodes[] = {FUSE_READDIR, FUSE_READDIRPLUS};
	struct fuse_bench *bench = *state;
	struct fake_dirent entries[NAMES];
	char names[NAMES][NAMES + 1];

	make_entries(entries, names);
	bench->tree->dirents = entries;
	bench->tree->dirent_count = NAMES;
	for (unsigned k = 0; k < 2; k++) {
		size_t plus = k == 1 ? sizeof(struct fuse_entry_out) : 0;

		for (uint32_t size = 0; size < 600; size++) {
			size_t expected = 16, next = plus + 32;
			unsigned count = 0;
			int error;

			/* Names of 1 to 8 bytes make an entry of 32, those of 9 to 16 of 40. */
			for (; expected + next <= 16 + size && count < NAMES; count++) {
				expected += next;
				next = plus + (count + 1 < 8 ? 32 : 40);
			}
			error = count == 0 ? -EINVAL : 0;
			assert_int_equal(read_dir(bench, opcodes[k], size, 4096), error);
			assert_int_equal(bench->reply_size, expected);
			assert_int_equal(bench->tree->added, count);
			assert_int_equal(read_dir(bench, opcodes[k], 4096, 16 + size), error);
			assert_int_equal(bench->reply_size, expected);
			assert_int_equal(bench->tree->added, count);
		}
	}
}

static void the_longest_name_fits(void **state)
{
	struct fuse_bench *bench = *state;
	char name[256];
	const struct fake_dirent entry = {.name = name, .type = 8, .ino = 1, .next = 1, .node = 2};

	memset(name, 'x', 255);
	name[255] = '\0';
	bench->tree->dirents = &entry;
	bench->tree->dirent_count = 1;
	assert_int_equal(read_dir(bench, FUSE_READDIRPLUS, 128 + 24 + 256, 512), 0);
	assert_int_equal(bench->reply_size, 16 + 128 + 24 + 256);
	assert_memory_equal(bench->reply + 16 + 128 + 24, name, 256);
	assert_int_equal(read_dir(bench, FUSE_READDIRPLUS, 128 + 24 + 255, 512), -EINVAL);
}

/* The end of a directory is an empty reply, and nothing else is. */
static void an_empty_reply_is_the_end(void **state)
{
	struct fuse_bench *bench = *state;

	assert_int_equal(read_dir(bench, FUSE_READDIR, 4096, 4112), 0);
	assert_int_equal(bench->reply_size, 16);
	assert_int_equal(read_dir(bench, FUSE_READDIR, 0, 16), 0);
	assert_int_equal(bench->reply_size, 16);
	bench->tree->result = -EACCES;
	assert_int_equal(read_dir(bench, FUSE_READDIR, 4096, 4112), -EACCES);
}

/* What was given to the guest counts as looked up: an error afterwards comes too late. */
static void an_error_after_entries_waits_for_the_next_time(void **state)
{
	struct fuse_bench *bench = *state;
	const struct fake_dirent entry = {.name = "a", .ino = 1, .next = 1, .node = 2};

	bench->tree->dirents = &entry;
	bench->tree->dirent_count = 1;
	bench->tree->result = -EIO;
	assert_int_equal(read_dir(bench, FUSE_READDIRPLUS, 4096, 4112), 0);
	assert_int_equal(bench->reply_size, 16 + 128 + 32);
	bench->tree->dirent_count = 0;
	assert_int_equal(read_dir(bench, FUSE_READDIRPLUS, 4096, 4112), -EIO);
}

/* An error of the decoder's own must not look at what an earlier request left. */
static void a_bad_offset_is_an_error_after_a_good_one(void **state)
{
	struct fuse_bench *bench = *state;
	const struct fake_dirent entry = {.name = "a", .ino = 1, .next = 1, .node = 2};
	struct fuse_read_in in = {.offset = UINT64_MAX, .size = 100};

	bench->tree->dirents = &entry;
	bench->tree->dirent_count = 1;
	assert_int_equal(read_dir(bench, FUSE_READDIR, 4096, 4112), 0);
	assert_int_equal(fuse_bench_do(bench, &(struct fuse_bytes){.opcode = FUSE_READDIR,
								   .body = &in,
								   .size = sizeof(in)}),
			 -EINVAL);
	assert_int_equal(bench->reply_size, 16);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_of_every_length_are_padded),
		TEST(look_ups_go_before_the_names),
		TEST(entries_that_are_not_looked_up_are_zero),
		TEST(replies_hold_whole_entries),
		TEST(the_longest_name_fits),
		TEST(an_empty_reply_is_the_end),
		TEST(an_error_after_entries_waits_for_the_next_time),
		TEST(a_bad_offset_is_an_error_after_a_good_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
