/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree on a host directory does what the host's own calls do; each way of opening that it has.
 * Confinement, descriptors and credentials have tests of their own.
 */
#define _GNU_SOURCE /* RENAME_, SEEK_DATA, FALLOC_FL_ */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "devices/fs/fuse_wire.h"
#include "tests/support/dir_share.h"
#include "tests/support/tree_script.h"

static const unsigned ways[] = {0, FS_DIR_NO_OPENAT2, FS_DIR_NO_HANDLES, FS_DIR_EXCLUSIVE};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static struct dir_share share;

static void begin(unsigned flags)
{
	const struct fs_tree_dir_options options = {.flags = flags};

	share_begin(&share);
	share_serve(&share, &options);
}

#define OPS (share.client.tree->ops)

static void script(const struct script_step *steps, size_t count)
{
	for (unsigned way = 0; way < WAYS; way++) {
		begin(ways[way]);
		script_run(share.client.tree, steps, count);
		share_end(&share);
	}
}

#define SCRIPT(steps) script(steps, sizeof(steps) / sizeof((steps)[0]))

static void names_are_as_on_the_host(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},
		{ROOT, MKDIR, "d", NULL, 0755, 0, -EEXIST},
		{ROOT, MKDIR, "d/e", NULL, 01777, 0, 0},
		{ROOT, MKDIR, "none/e", NULL, 0755, 0, -ENOENT},
		{ROOT, CREATE, "d/f", NULL, O_RDWR, 0777, 0},
		{ROOT, CREATE, "d/f", NULL, O_RDWR, 0600, 0},
		{ROOT, CREATE, "d/f", NULL, O_RDWR | O_EXCL, 0600, -EEXIST},
		{ROOT, CREATE, "d/e", NULL, O_RDWR, 0600, -EISDIR},
		{ROOT, CREATE, "d/f/g", NULL, O_RDWR, 0600, -ENOTDIR},
		{ROOT, MKNOD, "d/p", NULL, S_IFIFO | 0666, 0, 0},
		{ROOT, MKNOD, "d/s", NULL, S_IFSOCK | 0666, 0, 0},
		{ROOT, MKNOD, "d/x", NULL, S_IFLNK | 0777, 0, -EINVAL},
		{ROOT, SYMLINK, "d/l", "somewhere/else", 0, 0, 0},
		{ROOT, SYMLINK, "d/l", "x", 0, 0, -EEXIST},
		{ROOT, READLINK, "d/l", NULL, 0, 0, 14},
		{ROOT, READLINK, "d/f", NULL, 0, 0, -EINVAL},
		{ROOT, OPEN, "d/l", NULL, O_RDONLY, 0, -ELOOP},
		{ROOT, CREATE, "d/l", NULL, O_RDONLY, 0600, -ELOOP},
		{ROOT, OPEN, "d/e", NULL, O_WRONLY, 0, -EISDIR},
		{ROOT, OPEN, "d/f", NULL, O_DIRECTORY, 0, -ENOTDIR},
		{ROOT, OPENDIR, "d/f", NULL, 0, 0, -ENOTDIR},
		{ROOT, OPENDIR, "d/e", NULL, 0, 0, 0},
		{ROOT, STAT, "d/nothing", NULL, 0, 0, -ENOENT},
		{ROOT, WRITE, "d/f", NULL, 0, 5000, 0},
		{ROOT, WRITE, "d/f", NULL, O_APPEND, 60, 0},
		{ROOT, WRITE, "d/f", NULL, O_TRUNC, 10, 0},
		{ROOT, LINK, "d/f", "g", 0, 0, 0},
		{ROOT, LINK, "d", "x", 0, 0, -EPERM},
		{ROOT, LINK, "d/l", "l2", 0, 0, 0},
		{ROOT, UNLINK, "d/f", NULL, 0, 0, 0},
		{ROOT, UNLINK, "d", NULL, 0, 0, -EISDIR},
		{ROOT, RMDIR, "g", NULL, 0, 0, -ENOTDIR},
		{ROOT, RMDIR, "d", NULL, 0, 0, -ENOTEMPTY},
		{ROOT, RMDIR, "d/e", NULL, 0, 0, 0},
		{ROOT, TMPFILE, "d", "named", O_RDWR, 0640, 0},
		{ROOT, TMPFILE, "d", "never", O_RDWR | O_EXCL, 0640, -ENOENT},
	};

	(void)state;
	SCRIPT(steps);
}

static void renames_are_as_on_the_host(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ROOT, CREATE, "g", NULL, O_RDWR, 0600, 0},
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},
		{ROOT, MKDIR, "e", NULL, 0700, 0, 0},
		{ROOT, MKNOD, "d/p", NULL, S_IFIFO | 0666, 0, 0},
		{ROOT, RENAME, "nothing", "h", 0, 0, -ENOENT},
		{ROOT, RENAME, "f", "h", 0, 0, 0},
		{ROOT, RENAME, "h", "g", 0, 0, 0},
		{ROOT, RENAME, "g", "e/f", 0, 0, 0},
		{ROOT, RENAME, "d", "d", 0, 0, 0},
		{ROOT, RENAME, "e", "d", 0, 0, -ENOTEMPTY},
		{ROOT, RENAME, "e/f", "d", 0, 0, -EISDIR},
		{ROOT, RENAME, "d", "d/x", 0, 0, -EINVAL},
		{ROOT, RENAME, "e/f", "d/p", RENAME_NOREPLACE, 0, -EEXIST},
		{ROOT, RENAME, "e/f", "d/p", RENAME_EXCHANGE, 0, 0},
		{ROOT, RENAME, "e/f", "nothing", RENAME_EXCHANGE, 0, -ENOENT},
		{ROOT, RENAME, "e/f", "p2", 0, 0, 0},
		{ROOT, RENAME, "d/p", "p2", 0, 0, 0},
		{ROOT, RENAME, "p2", "e/last", 0, 0, 0},
		{ROOT, RENAME, "e", "d/e", 0, 0, 0},
		{ROOT, LINK, "d/e/last", "twin", 0, 0, 0},
		{ROOT, RENAME, "twin", "d/e/last", 0, 0, 0},
		{ROOT, STAT, "twin", NULL, 0, 0, 0},
	};

	(void)state;
	SCRIPT(steps);
}

static void attributes_are_as_on_the_host(void **state)
{
	static const struct script_step steps[] = {
		{ROOT, CREATE, "f", NULL, O_RDWR, 0644, 0},
		{ROOT, SYMLINK, "l", "f", 0, 0, 0},
		{ROOT, MKDIR, "d", NULL, 0755, 0, 0},
		{ROOT, CHMOD, "f", NULL, 0600, 0, 0},
		{ROOT, CHMOD, "d", NULL, 01777, 0, 0},
		{ROOT, TRUNCATE, "f", NULL, 100, 0, 0},
		{ROOT, FTRUNCATE, "f", NULL, 50, O_RDWR, 0},
		{ROOT, TRUNCATE, "d", NULL, 100, 0, -EISDIR},
		{ROOT, UTIMES, "f", NULL, 1000, 2000, 0},
		{ROOT, UTIMES, "l", NULL, 1000, KEEP, 0},
		{ROOT, UTIMES, "d", NULL, NOW, NOW, 0},
		{ROOT, SETXATTR, "f", "user.a", 0, 10, 0},
		{ROOT, SETXATTR, "f", "user.a", XATTR_CREATE, 10, -EEXIST},
		{ROOT, SETXATTR, "f", "user.b", XATTR_REPLACE, 10, -ENODATA},
		{ROOT, GETXATTR, "f", "user.a", 0, 0, 10},
		{ROOT, GETXATTR, "f", "user.a", 9, 0, -ERANGE},
		{ROOT, GETXATTR, "f", "user.a", 10, 0, 10},
		{ROOT, GETXATTR, "f", "user.none", 10, 0, -ENODATA},
		{ROOT, SETXATTR, "l", "user.a", 0, 1, -EPERM},
		{ROOT, REMOVEXATTR, "f", "user.a", 0, 0, 0},
		{ROOT, REMOVEXATTR, "f", "user.a", 0, 0, -ENODATA},
	};

	(void)state;
	SCRIPT(steps);
}

static int64_t run_file(struct tree_file *file, fs_tree_op *op)
{
	share.client.call.handle = file->handle;
	share.client.call.node = file->node;
	return tree_run(&share.client, op);
}

static void data_of_any_framing_arrives(void **state)
{
	enum { PARTS = 2 * IOV_MAX + 7 };
	static uint8_t out[PARTS * 3], in[PARTS * 3];
	static struct iovec iov[PARTS];
	struct tree_file file;

	(void)state;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	for (unsigned way = 0; way < WAYS; way++) {
		struct tree_client *client = &share.client;

		begin(ways[way]);
		assert_int_equal(tree_open(client, "f", O_CREAT | O_RDWR, 0644, &file), 0);
		for (unsigned write = 2; write-- > 0;) {
			for (unsigned i = 0; i < PARTS; i++)
				iov[i] = (struct iovec){(write ? out : in) + i * 3, 3};
			tree_begin(client, file.node)->data =
				iov_window(iov, PARTS, 1, sizeof(out) - 1);
			client->call.offset = 5;
			assert_int_equal(run_file(&file, write ? OPS->write : OPS->read), 0);
			assert_int_equal(client->call.count, sizeof(out) - 1);
		}
		assert_memory_equal(in + 1, out + 1, sizeof(out) - 1);
		assert_int_equal(tree_pread(client, &file, in, 100, 5 + sizeof(out) - 11), 10);
		assert_int_equal(tree_pread(client, &file, in, 100, 1 << 20), 0);
		assert_int_equal(tree_close(client, &file), 0);
		share_end(&share);
	}
}

static void appends_go_where_the_file_ends(void **state)
{
	struct tree_client *client = &share.client;
	struct tree_file file;
	char bytes[16];

	(void)state;
	begin(0);
	share_write("share/f", "start");
	assert_int_equal(tree_open(client, "f", O_RDWR | O_APPEND, 0, &file), 0);
	share_write("share/f", "longer start");
	assert_int_equal(tree_pwrite(client, &file, "!", 1, 5), 1);
	tree_begin(client, file.node)->open_flags = O_RDWR | O_APPEND;
	client->call.flags = FS_WRITE_CACHE;
	tree_data(client, "L", 1);
	assert_int_equal(run_file(&file, OPS->write), 0);
	assert_int_equal(tree_pread(client, &file, bytes, sizeof(bytes), 0), 13);
	assert_memory_equal(bytes, "Longer start!", 13);
	assert_int_equal(tree_close(client, &file), 0);
	share_end(&share);
}

static void the_rest_of_data_is_passed_on(void **state)
{
	struct tree_client *client = &share.client;
	struct tree_file file, copy;
	char bytes[8];

	(void)state;
	begin(0);
	assert_int_equal(tree_open(client, "f", O_CREAT | O_RDWR, 0644, &file), 0);
	assert_int_equal(tree_open(client, "g", O_CREAT | O_RDWR, 0644, &copy), 0);
	assert_int_equal(tree_pwrite(client, &file, "text", 4, 1 << 20), 4);
	tree_begin(client, file.node)->whence = SEEK_DATA;
	assert_int_equal(run_file(&file, OPS->lseek), 0);
	assert_in_range(client->call.count, 1, 1 << 20);
	tree_begin(client, file.node)->size = 4;
	client->call.offset = 1 << 20;
	client->call.target_node = copy.node;
	client->call.target_handle = copy.handle;
	client->call.target_offset = 3;
	assert_int_equal(run_file(&file, OPS->copy_file_range), 0);
	assert_int_equal(client->call.count, 4);
	assert_int_equal(tree_pread(client, &copy, bytes, sizeof(bytes), 0), 7);
	assert_memory_equal(bytes, "\0\0\0text", 7);
	tree_begin(client, copy.node)->size = 1 << 16;
	client->call.fallocate_mode = FALLOC_FL_KEEP_SIZE;
	assert_int_equal(run_file(&copy, OPS->fallocate), 0);
	tree_begin(client, copy.node)->flags = FS_DATASYNC;
	assert_int_equal(run_file(&copy, OPS->fsync), 0);
	tree_begin(client, copy.node);
	assert_int_equal(run_file(&copy, OPS->syncfs), 0);
	assert_int_equal(run_file(&copy, OPS->statfs), 0);
	assert_true(client->call.statvfs.f_blocks > 0);
	assert_int_equal(tree_close(client, &file) + tree_close(client, &copy), 0);
	share_end(&share);
}

/* Handles of other kinds, of other nodes, and closed ones. */
static void wrong_handles_are_refused(void **state)
{
	struct tree_client *client = &share.client;
	struct tree_file file, dir, other;

	(void)state;
	begin(0);
	assert_int_equal(tree_mkdir(client, "d", 0755), 0);
	assert_int_equal(tree_open(client, "f", O_CREAT | O_RDWR, 0644, &file), 0);
	assert_int_equal(tree_open(client, "g", O_CREAT | O_RDWR, 0644, &other), 0);
	assert_int_equal(tree_open(client, "d", O_DIRECTORY, 0, &dir), 0);
	fs_tree_op *const ops[] = {
		OPS->read,      OPS->write, OPS->fsync, OPS->flush,           OPS->lseek,
		OPS->fallocate, OPS->getlk, OPS->setlk, OPS->copy_file_range, OPS->release};
	const struct tree_file wrong[] = {
		{dir.node, dir.handle, 0}, {file.node, other.handle, 0}, {file.node, 0, 0},
		{file.node, 3, 0},         {file.node, UINT64_MAX, 0},
	};

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		for (unsigned j = 0; j < sizeof(wrong) / sizeof(wrong[0]); j++) {
			tree_begin(client, wrong[j].node)->handle = wrong[j].handle;
			if (wrong[j].handle == file.handle)
				continue;
			assert_int_equal(tree_run(client, ops[i]), -EBADF);
		}
	}
	tree_begin(client, file.node);
	assert_int_equal(run_file(&file, OPS->readdir), -EBADF);
	assert_int_equal(run_file(&file, OPS->releasedir), -EBADF);
	assert_int_equal(run_file(&file, OPS->fsyncdir), -EBADF);
	assert_int_equal(tree_close(client, &file) + tree_close(client, &other), 0);
	tree_begin(client, file.node);
	assert_int_equal(run_file(&file, OPS->release), -EBADF);
	assert_int_equal(tree_close(client, &dir), 0);
	share_end(&share);
}

static void nothing_changes_what_is_read_only(void **state)
{
	struct tree_client *client = &share.client;
	static const struct statx attr = {.stx_mode = 0600};
	struct tree_file file;
	struct fs_tree_limits limits;
	char bytes[8];

	(void)state;
	share_begin(&share);
	share_write("share/f", "text");
	share_serve(&share, &(struct fs_tree_dir_options){.flags = FS_DIR_READ_ONLY});
	OPS->limits(client->tree, &limits);
	assert_true(limits.read_only);
	assert_int_equal(tree_open(client, "f", O_RDWR, 0, &file), -EROFS);
	assert_int_equal(tree_open(client, "f", O_RDONLY | O_TRUNC, 0, &file), -EROFS);
	assert_int_equal(tree_open(client, "g", O_CREAT | O_RDONLY, 0644, &file), -EROFS);
	assert_int_equal(tree_mkdir(client, "d", 0755), -EROFS);
	assert_int_equal(tree_mknod(client, "p", S_IFIFO | 0644, 0, 0), -EROFS);
	assert_int_equal(tree_symlink(client, "x", "l"), -EROFS);
	assert_int_equal(tree_link(client, "f", "g"), -EROFS);
	assert_int_equal(tree_unlink(client, "f"), -EROFS);
	assert_int_equal(tree_rmdir(client, "f"), -EROFS);
	assert_int_equal(tree_rename(client, "f", "g", 0), -EROFS);
	assert_int_equal(tree_setattr(client, "f", FS_SET_MODE, &attr), -EROFS);
	assert_int_equal(tree_setxattr(client, "f", "user.a", "v", 1, 0), -EROFS);
	assert_int_equal(tree_removexattr(client, "f", "user.a"), -EROFS);
	assert_int_equal(tree_access(client, "f", W_OK), -EROFS);
	tree_begin(client, FS_ROOT)->open_flags = O_RDWR;
	assert_int_equal(tree_run(client, OPS->tmpfile), -EROFS);
	assert_int_equal(tree_open(client, "f", O_RDONLY, 0, &file), 0);
	assert_int_equal(tree_pread(client, &file, bytes, sizeof(bytes), 0), 4);
	assert_int_equal(tree_pwrite(client, &file, bytes, 1, 0), -EBADF);
	assert_int_equal(tree_close(client, &file), 0);
	share_end(&share);
}

static void without_xattrs_the_guest_does_not_ask_again(void **state)
{
	struct tree_client *client = &share.client;
	char bytes[8];

	(void)state;
	begin(FS_DIR_NO_XATTR);
	assert_int_equal(tree_setxattr(client, "", "user.a", "v", 1, 0), -ENOSYS);
	assert_int_equal(tree_getxattr(client, "", "user.a", bytes, 8), -ENOSYS);
	assert_int_equal(tree_listxattr(client, "", bytes, 8), -ENOSYS);
	assert_int_equal(tree_removexattr(client, "", "user.a"), -ENOSYS);
	share_end(&share);
}

static void ids_of_the_past_are_stale(void **state)
{
	struct tree_client *client = &share.client;
	uint64_t node;

	(void)state;
	begin(0);
	share_write("share/f", "");
	assert_int_equal(tree_walk(client, "f", &node), 0);
	tree_forget(client, FS_ROOT, UINT64_MAX);
	tree_forget(client, node, 0);
	tree_begin(client, node);
	assert_int_equal(tree_run(client, OPS->getattr), 0);
	tree_forget(client, node, UINT64_MAX);
	assert_int_equal(tree_run(client, OPS->getattr), -ESTALE);
	tree_forget(client, node, 1);
	tree_begin(client, 0);
	assert_int_equal(tree_run(client, OPS->getattr), -ESTALE);
	assert_int_equal(tree_walk(client, "f", &node), 0);
	OPS->reset(client->tree);
	tree_begin(client, node);
	assert_int_equal(tree_run(client, OPS->getattr), -ESTALE);
	assert_int_equal(tree_walk(client, "f", &node), 0);
	share_end(&share);
}

static void on_an_overlay_files_stay_what_they_are(void **state)
{
	struct tree_client *client = &share.client;
	struct tree_file file;
	uint64_t node, same;
	char bytes[8];

	(void)state;
	share_need_mounts();
	share_begin(&share);
	assert_int_equal(mkdir("lower", 0755) + mkdir("upper", 0755) + mkdir("work", 0755), 0);
	share_write("lower/f", "low");
	if (mount("overlay", "share", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") !=
	    0) {
		share_end(&share);
		skip();
	}
	share_serve(&share, NULL);
	assert_int_equal(tree_walk(client, "f", &node), 0);
	assert_int_equal(tree_open(client, "f", O_RDWR, 0, &file), 0);
	assert_int_equal(tree_pwrite(client, &file, "up", 2, 0), 2);
	assert_int_equal(tree_close(client, &file), 0);
	assert_int_equal(tree_walk(client, "f", &same), 0);
	assert_int_equal(same, node);
	assert_int_equal(tree_open(client, "f", O_RDONLY, 0, &file), 0);
	assert_int_equal(tree_pread(client, &file, bytes, 8, 0), 3);
	assert_memory_equal(bytes, "upw", 3);
	assert_int_equal(tree_close(client, &file), 0);
	assert_int_equal(tree_rename(client, "f", "g", 0) + tree_unlink(client, "g"), 0);
	tree_begin(client, node);
	assert_int_equal(tree_run(client, OPS->getattr), 0);
	OPS->destroy(client->tree);
	client->tree = NULL;
	assert_int_equal(umount("share"), 0);
	share_end(&share);
}

static void what_cannot_be_shared_is_said(void **state)
{
	struct fs_tree *tree;

	(void)state;
	share_begin(&share);
	assert_int_equal(fs_tree_dir_create(&tree, "none", NULL), -ENOENT);
	assert_int_equal(fs_tree_dir_create(&tree, "outside/canary", NULL), -ENOTDIR);
	assert_int_equal(
		fs_tree_dir_create(&tree, "share", &(struct fs_tree_dir_options){.fd_max = 31}),
		-EINVAL);
	share_end(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_as_on_the_host),
		cmocka_unit_test(renames_are_as_on_the_host),
		cmocka_unit_test(attributes_are_as_on_the_host),
		cmocka_unit_test(data_of_any_framing_arrives),
		cmocka_unit_test(appends_go_where_the_file_ends),
		cmocka_unit_test(the_rest_of_data_is_passed_on),
		cmocka_unit_test(wrong_handles_are_refused),
		cmocka_unit_test(nothing_changes_what_is_read_only),
		cmocka_unit_test(without_xattrs_the_guest_does_not_ask_again),
		cmocka_unit_test(ids_of_the_past_are_stale),
		cmocka_unit_test(on_an_overlay_files_stay_what_they_are),
		cmocka_unit_test(what_cannot_be_shared_is_said),
	};

	return SHARE_RUN(tests);
}
