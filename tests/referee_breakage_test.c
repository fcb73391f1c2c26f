/* SPDX-License-Identifier: BSD-3-Clause */
/* The referee knows when it was the driver who broke the rules, and blames no device for that. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/referee_fixture.h"

/*
 * Ways in which a driver breaks a chain of three, or the ring (then the queue is
 * void): what a device answers to them with a reset is no breach of the device.
 */
static void break_head(struct fixture *f, uint16_t head)
{
	(void)head;
	fixture_ring(f)->avail->ring[0] = htole16(FIXTURE_QUEUE_SIZE);
}

static void break_head_twice(struct fixture *f, uint16_t head)
{
	fixture_ring(f)->avail->ring[1] = htole16(head);
	fixture_ring(f)->avail->idx = htole16(2);
}

static void break_index(struct fixture *f, uint16_t head)
{
	(void)head;
	fixture_ring(f)->avail->idx = htole16(FIXTURE_QUEUE_SIZE + 1);
}

static void break_next(struct fixture *f, uint16_t head)
{
	fixture_ring(f)->desc[head].next = htole16(FIXTURE_QUEUE_SIZE);
}

static void break_loop(struct fixture *f, uint16_t head)
{
	fixture_ring(f)->desc[head].next = htole16(head);
}

static void break_order(struct fixture *f, uint16_t head)
{
	fixture_ring(f)->desc[head].flags |= htole16(VRING_DESC_F_WRITE);
	fixture_ring(f)->desc[le16toh(fixture_ring(f)->desc[head].next)].flags &=
		~htole16(VRING_DESC_F_WRITE);
}

static void break_address(struct fixture *f, uint16_t head)
{
	fixture_ring(f)->desc[head].addr = htole64(FIXTURE_END_GPA - 8);
}

static void break_address_wraps(struct fixture *f, uint16_t head)
{
	fixture_ring(f)->desc[head].addr = htole64(UINT64_MAX - 4);
}

/* An indirect table of three entries, in place of the chain that starts at head. */
static void use_table(struct fixture *f, uint16_t head, uint32_t len, uint16_t flags)
{
	struct vring_desc *desc = &fixture_ring(f)->desc[head];

	memcpy(vqsim_memory_at(&f->memory, f->requests[3].table, FIXTURE_TABLE_SIZE), desc,
	       FIXTURE_TABLE_SIZE);
	*desc = (struct vring_desc){htole64(f->requests[3].table), htole32(len), htole16(flags),
				    htole16(head + 1)};
}

static void break_indirect(struct fixture *f, uint16_t head)
{
	use_table(f, head, FIXTURE_TABLE_SIZE, VRING_DESC_F_INDIRECT);
}

static void break_table_empty(struct fixture *f, uint16_t head)
{
	use_table(f, head, 0, VRING_DESC_F_INDIRECT);
}

static void break_table_odd(struct fixture *f, uint16_t head)
{
	use_table(f, head, FIXTURE_TABLE_SIZE - 1, VRING_DESC_F_INDIRECT);
}

static void break_table_next(struct fixture *f, uint16_t head)
{
	use_table(f, head, FIXTURE_TABLE_SIZE, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT);
}

static void break_table_nested(struct fixture *f, uint16_t head)
{
	use_table(f, head, FIXTURE_TABLE_SIZE, VRING_DESC_F_INDIRECT);
	*(struct vring_desc *)vqsim_memory_at(&f->memory, f->requests[3].table, 16) =
		(struct vring_desc){htole64(f->requests[2].table), htole32(16),
				    htole16(VRING_DESC_F_INDIRECT), 0};
}

static void break_table_address(struct fixture *f, uint16_t head)
{
	use_table(f, head, FIXTURE_TABLE_SIZE, VRING_DESC_F_INDIRECT);
	fixture_ring(f)->desc[head].addr = 0;
}

static const struct {
	const char *name;
	void (*apply)(struct fixture *f, uint16_t head);
	uint64_t features;
	bool ruins;
} breakages[] = {
	{"head out of range", break_head, PLAIN, true},
	{"head twice", break_head_twice, PLAIN, true},
	{"index jump", break_index, PLAIN, true},
	{"next out of range", break_next, PLAIN, false},
	{"loop", break_loop, PLAIN, false},
	{"readable after writable", break_order, EVENT, false},
	{"leaves memory", break_address, PLAIN, false},
	{"address wraps", break_address_wraps, EVENT, false},
	{"indirect not negotiated", break_indirect, PLAIN, false},
	{"empty table", break_table_empty, INDIRECT, false},
	{"odd table", break_table_odd, INDIRECT, false},
	{"table and next", break_table_next, INDIRECT, false},
	{"nested table", break_table_nested, INDIRECT, false},
	{"table outside", break_table_address, INDIRECT | EVENT, false},
};

#define BREAKAGES (sizeof(breakages) / sizeof(breakages[0]))

static void run_broken(struct fixture *f, unsigned index)
{
	uint16_t head = fixture_add(f, 0, false);

	/* The referee looks for itself before the run. */
	vqsim_driver_publish(&f->guest.queues[0]);
	breakages[index].apply(f, head);
	vqsim_guest_run(&f->guest, 0);
}

static void reset_for_a_broken_ring_is_excused(void **state)
{
	struct fixture f;

	(void)state;
	for (unsigned i = 0; i < BREAKAGES; i++) {
		fixture_make_null(&f, breakages[i].features);
		run_broken(&f, i);
		if (fixture_rules_broken(&f))
			print_error("%s\n", breakages[i].name);
		fixture_assert_broken(&f, 0);
		assert_int_equal(vqsim_referee_queue_void(&f.referee, 0), breakages[i].ruins);
		assert_true(f.referee.reset_excused);
		fixture_finish(&f);
	}
}

/* STATUS-D-03: neither used nor a reset asked for. */
static void malformed_chain_must_not_be_dropped(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make_wrong(&f, WRONG_LATE_RESET, PLAIN);
	run_broken(&f, 3);
	fixture_assert_broken(&f, RULE(CHAIN_LOST));
	fixture_finish(&f);
}

/* Between publish and run: the referee saw a good chain, the device finds no memory. */
static void memory_taken_away_excuses_a_reset(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make_null(&f, PLAIN);
	f.requests[0].data = FIXTURE_EXTRA_GPA;
	fixture_add(&f, 0, false);
	vqsim_guest_publish(&f.guest, 0);
	assert_false(f.referee.reset_excused);
	assert_int_equal(vqsim_memory_hide(&f.memory, 1), 0);
	vqsim_guest_run(&f.guest, 0);
	assert_true(f.referee.needs_reset);
	fixture_assert_broken(&f, 0);
	assert_int_equal(vqsim_memory_expose(&f.memory, 1), 0);
	fixture_finish(&f);
}

static void ring_taken_away_excuses_a_reset(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make_null(&f, PLAIN);
	fixture_add(&f, 0, false);
	vqsim_guest_publish(&f.guest, 0);
	assert_int_equal(vqsim_memory_hide(&f.memory, 0), 0);
	vqsim_guest_run(&f.guest, 0);
	assert_true(f.referee.needs_reset);
	fixture_assert_broken(&f, 0);
	assert_int_equal(vqsim_memory_expose(&f.memory, 0), 0);
	fixture_finish(&f);
}

static void buffer_over_neighbouring_regions_is_well_formed(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make_null(&f, PLAIN);
	f.requests[0].data = FIXTURE_EXTRA_GPA - 8;
	fixture_add(&f, 0, false);
	fixture_run(&f);
	fixture_assert_broken(&f, 0);
	assert_false(f.referee.reset_excused);
	fixture_finish(&f);
}

/* 2.7.5.3.2: WRITE on the descriptor that points to the table means nothing. */
static void write_flag_on_a_table_is_well_formed(void **state)
{
	struct fixture f;
	uint16_t head;

	(void)state;
	fixture_make_null(&f, INDIRECT);
	head = fixture_add(&f, 0, true);
	fixture_ring(&f)->desc[head].flags |= htole16(VRING_DESC_F_WRITE);
	fixture_run(&f);
	fixture_assert_broken(&f, 0);
	assert_false(f.referee.reset_excused);
	fixture_finish(&f);
}

/* Reuse of a head is a breach only while the device owes a used entry for it. */
static void head_used_and_not_reaped_may_come_again(void **state)
{
	struct fixture f;
	uint16_t head;

	(void)state;
	fixture_make_null(&f, PLAIN);
	head = fixture_add(&f, 0, false);
	vqsim_guest_publish(&f.guest, 0);
	vqsim_guest_run(&f.guest, 0);
	fixture_ring(&f)->avail->ring[1] = htole16(head);
	fixture_ring(&f)->avail->idx = htole16(2);
	vqsim_guest_run(&f.guest, 0);
	fixture_assert_broken(&f, 0);
	assert_false(vqsim_referee_queue_void(&f.referee, 0));
	fixture_finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_for_a_broken_ring_is_excused),
		cmocka_unit_test(malformed_chain_must_not_be_dropped),
		cmocka_unit_test(memory_taken_away_excuses_a_reset),
		cmocka_unit_test(ring_taken_away_excuses_a_reset),
		cmocka_unit_test(buffer_over_neighbouring_regions_is_well_formed),
		cmocka_unit_test(write_flag_on_a_table_is_well_formed),
		cmocka_unit_test(head_used_and_not_reaped_may_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
