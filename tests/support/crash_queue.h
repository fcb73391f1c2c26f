/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue with an inflight area, a driver of it, and a device that may die: what the device
 * shares with the world is remembered after each of its stores, and a new device is
 * started on each of these states. The driver must get every request back exactly once.
 *
 * Request number i has a readable buffer that says i and a writable one for its answer, so that
 * it is known which one the device was given, and in which order.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_CRASH_QUEUE_H
#define TESTS_SUPPORT_CRASH_QUEUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtqueue.h"
#include "vqsim/driver.h"
#include "vqsim/schedule.h"

#define CRASH_REQUESTS  20u
#define CRASH_SIZE_MAX  8u
#define CRASH_MEMORY    4096u /* a page */
#define CRASH_AREA_SIZE 512u

struct crash_options {
	uint64_t features;
	uint16_t size;
	bool tables; /* every second request in an indirect table */
	uint64_t seed;
};

/* All that outlives the device, and what the driver knows. */
struct crash_state {
	struct vqsim_driver driver;
	struct vqsim_driver_slot slots[CRASH_SIZE_MAX];
	unsigned exposed; /* requests so far */
	uint8_t returned[CRASH_REQUESTS];
	uint8_t memory[CRASH_MEMORY];
	uint8_t area[CRASH_AREA_SIZE];
};

struct crash_queue {
	struct crash_options options;
	struct vqsim_memory memory;
	struct virtio_device dev;
	struct vqsim_driver driver;
	struct vqsim_schedule schedule;
	uint64_t gpa; /* of the requests */
	unsigned exposed;
	uint8_t returned[CRASH_REQUESTS];
	uint8_t *area;

	/* The device: it holds chains, and dies with them. */
	struct virtqueue *vq;
	struct virtqueue_chain *held[CRASH_SIZE_MAX];
	unsigned held_count;
	int last_popped; /* request, -1: none yet */

	/* What it left, after each store, if that is asked for. */
	struct crash_state *states;
	size_t count;
	size_t room; /* 0: none is remembered */
};

void crash_queue_init(struct crash_queue *q, const struct crash_options *options);
void crash_queue_finish(struct crash_queue *q);

/* A new device on what the last one left. Its queue starts, or the test fails. */
void crash_queue_start(struct crash_queue *q);

/* The device dies: it says nothing more to anyone. */
void crash_queue_die(struct crash_queue *q);

/* Go back to state number index. The device must be dead. */
void crash_queue_restore(struct crash_queue *q, const struct crash_state *state);

/* A step of driver or device by chance. Remembers states if there is room for any. */
void crash_queue_step(struct crash_queue *q);

/* Steps until every request came back. Fails if one does not, or comes twice. */
void crash_queue_run(struct crash_queue *q);

/* The driver takes what is used. */
void crash_queue_reap(struct crash_queue *q);

/* The driver exposes one more request, if there is one and room for it. */
void crash_queue_expose(struct crash_queue *q);

#endif
