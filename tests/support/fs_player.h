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
	uint64_t hash; /* of data, of names, of times that were set; whether a lock is in the way */
};

struct fs_caller {
	uint32_t uid, gid, umask;
	uint32_t group; /* another one; 0: none */
};

struct fs_player {
	struct vqsim_fs *fs;
	const struct fs_caller *callers;
	uint64_t nodes[FS_NODES];                              /* 0: empty */
	struct vqsim_fs_file files[FS_FILES], lists[FS_LISTS]; /* node 0: empty */
	uint64_t next[FS_LISTS];
	uint64_t stale;
	uint8_t buffer[32768];
	struct vqsim_fs_request waiter; /* for a lock */
};

void fs_player_init(struct fs_player *player, struct vqsim_fs *fs, const struct fs_caller *callers);
void fs_player_step(struct fs_player *player, const struct fs_step *step,
		    struct fs_outcome *outcome);
/* The step was refused before it came here: what it would have replaced is gone all the same. */
void fs_player_refused(struct fs_player *player, const struct fs_step *step);
/* Close and forget everything. Returns how many nodes are still answered after that. */
unsigned fs_player_finish(struct fs_player *player);

/* Parts of fs_player_step: locks of f[b], which is open; all of directory n[a]. */
void fs_player_lock(struct fs_player *player, const struct fs_step *step,
		    struct fs_outcome *outcome);
void fs_player_names(struct fs_player *player, const struct fs_step *step,
		     struct fs_outcome *outcome);

/* Open files whose locks are those of an owner on an inode. */
struct fs_host_locker {
	uint64_t owner; /* 0: empty */
	uint64_t dev, ino;
	int posix, flock;
};

#define FS_OWNERS 3u

struct fs_host {
	const struct fs_caller *callers; /* NULL: everything as this process */
	int nodes[FS_NODES], files[FS_FILES];
	struct fs_host_locker lockers[FS_FILES * FS_OWNERS];
	uint8_t buffer[32768];
};

void fs_host_init(struct fs_host *host, const char *dir, const struct fs_caller *callers);
void fs_host_step(struct fs_host *host, const struct fs_step *step, struct fs_outcome *outcome);
void fs_host_finish(struct fs_host *host);

/* Locks: f[b] is open (and this process is root); f[b] is about to be closed. */
void fs_host_lock(struct fs_host *host, const struct fs_step *step, struct fs_outcome *outcome);
void fs_host_closing(struct fs_host *host, unsigned slot);

/* Whether its message tells of groups of the caller. */
static inline bool fs_step_makes(const struct fs_step *step)
{
	return step->what == DO_SYMLINK || step->what == DO_MKNOD || step->what == DO_MKDIR ||
	       step->what == DO_CREATE || step->what == DO_TMPFILE;
}

/*
 * What the kernel of a guest refuses before it asks: a dir tree leaves that to it, and may have
 * other errors.
 */
bool fs_guest_refuses(const struct fs_step *step, int64_t value);

/*
 * FUSE has a server leave the sgid of a file alone that its group may not run; whether the caller's
 * being no member takes it away with what it changes (since Linux 6.2) is for the guest to say.
 */
bool fs_guest_says_of_sgid(const struct fs_host *host, const struct fs_step *step);

/* The owner of locks in a step. */
static inline uint64_t fs_step_owner(const struct fs_step *step)
{
	return 1 + step->x % FS_OWNERS;
}

/* Of a name in a listing: the sum of all is the same in any order. */
uint64_t fs_outcome_name(const char *name, uint32_t size, uint32_t type);
/* Of times that the step sets; in s and ns. */
uint64_t fs_outcome_times(const struct fs_step *step, const uint64_t atime[2],
			  const uint64_t mtime[2]);
uint64_t fs_outcome_hash(const uint8_t *data, uint64_t size);

#endif
