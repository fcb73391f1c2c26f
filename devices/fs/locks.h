/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The locks that guests hold on files, POSIX's on bytes and flock's on whole files, as
 * Linux keeps them: who holds what, who waits, who would wait for ever. For any tree: ram
 * has no other locks; dir keeps the locks of its guest among themselves here and may
 * ask the host besides.
 *
 * A tree has one struct fs_lock_space and a struct fs_locks in each file that is locked.
 * Owners are the guest's lock_owner; they are told apart by that number alone.
 * POSIX locks and flocks do not see each other.
 *
 * Waiting. fs_locks_set with FS_LOCK_WAIT may return FS_LATER: the call then belongs to
 * the space (its tree_private too). Whatever frees locks grants those that wait, the
 * first one first; they and cancelled calls come out of fs_locks_ready. The tree calls done for each
 * after it dropped its own lock:
 *
 *	lock; result = fs_locks_set(&tree->locks, &node->locks, call); unlock;
 *	for (;;) { lock; ready = fs_locks_ready(&tree->locks, &r); unlock;
 *	           if (ready == NULL) break;  ready->done(ready, r); }
 *
 * A POSIX lock that an owner would wait for who (perhaps through others) waits for the
 * asker is refused with EDEADLK. flock's are not looked at for that, as on Linux.
 *
 * Cost: linear in the locks of the one file, and to find a deadlock in the waiters too.
 *
 * Threads: none of its own. The caller's lock is held in every call.
 */
#ifndef DEVICES_FS_LOCKS_H
#define DEVICES_FS_LOCKS_H

#include "tree.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FS_LOCKS_API_MAJOR 0
#define FS_LOCKS_API_MINOR 1

struct fs_held_lock;
struct fs_lock_waiter;

/* A file's locks. Zeroed: none. */
struct fs_locks {
	struct fs_held_lock *posix;     /* by start, then as they came */
	struct fs_held_lock *flock;     /* as they came */
	struct fs_lock_waiter *waiters; /* as they came */
};

/* A tree's. A zeroed one is ready for use, and holds any number of locks. */
struct fs_lock_space {
	uint64_t held_max;     /* POSIX locks and flocks, of all files; 0: no limit */
	uint64_t held, rounds; /* held now; searches for a deadlock so far */
	struct fs_lock_waiter *waiters, **waiters_end;
	struct fs_lock_waiter *ready, **ready_end;
};

/* getlk: the first lock of another owner in the way of call->lock, or its type becomes F_UNLCK. */
void fs_locks_get(const struct fs_locks *locks, struct fs_call *call);

/*
 * setlk, by call->lock, lock_owner and the flags FS_FLOCK and FS_LOCK_WAIT. Returns 0; -EAGAIN;
 * FS_LATER; -EDEADLK; -ENOLCK: held_max, or no memory; -EINVAL: such a lock cannot be. After an
 * error all is as before, but that a flock which was to be changed and cannot is lost (flock(2)).
 */
int fs_locks_set(struct fs_lock_space *space, struct fs_locks *locks, struct fs_call *call);

/* flush: the POSIX locks of an owner end. release with FS_FLOCK_UNLOCK: its flock does. */
void fs_locks_drop_posix(struct fs_lock_space *space, struct fs_locks *locks, uint64_t owner);
void fs_locks_drop_flock(struct fs_lock_space *space, struct fs_locks *locks, uint64_t owner);

/* All locks of a file end. Nobody may wait for one. */
void fs_locks_clear(struct fs_lock_space *space, struct fs_locks *locks);

/* End a call for which FS_LATER was said, with -EINTR, if it still waits. */
void fs_locks_cancel(struct fs_lock_space *space, struct fs_call *call);

/* Take a call that is over out of the space -> *result for its done. NULL: there is none. */
struct fs_call *fs_locks_ready(struct fs_lock_space *space, int *result);

#ifdef __cplusplus
}
#endif

#endif
