/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block store around another one, which a test steers: operations wait until they are
 * let go, in either order or one by one; one of them fails, whole or after a part; the store is
 * busy; it has a cache that a power cut empties; everything is logged.
 *
 * The store inside must complete at once (ram). Threads: one.
 */
#ifndef VQSIM_FAULTS_H
#define VQSIM_FAULTS_H

#include "version.h"
#include "../devices/blk/store.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VQSIM_FAULTS_LOG_MAX  256u
#define VQSIM_FAULTS_HELD_MAX 1024u /* of each queue */
#define VQSIM_FAULTS_ALL      UINT32_MAX

struct vqsim_faults_entry {
	enum blk_op op;
	unsigned flags;
	uint64_t offset, size;
	size_t segments; /* of the window */
};

struct vqsim_faults_queue;

struct vqsim_faults {
	struct blk_store base;
	struct blk_store *inner; /* owned */

	/* What the test sets. Operations are counted from 1, over all queues, as they are taken. */
	bool hold;           /* submit says BLK_QUEUED */
	bool newest_first;   /* the order in which held operations are done */
	uint32_t let_go;     /* how many held operations polls may still do; VQSIM_FAULTS_ALL */
	uint32_t fail_at;    /* this operation fails */
	int error;           /* with this negative errno */
	uint64_t part;       /* a READ or WRITE that fails has moved its first part bytes */
	bool fail_all;       /* every operation fails */
	uint32_t busy_above; /* BLK_BUSY while so many are held; 0: never */
	uint32_t busy_at;    /* BLK_BUSY once, for the submit with this number */
	void (*limit)(struct blk_limits *limits); /* changes what limits says; may be NULL */

	/* What the test reads. */
	uint32_t submits;                                    /* calls of submit */
	uint32_t taken;                                      /* operations */
	uint32_t failed;                                     /* of them, as they were told to */
	uint32_t held;                                       /* waiting now */
	uint32_t busy;                                       /* times BLK_BUSY was said */
	uint32_t queues;                                     /* open now */
	struct vqsim_faults_entry log[VQSIM_FAULTS_LOG_MAX]; /* of the first operations taken */

	/* The cache. */
	uint64_t size;
	uint8_t *medium; /* what a power cut leaves */
	uint32_t *
		changed; /* per sector: number of the operation that changed it, 0: on the medium */

	/* Private. */
	struct vqsim_faults_queue *open; /* the newest first */
};

/* Take inner over. Returns NULL without memory. */
struct vqsim_faults *vqsim_faults_create(struct blk_store *inner);

/*
 * Let one held operation go, by its number, whatever let_go says: the next poll of its queue does
 * it. Returns false: no such operation is held, or it was let go before.
 */
bool vqsim_faults_release(struct vqsim_faults *faults, uint32_t number);

/* The number of the held operation that was taken as the nth (from 0) and not released; 0: none. */
uint32_t vqsim_faults_held(const struct vqsim_faults *faults, uint32_t nth);

/*
 * The power goes and comes back: the store inside gets what is on the medium. No queue is open.
 * Returns 0 or what the store inside said.
 */
int vqsim_faults_power_cut(struct vqsim_faults *faults);

#ifdef __cplusplus
}
#endif

#endif
