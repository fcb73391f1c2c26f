/* SPDX-License-Identifier: BSD-3-Clause */
#include "scenarios.h"

#include "devices/transport.h"

#define PACKED VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define RESET  VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET)
#define RING                                                                                     \
	(VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) | \
	 RESET)
#define MQ     VIRTIO_FEATURE(VIRTIO_BLK_F_MQ)
#define CACHE  (VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE))
#define ZEROES VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES)

#define CHAIN                                                                                 \
	{                                                                                     \
		.code = VQSIM_OP_CHAIN, .readable = 1, .value = 16, .writable = 2, .size = 65 \
	}
#define CROSSING                                                                             \
	{                                                                                    \
		.code = VQSIM_OP_CHAIN, .place = VQSIM_CROSSING, .readable = 1, .value = 16, \
		.writable = 1, .size = 65                                                    \
	}
#define LARGE                                                                             \
	{                                                                                 \
		.code = VQSIM_OP_CHAIN, .place = VQSIM_LARGE, .readable = 1, .value = 16, \
		.writable = 1, .size = 65                                                 \
	}
#define BLK(kind, sector, bytes)                                                                   \
	{                                                                                          \
		.code = VQSIM_OP_BLK, .what = VQSIM_BLK_##kind, .value = (sector), .size = (bytes) \
	}
#define BLK_ON(q, kind, sector, bytes)                                                           \
	{                                                                                        \
		.code = VQSIM_OP_BLK, .queue = (q), .what = VQSIM_BLK_##kind, .value = (sector), \
		.size = (bytes)                                                                  \
	}
#define DO(what)                        \
	{                               \
		.code = VQSIM_OP_##what \
	}
#define ON(q, what)                                   \
	{                                             \
		.code = VQSIM_OP_##what, .queue = (q) \
	}
#define HOLD(how)                                    \
	{                                            \
		.code = VQSIM_OP_HOLD, .what = (how) \
	}
#define LET_GO(count)                                     \
	{                                                 \
		.code = VQSIM_OP_LET_GO, .value = (count) \
	}
#define RELEASE(place)                                  \
	{                                               \
		.code = VQSIM_OP_RELEASE, .at = (place) \
	}
#define FAIL(after, moved)                                               \
	{                                                                \
		.code = VQSIM_OP_FAIL, .value = (after), .size = (moved) \
	}
#define ENABLE(q, ring)                                                     \
	{                                                                   \
		.code = VQSIM_OP_QUEUE_ENABLE, .queue = (q), .size = (ring) \
	}
#define HIDE(region)                                  \
	{                                             \
		.code = VQSIM_OP_HIDE, .at = (region) \
	}
#define EXPOSE(region)                                  \
	{                                               \
		.code = VQSIM_OP_EXPOSE, .at = (region) \
	}

static const struct vqsim_op other_formats_and_sizes[] = {
	UP(RING, 8, 1),    CHAIN, TRIP, UP(RING | PACKED, 5, 2), CHAIN, TRIP, UP(0, 2, 1), CHAIN,
	UP(PACKED, 64, 2), CHAIN, TRIP, UP(RING, 16, 1),         CHAIN, TRIP,
};

static const struct vqsim_op drivers_in_sequence[] = {
	UP(RING, 8, 1),   CHAIN, DO(PUBLISH), DO(DRIVER), DO(RUN),
	UP(PACKED, 7, 1), CHAIN, TRIP,        DO(DRIVER), DO(DRIVER),
	UP(RING, 4, 1),   CHAIN, TRIP,
};

static const struct vqsim_op queue_reset_and_other_sizes[] = {
	UP(RING, 8, 2), CHAIN,      DO(PUBLISH), DO(QUEUE_RESET),    DO(RUN), ENABLE(0, 5),
	ENABLE(0, 16),  CHAIN,      TRIP,        ON(1, QUEUE_RESET), CHAIN,   TRIP,
	ENABLE(1, 2),   TRIP_ON(1),
};

static const struct vqsim_op packed_queue_reset_and_other_sizes[] = {
	UP(RING | PACKED, 8, 2),
	CHAIN,
	TRIP,
	CHAIN,
	DO(PUBLISH),
	DO(QUEUE_RESET),
	ENABLE(0, 5),
	CHAIN,
	TRIP,
	DO(QUEUE_RESET),
	ENABLE(0, 3),
	CHAIN,
	TRIP,
};

static const struct vqsim_op left_with_a_queue_that_is_reset[] = {
	UP(RING, 8, 2), CHAIN, TRIP, ON(1, QUEUE_RESET), DO(QUEUE_RESET),
};

static const struct vqsim_op map_loses_and_gets_regions[] = {
	UP(RING, 8, 1), CROSSING, TRIP,        HIDE(2), CHAIN, TRIP,      EXPOSE(2), CROSSING,
	TRIP,           HIDE(3),  DO(REPLACE), CHAIN,   TRIP,  EXPOSE(3), CROSSING,  TRIP,
};

static const struct vqsim_op chain_into_a_region_that_is_gone[] = {
	UP(RING, 8, 1), LARGE, TRIP, LARGE, TRIP, HIDE(3), LARGE, TRIP,
};

static const struct vqsim_op map_replaced_under_a_chain[] = {
	UP(RING, 8, 2), CROSSING, DO(PUBLISH), DO(REPLACE), TRIP, DO(REPLACE), DO(RUN), ON(1, RUN),
};

static const struct vqsim_op config_space_of_nothing[] = {
	UP(0, 8, 1),
	{.code = VQSIM_OP_CONFIG, .value = UINT64_MAX, .size = 7},
	CHAIN,
	TRIP,
};

/* What the referee had counted of the first driver it once held against the second. */
static const struct vqsim_op each_driver_needs_a_reset[] = {
	UP(RING, 8, 1), CROSSING,       DO(PUBLISH), HIDE(2),     DO(RUN), DO(DRIVER),
	EXPOSE(2),      UP(RING, 8, 1), CROSSING,    DO(PUBLISH), HIDE(2), DO(RUN),
};

const struct scenario session_scenarios[] = {
	SCENARIO(other_formats_and_sizes, 4, false),
	SCENARIO(drivers_in_sequence, 2, false),
	SCENARIO(queue_reset_and_other_sizes, 2, false),
	SCENARIO(packed_queue_reset_and_other_sizes, 3, false),
	SCENARIO(left_with_a_queue_that_is_reset, 1, false),
	SCENARIO(map_loses_and_gets_regions, 5, false),
	SCENARIO(chain_into_a_region_that_is_gone, 2, true),
	SCENARIO(map_replaced_under_a_chain, 1, false),
	SCENARIO(config_space_of_nothing, 1, false),
	SCENARIO(each_driver_needs_a_reset, 0, true),
};

const unsigned session_scenario_count = sizeof(session_scenarios) / sizeof(session_scenarios[0]);

static const struct vqsim_op held_and_let_go[] = {
	UP(RING, 16, 1),
	BLK(OUT, 1, 512),
	TRIP,
	HOLD(1),
	BLK(IN, 1, 512),
	BLK(OUT, 2, 512),
	BLK(IN, 0, 512),
	TRIP,
	LET_GO(1),
	TRIP,
	LET_GO(9),
	TRIP,
};

static const struct vqsim_op newest_goes_first[] = {
	UP(RING | PACKED, 16, 1),
	HOLD(2),
	BLK(OUT, 1, 512),
	BLK(OUT, 2, 512),
	BLK(OUT, 3, 512),
	TRIP,
	LET_GO(2),
	TRIP,
	RELEASE(0),
	TRIP,
	BLK(IN, 1, 1536),
	TRIP,
	HOLD(0),
	TRIP,
};

static const struct vqsim_op in_order_over_a_store_that_is_not[] = {
	UP(RING | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER), 16, 1),
	HOLD(1),
	BLK(OUT, 1, 512),
	BLK(OUT, 2, 512),
	BLK(IN, 3, 512),
	TRIP,
	RELEASE(2),
	TRIP,
	RELEASE(1),
	TRIP,
	RELEASE(0),
	TRIP,
};

static const struct vqsim_op operations_fail[] = {
	UP(RING | CACHE, 8, 1),
	BLK(OUT, 4, 1024),
	TRIP,
	FAIL(0, 0),
	BLK(IN, 4, 1024),
	TRIP,
	FAIL(0, 512),
	BLK(OUT, 4, 1024),
	TRIP,
	BLK(IN, 4, 1024),
	TRIP,
	FAIL(0, 0),
	BLK(FLUSH, 0, 0),
	TRIP,
	BLK(IN, 4, 1024),
	TRIP,
};

static const struct vqsim_op one_of_several_ranges_fails[] = {
	UP(RING | ZEROES, 8, 1),
	FAIL(1, 0),
	{.code = VQSIM_OP_BLK, .what = VQSIM_BLK_WRITE_ZEROES, .value = 3, .count = 1, .size = 48},
	TRIP,
	BLK(IN, 3, 1536),
	TRIP,
};

static const struct vqsim_op reset_with_operations_held[] = {
	UP(RING, 8, 1),  HOLD(1), BLK(OUT, 1, 512), TRIP, UP(PACKED, 8, 1),
	BLK(IN, 1, 512), TRIP,    LET_GO(1),        TRIP,
};

static const struct vqsim_op queue_reset_with_operations_held[] = {
	UP(RING | MQ, 8, 2),
	HOLD(1),
	BLK(OUT, 1, 512),
	BLK_ON(1, OUT, 2, 512),
	TRIP,
	TRIP_ON(1),
	DO(QUEUE_RESET),
	HOLD(0),
	TRIP_ON(1),
	ENABLE(0, 4),
	BLK(IN, 1, 512),
	TRIP,
};

static const struct vqsim_op map_changes_with_operations_held[] = {
	UP(RING | PACKED, 9, 1),
	HOLD(1),
	BLK(OUT, 1, 512),
	BLK(IN, 3, 512),
	TRIP,
	DO(REPLACE),
	DO(RUN),
	HIDE(2),
	DO(RUN),
	LET_GO(1),
	TRIP,
	EXPOSE(2),
	LET_GO(1),
	TRIP,
};

static const struct vqsim_op driver_changes_with_operations_held[] = {
	UP(RING, 8, 1), HOLD(1), BLK(OUT, 1, 512),        TRIP,
	DO(DRIVER),     HOLD(0), UP(RING | PACKED, 3, 1), BLK(IN, 1, 512),
	TRIP,
};

static const struct vqsim_op config_space_is_written[] = {
	UP(CACHE, 8, 1),
	{.code = VQSIM_OP_CONFIG, .value = UINT64_MAX, .size = 7},
	{.code = VQSIM_OP_CONFIG, .value = 5, .size = 3, .count = 20},
	{.code = VQSIM_OP_CONFIG, .value = 5, .size = 3, .count = 254},
	{.code = VQSIM_OP_WRITEBACK, .value = 0},
	BLK(OUT, 0, 512),
	TRIP,
};

/* The referee's own mistake once: it blamed the device for a batch that it had no ring for any more. */
static const struct vqsim_op rings_hidden_with_operations_held[] = {
	UP(RING | PACKED, 9, 1),
	HOLD(1),
	BLK(OUT, 1, 512),
	BLK(IN, 3, 512),
	TRIP,
	HIDE(0),
	LET_GO(2),
	TRIP,
};

/* The store with faults once went on to sectors that were cut off. */
static const struct vqsim_op flush_of_a_disk_that_shrank[] = {
	UP(CACHE, 8, 1),  BLK(OUT, 40, 512), TRIP, {.code = VQSIM_OP_CAPACITY, .value = 9},
	BLK(OUT, 3, 512), BLK(FLUSH, 0, 0),  TRIP,
};

const struct scenario session_blk_scenarios[] = {
	SCENARIO(held_and_let_go, 4, false),
	SCENARIO(newest_goes_first, 4, false),
	SCENARIO(in_order_over_a_store_that_is_not, 3, false),
	SCENARIO(operations_fail, 6, false),
	SCENARIO(one_of_several_ranges_fails, 2, false),
	SCENARIO(reset_with_operations_held, 1, false),
	SCENARIO(queue_reset_with_operations_held, 2, false),
	SCENARIO(map_changes_with_operations_held, 2, false),
	SCENARIO(driver_changes_with_operations_held, 1, false),
	SCENARIO(config_space_is_written, 1, false),
	SCENARIO(rings_hidden_with_operations_held, 0, true),
	SCENARIO(flush_of_a_disk_that_shrank, 3, false),
};

const unsigned session_blk_scenario_count =
	sizeof(session_blk_scenarios) / sizeof(session_blk_scenarios[0]);
