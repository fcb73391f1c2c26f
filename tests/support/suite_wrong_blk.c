/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Block devices and stores that are wrong in one way each: for cases_blk*.c.
 */
#include <endian.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "suite_wrong.h"
#include "wrong_blk.h"
#include "wrong_store.h"
#include "wrong_subject.h"
#include "wrong_rows.h"

extern const struct vqsim_wrong suite_wrong_blk[];

static uint8_t *status_of(struct wrong_blk_request *request)
{
	return &request->answer[request->answer_size - 1];
}

static void status_first_in_last(struct wrong_blk_request *request)
{
	uint8_t status = *status_of(request);

	*status_of(request) = 0xff;
	*request->last = status;
}

static void spoil_data(struct wrong_blk_request *request)
{
	if (request->type == VIRTIO_BLK_T_IN)
		request->answer[request->answer_size / 2] ^= 1;
}

static void end_id(struct wrong_blk_request *request)
{
	if (request->type == VIRTIO_BLK_T_GET_ID)
		request->answer[19] = 0;
}

static void blank_id(struct wrong_blk_request *request)
{
	if (request->type == VIRTIO_BLK_T_GET_ID)
		memset(request->answer + 1, ' ', 19);
}

static void swallow_unsupported(struct wrong_blk_request *request)
{
	if (*status_of(request) == VIRTIO_BLK_S_UNSUPP)
		*status_of(request) = VIRTIO_BLK_S_OK;
}

static void unsupported_is_error(struct wrong_blk_request *request)
{
	if (*status_of(request) == VIRTIO_BLK_S_UNSUPP)
		*status_of(request) = VIRTIO_BLK_S_IOERR;
}

static void swallow_error(struct wrong_blk_request *request)
{
	if (*status_of(request) != VIRTIO_BLK_S_IOERR)
		return;
	*status_of(request) = VIRTIO_BLK_S_OK;
	*request->used_len = htole32(request->answer_size);
}

static void error_is_unsupported(struct wrong_blk_request *request)
{
	if (*status_of(request) == VIRTIO_BLK_S_IOERR)
		*status_of(request) = VIRTIO_BLK_S_UNSUPP;
}

static void forget_status(struct wrong_blk_request *request)
{
	if (*status_of(request) != VIRTIO_BLK_S_OK)
		*status_of(request) = 0xff;
}

static struct virtio_blk_discard_write_zeroes *segments_of(struct wrong_blk_request *request,
							   unsigned *count)
{
	bool has =
		request->type == VIRTIO_BLK_T_DISCARD || request->type == VIRTIO_BLK_T_WRITE_ZEROES;

	*count = has ? request->payload_size /
				 (uint32_t)sizeof(struct virtio_blk_discard_write_zeroes)
		     : 0;
	return (struct virtio_blk_discard_write_zeroes *)request->payload;
}

static void keep_flags(struct wrong_blk_request *request, uint32_t mask)
{
	unsigned count;
	struct virtio_blk_discard_write_zeroes *segments = segments_of(request, &count);

	for (unsigned i = 0; i < count; i++)
		segments[i].flags &= htole32(mask);
}

static void ignore_unmap(struct wrong_blk_request *request)
{
	keep_flags(request, ~1u);
}

static void ignore_reserved(struct wrong_blk_request *request)
{
	keep_flags(request, 1);
}

/* Only the flags of the first segment are looked at. */
static void ignore_later_flags(struct wrong_blk_request *request)
{
	unsigned count;
	struct virtio_blk_discard_write_zeroes *segments = segments_of(request, &count);

	for (unsigned i = 1; i < count; i++)
		segments[i].flags = 0;
}

static void shorten_last(struct wrong_blk_request *request)
{
	unsigned count;
	struct virtio_blk_discard_write_zeroes *segments = segments_of(request, &count);

	if (count > 1)
		segments[count - 1].num_sectors = 0;
}

static void widen(struct wrong_blk_request *request)
{
	unsigned count;
	struct virtio_blk_discard_write_zeroes *segments = segments_of(request, &count);

	if (count == 1)
		segments[0].num_sectors = htole32(le32toh(segments[0].num_sectors) + 1);
}

static bool no_writes(struct blk_io *io)
{
	return io->op != BLK_OP_WRITE;
}

static bool no_unmapping_zeroes(struct blk_io *io)
{
	return io->op != BLK_OP_WRITE_ZEROES || !(io->flags & BLK_IO_UNMAP);
}

static bool no_fua(struct blk_io *io)
{
	io->flags &= ~(unsigned)BLK_IO_FUA;
	return true;
}

static bool no_flush(struct blk_io *io)
{
	return io->op != BLK_OP_FLUSH;
}

/* The store does not get it at all: not even an error of it is seen. */
static bool no_reads(struct blk_io *io)
{
	return io->op != BLK_OP_READ;
}

/* writeback stays what it is, and says so. */
static int deaf_to_writeback(struct virtio_device *dev, uint32_t offset, const void *buf,
			     uint32_t size)
{
	(void)dev;
	(void)offset;
	(void)buf;
	(void)size;
	return 0;
}

static uint64_t offer_read_only(struct virtio_device *dev)
{
	struct virtio_device *inner = wrong_wrap_inner(dev);

	return inner->ops->features(inner) | VIRTIO_FEATURE(VIRTIO_BLK_F_RO);
}

static void pretend_read_only(struct wrong_blk_request *request)
{
	if (request->type == VIRTIO_BLK_T_OUT)
		*status_of(request) = VIRTIO_BLK_S_IOERR;
}

static enum virtio_progress lazy(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	(void)dev;
	(void)index;
	(void)budget;
	return VIRTIO_IDLE;
}

/* Says that it is read-only and that the write failed, and writes. */
static const struct wrong_bend liar = {
	.ops = {.features = offer_read_only, .progress = wrong_blk_progress},
	.how = &(const struct wrong_blk_hooks){.after = pretend_read_only},
};

const struct vqsim_wrong suite_wrong_blk[] = {
	{.test = "blk_status_is_last",
	 AFTER(status_first_in_last),
	 .clause = "BLK-DX-04",
	 .wrong = "status in the first byte of the last descriptor"},
	{.test = "blk_in_reads", AFTER(spoil_data), .clause = "BLK-DX-05", .wrong = "a wrong bit"},
	{.test = "blk_in_reads",
	 STORE(no_reads),
	 .clause = "BLK-DX-05",
	 .wrong = "nothing is read"},
	{.test = "blk_out_writes", STORE(no_writes), .clause = "BLK-DX-06", .wrong = "lost writes"},
	{.test = "blk_get_id", AFTER(end_id), .clause = "BLK-DX-07", .wrong = "NUL at the end"},
	{.test = "blk_get_id", AFTER(blank_id), .clause = "BLK-DX-07", .wrong = "padded by spaces"},
	{.test = "blk_unknown_types",
	 AFTER(swallow_unsupported),
	 .clause = "BLK-DX-09",
	 .wrong = "unknown types succeed"},
	{.test = "blk_unknown_types",
	 AFTER(unsupported_is_error),
	 .clause = "BLK-DX-09",
	 .wrong = "IOERR to unknown types"},
	{.test = "blk_impossible_requests",
	 AFTER(swallow_error),
	 .clause = "BLK-DX-10",
	 .wrong = "impossible requests succeed"},
	{.test = "blk_impossible_requests",
	 AFTER(error_is_unsupported),
	 .clause = "BLK-DX-10",
	 .wrong = "UNSUPP to impossible requests"},
	{.test = "blk_store_errors",
	 AFTER(error_is_unsupported),
	 .clause = "BLK-DX-10",
	 .wrong = "UNSUPP for a failed store"},
	{.test = "blk_all_are_answered",
	 AFTER(forget_status),
	 .clause = "BLK-DX-11",
	 .wrong = "no status in errors"},
	{.test = "blk_all_are_answered",
	 BENT(.progress = lazy),
	 .clause = "BLK-DX-11",
	 .wrong = "nothing is answered"},

	{.test = "blk_discard_flags",
	 BEFORE(ignore_reserved),
	 .clause = "BLK-D-09",
	 .wrong = "reserved flags ignored"},
	{.test = "blk_discard_flags",
	 BEFORE(ignore_unmap),
	 .clause = "BLK-D-12",
	 .wrong = "unmap ignored"},
	{.test = "blk_discard_flags",
	 BEFORE(ignore_later_flags),
	 .clause = "BLK-D-12",
	 .wrong = "flags of later segments ignored"},
	{.test = "blk_write_zeroes_flags",
	 BEFORE(ignore_reserved),
	 .clause = "BLK-D-11",
	 .wrong = "reserved flags ignored"},
	{.test = "blk_zeroes_read_as_zero",
	 STORE(no_unmapping_zeroes),
	 .clause = "BLK-D-15",
	 .wrong = "old bytes after unmap"},
	{.test = "blk_zeroes_read_as_zero",
	 BEFORE(widen),
	 .clause = "BLK-D-15",
	 .wrong = "a sector too much"},
	{.test = "blk_zeroes_all_segments",
	 BEFORE(shorten_last),
	 .clause = "BLK-DX-12",
	 .wrong = "the last segment is left out"},
	{.test = "blk_discards_all_segments",
	 BEFORE(shorten_last),
	 .clause = "BLK-DX-12",
	 .wrong = "the last segment is left out"},
	{.test = "blk_read_only",
	 AFTER(error_is_unsupported),
	 .clause = "BLK-D-07",
	 .wrong = "UNSUPP to OUT"},
	{.test = "blk_read_only",
	 .ops = &wrong_subject_writable,
	 .wrap_device = wrong_wrap_create,
	 .how = &liar,
	 .clause = "BLK-D-08",
	 .wrong = "writes although it says IOERR"},

	{.test = "blk_durable_without_cache",
	 STORE(no_fua),
	 .clause = "BLK-D-19",
	 .wrong = "writes stay in the cache"},
	{.test = "blk_durable_write_through",
	 STORE(no_fua),
	 .clause = "BLK-D-20",
	 .wrong = "writes stay in the cache"},
	{.test = "blk_durable_write_through",
	 BENT(.config_write = deaf_to_writeback),
	 .clause = "BLK-D-20",
	 .wrong = "writeback is not heard"},
	{.test = "blk_durable_flush_covers",
	 STORE(no_flush),
	 .clause = "BLK-D-21",
	 .wrong = "a flush that does nothing"},
	{.test = NULL},
};
