/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs as lists of operations: each scenario ends as it says, with no rule broken, and does so
 * again; operations that ask for the impossible are left out; printing says all of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/blk/blk.h"
#include "devices/null/null.h"
#include "support/scenarios.h"

struct stage {
	struct vqsim_player player;
	struct virtio_device *device;
	struct blk_store *store;
};

static void stage_finish(struct stage *stage)
{
	vqsim_player_finish(&stage->player);
	stage->device->ops->destroy(stage->device);
	if (stage->store)
		stage->store->ops->destroy(stage->store);
	free(stage);
}

static struct stage *ring_stage(void)
{
	struct stage *stage = calloc(1, sizeof(*stage));

	assert_non_null(stage);
	assert_int_equal(null_create(&stage->device, 2, VQSIM_PLAYER_QUEUE_SIZE, NULL_FILL), 0);
	assert_int_equal(vqsim_player_init(&stage->player, stage->device, NULL), 0);
	return stage;
}

static struct stage *blk_stage(void)
{
	const struct blk_options options = {
		.queue_count = 2,
		.queue_size_max = VQSIM_PLAYER_QUEUE_SIZE,
		.id = "scenario",
	};
	struct stage *stage = calloc(1, sizeof(*stage));

	assert_non_null(stage);
	assert_int_equal(blk_store_ram_create(&stage->store, SCENARIO_DISK_SIZE), 0);
	assert_int_equal(blk_create(&stage->device, &options, stage->store), 0);
	assert_int_equal(vqsim_player_init(&stage->player, stage->device, stage->store), 0);
	return stage;
}

static void play(struct stage *stage, const struct scenario *scenario)
{
	struct vqsim_player *player = &stage->player;
	uint64_t before = player->counts.completed;

	if (vqsim_trace_run(player, scenario->ops, scenario->count) > 0)
		fail_msg("%s: %s", scenario->name, player->referee.first.detail);
	if (player->counts.completed - before != scenario->completed)
		fail_msg("%s: %u completed", scenario->name,
			 (unsigned)(player->counts.completed - before));
	if (player->asked_for_reset != scenario->asked_for_reset)
		fail_msg("%s: the device %s for a reset", scenario->name,
			 player->asked_for_reset ? "asked" : "did not ask");
}

static void ring_scenarios_end_as_they_say(void **state)
{
	struct stage *stage = ring_stage();

	(void)state;
	for (unsigned i = 0; i < ring_scenario_count; i++)
		play(stage, &ring_scenarios[i]);
	stage_finish(stage);
}

static void blk_scenarios_end_as_they_say(void **state)
{
	struct stage *stage = blk_stage();

	(void)state;
	for (unsigned i = 0; i < blk_scenario_count; i++)
		play(stage, &blk_scenarios[i]);
	stage_finish(stage);
}

/* Nothing that an earlier run left behind has an influence. */
static void scenarios_do_not_depend_on_their_order(void **state)
{
	struct stage *stage = blk_stage();

	(void)state;
	for (unsigned i = blk_scenario_count; i > 0; i--) {
		play(stage, &blk_scenarios[i - 1]);
		play(stage, &blk_scenarios[i - 1]);
	}
	stage_finish(stage);
}

/* Chains do what they can on the other device too, and block requests are left out there. */
static void scenarios_of_the_other_device_break_no_rule(void **state)
{
	struct stage *ring = ring_stage(), *blk = blk_stage();

	(void)state;
	for (unsigned i = 0; i < blk_scenario_count; i++)
		assert_int_equal(vqsim_trace_run(&ring->player, blk_scenarios[i].ops,
						 blk_scenarios[i].count),
				 0);
	for (unsigned i = 0; i < ring_scenario_count; i++)
		assert_int_equal(vqsim_trace_run(&blk->player, ring_scenarios[i].ops,
						 ring_scenarios[i].count),
				 0);
	stage_finish(ring);
	stage_finish(blk);
}

static void what_cannot_be_done_is_left_out(void **state)
{
	static const struct vqsim_op ops[] = {
		{.code = VQSIM_OP_CHAIN, .readable = 1, .value = 16},
		{.code = VQSIM_OP_PUBLISH},
		{.code = VQSIM_OP_RESET},
		{.code = VQSIM_OP_RUN, .queue = 9},
		UP(0, 3, 1), /* no power of two */
		{.code = VQSIM_OP_REAP},
		UP(0, 2, 200),
		{.code = VQSIM_OP_CHAIN, .readable = 2, .value = 16, .writable = 1, .size = 1},
		{.code = VQSIM_OP_BREAK, .what = 255, .at = 255, .value = 1},
		{.code = VQSIM_OP_HIDE, .at = 255},
		{.code = VQSIM_OP_HIDE, .at = 255},
	};
	struct stage *stage = ring_stage();

	(void)state;
	assert_int_equal(vqsim_trace_run(&stage->player, ops, sizeof(ops) / sizeof(ops[0])), 0);
	assert_int_equal(stage->player.counts.completed, 0);
	stage_finish(stage);
}

static void count_violation(void *opaque, const struct vqsim_violation *violation)
{
	(void)violation;
	++*(unsigned *)opaque;
}

/* A device behind which the store loses what is written: the model disk notices. */
static void a_wrong_disk_is_noticed(void **state)
{
	static const struct vqsim_op write[] = {
		UP(0, 8, 1), {.code = VQSIM_OP_BLK, .what = VQSIM_BLK_OUT, .size = 512},
		TRIP,        {.code = VQSIM_OP_BLK, .what = VQSIM_BLK_IN, .size = 512},
		TRIP,
	};
	struct stage *stage = blk_stage();
	unsigned noticed = 0;

	(void)state;
	stage->player.referee.sink = count_violation;
	stage->player.referee.opaque = &noticed;
	assert_int_equal(vqsim_trace_run(&stage->player, write, sizeof(write) / sizeof(write[0])),
			 0);
	/* The model is told of a sector that the disk does not hold. */
	memset(stage->player.zeroes, 1, 512);
	assert_int_not_equal(
		vqsim_trace_run(&stage->player, write + 3, sizeof(write) / sizeof(write[0]) - 3),
		0);
	assert_int_not_equal(noticed, 0);
	assert_int_equal(stage->player.referee.first.rule, VQSIM_RULE_DATA);
	stage_finish(stage);
}

static void print(const struct vqsim_op *op, char *line, size_t room)
{
	FILE *out = fmemopen(line, room, "w");

	assert_non_null(out);
	vqsim_op_print(out, op);
	fclose(out);
}

static void operations_print_as_words(void **state)
{
	static const struct vqsim_op chain = {
		.code = VQSIM_OP_CHAIN,
		.layout = VQSIM_MIXED,
		.place = VQSIM_CROSSING,
		.readable = 2,
		.value = 16,
		.writable = 3,
		.size = 65,
	};
	static const struct vqsim_op broken = BREAK(NEXT, 2, 0xffff);
	static const struct vqsim_op ranges = {
		.code = VQSIM_OP_BLK,
		.queue = 1,
		.what = VQSIM_BLK_DISCARD,
		.value = 7,
		.size = 32,
		.count = 3,
	};
	char line[256];

	(void)state;
	print(&chain, line, sizeof(line));
	assert_string_equal(line, "chain      queue 0 mixed, crossing regions, "
				  "16 readable bytes in 2, 65 writable in 3\n");
	print(&broken, line, sizeof(line));
	assert_string_equal(line, "break      queue 0 descriptor next 0xffff at 2, "
				  "direct if it makes a chain\n");
	print(&ranges, line, sizeof(line));
	assert_string_equal(line, "blk        queue 1 discard, direct, sector 7, 32 bytes, "
				  "segments of 3 sectors, flags 0\n");
	for (unsigned code = 0; code < VQSIM_OP_COUNT; code++) {
		const struct vqsim_op op = {.code = code};

		print(&op, line, sizeof(line));
		assert_int_equal(strcspn(line, "\n"), strlen(line) - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_scenarios_end_as_they_say),
		cmocka_unit_test(blk_scenarios_end_as_they_say),
		cmocka_unit_test(scenarios_do_not_depend_on_their_order),
		cmocka_unit_test(scenarios_of_the_other_device_break_no_rule),
		cmocka_unit_test(what_cannot_be_done_is_left_out),
		cmocka_unit_test(a_wrong_disk_is_noticed),
		cmocka_unit_test(operations_print_as_words),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
