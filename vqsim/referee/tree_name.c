/* SPDX-License-Identifier: BSD-3-Clause */
/* Names in directories: one table for all, by directory and name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tree_internal.h"

static size_t slot_of(const struct vqsim_tree *tree, const struct model_node *dir, const char *text)
{
	uint64_t sum = (uintptr_t)dir;

	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(sum >> 24) & (tree->name_room - 1);
}

static void hash_in(struct vqsim_tree *tree, struct model_name *name)
{
	struct model_name **at = &tree->names[slot_of(tree, name->dir, name->text)];

	name->next_in_hash = *at;
	*at = name;
}

static void grow(struct vqsim_tree *tree)
{
	size_t room = tree->name_room ? tree->name_room * 2 : 64;
	struct model_name **names = calloc(room, sizeof(struct model_name *));

	if (!names) {
		tree->no_memory = true;
		return;
	}
	free(tree->names);
	tree->names = names;
	tree->name_room = room;
	for (struct model_node *dir = tree->all; dir; dir = dir->next_of_all)
		for (struct model_name *name = dir->children; name; name = name->next)
			hash_in(tree, name);
}

int model_check_name(const char *name, bool dots)
{
	if (strlen(name) > VQSIM_FS_NAME_MAX)
		return -ENAMETOOLONG;
	if (name[0] == '\0' || strchr(name, '/'))
		return -EINVAL;
	if (!dots && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
		return -EINVAL;
	return 0;
}

struct model_name *model_name_get(const struct vqsim_tree *tree, const struct model_node *dir,
				  const char *name)
{
	struct model_name *n = tree->name_room ? tree->names[slot_of(tree, dir, name)] : NULL;

	while (n && (n->dir != dir || strcmp(n->text, name) != 0))
		n = n->next_in_hash;
	return n;
}

int model_find(const struct model_step *s, const struct model_node *dir, const char *text,
	       struct model_name **name)
{
	*name = model_name_get(s->tree, dir, text);
	return *name || dir->complete ? 0 : MODEL_ANY;
}

void model_name_add(struct vqsim_tree *tree, struct model_node *dir, const char *text,
		    struct model_node *node)
{
	size_t size = strlen(text) + 1;
	struct model_name *name = malloc(sizeof(*name) + size);

	if (tree->name_count >= tree->name_room)
		grow(tree);
	if (!name || tree->name_room == 0) {
		free(name);
		tree->no_memory = true;
		return;
	}
	memcpy(name->text, text, size);
	name->dir = dir;
	name->node = node;
	name->born = tree->clock + 1;
	name->at = &dir->children;
	name->next = dir->children;
	if (name->next)
		name->next->at = &name->next;
	dir->children = name;
	dir->child_count++;
	node->names++;
	if (S_ISDIR(node->mode))
		node->parent = dir;
	hash_in(tree, name);
	tree->name_count++;
}

/* Somebody who lists the directory may still be shown the name. */
static void keep_gone(struct vqsim_tree *tree, const struct model_name *name)
{
	size_t size = strlen(name->text) + 1;
	struct model_gone *gone;

	if (name->dir->opens == 0)
		return;
	gone = malloc(sizeof(*gone) + size);
	if (!gone) {
		tree->no_memory = true;
		return;
	}
	gone->when = tree->clock + 1;
	memcpy(gone->text, name->text, size);
	gone->next = name->dir->gone;
	name->dir->gone = gone;
}

void model_gone_free(struct model_node *dir)
{
	while (dir->gone) {
		struct model_gone *gone = dir->gone;

		dir->gone = gone->next;
		free(gone);
	}
}

void model_name_remove(struct vqsim_tree *tree, struct model_name *name)
{
	struct model_name **at = &tree->names[slot_of(tree, name->dir, name->text)];
	struct model_node *node = name->node;

	keep_gone(tree, name);
	while (*at != name)
		at = &(*at)->next_in_hash;
	*at = name->next_in_hash;
	*name->at = name->next;
	if (name->next)
		name->next->at = name->at;
	if (S_ISDIR(node->mode) && node->parent == name->dir)
		node->parent = NULL;
	name->dir->child_count--;
	tree->name_count--;
	free(name);
	node->names--;
	model_node_put(tree, node);
}

void model_name_set(struct vqsim_tree *tree, struct model_name *name, struct model_node *node)
{
	struct model_node *old = name->node;

	node->names++;
	if (S_ISDIR(node->mode))
		node->parent = name->dir;
	name->node = node;
	name->born = tree->clock + 1;
	old->names--;
	model_node_put(tree, old);
}

bool model_may_be_dead(const struct vqsim_tree *tree, const struct model_node *dir)
{
	return dir->dead || (dir != tree->root && dir->names == 0);
}

void model_unnamed(struct model_step *s, struct model_node *node)
{
	if (S_ISDIR(node->mode)) {
		node->nlink = 0;
		node->dead = true;
		node->complete = true;
		node->parent = NULL;
	} else if (node->nlink > 0) {
		node->nlink--;
	}
	model_moved(s, node, MODEL_CTIME);
}

bool model_knows_names(const struct vqsim_tree *tree, const struct model_node *node)
{
	uint64_t links = S_ISDIR(node->mode) ? !node->dead : node->nlink;

	return node == tree->root || (node->attr_known && node->names >= links);
}

void model_unnamed_somebody(struct model_step *s)
{
	for (struct model_node *node = s->tree->all; node; node = node->next_of_all) {
		if (model_knows_names(s->tree, node))
			continue;
		node->attr_known = false;
		model_may(s, node, MODEL_CTIME);
	}
}

static void unsure(struct model_step *s, uint64_t parent, const char *text)
{
	struct model_node *dir = model_node_of(s->tree, parent);
	struct model_name *name = dir && text ? model_name_get(s->tree, dir, text) : NULL;

	if (dir)
		dir->complete = false;
	if (name)
		model_name_remove(s->tree, name);
}

void model_unsure_names(struct model_step *s)
{
	if (s->args->opcode == FUSE_SETXATTR || s->args->opcode == FUSE_REMOVEXATTR)
		return;
	unsure(s, s->args->node, s->args->name);
	unsure(s, s->args->new_parent, s->args->new_name);
}
