/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * New files. They are made as the caller (dir_cred.c).
 *
 * Modes. The umask of this process is its own: it may not be touched, and it takes bits
 * away that the guest wants. So those are given back by chmod; a file has fewer permissions in
 * between, never more. Bits that a default ACL of the directory takes away stay away:
 * such an ACL stands in for the guest's umask too.
 */
#define _GNU_SOURCE /* statx, O_TMPFILE */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "dir_internal.h"
#include "fuse_wire.h"

#define PERMISSIONS 0777u

/* A name that comes and goes all the time is somebody's attack. */
#define CREATE_TRIES 16

/* A file that is being made. */
struct making {
	struct fs_call *call;
	struct dir_hold parent;
	uint32_t type, mode;
	bool masked; /* the guest's umask was applied: there is no default ACL, as far as is known */
	int fd;      /* of create and tmpfile; else O_PATH */
};

static bool has_default_acl(const struct dir *dir, const struct dir_hold *parent)
{
	return dir->has_acl &&
	       getxattr(dir_proc_path(parent->fd).path, "system.posix_acl_default", NULL, 0) > 0;
}

/*
 * The host makes no sgid program of a group that its maker is not in. It looks at the mode before
 * the umask takes anything away, so what it would say of that is said here.
 */
static bool loses_sgid(const struct dir *dir, const struct making *making)
{
	const uint32_t runs_as_group = S_ISGID | S_IXGRP;
	struct statx sx;

	if (S_ISDIR(making->type) || (making->mode & runs_as_group) != runs_as_group ||
	    !(making->call->umask & S_IXGRP))
		return false;
	return dir_statx(dir, making->parent.fd, "", &sx) == 0 && (sx.stx_mode & S_ISGID) &&
	       !dir_cred_has_group(dir, making->call, sx.stx_gid);
}

static int begin(struct dir *dir, struct fs_call *call, const char *name, uint32_t type,
		 struct making *making)
{
	int error;

	*making = (struct making){.call = call, .type = type, .mode = call->mode & 07777, .fd = -1};
	if (dir_read_only(dir))
		return -EROFS;
	error = dir_hold_parent(dir, call->node, name, &making->parent);
	if (error)
		return error;
	if ((making->mode & call->umask) && !has_default_acl(dir, &making->parent)) {
		if (loses_sgid(dir, making))
			making->mode &= ~(uint32_t)S_ISGID;
		making->mode &= ~call->umask;
		making->masked = true;
	}
	return 0;
}

static int enter(const struct dir *dir, const struct fs_call *call, struct dir_guard *guard)
{
	bool groups_told = (dir->session_flags & FUSE_CREATE_SUPP_GROUP) &&
			   !(dir->session_flags & FUSE_POSIX_ACL);

	return dir_cred_enter(dir, call, !groups_told, guard);
}

/* What this process's umask took away. */
static void mend_mode(const struct dir *dir, const struct making *making, struct statx *sx)
{
	uint32_t missing = making->mode & ~(uint32_t)sx->stx_mode & PERMISSIONS;
	uint32_t mode = (sx->stx_mode & 07777) | missing;

	if (missing == 0 || (!making->masked && has_default_acl(dir, &making->parent)))
		return;
	if (fchmodat(dir->proc_fd, dir_proc_name(making->fd).path, mode, 0) == 0)
		dir_statx(dir, making->fd, "", sx);
}

static int set_label(const struct making *making)
{
	const struct fs_call *call = making->call;

	if (call->label_name == NULL)
		return 0;
	return setxattr(dir_proc_path(making->fd).path, call->label_name, call->label,
			call->label_size, 0) < 0
		       ? -errno
		       : 0;
}

/* What the new inode behind making->fd lacks, of which *sx is known. */
static int complete(const struct dir *dir, const struct making *making, struct statx *sx)
{
	int error = set_label(making);

	if (!error)
		mend_mode(dir, making, sx);
	return error;
}

static int make_node(const struct making *making, const char *name)
{
	const struct fs_call *call = making->call;

	if (S_ISDIR(making->type))
		return mkdirat(making->parent.fd, name, making->mode);
	if (S_ISLNK(making->type))
		return symlinkat(call->target, making->parent.fd, name);
	return mknodat(making->parent.fd, name, making->type | making->mode,
		       makedev(call->rdev_major, call->rdev_minor));
}

/* What was made is opened for O_PATH: as far as it can be told, it is what has the name now. */
static int finish_node(struct dir *dir, struct making *making, const char *name)
{
	struct dir_seen seen;
	int error = dir_see(dir, making->parent.fd, name, &seen);

	if (!error) {
		making->fd = seen.fd;
		error = complete(dir, making, &seen.sx);
		if (!error)
			return dir_node_enter(dir, making->parent.node, name, &seen,
					      &making->call->entry);
		close(making->fd);
	} else if (error != -EMFILE && error != -ENFILE) {
		return error; /* it is gone, or another one's by now */
	}
	unlinkat(making->parent.fd, name, S_ISDIR(making->type) ? AT_REMOVEDIR : 0);
	return error;
}

/* mkdir, mknod and symlink. */
static int make(struct dir *dir, struct fs_call *call, uint32_t type)
{
	struct dir_guard guard;
	struct making making;
	int error = begin(dir, call, call->name, type, &making);

	if (error)
		return error;
	error = enter(dir, call, &guard);
	if (!error) {
		error = make_node(&making, call->name) < 0 ? -errno : 0;
		dir_cred_leave(dir, &guard);
	}
	if (!error)
		error = finish_node(dir, &making, call->name);
	dir_drop(dir, &making.parent);
	return error;
}

int dir_mkdir(struct fs_tree *tree, struct fs_call *call)
{
	return make(dir_of(tree), call, S_IFDIR);
}

int dir_symlink(struct fs_tree *tree, struct fs_call *call)
{
	return make(dir_of(tree), call, S_IFLNK);
}

int dir_mknod(struct fs_tree *tree, struct fs_call *call)
{
	uint32_t type = call->mode & S_IFMT;

	switch (type) {
	case 0:
		type = S_IFREG;
		break;
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return type == S_IFDIR ? -EPERM : -EINVAL; /* as mknod(2) */
	}
	return make(dir_of(tree), call, type);
}

/* create and tmpfile */

static int open_new(struct dir *dir, struct making *making, const char *name, int flags)
{
	struct dir_guard guard;
	int error = enter(dir, making->call, &guard);

	if (error)
		return error;
	flags |= dir_host_flags(making->call->open_flags) | O_NOFOLLOW | O_CLOEXEC;
	do {
		making->fd = openat(making->parent.fd, name, flags, making->mode);
		error = making->fd < 0 ? -errno : 0;
	} while (dir_give_up_one(dir, error));
	dir_cred_leave(dir, &guard);
	return error;
}

/* The new file, whose look-up is counted already, becomes a handle too. */
static int open_entered(struct dir *dir, struct fs_call *call, int fd, bool pinned)
{
	struct dir_node *node = dir_node_get(dir, call->entry.node);
	int error = -ESTALE;
	int path;

	if (node == NULL) {
		close(fd);
	} else {
		path = pinned ? dir_reopen(dir, fd, O_PATH) : -1;
		if (path >= 0)
			dir_give_fd(dir, node, path, true);
		error = dir_handle_open(dir, node, fd, (int)call->open_flags, &call->new_handle);
		dir_node_put(dir, node);
	}
	if (error)
		dir_forget(&dir->base, call->entry.node, 1);
	call->handle_flags = 0;
	return error;
}

static int finish_new(struct dir *dir, struct making *making, const char *name)
{
	struct fs_call *call = making->call;
	struct dir_seen seen = {.fd = -1};
	int error = dir_statx(dir, making->fd, "", &seen.sx);

	if (!error)
		error = complete(dir, making, &seen.sx);
	if (!error)
		error = dir_node_enter(dir, name ? making->parent.node : NULL, name, &seen,
				       &call->entry);
	if (!error)
		return open_entered(dir, call, making->fd, name == NULL);
	close(making->fd);
	if (name != NULL)
		unlinkat(making->parent.fd, name, 0);
	return error;
}

/* Returns a descriptor; the entry shows what became of the file. */
static int open_truncated(struct dir *dir, struct dir_hold *hold, struct fs_call *call)
{
	struct statx sx;
	int fd, error = 0;

	if (hold->node->ident.type == S_IFDIR)
		return -EISDIR;
	fd = dir_open_node(dir, hold, dir_host_flags(call->open_flags));
	if (fd < 0 || !(call->open_flags & O_TRUNC))
		return fd;
	error = dir_truncate_opened(dir, hold, fd, call);
	if (!error)
		error = dir_statx(dir, fd, "", &sx);
	if (error) {
		close(fd);
		return error;
	}
	dir_fill_entry(dir, &sx, &call->entry);
	return fd;
}

/* create without O_EXCL, and there is a file. */
static int open_existing(struct dir *dir, const struct making *making, struct fs_call *call)
{
	struct dir_hold hold;
	int fd, error = dir_look_up(dir, &making->parent, call->name, &call->entry);

	if (error)
		return error;
	fd = dir_hold(dir, call->entry.node, &hold);
	if (fd == 0) {
		fd = open_truncated(dir, &hold, call);
		dir_drop(dir, &hold);
	}
	if (fd >= 0)
		return open_entered(dir, call, fd, false);
	dir_forget(&dir->base, call->entry.node, 1);
	return fd;
}

static int create(struct dir *dir, struct making *making)
{
	struct fs_call *call = making->call;
	int error;

	for (unsigned i = 0; i < CREATE_TRIES; i++) {
		error = open_new(dir, making, call->name, O_CREAT | O_EXCL);
		if (!error)
			return finish_new(dir, making, call->name);
		if (error != -EEXIST || (call->open_flags & O_EXCL))
			return error;
		error = open_existing(dir, making, call);
		if (error != -ENOENT && error != -ESTALE)
			return error;
	}
	return error;
}

int dir_create(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct making making;
	int error = dir_handle_room(dir);

	if (!error)
		error = begin(dir, call, call->name, S_IFREG, &making);
	if (error)
		return error;
	error = create(dir, &making);
	dir_drop(dir, &making.parent);
	return error;
}

int dir_tmpfile(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct making making;
	int error = dir_handle_room(dir);

	if (!error)
		error = begin(dir, call, "tmpfile", S_IFREG, &making);
	if (error)
		return error;
	error = open_new(dir, &making, ".", O_TMPFILE | (int)(call->open_flags & O_EXCL));
	if (!error)
		error = finish_new(dir, &making, NULL);
	dir_drop(dir, &making.parent);
	return error;
}
