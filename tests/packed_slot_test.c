/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose turn a slot of a packed ring is: lists and tables at any place of the ring, batches of
 * lists, slots that the driver exposes before it got them back, flags that change between two
 * looks, and notifications after a silence.
 */
#include <endian.h>
#include <errno.h>

#include "tests/support/packed_queue.h"

#define LISTS_MAX 4u

/* Expose a list of count elements; all ids but the last one are wrong. */
static void expose_list(struct packed_queue *q, uint16_t id, uint16_t count)
{
	for (uint16_t i = 1; i < count; i++)
		packed_queue_expose(q, 8, (uint16_t)~id, NEXT | WRITE);
	packed_queue_expose(q, 8, id, WRITE);
}

static uint16_t used_flags(bool wrap)
{
	return WRITE | (wrap ? AVAIL | USED : 0);
}

/* Batches */

/*
 * RING-13: QEMU 2d9a31b3c2, the used elements of a batch stand where its lists stood;
 * RING-22: DPDK 3ad55b8e94, c7de6f9be5, 8b13d12a16, batches of any size. The lists come back the
 * last one first, so that none stands where it was taken.
 */
static void check_batch(struct packed_queue *q, const uint16_t *counts, unsigned lists)
{
	struct virtqueue_chain *chains[LISTS_MAX];
	uint16_t slot = q->next;
	bool wrap = q->wrap;

	for (uint16_t i = 0; i < lists; i++)
		expose_list(q, 40 + i, counts[i]);
	for (unsigned i = 0; i < lists; i++) {
		chains[i] = virtqueue_pop(q->vq);
		assert_non_null(chains[i]);
	}
	assert_null(virtqueue_pop(q->vq));
	for (unsigned i = lists; i-- > 0;)
		virtqueue_push(q->vq, chains[i], counts[i]);
	virtqueue_publish(q->vq);
	for (unsigned i = lists; i-- > 0;) {
		packed_queue_assert_used(q, slot, 40 + i, counts[i], used_flags(wrap));
		slot += counts[i];
		wrap ^= slot >= q->setup.size;
		slot %= q->setup.size;
	}
	assert_int_equal(virtqueue_in_flight(q->vq), 0);
}

static void used_elements_of_a_batch_stand_behind_each_other(void **state)
{
	static const uint16_t counts[LISTS_MAX] = {3, 1, 2, 3};
	static const uint16_t sizes[] = {9, 10, 16};
	struct packed_queue *q = *state;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		packed_queue_start(q, sizes[s], 0);
		for (unsigned round = 0; round < 64; round++)
			check_batch(q, counts, 1 + round % LISTS_MAX);
	}
}

/*
 * RING-20: DPDK af4d7ad5d9, a driver that looks at any moment sees a batch whole or not at all:
 * what the publish writes is the flags of its first element and nothing else.
 */
static void batch_is_complete_when_it_is_shown(void **state)
{
	enum { RING = 7, LISTS = 3 };
	static const uint16_t counts[LISTS] = {2, 1, 2};
	struct vring_packed_desc before[RING];
	struct packed_queue *q = *state;

	packed_queue_start(q, RING, 0);
	for (unsigned round = 0; round < 3 * RING; round++) {
		uint16_t first = q->next, flags = used_flags(q->wrap);

		for (uint16_t i = 0; i < LISTS; i++)
			expose_list(q, 60 + i, counts[i]);
		for (unsigned i = 0; i < LISTS; i++)
			virtqueue_push(q->vq, virtqueue_pop(q->vq), 5);
		memcpy(before, q->ring, sizeof(before));
		assert_int_not_equal(le16toh(before[first].flags), flags);
		virtqueue_publish(q->vq);
		before[first].flags = htole16(flags);
		assert_memory_equal(before, q->ring, sizeof(before));
		packed_queue_assert_used(q, first, 60, 5, flags);
	}
}

/*
 * RING-23: DPDK 5c3a69879e, a list that was begun and given up, as no block was free for it,
 * moves no cursor and keeps no slot: the ring has room for exactly these lists.
 */
static void list_that_has_to_wait_is_taken_from_its_start(void **state)
{
	enum { COUNT = VIRTQUEUE_INLINE_SEGMENTS + 1, LISTS = 65 };
	struct packed_queue *q = *state;
	struct virtqueue_chain *chains[LISTS];
	unsigned taken = 0;

	packed_queue_start(q, COUNT * LISTS, EVENT);
	for (uint16_t i = 0; i < LISTS; i++)
		expose_list(q, i, COUNT);
	while (taken < LISTS && (chains[taken] = virtqueue_pop(q->vq)) != NULL)
		taken++;
	assert_int_equal(taken, LISTS - 1);
	for (unsigned i = 0; i < 3; i++)
		assert_null(virtqueue_pop(q->vq));
	assert_false(virtqueue_enable_kicks(q->vq));
	virtqueue_push(q->vq, chains[0], 1);
	chains[0] = virtqueue_pop(q->vq);
	assert_non_null(chains[0]);
	assert_int_equal(chains[0]->head, LISTS - 1);
	assert_int_equal(chains[0]->writable_count, COUNT);
	for (unsigned i = 0; i < taken; i++)
		virtqueue_push(q->vq, chains[i], 2);
	virtqueue_publish(q->vq);
	packed_queue_assert_used(q, 0, 0, 1, used_flags(true));
	packed_queue_assert_used(q, COUNT, LISTS - 1, 2, used_flags(true));
	packed_queue_assert_used(q, COUNT * (LISTS - 1), LISTS - 2, 2, used_flags(true));
	expose_list(q, 99, COUNT * LISTS);
	packed_queue_serve(q, 3);
	packed_queue_assert_used(q, 0, 99, 3, used_flags(false));
}

/* Any place of the ring */

static void put_table(struct packed_queue *q)
{
	uint64_t gpa = vqsim_memory_alloc(&q->memory, 32, 16);
	struct vring_packed_desc *table = vqsim_memory_at(&q->memory, gpa, 32);

	packed_queue_put(&table[0], q->data, 8, 0xaaaa, WRITE | NEXT);
	packed_queue_put(&table[1], q->data, 8, 0xbbbb, WRITE | NEXT);
	q->data = gpa;
}

/*
 * RING-07: DPDK d4cc4c65df, a table at a slot other than the first; RING-17: OpenVMM 9a3e3335b, at
 * the last slot, with NEXT on its last entry, and in rings of sizes that are no power of two.
 */
static void table_at_any_slot_is_used_by_the_id_beside_it(void **state)
{
	static const uint16_t sizes[] = {1, 3, 4};
	struct packed_queue *q = *state;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		packed_queue_start(q, sizes[s], TABLES);
		put_table(q);
		for (uint16_t i = 0; i < 4u * sizes[s]; i++) {
			uint16_t slot = q->next;
			bool wrap = q->wrap;

			packed_queue_expose(q, 32, 70 + i, INDIRECT);
			assert_int_equal(packed_queue_serve(q, 16), 2);
			packed_queue_assert_used(q, slot, 70 + i, 16, used_flags(wrap));
		}
	}
}

/* RING-17: OpenVMM 9a3e3335b, every list that begins in the last slot. */
/* A table of so many entries, all over the same memory; the last one has some bytes more. */
static void expose_table(struct packed_queue *q, uint32_t count, uint32_t len, uint32_t more)
{
	uint64_t gpa = vqsim_memory_alloc(&q->memory, 16 * (uint64_t)count, 16);
	struct vring_packed_desc *table = vqsim_memory_at(&q->memory, gpa, 16 * (uint64_t)count);

	for (uint32_t i = 0; i < count; i++)
		packed_queue_put(&table[i], PACKED_QUEUE_BASE, len, 0, WRITE);
	table[count - 1].len = htole32(len + more);
	q->data = gpa;
	packed_queue_expose(q, 16 * count, 7, INDIRECT);
}

static void assert_too_much(struct packed_queue *q, enum virtqueue_fault fault)
{
	assert_null(virtqueue_pop(q->vq));
	assert_int_equal(virtqueue_broken(q->vq), fault);
}

/* The cap on descriptors, and the cap of 2^32 bytes that 2.8.5 sets: what is just allowed works. */
static void limits_of_a_chain_are_exact(void **state)
{
	const uint32_t part = 4u << 20, parts = VIRTQUEUE_CHAIN_MAX;
	struct packed_queue *q = *state;
	struct virtqueue_chain *chain;

	packed_queue_start(q, 4, TABLES);
	expose_table(q, parts, 8, 0);
	assert_int_equal(packed_queue_serve(q, 0), parts);
	expose_table(q, parts, part, 0);
	chain = virtqueue_pop(q->vq);
	assert_non_null(chain);
	assert_true(chain->writable_size == UINT64_C(1) << 32);
	virtqueue_push(q->vq, chain, 0);

	expose_table(q, parts, part, 1);
	assert_too_much(q, VIRTQUEUE_FAULT_CHAIN_SIZE);
	packed_queue_start(q, 4, TABLES);
	expose_table(q, parts + 1, 8, 0);
	assert_too_much(q, VIRTQUEUE_FAULT_CHAIN_TOO_LONG);
}

static void list_from_the_last_slot_goes_on_at_the_first(void **state)
{
	struct packed_queue *q = *state;

	for (uint16_t size = 1; size <= 5; size++)
		for (uint16_t count = 1; count <= size; count++) {
			packed_queue_start(q, size, 0);
			for (uint16_t i = 1; i < size; i++) {
				expose_list(q, i, 1);
				packed_queue_serve(q, 0);
			}
			expose_list(q, 50, count);
			assert_int_equal(packed_queue_serve(q, 7), count);
			packed_queue_assert_used(q, size - 1, 50, 7, used_flags(true));
			expose_list(q, 51, 1);
			packed_queue_serve(q, 8);
			packed_queue_assert_used(q, (uint16_t)((count - 1) % size), 51, 8,
						 used_flags(false));
		}
}

/* RING-17: OpenVMM 9a3e3335b, a ring of no slots. */
static void ring_of_no_slots_does_not_start(void **state)
{
	struct packed_queue *q = *state;
	struct virtio_queue_setup setup;

	packed_queue_start(q, 4, 0);
	setup = q->setup;
	setup.size = 0;
	assert_int_equal(virtqueue_start(q->vq, &setup, PACKED), -EINVAL);
	assert_null(virtqueue_pop(q->vq));
	assert_false(virtqueue_enable_kicks(q->vq));
}

/* MEM-04: CVE-2020-10725, DPDK 97ecc1c85c, elements without a byte at an address that is none. */
static void element_without_bytes_may_point_anywhere(void **state)
{
	static const uint64_t nowhere[] = {0, UINT64_C(1) << 40, UINT64_MAX, UINT64_MAX - 15};
	struct packed_queue *q = *state;

	packed_queue_start(q, 8, 0);
	for (uint16_t i = 0; i < 4; i++) {
		uint64_t data = q->data;

		q->data = nowhere[i];
		packed_queue_expose(q, 0, 0, NEXT | WRITE);
		q->data = data;
		packed_queue_expose(q, 8, i, WRITE);
	}
	for (uint16_t i = 0; i < 4; i++)
		assert_int_equal(packed_queue_serve(q, 8), 1);
	assert_null(virtqueue_pop(q->vq));
	assert_int_equal(virtqueue_broken(q->vq), VIRTQUEUE_OK);
}

/* Slots that are not the driver's */

/* RING-05: OpenVMM 7a9ddc425, a list that goes on in slots of one that is in flight. */
static void list_must_not_reach_into_slots_in_flight(void **state)
{
	struct packed_queue *q = *state;

	for (uint16_t free_slots = 1; free_slots < 4; free_slots++) {
		struct virtqueue_chain *first;

		packed_queue_start(q, 4, 0);
		expose_list(q, 1, 4 - free_slots);
		first = virtqueue_pop(q->vq);
		assert_non_null(first);
		expose_list(q, 2, free_slots + 1);
		assert_null(virtqueue_pop(q->vq));
		assert_int_equal(virtqueue_broken(q->vq), VIRTQUEUE_FAULT_CHAIN_TOO_LONG);
		assert_int_equal(virtqueue_in_flight(q->vq), 1);
		virtqueue_push(q->vq, first, 8);
		virtqueue_publish(q->vq);
		packed_queue_assert_used(q, 0, 1, 8, used_flags(true));
	}
}

/*
 * RING-11: CVE-2026-16457, a slot that looks available and cannot be taken: it is in flight. Who
 * takes chains until there are none must not be told to look again for ever.
 */
static void slot_in_flight_is_no_reason_to_look_again(void **state)
{
	struct virtqueue_chain *chains[2];
	struct packed_queue *q = *state;

	packed_queue_start(q, 3, EVENT);
	expose_list(q, 1, 2);
	expose_list(q, 2, 1);
	for (unsigned i = 0; i < 2; i++)
		chains[i] = virtqueue_pop(q->vq);
	/* The lap after this one. */
	expose_list(q, 3, 1);
	assert_false(virtqueue_enable_kicks(q->vq));
	assert_null(virtqueue_pop(q->vq));
	assert_int_equal(virtqueue_broken(q->vq), VIRTQUEUE_OK);
	for (unsigned i = 0; i < 2; i++)
		virtqueue_push(q->vq, chains[i], 0);
	virtqueue_publish(q->vq);
}

/*
 * TOCTOU-04: DPDK 48cae0bfa6, RING-11: CVE-2026-16457, a slot is available at one look and not at
 * the next: each look decides for itself, and nothing was taken.
 */
static void flags_may_change_from_look_to_look(void **state)
{
	struct packed_queue *q = *state;
	uint16_t available;

	packed_queue_start(q, 4, EVENT);
	packed_queue_expose(q, 8, 6, WRITE);
	available = q->ring[0].flags;
	for (unsigned i = 0; i < 10; i++) {
		q->ring[0].flags = available;
		assert_true(virtqueue_enable_kicks(q->vq));
		q->ring[0].flags = i % 2 ? htole16(WRITE) : htole16(WRITE | AVAIL | USED);
		assert_null(virtqueue_pop(q->vq));
		assert_false(virtqueue_enable_kicks(q->vq));
		assert_int_equal(virtqueue_in_flight(q->vq), 0);
	}
	q->ring[0].flags = available;
	packed_queue_serve(q, 8);
	packed_queue_assert_used(q, 0, 6, 8, used_flags(true));
}

/* Notifications */

/* One chain; whether the driver is to be told. */
static bool serve_one(struct packed_queue *q)
{
	expose_list(q, 1, 1);
	virtqueue_push(q->vq, virtqueue_pop(q->vq), 0);
	return virtqueue_publish(q->vq);
}

/*
 * NOTIF-05: QEMU 750539c4c4, a driver that polls for longer than a lap and then waits for the slot
 * that comes next is woken by it.
 */
static void driver_is_told_after_any_silence(void **state)
{
	static const uint16_t sizes[] = {1, 3, 4};
	struct packed_queue *q = *state;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (unsigned silence = 0; silence <= 3u * sizes[s]; silence++) {
			packed_queue_start(q, sizes[s], EVENT);
			q->driver->flags = htole16(VRING_PACKED_EVENT_FLAG_DISABLE);
			for (unsigned i = 0; i < silence; i++)
				assert_false(serve_one(q));
			q->driver->off_wrap = htole16(q->next | q->wrap << 15);
			q->driver->flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
			assert_true(serve_one(q));
			if (sizes[s] > 1)
				assert_false(serve_one(q));
		}
}

/* NOTIF-10: DPDK cd9012c3f8, b53a497294, what an earlier backend left in the device's area. */
static void device_wants_kicks_from_the_start(void **state)
{
	struct packed_queue *q = *state;

	for (unsigned i = 0; i < 2; i++) {
		packed_queue_start(q, 4, i ? EVENT : 0);
		virtqueue_stop(q->vq, &q->setup.resume);
		q->device->flags = htole16(VRING_PACKED_EVENT_FLAG_DISABLE);
		q->device->off_wrap = htole16(0x8003);
		assert_int_equal(virtqueue_start(q->vq, &q->setup, PACKED | (i ? EVENT : 0)), 0);
		assert_int_equal(q->device->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
		assert_int_equal(q->device->off_wrap, 0);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, packed_queue_set_up, packed_queue_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(used_elements_of_a_batch_stand_behind_each_other),
		TEST(batch_is_complete_when_it_is_shown),
		TEST(list_that_has_to_wait_is_taken_from_its_start),
		TEST(table_at_any_slot_is_used_by_the_id_beside_it),
		TEST(limits_of_a_chain_are_exact),
		TEST(list_from_the_last_slot_goes_on_at_the_first),
		TEST(ring_of_no_slots_does_not_start),
		TEST(element_without_bytes_may_point_anywhere),
		TEST(list_must_not_reach_into_slots_in_flight),
		TEST(slot_in_flight_is_no_reason_to_look_again),
		TEST(flags_may_change_from_look_to_look),
		TEST(driver_is_told_after_any_silence),
		TEST(device_wants_kicks_from_the_start),
	};

	return cmocka_run_group_tests_name("packed slots", tests, NULL, NULL);
}
