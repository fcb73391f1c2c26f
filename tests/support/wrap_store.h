/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store around another one, which a test steers: operations wait until they are
 * let go, in either order; one of them fails; the store is busy; it has a cache
 * that a power cut empties; everything is logged.
 *
 * The store inside must complete at once (ram). Threads: one.
 */
#ifndef TESTS_SUPPORT_WRAP_STORE_H
#define TESTS_SUPPORT_WRAP_STORE_H

#include "devices/blk/store.h"

#define WRAP_LOG_MAX  256u
#define WRAP_HELD_MAX 1024u
#define WRAP_ALL      UINT32_MAX

struct wrap_entry {
	enum blk_op op;
	unsigned flags;
	uint64_t offset, size;
	size_t segments; /* of the window */
};

struct wrap_store {
	struct blk_store base;
	struct blk_store *inner; /* owned */

	/* What the test sets. Operations are counted from 1, over all queues, as they are taken. */
	bool hold;           /* submit says BLK_QUEUED */
	bool newest_first;   /* the order in which held operations are done */
	uint32_t let_go;     /* how many held operations polls may still do; WRAP_ALL */
	uint32_t fail_at;    /* this operation fails */
	int error;           /* with this negative errno */
	bool fail_all;       /* every operation fails */
	uint32_t busy_above; /* BLK_BUSY while so many are held; 0: never */
	uint32_t busy_at;    /* BLK_BUSY once, for the submit with this number */
	void (*limit)(struct blk_limits *limits); /* changes what limits says; may be NULL */

	/* What the test reads. */
	uint32_t submits;                    /* calls of submit */
	uint32_t taken;                      /* operations */
	uint32_t held;                       /* waiting now */
	uint32_t busy;                       /* times BLK_BUSY was said */
	uint32_t queues;                     /* open now */
	struct wrap_entry log[WRAP_LOG_MAX]; /* of the first operations taken */

	/* The cache. */
	uint64_t size;
	uint8_t *medium; /* what a power cut leaves */
	uint32_t *
		changed; /* per sector: number of the operation that changed it, 0: on the medium */
};

/* Take inner over. Returns NULL without memory. */
struct wrap_store *wrap_store_create(struct blk_store *inner);

#endif
