/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * INTERRUPT through the bridge. A kernel that reads EAGAIN as its answer sends it again at once, so
 * a device that answers so for as long as it has not begun with the message would keep both busy.
 * Such a device takes all the slots, too.
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

/* A session that has not begun with anything: it keeps requests until it is let go. */
struct idler {
	struct fs_session base;
	struct fs_session_queue queues[BRIDGE_QUEUES + 1];
	unsigned queue_count;
	struct fs_request *kept[BRIDGE_SLOTS];
	unsigned kept_count;
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
		assert_in_range(idler->kept_count, 0, BRIDGE_SLOTS - 1);
		idler->kept[idler->kept_count++] = request;
		return FS_QUEUED;
	}
	idler->interrupts++;
	reply(request, -EAGAIN);
	return FS_DONE;
}

static unsigned idler_poll(struct fs_session_queue *queue)
{
	struct idler *idler = (struct idler *)queue->session;
	unsigned count = idler->kept_count;

	if (!idler->let_go)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		reply(idler->kept[i], -EIO);
		idler->kept[i]->done(idler->kept[i]);
	}
	idler->kept_count = 0;
	return count;
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

static void while_no_slot_is_free_nothing_is_read(void **state)
{
	struct idler idler = {.base.ops = &idler_ops};
	struct bridge_stage *stage = bridge_stage_create(&idler.base);
	struct pollfd fds[BRIDGE_QUEUES + 2];
	void *to_end = stage;
	int timeout;

	(void)state;
	for (unsigned i = 0; i <= BRIDGE_SLOTS; i++)
		bridge_ask(stage, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_int_equal(idler.kept_count, BRIDGE_SLOTS);
	assert_int_equal(stage->bridge.in_flight, BRIDGE_SLOTS);
	assert_int_equal(vqsim_fuse_bridge_wait(&stage->bridge, fds, BRIDGE_QUEUES + 2, &timeout),
			 0);
	idler.let_go = true;
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_int_equal(vqsim_fuse_bridge_wait(&stage->bridge, fds, BRIDGE_QUEUES + 2, &timeout),
			 1);
	assert_int_equal(fds[0].fd, stage->bridge.fd);
	vqsim_fuse_bridge_step(&stage->bridge);
	vqsim_fuse_bridge_step(&stage->bridge);
	for (unsigned i = 0; i <= BRIDGE_SLOTS; i++)
		assert_true(bridge_answered(stage));
	assert_int_equal(stage->bridge.in_flight, 0);
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

/* Even if what came behind it filled hiprio, so that the device had to work in between. */
static void one_that_comes_in_a_crowd_finds_its_message(void **state)
{
	struct bridge_stage *stage = *state;
	const struct fuse_forget_in forget = {0};
	struct pollfd fds[BRIDGE_QUEUES + 2];
	struct fuse_interrupt_in in;
	uint64_t node, handle;
	int timeout;

	bridge_begin(stage);
	node = bridge_create(stage, &handle);
	bridge_ask_lock(stage, node, handle, 1);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(bridge_answered(stage));
	in.unique = bridge_ask_lock(stage, node, handle, 2);
	bridge_ask(stage, FUSE_INTERRUPT, 0, &in, sizeof(in));
	for (unsigned i = 0; i < BRIDGE_QUEUE_SIZE; i++)
		bridge_ask(stage, FUSE_FORGET, node, &forget, sizeof(forget));
	vqsim_fuse_bridge_step(&stage->bridge);
	if (!bridge_answered(stage)) {
		unsigned count =
			vqsim_fuse_bridge_wait(&stage->bridge, fds, BRIDGE_QUEUES + 2, &timeout);

		assert_int_equal(poll(fds, count, 0), 1);
		vqsim_fuse_bridge_step(&stage->bridge);
		assert_true(bridge_answered(stage));
	}
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
		cmocka_unit_test(while_no_slot_is_free_nothing_is_read),
		TEST(one_that_comes_with_its_message_finds_it),
		cmocka_unit_test_setup_teardown(one_that_comes_in_a_crowd_finds_its_message,
						bridge_set_up_wide, bridge_tear_down),
		TEST(one_that_comes_too_late_is_dropped),
	};

	return cmocka_run_group_tests_name("fuse_bridge_interrupt", tests, NULL, NULL);
}
