/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Invariant: queue_count > 0 if and only if the queues are set up and the referee
 * was told of them; guest->mark is then where the memory stood before. A queue without slots is
 * one of them that was reset.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "misuse_internal.h"
#include "referee/lifecycle.h"
#include "remote.h"

/*
 * What this driver never takes, whatever the test asks for (2.2.1): SR_IOV,
 * NOTIF_CONFIG_DATA and ADMIN_VQ.
 */
#define FEATURES_BEYOND_US (VIRTIO_FEATURE(37) | VIRTIO_FEATURE(39) | VIRTIO_FEATURE(41))

/* What the ring of a reset queue is filled with: a device that goes on reading is led astray. */
#define POISON 0xa5

/* Calls of progress beyond one for each chain before a run is called endless. */
#define RUN_CALLS_SPARE 16u

/* An asynchronous device that needs more rounds than this never comes to an end. */
#define SETTLE_ROUNDS_MAX 1000000u

static struct vqsim_driver *queue_at(struct vqsim_guest *guest, uint16_t queue,
				     const char *function)
{
	if (queue >= guest->queue_count)
		vqsim_misuse(function, "queue %u of %u is not set up", queue, guest->queue_count);
	return &guest->queues[queue];
}

/* The driver of a queue that is in use. */
static struct vqsim_driver *driver_at(struct vqsim_guest *guest, uint16_t queue,
				      const char *function)
{
	struct vqsim_driver *driver = queue_at(guest, queue, function);

	if (!driver->slots)
		vqsim_misuse(function, "queue %u was reset and is not enabled", queue);
	return driver;
}

/* A device of another process has to be waited for: until what the referee will ask of it is there. */
static enum vqsim_remote_look look(void *opaque, uint16_t queue)
{
	static const enum vqsim_remote_look looks[] = {
		[VQSIM_OWES_NOTHING] = VQSIM_REMOTE_AT_REST,
		[VQSIM_OWES] = VQSIM_REMOTE_OWES,
		[VQSIM_OWES_WHO_KNOWS] = VQSIM_REMOTE_UNKNOWN,
	};
	struct vqsim_guest *guest = opaque;

	if (guest->referee)
		return looks[vqsim_referee_owing(guest->referee, queue,
						 guest->link.queues[queue].notifications)];
	if (vqsim_driver_has_used(&guest->queues[queue]))
		return VQSIM_REMOTE_USED;
	return guest->queues[queue].in_flight ? VQSIM_REMOTE_OWES : VQSIM_REMOTE_AT_REST;
}

int vqsim_guest_init(struct vqsim_guest *guest, struct vqsim_memory *memory,
		     struct virtio_device *device, struct vqsim_referee *referee)
{
	int error;

	memset(guest, 0, sizeof(*guest));
	error = vqsim_link_init(&guest->link, device, &memory->guest);
	if (error)
		return error;
	guest->queues = calloc(guest->link.transport.queue_count, sizeof(*guest->queues));
	if (!guest->queues) {
		vqsim_link_finish(&guest->link);
		return -ENOMEM;
	}
	guest->memory = memory;
	guest->referee = referee;
	guest->mark = vqsim_memory_mark(memory);
	if (vqsim_remote_is(device))
		vqsim_remote_watch(device, look, guest);
	if (referee) {
		referee->device_id = device->ops->device_id;
		referee->elsewhere = vqsim_remote_is(device);
		vqsim_referee_taken_over(referee);
	}
	return 0;
}

void vqsim_guest_finish(struct vqsim_guest *guest)
{
	if (!guest->queues)
		return;
	vqsim_guest_reset(guest);
	vqsim_link_finish(&guest->link);
	free(guest->queues);
	memset(guest, 0, sizeof(*guest));
}

static void forget_queues(struct vqsim_guest *guest)
{
	for (uint16_t i = 0; i < guest->link.transport.queue_count; i++)
		vqsim_driver_finish(&guest->queues[i]);
	vqsim_memory_rewind(guest->memory, &guest->mark);
	guest->queue_count = 0;
}

static uint64_t notifications_sum(const struct vqsim_guest *guest)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < guest->link.transport.queue_count; i++)
		sum += guest->link.queues[i].notifications;
	return sum;
}

/* What a driver that has not understood yet would do: a dead queue answers nothing (2.4.1). */
static void disturb_dead_queues(struct vqsim_guest *guest)
{
	for (uint16_t i = 0; i < guest->queue_count; i++) {
		vqsim_guest_kick(guest, i);
		vqsim_link_run(&guest->link, i, 1);
	}
}

/* The memory of queues that were reset is about to be used for something else. */
static void check_reset_queues(struct vqsim_guest *guest)
{
	for (uint16_t i = 0; guest->referee && i < guest->queue_count; i++)
		if (vqsim_guest_queue_is_reset(guest, i))
			vqsim_referee_queue_after_reset(guest->referee, i,
							guest->link.queues[i].notifications);
}

/*
 * The referee looks right here and not at the next set-up: the memory of the
 * rings is given back, and the test may use it for something else.
 */
void vqsim_guest_reset(struct vqsim_guest *guest)
{
	check_reset_queues(guest);
	vqsim_link_reset(&guest->link);
	if (guest->referee)
		vqsim_referee_status_written(guest->referee, 0,
					     virtio_transport_status(&guest->link.transport));
	guest->features = 0;
	if (guest->queue_count == 0)
		return;
	if (guest->referee)
		vqsim_referee_was_reset(guest->referee, notifications_sum(guest));
	disturb_dead_queues(guest);
	if (guest->referee)
		vqsim_referee_after_reset(guest->referee, notifications_sum(guest));
	forget_queues(guest);
}

static void status_add(struct vqsim_guest *guest, uint8_t bit)
{
	struct virtio_transport *transport = &guest->link.transport;
	uint8_t written = virtio_transport_status(transport) | bit;

	virtio_transport_write_status(transport, written);
	if (guest->referee)
		vqsim_referee_status_written(guest->referee, written,
					     virtio_transport_status(transport));
}

static bool status_has(const struct vqsim_guest *guest, uint8_t bit)
{
	return virtio_transport_status(&guest->link.transport) & bit;
}

/* Give the device up before DRIVER_OK. */
static enum vqsim_bring_up fail(struct vqsim_guest *guest, enum vqsim_bring_up why)
{
	status_add(guest, VIRTIO_CONFIG_S_FAILED);
	return vqsim_guest_needs_reset(guest) ? VQSIM_BROKEN : why;
}

/* Write the features and FEATURES_OK, which may stay clear. */
static void features_write(struct vqsim_guest *guest, uint64_t features)
{
	if (virtio_transport_set_features(&guest->link.transport, features))
		return;
	status_add(guest, VIRTIO_CONFIG_S_FEATURES_OK);
	if (guest->referee)
		vqsim_referee_features_written(guest->referee, features,
					       status_has(guest, VIRTIO_CONFIG_S_FEATURES_OK));
}

enum vqsim_bring_up vqsim_guest_negotiate(struct vqsim_guest *guest, uint64_t features)
{
	uint64_t wanted = (features & ~FEATURES_BEYOND_US) | VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
	uint64_t offer, taken;

	vqsim_guest_reset(guest);
	status_add(guest, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	status_add(guest, VIRTIO_CONFIG_S_DRIVER);
	offer = virtio_transport_features(&guest->link.transport);
	if (guest->referee)
		vqsim_referee_offered(guest->referee, offer);
	taken = wanted & offer;
	if (taken & VIRTIO_FEATURE(VIRTIO_F_VERSION_1))
		features_write(guest, taken);
	if (!status_has(guest, VIRTIO_CONFIG_S_FEATURES_OK) || vqsim_guest_needs_reset(guest))
		return fail(guest, VQSIM_REFUSED_FEATURES);
	guest->features = taken;
	return VQSIM_UP;
}

/* The driver's part of a queue. size 0: the device's maximum. */
static int queue_init(struct vqsim_guest *guest, uint16_t index, uint16_t size)
{
	struct virtio_device *device = guest->link.device;

	if (size == 0)
		size = device->ops->queue_size_max(device, index);
	return vqsim_driver_init(&guest->queues[index], guest->memory, size, guest->features);
}

static int queue_set_up(struct vqsim_guest *guest, uint16_t index, uint16_t size)
{
	int error = queue_init(guest, index, size);

	return error ? error
		     : virtio_transport_enable_queue(&guest->link.transport, index,
						     &guest->queues[index].setup);
}

static int tell_set_up(struct vqsim_guest *guest, uint16_t count)
{
	struct virtio_queue_setup *setups;
	int error;

	if (!guest->referee)
		return 0;
	setups = calloc(count, sizeof(*setups));
	if (!setups)
		return -ENOMEM;
	for (uint16_t i = 0; i < count; i++)
		setups[i] = guest->queues[i].setup;
	error = vqsim_referee_set_up(guest->referee, guest->features, setups, count);
	free(setups);
	return error;
}

static int queues_set_up(struct vqsim_guest *guest, uint16_t count, uint16_t size)
{
	int error = 0;

	guest->mark = vqsim_memory_mark(guest->memory);
	for (uint16_t i = 0; i < count && error == 0; i++)
		error = queue_set_up(guest, i, size);
	if (error == 0)
		error = tell_set_up(guest, count);
	if (error)
		forget_queues(guest);
	else
		guest->queue_count = count;
	return error;
}

enum vqsim_bring_up vqsim_guest_go(struct vqsim_guest *guest,
				   const struct vqsim_guest_config *config)
{
	uint16_t has = guest->link.transport.queue_count;
	uint16_t count = config->queue_count ? config->queue_count : has;

	if (count > has)
		vqsim_misuse(__func__, "%u queues of a device that has %u", count, has);
	if (guest->queue_count > 0)
		vqsim_misuse(__func__, "the queues are set up already");
	if (queues_set_up(guest, count, config->queue_size))
		return fail(guest, VQSIM_REFUSED_QUEUE);
	for (uint16_t i = 0; guest->referee && i < count; i++)
		vqsim_referee_before_driver_ok(guest->referee, i,
					       guest->link.queues[i].notifications);
	status_add(guest, VIRTIO_CONFIG_S_DRIVER_OK);
	return vqsim_guest_needs_reset(guest) ? VQSIM_BROKEN : VQSIM_UP;
}

enum vqsim_bring_up vqsim_guest_bring_up(struct vqsim_guest *guest,
					 const struct vqsim_guest_config *config)
{
	enum vqsim_bring_up result = vqsim_guest_negotiate(guest, config->features);

	return result == VQSIM_UP ? vqsim_guest_go(guest, config) : result;
}

static void poison_part(struct vqsim_guest *guest, uint64_t gpa, uint64_t size)
{
	memset(vqsim_memory_at(guest->memory, gpa, size), POISON, size);
}

static void poison(struct vqsim_guest *guest, const struct vqsim_driver *driver)
{
	const struct virtio_queue_setup *s = &driver->setup;
	uint64_t size = s->size;

	poison_part(guest, s->desc_gpa, 16 * size);
	poison_part(guest, s->driver_gpa, driver->is_packed ? 4 : 6 + 2 * size);
	poison_part(guest, s->device_gpa, driver->is_packed ? 4 : 6 + 8 * size);
}

void vqsim_guest_queue_reset(struct vqsim_guest *guest, uint16_t queue)
{
	struct vqsim_driver *driver = driver_at(guest, queue, __func__);
	int error = vqsim_link_reset_queue(&guest->link, queue);

	if (error)
		vqsim_misuse(__func__, "queue %u cannot be reset: %s", queue, strerror(-error));
	poison(guest, driver);
	if (guest->referee)
		vqsim_referee_queue_was_reset(guest->referee, queue,
					      guest->link.queues[queue].notifications);
	vqsim_driver_finish(driver);
}

bool vqsim_guest_queue_is_reset(const struct vqsim_guest *guest, uint16_t queue)
{
	return queue < guest->queue_count && !guest->queues[queue].slots;
}

enum vqsim_bring_up vqsim_guest_queue_enable(struct vqsim_guest *guest, uint16_t queue,
					     uint16_t size)
{
	struct vqsim_driver *driver = queue_at(guest, queue, __func__);
	int error;

	if (driver->slots)
		vqsim_misuse(__func__, "queue %u is enabled", queue);
	if (guest->referee)
		vqsim_referee_queue_after_reset(guest->referee, queue,
						guest->link.queues[queue].notifications);
	error = queue_init(guest, queue, size);
	if (!error && guest->referee)
		error = vqsim_referee_queue_set_up(guest->referee, queue, &driver->setup);
	if (!error)
		error = virtio_transport_enable_queue(&guest->link.transport, queue,
						      &driver->setup);
	if (error)
		vqsim_driver_finish(driver);
	if (vqsim_guest_needs_reset(guest))
		return VQSIM_BROKEN;
	return error ? VQSIM_REFUSED_QUEUE : VQSIM_UP;
}

int vqsim_guest_add(struct vqsim_guest *guest, uint16_t queue, const struct vqsim_chain *chain,
		    void *token)
{
	return vqsim_driver_add(driver_at(guest, queue, __func__), chain, token);
}

bool vqsim_guest_publish(struct vqsim_guest *guest, uint16_t queue)
{
	struct vqsim_driver *driver = driver_at(guest, queue, __func__);
	bool wanted;

	if (guest->referee && guest->referee->elsewhere && driver->unpublished)
		vqsim_referee_publishing(guest->referee, queue, driver->head_flags);
	wanted = vqsim_driver_publish(driver);
	if (guest->referee)
		vqsim_referee_published(guest->referee, queue);
	if (wanted)
		vqsim_guest_kick(guest, queue);
	return wanted;
}

void vqsim_guest_kick(struct vqsim_guest *guest, uint16_t queue)
{
	struct vqsim_driver *driver = queue_at(guest, queue, __func__);

	vqsim_link_kick(&guest->link, queue, vqsim_driver_kick_data(driver, queue));
}

enum virtio_progress vqsim_guest_run(struct vqsim_guest *guest, uint16_t queue)
{
	struct vqsim_driver *driver = queue_at(guest, queue, __func__);
	struct vqsim_link *link = &guest->link;
	enum virtio_progress progress;

	if (guest->referee)
		vqsim_referee_before_run(guest->referee, queue);
	progress = vqsim_link_run(link, queue, driver->setup.size + RUN_CALLS_SPARE);
	if (guest->referee)
		vqsim_referee_ran(
			guest->referee, queue, progress, link->queues[queue].notifications,
			virtio_transport_status(&link->transport), link->config_notifications);
	return progress;
}

void vqsim_guest_settle(struct vqsim_guest *guest, uint16_t queue)
{
	for (unsigned i = 0; vqsim_guest_run(guest, queue) == VIRTIO_WAITING; i++) {
		if (i == SETTLE_ROUNDS_MAX)
			vqsim_misuse(__func__, "queue %u still waits after %u rounds", queue, i);
		if (vqsim_link_wait(&guest->link, queue) != 0)
			vqsim_misuse(__func__, "queue %u cannot be waited for", queue);
	}
}

enum virtio_progress vqsim_guest_run_all(struct vqsim_guest *guest)
{
	enum virtio_progress all = VIRTIO_IDLE;

	for (uint16_t i = 0; i < guest->queue_count; i++)
		if (vqsim_guest_run(guest, i) == VIRTIO_WAITING)
			all = VIRTIO_WAITING;
	return all;
}

void vqsim_guest_settle_all(struct vqsim_guest *guest)
{
	while (vqsim_guest_run_all(guest) == VIRTIO_WAITING)
		for (uint16_t queue = 0; queue < guest->queue_count; queue++)
			vqsim_guest_settle(guest, queue);
}

enum vqsim_reap vqsim_guest_reap(struct vqsim_guest *guest, uint16_t queue, struct vqsim_used *used)
{
	struct vqsim_driver *driver = driver_at(guest, queue, __func__);

	if (guest->referee && vqsim_driver_has_used(driver))
		vqsim_referee_reaped(guest->referee, queue);
	return vqsim_driver_reap(driver, used);
}

bool vqsim_guest_needs_reset(const struct vqsim_guest *guest)
{
	return status_has(guest, VIRTIO_STATUS_NEEDS_RESET);
}
