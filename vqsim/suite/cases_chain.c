/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a request may be cut into descriptors (virtio 1.3, 2.7.4 and 2.8.5): in every way
 * it means the same.
 */
#include <endian.h>
#include <string.h>

#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define SECTOR    VQSIM_DISK_SECTOR
#define DATA      512u
#define CHANCE    60u
#define PARTS_MAX 600u

/* The first sector behind the pattern: from here on a case may write. */
#define FREE (VQSIM_SUITE_PATTERN_SIZE / SECTOR)

static void start_walk(const struct vqsim_suite *s, struct vqsim_layout_walk *walk,
		       struct vqsim_layout_request request)
{
	request.queue_size = s->point.queue_size;
	request.mixed = !s->point.packed;
	request.random_count = CHANCE;
	request.seed = 1;
	vqsim_layout_start(walk, &request);
}

static void serve(struct vqsim_suite *s, struct vqsim_suite_io *io)
{
	vqsim_suite_io_add(s, cases_queue(s), io);
	vqsim_suite_io_serve(s, cases_queue(s), io);
}

static void start_io_walk(const struct vqsim_suite *s, struct vqsim_layout_walk *walk,
			  const struct vqsim_suite_io *io)
{
	start_walk(s, walk,
		   (struct vqsim_layout_request){
			   .readable_gpa = io->header_gpa,
			   .readable_size = io->readable_size,
			   .writable_gpa = io->data_gpa,
			   .writable_size = io->writable_size,
			   .table_gpa = s->point.indirect ? io->table_gpa : 0,
		   });
}

static void lay(struct vqsim_suite *s, struct vqsim_suite_io *io, const struct vqsim_chain *chain)
{
	vqsim_suite_io_reset(s, io);
	memcpy(io->elements, chain->elements, chain->count * sizeof(io->elements[0]));
	io->count = chain->count;
	io->direct = chain->direct;
}

static void every_framing(struct vqsim_suite *s)
{
	struct vqsim_layout_walk walk;
	struct vqsim_suite_io io;
	struct vqsim_chain chain;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, DATA);
	start_io_walk(s, &walk, &io);
	while (vqsim_layout_next(&walk, &chain)) {
		lay(s, &io, &chain);
		serve(s, &io);
	}
}

static void copy(const struct vqsim_suite *s, uint64_t to, uint64_t from, uint32_t size)
{
	memcpy(vqsim_memory_at(&s->memory, to, size), vqsim_memory_at(&s->memory, from, size),
	       size);
}

/* Each element in a piece of memory of its own, the last one first. */
static void serve_scattered(struct vqsim_suite *s, struct vqsim_suite_io *io)
{
	uint64_t homes[VQSIM_SUITE_ELEMENTS_MAX];
	enum virtio_progress progress;

	for (unsigned i = io->count; i-- > 0;) {
		struct vqsim_element *element = &io->elements[i];

		homes[i] = element->gpa;
		element->gpa = vqsim_memory_alloc(&s->memory, element->len, 8);
		copy(s, element->gpa, homes[i], element->len);
	}
	vqsim_suite_io_add(s, cases_queue(s), io);
	progress = vqsim_suite_work(s, cases_queue(s));
	for (unsigned i = 0; i < io->count; i++)
		if (io->elements[i].write)
			copy(s, homes[i], io->elements[i].gpa, io->elements[i].len);
	SUITE_EXPECT(s, *io->status == 0,
		     "a request in %u pieces of memory gets status 0 (it got %u)", io->count,
		     *io->status);
	vqsim_suite_judge(s, cases_queue(s), progress);
	vqsim_suite_io_reap(s, cases_queue(s));
	vqsim_suite_io_check(s, io);
}

/* Pieces that are not side by side: whoever reads on behind the first one gets junk. */
static void scattered(struct vqsim_suite *s)
{
	struct vqsim_layout_walk walk;
	struct vqsim_suite_io io;
	struct vqsim_chain chain;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, DATA);
	start_io_walk(s, &walk, &io);
	while (vqsim_layout_next(&walk, &chain)) {
		struct vqsim_memory_mark mark = vqsim_memory_mark(&s->memory);

		lay(s, &io, &chain);
		serve_scattered(s, &io);
		SUITE_EXPECT_CLAUSE(s, s->point.packed ? "PACKED-DX-07" : "SPLIT-D-16",
				    !vqsim_memory_check(&s->memory, NULL),
				    "nothing is written beside %u pieces of memory", io.count);
		vqsim_memory_rewind(&s->memory, &mark);
	}
}

/* A length of 16 bits is not enough for all that one chain holds. */
static void large(struct vqsim_suite *s)
{
	static const uint32_t pieces[] = {VQSIM_SUITE_PATTERN_SIZE, 32768, 21845, 8192};
	struct vqsim_suite_io io;
	uint32_t sizes[8];

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, VQSIM_SUITE_PATTERN_SIZE);
	for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		for (unsigned n = 0; n < 8; n++)
			sizes[n] = pieces[i];
		vqsim_suite_io_reset(s, &io);
		vqsim_suite_io_cut(&io, NULL, 0, sizes, VQSIM_SUITE_PATTERN_SIZE / pieces[i]);
		serve(s, &io);
	}
}

/* The kinds of block requests, with the answer that each must get. */
struct kind {
	uint32_t type;
	uint64_t sector;
	uint32_t size; /* bytes of data */
	bool out;      /* which the driver sends */
	uint64_t needs;
	uint8_t status;
};

static const struct kind kinds[] = {
	{VIRTIO_BLK_T_IN, 3, SECTOR, false, 0, VIRTIO_BLK_S_OK},
	{VIRTIO_BLK_T_OUT, FREE, SECTOR, true, 0, VIRTIO_BLK_S_OK},
	{VIRTIO_BLK_T_FLUSH, 0, 0, false, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH), VIRTIO_BLK_S_OK},
	{VIRTIO_BLK_T_GET_ID, 0, 20, false, 0, VIRTIO_BLK_S_OK},
	{VIRTIO_BLK_T_DISCARD, 0, 16, true, VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD), VIRTIO_BLK_S_OK},
	{VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, true, VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES),
	 VIRTIO_BLK_S_OK},
	{0x7e, 0, 8, false, 0, VIRTIO_BLK_S_UNSUPP},
};

/* The sizes of a chain's elements, first the readable ones. */
static void take_cuts(struct vqsim_blk_request *request, const struct vqsim_chain *chain,
		      uint32_t sizes[PARTS_MAX])
{
	uint16_t readable = 0;

	for (uint16_t i = 0; i < chain->count; i++) {
		sizes[i] = chain->elements[i].len;
		readable += !chain->elements[i].write;
	}
	request->readable_cuts = sizes;
	request->readable_cut_count = readable;
	request->writable_cuts = sizes + readable;
	request->writable_cut_count = chain->count - readable;
	request->indirect = chain->direct < chain->count;
	request->direct = chain->direct;
}

static void submit(struct vqsim_suite *s, struct vqsim_blk_request *request,
		   const struct kind *kind)
{
	uint16_t queue = cases_queue(s);
	uint8_t *status = request->in_data + (kind->out ? 0 : kind->size);
	enum virtio_progress progress;
	int head = vqsim_blk_submit(&s->blk, queue, request);

	SUITE_EXPECT(s, head >= 0, "there is room for a request");
	progress = vqsim_suite_work(s, queue);
	SUITE_EXPECT(s, *status == kind->status,
		     "a request of type %u gets status %u in every framing (it got %u)", kind->type,
		     kind->status, *status);
	vqsim_suite_judge(s, queue, progress);
	SUITE_EXPECT(s, vqsim_blk_reap(&s->blk, queue) == request, "a request comes back");
}

static void every_framing_of(struct vqsim_suite *s, const struct kind *kind)
{
	const struct virtio_blk_discard_write_zeroes segment = {htole64(FREE), htole32(1), 0};
	struct vqsim_blk_request *request = vqsim_suite_request(s, SECTOR);
	struct vqsim_layout_walk walk;
	struct vqsim_chain chain;
	uint32_t sizes[PARTS_MAX];

	memset(request->out_data, (int)kind->type, SECTOR);
	if (kind->size == sizeof(segment))
		memcpy(request->out_data, &segment, sizeof(segment));
	request->type = kind->type;
	request->sector = kind->sector;
	request->data_size = kind->size;
	start_walk(s, &walk,
		   (struct vqsim_layout_request){
			   .readable_gpa = request->out_gpa,
			   .readable_size = 16 + (kind->out ? kind->size : 0),
			   .writable_gpa = request->in_gpa,
			   .writable_size = 1 + (kind->out ? 0 : kind->size),
			   .table_gpa = request->table_gpa,
		   });
	while (vqsim_layout_next(&walk, &chain)) {
		take_cuts(request, &chain, sizes);
		submit(s, request, kind);
	}
}

static void every_framing_blk(struct vqsim_suite *s)
{
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].needs & ~s->offered)
			continue;
		vqsim_suite_up(s);
		every_framing_of(s, &kinds[i]);
	}
}

/* Guest memory that may cross a border: byte by byte. */
static void to_guest(const struct vqsim_suite *s, uint64_t gpa, const uint8_t *from, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		*(uint8_t *)vqsim_memory_at(&s->memory, gpa + i, 1) = from[i];
}

static void from_guest(const struct vqsim_suite *s, uint64_t gpa, uint8_t *to, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		to[i] = *(const uint8_t *)vqsim_memory_at(&s->memory, gpa + i, 1);
}

/* One request with its header and its data at these places; the io keeps copies of both. */
static void serve_at(struct vqsim_suite *s, uint64_t header_gpa, uint64_t data_gpa,
		     const uint32_t *cuts, unsigned cut_count)
{
	enum virtio_progress progress;
	struct vqsim_suite_io io;

	vqsim_suite_io_init(s, &io, DATA);
	io.header_gpa = header_gpa ? header_gpa : io.header_gpa;
	io.data_gpa = data_gpa ? data_gpa : io.data_gpa;
	vqsim_suite_io_cut(&io, NULL, 0, cuts, cut_count);
	to_guest(s, io.header_gpa, io.header, io.readable_size);
	to_guest(s, io.data_gpa, io.data, io.writable_size);
	vqsim_suite_io_add(s, cases_queue(s), &io);
	progress = vqsim_suite_work(s, cases_queue(s));
	from_guest(s, io.data_gpa, io.data, io.writable_size);
	SUITE_EXPECT(s, *io.status == 0, "buffers that end at or cross a border are used (%u)",
		     *io.status);
	vqsim_suite_judge(s, cases_queue(s), progress);
	vqsim_suite_io_reap(s, cases_queue(s));
	vqsim_suite_io_check(s, &io);
}

static void at_borders(struct vqsim_suite *s)
{
	static const struct {
		unsigned count;
		uint32_t sizes[3];
	} cuts[] = {{0, {0}}, {1, {DATA}}, {2, {1, 40}}, {3, {99, 2, DATA - 101}}};
	const struct vqsim_region *apart = &s->memory.mappings[VQSIM_SUITE_APART].range;
	uint64_t border = s->memory.mappings[VQSIM_SUITE_NEXT].range.gpa;
	uint64_t end = apart->gpa + apart->size;
	struct vqsim_suite_io like;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &like, DATA);
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		const uint32_t *sizes = cuts[i].sizes;
		unsigned count = cuts[i].count;

		serve_at(s, border - 8, 0, sizes, count);
		serve_at(s, border - 1, border + 128, sizes, count);
		serve_at(s, 0, border - 100, sizes, count);
		serve_at(s, 0, border - DATA, sizes, count);
		serve_at(s, end - like.readable_size, 0, sizes, count);
		serve_at(s, 0, end - like.writable_size, sizes, count);
	}
}

const struct vqsim_case vqsim_cases_chain[] = {
	{.name = "chain_every_framing",
	 .clauses = "SPLIT-D-01",
	 .bugs = "CHAIN-02 CHAIN-08",
	 .run = every_framing},
	{.name = "chain_scattered", .clauses = "SPLIT-D-01", .bugs = "CHAIN-02", .run = scattered},
	{.name = "chain_every_framing_blk",
	 .clauses = "SPLIT-D-01",
	 .scope = VQSIM_EACH_FORMAT,
	 .needs = VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC),
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = every_framing_blk},
	{.name = "chain_large", .clauses = "SPLIT-D-01", .bugs = "CHAIN-17", .run = large},
	{.name = "chain_at_borders",
	 .clauses = "SPLIT-D-01",
	 .bugs = "LEN-07 MEM-02 MEM-08",
	 .run = at_borders},
	{.name = NULL},
};
