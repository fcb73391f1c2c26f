/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The referee on packed rings: silent on a device that is right, on every size and
 * over many laps; each rule fires on a device that breaks it, and no other rule does.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/packed_pair.h"
#include "vqsim/referee/undefined.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

#ifndef VALGRIND_DISABLE_ERROR_REPORTING
#define VALGRIND_DISABLE_ERROR_REPORTING
#define VALGRIND_ENABLE_ERROR_REPORTING
#endif

#define PLAIN    0
#define EVENT    VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)
#define ORDER    VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)
#define RULE(r)  (UINT64_C(1) << VQSIM_RULE_##r)

static uint64_t rules_shown;

static void show(const struct packed_pair *p, uint64_t rules)
{
	uint64_t broken = 0;

	for (unsigned i = 0; i < VQSIM_RULE_COUNT; i++)
		if (p->referee.counts[i])
			broken |= UINT64_C(1) << i;
	if (broken != rules)
		print_error("fault %u, size %u: first %s; %s\n", p->fault, p->size,
			    p->referee.first.clause, p->referee.first.detail);
	assert_int_equal(broken, rules);
	rules_shown |= rules;
}

/* Lists of changing length in batches, until the ring was passed more than 3 times. */
static void exercise(struct packed_pair *p)
{
	uint32_t total = 7u * p->size + 40u;
	unsigned round = 0;
	uint16_t id = 0;

	while (total > 0) {
		uint32_t room = p->size;

		while (room > 0) {
			uint32_t count = 1 + round++ % 5 % room;
			bool table = (p->features & INDIRECT) && round % 3 == 0;
			unsigned readable = count > 1 ? 1 + round % (count - 1) : 0;

			pair_add(p, id, readable, count - readable, table);
			id = (uint16_t)((id + 7) % PAIR_IDS);
			room -= table ? 1 : count;
			if (round % 4 == 0)
				break;
		}
		total -= p->size - room < total ? p->size - room : total;
		pair_run(p);
		pair_run(p);
	}
}

static const uint16_t sizes[] = {1, 2, 3, 5, 16, 256, 300};

static const struct {
	uint64_t features;
	enum pair_fault fault;
} right[] = {
	{PLAIN, PAIR_NOTHING},         {EVENT, PAIR_NOTHING},
	{INDIRECT, PAIR_NOTHING},      {EVENT | INDIRECT, PAIR_NOTHING},
	{INDIRECT, PAIR_OUT_OF_ORDER}, {EVENT, PAIR_EVENT_DESC},
	{ORDER, PAIR_NOTHING},         {ORDER | INDIRECT, PAIR_BATCH},
};

static void right_device_breaks_no_rule(void **state)
{
	struct packed_pair p;

	(void)state;
	for (unsigned i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		for (unsigned j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			pair_make(&p, sizes[j], right[i].features, right[i].fault);
			exercise(&p);
			show(&p, 0);
			pair_finish(&p);
		}
}

static void list_may_fill_the_ring(void **state)
{
	struct packed_pair p;

	(void)state;
	for (unsigned size = 2; size < 20; size++) {
		pair_make(&p, (uint16_t)size, PLAIN, PAIR_NOTHING);
		for (unsigned lap = 0; lap < 9; lap++) {
			pair_add(&p, (uint16_t)(500 + lap), 1, size - 1, false);
			pair_run(&p);
		}
		show(&p, 0);
		assert_false(vqsim_referee_queue_void(&p.referee, 0));
		pair_finish(&p);
	}
}

static const struct {
	enum pair_fault fault;
	uint64_t features;
	uint64_t rules; /* the planted one, and what cannot but follow */
} faults[] = {
	{PAIR_ID, PLAIN, RULE(USED_ID)},
	{PAIR_EXTRA, PLAIN, RULE(USED_ID)},
	{PAIR_LEN_LARGE, PLAIN, RULE(USED_LEN)},
	{PAIR_LEN_LARGE, EVENT | INDIRECT, RULE(USED_LEN)},
	{PAIR_LEN_SMALL, PLAIN, RULE(USED_LEN_EXACT)},
	{PAIR_NO_WRITE, PLAIN, RULE(PACKED_WRITE)},
	{PAIR_NO_TOGGLE, PLAIN, RULE(PACKED_WRAP)},
	{PAIR_NO_TOGGLE, INDIRECT | EVENT, RULE(PACKED_WRAP)},
	{PAIR_POSITION, PLAIN, RULE(PACKED_POSITION)},
	{PAIR_FILL, PLAIN, RULE(PACKED_SKIPPED)},
	{PAIR_TOUCH, PLAIN, RULE(PACKED_TOUCHED)},
	{PAIR_DROP, PLAIN, RULE(CHAIN_LOST)},
	{PAIR_OUT_OF_ORDER, ORDER, RULE(IN_ORDER)},
	{PAIR_BATCH, PLAIN, RULE(CHAIN_LOST)},
	{PAIR_BATCH_SHORT, ORDER, RULE(BATCH)},

	{PAIR_NO_NOTIFICATION, PLAIN, RULE(NOTIFY_MISSING)},
	{PAIR_MUCH_NOTIFICATION, PLAIN, RULE(NOTIFY_EXCESS)},
	{PAIR_IDLE_NOTIFICATION, PLAIN, RULE(NOTIFY_EXCESS)},
	{PAIR_NO_NOTIFICATION, EVENT, RULE(EVENT_MISSING)},
	{PAIR_MUCH_NOTIFICATION, EVENT, RULE(EVENT_EXCESS) | RULE(NOTIFY_EXCESS)},

	{PAIR_DRIVER_AREA, PLAIN, RULE(AVAIL_WRITTEN)},
	{PAIR_EVENT_RESERVED, EVENT, RULE(PACKED_EVENT)},
	{PAIR_EVENT_DESC, PLAIN, RULE(PACKED_EVENT)},
	{PAIR_EVENT_DESC, EVENT, 0},
	{PAIR_EVENT_HIGH_BITS, PLAIN, RULE(PACKED_RESERVED)},
	{PAIR_EVENT_STALE, EVENT, RULE(KICK_LOST)},
	{PAIR_EVENT_DISABLE, PLAIN, RULE(KICK_LOST)},

	{PAIR_TABLE, INDIRECT, RULE(DESC_WRITTEN)},
	{PAIR_READABLE, PLAIN, RULE(READABLE_WRITTEN)},
	{PAIR_READABLE, INDIRECT, RULE(READABLE_WRITTEN)},
};

/* Three lists in each of a few runs over a ring of 11, with the driver's wishes changing. */
static void short_exercise(struct packed_pair *p)
{
	bool table = p->features & INDIRECT;

	for (uint16_t run = 0; run < 7; run++) {
		if (p->features & EVENT) /* none, in the first list, none, in the last lap */
			pair_want(p, run % 2 ? 2 : 1, p->next + (run % 4 == 1),
				  p->next_wrap ^ (run % 4 == 3));
		else
			pair_want(p, run % 3 == 2, 0, false);
		pair_add(p, 30 * run, 1, 2, table);
		pair_add(p, 30 * run + 7, 2, 1, false);
		pair_add(p, 30 * run + 3, 1, 1, table);
		pair_run(p);
		if (p->referee.violations == 0)
			pair_run(p);
	}
}

static void planted_fault_breaks_its_rule(void **state)
{
	struct packed_pair p;

	(void)state;
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		pair_make(&p, 11, faults[i].features, faults[i].fault);
		short_exercise(&p);
		show(&p, faults[i].rules);
		pair_finish(&p);
	}
}

/* An event at each slot, reached, skipped or not: the pair counts slot by slot. */
static void event_anywhere_in_a_run(void **state)
{
	static const enum pair_fault wrong[] = {PAIR_NO_NOTIFICATION, PAIR_MUCH_NOTIFICATION};
	struct packed_pair p;

	(void)state;
	for (unsigned start = 0; start < 10; start++)
		for (unsigned event = 0; event < 10; event++) {
			bool due = (event + 10 - start) % 10 < 4;

			for (unsigned i = 0; i < 3; i++) {
				pair_make(&p, 5, EVENT, PAIR_NOTHING);
				for (unsigned j = 0; j < start; j++) {
					pair_add(&p, (uint16_t)j, 0, 1, false);
					pair_run(&p);
				}
				p.fault = i ? wrong[i - 1] : PAIR_NOTHING;
				pair_want(&p, 2, event % 5, event < 5);
				pair_add(&p, 40, 1, 2, false);
				pair_add(&p, 41, 0, 1, false);
				pair_run(&p);
				show(&p, i == 1 && due    ? RULE(EVENT_MISSING)
					 : i == 2 && !due ? RULE(EVENT_EXCESS)
							  : 0);
				pair_finish(&p);
			}
		}
}

/* The driver breaks the ring: the device may do what it likes, within its footprint. */
static void ring_broken_by_the_driver_voids_the_queue(void **state)
{
	struct packed_pair p;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		pair_make(&p, 5, PLAIN, PAIR_NOTHING);
		if (i == 0) /* a list that does not end */
			for (unsigned j = 0; j < 5; j++)
				p.ring[j].flags = htole16(0x81);
		else
			pair_add(&p, 1, 1, 2, false);
		if (i == 1) /* an id twice */
			pair_add(&p, 1, 0, 1, false);
		if (i == 2) /* a descriptor changed in flight */
			p.ring[1].len = htole32(99);
		if (i == 3) /* a list longer than what is free */
			pair_add(&p, 2, 1, 2, false);
		vqsim_referee_before_run(&p.referee, 0);
		assert_true(vqsim_referee_queue_void(&p.referee, 0));
		vqsim_referee_ran(&p.referee, 0, VIRTIO_IDLE, 0, VIRTIO_CONFIG_S_DRIVER_OK, 0);
		show(&p, 0);
		pair_finish(&p);
	}
}

static void queue_reset(void **state)
{
	struct packed_pair p;

	(void)state;
	/* Right: nothing happens, and the ring starts anew. */
	pair_make(&p, 5, PLAIN, PAIR_NOTHING);
	pair_add(&p, 1, 1, 2, false);
	vqsim_referee_queue_was_reset(&p.referee, 0, 0);
	vqsim_referee_ran(&p.referee, 0, VIRTIO_IDLE, 0, VIRTIO_CONFIG_S_DRIVER_OK, 0);
	vqsim_referee_queue_after_reset(&p.referee, 0, 0);
	memset(p.ring, 0, 5 * sizeof(*p.ring));
	p.next = p.used = p.waiting_count = 0;
	p.setup.size = p.size = 3;
	assert_int_equal(vqsim_referee_queue_set_up(&p.referee, 0, &p.setup), 0);
	exercise(&p);
	show(&p, 0);
	pair_finish(&p);
	/* Wrong: it writes into the ring, it notifies. */
	for (unsigned i = 0; i < 2; i++) {
		pair_make(&p, 5, PLAIN, PAIR_NOTHING);
		pair_add(&p, 1, 1, 2, false);
		vqsim_referee_queue_was_reset(&p.referee, 0, 0);
		if (i == 0)
			p.ring[0].flags = htole16(0x8080);
		vqsim_referee_queue_after_reset(&p.referee, 0, i);
		show(&p, i ? RULE(QUEUE_RESET_NOTIFY) : RULE(QUEUE_RESET_USED));
		pair_finish(&p);
	}
}

/* Under memcheck already in the first run, with a message that is not to fail the test. */
static void bytes_that_nobody_wrote(void **state)
{
	struct vqsim_undefined undefined;
	struct packed_pair p;

	(void)state;
	VALGRIND_DISABLE_ERROR_REPORTING;
	for (unsigned i = 0; i < 2; i++) {
		vqsim_undefined_init(&undefined);
		for (unsigned run = 0; run < 2; run++) {
			pair_make(&p, 5, PLAIN, i ? PAIR_UNWRITTEN : PAIR_NOTHING);
			vqsim_undefined_start(&undefined, &p.referee);
			pair_add(&p, 1, 1, 2, false);
			pair_run(&p);
			pair_add(&p, 2, 1, 3, false);
			pair_run(&p);
			show(&p, i && (run || p.referee.memcheck) ? RULE(UNDEFINED) : 0);
			pair_finish(&p);
		}
		assert_false(undefined.diverged);
		vqsim_undefined_finish(&undefined);
	}
	VALGRIND_ENABLE_ERROR_REPORTING;
}

static void used_before_driver_ok(void **state)
{
	struct packed_pair p;

	(void)state;
	pair_make(&p, 5, PLAIN, PAIR_NOTHING);
	pair_add(&p, 1, 0, 1, false);
	p.ring[0].flags = htole16(0x8080);
	vqsim_referee_before_driver_ok(&p.referee, 0, 0);
	show(&p, RULE(EARLY_USE));
	pair_finish(&p);
}

/* The table of a chain of which nothing is expected is looked at, too. */
static void a_table_that_changes_is_seen(void **state)
{
	struct packed_pair p;

	(void)state;
	pair_make(&p, 5, INDIRECT, PAIR_TABLE);
	p.untold = true;
	pair_add(&p, 1, 1, 1, true);
	pair_run(&p);
	show(&p, RULE(DESC_WRITTEN));
	pair_finish(&p);
}

#define RULES_HERE                                                                               \
	(RULE(IN_ORDER) | RULE(BATCH) | RULE(PACKED_WRAP) | RULE(PACKED_POSITION) |              \
	 RULE(PACKED_SKIPPED) | RULE(PACKED_TOUCHED) | RULE(PACKED_WRITE) | RULE(PACKED_EVENT) | \
	 RULE(PACKED_RESERVED) | RULE(QUEUE_RESET_USED) | RULE(QUEUE_RESET_NOTIFY) |             \
	 RULE(UNDEFINED))

static void every_rule_was_broken_by_some_test(void **state)
{
	(void)state;
	assert_int_equal(rules_shown & RULES_HERE, RULES_HERE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_device_breaks_no_rule),
		cmocka_unit_test(list_may_fill_the_ring),
		cmocka_unit_test(planted_fault_breaks_its_rule),
		cmocka_unit_test(event_anywhere_in_a_run),
		cmocka_unit_test(ring_broken_by_the_driver_voids_the_queue),
		cmocka_unit_test(queue_reset),
		cmocka_unit_test(bytes_that_nobody_wrote),
		cmocka_unit_test(used_before_driver_ok),
		cmocka_unit_test(a_table_that_changes_is_seen),
		cmocka_unit_test(every_rule_was_broken_by_some_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
