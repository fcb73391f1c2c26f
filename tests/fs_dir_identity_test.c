/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which files of a host directory are one file (FS-40): the names of one inode lead to one node,
 * and no two inodes do, whatever kind they are of, where else their file system is mounted, and
 * whose number they have got.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/support/dir_share.h"

#define FD_MAX 32u

static const unsigned ways[] = {0, FS_DIR_NO_HANDLES, FS_DIR_NO_OPENAT2};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct dir_share share;

#define OPS (share.client.tree->ops)

static void begin(unsigned way)
{
	const struct fs_tree_dir_options options = {.flags = ways[way], .fd_max = FD_MAX};

	share_begin(&share);
	share_serve(&share, &options);
}

/* Other directories take all descriptors: nodes must be found again. */
static void flush_cache(void)
{
	for (unsigned i = 0; i < FD_MAX; i++) {
		char path[32];
		uint64_t node;

		snprintf(path, sizeof(path), "share/cold%u", i);
		mkdir(path, 0755);
		assert_int_equal(tree_walk(&share.client, path + strlen("share/"), &node), 0);
		assert_int_equal(tree_run_name(&share.client, OPS->lookup, node, "x"), -ENOENT);
	}
}

static uint64_t node_of(const char *path)
{
	uint64_t node;

	assert_int_equal(tree_walk(&share.client, path, &node), 0);
	return node;
}

static void check_attr(uint64_t node, const struct stat *st)
{
	const struct statx *attr = &share.client.call.entry.attr;

	tree_begin(&share.client, node);
	assert_int_equal(tree_run(&share.client, OPS->getattr), 0);
	assert_int_equal(attr->stx_ino, st->st_ino);
	assert_int_equal(attr->stx_mode, st->st_mode);
	assert_int_equal(attr->stx_nlink, st->st_nlink);
	assert_int_equal(makedev(attr->stx_rdev_major, attr->stx_rdev_minor), st->st_rdev);
}

/* One of each kind, and two that differ in nothing but the inode. */
static const struct {
	mode_t mode;
	unsigned major, minor;
} special[] = {
	{S_IFIFO | 0644, 0, 0}, {S_IFSOCK | 0644, 0, 0}, {S_IFSOCK | 0644, 0, 0},
	{S_IFREG | 0644, 0, 0}, {S_IFREG | 0644, 0, 0},  {S_IFCHR | 0644, 1, 3},
	{S_IFCHR | 0644, 1, 3}, {S_IFBLK | 0644, 1, 3},  {S_IFBLK | 0644, 259, 65537},
};

static void make_special(unsigned i)
{
	char path[32], other[32];

	snprintf(path, sizeof(path), "share/s%u", i);
	snprintf(other, sizeof(other), "share/d/s%u", i);
	assert_int_equal(mknod(path, special[i].mode, makedev(special[i].major, special[i].minor)),
			 0);
	assert_int_equal(link(path, other), 0);
}

static void special_files_are_themselves(void **state)
{
	unsigned count = geteuid() == 0 ? COUNT(special) : 5;

	(void)state;
	for (unsigned way = 0; way < COUNT(ways); way++) {
		uint64_t node[COUNT(special)];
		char path[32];
		struct stat st;

		begin(way);
		assert_int_equal(mkdir("share/d", 0755), 0);
		for (unsigned i = 0; i < count; i++) {
			make_special(i);
			snprintf(path, sizeof(path), "s%u", i);
			node[i] = node_of(path);
			for (unsigned j = 0; j < i; j++)
				assert_int_not_equal(node[j], node[i]);
		}
		flush_cache();
		for (unsigned i = 0; i < count; i++) {
			snprintf(path, sizeof(path), "share/d/s%u", i);
			assert_int_equal(stat(path, &st), 0);
			check_attr(node[i], &st);
			assert_int_equal(node_of(path + strlen("share/")), node[i]);
		}
		share_end(&share);
	}
}

/*
 * The same inodes by another mount: they cannot be told apart by their numbers, and are not to be
 * the same nodes, as what may be done there may be another thing.
 */
static void one_file_system_mounted_twice_is_there_once(void **state)
{
	(void)state;
	share_need_mounts();
	for (unsigned way = 0; way < COUNT(ways); way++) {
		uint64_t file, below, under;
		struct statx attr;
		struct stat st;

		begin(way);
		assert_int_equal(mkdir("share/a", 0755) + mkdir("share/b", 0755), 0);
		share_write("share/a/f", "text");
		share_write("share/b/f", "below");
		share_write("share/g", "below");
		file = node_of("a/f");
		below = node_of("b/f");
		under = node_of("g");
		assert_int_equal(mount("share/a", "share/b", NULL, MS_BIND, NULL), 0);
		assert_int_equal(mount("share/a/f", "share/g", NULL, MS_BIND, NULL), 0);
		assert_int_equal(tree_stat(&share.client, "b", &attr), -EXDEV);
		assert_int_equal(tree_stat(&share.client, "g", &attr), -EXDEV);
		assert_int_equal(node_of("a/f"), file);
		flush_cache();
		assert_int_equal(stat("share/a/f", &st), 0);
		check_attr(file, &st);
		/* By names they are covered; whoever has a better way may go on. */
		for (unsigned i = 0; i < 2; i++) {
			tree_begin(&share.client, i ? under : below);
			if (tree_run(&share.client, OPS->getattr) == 0)
				assert_int_not_equal(share.client.call.entry.attr.stx_ino,
						     st.st_ino);
		}
		assert_int_equal(umount("share/b") + umount("share/g"), 0);
		assert_int_equal(node_of("b/f"), below);
		assert_int_equal(node_of("g"), under);
		share_end(&share);
	}
}

/* Another file system has the same numbers: a new one has its root where an old one has. */
static void the_number_of_another_file_system_is_another_file(void **state)
{
	struct stat one, two;
	struct statx attr;
	uint64_t node;

	(void)state;
	share_need_mounts();
	share_begin(&share);
	assert_int_equal(mount("one", "share", "tmpfs", 0, NULL), 0);
	assert_int_equal(mkdir("share/d", 0755), 0);
	share_serve(&share, NULL);
	assert_int_equal(mount("two", "share/d", "tmpfs", 0, NULL), 0);
	assert_int_equal(stat("share", &one) + stat("share/d", &two), 0);
	assert_int_equal(one.st_ino, two.st_ino);
	assert_int_equal(tree_stat(&share.client, "d", &attr), -EXDEV);
	assert_int_equal(umount("share/d"), 0);
	node = node_of("d");
	assert_int_not_equal(node, FS_ROOT);
	OPS->destroy(share.client.tree);
	share.client.tree = NULL;
	assert_int_equal(umount("share"), 0);
	share_end(&share);
}

/* Until a new file has the number of the one that was at path; false: this host is not like that. */
static bool reuse_number(const char *path, ino_t ino)
{
	struct stat st;

	for (unsigned i = 0; i < 100; i++) {
		share_write(path, "new");
		assert_int_equal(stat(path, &st), 0);
		if (st.st_ino == ino)
			return true;
		unlink(path);
	}
	return false;
}

/*
 * The inode is not held: descriptors were given up. An overlay's files are told apart so only if
 * they are younger than the tree.
 */
static void a_number_that_is_used_again_is_another_file(void **state)
{
	(void)state;
	for (unsigned way = 0; way < COUNT(ways); way++) {
		struct stat st;
		uint64_t node;
		bool reused;

		begin(way);
		/* Clocks of file systems tick some hundred times a second. */
		usleep(20000);
		share_write("share/f", "old");
		assert_int_equal(stat("share/f", &st), 0);
		node = node_of("f");
		flush_cache();
		usleep(20000);
		assert_int_equal(unlink("share/f"), 0);
		reused = reuse_number("share/f", st.st_ino);
		if (reused) {
			assert_int_not_equal(node_of("f"), node);
			flush_cache();
			tree_begin(&share.client, node);
			assert_int_equal(tree_run(&share.client, OPS->getattr), -ESTALE);
		}
		share_end(&share);
	}
}

/* An inode that is open is not used again, so it is known though no name and no descriptor of the node is left. */
static void a_file_that_is_open_is_known_by_any_name(void **state)
{
	struct tree_client *client = &share.client;
	struct tree_file file;

	(void)state;
	for (unsigned way = 0; way < COUNT(ways); way++) {
		begin(way);
		share_write("share/f", "text");
		assert_int_equal(link("share/f", "share/g"), 0);
		assert_int_equal(tree_open(client, "f", O_RDWR, 0, &file), 0);
		assert_int_equal(tree_unlink(client, "f"), 0);
		/* They take the descriptors even of what has no name. */
		for (unsigned i = 0; i < 4 * FD_MAX; i++) {
			share_write("share/h", "text");
			node_of("h");
			assert_int_equal(tree_unlink(client, "h"), 0);
		}
		assert_int_equal(node_of("g"), file.node);
		assert_int_equal(tree_close(client, &file), 0);
		share_end(&share);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(special_files_are_themselves),
		cmocka_unit_test(one_file_system_mounted_twice_is_there_once),
		cmocka_unit_test(the_number_of_another_file_system_is_another_file),
		cmocka_unit_test(a_number_that_is_used_again_is_another_file),
		cmocka_unit_test(a_file_that_is_open_is_known_by_any_name),
	};

	return SHARE_RUN(tests);
}
