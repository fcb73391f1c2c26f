/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages that are too short, too long, or say what is not so (5.11.6.1): the guest gets an
 * error, or nothing if there is no room for one; the tree hears nothing, and the next message
 * is answered.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/support/fuse_bench.h"
#include "tests/support/fuse_rows.h"

static int set_up(void **state)
{
	struct fuse_bench *bench = fuse_bench_create(NULL, NULL);

	bench->big = false;
	fuse_bench_init(bench);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct fuse_bench *bench = *state;

	assert_int_equal(fuse_bench_do(bench, &(struct fuse_bytes){.opcode = FUSE_STATFS}), 0);
	fuse_bench_destroy(bench);
	return 0;
}

static struct fuse_bytes bytes_of(const struct fuse_row *row)
{
	return (struct fuse_bytes){
		.opcode = row->opcode, .node = 5, .body = row->body, .size = row->size};
}

static bool silent(const struct fuse_bytes *bytes)
{
	return bytes->opcode == FUSE_FORGET || bytes->opcode == FUSE_BATCH_FORGET;
}

/* A message must fail; which error it is says errors, 0 for any. */
static void expect_refused(struct fuse_bench *bench, const struct fuse_bytes *bytes, int error)
{
	int got = fuse_bench_do(bench, bytes);

	if (bench->tree->line_count != 0)
		fail_msg("opcode %u, %zu bytes: %s", bytes->opcode, bytes->size,
			 fake_tree_last(bench->tree));
	if (silent(bytes))
		assert_int_equal(bench->reply_size, 0);
	else if (got != error)
		fail_msg("opcode %u, %zu bytes: error %d, not %d", bytes->opcode, bytes->size, got,
			 error);
}

/* FS-01: the descriptors end where the header says, in the middle of something. */
static void messages_that_end_early_are_refused(void **state)
{
	struct fuse_bench *bench = *state;

	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		for (bytes.size = 0; bytes.size < fuse_rows_little[i].size; bytes.size++)
			expect_refused(bench, &bytes, -EINVAL);
	}
}

/* The same with descriptors that go on: what the header does not count does not exist. */
static void messages_that_say_they_end_early_are_refused(void **state)
{
	struct fuse_bench *bench = *state;

	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		for (bytes.len = 1; bytes.len < 40 + bytes.size; bytes.len++)
			expect_refused(bench, &bytes, -EINVAL);
		bytes.len = (uint32_t)(41 + bytes.size);
		expect_refused(bench, &bytes, -EINVAL);
		bytes.len = UINT32_MAX;
		expect_refused(bench, &bytes, -EINVAL);
	}
}

/* FS-02: one byte more than WRITE's size, and than anything else accounts for. */
static void messages_with_something_behind_them_are_refused(void **state)
{
	struct fuse_bench *bench = *state;
	uint8_t body[512];

	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		memcpy(body, bytes.body, bytes.size);
		memset(body + bytes.size, 0, 8);
		bytes.body = body;
		bytes.size++;
		expect_refused(bench, &bytes, -EINVAL);
		bytes.size += 7;
		expect_refused(bench, &bytes, -EINVAL);
	}
}

static void done(struct fs_request *request)
{
	(void)request;
	fail();
}

/* There is no unique to answer to. */
static void less_than_a_header_is_answered_with_nothing(void **state)
{
	struct fuse_bench *bench = *state;
	const struct fs_session_ops *ops = bench->session->ops;

	for (size_t size = 0; size < 40; size++) {
		uint8_t *in = calloc(1, size ? size : 1);
		uint8_t out[64] = {0};
		struct iovec from = {in, size}, to = {out, sizeof(out)};
		struct fs_request request = {.in = iov_window(&from, 1, 0, size),
					     .out = {&to, 1, 0, sizeof(out)},
					     .done = done};

		assert_non_null(in);
		if (size > 4) {
			in[0] = (uint8_t)size;
			in[4] = FUSE_STATFS;
		}
		assert_int_equal(ops->submit(bench->queues[REQUESTS], &request), FS_DONE);
		assert_int_equal(ops->submit(bench->queues[HIPRIO], &request), FS_DONE);
		assert_int_equal(request.reply_size, 0);
		assert_int_equal(out[0], 0);
		assert_int_equal(bench->tree->line_count, 0);
		free(in);
	}
}

/* Nobody could hear that it was done, so it is not done. */
static void without_room_for_a_header_nothing_is_done(void **state)
{
	struct fuse_bench *bench = *state;

	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		if (silent(&bytes))
			continue;
		for (bytes.room = 0; bytes.room < 16; bytes.room++) {
			bytes.no_room = bytes.room == 0;
			assert_int_equal(fuse_bench_do(bench, &bytes), 0);
			assert_int_equal(bench->reply_size, 0);
			assert_int_equal(bench->tree->line_count, 0);
		}
	}
}

/* The fixed part of a reply, whatever the tree would answer. */
static size_t fixed_part(const struct fuse_row *row)
{
	switch (row->opcode) {
	case FUSE_READLINK:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		return 0;
	default:
		return row->reply_size;
	}
}

static void without_room_for_the_reply_nothing_is_done(void **state)
{
	struct fuse_bench *bench = *state;

	for (size_t i = 0; i < fuse_rows_count; i++) {
		const struct fuse_row *row = &fuse_rows_little[i];
		struct fuse_bytes bytes = bytes_of(row);
		int error = -EIO;

		/* These fill a window: see fuse_range_test. */
		if (silent(&bytes) || row->data)
			continue;
		for (bytes.room = 16; bytes.room < 16 + fixed_part(row); bytes.room++)
			expect_refused(bench, &bytes, error);
	}
}

/* Opcodes */

static void unknown_opcodes_are_answered_with_enosys(void **state)
{
	static const uint32_t opcodes[] = {0,
					   7,
					   19,
					   FUSE_BMAP,
					   FUSE_IOCTL,
					   FUSE_POLL,
					   FUSE_SETUPMAPPING,
					   FUSE_REMOVEMAPPING,
					   54,
					   55,
					   4096,
					   1048576,
					   UINT32_MAX,
					   FUSE_LOOKUP << 24};
	struct fuse_bench *bench = *state;
	uint8_t body[64] = {0};

	for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		struct fuse_bytes bytes = {
			.opcode = opcodes[i], .body = body, .size = sizeof(body)};

		expect_refused(bench, &bytes, -ENOSYS);
	}
}

static void what_a_tree_does_not_have_is_answered_with_enosys(void **state)
{
	struct fake_tree *tree = fake_tree_create();
	struct fuse_bench *bench;

	(void)state;
	tree->ops = (struct fs_tree_ops){
		.name = tree->ops.name,
		.limits = tree->ops.limits,
		.start = tree->ops.start,
		.reset = tree->ops.reset,
		.forget = tree->ops.forget,
		.lookup = tree->ops.lookup,
		.getattr = tree->ops.getattr,
		.destroy = tree->ops.destroy,
	};
	bench = fuse_bench_create(NULL, tree);
	bench->big = false;
	fuse_bench_init(bench);
	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		if (silent(&bytes) || bytes.opcode == FUSE_LOOKUP || bytes.opcode == FUSE_GETATTR)
			continue;
		expect_refused(bench, &bytes, -ENOSYS);
	}
	fuse_bench_destroy(bench);
}

static void opcodes_newer_than_the_session_are_answered_with_enosys(void **state)
{
	static const struct {
		uint32_t opcode, minor;
	} newer[] = {
		{FUSE_COPY_FILE_RANGE, 28},
		{FUSE_SYNCFS, 34},
		{FUSE_TMPFILE, 37},
		{FUSE_STATX, 39},
		{FUSE_COPY_FILE_RANGE_64, 45},
	};
	struct fuse_bench *bench = *state;

	for (size_t n = 0; n < sizeof(newer) / sizeof(newer[0]); n++) {
		for (size_t i = 0; i < fuse_rows_count; i++) {
			struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

			if (bytes.opcode != newer[n].opcode)
				continue;
			fuse_bench_init_as(bench, newer[n].minor - 1, UINT64_MAX);
			expect_refused(bench, &bytes, -ENOSYS);
			fuse_bench_init_as(bench, newer[n].minor, UINT64_MAX);
			assert_int_equal(fuse_bench_do(bench, &bytes), 0);
			assert_int_equal(bench->tree->line_count, 1);
			fake_tree_last(bench->tree);
		}
	}
}

/* 5.11.6.2.1: hiprio must never wait, so what may wait is not for it. */
static void hiprio_takes_only_what_never_waits(void **state)
{
	struct fuse_bench *bench = *state;

	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);
		struct fuse_sent *sent = fuse_bench_send(bench, HIPRIO, &bytes);

		assert_int_equal(sent->submit, FS_DONE);
		fuse_bench_take(bench, sent);
		assert_int_equal(bench->error, silent(&bytes) ? 0 : -EINVAL);
		assert_int_equal(bench->tree->line_count > 0, silent(&bytes));
		fake_tree_last(bench->tree);
	}
}

/* The other way round harms nothing. */
static void request_queues_take_forget(void **state)
{
	struct fuse_bench *bench = *state;

	for (size_t i = 0; i < fuse_rows_count; i++) {
		struct fuse_bytes bytes = bytes_of(&fuse_rows_little[i]);

		if (!silent(&bytes))
			continue;
		fuse_bench_take(bench, fuse_bench_send(bench, REQUESTS, &bytes));
		assert_int_equal(bench->reply_size, 0);
		assert_int_equal(bench->tree->line_count > 0, true);
		fake_tree_last(bench->tree);
	}
}

static void a_count_of_a_batch_must_fit_its_size(void **state)
{
	static const uint32_t counts[] = {0, 1, 3, 0x10000002, 0x80000000, UINT32_MAX};
	struct fuse_bench *bench = *state;
	uint64_t body[5] = {0, htole64(1), htole64(2), htole64(3), htole64(4)};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		body[0] = htole64(counts[i]);
		expect_refused(bench,
			       &(struct fuse_bytes){.opcode = FUSE_BATCH_FORGET,
						    .body = body,
						    .size = sizeof(body)},
			       0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(messages_that_end_early_are_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(messages_that_say_they_end_early_are_refused,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(messages_with_something_behind_them_are_refused,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(less_than_a_header_is_answered_with_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_room_for_a_header_nothing_is_done, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_room_for_the_reply_nothing_is_done, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(unknown_opcodes_are_answered_with_enosys, set_up,
						tear_down),
		cmocka_unit_test(what_a_tree_does_not_have_is_answered_with_enosys),
		cmocka_unit_test_setup_teardown(
			opcodes_newer_than_the_session_are_answered_with_enosys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hiprio_takes_only_what_never_waits, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(request_queues_take_forget, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_count_of_a_batch_must_fit_its_size, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
