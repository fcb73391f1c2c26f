/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree on a host directory whose names nobody else changes (FS_DIR_EXCLUSIVE): what is cheaper
 * then is as true as without; and what holds of the promise when the host breaks it.
 * What it has in common with other ways to open is in the other tests fs_dir_*.
 */
#define _GNU_SOURCE /* RENAME_EXCHANGE */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/dir_share.h"

static struct dir_share share;
static unsigned fds_before;

static void begin(unsigned fd_max)
{
	const struct fs_tree_dir_options options = {.flags = FS_DIR_EXCLUSIVE, .fd_max = fd_max};

	share_begin(&share);
	fds_before = share_fd_count();
	share_serve(&share, &options);
}

#define OPS (share.client.tree->ops)

static uint64_t look_up(const char *path)
{
	uint64_t node;

	assert_int_equal(tree_walk(&share.client, path, &node), 0);
	return node;
}

static int open_node(uint64_t node, uint32_t flags)
{
	tree_begin(&share.client, node)->open_flags = flags;
	return tree_run(&share.client, OPS->open);
}

static void release(uint64_t node, uint64_t handle)
{
	tree_begin(&share.client, node)->handle = handle;
	assert_int_equal(tree_run(&share.client, OPS->release), 0);
}

/* Which letter the node's file has, or -errno. */
static int letter_in(uint64_t node)
{
	int error = open_node(node, O_RDONLY);
	uint64_t handle = share.client.call.new_handle;
	char letter = '?';

	if (error)
		return error;
	tree_begin(&share.client, node)->handle = handle;
	tree_data(&share.client, &letter, 1);
	assert_int_equal(tree_run(&share.client, OPS->read), 0);
	release(node, handle);
	return letter;
}

static int status_of(uint64_t node)
{
	tree_begin(&share.client, node);
	return tree_run(&share.client, OPS->getattr);
}

static void look_ups_keep_no_descriptors(void **state)
{
	char name[32];

	(void)state;
	begin(256);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "share/f%u", i);
		share_write(name, "a");
		assert_int_equal(letter_in(look_up(name + strlen("share/"))), 'a');
	}
	/* The root's own, and those that are closed with others. */
	assert_in_range(share_fd_count(), fds_before + 3, fds_before + 3 + 16);
	/* Nothing that is removed is held. */
	assert_int_equal(tree_mkdir(&share.client, "d", 0755), 0);
	tree_forget(&share.client, FS_ROOT, 1);
	assert_int_equal(tree_rmdir(&share.client, "d"), 0);
	assert_int_equal(share_fd_count(), fds_before + 3);
	share_end(&share);
}

static void what_the_guest_moves_is_followed(void **state)
{
	struct tree_client *client = &share.client;
	uint64_t a, b, below;

	(void)state;
	begin(32);
	assert_int_equal(mkdir("share/d", 0755) + mkdir("share/d/e", 0755), 0);
	share_write("share/a", "a");
	share_write("share/b", "b");
	share_write("share/d/e/below", "c");
	a = look_up("a");
	b = look_up("b");
	below = look_up("d/e/below");
	assert_int_equal(tree_rename(client, "a", "b", RENAME_EXCHANGE), 0);
	assert_int_equal(letter_in(a), 'a');
	assert_int_equal(letter_in(b), 'b');
	assert_int_equal(tree_rename(client, "b", "d/e/a-name-that-is-longer-than-most", 0), 0);
	assert_int_equal(letter_in(a), 'a');
	assert_int_equal(tree_rename(client, "d", "moved", 0), 0);
	assert_int_equal(letter_in(below), 'c');
	assert_int_equal(letter_in(a), 'a');
	assert_int_equal(tree_rename(client, "moved/e/below", "a", 0), 0);
	assert_int_equal(letter_in(below), 'c');
	/* Its name is gone, it is not. */
	assert_int_equal(letter_in(b), 'b');
	assert_int_equal(status_of(b), 0);
	assert_int_equal(client->call.entry.attr.stx_nlink, 0);
	share_end(&share);
}

static void any_name_of_several_will_do(void **state)
{
	struct tree_client *client = &share.client;
	uint64_t node;

	(void)state;
	begin(32);
	share_write("share/one", "a");
	node = look_up("one");
	assert_int_equal(tree_link(client, "one", "two"), 0);
	assert_int_equal(tree_unlink(client, "one"), 0);
	share_write("share/one", "b");
	assert_int_equal(letter_in(node), 'a');
	assert_int_equal(tree_link(client, "two", "three"), 0);
	assert_int_equal(tree_unlink(client, "three"), 0);
	assert_int_equal(letter_in(node), 'a');
	assert_int_equal(look_up("two"), node);
	assert_int_equal(tree_unlink(client, "two"), 0);
	assert_int_equal(letter_in(node), 'a');
	share_end(&share);
}

static void a_file_that_is_unlinked_while_it_is_open_stays(void **state)
{
	uint64_t node, handle;
	char letter;

	(void)state;
	begin(32);
	share_write("share/f", "a");
	node = look_up("f");
	assert_int_equal(open_node(node, O_RDWR), 0);
	handle = share.client.call.new_handle;
	assert_int_equal(tree_unlink(&share.client, "f"), 0);
	share_write("share/f", "b");
	tree_begin(&share.client, node)->handle = handle;
	tree_data(&share.client, &letter, 1);
	assert_int_equal(tree_run(&share.client, OPS->read), 0);
	assert_int_equal(letter, 'a');
	release(node, handle);
	assert_int_equal(letter_in(node), 'a');
	assert_int_equal(letter_in(look_up("f")), 'b');
	share_end(&share);
}

/* Which of them was first: the last close, FORGET or the removal. */
static void what_is_removed_takes_no_room(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 3; order++) {
		uint64_t node, handle;

		begin(64);
		share_write("share/f", "a");
		node = look_up("f");
		assert_int_equal(open_node(node, O_RDONLY), 0);
		handle = share.client.call.new_handle;
		if (order == 0)
			release(node, handle);
		assert_int_equal(tree_unlink(&share.client, "f"), 0);
		if (order == 1)
			release(node, handle);
		tree_forget(&share.client, node, 1);
		if (order == 2)
			release(node, handle);
		/* The root's descriptors: none is left of the file. */
		assert_int_equal(share_fd_count(), fds_before + 3);
		share_end(&share);
	}
}

/* Who watches for it, as inotify does, need not wait. */
static void what_was_written_is_closed_at_once(void **state)
{
	uint64_t node;
	int watch;

	(void)state;
	begin(256);
	share_write("share/f", "a");
	watch = share_watch("share/f");
	node = look_up("f");
	assert_int_equal(open_node(node, O_RDWR), 0);
	assert_int_equal(share_seen(watch) & (IN_OPEN | IN_CLOSE_WRITE), IN_OPEN);
	release(node, share.client.call.new_handle);
	assert_int_equal(share_seen(watch) & IN_CLOSE_WRITE, IN_CLOSE_WRITE);
	close(watch);
	share_end(&share);
}

/* When the process has no more, those that wait to be closed are closed. */
static void what_waits_to_be_closed_takes_no_descriptors(void **state)
{
	struct rlimit was, limit;
	uint64_t node;
	int next, letter;

	(void)state;
	begin(256);
	share_write("share/f", "a");
	node = look_up("f");
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(letter_in(node), 'a');
	next = dup(STDIN_FILENO);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	limit = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	letter = letter_in(node);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(letter, 'a');
	share_end(&share);
}

/* As many as may be open at a time, and those that wait to be closed, and what look-ups need. */
static void all_together_are_no_more_than_were_allowed(void **state)
{
	enum { FDS = 256 };
	uint64_t handles[FDS];
	uint64_t node;
	unsigned count;

	(void)state;
	begin(FDS);
	share_write("share/f", "a");
	node = look_up("f");
	for (unsigned i = 0; i < 15; i++)
		assert_int_equal(letter_in(node), 'a');
	for (count = 0; count < FDS && open_node(node, O_RDONLY) == 0; count++)
		handles[count] = share.client.call.new_handle;
	assert_in_range(count, FDS / 2, FDS - 1);
	assert_int_equal(tree_mkdir(&share.client, "d", 0755), 0);
	assert_true(share_fd_count() <= fds_before + FDS);
	while (count-- > 0)
		release(node, handles[count]);
	share_end(&share);
}

/* What another one made of a name is not taken for what was there: not by its contents, not by its type. */
static void what_the_host_replaces_is_stale(void **state)
{
	static const char *const names[] = {"file", "link", "fifo", "dir"};
	uint64_t node[4];

	(void)state;
	begin(32);
	for (unsigned i = 0; i < 4; i++) {
		char path[32], kept[32];

		snprintf(path, sizeof(path), "share/%s", names[i]);
		snprintf(kept, sizeof(kept), "share/was%u", i);
		share_write(path, "a");
		node[i] = look_up(names[i]);
		/* Elsewhere, so that its inode number is not given to another one. */
		assert_int_equal(rename(path, kept), 0);
	}
	share_write("share/file", "b");
	assert_int_equal(symlink("../outside/canary", "share/link"), 0);
	assert_int_equal(mkfifo("share/fifo", 0666), 0);
	assert_int_equal(mkdir("share/dir", 0755), 0);
	for (unsigned i = 0; i < 4; i++) {
		int letter = letter_in(node[i]);

		/* Where there are file handles even that is found. */
		assert_true(letter == -ESTALE || letter == 'a');
	}
	share_end(&share);
}

static void what_the_host_moves_out_is_not_opened(void **state)
{
	uint64_t node, below;

	(void)state;
	begin(32);
	assert_int_equal(mkdir("share/d", 0755), 0);
	share_write("share/d/f", "a");
	share_write("share/f", "a");
	node = look_up("f");
	below = look_up("d/f");
	assert_int_equal(rename("share/f", "outside/f"), 0);
	share_seen(share.watch);
	assert_int_equal(letter_in(node), -ESTALE);
	assert_int_equal(status_of(node), -ESTALE);
	share_check_canary(&share);
	assert_int_equal(unlink("outside/f"), 0);
	assert_int_equal(rename("share/d/f", "share/d/g"), 0);
	assert_int_equal(symlink("../../outside/canary", "share/d/f"), 0);
	share_seen(share.watch);
	assert_true(letter_in(below) == -ESTALE || letter_in(below) == 'a');
	share_end(&share);
}

static void mounts_are_not_opened(void **state)
{
	uint64_t node;

	(void)state;
	share_need_mounts();
	begin(32);
	share_write("share/f", "a");
	node = look_up("f");
	assert_int_equal(mount("outside/canary", "share/f", NULL, MS_BIND, NULL), 0);
	share_seen(share.watch);
	assert_true(letter_in(node) < 0);
	assert_true(open_node(node, O_RDWR) < 0);
	share_check_canary(&share);
	assert_int_equal(umount("share/f"), 0);
	assert_int_equal(letter_in(node), 'a');
	share_end(&share);
}

/* 100 000 nodes, of which none costs a descriptor. */
static void very_many_nodes_need_few_descriptors(void **state)
{
	enum { DIRS = 100, NAMES = 1000, FILES = 10, MANY = DIRS * NAMES };
	static uint64_t node[MANY];
	char path[64], first[64];

	(void)state;
	share_begin_large(&share);
	fds_before = share_fd_count();
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "share/d%d", i / NAMES);
		if (i % NAMES == 0)
			assert_int_equal(mkdir(path, 0755), 0);
		snprintf(path, sizeof(path), "share/d%d/f%d", i / NAMES, i % NAMES);
		if (i % FILES == 0)
			share_write(path, "a");
		else
			assert_int_equal(mknod(path, S_IFREG | 0644, 0), 0);
	}
	share_serve(&share, &(struct fs_tree_dir_options){.flags = FS_DIR_EXCLUSIVE, .fd_max = 32});
	for (int i = 0; i < MANY; i++) {
		snprintf(first, sizeof(first), "d%d/f%d", i / NAMES, i % NAMES);
		node[i] = look_up(first);
	}
	for (int i = 0, at = 0; i < MANY / 10; i++, at = (at + 7919) % MANY) {
		assert_int_equal(letter_in(node[at]), at % FILES == 0 ? 'a' : '?');
		assert_int_equal(status_of(node[at]), 0);
	}
	assert_true(share_fd_count() <= fds_before + 32);
	share_end(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(look_ups_keep_no_descriptors),
		cmocka_unit_test(what_the_guest_moves_is_followed),
		cmocka_unit_test(any_name_of_several_will_do),
		cmocka_unit_test(a_file_that_is_unlinked_while_it_is_open_stays),
		cmocka_unit_test(what_is_removed_takes_no_room),
		cmocka_unit_test(what_was_written_is_closed_at_once),
		cmocka_unit_test(what_waits_to_be_closed_takes_no_descriptors),
		cmocka_unit_test(all_together_are_no_more_than_were_allowed),
		cmocka_unit_test(what_the_host_replaces_is_stale),
		cmocka_unit_test(what_the_host_moves_out_is_not_opened),
		cmocka_unit_test(mounts_are_not_opened),
		cmocka_unit_test(very_many_nodes_need_few_descriptors),
	};

	return SHARE_RUN(tests);
}
