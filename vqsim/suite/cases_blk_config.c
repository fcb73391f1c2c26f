/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a block device offers and says of itself (virtio 1.3, 5.2.2 to 5.2.6), and what
 * changes while it runs.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define SECTOR VQSIM_DISK_SECTOR
#define FREE   (VQSIM_SUITE_PATTERN_SIZE / SECTOR) /* the first sector behind the pattern */

#define F_LIFETIME      15
#define F_ZONED         17
#define T_GET_LIFETIME  10u
#define LIFETIME_SIZE   6u
#define UNUSED0         33u /* one byte (5.2.4) */
#define UNUSED1         57u /* three */
#define UNUSED1_END     60u
#define GEOMETRY_SIZE   (1u << 20)
#define GEOMETRY_BLOCK  4096u
#define GEOMETRY_QUEUES 4u

#define FIELD(s, name)                                                        \
	vqsim_suite_config_field(s, offsetof(struct virtio_blk_config, name), \
				 sizeof(((struct virtio_blk_config *)0)->name))

static void offers_flush(struct vqsim_suite *s)
{
	SUITE_EXPECT(s, vqsim_suite_offers(s, VIRTIO_BLK_F_FLUSH), "FLUSH is offered");
}

static void wce_comes_with_flush(struct vqsim_suite *s)
{
	SUITE_EXPECT(s,
		     !vqsim_suite_offers(s, VIRTIO_BLK_F_CONFIG_WCE) ||
			     vqsim_suite_offers(s, VIRTIO_BLK_F_FLUSH),
		     "CONFIG_WCE is offered only with FLUSH");
}

static void wce_without_flush(struct vqsim_suite *s)
{
	uint64_t writeback;

	vqsim_suite_up_without(s, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
	writeback = FIELD(s, wce);
	SUITE_EXPECT(s, writeback == 0,
		     "writeback is 0 with CONFIG_WCE and without FLUSH (it is %" PRIu64 ")",
		     writeback);
}

static void expect_zero(struct vqsim_suite *s, uint32_t from, uint32_t end, const char *when)
{
	uint32_t size = s->device->ops->config_size(s->device);

	for (uint32_t at = from; at < end && at < size; at++)
		SUITE_EXPECT(s, vqsim_suite_config_field(s, at, 1) == 0,
			     "byte %" PRIu32 " of the config space, which is unused, is 0 %s", at,
			     when);
}

static void unused_are_zero(struct vqsim_suite *s)
{
	expect_zero(s, UNUSED0, UNUSED0 + 1, "at first");
	expect_zero(s, UNUSED1, UNUSED1_END, "at first");
	vqsim_suite_up(s);
	expect_zero(s, UNUSED0, UNUSED0 + 1, "when it runs");
	expect_zero(s, UNUSED1, UNUSED1_END, "when it runs");
}

/* Resize the disk while a request waits. The driver must hear of it. */
static void resize_to(struct vqsim_suite *s, uint64_t size)
{
	uint64_t heard = s->guest.link.config_notifications;
	struct vqsim_suite_io io;

	vqsim_suite_io_init(s, &io, 512);
	vqsim_suite_io_add(s, 0, &io);
	if (s->subject->ops->hold)
		s->subject->ops->hold(s->instance, true);
	vqsim_guest_publish(&s->guest, 0);
	vqsim_guest_run(&s->guest, 0);
	SUITE_EXPECT(s, s->subject->ops->resize(s->instance, size) == 0, "the subject resizes");
	if (s->subject->ops->hold)
		s->subject->ops->hold(s->instance, false);
	vqsim_suite_settle(s, 0);
	vqsim_suite_io_reap(s, 0);
	vqsim_suite_io_check(s, &io);
	SUITE_EXPECT_CLAUSE(s, "BLK-D-06", s->guest.link.config_notifications > heard,
			    "a change of the capacity is announced");
	SUITE_EXPECT_CLAUSE(s, "BLK-D-06", FIELD(s, capacity) == size / SECTOR,
			    "the new capacity is %" PRIu64 " sectors", size / SECTOR);
	vqsim_blk_reread(&s->blk);
}

static void capacity_changes(struct vqsim_suite *s)
{
	struct vqsim_blk_request *request;
	uint64_t sectors;
	uint8_t data[SECTOR];
	int status;

	SUITE_NEEDS_HOOK(s, resize);
	vqsim_suite_up(s);
	sectors = s->blk.capacity;
	resize_to(s, (sectors + 64) * SECTOR);
	memset(data, 0x6c, sizeof(data));
	vqsim_suite_write(s, sectors + 63, data, sizeof(data));
	vqsim_suite_read(s, sectors + 63, data, sizeof(data));
	SUITE_EXPECT(s, data[0] == 0x6c && data[SECTOR - 1] == 0x6c, "the new sectors hold data");
	resize_to(s, sectors * SECTOR);
	request = vqsim_suite_request(s, SECTOR);
	status = vqsim_suite_do(s, 0, request, VIRTIO_BLK_T_IN, sectors, SECTOR);
	SUITE_EXPECT(s, status == VIRTIO_BLK_S_IOERR,
		     "a sector that is gone gets status 1 (it got %d)", status);
	vqsim_suite_good_request(s, 0);
}

static void may_unmap(struct vqsim_suite *s)
{
	uint64_t value = FIELD(s, write_zeroes_may_unmap);

	SUITE_EXPECT(s, value == s->facts.deallocate,
		     "write_zeroes_may_unmap is %d as the store can (it is %" PRIu64 ")",
		     s->facts.deallocate, value);
}

static void may_unmap_changes(struct vqsim_suite *s)
{
	bool may = FIELD(s, write_zeroes_may_unmap);

	SUITE_NEEDS_HOOK(s, set_may_unmap);
	vqsim_suite_up(s);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t heard = s->guest.link.config_notifications;

		may = !may;
		SUITE_EXPECT(s, s->subject->ops->set_may_unmap(s->instance, may) == 0,
			     "the subject changes what the store can");
		SUITE_EXPECT(s, FIELD(s, write_zeroes_may_unmap) == may,
			     "write_zeroes_may_unmap is what it was changed to");
		SUITE_EXPECT_CLAUSE(s, "BLK-D-18", s->guest.link.config_notifications > heard,
				    "a change of write_zeroes_may_unmap is announced");
		vqsim_suite_good_request(s, 0);
	}
}

static void lifetime_offer(struct vqsim_suite *s)
{
	bool offered = vqsim_suite_offers(s, F_LIFETIME);

	SUITE_EXPECT_CLAUSE(s, "BLK-D-23", offered || !s->facts.lifetime,
			    "LIFETIME is offered for storage that has such metrics");
	SUITE_EXPECT_CLAUSE(s, "BLK-D-24", !offered || s->facts.lifetime,
			    "LIFETIME is not offered for storage without such metrics");
}

static void expect_lifetime(struct vqsim_suite *s, const struct vqsim_blk_request *request)
{
	uint16_t values[3];

	memcpy(values, request->in_data, sizeof(values));
	SUITE_EXPECT_CLAUSE(
		s, "BLK-DX-08", request->status == 0 && request->used_len == LIFETIME_SIZE + 1,
		"GET_LIFETIME gets status 0 and 6 bytes (it got %u and length %" PRIu32 ")",
		request->status, request->used_len);
	SUITE_EXPECT_CLAUSE(s, "BLK-D-25", le16toh(values[0]) <= 3,
			    "pre_eol_info is no reserved value (it is %u)", le16toh(values[0]));
	for (unsigned i = 1; i < 3; i++)
		SUITE_EXPECT_CLAUSE(s, "BLK-D-25", le16toh(values[i]) <= 11,
				    "the estimates are no reserved values (one is %u)",
				    le16toh(values[i]));
}

static void lifetime_values(struct vqsim_suite *s)
{
	struct vqsim_blk_request *request;
	int status;

	vqsim_suite_up(s);
	request = vqsim_suite_request(s, LIFETIME_SIZE);
	status = vqsim_suite_do(s, 0, request, T_GET_LIFETIME, 0, LIFETIME_SIZE);
	if (vqsim_suite_has(s, F_LIFETIME))
		expect_lifetime(s, request);
	else
		SUITE_EXPECT_CLAUSE(s, "BLK-DX-08", status == VIRTIO_BLK_S_UNSUPP,
				    "GET_LIFETIME without the feature gets status 2 (it got %d)",
				    status);
}

static void queue_count(struct vqsim_suite *s)
{
	uint16_t has = s->device->ops->queue_count(s->device);
	uint64_t says = vqsim_suite_offers(s, VIRTIO_BLK_F_MQ) ? FIELD(s, num_queues) : 1;
	struct virtio_queue_setup setup = {.size = 16, .desc_gpa = 4096};

	SUITE_EXPECT(s, says == has, "there are %" PRIu64 " queues as the driver is told (%u are)",
		     says, has);
	vqsim_suite_up(s);
	for (uint16_t queue = 0; queue < s->point.queue_count; queue++)
		vqsim_suite_good_request(s, queue);
	SUITE_EXPECT(
		s, virtio_transport_enable_queue(&s->guest.link.transport, has, &setup) == -EINVAL,
		"queue %u, of %u, is refused", has, has);
}

/* Where the config space ends at the least: behind the last field with a feature that is offered. */
static uint32_t least_size(const struct vqsim_suite *s)
{
	static const struct {
		unsigned bit;
		uint32_t end;
	} fields[] = {
		{F_ZONED, 96},
		{VIRTIO_BLK_F_SECURE_ERASE, 72},
		{VIRTIO_BLK_F_WRITE_ZEROES, 57},
		{VIRTIO_BLK_F_DISCARD, 48},
		{VIRTIO_BLK_F_MQ, 36},
		{VIRTIO_BLK_F_CONFIG_WCE, 33},
		{VIRTIO_BLK_F_TOPOLOGY, 32},
		{VIRTIO_BLK_F_BLK_SIZE, 24},
		{VIRTIO_BLK_F_GEOMETRY, 20},
		{VIRTIO_BLK_F_SEG_MAX, 16},
		{VIRTIO_BLK_F_SIZE_MAX, 12},
	};

	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (vqsim_suite_offers(s, fields[i].bit))
			return fields[i].end;
	return 8;
}

static void expect_bytes(struct vqsim_suite *s, uint32_t offset, const uint8_t *bytes,
			 uint32_t size, const char *name)
{
	for (uint32_t i = 0; i < size; i++)
		SUITE_EXPECT(s, vqsim_suite_config_field(s, offset + i, 1) == bytes[i],
			     "%s is at byte %" PRIu32 ", little-endian (byte %" PRIu32
			     " of it is %" PRIu64 ")",
			     name, offset, i, vqsim_suite_config_field(s, offset + i, 1));
}

/* 1 MiB, blocks of 4096, 4 queues. */
static void config_layout(struct vqsim_suite *s)
{
	uint32_t size = s->device->ops->config_size(s->device);

	SUITE_EXPECT(s, size >= least_size(s),
		     "the config space holds every field that is offered (it has %" PRIu32
		     " bytes)",
		     size);
	SUITE_EXPECT(s, FIELD(s, capacity) == GEOMETRY_SIZE / SECTOR, "capacity is in its place");
	if (vqsim_suite_offers(s, VIRTIO_BLK_F_BLK_SIZE))
		SUITE_EXPECT(s, FIELD(s, blk_size) == GEOMETRY_BLOCK, "blk_size is in its place");
	if (vqsim_suite_offers(s, VIRTIO_BLK_F_MQ))
		SUITE_EXPECT(s, FIELD(s, num_queues) == GEOMETRY_QUEUES,
			     "num_queues is in its place");
}

/* The same to the byte. */
static void config_bytes(struct vqsim_suite *s)
{
	expect_bytes(s, 0, (const uint8_t[]){0x00, 0x08, 0, 0, 0, 0, 0, 0}, 8, "capacity");
	if (vqsim_suite_offers(s, VIRTIO_BLK_F_BLK_SIZE))
		expect_bytes(s, 20, (const uint8_t[]){0x00, 0x10, 0, 0}, 4, "blk_size");
	if (vqsim_suite_offers(s, VIRTIO_BLK_F_MQ))
		expect_bytes(s, 34, (const uint8_t[]){GEOMETRY_QUEUES, 0}, 2, "num_queues");
}

static void sectors_of_512(struct vqsim_suite *s)
{
	uint8_t data[GEOMETRY_BLOCK], stored[GEOMETRY_BLOCK];

	SUITE_NEEDS_HOOK(s, peek);
	SUITE_EXPECT(s, FIELD(s, capacity) == GEOMETRY_SIZE / SECTOR,
		     "capacity counts sectors of 512 bytes (it is %" PRIu64 ")",
		     FIELD(s, capacity));
	vqsim_suite_up(s);
	memset(data, 0x3d, sizeof(data));
	vqsim_suite_write(s, FREE + 8, data, sizeof(data));
	SUITE_EXPECT(s,
		     s->subject->ops->peek(s->instance, (FREE + 8) * SECTOR, stored,
					   sizeof(stored)) == 0,
		     "the subject looks into its store");
	SUITE_EXPECT(s, memcmp(data, stored, sizeof(data)) == 0,
		     "sector %u is at byte %u whatever blk_size is", FREE + 8, (FREE + 8) * SECTOR);
}

#define GEOMETRY                                                     \
	{                                                            \
		.size = GEOMETRY_SIZE, .block_size = GEOMETRY_BLOCK, \
		.queue_count = GEOMETRY_QUEUES                       \
	}

const struct vqsim_case vqsim_cases_blk_config[] = {
	{.name = "blk_offers_flush",
	 .clauses = "BLK-D-01",
	 .scope = VQSIM_ONCE,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = offers_flush},
	{.name = "blk_wce_comes_with_flush",
	 .clauses = "BLK-D-02",
	 .scope = VQSIM_ONCE,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = wce_comes_with_flush},
	{.name = "blk_wce_without_flush",
	 .clauses = "BLK-D-03",
	 .scope = VQSIM_EACH_FORMAT,
	 .needs = VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE),
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = wce_without_flush},
	{.name = "blk_unused_are_zero",
	 .clauses = "BLK-D-04",
	 .scope = VQSIM_EACH_FORMAT,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = unused_are_zero},
	{.name = "blk_capacity_changes",
	 .clauses = "BLK-D-05 BLK-D-06",
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = capacity_changes},
	{.name = "blk_may_unmap",
	 .clauses = "BLK-D-16",
	 .scope = VQSIM_ONCE,
	 .needs = VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES),
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = may_unmap},
	{.name = "blk_may_unmap_changes",
	 .clauses = "BLK-D-17 BLK-D-18",
	 .scope = VQSIM_EACH_FORMAT,
	 .needs = VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES),
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = may_unmap_changes},
	{.name = "blk_lifetime_offer",
	 .clauses = "BLK-D-23 BLK-D-24",
	 .scope = VQSIM_ONCE,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = lifetime_offer},
	{.name = "blk_lifetime_values",
	 .clauses = "BLK-DX-08 BLK-D-25",
	 .scope = VQSIM_EACH_FORMAT,
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = lifetime_values},
	{.name = "blk_queue_count",
	 .clauses = "BLK-DX-01",
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = queue_count},
	{.name = "blk_config_layout",
	 .clauses = "BLK-DX-02",
	 .bugs = "CONF-13",
	 .scope = VQSIM_ONCE,
	 .device_id = VIRTIO_ID_BLOCK,
	 .options = GEOMETRY,
	 .run = config_layout},
	{.name = "blk_config_bytes",
	 .clauses = "CONFIG-DX-01",
	 .scope = VQSIM_ONCE,
	 .device_id = VIRTIO_ID_BLOCK,
	 .options = GEOMETRY,
	 .run = config_bytes},
	{.name = "blk_sectors_of_512",
	 .clauses = "BLK-DX-03",
	 .scope = VQSIM_EACH_FORMAT,
	 .device_id = VIRTIO_ID_BLOCK,
	 .options = GEOMETRY,
	 .run = sectors_of_512},
	{.name = NULL},
};
