/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fake guest's memory: regions of one memfd, each mapped twice. The driver
 * works in its own mapping; the device gets the other one through
 * devices/guest_memory. Every mapping of every region has an inaccessible page
 * before and behind it, so that a step outside is a fault and not a neighbour.
 *
 * An allocator hands out pieces with a canary on both sides. It never frees a
 * single piece: vqsim_memory_rewind drops all that came after a mark.
 *
 * Misuse (an address outside, memory used up) ends the process with a message:
 * it is a mistake of the test.
 *
 * Threads: one.
 */
#ifndef VQSIM_MEMORY_H
#define VQSIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "version.h"
#include "../devices/guest_memory.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VQSIM_MEMORY_REGIONS_MAX 64u
#define VQSIM_CANARY_SIZE        16u

/* Where one region lies. gpa and size are multiples of 4096. */
struct vqsim_region {
	uint64_t gpa;
	uint64_t size;
};

struct vqsim_mapping {
	struct vqsim_region range;
	uint64_t fd_offset;
	uint8_t *driver; /* the driver's mapping */
	uint8_t *device; /* the device's mapping */
	bool exposed;    /* guest has it */
	unsigned given;  /* times that it was exposed, or replaced, and not yet released; atomic */
};

/* One piece that the allocator gave out: [gpa, gpa + size) with canaries around. */
struct vqsim_allocation {
	uint64_t gpa;
	uint64_t size;
};

struct vqsim_memory {
	struct guest_memory guest; /* what the device is attached to */
	int fd;
	unsigned count;
	struct vqsim_mapping mappings[VQSIM_MEMORY_REGIONS_MAX];

	/* Allocator: the next free byte of each region, and what was given out, in order. */
	uint64_t used[VQSIM_MEMORY_REGIONS_MAX];
	struct vqsim_allocation *allocations;
	size_t allocation_count;
	size_t allocation_room;
};

/* A point to rewind to. */
struct vqsim_memory_mark {
	uint64_t used[VQSIM_MEMORY_REGIONS_MAX];
	size_t allocation_count;
};

/*
 * Map regions (sorted by gpa, no overlap, 1..VQSIM_MEMORY_REGIONS_MAX), zeroed, all exposed.
 * Regions that touch in guest addresses never touch in this process.
 * Returns 0 or -errno.
 */
int vqsim_memory_init(struct vqsim_memory *memory, const struct vqsim_region *regions,
		      unsigned count);

/* Unmap all. The device must be gone or reset. A zeroed memory can be finished. */
void vqsim_memory_finish(struct vqsim_memory *memory);

/*
 * The driver's pointer to [gpa, gpa + size), which must lie in one region.
 * vqsim_memory_find returns NULL where vqsim_memory_at ends the process.
 */
void *vqsim_memory_at(const struct vqsim_memory *memory, uint64_t gpa, uint64_t size);
void *vqsim_memory_find(const struct vqsim_memory *memory, uint64_t gpa, uint64_t size);

/*
 * size bytes in some region, zeroed, aligned to align (a power of two, at most
 * 4096; at least 8 is used). Never crosses a region. vqsim_memory_alloc_in takes them from region
 * number index. Returns the guest-physical address.
 */
uint64_t vqsim_memory_alloc(struct vqsim_memory *memory, uint64_t size, uint64_t align);
uint64_t vqsim_memory_alloc_in(struct vqsim_memory *memory, unsigned index, uint64_t size,
			       uint64_t align);

struct vqsim_memory_mark vqsim_memory_mark(const struct vqsim_memory *memory);
void vqsim_memory_rewind(struct vqsim_memory *memory, const struct vqsim_memory_mark *mark);

/* Zero everything and forget all allocations; regions that were hidden are exposed again. */
void vqsim_memory_reset(struct vqsim_memory *memory);

/*
 * Whether the canaries around the piece that starts at gpa are intact. If not,
 * *bad (may be NULL) gets the address of the first byte that changed.
 */
bool vqsim_memory_canary_intact(const struct vqsim_memory *memory, uint64_t gpa, uint64_t size,
				uint64_t *bad);

/* The first piece with a broken canary, or NULL. */
const struct vqsim_allocation *vqsim_memory_check(const struct vqsim_memory *memory, uint64_t *bad);

/*
 * Take region number index away from the device, or give it back. Once the device has
 * released a region that was taken away, it cannot reach it any more. Returns 0 or -errno.
 */
int vqsim_memory_hide(struct vqsim_memory *memory, unsigned index);
int vqsim_memory_expose(struct vqsim_memory *memory, unsigned index);

/* Replace the device's map, in one step, by one with the same regions. Returns 0 or -errno. */
int vqsim_memory_replace(struct vqsim_memory *memory);

/* Whether the device holds, of region number index, nothing but what it is given now. */
bool vqsim_memory_released(const struct vqsim_memory *memory, unsigned index);

#ifdef __cplusplus
}
#endif

#endif
