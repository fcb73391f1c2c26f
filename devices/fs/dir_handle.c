/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open files and directories. A handle that is closed while calls use it goes with the last of
 * them. Handles and cached descriptors share fd_max; handles come first, but leave a few,
 * so that nothing but open, create and the like ever fails for want of descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "dir_internal.h"

/* fd_max less these may be open. */
#define LEFT_FOR_NODES 12u

/* lock is held. */
static bool has_room(const struct dir *dir)
{
	return dir->handles.count + dir->closing_max + LEFT_FOR_NODES < dir->fd_max;
}

int dir_handle_room(struct dir *dir)
{
	bool room;

	pthread_mutex_lock(&dir->lock);
	room = has_room(dir);
	pthread_mutex_unlock(&dir->lock);
	return room ? 0 : -ENFILE;
}

static void destroy(struct dir_handle *handle)
{
	if (handle->fd >= 0)
		close(handle->fd);
	dir_listing_destroy(handle->listing);
	free(handle);
}

static int add(struct dir *dir, struct dir_handle *handle)
{
	bool full;
	int error;

	pthread_mutex_lock(&dir->lock);
	error = has_room(dir) ? fs_ids_add(&dir->handles, handle, &handle->id) : -ENFILE;
	if (!error) {
		handle->node->refs++;
		handle->node->opens++;
	}
	full = dir_is_full(dir);
	pthread_mutex_unlock(&dir->lock);
	if (full)
		dir_make_room(dir);
	return error;
}

int dir_handle_open(struct dir *dir, struct dir_node *node, int fd, int flags, uint64_t *id)
{
	struct dir_handle *handle = malloc(sizeof(*handle));
	int error = 0;

	if (handle == NULL) {
		close(fd);
		return -ENOMEM;
	}
	*handle = (struct dir_handle){
		.node = node,
		.fd = fd,
		.users = 1,
		.writable = (flags & O_ACCMODE) != O_RDONLY,
	};
	if (node->ident.type == S_IFDIR)
		error = dir_listing_create(&handle->listing);
	if (!error)
		error = add(dir, handle);
	if (error) {
		destroy(handle);
		return error;
	}
	*id = handle->id;
	return 0;
}

/* lock is held. */
static struct dir_handle *find(struct dir *dir, uint64_t id, uint64_t node, bool directory)
{
	struct dir_handle *handle = fs_ids_get(&dir->handles, id);

	if (handle == NULL || (handle->listing != NULL) != directory || handle->node->id != node)
		return NULL;
	return handle;
}

struct dir_handle *dir_handle_of(struct dir *dir, uint64_t id, uint64_t node, bool directory)
{
	struct dir_handle *handle;

	pthread_mutex_lock(&dir->lock);
	handle = find(dir, id, node, directory);
	if (handle != NULL)
		handle->users++;
	pthread_mutex_unlock(&dir->lock);
	return handle;
}

struct dir_handle *dir_handle_get(struct dir *dir, const struct fs_call *call, bool directory)
{
	return dir_handle_of(dir, call->handle, call->node, directory);
}

/* lock is held. The call that had it is over: returns whether it was the last one; *dead: nodes to bury then. */
static bool let_go(struct dir *dir, struct dir_handle *handle, struct dir_node **dead)
{
	if (--handle->users > 0)
		return false;
	*dead = dir_unref(dir, handle->node);
	return true;
}

/*
 * lock is held; nobody uses handle. A file that was open for writing may not wait: others see that it
 * was. Nor may one that was removed: it takes room until then.
 */
static void close_later(struct dir *dir, struct dir_handle *handle, struct dir_closing *now)
{
	if (!dir_exclusive(dir) || handle->writable || handle->listing != NULL ||
	    !dir_has_name(handle->node))
		return;
	dir_close_later(dir, handle->fd, now);
	handle->fd = -1;
}

void dir_handle_put(struct dir *dir, struct dir_handle *handle)
{
	struct dir_node *dead = NULL;
	bool last;

	pthread_mutex_lock(&dir->lock);
	last = let_go(dir, handle, &dead);
	pthread_mutex_unlock(&dir->lock);
	dir_bury(dead);
	if (last)
		destroy(handle);
}

int dir_handle_close(struct dir *dir, const struct fs_call *call, bool directory)
{
	struct dir_closing now = {.count = 0};
	struct dir_node *dead = NULL;
	struct dir_handle *handle;
	bool locked = false, last = false;

	pthread_mutex_lock(&dir->lock);
	handle = find(dir, call->handle, call->node, directory);
	if (handle != NULL) {
		fs_ids_remove(&dir->handles, call->handle);
		handle->node->opens--;
		locked = dir_is_locked(handle->node);
		if (!locked)
			last = let_go(dir, handle, &dead);
		if (last)
			close_later(dir, handle, &now);
	}
	pthread_mutex_unlock(&dir->lock);
	if (handle == NULL)
		return -EBADF;
	if (locked) {
		dir_locks_closed(dir, handle->node, call);
		dir_handle_put(dir, handle);
		return 0;
	}
	dir_bury(dead);
	dir_close_all(&now);
	if (last)
		destroy(handle);
	return 0;
}
