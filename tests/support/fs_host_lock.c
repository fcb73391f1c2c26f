/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks of several owners by plain system calls of one process: each owner has open files of its
 * own for each inode, whose locks are theirs (F_OFD_SETLK) and end when the last of the files
 * that the steps know is closed.
 */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs_player.h"

#define LOCKERS (FS_FILES * FS_OWNERS)

static bool is_of(const struct fs_host_locker *locker, const struct stat *st)
{
	return locker->owner != 0 && locker->dev == st->st_dev && locker->ino == st->st_ino;
}

static int open_again(int fd)
{
	char path[40];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	assert_true(again >= 0);
	return again;
}

static struct fs_host_locker *locker_of(struct fs_host *h, int fd, uint64_t owner)
{
	struct fs_host_locker *empty = NULL;
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	for (unsigned i = 0; i < LOCKERS; i++) {
		if (is_of(&h->lockers[i], &st) && h->lockers[i].owner == owner)
			return &h->lockers[i];
		if (h->lockers[i].owner == 0)
			empty = &h->lockers[i];
	}
	assert_non_null(empty);
	*empty = (struct fs_host_locker){owner, st.st_dev, st.st_ino, open_again(fd),
					 open_again(fd)};
	return empty;
}

void fs_host_closing(struct fs_host *h, unsigned slot)
{
	struct stat st, other;

	if (h->files[slot] < 0 || fstat(h->files[slot], &st) != 0)
		return;
	for (unsigned i = 0; i < FS_FILES; i++)
		if (i != slot && h->files[i] >= 0 && fstat(h->files[i], &other) == 0 &&
		    st.st_dev == other.st_dev && st.st_ino == other.st_ino)
			return;
	for (unsigned i = 0; i < LOCKERS; i++) {
		if (!is_of(&h->lockers[i], &st))
			continue;
		close(h->lockers[i].posix);
		close(h->lockers[i].flock);
		h->lockers[i].owner = 0;
	}
}

static int64_t set_posix(int fd, const struct fs_step *s)
{
	struct flock lock = {.l_type = (short)s->mode,
			     .l_whence = SEEK_SET,
			     .l_start = (off_t)s->offset,
			     .l_len = (off_t)s->size};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static int64_t set_flock(int fd, uint32_t type)
{
	int operation = type == F_RDLCK ? LOCK_SH : type == F_WRLCK ? LOCK_EX : LOCK_UN;

	return flock(fd, operation | LOCK_NB) < 0 ? -errno : 0;
}

static void get_posix(int fd, const struct fs_step *s, struct fs_outcome *out)
{
	struct flock lock = {.l_type = (short)s->mode,
			     .l_whence = SEEK_SET,
			     .l_start = (off_t)s->offset,
			     .l_len = (off_t)s->size};

	/* Of nothing that would be in the way of what nobody wants. */
	out->done = s->mode != F_UNLCK;
	if (!out->done)
		return;
	out->value = fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : 0;
	out->hash = out->value == 0 && lock.l_type != F_UNLCK;
}

void fs_host_lock(struct fs_host *h, const struct fs_step *s, struct fs_outcome *out)
{
	const struct fs_step unlock = {.mode = F_UNLCK};
	struct fs_host_locker *locker;

	/* An ordinary user may not be allowed to open them again. */
	out->done = h->callers != NULL || s->what == DO_RELEASE;
	if (h->callers == NULL)
		return;
	locker = locker_of(h, h->files[s->b % FS_FILES], fs_step_owner(s));
	if (s->what == DO_RELEASE)
		set_flock(locker->flock, F_UNLCK);
	else if (s->what == DO_FLUSH)
		out->value = set_posix(locker->posix, &unlock);
	else if (s->what == DO_GETLK)
		get_posix(locker->posix, s, out);
	else if (s->what == DO_FLOCK || (s->what == DO_SETLKW && s->x % 2))
		out->value = set_flock(locker->flock, s->mode);
	else
		out->value = set_posix(locker->posix, s);
	/* It would have waited. */
	if (s->what == DO_SETLKW && out->value == -EAGAIN)
		out->value = -EINTR;
}
