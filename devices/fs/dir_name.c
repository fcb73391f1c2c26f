/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names: look-up and removal. The decoder has checked names; this is the table that stands
 * between them and the host, so they are checked here, too.
 */
#define _GNU_SOURCE /* statx */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "dir_internal.h"

int dir_check_name(const char *name)
{
	if (name == NULL || *name == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return -EINVAL;
	return strlen(name) > FS_NAME_MAX ? -ENAMETOOLONG : 0;
}

int dir_hold_parent(struct dir *dir, uint64_t id, const char *name, struct dir_hold *hold)
{
	int error = dir_check_name(name);

	if (error)
		return error;
	error = dir_hold_fd(dir, id, hold);
	if (!error && hold->node->ident.type != S_IFDIR) {
		dir_drop(dir, hold);
		error = -ENOTDIR;
	}
	return error;
}

int dir_see(struct dir *dir, int parent, const char *name, struct dir_seen *seen)
{
	int error;

	do
		seen->fd = dir_open_name(parent, name);
	while (dir_give_up_one(dir, seen->fd));
	if (seen->fd < 0)
		return seen->fd;
	error = dir_statx(dir, seen->fd, "", &seen->sx);
	if (error)
		close(seen->fd);
	return error;
}

int dir_look_up(struct dir *dir, const struct dir_hold *parent, const char *name,
		struct fs_entry *entry)
{
	struct dir_seen seen;
	int error = 0;

	if (!dir_exclusive(dir))
		error = dir_see(dir, parent->fd, name, &seen);
	if (dir_exclusive(dir) || error == -EMFILE || error == -ENFILE) {
		seen.fd = -1;
		error = dir_statx(dir, parent->fd, name, &seen.sx);
	}
	return error ? error : dir_node_enter(dir, parent->node, name, &seen, entry);
}

int dir_lookup(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_hold parent;
	int error = dir_hold_parent(dir, call->node, call->name, &parent);

	if (error)
		return error;
	error = dir_look_up(dir, &parent, call->name, &call->entry);
	dir_drop(dir, &parent);
	return error;
}

int dir_readlink(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	char target[PATH_MAX];
	struct dir_hold hold;
	int error = dir_hold_fd(dir, call->node, &hold);
	ssize_t size;

	if (error)
		return error;
	size = hold.node->ident.type == S_IFLNK ? readlinkat(hold.fd, "", target, sizeof(target))
						: (errno = EINVAL, -1);
	if (size < 0)
		error = -errno;
	else if ((size_t)size > call->data.size)
		error = -ENAMETOOLONG;
	else
		call->count = iov_window_write(&call->data, target, (size_t)size);
	dir_drop(dir, &hold);
	return error;
}

void dir_before_removal(struct dir *dir, const struct dir_hold *parent, const char *name,
			const struct statx *sx, struct dir_removal *removal)
{
	/* What is removed takes no room when nobody has it open. */
	dir_close_now(dir);
	removal->node = dir_node_find(dir, sx);
	removal->pinned = false;
	if (removal->node == NULL)
		return;
	/* Another name that is known leads to it as well. */
	if (S_ISDIR(sx->stx_mode) || sx->stx_nlink <= 1 ||
	    dir_node_is_named(dir, removal->node, parent->node, name))
		removal->pinned = dir_pin(dir, removal->node);
}

void dir_after_removal(struct dir *dir, const struct dir_hold *parent, const char *name,
		       struct dir_removal *removal, bool removed)
{
	if (removal->node == NULL)
		return;
	if (removed)
		dir_node_unnamed(dir, removal->node, parent->node, name);
	else if (removal->pinned)
		dir_unpin(dir, removal->node);
	dir_node_put(dir, removal->node);
}

static int remove_name(struct fs_tree *tree, struct fs_call *call, int flags)
{
	struct dir *dir = dir_of(tree);
	struct dir_removal removal;
	struct dir_hold parent;
	struct statx sx;
	int error;

	if (dir_read_only(dir))
		return -EROFS;
	error = dir_hold_parent(dir, call->node, call->name, &parent);
	if (error)
		return error;
	error = dir_statx(dir, parent.fd, call->name, &sx);
	if (!error) {
		dir_before_removal(dir, &parent, call->name, &sx, &removal);
		error = unlinkat(parent.fd, call->name, flags) < 0 ? -errno : 0;
		dir_after_removal(dir, &parent, call->name, &removal, error == 0);
	}
	dir_drop(dir, &parent);
	return error;
}

int dir_unlink(struct fs_tree *tree, struct fs_call *call)
{
	return remove_name(tree, call, 0);
}

int dir_rmdir(struct fs_tree *tree, struct fs_call *call)
{
	return remove_name(tree, call, AT_REMOVEDIR);
}
