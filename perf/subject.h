/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is measured: devices that answer the same request, a read of 4 KiB in the
 * shape of virtio-blk, each with more or less behind the ring. The driver's side
 * (load.h) does not know which one it has.
 *
 * Threads: one for each device.
 */
#ifndef PERF_SUBJECT_H
#define PERF_SUBJECT_H

#include <stdint.h>

#include "../devices/blk/store.h"
#include "../devices/device.h"

#define PERF_HEADER_SIZE 16u
#define PERF_DATA_SIZE   4096u
#define PERF_BUFFERS     64u

struct perf_subject {
	const char *name;

	/*
	 * Make the device and, if it needs one, its store, of PERF_BUFFERS blocks
	 * of PERF_DATA_SIZE. Returns 0 or -errno.
	 */
	int (*create)(struct virtio_device **dev, struct blk_store **store);

	uint32_t used_len; /* what a good answer has as its length */

	/* The subject that does the same without a device; NULL: this is one, or there is none. */
	const char *null_case;

	uint64_t features; /* that the driver takes beside VERSION_1 */
};

/* In the order of what they do; the last one has no name. */
extern const struct perf_subject perf_subjects[];

/* NULL: there is no such subject. */
const struct perf_subject *perf_subject_find(const char *name);

/* The 4 KiB of an answer by hand. */
enum perf_copy {
	PERF_COPY_NOTHING,
	PERF_COPY_PATTERN, /* from where the null device has them: the same 4 KiB each time */
	PERF_COPY_STORE,   /* from where a store has them: PERF_BUFFERS blocks in turn */
};

/*
 * No device: what is left of a request when the other side trusts every byte
 * and does nothing but answer, and perhaps copy.
 */
int perf_none_create(struct virtio_device **dev, enum perf_copy copy);

#endif
