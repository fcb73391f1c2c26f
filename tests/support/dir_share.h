/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A shared directory for tests of the tree on a host directory, and what is beside it:
 *
 *	TOP/share            the tree
 *	TOP/outside/canary   nothing below outside may ever be opened, read or changed
 *
 * The host's side is paths relative to TOP, which is the working directory meanwhile.
 *
 * Threads: one; share_seen may be called while others run.
 */
#ifndef TESTS_SUPPORT_DIR_SHARE_H
#define TESTS_SUPPORT_DIR_SHARE_H

#include <limits.h>
#include <sys/stat.h>

#include "tree_client.h"

struct dir_share {
	struct tree_client client; /* user 0, or who runs the test */
	char top[PATH_MAX], was[PATH_MAX];
	int watch;          /* of outside and the canary */
	struct stat before; /* of the canary */
};

/* Directories and the canary, no tree. */
void share_begin(struct dir_share *share);

/* The same, in memory if the host has such a place: for many files. */
void share_begin_large(struct dir_share *share);

/* The tree on TOP/share; another one if there was one. */
void share_serve(struct dir_share *share, const struct fs_tree_dir_options *options);

/* Fails if the canary was touched; removes everything. */
void share_end(struct dir_share *share);

/* What inotify saw of a path since watch began: a mask. That a directory was listed does not count. */
int share_watch(const char *path);
uint32_t share_seen(int watch);

/* Fails if anything outside was opened, read or changed. */
void share_check_canary(struct dir_share *share);

/* A file of the host with that text. */
void share_write(const char *path, const char *text);

/* Descriptors that this process has. */
unsigned share_fd_count(void);

/*
 * Run the group as it is, and, if that was as root, once more as an ordinary user.
 * Mounts that its tests make are this process's own. Returns what main does.
 */
#define SHARE_RUN(tests) share_run(#tests, tests, sizeof(tests) / sizeof((tests)[0]))
int share_run(const char *name, const struct CMUnitTest *tests, size_t count);

/* Skips the test unless it may mount. */
void share_need_mounts(void);

/* Skips the test unless it runs as root. */
void share_need_root(void);

#endif
