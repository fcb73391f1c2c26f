/* SPDX-License-Identifier: BSD-3-Clause */
#include "packed_pair.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BUFFER 512u
#define TABLE  (16u * 16u)

static void forget(void *opaque, const struct vqsim_violation *violation)
{
	(void)opaque;
	(void)violation;
}

static uint64_t buffer_gpa(const struct packed_pair *p, uint16_t id, bool write)
{
	return p->buffers + (2u * id + write) * BUFFER;
}

static uint8_t *bytes_of(struct packed_pair *p, uint16_t id, bool write)
{
	return vqsim_memory_at(&p->memory, buffer_gpa(p, id, write), BUFFER);
}

/* The same bytes as a device sees them: memcheck keeps them apart. */
static uint8_t *device_bytes_of(struct packed_pair *p, uint16_t id, bool write)
{
	const struct vqsim_mapping *mapping = &p->memory.mappings[0];

	return mapping->device + (buffer_gpa(p, id, write) - mapping->range.gpa);
}

void pair_make(struct packed_pair *p, uint16_t size, uint64_t features, enum pair_fault fault)
{
	static const struct vqsim_region region = {0x100000, 4u << 20};

	memset(p, 0, sizeof(*p));
	assert_int_equal(vqsim_memory_init(&p->memory, &region, 1), 0);
	assert_int_equal(vqsim_referee_init(&p->referee, &p->memory), 0);
	p->referee.sink = forget;
	p->fault = fault;
	p->size = p->setup.size = size;
	p->features = features | VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	p->setup.desc_gpa = vqsim_memory_alloc(&p->memory, 16u * size, 16);
	p->setup.driver_gpa = vqsim_memory_alloc(&p->memory, 4, 4);
	p->setup.device_gpa = vqsim_memory_alloc(&p->memory, 4, 4);
	p->setup.resume = (struct virtio_queue_state)VIRTIO_QUEUE_STATE_FRESH;
	p->buffers = vqsim_memory_alloc(&p->memory, PAIR_IDS * 2u * BUFFER, 16);
	p->tables = vqsim_memory_alloc(&p->memory, PAIR_IDS * TABLE, 16);
	p->ring = vqsim_memory_at(&p->memory, p->setup.desc_gpa, 16u * size);
	p->driver = vqsim_memory_at(&p->memory, p->setup.driver_gpa, 4);
	p->device = vqsim_memory_at(&p->memory, p->setup.device_gpa, 4);
	p->next_wrap = p->used_wrap = 1;
	assert_int_equal(vqsim_referee_set_up(&p->referee, p->features, &p->setup, 1), 0);
	vqsim_referee_before_driver_ok(&p->referee, 0, 0);
}

void pair_finish(struct packed_pair *p)
{
	vqsim_referee_finish(&p->referee);
	vqsim_memory_finish(&p->memory);
}

/* --- the driver --- */

static struct vring_packed_desc buffer_desc(const struct packed_pair *p, uint16_t id, unsigned i,
					    unsigned readable)
{
	bool write = i >= readable;

	return (struct vring_packed_desc){
		.addr = htole64(buffer_gpa(p, id, write) + (write ? i - readable : i) * PAIR_PART),
		.len = htole32(PAIR_PART),
		.id = htole16(id),
		.flags = htole16(write ? VRING_DESC_F_WRITE : 0),
	};
}

static void slot_write(struct packed_pair *p, struct vring_packed_desc desc, uint16_t flags)
{
	flags |= p->next_wrap ? 0x80 : 0x8000;
	desc.flags |= htole16(flags);
	p->ring[p->next] = desc;
	if (++p->next == p->size) {
		p->next = 0;
		p->next_wrap ^= 1;
	}
}

static void add_table(struct packed_pair *p, uint16_t id, unsigned readable, unsigned count)
{
	uint64_t gpa = p->tables + id * TABLE;
	struct vring_packed_desc *table = vqsim_memory_at(&p->memory, gpa, TABLE);
	struct vring_packed_desc desc = {
		.addr = htole64(gpa), .len = htole32(count * 16), .id = htole16(id)};

	for (unsigned i = 0; i < count; i++)
		table[i] = buffer_desc(p, id, i, readable);
	slot_write(p, desc, VRING_DESC_F_INDIRECT);
}

void pair_add(struct packed_pair *p, uint16_t id, unsigned readable, unsigned writable,
	      bool indirect)
{
	unsigned count = readable + writable;

	memset(bytes_of(p, id, true), p->referee.prefill, BUFFER);
	if (indirect)
		add_table(p, id, readable, count);
	for (unsigned i = 0; !indirect && i < count; i++)
		slot_write(p, buffer_desc(p, id, i, readable),
			   i + 1 < count ? VRING_DESC_F_NEXT : 0);
	p->slots[id] = indirect ? 1 : (uint16_t)count;
	p->writable[id] = (uint16_t)(writable * PAIR_PART);
	p->waiting[p->waiting_count++] = id;
	if (p->fault == PAIR_BATCH_SHORT && p->waiting_count == 1)
		writable--;
	if (!p->untold)
		vqsim_referee_expect_len(&p->referee, 0, id, writable * PAIR_PART);
	vqsim_referee_published(&p->referee, 0);
}

void pair_want(struct packed_pair *p, uint16_t flags, uint16_t off, bool wrap)
{
	p->driver->flags = htole16(flags);
	p->driver->off_wrap = htole16((uint16_t)(off | wrap << 15));
}

/* --- the device --- */

/* Knows the driver's layout, so that it need not read the ring. */
static uint32_t serve(struct packed_pair *p, uint16_t id, uint32_t writable)
{
	struct vring_packed_desc *table =
		vqsim_memory_at(&p->memory, p->tables + id * TABLE, TABLE);

	memset(device_bytes_of(p, id, true), 0x77, writable - (p->fault == PAIR_UNWRITTEN));
	if (p->fault == PAIR_TABLE)
		table[0].len = 0;
	if (p->fault == PAIR_READABLE)
		device_bytes_of(p, id, false)[0] ^= 1;
	return writable;
}

static void used_write(struct packed_pair *p, uint16_t slot, uint16_t id, uint32_t len)
{
	uint16_t flags = p->used_wrap ? 0x8080 : 0;

	if (len && p->fault != PAIR_NO_WRITE)
		flags |= VRING_DESC_F_WRITE;
	p->ring[slot].id = htole16(p->fault == PAIR_ID ? id + 1 : id);
	p->ring[slot].len =
		htole32(len + (p->fault == PAIR_LEN_LARGE) - (p->fault == PAIR_LEN_SMALL));
	p->ring[slot].flags = htole16(flags);
}

static void used_skip(struct packed_pair *p, uint16_t slots)
{
	p->used += slots;
	if (p->used < p->size)
		return;
	p->used -= p->size;
	p->used_wrap ^= p->fault != PAIR_NO_TOGGLE;
}

static void use(struct packed_pair *p, uint16_t id, uint32_t len)
{
	uint16_t slot = (p->used + (p->fault == PAIR_POSITION)) % p->size;
	uint16_t end = (p->used + p->slots[id] - 1) % p->size;

	used_write(p, slot, id, len);
	if (p->fault == PAIR_FILL)
		p->ring[end].flags = p->ring[slot].flags;
	p->last = slot;
	used_skip(p, p->slots[id]);
}

static void use_batch(struct packed_pair *p)
{
	uint16_t id = p->waiting[p->waiting_count - 1];
	uint16_t slots = 0;

	for (uint16_t i = 0; i < p->waiting_count; i++) {
		serve(p, p->waiting[i], p->writable[p->waiting[i]]);
		slots += p->slots[p->waiting[i]];
	}
	used_write(p, p->used, id, p->writable[id]);
	used_skip(p, slots);
}

static void use_all(struct packed_pair *p)
{
	uint16_t count = p->waiting_count;

	if (p->fault == PAIR_TOUCH && p->notifications)
		p->ring[p->last].len ^= 1;
	if (count && (p->fault == PAIR_BATCH || p->fault == PAIR_BATCH_SHORT)) {
		use_batch(p);
		return;
	}
	for (uint16_t i = p->fault == PAIR_DROP; i < count; i++) {
		uint16_t id = p->waiting[p->fault == PAIR_OUT_OF_ORDER ? count - 1u - i : i];

		use(p, id, serve(p, id, p->writable[id]));
	}
	if (p->fault == PAIR_EXTRA && count == 0)
		used_write(p, p->used, 0, 0);
}

static void areas(struct packed_pair *p)
{
	uint16_t here = (uint16_t)(p->next | p->next_wrap << 15);

	if (p->fault == PAIR_DRIVER_AREA)
		p->driver->off_wrap ^= 1;
	if (p->fault == PAIR_EVENT_RESERVED)
		p->device->flags = htole16(3);
	if (p->fault == PAIR_EVENT_DESC || p->fault == PAIR_EVENT_STALE)
		p->device->flags = htole16(2);
	if (p->fault == PAIR_EVENT_DESC)
		p->device->off_wrap = htole16(here);
	if (p->fault == PAIR_EVENT_DISABLE)
		p->device->flags = htole16(1);
	if (p->fault == PAIR_EVENT_HIGH_BITS)
		p->device->flags = htole16(4);
}

/* Slot by slot, so that nothing is to be understood. */
static bool event_passed(const struct packed_pair *p, uint16_t slot, uint16_t wrap)
{
	uint16_t event = le16toh(p->driver->off_wrap);

	while (slot != p->used || wrap != p->used_wrap) {
		if (event == (slot | wrap << 15))
			return true;
		if (++slot == p->size) {
			slot = 0;
			wrap ^= 1;
		}
	}
	return false;
}

static bool notification_due(const struct packed_pair *p, uint16_t slot, uint16_t wrap)
{
	if (p->fault == PAIR_NO_NOTIFICATION)
		return false;
	if (slot == p->used && wrap == p->used_wrap)
		return p->fault == PAIR_IDLE_NOTIFICATION;
	if (p->fault == PAIR_MUCH_NOTIFICATION || p->driver->flags == 0)
		return true;
	return le16toh(p->driver->flags) == 2 && event_passed(p, slot, wrap);
}

void pair_run(struct packed_pair *p)
{
	uint16_t slot = p->used, wrap = p->used_wrap;

	vqsim_referee_before_run(&p->referee, 0);
	use_all(p);
	p->notifications += notification_due(p, slot, wrap);
	areas(p);
	vqsim_referee_ran(&p->referee, 0, VIRTIO_IDLE, p->notifications, VIRTIO_CONFIG_S_DRIVER_OK,
			  0);
	for (; p->waiting_count > 0; p->waiting_count--)
		vqsim_referee_reaped(&p->referee, 0);
}
