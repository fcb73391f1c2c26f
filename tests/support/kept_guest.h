/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest with a disk that outlives its backends: memory, rings, inflight areas and what it
 * expects of the disk stay, and each connection is to another process that goes on with them.
 *
 * It keeps its rings full of reads, writes and flushes. A write says in every word which one
 * it is; a read must find the last write that came back. What comes back that is not in
 * flight, with another length or status, or not at all, fails the test.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_KEPT_GUEST_H
#define TESTS_SUPPORT_KEPT_GUEST_H

#include "vhost_peer.h"
#include "vqsim/driver.h"
#include "vqsim/schedule.h"

#define KEPT_SECTORS   128u /* of the disk; each queue has its share */
#define KEPT_SLOTS     24u  /* requests of a queue at a time */
#define KEPT_RING_SIZE 64u

struct kept_options {
	uint64_t features; /* beside VERSION_1 and FLUSH */
	unsigned queues;   /* at most PEER_QUEUES */
	uint64_t seed;
};

/* A request. Its buffers lie in guest memory; only its driver knows this. */
struct kept_slot {
	bool in_flight;
	uint32_t type;   /* VIRTIO_BLK_T_ */
	uint32_t sector; /* a flush has none */
	uint64_t stamp;  /* of the write */
	uint64_t gpa;
};

struct kept_queue {
	struct vqsim_driver driver;
	struct kept_slot slots[KEPT_SLOTS];
};

struct kept_guest {
	struct kept_options options;
	struct vqsim_memory memory;
	struct kept_queue queues[PEER_QUEUES];
	struct vqsim_schedule schedule;
	struct vhost_peer peer;
	bool connected;

	uint64_t content[KEPT_SECTORS]; /* stamp of the last write that came back, 0: none */
	bool busy[KEPT_SECTORS];        /* a request on it is in flight */
	uint64_t stamp;
	uint64_t completed; /* requests of all queues */

	int inflight_fd; /* -1: none yet */
	struct vhost_user_inflight inflight;
};

void kept_guest_init(struct kept_guest *guest, const struct kept_options *options);
void kept_guest_finish(struct kept_guest *guest);

/* A backend is at the other end of socket, which is the guest's now. */
void kept_guest_connect(struct kept_guest *guest, int socket);

/* Stop the rings; nothing may be in flight. */
void kept_guest_stop(struct kept_guest *guest);

/* The backend is dead. */
void kept_guest_disconnect(struct kept_guest *guest);

/*
 * Take what came back and, with more, fill the rings again. Waits for a notification
 * if there is nothing to take, at most until deadline (ns of CLOCK_MONOTONIC); none at all for
 * 20 seconds is a failure.
 */
void kept_guest_step(struct kept_guest *guest, bool more, uint64_t deadline);

unsigned kept_guest_in_flight(const struct kept_guest *guest);

/* The disk, which lies in this file, holds what it must. Nothing may be in flight. */
void kept_guest_check(const struct kept_guest *guest, const char *path);

uint64_t kept_guest_now(void);

#endif
