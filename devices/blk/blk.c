/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "../virtqueue.h"
#include "blk.h"
#include "request_internal.h"

#define QUEUE_SIZE_DEFAULT 1024u
#define SEG_MAX_DEFAULT    254u
#define BLOCK_SIZE_MAX     65536u

/* Header and status take a descriptor each. */
#define SEG_MAX_LIMIT (VIRTQUEUE_CHAIN_MAX - 2)

/* The last field of a feature that is offered ends here; what follows may be absent (5.2.4). */
#define CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)

/* Queues are used by different threads: none shares a cache line with another. */
struct blk_queue {
	_Alignas(64) struct blk_requests requests; /* its vq is NULL while the queue is stopped */
	struct virtqueue *vq;
	bool stopping;
	bool asked_for_reset;
};

struct blk_device {
	struct virtio_device base;
	struct blk_disk disk;
	struct blk_store *store;
	struct virtio_blk_config config; /* without capacity and writeback, which are in disk */
	uint64_t offer;
	uint32_t generation;
	bool driver_present; /* features are negotiated */
	int event_fd;        /* counts the calls of blk_look_again */
	uint16_t queue_size_max;
	uint16_t queue_count;
	struct blk_queue queues[];
};

static struct blk_device *to_blk(struct virtio_device *dev)
{
	return (struct blk_device *)dev;
}

static bool started(const struct blk_queue *queue)
{
	return queue->requests.vq != NULL;
}

/* Features */

static uint64_t blk_features(struct virtio_device *dev)
{
	return to_blk(dev)->offer;
}

static void set_writeback(struct blk_device *blk, uint8_t writeback)
{
	if (__atomic_exchange_n(&blk->disk.writeback, writeback, __ATOMIC_RELAXED) != writeback)
		blk->generation++;
}

static int blk_set_features(struct virtio_device *dev, uint64_t features)
{
	struct blk_device *blk = to_blk(dev);
	bool flush = features & VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH);
	bool config_wce = features & VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE);

	blk->disk.features = features;
	blk->driver_present = true;
	/* 5.2.5.2: with a writeback field but no means to flush, the cache writes through. */
	set_writeback(blk, flush || !config_wce);
	return 0;
}

/* Config space */

static uint32_t blk_config_size(struct virtio_device *dev)
{
	(void)dev;
	return CONFIG_SIZE;
}

static int blk_config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	const struct blk_device *blk = to_blk(dev);
	struct virtio_blk_config config = blk->config;

	config.capacity = htole64(__atomic_load_n(&blk->disk.capacity, __ATOMIC_RELAXED));
	config.wce = __atomic_load_n(&blk->disk.writeback, __ATOMIC_RELAXED);
	memcpy(buf, (const uint8_t *)&config + offset, size);
	return 0;
}

/* writeback is the only field that a driver may write (5.2.4), and only if it negotiated it. */
static int blk_config_write(struct virtio_device *dev, uint32_t offset, const void *buf,
			    uint32_t size)
{
	struct blk_device *blk = to_blk(dev);
	const uint8_t *byte = buf;

	if (offset != offsetof(struct virtio_blk_config, wce) || size != 1 ||
	    !(blk->disk.features & VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE)))
		return -EPERM;
	set_writeback(blk, *byte != 0);
	return 0;
}

static uint32_t blk_config_generation(struct virtio_device *dev)
{
	return to_blk(dev)->generation;
}

void blk_capacity_changed(struct virtio_device *dev)
{
	struct blk_device *blk = to_blk(dev);
	struct blk_limits limits;
	uint64_t capacity;
	uint8_t may_unmap;
	bool changed;

	blk->store->ops->limits(blk->store, &limits);
	capacity = limits.size / BLK_SECTOR_SIZE;
	changed = __atomic_exchange_n(&blk->disk.capacity, capacity, __ATOMIC_RELAXED) != capacity;
	may_unmap = limits.unmap && (blk->offer & VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES));
	changed |= blk->config.write_zeroes_may_unmap != may_unmap;
	if (!changed)
		return;
	blk->config.write_zeroes_may_unmap = may_unmap;
	blk->generation++;
	if (blk->driver_present)
		dev->transport_ops->config_changed(dev->transport);
}

/* A full counter cannot take more, and need not: it is readable. */
void blk_look_again(struct virtio_device *dev)
{
	const uint64_t one = 1;
	int error = errno;
	ssize_t size = write(to_blk(dev)->event_fd, &one, sizeof(one));

	(void)size;
	errno = error;
}

static int blk_event_fd(struct virtio_device *dev)
{
	return to_blk(dev)->event_fd;
}

static void blk_event(struct virtio_device *dev)
{
	uint64_t count;

	if (read(to_blk(dev)->event_fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		blk_capacity_changed(dev);
}

/* Queues */

static uint16_t blk_queue_count(struct virtio_device *dev)
{
	return to_blk(dev)->queue_count;
}

static uint16_t blk_queue_size_max(struct virtio_device *dev, uint16_t index)
{
	(void)index;
	return to_blk(dev)->queue_size_max;
}

static void close_queue(struct blk_queue *queue)
{
	struct blk_requests *requests = &queue->requests;

	if (requests->store_queue != NULL)
		requests->store_queue->store->ops->queue_close(requests->store_queue);
	requests->store_queue = NULL;
	blk_requests_finish(requests);
	virtqueue_stop(queue->vq, NULL);
	requests->vq = NULL;
}

static int open_queue(struct blk_device *blk, struct blk_queue *queue,
		      const struct virtio_queue_setup *setup)
{
	struct blk_requests *requests = &queue->requests;
	int err;

	requests->disk = &blk->disk;
	requests->vq = queue->vq;
	err = virtqueue_start(requests->vq, setup, blk->disk.features);
	if (err != 0)
		return err;
	requests->store_queue = blk->store->ops->queue_open(blk->store, setup->size);
	if (requests->store_queue == NULL)
		return -ENOMEM;
	return blk_requests_init(requests, setup->size);
}

static int blk_queue_start(struct virtio_device *dev, uint16_t index,
			   const struct virtio_queue_setup *setup)
{
	struct blk_device *blk = to_blk(dev);
	struct blk_queue *queue = &blk->queues[index];
	int err;

	assert(!started(queue));
	queue->stopping = false;
	queue->asked_for_reset = false;
	err = open_queue(blk, queue, setup);
	if (err != 0)
		close_queue(queue);
	return err;
}

/* Requests that the store was too busy for have taken their chain: they are carried out too. */
static enum virtio_completion drain_queue(struct blk_queue *queue)
{
	queue->stopping = true;
	return virtqueue_in_flight(queue->requests.vq) > 0 ? VIRTIO_PENDING : VIRTIO_DONE;
}

static enum virtio_completion blk_queue_stop(struct virtio_device *dev, uint16_t index,
					     struct virtio_queue_state *state)
{
	struct blk_queue *queue = &to_blk(dev)->queues[index];

	assert(started(queue));
	if (drain_queue(queue) == VIRTIO_PENDING)
		return VIRTIO_PENDING;
	if (virtqueue_stop(queue->vq, state))
		dev->transport_ops->notify_used(dev->transport, index);
	close_queue(queue);
	return VIRTIO_DONE;
}

/* A queue stays open until no queue has a request in flight: a transport runs them all till then. */
static enum virtio_completion blk_reset(struct virtio_device *dev)
{
	struct blk_device *blk = to_blk(dev);
	enum virtio_completion completion = VIRTIO_DONE;

	for (uint16_t i = 0; i < blk->queue_count; i++)
		if (started(&blk->queues[i]) && drain_queue(&blk->queues[i]) == VIRTIO_PENDING)
			completion = VIRTIO_PENDING;
	if (completion == VIRTIO_PENDING)
		return completion;
	for (uint16_t i = 0; i < blk->queue_count; i++)
		if (started(&blk->queues[i]))
			close_queue(&blk->queues[i]);
	blk->disk.features = 0;
	blk->driver_present = false;
	set_writeback(blk, 1);
	return completion;
}

/* Requests */

/*
 * NULL: nothing can be taken now. Then either kicks are enabled, or the queue is
 * broken, or it must wait for a push before it can take the chain that is there.
 */
static struct virtqueue_chain *next_chain(struct virtqueue *vq)
{
	struct virtqueue_chain *chain = virtqueue_pop(vq);

	if (chain == NULL && virtqueue_enable_kicks(vq))
		chain = virtqueue_pop(vq);
	return chain;
}

static void ask_for_reset(struct blk_device *blk, struct blk_queue *queue)
{
	if (queue->asked_for_reset)
		return;
	queue->asked_for_reset = true;
	blk->base.transport_ops->needs_reset(blk->base.transport);
}

static enum virtio_progress at_rest(const struct blk_queue *queue)
{
	return virtqueue_in_flight(queue->requests.vq) > 0 ? VIRTIO_WAITING : VIRTIO_IDLE;
}

static enum virtio_progress take_chains(struct blk_device *blk, struct blk_queue *queue,
					uint32_t budget)
{
	struct blk_requests *requests = &queue->requests;

	for (; budget > 0; budget--) {
		struct virtqueue_chain *chain;

		if (blk_requests_busy(requests))
			return VIRTIO_WAITING;
		chain = next_chain(requests->vq);
		if (chain == NULL) {
			if (virtqueue_broken(requests->vq) != VIRTQUEUE_OK)
				ask_for_reset(blk, queue);
			return at_rest(queue);
		}
		blk_request_start(requests, chain);
	}
	return VIRTIO_WORK_LEFT;
}

static enum virtio_progress blk_progress(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct blk_device *blk = to_blk(dev);
	struct blk_queue *queue = &blk->queues[index];
	struct blk_requests *requests = &queue->requests;
	const struct blk_store_ops *ops = blk->store->ops;
	enum virtio_progress progress;

	assert(started(queue));
	if (ops->poll != NULL)
		ops->poll(requests->store_queue);
	blk_requests_retry(requests);
	progress = queue->stopping ? at_rest(queue) : take_chains(blk, queue, budget);
	if (ops->commit != NULL)
		ops->commit(requests->store_queue);
	if (virtqueue_publish(requests->vq))
		dev->transport_ops->notify_used(dev->transport, index);
	return progress;
}

static int blk_progress_fd(struct virtio_device *dev, uint16_t index)
{
	struct blk_device *blk = to_blk(dev);
	const struct blk_queue *queue = &blk->queues[index];

	if (blk->store->ops->poll_fd == NULL || !started(queue))
		return -1;
	return blk->store->ops->poll_fd(queue->requests.store_queue);
}

/* Life */

static void blk_destroy(struct virtio_device *dev)
{
	struct blk_device *blk = to_blk(dev);

	for (uint16_t i = 0; i < blk->queue_count; i++) {
		assert(!started(&blk->queues[i]));
		virtqueue_destroy(blk->queues[i].vq);
	}
	if (blk->event_fd >= 0)
		close(blk->event_fd);
	free(blk);
}

static const struct virtio_device_ops blk_ops = {
	.name = "blk",
	.device_id = VIRTIO_ID_BLOCK,
	.features = blk_features,
	.set_features = blk_set_features,
	.queue_count = blk_queue_count,
	.queue_size_max = blk_queue_size_max,
	.config_size = blk_config_size,
	.config_read = blk_config_read,
	.config_write = blk_config_write,
	.config_generation = blk_config_generation,
	.queue_start = blk_queue_start,
	.queue_stop = blk_queue_stop,
	.reset = blk_reset,
	.progress = blk_progress,
	.progress_fd = blk_progress_fd,
	.destroy = blk_destroy,
	.event_fd = blk_event_fd,
	.event = blk_event,
};

static bool power_of_two(uint32_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

static struct blk_options with_defaults(const struct blk_options *given,
					const struct blk_limits *limits)
{
	struct blk_options options = *given;

	if (options.queue_count == 0)
		options.queue_count = 1;
	if (options.queue_size_max == 0)
		options.queue_size_max = QUEUE_SIZE_DEFAULT;
	if (options.seg_max == 0)
		options.seg_max = options.queue_size_max > 2 ? options.queue_size_max - 2 : 1;
	if (given->seg_max == 0 && options.seg_max > SEG_MAX_DEFAULT)
		options.seg_max = SEG_MAX_DEFAULT;
	if (options.block_size == 0)
		options.block_size = limits->block_size;
	if (options.id == NULL)
		options.id = "";
	return options;
}

static bool options_possible(const struct blk_options *options, const struct blk_limits *limits)
{
	return power_of_two(options->queue_size_max) &&
	       options->queue_size_max <= VIRTQUEUE_SIZE_MAX && options->seg_max <= SEG_MAX_LIMIT &&
	       power_of_two(options->block_size) && options->block_size >= limits->block_size &&
	       options->block_size <= BLOCK_SIZE_MAX &&
	       strnlen(options->id, BLK_ID_SIZE + 1) <= BLK_ID_SIZE;
}

static bool limits_possible(const struct blk_limits *limits)
{
	return power_of_two(limits->block_size) && limits->block_size >= BLK_SECTOR_SIZE &&
	       power_of_two(limits->memory_alignment) &&
	       (limits->transfer_max == 0 || limits->transfer_max >= limits->block_size);
}

static uint64_t offer_of(const struct blk_options *options, const struct blk_limits *limits)
{
	uint64_t offer =
		VIRTQUEUE_FEATURES | VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
		VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) | VIRTIO_FEATURE(VIRTIO_BLK_F_TOPOLOGY) |
		VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE);

	if (options->size_max != 0)
		offer |= VIRTIO_FEATURE(VIRTIO_BLK_F_SIZE_MAX);
	if (options->read_only || limits->read_only)
		offer |= VIRTIO_FEATURE(VIRTIO_BLK_F_RO);
	if (options->queue_count > 1)
		offer |= VIRTIO_FEATURE(VIRTIO_BLK_F_MQ);
	if (limits->discard_granularity != 0)
		offer |= VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD);
	if (limits->write_zeroes)
		offer |= VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	offer &= ~options->hidden_features;
	/* 5.2.5.2: CONFIG_WCE is offered only together with FLUSH. */
	if (!(offer & VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH)))
		offer &= ~VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
	return offer;
}

/* The topology is a hint in units of blk_size; writes below its least size are only slower. */
static void fill_topology(struct virtio_blk_config *config, uint32_t block_size,
			  uint32_t physical_block_size)
{
	uint8_t exponent = 0;

	while (exponent < 15 && ((uint64_t)block_size << (exponent + 1)) <= physical_block_size)
		exponent++;
	config->physical_block_exp = exponent;
	config->min_io_size = htole16(1u << exponent);
}

/* A driver looks at a field only with its feature; most of the absent ones are 0 all the same. */
static void fill_config(struct blk_device *blk, const struct blk_options *options)
{
	const struct blk_limits *limits = &blk->disk.limits;
	struct virtio_blk_config *config = &blk->config;
	uint32_t granularity = limits->discard_granularity / BLK_SECTOR_SIZE;

	config->size_max = htole32(options->size_max);
	config->seg_max = htole32(options->seg_max);
	config->blk_size = htole32(options->block_size);
	fill_topology(config, options->block_size, limits->physical_block_size);
	if (blk->offer & VIRTIO_FEATURE(VIRTIO_BLK_F_MQ))
		config->num_queues = htole16(options->queue_count);
	if (blk->offer & VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD)) {
		config->max_discard_sectors = htole32(BLK_RANGE_SECTORS_MAX);
		config->max_discard_seg = htole32(BLK_DISCARD_SEGMENTS_MAX);
		config->discard_sector_alignment = htole32(granularity > 0 ? granularity : 1);
	}
	if (blk->offer & VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES)) {
		config->max_write_zeroes_sectors = htole32(BLK_RANGE_SECTORS_MAX);
		config->max_write_zeroes_seg = htole32(BLK_DISCARD_SEGMENTS_MAX);
		config->write_zeroes_may_unmap = limits->unmap;
	}
}

static void init_disk(struct blk_disk *disk, const struct blk_options *options,
		      const struct blk_limits *limits)
{
	disk->limits = *limits;
	disk->limits.transfer_max -= limits->transfer_max % limits->block_size;
	disk->capacity = limits->size / BLK_SECTOR_SIZE;
	disk->writeback = 1;
	disk->read_only = options->read_only || limits->read_only;
	memcpy(disk->id, options->id, strnlen(options->id, BLK_ID_SIZE));
}

static int create_event(struct blk_device *blk)
{
	blk->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return blk->event_fd < 0 ? -errno : 0;
}

static int create_queues(struct blk_device *blk)
{
	for (uint16_t i = 0; i < blk->queue_count; i++) {
		blk->queues[i].vq = virtqueue_create(&blk->base);
		if (blk->queues[i].vq == NULL)
			return -ENOMEM;
	}
	return 0;
}

int blk_create(struct virtio_device **dev, const struct blk_options *options,
	       struct blk_store *store)
{
	struct blk_limits limits;
	struct blk_options opts;
	struct blk_device *blk;
	size_t size;
	int err;

	store->ops->limits(store, &limits);
	opts = with_defaults(options, &limits);
	if (!limits_possible(&limits) || !options_possible(&opts, &limits))
		return -EINVAL;
	size = sizeof(*blk) + opts.queue_count * sizeof(blk->queues[0]);
	blk = aligned_alloc(_Alignof(struct blk_device), size);
	if (blk == NULL)
		return -ENOMEM;
	memset(blk, 0, size);
	blk->base.ops = &blk_ops;
	blk->store = store;
	blk->offer = offer_of(&opts, &limits);
	blk->queue_count = opts.queue_count;
	blk->queue_size_max = opts.queue_size_max;
	init_disk(&blk->disk, &opts, &limits);
	fill_config(blk, &opts);
	err = create_event(blk);
	if (err == 0)
		err = create_queues(blk);
	if (err != 0) {
		blk_destroy(&blk->base);
		return err;
	}
	*dev = &blk->base;
	return 0;
}
