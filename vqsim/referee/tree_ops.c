/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations by opcode, and what may come in place of what they predict. */
#include <errno.h>
#include <fcntl.h>

#include "tree_internal.h"

#define FILE_  MODEL_READS_FILE
#define LOCKS  MODEL_READS_LOCKS
#define FILE_W (MODEL_READS_FILE | MODEL_WRITES_FILE)
#define LOCK_W (MODEL_READS_LOCKS | MODEL_WRITES_LOCKS)
#define MAKES  (FILE_W | MODEL_NEEDS_ROOM)

#define OP(name, fault, use)                                         \
	{                                                            \
		model_predict_##name, model_apply_##name, fault, use \
	}

static const struct model_op ops[] = {
	[FUSE_LOOKUP] = OP(lookup, model_fault_lookup, FILE_),
	[FUSE_FORGET] = OP(forget, NULL, 0),
	[FUSE_GETATTR] = OP(getattr, NULL, FILE_),
	[FUSE_SETATTR] = OP(setattr, model_fault_setattr, FILE_W),
	[FUSE_READLINK] = OP(readlink, NULL, FILE_),
	[FUSE_SYMLINK] = OP(symlink, model_fault_symlink, MAKES),
	[FUSE_MKNOD] = OP(mknod, model_fault_mknod, MAKES),
	[FUSE_MKDIR] = OP(mkdir, model_fault_name, MAKES),
	[FUSE_UNLINK] = OP(unlink, model_fault_name, FILE_W),
	[FUSE_RMDIR] = OP(rmdir, model_fault_name, FILE_W),
	[FUSE_RENAME] = OP(rename, model_fault_rename, MAKES),
	[FUSE_RENAME2] = OP(rename, model_fault_rename, MAKES),
	[FUSE_LINK] = OP(link, model_fault_new_name, MAKES),
	[FUSE_OPEN] = OP(open, model_fault_open, FILE_W),
	[FUSE_READ] = OP(read, model_fault_read, FILE_),
	[FUSE_WRITE] = OP(write, model_fault_write, MAKES),
	[FUSE_STATFS] = OP(node, NULL, 0),
	[FUSE_RELEASE] = OP(release, NULL, LOCK_W),
	[FUSE_FSYNC] = OP(fsync, NULL, 0),
	[FUSE_SETXATTR] = OP(setxattr, model_fault_setxattr, MAKES),
	[FUSE_GETXATTR] = OP(getxattr, model_fault_xattr, FILE_),
	[FUSE_LISTXATTR] = OP(listxattr, NULL, FILE_),
	[FUSE_REMOVEXATTR] = OP(removexattr, model_fault_xattr, FILE_W),
	[FUSE_FLUSH] = OP(flush, NULL, LOCK_W),
	[FUSE_OPENDIR] = OP(opendir, NULL, FILE_),
	[FUSE_READDIR] = OP(readdir, model_fault_read, FILE_),
	[FUSE_READDIRPLUS] = OP(readdir, model_fault_read, FILE_),
	[FUSE_RELEASEDIR] = OP(releasedir, NULL, 0),
	[FUSE_FSYNCDIR] = OP(fsyncdir, NULL, 0),
	[FUSE_GETLK] = OP(getlk, model_fault_lock, LOCKS),
	[FUSE_SETLK] = OP(setlk, model_fault_lock, LOCK_W),
	[FUSE_SETLKW] = OP(setlk, model_fault_lock, LOCK_W),
	[FUSE_ACCESS] = OP(access, model_fault_access, FILE_),
	[FUSE_CREATE] = OP(create, model_fault_create, MAKES),
	[FUSE_BATCH_FORGET] = OP(forget, NULL, 0),
	[FUSE_FALLOCATE] = OP(fallocate, model_fault_fallocate, MAKES),
	[FUSE_LSEEK] = OP(lseek, model_fault_lseek, FILE_),
	[FUSE_COPY_FILE_RANGE] = OP(copy_file_range, model_fault_copy, MAKES),
	[FUSE_COPY_FILE_RANGE_64] = OP(copy_file_range, model_fault_copy, MAKES),
	[FUSE_SYNCFS] = OP(node, NULL, 0),
	[FUSE_TMPFILE] = OP(tmpfile, model_fault_open, FILE_ | MODEL_NEEDS_ROOM),
	[FUSE_STATX] = OP(statx, NULL, FILE_),
};

const struct model_op *model_op_of(uint32_t opcode)
{
	if (opcode >= sizeof(ops) / sizeof(ops[0]) || !ops[opcode].predict)
		return NULL;
	return &ops[opcode];
}

bool model_reads(const struct model_step *s, enum model_part part)
{
	return s->op->use & (unsigned)MODEL_READS_FILE << part;
}

/* To open a file changes it only if it is cut off. */
bool model_writes(const struct model_step *s, enum model_part part)
{
	if (s->args->opcode == FUSE_OPEN && !(s->args->flags & O_TRUNC))
		return false;
	return s->op->use & (unsigned)MODEL_WRITES_FILE << part;
}

#define NO_XATTR_FOR(opcode)                                        \
	{                                                           \
		opcode, -EOPNOTSUPP, VQSIM_TREE_NO_XATTR, MODEL_ANY \
	}

/* Errors that may come in place of what is predicted. freedom 0: from any file system. */
static const struct {
	uint32_t opcode; /* 0: whatever needs room */
	int error;
	unsigned freedom;
	int in_place_of; /* MODEL_ANY: of anything */
} free_errors[] = {
	{0, -ENOSPC, 0, 0},
	{0, -EDQUOT, VQSIM_TREE_HOST_POLICY, 0},
	{0, -ENOMEM, VQSIM_TREE_HOST_POLICY, 0},
	{0, -EFBIG, VQSIM_TREE_SIZE_LIMIT, 0},
	{FUSE_SETATTR, -EFBIG, VQSIM_TREE_SIZE_LIMIT, 0},
	{FUSE_SETATTR, -ENOSPC, VQSIM_TREE_HOST_POLICY, 0},
	{FUSE_READ, -EINVAL, VQSIM_TREE_SIZE_LIMIT, 0},
	/* As in open(2), which looks for a free place before it looks at the file. */
	{FUSE_OPEN, -EMFILE, 0, MODEL_ANY},
	{FUSE_OPEN, -ENFILE, 0, MODEL_ANY},
	{FUSE_CREATE, -EMFILE, 0, MODEL_ANY},
	{FUSE_CREATE, -ENFILE, 0, MODEL_ANY},
	{FUSE_OPENDIR, -EMFILE, 0, MODEL_ANY},
	{FUSE_OPENDIR, -ENFILE, 0, MODEL_ANY},
	{FUSE_TMPFILE, -EMFILE, 0, MODEL_ANY},
	{FUSE_TMPFILE, -ENFILE, 0, MODEL_ANY},
	/* What a server need not have. */
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
	{FUSE_SETLKW, -ENOLCK, 0, 0},
	{FUSE_SETLKW, -EINTR, 0, 0},        /* an INTERRUPT came */
	{FUSE_SETATTR, -EBADF, 0, -EINVAL}, /* ftruncate(2) has both */
	/* No guest asks so of a directory's handle, which is none of a file's. */
	{FUSE_SETATTR, -EISDIR, 0, -EINVAL},
	{FUSE_COPY_FILE_RANGE, -EBADF, 0, -EISDIR},
	{FUSE_COPY_FILE_RANGE_64, -EBADF, 0, -EISDIR},
	{FUSE_LINK, -EMLINK, 0, 0},
	{FUSE_MKDIR, -EMLINK, 0, 0},
	{FUSE_LINK, -EPERM, VQSIM_TREE_HOST_POLICY, MODEL_ANY},
	{FUSE_CREATE, -EACCES, VQSIM_TREE_HOST_POLICY, 0},
	NO_XATTR_FOR(FUSE_SETXATTR),
	NO_XATTR_FOR(FUSE_GETXATTR),
	NO_XATTR_FOR(FUSE_LISTXATTR),
	NO_XATTR_FOR(FUSE_REMOVEXATTR),
};

bool model_is_free(const struct model_step *s, int want, int got)
{
	for (size_t i = 0; i < sizeof(free_errors) / sizeof(free_errors[0]); i++) {
		bool opcode = free_errors[i].opcode == 0 ? s->op->use & MODEL_NEEDS_ROOM
							 : free_errors[i].opcode == s->args->opcode;
		bool freedom = free_errors[i].freedom == 0 ||
			       (free_errors[i].freedom & s->tree->options.freedom);

		if (opcode && freedom && got == free_errors[i].error &&
		    (free_errors[i].in_place_of == MODEL_ANY || free_errors[i].in_place_of == want))
			return true;
	}
	return false;
}
