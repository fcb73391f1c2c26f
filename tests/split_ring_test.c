/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The available and the used ring themselves (virtio 1.3, 2.7.6 to 2.7.10): indices and
 * notifications. Rings that are broken are in breakage_test.c.
 */
#include <endian.h>

#include "tests/support/bench.h"

#define EVENT_IDX VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)

/* One request in one descriptor of the ring, so that a ring can be full of them. */

struct crowd {
	struct bench *bench;
	struct vqsim_element elements[2];
	uint64_t table_gpa;
};

static struct crowd crowd_of(struct bench *bench)
{
	uint64_t header = vqsim_memory_alloc(&bench->memory, 16, 16);
	uint64_t status = vqsim_memory_alloc(&bench->memory, 1, 1);

	return (struct crowd){
		.bench = bench,
		.elements = {{header, 16, false}, {status, 1, true}},
		.table_gpa = vqsim_memory_alloc(&bench->memory, 32, 16),
	};
}

/* An IN of no bytes (a FLUSH would do, too). */
static void crowd_add(struct crowd *c, unsigned count)
{
	struct vqsim_chain chain = {c->elements, 2, 0, c->table_gpa};

	for (unsigned i = 0; i < count; i++) {
		int head = vqsim_guest_add(&c->bench->guest, 0, &chain, c);

		assert_true(head >= 0);
		vqsim_referee_expect_len(&c->bench->referee, 0, (uint16_t)head, 1);
	}
}

static void crowd_serve(struct crowd *c, unsigned count)
{
	struct vqsim_used used;

	crowd_add(c, count);
	vqsim_guest_publish(&c->bench->guest, 0);
	vqsim_guest_settle(&c->bench->guest, 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(vqsim_guest_reap(&c->bench->guest, 0, &used), VQSIM_REAP_USED);
	assert_int_equal(vqsim_guest_reap(&c->bench->guest, 0, &used), VQSIM_REAP_NOTHING);
}

/* RING-28: SPDK 808a2b05c2, the index is ahead by exactly the size. */
static void full_ring_is_served(void **state)
{
	struct crowd c = crowd_of(*state);

	for (unsigned lap = 0; lap < 3; lap++)
		crowd_serve(&c, 16);
}

/* SPLIT-DX-04: the index goes round more than once. */
static void indices_wrap_at_65536(void **state)
{
	struct crowd c = crowd_of(*state);

	for (unsigned served = 0; served < 66000; served += 11)
		crowd_serve(&c, 11);
	assert_true(c.bench->guest.queues[0].avail_index < 1000);
}

/* SPLIT-D-13, SPLIT-D-14: every place of used_event around a batch that passes the wrap. */
static void event_is_exact_across_the_wrap(void **state)
{
	struct bench *bench = *state;
	struct virtio_queue_setup setup = bench_ring(bench, 16, 0xfffe);

	for (uint16_t event = 0xfffb; event != 6; event++) {
		struct vqsim_link_queue *queue = &bench->guest.link.queues[0];
		struct crowd c;
		uint64_t before;

		bench_set_up_at(bench, &setup);
		assert_true(bench_driver_ok(bench));
		c = crowd_of(bench);
		*bench->guest.queues[0].ring.used_event = htole16(event);
		before = queue->notifications;
		crowd_serve(&c, 4);
		/* The entries 0xfffe, 0xffff, 0 and 1. */
		assert_int_equal(queue->notifications - before,
				 (uint16_t)(event - 0xfffe) < 4 ? 1 : 0);
		bench_check(bench);
	}
}

/*
 * NOTIF-11: kvmtool 717a3ab. SPLIT-D-12: with EVENT_IDX the flag that would forbid
 * notifications is ignored.
 */
static void flag_is_ignored_with_event_idx(void **state)
{
	struct crowd c = crowd_of(*state);
	struct vqsim_link_queue *queue = &c.bench->guest.link.queues[0];
	uint64_t before = queue->notifications;

	c.bench->guest.queues[0].ring.avail->flags = htole16(VRING_AVAIL_F_NO_INTERRUPT);
	crowd_serve(&c, 1);
	assert_int_equal(queue->notifications, before + 1);
}

/* NOTIF-11: kvmtool 717a3ab. SPLIT-D-09, SPLIT-D-10: without EVENT_IDX the flag alone counts. */
static void event_is_ignored_without_event_idx(void **state)
{
	struct crowd c = crowd_of(*state);
	struct vqsim_link_queue *queue = &c.bench->guest.link.queues[0];
	struct vqsim_split_ring *ring = &c.bench->guest.queues[0].ring;
	uint64_t before = queue->notifications;

	*ring->used_event = htole16(0x7777);
	crowd_serve(&c, 1);
	assert_int_equal(queue->notifications, before + 1);
	ring->avail->flags = htole16(VRING_AVAIL_F_NO_INTERRUPT);
	*ring->used_event = htole16(1);
	crowd_serve(&c, 1);
	assert_int_equal(queue->notifications, before + 1);
}

/* SPLIT-D-22: kicks without chains, in any number and with any data. */
static void spurious_kicks_change_nothing(void **state)
{
	struct bench *bench = *state;
	static const uint32_t data[] = {0, 1, 0xffff, 0x80000000, UINT32_MAX};

	bench_good_request(bench);
	bench_snapshot(bench);
	for (size_t i = 0; i < COUNT_OF(data); i++) {
		vqsim_link_kick(&bench->guest.link, 0, data[i]);
		assert_int_equal(vqsim_guest_run(&bench->guest, 0), VIRTIO_IDLE);
		assert_int_equal(vqsim_guest_run(&bench->guest, 0), VIRTIO_IDLE);
	}
	bench_compare(bench);
	bench_good_request(bench);
}

/*
 * NOTIF-20: Firecracker 0899ee515 and others. SPLIT-DX-11: what was exposed before DRIVER_OK is
 * served after it.
 */
static void chains_may_wait_for_driver_ok(void **state)
{
	struct bench *bench = *state;
	struct virtio_queue_setup setup = bench_ring(bench, 16, 0);
	struct vqsim_used used;
	struct crowd c;

	bench_set_up_at(bench, &setup);
	c = crowd_of(bench);
	crowd_add(&c, 3);
	vqsim_guest_publish(&bench->guest, 0);
	assert_true(bench_driver_ok(bench));
	vqsim_guest_settle(&bench->guest, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vqsim_guest_reap(&bench->guest, 0, &used), VQSIM_REAP_USED);
}

/* MEM-14: CVE-2022-26353, nothing is kept of a chain that failed to parse. */
static void bad_chains_leave_nothing_behind(void **state)
{
	struct bench *bench = *state;
	const struct vqsim_element elements[] = {
		{4096, 16, false}, {8192, 1024, true}, {bench_end(bench, BENCH_NEXT), 1, true}};
	struct vqsim_chain chain = {elements, 3, 3, 0};

	for (unsigned i = 0; i < 100; i++) {
		assert_true(vqsim_guest_add(&bench->guest, 0, &chain, bench) >= 0);
		vqsim_guest_publish(&bench->guest, 0);
		vqsim_guest_settle(&bench->guest, 0);
		assert_true(vqsim_guest_needs_reset(&bench->guest));
		bench_up(bench);
		/* The bench's memory and the one queue. */
		assert_int_equal(bench->memory.guest.map->refs, 2);
	}
	bench_good_for_all(bench);
}

/* Notifications, memory and liveness hold for every device and both kinds of events. */

static int null_setup(void **state)
{
	*state = bench_create(&(struct bench_options){.device = BENCH_NULL});
	return 0;
}

static int null_plain_setup(void **state)
{
	*state = bench_create(&(struct bench_options){.device = BENCH_NULL, .without = EVENT_IDX});
	return 0;
}

static int blk_setup(void **state)
{
	*state = bench_create(&(struct bench_options){.device = BENCH_BLK});
	return 0;
}

static int blk_plain_setup(void **state)
{
	*state = bench_create(&(struct bench_options){.device = BENCH_BLK, .without = EVENT_IDX});
	return 0;
}

static int teardown(void **state)
{
	bench_destroy(*state);
	return 0;
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* clang-format off */
#define EVERY_DEVICE(setup) \
	WITH(setup, full_ring_is_served), \
	WITH(setup, indices_wrap_at_65536), \
	WITH(setup, spurious_kicks_change_nothing), \
	WITH(setup, chains_may_wait_for_driver_ok), \
	WITH(setup, bad_chains_leave_nothing_behind)
/* clang-format on */

int main(void)
{
	const struct CMUnitTest null[] = {
		EVERY_DEVICE(null_setup),
		EVERY_DEVICE(null_plain_setup),
		WITH(null_setup, event_is_exact_across_the_wrap),
		WITH(null_setup, flag_is_ignored_with_event_idx),
		WITH(null_plain_setup, event_is_ignored_without_event_idx),
	};
	const struct CMUnitTest blk[] = {
		EVERY_DEVICE(blk_setup),
		EVERY_DEVICE(blk_plain_setup),
		WITH(blk_setup, event_is_exact_across_the_wrap),
		WITH(blk_setup, flag_is_ignored_with_event_idx),
		WITH(blk_plain_setup, event_is_ignored_without_event_idx),
	};
	int failed = cmocka_run_group_tests_name("split ring, null", null, NULL, NULL);
	return failed + cmocka_run_group_tests_name("split ring, blk", blk, NULL, NULL);
}
