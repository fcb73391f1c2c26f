/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest-physical memory as a device sees it: regions, holes between them, and
 * a log of the pages that devices wrote.
 *
 * It is not a memory bus: translation is a look-up in an immutable table
 * (struct guest_map), and the bytes are then touched directly. A change of the
 * memory map makes a new table; whoever still works with the old one holds a
 * reference, and a region is given back (its release function is called) when
 * the last table that has it is gone. So a request in flight keeps the memory
 * it was translated into. A queue that has nothing to do keeps its map until the
 * next call of progress: a transport that must know a region gone calls progress on
 * every live queue after the change.
 *
 * Threads: guest_memory_add, _remove, _acquire and _release may be called from
 * any thread. A guest_map is constant and may be read by all.
 */
#ifndef DEVICES_GUEST_MEMORY_H
#define DEVICES_GUEST_MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GUEST_MEMORY_API_MAJOR 0
#define GUEST_MEMORY_API_MINOR 1

/* One bit of the dirty log stands for this many bytes (vhost-user: VHOST_LOG_PAGE). */
#define GUEST_DIRTY_PAGE_SIZE 4096u

/* What devices may do with a region; a region that allows nothing is refused. */
enum guest_access {
	GUEST_READ = 1,
	GUEST_WRITE = 2,
	GUEST_READ_WRITE = GUEST_READ | GUEST_WRITE,
};

/* One contiguous range of guest-physical addresses and where it is in this process. */
struct guest_region {
	uint64_t gpa;
	uint64_t size; /* bytes, > 0; gpa + size <= 2^64 - 1 */
	uint8_t *hva;
	int fd; /* file behind hva, -1 if none; not owned */
	uint64_t fd_offset;
	enum guest_access access;

	/* Called once, when no map has the region any more. May be NULL. */
	void (*release)(const struct guest_region *region);
	void *opaque; /* for release */
};

/* A region and the number of maps that have it. Internal to guest_memory.c. */
struct guest_region_ref;

/* One table of regions, sorted by gpa, without overlap. Constant once published. */
struct guest_map {
	unsigned refs;
	unsigned count;
	struct guest_region_ref *entries[];
};

/* The present memory map of a guest. Members are private but for the dirty log. */
struct guest_memory {
	pthread_mutex_t lock; /* guards map and the references; never held on a request's path */
	struct guest_map *map;
	struct guest_map *none; /* without a region, kept in reserve */
	uint32_t generation;    /* changes with every change of map; read without the lock */

	/*
	 * One bit a page, page 0 first, set by devices for what they wrote. NULL: not
	 * logging. Set both while no call on any queue is running. Pages past the end
	 * of the log are not recorded.
	 */
	uint8_t *dirty_log;
	uint64_t dirty_log_size; /* bytes */
};

/* An empty map. Returns 0 or -ENOMEM. */
int guest_memory_init(struct guest_memory *memory);

/*
 * Drop the present map. Maps that are still acquired stay valid and are freed
 * by their guest_map_release. A zeroed guest_memory can be finished.
 */
void guest_memory_finish(struct guest_memory *memory);

/*
 * Add a region; *region is copied.
 * Returns 0; -EINVAL: empty, wraps past 2^64, no access, or no hva; -EEXIST: it
 * overlaps a region that is there; -ENOMEM. After an error the map is unchanged
 * and release is not called.
 */
int guest_memory_add(struct guest_memory *memory, const struct guest_region *region);

/* Remove the region with exactly this range. Returns 0; -ENOENT; -ENOMEM: unchanged. */
int guest_memory_remove(struct guest_memory *memory, uint64_t gpa, uint64_t size);

/*
 * Make regions the whole map, in one step: a device that works meanwhile sees the
 * old map or the new one. Regions that stay are given again, as new ones.
 * Returns 0; -EINVAL, -EEXIST (two of them overlap), -ENOMEM: nothing changed and
 * no release function is called.
 */
int guest_memory_replace(struct guest_memory *memory, const struct guest_region *regions,
			 unsigned count);

/* Remove every region. It cannot fail. */
void guest_memory_clear(struct guest_memory *memory);

/* Remove every region that has a byte in [gpa, gpa + size). Returns 0; -ENOMEM: unchanged. */
int guest_memory_remove_range(struct guest_memory *memory, uint64_t gpa, uint64_t size);

/* A reference to the present map; give it back with guest_map_release. Never NULL. */
struct guest_map *guest_memory_acquire(struct guest_memory *memory);

/* Take count more references to a map that the caller already holds. */
void guest_map_ref(struct guest_map *map, unsigned count);

/* Give one reference back. NULL is accepted. */
void guest_map_release(struct guest_map *map);

/* Changes whenever the map does: compare it to know whether to acquire again. */
static inline uint32_t guest_memory_generation(const struct guest_memory *memory)
{
	return __atomic_load_n(&memory->generation, __ATOMIC_ACQUIRE);
}

/* The region that holds gpa and allows access, or NULL. Logarithmic in the count. */
const struct guest_region *guest_map_find(const struct guest_map *map, uint64_t gpa,
					  enum guest_access access);

/* Region number index (below map->count) in the order of addresses. */
const struct guest_region *guest_map_region(const struct guest_map *map, unsigned index);

/*
 * The host address of [gpa, gpa + size), which must lie in one region (or in
 * regions that follow each other both in the guest and in this process).
 * Returns NULL if it does not, or if access is not allowed, or if it wraps.
 */
void *guest_map_contiguous(const struct guest_map *map, uint64_t gpa, uint64_t size,
			   enum guest_access access);

/*
 * Set the bits of the pages of [gpa, gpa + size). Does nothing without a log.
 * Bits are set atomically; the caller has finished writing the bytes.
 */
void guest_memory_mark_dirty(struct guest_memory *memory, uint64_t gpa, uint64_t size);

/* The same for host addresses, which must have come from map. */
void guest_memory_mark_dirty_hva(struct guest_memory *memory, const struct guest_map *map,
				 const void *hva, uint64_t size);

#ifdef __cplusplus
}
#endif

#endif
