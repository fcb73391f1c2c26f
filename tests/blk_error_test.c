/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The block device on a store that fails or has limits of its own: an error is
 * told to the driver, once, and costs nothing but the request.
 */
#include <endian.h>
#include <errno.h>

#include "tests/support/async.h"

enum {
	OK = VIRTIO_BLK_S_OK,
	IOERR = VIRTIO_BLK_S_IOERR,
	IN = VIRTIO_BLK_T_IN,
	OUT = VIRTIO_BLK_T_OUT,
	FLUSH = VIRTIO_BLK_T_FLUSH,
	DISCARD = VIRTIO_BLK_T_DISCARD,
	ZEROES = VIRTIO_BLK_T_WRITE_ZEROES,
};

static int ask(struct async *a, uint32_t type, uint64_t sector, uint32_t size)
{
	struct vqsim_blk_request *request = &a->requests[0];

	request->type = type;
	request->sector = sector;
	request->data_size = size;
	return vqsim_blk_do(&a->bench->blk, 0, request);
}

static void segment(struct async *a, unsigned index, uint64_t sector, uint32_t count)
{
	struct virtio_blk_discard_write_zeroes s = {htole64(sector), htole32(count), 0};

	memcpy(a->requests[0].out_data + 16 * index, &s, sizeof(s));
}

/* BLK-28: QEMU 0534b1b227, 49c3c8dca7; MEM-22: vm-memory 9e252ee, 063126b, a store that fails. */
static void every_error_is_ioerr(void **state)
{
	static const int errors[] = {-EIO, -ENOSPC, -ENOMEM, -EINVAL, -ETIMEDOUT, -EAGAIN, -1};
	static const struct {
		uint32_t type, size;
	} rows[] = {{IN, 1024}, {OUT, 1024}, {FLUSH, 0}, {DISCARD, 16}, {ZEROES, 16}};
	struct async *a = *state;

	segment(a, 0, 8, 8);
	for (size_t e = 0; e < COUNT_OF(errors); e++) {
		a->faults->error = errors[e];
		for (size_t i = 0; i < COUNT_OF(rows); i++) {
			a->faults->hold = (e + i) % 2;
			a->faults->fail_all = true;
			assert_int_equal(ask(a, rows[i].type, 0, rows[i].size), IOERR);
			assert_int_equal(a->requests[0].used_len, rows[i].type == IN ? 0 : 1);
			a->faults->fail_all = false;
		}
		bench_good_request(a->bench);
	}
}

/* BLK-23: QEMU 10f5a72f70, 466138dc68, of neighbours that could be merged one fails. */
static void one_failure_is_of_one_request(void **state)
{
	struct async *a = *state;

	for (uint32_t k = 1; k <= ASYNC_REQUESTS; k++) {
		async_hold(a);
		a->faults->taken = 0;
		a->faults->fail_at = k;
		for (unsigned i = 0; i < ASYNC_REQUESTS; i++)
			async_add(a, i, OUT, 32 + 2 * i, 1024);
		assert_int_equal(async_run(a), VIRTIO_WAITING);
		async_let_go(a, VQSIM_FAULTS_ALL);
		assert_int_equal(async_run(a), VIRTIO_IDLE);
		while (vqsim_blk_reap(&a->bench->blk, 0))
			;
		for (unsigned i = 0; i < ASYNC_REQUESTS; i++) {
			assert_true(a->requests[i].done);
			assert_int_equal(a->requests[i].status, i + 1 == k ? IOERR : OK);
		}
		assert_int_equal(a->faults->taken, ASYNC_REQUESTS);
	}
}

/* The segments before the one that fails are done, those after it are not tried. */
static void failed_segment_ends_its_request(void **state)
{
	struct async *a = *state;

	for (uint32_t k = 1; k <= 4; k++) {
		for (unsigned i = 0; i < 4; i++)
			segment(a, i, 16 * i, 4);
		a->faults->hold = k % 2;
		a->faults->taken = 0;
		a->faults->fail_at = k;
		assert_int_equal(ask(a, ZEROES, 0, 64), IOERR);
		assert_int_equal(a->faults->taken, k);
		assert_int_equal(a->requests[0].used_len, 1);
	}
}

/* The store's limits */

static void at_most_4096(struct blk_limits *limits)
{
	limits->transfer_max = 4096 + 100; /* counts as 4096: whole blocks */
}

/* A transfer in parts is one request: all parts, in order, in any framing. */
static void long_transfer_goes_in_parts(void **state)
{
	struct async *a = *state;
	static const uint32_t readable_cuts[] = {16 + 100, 5000}, cuts[] = {4095, 2, 4095};

	for (unsigned framing = 0; framing < 4; framing++) {
		a->requests[0].readable_cuts = framing & 1 ? readable_cuts : NULL;
		a->requests[0].writable_cuts = framing & 1 ? cuts : NULL;
		a->requests[0].readable_cut_count = COUNT_OF(readable_cuts);
		a->requests[0].writable_cut_count = COUNT_OF(cuts);
		a->faults->hold = framing & 2;
		a->faults->taken = 0;
		for (unsigned i = 0; i < 9728; i++)
			a->requests[0].out_data[i] = (uint8_t)(i * 5 + i / 512 + framing);
		assert_int_equal(ask(a, OUT, 10, 9728), OK);
		assert_int_equal(a->faults->taken, 3);
		assert_int_equal(a->faults->log[0].size, 4096);
		assert_int_equal(a->faults->log[1].offset, 10 * 512 + 4096);
		assert_int_equal(a->faults->log[2].size, 9728 - 2 * 4096);
		assert_int_equal(ask(a, IN, 10, 9728), OK);
		assert_memory_equal(a->requests[0].in_data, a->requests[0].out_data, 9728);
		assert_int_equal(a->requests[0].used_len, 9729);
	}
}

/* MEM-22: vm-memory 9e252ee, part of the data came and the rest did not. */
static void failed_part_fails_the_transfer(void **state)
{
	struct async *a = *state;

	for (uint32_t k = 1; k <= 4; k++) {
		const uint32_t types[] = {IN, OUT};

		for (size_t t = 0; t < COUNT_OF(types); t++) {
			a->faults->hold = (k + t) % 2;
			a->faults->taken = 0;
			a->faults->fail_at = k;
			assert_int_equal(ask(a, types[t], 0, 16384), IOERR);
			assert_int_equal(a->faults->taken, k);
			assert_int_equal(a->requests[0].used_len, types[t] == IN ? 0 : 1);
		}
	}
}

/* BLK-22: busy in the middle of a transfer in parts. */
static void busy_part_is_offered_again(void **state)
{
	struct async *a = *state;

	for (uint32_t k = 2; k <= 8; k++) {
		a->faults->submits = a->faults->taken = 0;
		a->faults->busy_at = k;
		async_hold(a);
		async_add(a, 0, OUT, 0, 16384);
		async_add(a, 1, IN, 64, 16384);
		async_run(a);
		async_let_go(a, VQSIM_FAULTS_ALL);
		vqsim_guest_settle(&a->bench->guest, 0);
		assert_int_equal(async_reap(a, OK), 2);
		assert_int_equal(a->faults->taken, 8);
		assert_int_equal(a->faults->busy, k - 1);
	}
}

/* BLK-22: one part of every transfer meets a store that is full again. */
static void several_busy_parts_are_all_offered_again(void **state)
{
	struct async *a = *state;

	async_hold(a);
	for (unsigned i = 0; i < 4; i++)
		async_add(a, i, i % 2 ? IN : OUT, 32 * i, 16384);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_int_equal(a->faults->held, 4);
	/* From here on only the last of the four gets its next part in. */
	a->faults->busy_above = 1;
	async_let_go(a, 4);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_true(a->faults->busy >= 3);
	async_let_go(a, VQSIM_FAULTS_ALL);
	vqsim_guest_settle(&a->bench->guest, 0);
	assert_int_equal(async_reap(a, OK), 4);
	assert_int_equal(a->faults->taken, 16);
}

static void aligned_to_512(struct blk_limits *limits)
{
	limits->memory_alignment = 512;
}

static void misaligned_memory_is_refused_and_nothing_changes(void **state)
{
	struct async *a = *state;
	static const uint32_t good[] = {512}, bad[] = {256};
	uint32_t taken = a->faults->taken;

	a->requests[0].writable_cut_count = 1;
	a->requests[0].writable_cuts = good;
	assert_int_equal(ask(a, IN, 0, 1024), OK);
	a->requests[0].writable_cuts = bad;
	assert_int_equal(ask(a, IN, 0, 1024), IOERR);
	assert_int_equal(a->requests[0].used_len, 0);
	/* The data of an OUT stands right behind the header. */
	assert_int_equal(ask(a, OUT, 0, 1024), IOERR);
	assert_int_equal(a->faults->taken - taken, 1);
}

static void blocks_of_4096(struct blk_limits *limits)
{
	limits->block_size = limits->physical_block_size = 4096;
}

/* BLK-DX-03: sectors count 512 bytes, and what is no whole block fails. */
static void parts_of_a_block_are_refused(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t size;
		int status;
	} rows[] = {
		{0, 4096, OK},    {8, 8192, OK},    {248, 4096, OK},    {0, 512, IOERR},
		{1, 4096, IOERR}, {7, 4096, IOERR}, {8, 4608, IOERR},   {248, 8192, IOERR},
		{4, 0, IOERR},    {256, 0, OK},     {256, 4096, IOERR},
	};
	struct async *a = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(ask(a, IN, rows[i].sector, rows[i].size), rows[i].status);
		assert_int_equal(ask(a, OUT, rows[i].sector, rows[i].size), rows[i].status);
	}
	segment(a, 0, 8, 8);
	assert_int_equal(ask(a, ZEROES, 0, 16), OK);
	segment(a, 0, 9, 8);
	assert_int_equal(ask(a, ZEROES, 0, 16), IOERR);
	segment(a, 0, 8, 9);
	assert_int_equal(ask(a, DISCARD, 0, 16), IOERR);
}

/*
 * RING-35: cloud-hypervisor e1a63b41f, a chain that has no room for a status comes back all the
 * same, so that no number of them uses up the ring.
 */
static void chain_without_a_status_comes_back(void **state)
{
	struct async *a = *state;
	const struct vqsim_element element = {a->requests[0].out_gpa, 16, false};
	const struct vqsim_chain chain = {&element, 1, 1, 0};
	uint16_t size = a->bench->guest.queues[0].setup.size;
	struct vqsim_used used;

	for (unsigned lap = 0; lap < 3; lap++) {
		for (uint16_t i = 0; i < size; i++)
			assert_true(vqsim_guest_add(&a->bench->guest, 0, &chain, a) >= 0);
		assert_int_equal(async_run(a), VIRTIO_IDLE);
		for (uint16_t i = 0; i < size; i++) {
			assert_int_equal(vqsim_guest_reap(&a->bench->guest, 0, &used),
					 VQSIM_REAP_USED);
			assert_int_equal(used.len, 0);
		}
	}
	bench_good_request(a->bench);
}

static int setup(void **state)
{
	*state = async_create(NULL);
	return 0;
}

static int packed_setup(void **state)
{
	*state = async_create_packed(NULL);
	return 0;
}

static int parts_setup(void **state)
{
	*state = async_create(at_most_4096);
	return 0;
}

static int aligned_setup(void **state)
{
	*state = async_create(aligned_to_512);
	return 0;
}

static int blocks_setup(void **state)
{
	*state = async_create(blocks_of_4096);
	return 0;
}

static int teardown(void **state)
{
	async_destroy(*state);
	return 0;
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(setup, every_error_is_ioerr),
		WITH(setup, one_failure_is_of_one_request),
		WITH(setup, failed_segment_ends_its_request),
		WITH(parts_setup, long_transfer_goes_in_parts),
		WITH(parts_setup, failed_part_fails_the_transfer),
		WITH(parts_setup, busy_part_is_offered_again),
		WITH(parts_setup, several_busy_parts_are_all_offered_again),
		WITH(aligned_setup, misaligned_memory_is_refused_and_nothing_changes),
		WITH(blocks_setup, parts_of_a_block_are_refused),
		WITH(setup, chain_without_a_status_comes_back),
		WITH(packed_setup, chain_without_a_status_comes_back),
	};

	return cmocka_run_group_tests_name("blk errors", tests, NULL, NULL);
}
