/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * More locks that are waited for than a bridge has room for. They must hold up nobody, least of all
 * whoever would end them; and each must be granted as soon as it can be, wherever it waits.
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

#define WAITERS 10u

struct file {
	uint64_t node, handle;
};

/* Owner 0 has the lock of the file, and the others wait for it. */
struct crowd {
	struct file file;
	uint64_t unique[WAITERS + 1]; /* by owner */
};

static struct file other_file(struct bridge_stage *stage)
{
	struct {
		struct fuse_create_in in;
		char name[8];
	} args = {.in = {.flags = O_RDWR, .mode = S_IFREG | 0644}, .name = "other"};
	struct fuse_entry_out entry;
	struct fuse_open_out open;

	assert_int_equal(bridge_call(stage, FUSE_CREATE, FUSE_ROOT_ID, &args, sizeof(args.in) + 6),
			 0);
	memcpy(&entry, stage->reply.payload, sizeof(entry));
	memcpy(&open, stage->reply.payload + sizeof(entry), sizeof(open));
	return (struct file){entry.nodeid, open.fh};
}

static uint64_t ask_lock(struct bridge_stage *stage, const struct file *file, uint64_t owner)
{
	return bridge_ask_lock(stage, file->node, file->handle, owner);
}

static void unlock(struct bridge_stage *stage, const struct file *file, uint64_t owner)
{
	const struct fuse_lk_in in = {
		.fh = file->handle,
		.owner = owner,
		.lk = {.type = F_UNLCK, .end = INT64_MAX},
		.lk_flags = FUSE_LK_FLOCK,
	};

	assert_int_equal(bridge_call(stage, FUSE_SETLK, file->node, &in, sizeof(in)), 0);
}

static void expect_answer(struct bridge_stage *stage, uint64_t unique, int32_t error)
{
	assert_true(bridge_answered(stage));
	assert_int_equal(stage->reply.header.unique, unique);
	assert_int_equal(stage->reply.header.error, error);
}

static void gather(struct bridge_stage *stage, struct crowd *crowd)
{
	bridge_begin(stage);
	crowd->file.node = bridge_create(stage, &crowd->file.handle);
	for (uint64_t owner = 0; owner <= WAITERS; owner++) {
		crowd->unique[owner] = ask_lock(stage, &crowd->file, owner);
		vqsim_fuse_bridge_step(&stage->bridge);
	}
	expect_answer(stage, crowd->unique[0], 0);
	assert_false(bridge_answered(stage));
	assert_int_equal(stage->bridge.locks, stage->bridge.lock_max);
	assert_int_equal(stage->bridge.locks + stage->bridge.parked_count, WAITERS);
}

static void expect_nobody_waits(struct bridge_stage *stage)
{
	assert_false(bridge_answered(stage));
	assert_int_equal(stage->bridge.in_flight, 0);
	assert_int_equal(stage->bridge.locks, 0);
	assert_int_equal(stage->bridge.parked_count, 0);
	assert_int_equal(stage->violations, 0);
}

static void an_unlock_gets_past_all_that_wait_and_each_has_its_turn(void **state)
{
	struct bridge_stage *stage = *state;
	struct crowd crowd;

	gather(stage, &crowd);
	for (uint64_t owner = 0; owner < WAITERS; owner++) {
		unlock(stage, &crowd.file, owner);
		vqsim_fuse_bridge_step(&stage->bridge);
		expect_answer(stage, crowd.unique[owner + 1], 0);
	}
	expect_nobody_waits(stage);
}

/* Or it could wait for somebody who waits for it. */
static void one_that_waits_here_does_not_wait_for_those_in_the_device(void **state)
{
	struct bridge_stage *stage = *state;
	struct crowd crowd;
	struct file other;
	uint64_t unique;

	gather(stage, &crowd);
	other = other_file(stage);
	unique = ask_lock(stage, &other, 1);
	vqsim_fuse_bridge_step(&stage->bridge);
	expect_answer(stage, unique, 0);
	unique = ask_lock(stage, &other, 2);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_false(bridge_answered(stage));
	unlock(stage, &other, 1);
	expect_answer(stage, unique, 0);
	assert_int_equal(stage->bridge.locks, stage->bridge.lock_max);
	assert_int_equal(stage->violations, 0);
}

static void each_can_be_interrupted_wherever_it_waits(void **state)
{
	struct bridge_stage *stage = *state;
	struct crowd crowd;

	gather(stage, &crowd);
	for (uint64_t owner = WAITERS; owner > 0; owner--) {
		const struct fuse_interrupt_in in = {.unique = crowd.unique[owner]};

		bridge_ask(stage, FUSE_INTERRUPT, 0, &in, sizeof(in));
		vqsim_fuse_bridge_step(&stage->bridge);
		vqsim_fuse_bridge_step(&stage->bridge);
		expect_answer(stage, in.unique, -EINTR);
	}
	expect_nobody_waits(stage);
}

/* The tear-down ends those that wait, in the device and here. */
static void others_are_served_while_they_wait(void **state)
{
	struct bridge_stage *stage = *state;
	const struct fuse_forget_in forget = {.nlookup = 1};
	struct pollfd fds[BRIDGE_QUEUES + 2];
	struct crowd crowd;
	int timeout;

	gather(stage, &crowd);
	assert_int_equal(bridge_call(stage, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0), 0);
	bridge_ask(stage, FUSE_FORGET, crowd.file.node, &forget, sizeof(forget));
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_int_equal(stage->fs.lookups.total, 0);
	vqsim_fuse_bridge_wait(&stage->bridge, fds, BRIDGE_QUEUES + 2, &timeout);
	assert_int_equal(fds[0].fd, stage->bridge.fd);
	assert_int_equal(timeout, -1);
	assert_false(bridge_answered(stage));
	assert_int_equal(stage->violations, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bridge_set_up, bridge_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_unlock_gets_past_all_that_wait_and_each_has_its_turn),
		TEST(one_that_waits_here_does_not_wait_for_those_in_the_device),
		TEST(each_can_be_interrupted_wherever_it_waits),
		TEST(others_are_served_while_they_wait),
	};

	return cmocka_run_group_tests_name("fuse_bridge_lock", tests, NULL, NULL);
}
