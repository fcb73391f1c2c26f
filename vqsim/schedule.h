/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens next: a block device on a store that completes when it is told to, several queues,
 * and a choice of the next step each time more than one is possible. The choices come from a
 * seed, or they are all made, one run after the other.
 *
 * The same seed makes the same steps; the log, a line of text for each, is the same byte for
 * byte, whatever compiler built the program.
 *
 * Threads: one.
 */
#ifndef VQSIM_SCHEDULE_H
#define VQSIM_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "faults.h"
#include "guest_blk.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Choices, of which there are at most so many in one run when all of them are made. */
#define VQSIM_SCHEDULE_DEPTH_MAX 256u

/* Where choices come from. */
struct vqsim_schedule {
	bool all;
	uint64_t random;

	/* The path of the present run: choice number i was taken[i] of counts[i]. */
	unsigned depth;
	unsigned at;
	uint16_t taken[VQSIM_SCHEDULE_DEPTH_MAX];
	uint16_t counts[VQSIM_SCHEDULE_DEPTH_MAX];
};

/* Choices by chance, from a seed. */
void vqsim_schedule_seed(struct vqsim_schedule *schedule, uint64_t seed);

/*
 * All choices: depth first, each run from its start.
 *
 *     vqsim_schedule_all(&schedule);
 *     do
 *             ... one run ...
 *     while (vqsim_schedule_again(&schedule));
 */
void vqsim_schedule_all(struct vqsim_schedule *schedule);

/* The next run takes another path. Returns false: every path was taken. */
bool vqsim_schedule_again(struct vqsim_schedule *schedule);

/* One of 0..count - 1, count > 0. */
unsigned vqsim_schedule_choose(struct vqsim_schedule *schedule, unsigned count);

#define VQSIM_PLAY_SLOTS  16u
#define VQSIM_PLAY_QUEUES 8u

/*
 * What is played. A request slot belongs to one queue: slot number i to queue i % queues. A slot
 * is used again, as often as all others or once less, until total requests were added.
 *
 * A step is possible where it can change something: a queue runs that was published to, or of which
 * an operation was let go; what came back is taken where the device has run since. With idle_steps
 * a queue may run, be kicked and be looked at at any time.
 */
struct vqsim_play {
	/* The user's. None is owned. */
	struct vqsim_guest *guest;
	struct vqsim_guest_config config;
	struct vqsim_disk *disk;     /* may be NULL */
	struct vqsim_faults *faults; /* what the device keeps its data in */
	unsigned slots;
	uint32_t total;
	uint32_t data_room; /* bytes of data, of each slot */
	uint32_t resets;    /* so many resets, at any step */
	bool idle_steps;
	FILE *log; /* may be NULL */

	/* Set type, sector, data_size (and data, framing) of request number 0..total - 1. */
	void (*fill)(void *opaque, struct vqsim_blk_request *request, uint32_t number);
	void *opaque;

	/* What came of it. */
	uint64_t steps;
	uint32_t completed;
	uint32_t lost; /* in a reset */
	uint32_t resets_done;
	bool stuck; /* no step was possible, or the device asked for a reset */

	/* Private. */
	struct vqsim_blk blk;
	struct vqsim_blk_request requests[VQSIM_PLAY_SLOTS];
	uint32_t numbers[VQSIM_PLAY_SLOTS]; /* of the requests in them */
	uint32_t uses[VQSIM_PLAY_SLOTS];
	uint32_t added;
	uint16_t queue_count;
	uint16_t unpublished[VQSIM_PLAY_QUEUES];
	uint16_t out[VQSIM_PLAY_QUEUES]; /* published, not reaped */
	bool full[VQSIM_PLAY_QUEUES];    /* until something is reaped */
	bool due[VQSIM_PLAY_QUEUES];     /* there is something to do for the device */
	bool ready[VQSIM_PLAY_QUEUES];   /* there may be something to reap */
	uint8_t owner[256];              /* queue of an operation, by its number */
};

/* Bring the device up and play until all requests came back or were lost. Stays up. */
void vqsim_play_run(struct vqsim_play *play, struct vqsim_schedule *schedule);

#ifdef __cplusplus
}
#endif

#endif
