/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The block device on a store that takes its time: order, back-pressure, and what
 * happens to requests in flight when the queue, the device or the memory goes away.
 */
#include <endian.h>
#include <errno.h>
#include <sys/mman.h>

#include "tests/support/async.h"

enum {
	OK = VIRTIO_BLK_S_OK,
	IN = VIRTIO_BLK_T_IN,
	OUT = VIRTIO_BLK_T_OUT,
};

static struct virtio_transport *transport_of(struct async *a)
{
	return &a->bench->guest.link.transport;
}

static uint8_t status_of(struct async *a)
{
	return virtio_transport_status(transport_of(a));
}

/* Order */

static void requests_come_back_when_the_store_is_done(void **state)
{
	struct async *a = *state;

	async_hold(a);
	async_reads(a, 8);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_int_equal(async_reap(a, OK), 0);
	assert_int_equal(a->faults->held, 8);
	async_let_go(a, 3);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_int_equal(async_reap(a, OK), 3);
	async_let_go(a, VQSIM_FAULTS_ALL);
	assert_int_equal(async_run(a), VIRTIO_IDLE);
	assert_int_equal(async_reap(a, OK), 5);
}

static void requests_may_come_back_in_any_order(void **state)
{
	struct async *a = *state;

	a->faults->newest_first = true;
	async_hold(a);
	async_reads(a, 8);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	async_let_go(a, VQSIM_FAULTS_ALL);
	assert_int_equal(async_run(a), VIRTIO_IDLE);
	for (unsigned i = 8; i-- > 0;)
		assert_ptr_equal(vqsim_blk_reap(&a->bench->blk, 0), &a->requests[i]);
}

/* A kick while requests are in flight takes what is new and disturbs nothing. */
static void new_requests_join_those_in_flight(void **state)
{
	struct async *a = *state;

	async_hold(a);
	async_reads(a, 4);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	for (unsigned i = 4; i < 8; i++) {
		async_add(a, i, OUT, 100 + i, 512);
		assert_int_equal(async_run(a), VIRTIO_WAITING);
		assert_int_equal(a->faults->held, i + 1);
	}
	async_let_go(a, VQSIM_FAULTS_ALL);
	assert_int_equal(async_run(a), VIRTIO_IDLE);
	assert_int_equal(async_reap(a, OK), 8);
}

/* A seeded mix of everything, let go in batches of any size and both orders. */
static void mixed_load_in_any_order(void **state)
{
	static const uint32_t types[] = {IN, OUT, IN, OUT, VIRTIO_BLK_T_FLUSH};
	struct async *a = *state;
	uint32_t random = 12345;

	async_hold(a);
	for (unsigned round = 0; round < 2000; round++) {
		unsigned index = round % ASYNC_REQUESTS;
		uint32_t type;

		random = random * 1664525 + 1013904223;
		type = types[random >> 16 & 3 ? (random >> 20) % 4 : 4];
		if (a->requests[index].blk) {
			a->faults->newest_first = random & 1u << 30;
			async_let_go(a, 1 + (random >> 24) % 8);
			async_run(a);
			async_reap(a, OK);
			continue;
		}
		async_add(a, index, type, (random >> 8) % 64,
			  type == VIRTIO_BLK_T_FLUSH ? 0 : 512 * (1 + (random >> 28) % 8));
	}
	async_let_go(a, VQSIM_FAULTS_ALL);
	async_run(a);
	vqsim_guest_settle(&a->bench->guest, 0);
	async_reap(a, OK);
	assert_int_equal(vqsim_disk_check_durable(&a->bench->disk, a->faults->medium), 0);
}

/* Back-pressure */

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

/* BLK-22: the k-th submit of a batch, and nothing is done twice or left out. */
static void busy_once_at_every_place(void **state)
{
	struct async *a = *state;

	async_hold(a);
	for (uint32_t k = 2; k <= 8; k++) {
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

/* MEM-20: QEMU 3cdf847329, avail_event is written though nothing is used yet. */
static void event_is_logged_while_requests_wait(void **state)
{
	struct async *a = *state;
	uint64_t gpa = a->bench->guest.queues[0].setup.device_gpa + 4 + 8 * 128;
	uint8_t log[32] = {0};

	async_hold(a);
	a->bench->memory.guest.dirty_log = log;
	a->bench->memory.guest.dirty_log_size = sizeof(log);
	async_reads(a, 1);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_true(log[gpa / 4096 / 8] & 1u << (gpa / 4096 % 8));
	async_let_go(a, VQSIM_FAULTS_ALL);
	vqsim_guest_settle(&a->bench->guest, 0);
	assert_int_equal(async_reap(a, OK), 1);
	a->bench->memory.guest.dirty_log = NULL;
}

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

/* Reset and stop */

/* A reset waits for what is in flight; nothing is touched before the end that was not in flight. */
static void reset_waits_for_requests_in_flight(void **state)
{
	struct async *a = *state;

	async_hold(a);
	a->faults->busy_above = 5;
	async_reads(a, 8);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	virtio_transport_write_status(transport_of(a), 0);
	assert_int_not_equal(status_of(a), 0);
	bench_snapshot(a->bench);
	assert_int_equal(vqsim_link_run(&a->bench->guest.link, 0, 5), VIRTIO_WAITING);
	assert_int_equal(virtio_transport_continue(transport_of(a)), VIRTIO_PENDING);
	assert_int_not_equal(status_of(a), 0);
	bench_compare(a->bench);
	async_let_go(a, VQSIM_FAULTS_ALL);
	vqsim_guest_reset(&a->bench->guest);
	assert_int_equal(status_of(a), 0);
	assert_int_equal(a->faults->held, 0);
	assert_int_equal(a->faults->queues, 0);
	async_up(a);
	a->faults->hold = false;
	a->faults->busy_above = 0;
	bench_good_request(a->bench);
}

/* Once the status reads 0 no byte changes any more, whatever is kicked (2.4.1). */
static void nothing_is_touched_after_a_reset(void **state)
{
	struct async *a = *state;
	uint64_t notifications;

	async_hold(a);
	async_reads(a, 8);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	async_let_go(a, VQSIM_FAULTS_ALL);
	vqsim_guest_reset(&a->bench->guest);
	notifications = a->bench->guest.link.queues[0].notifications;
	bench_snapshot(a->bench);
	vqsim_link_kick(&a->bench->guest.link, 0, 0);
	assert_int_equal(vqsim_link_run(&a->bench->guest.link, 0, 5), VIRTIO_IDLE);
	bench_compare(a->bench);
	assert_int_equal(a->bench->guest.link.queues[0].notifications, notifications);
	async_up(a);
}

static enum virtio_completion stop(struct async *a, struct virtio_queue_state *at)
{
	return virtio_transport_stop_queue(transport_of(a), 0, at);
}

/* A stop waits for what is in flight and takes nothing more; the queue resumes where it was. */
static void stopped_queue_resumes_where_it_stood(void **state)
{
	struct async *a = *state;
	struct virtio_queue_setup setup = a->bench->guest.queues[0].setup;
	struct virtio_queue_state at = {.avail_index = 0xeeee};

	async_hold(a);
	async_reads(a, 5);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_int_equal(stop(a, &at), VIRTIO_PENDING);
	assert_int_equal(at.avail_index, 0xeeee);
	for (unsigned i = 5; i < 8; i++)
		async_add(a, i, IN, 8u * i, 512);
	vqsim_guest_publish(&a->bench->guest, 0);
	/* The referee would miss the three that a stopping queue leaves alone. */
	assert_int_equal(vqsim_link_run(&a->bench->guest.link, 0, 3), VIRTIO_WAITING);
	assert_int_equal(a->faults->held, 5);
	async_let_go(a, VQSIM_FAULTS_ALL);
	vqsim_link_run(&a->bench->guest.link, 0, 3);
	assert_int_equal(stop(a, &at), VIRTIO_DONE);
	assert_int_equal(at.avail_index, 5);
	assert_int_equal(at.used_index, 5);
	assert_int_equal(a->faults->queues, 0);
	assert_false(virtio_transport_queue_live(transport_of(a), 0));

	setup.resume = at;
	assert_int_equal(virtio_transport_enable_queue(transport_of(a), 0, &setup), 0);
	vqsim_guest_settle(&a->bench->guest, 0);
	assert_int_equal(async_reap(a, OK), 8);
	a->faults->hold = false;
	bench_good_request(a->bench);
}

static void impossible_state_does_not_resume(void **state)
{
	struct async *a = *state;
	struct virtio_queue_setup setup = a->bench->guest.queues[0].setup;
	struct virtio_queue_state at;

	bench_good_request(a->bench);
	assert_int_equal(stop(a, &at), VIRTIO_DONE);
	setup.resume = at;
	setup.resume.used_index -= setup.size + 1;
	assert_int_equal(virtio_transport_enable_queue(transport_of(a), 0, &setup), -EINVAL);
	assert_false(virtio_transport_queue_live(transport_of(a), 0));
	setup.resume = at;
	assert_int_equal(virtio_transport_enable_queue(transport_of(a), 0, &setup), 0);
	bench_good_request(a->bench);
}

/* Broken rings with requests in flight */

/* A head that is in flight comes again: the first is answered, then a reset is needed. */
static void head_in_flight_comes_again(void **state)
{
	struct async *a = *state;
	struct vqsim_driver *driver = &a->bench->guest.queues[0];

	async_hold(a);
	async_reads(a, 1);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	driver->ring.avail->ring[1] = driver->ring.avail->ring[0];
	driver->avail_index++;
	async_run(a);
	assert_true(vqsim_guest_needs_reset(&a->bench->guest));
	async_let_go(a, VQSIM_FAULTS_ALL);
	vqsim_guest_settle(&a->bench->guest, 0);
	assert_int_equal(async_reap(a, OK), 1);
	a->faults->hold = false;
	async_up(a);
	bench_good_request(a->bench);
}

/* Memory that goes away: MEM-13: CVE-2021-3748, what is in flight keeps what it was mapped to. */

#define GONE_GPA  (UINT64_C(1) << 36)
#define GONE_SIZE 8192u

static unsigned released;

static void unmap(const struct guest_region *region)
{
	released++;
	munmap(region->hva, region->size);
}

static uint8_t *add_region(struct async *a)
{
	uint8_t *hva =
		mmap(NULL, GONE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct guest_region region = {
		.gpa = GONE_GPA,
		.size = GONE_SIZE,
		.hva = hva,
		.fd = -1,
		.access = GUEST_READ_WRITE,
		.release = unmap,
	};

	assert_true(hva != MAP_FAILED);
	assert_int_equal(guest_memory_add(&a->bench->memory.guest, &region), 0);
	released = 0;
	return hva;
}

/* An IN or OUT of which header and status stay, and the data goes. */
static void add_request_in_region(struct async *a, uint32_t type, void *token)
{
	struct virtio_blk_outhdr header = {.type = htole32(type), .sector = htole64(16)};
	const struct vqsim_element elements[] = {
		{a->requests[0].out_gpa, 16, false},
		{GONE_GPA, 4096, type == IN},
		{a->requests[0].in_gpa, 1, true},
	};
	struct vqsim_chain chain = {elements, 3, 3, 0};

	bench_write(a->bench, a->requests[0].out_gpa, &header, sizeof(header));
	assert_true(vqsim_guest_add(&a->bench->guest, 0, &chain, token) >= 0);
}

static void memory_outlives_the_requests_in_it(void **state)
{
	static const uint32_t types[] = {IN, OUT};
	struct async *a = *state;
	struct vqsim_used used;

	for (size_t i = 0; i < COUNT_OF(types); i++) {
		uint8_t *hva = add_region(a), status;

		memset(hva, 0x5c, GONE_SIZE);
		async_hold(a);
		add_request_in_region(a, types[i], a);
		assert_int_equal(async_run(a), VIRTIO_WAITING);
		assert_int_equal(guest_memory_remove(&a->bench->memory.guest, GONE_GPA, GONE_SIZE),
				 0);
		assert_int_equal(async_run(a), VIRTIO_WAITING);
		assert_int_equal(released, 0);
		async_let_go(a, VQSIM_FAULTS_ALL);
		vqsim_guest_settle(&a->bench->guest, 0);
		assert_int_equal(released, 1);
		assert_int_equal(vqsim_guest_reap(&a->bench->guest, 0, &used), VQSIM_REAP_USED);
		bench_read(a->bench, a->requests[0].in_gpa, &status, 1);
		assert_int_equal(status, OK);
	}
}

static void memory_is_given_back_by_a_reset(void **state)
{
	struct async *a = *state;

	add_region(a);
	async_hold(a);
	add_request_in_region(a, IN, a);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_int_equal(guest_memory_remove(&a->bench->memory.guest, GONE_GPA, GONE_SIZE), 0);
	assert_int_equal(released, 0);
	async_let_go(a, VQSIM_FAULTS_ALL);
	async_up(a);
	assert_int_equal(released, 1);
}

static int setup(void **state)
{
	*state = async_create(NULL);
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
		WITH(requests_come_back_when_the_store_is_done),
		WITH(requests_may_come_back_in_any_order),
		WITH(new_requests_join_those_in_flight),
		WITH(mixed_load_in_any_order),
		WITH(busy_store_gets_everything_in_the_end),
		WITH(busy_once_at_every_place),
		WITH(long_chains_wait_for_room),
		WITH(event_is_logged_while_requests_wait),
		WITH(small_budget_leaves_work),
		WITH(any_budget_serves_all),
		WITH(reset_waits_for_requests_in_flight),
		WITH(nothing_is_touched_after_a_reset),
		WITH(stopped_queue_resumes_where_it_stood),
		WITH(impossible_state_does_not_resume),
		WITH(head_in_flight_comes_again),
		WITH(memory_outlives_the_requests_in_it),
		WITH(memory_is_given_back_by_a_reset),
	};

	return cmocka_run_group_tests_name("blk async", tests, NULL, NULL);
}
