/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frontend that carries operations out against a session of the vhost-user server, which is run
 * by hand on a block device. Messages travel over a socket pair, as they would.
 *
 * Afterwards, whatever was done: the session holds no memory and no descriptor of its frontend,
 * and the next one, which behaves, is served. What does not hold ends the process.
 *
 * Threads: one.
 */
#ifndef FUZZ_SUPPORT_VHOST_PLAYER_H
#define FUZZ_SUPPORT_VHOST_PLAYER_H

#include "devices/blk/blk.h"
#include "devices/serve/vhost_user_internal.h"
#include "vhost_ops.h"

#define FUZZ_VHOST_RINGS  2u
#define FUZZ_VHOST_MEMORY 0x10000u

struct fuzz_vhost_ring {
	int kick;
	int call;
	uint16_t next; /* position of the next chain; packed: two slots each */
	bool wrap;
	uint32_t base; /* where the frontend believes it to be */
};

struct fuzz_vhost_player {
	struct blk_store *store;
	struct virtio_device *device;
	struct vhost_user_session session;
	struct vhost_user_receiver receiver;
	int server; /* the session's end of the connection, -1: it has hung up */

	/* The frontend. */
	int socket;
	int memory_fd;
	uint8_t *memory;
	int areas_fd; /* of the last GET_INFLIGHT_FD, -1: none */
	int channel;  /* our end of the last backend channel, -1: none */
	uint64_t features;
	uint64_t protocol;
	struct fuzz_vhost_ring rings[FUZZ_VHOST_RINGS];

	uint64_t completed; /* notifications that came */
	uint64_t gone;      /* frontends that were hung up on */
};

void fuzz_vhost_player_init(struct fuzz_vhost_player *player);
void fuzz_vhost_player_finish(struct fuzz_vhost_player *player);

/* Each operation is told in words on standard output if verbose. */
void fuzz_vhost_play(struct fuzz_vhost_player *player, const uint8_t *data, size_t size,
		     bool verbose);

/* The payload of a right message about a ring; returns its size. */
uint32_t fuzz_vhost_payload(const struct fuzz_vhost_player *player, uint8_t request, uint8_t ring,
			    uint8_t payload[VHOST_USER_PAYLOAD_MAX]);

/* A descriptor for one, the caller's; -1: it has none. */
int fuzz_vhost_right_fd(struct fuzz_vhost_player *player, uint8_t request, uint8_t ring);

/* Where things are, in the memory file and for the guest. */
#define FUZZ_VHOST_GUEST       UINT64_C(0x10000)
#define FUZZ_VHOST_USER        UINT64_C(0x7f0000000000)
#define FUZZ_VHOST_RING(index) ((index)*0x8000u) /* + 0x1000 available, + 0x2000 used, + 0x3000 */
#define FUZZ_VHOST_ENTRIES     8u

#endif
