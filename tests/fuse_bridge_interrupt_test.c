/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * INTERRUPT through the bridge. A kernel that reads EAGAIN as its answer sends it again at once, so
 * a device that answers so for as long as it has not begun with the message would keep both busy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "tests/support/bridge_stage.h"

/* A session that has not begun with anything: it keeps one request until it is let go. */
struct idler {
	struct fs_session base;
	struct fs_session_queue queues[BRIDGE_QUEUES + 1];
	unsigned queue_count;
	struct fs_request *kept;
	bool let_go;
	unsigned interrupts;
};

static struct fs_session_queue *idler_open(struct fs_session *session, enum fs_queue_kind kind,
					   uint16_t depth)
{
	struct idler *idler = (struct idler *)session;
	struct fs_session_queue *queue = &idler->queues[idler->queue_count++];

	(void)kind;
	(void)depth;
	queue->session = session;
	return queue;
}

static void idler_close(struct fs_session_queue *queue)
{
	(void)queue;
}

static void reply(struct fs_request *request, int32_t error)
{
	struct fuse_out_header header = {.len = sizeof(header), .error = error};
	struct fuse_in_header in;

	iov_window_read(&request->in, &in, sizeof(in));
	header.unique = in.unique;
	request->reply_size = iov_window_write(&request->out, &header, sizeof(header));
}

static enum fs_submit idler_submit(struct fs_session_queue *queue, struct fs_request *request)
{
	struct idler *idler = (struct idler *)queue->session;
	struct fuse_in_header in;

	iov_window_read(&request->in, &in, sizeof(in));
	if (in.opcode != FUSE_INTERRUPT) {
		idler->kept = request;
		return FS_QUEUED;
	}
	idler->interrupts++;
	reply(request, -EAGAIN);
	return FS_DONE;
}

static unsigned idler_poll(struct fs_session_queue *queue)
{
	struct idler *idler = (struct idler *)queue->session;
	struct fs_request *request = idler->kept;

	if (!idler->let_go || !request)
		return 0;
	idler->kept = NULL;
	reply(request, -EIO);
	request->done(request);
	return 1;
}

static void idler_cancel(struct fs_session_queue *queue)
{
	struct idler *idler = (struct idler *)queue->session;

	idler->let_go = true;
}

static void idler_reset(struct fs_session *session)
{
	(void)session;
}

static const struct fs_session_ops idler_ops = {
	.name = "idler",
	.queue_open = idler_open,
	.queue_close = idler_close,
	.submit = idler_submit,
	.poll = idler_poll,
	.cancel = idler_cancel,
	.reset = idler_reset,
	.destroy = idler_reset,
};

static void the_kernel_is_not_told_to_send_it_again(void **state)
{
	struct idler idler = {.base.ops = &idler_ops};
	struct bridge_stage *stage = bridge_stage_create(&idler.base);
	const struct fuse_interrupt_in in = {
		.unique = bridge_ask(stage, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0)};
	void *to_end = stage;

	(void)state;
	bridge_ask(stage, FUSE_INTERRUPT, 0, &in, sizeof(in));
	for (unsigned steps = 1; steps < 5; steps++) {
		vqsim_fuse_bridge_step(&stage->bridge);
		assert_false(bridge_answered(stage));
		/* The device sees it again when there is reason for a step. */
		assert_int_equal(idler.interrupts, steps);
	}
	idler.let_go = true;
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(bridge_answered(stage));
	assert_int_equal(stage->reply.header.unique, in.unique);
	idler.interrupts = 0;
	for (unsigned steps = 0; steps < 3; steps++)
		vqsim_fuse_bridge_step(&stage->bridge);
	assert_int_equal(idler.interrupts, 0);
	assert_false(bridge_answered(stage));
	assert_int_equal(stage->bridge.in_flight, 0);
	assert_int_equal(stage->violations, 0);
	bridge_tear_down(&to_end);
}

static void one_that_comes_with_its_message_finds_it(void **state)
{
	struct bridge_stage *stage = *state;
	struct fuse_interrupt_in in;
	uint64_t node, handle;

	bridge_begin(stage);
	node = bridge_create(stage, &handle);
	bridge_ask_lock(stage, node, handle, 1);
	in.unique = bridge_ask_lock(stage, node, handle, 2);
	bridge_ask(stage, FUSE_INTERRUPT, 0, &in, sizeof(in));
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(bridge_answered(stage));
	assert_int_equal(stage->reply.header.error, 0);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(bridge_answered(stage));
	assert_int_equal(stage->reply.header.unique, in.unique);
	assert_int_equal(stage->reply.header.error, -EINTR);
	assert_int_equal(stage->violations, 0);
}

static void one_that_comes_too_late_is_dropped(void **state)
{
	struct bridge_stage *stage = *state;
	struct fuse_interrupt_in in;

	bridge_begin(stage);
	in.unique = bridge_ask(stage, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(bridge_answered(stage));
	bridge_ask(stage, FUSE_INTERRUPT, 0, &in, sizeof(in));
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_false(bridge_answered(stage));
	assert_int_equal(stage->bridge.in_flight, 0);
	assert_int_equal(stage->violations, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bridge_set_up, bridge_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_is_not_told_to_send_it_again),
		TEST(one_that_comes_with_its_message_finds_it),
		TEST(one_that_comes_too_late_is_dropped),
	};

	return cmocka_run_group_tests_name("fuse_bridge_interrupt", tests, NULL, NULL);
}
