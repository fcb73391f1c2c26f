/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block device that is wrong in how it answers: it stands around a good one,
 * meddles with a request before the good one sees it (what the driver wrote is put back) and
 * with the answer before the driver sees it. Of split rings and stores that answer at once.
 *
 *     static const struct wrong_bend mute = {
 *         .ops = {.progress = wrong_blk_progress},
 *         .how = &(const struct wrong_blk_hooks){.after = forget_status},
 *     };
 *     {.test = "...", .wrap_device = wrong_wrap_create, .how = &mute, ...},
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_WRONG_BLK_H
#define TESTS_SUPPORT_WRONG_BLK_H

#include "wrong_wrap.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WRONG_BLK_SAVED 512u

struct wrong_blk_request {
	uint32_t type;
	uint8_t *header;       /* 16 bytes, little-endian fields */
	uint8_t *payload;      /* readable bytes behind it */
	uint32_t payload_size; /* bytes */
	uint8_t *answer;       /* writable bytes; the last is the status */
	uint32_t answer_size;
	uint8_t *last;      /* start of the last writable descriptor */
	uint32_t *used_len; /* after: as in the used ring, little-endian */

	/* Private: what is put back. */
	uint8_t saved[16 + WRONG_BLK_SAVED];
};

/* Called for each request; both may be NULL. */
struct wrong_blk_hooks {
	void (*before)(struct wrong_blk_request *request);
	void (*after)(struct wrong_blk_request *request);
};

/* To be bent to: .ops = {.progress = wrong_blk_progress}, .how = a struct wrong_blk_hooks. */
enum virtio_progress wrong_blk_progress(struct virtio_device *dev, uint16_t index, uint32_t budget);

#ifdef __cplusplus
}
#endif

#endif
