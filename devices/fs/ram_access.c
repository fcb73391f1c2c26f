/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may do what: Linux's rules for a caller with nothing but uid, gid and groups. Uid 0
 * has all capabilities, others none.
 */
#include <errno.h>
#include <unistd.h>

#include "ram_internal.h"

bool ram_privileged(const struct ram *ram, const struct fs_call *call)
{
	return call->uid == 0 || ram->options.trust_guest;
}

bool ram_owner(const struct ram *ram, const struct fs_call *call, const struct ram_node *node)
{
	return call->uid == node->uid || ram_privileged(ram, call);
}

static bool is_member(const struct fs_call *call, uint32_t gid)
{
	if (call->gid == gid)
		return true;
	for (uint32_t i = 0; i < call->group_count; i++)
		if (call->groups[i] == gid)
			return true;
	return false;
}

bool ram_in_group(const struct ram *ram, const struct fs_call *call, uint32_t gid)
{
	return ram_privileged(ram, call) || is_member(call, gid);
}

static bool may_be_written(const struct ram_node *node)
{
	return S_ISREG(node->mode) || S_ISDIR(node->mode) || S_ISLNK(node->mode);
}

int ram_permission(const struct ram *ram, const struct fs_call *call, const struct ram_node *node,
		   uint32_t mask)
{
	uint32_t mode = node->mode;

	if (mask & W_OK && ram->options.read_only && may_be_written(node))
		return -EROFS;
	if (ram->options.trust_guest)
		return 0;
	/* Only to execute a file, somebody must have the right. */
	if (call->uid == 0)
		return mask & X_OK && !S_ISDIR(mode) && !(mode & 0111) ? -EACCES : 0;
	if (call->uid == node->uid)
		mode >>= 6;
	else if (is_member(call, node->gid))
		mode >>= 3;
	return mask & ~mode & (R_OK | W_OK | X_OK) ? -EACCES : 0;
}

int ram_may_create(const struct ram *ram, const struct fs_call *call, const struct ram_node *dir)
{
	/* A directory that was removed takes no names. */
	if (dir->nlink == 0)
		return -ENOENT;
	return ram_permission(ram, call, dir, W_OK | X_OK);
}

int ram_may_delete(const struct ram *ram, const struct fs_call *call, const struct ram_node *dir,
		   const struct ram_node *node, bool as_dir)
{
	int error = ram_permission(ram, call, dir, W_OK | X_OK);

	if (error != 0)
		return error;
	if (dir->mode & S_ISVTX && !ram_owner(ram, call, node) && !ram_owner(ram, call, dir))
		return -EPERM;
	if (as_dir && !S_ISDIR(node->mode))
		return -ENOTDIR;
	if (!as_dir && S_ISDIR(node->mode))
		return -EISDIR;
	return 0;
}

/* A file that its group cannot execute loses sgid only if the caller is no member. */
static void drop_sgid(struct ram_node *node, bool member)
{
	if (node->mode & S_IXGRP || !member)
		node->mode &= ~(uint32_t)S_ISGID;
}

void ram_kill_priv(struct ram *ram, const struct fs_call *call, struct ram_node *node, bool forced)
{
	/* A page cache writes for nobody in particular; the guest tells if bits are to go. */
	if (call->flags & FS_WRITE_CACHE && !forced)
		return;
	ram_xattr_drop(ram, node, RAM_XATTR_CAPS);
	if (!forced && ram_privileged(ram, call))
		return;
	node->mode &= ~(uint32_t)S_ISUID;
	drop_sgid(node, ram_in_group(ram, call, node->gid));
}

void ram_kill_priv_chown(struct ram *ram, const struct fs_call *call, struct ram_node *node)
{
	if (S_ISDIR(node->mode))
		return;
	ram_xattr_drop(ram, node, RAM_XATTR_CAPS);
	node->mode &= ~(uint32_t)S_ISUID;
	drop_sgid(node, ram_in_group(ram, call, node->gid));
}

uint32_t ram_new_mode(const struct ram *ram, const struct fs_call *call, const struct ram_node *dir,
		      uint32_t mode)
{
	const uint32_t group_runs_as = S_ISGID | S_IXGRP;

	if (S_ISLNK(mode))
		return mode;
	/* The group comes from the directory: only its members may have programs run as it. */
	if (!S_ISDIR(mode) && dir->mode & S_ISGID && (mode & group_runs_as) == group_runs_as &&
	    !ram_in_group(ram, call, dir->gid))
		mode &= ~(uint32_t)S_ISGID;
	mode &= ~(call->umask & 0777);
	if (S_ISDIR(mode) && dir->mode & S_ISGID)
		mode |= S_ISGID;
	return mode;
}

int ram_access(struct ram *ram, struct fs_call *call)
{
	const struct ram_node *node = ram_node_of(ram, call->node);

	if (node == NULL)
		return -ESTALE;
	return ram_permission(ram, call, node, call->access & (R_OK | W_OK | X_OK));
}
