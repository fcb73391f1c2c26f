/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to the block device (virtio 1.3, 5.2.6) in every framing, within and
 * beyond the disk. The model disk compares every answer; footprint and used
 * length are the referee's.
 */
#include <endian.h>
#include <stdio.h>

#include "tests/support/bench.h"

#define SECTORS BENCH_DISK_SECTORS
#define ROOM    8192u

enum {
	OK = VIRTIO_BLK_S_OK,
	IOERR = VIRTIO_BLK_S_IOERR,
	UNSUPP = VIRTIO_BLK_S_UNSUPP,
};

struct fixture {
	struct bench *bench;
	struct vqsim_blk_request request;
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
	return setup_with(state, &(struct bench_options){.device = BENCH_BLK, .queue_size = 256});
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vqsim_blk_request_finish(&f->request);
	bench_destroy(f->bench);
	return 0;
}

static int ask(struct fixture *f, uint32_t type, uint64_t sector, uint32_t size)
{
	f->request.type = type;
	f->request.sector = sector;
	f->request.data_size = size;
	return vqsim_blk_do(&f->bench->blk, 0, &f->request);
}

static void fill(struct fixture *f, uint8_t seed)
{
	for (uint32_t i = 0; i < ROOM; i++)
		f->request.out_data[i] = (uint8_t)(seed + i * 3 + (i >> 8));
}

/* Types */

/* BLK-DX-05, BLK-DX-06; RING-31: yc-libvhost 79a9747, SPDK 60c1cd75dc and others, the length. */
static void write_and_read_back(void **state)
{
	struct fixture *f = *state;

	fill(f, 1);
	assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, 3, 2048), OK);
	assert_int_equal(f->request.used_len, 1);
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, 3, 2048), OK);
	assert_int_equal(f->request.used_len, 2049);
	assert_memory_equal(f->request.in_data, f->request.out_data, 2048);
	assert_int_equal(ask(f, VIRTIO_BLK_T_FLUSH, 0, 0), OK);
	assert_int_equal(f->request.used_len, 1);
	/* The neighbours are as they were: the model knows. */
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, 0, 8192), OK);
}

/* BLK-DX-03: sectors and capacity count 512 bytes whatever blk_size says. */
static void large_blocks_keep_small_sectors(void **state)
{
	struct fixture *f = *state;
	uint8_t got[512];

	fill(f, 9);
	assert_int_equal(f->bench->blk.capacity, SECTORS);
	assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, 8, 512), OK);
	bench_disk_read(f->bench, 4096, got, sizeof(got));
	assert_memory_equal(got, f->request.out_data, sizeof(got));
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, SECTORS - 1, 512), OK);
}

/* BLK-DX-09; BLK-02: QEMU 1ba1f2e319, SCSI; BLK-16: Firecracker 57bac8ca4, SPDK f549a99538. */
static void unknown_types_are_not_supported(void **state)
{
	static const uint32_t known[] = {VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
					 VIRTIO_BLK_T_FLUSH,   VIRTIO_BLK_T_GET_ID,
					 VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
	struct fixture *f = *state;
	uint32_t mask = 0;

	for (size_t i = 0; i < COUNT_OF(known); i++)
		mask |= 1u << known[i];
	for (uint32_t type = 0; type < 32; type++) {
		if (mask & 1u << type)
			continue;
		assert_int_equal(ask(f, type, 0, 0), UNSUPP);
		assert_int_equal(ask(f, type, 0, 512), UNSUPP);
		assert_int_equal(ask(f, type | 0x80000000u, 0, 512), UNSUPP);
	}
	assert_int_equal(ask(f, UINT32_MAX, 0, 512), UNSUPP);
	assert_int_equal(ask(f, UINT32_MAX, UINT64_MAX, 0), UNSUPP);
	/* A large buffer for an answer that there is none of. */
	assert_int_equal(ask(f, 16, 0, ROOM), UNSUPP);
	bench_good_request(f->bench);
}

/* Bounds */

/* BLK-01: CVE-2011-1750; BLK-04: QEMU 3c2daac0b9, 42e38c1fd0; BLK-05: crosvm 5329be363;
 * BLK-07: yc-libvhost bd2107d; BLK-10: QEMU 05ae4e674e, db4eadf9f1, 1b0b2e6d06. */
static void ranges_are_checked_without_overflow(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t size;
		int status;
	} rows[] = {
		{SECTORS - 1, 512, OK},
		{SECTORS - 2, 1024, OK},
		{SECTORS, 0, OK},
		{0, 0, OK},
		{SECTORS + 1, 0, IOERR},
		{UINT64_MAX, 0, IOERR},
		{SECTORS, 512, IOERR},
		{SECTORS - 1, 1024, IOERR},
		{SECTORS + 1, 512, IOERR},
		{UINT64_C(1) << 54, 512, IOERR},
		{UINT64_C(1) << 55, 512, IOERR},
		{(UINT64_C(1) << 55) + 1, 512, IOERR},
		{UINT64_C(1) << 63, 512, IOERR},
		{UINT64_MAX, 512, IOERR},
		{UINT64_MAX, 1024, IOERR},
		{UINT64_MAX - 1, 1024, IOERR},
		{UINT64_MAX - 15, 8192, IOERR},
		{0, 1, IOERR},
		{0, 511, IOERR},
		{0, 513, IOERR},
		{0, 700, IOERR},
		{SECTORS - 1, 513, IOERR},
		{SECTORS, 1, IOERR},
	};
	struct fixture *f = *state;

	fill(f, 5);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT};

		for (size_t t = 0; t < COUNT_OF(types); t++) {
			int status = ask(f, types[t], rows[i].sector, rows[i].size);

			if (status != rows[i].status)
				fail_msg("type %u, sector %llx, size %u: status %d", types[t],
					 (unsigned long long)rows[i].sector, rows[i].size, status);
		}
	}
	/* Nothing changed but what was OK: the model compares all of the disk. */
	for (uint64_t sector = 0; sector < SECTORS; sector += 16)
		assert_int_equal(ask(f, VIRTIO_BLK_T_IN, sector, 8192), OK);
}

/*
 * MEM-16: CVE-2024-8612, RING-31: yc-libvhost ffc7e9d, an IN that fails early hands over no byte
 * and says so.
 */
static void failed_read_discloses_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, SECTORS, ROOM), IOERR);
	assert_int_equal(f->request.used_len, 0);
	for (uint32_t i = 0; i < ROOM; i++)
		assert_int_equal(f->request.in_data[i], f->request.in_data[0]);
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, 0, 511), IOERR);
	assert_int_equal(f->request.used_len, 0);
	assert_int_equal(f->request.in_data[0], f->request.in_data[510]);
}

/* BLK-13: SPDK 4d74fad8b5, header and status alone: the status is no data. */
static void read_without_data_answers_the_status(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, 4, 0), OK);
	assert_int_equal(f->request.used_len, 1);
}

/* BLK-31: cloud-hypervisor c565d4eb8, 3fc0ff00d, bad and good ones in turn. */
static void good_requests_between_bad_ones(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(ask(f, VIRTIO_BLK_T_IN, SECTORS + i, 512), IOERR);
		bench_good_request(f->bench);
	}
}

/* Framing */

/* Ask for the same with every layout: what comes back must not depend on it (SPLIT-D-01). */
static void same_answer(struct fixture *f, uint32_t type, uint64_t sector, uint32_t size)
{
	struct vqsim_blk_request *r = &f->request;
	int status = ask(f, type, sector, size);

	if (status != OK)
		fail_msg("type %u with cuts %u.. and %u..: status %d", type,
			 r->readable_cuts ? r->readable_cuts[0] : 16,
			 r->writable_cuts ? r->writable_cuts[0] : size, status);
	if (type == VIRTIO_BLK_T_OUT) {
		struct vqsim_blk_request plain = *r;

		r->readable_cuts = r->writable_cuts = NULL;
		r->indirect = false;
		assert_int_equal(ask(f, VIRTIO_BLK_T_IN, sector, size), OK);
		r->readable_cuts = plain.readable_cuts;
		r->writable_cuts = plain.writable_cuts;
		r->indirect = plain.indirect;
	}
}

static void every_kind(struct fixture *f, uint8_t seed)
{
	fill(f, seed);
	same_answer(f, VIRTIO_BLK_T_OUT, 10, 1024);
	same_answer(f, VIRTIO_BLK_T_IN, 9, 1024);
	same_answer(f, VIRTIO_BLK_T_FLUSH, 0, 0);
	same_answer(f, VIRTIO_BLK_T_GET_ID, 0, 20);
	assert_memory_equal(f->request.in_data, "the id of the disk\0\0", 20);
}

static void with_tables(struct fixture *f, uint8_t seed)
{
	struct vqsim_blk_request *r = &f->request;

	r->indirect = false;
	every_kind(f, seed);
	r->indirect = true;
	for (r->direct = 0; r->direct <= 2; r->direct++)
		every_kind(f, (uint8_t)(seed + r->direct + 1));
}

/* LEN-05: CVE-2022-2132; BLK-34: QEMU ee17e84830, 7882080388, cd4bfbb20d; BLK-11:
 * cloud-hypervisor 1ba5f1519, 300 + 724 bytes. */
static void cut_anywhere_means_the_same(void **state)
{
	struct fixture *f = *state;
	static uint32_t readable, writable;

	f->request.readable_cuts = &readable;
	f->request.writable_cuts = &writable;
	f->request.readable_cut_count = f->request.writable_cut_count = 1;
	for (readable = 0; readable <= 20; readable++) {
		writable = readable;
		with_tables(f, (uint8_t)readable);
	}
	for (writable = 1019; writable <= 1025; writable++) {
		readable = 16 + writable;
		with_tables(f, (uint8_t)writable);
	}
	readable = 316;
	writable = 300;
	with_tables(f, 77);
}

/* BLK-34: QEMU ee17e84830, the header in 16 descriptors; CHAIN-28, CHAIN-29. */
static void one_byte_pieces_mean_the_same(void **state)
{
	struct fixture *f = *state;
	static uint32_t ones[40];

	for (size_t i = 0; i < COUNT_OF(ones); i++)
		ones[i] = 1;
	f->request.readable_cuts = f->request.writable_cuts = ones;
	for (uint16_t count = 1; count <= COUNT_OF(ones); count += 13) {
		f->request.readable_cut_count = f->request.writable_cut_count = count;
		with_tables(f, (uint8_t)count);
	}
}

/* Like LEN-11: cloud-hypervisor 9f405a21a of a vsock device: header and data, data and status in one. */
static void merged_means_the_same(void **state)
{
	struct fixture *f = *state;
	static const uint32_t none[1];

	f->request.readable_cuts = f->request.writable_cuts = none;
	with_tables(f, 3);
}

/* CHAIN-02: CVE-2016-6490, empty descriptors at every place of a request. */
static void empty_descriptors_mean_nothing(void **state)
{
	struct fixture *f = *state;
	static const uint32_t readable[] = {0, 5, 0, 0, 11, 0, 100, 0};
	static const uint32_t writable[] = {0, 0, 7, 0, 13, 0};

	f->request.readable_cuts = readable;
	f->request.writable_cuts = writable;
	f->request.readable_cut_count = COUNT_OF(readable);
	f->request.writable_cut_count = COUNT_OF(writable);
	with_tables(f, 21);
}

/* BLK-11: yc-libvhost 7dcf92b, 700 bytes as 300 + 400 are no sectors in any framing. */
static void half_sectors_fail_in_every_framing(void **state)
{
	struct fixture *f = *state;
	static const uint32_t readable = 316, writable = 300;

	f->request.readable_cuts = &readable;
	f->request.writable_cuts = &writable;
	f->request.readable_cut_count = f->request.writable_cut_count = 1;
	assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, 0, 700), IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, 0, 700), IOERR);
	assert_int_equal(f->request.used_len, 0);
}

static int id_setup(void **state)
{
	return setup_with(state, &(struct bench_options){
					 .device = BENCH_BLK,
					 .queue_size = 256,
					 .blk = {.id = "the id of the disk"},
				 });
}

static int large_block_setup(void **state)
{
	return setup_with(
		state, &(struct bench_options){.device = BENCH_BLK, .blk = {.block_size = 4096}});
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(setup, write_and_read_back),
		WITH(large_block_setup, write_and_read_back),
		WITH(large_block_setup, large_blocks_keep_small_sectors),
		WITH(setup, unknown_types_are_not_supported),
		WITH(setup, ranges_are_checked_without_overflow),
		WITH(setup, failed_read_discloses_nothing),
		WITH(setup, read_without_data_answers_the_status),
		WITH(setup, good_requests_between_bad_ones),
		WITH(id_setup, cut_anywhere_means_the_same),
		WITH(id_setup, one_byte_pieces_mean_the_same),
		WITH(id_setup, merged_means_the_same),
		WITH(id_setup, empty_descriptors_mean_nothing),
		WITH(setup, half_sectors_fail_in_every_framing),
	};

	return cmocka_run_group_tests_name("blk requests", tests, NULL, NULL);
}
