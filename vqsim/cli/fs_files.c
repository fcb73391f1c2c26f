/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "progress.h"

#define DEVICE_DIRECTORY "vqsim-device"
#define PLAIN_DIRECTORY  "vqsim-plain"

/* Files differ in where they begin in the pattern. */
#define PATTERN_STEPS 4096u

/* How often device and plain system calls change places in a phase. */
#define TURNS 16u

const char *const fs_files_phase_names[FS_FILES_PHASES] = {"write", "read", "remove"};

/* One operation on one file. */
typedef int operation(struct fs_files *files, const char *name, const uint8_t *data);

static uint32_t block_at(const struct fs_files *files, uint64_t offset)
{
	uint64_t left = files->size - offset;

	return left < files->block ? (uint32_t)left : files->block;
}

/* Through the device */

static int device_write(struct fs_files *files, const char *name, const uint8_t *data)
{
	struct vqsim_fs_file file;
	uint64_t offset = 0;
	int64_t done = 0;
	int error = vqsim_fs_create(files->fs, files->node, name, O_WRONLY | O_EXCL, S_IFREG | 0644,
				    &file);

	if (error)
		return error;
	for (; offset < files->size && done >= 0; offset += (uint64_t)done) {
		done = vqsim_fs_write(files->fs, &file, offset, data, block_at(files, offset));
		if (done == 0)
			done = -EIO;
	}
	files->bytes += offset;
	error = vqsim_fs_release(files->fs, &file);
	vqsim_fs_forget(files->fs, file.node, 1);
	return done < 0 ? (int)done : error;
}

/* data is NULL, or what must be there. */
static int device_read_data(struct fs_files *files, const struct vqsim_fs_file *file,
			    const uint8_t *data)
{
	uint64_t offset;
	int64_t done;

	for (offset = 0; offset < files->size; offset += (uint64_t)done) {
		uint32_t size = block_at(files, offset);

		done = vqsim_fs_read(files->fs, file, offset, files->buffer, size);
		if (done != size)
			return done < 0 ? (int)done : -EIO;
		if (data && memcmp(files->buffer, data, size) != 0)
			return -EILSEQ;
	}
	files->bytes += offset;
	return 0;
}

static int device_compare(struct fs_files *files, const char *name, const uint8_t *data)
{
	struct fuse_entry_out entry;
	struct vqsim_fs_file file;
	int error = vqsim_fs_lookup(files->fs, files->node, name, &entry);

	if (error)
		return error;
	error = entry.attr.size == files->size ? 0 : -EILSEQ;
	if (!error)
		error = vqsim_fs_open(files->fs, entry.nodeid, O_RDONLY, &file);
	if (!error) {
		error = device_read_data(files, &file, data);
		vqsim_fs_release(files->fs, &file);
	}
	vqsim_fs_forget(files->fs, entry.nodeid, 1);
	return error;
}

static int device_read(struct fs_files *files, const char *name, const uint8_t *data)
{
	(void)data;
	return device_compare(files, name, NULL);
}

static int device_remove(struct fs_files *files, const char *name, const uint8_t *data)
{
	(void)data;
	return vqsim_fs_unlink(files->fs, files->node, name);
}

/* By plain system calls */

static int plain_write(struct fs_files *files, const char *name, const uint8_t *data)
{
	int fd = openat(files->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	uint64_t offset;
	ssize_t done = 1;
	int error = 0;

	if (fd < 0)
		return -errno;
	for (offset = 0; offset < files->size && done > 0; offset += (uint64_t)done) {
		done = pwrite(fd, data, block_at(files, offset), (off_t)offset);
		if (done <= 0)
			error = done < 0 ? -errno : -EIO;
	}
	if (close(fd) < 0 && !error)
		error = -errno;
	return error;
}

static int plain_read_data(struct fs_files *files, int fd)
{
	uint64_t offset;
	ssize_t done;

	for (offset = 0; offset < files->size; offset += (uint64_t)done) {
		done = pread(fd, files->buffer, block_at(files, offset), (off_t)offset);
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
	}
	return 0;
}

static int plain_read(struct fs_files *files, const char *name, const uint8_t *data)
{
	struct stat st;
	int fd, error;

	(void)data;
	if (fstatat(files->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	fd = openat(files->fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = plain_read_data(files, fd);
	close(fd);
	return error;
}

static int plain_remove(struct fs_files *files, const char *name, const uint8_t *data)
{
	(void)data;
	return unlinkat(files->fd, name, 0) < 0 ? -errno : 0;
}

/* All files */

/* Of the files from first up to end. The time is added to *ns. */
static int for_some(struct fs_files *files, operation *op, uint64_t first, uint64_t end,
		    uint64_t *ns)
{
	uint64_t start = progress_now();
	char name[32];
	int error = 0;

	for (uint64_t i = first; i < end && !error; i++) {
		snprintf(name, sizeof(name), "file%" PRIu64, i);
		error = op(files, name, files->pattern + i % PATTERN_STEPS);
	}
	*ns += progress_now() - start;
	return error;
}

static operation *const device_operations[FS_FILES_PHASES] = {device_write, device_read,
							      device_remove};
static operation *const plain_operations[FS_FILES_PHASES] = {plain_write, plain_read, plain_remove};

/* In turns: what slows this host down for a while slows down both. */
static int run_turns(struct fs_files *files, enum fs_files_phase phase)
{
	uint64_t first, end, turn = files->count / TURNS + 1;
	int error = 0;

	for (first = 0; first < files->count && !error; first = end) {
		end = files->count - first < turn ? files->count : first + turn;
		if (files->path)
			error = for_some(files, plain_operations[phase], first, end,
					 &files->plain[phase]);
		if (!error)
			error = for_some(files, device_operations[phase], first, end,
					 &files->device[phase]);
	}
	return error;
}

static int run_phase(struct fs_files *files, enum fs_files_phase phase)
{
	uint64_t ignored = 0;
	int error;

	files->wrong = fs_files_phase_names[phase];
	error = run_turns(files, phase);
	if (!error && phase == FS_FILES_READ) {
		files->wrong = "compare";
		error = for_some(files, device_compare, 0, files->count, &ignored);
	}
	return error;
}

static int run_phases(struct fs_files *files)
{
	int error = 0;

	for (unsigned phase = 0; phase < FS_FILES_PHASES && !error; phase++)
		error = run_phase(files, phase);
	return error;
}

static int make_directories(struct fs_files *files, int root)
{
	struct fuse_entry_out entry;
	int error =
		vqsim_fs_mkdir(files->fs, FUSE_ROOT_ID, DEVICE_DIRECTORY, S_IFDIR | 0755, &entry);

	files->wrong = "mkdir";
	if (error)
		return error;
	files->node = entry.nodeid;
	if (!files->path)
		return 0;
	if (mkdirat(root, PLAIN_DIRECTORY, 0755) == 0)
		files->fd = openat(root, PLAIN_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return files->fd < 0 ? -errno : 0;
}

static int remove_directories(struct fs_files *files, int root)
{
	int error = vqsim_fs_rmdir(files->fs, FUSE_ROOT_ID, DEVICE_DIRECTORY);

	files->wrong = "rmdir";
	vqsim_fs_forget(files->fs, files->node, 1);
	if (files->fd >= 0) {
		close(files->fd);
		if (unlinkat(root, PLAIN_DIRECTORY, AT_REMOVEDIR) < 0 && !error)
			error = -errno;
	}
	return error;
}

static int make_buffers(struct fs_files *files)
{
	uint32_t size = files->block + PATTERN_STEPS;
	uint32_t value = 1;

	files->pattern = malloc(size);
	files->buffer = malloc(files->block);
	if (!files->pattern || !files->buffer)
		return -ENOMEM;
	for (uint32_t i = 0; i < size; i++) {
		value = value * 1664525u + 1013904223u;
		files->pattern[i] = (uint8_t)(value >> 24);
	}
	return 0;
}

int fs_files_run(struct fs_files *files)
{
	int root = files->path ? open(files->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int error = files->path && root < 0 ? -errno : make_buffers(files);

	files->fd = -1;
	if (!error)
		error = make_directories(files, root);
	if (!error)
		error = run_phases(files);
	if (!error)
		error = remove_directories(files, root);
	else if (files->fd >= 0)
		close(files->fd);
	if (root >= 0)
		close(root);
	free(files->pattern);
	free(files->buffer);
	return error;
}
