/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that move, and names that are added. */
#define _GNU_SOURCE /* statx, renameat2 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "dir_internal.h"

/* What a rename is about. Absent: sx.stx_mask is 0. */
struct end {
	struct dir_hold parent;
	const char *name;
	struct statx sx;
};

static int look(const struct dir *dir, struct end *end)
{
	int error = dir_statx(dir, end->parent.fd, end->name, &end->sx);

	if (error)
		end->sx.stx_mask = 0;
	return error;
}

/* The second one may be absent. */
static int look_at_both(const struct dir *dir, struct end *from, struct end *to)
{
	int error = look(dir, from);

	if (error)
		return error;
	error = look(dir, to);
	return error == -ENOENT ? 0 : error;
}

/* Nodes learn what became of their names. */
static void follow(struct dir *dir, const struct statx *sx, const struct end *to)
{
	struct dir_node *node = dir_node_find(dir, sx);

	if (node == NULL)
		return;
	dir_node_moved(dir, node, to->parent.node, to->name);
	dir_node_put(dir, node);
}

/* A whiteout is a new file: it is made as the caller. */
static int move(const struct dir *dir, const struct fs_call *call, const struct end *from,
		const struct end *to)
{
	struct dir_guard guard = {.ids = false};
	int error =
		call->rename_flags & RENAME_WHITEOUT ? dir_cred_enter(dir, call, true, &guard) : 0;

	if (error)
		return error;
	if (renameat2(from->parent.fd, from->name, to->parent.fd, to->name, call->rename_flags) < 0)
		error = -errno;
	dir_cred_leave(dir, &guard);
	return error;
}

static int rename_ends(struct dir *dir, const struct fs_call *call, struct end *from,
		       struct end *to)
{
	struct dir_removal removal = {NULL, false};
	unsigned flags = call->rename_flags;
	bool replaces;
	int error = look_at_both(dir, from, to);

	replaces =
		!error && to->sx.stx_mask != 0 && !(flags & (RENAME_EXCHANGE | RENAME_NOREPLACE));
	if (replaces && from->sx.stx_ino == to->sx.stx_ino)
		replaces = false;
	if (replaces)
		dir_before_removal(dir, &to->parent, to->name, &to->sx, &removal);
	if (!error)
		error = move(dir, call, from, to);
	dir_after_removal(dir, &to->parent, to->name, &removal, error == 0);
	if (error)
		return error;
	if (flags & RENAME_EXCHANGE)
		follow(dir, &to->sx, from);
	follow(dir, &from->sx, to);
	return 0;
}

int dir_rename(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct end from = {.name = call->name}, to = {.name = call->new_name};
	int error;

	if (dir_read_only(dir))
		return -EROFS;
	error = dir_hold_parent(dir, call->node, call->name, &from.parent);
	if (error)
		return error;
	error = dir_hold_parent(dir, call->new_parent, call->new_name, &to.parent);
	if (!error) {
		error = rename_ends(dir, call, &from, &to);
		dir_drop(dir, &to.parent);
	}
	dir_drop(dir, &from.parent);
	return error;
}

static int link_held(struct dir *dir, struct dir_hold *hold, const struct dir_hold *parent,
		     struct fs_call *call)
{
	struct dir_seen seen = {.fd = -1};
	int error = 0;

	if (linkat(dir->proc_fd, dir_proc_name(hold->fd).path, parent->fd, call->new_name,
		   AT_SYMLINK_FOLLOW) < 0)
		error = -errno;
	/* The node that was asked for, whatever has the name by now. */
	if (!error)
		error = dir_statx(dir, hold->fd, "", &seen.sx);
	return error ? error
		     : dir_node_enter(dir, parent->node, call->new_name, &seen, &call->entry);
}

int dir_link(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_hold hold, parent;
	int error;

	if (dir_read_only(dir))
		return -EROFS;
	error = dir_hold_parent(dir, call->new_parent, call->new_name, &parent);
	if (error)
		return error;
	error = dir_hold_fd(dir, call->node, &hold);
	if (!error) {
		error = hold.node->ident.type == S_IFDIR ? -EPERM
							 : link_held(dir, &hold, &parent, call);
		dir_drop(dir, &hold);
	}
	dir_drop(dir, &parent);
	return error;
}
