/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>

#include "packed_queue.h"

int packed_queue_set_up(void **state)
{
	static const struct vqsim_region region = {PACKED_QUEUE_BASE, PACKED_QUEUE_SIZE};
	static struct packed_queue q;

	memset(&q, 0, sizeof(q));
	*state = &q;
	if (vqsim_memory_init(&q.memory, &region, 1))
		return -1;
	virtio_device_attach(&q.dev, NULL, NULL, &q.memory.guest);
	q.vq = virtqueue_create(&q.dev);
	return q.vq ? 0 : -1;
}

int packed_queue_tear_down(void **state)
{
	struct packed_queue *q = *state;

	assert_null(vqsim_memory_check(&q->memory, NULL));
	virtqueue_destroy(q->vq);
	vqsim_memory_finish(&q->memory);
	return 0;
}

void packed_queue_start(struct packed_queue *q, uint16_t size, uint64_t features)
{
	struct virtio_queue_setup *s = &q->setup;

	s->size = size;
	s->desc_gpa = vqsim_memory_alloc(&q->memory, 16 * (uint64_t)size, 16);
	s->driver_gpa = vqsim_memory_alloc(&q->memory, 4, 4);
	s->device_gpa = vqsim_memory_alloc(&q->memory, 4, 4);
	s->resume = (struct virtio_queue_state)VIRTIO_QUEUE_STATE_FRESH;
	q->ring = vqsim_memory_at(&q->memory, s->desc_gpa, 16 * (uint64_t)size);
	q->driver = vqsim_memory_at(&q->memory, s->driver_gpa, 4);
	q->device = vqsim_memory_at(&q->memory, s->device_gpa, 4);
	q->data = vqsim_memory_alloc(&q->memory, 4096, 16);
	q->next = 0;
	q->wrap = true;
	assert_int_equal(virtqueue_start(q->vq, s, PACKED | features), 0);
}

void packed_queue_put(struct vring_packed_desc *desc, uint64_t addr, uint32_t len, uint16_t id,
		      uint16_t flags)
{
	desc->addr = htole64(addr);
	desc->len = htole32(len);
	desc->id = htole16(id);
	desc->flags = htole16(flags);
}

void packed_queue_expose(struct packed_queue *q, uint32_t len, uint16_t id, uint16_t flags)
{
	packed_queue_put(&q->ring[q->next], q->data, len, id, flags | (q->wrap ? AVAIL : USED));
	if (++q->next == q->setup.size) {
		q->next = 0;
		q->wrap = !q->wrap;
	}
}

uint32_t packed_queue_serve(struct packed_queue *q, uint32_t written)
{
	struct virtqueue_chain *chain = virtqueue_pop(q->vq);
	uint32_t count;

	assert_non_null(chain);
	count = chain->readable_count + chain->writable_count;
	virtqueue_push(q->vq, chain, written);
	virtqueue_publish(q->vq);
	return count;
}

void packed_queue_assert_used(const struct packed_queue *q, uint16_t slot, uint16_t id,
			      uint32_t len, uint16_t flags)
{
	assert_int_equal(le16toh(q->ring[slot].flags), flags);
	assert_int_equal(le16toh(q->ring[slot].id), id);
	assert_int_equal(le32toh(q->ring[slot].len), len);
}
