/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes: what the guest has looked up. A hash table finds a node by its identity, ids by
 * the number that the guest has; both hold no reference. A node ends with its last look-up
 * and reference. It refers to its parent, so that the names that lead to it stay.
 */
#define _GNU_SOURCE /* statx */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dir_internal.h"

#define FIRST_BUCKETS 256u
#define NODES_MAX     (1u << 27)

/* Files that were made one after the other share a cache line of buckets. */
static uint64_t hash(const struct dir_ident *ident)
{
	uint64_t h = (ident->ino >> 3 ^ (uint64_t)ident->dev << 32) * UINT64_C(0x9e3779b97f4a7c15);

	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return (h ^ h >> 32) << 3 | (ident->ino & 7);
}

static struct dir_node **bucket_of(const struct dir *dir, const struct dir_ident *ident)
{
	return &dir->buckets[hash(ident) & (dir->bucket_count - 1)];
}

/* Without memory the lists just get longer. */
static void grow(struct dir *dir)
{
	uint32_t old_count = dir->bucket_count;
	struct dir_node **old = dir->buckets;
	struct dir_node **buckets = calloc(2 * (size_t)old_count, sizeof(struct dir_node *));

	if (buckets == NULL)
		return;
	dir->buckets = buckets;
	dir->bucket_count = 2 * old_count;
	for (uint32_t i = 0; i < old_count; i++) {
		while (old[i] != NULL) {
			struct dir_node *node = old[i];
			struct dir_node **bucket = bucket_of(dir, &node->ident);

			old[i] = node->next_in_bucket;
			node->next_in_bucket = *bucket;
			*bucket = node;
		}
	}
	free(old);
}

/*
 * No descriptor of it is open, and no name leads to it: its inode may be gone, and a new one be
 * told from it by nothing, if it was born within the same tick of the clock.
 */
static bool is_lost(const struct dir *dir, const struct dir_node *node)
{
	return node->fd < 0 && node->opens == 0 && node->parent == NULL && node != dir->root;
}

/* What was made after this one is likely to be looked up after it, too. */
static void prefetch(const struct dir_node *next)
{
	__builtin_prefetch(next);
	__builtin_prefetch((const void *)((uintptr_t)next + 64)); /* it may be NULL */
}

static struct dir_node *find(const struct dir *dir, const struct dir_ident *ident)
{
	struct dir_node **bucket = bucket_of(dir, ident), *node = *bucket;

	prefetch(dir->buckets[(size_t)(bucket + 1 - dir->buckets) & (dir->bucket_count - 1)]);
	while (node != NULL && (!dir_same(&node->ident, ident) || is_lost(dir, node)))
		node = node->next_in_bucket;
	/* Known from now on, see dir_ident_of. */
	if (node != NULL)
		__atomic_store_n(&node->ident.btime, ident->btime, __ATOMIC_RELAXED);
	return node;
}

static int add(struct dir *dir, const struct dir_ident *ident, struct dir_node **result)
{
	struct dir_node **bucket, *node = malloc(sizeof(*node));
	int error;

	if (node == NULL)
		return -ENOMEM;
	*node = (struct dir_node){.ident = *ident, .fd = -1};
	error = fs_ids_add(&dir->nodes, node, &node->id);
	if (error) {
		free(node);
		return error;
	}
	if (dir->node_count++ >= dir->bucket_count)
		grow(dir);
	bucket = bucket_of(dir, ident);
	node->next_in_bucket = *bucket;
	*bucket = node;
	*result = node;
	return 0;
}

/* Neither found nor named any more; what it has is freed later, by dir_bury. */
static void take_out(struct dir *dir, struct dir_node *node)
{
	struct dir_node **at = bucket_of(dir, &node->ident);

	while (*at != node)
		at = &(*at)->next_in_bucket;
	*at = node->next_in_bucket;
	dir->node_count--;
	fs_ids_remove(&dir->nodes, node->id);
	dir_fd_forget(dir, node);
}

/* Parents whose last reference was their child's go with it. */
struct dir_node *dir_unref(struct dir *dir, struct dir_node *node)
{
	struct dir_node *dead = NULL;

	while (node != NULL && --node->refs == 0 && node->lookups == 0) {
		struct dir_node *parent = node->parent;

		take_out(dir, node);
		node->next_in_bucket = dead;
		dead = node;
		node = parent;
	}
	return dead;
}

/* For free(). */
static char *long_name(const struct dir_node *node)
{
	return node->name != node->short_name ? node->name : NULL;
}

void dir_bury(struct dir_node *node)
{
	while (node != NULL) {
		struct dir_node *next = node->next_in_bucket;

		if (node->fd >= 0)
			close(node->fd);
		free(long_name(node));
		free(node->handle);
		free(node->locks);
		free(node);
		node = next;
	}
}

int dir_nodes_init(struct dir *dir)
{
	struct statx sx;
	struct dir_ident ident;
	int error;

	fs_ids_init(&dir->nodes, NODES_MAX);
	fs_ids_init(&dir->handles, NODES_MAX);
	dir->bucket_count = FIRST_BUCKETS;
	dir->buckets = calloc(FIRST_BUCKETS, sizeof(struct dir_node *));
	if (dir->buckets == NULL)
		return -ENOMEM;
	error = dir_statx(dir, dir->root_fd, "", &sx);
	if (error)
		return error;
	ident = dir_ident_of(dir, &sx);
	error = add(dir, &ident, &dir->root);
	if (error)
		return error;
	/* In no list: it is never given up. */
	dir->root->fd = dir->root_fd;
	dir->root->refs = dir->root->fd_users = 1;
	return 0;
}

void dir_nodes_reset(struct dir *dir)
{
	uint64_t id = dir->root->id;
	struct dir_node *node;

	dir->root->lookups = 0;
	dir_locks_clear(dir, dir->root);
	while ((node = fs_ids_next(&dir->nodes, &id)) != NULL) {
		dir_locks_clear(dir, node);
		take_out(dir, node);
		node->next_in_bucket = NULL;
		dir_bury(node);
	}
	dir->root->refs = 1;
}

void dir_nodes_finish(struct dir *dir)
{
	if (dir->root != NULL) {
		dir_nodes_reset(dir);
		dir->root->fd = -1;
		dir_bury(dir->root);
	}
	fs_ids_finish(&dir->nodes);
	fs_ids_finish(&dir->handles);
	free(dir->buckets);
}

struct dir_node *dir_node_known(struct dir *dir, uint64_t id)
{
	struct dir_node *node = fs_ids_get(&dir->nodes, id);

	if (node == NULL || (node->lookups == 0 && node->opens == 0 && node != dir->root))
		return NULL;
	node->refs++;
	return node;
}

struct dir_node *dir_node_get(struct dir *dir, uint64_t id)
{
	struct dir_node *node;

	pthread_mutex_lock(&dir->lock);
	node = dir_node_known(dir, id);
	pthread_mutex_unlock(&dir->lock);
	return node;
}

void dir_node_put(struct dir *dir, struct dir_node *node)
{
	struct dir_node *dead;

	pthread_mutex_lock(&dir->lock);
	dead = dir_unref(dir, node);
	pthread_mutex_unlock(&dir->lock);
	dir_bury(dead);
}

struct dir_node *dir_node_find(struct dir *dir, const struct statx *sx)
{
	struct dir_ident ident = dir_ident_of(dir, sx);
	struct dir_node *node;

	pthread_mutex_lock(&dir->lock);
	node = find(dir, &ident);
	if (node != NULL)
		node->refs++;
	pthread_mutex_unlock(&dir->lock);
	return node;
}

void dir_fill_entry(const struct dir *dir, const struct statx *sx, struct fs_entry *entry)
{
	entry->attr = *sx;
	entry->attr.stx_mask &= ~(uint32_t)STATX_MNT_ID;
	entry->entry_valid = dir->entry_valid;
	entry->attr_valid = dir->attr_valid;
}

static bool is_at(const struct dir_node *node, const struct dir_node *parent, const char *name)
{
	return node->parent == parent && node->name != NULL && strcmp(node->name, name) == 0;
}

/*
 * lock is held; the caller has parent, too. NULL: no place; so without memory. Returns nodes to
 * bury; *garbage: memory to free.
 */
static struct dir_node *set_place(struct dir *dir, struct dir_node *node, struct dir_node *parent,
				  const char *name, char **garbage)
{
	size_t size = parent != NULL ? strlen(name) + 1 : 0;
	char *copy = size <= DIR_SHORT_NAME ? node->short_name : malloc(size);
	struct dir_node *old = node->parent;

	*garbage = long_name(node);
	node->parent = copy != NULL ? parent : NULL;
	node->name = NULL;
	if (node->parent != NULL) {
		node->name = memcpy(copy, name, size);
		parent->refs++;
		dir_set_pinned(dir, node, false);
	}
	return old != NULL ? dir_unref(dir, old) : NULL;
}

int dir_node_enter(struct dir *dir, struct dir_node *parent, const char *name,
		   const struct dir_seen *seen, struct fs_entry *entry)
{
	struct dir_ident ident = dir_ident_of(dir, &seen->sx);
	struct dir_node *node, *dead = NULL;
	char *garbage = NULL;
	int error = 0, spare = seen->fd;

	pthread_mutex_lock(&dir->lock);
	node = find(dir, &ident);
	if (node == NULL)
		error = add(dir, &ident, &node);
	if (!error) {
		node->lookups++;
		entry->node = node->id;
		entry->generation = 0;
		if (parent != NULL && node != dir->root && !is_at(node, parent, name))
			dead = set_place(dir, node, parent, name, &garbage);
		if (spare >= 0)
			spare = dir_install_fd(dir, node, spare);
	}
	pthread_mutex_unlock(&dir->lock);
	free(garbage);
	dir_bury(dead);
	dir_discard(dir, spare);
	dir_fill_entry(dir, &seen->sx, entry);
	return error;
}

void dir_node_moved(struct dir *dir, struct dir_node *node, struct dir_node *parent,
		    const char *name)
{
	struct dir_node *dead;
	char *garbage;

	if (node == dir->root)
		return;
	pthread_mutex_lock(&dir->lock);
	dead = set_place(dir, node, parent, name, &garbage);
	pthread_mutex_unlock(&dir->lock);
	free(garbage);
	dir_bury(dead);
}

bool dir_node_is_named(struct dir *dir, struct dir_node *node, const struct dir_node *parent,
		       const char *name)
{
	bool result;

	pthread_mutex_lock(&dir->lock);
	result = is_at(node, parent, name);
	pthread_mutex_unlock(&dir->lock);
	return result;
}

void dir_node_unnamed(struct dir *dir, struct dir_node *node, const struct dir_node *parent,
		      const char *name)
{
	struct dir_node *dead = NULL;
	char *garbage = NULL;

	pthread_mutex_lock(&dir->lock);
	if (is_at(node, parent, name))
		dead = set_place(dir, node, NULL, NULL, &garbage);
	pthread_mutex_unlock(&dir->lock);
	free(garbage);
	dir_bury(dead);
}

void dir_forget(struct fs_tree *tree, uint64_t id, uint64_t count)
{
	struct dir *dir = dir_of(tree);
	struct dir_node *node, *dead = NULL;

	pthread_mutex_lock(&dir->lock);
	node = fs_ids_get(&dir->nodes, id);
	if (node != NULL && node != dir->root) {
		node->lookups -= count < node->lookups ? count : node->lookups;
		node->refs++;
		dead = dir_unref(dir, node);
	}
	pthread_mutex_unlock(&dir->lock);
	dir_bury(dead);
}
