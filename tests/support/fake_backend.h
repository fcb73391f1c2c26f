/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user backend that answers every message rightly, but for one slip, and has nothing
 * behind its rings: what a frontend must be able to stand.
 *
 * Threads: one of its own for each; the calls come from one.
 */
#ifndef TESTS_SUPPORT_FAKE_BACKEND_H
#define TESTS_SUPPORT_FAKE_BACKEND_H

#include <pthread.h>
#include <stdint.h>

/* What it does at the first message of a kind. */
enum fake_slip {
	FAKE_NONE,
	FAKE_CLOSES,
	FAKE_SILENT,
	FAKE_HALF,          /* of the header, and no more */
	FAKE_OTHER_REQUEST, /* the answer is to another one */
	FAKE_NO_REPLY,      /* without the flag that it is an answer */
	FAKE_VERSION,
	FAKE_HUGE,  /* more bytes than any message has */
	FAKE_LONG,  /* some more than it should */
	FAKE_SHORT, /* some less */
	FAKE_FD,    /* a descriptor comes with it */
	FAKE_TWICE,
	FAKE_REFUSES, /* an acknowledgement that is none */
	FAKE_SLIPS
};

struct fake_backend {
	char path[64]; /* of its socket */
	uint64_t features;
	uint64_t protocol_features;
	uint64_t queue_count;
	uint32_t config_size; /* the most it gives */
	uint32_t request;     /* at which it slips */
	enum fake_slip slip;

	/* Private. */
	char folder[48];
	pthread_t thread;
	int listener;
	int socket; /* of the frontend, -1: none yet; atomic */
};

/* Serves one frontend, in a thread; a zeroed member has a default. Failures end the cmocka test. */
void fake_backend_start(struct fake_backend *backend);

/* Goes away from its frontend, at once. */
void fake_backend_hang_up(struct fake_backend *backend);

/* Waits until the frontend is gone. */
void fake_backend_finish(struct fake_backend *backend);

/* Descriptors that this process has open. */
unsigned fake_backend_fds(void);

#endif
