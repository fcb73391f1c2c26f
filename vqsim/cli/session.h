/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything that one `vqsim run blk` needs, put together: the store and the
 * device on one side, guest memory, guest and block driver on the other, the
 * referee and the model disk between, and the files of --from and --to.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_SESSION_H
#define VQSIM_CLI_SESSION_H

#include "cli.h"
#include "options.h"
#include "remote_device.h"
#include "../guest_blk.h"
#include "../../devices/blk/blk.h"

#ifdef __cplusplus
extern "C" {
#endif

struct session {
	const struct run_options *options;
	struct blk_store *store; /* NULL: the device is elsewhere */
	struct remote_device remote;
	struct virtio_device *device;
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct vqsim_disk disk; /* if modelled */
	struct vqsim_guest guest;
	struct vqsim_blk blk;
	uint64_t features; /* negotiated */
	bool modelled;
	uint64_t size;       /* of the disk, bytes */
	uint32_t block_size; /* what READ and WRITE are multiples of */
	int from_fd;         /* -1: none */
	int to_fd;           /* -1: none */
};

/*
 * Check the files and bring the device up; --to is created last. A complaint
 * has been printed if the result is not CLI_OK. session_close is due in any case.
 */
enum cli_exit session_open(struct session *session, const struct run_options *options);

void session_close(struct session *session);

#ifdef __cplusplus
}
#endif

#endif
