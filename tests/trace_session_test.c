/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs on packed rings and runs in which things change under the requests: each scenario ends as
 * it says, with no rule broken, and does so again, on whatever ring and device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/blk/blk.h"
#include "devices/null/null.h"
#include "support/scenarios.h"
#include "vqsim/breakage.h"

struct stage {
	struct vqsim_player player;
	struct virtio_device *device;
	struct vqsim_faults *faults;
};

static void stage_finish(struct stage *stage)
{
	vqsim_player_finish(&stage->player);
	stage->device->ops->destroy(stage->device);
	if (stage->faults)
		stage->faults->base.ops->destroy(&stage->faults->base);
	free(stage);
}

static struct stage *null_stage(void)
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
		.id = "session",
	};
	struct stage *stage = calloc(1, sizeof(*stage));
	struct blk_store *ram;

	assert_non_null(stage);
	assert_int_equal(blk_store_ram_create(&ram, SCENARIO_DISK_SIZE), 0);
	stage->faults = vqsim_faults_create(ram);
	assert_non_null(stage->faults);
	assert_int_equal(blk_create(&stage->device, &options, &stage->faults->base), 0);
	assert_int_equal(vqsim_player_init_faults(&stage->player, stage->device, stage->faults), 0);
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

/* Forwards and backwards: nothing that an earlier run left behind has an influence. */
static void play_all(struct stage *stage, const struct scenario *scenarios, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		play(stage, &scenarios[i]);
	for (unsigned i = count; i > 0; i--)
		play(stage, &scenarios[i - 1]);
	stage_finish(stage);
}

static void packed_scenarios_end_as_they_say(void **state)
{
	(void)state;
	play_all(null_stage(), packed_scenarios, packed_scenario_count);
}

static void session_scenarios_end_as_they_say(void **state)
{
	(void)state;
	play_all(null_stage(), session_scenarios, session_scenario_count);
	play_all(blk_stage(), session_blk_scenarios, session_blk_scenario_count);
}

static uint64_t steps_of(struct stage *stage, const struct scenario *scenario)
{
	uint64_t before = stage->player.referee.step;

	vqsim_trace_run(&stage->player, scenario->ops, scenario->count);
	return stage->player.referee.step - before;
}

/* After other runs or none, on one device or another of its kind. */
static void a_run_takes_the_same_steps_again(void **state)
{
	struct stage *used = blk_stage();

	(void)state;
	for (unsigned i = 0; i < session_blk_scenario_count; i++) {
		struct stage *fresh = blk_stage();
		uint64_t steps = steps_of(fresh, &session_blk_scenarios[i]);

		assert_true(steps > 0);
		assert_int_equal(steps_of(used, &session_blk_scenarios[i]), steps);
		assert_int_equal(steps_of(used, &session_blk_scenarios[i]), steps);
		stage_finish(fresh);
	}
	stage_finish(used);
}

static void run_all(struct stage *stage, const struct scenario *scenarios, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(
			vqsim_trace_run(&stage->player, scenarios[i].ops, scenarios[i].count), 0);
}

static void scenarios_of_the_other_device_break_no_rule(void **state)
{
	struct stage *null = null_stage(), *blk = blk_stage();

	(void)state;
	run_all(null, session_blk_scenarios, session_blk_scenario_count);
	run_all(blk, session_scenarios, session_scenario_count);
	run_all(blk, packed_scenarios, packed_scenario_count);
	run_all(blk, ring_scenarios, ring_scenario_count);
	run_all(blk, blk_scenarios, blk_scenario_count);
	stage_finish(null);
	stage_finish(blk);
}

/* Those of split rings bring the device up with packed ones. */
static void split_scenarios_break_no_rule_on_packed_rings(void **state)
{
	struct stage *stage = null_stage();
	struct vqsim_op ops[64];

	(void)state;
	for (unsigned i = 0; i < ring_scenario_count; i++) {
		unsigned count = ring_scenarios[i].count;

		assert_true(count <= 64);
		memcpy(ops, ring_scenarios[i].ops, count * sizeof(ops[0]));
		for (unsigned j = 0; j < count; j++)
			if (ops[j].code == VQSIM_OP_UP)
				ops[j].value |= VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
		assert_int_equal(vqsim_trace_run(&stage->player, ops, count), 0);
	}
	stage_finish(stage);
}

/* Every row of the table, on a ring that was used, of both formats, and another one after it. */
static void every_breakage_is_an_operation(void **state)
{
	struct stage *stages[] = {null_stage(), blk_stage()};

	(void)state;
	for (unsigned i = 0; i < 4 * vqsim_breakage_count; i++) {
		uint64_t packed = i & 1 ? VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) : 0;
		uint64_t features = VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) | packed;
		const struct vqsim_op ops[] = {
			UP(features, 8, 1),
			{.code = VQSIM_OP_CHAIN,
			 .readable = 1,
			 .value = 16,
			 .writable = 2,
			 .size = 65},
			TRIP,
			{.code = VQSIM_OP_BREAKAGE, .value = i / 4},
			{.code = VQSIM_OP_CHAIN,
			 .readable = 1,
			 .value = 16,
			 .writable = 2,
			 .size = 65},
			{.code = VQSIM_OP_BREAKAGE, .value = i / 4 + 1},
			TRIP,
		};
		struct vqsim_player *player = &stages[i >> 1 & 1]->player;

		assert_int_equal(vqsim_trace_run(player, ops, sizeof(ops) / sizeof(ops[0])), 0);
	}
	assert_true(stages[0]->player.counts.broken > vqsim_breakage_count);
	stage_finish(stages[0]);
	stage_finish(stages[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed_scenarios_end_as_they_say),
		cmocka_unit_test(session_scenarios_end_as_they_say),
		cmocka_unit_test(a_run_takes_the_same_steps_again),
		cmocka_unit_test(scenarios_of_the_other_device_break_no_rule),
		cmocka_unit_test(split_scenarios_break_no_rule_on_packed_rings),
		cmocka_unit_test(every_breakage_is_an_operation),
	};

	return cmocka_run_group_tests_name("trace_session", tests, NULL, NULL);
}
