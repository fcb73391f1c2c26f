/* SPDX-License-Identifier: BSD-3-Clause */
/* Arguments into calls: what is about nodes and names. */
#define _GNU_SOURCE /* RENAME_* */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fuse_internal.h"

#define HEADER_SIZE sizeof(struct fuse_out_header)
#define PERMISSIONS 07777u
#define NSEC_PER_S  1000000000u

/* The window behind the header of the reply: size bytes, or what there is. */
void fuse_give_room(struct fuse_message *message, uint64_t size)
{
	const struct iov_window *out = &message->request->out;
	uint64_t room = out->size - HEADER_SIZE;

	if (size > room)
		size = room;
	if (size > UINT32_MAX - HEADER_SIZE) /* what a header can tell */
		size = UINT32_MAX - HEADER_SIZE;
	message->call.data = iov_window_part(out, HEADER_SIZE, size);
	message->call.size = size;
}

FUSE_DECODER(nothing)
{
	(void)message;
	(void)args;
	return 0;
}

FUSE_DECODER(name)
{
	(void)args;
	return fuse_take_name(message, false, &message->call.name);
}

FUSE_DECODER(lookup)
{
	(void)args;
	return fuse_take_name(message, fuse_negotiated(message, FUSE_EXPORT_SUPPORT),
			      &message->call.name);
}

/* Attributes */

FUSE_DECODER(getattr)
{
	message->call.handle = args->getattr.fh;
	message->call.flags = args->getattr.getattr_flags & FUSE_GETATTR_FH ? FS_HAS_HANDLE : 0;
	return 0;
}

FUSE_DECODER(statx)
{
	struct fs_call *call = &message->call;

	call->handle = args->statx.fh;
	call->flags = args->statx.getattr_flags & FUSE_GETATTR_FH ? FS_HAS_HANDLE : 0;
	call->statx_mask = args->statx.sx_mask;
	call->statx_flags = args->statx.sx_flags;
	return 0;
}

static const struct {
	uint32_t wire, set;
} setattr_bits[] = {
	{FATTR_MODE, FS_SET_MODE},
	{FATTR_UID, FS_SET_UID},
	{FATTR_GID, FS_SET_GID},
	{FATTR_SIZE, FS_SET_SIZE},
	{FATTR_ATIME, FS_SET_ATIME},
	{FATTR_MTIME, FS_SET_MTIME},
	{FATTR_ATIME_NOW, FS_SET_ATIME_NOW},
	{FATTR_MTIME_NOW, FS_SET_MTIME_NOW},
	{FATTR_CTIME, FS_SET_CTIME},
	{FATTR_KILL_SUIDGID, FS_SET_KILL_PRIV},
	{FATTR_FH, 0},
	{FATTR_LOCKOWNER, 0},
};

/* What is not known could be a change that the guest counts on: it is refused. */
static int setattr_set(uint32_t valid, uint32_t *set)
{
	*set = 0;
	for (size_t i = 0; i < sizeof(setattr_bits) / sizeof(setattr_bits[0]); i++) {
		if (valid & setattr_bits[i].wire)
			*set |= setattr_bits[i].set;
		valid &= ~setattr_bits[i].wire;
	}
	/* Guests set both bits for "now". */
	if (*set & FS_SET_ATIME_NOW)
		*set &= ~(uint32_t)FS_SET_ATIME;
	if (*set & FS_SET_MTIME_NOW)
		*set &= ~(uint32_t)FS_SET_MTIME;
	return valid == 0 ? 0 : -EINVAL;
}

static struct statx_timestamp timestamp(uint64_t seconds, uint32_t nsec)
{
	return (struct statx_timestamp){.tv_sec = (int64_t)seconds, .tv_nsec = nsec};
}

FUSE_DECODER(setattr)
{
	const struct fuse_setattr_in *in = &args->setattr;
	struct fs_call *call = &message->call;
	int error = setattr_set(in->valid, &call->set);

	if (error)
		return error;
	if (((call->set & FS_SET_ATIME) && in->atimensec >= NSEC_PER_S) ||
	    ((call->set & FS_SET_MTIME) && in->mtimensec >= NSEC_PER_S) ||
	    ((call->set & FS_SET_CTIME) && in->ctimensec >= NSEC_PER_S))
		return -EINVAL;
	if ((call->set & FS_SET_SIZE) && in->size > FUSE_OFFSET_MAX)
		return -EFBIG;
	call->handle = in->fh;
	call->flags = in->valid & FATTR_FH ? FS_HAS_HANDLE : 0;
	call->lock_owner = in->valid & FATTR_LOCKOWNER ? in->lock_owner : 0;
	call->attr = (struct statx){
		.stx_mode = (uint16_t)(in->mode & PERMISSIONS),
		.stx_uid = in->uid,
		.stx_gid = in->gid,
		.stx_size = in->size,
		.stx_atime = timestamp(in->atime, in->atimensec),
		.stx_mtime = timestamp(in->mtime, in->mtimensec),
		.stx_ctime = timestamp(in->ctime, in->ctimensec),
	};
	return 0;
}

/* Names */

FUSE_DECODER(symlink)
{
	struct fs_call *call = &message->call;
	int error = fuse_take_name(message, false, &call->name);

	(void)args;
	if (!error)
		error = fuse_take_text(message, FS_PATH_MAX, &call->target);
	call->mode = S_IFLNK | 0777;
	call->umask = 0;
	return error ? error : fuse_take_extensions(message);
}

int fuse_decode_new(struct fuse_message *message, uint32_t mode, uint32_t umask)
{
	struct fs_call *call = &message->call;
	int error = fuse_take_name(message, false, &call->name);

	call->mode = mode;
	call->umask = umask & PERMISSIONS;
	return error ? error : fuse_take_extensions(message);
}

FUSE_DECODER(mknod)
{
	const struct fuse_mknod_in *in = &args->mknod;
	uint32_t type = in->mode & S_IFMT ? in->mode & S_IFMT : S_IFREG;

	message->call.rdev_major = in->rdev >> 8 & 0xfff;
	message->call.rdev_minor = (in->rdev & 0xff) | (in->rdev >> 12 & 0xfff00);
	return fuse_decode_new(message, type | (in->mode & PERMISSIONS), in->umask);
}

FUSE_DECODER(mkdir)
{
	return fuse_decode_new(message, S_IFDIR | (args->mkdir.mode & PERMISSIONS),
			       args->mkdir.umask);
}

static int decode_rename(struct fuse_message *message, uint64_t new_parent, uint32_t flags)
{
	struct fs_call *call = &message->call;
	int error = fuse_take_name(message, false, &call->name);

	call->new_parent = new_parent;
	call->rename_flags = flags;
	return error ? error : fuse_take_name(message, false, &call->new_name);
}

FUSE_DECODER(rename)
{
	return decode_rename(message, args->rename.newdir, 0);
}

FUSE_DECODER(rename2)
{
	uint32_t flags = args->rename2.flags;

	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
		return -EINVAL;
	return decode_rename(message, args->rename2.newdir, flags);
}

/* The header names the directory here, and the arguments the file. */
FUSE_DECODER(link)
{
	struct fs_call *call = &message->call;

	call->new_parent = call->node;
	call->node = args->link.oldnodeid;
	return fuse_take_name(message, false, &call->new_name);
}

FUSE_DECODER(readlink)
{
	(void)args;
	fuse_give_room(message, FS_PATH_MAX);
	return 0;
}

/* Extended attributes */

FUSE_DECODER(setxattr)
{
	const struct fuse_setxattr_in *in = &args->setxattr;
	struct fs_call *call = &message->call;
	bool extended = fuse_negotiated(message, FUSE_SETXATTR_EXT);

	if (in->size > message->in.size || (in->flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)))
		return -EINVAL;
	if (in->size > FS_XATTR_MAX)
		return -E2BIG;
	call->xattr_flags = in->flags;
	call->flags = extended && (in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID)
			      ? FS_ACL_KILL_SGID
			      : 0;
	/* The value is behind the name: what the name must fill is known. */
	call->data = iov_window_part(&message->in, message->in.size - in->size, in->size);
	call->size = in->size;
	message->in.size -= in->size;
	return fuse_take_xattr_name(message, &call->name);
}

static int decode_xattr_size(struct fuse_message *message, uint32_t size)
{
	if (size == 0 &&
	    message->request->out.size < HEADER_SIZE + sizeof(struct fuse_getxattr_out))
		return -EIO;
	fuse_give_room(message, size < FS_XATTR_MAX ? size : FS_XATTR_MAX);
	/* No room for anything is not the question how large it is. */
	return size > 0 && message->call.size == 0 ? -ERANGE : 0;
}

FUSE_DECODER(getxattr)
{
	int error = decode_xattr_size(message, args->getxattr.size);

	return error ? error : fuse_take_xattr_name(message, &message->call.name);
}

FUSE_DECODER(listxattr)
{
	return decode_xattr_size(message, args->getxattr.size);
}

FUSE_DECODER(removexattr)
{
	(void)args;
	return fuse_take_xattr_name(message, &message->call.name);
}

FUSE_DECODER(access)
{
	message->call.access = args->access.mask;
	return args->access.mask & ~(uint32_t)(R_OK | W_OK | X_OK) ? -EINVAL : 0;
}
