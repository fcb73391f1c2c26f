/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of a player. Not for its users.
 *
 * Guest memory of a player, in guest addresses:
 *
 *     main                hole   west     | middle    | east          hole
 *     rings, own buffers         scratch, | crossing  | large, edge
 *                                tables   |           |
 *
 * The last three touch each other in guest addresses only, and nothing is
 * allocated from them.
 */
#ifndef VQSIM_TRACE_INTERNAL_H
#define VQSIM_TRACE_INTERNAL_H

#include "trace.h"

#define PLAYER_MAIN_GPA    UINT64_C(0x10000)
#define PLAYER_WEST_GPA    UINT64_C(0x100000)
#define PLAYER_WEST_SIZE   8192u
#define PLAYER_MIDDLE_GPA  (PLAYER_WEST_GPA + PLAYER_WEST_SIZE)
#define PLAYER_MIDDLE_SIZE 4096u
#define PLAYER_EAST_GPA    (PLAYER_MIDDLE_GPA + PLAYER_MIDDLE_SIZE)
#define PLAYER_EAST_SIZE   16384u
#define PLAYER_END_GPA     (PLAYER_EAST_GPA + PLAYER_EAST_SIZE)

/* An address with no memory behind it, whatever is hidden. */
#define PLAYER_HOLE_GPA UINT64_C(0x80000)

/* Where broken descriptors may point without harm to anything else. */
#define PLAYER_SCRATCH_GPA  PLAYER_WEST_GPA
#define PLAYER_SCRATCH_SIZE 4096u

/* The same for descriptors of tables: zeroes for ever. */
#define PLAYER_TABLES_GPA  (PLAYER_SCRATCH_GPA + PLAYER_SCRATCH_SIZE)
#define PLAYER_TABLES_SIZE 2048u

/* What own buffers hold before the device writes. */
#define PLAYER_PREFILL 0x5a

/* And what writable ones hold that were lost with their queue. */
#define PLAYER_LOST 0xc3

/* trace_chain.c: chains that are not requests of the block driver. */

/* Add the chain of a VQSIM_OP_CHAIN. Returns NULL: it cannot be added now. */
struct vqsim_player_slot *player_chain_add(struct vqsim_player *player, const struct vqsim_op *op);

/* Tell the referee what must come back of the chains of a queue that were just published. */
void player_chain_published(struct vqsim_player *player, uint16_t queue);

/* Take all that is used; check it. Not while requests of the block driver are out. */
void player_chain_reap(struct vqsim_player *player, uint16_t queue);

/* Forget all chains and their memory: the device was reset. */
void player_chain_forget(struct vqsim_player *player);

/* Forget the chains of a queue: it was reset. From now on the device leaves their buffers alone. */
void player_chain_lose(struct vqsim_player *player, uint16_t queue);

/* trace_break.c */
void player_break(struct vqsim_player *player, const struct vqsim_op *op);
void player_breakage(struct vqsim_player *player, const struct vqsim_op *op);

/* Before a run or a publish: wherever the device stands, it finds no buffer but the player's. */
void player_tame(struct vqsim_player *player, uint16_t queue, bool publish);

/* trace_session.c: what changes under the requests. Nothing of it needs a queue that is up. */
void player_queue_reset(struct vqsim_player *player, uint16_t queue);
void player_queue_enable(struct vqsim_player *player, uint16_t queue, uint32_t size);
void player_replace_map(struct vqsim_player *player);
void player_change_driver(struct vqsim_player *player);
void player_config_write(struct vqsim_player *player, const struct vqsim_op *op);

/* Of regions that were hidden or replaced the device holds none, if nothing is in flight. */
void player_check_map(struct vqsim_player *player);

/* Operations of the store: held, let go, made to fail. Left out while something broken is out. */
void player_faults(struct vqsim_player *player, const struct vqsim_op *op);

/* No operation waits or fails any more; what waited goes on with the next run. */
void player_calm(struct vqsim_player *player);

/* The store lets everything go for a while. Returns what player_hold_again is to be given. */
uint32_t player_let_all_go(struct vqsim_player *player);
void player_hold_again(struct vqsim_player *player, uint32_t let_go);

/* As when the player was made. */
void player_faults_reset(struct vqsim_player *player);

/* trace_blk.c; all but the first two are for block devices only. */
int player_blk_init(struct vqsim_player *player);
void player_blk_finish(struct vqsim_player *player);
void player_blk_start_run(struct vqsim_player *player);
void player_blk_up(struct vqsim_player *player);
void player_blk_forget(struct vqsim_player *player);

/* Add the request of a VQSIM_OP_BLK. Returns NULL: it cannot be added now. */
struct vqsim_player_request *player_blk_add(struct vqsim_player *player, const struct vqsim_op *op);

void player_blk_reap(struct vqsim_player *player, uint16_t queue);

/* Forget the requests of a queue: it was reset. */
void player_blk_lose(struct vqsim_player *player, uint16_t queue);

/* Nothing is out: a failure of the store must have been answered with IOERR by now. */
void player_blk_account(struct vqsim_player *player);

/* Whether a request of the block driver is out. */
bool player_blk_busy(const struct vqsim_player *player);

/* From here until player_blk_unspoil anything may happen to any sector. */
void player_blk_spoil(struct vqsim_player *player);
void player_blk_unspoil(struct vqsim_player *player);

void player_blk_capacity(struct vqsim_player *player, uint64_t sectors);
void player_blk_writeback(struct vqsim_player *player, bool writeback);

/* trace_run.c */

/* Whether chains can be added to the queue: it is up, and not reset. */
bool player_live(const struct vqsim_player *player, uint16_t queue);

/* Reset the device and forget what was out. */
void player_go_down(struct vqsim_player *player);

/* Publish, run and reap all queues. */
void player_settle(struct vqsim_player *player);

/*
 * Settle, and if then nothing is out any more, forget that something was broken.
 * Returns whether everything is known again.
 */
bool player_clean(struct vqsim_player *player);

enum virtio_progress player_run(struct vqsim_player *player, uint16_t queue);
void player_publish(struct vqsim_player *player, uint16_t queue);
void player_reap(struct vqsim_player *player, uint16_t queue);

#endif
