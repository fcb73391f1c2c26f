/* SPDX-License-Identifier: BSD-3-Clause */
/* From the tree to the host. What READDIRPLUS looked up is forgotten when it is done. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs_copy_internal.h"

/* Of entries, in one READDIRPLUS. */
#define LIST_SIZE 32768u

static int get_directory(struct fs_copy *copy, uint64_t node, int fd);

static int get_attributes(int dir_fd, const char *name, const struct fuse_attr *attr)
{
	const struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = (time_t)attr->mtime, .tv_nsec = attr->mtimensec},
	};

	if (geteuid() == 0 && fchownat(dir_fd, name, attr->uid, attr->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(attr->mode) && fchmodat(dir_fd, name, attr->mode & 07777, 0) < 0)
		return -errno;
	return utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Up to the end that READ finds. */
static int get_data(struct fs_copy *copy, const struct vqsim_fs_file *file, int fd)
{
	uint64_t offset = 0;
	int64_t size;

	while ((size = vqsim_fs_read(copy->fs, file, offset, copy->buffer, copy->size)) > 0) {
		if (write(fd, copy->buffer, (size_t)size) != size)
			return -EIO;
		offset += (uint64_t)size;
	}
	copy->bytes += offset;
	return (int)size;
}

static int get_file(struct fs_copy *copy, uint64_t node, int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct vqsim_fs_file file;
	int error;

	if (fd < 0)
		return -errno;
	error = vqsim_fs_open(copy->fs, node, O_RDONLY, &file);
	if (!error) {
		error = get_data(copy, &file, fd);
		vqsim_fs_release(copy->fs, &file);
	}
	if (close(fd) < 0 && !error)
		error = -errno;
	return error;
}

static int get_link(struct fs_copy *copy, uint64_t node, int dir_fd, const char *name)
{
	char target[PATH_MAX];
	int64_t size = vqsim_fs_readlink(copy->fs, node, target, sizeof(target) - 1);

	if (size < 0)
		return (int)size;
	target[size] = '\0';
	return symlinkat(target, dir_fd, name) < 0 ? -errno : 0;
}

static int get_subdirectory(struct fs_copy *copy, uint64_t node, int dir_fd, const char *name)
{
	int fd, error;

	if (mkdirat(dir_fd, name, 0700) < 0)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = get_directory(copy, node, fd);
	close(fd);
	return error;
}

static int get_any(struct fs_copy *copy, const struct vqsim_fs_dirent *dirent, int dir_fd)
{
	uint64_t node = dirent->entry.nodeid;
	uint32_t mode = dirent->entry.attr.mode;

	if (S_ISDIR(mode))
		return get_subdirectory(copy, node, dir_fd, dirent->name);
	if (S_ISLNK(mode))
		return get_link(copy, node, dir_fd, dirent->name);
	return S_ISREG(mode) ? get_file(copy, node, dir_fd, dirent->name) : -EOPNOTSUPP;
}

/* An entry that READDIRPLUS could not look up is looked up again, to know why. */
static int get_entry(struct fs_copy *copy, uint64_t parent, struct vqsim_fs_dirent *dirent,
		     int dir_fd)
{
	int error = 0;

	if (strcmp(dirent->name, ".") == 0 || strcmp(dirent->name, "..") == 0)
		return 0;
	if (dirent->entry.nodeid == 0)
		error = vqsim_fs_lookup(copy->fs, parent, dirent->name, &dirent->entry);
	if (error)
		return fs_copy_failed(copy, "look-up", dirent->name, error);
	error = get_any(copy, dirent, dir_fd);
	if (!error)
		error = get_attributes(dir_fd, dirent->name, &dirent->entry.attr);
	vqsim_fs_forget(copy->fs, dirent->entry.nodeid, 1);
	copy->files++;
	return error ? fs_copy_failed(copy, "copy", dirent->name, error) : 0;
}

/* The entries of one list; *offset is where the next one begins. */
static int get_list(struct fs_copy *copy, const struct vqsim_fs_file *file,
		    struct vqsim_fs_dirents *dirents, uint64_t *offset, int fd)
{
	struct vqsim_fs_dirent dirent;
	int error = 0;

	while (!error && vqsim_fs_dirents_next(dirents, &dirent)) {
		*offset = dirent.next;
		error = get_entry(copy, file->node, &dirent, fd);
	}
	return error;
}

static int get_directory(struct fs_copy *copy, uint64_t node, int fd)
{
	struct vqsim_fs_dirents dirents;
	struct vqsim_fs_file file;
	uint64_t offset = 0;
	uint8_t *list = malloc(LIST_SIZE);
	int error = list ? vqsim_fs_opendir(copy->fs, node, &file) : -ENOMEM;
	int64_t size = 1;

	if (error) {
		free(list);
		return error;
	}
	while (!error && size > 0) {
		size = vqsim_fs_readdirplus(copy->fs, &file, offset, list, LIST_SIZE, &dirents);
		error = size > 0 ? get_list(copy, &file, &dirents, &offset, fd) : (int)size;
	}
	vqsim_fs_releasedir(copy->fs, &file);
	free(list);
	return error;
}

int fs_copy_get(struct fs_copy *copy, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return fs_copy_failed(copy, "open", path, -errno);
	error = get_directory(copy, FUSE_ROOT_ID, fd);
	close(fd);
	return error;
}
