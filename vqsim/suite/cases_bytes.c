/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device writes into a ring, looked at as bytes: all of it is little-endian (virtio 1.3,
 * 1.4), whatever the processor is.
 */
#include <inttypes.h>

#include "cases_internal.h"

#define DATA 512u

/* The first buffer id of a packed ring, and the index up to which a split one is run. */
#define FIRST_ID    0x0102
#define INDEX_LARGE 0x0104

/* Bytes of a little-endian number. */
static uint64_t little(const void *at, unsigned size)
{
	const uint8_t *bytes = at;
	uint64_t value = 0;

	while (size-- > 0)
		value = value << 8 | bytes[size];
	return value;
}

/* An entry of the used ring as bytes: 2.7.8. */
static void look_at_entry(struct vqsim_suite *s, const struct vqsim_suite_io *io, uint16_t index)
{
	const uint8_t *entry = (const uint8_t *)cases_driver(s)->ring.used + 4 +
			       8u * (index % s->point.queue_size);

	SUITE_EXPECT(s, little(entry, 4) == io->head,
		     "bytes 0..3 of a used entry are id %" PRIu32 " (%02x %02x %02x %02x)",
		     io->head, entry[0], entry[1], entry[2], entry[3]);
	SUITE_EXPECT(s, little(entry + 4, 4) == io->expected_len,
		     "bytes 4..7 of a used entry are len %" PRIu32 " (%02x %02x %02x %02x)",
		     io->expected_len, entry[4], entry[5], entry[6], entry[7]);
}

/* An idle device wants to hear of the next entry: its avail_event is the index, too. */
static void look_at_split(struct vqsim_suite *s, const struct vqsim_suite_io *const ios[2])
{
	const uint8_t *used = (const uint8_t *)cases_driver(s)->ring.used;
	const uint8_t *event = used + 4 + 8u * s->point.queue_size;
	uint16_t index = cases_driver(s)->published_index;

	SUITE_EXPECT(s, little(used + 2, 2) == index,
		     "bytes 2, 3 of the used ring are index %u (%02x %02x)", index, used[2],
		     used[3]);
	for (unsigned i = 0; i < 2; i++)
		look_at_entry(s, ios[i], (uint16_t)(index - 2 + i));
	SUITE_EXPECT(s, !s->point.event_idx || little(event, 2) == index,
		     "the bytes of avail_event are %u (%02x %02x)", index, event[0], event[1]);
}

/* A used descriptor as bytes: 2.8.13. */
static void look_at_desc(struct vqsim_suite *s, const struct vqsim_suite_io *io, uint32_t slot,
			 bool wrap)
{
	const uint8_t *desc = (const uint8_t *)&cases_driver(s)->packed.desc[slot];
	uint16_t flags = (wrap ? 0x8080 : 0) | (io->expected_len ? 2 : 0);

	SUITE_EXPECT(s, !io->expected_len || little(desc + 8, 4) == io->expected_len,
		     "bytes 8..11 of a used descriptor are len %" PRIu32 " (%02x %02x %02x %02x)",
		     io->expected_len, desc[8], desc[9], desc[10], desc[11]);
	SUITE_EXPECT(s, little(desc + 12, 2) == io->head,
		     "bytes 12, 13 of a used descriptor are id %" PRIu32 " (%02x %02x)", io->head,
		     desc[12], desc[13]);
	SUITE_EXPECT(s, (little(desc + 14, 2) & 0x8082) == flags,
		     "bytes 14, 15 of a used descriptor have flags 0x%x (%02x %02x)", flags,
		     desc[14], desc[15]);
}

/* The driver has not reaped yet: its position is where the first one was used. */
static void look_at_packed(struct vqsim_suite *s, const struct vqsim_suite_io *const ios[2])
{
	uint32_t slot = cases_driver(s)->used_index;
	bool wrap = cases_driver(s)->used_wrap;

	for (unsigned i = 0; i < 2; i++) {
		look_at_desc(s, ios[i], slot, wrap);
		slot += ios[i]->direct < ios[i]->count ? 1 : ios[i]->count;
		wrap ^= slot >= s->point.queue_size;
		slot %= s->point.queue_size;
	}
}

/* The id in the first of the two, which a device may use in any order. */
static uint64_t first_id(const struct vqsim_suite *s)
{
	const struct vqsim_driver *driver = &s->guest.queues[cases_queue(s)];
	uint16_t first = driver->published_index - 2u;

	if (s->point.packed)
		return little((const uint8_t *)&driver->packed.desc[driver->used_index] + 12, 2);
	return little((const uint8_t *)driver->ring.used + 4 + 8u * (first % s->point.queue_size),
		      4);
}

/* Two requests at once: the head of the first may be 0, which looks the same either way. */
static void two_as_bytes(struct vqsim_suite *s, struct vqsim_suite_io ios[2])
{
	const struct vqsim_suite_io *order[2] = {&ios[0], &ios[1]};
	enum virtio_progress progress;

	for (unsigned i = 0; i < 2; i++) {
		vqsim_suite_io_reset(s, &ios[i]);
		vqsim_suite_io_add(s, cases_queue(s), &ios[i]);
	}
	progress = vqsim_suite_work(s, cases_queue(s));
	if (first_id(s) == ios[1].head) {
		order[0] = &ios[1];
		order[1] = &ios[0];
	}
	if (s->point.packed)
		look_at_packed(s, order);
	else
		look_at_split(s, order);
	vqsim_suite_judge(s, cases_queue(s), progress);
	vqsim_suite_io_reap(s, cases_queue(s));
}

/* Until the index has two bytes that differ; ids of a packed ring have them from the start. */
static void little_endian(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[2];

	vqsim_suite_up(s);
	if (s->point.packed)
		cases_driver(s)->id_first = FIRST_ID;
	for (unsigned i = 0; i < 2; i++)
		vqsim_suite_io_init(s, &ios[i], DATA);
	for (unsigned i = 0; i < INDEX_LARGE; i += 2)
		two_as_bytes(s, ios);
}

const struct vqsim_case vqsim_cases_bytes[] = {
	/* A batch of IN_ORDER leaves entries out. */
	{.name = "bytes_are_little_endian",
	 .clauses = "SPLIT-DX-10 PACKED-DX-19",
	 .without = VIRTIO_FEATURE(VIRTIO_F_IN_ORDER),
	 .run = little_endian},
	{.name = NULL},
};
