/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DISCARD and WRITE_ZEROES, the identification, and the read-only disk (virtio
 * 1.3, 5.2.6): what is refused changes nothing, to the byte.
 */
#include <endian.h>
#include <stdlib.h>

#include "tests/support/bench.h"

#define SECTORS   BENCH_DISK_SECTORS
#define DISK_SIZE (SECTORS * 512u)
#define ROOM      16384u
#define MAX       BLK_DISCARD_SEGMENTS_MAX

enum {
	OK = VIRTIO_BLK_S_OK,
	IOERR = VIRTIO_BLK_S_IOERR,
	UNSUPP = VIRTIO_BLK_S_UNSUPP,
	DISCARD = VIRTIO_BLK_T_DISCARD,
	ZEROES = VIRTIO_BLK_T_WRITE_ZEROES,
	UNMAP = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
};

struct fixture {
	struct bench *bench;
	struct vqsim_blk_request request;
	uint8_t before[DISK_SIZE], after[DISK_SIZE];
};

static int setup_with(void **state, const struct bench_options *options)
{
	static struct fixture fixture;

	fixture.bench = bench_create(options);
	assert_int_equal(vqsim_blk_request_init(&fixture.bench->blk, &fixture.request, ROOM), 0);
	*state = &fixture;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, &(struct bench_options){.device = BENCH_BLK});
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vqsim_blk_request_finish(&f->request);
	bench_destroy(f->bench);
	return 0;
}

static void segment(struct fixture *f, unsigned index, uint64_t sector, uint32_t count,
		    uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes s = {htole64(sector), htole32(count),
						    htole32(flags)};

	memcpy(f->request.out_data + 16 * index, &s, sizeof(s));
}

static int ask(struct fixture *f, uint32_t type, uint64_t sector, uint32_t size)
{
	f->request.type = type;
	f->request.sector = sector;
	f->request.data_size = size;
	return vqsim_blk_do(&f->bench->blk, 0, &f->request);
}

/* Ask, with the given number of segments, and assert that no byte of the disk changed. */
static void assert_refused(struct fixture *f, uint32_t type, uint32_t size, int status)
{
	bench_disk_read(f->bench, 0, f->before, DISK_SIZE);
	assert_int_equal(ask(f, type, 0, size), status);
	bench_disk_read(f->bench, 0, f->after, DISK_SIZE);
	assert_memory_equal(f->after, f->before, DISK_SIZE);
}

/* The disk as it is but for zeroes in [first, first + count). */
static void assert_zeroed(struct fixture *f, uint64_t first, uint64_t count)
{
	memset(f->before + first * 512, 0, count * 512);
	bench_disk_read(f->bench, 0, f->after, DISK_SIZE);
	assert_memory_equal(f->after, f->before, DISK_SIZE);
}

/* What is carried out */

/* BLK-D-15. */
static void zeroes_are_exact(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t count, flags;
	} rows[] = {
		{2, 1, 0},   {5, 1, UNMAP},           {0, 1, 0},       {SECTORS - 1, 1, UNMAP},
		{7, 30, 0},  {41, 33, UNMAP},         {128, 0, 0},     {SECTORS, 0, 0},
		{64, 64, 0}, {3, SECTORS - 6, UNMAP}, {0, SECTORS, 0},
	};
	struct fixture *f = *state;

	bench_disk_read(f->bench, 0, f->before, DISK_SIZE);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		segment(f, 0, rows[i].sector, rows[i].count, rows[i].flags);
		assert_int_equal(ask(f, ZEROES, 0, 16), OK);
		assert_int_equal(f->request.used_len, 1);
		assert_zeroed(f, rows[i].sector, rows[i].count);
	}
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, 0, 8192), OK);
}

/* BLK-19: hyperkit b97eb00, one sector at 2 in a store with pages of 4096. */
static void discard_spares_its_neighbours(void **state)
{
	struct fixture *f = *state;

	bench_disk_read(f->bench, 0, f->before, DISK_SIZE);
	segment(f, 0, 2, 1, 0);
	assert_int_equal(ask(f, DISCARD, 0, 16), OK);
	bench_disk_read(f->bench, 0, f->after, DISK_SIZE);
	/* What was discarded may be anything. */
	memcpy(f->after + 1024, f->before + 1024, 512);
	assert_memory_equal(f->after, f->before, DISK_SIZE);
}

/* BLK-DX-12, BLK-17: crosvm 83237647d, cloud-hypervisor d3cad420a, 1 to max segments. */
static void every_segment_is_carried_out(void **state)
{
	static const unsigned counts[] = {1, 2, MAX - 1, MAX};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		bench_disk_read(f->bench, 0, f->before, DISK_SIZE);
		for (unsigned s = 0; s < counts[i]; s++) {
			segment(f, s, 4 * s + i, 1, s % 2 ? UNMAP : 0);
			memset(f->before + (4 * s + i) * 512, 0, 512);
		}
		assert_int_equal(ask(f, ZEROES, 0, 16 * counts[i]), OK);
		assert_zeroed(f, 0, 0);
		for (unsigned s = 0; s < counts[i]; s++)
			segment(f, s, 4 * s + i, 1, 0);
		assert_int_equal(ask(f, DISCARD, 0, 16 * counts[i]), OK);
	}
}

static void segments_may_be_cut_anywhere(void **state)
{
	struct fixture *f = *state;
	static uint32_t cuts[3];

	f->request.readable_cuts = cuts;
	f->request.readable_cut_count = COUNT_OF(cuts);
	for (cuts[0] = 1; cuts[0] < 50; cuts[0]++) {
		cuts[1] = 1;
		cuts[2] = 7;
		segment(f, 0, cuts[0], 1, 0);
		segment(f, 1, cuts[0] + 60, 2, UNMAP);
		bench_disk_read(f->bench, 0, f->before, DISK_SIZE);
		memset(f->before + cuts[0] * 512, 0, 512);
		memset(f->before + (cuts[0] + 60) * 512, 0, 1024);
		assert_int_equal(ask(f, ZEROES, 0, 32), OK);
		assert_zeroed(f, 0, 0);
	}
}

/* What is refused */

/* BLK-17: crosvm 83237647d; like LEN-02: CVE-2023-3180 and like LEN-04: CVE-2020-14374, -14376,
 * -14377, which are of crypto devices, a length that does not fit what the parts say. */
static void impossible_sizes_are_refused(void **state)
{
	static const uint32_t sizes[] = {
		0, 1, 8, 15, 17, 24, 31, 16 * MAX - 1, 16 * MAX + 1, 16 * (MAX + 1), 16 * 1000};
	struct fixture *f = *state;

	for (unsigned s = 0; s < 1000; s++)
		segment(f, s, s % SECTORS, 1, 0);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		assert_refused(f, DISCARD, sizes[i], IOERR);
		assert_refused(f, ZEROES, sizes[i], IOERR);
	}
}

/* BLK-D-09, BLK-D-11, BLK-D-12: in the first segment and in a later one. */
static void unknown_flags_are_not_supported(void **state)
{
	struct fixture *f = *state;

	for (unsigned bit = 0; bit < 32; bit++) {
		for (unsigned at = 0; at < 3; at++) {
			for (unsigned s = 0; s < 3; s++)
				segment(f, s, 8 * s, 4, s == at ? 1u << bit : 0);
			assert_refused(f, DISCARD, 48, UNSUPP);
			if (bit != 0)
				assert_refused(f, ZEROES, 48, UNSUPP);
		}
	}
}

/* A flag that is not known comes first, whatever else is wrong. */
static void unknown_flag_beats_a_bad_range(void **state)
{
	struct fixture *f = *state;

	segment(f, 0, SECTORS, 1, 0);
	segment(f, 1, 0, 1, 2);
	assert_refused(f, ZEROES, 32, UNSUPP);
	segment(f, 0, 0, 1, 2);
	segment(f, 1, SECTORS, 1, 0);
	assert_refused(f, ZEROES, 32, UNSUPP);
}

/* BLK-08: cloud-hypervisor f7ebb4b87; the good segment beside a bad one is not carried out. */
static void ranges_beyond_the_disk_are_refused(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t count;
	} rows[] = {
		{SECTORS, 1},
		{SECTORS - 1, 2},
		{0, SECTORS + 1},
		{0, UINT32_MAX},
		{SECTORS + 1, 0},
		{UINT64_C(1) << 55, 1},
		{(UINT64_C(1) << 55) - 1, 2},
		{UINT64_MAX, 1},
		{UINT64_MAX, 2},
		{UINT64_MAX - 7, 16},
		{UINT64_MAX / 512, 8},
		{UINT64_MAX, UINT32_MAX},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (unsigned at = 0; at < 2; at++) {
			segment(f, 1 - at, 4, 1, 0);
			segment(f, at, rows[i].sector, rows[i].count, 0);
			assert_refused(f, ZEROES, 32, IOERR);
			assert_refused(f, DISCARD, 32, IOERR);
		}
	}
}

/* BLK-DX-09: without their features both are unknown types. */
static void requests_without_their_feature_are_not_supported(void **state)
{
	struct fixture *f = *state;

	segment(f, 0, 0, 8, 0);
	assert_refused(f, DISCARD, 16, UNSUPP);
	assert_refused(f, ZEROES, 16, UNSUPP);
	assert_refused(f, ZEROES, 0, UNSUPP);
}

static int no_ranges_setup(void **state)
{
	return setup_with(state, &(struct bench_options){
					 .device = BENCH_BLK,
					 .without = VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) |
						    VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES),
				 });
}

/* Read-only: BLK-D-07, BLK-D-08. */
static void read_only_disk_stays_as_it_is(void **state)
{
	struct fixture *f = *state;

	memset(f->request.out_data, 0x77, 4096);
	assert_refused(f, VIRTIO_BLK_T_OUT, 512, IOERR);
	assert_refused(f, VIRTIO_BLK_T_OUT, 4096, IOERR);
	assert_refused(f, VIRTIO_BLK_T_OUT, 0, IOERR);
	segment(f, 0, 0, 8, 0);
	assert_refused(f, ZEROES, 16, IOERR);
	assert_refused(f, DISCARD, 16, IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, 0, 4096), OK);
	assert_memory_equal(f->request.in_data, f->before, 4096);
	assert_int_equal(ask(f, VIRTIO_BLK_T_FLUSH, 0, 0), OK);
}

static int read_only_setup(void **state)
{
	return setup_with(state,
			  &(struct bench_options){.device = BENCH_BLK, .blk = {.read_only = true}});
}

static int unacknowledged_read_only_setup(void **state)
{
	return setup_with(state, &(struct bench_options){
					 .device = BENCH_BLK,
					 .blk = {.read_only = true},
					 .without = VIRTIO_FEATURE(VIRTIO_BLK_F_RO),
				 });
}

/* The identification. BLK-DX-07. */
static void id_fills_what_there_is_room_for(void **state)
{
	static const char *const ids[] = {"", "0123456789abcdefghi", "0123456789abcdefghij"};
	static const uint32_t sizes[] = {0, 1, 19, 20, 21, 200};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		char expected[20] = {0};
		void *fixture;

		memcpy(expected, ids[i], strlen(ids[i]));
		setup_with(&fixture,
			   &(struct bench_options){.device = BENCH_BLK, .blk = {.id = ids[i]}});
		for (size_t s = 0; s < COUNT_OF(sizes); s++) {
			struct fixture *f = fixture;
			uint32_t size = sizes[s];

			assert_int_equal(ask(f, VIRTIO_BLK_T_GET_ID, 0, size), OK);
			assert_memory_equal(f->request.in_data, expected, size < 20 ? size : 20);
			/* Behind 20 bytes is a gap before the status. */
			assert_int_equal(f->request.used_len, size <= 20 ? size + 1 : 20);
		}
		teardown(&fixture);
	}
}

/* Like LEN-08: CVE-2014-0077 of a net device, many small buffers and a short answer; MEM-23:
 * Firecracker 34570dc79, 72e188d97, an answer that ends inside an element. */
static void id_ends_where_it_ends(void **state)
{
	struct fixture *f = *state;
	static uint32_t cuts[30];

	f->request.writable_cuts = cuts;
	for (uint32_t piece = 1; piece <= 7; piece += 3) {
		for (size_t i = 0; i < COUNT_OF(cuts); i++)
			cuts[i] = piece;
		f->request.writable_cut_count = COUNT_OF(cuts);
		assert_int_equal(ask(f, VIRTIO_BLK_T_GET_ID, 0, 200), OK);
		assert_memory_equal(f->request.in_data, "a disk\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
		for (unsigned i = 21; i < 200; i++)
			assert_int_equal(f->request.in_data[i], f->request.in_data[20]);
		assert_int_not_equal(f->request.in_data[20], 0);
	}
}

static int id_setup(void **state)
{
	return setup_with(state, &(struct bench_options){.device = BENCH_BLK,
							 .queue_size = 64,
							 .blk = {.id = "a disk"}});
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(setup, zeroes_are_exact),
		WITH(setup, discard_spares_its_neighbours),
		WITH(setup, every_segment_is_carried_out),
		WITH(setup, segments_may_be_cut_anywhere),
		WITH(setup, impossible_sizes_are_refused),
		WITH(setup, unknown_flags_are_not_supported),
		WITH(setup, unknown_flag_beats_a_bad_range),
		WITH(setup, ranges_beyond_the_disk_are_refused),
		WITH(no_ranges_setup, requests_without_their_feature_are_not_supported),
		WITH(read_only_setup, read_only_disk_stays_as_it_is),
		WITH(unacknowledged_read_only_setup, read_only_disk_stays_as_it_is),
		WITH(id_setup, id_ends_where_it_ends),
		cmocka_unit_test(id_fills_what_there_is_room_for),
	};

	return cmocka_run_group_tests_name("blk ranges", tests, NULL, NULL);
}
