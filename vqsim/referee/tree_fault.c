/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that are wrong whatever the files are: what a device tells of them that looks at the
 * message before the files. One that looks at the files first tells what it finds there, and
 * is right too.
 */
#define _GNU_SOURCE /* RENAME_*, SEEK_DATA */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tree_internal.h"

#define NSEC_PER_S 1000000000u

/* No file has a byte with this number. */
static bool is_behind_all(uint64_t offset, uint64_t size)
{
	return offset > MODEL_OFFSET_MAX || size > MODEL_OFFSET_MAX - offset;
}

/* --- names --- */

int model_fault_name(const struct model_step *s)
{
	return model_check_name(s->args->name, false);
}

int model_fault_lookup(const struct model_step *s)
{
	return model_check_name(s->args->name, s->tree->fs->flags & FUSE_EXPORT_SUPPORT);
}

int model_fault_new_name(const struct model_step *s)
{
	return model_check_name(s->args->new_name, false);
}

static int check_rename_flags(uint32_t flags)
{
	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
		return -EINVAL;
	return 0;
}

int model_fault_rename(const struct model_step *s)
{
	int error = 0;

	if (s->args->opcode == FUSE_RENAME2)
		error = check_rename_flags(s->args->flags);
	if (error == 0)
		error = model_fault_name(s);
	return error ? error : model_fault_new_name(s);
}

int model_fault_symlink(const struct model_step *s)
{
	int error = model_fault_name(s);

	if (error == 0 && s->args->target[0] == '\0')
		error = -ENOENT;
	if (error == 0 && strlen(s->args->target) >= PATH_MAX)
		error = -ENAMETOOLONG;
	return error;
}

int model_fault_mknod(const struct model_step *s)
{
	int error = model_fault_name(s);

	if (error)
		return error;
	switch (s->args->mode & S_IFMT) {
	case 0:
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		return 0;
	default:
		return S_ISDIR(s->args->mode) ? -EPERM : -EINVAL;
	}
}

/* --- attributes --- */

static bool is_long_second(uint32_t valid, uint32_t bit, uint32_t nsec)
{
	return (valid & bit) && nsec >= NSEC_PER_S;
}

static bool times_sane(const struct fuse_setattr_in *set)
{
	uint32_t valid = set->valid;

	/* Whoever means now may say nothing of the time. */
	if (valid & FATTR_ATIME_NOW)
		valid &= ~(uint32_t)FATTR_ATIME;
	if (valid & FATTR_MTIME_NOW)
		valid &= ~(uint32_t)FATTR_MTIME;
	return !is_long_second(valid, FATTR_ATIME, set->atimensec) &&
	       !is_long_second(valid, FATTR_MTIME, set->mtimensec) &&
	       !is_long_second(valid, FATTR_CTIME, set->ctimensec);
}

int model_fault_setattr(const struct model_step *s)
{
	const uint32_t known = FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME |
			       FATTR_MTIME | FATTR_FH | FATTR_ATIME_NOW | FATTR_MTIME_NOW |
			       FATTR_LOCKOWNER | FATTR_CTIME | FATTR_KILL_SUIDGID;
	const struct fuse_setattr_in *set = s->args->set;

	/* What is not known could be a change that the guest counts on. */
	if ((set->valid & ~known) || !times_sane(set))
		return -EINVAL;
	return (set->valid & FATTR_SIZE) && set->size > MODEL_OFFSET_MAX ? -EFBIG : 0;
}

int model_fault_access(const struct model_step *s)
{
	return s->args->mask & ~(uint32_t)(R_OK | W_OK | X_OK) ? -EINVAL : 0;
}

int model_fault_xattr(const struct model_step *s)
{
	size_t size = strlen(s->args->name);

	return size == 0 || size > XATTR_NAME_MAX ? -ERANGE : 0;
}

int model_fault_setxattr(const struct model_step *s)
{
	if (s->args->flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (s->args->size > XATTR_SIZE_MAX)
		return -E2BIG;
	return model_fault_xattr(s);
}

/* --- files --- */

/* Neither to read nor to write: no file is opened so. */
int model_fault_open(const struct model_step *s)
{
	return (s->args->flags & O_ACCMODE) == O_ACCMODE ? -EINVAL : 0;
}

int model_fault_create(const struct model_step *s)
{
	int error = model_fault_open(s);

	return error ? error : model_fault_name(s);
}

int model_fault_read(const struct model_step *s)
{
	return s->args->offset > MODEL_OFFSET_MAX ? -EINVAL : 0;
}

int model_fault_write(const struct model_step *s)
{
	return is_behind_all(s->args->offset, s->args->size) ? -EFBIG : 0;
}

int model_fault_fallocate(const struct model_step *s)
{
	const uint32_t known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE |
			       FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE;

	if (s->args->flags & ~known)
		return -EOPNOTSUPP;
	if (s->args->size == 0)
		return -EINVAL;
	return is_behind_all(s->args->offset, s->args->size) ? -EFBIG : 0;
}

int model_fault_lseek(const struct model_step *s)
{
	if (s->args->whence != SEEK_DATA && s->args->whence != SEEK_HOLE)
		return -EINVAL;
	return s->args->offset > MODEL_OFFSET_MAX ? -ENXIO : 0;
}

/* The older request tells in 32 bits how much was copied. */
int model_fault_copy(const struct model_step *s)
{
	uint64_t size = s->args->size;

	if (s->args->opcode == FUSE_COPY_FILE_RANGE && size > UINT32_MAX)
		size = UINT32_MAX;
	if (s->args->flags || s->args->offset > MODEL_OFFSET_MAX ||
	    s->args->target_offset > MODEL_OFFSET_MAX)
		return -EINVAL;
	return is_behind_all(s->args->offset, size) || is_behind_all(s->args->target_offset, size)
		       ? -EOVERFLOW
		       : 0;
}

int model_fault_lock(const struct model_step *s)
{
	const struct fuse_file_lock *lock = &s->args->lock;

	if (lock->type != F_RDLCK && lock->type != F_WRLCK && lock->type != F_UNLCK)
		return -EINVAL;
	return lock->start > lock->end || lock->end > MODEL_OFFSET_MAX ? -EINVAL : 0;
}
