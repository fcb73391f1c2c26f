/* SPDX-License-Identifier: BSD-3-Clause */
/* Listings of the tree on a host directory, and locks among its guest's processes. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/dir_share.h"

#define MANY 300u

static struct dir_share share;

static void begin(void)
{
	share_begin(&share);
	share_serve(&share, NULL);
}

#define OPS (share.client.tree->ops)

static void make_many(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		char path[64];

		snprintf(path, sizeof(path), "share/d/file_with_number_%u", i);
		share_write(path, "");
	}
}

static void make_directory(struct tree_file *dir)
{
	assert_int_equal(tree_mkdir(&share.client, "d", 0755), 0);
	make_many();
	assert_int_equal(tree_open(&share.client, "d", O_DIRECTORY, 0, dir), 0);
}

/* Take up to max entries from offset, count those with each number. Returns the next offset; 0: the end. */
static uint64_t list(const struct tree_file *dir, uint64_t offset, unsigned max,
		     unsigned seen[MANY])
{
	static struct tree_names names;
	unsigned number;

	assert_int_equal(tree_readdir(&share.client, dir, offset, max, &names), 0);
	for (unsigned i = 0; i < names.count; i++) {
		if (sscanf(names.entry[i].name, "file_with_number_%u", &number) == 1)
			seen[number]++;
	}
	return names.last != offset ? names.last : 0;
}

static void listings_can_be_continued_anywhere(void **state)
{
	static const unsigned steps[] = {1, 2, 7, 32};
	struct tree_file dir, again;

	(void)state;
	begin();
	make_directory(&dir);
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		unsigned seen[MANY] = {0};
		uint64_t at = 0, back = 0;

		assert_int_equal(tree_open(&share.client, "d", O_DIRECTORY, 0, &again), 0);
		/* By turns through two handles, and now and then from where it was before. */
		for (unsigned turn = 0;; turn++) {
			uint64_t next = list(turn % 3 ? &dir : &again, at, steps[i], seen);

			if (next == 0)
				break;
			if (turn % 5 == 0 && back != 0) {
				unsigned other[MANY] = {0};

				assert_int_not_equal(list(&dir, back, 1, other), 0);
			}
			back = at;
			at = next;
		}
		for (unsigned number = 0; number < MANY; number++)
			assert_int_equal(seen[number], 1);
		assert_int_equal(tree_close(&share.client, &again), 0);
	}
	assert_int_equal(tree_close(&share.client, &dir), 0);
	share_end(&share);
}

static void a_listing_from_the_start_is_a_new_one(void **state)
{
	unsigned before[MANY] = {0}, after[MANY] = {0};
	struct tree_file dir;

	(void)state;
	begin();
	assert_int_equal(tree_mkdir(&share.client, "d", 0755), 0);
	assert_int_equal(tree_open(&share.client, "d", O_DIRECTORY, 0, &dir), 0);
	list(&dir, 0, 32, before);
	share_write("share/d/file_with_number_5", "");
	list(&dir, 0, 32, after);
	assert_int_equal(before[5], 0);
	assert_int_equal(after[5], 1);
	assert_int_equal(tree_close(&share.client, &dir), 0);
	share_end(&share);
}

/* What readdirplus gave: nodes by number. */
static struct {
	unsigned count, without, room;
	uint64_t node[MANY + 2], next;
} plus;

static bool add_plus(struct fs_call *call, const struct fs_dirent *dirent,
		     const struct fs_entry *entry)
{
	(void)call;
	if (plus.count == plus.room)
		return false;
	assert_non_null(entry);
	if (entry->node == 0)
		plus.without++;
	else
		assert_int_equal(entry->attr.stx_ino, dirent->ino);
	plus.node[plus.count++] = entry->node;
	plus.next = dirent->next;
	return true;
}

static int list_plus(const struct tree_file *dir, unsigned room, uint64_t offset)
{
	struct fs_call *call = tree_begin(&share.client, dir->node);

	memset(&plus, 0, sizeof(plus));
	plus.room = room;
	call->handle = dir->handle;
	call->offset = offset;
	call->add = add_plus;
	return tree_run(&share.client, OPS->readdirplus);
}

/* Give back what was told; that was all that there is. */
static void forget_listed(void)
{
	for (unsigned i = 0; i < plus.count; i++) {
		if (plus.node[i] == 0)
			continue;
		tree_forget(&share.client, plus.node[i], 1);
		tree_begin(&share.client, plus.node[i]);
		assert_int_equal(tree_run(&share.client, OPS->getattr), -ESTALE);
	}
}

static void entries_are_looked_up_if_they_are_taken(void **state)
{
	struct tree_file dir;

	(void)state;
	begin();
	make_directory(&dir);
	assert_int_equal(list_plus(&dir, 10, 0), 0);
	assert_int_equal(plus.count, 10);
	forget_listed();
	assert_int_equal(list_plus(&dir, MANY + 2, 0), 0);
	assert_int_equal(plus.count, MANY + 2);
	assert_int_equal(plus.without, 2);
	forget_listed();
	assert_int_equal(list_plus(&dir, 0, 0), 0);
	assert_int_equal(tree_close(&share.client, &dir), 0);
	share_end(&share);
}

static void what_vanishes_is_still_listed(void **state)
{
	struct tree_file dir;

	(void)state;
	begin();
	make_directory(&dir);
	/* The rest has been read ahead by then. */
	assert_int_equal(list_plus(&dir, 3, 0), 0);
	for (unsigned i = 0; i < MANY; i++) {
		char path[64];

		snprintf(path, sizeof(path), "share/d/file_with_number_%u", i);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(list_plus(&dir, MANY, plus.next), 0);
	assert_true(plus.count > 0);
	assert_int_equal(plus.without, plus.count);
	assert_int_equal(tree_close(&share.client, &dir), 0);
	share_end(&share);
}

static bool check_dots(struct fs_call *call, const struct fs_dirent *dirent,
		       const struct fs_entry *entry)
{
	(void)entry;
	if (dirent->name[0] == '.')
		assert_int_equal(dirent->ino, call->attr.stx_ino);
	return true;
}

static void above_the_root_there_is_nothing(void **state)
{
	struct tree_file dir;
	struct statx root;

	(void)state;
	begin();
	assert_int_equal(tree_stat(&share.client, "", &root), 0);
	assert_int_equal(tree_open(&share.client, "", O_DIRECTORY, 0, &dir), 0);
	tree_begin(&share.client, dir.node)->handle = dir.handle;
	share.client.call.add = check_dots;
	share.client.call.attr = root;
	assert_int_equal(tree_run(&share.client, OPS->readdir), 0);
	assert_int_equal(tree_close(&share.client, &dir), 0);
	share_end(&share);
}

static int lock(struct tree_file *file, uint64_t owner, uint32_t type, uint32_t flags)
{
	struct fs_call *call = tree_begin(&share.client, file->node);

	call->handle = file->handle;
	call->lock_owner = owner;
	call->lock = (struct fs_lock){0, INT64_MAX, type, 1};
	call->flags = flags;
	return tree_run(&share.client, OPS->setlk);
}

static void locks_exclude_owners_and_end_with_their_file(void **state)
{
	struct tree_client *client = &share.client;
	struct tree_file a, b;

	(void)state;
	begin();
	assert_int_equal(tree_open(client, "f", O_CREAT | O_RDWR, 0644, &a), 0);
	assert_int_equal(tree_open(client, "f", O_RDWR, 0, &b), 0);
	assert_int_equal(lock(&a, 1, F_WRLCK, 0), 0);
	assert_int_equal(lock(&b, 2, F_RDLCK, 0), -EAGAIN);
	assert_int_equal(lock(&b, 2, F_WRLCK, FS_FLOCK), 0);
	assert_int_equal(lock(&a, 1, F_WRLCK, FS_FLOCK), -EAGAIN);
	tree_begin(client, b.node)->handle = b.handle;
	client->call.lock_owner = 2;
	client->call.lock = (struct fs_lock){5, 6, F_WRLCK, 1};
	assert_int_equal(tree_run(client, OPS->getlk), 0);
	assert_int_equal(client->call.lock.type, F_WRLCK);
	tree_begin(client, a.node)->handle = a.handle;
	client->call.lock_owner = 1;
	assert_int_equal(tree_run(client, OPS->flush), 0);
	assert_int_equal(lock(&b, 2, F_RDLCK, 0), 0);
	tree_begin(client, b.node)->handle = b.handle;
	client->call.lock_owner = 2;
	client->call.flags = FS_FLOCK_UNLOCK;
	assert_int_equal(tree_run(client, OPS->release), 0);
	assert_int_equal(lock(&a, 1, F_WRLCK, FS_FLOCK), 0);
	assert_int_equal(tree_close(client, &a), 0);
	tree_forget(client, b.node, 1);
	/* Nobody had it open any more, so what the second owner forgot is gone too. */
	assert_int_equal(tree_open(client, "f", O_RDWR, 0, &a), 0);
	assert_int_equal(lock(&a, 3, F_WRLCK, 0), 0);
	assert_int_equal(tree_close(client, &a), 0);
	share_end(&share);
}

/* FS-44 */
static void a_waiting_lock_is_granted_or_given_up(void **state)
{
	struct tree_client *client = &share.client;
	struct tree_client waiter;
	struct tree_file file;

	(void)state;
	begin();
	assert_int_equal(tree_open(client, "f", O_CREAT | O_RDWR, 0644, &file), 0);
	for (unsigned cancelled = 0; cancelled < 2; cancelled++) {
		assert_int_equal(lock(&file, 1, F_WRLCK, 0), 0);
		waiter = *client;
		waiter.done_count = 0;
		tree_begin(&waiter, file.node)->handle = file.handle;
		waiter.call.lock_owner = 2;
		waiter.call.lock = (struct fs_lock){0, 9, F_WRLCK, 2};
		waiter.call.flags = FS_LOCK_WAIT;
		assert_int_equal(tree_run(&waiter, OPS->setlk), FS_LATER);
		assert_int_equal(waiter.done_count, 0);
		if (cancelled)
			OPS->cancel(client->tree, &waiter.call);
		else
			assert_int_equal(lock(&file, 1, F_UNLCK, 0), 0);
		assert_int_equal(waiter.done_count, 1);
		assert_int_equal(waiter.done_result, cancelled ? -EINTR : 0);
		assert_int_equal(lock(&file, cancelled ? 1 : 2, F_UNLCK, 0), 0);
	}
	assert_int_equal(tree_close(client, &file), 0);
	tree_begin(client, file.node);
	assert_int_equal(tree_run(client, OPS->getattr), -ESTALE);
	share_end(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listings_can_be_continued_anywhere),
		cmocka_unit_test(a_listing_from_the_start_is_a_new_one),
		cmocka_unit_test(entries_are_looked_up_if_they_are_taken),
		cmocka_unit_test(what_vanishes_is_still_listed),
		cmocka_unit_test(above_the_root_there_is_nothing),
		cmocka_unit_test(locks_exclude_owners_and_end_with_their_file),
		cmocka_unit_test(a_waiting_lock_is_granted_or_given_up),
	};

	return SHARE_RUN(tests);
}
