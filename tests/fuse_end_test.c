/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions that end, by INIT, DESTROY or a reset, while calls are in the tree. */
#include <errno.h>

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

static void an_init_waits_for_the_calls_of_the_old_session(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *first = fuse_bench_hold(bench, REQUESTS, NULL);
	struct fuse_sent *second = fuse_bench_hold(bench, MORE_REQUESTS, NULL);
	struct fuse_sent *init;

	bench->tree->deaf = true;
	init = fuse_bench_send_init(bench, REQUESTS);
	assert_int_equal(init->submit, FS_QUEUED);
	assert_int_equal(bench->tree->cancels, 2);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 0);
	/* There is no session now. */
	assert_int_equal(fuse_bench_ask(bench), -EIO);
	fuse_bench_do(bench, &(struct fuse_bytes){
				     .opcode = FUSE_FORGET, .body = "\1\1\1\1\1\1\1", .size = 8});
	assert_int_equal(bench->tree->line_count, 2);
	/* One INIT at a time. */
	fuse_bench_take(bench, fuse_bench_send_init(bench, MORE_REQUESTS));
	assert_int_equal(bench->error, -EIO);
	fake_tree_end(bench->tree, 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, first, 0);
	assert_int_equal(bench->tree->resets, 0);
	assert_false(fuse_bench_readable(bench, REQUESTS));
	fake_tree_end(bench->tree, -EROFS);
	assert_true(fuse_bench_readable(bench, REQUESTS));
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, init, 0);
	assert_int_equal(bench->tree->resets, 1);
	assert_int_equal(bench->tree->starts, 2);
	assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 1);
	fuse_bench_take_error(bench, second, -EROFS);
	assert_int_equal(fuse_bench_ask(bench), 0);
}

struct inside {
	struct fuse_bench *bench;
	struct fuse_sent *init;
};

/* A thread of another queue, while the first is in the tree. */
static void say_init(void *opaque)
{
	struct inside *inside = opaque;
	struct fuse_bench *bench = inside->bench;

	inside->init = fuse_bench_send_init(bench, MORE_REQUESTS);
	assert_int_equal(inside->init->submit, FS_QUEUED);
	assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 0);
	assert_int_equal(bench->tree->resets, 0);
	/* Nobody wakes the queue when the thread has left the tree: it has to look. */
	assert_true(fuse_bench_readable(bench, MORE_REQUESTS));
}

static void an_init_waits_for_threads_in_the_tree(void **state)
{
	struct fuse_bench *bench = *state;
	struct inside inside = {.bench = bench};

	bench->tree->during = say_init;
	bench->tree->opaque = &inside;
	assert_int_equal(fuse_bench_ask(bench), 0);
	assert_int_equal(fuse_bench_ask(bench), -EIO);
	assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 1);
	fuse_bench_take_error(bench, inside.init, 0);
	assert_int_equal(bench->tree->resets, 1);
	assert_int_equal(fuse_bench_ask(bench), 0);
}

/* The same with a call that the thread leaves in the tree. */
static void an_init_waits_for_what_threads_leave_in_the_tree(void **state)
{
	struct fuse_bench *bench = *state;
	struct inside inside = {.bench = bench};
	struct fuse_sent *sent;

	bench->tree->during = say_init;
	bench->tree->opaque = &inside;
	sent = fuse_bench_hold(bench, REQUESTS, NULL);
	assert_int_equal(bench->tree->cancels, 0);
	assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 1);
	fuse_bench_take_error(bench, inside.init, 0);
	assert_int_equal(bench->tree->cancels, 1);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, sent, -EINTR);
}

/* What was cancelled at once is answered, each in the byte order in which it was asked. */
static void an_init_of_the_other_byte_order_ends_calls(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *sent = fuse_bench_hold(bench, REQUESTS, NULL);
	struct fuse_sent *init;

	bench->big = !bench->big;
	init = fuse_bench_send_init(bench, REQUESTS);
	assert_int_equal(init->submit, FS_DONE);
	fuse_bench_take(bench, init);
	assert_int_equal(bench->error, 0);
	assert_int_equal(fuse_bench_ask(bench), 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	bench->big = !bench->big;
	fuse_bench_take_error(bench, sent, -EINTR);
	bench->big = !bench->big;
	assert_int_equal(fuse_bench_ask(bench), 0);
}

static void a_destroy_waits_too(void **state)
{
	struct fuse_bench *bench = *state;
	struct fuse_sent *sent = fuse_bench_hold(bench, MORE_REQUESTS, NULL);
	struct fuse_sent *destroy;

	bench->tree->deaf = true;
	destroy = fuse_bench_send(bench, REQUESTS, &(struct fuse_bytes){.opcode = FUSE_DESTROY});
	assert_int_equal(destroy->submit, FS_QUEUED);
	/* The queue is to stop: the calls are cancelled already, and the rest is up to them. */
	bench->session->ops->cancel(bench->queues[REQUESTS]);
	bench->session->ops->cancel(bench->queues[MORE_REQUESTS]);
	assert_int_equal(bench->tree->cancels, 1);
	fake_tree_end(bench->tree, 0);
	assert_int_equal(fuse_bench_poll(bench, MORE_REQUESTS), 1);
	fuse_bench_take_error(bench, sent, 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, destroy, 0);
	assert_int_equal(bench->tree->resets, 1);
	assert_int_equal(fuse_bench_ask(bench), -EIO);
}

static void a_reset_makes_the_session_new(void **state)
{
	struct fuse_bench *bench = *state;
	const struct fs_session_ops *ops = bench->session->ops;
	struct fuse_sent *sent = fuse_bench_hold(bench, REQUESTS, NULL);

	ops->cancel(bench->queues[REQUESTS]);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 1);
	fuse_bench_take_error(bench, sent, -EINTR);
	for (unsigned i = 0; i < FUSE_BENCH_QUEUES; i++)
		ops->queue_close(bench->queues[i]);
	ops->reset(bench->session);
	assert_int_equal(bench->tree->resets, 1);
	ops->reset(bench->session);
	assert_int_equal(bench->tree->resets, 1);
	for (unsigned i = 0; i < FUSE_BENCH_QUEUES; i++)
		bench->queues[i] = ops->queue_open(
			bench->session, i ? FS_QUEUE_REQUEST : FS_QUEUE_HIPRIO, FUSE_BENCH_DEPTH);
	assert_int_equal(fuse_bench_ask(bench), -EIO);
	fuse_bench_init(bench);
	assert_int_equal(fuse_bench_ask(bench), 0);
}

static void a_tree_that_cannot_cancel_is_waited_for(void **state)
{
	struct fake_tree *tree = fake_tree_create();
	struct fuse_bench *bench;
	struct fuse_sent *sent, *init;

	(void)state;
	tree->ops.cancel = NULL;
	bench = fuse_bench_create(NULL, tree);
	fuse_bench_init(bench);
	sent = fuse_bench_hold(bench, REQUESTS, NULL);
	init = fuse_bench_send_init(bench, REQUESTS);
	assert_int_equal(init->submit, FS_QUEUED);
	fake_tree_end(tree, 0);
	assert_int_equal(fuse_bench_poll(bench, REQUESTS), 2);
	fuse_bench_take_error(bench, sent, 0);
	fuse_bench_take_error(bench, init, 0);
	fuse_bench_destroy(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_init_waits_for_the_calls_of_the_old_session),
		TEST(an_init_waits_for_threads_in_the_tree),
		TEST(an_init_waits_for_what_threads_leave_in_the_tree),
		TEST(an_init_of_the_other_byte_order_ends_calls),
		TEST(a_destroy_waits_too),
		TEST(a_reset_makes_the_session_new),
		cmocka_unit_test(a_tree_that_cannot_cancel_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
