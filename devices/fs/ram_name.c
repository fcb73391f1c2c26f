/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that are looked up, made and removed. */
#define _GNU_SOURCE /* O_DIRECTORY */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ram_internal.h"

/* name in a directory that the caller may search -> *dir, *node (NULL: not there). */
static int walk(const struct ram *ram, const struct fs_call *call, struct ram_node **dir,
		struct ram_node **node)
{
	int error = ram_dir_of(ram, call->node, dir);

	if (error == 0)
		error = ram_permission(ram, call, *dir, X_OK);
	if (error == 0)
		*node = ram_dir_get(*dir, call->name);
	return error;
}

/* "." and ".." come from a guest that exports the file system. */
static struct ram_node *dots(struct ram_node *dir, const char *name)
{
	if (strcmp(name, ".") == 0)
		return dir;
	return strcmp(name, "..") == 0 ? dir->dir.parent : NULL;
}

int ram_lookup(struct ram *ram, struct fs_call *call)
{
	struct ram_node *dir, *node;
	int error = walk(ram, call, &dir, &node);

	if (error != 0)
		return error;
	if (node == NULL)
		node = dots(dir, call->name);
	if (node == NULL)
		return -ENOENT;
	ram_fill_entry(ram, node, &call->entry);
	return 0;
}

/* The node is as it should be and gets its name, or ends. */
static int enter(struct ram *ram, struct fs_call *call, struct ram_node *dir, struct ram_node *node)
{
	int error = call->label_name != NULL ? ram_xattr_label(ram, node, call) : 0;

	if (error == 0)
		error = ram_dir_add(dir, call->name, node);
	if (error != 0) {
		ram_node_destroy(ram, node);
		return error;
	}
	node->nlink = 1;
	if (S_ISDIR(node->mode)) {
		node->nlink = 2;
		node->dir.parent = dir;
		dir->nlink++;
	}
	ram_touch(ram, dir, RAM_MTIME | RAM_CTIME);
	return 0;
}

static int prepare(struct ram *ram, const struct fs_call *call, struct ram_node *dir, uint32_t mode,
		   struct ram_node **node)
{
	int error = ram_node_create(ram, call, ram_new_mode(ram, call, dir, mode), node);

	if (error == 0 && dir->mode & S_ISGID)
		(*node)->gid = dir->gid;
	return error;
}

static int make(struct ram *ram, struct fs_call *call, struct ram_node *dir, uint32_t mode,
		struct ram_node **node)
{
	int error = prepare(ram, call, dir, mode, node);

	return error != 0 ? error : enter(ram, call, dir, *node);
}

/* A directory in which the name is not there yet and may come. */
static int walk_to_make(const struct ram *ram, const struct fs_call *call, struct ram_node **dir)
{
	struct ram_node *node;
	int error = walk(ram, call, dir, &node);

	if (error == 0 && node != NULL)
		error = -EEXIST;
	if (error == 0)
		error = ram_may_create(ram, call, *dir);
	return error;
}

int ram_mkdir(struct ram *ram, struct fs_call *call)
{
	struct ram_node *dir, *node;
	int error = walk_to_make(ram, call, &dir);

	if (error == 0)
		error = make(ram, call, dir, S_IFDIR | (call->mode & (0777 | S_ISVTX)), &node);
	if (error == 0)
		ram_fill_entry(ram, node, &call->entry);
	return error;
}

static int check_mknod(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case 0:
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		return 0;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

/* Devices are root's; the one that stands for a name that is not there is anybody's. */
static bool may_make_device(const struct ram *ram, const struct fs_call *call)
{
	if (!S_ISCHR(call->mode) && !S_ISBLK(call->mode))
		return true;
	if (S_ISCHR(call->mode) && call->rdev_major == 0 && call->rdev_minor == 0)
		return true;
	return ram_privileged(ram, call);
}

int ram_mknod(struct ram *ram, struct fs_call *call)
{
	uint32_t mode = call->mode & (S_IFMT | 07777);
	struct ram_node *dir, *node;
	int error = check_mknod(mode);

	if (error == 0)
		error = walk_to_make(ram, call, &dir);
	if (error == 0 && !may_make_device(ram, call))
		error = -EPERM;
	if (error == 0)
		error = make(ram, call, dir, mode & S_IFMT ? mode : S_IFREG | mode, &node);
	if (error != 0)
		return error;
	if (S_ISCHR(mode) || S_ISBLK(mode)) {
		node->rdev_major = call->rdev_major;
		node->rdev_minor = call->rdev_minor;
	}
	ram_fill_entry(ram, node, &call->entry);
	return 0;
}

static int set_target(struct ram *ram, struct ram_node *node, const char *target)
{
	size_t size = strlen(target);
	int error = ram_charge(ram, size);

	if (error != 0)
		return error;
	node->size = size;
	node->target = strdup(target);
	return node->target != NULL ? 0 : -ENOMEM;
}

int ram_symlink(struct ram *ram, struct fs_call *call)
{
	struct ram_node *dir, *node;
	int error = walk_to_make(ram, call, &dir);

	if (error == 0 && call->target[0] == '\0')
		error = -ENOENT;
	if (error == 0 && strlen(call->target) > FS_PATH_MAX)
		error = -ENAMETOOLONG;
	if (error == 0)
		error = prepare(ram, call, dir, S_IFLNK | 0777, &node);
	if (error != 0)
		return error;
	error = set_target(ram, node, call->target);
	if (error != 0)
		ram_node_destroy(ram, node);
	else
		error = enter(ram, call, dir, node);
	if (error == 0)
		ram_fill_entry(ram, node, &call->entry);
	return error;
}

int ram_readlink(struct ram *ram, struct fs_call *call)
{
	struct ram_node *node = ram_node_of(ram, call->node);

	if (node == NULL)
		return -ESTALE;
	if (!S_ISLNK(node->mode))
		return -EINVAL;
	if (node->size > call->data.size)
		return -ENAMETOOLONG;
	call->count = iov_window_write(&call->data, node->target, node->size);
	ram_touch_read(ram, node);
	return 0;
}

/* A new file is open whatever its mode says. */
static int open_new(struct ram *ram, struct fs_call *call, struct ram_node *dir)
{
	uint32_t mode = S_IFREG | (call->mode & 07777);
	struct ram_node *node;
	int error = make(ram, call, dir, mode, &node);

	if (error != 0)
		return error;
	error = ram_handle_create(ram, call, node, false);
	if (error != 0) {
		ram_dir_remove(dir, call->name);
		ram_node_unnamed(ram, node);
		return error;
	}
	ram_fill_entry(ram, node, &call->entry);
	return 0;
}

int ram_create(struct ram *ram, struct fs_call *call)
{
	struct ram_node *dir, *node;
	int error = walk(ram, call, &dir, &node);

	if (error != 0)
		return error;
	if (node == NULL) {
		error = ram_may_create(ram, call, dir);
		return error != 0 ? error : open_new(ram, call, dir);
	}
	if (call->open_flags & O_EXCL)
		return -EEXIST;
	error = ram_open_node(ram, call, node);
	if (error == 0)
		ram_fill_entry(ram, node, &call->entry);
	return error;
}

int ram_tmpfile(struct ram *ram, struct fs_call *call)
{
	struct ram_node *dir, *node;
	int error = ram_dir_of(ram, call->node, &dir);

	if (error == 0)
		error = ram_may_create(ram, call, dir);
	if (error == 0)
		error = prepare(ram, call, dir, S_IFREG | (call->mode & 07777), &node);
	if (error != 0)
		return error;
	if (call->label_name != NULL)
		error = ram_xattr_label(ram, node, call);
	if (error == 0)
		error = ram_handle_create(ram, call, node, false);
	if (error != 0) {
		ram_node_destroy(ram, node);
		return error;
	}
	node->linkable = !(call->open_flags & O_EXCL);
	ram_fill_entry(ram, node, &call->entry);
	return 0;
}

static int check_link(const struct ram_node *node)
{
	if (S_ISDIR(node->mode))
		return -EPERM;
	if (node->nlink == 0 && !node->linkable)
		return -ENOENT;
	return node->nlink >= RAM_LINK_MAX ? -EMLINK : 0;
}

int ram_link(struct ram *ram, struct fs_call *call)
{
	struct ram_node *node = ram_node_of(ram, call->node), *dir;
	int error = node != NULL ? ram_dir_of(ram, call->new_parent, &dir) : -ESTALE;

	if (error == 0)
		error = ram_permission(ram, call, dir, X_OK);
	if (error == 0 && ram_dir_get(dir, call->new_name) != NULL)
		error = -EEXIST;
	if (error == 0)
		error = ram_may_create(ram, call, dir);
	if (error == 0)
		error = check_link(node);
	if (error == 0)
		error = ram_node_named(ram, node);
	if (error != 0)
		return error;
	error = ram_dir_add(dir, call->new_name, node);
	if (error != 0) {
		ram_node_unnamed(ram, node);
		return error;
	}
	node->linkable = false;
	ram_touch(ram, node, RAM_CTIME);
	ram_touch(ram, dir, RAM_MTIME | RAM_CTIME);
	ram_fill_entry(ram, node, &call->entry);
	return 0;
}

static int walk_to_remove(const struct ram *ram, const struct fs_call *call, bool as_dir,
			  struct ram_node **dir, struct ram_node **node)
{
	int error = walk(ram, call, dir, node);

	if (error == 0 && *node == NULL)
		error = -ENOENT;
	if (error == 0)
		error = ram_may_delete(ram, call, *dir, *node, as_dir);
	return error;
}

int ram_unlink(struct ram *ram, struct fs_call *call)
{
	struct ram_node *dir, *node;
	int error = walk_to_remove(ram, call, false, &dir, &node);

	if (error != 0)
		return error;
	ram_dir_remove(dir, call->name);
	ram_touch(ram, dir, RAM_MTIME | RAM_CTIME);
	ram_node_unnamed(ram, node);
	return 0;
}

int ram_rmdir(struct ram *ram, struct fs_call *call)
{
	struct ram_node *dir, *node;
	int error = walk_to_remove(ram, call, true, &dir, &node);

	if (error != 0)
		return error;
	if (node->dir.count > 0)
		return -ENOTEMPTY;
	ram_dir_remove(dir, call->name);
	dir->nlink--;
	node->dir.parent = NULL;
	ram_touch(ram, dir, RAM_MTIME | RAM_CTIME);
	ram_node_unnamed(ram, node);
	return 0;
}
