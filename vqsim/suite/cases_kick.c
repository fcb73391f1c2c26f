/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Available-buffer notifications (kicks): what a device says about them in its part of the
 * ring, and that nothing is left lying if the driver obeys it (virtio 1.3, 2.7.10, 2.8.14).
 * Kicks too many are in cases_kick_spare.c, the other direction is in cases_notify.c.
 */
#include <endian.h>

#include "cases_batch_internal.h"
#include "cases_internal.h"

/* Rounds of publishing; calls of progress in each, of which a device that polls needs no end. */
#define ROUNDS    24u
#define CALLS_MAX 64u

/*
 * One call of progress, for one chain. The referee hears of it through judge, for which a device
 * that has work left is one that waits.
 */
static enum virtio_progress call(struct vqsim_suite *s, uint16_t queue)
{
	struct vqsim_link *link = &s->guest.link;
	enum virtio_progress progress;

	link->budget = 1;
	vqsim_referee_before_run(&s->referee, queue);
	progress = vqsim_link_run(link, queue, 1);
	if (progress == VIRTIO_WAITING)
		vqsim_link_wait(link, queue);
	return progress;
}

static void judge(struct vqsim_suite *s, uint16_t queue, enum virtio_progress progress)
{
	vqsim_suite_judge(s, queue, progress == VIRTIO_IDLE ? VIRTIO_IDLE : VIRTIO_WAITING);
}

/* --- what the device says --------------------------------------------------------------------- */

static void look_at_split(struct vqsim_suite *s, const struct vqsim_driver *driver)
{
	uint16_t flags = le16toh(driver->ring.used->flags);

	if (s->point.event_idx)
		SUITE_EXPECT_CLAUSE(s, "SPLIT-D-20", flags == 0,
				    "with EVENT_IDX used flags is 0 (it is %u)", flags);
	SUITE_EXPECT_CLAUSE(s, "SPLIT-D-18", flags <= VRING_USED_F_NO_NOTIFY,
			    "used flags is 0 or 1 (it is %u)", flags);
}

static void look_at_packed(struct vqsim_suite *s, const struct vqsim_driver *driver)
{
	uint16_t flags = le16toh(driver->packed.device->flags), wish = flags & 3;

	SUITE_EXPECT_CLAUSE(s, "PACKED-DX-18", flags == wish,
			    "the reserved bits of the device area are 0 (its flags are 0x%x)",
			    flags);
	SUITE_EXPECT_CLAUSE(s, "PACKED-DX-17", wish != 3, "the device never asks for 3");
	SUITE_EXPECT_CLAUSE(s, "PACKED-DX-17",
			    s->point.event_idx || wish != VRING_PACKED_EVENT_FLAG_DESC,
			    "without EVENT_IDX the device never asks for 2");
}

static void look(struct vqsim_suite *s, uint16_t queue)
{
	const struct vqsim_driver *driver = &s->guest.queues[queue];

	if (driver->is_packed)
		look_at_packed(s, driver);
	else
		look_at_split(s, driver);
}

/* Sampled when the queue is up, kicked for nothing, after each chain, and at rest. */
static void says_what_it_may(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[CASES_BATCH];

	vqsim_suite_up(s);
	for (uint16_t queue = cases_first(s); queue <= cases_queue(s); queue++) {
		look(s, queue);
		cases_batch_init(s, ios);
		for (unsigned round = 0; round < ROUNDS; round++) {
			enum virtio_progress progress = VIRTIO_WAITING;

			if (round > 0)
				cases_batch_add(s, queue, ios);
			vqsim_guest_publish(&s->guest, queue);
			vqsim_guest_kick(&s->guest, queue);
			for (unsigned i = 0; i < CALLS_MAX && progress != VIRTIO_IDLE; i++) {
				progress = call(s, queue);
				look(s, queue);
				judge(s, queue, progress);
			}
			if (round > 0)
				cases_batch_check(s, queue, ios);
		}
	}
}

/* --- a driver that obeys it ------------------------------------------------------------------- */

/* A queue as its transport sees it: asleep once it is idle, until it is kicked. */
struct sleeper {
	struct vqsim_suite *s;
	uint16_t queue;
	bool awake;
	const char *clause;
	struct vqsim_suite_io ios[CASES_BATCH];
};

/* Whether the next chain that is published will come with a kick (2.7.10). */
static bool wants_next(const struct vqsim_driver *driver, bool event_idx)
{
	if (event_idx)
		return le16toh(*driver->ring.avail_event) == driver->published_index;
	return !(le16toh(driver->ring.used->flags) & VRING_USED_F_NO_NOTIFY);
}

/* Add and publish requests first to end - 1: the device wakes up if it asked for that. */
static void publish(struct sleeper *q, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++) {
		vqsim_suite_io_reset(q->s, &q->ios[i]);
		vqsim_suite_io_add(q->s, q->queue, &q->ios[i]);
	}
	q->awake |= vqsim_guest_publish(&q->s->guest, q->queue);
	SUITE_EXPECT_CLAUSE(q->s, q->clause, q->awake,
			    "a device that sleeps is kicked for the next chain");
}

/* One call of progress; published: how many of the requests the device may see. */
static void turn(struct sleeper *q, unsigned published)
{
	const struct vqsim_driver *driver = &q->s->guest.queues[q->queue];
	enum virtio_progress progress = call(q->s, q->queue);

	q->awake = progress != VIRTIO_IDLE;
	if (!q->awake) {
		SUITE_EXPECT_CLAUSE(q->s, q->clause, cases_served(q->ios, published) == published,
				    "a device does not rest before %u requests that were published "
				    "are served",
				    published);
		SUITE_EXPECT_CLAUSE(q->s, q->clause, wants_next(driver, q->s->point.event_idx),
				    "a device that rests asks for a kick for the next chain");
	}
	judge(q->s, q->queue, progress);
	vqsim_suite_io_reap(q->s, q->queue);
}

/* CASES_BATCH requests, late of them published while the device works on the others. */
static void obey(struct sleeper *q, unsigned late, bool one_by_one)
{
	unsigned published = CASES_BATCH - late;

	for (unsigned i = 0; i < published; i += one_by_one ? 1 : published)
		publish(q, i, one_by_one ? i + 1 : published);
	for (unsigned i = 0; i < CALLS_MAX && q->awake; i++) {
		turn(q, published);
		if (published < CASES_BATCH)
			publish(q, published, published + 1);
		published += published < CASES_BATCH;
	}
	for (unsigned i = 0; i < CASES_BATCH; i++)
		SUITE_EXPECT_CLAUSE(q->s, q->clause, q->ios[i].done,
				    "no request is left lying while the device is awake");
	for (unsigned i = 0; i < CASES_BATCH; i++)
		vqsim_suite_io_check(q->s, &q->ios[i]);
}

static void obeyed(struct vqsim_suite *s)
{
	struct sleeper q = {.s = s, .clause = s->point.event_idx ? "SPLIT-D-21" : "SPLIT-D-19"};

	vqsim_suite_up(s);
	for (q.queue = cases_first(s); q.queue <= cases_queue(s); q.queue++) {
		cases_batch_init(s, q.ios);
		/* The call that device.h promises after a start. */
		turn(&q, 0);
		for (unsigned round = 0; round < ROUNDS; round++)
			obey(&q, round % CASES_BATCH, round & 4);
	}
}

/* --- chains and no kick ----------------------------------------------------------------------- */

/* Show what was added, and kick nobody. */
static void publish_silently(struct vqsim_suite *s, uint16_t queue)
{
	vqsim_driver_publish(&s->guest.queues[queue]);
	vqsim_referee_published(&s->referee, queue);
}

/*
 * ios[0] is exposed without a kick: the device may serve it. ios[1] lies behind it, complete
 * but not exposed: the device must not. Then it is exposed too, and the kick is for both.
 */
static void expose_silently(struct vqsim_suite *s, uint16_t queue, struct vqsim_suite_io ios[2])
{
	enum virtio_progress progress;

	for (unsigned i = 0; i < 2; i++) {
		vqsim_suite_io_reset(s, &ios[i]);
		vqsim_suite_io_add(s, queue, &ios[i]);
		if (i == 0)
			publish_silently(s, queue);
	}
	vqsim_referee_before_run(&s->referee, queue);
	vqsim_link_run(&s->guest.link, queue, CALLS_MAX);
	SUITE_EXPECT(s, !cases_is_served(&ios[1]), "a chain is not served before it is exposed");
	/* A device that sleeps until the kick is as good as one that waits. */
	vqsim_suite_judge(s, queue, VIRTIO_WAITING);
	publish_silently(s, queue);
	vqsim_guest_kick(&s->guest, queue);
	progress = vqsim_suite_work(s, queue);
	SUITE_EXPECT(s, cases_served(ios, 2) == 2,
		     "a kick is for all chains, also those that could be read before it");
	vqsim_suite_judge(s, queue, progress);
	vqsim_suite_io_reap(s, queue);
	vqsim_suite_io_check(s, &ios[0]);
	vqsim_suite_io_check(s, &ios[1]);
}

static void before_the_kick(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[2];

	vqsim_suite_up(s);
	for (uint16_t queue = cases_first(s); queue <= cases_queue(s); queue++) {
		vqsim_suite_io_init(s, &ios[0], CASES_IO_SIZE);
		vqsim_suite_io_init(s, &ios[1], CASES_IO_SIZE);
		for (unsigned round = 0; round < ROUNDS; round++)
			expose_silently(s, queue, ios);
	}
}

/* The rings are full of work at DRIVER_OK; one kick is all the driver sends. */
static void before_driver_ok(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[CASES_BATCH];
	enum virtio_progress progress;

	vqsim_suite_prepare(s, 0);
	cases_batch_init(s, ios);
	for (unsigned i = 0; i < CASES_BATCH; i++) {
		vqsim_suite_io_add(s, cases_first(s), &ios[i]);
		publish_silently(s, cases_first(s));
	}
	vqsim_suite_driver_ok(s);
	vqsim_guest_kick(&s->guest, cases_first(s));
	progress = vqsim_suite_work(s, cases_first(s));
	SUITE_EXPECT(s, cases_served(ios, CASES_BATCH) == CASES_BATCH,
		     "%u chains that were exposed before DRIVER_OK are served after it",
		     CASES_BATCH);
	vqsim_suite_judge(s, cases_first(s), progress);
	cases_batch_check(s, cases_first(s), ios);
	vqsim_suite_good_request(s, cases_first(s));
}

const struct vqsim_case vqsim_cases_kick[] = {
	{.name = "kick_used_flags",
	 .clauses = "SPLIT-D-18 SPLIT-D-20",
	 .formats = VQSIM_SPLIT,
	 .run = says_what_it_may},
	{.name = "kick_device_area",
	 .clauses = "PACKED-DX-17 PACKED-DX-18",
	 .bugs = "NOTIF-10",
	 .formats = VQSIM_PACKED,
	 .run = says_what_it_may},
	{.name = "kick_obeyed",
	 .clauses = "SPLIT-D-19 SPLIT-D-21",
	 .bugs = "NOTIF-04 NOTIF-13 NOTIF-22",
	 .formats = VQSIM_SPLIT,
	 .run = obeyed},
	{.name = "kick_not_awaited", .clauses = "SPLIT-D-23 PACKED-D-10", .run = before_the_kick},
	{.name = "kick_before_driver_ok",
	 .clauses = "SPLIT-DX-11",
	 .bugs = "NOTIF-20 NOTIF-22",
	 .run = before_driver_ok},
	{.name = NULL},
};
