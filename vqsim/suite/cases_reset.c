/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reset of a device (virtio 1.3, 2.4) and of one queue (2.6.1).
 */
#include <string.h>

#include <linux/virtio_config.h>

#include "cases_internal.h"

#define RING_RESET    40
#define ROUNDS_MAX    1000u
#define POISON        0x5a
#define REQUESTS      3u
#define SMALL         8u
#define AREA_MAX      (6u + 8u * 128u)
#define TABLE_MAX     (16u * 128u)
#define BACKLOG_BYTES 512u

/*
 * Attempts at a reset at work, and at lives after one, where the device sets its own pace: in one it may
 * have done all that it was told of, in another not have begun.
 */
#define TRIES 8u
#define LIVES 4u

/* 0 too if the device keeps none of its own. */
static uint8_t own_status(const struct vqsim_suite *s)
{
	int status = s->subject->ops->own_status ? s->subject->ops->own_status(s->instance) : 0;

	return status > 0 ? (uint8_t)status : 0;
}

static void linger(const struct vqsim_suite *s)
{
	if (s->subject->ops->linger)
		s->subject->ops->linger(s->instance);
}

/* Write 0 and let the device work: the status must come to 0. */
static void reset(struct vqsim_suite *s)
{
	struct vqsim_link *link = &s->guest.link;

	virtio_transport_write_status(&link->transport, 0);
	if (s->subject->ops->hold)
		s->subject->ops->hold(s->instance, false);
	for (unsigned i = 0; i < ROUNDS_MAX && virtio_transport_status(&link->transport); i++) {
		for (uint16_t queue = 0; queue < link->transport.queue_count; queue++)
			vqsim_link_run(link, queue, 1);
		virtio_transport_continue(&link->transport);
	}
	SUITE_EXPECT_CLAUSE(s, "RESET-D-01",
			    virtio_transport_status(&link->transport) == 0 && own_status(s) == 0,
			    "the status comes to 0 after a reset");
}

/* Requests that the device has taken, if it can be made to wait, or has at least been told of. */
static void leave_in_flight(struct vqsim_suite *s, struct vqsim_suite_io ios[REQUESTS])
{
	if (s->subject->ops->hold)
		s->subject->ops->hold(s->instance, true);
	for (unsigned i = 0; i < REQUESTS; i++) {
		vqsim_suite_io_init(s, &ios[i], BACKLOG_BYTES);
		vqsim_suite_io_add(s, cases_first(s), &ios[i]);
	}
	vqsim_guest_publish(&s->guest, cases_first(s));
	if (s->subject->ops->hold)
		vqsim_guest_run(&s->guest, cases_first(s));
}

static void from_every_state(struct vqsim_suite *s)
{
	static const uint8_t steps[] = {
		VIRTIO_CONFIG_S_ACKNOWLEDGE,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_FAILED,
	};
	struct vqsim_guest_config config = vqsim_suite_config(s);
	struct vqsim_suite_io ios[REQUESTS];

	reset(s);
	for (unsigned i = 0; i < sizeof(steps); i++) {
		virtio_transport_write_status(&s->guest.link.transport, steps[i]);
		reset(s);
	}
	vqsim_guest_negotiate(&s->guest, config.features);
	reset(s);
	vqsim_suite_up(s);
	reset(s);
	vqsim_suite_up(s);
	leave_in_flight(s, ios);
	reset(s);
	vqsim_suite_up(s);
	vqsim_suite_good_request(s, cases_first(s));
}

static void look_around(struct vqsim_suite *s)
{
	struct vqsim_link *link = &s->guest.link;
	const struct virtio_device_ops *ops = s->device->ops;

	for (uint16_t queue = 0; queue < link->transport.queue_count; queue++) {
		vqsim_link_kick(link, queue, queue);
		vqsim_link_run(link, queue, 1);
	}
	virtio_transport_features(&link->transport);
	linger(s);
	if (vqsim_guest_needs_reset(&s->guest))
		return; /* of a backend that is gone nothing can be read */
	virtio_transport_config_generation(&link->transport);
	for (uint32_t at = 0; ops->config_size && at < ops->config_size(s->device); at++)
		vqsim_suite_config_field(s, at, 1);
}

static uint64_t notifications(const struct vqsim_suite *s)
{
	uint64_t sum = s->guest.link.config_notifications;

	for (uint16_t i = 0; i < s->guest.link.transport.queue_count; i++)
		sum += s->guest.link.queues[i].notifications;
	return sum;
}

static bool all_are(const uint8_t *bytes, uint32_t size, uint8_t byte)
{
	for (uint32_t i = 0; i < size; i++)
		if (bytes[i] != byte)
			return false;
	return true;
}

static uint32_t area_size(const struct vqsim_driver *driver)
{
	return driver->is_packed ? 4 : 6 + 8u * driver->setup.size;
}

/* A ring whose device must not know it any more. */
struct remains {
	uint8_t *area, *table;
	uint32_t area_size, table_size;
	uint8_t was[TABLE_MAX]; /* the table */
};

static void find_remains(struct vqsim_suite *s, const struct vqsim_driver *driver,
			 struct remains *remains)
{
	remains->area_size = area_size(driver);
	remains->table_size = 16u * driver->setup.size;
	remains->area = vqsim_memory_at(&s->memory, driver->setup.device_gpa, remains->area_size);
	remains->table = vqsim_memory_at(&s->memory, driver->setup.desc_gpa, remains->table_size);
}

static void leave(struct remains *remains)
{
	memset(remains->area, POISON, remains->area_size);
	memcpy(remains->was, remains->table, remains->table_size);
}

static bool are_left(const struct remains *remains)
{
	return all_are(remains->area, remains->area_size, POISON) &&
	       memcmp(remains->table, remains->was, remains->table_size) == 0;
}

/* Exposed, but not to this device: one that goes on with the ring of before would serve it. */
static void add_bait(struct vqsim_suite *s, struct vqsim_suite_io *io)
{
	vqsim_suite_io_init(s, io, BACKLOG_BYTES);
	vqsim_suite_io_add(s, cases_first(s), io);
	vqsim_driver_publish(&s->guest.queues[cases_first(s)]);
}

/* Between the status that reads 0 and the next bring-up the device does nothing of its own. */
static void leave_alone_once(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[REQUESTS + 1];
	struct remains remains;
	uint64_t heard;

	vqsim_suite_up(s);
	leave_in_flight(s, ios);
	reset(s);
	heard = notifications(s);
	add_bait(s, &ios[REQUESTS]);
	find_remains(s, &s->guest.queues[cases_first(s)], &remains);
	leave(&remains);
	for (unsigned i = 0; i <= REQUESTS; i++)
		memset(ios[i].data, POISON, ios[i].writable_size);
	look_around(s);
	SUITE_EXPECT_CLAUSE(s, "RESET-D-02", notifications(s) == heard,
			    "no notification comes after a reset");
	SUITE_EXPECT_CLAUSE(s, "RESET-D-03", are_left(&remains),
			    "the rings are not written to after a reset");
	for (unsigned i = 0; i <= REQUESTS; i++)
		SUITE_EXPECT_CLAUSE(s, "RESET-D-03",
				    all_are(ios[i].data, ios[i].writable_size, POISON),
				    "the buffers are not written to after a reset");
	SUITE_EXPECT_CLAUSE(s, "RESET-D-02", !vqsim_guest_needs_reset(&s->guest),
			    "a device that was reset asks for nothing");
}

static void leaves_alone(struct vqsim_suite *s)
{
	for (unsigned i = s->subject->ops->linger ? TRIES : 1; i > 0; i--)
		leave_alone_once(s);
}

/*
 * The first request of a ring is served: looked at before the referee looks, which would
 * only see that a chain is left over.
 */
static void first_request(struct vqsim_suite *s)
{
	enum virtio_progress progress;
	struct vqsim_suite_io io;

	vqsim_suite_io_init(s, &io, BACKLOG_BYTES);
	vqsim_suite_io_add(s, cases_first(s), &io);
	progress = vqsim_suite_work(s, cases_first(s));
	SUITE_EXPECT(s, *io.status == 0, "the first request of a queue that starts anew is served");
	vqsim_suite_judge(s, cases_first(s), progress);
	vqsim_suite_io_reap(s, cases_first(s));
	vqsim_suite_io_check(s, &io);
}

/* Three lives, the middle one with another ring format, other features and another size. */
static void forgets(struct vqsim_suite *s)
{
	struct vqsim_guest_config config = vqsim_suite_config(s), other = config;

	other.features ^=
		VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX);
	other.queue_size = SMALL;
	for (unsigned life = 0; life < 3; life++) {
		if (life == 0)
			vqsim_suite_up(s);
		else
			vqsim_suite_must_come_up(s, NULL, life == 1 ? &other : &config);
		first_request(s);
		for (unsigned i = 0; i < REQUESTS; i++)
			vqsim_suite_good_request(s, cases_first(s));
	}
}

/* A second life in which no queue is enabled: the rings of the first one are none of it. */
static void forgets_rings_once(struct vqsim_suite *s)
{
	struct vqsim_guest_config config = vqsim_suite_config(s);
	struct remains remains;
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	vqsim_suite_good_request(s, cases_first(s));
	/* Asleep, it does not take the bait before the reset. */
	linger(s);
	add_bait(s, &io);
	find_remains(s, &s->guest.queues[cases_first(s)], &remains);
	SUITE_EXPECT(s, vqsim_guest_negotiate(&s->guest, config.features) == VQSIM_UP,
		     "the features are accepted");
	leave(&remains);
	virtio_transport_write_status(&s->guest.link.transport,
				      virtio_transport_status(&s->guest.link.transport) |
					      VIRTIO_CONFIG_S_DRIVER_OK);
	look_around(s);
	SUITE_EXPECT(s, are_left(&remains),
		     "a ring of the life before is not used after DRIVER_OK");
}

static void forgets_rings(struct vqsim_suite *s)
{
	for (unsigned i = s->subject->ops->linger ? LIVES : 1; i > 0; i--)
		forgets_rings_once(s);
}

static void up_with_ring_reset(struct vqsim_suite *s)
{
	struct vqsim_guest_config config = vqsim_suite_config(s);

	config.features |= VIRTIO_FEATURE(RING_RESET);
	vqsim_suite_up_with(s, &config);
	if (!vqsim_suite_has(s, RING_RESET))
		vqsim_suite_not_applicable(s, "VIRTIO_F_RING_RESET is not offered");
}

static void queue_is_quiet(struct vqsim_suite *s)
{
	uint8_t area[AREA_MAX], *ring;
	struct vqsim_suite_io ios[REQUESTS];
	uint32_t size;
	uint64_t heard;

	up_with_ring_reset(s);
	vqsim_suite_good_request(s, cases_first(s));
	for (unsigned i = 0; i < REQUESTS; i++) {
		vqsim_suite_io_init(s, &ios[i], BACKLOG_BYTES);
		vqsim_suite_io_add(s, cases_first(s), &ios[i]);
	}
	vqsim_guest_publish(&s->guest, cases_first(s));
	size = area_size(&s->guest.queues[cases_first(s)]);
	ring = vqsim_memory_at(&s->memory, s->guest.queues[cases_first(s)].setup.device_gpa, size);
	vqsim_guest_queue_reset(&s->guest, cases_first(s));
	s->io_count = 0;
	memcpy(area, ring, size);
	heard = notifications(s);
	look_around(s);
	SUITE_EXPECT_CLAUSE(s, "VQRESET-D-02", notifications(s) == heard,
			    "a queue that was reset sends no notification");
	SUITE_EXPECT_CLAUSE(s, "VQRESET-D-01", memcmp(area, ring, size) == 0,
			    "the ring of a queue that was reset stays as it is");
	for (unsigned i = 0; i < REQUESTS; i++)
		SUITE_EXPECT_CLAUSE(s, "VQRESET-D-01", *ios[i].status == VQSIM_BLK_STATUS_UNSET,
				    "a request of a queue that was reset is not executed");
	for (uint16_t queue = cases_first(s) + 1; queue <= cases_queue(s); queue++)
		vqsim_suite_good_request(s, queue);
}

static void queue_starts_anew(struct vqsim_suite *s)
{
	static const uint16_t sizes[] = {16, SMALL, 32};

	up_with_ring_reset(s);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (unsigned n = 0; n < REQUESTS; n++)
			vqsim_suite_good_request(s, cases_first(s));
		vqsim_guest_queue_reset(&s->guest, cases_first(s));
		SUITE_EXPECT(s,
			     vqsim_guest_queue_enable(&s->guest, cases_first(s), sizes[i]) ==
				     VQSIM_UP,
			     "a queue is enabled again with %u descriptors", sizes[i]);
		first_request(s);
	}
	for (unsigned n = 0; n < 3 * SMALL; n++)
		vqsim_suite_good_request(s, cases_first(s));
}

/* Twice as many requests as the small ring has descriptors: it must wrap where the new one does. */
static void queue_takes_settings(struct vqsim_suite *s)
{
	uint8_t area[AREA_MAX], *old;
	uint32_t size;

	up_with_ring_reset(s);
	vqsim_suite_good_request(s, cases_first(s));
	size = area_size(&s->guest.queues[cases_first(s)]);
	old = vqsim_memory_at(&s->memory, s->guest.queues[cases_first(s)].setup.device_gpa, size);
	vqsim_guest_queue_reset(&s->guest, cases_first(s));
	memcpy(area, old, size);
	SUITE_EXPECT(s, vqsim_guest_queue_enable(&s->guest, cases_first(s), SMALL) == VQSIM_UP,
		     "a queue is enabled again with %u descriptors elsewhere", SMALL);
	first_request(s);
	for (unsigned n = 0; n < 2 * SMALL; n++)
		vqsim_suite_good_request(s, cases_first(s));
	SUITE_EXPECT(s, memcmp(area, old, size) == 0, "the old ring is not written to any more");
}

const struct vqsim_case vqsim_cases_reset[] = {
	{.name = "reset_from_every_state", .clauses = "RESET-D-01", .run = from_every_state},
	{.name = "reset_leaves_alone",
	 .clauses = "RESET-D-02 RESET-D-03",
	 .bugs = "LIFE-07",
	 .run = leaves_alone},
	{.name = "reset_forgets_rings",
	 .clauses = "RESET-DX-01",
	 .bugs = "LIFE-01",
	 .run = forgets_rings},
	{.name = "reset_forgets", .clauses = "RESET-DX-01", .run = forgets},
	{.name = "queue_reset_is_quiet",
	 .clauses = "VQRESET-D-01 VQRESET-D-02",
	 .run = queue_is_quiet},
	{.name = "queue_reset_starts_anew", .clauses = "VQRESET-D-03", .run = queue_starts_anew},
	{.name = "queue_reset_takes_settings",
	 .clauses = "VQRESET-D-04",
	 .run = queue_takes_settings},
	{.name = NULL},
};
