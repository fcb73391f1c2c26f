/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a loss of power must leave of a disk (virtio 1.3, 5.2.6.2): after each step the
 * image that it would leave now is looked at.
 */
#include <inttypes.h>
#include <string.h>

#include <linux/virtio_ids.h>

#include "cases_internal.h"

#define SECTOR VQSIM_DISK_SECTOR
#define FREE   (VQSIM_SUITE_PATTERN_SIZE / SECTOR) /* the first sector behind the pattern */
#define CACHE  (VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE))

static void write_at(struct vqsim_suite *s, uint16_t queue, uint64_t sector, uint8_t byte)
{
	struct vqsim_blk_request *request = vqsim_suite_request(s, SECTOR);
	int status;

	memset(request->out_data, byte, SECTOR);
	status = vqsim_suite_do(s, queue, request, VIRTIO_BLK_T_OUT, sector, SECTOR);
	SUITE_EXPECT(s, status == VIRTIO_BLK_S_OK, "OUT gets status 0 (it got %d)", status);
}

static void expect_durable(struct vqsim_suite *s, uint64_t sector, uint8_t byte)
{
	static uint8_t image[VQSIM_SUITE_DISK_MIN];
	int error = s->subject->ops->power_cut(s->instance, image, sizeof(image));

	SUITE_EXPECT(s, error == 0, "the subject tells what a loss of power leaves");
	for (uint32_t i = 0; i < SECTOR; i++)
		SUITE_EXPECT(s, image[sector * SECTOR + i] == byte,
			     "byte %" PRIu32 " of sector %" PRIu64
			     " survives a loss of power with %u (it is %u)",
			     i, sector, byte, image[sector * SECTOR + i]);
}

static void write_durably(struct vqsim_suite *s, uint64_t sector, uint8_t byte)
{
	write_at(s, 0, sector, byte);
	expect_durable(s, sector, byte);
}

/* With neither feature a driver cannot flush: every write that came back is there. */
static void without_cache(struct vqsim_suite *s)
{
	SUITE_NEEDS_HOOK(s, power_cut);
	vqsim_suite_up_without(s, CACHE);
	for (uint8_t i = 0; i < 8; i++)
		write_durably(s, FREE + 3 * i, 0x10 + i);
	write_durably(s, FREE, 0x33);
}

static void set_writeback(struct vqsim_suite *s, bool writeback)
{
	SUITE_EXPECT(s, vqsim_blk_set_writeback(&s->blk, writeback) == 0,
		     "the driver may write the writeback field");
}

static void write_through(struct vqsim_suite *s)
{
	SUITE_NEEDS_HOOK(s, power_cut);
	/* A life without the feature leaves nothing behind. */
	vqsim_suite_up_without(s, VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE));
	write_at(s, 0, FREE, 0x20);
	vqsim_suite_up(s);
	set_writeback(s, false);
	write_durably(s, FREE, 0x21);
	set_writeback(s, true);
	write_at(s, 0, FREE + 1, 0x22);
	set_writeback(s, false);
	write_durably(s, FREE + 2, 0x23);
	write_durably(s, FREE + 1, 0x24);
	/* Without FLUSH the field is 0 from the start. */
	vqsim_suite_up_without(s, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
	write_durably(s, FREE + 4, 0x25);
}

/* The flush is on another queue than some of the writes; they came back before. */
static void flush_covers(struct vqsim_suite *s)
{
	uint16_t queues = s->point.queue_count;

	SUITE_NEEDS_HOOK(s, power_cut);
	vqsim_suite_up(s);
	for (uint8_t round = 1; round < 4; round++) {
		for (uint16_t i = 0; i < 8; i++)
			write_at(s, i % queues, FREE + 2 * i, round * 16 + i);
		vqsim_suite_flush(s);
		for (uint16_t i = 0; i < 8; i++)
			expect_durable(s, FREE + 2 * i, round * 16 + i);
	}
}

const struct vqsim_case vqsim_cases_blk_durable[] = {
	{.name = "blk_durable_without_cache",
	 .clauses = "BLK-D-19",
	 .needs = VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH),
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = without_cache},
	{.name = "blk_durable_write_through",
	 .clauses = "BLK-D-20",
	 .bugs = "LIFE-11",
	 .needs = VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE),
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = write_through},
	{.name = "blk_durable_flush_covers",
	 .clauses = "BLK-D-21",
	 .needs = VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH),
	 .device_id = VIRTIO_ID_BLOCK,
	 .run = flush_covers},
	{.name = NULL},
};
