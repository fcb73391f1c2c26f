/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks of guests. A call that waits counts as an open of its file, so that the file
 * stays whatever becomes of the handle meanwhile; ram_call_ready takes that back.
 */
#include <errno.h>
#include <fcntl.h>

#include "ram_internal.h"

int ram_getlk(struct ram *ram, struct fs_call *call)
{
	struct ram_handle *handle;
	int error = ram_any_handle(ram, call->handle, call->node, &handle);

	if (error == 0)
		fs_locks_get(&handle->node->locks, call);
	return error;
}

/* Who reads may keep writers out, who writes may keep readers out; flock asks for neither. */
static bool may_lock(const struct fs_call *call, const struct ram_handle *handle)
{
	uint32_t mode = handle->flags & O_ACCMODE;

	if (call->flags & FS_FLOCK || call->lock.type == F_UNLCK)
		return true;
	return mode != (call->lock.type == F_RDLCK ? O_WRONLY : O_RDONLY);
}

int ram_setlk(struct ram *ram, struct fs_call *call)
{
	struct ram_handle *handle;
	int result = ram_any_handle(ram, call->handle, call->node, &handle);

	if (result == 0 && !may_lock(call, handle))
		result = -EBADF;
	if (result != 0)
		return result;
	result = fs_locks_set(&ram->locks, &handle->node->locks, call);
	if (result == FS_LATER)
		handle->node->opens++;
	return result;
}

int ram_flush(struct ram *ram, struct fs_call *call)
{
	struct ram_handle *handle;
	int error = ram_any_handle(ram, call->handle, call->node, &handle);

	if (error == 0)
		fs_locks_drop_posix(&ram->locks, &handle->node->locks, call->lock_owner);
	return error;
}

struct fs_call *ram_call_ready(struct ram *ram, int *result)
{
	struct fs_call *call = fs_locks_ready(&ram->locks, result);
	struct ram_node *node;

	if (call == NULL)
		return NULL;
	node = fs_ids_get(&ram->nodes, call->node);
	node->opens--;
	ram_node_put(ram, node);
	return call;
}
