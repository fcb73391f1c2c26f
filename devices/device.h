/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract between a virtio device and whatever drives it.
 *
 * A device (the backend side of a virtqueue) implements virtio_device_ops. A
 * transport (the in-process link of the simulator, a vhost-user socket, VDUSE)
 * calls it and implements virtio_transport_ops for the way back. Neither side
 * knows anything else of the other; rings and buffers travel through guest
 * memory only.
 *
 * Life of a device, in the order of the calls:
 *
 *   1. the device's own constructor, then virtio_device_attach()
 *   2. features, config_size, config_read, queue_count, queue_size_max: any time
 *   3. set_features once, when the driver writes FEATURES_OK
 *   4. queue_start for each enabled queue, when the driver writes DRIVER_OK
 *      (or later, for a queue that was reset and enabled again)
 *   5. kick and progress, in any number, on started queues only
 *   6. queue_stop, which yields the state that a later queue_start resumes from
 *   7. reset, after which the device is at step 2 again
 *   8. destroy
 *
 * Threads: calls that name the same queue are serialised by the caller; calls
 * that name different queues may run at the same time. All other calls come
 * when no call on any queue is running (requests may still be in flight).
 * virtio_transport_ops may be called from any thread that is inside a call of
 * this device, device-wide calls and event included.
 *
 * Errors: 0 or a negative errno, which means that something failed on the host
 * and is forwarded. A positive enum is a documented outcome. Whatever a driver
 * puts into a ring is never an error of a call: the device answers it in the
 * ring or asks for a reset with needs_reset.
 *
 * Left out: suspend (VIRTIO_F_SUSPEND of virtio 1.4), which needs a call for the whole device
 * beside queue_stop, and a state `suspending` in the transport like its `resetting`.
 *
 * Tables grow at their end. A member that is zero is absent; "may be NULL"
 * says for which members that is allowed and what the caller does then.
 */
#ifndef DEVICES_DEVICE_H
#define DEVICES_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* MAJOR changes when a device must be rewritten, MINOR when a table has grown. */
#define VIRTIO_DEVICE_API_MAJOR 0
#define VIRTIO_DEVICE_API_MINOR 3

/* A mask of one feature bit: VIRTIO_FEATURE(VIRTIO_F_VERSION_1). */
#define VIRTIO_FEATURE(bit) (UINT64_C(1) << (bit))

struct guest_memory;
struct virtio_device;

/* What progress reports. */
enum virtio_progress {
	VIRTIO_IDLE = 0,      /* every chain that was exposed is used: wait for a kick */
	VIRTIO_WORK_LEFT = 1, /* the budget ran out: call again without waiting */
	VIRTIO_WAITING = 2,   /* requests are in flight: call again when progress_fd is readable */
};

/* What calls report that may need time. */
enum virtio_completion {
	VIRTIO_DONE = 0,
	VIRTIO_PENDING = 1, /* call again, with the same arguments, after progress on the queues */
};

/*
 * Where a queue stands between two requests. Split: avail_index is the
 * free-running index of the next entry to take, used_index of the next entry
 * to write; both wraps are unused. Packed: ring positions below the queue size,
 * each with its wrap counter. A fresh queue is {0, 0, true, true}.
 */
struct virtio_queue_state {
	uint16_t avail_index;
	uint16_t used_index;
	bool avail_wrap;
	bool used_wrap;
};

/* The fresh state of a queue of either format (virtio 1.3, 2.7 and 2.8.1). */
#define VIRTIO_QUEUE_STATE_FRESH                      \
	{                                             \
		.avail_wrap = true, .used_wrap = true \
	}

/*
 * What a driver programmed for one queue. Addresses are guest-physical. Grows at
 * its end; a member that is zero is absent.
 */
struct virtio_queue_setup {
	uint16_t size;       /* elements; split: a power of two; 1..queue_size_max */
	uint64_t desc_gpa;   /* Descriptor Area */
	uint64_t driver_gpa; /* Driver Area: split available ring, packed driver events */
	uint64_t device_gpa; /* Device Area: split used ring, packed device events */
	struct virtio_queue_state resume;

	/*
	 * An area that outlives the device (inflight.h) in which the queue notes the chains that
	 * it holds. Aligned to 8 bytes, mapped until the queue is stopped, and the frontend's:
	 * never trusted. NULL: nothing is noted. In an area that an earlier queue has begun
	 * stands where the queue goes on, and resume does not count; chains that it held
	 * are taken again first, and the first progress sends a notification in any case, as that of
	 * its last used chains may be lost. inflight_size: bytes, inflight_area_size() or more.
	 */
	void *inflight;
	size_t inflight_size;
};

/*
 * What a device offers to transports. Constant, shared by all devices of a kind.
 */
struct virtio_device_ops {
	/* Short name for messages ("blk"). Mandatory. */
	const char *name;

	/* The virtio device id (virtio 1.3, 5); 0 for a device that no driver binds. */
	uint32_t device_id;

	/*
	 * The offered feature bits. Mandatory. The set is constant between two
	 * resets. A transport may hide bits before it shows them to a driver.
	 */
	uint64_t (*features)(struct virtio_device *dev);

	/*
	 * The driver wrote FEATURES_OK. Mandatory. The transport has already
	 * checked that features is a subset of the offer. The device stores it and
	 * obeys it until the next reset.
	 * Returns 0; -EINVAL: this subset cannot work, FEATURES_OK stays clear
	 * (2.2.2) and the driver may try another set.
	 */
	int (*set_features)(struct virtio_device *dev, uint64_t features);

	/* How many queues the device has, 1..65535. Mandatory, constant. */
	uint16_t (*queue_count)(struct virtio_device *dev);

	/*
	 * The largest size of a queue, in elements, 1..32768. Mandatory, constant.
	 * index is below queue_count. A power of two if split rings are possible.
	 */
	uint16_t (*queue_size_max)(struct virtio_device *dev, uint16_t index);

	/* Size of the device-specific config space in bytes. May be NULL: it is 0. */
	uint32_t (*config_size)(struct virtio_device *dev);

	/*
	 * Copy size bytes of config space at offset to buf. NULL if and only if
	 * config_size is. The transport has checked that the range lies inside.
	 * Fields are little-endian. Valid before FEATURES_OK (2.5.2).
	 * Returns 0 or a negative errno (a device that is elsewhere cannot be asked).
	 */
	int (*config_read)(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size);

	/*
	 * The driver wrote size bytes at offset; the range lies inside. May be
	 * NULL: the config space is read-only and writes are dropped.
	 * Returns 0; -EPERM: a read-only field was in the range, nothing changed.
	 */
	int (*config_write)(struct virtio_device *dev, uint32_t offset, const void *buf,
			    uint32_t size);

	/*
	 * A counter that differs whenever two reads of the config space could
	 * differ (2.5.2). May be NULL: the config space never changes.
	 */
	uint32_t (*config_generation)(struct virtio_device *dev);

	/*
	 * The queue is live: the device may read its rings from now on. Mandatory.
	 * The transport has checked index, size and alignment; the device checks
	 * that the rings lie in guest memory.
	 * Returns 0; -EFAULT: a ring is not in guest memory; -EINVAL: the state to
	 * resume from, or what stands in the inflight area, is impossible; -ENOMEM.
	 * After an error the queue is stopped.
	 * The caller calls progress once after it: the kick for what was exposed
	 * while the queue was stopped may be lost.
	 */
	int (*queue_start)(struct virtio_device *dev, uint16_t index,
			   const struct virtio_queue_setup *setup);

	/*
	 * Stop the queue: take no further chain, let what is in flight finish or
	 * cancel it, publish what finished, with its notification. Mandatory.
	 * Returns VIRTIO_DONE: no memory of the guest is touched for this queue any
	 * more and *state says where a later start resumes; chains that were
	 * exposed but not taken are left to it. VIRTIO_PENDING: requests are still
	 * in flight, *state is not written; the caller calls progress and then this
	 * again.
	 */
	enum virtio_completion (*queue_stop)(struct virtio_device *dev, uint16_t index,
					     struct virtio_queue_state *state);

	/*
	 * Back to the state after construction: all queues stopped, negotiated
	 * features forgotten. Mandatory. Works in every state.
	 * Returns VIRTIO_DONE: nothing is in flight, no notification follows
	 * (2.4.1). VIRTIO_PENDING: as for queue_stop; until it is done the caller
	 * calls progress on every queue that was started, in flight or not.
	 */
	enum virtio_completion (*reset)(struct virtio_device *dev);

	/*
	 * The driver's available-buffer notification. May be NULL: progress looks
	 * at the ring itself. data is the notification data (2.9), or the queue
	 * index without VIRTIO_F_NOTIFICATION_DATA; never trusted. A transport may
	 * have negotiated that by itself (transport.h): the index is in the low 16
	 * bits either way. Must be quick;
	 * the work is done in progress. Spurious kicks are harmless.
	 */
	void (*kick)(struct virtio_device *dev, uint16_t index, uint32_t data);

	/*
	 * Take chains, start requests, complete what is ready, send what
	 * notifications are due. Mandatory. Handles at most budget chains (> 0).
	 * Never blocks on a store that can say "later". A queue that asked for a
	 * reset stays idle.
	 */
	enum virtio_progress (*progress)(struct virtio_device *dev, uint16_t index,
					 uint32_t budget);

	/*
	 * A file descriptor, owned by the device, that is readable when progress
	 * on this queue should be called again. May be NULL: after VIRTIO_WAITING
	 * the caller simply calls again.
	 * Returns -1: this queue has none.
	 */
	int (*progress_fd)(struct virtio_device *dev, uint16_t index);

	/* Free the device; all queues are stopped. Mandatory. */
	void (*destroy)(struct virtio_device *dev);

	/*
	 * A file descriptor, owned by the device, that is readable when event should
	 * be called: something happened that belongs to no queue (a backend that is
	 * elsewhere changed its config space, or is gone). May be NULL: nothing ever
	 * does. Returns -1: not now.
	 */
	int (*event_fd)(struct virtio_device *dev);

	/*
	 * Handle it. NULL if and only if event_fd is. Called when no call on any queue
	 * is running; the device may call config_changed and needs_reset from it.
	 */
	void (*event)(struct virtio_device *dev);

	/*
	 * What a driver has built up in the device is gone with it (the node ids and handles of FUSE),
	 * so that another instance cannot go on with its requests (virtio_queue_setup.inflight).
	 * False: any instance on the same data can.
	 */
	bool instance_bound;
};

/* What a transport offers to the device that is attached to it. */
struct virtio_transport_ops {
	/* A used-buffer notification is due on this queue. Mandatory. */
	void (*notify_used)(void *transport, uint16_t index);

	/* The config space changed (2.3). Mandatory. The generation already has. */
	void (*config_changed)(void *transport);

	/*
	 * The device can go on only after a reset (2.1.2). Mandatory. May be
	 * called more than once. The transport sets DEVICE_NEEDS_RESET and, if
	 * DRIVER_OK is set, sends the config-change notification.
	 */
	void (*needs_reset)(void *transport);

	/*
	 * [gpa, gpa + size) is not mapped (yet). May be NULL: then it is an error
	 * of the driver. The transport may add regions to the guest memory from
	 * inside this call (VDUSE: it asks the kernel for the mapping).
	 * Returns 0: the map has changed, translate again; -EFAULT: no such memory.
	 */
	int (*memory_missing)(void *transport, uint64_t gpa, uint64_t size, bool write);
};

/*
 * The common head of every device: a device embeds it as its first member. The
 * device fills ops; virtio_device_attach fills the rest.
 */
struct virtio_device {
	const struct virtio_device_ops *ops;
	const struct virtio_transport_ops *transport_ops;
	void *transport;
	struct guest_memory
		*memory; /* owned by whoever attached it; outlives the device's queues */
};

/* Connect a device with what drives it. Call it before anything else of dev->ops. */
static inline void virtio_device_attach(struct virtio_device *dev,
					const struct virtio_transport_ops *ops, void *transport,
					struct guest_memory *memory)
{
	dev->transport_ops = ops;
	dev->transport = transport;
	dev->memory = memory;
}

#ifdef __cplusplus
}
#endif

#endif
