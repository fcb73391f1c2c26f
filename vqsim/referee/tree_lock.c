/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks: POSIX's on bytes, by owner; flock's on files. They do not see each other. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tree_internal.h"

static void drop(struct model_lock **at)
{
	struct model_lock *lock = *at;

	*at = lock->next;
	free(lock);
}

static void drop_owner(struct model_lock **at, uint64_t owner)
{
	while (*at) {
		if ((*at)->owner == owner)
			drop(at);
		else
			at = &(*at)->next;
	}
}

void model_flock_drop(struct model_node *node, uint64_t owner)
{
	drop_owner(&node->flock, owner);
}

void model_locks_free(struct model_node *node)
{
	while (node->posix)
		drop(&node->posix);
	while (node->flock)
		drop(&node->flock);
}

static bool is_flock(const struct model_step *s)
{
	return s->args->fuse_flags & FUSE_LK_FLOCK;
}

static bool overlap(const struct fuse_file_lock *a, const struct fuse_file_lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

static bool in_the_way(const struct model_step *s, const struct model_lock *held)
{
	const struct fuse_file_lock *want = &s->args->lock;

	if (held->owner == s->args->lock_owner)
		return false;
	if (held->lock.type == F_RDLCK && want->type == F_RDLCK)
		return false;
	return is_flock(s) || overlap(&held->lock, want);
}

static const struct model_lock *conflict(const struct model_step *s, const struct model_node *node)
{
	const struct model_lock *held = is_flock(s) ? node->flock : node->posix;

	while (held && !in_the_way(s, held))
		held = held->next;
	return held;
}

static int need(const struct model_step *s, struct model_handle **handle)
{
	return model_need_handle(s, s->args->node, s->args->handle, handle);
}

bool model_must_wait(struct model_step *s)
{
	struct model_node *node = model_node_of(s->tree, s->args->node);
	struct model_handle *handle;

	if (model_fault_lock(s))
		return false;
	if (need(s, &handle)) {
		/* It was closed by a guest that breaks the rules: what comes of it is free. */
		if (node && s->had_handle)
			node->locks_known = false;
		return s->had_handle;
	}
	return handle->node->locks_known && s->args->lock.type != F_UNLCK &&
	       conflict(s, handle->node);
}

/* Linux keeps locks of directories to itself: a server may have them or not. */
static bool may_know(const struct model_handle *handle)
{
	return handle->node->locks_known && !handle->dir;
}

static bool changes_flock(const struct model_step *s)
{
	return is_flock(s) && (s->args->opcode == FUSE_SETLK || s->args->opcode == FUSE_SETLKW);
}

static bool same_owner(const struct model_step *a, const struct model_step *b)
{
	return a != b && changes_flock(b) && b->args->node == a->args->node &&
	       b->args->lock_owner == a->args->lock_owner;
}

/* The owner has a lock on the file already, or perhaps gets one meanwhile. */
static bool has_flock(const struct model_step *s, const struct model_node *node)
{
	for (const struct model_lock *held = node->flock; held; held = held->next)
		if (held->owner == s->args->lock_owner && held->lock.type != s->args->lock.type)
			return true;
	for (const struct model_step *t = s->tree->in_flight; t; t = t->next)
		if (same_owner(s, t))
			return true;
	for (unsigned i = 0; i < s->tree->group_count; i++)
		if (same_owner(s, s->tree->group[i]))
			return true;
	return false;
}

static bool may_come_between(const struct model_step *s, const struct model_step *waits)
{
	return changes_flock(waits) && waits->args->opcode == FUSE_SETLKW &&
	       waits->args->node == s->args->node && waits->args->lock_owner != s->args->lock_owner;
}

/*
 * To change a flock is to give it up and to ask for another one (flock(2)): who waits may come
 * in between. Then it is not known who has it.
 */
void model_flock_submitted(struct model_step *s)
{
	struct model_handle *handle;
	struct model_node *node;

	if (!changes_flock(s) || need(s, &handle))
		return;
	node = handle->node;
	for (const struct model_step *t = s->tree->in_flight; t; t = t->next)
		if ((may_come_between(s, t) && has_flock(s, node)) ||
		    (changes_flock(t) && may_come_between(t, s) && has_flock(t, node)))
			node->locks_known = false;
}

int model_predict_getlk(struct model_step *s)
{
	struct model_handle *handle;
	int error = need(s, &handle);

	return error == 0 && !may_know(handle) ? MODEL_ANY : error;
}

/* The reply names one of the locks in the way, or none if there is none. */
static bool told_right(const struct model_step *s, const struct model_node *node)
{
	const struct fuse_file_lock *told = &s->result->lock;
	const struct model_lock *held = is_flock(s) ? node->flock : node->posix;

	if (told->type == F_UNLCK)
		return !conflict(s, node);
	for (; held; held = held->next)
		if (in_the_way(s, held) && held->lock.type == told->type &&
		    held->lock.start == told->start && held->lock.end == told->end &&
		    held->lock.pid == told->pid)
			return true;
	return false;
}

void model_apply_getlk(struct model_step *s)
{
	struct model_handle *handle;

	if (s->blind || need(s, &handle) || !may_know(handle))
		return;
	if (!told_right(s, handle->node))
		model_wrong(s, VQSIM_RULE_TREE_LOCK,
			    "type %" PRIu32 " on [%" PRIu64 ", %" PRIu64 "] of pid %" PRIu32
			    ", but %s",
			    s->result->lock.type, s->result->lock.start, s->result->lock.end,
			    s->result->lock.pid,
			    conflict(s, handle->node) ? "another one is in the way"
						      : "none is in the way");
}

static bool may_lock(const struct model_step *s, const struct model_handle *handle)
{
	uint32_t mode = handle->flags & O_ACCMODE;

	if (is_flock(s) || s->args->lock.type == F_UNLCK)
		return true;
	return mode != (s->args->lock.type == F_RDLCK ? O_WRONLY : O_RDONLY);
}

int model_predict_setlk(struct model_step *s)
{
	struct model_handle *handle;
	int error = need(s, &handle);

	/* No guest closes a file while it waits for a lock on it. */
	if (error && s->had_handle && s->args->opcode == FUSE_SETLKW)
		return MODEL_ANY;
	if (error)
		return error;
	if (!handle->dir && !may_lock(s, handle))
		return model_denied(s, -EBADF);
	if (!may_know(handle))
		return MODEL_ANY;
	if (s->args->lock.type == F_UNLCK || !conflict(s, handle->node))
		return 0;
	/* A flock that is to be changed and cannot be is lost (flock(2)). */
	if (is_flock(s))
		drop_owner(&handle->node->flock, s->args->lock_owner);
	return s->args->opcode == FUSE_SETLKW ? MODEL_ANY_ERROR : -EAGAIN;
}

static void add(struct model_step *s, struct model_lock **list, struct fuse_file_lock lock)
{
	struct model_lock *made = malloc(sizeof(*made));

	if (!made) {
		s->tree->no_memory = true;
		return;
	}
	*made = (struct model_lock){.next = *list, .owner = s->args->lock_owner, .lock = lock};
	*list = made;
}

static bool joins(const struct fuse_file_lock *a, const struct fuse_file_lock *b)
{
	return a->type == b->type && a->start <= b->end + 1 && b->start <= a->end + 1;
}

/* What is left of a lock of the same owner that gives way. */
static void cut(struct model_step *s, struct model_lock **list, const struct fuse_file_lock *held,
		const struct fuse_file_lock *want)
{
	struct fuse_file_lock part = *held;

	if (held->start < want->start) {
		part.end = want->start - 1;
		add(s, list, part);
	}
	part = *held;
	if (held->end > want->end) {
		part.start = want->end + 1;
		add(s, list, part);
	}
}

static void set_posix(struct model_step *s, struct model_node *node)
{
	struct fuse_file_lock want = s->args->lock;
	struct model_lock *old = node->posix;

	node->posix = NULL;
	while (old) {
		struct model_lock *held = old;

		old = held->next;
		held->next = node->posix;
		node->posix = held;
		if (held->owner != s->args->lock_owner)
			continue;
		if (joins(&held->lock, &want)) {
			want.start = held->lock.start < want.start ? held->lock.start : want.start;
			want.end = held->lock.end > want.end ? held->lock.end : want.end;
			drop(&node->posix);
		} else if (overlap(&held->lock, &want)) {
			const struct fuse_file_lock lock = held->lock;

			drop(&node->posix);
			cut(s, &node->posix, &lock, &want);
		}
	}
	if (want.type != F_UNLCK)
		add(s, &node->posix, want);
}

static void set_flock(struct model_step *s, struct model_node *node)
{
	struct fuse_file_lock want = {
		.end = MODEL_OFFSET_MAX, .type = s->args->lock.type, .pid = s->args->lock.pid};

	for (const struct model_lock *held = node->flock; held; held = held->next)
		if (held->owner == s->args->lock_owner && held->lock.type == want.type)
			return;
	drop_owner(&node->flock, s->args->lock_owner);
	if (want.type != F_UNLCK)
		add(s, &node->flock, want);
}

void model_apply_setlk(struct model_step *s)
{
	struct model_node *node = model_node_of(s->tree, s->args->node);
	struct model_handle *handle;

	if (need(s, &handle)) {
		if (node)
			node->locks_known = false;
		return;
	}
	if (is_flock(s))
		set_flock(s, handle->node);
	else
		set_posix(s, handle->node);
}

int model_predict_flush(struct model_step *s)
{
	struct model_handle *handle;
	int error = need(s, &handle);

	return error == 0 && handle->dir ? MODEL_ANY : error;
}

void model_apply_flush(struct model_step *s)
{
	struct model_handle *handle = model_handle_of(s->tree, s->args->node, s->args->handle);

	if (handle)
		drop_owner(&handle->node->posix, s->args->lock_owner);
}
