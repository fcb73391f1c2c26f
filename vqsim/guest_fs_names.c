/* SPDX-License-Identifier: BSD-3-Clause */
/* One call for each operation: sessions, names, attributes, extended attributes. */
#include <stdlib.h>
#include <string.h>

#include "guest_fs_internal.h"

#define READAHEAD (128u << 10)

/* Nodes that one BATCH_FORGET of forget_all names: they fit in any request. */
#define FORGETS_MAX 256u

/* result's value to whoever asked. */
static int call_entry(struct vqsim_fs *fs, const struct vqsim_fs_args *args,
		      struct fuse_entry_out *entry)
{
	struct vqsim_fs_result result;
	int error = vqsim_fs_call(fs, args, &result);

	if (!error && entry)
		*entry = result.entry;
	return error;
}

static int call_attr(struct vqsim_fs *fs, const struct vqsim_fs_args *args, struct fuse_attr *attr)
{
	struct vqsim_fs_result result;
	int error = vqsim_fs_call(fs, args, &result);

	if (!error && attr)
		*attr = result.attr;
	return error;
}

/* Bytes, copied to the caller. */
static int64_t call_bytes(struct vqsim_fs *fs, const struct vqsim_fs_args *args, void *to)
{
	struct vqsim_fs_result result;
	int error = vqsim_fs_call(fs, args, &result);

	if (error)
		return error;
	if (result.data && to)
		memcpy(to, result.data, result.count);
	return (int64_t)result.count;
}

static int call_name(struct vqsim_fs *fs, uint32_t opcode, uint64_t node, const char *name)
{
	const struct vqsim_fs_args args = {.opcode = opcode, .node = node, .name = name};

	return vqsim_fs_call(fs, &args, NULL);
}

/* Sessions */

int vqsim_fs_begin(struct vqsim_fs *fs, uint32_t minor, uint64_t flags)
{
	const struct fuse_init_in init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = minor,
		.max_readahead = READAHEAD,
		.flags = (uint32_t)(flags | (flags >> 32 ? FUSE_INIT_EXT : 0)),
		.flags2 = (uint32_t)(flags >> 32),
	};
	const struct vqsim_fs_args args = {.opcode = FUSE_INIT, .init = &init};

	return vqsim_fs_call(fs, &args, NULL);
}

int vqsim_fs_destroy(struct vqsim_fs *fs)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_DESTROY};

	return vqsim_fs_call(fs, &args, NULL);
}

int vqsim_fs_interrupt(struct vqsim_fs *fs, uint64_t unique)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_INTERRUPT, .unique = unique};

	return vqsim_fs_call(fs, &args, NULL);
}

/* Look-ups */

int vqsim_fs_lookup(struct vqsim_fs *fs, uint64_t parent, const char *name,
		    struct fuse_entry_out *entry)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_LOOKUP, .node = parent, .name = name};

	return call_entry(fs, &args, entry);
}

int vqsim_fs_forget(struct vqsim_fs *fs, uint64_t node, uint64_t count)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_FORGET, .node = node, .count = count};

	return vqsim_fs_call(fs, &args, NULL);
}

int vqsim_fs_batch_forget(struct vqsim_fs *fs, const struct fuse_forget_one *forgets,
			  uint32_t count)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_BATCH_FORGET, .count = count, .forgets = forgets};

	return vqsim_fs_call(fs, &args, NULL);
}

/* Look-ups from *at of the ledger on. */
static uint32_t collect(const struct vqsim_fs *fs, size_t *at, struct fuse_forget_one *forgets)
{
	uint32_t count = 0;

	for (; *at < fs->lookups.room && count < FORGETS_MAX; ++*at) {
		const struct vqsim_fs_count *one = &fs->lookups.counts[*at];

		if (one->count > 0)
			forgets[count++] = (struct fuse_forget_one){one->node, one->count};
	}
	return count;
}

int vqsim_fs_forget_all(struct vqsim_fs *fs)
{
	struct fuse_forget_one forgets[FORGETS_MAX];
	size_t at = 0;
	uint32_t count;
	int error = 0;

	while (!error && (count = collect(fs, &at, forgets)) > 0)
		error = vqsim_fs_batch_forget(fs, forgets, count);
	return error;
}

/* Attributes */

int vqsim_fs_getattr(struct vqsim_fs *fs, uint64_t node, const struct vqsim_fs_file *file,
		     struct fuse_attr *attr)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_GETATTR,
		.node = node,
		.handle = file ? file->handle : 0,
		.fuse_flags = file ? FUSE_GETATTR_FH : 0,
	};

	return call_attr(fs, &args, attr);
}

int vqsim_fs_setattr(struct vqsim_fs *fs, uint64_t node, const struct fuse_setattr_in *set,
		     struct fuse_attr *attr)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_SETATTR, .node = node, .set = set};

	return call_attr(fs, &args, attr);
}

int vqsim_fs_statx(struct vqsim_fs *fs, uint64_t node, uint32_t mask, struct fuse_statx *statx)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_STATX, .node = node, .mask = mask};
	struct vqsim_fs_result result;
	int error = vqsim_fs_call(fs, &args, &result);

	if (!error && statx)
		*statx = result.statx;
	return error;
}

int vqsim_fs_access(struct vqsim_fs *fs, uint64_t node, uint32_t mask)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_ACCESS, .node = node, .mask = mask};

	return vqsim_fs_call(fs, &args, NULL);
}

int vqsim_fs_statfs(struct vqsim_fs *fs, uint64_t node, struct fuse_kstatfs *statfs)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_STATFS, .node = node};
	struct vqsim_fs_result result;
	int error = vqsim_fs_call(fs, &args, &result);

	if (!error && statfs)
		*statfs = result.statfs;
	return error;
}

int vqsim_fs_syncfs(struct vqsim_fs *fs, uint64_t node)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_SYNCFS, .node = node};

	return vqsim_fs_call(fs, &args, NULL);
}

/* Names */

int64_t vqsim_fs_readlink(struct vqsim_fs *fs, uint64_t node, char *target, uint32_t size)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_READLINK, .node = node, .size = size};

	return call_bytes(fs, &args, target);
}

int vqsim_fs_symlink(struct vqsim_fs *fs, uint64_t parent, const char *name, const char *target,
		     struct fuse_entry_out *entry)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_SYMLINK, .node = parent, .name = name, .target = target};

	return call_entry(fs, &args, entry);
}

int vqsim_fs_mknod(struct vqsim_fs *fs, uint64_t parent, const char *name, uint32_t mode,
		   uint32_t rdev, struct fuse_entry_out *entry)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_MKNOD, .node = parent, .name = name, .mode = mode, .rdev = rdev};

	return call_entry(fs, &args, entry);
}

int vqsim_fs_mkdir(struct vqsim_fs *fs, uint64_t parent, const char *name, uint32_t mode,
		   struct fuse_entry_out *entry)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_MKDIR, .node = parent, .name = name, .mode = mode};

	return call_entry(fs, &args, entry);
}

int vqsim_fs_unlink(struct vqsim_fs *fs, uint64_t parent, const char *name)
{
	return call_name(fs, FUSE_UNLINK, parent, name);
}

int vqsim_fs_rmdir(struct vqsim_fs *fs, uint64_t parent, const char *name)
{
	return call_name(fs, FUSE_RMDIR, parent, name);
}

int vqsim_fs_rename(struct vqsim_fs *fs, uint64_t parent, const char *name, uint64_t new_parent,
		    const char *new_name)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_RENAME,
		.node = parent,
		.name = name,
		.new_parent = new_parent,
		.new_name = new_name,
	};

	return vqsim_fs_call(fs, &args, NULL);
}

int vqsim_fs_rename2(struct vqsim_fs *fs, uint64_t parent, const char *name, uint64_t new_parent,
		     const char *new_name, uint32_t flags)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_RENAME2,
		.flags = flags,
		.node = parent,
		.name = name,
		.new_parent = new_parent,
		.new_name = new_name,
	};

	return vqsim_fs_call(fs, &args, NULL);
}

int vqsim_fs_link(struct vqsim_fs *fs, uint64_t node, uint64_t new_parent, const char *new_name,
		  struct fuse_entry_out *entry)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_LINK, .node = node, .new_parent = new_parent, .new_name = new_name};

	return call_entry(fs, &args, entry);
}

/* Extended attributes */

int vqsim_fs_setxattr(struct vqsim_fs *fs, uint64_t node, const char *name, const void *value,
		      uint32_t size, uint32_t flags)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_SETXATTR,
		.flags = flags,
		.node = node,
		.name = name,
		.size = size,
		.data = value,
	};

	return vqsim_fs_call(fs, &args, NULL);
}

int64_t vqsim_fs_getxattr(struct vqsim_fs *fs, uint64_t node, const char *name, void *value,
			  uint32_t size)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_GETXATTR, .node = node, .name = name, .size = size};

	return call_bytes(fs, &args, value);
}

int64_t vqsim_fs_listxattr(struct vqsim_fs *fs, uint64_t node, char *names, uint32_t size)
{
	const struct vqsim_fs_args args = {.opcode = FUSE_LISTXATTR, .node = node, .size = size};

	return call_bytes(fs, &args, names);
}

int vqsim_fs_removexattr(struct vqsim_fs *fs, uint64_t node, const char *name)
{
	return call_name(fs, FUSE_REMOVEXATTR, node, name);
}
