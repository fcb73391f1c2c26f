/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Used-buffer notifications: a batch is used, and the driver hears of it or does not, as it
 * asked for (virtio 1.3, 2.7.7 and 2.8.10). The other direction is in cases_kick.c.
 *
 * A round asks for something, exposes a batch, lets the device work and counts what is
 * heard. The driver of the queue asks anew when it reaps, so each round asks first.
 */
#include <endian.h>
#include <inttypes.h>

#include "cases_internal.h"

#define BATCH_MAX 4u
#define IO_SIZE   512u

/* As far as an index can be from the present one. */
#define FAR_AWAY 0x8000u

/* The requests of all rounds of one queue, lists of two and of three descriptors. */
struct rounds {
	struct vqsim_suite *s;
	uint16_t queue;
	struct vqsim_suite_io ios[BATCH_MAX];
};

/* What a driver asks for with, in both formats: flags, and used_event or offset and wrap counter. */
struct wish {
	uint16_t flags, event;
};

static void begin(struct rounds *r, struct vqsim_suite *s, uint16_t queue)
{
	r->s = s;
	r->queue = queue;
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		vqsim_suite_io_init(s, &r->ios[i], IO_SIZE);
		if (i % 2)
			vqsim_suite_io_cut(&r->ios[i], NULL, 0, NULL, 0);
	}
}

static struct vqsim_driver *driver_of(const struct rounds *r)
{
	return &r->s->guest.queues[r->queue];
}

static void ask(const struct rounds *r, struct wish wish)
{
	struct vqsim_driver *driver = driver_of(r);

	if (driver->is_packed) {
		driver->packed.driver->flags = htole16(wish.flags);
		driver->packed.driver->off_wrap = htole16(wish.event);
	} else {
		driver->ring.avail->flags = htole16(wish.flags);
		*driver->ring.used_event = htole16(wish.event);
	}
}

/* Make ready again what is used up, as it was laid out. */
static void renew(struct vqsim_suite *s, struct vqsim_suite_io *io)
{
	bool whole = io->count == 2;

	vqsim_suite_io_reset(s, io);
	if (whole)
		vqsim_suite_io_cut(io, NULL, 0, NULL, 0);
}

/*
 * One round: count requests are used, and the driver hears of it if and only if it is due;
 * otherwise the clause is broken.
 */
static void round_of(struct rounds *r, unsigned count, struct wish wish, bool due,
		     const char *clause)
{
	const uint64_t *notifications = &r->s->guest.link.queues[r->queue].notifications;
	uint64_t heard = *notifications;
	enum virtio_progress progress;

	ask(r, wish);
	for (unsigned i = 0; i < count; i++) {
		renew(r->s, &r->ios[i]);
		vqsim_suite_io_add(r->s, r->queue, &r->ios[i]);
	}
	progress = vqsim_suite_work(r->s, r->queue);
	SUITE_EXPECT_CLAUSE(r->s, clause, due == (*notifications > heard),
			    "%u requests are used, flags %u, event 0x%x, used index %" PRIu32
			    ": a notification is %s",
			    count, wish.flags, wish.event, driver_of(r)->used_index,
			    due ? "due" : "not due");
	vqsim_suite_judge(r->s, r->queue, progress);
	vqsim_suite_io_reap(r->s, r->queue);
	for (unsigned i = 0; i < count; i++)
		vqsim_suite_io_check(r->s, &r->ios[i]);
}

/* A split queue 0 whose next batch of count takes its index over 65535. */
static void begin_at_wrap(struct rounds *r, struct vqsim_suite *s, unsigned count)
{
	vqsim_suite_prepare(s, (uint16_t) - ((count + 1) / 2));
	vqsim_suite_driver_ok(s);
	begin(r, s, 0);
}

/* --- by the flags of a split ring ------------------------------------------------------------- */

/* What is asked for, event as seen from the next used index; and what an answer to it shows. */
static const struct {
	struct wish wish;
	const char *clause;
} by_flags[] = {
	/* Here EVENT_IDX would say the same. */
	{{0, 0}, "SPLIT-D-11"},
	{{1, FAR_AWAY}, "SPLIT-D-10"},
	/* And here it would not. */
	{{0, FAR_AWAY}, "SPLIT-D-09"},
	{{0, 0xffff}, "SPLIT-D-09"},
	{{0, BATCH_MAX}, "SPLIT-D-09"},
	{{1, 0}, "SPLIT-D-09"},
};

#define BY_FLAGS (sizeof(by_flags) / sizeof(by_flags[0]))

static void flags_round(struct rounds *r, unsigned count, unsigned which)
{
	struct wish wish = by_flags[which].wish;

	wish.event += (uint16_t)driver_of(r)->used_index;
	round_of(r, count, wish, wish.flags == 0, by_flags[which].clause);
}

static void notify_by_flags(struct vqsim_suite *s)
{
	struct rounds r;

	vqsim_suite_up(s);
	for (uint16_t queue = cases_first(s); queue <= cases_queue(s); queue++) {
		begin(&r, s, queue);
		for (unsigned count = 1; count <= BATCH_MAX; count++)
			for (unsigned i = 0; i < BY_FLAGS; i++)
				flags_round(&r, count, i);
	}
	for (unsigned i = 0; i < BY_FLAGS; i++) {
		begin_at_wrap(&r, s, BATCH_MAX);
		flags_round(&r, BATCH_MAX, i);
	}
}

/* --- by an index of a split ring -------------------------------------------------------------- */

/* ahead: of the next used index. The flags mean nothing with EVENT_IDX. */
static void event_round(struct rounds *r, unsigned count, uint16_t ahead)
{
	uint16_t event = (uint16_t)(driver_of(r)->used_index + ahead);
	bool due = ahead < count;

	round_of(r, count, (struct wish){0, event}, due, due ? "SPLIT-D-13" : "SPLIT-D-14");
	event = (uint16_t)(driver_of(r)->used_index + ahead);
	round_of(r, count, (struct wish){1, event}, due, due ? "SPLIT-D-12" : "SPLIT-D-14");
}

static unsigned event_steps(unsigned count)
{
	return count + 5;
}

/* The entries of the batch and two behind it; two before it; half a lap away. */
static uint16_t ahead_of(unsigned step, unsigned count)
{
	static const uint16_t others[] = {0xffff, 0xfffe, FAR_AWAY};

	return step < count + 2 ? (uint16_t)step : others[step - count - 2];
}

static void sweep_index(struct rounds *r)
{
	for (unsigned count = 1; count <= BATCH_MAX; count++)
		for (unsigned step = 0; step < event_steps(count); step++)
			event_round(r, count, ahead_of(step, count));
}

static void sweep_index_at_wrap(struct vqsim_suite *s)
{
	struct rounds r;

	for (unsigned count = 1; count <= BATCH_MAX; count++)
		for (unsigned step = 0; step < event_steps(count); step++) {
			begin_at_wrap(&r, s, count);
			event_round(&r, count, ahead_of(step, count));
		}
}

static void notify_by_event(struct vqsim_suite *s)
{
	struct rounds r;

	vqsim_suite_up(s);
	for (uint16_t queue = cases_first(s); queue <= cases_queue(s); queue++) {
		begin(&r, s, queue);
		sweep_index(&r);
	}
	sweep_index_at_wrap(s);
}

/* --- packed rings ----------------------------------------------------------------------------- */

static void notify_by_area(struct vqsim_suite *s)
{
	/* Whatever stands in off_wrap: with these flags it means nothing. */
	static const uint16_t off_wraps[] = {0, 0x8000, 3, 0x8003, 0x7fff, 0xffff};
	const unsigned wraps = sizeof(off_wraps) / sizeof(off_wraps[0]);
	struct rounds r;

	vqsim_suite_up(s);
	for (uint16_t queue = cases_first(s); queue <= cases_queue(s); queue++) {
		begin(&r, s, queue);
		for (unsigned i = 0; i < BATCH_MAX * wraps; i++) {
			unsigned count = 1 + i % BATCH_MAX;
			uint16_t event = off_wraps[i / BATCH_MAX];

			round_of(&r, count, (struct wish){VRING_PACKED_EVENT_FLAG_ENABLE, event},
				 true, "PACKED-DX-14");
			round_of(&r, count, (struct wish){VRING_PACKED_EVENT_FLAG_DISABLE, event},
				 false, "PACKED-DX-15");
		}
	}
}

/* Slots of the ring that a batch moves the device by. */
static uint32_t slots_of(const struct rounds *r, unsigned count)
{
	uint32_t slots = 0;

	for (unsigned i = 0; i < count; i++)
		slots += r->ios[i].direct == r->ios[i].count ? r->ios[i].count : 1;
	return slots;
}

/* A slot so many ahead of the next used one, with the wrap counter that it will have then. */
static uint16_t off_wrap_ahead(const struct rounds *r, uint32_t ahead)
{
	const struct vqsim_driver *driver = driver_of(r);
	uint32_t size = driver->setup.size, at = driver->used_index + ahead;
	bool wrap = driver->used_wrap ^ (at / size & 1);

	return (uint16_t)(at % size | (uint32_t)wrap << 15);
}

/*
 * All slots of two laps for batches of each size: those that a list skips among them. While
 * the event is out of reach the device goes round the ring many times without a word.
 */
static void notify_by_slot(struct vqsim_suite *s)
{
	struct rounds r;

	vqsim_suite_up(s);
	for (uint16_t queue = cases_first(s); queue <= cases_queue(s); queue++) {
		begin(&r, s, queue);
		for (unsigned count = 1; count <= BATCH_MAX; count++)
			for (uint32_t ahead = 0; ahead < 2u * s->point.queue_size; ahead++)
				round_of(&r, count,
					 (struct wish){VRING_PACKED_EVENT_FLAG_DESC,
						       off_wrap_ahead(&r, ahead)},
					 ahead < slots_of(&r, count), "PACKED-DX-16");
	}
}

const struct vqsim_case vqsim_cases_notify[] = {
	{.name = "notify_by_flags",
	 .clauses = "SPLIT-D-11 SPLIT-D-10 SPLIT-D-09",
	 .bugs = "NOTIF-11 NOTIF-16 NOTIF-23 NOTIF-25",
	 .formats = VQSIM_SPLIT,
	 .without = VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
	 .run = notify_by_flags},
	{.name = "notify_by_event",
	 .clauses = "SPLIT-D-13 SPLIT-D-14 SPLIT-D-12",
	 .bugs = "NOTIF-11 NOTIF-13 NOTIF-16 NOTIF-23 NOTIF-25",
	 .formats = VQSIM_SPLIT,
	 .needs = VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
	 .run = notify_by_event},
	{.name = "notify_by_area",
	 .clauses = "PACKED-DX-14 PACKED-DX-15",
	 .bugs = "NOTIF-11 NOTIF-16 NOTIF-25",
	 .formats = VQSIM_PACKED,
	 .run = notify_by_area},
	{.name = "notify_by_slot",
	 .clauses = "PACKED-DX-16",
	 .bugs = "NOTIF-05 NOTIF-13 NOTIF-16 NOTIF-25",
	 .formats = VQSIM_PACKED,
	 .needs = VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
	 .run = notify_by_slot},
	{.name = NULL},
};
