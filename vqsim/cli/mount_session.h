/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything that one `vqsim mount` needs, put together: the device and its guest, the
 * bridge to /dev/fuse, and the guard that mounts.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_MOUNT_SESSION_H
#define VQSIM_CLI_MOUNT_SESSION_H

#include "cli.h"
#include "fs_stack.h"
#include "mount_guard.h"
#include "mount_options.h"
#include "../fuse_bridge.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mount_session {
	const struct mount_options *options;
	int fuse_fd; /* -1: closed */
	struct mount_guard guard;
	struct fs_stack stack;
	struct vqsim_fuse_bridge bridge;
};

/*
 * Bring the device up, and mount it last. A complaint has been printed if the result is
 * not CLI_OK. mount_session_close is due in any case.
 */
enum cli_exit mount_session_open(struct mount_session *session,
				 const struct mount_options *options);

/* Nothing is mounted, in flight or open afterwards. */
void mount_session_close(struct mount_session *session);

#ifdef __cplusplus
}
#endif

#endif
