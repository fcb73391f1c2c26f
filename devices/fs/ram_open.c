/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* O_NOATIME */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "ram_internal.h"

int ram_handle_create(struct ram *ram, struct fs_call *call, struct ram_node *node, bool dir)
{
	struct ram_handle *handle = calloc(1, sizeof(*handle));
	int error;

	if (handle == NULL)
		return -ENOMEM;
	error = fs_ids_add(&ram->handles, handle, &handle->id);
	if (error != 0) {
		free(handle);
		return error;
	}
	handle->node = node;
	handle->flags = call->open_flags;
	handle->dir = dir;
	handle->end_offset = dir ? node->dir.last_offset : 0;
	node->opens++;
	call->new_handle = handle->id;
	call->handle_flags = 0;
	return 0;
}

void ram_handle_destroy(struct ram *ram, struct ram_handle *handle)
{
	fs_ids_remove(&ram->handles, handle->id);
	handle->node->opens--;
	ram_node_put(ram, handle->node);
	free(handle);
}

static uint32_t rights_for(uint32_t flags)
{
	static const uint32_t rights[] = {
		[O_RDONLY] = R_OK, [O_WRONLY] = W_OK, [O_RDWR] = R_OK | W_OK, [3] = R_OK | W_OK};

	return rights[flags & O_ACCMODE] | (flags & O_TRUNC ? W_OK : 0);
}

static int check_type(const struct ram_node *node)
{
	switch (node->mode & S_IFMT) {
	case S_IFREG:
		return 0;
	case S_IFDIR:
		return -EISDIR;
	case S_IFLNK:
		return -ELOOP;
	default:
		return -ENXIO; /* a node and nothing behind it */
	}
}

static int check_open(const struct ram *ram, const struct fs_call *call,
		      const struct ram_node *node)
{
	int error = check_type(node);

	if (error == 0 && call->open_flags & O_DIRECTORY)
		error = -ENOTDIR;
	if (error == 0)
		error = ram_permission(ram, call, node, rights_for(call->open_flags));
	if (error == 0 && call->open_flags & O_NOATIME && !ram_owner(ram, call, node))
		error = -EPERM;
	return error;
}

int ram_open_node(struct ram *ram, struct fs_call *call, struct ram_node *node)
{
	int error = check_open(ram, call, node);

	if (error == 0)
		error = ram_handle_create(ram, call, node, false);
	if (error != 0 || !(call->open_flags & O_TRUNC))
		return error;
	ram_set_size(ram, node, 0);
	ram_kill_priv(ram, call, node, call->flags & FS_KILL_PRIV);
	ram_touch(ram, node, RAM_MTIME | RAM_CTIME);
	return 0;
}

int ram_open(struct ram *ram, struct fs_call *call)
{
	struct ram_node *node = ram_node_of(ram, call->node);

	return node != NULL ? ram_open_node(ram, call, node) : -ESTALE;
}

int ram_opendir(struct ram *ram, struct fs_call *call)
{
	struct ram_node *dir;
	int error = ram_dir_of(ram, call->node, &dir);

	if (error == 0)
		error = ram_permission(ram, call, dir, R_OK);
	if (error == 0 && call->open_flags & O_NOATIME && !ram_owner(ram, call, dir))
		error = -EPERM;
	return error != 0 ? error : ram_handle_create(ram, call, dir, true);
}

static int release(struct ram *ram, const struct fs_call *call, bool dir)
{
	struct ram_handle *handle;
	int error = ram_handle_of(ram, call, dir, &handle);

	if (error != 0)
		return error;
	if (call->flags & FS_FLOCK_UNLOCK)
		fs_locks_drop_flock(&ram->locks, &handle->node->locks, call->lock_owner);
	ram_handle_destroy(ram, handle);
	return 0;
}

int ram_release(struct ram *ram, struct fs_call *call)
{
	return release(ram, call, false);
}

int ram_releasedir(struct ram *ram, struct fs_call *call)
{
	return release(ram, call, true);
}

/* Memory is as durable as it gets. */
int ram_fsync(struct ram *ram, struct fs_call *call)
{
	struct ram_handle *handle;

	return ram_handle_of(ram, call, false, &handle);
}

int ram_fsyncdir(struct ram *ram, struct fs_call *call)
{
	struct ram_handle *handle;

	return ram_handle_of(ram, call, true, &handle);
}

int ram_syncfs(struct ram *ram, struct fs_call *call)
{
	return ram_node_of(ram, call->node) != NULL ? 0 : -ESTALE;
}
