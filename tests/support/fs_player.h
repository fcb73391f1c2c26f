/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Steps (fs_steps.h) done by a file-system driver, and by plain system calls in a directory. What
 * both see can be compared.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_FS_PLAYER_H
#define TESTS_SUPPORT_FS_PLAYER_H

#include "fs_steps.h"
#include "vqsim/guest_fs.h"

/* What came of a step. */
struct fs_outcome {
	bool done; /* false: a slot was empty, or the host has no such call */
	int64_t value;
	bool has_attr;
	uint32_t mode, nlink, uid, gid;
	uint64_t size; /* of what is no directory */
	uint64_t hash; /* of data */
};

struct fs_caller {
	uint32_t uid, gid, umask;
};

struct fs_player {
	struct vqsim_fs *fs;
	const struct fs_caller *callers;
	uint64_t nodes[FS_NODES];                              /* 0: empty */
	struct vqsim_fs_file files[FS_FILES], lists[FS_LISTS]; /* node 0: empty */
	uint64_t next[FS_LISTS];
	uint64_t stale;
	uint8_t buffer[32768];
};

void fs_player_init(struct fs_player *player, struct vqsim_fs *fs, const struct fs_caller *callers);
void fs_player_step(struct fs_player *player, const struct fs_step *step,
		    struct fs_outcome *outcome);
/* The step was refused before it came here: what it would have replaced is gone all the same. */
void fs_player_refused(struct fs_player *player, const struct fs_step *step);
/* Close and forget everything. Returns how many nodes are still answered after that. */
unsigned fs_player_finish(struct fs_player *player);

struct fs_host {
	const struct fs_caller *callers; /* NULL: everything as this process */
	int nodes[FS_NODES], files[FS_FILES];
	uint8_t buffer[32768];
};

void fs_host_init(struct fs_host *host, const char *dir, const struct fs_caller *callers);
void fs_host_step(struct fs_host *host, const struct fs_step *step, struct fs_outcome *outcome);
void fs_host_finish(struct fs_host *host);

uint64_t fs_outcome_hash(const uint8_t *data, uint64_t size);

#endif
