/* SPDX-License-Identifier: BSD-3-Clause */
/* What is a guest's matter, and not that of a tree on a directory. */
#define _GNU_SOURCE /* AT_EMPTY_PATH */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fs_player.h"

bool fs_guest_refuses(const struct fs_step *step, int64_t value)
{
	bool handle = ((step->what == DO_READ || step->what == DO_WRITE) && step->size == 0) ||
		      step->what == DO_COPY;

	return value == -EACCES || value == -EPERM ||
	       (step->what == DO_FTRUNCATE && value == -EINVAL) || (handle && value == -EBADF) ||
	       (step->what == DO_LINK && value < 0);
}

bool fs_guest_says_of_sgid(const struct fs_host *h, const struct fs_step *s)
{
	const char *name = s->what == DO_CREATE ? fs_step_name(s->name) : "";
	struct stat st;
	int fd = h->nodes[s->a];

	if (s->what == DO_WRITE || s->what == DO_FTRUNCATE || s->what == DO_FALLOCATE)
		fd = h->files[s->b % FS_FILES];
	else if (s->what == DO_COPY)
		fd = h->files[s->a % FS_FILES];
	else if (s->what == DO_CHMOD)
		return s->mode & S_ISGID;
	else if (s->what != DO_TRUNCATE && s->what != DO_CHOWN && s->what != DO_OPEN &&
		 s->what != DO_CREATE)
		return false;
	return fd >= 0 && fstatat(fd, name, &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0 &&
	       (st.st_mode & (S_ISGID | S_IXGRP)) == S_ISGID;
}
