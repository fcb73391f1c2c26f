/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The request that every ring device answers. The bytes of a null device's request
 * and of a block read have the same shape: 16 readable, then data and status writable.
 *
 *     header_gpa  | type, sector; or the first byte of the data: 16 |
 *     data_gpa    | data .......................... | status |
 */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "suite_internal.h"

#define HEADER_SIZE 16u
#define PREFILL     0xa5
#define TABLE_SIZE  (VQSIM_SUITE_ELEMENTS_MAX * 16u)

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

static void head_null(struct vqsim_suite_io *io, unsigned serial)
{
	memset(io->header, 0, HEADER_SIZE);
	io->header[0] = (uint8_t)(serial % 127 + 1);
}

void vqsim_suite_io_reset(struct vqsim_suite *suite, struct vqsim_suite_io *io)
{
	memset(io->data, PREFILL, io->data_size);
	*io->status = VQSIM_BLK_STATUS_UNSET;
	io->done = false;
	io->used_len = 0;
	vqsim_suite_io_cut(io, NULL, 0, &io->data_size, io->data_size > 0);
	io->direct = suite->point.indirect ? 0 : io->count;
}

void vqsim_suite_io_init(struct vqsim_suite *suite, struct vqsim_suite_io *io, uint32_t data_size)
{
	unsigned serial = suite->io_serial++;

	SUITE_EXPECT(suite,
		     data_size % VQSIM_DISK_SECTOR == 0 && data_size <= VQSIM_SUITE_PATTERN_SIZE,
		     "an io of %" PRIu32 " bytes (a mistake of the case)", data_size);
	memset(io, 0, sizeof(*io));
	io->data_size = data_size;
	io->header_gpa = vqsim_memory_alloc(&suite->memory, HEADER_SIZE, 16);
	io->data_gpa = vqsim_memory_alloc(&suite->memory, data_size + 1, 16);
	io->table_gpa = vqsim_memory_alloc(&suite->memory, TABLE_SIZE, 16);
	io->header = vqsim_memory_at(&suite->memory, io->header_gpa, HEADER_SIZE);
	io->data = vqsim_memory_at(&suite->memory, io->data_gpa, data_size + 1);
	io->status = io->data + data_size;
	if (suite->is_blk)
		head_blk(suite, io, serial);
	else
		head_null(io, serial);
	/* A device that leaves a gap before the status can claim nothing (2.7.8.2). */
	io->expected_len =
		suite->is_blk || suite->facts.fills || data_size == 0 ? data_size + 1 : 0;
	vqsim_suite_io_reset(suite, io);
}

void vqsim_suite_io_cut(struct vqsim_suite_io *io, const uint32_t *readable,
			unsigned readable_count, const uint32_t *writable, unsigned writable_count)
{
	bool through_table = io->direct < io->count;
	unsigned count;

	count = vqsim_chain_cut(io->elements, VQSIM_SUITE_ELEMENTS_MAX, io->header_gpa, HEADER_SIZE,
				false, readable, readable_count);
	count += vqsim_chain_cut(io->elements + count, VQSIM_SUITE_ELEMENTS_MAX - count,
				 io->data_gpa, io->data_size + 1, true, writable, writable_count);
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

static uint8_t expected_byte(const struct vqsim_suite *suite, const struct vqsim_suite_io *io,
			     uint32_t at)
{
	if (suite->is_blk)
		return vqsim_suite_pattern(sector_of(io) * VQSIM_DISK_SECTOR + at);
	return suite->facts.fills ? (uint8_t)(io->header[0] + at) : PREFILL;
}

bool vqsim_suite_io_right(const struct vqsim_suite *suite, const struct vqsim_suite_io *io,
			  uint32_t size)
{
	uint32_t data = size < io->data_size ? size : io->data_size;

	if (size > io->expected_len || (size > data && *io->status != 0))
		return false;
	for (uint32_t i = 0; i < data; i++)
		if (io->data[i] != expected_byte(suite, io, i))
			return false;
	return true;
}

/* Status and data, which are there whatever the used entry says. */
static void check_answer(struct vqsim_suite *suite, const struct vqsim_suite_io *io)
{
	SUITE_EXPECT(suite, *io->status == 0, "a good request gets status 0 (it got %u)",
		     *io->status);
	for (uint32_t i = 0; i < io->data_size; i++)
		SUITE_EXPECT(suite, io->data[i] == expected_byte(suite, io, i),
			     "byte %" PRIu32 " of the data is 0x%02x (it is 0x%02x)", i,
			     expected_byte(suite, io, i), io->data[i]);
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
	    !vqsim_referee_queue_void(&suite->referee, 0))
		vqsim_suite_good_request(suite, 0);
	vqsim_suite_up(suite);
	vqsim_suite_good_request(suite, 0);
}
