/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LIFE-23, LIFE-26: a device dies behind any of its stores, and another one goes on with its
 * inflight area: the driver gets every request back once, and never a second time. For both ring
 * formats, with every order of use, tables, events and IN_ORDER.
 */
#include <stdlib.h>

#include "tests/support/crash_queue.h"
#include "tests/support/each_store.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define PACKED   VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENTS   VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define IN_ORDER VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)
#define TABLES   VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

#define STATES_MAX 6000u

/* Each so many-th recovery dies itself, behind each of its stores. */
#define TWICE 83u

struct row {
	const char *name;
	uint64_t features;
	uint16_t size;
};

/* A packed ring of five, so that chains of two wrap at every place. */
static const struct row rows[] = {
	{"split", 0, 4},
	{"split_of_eight", EVENTS, 8},
	{"split_with_tables", TABLES, 4},
	{"split_in_order", IN_ORDER | TABLES | EVENTS, 8},
	{"packed", PACKED, 5},
	{"packed_of_eight", PACKED | EVENTS, 8},
	{"packed_whole_ring", PACKED, 2},
	{"packed_with_tables", PACKED | TABLES, 5},
	{"packed_in_order", PACKED | IN_ORDER | TABLES, 5},
};

static void make_room(struct crash_queue *q, size_t room)
{
	q->states = calloc(room, sizeof(*q->states));
	assert_non_null(q->states);
	q->room = room;
}

/* Go on from a state. The driver may do this or that before a device is there again. */
static void go_on(struct crash_queue *q, const struct crash_state *state, unsigned variation)
{
	crash_queue_die(q);
	crash_queue_restore(q, state);
	if (variation & 1)
		crash_queue_reap(q);
	if (variation & 2)
		crash_queue_expose(q);
	crash_queue_start(q);
	crash_queue_run(q);
}

static void die_twice(struct crash_queue *q, const struct crash_state *state, unsigned variation)
{
	make_room(q, STATES_MAX);
	q->count = 0;
	go_on(q, state, variation);
	q->room = 0;
	assert_true(q->count > 0);
	for (size_t i = 0; i < q->count; i++)
		go_on(q, &q->states[i], (unsigned)i);
	free(q->states);
	q->states = NULL;
}

static void every_store_may_be_the_last(void **state)
{
	const struct row *row = *state;
	struct crash_state *first;
	struct crash_queue q;
	size_t count;

	if (!each_store_possible())
		skip();
	for (uint64_t seed = 1; seed <= 2; seed++) {
		const struct crash_options options = {row->features, row->size,
						      (row->features & TABLES) != 0, seed};

		crash_queue_init(&q, &options);
		make_room(&q, STATES_MAX);
		crash_queue_start(&q);
		crash_queue_run(&q);
		assert_true(q.count > 100 && q.count < q.room);
		first = q.states;
		count = q.count;
		q.states = NULL;
		q.room = 0;
		for (size_t i = 0; i < count; i++) {
			go_on(&q, &first[i], (unsigned)i);
			if (i % TWICE == seed)
				die_twice(&q, &first[i], (unsigned)i);
		}
		free(first);
		crash_queue_finish(&q);
	}
}

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(rows)];

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = every_store_may_be_the_last,
			.initial_state = (void *)(uintptr_t)&rows[i],
		};
	return cmocka_run_group_tests_name("inflight_crash_test", tests, NULL, NULL);
}
