/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IN_ORDER on the driver's side of both formats (virtio 1.3, 2.7.9 and 2.8.11): where
 * descriptors are taken from, and one used entry that stands for a batch.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vqsim/driver.h"

#define V1       VIRTIO_FEATURE(VIRTIO_F_VERSION_1)
#define IN_ORDER VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)
#define PACKED   VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)

#define SIZE 8u

static const struct vqsim_region region = {.gpa = 0x1000, .size = 0x4000};

/* A device that has used chains so far: it writes where the one before ended. */
struct fixture {
	struct vqsim_memory memory;
	struct vqsim_driver driver;
	uint16_t position;
	bool wrap;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	fixture.wrap = true;
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

static struct vqsim_driver *start(struct fixture *f, uint64_t format)
{
	assert_int_equal(vqsim_driver_init(&f->driver, &f->memory, SIZE, V1 | IN_ORDER | format),
			 0);
	return &f->driver;
}

static int add(struct vqsim_driver *driver, uint16_t count, void *token)
{
	static const struct vqsim_element elements[SIZE] = {{.gpa = 0x1000, .len = 1}};
	struct vqsim_chain chain = {.elements = elements, .count = count, .direct = count};

	return vqsim_driver_add(driver, &chain, token);
}

/* One entry for a batch of this many chains, which have this many slots in a packed ring. */
static void device_uses(struct fixture *f, int id, uint32_t len, uint16_t chains, uint16_t slots)
{
	struct vqsim_driver *driver = &f->driver;

	if (driver->is_packed) {
		struct vring_packed_desc *desc = &driver->packed.desc[f->position];

		desc->id = htole16((uint16_t)id);
		desc->len = htole32(len);
		desc->flags = htole16(VRING_DESC_F_WRITE | (f->wrap ? 0x8080 : 0));
		f->position += slots;
		f->wrap ^= f->position >= SIZE;
		f->position %= SIZE;
	} else {
		driver->ring.used->ring[f->position % SIZE].id = htole32((uint32_t)id);
		driver->ring.used->ring[f->position % SIZE].len = htole32(len);
		f->position += chains;
		driver->ring.used->idx = htole16(f->position);
	}
}

static void descriptors_are_taken_in_the_order_of_the_ring(void **state)
{
	struct fixture *f = *state;
	struct vqsim_driver *driver = start(f, 0);
	uint16_t next = 0;

	for (unsigned i = 0; i < 100; i++) {
		uint16_t count = 1 + i % 3;
		struct vqsim_used used;

		assert_int_equal(add(driver, count, f), next);
		/* The last one of the table is followed by the first (2.7.5.2). */
		for (uint16_t k = 0; k + 1 < count; k++)
			assert_int_equal(le16toh(driver->ring.desc[(next + k) % SIZE].next),
					 (next + k + 1) % SIZE);
		vqsim_driver_publish(driver);
		device_uses(f, next, 0, 1, count);
		assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
		next = (next + count) % SIZE;
	}
}

/* Batches of every length up to three, of chains of one to two, round and round. */
static void one_entry_stands_for_a_batch(void **state, uint64_t format)
{
	struct fixture *f = *state;
	struct vqsim_driver *driver = start(f, format);
	int tokens[3], ids[3];
	struct vqsim_used used;

	for (unsigned i = 0; i < 300; i++) {
		uint16_t chains = 1 + i % 3, slots = 0;

		for (unsigned k = 0; k < chains; k++) {
			uint16_t count = 1 + (i + k) % 2;

			ids[k] = add(driver, count, &tokens[k]);
			assert_true(ids[k] >= 0);
			slots += count;
		}
		vqsim_driver_publish(driver);
		device_uses(f, ids[chains - 1], 1000 + i, chains, slots);
		for (unsigned k = 0; k < chains; k++) {
			assert_true(vqsim_driver_has_used(driver));
			assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
			assert_ptr_equal(used.token, &tokens[k]);
			assert_int_equal(used.head, ids[k]);
			assert_int_equal(used.batched, k + 1 < chains);
			assert_int_equal(used.len, k + 1 < chains ? 0 : 1000 + i);
		}
		assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_NOTHING);
		assert_int_equal(driver->free_count, SIZE);
	}
}

static void one_entry_stands_for_a_batch_in_a_split_ring(void **state)
{
	one_entry_stands_for_a_batch(state, 0);
}

static void one_entry_stands_for_a_batch_in_a_packed_ring(void **state)
{
	one_entry_stands_for_a_batch(state, PACKED);
}

static void what_is_reaped_of_a_batch_is_free_at_once(void **state)
{
	struct fixture *f = *state;
	struct vqsim_driver *driver = start(f, PACKED);
	struct vqsim_used used;
	int last;

	add(driver, 4, f);
	last = add(driver, 4, f);
	vqsim_driver_publish(driver);
	device_uses(f, last, 0, 2, 8);
	assert_int_equal(add(driver, 1, f), -1);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
	assert_int_equal(driver->free_count, 4);
	/* Chains of the next batch do not disturb this one. */
	assert_true(add(driver, 4, f) >= 0);
	vqsim_driver_publish(driver);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
	assert_int_equal(used.head, last);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_NOTHING);
}

/* An entry out of order: the index tells that it stands for itself alone. */
static void a_later_chain_by_itself_is_no_batch(void **state)
{
	struct fixture *f = *state;
	struct vqsim_driver *driver = start(f, 0);
	struct vqsim_used used;
	int first = add(driver, 1, f), second = add(driver, 1, f);

	vqsim_driver_publish(driver);
	device_uses(f, second, 0, 1, 1);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_BOGUS);
	assert_int_equal(driver->in_flight, 2);
	device_uses(f, first, 0, 1, 1);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
	assert_int_equal(used.head, first);
}

#define in_memory(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(descriptors_are_taken_in_the_order_of_the_ring),
		in_memory(one_entry_stands_for_a_batch_in_a_split_ring),
		in_memory(one_entry_stands_for_a_batch_in_a_packed_ring),
		in_memory(what_is_reaped_of_a_batch_is_free_at_once),
		in_memory(a_later_chain_by_itself_is_no_batch),
	};

	return cmocka_run_group_tests_name("driver, in order", tests, NULL, NULL);
}
