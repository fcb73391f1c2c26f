/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When the driver kicks, and how it says when it wants to hear of used buffers
 * (virtio 1.3, 2.7.7, 2.7.10 and 2.9).
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vqsim/driver.h"

#define V1        VIRTIO_FEATURE(VIRTIO_F_VERSION_1)
#define EVENT_IDX VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define KICK_DATA VIRTIO_FEATURE(38)

#define SIZE 256u

static const struct vqsim_region region = {.gpa = 0x10000, .size = 0x10000};

struct fixture {
	struct vqsim_memory memory;
	struct vqsim_driver driver;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	*state = &fixture;
	return vqsim_memory_init(&fixture.memory, &region, 1);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vqsim_driver_finish(&f->driver);
	vqsim_memory_finish(&f->memory);
	return 0;
}

static struct vqsim_driver *start(void **state, uint64_t features)
{
	struct fixture *f = *state;

	assert_int_equal(vqsim_driver_init(&f->driver, &f->memory, SIZE, V1 | features), 0);
	return &f->driver;
}

/* A driver whose ring has seen index chains, all of them back. */
static void age(struct vqsim_driver *driver, uint16_t index)
{
	driver->avail_index = driver->published_index = driver->kicked_index = index;
	driver->used_index = index;
	driver->ring.avail->idx = driver->ring.used->idx = htole16(index);
}

static bool publish(struct vqsim_driver *driver, unsigned count)
{
	static const struct vqsim_element buffer = {.gpa = 0x10000, .len = 1};
	static const struct vqsim_chain chain = {.elements = &buffer, .count = 1, .direct = 1};

	for (unsigned i = 0; i < count; i++)
		assert_int_not_equal(vqsim_driver_add(driver, &chain, driver), -1);
	return vqsim_driver_publish(driver);
}

/* The device uses the oldest count chains in order, and the driver takes them. */
static void use_and_reap(struct vqsim_driver *driver, unsigned count)
{
	struct vqsim_split_ring *ring = &driver->ring;
	uint16_t index = le16toh(ring->used->idx);
	struct vqsim_used used;

	for (unsigned i = 0; i < count; i++, index++)
		ring->used->ring[index % SIZE].id =
			htole32(le16toh(ring->avail->ring[index % SIZE]));
	ring->used->idx = htole16(index);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
}

static void without_event_idx_only_bit_0_of_the_used_flags_decides(void **state)
{
	static const struct {
		uint16_t flags;
		bool kick;
	} cases[] = {{0, true}, {1, false}, {0xfffe, true}, {0xffff, false}};
	struct vqsim_driver *driver = start(state, 0);

	/* avail_event is not looked at (2.7.10.1): none of these indices is passed. */
	*driver->ring.avail_event = htole16(0x4000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		driver->ring.used->flags = htole16(cases[i].flags);
		assert_int_equal(publish(driver, 1), cases[i].kick);
	}
}

static void with_event_idx_a_kick_is_due_when_avail_event_was_passed(void **state)
{
	static const struct {
		uint16_t from, count, event;
		bool kick;
	} cases[] = {
		{0, 1, 0, true},           /* the entry at index 0 was just written */
		{0, 1, 1, false},          /* not yet */
		{5, 1, 4, false},          /* long ago */
		{5, 4, 5, true},           /* first of a batch */
		{5, 4, 8, true},           /* last of a batch */
		{5, 4, 9, false},          /* the one behind it */
		{5, 4, 0x8005, false},     /* half a lap away */
		{0xffff, 1, 0xffff, true}, /* the index wraps to 0 */
		{0xffff, 1, 0, false},     {0xfffe, 4, 0xfffd, false},
		{0xfffe, 4, 0xfffe, true}, /* a batch across the wrap */
		{0xfffe, 4, 0xffff, true}, {0xfffe, 4, 0, true},
		{0xfffe, 4, 1, true},      {0xfffe, 4, 2, false},
	};
	struct vqsim_driver *driver = start(state, EVENT_IDX);

	/* Bit 0 of the flags is ignored (2.7.10.1). */
	driver->ring.used->flags = htole16(VRING_USED_F_NO_NOTIFY);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		age(driver, cases[i].from);
		*driver->ring.avail_event = htole16(cases[i].event);
		if (publish(driver, cases[i].count) != cases[i].kick)
			fail_msg("%u chains from index %u, event %u", cases[i].count, cases[i].from,
				 cases[i].event);
		use_and_reap(driver, cases[i].count);
	}
}

static void one_event_is_worth_one_kick_over_all_laps(void **state)
{
	struct vqsim_driver *driver = start(state, EVENT_IDX);
	unsigned kicks = 0;

	/* The device asks again after every 7th chain; 7 batches of 1 reach it once. */
	for (unsigned i = 0; i < 7 * 20000; i++) {
		*driver->ring.avail_event = htole16((uint16_t)(i / 7 * 7 + 3));
		kicks += publish(driver, 1);
		use_and_reap(driver, 1);
	}
	assert_int_equal(kicks, 20000);
}

static void a_publish_with_nothing_new_asks_for_no_kick(void **state)
{
	struct vqsim_driver *driver = start(state, 0);

	assert_false(vqsim_driver_publish(driver));
	assert_true(publish(driver, 1));
	assert_false(vqsim_driver_publish(driver));
}

static void without_event_idx_the_wish_is_in_the_avail_flags(void **state)
{
	struct vqsim_driver *driver = start(state, 0);

	assert_int_equal(driver->ring.avail->flags, 0);
	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_NEVER);
	assert_int_equal(le16toh(driver->ring.avail->flags), VRING_AVAIL_F_NO_INTERRUPT);
	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_ALWAYS);
	assert_int_equal(driver->ring.avail->flags, 0);
	publish(driver, 3);
	use_and_reap(driver, 3);
	assert_int_equal(*driver->ring.used_event, 0);
}

static void with_event_idx_used_event_follows_every_reap(void **state)
{
	struct vqsim_driver *driver = start(state, EVENT_IDX);

	for (unsigned i = 1; i <= 3 * 65536 / SIZE; i++) {
		publish(driver, SIZE);
		use_and_reap(driver, SIZE);
		assert_int_equal(le16toh(*driver->ring.used_event), i * SIZE % 65536);
	}
}

static void with_event_idx_the_avail_flags_stay_0(void **state)
{
	struct vqsim_driver *driver = start(state, EVENT_IDX);

	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_NEVER);
	assert_int_equal(driver->ring.avail->flags, 0);
	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_ALWAYS);
	assert_int_equal(driver->ring.avail->flags, 0);
}

/* What a device decides after it moved its used index from old to new (2.7.7.2). */
static bool device_would_notify(const struct vqsim_driver *driver, uint16_t old, uint16_t new)
{
	uint16_t event = le16toh(*driver->ring.used_event);

	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static void with_event_idx_never_holds_for_more_than_a_lap(void **state)
{
	struct vqsim_driver *driver = start(state, EVENT_IDX);

	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_NEVER);
	for (unsigned i = 0; i < 2 * 65536 / SIZE; i++) {
		uint16_t old = driver->used_index;

		publish(driver, SIZE);
		assert_false(device_would_notify(driver, old, (uint16_t)(old + SIZE)));
		use_and_reap(driver, SIZE);
		/* Out of reach for the largest ring too. */
		assert_int_equal(le16toh(*driver->ring.used_event),
				 (driver->used_index + 0x8000) % 65536);
	}
	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_ALWAYS);
	assert_true(device_would_notify(driver, driver->used_index,
					(uint16_t)(driver->used_index + 1)));
}

static void turning_notifications_on_tells_of_entries_that_came_before(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};
	struct vqsim_used used;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		struct vqsim_driver *driver = start(state, features[i]);

		publish(driver, 1);
		assert_false(vqsim_driver_set_notify(driver, VQSIM_NOTIFY_NEVER));
		driver->ring.used->idx = htole16(1);
		assert_true(vqsim_driver_set_notify(driver, VQSIM_NOTIFY_ALWAYS));
		vqsim_driver_reap(driver, &used);
		assert_false(vqsim_driver_set_notify(driver, VQSIM_NOTIFY_ALWAYS));
		vqsim_driver_finish(driver);
	}
}

static void the_data_of_a_kick_is_the_queue_and_on_demand_the_available_index(void **state)
{
	struct vqsim_driver *driver = start(state, 0);

	age(driver, 0x8003);
	assert_int_equal(vqsim_driver_kick_data(driver, 5), 5);
	driver->features |= KICK_DATA;
	assert_int_equal(vqsim_driver_kick_data(driver, 5), 0x80030005);
	/* What is not published yet is not announced. */
	driver->avail_index++;
	assert_int_equal(vqsim_driver_kick_data(driver, 0xffff), 0x8003ffff);
}

#define in_memory(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(without_event_idx_only_bit_0_of_the_used_flags_decides),
		in_memory(with_event_idx_a_kick_is_due_when_avail_event_was_passed),
		in_memory(one_event_is_worth_one_kick_over_all_laps),
		in_memory(a_publish_with_nothing_new_asks_for_no_kick),
		in_memory(without_event_idx_the_wish_is_in_the_avail_flags),
		in_memory(with_event_idx_used_event_follows_every_reap),
		in_memory(with_event_idx_the_avail_flags_stay_0),
		in_memory(with_event_idx_never_holds_for_more_than_a_lap),
		in_memory(turning_notifications_on_tells_of_entries_that_came_before),
		in_memory(the_data_of_a_kick_is_the_queue_and_on_demand_the_available_index),
	};

	return cmocka_run_group_tests_name("driver notify", tests, NULL, NULL);
}
