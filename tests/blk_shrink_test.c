/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The disk shrinks (virtio 1.3, 5.2.6.2) while a request is under way that the device carries
 * out in several operations: what is left of it is judged by the new size.
 */
#include <endian.h>

#include "tests/support/async.h"

#define SHRUNK     100u /* sectors */
#define RANGES_MAX 3u
#define END        UINT64_MAX

enum {
	IN = VIRTIO_BLK_T_IN,
	OUT = VIRTIO_BLK_T_OUT,
	DISCARD = VIRTIO_BLK_T_DISCARD,
	ZEROES = VIRTIO_BLK_T_WRITE_ZEROES,
};

struct range {
	uint64_t sector;
	uint32_t sectors;
};

struct row {
	uint32_t type;
	struct range ranges[RANGES_MAX]; /* IN and OUT have one */
	int status;
	uint64_t touched[5]; /* first sector of each operation that reaches the store, then END */
};

/* The first operation is with the store when the disk shrinks; it lies below the new end. */
static const struct row rows[] = {
	{IN, {{98, 4}}, VIRTIO_BLK_S_IOERR, {98, 99, END}},
	{OUT, {{98, 4}}, VIRTIO_BLK_S_IOERR, {98, 99, END}},
	{IN, {{99, 2}}, VIRTIO_BLK_S_IOERR, {99, END}},
	{OUT, {{96, 4}}, VIRTIO_BLK_S_OK, {96, 97, 98, 99, END}},
	{DISCARD, {{50, 1}, {99, 1}, {100, 1}}, VIRTIO_BLK_S_IOERR, {50, 99, END}},
	{DISCARD, {{50, 1}, {99, 2}, {60, 1}}, VIRTIO_BLK_S_IOERR, {50, END}},
	{DISCARD, {{50, 1}, {200, 8}, {60, 1}}, VIRTIO_BLK_S_IOERR, {50, END}},
	{ZEROES, {{50, 1}, {98, 2}, {248, 8}}, VIRTIO_BLK_S_IOERR, {50, 98, END}},
	{ZEROES, {{50, 1}, {98, 2}, {60, 1}}, VIRTIO_BLK_S_OK, {50, 98, 60, END}},
};

static void cut_to_sectors(struct blk_limits *limits)
{
	limits->transfer_max = 512;
}

static void resize(struct async *a, uint64_t sectors)
{
	assert_int_equal(a->faults->base.ops->resize(&a->faults->base, sectors * 512), 0);
	blk_capacity_changed(a->bench->device);
}

static void add(struct async *a, unsigned index, const struct row *row)
{
	struct virtio_blk_discard_write_zeroes segment = {0};
	unsigned count = 0;

	if (row->type == IN || row->type == OUT) {
		async_add(a, index, row->type, row->ranges[0].sector, 512 * row->ranges[0].sectors);
		return;
	}
	for (; count < RANGES_MAX && row->ranges[count].sectors > 0; count++) {
		segment.sector = htole64(row->ranges[count].sector);
		segment.num_sectors = htole32(row->ranges[count].sectors);
		memcpy(a->requests[index].out_data + 16 * count, &segment, sizeof(segment));
	}
	async_add(a, index, row->type, 0, 16 * count);
}

/* All operations since number first, and none of them past the new end. */
static void assert_touched(struct async *a, uint32_t first, const uint64_t *sectors)
{
	for (; *sectors != END; sectors++, first++) {
		assert_true(first < a->faults->taken);
		assert_int_equal(a->faults->log[first].offset, *sectors * 512);
		assert_true(a->faults->log[first].offset + a->faults->log[first].size <=
			    SHRUNK * 512);
	}
	assert_int_equal(a->faults->taken, first);
}

static void remaining_parts_are_judged_by_the_new_size(void **state)
{
	struct async *a = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint32_t first = a->faults->taken;

		async_hold(a);
		add(a, 0, &rows[i]);
		assert_int_equal(async_run(a), VIRTIO_WAITING);
		assert_int_equal(a->faults->taken, first + 1);
		resize(a, SHRUNK);
		async_let_go(a, VQSIM_FAULTS_ALL);
		vqsim_guest_settle(&a->bench->guest, 0);
		assert_int_equal(async_reap(a, rows[i].status), 1);
		assert_touched(a, first, rows[i].touched);
		resize(a, BENCH_DISK_SECTORS);
	}
}

/* The store had no room for the first operation: none of it was done when the disk shrinks. */
static void request_that_waits_is_judged_by_the_new_size(void **state)
{
	static const struct row waiting[] = {
		{IN, {{100, 1}}, VIRTIO_BLK_S_IOERR, {END}},
		{OUT, {{100, 1}}, VIRTIO_BLK_S_IOERR, {END}},
		{OUT, {{250, 6}}, VIRTIO_BLK_S_IOERR, {END}},
		{DISCARD, {{100, 1}}, VIRTIO_BLK_S_IOERR, {END}},
		{DISCARD, {{99, 2}, {1, 1}}, VIRTIO_BLK_S_IOERR, {END}},
		{ZEROES, {{255, 1}}, VIRTIO_BLK_S_IOERR, {END}},
		{IN, {{99, 1}}, VIRTIO_BLK_S_OK, {99, END}},
		{OUT, {{98, 2}}, VIRTIO_BLK_S_OK, {98, 99, END}},
	};
	struct async *a = *state;

	for (size_t i = 0; i < COUNT_OF(waiting); i++) {
		uint32_t first = a->faults->taken;

		a->faults->busy_at = a->faults->submits + 1;
		add(a, 0, &waiting[i]);
		/* The referee need not know that the store would take it at the next look. */
		vqsim_guest_publish(&a->bench->guest, 0);
		assert_int_equal(vqsim_link_run(&a->bench->guest.link, 0, 1), VIRTIO_WAITING);
		assert_int_equal(a->faults->taken, first);
		resize(a, SHRUNK);
		vqsim_guest_settle(&a->bench->guest, 0);
		assert_int_equal(async_reap(a, waiting[i].status), 1);
		assert_touched(a, first, waiting[i].touched);
		resize(a, BENCH_DISK_SECTORS);
	}
}

/* A part that waits for room, since another request has it all, is no different from a first one. */
static void part_that_waits_is_judged_by_the_new_size(void **state)
{
	static const uint64_t touched[] = {99, 0, END};
	struct async *a = *state;
	uint32_t first = a->faults->taken;

	async_hold(a);
	async_add(a, 0, OUT, 99, 1024);
	async_add(a, 1, IN, 0, 512);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	a->faults->busy_above = 1;
	async_let_go(a, 1);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_true(a->faults->busy > 0);
	resize(a, SHRUNK);
	a->faults->busy_above = 0;
	async_let_go(a, VQSIM_FAULTS_ALL);
	vqsim_guest_settle(&a->bench->guest, 0);
	assert_ptr_equal(vqsim_blk_reap(&a->bench->blk, 0), &a->requests[1]);
	assert_int_equal(async_reap(a, VIRTIO_BLK_S_IOERR), 1);
	assert_touched(a, first, touched);
}

/* One request that fails takes none of its neighbours with it. */
static void requests_below_the_new_end_go_on(void **state)
{
	struct async *a = *state;

	async_hold(a);
	for (unsigned i = 0; i < 4; i++)
		async_add(a, i, i % 2 ? OUT : IN, 8u * i, 2048);
	async_add(a, 4, IN, 99, 1024);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_int_equal(a->faults->held, 5);
	resize(a, SHRUNK);
	async_let_go(a, VQSIM_FAULTS_ALL);
	vqsim_guest_settle(&a->bench->guest, 0);
	for (unsigned i = 0; i < 5; i++) {
		struct vqsim_blk_request *request = vqsim_blk_reap(&a->bench->blk, 0);
		bool beyond = request == &a->requests[4];

		assert_non_null(request);
		assert_int_equal(request->status, beyond ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	}
}

static int setup(void **state)
{
	*state = async_create(cut_to_sectors);
	return 0;
}

static int teardown(void **state)
{
	async_destroy(*state);
	return 0;
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(remaining_parts_are_judged_by_the_new_size),
		WITH(request_that_waits_is_judged_by_the_new_size),
		WITH(part_that_waits_is_judged_by_the_new_size),
		WITH(requests_below_the_new_end_go_on),
	};

	return cmocka_run_group_tests_name("blk shrink", tests, NULL, NULL);
}
