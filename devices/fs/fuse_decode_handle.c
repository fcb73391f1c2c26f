/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arguments into calls: what is about handles and data.
 *
 * Flags of open, fallocate, rename and the like travel as the numbers of the guest's
 * Linux. They are taken for those of the host: O_DIRECTORY, O_NOFOLLOW, O_DIRECT and
 * O_LARGEFILE differ between architectures, and no message says which one the guest has.
 * Of open flags, those that mean nothing to a tree are dropped.
 */
#define _GNU_SOURCE /* O_DIRECT, O_NOATIME, SEEK_DATA */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuse_internal.h"

#define HEADER_SIZE sizeof(struct fuse_out_header)
#define PERMISSIONS 07777u

#define OPEN_FLAGS                                                                               \
	(O_ACCMODE | O_APPEND | O_TRUNC | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT | O_NOATIME | \
	 O_DIRECTORY)

#define FALLOCATE_MODES                                                          \
	(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | \
	 FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE)

/* Handles */

static int decode_open(struct fs_call *call, uint32_t flags, uint32_t more, uint32_t fuse_flags)
{
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	call->open_flags = flags & (OPEN_FLAGS | more);
	call->flags = fuse_flags & FUSE_OPEN_KILL_SUIDGID ? FS_KILL_PRIV : 0;
	return 0;
}

FUSE_DECODER(open)
{
	return decode_open(&message->call, args->open.flags, 0, args->open.open_flags);
}

FUSE_DECODER(create)
{
	const struct fuse_create_in *in = &args->create;
	int error = decode_open(&message->call, in->flags, O_CREAT | O_EXCL, in->open_flags);

	message->call.open_flags |= O_CREAT;
	if (error)
		return error;
	return fuse_decode_new(message, S_IFREG | (in->mode & PERMISSIONS), in->umask);
}

/* Linux sends "/" for a name. */
FUSE_DECODER(tmpfile)
{
	const struct fuse_create_in *in = &args->create;
	struct fs_call *call = &message->call;
	const char *ignored;
	int error = decode_open(call, in->flags, O_EXCL, in->open_flags);

	if (!error)
		error = fuse_take_text(message, FS_NAME_MAX, &ignored);
	if (error && error != -ENOENT)
		return error;
	call->mode = S_IFREG | (in->mode & PERMISSIONS);
	call->umask = in->umask & PERMISSIONS;
	return fuse_take_extensions(message);
}

FUSE_DECODER(release)
{
	struct fs_call *call = &message->call;

	call->handle = args->release.fh;
	call->open_flags = args->release.flags & OPEN_FLAGS;
	call->lock_owner = args->release.lock_owner;
	call->flags = args->release.release_flags & FUSE_RELEASE_FLOCK_UNLOCK ? FS_FLOCK_UNLOCK : 0;
	return 0;
}

FUSE_DECODER(flush)
{
	message->call.handle = args->flush.fh;
	message->call.lock_owner = args->flush.lock_owner;
	return 0;
}

FUSE_DECODER(fsync)
{
	message->call.handle = args->fsync.fh;
	message->call.flags = args->fsync.fsync_flags & FUSE_FSYNC_FDATASYNC ? FS_DATASYNC : 0;
	return 0;
}

/* Data */

/* Fewer bytes than were asked for would say that the file ends, so there must be room for all. */
FUSE_DECODER(read)
{
	const struct fuse_read_in *in = &args->read;
	struct fs_call *call = &message->call;
	uint64_t size = in->size;

	if (in->offset > FUSE_OFFSET_MAX || size > message->request->out.size - HEADER_SIZE)
		return -EINVAL;
	if (size > FUSE_OFFSET_MAX - in->offset)
		size = FUSE_OFFSET_MAX - in->offset;
	call->handle = in->fh;
	call->offset = in->offset;
	call->open_flags = in->flags & OPEN_FLAGS;
	call->lock_owner = in->read_flags & FUSE_READ_LOCKOWNER ? in->lock_owner : 0;
	call->flags = 0;
	fuse_give_room(message, size);
	return 0;
}

FUSE_DECODER(write)
{
	const struct fuse_write_in *in = &args->write;
	struct fs_call *call = &message->call;

	if (in->size != message->in.size)
		return -EINVAL;
	if (in->offset > FUSE_OFFSET_MAX || in->size > FUSE_OFFSET_MAX - in->offset)
		return -EFBIG;
	call->handle = in->fh;
	call->offset = in->offset;
	call->open_flags = in->flags & OPEN_FLAGS;
	call->lock_owner = in->write_flags & FUSE_WRITE_LOCKOWNER ? in->lock_owner : 0;
	call->flags = (in->write_flags & FUSE_WRITE_CACHE ? FS_WRITE_CACHE : 0) |
		      (in->write_flags & FUSE_WRITE_KILL_SUIDGID ? FS_KILL_PRIV : 0);
	call->data = message->in;
	call->size = in->size;
	message->in.size = 0;
	return 0;
}

FUSE_DECODER(readdir)
{
	struct fs_call *call = &message->call;

	if (args->read.offset > FUSE_OFFSET_MAX)
		return -EINVAL;
	call->handle = args->read.fh;
	call->offset = args->read.offset;
	call->open_flags = args->read.flags & OPEN_FLAGS;
	call->flags = 0;
	fuse_give_room(message, args->read.size);
	message->dirents = call->size;
	message->refused = false;
	return 0;
}

/* The rest */

FUSE_DECODER(lock)
{
	const struct fuse_lk_in *in = &args->lk;
	struct fs_call *call = &message->call;

	if (in->lk.type != F_RDLCK && in->lk.type != F_WRLCK && in->lk.type != F_UNLCK)
		return -EINVAL;
	if (in->lk.start > in->lk.end || in->lk.end > FUSE_OFFSET_MAX)
		return -EINVAL;
	call->handle = in->fh;
	call->lock_owner = in->owner;
	call->lock = (struct fs_lock){in->lk.start, in->lk.end, in->lk.type, in->lk.pid};
	call->flags = (in->lk_flags & FUSE_LK_FLOCK ? FS_FLOCK : 0) |
		      (call->op == FUSE_SETLKW ? FS_LOCK_WAIT : 0);
	return 0;
}

FUSE_DECODER(fallocate)
{
	const struct fuse_fallocate_in *in = &args->fallocate;
	struct fs_call *call = &message->call;

	if (in->mode & ~(uint32_t)FALLOCATE_MODES)
		return -EOPNOTSUPP;
	if (in->length == 0)
		return -EINVAL;
	if (in->offset > FUSE_OFFSET_MAX || in->length > FUSE_OFFSET_MAX - in->offset)
		return -EFBIG;
	call->handle = in->fh;
	call->offset = in->offset;
	call->size = in->length;
	call->fallocate_mode = in->mode;
	return 0;
}

FUSE_DECODER(lseek)
{
	struct fs_call *call = &message->call;

	if (args->lseek.whence != SEEK_DATA && args->lseek.whence != SEEK_HOLE)
		return -EINVAL;
	if (args->lseek.offset > FUSE_OFFSET_MAX)
		return -ENXIO;
	call->handle = args->lseek.fh;
	call->offset = args->lseek.offset;
	call->whence = args->lseek.whence;
	return 0;
}

/* The older reply counts in 32 bits: no more is copied in one go than it can tell. */
FUSE_DECODER(copy_file_range)
{
	const struct fuse_copy_file_range_in *in = &args->copy;
	struct fs_call *call = &message->call;

	if (in->flags != 0 || in->off_in > FUSE_OFFSET_MAX || in->off_out > FUSE_OFFSET_MAX)
		return -EINVAL;
	call->size = in->len;
	if (call->op == FUSE_COPY_FILE_RANGE && call->size > UINT32_MAX)
		call->size = UINT32_MAX;
	if (call->size > FUSE_OFFSET_MAX - in->off_in || call->size > FUSE_OFFSET_MAX - in->off_out)
		return -EOVERFLOW;
	call->handle = in->fh_in;
	call->offset = in->off_in;
	call->target_node = in->nodeid_out;
	call->target_handle = in->fh_out;
	call->target_offset = in->off_out;
	return 0;
}
