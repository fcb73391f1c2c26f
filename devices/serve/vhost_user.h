/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any virtio device behind a vhost-user socket: the backend side of the protocol. A frontend (a
 * virtual machine monitor, Linux as a process, the simulator's own) connects, shares its memory,
 * and its guest's driver finds the device's rings answered.
 *
 * One frontend is served at a time; when it goes away, whatever it left behind, its memory is
 * unmapped, the device reset, and the next one is waited for. Every message is an enemy's: one
 * that cannot be is refused (an error in its acknowledgement, or the connection is closed), and the
 * server lives on.
 *
 * Spoken are: MQ, LOG_SHMFD, REPLY_ACK, BACKEND_REQ, CONFIG, INFLIGHT_SHMFD, RESET_DEVICE,
 * CONFIGURE_MEM_SLOTS (509) and STATUS; split and packed rings. Not spoken are other byte orders
 * than this machine's, post-copy, and notifications in band, for which a frontend would give up
 * its descriptors. A ring that was given no descriptor for kicks is polled. INFLIGHT_SHMFD and STATUS
 * are not offered for a device whose state dies with its process (virtio_device_ops.instance_bound):
 * QEMU writes status 0 when it pauses a machine, which goes on with that state later.
 *
 * Without STATUS nobody says when the driver is ready or begins anew: SET_FEATURES says both, the
 * latter if the features are others, or the device needs a reset, and no ring is running.
 *
 * What a frontend passes to be notified with gets O_NONBLOCK, which its own end may see too. A
 * descriptor from which it takes that back, so that the server waits, is dropped. A
 * frontend that cuts the file of its memory is hung up on (shrink.h).
 *
 * A process that serves ignores SIGPIPE: vhost_user_server_create sees to it if the signal
 * would end the process. SIGURG is the server's, which interrupts its own threads with it.
 *
 * What was taken is finished before a ring stops, the device is reset, or the next frontend has its
 * turn, however long the device takes for it; while a request never ends, nor does that wait.
 *
 * A known limit: a frontend that can hold up the kernel can stop the server, which then ends by
 * SIGKILL alone, but cannot harm it. One way is any descriptor of a FUSE file system of its own
 * that does not answer, be it memory or not: even closing one asks its file system, so whoever may
 * pass descriptors to a process can stop it. Another is a pipe or socket for kicks from which the
 * frontend reads into a page that is never there (userfaultfd).
 *
 * Threads: vhost_user_server_run makes a thread for each queue that is started, and takes the
 * messages on its own. Calls of one server come from one thread, but for
 * vhost_user_server_stop, which may come from any thread or signal handler.
 */
#ifndef DEVICES_SERVE_VHOST_USER_H
#define DEVICES_SERVE_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "../device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VHOST_USER_API_MAJOR 0
#define VHOST_USER_API_MINOR 1

/* What a server tells whoever runs it; text is one line without its end, valid during the call. */
enum vhost_user_event {
	VHOST_USER_CONNECTED,
	VHOST_USER_DISCONNECTED,
	VHOST_USER_REFUSED, /* a message of the frontend: why */
	VHOST_USER_BROKEN,  /* a ring or the memory under it: the device needs a reset */
};

/* A zeroed member means the default; NULL in place of the struct means all defaults. */
struct vhost_user_options {
	uint64_t hidden_features; /* of the device, not offered */
	bool poll;                /* look at the rings all the time: a busy thread for each queue */

	/* May be NULL. Called from any thread of the server. */
	void (*event)(void *opaque, enum vhost_user_event event, const char *text);
	void *opaque;
};

struct vhost_user_server;

/*
 * A server for device, which must not be attached to anything, on a listening unix socket, which
 * is made not to block. Neither is owned; both outlive the server. Of a device with more than 256
 * queues the first 256 are served. Closing the socket can wait for what hostile frontends sent to it
 * without being served (a socket that lingers); the end of the process does not wait.
 * Returns 0; -EBADF: no descriptor; -ENOMEM; -EMFILE and -ENFILE.
 */
int vhost_user_server_create(struct vhost_user_server **server, struct virtio_device *device,
			     int listen_fd, const struct vhost_user_options *options);

/*
 * Serve one frontend after the other until vhost_user_server_stop. Requests that were taken are
 * finished and used before it returns. While descriptors or memory are short, a frontend waits.
 * Events of the device (virtio_device_ops.event) are taken here. Returns 0; -EAGAIN: there is no
 * timer; another -errno: the listening socket failed.
 */
int vhost_user_server_run(struct vhost_user_server *server);

/* Make run return. Once is for good. */
void vhost_user_server_stop(struct vhost_user_server *server);

void vhost_user_server_destroy(struct vhost_user_server *server);

#ifdef __cplusplus
}
#endif

#endif
