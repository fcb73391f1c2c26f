/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An inflight area is the frontend's, and it may write anything there at any time. Seeded: areas of
 * random bytes, and areas of a queue that has run, with some fields changed, before the start and
 * while the queue runs. The start refuses, or the queue works or breaks; nothing outside of the
 * area is touched (a sanitizer sees that), and nothing runs for ever.
 */
#include <errno.h>

#include "tests/support/inflight_queue.h"
#include "vqsim/schedule.h"

#define ROUNDS 10000u

static const struct {
	uint64_t features;
	uint16_t size;
} rows[] = {
	{0, 4},
	{EVENTS, 16},
	{TABLES | IN_ORDER, 8},
	{PACKED, 5},
	{PACKED | EVENTS | TABLES, 8},
	{PACKED | IN_ORDER, 3},
};

struct hostile {
	struct inflight_queue *q;
	struct vqsim_schedule schedule;
	struct virtqueue_chain *held[16];
	unsigned held_count;
	unsigned refused;
};

static unsigned choose(struct hostile *h, unsigned count)
{
	return vqsim_schedule_choose(&h->schedule, count);
}

/* Values at which something ends, more often than by chance. */
static uint8_t byte(struct hostile *h)
{
	static const uint8_t ends[] = {0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 0x7f, 0x80, 0xff};

	return choose(h, 4) > 0 ? ends[choose(h, COUNT_OF(ends))] : (uint8_t)choose(h, 256);
}

static void spoil(struct hostile *h, unsigned most)
{
	for (unsigned left = choose(h, most); left > 0; left--)
		h->q->area[choose(h, (unsigned)h->q->area_size)] = byte(h);
}

static void randomise(struct hostile *h)
{
	for (size_t i = 0; i < h->q->area_size; i++)
		h->q->area[i] = byte(h);
	h->q->split->features = 0;
	h->q->split->version = 1;
	h->q->split->desc_num = h->q->driver.setup.size;
}

/* The driver obeys the rules, as far as the device lets it. */
static void drive(struct hostile *h)
{
	struct vqsim_used used;

	if (choose(h, 2) > 0 && h->q->driver.free_count >= 2)
		inflight_queue_expose(h->q, 1 + (uint16_t)choose(h, 2));
	else
		vqsim_driver_reap(&h->q->driver, &used);
}

static void serve(struct hostile *h)
{
	struct virtqueue_chain *chain;
	unsigned which;

	switch (choose(h, 4)) {
	case 0:
	case 1:
		chain = virtqueue_pop(h->q->vq);
		if (chain)
			h->held[h->held_count++] = chain;
		break;
	case 2:
		if (h->held_count == 0)
			break;
		which = choose(h, h->held_count);
		virtqueue_push(h->q->vq, h->held[which], 0);
		h->held[which] = h->held[--h->held_count];
		break;
	default:
		virtqueue_publish(h->q->vq);
	}
}

/* What was begun in order, or not at all. */
static void prepare(struct hostile *h)
{
	struct inflight_queue *q = h->q;
	const struct virtio_queue_state fresh = VIRTIO_QUEUE_STATE_FRESH;

	if (choose(h, 8) == 0) {
		randomise(h);
		return;
	}
	if (inflight_queue_start_at(q, fresh) != 0)
		return;
	h->held_count = 0;
	for (unsigned i = choose(h, 40); i > 0; i--) {
		drive(h);
		serve(h);
	}
	inflight_queue_die(q);
	spoil(h, 4);
}

static void round_of(struct hostile *h)
{
	const struct virtio_queue_state fresh = VIRTIO_QUEUE_STATE_FRESH;
	int error;

	prepare(h);
	error = inflight_queue_start_at(h->q, fresh);
	assert_true(error == 0 || error == -EINVAL);
	h->refused += error != 0;
	h->held_count = 0;
	for (unsigned i = choose(h, 60); error == 0 && i > 0; i--) {
		drive(h);
		serve(h);
		if (choose(h, 4) == 0)
			spoil(h, 3);
	}
	assert_true(h->held_count <= h->q->driver.setup.size);
	inflight_queue_die(h->q);
}

static void area_may_say_anything(void **state)
{
	struct hostile h = {.q = *state};

	vqsim_schedule_seed(&h.schedule, 20260101);
	for (unsigned i = 0; i < ROUNDS; i++) {
		const struct vqsim_memory_mark mark = vqsim_memory_mark(&h.q->memory);

		inflight_queue_boot(h.q, rows[i % COUNT_OF(rows)].size,
				    rows[i % COUNT_OF(rows)].features);
		round_of(&h);
		vqsim_memory_rewind(&h.q->memory, &mark);
	}
	/* Neither all refused nor none: the rounds are worth something. */
	assert_true(h.refused > ROUNDS / 20 && h.refused < ROUNDS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(area_may_say_anything, inflight_queue_setup,
						inflight_queue_teardown),
	};

	return cmocka_run_group_tests_name("inflight_hostile_test", tests, NULL, NULL);
}
