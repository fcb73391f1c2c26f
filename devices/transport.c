/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a device as the driver steers it (virtio 1.3, 2.1, 2.2, 2.4, 3.1).
 *
 *     0 -> ACKNOWLEDGE -> DRIVER -> FEATURES_OK -> DRIVER_OK
 *     ^                                 ^              ^
 *     write 0, at any time         checked here    queues start here
 *
 * Queues are enabled between FEATURES_OK and DRIVER_OK, or later one by one; with
 * RING_RESET one of them may be stopped and enabled again while the others go on.
 * What the driver writes out of turn is refused and changes nothing.
 */
#include "transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "virtqueue.h"

int virtio_transport_init(struct virtio_transport *t, struct virtio_device *device,
			  uint64_t hidden_features, uint64_t required_features)
{
	memset(t, 0, sizeof(*t));
	t->device = device;
	t->hidden_features = hidden_features;
	t->required_features = required_features | VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
	t->queue_count = device->ops->queue_count(device);
	t->queues = calloc(t->queue_count, sizeof(*t->queues));
	return t->queues ? 0 : -ENOMEM;
}

void virtio_transport_finish(struct virtio_transport *t)
{
	free(t->queues);
	memset(t, 0, sizeof(*t));
}

uint64_t virtio_transport_features(const struct virtio_transport *t)
{
	return (t->device->ops->features(t->device) & ~t->hidden_features) | t->own_features;
}

uint8_t virtio_transport_status(const struct virtio_transport *t)
{
	return __atomic_load_n(&t->status, __ATOMIC_ACQUIRE);
}

static bool has(const struct virtio_transport *t, uint8_t bit)
{
	return virtio_transport_status(t) & bit;
}

static void set(struct virtio_transport *t, uint8_t bits)
{
	__atomic_fetch_or(&t->status, bits, __ATOMIC_ACQ_REL);
}

int virtio_transport_set_features(struct virtio_transport *t, uint64_t features)
{
	if (has(t, VIRTIO_CONFIG_S_FEATURES_OK))
		return -EBUSY;
	t->driver_features = features;
	return 0;
}

/* 2.2.2: refuse what was not offered, what must not be missing, and what cannot work. */
static bool features_acceptable(struct virtio_transport *t)
{
	uint64_t features = t->driver_features;
	uint64_t offered = t->device->ops->features(t->device) & ~t->hidden_features;

	return (features & ~virtio_transport_features(t)) == 0 &&
	       (t->required_features & ~features) == 0 &&
	       t->device->ops->set_features(t->device, features & offered) == 0;
}

static int start_queue(struct virtio_transport *t, uint16_t index)
{
	struct virtio_transport_queue *queue = &t->queues[index];
	int error = t->device->ops->queue_start(t->device, index, &queue->setup);

	queue->phase = error ? VIRTIO_QUEUE_DISABLED : VIRTIO_QUEUE_STARTED;
	return error;
}

static void start_queues(struct virtio_transport *t)
{
	for (uint16_t i = 0; i < t->queue_count; i++) {
		if (t->queues[i].phase != VIRTIO_QUEUE_ENABLED || start_queue(t, i) == 0)
			continue;
		t->device->transport_ops->needs_reset(t->device->transport);
	}
}

static enum virtio_completion reset(struct virtio_transport *t)
{
	t->resetting = true;
	if (t->device->ops->reset(t->device) == VIRTIO_PENDING)
		return VIRTIO_PENDING;
	for (uint16_t i = 0; i < t->queue_count; i++)
		t->queues[i] = (struct virtio_transport_queue){0};
	t->driver_features = 0;
	t->resetting = false;
	__atomic_store_n(&t->status, 0, __ATOMIC_RELEASE);
	return VIRTIO_DONE;
}

void virtio_transport_write_status(struct virtio_transport *t, uint8_t value)
{
	uint8_t added = value & (uint8_t)~virtio_transport_status(t);

	if (value == 0) {
		reset(t);
		return;
	}
	if (t->resetting)
		return;
	/* NEEDS_RESET is the device's to set. */
	set(t, added & (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			VIRTIO_CONFIG_S_FAILED));
	if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && has(t, VIRTIO_CONFIG_S_DRIVER) &&
	    features_acceptable(t))
		set(t, VIRTIO_CONFIG_S_FEATURES_OK);
	if ((added & VIRTIO_CONFIG_S_DRIVER_OK) && has(t, VIRTIO_CONFIG_S_FEATURES_OK)) {
		set(t, VIRTIO_CONFIG_S_DRIVER_OK);
		start_queues(t);
	}
}

enum virtio_completion virtio_transport_continue(struct virtio_transport *t)
{
	return t->resetting ? reset(t) : VIRTIO_DONE;
}

bool virtio_transport_needs_reset(struct virtio_transport *t)
{
	uint8_t before = __atomic_fetch_or(&t->status, VIRTIO_STATUS_NEEDS_RESET, __ATOMIC_ACQ_REL);

	return (before & VIRTIO_CONFIG_S_DRIVER_OK) && !(before & VIRTIO_STATUS_NEEDS_RESET);
}

static bool part_is_possible(uint64_t gpa, uint64_t align, uint64_t size)
{
	return gpa % align == 0 && gpa <= UINT64_MAX - size;
}

/* 2.7 and 2.8: alignment and size of a ring's parts; none may wrap past 2^64. */
static bool ring_is_possible(const struct virtio_transport *t, const struct virtio_queue_setup *s)
{
	bool packed = t->driver_features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	uint64_t size = s->size;

	if (!part_is_possible(s->desc_gpa, 16, 16 * size))
		return false;
	if (packed)
		return part_is_possible(s->driver_gpa, 4, 4) &&
		       part_is_possible(s->device_gpa, 4, 4);
	return (size & (size - 1)) == 0 && part_is_possible(s->driver_gpa, 2, 6 + 2 * size) &&
	       part_is_possible(s->device_gpa, 4, 6 + 8 * size);
}

int virtio_transport_enable_queue(struct virtio_transport *t, uint16_t index,
				  const struct virtio_queue_setup *setup)
{
	if (index >= t->queue_count || setup->size == 0 ||
	    setup->size > t->device->ops->queue_size_max(t->device, index) ||
	    !ring_is_possible(t, setup))
		return -EINVAL;
	if (!has(t, VIRTIO_CONFIG_S_FEATURES_OK) || has(t, VIRTIO_STATUS_NEEDS_RESET) ||
	    t->resetting || t->queues[index].phase != VIRTIO_QUEUE_DISABLED)
		return -EBUSY;
	t->queues[index].setup = *setup;
	t->queues[index].phase = VIRTIO_QUEUE_ENABLED;
	return has(t, VIRTIO_CONFIG_S_DRIVER_OK) ? start_queue(t, index) : 0;
}

enum virtio_completion virtio_transport_stop_queue(struct virtio_transport *t, uint16_t index,
						   struct virtio_queue_state *state)
{
	struct virtio_transport_queue *queue = &t->queues[index];
	struct virtio_queue_state fresh = VIRTIO_QUEUE_STATE_FRESH, at = fresh;

	if (queue->phase == VIRTIO_QUEUE_ENABLED) {
		at = queue->setup.resume;
	} else if (queue->phase != VIRTIO_QUEUE_DISABLED) {
		queue->phase = VIRTIO_QUEUE_STOPPING;
		if (t->device->ops->queue_stop(t->device, index, &at) == VIRTIO_PENDING)
			return VIRTIO_PENDING;
	}
	*queue = (struct virtio_transport_queue){0};
	if (state)
		*state = at;
	return VIRTIO_DONE;
}

int virtio_transport_reset_queue(struct virtio_transport *t, uint16_t index)
{
	if (index >= t->queue_count)
		return -EINVAL;
	if (t->resetting)
		return -EBUSY;
	if (!(t->driver_features & VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET)) ||
	    !has(t, VIRTIO_CONFIG_S_FEATURES_OK))
		return -EPERM;
	return (int)virtio_transport_stop_queue(t, index, NULL);
}

bool virtio_transport_queue_live(const struct virtio_transport *t, uint16_t index)
{
	return index < t->queue_count && (t->queues[index].phase == VIRTIO_QUEUE_STARTED ||
					  t->queues[index].phase == VIRTIO_QUEUE_STOPPING);
}

static bool in_config(const struct virtio_transport *t, uint32_t offset, uint32_t size)
{
	const struct virtio_device_ops *ops = t->device->ops;
	uint32_t room = ops->config_size ? ops->config_size(t->device) : 0;

	return size > 0 && offset < room && size <= room - offset;
}

int virtio_transport_config_read(struct virtio_transport *t, uint32_t offset, void *buf,
				 uint32_t size)
{
	if (!in_config(t, offset, size))
		return -EINVAL;
	return t->device->ops->config_read(t->device, offset, buf, size);
}

int virtio_transport_config_write(struct virtio_transport *t, uint32_t offset, const void *buf,
				  uint32_t size)
{
	if (!in_config(t, offset, size))
		return -EINVAL;
	if (!t->device->ops->config_write)
		return -EPERM;
	return t->device->ops->config_write(t->device, offset, buf, size);
}

uint32_t virtio_transport_config_generation(const struct virtio_transport *t)
{
	const struct virtio_device_ops *ops = t->device->ops;

	return ops->config_generation ? ops->config_generation(t->device) : 0;
}
