/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each region has two views of its part of one memfd:
 *
 *     | guard | range.size bytes: the driver's view | guard |
 *     | guard | range.size bytes: the device's view | guard |
 *
 * A view is carved out of one inaccessible reservation, so that its guards belong
 * to it and no two views can become neighbours. Views stay for the life of the
 * memory; hiding a region only takes it out of the device's map.
 *
 * The pieces of a region grow upwards from its start:
 *
 *     used ...pad | canary | piece | canary | <- used afterwards
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"
#include "misuse_internal.h"

#define PAGE 4096u

/* The smallest alignment: a granule of AddressSanitizer. */
#define ALIGN_MIN 8u

/* Larger regions are zeroed by giving their pages back, smaller ones by memset. */
#define ZERO_BY_STORE_MAX (256u << 10)

static struct vqsim_mapping *mapping_at(struct vqsim_memory *memory, unsigned index,
					const char *function)
{
	if (index >= memory->count)
		vqsim_misuse(function, "no region %u", index);
	return &memory->mappings[index];
}

static void region_check(const struct vqsim_region *regions, unsigned index)
{
	const struct vqsim_region *region = &regions[index];

	if (region->size == 0 || region->size % PAGE != 0 || region->gpa % PAGE != 0)
		vqsim_misuse("vqsim_memory_init", "region %u is empty or not made of pages", index);
	if (region->gpa + region->size < region->gpa)
		vqsim_misuse("vqsim_memory_init", "region %u wraps past 2^64", index);
	if (index > 0 && regions[index - 1].gpa + regions[index - 1].size > region->gpa)
		vqsim_misuse("vqsim_memory_init", "region %u is out of order or overlaps", index);
}

static uint8_t *view_map(int fd, uint64_t offset, uint64_t size)
{
	uint8_t *base = mmap(NULL, size + 2 * PAGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (mmap(base + PAGE, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)offset) == MAP_FAILED) {
		munmap(base, size + 2 * PAGE);
		return NULL;
	}
	return base + PAGE;
}

static void view_unmap(uint8_t *view, uint64_t size)
{
	if (view)
		munmap(view - PAGE, size + 2 * PAGE);
}

static int mapping_init(struct vqsim_memory *memory, unsigned index)
{
	struct vqsim_mapping *mapping = &memory->mappings[index];
	uint64_t size = mapping->range.size;

	mapping->driver = view_map(memory->fd, mapping->fd_offset, size);
	mapping->device = view_map(memory->fd, mapping->fd_offset, size);
	if (!mapping->driver || !mapping->device)
		return -ENOMEM;
	return vqsim_memory_expose(memory, index);
}

static int file_create(struct vqsim_memory *memory, uint64_t size)
{
	memory->fd = memfd_create("vqsim", MFD_CLOEXEC);
	if (memory->fd < 0)
		return -errno;
	return ftruncate(memory->fd, (off_t)size) ? -errno : 0;
}

static uint64_t mappings_lay_out(struct vqsim_memory *memory, const struct vqsim_region *regions,
				 unsigned count)
{
	uint64_t offset = 0;

	if (count == 0 || count > VQSIM_MEMORY_REGIONS_MAX)
		vqsim_misuse("vqsim_memory_init", "%u regions", count);
	for (unsigned i = 0; i < count; i++) {
		region_check(regions, i);
		memory->mappings[i].range = regions[i];
		memory->mappings[i].fd_offset = offset;
		offset += regions[i].size;
	}
	memory->count = count;
	return offset;
}

int vqsim_memory_init(struct vqsim_memory *memory, const struct vqsim_region *regions,
		      unsigned count)
{
	uint64_t size;
	int error;

	memset(memory, 0, sizeof(*memory));
	size = mappings_lay_out(memory, regions, count);
	error = guest_memory_init(&memory->guest);
	if (error) {
		memory->count = 0;
		return error;
	}
	error = file_create(memory, size);
	for (unsigned i = 0; i < count && error == 0; i++)
		error = mapping_init(memory, i);
	if (error)
		vqsim_memory_finish(memory);
	return error;
}

void vqsim_memory_finish(struct vqsim_memory *memory)
{
	if (memory->count == 0)
		return;
	guest_memory_finish(&memory->guest);
	for (unsigned i = 0; i < memory->count; i++) {
		view_unmap(memory->mappings[i].driver, memory->mappings[i].range.size);
		view_unmap(memory->mappings[i].device, memory->mappings[i].range.size);
	}
	if (memory->fd >= 0)
		close(memory->fd);
	free(memory->allocations);
	memset(memory, 0, sizeof(*memory));
}

static bool range_holds(const struct vqsim_region *range, uint64_t gpa, uint64_t size)
{
	/* An address below the range wraps to an offset that is too large. */
	uint64_t offset = gpa - range->gpa;

	return offset <= range->size && size <= range->size - offset;
}

void *vqsim_memory_find(const struct vqsim_memory *memory, uint64_t gpa, uint64_t size)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct vqsim_mapping *mapping = &memory->mappings[i];

		if (range_holds(&mapping->range, gpa, size))
			return mapping->driver + (gpa - mapping->range.gpa);
	}
	return NULL;
}

void *vqsim_memory_at(const struct vqsim_memory *memory, uint64_t gpa, uint64_t size)
{
	void *found = vqsim_memory_find(memory, gpa, size);

	if (!found)
		vqsim_misuse(__func__, "0x%" PRIx64 " + %" PRIu64 " is not in one region", gpa,
			     size);
	return found;
}

/*
 * Neighbouring bytes differ, none is zero, and the same offset in another piece
 * has another value: a copied or shifted canary does not pass.
 */
static void canary_pattern(uint8_t out[VQSIM_CANARY_SIZE], uint64_t gpa)
{
	uint8_t page = (uint8_t)(gpa >> 12);

	for (unsigned i = 0; i < VQSIM_CANARY_SIZE; i++)
		out[i] = (uint8_t)((((uint8_t)(gpa + i) * 29u) ^ (page * 83u)) % 255u + 1u);
}

static bool canary_check(const struct vqsim_memory *memory, uint64_t gpa, uint64_t *bad)
{
	uint8_t expected[VQSIM_CANARY_SIZE];
	const uint8_t *found = vqsim_memory_at(memory, gpa, VQSIM_CANARY_SIZE);
	unsigned i = 0;

	canary_pattern(expected, gpa);
	if (memcmp(found, expected, VQSIM_CANARY_SIZE) == 0)
		return true;
	while (i < VQSIM_CANARY_SIZE - 1 && found[i] == expected[i])
		i++;
	if (bad)
		*bad = gpa + i;
	return false;
}

bool vqsim_memory_canary_intact(const struct vqsim_memory *memory, uint64_t gpa, uint64_t size,
				uint64_t *bad)
{
	return canary_check(memory, gpa - VQSIM_CANARY_SIZE, bad) &&
	       canary_check(memory, gpa + size, bad);
}

const struct vqsim_allocation *vqsim_memory_check(const struct vqsim_memory *memory, uint64_t *bad)
{
	for (size_t i = 0; i < memory->allocation_count; i++) {
		const struct vqsim_allocation *piece = &memory->allocations[i];

		if (!vqsim_memory_canary_intact(memory, piece->gpa, piece->size, bad))
			return piece;
	}
	return NULL;
}

/* The offset of a piece in region number index, or UINT64_MAX: it does not fit. */
static uint64_t piece_offset(const struct vqsim_memory *memory, unsigned index, uint64_t size,
			     uint64_t align)
{
	const struct vqsim_region *range = &memory->mappings[index].range;
	uint64_t mask = (align < ALIGN_MIN ? ALIGN_MIN : align) - 1;
	uint64_t start = (memory->used[index] + VQSIM_CANARY_SIZE + mask) & ~mask;

	if (size > range->size || start > range->size - size ||
	    range->size - size - start < VQSIM_CANARY_SIZE)
		return UINT64_MAX;
	return start;
}

static void allocation_record(struct vqsim_memory *memory, uint64_t gpa, uint64_t size)
{
	if (memory->allocation_count == memory->allocation_room) {
		size_t room = memory->allocation_room ? 2 * memory->allocation_room : 64;
		struct vqsim_allocation *grown =
			realloc(memory->allocations, room * sizeof(*grown));

		if (!grown)
			vqsim_misuse("vqsim_memory_alloc", "the host is out of memory");
		memory->allocations = grown;
		memory->allocation_room = room;
	}
	memory->allocations[memory->allocation_count++] =
		(struct vqsim_allocation){.gpa = gpa, .size = size};
}

static uint64_t piece_take(struct vqsim_memory *memory, unsigned index, uint64_t offset,
			   uint64_t size)
{
	uint64_t gpa = memory->mappings[index].range.gpa + offset;
	uint8_t *piece = memory->mappings[index].driver + offset;

	canary_pattern(piece - VQSIM_CANARY_SIZE, gpa - VQSIM_CANARY_SIZE);
	memset(piece, 0, size);
	canary_pattern(piece + size, gpa + size);
	memory->used[index] = offset + size + VQSIM_CANARY_SIZE;
	allocation_record(memory, gpa, size);
	return gpa;
}

static void align_check(const char *function, uint64_t align)
{
	if (align == 0 || align > PAGE || (align & (align - 1)) != 0)
		vqsim_misuse(function, "alignment %" PRIu64, align);
}

uint64_t vqsim_memory_alloc_in(struct vqsim_memory *memory, unsigned index, uint64_t size,
			       uint64_t align)
{
	uint64_t offset;

	align_check(__func__, align);
	mapping_at(memory, index, __func__);
	offset = piece_offset(memory, index, size, align);
	if (offset == UINT64_MAX)
		vqsim_misuse(__func__, "no room for %" PRIu64 " bytes in region %u", size, index);
	return piece_take(memory, index, offset, size);
}

uint64_t vqsim_memory_alloc(struct vqsim_memory *memory, uint64_t size, uint64_t align)
{
	align_check(__func__, align);
	for (unsigned i = 0; i < memory->count; i++) {
		uint64_t offset = piece_offset(memory, i, size, align);

		if (offset != UINT64_MAX)
			return piece_take(memory, i, offset, size);
	}
	vqsim_misuse(__func__, "no room for %" PRIu64 " bytes", size);
}

struct vqsim_memory_mark vqsim_memory_mark(const struct vqsim_memory *memory)
{
	struct vqsim_memory_mark mark = {.allocation_count = memory->allocation_count};

	memcpy(mark.used, memory->used, sizeof(mark.used));
	return mark;
}

void vqsim_memory_rewind(struct vqsim_memory *memory, const struct vqsim_memory_mark *mark)
{
	if (mark->allocation_count > memory->allocation_count)
		vqsim_misuse(__func__, "the mark is younger than the memory");
	memcpy(memory->used, mark->used, sizeof(mark->used));
	memory->allocation_count = mark->allocation_count;
}

static void mapping_zero(const struct vqsim_memory *memory, const struct vqsim_mapping *mapping)
{
	uint64_t size = mapping->range.size;

	if (size > ZERO_BY_STORE_MAX &&
	    fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)mapping->fd_offset, (off_t)size) == 0)
		return;
	memset(mapping->driver, 0, size);
}

void vqsim_memory_reset(struct vqsim_memory *memory)
{
	memset(memory->used, 0, sizeof(memory->used));
	memory->allocation_count = 0;
	for (unsigned i = 0; i < memory->count; i++) {
		mapping_zero(memory, &memory->mappings[i]);
		if (!memory->mappings[i].exposed && vqsim_memory_expose(memory, i) != 0)
			vqsim_misuse(__func__, "region %u cannot be exposed again", i);
	}
}

static void protect(const struct vqsim_mapping *mapping, int protection)
{
	if (mprotect(mapping->device, mapping->range.size, protection) != 0)
		vqsim_misuse("vqsim_memory_hide", "a view cannot be protected");
}

/* No map has it any more. Hidden, it must not be touched: a device that does is stopped. */
static void released(const struct guest_region *region)
{
	struct vqsim_mapping *mapping = region->opaque;

	if (__atomic_sub_fetch(&mapping->given, 1, __ATOMIC_ACQ_REL) == 0 && !mapping->exposed)
		protect(mapping, PROT_NONE);
}

static struct guest_region region_of(struct vqsim_memory *memory, struct vqsim_mapping *mapping)
{
	return (struct guest_region){
		.gpa = mapping->range.gpa,
		.size = mapping->range.size,
		.hva = mapping->device,
		.fd = memory->fd,
		.fd_offset = mapping->fd_offset,
		.access = GUEST_READ_WRITE,
		.release = released,
		.opaque = mapping,
	};
}

int vqsim_memory_hide(struct vqsim_memory *memory, unsigned index)
{
	struct vqsim_mapping *mapping = mapping_at(memory, index, __func__);
	bool exposed = mapping->exposed;
	int error;

	mapping->exposed = false;
	error = guest_memory_remove(&memory->guest, mapping->range.gpa, mapping->range.size);
	if (error)
		mapping->exposed = exposed;
	return error;
}

int vqsim_memory_expose(struct vqsim_memory *memory, unsigned index)
{
	struct vqsim_mapping *mapping = mapping_at(memory, index, __func__);
	struct guest_region region = region_of(memory, mapping);
	int error;

	if (__atomic_load_n(&mapping->given, __ATOMIC_ACQUIRE) == 0)
		protect(mapping, PROT_READ | PROT_WRITE);
	error = guest_memory_add(&memory->guest, &region);
	if (error)
		return error;
	__atomic_add_fetch(&mapping->given, 1, __ATOMIC_ACQ_REL);
	mapping->exposed = true;
	return 0;
}

int vqsim_memory_replace(struct vqsim_memory *memory)
{
	struct guest_region regions[VQSIM_MEMORY_REGIONS_MAX];
	unsigned count = 0;
	int error;

	for (unsigned i = 0; i < memory->count; i++) {
		if (!memory->mappings[i].exposed)
			continue;
		regions[count++] = region_of(memory, &memory->mappings[i]);
		__atomic_add_fetch(&memory->mappings[i].given, 1, __ATOMIC_ACQ_REL);
	}
	error = guest_memory_replace(&memory->guest, regions, count);
	for (unsigned i = 0; error && i < memory->count; i++)
		if (memory->mappings[i].exposed)
			__atomic_sub_fetch(&memory->mappings[i].given, 1, __ATOMIC_ACQ_REL);
	return error;
}

bool vqsim_memory_released(const struct vqsim_memory *memory, unsigned index)
{
	const struct vqsim_mapping *mapping = &memory->mappings[index];

	return __atomic_load_n(&mapping->given, __ATOMIC_ACQUIRE) == mapping->exposed;
}
