/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls that the tree ends later: their replies, INTERRUPT, cancelling. Sessions that end
 * while calls are in the tree: fuse_end_test.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/support/fuse_bench.h"

static int set_up(void **state)
{
	struct fuse_bench *bench = fuse_bench_create(NULL, NULL);

	fuse_bench_init(bench);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	fuse_bench_destroy(*state);
	return 0;
}

/* Send an INTERRUPT. Returns the size of what comes back. */
static size_t interrupt(struct fuse_bench *bench, uint64_t unique, bool no_room)
{
	uint64_t body = fuse_bench_u64(bench, unique);

	fuse_bench_do(bench, &(struct fuse_bytes){.opcode = FUSE_INTERRUPT,
						  .body = &body,
						  .size = sizeof(body),
						  .no_room = no_room});
	return bench->reply_size;
}

/* Replies */

static void replies_come_by_poll_in_the_order_of_the_tree(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *first = fuse_bench_hold(bench, REQUESTS, NULL);
	struct fuse_sent *second = fuse_bench_hold(bench, REQUESTS, NULL);

	assert_int_equal(fuse_bench_ask(bench), 0); /* who comes later may overtake them */
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 0);
	fake_tree_end(bench->tree, 0);
	assert_int_equal(first->done, 0); /* not in the middle of something else */
	assert_true(fuse_bench_readable(bench, REQUESTS));
	fake_tree_end(bench->tree, -ENOSPC);
	assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 2);
	assert_false(fuse_bench_readable(bench, REQUESTS));
	fuse_bench_take_error(bench, first, 0);
	assert_int_equal(bench->reply_size, 96);
	fuse_bench_take_error(bench, second, -ENOSPC);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 0);
}

static void each_queue_gets_its_own(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *first = fuse_bench_hold(bench, REQUESTS, NULL);
	struct fuse_sent *second = fuse_bench_hold(bench, MORE_REQUESTS, NULL);

	fake_tree_end(bench->tree, 0);
	assert_false(fuse_bench_readable(bench, MORE_REQUESTS));
	fake_tree_end(bench->tree, 0);
	assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 1);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, first, 0);
	fuse_bench_take_error(bench, second, 0);
}

/* Another thread may be faster than the operation that began it. */
static void calls_may_end_before_their_operation_returns(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *sent;

	bench->tree->eager = true;
	sent = fuse_bench_send(bench, REQUESTS, &(struct fuse_bytes){.opcode = FUSE_STATFS});
	assert_int_equal(sent->submit, FS_QUEUED);
	assert_int_equal(sent->done, 0);
	assert_true(fuse_bench_readable(bench, REQUESTS));
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, sent, -EEXIST);
}

static void a_queue_can_be_full_of_calls_that_wait(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *sent[FUSE_BENCH_DEPTH];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < FUSE_BENCH_DEPTH; i++)
			sent[i] = fuse_bench_hold(bench, REQUESTS, NULL);
		for (unsigned i = 0; i < FUSE_BENCH_DEPTH; i++)
			fake_tree_end(bench->tree, 0);
		assert_int_equal(fuse_bench_poll(bench, REQUESTS), FUSE_BENCH_DEPTH);
		for (unsigned i = 0; i < FUSE_BENCH_DEPTH; i++)
			fuse_bench_take_error(bench, sent[i], 0);
	}
}

static void names_and_entries_outlive_their_submit(void **state)
{
	static const struct fake_dirent entry = {.name = "abc", .ino = 1, .next = 1, .node = 2};
	struct fuse_bench *bench = *state;
	struct fuse_read_in in = {.size = fuse_bench_u32(bench, 400)};
	struct fuse_sent *sent;

	bench->tree->dirents = &entry;
	bench->tree->dirent_count = 1;
	sent = fuse_bench_hold(
		bench, REQUESTS,
		&(struct fuse_bytes){.opcode = FUSE_READDIRPLUS, .body = &in, .size = 40});
	assert_int_equal(fuse_bench_do(bench, &(struct fuse_bytes){.opcode = FUSE_UNLINK,
								   .body = "xyzxyz",
								   .size = 7}),
			 0);
	fake_tree_end(bench->tree, 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, sent, 0);
	assert_int_equal(bench->reply_size, 16 + 128 + 32);
}

/* INTERRUPT */

static void interrupt_ends_a_call_of_any_queue(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *first = fuse_bench_hold(bench, REQUESTS, NULL);
	struct fuse_sent *second = fuse_bench_hold(bench, MORE_REQUESTS, NULL);

	assert_int_equal(interrupt(bench, second->unique, false), 0);
	assert_int_equal(bench->tree->cancels, 1);
	assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 1);
	fuse_bench_take_error(bench, second, -EINTR);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 0);
	assert_int_equal(interrupt(bench, first->unique, true), 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, first, -EINTR);
}

static void an_interrupt_that_finds_nothing_says_so(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *sent = fuse_bench_hold(bench, REQUESTS, NULL);

	assert_int_equal(interrupt(bench, sent->unique + 100, false), 16);
	assert_int_equal(bench->error, -EAGAIN);
	assert_int_equal(interrupt(bench, sent->unique + 100, true), 0);
	assert_int_equal(bench->tree->cancels, 0);
	fake_tree_end(bench->tree, 0);
	/* It is over, though not answered. */
	assert_int_equal(interrupt(bench, sent->unique, false), 16);
	assert_int_equal(bench->tree->cancels, 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, sent, 0);
}

/*
 * The tree is told once, and may go on if it has begun. EAGAIN would bring the same INTERRUPT again
 * at once, for as long as it does.
 */
static void a_call_may_go_on_after_an_interrupt(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *sent = fuse_bench_hold(bench, REQUESTS, NULL);

	bench->tree->deaf = true;
	assert_int_equal(interrupt(bench, sent->unique, false), 0);
	assert_int_equal(interrupt(bench, sent->unique, false), 0);
	assert_int_equal(bench->tree->cancels, 1);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 0);
	fake_tree_end(bench->tree, 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, sent, 0);
	/* The next one that uses the same memory can be interrupted again. */
	sent = fuse_bench_hold(bench, REQUESTS, NULL);
	bench->tree->deaf = false;
	assert_int_equal(interrupt(bench, sent->unique, false), 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, sent, -EINTR);
}

static void poll_requests(void *opaque)
{
	assert_int_equal(fuse_bench_poll(opaque, REQUESTS), 0);
}

/* The tree looks at the call until its cancel returns, whoever ended it meanwhile. */
static void a_call_outlives_its_cancel(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *sent = fuse_bench_hold(bench, REQUESTS, NULL);

	bench->tree->during = poll_requests;
	bench->tree->opaque = bench;
	assert_int_equal(interrupt(bench, sent->unique, false), 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, sent, -EINTR);
}

static void interrupts_that_are_no_interrupts_do_nothing(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *sent = fuse_bench_hold(bench, REQUESTS, NULL);
	uint64_t body[2] = {fuse_bench_u64(bench, sent->unique), 0};

	for (size_t size = 0; size <= sizeof(body); size++) {
		if (size == sizeof(body[0]))
			continue;
		fuse_bench_do(bench, &(struct fuse_bytes){
					     .opcode = FUSE_INTERRUPT, .body = body, .size = size});
		assert_int_equal(bench->reply_size, 0);
	}
	assert_int_equal(bench->tree->cancels, 0);
	fake_tree_end(bench->tree, 0);
	fuse_bench_poll(bench, REQUESTS);
	fuse_bench_take_error(bench, sent, 0);
}

static void cancel_ends_the_calls_of_one_queue(void **state)
{
	struct fuse_bench *bench = *state;
	const struct fs_session_ops *ops = bench->session->ops;
	struct fuse_sent *first = fuse_bench_hold(bench, REQUESTS, NULL);
	struct fuse_sent *second = fuse_bench_hold(bench, MORE_REQUESTS, NULL);
	struct fuse_sent *third = fuse_bench_hold(bench, REQUESTS, NULL);

	ops->cancel(bench->queues[HIPRIO]);
	assert_int_equal(bench->tree->cancels, 0);
	ops->cancel(bench->queues[REQUESTS]);
	ops->cancel(bench->queues[REQUESTS]);
	assert_int_equal(bench->tree->cancels, 2);
	assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 2);
	fuse_bench_take_error(bench, first, -EINTR);
	fuse_bench_take_error(bench, third, -EINTR);
	fake_tree_end(bench->tree, 0);
	assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 1);
	fuse_bench_take_error(bench, second, 0);
}

/* Trees that must be polled */

static int event_fd;

static int tree_fd(struct fs_tree *tree)
{
	(void)tree;
	return event_fd;
}

static int no_fd(struct fs_tree *tree)
{
	(void)tree;
	return -1;
}

static unsigned tree_poll(struct fs_tree *base)
{
	struct fake_tree *tree = (struct fake_tree *)base;
	uint64_t count;

	if (read(event_fd, &count, sizeof(count)) == (ssize_t)sizeof(count) && tree->held_count > 0)
		fake_tree_end(tree, 0);
	return 0;
}

static void a_tree_is_polled_with_its_queues(void **state)
{
	const uint64_t one = 1;

	(void)state;
	for (unsigned waitable = 0; waitable < 2; waitable++) {
		struct fake_tree *tree = fake_tree_create();
		struct fuse_bench *bench;
		struct fuse_sent *sent;

		event_fd = eventfd(0, EFD_NONBLOCK);
		tree->ops.poll = tree_poll;
		tree->ops.poll_fd = waitable ? tree_fd : no_fd;
		bench = fuse_bench_create(NULL, tree);
		fuse_bench_init(bench);
		assert_int_equal(bench->session->ops->poll_fd(bench->queues[REQUESTS]) >= 0,
				 waitable);
		sent = fuse_bench_hold(bench, REQUESTS, NULL);
		assert_int_equal(fuse_bench_poll(bench, REQUESTS), 0);
		assert_int_equal(write(event_fd, &one, sizeof(one)), sizeof(one));
		assert_int_equal(fuse_bench_readable(bench, REQUESTS), waitable);
		/* Any queue's poll helps the tree; the reply is the own queue's. */
		assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 0);
		assert_int_equal(fuse_bench_readable(bench, REQUESTS), waitable);
		assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
		assert_false(fuse_bench_readable(bench, REQUESTS));
		fuse_bench_take_error(bench, sent, 0);
		fuse_bench_destroy(bench);
		close(event_fd);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(replies_come_by_poll_in_the_order_of_the_tree),
		TEST(each_queue_gets_its_own),
		TEST(calls_may_end_before_their_operation_returns),
		TEST(a_queue_can_be_full_of_calls_that_wait),
		TEST(names_and_entries_outlive_their_submit),
		TEST(interrupt_ends_a_call_of_any_queue),
		TEST(an_interrupt_that_finds_nothing_says_so),
		TEST(a_call_may_go_on_after_an_interrupt),
		TEST(a_call_outlives_its_cancel),
		TEST(interrupts_that_are_no_interrupts_do_nothing),
		TEST(cancel_ends_the_calls_of_one_queue),
		cmocka_unit_test(a_tree_is_polled_with_its_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
