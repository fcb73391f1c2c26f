/* SPDX-License-Identifier: BSD-3-Clause */
/* From the host into the tree. Each look-up is forgotten when its file is done. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs_copy_internal.h"

/* One entry of a directory: of the host, and where it goes. */
struct entry {
	int dir_fd;
	const char *name;
	struct stat st;
	uint64_t parent;
};

static int put_directory(struct fs_copy *copy, int fd, uint64_t node);

/* The last thing, because writing changes times and an ordinary mode may forbid writing. */
static int put_attributes(struct fs_copy *copy, const struct entry *e, uint64_t node)
{
	struct fuse_setattr_in set = {
		.valid = FATTR_MTIME,
		.mtime = (uint64_t)e->st.st_mtim.tv_sec,
		.mtimensec = (uint32_t)e->st.st_mtim.tv_nsec,
		.mode = e->st.st_mode,
		.uid = e->st.st_uid,
		.gid = e->st.st_gid,
	};
	struct fuse_setattr_in owner = set;

	owner.valid = FATTR_UID | FATTR_GID;
	if (geteuid() == 0) {
		int error = vqsim_fs_setattr(copy->fs, node, &owner, NULL);

		if (error)
			return error;
	}
	if (!S_ISLNK(e->st.st_mode))
		set.valid |= FATTR_MODE;
	return vqsim_fs_setattr(copy->fs, node, &set, NULL);
}

static int put_data(struct fs_copy *copy, const struct vqsim_fs_file *file, int fd)
{
	uint64_t offset = 0;
	int64_t written;
	ssize_t size;

	while ((size = read(fd, copy->buffer, copy->size)) > 0) {
		written = vqsim_fs_write(copy->fs, file, offset, copy->buffer, (uint32_t)size);
		if (written != size)
			return written < 0 ? (int)written : -EIO;
		offset += (uint64_t)size;
	}
	copy->bytes += offset;
	return size < 0 ? -errno : 0;
}

static int put_file(struct fs_copy *copy, const struct entry *e, uint64_t *node)
{
	int fd = openat(e->dir_fd, e->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct vqsim_fs_file file;
	int error;

	if (fd < 0)
		return -errno;
	error = vqsim_fs_create(copy->fs, e->parent, e->name, O_WRONLY | O_EXCL, S_IFREG | 0600,
				&file);
	if (!error) {
		*node = file.node;
		error = put_data(copy, &file, fd);
		vqsim_fs_release(copy->fs, &file);
	}
	close(fd);
	return error;
}

static int put_link(struct fs_copy *copy, const struct entry *e, uint64_t *node)
{
	char target[PATH_MAX];
	ssize_t size = readlinkat(e->dir_fd, e->name, target, sizeof(target) - 1);
	struct fuse_entry_out out;
	int error;

	if (size < 0)
		return -errno;
	target[size] = '\0';
	error = vqsim_fs_symlink(copy->fs, e->parent, e->name, target, &out);
	if (!error)
		*node = out.nodeid;
	return error;
}

static int put_subdirectory(struct fs_copy *copy, const struct entry *e, uint64_t *node)
{
	int fd = openat(e->dir_fd, e->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct fuse_entry_out out;
	int error;

	if (fd < 0)
		return -errno;
	error = vqsim_fs_mkdir(copy->fs, e->parent, e->name, S_IFDIR | 0700, &out);
	if (error) {
		close(fd);
		return error;
	}
	*node = out.nodeid;
	return put_directory(copy, fd, *node);
}

static int put_any(struct fs_copy *copy, const struct entry *e, uint64_t *node)
{
	if (S_ISDIR(e->st.st_mode))
		return put_subdirectory(copy, e, node);
	if (S_ISLNK(e->st.st_mode))
		return put_link(copy, e, node);
	return S_ISREG(e->st.st_mode) ? put_file(copy, e, node) : -EOPNOTSUPP;
}

static int put_entry(struct fs_copy *copy, struct entry *e)
{
	uint64_t node = 0;
	int error;

	if (fstatat(e->dir_fd, e->name, &e->st, AT_SYMLINK_NOFOLLOW) < 0)
		return fs_copy_failed(copy, "status", e->name, -errno);
	error = put_any(copy, e, &node);
	if (!error)
		error = put_attributes(copy, e, node);
	if (node)
		vqsim_fs_forget(copy->fs, node, 1);
	copy->files++;
	return error ? fs_copy_failed(copy, "copy", e->name, error) : 0;
}

/* fd is closed. */
static int put_directory(struct fs_copy *copy, int fd, uint64_t node)
{
	struct entry e = {.parent = node};
	DIR *dir = fdopendir(fd);
	struct dirent *dirent;
	int error = 0;

	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	e.dir_fd = fd;
	while (!error && (dirent = readdir(dir))) {
		e.name = dirent->d_name;
		if (strcmp(e.name, ".") != 0 && strcmp(e.name, "..") != 0)
			error = put_entry(copy, &e);
	}
	closedir(dir);
	return error;
}

int fs_copy_put(struct fs_copy *copy, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? fs_copy_failed(copy, "open", path, -errno)
		      : put_directory(copy, fd, FUSE_ROOT_ID);
}
