/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all transports share: the status byte, feature negotiation, the rules for
 * setting up queues, and the access checks of the config space (virtio 1.3, 2.1
 * to 2.6 and 3.1). A transport translates its own registers or messages into
 * these calls and passes refusals on in its own way.
 *
 * It is not a transport: it moves no notification and knows no thread. The
 * transport's virtio_transport_ops.needs_reset must call
 * virtio_transport_needs_reset.
 *
 * Threads: one caller at a time, when no call on any queue is running; but
 * virtio_transport_needs_reset and virtio_transport_status from any thread.
 */
#ifndef DEVICES_TRANSPORT_H
#define DEVICES_TRANSPORT_H

#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VIRTIO_TRANSPORT_API_MAJOR 0
#define VIRTIO_TRANSPORT_API_MINOR 1

/*
 * Features of the transport and of this contract, not of a device: what they
 * promise, every device behind the contract can do. A transport that keeps the
 * promise puts them into own_features.
 *   RING_RESET         queue_stop and queue_start are a queue reset and its end (2.6.1)
 *   NOTIFICATION_DATA  a kick carries data, which no device trusts (2.9)
 * A device gets to see them in set_features only if it offers them too.
 */
#define VIRTIO_TRANSPORT_F_NOTIFICATION_DATA 38
#define VIRTIO_TRANSPORT_F_RING_RESET        40
#define VIRTIO_TRANSPORT_FEATURES                               \
	(VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_NOTIFICATION_DATA) | \
	 VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET))

/* Bits of the device status that linux/virtio_config.h may lack (virtio 1.3, 2.1). */
#define VIRTIO_STATUS_NEEDS_RESET 64u

enum virtio_queue_phase {
	VIRTIO_QUEUE_DISABLED,
	VIRTIO_QUEUE_ENABLED,  /* set up; starts with DRIVER_OK */
	VIRTIO_QUEUE_STARTED,  /* live */
	VIRTIO_QUEUE_STOPPING, /* queue_stop said VIRTIO_PENDING */
};

struct virtio_transport_queue {
	struct virtio_queue_setup setup;
	enum virtio_queue_phase phase;
};

struct virtio_transport {
	struct virtio_device *device;
	uint64_t own_features;      /* shown beside those of the device, 0 after init */
	uint64_t hidden_features;   /* offered by the device but not shown */
	uint64_t required_features; /* FEATURES_OK is refused without them */

	uint64_t driver_features;
	uint8_t status; /* read and written atomically */
	bool resetting; /* 0 was written and the device is not done */
	uint16_t queue_count;
	struct virtio_transport_queue *queues;
};

/*
 * Prepare for a device that is attached already. required always includes
 * VIRTIO_F_VERSION_1 (there is no legacy interface).
 * Returns 0 or -ENOMEM.
 */
int virtio_transport_init(struct virtio_transport *t, struct virtio_device *device,
			  uint64_t hidden_features, uint64_t required_features);

/* Free the queue table. The device must have been reset. A zeroed transport can be finished. */
void virtio_transport_finish(struct virtio_transport *t);

/* The bits that the driver is shown. */
uint64_t virtio_transport_features(const struct virtio_transport *t);

/*
 * The driver's choice, before FEATURES_OK.
 * Returns 0; -EBUSY: FEATURES_OK is set and the choice is fixed (2.2).
 */
int virtio_transport_set_features(struct virtio_transport *t, uint64_t features);

/* The status byte as the driver reads it; stays non-zero while a reset is pending. */
uint8_t virtio_transport_status(const struct virtio_transport *t);

/*
 * The driver writes the status byte. 0 resets; other values add bits, and a bit
 * that is missing from value stays set (2.1.1). FEATURES_OK stays clear if the
 * device refuses the features; DRIVER_OK stays clear without FEATURES_OK.
 * With DRIVER_OK the enabled queues start; if one cannot, the device needs a
 * reset.
 */
void virtio_transport_write_status(struct virtio_transport *t, uint8_t value);

/*
 * Go on with a reset that the device could not finish at once. Call after
 * progress on the queues. Returns VIRTIO_PENDING while it is not done.
 */
enum virtio_completion virtio_transport_continue(struct virtio_transport *t);

/*
 * Set DEVICE_NEEDS_RESET. Returns whether the transport must send a
 * config-change notification: DRIVER_OK was set, and the bit was not (2.1.2).
 */
bool virtio_transport_needs_reset(struct virtio_transport *t);

/*
 * Enable a queue. It starts with DRIVER_OK, or at once if that is set. The ring is split
 * or packed as negotiated.
 * Returns 0; -EINVAL: no such queue, size 0 or above the maximum or (split) not
 * a power of two, an address not aligned (split: 16, 2 and 4; packed: 16, 4 and 4) or
 * past 2^64; -EBUSY: it is enabled
 * already (setup is taken once, 4.1.4.3.2), features are not negotiated, or the
 * device needs a reset; -EFAULT and -ENOMEM from queue_start.
 */
int virtio_transport_enable_queue(struct virtio_transport *t, uint16_t index,
				  const struct virtio_queue_setup *setup);

/*
 * Stop one live queue and disable it; *state (may be NULL) says where it stood.
 * Returns VIRTIO_DONE (also for a queue that is not live: its setup is
 * forgotten, *state is fresh or what it would have resumed from) or
 * VIRTIO_PENDING: call again after progress. index must be below queue_count.
 */
enum virtio_completion virtio_transport_stop_queue(struct virtio_transport *t, uint16_t index,
						   struct virtio_queue_state *state);

/*
 * The driver resets one queue (2.6.1). It may be enabled again, with another size and other
 * addresses, and then begins afresh.
 * Returns VIRTIO_DONE (also for a queue that is not live) or VIRTIO_PENDING, as
 * virtio_transport_stop_queue; -EINVAL: no such queue; -EPERM: RING_RESET was not negotiated,
 * nothing changed; -EBUSY: a reset of the device is pending.
 */
int virtio_transport_reset_queue(struct virtio_transport *t, uint16_t index);

/* Whether kick and progress may be called for this queue. */
bool virtio_transport_queue_live(const struct virtio_transport *t, uint16_t index);

/*
 * Access to the config space with the range checked without overflow.
 * Returns 0; -EINVAL: not inside; -EPERM (write): read-only. Nothing is copied
 * after an error.
 */
int virtio_transport_config_read(struct virtio_transport *t, uint32_t offset, void *buf,
				 uint32_t size);
int virtio_transport_config_write(struct virtio_transport *t, uint32_t offset, const void *buf,
				  uint32_t size);

/* The generation count of the config space. */
uint32_t virtio_transport_config_generation(const struct virtio_transport *t);

#ifdef __cplusplus
}
#endif

#endif
