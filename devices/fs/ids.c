/* SPDX-License-Identifier: BSD-3-Clause */
#include "ids.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define FIRST_SIZE 64u

void fs_ids_init(struct fs_ids *ids, uint32_t max)
{
	/* Slot 0 needs an index too. */
	*ids = (struct fs_ids){.max = max < UINT32_MAX ? max : UINT32_MAX - 1};
}

void fs_ids_finish(struct fs_ids *ids)
{
	free(ids->slots);
	*ids = (struct fs_ids){.max = ids->max};
}

static int grow(struct fs_ids *ids)
{
	uint32_t size = ids->size < FIRST_SIZE / 2 ? FIRST_SIZE : 2 * ids->size;
	struct fs_ids_slot *slots;

	if (ids->size > UINT32_MAX / 2)
		size = UINT32_MAX;
	slots = realloc(ids->slots, size * sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	if (ids->used == 0)
		slots[ids->used++] = (struct fs_ids_slot){.item = NULL};
	ids->slots = slots;
	ids->size = size;
	return 0;
}

/* A slot that has never been used. */
static int fresh(struct fs_ids *ids, uint32_t *index)
{
	/* Only slots that were given up can use all indices before max items are there. */
	if (ids->used == UINT32_MAX)
		return -ENFILE;
	if (ids->used == ids->size && grow(ids) != 0)
		return -ENOMEM;
	*index = ids->used++;
	ids->slots[*index].generation = 0;
	return 0;
}

int fs_ids_add(struct fs_ids *ids, void *item, uint64_t *id)
{
	uint32_t index = ids->free;
	int error = 0;

	assert(item != NULL);
	if (ids->count >= ids->max)
		return -ENFILE;
	if (index == 0)
		error = fresh(ids, &index);
	else
		ids->free = ids->slots[index].next_free;
	if (error != 0)
		return error;
	ids->slots[index].item = item;
	ids->count++;
	*id = (uint64_t)ids->slots[index].generation << 32 | index;
	return 0;
}

void fs_ids_remove(struct fs_ids *ids, uint64_t id)
{
	struct fs_ids_slot *slot = &ids->slots[(uint32_t)id];

	assert(fs_ids_get(ids, id) != NULL);
	slot->item = NULL;
	ids->count--;
	if (slot->generation == UINT32_MAX)
		return;
	slot->generation++;
	slot->next_free = ids->free;
	ids->free = (uint32_t)id;
}

void *fs_ids_next(const struct fs_ids *ids, uint64_t *id)
{
	for (uint32_t index = (uint32_t)*id + 1; index < ids->used; index++) {
		const struct fs_ids_slot *slot = &ids->slots[index];

		if (slot->item == NULL)
			continue;
		*id = (uint64_t)slot->generation << 32 | index;
		return slot->item;
	}
	return NULL;
}
