/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block device on a disk in memory, and what serves it: a session that is run by hand, step
 * for step, or a whole server with its threads.
 *
 * Failures end the cmocka test. Threads: one calls; a server has more of its own.
 */
#ifndef TESTS_SUPPORT_VHOST_STAGE_H
#define TESTS_SUPPORT_VHOST_STAGE_H

#include <pthread.h>

#include "vhost_peer.h"
#include "devices/blk/blk.h"
#include "devices/serve/vhost_user_internal.h"

#define STAGE_SECTORS 256u

/* What was told, counted; text is that of the last refusal. */
struct vhost_stage_events {
	unsigned count[VHOST_USER_BROKEN + 1];
	char refused[128];
};

struct vhost_stage {
	struct blk_store *store;
	struct virtio_device *device;
	struct vhost_stage_events events; /* a server's: use vhost_stage_count */
	pthread_mutex_t lock;
	pthread_cond_t changed;

	/* By hand. */
	struct vhost_user_session session;
	struct vhost_user_receiver receiver;
	struct vhost_peer peer; /* connected with the session */
	int socket;             /* the session's end; -1: it has hung up */
	unsigned news;          /* calls of the hook */

	/* A server. */
	struct vhost_user_server *server;
	pthread_t thread;
	int listen_fd;
};

/*
 * A session, and stage->peer at the other end of a socket pair. The disk is in a store that the
 * stage takes over, of STAGE_SECTORS; NULL: in memory. The same for a server below.
 */
void vhost_stage_by_hand(struct vhost_stage *stage, struct blk_store *store);

/* Take what messages there are, run the queues until they have nothing to do. It is the peer's pump. */
void vhost_stage_pump(void *stage);

/* A server on a socket of its own, and its thread. options.event is overwritten. */
void vhost_stage_serve(struct vhost_stage *stage, const struct vhost_user_options *options,
		       struct blk_store *store);

/* A new frontend of the server. */
void vhost_stage_connect(struct vhost_stage *stage, struct vhost_peer *peer);

/* A server with the default options, and a first frontend whose rings have started. */
void vhost_stage_serve_peer(struct vhost_stage *stage, struct vhost_peer *peer);

/* One more frontend comes, is served, and goes. */
void vhost_stage_assert_serves(struct vhost_stage *stage);

/* How often the server has told this. */
unsigned vhost_stage_count(struct vhost_stage *stage, enum vhost_user_event event);

/* Wait until it has told it so often; 20 seconds at the most. */
void vhost_stage_wait(struct vhost_stage *stage, enum vhost_user_event event, unsigned count);

/* Whatever it is: take it down. The server must end without an error. */
void vhost_stage_finish(struct vhost_stage *stage);

#endif
