/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request is one blk_io that is submitted once for each part: the ranges of a
 * DISCARD or WRITE_ZEROES one after the other, a long transfer in pieces of the
 * store's transfer_max, everything else in one go. A part follows when the one
 * before it is done, so that a request has at most one operation in flight.
 *
 *   start -> prepare -> answered at once
 *               |
 *               v
 *              run -> submit ---- DONE ----> next part, or finish
 *               ^       |-------- QUEUED --> done() by poll: next part, or finish
 *               |       '-------- BUSY ----> busy list
 *               '---- retry <--------------------'
 *
 * What the driver wrote is copied once (header, ranges) and judged in the copy.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "request_internal.h"

#define HEADER_SIZE sizeof(struct virtio_blk_outhdr)
#define RANGE_SIZE  sizeof(struct virtio_blk_discard_write_zeroes)

/*
 * What prepare decided. The first three are the status that goes to the driver.
 */
enum verdict {
	ANSWER_OK = VIRTIO_BLK_S_OK,
	ANSWER_IOERR = VIRTIO_BLK_S_IOERR,
	ANSWER_UNSUPP = VIRTIO_BLK_S_UNSUPP,
	CARRY_OUT,
};

struct blk_request {
	struct blk_io io; /* first, so that done() finds the request */
	struct blk_requests *requests;
	struct virtqueue_chain *chain;
	struct blk_request *next_busy;
	uint32_t filled; /* bytes of writable data that success stores, from the first one on */
	uint16_t range_next;
	uint16_t range_count;
	struct iov_window
		rest; /* of the data, io.data included; size 0 in a transfer of one part */
};

/* 2.7.4.1: the framing is free, so the header need not fill a descriptor nor be in only one. */
static bool read_header(const struct virtqueue_chain *chain, struct virtio_blk_outhdr *header)
{
	if (chain->readable_size < HEADER_SIZE)
		return false;
	if (chain->iov[0].iov_len >= HEADER_SIZE) {
		memcpy(header, chain->iov[0].iov_base, HEADER_SIZE);
		/* The driver may change the original: the compiler must not go back to it. */
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	} else {
		struct iov_window window =
			iov_window(chain->iov, chain->readable_count, 0, HEADER_SIZE);

		iov_window_read(&window, header, HEADER_SIZE);
	}
	return true;
}

/* The readable bytes after the header. */
static struct iov_window readable_data(const struct virtqueue_chain *chain)
{
	size_t size = chain->readable_size - HEADER_SIZE;

	if (chain->iov[0].iov_len == HEADER_SIZE)
		return (struct iov_window){
			.iov = chain->iov + 1,
			.count = chain->readable_count - 1,
			.size = size,
		};
	return iov_window(chain->iov, chain->readable_count, HEADER_SIZE, size);
}

static const struct iovec *last_segment(const struct virtqueue_chain *chain)
{
	return &chain->iov[chain->readable_count + chain->writable_count - 1];
}

/* The writable bytes but the last, which is the status (5.2.6). */
static struct iov_window writable_data(const struct virtqueue_chain *chain)
{
	return (struct iov_window){
		.iov = chain->iov + chain->readable_count,
		.count = chain->writable_count - (last_segment(chain)->iov_len == 1),
		.size = chain->writable_size - 1,
	};
}

/* Sectors have 512 bytes whatever blk_size says (5.2.4); no sum here that could wrap. */
static bool range_on_disk(const struct blk_disk *disk, uint64_t sector, uint64_t sectors)
{
	uint64_t capacity = __atomic_load_n(&disk->capacity, __ATOMIC_RELAXED);
	uint32_t mask = disk->limits.block_size / BLK_SECTOR_SIZE - 1;

	return sector <= capacity && sectors <= capacity - sector &&
	       ((sector | sectors) & mask) == 0;
}

static bool window_aligned(const struct iov_window *window, uint32_t alignment)
{
	const struct iovec *iov = window->iov;
	size_t skip = window->skip;
	size_t left = window->size;
	uintptr_t bits = 0;

	for (; left > 0; iov++, skip = 0) {
		size_t size = iov->iov_len - skip;

		if (size > left)
			size = left;
		bits |= ((uintptr_t)iov->iov_base + skip) | size;
		left -= size;
	}
	return (bits & (alignment - 1)) == 0;
}

/*
 * Whether a write must be durable when it is used (5.2.6.2): unless FLUSH was
 * negotiated and the cache is in writeback mode at this moment.
 */
static unsigned write_flags(const struct blk_disk *disk)
{
	if (!disk->limits.volatile_cache)
		return 0;
	if (!(disk->features & VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH)))
		return BLK_IO_FUA;
	if (!(disk->features & VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE)))
		return 0;
	return __atomic_load_n(&disk->writeback, __ATOMIC_RELAXED) ? 0 : BLK_IO_FUA;
}

/* Cut the first piece for the store off a transfer; the rest, which includes it, is known. */
static void cut_piece(struct blk_request *request)
{
	size_t max = request->requests->disk->limits.transfer_max;
	size_t size = request->rest.size < max ? request->rest.size : max;

	request->io.data = iov_window_part(&request->rest, 0, size);
	request->io.size = size;
}

static enum verdict prepare_transfer(struct blk_request *request, uint64_t sector)
{
	const struct blk_limits *limits = &request->requests->disk->limits;
	struct blk_io *io = &request->io;
	size_t size = io->data.size;

	if (size % BLK_SECTOR_SIZE != 0 ||
	    !range_on_disk(request->requests->disk, sector, size / BLK_SECTOR_SIZE))
		return ANSWER_IOERR;
	if (limits->memory_alignment > 1 && !window_aligned(&io->data, limits->memory_alignment))
		return ANSWER_IOERR;
	if (size == 0)
		return ANSWER_OK;
	io->offset = sector * BLK_SECTOR_SIZE;
	io->size = size;
	if (limits->transfer_max != 0 && size > limits->transfer_max) {
		request->rest = io->data;
		cut_piece(request);
	}
	return CARRY_OUT;
}

static enum verdict prepare_in(struct blk_request *request, uint64_t sector)
{
	struct blk_io *io = &request->io;

	io->op = BLK_OP_READ;
	io->flags = 0;
	io->data = writable_data(request->chain);
	request->filled = io->data.size;
	return prepare_transfer(request, sector);
}

static enum verdict prepare_out(struct blk_request *request, uint64_t sector)
{
	struct blk_io *io = &request->io;

	if (request->requests->disk->read_only)
		return ANSWER_IOERR;
	io->op = BLK_OP_WRITE;
	io->flags = write_flags(request->requests->disk);
	io->data = readable_data(request->chain);
	return prepare_transfer(request, sector);
}

/* FLUSH is not refused to a driver that did not negotiate it: it harms nothing. */
static enum verdict prepare_flush(struct blk_request *request)
{
	struct blk_io *io = &request->io;

	io->op = BLK_OP_FLUSH;
	io->flags = 0;
	io->offset = 0;
	io->size = 0;
	io->data = (struct iov_window){0};
	return CARRY_OUT;
}

static enum verdict answer_id(struct blk_request *request)
{
	struct iov_window window = writable_data(request->chain);
	size_t size = window.size < BLK_ID_SIZE ? window.size : BLK_ID_SIZE;

	request->filled = iov_window_write(&window, request->requests->disk->id, size);
	return ANSWER_OK;
}

static struct virtio_blk_discard_write_zeroes *ranges_of(const struct blk_request *request)
{
	return &request->requests->ranges[request->chain->slot * BLK_DISCARD_SEGMENTS_MAX];
}

/*
 * All ranges are judged before the first is carried out. A flag that is not
 * known must be answered with UNSUPP (5.2.6.2), whatever else is wrong.
 */
static enum verdict check_ranges(const struct blk_disk *disk,
				 const struct virtio_blk_discard_write_zeroes *ranges,
				 unsigned count, uint32_t known_flags)
{
	bool good = !disk->read_only;

	for (unsigned i = 0; i < count; i++) {
		uint32_t sectors = le32toh(ranges[i].num_sectors);

		if ((le32toh(ranges[i].flags) & ~known_flags) != 0)
			return ANSWER_UNSUPP;
		if (sectors > BLK_RANGE_SECTORS_MAX ||
		    !range_on_disk(disk, le64toh(ranges[i].sector), sectors))
			good = false;
	}
	return good ? CARRY_OUT : ANSWER_IOERR;
}

/* Set the operation to the next range that is not empty; false: there is none. */
static bool next_range(struct blk_request *request)
{
	struct blk_io *io = &request->io;

	while (request->range_next < request->range_count) {
		const struct virtio_blk_discard_write_zeroes *range =
			&ranges_of(request)[request->range_next++];
		uint32_t sectors = le32toh(range->num_sectors);
		bool unmap = le32toh(range->flags) & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

		if (sectors == 0)
			continue;
		io->offset = le64toh(range->sector) * BLK_SECTOR_SIZE;
		io->size = (uint64_t)sectors * BLK_SECTOR_SIZE;
		io->flags = (io->flags & BLK_IO_FUA) | (unmap ? BLK_IO_UNMAP : 0);
		return true;
	}
	return false;
}

static enum verdict prepare_ranges(struct blk_request *request, enum blk_op op, int feature)
{
	const struct blk_disk *disk = request->requests->disk;
	struct iov_window window = readable_data(request->chain);
	size_t count = window.size / RANGE_SIZE;
	enum verdict verdict;

	if (!(disk->features & VIRTIO_FEATURE(feature)))
		return ANSWER_UNSUPP;
	if (window.size % RANGE_SIZE != 0 || count == 0 || count > BLK_DISCARD_SEGMENTS_MAX)
		return ANSWER_IOERR;
	iov_window_read(&window, ranges_of(request), window.size);
	/* unmap has a meaning in WRITE_ZEROES only (5.2.6.2). */
	verdict = check_ranges(disk, ranges_of(request), count,
			       op == BLK_OP_WRITE_ZEROES ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0);
	if (verdict != CARRY_OUT)
		return verdict;
	request->io.op = op;
	request->io.flags = write_flags(disk);
	request->io.data = (struct iov_window){0};
	request->range_count = count;
	return next_range(request) ? CARRY_OUT : ANSWER_OK;
}

/* Judge the request and set up its first operation. */
static enum verdict prepare(struct blk_request *request)
{
	struct virtio_blk_outhdr header;

	if (!read_header(request->chain, &header))
		return ANSWER_IOERR;
	switch (le32toh(header.type)) {
	case VIRTIO_BLK_T_IN:
		return prepare_in(request, le64toh(header.sector));
	case VIRTIO_BLK_T_OUT:
		return prepare_out(request, le64toh(header.sector));
	case VIRTIO_BLK_T_FLUSH:
		return prepare_flush(request);
	case VIRTIO_BLK_T_GET_ID:
		return answer_id(request);
	case VIRTIO_BLK_T_DISCARD:
		return prepare_ranges(request, BLK_OP_DISCARD, VIRTIO_BLK_F_DISCARD);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return prepare_ranges(request, BLK_OP_WRITE_ZEROES, VIRTIO_BLK_F_WRITE_ZEROES);
	default:
		return ANSWER_UNSUPP;
	}
}

/*
 * The status is one byte, the last writable one, written once. It counts into
 * the used length only if the data before it has no gap (2.7.8.2).
 */
static void finish(struct blk_request *request, uint8_t status)
{
	struct virtqueue_chain *chain = request->chain;
	const struct iovec *last = last_segment(chain);
	uint32_t written = status == VIRTIO_BLK_S_OK ? request->filled : 0;

	((uint8_t *)last->iov_base)[last->iov_len - 1] = status;
	if (written == chain->writable_size - 1)
		written++;
	virtqueue_push(request->requests->vq, chain, written);
}

/* A part is done: set up the one that follows. False: there is none, or this one failed. */
static bool next_part(struct blk_request *request)
{
	struct blk_io *io = &request->io;

	if (io->result != 0)
		return false;
	if (request->rest.size > io->size) {
		iov_window_advance(&request->rest, io->size);
		io->offset += io->size;
		cut_piece(request);
		return true;
	}
	return next_range(request);
}

/* The disk may have shrunk since the request was judged. */
static bool still_on_disk(const struct blk_request *request)
{
	const struct blk_io *io = &request->io;
	uint64_t capacity = __atomic_load_n(&request->requests->disk->capacity, __ATOMIC_RELAXED);

	return (io->offset + io->size) / BLK_SECTOR_SIZE <= capacity;
}

/* Submit part after part. False: the store was busy, and the present part was not taken. */
static bool run(struct blk_request *request)
{
	struct blk_store_queue *store_queue = request->requests->store_queue;

	do {
		if (!still_on_disk(request)) {
			request->io.result = -EIO;
			break;
		}
		switch (store_queue->store->ops->submit(store_queue, &request->io)) {
		case BLK_QUEUED:
			return true;
		case BLK_BUSY:
			return false;
		case BLK_SUBMITTED_DONE:
			break;
		}
	} while (next_part(request));
	finish(request, request->io.result == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
	return true;
}

static void wait_for_store(struct blk_request *request)
{
	struct blk_requests *requests = request->requests;

	request->next_busy = NULL;
	*requests->busy_end = request;
	requests->busy_end = &request->next_busy;
}

static void done(struct blk_io *io)
{
	struct blk_request *request = (struct blk_request *)io;

	if (!next_part(request))
		finish(request, io->result == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
	else if (!run(request))
		wait_for_store(request);
}

void blk_request_start(struct blk_requests *requests, struct virtqueue_chain *chain)
{
	struct blk_request *request = &requests->pool[chain->slot];
	enum verdict verdict;

	/* Nowhere to put a status: nothing is carried out that could not be reported. */
	if (chain->writable_size == 0) {
		virtqueue_push(requests->vq, chain, 0);
		return;
	}
	request->chain = chain;
	request->filled = 0;
	request->range_next = 0;
	request->range_count = 0;
	request->rest.size = 0;
	verdict = prepare(request);
	if (verdict != CARRY_OUT)
		finish(request, verdict);
	else if (!run(request))
		wait_for_store(request);
}

void blk_requests_retry(struct blk_requests *requests)
{
	while (requests->busy != NULL) {
		struct blk_request *request = requests->busy;
		struct blk_request *next = request->next_busy;

		if (!run(request))
			return;
		requests->busy = next;
	}
	requests->busy_end = &requests->busy;
}

static bool ranges_possible(const struct blk_disk *disk)
{
	return (disk->features & (VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) |
				  VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES))) != 0;
}

int blk_requests_init(struct blk_requests *requests, uint16_t size)
{
	requests->busy = NULL;
	requests->busy_end = &requests->busy;
	requests->ranges = NULL;
	requests->pool = calloc(size, sizeof(*requests->pool));
	if (requests->pool == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < size; i++) {
		requests->pool[i].requests = requests;
		requests->pool[i].io.done = done;
	}
	if (!ranges_possible(requests->disk))
		return 0;
	requests->ranges = calloc(size, BLK_DISCARD_SEGMENTS_MAX * RANGE_SIZE);
	if (requests->ranges == NULL) {
		blk_requests_finish(requests);
		return -ENOMEM;
	}
	return 0;
}

void blk_requests_finish(struct blk_requests *requests)
{
	free(requests->ranges);
	free(requests->pool);
	requests->ranges = NULL;
	requests->pool = NULL;
	requests->busy = NULL;
}
