/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each opcode as bytes: what the tree sees of it, and the reply. In both byte orders, and cut
 * anywhere, for 5.11.6.1 lets the driver frame a message as it likes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/fuse_bench.h"
#include "tests/support/fuse_rows.h"

static const struct fake_dirent abc = {.name = "abc",
				       .type = 8,
				       .ino = 0x3132333435363738,
				       .next = 0x4142434445464748,
				       .node = FAKE_NODE};

static struct fuse_bench *bench_of(const struct fuse_row *rows)
{
	struct fuse_bench *bench = fuse_bench_create(NULL, NULL);

	bench->big = rows == fuse_rows_big;
	bench->tree->dirents = &abc;
	bench->tree->dirent_count = 1;
	fuse_bench_init(bench);
	return bench;
}

static struct fuse_bytes bytes_of(const struct fuse_row *row)
{
	return (struct fuse_bytes){
		.opcode = row->opcode,
		.node = FUSE_ROWS_NODE,
		.body = row->body,
		.size = row->size,
		.no_room = fuse_row_silent(row),
	};
}

static void expect_call(const struct fuse_bench *bench, const struct fuse_row *row)
{
	const char *equals = strchr(row->call, '=');
	char call[1024];

	if (equals && equals[-1] == ' ')
		snprintf(call, sizeof(call), "%.*s" FUSE_ROWS_FROM "%s", (int)(equals - row->call),
			 row->call, equals + 1);
	else
		snprintf(call, sizeof(call), "%s", row->call);
	assert_string_equal(fake_tree_last(bench->tree), call);
}

/* The header in literal bytes is in headers_are_as_the_standard_has_them. */
static void expect_reply(const struct fuse_bench *bench, const struct fuse_row *row)
{
	size_t header = fuse_row_silent(row) ? 0 : 16;

	assert_int_equal(bench->error, 0);
	assert_int_equal(bench->reply_size, header + row->reply_size);
	if (row->reply_size > 0)
		assert_memory_equal(bench->reply + header, row->reply, row->reply_size);
}

static void run(struct fuse_bench *bench, const struct fuse_row *row,
		const struct fuse_bytes *bytes)
{
	bench->tree->count = row->count;
	bench->tree->data = row->data;
	bench->tree->added = 0;
	fuse_bench_do(bench, bytes);
	expect_call(bench, row);
	expect_reply(bench, row);
}

static void whole(const struct fuse_row *rows)
{
	struct fuse_bench *bench = bench_of(rows);

	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&rows[i]);

		run(bench, &rows[i], &bytes);
	}
	fuse_bench_destroy(bench);
}

static void every_opcode_of_a_little_endian_guest(void **state)
{
	(void)state;
	whole(fuse_rows_little);
}

static void every_opcode_of_a_big_endian_guest(void **state)
{
	(void)state;
	whole(fuse_rows_big);
}

/* FS-22, FS-23: a cut inside of a header, and header and data in one piece. */
static void messages_may_be_cut_in_two_anywhere(void **state)
{
	struct fuse_bench *bench = bench_of(fuse_rows_little);

	(void)state;
	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		for (bytes.in_first = 1; bytes.in_first < 40 + bytes.size; bytes.in_first++)
			run(bench, &fuse_rows_little[i], &bytes);
	}
	fuse_bench_destroy(bench);
}

static void replies_may_be_cut_in_two_anywhere(void **state)
{
	struct fuse_bench *bench = bench_of(fuse_rows_big);

	(void)state;
	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_big[i]);

		for (bytes.out_first = 1; bytes.out_first <= 320; bytes.out_first++)
			run(bench, &fuse_rows_big[i], &bytes);
	}
	fuse_bench_destroy(bench);
}

static void messages_and_replies_may_come_in_single_bytes(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 2; order++) {
		const struct fuse_row *rows = order == 0 ? fuse_rows_little : fuse_rows_big;
		struct fuse_bench *bench = bench_of(rows);

		for (size_t i = 0; i < fuse_rows_count; i++) {
			struct fuse_bytes bytes = bytes_of(&rows[i]);

			bytes.in_piece = 1;
			bytes.out_piece = 1;
			run(bench, &rows[i], &bytes);
		}
		fuse_bench_destroy(bench);
	}
}

/* Headers alone, as Linux has them, and what follows in pieces of many sizes. */
static void headers_may_have_pieces_of_their_own(void **state)
{
	struct fuse_bench *bench = bench_of(fuse_rows_little);

	(void)state;
	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		bytes.in_first = 40;
		bytes.out_first = 16;
		for (size_t piece = 1; piece < 320; piece += 7) {
			bytes.in_piece = piece;
			bytes.out_piece = piece;
			run(bench, &fuse_rows_little[i], &bytes);
		}
	}
	fuse_bench_destroy(bench);
}

/* A driver may use buffers that are larger than its message. */
static void what_the_header_does_not_count_is_not_read(void **state)
{
	struct fuse_bench *bench = bench_of(fuse_rows_little);

	(void)state;
	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		bytes.more = 9;
		run(bench, &fuse_rows_little[i], &bytes);
	}
	fuse_bench_destroy(bench);
}

/* The error of a tree goes to the guest as it is, in a reply that is a header alone. */
static void errors_of_the_tree_are_replies_of_16_bytes(void **state)
{
	struct fuse_bench *bench = bench_of(fuse_rows_little);

	(void)state;
	bench->tree->dirent_count = 0;
	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		if (fuse_row_silent(&fuse_rows_little[i]))
			continue;
		bench->tree->result = -ESTALE;
		assert_int_equal(fuse_bench_do(bench, &bytes), -ESTALE);
		assert_int_equal(bench->reply_size, 16);
		/* What is no errno of a guest's. */
		bench->tree->result = -512;
		assert_int_equal(fuse_bench_do(bench, &bytes), -EIO);
		bench->tree->result = 2;
		assert_int_equal(fuse_bench_do(bench, &bytes), -EIO);
		fake_tree_last(bench->tree);
	}
	fuse_bench_destroy(bench);
}

/* FS-37: FORGET with a writable part. */
static void forget_leaves_a_writable_part_alone(void **state)
{
	struct fuse_bench *bench = bench_of(fuse_rows_little);

	(void)state;
	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		bytes.no_room = false;
		if (fuse_row_silent(&fuse_rows_little[i]))
			run(bench, &fuse_rows_little[i], &bytes);
	}
	fuse_bench_destroy(bench);
}

static void batches_are_forgotten_to_the_last(void **state)
{
	struct fuse_bench *bench = bench_of(fuse_rows_little);
	uint64_t body[1 + 2 * 50] = {fuse_bench_u32(bench, 50)};

	(void)state;
	for (uint64_t i = 1; i < 101; i++)
		body[i] = fuse_bench_u64(bench, i);
	fuse_bench_do(bench, &(struct fuse_bytes){.opcode = FUSE_BATCH_FORGET,
						  .body = body,
						  .size = sizeof(body),
						  .no_room = true,
						  .in_piece = 7});
	assert_int_equal(bench->tree->line_count, 50);
	assert_string_equal(bench->tree->lines[0], "forget 1 2");
	assert_string_equal(bench->tree->lines[40], "forget 51 52");
	assert_string_equal(fake_tree_last(bench->tree), "forget 63 64");
	fuse_bench_destroy(bench);
}

static void answer(struct fs_request *request)
{
	(void)request;
	fail();
}

static void headers_are_as_the_standard_has_them(void **state)
{
	static const uint8_t in[2][40] = {
		{40,   0,    0,    0,    17,   0,    0,    0,    0x11, 0x12, 0x13, 0x14, 0x15, 0x16,
		 0x17, 0x18, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x31, 0x32, 0x33, 0x34,
		 0x41, 0x42, 0x43, 0x44, 0x51, 0x52, 0x53, 0x54, 0,    0,    0,    0},
		{0,    0,    0,    40,   0,    0,    0,    17,   0x18, 0x17, 0x16, 0x15, 0x14, 0x13,
		 0x12, 0x11, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 0x34, 0x33, 0x32, 0x31,
		 0x44, 0x43, 0x42, 0x41, 0x54, 0x53, 0x52, 0x51, 0,    0,    0,    0},
	};
	static const uint8_t good[2][16] = {
		{96, 0, 0, 0, 0, 0, 0, 0, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18},
		{0, 0, 0, 96, 0, 0, 0, 0, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11},
	};
	static const uint8_t bad[2][16] = {
		{16, 0, 0, 0, 0xfb, 0xff, 0xff, 0xff, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
		 0x18},
		{0, 0, 0, 16, 0xff, 0xff, 0xff, 0xfb, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12,
		 0x11},
	};

	(void)state;
	for (unsigned big = 0; big < 2; big++) {
		struct fuse_bench *bench = bench_of(big ? fuse_rows_big : fuse_rows_little);
		const struct fs_session_ops *ops = bench->session->ops;
		uint8_t out[96];
		struct iovec from = {(void *)(uintptr_t)in[big], 40}, to = {out, 96};
		struct fs_request request = {
			.in = {&from, 1, 0, 40}, .out = {&to, 1, 0, 96}, .done = answer};

		assert_int_equal(ops->submit(bench->queues[REQUESTS], &request), FS_DONE);
		assert_int_equal(request.reply_size, 96);
		assert_memory_equal(out, good[big], 16);
		assert_string_equal(fake_tree_last(bench->tree),
				    "statfs 2827262524232221 by 34333231:44434241:54535251");
		bench->tree->result = -EIO;
		assert_int_equal(ops->submit(bench->queues[REQUESTS], &request), FS_DONE);
		assert_int_equal(request.reply_size, 16);
		assert_memory_equal(out, bad[big], 16);
		fuse_bench_destroy(bench);
	}
}

/* A tree that counts wrong must not make the guest believe in bytes that nobody wrote. */
static void counts_above_what_was_asked_for_are_not_told(void **state)
{
	static const uint32_t opcodes[] = {
		FUSE_READ,      FUSE_WRITE,           FUSE_READLINK,          FUSE_GETXATTR,
		FUSE_LISTXATTR, FUSE_COPY_FILE_RANGE, FUSE_COPY_FILE_RANGE_64};
	struct fuse_bench *bench = bench_of(fuse_rows_little);

	(void)state;
	bench->tree->count = UINT64_C(1) << 40;
	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);
		bool counted = false;

		for (size_t k = 0; k < sizeof(opcodes) / sizeof(opcodes[0]); k++)
			counted = counted || opcodes[k] == bytes.opcode;
		if (counted)
			assert_true(fuse_bench_do(bench, &bytes) < 0);
	}
	fuse_bench_destroy(bench);
}

static uint32_t looked_up_flags(struct fuse_bench *bench)
{
	struct fuse_entry_out entry;

	assert_int_equal(
		fuse_bench_do(bench,
			      &(struct fuse_bytes){.opcode = FUSE_LOOKUP, .body = "a", .size = 2}),
		0);
	memcpy(&entry, bench->reply + 16, sizeof(entry));
	return fuse_bench_u32(bench, entry.attr.flags);
}

static void mounts_of_the_tree_are_told(void **state)
{
	struct fuse_bench *bench = bench_of(fuse_rows_little);

	(void)state;
	assert_int_equal(looked_up_flags(bench), 0);
	bench->tree->mount_root = true;
	assert_int_equal(looked_up_flags(bench), FUSE_ATTR_SUBMOUNT);
	fuse_bench_init_as(bench, 45, UINT64_MAX & ~FUSE_SUBMOUNTS);
	assert_int_equal(looked_up_flags(bench), 0);
	fuse_bench_destroy(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_opcode_of_a_little_endian_guest),
		cmocka_unit_test(every_opcode_of_a_big_endian_guest),
		cmocka_unit_test(messages_may_be_cut_in_two_anywhere),
		cmocka_unit_test(replies_may_be_cut_in_two_anywhere),
		cmocka_unit_test(messages_and_replies_may_come_in_single_bytes),
		cmocka_unit_test(headers_may_have_pieces_of_their_own),
		cmocka_unit_test(what_the_header_does_not_count_is_not_read),
		cmocka_unit_test(errors_of_the_tree_are_replies_of_16_bytes),
		cmocka_unit_test(forget_leaves_a_writable_part_alone),
		cmocka_unit_test(batches_are_forgotten_to_the_last),
		cmocka_unit_test(headers_are_as_the_standard_has_them),
		cmocka_unit_test(mounts_of_the_tree_are_told),
		cmocka_unit_test(counts_above_what_was_asked_for_are_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
