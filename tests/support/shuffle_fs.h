/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A FUSE session around another one, which lets requests wait and then does and answers them in
 * orders that a test says.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_SHUFFLE_FS_H
#define TESTS_SUPPORT_SHUFFLE_FS_H

#include <stdbool.h>

#include "devices/fs/session.h"

#define SHUFFLE_FS_MAX 8u

struct shuffle_fs {
	struct fs_session base;
	struct fs_session *inner; /* owned */

	/* Numbers count from 1 since shuffle_fs_hold, in the order of submission; 0: none. */
	unsigned spoil; /* the last byte of its reply is another one */
	unsigned skip;  /* is not done, but answered as if it had been */

	bool late; /* the inner session may answer later */
	bool keep; /* those that wait go on waiting */

	/* Private. */
	struct fs_request *held[SHUFFLE_FS_MAX];
	unsigned held_count, hold;
	unsigned number; /* of the last one */
	const uint8_t *work, *replies;
};

/* Takes inner over. */
struct shuffle_fs *shuffle_fs_create(struct fs_session *inner);

/*
 * The next count requests wait, and then are done in the order work and answered in the order replies (from
 * 0). Those behind them are done and answered at once.
 */
void shuffle_fs_hold(struct shuffle_fs *shuffle, const uint8_t *work, const uint8_t *replies,
		     unsigned count);

#endif
