/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reset of one queue (virtio 1.3, 2.6.1): with nothing and with requests in flight, and enabled
 * again with another size in other memory, on both formats. The referee watches that
 * the old ring and its buffers are left alone.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "tests/support/async.h"

#define RING_RESET VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET)

static struct bench *up(enum bench_device device, bool packed)
{
	return bench_create(&(struct bench_options){
		.device = device, .blk = {.queue_count = 2}, .packed = packed});
}

/* Reads of a sector on a queue: how many come back when count are shown. */
static unsigned serve(struct bench *bench, uint16_t queue, unsigned count)
{
	struct vqsim_memory_mark mark = vqsim_memory_mark(&bench->memory);
	uint64_t gpa = vqsim_memory_alloc(&bench->memory, 16 + 513, 16);
	const struct vqsim_element elements[] = {{gpa, 16, false}, {gpa + 16, 513, true}};
	const struct vqsim_chain chain = {elements, 2, 2, 0};
	struct vqsim_used used;
	unsigned back = 0;

	for (unsigned i = 0; i < count; i++)
		assert_true(vqsim_guest_add(&bench->guest, queue, &chain, bench) >= 0);
	vqsim_guest_publish(&bench->guest, queue);
	vqsim_guest_run(&bench->guest, queue);
	while (vqsim_guest_reap(&bench->guest, queue, &used) == VQSIM_REAP_USED)
		back++;
	vqsim_memory_rewind(&bench->memory, &mark);
	return back;
}

static void check_other_sizes(struct bench *bench, const uint16_t *sizes, unsigned count)
{
	struct vqsim_guest *guest = &bench->guest;

	for (unsigned i = 0; i < count; i++) {
		uint64_t before = guest->queues[1].setup.desc_gpa;

		vqsim_guest_queue_reset(guest, 1);
		assert_true(vqsim_guest_queue_is_reset(guest, 1));
		/* The other queue goes on in between. */
		assert_int_equal(serve(bench, 0, 3), 3);
		assert_int_equal(vqsim_guest_queue_enable(guest, 1, sizes[i]), VQSIM_UP);
		assert_int_equal(guest->queues[1].setup.size, sizes[i]);
		assert_int_not_equal(guest->queues[1].setup.desc_gpa, before);
		for (unsigned lap = 0; lap < 5; lap++)
			assert_int_equal(serve(bench, 1, sizes[i] / 2u), sizes[i] / 2u);
		assert_int_equal(serve(bench, 0, 3), 3);
	}
}

static void a_queue_is_enabled_again_with_any_size(void **state)
{
	static const uint16_t split[] = {2, 16, 4, 8}, packed[] = {2, 16, 3, 7};

	(void)state;
	for (unsigned format = 0; format < 2; format++) {
		struct bench *bench = up(BENCH_BLK, format == 1);

		check_other_sizes(bench, format ? packed : split, 4);
		bench_destroy(bench);
	}
}

static void what_was_shown_and_not_taken_is_forgotten(void **state)
{
	(void)state;
	for (unsigned format = 0; format < 2; format++) {
		struct bench *bench = up(BENCH_NULL, format == 1);
		struct vqsim_guest *guest = &bench->guest;
		const struct vqsim_element element = {vqsim_memory_alloc(&bench->memory, 16, 16),
						      16, true};
		const struct vqsim_chain chain = {&element, 1, 1, 0};
		uint64_t notifications = guest->link.queues[0].notifications;

		assert_true(vqsim_guest_add(guest, 0, &chain, bench) >= 0);
		vqsim_guest_publish(guest, 0);
		vqsim_guest_queue_reset(guest, 0);
		/* A kick of a queue that is dead. */
		vqsim_guest_kick(guest, 0);
		assert_int_equal(vqsim_guest_run(guest, 0), VIRTIO_IDLE);
		assert_int_equal(guest->link.queues[0].notifications, notifications);
		assert_int_equal(vqsim_guest_queue_enable(guest, 0, 0), VQSIM_UP);
		assert_int_equal(guest->queues[0].in_flight, 0);
		assert_int_equal(serve(bench, 0, 1), 1);
		bench_destroy(bench);
	}
}

/* 7 is a size of packed rings only, 2048 more than the device has room for. */
static void a_size_that_cannot_be_leaves_the_queue_as_it_was(void **state)
{
	(void)state;
	for (unsigned format = 0; format < 2; format++) {
		struct bench *bench = up(BENCH_NULL, format == 1);
		struct vqsim_guest *guest = &bench->guest;

		vqsim_guest_queue_reset(guest, 0);
		if (format == 0)
			assert_int_equal(vqsim_guest_queue_enable(guest, 0, 7),
					 VQSIM_REFUSED_QUEUE);
		assert_int_equal(vqsim_guest_queue_enable(guest, 0, 2048), VQSIM_REFUSED_QUEUE);
		assert_true(vqsim_guest_queue_is_reset(guest, 0));
		assert_int_equal(vqsim_guest_queue_enable(guest, 0, format ? 7 : 8), VQSIM_UP);
		assert_int_equal(serve(bench, 0, 2), 2);
		bench_destroy(bench);
	}
}

static void a_queue_that_is_reset_survives_a_reset_of_the_device(void **state)
{
	(void)state;
	for (unsigned format = 0; format < 2; format++) {
		struct bench *bench = up(BENCH_BLK, format == 1);

		vqsim_guest_queue_reset(&bench->guest, 1);
		bench_up(bench);
		assert_false(vqsim_guest_queue_is_reset(&bench->guest, 1));
		assert_int_equal(serve(bench, 1, 3), 3);
		bench_destroy(bench);
	}
}

static void without_the_feature_no_queue_is_reset(void **state)
{
	struct bench *bench =
		bench_create(&(struct bench_options){.device = BENCH_NULL, .without = RING_RESET});
	struct virtio_transport *transport = &bench->guest.link.transport;

	(void)state;
	assert_int_equal(virtio_transport_reset_queue(transport, 0), -EPERM);
	assert_int_equal(vqsim_link_reset_queue(&bench->guest.link, 0), -EPERM);
	assert_int_equal(virtio_transport_reset_queue(transport, UINT16_MAX), -EINVAL);
	assert_int_equal(serve(bench, 0, 1), 1);
	bench_destroy(bench);
}

static void check_waited_for(struct async *async)
{
	struct vqsim_guest *guest = &async->bench->guest;
	struct virtio_transport *transport = &guest->link.transport;

	async_hold(async);
	async_reads(async, 4);
	assert_int_equal(async_run(async), VIRTIO_WAITING);
	assert_int_equal(virtio_transport_reset_queue(transport, 0), VIRTIO_PENDING);
	async_let_go(async, 3);
	vqsim_link_run(&guest->link, 0, 1);
	assert_int_equal(virtio_transport_reset_queue(transport, 0), VIRTIO_PENDING);
	async_let_go(async, VQSIM_FAULTS_ALL);
	vqsim_guest_queue_reset(guest, 0);
	assert_false(virtio_transport_queue_live(transport, 0));
	async_up(async);
	async_destroy(async);
}

/* Requests wait in the store: the reset is not confirmed before they are done (2.6.1.1.1). */
static void requests_in_flight_are_waited_for(void **state)
{
	(void)state;
	check_waited_for(async_create(NULL));
	check_waited_for(async_create_packed(NULL));
}

static void check_lost(struct async *async)
{
	struct vqsim_guest *guest = &async->bench->guest;

	async_hold(async);
	async_reads(async, 4);
	assert_int_equal(async_run(async), VIRTIO_WAITING);
	async_add(async, 4, VIRTIO_BLK_T_OUT, 80, 512);
	vqsim_guest_publish(guest, 0);
	async_let_go(async, VQSIM_FAULTS_ALL);
	vqsim_guest_queue_reset(guest, 0);
	async->faults->hold = false;

	for (unsigned i = 0; i < ASYNC_REQUESTS; i++) {
		vqsim_blk_request_finish(&async->requests[i]);
		assert_int_equal(
			vqsim_blk_request_init(&async->bench->blk, &async->requests[i], ASYNC_ROOM),
			0);
	}
	assert_int_equal(vqsim_guest_queue_enable(guest, 0, 32), VQSIM_UP);
	async_reads(async, 4);
	vqsim_guest_settle(guest, 0);
	assert_int_equal(async_reap(async, VIRTIO_BLK_S_OK), 4);
	async_destroy(async);
}

/* Only part of what was shown is taken before the reset; the rest is never carried out. */
static void a_queue_goes_on_after_requests_were_lost(void **state)
{
	(void)state;
	check_lost(async_create(NULL));
	check_lost(async_create_packed(NULL));
}

/* The driver may give the memory of the old ring to the device for something else. */
static void the_memory_of_the_old_ring_may_become_a_buffer(void **state)
{
	(void)state;
	for (unsigned format = 0; format < 2; format++) {
		struct bench *bench = up(BENCH_BLK, format == 1);
		const struct virtio_queue_setup old = bench->guest.queues[1].setup;
		uint64_t gpa = vqsim_memory_alloc(&bench->memory, 16, 16);
		uint64_t written = format == 1 ? old.desc_gpa : old.device_gpa;
		const struct vqsim_element elements[] = {{gpa, 16, false}, {written, 21, true}};
		const struct vqsim_chain chain = {elements, 2, 2, 0};
		uint32_t type = htole32(VIRTIO_BLK_T_GET_ID);
		struct vqsim_used used;

		memcpy(vqsim_memory_at(&bench->memory, gpa, sizeof(type)), &type, sizeof(type));
		vqsim_guest_queue_reset(&bench->guest, 1);
		assert_true(vqsim_guest_add(&bench->guest, 0, &chain, bench) >= 0);
		vqsim_guest_publish(&bench->guest, 0);
		vqsim_guest_run(&bench->guest, 0);
		assert_int_equal(vqsim_guest_reap(&bench->guest, 0, &used), VQSIM_REAP_USED);
		assert_int_equal(used.len, 21);
		assert_int_equal(vqsim_guest_queue_enable(&bench->guest, 1, 8), VQSIM_UP);
		bench_destroy(bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_memory_of_the_old_ring_may_become_a_buffer),
		cmocka_unit_test(a_queue_is_enabled_again_with_any_size),
		cmocka_unit_test(what_was_shown_and_not_taken_is_forgotten),
		cmocka_unit_test(a_size_that_cannot_be_leaves_the_queue_as_it_was),
		cmocka_unit_test(a_queue_that_is_reset_survives_a_reset_of_the_device),
		cmocka_unit_test(without_the_feature_no_queue_is_reset),
		cmocka_unit_test(requests_in_flight_are_waited_for),
		cmocka_unit_test(a_queue_goes_on_after_requests_were_lost),
	};

	return cmocka_run_group_tests_name("queue reset", tests, NULL, NULL);
}
