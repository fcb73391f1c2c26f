/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that another process serves, as a command line names it: --device vhost-user:SOCKET
 * and --spawn COMMAND.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_REMOTE_DEVICE_H
#define VQSIM_CLI_REMOTE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "cli.h"
#include "../remote.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed: no such device. */
struct remote_device_words {
	const char *device; /* as given */
	const char *socket; /* in it */
	const char *spawn;  /* the command that serves it; NULL: somebody does */
};

struct remote_device {
	struct vqsim_remote_server *server; /* NULL: not ours */
	struct virtio_device *device;
};

/* The value of --device. Returns false after a complaint. */
bool remote_device_parse(struct remote_device_words *words, const char *value);

/* What is wrong with the words taken together, or NULL. */
const char *remote_device_contradiction(const struct remote_device_words *words);

/*
 * Connect to a device with that id, so many queues at least, and rings of a size. A complaint
 * has been printed if the result is not CLI_OK. remote_device_close is due in any case.
 */
enum cli_exit remote_device_open(struct remote_device *remote,
				 const struct remote_device_words *words, uint32_t id,
				 uint16_t queue_count, uint16_t queue_size);

/* Says why the backend failed, if it did. Returns whether it did. */
bool remote_device_complain(const struct remote_device *remote);

/* The device must have been reset. A zeroed one can be closed. */
void remote_device_close(struct remote_device *remote);

#ifdef __cplusplus
}
#endif

#endif
