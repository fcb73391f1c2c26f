/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file-system device on a directory, in the sandbox: every kind of request does its work there,
 * so that no system call that a tree makes is missing on the list, and no capability.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/support/fs_bench.h"
#include "tests/support/walled.h"

#define MANY 200u

static struct vqsim_fs *fs;
static unsigned steps;

/* The number of the step that went wrong is the exit status. */
static void expect(int64_t wanted, int64_t got)
{
	steps++;
	if (got == wanted)
		return;
	dprintf(2, "step %u: %lld, not %lld\n", steps, (long long)got, (long long)wanted);
	_exit(steps < 199 ? (int)steps : 199);
}

/* Some of what a host may not have in its file system is optional. */
static void expect_if_supported(int64_t wanted, int64_t got)
{
	expect(wanted, got == -EOPNOTSUPP || got == -ENOTSUP ? wanted : got);
}

static void make_files(void)
{
	struct fuse_entry_out entry, dir;
	char target[16];

	expect(0, vqsim_fs_mkdir(fs, FS_ROOT, "d", 0755, NULL));
	expect(0, vqsim_fs_mknod(fs, FS_ROOT, "fifo", S_IFIFO | 0600, 0, NULL));
	expect(0, vqsim_fs_symlink(fs, FS_ROOT, "s", "d", &entry));
	expect(1, vqsim_fs_readlink(fs, entry.nodeid, target, sizeof(target)));
	expect(0, vqsim_fs_mknod(fs, FS_ROOT, "f", S_IFREG | 0644, 0, &entry));
	expect(0, vqsim_fs_link(fs, entry.nodeid, FS_ROOT, "g", NULL));
	expect(0, vqsim_fs_rename(fs, FS_ROOT, "g", FS_ROOT, "h"));
	expect(0, vqsim_fs_rename2(fs, FS_ROOT, "h", FS_ROOT, "d", RENAME_EXCHANGE));
	expect(0, vqsim_fs_unlink(fs, FS_ROOT, "d"));
	expect(0, vqsim_fs_rmdir(fs, FS_ROOT, "h"));
	expect(0, vqsim_fs_mkdir(fs, FS_ROOT, "e", 0755, &dir));
	expect(0, vqsim_fs_rename(fs, FS_ROOT, "f", dir.nodeid, "f"));
	expect(0, vqsim_fs_link(fs, entry.nodeid, FS_ROOT, "f", NULL));
	expect(-ENOENT, vqsim_fs_lookup(fs, FS_ROOT, "h", NULL));
	expect(0, vqsim_fs_access(fs, entry.nodeid, R_OK | W_OK));
}

static void change_attributes(void)
{
	struct fuse_setattr_in set = {.valid = FATTR_MODE | FATTR_SIZE | FATTR_ATIME | FATTR_MTIME,
				      .mode = 0600,
				      .size = 1000,
				      .atime = 1,
				      .mtime = 2};
	struct fuse_entry_out entry;
	struct fuse_kstatfs statfs;
	struct fuse_statx statx;
	struct fuse_attr attr;
	char list[256];

	expect(0, vqsim_fs_lookup(fs, FS_ROOT, "f", &entry));
	expect(0, vqsim_fs_setattr(fs, entry.nodeid, &set, &attr));
	expect(0, vqsim_fs_getattr(fs, entry.nodeid, NULL, &attr));
	expect(2, (int64_t)attr.mtime);
	expect(0, vqsim_fs_statx(fs, entry.nodeid, 0xfff, &statx));
	expect(0, vqsim_fs_statfs(fs, FS_ROOT, &statfs));
	expect_if_supported(0, vqsim_fs_setxattr(fs, entry.nodeid, "user.x", "abc", 3, 0));
	expect_if_supported(3, vqsim_fs_getxattr(fs, entry.nodeid, "user.x", list, sizeof(list)));
	expect_if_supported(7, vqsim_fs_listxattr(fs, entry.nodeid, list, sizeof(list)));
	expect_if_supported(0, vqsim_fs_removexattr(fs, entry.nodeid, "user.x"));
}

static void move_data(void)
{
	struct vqsim_fs_file a, b, t;
	char data[4096] = "data";

	expect(0, vqsim_fs_create(fs, FS_ROOT, "a", O_RDWR, 0600, &a));
	expect(0, vqsim_fs_create(fs, FS_ROOT, "b", O_RDWR, 0600, &b));
	expect_if_supported(0, vqsim_fs_tmpfile(fs, FS_ROOT, O_RDWR, 0600, &t));
	expect(sizeof(data), vqsim_fs_write(fs, &a, 0, data, sizeof(data)));
	expect(sizeof(data), vqsim_fs_read(fs, &a, 0, data, sizeof(data)));
	expect(sizeof(data), vqsim_fs_copy_file_range(fs, &a, 0, &b, 0, sizeof(data)));
	expect_if_supported(0, vqsim_fs_fallocate(fs, &a, 0, 0, 65536));
	expect_if_supported(
		0, vqsim_fs_fallocate(fs, &a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	expect(0, vqsim_fs_lseek(fs, &b, 0, SEEK_DATA));
	expect(0, vqsim_fs_flush(fs, &a, 1));
	expect(0, vqsim_fs_fsync(fs, &a, false));
	expect(0, vqsim_fs_fsync(fs, &a, true));
	expect(0, vqsim_fs_syncfs(fs, FS_ROOT));
	expect(0, vqsim_fs_release(fs, &b));
	expect(0, vqsim_fs_open(fs, b.node, O_RDONLY, &b));
}

static void take_locks(void)
{
	struct fuse_file_lock lock = {.start = 0, .end = 9, .type = F_WRLCK, .pid = 1};
	struct fuse_file_lock asked = lock;
	struct vqsim_fs_file a;

	expect(0, vqsim_fs_create(fs, FS_ROOT, "locked", O_RDWR, 0600, &a));
	expect(0, vqsim_fs_setlk(fs, &a, 1, &lock, 0));
	expect(0, vqsim_fs_getlk(fs, &a, 2, &asked));
	expect(F_WRLCK, asked.type);
	expect(-EAGAIN, vqsim_fs_setlk(fs, &a, 2, &lock, 0));
	expect(0, vqsim_fs_setlk(fs, &a, 1, &lock, FUSE_LK_FLOCK));
	lock.type = F_UNLCK;
	expect(0, vqsim_fs_setlkw(fs, &a, 1, &lock, 0));
	expect(0, vqsim_fs_release(fs, &a));
}

static void list_directory(void)
{
	struct vqsim_fs_dirents dirents;
	struct vqsim_fs_file dir;
	char buffer[4096];

	expect(0, vqsim_fs_opendir(fs, FS_ROOT, &dir));
	expect(1, vqsim_fs_readdir(fs, &dir, 0, buffer, sizeof(buffer), &dirents) > 0);
	expect(1, vqsim_fs_readdirplus(fs, &dir, 0, buffer, sizeof(buffer), &dirents) > 0);
	expect(0, vqsim_fs_fsyncdir(fs, &dir, false));
	expect(0, vqsim_fs_releasedir(fs, &dir));
}

/* Far more than it may have descriptors: each is found again, by its handle or its names. */
static void find_files_again(void)
{
	struct fuse_entry_out entries[MANY], dir;
	char name[16];

	expect(0, vqsim_fs_mkdir(fs, FS_ROOT, "many", 0755, &dir));
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%u", i);
		expect(0, vqsim_fs_mknod(fs, dir.nodeid, name, S_IFREG | 0600, 0, &entries[i]));
	}
	expect(0, vqsim_fs_rename(fs, FS_ROOT, "many", FS_ROOT, "more"));
	for (unsigned i = 0; i < MANY; i++)
		expect(0, vqsim_fs_access(fs, entries[i].nodeid, R_OK));
}

static int all_of_it(const char *directory)
{
	(void)directory;
	make_files();
	change_attributes();
	move_data();
	take_locks();
	list_directory();
	steps = 100;
	find_files_again();
	return 0;
}

/* What only a privileged tree can: act for others. */
static int as_others(const char *directory)
{
	struct fuse_setattr_in give = {.valid = FATTR_UID | FATTR_GID | FATTR_MODE,
				       .uid = 1001,
				       .gid = 1002,
				       .mode = 04755};
	struct fuse_entry_out entry;
	struct fuse_attr attr;

	(void)directory;
	expect(0, vqsim_fs_mknod(fs, FS_ROOT, "null", S_IFCHR | 0600, makedev(1, 3), NULL));
	expect(0, vqsim_fs_mkdir(fs, FS_ROOT, "home", 0700, &entry));
	give.mode = 0700;
	expect(0, vqsim_fs_setattr(fs, entry.nodeid, &give, &attr));
	fs->uid = 1001;
	fs->gid = 1002;
	expect(0, vqsim_fs_mknod(fs, entry.nodeid, "own", S_IFREG | 0600, 0, &entry));
	expect(1001, entry.attr.uid);
	expect(1002, entry.attr.gid);
	fs->uid = 1003;
	expect(-EACCES, vqsim_fs_access(fs, entry.nodeid, R_OK));
	fs->uid = 0;
	fs->gid = 0;
	give.mode = 04755;
	expect(0, vqsim_fs_setattr(fs, entry.nodeid, &give, &attr));
	expect(S_IFREG | 04755, attr.mode);
	expect(-EPERM, vqsim_fs_setxattr(fs, entry.nodeid, "trusted.x", "1", 1, 0));
	return 0;
}

static int make_device(const char *directory)
{
	const struct fs_tree_dir_options few = {.fd_max = 40};
	struct fs_bench_options options = {.data_room = 8192};
	struct fs_bench *bench;

	if (fs_tree_dir_create(&options.tree, directory, &few) != 0)
		return 1;
	bench = fs_bench_create(&options);
	fs = &bench->fs;
	fs->uid = geteuid();
	fs->gid = getegid();
	return 0;
}

static char shared[64];

static int set_up(void **state)
{
	(void)state;
	walled_make_directory(shared);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	walled_remove_directory(shared);
	return 0;
}

static void every_request_does_its_work(void **state)
{
	struct walled walled = {.directory = shared, .before = make_device, .act = all_of_it};

	(void)state;
	assert_int_equal(walled_run(&walled), 0);
}

static void so_it_does_for_an_ordinary_user(void **state)
{
	struct walled walled = {
		.directory = shared, .nobody = true, .before = make_device, .act = all_of_it};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(walled_run(&walled), 0);
}

static void root_acts_for_others(void **state)
{
	struct walled walled = {.directory = shared, .before = make_device, .act = as_others};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(walled_run(&walled), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_request_does_its_work, set_up, tear_down),
		cmocka_unit_test_setup_teardown(so_it_does_for_an_ordinary_user, set_up, tear_down),
		cmocka_unit_test_setup_teardown(root_acts_for_others, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("sandbox_tree", tests, NULL, NULL);
}
