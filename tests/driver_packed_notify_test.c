/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notifications on the driver's side of the packed ring (virtio 1.3, 2.8.10 and 2.9):
 * when it kicks, what it says it wants to hear, and the data of a kick.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vqsim/driver.h"

#define PACKED    (VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_F_RING_PACKED))
#define EVENT_IDX VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define KICK_DATA VIRTIO_FEATURE(38)

#define ENABLE  VRING_PACKED_EVENT_FLAG_ENABLE
#define DISABLE VRING_PACKED_EVENT_FLAG_DISABLE
#define DESC    VRING_PACKED_EVENT_FLAG_DESC

#define SIZE 5u

static const struct vqsim_region region = {.gpa = 0x1000, .size = 0x4000};

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

	vqsim_driver_finish(&f->driver);
	assert_int_equal(vqsim_driver_init(&f->driver, &f->memory, SIZE, PACKED | features), 0);
	return &f->driver;
}

static void wish(struct vring_packed_desc_event *area, uint16_t offset, bool wrap, uint16_t flags)
{
	area->off_wrap = htole16(offset | (uint16_t)wrap << 15);
	area->flags = htole16(flags);
}

static int add(struct vqsim_driver *driver, uint16_t count)
{
	static const struct vqsim_element elements[SIZE] = {{.gpa = 0x1000, .len = 1}};
	struct vqsim_chain chain = {.elements = elements, .count = count, .direct = count};

	return vqsim_driver_add(driver, &chain, driver);
}

/* Mark the chain that begins at the used position used, and reap it. */
static void give_back(struct vqsim_driver *driver, int id)
{
	struct vring_packed_desc *desc = &driver->packed.desc[driver->used_index];
	struct vqsim_used used;

	desc->id = htole16((uint16_t)id);
	desc->flags = htole16(driver->used_wrap ? 0x8080 : 0);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
}

static bool kicks(struct vqsim_driver *driver, uint16_t count)
{
	int id = add(driver, count);
	bool kick = vqsim_driver_publish(driver);

	give_back(driver, id);
	return kick;
}

static void plain_wishes_of_the_device_are_obeyed(void **state)
{
	static const struct {
		uint64_t features;
		uint16_t flags;
		bool kick;
	} cases[] = {
		{0, ENABLE, true},
		{0, DISABLE, false},
		{EVENT_IDX, ENABLE, true},
		{EVENT_IDX, DISABLE, false},
		/* Not negotiated, reserved: rather one too many than one too few. */
		{0, DESC, true},
		{EVENT_IDX, 3, true},
		/* Reserved bits mean nothing. */
		{0, DISABLE | 0xfffc, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vqsim_driver *driver = start(state, cases[i].features);

		wish(driver->packed.device, 3, false, cases[i].flags);
		assert_int_equal(kicks(driver, 1), cases[i].kick);
	}
}

/* By the sentence of the standard, slot by slot, and not by the formula. */
static void a_kick_comes_exactly_when_the_event_is_passed(void **state)
{
	struct vqsim_driver *driver = start(state, EVENT_IDX);

	for (unsigned i = 0; i < 1000; i++) {
		uint16_t slot = (uint16_t)driver->avail_index, event = i % SIZE;
		bool wrap = driver->avail_wrap, event_wrap = i % 3 != 0, due = false;
		uint16_t count = 1 + i % 4;

		for (uint16_t k = 0; k < count; k++)
			due |= (slot + k) % SIZE == event &&
			       (wrap ^ (slot + k >= SIZE)) == event_wrap;
		wish(driver->packed.device, event, event_wrap, DESC);
		if (kicks(driver, count) != due)
			fail_msg("slot %u wrap %d count %u event %u/%d", slot, wrap, count, event,
				 event_wrap);
	}
}

static void a_batch_is_judged_as_one(void **state)
{
	struct vqsim_driver *driver = start(state, EVENT_IDX);

	wish(driver->packed.device, 1, true, DESC);
	add(driver, 1);
	add(driver, 1);
	add(driver, 1);
	assert_true(vqsim_driver_publish(driver));
	assert_false(vqsim_driver_publish(driver));
	add(driver, 1);
	assert_false(vqsim_driver_publish(driver));
}

static void assert_wish(const struct vqsim_driver *driver, uint16_t off_wrap, uint16_t flags)
{
	assert_int_equal(le16toh(driver->packed.driver->off_wrap), off_wrap);
	assert_int_equal(le16toh(driver->packed.driver->flags), flags);
}

static void without_event_idx_the_driver_enables_and_disables(void **state)
{
	struct vqsim_driver *driver = start(state, 0);

	assert_wish(driver, 0, ENABLE);
	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_NEVER);
	assert_wish(driver, 0, DISABLE);
	kicks(driver, 2);
	assert_wish(driver, 0, DISABLE);
	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_ALWAYS);
	assert_wish(driver, 0, ENABLE);
}

static void with_event_idx_the_wish_follows_what_was_reaped(void **state)
{
	struct vqsim_driver *driver = start(state, EVENT_IDX);

	assert_wish(driver, 0x8000, DESC);
	kicks(driver, 3);
	/* As in the text under example C: position 3, wrap 1 is 03 80 02 00. */
	assert_wish(driver, 0x8003, DESC);
	kicks(driver, 4);
	assert_wish(driver, 2, DESC);
	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_NEVER);
	assert_wish(driver, 0, DISABLE);
	kicks(driver, 4);
	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_ALWAYS);
	assert_wish(driver, 0x8001, DESC);
}

static void turning_notifications_on_looks_again(void **state)
{
	struct vqsim_driver *driver = start(state, EVENT_IDX);
	int id;

	vqsim_driver_set_notify(driver, VQSIM_NOTIFY_NEVER);
	id = add(driver, 1);
	vqsim_driver_publish(driver);
	assert_false(vqsim_driver_set_notify(driver, VQSIM_NOTIFY_ALWAYS));
	driver->packed.desc[0].id = htole16((uint16_t)id);
	driver->packed.desc[0].flags = htole16(0x8080);
	assert_true(vqsim_driver_set_notify(driver, VQSIM_NOTIFY_ALWAYS));
}

static void the_data_of_a_kick_says_where_the_next_chain_will_be(void **state)
{
	struct vqsim_driver *driver = start(state, KICK_DATA);

	assert_int_equal(vqsim_driver_kick_data(driver, 7), 0x80000007);
	add(driver, 3);
	/* Not exposed yet. */
	assert_int_equal(vqsim_driver_kick_data(driver, 7), 0x80000007);
	vqsim_driver_publish(driver);
	assert_int_equal(vqsim_driver_kick_data(driver, 7), 0x80030007);
	add(driver, 2);
	vqsim_driver_publish(driver);
	assert_int_equal(vqsim_driver_kick_data(driver, 7), 0x00000007);
	driver = start(state, 0);
	assert_int_equal(vqsim_driver_kick_data(driver, 7), 7);
}

#define in_memory(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(plain_wishes_of_the_device_are_obeyed),
		in_memory(a_kick_comes_exactly_when_the_event_is_passed),
		in_memory(a_batch_is_judged_as_one),
		in_memory(without_event_idx_the_driver_enables_and_disables),
		in_memory(with_event_idx_the_wish_follows_what_was_reaped),
		in_memory(turning_notifications_on_looks_again),
		in_memory(the_data_of_a_kick_says_where_the_next_chain_will_be),
	};

	return cmocka_run_group_tests_name("driver, packed notifications", tests, NULL, NULL);
}
