/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that somebody else wrote and that another process serves, as a virtio_device: the
 * frontend side of vhost-user. The guest, the referee and the suite drive it as they drive a
 * device of this process.
 *
 * It is not a virtual machine monitor: it migrates nothing and recovers no requests in flight.
 *
 * The other process works whenever it likes, so progress waits until it has done what it owes:
 * what that is, the guest tells with vqsim_remote_watch. All that the other process says is
 * checked. What it never says ends in a deadline, and then the device needs a reset, as it does
 * when the connection is closed. A reset connects again.
 *
 * Here the clock is read: besides the serving of devices it is the one place for that.
 *
 * Threads: one.
 */
#ifndef VQSIM_REMOTE_H
#define VQSIM_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "version.h"
#include "../devices/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Room for what went wrong, one line without its end. */
#define VQSIM_REMOTE_TEXT 200u

/* Queues of one device, at most. */
#define VQSIM_REMOTE_QUEUES_MAX 64u

struct vqsim_remote_server;

/* A zeroed member means the default. */
struct vqsim_remote_options {
	const char *path;                   /* of the socket; mandatory */
	struct vqsim_remote_server *server; /* that makes the socket; NULL: somebody does */
	uint32_t device_id;                 /* virtio 1.3, 5; 0: guessed from what is offered */
	uint16_t queue_count;    /* that it must have at least; fs: hiprio is one of them */
	uint16_t queue_size_max; /* default 1024: no backend says what it can do */
	unsigned deadline;       /* ms for each answer, default 5000 */
	bool patient; /* wait until the deadline for somebody who listens, at the first connection too */
};

/*
 * Connect, and negotiate the protocol. path and server are used until the device is destroyed.
 * Returns 0; -errno, with what went wrong in text (may be NULL): of connect; -ETIMEDOUT: no
 * answer; -EPROTO: an answer that cannot be; -ENODEV: the device id cannot be guessed; -ENOTSUP:
 * it has fewer queues than queue_count.
 */
int vqsim_remote_create(struct virtio_device **device, const struct vqsim_remote_options *options,
			char text[VQSIM_REMOTE_TEXT]);

/* Whether it was made by vqsim_remote_create. */
bool vqsim_remote_is(const struct virtio_device *device);

/* What a queue looks like from the driver's side. */
enum vqsim_remote_look {
	VQSIM_REMOTE_OWES,    /* the device has still to use or to notify something */
	VQSIM_REMOTE_AT_REST, /* it has not */
	VQSIM_REMOTE_UNKNOWN, /* nobody can say: the driver broke the ring */
	VQSIM_REMOTE_USED,    /* it has, but there is something to reap: progress need not wait */
};

/*
 * look is called from progress, as often as it takes. Until it is given nothing is waited for.
 * progress returns VIRTIO_IDLE at rest, and also when the device goes on owing for longer than it
 * can need; VIRTIO_WAITING after VQSIM_REMOTE_USED.
 */
void vqsim_remote_watch(struct virtio_device *device,
			enum vqsim_remote_look (*look)(void *opaque, uint16_t queue), void *opaque);

/*
 * What the backend did that no frontend may be answered with, as a sentence; NULL: nothing. That
 * it closed the connection is not among it: that is how a backend asks for a reset.
 */
const char *vqsim_remote_fault(const struct virtio_device *device);

/* The protocol features of devices/serve/vhost_user_wire.h that both sides have. */
uint64_t vqsim_remote_protocol(const struct virtio_device *device);

/* Whether the backend has a config space of its own; otherwise this side made one up. */
bool vqsim_remote_has_config(const struct virtio_device *device);

/*
 * The status byte that the backend keeps, which is not the one that a driver sees. Returns it;
 * -ENOTSUP: it keeps none; another -errno as vqsim_remote_create.
 */
int vqsim_remote_status(struct virtio_device *device);

/*
 * Give the backend time for what it may still be about to do, and pass on what comes of it: some
 * ms, before each of which and at the end it answers as many messages as it has queues. A queue
 * that was stopped is kicked first, as by a driver of its last life that has not understood.
 */
void vqsim_remote_linger(struct virtio_device *device);

/*
 * A backend as a shell command, which is started when a remote finds nobody at its socket: the
 * first time, and again if it ends. command is used until the server is destroyed.
 * Returns 0 or -ENOMEM.
 */
int vqsim_remote_server_create(struct vqsim_remote_server **server, const char *command);

/*
 * How it died of a signal, as a sentence, once for each death; NULL: it did not. patience: ms to
 * wait for an end, for one that closed its connection.
 */
const char *vqsim_remote_server_death(struct vqsim_remote_server *server, unsigned patience);

/* Whether the connection is closed. */
bool vqsim_remote_is_gone(const struct virtio_device *device);

/* Ends the command, which is started again when it is needed. */
void vqsim_remote_server_stop(struct vqsim_remote_server *server);

/* The same for good. NULL is accepted. */
void vqsim_remote_server_destroy(struct vqsim_remote_server *server);

#ifdef __cplusplus
}
#endif

#endif
