/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device that `vqsim serve` serves, with what it keeps its data in.
 *
 * Threads: one, while nobody serves it; but serve_device_look_again from any, signal handlers
 * included.
 */
#ifndef VQSIM_CLI_SERVE_DEVICE_H
#define VQSIM_CLI_SERVE_DEVICE_H

#include "cli.h"
#include "serve_options.h"
#include "../../devices/blk/blk.h"
#include "../../devices/fs/fuse.h"

#ifdef __cplusplus
extern "C" {
#endif

struct serve_device {
	const struct serve_options *options;
	struct virtio_device *device;
	struct blk_store *store;    /* of blk */
	struct fs_session *session; /* of fs, as is the next */
	struct fs_tree *tree;
};

/*
 * Open what is named by a path of this process's files now: the image. Of a directory only look
 * whether it is one. A complaint has been printed if the result is not CLI_OK;
 * serve_device_close is due in any case.
 */
enum cli_exit serve_device_open(struct serve_device *d, const struct serve_options *options);

/* Make the device. directory: where the tree's is by now. The result is as above. */
enum cli_exit serve_device_create(struct serve_device *d, const char *directory);

/* The size of the image may have changed: the device will look. */
void serve_device_look_again(struct serve_device *d);

/*
 * Nobody serves it any more: destroy the device, and make durable what is in the image. A complaint
 * has been printed if the result is not CLI_OK.
 */
enum cli_exit serve_device_sync(struct serve_device *d);

void serve_device_close(struct serve_device *d);

#ifdef __cplusplus
}
#endif

#endif
