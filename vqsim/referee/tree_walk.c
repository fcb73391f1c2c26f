/* SPDX-License-Identifier: BSD-3-Clause */
/* The model's files, for those who compare them with something else. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tree_internal.h"

#define PATH_ROOM 4096u

static bool data_known(const struct model_node *node)
{
	for (uint64_t page = 0; page < node->page_room; page++)
		if (node->pages[page] == model_unknown_page)
			return false;
	return node->size <= MODEL_PAGES_MAX * MODEL_PAGE_SIZE;
}

static void tell(const struct model_node *node, const char *path, vqsim_tree_visit *visit,
		 void *opaque)
{
	const struct vqsim_tree_file file = {
		.attr_known = node->attr_known,
		.data_known = data_known(node),
		.names_known = node->complete,
		.mode = node->mode,
		.nlink = node->nlink,
		.uid = node->uid,
		.gid = node->gid,
		.rdev = node->rdev,
		.size = node->size,
		.target = node->target,
		.file = node,
	};

	visit(opaque, path, &file);
}

/* The next name in the order of a walk, or NULL. No recursion: guests make deep trees. */
static const struct model_name *name_of(const struct model_node *dir)
{
	const struct model_name *name = dir->parent ? dir->parent->children : NULL;

	while (name && name->node != dir)
		name = name->next;
	return name;
}

static const struct model_name *next(const struct model_node *root, const struct model_name *name,
				     size_t *path_size)
{
	while (name) {
		*path_size -= strlen(name->text) + 1;
		if (name->next)
			return name->next;
		if (name->dir == root)
			return NULL;
		name = name_of(name->dir);
	}
	return NULL;
}

void vqsim_tree_walk(const struct vqsim_tree *tree, vqsim_tree_visit *visit, void *opaque)
{
	const struct model_name *name = tree->root->children;
	char path[PATH_ROOM] = "";
	size_t size = 0;

	tell(tree->root, "", visit, opaque);
	while (name) {
		size_t more = strlen(name->text) + 1;

		if (size + more >= PATH_ROOM)
			return;
		path[size] = '/';
		memcpy(path + size + 1, name->text, more);
		size += more;
		tell(name->node, path + 1, visit, opaque);
		if (S_ISDIR(name->node->mode) && name->node->children)
			name = name->node->children;
		else
			name = next(tree->root, name, &size);
	}
}

bool vqsim_tree_data(const void *file, uint64_t offset, void *to, uint64_t size)
{
	const struct model_node *node = file;
	uint8_t *bytes = to;

	for (uint64_t done = 0; done < size;) {
		uint64_t at = offset + done, left = MODEL_PAGE_SIZE - at % MODEL_PAGE_SIZE;
		uint64_t piece = left < size - done ? left : size - done;
		const uint8_t *page = model_page(node, at / MODEL_PAGE_SIZE);

		if (page == model_unknown_page)
			return false;
		if (page)
			memcpy(bytes + done, page + at % MODEL_PAGE_SIZE, piece);
		else
			memset(bytes + done, 0, piece);
		done += piece;
	}
	return true;
}
