/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "misuse_internal.h"

#define BUDGET_DEFAULT 256u

/* A device that needs more rounds than this to finish a reset never will. */
#define RESET_ROUNDS_MAX 1000000u

static void notify_used(void *transport, uint16_t index)
{
	struct vqsim_link *link = transport;

	if (index >= link->transport.queue_count)
		vqsim_misuse(__func__, "device %s has no queue %u", link->device->ops->name, index);
	link->queues[index].notifications++;
}

static void config_changed(void *transport)
{
	struct vqsim_link *link = transport;

	link->config_notifications++;
}

static void needs_reset(void *transport)
{
	struct vqsim_link *link = transport;

	if (virtio_transport_needs_reset(&link->transport))
		link->config_notifications++;
}

static const struct virtio_transport_ops link_ops = {
	.notify_used = notify_used,
	.config_changed = config_changed,
	.needs_reset = needs_reset,
};

int vqsim_link_init(struct vqsim_link *link, struct virtio_device *device,
		    struct guest_memory *memory)
{
	int error;

	memset(link, 0, sizeof(*link));
	virtio_device_attach(device, &link_ops, link, memory);
	error = virtio_transport_init(&link->transport, device, 0, 0);
	if (error)
		return error;
	link->transport.own_features = VIRTIO_TRANSPORT_FEATURES;
	link->queues = calloc(link->transport.queue_count, sizeof(*link->queues));
	if (!link->queues) {
		virtio_transport_finish(&link->transport);
		return -ENOMEM;
	}
	link->device = device;
	link->budget = BUDGET_DEFAULT;
	return 0;
}

void vqsim_link_finish(struct vqsim_link *link)
{
	if (!link->device)
		return;
	vqsim_link_reset(link);
	virtio_transport_finish(&link->transport);
	virtio_device_attach(link->device, NULL, NULL, NULL);
	free(link->queues);
	memset(link, 0, sizeof(*link));
}

void vqsim_link_kick(struct vqsim_link *link, uint16_t queue, uint32_t data)
{
	if (!virtio_transport_queue_live(&link->transport, queue))
		return;
	link->queues[queue].kicks++;
	if (link->device->ops->kick)
		link->device->ops->kick(link->device, queue, data);
}

enum virtio_progress vqsim_link_run(struct vqsim_link *link, uint16_t queue, unsigned calls)
{
	enum virtio_progress progress = VIRTIO_WORK_LEFT;

	if (!virtio_transport_queue_live(&link->transport, queue))
		return VIRTIO_IDLE;
	while (calls-- > 0 && progress == VIRTIO_WORK_LEFT)
		progress = link->device->ops->progress(link->device, queue, link->budget);
	return progress;
}

int vqsim_link_wait(struct vqsim_link *link, uint16_t queue)
{
	const struct virtio_device_ops *ops = link->device->ops;
	struct pollfd ready = {.fd = -1, .events = POLLIN};

	if (ops->progress_fd)
		ready.fd = ops->progress_fd(link->device, queue);
	if (ready.fd < 0)
		return 0;
	while (poll(&ready, 1, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int vqsim_link_reset_queue(struct vqsim_link *link, uint16_t queue)
{
	int result = virtio_transport_reset_queue(&link->transport, queue);

	for (unsigned i = 0; result == VIRTIO_PENDING; i++) {
		if (i == RESET_ROUNDS_MAX)
			vqsim_misuse(__func__, "queue %u of %s is not reset after %u rounds", queue,
				     link->device->ops->name, i);
		if (vqsim_link_run(link, queue, 1) == VIRTIO_WAITING)
			vqsim_link_wait(link, queue);
		result = virtio_transport_reset_queue(&link->transport, queue);
	}
	return result;
}

/* One call of progress for every live queue; waits on one that says it has to. */
static void run_all_once(struct vqsim_link *link)
{
	bool work_left = false;
	int waiting = -1;

	for (uint16_t i = 0; i < link->transport.queue_count; i++) {
		enum virtio_progress progress = vqsim_link_run(link, i, 1);

		work_left |= progress == VIRTIO_WORK_LEFT;
		if (progress == VIRTIO_WAITING)
			waiting = i;
	}
	if (virtio_transport_continue(&link->transport) == VIRTIO_PENDING && !work_left &&
	    waiting >= 0)
		vqsim_link_wait(link, (uint16_t)waiting);
}

void vqsim_link_reset(struct vqsim_link *link)
{
	virtio_transport_write_status(&link->transport, 0);
	for (unsigned i = 0; virtio_transport_status(&link->transport) != 0; i++) {
		if (i == RESET_ROUNDS_MAX)
			vqsim_misuse(__func__, "device %s is not reset after %u rounds",
				     link->device->ops->name, i);
		run_all_once(link);
	}
}
