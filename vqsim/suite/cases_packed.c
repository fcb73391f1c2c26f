/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packed rings (virtio 1.3, 2.8): sizes, wrap counters, where used descriptors stand, and which
 * descriptors are none of the device's yet.
 */
#include <endian.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "cases_internal.h"
#include "used_view_internal.h"

#define IN_ORDER  VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)
#define SIZE_MOST 32768u
#define SIZE_SOME 128u /* rings that are copied are not larger */
#define LISTS     6u   /* at once, of two slots */
#define PIECES    64u  /* of a list in the largest ring */

/* Cut an io into so many elements, the header in one; 1 only through a table. */
static void cut_into(struct vqsim_suite_io *io, unsigned elements)
{
	uint32_t pieces[VQSIM_SUITE_ELEMENTS_MAX];

	for (unsigned i = 0; i < elements; i++)
		pieces[i] = 2;
	vqsim_suite_io_cut(io, NULL, 0, pieces, elements > 2 ? elements - 2 : 0);
}

/* An io that takes so many slots of the ring, or one if it goes through a table. */
static void take_slots(struct vqsim_suite *s, struct vqsim_suite_io *io, unsigned slots)
{
	vqsim_suite_io_reset(s, io);
	cut_into(io, slots);
	vqsim_suite_io_add(s, cases_first(s), io);
}

/* Twice round the ring with short lists, and then with one that fills it. */
static void go_round(struct vqsim_suite *s, unsigned size)
{
	unsigned longest = size < SIZE_SOME ? size : SIZE_SOME;
	struct vqsim_suite_io io;

	vqsim_suite_io_init(s, &io, 512);
	for (unsigned taken = 0; taken < 2 * size + 1; taken += used_view_slots(&io)) {
		take_slots(s, &io, 2);
		vqsim_suite_io_serve(s, cases_first(s), &io);
	}
	for (unsigned i = 0; i < 3; i++) {
		take_slots(s, &io, longest);
		vqsim_suite_io_serve(s, cases_first(s), &io);
	}
}

static void must_come_up(struct vqsim_suite *s, uint16_t size)
{
	struct vqsim_guest_config config = vqsim_suite_config(s);

	config.queue_size = size;
	vqsim_suite_must_come_up(s, "PACKED-DX-01", &config);
}

/* A request has at least two elements, so that a ring of one slot needs tables. */
static void odd_sizes(struct vqsim_suite *s)
{
	static const uint16_t sizes[] = {1, 2, 3, 5, 7, 127};

	for (unsigned i = s->point.indirect ? 0 : 1; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		must_come_up(s, sizes[i]);
		go_round(s, sizes[i]);
	}
}

/* Twice round with lists of some length. */
static void go_round_fast(struct vqsim_suite *s, unsigned size)
{
	unsigned slots = size < PIECES ? size : PIECES;
	struct vqsim_suite_io io;

	vqsim_suite_io_init(s, &io, 512);
	for (unsigned taken = 0; taken < 2 * size + 1; taken += used_view_slots(&io)) {
		take_slots(s, &io, slots);
		vqsim_suite_io_serve(s, cases_first(s), &io);
	}
}

/* The largest ring, and one of a slot less. */
static void largest_size(struct vqsim_suite *s)
{
	uint16_t most = s->device->ops->queue_size_max(s->device, 0);

	must_come_up(s, most);
	go_round_fast(s, most);
	if (most < 3)
		return;
	must_come_up(s, most - 1);
	go_round_fast(s, most - 1u);
}

/* One request; its used descriptor against the wrap counter that is kept here. */
static void check_counter(struct vqsim_suite *s, struct vqsim_suite_io *io, struct used_view *view)
{
	enum virtio_progress progress;
	uint16_t flags;

	take_slots(s, io, 2);
	progress = vqsim_suite_work(s, cases_first(s));
	flags = le16toh(used_view_desc(view)->flags);
	SUITE_EXPECT_CLAUSE(s, "PACKED-DX-04",
			    !(flags & USED_VIEW_AVAIL) == !(flags & USED_VIEW_USED),
			    "a used descriptor has AVAIL and USED alike (flags 0x%x in slot %u)",
			    flags, view->at);
	SUITE_EXPECT_CLAUSE(s, "PACKED-DX-03", !(flags & USED_VIEW_USED) == !view->wrap,
			    "the wrap counter is %u at slot %u", view->wrap, view->at);
	used_view_pass(view, io);
	vqsim_suite_judge(s, cases_first(s), progress);
	vqsim_suite_io_reap(s, cases_first(s));
	vqsim_suite_io_check(s, io);
}

static void wrap_counter(struct vqsim_suite *s)
{
	static const uint16_t sizes[] = {3, 5, 16};
	struct vqsim_suite_io io;
	struct used_view view;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		vqsim_suite_up_size(s, sizes[i]);
		vqsim_suite_io_init(s, &io, 512);
		used_view_start(&view, &s->guest.queues[cases_first(s)]);
		for (unsigned taken = 0; taken < 3u * sizes[i]; taken += used_view_slots(&io))
			check_counter(s, &io, &view);
	}
}

/* These lists: the used descriptors stand at their first slots, and nothing else has changed. */
static void check_places(struct vqsim_suite *s, struct vqsim_suite_io *ios, unsigned count)
{
	struct vqsim_driver *driver = &s->guest.queues[cases_first(s)];
	struct vring_packed_desc before[SIZE_SOME], *ring = driver->packed.desc;
	enum virtio_progress progress;
	struct used_entry entry;
	struct used_view view;
	unsigned slot;

	used_view_start(&view, driver);
	vqsim_guest_publish(&s->guest, cases_first(s));
	memcpy(before, ring, driver->setup.size * sizeof(*ring));
	progress = vqsim_suite_work(s, cases_first(s));
	for (unsigned i = 0; i < count; i++) {
		slot = view.at;
		SUITE_EXPECT(s, used_view_entry(&view, &entry),
			     "slot %u, where a list of %u begins, is used", slot,
			     used_view_slots(&ios[i]));
		before[slot] = ring[slot];
		used_view_pass(&view, &ios[i]);
	}
	for (slot = 0; slot < driver->setup.size; slot++)
		SUITE_EXPECT(s, memcmp(&before[slot], &ring[slot], sizeof(*ring)) == 0,
			     "one descriptor of each list is used and no other: slot %u", slot);
	vqsim_suite_judge(s, cases_first(s), progress);
	vqsim_suite_io_reap(s, cases_first(s));
}

/* All lengths that fit twice into a ring of 13, and all numbers of short lists, at ever other places. */
static void one_for_each_list(struct vqsim_suite *s)
{
	const unsigned size = 13, shortest = s->point.indirect ? 1 : 2;
	struct vqsim_suite_io ios[LISTS];

	vqsim_suite_up_size(s, size);
	for (unsigned i = 0; i < LISTS; i++)
		vqsim_suite_io_init(s, &ios[i], 512);
	for (unsigned lap = 0; lap < 3; lap++) {
		for (unsigned length = shortest; 2 * length <= size; length++) {
			take_slots(s, &ios[0], length);
			take_slots(s, &ios[1], size - length > length ? length + 1 : length);
			check_places(s, ios, 2);
		}
		for (unsigned count = 1; count <= LISTS; count++) {
			for (unsigned i = 0; i < count; i++)
				take_slots(s, &ios[i], 2);
			check_places(s, ios, count);
		}
	}
	for (unsigned i = 0; i < LISTS; i++)
		vqsim_suite_io_check(s, &ios[i]);
}

/*
 * Fill the ring, in which nothing is in flight, with descriptors that a driver could have left
 * there: AVAIL and USED of each by the wrap counter that the slot is to have next.
 */
static void leave_stale(const struct vqsim_driver *driver, uint64_t gpa, bool avail, bool used)
{
	for (uint32_t slot = 0; slot < driver->setup.size; slot++) {
		bool wrap = driver->avail_wrap == (slot >= driver->avail_index);
		uint16_t flags = VRING_DESC_F_WRITE | (avail == wrap ? USED_VIEW_AVAIL : 0) |
				 (used == wrap ? USED_VIEW_USED : 0);

		driver->packed.desc[slot] = (struct vring_packed_desc){
			.addr = htole64(gpa),
			.len = htole32(512),
			.id = htole16((uint16_t)(driver->id_first + slot)),
			.flags = htole16(flags),
		};
	}
}

static void check_stale(struct vqsim_suite *s, const struct vqsim_suite_io *io, bool avail,
			bool used)
{
	struct vqsim_driver *driver = &s->guest.queues[cases_first(s)];
	struct vring_packed_desc saved[SIZE_SOME], stale[SIZE_SOME];
	size_t size = driver->setup.size * sizeof(saved[0]);
	enum virtio_progress progress;

	memcpy(saved, driver->packed.desc, size);
	leave_stale(driver, io->data_gpa, avail, used);
	memcpy(stale, driver->packed.desc, size);
	vqsim_guest_kick(&s->guest, cases_first(s));
	progress = vqsim_suite_work(s, cases_first(s));
	SUITE_EXPECT(s,
		     memcmp(stale, driver->packed.desc, size) == 0 &&
			     *io->status == VQSIM_BLK_STATUS_UNSET,
		     "nothing is taken at slot %u with AVAIL %sequal to the wrap counter %u and "
		     "USED %sequal",
		     driver->avail_index, avail ? "" : "un", driver->avail_wrap, used ? "" : "un");
	vqsim_suite_judge(s, cases_first(s), progress);
	memcpy(driver->packed.desc, saved, size);
}

/* At every slot, in both halves of the wrap counter. */
static void stale_descriptors(struct vqsim_suite *s)
{
	struct vqsim_suite_io bait;

	vqsim_suite_up_size(s, 7);
	vqsim_suite_io_init(s, &bait, 512);
	for (unsigned i = 0; i < 15; i++) {
		check_stale(s, &bait, false, true);
		check_stale(s, &bait, false, false);
		check_stale(s, &bait, true, true);
		vqsim_suite_good_request(s, cases_first(s));
	}
}

const struct vqsim_case vqsim_cases_packed[] = {
	{.name = "packed_odd_sizes",
	 .clauses = "PACKED-DX-01",
	 .bugs = "RING-16 RING-17",
	 .formats = VQSIM_PACKED,
	 .run = odd_sizes},
	{.name = "packed_largest_size",
	 .clauses = "PACKED-DX-01",
	 .formats = VQSIM_PACKED,
	 .scope = VQSIM_EACH_FORMAT,
	 .options = {.queue_size_max = SIZE_MOST},
	 .run = largest_size},
	{.name = "packed_wrap_counter",
	 .clauses = "PACKED-DX-03 PACKED-DX-04",
	 .formats = VQSIM_PACKED,
	 .run = wrap_counter},
	{.name = "packed_one_for_each_list",
	 .clauses = "PACKED-DX-05",
	 .bugs = "RING-13 RING-22",
	 .formats = VQSIM_PACKED,
	 .without = IN_ORDER,
	 .run = one_for_each_list},
	{.name = "packed_stale_descriptors",
	 .clauses = "PACKED-D-06",
	 .formats = VQSIM_PACKED,
	 .run = stale_descriptors},
	{.name = NULL},
};
