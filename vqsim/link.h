/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The in-process transport: our guest on one side, any virtio_device on the
 * other, function calls between. It counts notifications and runs the device
 * when it is told to: nothing happens behind the caller's back.
 *
 * Threads: one.
 */
#ifndef VQSIM_LINK_H
#define VQSIM_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "version.h"
#include "../devices/device.h"
#include "../devices/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vqsim_link_queue {
	uint64_t kicks;
	uint64_t notifications;
};

struct vqsim_link {
	struct virtio_transport transport; /* the registers: use virtio_transport_* on it */
	struct virtio_device *device;
	uint64_t config_notifications;
	struct vqsim_link_queue *queues;
	uint32_t budget; /* chains a call of progress may handle, default 256 */
};

/* Connect device with memory; VIRTIO_TRANSPORT_FEATURES are offered. Returns 0 or -ENOMEM. */
int vqsim_link_init(struct vqsim_link *link, struct virtio_device *device,
		    struct guest_memory *memory);

/* Reset the device, wait for it, and disconnect; the device itself lives on. */
void vqsim_link_finish(struct vqsim_link *link);

/* The driver's kick. Ignored, as by any transport, for a queue that is not live. */
void vqsim_link_kick(struct vqsim_link *link, uint16_t queue, uint32_t data);

/*
 * Let the device work on one queue until it says something other than
 * VIRTIO_WORK_LEFT, or calls times. Returns its last word; VIRTIO_IDLE for a queue
 * that is not live.
 */
enum virtio_progress vqsim_link_run(struct vqsim_link *link, uint16_t queue, unsigned calls);

/*
 * Wait until progress is worth calling again after VIRTIO_WAITING: on the
 * device's file descriptor if it has one, otherwise not at all. Returns 0 or -errno.
 */
int vqsim_link_wait(struct vqsim_link *link, uint16_t queue);

/*
 * Reset one queue and run it until the device confirms that (2.6.1.1.2).
 * Returns 0, or what virtio_transport_reset_queue refused it with.
 */
int vqsim_link_reset_queue(struct vqsim_link *link, uint16_t queue);

/* Write 0 to the status byte and run the queues until it reads 0 (2.4). */
void vqsim_link_reset(struct vqsim_link *link);

#ifdef __cplusplus
}
#endif

#endif
