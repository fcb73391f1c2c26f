/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations by opcode, and what may come in place of what they predict. */
#include <errno.h>

#include "tree_internal.h"

#define OP(name, changes)                                                             \
	{                                                                             \
		.predict = model_predict_##name, .apply = model_apply_##name, changes \
	}

static const struct model_op ops[] = {
	[FUSE_LOOKUP] = OP(lookup, false),
	[FUSE_GETATTR] = OP(getattr, false),
	[FUSE_SETATTR] = OP(setattr, true),
	[FUSE_READLINK] = OP(readlink, false),
	[FUSE_SYMLINK] = OP(symlink, true),
	[FUSE_MKNOD] = OP(mknod, true),
	[FUSE_MKDIR] = OP(mkdir, true),
	[FUSE_UNLINK] = OP(unlink, true),
	[FUSE_RMDIR] = OP(rmdir, true),
	[FUSE_RENAME] = OP(rename, true),
	[FUSE_RENAME2] = OP(rename, true),
	[FUSE_LINK] = OP(link, true),
	[FUSE_OPEN] = OP(open, true),
	[FUSE_READ] = OP(read, false),
	[FUSE_WRITE] = OP(write, true),
	[FUSE_STATFS] = OP(node, false),
	[FUSE_RELEASE] = OP(release, true),
	[FUSE_FSYNC] = OP(fsync, false),
	[FUSE_SETXATTR] = OP(setxattr, true),
	[FUSE_GETXATTR] = OP(getxattr, false),
	[FUSE_LISTXATTR] = OP(listxattr, false),
	[FUSE_REMOVEXATTR] = OP(removexattr, true),
	[FUSE_FLUSH] = OP(flush, true),
	[FUSE_OPENDIR] = OP(opendir, false),
	[FUSE_READDIR] = OP(readdir, false),
	[FUSE_READDIRPLUS] = OP(readdir, false),
	[FUSE_RELEASEDIR] = OP(releasedir, false),
	[FUSE_FSYNCDIR] = OP(fsyncdir, false),
	[FUSE_GETLK] = OP(getlk, false),
	[FUSE_SETLK] = OP(setlk, true),
	[FUSE_SETLKW] = OP(setlk, true),
	[FUSE_ACCESS] = OP(access, false),
	[FUSE_CREATE] = OP(create, true),
	[FUSE_FALLOCATE] = OP(fallocate, true),
	[FUSE_LSEEK] = OP(lseek, false),
	[FUSE_COPY_FILE_RANGE] = OP(copy_file_range, true),
	[FUSE_COPY_FILE_RANGE_64] = OP(copy_file_range, true),
	[FUSE_SYNCFS] = OP(node, false),
	[FUSE_TMPFILE] = OP(tmpfile, false),
	[FUSE_STATX] = OP(statx, false),
};

const struct model_op *model_op_of(uint32_t opcode)
{
	if (opcode >= sizeof(ops) / sizeof(ops[0]) || !ops[opcode].predict)
		return NULL;
	return &ops[opcode];
}

/* Errors that may come in place of what is predicted. freedom 0: from any file system. */
static const struct {
	uint32_t opcode; /* 0: whatever changes something */
	int error;
	unsigned freedom;
	int in_place_of; /* MODEL_ANY: of anything */
} free_errors[] = {
	{0, -ENOSPC, 0, 0},
	{0, -EDQUOT, 0, 0},
	{0, -ENOMEM, 0, 0},
	{0, -EINTR, 0, 0},
	{FUSE_OPEN, -EMFILE, 0, 0},
	{FUSE_OPEN, -ENFILE, 0, 0},
	{FUSE_OPENDIR, -EMFILE, 0, 0},
	{FUSE_OPENDIR, -ENFILE, 0, 0},
	{FUSE_TMPFILE, -ENOSPC, 0, 0},
	{FUSE_TMPFILE, -EOPNOTSUPP, 0, MODEL_ANY},
	{FUSE_TMPFILE, -ENOSYS, 0, MODEL_ANY},
	{FUSE_STATX, -ENOSYS, 0, MODEL_ANY},
	{FUSE_SYNCFS, -ENOSYS, 0, MODEL_ANY},
	{FUSE_FALLOCATE, -EOPNOTSUPP, 0, MODEL_ANY},
	{FUSE_FALLOCATE, -ENOSYS, 0, MODEL_ANY},
	{FUSE_LSEEK, -ENOSYS, 0, MODEL_ANY},
	{FUSE_COPY_FILE_RANGE, -ENOSYS, 0, MODEL_ANY},
	{FUSE_COPY_FILE_RANGE_64, -ENOSYS, 0, MODEL_ANY},
	{FUSE_COPY_FILE_RANGE, -EOPNOTSUPP, 0, MODEL_ANY},
	{FUSE_SETLK, -ENOLCK, 0, 0},
	{FUSE_SETATTR, -EBADF, 0, -EINVAL}, /* ftruncate(2) has both */
	{FUSE_LINK, -EMLINK, 0, 0},
	{FUSE_MKDIR, -EMLINK, 0, 0},
	{FUSE_LINK, -EPERM, VQSIM_TREE_HOST_POLICY, MODEL_ANY},
	{FUSE_CREATE, -EACCES, VQSIM_TREE_HOST_POLICY, 0},
	{FUSE_SETXATTR, -EOPNOTSUPP, VQSIM_TREE_NO_XATTR, MODEL_ANY},
	{FUSE_GETXATTR, -EOPNOTSUPP, VQSIM_TREE_NO_XATTR, MODEL_ANY},
	{FUSE_LISTXATTR, -EOPNOTSUPP, VQSIM_TREE_NO_XATTR, MODEL_ANY},
	{FUSE_REMOVEXATTR, -EOPNOTSUPP, VQSIM_TREE_NO_XATTR, MODEL_ANY},
};

/* A request for what is not there may be wrong in itself, too; which of both is told is free. */
static bool is_other_fault(int want, int got)
{
	return (want == -ESTALE || want == -EBADF) && (got == -EINVAL || got == -EFBIG);
}

bool model_is_free(const struct model_step *s, int want, int got)
{
	if (is_other_fault(want, got))
		return true;
	for (size_t i = 0; i < sizeof(free_errors) / sizeof(free_errors[0]); i++) {
		bool opcode = free_errors[i].opcode == 0 ? s->op->changes
							 : free_errors[i].opcode == s->args->opcode;
		bool freedom = free_errors[i].freedom == 0 ||
			       (free_errors[i].freedom & s->tree->options.freedom);

		if (opcode && freedom && got == free_errors[i].error &&
		    (free_errors[i].in_place_of == MODEL_ANY || free_errors[i].in_place_of == want))
			return true;
	}
	return false;
}
