/* SPDX-License-Identifier: BSD-3-Clause */
#include "null.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../iov.h"
#include "../virtqueue.h"

/* Of the pattern at a time. A multiple of 256: the next piece starts with the same byte. */
#define PIECE 4096u

struct null_device {
	struct virtio_device dev; /* first: a virtio_device * is a null_device * */
	uint64_t features;
	bool fill;
	uint16_t queue_size_max;
	uint16_t queue_count;
	uint8_t pattern[PIECE + 256]; /* pattern[i] is i, modulo 256 */
	struct virtqueue *queues[];
};

static struct null_device *null_of(struct virtio_device *dev)
{
	return (struct null_device *)dev;
}

static uint64_t offered(struct virtio_device *dev)
{
	(void)dev;
	return VIRTQUEUE_FEATURES;
}

static int set_features(struct virtio_device *dev, uint64_t features)
{
	null_of(dev)->features = features;
	return 0;
}

static uint16_t queue_count(struct virtio_device *dev)
{
	return null_of(dev)->queue_count;
}

static uint16_t queue_size_max(struct virtio_device *dev, uint16_t index)
{
	(void)index;
	return null_of(dev)->queue_size_max;
}

static int queue_start(struct virtio_device *dev, uint16_t index,
		       const struct virtio_queue_setup *setup)
{
	struct null_device *null = null_of(dev);

	return virtqueue_start(null->queues[index], setup, null->features);
}

/* Nothing is ever in flight between two calls, so stop and reset are done at once. */
static enum virtio_completion queue_stop(struct virtio_device *dev, uint16_t index,
					 struct virtio_queue_state *state)
{
	if (virtqueue_stop(null_of(dev)->queues[index], state))
		dev->transport_ops->notify_used(dev->transport, index);
	return VIRTIO_DONE;
}

static enum virtio_completion reset(struct virtio_device *dev)
{
	struct null_device *null = null_of(dev);

	for (uint16_t i = 0; i < null->queue_count; i++)
		virtqueue_stop(null->queues[i], NULL);
	null->features = 0;
	return VIRTIO_DONE;
}

/*
 * Copy the header, which the driver may have cut anywhere, once; what is done with it
 * is done with the copy. Returns false: it is too short.
 */
static inline bool read_header(const struct virtqueue_chain *chain, uint8_t *copy)
{
	if (chain->readable_size < NULL_HEADER_SIZE)
		return false;
	if (chain->iov[0].iov_len < NULL_HEADER_SIZE) {
		struct iov_window header =
			iov_window(chain->iov, chain->readable_count, 0, NULL_HEADER_SIZE);

		return iov_window_read(&header, copy, NULL_HEADER_SIZE) == NULL_HEADER_SIZE;
	}
	memcpy(copy, chain->iov[0].iov_base, NULL_HEADER_SIZE);
	/* The driver may change the original: the compiler must not go back to it. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return true;
}

/* A copy, as a device with something behind it makes. */
static void fill(const struct null_device *null, struct iov_window window, uint8_t first)
{
	while (window.size > 0)
		iov_window_advance(&window,
				   iov_window_write(&window, null->pattern + first, PIECE));
}

/* Answer one request. Returns its used length. */
static uint32_t answer(const struct null_device *null, const struct virtqueue_chain *chain)
{
	uint64_t data = chain->writable_size - 1;
	uint8_t status = NULL_STATUS_OK;
	uint8_t header[NULL_HEADER_SIZE];
	const struct iovec *last;

	if (chain->writable_size == 0)
		return 0;
	last = &chain->iov[chain->readable_count + chain->writable_count - 1u];
	if (!read_header(chain, header)) {
		status = NULL_STATUS_BAD_HEADER;
	} else if (null->fill && data > 0) {
		fill(null,
		     iov_window(chain->iov + chain->readable_count, chain->writable_count, 0, data),
		     header[0]);
		data = 0;
	}
	((uint8_t *)last->iov_base)[last->iov_len - 1] = status;
	return data == 0 ? (uint32_t)chain->writable_size : 0;
}

/* Answer at most budget chains. Returns what is left of it. */
static inline uint32_t serve(struct null_device *null, struct virtqueue *vq, uint32_t budget)
{
	struct virtqueue_chain *chain;

	while (budget > 0 && (chain = virtqueue_pop(vq)) != NULL) {
		virtqueue_push(vq, chain, answer(null, chain));
		budget--;
	}
	return budget;
}

static enum virtio_progress progress(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct null_device *null = null_of(dev);
	struct virtqueue *vq = null->queues[index];

	/* Each look costs budget: a driver may show a chain to each and take it away. */
	do {
		budget = serve(null, vq, budget);
		if (virtqueue_publish(vq))
			dev->transport_ops->notify_used(dev->transport, index);
	} while (budget > 0 && virtqueue_enable_kicks(vq) && --budget > 0);
	if (virtqueue_broken(vq)) {
		dev->transport_ops->needs_reset(dev->transport);
		return VIRTIO_IDLE;
	}
	return budget > 0 ? VIRTIO_IDLE : VIRTIO_WORK_LEFT;
}

static void destroy(struct virtio_device *dev)
{
	struct null_device *null = null_of(dev);

	for (uint16_t i = 0; i < null->queue_count; i++)
		virtqueue_destroy(null->queues[i]);
	free(null);
}

static const struct virtio_device_ops null_ops = {
	.name = "null",
	.features = offered,
	.set_features = set_features,
	.queue_count = queue_count,
	.queue_size_max = queue_size_max,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.reset = reset,
	.progress = progress,
	.destroy = destroy,
};

int null_create(struct virtio_device **dev, uint16_t count, uint16_t size_max, unsigned flags)
{
	struct null_device *null;

	if (count == 0 || size_max == 0 || size_max > VIRTQUEUE_SIZE_MAX ||
	    (size_max & (size_max - 1)) != 0)
		return -EINVAL;
	null = calloc(1, sizeof(*null) + count * sizeof(null->queues[0]));
	if (!null)
		return -ENOMEM;
	null->dev.ops = &null_ops;
	null->fill = flags & NULL_FILL;
	for (unsigned i = 0; i < sizeof(null->pattern); i++)
		null->pattern[i] = (uint8_t)i;
	null->queue_size_max = size_max;
	for (; null->queue_count < count; null->queue_count++) {
		struct virtqueue *vq = virtqueue_create(&null->dev);

		if (!vq) {
			destroy(&null->dev);
			return -ENOMEM;
		}
		null->queues[null->queue_count] = vq;
	}
	*dev = &null->dev;
	return 0;
}
