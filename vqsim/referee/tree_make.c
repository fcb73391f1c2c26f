/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that are looked up and made. */
#define _GNU_SOURCE /* O_TMPFILE and its kin */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree_internal.h"

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A directory that the caller may search, and the name in it. */
static int walk(const struct model_step *s, uint64_t id, const char *text, struct model_node **dir,
		struct model_name **name)
{
	int error = model_need_dir(s, id, dir);

	if (error == 0)
		error = model_permission(s, *dir, X_OK);
	return error ? error : model_find(s, *dir, text, name);
}

int model_predict_lookup(struct model_step *s)
{
	struct model_node *dir;
	struct model_name *name;
	int error = model_need_dir(s, s->args->node, &dir);

	if (error == 0)
		error = model_permission(s, dir, X_OK);
	if (error)
		return error;
	if (is_dots(s->args->name))
		return model_may_be_dead(s->tree, dir) ? MODEL_ANY : 0;
	error = model_find(s, dir, s->args->name, &name);
	return error == 0 && !name ? -ENOENT : error;
}

static struct model_node *dots(struct model_node *dir, const char *name)
{
	return strcmp(name, ".") == 0 ? dir : dir->parent;
}

void model_apply_lookup(struct model_step *s)
{
	struct model_node *dir, *node;
	struct model_name *name;

	if (model_need_dir(s, s->args->node, &dir))
		return;
	if (is_dots(s->args->name)) {
		node = dots(dir, s->args->name);
		if (node)
			model_entry(s, &s->result->entry, &node);
		return;
	}
	name = model_name_get(s->tree, dir, s->args->name);
	node = name ? name->node : NULL;
	model_entry(s, &s->result->entry, &node);
	if (!name && node)
		model_name_add(s->tree, dir, s->args->name, node);
}

/* --- what makes something --- */

static int predict_make(struct model_step *s)
{
	struct model_node *dir;
	struct model_name *name;
	int error = walk(s, s->args->node, s->args->name, &dir, &name);

	if (error == 0 && name)
		error = -EEXIST;
	return error ? error : model_may_create(s, dir);
}

static uint32_t new_mode(const struct model_step *s, const struct model_node *dir, uint32_t mode)
{
	const uint32_t runs_as_group = S_ISGID | S_IXGRP;

	if (S_ISLNK(mode))
		return mode;
	if (!S_ISDIR(mode) && (dir->mode & S_ISGID) && (mode & runs_as_group) == runs_as_group &&
	    !model_in_group(s, dir->gid))
		mode &= ~(uint32_t)S_ISGID;
	mode &= ~(s->umask & 0777);
	return S_ISDIR(mode) && (dir->mode & S_ISGID) ? mode | S_ISGID : mode;
}

static struct model_node *new_node(struct model_step *s, const struct model_node *dir,
				   uint32_t mode)
{
	struct model_node *node = model_node_new(s->tree, new_mode(s, dir, mode));

	if (!node)
		return NULL;
	node->attr_known = dir->attr_known && !s->blind;
	if (dir->mode & S_ISGID)
		model_special_bits_free(s, node);
	node->complete = node->xattrs_complete = node->locks_known = true;
	node->other_xattrs = s->args->label_name || !model_only_user_xattrs(s->tree);
	node->uid = s->uid;
	node->gid = dir->mode & S_ISGID ? dir->gid : s->gid;
	node->nlink = S_ISDIR(mode) ? 2 : 1;
	for (unsigned i = 0; i < MODEL_TIMES; i++)
		model_moved(s, node, i);
	return node;
}

/* With its name; the reply's attributes are still to be checked. */
static struct model_node *make(struct model_step *s, struct model_node *dir, uint32_t mode)
{
	struct model_name *old = model_name_get(s->tree, dir, s->args->name);
	struct model_node *node = new_node(s, dir, mode);

	if (!node)
		return NULL;
	if (old)
		model_name_remove(s->tree, old);
	model_dir_changed(s, dir);
	if (S_ISDIR(mode))
		dir->nlink++;
	model_name_add(s->tree, dir, s->args->name, node);
	return node;
}

static struct model_node *apply_make(struct model_step *s, uint32_t mode)
{
	struct model_node *dir, *node;

	if (model_need_dir(s, s->args->node, &dir))
		return NULL;
	node = make(s, dir, mode);
	return node;
}

static void made(struct model_step *s, struct model_node *node)
{
	if (node)
		model_entry(s, &s->result->entry, &node);
}

int model_predict_mkdir(struct model_step *s)
{
	return predict_make(s);
}

void model_apply_mkdir(struct model_step *s)
{
	made(s, apply_make(s, S_IFDIR | (s->args->mode & (0777 | S_ISVTX))));
}

static uint32_t type_of(uint32_t mode)
{
	return mode & S_IFMT ? mode & S_IFMT : S_IFREG;
}

/* Device 0:0 is a whiteout, which is harmless. */
static bool is_device(const struct model_step *s)
{
	uint32_t type = type_of(s->args->mode);

	return type == S_IFBLK || (type == S_IFCHR && s->args->rdev != 0);
}

int model_predict_mknod(struct model_step *s)
{
	int error = predict_make(s);

	return error == 0 && is_device(s) && s->uid != 0 ? model_denied(s, -EPERM) : error;
}

void model_apply_mknod(struct model_step *s)
{
	struct model_node *node = apply_make(s, type_of(s->args->mode) | (s->args->mode & 07777));

	if (node)
		node->rdev = s->args->rdev;
	made(s, node);
}

int model_predict_symlink(struct model_step *s)
{
	return predict_make(s);
}

void model_apply_symlink(struct model_step *s)
{
	struct model_node *node = apply_make(s, S_IFLNK | 0777);

	if (!node)
		return;
	node->target = strdup(s->args->target);
	node->size = strlen(s->args->target);
	made(s, node);
}

int model_predict_readlink(struct model_step *s)
{
	struct model_node *node;
	int error = model_need(s, s->args->node, &node);

	if (error)
		return error;
	if (!S_ISLNK(node->mode))
		return -EINVAL;
	if (!node->attr_known)
		return MODEL_ANY;
	/* Half of a target is another one. */
	return node->size > s->args->size ? -ENAMETOOLONG : 0;
}

void model_apply_readlink(struct model_step *s)
{
	struct model_node *node;
	size_t size = s->result->count;

	if (model_need(s, s->args->node, &node))
		return;
	model_may(s, node, MODEL_ATIME);
	if (!node->target)
		node->target = strndup((const char *)s->result->data, size);
	else if (strlen(node->target) != size || memcmp(node->target, s->result->data, size) != 0)
		model_wrong(s, VQSIM_RULE_TREE_DATA, "target \"%.*s\" and not \"%.60s\"",
			    (int)(size < 60 ? size : 60), (const char *)s->result->data,
			    node->target);
}

/* --- another name for a file --- */

static int check_link(const struct model_node *node)
{
	if (S_ISDIR(node->mode))
		return -EPERM;
	if (!node->attr_known)
		return MODEL_ANY;
	return node->nlink == 0 && !node->linkable ? -ENOENT : 0;
}

int model_predict_link(struct model_step *s)
{
	struct model_node *node, *dir;
	struct model_name *name;
	int error = model_need(s, s->args->node, &node);

	if (error == 0)
		error = walk(s, s->args->new_parent, s->args->new_name, &dir, &name);
	if (error == 0 && name)
		error = -EEXIST;
	if (error == 0)
		error = model_may_create(s, dir);
	return error ? error : check_link(node);
}

void model_apply_link(struct model_step *s)
{
	struct model_node *node, *dir;

	if (model_need(s, s->args->node, &node) || model_need_dir(s, s->args->new_parent, &dir))
		return;
	node->nlink++;
	node->linkable = false;
	model_moved(s, node, MODEL_CTIME);
	model_dir_changed(s, dir);
	if (!model_name_get(s->tree, dir, s->args->new_name))
		model_name_add(s->tree, dir, s->args->new_name, node);
	model_entry(s, &s->result->entry, &node);
}

/* --- files that are open at once --- */

int model_predict_create(struct model_step *s)
{
	struct model_node *dir;
	struct model_name *name;
	int error = walk(s, s->args->node, s->args->name, &dir, &name);

	if (error)
		return error;
	/* Linux has no such open(2). */
	if (s->args->flags & O_DIRECTORY)
		return MODEL_ANY;
	if (!name)
		return model_may_create(s, dir);
	if (s->args->flags & O_EXCL)
		return -EEXIST;
	return S_ISDIR(name->node->mode) ? -EISDIR : model_predict_open_of(s, name->node);
}

void model_apply_create(struct model_step *s)
{
	struct model_node *dir, *node;
	struct model_name *name;

	if (model_need_dir(s, s->args->node, &dir))
		return;
	name = model_name_get(s->tree, dir, s->args->name);
	node = name ? name->node : NULL;
	if (!name && !dir->complete)
		node = model_entry_known(s->tree, &s->result->entry);
	if (node)
		model_opened(s, node);
	else if (dir->complete)
		node = make(s, dir, S_IFREG | (s->args->mode & 07777));
	model_entry(s, &s->result->entry, &node);
	if (!node)
		return;
	if (!model_name_get(s->tree, dir, s->args->name)) {
		model_vague(dir); /* it may have been there before */
		model_name_add(s->tree, dir, s->args->name, node);
	}
	model_handle_new(s, node, false);
}

int model_predict_tmpfile(struct model_step *s)
{
	struct model_node *dir;
	int error = model_need_dir(s, s->args->node, &dir);

	if (error)
		return error;
	/* Linux asks for a file that can be written, but not for a directory that is still there. */
	if (dir->dead || (s->args->flags & O_ACCMODE) == O_RDONLY)
		return MODEL_ANY;
	return model_may_create(s, dir);
}

void model_apply_tmpfile(struct model_step *s)
{
	struct model_node *dir, *node;

	if (model_need_dir(s, s->args->node, &dir))
		return;
	node = new_node(s, dir, S_IFREG | (s->args->mode & 07777));
	if (!node)
		return;
	node->nlink = 0;
	node->linkable = !(s->args->flags & O_EXCL);
	model_entry(s, &s->result->entry, &node);
	model_handle_new(s, node, false);
}
