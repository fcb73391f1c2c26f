/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request is two runs of bytes, each one piece of guest memory with canaries:
 *
 *     in_gpa   | fuse_in_header: 40 | arguments, names, data .... | slack ... |
 *     out_gpa  | fuse_out_header: 16 | reply .................... | slack ... |
 *
 * Any cut of the runs into descriptors is a legal framing (2.7.4.1). What follows the room
 * for the reply in its piece belongs to larger requests and must stay as it is.
 *
 * Everything the driver does for the referee's sake alone (prefill, hash, checks of memory) is
 * left out when nobody watches, so that it does not show in measurements.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "guest_fs_internal.h"
#include "misuse_internal.h"

/* Descriptors of one request, in the ring or in a table. */
#define ELEMENTS_MAX 256u

#define DATA_ROOM_DEFAULT (64u << 10)

/* How far behind what was exposed untouched bytes are looked for. */
#define PROBE_SIZE 64u

/* A device that waits through more rounds than this has lost the request. */
#define ROUNDS_MAX 1000000u

static bool negotiated(const struct vqsim_fs *fs, unsigned bit)
{
	return fs->guest->features & VIRTIO_FEATURE(bit);
}

int vqsim_fs_init(struct vqsim_fs *fs, struct vqsim_guest *guest, uint32_t data_room)
{
	memset(fs, 0, sizeof(*fs));
	fs->guest = guest;
	fs->queue = 1;
	fs->next_unique = 2;
	return vqsim_fs_request_init(fs, &fs->request, data_room ? data_room : DATA_ROOM_DEFAULT);
}

uint64_t vqsim_fs_finish(struct vqsim_fs *fs)
{
	uint64_t left = fs->lookups.total + fs->handles.total;

	vqsim_fs_request_finish(&fs->request);
	fs_ledger_finish(&fs->lookups);
	fs_ledger_finish(&fs->handles);
	memset(fs, 0, sizeof(*fs));
	return left;
}

int vqsim_fs_request_init(struct vqsim_fs *fs, struct vqsim_fs_request *request, uint32_t data_room)
{
	struct vqsim_memory *memory = fs->guest->memory;

	if (data_room > UINT32_MAX - FS_IN_ROOM)
		vqsim_misuse(__func__, "%" PRIu32 " bytes do not fit in one chain", data_room);
	memset(request, 0, sizeof(*request));
	request->elements = calloc(ELEMENTS_MAX, sizeof(*request->elements));
	if (!request->elements)
		return -ENOMEM;
	request->in_room = FS_IN_ROOM + data_room;
	request->out_room = FS_OUT_ROOM + data_room;
	request->in_gpa = vqsim_memory_alloc(memory, request->in_room, 16);
	request->out_gpa = vqsim_memory_alloc(memory, request->out_room, 16);
	if (negotiated(fs, VIRTIO_RING_F_INDIRECT_DESC))
		request->table_gpa =
			vqsim_memory_alloc(memory, ELEMENTS_MAX * sizeof(struct vring_desc), 16);
	request->in = vqsim_memory_at(memory, request->in_gpa, request->in_room);
	request->out = vqsim_memory_at(memory, request->out_gpa, request->out_room);
	return 0;
}

void vqsim_fs_request_lose(struct vqsim_fs_request *request)
{
	request->fs = NULL;
}

void vqsim_fs_request_finish(struct vqsim_fs_request *request)
{
	vqsim_fs_request_lose(request);
	free(request->elements);
	request->elements = NULL;
}

/* Memory, for the referee */

/* Bytes behind the room for the reply that are looked at: within the piece, up to its canary. */
static uint32_t slack_size(const struct vqsim_fs_request *request)
{
	uint32_t slack = request->out_room - request->out_size;

	return slack < PROBE_SIZE ? slack : PROBE_SIZE;
}

static uint64_t hash(const uint8_t *data, uint32_t size)
{
	uint64_t sum = size, word;

	for (; size >= sizeof(word); size -= (uint32_t)sizeof(word), data += sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		sum ^= sum >> 29;
	}
	for (; size > 0; size--)
		sum = (sum ^ *data++) * UINT64_C(0x9e3779b97f4a7c15);
	return sum;
}

static void buffers_prepare(struct vqsim_fs_request *request, const struct vqsim_referee *referee)
{
	memset(request->out, referee->prefill, request->out_size + slack_size(request));
	request->in_hash = hash(request->in, request->in_size);
}

static void check_piece(const struct vqsim_fs_request *request, struct vqsim_referee *referee,
			uint64_t gpa, uint64_t size)
{
	uint64_t bad = 0;

	if (!vqsim_memory_canary_intact(referee->memory, gpa, size, &bad))
		vqsim_referee_violation(referee, VQSIM_RULE_FOOTPRINT, request->queue,
					"0x%" PRIx64 " was written, beside [0x%" PRIx64
					", 0x%" PRIx64 ")",
					bad, gpa, gpa + size);
}

static void check_memory(const struct vqsim_fs_request *request, struct vqsim_referee *referee)
{
	const uint8_t *end = request->out + request->out_size;

	check_piece(request, referee, request->in_gpa, request->in_room);
	check_piece(request, referee, request->out_gpa, request->out_room);
	for (uint32_t i = 0; i < slack_size(request); i++) {
		if (end[i] == referee->prefill)
			continue;
		vqsim_referee_violation(referee, VQSIM_RULE_FOOTPRINT, request->queue,
					"byte %" PRIu32
					" behind the room for the reply at 0x%" PRIx64
					" was written",
					i, request->out_gpa);
		break;
	}
	if (hash(request->in, request->in_size) != request->in_hash)
		vqsim_referee_violation(referee, VQSIM_RULE_READABLE_WRITTEN, request->queue,
					"the message at 0x%" PRIx64 " changed", request->in_gpa);
}

/* Framing */

/* The header is one, and what follows it another. */
static unsigned cut_header(struct vqsim_element *elements, uint64_t gpa, uint32_t size, bool write)
{
	uint32_t header = write ? FS_OUT_HEADER : FS_IN_HEADER;

	if (size <= header) {
		elements[0] = (struct vqsim_element){gpa, size, write};
		return 1;
	}
	elements[0] = (struct vqsim_element){gpa, header, write};
	elements[1] = (struct vqsim_element){gpa + header, size - header, write};
	return 2;
}

static unsigned cut(struct vqsim_element *elements, unsigned max, uint64_t gpa, uint32_t size,
		    bool write, const uint32_t *cuts, unsigned cut_count)
{
	if (size == 0)
		return 0;
	if (cuts)
		return vqsim_chain_cut(elements, max, gpa, size, write, cuts, cut_count);
	if (max < 2)
		vqsim_misuse("vqsim_fs_submit", "more than %u elements", ELEMENTS_MAX);
	return cut_header(elements, gpa, size, write);
}

static struct vqsim_chain chain_of(const struct vqsim_fs *fs, struct vqsim_fs_request *request)
{
	uint16_t direct = negotiated(fs, VIRTIO_F_RING_PACKED) ? 0 : request->direct;
	unsigned count = cut(request->elements, ELEMENTS_MAX, request->in_gpa, request->in_size,
			     false, request->readable_cuts, request->readable_cut_count);
	bool indirect;

	count += cut(request->elements + count, ELEMENTS_MAX - count, request->out_gpa,
		     request->out_size, true, request->writable_cuts, request->writable_cut_count);
	if (count == 0)
		vqsim_misuse("vqsim_fs_submit", "a request of no bytes");
	indirect = request->indirect && request->table_gpa && direct < count;
	return (struct vqsim_chain){
		.elements = request->elements,
		.count = (uint16_t)count,
		.direct = indirect ? direct : (uint16_t)count,
		.table_gpa = request->table_gpa,
	};
}

/* In flight */

/* From here on the device may forget, whenever it takes the message. */
static void count_forget(struct vqsim_fs *fs, const struct vqsim_fs_args *args)
{
	if (args->opcode == FUSE_FORGET)
		fs_ledger_take(&fs->lookups, args->node, 0, args->count);
	if (args->opcode == FUSE_BATCH_FORGET)
		for (uint64_t i = 0; i < args->count; i++)
			fs_ledger_take(&fs->lookups, args->forgets[i].nodeid, 0,
				       args->forgets[i].nlookup);
}

int vqsim_fs_submit_chain(struct vqsim_fs *fs, uint16_t queue, struct vqsim_fs_request *request,
			  const struct vqsim_chain *chain)
{
	int head;

	if (request->fs)
		vqsim_misuse(__func__, "the request is in flight");
	if (fs->guest->referee)
		buffers_prepare(request, fs->guest->referee);
	head = vqsim_guest_add(fs->guest, queue, chain, request);
	if (head < 0)
		return -1;
	request->fs = fs;
	request->queue = queue;
	request->done = false;
	if (!request->raw)
		count_forget(fs, &request->args);
	if (fs->on_submit)
		fs->on_submit(fs->opaque, request);
	return head;
}

int vqsim_fs_submit(struct vqsim_fs *fs, uint16_t queue, struct vqsim_fs_request *request)
{
	const struct vqsim_chain chain = chain_of(fs, request);

	return vqsim_fs_submit_chain(fs, queue, request, &chain);
}

uint16_t vqsim_fs_queue_of(const struct vqsim_fs *fs, const struct vqsim_fs_request *request)
{
	switch (fs_reply_of(request->args.opcode)) {
	case FS_REPLY_NONE:
	case FS_REPLY_INTERRUPT:
		return request->raw ? fs->queue : VQSIM_FS_HIPRIO;
	default:
		return fs->queue;
	}
}

static void complete(struct vqsim_fs *fs, struct vqsim_fs_request *request,
		     const struct vqsim_used *used)
{
	/* A request that an IN_ORDER batch skips counts as written in full (2.7.9). */
	request->used_len = used->batched ? request->out_size : used->len;
	if (request->used_len > request->out_size)
		request->used_len = request->out_size; /* the referee of the ring has seen it */
	if (fs->guest->referee)
		check_memory(request, fs->guest->referee);
	fs_take(fs, request);
	request->done = true;
	request->fs = NULL;
	fs->requests++;
	fs->errors += request->result.error != 0;
	if (fs->on_done)
		fs->on_done(fs->opaque, request);
}

struct vqsim_fs_request *vqsim_fs_reap(struct vqsim_fs *fs, uint16_t queue)
{
	struct vqsim_used used;
	enum vqsim_reap reap;

	do {
		reap = vqsim_guest_reap(fs->guest, queue, &used);
	} while (reap == VQSIM_REAP_BOGUS);
	if (reap == VQSIM_REAP_NOTHING)
		return NULL;
	complete(fs, used.token, &used);
	return used.token;
}

int vqsim_fs_do(struct vqsim_fs *fs, uint16_t queue, struct vqsim_fs_request *request)
{
	enum virtio_progress progress = VIRTIO_WAITING;

	if (vqsim_fs_submit(fs, queue, request) < 0)
		return VQSIM_FS_LOST;
	vqsim_guest_publish(fs->guest, queue);
	for (unsigned i = 0; i < ROUNDS_MAX && progress == VIRTIO_WAITING; i++) {
		progress = vqsim_guest_run(fs->guest, queue);
		while (vqsim_fs_reap(fs, queue))
			;
		if (request->done)
			return request->result.error;
		if (progress == VIRTIO_WAITING && vqsim_link_wait(&fs->guest->link, queue) != 0)
			break;
	}
	return VQSIM_FS_LOST;
}

int vqsim_fs_call(struct vqsim_fs *fs, const struct vqsim_fs_args *args,
		  struct vqsim_fs_result *result)
{
	static const uint32_t uncut;
	struct vqsim_fs_request *request = &fs->request;
	int error;

	/* A device that lost one may still write to its memory. */
	if (request->fs) {
		if (result)
			*result = (struct vqsim_fs_result){.error = VQSIM_FS_LOST};
		return VQSIM_FS_LOST;
	}
	vqsim_fs_make(fs, request, args);
	if (fs->whole)
		request->readable_cuts = request->writable_cuts = &uncut;
	request->indirect = fs->indirect;
	error = vqsim_fs_do(fs, vqsim_fs_queue_of(fs, request), request);
	if (result)
		*result = request->result;
	return error;
}
