/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of a packed ring, byte by byte: lists, laps, tables, events. Whose turn a slot
 * is, is in packed_slot_test.c.
 */
#include <endian.h>
#include <errno.h>

#include "tests/support/packed_queue.h"

/*
 * RING-08: QEMU 33abfea239, the id of the last element counts. A list of three in a ring of five
 * whose last element lies in the next lap (2.8.6).
 */
static void list_that_wraps_is_used_at_its_first_slot_and_the_rest_stays(void **state)
{
	static const uint8_t used[] = {0x01, 0x02, 0, 0, 7, 0, 0x82, 0x80};
	struct packed_queue *q = *state;

	packed_queue_start(q, 5, 0);
	for (uint16_t i = 0; i < 3; i++) {
		packed_queue_expose(q, 1, i, WRITE);
		packed_queue_serve(q, 1);
		packed_queue_assert_used(q, i, i, 1, WRITE | AVAIL | USED);
	}
	packed_queue_expose(q, 16, 0xdead, NEXT);
	packed_queue_expose(q, 512, 0xbeef, NEXT | WRITE);
	packed_queue_expose(q, 1, 7, WRITE);
	assert_int_equal(packed_queue_serve(q, 513), 3);
	assert_memory_equal((uint8_t *)&q->ring[3] + 8, used, sizeof(used));
	assert_int_equal(le16toh(q->ring[4].flags), 0x0083);
	assert_int_equal(le16toh(q->ring[0].flags), 0x8002);
	/* Neither stale slot is taken for a new one. */
	assert_null(virtqueue_pop(q->vq));
	packed_queue_expose(q, 1, 9, WRITE);
	packed_queue_serve(q, 1);
	packed_queue_assert_used(q, 1, 9, 1, WRITE);
}

/* RING-10: SPDK PR 3879, ids are any 16 bits, the size of the queue and 0xffff among them. */
static void every_size_goes_round_many_laps(void **state)
{
	static const uint16_t sizes[] = {1, 2, 3, 5, 7, 127, 256};
	struct packed_queue *q = *state;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		packed_queue_start(q, sizes[s], 0);
		for (uint32_t i = 0; i < 4u * sizes[s] + 10; i++) {
			uint16_t slot = q->next;
			bool wrap = q->wrap;

			packed_queue_expose(q, 8, (uint16_t)(i * 7919), 0);
			packed_queue_serve(q, 0);
			packed_queue_assert_used(q, slot, (uint16_t)(i * 7919), 0,
						 wrap ? AVAIL | USED : 0);
		}
		assert_null(virtqueue_pop(q->vq));
	}
}

/* RING-16: OpenVMM 547661407: the offset comes back to the same value, the counter does not. */
static void list_that_fills_the_ring_toggles_the_counter(void **state)
{
	struct packed_queue *q = *state;

	packed_queue_start(q, 3, 0);
	for (unsigned lap = 0; lap < 5; lap++) {
		packed_queue_expose(q, 4, 1, NEXT);
		packed_queue_expose(q, 4, 2, NEXT);
		packed_queue_expose(q, 4, 0xffff, 0);
		assert_int_equal(packed_queue_serve(q, 0), 3);
		packed_queue_assert_used(q, 0, 0xffff, 0, lap % 2 ? 0 : AVAIL | USED);
		assert_null(virtqueue_pop(q->vq));
	}
}

static void batch_is_seen_from_its_first_element_on(void **state)
{
	struct virtqueue_chain *chains[3];
	struct packed_queue *q = *state;

	packed_queue_start(q, 4, 0);
	for (uint16_t i = 0; i < 3; i++)
		packed_queue_expose(q, 8, 10 + i, WRITE);
	for (unsigned i = 0; i < 3; i++)
		chains[i] = virtqueue_pop(q->vq);
	virtqueue_push(q->vq, chains[2], 3);
	virtqueue_push(q->vq, chains[0], 1);
	virtqueue_push(q->vq, chains[1], 2);
	/* Not published: to a driver that goes in order nothing is used. */
	assert_int_equal(le16toh(q->ring[0].flags) & USED, 0);
	assert_true(virtqueue_publish(q->vq));
	packed_queue_assert_used(q, 0, 12, 3, WRITE | AVAIL | USED);
	packed_queue_assert_used(q, 1, 10, 1, WRITE | AVAIL | USED);
	packed_queue_assert_used(q, 2, 11, 2, WRITE | AVAIL | USED);
	assert_false(virtqueue_publish(q->vq));
}

/* 2.8.7: an array; everything but WRITE is noise in it. */
static void table_is_an_array_in_which_only_write_counts(void **state)
{
	struct packed_queue *q = *state;
	uint64_t gpa;
	struct vring_packed_desc *table;
	struct virtqueue_chain *chain;

	packed_queue_start(q, 4, TABLES);
	gpa = vqsim_memory_alloc(&q->memory, 48, 16);
	table = vqsim_memory_at(&q->memory, gpa, 48);
	packed_queue_put(&table[0], q->data, 16, 0xaaaa, NEXT | INDIRECT | AVAIL);
	packed_queue_put(&table[1], q->data, 512, 0xbbbb, WRITE | USED);
	packed_queue_put(&table[2], q->data, 1, 0xcccc, WRITE | NEXT);
	q->data = gpa;
	packed_queue_expose(q, 48, 3, INDIRECT | WRITE);
	chain = virtqueue_pop(q->vq);
	assert_non_null(chain);
	assert_int_equal(chain->readable_size, 16);
	assert_int_equal(chain->writable_size, 513);
	virtqueue_push(q->vq, chain, 513);
	virtqueue_publish(q->vq);
	packed_queue_assert_used(q, 0, 3, 513, WRITE | AVAIL | USED);
}

struct bad {
	const char *name;
	enum virtqueue_fault fault;
	uint64_t features;
	uint32_t len;
	uint16_t flags[4]; /* of up to four elements; 0xffff ends */
};

/* Tables: CHAIN-11: QEMU ca94a10f025b. */
static const struct bad bad_lists[] = {
	{"loop", VIRTQUEUE_FAULT_CHAIN_TOO_LONG, 0, 4, {NEXT, NEXT, NEXT, NEXT}},
	{"order", VIRTQUEUE_FAULT_ORDER, 0, 4, {NEXT | WRITE, 0, 0xffff}},
	{"table not negotiated", VIRTQUEUE_FAULT_INDIRECT, 0, 16, {INDIRECT, 0xffff}},
	{"table with NEXT", VIRTQUEUE_FAULT_INDIRECT, TABLES, 16, {INDIRECT | NEXT, 0, 0xffff}},
	{"table after NEXT", VIRTQUEUE_FAULT_INDIRECT, TABLES, 16, {NEXT, INDIRECT, 0xffff}},
	{"table of no bytes", VIRTQUEUE_FAULT_TABLE_SIZE, TABLES, 0, {INDIRECT, 0xffff}},
	{"table of 8 bytes", VIRTQUEUE_FAULT_TABLE_SIZE, TABLES, 8, {INDIRECT, 0xffff}},
	{"table too long", VIRTQUEUE_FAULT_CHAIN_TOO_LONG, TABLES, 16 * 1025, {INDIRECT, 0xffff}},
	{"past the memory", VIRTQUEUE_FAULT_UNMAPPED, 0, 1 << 24, {0, 0xffff}},
};

static void list_that_breaks_the_rules_breaks_the_queue(void **state)
{
	struct packed_queue *q = *state;

	for (size_t i = 0; i < sizeof(bad_lists) / sizeof(bad_lists[0]); i++) {
		const struct bad *bad = &bad_lists[i];

		packed_queue_start(q, 4, bad->features);
		for (unsigned e = 0; e < 4 && bad->flags[e] != 0xffff; e++)
			packed_queue_expose(q, bad->len, 1, bad->flags[e]);
		if (virtqueue_pop(q->vq) || virtqueue_broken(q->vq) != bad->fault)
			fail_msg("%s: %s", bad->name,
				 virtqueue_fault_name(virtqueue_broken(q->vq)));
		assert_null(virtqueue_pop(q->vq));
	}
}

/* RING-05: OpenVMM 7a9ddc425, on a ring that is full. */
static void slots_in_flight_are_not_taken_again(void **state)
{
	struct packed_queue *q = *state;
	struct virtqueue_chain *first, *second;

	packed_queue_start(q, 2, 0);
	packed_queue_expose(q, 4, 1, 0);
	packed_queue_expose(q, 4, 2, 0);
	first = virtqueue_pop(q->vq);
	second = virtqueue_pop(q->vq);
	/* The driver exposes both again before they are used. */
	packed_queue_expose(q, 4, 1, 0);
	packed_queue_expose(q, 4, 2, 0);
	assert_null(virtqueue_pop(q->vq));
	assert_int_equal(virtqueue_in_flight(q->vq), 2);
	virtqueue_push(q->vq, first, 0);
	virtqueue_push(q->vq, second, 0);
	virtqueue_publish(q->vq);
}

static void buffer_id_in_flight_breaks_the_queue(void **state)
{
	struct packed_queue *q = *state;
	struct virtqueue_chain *first;

	packed_queue_start(q, 4, 0);
	packed_queue_expose(q, 4, 5, 0);
	packed_queue_expose(q, 4, 5, 0);
	first = virtqueue_pop(q->vq);
	assert_null(virtqueue_pop(q->vq));
	assert_int_equal(virtqueue_broken(q->vq), VIRTQUEUE_FAULT_HEAD_IN_FLIGHT);
	virtqueue_push(q->vq, first, 0);
}

/* 2.8.10, each wish at each position of a ring of five, over the end too. */
static void notification_comes_exactly_when_the_event_is_passed(void **state)
{
	struct packed_queue *q = *state;

	packed_queue_start(q, 5, EVENT);
	for (unsigned i = 0; i < 200; i++) {
		uint16_t slot = q->next, event = i % 5;
		bool wrap = q->wrap, event_wrap = i % 3 != 0;
		uint16_t count = 1 + i % 2; /* slots of the list */
		bool due = false;

		for (uint16_t k = 0; k < count; k++)
			due |= (slot + k) % 5 == event && (wrap ^ (slot + k >= 5)) == event_wrap;
		q->driver->off_wrap = htole16(event | event_wrap << 15);
		q->driver->flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
		if (count == 2)
			packed_queue_expose(q, 4, 1, NEXT);
		packed_queue_expose(q, 4, 1, 0);
		virtqueue_push(q->vq, virtqueue_pop(q->vq), 0);
		if (virtqueue_publish(q->vq) != due)
			fail_msg("slot %u wrap %d count %u event %u/%d", slot, wrap, count, event,
				 event_wrap);
	}
}

/* NOTIF-11: kvmtool 717a3ab, what is asked for without EVENT_IDX. */
static void plain_wishes_are_obeyed(void **state)
{
	struct packed_queue *q = *state;

	packed_queue_start(q, 5, 0);
	packed_queue_expose(q, 4, 1, 0);
	virtqueue_push(q->vq, virtqueue_pop(q->vq), 0);
	assert_true(virtqueue_publish(q->vq));
	q->driver->flags = htole16(VRING_PACKED_EVENT_FLAG_DISABLE);
	packed_queue_expose(q, 4, 1, 0);
	virtqueue_push(q->vq, virtqueue_pop(q->vq), 0);
	assert_false(virtqueue_publish(q->vq));
	/* DESC was not negotiated: rather one too many than one too few. */
	q->driver->flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
	q->driver->off_wrap = 0;
	packed_queue_expose(q, 4, 1, 0);
	virtqueue_push(q->vq, virtqueue_pop(q->vq), 0);
	assert_true(virtqueue_publish(q->vq));
}

static void event_area_asks_for_the_next_slot_with_event_idx_alone(void **state)
{
	struct packed_queue *q = *state;

	packed_queue_start(q, 2, 0);
	assert_false(virtqueue_enable_kicks(q->vq));
	assert_int_equal(q->device->flags, 0);
	assert_int_equal(q->device->off_wrap, 0);
	packed_queue_start(q, 2, EVENT);
	packed_queue_expose(q, 4, 1, 0);
	assert_true(virtqueue_enable_kicks(q->vq));
	assert_int_equal(le16toh(q->device->flags), VRING_PACKED_EVENT_FLAG_DESC);
	packed_queue_serve(q, 0);
	packed_queue_expose(q, 4, 1, 0);
	packed_queue_serve(q, 0);
	assert_false(virtqueue_enable_kicks(q->vq));
	assert_int_equal(le16toh(q->device->off_wrap), 0);
}

static void queue_resumes_in_the_middle_of_a_lap(void **state)
{
	struct packed_queue *q = *state;
	struct virtio_queue_state at;

	packed_queue_start(q, 3, 0);
	for (unsigned i = 0; i < 20; i++) {
		uint16_t slot = q->next;
		bool wrap = q->wrap;

		packed_queue_expose(q, 4, i, 0);
		packed_queue_serve(q, 0);
		packed_queue_assert_used(q, slot, i, 0, wrap ? AVAIL | USED : 0);
		virtqueue_stop(q->vq, &at);
		assert_int_equal(at.avail_index, q->next);
		assert_int_equal(at.avail_wrap, q->wrap);
		q->setup.resume = at;
		assert_int_equal(virtqueue_start(q->vq, &q->setup, PACKED), 0);
	}
}

static void impossible_start_is_refused(void **state)
{
	struct packed_queue *q = *state;
	struct virtio_queue_setup bad;

	packed_queue_start(q, 4, 0);
	bad = q->setup;
	bad.driver_gpa += 2;
	assert_int_equal(virtqueue_start(q->vq, &bad, PACKED), -EINVAL);
	bad = q->setup;
	bad.resume.avail_index = 4;
	assert_int_equal(virtqueue_start(q->vq, &bad, PACKED), -EINVAL);
	bad = q->setup;
	bad.resume.avail_index = 1;
	bad.resume.used_wrap = false;
	assert_int_equal(virtqueue_start(q->vq, &bad, PACKED), -EINVAL);
	bad = q->setup;
	bad.device_gpa = PACKED_QUEUE_BASE - 4;
	assert_int_equal(virtqueue_start(q->vq, &bad, PACKED), -EFAULT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, packed_queue_set_up, packed_queue_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list_that_wraps_is_used_at_its_first_slot_and_the_rest_stays),
		TEST(every_size_goes_round_many_laps),
		TEST(list_that_fills_the_ring_toggles_the_counter),
		TEST(batch_is_seen_from_its_first_element_on),
		TEST(table_is_an_array_in_which_only_write_counts),
		TEST(list_that_breaks_the_rules_breaks_the_queue),
		TEST(slots_in_flight_are_not_taken_again),
		TEST(buffer_id_in_flight_breaks_the_queue),
		TEST(notification_comes_exactly_when_the_event_is_passed),
		TEST(plain_wishes_are_obeyed),
		TEST(event_area_asks_for_the_next_slot_with_event_idx_alone),
		TEST(queue_resumes_in_the_middle_of_a_lap),
		TEST(impossible_start_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
