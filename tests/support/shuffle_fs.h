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

	/* Numbers count from 1, in the order of submission; 0: none. */
	unsigned spoil; /* the last byte of its reply is another one */
	unsigned skip;  /* is not done, but answered as if it had been */

	struct fs_request *held[SHUFFLE_FS_MAX];
	unsigned held_count, hold;
	const uint8_t *work, *replies;
};

/* Takes inner over. */
struct shuffle_fs *shuffle_fs_create(struct fs_session *inner);

/* The next count requests: done in the order work, answered in the order replies (from 0). */
void shuffle_fs_hold(struct shuffle_fs *shuffle, const uint8_t *work, const uint8_t *replies,
		     unsigned count);

#endif
