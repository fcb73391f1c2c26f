/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What must hold after a frontend that was hostile: the server has answered or closed the
 * connection, and serves the next one; it holds no descriptor and no mapping of the one before.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_VHOST_HOSTILE_H
#define TESTS_SUPPORT_VHOST_HOSTILE_H

#include "vhost_stage.h"

struct hostile {
	struct vhost_stage stage;
	struct vhost_peer peer; /* the present frontend */
	unsigned frontends;     /* that have come and gone */
	unsigned fds;           /* of the process, when nobody is connected */
	unsigned maps;          /* of memory files */
};

/* A server that has served once. */
void hostile_begin(struct hostile *h);

/* A new frontend, h->peer. */
void hostile_connect(struct hostile *h);

/* The same, negotiated with every protocol feature that is offered, but REPLY_ACK if it is not wanted. */
void hostile_negotiate(struct hostile *h, bool acknowledge);

/*
 * The server answers h->peer, whatever it said before, or has closed the connection. Returns which:
 * true, it answers.
 */
bool hostile_answers(struct hostile *h);

/* h->peer goes; the next frontend is served, and what is left is what was there at the beginning. */
void hostile_leave(struct hostile *h);

void hostile_end(struct hostile *h);

#endif
