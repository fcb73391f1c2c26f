/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contents of files. Bytes go straight between the file and the guest's memory.
 *
 * O_DIRECT is not passed on: the guest's memory may have any alignment. O_APPEND is looked
 * at in each write, which then goes where the file ends for the host; what the guest's page
 * cache writes back goes where it says.
 */
#define _GNU_SOURCE /* O_DIRECTORY, preadv2, fallocate, copy_file_range */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dir_internal.h"

int dir_host_flags(uint32_t open_flags)
{
	return (int)(open_flags & (O_ACCMODE | O_SYNC | O_DSYNC | O_NOATIME));
}

int dir_truncate(const struct dir *dir, int fd, uint64_t size, bool kill_priv)
{
	struct dir_guard guard;
	int error = 0;

	dir_cred_kill_priv(dir, kill_priv, &guard);
	while (ftruncate(fd, (off_t)size) < 0) {
		error = -errno;
		if (error != -EINTR)
			break;
		error = 0;
	}
	dir_cred_leave(dir, &guard);
	return error;
}

int dir_truncate_opened(struct dir *dir, struct dir_hold *hold, int fd, const struct fs_call *call)
{
	bool kill_priv = call->flags & FS_KILL_PRIV;
	int error;

	if ((call->open_flags & O_ACCMODE) != O_RDONLY)
		return dir_truncate(dir, fd, 0, kill_priv);
	fd = dir_open_node(dir, hold, O_WRONLY);
	if (fd < 0)
		return fd;
	error = dir_truncate(dir, fd, 0, kill_priv);
	close(fd);
	return error;
}

static bool changes(const struct fs_call *call)
{
	return (call->open_flags & O_ACCMODE) != O_RDONLY || (call->open_flags & O_TRUNC);
}

static int open_held(struct dir *dir, struct dir_hold *hold, struct fs_call *call)
{
	int error = 0;
	int fd;

	if (hold->node->ident.type == S_IFDIR)
		return changes(call) ? -EISDIR : -EINVAL;
	/* A guest's kernel does not ask so; the host's does not get to see the flag. */
	if (call->open_flags & O_DIRECTORY)
		return -ENOTDIR;
	fd = dir_open_node(dir, hold, dir_host_flags(call->open_flags));
	if (fd < 0)
		return fd;
	if (call->open_flags & O_TRUNC)
		error = dir_truncate_opened(dir, hold, fd, call);
	if (error) {
		close(fd);
		return error;
	}
	return dir_handle_open(dir, hold->node, fd, (int)call->open_flags, &call->new_handle);
}

int dir_open(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_hold hold;
	int error;

	if (dir_read_only(dir) && changes(call))
		return -EROFS;
	error = call->open_flags & O_TRUNC ? dir_handle_room(dir) : 0;
	if (!error)
		error = dir_hold(dir, call->node, &hold);
	if (error)
		return error;
	error = open_held(dir, &hold, call);
	dir_drop(dir, &hold);
	call->handle_flags = 0;
	return error;
}

int dir_release(struct fs_tree *tree, struct fs_call *call)
{
	return dir_handle_close(dir_of(tree), call, false);
}

typedef ssize_t transfer_fn(int fd, const struct iovec *iov, int count, off_t offset, int flags);

/* Bytes, or -1. */
static ssize_t transfer_pieces(transfer_fn *transfer, int fd, const struct iov_window *left,
			       off_t offset, int flags)
{
	struct iovec iov[IOV_MAX];
	size_t size;
	size_t count = iov_window_export(left, iov, IOV_MAX, &size);

	return transfer(fd, iov, (int)count, offset, flags);
}

/* The usual case, without a large array on the stack. */
static ssize_t transfer_piece(transfer_fn *transfer, int fd, const struct iov_window *left,
			      off_t offset, int flags)
{
	struct iovec iov;
	size_t size;

	iov_window_export(left, &iov, 1, &size);
	return transfer(fd, &iov, 1, offset, flags);
}

static bool is_one_piece(const struct iov_window *window)
{
	return window->size <= window->iov->iov_len - window->skip;
}

/* All of call->data, or less if transfer has no more -> call->count. An error counts if nothing came before it. */
static int transfer_all(transfer_fn *transfer, int fd, struct fs_call *call, int flags)
{
	struct iov_window left = call->data;

	call->count = 0;
	while (left.size > 0) {
		off_t offset = (off_t)(call->offset + call->count);
		ssize_t done = is_one_piece(&left)
				       ? transfer_piece(transfer, fd, &left, offset, flags)
				       : transfer_pieces(transfer, fd, &left, offset, flags);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && call->count == 0)
			return -errno;
		if (done <= 0)
			break;
		call->count += (uint64_t)done;
		iov_window_advance(&left, (size_t)done);
	}
	return 0;
}

/* One piece is a fifth cheaper without a vector. */
static ssize_t read_pieces(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (count == 1)
		return pread(fd, iov->iov_base, iov->iov_len, offset);
	return preadv2(fd, iov, count, offset, flags);
}

int dir_read(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_handle *handle = dir_handle_get(dir, call, false);
	int error;

	if (handle == NULL)
		return -EBADF;
	error = transfer_all(read_pieces, handle->fd, call, 0);
	dir_handle_put(dir, handle);
	return error;
}

int dir_write(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_handle *handle = dir_handle_get(dir, call, false);
	bool append = (call->open_flags & O_APPEND) && !(call->flags & FS_WRITE_CACHE);
	struct dir_guard guard;
	int error;

	if (handle == NULL)
		return -EBADF;
	dir_cred_kill_priv(dir, call->flags & FS_KILL_PRIV, &guard);
	error = transfer_all(pwritev2, handle->fd, call, append ? RWF_APPEND : 0);
	dir_cred_leave(dir, &guard);
	dir_handle_put(dir, handle);
	return error;
}

int dir_fsync(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_handle *handle = dir_handle_get(dir, call, false);
	int error;

	if (handle == NULL)
		return -EBADF;
	error = call->flags & FS_DATASYNC ? fdatasync(handle->fd) : fsync(handle->fd);
	error = error < 0 ? -errno : 0;
	dir_handle_put(dir, handle);
	return error;
}

/* Its message has no flag that says that suid and sgid go: the caller does. */
int dir_fallocate(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_handle *handle = dir_handle_get(dir, call, false);
	struct dir_guard guard;
	int error = 0;

	if (handle == NULL)
		return -EBADF;
	dir_cred_kill_priv(dir, call->uid != 0, &guard);
	while (fallocate(handle->fd, (int)call->fallocate_mode, (off_t)call->offset,
			 (off_t)call->size) < 0) {
		error = -errno;
		if (error != -EINTR)
			break;
		error = 0;
	}
	dir_cred_leave(dir, &guard);
	dir_handle_put(dir, handle);
	return error;
}

int dir_lseek(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_handle *handle = dir_handle_get(dir, call, false);
	off_t at;
	int error;

	if (handle == NULL)
		return -EBADF;
	at = lseek(handle->fd, (off_t)call->offset, (int)call->whence);
	error = at < 0 ? -errno : 0;
	dir_handle_put(dir, handle);
	call->count = at < 0 ? 0 : (uint64_t)at;
	return error;
}

/* As of fallocate. */
int dir_copy_file_range(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_handle *from = dir_handle_get(dir, call, false);
	struct dir_handle *to = dir_handle_of(dir, call->target_handle, call->target_node, false);
	off_t from_at = (off_t)call->offset, to_at = (off_t)call->target_offset;
	struct dir_guard guard;
	int error = -EBADF;
	ssize_t done;

	if (from != NULL && to != NULL) {
		dir_cred_kill_priv(dir, call->uid != 0, &guard);
		do
			done = copy_file_range(from->fd, &from_at, to->fd, &to_at, call->size, 0);
		while (done < 0 && errno == EINTR);
		error = done < 0 ? -errno : 0;
		dir_cred_leave(dir, &guard);
		call->count = done < 0 ? 0 : (uint64_t)done;
	}
	if (from != NULL)
		dir_handle_put(dir, from);
	if (to != NULL)
		dir_handle_put(dir, to);
	return error;
}

int dir_syncfs(struct fs_tree *tree, struct fs_call *call)
{
	struct dir *dir = dir_of(tree);
	struct dir_hold hold;
	int error = dir_hold(dir, call->node, &hold);

	if (error)
		return error;
	dir_drop(dir, &hold);
	if (dir->mount_fd < 0)
		return -EACCES;
	return syncfs(dir->mount_fd) < 0 ? -errno : 0;
}
