/* SPDX-License-Identifier: BSD-3-Clause */
/* INIT: versions, flags and limits that guest and device agree upon. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/support/fuse_bench.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int set_up(void **state)
{
	*state = fuse_bench_create(NULL, NULL);
	return 0;
}

static int tear_down(void **state)
{
	fuse_bench_destroy(*state);
	return 0;
}

static int send(struct fuse_bench *bench, const struct fuse_init_in *in, size_t size)
{
	return fuse_bench_do(bench,
			     &(struct fuse_bytes){.opcode = FUSE_INIT, .body = in, .size = size});
}

static struct fuse_init_out out_of(const struct fuse_bench *bench)
{
	struct fuse_init_out out;

	assert_int_equal(bench->reply_size, 16 + sizeof(out));
	memcpy(&out, bench->reply + 16, sizeof(out));
	return out;
}

static uint64_t flags_of(const struct fuse_bench *bench)
{
	struct fuse_init_out out = out_of(bench);

	return out.flags | (uint64_t)out.flags2 << 32;
}

static bool runs(struct fuse_bench *bench)
{
	int error = fuse_bench_do(bench, &(struct fuse_bytes){.opcode = FUSE_STATFS});

	fake_tree_last(bench->tree);
	assert_true(error == 0 || error == -EIO);
	return error == 0;
}

static void the_smaller_minor_counts(void **state)
{
	static const struct {
		uint32_t major, minor;
		int error;
		uint32_t agreed; /* 0: no session */
	} rows[] = {
		{7, 45, 0, 45},     {7, 46, 0, 45},      {7, UINT32_MAX, 0, 45},
		{7, 27, 0, 27},     {7, 36, 0, 36},      {7, 26, -EPROTO, 0},
		{7, 0, -EPROTO, 0}, {6, 99, -EPROTO, 0}, {0, 99, -EPROTO, 0},
	};
	struct fuse_bench *bench = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fuse_init_in in = {.major = rows[i].major, .minor = rows[i].minor};

		assert_int_equal(send(bench, &in, sizeof(in)), rows[i].error);
		if (rows[i].error == 0) {
			assert_int_equal(out_of(bench).major, 7);
			assert_int_equal(out_of(bench).minor, rows[i].agreed);
		}
		assert_int_equal(runs(bench), rows[i].agreed != 0);
	}
}

/* The guest says INIT again then, with the major that it is told. */
static void a_larger_major_is_told_ours(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_init_in in = {.major = 8, .minor = 1, .flags = UINT32_MAX};
	struct fuse_init_out out;

	assert_int_equal(send(bench, &in, sizeof(in)), 0);
	out = out_of(bench);
	assert_memory_equal(&out, &((struct fuse_init_out){.major = 7, .minor = 45}), sizeof(out));
	assert_false(runs(bench));
	assert_int_equal(bench->tree->starts, 0);
	in.major = 7;
	in.minor = 45;
	assert_int_equal(send(bench, &in, sizeof(in)), 0);
	assert_true(runs(bench));
}

static void every_byte_of_the_reply_is_known(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_init_in in = {.major = 7,
				  .minor = 40,
				  .max_readahead = 0x12345678,
				  .flags = UINT32_MAX,
				  .flags2 = UINT32_MAX};
	struct fuse_init_out out;

	assert_int_equal(send(bench, &in, sizeof(in)), 0);
	out = out_of(bench);
	assert_memory_equal(&out,
			    &((struct fuse_init_out){
				    .major = 7,
				    .minor = 40,
				    .max_readahead = 0x12345678,
				    .flags = (uint32_t)bench->tree->init_flags,
				    .max_background = 65535,
				    .congestion_threshold = 49152,
				    .max_write = 1 << 20,
				    .time_gran = 1000,
				    .max_pages = 256,
				    .flags2 = (uint32_t)(bench->tree->init_flags >> 32),
			    }),
			    sizeof(out));
}

#define OWN                                                                          \
	(FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | \
	 FUSE_MAX_PAGES | FUSE_INIT_EXT)

/* What needs notifications, a DAX window, ioctl or a device file of the kernel. */
#define NOBODYS                                                                            \
	(FUSE_FILE_OPS | FUSE_SPLICE_WRITE | FUSE_SPLICE_MOVE | FUSE_SPLICE_READ |         \
	 FUSE_HAS_IOCTL_DIR | FUSE_ABORT_ERROR | FUSE_MAP_ALIGNMENT | FUSE_INIT_RESERVED | \
	 FUSE_HAS_INODE_DAX | FUSE_HAS_EXPIRE_ONLY | FUSE_PASSTHROUGH | FUSE_HAS_RESEND |  \
	 FUSE_OVER_IO_URING | FUSE_REQUEST_TIMEOUT | ~((FUSE_REQUEST_TIMEOUT << 1) - 1))

/* FS-26: flags2 travels in both directions, shifted. */
static void flags_need_guest_tree_and_decoder(void **state)
{
	struct fuse_bench *bench = *state;

	fuse_bench_init_as(bench, 45, UINT64_MAX);
	assert_int_equal(flags_of(bench), ~NOBODYS);
	assert_int_equal(bench->tree->init_flags, ~NOBODYS);
	fuse_bench_init_as(bench, 45, 0);
	assert_int_equal(flags_of(bench), 0);
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t flag = UINT64_C(1) << bit;
		uint64_t expected = ~NOBODYS & flag;

		/* AUTO is only how DO_READDIRPLUS is used. */
		if (flag == FUSE_READDIRPLUS_AUTO)
			expected = 0;
		/* Without INIT_EXT there is no flags2. */
		fuse_bench_init_as(bench, 45, flag);
		assert_int_equal(flags_of(bench), bit < 32 ? expected : 0);
		fuse_bench_init_as(bench, 45, flag | FUSE_INIT_EXT);
		assert_int_equal(flags_of(bench), expected | FUSE_INIT_EXT);
		assert_int_equal(bench->tree->init_flags, expected | FUSE_INIT_EXT);
		fuse_bench_init_as(bench, 45, ~flag);
		if (flag != FUSE_INIT_EXT && flag != FUSE_DO_READDIRPLUS)
			assert_int_equal(flags_of(bench), ~NOBODYS & ~flag);
	}
}

static void a_tree_keeps_what_it_says(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		struct fake_tree *tree = fake_tree_create();
		struct fuse_bench *bench;
		uint64_t flag = UINT64_C(1) << bit;
		uint64_t expected = OWN | (~NOBODYS & flag & ~FUSE_READDIRPLUS_AUTO);

		tree->limits.init_flags = flag;
		bench = fuse_bench_create(NULL, tree);
		fuse_bench_init(bench);
		assert_int_equal(flags_of(bench), expected);
		fuse_bench_destroy(bench);
	}
}

static void flags_need_the_operations_they_are_about(void **state)
{
	struct fake_tree *tree = fake_tree_create();
	struct fuse_bench *bench;

	(void)state;
	tree->ops.setlk = NULL;
	tree->ops.readdirplus = NULL;
	bench = fuse_bench_create(NULL, tree);
	fuse_bench_init(bench);
	assert_int_equal(flags_of(bench) & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS |
					    FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO),
			 0);
	fuse_bench_destroy(bench);
}

static void options_hide_flags_and_set_limits(void **state)
{
	static const struct {
		uint32_t max_write;
		uint64_t flags;
		uint32_t write;
		uint16_t pages;
	} rows[] = {
		{0, UINT64_MAX, 1 << 20, 256},
		{4096, UINT64_MAX, 4096, 1},
		{4097, UINT64_MAX, 4097, 2},
		{65535u * 4096, UINT64_MAX, 65535u * 4096, 65535},
		{0, ~FUSE_MAX_PAGES, 128 << 10, 0},
		{8192, ~FUSE_MAX_PAGES, 8192, 0},
		{0, ~FUSE_BIG_WRITES, 4096, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct fuse_options options = {.max_write = rows[i].max_write,
						     .max_background = 10,
						     .hidden_flags =
							     FUSE_POSIX_ACL | FUSE_ASYNC_READ};
		struct fuse_bench *bench = fuse_bench_create(&options, NULL);
		struct fuse_init_out out;

		fuse_bench_init_as(bench, 45, rows[i].flags);
		out = out_of(bench);
		assert_int_equal(out.max_write, rows[i].write);
		assert_int_equal(out.max_pages, rows[i].pages);
		assert_int_equal(out.max_background, 10);
		assert_int_equal(out.congestion_threshold, 8);
		assert_int_equal(flags_of(bench) & options.hidden_flags, 0);
		fuse_bench_destroy(bench);
	}
}

/* Without INIT_EXT, nothing of flags2, though the guest offered it. */
static void hidden_init_ext_hides_more_flags(void **state)
{
	const struct fuse_options options = {.hidden_flags = FUSE_INIT_EXT};
	struct fuse_bench *bench = fuse_bench_create(&options, NULL);

	(void)state;
	fuse_bench_init(bench);
	assert_int_equal(out_of(bench).flags2, 0);
	assert_int_equal(bench->tree->init_flags >> 32, 0);
	assert_int_not_equal(bench->tree->init_flags, 0);
	fuse_bench_destroy(bench);
}

static void options_that_are_impossible_are_refused(void **state)
{
	static const uint32_t sizes[] = {1, 4095, 65535u * 4096 + 1, UINT32_MAX};
	struct fake_tree *tree = fake_tree_create();
	struct fs_session *session;

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct fuse_options options = {.max_write = sizes[i]};

		assert_int_equal(fuse_session_create(&session, &options, &tree->base), -EINVAL);
	}
	tree->ops.destroy(&tree->base);
}

/* Before 7.36 there are 16 bytes; a later version may bring more than we know. */
static void the_size_of_the_message_says_what_is_in_it(void **state)
{
	struct fuse_bench *bench = *state;
	struct {
		struct fuse_init_in in;
		uint8_t more[64];
	} body = {{.major = 7, .minor = 35, .flags = UINT32_MAX & ~FUSE_INIT_EXT}, {0}};

	memset(body.more, 0xff, sizeof(body.more));
	for (size_t size = 0; size <= sizeof(body); size++) {
		assert_int_equal(send(bench, &body.in, size), size < 16 ? -EINVAL : 0);
		if (size >= 16)
			assert_int_equal(out_of(bench).flags2, 0);
	}
	body.in.flags |= FUSE_INIT_EXT;
	body.in.flags2 = UINT32_MAX;
	for (size_t size = 16; size <= sizeof(body); size++) {
		assert_int_equal(send(bench, &body.in, size), size < 20 ? -EINVAL : 0);
		if (size >= 20)
			assert_int_not_equal(out_of(bench).flags2, 0);
	}
}

/* A message that is no INIT leaves the session that there is. */
static void a_bad_init_changes_nothing(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_init_in in = {.major = 7, .minor = 45};

	fuse_bench_init(bench);
	assert_int_equal(send(bench, &in, 15), -EINVAL);
	for (size_t room = 16; room < 80; room++)
		assert_int_equal(fuse_bench_do(bench, &(struct fuse_bytes){.opcode = FUSE_INIT,
									   .body = &in,
									   .size = sizeof(in),
									   .room = room}),
				 -EIO);
	assert_int_equal(bench->tree->resets, 0);
	assert_true(runs(bench));
}

static void before_init_nothing_is_done(void **state)
{
	static const uint32_t opcodes[] = {FUSE_STATFS, FUSE_LOOKUP, FUSE_WRITE, 0, 99, UINT32_MAX};
	static const uint32_t silent[] = {FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_INTERRUPT};
	struct fuse_bench *bench = *state;
	uint64_t body = 0;

	/* The error must be readable for a guest of either byte order, though none was told. */
	for (unsigned big = 0; big < 2; big++) {
		bench->big = big;
		for (size_t i = 0; i < COUNT(opcodes); i++)
			assert_int_equal(
				fuse_bench_do(bench, &(struct fuse_bytes){.opcode = opcodes[i]}),
				-EIO);
		for (size_t i = 0; i < COUNT(silent); i++) {
			struct fuse_bytes bytes = {
				.opcode = silent[i], .body = &body, .size = sizeof(body)};

			fuse_bench_do(bench, &bytes);
			assert_int_equal(bench->reply_size, 0);
		}
	}
	assert_int_equal(bench->tree->line_count, 0);
}

static void a_second_init_starts_anew(void **state)
{
	struct fuse_bench *bench = *state;

	fuse_bench_init(bench);
	assert_true(runs(bench));
	/* Another guest, of the other byte order. */
	for (unsigned i = 0; i < 2; i++) {
		bench->big = !bench->big;
		fuse_bench_init_as(bench, 40, FUSE_POSIX_LOCKS);
		assert_int_equal(bench->tree->init_flags, FUSE_POSIX_LOCKS);
		assert_true(runs(bench));
		assert_int_equal(bench->tree->resets, i + 1);
		assert_int_equal(bench->tree->starts, i + 2);
	}
}

static void destroy_ends_a_session(void **state)
{
	struct fuse_bench *bench = *state;

	fuse_bench_init(bench);
	assert_int_equal(
		fuse_bench_do(bench,
			      &(struct fuse_bytes){.opcode = FUSE_DESTROY, .body = "", .size = 1}),
		-EINVAL);
	assert_true(runs(bench));
	assert_int_equal(fuse_bench_do(bench, &(struct fuse_bytes){.opcode = FUSE_DESTROY}), 0);
	assert_int_equal(bench->reply_size, 16);
	assert_int_equal(bench->tree->resets, 1);
	assert_false(runs(bench));
	/* A session that is not there can be ended too. */
	assert_int_equal(fuse_bench_do(bench, &(struct fuse_bytes){.opcode = FUSE_DESTROY}), 0);
	assert_int_equal(bench->tree->resets, 1);
	fuse_bench_init(bench);
	assert_true(runs(bench));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_smaller_minor_counts),
		TEST(a_larger_major_is_told_ours),
		TEST(every_byte_of_the_reply_is_known),
		TEST(flags_need_guest_tree_and_decoder),
		cmocka_unit_test(a_tree_keeps_what_it_says),
		cmocka_unit_test(flags_need_the_operations_they_are_about),
		cmocka_unit_test(options_hide_flags_and_set_limits),
		cmocka_unit_test(hidden_init_ext_hides_more_flags),
		cmocka_unit_test(options_that_are_impossible_are_refused),
		TEST(the_size_of_the_message_says_what_is_in_it),
		TEST(a_bad_init_changes_nothing),
		TEST(before_init_nothing_is_done),
		TEST(a_second_init_starts_anew),
		TEST(destroy_ends_a_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
