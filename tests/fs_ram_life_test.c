/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long nodes and handles of the tree in memory live: what the guest may name, what is
 * refused, and that all is given back.
 */
#define _GNU_SOURCE /* O_DIRECTORY, RENAME_ */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/fs/fuse_wire.h"
#include "tests/support/tree_client.h"

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

static const struct statvfs *statfs_of(struct tree_client *client)
{
	tree_begin(client, FS_ROOT);
	assert_int_equal(tree_run(client, client->tree->ops->statfs), 0);
	return &client->call.statvfs;
}

/* Files that there are, besides the root. */
static uint64_t file_count(struct tree_client *client)
{
	const struct statvfs *st = statfs_of(client);

	return st->f_files - st->f_ffree - 1;
}

static uint64_t used_pages(struct tree_client *client)
{
	const struct statvfs *st = statfs_of(client);

	return st->f_blocks - st->f_bfree;
}

static int getattr(struct tree_client *client, uint64_t node)
{
	tree_begin(client, node);
	return tree_run(client, client->tree->ops->getattr);
}

/* Every member that takes a node, with one that it must not take. */
static void check_all_members(struct tree_client *client, uint64_t node, int want)
{
	const struct fs_tree_ops *ops = client->tree->ops;
	fs_tree_op *const members[] = {
		ops->lookup,
		ops->getattr,
		ops->setattr,
		ops->readlink,
		ops->symlink,
		ops->mknod,
		ops->mkdir,
		ops->unlink,
		ops->rmdir,
		ops->rename,
		ops->link,
		ops->open,
		ops->read,
		ops->write,
		ops->statfs,
		ops->release,
		ops->fsync,
		ops->setxattr,
		ops->getxattr,
		ops->listxattr,
		ops->flush,
		ops->removexattr,
		ops->opendir,
		ops->readdir,
		ops->readdirplus,
		ops->fsyncdir,
		ops->releasedir,
		ops->getlk,
		ops->setlk,
		ops->access,
		ops->tmpfile,
		ops->create,
		ops->fallocate,
		ops->lseek,
		ops->syncfs,
		ops->statx,
		ops->copy_file_range,
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct fs_call *call = tree_begin(client, node);

		call->name = call->new_name = "user.name";
		call->target = "target";
		call->new_parent = FS_ROOT;
		call->handle = 0;
		assert_int_equal(tree_run(client, members[i]), want);
	}
}

static void ids_that_were_never_given_out_are_stale(void **state)
{
	static const uint64_t ids[] = {0, 2, 3, UINT32_MAX, (uint64_t)1 << 32 | 1, UINT64_MAX};
	struct tree_client client = {.tree = *state};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		check_all_members(&client, ids[i], -ESTALE);
	assert_int_equal(file_count(&client), 0);
}

static void what_was_forgotten_is_stale_until_it_is_looked_up(void **state)
{
	struct tree_client client = {.tree = *state};
	uint64_t node;

	assert_int_equal(tree_mkdir(&client, "d", 0755), 0);
	assert_int_equal(tree_walk(&client, "d", &node), 0);
	assert_int_equal(tree_walk(&client, "d", &node), 0);
	tree_forget(&client, node, 1);
	assert_int_equal(getattr(&client, node), 0);
	tree_forget(&client, node, 1);
	check_all_members(&client, node, -ESTALE);
	assert_int_equal(tree_walk(&client, "d", &node), 0);
	assert_int_equal(getattr(&client, node), 0);
	tree_forget(&client, node, UINT64_MAX);
	assert_int_equal(getattr(&client, node), -ESTALE);
}

static void the_root_cannot_be_forgotten(void **state)
{
	struct tree_client client = {.tree = *state};

	tree_forget(&client, FS_ROOT, UINT64_MAX);
	tree_forget(&client, 0, 1);
	tree_forget(&client, UINT64_MAX, 1);
	assert_int_equal(getattr(&client, FS_ROOT), 0);
	assert_int_equal(client.call.entry.attr.stx_ino, 1);
}

static void a_file_without_a_name_lives_while_it_is_looked_up(void **state)
{
	struct tree_client client = {.tree = *state};
	uint64_t node, other;

	assert_int_equal(tree_mknod(&client, "f", S_IFREG | 0644, 0, 0), 0);
	assert_int_equal(tree_walk(&client, "f", &node), 0);
	assert_int_equal(tree_unlink(&client, "f"), 0);
	assert_int_equal(getattr(&client, node), 0);
	assert_int_equal(client.call.entry.attr.stx_nlink, 0);
	tree_begin(&client, node)->new_parent = FS_ROOT;
	client.call.new_name = "again";
	assert_int_equal(tree_run(&client, client.tree->ops->link), -ENOENT);
	assert_int_equal(file_count(&client), 1);
	tree_forget(&client, node, 1);
	assert_int_equal(file_count(&client), 0);
	assert_int_equal(tree_mknod(&client, "f", S_IFREG | 0644, 0, 0), 0);
	assert_int_equal(tree_walk(&client, "f", &other), 0);
	assert_true(other != node);
	assert_int_equal(getattr(&client, node), -ESTALE);
}

static void an_open_file_without_a_name_can_be_read_and_written(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_file file;
	char seen[5];

	assert_int_equal(tree_open(&client, "f", O_CREAT | O_RDWR, 0600, &file), 0);
	assert_int_equal(tree_unlink(&client, "f"), 0);
	tree_forget(&client, file.node, 1);
	assert_int_equal(getattr(&client, file.node), -ESTALE);
	assert_int_equal(tree_pwrite(&client, &file, "bytes", 5, 0), 5);
	assert_int_equal(tree_pread(&client, &file, seen, 5, 0), 5);
	assert_memory_equal(seen, "bytes", 5);
	assert_int_equal(used_pages(&client), 1);
	tree_close(&client, &file);
	assert_int_equal(used_pages(&client), 0);
	assert_int_equal(file_count(&client), 0);
}

static void a_directory_that_was_removed_takes_and_shows_nothing(void **state)
{
	struct tree_client client = {.tree = *state};
	const struct fs_tree_ops *ops = client.tree->ops;
	struct tree_names names;
	struct tree_file dir;

	assert_int_equal(tree_mkdir(&client, "d", 0755), 0);
	assert_int_equal(tree_mkdir(&client, "e", 0755), 0);
	assert_int_equal(tree_open(&client, "d", O_DIRECTORY, 0, &dir), 0);
	assert_int_equal(tree_rmdir(&client, "d"), 0);
	assert_int_equal(tree_readdir(&client, &dir, 0, 32, &names), -ENOENT);
	assert_int_equal(tree_run_name(&client, ops->lookup, dir.node, "x"), -ENOENT);
	assert_int_equal(tree_run_name(&client, ops->lookup, dir.node, ".."), -ENOENT);
	assert_int_equal(tree_run_name(&client, ops->mkdir, dir.node, "x"), -ENOENT);
	assert_int_equal(tree_run_name(&client, ops->mknod, dir.node, "x"), -ENOENT);
	assert_int_equal(tree_run_name(&client, ops->create, dir.node, "x"), -ENOENT);
	assert_int_equal(tree_run_name(&client, ops->tmpfile, dir.node, NULL), -ENOENT);
	tree_begin(&client, FS_ROOT)->name = "e";
	client.call.new_parent = dir.node;
	client.call.new_name = "x";
	assert_int_equal(tree_run(&client, ops->rename), -ENOENT);
	tree_close(&client, &dir);
	assert_int_equal(file_count(&client), 1);
}

/* The same for one that a rename replaced. */
static void what_a_rename_replaced_lives_while_it_is_open(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_file file, dir;
	char byte;

	assert_int_equal(tree_open(&client, "f", O_CREAT | O_RDWR, 0600, &file), 0);
	assert_int_equal(tree_pwrite(&client, &file, "x", 1, 0), 1);
	assert_int_equal(tree_mknod(&client, "g", S_IFREG | 0644, 0, 0), 0);
	assert_int_equal(tree_rename(&client, "g", "f", 0), 0);
	assert_int_equal(tree_mkdir(&client, "d", 0755), 0);
	assert_int_equal(tree_mkdir(&client, "e", 0755), 0);
	assert_int_equal(tree_open(&client, "d", O_DIRECTORY, 0, &dir), 0);
	assert_int_equal(tree_rename(&client, "e", "d", 0), 0);
	assert_int_equal(file_count(&client), 4);
	assert_int_equal(tree_pread(&client, &file, &byte, 1, 0), 1);
	assert_int_equal(tree_run_name(&client, client.tree->ops->mkdir, dir.node, "x"), -ENOENT);
	tree_close(&client, &file);
	tree_close(&client, &dir);
	assert_int_equal(file_count(&client), 2);
	assert_int_equal(used_pages(&client), 0);
}

static void handles_of_others_are_bad(void **state)
{
	struct tree_client client = {.tree = *state};
	const struct fs_tree_ops *ops = client.tree->ops;
	fs_tree_op *const of_files[] = {ops->read,    ops->write, ops->fsync,
					ops->release, ops->lseek, ops->fallocate};
	fs_tree_op *const of_dirs[] = {ops->readdir, ops->readdirplus, ops->fsyncdir,
				       ops->releasedir};
	struct tree_file file, dir, closed;

	assert_int_equal(tree_open(&client, "f", O_CREAT | O_RDWR, 0600, &file), 0);
	assert_int_equal(tree_open(&client, "", O_DIRECTORY, 0, &dir), 0);
	assert_int_equal(tree_open(&client, "f", O_RDWR, 0, &closed), 0);
	assert_int_equal(tree_close(&client, &closed), 0);
	assert_int_equal(tree_close(&client, &closed), -EBADF);
	assert_int_equal(tree_walk(&client, "f", &file.node), 0);
	for (size_t i = 0; i < sizeof(of_files) / sizeof(of_files[0]); i++) {
		tree_begin(&client, dir.node)->handle = dir.handle;
		assert_int_equal(tree_run(&client, of_files[i]), -EBADF);
		tree_begin(&client, dir.node)->handle = file.handle;
		assert_int_equal(tree_run(&client, of_files[i]), -EBADF);
		tree_begin(&client, file.node)->handle = closed.handle;
		assert_int_equal(tree_run(&client, of_files[i]), -EBADF);
	}
	for (size_t i = 0; i < sizeof(of_dirs) / sizeof(of_dirs[0]); i++) {
		tree_begin(&client, file.node)->handle = file.handle;
		assert_int_equal(tree_run(&client, of_dirs[i]), -EBADF);
		tree_begin(&client, file.node)->handle = dir.handle;
		assert_int_equal(tree_run(&client, of_dirs[i]), -EBADF);
	}
	assert_int_equal(tree_close(&client, &file), 0);
	assert_int_equal(tree_close(&client, &dir), 0);
}

static void a_temporary_file_may_get_a_name_once(void **state)
{
	struct tree_client client = {.tree = *state};
	const struct fs_tree_ops *ops = client.tree->ops;

	for (unsigned linkable = 0; linkable < 2; linkable++) {
		uint64_t node, handle;

		tree_begin(&client, FS_ROOT)->mode = S_IFREG | 0600;
		client.call.open_flags = O_RDWR | (linkable ? 0 : O_EXCL);
		assert_int_equal(tree_run(&client, ops->tmpfile), 0);
		node = client.call.entry.node;
		handle = client.call.new_handle;
		assert_int_equal(client.call.entry.attr.stx_nlink, 0);
		tree_begin(&client, node)->new_parent = FS_ROOT;
		client.call.new_name = "f";
		assert_int_equal(tree_run(&client, ops->link), linkable ? 0 : -ENOENT);
		if (linkable) {
			assert_int_equal(tree_unlink(&client, "f"), 0);
			tree_begin(&client, node)->new_parent = FS_ROOT;
			client.call.new_name = "f";
			assert_int_equal(tree_run(&client, ops->link), -ENOENT);
		}
		tree_begin(&client, node)->handle = handle;
		assert_int_equal(tree_run(&client, ops->release), 0);
		tree_forget(&client, node, 2);
	}
	assert_int_equal(file_count(&client), 0);
}

static void a_reset_leaves_files_and_nothing_else(void **state)
{
	struct tree_client client = {.tree = *state};
	struct tree_file file, gone, dir;
	uint64_t node;

	client.tree->ops->start(client.tree, FUSE_POSIX_LOCKS);
	assert_int_equal(tree_mkdir(&client, "d", 0755), 0);
	assert_int_equal(tree_open(&client, "d/f", O_CREAT | O_RDWR, 0600, &file), 0);
	assert_int_equal(tree_pwrite(&client, &file, "x", 1, 0), 1);
	assert_int_equal(tree_open(&client, "gone", O_CREAT | O_RDWR, 0600, &gone), 0);
	assert_int_equal(tree_pwrite(&client, &gone, "x", 1, 0), 1);
	assert_int_equal(tree_unlink(&client, "gone"), 0);
	assert_int_equal(tree_open(&client, "d", O_DIRECTORY, 0, &dir), 0);
	tree_begin(&client, file.node)->handle = file.handle;
	client.call.lock = (struct fs_lock){.end = 9, .type = F_WRLCK};
	client.call.lock_owner = 1;
	assert_int_equal(tree_run(&client, client.tree->ops->setlk), 0);

	client.tree->ops->reset(client.tree);
	client.tree->ops->start(client.tree, 0);
	assert_int_equal(getattr(&client, file.node), -ESTALE);
	assert_int_equal(tree_close(&client, &file), -ESTALE);
	assert_int_equal(file_count(&client), 2);
	assert_int_equal(used_pages(&client), 1);
	assert_int_equal(tree_walk(&client, "d/f", &node), 0);
	assert_int_equal(node, file.node);
	assert_int_equal(tree_open(&client, "d/f", O_RDWR, 0, &file), 0);
	tree_begin(&client, file.node)->handle = file.handle;
	client.call.lock = (struct fs_lock){.end = 9, .type = F_WRLCK};
	client.call.lock_owner = 2;
	assert_int_equal(tree_run(&client, client.tree->ops->setlk), 0);
}

static void dots_lead_up_to_the_root(void **state)
{
	struct tree_client client = {.tree = *state};
	fs_tree_op *lookup = client.tree->ops->lookup;
	uint64_t node;

	assert_int_equal(tree_mkdir(&client, "d", 0755), 0);
	assert_int_equal(tree_walk(&client, "d", &node), 0);
	assert_int_equal(tree_run_name(&client, lookup, node, "."), 0);
	assert_int_equal(client.call.entry.node, node);
	assert_int_equal(tree_run_name(&client, lookup, node, ".."), 0);
	assert_int_equal(client.call.entry.node, FS_ROOT);
	assert_int_equal(tree_run_name(&client, lookup, FS_ROOT, ".."), 0);
	assert_int_equal(client.call.entry.node, FS_ROOT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(ids_that_were_never_given_out_are_stale),
		TEST(what_was_forgotten_is_stale_until_it_is_looked_up),
		TEST(the_root_cannot_be_forgotten),
		TEST(a_file_without_a_name_lives_while_it_is_looked_up),
		TEST(an_open_file_without_a_name_can_be_read_and_written),
		TEST(a_directory_that_was_removed_takes_and_shows_nothing),
		TEST(what_a_rename_replaced_lives_while_it_is_open),
		TEST(handles_of_others_are_bad),
		TEST(a_temporary_file_may_get_a_name_once),
		TEST(a_reset_leaves_files_and_nothing_else),
		TEST(dots_lead_up_to_the_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
