/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The request that every ring device answers. The bytes of a null device's request
 * and of a block read have the same shape; those of a READ of a file are larger:
 *
 *     header_gpa  | type, sector; or the first byte of the data: 16 |
 *     data_gpa    | data .......................... | status |
 *
 *     header_gpa  | fuse_in_header: 40 | fuse_read_in: 40 |
 *     data_gpa    | fuse_out_header: 16 | data .............. |
 */
#include <endian.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "suite_internal.h"

#define HEADER_SIZE 16u
#define PREFILL     0xa5
#define CHUNK       512u
#define TABLE_SIZE  (VQSIM_SUITE_ELEMENTS_MAX * 16u)

/* The error of a fuse_out_header, which is 0 or small: its low byte says which. */
#if __BYTE_ORDER == __LITTLE_ENDIAN
#define FS_STATUS_AT offsetof(struct fuse_out_header, error)
#else
#define FS_STATUS_AT (offsetof(struct fuse_out_header, error) + 3)
#endif

/* What a READ consists of. */
struct fs_read {
	struct fuse_in_header header;
	struct fuse_read_in in;
};

static uint64_t sector_of(const struct vqsim_suite_io *io)
{
	struct virtio_blk_outhdr header;

	memcpy(&header, io->header, sizeof(header));
	return le64toh(header.sector);
}

/* Each one another place of the pattern. */
static void head_blk(struct vqsim_suite *suite, struct vqsim_suite_io *io, unsigned serial)
{
	uint64_t places =
		suite->pattern_size / VQSIM_DISK_SECTOR - io->data_size / VQSIM_DISK_SECTOR;
	struct virtio_blk_outhdr header = {
		.type = htole32(VIRTIO_BLK_T_IN),
		.sector = htole64(serial % (places + 1)),
	};

	memcpy(io->header, &header, sizeof(header));
}

/* The same, as bytes of the file. */
static void head_fs(struct vqsim_suite *suite, struct vqsim_suite_io *io, unsigned serial)
{
	uint64_t places = (VQSIM_SUITE_PATTERN_SIZE - io->data_size) / VQSIM_DISK_SECTOR;
	const struct fs_read read = {
		.header = {.len = sizeof(read),
			   .opcode = FUSE_READ,
			   .unique = 2 * (UINT64_C(1) << 32) + 2 * serial,
			   .nodeid = suite->pattern.node},
		.in = {.fh = suite->pattern.handle,
		       .offset = serial % (places + 1) * VQSIM_DISK_SECTOR,
		       .size = io->data_size},
	};

	memcpy(io->header, &read, sizeof(read));
}

static void head_null(struct vqsim_suite_io *io, unsigned serial)
{
	memset(io->header, 0, HEADER_SIZE);
	io->header[0] = (uint8_t)(serial % 127 + 1);
}

void vqsim_suite_io_reset(struct vqsim_suite *suite, struct vqsim_suite_io *io)
{
	memset(io->data, PREFILL, io->writable_size);
	*io->status = VQSIM_BLK_STATUS_UNSET;
	io->done = false;
	io->used_len = 0;
	vqsim_suite_io_cut(io, NULL, 0, &io->data_size, io->data_size > 0);
	io->direct = suite->point.indirect ? 0 : io->count;
}

static void place(struct vqsim_suite *suite, struct vqsim_suite_io *io)
{
	struct vqsim_memory *memory = &suite->memory;

	io->readable_size = suite->is_fs ? sizeof(struct fs_read) : HEADER_SIZE;
	io->writable_size =
		io->data_size + (suite->is_fs ? (uint32_t)sizeof(struct fuse_out_header) : 1);
	io->header_gpa = vqsim_memory_alloc(memory, io->readable_size, 16);
	io->data_gpa = vqsim_memory_alloc(memory, io->writable_size, 16);
	io->table_gpa = vqsim_memory_alloc(memory, TABLE_SIZE, 16);
	io->header = vqsim_memory_at(memory, io->header_gpa, io->readable_size);
	io->data = vqsim_memory_at(memory, io->data_gpa, io->writable_size);
	io->status = io->data + (suite->is_fs ? FS_STATUS_AT : io->data_size);
}

void vqsim_suite_io_init(struct vqsim_suite *suite, struct vqsim_suite_io *io, uint32_t data_size)
{
	unsigned serial = suite->io_serial++;

	SUITE_EXPECT(suite,
		     data_size % VQSIM_DISK_SECTOR == 0 && data_size <= VQSIM_SUITE_PATTERN_SIZE,
		     "an io of %" PRIu32 " bytes (a mistake of the case)", data_size);
	if (suite->is_fs)
		suite_fs_open_pattern(suite);
	memset(io, 0, sizeof(*io));
	io->data_size = data_size;
	place(suite, io);
	if (suite->is_blk)
		head_blk(suite, io, serial);
	else if (suite->is_fs)
		head_fs(suite, io, serial);
	else
		head_null(io, serial);
	/* A device that leaves a gap before the status can claim nothing (2.7.8.2). */
	io->expected_len = io->writable_size;
	if (!suite->is_blk && !suite->is_fs && !suite->facts.fills && data_size > 0)
		io->expected_len = 0;
	vqsim_suite_io_reset(suite, io);
}

void vqsim_suite_io_cut(struct vqsim_suite_io *io, const uint32_t *readable,
			unsigned readable_count, const uint32_t *writable, unsigned writable_count)
{
	bool through_table = io->direct < io->count;
	unsigned count;

	count = vqsim_chain_cut(io->elements, VQSIM_SUITE_ELEMENTS_MAX, io->header_gpa,
				io->readable_size, false, readable, readable_count);
	count += vqsim_chain_cut(io->elements + count, VQSIM_SUITE_ELEMENTS_MAX - count,
				 io->data_gpa, io->writable_size, true, writable, writable_count);
	io->count = (uint16_t)count;
	if (!through_table)
		io->direct = io->count;
}

static void remember(struct vqsim_suite *suite, struct vqsim_suite_io *io)
{
	if (suite->io_count == suite->io_room) {
		unsigned room = suite->io_room ? 2 * suite->io_room : 64;
		struct vqsim_suite_io **grown = realloc(suite->ios, room * sizeof(suite->ios[0]));

		SUITE_EXPECT(suite, grown, "room for an io (the host is out of memory)");
		suite->ios = grown;
		suite->io_room = room;
	}
	suite->ios[suite->io_count++] = io;
}

/* Whether a token is an io in flight; then it is in flight no more. */
static bool forget(struct vqsim_suite *suite, const void *token)
{
	for (unsigned i = 0; i < suite->io_count; i++) {
		if (suite->ios[i] != token)
			continue;
		suite->ios[i] = suite->ios[--suite->io_count];
		return true;
	}
	return false;
}

void vqsim_suite_io_add(struct vqsim_suite *suite, uint16_t queue, struct vqsim_suite_io *io)
{
	const struct vqsim_chain chain = {
		.elements = io->elements,
		.count = io->count,
		.direct = io->direct,
		.table_gpa = io->table_gpa,
	};
	int head = vqsim_guest_add(&suite->guest, queue, &chain, io);

	SUITE_EXPECT(suite, head >= 0, "room for %u descriptors on queue %u", io->count, queue);
	io->head = (uint32_t)head;
	io->done = false;
	remember(suite, io);
	vqsim_referee_expect_len(&suite->referee, queue, (uint16_t)head, io->expected_len);
}

unsigned vqsim_suite_io_reap(struct vqsim_suite *suite, uint16_t queue)
{
	struct vqsim_used used;
	enum vqsim_reap reap;
	unsigned count = 0;

	while ((reap = vqsim_guest_reap(&suite->guest, queue, &used)) != VQSIM_REAP_NOTHING) {
		struct vqsim_suite_io *io = used.token;

		SUITE_EXPECT(suite, reap == VQSIM_REAP_USED,
			     "a used entry of queue %u names a chain in flight", queue);
		if (!forget(suite, io))
			continue;
		io->done = true;
		io->batched = used.batched;
		io->used_len = used.len;
		count++;
	}
	return count;
}

/* The header of the answer, at the start of all that is writable. */
static struct fuse_out_header expected_header(const struct vqsim_suite_io *io)
{
	struct fuse_in_header asked;

	memcpy(&asked, io->header, sizeof(asked));
	return (struct fuse_out_header){.len = io->writable_size, .unique = asked.unique};
}

static void expect_fs(const struct vqsim_suite_io *io, uint32_t at, uint8_t *bytes, uint32_t size)
{
	struct fuse_out_header out = expected_header(io);
	uint32_t skipped = 0;
	struct fs_read read;

	memcpy(&read, io->header, sizeof(read));
	for (; skipped < size && at + skipped < sizeof(out); skipped++)
		bytes[skipped] = ((const uint8_t *)&out)[at + skipped];
	vqsim_suite_pattern_fill(read.in.offset + at + skipped - sizeof(out), bytes + skipped,
				 size - skipped);
}

static void expect_blk(const struct vqsim_suite *suite, const struct vqsim_suite_io *io,
		       uint32_t at, uint8_t *bytes, uint32_t size)
{
	if (suite->facts.forgets)
		memset(bytes, 0, size);
	else
		vqsim_suite_pattern_fill(sector_of(io) * VQSIM_DISK_SECTOR + at, bytes, size);
}

static void expect_null(const struct vqsim_suite *suite, const struct vqsim_suite_io *io,
			uint32_t at, uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = suite->facts.fills ? (uint8_t)(io->header[0] + at + i) : PREFILL;
}

/* What must be in size bytes of all that is writable, from at on. */
static void expect_bytes(const struct vqsim_suite *suite, const struct vqsim_suite_io *io,
			 uint32_t at, uint8_t *bytes, uint32_t size)
{
	if (suite->is_fs) {
		expect_fs(io, at, bytes, size);
		return;
	}
	if (suite->is_blk)
		expect_blk(suite, io, at, bytes, size);
	else
		expect_null(suite, io, at, bytes, size);
	if (io->data_size - at < size)
		bytes[io->data_size - at] = 0; /* the status */
}

/*
 * Of the first size bytes that are writable: the first that is not as it must be, or size. Copied
 * first: a device that is not done may change them.
 */
static uint32_t first_wrong(const struct vqsim_suite *suite, const struct vqsim_suite_io *io,
			    uint32_t size, uint8_t *expected)
{
	uint8_t bytes[CHUNK], found[CHUNK];

	for (uint32_t at = 0; at < size; at += CHUNK) {
		uint32_t part = size - at < CHUNK ? size - at : CHUNK, same = 0;

		expect_bytes(suite, io, at, bytes, part);
		memcpy(found, io->data + at, part);
		if (memcmp(found, bytes, part) == 0)
			continue;
		while (found[same] == bytes[same])
			same++;
		*expected = bytes[same];
		return at + same;
	}
	return size;
}

bool vqsim_suite_io_right(const struct vqsim_suite *suite, const struct vqsim_suite_io *io,
			  uint32_t size)
{
	uint8_t expected;

	return size <= io->expected_len && first_wrong(suite, io, size, &expected) == size;
}

/* Status and data, which are there whatever the used entry says. */
static void check_answer(struct vqsim_suite *suite, const struct vqsim_suite_io *io)
{
	uint8_t expected = 0;
	uint32_t at;

	SUITE_EXPECT(suite, *io->status == 0, "a good request gets status 0 (it got %u)",
		     *io->status);
	at = first_wrong(suite, io, io->writable_size, &expected);
	SUITE_EXPECT(suite, at == io->writable_size,
		     "byte %" PRIu32 " of the data is 0x%02x (it is 0x%02x)", at, expected,
		     io->data[at]);
}

void vqsim_suite_io_check(struct vqsim_suite *suite, const struct vqsim_suite_io *io)
{
	SUITE_EXPECT(suite, io->done, "a request with %u descriptors comes back", io->count);
	check_answer(suite, io);
	SUITE_EXPECT(suite, io->batched || io->used_len == io->expected_len,
		     "the used length is %" PRIu32 " (it is %" PRIu32 ")", io->expected_len,
		     io->used_len);
}

void vqsim_suite_io_serve(struct vqsim_suite *suite, uint16_t queue, struct vqsim_suite_io *io)
{
	enum virtio_progress progress = vqsim_suite_work(suite, queue);

	check_answer(suite, io);
	vqsim_suite_judge(suite, queue, progress);
	vqsim_suite_io_reap(suite, queue);
	vqsim_suite_io_check(suite, io);
}

bool vqsim_suite_io_do(struct vqsim_suite *suite, uint16_t queue, struct vqsim_suite_io *io)
{
	vqsim_suite_io_add(suite, queue, io);
	vqsim_suite_settle(suite, queue);
	vqsim_suite_io_reap(suite, queue);
	if (io->done)
		vqsim_suite_io_check(suite, io);
	return io->done;
}

void vqsim_suite_good_request(struct vqsim_suite *suite, uint16_t queue)
{
	struct vqsim_suite_io io;

	vqsim_suite_io_init(suite, &io, VQSIM_DISK_SECTOR);
	SUITE_EXPECT(suite, vqsim_suite_io_do(suite, queue, &io),
		     "a good request on queue %u comes back", queue);
}

void vqsim_suite_still_good(struct vqsim_suite *suite)
{
	if (!vqsim_guest_needs_reset(&suite->guest) &&
	    !vqsim_referee_queue_void(&suite->referee, vqsim_suite_queue(suite, 0)))
		vqsim_suite_good_request(suite, vqsim_suite_queue(suite, 0));
	vqsim_suite_up(suite);
	vqsim_suite_good_request(suite, vqsim_suite_queue(suite, 0));
}
