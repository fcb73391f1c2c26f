/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block driver for the simulated guest: requests of virtio 1.3, 5.2.6 on any
 * queue, in any framing, with the model disk watching.
 *
 * Threads: one.
 */
#ifndef VQSIM_GUEST_BLK_H
#define VQSIM_GUEST_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_blk.h>

#include "guest.h"
#include "referee/disk.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VQSIM_BLK_STATUS_UNSET 0xff /* what the status byte holds before the device answers */

/*
 * One request slot: its guest memory is allocated once and reused. Made by
 * vqsim_blk_request_init; then, for each use, set type, sector, data_size and
 * framing and submit.
 */
struct vqsim_blk_request {
	uint32_t type; /* VIRTIO_BLK_T_* */
	uint64_t sector;
	uint32_t data_size; /* bytes, at most data_room; the direction follows from type */

	/*
	 * Where to cut the readable bytes (header, then data of OUT and segments) and
	 * the writable bytes (data of IN and GET_ID, then status) into descriptors. NULL: header,
	 * data and status are one descriptor each.
	 */
	const uint32_t *readable_cuts;
	const uint32_t *writable_cuts;
	uint16_t readable_cut_count;
	uint16_t writable_cut_count;
	bool indirect;   /* through an indirect table, if negotiated */
	uint16_t direct; /* then: descriptors before that of the table (split rings) */

	/* The answer. */
	bool done;
	uint8_t status;
	uint32_t used_len; /* skipped in an IN_ORDER batch: all writable bytes, as 2.7.9 has it */

	/*
	 * Guest memory. Header and OUT data are neighbours, and so are IN data and status, so that
	 * any cut is one run of bytes: out_gpa holds the header and then the data,
	 * in_gpa the data and then the status.
	 */
	uint32_t data_room;
	uint64_t out_gpa, in_gpa, table_gpa;
	uint8_t *out_data; /* behind the header: fill before OUT and segments */
	uint8_t *in_data;  /* the answer to IN and GET_ID */

	void *opaque; /* the user's */

	/* Private. */
	struct vqsim_blk *blk; /* that it was submitted to; NULL: not in flight */
	uint16_t queue;
	uint16_t model_count; /* in flight in the model: one for each range of the disk */
	uint16_t model_room;
	struct vqsim_disk_request *models;
	struct vqsim_element *elements;
	uint64_t out_hash; /* of the data behind the header, if the referee watches */
};

struct vqsim_blk {
	struct vqsim_guest *guest;
	struct vqsim_disk *disk; /* NULL: no model */
	uint64_t capacity;       /* sectors */
	bool write_through;      /* a completed write is durable */
	uint64_t requests;       /* completed */
	uint64_t bytes;          /* of data moved by completed IN and OUT */
	uint64_t errors;         /* completed with a status other than OK */
};

/* Take over a guest that is up: read the config space. disk may be NULL. */
void vqsim_blk_init(struct vqsim_blk *blk, struct vqsim_guest *guest, struct vqsim_disk *disk);

/* Read the capacity again (after a config-change notification). */
void vqsim_blk_reread(struct vqsim_blk *blk);

/* Write the writeback field (CONFIG_WCE). Returns 0 or what the transport said. */
int vqsim_blk_set_writeback(struct vqsim_blk *blk, bool writeback);

/*
 * Guest memory for a request with up to data_room bytes of data.
 * Returns 0 or -ENOMEM; misuse as in memory.h.
 */
int vqsim_blk_request_init(struct vqsim_blk *blk, struct vqsim_blk_request *request,
			   uint32_t data_room);

/*
 * Free the private part. A request that is still in flight counts as lost in a
 * reset: the model no longer knows what it did. A zeroed request can be finished.
 */
void vqsim_blk_request_finish(struct vqsim_blk_request *request);

/*
 * The request will not come back: its queue was reset. The model no longer knows what it
 * did; the slot may be used again.
 */
void vqsim_blk_request_lose(struct vqsim_blk_request *request);

/*
 * Write header and chain. The device sees it after vqsim_guest_publish.
 * Returns the head, or -1: the ring is full, nothing changed.
 */
int vqsim_blk_submit(struct vqsim_blk *blk, uint16_t queue, struct vqsim_blk_request *request);

/*
 * Take one completed request from a queue: done, status and used_len are set,
 * and the model has seen the answer. Returns NULL: nothing to reap.
 */
struct vqsim_blk_request *vqsim_blk_reap(struct vqsim_blk *blk, uint16_t queue);

/*
 * Submit one request, publish, run and reap until it is done.
 * Returns its status, or -1: it never came back (the device needs a reset, or
 * the ring is full).
 */
int vqsim_blk_do(struct vqsim_blk *blk, uint16_t queue, struct vqsim_blk_request *request);

#ifdef __cplusplus
}
#endif

#endif
