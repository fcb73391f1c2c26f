/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended attributes, passed through. Calls that name a file by an O_PATH descriptor do not
 * exist for them: they go by /proc/self/fd, which also reaches a symlink's own.
 * POSIX ACLs are for a guest that knows them (POSIX_ACL); for others they are not there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "dir_internal.h"
#include "fuse_wire.h"

#define ACL_PREFIX "system.posix_acl_"

static bool is_acl(const char *name)
{
	return strncmp(name, ACL_PREFIX, sizeof(ACL_PREFIX) - 1) == 0;
}

/* name: NULL for a list. */
static int begin(struct dir *dir, const struct fs_call *call, const char *name, bool change,
		 struct dir_hold *hold)
{
	/* The guest then does not ask again. */
	if (dir->flags & FS_DIR_NO_XATTR)
		return -ENOSYS;
	if (change && dir_read_only(dir))
		return -EROFS;
	if (name != NULL && is_acl(name) && !(dir->session_flags & FUSE_POSIX_ACL))
		return -EOPNOTSUPP;
	return dir_hold_fd(dir, call->node, hold);
}

/* An ACL that gives the group's bits to others must not leave them its sgid. */
static int drop_sgid(const struct dir *dir, int fd)
{
	struct statx sx;
	int error = dir_statx(dir, fd, "", &sx);

	if (error || !(sx.stx_mode & S_ISGID) || S_ISDIR(sx.stx_mode))
		return error;
	return fchmodat(dir->proc_fd, dir_proc_name(fd).path, sx.stx_mode & 07777 & ~S_ISGID, 0) < 0
		       ? -errno
		       : 0;
}

static int set(const struct dir *dir, int fd, const struct fs_call *call, void *value)
{
	size_t size = iov_window_read(&call->data, value, call->data.size);

	if (setxattr(dir_proc_path(fd).path, call->name, value, size, (int)call->xattr_flags) < 0)
		return -errno;
	if (!(call->flags & FS_ACL_KILL_SGID) || strcmp(call->name, ACL_PREFIX "access") != 0)
		return 0;
	return drop_sgid(dir, fd);
}

int dir_setxattr(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_hold hold;
	void *value;
	int error = begin(dir, call, call->name, true, &hold);

	if (error)
		return error;
	value = call->data.size <= FS_XATTR_MAX ? malloc(call->data.size + 1) : NULL;
	if (value == NULL)
		error = call->data.size <= FS_XATTR_MAX ? -ENOMEM : -E2BIG;
	else
		error = set(dir, hold.fd, call, value);
	free(value);
	dir_drop(dir, &hold);
	return error;
}

int dir_removexattr(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_hold hold;
	int error = begin(dir, call, call->name, true, &hold);

	if (error)
		return error;
	error = removexattr(dir_proc_path(hold.fd).path, call->name) < 0 ? -errno : 0;
	dir_drop(dir, &hold);
	return error;
}

/* Names of ACLs out of a list. Returns the new size. */
static size_t without_acls(char *list, size_t size)
{
	size_t kept = 0;

	for (size_t at = 0; at < size;) {
		size_t part = strlen(list + at) + 1;

		if (!is_acl(list + at)) {
			memmove(list + kept, list + at, part);
			kept += part;
		}
		at += part;
	}
	return kept;
}

/* All of a value, or of the list, however much the guest has room for. */
static ssize_t get(const struct dir *dir, int fd, const struct fs_call *call, bool list,
		   char *value)
{
	struct dir_proc_name path = dir_proc_path(fd);
	ssize_t size;

	if (!list)
		return getxattr(path.path, call->name, value, FS_XATTR_MAX);
	size = listxattr(path.path, value, FS_XATTR_MAX);
	if (size > 0 && !(dir->session_flags & FUSE_POSIX_ACL))
		size = (ssize_t)without_acls(value, (size_t)size);
	return size;
}

static int read_xattr(struct fs_tree *tree, struct fs_call *call, bool list)
{
	struct dir *dir = dir_of(tree);
	struct dir_hold hold;
	char *value;
	ssize_t size;
	int error = begin(dir, call, list ? NULL : call->name, false, &hold);

	if (error)
		return error;
	value = malloc(FS_XATTR_MAX);
	size = value != NULL ? get(dir, hold.fd, call, list, value) : (errno = ENOMEM, -1);
	if (size < 0)
		error = -errno;
	else if (call->data.size > 0 && (size_t)size > call->data.size)
		error = -ERANGE;
	else
		call->count = (uint64_t)size;
	if (!error && call->data.size > 0)
		iov_window_write(&call->data, value, (size_t)size);
	free(value);
	dir_drop(dir, &hold);
	return error;
}

int dir_getxattr(struct fs_tree *tree, struct fs_call *call)
{
	return read_xattr(tree, call, false);
}

int dir_listxattr(struct fs_tree *tree, struct fs_call *call)
{
	return read_xattr(tree, call, true);
}
