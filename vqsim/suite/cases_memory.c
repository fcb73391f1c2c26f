/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of guest memory a device must leave as it is, and what it must not make its answer
 * depend on (virtio 1.3, 2.7 and 2.8).
 *
 * Most of it the referee watches too; a case compares all bytes, and before the referee looks.
 */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define DATA      512u
#define IN_FLIGHT 3u
#define POISON    0x5a5a
#define LAPS      3u

#define HEADER_SIZE 16u
#define TABLE_SIZE  (16u * VQSIM_SUITE_ELEMENTS_MAX)

/* The first sector behind the pattern: from here on a case may write. */
#define FREE     (VQSIM_SUITE_PATTERN_SIZE / VQSIM_DISK_SECTOR)
#define OUT_DATA 4096u

#define EVENT_IDX VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)

/* A part of guest memory as it was. */
struct picture {
	const uint8_t *live;
	uint8_t *kept;
	uint32_t size;
};

/* Invariant: kept is guest memory too, so that nothing is lost if the case ends. */
static struct picture picture_of(struct vqsim_suite *s, uint64_t gpa, uint32_t size)
{
	uint64_t copy = vqsim_memory_alloc(&s->memory, size, 16);

	return (struct picture){
		.live = vqsim_memory_at(&s->memory, gpa, size),
		.kept = vqsim_memory_at(&s->memory, copy, size),
		.size = size,
	};
}

static void keep(const struct picture *picture)
{
	memcpy(picture->kept, picture->live, picture->size);
}

static bool same(const struct picture *picture)
{
	return memcmp(picture->kept, picture->live, picture->size) == 0;
}

/* Several requests in pieces, so that a ring is half full and tables are long. */
static void add_some(struct vqsim_suite *s, struct vqsim_suite_io ios[IN_FLIGHT])
{
	static const uint32_t readable[] = {8}, writable[] = {100, 200};

	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		vqsim_suite_io_reset(s, &ios[i]);
		vqsim_suite_io_cut(&ios[i], readable, 1, writable, i);
		vqsim_suite_io_add(s, cases_queue(s), &ios[i]);
	}
}

static void init_some(struct vqsim_suite *s, struct vqsim_suite_io ios[IN_FLIGHT])
{
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		vqsim_suite_io_init(s, &ios[i], DATA);
}

/* Let the referee look, and take what came back. */
static void conclude(struct vqsim_suite *s, enum virtio_progress progress,
		     const struct vqsim_suite_io ios[IN_FLIGHT])
{
	vqsim_suite_judge(s, cases_queue(s), progress);
	vqsim_suite_io_reap(s, cases_queue(s));
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		vqsim_suite_io_check(s, &ios[i]);
}

static void readable_stays(struct vqsim_suite *s)
{
	struct picture headers[IN_FLIGHT];
	struct vqsim_suite_io ios[IN_FLIGHT];
	enum virtio_progress progress;

	vqsim_suite_up(s);
	init_some(s, ios);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		headers[i] = picture_of(s, ios[i].header_gpa, ios[i].readable_size);
	for (unsigned lap = 0; lap < s->point.queue_size; lap++) {
		for (unsigned i = 0; i < IN_FLIGHT; i++)
			keep(&headers[i]);
		add_some(s, ios);
		progress = vqsim_suite_work(s, cases_queue(s));
		for (unsigned i = 0; i < IN_FLIGHT; i++)
			SUITE_EXPECT(s, same(&headers[i]), "what the device may read is as it was");
		conclude(s, progress, ios);
	}
}

/* What is written to a disk is read only: all of it, whatever becomes of the request. */
static void out_data_stays(struct vqsim_suite *s)
{
	const struct {
		uint32_t type;
		uint64_t sector;
	} kinds[] = {{VIRTIO_BLK_T_OUT, FREE}, {VIRTIO_BLK_T_OUT, UINT64_MAX / 1024}, {0x7f, 0}};
	struct vqsim_blk_request *request;
	enum virtio_progress progress;
	struct picture sent;

	vqsim_suite_up(s);
	request = vqsim_suite_request(s, OUT_DATA);
	sent = picture_of(s, request->out_gpa, HEADER_SIZE + OUT_DATA);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		memset(request->out_data, (int)i + 1, OUT_DATA);
		request->type = kinds[i].type;
		request->sector = kinds[i].sector;
		request->data_size = OUT_DATA;
		SUITE_EXPECT(s, vqsim_blk_submit(&s->blk, cases_queue(s), request) >= 0,
			     "there is room for a request");
		keep(&sent);
		progress = vqsim_suite_work(s, cases_queue(s));
		SUITE_EXPECT(s, same(&sent), "what the device may read is as it was");
		vqsim_suite_judge(s, cases_queue(s), progress);
		SUITE_EXPECT(s, vqsim_blk_reap(&s->blk, cases_queue(s)) == request,
			     "a request comes back");
	}
}

/* What a request came to. */
struct answer {
	uint32_t len;
	uint8_t status;
	uint8_t data[DATA]; /* what len covers of it */
};

/* As it is laid out, with what the device may write set to this before. */
static void answer_to(struct vqsim_suite *s, struct vqsim_suite_io *io, int fill,
		      struct answer *answer)
{
	const struct vqsim_chain chain = {io->elements, io->count, io->direct, io->table_gpa};
	enum virtio_progress progress;
	struct vqsim_used used;

	memset(io->data, fill, io->writable_size);
	SUITE_EXPECT(s, vqsim_guest_add(&s->guest, cases_queue(s), &chain, io) >= 0,
		     "there is room for a request");
	progress = vqsim_suite_work(s, cases_queue(s));
	memset(answer, 0, sizeof(*answer));
	answer->status = *io->status;
	vqsim_suite_judge(s, cases_queue(s), progress);
	SUITE_EXPECT(s, vqsim_guest_reap(&s->guest, cases_queue(s), &used) == VQSIM_REAP_USED,
		     "a request comes back");
	answer->len = used.len;
	memcpy(answer->data, io->data, used.len < DATA ? used.len : DATA);
}

static void same_answer(struct vqsim_suite *s, struct vqsim_suite_io *io, const char *what)
{
	static const int fills[] = {0xa5, 0x00, 0xff, 0x01, 0x5a};
	struct answer first, other;

	answer_to(s, io, fills[0], &first);
	for (unsigned i = 1; i < sizeof(fills) / sizeof(fills[0]); i++) {
		answer_to(s, io, fills[i], &other);
		SUITE_EXPECT(s, other.status == first.status,
			     "%s: the status is %u whatever was there before (it is %u)", what,
			     first.status, other.status);
		SUITE_EXPECT(s, other.len == first.len,
			     "%s: the used length is %" PRIu32
			     " whatever was there before (it is %" PRIu32 ")",
			     what, first.len, other.len);
		SUITE_EXPECT(s, memcmp(other.data, first.data, DATA) == 0,
			     "%s: the data is the same whatever was there before", what);
	}
}

/* Good requests, and such as a block device fails. */
static void writable_is_not_read(struct vqsim_suite *s)
{
	struct virtio_blk_outhdr bad = {.type = htole32(0x7e)};
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, DATA);
	same_answer(s, &io, "a good request");
	memcpy(io.header, &bad, sizeof(bad));
	same_answer(s, &io, "a request of no known type");
	bad.type = htole32(VIRTIO_BLK_T_IN);
	bad.sector = htole64(UINT64_MAX / 1024);
	memcpy(io.header, &bad, sizeof(bad));
	same_answer(s, &io, "a request for what is not there");
}

/* All descriptors of a split ring, in use or not, and all tables beyond their ends. */
static void tables_stay(struct vqsim_suite *s)
{
	struct picture ring, tables[IN_FLIGHT];
	struct vqsim_suite_io ios[IN_FLIGHT];
	enum virtio_progress progress;

	vqsim_suite_up(s);
	init_some(s, ios);
	ring = picture_of(s, cases_driver(s)->setup.desc_gpa, 16u * s->point.queue_size);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		tables[i] = picture_of(s, ios[i].table_gpa, TABLE_SIZE);
	for (unsigned lap = 0; lap < s->point.queue_size; lap++) {
		add_some(s, ios);
		vqsim_guest_publish(&s->guest, cases_queue(s));
		keep(&ring);
		for (unsigned i = 0; i < IN_FLIGHT; i++)
			keep(&tables[i]);
		progress = vqsim_suite_work(s, cases_queue(s));
		SUITE_EXPECT(s, s->point.packed || same(&ring),
			     "the descriptor table is as the driver wrote it");
		for (unsigned i = 0; i < IN_FLIGHT; i++)
			SUITE_EXPECT(s, same(&tables[i]),
				     "an indirect table is as the driver wrote it");
		conclude(s, progress, ios);
	}
}

/* While the driver wants to hear, and while it does not. */
static void driver_area_stays(struct vqsim_suite *s)
{
	uint32_t size = s->point.packed ? 4 : 6 + 2u * s->point.queue_size;
	struct vqsim_suite_io ios[IN_FLIGHT];
	enum virtio_progress progress;
	struct picture area;

	vqsim_suite_up(s);
	init_some(s, ios);
	area = picture_of(s, cases_driver(s)->setup.driver_gpa, size);
	for (unsigned lap = 0; lap < s->point.queue_size; lap++) {
		vqsim_referee_before_run(&s->referee, cases_queue(s));
		vqsim_driver_set_notify(cases_driver(s),
					lap % 3 ? VQSIM_NOTIFY_ALWAYS : VQSIM_NOTIFY_NEVER);
		add_some(s, ios);
		vqsim_guest_publish(&s->guest, cases_queue(s));
		keep(&area);
		progress = vqsim_suite_work(s, cases_queue(s));
		SUITE_EXPECT(s, same(&area), "the driver area is as the driver wrote it");
		conclude(s, progress, ios);
	}
}

static void avail_event_stays(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[IN_FLIGHT];
	enum virtio_progress progress;

	vqsim_suite_up(s);
	init_some(s, ios);
	*cases_driver(s)->ring.avail_event = htole16(POISON);
	for (unsigned i = 0; i < s->point.queue_size; i++) {
		add_some(s, ios);
		progress = vqsim_suite_work(s, cases_queue(s));
		SUITE_EXPECT(s, *cases_driver(s)->ring.avail_event == htole16(POISON),
			     "avail_event is not written without EVENT_IDX (it is %u)",
			     le16toh(*cases_driver(s)->ring.avail_event));
		conclude(s, progress, ios);
	}
}

/* Whether nothing but the slots from first on, as many as were used now, has changed. */
static bool only_these_changed(const struct vqsim_suite *s, const struct picture *ring,
			       uint16_t first, const uint16_t *lengths, unsigned count)
{
	uint16_t slot = first, next = first;
	unsigned used = 0;

	for (uint16_t i = 0; i < s->point.queue_size; i++) {
		bool may = used < count && slot == next;

		if (may)
			next = (uint16_t)((next + lengths[used++]) % s->point.queue_size);
		else if (memcmp(ring->live + 16u * slot, ring->kept + 16u * slot, 16) != 0)
			return false;
		slot = (uint16_t)((slot + 1) % s->point.queue_size);
	}
	return true;
}

/* Between two laps nothing happens to what was used, with new requests or without. */
static void used_stays_used(struct vqsim_suite *s)
{
	struct vqsim_suite_io ios[IN_FLIGHT];
	uint16_t first, lengths[IN_FLIGHT];
	enum virtio_progress progress;
	struct picture ring;

	vqsim_suite_up(s);
	init_some(s, ios);
	ring = picture_of(s, cases_driver(s)->setup.desc_gpa, 16u * s->point.queue_size);
	for (unsigned lap = 0; lap < LAPS * s->point.queue_size; lap++) {
		add_some(s, ios);
		vqsim_guest_publish(&s->guest, cases_queue(s));
		first = (uint16_t)cases_driver(s)->used_index;
		for (unsigned i = 0; i < IN_FLIGHT; i++)
			lengths[i] = ios[i].direct < ios[i].count ? 1 : ios[i].count;
		keep(&ring);
		progress = vqsim_suite_work(s, cases_queue(s));
		SUITE_EXPECT(s, only_these_changed(s, &ring, first, lengths, IN_FLIGHT),
			     "slots are written where the device stands (slot %u) and nowhere else",
			     first);
		conclude(s, progress, ios);
		keep(&ring);
		vqsim_guest_kick(&s->guest, cases_queue(s));
		progress = vqsim_suite_work(s, cases_queue(s));
		SUITE_EXPECT(s, same(&ring), "what was used is left alone");
		vqsim_suite_judge(s, cases_queue(s), progress);
	}
}

const struct vqsim_case vqsim_cases_memory[] = {
	{.name = "memory_readable_stays",
	 .clauses = "SPLIT-D-03 PACKED-D-04",
	 .run = readable_stays},
	{.name = "memory_out_data_stays",
	 .clauses = "SPLIT-D-03 PACKED-D-04",
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = out_data_stays},
	{.name = "memory_writable_is_not_read",
	 .clauses = "SPLIT-D-04 PACKED-D-05",
	 .bugs = "LEN-16",
	 .run = writable_is_not_read},
	{.name = "memory_tables_stay", .clauses = "SPLIT-D-06 PACKED-DX-11", .run = tables_stay},
	{.name = "memory_driver_area_stays",
	 .clauses = "SPLIT-DX-05 PACKED-DX-02",
	 .run = driver_area_stays},
	{.name = "memory_avail_event_stays",
	 .clauses = "SPLIT-DX-12",
	 .formats = VQSIM_SPLIT,
	 .without = EVENT_IDX,
	 .run = avail_event_stays},
	{.name = "memory_used_stays_used",
	 .clauses = "PACKED-D-07",
	 .bugs = "RING-13",
	 .formats = VQSIM_PACKED,
	 .run = used_stays_used},
	{.name = NULL},
};
