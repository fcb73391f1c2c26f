/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process that mounts and unmounts for the one that serves /dev/fuse. The server must not do
 * it itself: an unmount writes back what the kernel still holds, and waits for the server's
 * replies. And it outlives a server that dies: then it takes the mount away.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_MOUNT_GUARD_H
#define VQSIM_CLI_MOUNT_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mount_guard {
	pid_t pid;
	int socket; /* readable when the guard has an answer */
};

struct mount_guard_options {
	const char *point;  /* absolute */
	const char *source; /* what mount(8) shows */
	int fuse_fd;
	uint32_t max_read;
	bool read_only;
};

/*
 * Start the guard. It has copies of all that is open and closes them, /dev/fuse last.
 * Returns 0 or a negative errno.
 */
int mount_guard_start(struct mount_guard *guard, const struct mount_guard_options *options);

/* Mount. Does not need a server yet. Returns 0 or a negative errno. */
int mount_guard_mount(struct mount_guard *guard);

/*
 * Begin to unmount; the server serves on until mount_guard_answer has been called, which
 * returns 0: it is gone; -EBUSY: files in it are still in use: it is out of sight, but whoever uses it
 * goes on asking; or another negative errno.
 */
void mount_guard_unmount(struct mount_guard *guard);
int mount_guard_answer(struct mount_guard *guard);

/* The guard takes away what is still mounted, and ends. A zeroed guard can be finished. */
void mount_guard_finish(struct mount_guard *guard);

#ifdef __cplusplus
}
#endif

#endif
