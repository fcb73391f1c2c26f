/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies of the model, on which an order of requests is tried. What two copies know is compared by a
 * sum over everything in them, in which nodes stand for themselves by id or inode number.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tree_internal.h"

#define NODES_MAX 96u
#define PAGES_MAX 256u

static uint64_t pages_of(const struct model_node *node)
{
	uint64_t count = 0;

	for (uint64_t page = 0; page < node->page_room; page++)
		count += node->pages[page] && node->pages[page] != model_unknown_page;
	return count;
}

bool model_small(const struct vqsim_tree *tree)
{
	uint64_t nodes = 0, pages = 0;

	for (const struct model_node *node = tree->all; node; node = node->next_of_all) {
		if (++nodes > NODES_MAX || node->page_room > PAGES_MAX)
			return false;
		pages += pages_of(node);
	}
	return pages <= PAGES_MAX;
}

/* --- parts of a node; what has no memory is missing in the copy, which says so --- */

static void *duplicate(struct vqsim_tree *to, const void *from, size_t size)
{
	void *made = malloc(size);

	if (made)
		memcpy(made, from, size);
	else
		to->no_memory = true;
	return made;
}

static void copy_pages(struct vqsim_tree *to, struct model_node *node,
		       const struct model_node *from)
{
	node->pages = NULL;
	node->page_room = 0;
	if (from->page_room == 0)
		return;
	node->pages = duplicate(to, from->pages, from->page_room * sizeof(*from->pages));
	if (!node->pages)
		return;
	node->page_room = from->page_room;
	for (uint64_t page = 0; page < node->page_room; page++)
		if (node->pages[page] && node->pages[page] != model_unknown_page)
			node->pages[page] = duplicate(to, node->pages[page], MODEL_PAGE_SIZE);
}

static struct model_lock *copy_locks(struct vqsim_tree *to, const struct model_lock *from)
{
	struct model_lock *first = NULL, **at = &first;

	for (; from; from = from->next) {
		*at = duplicate(to, from, sizeof(*from));
		if (!*at)
			break;
		at = &(*at)->next;
	}
	*at = NULL;
	return first;
}

static struct model_xattr *copy_xattrs(struct vqsim_tree *to, const struct model_xattr *from)
{
	struct model_xattr *first = NULL;

	for (; from; from = from->next) {
		struct model_xattr *made = duplicate(to, from, sizeof(*from));

		if (!made)
			break;
		made->name = duplicate(to, from->name, strlen(from->name) + 1);
		made->value = duplicate(to, from->value, from->size + 1u);
		made->next = first;
		first = made;
	}
	return first;
}

static struct model_gone *copy_gone(struct vqsim_tree *to, const struct model_gone *from)
{
	struct model_gone *first = NULL;

	for (; from; from = from->next) {
		struct model_gone *made =
			duplicate(to, from, sizeof(*from) + strlen(from->text) + 1);

		if (!made)
			break;
		made->next = first;
		first = made;
	}
	return first;
}

static struct model_seen *copy_seen(struct vqsim_tree *to, const struct model_seen *from)
{
	struct model_seen *first = NULL;

	for (; from; from = from->next) {
		struct model_seen *made =
			duplicate(to, from, sizeof(*from) + strlen(from->text) + 1);

		if (!made)
			break;
		made->next = first;
		first = made;
	}
	return first;
}

/* --- the whole --- */

/* Without names, which need the nodes at both ends. */
static void copy_node(struct vqsim_tree *to, struct model_node *from)
{
	struct model_node *node = model_node_new(to, from->mode), links;

	from->twin = node;
	if (!node)
		return;
	links = *node;
	*node = *from;
	node->next_by_id = NULL;
	node->next_of_all = links.next_of_all;
	node->at_of_all = links.at_of_all;
	node->twin = NULL;
	node->id = 0;
	node->names = node->child_count = 0;
	node->opens = node->pins = 0;
	node->parent = NULL;
	node->children = NULL;
	memset(node->use, 0, sizeof(node->use));
	copy_pages(to, node, from);
	node->gone = copy_gone(to, from->gone);
	node->target = from->target ? duplicate(to, from->target, strlen(from->target) + 1) : NULL;
	node->xattrs = copy_xattrs(to, from->xattrs);
	node->posix = copy_locks(to, from->posix);
	node->flock = copy_locks(to, from->flock);
	if (from->id)
		model_node_set_id(to, node, from->id);
}

static void copy_names(struct vqsim_tree *to, const struct model_node *from)
{
	for (const struct model_name *name = from->children; name; name = name->next) {
		model_name_add(to, from->twin, name->text, name->node->twin);
		if (to->no_memory)
			return;
		from->twin->children->born = name->born;
	}
}

static void copy_handles(struct vqsim_tree *to, const struct model_handle *from)
{
	for (; from; from = from->next) {
		struct model_handle *handle = duplicate(to, from, sizeof(*from));

		if (!handle)
			return;
		handle->node = from->node->twin;
		handle->node->opens++;
		handle->seen = copy_seen(to, from->seen);
		handle->next = to->handles;
		to->handles = handle;
	}
}

bool model_copy(struct vqsim_tree *to, const struct vqsim_tree *from)
{
	*to = *from;
	to->root = NULL;
	to->nodes = NULL;
	to->names = NULL;
	to->node_room = to->node_count = to->name_room = to->name_count = 0;
	to->all = NULL;
	to->handles = NULL;
	to->in_flight = to->spare = NULL;
	to->group_count = 0;
	for (struct model_node *node = from->all; node && !to->no_memory; node = node->next_of_all)
		copy_node(to, node);
	for (struct model_node *node = from->all; node && !to->no_memory; node = node->next_of_all)
		copy_names(to, node);
	if (to->no_memory)
		return false;
	for (struct model_node *node = from->all; node; node = node->next_of_all)
		node->twin->parent = node->parent ? node->parent->twin : NULL;
	to->root = from->root->twin;
	copy_handles(to, from->handles);
	return !to->no_memory;
}

void model_adopt(struct vqsim_tree *tree, struct vqsim_tree *copy)
{
	model_finish(tree);
	tree->root = copy->root;
	tree->nodes = copy->nodes;
	tree->names = copy->names;
	tree->node_room = copy->node_room;
	tree->node_count = copy->node_count;
	tree->name_room = copy->name_room;
	tree->name_count = copy->name_count;
	tree->all = copy->all;
	if (tree->all)
		tree->all->at_of_all = &tree->all;
	tree->handles = copy->handles;
	tree->stray_handles = copy->stray_handles;
	tree->stray_ids = copy->stray_ids;
	tree->clock = copy->clock;
	tree->latest = copy->latest;
	tree->judged = copy->judged;
	tree->learned = copy->learned;
	tree->no_memory |= copy->no_memory;
	copy->nodes = NULL;
	copy->names = NULL;
	copy->all = NULL;
	copy->handles = NULL;
}
