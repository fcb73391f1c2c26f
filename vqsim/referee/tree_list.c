/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listings. From offset 0 to the end, without a jump, a name that was there all the time is given
 * exactly once, one that never was is not; of those that came or went meanwhile, either.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tree_internal.h"

/* Room in which every entry fits. */
#define ENTRY_MAX (sizeof(struct fuse_entry_out) + 24 + 256)

static int need(const struct model_step *s, struct model_handle **handle)
{
	int error = model_need_handle(s, s->args->node, s->args->handle, handle);

	return error == 0 && !(*handle)->dir ? -EBADF : error;
}

int model_predict_readdir(struct model_step *s)
{
	struct model_handle *handle;
	int error = need(s, &handle);

	if (error)
		return error;
	/* Also if nothing of what was read had room. */
	model_may(s, handle->node, MODEL_ATIME);
	if (model_may_be_dead(s->tree, handle->node))
		return MODEL_ANY; /* ENOENT, or nothing */
	/* EINVAL: an entry has no room; or an offset that was never told. */
	return s->args->size < ENTRY_MAX || s->args->offset != handle->offset ? MODEL_ANY : 0;
}

static struct model_seen *seen(const struct model_handle *handle, const char *text)
{
	struct model_seen *at = handle->seen;

	while (at && strcmp(at->text, text) != 0)
		at = at->next;
	return at;
}

static void see(struct model_step *s, struct model_handle *handle, const char *text)
{
	size_t size = strlen(text) + 1;
	struct model_seen *made = malloc(sizeof(*made) + size);

	if (!made) {
		s->tree->no_memory = true;
		return;
	}
	memcpy(made->text, text, size);
	made->next = handle->seen;
	handle->seen = made;
}

static bool gone_since(const struct model_handle *handle, const char *text)
{
	for (const struct model_gone *g = handle->node->gone; g; g = g->next)
		if (g->when > handle->began && strcmp(g->text, text) == 0)
			return true;
	return false;
}

static void wrong_name(struct model_step *s, const char *text, const char *what)
{
	model_wrong(s, VQSIM_RULE_TREE_NAMES, "\"%.60s\" %s", text, what);
}

static void check_entry(struct model_step *s, const struct model_handle *handle,
			const struct vqsim_fs_dirent *dirent, const struct model_name *name)
{
	bool late = s->tree->options.freedom & VQSIM_TREE_LATE_LISTINGS;
	const struct model_node *node;

	if (!name) {
		if (handle->node->complete && !(late && gone_since(handle, dirent->name)))
			wrong_name(s, dirent->name, "is listed, but is not there");
		return;
	}
	if (handle->whole && name->born <= handle->began && seen(handle, dirent->name))
		wrong_name(s, dirent->name, "is listed twice");
	if (late && name->born > handle->began)
		return;
	node = name->node;
	if (dirent->type != 0 && dirent->type != (node->mode & S_IFMT) >> 12)
		wrong_name(s, dirent->name, "is listed with another type than it has");
	if (node->ino_known && dirent->ino != node->ino)
		wrong_name(s, dirent->name, "is listed with another inode than it has");
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* An entry of READDIRPLUS that was looked up. */
static void take_lookup(struct model_step *s, struct model_handle *handle,
			const struct vqsim_fs_dirent *dirent)
{
	struct model_name *name = model_name_get(s->tree, handle->node, dirent->name);
	struct model_node *node = name ? name->node : NULL;

	if (dirent->entry.nodeid == 0)
		return;
	model_entry(s, &dirent->entry, &node);
	if (!name && node && !handle->node->dead)
		model_name_add(s->tree, handle->node, dirent->name, node);
}

static void take(struct model_step *s, struct model_handle *handle,
		 const struct vqsim_fs_dirent *dirent)
{
	struct model_name *name = model_name_get(s->tree, handle->node, dirent->name);

	handle->offset = dirent->next;
	if (is_dots(dirent->name))
		return;
	if (!s->blind)
		check_entry(s, handle, dirent, name);
	see(s, handle, dirent->name);
	take_lookup(s, handle, dirent);
}

/* Names that were there all the time and did not come. */
static void check_end(struct model_step *s, const struct model_handle *handle)
{
	for (const struct model_name *n = handle->node->children; n; n = n->next) {
		if (n->born > handle->began)
			continue;
		if (!seen(handle, n->text))
			wrong_name(s, n->text, "is there, but was not listed");
	}
}

void model_apply_readdir(struct model_step *s)
{
	struct vqsim_fs_dirents dirents;
	struct vqsim_fs_dirent dirent;
	struct model_handle *handle;

	if (need(s, &handle))
		return;
	if (s->args->offset == 0)
		model_listing_begin(handle, s->tree->clock);
	else if (s->args->offset != handle->offset)
		handle->whole = false;
	if (s->blind)
		handle->whole = false;
	handle->offset = s->args->offset;
	dirents = (struct vqsim_fs_dirents){s->result->data, s->result->count,
					    s->args->opcode == FUSE_READDIRPLUS,
					    s->tree->fs->swapped};
	while (vqsim_fs_dirents_next(&dirents, &dirent))
		take(s, handle, &dirent);
	if (s->result->count == 0 && handle->whole && !model_may_be_dead(s->tree, handle->node) &&
	    s->args->size >= ENTRY_MAX)
		check_end(s, handle);
}
