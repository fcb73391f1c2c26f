/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's memory, shared with the backend. What a region is called on this side (its "user
 * address") is where the device's view of it is mapped here; nothing but a name to the backend.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "remote_internal.h"

struct table {
	unsigned count;
	struct vhost_user_region regions[REMOTE_REGIONS_MAX];
	int fds[REMOTE_REGIONS_MAX];
};

static int table_fill(struct table *table, const struct guest_map *map)
{
	if (map->count > REMOTE_REGIONS_MAX)
		return -E2BIG;
	table->count = map->count;
	for (unsigned i = 0; i < map->count; i++) {
		const struct guest_region *region = guest_map_region(map, i);

		table->regions[i] = (struct vhost_user_region){
			.guest_address = region->gpa,
			.size = region->size,
			.user_address = (uintptr_t)region->hva,
			.mmap_offset = region->fd_offset,
		};
		table->fds[i] = region->fd;
		if (region->fd < 0)
			return -EBADF;
	}
	return 0;
}

static int tell_table(struct remote *remote, const struct table *table)
{
	struct vhost_user_memory memory = {.count = table->count};
	const struct remote_message message = {
		.request = VHOST_USER_SET_MEM_TABLE,
		.payload = &memory,
		.size = (uint32_t)(offsetof(struct vhost_user_memory, regions) +
				   table->count * sizeof(memory.regions[0])),
		.fds = table->fds,
		.fd_count = table->count,
	};

	memcpy(memory.regions, table->regions, table->count * sizeof(memory.regions[0]));
	return remote_tell(&remote->channel, &message);
}

static int tell_region(struct remote *remote, uint32_t request,
		       const struct vhost_user_region *region, const int *fd)
{
	const struct vhost_user_single_region single = {.region = *region};
	const struct remote_message message = {
		.request = request,
		.payload = &single,
		.size = sizeof(single),
		.fds = fd,
		.fd_count = fd != NULL,
	};

	return remote_tell(&remote->channel, &message);
}

static bool is_among(const struct vhost_user_region *region, const struct vhost_user_region *those,
		     unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (memcmp(region, &those[i], sizeof(*region)) == 0)
			return true;
	return false;
}

/* One by one: what is gone goes first, since the new may lie where it was. */
static int tell_changes(struct remote *remote, const struct table *table)
{
	int error = 0;

	for (unsigned i = 0; i < remote->region_count && !error; i++)
		if (!is_among(&remote->regions[i], table->regions, table->count))
			error = tell_region(remote, VHOST_USER_REM_MEM_REG, &remote->regions[i],
					    NULL);
	for (unsigned i = 0; i < table->count && !error; i++)
		if (!is_among(&table->regions[i], remote->regions, remote->region_count))
			error = tell_region(remote, VHOST_USER_ADD_MEM_REG, &table->regions[i],
					    &table->fds[i]);
	return error;
}

/* A table has room for few regions; those that hold more slots are told of each. */
static int tell(struct remote *remote, const struct table *table)
{
	uint64_t slots = 0;
	int error;

	if (!remote_has(remote, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		return table->count > VHOST_USER_REGIONS_MAX ? -E2BIG : tell_table(remote, table);
	error = remote_ask_u64(&remote->channel, VHOST_USER_GET_MAX_MEM_SLOTS, &slots);
	if (!error && table->count > slots)
		error = -E2BIG;
	return error ? error : tell_changes(remote, table);
}

int remote_share_memory(struct remote *remote)
{
	uint32_t generation = guest_memory_generation(remote->base.memory);
	struct guest_map *map;
	struct table table;
	int error;

	if (remote->has_memory && generation == remote->memory_generation)
		return 0;
	map = guest_memory_acquire(remote->base.memory);
	error = table_fill(&table, map);
	guest_map_release(map);
	if (!error)
		error = tell(remote, &table);
	if (error)
		return error;
	remote->region_count = table.count;
	memcpy(remote->regions, table.regions, table.count * sizeof(table.regions[0]));
	remote->has_memory = true;
	remote->memory_generation = generation;
	return 0;
}

bool remote_address(const struct remote *remote, uint64_t gpa, uint64_t size, uint64_t *address)
{
	for (unsigned i = 0; i < remote->region_count; i++) {
		const struct vhost_user_region *region = &remote->regions[i];
		uint64_t offset = gpa - region->guest_address;

		if (offset > region->size || size > region->size - offset)
			continue;
		*address = region->user_address + offset;
		return true;
	}
	return false;
}
