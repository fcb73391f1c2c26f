/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VIRTIO_F_IN_ORDER on the device side of both formats (virtio 1.3, 2.7.9 and 2.8.11): in
 * which order chains come into the ring, and which of them one used entry stands for. What
 * ends a queue in between stands in virtqueue_in_order_life_test.c.
 */
#include <endian.h>

#include "tests/support/order_pair.h"

/* Every order of completion */

#define CHAINS 4u

/* Which of CHAINS chains is done at each step: the digits of code, if they are all different. */
static bool order_of(unsigned code, unsigned *order)
{
	unsigned seen = 0;

	for (unsigned i = 0; i < CHAINS; i++, code /= CHAINS) {
		order[i] = code % CHAINS;
		seen |= 1u << order[i];
	}
	return seen == (1u << CHAINS) - 1;
}

/*
 * Reap what became used with one publish: chains first to end. One that was written in full
 * is skipped unless it is the last; any other has an entry of its own.
 */
static void assert_used(struct order_pair *p, unsigned first, unsigned end, unsigned partial)
{
	for (unsigned i = first; i < end; i++) {
		bool full = !(partial >> i & 1);
		struct vqsim_used used;

		assert_int_equal(vqsim_driver_reap(&p->driver, &used), VQSIM_REAP_USED);
		assert_ptr_equal(used.token, &p->tokens[i]);
		assert_int_equal(used.batched, full && i + 1 < end);
		if (!used.batched)
			assert_int_equal(used.len, order_written(p, i, full));
	}
	assert_false(vqsim_driver_has_used(&p->driver));
}

/* Chains of 1, 2, 3, 1 buffers are done in one order, some of them in part only. */
static void complete(struct order_pair *p, const unsigned *order, unsigned partial)
{
	unsigned done = 0, used = 0;

	for (unsigned i = 0; i < CHAINS; i++)
		order_expose(p, i, 1 + i % 3);
	order_pop(p, CHAINS);
	for (unsigned i = 0; i < CHAINS; i++) {
		unsigned before = used;

		order_push(p, order[i], !(partial >> order[i] & 1));
		done |= 1u << order[i];
		while (done >> used & 1)
			used++;
		/* A notification is due only when the driver has something to see. */
		assert_int_equal(virtqueue_publish(p->vq), used > before);
		assert_int_equal(virtqueue_in_flight(p->vq), CHAINS - used);
		assert_used(p, before, used, partial);
	}
}

/* 24 orders, each with 16 mixtures of chains in full and in part, round the ring. */
static void chains_are_used_in_the_order_of_their_taking(void **state)
{
	struct order_pair *p = *state;
	unsigned order[CHAINS], runs = 0;

	order_start(p, p->packed ? 11 : 16, 0);
	for (unsigned code = 0; code < 256; code++) {
		if (!order_of(code, order))
			continue;
		for (unsigned partial = 0; partial < 16; partial++, runs++)
			complete(p, order, partial);
	}
	assert_int_equal(runs, 24 * 16);
}

/* What stands in the ring */

static void full_chains_share_one_entry(void **state)
{
	struct order_pair *p = *state;

	order_start(p, 8, 0);
	for (unsigned i = 0; i < 3; i++)
		order_expose(p, i, 2);
	order_mark_unused(p);
	order_pop(p, 3);
	for (unsigned i = 0; i < 3; i++)
		order_push(p, i, true);
	virtqueue_publish(p->vq);
	/* The id of the last, in the place of the first; the places between are as they were. */
	order_assert_entry(p, 0, 2, 16);
	order_assert_untouched(p, 1);
	order_assert_untouched(p, 2);
	order_assert_shown(p, 3);
}

static void chain_written_in_part_ends_its_batch(void **state)
{
	struct order_pair *p = *state;

	order_start(p, 8, 0);
	for (unsigned i = 0; i < 4; i++)
		order_expose(p, i, 2);
	order_mark_unused(p);
	order_pop(p, 4);
	order_push(p, 0, true);
	order_push(p, 1, false);
	order_push(p, 2, true);
	order_push(p, 3, true);
	virtqueue_publish(p->vq);
	order_assert_entry(p, 0, 1, 15);
	order_assert_untouched(p, 1);
	order_assert_entry(p, 2, 3, 16);
	order_assert_untouched(p, 3);
	order_assert_shown(p, 4);
}

/* Of 0 writable bytes 0 were written: that is all of them. */
static void chains_with_nothing_to_write_are_skipped(void **state)
{
	struct order_pair *p = *state;

	order_start(p, 8, 0);
	for (unsigned i = 0; i < 3; i++)
		order_expose_readable(p, i);
	order_mark_unused(p);
	order_pop(p, 3);
	for (unsigned i = 0; i < 3; i++)
		virtqueue_push(p->vq, p->chains[i], 0);
	virtqueue_publish(p->vq);
	order_assert_entry(p, 0, 2, 0);
	order_assert_untouched(p, 1);
	order_assert_untouched(p, 2);
	order_assert_shown(p, 3);
}

static void nothing_is_shown_before_the_publish(void **state)
{
	struct order_pair *p = *state;

	order_start(p, 8, 0);
	for (unsigned i = 0; i < 4; i++)
		order_expose(p, i, 1);
	order_pop(p, 4);
	for (unsigned i = 0; i < 4; i++) {
		order_push(p, i, i % 2);
		assert_false(vqsim_driver_has_used(&p->driver));
	}
	assert_true(virtqueue_publish(p->vq));
	assert_used(p, 0, 4, 5);
	assert_false(virtqueue_publish(p->vq));
}

/* Notifications */

/* A driver that asks for the used entry, or the slot, at each place in turn. */
static void event_inside_a_batch_is_heard(void **state)
{
	struct order_pair *p = *state;

	for (unsigned event = 0; event < 12; event++) {
		unsigned passed = p->packed ? 6 : 3;

		order_start(p, 8, VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
		/* Twice, so that the second batch goes over the end of a packed ring. */
		for (unsigned from = 0; from < 2 * passed; from += passed) {
			for (unsigned i = 0; i < 3; i++)
				order_expose(p, i, 2);
			order_pop(p, 3);
			order_push(p, 2, true);
			order_push(p, 1, true);
			order_want(p, event);
			assert_false(virtqueue_publish(p->vq));
			order_push(p, 0, true);
			assert_int_equal(virtqueue_publish(p->vq),
					 event >= from && event < from + passed);
			order_reap(p, 3);
		}
		order_finish(p);
	}
}

/* Flags, that is: without EVENT_IDX. */
static void driver_that_wants_to_hear_nothing_hears_nothing(void **state)
{
	struct order_pair *p = *state;

	order_start(p, 8, 0);
	vqsim_driver_set_notify(&p->driver, VQSIM_NOTIFY_NEVER);
	for (unsigned i = 0; i < 3; i++)
		order_expose(p, i, 1);
	order_pop(p, 3);
	for (unsigned i = 3; i-- > 0;)
		order_push(p, i, true);
	assert_false(virtqueue_publish(p->vq));
	order_reap(p, 3);
}

/* Round and round */

/* Batches over the end of the ring and, split, of the index. */
static void batches_go_over_the_end(void **state)
{
	struct order_pair *p = *state;
	unsigned total = 0;

	order_start(p, p->packed ? 7 : 8, 0);
	for (unsigned i = 0; total < 3 * 65536; i++) {
		unsigned count = 1 + i % 3;

		for (unsigned k = 0; k < count; k++)
			order_expose(p, k, 1 + (i + k) % 2);
		order_pop(p, count);
		for (unsigned k = count; k-- > 0;)
			order_push(p, k, true);
		virtqueue_publish(p->vq);
		assert_used(p, 0, count, 0);
		total += count;
	}
	assert_int_equal(virtqueue_broken(p->vq), VIRTQUEUE_OK);
}

/* At random: what is exposed, taken, done and shown, and when; ids tell the order. */
static void any_mixture_keeps_the_order(void **state)
{
	static const uint16_t sizes[] = {1, 2, 4, 32, 3, 5};
	struct order_pair *p = *state;

	for (unsigned i = 0; i < (p->packed ? 6 : 4); i++) {
		order_start(p, sizes[i], i % 2 ? VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) : 0);
		order_random(p, 20000, 7 + i);
		order_finish(p);
	}
}

/* A device that completes at once has the same, warm slot for ever. */
static void lone_chain_has_the_same_slot_again(void **state)
{
	struct order_pair *p = *state;
	uint16_t slot;

	order_start(p, 8, 0);
	order_expose(p, 0, 1);
	order_pop(p, 1);
	slot = p->chains[0]->slot;
	for (unsigned i = 0; i < 20; i++) {
		order_push(p, 0, true);
		virtqueue_publish(p->vq);
		order_reap(p, 1);
		order_expose(p, 0, 1);
		order_pop(p, 1);
		assert_int_equal(p->chains[0]->slot, slot);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH_FORMATS(chains_are_used_in_the_order_of_their_taking),
		BOTH_FORMATS(full_chains_share_one_entry),
		BOTH_FORMATS(chain_written_in_part_ends_its_batch),
		BOTH_FORMATS(chains_with_nothing_to_write_are_skipped),
		BOTH_FORMATS(nothing_is_shown_before_the_publish),
		BOTH_FORMATS(event_inside_a_batch_is_heard),
		BOTH_FORMATS(driver_that_wants_to_hear_nothing_hears_nothing),
		BOTH_FORMATS(batches_go_over_the_end),
		BOTH_FORMATS(any_mixture_keeps_the_order),
		BOTH_FORMATS(lone_chain_has_the_same_slot_again),
	};

	return cmocka_run_group_tests_name("virtqueue, in order", tests, NULL, NULL);
}
