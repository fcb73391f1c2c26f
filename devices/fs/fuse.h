/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session that decodes FUSE (7.27 to 7.45) and calls a tree.
 *
 * Everything of a message but file data and the values of extended attributes is copied
 * out of guest memory once and checked: sizes, names, opcodes. What is malformed is
 * answered with an error, or, if there is no room for a fuse_out_header, with nothing; then
 * it is not carried out either. Both byte orders work; INIT tells which one a session has.
 *
 * A second INIT, and DESTROY, end the session: what waits in the tree is cancelled, the
 * tree is reset when nothing is left in it. Until a session begins every other message is
 * answered with EIO. hiprio takes FORGET, BATCH_FORGET and INTERRUPT alone, which no
 * other queue can hold up; they have no reply, but an INTERRUPT for what is not in the tree
 * is answered with EAGAIN if there is room for it.
 *
 * Threads: as in session.h; calls that wait in the tree may end on any thread.
 */
#ifndef DEVICES_FS_FUSE_H
#define DEVICES_FS_FUSE_H

#include "session.h"
#include "tree.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FUSE_API_MAJOR 0
#define FUSE_API_MINOR 1

/* A zeroed member means the default. */
struct fuse_options {
	uint32_t max_write;      /* bytes; default 1 MiB; 4096 at least */
	uint16_t max_background; /* default 65535 */
	uint64_t hidden_flags;   /* INIT flags not to offer */
};

/* A session on a tree, which is used until destroy and is not owned. Returns 0; -EINVAL; -ENOMEM. */
int fuse_session_create(struct fs_session **session, const struct fuse_options *options,
			struct fs_tree *tree);

#ifdef __cplusplus
}
#endif

#endif
