/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the player know of each other.
 *
 *   fs_player.c   operations, one by one     fs_bend.c   messages that no guest should send
 *   fs_check.c    what must hold afterwards      fs_audit.c  a look at all that is there
 */
#ifndef FUZZ_SUPPORT_FS_PLAYER_INTERNAL_H
#define FUZZ_SUPPORT_FS_PLAYER_INTERNAL_H

#include "fs_player.h"

/* Which queue a request goes to. */
enum queue_choice {
	QUEUE_ITS_OWN,
	QUEUE_OTHER, /* the other one for requests */
	QUEUE_HIPRIO,
	QUEUE_REQUEST,
	QUEUES,
};

/* fs_player.c */
bool player_up(struct fuzz_fs_player *player, const struct fuzz_fs_op *op);
void player_submit(struct fuzz_fs_player *player, struct vqsim_fs_request *request);
void player_work(struct fuzz_fs_player *player);
bool player_in_flight(const struct fuzz_fs_player *player);
void player_violation(struct fuzz_fs_player *player, enum vqsim_rule rule, const char *what);

/* fs_bend.c: damage the message that was made. Returns false: there is nothing to send. */
void player_bend(struct fuzz_fs_player *player, struct vqsim_fs_request *request);
bool player_raw(struct fuzz_fs_player *player, struct vqsim_fs_request *request,
		const struct fuzz_fs_op *op);

/* fs_audit.c */
void player_audit(struct fuzz_fs_player *player);

/* fs_check.c */
void player_note_fresh(struct fuzz_fs_player *player);
void player_check(struct fuzz_fs_player *player);

#endif
