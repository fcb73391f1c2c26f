/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a message of the kernel asks for, read out of it, so that its reply is checked as if the
 * driver had made the message itself. All is in the byte order of this process. Of a message that is
 * too short, what is missing is zero; names point into the message.
 */
#include <string.h>

#include "fuse_bridge_internal.h"

/* The longest target that a kernel asks for. */
#define LINK_ROOM 4096u

/* What is not known here gets room for a page. */
#define UNKNOWN_ROOM 4096u

static size_t room_of(const struct vqsim_fuse_bridge_slot *slot)
{
	return slot->header.len - FS_IN_HEADER;
}

/* The first size bytes of the arguments. */
static void peek(const struct vqsim_fuse_bridge_slot *slot, void *to, size_t size)
{
	size_t there = room_of(slot);

	memset(to, 0, size);
	memcpy(to, slot->request.in + FS_IN_HEADER, there < size ? there : size);
}

#define PEEK(slot, structure) peek(slot, &(structure), sizeof(structure))

/* The text at an offset into the arguments, which goes on behind it. A text without an end is "". */
static const char *text(const struct vqsim_fuse_bridge_slot *slot, size_t *at)
{
	const char *start = (const char *)slot->request.in + FS_IN_HEADER + *at;
	size_t room = room_of(slot) > *at ? room_of(slot) - *at : 0;
	size_t size = strnlen(start, room);

	if (size == room)
		return "";
	*at += size + 1;
	return start;
}

typedef void take(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		  struct vqsim_fs *fs);

static void take_name(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		      struct vqsim_fs *fs)
{
	size_t at = 0;

	(void)fs;
	a->name = text(slot, &at);
}

static void take_getattr(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			 struct vqsim_fs *fs)
{
	struct fuse_getattr_in in;

	(void)fs;
	PEEK(slot, in);
	a->fuse_flags = in.getattr_flags;
	a->handle = in.fh;
}

static void take_statx(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		       struct vqsim_fs *fs)
{
	struct fuse_statx_in in;

	(void)fs;
	PEEK(slot, in);
	a->fuse_flags = in.getattr_flags;
	a->handle = in.fh;
	a->flags = in.sx_flags;
	a->mask = in.sx_mask;
}

static void take_setattr(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			 struct vqsim_fs *fs)
{
	(void)fs;
	PEEK(slot, slot->set);
	a->set = &slot->set;
}

static void take_symlink(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			 struct vqsim_fs *fs)
{
	size_t at = 0;

	(void)fs;
	a->name = text(slot, &at);
	a->target = text(slot, &at);
}

static void take_mknod(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		       struct vqsim_fs *fs)
{
	struct fuse_mknod_in in;
	size_t at = sizeof(in);

	PEEK(slot, in);
	a->mode = in.mode;
	a->rdev = in.rdev;
	a->name = text(slot, &at);
	fs->umask = in.umask;
}

static void take_mkdir(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		       struct vqsim_fs *fs)
{
	struct fuse_mkdir_in in;
	size_t at = sizeof(in);

	PEEK(slot, in);
	a->mode = in.mode;
	a->name = text(slot, &at);
	fs->umask = in.umask;
}

static void take_create(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			struct vqsim_fs *fs)
{
	struct fuse_create_in in;
	size_t at = sizeof(in);

	PEEK(slot, in);
	a->flags = in.flags;
	a->mode = in.mode;
	a->fuse_flags = in.open_flags;
	if (a->opcode == FUSE_CREATE)
		a->name = text(slot, &at);
	fs->umask = in.umask;
}

static void take_rename(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			struct vqsim_fs *fs)
{
	struct fuse_rename2_in in;
	size_t at = a->opcode == FUSE_RENAME2 ? sizeof(in) : sizeof(struct fuse_rename_in);

	(void)fs;
	PEEK(slot, in);
	a->new_parent = in.newdir;
	a->flags = a->opcode == FUSE_RENAME2 ? in.flags : 0;
	a->name = text(slot, &at);
	a->new_name = text(slot, &at);
}

/* The header names the directory, and the arguments the file. */
static void take_link(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		      struct vqsim_fs *fs)
{
	struct fuse_link_in in;
	size_t at = sizeof(in);

	(void)fs;
	PEEK(slot, in);
	a->node = in.oldnodeid;
	a->new_parent = slot->header.nodeid;
	a->new_name = text(slot, &at);
}

static void take_open(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		      struct vqsim_fs *fs)
{
	struct fuse_open_in in;

	(void)fs;
	PEEK(slot, in);
	a->flags = in.flags;
	a->fuse_flags = in.open_flags;
}

static void take_release(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			 struct vqsim_fs *fs)
{
	struct fuse_release_in in;

	(void)fs;
	PEEK(slot, in);
	a->handle = in.fh;
	a->flags = in.flags;
	a->fuse_flags = in.release_flags;
	a->lock_owner = in.lock_owner;
}

static void take_flush(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		       struct vqsim_fs *fs)
{
	struct fuse_flush_in in;

	(void)fs;
	PEEK(slot, in);
	a->handle = in.fh;
	a->lock_owner = in.lock_owner;
}

static void take_fsync(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		       struct vqsim_fs *fs)
{
	struct fuse_fsync_in in;

	(void)fs;
	PEEK(slot, in);
	a->handle = in.fh;
	a->fuse_flags = in.fsync_flags;
}

/* READ and its kin, and WRITE, which begins alike. */
static void take_bytes(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		       struct vqsim_fs *fs)
{
	struct fuse_read_in in;

	(void)fs;
	PEEK(slot, in);
	a->handle = in.fh;
	a->offset = in.offset;
	a->size = in.size;
	a->fuse_flags = in.read_flags;
	a->lock_owner = in.lock_owner;
	a->flags = in.flags;
	if (a->opcode == FUSE_WRITE && room_of(slot) < sizeof(in) + a->size)
		a->size = 0;
}

static void take_setxattr(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			  struct vqsim_fs *fs)
{
	struct fuse_setxattr_in in;
	size_t at = fs->flags & FUSE_SETXATTR_EXT ? sizeof(in) : FUSE_COMPAT_SETXATTR_IN_SIZE;

	PEEK(slot, in);
	a->flags = in.flags;
	a->name = text(slot, &at);
	a->size = room_of(slot) >= at + in.size ? in.size : 0;
}

static void take_getxattr(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			  struct vqsim_fs *fs)
{
	struct fuse_getxattr_in in;
	size_t at = sizeof(in);

	(void)fs;
	PEEK(slot, in);
	a->size = in.size;
	if (a->opcode == FUSE_GETXATTR)
		a->name = text(slot, &at);
}

static void take_lock(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		      struct vqsim_fs *fs)
{
	struct fuse_lk_in in;

	(void)fs;
	PEEK(slot, in);
	a->handle = in.fh;
	a->lock_owner = in.owner;
	a->lock = in.lk;
	a->fuse_flags = in.lk_flags;
}

static void take_access(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			struct vqsim_fs *fs)
{
	struct fuse_access_in in;

	(void)fs;
	PEEK(slot, in);
	a->mask = in.mask;
}

static void take_fallocate(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			   struct vqsim_fs *fs)
{
	struct fuse_fallocate_in in;

	(void)fs;
	PEEK(slot, in);
	a->handle = in.fh;
	a->offset = in.offset;
	a->size = in.length;
	a->flags = in.mode;
}

static void take_lseek(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		       struct vqsim_fs *fs)
{
	struct fuse_lseek_in in;

	(void)fs;
	PEEK(slot, in);
	a->handle = in.fh;
	a->offset = in.offset;
	a->whence = in.whence;
}

static void take_copy(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		      struct vqsim_fs *fs)
{
	struct fuse_copy_file_range_in in;

	(void)fs;
	PEEK(slot, in);
	a->handle = in.fh_in;
	a->offset = in.off_in;
	a->target_node = in.nodeid_out;
	a->target_handle = in.fh_out;
	a->target_offset = in.off_out;
	a->size = in.len;
	a->flags = (uint32_t)in.flags;
}

static void take_forget(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			struct vqsim_fs *fs)
{
	struct fuse_forget_in in;

	(void)fs;
	PEEK(slot, in);
	a->count = in.nlookup;
}

static void take_batch(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		       struct vqsim_fs *fs)
{
	struct fuse_batch_forget_in in;
	size_t room = room_of(slot);

	(void)fs;
	PEEK(slot, in);
	a->forgets = (const void *)(slot->request.in + FS_IN_HEADER + sizeof(in));
	if (room >= sizeof(in) && in.count <= (room - sizeof(in)) / sizeof(*a->forgets))
		a->count = in.count;
}

static void take_init(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
		      struct vqsim_fs *fs)
{
	(void)fs;
	PEEK(slot, slot->init);
	a->init = &slot->init;
}

static void take_readlink(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *a,
			  struct vqsim_fs *fs)
{
	(void)slot;
	(void)fs;
	a->size = LINK_ROOM;
}

static take *const takers[] = {
	[FUSE_LOOKUP] = take_name,
	[FUSE_FORGET] = take_forget,
	[FUSE_GETATTR] = take_getattr,
	[FUSE_SETATTR] = take_setattr,
	[FUSE_READLINK] = take_readlink,
	[FUSE_SYMLINK] = take_symlink,
	[FUSE_MKNOD] = take_mknod,
	[FUSE_MKDIR] = take_mkdir,
	[FUSE_UNLINK] = take_name,
	[FUSE_RMDIR] = take_name,
	[FUSE_RENAME] = take_rename,
	[FUSE_LINK] = take_link,
	[FUSE_OPEN] = take_open,
	[FUSE_READ] = take_bytes,
	[FUSE_WRITE] = take_bytes,
	[FUSE_RELEASE] = take_release,
	[FUSE_FSYNC] = take_fsync,
	[FUSE_SETXATTR] = take_setxattr,
	[FUSE_GETXATTR] = take_getxattr,
	[FUSE_LISTXATTR] = take_getxattr,
	[FUSE_REMOVEXATTR] = take_name,
	[FUSE_FLUSH] = take_flush,
	[FUSE_INIT] = take_init,
	[FUSE_OPENDIR] = take_open,
	[FUSE_READDIR] = take_bytes,
	[FUSE_RELEASEDIR] = take_release,
	[FUSE_FSYNCDIR] = take_fsync,
	[FUSE_GETLK] = take_lock,
	[FUSE_SETLK] = take_lock,
	[FUSE_SETLKW] = take_lock,
	[FUSE_ACCESS] = take_access,
	[FUSE_CREATE] = take_create,
	[FUSE_BATCH_FORGET] = take_batch,
	[FUSE_FALLOCATE] = take_fallocate,
	[FUSE_READDIRPLUS] = take_bytes,
	[FUSE_RENAME2] = take_rename,
	[FUSE_LSEEK] = take_lseek,
	[FUSE_COPY_FILE_RANGE] = take_copy,
	[FUSE_TMPFILE] = take_create,
	[FUSE_STATX] = take_statx,
	[FUSE_COPY_FILE_RANGE_64] = take_copy,
};

void fuse_bridge_args(struct vqsim_fs *fs, struct vqsim_fuse_bridge_slot *slot,
		      struct vqsim_fs_args *args)
{
	uint32_t opcode = slot->header.opcode;

	*args = (struct vqsim_fs_args){.opcode = opcode, .node = slot->header.nodeid};
	fs->uid = slot->header.uid;
	fs->gid = slot->header.gid;
	fs->umask = 0;
	if (opcode < sizeof(takers) / sizeof(takers[0]) && takers[opcode])
		takers[opcode](slot, args, fs);
	else if (fs_reply_of(opcode) == FS_REPLY_UNKNOWN)
		args->size = UNKNOWN_ROOM;
}
