/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of a packed ring, byte by byte, under a driver that is written
 * out here: exposes what a test says and reads what the device wrote.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtqueue.h"
#include "vqsim/memory.h"

#define BASE   UINT64_C(0x100000)
#define PACKED VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENT  VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define TABLES VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

enum {
	NEXT = VRING_DESC_F_NEXT,
	WRITE = VRING_DESC_F_WRITE,
	INDIRECT = VRING_DESC_F_INDIRECT,
	AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL,
	USED = 1 << VRING_PACKED_DESC_F_USED,
};

struct bench {
	struct vqsim_memory memory;
	struct virtio_device dev;
	struct virtqueue *vq;
	struct virtio_queue_setup setup;
	struct vring_packed_desc *ring;
	struct vring_packed_desc_event *driver, *device;
	uint64_t data;
	uint16_t next; /* where the driver exposes */
	bool wrap;
};

static int set_up(void **state)
{
	static const struct vqsim_region region = {BASE, 1 << 20};
	static struct bench b;

	memset(&b, 0, sizeof(b));
	*state = &b;
	if (vqsim_memory_init(&b.memory, &region, 1))
		return -1;
	virtio_device_attach(&b.dev, NULL, NULL, &b.memory.guest);
	b.vq = virtqueue_create(&b.dev);
	return b.vq ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	assert_null(vqsim_memory_check(&b->memory, NULL));
	virtqueue_destroy(b->vq);
	vqsim_memory_finish(&b->memory);
	return 0;
}

static void start(struct bench *b, uint16_t size, uint64_t features)
{
	struct virtio_queue_setup *s = &b->setup;

	s->size = size;
	s->desc_gpa = vqsim_memory_alloc(&b->memory, 16 * (uint64_t)size, 16);
	s->driver_gpa = vqsim_memory_alloc(&b->memory, 4, 4);
	s->device_gpa = vqsim_memory_alloc(&b->memory, 4, 4);
	s->resume = (struct virtio_queue_state)VIRTIO_QUEUE_STATE_FRESH;
	b->ring = vqsim_memory_at(&b->memory, s->desc_gpa, 16 * (uint64_t)size);
	b->driver = vqsim_memory_at(&b->memory, s->driver_gpa, 4);
	b->device = vqsim_memory_at(&b->memory, s->device_gpa, 4);
	b->data = vqsim_memory_alloc(&b->memory, 4096, 16);
	b->next = 0;
	b->wrap = true;
	assert_int_equal(virtqueue_start(b->vq, s, PACKED | features), 0);
}

static void put(struct vring_packed_desc *desc, uint64_t addr, uint32_t len, uint16_t id,
		uint16_t flags)
{
	desc->addr = htole64(addr);
	desc->len = htole32(len);
	desc->id = htole16(id);
	desc->flags = htole16(flags);
}

/* Expose one element; flags are completed with the bits of this lap. */
static void expose(struct bench *b, uint32_t len, uint16_t id, uint16_t flags)
{
	put(&b->ring[b->next], b->data, len, id, flags | (b->wrap ? AVAIL : USED));
	if (++b->next == b->setup.size) {
		b->next = 0;
		b->wrap = !b->wrap;
	}
}

/* Take, push and publish one chain; returns the segments it had. */
static uint32_t serve(struct bench *b, uint32_t written)
{
	struct virtqueue_chain *chain = virtqueue_pop(b->vq);
	uint32_t count;

	assert_non_null(chain);
	count = chain->readable_count + chain->writable_count;
	virtqueue_push(b->vq, chain, written);
	virtqueue_publish(b->vq);
	return count;
}

static void assert_used(struct bench *b, uint16_t slot, uint16_t id, uint32_t len, uint16_t flags)
{
	assert_int_equal(le16toh(b->ring[slot].flags), flags);
	assert_int_equal(le16toh(b->ring[slot].id), id);
	assert_int_equal(le32toh(b->ring[slot].len), len);
}

/* A list of three in a ring of five whose last element lies in the next lap (2.8.6). */
static void list_that_wraps_is_used_at_its_first_slot_and_the_rest_stays(void **state)
{
	static const uint8_t used[] = {0x01, 0x02, 0, 0, 7, 0, 0x82, 0x80};
	struct bench *b = *state;

	start(b, 5, 0);
	for (uint16_t i = 0; i < 3; i++) {
		expose(b, 1, i, WRITE);
		serve(b, 1);
		assert_used(b, i, i, 1, WRITE | AVAIL | USED);
	}
	expose(b, 16, 0xdead, NEXT);
	expose(b, 512, 0xbeef, NEXT | WRITE);
	expose(b, 1, 7, WRITE);
	assert_int_equal(serve(b, 513), 3);
	assert_memory_equal((uint8_t *)&b->ring[3] + 8, used, sizeof(used));
	assert_int_equal(le16toh(b->ring[4].flags), 0x0083);
	assert_int_equal(le16toh(b->ring[0].flags), 0x8002);
	/* Neither stale slot is taken for a new one. */
	assert_null(virtqueue_pop(b->vq));
	expose(b, 1, 9, WRITE);
	serve(b, 1);
	assert_used(b, 1, 9, 1, WRITE);
}

static void every_size_goes_round_many_laps(void **state)
{
	static const uint16_t sizes[] = {1, 2, 3, 5, 7, 127, 256};
	struct bench *b = *state;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		start(b, sizes[s], 0);
		for (uint32_t i = 0; i < 4u * sizes[s] + 10; i++) {
			uint16_t slot = b->next;
			bool wrap = b->wrap;

			expose(b, 8, (uint16_t)(i * 7919), 0);
			serve(b, 0);
			assert_used(b, slot, (uint16_t)(i * 7919), 0, wrap ? AVAIL | USED : 0);
		}
		assert_null(virtqueue_pop(b->vq));
	}
}

/* The offset comes back to the same value, the wrap counter does not. */
static void list_that_fills_the_ring_toggles_the_counter(void **state)
{
	struct bench *b = *state;

	start(b, 3, 0);
	for (unsigned lap = 0; lap < 5; lap++) {
		expose(b, 4, 1, NEXT);
		expose(b, 4, 2, NEXT);
		expose(b, 4, 0xffff, 0);
		assert_int_equal(serve(b, 0), 3);
		assert_used(b, 0, 0xffff, 0, lap % 2 ? 0 : AVAIL | USED);
		assert_null(virtqueue_pop(b->vq));
	}
}

static void batch_is_seen_from_its_first_element_on(void **state)
{
	struct virtqueue_chain *chains[3];
	struct bench *b = *state;

	start(b, 4, 0);
	for (uint16_t i = 0; i < 3; i++)
		expose(b, 8, 10 + i, WRITE);
	for (unsigned i = 0; i < 3; i++)
		chains[i] = virtqueue_pop(b->vq);
	virtqueue_push(b->vq, chains[2], 3);
	virtqueue_push(b->vq, chains[0], 1);
	virtqueue_push(b->vq, chains[1], 2);
	/* Not published: to a driver that goes in order nothing is used. */
	assert_int_equal(le16toh(b->ring[0].flags) & USED, 0);
	assert_true(virtqueue_publish(b->vq));
	assert_used(b, 0, 12, 3, WRITE | AVAIL | USED);
	assert_used(b, 1, 10, 1, WRITE | AVAIL | USED);
	assert_used(b, 2, 11, 2, WRITE | AVAIL | USED);
	assert_false(virtqueue_publish(b->vq));
}

/* 2.8.7: an array; everything but WRITE is noise in it. */
static void table_is_an_array_in_which_only_write_counts(void **state)
{
	struct bench *b = *state;
	uint64_t gpa;
	struct vring_packed_desc *table;
	struct virtqueue_chain *chain;

	start(b, 4, TABLES);
	gpa = vqsim_memory_alloc(&b->memory, 48, 16);
	table = vqsim_memory_at(&b->memory, gpa, 48);
	put(&table[0], b->data, 16, 0xaaaa, NEXT | INDIRECT | AVAIL);
	put(&table[1], b->data, 512, 0xbbbb, WRITE | USED);
	put(&table[2], b->data, 1, 0xcccc, WRITE | NEXT);
	b->data = gpa;
	expose(b, 48, 3, INDIRECT | WRITE);
	chain = virtqueue_pop(b->vq);
	assert_non_null(chain);
	assert_int_equal(chain->readable_size, 16);
	assert_int_equal(chain->writable_size, 513);
	virtqueue_push(b->vq, chain, 513);
	virtqueue_publish(b->vq);
	assert_used(b, 0, 3, 513, WRITE | AVAIL | USED);
}

struct bad {
	const char *name;
	enum virtqueue_fault fault;
	uint64_t features;
	uint32_t len;
	uint16_t flags[4]; /* of up to four elements; 0xffff ends */
};

static const struct bad bad_lists[] = {
	{"loop", VIRTQUEUE_FAULT_CHAIN_TOO_LONG, 0, 4, {NEXT, NEXT, NEXT, NEXT}},
	{"order", VIRTQUEUE_FAULT_ORDER, 0, 4, {NEXT | WRITE, 0, 0xffff}},
	{"table not negotiated", VIRTQUEUE_FAULT_INDIRECT, 0, 16, {INDIRECT, 0xffff}},
	{"table with NEXT", VIRTQUEUE_FAULT_INDIRECT, TABLES, 16, {INDIRECT | NEXT, 0, 0xffff}},
	{"table after NEXT", VIRTQUEUE_FAULT_INDIRECT, TABLES, 16, {NEXT, INDIRECT, 0xffff}},
	{"table of no bytes", VIRTQUEUE_FAULT_TABLE_SIZE, TABLES, 0, {INDIRECT, 0xffff}},
	{"table of 8 bytes", VIRTQUEUE_FAULT_TABLE_SIZE, TABLES, 8, {INDIRECT, 0xffff}},
	{"table too long", VIRTQUEUE_FAULT_CHAIN_TOO_LONG, TABLES, 16 * 1025, {INDIRECT, 0xffff}},
	{"past the memory", VIRTQUEUE_FAULT_UNMAPPED, 0, 1 << 21, {0, 0xffff}},
};

static void list_that_breaks_the_rules_breaks_the_queue(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(bad_lists) / sizeof(bad_lists[0]); i++) {
		const struct bad *bad = &bad_lists[i];

		start(b, 4, bad->features);
		for (unsigned e = 0; e < 4 && bad->flags[e] != 0xffff; e++)
			expose(b, bad->len, 1, bad->flags[e]);
		if (virtqueue_pop(b->vq) || virtqueue_broken(b->vq) != bad->fault)
			fail_msg("%s: %s", bad->name,
				 virtqueue_fault_name(virtqueue_broken(b->vq)));
		assert_null(virtqueue_pop(b->vq));
	}
}

static void slots_in_flight_are_not_taken_again(void **state)
{
	struct bench *b = *state;
	struct virtqueue_chain *first, *second;

	start(b, 2, 0);
	expose(b, 4, 1, 0);
	expose(b, 4, 2, 0);
	first = virtqueue_pop(b->vq);
	second = virtqueue_pop(b->vq);
	/* The driver exposes both again before they are used. */
	expose(b, 4, 1, 0);
	expose(b, 4, 2, 0);
	assert_null(virtqueue_pop(b->vq));
	assert_int_equal(virtqueue_in_flight(b->vq), 2);
	virtqueue_push(b->vq, first, 0);
	virtqueue_push(b->vq, second, 0);
	virtqueue_publish(b->vq);
}

static void buffer_id_in_flight_breaks_the_queue(void **state)
{
	struct bench *b = *state;
	struct virtqueue_chain *first;

	start(b, 4, 0);
	expose(b, 4, 5, 0);
	expose(b, 4, 5, 0);
	first = virtqueue_pop(b->vq);
	assert_null(virtqueue_pop(b->vq));
	assert_int_equal(virtqueue_broken(b->vq), VIRTQUEUE_FAULT_HEAD_IN_FLIGHT);
	virtqueue_push(b->vq, first, 0);
}

/* 2.8.10, each wish at each position of a ring of five, over the end too. */
static void notification_comes_exactly_when_the_event_is_passed(void **state)
{
	struct bench *b = *state;

	start(b, 5, EVENT);
	for (unsigned i = 0; i < 200; i++) {
		uint16_t slot = b->next, event = i % 5;
		bool wrap = b->wrap, event_wrap = i % 3 != 0;
		uint16_t count = 1 + i % 2; /* slots of the list */
		bool due = false;

		for (uint16_t k = 0; k < count; k++)
			due |= (slot + k) % 5 == event && (wrap ^ (slot + k >= 5)) == event_wrap;
		b->driver->off_wrap = htole16(event | event_wrap << 15);
		b->driver->flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
		if (count == 2)
			expose(b, 4, 1, NEXT);
		expose(b, 4, 1, 0);
		virtqueue_push(b->vq, virtqueue_pop(b->vq), 0);
		if (virtqueue_publish(b->vq) != due)
			fail_msg("slot %u wrap %d count %u event %u/%d", slot, wrap, count, event,
				 event_wrap);
	}
}

static void plain_wishes_are_obeyed(void **state)
{
	struct bench *b = *state;

	start(b, 5, 0);
	expose(b, 4, 1, 0);
	virtqueue_push(b->vq, virtqueue_pop(b->vq), 0);
	assert_true(virtqueue_publish(b->vq));
	b->driver->flags = htole16(VRING_PACKED_EVENT_FLAG_DISABLE);
	expose(b, 4, 1, 0);
	virtqueue_push(b->vq, virtqueue_pop(b->vq), 0);
	assert_false(virtqueue_publish(b->vq));
	/* DESC was not negotiated: rather one too many than one too few. */
	b->driver->flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
	b->driver->off_wrap = 0;
	expose(b, 4, 1, 0);
	virtqueue_push(b->vq, virtqueue_pop(b->vq), 0);
	assert_true(virtqueue_publish(b->vq));
}

static void event_area_asks_for_the_next_slot_with_event_idx_alone(void **state)
{
	struct bench *b = *state;

	start(b, 2, 0);
	assert_false(virtqueue_enable_kicks(b->vq));
	assert_int_equal(b->device->flags, 0);
	assert_int_equal(b->device->off_wrap, 0);
	start(b, 2, EVENT);
	expose(b, 4, 1, 0);
	assert_true(virtqueue_enable_kicks(b->vq));
	assert_int_equal(le16toh(b->device->flags), VRING_PACKED_EVENT_FLAG_DESC);
	serve(b, 0);
	expose(b, 4, 1, 0);
	serve(b, 0);
	assert_false(virtqueue_enable_kicks(b->vq));
	assert_int_equal(le16toh(b->device->off_wrap), 0);
}

static void queue_resumes_in_the_middle_of_a_lap(void **state)
{
	struct bench *b = *state;
	struct virtio_queue_state at;

	start(b, 3, 0);
	for (unsigned i = 0; i < 20; i++) {
		uint16_t slot = b->next;
		bool wrap = b->wrap;

		expose(b, 4, i, 0);
		serve(b, 0);
		assert_used(b, slot, i, 0, wrap ? AVAIL | USED : 0);
		virtqueue_stop(b->vq, &at);
		assert_int_equal(at.avail_index, b->next);
		assert_int_equal(at.avail_wrap, b->wrap);
		b->setup.resume = at;
		assert_int_equal(virtqueue_start(b->vq, &b->setup, PACKED), 0);
	}
}

static void impossible_start_is_refused(void **state)
{
	struct bench *b = *state;
	struct virtio_queue_setup bad;

	start(b, 4, 0);
	bad = b->setup;
	bad.driver_gpa += 2;
	assert_int_equal(virtqueue_start(b->vq, &bad, PACKED), -EINVAL);
	bad = b->setup;
	bad.resume.avail_index = 4;
	assert_int_equal(virtqueue_start(b->vq, &bad, PACKED), -EINVAL);
	bad = b->setup;
	bad.resume.avail_index = 1;
	bad.resume.used_wrap = false;
	assert_int_equal(virtqueue_start(b->vq, &bad, PACKED), -EINVAL);
	bad = b->setup;
	bad.device_gpa = BASE - 4;
	assert_int_equal(virtqueue_start(b->vq, &bad, PACKED), -EFAULT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

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
