/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "fs_scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "round.h"

#define CANARY "alive"

static char base[PATH_MAX - 16];
static char share[PATH_MAX];
static struct stat canary;
static pid_t owner; /* a child that exits leaves the directory alone */

static void must(const char *what, bool done)
{
	fuzz_must(what, done ? 0 : -errno);
}

/* Everything in the directory fd, which is closed. An ordinary user may have locked himself out. */
static void empty(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	must("scratch: fdopendir", dir);
	while ((entry = readdir(dir)) != NULL) {
		int below;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) == 0)
			continue;
		fchmodat(fd, entry->d_name, 0700, 0);
		below = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		must(entry->d_name, below >= 0);
		empty(below);
		must(entry->d_name, unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0);
	}
	closedir(dir);
}

/* What is at path, if there is anything. */
static void remove_tree(const char *path)
{
	int fd;

	chmod(path, 0700);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		return;
	empty(fd);
	must("scratch: rmdir", rmdir(path) == 0);
}

static void leave(void)
{
	if (getpid() == owner)
		remove_tree(base);
}

static int canary_open(int flags)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/canary", base);
	fd = open(path, flags, 0600);
	must("scratch: canary", fd >= 0);
	return fd;
}

void fuzz_scratch_make(void)
{
	const char *root = getenv("TMPDIR");
	int fd;

	/* A disk is waited for, and there is nothing to be learned from that. */
	if (!root || !*root)
		root = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(base, sizeof(base), "%s/vqsim-fuzz-XXXXXX", root);
	must("scratch: mkdtemp", mkdtemp(base));
	snprintf(share, sizeof(share), "%s/share", base);
	owner = getpid();
	atexit(leave);
	fd = canary_open(O_WRONLY | O_CREAT | O_EXCL);
	must("scratch: write", write(fd, CANARY, sizeof(CANARY)) == sizeof(CANARY));
	must("scratch: fstat", fstat(fd, &canary) == 0);
	close(fd);
}

const char *fuzz_scratch_renew(void)
{
	remove_tree(share);
	must("scratch: mkdir", mkdir(share, 0755) == 0);
	return share;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* That it was read shows in the time of access, which nobody here changes. */
bool fuzz_scratch_canary_intact(void)
{
	char path[PATH_MAX];
	struct stat now;

	snprintf(path, sizeof(path), "%s/canary", base);
	return lstat(path, &now) == 0 && now.st_ino == canary.st_ino &&
	       now.st_size == canary.st_size && now.st_mode == canary.st_mode &&
	       now.st_uid == canary.st_uid && now.st_gid == canary.st_gid &&
	       now.st_nlink == canary.st_nlink && same_time(&now.st_atim, &canary.st_atim) &&
	       same_time(&now.st_mtim, &canary.st_mtim) && same_time(&now.st_ctim, &canary.st_ctim);
}

int fuzz_scratch_free_fd(void)
{
	int fd = dup(STDERR_FILENO);

	must("scratch: dup", fd >= 0);
	close(fd);
	return fd;
}
