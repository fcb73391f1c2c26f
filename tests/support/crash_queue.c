/* SPDX-License-Identifier: BSD-3-Clause */
#include "crash_queue.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "devices/inflight.h"
#include "each_store.h"

#define BASE UINT64_C(0x100000)

/* What a request has in guest memory. */
struct request {
	uint32_t number;
	uint32_t answer;
	struct vring_desc table[2]; /* room for one of either format */
};

#define ANSWER(number) ((number) ^ UINT32_C(0x5aa5f00d))

/* More than this makes no sense: each request takes a few. */
#define STEPS_MAX 100000u

void crash_queue_init(struct crash_queue *q, const struct crash_options *options)
{
	static const struct vqsim_region region = {BASE, CRASH_MEMORY};

	memset(q, 0, sizeof(*q));
	q->options = *options;
	assert_int_equal(vqsim_memory_init(&q->memory, &region, 1), 0);
	virtio_device_attach(&q->dev, NULL, NULL, &q->memory.guest);
	q->gpa = vqsim_memory_alloc(&q->memory, CRASH_REQUESTS * sizeof(struct request), 16);
	assert_int_equal(
		vqsim_driver_init(&q->driver, &q->memory, options->size, options->features), 0);
	vqsim_schedule_seed(&q->schedule, options->seed);
	assert_true(inflight_area_size(true, options->size) <= CRASH_AREA_SIZE);
	q->area = mmap(NULL, EACH_STORE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	assert_true(q->area != MAP_FAILED);
}

void crash_queue_finish(struct crash_queue *q)
{
	crash_queue_die(q);
	vqsim_driver_finish(&q->driver);
	assert_null(vqsim_memory_check(&q->memory, NULL));
	vqsim_memory_finish(&q->memory);
	munmap(q->area, EACH_STORE_PAGE);
	free(q->states);
}

/* Remember what a process that dies here leaves. Runs within the handler of a trap. */
static void remember(void *opaque)
{
	struct crash_queue *q = opaque;
	struct crash_state *state = &q->states[q->count];

	if (q->count == q->room)
		return;
	q->count++;
	state->driver = q->driver;
	memcpy(state->slots, q->driver.slots, q->options.size * sizeof(state->slots[0]));
	state->exposed = q->exposed;
	memcpy(state->returned, q->returned, sizeof(state->returned));
	memcpy(state->memory, q->memory.mappings[0].driver, CRASH_MEMORY);
	memcpy(state->area, q->area, CRASH_AREA_SIZE);
}

static void watch_begin(struct crash_queue *q)
{
	const struct each_store each = {
		.pages = {q->memory.mappings[0].device, q->area},
		.changed = remember,
		.opaque = q,
	};

	if (q->room > 0)
		each_store_begin(&each);
}

static void watch_end(struct crash_queue *q)
{
	if (q->room == 0)
		return;
	each_store_end();
	remember(q);
}

void crash_queue_restore(struct crash_queue *q, const struct crash_state *state)
{
	struct vqsim_driver_slot *slots = q->driver.slots;

	q->driver = state->driver;
	q->driver.slots = slots;
	memcpy(slots, state->slots, q->options.size * sizeof(slots[0]));
	q->exposed = state->exposed;
	memcpy(q->returned, state->returned, sizeof(q->returned));
	memcpy(q->memory.mappings[0].driver, state->memory, CRASH_MEMORY);
	memcpy(q->area, state->area, CRASH_AREA_SIZE);
}

void crash_queue_start(struct crash_queue *q)
{
	struct virtio_queue_setup setup = q->driver.setup;
	int error;

	setup.inflight = q->area;
	setup.inflight_size = CRASH_AREA_SIZE;
	q->vq = virtqueue_create(&q->dev);
	assert_non_null(q->vq);
	q->last_popped = -1;
	q->held_count = 0;
	watch_begin(q);
	error = virtqueue_start(q->vq, &setup, q->options.features);
	watch_end(q);
	assert_int_equal(error, 0);
}

void crash_queue_die(struct crash_queue *q)
{
	virtqueue_destroy(q->vq);
	q->vq = NULL;
}

/* Driver */

static struct request *request_at(struct crash_queue *q, unsigned number)
{
	return vqsim_memory_at(&q->memory, q->gpa + number * sizeof(struct request),
			       sizeof(struct request));
}

void crash_queue_expose(struct crash_queue *q)
{
	uint64_t gpa = q->gpa + q->exposed * sizeof(struct request);
	const struct vqsim_element elements[] = {
		{gpa + offsetof(struct request, number), 4, false},
		{gpa + offsetof(struct request, answer), 4, true},
	};
	struct vqsim_chain chain = {elements, 2, 2, gpa + offsetof(struct request, table)};

	if (q->exposed == CRASH_REQUESTS)
		return;
	if (q->options.tables && q->exposed % 2 > 0)
		chain.direct = 0;
	request_at(q, q->exposed)->number = q->exposed;
	if (vqsim_driver_add(&q->driver, &chain, &q->returned[q->exposed]) < 0)
		return;
	q->exposed++;
	vqsim_driver_publish(&q->driver);
}

void crash_queue_reap(struct crash_queue *q)
{
	enum vqsim_reap reap;
	struct vqsim_used used;

	while ((reap = vqsim_driver_reap(&q->driver, &used)) != VQSIM_REAP_NOTHING) {
		uint8_t *returned = used.token;
		uint32_t number = (uint32_t)(returned - q->returned);

		assert_int_equal(reap, VQSIM_REAP_USED);
		assert_false(used.batched);
		assert_int_equal(used.len, 4);
		assert_true(number < q->exposed);
		assert_int_equal(++*returned, 1);
		assert_int_equal(request_at(q, number)->answer, ANSWER(number));
	}
}

/* Device */

static uint32_t number_of(const struct virtqueue_chain *chain)
{
	uint32_t number;

	assert_int_equal(chain->readable_size, 4);
	assert_int_equal(chain->writable_size, 4);
	memcpy(&number, chain->iov[0].iov_base, sizeof(number));
	return number;
}

static void pop(struct crash_queue *q)
{
	struct virtqueue_chain *chain;

	watch_begin(q);
	chain = virtqueue_pop(q->vq);
	watch_end(q);
	assert_int_equal(virtqueue_broken(q->vq), VIRTQUEUE_OK);
	if (!chain)
		return;
	/* What was left comes first, and all in the order of their exposure. */
	assert_true((int)number_of(chain) > q->last_popped);
	q->last_popped = (int)number_of(chain);
	q->held[q->held_count++] = chain;
}

static void push(struct crash_queue *q)
{
	unsigned which;
	uint32_t answer;

	if (q->held_count == 0)
		return;
	which = vqsim_schedule_choose(&q->schedule, q->held_count);
	answer = ANSWER(number_of(q->held[which]));
	memcpy(q->held[which]->iov[1].iov_base, &answer, sizeof(answer));
	watch_begin(q);
	virtqueue_push(q->vq, q->held[which], 4);
	watch_end(q);
	q->held[which] = q->held[--q->held_count];
}

static void publish(struct crash_queue *q)
{
	watch_begin(q);
	virtqueue_publish(q->vq);
	watch_end(q);
}

void crash_queue_step(struct crash_queue *q)
{
	switch (vqsim_schedule_choose(&q->schedule, 8)) {
	case 0:
	case 1:
		crash_queue_expose(q);
		break;
	case 2:
	case 3:
		pop(q);
		break;
	case 4:
	case 5:
		push(q);
		break;
	case 6:
		publish(q);
		break;
	default:
		crash_queue_reap(q);
	}
}

static unsigned returned(const struct crash_queue *q)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CRASH_REQUESTS; i++)
		count += q->returned[i];
	return count;
}

void crash_queue_run(struct crash_queue *q)
{
	for (unsigned i = 0; returned(q) < CRASH_REQUESTS; i++) {
		assert_true(i < STEPS_MAX);
		crash_queue_step(q);
	}
	assert_int_equal(virtqueue_in_flight(q->vq), 0);
	assert_null(virtqueue_pop(q->vq));
}
