/* SPDX-License-Identifier: BSD-3-Clause */
#include "scenarios.h"

#define RING   (VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC))
#define RANGES (VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) | VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES))
#define CACHE  (VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE))
#define MQ     VIRTIO_FEATURE(VIRTIO_BLK_F_MQ)
#define ALL    (RING | RANGES | CACHE | MQ)

#define SECTORS (SCENARIO_DISK_SIZE / 512)

#define BLK(kind, sector, bytes)                                                                   \
	{                                                                                          \
		.code = VQSIM_OP_BLK, .what = VQSIM_BLK_##kind, .value = (sector), .size = (bytes) \
	}
#define FRAMED(kind, how, sector, bytes, r, w)                                         \
	{                                                                              \
		.code = VQSIM_OP_BLK, .what = VQSIM_BLK_##kind, .layout = VQSIM_##how, \
		.value = (sector), .size = (bytes), .readable = (r), .writable = (w)   \
	}
#define SEGMENTS(kind, sector, each, bytes, flags)                                 \
	{                                                                          \
		.code = VQSIM_OP_BLK, .what = VQSIM_BLK_##kind, .value = (sector), \
		.count = (each), .size = (bytes), .at = (flags)                    \
	}
/* Not through the block driver: a header and writable bytes as they are. */
#define RAW(kind, sector, r, readable_bytes, w, writable_bytes)                          \
	{                                                                                \
		.code = VQSIM_OP_CHAIN, .what = 1 + VQSIM_BLK_##kind, .count = (sector), \
		.readable = (r), .value = (readable_bytes), .writable = (w),             \
		.size = (writable_bytes)                                                 \
	}

/* What a driver may do. */

static const struct vqsim_op write_and_read_back[] = {
	UP(RING | CACHE, 8, 1),
	BLK(OUT, 3, 1024),
	TRIP,
	BLK(IN, 3, 1024),
	TRIP,
	BLK(IN, 2, 1536),
	TRIP,
};

static const struct vqsim_op read_of_a_fresh_disk[] = {UP(0, 4, 1), BLK(IN, 0, 2048), TRIP};

static const struct vqsim_op flush_after_write[] = {
	UP(CACHE, 8, 1), BLK(OUT, 0, 512), BLK(FLUSH, 0, 0), TRIP, BLK(FLUSH, 0, 0), TRIP,
};

static const struct vqsim_op flush_not_negotiated[] = {UP(0, 8, 1), BLK(FLUSH, 0, 0), TRIP};

static const struct vqsim_op write_through[] = {
	UP(CACHE, 8, 1),
	{.code = VQSIM_OP_WRITEBACK, .value = 0},
	BLK(OUT, 9, 512),
	TRIP,
	{.code = VQSIM_OP_WRITEBACK, .value = 1},
	BLK(OUT, 10, 512),
	BLK(FLUSH, 0, 0),
	TRIP,
};

static const struct vqsim_op id_of_any_size[] = {
	UP(0, 8, 1), BLK(GET_ID, 0, 20), TRIP, BLK(GET_ID, 0, 19), TRIP, BLK(GET_ID, 0, 512),
	TRIP,        BLK(GET_ID, 0, 0),  TRIP,
};

static const struct vqsim_op discard_and_write_zeroes[] = {
	UP(RANGES, 8, 1),
	BLK(OUT, 4, 2048),
	TRIP,
	SEGMENTS(WRITE_ZEROES, 5, 1, 16, 0),
	TRIP,
	SEGMENTS(WRITE_ZEROES, 6, 1, 16, 1),
	TRIP,
	BLK(IN, 4, 2048),
	TRIP,
	SEGMENTS(DISCARD, 4, 2, 32, 0),
	TRIP,
	BLK(IN, 4, 2048),
	TRIP,
};

static const struct vqsim_op ranges_not_negotiated[] = {
	UP(0, 8, 1),
	SEGMENTS(DISCARD, 0, 1, 16, 0),
	SEGMENTS(WRITE_ZEROES, 0, 1, 16, 0),
	TRIP,
	BLK(IN, 0, 512),
	TRIP,
};

static const struct vqsim_op unknown_type[] = {
	UP(0, 8, 1), BLK(UNKNOWN, 0, 512), TRIP, BLK(UNKNOWN, 0, 0), TRIP,
};

static const struct vqsim_op header_cut_everywhere[] = {
	UP(RING, 64, 1),
	FRAMED(IN, DIRECT, 1, 512, 16, 3),
	FRAMED(OUT, DIRECT, 1, 512, 7, 1),
	TRIP,
	FRAMED(IN, DIRECT, 1, 512, 1, 1),
	TRIP,
};

static const struct vqsim_op all_layouts[] = {
	UP(RING, 16, 1),
	FRAMED(OUT, INDIRECT, 2, 1024, 5, 1),
	FRAMED(IN, MIXED, 7, 1024, 1, 9),
	FRAMED(IN, DIRECT, 9, 512, 2, 2),
	TRIP,
};

static const struct vqsim_op status_in_a_descriptor_of_its_own[] = {
	UP(0, 32, 1), FRAMED(IN, DIRECT, 1, 16, 1, 17), TRIP, FRAMED(IN, DIRECT, 1, 0, 1, 1), TRIP,
};

static const struct vqsim_op read_of_no_bytes[] = {UP(0, 8, 1), BLK(IN, 5, 0), BLK(OUT, 5, 0),
						   TRIP};

static const struct vqsim_op two_queues[] = {
	UP(ALL, 8, 2),
	BLK(OUT, 1, 512),
	{.code = VQSIM_OP_BLK, .queue = 1, .what = VQSIM_BLK_IN, .value = 1, .size = 1024},
	TRIP_ON(1),
	TRIP,
};

static const struct vqsim_op eight_requests_at_once[] = {
	UP(RING, 64, 1),  BLK(OUT, 0, 512), BLK(OUT, 1, 512), BLK(OUT, 0, 1024),  BLK(IN, 0, 2048),
	BLK(FLUSH, 0, 0), BLK(OUT, 2, 512), BLK(IN, 1, 512),  BLK(GET_ID, 0, 20), TRIP,
};

static const struct vqsim_op capacity_shrinks_and_grows[] = {
	UP(0, 8, 1),
	BLK(OUT, 40, 512),
	TRIP,
	{.code = VQSIM_OP_CAPACITY, .value = 9},
	BLK(IN, 9, 512),
	TRIP,
	BLK(IN, 10, 512),
	TRIP,
	BLK(OUT, 40, 512),
	TRIP,
	{.code = VQSIM_OP_CAPACITY, .value = SECTORS - 1},
	BLK(IN, 40, 512),
	TRIP,
};

static const struct vqsim_op reset_with_requests_out[] = {
	UP(ALL, 8, 1),
	BLK(OUT, 1, 1024),
	{.code = VQSIM_OP_PUBLISH},
	BLK(IN, 1, 512),
	UP(ALL, 8, 2),
	BLK(IN, 0, 2048),
	TRIP,
};

/* What must be refused and change nothing. */

static const struct vqsim_op write_over_the_end[] = {
	UP(0, 8, 1), BLK(OUT, SECTORS - 1, 1024), TRIP, BLK(IN, SECTORS - 1, 512),
	TRIP,        BLK(IN, SECTORS, 512),       TRIP,
};

static const struct vqsim_op sector_times_512_wraps[] = {
	UP(0, 8, 1),
	BLK(OUT, UINT64_C(1) << 55, 512),
	BLK(IN, UINT64_MAX / 512 + 1, 512),
	TRIP,
	BLK(IN, UINT64_MAX, 1024),
	BLK(OUT, UINT64_MAX / 512, 512),
	TRIP,
	BLK(IN, 0, 2048),
	TRIP,
};

static const struct vqsim_op no_whole_sectors[] = {
	UP(0, 8, 1),      BLK(IN, 0, 1), BLK(OUT, 0, 511), TRIP, BLK(IN, 1, 513),
	BLK(OUT, 0, 700), TRIP,          BLK(IN, 0, 1024), TRIP,
};

static const struct vqsim_op range_over_the_end[] = {
	UP(RANGES, 8, 1),
	SEGMENTS(DISCARD, SECTORS - 1, 2, 16, 0),
	SEGMENTS(WRITE_ZEROES, UINT64_MAX / 512, 8, 16, 0),
	TRIP,
	/* All segments are judged before the first is carried out. */
	SEGMENTS(WRITE_ZEROES, 0, 60, 32, 0),
	TRIP,
	BLK(IN, 0, 2048),
	TRIP,
};

static const struct vqsim_op segments_none_or_too_many[] = {
	UP(RANGES, 8, 1),
	SEGMENTS(DISCARD, 0, 1, 0, 0),
	SEGMENTS(WRITE_ZEROES, 0, 1, 512, 0),
	TRIP,
	SEGMENTS(WRITE_ZEROES, 0, 1, 528, 0),
	SEGMENTS(DISCARD, 0, 1, 15, 0),
	TRIP,
	BLK(IN, 32, 512),
	TRIP,
};

static const struct vqsim_op segment_flags_unknown[] = {
	UP(RANGES, 8, 1),
	BLK(OUT, 0, 512),
	TRIP,
	SEGMENTS(WRITE_ZEROES, 0, 1, 16, 2),
	SEGMENTS(DISCARD, 0, 1, 16, 1),
	TRIP,
	BLK(IN, 0, 512),
	TRIP,
};

/* Chains that the block driver would not make. */

static const struct vqsim_op raw_header_too_short[] = {
	UP(0, 8, 1), RAW(IN, 0, 1, 15, 1, 1), RAW(IN, 0, 0, 0, 1, 1), TRIP, BLK(IN, 0, 512), TRIP,
};

static const struct vqsim_op raw_nothing_writable[] = {
	UP(0, 4, 1),
	RAW(IN, 0, 1, 16, 0, 0),
	RAW(OUT, 0, 1, 16, 0, 0),
	RAW(FLUSH, 0, 1, 16, 0, 0),
	RAW(GET_ID, 0, 1, 16, 0, 0),
	TRIP,
	BLK(IN, 0, 512),
	TRIP,
};

static const struct vqsim_op raw_read_has_only_a_status[] = {
	UP(0, 8, 1),
	RAW(IN, 0, 1, 16, 1, 1),
	RAW(OUT, 0, 1, 16, 1, 1),
	TRIP,
};

static const struct vqsim_op raw_write_with_a_large_status[] = {
	UP(0, 8, 1),
	RAW(OUT, 0, 1, 128, 1, 256),
	RAW(FLUSH, 0, 1, 128, 1, 256),
	TRIP,
};

static const struct vqsim_op raw_read_into_64_kib_and_more[] = {
	UP(0, 32, 1),
	{.code = VQSIM_OP_CHAIN,
	 .what = 1 + VQSIM_BLK_IN,
	 .place = VQSIM_LARGE,
	 .readable = 1,
	 .value = 16,
	 .writable = 17,
	 .size = 17 * 4096},
	TRIP,
};

static const struct vqsim_op raw_read_over_regions[] = {
	UP(0, 8, 1),
	{.code = VQSIM_OP_CHAIN,
	 .what = 1 + VQSIM_BLK_GET_ID,
	 .place = VQSIM_CROSSING,
	 .readable = 1,
	 .value = 16,
	 .writable = 1,
	 .size = 21},
	TRIP,
};

static const struct vqsim_op raw_segments_of_junk[] = {
	UP(RANGES, 8, 1),
	RAW(DISCARD, 0, 1, 48, 1, 1),
	RAW(WRITE_ZEROES, 0, 2, 32, 1, 1),
	TRIP,
};

/* Rules of the ring are broken under requests. */

static const struct vqsim_op broken_after_good_ones[] = {
	UP(RING, 8, 1), BLK(OUT, 0, 512), TRIP, RAW(IN, 0, 1, 16, 2, 33), BREAK(NEXT, 2, 0), TRIP,
};

static const struct vqsim_op broken_length_is_answered[] = {
	UP(0, 8, 1), RAW(OUT, 0, 1, 128, 1, 1), BREAK(LEN, 0, 0), TRIP, BLK(IN, 0, 512), TRIP,
};

static const struct vqsim_op broken_address_and_up_again[] = {
	UP(0, 8, 1),
	RAW(IN, 0, 1, 16, 1, 200),
	BREAK(ADDR, 1, UINT64_MAX - 4096),
	TRIP,
	UP(ALL, 8, 1),
	BLK(OUT, 0, 512),
	BLK(IN, 0, 512),
	TRIP,
};

static const struct vqsim_op broken_table[] = {
	UP(RING, 8, 1),
	BREAK(TABLE_NEXT, 2, 0),
	TRIP,
	/* The chain of a BREAK without one is direct, so its table means nothing. */
	{.code = VQSIM_OP_BREAK,
	 .what = VQSIM_BREAK_TABLE_LEN,
	 .layout = VQSIM_INDIRECT,
	 .at = 1,
	 .value = 0xffffffff},
	TRIP,
};

static const struct vqsim_op head_available_twice[] = {
	UP(0, 8, 1), RAW(OUT, 0, 1, 128, 1, 1), BREAK(TWICE, 0, 0), BLK(IN, 0, 512), TRIP,
};

static const struct vqsim_op index_jumps_past_the_ring[] = {
	UP(0, 8, 1),
	BLK(IN, 0, 512),
	TRIP,
	BREAK(INDEX, 0, 17),
};

const struct scenario blk_scenarios[] = {
	SCENARIO(write_and_read_back, 3, false),
	SCENARIO(read_of_a_fresh_disk, 1, false),
	SCENARIO(flush_after_write, 3, false),
	SCENARIO(flush_not_negotiated, 1, false),
	SCENARIO(write_through, 3, false),
	SCENARIO(id_of_any_size, 4, false),
	SCENARIO(discard_and_write_zeroes, 6, false),
	SCENARIO(ranges_not_negotiated, 3, false),
	SCENARIO(unknown_type, 2, false),
	SCENARIO(header_cut_everywhere, 3, false),
	SCENARIO(all_layouts, 3, false),
	SCENARIO(status_in_a_descriptor_of_its_own, 2, false),
	SCENARIO(read_of_no_bytes, 2, false),
	SCENARIO(two_queues, 2, false),
	SCENARIO(eight_requests_at_once, 8, false),
	SCENARIO(capacity_shrinks_and_grows, 5, false),
	SCENARIO(reset_with_requests_out, 1, false),
	SCENARIO(write_over_the_end, 3, false),
	SCENARIO(sector_times_512_wraps, 5, false),
	SCENARIO(no_whole_sectors, 5, false),
	SCENARIO(range_over_the_end, 4, false),
	SCENARIO(segments_none_or_too_many, 5, false),
	SCENARIO(segment_flags_unknown, 4, false),
	SCENARIO(raw_header_too_short, 3, false),
	SCENARIO(raw_nothing_writable, 5, false),
	SCENARIO(raw_read_has_only_a_status, 2, false),
	SCENARIO(raw_write_with_a_large_status, 2, false),
	SCENARIO(raw_read_into_64_kib_and_more, 1, false),
	SCENARIO(raw_read_over_regions, 1, false),
	SCENARIO(raw_segments_of_junk, 2, false),
	SCENARIO(broken_after_good_ones, 1, true),
	SCENARIO(broken_length_is_answered, 2, false),
	SCENARIO(broken_address_and_up_again, 2, true),
	SCENARIO(broken_table, 1, true),
	SCENARIO(head_available_twice, 1, false),
	SCENARIO(index_jumps_past_the_ring, 2, true),
};

const unsigned blk_scenario_count = sizeof(blk_scenarios) / sizeof(blk_scenarios[0]);
