/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The block device on a store that takes its time: order, and what happens to requests in
 * flight when the queue, the device or the memory goes away. A store that has no room is in
 * blk_pressure_test.c.
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

/*
 * LIFE-05: QEMU ebb6ff25cd, requests that are done and not yet told of when the reset comes. Once
 * the status reads 0 no byte changes any more, whatever is kicked (2.4.1).
 */
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

/*
 * LIFE-20: QEMU 5bb8327b65, a stop waits for what is in flight and takes nothing more; LIFE-22:
 * yc-libvhost 6c7867c, and says where it stands; LIFE-28: propolis 3f6d599e, what was waiting is
 * served after the resume.
 */
static void stopped_queue_resumes_where_it_stood(void **state)
{
	struct async *a = *state;
	struct virtio_queue_setup setup = a->bench->guest.queues[0].setup;
	struct virtio_queue_state at = {.avail_index = 0xeeee};
	/* A packed ring counts slots, of which a request takes three. */
	unsigned each = a->bench->guest.queues[0].is_packed ? 3 : 1;

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
	assert_int_equal(at.avail_index, 5 * each);
	assert_int_equal(at.used_index, 5 * each);
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

/*
 * RING-01: CVE-2016-5403, RING-04: cloud-hypervisor 730677730, a head that is in flight comes
 * again: the first is answered, then a reset is needed.
 */
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

/*
 * Memory that goes away: LIFE-08: QEMU 520d8b40e8, and like MEM-13: CVE-2021-3748 of a net device,
 * what is in flight keeps what it was mapped to.
 */

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

static int packed_setup(void **state)
{
	*state = async_create_packed(NULL);
	return 0;
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* clang-format off */
#define EVERY_FORMAT(setup) \
	WITH(setup, requests_come_back_when_the_store_is_done), \
	WITH(setup, requests_may_come_back_in_any_order), \
	WITH(setup, new_requests_join_those_in_flight), \
	WITH(setup, mixed_load_in_any_order), \
	WITH(setup, reset_waits_for_requests_in_flight), \
	WITH(setup, nothing_is_touched_after_a_reset), \
	WITH(setup, stopped_queue_resumes_where_it_stood), \
	WITH(setup, memory_outlives_the_requests_in_it), \
	WITH(setup, memory_is_given_back_by_a_reset)
/* clang-format on */

int main(void)
{
	const struct CMUnitTest split[] = {
		EVERY_FORMAT(setup),
		WITH(setup, event_is_logged_while_requests_wait),
		WITH(setup, impossible_state_does_not_resume),
		WITH(setup, head_in_flight_comes_again),
	};
	const struct CMUnitTest packed[] = {EVERY_FORMAT(packed_setup)};
	int failed = cmocka_run_group_tests_name("blk async", split, NULL, NULL);

	return failed + cmocka_run_group_tests_name("blk async, packed", packed, NULL, NULL);
}
