/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device owes between the driver's step and its own (vqsim_referee_owing): chains,
 * notifications, the wish for a kick. And a device so quick that a chain is used before the
 * referee could look at it (vqsim_referee_publishing).
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/null/null.h"
#include "vqsim/guest.h"

#define SIZE   16u
#define CHAINS 5u

struct stage {
	struct vqsim_memory memory;
	struct virtio_device *device;
	struct vqsim_referee referee;
	struct vqsim_guest guest;
	uint64_t violations;
};

static void count(void *opaque, const struct vqsim_violation *violation)
{
	(void)violation;
	++*(uint64_t *)opaque;
}

static void stage_up(struct stage *stage, uint64_t features)
{
	static const struct vqsim_region region = {.gpa = 1 << 20, .size = 1 << 20};
	const struct vqsim_guest_config config = {.features = features, .queue_size = SIZE};

	memset(stage, 0, sizeof(*stage));
	assert_int_equal(vqsim_memory_init(&stage->memory, &region, 1), 0);
	assert_int_equal(null_create(&stage->device, 1, SIZE, NULL_FILL), 0);
	assert_int_equal(vqsim_referee_init(&stage->referee, &stage->memory), 0);
	stage->referee.sink = count;
	stage->referee.opaque = &stage->violations;
	assert_int_equal(
		vqsim_guest_init(&stage->guest, &stage->memory, stage->device, &stage->referee), 0);
	assert_int_equal(vqsim_guest_bring_up(&stage->guest, &config), VQSIM_UP);
	vqsim_guest_run(&stage->guest, 0);
}

static void stage_down(struct stage *stage)
{
	vqsim_guest_finish(&stage->guest);
	stage->device->ops->destroy(stage->device);
	vqsim_referee_finish(&stage->referee);
	vqsim_memory_finish(&stage->memory);
}

static void add(struct stage *stage)
{
	uint64_t gpa = vqsim_memory_alloc(&stage->memory, 64, 16);
	struct vqsim_element elements[] = {
		{.gpa = gpa, .len = 16},
		{.gpa = gpa + 16, .len = 17, .write = true},
	};
	const struct vqsim_chain chain = {.elements = elements, .count = 2, .direct = 2};

	assert_true(vqsim_guest_add(&stage->guest, 0, &chain, stage) >= 0);
}

static enum vqsim_owing owing(const struct stage *stage)
{
	return vqsim_referee_owing(&stage->referee, 0, stage->guest.link.queues[0].notifications);
}

/* The device works, and nobody is told of it. */
static void work_unseen(struct stage *stage)
{
	vqsim_referee_before_run(&stage->referee, 0);
	vqsim_link_run(&stage->guest.link, 0, 2 * SIZE);
}

static void judge(struct stage *stage)
{
	const struct vqsim_link *link = &stage->guest.link;
	struct vqsim_used used;

	vqsim_referee_ran(&stage->referee, 0, VIRTIO_IDLE, link->queues[0].notifications,
			  virtio_transport_status(&link->transport), link->config_notifications);
	while (vqsim_guest_reap(&stage->guest, 0, &used) == VQSIM_REAP_USED)
		;
}

static const uint64_t rings[] = {
	0,
	VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
	VIRTIO_FEATURE(VIRTIO_F_IN_ORDER),
	VIRTIO_FEATURE(VIRTIO_F_RING_PACKED),
	VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
	VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER),
};

#define EACH_RING(features)                                                      \
	for (unsigned ring = 0; ring < sizeof(rings) / sizeof(rings[0]); ring++) \
		for (uint64_t features = rings[ring], once = 1; once; once = 0)

/* Round after round, so that each ring goes over its end. */
static void chains_are_owed_until_they_are_used(void **state)
{
	struct stage stage;

	(void)state;
	EACH_RING(features)
	{
		stage_up(&stage, features);
		for (unsigned round = 0; round < 3 * SIZE; round++) {
			assert_int_equal(owing(&stage), VQSIM_OWES_NOTHING);
			for (unsigned i = 0; i <= round % CHAINS; i++)
				add(&stage);
			vqsim_guest_publish(&stage.guest, 0);
			assert_int_equal(owing(&stage), VQSIM_OWES);
			work_unseen(&stage);
			assert_int_equal(owing(&stage), VQSIM_OWES_NOTHING);
			judge(&stage);
		}
		assert_int_equal(stage.violations, 0);
		stage_down(&stage);
	}
}

/* The same moment, with and without the notification that goes with it. */
static void a_notification_is_owed(void **state)
{
	struct stage stage;
	uint64_t *heard;

	(void)state;
	EACH_RING(features)
	{
		stage_up(&stage, features);
		heard = &stage.guest.link.queues[0].notifications;
		add(&stage);
		vqsim_guest_publish(&stage.guest, 0);
		work_unseen(&stage);
		assert_int_equal(owing(&stage), VQSIM_OWES_NOTHING);
		--*heard;
		assert_int_equal(owing(&stage), VQSIM_OWES);
		++*heard;
		judge(&stage);
		/* Nobody waits for one. */
		vqsim_driver_set_notify(&stage.guest.queues[0], VQSIM_NOTIFY_NEVER);
		add(&stage);
		vqsim_guest_publish(&stage.guest, 0);
		work_unseen(&stage);
		assert_int_equal(owing(&stage), VQSIM_OWES_NOTHING);
		judge(&stage);
		assert_int_equal(stage.violations, 0);
		stage_down(&stage);
	}
}

/* Where the device says which kicks it wants. */
static uint16_t *kick_word(struct stage *stage)
{
	struct vqsim_driver *driver = &stage->guest.queues[0];
	bool event_idx = driver->features & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX);

	if (!driver->is_packed)
		return event_idx ? driver->ring.avail_event : &driver->ring.used->flags;
	return event_idx ? &driver->packed.device->off_wrap : &driver->packed.device->flags;
}

static void the_wish_for_a_kick_is_owed(void **state)
{
	struct stage stage;

	(void)state;
	EACH_RING(features)
	{
		uint16_t *word, kept;

		stage_up(&stage, features);
		add(&stage);
		vqsim_guest_publish(&stage.guest, 0);
		work_unseen(&stage);
		word = kick_word(&stage);
		kept = *word;
		*word = htole16((uint16_t)(le16toh(kept) ^ 1u));
		assert_int_equal(owing(&stage), VQSIM_OWES);
		*word = kept;
		assert_int_equal(owing(&stage), VQSIM_OWES_NOTHING);
		judge(&stage);
		stage_down(&stage);
	}
}

static void of_a_ring_that_is_broken_nobody_knows(void **state)
{
	struct stage stage;

	(void)state;
	stage_up(&stage, 0);
	add(&stage);
	stage.guest.queues[0].ring.avail->idx = htole16(1000);
	vqsim_referee_published(&stage.referee, 0);
	assert_int_equal(owing(&stage), VQSIM_OWES_WHO_KNOWS);
	stage_down(&stage);
}

static void a_chain_that_cannot_be_served(void **state)
{
	const struct vqsim_element nowhere = {.gpa = UINT64_C(1) << 60, .len = 16, .write = true};
	const struct vqsim_chain chain = {.elements = &nowhere, .count = 1, .direct = 1};
	struct stage stage;

	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		stage_up(&stage, packed ? VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) : 0);
		assert_true(vqsim_guest_add(&stage.guest, 0, &chain, &stage) >= 0);
		vqsim_guest_publish(&stage.guest, 0);
		assert_int_equal(owing(&stage), VQSIM_OWES_WHO_KNOWS);
		stage_down(&stage);
	}
}

/* A used entry that names nothing is not waited for: the referee is to see it. */
static void a_device_that_is_wrong_owes_nothing(void **state)
{
	struct stage stage;

	(void)state;
	stage_up(&stage, 0);
	add(&stage);
	vqsim_guest_publish(&stage.guest, 0);
	stage.guest.queues[0].ring.used->idx = htole16(7);
	assert_int_equal(owing(&stage), VQSIM_OWES_NOTHING);
	stage_down(&stage);
}

/* The device runs between the driver's last store and the referee's look. */
static void a_device_that_is_quick(void **state)
{
	struct stage stage;

	(void)state;
	EACH_RING(features)
	{
		stage_up(&stage, features);
		stage.referee.elsewhere = true;
		/* What it may touch is known to the referee later than to it. */
		vqsim_referee_let_stray(&stage.referee);
		for (unsigned round = 0; round < 3 * SIZE; round++) {
			struct vqsim_driver *driver = &stage.guest.queues[0];

			for (unsigned i = 0; i <= round % CHAINS; i++)
				add(&stage);
			vqsim_referee_publishing(&stage.referee, 0, driver->head_flags);
			vqsim_driver_publish(driver);
			vqsim_link_run(&stage.guest.link, 0, 2 * SIZE);
			vqsim_referee_published(&stage.referee, 0);
			vqsim_referee_before_run(&stage.referee, 0);
			assert_int_equal(owing(&stage), VQSIM_OWES_NOTHING);
			judge(&stage);
			assert_int_equal(driver->in_flight, 0);
		}
		assert_int_equal(stage.violations, 0);
		stage_down(&stage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_are_owed_until_they_are_used),
		cmocka_unit_test(a_notification_is_owed),
		cmocka_unit_test(the_wish_for_a_kick_is_owed),
		cmocka_unit_test(of_a_ring_that_is_broken_nobody_knows),
		cmocka_unit_test(a_chain_that_cannot_be_served),
		cmocka_unit_test(a_device_that_is_wrong_owes_nothing),
		cmocka_unit_test(a_device_that_is_quick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
