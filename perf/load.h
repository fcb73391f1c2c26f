/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The work that is measured: the driver's side of reads of 4 KiB, in batches. A
 * batch is added, published once, given to the device with one call, and
 * reaped; id, length and status of each answer are checked.
 *
 * Ring of 256, split unless the subject says packed, one memory region, three descriptors (16 bytes out, 4096
 * in, 1 status in), PERF_BUFFERS buffers in turn, no notification wanted,
 * neither EVENT_IDX nor INDIRECT. The device sees guest memory at the driver's own
 * addresses: a second mapping, as in tests, costs each first touch of a line that
 * the other side wrote on processors that predict ways by virtual address.
 *
 * A failure ends the process with a message.
 *
 * Threads: one for each load.
 */
#ifndef PERF_LOAD_H
#define PERF_LOAD_H

#include <linux/virtio_blk.h>

#include "../vqsim/guest.h"
#include "subject.h"

/* Chains of three descriptors, one for each buffer, fit into the ring. */
#define PERF_QUEUE_SIZE 256u
#define PERF_BATCH_MAX  PERF_BUFFERS

struct perf_buffer {
	_Alignas(
		128) struct vqsim_element elements[3]; /* two cache lines a buffer, no shared one */
	struct vqsim_chain chain;
	struct virtio_blk_outhdr *header; /* in the driver's mapping */
	uint8_t *status;
	uint64_t sector;
};

struct perf_load {
	struct perf_buffer buffers[PERF_BUFFERS]; /* first: the cheapest to address */
	const struct perf_subject *subject;
	struct virtio_device *device;
	struct blk_store *store;
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	bool refereed;
	uint32_t used_len; /* of a good answer */
	struct vqsim_guest guest;
};

/*
 * Bring the subject up. refereed: as in tests, through the guest with the referee
 * watching and with two mappings of its memory.
 */
void perf_load_init(struct perf_load *load, const struct perf_subject *subject, bool refereed);
void perf_load_finish(struct perf_load *load);

/* Do at least requests requests, in batches of batch (1..PERF_BATCH_MAX). */
void perf_load_run(struct perf_load *load, unsigned batch, unsigned requests);

/*
 * One call of the device, and nothing else: instructions are counted inside of
 * this function, which callgrind finds by its name.
 */
enum virtio_progress perf_device_progress(struct virtio_device *device, uint16_t queue);

/* Show the device the driver's mapping of a memory of one region instead of its own. Returns 0 or -errno. */
int perf_one_mapping(struct vqsim_memory *memory);

#endif
