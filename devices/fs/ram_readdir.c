/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listings. Offset 1 is behind ".", 2 behind "..", others are behind a name (ram_dir.c).
 * A listing ends with the names that were there when it began: at opendir or when it
 * goes back to offset 0. So one that makes names in the directory that it lists ends.
 */
#include <errno.h>

#include "ram_internal.h"

/* call->add, with a look-up if plus. False: there was no room. */
static bool give(struct ram *ram, struct fs_call *call, const struct fs_dirent *dirent,
		 struct ram_node *looked_up, bool plus)
{
	struct fs_entry entry = {.node = 0};

	if (!plus)
		return call->add(call, dirent, NULL);
	if (looked_up == NULL)
		return call->add(call, dirent, &entry);
	ram_fill_entry(ram, looked_up, &entry);
	if (call->add(call, dirent, &entry))
		return true;
	/* Nothing else refers to it before: it has the name that is being listed. */
	looked_up->lookups--;
	return false;
}

static bool give_dots(struct ram *ram, struct fs_call *call, const struct ram_node *dir, bool plus)
{
	const struct ram_node *nodes[] = {dir, dir->dir.parent};

	for (uint64_t i = call->offset; i < 2; i++) {
		const struct fs_dirent dirent = {
			.ino = nodes[i]->ino,
			.next = i + 1,
			.type = S_IFDIR >> 12,
			.name_size = (uint32_t)i + 1,
			.name = "..",
		};

		if (!give(ram, call, &dirent, NULL, plus))
			return false;
	}
	return true;
}

static void give_names(struct ram *ram, struct fs_call *call, const struct ram_handle *handle,
		       bool plus)
{
	const struct ram_dir *dir = &handle->node->dir;

	for (uint32_t i = ram_dir_seek(handle->node, call->offset); i < dir->used; i++) {
		const struct ram_slot *slot = &dir->slots[i];

		if (slot->offset > handle->end_offset)
			return;
		if (slot->name == NULL)
			continue;
		if (!give(ram, call,
			  &(struct fs_dirent){
				  .ino = slot->name->node->ino,
				  .next = slot->offset,
				  .type = (slot->name->node->mode & S_IFMT) >> 12,
				  .name_size = slot->name->size,
				  .name = slot->name->text,
			  },
			  slot->name->node, plus))
			return;
	}
}

static int list(struct ram *ram, struct fs_call *call, bool plus)
{
	struct ram_handle *handle;
	int error = ram_handle_of(ram, call, true, &handle);

	if (error != 0)
		return error;
	/* A directory that was removed has not even dots. */
	if (handle->node->nlink == 0)
		return -ENOENT;
	if (call->offset == 0)
		handle->end_offset = handle->node->dir.last_offset;
	if (give_dots(ram, call, handle->node, plus))
		give_names(ram, call, handle, plus);
	ram_touch_read(ram, handle->node);
	return 0;
}

int ram_readdir(struct ram *ram, struct fs_call *call)
{
	return list(ram, call, false);
}

int ram_readdirplus(struct ram *ram, struct fs_call *call)
{
	return list(ram, call, true);
}
