/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of a remote device: the connection (remote_channel.c), who is at its other end
 * (remote_server.c), the memory it shares (remote_memory.c), the queues (remote_queue.c), the
 * device that these make (remote.c).
 *
 * Threads: one.
 */
#ifndef VQSIM_REMOTE_INTERNAL_H
#define VQSIM_REMOTE_INTERNAL_H

#include "remote.h"
#include "../devices/guest_memory.h"
#include "../devices/serve/vhost_user_wire.h"

/* Regions of guest memory that a frontend can share, one message for each. */
#define REMOTE_REGIONS_MAX 64u

/* --- remote_channel.c --- */

/* Invariant: after something that cannot be, fd is -1 and text says what it was. */
struct remote_channel {
	int fd;         /* -1: no connection */
	int backend_fd; /* our end of the way back, -1: there is none */
	unsigned deadline;
	bool acks;               /* REPLY_ACK is negotiated */
	bool faulty;             /* text is a fault of the backend, and not just an end */
	uint64_t config_changes; /* that it told of */
	char text[VQSIM_REMOTE_TEXT];
};

/* One message out. */
struct remote_message {
	uint32_t request;
	const void *payload;
	uint32_t size;
	const int *fds;
	unsigned fd_count;
};

/* Milliseconds of a clock that only goes forward. */
uint64_t remote_now(void);

void remote_channel_close(struct remote_channel *channel);

/*
 * Each returns 0; -EREMOTEIO (remote_tell): refused; -EPIPE: the connection is closed;
 * -ETIMEDOUT; -EPROTO. After the last three it is closed here too.
 */

/* Send what has no reply of its own; with REPLY_ACK its acknowledgement is waited for. */
int remote_tell(struct remote_channel *channel, const struct remote_message *message);

/* Send, and take a reply of exactly size bytes. */
int remote_ask(struct remote_channel *channel, const struct remote_message *message, void *reply,
	       uint32_t size);
int remote_ask_u64(struct remote_channel *channel, uint32_t request, uint64_t *value);

/* The same for a reply of at most room bytes; *size is how many. */
int remote_ask_some(struct remote_channel *channel, const struct remote_message *message,
		    void *reply, uint32_t room, uint32_t *size);

/* The one value of a request, and a ring's number with a value. */
int remote_tell_u64(struct remote_channel *channel, uint32_t request, uint64_t value);
int remote_tell_vring(struct remote_channel *channel, uint32_t request, uint16_t index,
		      uint32_t value);

/* Take what the backend says by itself, until it says nothing; notices a connection that is gone. */
void remote_listen(struct remote_channel *channel);

/* --- remote_server.c --- */

/* A connection to path. Returns a socket or -errno. */
int remote_connect(const char *path, struct vqsim_remote_server *server, unsigned deadline,
		   bool patient);

/* --- remote.c, remote_memory.c, remote_queue.c --- */

/*
 * Invariant: the eventfds of a queue that was started are kept until it is started again, so that a
 * backend that goes on with one that was stopped is heard.
 */
struct remote_queue {
	bool started;
	bool has_fds; /* it was ever started */
	int kick_fd, call_fd, error_fd;
	struct virtio_queue_setup setup;
};

struct remote {
	struct virtio_device base;
	struct virtio_device_ops ops; /* of this device: the id differs */
	struct vqsim_remote_options options;
	struct remote_channel channel;
	uint64_t offered;  /* as it said, with bits that are vhost's own */
	uint64_t features; /* negotiated, likewise */
	uint64_t protocol;
	bool is_live;  /* DRIVER_OK was passed on */
	bool is_ended; /* the loss of the connection was passed on */
	bool is_lost;  /* nobody came back */

	uint32_t config_size;
	uint32_t config_generation;
	uint64_t config_changes; /* of the channel, passed on */
	uint8_t config[VHOST_USER_CONFIG_MAX];

	uint16_t queue_count;
	struct remote_queue queues[VQSIM_REMOTE_QUEUES_MAX];

	/* The memory that it has. */
	bool has_memory;
	uint32_t memory_generation;
	unsigned region_count;
	struct vhost_user_region regions[REMOTE_REGIONS_MAX];

	enum vqsim_remote_look (*look)(void *opaque, uint16_t queue);
	void *opaque;
	unsigned sleeps;
	bool alert; /* what is waited for comes soon: not worth a sleep */
};

static inline struct remote *remote_of(struct virtio_device *device)
{
	return (struct remote *)device;
}

static inline bool remote_has(const struct remote *remote, unsigned protocol_feature)
{
	return remote->protocol & VIRTIO_FEATURE(protocol_feature);
}

static inline bool remote_is_gone(const struct remote *remote)
{
	return remote->channel.fd < 0;
}

/* Pass on to the transport what the backend said by itself, or that it is gone. */
void remote_pass_on(struct remote *remote);

/* Share the present memory. Returns 0; as remote_tell; -E2BIG: too many regions. */
int remote_share_memory(struct remote *remote);

/* Where the frontend says that [gpa, gpa + size) is. Returns false: in no one region. */
bool remote_address(const struct remote *remote, uint64_t gpa, uint64_t size, uint64_t *address);

int remote_queue_start(struct virtio_device *device, uint16_t index,
		       const struct virtio_queue_setup *setup);
void remote_queue_finish(struct remote_queue *queue);
enum virtio_completion remote_queue_stop(struct virtio_device *device, uint16_t index,
					 struct virtio_queue_state *state);
void remote_kick(struct virtio_device *device, uint16_t index, uint32_t data);
enum virtio_progress remote_progress(struct virtio_device *device, uint16_t index, uint32_t budget);

#endif
