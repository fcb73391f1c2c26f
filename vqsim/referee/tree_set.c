/* SPDX-License-Identifier: BSD-3-Clause */
/* SETATTR. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree_internal.h"

#define OWNERS (FATTR_UID | FATTR_GID)
#define TIMES  (FATTR_ATIME | FATTR_MTIME | FATTR_CTIME)
#define NOW    (FATTR_ATIME_NOW | FATTR_MTIME_NOW)

/* Guests set FATTR_ATIME besides when they mean now. */
static uint32_t valid_of(const struct fuse_setattr_in *set)
{
	uint32_t valid = set->valid;

	if (valid & FATTR_ATIME_NOW)
		valid &= ~(uint32_t)FATTR_ATIME;
	if (valid & FATTR_MTIME_NOW)
		valid &= ~(uint32_t)FATTR_MTIME;
	return valid & ~(uint32_t)(FATTR_FH | FATTR_LOCKOWNER);
}

static int node_of(const struct model_step *s, struct model_node **node,
		   struct model_handle **handle)
{
	int error;

	*handle = NULL;
	if (!(s->args->set->valid & FATTR_FH))
		return model_need(s, s->args->node, node);
	error = model_need_handle(s, s->args->node, s->args->set->fh, handle);
	if (error == 0)
		*node = (*handle)->node;
	return error;
}

static int check_size(const struct model_step *s, const struct model_node *node,
		      const struct model_handle *handle)
{
	/* ftruncate(2) and truncate(2) say it in different ways. */
	if (handle && handle->dir)
		return -EINVAL;
	if (S_ISDIR(node->mode))
		return -EISDIR;
	if (S_ISLNK(node->mode))
		return MODEL_ANY_ERROR;
	if (!S_ISREG(node->mode))
		return -EINVAL;
	if (handle && (handle->flags & O_ACCMODE) == O_RDONLY)
		return model_denied(s, -EINVAL);
	if (handle)
		return 0;
	return model_permission(s, node, W_OK);
}

static int check_owners(const struct model_step *s, const struct model_node *node)
{
	const struct fuse_setattr_in *set = s->args->set;

	if (((set->valid & FATTR_UID) && set->uid == UINT32_MAX) ||
	    ((set->valid & FATTR_GID) && set->gid == UINT32_MAX))
		return MODEL_ANY;
	if (s->uid == 0)
		return 0;
	if ((set->valid & FATTR_UID) && (s->uid != node->uid || set->uid != node->uid))
		return model_denied(s, -EPERM);
	if ((set->valid & FATTR_GID) &&
	    (s->uid != node->uid || (set->gid != node->gid && !model_in_group(s, set->gid))))
		return model_denied(s, -EPERM);
	return 0;
}

static int check_mode(const struct model_step *s, const struct model_node *node)
{
	if (S_ISLNK(node->mode))
		return MODEL_ANY_ERROR;
	return model_owner(s, node) ? 0 : model_denied(s, -EPERM);
}

static int check_times(const struct model_step *s, const struct model_node *node, uint32_t valid)
{
	if (model_owner(s, node))
		return 0;
	if (valid & FATTR_CTIME)
		return MODEL_ANY;
	if (valid & TIMES)
		return model_denied(s, -EPERM);
	if (valid & FATTR_SIZE)
		return 0;
	return (valid & NOW) == NOW ? model_permission(s, node, W_OK) : model_denied(s, -EPERM);
}

int model_predict_setattr(struct model_step *s)
{
	uint32_t valid = valid_of(s->args->set);
	struct model_handle *handle;
	struct model_node *node;
	int error = node_of(s, &node, &handle);

	if (error == 0 && !node->attr_known)
		error = MODEL_ANY;
	if (error == 0 && (valid & FATTR_SIZE))
		error = check_size(s, node, handle);
	if (error == 0 && (valid & OWNERS))
		error = check_owners(s, node);
	if (error == 0 && (valid & FATTR_MODE))
		error = check_mode(s, node);
	if (error == 0 && (valid & (TIMES | NOW)))
		error = check_times(s, node, valid);
	return error;
}

static void set_size(struct model_step *s, struct model_node *node)
{
	uint64_t size = s->args->set->size;

	if (size != node->size) {
		model_moved(s, node, MODEL_MTIME);
	} else {
		model_may(s, node, MODEL_MTIME);
		model_may(s, node, MODEL_CTIME);
	}
	model_set_size(node, size);
	model_kill_priv(s, node);
}

void model_drop_privileges(const struct model_step *s, struct model_node *node)
{
	model_special_bits_free(s, node);
	node->mode &= ~(uint32_t)S_ISUID;
	if ((node->mode & S_IXGRP) || !model_in_group(s, node->gid))
		node->mode &= ~(uint32_t)S_ISGID;
}

void model_told_to_drop(const struct model_step *s, struct model_node *node)
{
	/* Whether a guest that tells so of root means root's own groups alone is free. */
	if ((s->tree->options.freedom & VQSIM_TREE_TRUSTING) && s->uid == 0 &&
	    (node->mode & S_ISGID))
		node->attr_known = false;
	model_drop_privileges(s, node);
}

static void set_owners(struct model_step *s, struct model_node *node, uint32_t valid)
{
	if (!S_ISDIR(node->mode))
		model_drop_privileges(s, node);
	if (valid & FATTR_UID)
		node->uid = s->args->set->uid;
	if (valid & FATTR_GID)
		node->gid = s->args->set->gid;
}

static void set_mode(struct model_step *s, struct model_node *node)
{
	node->mode = (node->mode & S_IFMT) | (s->args->set->mode & 07777);
	if (!model_special_bits_free(s, node) && !model_in_group(s, node->gid))
		node->mode &= ~(uint32_t)S_ISGID;
}

static void set_time(struct model_node *node, enum model_which which, uint64_t sec, uint32_t nsec)
{
	node->times[which].when = MODEL_STILL;
	node->times[which].value = (struct model_stamp){(int64_t)sec, nsec};
}

static void set_times(struct model_step *s, struct model_node *node, uint32_t valid)
{
	const struct fuse_setattr_in *set = s->args->set;

	if (valid & FATTR_ATIME)
		set_time(node, MODEL_ATIME, set->atime, set->atimensec);
	if (valid & FATTR_MTIME)
		set_time(node, MODEL_MTIME, set->mtime, set->mtimensec);
	if (valid & FATTR_ATIME_NOW)
		model_moved(s, node, MODEL_ATIME);
	if (valid & FATTR_MTIME_NOW)
		model_moved(s, node, MODEL_MTIME);
	if (valid & FATTR_CTIME)
		node->times[MODEL_CTIME].when = MODEL_UNSEEN;
}

static bool size_stays(const struct model_step *s, const struct model_node *node, uint32_t valid)
{
	return valid == FATTR_SIZE && s->args->set->size == node->size;
}

void model_apply_setattr(struct model_step *s)
{
	uint32_t valid = valid_of(s->args->set);
	struct model_handle *handle;
	struct model_node *node;
	bool changes;

	if (node_of(s, &node, &handle))
		return;
	changes = valid != 0 && !size_stays(s, node, valid);
	if (valid & FATTR_SIZE)
		set_size(s, node);
	if ((valid & FATTR_KILL_SUIDGID) && S_ISREG(node->mode))
		model_told_to_drop(s, node);
	if (valid & OWNERS)
		set_owners(s, node, valid);
	if (valid & FATTR_MODE)
		set_mode(s, node);
	if (changes)
		model_moved(s, node, MODEL_CTIME);
	set_times(s, node, valid);
	model_check_attr(s, node, &s->result->attr);
}

bool model_setattr_failed(struct model_step *s)
{
	uint32_t valid = valid_of(s->args->set);
	struct model_handle *handle;
	struct model_node *node;

	if (!(s->tree->options.freedom & VQSIM_TREE_HOST_POLICY) || (valid & (valid - 1)) == 0)
		return false;
	if (node_of(s, &node, &handle) == 0)
		model_vague(node);
	return true;
}
