/* SPDX-License-Identifier: BSD-3-Clause */
#include "locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define END_MAX (UINT64_MAX >> 1)

struct fs_held_lock {
	struct fs_held_lock *next;
	uint64_t owner;
	struct fs_lock lock;
};

/* A call that waits: in the list of its file and in that of the space; or ready, in that list. */
struct fs_lock_waiter {
	struct fs_call *call;
	struct fs_locks *locks;
	struct fs_lock_waiter *next_of_file;
	struct fs_lock_waiter *next, **at;
	struct fs_lock_waiter *next_to_search;
	uint64_t round; /* the last search for a deadlock that came by */
	int result;
};

static bool is_flock(const struct fs_call *call)
{
	return call->flags & FS_FLOCK;
}

static bool overlap(const struct fs_lock *a, const struct fs_lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

static bool touch(const struct fs_lock *a, const struct fs_lock *b)
{
	/* Ends are at most END_MAX, so nothing wraps. */
	return a->start <= b->end + 1 && b->start <= a->end + 1;
}

/* A flock is on the whole file, whatever the range says. */
static bool in_the_way(const struct fs_held_lock *held, const struct fs_call *call)
{
	if (held->owner == call->lock_owner)
		return false;
	if (held->lock.type == F_RDLCK && call->lock.type == F_RDLCK)
		return false;
	return is_flock(call) || overlap(&held->lock, &call->lock);
}

/* The first lock from held on that is in the way of the call. */
static const struct fs_held_lock *find(const struct fs_held_lock *held, const struct fs_call *call)
{
	while (held != NULL && !in_the_way(held, call))
		held = held->next;
	return held;
}

static const struct fs_held_lock *conflict(const struct fs_locks *locks, const struct fs_call *call)
{
	return find(is_flock(call) ? locks->flock : locks->posix, call);
}

void fs_locks_get(const struct fs_locks *locks, struct fs_call *call)
{
	const struct fs_held_lock *held = conflict(locks, call);

	if (held != NULL)
		call->lock = held->lock;
	else
		call->lock.type = F_UNLCK;
}

/* --- what is held --- */

static struct fs_held_lock *make(struct fs_lock_space *space)
{
	struct fs_held_lock *held = malloc(sizeof(*held));

	if (held != NULL)
		space->held++;
	return held;
}

static void drop(struct fs_lock_space *space, struct fs_held_lock *held)
{
	if (held == NULL)
		return;
	space->held--;
	free(held);
}

static void take_out(struct fs_lock_space *space, struct fs_held_lock **at)
{
	struct fs_held_lock *held = *at;

	*at = held->next;
	drop(space, held);
}

/* Behind those that start at the same byte. */
static void insert(struct fs_held_lock **at, struct fs_held_lock *held)
{
	while (*at != NULL && (*at)->lock.start <= held->lock.start)
		at = &(*at)->next;
	held->next = *at;
	*at = held;
}

/*
 * Take the bytes of want out of *at, a lock of another type that overlaps. What lies behind
 * becomes a lock of its own, in *spare. Returns where to look on.
 */
static struct fs_held_lock **cut(struct fs_lock_space *space, struct fs_held_lock **at,
				 const struct fs_lock *want, struct fs_held_lock **spare)
{
	struct fs_held_lock *held = *at;

	if (held->lock.end > want->end) {
		struct fs_held_lock *tail = *spare;

		*spare = NULL;
		*tail = *held;
		tail->lock.start = want->end + 1;
		insert(&held->next, tail);
	}
	if (held->lock.start >= want->start) {
		take_out(space, at);
		return at;
	}
	held->lock.end = want->start - 1;
	return &held->next;
}

/*
 * The owner's locks are on what want says from now on. A lock of the same type that
 * touches becomes part of it. Returns whether bytes may be free that were not before.
 */
static bool apply_posix(struct fs_lock_space *space, struct fs_locks *locks,
			const struct fs_call *call, struct fs_held_lock *spare[2])
{
	struct fs_lock want = call->lock;
	bool freed = false;

	for (struct fs_held_lock **at = &locks->posix; *at != NULL;) {
		struct fs_held_lock *held = *at;

		if (held->owner == call->lock_owner && held->lock.type == want.type &&
		    touch(&held->lock, &want)) {
			if (held->lock.start < want.start)
				want.start = held->lock.start;
			if (held->lock.end > want.end)
				want.end = held->lock.end;
			take_out(space, at);
		} else if (held->owner == call->lock_owner && overlap(&held->lock, &want)) {
			at = cut(space, at, &want, &spare[0]);
			freed = true;
		} else {
			at = &held->next;
		}
	}
	if (want.type != F_UNLCK) {
		*spare[1] = (struct fs_held_lock){.owner = call->lock_owner, .lock = want};
		insert(&locks->posix, spare[1]);
		spare[1] = NULL;
	}
	return freed;
}

static int set_posix(struct fs_lock_space *space, struct fs_locks *locks,
		     const struct fs_call *call, bool *freed)
{
	struct fs_held_lock *spare[2];
	bool full = space->held_max != 0 && space->held >= space->held_max;
	int error = 0;

	if (full && call->lock.type != F_UNLCK)
		return -ENOLCK;
	spare[0] = make(space);
	spare[1] = make(space);
	if (spare[0] == NULL || spare[1] == NULL)
		error = -ENOLCK;
	else
		*freed = apply_posix(space, locks, call, spare);
	drop(space, spare[0]);
	drop(space, spare[1]);
	return error;
}

static struct fs_held_lock **flock_of(struct fs_locks *locks, uint64_t owner)
{
	struct fs_held_lock **at = &locks->flock;

	while (*at != NULL && (*at)->owner != owner)
		at = &(*at)->next;
	return at;
}

static int add_flock(struct fs_lock_space *space, struct fs_locks *locks,
		     const struct fs_call *call)
{
	struct fs_held_lock **at = flock_of(locks, call->lock_owner);

	/* Who waited may have got one meanwhile, by another call. */
	if (*at == NULL) {
		if (space->held_max != 0 && space->held >= space->held_max)
			return -ENOLCK;
		*at = make(space);
		if (*at == NULL)
			return -ENOLCK;
		(*at)->next = NULL;
	}
	(*at)->owner = call->lock_owner;
	(*at)->lock =
		(struct fs_lock){.end = END_MAX, .type = call->lock.type, .pid = call->lock.pid};
	return 0;
}

/* --- who waits --- */

static void space_init(struct fs_lock_space *space)
{
	if (space->waiters_end == NULL)
		space->waiters_end = &space->waiters;
	if (space->ready_end == NULL)
		space->ready_end = &space->ready;
}

/* The call no longer waits. */
static void finish(struct fs_lock_space *space, struct fs_lock_waiter *waiter, int result)
{
	struct fs_lock_waiter **of_file = &waiter->locks->waiters;

	while (*of_file != waiter)
		of_file = &(*of_file)->next_of_file;
	*of_file = waiter->next_of_file;

	*waiter->at = waiter->next;
	if (waiter->next != NULL)
		waiter->next->at = waiter->at;
	else
		space->waiters_end = waiter->at;

	waiter->call->tree_private = NULL;
	waiter->result = result;
	waiter->next = NULL;
	*space->ready_end = waiter;
	space->ready_end = &waiter->next;
}

/* Who waits and need not any longer gets the lock, in the order in which they came. */
static void grant(struct fs_lock_space *space, struct fs_locks *locks)
{
	struct fs_lock_waiter *waiter = locks->waiters;

	while (waiter != NULL) {
		struct fs_lock_waiter *next = waiter->next_of_file;
		struct fs_call *call = waiter->call;
		bool freed = false;
		int result;

		if (conflict(locks, call) == NULL) {
			if (is_flock(call))
				result = add_flock(space, locks, call);
			else
				result = set_posix(space, locks, call, &freed);
			finish(space, waiter, result);
		}
		/* To get a weaker lock than one had lets those go on who were looked at before. */
		waiter = freed ? locks->waiters : next;
	}
}

static int wait_for(struct fs_lock_space *space, struct fs_locks *locks, struct fs_call *call)
{
	struct fs_lock_waiter *waiter = calloc(1, sizeof(*waiter));
	struct fs_lock_waiter **of_file = &locks->waiters;

	if (waiter == NULL)
		return -ENOLCK;
	while (*of_file != NULL)
		of_file = &(*of_file)->next_of_file;
	*of_file = waiter;
	waiter->call = call;
	waiter->locks = locks;
	waiter->at = space->waiters_end;
	*space->waiters_end = waiter;
	space->waiters_end = &waiter->next;
	call->tree_private = waiter;
	return FS_LATER;
}

/* Put those that the given owner waits in on the list of what is to be searched. */
static void search_owner(struct fs_lock_space *space, uint64_t owner, struct fs_lock_waiter **todo)
{
	for (struct fs_lock_waiter *w = space->waiters; w != NULL; w = w->next) {
		if (is_flock(w->call) || w->call->lock_owner != owner || w->round == space->rounds)
			continue;
		w->round = space->rounds;
		w->next_to_search = *todo;
		*todo = w;
	}
}

/* Would the call wait for somebody who, perhaps through others, waits for its owner? */
static bool deadlock(struct fs_lock_space *space, const struct fs_locks *locks,
		     const struct fs_call *call)
{
	const uint64_t asker = call->lock_owner;
	struct fs_lock_waiter *todo = NULL;

	space->rounds++;
	for (;;) {
		const struct fs_held_lock *held = find(locks->posix, call);

		for (; held != NULL; held = find(held->next, call)) {
			if (held->owner == asker)
				return true;
			search_owner(space, held->owner, &todo);
		}
		if (todo == NULL)
			return false;
		locks = todo->locks;
		call = todo->call;
		todo = todo->next_to_search;
	}
}

/* --- the calls --- */

static bool possible(const struct fs_call *call)
{
	const struct fs_lock *lock = &call->lock;

	if (lock->type != F_RDLCK && lock->type != F_WRLCK && lock->type != F_UNLCK)
		return false;
	return is_flock(call) || (lock->start <= lock->end && lock->end <= END_MAX);
}

static int set_flock(struct fs_lock_space *space, struct fs_locks *locks, struct fs_call *call)
{
	struct fs_held_lock **own = flock_of(locks, call->lock_owner);

	if (*own != NULL && (*own)->lock.type == call->lock.type)
		return 0;
	/* A lock is not converted: the old one ends, then the new one is asked for (flock(2)). */
	if (*own != NULL) {
		take_out(space, own);
		grant(space, locks);
	}
	if (call->lock.type == F_UNLCK)
		return 0;
	if (conflict(locks, call) == NULL)
		return add_flock(space, locks, call);
	return call->flags & FS_LOCK_WAIT ? wait_for(space, locks, call) : -EAGAIN;
}

int fs_locks_set(struct fs_lock_space *space, struct fs_locks *locks, struct fs_call *call)
{
	bool freed = false;
	int error;

	space_init(space);
	if (!possible(call))
		return -EINVAL;
	if (is_flock(call))
		return set_flock(space, locks, call);
	if (call->lock.type != F_UNLCK && conflict(locks, call) != NULL) {
		if (!(call->flags & FS_LOCK_WAIT))
			return -EAGAIN;
		if (deadlock(space, locks, call))
			return -EDEADLK;
		return wait_for(space, locks, call);
	}
	error = set_posix(space, locks, call, &freed);
	if (freed)
		grant(space, locks);
	return error;
}

static void drop_all(struct fs_lock_space *space, struct fs_held_lock **at, const uint64_t *owner)
{
	while (*at != NULL) {
		if (owner == NULL || (*at)->owner == *owner)
			take_out(space, at);
		else
			at = &(*at)->next;
	}
}

void fs_locks_drop_posix(struct fs_lock_space *space, struct fs_locks *locks, uint64_t owner)
{
	space_init(space);
	drop_all(space, &locks->posix, &owner);
	grant(space, locks);
}

void fs_locks_drop_flock(struct fs_lock_space *space, struct fs_locks *locks, uint64_t owner)
{
	space_init(space);
	drop_all(space, &locks->flock, &owner);
	grant(space, locks);
}

void fs_locks_clear(struct fs_lock_space *space, struct fs_locks *locks)
{
	drop_all(space, &locks->posix, NULL);
	drop_all(space, &locks->flock, NULL);
}

void fs_locks_cancel(struct fs_lock_space *space, struct fs_call *call)
{
	if (call->tree_private != NULL)
		finish(space, call->tree_private, -EINTR);
}

struct fs_call *fs_locks_ready(struct fs_lock_space *space, int *result)
{
	struct fs_lock_waiter *waiter = space->ready;
	struct fs_call *call;

	if (waiter == NULL)
		return NULL;
	space->ready = waiter->next;
	if (space->ready == NULL)
		space->ready_end = &space->ready;
	call = waiter->call;
	*result = waiter->result;
	free(waiter);
	return call;
}
