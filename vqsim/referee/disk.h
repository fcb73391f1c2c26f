/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model of a disk: what every read must return, and what must survive a loss of power.
 * The block driver tells it what it asks for and what it was answered.
 *
 * The model is exact where the standard is. Bytes that a request in flight may
 * or may not have changed are unknown: sectors under a concurrent write, under a
 * write that failed, and after DISCARD. The next read of them that nothing
 * disturbs settles what they are.
 *
 * Threads: one.
 */
#ifndef VQSIM_REFEREE_DISK_H
#define VQSIM_REFEREE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "referee.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VQSIM_DISK_SECTOR 512u

enum vqsim_disk_op {
	VQSIM_DISK_READ,
	VQSIM_DISK_WRITE,
	VQSIM_DISK_FLUSH,
	VQSIM_DISK_DISCARD,
	VQSIM_DISK_WRITE_ZEROES,
};

/* One request in flight. The owner keeps it until vqsim_disk_done. */
struct vqsim_disk_request {
	enum vqsim_disk_op op;
	uint64_t sector;
	uint64_t count;      /* sectors; 0 for a flush */
	const uint8_t *data; /* WRITE: what is written; READ: where the answer will be */
	bool fua;            /* durable when done (no FLUSH negotiated, or writeback 0) */

	/* Private to the model. */
	uint64_t started; /* the clock when it was exposed */
};

struct vqsim_disk {
	struct vqsim_referee *referee;
	uint64_t sectors;
	uint8_t *now;      /* volatile content */
	uint8_t *durable;  /* what a loss of power must leave; valid where known */
	uint8_t *state;    /* per sector: bits of what is known */
	uint16_t *writers; /* per sector: requests in flight that change it */
	uint64_t *written; /* per sector: the clock after the last of them came back */
	uint64_t clock;    /* counts the requests that came back and may have changed something */
	uint64_t *dirty;   /* sectors with a write that no flush has covered; room for all */
	uint64_t dirty_count;
};

/* A disk of size bytes (a multiple of 512) whose content is unknown. Returns 0 or -ENOMEM. */
int vqsim_disk_init(struct vqsim_disk *disk, struct vqsim_referee *referee, uint64_t size);

/* A zeroed disk can be finished. */
void vqsim_disk_finish(struct vqsim_disk *disk);

/* The content is known and durable: data is size bytes of the disk at byte offset; NULL: zeroes. */
void vqsim_disk_know(struct vqsim_disk *disk, uint64_t offset, const uint8_t *data, uint64_t size);

/* A request is about to be exposed. Its range lies inside the disk. */
void vqsim_disk_start(struct vqsim_disk *disk, struct vqsim_disk_request *request);

/* It came back; ok: with status OK. queue is for the message of a violation. */
void vqsim_disk_done(struct vqsim_disk *disk, struct vqsim_disk_request *request, bool ok,
		     uint16_t queue);

/*
 * Compare what a loss of power left (image, of the disk's size) with what must be durable.
 * Returns the number of sectors that differ; each is a violation.
 */
uint64_t vqsim_disk_check_durable(struct vqsim_disk *disk, const uint8_t *image);

#ifdef __cplusplus
}
#endif

#endif
