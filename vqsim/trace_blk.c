/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The requests of VQSIM_OP_BLK, made with the block driver and its model disk.
 *
 * They never share the rings with the chains of VQSIM_OP_CHAIN, of which only the
 * referee's part is known: such a chain waits until the requests are back, and a
 * request until the chains are (player_clean). While chains are out the model
 * sees a write to all of the disk that never succeeds.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace_internal.h"
#include "../devices/blk/blk.h"

/* Room for data. A sector more than a page would cost memory that is zeroed for each run. */
#define DATA_ROOM 2048u

static const uint32_t types[VQSIM_BLK_KIND_COUNT] = {
	[VQSIM_BLK_IN] = VIRTIO_BLK_T_IN,
	[VQSIM_BLK_OUT] = VIRTIO_BLK_T_OUT,
	[VQSIM_BLK_FLUSH] = VIRTIO_BLK_T_FLUSH,
	[VQSIM_BLK_GET_ID] = VIRTIO_BLK_T_GET_ID,
	[VQSIM_BLK_DISCARD] = VIRTIO_BLK_T_DISCARD,
	[VQSIM_BLK_WRITE_ZEROES] = VIRTIO_BLK_T_WRITE_ZEROES,
	[VQSIM_BLK_UNKNOWN] = 0x7f,
};

/* The player's own requests go past what makes the store fail. */
static struct blk_store *plain_store(const struct vqsim_player *player)
{
	return player->faults ? player->faults->inner : player->store;
}

int player_blk_init(struct vqsim_player *player)
{
	struct blk_store *store = plain_store(player);
	struct blk_limits limits;
	int error;

	player->store->ops->limits(player->store, &limits);
	player->sectors = limits.size / VQSIM_DISK_SECTOR;
	error = vqsim_disk_init(&player->disk, &player->referee, limits.size);
	if (error)
		return error;
	player->zeroes = calloc(1, limits.size);
	player->store_queue = store->ops->queue_open(store, 1);
	return player->zeroes && player->store_queue ? 0 : -ENOMEM;
}

void player_blk_finish(struct vqsim_player *player)
{
	if (player->store_queue)
		plain_store(player)->ops->queue_close(player->store_queue);
	if (player->disk.now)
		vqsim_disk_finish(&player->disk);
	free(player->zeroes);
}

static void store_resize(struct vqsim_player *player, uint64_t sectors)
{
	struct blk_limits limits;

	player->store->ops->limits(player->store, &limits);
	if (limits.size == sectors * VQSIM_DISK_SECTOR)
		return;
	if (player->store->ops->resize(player->store, sectors * VQSIM_DISK_SECTOR) == 0)
		blk_capacity_changed(player->guest.link.device);
}

static void store_zero(struct vqsim_player *player)
{
	struct iovec iov = {player->zeroes, player->sectors * VQSIM_DISK_SECTOR};
	struct blk_io io = {
		.op = BLK_OP_WRITE,
		.size = iov.iov_len,
		.data = {.iov = &iov, .count = 1, .size = iov.iov_len},
	};

	plain_store(player)->ops->submit(player->store_queue, &io);
}

/* The disk as it was made: its size, zeroed, and known to be. */
void player_blk_start_run(struct vqsim_player *player)
{
	store_resize(player, player->sectors);
	store_zero(player);
	vqsim_disk_know(&player->disk, 0, NULL, player->sectors * VQSIM_DISK_SECTOR);
	player->pattern = 0;
}

void player_blk_up(struct vqsim_player *player)
{
	vqsim_blk_init(&player->blk, &player->guest, &player->disk);
}

/* The room for the answer is the driver's again when the queue is reset (2.6.1). */
static void check_lost(struct vqsim_player *player, struct vqsim_player_request *r)
{
	uint32_t good = 0;

	while (r->lost && !player->dirty && good <= DATA_ROOM &&
	       r->request.in_data[good] == PLAYER_LOST)
		good++;
	if (r->lost && !player->dirty && good <= DATA_ROOM)
		vqsim_referee_violation(&player->referee, VQSIM_RULE_QUEUE_RESET_USED,
					r->request.queue,
					"byte %u of an answer was written after the reset of its "
					"queue",
					good);
	r->lost = false;
}

void player_blk_forget(struct vqsim_player *player)
{
	for (unsigned i = 0; i < VQSIM_PLAYER_REQUESTS; i++) {
		struct vqsim_player_request *r = &player->requests[i];

		check_lost(player, r);
		player->errors_unknown |= r->busy;
		if (r->ready)
			vqsim_blk_request_finish(&r->request);
		r->ready = r->busy = false;
	}
	player_blk_unspoil(player);
}

void player_blk_lose(struct vqsim_player *player, uint16_t queue)
{
	for (unsigned i = 0; i < VQSIM_PLAYER_REQUESTS; i++) {
		struct vqsim_player_request *r = &player->requests[i];

		if (!r->busy || r->request.queue != queue)
			continue;
		vqsim_blk_request_lose(&r->request);
		memset(r->request.in_data, PLAYER_LOST, DATA_ROOM + 1);
		r->busy = false;
		r->lost = true;
		player->errors_unknown = true;
	}
}

static struct vqsim_player_request *request_find(struct vqsim_player *player)
{
	for (unsigned i = 0; i < VQSIM_PLAYER_REQUESTS; i++) {
		struct vqsim_player_request *r = &player->requests[i];

		if (r->busy)
			continue;
		check_lost(player, r);
		if (!r->ready && vqsim_blk_request_init(&player->blk, &r->request, DATA_ROOM) < 0)
			return NULL;
		r->ready = true;
		return r;
	}
	return NULL;
}

/* Cut total bytes evenly into count pieces. Returns the number of cuts. */
static uint16_t cut(uint32_t *cuts, unsigned count, uint32_t total)
{
	if (count > VQSIM_PLAYER_CUTS)
		count = VQSIM_PLAYER_CUTS;
	for (unsigned i = 0; i + 1 < count; i++)
		cuts[i] = total / count;
	return (uint16_t)(count - 1);
}

static void frame(struct vqsim_player_request *r, const struct vqsim_op *op, bool send)
{
	struct vqsim_blk_request *request = &r->request;
	uint32_t size = request->data_size;

	request->readable_cuts = op->readable ? r->readable_cuts : NULL;
	request->writable_cuts = op->writable ? r->writable_cuts : NULL;
	if (op->readable)
		request->readable_cut_count =
			cut(r->readable_cuts, op->readable, 16 + (send ? size : 0));
	if (op->writable)
		request->writable_cut_count =
			cut(r->writable_cuts, op->writable, 1 + (send ? 0 : size));
	request->indirect = op->layout % VQSIM_LAYOUT_COUNT != VQSIM_DIRECT;
	request->direct = op->layout % VQSIM_LAYOUT_COUNT == VQSIM_MIXED;
}

static void fill_pattern(struct vqsim_player *player, struct vqsim_blk_request *request)
{
	player->pattern += 37;
	for (uint32_t i = 0; i < request->data_size; i++)
		request->out_data[i] = (uint8_t)(player->pattern + i + i / 256 * 3);
}

static void fill_segments(struct vqsim_blk_request *request, const struct vqsim_op *op)
{
	for (uint32_t i = 0; i + 16 <= request->data_size; i += 16) {
		struct virtio_blk_discard_write_zeroes segment = {
			.sector = htole64(op->value + i / 16 * (uint64_t)op->count),
			.num_sectors = htole32(op->count),
			.flags = htole32(op->at),
		};

		memcpy(request->out_data + i, &segment, sizeof(segment));
	}
}

static bool on_disk(const struct vqsim_player *player, uint64_t sector, uint64_t count)
{
	uint64_t capacity = player->blk.capacity;

	return sector <= capacity && count <= capacity - sector;
}

static enum vqsim_player_answer transfer_answer(const struct vqsim_player *player,
						const struct vqsim_blk_request *request)
{
	uint32_t size = request->data_size;

	if (size % VQSIM_DISK_SECTOR != 0)
		return VQSIM_ANSWER_FAIL;
	if (size == 0)
		return VQSIM_ANSWER_ANY;
	return on_disk(player, request->sector, size / VQSIM_DISK_SECTOR) ? VQSIM_ANSWER_OK
									  : VQSIM_ANSWER_FAIL;
}

/* 5.2.6.2; flags that are not known come before all that is wrong with the ranges. */
static enum vqsim_player_answer ranges_answer(const struct vqsim_player *player,
					      const struct vqsim_blk_request *request,
					      const struct vqsim_op *op)
{
	bool zeroes = request->type == VIRTIO_BLK_T_WRITE_ZEROES;
	unsigned feature = zeroes ? VIRTIO_BLK_F_WRITE_ZEROES : VIRTIO_BLK_F_DISCARD;
	uint32_t count = request->data_size / 16;
	uint8_t known = zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;

	if (!(player->guest.features & VIRTIO_FEATURE(feature)))
		return VQSIM_ANSWER_UNSUPP;
	if (request->data_size % 16 != 0 || count == 0 || count > BLK_DISCARD_SEGMENTS_MAX)
		return VQSIM_ANSWER_FAIL;
	if (op->at & ~known)
		return VQSIM_ANSWER_UNSUPP;
	for (uint32_t i = 0; i < count; i++)
		if (!on_disk(player, op->value + i * (uint64_t)op->count, op->count))
			return VQSIM_ANSWER_FAIL;
	return VQSIM_ANSWER_OK;
}

/* What a device must answer, unless its store fails. */
static enum vqsim_player_answer answer_of(const struct vqsim_player *player,
					  const struct vqsim_blk_request *request,
					  const struct vqsim_op *op)
{
	switch (request->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return transfer_answer(player, request);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return ranges_answer(player, request, op);
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_GET_ID:
		return VQSIM_ANSWER_OK;
	default:
		return VQSIM_ANSWER_UNSUPP;
	}
}

/* An operation of the store fails one request, at most. */
static bool store_failed(struct vqsim_player *player, const struct vqsim_player_request *r)
{
	if (!player->faults || r->request.status != VIRTIO_BLK_S_IOERR)
		return false;
	return ++player->errors <= player->faults->failed - player->failures_known;
}

void player_blk_account(struct vqsim_player *player)
{
	uint32_t failed;

	if (!player->faults || player_blk_busy(player))
		return;
	failed = player->faults->failed - player->failures_known;
	if (!player->errors_unknown && !player->raw && player->errors != failed)
		vqsim_referee_violation(&player->referee, VQSIM_RULE_STATUS, 0,
					"%u operations of the store failed, and %u requests were "
					"answered with IOERR",
					failed, player->errors);
	player->failures_known = player->faults->failed;
	player->errors = 0;
	player->errors_unknown = player->raw;
}

static void check_answer(struct vqsim_player *player, const struct vqsim_player_request *r)
{
	bool ok = r->request.status == VIRTIO_BLK_S_OK;
	bool right = r->answer == VQSIM_ANSWER_ANY;

	right |= r->answer == VQSIM_ANSWER_OK && (ok || store_failed(player, r));
	right |= r->answer == VQSIM_ANSWER_FAIL && !ok;
	right |= r->answer == VQSIM_ANSWER_UNSUPP && r->request.status == VIRTIO_BLK_S_UNSUPP;
	if (!right)
		vqsim_referee_violation(&player->referee, VQSIM_RULE_STATUS, 0,
					"type %u, sector %llu, %u bytes: status %u",
					r->request.type, (unsigned long long)r->request.sector,
					r->request.data_size, r->request.status);
}

struct vqsim_player_request *player_blk_add(struct vqsim_player *player, const struct vqsim_op *op)
{
	enum vqsim_blk_kind kind = op->what % VQSIM_BLK_KIND_COUNT;
	struct vqsim_player_request *r = request_find(player);
	bool ranges = kind == VQSIM_BLK_DISCARD || kind == VQSIM_BLK_WRITE_ZEROES;

	if (!r)
		return NULL;
	r->request.type = types[kind];
	r->request.sector = ranges ? 0 : op->value;
	r->request.data_size = op->size % (DATA_ROOM + 1);
	if (kind == VQSIM_BLK_FLUSH)
		r->request.data_size = 0;
	/* Odd types send (guest_blk.h), and so do both kinds of ranges. */
	frame(r, op, types[kind] & VIRTIO_BLK_T_OUT);
	if (ranges)
		fill_segments(&r->request, op);
	else if (types[kind] & VIRTIO_BLK_T_OUT)
		fill_pattern(player, &r->request);
	if (vqsim_blk_submit(&player->blk, op->queue, &r->request) < 0)
		return NULL;
	r->busy = true;
	r->answer = answer_of(player, &r->request, op);
	return r;
}

void player_blk_reap(struct vqsim_player *player, uint16_t queue)
{
	struct vqsim_blk_request *request;

	while ((request = vqsim_blk_reap(&player->blk, queue)) != NULL) {
		struct vqsim_player_request *r = (struct vqsim_player_request *)request;

		check_answer(player, r);
		r->busy = false;
		player->counts.completed++;
	}
}

bool player_blk_busy(const struct vqsim_player *player)
{
	for (unsigned i = 0; i < VQSIM_PLAYER_REQUESTS; i++)
		if (player->requests[i].busy)
			return true;
	return false;
}

void player_blk_spoil(struct vqsim_player *player)
{
	if (player->raw)
		return;
	player->raw = true;
	player->spoiled = (struct vqsim_disk_request){
		.op = VQSIM_DISK_WRITE,
		.count = player->disk.sectors,
		.data = player->zeroes,
	};
	player->errors_unknown = true;
	vqsim_disk_start(&player->disk, &player->spoiled);
}

void player_blk_unspoil(struct vqsim_player *player)
{
	if (player->raw)
		vqsim_disk_done(&player->disk, &player->spoiled, false, 0);
	player->raw = false;
}

/* What a smaller disk lost need not come back with a larger one. */
void player_blk_capacity(struct vqsim_player *player, uint64_t sectors)
{
	player_settle(player);
	if (player_blk_busy(player) || player->raw || !player->store->ops->resize)
		return;
	player_blk_spoil(player);
	store_resize(player, 1 + sectors % player->sectors);
	player_blk_unspoil(player);
	vqsim_blk_reread(&player->blk);
}

void player_blk_writeback(struct vqsim_player *player, bool writeback)
{
	vqsim_blk_set_writeback(&player->blk, writeback);
}
