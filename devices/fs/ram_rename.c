/* SPDX-License-Identifier: BSD-3-Clause */
/* rename: checks in the order of Linux, then what cannot fail. */
#define _GNU_SOURCE /* RENAME_ */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ram_internal.h"

struct move {
	struct ram_node *from, *to; /* directories */
	struct ram_node *node;
	struct ram_node *target; /* NULL: the new name is not there */
	bool exchange, whiteout;
};

static bool is_dir(const struct ram_node *node)
{
	return node != NULL && S_ISDIR(node->mode);
}

static int check_flags(uint32_t flags)
{
	const uint32_t known = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;

	if (flags & ~known)
		return -EINVAL;
	if (flags & RENAME_EXCHANGE && flags & (RENAME_NOREPLACE | RENAME_WHITEOUT))
		return -EINVAL;
	return 0;
}

static int find(const struct ram *ram, const struct fs_call *call, struct move *move)
{
	int error = ram_dir_of(ram, call->node, &move->from);

	if (error == 0)
		error = ram_dir_of(ram, call->new_parent, &move->to);
	if (error == 0)
		error = ram_permission(ram, call, move->from, X_OK);
	if (error == 0)
		error = ram_permission(ram, call, move->to, X_OK);
	if (error != 0)
		return error;
	move->node = ram_dir_get(move->from, call->name);
	move->target = ram_dir_get(move->to, call->new_name);
	if (move->node == NULL)
		return -ENOENT;
	if (call->rename_flags & RENAME_NOREPLACE && move->target != NULL)
		return -EEXIST;
	return move->exchange && move->target == NULL ? -ENOENT : 0;
}

/* Whether node is dir or above it. */
static bool above(const struct ram_node *node, const struct ram_node *dir)
{
	while (dir != NULL && dir != node && dir->dir.parent != dir)
		dir = dir->dir.parent;
	return dir == node;
}

/* A directory cannot go below itself, nor replace one that it is in. */
static int check_loops(const struct move *move)
{
	if (move->from == move->to)
		return 0;
	if (is_dir(move->node) && above(move->node, move->to))
		return -EINVAL;
	if (is_dir(move->target) && above(move->target, move->from))
		return move->exchange ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int check_rights(const struct ram *ram, const struct fs_call *call, const struct move *move)
{
	bool target_as_dir = is_dir(move->exchange ? move->target : move->node);
	int error = ram_may_delete(ram, call, move->from, move->node, is_dir(move->node));

	if (error == 0 && move->target == NULL)
		error = ram_may_create(ram, call, move->to);
	else if (error == 0)
		error = ram_may_delete(ram, call, move->to, move->target, target_as_dir);
	/* A directory that moves has its ".." written. */
	if (error == 0 && move->from != move->to && is_dir(move->node))
		error = ram_permission(ram, call, move->node, W_OK);
	if (error == 0 && move->from != move->to && move->exchange && is_dir(move->target))
		error = ram_permission(ram, call, move->target, W_OK);
	if (error == 0 && !move->exchange && is_dir(move->target) && move->target->dir.count > 0)
		error = -ENOTEMPTY;
	return error;
}

/* node went from one directory to another one. */
static void reparent(struct ram_node *node, struct ram_node *from, struct ram_node *to)
{
	if (!is_dir(node))
		return;
	node->dir.parent = to;
	from->nlink--;
	to->nlink++;
}

static void exchange(struct ram *ram, const struct fs_call *call, const struct move *move)
{
	ram_dir_set(move->from, call->name, move->target);
	ram_dir_set(move->to, call->new_name, move->node);
	reparent(move->node, move->from, move->to);
	reparent(move->target, move->to, move->from);
	ram_touch(ram, move->target, RAM_CTIME);
}

static void replace_target(struct ram *ram, const struct fs_call *call, const struct move *move)
{
	ram_dir_set(move->to, call->new_name, move->node);
	if (is_dir(move->target)) {
		move->to->nlink--;
		move->target->dir.parent = NULL;
	}
	ram_node_unnamed(ram, move->target);
}

/* The device 0:0, which overlayfs takes for "not there", gets the old name. */
static int with_whiteout(struct ram *ram, const struct fs_call *call, const struct move *move)
{
	struct ram_node *whiteout;
	int error = ram_node_create(ram, call, S_IFCHR, &whiteout);

	if (error != 0)
		return error;
	if (move->from->mode & S_ISGID)
		whiteout->gid = move->from->gid;
	if (move->target == NULL)
		error = ram_dir_add(move->to, call->new_name, move->node);
	if (error != 0) {
		ram_node_destroy(ram, whiteout);
		return error;
	}
	if (move->target != NULL)
		replace_target(ram, call, move);
	whiteout->nlink = 1;
	ram_dir_set(move->from, call->name, whiteout);
	reparent(move->node, move->from, move->to);
	return 0;
}

static int plain(struct ram *ram, const struct fs_call *call, const struct move *move)
{
	int error = 0;

	/* In its directory a file keeps its place: who lists while he renames comes to an end. */
	if (move->target == NULL && move->from == move->to)
		return ram_dir_respell(move->from, call->name, call->new_name);
	if (move->target == NULL)
		error = ram_dir_add(move->to, call->new_name, move->node);
	if (error != 0)
		return error;
	if (move->target != NULL)
		replace_target(ram, call, move);
	ram_dir_remove(move->from, call->name);
	reparent(move->node, move->from, move->to);
	return 0;
}

int ram_rename(struct ram *ram, struct fs_call *call)
{
	struct move move = {
		.exchange = call->rename_flags & RENAME_EXCHANGE,
		.whiteout = call->rename_flags & RENAME_WHITEOUT,
	};
	int error = check_flags(call->rename_flags);

	if (error == 0)
		error = find(ram, call, &move);
	if (error == 0)
		error = check_loops(&move);
	if (error != 0 || move.node == move.target)
		return error;
	error = check_rights(ram, call, &move);
	if (error != 0)
		return error;
	if (move.exchange)
		exchange(ram, call, &move);
	else if (move.whiteout)
		error = with_whiteout(ram, call, &move);
	else
		error = plain(ram, call, &move);
	if (error != 0)
		return error;
	ram_touch(ram, move.node, RAM_CTIME);
	ram_touch(ram, move.from, RAM_MTIME | RAM_CTIME);
	ram_touch(ram, move.to, RAM_MTIME | RAM_CTIME);
	return 0;
}
