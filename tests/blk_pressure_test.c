/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The block device under pressure: a store that has no room, chains that are longer than there is
 * room for, a budget that ends before the requests do. Everything is answered once, in the end.
 */
#include <endian.h>

#include "tests/support/async.h"

enum {
	OK = VIRTIO_BLK_S_OK,
};

/* The store */

/* BLK-22: SPDK adc36d5be3, cloud-hypervisor 6b44e7b19, the store is full. */
static void busy_store_gets_everything_in_the_end(void **state)
{
	struct async *a = *state;

	async_hold(a);
	a->faults->busy_above = 2;
	async_reads(a, 8);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(async_run(a), VIRTIO_WAITING);
		assert_int_equal(a->faults->held, 2);
		async_let_go(a, 1);
	}
	async_let_go(a, VQSIM_FAULTS_ALL);
	vqsim_guest_settle(&a->bench->guest, 0);
	assert_int_equal(async_reap(a, OK), 8);
	assert_int_equal(a->faults->taken, 8);
	assert_true(a->faults->busy > 0);
}

/*
 * BLK-22, RING-19: DPDK fd03876e71: the k-th submit of a batch, the one in the first slot of the
 * ring among them, and nothing is done twice or left out.
 */
static void busy_once_at_every_place(void **state)
{
	struct async *a = *state;

	async_hold(a);
	for (uint32_t k = 1; k <= 8; k++) {
		a->faults->submits = a->faults->taken = 0;
		a->faults->busy_at = k;
		async_let_go(a, 0);
		async_reads(a, 8);
		assert_int_equal(async_run(a), VIRTIO_WAITING);
		assert_int_equal(a->faults->taken, k - 1);
		async_let_go(a, VQSIM_FAULTS_ALL);
		vqsim_guest_settle(&a->bench->guest, 0);
		assert_int_equal(async_reap(a, OK), 8);
		assert_int_equal(a->faults->taken, 8);
	}
}

/*
 * RING-25: DPDK 5c561b0a23, 8729de6092, the driver learns of what was answered before the store
 * was busy, and of that alone.
 */
static void answers_do_not_wait_for_a_busy_store(void **state)
{
	struct async *a = *state;

	for (uint32_t k = 1; k <= 8; k++) {
		uint64_t notifications = a->bench->guest.link.queues[0].notifications;

		a->faults->submits = 0;
		a->faults->busy_at = k;
		async_reads(a, 8);
		assert_int_equal(vqsim_guest_run(&a->bench->guest, 0), VIRTIO_WAITING);
		assert_int_equal(a->bench->guest.link.queues[0].notifications - notifications,
				 k > 1);
		assert_int_equal(async_reap(a, OK), k - 1);
		assert_int_equal(async_run(a), VIRTIO_IDLE);
		assert_int_equal(async_reap(a, OK), 9 - k);
	}
}

/* Chains */

/* More long chains than a queue has room for at a time: the rest waits in the ring. */
static void long_chains_wait_for_room(void **state)
{
	struct async *a = *state;
	struct vqsim_blk_request *r = &a->requests[0];
	struct vqsim_element elements[18] = {{r->out_gpa, 16, false}};
	struct vqsim_chain chain = {elements, COUNT_OF(elements), 0, r->table_gpa};
	struct vqsim_used used;

	memset(r->out_data - 16, 0, 16);
	for (unsigned i = 0; i < 16; i++)
		elements[1 + i] = (struct vqsim_element){r->in_gpa + 32 * i, 32, true};
	elements[17] = (struct vqsim_element){r->in_gpa + 512, 1, true};
	async_hold(a);
	for (unsigned i = 0; i < 128; i++)
		assert_true(vqsim_guest_add(&a->bench->guest, 0, &chain, a) >= 0);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_in_range(a->faults->held, 1, 128);
	for (unsigned i = 0; i < 128; i++) {
		async_let_go(a, 1);
		async_run(a);
		assert_int_equal(vqsim_guest_reap(&a->bench->guest, 0, &used), VQSIM_REAP_USED);
		assert_int_equal(used.len, 513);
	}
}

/* The budget */

/* BLK-32: Firecracker 7c35e2665, a driver that refills at once gets no more than the budget. */
static void small_budget_leaves_work(void **state)
{
	struct async *a = *state;
	struct virtio_device *device = a->bench->device;
	uint32_t taken = a->faults->taken;

	async_reads(a, 8);
	assert_int_equal(device->ops->progress(device, 0, 3), VIRTIO_WORK_LEFT);
	assert_int_equal(a->faults->taken - taken, 3);
	assert_int_equal(device->ops->progress(device, 0, 3), VIRTIO_WORK_LEFT);
	assert_int_equal(a->faults->taken - taken, 6);
	assert_int_equal(device->ops->progress(device, 0, 3), VIRTIO_IDLE);
	assert_int_equal(async_run(a), VIRTIO_IDLE);
	assert_int_equal(async_reap(a, OK), 8);
}

/* The same requests with every budget. */
static void any_budget_serves_all(void **state)
{
	struct async *a = *state;

	for (uint32_t budget = 1; budget <= 9; budget++) {
		a->bench->guest.link.budget = budget;
		async_reads(a, 8);
		assert_int_equal(async_run(a), VIRTIO_IDLE);
		assert_int_equal(async_reap(a, OK), 8);
	}
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

static int teardown(void **state)
{
	async_destroy(*state);
	return 0;
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* clang-format off */
#define EVERY_FORMAT(setup) \
	WITH(setup, busy_store_gets_everything_in_the_end), \
	WITH(setup, busy_once_at_every_place), \
	WITH(setup, answers_do_not_wait_for_a_busy_store), \
	WITH(setup, long_chains_wait_for_room), \
	WITH(setup, small_budget_leaves_work), \
	WITH(setup, any_budget_serves_all)
/* clang-format on */

int main(void)
{
	const struct CMUnitTest split[] = {EVERY_FORMAT(setup)};
	const struct CMUnitTest packed[] = {EVERY_FORMAT(packed_setup)};
	int failed = cmocka_run_group_tests_name("blk pressure", split, NULL, NULL);

	return failed + cmocka_run_group_tests_name("blk pressure, packed", packed, NULL, NULL);
}
