/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Carries operations out: a guest with a file-system client on a device that is made for this
 * run, with the referee watching. Afterwards, what must hold whatever was asked:
 *
 *  - what the model of a file system says of each reply, until something was sent that the model
 *    cannot read: a message that is none, one that is lost with its queue, or a FORGET of more than
 *    there was;
 *  - a request that was interrupted comes back; nothing stays in flight;
 *  - a good request is answered; after a reset of the device again;
 *  - once everything is forgotten, released and removed, the tree counts as many free files as
 *    when it was new;
 *  - no guest memory is held after the reset, and no descriptor of the host after the end.
 *
 * Threads: one.
 */
#ifndef FUZZ_SUPPORT_FS_PLAYER_H
#define FUZZ_SUPPORT_FS_PLAYER_H

#include "devices/fs/fs.h"
#include "devices/fs/fuse.h"
#include "fs_args.h"
#include "fs_ops.h"
#include "vqsim/guest_fs.h"
#include "vqsim/referee/tree.h"

#define FUZZ_FS_SLOTS 6u

/* Which tree is behind the device. */
enum fuzz_fs_kind {
	FUZZ_FS_RAM,
	FUZZ_FS_DIR,
	FUZZ_FS_DIR_OWN, /* files are made as this process, whoever asks */
};

/* How requests stand in the ring from now on. */
struct fuzz_fs_framing {
	uint8_t choice;
	uint8_t queue; /* enum queue_choice */
};

struct fuzz_fs_slot {
	struct vqsim_fs_request request;
	struct fuzz_fs_room room;
};

struct fuzz_fs_player {
	struct vqsim_memory memory;
	struct vqsim_referee referee;

	/* Of one run. */
	struct fs_tree *tree;
	struct fs_session *session;
	struct virtio_device *device;
	struct vqsim_guest guest;
	struct vqsim_fs fs;
	struct vqsim_tree model;
	struct vqsim_fs listener; /* what the model wants to be told */
	struct fuzz_fs_slot slots[FUZZ_FS_SLOTS];
	struct fuzz_fs_seen seen;
	uint64_t uniques[FUZZ_FS_SLOTS];
	struct fuzz_fs_framing framing;
	struct fuzz_fs_op bend; /* code is FUZZ_FS_BEND if there is one to come */
	unsigned enables;       /* of queues that were reset */
	bool later;
	bool up;
	bool modelled; /* the model has heard of all that was sent */
	bool known;    /* what is looked up and open is what the client has counted */
	bool unsure;   /* the session may have another byte order: something raw said INIT */
	enum fuzz_fs_kind kind;
	struct fuse_kstatfs fresh;
	uint64_t completed; /* by the operations */
	uint64_t resets;
};

/* Memory and referee, for all runs. */
int fuzz_fs_player_init(struct fuzz_fs_player *player);
void fuzz_fs_player_finish(struct fuzz_fs_player *player);

/*
 * Run the operations on an empty tree, which is taken over. A directory of the host has a model only if this
 * process is root.
 * Returns 0; -errno: the host could not make the device. Violations are in player->referee.
 */
int fuzz_fs_play(struct fuzz_fs_player *player, struct fs_tree *tree, enum fuzz_fs_kind kind,
		 const struct fuzz_fs_op *ops, unsigned count);

#endif
