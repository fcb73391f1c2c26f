/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way back to a node that has no descriptor: the names that lead to it, or its file
 * handle. Whatever is found is used only if it is the inode that the node stands for.
 */
#define _GNU_SOURCE /* statx, name_to_handle_at */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dir_internal.h"

/* Of all names that lead to a node. Also ends a walk in circles, if the host moves directories a lot. */
#define NAMES_MAX (256u * PATH_MAX)

static bool is_same_inode(const struct dir *dir, const struct dir_node *node, int fd)
{
	struct statx sx;
	struct dir_ident ident;

	if (dir_statx(dir, fd, "", &sx) != 0)
		return false;
	ident = dir_ident_of(dir, &sx);
	return dir_same(&node->ident, &ident);
}

/* fd is what node is, or it is closed. */
static int checked(const struct dir *dir, const struct dir_node *node, int fd)
{
	if (fd < 0 || is_same_inode(dir, node, fd))
		return fd;
	close(fd);
	return -ESTALE;
}

/* lock is held: the size of the names from base, which has a descriptor, to node. 0: there is no way. */
static size_t names_size(struct dir_node *node, struct dir_node **base)
{
	size_t size = 0;

	while (node->fd < 0) {
		if (node->name == NULL || size > NAMES_MAX)
			return 0;
		size += strlen(node->name) + 1;
		node = node->parent;
	}
	*base = node;
	return size;
}

/* "a/b/c": the names from base to node, for free(). NULL: -ESTALE or -ENOMEM. */
static char *names_from(struct dir *dir, struct dir_node *node, struct dir_hold *base)
{
	char *names = NULL, *at;
	size_t size;

	pthread_mutex_lock(&dir->lock);
	size = names_size(node, &base->node);
	if (size > 0)
		names = malloc(size);
	if (names != NULL) {
		at = names + size;
		for (; node != base->node; node = node->parent) {
			size_t part = strlen(node->name);

			*--at = '/';
			at -= part;
			memcpy(at, node->name, part);
		}
		names[size - 1] = '\0';
		base->node->refs++;
		base->fd = dir_use_fd(dir, base->node);
	}
	pthread_mutex_unlock(&dir->lock);
	return names;
}

/* A path of any length: as much of it at a time as the host takes. */
static int open_long(const struct dir *dir, int base, char *path)
{
	int at = base;

	for (;;) {
		char *end = strlen(path) < PATH_MAX ? NULL : memrchr(path, '/', PATH_MAX - 1);
		int next;

		if (end != NULL)
			*end = '\0';
		next = dir_open_below(dir, at, path);
		if (at != base)
			close(at);
		if (next < 0 || end == NULL)
			return next;
		at = next;
		path = end + 1;
	}
}

static int open_by_names(struct dir *dir, struct dir_node *node)
{
	struct dir_hold base;
	char *names = names_from(dir, node, &base);
	int fd;

	if (names == NULL)
		return -ESTALE;
	fd = open_long(dir, base.fd, names);
	free(names);
	dir_drop(dir, &base);
	return checked(dir, node, fd);
}

/*
 * A file handle also finds what the host moved out of the shared directory. Where an inode is
 * now is what /proc tells; an inode without names is nowhere else.
 */
static bool is_inside(const struct dir *dir, int fd)
{
	char root[PATH_MAX], path[PATH_MAX];
	ssize_t root_size =
		readlinkat(dir->proc_fd, dir_proc_name(dir->root_fd).path, root, sizeof(root));
	ssize_t size = readlinkat(dir->proc_fd, dir_proc_name(fd).path, path, sizeof(path));
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_nlink == 0)
		return true;
	if (root_size == 1)
		root_size = 0;
	return root_size >= 0 && size > root_size && size < PATH_MAX && path[root_size] == '/' &&
	       memcmp(path, root, (size_t)root_size) == 0;
}

static int open_by_handle(struct dir *dir, const struct dir_node *node)
{
	struct file_handle *handle;
	int fd;

	/* Another thread may just give it one. What it has it keeps. */
	pthread_mutex_lock(&dir->lock);
	handle = node->handle;
	pthread_mutex_unlock(&dir->lock);
	if (handle == NULL)
		return -ESTALE;
	fd = open_by_handle_at(dir->mount_fd, handle, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -ESTALE;
	if (is_inside(dir, fd))
		return checked(dir, node, fd);
	close(fd);
	return -ESTALE;
}

/* The nearest ancestor without a descriptor that its handle finds gets one. */
static bool find_ancestor(struct dir *dir, const struct dir_node *node)
{
	struct dir_node *ancestor;
	uint32_t count = 0;
	int fd;

	pthread_mutex_lock(&dir->lock);
	for (ancestor = node->parent; ancestor != NULL && ancestor->fd < 0; count++) {
		if (ancestor->handle != NULL || count > PATH_MAX)
			break;
		ancestor = ancestor->parent;
	}
	if (ancestor != NULL)
		ancestor->refs++;
	pthread_mutex_unlock(&dir->lock);
	if (ancestor == NULL)
		return false;
	fd = open_by_handle(dir, ancestor);
	if (fd >= 0)
		dir_give_fd(dir, ancestor, fd, false);
	dir_node_put(dir, ancestor);
	return fd >= 0;
}

int dir_way_back(struct dir *dir, struct dir_node *node)
{
	int fd, error;

	do
		fd = open_by_names(dir, node);
	while (dir_give_up_one(dir, fd));
	if (fd >= 0 || fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		return fd;
	error = fd == -EACCES ? -EACCES : -ESTALE;
	fd = open_by_handle(dir, node);
	if (fd < 0 && dir->has_handles && find_ancestor(dir, node))
		fd = open_by_names(dir, node);
	return fd < 0 ? error : fd;
}

struct file_handle *dir_file_handle(int fd)
{
	struct {
		struct file_handle head;
		unsigned char rest[MAX_HANDLE_SZ];
	} all = {.head.handle_bytes = MAX_HANDLE_SZ};
	struct file_handle *copy;
	int mount;

	if (name_to_handle_at(fd, "", &all.head, &mount, AT_EMPTY_PATH) < 0)
		return NULL;
	copy = malloc(sizeof(*copy) + all.head.handle_bytes);
	if (copy != NULL)
		memcpy(copy, &all, sizeof(*copy) + all.head.handle_bytes);
	return copy;
}

/* Where a node was seen last: its parent, with a descriptor, and the name. */
static bool place_of(struct dir *dir, const struct dir_node *node, struct dir_hold *parent,
		     char name[FS_NAME_MAX + 1])
{
	bool found;

	pthread_mutex_lock(&dir->lock);
	found = dir_has_name(node);
	if (found) {
		*parent = (struct dir_hold){node->parent, -1};
		parent->node->refs++;
		if (parent->node->fd >= 0)
			parent->fd = dir_use_fd(dir, parent->node);
		strcpy(name, node->name);
	}
	pthread_mutex_unlock(&dir->lock);
	if (!found || dir_need_fd(dir, parent) == 0)
		return found;
	dir_drop(dir, parent);
	return false;
}

static bool statx_by_name(struct dir *dir, const struct dir_node *node, struct statx *sx)
{
	char name[FS_NAME_MAX + 1];
	struct dir_hold parent;
	struct dir_ident ident;
	int error;

	if (!place_of(dir, node, &parent, name))
		return false;
	error = dir_statx(dir, parent.fd, name, sx);
	dir_drop(dir, &parent);
	if (error)
		return false;
	ident = dir_ident_of(dir, sx);
	return dir_same(&node->ident, &ident);
}

int dir_node_statx(struct dir *dir, struct dir_hold *hold, struct statx *sx)
{
	int error;

	if (hold->fd < 0 && statx_by_name(dir, hold->node, sx))
		return 0;
	error = dir_need_fd(dir, hold);
	return error ? error : dir_statx(dir, hold->fd, "", sx);
}

/* dir->names is held: see dir_exclusive.c. Whatever goes wrong is left to the other way. */
static int open_by_name(struct dir *dir, const struct dir_node *node, int flags)
{
	char name[FS_NAME_MAX + 1];
	struct dir_hold parent;
	int fd;

	if (!place_of(dir, node, &parent, name))
		return -ESTALE;
	do
		fd = dir_open_contents(parent.fd, name, flags);
	while (dir_give_up_one(dir, fd));
	dir_drop(dir, &parent);
	return checked(dir, node, fd);
}

int dir_open_node(struct dir *dir, struct dir_hold *hold, int flags)
{
	uint32_t type = hold->node->ident.type;
	int fd = -1, error;

	if (type != S_IFREG && type != S_IFDIR)
		return type == S_IFLNK ? -ELOOP : -ENXIO;
	if (type == S_IFDIR)
		flags |= O_DIRECTORY;
	if (hold->fd < 0 && type == S_IFREG && dir_opens_by_name(dir))
		fd = open_by_name(dir, hold->node, flags);
	if (fd >= 0)
		return fd;
	error = dir_need_fd(dir, hold);
	if (error)
		return error;
	do
		fd = dir_reopen(dir, hold->fd, flags);
	while (dir_give_up_one(dir, fd));
	return fd;
}
