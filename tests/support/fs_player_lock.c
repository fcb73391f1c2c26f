/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>

#include "fs_player.h"

static bool has_ended(struct fs_player *p)
{
	vqsim_guest_run(p->fs->guest, p->fs->queue);
	while (vqsim_fs_reap(p->fs, p->fs->queue))
		;
	return p->waiter.done;
}

/* Whoever waits is interrupted: nobody else is there who could let go of the lock. */
static int64_t wait_for_lock(struct fs_player *p, const struct fs_step *s,
			     const struct fuse_file_lock *lock)
{
	const struct vqsim_fs_args args = {
		.opcode = FUSE_SETLKW,
		.node = p->files[s->b % FS_FILES].node,
		.handle = p->files[s->b % FS_FILES].handle,
		.lock_owner = fs_step_owner(s),
		.lock = *lock,
		.fuse_flags = s->x % 2 ? FUSE_LK_FLOCK : 0,
	};

	if (!p->waiter.in && vqsim_fs_request_init(p->fs, &p->waiter, 4096) != 0)
		return VQSIM_FS_LOST;
	vqsim_fs_make(p->fs, &p->waiter, &args);
	if (vqsim_fs_submit(p->fs, p->fs->queue, &p->waiter) < 0)
		return VQSIM_FS_LOST;
	vqsim_guest_publish(p->fs->guest, p->fs->queue);
	if (!has_ended(p) && (vqsim_fs_interrupt(p->fs, p->waiter.unique) != 0 || !has_ended(p)))
		return VQSIM_FS_LOST;
	return p->waiter.result.error;
}

void fs_player_lock(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	const struct vqsim_fs_file *file = &p->files[s->b % FS_FILES];
	struct fuse_file_lock lock = {
		.start = s->offset,
		.end = s->size ? s->offset + s->size - 1 : UINT64_MAX >> 1,
		.type = s->mode,
		.pid = fs_step_owner(s),
	};
	uint64_t owner = fs_step_owner(s);

	if (s->what == DO_GETLK) {
		out->value = vqsim_fs_getlk(p->fs, file, owner, &lock);
		out->hash = out->value == 0 && lock.type != F_UNLCK;
	} else if (s->what == DO_SETLKW) {
		out->value = wait_for_lock(p, s, &lock);
	} else {
		out->value = vqsim_fs_setlk(p->fs, file, owner, &lock,
					    s->what == DO_FLOCK ? FUSE_LK_FLOCK : 0);
	}
}
