/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Confined opening: what no name, link or mount below the shared directory can lead out of.
 * Without openat2 paths are walked component by component, and nothing but O_PATH
 * descriptors are opened by name, so that a file which was mounted over another one is seen
 * (dir_statx) before it is opened.
 */
#define _GNU_SOURCE /* statx, O_PATH */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "dir_internal.h"

#define RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)

#define NSEC_PER_S UINT64_C(1000000000)

/* openat2 gives up when something is renamed meanwhile; so often is enough for any innocent one. */
#define TRIES 32

int dir_statx(const struct dir *dir, int fd, const char *name, struct statx *sx)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name == '\0' ? AT_EMPTY_PATH : 0);

	if (statx(fd, name, flags, DIR_STATX_MASK, sx) < 0)
		return -errno;
	if ((sx->stx_mask & STATX_MNT_ID) && sx->stx_mnt_id != dir->mount_id)
		return -EXDEV;
	return 0;
}

/*
 * The birth time tells an inode from the one that had its number before. On an overlay a file of a
 * lower layer gets another one when it is written first, but not those that were born since the
 * tree began: they are in the upper layer.
 */
struct dir_ident dir_ident_of(const struct dir *dir, const struct statx *sx)
{
	struct dir_ident ident = {
		.ino = sx->stx_ino,
		.dev = (uint32_t)sx->stx_dev_major << 20 | sx->stx_dev_minor,
		.type = sx->stx_mode & S_IFMT,
	};

	if (sx->stx_mask & STATX_BTIME)
		ident.btime = (uint64_t)sx->stx_btime.tv_sec * NSEC_PER_S + sx->stx_btime.tv_nsec;
	if (ident.btime < dir->overlay_since)
		ident.btime = 0;
	return ident;
}

bool dir_same(const struct dir_ident *known, const struct dir_ident *seen)
{
	uint64_t btime = __atomic_load_n(&known->btime, __ATOMIC_RELAXED);

	return known->ino == seen->ino && known->dev == seen->dev && known->type == seen->type &&
	       (btime == 0 || btime == seen->btime);
}

static int open_confined(int fd, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE};
	int result;

	for (unsigned i = 0; i < TRIES; i++) {
		result = (int)syscall(SYS_openat2, fd, path, &how, sizeof(how));
		if (result >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return result < 0 ? -errno : result;
}

int dir_open_contents(int parent, const char *name, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
					      O_CLOEXEC | O_LARGEFILE),
		.resolve = RESOLVE_NO_XDEV,
	};
	int result = (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));

	return result < 0 ? -errno : result;
}

int dir_open_name(int parent, const char *name)
{
	int result = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return result < 0 ? -errno : result;
}

/* A component alone: a link that came in its place is not followed but stops the walk (ENOTDIR). */
static int walk(int fd, const char *path)
{
	int at = fd;

	for (;;) {
		const char *slash = strchrnul(path, '/');
		char name[FS_NAME_MAX + 1];
		int next;

		memcpy(name, path, (size_t)(slash - path));
		name[slash - path] = '\0';
		next = dir_open_name(at, name);
		if (at != fd)
			close(at);
		if (next < 0 || *slash == '\0')
			return next;
		at = next;
		path = slash + 1;
	}
}

int dir_open_below(const struct dir *dir, int fd, const char *path)
{
	if (dir->has_openat2)
		return open_confined(fd, path);
	return walk(fd, path);
}

/* The digits of number, from *at on backwards. */
static char *put_number(char *at, unsigned number)
{
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	return at;
}

struct dir_proc_name dir_proc_name(int fd)
{
	struct dir_proc_name name;
	char digits[12], *end = digits + sizeof(digits) - 1;
	char *first = put_number(end, (unsigned)fd);

	*end = '\0';
	memcpy(name.path, first, (size_t)(end + 1 - first));
	return name;
}

struct dir_proc_name dir_proc_path(int fd)
{
	struct dir_proc_name name;

	snprintf(name.path, sizeof(name.path), "/proc/self/fd/%d", fd);
	return name;
}

int dir_reopen(const struct dir *dir, int fd, int flags)
{
	struct dir_proc_name name = dir_proc_name(fd);
	int result = openat(dir->proc_fd, name.path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return result < 0 ? -errno : result;
}
