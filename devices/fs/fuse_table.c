/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse_internal.h"

#define ARGS(type, layout)    .args_size = sizeof(struct type), .args_layout = layout
#define REPLY(type, function) .reply_size = sizeof(struct type), .reply = fuse_reply_##function
#define DECODE(function)      .decode = fuse_decode_##function
#define EMPTY                 .reply = fuse_reply_empty
#define ENTRY                 REPLY(fuse_entry_out, entry)
#define ENTRY_AND_OPEN                                                              \
	.reply_size = sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out), \
	.reply = fuse_reply_create
#define READ_IN ARGS(fuse_read_in, "qqddqdd")
#define LK_IN   ARGS(fuse_lk_in, "qqqqdddd")
#define COPY_IN ARGS(fuse_copy_file_range_in, "qqqqqqq")

/* Opcodes of 7.27 and before have no minor here: sessions of an older one are refused. */
const struct fuse_op fuse_ops_table[FUSE_OPCODES] = {
	[FUSE_LOOKUP] = {DECODE(lookup), ENTRY},
	[FUSE_FORGET] = {.flags = FUSE_OP_SILENT, ARGS(fuse_forget_in, "q"), DECODE(forget)},
	[FUSE_GETATTR] = {ARGS(fuse_getattr_in, "ddq"), DECODE(getattr),
			  REPLY(fuse_attr_out, attr)},
	[FUSE_SETATTR] = {ARGS(fuse_setattr_in, "ddqqqqqqdddddddd"), DECODE(setattr),
			  REPLY(fuse_attr_out, attr)},
	[FUSE_READLINK] = {DECODE(readlink), .reply = fuse_reply_data},
	[FUSE_SYMLINK] = {DECODE(symlink), ENTRY},
	[FUSE_MKNOD] = {ARGS(fuse_mknod_in, "dddd"), DECODE(mknod), ENTRY},
	[FUSE_MKDIR] = {ARGS(fuse_mkdir_in, "dd"), DECODE(mkdir), ENTRY},
	[FUSE_UNLINK] = {DECODE(name), EMPTY},
	[FUSE_RMDIR] = {DECODE(name), EMPTY},
	[FUSE_RENAME] = {ARGS(fuse_rename_in, "q"), DECODE(rename), EMPTY},
	[FUSE_LINK] = {ARGS(fuse_link_in, "q"), DECODE(link), ENTRY},
	[FUSE_OPEN] = {ARGS(fuse_open_in, "dd"), DECODE(open), REPLY(fuse_open_out, open)},
	[FUSE_READ] = {READ_IN, DECODE(read), .reply = fuse_reply_data},
	[FUSE_WRITE] = {ARGS(fuse_write_in, "qqddqdd"), DECODE(write),
			REPLY(fuse_write_out, write)},
	[FUSE_STATFS] = {DECODE(nothing), REPLY(fuse_statfs_out, statfs)},
	[FUSE_RELEASE] = {ARGS(fuse_release_in, "qddq"), DECODE(release), EMPTY},
	[FUSE_FSYNC] = {ARGS(fuse_fsync_in, "qdd"), DECODE(fsync), EMPTY},
	[FUSE_SETXATTR] = {ARGS(fuse_setxattr_in, "dddd"), DECODE(setxattr), EMPTY},
	[FUSE_GETXATTR] = {ARGS(fuse_getxattr_in, "dd"), DECODE(getxattr),
			   .reply = fuse_reply_xattr},
	[FUSE_LISTXATTR] = {ARGS(fuse_getxattr_in, "dd"), DECODE(listxattr),
			    .reply = fuse_reply_xattr},
	[FUSE_REMOVEXATTR] = {DECODE(removexattr), EMPTY},
	[FUSE_FLUSH] = {ARGS(fuse_flush_in, "qddq"), DECODE(flush), EMPTY},
	[FUSE_INIT] = {.flags = FUSE_OP_CHANGE,
		       .args_size = FUSE_COMPAT_INIT_IN_SIZE,
		       .reply_size = sizeof(struct fuse_init_out)},
	[FUSE_OPENDIR] = {ARGS(fuse_open_in, "dd"), DECODE(open), REPLY(fuse_open_out, open)},
	[FUSE_READDIR] = {READ_IN, DECODE(readdir), .reply = fuse_reply_dirents},
	[FUSE_RELEASEDIR] = {ARGS(fuse_release_in, "qddq"), DECODE(release), EMPTY},
	[FUSE_FSYNCDIR] = {ARGS(fuse_fsync_in, "qdd"), DECODE(fsync), EMPTY},
	[FUSE_GETLK] = {LK_IN, DECODE(lock), REPLY(fuse_lk_out, lock)},
	[FUSE_SETLK] = {LK_IN, DECODE(lock), EMPTY},
	[FUSE_SETLKW] = {LK_IN, DECODE(lock), EMPTY},
	[FUSE_ACCESS] = {ARGS(fuse_access_in, "dd"), DECODE(access), EMPTY},
	[FUSE_CREATE] = {ARGS(fuse_create_in, "dddd"), DECODE(create), ENTRY_AND_OPEN},
	[FUSE_INTERRUPT] = {.flags = FUSE_OP_SILENT,
			    ARGS(fuse_interrupt_in, "q"),
			    DECODE(interrupt)},
	[FUSE_DESTROY] = {.flags = FUSE_OP_CHANGE},
	[FUSE_NOTIFY_REPLY] = {.flags = FUSE_OP_SILENT},
	[FUSE_BATCH_FORGET] = {.flags = FUSE_OP_SILENT,
			       ARGS(fuse_batch_forget_in, "dd"),
			       DECODE(batch_forget)},
	[FUSE_FALLOCATE] = {ARGS(fuse_fallocate_in, "qqqdd"), DECODE(fallocate), EMPTY},
	[FUSE_READDIRPLUS] = {READ_IN, DECODE(readdir), .reply = fuse_reply_dirents},
	[FUSE_RENAME2] = {ARGS(fuse_rename2_in, "qdd"), DECODE(rename2), EMPTY},
	[FUSE_LSEEK] = {ARGS(fuse_lseek_in, "qqdd"), DECODE(lseek), REPLY(fuse_lseek_out, lseek)},
	[FUSE_COPY_FILE_RANGE] = {.minor = 28,
				  COPY_IN,
				  DECODE(copy_file_range),
				  REPLY(fuse_write_out, write)},
	[FUSE_SYNCFS] = {.minor = 34, ARGS(fuse_syncfs_in, "q"), DECODE(nothing), EMPTY},
	[FUSE_TMPFILE] = {.minor = 37,
			  ARGS(fuse_create_in, "dddd"),
			  DECODE(tmpfile),
			  ENTRY_AND_OPEN},
	[FUSE_STATX] = {.minor = 39,
			ARGS(fuse_statx_in, "ddqdd"),
			DECODE(statx),
			REPLY(fuse_statx_out, statx)},
	[FUSE_COPY_FILE_RANGE_64] = {.minor = 45,
				     COPY_IN,
				     DECODE(copy_file_range),
				     REPLY(fuse_copy_file_range_out, copy_64)},
};
