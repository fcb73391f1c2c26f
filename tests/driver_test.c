/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver side of the split ring (virtio 1.3, 2.7), against a device of a few
 * lines that writes whatever a test wants into the used ring.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vqsim/driver.h"

#define V1 VIRTIO_FEATURE(VIRTIO_F_VERSION_1)

/* Rings are allocated in the first region; the worked examples lie in the second. */
static const struct vqsim_region regions[] = {
	{.gpa = 0, .size = 0x100000},
	{.gpa = 0x100000, .size = 0x8000},
};

struct fixture {
	struct vqsim_memory memory;
	struct vqsim_driver driver;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	*state = &fixture;
	return vqsim_memory_init(&fixture.memory, regions, 2);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	bool intact = vqsim_memory_check(&f->memory, NULL) == NULL;

	vqsim_driver_finish(&f->driver);
	vqsim_memory_finish(&f->memory);
	return intact ? 0 : -1;
}

static struct vqsim_driver *start(void **state, uint16_t size, uint64_t features)
{
	struct fixture *f = *state;

	assert_int_equal(vqsim_driver_init(&f->driver, &f->memory, size, features), 0);
	return &f->driver;
}

/* A driver whose ring has seen index chains, all of them back. */
static void age(struct vqsim_driver *driver, uint16_t index)
{
	driver->avail_index = driver->published_index = driver->kicked_index = index;
	driver->used_index = index;
	driver->ring.avail->idx = driver->ring.used->idx = htole16(index);
}

static const struct vqsim_element buffers[] = {
	{.gpa = 0x101000, .len = 16},
	{.gpa = 0x102000, .len = 512, .write = true},
	{.gpa = 0x103000, .len = 1, .write = true},
};

static int add(struct vqsim_driver *driver, uint16_t count, void *token)
{
	struct vqsim_chain chain = {.elements = buffers, .count = count, .direct = count};

	return vqsim_driver_add(driver, &chain, token);
}

static void device_uses(struct vqsim_driver *driver, uint32_t id, uint32_t len)
{
	uint16_t index = le16toh(driver->ring.used->idx);
	struct vring_used_elem *entry = &driver->ring.used->ring[index % driver->setup.size];

	entry->id = htole32(id);
	entry->len = htole32(len);
	driver->ring.used->idx = htole16((uint16_t)(index + 1));
}

#define assert_bytes(memory, gpa, ...)                                                          \
	do {                                                                                    \
		const uint8_t expected_[] = {__VA_ARGS__};                                      \
                                                                                                \
		assert_memory_equal(vqsim_memory_at(memory, gpa, sizeof(expected_)), expected_, \
				    sizeof(expected_));                                         \
	} while (0)

/* Move the ring of 8 to the addresses of the worked examples. */
static void move_to_the_example(struct vqsim_driver *driver)
{
	struct vqsim_split_ring *ring = &driver->ring;

	ring->desc = vqsim_memory_at(driver->memory, 0x100000, 128);
	ring->avail = vqsim_memory_at(driver->memory, 0x100080, 22);
	ring->used = vqsim_memory_at(driver->memory, 0x1000a0, 70);
	ring->used_event = vqsim_memory_at(driver->memory, 0x100094, 2);
	ring->avail_event = vqsim_memory_at(driver->memory, 0x1000e4, 2);
}

/* The driver exposed 9 chains, the last with head 6, and takes 2, 5, 6 next. */
static struct vqsim_driver *start_example_a(void **state)
{
	struct vqsim_driver *driver = start(state, 8, V1);

	move_to_the_example(driver);
	age(driver, 9);
	driver->ring.avail->ring[0] = htole16(6);
	driver->ring.used->ring[0].id = htole32(6);
	driver->ring.used->ring[0].len = htole32(1);
	driver->free_head = 2;
	driver->slots[2].next = 5;
	driver->slots[5].next = 6;
	return driver;
}

static void a_chain_of_three_is_laid_out_as_in_example_a(void **state)
{
	struct vqsim_driver *driver = start_example_a(state);
	struct vqsim_memory *memory = driver->memory;

	assert_int_equal(add(driver, 3, driver), 2);
	/* A chain that is not published yet is invisible (2.7.13.3). */
	assert_bytes(memory, 0x100080, 0x00, 0x00, 0x09, 0x00);
	assert_true(vqsim_driver_publish(driver));

	assert_bytes(memory, 0x100020, 0x00, 0x10, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00,
		     0x00, 0x00, 0x01, 0x00, 0x05, 0x00);
	assert_bytes(memory, 0x100050, 0x00, 0x20, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
		     0x00, 0x00, 0x03, 0x00, 0x06, 0x00);
	assert_bytes(memory, 0x100060, 0x00, 0x30, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
		     0x00, 0x00, 0x02, 0x00, 0xff, 0xff);
	assert_bytes(memory, 0x100080, 0x00, 0x00, 0x0a, 0x00, 0x06, 0x00, 0x02, 0x00);
	/* used_event is not the driver's to write without EVENT_IDX */
	assert_bytes(memory, 0x100094, 0x00, 0x00);
}

static void the_used_ring_of_example_a_is_read_back(void **state)
{
	static const uint8_t used_ring[] = {
		0x00, 0x00, 0x0a, 0x00, 0x06, 0x00, 0x00, 0x00, 0x01, 0x00,
		0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00,
	};
	struct vqsim_driver *driver = start_example_a(state);
	struct vqsim_used used;

	add(driver, 3, driver);
	vqsim_driver_publish(driver);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_NOTHING);
	memcpy(vqsim_memory_at(driver->memory, 0x1000a0, sizeof(used_ring)), used_ring,
	       sizeof(used_ring));

	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
	assert_int_equal(used.head, 2);
	assert_int_equal(used.len, 0x201);
	assert_ptr_equal(used.token, driver);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_NOTHING);
	assert_int_equal(driver->free_count, 8);
}

static void an_indirect_chain_is_laid_out_as_in_example_b(void **state)
{
	struct vqsim_chain chain = {.elements = buffers, .count = 3, .table_gpa = 0x104000};
	struct vqsim_driver *driver = start(state, 8, V1);

	move_to_the_example(driver);
	assert_int_equal(vqsim_driver_add(driver, &chain, driver), 0);

	assert_bytes(driver->memory, 0x100000, 0x00, 0x40, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x30,
		     0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00);
	assert_bytes(driver->memory, 0x104000, 0x00, 0x10, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10,
		     0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00);
	assert_bytes(driver->memory, 0x104010, 0x00, 0x20, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		     0x02, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00);
	assert_bytes(driver->memory, 0x104020, 0x00, 0x30, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
		     0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00);
	assert_int_equal(driver->free_count, 7);
}

static void direct_descriptors_may_precede_the_one_that_points_to_a_table(void **state)
{
	struct vqsim_chain chain = {
		.elements = buffers, .count = 3, .direct = 2, .table_gpa = 0x104000};
	struct vqsim_driver *driver = start(state, 8, V1);

	move_to_the_example(driver);
	assert_int_equal(vqsim_driver_add(driver, &chain, driver), 0);

	/* Two direct ones, linked, then a table of one entry (2.7.5.3.2). */
	assert_bytes(driver->memory, 0x10000c, 0x01, 0x00, 0x01, 0x00);
	assert_bytes(driver->memory, 0x10001c, 0x03, 0x00, 0x02, 0x00);
	assert_bytes(driver->memory, 0x100020, 0x00, 0x40, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10,
		     0x00, 0x00, 0x00, 0x04, 0x00);
	assert_bytes(driver->memory, 0x104000, 0x00, 0x30, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
		     0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00);
	assert_int_equal(driver->free_count, 5);
}

static void assert_part(struct vqsim_memory *memory, uint64_t gpa, uint64_t size, uint64_t align)
{
	const uint8_t *part = vqsim_memory_at(memory, gpa, size);

	assert_int_equal(gpa % align, 0);
	assert_true(vqsim_memory_canary_intact(memory, gpa, size, NULL));
	for (uint64_t i = 0; i < size; i++)
		assert_int_equal(part[i], 0);
}

static void ring_parts_are_aligned_zeroed_and_apart(void **state)
{
	struct fixture *f = *state;

	for (unsigned size = 1; size <= 32768; size *= 2) {
		struct vqsim_memory_mark mark = vqsim_memory_mark(&f->memory);
		struct vqsim_driver *driver = start(state, (uint16_t)size, V1);
		const struct virtio_queue_setup *setup = &driver->setup;

		assert_int_equal(setup->size, size);
		assert_part(&f->memory, setup->desc_gpa, 16 * size, 16);
		assert_part(&f->memory, setup->driver_gpa, 6 + 2 * size, 2);
		assert_part(&f->memory, setup->device_gpa, 6 + 8 * size, 4);
		vqsim_driver_finish(driver);
		vqsim_memory_rewind(&f->memory, &mark);
	}
}

static void a_size_that_is_no_power_of_two_is_refused(void **state)
{
	static const uint16_t sizes[] = {0, 3, 6, 255, 32767, 32769, 65535};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(vqsim_driver_init(&f->driver, &f->memory, sizes[i], V1), -EINVAL);
	assert_int_equal(f->memory.allocation_count, 0);
}

static void a_full_ring_takes_no_chain_and_stays_as_it_is(void **state)
{
	struct vqsim_driver *driver = start(state, 4, V1);
	struct vring_desc before[4];
	struct vqsim_used used;

	assert_int_not_equal(add(driver, 2, driver), -1);
	assert_int_equal(driver->free_count, 2);
	memcpy(before, driver->ring.desc, sizeof(before));
	assert_int_equal(add(driver, 3, driver), -1);
	assert_memory_equal(driver->ring.desc, before, sizeof(before));
	assert_int_equal(driver->avail_index, 1);

	/* With room again it does. */
	device_uses(driver, le16toh(driver->ring.avail->ring[0]), 0);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
	assert_int_not_equal(add(driver, 3, driver), -1);
}

static void a_batch_becomes_visible_with_one_publish(void **state)
{
	struct vqsim_driver *driver = start(state, 8, V1);

	for (unsigned i = 0; i < 8; i++)
		add(driver, 1, driver);
	assert_int_equal(driver->ring.avail->idx, 0);
	vqsim_driver_publish(driver);
	assert_int_equal(le16toh(driver->ring.avail->idx), 8);
}

static void what_the_device_writes_into_descriptors_does_not_lead_the_driver_astray(void **state)
{
	struct vqsim_driver *driver = start(state, 4, V1);
	struct vqsim_used used;
	int head = add(driver, 3, driver);

	memset(driver->ring.desc, 0xee, 4 * sizeof(struct vring_desc));
	device_uses(driver, (uint32_t)head, 0);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
	assert_int_not_equal(add(driver, 3, driver), -1);
	assert_int_not_equal(add(driver, 1, driver), -1);
	assert_int_equal(add(driver, 1, driver), -1);
}

/* A device that takes what it finds and uses it out of order: every other chain later. */
struct shuffler {
	uint16_t seen;
	uint16_t held[64];
	unsigned held_count;
};

static void shuffler_runs(struct shuffler *device, struct vqsim_driver *driver)
{
	while (device->seen != le16toh(driver->ring.avail->idx)) {
		uint16_t slot = device->seen++ % driver->setup.size;
		uint16_t head = le16toh(driver->ring.avail->ring[slot]);

		if (device->seen % 2)
			device->held[device->held_count++] = head;
		else
			device_uses(driver, head, device->seen);
	}
	while (device->held_count > driver->setup.size / 4u)
		device_uses(driver, device->held[--device->held_count], device->seen);
}

/* One token for each head: set while it is in flight. */
static unsigned reap_all(struct vqsim_driver *driver, bool *in_flight)
{
	struct vqsim_used used;
	enum vqsim_reap reap;
	unsigned count = 0;

	while ((reap = vqsim_driver_reap(driver, &used)) != VQSIM_REAP_NOTHING) {
		assert_int_equal(reap, VQSIM_REAP_USED);
		assert_ptr_equal(used.token, &in_flight[used.head]);
		assert_true(in_flight[used.head]);
		in_flight[used.head] = false;
		count++;
	}
	return count;
}

static unsigned add_until_full(struct vqsim_driver *driver, bool *in_flight, unsigned seed)
{
	unsigned count = 0;

	for (;; count++) {
		uint16_t elements = (uint16_t)(1 + (seed + count) % 3);
		int head = driver->free_head;

		if (add(driver, elements, &in_flight[head]) < 0)
			return count;
		assert_false(in_flight[head]);
		in_flight[head] = true;
	}
}

static void descriptors_go_round_for_more_than_three_laps_of_the_index(void **state)
{
	struct vqsim_driver *driver = start(state, 64, V1);
	struct shuffler device = {0};
	bool in_flight[64] = {0};
	unsigned added = 0, reaped = 0;

	while (reaped <= 3 * 65536 + 64) {
		added += add_until_full(driver, in_flight, reaped);
		vqsim_driver_publish(driver);
		shuffler_runs(&device, driver);
		reaped += reap_all(driver, in_flight);
	}
	while (device.held_count > 0)
		device_uses(driver, device.held[--device.held_count], 0);
	reaped += reap_all(driver, in_flight);

	assert_int_equal(reaped, added);
	assert_int_equal(driver->free_count, 64);
	assert_int_equal(driver->in_flight, 0);
	assert_int_equal(le16toh(driver->ring.avail->idx), added % 65536);
}

static void every_length_of_chain_fits_into_what_came_back(void **state)
{
	struct vqsim_driver *driver = start(state, 2, V1);
	struct vqsim_used used;

	for (unsigned i = 0; i < 100; i++) {
		int head = add(driver, i % 2 ? 1 : 2, driver);

		assert_in_range(head, 0, 1);
		device_uses(driver, (uint32_t)head, i);
		assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
		assert_int_equal(used.len, i);
	}
}

static void an_entry_that_names_no_chain_in_flight_changes_nothing(void **state)
{
	struct vqsim_driver *driver = start(state, 8, V1);
	uint32_t head = (uint32_t)add(driver, 3, driver);
	const uint32_t bogus[] = {
		8,                        /* not below the size */
		UINT32_MAX,               /* far from it */
		head + 0x10000,           /* right in its low 16 bits only */
		driver->slots[head].next, /* the middle of the chain */
		driver->free_head,        /* never added */
	};
	struct vqsim_used used;

	for (size_t i = 0; i < sizeof(bogus) / sizeof(bogus[0]); i++) {
		device_uses(driver, bogus[i], 1);
		assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_BOGUS);
		assert_int_equal(driver->free_count, 5);
		assert_int_equal(driver->in_flight, 1);
	}
	device_uses(driver, head, 7);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
	assert_int_equal(used.len, 7);
	/* The same chain twice. */
	device_uses(driver, head, 7);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_BOGUS);
	assert_int_equal(driver->free_count, 8);
}

#define in_memory(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(a_chain_of_three_is_laid_out_as_in_example_a),
		in_memory(the_used_ring_of_example_a_is_read_back),
		in_memory(an_indirect_chain_is_laid_out_as_in_example_b),
		in_memory(direct_descriptors_may_precede_the_one_that_points_to_a_table),
		in_memory(ring_parts_are_aligned_zeroed_and_apart),
		in_memory(a_size_that_is_no_power_of_two_is_refused),
		in_memory(a_full_ring_takes_no_chain_and_stays_as_it_is),
		in_memory(a_batch_becomes_visible_with_one_publish),
		in_memory(what_the_device_writes_into_descriptors_does_not_lead_the_driver_astray),
		in_memory(descriptors_go_round_for_more_than_three_laps_of_the_index),
		in_memory(every_length_of_chain_fits_into_what_came_back),
		in_memory(an_entry_that_names_no_chain_in_flight_changes_nothing),
	};

	return cmocka_run_group_tests_name("driver", tests, NULL, NULL);
}
