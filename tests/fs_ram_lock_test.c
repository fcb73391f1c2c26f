/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks through the tree in memory: who waits is answered later, by whichever call freed the
 * lock, and whatever becomes of his file meanwhile. What is held is fs_locks_test.c's matter.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/support/tree_client.h"

#define END_MAX (UINT64_MAX >> 1)

/* Two callers, each with the file open; the second one waits. */
struct fixture {
	struct tree_client first, second;
	struct tree_file first_file, second_file;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(fs_tree_ram_create(&f->first.tree, NULL), 0);
	f->second.tree = f->first.tree;
	assert_int_equal(tree_open(&f->first, "f", O_CREAT | O_RDWR, 0600, &f->first_file), 0);
	assert_int_equal(tree_open(&f->second, "f", O_RDWR, 0, &f->second_file), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->first.tree->ops->destroy(f->first.tree);
	free(f);
	return 0;
}

static int setlk(struct tree_client *client, const struct tree_file *file, uint64_t owner,
		 uint32_t type, uint32_t flags)
{
	struct fs_call *call = tree_begin(client, file->node);

	call->handle = file->handle;
	call->lock_owner = owner;
	call->lock = (struct fs_lock){.end = END_MAX, .type = type, .pid = (uint32_t)owner};
	call->flags = flags;
	return tree_run(client, client->tree->ops->setlk);
}

/* The first holds the lock, the second waits for it. */
static void hold_and_wait(struct fixture *f, uint32_t flags)
{
	assert_int_equal(setlk(&f->first, &f->first_file, 1, F_WRLCK, flags), 0);
	assert_int_equal(setlk(&f->second, &f->second_file, 2, F_WRLCK, flags), -EAGAIN);
	assert_int_equal(setlk(&f->second, &f->second_file, 2, F_WRLCK, flags | FS_LOCK_WAIT),
			 FS_LATER);
	assert_int_equal(f->second.done_count, 0);
}

static void assert_done(const struct fixture *f, int result)
{
	assert_int_equal(f->second.done_count, 1);
	assert_int_equal(f->second.done_result, result);
}

static void an_unlock_lets_the_next_go_on(void **state)
{
	struct fixture *f = *state;

	hold_and_wait(f, 0);
	assert_int_equal(setlk(&f->first, &f->first_file, 1, F_UNLCK, 0), 0);
	assert_done(f, 0);
	assert_int_equal(setlk(&f->first, &f->first_file, 1, F_WRLCK, 0), -EAGAIN);
}

static void a_flush_lets_the_next_go_on(void **state)
{
	struct fixture *f = *state;

	hold_and_wait(f, 0);
	tree_begin(&f->first, f->first_file.node)->handle = f->first_file.handle;
	f->first.call.lock_owner = 1;
	assert_int_equal(tree_run(&f->first, f->first.tree->ops->flush), 0);
	assert_done(f, 0);
}

static void a_release_lets_the_next_flock_go_on(void **state)
{
	struct fixture *f = *state;

	hold_and_wait(f, FS_FLOCK);
	tree_begin(&f->first, f->first_file.node)->handle = f->first_file.handle;
	f->first.call.lock_owner = 1;
	f->first.call.flags = FS_FLOCK_UNLOCK;
	assert_int_equal(tree_run(&f->first, f->first.tree->ops->release), 0);
	assert_done(f, 0);
}

static void a_cancelled_call_is_told_at_once_and_once(void **state)
{
	struct fixture *f = *state;

	hold_and_wait(f, 0);
	f->second.tree->ops->cancel(f->second.tree, &f->second.call);
	assert_done(f, -EINTR);
	f->second.tree->ops->cancel(f->second.tree, &f->second.call);
	assert_int_equal(setlk(&f->first, &f->first_file, 1, F_UNLCK, 0), 0);
	assert_done(f, -EINTR);
	assert_int_equal(setlk(&f->first, &f->first_file, 3, F_WRLCK, 0), 0);
}

/* The guest gives everything back that holds the file, but for the call that waits. */
static void a_call_that_waits_keeps_its_file(void **state)
{
	struct fixture *f = *state;
	struct tree_client third = {.tree = f->first.tree};

	hold_and_wait(f, 0);
	assert_int_equal(tree_unlink(&third, "f"), 0);
	tree_begin(&third, f->second_file.node)->handle = f->second_file.handle;
	assert_int_equal(tree_run(&third, third.tree->ops->release), 0);
	tree_begin(&third, f->first_file.node)->handle = f->first_file.handle;
	assert_int_equal(tree_run(&third, third.tree->ops->release), 0);
	tree_forget(&third, f->first_file.node, 2);
	assert_int_equal(f->second.done_count, 0);
	third.tree->ops->cancel(third.tree, &f->second.call);
	assert_done(f, -EINTR);
	tree_begin(&third, FS_ROOT);
	assert_int_equal(tree_run(&third, third.tree->ops->statfs), 0);
	assert_int_equal(third.call.statvfs.f_files - third.call.statvfs.f_ffree, 1);
}

static void locks_end_with_the_last_handle(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(setlk(&f->first, &f->first_file, 1, F_WRLCK, 0), 0);
	assert_int_equal(tree_close(&f->first, &f->first_file), 0);
	assert_int_equal(setlk(&f->second, &f->second_file, 2, F_WRLCK, 0), -EAGAIN);
	assert_int_equal(tree_close(&f->second, &f->second_file), 0);
	assert_int_equal(tree_open(&f->second, "f", O_RDWR, 0, &f->second_file), 0);
	assert_int_equal(setlk(&f->second, &f->second_file, 2, F_WRLCK, 0), 0);
}

static void getlk_shows_who_is_in_the_way(void **state)
{
	struct fixture *f = *state;
	struct fs_call *call = &f->second.call;

	assert_int_equal(setlk(&f->first, &f->first_file, 1, F_RDLCK, 0), 0);
	tree_begin(&f->second, f->second_file.node)->handle = f->second_file.handle;
	call->lock_owner = 2;
	call->lock = (struct fs_lock){.start = 5, .end = 6, .type = F_WRLCK};
	assert_int_equal(tree_run(&f->second, f->second.tree->ops->getlk), 0);
	assert_int_equal(call->lock.type, F_RDLCK);
	assert_int_equal(call->lock.start, 0);
	assert_int_equal(call->lock.end, END_MAX);
	assert_int_equal(call->lock.pid, 1);
	call->lock = (struct fs_lock){.start = 5, .end = 6, .type = F_RDLCK};
	assert_int_equal(tree_run(&f->second, f->second.tree->ops->getlk), 0);
	assert_int_equal(call->lock.type, F_UNLCK);
}

static void a_lock_needs_the_right_to_read_or_write(void **state)
{
	struct fixture *f = *state;
	struct tree_file readable, writable;

	assert_int_equal(tree_open(&f->first, "f", O_RDONLY, 0, &readable), 0);
	assert_int_equal(tree_open(&f->first, "f", O_WRONLY, 0, &writable), 0);
	assert_int_equal(setlk(&f->first, &readable, 1, F_WRLCK, 0), -EBADF);
	assert_int_equal(setlk(&f->first, &writable, 1, F_RDLCK, 0), -EBADF);
	assert_int_equal(setlk(&f->first, &readable, 1, F_RDLCK, 0), 0);
	assert_int_equal(setlk(&f->first, &writable, 1, F_WRLCK, 0), 0);
	assert_int_equal(setlk(&f->first, &readable, 3, F_WRLCK, FS_FLOCK), 0);
	assert_int_equal(tree_close(&f->first, &readable), 0);
	assert_int_equal(tree_close(&f->first, &writable), 0);
}

static void a_deadlock_is_refused(void **state)
{
	struct fixture *f = *state;
	struct tree_client third = {.tree = f->first.tree};
	struct tree_file other;

	assert_int_equal(tree_open(&third, "g", O_CREAT | O_RDWR, 0600, &other), 0);
	assert_int_equal(setlk(&third, &other, 2, F_WRLCK, 0), 0);
	hold_and_wait(f, 0);
	assert_int_equal(setlk(&third, &other, 1, F_WRLCK, FS_LOCK_WAIT), -EDEADLK);
	assert_int_equal(setlk(&f->first, &f->first_file, 1, F_UNLCK, 0), 0);
	assert_done(f, 0);
}

/* done may call the tree: it gives the lock on at once. */
static struct fixture *again;
static int again_result;

static void unlock_again(struct fs_call *call, int result)
{
	(void)call;
	assert_int_equal(result, 0);
	again_result = setlk(&again->first, &again->second_file, 2, F_UNLCK, 0);
}

static void done_may_call_the_tree(void **state)
{
	struct fixture *f = *state;

	again = f;
	again_result = 1;
	hold_and_wait(f, 0);
	f->second.call.done = unlock_again;
	assert_int_equal(setlk(&f->first, &f->first_file, 1, F_UNLCK, 0), 0);
	assert_int_equal(again_result, 0);
	assert_int_equal(setlk(&f->first, &f->first_file, 3, F_WRLCK, 0), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_unlock_lets_the_next_go_on),
		TEST(a_flush_lets_the_next_go_on),
		TEST(a_release_lets_the_next_flock_go_on),
		TEST(a_cancelled_call_is_told_at_once_and_once),
		TEST(a_call_that_waits_keeps_its_file),
		TEST(locks_end_with_the_last_handle),
		TEST(getlk_shows_who_is_in_the_way),
		TEST(a_lock_needs_the_right_to_read_or_write),
		TEST(a_deadlock_is_refused),
		TEST(done_may_call_the_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
