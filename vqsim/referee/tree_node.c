/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes, the ids under which the guest knows them, and handles. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tree_internal.h"

static size_t slot_of(const struct vqsim_tree *tree, uint64_t id)
{
	return (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (tree->node_room - 1);
}

struct model_node *model_node_of(const struct vqsim_tree *tree, uint64_t id)
{
	struct model_node *node = tree->node_room ? tree->nodes[slot_of(tree, id)] : NULL;

	while (node && node->id != id)
		node = node->next_by_id;
	return node;
}

static void hash_in(struct vqsim_tree *tree, struct model_node *node)
{
	struct model_node **at = &tree->nodes[slot_of(tree, node->id)];

	node->next_by_id = *at;
	*at = node;
}

static void grow(struct vqsim_tree *tree)
{
	size_t room = tree->node_room ? tree->node_room * 2 : 64;
	struct model_node **nodes = calloc(room, sizeof(struct model_node *));

	if (!nodes) {
		tree->no_memory = true;
		return;
	}
	free(tree->nodes);
	tree->nodes = nodes;
	tree->node_room = room;
	for (struct model_node *node = tree->all; node; node = node->next_of_all)
		if (node->id)
			hash_in(tree, node);
}

void model_node_set_id(struct vqsim_tree *tree, struct model_node *node, uint64_t id)
{
	if (tree->node_count >= tree->node_room)
		grow(tree);
	if (tree->node_room == 0)
		return;
	node->id = id;
	hash_in(tree, node);
	tree->node_count++;
}

static void drop_id(struct vqsim_tree *tree, struct model_node *node)
{
	struct model_node **at;

	if (node->id == 0)
		return;
	at = &tree->nodes[slot_of(tree, node->id)];
	while (*at != node)
		at = &(*at)->next_by_id;
	*at = node->next_by_id;
	node->id = 0;
	tree->node_count--;
}

struct model_node *model_node_new(struct vqsim_tree *tree, uint32_t mode)
{
	struct model_node *node = calloc(1, sizeof(*node));

	if (!node) {
		tree->no_memory = true;
		return NULL;
	}
	node->mode = mode;
	node->other_xattrs = true;
	for (unsigned i = 0; i < MODEL_TIMES; i++)
		node->times[i].when = MODEL_UNSEEN;
	node->at_of_all = &tree->all;
	node->next_of_all = tree->all;
	if (tree->all)
		tree->all->at_of_all = &node->next_of_all;
	tree->all = node;
	return node;
}

void model_node_free(struct vqsim_tree *tree, struct model_node *node)
{
	while (node->children)
		model_name_remove(tree, node->children);
	drop_id(tree, node);
	*node->at_of_all = node->next_of_all;
	if (node->next_of_all)
		node->next_of_all->at_of_all = node->at_of_all;
	model_gone_free(node);
	model_pages_free(node);
	model_xattrs_free(node);
	model_locks_free(node);
	free(node->target);
	free(node);
}

void model_node_put(struct vqsim_tree *tree, struct model_node *node)
{
	if (node == tree->root)
		return;
	if (node->opens == 0)
		model_locks_free(node);
	if (node->names == 0 && node->lookups == 0 && node->opens == 0 && node->pins == 0)
		model_node_free(tree, node);
}

int model_predict_forget(struct model_step *s)
{
	(void)s;
	return 0;
}

void model_apply_forget(struct model_step *s)
{
	const struct vqsim_fs_args *args = s->args;

	if (args->opcode == FUSE_FORGET)
		model_forget(s->tree, args->node, args->count);
	for (uint64_t i = 0; args->opcode == FUSE_BATCH_FORGET && i < args->count; i++)
		model_forget(s->tree, args->forgets[i].nodeid, args->forgets[i].nlookup);
}

void model_vague(struct model_node *node)
{
	node->attr_known = false;
	node->complete = false;
	node->xattrs_complete = false;
	node->locks_known = false;
	for (unsigned i = 0; i < MODEL_TIMES; i++)
		node->times[i].when = MODEL_UNSEEN;
	if (S_ISREG(node->mode))
		model_data_vague(node);
}

static bool is_nameless(const struct vqsim_tree *tree, uint64_t id)
{
	const struct model_node *node = model_node_of(tree, id);

	return node && node != tree->root && node->names == 0;
}

bool model_may_be_lost(const struct model_step *s)
{
	return (s->tree->options.freedom & VQSIM_TREE_HOST_POLICY) &&
	       (is_nameless(s->tree, s->args->node) || is_nameless(s->tree, s->args->new_parent) ||
		is_nameless(s->tree, s->args->target_node));
}

/* Perhaps, that is. */
static bool unknown_ids_work(const struct vqsim_tree *tree)
{
	return tree->stray_ids || (tree->options.freedom & VQSIM_TREE_IDS_LINGER);
}

static bool is_known(const struct model_step *s, uint64_t id)
{
	return id == 0 || model_node_of(s->tree, id);
}

/* A handle keeps its file whatever becomes of the id, and may have been opened by one that lingers. */
static bool names_known_files(const struct model_step *s)
{
	const struct vqsim_fs_args *a = s->args;

	switch (a->opcode) {
	case FUSE_COPY_FILE_RANGE:
	case FUSE_COPY_FILE_RANGE_64:
		return model_handle_of(s->tree, a->target_node, a->target_handle);
	case FUSE_WRITE:
	case FUSE_FALLOCATE:
		return model_handle_of(s->tree, a->node, a->handle);
	case FUSE_SETLK:
	case FUSE_SETLKW:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		return s->had_handle;
	case FUSE_SETATTR:
		if (a->set->valid & FATTR_FH)
			return model_handle_of(s->tree, a->node, a->set->fh);
		return is_known(s, a->node);
	default:
		return is_known(s, a->node) && is_known(s, a->new_parent);
	}
}

void model_after_stale_id(struct model_step *s)
{
	if (!unknown_ids_work(s->tree) || names_known_files(s))
		return;
	s->tree->stray_handles |= s->args->opcode == FUSE_OPEN || s->args->opcode == FUSE_OPENDIR ||
				  s->args->opcode == FUSE_CREATE || s->args->opcode == FUSE_TMPFILE;
	for (struct model_node *node = s->tree->all; node; node = node->next_of_all) {
		if (model_writes(s, MODEL_FILE))
			model_vague(node);
		if (model_writes(s, MODEL_LOCKS))
			node->locks_known = false;
	}
}

void model_forget(struct vqsim_tree *tree, uint64_t id, uint64_t count)
{
	struct model_node *node = model_node_of(tree, id);

	if (!node || node == tree->root)
		return;
	node->lookups -= count < node->lookups ? count : node->lookups;
	if (node->lookups > 0)
		return;
	drop_id(tree, node);
	model_node_put(tree, node);
}

/* Nodes without names end while the list is gone through: those that are left are looked at again. */
static struct model_node *next_looked_up(const struct vqsim_tree *tree)
{
	struct model_node *node = tree->all;

	while (node && (node->id == 0 || node == tree->root))
		node = node->next_of_all;
	return node;
}

void model_new_session(struct vqsim_tree *tree)
{
	struct model_node *node;

	tree->stray_handles = tree->stray_ids = false;
	while (tree->handles)
		model_handle_free(tree, tree->handles);
	while ((node = next_looked_up(tree)))
		model_forget(tree, node->id, node->lookups);
	if (tree->root->id == 0)
		model_node_set_id(tree, tree->root, FUSE_ROOT_ID);
}

int model_need(const struct model_step *s, uint64_t id, struct model_node **node)
{
	*node = model_node_of(s->tree, id);
	if (*node)
		return 0;
	return unknown_ids_work(s->tree) ? MODEL_ANY : -ESTALE;
}

int model_need_dir(const struct model_step *s, uint64_t id, struct model_node **dir)
{
	int error = model_need(s, id, dir);

	if (error)
		return error;
	return S_ISDIR((*dir)->mode) ? 0 : -ENOTDIR;
}

/* --- handles --- */

struct model_handle *model_handle_of(const struct vqsim_tree *tree, uint64_t node, uint64_t handle)
{
	struct model_handle *h = tree->handles;

	while (h && (h->handle != handle || h->node_id != node))
		h = h->next;
	return h;
}

int model_need_handle(const struct model_step *s, uint64_t node, uint64_t id,
		      struct model_handle **handle)
{
	*handle = model_handle_of(s->tree, node, id);
	if (*handle)
		return 0;
	if (s->tree->stray_handles)
		return MODEL_ANY;
	if (model_node_of(s->tree, node))
		return -EBADF;
	return unknown_ids_work(s->tree) ? MODEL_ANY : -ESTALE;
}

int model_need_file(const struct model_step *s, uint64_t node, uint64_t id,
		    struct model_handle **handle)
{
	int error = model_need_handle(s, node, id, handle);

	return error == 0 && (*handle)->dir ? -EBADF : error;
}

static void seen_free(struct model_handle *handle)
{
	while (handle->seen) {
		struct model_seen *seen = handle->seen;

		handle->seen = seen->next;
		free(seen);
	}
}

void model_listing_begin(struct model_handle *handle, uint64_t clock)
{
	seen_free(handle);
	handle->began = clock;
	handle->whole = true;
	handle->offset = 0;
}

void model_handle_new(struct model_step *s, struct model_node *node, bool dir)
{
	struct model_handle *handle;

	if (model_handle_of(s->tree, node->id, s->result->handle)) {
		model_wrong(s, VQSIM_RULE_TREE_IDENTITY, "handle %" PRIu64 " is open already",
			    s->result->handle);
		return;
	}
	handle = calloc(1, sizeof(*handle));
	if (!handle) {
		s->tree->no_memory = true;
		return;
	}
	*handle = (struct model_handle){
		.next = s->tree->handles,
		.node = node,
		.node_id = node->id,
		.handle = s->result->handle,
		.flags = s->args->flags,
		.dir = dir,
	};
	model_listing_begin(handle, s->tree->clock);
	node->opens++;
	s->tree->handles = handle;
}

static bool listed_elsewhere(const struct vqsim_tree *tree, const struct model_node *dir)
{
	for (const struct model_handle *h = tree->handles; h; h = h->next)
		if (h->node == dir)
			return true;
	return false;
}

void model_handle_free(struct vqsim_tree *tree, struct model_handle *handle)
{
	struct model_handle **at = &tree->handles;
	struct model_node *node = handle->node;

	while (*at != handle)
		at = &(*at)->next;
	*at = handle->next;
	seen_free(handle);
	free(handle);
	node->opens--;
	if (S_ISDIR(node->mode) && !listed_elsewhere(tree, node))
		model_gone_free(node);
	model_node_put(tree, node);
}

/* --- look-ups --- */

static void check_identity(struct model_step *s, const struct fuse_entry_out *entry,
			   struct model_node *node, const struct model_node *by_id)
{
	if (node->id && node->id != entry->nodeid)
		model_wrong(s, VQSIM_RULE_TREE_IDENTITY,
			    "node id %" PRIu64 " for a file that is looked up as %" PRIu64,
			    entry->nodeid, node->id);
	else if (by_id && by_id != node)
		model_wrong(s, VQSIM_RULE_TREE_IDENTITY,
			    "node id %" PRIu64 " stands for another file already", entry->nodeid);
}

/* A file that is open keeps its inode number to itself, also when its name has been lost track of. */
static struct model_node *open_as(const struct vqsim_tree *tree, const struct fuse_attr *attr)
{
	for (const struct model_handle *h = tree->handles; h; h = h->next)
		if (h->node->ino_known && h->node->ino == attr->ino && h->node->id == 0 &&
		    (h->node->mode & S_IFMT) == (attr->mode & S_IFMT))
			return h->node;
	return NULL;
}

struct model_node *model_entry_known(const struct vqsim_tree *tree,
				     const struct fuse_entry_out *entry)
{
	struct model_node *by_id = model_node_of(tree, entry->nodeid);

	return by_id ? by_id : open_as(tree, &entry->attr);
}

void model_entry(struct model_step *s, const struct fuse_entry_out *entry, struct model_node **node)
{
	struct model_node *by_id = model_node_of(s->tree, entry->nodeid);

	if (!*node)
		*node = model_entry_known(s->tree, entry);
	if (!*node)
		*node = model_node_new(s->tree, entry->attr.mode & S_IFMT);
	if (!*node)
		return;
	if (!s->blind)
		check_identity(s, entry, *node, by_id);
	if ((*node)->id == 0 && !by_id)
		model_node_set_id(s->tree, *node, entry->nodeid);
	(*node)->lookups++;
	model_check_attr(s, *node, &entry->attr);
}
