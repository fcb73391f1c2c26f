/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the vhost-user server share. A session is one frontend as the protocol sees
 * it: memory, rings, features. It has no thread and no clock, waits for its frontend only where that can
 * be interrupted, and is fed messages by hand: by the server, which adds sockets and threads, by
 * tests and by the fuzzer.
 *
 * Threads: vhost_user_queue_kick and _run from any thread, one at a time for each queue; every other
 * call on a session when none of these is running.
 *
 * A process that has sessions ignores SIGPIPE: a frontend may close the other end of a pipe.
 */
#ifndef DEVICES_SERVE_VHOST_USER_INTERNAL_H
#define DEVICES_SERVE_VHOST_USER_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "../guest_memory.h"
#include "../transport.h"
#include "../virtqueue.h"
#include "vhost_user.h"
#include "vhost_user_wire.h"

#define VHOST_USER_PROTOCOL(name) VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_##name)

/* Bits that are vhost's: no device offers them, no device sees them. */
#define VHOST_USER_OWN_FEATURES \
	(VIRTIO_FEATURE(VHOST_F_LOG_ALL) | VIRTIO_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES))

/* As many as the index in a message of one descriptor can name. */
#define VHOST_USER_QUEUES_MAX (VHOST_USER_QUEUE_MASK + 1u)

/* Regions at one time, by SET_MEM_TABLE and ADD_MEM_REG together. */
#define VHOST_USER_SLOTS_MAX 509u

/* Messages */

/* Descriptors belong to whoever has the message. */
struct vhost_user_message {
	struct vhost_user_header header;
	unsigned fd_count;
	int fds[VHOST_USER_FDS_MAX];
	union {
		uint64_t u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct vhost_user_memory memory;
		struct vhost_user_single_region single;
		struct vhost_user_log log;
		struct vhost_user_inflight inflight;
		struct {
			struct vhost_user_config head;
			uint8_t bytes[VHOST_USER_CONFIG_MAX];
		} config;
		uint8_t bytes[VHOST_USER_PAYLOAD_MAX];
	} payload;
};

/* A message while it comes in, in however many pieces. Zeroed: none of it is there. */
struct vhost_user_receiver {
	struct vhost_user_message message;
	size_t got; /* bytes of header and payload */
};

enum vhost_user_receipt {
	VHOST_USER_RECEIVED,  /* receiver->message is whole and the caller's */
	VHOST_USER_LATER,     /* nothing more for now */
	VHOST_USER_CLOSED,    /* by the peer */
	VHOST_USER_MALFORMED, /* what follows cannot be made sense of */
};

/* Read what is there of one message, without waiting. */
enum vhost_user_receipt vhost_user_receive(struct vhost_user_receiver *receiver, int socket);

/* Forget a message that is not whole. */
void vhost_user_receiver_drop(struct vhost_user_receiver *receiver);

/*
 * Send a message whole, without waiting, with the first of its descriptors if it has one; they
 * stay the caller's. Returns 0; -EAGAIN: the peer does not read; another -errno.
 */
int vhost_user_send(int socket, const struct vhost_user_message *message);

/* Take the first descriptor out of the message, or -1. */
int vhost_user_take_fd(struct vhost_user_message *message);

void vhost_user_close_fds(struct vhost_user_message *message);

/* Memory */

/* A part of a peer's file, and the whole pages around it. */
struct vhost_user_area {
	void *base; /* NULL: none */
	size_t length;
	uint8_t *start; /* of the part */
	uint64_t size;
};

struct vhost_user_session;

/*
 * Map [offset, offset + size) of a regular file that has these bytes now; if it loses them later,
 * session->memory_lost tells. fd is not kept. Returns NULL or why not.
 */
const char *vhost_user_area_map(struct vhost_user_session *session, struct vhost_user_area *area,
				int fd, uint64_t offset, uint64_t size);

/* A zeroed area can be unmapped. */
void vhost_user_area_unmap(struct vhost_user_area *area);

/*
 * Messages about memory. They return NULL, or why the message is refused; then nothing changed.
 * fds are not kept.
 */
const char *vhost_user_memory_set(struct vhost_user_session *session,
				  const struct vhost_user_memory *table, const int *fds);
const char *vhost_user_memory_add(struct vhost_user_session *session,
				  const struct vhost_user_region *region, int fd);
const char *vhost_user_memory_remove(struct vhost_user_session *session,
				     const struct vhost_user_region *region);

/* The guest-physical address of an address of the frontend. Returns false: in no region. */
bool vhost_user_memory_translate(const struct vhost_user_session *session, uint64_t user_address,
				 uint64_t *gpa);

/* No memory at all. */
void vhost_user_memory_forget(struct vhost_user_session *session);

/* Queues */

/*
 * A ring is started by its kick and stopped by GET_VRING_BASE, enabled and disabled apart from
 * that. The device has it (it is live) while it is both, all that it needs is known, and the
 * driver is ready; in between only its base is kept.
 */
struct vhost_user_queue {
	struct vhost_user_vring_addr address; /* of the frontend's space */
	bool has_address;
	bool has_base;
	bool enabled;
	bool started;
	bool polled;      /* started without a descriptor: there are no kicks */
	bool call_missed; /* a notification was due and there was no descriptor for it */
	uint16_t size;
	uint32_t base; /* as SET_VRING_BASE and GET_VRING_BASE have it */
	int kick_fd;   /* these three: -1: none */
	int call_fd;
	int err_fd;
};

/*
 * The inflight area of a queue, if the frontend gave one, goes to setup, whose size is set.
 * Returns NULL, or why it cannot be that of this queue.
 */
const char *vhost_user_inflight_find(const struct vhost_user_session *session, uint16_t index,
				     struct virtio_queue_setup *setup);

/*
 * The frontend is told where the queue stands: the area does not count, unless chains are left
 * in it.
 */
void vhost_user_inflight_settle(struct vhost_user_session *session, uint16_t index);

/* Its driver starts anew: the area does not count. */
void vhost_user_inflight_forget(struct vhost_user_session *session, uint16_t index);

/* Initial state; what descriptors it has are closed. */
void vhost_user_queue_forget(struct vhost_user_queue *queue);

/*
 * Give the queue to the device or take it away, as its state demands. Returns NULL, or why a
 * queue that should be live cannot be.
 */
const char *vhost_user_queue_update(struct vhost_user_session *session, uint16_t index);

/* The same for all. Returns whether all are live that should be; one that cannot be waits. */
bool vhost_user_queues_update(struct vhost_user_session *session);

/* Take the queue from the device if it is there: what was taken is finished and used. */
void vhost_user_queue_stop(struct vhost_user_session *session, uint16_t index);

/* The state that GET_VRING_BASE answers with. */
uint32_t vhost_user_queue_base(const struct vhost_user_session *session, uint16_t index);

/* Replace a descriptor of a queue; the old one is closed. */
void vhost_user_queue_set_call(struct vhost_user_session *session, uint16_t index, int fd);
void vhost_user_queue_set_fd(int *place, int fd);

/* The device's calls (virtio_transport_ops). */
void vhost_user_queue_notify(struct vhost_user_session *session, uint16_t index);
void vhost_user_queues_tell_error(struct vhost_user_session *session);

/* Sessions */

struct vhost_user_hooks {
	/* Something is due: call vhost_user_session_flush. May be NULL. From any thread. */
	void (*news)(void *opaque);

	/* As vhost_user_options.event. May be NULL. */
	void (*event)(void *opaque, enum vhost_user_event event, const char *text);
	void *opaque;
};

struct vhost_user_session {
	struct virtio_device *device;
	struct vhost_user_hooks hooks;
	struct virtio_transport transport;
	struct guest_memory memory;
	struct vhost_user_region *regions; /* room for VHOST_USER_SLOTS_MAX */
	unsigned region_count;
	bool memory_lost; /* set at any time: a file has shrunk */
	struct vhost_user_area log;
	struct vhost_user_area inflight; /* one area for each of inflight_count queues */
	uint16_t inflight_count;
	uint16_t inflight_size; /* elements that a queue may have */
	bool format_known;      /* of the rings: there has been a driver */
	bool packed;            /* those of the present driver or of the last one */
	uint64_t features;      /* as the frontend set them, with those that are vhost's */
	uint64_t protocol_features;
	uint8_t status;  /* bits that the frontend wrote */
	int backend_fd;  /* for messages to the frontend; -1: none */
	bool config_due; /* one of them: the config space changed */
	struct vhost_user_queue *queues;
	uint16_t queue_count;
};

/* hidden_features: of the device, not offered. Attaches the device. Returns 0 or -errno. */
int vhost_user_session_init(struct vhost_user_session *session, struct virtio_device *device,
			    uint64_t hidden_features, const struct vhost_user_hooks *hooks);

/* As vhost_user_session_close; the device is attached to nothing. A zeroed session can be finished. */
void vhost_user_session_finish(struct vhost_user_session *session);

/* The frontend is gone: finish what was taken, reset the device, forget everything of it. */
void vhost_user_session_close(struct vhost_user_session *session);

enum vhost_user_answer {
	VHOST_USER_SILENT,  /* there is no reply */
	VHOST_USER_REPLIED, /* *reply is to be sent, its descriptors closed */
	VHOST_USER_HANG_UP, /* the message cannot be answered: close the connection */
};

/* Obey a message or refuse it; its descriptors are taken. */
enum vhost_user_answer vhost_user_session_take(struct vhost_user_session *session,
					       struct vhost_user_message *message,
					       struct vhost_user_message *reply);

/*
 * Take the kick of a queue, if it has come. Whoever waits for its descriptor calls it when that is
 * readable; the rings may be looked at without it.
 */
void vhost_user_queue_kick(struct vhost_user_session *session, uint16_t index);

/* One call of progress for at most budget chains. VIRTIO_IDLE for a queue that is not live. */
enum virtio_progress vhost_user_queue_run(struct vhost_user_session *session, uint16_t index,
					  uint32_t budget);

/* The dirty log is written to while it is there and the frontend wants that. */
void vhost_user_switch_log(struct vhost_user_session *session);

/* Send what is due on the backend channel, as far as it takes it now. */
void vhost_user_session_flush(struct vhost_user_session *session);

/* Back to the state before the driver came: rings stopped and disabled, features forgotten. */
void vhost_user_session_reset(struct vhost_user_session *session);

/* Whether the device has any queue at work. */
bool vhost_user_any_live(const struct vhost_user_session *session);

/* What is being obeyed. */
struct vhost_user_exchange {
	struct vhost_user_session *session;
	struct vhost_user_message
		*message; /* its sizes are checked; descriptors left in it are closed */
	struct vhost_user_message *reply; /* header.size 0: none yet */
};

/* Make a number the reply. Returns NULL: nothing was refused. */
const char *vhost_user_reply_u64(struct vhost_user_exchange *x, uint64_t value);

/* Requests. They return NULL, or why the message is refused. */
const char *vhost_user_get_features(struct vhost_user_exchange *x);
const char *vhost_user_set_features(struct vhost_user_exchange *x);
const char *vhost_user_get_protocol_features(struct vhost_user_exchange *x);
const char *vhost_user_set_protocol_features(struct vhost_user_exchange *x);
const char *vhost_user_get_queue_num(struct vhost_user_exchange *x);
const char *vhost_user_reset_device_request(struct vhost_user_exchange *x);
const char *vhost_user_set_status(struct vhost_user_exchange *x);
const char *vhost_user_get_status(struct vhost_user_exchange *x);
const char *vhost_user_set_mem_table(struct vhost_user_exchange *x);
const char *vhost_user_get_max_mem_slots(struct vhost_user_exchange *x);
const char *vhost_user_add_mem_reg(struct vhost_user_exchange *x);
const char *vhost_user_rem_mem_reg(struct vhost_user_exchange *x);
const char *vhost_user_set_log_base(struct vhost_user_exchange *x);
const char *vhost_user_set_vring_num(struct vhost_user_exchange *x);
const char *vhost_user_set_vring_addr(struct vhost_user_exchange *x);
const char *vhost_user_set_vring_base(struct vhost_user_exchange *x);
const char *vhost_user_get_vring_base(struct vhost_user_exchange *x);
const char *vhost_user_set_vring_enable(struct vhost_user_exchange *x);
const char *vhost_user_set_vring_kick(struct vhost_user_exchange *x);
const char *vhost_user_set_vring_call(struct vhost_user_exchange *x);
const char *vhost_user_set_vring_err(struct vhost_user_exchange *x);
const char *vhost_user_get_config(struct vhost_user_exchange *x);
const char *vhost_user_set_config(struct vhost_user_exchange *x);
const char *vhost_user_get_inflight_fd(struct vhost_user_exchange *x);
const char *vhost_user_set_inflight_fd(struct vhost_user_exchange *x);
const char *vhost_user_set_backend_fd(struct vhost_user_exchange *x);

/* Replace the backend channel, -1: by none; the old one is closed. */
void vhost_user_set_backend(struct vhost_user_session *session, int fd);

/* Descriptors of the frontend */

/* Whether it is an eventfd, or what can stand for one. */
bool vhost_user_may_notify(int fd);

/*
 * Make a descriptor one that does not block. Returns false: it cannot be told. The peer sees that
 * too: it is a state of what both ends of the descriptor stand for, and can be changed by both.
 */
bool vhost_user_unblock(int fd);

/*
 * Write to it or read from it. Returns the size, or -errno; -EINTR: the frontend had made it block, the
 * call was interrupted, that was told, and the descriptor is not to be used again.
 */
int vhost_user_write(const struct vhost_user_session *session, int fd, const void *bytes,
		     size_t size);
int vhost_user_read(const struct vhost_user_session *session, int fd, void *bytes, size_t size);

/* Close one that is or was the frontend's, or the socket through which it passes them. */
void vhost_user_close(int fd);

/* What there is of a message and of the descriptors with it. Returns the size, or -errno. */
ssize_t vhost_user_recvmsg(int socket, struct msghdr *head);

/* Until a call that waits for a frontend is interrupted, and between two attempts at it. */
#define VHOST_USER_PATIENCE_NS 20000000

/* A thread that makes such calls. A zeroed one is no thread: to interrupt it does nothing. */
struct vhost_user_waiter {
	pthread_t thread;
	timer_t timer;
	bool has_timer;
	bool waits; /* atomic: in such a call */
};

/*
 * The calling thread can be interrupted from here on; with a timer it interrupts itself. Returns 0;
 * -EAGAIN: no timer. Finish it in the same thread.
 */
int vhost_user_waiter_init(struct vhost_user_waiter *waiter, bool timer);
void vhost_user_waiter_finish(struct vhost_user_waiter *waiter);

/* Interrupt the thread, if it is in such a call; once may be too early. */
void vhost_user_interrupt(const struct vhost_user_waiter *waiter);

/* Tell event, if anyone wants to know. */
void vhost_user_session_tell(const struct vhost_user_session *session, enum vhost_user_event event,
			     const char *text);

#endif
