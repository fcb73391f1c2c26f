/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The descriptors of nodes.
 *
 *   cached   newest ... oldest    given up from the old end, found again by name
 *   pinned   newest ... oldest    their name is gone; given up when no other can be
 *
 * What is in use (fd_users) stays. There are never more than fd_max, open handles
 * included, but for what calls are using just now. The root has one that is in no list.
 */
#define _GNU_SOURCE /* statx, name_to_handle_at */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "dir_internal.h"

/* The root's three descriptors, and what a few calls use at a time. */
#define FD_RESERVE 8u
#define CACHED_MIN 4u

static struct dir_list *list_of(struct dir *dir, const struct dir_node *node)
{
	return node->pinned ? &dir->pinned : &dir->cached;
}

static void list_remove(struct dir_list *list, struct dir_node *node)
{
	*(node->newer ? &node->newer->older : &list->newest) = node->older;
	*(node->older ? &node->older->newer : &list->oldest) = node->newer;
	node->newer = node->older = NULL;
}

static void list_add(struct dir_list *list, struct dir_node *node)
{
	node->newer = NULL;
	node->older = list->newest;
	*(list->newest ? &list->newest->newer : &list->oldest) = node;
	list->newest = node;
}

void dir_fd_forget(struct dir *dir, struct dir_node *node)
{
	if (node->fd < 0 || node == dir->root)
		return;
	list_remove(list_of(dir, node), node);
	dir->fd_count--;
}

int dir_use_fd(struct dir *dir, struct dir_node *node)
{
	node->fd_users++;
	if (node != dir->root) {
		list_remove(list_of(dir, node), node);
		list_add(list_of(dir, node), node);
	}
	return node->fd;
}

/* lock is held. Returns -1, or a descriptor that is the caller's to close. */
static int take_oldest(struct dir *dir)
{
	struct dir_node *node = dir->cached.oldest;
	int fd;

	while (node != NULL && node->fd_users > 0)
		node = node->newer;
	if (node == NULL)
		for (node = dir->pinned.oldest; node != NULL && node->fd_users > 0;)
			node = node->newer;
	if (node == NULL)
		return -1;
	fd = node->fd;
	dir_fd_forget(dir, node);
	node->fd = -1;
	return fd;
}

bool dir_is_full(const struct dir *dir)
{
	uint32_t used = dir->handles.count + dir->closing_max + FD_RESERVE;
	uint32_t room = used + CACHED_MIN < dir->fd_max ? dir->fd_max - used : CACHED_MIN;

	return dir->fd_count > room;
}

/* Those that were opened one after the other mostly follow each other: one call for each such row. */
void dir_close_all(const struct dir_closing *closing)
{
	unsigned first = 0;

	for (unsigned i = 1; i <= closing->count; i++) {
		unsigned fd = (unsigned)closing->fds[first], size = i - first;

		if (i < closing->count && closing->fds[i] == closing->fds[i - 1] + 1)
			continue;
		/* Linux before 5.9 has no such call. */
		if (close_range(fd, fd + size - 1, 0) < 0)
			for (unsigned j = 0; j < size; j++)
				close((int)(fd + j));
		first = i;
	}
}

/* lock is held. */
static void take_closing(struct dir *dir, struct dir_closing *now)
{
	*now = dir->closing;
	dir->closing.count = 0;
}

void dir_close_later(struct dir *dir, int fd, struct dir_closing *now)
{
	dir->closing.fds[dir->closing.count++] = fd;
	if (dir->closing.count == dir->closing_max)
		take_closing(dir, now);
}

void dir_discard(struct dir *dir, int fd)
{
	struct dir_closing now = {.count = 0};

	if (fd < 0)
		return;
	pthread_mutex_lock(&dir->lock);
	dir_close_later(dir, fd, &now);
	pthread_mutex_unlock(&dir->lock);
	dir_close_all(&now);
}

void dir_make_room(struct dir *dir)
{
	for (;;) {
		int fd = -1;

		pthread_mutex_lock(&dir->lock);
		if (dir_is_full(dir))
			fd = take_oldest(dir);
		pthread_mutex_unlock(&dir->lock);
		if (fd < 0)
			return;
		dir_discard(dir, fd);
	}
}

bool dir_close_now(struct dir *dir)
{
	struct dir_closing now;

	pthread_mutex_lock(&dir->lock);
	take_closing(dir, &now);
	pthread_mutex_unlock(&dir->lock);
	dir_close_all(&now);
	return now.count > 0;
}

bool dir_give_up_one(struct dir *dir, int result)
{
	int fd;

	if (result != -EMFILE && result != -ENFILE)
		return false;
	if (dir_close_now(dir))
		return true;
	pthread_mutex_lock(&dir->lock);
	fd = take_oldest(dir);
	pthread_mutex_unlock(&dir->lock);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int dir_install_fd(struct dir *dir, struct dir_node *node, int fd)
{
	if (node->fd >= 0)
		return fd;
	node->fd = fd;
	list_add(list_of(dir, node), node);
	dir->fd_count++;
	return dir_is_full(dir) ? take_oldest(dir) : -1;
}

void dir_set_pinned(struct dir *dir, struct dir_node *node, bool pinned)
{
	if (node->fd >= 0)
		list_remove(list_of(dir, node), node);
	node->pinned = pinned;
	if (node->fd >= 0)
		list_add(list_of(dir, node), node);
}

void dir_give_fd(struct dir *dir, struct dir_node *node, int fd, bool pinned)
{
	pthread_mutex_lock(&dir->lock);
	if (pinned && node != dir->root)
		dir_set_pinned(dir, node, true);
	fd = dir_install_fd(dir, node, fd);
	pthread_mutex_unlock(&dir->lock);
	dir_discard(dir, fd);
}

/* lock is held. A descriptor that is there already, or was found by another thread meanwhile. */
static bool use_cached(struct dir *dir, struct dir_hold *hold)
{
	if (hold->node->fd >= 0)
		hold->fd = dir_use_fd(dir, hold->node);
	return hold->fd >= 0;
}

/* The way back that no renaming of the host blocks. */
static void ask_handle(struct dir *dir, const struct dir_hold *hold)
{
	struct file_handle *handle = dir_file_handle(hold->fd);

	pthread_mutex_lock(&dir->lock);
	if (hold->node->handle == NULL) {
		hold->node->handle = handle;
		handle = NULL;
	}
	pthread_mutex_unlock(&dir->lock);
	free(handle);
}

int dir_need_fd(struct dir *dir, struct dir_hold *hold)
{
	struct dir_node *node = hold->node;
	bool ready, ask;
	int fd, spare = -1;

	if (hold->fd >= 0)
		return 0;
	pthread_mutex_lock(&dir->lock);
	ready = use_cached(dir, hold);
	pthread_mutex_unlock(&dir->lock);
	if (ready)
		return 0;
	fd = dir_way_back(dir, node);
	pthread_mutex_lock(&dir->lock);
	if (fd >= 0) {
		node->fd_users++; /* it is not the one that is given up for itself */
		spare = dir_install_fd(dir, node, fd);
		hold->fd = node->fd;
	} else if (use_cached(dir, hold)) {
		fd = 0;
	}
	ask = fd >= 0 && dir->has_handles && node->handle == NULL;
	pthread_mutex_unlock(&dir->lock);
	dir_discard(dir, spare);
	if (ask)
		ask_handle(dir, hold);
	return fd < 0 ? fd : 0;
}

int dir_hold(struct dir *dir, uint64_t id, struct dir_hold *hold)
{
	bool ask = false;

	hold->fd = -1;
	pthread_mutex_lock(&dir->lock);
	hold->node = dir_node_known(dir, id);
	/* A directory that is used is the way to what is below it. */
	if (hold->node != NULL && use_cached(dir, hold))
		ask = dir->has_handles && hold->node->handle == NULL &&
		      hold->node->ident.type == S_IFDIR;
	pthread_mutex_unlock(&dir->lock);
	if (ask)
		ask_handle(dir, hold);
	return hold->node != NULL ? 0 : -ESTALE;
}

int dir_hold_fd(struct dir *dir, uint64_t id, struct dir_hold *hold)
{
	int error = dir_hold(dir, id, hold);

	if (error)
		return error;
	error = dir_need_fd(dir, hold);
	if (error)
		dir_drop(dir, hold);
	return error;
}

void dir_drop(struct dir *dir, struct dir_hold *hold)
{
	struct dir_node *dead;

	pthread_mutex_lock(&dir->lock);
	if (hold->fd >= 0)
		hold->node->fd_users--;
	dead = dir_unref(dir, hold->node);
	pthread_mutex_unlock(&dir->lock);
	dir_bury(dead);
}

bool dir_pin(struct dir *dir, struct dir_node *node)
{
	struct dir_hold hold = {node, -1};
	bool pins;

	if (node == dir->root || dir_need_fd(dir, &hold) != 0)
		return false;
	pthread_mutex_lock(&dir->lock);
	pins = !node->pinned;
	dir_set_pinned(dir, node, true);
	node->fd_users--;
	pthread_mutex_unlock(&dir->lock);
	return pins;
}

void dir_unpin(struct dir *dir, struct dir_node *node)
{
	pthread_mutex_lock(&dir->lock);
	dir_set_pinned(dir, node, false);
	pthread_mutex_unlock(&dir->lock);
}
