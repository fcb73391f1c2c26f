/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits, clock and options of the tree in memory. */
#define _GNU_SOURCE /* RENAME_WHITEOUT, FALLOC_FL_ */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/fs/fuse_wire.h"
#include "tests/support/tree_client.h"

#define PAGE 4096u

static struct tree_client client_of(const struct fs_tree_ram_options *options)
{
	struct tree_client client = {.tree = NULL};

	assert_int_equal(fs_tree_ram_create(&client.tree, options), 0);
	return client;
}

static void destroy(const struct tree_client *client)
{
	client->tree->ops->destroy(client->tree);
}

static const struct statvfs *statfs_of(struct tree_client *client)
{
	tree_begin(client, FS_ROOT);
	assert_int_equal(tree_run(client, client->tree->ops->statfs), 0);
	return &client->call.statvfs;
}

static int fallocate_on(struct tree_client *client, const struct tree_file *file, uint64_t size)
{
	tree_begin(client, file->node)->handle = file->handle;
	client->call.size = size;
	return tree_run(client, client->tree->ops->fallocate);
}

static void data_is_bounded_by_size_max(void **state)
{
	struct tree_client client = client_of(&(struct fs_tree_ram_options){.size_max = 10 * PAGE});
	struct tree_file file;
	uint8_t *bytes = calloc(1, 12 * PAGE);

	(void)state;
	assert_int_equal(statfs_of(&client)->f_bfree, 10);
	assert_int_equal(tree_open(&client, "f", O_CREAT | O_RDWR, 0600, &file), 0);
	assert_int_equal(fallocate_on(&client, &file, 11 * PAGE), -ENOSPC);
	assert_int_equal(statfs_of(&client)->f_bfree, 10);
	assert_int_equal(fallocate_on(&client, &file, (uint64_t)1 << 50), -ENOSPC);
	assert_int_equal(tree_pwrite(&client, &file, bytes, 12 * PAGE, 10), 10 * PAGE - 10);
	assert_int_equal(statfs_of(&client)->f_bfree, 0);
	assert_int_equal(tree_pwrite(&client, &file, bytes, 1, 10 * PAGE), -ENOSPC);
	assert_int_equal(tree_pwrite(&client, &file, bytes, PAGE, 0), PAGE);
	assert_int_equal(fallocate_on(&client, &file, 10 * PAGE), 0);
	assert_int_equal(tree_symlink(&client, "x", "l"), -ENOSPC);
	assert_int_equal(tree_setxattr(&client, "f", "user.a", "x", 1, 0), -ENOSPC);
	assert_int_equal(tree_setattr(&client, "f", FS_SET_SIZE, &(struct statx){.stx_size = 0}),
			 0);
	assert_int_equal(statfs_of(&client)->f_bfree, 10);
	assert_int_equal(tree_symlink(&client, "x", "l"), 0);
	assert_int_equal(tree_setxattr(&client, "f", "user.a", "x", 1, 0), 0);
	assert_int_equal(tree_unlink(&client, "l"), 0);
	assert_int_equal(tree_removexattr(&client, "f", "user.a"), 0);
	assert_int_equal(statfs_of(&client)->f_bfree, 10);
	tree_close(&client, &file);
	destroy(&client);
	free(bytes);
}

static void names_are_bounded_by_node_max(void **state)
{
	struct tree_client client = client_of(&(struct fs_tree_ram_options){.node_max = 4});

	(void)state;
	assert_int_equal(tree_mknod(&client, "a", S_IFREG, 0, 0), 0);
	assert_int_equal(tree_link(&client, "a", "b"), 0);
	assert_int_equal(tree_mkdir(&client, "c", 0755), 0);
	assert_int_equal(statfs_of(&client)->f_ffree, 0);
	assert_int_equal(tree_mkdir(&client, "d", 0755), -ENOSPC);
	assert_int_equal(tree_link(&client, "a", "d"), -ENOSPC);
	assert_int_equal(tree_symlink(&client, "x", "d"), -ENOSPC);
	assert_int_equal(tree_rename(&client, "a", "d", RENAME_WHITEOUT), -ENOSPC);
	assert_int_equal(tree_rename(&client, "a", "c/a", 0), 0);
	assert_int_equal(tree_unlink(&client, "b"), 0);
	assert_int_equal(statfs_of(&client)->f_ffree, 1);
	assert_int_equal(tree_rename(&client, "c/a", "c/d", RENAME_WHITEOUT), 0);
	assert_int_equal(tree_unlink(&client, "c/a"), 0);
	assert_int_equal(tree_unlink(&client, "c/d"), 0);
	assert_int_equal(tree_rmdir(&client, "c"), 0);
	assert_int_equal(statfs_of(&client)->f_ffree, 3);
	destroy(&client);
}

static void a_file_has_at_most_65000_names(void **state)
{
	struct tree_client client = client_of(NULL);
	char name[16];

	(void)state;
	assert_int_equal(tree_mknod(&client, "f", S_IFREG, 0, 0), 0);
	for (unsigned i = 1; i < 65000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(tree_link(&client, "f", name), 0);
	}
	assert_int_equal(tree_link(&client, "f", "more"), -EMLINK);
	assert_int_equal(tree_unlink(&client, "1"), 0);
	assert_int_equal(tree_link(&client, "f", "more"), 0);
	destroy(&client);
}

static void handles_are_bounded_too(void **state)
{
	struct tree_client client = client_of(NULL);
	const struct fs_tree_ops *ops = client.tree->ops;
	uint64_t first;

	(void)state;
	tree_begin(&client, FS_ROOT);
	assert_int_equal(tree_run(&client, ops->opendir), 0);
	first = client.call.new_handle;
	for (unsigned i = 1; i < 1u << 20; i++)
		assert_int_equal(tree_run(&client, ops->opendir), 0);
	assert_int_equal(tree_run(&client, ops->opendir), -ENFILE);
	/* A file that cannot be opened is not made. */
	assert_int_equal(tree_open(&client, "f", O_CREAT | O_RDWR, 0600, &(struct tree_file){0}),
			 -ENFILE);
	assert_int_equal(statfs_of(&client)->f_files - statfs_of(&client)->f_ffree, 1);
	tree_begin(&client, FS_ROOT)->handle = first;
	assert_int_equal(tree_run(&client, ops->releasedir), 0);
	assert_int_equal(tree_run(&client, ops->opendir), 0);
	ops->reset(client.tree);
	destroy(&client);
}

static void link_targets_have_a_length(void **state)
{
	struct tree_client client = client_of(NULL);
	char target[FS_PATH_MAX + 2], seen[FS_PATH_MAX];

	(void)state;
	memset(target, 'x', sizeof(target));
	target[FS_PATH_MAX + 1] = '\0';
	assert_int_equal(tree_symlink(&client, target, "l"), -ENAMETOOLONG);
	target[FS_PATH_MAX] = '\0';
	assert_int_equal(tree_symlink(&client, target, "l"), 0);
	assert_int_equal(tree_readlink(&client, "l", seen, sizeof(seen)), sizeof(seen));
	assert_memory_equal(seen, target, sizeof(seen));
	assert_int_equal(tree_readlink(&client, "l", seen, sizeof(seen) - 1), -ENAMETOOLONG);
	destroy(&client);
}

/* --- time --- */

static uint64_t ns(struct statx_timestamp t)
{
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t clock_now;

static uint64_t tell(void *opaque)
{
	assert_ptr_equal(opaque, &clock_now);
	return clock_now;
}

static struct statx attr_of(struct tree_client *client, const char *path)
{
	struct statx attr;

	assert_int_equal(tree_stat(client, path, &attr), 0);
	return attr;
}

static void time_counts_calls_unless_a_clock_is_given(void **state)
{
	struct tree_client client = client_of(NULL);
	uint64_t root, file;

	(void)state;
	root = ns(attr_of(&client, "").stx_btime);
	assert_int_equal(root, UINT64_C(1577836800) * 1000000000);
	assert_int_equal(tree_run_name(&client, client.tree->ops->mknod, FS_ROOT, "f"), 0);
	file = ns(client.call.entry.attr.stx_btime);
	assert_int_equal(file, root + 2 * 1000);
	destroy(&client);
}

static void time_of_access_follows_relatime(void **state)
{
	const uint64_t day = UINT64_C(86400) * 1000000000;
	struct tree_client client =
		client_of(&(struct fs_tree_ram_options){.clock = tell, .opaque = &clock_now});
	struct tree_file file, quiet;
	char byte;

	(void)state;
	clock_now = 1000 * day + 5;
	assert_int_equal(tree_open(&client, "f", O_CREAT | O_RDWR, 0600, &file), 0);
	assert_int_equal(tree_open(&client, "f", O_RDWR | O_NOATIME, 0600, &quiet), 0);
	assert_int_equal(ns(attr_of(&client, "f").stx_atime), 1000 * day + 5);
	clock_now += 10;
	assert_int_equal(tree_pread(&client, &quiet, &byte, 1, 0), 0);
	assert_int_equal(ns(attr_of(&client, "f").stx_atime), 1000 * day + 5);
	assert_int_equal(tree_pread(&client, &file, &byte, 1, 0), 0);
	assert_int_equal(ns(attr_of(&client, "f").stx_atime), 1000 * day + 15);
	clock_now += 10;
	assert_int_equal(tree_pread(&client, &file, &byte, 1, 0), 0);
	assert_int_equal(ns(attr_of(&client, "f").stx_atime), 1000 * day + 15);
	clock_now += day;
	assert_int_equal(tree_pread(&client, &file, &byte, 1, 0), 0);
	assert_int_equal(ns(attr_of(&client, "f").stx_atime), 1001 * day + 25);
	clock_now += 10;
	assert_int_equal(tree_pwrite(&client, &file, "x", 1, 0), 1);
	assert_int_equal(ns(attr_of(&client, "f").stx_mtime), 1001 * day + 35);
	assert_int_equal(ns(attr_of(&client, "f").stx_ctime), 1001 * day + 35);
	clock_now += 10;
	assert_int_equal(tree_pread(&client, &file, &byte, 1, 0), 1);
	assert_int_equal(ns(attr_of(&client, "f").stx_atime), 1001 * day + 45);
	assert_int_equal(ns(attr_of(&client, "f").stx_btime), 1000 * day + 5);
	/* A change of attributes counts, and one that is said to lie ahead. */
	clock_now += 10;
	assert_int_equal(tree_setattr(&client, "f", FS_SET_MODE, &(struct statx){.stx_mode = 0600}),
			 0);
	clock_now += 10;
	assert_int_equal(tree_pread(&client, &file, &byte, 1, 0), 1);
	assert_int_equal(ns(attr_of(&client, "f").stx_atime), 1001 * day + 65);
	assert_int_equal(tree_setattr(&client, "f", FS_SET_MTIME,
				      &(struct statx){.stx_mtime = {.tv_sec = INT64_MAX}}),
			 0);
	for (unsigned i = 0; i < 2; i++) {
		clock_now += 10;
		assert_int_equal(tree_pread(&client, &file, &byte, 1, 0), 1);
		assert_int_equal(ns(attr_of(&client, "f").stx_atime), clock_now);
	}
	tree_close(&client, &file);
	tree_close(&client, &quiet);
	destroy(&client);
}

/* --- options --- */

static void a_tree_to_be_read_only_refuses_changes(void **state)
{
	struct tree_client client = client_of(&(struct fs_tree_ram_options){.read_only = true});
	struct fs_tree_limits limits;

	(void)state;
	client.tree->ops->limits(client.tree, &limits);
	assert_true(limits.read_only);
	assert_int_equal(tree_mkdir(&client, "d", 0755), -EROFS);
	assert_int_equal(tree_mknod(&client, "f", S_IFREG, 0, 0), -EROFS);
	assert_int_equal(tree_symlink(&client, "x", "l"), -EROFS);
	assert_int_equal(tree_open(&client, "f", O_CREAT | O_RDWR, 0600, &(struct tree_file){0}),
			 -EROFS);
	assert_int_equal(tree_setattr(&client, "", FS_SET_MODE, &(struct statx){.stx_mode = 0777}),
			 -EROFS);
	assert_int_equal(tree_setxattr(&client, "", "user.a", "x", 1, 0), -EROFS);
	assert_int_equal(tree_access(&client, "", W_OK), -EROFS);
	assert_int_equal(tree_access(&client, "", R_OK), 0);
	assert_true(statfs_of(&client)->f_flag & ST_RDONLY);
	destroy(&client);
}

static void a_guest_may_be_trusted_to_have_checked(void **state)
{
	struct tree_client client = client_of(&(struct fs_tree_ram_options){
		.trust_guest = true, .attr_valid = 5, .entry_valid = 6});

	(void)state;
	client.uid = client.gid = 1000;
	assert_int_equal(tree_run_name(&client, client.tree->ops->mkdir, FS_ROOT, "d"), 0);
	assert_int_equal(client.call.entry.attr.stx_uid, 1000);
	assert_int_equal(client.call.entry.attr.stx_gid, 1000);
	assert_int_equal(client.call.entry.attr_valid, 5);
	assert_int_equal(client.call.entry.entry_valid, 6);
	assert_int_equal(tree_setattr(&client, "", FS_SET_MODE, &(struct statx){.stx_mode = 0}), 0);
	assert_int_equal(client.call.entry.attr_valid, 5);
	assert_int_equal(tree_access(&client, "", R_OK | W_OK | X_OK), 0);
	destroy(&client);
}

static struct fs_call *begin_on(struct tree_client *client, const struct tree_file *file)
{
	struct fs_call *call = tree_begin(client, file->node);

	call->handle = file->handle;
	return call;
}

/* FUSE_HANDLE_KILLPRIV_V2: the guest says when, whoever calls; and a page cache is nobody. */
static void a_guest_may_tell_when_suid_goes(void **state)
{
	struct tree_client client = client_of(NULL);
	struct tree_file file;

	(void)state;
	assert_int_equal(tree_open(&client, "f", O_CREAT | O_RDWR, 06777, &file), 0);
	begin_on(&client, &file)->flags = FS_WRITE_CACHE;
	client.call.uid = 1000;
	tree_data(&client, "x", 1);
	assert_int_equal(tree_run(&client, client.tree->ops->write), 0);
	assert_int_equal(attr_of(&client, "f").stx_mode & 07777, 06777);
	begin_on(&client, &file)->flags = FS_KILL_PRIV;
	tree_data(&client, "x", 1);
	assert_int_equal(tree_run(&client, client.tree->ops->write), 0);
	assert_int_equal(attr_of(&client, "f").stx_mode & 07777, 0777);
	assert_int_equal(
		tree_setattr(&client, "f", FS_SET_MODE, &(struct statx){.stx_mode = 06777}), 0);
	assert_int_equal(tree_setattr(&client, "f", FS_SET_KILL_PRIV | FS_SET_SIZE,
				      &(struct statx){.stx_size = 0}),
			 0);
	assert_int_equal(client.call.entry.attr.stx_mode & 07777, 0777);
	tree_close(&client, &file);
	destroy(&client);
}

/* A directory's sgid is what files in it inherit, and no privilege. */
static void a_directory_keeps_its_sgid(void **state)
{
	const struct statx sgid = {.stx_mode = 06777};
	struct tree_client client = client_of(NULL);

	(void)state;
	assert_int_equal(tree_mkdir(&client, "d", 0777), 0);
	assert_int_equal(tree_setattr(&client, "d", FS_SET_MODE, &sgid), 0);
	assert_int_equal(tree_setattr(&client, "d", FS_SET_KILL_PRIV | FS_SET_MTIME_NOW, &sgid), 0);
	assert_int_equal(attr_of(&client, "d").stx_mode & 07777, 06777);
	destroy(&client);
}

/* FUSE_WRITEBACK_CACHE: the guest reads through handles that only write, and keeps times. */
static void a_guest_with_a_page_cache_reads_and_keeps_times(void **state)
{
	const struct statx times = {.stx_mtime = {.tv_sec = 7}, .stx_ctime = {.tv_sec = 8}};
	struct tree_client client = client_of(NULL);
	struct tree_file file;
	char byte = 'x';

	(void)state;
	client.tree->ops->start(client.tree, FUSE_WRITEBACK_CACHE);
	assert_int_equal(tree_open(&client, "f", O_CREAT | O_WRONLY, 0666, &file), 0);
	assert_int_equal(tree_pwrite(&client, &file, &byte, 1, 0), 1);
	assert_int_equal(tree_pread(&client, &file, &byte, 1, 0), 1);
	begin_on(&client, &file)->set = FS_SET_MTIME | FS_SET_CTIME;
	client.call.attr = times;
	client.call.uid = 1000;
	assert_int_equal(tree_run(&client, client.tree->ops->setattr), -EPERM);
	client.call.flags = FS_HAS_HANDLE;
	assert_int_equal(tree_run(&client, client.tree->ops->setattr), 0);
	assert_int_equal(attr_of(&client, "f").stx_mtime.tv_sec, 7);
	assert_int_equal(attr_of(&client, "f").stx_ctime.tv_sec, 8);
	/* Times that a new size brings are now; others remain the owner's. */
	assert_int_equal(tree_setattr(&client, "f", FS_SET_MODE, &(struct statx){.stx_mode = 0666}),
			 0);
	begin_on(&client, &file)->set = FS_SET_SIZE | FS_SET_MTIME;
	client.call.uid = 1000;
	assert_int_equal(tree_run(&client, client.tree->ops->setattr), -EPERM);
	client.call.set = FS_SET_SIZE | FS_SET_MTIME_NOW;
	assert_int_equal(tree_run(&client, client.tree->ops->setattr), 0);
	tree_close(&client, &file);
	destroy(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_is_bounded_by_size_max),
		cmocka_unit_test(names_are_bounded_by_node_max),
		cmocka_unit_test(a_file_has_at_most_65000_names),
		cmocka_unit_test(handles_are_bounded_too),
		cmocka_unit_test(link_targets_have_a_length),
		cmocka_unit_test(time_counts_calls_unless_a_clock_is_given),
		cmocka_unit_test(time_of_access_follows_relatime),
		cmocka_unit_test(a_tree_to_be_read_only_refuses_changes),
		cmocka_unit_test(a_guest_may_be_trusted_to_have_checked),
		cmocka_unit_test(a_guest_may_tell_when_suid_goes),
		cmocka_unit_test(a_directory_keeps_its_sgid),
		cmocka_unit_test(a_guest_with_a_page_cache_reads_and_keeps_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
