/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes. What a setattr may not do is found before anything has changed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ram_internal.h"

#define SET_TIMES (FS_SET_ATIME | FS_SET_MTIME | FS_SET_CTIME)
#define SET_NOW   (FS_SET_ATIME_NOW | FS_SET_MTIME_NOW)

int ram_getattr(struct ram *ram, struct fs_call *call)
{
	struct ram_handle *handle;
	struct ram_node *node;
	int error = ram_node_or_handle(ram, call, &node, &handle);

	if (error != 0)
		return error;
	ram_fill_attr(node, &call->entry.attr);
	call->entry.attr_valid = ram->options.attr_valid;
	return 0;
}

int ram_statx(struct ram *ram, struct fs_call *call)
{
	memset(&call->entry.attr, 0, sizeof(call->entry.attr));
	return ram_getattr(ram, call);
}

static int check_size(const struct ram *ram, const struct fs_call *call,
		      const struct ram_node *node, const struct ram_handle *handle)
{
	/* ftruncate(2) and truncate(2) say it in different ways. */
	if (handle != NULL)
		return handle->dir || ram_may_write(handle) != 0 ? -EINVAL : 0;
	if (S_ISDIR(node->mode))
		return -EISDIR;
	if (!S_ISREG(node->mode))
		return -EINVAL;
	return ram_permission(ram, call, node, W_OK);
}

static int check_chown(const struct ram *ram, const struct fs_call *call,
		       const struct ram_node *node)
{
	const struct statx *to = &call->attr;

	if ((call->set & FS_SET_UID && to->stx_uid == UINT32_MAX) ||
	    (call->set & FS_SET_GID && to->stx_gid == UINT32_MAX))
		return -EINVAL;
	if (ram_privileged(ram, call))
		return 0;
	if (call->set & FS_SET_UID && (call->uid != node->uid || to->stx_uid != node->uid))
		return -EPERM;
	if (call->set & FS_SET_GID &&
	    (call->uid != node->uid ||
	     (to->stx_gid != node->gid && !ram_in_group(ram, call, to->stx_gid))))
		return -EPERM;
	return 0;
}

static int check_chmod(const struct ram *ram, const struct fs_call *call,
		       const struct ram_node *node)
{
	if (S_ISLNK(node->mode))
		return -EOPNOTSUPP;
	return ram_owner(ram, call, node) ? 0 : -EPERM;
}

/*
 * Who is not the owner may set both times to now, if he may write. With a size come the
 * times that it changes; with a change time come those that the guest kept while it
 * wrote to its page cache, through a handle that writes.
 */
static int check_times(const struct ram *ram, const struct fs_call *call,
		       const struct ram_node *node, const struct ram_handle *handle)
{
	if (call->attr.stx_atime.tv_nsec >= 1000000000 ||
	    call->attr.stx_mtime.tv_nsec >= 1000000000 ||
	    call->attr.stx_ctime.tv_nsec >= 1000000000)
		return -EINVAL;
	if (ram_owner(ram, call, node))
		return 0;
	if (call->set & FS_SET_CTIME && handle != NULL && ram_may_write(handle) == 0)
		return 0;
	if (call->set & SET_TIMES)
		return -EPERM;
	if (call->set & FS_SET_SIZE)
		return 0;
	if ((call->set & SET_NOW) != SET_NOW)
		return -EPERM;
	return ram_permission(ram, call, node, W_OK);
}

static int check_setattr(const struct ram *ram, const struct fs_call *call,
			 const struct ram_node *node, const struct ram_handle *handle)
{
	int error = ram->options.read_only ? -EROFS : 0;

	if (error == 0 && call->set & FS_SET_SIZE)
		error = check_size(ram, call, node, handle);
	if (error == 0 && call->set & FS_SET_SIZE && call->attr.stx_size > RAM_SIZE_MAX)
		error = -EFBIG;
	if (error == 0 && call->set & (FS_SET_UID | FS_SET_GID))
		error = check_chown(ram, call, node);
	if (error == 0 && call->set & FS_SET_MODE)
		error = check_chmod(ram, call, node);
	if (error == 0 && call->set & (SET_TIMES | SET_NOW))
		error = check_times(ram, call, node, handle);
	return error;
}

static void set_owner(struct ram *ram, const struct fs_call *call, struct ram_node *node)
{
	ram_kill_priv_chown(ram, call, node);
	if (call->set & FS_SET_UID)
		node->uid = call->attr.stx_uid;
	if (call->set & FS_SET_GID)
		node->gid = call->attr.stx_gid;
}

static void set_mode(struct ram *ram, const struct fs_call *call, struct ram_node *node)
{
	node->mode = (node->mode & S_IFMT) | (call->attr.stx_mode & 07777);
	if (!ram_in_group(ram, call, node->gid))
		node->mode &= ~(uint32_t)S_ISGID;
}

static void set_size(struct ram *ram, const struct fs_call *call, struct ram_node *node)
{
	ram_touch(ram, node, RAM_MTIME);
	ram_set_size(ram, node, call->attr.stx_size);
	ram_kill_priv(ram, call, node, false);
}

static void set_times(struct ram *ram, const struct fs_call *call, struct ram_node *node)
{
	ram_touch(ram, node,
		  RAM_CTIME | (call->set & FS_SET_ATIME_NOW ? RAM_ATIME : 0) |
			  (call->set & FS_SET_MTIME_NOW ? RAM_MTIME : 0));
	if (call->set & FS_SET_ATIME)
		node->atime = call->attr.stx_atime;
	if (call->set & FS_SET_MTIME)
		node->mtime = call->attr.stx_mtime;
	if (call->set & FS_SET_CTIME)
		node->ctime = call->attr.stx_ctime;
}

int ram_setattr(struct ram *ram, struct fs_call *call)
{
	struct ram_handle *handle;
	struct ram_node *node;
	int error = ram_node_or_handle(ram, call, &node, &handle);

	if (error == 0)
		error = check_setattr(ram, call, node, handle);
	if (error != 0)
		return error;
	if (call->set & FS_SET_SIZE)
		set_size(ram, call, node);
	/* A guest says so of what was written. */
	if (call->set & FS_SET_KILL_PRIV && S_ISREG(node->mode))
		ram_kill_priv(ram, call, node, true);
	if (call->set & (FS_SET_UID | FS_SET_GID))
		set_owner(ram, call, node);
	if (call->set & FS_SET_MODE)
		set_mode(ram, call, node);
	if (call->set != 0)
		set_times(ram, call, node);
	ram_fill_attr(node, &call->entry.attr);
	call->entry.attr_valid = ram->options.attr_valid;
	return 0;
}

int ram_statfs(struct ram *ram, struct fs_call *call)
{
	const struct fs_tree_ram_options *options = &ram->options;

	if (ram_node_of(ram, call->node) == NULL)
		return -ESTALE;
	call->statvfs = (struct statvfs){
		.f_bsize = RAM_PAGE_SIZE,
		.f_frsize = RAM_PAGE_SIZE,
		.f_blocks = options->size_max / RAM_PAGE_SIZE,
		.f_bfree = (options->size_max - ram->used_bytes) / RAM_PAGE_SIZE,
		.f_bavail = (options->size_max - ram->used_bytes) / RAM_PAGE_SIZE,
		.f_files = options->node_max,
		.f_ffree = options->node_max - ram->used_names,
		.f_favail = options->node_max - ram->used_names,
		.f_namemax = FS_NAME_MAX,
		.f_flag = options->read_only ? ST_RDONLY : 0,
	};
	return 0;
}
