/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may do what, as Linux has it for callers with a uid, a gid and groups. Uid 0 may all. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree_internal.h"

bool model_owner(const struct model_step *s, const struct model_node *node)
{
	return s->uid == 0 || s->uid == node->uid;
}

static bool is_member(const struct model_step *s, uint32_t gid)
{
	for (uint32_t i = 0; i < s->group_count; i++)
		if (s->groups[i] == gid)
			return true;
	return s->gid == gid;
}

bool model_in_group(const struct model_step *s, uint32_t gid)
{
	return s->uid == 0 || is_member(s, gid);
}

static bool is_trusting(const struct model_step *s)
{
	return s->tree->options.freedom & VQSIM_TREE_TRUSTING;
}

int model_denied(const struct model_step *s, int error)
{
	return is_trusting(s) ? MODEL_ANY : error;
}

int model_permission(const struct model_step *s, const struct model_node *node, uint32_t mask)
{
	uint32_t bits = node->mode;

	if (!node->attr_known)
		return MODEL_ANY;
	if (s->uid == 0)
		return (mask & X_OK) && !S_ISDIR(bits) && !(bits & 0111) ? model_denied(s, -EACCES)
									 : 0;
	if (s->uid == node->uid)
		bits >>= 6;
	else if (is_member(s, node->gid))
		bits >>= 3;
	return (bits & mask & 7) == (mask & 7) ? 0 : model_denied(s, -EACCES);
}

int model_may_create(const struct model_step *s, const struct model_node *dir)
{
	if (dir->dead)
		return -ENOENT;
	return model_may_be_dead(s->tree, dir) ? MODEL_ANY : model_permission(s, dir, W_OK | X_OK);
}

int model_may_delete(const struct model_step *s, const struct model_node *dir,
		     const struct model_node *node, bool as_dir)
{
	int error = model_permission(s, dir, W_OK | X_OK);

	if (error)
		return error;
	if (!node->attr_known)
		return MODEL_ANY;
	if ((dir->mode & S_ISVTX) && !model_owner(s, node) && !model_owner(s, dir))
		return model_denied(s, -EPERM);
	if (as_dir && !S_ISDIR(node->mode))
		return -ENOTDIR;
	return !as_dir && S_ISDIR(node->mode) ? -EISDIR : 0;
}

bool model_special_bits_free(const struct model_step *s, struct model_node *node)
{
	if (!is_trusting(s) || s->uid == 0)
		return false;
	if (node->mode & (S_ISUID | S_ISGID))
		node->attr_known = false;
	return true;
}

/* Written by somebody without privileges: suid goes, sgid of programs and of strangers too. */
void model_kill_priv(const struct model_step *s, struct model_node *node)
{
	if (s->uid == 0 || model_special_bits_free(s, node))
		return;
	node->mode &= ~(uint32_t)S_ISUID;
	if ((node->mode & S_IXGRP) || !is_member(s, node->gid))
		node->mode &= ~(uint32_t)S_ISGID;
}

int model_predict_access(struct model_step *s)
{
	struct model_node *node;
	int error = model_need(s, s->args->node, &node);

	return error ? error : model_permission(s, node, s->args->mask);
}

void model_apply_access(struct model_step *s)
{
	(void)s;
}
