/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks of the guest's processes among each other. They are not taken on the host: a
 * lock of the host belongs to this process or to an open file, which are not what the
 * guest's owners are, and a request that waited in the host could not be interrupted.
 * So they exclude nobody but users of the same tree.
 *
 * A node that has locks, or waiters, is referred to by them.
 */
#include <errno.h>
#include <stdlib.h>

#include "dir_internal.h"

/* The calls that got what they waited for. */
static void run_ready(struct dir *dir)
{
	for (;;) {
		struct fs_call *call;
		int result;

		pthread_mutex_lock(&dir->locking);
		call = fs_locks_ready(&dir->lock_space, &result);
		pthread_mutex_unlock(&dir->locking);
		if (call == NULL)
			return;
		call->done(call, result);
	}
}

/* locking is held. -ENOMEM */
static int need_locks(struct dir *dir, struct dir_node *node)
{
	struct fs_locks *locks;

	if (node->locks != NULL)
		return 0;
	locks = calloc(1, sizeof(*locks));
	if (locks == NULL)
		return -ENOMEM;
	__atomic_store_n(&node->locks, locks, __ATOMIC_RELEASE);
	pthread_mutex_lock(&dir->lock);
	node->refs++;
	pthread_mutex_unlock(&dir->lock);
	return 0;
}

static bool is_empty(const struct fs_locks *locks)
{
	return locks->posix == NULL && locks->flock == NULL && locks->waiters == NULL;
}

/* locking is held, and so is node by the caller. Without locks the node needs no table of them. */
static void settle(struct dir *dir, struct dir_node *node)
{
	if (node->locks == NULL || !is_empty(node->locks))
		return;
	free(node->locks);
	__atomic_store_n(&node->locks, NULL, __ATOMIC_RELAXED);
	dir_node_put(dir, node);
}

void dir_locks_clear(struct dir *dir, struct dir_node *node)
{
	if (node->locks == NULL)
		return;
	pthread_mutex_lock(&dir->locking);
	fs_locks_clear(&dir->lock_space, node->locks);
	free(node->locks);
	node->locks = NULL;
	pthread_mutex_unlock(&dir->locking);
}

static bool is_open(struct dir *dir, const struct dir_node *node)
{
	bool open;

	pthread_mutex_lock(&dir->lock);
	open = node->opens > 0;
	pthread_mutex_unlock(&dir->lock);
	return open;
}

void dir_locks_closed(struct dir *dir, struct dir_node *node, const struct fs_call *call)
{
	pthread_mutex_lock(&dir->locking);
	if (node->locks != NULL) {
		if (call->flags & FS_FLOCK_UNLOCK)
			fs_locks_drop_flock(&dir->lock_space, node->locks, call->lock_owner);
		/* Nobody has the file open: what is left was forgotten. */
		if (!is_open(dir, node) && node->locks->waiters == NULL)
			fs_locks_clear(&dir->lock_space, node->locks);
		settle(dir, node);
	}
	pthread_mutex_unlock(&dir->locking);
	run_ready(dir);
}

int dir_flush(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_handle *handle = dir_handle_get(dir, call, false);

	if (handle == NULL)
		return -EBADF;
	pthread_mutex_lock(&dir->locking);
	if (handle->node->locks != NULL) {
		fs_locks_drop_posix(&dir->lock_space, handle->node->locks, call->lock_owner);
		settle(dir, handle->node);
	}
	pthread_mutex_unlock(&dir->locking);
	run_ready(dir);
	dir_handle_put(dir, handle);
	return 0;
}

int dir_getlk(struct fs_tree *tree, struct fs_call *call)
{
	static const struct fs_locks none;
	struct dir *dir = dir_of(tree);
	struct dir_handle *handle = dir_handle_get(dir, call, false);
	const struct fs_locks *locks;

	if (handle == NULL)
		return -EBADF;
	pthread_mutex_lock(&dir->locking);
	locks = handle->node->locks != NULL ? handle->node->locks : &none;
	fs_locks_get(locks, call);
	pthread_mutex_unlock(&dir->locking);
	dir_handle_put(dir, handle);
	return 0;
}

int dir_setlk(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_handle *handle = dir_handle_get(dir, call, false);
	int result;

	if (handle == NULL)
		return -EBADF;
	pthread_mutex_lock(&dir->locking);
	result = need_locks(dir, handle->node);
	if (result == 0) {
		result = fs_locks_set(&dir->lock_space, handle->node->locks, call);
		settle(dir, handle->node);
	}
	pthread_mutex_unlock(&dir->locking);
	run_ready(dir);
	dir_handle_put(dir, handle);
	return result;
}

void dir_cancel(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_node *node = dir_node_get(dir, call->node);

	pthread_mutex_lock(&dir->locking);
	fs_locks_cancel(&dir->lock_space, call);
	if (node != NULL)
		settle(dir, node);
	pthread_mutex_unlock(&dir->locking);
	run_ready(dir);
	if (node != NULL)
		dir_node_put(dir, node);
}
