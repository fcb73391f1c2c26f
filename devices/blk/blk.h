/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio block device (virtio 1.3, 5.2): the host side of a virtual disk.
 *
 * IN, OUT, FLUSH, GET_ID, DISCARD and WRITE_ZEROES on any number of queues; any
 * framing of a request into descriptors (2.7.4.1). Data moves between guest
 * memory and the store without a copy.
 *
 * What the standard leaves open is answered as follows: a request outside the
 * disk, with a length that is no multiple of 512 (or, for segments, of 16), with
 * no segment or too many, or misaligned for the store gets IOERR and changes nothing; an
 * unknown type, and DISCARD or WRITE_ZEROES that was not negotiated, get UNSUPP; FLUSH is
 * always served. All segments of a request are checked before the first is carried out. A request without a
 * byte for the status is used with length 0. An IN or OUT of no bytes succeeds. A
 * GET_ID buffer may have any size: it gets as much of the 20 bytes as fits and
 * the used length tells. The used length counts the bytes that were written
 * without a gap from the start: a failed IN with data reports 0.
 *
 * Write cache (5.2.6.2): with FLUSH negotiated (and writeback 1, if CONFIG_WCE is
 * negotiated) writes are durable after a FLUSH. Otherwise each write is durable
 * when it is used.
 *
 * Threads: as in device.h.
 */
#ifndef DEVICES_BLK_BLK_H
#define DEVICES_BLK_BLK_H

#include "../device.h"
#include "store.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BLK_API_MAJOR 0
#define BLK_API_MINOR 1

#define BLK_SECTOR_SIZE 512u
#define BLK_ID_SIZE     20u

/* Segments in one DISCARD or WRITE_ZEROES. */
#define BLK_DISCARD_SEGMENTS_MAX 32u

/* What a blk device is made with. A zeroed member means the default. */
struct blk_options {
	uint16_t queue_count;    /* default 1; more than 1 offers MQ */
	uint16_t queue_size_max; /* a power of two; default 1024 */
	uint32_t seg_max;        /* data segments; default: queue_size_max - 2, at most 254 */
	uint32_t size_max;       /* bytes in a segment; default: not offered */
	uint32_t block_size; /* blk_size; a power of two, 512..65536; default: that of the store */
	const char *id;      /* answer to GET_ID, at most 20 bytes; default "" */
	bool read_only;      /* offer RO even if the store can be written */
	uint64_t hidden_features; /* device features not to offer */
};

/*
 * Make a device on a store; the store is used until destroy and is not owned.
 * Returns 0; -EINVAL: an option is impossible; -ENOMEM; -EMFILE and -ENFILE.
 */
int blk_create(struct virtio_device **dev, const struct blk_options *options,
	       struct blk_store *store);

/*
 * The store was resized (by its resize, or from outside), or whether it can unmap changed: read
 * its limits again. If the capacity or write_zeroes_may_unmap changed, the driver gets a
 * config-change notification (5.2.6.2). Call it when no call on any queue is running.
 */
void blk_capacity_changed(struct virtio_device *dev);

/*
 * The same from any thread at any time, a signal handler included: it is done in the next
 * virtio_device_ops.event, which the transport calls.
 */
void blk_look_again(struct virtio_device *dev);

#ifdef __cplusplus
}
#endif

#endif
