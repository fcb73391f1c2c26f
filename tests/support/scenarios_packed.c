/* SPDX-License-Identifier: BSD-3-Clause */
#include "scenarios.h"

#include "devices/transport.h"

#define PACKED   VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENT    (PACKED | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX))
#define INDIRECT (PACKED | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC))
#define RESET    (PACKED | VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET))
#define IN_ORDER (PACKED | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER))
#define DATA     (PACKED | VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_NOTIFICATION_DATA))
#define ALL      (EVENT | INDIRECT | RESET | IN_ORDER | DATA)

/* Bits of the flags of a descriptor. */
#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1u << VRING_PACKED_DESC_F_USED)

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

static const struct vqsim_op one_request[] = {UP(PACKED, 8, 1), CHAIN(DIRECT, 1, 2), TRIP};

static const struct vqsim_op ring_of_one[] = {
	UP(INDIRECT, 1, 1),
	CHAIN(INDIRECT, 1, 2),
	TRIP,
	CHAIN(INDIRECT, 1, 2),
	TRIP,
	BYTES(OWN, 1, 16, 0, 0),
	TRIP,
	BYTES(OWN, 0, 0, 1, 9),
	TRIP,
};

static const struct vqsim_op ring_of_three_wraps[] = {
	UP(EVENT, 3, 1),
	CHAIN(DIRECT, 1, 1),
	TRIP,
	CHAIN(DIRECT, 1, 1),
	TRIP,
	CHAIN(DIRECT, 1, 2),
	TRIP,
	CHAIN(DIRECT, 1, 1),
	TRIP,
	CHAIN(DIRECT, 1, 2),
	TRIP,
	CHAIN(DIRECT, 1, 1),
	TRIP,
};

static const struct vqsim_op full_ring_of_single_descriptors[] = {
	UP(PACKED, 5, 1),
	BYTES(OWN, 0, 0, 1, 9),
	BYTES(OWN, 0, 0, 1, 9),
	BYTES(OWN, 0, 0, 1, 9),
	BYTES(OWN, 0, 0, 1, 9),
	BYTES(OWN, 0, 0, 1, 9),
	TRIP,
};

static const struct vqsim_op list_of_the_whole_ring[] = {
	UP(EVENT, 7, 1),
	CHAIN(DIRECT, 3, 4),
	TRIP,
	CHAIN(DIRECT, 4, 3),
	TRIP,
	CHAIN(DIRECT, 1, 1),
	TRIP,
	CHAIN(DIRECT, 3, 4),
	TRIP,
};

static const struct vqsim_op indirect_tables[] = {
	UP(INDIRECT | EVENT, 6, 1),
	CHAIN(INDIRECT, 1, 2),
	CHAIN(DIRECT, 1, 2),
	CHAIN(INDIRECT, 3, 5),
	TRIP,
	CHAIN(MIXED, 2, 2),
	TRIP,
};

static const struct vqsim_op table_longer_than_the_ring[] = {
	UP(INDIRECT, 3, 1),
	CHAIN(INDIRECT, 16, 65),
	TRIP,
};

static const struct vqsim_op buffers_cross_regions[] = {
	UP(PACKED, 16, 1),
	BYTES(CROSSING, 1, 16, 1, 65),
	TRIP,
	BYTES(CROSSING, 3, 48, 4, 200),
	TRIP,
};

static const struct vqsim_op nothing_writable_nothing_readable[] = {
	UP(PACKED, 9, 1),       BYTES(OWN, 1, 16, 0, 0), BYTES(OWN, 0, 0, 1, 1),
	BYTES(OWN, 1, 0, 0, 0), BYTES(OWN, 2, 16, 2, 0), TRIP,
};

static const struct vqsim_op two_queues[] = {
	UP(ALL, 6, 2),
	CHAIN(DIRECT, 1, 2),
	{.code = VQSIM_OP_CHAIN, .queue = 1, .readable = 2, .value = 16, .writable = 1, .size = 5},
	TRIP_ON(1),
	TRIP,
};

static const struct vqsim_op notifications_off_and_on[] = {
	UP(EVENT, 8, 1),
	{.code = VQSIM_OP_NOTIFY, .what = VQSIM_NOTIFY_NEVER},
	CHAIN(DIRECT, 1, 2),
	TRIP,
	{.code = VQSIM_OP_NOTIFY, .what = VQSIM_NOTIFY_ALWAYS},
	CHAIN(DIRECT, 1, 2),
	TRIP,
};

/* In the middle of a list, behind it, and over the end of the ring. */
static const struct vqsim_op event_some_slots_ahead[] = {
	UP(EVENT, 7, 1),
	{.code = VQSIM_OP_USED_EVENT, .value = 1},
	CHAIN(DIRECT, 1, 1),
	TRIP,
	{.code = VQSIM_OP_USED_EVENT, .value = 2},
	CHAIN(DIRECT, 1, 1),
	CHAIN(DIRECT, 1, 1),
	TRIP,
	{.code = VQSIM_OP_USED_EVENT, .value = 3},
	CHAIN(DIRECT, 1, 1),
	{.code = VQSIM_OP_PUBLISH},
	{.code = VQSIM_OP_RUN},
	CHAIN(DIRECT, 1, 2),
	TRIP,
};

static const struct vqsim_op batches_in_order[] = {
	UP(IN_ORDER, 16, 1),
	CHAIN(DIRECT, 1, 1),
	CHAIN(DIRECT, 2, 2),
	CHAIN(DIRECT, 1, 2),
	TRIP,
	BYTES(OWN, 1, 3, 2, 33),
	BYTES(OWN, 1, 16, 0, 0),
	CHAIN(DIRECT, 1, 1),
	TRIP,
};

static const struct vqsim_op kicks_with_wrong_data[] = {
	UP(DATA, 5, 2),
	CHAIN(DIRECT, 1, 2),
	{.code = VQSIM_OP_KICK},
	{.code = VQSIM_OP_KICK, .what = 1, .value = 0xffff0001},
	TRIP,
	{.code = VQSIM_OP_KICK, .what = 1, .value = UINT64_MAX},
	{.code = VQSIM_OP_RUN},
};

static const struct vqsim_op reset_with_chains_out[] = {
	UP(PACKED, 8, 1),
	CHAIN(DIRECT, 1, 2),
	{.code = VQSIM_OP_PUBLISH},
	CHAIN(DIRECT, 1, 1),
	UP(EVENT, 11, 2),
	CHAIN(DIRECT, 1, 2),
	TRIP,
};

static const struct vqsim_op queue_reset_with_chains_out[] = {
	UP(RESET, 8, 2),
	CHAIN(DIRECT, 1, 2),
	TRIP,
	CHAIN(DIRECT, 1, 2),
	{.code = VQSIM_OP_PUBLISH},
	CHAIN(DIRECT, 1, 1),
	{.code = VQSIM_OP_QUEUE_RESET},
	{.code = VQSIM_OP_KICK},
	{.code = VQSIM_OP_RUN},
	CHAIN(DIRECT, 1, 1),
	{.code = VQSIM_OP_QUEUE_ENABLE, .size = 3},
	CHAIN(DIRECT, 1, 2),
	TRIP,
	CHAIN(DIRECT, 1, 1),
	TRIP,
};

static const struct vqsim_op map_replaced[] = {
	UP(PACKED, 8, 1),
	CHAIN(DIRECT, 1, 2),
	{.code = VQSIM_OP_PUBLISH},
	{.code = VQSIM_OP_REPLACE},
	TRIP,
	BYTES(CROSSING, 1, 16, 1, 65),
	TRIP,
};

/* What a driver may not do, and what it may do to a device that is not prepared for it. */

static const struct vqsim_op region_hidden_under_a_chain[] = {
	UP(PACKED, 8, 1),           BYTES(CROSSING, 1, 16, 1, 65),
	{.code = VQSIM_OP_PUBLISH}, {.code = VQSIM_OP_HIDE, .at = 2},
	{.code = VQSIM_OP_RUN},     {.code = VQSIM_OP_REAP},
};

static const struct vqsim_op rings_hidden_for_a_run[] = {
	UP(EVENT, 8, 2), CHAIN(DIRECT, 1, 2), TRIP, {.code = VQSIM_OP_HIDE}, {.code = VQSIM_OP_RUN},
	UP(EVENT, 8, 2), CHAIN(DIRECT, 1, 2), TRIP,
};

static const struct vqsim_op head_of_another_lap[] = {
	UP(PACKED, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(FLAGS, 0, F_AVAIL | F_USED),
	TRIP,
};

static const struct vqsim_op second_of_another_lap[] = {
	UP(PACKED, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(FLAGS, 1, F_AVAIL | F_USED),
	TRIP,
};

static const struct vqsim_op list_without_an_end[] = {
	UP(PACKED, 3, 1),
	CHAIN(DIRECT, 1, 2),
	TRIP,
	CHAIN(DIRECT, 1, 2),
	BREAK(FLAGS, 2, VRING_DESC_F_NEXT),
	TRIP,
};

static const struct vqsim_op list_cut_short[] = {
	UP(PACKED, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(FLAGS, 1, VRING_DESC_F_NEXT),
	TRIP,
};

static const struct vqsim_op another_id[] = {
	UP(PACKED, 8, 1), CHAIN(DIRECT, 1, 2), BREAK(SLOT, 0, 0xffff), TRIP,
	UP(PACKED, 8, 1), CHAIN(DIRECT, 1, 2), BREAK(NEXT, 1, 0x7777), TRIP,
};

static const struct vqsim_op exposed_twice[] = {
	UP(PACKED, 8, 1),
	CHAIN(DIRECT, 1, 2),
	BREAK(TWICE, 0, 0),
};

static const struct vqsim_op stale_slots_exposed[] = {
	UP(PACKED, 8, 1),    CHAIN(DIRECT, 1, 2), TRIP, CHAIN(DIRECT, 1, 1), TRIP,
	CHAIN(DIRECT, 1, 1), BREAK(INDEX, 0, 7),
};

static const struct vqsim_op addr_in_a_hole[] = {
	UP(PACKED, 8, 1),
	CHAIN(DIRECT, 1, 1),
	BREAK(ADDR, 1, 0x80000),
	TRIP,
};

static const struct vqsim_op len_of_4_gib[] = {
	UP(PACKED, 8, 1),
	CHAIN(DIRECT, 1, 1),
	BREAK(LEN, 0, 0xffffffff),
	TRIP,
};

static const struct vqsim_op readable_after_writable[] = {
	UP(PACKED, 8, 1),
	CHAIN(DIRECT, 2, 1),
	BREAK(FLAGS, 0, VRING_DESC_F_WRITE),
	TRIP,
};

static const struct vqsim_op indirect_not_negotiated[] = {
	UP(PACKED, 8, 1),
	BYTES(OWN, 0, 0, 1, 9),
	BREAK(FLAGS, 0, VRING_DESC_F_INDIRECT),
	TRIP,
};

static const struct vqsim_op indirect_amid_a_list[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(DIRECT, 2, 1),
	BREAK(FLAGS, 1, VRING_DESC_F_INDIRECT),
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

static const struct vqsim_op table_entry_in_a_hole[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(INDIRECT, 1, 2),
	BREAK(TABLE_ADDR, 1, 0x80000),
	TRIP,
};

static const struct vqsim_op junk_flags_and_ids_in_a_table[] = {
	UP(INDIRECT, 8, 1),
	CHAIN(INDIRECT, 1, 2),
	BREAK(TABLE_FLAGS, 0, 0xfffd),
	BREAK(TABLE_NEXT, 2, 0xffff),
	TRIP,
};

static const struct vqsim_op reserved_event_flags[] = {
	UP(EVENT, 8, 1),
	BREAK(AVAIL_FLAGS, 0, 0x00030000),
	CHAIN(DIRECT, 1, 2),
	TRIP,
	BREAK(AVAIL_FLAGS, 0, 0x0002ffff),
	CHAIN(DIRECT, 1, 2),
	TRIP,
};

static const struct vqsim_op rows_that_are_served[] = {
	UP(INDIRECT, 8, 1),
	{.code = VQSIM_OP_BREAKAGE, .value = 6},
	CHAIN(DIRECT, 1, 2),
	TRIP,
};

const struct scenario packed_scenarios[] = {
	SCENARIO(one_request, 1, false),
	SCENARIO(ring_of_one, 4, false),
	SCENARIO(ring_of_three_wraps, 6, false),
	SCENARIO(full_ring_of_single_descriptors, 5, false),
	SCENARIO(list_of_the_whole_ring, 4, false),
	SCENARIO(indirect_tables, 4, false),
	SCENARIO(table_longer_than_the_ring, 1, false),
	SCENARIO(buffers_cross_regions, 2, false),
	SCENARIO(nothing_writable_nothing_readable, 4, false),
	SCENARIO(two_queues, 2, false),
	SCENARIO(notifications_off_and_on, 2, false),
	SCENARIO(event_some_slots_ahead, 5, false),
	SCENARIO(batches_in_order, 6, false),
	SCENARIO(kicks_with_wrong_data, 1, false),
	SCENARIO(reset_with_chains_out, 1, false),
	SCENARIO(queue_reset_with_chains_out, 3, false),
	SCENARIO(map_replaced, 2, false),
	SCENARIO(region_hidden_under_a_chain, 0, true),
	SCENARIO(rings_hidden_for_a_run, 2, true),
	SCENARIO(head_of_another_lap, 0, false),
	SCENARIO(second_of_another_lap, 1, false),
	SCENARIO(list_without_an_end, 1, true),
	SCENARIO(list_cut_short, 0, false),
	SCENARIO(another_id, 1, false),
	SCENARIO(exposed_twice, 1, false),
	SCENARIO(stale_slots_exposed, 3, false),
	SCENARIO(addr_in_a_hole, 0, true),
	SCENARIO(len_of_4_gib, 0, true),
	SCENARIO(readable_after_writable, 0, true),
	SCENARIO(indirect_not_negotiated, 0, true),
	SCENARIO(indirect_amid_a_list, 0, true),
	SCENARIO(table_of_8_bytes, 0, true),
	SCENARIO(table_of_4_gib, 0, true),
	SCENARIO(table_entry_in_a_hole, 0, true),
	SCENARIO(junk_flags_and_ids_in_a_table, 1, false),
	SCENARIO(reserved_event_flags, 2, false),
	SCENARIO(rows_that_are_served, 2, false),
};

const unsigned packed_scenario_count = sizeof(packed_scenarios) / sizeof(packed_scenarios[0]);
