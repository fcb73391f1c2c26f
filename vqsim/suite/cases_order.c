/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In which order requests are started and come back: packed rings (virtio 1.3, 2.8.12), and
 * IN_ORDER (6.2), where one used entry may stand for a batch (2.7.9, 2.8.8).
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "cases_internal.h"
#include "used_view_internal.h"

#define IN_ORDER VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)
#define LOG_MAX  64u
#define FEW      4u /* of three descriptors: a ring of 16 takes them */
#define BATCH    6u /* lists of 2 and 3 elements, one after the other */
#define LAPS     4u
#define MIXED    5u
#define UNKNOWN  0x63u /* a type of request that no disk knows: it is refused at once */

/* Requests whose operations wait in the store until they are released. */
static void start_held(struct vqsim_suite *s, struct vqsim_suite_io *ios, unsigned count)
{
	s->subject->ops->hold(s->instance, true);
	for (unsigned i = 0; i < count; i++)
		vqsim_suite_io_add(s, cases_first(s), &ios[i]);
	vqsim_guest_publish(&s->guest, cases_first(s));
	vqsim_referee_before_run(&s->referee, cases_first(s));
	vqsim_link_run(&s->guest.link, cases_first(s), 4);
}

/* So many waiting operations come to an end, and the device hears of it. */
static void release(struct vqsim_suite *s, unsigned count, bool newest_first)
{
	s->subject->ops->release(s->instance, count, newest_first);
	vqsim_link_run(&s->guest.link, cases_first(s), 4);
}

/* What still waits goes on; from here the referee looks. */
static void end_held(struct vqsim_suite *s, struct vqsim_suite_io *ios, unsigned count)
{
	s->subject->ops->hold(s->instance, false);
	vqsim_suite_judge(s, cases_first(s), vqsim_link_run(&s->guest.link, cases_first(s), 4));
	vqsim_suite_settle(s, cases_first(s));
	vqsim_suite_io_reap(s, cases_first(s));
	for (unsigned i = 0; i < count; i++)
		SUITE_EXPECT(s, ios[i].done, "request %u of %u comes back", i, count);
}

/* The number of the operation that carries out an io; count: none does. */
static unsigned started_as(const struct vqsim_suite_io *io, const struct vqsim_store_entry *log,
			   unsigned count)
{
	struct virtio_blk_outhdr header;
	uint64_t at;
	unsigned i = 0;

	memcpy(&header, io->header, sizeof(header));
	at = le64toh(header.sector) * 512;
	while (i < count && (log[i].op != BLK_OP_READ || at < log[i].offset ||
			     at - log[i].offset >= log[i].size))
		i++;
	return i;
}

static void start_order(struct vqsim_suite *s)
{
	struct vqsim_store_entry log[LOG_MAX];
	struct vqsim_suite_io ios[FEW];
	unsigned known, last = 0, at, count;

	SUITE_NEEDS_HOOK(s, log);
	SUITE_NEEDS_HOOK(s, hold);
	vqsim_suite_up(s);
	for (unsigned i = 0; i < FEW; i++)
		vqsim_suite_io_init(s, &ios[i], 512);
	start_held(s, ios, FEW);
	for (unsigned i = 0; i < FEW; i++)
		release(s, 1, false);
	known = s->subject->ops->log(s->instance, log, LOG_MAX);
	count = known < LOG_MAX ? known : LOG_MAX;
	for (unsigned i = 0; i < FEW; i++, last = at) {
		at = started_as(&ios[i], log, count);
		SUITE_EXPECT(s, at >= last && at < count,
			     "request %u of the ring is started, and after those before it", i);
	}
	end_held(s, ios, FEW);
}

/* The next used descriptors name these requests, one behind the other. */
static void check_next(struct vqsim_suite *s, struct used_view *view,
		       const struct vqsim_suite_io *ios, const unsigned *order, unsigned count)
{
	struct used_entry entry;

	for (unsigned i = 0; i < count; i++) {
		SUITE_EXPECT(s, used_view_entry(view, &entry),
			     "the descriptor for a completion stands at slot %u", view->at);
		SUITE_EXPECT(s, entry.id == ios[order[i]].head,
			     "slot %u is that of id %u, which was completed next (it is of id %u)",
			     view->at, ios[order[i]].head, entry.id);
		used_view_pass(view, &ios[order[i]]);
	}
	SUITE_EXPECT(s, !used_view_entry(view, &entry), "nothing is used that waits");
}

static void completion_order(struct vqsim_suite *s)
{
	static const unsigned order[FEW] = {3, 2, 0, 1};
	struct vqsim_suite_io ios[FEW];
	struct used_view view;

	SUITE_NEEDS_HOOK(s, hold);
	vqsim_suite_up(s);
	for (unsigned i = 0; i < FEW; i++)
		vqsim_suite_io_init(s, &ios[i], 512);
	used_view_start(&view, &s->guest.queues[cases_first(s)]);
	start_held(s, ios, FEW);
	check_next(s, &view, ios, order, 0);
	release(s, 2, true);
	check_next(s, &view, ios, order, 2);
	release(s, 1, false);
	check_next(s, &view, ios, order + 2, 1);
	release(s, 1, true);
	check_next(s, &view, ios, order + 3, 1);
	end_held(s, ios, FEW);
	for (unsigned i = 0; i < FEW; i++)
		vqsim_suite_io_check(s, &ios[i]);
}

static bool is_complete(const struct vqsim_suite_io *io)
{
	return *io->status != VQSIM_BLK_STATUS_UNSET;
}

/*
 * IN_ORDER: read the entries that are there, each of which stands for all requests up to the one
 * that it names. Returns how many of count requests are used, done of which were before.
 */
static unsigned read_batches(struct vqsim_suite *s, struct used_view *view,
			     const struct vqsim_suite_io *ios, unsigned count, unsigned done)
{
	struct used_entry entry;

	while (used_view_entry(view, &entry)) {
		unsigned last = done + used_view_which(&entry, ios + done, count - done);

		SUITE_EXPECT(s, last < count,
			     "the entry behind request %u names one that waits (it names %u)", done,
			     entry.id);
		for (; done <= last; done++) {
			SUITE_EXPECT(s, is_complete(&ios[done]),
				     "request %u is complete when the one with id %u is used", done,
				     entry.id);
			used_view_pass(view, &ios[done]);
		}
		SUITE_EXPECT(s, s->point.packed || used_view_left(view) >= 0,
			     "used idx counts all of a batch (%d are missing)",
			     -used_view_left(view));
	}
	return done;
}

/* Lists of different lengths, all there before the device looks: as many as it likes in a batch. */
static void batches(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[BATCH];
	enum virtio_progress progress;
	struct used_view view;
	unsigned used;

	vqsim_suite_up(s);
	for (unsigned i = 0; i < BATCH; i++)
		vqsim_suite_io_init(s, &ios[i], 512);
	for (unsigned lap = 0; lap < LAPS; lap++) {
		for (unsigned i = 0; i < BATCH; i++) {
			vqsim_suite_io_reset(s, &ios[i]);
			if (i % 2)
				vqsim_suite_io_cut(&ios[i], NULL, 0, NULL, 0);
			vqsim_suite_io_add(s, cases_first(s), &ios[i]);
		}
		used_view_start(&view, &s->guest.queues[cases_first(s)]);
		progress = vqsim_suite_work(s, cases_first(s));
		used = read_batches(s, &view, ios, BATCH, 0);
		SUITE_EXPECT(s, used == BATCH, "all of %u requests are used (%u are)", BATCH, used);
		vqsim_suite_judge(s, cases_first(s), progress);
		vqsim_suite_io_reap(s, cases_first(s));
		for (unsigned i = 0; i < BATCH; i++)
			vqsim_suite_io_check(s, &ios[i]);
	}
}

/*
 * Reads, which wait, and between them requests that are answered at once: of 3, 2, 3, 2 and 6
 * elements, which fill the ring (but for a split one with tables, where 3 slots stay free).
 */
static void add_mixed(struct vqsim_suite *s, struct vqsim_suite_io ios[MIXED])
{
	static const uint32_t pieces[] = {100, 100, 100, 100};
	const uint32_t type = htole32(UNKNOWN);

	for (unsigned i = 0; i < MIXED; i++) {
		vqsim_suite_io_init(s, &ios[i], i % 2 ? 0 : 512);
		if (i % 2)
			memcpy(ios[i].header, &type, sizeof(type));
	}
	vqsim_suite_io_cut(&ios[MIXED - 1], NULL, 0, pieces, 4);
	start_held(s, ios, MIXED);
	if (s->subject->ops->held(s->instance) != 3)
		vqsim_suite_not_observable(s, "the store does not hold reads back");
}

/* The newest read ends first, then the oldest, then the one between them. */
static void end_mixed(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[MIXED];
	struct used_view view;
	unsigned used;

	used_view_start(&view, &s->guest.queues[cases_first(s)]);
	add_mixed(s, ios);
	used = read_batches(s, &view, ios, MIXED, 0);
	release(s, 1, true);
	used = read_batches(s, &view, ios, MIXED, used);
	SUITE_EXPECT(s, used == 0, "what ends first waits for what came before it");
	release(s, 1, false);
	used = read_batches(s, &view, ios, MIXED, used);
	SUITE_EXPECT(s, used <= 2, "nothing is used that comes behind a read that waits");
	release(s, 1, true);
	used = read_batches(s, &view, ios, MIXED, used);
	SUITE_EXPECT(s, used == MIXED, "all of %u requests are used (%u are)", MIXED, used);
	end_held(s, ios, MIXED);
	for (unsigned i = 0; i < MIXED; i += 2)
		vqsim_suite_io_check(s, &ios[i]);
}

static void mixed_speed(struct vqsim_suite *s)
{
	uint16_t size = s->point.packed ? MIXED : 8;

	SUITE_NEEDS_HOOK(s, hold);
	vqsim_suite_up_size(s, s->point.indirect ? size : 16);
	for (unsigned lap = 0; lap < LAPS; lap++)
		end_mixed(s);
}

static bool is_untouched(const struct vqsim_suite *s, const struct vqsim_blk_request *request)
{
	for (uint32_t i = 0; i < request->data_size; i++)
		if (request->in_data[i] != s->referee.prefill)
			return false;
	return true;
}

/*
 * A chain that an entry skips counts as written in full: a read that failed needs its own, which
 * says how little it is.
 */
static void failed_read(struct vqsim_suite *s)
{
	struct vqsim_blk_request *reads[2];
	enum virtio_progress progress;
	struct used_entry entry;
	struct used_view view;
	int heads[2];

	SUITE_NEEDS_HOOK(s, fail_next);
	vqsim_suite_up(s);
	for (unsigned i = 0; i < 2; i++) {
		reads[i] = vqsim_suite_request(s, 512);
		reads[i]->type = VIRTIO_BLK_T_IN;
		reads[i]->sector = i;
		reads[i]->data_size = 512;
		heads[i] = vqsim_blk_submit(&s->blk, 0, reads[i]);
	}
	s->subject->ops->fail_next(s->instance, -EIO);
	used_view_start(&view, &s->guest.queues[cases_first(s)]);
	progress = vqsim_suite_work(s, cases_first(s));
	SUITE_EXPECT(s, used_view_entry(&view, &entry), "reads come back");
	SUITE_EXPECT(s, entry.id == (uint32_t)heads[0] || !is_untouched(s, reads[0]),
		     "a read that failed, and wrote nothing, is not skipped");
	vqsim_suite_judge(s, cases_first(s), progress);
	for (unsigned i = 0; i < 2; i++)
		SUITE_EXPECT(s, vqsim_blk_reap(&s->blk, 0) == reads[i], "read %u comes back", i);
	SUITE_EXPECT(s, reads[1]->status == VIRTIO_BLK_S_OK, "the read behind it succeeds");
}

const struct vqsim_case vqsim_cases_order[] = {
	{.name = "packed_start_order",
	 .clauses = "PACKED-D-01",
	 .formats = VQSIM_PACKED,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = start_order},
	{.name = "packed_completion_order",
	 .clauses = "PACKED-D-02",
	 .formats = VQSIM_PACKED,
	 .without = IN_ORDER,
	 .run = completion_order},
	{.name = "in_order_batches",
	 .clauses = "SPLIT-DX-09 PACKED-DX-12",
	 .bugs = "RING-14",
	 .needs = IN_ORDER,
	 .run = batches},
	{.name = "in_order_mixed_speed",
	 .clauses = "RFB-D-05",
	 .bugs = "RING-14",
	 .needs = IN_ORDER,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = mixed_speed},
	{.name = "in_order_failed_read",
	 .clauses = "SPLIT-DX-09 PACKED-DX-12",
	 .needs = IN_ORDER,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = failed_read},
	{.name = NULL},
};
