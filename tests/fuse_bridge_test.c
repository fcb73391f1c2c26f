/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bridge between the messages of a kernel and a file-system device. The kernel is the
 * other end of a socket here, which keeps messages apart as /dev/fuse does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/bridge_stage.h"

static void a_file_that_is_written_is_read_again(void **state)
{
	struct bridge_stage *stage = *state;
	struct {
		struct fuse_write_in in;
		uint8_t data[3000];
	} args = {.in = {.size = sizeof(args.data), .flags = O_RDWR}};
	uint64_t node;

	bridge_begin(stage);
	node = bridge_create(stage, &args.in.fh);
	memset(args.data, 'x', sizeof(args.data));
	assert_int_equal(bridge_call(stage, FUSE_WRITE, node, &args, sizeof(args)), 0);
	assert_int_equal(bridge_call(stage, FUSE_READ, node, &args.in, sizeof(args.in)), 0);
	assert_int_equal(stage->reply.header.len, sizeof(stage->reply.header) + sizeof(args.data));
	assert_memory_equal(stage->reply.payload, args.data, sizeof(args.data));
	assert_int_equal(stage->bridge.bytes, 2 * sizeof(args.data));
	assert_int_equal(stage->bridge.requests, 4);
	assert_int_equal(stage->violations, 0);
}

static void init_allows_no_more_than_the_slots_hold(void **state)
{
	struct bridge_stage *stage = *state;
	struct fuse_init_out out;

	bridge_begin(stage);
	memcpy(&out, stage->reply.payload, sizeof(out));
	assert_int_equal(out.max_write, BRIDGE_MAX_WRITE);
	assert_int_equal(out.max_pages, BRIDGE_MAX_WRITE / 4096);
}

static void requests_go_in_turn_to_the_request_queues_and_forget_to_hiprio(void **state)
{
	struct bridge_stage *stage = *state;
	const struct fuse_forget_in forget = {.nlookup = 1};
	const struct fuse_getattr_in in = {0};
	uint64_t node, handle;

	bridge_begin(stage);
	node = bridge_create(stage, &handle);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(bridge_call(stage, FUSE_GETATTR, node, &in, sizeof(in)), 0);
	assert_int_equal(stage->guest.link.queues[0].kicks, 0);
	assert_int_equal(stage->guest.link.queues[1].kicks, 3);
	assert_int_equal(stage->guest.link.queues[2].kicks, 3);
	bridge_ask(stage, FUSE_FORGET, node, &forget, sizeof(forget));
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_false(bridge_answered(stage));
	assert_int_equal(stage->guest.link.queues[0].kicks, 1);
	assert_int_equal(stage->guest.link.queues[2].kicks, 3);
}

static void more_messages_than_slots_are_all_answered(void **state)
{
	struct bridge_stage *stage = *state;
	const struct fuse_getattr_in in = {0};
	unsigned count = 0;

	bridge_begin(stage);
	for (unsigned i = 0; i < 4 * BRIDGE_SLOTS; i++)
		bridge_ask(stage, FUSE_GETATTR, FUSE_ROOT_ID, &in, sizeof(in));
	for (unsigned i = 0; i < 4; i++) {
		vqsim_fuse_bridge_step(&stage->bridge);
		while (bridge_answered(stage))
			count++;
	}
	assert_int_equal(count, 4 * BRIDGE_SLOTS);
	assert_int_equal(stage->violations, 0);
}

static void a_lock_that_waits_holds_up_nobody_and_can_be_interrupted(void **state)
{
	struct bridge_stage *stage = *state;
	struct pollfd fds[BRIDGE_QUEUES + 2];
	struct fuse_interrupt_in interrupt;
	uint64_t node, handle, unique;
	int timeout;

	bridge_begin(stage);
	node = bridge_create(stage, &handle);
	bridge_ask_lock(stage, node, handle, 1);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(bridge_answered(stage));
	assert_int_equal(stage->reply.header.error, 0);
	interrupt.unique = bridge_ask_lock(stage, node, handle, 2);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_false(bridge_answered(stage));

	/* Both the kernel and the device are waited for, without a limit. */
	assert_int_equal(vqsim_fuse_bridge_wait(&stage->bridge, fds, BRIDGE_QUEUES + 2, &timeout),
			 2);
	assert_int_equal(fds[0].fd, stage->bridge.fd);
	assert_int_equal(timeout, -1);

	unique = bridge_ask(stage, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(bridge_answered(stage));
	assert_int_equal(stage->reply.header.unique, unique);

	bridge_ask(stage, FUSE_INTERRUPT, 0, &interrupt, sizeof(interrupt));
	vqsim_fuse_bridge_step(&stage->bridge);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(bridge_answered(stage));
	assert_int_equal(stage->reply.header.unique, interrupt.unique);
	assert_int_equal(stage->reply.header.error, -EINTR);
	assert_int_equal(stage->violations, 0);
}

/* The device has answered all that fills the rings before the bridge is asked what to wait for. */
static void what_no_ring_had_room_for_is_not_left_behind(void **state)
{
	struct bridge_stage *stage = *state;
	const unsigned count = BRIDGE_QUEUES * BRIDGE_QUEUE_SIZE + 1;
	const struct fuse_getattr_in in = {0};

	bridge_begin(stage);
	for (unsigned i = 0; i < count; i++)
		bridge_ask(stage, FUSE_GETATTR, FUSE_ROOT_ID, &in, sizeof(in));
	vqsim_fuse_bridge_step(&stage->bridge);
	for (unsigned i = 0; i < count; i++)
		assert_true(bridge_answered(stage));
	assert_int_equal(stage->bridge.in_flight, 0);
	assert_int_equal(stage->violations, 0);
}

static void a_kernel_that_is_gone_ends_the_bridge(void **state)
{
	struct bridge_stage *stage = *state;

	bridge_begin(stage);
	close(stage->kernel);
	stage->kernel = -1;
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(stage->bridge.over);
	assert_int_equal(stage->bridge.error, 0);
}

static void what_is_no_message_ends_the_bridge(void **state)
{
	struct bridge_stage *stage = *state;
	const struct fuse_in_header header = {.len = 1000, .opcode = FUSE_STATFS};

	assert_int_equal(send(stage->kernel, &header, sizeof(header), 0), sizeof(header));
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(stage->bridge.over);
	assert_int_equal(stage->bridge.error, -EPROTO);
}

/* A device whose answers are wrong */

/* The violation is recorded, and whoever asked gets an error all the same. */
static void expect_caught(struct bridge_stage *stage, uint32_t opcode, enum vqsim_rule rule)
{
	const struct fuse_read_in in = {.size = 8};

	assert_int_equal(bridge_call(stage, opcode, FUSE_ROOT_ID, &in, sizeof(in)), -EIO);
	assert_int_equal(stage->reply.header.len, sizeof(stage->reply.header));
	assert_int_equal(stage->violations, 1);
	assert_int_equal(stage->rule, rule);
}

static void a_message_without_a_reply_is_caught(void **state)
{
	struct bridge_stage *stage = *state;

	expect_caught(stage, FUSE_STATFS, VQSIM_RULE_FS_REPLY);
}

static void a_reply_to_something_else_is_caught(void **state)
{
	struct bridge_stage *stage = *state;

	stage->parrot.header.len = sizeof(struct fuse_out_header);
	stage->parrot.other_unique = true;
	expect_caught(stage, FUSE_ACCESS, VQSIM_RULE_FS_REPLY);
}

static void a_reply_of_the_wrong_size_is_caught(void **state)
{
	struct bridge_stage *stage = *state;

	stage->parrot.header.len = sizeof(struct fuse_out_header) + 8;
	expect_caught(stage, FUSE_GETATTR, VQSIM_RULE_FS_PAYLOAD);
}

static void an_error_that_is_none_is_caught(void **state)
{
	struct bridge_stage *stage = *state;

	stage->parrot.header.len = sizeof(struct fuse_out_header);
	stage->parrot.header.error = 5;
	expect_caught(stage, FUSE_ACCESS, VQSIM_RULE_FS_REPLY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bridge_set_up, bridge_tear_down)
#define TEST_PARROT(name) \
	cmocka_unit_test_setup_teardown(name, bridge_set_up_parrot, bridge_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_is_written_is_read_again),
		TEST(init_allows_no_more_than_the_slots_hold),
		TEST(requests_go_in_turn_to_the_request_queues_and_forget_to_hiprio),
		TEST(more_messages_than_slots_are_all_answered),
		TEST(a_lock_that_waits_holds_up_nobody_and_can_be_interrupted),
		cmocka_unit_test_setup_teardown(what_no_ring_had_room_for_is_not_left_behind,
						bridge_set_up_wide, bridge_tear_down),
		TEST(a_kernel_that_is_gone_ends_the_bridge),
		TEST(what_is_no_message_ends_the_bridge),
		TEST_PARROT(a_message_without_a_reply_is_caught),
		TEST_PARROT(a_reply_to_something_else_is_caught),
		TEST_PARROT(a_reply_of_the_wrong_size_is_caught),
		TEST_PARROT(an_error_that_is_none_is_caught),
	};

	return cmocka_run_group_tests_name("fuse_bridge", tests, NULL, NULL);
}
