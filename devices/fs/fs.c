/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chains to messages and back. Each chain that is in flight has a slot of its queue,
 * in which the session has room of its own: nothing is allocated for a request.
 */
#include "fs.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>

#include "../virtqueue.h"

#define QUEUE_SIZE_DEFAULT 1024u
#define ALIGNMENT          16u

/* A request while its chain is in flight; the session's room follows. */
struct fs_slot {
	struct fs_request request; /* first: done finds the slot by it */
	struct fs_queue *queue;
	struct virtqueue_chain *chain;
};

/* Queues are used by different threads: none shares a cache line with another. */
struct fs_queue {
	_Alignas(64) struct virtqueue *vq;
	struct fs_session_queue *session_queue; /* NULL while the queue is stopped */
	uint8_t *slots;
	size_t stride;
	struct fs_slot *refused; /* the session was busy: its chain waits here */
	bool stopping;
	bool asked_for_reset;
};

struct fs_device {
	struct virtio_device base;
	struct fs_session *session;
	struct virtio_fs_config config;
	uint64_t features;
	uint16_t queue_size_max;
	uint16_t queue_count;
	struct fs_queue queues[];
};

static struct fs_device *to_fs(struct virtio_device *dev)
{
	return (struct fs_device *)dev;
}

static bool started(const struct fs_queue *queue)
{
	return queue->session_queue != NULL;
}

/* Features and config space, which is the driver's to read only (5.11.4.1) */

/* Not in order: an unlock could then not be used before the lock that waits for it (5.11.6.1). */
static uint64_t fs_features(struct virtio_device *dev)
{
	(void)dev;
	return VIRTQUEUE_FEATURES & ~VIRTIO_FEATURE(VIRTIO_F_IN_ORDER);
}

static int fs_set_features(struct virtio_device *dev, uint64_t features)
{
	to_fs(dev)->features = features;
	return 0;
}

static uint32_t fs_config_size(struct virtio_device *dev)
{
	(void)dev;
	return sizeof(struct virtio_fs_config);
}

static int fs_config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	memcpy(buf, (const uint8_t *)&to_fs(dev)->config + offset, size);
	return 0;
}

/* Queues */

static uint16_t fs_queue_count(struct virtio_device *dev)
{
	return to_fs(dev)->queue_count;
}

static uint16_t fs_queue_size_max(struct virtio_device *dev, uint16_t index)
{
	(void)index;
	return to_fs(dev)->queue_size_max;
}

static struct fs_slot *slot_at(const struct fs_queue *queue, uint16_t index)
{
	return (struct fs_slot *)(void *)(queue->slots + index * queue->stride);
}

static void close_queue(struct fs_device *fs, struct fs_queue *queue)
{
	if (queue->session_queue)
		fs->session->ops->queue_close(queue->session_queue);
	queue->session_queue = NULL;
	virtqueue_stop(queue->vq, NULL);
	free(queue->slots);
	queue->slots = NULL;
}

static void done(struct fs_request *request)
{
	struct fs_slot *slot = (struct fs_slot *)request;

	virtqueue_push(slot->queue->vq, slot->chain, (uint32_t)request->reply_size);
}

/* Pages of slots that no request uses cost nothing. */
static int open_slots(struct fs_device *fs, struct fs_queue *queue, uint16_t size)
{
	size_t head = (sizeof(struct fs_slot) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	size_t room = fs->session->ops->request_size;

	queue->stride = (head + room + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	queue->slots = calloc(size, queue->stride);
	if (!queue->slots)
		return -ENOMEM;
	for (uint16_t i = 0; i < size; i++) {
		struct fs_slot *slot = slot_at(queue, i);

		slot->queue = queue;
		slot->request.done = done;
		slot->request.session_private = (uint8_t *)slot + head;
	}
	return 0;
}

static int open_queue(struct fs_device *fs, uint16_t index, const struct virtio_queue_setup *setup)
{
	struct fs_queue *queue = &fs->queues[index];
	enum fs_queue_kind kind = index == FS_HIPRIO_INDEX ? FS_QUEUE_HIPRIO : FS_QUEUE_REQUEST;
	int error = virtqueue_start(queue->vq, setup, fs->features);

	if (!error)
		error = open_slots(fs, queue, setup->size);
	if (error)
		return error;
	queue->session_queue = fs->session->ops->queue_open(fs->session, kind, setup->size);
	return queue->session_queue ? 0 : -ENOMEM;
}

static int fs_queue_start(struct virtio_device *dev, uint16_t index,
			  const struct virtio_queue_setup *setup)
{
	struct fs_device *fs = to_fs(dev);
	struct fs_queue *queue = &fs->queues[index];
	int error;

	assert(!started(queue));
	queue->refused = NULL;
	queue->stopping = false;
	queue->asked_for_reset = false;
	error = open_queue(fs, index, setup);
	if (error)
		close_queue(fs, queue);
	return error;
}

/* What waits for another request is given up; what the session refused has its chain: it is answered. */
static enum virtio_completion drain_queue(struct fs_device *fs, struct fs_queue *queue)
{
	queue->stopping = true;
	if (virtqueue_in_flight(queue->vq) == 0)
		return VIRTIO_DONE;
	if (fs->session->ops->cancel)
		fs->session->ops->cancel(queue->session_queue);
	return VIRTIO_PENDING;
}

static enum virtio_completion fs_queue_stop(struct virtio_device *dev, uint16_t index,
					    struct virtio_queue_state *state)
{
	struct fs_device *fs = to_fs(dev);
	struct fs_queue *queue = &fs->queues[index];

	assert(started(queue));
	if (drain_queue(fs, queue) == VIRTIO_PENDING)
		return VIRTIO_PENDING;
	if (virtqueue_stop(queue->vq, state))
		dev->transport_ops->notify_used(dev->transport, index);
	close_queue(fs, queue);
	return VIRTIO_DONE;
}

/* A queue stays open until no queue has a request in flight: a transport runs them all till then. */
static enum virtio_completion fs_reset(struct virtio_device *dev)
{
	struct fs_device *fs = to_fs(dev);
	enum virtio_completion completion = VIRTIO_DONE;

	for (uint16_t i = 0; i < fs->queue_count; i++)
		if (started(&fs->queues[i]) && drain_queue(fs, &fs->queues[i]) == VIRTIO_PENDING)
			completion = VIRTIO_PENDING;
	if (completion == VIRTIO_PENDING)
		return completion;
	for (uint16_t i = 0; i < fs->queue_count; i++)
		if (started(&fs->queues[i]))
			close_queue(fs, &fs->queues[i]);
	fs->session->ops->reset(fs->session);
	fs->features = 0;
	return completion;
}

/* Requests */

/* Returns false: the session was busy, and the slot waits in refused. */
static bool submit(struct fs_queue *queue, struct fs_slot *slot)
{
	const struct fs_session_ops *ops = queue->session_queue->session->ops;

	switch (ops->submit(queue->session_queue, &slot->request)) {
	case FS_DONE:
		done(&slot->request);
		break;
	case FS_QUEUED:
		break;
	case FS_BUSY:
		queue->refused = slot;
		return false;
	}
	return true;
}

static bool start(struct fs_queue *queue, struct virtqueue_chain *chain)
{
	struct fs_slot *slot = slot_at(queue, chain->slot);

	slot->chain = chain;
	slot->request.in = iov_window(chain->iov, chain->readable_count, 0, chain->readable_size);
	slot->request.out = iov_window(chain->iov + chain->readable_count, chain->writable_count, 0,
				       chain->writable_size);
	slot->request.reply_size = 0;
	return submit(queue, slot);
}

/* What was refused goes before what was not taken yet. Returns whether the session takes more. */
static bool retry(struct fs_queue *queue)
{
	struct fs_slot *slot = queue->refused;

	queue->refused = NULL;
	return !slot || submit(queue, slot);
}

/* NULL: nothing can be taken now; then kicks are enabled, or the queue is broken or starved. */
static struct virtqueue_chain *next_chain(struct virtqueue *vq)
{
	struct virtqueue_chain *chain = virtqueue_pop(vq);

	return chain || !virtqueue_enable_kicks(vq) ? chain : virtqueue_pop(vq);
}

static void look_for_fault(struct fs_device *fs, struct fs_queue *queue)
{
	if (!virtqueue_broken(queue->vq) || queue->asked_for_reset)
		return;
	queue->asked_for_reset = true;
	fs->base.transport_ops->needs_reset(fs->base.transport);
}

static enum virtio_progress take_chains(struct fs_device *fs, struct fs_queue *queue,
					uint32_t budget)
{
	struct virtqueue_chain *chain;

	for (; budget > 0; budget--) {
		chain = next_chain(queue->vq);
		if (!chain) {
			look_for_fault(fs, queue);
			return VIRTIO_IDLE;
		}
		if (!start(queue, chain))
			return VIRTIO_WAITING;
	}
	return VIRTIO_WORK_LEFT;
}

static enum virtio_progress fs_progress(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct fs_device *fs = to_fs(dev);
	struct fs_queue *queue = &fs->queues[index];
	enum virtio_progress progress = VIRTIO_IDLE;

	assert(started(queue));
	if (fs->session->ops->poll)
		fs->session->ops->poll(queue->session_queue);
	if (retry(queue) && !queue->stopping)
		progress = take_chains(fs, queue, budget);
	if (virtqueue_publish(queue->vq))
		dev->transport_ops->notify_used(dev->transport, index);
	if (progress == VIRTIO_IDLE && virtqueue_in_flight(queue->vq) > 0)
		progress = VIRTIO_WAITING;
	return progress;
}

static int fs_progress_fd(struct virtio_device *dev, uint16_t index)
{
	struct fs_device *fs = to_fs(dev);
	const struct fs_queue *queue = &fs->queues[index];

	if (!fs->session->ops->poll_fd || !started(queue))
		return -1;
	return fs->session->ops->poll_fd(queue->session_queue);
}

/* Life */

static void fs_destroy(struct virtio_device *dev)
{
	struct fs_device *fs = to_fs(dev);

	for (uint16_t i = 0; i < fs->queue_count; i++) {
		assert(!started(&fs->queues[i]));
		virtqueue_destroy(fs->queues[i].vq);
	}
	free(fs);
}

static const struct virtio_device_ops fs_ops = {
	.name = "fs",
	.device_id = VIRTIO_ID_FS,
	.features = fs_features,
	.set_features = fs_set_features,
	.queue_count = fs_queue_count,
	.queue_size_max = fs_queue_size_max,
	.config_size = fs_config_size,
	.config_read = fs_config_read,
	.queue_start = fs_queue_start,
	.queue_stop = fs_queue_stop,
	.reset = fs_reset,
	.progress = fs_progress,
	.progress_fd = fs_progress_fd,
	.destroy = fs_destroy,
	.instance_bound = true,
};

/* How many bytes the UTF-8 sequence at text has, of size bytes there are; 0: it is none. */
static size_t sequence(const uint8_t *text, size_t size)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least; /* a longer form of something smaller is not UTF-8 */
	} forms[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	uint32_t code;
	size_t count;

	for (count = 1; count <= 4; count++)
		if ((text[0] & forms[count - 1].mask) == forms[count - 1].lead)
			break;
	if (count > 4 || count > size)
		return 0;
	code = text[0] & (uint8_t)~forms[count - 1].mask;
	for (size_t i = 1; i < count; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < forms[count - 1].least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return count;
}

static bool is_utf8(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t left = strlen(text), count;

	for (; left > 0; at += count, left -= count) {
		count = sequence(at, left);
		if (count == 0)
			return false;
	}
	return true;
}

static bool options_possible(const struct fs_options *options)
{
	uint32_t size_max = options->queue_size_max;

	return options->tag && options->tag[0] != '\0' &&
	       strnlen(options->tag, FS_TAG_SIZE + 1) <= FS_TAG_SIZE && is_utf8(options->tag) &&
	       (size_max & (size_max - 1)) == 0 && size_max <= VIRTQUEUE_SIZE_MAX &&
	       options->request_queue_count < UINT16_MAX;
}

int fs_create(struct virtio_device **dev, const struct fs_options *options,
	      struct fs_session *session)
{
	uint16_t requests = options->request_queue_count ? options->request_queue_count : 1;
	uint16_t count = requests + 1u;
	struct fs_device *fs;

	if (!options_possible(options))
		return -EINVAL;
	fs = aligned_alloc(64, sizeof(*fs) + count * sizeof(fs->queues[0]));
	if (!fs)
		return -ENOMEM;
	memset(fs, 0, sizeof(*fs) + count * sizeof(fs->queues[0]));
	fs->base.ops = &fs_ops;
	fs->session = session;
	memcpy(fs->config.tag, options->tag, strlen(options->tag));
	fs->config.num_request_queues = htole32(requests);
	fs->queue_size_max = options->queue_size_max ? options->queue_size_max : QUEUE_SIZE_DEFAULT;
	for (; fs->queue_count < count; fs->queue_count++) {
		fs->queues[fs->queue_count].vq = virtqueue_create(&fs->base);
		if (!fs->queues[fs->queue_count].vq) {
			fs_destroy(&fs->base);
			return -ENOMEM;
		}
	}
	*dev = &fs->base;
	return 0;
}
