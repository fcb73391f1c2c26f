/* SPDX-License-Identifier: BSD-3-Clause */
#include "tree.h"

#include "fuse_wire.h"

#define MEMBER(name) offsetof(struct fs_tree_ops, name)

/* Offset 0 is the tree's name, so it can mean that there is no member. */
static const uint16_t members[] = {
	[FUSE_LOOKUP] = MEMBER(lookup),
	[FUSE_GETATTR] = MEMBER(getattr),
	[FUSE_SETATTR] = MEMBER(setattr),
	[FUSE_READLINK] = MEMBER(readlink),
	[FUSE_SYMLINK] = MEMBER(symlink),
	[FUSE_MKNOD] = MEMBER(mknod),
	[FUSE_MKDIR] = MEMBER(mkdir),
	[FUSE_UNLINK] = MEMBER(unlink),
	[FUSE_RMDIR] = MEMBER(rmdir),
	[FUSE_RENAME] = MEMBER(rename),
	[FUSE_LINK] = MEMBER(link),
	[FUSE_OPEN] = MEMBER(open),
	[FUSE_READ] = MEMBER(read),
	[FUSE_WRITE] = MEMBER(write),
	[FUSE_STATFS] = MEMBER(statfs),
	[FUSE_RELEASE] = MEMBER(release),
	[FUSE_FSYNC] = MEMBER(fsync),
	[FUSE_SETXATTR] = MEMBER(setxattr),
	[FUSE_GETXATTR] = MEMBER(getxattr),
	[FUSE_LISTXATTR] = MEMBER(listxattr),
	[FUSE_REMOVEXATTR] = MEMBER(removexattr),
	[FUSE_FLUSH] = MEMBER(flush),
	[FUSE_OPENDIR] = MEMBER(opendir),
	[FUSE_READDIR] = MEMBER(readdir),
	[FUSE_RELEASEDIR] = MEMBER(releasedir),
	[FUSE_FSYNCDIR] = MEMBER(fsyncdir),
	[FUSE_GETLK] = MEMBER(getlk),
	[FUSE_SETLK] = MEMBER(setlk),
	[FUSE_SETLKW] = MEMBER(setlk),
	[FUSE_ACCESS] = MEMBER(access),
	[FUSE_CREATE] = MEMBER(create),
	[FUSE_FALLOCATE] = MEMBER(fallocate),
	[FUSE_READDIRPLUS] = MEMBER(readdirplus),
	[FUSE_RENAME2] = MEMBER(rename),
	[FUSE_LSEEK] = MEMBER(lseek),
	[FUSE_COPY_FILE_RANGE] = MEMBER(copy_file_range),
	[FUSE_SYNCFS] = MEMBER(syncfs),
	[FUSE_TMPFILE] = MEMBER(tmpfile),
	[FUSE_STATX] = MEMBER(statx),
	[FUSE_COPY_FILE_RANGE_64] = MEMBER(copy_file_range),
};

fs_tree_op *fs_tree_op_of(const struct fs_tree_ops *ops, uint32_t op)
{
	const char *table = (const char *)ops;

	if (op >= sizeof(members) / sizeof(members[0]) || members[op] == 0)
		return NULL;
	return *(fs_tree_op *const *)(const void *)(table + members[op]);
}
