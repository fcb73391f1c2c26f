/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls on extended attributes of files of every kind, most of which fail (FS-43): the tree on a
 * host directory and the one in memory answer what the plain calls do, and what failed
 * left nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/dir_share.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Beside the host's and the tree's own files: TOP/plain, by plain calls. */
static struct dir_share share;
static struct tree_client ram;

static const char *const kinds[] = {"file", "directory", "link", "broken",
				    "fifo", "socket",    "char"};

/* Not security.: what may be set there is a matter of the host's modules. */
static const char *const names[] = {"user.a",   "user.b",    "user.",       "trusted.a",
				    "trusted.", "unknown.a", "user",        "system",
				    "a",        "",          "user.much.b", "trusted.b"};

enum what {
	SET,
	CREATE,
	REPLACE,
	GET,
	GET_SIZE,
	GET_SHORT,
	LIST,
	LIST_SIZE,
	LIST_SHORT,
	REMOVE,
	WHATS
};

static const unsigned set_flags[] = {[SET] = 0, [CREATE] = XATTR_CREATE, [REPLACE] = XATTR_REPLACE};

/* Of a list in order: trees and file systems have theirs. */
static uint64_t sum_of(const char *bytes, int64_t size, bool list)
{
	uint64_t sum = 0;

	for (int64_t i = 0; i < size; i++)
		sum = list ? sum + (unsigned char)bytes[i] : sum * 31 + (unsigned char)bytes[i];
	return sum;
}

struct seen {
	int64_t result;
	uint64_t sum;
};

static size_t room_of(enum what what, size_t all)
{
	if (what == GET_SIZE || what == LIST_SIZE)
		return 0;
	return what == GET_SHORT || what == LIST_SHORT ? 2 : all;
}

static struct seen by_plain_call(enum what what, const char *kind, const char *name)
{
	char path[64], bytes[256];
	struct seen seen;

	snprintf(path, sizeof(path), "plain/%s", kind);
	if (what <= REPLACE)
		seen.result = lsetxattr(path, name, "value", 5, (int)set_flags[what]);
	else if (what <= GET_SHORT)
		seen.result = lgetxattr(path, name, bytes, room_of(what, sizeof(bytes)));
	else if (what <= LIST_SHORT)
		seen.result = llistxattr(path, bytes, room_of(what, sizeof(bytes)));
	else
		seen.result = lremovexattr(path, name);
	if (seen.result < 0)
		seen.result = -errno;
	seen.sum = what == GET || what == LIST ? sum_of(bytes, seen.result, what == LIST) : 0;
	return seen;
}

static struct seen by_tree(struct tree_client *client, enum what what, const char *kind,
			   const char *name)
{
	char bytes[256];
	size_t room = room_of(what, sizeof(bytes));
	struct seen seen;

	if (what <= REPLACE)
		seen.result = tree_setxattr(client, kind, name, "value", 5, set_flags[what]);
	else if (what <= GET_SHORT)
		seen.result = tree_getxattr(client, kind, name, bytes, room);
	else if (what <= LIST_SHORT)
		seen.result = tree_listxattr(client, kind, bytes, room);
	else
		seen.result = tree_removexattr(client, kind, name);
	seen.sum = what == GET || what == LIST ? sum_of(bytes, seen.result, what == LIST) : 0;
	return seen;
}

static void make_plain(const char *dir)
{
	char path[64];

	assert_int_equal(mkdir(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/file", dir);
	share_write(path, "text");
	snprintf(path, sizeof(path), "%s/directory", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/link", dir);
	assert_int_equal(symlink("file", path), 0);
	snprintf(path, sizeof(path), "%s/broken", dir);
	assert_int_equal(symlink("none", path), 0);
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0644), 0);
	snprintf(path, sizeof(path), "%s/socket", dir);
	assert_int_equal(mknod(path, S_IFSOCK | 0644, 0), 0);
	snprintf(path, sizeof(path), "%s/char", dir);
	if (geteuid() == 0)
		assert_int_equal(mknod(path, S_IFCHR | 0644, makedev(1, 3)), 0);
}

static void make_in_tree(struct tree_client *client)
{
	struct tree_file file;

	assert_int_equal(tree_open(client, "file", O_CREAT | O_RDWR, 0644, &file), 0);
	assert_int_equal(tree_close(client, &file), 0);
	assert_int_equal(tree_mkdir(client, "directory", 0755), 0);
	assert_int_equal(tree_symlink(client, "file", "link"), 0);
	assert_int_equal(tree_symlink(client, "none", "broken"), 0);
	assert_int_equal(tree_mknod(client, "fifo", S_IFIFO | 0644, 0, 0), 0);
	assert_int_equal(tree_mknod(client, "socket", S_IFSOCK | 0644, 0, 0), 0);
	if (geteuid() == 0)
		assert_int_equal(tree_mknod(client, "char", S_IFCHR | 0644, 1, 3), 0);
}

static void expect(const char *whose, enum what what, const char *kind, const char *name,
		   struct seen want, struct seen got)
{
	if (want.result != got.result || want.sum != got.sum)
		fail_msg("%s, call %d, %s, \"%s\": %lld (%llu) and by a plain call %lld (%llu)",
			 whose, (int)what, kind, name, (long long)got.result,
			 (unsigned long long)got.sum, (long long)want.result,
			 (unsigned long long)want.sum);
}

/* The root of a container may be none for the host, which lets him have no trusted.*. */
static bool is_root_to_both(const char *name)
{
	return geteuid() != 0 || strncmp(name, "trusted.", 8) != 0 ||
	       prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1;
}

static unsigned compare(const char *kind)
{
	unsigned refused = 0;

	for (unsigned round = 0; round < COUNT(names) * WHATS * 3; round++) {
		/* In an order in which each comes before and behind each. */
		unsigned number = round * 7 + round / 11;
		enum what what = (enum what)(number % WHATS);
		const char *name = names[number / WHATS % COUNT(names)];
		struct seen want = by_plain_call(what, kind, name);

		expect("dir", what, kind, name, want, by_tree(&share.client, what, kind, name));
		if (is_root_to_both(name))
			expect("ram", what, kind, name, want, by_tree(&ram, what, kind, name));
		refused += want.result < 0;
	}
	return refused;
}

static void every_kind_answers_as_the_host_does(void **state)
{
	(void)state;
	share_begin(&share);
	make_plain("plain");
	share_serve(&share, NULL);
	make_in_tree(&share.client);
	ram = (struct tree_client){.uid = geteuid(), .gid = getegid()};
	assert_int_equal(fs_tree_ram_create(&ram.tree, NULL), 0);
	ram.uid = 0;
	assert_int_equal(tree_setattr(&ram, "", FS_SET_UID, &(struct statx){.stx_uid = geteuid()}),
			 0);
	ram.uid = geteuid();
	make_in_tree(&ram);
	for (unsigned i = 0; i < COUNT(kinds); i++)
		if (geteuid() == 0 || strcmp(kinds[i], "char") != 0)
			assert_true(compare(kinds[i]) > 50);
	ram.tree->ops->destroy(ram.tree);
	share_end(&share);
}

/* Nobody else's file: what fails for want of a right changes nothing either. */
static void what_fails_leaves_nothing_behind(void **state)
{
	char list[64];

	(void)state;
	share_begin(&share);
	share_serve(&share, NULL);
	make_in_tree(&share.client);
	for (unsigned i = 0; i < COUNT(kinds); i++) {
		struct statx before, after;

		if (tree_stat(&share.client, kinds[i], &before) != 0)
			continue;
		assert_true(tree_setxattr(&share.client, kinds[i], "unknown.a", "v", 1, 0) < 0);
		assert_true(tree_setxattr(&share.client, kinds[i], "user.a", "v", 1,
					  XATTR_REPLACE) < 0);
		assert_true(tree_removexattr(&share.client, kinds[i], "user.a") < 0);
		assert_int_equal(tree_listxattr(&share.client, kinds[i], list, sizeof(list)), 0);
		assert_int_equal(tree_stat(&share.client, kinds[i], &after), 0);
		assert_memory_equal(&before.stx_ctime, &after.stx_ctime, sizeof(before.stx_ctime));
	}
	share_end(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_answers_as_the_host_does),
		cmocka_unit_test(what_fails_leaves_nothing_behind),
	};

	return SHARE_RUN(tests);
}
