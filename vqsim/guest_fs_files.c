/* SPDX-License-Identifier: BSD-3-Clause */
/* One call for each operation: open files and directories. */
#include <fcntl.h>
#include <string.h>

#include "guest_fs_internal.h"

static struct vqsim_fs_args args_of(uint32_t opcode, const struct vqsim_fs_file *file)
{
	return (struct vqsim_fs_args){
		.opcode = opcode,
		.flags = file->flags,
		.node = file->node,
		.handle = file->handle,
	};
}

/* The result's count. */
static int64_t call_count(struct vqsim_fs *fs, const struct vqsim_fs_args *args, void *to)
{
	struct vqsim_fs_result result;
	int error = vqsim_fs_call(fs, args, &result);

	if (error)
		return error;
	if (result.data && to)
		memcpy(to, result.data, result.count);
	return (int64_t)result.count;
}

/* Open and close. file may be NULL: then the handle is in the ledger alone. */

static int call_open(struct vqsim_fs *fs, const struct vqsim_fs_args *args,
		     struct vqsim_fs_file *file)
{
	bool is_new = args->opcode == FUSE_CREATE || args->opcode == FUSE_TMPFILE;
	struct vqsim_fs_result result;
	int error = vqsim_fs_call(fs, args, &result);

	if (!error && file)
		*file = (struct vqsim_fs_file){
			.node = is_new ? result.entry.nodeid : args->node,
			.handle = result.handle,
			.flags = args->flags,
			.open_flags = result.open_flags,
		};
	return error;
}

int vqsim_fs_open(struct vqsim_fs *fs, uint64_t node, uint32_t flags, struct vqsim_fs_file *file)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_OPEN, .flags = flags, .node = node};

	return call_open(fs, &args, file);
}

int vqsim_fs_opendir(struct vqsim_fs *fs, uint64_t node, struct vqsim_fs_file *file)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_OPENDIR, .flags = O_RDONLY | O_DIRECTORY, .node = node};

	return call_open(fs, &args, file);
}

int vqsim_fs_create(struct vqsim_fs *fs, uint64_t parent, const char *name, uint32_t flags,
		    uint32_t mode, struct vqsim_fs_file *file)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_CREATE,
		.flags = flags | O_CREAT,
		.node = parent,
		.name = name,
		.mode = mode,
	};

	return call_open(fs, &args, file);
}

int vqsim_fs_tmpfile(struct vqsim_fs *fs, uint64_t parent, uint32_t flags, uint32_t mode,
		     struct vqsim_fs_file *file)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_TMPFILE, .flags = flags, .node = parent, .mode = mode};

	return call_open(fs, &args, file);
}

int vqsim_fs_release(struct vqsim_fs *fs, const struct vqsim_fs_file *file)
{
	const struct vqsim_fs_args args = args_of(FUSE_RELEASE, file);

	return vqsim_fs_call(fs, &args, NULL);
}

int vqsim_fs_releasedir(struct vqsim_fs *fs, const struct vqsim_fs_file *file)
{
	const struct vqsim_fs_args args = args_of(FUSE_RELEASEDIR, file);

	return vqsim_fs_call(fs, &args, NULL);
}

int vqsim_fs_flush(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t lock_owner)
{
	struct vqsim_fs_args args = args_of(FUSE_FLUSH, file);

	args.lock_owner = lock_owner;
	return vqsim_fs_call(fs, &args, NULL);
}

static int call_fsync(struct vqsim_fs *fs, uint32_t opcode, const struct vqsim_fs_file *file,
		      bool data_only)
{
	struct vqsim_fs_args args = args_of(opcode, file);

	args.fuse_flags = data_only ? FUSE_FSYNC_FDATASYNC : 0;
	return vqsim_fs_call(fs, &args, NULL);
}

int vqsim_fs_fsync(struct vqsim_fs *fs, const struct vqsim_fs_file *file, bool data_only)
{
	return call_fsync(fs, FUSE_FSYNC, file, data_only);
}

int vqsim_fs_fsyncdir(struct vqsim_fs *fs, const struct vqsim_fs_file *file, bool data_only)
{
	return call_fsync(fs, FUSE_FSYNCDIR, file, data_only);
}

/* Data */

int64_t vqsim_fs_read(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t offset,
		      void *to, uint32_t size)
{
	struct vqsim_fs_args args = args_of(FUSE_READ, file);

	args.offset = offset;
	args.size = size;
	return call_count(fs, &args, to);
}

int64_t vqsim_fs_write(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t offset,
		       const void *from, uint32_t size)
{
	struct vqsim_fs_args args = args_of(FUSE_WRITE, file);

	args.offset = offset;
	args.size = size;
	args.data = from;
	return call_count(fs, &args, NULL);
}

int64_t vqsim_fs_copy_file_range(struct vqsim_fs *fs, const struct vqsim_fs_file *file,
				 uint64_t offset, const struct vqsim_fs_file *target,
				 uint64_t target_offset, uint64_t size)
{
	struct vqsim_fs_args args = args_of(FUSE_COPY_FILE_RANGE, file);

	args.flags = 0;
	args.offset = offset;
	args.target_node = target->node;
	args.target_handle = target->handle;
	args.target_offset = target_offset;
	args.size = size;
	return call_count(fs, &args, NULL);
}

int64_t vqsim_fs_lseek(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t offset,
		       uint32_t whence)
{
	struct vqsim_fs_args args = args_of(FUSE_LSEEK, file);

	args.offset = offset;
	args.whence = whence;
	return call_count(fs, &args, NULL);
}

int vqsim_fs_fallocate(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint32_t mode,
		       uint64_t offset, uint64_t size)
{
	struct vqsim_fs_args args = args_of(FUSE_FALLOCATE, file);

	args.flags = mode;
	args.offset = offset;
	args.size = size;
	return vqsim_fs_call(fs, &args, NULL);
}

/* Locks */

static struct vqsim_fs_args lock_args(uint32_t opcode, const struct vqsim_fs_file *file,
				      uint64_t owner, const struct fuse_file_lock *lock)
{
	struct vqsim_fs_args args = args_of(opcode, file);

	args.lock_owner = owner;
	args.lock = *lock;
	return args;
}

int vqsim_fs_getlk(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t owner,
		   struct fuse_file_lock *lock)
{
	const struct vqsim_fs_args args = lock_args(FUSE_GETLK, file, owner, lock);
	struct vqsim_fs_result result;
	int error = vqsim_fs_call(fs, &args, &result);

	if (!error)
		*lock = result.lock;
	return error;
}

int vqsim_fs_setlk(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t owner,
		   const struct fuse_file_lock *lock, uint32_t fuse_flags)
{
	struct vqsim_fs_args args = lock_args(FUSE_SETLK, file, owner, lock);

	args.fuse_flags = fuse_flags;
	return vqsim_fs_call(fs, &args, NULL);
}

int vqsim_fs_setlkw(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t owner,
		    const struct fuse_file_lock *lock, uint32_t fuse_flags)
{
	struct vqsim_fs_args args = lock_args(FUSE_SETLKW, file, owner, lock);

	args.fuse_flags = fuse_flags;
	return vqsim_fs_call(fs, &args, NULL);
}

/* Directories */

static int64_t call_readdir(struct vqsim_fs *fs, const struct vqsim_fs_args *args, void *buffer,
			    struct vqsim_fs_dirents *dirents)
{
	int64_t count = call_count(fs, args, buffer);

	*dirents = (struct vqsim_fs_dirents){
		.at = buffer,
		.left = count > 0 ? (size_t)count : 0,
		.plus = args->opcode == FUSE_READDIRPLUS,
		.swapped = fs->swapped,
	};
	return count;
}

int64_t vqsim_fs_readdir(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t offset,
			 void *buffer, uint32_t size, struct vqsim_fs_dirents *dirents)
{
	struct vqsim_fs_args args = args_of(FUSE_READDIR, file);

	args.offset = offset;
	args.size = size;
	return call_readdir(fs, &args, buffer, dirents);
}

int64_t vqsim_fs_readdirplus(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t offset,
			     void *buffer, uint32_t size, struct vqsim_fs_dirents *dirents)
{
	struct vqsim_fs_args args = args_of(FUSE_READDIRPLUS, file);

	args.offset = offset;
	args.size = size;
	return call_readdir(fs, &args, buffer, dirents);
}
