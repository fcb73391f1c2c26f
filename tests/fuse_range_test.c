/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes, offsets and flags in arguments, and room in replies. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/fuse_bench.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define END          ((uint64_t)INT64_MAX)

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

/* The bench's guest has the byte order of the host: structures go as they are. */
static int send(struct fuse_bench *bench, uint32_t opcode, const void *args, size_t size,
		size_t room)
{
	return fuse_bench_do(
		bench,
		&(struct fuse_bytes){
			.opcode = opcode, .node = 5, .body = args, .size = size, .room = room});
}

static void expect(struct fuse_bench *bench, int got, int error, const char *call)
{
	const char *line = fake_tree_last(bench->tree);

	assert_int_equal(got, error);
	if (!call)
		assert_string_equal(line, "");
	else if (!strstr(line, call))
		fail_msg("%s: no %s", line, call);
}

static void reads_stop_where_files_end(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t size;
		int error;
		const char *call;
	} rows[] = {
		{END - 4096, 4096, 0, "size=1000 "}, {END - 4095, 4096, 0, "size=fff "},
		{END, 4096, 0, "size=0 "},           {END + 1, 4096, -EINVAL, NULL},
		{UINT64_MAX, 1, -EINVAL, NULL},      {0, 0, 0, "size=0 "},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fuse_read_in in = {.offset = rows[i].offset, .size = rows[i].size};

		expect(*state, send(*state, FUSE_READ, &in, sizeof(in), 5000), rows[i].error,
		       rows[i].call);
	}
}

/* A short answer would be taken for the end of the file. */
static void reads_need_room_for_all_they_ask_for(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_read_in in = {.size = 100};

	expect(bench, send(bench, FUSE_READ, &in, sizeof(in), 116), 0, "room=64");
	expect(bench, send(bench, FUSE_READ, &in, sizeof(in), 115), -EINVAL, NULL);
	expect(bench, send(bench, FUSE_READ, &in, sizeof(in), 16), -EINVAL, NULL);
	in.size = UINT32_MAX;
	expect(bench, send(bench, FUSE_READ, &in, sizeof(in), 4096), -EINVAL, NULL);
	in.size = 0;
	expect(bench, send(bench, FUSE_READ, &in, sizeof(in), 16), 0, "room=0");
	/* More room than was asked for is not filled. */
	in.size = 3;
	bench->tree->data = "abcdef";
	bench->tree->count = 3;
	expect(bench, send(bench, FUSE_READ, &in, sizeof(in), 100), 0, "room=3");
	assert_int_equal(bench->reply_size, 19);
}

static void writes_stop_where_files_end(void **state)
{
	static const struct {
		uint64_t offset;
		int error;
	} rows[] = {{END - 8, 0},      {END - 7, -EFBIG},        {END, -EFBIG},
		    {END + 1, -EFBIG}, {UINT64_MAX - 7, -EFBIG}, {UINT64_MAX, -EFBIG}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct {
			struct fuse_write_in in;
			char data[8];
		} body = {{.offset = rows[i].offset, .size = 8}, "datadat"};

		expect(*state, send(*state, FUSE_WRITE, &body, sizeof(body), 0), rows[i].error,
		       rows[i].error ? NULL : "size=8 ");
	}
}

/* FS-02; lengths that wrap in 32 bits too. */
static void writes_bring_as_much_as_they_say(void **state)
{
	static const uint32_t sizes[] = {0, 7, 9, 0x80000008, UINT32_MAX, UINT32_MAX - 7};

	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct {
			struct fuse_write_in in;
			char data[8];
		} body = {{.size = sizes[i]}, "datadat"};

		expect(*state, send(*state, FUSE_WRITE, &body, sizeof(body), 0), -EINVAL, NULL);
	}
}

static void fallocate_stays_in_files(void **state)
{
	static const struct {
		uint64_t offset, length;
		uint32_t mode;
		int error;
	} rows[] = {
		{0, END, 0, 0},
		{END - 1, 1, 1, 0},
		{0, 0, 0, -EINVAL},
		{1, END, 0, -EFBIG},
		{END + 1, 1, 0, -EFBIG},
		{1, UINT64_MAX, 0, -EFBIG},
		{UINT64_MAX, UINT64_MAX, 0, -EFBIG},
		{0, 1, 0x7b, 0},
		{0, 1, 4, -EOPNOTSUPP},
		{0, 1, 0x80, -EOPNOTSUPP},
		{0, 1, UINT32_MAX, -EOPNOTSUPP},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fuse_fallocate_in in = {
			.offset = rows[i].offset, .length = rows[i].length, .mode = rows[i].mode};

		expect(*state, send(*state, FUSE_FALLOCATE, &in, sizeof(in), 0), rows[i].error,
		       rows[i].error ? NULL : "fallocate");
	}
}

static void copies_stay_in_files(void **state)
{
	static const struct {
		uint64_t from, to, len, flags;
		int error;
	} rows[] = {
		{0, 0, END, 0, 0},
		{END, 0, 0, 0, 0},
		{1, 0, END, 0, -EOVERFLOW},
		{0, 1, END, 0, -EOVERFLOW},
		{0, 0, END + 1, 0, -EOVERFLOW},
		{0, 0, UINT64_MAX, 0, -EOVERFLOW},
		{END + 1, 0, 0, 0, -EINVAL},
		{0, UINT64_MAX, 1, 0, -EINVAL},
		{0, 0, 1, 1, -EINVAL},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fuse_copy_file_range_in in = {.off_in = rows[i].from,
						     .off_out = rows[i].to,
						     .len = rows[i].len,
						     .flags = rows[i].flags};

		expect(*state, send(*state, FUSE_COPY_FILE_RANGE_64, &in, sizeof(in), 0),
		       rows[i].error, rows[i].error ? NULL : "copy_file_range_64");
	}
}

static void seeks_find_data_and_holes(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t whence;
		int error;
	} rows[] = {
		{0, SEEK_DATA, 0},
		{END, SEEK_HOLE, 0},
		{END + 1, SEEK_DATA, -ENXIO},
		{UINT64_MAX, SEEK_HOLE, -ENXIO},
		{0, SEEK_SET, -EINVAL},
		{0, SEEK_CUR, -EINVAL},
		{0, SEEK_END, -EINVAL},
		{0, 5, -EINVAL},
		{0, UINT32_MAX, -EINVAL},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fuse_lseek_in in = {.offset = rows[i].offset, .whence = rows[i].whence};

		expect(*state, send(*state, FUSE_LSEEK, &in, sizeof(in), 0), rows[i].error,
		       rows[i].error ? NULL : "lseek");
	}
}

static void locks_have_a_range_and_a_type(void **state)
{
	static const uint32_t opcodes[] = {FUSE_GETLK, FUSE_SETLK, FUSE_SETLKW};
	static const struct {
		uint64_t start, end;
		uint32_t type;
		int error;
	} rows[] = {
		{0, END, F_RDLCK, 0},
		{END, END, F_WRLCK, 0},
		{5, 5, F_UNLCK, 0},
		{6, 5, F_RDLCK, -EINVAL},
		{0, END + 1, F_RDLCK, -EINVAL},
		{UINT64_MAX, UINT64_MAX, F_RDLCK, -EINVAL},
		{0, 1, 3, -EINVAL},
		{0, 1, UINT32_MAX, -EINVAL},
	};

	for (size_t k = 0; k < COUNT(opcodes); k++) {
		for (size_t i = 0; i < COUNT(rows); i++) {
			struct fuse_lk_in in = {
				.lk = {rows[i].start, rows[i].end, rows[i].type, 0}};

			expect(*state, send(*state, opcodes[k], &in, sizeof(in), 0), rows[i].error,
			       rows[i].error ? NULL : "lk");
		}
	}
}

static void attributes_to_set_are_possible(void **state)
{
	static const struct {
		struct fuse_setattr_in in;
		int error;
	} rows[] = {
		{{.valid = FATTR_SIZE, .size = END}, 0},
		{{.valid = FATTR_SIZE, .size = END + 1}, -EFBIG},
		{{.valid = FATTR_MODE, .size = END + 1}, 0},
		{{.valid = FATTR_ATIME, .atimensec = 999999999}, 0},
		{{.valid = FATTR_ATIME, .atimensec = 1000000000}, -EINVAL},
		{{.valid = FATTR_MTIME, .mtimensec = UINT32_MAX}, -EINVAL},
		{{.valid = FATTR_CTIME, .ctimensec = 1000000000}, -EINVAL},
		{{.valid = FATTR_ATIME | FATTR_ATIME_NOW, .atimensec = 1000000000}, 0},
		{{.valid = 1 << 12}, -EINVAL},
		{{.valid = 1u << 31 | FATTR_MODE}, -EINVAL},
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		expect(*state, send(*state, FUSE_SETATTR, &rows[i].in, sizeof(rows[i].in), 0),
		       rows[i].error, rows[i].error ? NULL : "setattr");
}

static void flags_nobody_knows_are_refused(void **state)
{
	struct {
		struct fuse_rename2_in in;
		char names[4];
	} __attribute__((packed)) rename = {{0}, "a\0b"};
	static const struct {
		uint32_t flags;
		int error;
	} renames[] = {{0, 0},       {1, 0},       {2, 0},
		       {4, 0},       {5, 0},       {3, -EINVAL},
		       {6, -EINVAL}, {8, -EINVAL}, {UINT32_MAX, -EINVAL}};
	struct fuse_access_in access = {.mask = 8};
	struct {
		struct fuse_setxattr_in in;
		char name[2];
	} __attribute__((packed)) xattr = {{.flags = 4}, "a"};

	for (size_t i = 0; i < COUNT(renames); i++) {
		rename.in.flags = renames[i].flags;
		expect(*state, send(*state, FUSE_RENAME2, &rename, sizeof(rename), 0),
		       renames[i].error, renames[i].error ? NULL : "rename2");
	}
	expect(*state, send(*state, FUSE_ACCESS, &access, sizeof(access), 0), -EINVAL, NULL);
	access.mask = 0;
	expect(*state, send(*state, FUSE_ACCESS, &access, sizeof(access), 0), 0, "access=0");
	expect(*state, send(*state, FUSE_SETXATTR, &xattr, sizeof(xattr), 0), -EINVAL, NULL);
}

/* Those that a tree has no use for are dropped, and O_CREAT does not come by OPEN. */
static void open_flags_are_those_a_tree_can_use(void **state)
{
	static const struct {
		uint32_t flags, open, create;
	} rows[] = {
		{O_RDONLY, O_RDONLY, O_CREAT},
		{O_RDWR | O_CREAT | O_EXCL, O_RDWR, O_RDWR | O_CREAT | O_EXCL},
		{O_WRONLY | O_APPEND | O_TRUNC, O_WRONLY | O_APPEND | O_TRUNC,
		 O_WRONLY | O_APPEND | O_TRUNC | O_CREAT},
		{O_SYNC | O_DIRECT | O_NOATIME | O_NONBLOCK,
		 O_SYNC | O_DIRECT | O_NOATIME | O_NONBLOCK,
		 O_SYNC | O_DIRECT | O_NOATIME | O_NONBLOCK | O_CREAT},
		{O_PATH | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_ASYNC | 0x80000000, 0, O_CREAT},
	};
	char call[32];

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fuse_open_in open = {.flags = rows[i].flags};
		struct {
			struct fuse_create_in in;
			char name[2];
		} __attribute__((packed)) create = {{.flags = rows[i].flags}, "a"};

		snprintf(call, sizeof(call), "open=%o", rows[i].open);
		expect(*state, send(*state, FUSE_OPEN, &open, sizeof(open), 0), 0, call);
		expect(*state, send(*state, FUSE_OPENDIR, &open, sizeof(open), 0), 0, call);
		snprintf(call, sizeof(call), "open=%o", rows[i].create);
		expect(*state, send(*state, FUSE_CREATE, &create, sizeof(create), 0), 0, call);
	}
}

static void an_access_mode_of_3_is_none(void **state)
{
	struct fuse_open_in open = {.flags = O_ACCMODE};
	struct {
		struct fuse_create_in in;
		char name[2];
	} __attribute__((packed)) create = {{.flags = O_ACCMODE}, "a"};

	expect(*state, send(*state, FUSE_OPEN, &open, sizeof(open), 0), -EINVAL, NULL);
	expect(*state, send(*state, FUSE_OPENDIR, &open, sizeof(open), 0), -EINVAL, NULL);
	expect(*state, send(*state, FUSE_CREATE, &create, sizeof(create), 0), -EINVAL, NULL);
	expect(*state, send(*state, FUSE_TMPFILE, &create, sizeof(create), 0), -EINVAL, NULL);
}

/* Values of extended attributes */

static int set_xattr(struct fuse_bench *bench, uint32_t says, size_t has, bool extended)
{
	size_t head = extended ? 16 : 8;
	uint8_t *body = calloc(1, head + 2 + has);
	int error;

	assert_non_null(body);
	memcpy(body, &says, sizeof(says));
	body[head] = 'n';
	memset(body + head + 2, 'v', has);
	error = send(bench, FUSE_SETXATTR, body, head + 2 + has, 0);
	free(body);
	return error;
}

static void values_are_as_large_as_they_say(void **state)
{
	struct fuse_bench *bench = *state;

	expect(bench, set_xattr(bench, 5, 5, true), 0, "name=n flags=0 how=0 data=vvvvv");
	expect(bench, set_xattr(bench, 4, 5, true), -EINVAL, NULL);
	expect(bench, set_xattr(bench, 6, 5, true), -EINVAL, NULL);
	expect(bench, set_xattr(bench, 7, 5, true), -EINVAL, NULL);
	expect(bench, set_xattr(bench, 8, 5, true), -EINVAL, NULL);
	expect(bench, set_xattr(bench, UINT32_MAX, 5, true), -EINVAL, NULL);
	expect(bench, set_xattr(bench, 65536, 65536, true), 0, "name=n");
	expect(bench, set_xattr(bench, 65537, 65537, true), -E2BIG, NULL);
}

/* The arguments have 8 bytes without SETXATTR_EXT. */
static void setxattr_is_short_unless_agreed_upon(void **state)
{
	struct fuse_bench *bench = *state;

	fuse_bench_init_as(bench, 45, UINT64_MAX & ~FUSE_SETXATTR_EXT);
	expect(bench, set_xattr(bench, 5, 5, false), 0, "name=n flags=0 how=0 data=vvvvv");
	expect(bench, set_xattr(bench, 0, 0, false), 0, "name=n flags=0 how=0 data=");
	expect(bench, set_xattr(bench, 5, 5, true), -ERANGE, NULL);
}

/* FS-35: no value at all, a value that just fits, no room for any. */
static void values_go_where_they_fit(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_getxattr_in in = {.size = 0};

	expect(bench, send(bench, FUSE_LISTXATTR, &in, sizeof(in), 24), 0, "room=0");
	assert_int_equal(bench->reply_size, 24);
	expect(bench, send(bench, FUSE_LISTXATTR, &in, sizeof(in), 23), -EIO, NULL);
	in.size = 1;
	expect(bench, send(bench, FUSE_LISTXATTR, &in, sizeof(in), 24), 0, "room=1");
	assert_int_equal(bench->reply_size, 16);
	expect(bench, send(bench, FUSE_LISTXATTR, &in, sizeof(in), 16), -ERANGE, NULL);
	in.size = 100;
	expect(bench, send(bench, FUSE_LISTXATTR, &in, sizeof(in), 26), 0, "room=a");
	in.size = UINT32_MAX;
	expect(bench, send(bench, FUSE_LISTXATTR, &in, sizeof(in), 26), 0, "room=a");
	bench->tree->count = 65537;
	in.size = 0;
	expect(bench, send(bench, FUSE_LISTXATTR, &in, sizeof(in), 24), -E2BIG, "listxattr");
}

static void links_go_where_they_fit(void **state)
{
	struct fuse_bench *bench = *state;

	bench->tree->data = "to";
	bench->tree->count = 2;
	expect(bench, send(bench, FUSE_READLINK, NULL, 0, 18), 0, "room=2");
	assert_int_equal(bench->reply_size, 18);
	expect(bench, send(bench, FUSE_READLINK, NULL, 0, 8000), 0, "room=fff");
	bench->tree->data = NULL;
	bench->tree->count = 0;
	expect(bench, send(bench, FUSE_READLINK, NULL, 0, 16), 0, "room=0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_stop_where_files_end),
		TEST(reads_need_room_for_all_they_ask_for),
		TEST(writes_stop_where_files_end),
		TEST(writes_bring_as_much_as_they_say),
		TEST(fallocate_stays_in_files),
		TEST(copies_stay_in_files),
		TEST(seeks_find_data_and_holes),
		TEST(locks_have_a_range_and_a_type),
		TEST(attributes_to_set_are_possible),
		TEST(flags_nobody_knows_are_refused),
		TEST(open_flags_are_those_a_tree_can_use),
		TEST(an_access_mode_of_3_is_none),
		TEST(values_are_as_large_as_they_say),
		TEST(setxattr_is_short_unless_agreed_upon),
		TEST(values_go_where_they_fit),
		TEST(links_go_where_they_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
