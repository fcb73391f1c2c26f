/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file-system driver on a tree in memory: every call once, in both byte orders and on both
 * ring formats, and its ledger.
 */
#define _GNU_SOURCE /* RENAME_*, SEEK_DATA */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/bench.h"
#include "tests/support/fs_bench.h"

#define ROOT FUSE_ROOT_ID

/* The four worlds in which everything must be alike. */
static struct fs_bench *world(unsigned number)
{
	struct fs_bench *bench = fs_bench_create(&(struct fs_bench_options){
		.swapped = number & 1, .packed = number & 2, .request_queues = 2});

	bench->fs.indirect = number & 2;
	return bench;
}

#define FOR_EACH_WORLD(bench)                                                  \
	for (unsigned world_ = 0; world_ < 4; world_++)                        \
		for (struct fs_bench *bench = world(world_); bench; /* once */ \
		     fs_bench_destroy(bench), bench = NULL)

static void init_agrees_on_a_session(void **state)
{
	(void)state;
	FOR_EACH_WORLD(bench)
	{
		assert_int_equal(bench->fs.minor, 45);
		assert_true(bench->fs.flags & FUSE_BIG_WRITES);
		assert_int_equal(bench->fs.max_write, 1 << 20);
		assert_int_equal(vqsim_fs_begin(&bench->fs, 27, FUSE_BIG_WRITES), 0);
		assert_int_equal(bench->fs.minor, 27);
		assert_int_equal(bench->fs.flags, FUSE_BIG_WRITES);
		assert_int_equal(vqsim_fs_begin(&bench->fs, 26, 0), -EPROTO);
	}
}

static void make_names(struct vqsim_fs *fs, struct fuse_entry_out *dir)
{
	struct fuse_entry_out entry;

	assert_int_equal(vqsim_fs_mkdir(fs, ROOT, "dir", 0755, dir), 0);
	assert_true(S_ISDIR(dir->attr.mode));
	assert_int_equal(vqsim_fs_mknod(fs, dir->nodeid, "fifo", S_IFIFO | 0600, 0, &entry), 0);
	assert_true(S_ISFIFO(entry.attr.mode));
	assert_int_equal(vqsim_fs_mknod(fs, dir->nodeid, "file", S_IFREG | 0640, 0, &entry), 0);
	assert_int_equal(entry.attr.mode, S_IFREG | 0640);
	assert_int_equal(vqsim_fs_link(fs, entry.nodeid, dir->nodeid, "hard", &entry), 0);
	assert_int_equal(entry.attr.nlink, 2);
	assert_int_equal(vqsim_fs_symlink(fs, dir->nodeid, "soft", "some/where", &entry), 0);
	assert_true(S_ISLNK(entry.attr.mode));
}

static void names_come_and_go(void **state)
{
	struct fuse_entry_out dir, entry;
	char target[64];

	(void)state;
	FOR_EACH_WORLD(bench)
	{
		struct vqsim_fs *fs = &bench->fs;

		make_names(fs, &dir);
		assert_int_equal(vqsim_fs_lookup(fs, dir.nodeid, "soft", &entry), 0);
		assert_int_equal(vqsim_fs_readlink(fs, entry.nodeid, target, sizeof(target)), 10);
		assert_memory_equal(target, "some/where", 10);
		assert_int_equal(vqsim_fs_rename(fs, dir.nodeid, "fifo", ROOT, "pipe"), 0);
		assert_int_equal(
			vqsim_fs_rename2(fs, ROOT, "pipe", dir.nodeid, "hard", RENAME_NOREPLACE),
			-EEXIST);
		assert_int_equal(
			vqsim_fs_rename2(fs, ROOT, "pipe", dir.nodeid, "hard", RENAME_EXCHANGE), 0);
		assert_int_equal(vqsim_fs_unlink(fs, ROOT, "pipe"), 0);
		assert_int_equal(vqsim_fs_rmdir(fs, ROOT, "dir"), -ENOTEMPTY);
		assert_int_equal(vqsim_fs_unlink(fs, dir.nodeid, "hard"), 0);
		assert_int_equal(vqsim_fs_unlink(fs, dir.nodeid, "soft"), 0);
		assert_int_equal(vqsim_fs_unlink(fs, dir.nodeid, "file"), 0);
		assert_int_equal(vqsim_fs_rmdir(fs, ROOT, "dir"), 0);
		assert_int_equal(vqsim_fs_lookup(fs, ROOT, "dir", &entry), -ENOENT);
		assert_int_equal(vqsim_fs_forget_all(fs), 0);
	}
}

static void use_data(struct vqsim_fs *fs, const struct vqsim_fs_file *file)
{
	char data[16] = "";

	assert_int_equal(vqsim_fs_write(fs, file, 0, "0123456789", 10), 10);
	assert_int_equal(vqsim_fs_read(fs, file, 4, data, sizeof(data)), 6);
	assert_memory_equal(data, "456789", 6);
	assert_int_equal(vqsim_fs_fallocate(fs, file, 0, 0, 4096), 0);
	assert_int_equal(vqsim_fs_lseek(fs, file, 0, SEEK_DATA), 0);
	assert_int_equal(vqsim_fs_copy_file_range(fs, file, 0, file, 100, 5), 5);
	assert_int_equal(vqsim_fs_read(fs, file, 100, data, 5), 5);
	assert_memory_equal(data, "01234", 5);
	assert_int_equal(vqsim_fs_fsync(fs, file, true), 0);
	assert_int_equal(vqsim_fs_flush(fs, file, 1), 0);
	assert_int_equal(vqsim_fs_syncfs(fs, file->node), 0);
}

static void files_hold_data(void **state)
{
	struct vqsim_fs_file file, nameless, again;

	(void)state;
	FOR_EACH_WORLD(bench)
	{
		struct vqsim_fs *fs = &bench->fs;

		assert_int_equal(vqsim_fs_create(fs, ROOT, "file", O_RDWR | O_EXCL, 0600, &file),
				 0);
		use_data(fs, &file);
		assert_int_equal(vqsim_fs_open(fs, file.node, O_RDONLY, &again), 0);
		assert_int_equal(vqsim_fs_write(fs, &again, 0, "x", 1), -EBADF);
		assert_int_equal(vqsim_fs_release(fs, &again), 0);
		assert_int_equal(vqsim_fs_tmpfile(fs, ROOT, O_RDWR, 0600, &nameless), 0);
		use_data(fs, &nameless);
		assert_int_equal(vqsim_fs_handles_total(fs), 2);
		assert_int_equal(vqsim_fs_release(fs, &nameless), 0);
		assert_int_equal(vqsim_fs_release(fs, &file), 0);
		assert_int_equal(vqsim_fs_handles_total(fs), 0);
		assert_int_equal(vqsim_fs_forget_all(fs), 0);
	}
}

static void attributes_are_told_and_set(void **state)
{
	struct fuse_setattr_in set = {
		.valid = FATTR_MODE | FATTR_MTIME, .mode = 0604, .mtime = 77, .mtimensec = 5};
	struct vqsim_fs_file file;
	struct fuse_kstatfs statfs;
	struct fuse_statx statx;
	struct fuse_attr attr;

	(void)state;
	FOR_EACH_WORLD(bench)
	{
		struct vqsim_fs *fs = &bench->fs;

		assert_int_equal(vqsim_fs_create(fs, ROOT, "file", O_RDWR, 0600, &file), 0);
		assert_int_equal(vqsim_fs_setattr(fs, file.node, &set, &attr), 0);
		assert_int_equal(attr.mode, S_IFREG | 0604);
		assert_int_equal(vqsim_fs_getattr(fs, file.node, &file, &attr), 0);
		assert_int_equal(attr.mtime, 77);
		assert_int_equal(attr.mtimensec, 5);
		assert_int_equal(vqsim_fs_statx(fs, file.node, 0x7ff, &statx), 0);
		assert_int_equal(statx.mode, S_IFREG | 0604);
		assert_int_equal(statx.mtime.tv_sec, 77);
		assert_int_equal(statx.ino, attr.ino);
		assert_int_equal(vqsim_fs_statfs(fs, file.node, &statfs), 0);
		assert_int_equal(statfs.namelen, 255);
		assert_int_equal(vqsim_fs_access(fs, file.node, R_OK), 0);
		assert_int_equal(vqsim_fs_release(fs, &file), 0);
		assert_int_equal(vqsim_fs_forget_all(fs), 0);
	}
}

static void extended_attributes_are_kept(void **state)
{
	char value[16];

	(void)state;
	FOR_EACH_WORLD(bench)
	{
		struct vqsim_fs *fs = &bench->fs;

		assert_int_equal(vqsim_fs_setxattr(fs, ROOT, "user.a", "abc", 3, 0), 0);
		assert_int_equal(vqsim_fs_setxattr(fs, ROOT, "user.a", "abc", 3, XATTR_CREATE),
				 -EEXIST);
		assert_int_equal(vqsim_fs_getxattr(fs, ROOT, "user.a", NULL, 0), 3);
		assert_int_equal(vqsim_fs_getxattr(fs, ROOT, "user.a", value, 2), -ERANGE);
		assert_int_equal(vqsim_fs_getxattr(fs, ROOT, "user.a", value, 16), 3);
		assert_memory_equal(value, "abc", 3);
		assert_int_equal(vqsim_fs_listxattr(fs, ROOT, value, 16), 7);
		assert_string_equal(value, "user.a");
		assert_int_equal(vqsim_fs_removexattr(fs, ROOT, "user.a"), 0);
		assert_int_equal(vqsim_fs_getxattr(fs, ROOT, "user.a", value, 16), -ENODATA);
	}
}

/* Read a directory in steps of a small buffer. Returns the entries but for the dots. */
static unsigned count_entries(struct vqsim_fs *fs, const struct vqsim_fs_file *dir, bool plus)
{
	struct vqsim_fs_dirent dirent = {.next = 0};
	struct vqsim_fs_dirents dirents;
	uint8_t buffer[512];
	unsigned count = 0;
	int64_t size;

	do {
		uint64_t at = dirent.next;

		size = plus ? vqsim_fs_readdirplus(fs, dir, at, buffer, sizeof(buffer), &dirents)
			    : vqsim_fs_readdir(fs, dir, at, buffer, sizeof(buffer), &dirents);
		assert_true(size >= 0);
		while (vqsim_fs_dirents_next(&dirents, &dirent))
			count += dirent.name[0] != '.';
		assert_int_equal(dirents.left, 0);
	} while (size > 0);
	return count;
}

static void directories_are_read(void **state)
{
	struct vqsim_fs_file dir;
	char name[32];

	(void)state;
	FOR_EACH_WORLD(bench)
	{
		struct vqsim_fs *fs = &bench->fs;

		for (unsigned i = 0; i < 20; i++) {
			snprintf(name, sizeof(name), "%.*s%u", (int)(i % 9), "abcdefghi", i);
			assert_int_equal(vqsim_fs_mknod(fs, ROOT, name, S_IFREG, 0, NULL), 0);
		}
		assert_int_equal(vqsim_fs_opendir(fs, ROOT, &dir), 0);
		assert_int_equal(count_entries(fs, &dir, false), 20);
		assert_int_equal(vqsim_fs_lookups_total(fs), 20);
		assert_int_equal(count_entries(fs, &dir, true), 20);
		assert_int_equal(vqsim_fs_lookups_total(fs), 40);
		assert_int_equal(vqsim_fs_fsyncdir(fs, &dir, false), 0);
		assert_int_equal(vqsim_fs_releasedir(fs, &dir), 0);
		assert_int_equal(vqsim_fs_forget_all(fs), 0);
		assert_int_equal(vqsim_fs_lookups_total(fs), 0);
	}
}

static void a_lock_waits_for_its_unlock_in_the_same_queue(void **state)
{
	const struct fuse_file_lock taken = {.end = 9, .type = F_WRLCK, .pid = 1};
	const struct fuse_file_lock open = {.end = 9, .type = F_UNLCK, .pid = 1};
	struct vqsim_fs_request waiting;
	struct vqsim_fs_file file;
	struct fuse_file_lock lock = taken;

	(void)state;
	FOR_EACH_WORLD(bench)
	{
		struct vqsim_fs *fs = &bench->fs;

		assert_int_equal(vqsim_fs_create(fs, ROOT, "file", O_RDWR, 0600, &file), 0);
		assert_int_equal(vqsim_fs_setlk(fs, &file, 1, &taken, 0), 0);
		assert_int_equal(vqsim_fs_getlk(fs, &file, 2, &lock), 0);
		assert_int_equal(lock.type, F_WRLCK);
		assert_int_equal(vqsim_fs_request_init(fs, &waiting, 0), 0);
		vqsim_fs_make(fs, &waiting,
			      &(struct vqsim_fs_args){.opcode = FUSE_SETLKW,
						      .node = file.node,
						      .handle = file.handle,
						      .lock_owner = 2,
						      .lock = taken});
		assert_true(vqsim_fs_submit(fs, 1, &waiting) >= 0);
		vqsim_guest_publish(&bench->guest, 1);
		assert_int_equal(vqsim_guest_run(&bench->guest, 1), VIRTIO_WAITING);
		assert_false(waiting.done);
		assert_int_equal(vqsim_fs_setlk(fs, &file, 1, &open, 0), 0);
		vqsim_guest_settle(&bench->guest, 1);
		while (vqsim_fs_reap(fs, 1))
			;
		assert_true(waiting.done);
		assert_int_equal(waiting.result.error, 0);
		assert_int_equal(vqsim_fs_setlkw(fs, &file, 2, &open, 0), 0);
		vqsim_fs_request_finish(&waiting);
		assert_int_equal(vqsim_fs_release(fs, &file), 0);
		assert_int_equal(vqsim_fs_forget_all(fs), 0);
	}
}

static void several_requests_are_in_flight(void **state)
{
	struct vqsim_fs_request requests[8];

	(void)state;
	FOR_EACH_WORLD(bench)
	{
		struct vqsim_fs *fs = &bench->fs;
		unsigned back = 0;

		for (unsigned i = 0; i < 8; i++) {
			assert_int_equal(vqsim_fs_request_init(fs, &requests[i], 0), 0);
			vqsim_fs_make(
				fs, &requests[i],
				&(struct vqsim_fs_args){.opcode = FUSE_GETATTR, .node = ROOT});
			assert_true(vqsim_fs_submit(fs, (uint16_t)(1 + i % 2), &requests[i]) >= 0);
		}
		for (uint16_t queue = 1; queue < 3; queue++) {
			vqsim_guest_publish(&bench->guest, queue);
			vqsim_guest_run(&bench->guest, queue);
			while (vqsim_fs_reap(fs, queue))
				back++;
		}
		assert_int_equal(back, 8);
		for (unsigned i = 0; i < 8; i++) {
			assert_int_equal(requests[i].result.error, 0);
			assert_true(S_ISDIR(requests[i].result.attr.mode));
			vqsim_fs_request_finish(&requests[i]);
		}
	}
}

/* A ring that is full of locks that wait takes nothing more; hiprio does, and ends them. */
static void hiprio_ends_what_fills_the_ring(void **state)
{
	const struct fuse_file_lock taken = {.end = 9, .type = F_WRLCK, .pid = 1};
	struct vqsim_fs_request waiting[16];
	struct vqsim_fs_file file;

	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		struct fs_bench *bench = fs_bench_create(
			&(struct fs_bench_options){.packed = packed, .queue_size = 16});
		struct vqsim_fs *fs = &bench->fs;

		assert_int_equal(vqsim_fs_create(fs, ROOT, "file", O_RDWR, 0600, &file), 0);
		assert_int_equal(vqsim_fs_setlk(fs, &file, 1, &taken, 0), 0);
		for (unsigned i = 0; i < 16; i++) {
			assert_int_equal(vqsim_fs_request_init(fs, &waiting[i], 0), 0);
			vqsim_fs_make(fs, &waiting[i],
				      &(struct vqsim_fs_args){.opcode = FUSE_SETLKW,
							      .node = file.node,
							      .handle = file.handle,
							      .lock_owner = 2 + i,
							      .lock = taken});
			waiting[i].indirect = true;
			assert_true(vqsim_fs_submit(fs, 1, &waiting[i]) >= 0);
		}
		vqsim_guest_publish(&bench->guest, 1);
		assert_int_equal(vqsim_guest_run(&bench->guest, 1), VIRTIO_WAITING);
		assert_int_equal(vqsim_fs_getattr(fs, file.node, NULL, NULL), VQSIM_FS_LOST);
		for (unsigned i = 0; i < 16; i++)
			assert_int_equal(vqsim_fs_interrupt(fs, waiting[i].unique), 0);
		vqsim_guest_settle(&bench->guest, 1);
		while (vqsim_fs_reap(fs, 1))
			;
		for (unsigned i = 0; i < 16; i++) {
			assert_int_equal(waiting[i].result.error, -EINTR);
			vqsim_fs_request_finish(&waiting[i]);
		}
		assert_int_equal(vqsim_fs_release(fs, &file), 0);
		assert_int_equal(vqsim_fs_forget_all(fs), 0);
		fs_bench_destroy(bench);
	}
}

static void an_interrupt_for_nothing_may_be_answered(void **state)
{
	int error;

	(void)state;
	FOR_EACH_WORLD(bench)
	{
		error = vqsim_fs_interrupt(&bench->fs, 12346);
		assert_true(error == 0 || error == -EAGAIN);
	}
}

static void finish_says_what_is_left(void **state)
{
	struct vqsim_fs_file file;
	struct fs_bench *bench = world(0);

	(void)state;
	assert_int_equal(vqsim_fs_create(&bench->fs, ROOT, "file", O_RDWR, 0600, &file), 0);
	assert_int_equal(vqsim_fs_lookup(&bench->fs, ROOT, "file", NULL), 0);
	assert_int_equal(vqsim_fs_lookups(&bench->fs, file.node), 2);
	assert_int_equal(fs_bench_down(bench), 3);
	fs_bench_up(bench);
	assert_int_equal(vqsim_fs_lookup(&bench->fs, ROOT, "file", NULL), 0);
	assert_int_equal(vqsim_fs_forget_all(&bench->fs), 0);
	/* Another session begins with nothing. */
	assert_int_equal(vqsim_fs_lookup(&bench->fs, ROOT, "file", NULL), 0);
	assert_int_equal(vqsim_fs_destroy(&bench->fs), 0);
	assert_int_equal(vqsim_fs_lookups_total(&bench->fs), 0);
	assert_int_equal(vqsim_fs_lookup(&bench->fs, ROOT, "file", NULL), -EIO);
	fs_bench_destroy(bench);
}

/* Beyond what one BATCH_FORGET holds. */
static void many_lookups_are_counted(void **state)
{
	struct fs_bench *bench = world(0);
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(vqsim_fs_mknod(&bench->fs, ROOT, name, S_IFREG, 0, NULL), 0);
	}
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "%u", i % 1000);
		assert_int_equal(vqsim_fs_lookup(&bench->fs, ROOT, name, NULL), 0);
	}
	assert_int_equal(vqsim_fs_lookups_total(&bench->fs), 3000);
	assert_int_equal(vqsim_fs_forget_all(&bench->fs), 0);
	assert_int_equal(vqsim_fs_lookups_total(&bench->fs), 0);
	fs_bench_destroy(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_agrees_on_a_session),
		cmocka_unit_test(names_come_and_go),
		cmocka_unit_test(files_hold_data),
		cmocka_unit_test(attributes_are_told_and_set),
		cmocka_unit_test(extended_attributes_are_kept),
		cmocka_unit_test(directories_are_read),
		cmocka_unit_test(a_lock_waits_for_its_unlock_in_the_same_queue),
		cmocka_unit_test(several_requests_are_in_flight),
		cmocka_unit_test(hiprio_ends_what_fills_the_ring),
		cmocka_unit_test(an_interrupt_for_nothing_may_be_answered),
		cmocka_unit_test(finish_says_what_is_left),
		cmocka_unit_test(many_lookups_are_counted),
	};

	return cmocka_run_group_tests_name("guest_fs", tests, NULL, NULL);
}
