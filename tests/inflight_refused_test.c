/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inflight areas that cannot be: the start of a queue refuses them. What is wrong only with the
 * chains in them breaks the queue, as if it stood in the ring.
 */
#include <endian.h>
#include <errno.h>

#include "tests/support/inflight_queue.h"

static const struct virtio_queue_state fresh = VIRTIO_QUEUE_STATE_FRESH;

static void assert_refused(struct inflight_queue *q)
{
	assert_int_equal(inflight_queue_start_at(q, fresh), -EINVAL);
	assert_false(virtqueue_started(q->vq));
	assert_null(virtqueue_pop(q->vq));
}

static void area_that_is_not_one_is_refused(void **state)
{
	static const uint64_t formats[] = {0, PACKED};
	struct inflight_queue *q = *state;

	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		inflight_queue_boot(q, 4, formats[i]);
		q->area_size--;
		assert_refused(q);
		q->area_size++;
		q->area += 4;
		assert_refused(q);
		q->area -= 4;
		inflight_queue_start(q);
		inflight_queue_die(q);
		q->split->version = 2;
		assert_refused(q);
		q->split->version = 1;
		q->split->features = 1;
		assert_refused(q);
		q->split->features = 0;
		q->split->desc_num = 3;
		assert_refused(q);
		q->split->desc_num = 4;
		inflight_queue_start(q);
	}
}

/* The state to resume from counts for a fresh area, so it must be possible. */
static void impossible_resume_is_refused_for_a_fresh_area(void **state)
{
	const struct virtio_queue_state wrong = {.avail_index = 1000, .used_index = 3};
	struct inflight_queue *q = *state;

	inflight_queue_boot(q, 4, 0);
	assert_int_equal(inflight_queue_start_at(q, wrong), -EINVAL);
	assert_int_equal(q->split->version, 0);
	inflight_queue_boot(q, 4, PACKED);
	assert_int_equal(inflight_queue_start_at(q, wrong), -EINVAL);
	assert_int_equal(q->packed->version, 0);
}

/* What a split area may say and what not; two chains are in flight, heads 0 and 1. */
static void split_area_that_cannot_be_is_refused(void **state)
{
	struct inflight_queue *q = *state;

	inflight_queue_boot(q, 4, 0);
	inflight_queue_start(q);
	for (unsigned i = 0; i < 2; i++) {
		inflight_queue_expose(q, 1);
		inflight_queue_pop(q);
	}
	inflight_queue_die(q);
	/* A batch of five in a queue of four; one that begins and one that goes on nowhere. */
	q->split->used_idx = (uint16_t)-5;
	assert_refused(q);
	q->split->used_idx = (uint16_t)-2;
	q->split->last_batch_head = 4;
	assert_refused(q);
	q->split->last_batch_head = 3;
	inflight_queue_split(q, 3)->next = 4;
	assert_refused(q);
	/* A loop is walked as often as there are entries in the batch. */
	q->split->used_idx = (uint16_t)-4;
	inflight_queue_split(q, 3)->next = 3;
	inflight_queue_die(q);
	inflight_queue_start(q);
	inflight_queue_pop(q);
	inflight_queue_pop(q);
}

/* One field of an area that is changed. */
struct change {
	const char *name;
	size_t offset;
	uint16_t value;
};

#define HEAD(field, value)                                             \
	{                                                              \
#field, offsetof(struct inflight_packed, field), value \
	}
#define ENTRY(index, field, value)                                               \
	{                                                                        \
#index "." #field,                                               \
			sizeof(struct inflight_packed) +                         \
				(index) * sizeof(struct inflight_packed_entry) + \
				offsetof(struct inflight_packed_entry, field),   \
			value                                                    \
	}

/* Entries 0 and 1, 2 and 3, and 4 are chains; 5 is free, and the last that is. */
static const struct change changes[] = {
	HEAD(old_free_head, 1),     /* a part of a chain is free */
	HEAD(old_free_head, 6),     /* entry 5 is nowhere */
	HEAD(position.used_idx, 9), /* outside of the ring */
	HEAD(position.old_used_idx, 6),
	HEAD(desc_num, 9), /* more than fit */
	ENTRY(5, next, 5), /* a loop of free ones */
	ENTRY(5, next, 4), /* a chain is free */
	ENTRY(0, next, 6), /* a chain leads nowhere */
	ENTRY(0, next, 0), /* a loop */
	ENTRY(0, next, 3), /* entry 1 is nowhere, 3 in two chains */
	ENTRY(0, num, 0),
	ENTRY(0, num, 1),
	ENTRY(0, num, 3),
	ENTRY(0, num, UINT16_MAX),
	ENTRY(0, last, 0),
	ENTRY(0, inflight, 0), /* entries 0 and 1 are nowhere */
};

static void packed_area_that_cannot_be_is_refused(void **state)
{
	struct inflight_queue *q = *state;
	uint8_t good[512];

	inflight_queue_boot(q, 6, PACKED);
	inflight_queue_start(q);
	inflight_queue_expose(q, 2);
	inflight_queue_expose(q, 2);
	inflight_queue_expose(q, 1);
	for (unsigned i = 0; i < 3; i++)
		inflight_queue_pop(q);
	inflight_queue_die(q);
	memcpy(good, q->area, q->area_size);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		memcpy(q->area + changes[i].offset, &changes[i].value, sizeof(uint16_t));
		if (inflight_queue_start_at(q, fresh) != -EINVAL)
			fail_msg("%s may be %u", changes[i].name, changes[i].value);
		memcpy(q->area, good, q->area_size);
	}
	inflight_queue_die(q);
	inflight_queue_start(q);
	for (unsigned i = 0; i < 3; i++)
		inflight_queue_pop(q);
}

/* What the driver's memory says of a chain in the area is checked as if it came from the ring. */
static void packed_chain_of_the_area_may_break_the_queue(void **state)
{
	static const struct {
		struct change change;
		enum virtqueue_fault fault;
	} rows[] = {
		{ENTRY(0, addr, 0xee), VIRTQUEUE_FAULT_UNMAPPED},
		{ENTRY(0, flags, VRING_DESC_F_INDIRECT), VIRTQUEUE_FAULT_INDIRECT},
		{ENTRY(1, flags, 0), VIRTQUEUE_FAULT_ORDER},
	};
	struct inflight_queue *q = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const uint16_t value = htole16(rows[i].change.value);
		/* Of an address that are the upper bits. */
		size_t upper = rows[i].fault == VIRTQUEUE_FAULT_UNMAPPED ? 6 : 0;

		inflight_queue_boot(q, 6, PACKED | TABLES);
		inflight_queue_start(q);
		inflight_queue_expose(q, 2);
		inflight_queue_pop(q);
		memcpy(q->area + rows[i].change.offset + upper, &value, sizeof(value));
		inflight_queue_die(q);
		inflight_queue_start(q);
		assert_null(virtqueue_pop(q->vq));
		assert_int_equal(virtqueue_broken(q->vq), rows[i].fault);
	}
}

/* Two entries of one buffer id: the driver could not tell which of them was used. */
static void chains_of_one_name_break_the_queue(void **state)
{
	struct inflight_queue *q = *state;

	inflight_queue_boot(q, 4, PACKED);
	inflight_queue_start(q);
	for (unsigned i = 0; i < 2; i++) {
		inflight_queue_expose(q, 1);
		inflight_queue_pop(q);
	}
	inflight_queue_packed(q, 1)->id = inflight_queue_packed(q, 0)->id;
	inflight_queue_die(q);
	inflight_queue_start(q);
	inflight_queue_pop(q);
	assert_null(virtqueue_pop(q->vq));
	assert_int_equal(virtqueue_broken(q->vq), VIRTQUEUE_FAULT_HEAD_IN_FLIGHT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, inflight_queue_setup, inflight_queue_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(area_that_is_not_one_is_refused),
		TEST(impossible_resume_is_refused_for_a_fresh_area),
		TEST(split_area_that_cannot_be_is_refused),
		TEST(packed_area_that_cannot_be_is_refused),
		TEST(packed_chain_of_the_area_may_break_the_queue),
		TEST(chains_of_one_name_break_the_queue),
	};

	return cmocka_run_group_tests_name("inflight_refused_test", tests, NULL, NULL);
}
