/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver side of the packed ring (virtio 1.3, 2.8), against a device of a few
 * lines that knows no more than the format.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "tests/support/aborts.h"
#include "vqsim/driver.h"

#define PACKED (VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_F_RING_PACKED))

#define AVAIL 0x0080u
#define USED  0x8000u
#define NEXT  1u
#define WRITE 2u

#define HELD_MAX 8u

/* Rings are allocated in the last region; the worked examples lie in the first two. */
static const struct vqsim_region regions[] = {
	{.gpa = 0x100000, .size = 0x8000},
	{.gpa = 0x200000, .size = 0x1000},
	{.gpa = 0x300000, .size = 0x100000},
};

/* What a device must remember: where it stands, and the chains it has taken. */
struct device {
	uint16_t taken, used; /* positions */
	bool taken_wrap, used_wrap;
	unsigned held_count;
	struct {
		uint16_t id, slots;
	} held[HELD_MAX];
};

struct fixture {
	struct vqsim_memory memory;
	struct vqsim_driver driver;
	struct device device;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	*state = &fixture;
	return vqsim_memory_init(&fixture.memory, regions, 3);
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

	f->device = (struct device){.taken_wrap = true, .used_wrap = true};
	assert_int_equal(vqsim_driver_init(&f->driver, &f->memory, size, PACKED | features), 0);
	return &f->driver;
}

/* The ring at the address of the worked examples, both sides at this position of lap 1. */
static struct vqsim_driver *start_example(void **state, uint16_t size, uint16_t position,
					  uint16_t id)
{
	struct vqsim_driver *driver = start(state, size, 0);

	driver->packed.desc = vqsim_memory_at(driver->memory, 0x200000, 16u * size);
	driver->avail_index = driver->used_index = driver->published_index = position;
	driver->id_first = id;
	return driver;
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

static uint16_t flags_at(const struct vqsim_driver *driver, uint16_t slot)
{
	return le16toh(driver->packed.desc[slot].flags);
}

static void go_on(const struct vqsim_driver *driver, uint16_t *position, bool *wrap)
{
	if (++*position == driver->setup.size) {
		*position = 0;
		*wrap = !*wrap;
	}
}

/* Take the next chain if there is one. */
static bool device_takes(struct fixture *f)
{
	struct device *d = &f->device;
	uint16_t flags = flags_at(&f->driver, d->taken), slots = 0;
	const struct vring_packed_desc *desc;

	if (!!(flags & AVAIL) != d->taken_wrap || !!(flags & USED) == d->taken_wrap)
		return false;
	do {
		desc = &f->driver.packed.desc[d->taken];
		flags = le16toh(desc->flags);
		/* Every element of a list is marked, not only its head. */
		assert_true(!!(flags & AVAIL) == d->taken_wrap);
		assert_true(!!(flags & USED) != d->taken_wrap);
		go_on(&f->driver, &d->taken, &d->taken_wrap);
		slots++;
	} while (flags & NEXT);
	d->held[d->held_count].slots = slots;
	d->held[d->held_count++].id = le16toh(desc->id);
	return true;
}

static void mark_used(struct fixture *f, uint16_t id, uint32_t len, uint16_t flags)
{
	struct vring_packed_desc *desc = &f->driver.packed.desc[f->device.used];

	desc->id = htole16(id);
	desc->len = htole32(len);
	desc->flags = htole16(flags | (f->device.used_wrap ? AVAIL | USED : 0));
}

/* Use the chain that was taken as number index of those that are held. */
static void device_uses(struct fixture *f, unsigned index, uint32_t len)
{
	struct device *d = &f->device;

	mark_used(f, d->held[index].id, len, WRITE);
	for (uint16_t i = 0; i < d->held[index].slots; i++)
		go_on(&f->driver, &d->used, &d->used_wrap);
	d->held[index] = d->held[--d->held_count];
}

#define assert_bytes(memory, gpa, ...)                                                          \
	do {                                                                                    \
		const uint8_t expected_[] = {__VA_ARGS__};                                      \
                                                                                                \
		assert_memory_equal(vqsim_memory_at(memory, gpa, sizeof(expected_)), expected_, \
				    sizeof(expected_));                                         \
	} while (0)

static void an_indirect_chain_is_laid_out_as_in_example_b(void **state)
{
	struct vqsim_chain chain = {.elements = buffers, .count = 3, .table_gpa = 0x104000};
	struct vqsim_driver *driver = start_example(state, 8, 0, 3);

	assert_int_equal(vqsim_driver_add(driver, &chain, driver), 3);
	vqsim_driver_publish(driver);

	assert_bytes(driver->memory, 0x200000, 0x00, 0x40, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x30,
		     0x00, 0x00, 0x00, 0x03, 0x00, 0x84, 0x00);
	assert_bytes(driver->memory, 0x104000, 0x00, 0x10, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10,
		     0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00);
	assert_bytes(driver->memory, 0x104010, 0x00, 0x20, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		     0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00);
	assert_bytes(driver->memory, 0x104020, 0x00, 0x30, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
		     0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00);
	assert_int_equal(driver->free_count, 7);
}

/* Lap 1, three replies of one byte in slots 0 to 2; the list of 3 begins in slot 3 of 5. */
static struct vqsim_driver *start_example_c(void **state)
{
	static const uint8_t before[48] = {
		0x00, 0x10, 0x11, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0x00, 0, 0x82, 0x80, /* 0 */
		0x00, 0x20, 0x11, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0x01, 0, 0x82, 0x80, /* 1 */
		0x00, 0x30, 0x11, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0x02, 0, 0x82, 0x80, /* 2 */
	};
	struct vqsim_driver *driver = start_example(state, 5, 3, 7);

	memcpy(driver->packed.desc, before, sizeof(before));
	return driver;
}

/* In a packed ring a table stands alone (2.8.19). */
static void direct_descriptors_before_a_table_are_misuse(void **state)
{
	struct vqsim_chain chain = {.elements = buffers, .count = 3, .table_gpa = 0x104000};
	struct vqsim_driver *driver = start_example(state, 8, 0, 3);

	for (chain.direct = 1; chain.direct < 3; chain.direct++)
		assert_aborts(vqsim_driver_add(driver, &chain, driver));
	assert_int_equal(vqsim_driver_add(driver, &chain, driver), 3);
}

static void a_list_that_wraps_is_laid_out_as_in_example_c(void **state)
{
	struct vqsim_driver *driver = start_example_c(state);
	struct vqsim_memory *memory = driver->memory;

	assert_int_equal(add(driver, 3, driver), 7);
	/* The flags of the head come last (2.8.17). */
	assert_int_equal(flags_at(driver, 3), 0);
	vqsim_driver_publish(driver);

	assert_bytes(memory, 0x200000, 0x00, 0x30, 0x10, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0x07, 0,
		     0x02, 0x80);
	assert_bytes(memory, 0x200010, 0x00, 0x20, 0x11, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0x01, 0,
		     0x82, 0x80);
	assert_bytes(memory, 0x200020, 0x00, 0x30, 0x11, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0x02, 0,
		     0x82, 0x80);
	assert_bytes(memory, 0x200030, 0x00, 0x10, 0x10, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x00, 0,
		     0x81, 0x00);
	assert_bytes(memory, 0x200040, 0x00, 0x20, 0x10, 0, 0, 0, 0, 0, 0x00, 0x02, 0, 0, 0x00, 0,
		     0x83, 0x00);
	assert_int_equal(driver->avail_index, 1);
	assert_false(driver->avail_wrap);
}

static void the_used_descriptor_of_example_c_is_read_back(void **state)
{
	static const uint8_t answer[16] = {0x00, 0x10, 0x10, 0, 0,    0, 0,    0,
					   0x01, 0x02, 0,    0, 0x07, 0, 0x82, 0x80};
	struct vqsim_driver *driver = start_example_c(state);
	struct vqsim_used used;

	add(driver, 3, driver);
	vqsim_driver_publish(driver);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_NOTHING);
	memcpy(&driver->packed.desc[3], answer, sizeof(answer));
	assert_true(vqsim_driver_has_used(driver));

	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
	assert_int_equal(used.head, 7);
	assert_int_equal(used.len, 513);
	assert_ptr_equal(used.token, driver);
	assert_false(used.batched);
	assert_int_equal(driver->used_index, 1);
	assert_false(driver->used_wrap);
	/* Slots 4 and 0 kept their flags, which are nothing new (2.8.1). */
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_NOTHING);
	assert_int_equal(driver->free_count, 5);
}

static void ring_parts_are_aligned_and_apart(void **state)
{
	static const uint16_t sizes[] = {1, 2, 3, 5, 255, 256, 32767, 32768};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct vqsim_memory_mark mark = vqsim_memory_mark(&f->memory);
		const struct virtio_queue_setup *setup = &start(state, sizes[i], 0)->setup;

		assert_int_equal(setup->size, sizes[i]);
		assert_int_equal(setup->desc_gpa % 16, 0);
		assert_int_equal(setup->driver_gpa % 4, 0);
		assert_int_equal(setup->device_gpa % 4, 0);
		assert_true(vqsim_memory_canary_intact(&f->memory, setup->desc_gpa, 16u * sizes[i],
						       NULL));
		assert_true(vqsim_memory_canary_intact(&f->memory, setup->driver_gpa, 4, NULL));
		assert_true(vqsim_memory_canary_intact(&f->memory, setup->device_gpa, 4, NULL));
		vqsim_driver_finish(&f->driver);
		vqsim_memory_rewind(&f->memory, &mark);
	}
	assert_int_equal(vqsim_driver_init(&f->driver, &f->memory, 0, PACKED), -EINVAL);
	assert_int_equal(vqsim_driver_init(&f->driver, &f->memory, 32769, PACKED), -EINVAL);
}

static void a_list_that_fills_the_ring_toggles_the_counter(void **state)
{
	struct vqsim_driver *driver = start(state, 3, 0);
	struct fixture *f = *state;
	struct vqsim_used used;

	for (unsigned lap = 0; lap < 10; lap++) {
		assert_true(driver->avail_wrap == (lap % 2 == 0));
		assert_true(add(driver, 3, driver) >= 0);
		assert_int_equal(driver->free_count, 0);
		assert_int_equal(add(driver, 1, driver), -1);
		vqsim_driver_publish(driver);
		assert_true(device_takes(f));
		assert_false(device_takes(f));
		device_uses(f, 0, lap);
		assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
		assert_int_equal(used.len, lap);
		assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_NOTHING);
	}
}

static void a_full_ring_takes_no_chain_and_stays_as_it_is(void **state)
{
	struct vqsim_driver *driver = start(state, 5, 0);
	struct vring_packed_desc before[5];

	assert_true(add(driver, 3, driver) >= 0);
	memcpy(before, driver->packed.desc, sizeof(before));
	assert_int_equal(add(driver, 3, driver), -1);
	assert_memory_equal(driver->packed.desc, before, sizeof(before));
	assert_int_equal(driver->avail_index, 3);
	assert_true(add(driver, 2, driver) >= 0);
}

static void a_batch_is_hidden_behind_its_first_head(void **state)
{
	struct vqsim_driver *driver = start(state, 5, 0);
	struct fixture *f = *state;

	add(driver, 2, driver);
	add(driver, 1, driver);
	add(driver, 2, driver);
	assert_false(device_takes(f));
	vqsim_driver_publish(driver);
	for (unsigned i = 0; i < 3; i++)
		assert_true(device_takes(f));
	assert_false(device_takes(f));
}

static void the_id_of_a_chain_is_no_slot_and_stands_in_its_last_element_only(void **state)
{
	struct vqsim_driver *driver = start(state, 5, 0);
	int id = add(driver, 3, driver);

	assert_true(id >= 5);
	assert_int_equal(le16toh(driver->packed.desc[0].id), 0);
	assert_int_equal(le16toh(driver->packed.desc[1].id), 0);
	assert_int_equal(le16toh(driver->packed.desc[2].id), id);
}

/* Chains of 1 to 3 until the ring or the device's hands are full. */
static unsigned fill(struct fixture *f, unsigned seed)
{
	uint16_t longest = f->driver.setup.size < 3 ? f->driver.setup.size : 3;
	unsigned count = 0;

	while (f->device.held_count + count < HELD_MAX &&
	       add(&f->driver, (uint16_t)(1 + (seed + count) % longest), f) >= 0)
		count++;
	return count;
}

static void chains_of_a_ring_go_round(void **state, uint16_t size, unsigned chains)
{
	struct vqsim_driver *driver = start(state, size, 0);
	struct fixture *f = *state;
	struct vqsim_used used;
	unsigned added = 0, reaped = 0;

	while (reaped < chains) {
		added += fill(f, reaped);
		vqsim_driver_publish(driver);
		while (device_takes(f))
			;
		/* In any order, and now and then all of them. */
		for (unsigned i = 0; i < 1 + reaped % 3 && f->device.held_count > 0; i++)
			device_uses(f, reaped * 7 % f->device.held_count, reaped);
		while (vqsim_driver_reap(driver, &used) != VQSIM_REAP_NOTHING) {
			assert_ptr_equal(used.token, f);
			reaped++;
		}
		assert_int_equal(driver->in_flight, added - reaped);
	}
	while (f->device.held_count > 0)
		device_uses(f, 0, 0);
	while (vqsim_driver_reap(driver, &used) == VQSIM_REAP_USED)
		reaped++;
	assert_int_equal(reaped, added);
	assert_int_equal(driver->free_count, size);
}

static void descriptors_go_round_for_ever_on_every_size(void **state)
{
	static const uint16_t sizes[] = {1, 2, 3, 5, 256, 32768};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct vqsim_memory_mark mark = vqsim_memory_mark(&f->memory);

		chains_of_a_ring_go_round(state, sizes[i], 3 * 65536 + 100);
		vqsim_driver_finish(&f->driver);
		vqsim_memory_rewind(&f->memory, &mark);
	}
}

static void an_entry_that_names_no_chain_in_flight_is_skipped(void **state)
{
	static const uint16_t bogus[] = {
		0,      /* the number of its slot, the id of the elements before the last */
		9,      /* never added */
		10,     /* behind the ids of a ring of 5 */
		0xffff, /* far from them */
	};
	struct vqsim_driver *driver = start(state, 5, 0);
	struct fixture *f = *state;
	struct vqsim_used used;

	add(driver, 1, driver);
	vqsim_driver_publish(driver);
	for (size_t i = 0; i < sizeof(bogus) / sizeof(bogus[0]); i++) {
		mark_used(f, bogus[i], 1, WRITE);
		go_on(driver, &f->device.used, &f->device.used_wrap);
		assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_BOGUS);
		assert_int_equal(driver->free_count, 4);
	}
	mark_used(f, 5, 1, WRITE);
	go_on(driver, &f->device.used, &f->device.used_wrap);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
	/* The same chain twice. */
	mark_used(f, 5, 1, WRITE);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_BOGUS);
}

static void what_has_no_meaning_in_a_used_descriptor_is_ignored(void **state)
{
	struct vqsim_driver *driver = start(state, 2, 0);
	struct fixture *f = *state;
	struct vqsim_used used;

	add(driver, 1, driver);
	vqsim_driver_publish(driver);
	/* NEXT, and a length without WRITE (2.8.4, 2.8.6). */
	mark_used(f, 2, 77, NEXT);
	assert_int_equal(vqsim_driver_reap(driver, &used), VQSIM_REAP_USED);
	assert_int_equal(used.len, 0);
	assert_int_equal(driver->used_index, 1);
}

#define in_memory(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(an_indirect_chain_is_laid_out_as_in_example_b),
		in_memory(direct_descriptors_before_a_table_are_misuse),
		in_memory(a_list_that_wraps_is_laid_out_as_in_example_c),
		in_memory(the_used_descriptor_of_example_c_is_read_back),
		in_memory(ring_parts_are_aligned_and_apart),
		in_memory(a_list_that_fills_the_ring_toggles_the_counter),
		in_memory(a_full_ring_takes_no_chain_and_stays_as_it_is),
		in_memory(a_batch_is_hidden_behind_its_first_head),
		in_memory(the_id_of_a_chain_is_no_slot_and_stands_in_its_last_element_only),
		in_memory(descriptors_go_round_for_ever_on_every_size),
		in_memory(an_entry_that_names_no_chain_in_flight_is_skipped),
		in_memory(what_has_no_meaning_in_a_used_descriptor_is_ignored),
	};

	return cmocka_run_group_tests_name("driver, packed", tests, NULL, NULL);
}
