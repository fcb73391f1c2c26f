/* SPDX-License-Identifier: BSD-3-Clause */
#include "order_pair.h"

#include <endian.h>

#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1u << VRING_PACKED_DESC_F_USED)

/* A split entry that no device wrote. */
#define UNUSED 0xffffffffu

static int set_up(void **state, bool packed)
{
	static const struct vqsim_region regions[] = {{ORDER_BASE, ORDER_SIZE},
						      {ORDER_APART, ORDER_SIZE}};
	static const struct virtio_transport_ops transport_ops;
	static struct order_pair p;

	memset(&p, 0, sizeof(p));
	*state = &p;
	p.packed = packed;
	p.buffers = ORDER_BASE + ORDER_SIZE - 4096;
	if (vqsim_memory_init(&p.memory, regions, 2))
		return -1;
	p.empty = vqsim_memory_mark(&p.memory);
	virtio_device_attach(&p.dev, &transport_ops, &p, &p.memory.guest);
	p.vq = virtqueue_create(&p.dev);
	return p.vq ? 0 : -1;
}

int order_set_up_split(void **state)
{
	return set_up(state, false);
}

int order_set_up_packed(void **state)
{
	return set_up(state, true);
}

int order_tear_down(void **state)
{
	struct order_pair *p = *state;

	virtqueue_destroy(p->vq);
	vqsim_driver_finish(&p->driver);
	vqsim_memory_finish(&p->memory);
	return 0;
}

void order_start(struct order_pair *p, uint16_t size, uint64_t more)
{
	uint64_t features =
		VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER) | more;

	if (p->packed)
		features |= VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	assert_int_equal(vqsim_driver_init(&p->driver, &p->memory, size, features), 0);
	assert_int_equal(virtqueue_start(p->vq, &p->driver.setup, features), 0);
}

void order_finish(struct order_pair *p)
{
	virtqueue_stop(p->vq, NULL);
	vqsim_driver_finish(&p->driver);
	vqsim_memory_rewind(&p->memory, &p->empty);
}

static bool expose(struct order_pair *p, unsigned i, uint16_t count, bool write)
{
	struct vqsim_element elements[64];
	const struct vqsim_chain chain = {elements, count, count, 0};

	for (uint16_t k = 0; k < count; k++)
		elements[k] = (struct vqsim_element){p->buffers + ORDER_BUFFER * (uint64_t)k,
						     ORDER_BUFFER, write};
	p->ids[i] = vqsim_driver_add(&p->driver, &chain, &p->tokens[i]);
	if (p->ids[i] < 0)
		return false;
	vqsim_driver_publish(&p->driver);
	p->lengths[i] = count;
	p->sizes[i] = write ? ORDER_BUFFER * count : 0;
	return true;
}

void order_expose(struct order_pair *p, unsigned i, uint16_t count)
{
	assert_true(expose(p, i, count, true));
}

void order_expose_readable(struct order_pair *p, unsigned i)
{
	assert_true(expose(p, i, 1, false));
}

void order_pop(struct order_pair *p, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		p->chains[i] = virtqueue_pop(p->vq);
		assert_non_null(p->chains[i]);
		assert_int_equal(p->chains[i]->head, p->ids[i]);
	}
}

uint32_t order_written(const struct order_pair *p, unsigned i, bool full)
{
	return p->sizes[i] - !full;
}

void order_push(struct order_pair *p, unsigned i, bool full)
{
	virtqueue_push(p->vq, p->chains[i], order_written(p, i, full));
}

void order_reap(struct order_pair *p, unsigned count)
{
	struct vqsim_used used;

	while (count-- > 0)
		assert_int_equal(vqsim_driver_reap(&p->driver, &used), VQSIM_REAP_USED);
	assert_int_equal(vqsim_driver_reap(&p->driver, &used), VQSIM_REAP_NOTHING);
}

/* The ring */

void order_mark_unused(struct order_pair *p)
{
	size_t size = p->driver.setup.size;

	if (p->packed)
		memcpy(p->before, p->driver.packed.desc, size * sizeof(p->before[0]));
	else
		memset(p->driver.ring.used->ring, 0xff, size * sizeof(struct vring_used_elem));
}

/* Packed: where the list of a chain starts. */
static const struct vring_packed_desc *place_of(const struct order_pair *p, unsigned place,
						unsigned *slot)
{
	*slot = 0;
	while (place-- > 0)
		*slot += p->lengths[place];
	return &p->driver.packed.desc[*slot];
}

void order_assert_untouched(const struct order_pair *p, unsigned place)
{
	const struct vring_packed_desc *desc;
	unsigned slot;

	if (!p->packed) {
		assert_int_equal(p->driver.ring.used->ring[place].id, UNUSED);
		assert_int_equal(p->driver.ring.used->ring[place].len, UNUSED);
		return;
	}
	desc = place_of(p, place, &slot);
	for (unsigned i = 0; i < p->lengths[place]; i++)
		assert_memory_equal(&desc[i], &p->before[slot + i], sizeof(*desc));
}

void order_assert_entry(const struct order_pair *p, unsigned place, unsigned chain, uint32_t len)
{
	const struct vring_packed_desc *desc;
	uint16_t flags = F_AVAIL | F_USED | (len > 0 ? VRING_DESC_F_WRITE : 0);
	unsigned slot;

	if (!p->packed) {
		assert_int_equal(le32toh(p->driver.ring.used->ring[place].id), p->ids[chain]);
		assert_int_equal(le32toh(p->driver.ring.used->ring[place].len), len);
		return;
	}
	desc = place_of(p, place, &slot);
	assert_int_equal(le16toh(desc->id), p->ids[chain]);
	assert_int_equal(le32toh(desc->len), len);
	assert_int_equal(le16toh(desc->flags), flags);
	for (unsigned i = 1; i < p->lengths[place]; i++)
		assert_memory_equal(&desc[i], &p->before[slot + i], sizeof(*desc));
}

void order_assert_shown(struct order_pair *p, unsigned count)
{
	if (!p->packed)
		assert_int_equal(le16toh(p->driver.ring.used->idx), count);
	order_reap(p, count);
}

void order_want(struct order_pair *p, unsigned event)
{
	uint16_t size = p->driver.setup.size;
	uint16_t wrap = event / size % 2 ? 0 : 0x8000;

	if (!p->packed) {
		*p->driver.ring.used_event = htole16((uint16_t)event);
		return;
	}
	p->driver.packed.driver->off_wrap = htole16((uint16_t)(event % size | wrap));
	p->driver.packed.driver->flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
}

/* Random steps */

/* Chains are numbered on and on; number modulo ORDER_MAX is the one they have in the pair. */
struct walk {
	struct order_pair *p;
	uint32_t random;
	unsigned exposed, taken, freed, reaped;
	uint32_t written[ORDER_MAX];
	uint16_t slots[ORDER_MAX];
	bool done[ORDER_MAX];
	bool slot_in_use[ORDER_MAX];
};

static uint32_t below(struct walk *w, uint32_t limit)
{
	w->random = w->random * UINT32_C(1664525) + UINT32_C(1013904223);
	return (w->random >> 8) % limit;
}

static void walk_expose(struct walk *w)
{
	uint16_t size = w->p->driver.setup.size;

	w->exposed += expose(w->p, w->exposed % ORDER_MAX,
			     (uint16_t)(1 + below(w, size < 3 ? size : 3)), below(w, 4) > 0);
}

static void walk_take(struct walk *w)
{
	struct virtqueue_chain *chain = virtqueue_pop(w->p->vq);
	unsigned i = w->taken % ORDER_MAX;

	assert_int_equal(virtqueue_broken(w->p->vq), VIRTQUEUE_OK);
	assert_int_equal(chain != NULL, w->taken != w->exposed);
	if (!chain)
		return;
	assert_int_equal(chain->head, w->p->ids[i]);
	assert_int_equal(chain->writable_size, w->p->sizes[i]);
	assert_false(w->slot_in_use[chain->slot]);
	w->slot_in_use[chain->slot] = true;
	w->p->chains[i] = chain;
	w->slots[i] = chain->slot;
	w->done[i] = false;
	w->taken++;
}

/* Half of the chains in full, the others with any length. */
static void finish(struct walk *w, unsigned number)
{
	unsigned i = number % ORDER_MAX;
	uint32_t size = w->p->sizes[i];

	w->written[i] = below(w, 2) ? size : below(w, size + 1);
	w->done[i] = true;
	virtqueue_push(w->p->vq, w->p->chains[i], w->written[i]);
	while (w->freed != w->taken && w->done[w->freed % ORDER_MAX])
		w->slot_in_use[w->slots[w->freed++ % ORDER_MAX]] = false;
	assert_int_equal(virtqueue_in_flight(w->p->vq), w->taken - w->freed);
}

static void walk_push(struct walk *w)
{
	unsigned number = w->reaped + (w->taken == w->reaped ? 0 : below(w, w->taken - w->reaped));

	if (number != w->taken && !w->done[number % ORDER_MAX])
		finish(w, number);
}

static void walk_reap(struct walk *w)
{
	struct vqsim_used used;

	virtqueue_publish(w->p->vq);
	for (;;) {
		unsigned i = w->reaped % ORDER_MAX;
		bool done = w->reaped != w->taken && w->done[i];

		assert_int_equal(vqsim_driver_reap(&w->p->driver, &used),
				 done ? VQSIM_REAP_USED : VQSIM_REAP_NOTHING);
		if (!done)
			return;
		assert_ptr_equal(used.token, &w->p->tokens[i]);
		assert_int_equal(used.batched ? w->p->sizes[i] : used.len, w->written[i]);
		w->reaped++;
	}
}

void order_random(struct order_pair *p, unsigned steps, uint32_t seed)
{
	static void (*const step[])(struct walk *) = {
		walk_expose, walk_expose, walk_take, walk_take, walk_push, walk_push, walk_reap};
	struct walk w = {.p = p, .random = seed};

	while (steps-- > 0)
		step[below(&w, sizeof(step) / sizeof(step[0]))](&w);
	while (w.taken != w.exposed)
		walk_take(&w);
	for (unsigned number = w.taken; number-- > w.reaped;)
		if (!w.done[number % ORDER_MAX])
			finish(&w, number);
	walk_reap(&w);
	assert_int_equal(w.reaped, w.exposed);
	assert_true(w.reaped > 1000);
	assert_int_equal(virtqueue_in_flight(p->vq), 0);
}
