/* SPDX-License-Identifier: BSD-3-Clause */
/* Handles that come and go. */
#define _GNU_SOURCE /* O_DIRECTORY, O_NOATIME */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree_internal.h"

static uint32_t rights_for(uint32_t flags)
{
	static const uint32_t rights[] = {
		[O_RDONLY] = R_OK, [O_WRONLY] = W_OK, [O_RDWR] = R_OK | W_OK, [O_ACCMODE] = 0};

	return rights[flags & O_ACCMODE] | (flags & O_TRUNC ? W_OK : 0);
}

static int check_noatime(const struct model_step *s, const struct model_node *node)
{
	return (s->args->flags & O_NOATIME) && !model_owner(s, node) ? model_denied(s, -EPERM) : 0;
}

int model_predict_open_of(const struct model_step *s, const struct model_node *node)
{
	int error;

	/* open(2) has no error for a directory that is to be read: OPENDIR is there for that. */
	if (S_ISDIR(node->mode))
		return rights_for(s->args->flags) & W_OK ? -EISDIR : MODEL_ANY_ERROR;
	if (!S_ISREG(node->mode))
		return MODEL_ANY_ERROR;
	if (s->args->flags & O_DIRECTORY)
		return -ENOTDIR;
	error = model_permission(s, node, rights_for(s->args->flags));
	return error ? error : check_noatime(s, node);
}

int model_predict_open(struct model_step *s)
{
	struct model_node *node;
	int error = model_need(s, s->args->node, &node);

	return error ? error : model_predict_open_of(s, node);
}

void model_opened(struct model_step *s, struct model_node *node)
{
	if (!(s->args->flags & O_TRUNC))
		return;
	model_set_size(node, 0);
	model_written(s, node, true);
	if (s->args->fuse_flags & FUSE_OPEN_KILL_SUIDGID)
		model_told_to_drop(s, node);
}

void model_apply_open(struct model_step *s)
{
	struct model_node *node;

	if (model_need(s, s->args->node, &node))
		return;
	model_opened(s, node);
	model_handle_new(s, node, false);
}

int model_predict_opendir(struct model_step *s)
{
	struct model_node *dir;
	int error = model_need_dir(s, s->args->node, &dir);

	if (error == 0)
		error = model_permission(s, dir, R_OK);
	return error ? error : check_noatime(s, dir);
}

void model_apply_opendir(struct model_step *s)
{
	struct model_node *dir;

	if (model_need_dir(s, s->args->node, &dir) == 0)
		model_handle_new(s, dir, true);
}

static int predict_handle(struct model_step *s, bool dir)
{
	struct model_handle *handle;
	int error = model_need_handle(s, s->args->node, s->args->handle, &handle);

	return error == 0 && handle->dir != dir ? -EBADF : error;
}

int model_predict_release(struct model_step *s)
{
	return predict_handle(s, false);
}

void model_apply_release(struct model_step *s)
{
	struct model_handle *handle = model_handle_of(s->tree, s->args->node, s->args->handle);

	if (!handle)
		return;
	if (s->args->fuse_flags & FUSE_RELEASE_FLOCK_UNLOCK)
		model_flock_drop(handle->node, s->args->lock_owner);
	model_handle_free(s->tree, handle);
}

int model_predict_releasedir(struct model_step *s)
{
	return predict_handle(s, true);
}

void model_apply_releasedir(struct model_step *s)
{
	model_apply_release(s);
}

int model_predict_fsync(struct model_step *s)
{
	return predict_handle(s, false);
}

void model_apply_fsync(struct model_step *s)
{
	(void)s;
}

int model_predict_fsyncdir(struct model_step *s)
{
	return predict_handle(s, true);
}

void model_apply_fsyncdir(struct model_step *s)
{
	(void)s;
}
