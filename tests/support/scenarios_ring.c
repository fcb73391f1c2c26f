/* SPDX-License-Identifier: BSD-3-Clause */
#include "scenarios.h"

#define EVENT    VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

/* A request of the usual shape: 16 bytes of header, 64 of data and the status. */
#define CHAIN(how, r, w)                                                                     \
	{                                                                                    \
		.code = VQSIM_OP_CHAIN, .layout = VQSIM_##how, .readable = (r), .value = 16, \
		.writable = (w), .size = 65                                                  \
	}
#define BYTES(where, r, readable_bytes, w, writable_bytes)                           \
	{                                                                            \
		.code = VQSIM_OP_CHAIN, .place = VQSIM_##where, .readable = (r),     \
		.value = (readable_bytes), .writable = (w), .size = (writable_bytes) \
	}

/* What a driver may do. */

static const struct vqsim_op one_request[] = {UP(0, 8, 1), CHAIN(DIRECT, 1, 2), TRIP};

static const struct vqsim_op full_ring_of_single_descriptors[] = {
	UP(0, 4, 1),
	BYTES(OWN, 0, 0, 1, 9),
	BYTES(OWN, 0, 0, 1, 9),
	BYTES(OWN, 0, 0, 1, 9),
	BYTES(OWN, 0, 0, 1, 9),
	TRIP,
};

static const struct vqsim_op chain_of_the_whole_ring[] = {UP(0, 8, 1), CHAIN(DIRECT, 4, 4), TRIP};

static const struct vqsim_op ring_of_two_wraps[] = {
	UP(EVENT, 2, 1),
	CHAIN(DIRECT, 1, 1),
	TRIP,
	CHAIN(DIRECT, 1, 1),
	TRIP,
	CHAIN(DIRECT, 1, 1),
	TRIP,
	CHAIN(DIRECT, 1, 1),
	TRIP,
	CHAIN(DIRECT, 1, 1),
	TRIP,
};

static const struct vqsim_op indirect_table[] = {
	UP(INDIRECT, 8, 1), CHAIN(INDIRECT, 1, 2), TRIP, CHAIN(INDIRECT, 3, 5), TRIP,
};

static const struct vqsim_op direct_and_then_a_table[] = {
	UP(INDIRECT | EVENT, 8, 1),
	CHAIN(MIXED, 2, 2),
	CHAIN(MIXED, 1, 4),
	TRIP,
};

static const struct vqsim_op indirect_in_a_ring_of_one[] = {
	UP(INDIRECT, 1, 1), CHAIN(INDIRECT, 1, 2), TRIP, CHAIN(INDIRECT, 1, 2), TRIP,
};

static const struct vqsim_op table_longer_than_the_ring[] = {
	UP(INDIRECT, 4, 1),
	CHAIN(INDIRECT, 16, 65),
	TRIP,
};

static const struct vqsim_op empty_descriptors[] = {
	UP(0, 16, 1),
	BYTES(OWN, 20, 16, 0, 0),
	BYTES(OWN, 5, 16, 4, 1),
	TRIP,
};

static const struct vqsim_op buffers_cross_regions[] = {
	UP(0, 16, 1), BYTES(CROSSING, 1, 16, 1, 65), TRIP, BYTES(CROSSING, 3, 48, 4, 200), TRIP,
};

static const struct vqsim_op buffer_ends_with_its_region[] = {
	UP(0, 8, 1), BYTES(EDGE, 1, 16, 2, 65), TRIP, BYTES(EDGE, 1, 16, 1, 1), TRIP,
};

static const struct vqsim_op more_than_64_kib_writable[] = {
	UP(0, 64, 1),
	BYTES(LARGE, 1, 16, 20, 20 * 4096),
	TRIP,
};

static const struct vqsim_op header_byte_by_byte[] = {UP(0, 32, 1), CHAIN(DIRECT, 16, 3), TRIP};

static const struct vqsim_op header_too_short[] = {UP(0, 8, 1), BYTES(OWN, 1, 15, 2, 65), TRIP};

static const struct vqsim_op nothing_writable[] = {
	UP(0, 4, 1),
	BYTES(OWN, 1, 16, 0, 0),
	BYTES(OWN, 1, 16, 0, 0),
	BYTES(OWN, 1, 16, 0, 0),
	BYTES(OWN, 1, 16, 0, 0),
	TRIP,
	CHAIN(DIRECT, 1, 2),
	TRIP,
};

static const struct vqsim_op two_queues[] = {
	UP(EVENT | INDIRECT, 8, 2),
	CHAIN(DIRECT, 1, 2),
	{.code = VQSIM_OP_CHAIN, .queue = 1, .readable = 1, .value = 16, .writable = 1, .size = 9},
	TRIP_ON(1),
	TRIP,
};

static const struct vqsim_op notifications_off_and_on[] = {
	UP(0, 8, 1), {.code = VQSIM_OP_NOTIFY, .what = VQSIM_NOTIFY_NEVER},  CHAIN(DIRECT, 1, 2),
	TRIP,        {.code = VQSIM_OP_NOTIFY, .what = VQSIM_NOTIFY_ALWAYS}, CHAIN(DIRECT, 1, 2),
	TRIP,
};

static const struct vqsim_op used_event_one_ahead[] = {
	UP(EVENT, 8, 1),
	{.code = VQSIM_OP_USED_EVENT, .value = 1},
	CHAIN(DIRECT, 1, 1),
	TRIP,
	{.code = VQSIM_OP_USED_EVENT, .value = 1},
	CHAIN(DIRECT, 1, 1),
	CHAIN(DIRECT, 1, 1),
	TRIP,
};

static const struct vqsim_op kicks_for_nothing[] = {
	UP(0, 8, 1),
	{.code = VQSIM_OP_KICK},
	{.code = VQSIM_OP_RUN},
	CHAIN(DIRECT, 1, 2),
	{.code = VQSIM_OP_KICK},
	{.code = VQSIM_OP_RUN},
	TRIP,
};

static const struct vqsim_op reset_with_chains_out[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 2),
	{.code = VQSIM_OP_PUBLISH},
	CHAIN(DIRECT, 1, 1),
	UP(EVENT, 16, 2),
	CHAIN(DIRECT, 1, 2),
	TRIP,
};

static const struct vqsim_op region_hidden_and_back[] = {
	UP(0, 8, 1), {.code = VQSIM_OP_HIDE, .at = 3},   CHAIN(DIRECT, 1, 2),
	TRIP,        {.code = VQSIM_OP_EXPOSE, .at = 3}, BYTES(CROSSING, 1, 16, 1, 65),
	TRIP,
};

/* What a driver may not do, and what it may do to a device that is not prepared for it. */

static const struct vqsim_op region_hidden_under_a_chain[] = {
	UP(0, 8, 1),
	BYTES(CROSSING, 1, 16, 1, 65),
	{.code = VQSIM_OP_PUBLISH},
	{.code = VQSIM_OP_HIDE, .at = 2},
	{.code = VQSIM_OP_RUN},
	{.code = VQSIM_OP_REAP},
};

static const struct vqsim_op rings_hidden_and_back[] = {
	UP(0, 8, 1),
	{.code = VQSIM_OP_HIDE},
	CHAIN(DIRECT, 1, 2),
	{.code = VQSIM_OP_PUBLISH},
	{.code = VQSIM_OP_EXPOSE},
	TRIP,
};

static const struct vqsim_op rings_hidden_for_a_run[] = {
	UP(EVENT, 8, 2), CHAIN(DIRECT, 1, 2), TRIP, {.code = VQSIM_OP_HIDE}, {.code = VQSIM_OP_RUN},
	UP(EVENT, 8, 2), CHAIN(DIRECT, 1, 2), TRIP,
};

static const struct vqsim_op next_one_past_the_ring[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(NEXT, 0, 8),
	TRIP,
};

static const struct vqsim_op next_ffff[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(NEXT, 2, 0xffff),
	TRIP,
};

static const struct vqsim_op chain_loops[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(NEXT, 2, 1),
	TRIP,
};

static const struct vqsim_op empty_chain_loops[] = {
	UP(0, 8, 1),
	BYTES(OWN, 2, 0, 0, 0),
	BREAK(NEXT, 1, 0),
	TRIP,
};

static const struct vqsim_op one_descriptor_emptied[] = {
	UP(0, 8, 1), CHAIN(DIRECT, 2, 2), BREAK(LEN, 1, 0), TRIP, CHAIN(DIRECT, 1, 2), TRIP,
};

static const struct vqsim_op len_past_the_end_of_memory[] = {
	UP(0, 8, 1),
	BYTES(EDGE, 1, 16, 1, 65),
	BREAK(LEN, 1, 66),
	TRIP,
};

static const struct vqsim_op len_of_4_gib[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 1),
	BREAK(LEN, 0, 0xffffffff),
	TRIP,
};

static const struct vqsim_op addr_in_a_hole[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 1),
	BREAK(ADDR, 1, 0x20000),
	TRIP,
};

static const struct vqsim_op addr_wraps[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 1),
	BREAK(ADDR, 0, UINT64_MAX - 3),
	TRIP,
};

static const struct vqsim_op readable_after_writable[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 2, 1),
	BREAK(FLAGS, 0, VRING_DESC_F_WRITE),
	TRIP,
};

static const struct vqsim_op indirect_not_negotiated[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 1),
	BREAK(FLAGS, 1, VRING_DESC_F_INDIRECT),
	TRIP,
};

static const struct vqsim_op indirect_with_next[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(INDIRECT, 1, 2),
	BREAK(NEXT, 0, 3),
	TRIP,
};

static const struct vqsim_op table_of_0_bytes[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(INDIRECT, 1, 2),
	BREAK(LEN, 0, 0),
	TRIP,
};

static const struct vqsim_op table_of_8_bytes[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(INDIRECT, 1, 2),
	BREAK(LEN, 0, 8),
	TRIP,
};

static const struct vqsim_op table_of_4_gib[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(INDIRECT, 1, 2),
	BREAK(LEN, 0, 0xfffffff0),
	TRIP,
};

static const struct vqsim_op table_in_a_hole[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(MIXED, 1, 2),
	BREAK(ADDR, 1, 0x20000),
	TRIP,
};

static const struct vqsim_op table_in_a_table[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(INDIRECT, 2, 1),
	BREAK(TABLE_FLAGS, 1, VRING_DESC_F_INDIRECT),
	TRIP,
};

static const struct vqsim_op table_loops[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(MIXED, 1, 2),
	BREAK(TABLE_NEXT, 1, 1),
	TRIP,
};

static const struct vqsim_op table_next_past_its_end[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(INDIRECT, 1, 2),
	BREAK(TABLE_NEXT, 2, 3),
	TRIP,
};

/* What stands behind the table would end the chain well. */
static const struct vqsim_op table_next_past_a_readable_end[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(INDIRECT, 2, 0),
	BREAK(TABLE_NEXT, 1, 2),
	TRIP,
};

static const struct vqsim_op table_entry_in_a_hole[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(INDIRECT, 1, 2),
	BREAK(TABLE_ADDR, 1, 0x20000),
	TRIP,
};

static const struct vqsim_op head_out_of_range[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(SLOT, 0, 8),
	TRIP,
};

static const struct vqsim_op head_available_twice[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(TWICE, 0, 0),
};

static const struct vqsim_op index_jumps_past_the_ring[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(INDEX, 0, 9),
};

static const struct vqsim_op index_jumps_half_its_range[] = {
	UP(EVENT, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(INDEX, 0, 0x8000),
};

static const struct vqsim_op index_jumps_by_the_ring[] = {
	UP(0, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(INDEX, 0, 8),
};

static const struct vqsim_op good_chains_before_a_broken_one[] = {
	UP(0, 16, 1),        CHAIN(DIRECT, 1, 2),     CHAIN(DIRECT, 1, 2),
	CHAIN(DIRECT, 1, 2), BREAK(ADDR, 1, 0x20000), TRIP,
};

/* The player's own mistake once: a chain wrote over the table of another, and the device was blamed. */
static const struct vqsim_op broken_buffer_beside_a_broken_table[] = {
	UP(INDIRECT, 8, 1),      CHAIN(MIXED, 1, 2),
	BREAK(FLAGS, 1, 0xfffe), BREAK(FLAGS, 1, 0xfffe),
	CHAIN(DIRECT, 1, 1),     BREAK(ADDR, 1, 0x100000),
	BREAK(LEN, 1, 4096),     TRIP,
};

static const struct vqsim_op broken_and_up_again[] = {
	UP(0, 8, 1), CHAIN(DIRECT, 1, 2), BREAK(NEXT, 2, 0),
	TRIP,        UP(INDIRECT, 8, 1),  CHAIN(MIXED, 1, 2),
	TRIP,
};

static const struct vqsim_op unknown_available_flags[] = {
	UP(0, 8, 1),
	BREAK(AVAIL_FLAGS, 0, 0xfffe),
	CHAIN(DIRECT, 1, 2),
	TRIP,
};

const struct scenario ring_scenarios[] = {
	SCENARIO(one_request, 1, false),
	SCENARIO(full_ring_of_single_descriptors, 4, false),
	SCENARIO(chain_of_the_whole_ring, 1, false),
	SCENARIO(ring_of_two_wraps, 5, false),
	SCENARIO(indirect_table, 2, false),
	SCENARIO(direct_and_then_a_table, 2, false),
	SCENARIO(indirect_in_a_ring_of_one, 2, false),
	SCENARIO(table_longer_than_the_ring, 1, false),
	SCENARIO(empty_descriptors, 1, false),
	SCENARIO(buffers_cross_regions, 2, false),
	SCENARIO(buffer_ends_with_its_region, 2, false),
	SCENARIO(more_than_64_kib_writable, 1, false),
	SCENARIO(header_byte_by_byte, 1, false),
	SCENARIO(header_too_short, 1, false),
	SCENARIO(nothing_writable, 5, false),
	SCENARIO(two_queues, 2, false),
	SCENARIO(notifications_off_and_on, 2, false),
	SCENARIO(used_event_one_ahead, 3, false),
	SCENARIO(kicks_for_nothing, 1, false),
	SCENARIO(reset_with_chains_out, 1, false),
	SCENARIO(region_hidden_and_back, 2, false),
	SCENARIO(region_hidden_under_a_chain, 0, true),
	SCENARIO(rings_hidden_and_back, 1, false),
	SCENARIO(rings_hidden_for_a_run, 2, true),
	SCENARIO(next_one_past_the_ring, 0, true),
	SCENARIO(next_ffff, 0, true),
	SCENARIO(chain_loops, 0, true),
	SCENARIO(empty_chain_loops, 0, true),
	SCENARIO(one_descriptor_emptied, 2, false),
	SCENARIO(len_past_the_end_of_memory, 0, true),
	SCENARIO(len_of_4_gib, 0, true),
	SCENARIO(addr_in_a_hole, 0, true),
	SCENARIO(addr_wraps, 0, true),
	SCENARIO(readable_after_writable, 0, true),
	SCENARIO(indirect_not_negotiated, 0, true),
	SCENARIO(indirect_with_next, 0, true),
	SCENARIO(table_of_0_bytes, 0, true),
	SCENARIO(table_of_8_bytes, 0, true),
	SCENARIO(table_of_4_gib, 0, true),
	SCENARIO(table_in_a_hole, 0, true),
	SCENARIO(table_in_a_table, 0, true),
	SCENARIO(table_loops, 0, true),
	SCENARIO(table_next_past_its_end, 0, true),
	SCENARIO(table_next_past_a_readable_end, 0, true),
	SCENARIO(table_entry_in_a_hole, 0, true),
	SCENARIO(head_out_of_range, 0, true),
	SCENARIO(head_available_twice, 1, false),
	SCENARIO(index_jumps_past_the_ring, 1, true),
	SCENARIO(index_jumps_half_its_range, 1, true),
	SCENARIO(index_jumps_by_the_ring, 1, false),
	SCENARIO(good_chains_before_a_broken_one, 2, true),
	SCENARIO(broken_buffer_beside_a_broken_table, 2, false),
	SCENARIO(broken_and_up_again, 1, true),
	SCENARIO(unknown_available_flags, 1, false),
};

const unsigned ring_scenario_count = sizeof(ring_scenarios) / sizeof(ring_scenarios[0]);
