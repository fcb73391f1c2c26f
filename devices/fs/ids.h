/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ids for what a tree hands to the guest: nodes and handles. An id finds its item in
 * one step through a dense table; an id that was never given out, or was taken back,
 * finds nothing, for ever: no id is given out twice.
 *
 *   63            32 31             0
 *   |  generation   |     index     |     index 0 is never used, so no id is 0
 *
 * The generation of a slot grows when its id is taken back; a slot whose generation
 * would wrap is given up. The first id of a new table is 1: a tree that adds its root
 * first gets FS_ROOT for it. Which ids come is determined by the calls alone.
 *
 * A table knows nothing of its items: whether a handle is a file's or a directory's,
 * and how long an item lives, is the tree's matter.
 *
 * Threads: none of its own. The caller's lock is held, for fs_ids_get too, and as long
 * as the item that it found must stay.
 */
#ifndef DEVICES_FS_IDS_H
#define DEVICES_FS_IDS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FS_IDS_API_MAJOR 0
#define FS_IDS_API_MINOR 1

struct fs_ids_slot {
	void *item; /* NULL: free, or given up */
	uint32_t generation;
	uint32_t next_free; /* 0: the last one */
};

/* A zeroed table is empty and can be finished; fs_ids_init gives it room. */
struct fs_ids {
	struct fs_ids_slot *slots;
	uint32_t size; /* slots that there is memory for */
	uint32_t used; /* slots that have ever been used, and slot 0 */
	uint32_t free; /* index of the slot that comes next; 0: none */
	uint32_t count, max;
};

/* An empty table for at most max items (> 0). Allocates nothing. */
void fs_ids_init(struct fs_ids *ids, uint32_t max);

/* Free the table. The items are the caller's: take them out before (fs_ids_next). */
void fs_ids_finish(struct fs_ids *ids);

/* Give item (not NULL) an id. Returns 0; -ENFILE: max are there; -ENOMEM: *id is as it was. */
int fs_ids_add(struct fs_ids *ids, void *item, uint64_t *id);

/* Take an id back that fs_ids_get finds. Amortised, as fs_ids_add, in constant time. */
void fs_ids_remove(struct fs_ids *ids, uint64_t id);

/*
 * The item behind the given id in the order of indices, or the first one if *id is 0; sets *id.
 * NULL: there is none. The item that was found last may have been removed meanwhile.
 */
void *fs_ids_next(const struct fs_ids *ids, uint64_t *id);

/* The item of any number that the guest calls an id, or NULL. */
static inline void *fs_ids_get(const struct fs_ids *ids, uint64_t id)
{
	uint32_t index = (uint32_t)id;

	if (index >= ids->used || ids->slots[index].generation != id >> 32)
		return NULL;
	return ids->slots[index].item;
}

#ifdef __cplusplus
}
#endif

#endif
