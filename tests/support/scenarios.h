/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs as literal arrays (vqsim/trace.h), and what must come of them. trace_test asserts it, and
 * the seeds of the fuzzers are made from the same arrays.
 */
#ifndef TESTS_SUPPORT_SCENARIOS_H
#define TESTS_SUPPORT_SCENARIOS_H

#include <stdbool.h>
#include <stdint.h>

#include "vqsim/trace.h"

struct scenario {
	const char *name;
	const struct vqsim_op *ops;
	unsigned count;
	uint64_t completed;   /* chains that are used */
	bool asked_for_reset; /* by the device */
};

/* On the null device. */
extern const struct scenario ring_scenarios[];
extern const unsigned ring_scenario_count;

/* On the null device, with packed rings. */
extern const struct scenario packed_scenarios[];
extern const unsigned packed_scenario_count;

/* On a block device with a ram store of SCENARIO_DISK_SIZE. */
extern const struct scenario blk_scenarios[];
extern const unsigned blk_scenario_count;

/*
 * What changes under requests: on the null device, and on a block device with a store of
 * SCENARIO_DISK_SIZE that can be told to hold and to fail operations. No name is in both.
 */
extern const struct scenario session_scenarios[];
extern const unsigned session_scenario_count;
extern const struct scenario session_blk_scenarios[];
extern const unsigned session_blk_scenario_count;

#define SCENARIO_DISK_SIZE 32768u

/* For the arrays. Not a function: an initializer of struct vqsim_op. */
#define UP(features, ring, queues)                                                          \
	{                                                                                   \
		.code = VQSIM_OP_UP, .value = (features), .size = (ring), .count = (queues) \
	}
#define TRIP_ON(q)                                                                      \
	{.code = VQSIM_OP_PUBLISH, .queue = (q)}, {.code = VQSIM_OP_RUN, .queue = (q)}, \
	{                                                                               \
		.code = VQSIM_OP_REAP, .queue = (q)                                     \
	}
#define TRIP TRIP_ON(0)
#define BREAK(how, which, with)                                                                   \
	{                                                                                         \
		.code = VQSIM_OP_BREAK, .what = VQSIM_BREAK_##how, .at = (which), .value = (with) \
	}
#define SCENARIO(array, done, reset)                                         \
	{                                                                    \
#array, array, sizeof(array) / sizeof(array[0]), done, reset \
	}

#endif
