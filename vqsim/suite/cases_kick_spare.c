/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kicks that nobody asked for, on empty queues, on full ones, and with requests in flight: they
 * do no harm (virtio 1.3, 2.7.10.2 and 2.9).
 */
#include <string.h>

#include "cases_batch_internal.h"
#include "cases_internal.h"

#define NOTIFICATION_DATA VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_NOTIFICATION_DATA)

#define ROUNDS 6u

/* Bytes of a ring of the matrix that a device writes to, at most. */
#define RING_MAX 2048u

/* All that a kick for nothing must leave as it is. */
struct scene {
	uint8_t ring[2 * RING_MAX];
	uint64_t heard, config_heard;
	unsigned operations;
	uint8_t status;
};

/* The device may say anew which kicks it wants: flags and avail_event are left out. */
static void take_scene(struct vqsim_suite *s, uint16_t queue, struct scene *scene)
{
	const struct vqsim_driver *driver = &s->guest.queues[queue];
	const struct vqsim_link *link = &s->guest.link;
	uint32_t size = driver->setup.size, used = driver->is_packed ? 0 : 2 + 8 * size;

	memset(scene, 0, sizeof(*scene));
	if (!driver->is_packed)
		memcpy(scene->ring, &driver->ring.used->idx, used);
	memcpy(scene->ring + used, vqsim_memory_at(&s->memory, driver->setup.desc_gpa, 16 * size),
	       16 * size);
	for (uint16_t i = cases_first(s); i <= cases_queue(s); i++)
		scene->heard += link->queues[i].notifications;
	scene->config_heard = link->config_notifications;
	scene->status = virtio_transport_status(&link->transport);
	if (s->subject->ops->log)
		scene->operations = s->subject->ops->log(s->instance, NULL, 0);
}

/* Kicks with the same data again and again; nothing comes of them. */
static void kick_for_nothing(struct vqsim_suite *s, uint16_t queue, const char *when)
{
	struct scene before, after;

	take_scene(s, queue, &before);
	for (unsigned i = 0; i < 3; i++) {
		vqsim_guest_kick(&s->guest, queue);
		vqsim_guest_kick(&s->guest, queue);
		vqsim_link_run(&s->guest.link, queue, 1);
	}
	take_scene(s, queue, &after);
	SUITE_EXPECT(s, memcmp(&before, &after, sizeof(before)) == 0,
		     "a kick for nothing, %s, changes nothing", when);
}

/* Requests are there, and more kicks than were asked for: each is served once. */
static void kick_too_often(struct vqsim_suite *s, uint16_t queue,
			   struct vqsim_suite_io ios[CASES_BATCH])
{
	enum virtio_progress progress;

	for (unsigned i = 0; i < CASES_BATCH; i++) {
		vqsim_suite_io_reset(s, &ios[i]);
		vqsim_suite_io_add(s, queue, &ios[i]);
		vqsim_guest_publish(&s->guest, queue);
		vqsim_guest_kick(&s->guest, queue);
		vqsim_guest_kick(&s->guest, queue);
	}
	progress = vqsim_suite_work(s, queue);
	SUITE_EXPECT(s,
		     !vqsim_guest_needs_reset(&s->guest) &&
			     cases_served(ios, CASES_BATCH) == CASES_BATCH,
		     "%u requests are served after kicks that were not wanted", CASES_BATCH);
	vqsim_suite_judge(s, queue, progress);
	cases_batch_check(s, queue, ios);
}

/* The same while the store keeps the requests, if it can be made to. */
static void kick_in_flight(struct vqsim_suite *s, uint16_t queue,
			   struct vqsim_suite_io ios[CASES_BATCH])
{
	if (!s->subject->ops->hold)
		return;
	s->subject->ops->hold(s->instance, true);
	cases_batch_add(s, queue, ios);
	vqsim_guest_publish(&s->guest, queue);
	vqsim_guest_run(&s->guest, queue);
	kick_for_nothing(s, queue, "while requests are in flight");
	s->subject->ops->hold(s->instance, false);
	vqsim_suite_settle(s, queue);
	cases_batch_check(s, queue, ios);
}

static void kick_every_queue(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[CASES_BATCH];

	for (uint16_t queue = cases_first(s); queue <= cases_queue(s); queue++) {
		cases_batch_init(s, ios);
		/* First the call that device.h promises after a start. */
		vqsim_link_run(&s->guest.link, queue, 1);
		kick_for_nothing(s, queue, "on a queue that was never used");
		for (unsigned round = 0; round < ROUNDS; round++) {
			kick_too_often(s, queue, ios);
			kick_for_nothing(s, queue, "on an empty queue");
			kick_in_flight(s, queue, ios);
		}
	}
}

static void spurious(struct vqsim_suite *s)
{
	vqsim_suite_up(s);
	kick_every_queue(s);
}

/* With NOTIFICATION_DATA, if there is such a thing, and without. */
static void repeated(struct vqsim_suite *s)
{
	struct vqsim_guest_config config = vqsim_suite_config(s);

	vqsim_suite_up_with(s, &config);
	kick_every_queue(s);
	config.features |= NOTIFICATION_DATA;
	vqsim_suite_up_with(s, &config);
	if (vqsim_suite_has(s, VIRTIO_TRANSPORT_F_NOTIFICATION_DATA))
		kick_every_queue(s);
}

const struct vqsim_case vqsim_cases_kick_spare[] = {
	{.name = "kick_spurious", .clauses = "SPLIT-D-22", .formats = VQSIM_SPLIT, .run = spurious},
	{.name = "kick_repeated", .clauses = "NOTIF-DX-01", .run = repeated},
	{.name = NULL},
};
