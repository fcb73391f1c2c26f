/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chains of many descriptors, up to all that a queue has (virtio 1.3, 2.7.4.1, 2.8.18).
 */
#include "cases_internal.h"

#define DATA 512u

/* Header, data and status for themselves: no cap may be below that. */
#define PARTS_LEAST 3u

/* Cut an io into exactly count elements, all but the last ones small. */
static void cut_into(struct vqsim_suite_io *io, unsigned count)
{
	uint32_t readable[16], writable[VQSIM_SUITE_ELEMENTS_MAX];
	unsigned first = (count + 1) / 3 < 16 ? (count + 1) / 3 : 16, rest = count - first;

	for (unsigned i = 0; i + 1 < first; i++)
		readable[i] = 1;
	for (unsigned i = 0; i + 1 < rest; i++)
		writable[i] = 1 + i % 2;
	vqsim_suite_io_cut(io, readable, first - 1, writable, rest - 1);
}

/* A device that caps its chains may fail a longer one or ask for a reset; it may not hang. */
static bool refusal(struct vqsim_suite *s, struct vqsim_suite_io *io, enum virtio_progress progress)
{
	const struct vqsim_driver *driver = &s->guest.queues[cases_queue(s)];
	bool answered = vqsim_driver_has_used(driver) || vqsim_guest_needs_reset(&s->guest);

	SUITE_EXPECT(s, progress == VIRTIO_IDLE && answered,
		     "a chain of %u descriptors is used, or the device asks for a reset",
		     io->count);
	SUITE_EXPECT(s, vqsim_guest_needs_reset(&s->guest) || *io->status != VQSIM_BLK_STATUS_UNSET,
		     "a chain of %u descriptors comes back with a status", io->count);
	SUITE_EXPECT(s, io->count > PARTS_LEAST || *io->status == 0,
		     "a chain of %u descriptors is served", io->count);
	return vqsim_guest_needs_reset(&s->guest) || *io->status != 0;
}

static void one_long(struct vqsim_suite *s, unsigned count)
{
	uint16_t queue = cases_queue(s);
	enum virtio_progress progress;
	struct vqsim_suite_io io;
	struct vqsim_used used;
	struct vqsim_chain chain;
	int head;

	vqsim_suite_up(s);
	s->referee.reset_excused = true;
	vqsim_suite_io_init(s, &io, DATA);
	cut_into(&io, count);
	chain = (struct vqsim_chain){io.elements, io.count, io.direct, io.table_gpa};
	head = vqsim_guest_add(&s->guest, queue, &chain, &io);
	SUITE_EXPECT(s, head >= 0, "there is room for %u descriptors", count);
	progress = vqsim_suite_work(s, queue);
	if (!refusal(s, &io, progress))
		vqsim_referee_expect_len(&s->referee, queue, (uint16_t)head, io.expected_len);
	vqsim_suite_judge(s, queue, progress);
	io.done = vqsim_guest_reap(&s->guest, queue, &used) == VQSIM_REAP_USED;
	io.used_len = io.done ? used.len : 0;
	if (*io.status == 0)
		vqsim_suite_io_check(s, &io);
	vqsim_suite_still_good(s);
}

static void long_chains(struct vqsim_suite *s)
{
	unsigned most = s->point.queue_size;

	for (unsigned count = 2; count < 16 && count < most; count++)
		one_long(s, count);
	for (unsigned count = 16; count + 1 < most; count += 16)
		one_long(s, count);
	one_long(s, most - 1);
	one_long(s, most);
}

/* Lists of every length at every place of the ring, each with data that is in order only once. */
static void list_order(struct vqsim_suite *s)
{
	uint16_t size = s->point.queue_size;
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, DATA);
	for (unsigned i = 0; i < 3u * size; i++) {
		vqsim_suite_io_reset(s, &io);
		cut_into(&io, 2 + i % (size - 1u));
		io.direct = io.count;
		vqsim_suite_io_add(s, cases_queue(s), &io);
		vqsim_suite_io_serve(s, cases_queue(s), &io);
	}
}

const struct vqsim_case vqsim_cases_long[] = {
	{.name = "chain_long",
	 .clauses = "SPLIT-D-02 PACKED-D-09",
	 .bugs = "CHAIN-08 CHAIN-25 RING-16",
	 .run = long_chains},
	{.name = "chain_list_order",
	 .clauses = "PACKED-D-08",
	 .bugs = "RING-08 RING-16 RING-17",
	 .formats = VQSIM_PACKED,
	 .run = list_order},
	{.name = NULL},
};
