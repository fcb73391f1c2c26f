/* SPDX-License-Identifier: BSD-3-Clause */
/* Listings of the tree in memory: each name once, whatever comes and goes meanwhile; and many names. */
#define _GNU_SOURCE /* O_DIRECTORY */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/tree_client.h"

#define MANY    100000u
#define MILLION 1000000u

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

static void make(struct tree_client *client, const char *names)
{
	for (; *names != '\0'; names++)
		assert_int_equal(tree_mknod(client, (char[]){*names, '\0'}, S_IFREG | 0644, 0, 0),
				 0);
}

/* The names from offset on, each one letter. */
static void assert_names(struct tree_client *client, const struct tree_file *dir, uint64_t offset,
			 const char *want)
{
	struct tree_names names;
	char seen[33] = "";

	assert_int_equal(tree_readdir(client, dir, offset, 32, &names), 0);
	for (unsigned i = 0; i < names.count; i++)
		seen[i] = names.entry[i].name[0];
	assert_string_equal(seen, want);
}

static void names_come_in_the_order_of_their_making(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_file dir;

	make(&client, "zebra");
	assert_int_equal(tree_open(&client, "", O_DIRECTORY, 0, &dir), 0);
	assert_names(&client, &dir, 0, "zebra");
	assert_int_equal(tree_unlink(&client, "z"), 0);
	make(&client, "z");
	assert_names(&client, &dir, 0, "ebraz");
	tree_close(&client, &dir);
}

static void entries_say_what_they_are(void **state)
{
	static const struct {
		const char *name;
		uint32_t mode, type;
	} kinds[] = {
		{"file", S_IFREG, DT_REG}, {"fifo", S_IFIFO, DT_FIFO}, {"sock", S_IFSOCK, DT_SOCK},
		{"chr", S_IFCHR, DT_CHR},  {"blk", S_IFBLK, DT_BLK},
	};
	struct tree_client client = {.tree = *state};
	struct tree_names names;
	struct tree_file dir;

	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(tree_mknod(&client, kinds[i].name, kinds[i].mode | 0600, 1, 3), 0);
	assert_int_equal(tree_symlink(&client, "x", "link"), 0);
	assert_int_equal(tree_open(&client, "", O_DIRECTORY, 0, &dir), 0);
	assert_int_equal(tree_readdir(&client, &dir, 0, 32, &names), 0);
	assert_int_equal(names.count, 6);
	for (unsigned i = 0; i < 5; i++) {
		struct statx attr;

		assert_string_equal(names.entry[i].name, kinds[i].name);
		assert_int_equal(names.entry[i].type, kinds[i].type);
		assert_int_equal(tree_stat(&client, kinds[i].name, &attr), 0);
		assert_int_equal(names.entry[i].ino, attr.stx_ino);
	}
	assert_int_equal(names.entry[5].type, DT_LNK);
	tree_close(&client, &dir);
}

static void an_offset_holds_whatever_comes_and_goes(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_names names;
	struct tree_file dir;
	uint64_t behind_c;

	make(&client, "abcdef");
	assert_int_equal(tree_open(&client, "", O_DIRECTORY, 0, &dir), 0);
	assert_int_equal(tree_readdir(&client, &dir, 0, 5, &names), 0);
	assert_int_equal(names.count, 3);
	behind_c = names.last;
	assert_names(&client, &dir, behind_c, "def");
	assert_int_equal(tree_unlink(&client, "c"), 0);
	assert_names(&client, &dir, behind_c, "def");
	assert_int_equal(tree_unlink(&client, "d"), 0);
	assert_names(&client, &dir, behind_c, "ef");
	/* So many that slots are packed, and the index is made and made anew. */
	for (unsigned i = 0; i < 1000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "x%u", i);
		assert_int_equal(tree_mknod(&client, name, S_IFREG, 0, 0), 0);
	}
	for (unsigned i = 0; i < 1000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "x%u", i);
		assert_int_equal(tree_unlink(&client, name), 0);
	}
	assert_names(&client, &dir, behind_c, "ef");
	assert_names(&client, &dir, 0, "abef");
	assert_names(&client, &dir, UINT64_MAX, "");
	assert_names(&client, &dir, (uint64_t)1 << 63, "");
	tree_close(&client, &dir);
}

/* Offsets are not used again, even if nothing is left that had one. */
static void an_offset_holds_though_all_names_go(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_names names;
	struct tree_file dir;
	uint64_t end;

	make(&client, "abc");
	assert_int_equal(tree_open(&client, "", O_DIRECTORY, 0, &dir), 0);
	assert_int_equal(tree_readdir(&client, &dir, 0, 32, &names), 0);
	end = names.last;
	assert_int_equal(tree_unlink(&client, "a"), 0);
	assert_int_equal(tree_unlink(&client, "b"), 0);
	assert_int_equal(tree_unlink(&client, "c"), 0);
	assert_names(&client, &dir, 0, "");
	make(&client, "def");
	assert_names(&client, &dir, 0, "def");
	assert_names(&client, &dir, end, "def");
	tree_close(&client, &dir);
}

static void a_name_that_is_spelt_anew_is_not_missed(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_names names;
	struct tree_file dir;

	make(&client, "abcd");
	assert_int_equal(tree_open(&client, "", O_DIRECTORY, 0, &dir), 0);
	assert_int_equal(tree_readdir(&client, &dir, 0, 3, &names), 0);
	assert_int_equal(tree_rename(&client, "c", "C", 0), 0);
	assert_int_equal(tree_rename(&client, "a", "A", 0), 0);
	assert_names(&client, &dir, names.last, "bCd");
	tree_close(&client, &dir);
}

static void a_listing_ends_though_its_reader_makes_names(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_names names;
	struct tree_file dir;
	unsigned count = 0;

	make(&client, "abc");
	assert_int_equal(tree_open(&client, "", O_DIRECTORY, 0, &dir), 0);
	for (uint64_t at = 2;; at = names.last) {
		char name[32];

		assert_int_equal(tree_readdir(&client, &dir, at, 1, &names), 0);
		if (names.count == 0)
			break;
		snprintf(name, sizeof(name), "new%u", count++);
		assert_int_equal(tree_mknod(&client, name, S_IFREG, 0, 0), 0);
	}
	assert_int_equal(count, 3);
	/* From the start it shows them too. */
	assert_names(&client, &dir, 0, "abcnnn");
	tree_close(&client, &dir);
}

static void a_reader_who_renames_sees_each_file_once(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_names names;
	struct tree_file dir;
	unsigned count = 0;

	make(&client, "abcdefghijklmnop");
	assert_int_equal(tree_open(&client, "", O_DIRECTORY, 0, &dir), 0);
	for (uint64_t at = 2;; at = names.last) {
		char name[300];

		assert_int_equal(tree_readdir(&client, &dir, at, 1, &names), 0);
		if (names.count == 0)
			break;
		snprintf(name, sizeof(name), "renamed-%s", names.entry[0].name);
		assert_int_equal(tree_rename(&client, names.entry[0].name, name, 0), 0);
		count++;
	}
	assert_int_equal(count, 16);
	tree_close(&client, &dir);
}

/* Renaming in one directory for ever uses its index up, if that is not made anew. */
static void a_name_may_change_for_ever(void **state)
{
	struct tree_client client = {.tree = *state};
	char name[2][32] = {"name", ""};
	struct statx attr;

	make(&client, "abcdefghijkl");
	assert_int_equal(tree_mknod(&client, name[0], S_IFREG, 0, 0), 0);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name[(i + 1) % 2], 32, "name%u", i);
		assert_int_equal(tree_rename(&client, name[i % 2], name[(i + 1) % 2], 0), 0);
	}
	assert_int_equal(tree_stat(&client, name[0], &attr), 0);
	assert_int_equal(tree_stat(&client, "name", &attr), -ENOENT);
	assert_int_equal(tree_stat(&client, "l", &attr), 0);
}

/* --- readdirplus --- */

struct plus {
	struct fs_call call;
	unsigned room, taken, looked_up;
	uint64_t nodes[8];
};

static bool add_plus(struct fs_call *call, const struct fs_dirent *dirent,
		     const struct fs_entry *entry)
{
	struct plus *plus = (struct plus *)call;

	assert_non_null(entry);
	if (plus->taken == plus->room)
		return false;
	plus->taken++;
	if (entry->node == 0) {
		assert_true(dirent->name[0] == '.');
		return true;
	}
	assert_int_equal(dirent->ino, entry->attr.stx_ino);
	plus->nodes[plus->looked_up++] = entry->node;
	return true;
}

/* An entry that found no room has not been looked up: one forget each makes all stale. */
static void listings_look_up_what_was_taken(void **state)
{
	struct tree_client client = {.tree = *state};
	struct plus plus = {.room = 5};
	struct tree_file dir;

	make(&client, "abcdef");
	assert_int_equal(tree_open(&client, "", O_DIRECTORY, 0, &dir), 0);
	plus.call = *tree_begin(&client, FS_ROOT);
	plus.call.handle = dir.handle;
	plus.call.add = add_plus;
	assert_int_equal(client.tree->ops->readdirplus(client.tree, &plus.call), 0);
	assert_int_equal(plus.looked_up, 3);
	for (unsigned i = 0; i < 3; i++) {
		tree_begin(&client, plus.nodes[i]);
		assert_int_equal(tree_run(&client, client.tree->ops->getattr), 0);
		tree_forget(&client, plus.nodes[i], 1);
		tree_begin(&client, plus.nodes[i]);
		assert_int_equal(tree_run(&client, client.tree->ops->getattr), -ESTALE);
	}
	/* d was offered, not taken: its id, one more than c's, is not the guest's. */
	tree_begin(&client, plus.nodes[2] + 1);
	assert_int_equal(tree_run(&client, client.tree->ops->getattr), -ESTALE);
	tree_close(&client, &dir);
}

/* --- many --- */

static void name_of(char name[16], unsigned i)
{
	snprintf(name, 16, "file-%u", i);
}

static unsigned count_names(struct tree_client *client)
{
	struct tree_names *names = malloc(sizeof(*names));
	struct tree_file dir;
	unsigned count = 0;

	assert_int_equal(tree_open(client, "", O_DIRECTORY, 0, &dir), 0);
	for (uint64_t at = 2;; at = names->last) {
		assert_int_equal(tree_readdir(client, &dir, at, 32, names), 0);
		count += names->count;
		if (names->count == 0)
			break;
	}
	tree_close(client, &dir);
	free(names);
	return count;
}

static void a_directory_may_have_very_many_names(void **state)
{
	struct tree_client client = {.tree = *state};
	struct statx attr;
	char name[16];

	for (unsigned i = 0; i < MANY; i++) {
		name_of(name, i);
		assert_int_equal(tree_mknod(&client, name, S_IFREG, 0, 0), 0);
	}
	assert_int_equal(count_names(&client), MANY);
	for (unsigned i = 0; i < MANY; i++) {
		name_of(name, i);
		assert_int_equal(tree_stat(&client, name, &attr), 0);
		assert_int_equal(attr.stx_ino, i + 2);
		if (i % 10 != 0)
			assert_int_equal(tree_unlink(&client, name), 0);
	}
	assert_int_equal(count_names(&client), MANY / 10);
	for (unsigned i = 0; i < MANY; i++) {
		name_of(name, i);
		assert_int_equal(tree_unlink(&client, name), i % 10 != 0 ? -ENOENT : 0);
	}
	assert_int_equal(count_names(&client), 0);
}

/* In a thousand directories, all of them looked up at once. */
static void a_tree_may_have_a_million_files(void **state)
{
	struct tree_client client = {.tree = *state};
	fs_tree_op *mkdir = client.tree->ops->mkdir, *mknod = client.tree->ops->mknod;
	char name[16];

	for (unsigned i = 0; i < MILLION / 1000; i++) {
		uint64_t dir;

		name_of(name, i);
		assert_int_equal(tree_run_name(&client, mkdir, FS_ROOT, name), 0);
		dir = client.call.entry.node;
		for (unsigned j = 0; j < 1000; j++) {
			name_of(name, j);
			assert_int_equal(tree_run_name(&client, mknod, dir, name), 0);
		}
	}
	tree_begin(&client, FS_ROOT);
	assert_int_equal(tree_run(&client, client.tree->ops->statfs), 0);
	assert_int_equal(client.call.statvfs.f_files - client.call.statvfs.f_ffree,
			 MILLION + MILLION / 1000 + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_come_in_the_order_of_their_making),
		TEST(entries_say_what_they_are),
		TEST(an_offset_holds_whatever_comes_and_goes),
		TEST(an_offset_holds_though_all_names_go),
		TEST(a_name_that_is_spelt_anew_is_not_missed),
		TEST(a_listing_ends_though_its_reader_makes_names),
		TEST(a_reader_who_renames_sees_each_file_once),
		TEST(a_name_may_change_for_ever),
		TEST(listings_look_up_what_was_taken),
		TEST(a_directory_may_have_very_many_names),
		TEST(a_tree_may_have_a_million_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
