/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Block requests: what each type does, and what is answered to those that cannot be
 * carried out (virtio 1.3, 5.2.6).
 */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define SECTOR VQSIM_DISK_SECTOR

/* The first sector behind the pattern: from here on a case may write. */
#define FREE (VQSIM_SUITE_PATTERN_SIZE / SECTOR)

#define ID_SIZE 20u

static int do_sized(struct vqsim_suite *s, uint32_t type, uint64_t sector, uint32_t size)
{
	return vqsim_suite_do(s, 0, vqsim_suite_request(s, size), type, sector, size);
}

/* Bytes that no other sector and no other seed has in the same way. */
static void fill(uint8_t *data, uint32_t size, unsigned seed)
{
	for (uint32_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i * 5 + (i >> 8) * 11 + seed * 37 + 3);
}

static void status_is_last(struct vqsim_suite *s)
{
	static const struct {
		unsigned count;
		uint32_t sizes[4];
	} cuts[] = {
		{0, {0}},         {1, {512}},          {1, {1}},
		{1, {511}},       {2, {511, 1}},       {2, {256, 256}},
		{2, {100, 300}},  {3, {1, 510, 1}},    {4, {128, 128, 128, 127}},
		{3, {512, 0, 0}}, {4, {0, 511, 0, 1}},
	};
	struct vqsim_suite_io io;

	vqsim_suite_up(s);
	vqsim_suite_io_init(s, &io, 512);
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		vqsim_suite_io_reset(s, &io);
		vqsim_suite_io_cut(&io, NULL, 0, cuts[i].sizes, cuts[i].count);
		SUITE_EXPECT(s, vqsim_suite_io_do(s, 0, &io),
			     "a request whose writable part is cut into %u pieces comes back",
			     cuts[i].count + 1);
	}
}

static void in_reads(struct vqsim_suite *s)
{
	static const struct {
		uint64_t sector;
		uint32_t size;
	} reads[] = {{0, 512}, {1, 512}, {127, 512}, {3, 1024}, {8, 4096}, {0, 65536}};

	vqsim_suite_up(s);
	for (unsigned i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		struct vqsim_blk_request *request = vqsim_suite_request(s, reads[i].size);
		int status = vqsim_suite_do(s, 0, request, VIRTIO_BLK_T_IN, reads[i].sector,
					    reads[i].size);

		SUITE_EXPECT(s, status == VIRTIO_BLK_S_OK, "IN gets status 0 (it got %d)", status);
		SUITE_EXPECT(s, request->used_len == reads[i].size + 1,
			     "the used length of IN is data and status (it is %" PRIu32 ")",
			     request->used_len);
		for (uint32_t at = 0; at < reads[i].size; at++)
			SUITE_EXPECT(s,
				     request->in_data[at] ==
					     vqsim_suite_pattern(reads[i].sector * SECTOR + at),
				     "byte %" PRIu32 " of sector %" PRIu64 " is what is there", at,
				     reads[i].sector);
	}
}

/* Fail unless the store holds these bytes; nothing can be said without the hook. */
static void expect_stored(struct vqsim_suite *s, const char *clause, uint64_t sector,
			  const uint8_t *data, uint32_t size)
{
	uint8_t stored[4096];

	if (!s->subject->ops->peek)
		return;
	SUITE_EXPECT(s, s->subject->ops->peek(s->instance, sector * SECTOR, stored, size) == 0,
		     "the subject looks into its store");
	SUITE_EXPECT_CLAUSE(s, clause, memcmp(stored, data, size) == 0,
			    "the store holds what it should at sector %" PRIu64, sector);
}

static void out_writes(struct vqsim_suite *s)
{
	static const struct {
		uint64_t sector;
		uint32_t size;
	} writes[] = {{FREE, 512}, {FREE + 5, 1024}, {FREE + 16, 4096}, {FREE + 1, 512}};
	uint8_t data[4096], back[4096];

	vqsim_suite_up(s);
	for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		struct vqsim_blk_request *request = vqsim_suite_request(s, writes[i].size);
		int status;

		fill(data, writes[i].size, i);
		memcpy(request->out_data, data, writes[i].size);
		status = vqsim_suite_do(s, 0, request, VIRTIO_BLK_T_OUT, writes[i].sector,
					writes[i].size);
		SUITE_EXPECT(s, status == VIRTIO_BLK_S_OK, "OUT gets status 0 (it got %d)", status);
		SUITE_EXPECT(s, request->used_len == 1,
			     "the used length of OUT is 1 (it is %" PRIu32 ")", request->used_len);
		expect_stored(s, NULL, writes[i].sector, data, writes[i].size);
		vqsim_suite_read(s, writes[i].sector, back, writes[i].size);
		SUITE_EXPECT(s, memcmp(data, back, writes[i].size) == 0,
			     "IN returns what OUT wrote at sector %" PRIu64, writes[i].sector);
	}
	vqsim_suite_good_request(s, 0);
}

static void get_id_of(struct vqsim_suite *s, const char *id)
{
	struct vqsim_subject_options options = s->test->options;
	char expected[ID_SIZE] = {0};
	struct vqsim_blk_request *request;
	int status;

	memcpy(expected, id, strlen(id));
	options.queue_count = s->point.queue_count;
	options.id = id;
	vqsim_suite_remake(s, &options);
	vqsim_suite_up(s);
	request = vqsim_suite_request(s, ID_SIZE);
	status = vqsim_suite_do(s, 0, request, VIRTIO_BLK_T_GET_ID, 0, ID_SIZE);
	SUITE_EXPECT(s, status == VIRTIO_BLK_S_OK, "GET_ID gets status 0 (it got %d)", status);
	SUITE_EXPECT(s, memcmp(request->in_data, expected, ID_SIZE) == 0,
		     "the id is the %zu characters it has, and NUL up to 20", strlen(id));
}

static void get_id(struct vqsim_suite *s)
{
	get_id_of(s, "");
	get_id_of(s, "nineteen-characters");
	get_id_of(s, "exactly-twenty-bytes");
}

/* Whether the device must carry this type out, or may. */
static bool may_be_supported(const struct vqsim_suite *s, uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_GET_ID:
		return true;
	case 10: /* GET_LIFETIME */
		return vqsim_suite_offers(s, 15);
	case VIRTIO_BLK_T_DISCARD:
		return vqsim_suite_offers(s, VIRTIO_BLK_F_DISCARD);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return vqsim_suite_offers(s, VIRTIO_BLK_F_WRITE_ZEROES);
	case VIRTIO_BLK_T_SECURE_ERASE:
		return vqsim_suite_offers(s, VIRTIO_BLK_F_SECURE_ERASE);
	default:
		return type >= 15 && type <= 26 && vqsim_suite_offers(s, 17);
	}
}

static void expect_unsupported(struct vqsim_suite *s, uint32_t type)
{
	for (uint32_t size = 0; size <= SECTOR; size += SECTOR) {
		int status = do_sized(s, type, 0, size);

		SUITE_EXPECT(s, status == VIRTIO_BLK_S_UNSUPP,
			     "type %" PRIu32 " with %" PRIu32
			     " bytes is not supported: status 2 (it got %d)",
			     type, size, status);
	}
}

static void unknown_types(struct vqsim_suite *s)
{
	vqsim_suite_up(s);
	for (uint32_t type = 0; type < 32; type++)
		if (!may_be_supported(s, type))
			expect_unsupported(s, type);
	expect_unsupported(s, UINT32_MAX);
	vqsim_suite_good_request(s, 0);
}

static void expect_ioerr(struct vqsim_suite *s, uint32_t type, uint64_t sector, uint32_t size)
{
	int status = do_sized(s, type, sector, size);

	SUITE_EXPECT(s, status == VIRTIO_BLK_S_IOERR,
		     "type %" PRIu32 " of %" PRIu32 " bytes at sector 0x%" PRIx64
		     " cannot be carried out: status 1 (it got %d)",
		     type, size, sector, status);
}

static void impossible_requests(struct vqsim_suite *s)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT};
	uint64_t capacity;

	vqsim_suite_up(s);
	capacity = s->blk.capacity;
	for (unsigned i = 0; i < 2; i++) {
		expect_ioerr(s, types[i], capacity, 512);
		expect_ioerr(s, types[i], capacity - 1, 1024);
		expect_ioerr(s, types[i], UINT64_MAX, 512);
		expect_ioerr(s, types[i], UINT64_MAX - 1, 1024);
		/* Times 512 these are bytes 0 and 512. */
		expect_ioerr(s, types[i], UINT64_C(1) << 55, 512);
		expect_ioerr(s, types[i], (UINT64_C(1) << 55) + 1, 512);
		expect_ioerr(s, types[i], 0, 511);
		expect_ioerr(s, types[i], 0, 513);
		expect_ioerr(s, types[i], 0, 100);
	}
	vqsim_suite_good_request(s, 0);
}

static void store_errors(struct vqsim_suite *s)
{
	SUITE_NEEDS_HOOK(s, fail_next);
	vqsim_suite_up(s);
	s->subject->ops->fail_next(s->instance, -5);
	expect_ioerr(s, VIRTIO_BLK_T_IN, 0, 512);
	s->subject->ops->fail_next(s->instance, -28);
	expect_ioerr(s, VIRTIO_BLK_T_OUT, FREE, 512);
	if (vqsim_suite_has(s, VIRTIO_BLK_F_FLUSH)) {
		s->subject->ops->fail_next(s->instance, -5);
		expect_ioerr(s, VIRTIO_BLK_T_FLUSH, 0, 0);
	}
	vqsim_suite_good_request(s, 0);
}

static void add_request(struct vqsim_suite *s, uint16_t queue, uint32_t type, uint64_t sector,
			uint32_t size)
{
	struct vqsim_blk_request *request = vqsim_suite_request(s, size);

	request->type = type;
	request->sector = sector;
	request->data_size = size;
	SUITE_EXPECT(s, vqsim_blk_submit(&s->blk, queue, request) >= 0, "room on queue %u", queue);
}

/* Good ones and bad ones: each is answered once, with a status that means something. */
static void all_are_answered(struct vqsim_suite *s)
{
	const unsigned added = 5;

	vqsim_suite_up(s);
	for (uint16_t queue = 0; queue < s->point.queue_count; queue++) {
		struct vqsim_blk_request *request;
		unsigned answered = 0;

		add_request(s, queue, VIRTIO_BLK_T_IN, 0, 512);
		add_request(s, queue, VIRTIO_BLK_T_IN, UINT64_MAX, 512);
		add_request(s, queue, UINT32_MAX, 0, 0);
		add_request(s, queue, VIRTIO_BLK_T_GET_ID, 0, ID_SIZE);
		add_request(s, queue, VIRTIO_BLK_T_OUT, FREE, 512);
		vqsim_suite_settle(s, queue);
		for (; (request = vqsim_blk_reap(&s->blk, queue)) != NULL; answered++)
			SUITE_EXPECT(s, request->status <= VIRTIO_BLK_S_UNSUPP,
				     "a request of type %" PRIu32 " gets a status (it got %u)",
				     request->type, request->status);
		SUITE_EXPECT(s, answered == added, "all of %u requests come back once (%u did)",
			     added, answered);
	}
}

const struct vqsim_case vqsim_cases_blk[] = {
	{.name = "blk_status_is_last",
	 .clauses = "BLK-DX-04",
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = status_is_last},
	{.name = "blk_in_reads",
	 .clauses = "BLK-DX-05",
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = in_reads},
	{.name = "blk_out_writes",
	 .clauses = "BLK-DX-06",
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = out_writes},
	{.name = "blk_get_id",
	 .clauses = "BLK-DX-07",
	 .scope = VQSIM_EACH_FORMAT,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = get_id},
	{.name = "blk_unknown_types",
	 .clauses = "BLK-DX-09",
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = unknown_types},
	{.name = "blk_impossible_requests",
	 .clauses = "BLK-DX-10",
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = impossible_requests},
	{.name = "blk_store_errors",
	 .clauses = "BLK-DX-10",
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = store_errors},
	{.name = "blk_all_are_answered",
	 .clauses = "BLK-DX-11",
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = all_are_answered},
	{.name = NULL},
};
