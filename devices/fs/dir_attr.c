/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes. They are changed through /proc/self/fd, which opens nothing and follows no link. */
#define _GNU_SOURCE /* statx */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dir_internal.h"

/* What a call is about: a node, or a handle. */
struct subject {
	struct dir_hold hold;
	struct dir_handle *handle; /* NULL: the node */
};

static int begin(struct dir *dir, const struct fs_call *call, struct subject *subject)
{
	int error = dir_hold(dir, call->node, &subject->hold);

	subject->handle = NULL;
	if (error || !(call->flags & FS_HAS_HANDLE))
		return error;
	subject->handle = dir_handle_get(dir, call, subject->hold.node->ident.type == S_IFDIR);
	if (subject->handle != NULL)
		return 0;
	dir_drop(dir, &subject->hold);
	return -EBADF;
}

static void end(struct dir *dir, struct subject *subject)
{
	if (subject->handle != NULL)
		dir_handle_put(dir, subject->handle);
	dir_drop(dir, &subject->hold);
}

static int show(struct dir *dir, struct subject *subject, struct fs_call *call)
{
	struct statx sx;
	int error = subject->handle != NULL ? dir_statx(dir, subject->handle->fd, "", &sx)
					    : dir_node_statx(dir, &subject->hold, &sx);

	if (!error)
		dir_fill_entry(dir, &sx, &call->entry);
	return error;
}

int dir_getattr(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct subject subject;
	int error = begin(dir, call, &subject);

	if (error)
		return error;
	error = show(dir, &subject, call);
	end(dir, &subject);
	return error;
}

int dir_statx_op(struct fs_tree *tree, struct fs_call *call)
{
	return dir_getattr(tree, call);
}

/* Also with no change of owner: then it is what takes suid and sgid away (chown(2)). */
static int set_owner(int fd, const struct fs_call *call)
{
	uid_t uid = call->set & FS_SET_UID ? call->attr.stx_uid : (uid_t)-1;
	gid_t gid = call->set & FS_SET_GID ? call->attr.stx_gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_size(struct dir *dir, struct subject *subject, const struct fs_call *call)
{
	bool kill_priv = call->set & FS_SET_KILL_PRIV;
	int fd, error;

	if (subject->handle != NULL && subject->handle->writable)
		return dir_truncate(dir, subject->handle->fd, call->attr.stx_size, kill_priv);
	if (subject->hold.node->ident.type != S_IFREG)
		return subject->hold.node->ident.type == S_IFDIR ? -EISDIR : -EINVAL;
	fd = dir_open_node(dir, &subject->hold, O_WRONLY);
	if (fd < 0)
		return fd;
	error = dir_truncate(dir, fd, call->attr.stx_size, kill_priv);
	close(fd);
	return error;
}

static struct timespec time_of(uint32_t set, uint32_t now, uint32_t given,
			       const struct statx_timestamp *value)
{
	struct timespec result = {.tv_nsec = UTIME_OMIT};

	if (set & now)
		result.tv_nsec = UTIME_NOW;
	else if (set & given)
		result = (struct timespec){value->tv_sec, value->tv_nsec};
	return result;
}

static int set_times(const struct dir *dir, int fd, const struct fs_call *call)
{
	struct timespec times[2] = {
		time_of(call->set, FS_SET_ATIME_NOW, FS_SET_ATIME, &call->attr.stx_atime),
		time_of(call->set, FS_SET_MTIME_NOW, FS_SET_MTIME, &call->attr.stx_mtime),
	};

	return utimensat(dir->proc_fd, dir_proc_name(fd).path, times, 0) < 0 ? -errno : 0;
}

/* The owner first, because a change of it takes bits of the mode away. A change time cannot be set. */
static int change(struct dir *dir, struct subject *subject, const struct fs_call *call)
{
	uint32_t set = call->set;
	bool owner = (set & (FS_SET_UID | FS_SET_GID)) ||
		     ((set & FS_SET_KILL_PRIV) && !(set & FS_SET_SIZE));
	int error = dir_need_fd(dir, &subject->hold);

	if (!error && owner)
		error = set_owner(subject->hold.fd, call);
	if (!error && (set & FS_SET_SIZE))
		error = set_size(dir, subject, call);
	if (!error && (set & FS_SET_MODE) &&
	    fchmodat(dir->proc_fd, dir_proc_name(subject->hold.fd).path,
		     call->attr.stx_mode & 07777, 0) < 0)
		error = -errno;
	if (!error && (set & (FS_SET_ATIME | FS_SET_MTIME | FS_SET_ATIME_NOW | FS_SET_MTIME_NOW)))
		error = set_times(dir, subject->hold.fd, call);
	return error;
}

int dir_setattr(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct subject subject;
	int error;

	if (dir_read_only(dir))
		return -EROFS;
	error = begin(dir, call, &subject);
	if (error)
		return error;
	error = change(dir, &subject, call);
	if (!error)
		error = show(dir, &subject, call);
	end(dir, &subject);
	return error;
}

int dir_statfs(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_hold hold;
	int error = dir_hold(dir, call->node, &hold);

	if (error)
		return error;
	/* There is one file system only: mounts are not part of the tree. */
	error = fstatvfs(dir->root_fd, &call->statvfs) < 0 ? -errno : 0;
	dir_drop(dir, &hold);
	return error;
}

int dir_access(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_guard guard;
	struct dir_hold hold;
	int error;

	if (call->access & ~(uint32_t)(R_OK | W_OK | X_OK))
		return -EINVAL;
	error = dir_hold_fd(dir, call->node, &hold);
	if (error)
		return error;
	if (dir_read_only(dir) && (call->access & W_OK))
		error = -EROFS;
	if (!error)
		error = dir_cred_enter(dir, call, false, &guard);
	if (!error) {
		if (syscall(SYS_faccessat2, hold.fd, "", call->access, AT_EACCESS | AT_EMPTY_PATH) <
		    0)
			error = -errno;
		dir_cred_leave(dir, &guard);
	}
	dir_drop(dir, &hold);
	return error;
}
