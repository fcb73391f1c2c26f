/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VIRTIO_F_IN_ORDER on the device side: chains that are done and wait for an earlier one
 * hold up nothing else, and a queue that stops, breaks, loses memory or starts again has
 * them right.
 */
#include <endian.h>
#include <errno.h>

#include "devices/guest_memory.h"
#include "tests/support/order_pair.h"

#define LONG_CHAIN (VIRTQUEUE_INLINE_SEGMENTS + 1)
#define BLOCKS     64u

/* A stop, and a new start */

static void what_is_done_at_a_stop_is_used(void **state)
{
	struct order_pair *p = *state;
	struct virtio_queue_state at;

	order_start(p, 8, 0);
	for (unsigned i = 0; i < 3; i++)
		order_expose(p, i, 2);
	order_pop(p, 3);
	order_push(p, 2, true);
	order_push(p, 0, true);
	order_push(p, 1, true);
	virtqueue_stop(p->vq, &at);
	assert_int_equal(at.avail_index, p->packed ? 6 : 3);
	assert_int_equal(at.used_index, at.avail_index);
	order_reap(p, 3);
}

/* What was left behind by a device that was reset is not in the ring that follows. */
static void nothing_of_an_old_ring_comes_into_the_next(void **state)
{
	struct order_pair *p = *state;

	for (unsigned round = 0; round < 20; round++) {
		order_start(p, 8, 0);
		for (unsigned i = 0; i < 4; i++)
			order_expose(p, i, 2);
		order_pop(p, 4);
		/* An open batch of two, one that is not done, and one that waits for it. */
		order_push(p, 0, true);
		order_push(p, 1, true);
		order_push(p, 3, true);
		if (round % 2)
			virtqueue_publish(p->vq);
		assert_int_equal(virtqueue_in_flight(p->vq), 2);
		order_finish(p);
		assert_int_equal(virtqueue_in_flight(p->vq), 0);

		order_start(p, 4, 0);
		for (unsigned i = 0; i < 4; i++)
			order_expose(p, i, 1);
		order_mark_unused(p);
		order_pop(p, 4);
		order_push(p, 1, true);
		assert_false(virtqueue_publish(p->vq));
		order_push(p, 0, false);
		virtqueue_publish(p->vq);
		order_assert_entry(p, 0, 0, 7);
		order_assert_entry(p, 1, 1, 8);
		order_assert_shown(p, 2);
		order_finish(p);
	}
}

/* Any entry of this queue would stand for those that another device took and lost. */
static void state_with_chains_in_between_is_refused(void **state)
{
	struct order_pair *p = *state;
	struct virtio_queue_setup setup;

	order_start(p, 8, 0);
	setup = p->driver.setup;
	setup.resume.avail_index = 1;
	assert_int_equal(virtqueue_start(p->vq, &setup, p->driver.features), -EINVAL);
	setup.resume.used_index = 1;
	assert_int_equal(virtqueue_start(p->vq, &setup, p->driver.features), 0);
	setup.resume.avail_index = 2;
	assert_int_equal(virtqueue_start(p->vq, &setup,
					 p->driver.features & ~VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)),
			 0);
}

/* Blocks */

/* All large blocks are with chains of which the oldest is not done. */
static void chain_that_waits_for_its_turn_gives_its_block_back(void **state)
{
	struct order_pair *p = *state;

	order_start(p, 1024, 0);
	for (unsigned i = 0; i < BLOCKS + 1; i++)
		order_expose(p, i, LONG_CHAIN);
	order_pop(p, BLOCKS);
	assert_null(virtqueue_pop(p->vq));
	assert_int_equal(virtqueue_broken(p->vq), VIRTQUEUE_OK);
	order_push(p, BLOCKS - 1, true);
	p->chains[BLOCKS] = virtqueue_pop(p->vq);
	assert_non_null(p->chains[BLOCKS]);
	assert_int_equal(p->chains[BLOCKS]->writable_count, LONG_CHAIN);
	assert_false(virtqueue_publish(p->vq));
	order_push(p, BLOCKS, true);
	for (unsigned i = 0; i < BLOCKS - 1; i++)
		order_push(p, i, true);
	assert_true(virtqueue_publish(p->vq));
	order_reap(p, BLOCKS + 1);
}

/* A broken queue */

static void chains_taken_before_a_fault_are_all_answered(void **state)
{
	struct order_pair *p = *state;

	order_start(p, 8, 0);
	for (unsigned i = 0; i < 3; i++)
		order_expose(p, i, 1);
	p->buffers = UINT64_MAX - 4;
	order_expose(p, 3, 1);
	order_pop(p, 2);
	order_push(p, 1, true);
	p->chains[2] = virtqueue_pop(p->vq);
	assert_null(virtqueue_pop(p->vq));
	assert_int_equal(virtqueue_broken(p->vq), VIRTQUEUE_FAULT_UNMAPPED);
	order_push(p, 2, false);
	assert_false(virtqueue_publish(p->vq));
	assert_int_equal(virtqueue_in_flight(p->vq), 3);
	order_push(p, 0, true);
	assert_int_equal(virtqueue_in_flight(p->vq), 0);
	assert_true(virtqueue_publish(p->vq));
	order_reap(p, 3);
	assert_null(virtqueue_pop(p->vq));
}

/* Its head is in flight until the driver could know that it is not. */
static void chain_that_waits_may_not_be_exposed_again(void **state)
{
	struct order_pair *p = *state;

	order_start(p, 8, 0);
	order_expose(p, 0, 1);
	order_expose(p, 1, 1);
	order_pop(p, 2);
	order_push(p, 1, true);
	order_expose(p, 2, 1);
	if (p->packed)
		p->driver.packed.desc[2].id = htole16((uint16_t)p->ids[1]);
	else
		p->driver.ring.avail->ring[2] = htole16((uint16_t)p->ids[1]);
	assert_null(virtqueue_pop(p->vq));
	assert_int_equal(virtqueue_broken(p->vq), VIRTQUEUE_FAULT_HEAD_IN_FLIGHT);
	order_push(p, 0, true);
	virtqueue_publish(p->vq);
	order_reap(p, 2);
}

/* Changes of memory */

static void hide(struct order_pair *p, unsigned region)
{
	assert_int_equal(vqsim_memory_hide(&p->memory, region), 0);
}

/* The map has a reference of the queue, of each chain at work with it, and none of those that wait. */
static void chain_that_waits_keeps_no_memory(void **state)
{
	struct order_pair *p = *state;
	struct guest_map *old;
	unsigned before;

	order_start(p, 8, 0);
	p->buffers = ORDER_APART;
	for (unsigned i = 0; i < 4; i++)
		order_expose(p, i, 1);
	order_pop(p, 4);
	order_push(p, 3, true);
	old = guest_memory_acquire(&p->memory.guest);
	hide(p, 1);
	assert_null(virtqueue_pop(p->vq));
	before = old->refs;
	order_push(p, 2, true);
	assert_int_equal(old->refs, before - 1);
	order_push(p, 1, true);
	assert_int_equal(old->refs, before - 2);
	order_push(p, 0, true);
	assert_int_equal(old->refs, before - 3);
	assert_int_equal(old->refs, 1);
	guest_map_release(old);
	virtqueue_publish(p->vq);
	order_reap(p, 4);
}

/* Nothing is written to a ring that is not there; the device still gets rid of its chains. */
static void ring_that_goes_away_leaves_nothing_in_flight(void **state)
{
	struct order_pair *p = *state;

	order_start(p, 8, 0);
	p->buffers = ORDER_APART;
	for (unsigned i = 0; i < 4; i++)
		order_expose(p, i, 1);
	order_mark_unused(p);
	order_pop(p, 4);
	order_push(p, 0, true);
	order_push(p, 2, true);
	hide(p, 0);
	assert_null(virtqueue_pop(p->vq));
	assert_int_equal(virtqueue_broken(p->vq), VIRTQUEUE_FAULT_RING_UNMAPPED);
	order_push(p, 3, true);
	assert_int_equal(virtqueue_in_flight(p->vq), 3);
	order_push(p, 1, false);
	assert_int_equal(virtqueue_in_flight(p->vq), 0);
	assert_false(virtqueue_publish(p->vq));
	for (unsigned i = 0; i < 4; i++)
		order_assert_untouched(p, i);
	/* Other changes find a queue that has nothing. */
	hide(p, 1);
	assert_null(virtqueue_pop(p->vq));
	/* Nor does the next ring hear of it. */
	order_finish(p);
	assert_int_equal(vqsim_memory_expose(&p->memory, 0), 0);
	assert_int_equal(vqsim_memory_expose(&p->memory, 1), 0);
	order_start(p, 8, 0);
	assert_false(virtqueue_publish(p->vq));
	assert_false(vqsim_driver_has_used(&p->driver));
}

static void batch_goes_into_a_ring_that_was_mapped_anew(void **state)
{
	struct order_pair *p = *state;

	order_start(p, 8, 0);
	for (unsigned i = 0; i < 3; i++)
		order_expose(p, i, 2);
	order_mark_unused(p);
	order_pop(p, 3);
	order_push(p, 0, true);
	order_push(p, 2, true);
	hide(p, 1);
	assert_null(virtqueue_pop(p->vq));
	order_push(p, 1, true);
	virtqueue_publish(p->vq);
	order_assert_entry(p, 0, 2, 16);
	order_assert_untouched(p, 1);
	order_assert_shown(p, 3);
}

/* A page of the log, at its bit. */
static bool dirty(const uint8_t *log, uint64_t gpa)
{
	return log[gpa / GUEST_DIRTY_PAGE_SIZE / 8] >> (gpa / GUEST_DIRTY_PAGE_SIZE % 8) & 1;
}

/* Of a chain that gets no entry of its own, too, and no later than the driver can know of it. */
static void what_was_written_is_in_the_dirty_log(void **state)
{
	static uint8_t log[(ORDER_APART + ORDER_SIZE) / GUEST_DIRTY_PAGE_SIZE / 8];
	struct order_pair *p = *state;

	memset(log, 0, sizeof(log));
	order_start(p, 8, 0);
	for (unsigned i = 0; i < 2; i++) {
		p->buffers = ORDER_APART + i * 0x2000;
		order_expose(p, i, 1);
	}
	order_pop(p, 2);
	p->memory.guest.dirty_log = log;
	p->memory.guest.dirty_log_size = sizeof(log);
	for (unsigned i = 2; i-- > 0;) {
		assert_false(dirty(log, ORDER_APART + i * 0x2000));
		order_push(p, i, true);
		assert_true(dirty(log, ORDER_APART + i * 0x2000));
	}
	assert_false(dirty(log, p->driver.setup.device_gpa));
	virtqueue_publish(p->vq);
	assert_true(dirty(log, p->driver.setup.device_gpa));
	p->memory.guest.dirty_log = NULL;
	order_reap(p, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH_FORMATS(what_is_done_at_a_stop_is_used),
		BOTH_FORMATS(nothing_of_an_old_ring_comes_into_the_next),
		BOTH_FORMATS(state_with_chains_in_between_is_refused),
		BOTH_FORMATS(chain_that_waits_for_its_turn_gives_its_block_back),
		BOTH_FORMATS(chains_taken_before_a_fault_are_all_answered),
		BOTH_FORMATS(chain_that_waits_may_not_be_exposed_again),
		BOTH_FORMATS(chain_that_waits_keeps_no_memory),
		BOTH_FORMATS(ring_that_goes_away_leaves_nothing_in_flight),
		BOTH_FORMATS(batch_goes_into_a_ring_that_was_mapped_anew),
		BOTH_FORMATS(what_was_written_is_in_the_dirty_log),
	};

	return cmocka_run_group_tests_name("virtqueue, in order, life", tests, NULL, NULL);
}
