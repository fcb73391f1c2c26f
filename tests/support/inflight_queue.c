/* SPDX-License-Identifier: BSD-3-Clause */
#include "inflight_queue.h"

#include <stdlib.h>

#define BASE      UINT64_C(0x100000)
#define ELEMENTS  20u
#define PAGE_SIZE 4096u

int inflight_queue_setup(void **state)
{
	static const struct vqsim_region region = {BASE, 256 * 1024};
	struct inflight_queue *q = calloc(1, sizeof(*q));

	assert_non_null(q);
	*state = q;
	assert_int_equal(vqsim_memory_init(&q->memory, &region, 1), 0);
	virtio_device_attach(&q->dev, NULL, NULL, &q->memory.guest);
	q->vq = virtqueue_create(&q->dev);
	assert_non_null(q->vq);
	q->gpa = vqsim_memory_alloc(&q->memory, PAGE_SIZE, 16);
	return 0;
}

int inflight_queue_teardown(void **state)
{
	struct inflight_queue *q = *state;

	virtqueue_destroy(q->vq);
	vqsim_driver_finish(&q->driver);
	assert_null(vqsim_memory_check(&q->memory, NULL));
	vqsim_memory_finish(&q->memory);
	free(q->area);
	free(q);
	return 0;
}

void inflight_queue_boot(struct inflight_queue *q, uint16_t size, uint64_t features)
{
	inflight_queue_die(q);
	vqsim_driver_finish(&q->driver);
	assert_int_equal(vqsim_driver_init(&q->driver, &q->memory, size, features), 0);
	q->features = features;
	free(q->area);
	q->area_size = inflight_area_size(features & PACKED, size);
	q->area = calloc(1, q->area_size);
	assert_non_null(q->area);
}

int inflight_queue_start_at(struct inflight_queue *q, struct virtio_queue_state resume)
{
	struct virtio_queue_setup setup = q->driver.setup;

	setup.resume = resume;
	setup.inflight = q->area;
	setup.inflight_size = q->area_size;
	return virtqueue_start(q->vq, &setup, q->features);
}

void inflight_queue_start(struct inflight_queue *q)
{
	const struct virtio_queue_state fresh = VIRTIO_QUEUE_STATE_FRESH;

	assert_int_equal(inflight_queue_start_at(q, fresh), 0);
}

void inflight_queue_die(struct inflight_queue *q)
{
	virtqueue_destroy(q->vq);
	q->vq = virtqueue_create(&q->dev);
	assert_non_null(q->vq);
}

uint16_t inflight_queue_expose(struct inflight_queue *q, uint16_t count)
{
	struct vqsim_element elements[ELEMENTS];
	const struct vqsim_chain chain = {elements, count, count, 0};
	int name;

	assert_true(count <= ELEMENTS);
	for (uint16_t i = 0; i < count; i++)
		elements[i] = (struct vqsim_element){q->gpa + 32u * i, 16, true};
	name = vqsim_driver_add(&q->driver, &chain, q);
	assert_true(name >= 0);
	vqsim_driver_publish(&q->driver);
	return (uint16_t)name;
}

struct virtqueue_chain *inflight_queue_pop(struct inflight_queue *q)
{
	struct virtqueue_chain *chain = virtqueue_pop(q->vq);

	assert_non_null(chain);
	return chain;
}

void inflight_queue_reap(struct inflight_queue *q, uint16_t name)
{
	struct vqsim_used used;

	assert_int_equal(vqsim_driver_reap(&q->driver, &used), VQSIM_REAP_USED);
	assert_int_equal(used.head, name);
	assert_int_equal(vqsim_driver_reap(&q->driver, &used), VQSIM_REAP_NOTHING);
}

struct inflight_split_entry *inflight_queue_split(struct inflight_queue *q, uint16_t index)
{
	return (struct inflight_split_entry *)(void *)(q->area + sizeof(*q->split)) + index;
}

struct inflight_packed_entry *inflight_queue_packed(struct inflight_queue *q, uint16_t index)
{
	return (struct inflight_packed_entry *)(void *)(q->area + sizeof(*q->packed)) + index;
}
