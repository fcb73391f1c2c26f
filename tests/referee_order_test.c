/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IN_ORDER on a split ring: chain number n is descriptor n % SIZE, 8 writable
 * bytes. The device is what each test writes into the used ring.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vqsim/driver.h"
#include "vqsim/referee/referee.h"

#define SIZE    8u
#define RULE(r) (UINT64_C(1) << VQSIM_RULE_##r)

struct ring {
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint64_t notifications;
};

static void forget(void *opaque, const struct vqsim_violation *violation)
{
	(void)opaque;
	(void)violation;
}

static int set_up(void **state)
{
	static const struct vqsim_region region = {0x100000, 0x10000};
	static struct ring r;
	struct virtio_queue_setup setup = {.size = SIZE, .resume = VIRTIO_QUEUE_STATE_FRESH};
	uint64_t data;

	memset(&r, 0, sizeof(r));
	*state = &r;
	if (vqsim_memory_init(&r.memory, &region, 1) || vqsim_referee_init(&r.referee, &r.memory))
		return -1;
	r.referee.sink = forget;
	setup.desc_gpa = vqsim_memory_alloc(&r.memory, 16 * SIZE, 16);
	setup.driver_gpa = vqsim_memory_alloc(&r.memory, 6 + 2 * SIZE, 2);
	setup.device_gpa = vqsim_memory_alloc(&r.memory, 6 + 8 * SIZE, 4);
	data = vqsim_memory_alloc(&r.memory, 8 * SIZE, 8);
	r.desc = vqsim_memory_at(&r.memory, setup.desc_gpa, 16 * SIZE);
	r.avail = vqsim_memory_at(&r.memory, setup.driver_gpa, 6 + 2 * SIZE);
	r.used = vqsim_memory_at(&r.memory, setup.device_gpa, 6 + 8 * SIZE);
	for (unsigned i = 0; i < SIZE; i++)
		r.desc[i] = (struct vring_desc){htole64(data + 8 * i), htole32(8),
						htole16(VRING_DESC_F_WRITE), 0};
	return vqsim_referee_set_up(
		&r.referee, VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER),
		&setup, 1);
}

static int tear_down(void **state)
{
	struct ring *r = *state;

	vqsim_referee_finish(&r->referee);
	vqsim_memory_finish(&r->memory);
	return 0;
}

/* The next count chains; each is to be written with len bytes. */
static void expose(struct ring *r, unsigned count, uint32_t len)
{
	uint16_t index = le16toh(r->avail->idx);

	for (unsigned i = 0; i < count; i++, index++) {
		r->avail->ring[index % SIZE] = htole16(index % SIZE);
		vqsim_referee_expect_len(&r->referee, 0, index % SIZE, len);
	}
	r->avail->idx = htole16(index);
	vqsim_referee_published(&r->referee, 0);
	vqsim_referee_before_run(&r->referee, 0);
}

static void put(struct ring *r, uint16_t index, uint32_t id, uint32_t len)
{
	r->used->ring[index % SIZE] = (struct vring_used_elem){htole32(id), htole32(len)};
}

/* The device is done, idle, with this used index; the driver takes what there is. */
static void ran(struct ring *r, uint16_t index)
{
	uint16_t before = le16toh(r->used->idx);

	r->used->idx = htole16(index);
	vqsim_referee_ran(&r->referee, 0, VIRTIO_IDLE, ++r->notifications,
			  VIRTIO_CONFIG_S_DRIVER_OK, 0);
	for (; before != index; before++)
		vqsim_referee_reaped(&r->referee, 0);
}

static void assert_broken(const struct ring *r, uint64_t rules)
{
	uint64_t broken = 0;

	for (unsigned i = 0; i < VQSIM_RULE_COUNT; i++)
		if (r->referee.counts[i])
			broken |= UINT64_C(1) << i;
	if (broken != rules)
		print_error("first: %s; %s\n", r->referee.first.clause, r->referee.first.detail);
	assert_int_equal(broken, rules);
}

/* One entry for each chain, and one for a batch of 1 to 8, over more than 3 laps of the index. */
static void right_entries(void **state)
{
	struct ring *r = *state;
	uint32_t done = 0;

	for (unsigned batch = 0; done < 3 * 0x10000 + 100; batch = (batch + 1) % SIZE) {
		unsigned count = batch + 1;

		expose(r, count, 8);
		for (unsigned i = 0; batch % 2 && i < count; i++)
			put(r, (uint16_t)(done + i), (done + i) % SIZE, 8);
		if (batch % 2 == 0)
			put(r, (uint16_t)done, (done + count - 1) % SIZE, 8);
		done += count;
		ran(r, (uint16_t)done);
	}
	assert_broken(r, 0);
}

static void last_chain_may_be_short(void **state)
{
	struct ring *r = *state;

	expose(r, 1, 8);
	expose(r, 1, 3);
	put(r, 0, 1, 3);
	ran(r, 2);
	assert_broken(r, 0);
}

static void skipped_chain_was_short(void **state)
{
	struct ring *r = *state;

	expose(r, 1, 3);
	expose(r, 1, 8);
	put(r, 0, 1, 8);
	ran(r, 2);
	assert_broken(r, RULE(BATCH));
	assert_string_equal(r->referee.first.clause, "SPLIT-DX-09");
}

static void second_chain_is_used_alone(void **state)
{
	struct ring *r = *state;

	expose(r, 2, 8);
	put(r, 0, 1, 8);
	ran(r, 1);
	assert_broken(r, RULE(IN_ORDER));
}

static void chains_are_used_in_reverse(void **state)
{
	struct ring *r = *state;

	expose(r, 3, 8);
	put(r, 0, 2, 8);
	put(r, 1, 1, 8);
	put(r, 2, 0, 8);
	ran(r, 3);
	assert_broken(r, RULE(IN_ORDER));
}

static void entry_of_the_batch_stands_in_the_last_slot(void **state)
{
	struct ring *r = *state;

	expose(r, 3, 8);
	put(r, 2, 2, 8);
	ran(r, 3);
	/* In the first slot stands a 0 of old, which is right for the first chain by chance. */
	assert_true(r->referee.violations > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(right_entries),
		TEST(last_chain_may_be_short),
		TEST(skipped_chain_was_short),
		TEST(second_chain_is_used_alone),
		TEST(chains_are_used_in_reverse),
		TEST(entry_of_the_batch_stands_in_the_last_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
