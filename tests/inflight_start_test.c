/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The start of a queue with an inflight area that is not fresh: what an earlier backend, not
 * always ours, left in it is taken again; and where the area says nothing, the frontend's word
 * counts.
 */
#include "tests/support/inflight_queue.h"

/* What a frontend that has lost its backend may say; it must not matter. */
static const struct virtio_queue_state wrong = {.avail_index = 1000, .used_index = 3};

static void start_again(struct inflight_queue *q)
{
	inflight_queue_die(q);
	assert_int_equal(inflight_queue_start_at(q, wrong), 0);
}

/* The device answers the next chain, which is that of this name. */
static void serve(struct inflight_queue *q, uint16_t name)
{
	struct virtqueue_chain *chain = inflight_queue_pop(q);

	assert_int_equal(chain->head, name);
	virtqueue_push(q->vq, chain, 0);
	virtqueue_publish(q->vq);
	inflight_queue_reap(q, name);
}

/* libvhost-user counts on after a restart; only the order of the counters means something. */
static void split_chains_come_back_in_the_order_of_their_counters(void **state)
{
	struct inflight_queue *q = *state;
	uint16_t heads[4];

	inflight_queue_boot(q, 4, 0);
	for (unsigned i = 0; i < 4; i++)
		heads[i] = inflight_queue_expose(q, 1);
	q->split->version = 1;
	q->split->desc_num = 4;
	inflight_queue_split(q, heads[0])->inflight = 1;
	inflight_queue_split(q, heads[0])->counter = UINT64_C(1) << 40;
	inflight_queue_split(q, heads[2])->inflight = 1;
	inflight_queue_split(q, heads[2])->counter = 17;
	inflight_queue_split(q, heads[1])->inflight = 1;
	inflight_queue_split(q, heads[1])->counter = 18;
	start_again(q);
	serve(q, heads[2]);
	serve(q, heads[1]);
	serve(q, heads[0]);
	/* Not taken before: it comes from the ring, and is counted behind all others. */
	assert_int_equal(inflight_queue_pop(q)->head, heads[3]);
	assert_int_equal(inflight_queue_split(q, heads[3])->counter, (UINT64_C(1) << 40) + 1);
}

static void split_batch_that_was_shown_is_not_repeated(void **state)
{
	struct inflight_queue *q = *state;
	struct virtqueue_chain *chains[3];
	uint16_t heads[3];

	inflight_queue_boot(q, 4, 0);
	inflight_queue_start(q);
	for (unsigned i = 0; i < 3; i++)
		heads[i] = inflight_queue_expose(q, 1);
	for (unsigned i = 0; i < 3; i++)
		chains[i] = inflight_queue_pop(q);
	virtqueue_push(q->vq, chains[2], 0);
	virtqueue_push(q->vq, chains[0], 0);
	virtqueue_publish(q->vq);
	/* As if it had died behind the store of the used index. */
	inflight_queue_split(q, heads[0])->inflight = 1;
	inflight_queue_split(q, heads[2])->inflight = 1;
	q->split->used_idx = 0;
	start_again(q);
	assert_int_equal(q->split->used_idx, 2);
	assert_int_equal(inflight_queue_pop(q)->head, heads[1]);
	assert_null(virtqueue_pop(q->vq));
}

/* Only as many entries as the queue has heads count: the area may be one for larger queues. */
static void area_for_a_larger_queue_will_do(void **state)
{
	struct inflight_queue *q = *state;
	uint16_t head;

	inflight_queue_boot(q, 8, 0);
	q->driver.setup.size = 8;
	q->split->version = 1;
	q->split->desc_num = 256;
	head = inflight_queue_expose(q, 1);
	inflight_queue_split(q, head)->inflight = 1;
	start_again(q);
	serve(q, head);
}

/*
 * As DPDK leaves it: two chains, of which the ring has lost the first descriptor of the younger
 * one to the used descriptor of another.
 */
static void packed_chains_come_from_the_area(void **state)
{
	struct inflight_queue *q = *state;
	struct virtqueue_chain *chains[3];
	uint16_t names[3];

	inflight_queue_boot(q, 5, PACKED);
	inflight_queue_start(q);
	for (unsigned i = 0; i < 2; i++)
		names[i] = inflight_queue_expose(q, 2);
	names[2] = inflight_queue_expose(q, 1);
	for (unsigned i = 0; i < 3; i++)
		chains[i] = inflight_queue_pop(q);
	virtqueue_push(q->vq, chains[2], 0);
	virtqueue_publish(q->vq);
	inflight_queue_reap(q, names[2]);
	memset(q->driver.packed.desc + 1, 0xee, 2 * sizeof(*q->driver.packed.desc));
	inflight_queue_packed(q, 0)->counter = 9;
	start_again(q);
	for (unsigned i = 0; i < 2; i++) {
		chains[i] = inflight_queue_pop(q);
		assert_int_equal(chains[i]->head, names[1 - i]);
		assert_int_equal(chains[i]->writable_size, 32);
		assert_int_equal(chains[i]->writable_count, 2);
	}
	assert_null(virtqueue_pop(q->vq));
	virtqueue_push(q->vq, chains[0], 0);
	virtqueue_publish(q->vq);
	inflight_queue_reap(q, names[1]);
	virtqueue_push(q->vq, chains[1], 0);
	virtqueue_publish(q->vq);
	inflight_queue_reap(q, names[0]);
}

/* The entries of a chain are linked in any order once the area has been in use for a while. */
static void packed_chain_whose_entries_lie_apart_comes_back(void **state)
{
	struct inflight_queue *q = *state;
	struct virtqueue_chain *chains[4];
	uint16_t names[4], name;

	inflight_queue_boot(q, 4, PACKED);
	inflight_queue_start(q);
	for (unsigned i = 0; i < 4; i++)
		names[i] = inflight_queue_expose(q, 1);
	for (unsigned i = 0; i < 4; i++)
		chains[i] = inflight_queue_pop(q);
	for (unsigned i = 0; i < 4; i++) {
		virtqueue_push(q->vq, chains[(5 - i) % 4], 0);
		virtqueue_publish(q->vq);
		inflight_queue_reap(q, names[(5 - i) % 4]);
	}
	name = inflight_queue_expose(q, 3);
	inflight_queue_pop(q);
	assert_int_equal(inflight_queue_packed(q, 2)->last, 0);
	assert_int_equal(inflight_queue_packed(q, 2)->next, 3);
	start_again(q);
	assert_int_equal(inflight_queue_pop(q)->writable_size, 48);
	assert_null(virtqueue_pop(q->vq));
	start_again(q);
	serve(q, name);
}

/* Long ones, of which few can be held at a time, and with another memory map than they had. */
static void chains_that_are_left_are_as_good_as_any(void **state)
{
	static const uint64_t formats[] = {0, PACKED, IN_ORDER};
	struct inflight_queue *q = *state;

	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		uint16_t names[6];

		inflight_queue_boot(q, 128, formats[i]);
		inflight_queue_start(q);
		for (unsigned j = 0; j < COUNT_OF(names); j++) {
			names[j] = inflight_queue_expose(q, j % 2 > 0 ? 20 : 1);
			inflight_queue_pop(q);
		}
		start_again(q);
		for (unsigned j = 0; j < COUNT_OF(names); j++) {
			struct virtqueue_chain *chain;

			if (j % 3 == 1)
				assert_int_equal(vqsim_memory_replace(&q->memory), 0);
			chain = inflight_queue_pop(q);
			assert_int_equal(chain->head, names[j]);
			assert_int_equal(chain->writable_count, j % 2 > 0 ? 20 : 1);
			virtqueue_push(q->vq, chain, 0);
		}
		virtqueue_publish(q->vq);
		for (unsigned j = 0; j < COUNT_OF(names); j++) {
			struct vqsim_used used;

			assert_int_equal(vqsim_driver_reap(&q->driver, &used), VQSIM_REAP_USED);
			assert_int_equal(used.head, names[j]);
		}
		serve(q, inflight_queue_expose(q, 20));
	}
}

static void driver_hears_of_a_new_backend(void **state)
{
	static const uint64_t formats[] = {0, PACKED, EVENTS, EVENTS | PACKED, IN_ORDER};
	struct inflight_queue *q = *state;

	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		inflight_queue_boot(q, 4, formats[i]);
		vqsim_driver_set_notify(&q->driver, VQSIM_NOTIFY_NEVER);
		inflight_queue_start(q);
		assert_false(virtqueue_publish(q->vq));
		/* The notification of what was used last may have died with the backend. */
		start_again(q);
		assert_true(virtqueue_publish(q->vq));
		assert_false(virtqueue_publish(q->vq));
	}
}

static void forgotten_area_leaves_the_word_to_the_frontend(void **state)
{
	static const uint64_t formats[] = {0, PACKED};
	struct inflight_queue *q = *state;
	struct virtio_queue_state at;

	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		uint16_t name;

		inflight_queue_boot(q, 4, formats[i]);
		inflight_queue_start(q);
		serve(q, inflight_queue_expose(q, 1));
		assert_false(virtqueue_stop(q->vq, &at));
		inflight_forget(q->area);
		name = inflight_queue_expose(q, 1);
		assert_int_equal(inflight_queue_start_at(q, at), 0);
		serve(q, name);
		/* And a driver that begins anew. */
		virtqueue_stop(q->vq, NULL);
		inflight_forget(q->area);
		vqsim_driver_finish(&q->driver);
		assert_int_equal(vqsim_driver_init(&q->driver, &q->memory, 4, formats[i]), 0);
		inflight_queue_start(q);
		serve(q, inflight_queue_expose(q, 1));
	}
}

/*
 * LIFE-25: a ring may have been in use for long when it gets its area; that the used index is not
 * the area's of zeros does not mean that anything was used.
 */
static void area_may_begin_in_the_middle_of_a_ring(void **state)
{
	static const uint64_t formats[] = {0, PACKED};
	struct inflight_queue *q = *state;
	struct virtio_queue_state at;

	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		uint16_t names[2];

		inflight_queue_boot(q, 4, formats[i]);
		assert_int_equal(virtqueue_start(q->vq, &q->driver.setup, formats[i]), 0);
		for (unsigned j = 0; j < 7; j++)
			serve(q, inflight_queue_expose(q, 1));
		virtqueue_stop(q->vq, &at);
		assert_int_equal(inflight_queue_start_at(q, at), 0);
		names[0] = inflight_queue_expose(q, 1);
		names[1] = inflight_queue_expose(q, 1);
		inflight_queue_pop(q);
		start_again(q);
		serve(q, names[0]);
		serve(q, names[1]);
	}
}

/*
 * LIFE-26: a queue that is stopped before it has taken again what was left must not lose it. A
 * driver that begins anew does not want it any more (inflight_forget).
 */
static void chains_that_are_left_survive_a_stop(void **state)
{
	static const uint64_t formats[] = {0, PACKED, IN_ORDER};
	struct inflight_queue *q = *state;

	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		uint16_t names[2];

		inflight_queue_boot(q, 4, formats[i]);
		inflight_queue_start(q);
		names[0] = inflight_queue_expose(q, 1);
		names[1] = inflight_queue_expose(q, 1);
		inflight_queue_pop(q);
		inflight_queue_pop(q);
		start_again(q);
		virtqueue_push(q->vq, inflight_queue_pop(q), 0);
		virtqueue_stop(q->vq, NULL);
		inflight_settle(q->area, q->area_size, formats[i] & PACKED);
		inflight_queue_reap(q, names[0]);
		start_again(q);
		serve(q, names[1]);
		virtqueue_stop(q->vq, NULL);
		inflight_settle(q->area, q->area_size, formats[i] & PACKED);
		assert_int_equal(q->split->version, 0);
	}
}

/* A queue that is stopped in order leaves an area from which the next one goes on too. */
static void area_outlives_an_orderly_stop(void **state)
{
	static const uint64_t formats[] = {0, PACKED, IN_ORDER, IN_ORDER | PACKED};
	struct inflight_queue *q = *state;

	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		inflight_queue_boot(q, 4, formats[i]);
		inflight_queue_start(q);
		for (unsigned j = 0; j < 3; j++)
			serve(q, inflight_queue_expose(q, 2));
		virtqueue_stop(q->vq, NULL);
		start_again(q);
		serve(q, inflight_queue_expose(q, 1));
	}
}

static void stop_says_that_the_driver_waits(void **state)
{
	static const uint64_t formats[] = {0, PACKED, IN_ORDER};
	struct inflight_queue *q = *state;

	for (size_t i = 0; i < COUNT_OF(formats); i++)
		for (unsigned areas = 0; areas < 2; areas++) {
			uint16_t name;

			inflight_queue_boot(q, 4, formats[i]);
			name = inflight_queue_expose(q, 1);
			if (areas)
				inflight_queue_start(q);
			else
				assert_int_equal(
					virtqueue_start(q->vq, &q->driver.setup, formats[i]), 0);
			virtqueue_push(q->vq, inflight_queue_pop(q), 0);
			assert_true(virtqueue_stop(q->vq, NULL));
			inflight_queue_reap(q, name);
			assert_false(virtqueue_stop(q->vq, NULL));
		}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, inflight_queue_setup, inflight_queue_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(split_chains_come_back_in_the_order_of_their_counters),
		TEST(split_batch_that_was_shown_is_not_repeated),
		TEST(area_for_a_larger_queue_will_do),
		TEST(packed_chains_come_from_the_area),
		TEST(packed_chain_whose_entries_lie_apart_comes_back),
		TEST(chains_that_are_left_are_as_good_as_any),
		TEST(driver_hears_of_a_new_backend),
		TEST(forgotten_area_leaves_the_word_to_the_frontend),
		TEST(area_may_begin_in_the_middle_of_a_ring),
		TEST(chains_that_are_left_survive_a_stop),
		TEST(area_outlives_an_orderly_stop),
		TEST(stop_says_that_the_driver_waits),
	};

	return cmocka_run_group_tests_name("inflight_start_test", tests, NULL, NULL);
}
