/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, link targets and extensions of messages, good and bad, in every opcode that has them. */
#include <errno.h>
#include <stdlib.h>

#include "tests/support/fuse_bench.h"

/* What lies before the first name: zeroes will do, but for open flags and such, which are 0 too. */
struct named {
	uint32_t opcode;
	size_t args;
	const char *before; /* a name that comes first, or NULL */
	const char *after;  /* what follows the name, or NULL */
};

static const struct named files[] = {
	{FUSE_LOOKUP, 0, NULL, NULL},    {FUSE_SYMLINK, 0, NULL, "t"},
	{FUSE_MKNOD, 16, NULL, NULL},    {FUSE_MKDIR, 8, NULL, NULL},
	{FUSE_UNLINK, 0, NULL, NULL},    {FUSE_RMDIR, 0, NULL, NULL},
	{FUSE_RENAME, 8, NULL, "new"},   {FUSE_RENAME, 8, "old", NULL},
	{FUSE_RENAME2, 16, NULL, "new"}, {FUSE_RENAME2, 16, "old", NULL},
	{FUSE_LINK, 8, NULL, NULL},      {FUSE_CREATE, 16, NULL, NULL},
};

static const struct named xattrs[] = {
	{FUSE_SETXATTR, 16, NULL, NULL},
	{FUSE_GETXATTR, 8, NULL, NULL},
	{FUSE_REMOVEXATTR, 0, NULL, NULL},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A message that grows. */
struct text {
	uint8_t bytes[16384];
	size_t size;
};

static void add(struct text *text, const void *bytes, size_t size)
{
	assert_true(text->size + size <= sizeof(text->bytes));
	memcpy(text->bytes + text->size, bytes, size);
	text->size += size;
}

static void add_u32(struct text *text, struct fuse_bench *bench, uint32_t value)
{
	value = fuse_bench_u32(bench, value);
	add(text, &value, sizeof(value));
}

static int send(struct fuse_bench *bench, uint32_t opcode, const struct text *text, uint16_t extlen)
{
	return fuse_bench_do(bench, &(struct fuse_bytes){.opcode = opcode,
							 .node = 5,
							 .body = text->bytes,
							 .size = text->size,
							 .extlen = extlen});
}

/* The message with size bytes of name, a NUL included or not. */
static int send_name(struct fuse_bench *bench, const struct named *how, const void *name,
		     size_t size)
{
	struct text *text = calloc(1, sizeof(*text));
	int error;

	assert_non_null(text);
	text->size = how->args;
	if (how->before)
		add(text, how->before, strlen(how->before) + 1);
	add(text, name, size);
	if (how->after)
		add(text, how->after, strlen(how->after) + 1);
	error = send(bench, how->opcode, text, 0);
	free(text);
	return error;
}

static void expect_refused(struct fuse_bench *bench, const struct named *how, const void *name,
			   size_t size, int error)
{
	int got = send_name(bench, how, name, size);

	if (bench->tree->line_count != 0)
		fail_msg("opcode %u: %s", how->opcode, fake_tree_last(bench->tree));
	if (got != error)
		fail_msg("opcode %u, name of %zu bytes: error %d, not %d", how->opcode, size, got,
			 error);
}

static int set_up(void **state)
{
	struct fuse_bench *bench = fuse_bench_create(NULL, NULL);

	fuse_bench_init_as(bench, 45, UINT64_MAX & ~FUSE_EXPORT_SUPPORT);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	fuse_bench_destroy(*state);
	return 0;
}

/* FS-05, FS-07. */
static void names_that_are_paths_are_refused(void **state)
{
	static const struct {
		const char *name;
		size_t size;
	} bad[] = {
		{"", 1},    {".", 2},    {"..", 3},    {"/", 2},    {"../x", 5},
		{"a/b", 4}, {"a/", 3},   {"/a", 3},    {"a\0b", 4}, {"\0a", 3},
		{"a\0", 3}, {"..\0", 4}, {"a\0/x", 5},
	};
	struct fuse_bench *bench = *state;

	for (size_t i = 0; i < COUNT(files); i++) {
		for (size_t k = 0; k < COUNT(bad); k++) {
			/* A NUL inside makes two names of one: these opcodes take two. */
			if (memchr(bad[k].name, 0, bad[k].size - 1) && files[i].after &&
			    files[i].opcode == FUSE_SYMLINK)
				continue;
			expect_refused(bench, &files[i], bad[k].name, bad[k].size, -EINVAL);
		}
	}
}

static void names_that_only_look_so_are_names(void **state)
{
	static const char *const good[] = {"...", ".a", "..a", "a.", "\\", "\xff\x01", " ", "a:b"};
	struct fuse_bench *bench = *state;

	for (size_t i = 0; i < COUNT(files); i++) {
		for (size_t k = 0; k < COUNT(good); k++) {
			assert_int_equal(send_name(bench, &files[i], good[k], strlen(good[k]) + 1),
					 0);
			assert_non_null(strstr(fake_tree_last(bench->tree), good[k]));
		}
	}
}

static void lookup_takes_dots_if_that_was_agreed_upon(void **state)
{
	struct fuse_bench *bench = *state;

	fuse_bench_init(bench);
	assert_int_equal(send_name(bench, &files[0], ".", 2), 0);
	assert_int_equal(send_name(bench, &files[0], "..", 3), 0);
	assert_non_null(strstr(fake_tree_last(bench->tree), "name=.."));
	for (size_t i = 1; i < COUNT(files); i++)
		expect_refused(bench, &files[i], "..", 3, -EINVAL);
}

static void names_without_an_end_are_refused(void **state)
{
	struct fuse_bench *bench = *state;
	char name[600];

	memset(name, 'x', sizeof(name));
	for (size_t i = 0; i < COUNT(files); i++) {
		if (files[i].after)
			continue;
		expect_refused(bench, &files[i], name, 1, -EINVAL);
		expect_refused(bench, &files[i], name, 255, -EINVAL);
		expect_refused(bench, &files[i], name, 256, -ENAMETOOLONG);
		expect_refused(bench, &files[i], name, 600, -ENAMETOOLONG);
	}
}

static void names_have_255_bytes_at_most(void **state)
{
	struct fuse_bench *bench = *state;
	char name[5000];

	memset(name, 'x', sizeof(name));
	name[255] = '\0';
	for (size_t i = 0; i < COUNT(files); i++) {
		assert_int_equal(send_name(bench, &files[i], name, 256), 0);
		assert_non_null(strstr(fake_tree_last(bench->tree), name));
	}
	name[255] = 'x';
	name[256] = '\0';
	for (size_t i = 0; i < COUNT(files); i++)
		expect_refused(bench, &files[i], name, 257, -ENAMETOOLONG);
	name[256] = 'x';
	name[4999] = '\0';
	for (size_t i = 0; i < COUNT(files); i++)
		expect_refused(bench, &files[i], name, 5000, -ENAMETOOLONG);
}

static void targets_have_1_to_4095_bytes(void **state)
{
	struct fuse_bench *bench = *state;
	const struct named how = {FUSE_SYMLINK, 0, "name", NULL};
	char *target = malloc(8192);

	assert_non_null(target);
	expect_refused(bench, &how, "", 1, -ENOENT);
	memset(target, 'x', 8192);
	target[4096] = '\0';
	expect_refused(bench, &how, target, 4097, -ENAMETOOLONG);
	expect_refused(bench, &how, target, 4096, -ENAMETOOLONG);
	expect_refused(bench, &how, target, 4095, -EINVAL);
	target[4096] = 'x';
	expect_refused(bench, &how, target, 8192, -ENAMETOOLONG);
	target[4095] = '\0';
	assert_int_equal(send_name(bench, &how, target, 4096), 0);
	assert_non_null(strstr(fake_tree_last(bench->tree), target));
	free(target);
}

static void names_of_attributes_are_any_text(void **state)
{
	struct fuse_bench *bench = *state;
	char name[300];

	memset(name, 'x', sizeof(name));
	name[255] = '\0';
	for (size_t i = 0; i < COUNT(xattrs); i++) {
		assert_int_equal(send_name(bench, &xattrs[i], "user./../", 10), 0);
		assert_non_null(strstr(fake_tree_last(bench->tree), "name=user./../"));
		assert_int_equal(send_name(bench, &xattrs[i], name, 256), 0);
		assert_non_null(strstr(fake_tree_last(bench->tree), name));
		expect_refused(bench, &xattrs[i], "", 1, -ERANGE);
		expect_refused(bench, &xattrs[i], "a\0b", 4, -EINVAL);
		expect_refused(bench, &xattrs[i], "ab", 2, -EINVAL);
	}
	name[255] = 'x';
	name[256] = '\0';
	for (size_t i = 0; i < COUNT(xattrs); i++)
		expect_refused(bench, &xattrs[i], name, 257, -ERANGE);
}

/* Linux sends "/"; nobody needs it. */
static void tmpfile_may_have_any_name(void **state)
{
	static const char *const names[] = {"/", "", "..", "a/b"};
	struct fuse_bench *bench = *state;
	const struct named how = {FUSE_TMPFILE, 16, NULL, NULL};

	for (size_t i = 0; i < COUNT(names); i++)
		assert_int_equal(send_name(bench, &how, names[i], strlen(names[i]) + 1), 0);
	fake_tree_last(bench->tree);
	expect_refused(bench, &how, "a", 1, -EINVAL);
	expect_refused(bench, &how, "a\0b", 4, -EINVAL);
}

/* Extensions */

/* Opcodes that make files, with what they have before their extensions. */
static const struct named makers[] = {
	{FUSE_SYMLINK, 0, "n", "t"},  {FUSE_MKNOD, 16, "n", NULL},   {FUSE_MKDIR, 8, "n", NULL},
	{FUSE_CREATE, 16, "n", NULL}, {FUSE_TMPFILE, 16, "/", NULL},
};

/* An extension: 32-bit words and text in the middle; words are put in the guest's order. */
struct extension {
	const char *expected; /* what the tree sees of it; NULL: refused */
	int error;
	uint16_t extlen;
	unsigned count;
	uint32_t words[12];
	const char *text;
	size_t text_size;
};

static int send_extension(struct fuse_bench *bench, const struct named *how,
			  const struct extension *e)
{
	struct text *text = calloc(1, sizeof(*text));
	size_t start;
	int error;

	assert_non_null(text);
	text->size = how->args;
	add(text, how->before, strlen(how->before) + 1);
	if (how->after)
		add(text, how->after, strlen(how->after) + 1);
	start = text->size;
	for (unsigned i = 0; i < e->count; i++)
		add_u32(text, bench, e->words[i]);
	add(text, e->text ? e->text : "", e->text_size);
	text->size = start + e->extlen * 8u;
	error = send(bench, how->opcode, text, e->extlen);
	free(text);
	return error;
}

/* words: size and type or count; then size of the value and padding, or the count of groups. */
static const struct extension extensions[] = {
	{"", 0, 0, 0, {0}, NULL, 0},
	{" group=11 group=22", 0, 3, 5, {24, 32, 2, 0x11, 0x22}, NULL, 0},
	{" group=11", 0, 2, 4, {16, 32, 1, 0x11}, NULL, 0},
	{"", 0, 2, 3, {16, 32, 0}, NULL, 0},
	{" label=s.x value=abc", 0, 3, 4, {24, 1, 3, 0}, "s.x\0abc", 7},
	{" label=s.x value=", 0, 3, 4, {24, 1, 0, 0}, "s.x", 4},
	{" group=11 label=s.x value=abc", 0, 5, 8, {16, 32, 1, 0x11, 24, 1, 3, 0}, "s.x\0abc", 7},
	{"", 0, 1, 2, {8, 0}, NULL, 0},                  /* no label */
	{"", 0, 2, 4, {16, 33, 7, 7}, NULL, 0},          /* of a later version */
	{NULL, EINVAL, 2, 4, {0, 32, 1, 0x11}, NULL, 0}, /* sizes that end nowhere */
	{NULL, EINVAL, 2, 4, {7, 32, 1, 0x11}, NULL, 0},
	{NULL, EINVAL, 2, 4, {17, 32, 1, 0x11}, NULL, 0},
	{NULL, EINVAL, 2, 4, {0xfffffff8, 32, 1, 0x11}, NULL, 0},
	{NULL, EINVAL, 2, 4, {0xfffffff8, 33, 1, 0x11}, NULL, 0},
	{NULL, EINVAL, 1, 2, {0, 33}, NULL, 0},
	{NULL, EINVAL, 1, 2, {7, 33}, NULL, 0},
	{NULL, EINVAL, 1, 2, {8, 32}, NULL, 0},           /* no count of groups */
	{NULL, EINVAL, 2, 4, {16, 32, 2, 0x11}, NULL, 0}, /* fewer groups than it says */
	{NULL, EINVAL, 2, 4, {16, 32, 0x40000001, 0x11}, NULL, 0},
	{NULL, EINVAL, 3, 4, {24, 32, 1, 0x11}, NULL, 0},   /* more */
	{NULL, EINVAL, 18, 3, {144, 32, 33}, NULL, 0},      /* more than there can be */
	{NULL, EINVAL, 1, 2, {8, 1}, NULL, 0},              /* FS-29: at the very end */
	{NULL, EINVAL, 2, 4, {16, 1, 0, 0}, NULL, 0},       /* no name */
	{NULL, EINVAL, 3, 4, {24, 1, 0, 0}, "s.xxyyyy", 8}, /* no end of it */
	{NULL, EINVAL, 3, 4, {24, 1, 5, 0}, "s.x\0abc", 7}, /* a value past the end */
	{NULL, EINVAL, 3, 4, {24, 1, UINT32_MAX, 0}, "s.x\0abc", 7},
	{NULL, EINVAL, 4, 4, {32, 1, 3, 0}, "s.x\0abc", 7}, /* more than filling */
	{NULL, EINVAL, 3, 4, {24, 1, 3, 0}, "\0abc", 4},    /* an empty name */
	{NULL, EOPNOTSUPP, 3, 4, {24, 2, 3, 0}, "s.x\0abc", 7},
};

static void extensions_are_taken_apart(void **state)
{
	struct fuse_bench *bench = *state;

	for (unsigned big = 0; big < 2; big++) {
		bench->big = big;
		fuse_bench_init(bench);
		for (size_t i = 0; i < COUNT(makers); i++) {
			for (size_t k = 0; k < COUNT(extensions); k++) {
				const struct extension *e = &extensions[k];
				int error = send_extension(bench, &makers[i], e);
				const char *line = fake_tree_last(bench->tree);

				if (error != -e->error)
					fail_msg("opcode %u, extension %zu: error %d, not %d",
						 makers[i].opcode, k, error, -e->error);
				if (!e->expected)
					assert_string_equal(line, "");
				else if (strlen(line) < strlen(e->expected) ||
					 strcmp(line + strlen(line) - strlen(e->expected),
						e->expected) != 0)
					fail_msg("extension %zu: %s", k, line);
			}
		}
	}
}

/* Both kinds have an INIT flag; without it they mean nothing, but are no error. */
static void extensions_that_were_not_agreed_upon_are_passed_over(void **state)
{
	struct fuse_bench *bench = *state;

	fuse_bench_init_as(bench, 45, UINT64_MAX & ~(FUSE_SECURITY_CTX | FUSE_CREATE_SUPP_GROUP));
	assert_int_equal(send_extension(bench, &makers[2], &extensions[6]), 0);
	assert_string_equal(fake_tree_last(bench->tree),
			    "mkdir 5 by a1:a2:a3 name=n mode=40000 umask=0");
}

/* Before 7.38 the field was padding. */
static void extensions_are_younger_than_7_38(void **state)
{
	struct fuse_bench *bench = *state;
	struct text text = {.size = 8};

	add(&text, "n", 2);
	fuse_bench_init_as(bench, 37, UINT64_MAX);
	assert_int_equal(bench->tree->init_flags & (FUSE_SECURITY_CTX | FUSE_CREATE_SUPP_GROUP), 0);
	assert_int_equal(send(bench, FUSE_MKDIR, &text, 77), 0);
	fake_tree_last(bench->tree);
	fuse_bench_init_as(bench, 38, UINT64_MAX);
	assert_int_equal(send(bench, FUSE_MKDIR, &text, 77), -EINVAL);
	assert_int_equal(send(bench, FUSE_MKDIR, &text, 1), -EINVAL);
	/* There must be as much as it says, though nothing looks at it. */
	text.size = 0;
	assert_int_equal(send(bench, FUSE_STATFS, &text, 1), -EINVAL);
	text.size = 8;
	assert_int_equal(send(bench, FUSE_STATFS, &text, 1), 0);
}

static void extensions_are_no_longer_than_a_page(void **state)
{
	struct fuse_bench *bench = *state;
	struct extension e = {"", 0, 512, 2, {4096, 33}, NULL, 0};

	assert_int_equal(send_extension(bench, &makers[1], &e), 0);
	fake_tree_last(bench->tree);
	e = (struct extension){NULL, 0, 513, 2, {4104, 33}, NULL, 0};
	assert_int_equal(send_extension(bench, &makers[1], &e), -E2BIG);
	assert_int_equal(bench->tree->line_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_that_are_paths_are_refused),
		TEST(names_that_only_look_so_are_names),
		TEST(lookup_takes_dots_if_that_was_agreed_upon),
		TEST(names_without_an_end_are_refused),
		TEST(names_have_255_bytes_at_most),
		TEST(targets_have_1_to_4095_bytes),
		TEST(names_of_attributes_are_any_text),
		TEST(tmpfile_may_have_any_name),
		TEST(extensions_are_taken_apart),
		TEST(extensions_that_were_not_agreed_upon_are_passed_over),
		TEST(extensions_are_younger_than_7_38),
		TEST(extensions_are_no_longer_than_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
