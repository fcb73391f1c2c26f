/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The names in a directory, in the order in which they came, and a hash index on them.
 *
 *   slots   | 3 "b" | 4 --- | 7 "a" | 8 "c" |       |     used 4, room 5, count 3
 *   index   |   | 2 |   | 0 | 3 |   | gone |   |          a position in slots, by hash
 *
 * A name that is removed leaves its slot behind without a name; a new one goes behind all
 * others, under a higher offset. So an offset says where a listing goes on whatever
 * was added and removed since, and is found by halving. Slots are packed when most are
 * empty or none is left: positions change then, offsets do not. The cost of packing
 * and of a new index is spread over the names that came and went since the last time.
 *
 * Nobody is protected from names that were chosen to collide: they cost their guest time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ram_internal.h"

#define SMALL       8u /* so many slots are searched without an index */
#define FIRST_ROOM  4u
#define OFFSET_DOTS 2u /* "." and ".." are before all slots, see ram_readdir.c */
#define NOWHERE     UINT32_MAX

/* In the index; other values are positions + FIRST. */
enum { EMPTY, GONE, FIRST };

static uint32_t hash_of(const char *name, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(hash ^ hash >> 32);
}

/* Twice as many as slots, so that a search ends soon. room is a power of two. */
static uint32_t index_mask(const struct ram_dir *dir)
{
	return 2 * dir->room - 1;
}

static bool same(const struct ram_name *name, uint32_t hash, const char *text, size_t size)
{
	return name != NULL && name->hash == hash && name->size == size &&
	       memcmp(name->text, text, size) == 0;
}

/* The place in the index that leads to the name, or NOWHERE. */
static uint32_t find_in_index(const struct ram_dir *dir, uint32_t hash, const char *text,
			      size_t size)
{
	uint32_t mask = index_mask(dir);

	for (uint32_t at = hash & mask; dir->index[at] != EMPTY; at = (at + 1) & mask)
		if (dir->index[at] != GONE &&
		    same(dir->slots[dir->index[at] - FIRST].name, hash, text, size))
			return at;
	return NOWHERE;
}

/* The position of a name, or NOWHERE; *at: its place in the index, if there is one. */
static uint32_t find(const struct ram_dir *dir, const char *text, uint32_t *at)
{
	size_t size = strlen(text);
	uint32_t hash = hash_of(text, size);

	*at = 0;
	if (dir->index != NULL) {
		*at = find_in_index(dir, hash, text, size);
		return *at == NOWHERE ? NOWHERE : dir->index[*at] - FIRST;
	}
	for (uint32_t i = 0; i < dir->used; i++)
		if (same(dir->slots[i].name, hash, text, size))
			return i;
	return NOWHERE;
}

static void add_to_index(struct ram_dir *dir, uint32_t position)
{
	uint32_t mask = index_mask(dir);
	uint32_t at = dir->slots[position].name->hash & mask;

	while (dir->index[at] >= FIRST)
		at = (at + 1) & mask;
	dir->filled += dir->index[at] == EMPTY;
	dir->index[at] = position + FIRST;
}

/* Slots without a name go; the index is made anew. Needs no memory. */
static void pack(struct ram_dir *dir)
{
	uint32_t to = 0;

	for (uint32_t from = 0; from < dir->used; from++)
		if (dir->slots[from].name != NULL)
			dir->slots[to++] = dir->slots[from];
	dir->used = to;
	if (dir->index == NULL)
		return;
	memset(dir->index, EMPTY, 2 * (size_t)dir->room * sizeof(*dir->index));
	dir->filled = 0;
	for (uint32_t i = 0; i < dir->used; i++)
		add_to_index(dir, i);
}

/* A search ends at an empty place: a quarter of the index remains so. */
static void index_name(struct ram_dir *dir, uint32_t position)
{
	if (dir->index == NULL)
		return;
	add_to_index(dir, position);
	if (dir->filled > dir->room + dir->room / 2)
		pack(dir);
}

static int grow(struct ram_dir *dir)
{
	uint32_t room = dir->room == 0 ? FIRST_ROOM : 2 * dir->room;
	struct ram_slot *slots;
	uint32_t *index = NULL;

	if (room > SMALL) {
		index = malloc(2 * (size_t)room * sizeof(*index));
		if (index == NULL)
			return -ENOMEM;
	}
	slots = realloc(dir->slots, room * sizeof(*slots));
	if (slots == NULL) {
		free(index);
		return -ENOMEM;
	}
	free(dir->index);
	dir->slots = slots;
	dir->room = room;
	dir->index = index;
	pack(dir);
	return 0;
}

static int make_room(struct ram_dir *dir)
{
	if (dir->used < dir->room)
		return 0;
	if (dir->count >= dir->room / 2)
		return grow(dir);
	pack(dir);
	return 0;
}

static struct ram_name *make_name(const char *text, struct ram_node *node)
{
	size_t size = strlen(text);
	struct ram_name *name = malloc(sizeof(*name) + size);

	if (name == NULL)
		return NULL;
	name->node = node;
	name->hash = hash_of(text, size);
	name->size = (uint32_t)size;
	memcpy(name->text, text, size);
	return name;
}

struct ram_node *ram_dir_get(const struct ram_node *node, const char *name)
{
	uint32_t at, position = find(&node->dir, name, &at);

	return position == NOWHERE ? NULL : node->dir.slots[position].name->node;
}

int ram_dir_add(struct ram_node *node, const char *text, struct ram_node *target)
{
	struct ram_dir *dir = &node->dir;
	struct ram_name *name = make_name(text, target);

	if (name == NULL || make_room(dir) != 0) {
		free(name);
		return -ENOMEM;
	}
	if (dir->last_offset == 0)
		dir->last_offset = OFFSET_DOTS;
	dir->slots[dir->used++] = (struct ram_slot){++dir->last_offset, name};
	dir->count++;
	index_name(dir, dir->used - 1);
	return 0;
}

void ram_dir_set(struct ram_node *node, const char *name, struct ram_node *target)
{
	uint32_t at, position = find(&node->dir, name, &at);

	node->dir.slots[position].name->node = target;
}

void ram_dir_remove(struct ram_node *node, const char *text)
{
	struct ram_dir *dir = &node->dir;
	uint32_t at, position = find(dir, text, &at);

	if (dir->index != NULL)
		dir->index[at] = GONE;
	free(dir->slots[position].name);
	dir->slots[position].name = NULL;
	dir->count--;
	if (dir->count == 0)
		ram_dir_free(node);
	else if (dir->used > SMALL && dir->count < dir->used / 4)
		pack(dir);
}

int ram_dir_respell(struct ram_node *node, const char *text, const char *new_text)
{
	struct ram_dir *dir = &node->dir;
	uint32_t at, position = find(dir, text, &at);
	struct ram_name *name = make_name(new_text, dir->slots[position].name->node);

	if (name == NULL)
		return -ENOMEM;
	free(dir->slots[position].name);
	dir->slots[position].name = name;
	if (dir->index != NULL)
		dir->index[at] = GONE;
	index_name(dir, position);
	return 0;
}

uint32_t ram_dir_seek(const struct ram_node *node, uint64_t offset)
{
	uint32_t low = 0, high = node->dir.used;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (node->dir.slots[middle].offset > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void ram_dir_free(struct ram_node *node)
{
	struct ram_dir *dir = &node->dir;

	for (uint32_t i = 0; i < dir->used; i++)
		free(dir->slots[i].name);
	free(dir->slots);
	free(dir->index);
	*dir = (struct ram_dir){.parent = dir->parent, .last_offset = dir->last_offset};
}
