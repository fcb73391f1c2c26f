/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* unshare */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "dir_share.h"

#define NOBODY 65534u

/* What a large share may take: a page for each of very many files. */
#define ROOM (UINT64_C(1) << 30)

#define LISTED (uint32_t)(IN_ISDIR | IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)

static bool can_mount;

void share_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

int share_watch(const char *path)
{
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	assert_true(watch >= 0);
	assert_true(inotify_add_watch(watch, path, IN_ALL_EVENTS) >= 0);
	return watch;
}

uint32_t share_seen(int watch)
{
	_Alignas(struct inotify_event) char events[4096];
	uint32_t seen = 0;
	ssize_t size;

	while ((size = read(watch, events, sizeof(events))) > 0) {
		const char *at = events;

		while (at < events + size) {
			const struct inotify_event *event = (const void *)at;

			/* Others of this machine may list the directory. */
			if (!(event->mask & IN_ISDIR) || (event->mask & ~LISTED))
				seen |= event->mask;
			at += sizeof(*event) + event->len;
		}
	}
	return seen;
}

static void begin_below(struct dir_share *share, const char *base)
{
	memset(share, 0, sizeof(*share));
	share->client.uid = geteuid();
	share->client.gid = getegid();
	assert_non_null(getcwd(share->was, sizeof(share->was)));
	snprintf(share->top, sizeof(share->top), "%s/dir_share.XXXXXX", base);
	assert_non_null(mkdtemp(share->top));
	assert_int_equal(chmod(share->top, 0755), 0);
	assert_int_equal(chdir(share->top), 0);
	assert_int_equal(mkdir("share", 0755), 0);
	assert_int_equal(mkdir("outside", 0755), 0);
	share_write("outside/canary", "canary");
	assert_int_equal(stat("outside/canary", &share->before), 0);
	share->watch = share_watch("outside");
	assert_true(inotify_add_watch(share->watch, "outside/canary", IN_ALL_EVENTS) >= 0);
}

void share_begin(struct dir_share *share)
{
	const char *tmp = getenv("TMPDIR");

	begin_below(share, tmp != NULL ? tmp : "/tmp");
}

/* In a container /dev/shm is often of 64 MiB. */
static bool has_room(const char *path)
{
	struct statvfs fs;

	return access(path, W_OK) == 0 && statvfs(path, &fs) == 0 &&
	       (uint64_t)fs.f_bavail * fs.f_frsize >= ROOM;
}

void share_begin_large(struct dir_share *share)
{
	if (has_room("/dev/shm"))
		begin_below(share, "/dev/shm");
	else
		share_begin(share);
}

void share_serve(struct dir_share *share, const struct fs_tree_dir_options *options)
{
	if (share->client.tree != NULL)
		share->client.tree->ops->destroy(share->client.tree);
	assert_int_equal(fs_tree_dir_create(&share->client.tree, "share", options), 0);
}

void share_check_canary(struct dir_share *share)
{
	struct stat now;

	assert_int_equal(share_seen(share->watch), 0);
	assert_int_equal(stat("outside/canary", &now), 0);
	assert_int_equal(now.st_mode, share->before.st_mode);
	assert_int_equal(now.st_size, share->before.st_size);
	assert_int_equal(now.st_nlink, share->before.st_nlink);
	assert_memory_equal(&now.st_atim, &share->before.st_atim, sizeof(now.st_atim));
	assert_memory_equal(&now.st_mtim, &share->before.st_mtim, sizeof(now.st_mtim));
	assert_memory_equal(&now.st_ctim, &share->before.st_ctim, sizeof(now.st_ctim));
}

static int remove_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void share_end(struct dir_share *share)
{
	if (share->client.tree != NULL)
		share->client.tree->ops->destroy(share->client.tree);
	share_check_canary(share);
	close(share->watch);
	assert_int_equal(chdir(share->was), 0);
	assert_int_equal(nftw(share->top, remove_file, 16, FTW_PHYS | FTW_DEPTH), 0);
}

unsigned share_fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count - 3; /* dots, and the one that looks */
}

void share_need_mounts(void)
{
	if (!can_mount)
		skip();
}

void share_need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static int run_as_nobody(const char *name, const struct CMUnitTest *tests, size_t count)
{
	char group[64];

	snprintf(group, sizeof(group), "%s as an ordinary user", name);
	can_mount = false;
	/* The way to where root began may be closed to him, who has to come back there. */
	if (chdir("/") != 0 || setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0)
		return 1;
	return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}

int share_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	bool root = geteuid() == 0;
	int failed;

	if (root && unshare(CLONE_NEWNS) == 0)
		can_mount = mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;
	failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
	return root ? failed + run_as_nobody(name, tests, count) : failed;
}
