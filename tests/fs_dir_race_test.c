/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree on a host directory while names change under its hands: by programs of the host and
 * by other queues of the guest. What is outside stays untouched, special files stay closed.
 */
#define _GNU_SOURCE /* RENAME_EXCHANGE */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "tests/support/dir_share.h"

#define ROUNDS 1500

static struct dir_share share;
static bool stop;

static void begin(unsigned flags)
{
	const struct fs_tree_dir_options options = {.flags = flags, .fd_max = 32};

	share_begin(&share);
	share_serve(&share, &options);
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
}

#define OPS (share.client.tree->ops)

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void finish(pthread_t thread)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

static void *swap_on_host(void *unused)
{
	(void)unused;
	while (!stopped()) {
		renameat2(AT_FDCWD, "share/name", AT_FDCWD, "share/link", RENAME_EXCHANGE);
		renameat2(AT_FDCWD, "share/name", AT_FDCWD, "share/fifo", RENAME_EXCHANGE);
		renameat2(AT_FDCWD, "share/dir", AT_FDCWD, "share/dirlink", RENAME_EXCHANGE);
	}
	return NULL;
}

/* A client is one thread's. */
static struct tree_client another_client(void)
{
	return (struct tree_client){
		.tree = share.client.tree, .uid = share.client.uid, .gid = share.client.gid};
}

static void *swap_by_the_guest(void *unused)
{
	struct tree_client client = another_client();

	(void)unused;
	while (!stopped()) {
		tree_rename(&client, "name", "fifo", RENAME_EXCHANGE);
		tree_unlink(&client, "fifo2");
		tree_link(&client, "fifo", "fifo2");
	}
	return NULL;
}

static void make_files(void)
{
	share_write("share/name", "text");
	assert_int_equal(mkfifo("share/fifo", 0666), 0);
	assert_int_equal(symlink("../outside/canary", "share/link"), 0);
	assert_int_equal(mkdir("share/dir", 0755), 0);
	assert_int_equal(symlink("../outside", "share/dirlink"), 0);
}

static void use_name(unsigned round)
{
	static const struct statx attr = {.stx_size = 3};
	static const uint32_t flags[] = {
		O_RDWR, O_WRONLY | O_TRUNC, O_RDONLY, O_CREAT | O_RDWR | O_TRUNC, O_CREAT | O_RDWR,
	};
	struct tree_client *client = &share.client;
	struct tree_file file;
	char bytes[8];

	if (tree_open(client, "name", flags[round % 5], 0644, &file) == 0) {
		if ((flags[round % 5] & O_ACCMODE) != O_RDONLY)
			assert_int_equal(tree_pwrite(client, &file, "text", 4, 0), 4);
		assert_int_equal(tree_close(client, &file), 0);
	}
	tree_setattr(client, "name", FS_SET_SIZE, &attr);
	tree_setattr(client, "name", FS_SET_ATIME_NOW | FS_SET_MTIME_NOW, &attr);
	tree_getxattr(client, "name", "user.a", bytes, sizeof(bytes));
	tree_readlink(client, "name", bytes, sizeof(bytes));
}

static void use_directory(void)
{
	struct tree_client *client = &share.client;
	static struct tree_names names;
	struct tree_file file;
	struct statx attr;

	if (tree_open(client, "dir/canary", O_RDWR | O_CREAT | O_TRUNC, 0644, &file) == 0)
		tree_close(client, &file);
	tree_stat(client, "dir/canary", &attr);
	tree_rename(client, "dir/canary", "dir/canary2", 0);
	tree_unlink(client, "dir/canary");
	tree_unlink(client, "dir/canary2");
	if (tree_open(client, "dir", O_DIRECTORY, 0, &file) == 0) {
		tree_readdir(client, &file, 0, 32, &names);
		tree_close(client, &file);
	}
}

static void run(unsigned flags, void *(*swapper)(void *))
{
	pthread_t thread;
	uint32_t seen;
	int watch;

	begin(flags);
	make_files();
	watch = share_watch("share/fifo");
	assert_int_equal(pthread_create(&thread, NULL, swapper, NULL), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		use_name(round);
		if (swapper == swap_on_host)
			use_directory();
	}
	finish(thread);
	seen = share_seen(watch);
	/* The host's doing, which it promised not to do. */
	if (swapper == swap_on_host && (flags & FS_DIR_EXCLUSIVE))
		seen &= ~(uint32_t)IN_OPEN;
	assert_int_equal(seen & (IN_OPEN | IN_ACCESS | IN_MODIFY), 0);
	close(watch);
	share_end(&share);
}

static void swaps_of_the_host_lead_nowhere(void **state)
{
	(void)state;
	run(0, swap_on_host);
	run(FS_DIR_NO_OPENAT2, swap_on_host);
	run(FS_DIR_EXCLUSIVE, swap_on_host);
}

static void swaps_of_the_guest_open_no_special_file(void **state)
{
	(void)state;
	run(0, swap_by_the_guest);
	run(FS_DIR_NO_HANDLES, swap_by_the_guest);
	run(FS_DIR_EXCLUSIVE, swap_by_the_guest);
	run(FS_DIR_EXCLUSIVE | FS_DIR_NO_HANDLES, swap_by_the_guest);
}

/* What a queue does all the time, on names that others use too. */
static void *be_busy(void *seed)
{
	struct tree_client client = another_client();
	unsigned state = (unsigned)(uintptr_t)seed;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct tree_file file;
		struct statx attr;
		char name[16], other[16];

		state = state * 1103515245u + 12345u;
		snprintf(name, sizeof(name), "d%u/f%u", state >> 16 & 7, state >> 19 & 7);
		snprintf(other, sizeof(other), "d%u/f%u", state >> 22 & 7, state >> 25 & 7);
		switch (state >> 28 & 7) {
		case 0:
			tree_unlink(&client, name);
			break;
		case 1:
			tree_rename(&client, name, other, 0);
			break;
		case 2:
			tree_link(&client, name, other);
			break;
		case 3:
			tree_rename(&client, name, other, RENAME_EXCHANGE);
			break;
		case 4:
			tree_stat(&client, name, &attr);
			break;
		default:
			if (tree_open(&client, name, O_CREAT | O_RDWR, 0644, &file) == 0)
				tree_close(&client, &file);
			break;
		}
	}
	return NULL;
}

static void be_busy_together(unsigned flags)
{
	unsigned before;
	pthread_t threads[4];
	char path[16];

	share_begin(&share);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "share/d%u", i);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	before = share_fd_count();
	share_serve(&share, &(struct fs_tree_dir_options){.flags = flags, .fd_max = 32});
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, be_busy, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	/* What waits to be closed with others is closed before a name goes. */
	assert_int_equal(mkdir("share/d0/last", 0755), 0);
	assert_int_equal(tree_rmdir(&share.client, "d0/last"), 0);
	/* All was forgotten: only the root's descriptors are left. */
	assert_int_equal(share_fd_count(), before + 3);
	share_end(&share);
}

static void queues_that_share_names_leave_nothing_behind(void **state)
{
	(void)state;
	be_busy_together(0);
	be_busy_together(FS_DIR_EXCLUSIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swaps_of_the_host_lead_nowhere),
		cmocka_unit_test(swaps_of_the_guest_open_no_special_file),
		cmocka_unit_test(queues_that_share_names_leave_nothing_behind),
	};

	return SHARE_RUN(tests);
}
