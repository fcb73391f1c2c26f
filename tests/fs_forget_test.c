/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Look-ups that are taken back, of the tree on a host directory and of the one in memory: a count
 * that is too large takes what there is (FS-17), and a file that has lost its name leaves nothing
 * behind (FS-19).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/dir_share.h"

static struct dir_share share;
static struct tree_client ram;

/* Both, one after the other. */
static void on_both(void (*run)(struct tree_client *client))
{
	share_begin(&share);
	share_serve(&share, NULL);
	run(&share.client);
	share_end(&share);

	ram = (struct tree_client){.uid = 0};
	assert_int_equal(fs_tree_ram_create(&ram.tree, NULL), 0);
	run(&ram);
	ram.tree->ops->destroy(ram.tree);
}

static uint64_t make(struct tree_client *client, const char *name)
{
	struct tree_file file;
	uint64_t node;

	assert_int_equal(tree_open(client, name, O_CREAT | O_EXCL | O_RDWR, 0644, &file), 0);
	assert_int_equal(tree_close(client, &file), 0);
	assert_int_equal(tree_walk(client, name, &node), 0);
	return node;
}

static int status_of(struct tree_client *client, uint64_t node)
{
	tree_begin(client, node);
	return tree_run(client, client->tree->ops->getattr);
}

/* A lock on all of the file. Returns what setlk did. */
static int lock(struct tree_client *client, const struct tree_file *file, uint32_t type,
		uint64_t owner, uint32_t flags)
{
	struct fs_call *call = tree_begin(client, file->node);

	call->handle = file->handle;
	call->lock_owner = owner;
	call->flags = flags;
	call->lock = (struct fs_lock){.end = UINT64_MAX >> 1, .type = type, .pid = 1};
	return tree_run(client, client->tree->ops->setlk);
}

static void forget_more(struct tree_client *client)
{
	static const uint64_t counts[] = {3, UINT64_C(1) << 63, UINT64_MAX};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint64_t node, again, other = make(client, "other");

		node = make(client, "file");
		assert_int_equal(tree_walk(client, "file", &again), 0);
		assert_int_equal(again, node);
		tree_forget(client, node, counts[i]);
		assert_int_equal(status_of(client, node), -ESTALE);
		tree_forget(client, node, counts[i]);
		tree_forget(client, FS_ROOT, counts[i]);
		assert_int_equal(status_of(client, FS_ROOT), 0);
		assert_int_equal(status_of(client, other), 0);
		tree_forget(client, other, 1);
		assert_int_equal(tree_unlink(client, "file") + tree_unlink(client, "other"), 0);
	}
}

static void more_than_there_were_are_all_there_were(void **state)
{
	(void)state;
	on_both(forget_more);
}

/* The file is in use: by a handle, and by a call that is not over. */
static void forget_in_use(struct tree_client *client)
{
	struct tree_client waiter = *client;
	struct tree_file file;
	char byte = 'x';

	assert_int_equal(tree_open(client, "used", O_CREAT | O_RDWR, 0644, &file), 0);
	assert_int_equal(lock(client, &file, F_WRLCK, 1, 0), 0);
	assert_int_equal(lock(&waiter, &file, F_WRLCK, 2, FS_LOCK_WAIT), FS_LATER);
	tree_forget(client, file.node, UINT64_MAX);
	assert_int_equal(waiter.done_count, 0);
	assert_int_equal(tree_pwrite(client, &file, &byte, 1, 0), 1);
	assert_int_equal(lock(client, &file, F_UNLCK, 1, 0), 0);
	assert_int_equal(waiter.done_count, 1);
	assert_int_equal(waiter.done_result, 0);
	assert_int_equal(tree_pread(client, &file, &byte, 1, 0), 1);
	assert_int_equal(tree_close(client, &file), 0);
	assert_int_equal(status_of(client, file.node), -ESTALE);
}

static void what_is_in_use_stays_until_it_is_not(void **state)
{
	(void)state;
	on_both(forget_in_use);
}

static void forget_nameless(struct tree_client *client)
{
	unsigned fds;

	/* What the first use of something takes. */
	tree_forget(client, make(client, "first"), 1);
	fds = share_fd_count();
	for (unsigned i = 0; i < 20; i++) {
		uint64_t removed = make(client, "removed"), over = make(client, "over"),
			 moved = make(client, "moved");

		assert_int_equal(tree_unlink(client, "removed"), 0);
		assert_int_equal(tree_rename(client, "moved", "over", 0), 0);
		assert_int_equal(status_of(client, removed), 0);
		assert_int_equal(status_of(client, over), 0);
		tree_forget(client, removed, 1);
		tree_forget(client, over, 1);
		tree_forget(client, moved, 1);
		assert_int_equal(status_of(client, removed), -ESTALE);
		assert_int_equal(status_of(client, over), -ESTALE);
		assert_int_equal(tree_unlink(client, "over"), 0);
		assert_int_equal(share_fd_count(), fds);
	}
}

static void what_has_no_name_leaves_nothing_behind(void **state)
{
	(void)state;
	on_both(forget_nameless);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_than_there_were_are_all_there_were),
		cmocka_unit_test(what_is_in_use_stays_until_it_is_not),
		cmocka_unit_test(what_has_no_name_leaves_nothing_behind),
	};

	return SHARE_RUN(tests);
}
