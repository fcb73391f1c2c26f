/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file-system device when queues stop and start, and when a ring is broken, with requests in
 * the hands of a session that a test steers.
 */
#include <endian.h>

#include "tests/support/fs_stage.h"

static void a_queue_reset_cancels_what_is_in_flight_on_it(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 2)
	{
		struct vqsim_guest *guest = &stage.bench->guest;

		stage.script->hold = true;
		stage_show_all(&stage, 1, 4);
		stage_show(&stage, 2, 4, STAGE_REPLY - 1);
		assert_int_equal(vqsim_guest_run(guest, 1), VIRTIO_WAITING);
		vqsim_guest_queue_reset(guest, 1);
		assert_int_equal(stage.script->cancelled, 4);
		assert_int_equal(stage.script->open_count, 2);
		assert_int_equal(stage.script->resets, 1); /* before it came up */
		stage.script->hold = false;
		assert_int_equal(vqsim_guest_queue_enable(guest, 1, 16), VQSIM_UP);
		assert_int_equal(stage.script->open_count, 3);
		vqsim_guest_publish(guest, 2);
		assert_int_equal(vqsim_guest_run(guest, 2), VIRTIO_IDLE);
		assert_int_equal(stage_back(&stage, 2, STAGE_REPLY - 1), 4);
		stage_serve_all(&stage, 1);
	}
}

/* What the session refused is in flight too: it is offered again until it is taken. */
static void a_queue_reset_waits_for_what_was_refused(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 1)
	{
		struct vqsim_guest *guest = &stage.bench->guest;

		stage.script->limited = true;
		stage_show_all(&stage, 1, STAGE_REQUESTS);
		assert_int_equal(vqsim_guest_run(guest, 1), VIRTIO_WAITING);
		stage.script->accept = 1;
		vqsim_guest_queue_reset(guest, 1);
		assert_int_equal(stage.script->submits, 1);
		stage.script->limited = false;
		assert_int_equal(vqsim_guest_queue_enable(guest, 1, 0), VQSIM_UP);
		stage_serve_all(&stage, 1);
	}
}

static void a_reset_cancels_closes_and_resets_the_session(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 2)
	{
		unsigned resets = stage.script->resets;

		stage.script->hold = true;
		stage_show_all(&stage, 1, STAGE_REQUESTS);
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_WAITING);
		vqsim_guest_reset(&stage.bench->guest);
		assert_int_equal(stage.script->cancelled, STAGE_REQUESTS);
		assert_int_equal(stage.script->open_count, 0);
		assert_int_equal(stage.script->resets, resets + 1);
		stage.script->hold = false;
		stage_up_again(&stage);
		stage_serve_all(&stage, 1);
	}
}

/* FS-46: what is in flight keeps the memory that it was translated with. */
static void a_map_that_is_replaced_lets_requests_finish(void **state)
{
	(void)state;
	FOR_BOTH_FORMATS(stage, 1)
	{
		struct fs_script_queue *queue = fs_script_queue_at(stage.script, false, 0);

		stage.script->hold = true;
		stage_show_all(&stage, 1, STAGE_REQUESTS);
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_WAITING);
		assert_int_equal(vqsim_memory_replace(&stage.bench->memory), 0);
		assert_int_equal(vqsim_memory_hide(&stage.bench->memory, 2), 0);
		queue->let_go = STAGE_REQUESTS;
		queue->let_go_oldest = true;
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_IDLE);
		for (int i = 0; i < (int)STAGE_REQUESTS; i++)
			assert_int_equal(stage_back(&stage, 1, STAGE_REPLY), i);
		assert_int_equal(vqsim_memory_expose(&stage.bench->memory, 2), 0);
		stage.script->hold = false;
		stage_serve_all(&stage, 1);
	}
}

/* Until the session has ended all, and the queue that it waits for is not the one it is told about. */
static void a_stop_is_pending_until_the_session_has_ended_all(void **state)
{
	struct virtio_queue_state resume;

	(void)state;
	FOR_BOTH_FORMATS(stage, 1)
	{
		struct virtio_device *device = stage.bench->device;
		struct fs_script_queue *queue = fs_script_queue_at(stage.script, false, 0);

		stage.script->hold = stage.script->deaf = true;
		stage_show_all(&stage, 1, STAGE_REQUESTS);
		assert_int_equal(vqsim_guest_run(&stage.bench->guest, 1), VIRTIO_WAITING);
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(device->ops->queue_stop(device, 1, &resume),
					 VIRTIO_PENDING);
			assert_int_equal(device->ops->progress(device, 1, 16), VIRTIO_WAITING);
		}
		assert_int_equal(queue->cancels, 3);
		queue->let_go = STAGE_REQUESTS;
		assert_int_equal(device->ops->progress(device, 1, 16), VIRTIO_IDLE);
		assert_int_equal(device->ops->queue_stop(device, 1, &resume), VIRTIO_DONE);
		/* A packed ring counts descriptors. */
		assert_int_equal(resume.avail_index, STAGE_REQUESTS * (format_ + 1));
		assert_int_equal(resume.used_index, resume.avail_index);
		/* It goes on where it stood. */
		stage.script->hold = false;
		stage.bench->guest.queues[1].setup.resume = resume;
		assert_int_equal(
			device->ops->queue_start(device, 1, &stage.bench->guest.queues[1].setup),
			0);
		vqsim_guest_run(&stage.bench->guest, 1);
		for (unsigned i = 0; i < STAGE_REQUESTS; i++)
			assert_int_equal(stage_back(&stage, 1, STAGE_REPLY),
					 STAGE_REQUESTS - 1 - i);
		stage_serve_all(&stage, 1);
	}
}

static void a_session_without_memory_for_a_queue_leaves_it_stopped(void **state)
{
	struct stage stage = stage_up(false, 1);
	const struct vqsim_guest_config config = {.features = 0};

	(void)state;
	stage.script->refuse_queue = true;
	fs_bench_down(stage.bench);
	assert_int_equal(vqsim_guest_bring_up(&stage.bench->guest, &config), VQSIM_BROKEN);
	assert_int_equal(stage.script->open_count, 0);
	stage.script->refuse_queue = false;
	fs_bench_up(stage.bench);
	stage_down(&stage);
}

static void a_broken_ring_asks_for_a_reset_and_keeps_the_others(void **state)
{
	struct stage stage = stage_up(false, 2);
	struct vqsim_guest *guest = &stage.bench->guest;
	struct vqsim_driver *driver = &guest->queues[1];

	(void)state;
	stage.script->hold = true;
	stage_show(&stage, 1, 0, STAGE_REPLY);
	vqsim_guest_publish(guest, 1);
	assert_int_equal(vqsim_guest_run(guest, 1), VIRTIO_WAITING);
	driver->ring.avail->ring[1] = htole16(999);
	driver->ring.avail->idx = htole16(2);
	vqsim_guest_run(guest, 1);
	assert_true(vqsim_guest_needs_reset(guest));
	stage.script->hold = false;
	stage_show(&stage, 2, 1, STAGE_REPLY);
	vqsim_guest_publish(guest, 2);
	assert_int_equal(vqsim_guest_run(guest, 2), VIRTIO_IDLE);
	assert_int_equal(stage_back(&stage, 2, STAGE_REPLY), 1);
	stage_up_again(&stage);
	stage_serve_all(&stage, 1);
	stage_down(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_reset_cancels_what_is_in_flight_on_it),
		cmocka_unit_test(a_queue_reset_waits_for_what_was_refused),
		cmocka_unit_test(a_reset_cancels_closes_and_resets_the_session),
		cmocka_unit_test(a_map_that_is_replaced_lets_requests_finish),
		cmocka_unit_test(a_stop_is_pending_until_the_session_has_ended_all),
		cmocka_unit_test(a_session_without_memory_for_a_queue_leaves_it_stopped),
		cmocka_unit_test(a_broken_ring_asks_for_a_reset_and_keeps_the_others),
	};

	return cmocka_run_group_tests_name("fs_device_reset", tests, NULL, NULL);
}
