/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block device on a store that a test steers (faults.h), and a handful of
 * requests to have in flight on it.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_ASYNC_H
#define TESTS_SUPPORT_ASYNC_H

#include "bench.h"
#include "vqsim/faults.h"

#define ASYNC_REQUESTS 8u
#define ASYNC_ROOM     16384u

struct async {
	struct bench *bench;
	struct vqsim_faults *faults;
	struct vqsim_blk_request requests[ASYNC_REQUESTS];
};

/* A split ring; limit as in faults.h, may be NULL. A packed ring. */
struct async *async_create(void (*limit)(struct blk_limits *limits));
struct async *async_create_packed(void (*limit)(struct blk_limits *limits));
void async_destroy(struct async *async);

/* Bring the device up again: requests are made anew. */
void async_up(struct async *async);

/* Operations wait in the store from now on, or go on. */
void async_hold(struct async *async);
void async_let_go(struct async *async, uint32_t count);

/* Lay request number index into queue 0; OUT data is filled with a byte of the index. */
void async_add(struct async *async, unsigned index, uint32_t type, uint64_t sector, uint32_t size);

/* One IN for each of the first count requests, published. */
void async_reads(struct async *async, unsigned count);

/* Publish and let the device work. */
enum virtio_progress async_run(struct async *async);

/* Take back what came back. Returns how many; their status must be the given one. */
unsigned async_reap(struct async *async, int status);

#endif
