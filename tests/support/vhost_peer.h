/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user frontend by hand: every message byte by byte as the caller wants it, and as much
 * of a block driver as it takes to see that a backend works.
 *
 * It has one memory file. Ring i lies in its page-aligned part i, and so do the buffers of its
 * requests:
 *
 *     PEER_RING(i)   + 0        descriptors
 *                    + 0x1000   available ring
 *                    + 0x2000   used ring
 *                    + 0x3000   header, data, status of the one request at a time
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_VHOST_PEER_H
#define TESTS_SUPPORT_VHOST_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/serve/vhost_user_wire.h"

#define PEER_SIZE    0x100000u            /* of the memory file */
#define PEER_GUEST   UINT64_C(0x80000000) /* where it is for the guest */
#define PEER_USER    UINT64_C(0x7f1200000000)
#define PEER_RING(i) ((i)*0x8000u)
#define PEER_QUEUES  2u
#define PEER_ENTRIES 16u /* of a ring */

#define PEER_PROTOCOL(name) (UINT64_C(1) << VHOST_USER_PROTOCOL_F_##name)

struct vhost_peer {
	int socket;
	int memory_fd;
	uint8_t *memory;
	int kick[PEER_QUEUES];
	int call[PEER_QUEUES];
	uint16_t used[PEER_QUEUES]; /* entries that were seen */
	bool acknowledged;          /* ask for an acknowledgement of every message that has none */
	bool may_close;             /* the backend: no acknowledgement is then no failure */

	/* Run the other end until it has nothing to do; NULL: it runs by itself. */
	void (*pump)(void *opaque);
	void *opaque;
};

/* A frontend on a connected socket, which is the peer's from here on. */
void peer_init(struct vhost_peer *peer, int socket);

/* Close everything; twice does no harm. */
void peer_finish(struct vhost_peer *peer);

/* A message to send. Descriptors stay the caller's. */
struct peer_message {
	uint32_t request;
	uint32_t flags; /* 0: VHOST_USER_VERSION */
	uint32_t size;
	const void *payload;
	unsigned fd_count;
	const int *fds;
};

/* Send it at once. Returns false: the other end has closed the connection. */
bool peer_send(struct vhost_peer *peer, const struct peer_message *message);

/* Send size bytes, whatever they are, with descriptors. */
bool peer_send_bytes(struct vhost_peer *peer, const void *bytes, size_t size, const int *fds,
		     unsigned fd_count);

enum peer_answer {
	PEER_REPLY,
	PEER_CLOSED,
	PEER_NOTHING, /* of a backend that is pumped: it has nothing to say */
};

struct peer_reply {
	struct vhost_user_header header;
	uint8_t payload[VHOST_USER_PAYLOAD_MAX];
	int fd; /* that came with it, -1: none; the caller's */
};

/* Wait for a reply, or the end. A backend that does neither in 20 seconds fails the test. */
enum peer_answer peer_receive(struct vhost_peer *peer, struct peer_reply *reply);

/* A number that is asked for with an empty message. */
uint64_t peer_ask(struct vhost_peer *peer, uint32_t request);

/*
 * Messages that have no reply. With acknowledged they return what the acknowledgement says, or
 * UINT64_MAX if there is none and the backend may close; otherwise 0.
 */
uint64_t peer_tell(struct vhost_peer *peer, uint32_t request, const void *payload, uint32_t size,
		   int fd);
uint64_t peer_tell_u64(struct vhost_peer *peer, uint32_t request, uint64_t value);
uint64_t peer_tell_state(struct vhost_peer *peer, uint32_t request, uint32_t index, uint32_t num);
uint64_t peer_tell_fd(struct vhost_peer *peer, uint32_t request, uint32_t index, int fd);

/* GET_VRING_BASE. */
uint32_t peer_stop(struct vhost_peer *peer, uint32_t index);

/* The whole memory file as the one region, at PEER_GUEST and PEER_USER. */
uint64_t peer_share_memory(struct vhost_peer *peer);

/* The region that this is. */
struct vhost_user_region peer_region(void);

/* VERSION_1 and what is in features, and protocol features; both must be offered. */
void peer_negotiate(struct vhost_peer *peer, uint64_t features, uint64_t protocol);

/* Set a split ring up and start it, enabled, with base. */
void peer_start_ring(struct vhost_peer *peer, uint32_t index, uint32_t base);

/* Everything from the first message to a started ring 0. */
void peer_set_up(struct vhost_peer *peer);

/* Expose a read of sector 0 on a split ring, which must be the only request; kick. */
void peer_expose(struct vhost_peer *peer, uint32_t index);

/* Whether one more entry is used than was seen; then it is seen. */
bool peer_used(struct vhost_peer *peer, uint32_t index);

/* Expose a read and wait for it to be used, with its status OK. */
void peer_read_sector(struct vhost_peer *peer, uint32_t index);

/* The count of notifications since the last look; does not wait. */
uint64_t peer_calls(struct vhost_peer *peer, uint32_t index);

#endif
