/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a frontend: parts of its files, mapped into this process. A region is known by
 * three addresses: of the guest (descriptors), of the frontend (ring addresses) and ours.
 */
#define _GNU_SOURCE

#include "vhost_user_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "shrink.h"

/* Of the pages of a file: what the offset and the length of a mapping are multiples of. 0: no file. */
static uint64_t page_size_of(int fd)
{
	struct statfs info;

	if (fstatfs(fd, &info) != 0)
		return 0;
	return info.f_type == HUGETLBFS_MAGIC ? (uint64_t)info.f_bsize
					      : (uint64_t)sysconf(_SC_PAGESIZE);
}

const char *vhost_user_area_map(struct vhost_user_session *session, struct vhost_user_area *area,
				int fd, uint64_t offset, uint64_t size)
{
	uint64_t page = page_size_of(fd), lead, length;
	struct stat info;
	void *base;

	if (page == 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
		return "memory that is no regular file";
	if (size == 0 || offset > (uint64_t)info.st_size || size > (uint64_t)info.st_size - offset)
		return "memory that the file does not have";
	/* No sum wraps: a file has less than 2^63 bytes. */
	lead = offset % page;
	length = (lead + size + page - 1) / page * page;
	base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		    (off_t)(offset - lead));
	if (base == MAP_FAILED)
		return "memory that cannot be mapped for reading and writing";
	if (shrink_guard_add(base, length, &session->memory_lost) != 0) {
		munmap(base, length);
		return "more regions than can be watched";
	}
	*area = (struct vhost_user_area){base, length, (uint8_t *)base + lead, size};
	return NULL;
}

void vhost_user_area_unmap(struct vhost_user_area *area)
{
	if (!area->base)
		return;
	shrink_guard_remove(area->base);
	munmap(area->base, area->length);
	memset(area, 0, sizeof(*area));
}

static void release(const struct guest_region *region)
{
	struct vhost_user_area *area = region->opaque;

	vhost_user_area_unmap(area);
	free(area);
}

/* A region as guest_memory has it. Its release function undoes this. */
static const char *map_region(struct vhost_user_session *session, struct guest_region *guest,
			      const struct vhost_user_region *region, int fd)
{
	struct vhost_user_area *area = calloc(1, sizeof(*area));
	const char *why = "no memory for a region";

	if (area)
		why = vhost_user_area_map(session, area, fd, region->mmap_offset, region->size);
	if (why) {
		free(area);
		return why;
	}
	*guest = (struct guest_region){
		.gpa = region->guest_address,
		.size = region->size,
		.hva = area->start,
		.fd = -1,
		.access = GUEST_READ_WRITE,
		.release = release,
		.opaque = area,
	};
	return NULL;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

/* Neither space may have a byte twice; guest_memory looks after the guest's. */
static const char *check(const struct vhost_user_region *region,
			 const struct vhost_user_region *others, unsigned count)
{
	if (region->size == 0 || region->size > UINT64_MAX - region->user_address ||
	    region->size > UINT64_MAX - region->guest_address)
		return "a region that is empty or wraps";
	for (unsigned i = 0; i < count; i++)
		if (overlap(region->user_address, region->size, others[i].user_address,
			    others[i].size))
			return "regions that overlap in the frontend's space";
	return NULL;
}

static const char *reason(int error)
{
	return error == -EEXIST ? "regions that overlap in the guest's space"
				: "no memory for a memory map";
}

const char *vhost_user_memory_set(struct vhost_user_session *session,
				  const struct vhost_user_memory *table, const int *fds)
{
	struct guest_region regions[VHOST_USER_REGIONS_MAX] = {0};
	const char *why = NULL;
	unsigned mapped = 0;
	int error;

	while (!why && mapped < table->count) {
		const struct vhost_user_region *region = &table->regions[mapped];

		why = check(region, table->regions, mapped);
		if (!why)
			why = map_region(session, &regions[mapped], region, fds[mapped]);
		if (!why)
			mapped++;
	}
	error = why ? -EINVAL : guest_memory_replace(&session->memory, regions, mapped);
	if (error) {
		while (mapped > 0)
			release(&regions[--mapped]);
		return why ? why : reason(error);
	}
	memcpy(session->regions, table->regions, mapped * sizeof(table->regions[0]));
	session->region_count = mapped;
	return NULL;
}

const char *vhost_user_memory_add(struct vhost_user_session *session,
				  const struct vhost_user_region *region, int fd)
{
	const char *why = check(region, session->regions, session->region_count);
	struct guest_region guest;
	int error;

	if (session->region_count == VHOST_USER_SLOTS_MAX)
		why = "more regions than there are slots";
	if (!why)
		why = map_region(session, &guest, region, fd);
	if (why)
		return why;
	error = guest_memory_add(&session->memory, &guest);
	if (error) {
		release(&guest);
		return reason(error);
	}
	session->regions[session->region_count++] = *region;
	return NULL;
}

const char *vhost_user_memory_remove(struct vhost_user_session *session,
				     const struct vhost_user_region *region)
{
	unsigned i;

	for (i = 0; i < session->region_count; i++)
		if (session->regions[i].guest_address == region->guest_address &&
		    session->regions[i].user_address == region->user_address &&
		    session->regions[i].size == region->size)
			break;
	if (i == session->region_count)
		return "a region that is not there";
	if (guest_memory_remove(&session->memory, region->guest_address, region->size) != 0)
		return "no memory for a memory map";
	session->regions[i] = session->regions[--session->region_count];
	return NULL;
}

bool vhost_user_memory_translate(const struct vhost_user_session *session, uint64_t user_address,
				 uint64_t *gpa)
{
	for (unsigned i = 0; i < session->region_count; i++) {
		const struct vhost_user_region *region = &session->regions[i];

		if (user_address - region->user_address < region->size) {
			*gpa = region->guest_address + (user_address - region->user_address);
			return true;
		}
	}
	return false;
}

void vhost_user_memory_forget(struct vhost_user_session *session)
{
	guest_memory_clear(&session->memory);
	session->region_count = 0;
}

/* Messages */

/* Queues let go of what is not in the map any more when they are run. */
static void follow_map(struct vhost_user_session *session)
{
	vhost_user_queues_update(session);
	for (uint16_t i = 0; i < session->queue_count; i++)
		vhost_user_queue_run(session, i, 1);
}

const char *vhost_user_set_mem_table(struct vhost_user_exchange *x)
{
	const struct vhost_user_memory *table = &x->message->payload.memory;
	size_t head = offsetof(struct vhost_user_memory, regions);
	const char *why;

	if (table->count > VHOST_USER_REGIONS_MAX || table->count != x->message->fd_count ||
	    x->message->header.size < head + table->count * sizeof(table->regions[0]))
		return "as many regions as there are in neither the size nor the descriptors";
	why = vhost_user_memory_set(x->session, table, x->message->fds);
	if (!why)
		follow_map(x->session);
	return why;
}

const char *vhost_user_get_max_mem_slots(struct vhost_user_exchange *x)
{
	return vhost_user_reply_u64(x, VHOST_USER_SLOTS_MAX);
}

const char *vhost_user_add_mem_reg(struct vhost_user_exchange *x)
{
	const char *why = vhost_user_memory_add(x->session, &x->message->payload.single.region,
						x->message->fds[0]);

	if (!why)
		follow_map(x->session);
	return why;
}

const char *vhost_user_rem_mem_reg(struct vhost_user_exchange *x)
{
	const char *why = vhost_user_memory_remove(x->session, &x->message->payload.single.region);

	if (!why)
		follow_map(x->session);
	return why;
}

/* The log is written to while it is there and the frontend wants that. */
void vhost_user_switch_log(struct vhost_user_session *session)
{
	bool on = session->log.base && (session->features & VIRTIO_FEATURE(VHOST_F_LOG_ALL));

	session->memory.dirty_log_size = on ? session->log.size : 0;
	session->memory.dirty_log = on ? session->log.start : NULL;
}

/* Its own reply says whether it worked; a log that is there stays when the new one is refused. */
const char *vhost_user_set_log_base(struct vhost_user_exchange *x)
{
	const struct vhost_user_log *log = &x->message->payload.log;
	struct vhost_user_area old = x->session->log, area = {0};
	const char *why =
		vhost_user_area_map(x->session, &area, x->message->fds[0], log->offset, log->size);

	vhost_user_reply_u64(x, why ? 1 : 0);
	if (why)
		return why;
	x->session->log = area;
	vhost_user_switch_log(x->session);
	vhost_user_area_unmap(&old);
	return NULL;
}
