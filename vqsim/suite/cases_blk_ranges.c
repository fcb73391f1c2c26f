/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DISCARD and WRITE_ZEROES, and read-only disks (virtio 1.3, 5.2.6.2).
 */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define SECTOR       VQSIM_DISK_SECTOR
#define FREE         (VQSIM_SUITE_PATTERN_SIZE / SECTOR) /* the first sector behind the pattern */
#define SEGMENTS_MAX 32u
#define LOG_MAX      256u

struct segment {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

/* A request of these segments on queue 0. Returns its status. */
static int do_segments(struct vqsim_suite *s, uint32_t type, const struct segment *segments,
		       unsigned count)
{
	struct virtio_blk_discard_write_zeroes wire[SEGMENTS_MAX];
	uint32_t size = count * (uint32_t)sizeof(wire[0]);
	struct vqsim_blk_request *request = vqsim_suite_request(s, size);

	for (unsigned i = 0; i < count; i++)
		wire[i] = (struct virtio_blk_discard_write_zeroes){
			.sector = htole64(segments[i].sector),
			.num_sectors = htole32(segments[i].sectors),
			.flags = htole32(segments[i].flags),
		};
	memcpy(request->out_data, wire, size);
	return vqsim_suite_do(s, 0, request, type, 0, size);
}

/* One flag, in the first segment and in a later one. */
static void expect_flag_unsupported(struct vqsim_suite *s, uint32_t type, unsigned bit,
				    const char *clause)
{
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		struct segment segments[2] = {{FREE, 1, 0}, {FREE + 8, 1, 0}};
		int status;

		segments[wrong].flags = UINT32_C(1) << bit;
		status = do_segments(s, type, segments, wrong + 1);
		SUITE_EXPECT_CLAUSE(s, clause, status == VIRTIO_BLK_S_UNSUPP,
				    "type %" PRIu32
				    " with flag bit %u in segment %u gets status 2 (it got %d)",
				    type, bit, wrong, status);
	}
}

static void discard_flags(struct vqsim_suite *s)
{
	vqsim_suite_up(s);
	expect_flag_unsupported(s, VIRTIO_BLK_T_DISCARD, 0, "BLK-D-12");
	for (unsigned bit = 1; bit < 32; bit++)
		expect_flag_unsupported(s, VIRTIO_BLK_T_DISCARD, bit, "BLK-D-09");
	vqsim_suite_good_request(s, 0);
}

static void write_zeroes_flags(struct vqsim_suite *s)
{
	vqsim_suite_up(s);
	for (unsigned bit = 1; bit < 32; bit++)
		expect_flag_unsupported(s, VIRTIO_BLK_T_WRITE_ZEROES, bit, NULL);
	vqsim_suite_good_request(s, 0);
}

/* The sectors from FREE on, all of one byte. */
static void prepare_sectors(struct vqsim_suite *s, uint8_t byte, uint32_t sectors)
{
	uint8_t data[8 * SECTOR];

	memset(data, byte, sizeof(data));
	for (uint32_t at = 0; at < sectors; at += 8)
		vqsim_suite_write(s, FREE + at, data, sizeof(data));
}

/* From the store itself, if that can be seen: the model disk blames a read for what is wrong. */
static void look(struct vqsim_suite *s, uint64_t sector, uint8_t data[SECTOR])
{
	if (!s->subject->ops->peek)
		vqsim_suite_read(s, sector, data, SECTOR);
	else
		SUITE_EXPECT(s,
			     s->subject->ops->peek(s->instance, sector * SECTOR, data, SECTOR) == 0,
			     "the subject looks into its store");
}

static void expect_sector(struct vqsim_suite *s, uint64_t sector, uint8_t byte)
{
	uint8_t data[SECTOR];

	look(s, sector, data);
	for (uint32_t i = 0; i < SECTOR; i++)
		SUITE_EXPECT(s, data[i] == byte,
			     "byte %" PRIu32 " of sector %" PRIu64 " is %u (it is %u)", i, sector,
			     byte, data[i]);
}

static void zeroes_read_as_zero(struct vqsim_suite *s)
{
	static const struct segment segments[] = {
		{FREE + 1, 1, 0},
		{FREE + 3, 12, 0},
		{FREE + 17, 1, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP},
		{FREE + 19, 20, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP},
	};
	uint8_t data[SECTOR];

	vqsim_suite_up(s);
	prepare_sectors(s, 0x5a, 40);
	for (unsigned i = 0; i < 4; i++) {
		int status = do_segments(s, VIRTIO_BLK_T_WRITE_ZEROES, &segments[i], 1);

		SUITE_EXPECT(s, status == VIRTIO_BLK_S_OK, "WRITE_ZEROES gets status 0 (it got %d)",
			     status);
		for (uint32_t at = 0; at < segments[i].sectors; at++)
			expect_sector(s, segments[i].sector + at, 0);
		expect_sector(s, segments[i].sector - 1, 0x5a);
		expect_sector(s, segments[i].sector + segments[i].sectors, 0x5a);
	}
	for (uint64_t sector = FREE; sector < FREE + 40; sector++)
		vqsim_suite_read(s, sector, data, SECTOR);
}

static unsigned segments_max(struct vqsim_suite *s, uint32_t offset)
{
	uint64_t max = vqsim_suite_config_field(s, offset, 4);

	return max < SEGMENTS_MAX ? (unsigned)max : SEGMENTS_MAX;
}

/* Two, three, all that are allowed. */
static unsigned count_of(unsigned n, unsigned max)
{
	return n + 2 < max && n < 2 ? n + 2 : max;
}

/* Segments of one sector, with one that is left alone behind each. */
static void lay_segments(struct segment segments[SEGMENTS_MAX])
{
	for (unsigned i = 0; i < SEGMENTS_MAX; i++)
		segments[i] = (struct segment){FREE + 2 * i, 1, 0};
}

static void zeroes_all_segments(struct vqsim_suite *s)
{
	struct segment segments[SEGMENTS_MAX];
	unsigned max;

	vqsim_suite_up(s);
	lay_segments(segments);
	max = segments_max(s, offsetof(struct virtio_blk_config, max_write_zeroes_seg));
	for (unsigned n = 0; n < 3; n++) {
		unsigned count = count_of(n, max);
		int status;

		prepare_sectors(s, 0xa5, 2 * SEGMENTS_MAX);
		status = do_segments(s, VIRTIO_BLK_T_WRITE_ZEROES, segments, count);
		SUITE_EXPECT(s, status == VIRTIO_BLK_S_OK,
			     "WRITE_ZEROES of %u segments gets status 0 (it got %d)", count,
			     status);
		for (unsigned i = 0; i < SEGMENTS_MAX; i++) {
			expect_sector(s, segments[i].sector, i < count ? 0 : 0xa5);
			expect_sector(s, segments[i].sector + 1, 0xa5);
		}
	}
}

/* Whether the store was told to discard this sector, after the first entries of its log. */
static bool discarded(struct vqsim_suite *s, unsigned first, uint64_t sector)
{
	struct vqsim_store_entry log[LOG_MAX];
	unsigned count = s->subject->ops->log(s->instance, log, LOG_MAX);

	for (unsigned i = first; i < count && i < LOG_MAX; i++)
		if (log[i].op == BLK_OP_DISCARD && log[i].offset <= sector * SECTOR &&
		    log[i].size >= SECTOR &&
		    log[i].offset + log[i].size - SECTOR >= sector * SECTOR)
			return true;
	return false;
}

static void discards_all_segments(struct vqsim_suite *s)
{
	struct segment segments[SEGMENTS_MAX];
	unsigned max;

	SUITE_NEEDS_HOOK(s, log);
	vqsim_suite_up(s);
	lay_segments(segments);
	max = segments_max(s, offsetof(struct virtio_blk_config, max_discard_seg));
	for (unsigned n = 0; n < 3; n++) {
		unsigned count = count_of(n, max);
		unsigned before = s->subject->ops->log(s->instance, NULL, 0);
		int status = do_segments(s, VIRTIO_BLK_T_DISCARD, segments, count);

		SUITE_EXPECT(s, status == VIRTIO_BLK_S_OK,
			     "DISCARD of %u segments gets status 0 (it got %d)", count, status);
		for (unsigned i = 0; i < count; i++)
			SUITE_EXPECT(s, discarded(s, before, segments[i].sector),
				     "segment %u of %u reaches the store", i, count);
	}
}

static void expect_unchanged(struct vqsim_suite *s)
{
	uint8_t data[SECTOR];

	for (uint64_t sector = 0; sector < 16; sector++) {
		look(s, sector, data);
		for (uint32_t i = 0; i < SECTOR; i++)
			SUITE_EXPECT_CLAUSE(
				s, "BLK-D-08", data[i] == vqsim_suite_pattern(sector * SECTOR + i),
				"a read-only disk stays as it is at sector %" PRIu64, sector);
	}
}

static void try_to_write(struct vqsim_suite *s)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
					 VIRTIO_BLK_T_SECURE_ERASE};
	const struct segment segment = {0, 8, 0};
	struct vqsim_blk_request *request = vqsim_suite_request(s, SECTOR);
	int status;

	memset(request->out_data, 0x77, SECTOR);
	status = vqsim_suite_do(s, 0, request, VIRTIO_BLK_T_OUT, 2, SECTOR);
	SUITE_EXPECT_CLAUSE(s, "BLK-D-07", status == VIRTIO_BLK_S_IOERR,
			    "OUT to a read-only disk gets status 1 (it got %d)", status);
	expect_unchanged(s);
	for (unsigned i = 0; i < 3; i++)
		do_segments(s, types[i], &segment, 1);
	expect_unchanged(s);
	vqsim_suite_good_request(s, 0);
}

static void read_only(struct vqsim_suite *s)
{
	vqsim_suite_up(s);
	try_to_write(s);
	vqsim_suite_up_without(s, VIRTIO_FEATURE(VIRTIO_BLK_F_RO));
	try_to_write(s);
}

#define NEEDS_DISCARD VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD)
#define NEEDS_ZEROES  VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES)

const struct vqsim_case vqsim_cases_blk_ranges[] = {
	{.name = "blk_discard_flags",
	 .clauses = "BLK-D-09 BLK-D-12",
	 .needs = NEEDS_DISCARD,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = discard_flags},
	{.name = "blk_write_zeroes_flags",
	 .clauses = "BLK-D-11",
	 .needs = NEEDS_ZEROES,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = write_zeroes_flags},
	{.name = "blk_zeroes_read_as_zero",
	 .clauses = "BLK-D-15",
	 .needs = NEEDS_ZEROES,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = zeroes_read_as_zero},
	{.name = "blk_zeroes_all_segments",
	 .clauses = "BLK-DX-12",
	 .needs = NEEDS_ZEROES,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = zeroes_all_segments},
	{.name = "blk_discards_all_segments",
	 .clauses = "BLK-DX-12",
	 .needs = NEEDS_DISCARD,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = discards_all_segments},
	{.name = "blk_read_only",
	 .clauses = "BLK-D-07 BLK-D-08",
	 .device_id = VIRTIO_ID_BLOCK,
	 .options = {.read_only = true},
	 .run = read_only},
	{.name = NULL},
};
