/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver side of the split ring (virtio 1.3, 2.7).
 *
 * Who owns a descriptor is known from the slots alone, which no device can reach:
 *
 *     free_head -> slot -> slot -> ...   by slots[].next, free_count of them
 *     head in flight (token set) -> slot -> ...   by slots[].next, count of them
 *
 * Every slot is on exactly one of these lists. A chain that comes back is put in
 * front of the free list in one piece, so the next one finds warm lines; with
 * IN_ORDER the lists are pieces of the ring as it lies (2.7.5.2).
 *
 * IN_ORDER: a used entry stands for all chains up to the one it names, and the
 * used index grows by their number; the slots in between are not written (2.7.9).
 *
 * vqsim_driver_add and vqsim_driver_reap stand here and not in driver.c: one call less
 * for each request.
 *
 * Barriers: the release store of avail->idx pairs with the device's acquire load
 * (2.7.13.3.1); the acquire load of used->idx pairs with the device's release
 * store. The two full fences each stand between a store of this side and a load
 * of the other's, and pair with a fence of the device between the opposite pair:
 *
 *     publish: store avail->idx  | load used->flags or avail_event   (2.7.13.4.1)
 *     reap:    store used_event  | load used->idx                    (2.7.14)
 */
#include <endian.h>
#include <string.h>

#include "driver_internal.h"

/* As far as an index can be from the present one: a full ring does not reach it. */
#define EVENT_NEVER 0x8000u

/* next of the last direct descriptor of a chain: a device that follows it is found out. */
#define NEXT_JUNK 0xffffu

static uint16_t used_index_load(const struct vqsim_driver *driver)
{
	return le16toh(__atomic_load_n(&driver->ring.used->idx, __ATOMIC_ACQUIRE));
}

static void used_event_store(struct vqsim_driver *driver)
{
	uint16_t distance = driver->notify == VQSIM_NOTIFY_NEVER ? EVENT_NEVER : 0;

	__atomic_store_n(driver->ring.used_event,
			 htole16((uint16_t)(driver->used_index + distance)), __ATOMIC_RELAXED);
}

/* vqsim_memory_alloc returns the parts zeroed: the flags start at 0 (2.7.10.1). */
void driver_split_init(struct vqsim_driver *driver)
{
	struct vqsim_memory *memory = driver->memory;
	struct virtio_queue_setup *setup = &driver->setup;
	struct vqsim_split_ring *ring = &driver->ring;
	uint16_t size = setup->size;
	uint64_t desc_size = sizeof(struct vring_desc) * (uint64_t)size;
	uint64_t avail_size = 6 + 2 * (uint64_t)size;
	uint64_t used_size = 6 + 8 * (uint64_t)size;

	setup->desc_gpa = vqsim_memory_alloc(memory, desc_size, 16);
	setup->driver_gpa = vqsim_memory_alloc(memory, avail_size, 2);
	setup->device_gpa = vqsim_memory_alloc(memory, used_size, 4);

	ring->desc = vqsim_memory_at(memory, setup->desc_gpa, desc_size);
	ring->avail = vqsim_memory_at(memory, setup->driver_gpa, avail_size);
	ring->used = vqsim_memory_at(memory, setup->device_gpa, used_size);
	ring->used_event = &ring->avail->ring[size];
	ring->avail_event = (__virtio16 *)&ring->used->ring[size];
}

/* Field by field, as drivers do: a compiler that may packs them into a vector first. */
static inline void desc_write(struct vring_desc *desc, const struct vqsim_element *element,
			      uint16_t flags, uint16_t next)
{
	flags |= element->write ? VRING_DESC_F_WRITE : 0;
	__atomic_store_n(&desc->addr, htole64(element->gpa), __ATOMIC_RELAXED);
	__atomic_store_n(&desc->len, htole32(element->len), __ATOMIC_RELAXED);
	__atomic_store_n(&desc->flags, htole16(flags), __ATOMIC_RELAXED);
	__atomic_store_n(&desc->next, htole16(next), __ATOMIC_RELAXED);
}

/* Copied, since a driver that breaks the rules may put a table at any address. */
static void table_entry(uint8_t *entry, const struct vqsim_element *element, uint16_t flags,
			uint16_t next)
{
	struct vring_desc desc;

	desc_write(&desc, element, flags, next);
	memcpy(entry, &desc, sizeof(desc));
}

/* The table is chained by next like the ring itself, entry 0 first (2.7.5.3). */
static void table_write(uint8_t *table, const struct vqsim_element *elements, unsigned count)
{
	for (unsigned i = 0; i + 1 < count; i++, table += sizeof(struct vring_desc))
		table_entry(table, &elements[i], VRING_DESC_F_NEXT, (uint16_t)(i + 1));
	table_entry(table, &elements[count - 1], 0, 0);
}

/*
 * Take count descriptors off the free list for elements and put their head into the
 * available ring. table: stands for the last element, NULL: the last is one of elements.
 */
static inline int expose(struct vqsim_driver *driver, const struct vqsim_element *elements,
			 unsigned count, const struct vqsim_element *table, void *token)
{
	struct vqsim_driver_slot *slots = driver->slots;
	struct vring_desc *desc = driver->ring.desc;
	const struct vqsim_element *last = elements + (count - 1);
	uint32_t head = driver->free_head;
	size_t index = head;

	for (; elements < last; elements++) {
		size_t next = slots[index].next;

		desc_write(&desc[index], elements, VRING_DESC_F_NEXT, next);
		index = next;
	}
	if (table)
		desc_write(&desc[index], table, VRING_DESC_F_INDIRECT, 0);
	else
		desc_write(&desc[index], last, 0, NEXT_JUNK);
	driver->free_head = slots[index].next;
	driver->free_count -= count;
	slots[head].token = token;
	slots[head].last = (uint16_t)index;
	slots[head].count = (uint16_t)count;
	driver->ring.avail->ring[driver->avail_index & (driver->setup.size - 1u)] =
		htole16((uint16_t)head);
	driver->avail_index = (uint16_t)(driver->avail_index + 1);
	driver->in_flight++;
	return (int)head;
}

/* The last descriptor in the ring points to the table of what direct leaves over. */
static int add_indirect(struct vqsim_driver *driver, const struct vqsim_chain *chain, void *token)
{
	unsigned count = chain->count - chain->direct;
	uint32_t size = (uint32_t)(count * sizeof(struct vring_desc));
	struct vqsim_element pointer = {.gpa = chain->table_gpa, .len = size};

	if (chain->direct + 1u > driver->free_count)
		return -1;
	table_write(vqsim_memory_at(driver->memory, chain->table_gpa, size),
		    chain->elements + chain->direct, count);
	return expose(driver, chain->elements, chain->direct + 1u, &pointer, token);
}

/* Misuse, no room, or a table. Apart from vqsim_driver_add, which then needs fewer registers. */
static __attribute__((noinline)) int add_unusual(struct vqsim_driver *driver,
						 const struct vqsim_chain *chain, void *token)
{
	driver_check_chain(driver, chain, token);
	if (chain->direct == chain->count)
		return -1;
	return add_indirect(driver, chain, token);
}

int vqsim_driver_add(struct vqsim_driver *driver, const struct vqsim_chain *chain, void *token)
{
	if (__builtin_expect(driver->is_packed, 0))
		return driver_packed_add(driver, chain, token);
	/* count - 1: an empty chain never passes. */
	if (chain->direct != chain->count || chain->count - 1u >= driver->free_count || !token)
		return add_unusual(driver, chain, token);
	return expose(driver, chain->elements, chain->count, NULL, token);
}

static bool kick_wanted(const struct vqsim_driver *driver)
{
	uint16_t event, added, passed;

	if (!driver_has_event_idx(driver)) {
		uint16_t flags = __atomic_load_n(&driver->ring.used->flags, __ATOMIC_RELAXED);

		return !(le16toh(flags) & VRING_USED_F_NO_NOTIFY);
	}
	event = le16toh(__atomic_load_n(driver->ring.avail_event, __ATOMIC_RELAXED));
	added = (uint16_t)(driver->published_index - driver->kicked_index);
	passed = (uint16_t)(driver->published_index - event - 1);
	return passed < added;
}

bool driver_split_publish(struct vqsim_driver *driver)
{
	bool wanted;

	if (driver->avail_index == driver->published_index)
		return false;
	driver->published_index = driver->avail_index;
	__atomic_store_n(&driver->ring.avail->idx, htole16(driver->avail_index), __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wanted = kick_wanted(driver);
	driver->kicked_index = driver->published_index;
	return wanted;
}

static inline void chain_free(struct vqsim_driver *driver, uint16_t head, bool in_order)
{
	struct vqsim_driver_slot *slot = &driver->slots[head];

	if (in_order) {
		driver->oldest = driver_after(driver, head);
	} else {
		driver->slots[slot->last].next = driver->free_head;
		driver->free_head = head;
	}
	driver->free_count += slot->count;
	driver->in_flight--;
	slot->token = NULL;
}

/*
 * The fence is due only where the ring is found empty: whoever looks again before
 * that sees every entry whose notification the old used_event withheld.
 */
static inline void used_event_follow(struct vqsim_driver *driver, uint16_t seen)
{
	if (!driver_has_event_idx(driver))
		return;
	used_event_store(driver);
	if (driver->used_index == seen && driver->notify == VQSIM_NOTIFY_ALWAYS)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The oldest chain of a batch. */
static enum vqsim_reap reap_batched(struct vqsim_driver *driver, struct vqsim_used *used)
{
	driver->used_index = (uint16_t)(driver->used_index + 1);
	used_event_follow(driver, used_index_load(driver));
	used->head = (uint16_t)driver->oldest;
	used->token = driver->slots[used->head].token;
	used->batched = --driver->batch_left > 0;
	used->len = used->batched ? 0 : driver->batch_len;
	chain_free(driver, used->head, true);
	return VQSIM_REAP_USED;
}

/* The entry at the used index, up to the one that seen stands behind. */
static __attribute__((noinline)) enum vqsim_reap
reap_in_order(struct vqsim_driver *driver, struct vqsim_used *used, uint16_t seen)
{
	const struct vring_used_elem *entry =
		&driver->ring.used->ring[driver->used_index & (driver->setup.size - 1u)];
	uint32_t id;

	if (driver->batch_left == 0) {
		id = le32toh(__atomic_load_n(&entry->id, __ATOMIC_RELAXED));
		if (id < driver->setup.size && driver->slots[id].token)
			driver->batch_left =
				driver_batch(driver, id, (uint16_t)(seen - driver->used_index));
		driver->batch_len = le32toh(entry->len);
	}
	if (driver->batch_left > 0)
		return reap_batched(driver, used);
	driver->used_index = (uint16_t)(driver->used_index + 1);
	used_event_follow(driver, seen);
	return VQSIM_REAP_BOGUS;
}

enum vqsim_reap vqsim_driver_reap(struct vqsim_driver *driver, struct vqsim_used *used)
{
	const struct vring_used_elem *entry;
	uint16_t seen;
	uint32_t id;

	if (__builtin_expect(driver->is_packed, 0))
		return driver_packed_reap(driver, used);
	seen = used_index_load(driver);
	if (seen == driver->used_index)
		return VQSIM_REAP_NOTHING;
	if (__builtin_expect(driver->in_order, 0))
		return reap_in_order(driver, used, seen);
	entry = &driver->ring.used->ring[driver->used_index & (driver->setup.size - 1u)];
	id = le32toh(__atomic_load_n(&entry->id, __ATOMIC_RELAXED));
	driver->used_index = (uint16_t)(driver->used_index + 1);
	used_event_follow(driver, seen);
	if (id >= driver->setup.size || !driver->slots[id].token)
		return VQSIM_REAP_BOGUS;
	used->token = driver->slots[id].token;
	used->head = (uint16_t)id;
	used->len = le32toh(entry->len);
	used->batched = false;
	chain_free(driver, (uint16_t)id, false);
	return VQSIM_REAP_USED;
}

bool driver_split_has_used(const struct vqsim_driver *driver)
{
	return used_index_load(driver) != driver->used_index;
}

void driver_split_show_notify(struct vqsim_driver *driver)
{
	uint16_t flags = driver->notify == VQSIM_NOTIFY_NEVER ? VRING_AVAIL_F_NO_INTERRUPT : 0;

	/* With EVENT_IDX the flags stay 0 (2.7.7.1). */
	if (driver_has_event_idx(driver))
		used_event_store(driver);
	else
		__atomic_store_n(&driver->ring.avail->flags, htole16(flags), __ATOMIC_RELAXED);
}
