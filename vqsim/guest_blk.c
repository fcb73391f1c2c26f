/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request is two runs of bytes, each one piece of guest memory with canaries:
 *
 *     out_gpa  | header: 16 | data of OUT, segments ........ |
 *     in_gpa   | data of IN, GET_ID ... | status | slack ... |
 *
 * Any cut of the runs into descriptors is a legal framing (2.7.4.1). What follows
 * the status in its piece belongs to larger requests and must stay as it is.
 *
 * Everything the driver does for the referee's sake alone (prefill, hash, checks)
 * is left out when nobody watches, so that it does not show in measurements.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "guest_blk.h"
#include "misuse_internal.h"
#include "referee/lifecycle.h"

#define HEADER_SIZE  16u
#define SEGMENT_SIZE 16u
#define ID_SIZE      20u

/* Descriptors of one request, in the ring or in a table. */
#define ELEMENTS_MAX 256u

/* Segments that the model follows one by one. */
#define SEGMENTS_MODELLED 32u

/* How far from the end of what was claimed or exposed untouched bytes are looked for. */
#define PROBE_SIZE 16u

/* Not in linux/virtio_blk.h of every age. */
#define F_ZONED         17
#define STATUS_ZONE_MAX 6u

/* Config space is not read for ever from a device that changes it all the time. */
#define CONFIG_TRIES_MAX 1000u

/* A device that waits through more rounds than this has lost the request. */
#define ROUNDS_MAX 1000000u

static bool negotiated(const struct vqsim_blk *blk, unsigned bit)
{
	return blk->guest->features & VIRTIO_FEATURE(bit);
}

static bool offered(const struct vqsim_blk *blk, unsigned bit)
{
	return virtio_transport_features(&blk->guest->link.transport) & VIRTIO_FEATURE(bit);
}

static bool writeback_read(struct vqsim_blk *blk)
{
	uint8_t writeback = 1;

	virtio_transport_config_read(&blk->guest->link.transport,
				     offsetof(struct virtio_blk_config, wce), &writeback, 1);
	return writeback;
}

/*
 * When a completed write is durable (5.2.6.2). A device that does not offer FLUSH
 * promises nothing.
 */
static bool write_through(struct vqsim_blk *blk)
{
	if (negotiated(blk, VIRTIO_BLK_F_CONFIG_WCE))
		return !writeback_read(blk);
	return !negotiated(blk, VIRTIO_BLK_F_FLUSH) && offered(blk, VIRTIO_BLK_F_FLUSH);
}

void vqsim_blk_init(struct vqsim_blk *blk, struct vqsim_guest *guest, struct vqsim_disk *disk)
{
	memset(blk, 0, sizeof(*blk));
	blk->guest = guest;
	blk->disk = disk;
	blk->write_through = write_through(blk);
	vqsim_blk_reread(blk);
}

static void tell_capacity(const struct vqsim_blk *blk, uint32_t offset, uint32_t generation)
{
	uint64_t capacity = htole64(blk->capacity);

	vqsim_referee_config_read(blk->guest->referee, offset, &capacity, sizeof(capacity),
				  generation, blk->guest->link.config_notifications);
}

void vqsim_blk_reread(struct vqsim_blk *blk)
{
	struct virtio_transport *transport = &blk->guest->link.transport;
	uint32_t offset = offsetof(struct virtio_blk_config, capacity);
	uint32_t before, low = 0, high = 0;
	unsigned tries = 0;

	/* 2.5.1: no read wider than 32 bits is atomic, so both halves under one generation. */
	do {
		before = virtio_transport_config_generation(transport);
		virtio_transport_config_read(transport, offset, &low, sizeof(low));
		virtio_transport_config_read(transport, offset + 4, &high, sizeof(high));
	} while (before != virtio_transport_config_generation(transport) &&
		 ++tries < CONFIG_TRIES_MAX);
	blk->capacity = (uint64_t)le32toh(high) << 32 | le32toh(low);
	if (blk->guest->referee && tries < CONFIG_TRIES_MAX)
		tell_capacity(blk, offset, before);
}

int vqsim_blk_set_writeback(struct vqsim_blk *blk, bool writeback)
{
	uint8_t value = writeback;
	int error = virtio_transport_config_write(&blk->guest->link.transport,
						  offsetof(struct virtio_blk_config, wce), &value,
						  sizeof(value));

	if (error == 0)
		blk->write_through = !writeback;
	return error;
}

static void request_place(struct vqsim_memory *memory, struct vqsim_blk_request *request,
			  bool table)
{
	uint32_t room = request->data_room;

	request->out_gpa = vqsim_memory_alloc(memory, (uint64_t)HEADER_SIZE + room, 16);
	request->in_gpa = vqsim_memory_alloc(memory, (uint64_t)room + 1, room < 512 ? 16 : 512);
	if (table)
		request->table_gpa =
			vqsim_memory_alloc(memory, ELEMENTS_MAX * sizeof(struct vring_desc), 16);
	request->out_data =
		(uint8_t *)vqsim_memory_at(memory, request->out_gpa, (uint64_t)HEADER_SIZE + room) +
		HEADER_SIZE;
	request->in_data = vqsim_memory_at(memory, request->in_gpa, (uint64_t)room + 1);
}

int vqsim_blk_request_init(struct vqsim_blk *blk, struct vqsim_blk_request *request,
			   uint32_t data_room)
{
	uint32_t segments = data_room / SEGMENT_SIZE;

	if (data_room > UINT32_MAX - HEADER_SIZE)
		vqsim_misuse(__func__, "%" PRIu32 " bytes do not fit in one chain", data_room);
	memset(request, 0, sizeof(*request));
	if (segments > SEGMENTS_MODELLED)
		segments = SEGMENTS_MODELLED;
	request->model_room = (uint16_t)(segments ? segments : 1);
	request->models = calloc(request->model_room, sizeof(*request->models));
	request->elements = calloc(ELEMENTS_MAX, sizeof(*request->elements));
	if (!request->models || !request->elements) {
		vqsim_blk_request_finish(request);
		return -ENOMEM;
	}
	request->data_room = data_room;
	request_place(blk->guest->memory, request, negotiated(blk, VIRTIO_RING_F_INDIRECT_DESC));
	return 0;
}

static void models_done(struct vqsim_blk_request *request, bool ok)
{
	for (uint16_t i = 0; i < request->model_count; i++)
		vqsim_disk_done(request->blk->disk, &request->models[i], ok, request->queue);
	request->model_count = 0;
}

void vqsim_blk_request_lose(struct vqsim_blk_request *request)
{
	models_done(request, false);
	request->blk = NULL;
}

void vqsim_blk_request_finish(struct vqsim_blk_request *request)
{
	vqsim_blk_request_lose(request);
	free(request->models);
	free(request->elements);
	request->models = NULL;
	request->elements = NULL;
}

/* In the direction of its type; of types that nobody defined the odd ones send, as OUT does. */
static bool data_is_readable(const struct vqsim_blk_request *request)
{
	return (request->type & VIRTIO_BLK_T_OUT) || request->type == VIRTIO_BLK_T_SECURE_ERASE;
}

static uint32_t readable_data(const struct vqsim_blk_request *request)
{
	return data_is_readable(request) ? request->data_size : 0;
}

static uint32_t writable_data(const struct vqsim_blk_request *request)
{
	return data_is_readable(request) ? 0 : request->data_size;
}

static struct virtio_blk_outhdr header_of(const struct vqsim_blk_request *request)
{
	return (struct virtio_blk_outhdr){
		.type = htole32(request->type),
		.sector = htole64(request->sector),
	};
}

/* Bytes behind the status that are looked at: within the piece, up to its canary. */
static uint32_t slack_size(const struct vqsim_blk_request *request)
{
	uint32_t slack = request->data_room - writable_data(request);

	return slack < PROBE_SIZE ? slack : PROBE_SIZE;
}

static uint64_t hash(const uint8_t *data, uint32_t size)
{
	uint64_t sum = size, word;

	for (; size >= sizeof(word); size -= sizeof(word), data += sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		sum ^= sum >> 29;
	}
	for (; size > 0; size--)
		sum = (sum ^ *data++) * UINT64_C(0x9e3779b97f4a7c15);
	return sum;
}

/* referee may be NULL. */
static void buffers_prepare(struct vqsim_blk_request *request, const struct vqsim_referee *referee)
{
	struct virtio_blk_outhdr header = header_of(request);
	uint32_t status_at = writable_data(request);

	memcpy(request->out_data - HEADER_SIZE, &header, HEADER_SIZE);
	if (referee) {
		memset(request->in_data, referee->prefill, status_at + 1 + slack_size(request));
		request->out_hash = hash(request->out_data, readable_data(request));
	}
	request->in_data[status_at] = VQSIM_BLK_STATUS_UNSET;
}

static unsigned elements_cut(struct vqsim_blk_request *request)
{
	uint32_t readable_default = HEADER_SIZE, writable_default = writable_data(request);
	const uint32_t *cuts = request->readable_cuts;
	unsigned cut_count = request->readable_cut_count, count;

	if (!cuts) {
		cuts = &readable_default;
		cut_count = 1;
	}
	count = vqsim_chain_cut(request->elements, ELEMENTS_MAX, request->out_gpa,
				HEADER_SIZE + readable_data(request), false, cuts, cut_count);
	cuts = request->writable_cuts;
	cut_count = request->writable_cut_count;
	if (!cuts) {
		cuts = &writable_default;
		cut_count = writable_default > 0;
	}
	return count + vqsim_chain_cut(request->elements + count, ELEMENTS_MAX - count,
				       request->in_gpa, writable_data(request) + 1, true, cuts,
				       cut_count);
}

static struct vqsim_chain chain_of(const struct vqsim_blk *blk, struct vqsim_blk_request *request)
{
	bool packed = blk->guest->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	uint16_t count = (uint16_t)elements_cut(request);
	uint16_t direct = packed ? 0 : request->direct;
	bool indirect = request->indirect && request->table_gpa && direct < count;

	return (struct vqsim_chain){
		.elements = request->elements,
		.count = count,
		.direct = indirect ? direct : count,
		.table_gpa = request->table_gpa,
	};
}

/*
 * A range outside the disk is not told to the model: whatever the device answers,
 * the data must stay as it is.
 */
static void model_start(struct vqsim_blk_request *request, enum vqsim_disk_op op, uint64_t sector,
			uint64_t count)
{
	struct vqsim_disk *disk = request->blk->disk;
	struct vqsim_disk_request *model = &request->models[request->model_count];
	bool inside = sector <= disk->sectors && count <= disk->sectors - sector;

	if (!inside || (count == 0 && op != VQSIM_DISK_FLUSH))
		return;
	*model = (struct vqsim_disk_request){
		.op = op,
		.sector = sector,
		.count = count,
		.data = op == VQSIM_DISK_READ ? request->in_data : request->out_data,
		.fua = request->blk->write_through,
	};
	request->model_count++;
	vqsim_disk_start(disk, model);
}

static struct virtio_blk_discard_write_zeroes segment_at(const struct vqsim_blk_request *request,
							 uint32_t index)
{
	struct virtio_blk_discard_write_zeroes segment;

	memcpy(&segment, request->out_data + index * SEGMENT_SIZE, sizeof(segment));
	segment.sector = le64toh(segment.sector);
	segment.num_sectors = le32toh(segment.num_sectors);
	return segment;
}

/* More segments than the model follows: all of the disk may be something else afterwards. */
static void model_start_segments(struct vqsim_blk_request *request, enum vqsim_disk_op op)
{
	uint32_t count = request->data_size / SEGMENT_SIZE;

	if (request->data_size % SEGMENT_SIZE)
		return;
	if (count > request->model_room) {
		model_start(request, VQSIM_DISK_DISCARD, 0, request->blk->disk->sectors);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct virtio_blk_discard_write_zeroes segment = segment_at(request, i);

		model_start(request, op, segment.sector, segment.num_sectors);
	}
}

/* What cannot succeed (no whole sectors, a read-only disk) must change nothing: not told. */
static void models_start(struct vqsim_blk_request *request)
{
	uint64_t sectors = request->data_size / VQSIM_DISK_SECTOR;
	bool whole = request->data_size % VQSIM_DISK_SECTOR == 0;
	bool read_only = offered(request->blk, VIRTIO_BLK_F_RO);

	if (request->type == VIRTIO_BLK_T_IN && whole)
		model_start(request, VQSIM_DISK_READ, request->sector, sectors);
	if (request->type == VIRTIO_BLK_T_FLUSH && negotiated(request->blk, VIRTIO_BLK_F_FLUSH))
		model_start(request, VQSIM_DISK_FLUSH, 0, 0);
	if (read_only)
		return;
	if (request->type == VIRTIO_BLK_T_OUT && whole)
		model_start(request, VQSIM_DISK_WRITE, request->sector, sectors);
	if (request->type == VIRTIO_BLK_T_WRITE_ZEROES)
		model_start_segments(request, VQSIM_DISK_WRITE_ZEROES);
	if (request->type == VIRTIO_BLK_T_DISCARD || request->type == VIRTIO_BLK_T_SECURE_ERASE)
		model_start_segments(request, VQSIM_DISK_DISCARD);
}

int vqsim_blk_submit(struct vqsim_blk *blk, uint16_t queue, struct vqsim_blk_request *request)
{
	struct vqsim_chain chain;
	int head;

	if (request->blk)
		vqsim_misuse(__func__, "the request is in flight");
	if (request->data_size > request->data_room)
		vqsim_misuse(__func__, "%" PRIu32 " bytes of data, but room for %" PRIu32,
			     request->data_size, request->data_room);
	chain = chain_of(blk, request);
	buffers_prepare(request, blk->guest->referee);
	head = vqsim_guest_add(blk->guest, queue, &chain, request);
	if (head < 0)
		return -1;
	request->blk = blk;
	request->queue = queue;
	request->done = false;
	if (blk->disk)
		models_start(request);
	return head;
}

static bool is_prefill(const struct vqsim_referee *referee, const uint8_t *data, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		if (data[i] != referee->prefill)
			return false;
	return true;
}

static void check_status(const struct vqsim_blk_request *request, struct vqsim_referee *referee)
{
	bool zoned = negotiated(request->blk, F_ZONED);
	unsigned max = zoned ? STATUS_ZONE_MAX : VIRTIO_BLK_S_UNSUPP;

	if (request->status > max)
		vqsim_referee_violation(referee, VQSIM_RULE_STATUS, request->queue,
					"type %" PRIu32 " at sector %" PRIu64
					" was used with status %u",
					request->type, request->sector, request->status);
}

/* The used length that a request of known status must have; *other is allowed too. */
static uint32_t len_exact(const struct vqsim_blk_request *request, uint32_t *other)
{
	uint32_t all = writable_data(request) + 1;

	*other = all;
	/* Between the id and the status of an oversized buffer is a gap, and 2.7.8.2 counts none. */
	if (request->type == VIRTIO_BLK_T_GET_ID && request->data_size > ID_SIZE)
		return ID_SIZE;
	return all;
}

/* A failed request may have written any prefix of its data, but must not claim an untouched one. */
static void check_len_failed(const struct vqsim_blk_request *request, struct vqsim_referee *referee)
{
	uint32_t data = writable_data(request);
	uint32_t claimed = request->used_len < data ? request->used_len : data;
	uint32_t probe = claimed < PROBE_SIZE ? claimed : PROBE_SIZE;

	if (probe && is_prefill(referee, request->in_data + claimed - probe, probe))
		vqsim_referee_violation(referee, VQSIM_RULE_USED_LEN, request->queue,
					"status %u with length %" PRIu32 ", but byte %" PRIu32
					" was not written",
					request->status, request->used_len, claimed - 1);
}

static void check_len(const struct vqsim_blk_request *request, struct vqsim_referee *referee)
{
	uint32_t other, exact = len_exact(request, &other);

	if (request->status == VQSIM_BLK_STATUS_UNSET)
		return;
	if (request->status != VIRTIO_BLK_S_OK && writable_data(request) > 0) {
		check_len_failed(request, referee);
		return;
	}
	if (request->used_len != exact && request->used_len != other)
		vqsim_referee_violation(referee, VQSIM_RULE_USED_LEN_EXACT, request->queue,
					"type %" PRIu32 " with %" PRIu32 " bytes: length %" PRIu32
					" and not %" PRIu32,
					request->type, request->data_size, request->used_len,
					exact);
}

static void check_piece(const struct vqsim_blk_request *request, struct vqsim_referee *referee,
			uint64_t gpa, uint64_t size)
{
	uint64_t bad = 0;

	if (!vqsim_memory_canary_intact(referee->memory, gpa, size, &bad))
		vqsim_referee_violation(referee, VQSIM_RULE_FOOTPRINT, request->queue,
					"0x%" PRIx64 " was written, beside [0x%" PRIx64
					", 0x%" PRIx64 ")",
					bad, gpa, gpa + size);
}

static void check_footprint(const struct vqsim_blk_request *request, struct vqsim_referee *referee)
{
	uint32_t end = writable_data(request) + 1;

	check_piece(request, referee, request->out_gpa, (uint64_t)HEADER_SIZE + request->data_room);
	check_piece(request, referee, request->in_gpa, (uint64_t)request->data_room + 1);
	if (!is_prefill(referee, request->in_data + end, slack_size(request)))
		vqsim_referee_violation(referee, VQSIM_RULE_FOOTPRINT, request->queue,
					"bytes were written behind the status at 0x%" PRIx64,
					request->in_gpa + end - 1);
}

static void check_readable(const struct vqsim_blk_request *request, struct vqsim_referee *referee)
{
	struct virtio_blk_outhdr header = header_of(request);

	if (memcmp(request->out_data - HEADER_SIZE, &header, HEADER_SIZE) != 0)
		vqsim_referee_violation(referee, VQSIM_RULE_READABLE_WRITTEN, request->queue,
					"the header at 0x%" PRIx64 " changed", request->out_gpa);
	if (hash(request->out_data, readable_data(request)) != request->out_hash)
		vqsim_referee_violation(referee, VQSIM_RULE_READABLE_WRITTEN, request->queue,
					"the data behind the header at 0x%" PRIx64 " changed",
					request->out_gpa);
}

static void check_answer(const struct vqsim_blk_request *request, struct vqsim_referee *referee)
{
	check_status(request, referee);
	check_len(request, referee);
	check_footprint(request, referee);
	check_readable(request, referee);
}

static void account(struct vqsim_blk *blk, const struct vqsim_blk_request *request)
{
	blk->requests++;
	if (request->status != VIRTIO_BLK_S_OK)
		blk->errors++;
	else if (request->type == VIRTIO_BLK_T_IN || request->type == VIRTIO_BLK_T_OUT)
		blk->bytes += request->data_size;
}

static void complete(struct vqsim_blk *blk, struct vqsim_blk_request *request, uint32_t len)
{
	request->used_len = len;
	request->status = request->in_data[writable_data(request)];
	request->done = true;
	if (blk->guest->referee)
		check_answer(request, blk->guest->referee);
	models_done(request, request->status == VIRTIO_BLK_S_OK);
	request->blk = NULL;
	account(blk, request);
}

/* A request that an IN_ORDER batch skips counts as written in full (2.7.9). */
static uint32_t used_len(const struct vqsim_blk_request *request, const struct vqsim_used *used)
{
	return used->batched ? writable_data(request) + 1 : used->len;
}

struct vqsim_blk_request *vqsim_blk_reap(struct vqsim_blk *blk, uint16_t queue)
{
	struct vqsim_used used;
	enum vqsim_reap reap;

	do {
		reap = vqsim_guest_reap(blk->guest, queue, &used);
	} while (reap == VQSIM_REAP_BOGUS);
	if (reap == VQSIM_REAP_NOTHING)
		return NULL;
	complete(blk, used.token, used_len(used.token, &used));
	return used.token;
}

int vqsim_blk_do(struct vqsim_blk *blk, uint16_t queue, struct vqsim_blk_request *request)
{
	enum virtio_progress progress = VIRTIO_WAITING;

	if (vqsim_blk_submit(blk, queue, request) < 0)
		return -1;
	vqsim_guest_publish(blk->guest, queue);
	for (unsigned i = 0; i < ROUNDS_MAX && progress == VIRTIO_WAITING; i++) {
		progress = vqsim_guest_run(blk->guest, queue);
		while (vqsim_blk_reap(blk, queue))
			;
		if (request->done)
			return request->status;
		if (progress == VIRTIO_WAITING && vqsim_link_wait(&blk->guest->link, queue) != 0)
			break;
	}
	return -1;
}
