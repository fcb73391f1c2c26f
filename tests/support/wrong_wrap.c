/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transport attaches the wrapper and knows nothing of the device inside; so
 * every call that comes through attaches it anew.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/guest_memory.h"
#include "wrong_wrap.h"

struct wrong_wrap *wrong_wrap_of(struct virtio_device *dev)
{
	return (struct wrong_wrap *)dev;
}

struct virtio_device *wrong_wrap_inner(struct virtio_device *dev)
{
	struct wrong_wrap *wrap = wrong_wrap_of(dev);

	virtio_device_attach(wrap->inner, &wrap->transport_ops, wrap, wrap->base.memory);
	return wrap->inner;
}

void *wrong_wrap_at(struct wrong_wrap *wrap, uint64_t gpa, uint64_t size)
{
	struct guest_map *map = guest_memory_acquire(wrap->base.memory);
	void *at = guest_map_contiguous(map, gpa, size, GUEST_READ_WRITE);

	guest_map_release(map);
	return at;
}

static uint64_t features(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->features(inner);
}

static int set_features(struct virtio_device *dev, uint64_t negotiated)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	wrong_wrap_of(dev)->features = negotiated;
	return inner->ops->set_features(inner, negotiated);
}

static uint16_t queue_count(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->queue_count(inner);
}

static uint16_t queue_size_max(struct virtio_device *dev, uint16_t index)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->queue_size_max(inner, index);
}

static uint32_t config_size(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->config_size(inner);
}

static int config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->config_read(inner, offset, buf, size);
}

static int config_write(struct virtio_device *dev, uint32_t offset, const void *buf, uint32_t size)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->config_write(inner, offset, buf, size);
}

static uint32_t config_generation(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->config_generation(inner);
}

static int queue_start(struct virtio_device *dev, uint16_t index,
		       const struct virtio_queue_setup *setup)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	struct wrong_wrap *wrap = wrong_wrap_of(dev);

	if (index < WRONG_WRAP_QUEUES) {
		wrap->setups[index] = *setup;
		wrap->started[index] = true;
		wrap->packed_next[index] = 0;
	}
	return inner->ops->queue_start(inner, index, setup);
}

static enum virtio_completion queue_stop(struct virtio_device *dev, uint16_t index,
					 struct virtio_queue_state *state)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	enum virtio_completion done = inner->ops->queue_stop(inner, index, state);

	if (done == VIRTIO_DONE && index < WRONG_WRAP_QUEUES)
		wrong_wrap_of(dev)->started[index] = false;
	return done;
}

static enum virtio_completion reset(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	enum virtio_completion done = inner->ops->reset(inner);

	if (done == VIRTIO_DONE)
		memset(wrong_wrap_of(dev)->started, 0, sizeof(wrong_wrap_of(dev)->started));
	return done;
}

static void kick(struct virtio_device *dev, uint16_t index, uint32_t data)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	inner->ops->kick(inner, index, data);
}

static enum virtio_progress progress(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->progress(inner, index, budget);
}

static int progress_fd(struct virtio_device *dev, uint16_t index)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->progress_fd(inner, index);
}

static int event_fd(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->event_fd(inner);
}

static void event(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	inner->ops->event(inner);
}

static void destroy(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	inner->ops->destroy(inner);
	free(dev);
}

static void notify_used(void *transport, uint16_t index)
{
	struct wrong_wrap *wrap = transport;

	wrap->base.transport_ops->notify_used(wrap->base.transport, index);
}

static void config_changed(void *transport)
{
	struct wrong_wrap *wrap = transport;

	wrap->base.transport_ops->config_changed(wrap->base.transport);
}

static void needs_reset(void *transport)
{
	struct wrong_wrap *wrap = transport;

	wrap->base.transport_ops->needs_reset(wrap->base.transport);
}

/* What is optional is there if the device inside has it, or if it is bent. */
#define FORWARD(table, from, member) \
	((table)->member ? (table)->member : (from)->member ? member : NULL)

static struct virtio_device_ops bent_ops(const struct virtio_device_ops *bend,
					 const struct virtio_device_ops *inner)
{
	return (struct virtio_device_ops){
		.name = inner->name,
		.device_id = inner->device_id,
		.features = FORWARD(bend, inner, features),
		.set_features = FORWARD(bend, inner, set_features),
		.queue_count = FORWARD(bend, inner, queue_count),
		.queue_size_max = FORWARD(bend, inner, queue_size_max),
		.config_size = FORWARD(bend, inner, config_size),
		.config_read = FORWARD(bend, inner, config_read),
		.config_write = FORWARD(bend, inner, config_write),
		.config_generation = FORWARD(bend, inner, config_generation),
		.queue_start = FORWARD(bend, inner, queue_start),
		.queue_stop = FORWARD(bend, inner, queue_stop),
		.reset = FORWARD(bend, inner, reset),
		.kick = FORWARD(bend, inner, kick),
		.progress = FORWARD(bend, inner, progress),
		.progress_fd = FORWARD(bend, inner, progress_fd),
		.destroy = destroy,
		.event_fd = FORWARD(bend, inner, event_fd),
		.event = FORWARD(bend, inner, event),
	};
}

struct virtio_device *wrong_wrap_create(struct virtio_device *inner, const void *how)
{
	const struct wrong_bend *bend = how;
	struct wrong_wrap *wrap = calloc(1, sizeof(*wrap));

	if (!wrap)
		return NULL;
	wrap->inner = inner;
	wrap->bend = bend;
	wrap->ops = bent_ops(&bend->ops, inner->ops);
	wrap->base.ops = &wrap->ops;
	wrap->transport_ops = (struct virtio_transport_ops){
		.notify_used =
			bend->transport.notify_used ? bend->transport.notify_used : notify_used,
		.config_changed = bend->transport.config_changed ? bend->transport.config_changed
								 : config_changed,
		.needs_reset =
			bend->transport.needs_reset ? bend->transport.needs_reset : needs_reset,
	};
	return &wrap->base;
}
