/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver side of the packed ring (virtio 1.3, 2.8).
 *
 * Positions, in the order of the ring, each with its wrap counter:
 *
 *     used_index .. published_index     exposed and not reaped: the device's
 *     published_index .. avail_index    written, but for the flags of the first: unpublished of them
 *     avail_index .. used_index         free: free_count of them
 *
 * Every slot is written once a lap, so that its flags are those of this lap or of the
 * one before and never look exposed or used by accident (2.8.1).
 *
 * A chain is known by its buffer id, which is not the number of any of its slots
 * and stands in its last element only (2.8.6): ids of other elements are 0.
 *
 *     free_head -> slot -> slot -> ...   by slots[].next: ids that are free
 *
 * The device may mark chains used in any order, always at its own position; used_index
 * goes on by the length of the chain that came back.
 *
 * Barriers: the release store of a head's flags pairs with the device's acquire load
 * of them (2.8.21.1.1), and the other way round for used ones. The two full fences
 * each pair with a fence of the device between the opposite pair:
 *
 *     publish: store head flags  | load device area      (2.8.21.3.1)
 *     reap:    store driver area | load flags            (2.8.22)
 */
#include <endian.h>
#include <string.h>

#include "driver_internal.h"

#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1u << VRING_PACKED_DESC_F_USED)

/* In elements where the id means nothing: a device that believes it is found out. */
#define ID_JUNK 0

/* Both words of an event area are read and written as one. */
static uint32_t event_load(const struct vring_packed_desc_event *area)
{
	const void *word = area;

	return le32toh(__atomic_load_n((const uint32_t *)word, __ATOMIC_RELAXED));
}

static void event_store(struct vring_packed_desc_event *area, uint32_t position, uint32_t flags)
{
	void *word = area;

	__atomic_store_n((uint32_t *)word, htole32(position | flags << 16), __ATOMIC_RELAXED);
}

void driver_packed_show_notify(struct vqsim_driver *driver)
{
	uint32_t position = driver->used_index | (uint32_t)driver->used_wrap << 15;

	if (driver->notify == VQSIM_NOTIFY_NEVER)
		event_store(driver->packed.driver, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (driver_has_event_idx(driver))
		event_store(driver->packed.driver, position, VRING_PACKED_EVENT_FLAG_DESC);
	else
		event_store(driver->packed.driver, 0, VRING_PACKED_EVENT_FLAG_ENABLE);
}

/* vqsim_memory_alloc returns the parts zeroed (2.8.13). */
void driver_packed_init(struct vqsim_driver *driver)
{
	struct vqsim_memory *memory = driver->memory;
	struct virtio_queue_setup *setup = &driver->setup;
	struct vqsim_packed_ring *ring = &driver->packed;
	uint64_t desc_size = sizeof(*ring->desc) * (uint64_t)setup->size;
	uint64_t area_size = sizeof(*ring->driver);

	setup->desc_gpa = vqsim_memory_alloc(memory, desc_size, 16);
	setup->driver_gpa = vqsim_memory_alloc(memory, area_size, 4);
	setup->device_gpa = vqsim_memory_alloc(memory, area_size, 4);
	ring->desc = vqsim_memory_at(memory, setup->desc_gpa, desc_size);
	ring->driver = vqsim_memory_at(memory, setup->driver_gpa, area_size);
	ring->device = vqsim_memory_at(memory, setup->device_gpa, area_size);
	driver->avail_wrap = driver->used_wrap = driver->published_wrap = true;
	driver->id_first = setup->size;
	driver_packed_show_notify(driver);
}

static inline uint16_t flags_load(const struct vring_packed_desc *desc)
{
	return le16toh(__atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE));
}

/* All but the flags. */
static inline void desc_write(struct vring_packed_desc *desc, uint64_t gpa, uint32_t len,
			      uint16_t id)
{
	__atomic_store_n(&desc->addr, htole64(gpa), __ATOMIC_RELAXED);
	__atomic_store_n(&desc->len, htole32(len), __ATOMIC_RELAXED);
	__atomic_store_n(&desc->id, htole16(id), __ATOMIC_RELAXED);
}

static inline uint16_t flags_of(const struct vqsim_element *element, bool wrap)
{
	return (wrap ? F_AVAIL : F_USED) | (element->write ? VRING_DESC_F_WRITE : 0);
}

/* The table is an array in which only WRITE counts (2.8.7). */
static void table_write(uint8_t *table, const struct vqsim_element *elements, unsigned count)
{
	for (unsigned i = 0; i < count; i++, table += sizeof(struct vring_packed_desc)) {
		struct vring_packed_desc desc = {
			.addr = htole64(elements[i].gpa),
			.len = htole32(elements[i].len),
			.id = htole16(ID_JUNK),
			.flags = htole16(elements[i].write ? VRING_DESC_F_WRITE : 0),
		};

		/* Copied, since a driver that breaks the rules may put a table at any address. */
		memcpy(table, &desc, sizeof(desc));
	}
}

static inline void advance(const struct vqsim_driver *driver, uint32_t *position, bool *wrap,
			   uint32_t count)
{
	*position += count;
	if (*position >= driver->setup.size) {
		*position -= driver->setup.size;
		*wrap = !*wrap;
	}
}

/* Take a free buffer id for a chain of count descriptors. */
static inline uint16_t id_take(struct vqsim_driver *driver, unsigned count, void *token)
{
	uint32_t index = driver->free_head;
	struct vqsim_driver_slot *slot = &driver->slots[index];

	driver->free_head = slot->next;
	driver->free_count -= count;
	driver->in_flight++;
	slot->token = token;
	slot->count = (uint16_t)count;
	return (uint16_t)(index + driver->id_first);
}

/*
 * Write count elements from avail_index on. The flags of the head come last, and
 * those of the first head since the publish not before the next one: the device, which goes
 * in order, sees nothing behind it. pointer: VRING_DESC_F_INDIRECT, or 0.
 */
static inline int expose(struct vqsim_driver *driver, const struct vqsim_element *elements,
			 unsigned count, uint16_t pointer, void *token)
{
	const struct vqsim_element *last = elements + (count - 1);
	struct vring_packed_desc *head = &driver->packed.desc[driver->avail_index];
	struct vring_packed_desc *desc = head;
	uint16_t id = id_take(driver, count, token), next = count > 1 ? VRING_DESC_F_NEXT : 0;
	uint16_t head_flags = flags_of(elements, driver->avail_wrap) | next | pointer;

	for (;;) {
		desc_write(desc, elements->gpa, elements->len, elements == last ? id : ID_JUNK);
		advance(driver, &driver->avail_index, &driver->avail_wrap, 1);
		if (elements++ == last)
			break;
		desc = &driver->packed.desc[driver->avail_index];
		next = elements == last ? 0 : VRING_DESC_F_NEXT;
		__atomic_store_n(&desc->flags,
				 htole16(flags_of(elements, driver->avail_wrap) | next),
				 __ATOMIC_RELAXED);
	}
	if (driver->unpublished == 0)
		driver->head_flags = head_flags;
	else
		__atomic_store_n(&head->flags, htole16(head_flags), __ATOMIC_RELEASE);
	driver->unpublished += (uint16_t)count;
	return id;
}

static int add_indirect(struct vqsim_driver *driver, const struct vqsim_chain *chain, void *token)
{
	uint32_t size = (uint32_t)(chain->count * sizeof(struct vring_packed_desc));
	struct vqsim_element pointer = {.gpa = chain->table_gpa, .len = size};

	driver_check_chain(driver, chain, token);
	if (driver->free_count == 0)
		return -1;
	table_write(vqsim_memory_at(driver->memory, chain->table_gpa, size), chain->elements,
		    chain->count);
	return expose(driver, &pointer, 1, VRING_DESC_F_INDIRECT, token);
}

int driver_packed_add(struct vqsim_driver *driver, const struct vqsim_chain *chain, void *token)
{
	if (chain->direct != chain->count || chain->count == 0 || !token)
		return add_indirect(driver, chain, token);
	if (chain->count > driver->free_count)
		return -1;
	return expose(driver, chain->elements, chain->count, 0, token);
}

/*
 * 2.8.10: whether the device wants to hear of the last added slots. An offset of the lap
 * that the driver has left lies size slots behind the same one of this lap.
 */
static bool kick_wanted(const struct vqsim_driver *driver, uint16_t added)
{
	uint32_t event = event_load(driver->packed.device);
	uint32_t flags = event >> 16 & 3, offset = event & 0x7fff;
	bool wrap = event & 0x8000;

	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return false;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !driver_has_event_idx(driver))
		return true;
	if (wrap != driver->avail_wrap)
		offset -= driver->setup.size;
	return (uint16_t)(driver->avail_index - offset - 1) < added;
}

bool driver_packed_publish(struct vqsim_driver *driver)
{
	struct vring_packed_desc *head = &driver->packed.desc[driver->published_index];
	uint16_t added = driver->unpublished;

	if (added == 0)
		return false;
	driver->unpublished = 0;
	driver->published_index = (uint16_t)driver->avail_index;
	driver->published_wrap = driver->avail_wrap;
	__atomic_store_n(&head->flags, htole16(driver->head_flags), __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return kick_wanted(driver, added);
}

static inline bool is_used(const struct vqsim_driver *driver, uint16_t flags)
{
	return !!(flags & F_AVAIL) == driver->used_wrap && !!(flags & F_USED) == driver->used_wrap;
}

static inline void chain_free(struct vqsim_driver *driver, uint32_t index)
{
	struct vqsim_driver_slot *slot = &driver->slots[index];

	if (driver->in_order) {
		driver->oldest = driver_after(driver, index);
	} else {
		slot->next = (uint16_t)driver->free_head;
		driver->free_head = index;
	}
	driver->free_count += slot->count;
	driver->in_flight--;
	slot->token = NULL;
}

/* The fence is due only where nothing more is found, as in a split ring. */
static inline void event_follow(struct vqsim_driver *driver)
{
	if (!driver_has_event_idx(driver) || driver->notify == VQSIM_NOTIFY_NEVER)
		return;
	driver_packed_show_notify(driver);
	if (!is_used(driver, flags_load(&driver->packed.desc[driver->used_index])))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Where the device marks the next chain used: behind the slots of this one. */
static inline void go_on(struct vqsim_driver *driver, uint32_t slots)
{
	advance(driver, &driver->used_index, &driver->used_wrap, slots);
	event_follow(driver);
}

/* The oldest chain of a batch. */
static enum vqsim_reap reap_batched(struct vqsim_driver *driver, struct vqsim_used *used)
{
	uint32_t index = driver->oldest;

	used->head = (uint16_t)(index + driver->id_first);
	used->token = driver->slots[index].token;
	used->batched = --driver->batch_left > 0;
	used->len = used->batched ? 0 : driver->batch_len;
	chain_free(driver, index);
	go_on(driver, driver->slots[index].count);
	return VQSIM_REAP_USED;
}

static enum vqsim_reap reap_one(struct vqsim_driver *driver, struct vqsim_used *used,
				uint32_t index, uint32_t len)
{
	used->head = (uint16_t)(index + driver->id_first);
	used->token = driver->slots[index].token;
	used->batched = false;
	used->len = len;
	chain_free(driver, index);
	go_on(driver, driver->slots[index].count);
	return VQSIM_REAP_USED;
}

enum vqsim_reap driver_packed_reap(struct vqsim_driver *driver, struct vqsim_used *used)
{
	const struct vring_packed_desc *desc = &driver->packed.desc[driver->used_index];
	uint16_t flags = flags_load(desc);
	uint16_t index;
	uint32_t len;

	if (driver->batch_left > 0)
		return reap_batched(driver, used);
	if (!is_used(driver, flags))
		return VQSIM_REAP_NOTHING;
	index = le16toh(__atomic_load_n(&desc->id, __ATOMIC_RELAXED)) - driver->id_first;
	len = le32toh(__atomic_load_n(&desc->len, __ATOMIC_RELAXED));
	/* Without WRITE nothing was written, whatever the length says (2.8.4). */
	if (!(flags & VRING_DESC_F_WRITE))
		len = 0;
	if (index < driver->setup.size && driver->slots[index].token) {
		if (!driver->in_order)
			return reap_one(driver, used, index, len);
		driver->batch_left = driver_batch(driver, index, driver->in_flight);
		driver->batch_len = len;
	}
	if (driver->batch_left > 0)
		return reap_batched(driver, used);
	go_on(driver, 1);
	return VQSIM_REAP_BOGUS;
}

bool driver_packed_has_used(const struct vqsim_driver *driver)
{
	return driver->batch_left > 0 ||
	       is_used(driver, flags_load(&driver->packed.desc[driver->used_index]));
}
