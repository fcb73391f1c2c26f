/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device says of a chain that it is done with: that it is there in time (virtio 1.3,
 * 2.7.8.2), its length (2.7.8, 2.8.4), WRITE (2.8.3) and the used index (2.7.8).
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "cases_internal.h"
#include "used_view_internal.h"

#define REQUESTS    5u /* of three descriptors: a ring of 16 takes them */
#define POISON      0xd7
#define POISON_WORD 0xd7d7d7d7u
#define STEPS_MAX   1000u
#define ID_SIZE     20u

/* More than the used index can count, in batches of half a ring of 16. */
#define MANY         66000u
#define MANY_AT_ONCE 8u

/*
 * Looks at the used ring at every notification, in the middle of the device's work, and
 * whenever it returns, after one chain at most: what used idx covers must be whole then, and stay
 * as it is. What happens between two such moments only a second thread could see.
 */
struct witness {
	struct vqsim_suite *suite;
	struct vqsim_suite_io *ios; /* REQUESTS */
	const struct virtio_transport_ops *ops;
	void *transport; /* of ops: the link */
	struct used_view view;
	struct used_entry seen[REQUESTS];
	unsigned count;
	bool early_entry; /* id or len was not there yet */
	bool early_bytes; /* the bytes that len counts were not */
};

/* Whether what was seen is still there; view is at the first of it. */
static bool is_constant(const struct witness *w, struct used_view view)
{
	struct used_entry entry;

	for (unsigned i = 0; i < w->count; i++) {
		if (!used_view_entry(&view, &entry) || entry.id != w->seen[i].id ||
		    entry.len != w->seen[i].len)
			return false;
		used_view_pass(&view, &w->ios[i]);
	}
	return true;
}

static void testify(struct witness *w)
{
	struct used_entry entry;
	struct used_view start;
	unsigned which;

	used_view_start(&start, w->view.driver);
	w->early_entry |= !is_constant(w, start);
	while (!w->early_entry && used_view_entry(&w->view, &entry)) {
		which = used_view_which(&entry, w->ios, REQUESTS);
		w->early_entry =
			w->count == REQUESTS || which == REQUESTS || entry.len == POISON_WORD;
		if (w->early_entry)
			return;
		w->early_bytes |= !vqsim_suite_io_right(w->suite, &w->ios[which], entry.len);
		used_view_pass(&w->view, &w->ios[which]);
		w->seen[w->count++] = entry;
	}
}

static void notify_used(void *transport, uint16_t index)
{
	struct witness *w = transport;

	testify(w);
	w->ops->notify_used(w->transport, index);
}

static void config_changed(void *transport)
{
	struct witness *w = transport;

	w->ops->config_changed(w->transport);
}

static void needs_reset(void *transport)
{
	struct witness *w = transport;

	w->ops->needs_reset(w->transport);
}

static const struct virtio_transport_ops witness_ops = {
	.notify_used = notify_used,
	.config_changed = config_changed,
	.needs_reset = needs_reset,
};

/* One chain at most, with the witness in the place of the link for so long and no longer. */
static enum virtio_progress step(struct witness *w)
{
	struct virtio_device *device = w->suite->device;
	struct vqsim_link *link = &w->suite->guest.link;
	uint32_t budget = link->budget;
	enum virtio_progress progress;

	w->ops = device->transport_ops;
	w->transport = device->transport;
	link->budget = 1;
	virtio_device_attach(device, &witness_ops, w, device->memory);
	progress = vqsim_link_run(link, cases_first(w->suite), 1);
	virtio_device_attach(device, w->ops, w->transport, device->memory);
	link->budget = budget;
	testify(w);
	return progress;
}

static void add_requests(struct vqsim_suite *s, struct vqsim_suite_io ios[REQUESTS])
{
	for (unsigned i = 0; i < REQUESTS; i++) {
		vqsim_suite_io_init(s, &ios[i], 512 * (1 + i % 3));
		vqsim_suite_io_add(s, cases_first(s), &ios[i]);
	}
}

static void in_place_in_time(struct vqsim_suite *s)
{
	const struct vqsim_subject_ops *ops = s->subject->ops;
	enum virtio_progress progress = VIRTIO_WORK_LEFT;
	struct vqsim_suite_io ios[REQUESTS];
	struct witness witness = {.suite = s, .ios = ios};
	struct vqsim_driver *driver;

	vqsim_suite_up(s);
	driver = &s->guest.queues[cases_first(s)];
	memset(driver->ring.used->ring, POISON, 8u * driver->setup.size);
	if (ops->hold)
		ops->hold(s->instance, true);
	add_requests(s, ios);
	used_view_start(&witness.view, driver);
	vqsim_guest_publish(&s->guest, cases_first(s));
	vqsim_referee_before_run(&s->referee, cases_first(s));
	for (unsigned i = 0; i < STEPS_MAX && progress != VIRTIO_IDLE; i++) {
		if (ops->hold && i >= REQUESTS)
			ops->release(s->instance, 1, i % 2);
		progress = step(&witness);
		SUITE_EXPECT_CLAUSE(s, "SPLIT-D-15", !witness.early_entry,
				    "id and len of an entry are there before used idx covers it");
		SUITE_EXPECT_CLAUSE(s, "SPLIT-D-16", !witness.early_bytes,
				    "len bytes are written before used idx covers the entry");
		if (progress == VIRTIO_WAITING && !ops->hold)
			vqsim_link_wait(&s->guest.link, cases_first(s));
	}
	if (ops->hold)
		ops->hold(s->instance, false);
	vqsim_suite_judge(s, cases_first(s), progress);
	SUITE_EXPECT(s, witness.count == REQUESTS, "all of %u requests come back (%u did)",
		     REQUESTS, witness.count);
	vqsim_suite_io_reap(s, cases_first(s));
	for (unsigned i = 0; i < REQUESTS; i++)
		vqsim_suite_io_check(s, &ios[i]);
}

/* One request, whose entry is looked at before the referee looks. */
static void check_entry(struct vqsim_suite *s, struct vqsim_suite_io *io)
{
	struct used_entry entry;
	struct used_view view;
	enum virtio_progress progress;

	vqsim_suite_io_add(s, cases_first(s), io);
	used_view_start(&view, &s->guest.queues[cases_first(s)]);
	progress = vqsim_suite_work(s, cases_first(s));
	if (s->is_blk && io->expected_len == 0 && vqsim_guest_needs_reset(&s->guest))
		vqsim_suite_not_applicable(s, "it asks for a reset instead");
	SUITE_EXPECT(s, used_view_entry(&view, &entry), "a request of %u elements is used",
		     io->count);
	SUITE_EXPECT_CLAUSE(
		s, "PACKED-DX-06",
		!s->point.packed || !(entry.flags & VRING_DESC_F_WRITE) == !io->expected_len,
		"WRITE is %u with %u bytes written", !!io->expected_len, io->expected_len);
	SUITE_EXPECT(s, entry.len == io->expected_len, "the used length is %u (it is %u)",
		     io->expected_len, entry.len);
	SUITE_EXPECT(s, vqsim_suite_io_right(s, io, entry.len), "the %u bytes are written",
		     entry.len);
	vqsim_suite_judge(s, cases_first(s), progress);
	vqsim_suite_io_reap(s, cases_first(s));
	SUITE_EXPECT(s, io->done, "a request of %u elements comes back", io->count);
}

/* The requests of a disk whose answers have other lengths; they are checked by the guest. */
static void check_types(struct vqsim_suite *s)
{
	struct vqsim_blk_request *request = vqsim_suite_request(s, 1024);
	const struct vqsim_subject_ops *ops = s->subject->ops;

	vqsim_suite_do(s, 0, request, VIRTIO_BLK_T_GET_ID, 0, ID_SIZE);
	vqsim_suite_do(s, 0, request, VIRTIO_BLK_T_GET_ID, 0, 2 * ID_SIZE);
	vqsim_suite_do(s, 0, request, VIRTIO_BLK_T_FLUSH, 0, 0);
	vqsim_suite_do(s, 0, request, VIRTIO_BLK_T_OUT, VQSIM_SUITE_PATTERN_SIZE / 512, 1024);
	if (ops->fail_next)
		ops->fail_next(s->instance, -EIO);
	vqsim_suite_do(s, 0, request, VIRTIO_BLK_T_IN, 0, 1024);
}

static void exact_length(struct vqsim_suite *s)
{
	static const uint32_t readable[] = {1, 7}, writable[] = {3, 0, 509, 200};
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	for (uint32_t size = 512; size <= 4096; size *= 2) {
		vqsim_suite_io_init(s, &io, size);
		check_entry(s, &io);
		vqsim_suite_io_reset(s, &io);
		vqsim_suite_io_cut(&io, readable, 2, writable, 4);
		check_entry(s, &io);
	}
	if (s->is_blk)
		check_types(s);
}

/*
 * Nowhere to write: used with length 0, and again and again, more often than the ring has
 * descriptors. No driver of a disk makes such a request, so that a disk may ask for a reset.
 */
static void nothing_to_write(struct vqsim_suite *s)
{
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, 512);
	io.count = 1;
	io.direct = s->point.indirect ? 0 : 1;
	io.expected_len = 0;
	for (unsigned i = 0; i <= s->point.queue_size; i++)
		check_entry(s, &io);
	vqsim_suite_good_request(s, cases_first(s));
}

/* Entries of this batch, before and after which the index is looked at. */
static void count_batch(struct vqsim_suite *s, struct vqsim_suite_io *ios, uint32_t done)
{
	const struct vring_used *used = s->guest.queues[cases_first(s)].ring.used;
	enum virtio_progress progress;

	for (unsigned i = 0; i < MANY_AT_ONCE; i++)
		vqsim_suite_io_add(s, cases_first(s), &ios[i]);
	SUITE_EXPECT(s, le16toh(used->idx) == (uint16_t)done, "used idx is %u before request %u",
		     (uint16_t)done, done);
	progress = vqsim_suite_work(s, cases_first(s));
	SUITE_EXPECT(s, le16toh(used->idx) == (uint16_t)(done + MANY_AT_ONCE),
		     "used idx is %u after %u requests (it is %u)", (uint16_t)(done + MANY_AT_ONCE),
		     done + MANY_AT_ONCE, le16toh(used->idx));
	vqsim_suite_judge(s, cases_first(s), progress);
	vqsim_suite_io_reap(s, cases_first(s));
}

static void index_counts(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[MANY_AT_ONCE];

	vqsim_suite_up(s);
	for (unsigned i = 0; i < MANY_AT_ONCE; i++) {
		vqsim_suite_io_init(s, &ios[i], 512);
		vqsim_suite_io_cut(&ios[i], NULL, 0, NULL, 0);
	}
	for (uint32_t done = 0; done < MANY; done += MANY_AT_ONCE)
		count_batch(s, ios, done);
	for (unsigned i = 0; i < MANY_AT_ONCE; i++)
		vqsim_suite_io_check(s, &ios[i]);
}

/* What is said of every queue, and a ring of just that size on those of the point. */
static void size_maximum(struct vqsim_suite *s)
{
	struct vqsim_guest_config config = vqsim_suite_config(s);
	struct vqsim_link *link = &s->guest.link;

	for (uint16_t i = 0; i < link->transport.queue_count; i++) {
		uint16_t size = s->device->ops->queue_size_max(s->device, i);

		SUITE_EXPECT(s, size > 0 && size <= 32768 && (size & (size - 1)) == 0,
			     "the maximum of queue %u is a power of two up to 32768 (it is %u)", i,
			     size);
	}
	config.queue_size = 0;
	vqsim_suite_must_come_up(s, NULL, &config);
	for (uint16_t i = cases_first(s); i <= cases_queue(s); i++)
		vqsim_suite_good_request(s, i);
}

#define IN_ORDER VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)

const struct vqsim_case vqsim_cases_used[] = {
	{.name = "used_in_place_in_time",
	 .clauses = "SPLIT-D-15 SPLIT-D-16",
	 .formats = VQSIM_SPLIT,
	 .without = IN_ORDER,
	 .run = in_place_in_time},
	{.name = "used_exact_length",
	 .clauses = "SPLIT-DX-03 PACKED-DX-07 PACKED-DX-06",
	 .bugs = "RING-31",
	 .run = exact_length},
	{.name = "used_nothing_to_write",
	 .clauses = "SPLIT-DX-03 PACKED-DX-06",
	 .bugs = "RING-35",
	 .run = nothing_to_write},
	{.name = "used_index_counts",
	 .clauses = "SPLIT-DX-04",
	 .formats = VQSIM_SPLIT,
	 .scope = VQSIM_EACH_FORMAT,
	 .run = index_counts},
	{.name = "queue_size_maximum",
	 .clauses = "SPLIT-DX-01",
	 .formats = VQSIM_SPLIT,
	 .run = size_maximum},
	{.name = NULL},
};
