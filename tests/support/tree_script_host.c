/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* renameat2, O_TMPFILE, AT_EACCESS */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tree_script.h"

static char bytes[70000];

static int64_t result(int64_t value)
{
	return value < 0 ? -errno : value;
}

/* What was done with a descriptor, which is closed. */
static int64_t done(int fd, int64_t value)
{
	int64_t r = result(value);

	if (fd >= 0)
		close(fd);
	return r;
}

static int64_t host_open(const char *path, uint32_t flags, uint32_t mode)
{
	int fd = open(path, (int)flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode);

	return done(fd, fd < 0 ? -1 : 0);
}

static int64_t host_write(const struct script_step *step)
{
	int fd = open(step->path, (int)(O_WRONLY | O_NOFOLLOW | step->x));

	return done(fd, fd < 0 ? -1 : write(fd, bytes, step->y) < 0 ? -1 : 0);
}

static int64_t host_ftruncate(const struct script_step *step)
{
	int fd = open(step->path, (int)(O_NOFOLLOW | step->y));

	return done(fd, fd < 0 ? -1 : ftruncate(fd, step->x));
}

static int64_t host_tmpfile(const struct script_step *step)
{
	int fd = open(step->path, (int)(O_TMPFILE | step->x), step->y);

	return done(fd, fd < 0 ? -1 : linkat(fd, "", AT_FDCWD, step->other, AT_EMPTY_PATH));
}

static struct timespec time_of(uint32_t value)
{
	if (value == NOW)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (value == KEEP)
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	return (struct timespec){.tv_sec = value};
}

static int64_t host_utimes(const struct script_step *step)
{
	const struct timespec times[] = {time_of(step->x), time_of(step->y)};

	return result(utimensat(AT_FDCWD, step->path, times, AT_SYMLINK_NOFOLLOW));
}

static int64_t host_name(const struct script_step *step)
{
	switch (step->what) {
	case MKDIR:
		return result(mkdir(step->path, step->x));
	case RMDIR:
		return result(rmdir(step->path));
	case MKNOD:
		return result(mknod(step->path, step->x, step->y));
	case SYMLINK:
		return result(symlink(step->other, step->path));
	case LINK:
		return result(linkat(AT_FDCWD, step->path, AT_FDCWD, step->other, 0));
	case UNLINK:
		return result(unlink(step->path));
	default:
		return result(renameat2(AT_FDCWD, step->path, AT_FDCWD, step->other, step->x));
	}
}

static int64_t host_attr(const struct script_step *step)
{
	struct stat st;

	switch (step->what) {
	case CHMOD:
		return result(chmod(step->path, step->x));
	case CHOWN:
		return result(lchown(step->path, step->x, step->y));
	case TRUNCATE:
		return result(truncate(step->path, step->x));
	case ACCESS:
		return result(faccessat(AT_FDCWD, step->path, (int)step->x,
					AT_EACCESS | AT_SYMLINK_NOFOLLOW));
	case SETXATTR:
		return result(lsetxattr(step->path, step->other, bytes, step->y, (int)step->x));
	case GETXATTR:
		return result(lgetxattr(step->path, step->other, bytes, step->x));
	case LISTXATTR:
		return result(llistxattr(step->path, bytes, step->x));
	case REMOVEXATTR:
		return result(lremovexattr(step->path, step->other));
	case READLINK:
		return result(readlink(step->path, bytes, sizeof(bytes)));
	default:
		return result(lstat(step->path, &st));
	}
}

static int64_t run(const struct script_step *step)
{
	switch (step->what) {
	case MKDIR ... RMDIR:
	case MKNOD ... RENAME:
		return host_name(step);
	case CREATE:
		return host_open(step->path, O_CREAT | step->x, step->y);
	case OPEN:
		return host_open(step->path, step->x, 0);
	case OPENDIR:
		return host_open(step->path, O_DIRECTORY, 0);
	case FTRUNCATE:
		return host_ftruncate(step);
	case WRITE:
		return host_write(step);
	case UTIMES:
		return host_utimes(step);
	case TMPFILE:
		return host_tmpfile(step);
	default:
		return host_attr(step);
	}
}

static void become(uint32_t uid, uint32_t gid, size_t group_count, const gid_t *groups)
{
	assert_int_equal(setgroups(group_count, groups), 0);
	assert_int_equal(setegid(gid), 0);
	assert_int_equal(seteuid(uid), 0);
}

int64_t script_step_on_host(const struct script_step *step)
{
	static const struct {
		uint32_t uid, gid;
		size_t group_count;
	} people[] = {
		{0, 0, 0}, {ANN_UID, ANN_GID, 1}, {BOB_UID, BOB_GID, 0}, {CAT_UID, ANN_GID, 0}};
	const gid_t group = 50;
	int64_t r;

	become(people[step->who].uid, people[step->who].gid, people[step->who].group_count, &group);
	r = run(step);
	assert_int_equal(seteuid(0), 0);
	become(0, 0, 0, NULL);
	return r;
}
