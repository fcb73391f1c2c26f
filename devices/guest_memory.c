/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: a map is an immutable array of references to regions.
 * Adding or removing a region copies the array, publishes the copy and drops the
 * reference that guest_memory held on the old one. Queues hold a reference on the
 * map they work with, and requests that are in flight across a change hold one
 * each, so neither looking up nor finishing a request takes a lock.
 */
#include "guest_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct guest_region_ref {
	struct guest_region region;
	unsigned maps;
};

static struct guest_map *map_new(unsigned count)
{
	struct guest_map *map = calloc(1, sizeof(*map) + count * sizeof(map->entries[0]));

	if (map) {
		map->refs = 1;
		map->count = count;
	}
	return map;
}

/* Region references are counted by maps that are built and freed on any thread. */
static void region_put(struct guest_region_ref *ref)
{
	if (__atomic_sub_fetch(&ref->maps, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (ref->region.release)
		ref->region.release(&ref->region);
	free(ref);
}

static void map_set(struct guest_map *map, unsigned index, struct guest_region_ref *ref)
{
	__atomic_add_fetch(&ref->maps, 1, __ATOMIC_RELAXED);
	map->entries[index] = ref;
}

void guest_map_ref(struct guest_map *map, unsigned count)
{
	__atomic_add_fetch(&map->refs, count, __ATOMIC_RELAXED);
}

void guest_map_release(struct guest_map *map)
{
	if (!map || __atomic_sub_fetch(&map->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (unsigned i = 0; i < map->count; i++)
		region_put(map->entries[i]);
	free(map);
}

int guest_memory_init(struct guest_memory *memory)
{
	memset(memory, 0, sizeof(*memory));
	memory->none = map_new(0);
	if (!memory->none)
		return -ENOMEM;
	memory->map = memory->none;
	guest_map_ref(memory->none, 1);
	pthread_mutex_init(&memory->lock, NULL);
	return 0;
}

void guest_memory_finish(struct guest_memory *memory)
{
	if (!memory->map)
		return;
	guest_map_release(memory->map);
	guest_map_release(memory->none);
	pthread_mutex_destroy(&memory->lock);
	memset(memory, 0, sizeof(*memory));
}

struct guest_map *guest_memory_acquire(struct guest_memory *memory)
{
	struct guest_map *map;

	pthread_mutex_lock(&memory->lock);
	map = memory->map;
	guest_map_ref(map, 1);
	pthread_mutex_unlock(&memory->lock);
	return map;
}

/* Called with the lock held; returns the map that the caller releases outside of it. */
static struct guest_map *publish(struct guest_memory *memory, struct guest_map *map)
{
	struct guest_map *old = memory->map;

	memory->map = map;
	__atomic_store_n(&memory->generation, memory->generation + 1, __ATOMIC_RELEASE);
	return old;
}

/* The number of regions that start at or below gpa. */
static unsigned upper_bound(const struct guest_map *map, uint64_t gpa)
{
	unsigned low = 0, high = map->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (map->entries[middle]->region.gpa <= gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool region_is_sane(const struct guest_region *region)
{
	return region->size > 0 && region->gpa <= UINT64_MAX - region->size && region->hva &&
	       (region->access & GUEST_READ_WRITE);
}

static bool overlaps(const struct guest_map *map, unsigned at, const struct guest_region *region)
{
	const struct guest_region *before = at > 0 ? &map->entries[at - 1]->region : NULL;
	const struct guest_region *after = at < map->count ? &map->entries[at]->region : NULL;

	return (before && region->gpa - before->gpa < before->size) ||
	       (after && after->gpa - region->gpa < region->size);
}

/* A copy of map with ref inserted in front of entry number at. */
static struct guest_map *map_with(const struct guest_map *map, unsigned at,
				  struct guest_region_ref *ref)
{
	struct guest_map *copy = map_new(map->count + 1);

	if (!copy)
		return NULL;
	for (unsigned i = 0; i < map->count; i++)
		map_set(copy, i < at ? i : i + 1, map->entries[i]);
	map_set(copy, at, ref);
	return copy;
}

static struct guest_map *map_without(const struct guest_map *map, unsigned at)
{
	struct guest_map *copy = map_new(map->count - 1);

	if (!copy)
		return NULL;
	for (unsigned i = 0; i < copy->count; i++)
		map_set(copy, i, map->entries[i < at ? i : i + 1]);
	return copy;
}

static int add_locked(struct guest_memory *memory, const struct guest_region *region,
		      struct guest_map **old)
{
	unsigned at = upper_bound(memory->map, region->gpa);
	struct guest_region_ref *ref;
	struct guest_map *map;

	if (overlaps(memory->map, at, region))
		return -EEXIST;
	ref = calloc(1, sizeof(*ref));
	if (!ref)
		return -ENOMEM;
	ref->region = *region;
	map = map_with(memory->map, at, ref);
	if (!map) {
		free(ref);
		return -ENOMEM;
	}
	*old = publish(memory, map);
	return 0;
}

int guest_memory_add(struct guest_memory *memory, const struct guest_region *region)
{
	struct guest_map *old = NULL;
	int error;

	if (!region_is_sane(region))
		return -EINVAL;
	pthread_mutex_lock(&memory->lock);
	error = add_locked(memory, region, &old);
	pthread_mutex_unlock(&memory->lock);
	guest_map_release(old);
	return error;
}

/* A map of count regions, sorted. Returns 0, -EINVAL, -EEXIST or -ENOMEM; *made is then NULL. */
static int build(const struct guest_region *regions, unsigned count, struct guest_map **made)
{
	struct guest_map *map = map_new(count);
	int error = map ? 0 : -ENOMEM;

	*made = map;
	if (!map)
		return error;
	/* Inserted one by one; count is that of the regions which are there. */
	for (map->count = 0; map->count < count && !error; map->count++) {
		const struct guest_region *region = &regions[map->count];
		unsigned at = upper_bound(map, region->gpa);
		struct guest_region_ref *ref = NULL;

		if (!region_is_sane(region))
			error = -EINVAL;
		else if (overlaps(map, at, region))
			error = -EEXIST;
		else if (!(ref = calloc(1, sizeof(*ref))))
			error = -ENOMEM;
		if (error)
			break;
		ref->region = *region;
		memmove(&map->entries[at + 1], &map->entries[at],
			(map->count - at) * sizeof(map->entries[0]));
		map_set(map, at, ref);
	}
	if (error) {
		/* The caller keeps its regions: none of them is released. */
		for (unsigned i = 0; i < map->count; i++)
			map->entries[i]->region.release = NULL;
		guest_map_release(map);
		*made = NULL;
	}
	return error;
}

int guest_memory_replace(struct guest_memory *memory, const struct guest_region *regions,
			 unsigned count)
{
	struct guest_map *map, *old;
	int error = build(regions, count, &map);

	if (error)
		return error;
	pthread_mutex_lock(&memory->lock);
	old = publish(memory, map);
	pthread_mutex_unlock(&memory->lock);
	guest_map_release(old);
	return 0;
}

void guest_memory_clear(struct guest_memory *memory)
{
	struct guest_map *old;

	guest_map_ref(memory->none, 1);
	pthread_mutex_lock(&memory->lock);
	old = publish(memory, memory->none);
	pthread_mutex_unlock(&memory->lock);
	guest_map_release(old);
}

static bool touches(const struct guest_region *region, uint64_t gpa, uint64_t size)
{
	return region->gpa <= gpa ? gpa - region->gpa < region->size : region->gpa - gpa < size;
}

/* A copy of map without the regions that overlap a range. */
static struct guest_map *map_without_range(const struct guest_map *map, uint64_t gpa, uint64_t size)
{
	struct guest_map *copy = map_new(map->count);

	if (!copy)
		return NULL;
	copy->count = 0;
	for (unsigned i = 0; i < map->count; i++)
		if (!touches(&map->entries[i]->region, gpa, size))
			map_set(copy, copy->count++, map->entries[i]);
	return copy;
}

int guest_memory_remove_range(struct guest_memory *memory, uint64_t gpa, uint64_t size)
{
	struct guest_map *map, *old = NULL;

	if (size == 0)
		return 0;
	pthread_mutex_lock(&memory->lock);
	map = map_without_range(memory->map, gpa, size);
	if (map && map->count < memory->map->count)
		old = publish(memory, map);
	pthread_mutex_unlock(&memory->lock);
	if (map && !old)
		guest_map_release(map);
	guest_map_release(old);
	return map ? 0 : -ENOMEM;
}

static int remove_locked(struct guest_memory *memory, uint64_t gpa, uint64_t size,
			 struct guest_map **old)
{
	unsigned at = upper_bound(memory->map, gpa);
	const struct guest_region *region;
	struct guest_map *map;

	if (at == 0)
		return -ENOENT;
	region = &memory->map->entries[at - 1]->region;
	if (region->gpa != gpa || region->size != size)
		return -ENOENT;
	map = map_without(memory->map, at - 1);
	if (!map)
		return -ENOMEM;
	*old = publish(memory, map);
	return 0;
}

int guest_memory_remove(struct guest_memory *memory, uint64_t gpa, uint64_t size)
{
	struct guest_map *old = NULL;
	int error;

	pthread_mutex_lock(&memory->lock);
	error = remove_locked(memory, gpa, size, &old);
	pthread_mutex_unlock(&memory->lock);
	guest_map_release(old);
	return error;
}

const struct guest_region *guest_map_find(const struct guest_map *map, uint64_t gpa,
					  enum guest_access access)
{
	unsigned at = upper_bound(map, gpa);
	const struct guest_region *region;

	if (at == 0)
		return NULL;
	region = &map->entries[at - 1]->region;
	if (gpa - region->gpa >= region->size || (region->access & access) != access)
		return NULL;
	return region;
}

const struct guest_region *guest_map_region(const struct guest_map *map, unsigned index)
{
	return &map->entries[index]->region;
}

void *guest_map_contiguous(const struct guest_map *map, uint64_t gpa, uint64_t size,
			   enum guest_access access)
{
	const struct guest_region *region = guest_map_find(map, gpa, access);
	uint8_t *start, *end;

	if (!region || size > UINT64_MAX - gpa)
		return NULL;
	start = region->hva + (gpa - region->gpa);
	for (;;) {
		uint64_t room = region->gpa + region->size - gpa;

		if (size <= room)
			return start;
		size -= room;
		gpa += room;
		end = region->hva + region->size;
		region = guest_map_find(map, gpa, access);
		if (!region || region->hva != end)
			return NULL;
	}
}

void guest_memory_mark_dirty(struct guest_memory *memory, uint64_t gpa, uint64_t size)
{
	uint64_t page = gpa / GUEST_DIRTY_PAGE_SIZE;
	uint64_t last;

	if (!memory->dirty_log || size == 0)
		return;
	last = (gpa + (size - 1)) / GUEST_DIRTY_PAGE_SIZE;
	for (; page <= last && page / 8 < memory->dirty_log_size; page++)
		__atomic_fetch_or(&memory->dirty_log[page / 8], (uint8_t)(1u << (page % 8)),
				  __ATOMIC_RELEASE);
}

void guest_memory_mark_dirty_hva(struct guest_memory *memory, const struct guest_map *map,
				 const void *hva, uint64_t size)
{
	uintptr_t address = (uintptr_t)hva;

	for (unsigned i = 0; memory->dirty_log && i < map->count; i++) {
		const struct guest_region *region = &map->entries[i]->region;
		uintptr_t offset = address - (uintptr_t)region->hva;

		if (offset < region->size) {
			guest_memory_mark_dirty(memory, region->gpa + offset, size);
			return;
		}
	}
}
