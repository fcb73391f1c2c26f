/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stands between a vhost-user frontend and a backend that is right, and makes it a wrong one: it
 * keeps to itself what the frontend says.
 *
 * Failures end the cmocka test. Threads: one of its own for each; the calls come from one.
 */
#ifndef TESTS_SUPPORT_VHOST_RELAY_H
#define TESTS_SUPPORT_VHOST_RELAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum vhost_relay_fault {
	RELAY_RIGHT,

	/*
	 * A reset changes nothing: the queues go on, with the features of before, until the ring
	 * of one is told anew. It has no STATUS.
	 */
	RELAY_DEAF,

	/* The status byte never comes to 0. */
	RELAY_STATUS_STAYS,
};

#define RELAY_QUEUES 8u

struct vhost_relay {
	enum vhost_relay_fault fault;
	const char *path;    /* of its own socket, short */
	const char *backend; /* of that of the backend */

	/* Private. */
	pthread_t thread;
	int listener;
	int front, back;         /* the connection */
	bool runs[RELAY_QUEUES]; /* queues that the backend has started */
	bool is_owing;           /* a reset that the backend was not told of */
	uint64_t features;       /* that it was not told of either */
};

/* Serves one frontend after the other, in a thread. */
void vhost_relay_start(struct vhost_relay *relay);

/* Ends when the frontend is gone. */
void vhost_relay_finish(struct vhost_relay *relay);

#endif
