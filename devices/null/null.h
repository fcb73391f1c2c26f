/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The null device: a virtqueue with nothing behind it. It is the tutorial for
 * writing a device (README.md beside this file), the subject of the ring tests
 * and fuzzers, and the zero line of the benchmarks.
 *
 * It takes requests of the shape of a block read: NULL_HEADER_SIZE readable
 * bytes, then writable bytes of which the last is a status. Each is answered at
 * once: with NULL_FILL the writable bytes but the last, counted from 0 over all
 * descriptors, get (uint8_t)(first byte of the header + number of the byte), by
 * a copy out of memory of the device's own, and the status is NULL_STATUS_OK;
 * without it only the status is written. A request with a short header gets
 * NULL_STATUS_BAD_HEADER; one without a writable byte is used with length 0.
 *
 * Used length: everything up to and including the status if all of it was
 * written, otherwise 0 (virtio 1.3, 2.7.8.2: bytes are counted without a gap).
 *
 * Threads: as in device.h.
 */
#ifndef DEVICES_NULL_NULL_H
#define DEVICES_NULL_NULL_H

#include "../device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NULL_API_MAJOR 0
#define NULL_API_MINOR 1

#define NULL_HEADER_SIZE 16u

enum null_status {
	NULL_STATUS_OK = 0,
	NULL_STATUS_BAD_HEADER = 1,
};

enum null_flags {
	NULL_FILL = 1, /* write the data part too */
};

/*
 * A device with queue_count queues (> 0) of at most queue_size_max elements (a
 * power of two up to 32768). Returns 0; -EINVAL; -ENOMEM. Free it with
 * ops->destroy.
 */
int null_create(struct virtio_device **dev, uint16_t queue_count, uint16_t queue_size_max,
		unsigned flags);

#ifdef __cplusplus
}
#endif

#endif
