/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A slot is in one of five places: the list of free ones, a ring, held, the list of early
 * INTERRUPTs, or in the hands of a step. Slots are made when no free one is left, so that only as much guest memory
 * is touched as there were messages at a time.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuse_bridge_internal.h"
#include "misuse_internal.h"

/* Less than this no read(2) of /dev/fuse may offer. */
#define READ_MIN 8192u

/* A step takes no more before it lets the device work: what was read is still in the cache. */
#define STEP_BYTES (256u << 10)

/* How long to sleep when a device waits and has no file descriptor: ms. */
#define BLIND_WAIT 1

struct vqsim_fuse_bridge_queue {
	bool added; /* and not published */
	bool waiting;
};

static uint32_t message_room(uint32_t max_write)
{
	uint32_t room = max_write + VQSIM_FUSE_BRIDGE_EXTRA;

	return room < READ_MIN ? READ_MIN : room;
}

uint64_t vqsim_fuse_bridge_memory(uint32_t max_write, uint16_t slots)
{
	/* Message, reply, a table, what the driver of the guest adds, canaries and alignment. */
	return slots * (UINT64_C(2) * message_room(max_write) + 8 * VQSIM_FUSE_BRIDGE_EXTRA);
}

int vqsim_fuse_bridge_init(struct vqsim_fuse_bridge *bridge, struct vqsim_fs *fs, int fd,
			   uint32_t max_write, uint16_t slots)
{
	if (fs->guest->queue_count < 2 || slots == 0)
		vqsim_misuse(__func__, "%u queues and %u slots", fs->guest->queue_count, slots);
	*bridge = (struct vqsim_fuse_bridge){
		.fs = fs,
		.fd = fd,
		.max_write = max_write,
		.slot_max = slots,
		.lock_max = fuse_bridge_lock_max(fs->guest, slots),
		.parked_end = &bridge->parked,
		.next_queue = 1,
	};
	bridge->slots = calloc(slots, sizeof(*bridge->slots));
	bridge->queues = calloc(fs->guest->queue_count, sizeof(*bridge->queues));
	if (bridge->slots && bridge->queues)
		return 0;
	vqsim_fuse_bridge_finish(bridge);
	return -ENOMEM;
}

void vqsim_fuse_bridge_finish(struct vqsim_fuse_bridge *bridge)
{
	for (uint16_t i = 0; i < bridge->slot_count; i++) {
		vqsim_fs_request_lose(&bridge->slots[i].request);
		vqsim_fs_request_finish(&bridge->slots[i].request);
	}
	fuse_bridge_lock_finish(bridge);
	free(bridge->slots);
	free(bridge->queues);
	memset(bridge, 0, sizeof(*bridge));
}

/* It is over; the first reason counts. */
static void end(struct vqsim_fuse_bridge *bridge, int error)
{
	if (!bridge->over)
		bridge->error = error;
	bridge->over = true;
}

/* Slots */

static struct vqsim_fuse_bridge_slot *take_slot(struct vqsim_fuse_bridge *bridge)
{
	struct vqsim_fuse_bridge_slot *slot = bridge->free;
	int error;

	if (slot) {
		bridge->free = slot->next;
		return slot;
	}
	if (bridge->slot_count == bridge->slot_max)
		return NULL;
	slot = &bridge->slots[bridge->slot_count];
	error = vqsim_fs_request_init(bridge->fs, &slot->request, bridge->max_write);
	if (error) {
		end(bridge, error);
		return NULL;
	}
	slot->request.opaque = slot;
	bridge->slot_count++;
	return slot;
}

static void give_slot(struct vqsim_fuse_bridge *bridge, struct vqsim_fuse_bridge_slot *slot)
{
	slot->next = bridge->free;
	bridge->free = slot;
}

/* Messages */

/* One message into the slot. Returns 1; 0: there is none; or a negative errno. */
static int read_message(struct vqsim_fuse_bridge *bridge, struct vqsim_fuse_bridge_slot *slot)
{
	ssize_t size;

	/* ENOENT: whoever asked has gone; the next message may be there. */
	do {
		size = read(bridge->fd, slot->request.in, message_room(bridge->max_write));
	} while (size < 0 && (errno == EINTR || errno == ENOENT));
	if (size < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (size == 0)
		return -ENODEV;
	slot->again = false;
	return fuse_bridge_prepare(bridge->fs, slot, (size_t)size) ? 1 : -EPROTO;
}

/* Replies */

static void write_reply(struct vqsim_fuse_bridge *bridge, const void *reply, size_t size,
			bool *refused)
{
	ssize_t written;

	do {
		written = write(bridge->fd, reply, size);
	} while (written < 0 && errno == EINTR);
	*refused = false;
	/* ENOENT: whoever asked was interrupted meanwhile, and is gone. */
	if (written >= 0 || errno == ENOENT)
		return;
	if (errno == EINVAL)
		*refused = true;
	else
		end(bridge, -errno);
}

void fuse_bridge_write_error(struct vqsim_fuse_bridge *bridge, uint64_t unique, int32_t error)
{
	const struct fuse_out_header header = {
		.len = sizeof(header), .error = error, .unique = unique};
	bool refused;

	write_reply(bridge, &header, sizeof(header), &refused);
}

/* What was wrong with it has been recorded. */
static bool is_sound(const struct vqsim_fs_request *request)
{
	struct fuse_out_header header;

	if (request->used_len < FS_OUT_HEADER)
		return false;
	memcpy(&header, request->out, sizeof(header));
	return header.error == request->result.error;
}

static void count_bytes(struct vqsim_fuse_bridge *bridge, const struct vqsim_fs_request *request)
{
	if (request->args.opcode == FUSE_READ || request->args.opcode == FUSE_WRITE)
		bridge->bytes += request->result.count;
}

/* The slots hold no more than was foreseen when they were made. */
static void limit_session(const struct vqsim_fuse_bridge *bridge, struct vqsim_fs_request *request)
{
	struct fuse_init_out out = request->result.init;

	if (request->args.opcode != FUSE_INIT || request->result.error)
		return;
	if (out.max_write > bridge->max_write)
		out.max_write = bridge->max_write;
	if (out.max_pages > bridge->max_write / 4096)
		out.max_pages = (uint16_t)(bridge->max_write / 4096);
	memcpy(request->out + FS_OUT_HEADER, &out, sizeof(out));
}

static void refused_by_kernel(struct vqsim_fuse_bridge *bridge,
			      const struct vqsim_fs_request *request)
{
	struct vqsim_referee *referee = bridge->fs->guest->referee;

	if (referee)
		vqsim_referee_violation(
			referee, VQSIM_RULE_FS_PAYLOAD, request->queue,
			"opcode %" PRIu32 " of node %" PRIu64 ": the kernel refuses "
			"a reply of %" PRIu32 " bytes",
			request->args.opcode, request->args.node, request->used_len);
}

static void answer(struct vqsim_fuse_bridge *bridge, struct vqsim_fuse_bridge_slot *slot)
{
	struct vqsim_fs_request *request = &slot->request;
	bool refused = false;

	/* Forgotten, or an INTERRUPT that nobody has an answer to, or that came too late. */
	if (request->out_size == 0 ||
	    (request->args.opcode == FUSE_INTERRUPT &&
	     (request->used_len == 0 || request->result.error == -EAGAIN)))
		return;
	/* The device has no answer that could be passed on. */
	if (!is_sound(request)) {
		fuse_bridge_write_error(bridge, slot->header.unique, -EIO);
		return;
	}
	count_bytes(bridge, request);
	limit_session(bridge, request);
	write_reply(bridge, request->out, request->used_len, &refused);
	if (!refused)
		return;
	refused_by_kernel(bridge, request);
	fuse_bridge_write_error(bridge, slot->header.unique, -EIO);
}

static bool is_in_flight(const struct vqsim_fuse_bridge *bridge, uint64_t unique)
{
	for (uint16_t i = 0; i < bridge->slot_count; i++) {
		const struct vqsim_fs_request *request = &bridge->slots[i].request;

		if ((request->fs || bridge->held == &bridge->slots[i]) && request->unique == unique)
			return true;
	}
	return false;
}

/* Returns true: the device has not begun with the message that the INTERRUPT is of. */
static bool interrupt(struct vqsim_fuse_bridge *bridge, const struct vqsim_fs_request *request)
{
	struct fuse_interrupt_in in;

	memcpy(&in, request->in + FS_IN_HEADER, sizeof(in));
	return !fuse_bridge_lock_interrupt(bridge, in.unique) && request->result.error == -EAGAIN &&
	       is_in_flight(bridge, in.unique);
}

static void answer_all(struct vqsim_fuse_bridge *bridge, uint16_t queue)
{
	struct vqsim_fs_request *request;

	while ((request = vqsim_fs_reap(bridge->fs, queue))) {
		struct vqsim_fuse_bridge_slot *slot = request->opaque;

		bridge->in_flight--;
		if (slot->header.opcode == FUSE_INTERRUPT && interrupt(bridge, request)) {
			slot->next = bridge->early;
			bridge->early = slot;
			continue;
		}
		if (!fuse_bridge_lock_came(bridge, slot))
			answer(bridge, slot);
		give_slot(bridge, slot);
	}
}

/* Queues */

static void run_queue(struct vqsim_fuse_bridge *bridge, uint16_t queue)
{
	struct vqsim_guest *guest = bridge->fs->guest;
	struct vqsim_fuse_bridge_queue *q = &bridge->queues[queue];

	if (q->added)
		vqsim_guest_publish(guest, queue);
	if (!q->added && !q->waiting)
		return;
	q->added = false;
	q->waiting = vqsim_guest_run(guest, queue) == VIRTIO_WAITING;
	answer_all(bridge, queue);
	if (vqsim_guest_needs_reset(guest))
		end(bridge, -EIO);
}

/* hiprio last: an INTERRUPT that came with its message comes behind it. */
static void run_queues(struct vqsim_fuse_bridge *bridge)
{
	for (uint16_t i = 1; i < bridge->fs->guest->queue_count; i++)
		run_queue(bridge, i);
	run_queue(bridge, VQSIM_FS_HIPRIO);
}

static bool submit_to(struct vqsim_fuse_bridge *bridge, uint16_t queue,
		      struct vqsim_fuse_bridge_slot *slot)
{
	if (vqsim_fs_submit(bridge->fs, queue, &slot->request) < 0)
		return false;
	bridge->queues[queue].added = true;
	bridge->in_flight++;
	fuse_bridge_lock_sent(bridge, slot);
	return true;
}

static bool belongs_to_hiprio(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

/* Returns false: no request queue has room. hiprio has, once the device has worked on it. */
static bool submit(struct vqsim_fuse_bridge *bridge, struct vqsim_fuse_bridge_slot *slot)
{
	uint16_t requests = bridge->fs->guest->queue_count - 1u;

	if (belongs_to_hiprio(slot->header.opcode)) {
		if (submit_to(bridge, VQSIM_FS_HIPRIO, slot))
			return true;
		run_queues(bridge);
		return submit_to(bridge, VQSIM_FS_HIPRIO, slot);
	}
	if (slot->header.opcode == FUSE_SETLKW)
		fuse_bridge_lock_choose(bridge, slot);
	for (uint16_t i = 0; i < requests; i++) {
		uint16_t queue = bridge->next_queue;

		/* As queues are run and reaped, so that those that are parked again keep their order. */
		if (slot->again)
			queue = i + 1u;
		else
			bridge->next_queue = (uint16_t)(queue % requests + 1);
		if (submit_to(bridge, queue, slot))
			return true;
	}
	return false;
}

/* Returns false: there is none, or it is held still. */
static bool send_held(struct vqsim_fuse_bridge *bridge)
{
	if (!bridge->held || !submit(bridge, bridge->held))
		return false;
	bridge->held = NULL;
	return true;
}

/*
 * A kernel that is told EAGAIN sends its INTERRUPT again at once, for as long as the message is in
 * flight. So it is not told: they go to the device once more in each step.
 */
static void send_early(struct vqsim_fuse_bridge *bridge)
{
	struct vqsim_fuse_bridge_slot *slot = bridge->early, *next;

	bridge->early = NULL;
	for (; slot; slot = next) {
		next = slot->next;
		fuse_bridge_prepare(bridge->fs, slot, slot->header.len);
		if (submit(bridge, slot))
			continue;
		slot->next = bridge->early;
		bridge->early = slot;
	}
}

/* Returns false: there is none, or no room for it now. */
static bool send_parked(struct vqsim_fuse_bridge *bridge)
{
	struct vqsim_fuse_bridge_slot *slot = bridge->parked ? take_slot(bridge) : NULL;

	if (!slot)
		return false;
	fuse_bridge_lock_load(bridge, slot);
	if (submit(bridge, slot)) {
		fuse_bridge_lock_drop_first(bridge);
		return true;
	}
	give_slot(bridge, slot);
	return false;
}

/*
 * All that are parked ask again, once. Returns false: not all could; then others have the room, and
 * the end of theirs brings another step.
 */
static bool ask_again(struct vqsim_fuse_bridge *bridge)
{
	uint32_t left, sent;

	/* Those that were let go in the device come before the first that is parked. */
	run_queues(bridge);
	left = bridge->parked_count;
	bridge->stirred = false;
	for (; left > 0; left -= sent) {
		for (sent = 0; sent < left && send_parked(bridge); sent++)
			;
		if (sent == 0) {
			bridge->stirred = true;
			return false;
		}
		run_queues(bridge);
	}
	return true;
}

/* Returns false: no more now. */
static bool take_message(struct vqsim_fuse_bridge *bridge, uint32_t *bytes)
{
	struct vqsim_fuse_bridge_slot *slot = take_slot(bridge);
	int result;

	if (!slot)
		return false;
	result = read_message(bridge, slot);
	if (result <= 0) {
		give_slot(bridge, slot);
		if (result < 0)
			end(bridge, result == -ENODEV ? 0 : result);
		return false;
	}
	bridge->requests++;
	*bytes += slot->header.len + slot->request.out_size;
	if (submit(bridge, slot))
		return true;
	bridge->held = slot;
	return false;
}

void vqsim_fuse_bridge_step(struct vqsim_fuse_bridge *bridge)
{
	uint32_t bytes = 0;

	send_held(bridge);
	send_early(bridge);
	while (!bridge->over && !bridge->held && bytes < STEP_BYTES)
		if (!take_message(bridge, &bytes))
			break;
	run_queues(bridge);
	/* If all came back at once, nothing else would bring another step. */
	if (send_held(bridge))
		run_queues(bridge);
	while (bridge->stirred && bridge->parked && ask_again(bridge))
		;
}

/* Whether another message can be taken. */
static bool has_room(const struct vqsim_fuse_bridge *bridge)
{
	return !bridge->over && !bridge->held &&
	       (bridge->free || bridge->slot_count < bridge->slot_max);
}

unsigned vqsim_fuse_bridge_wait(const struct vqsim_fuse_bridge *bridge, struct pollfd *fds,
				unsigned max, int *timeout)
{
	struct virtio_device *device = bridge->fs->guest->link.device;
	uint16_t queues = bridge->fs->guest->queue_count;
	unsigned count = 0;

	if (max <= queues)
		vqsim_misuse(__func__, "room for %u of %u entries", max, queues + 1u);
	*timeout = -1;
	if (has_room(bridge))
		fds[count++] = (struct pollfd){.fd = bridge->fd, .events = POLLIN};
	for (uint16_t i = 0; i < queues; i++) {
		int fd = device->ops->progress_fd ? device->ops->progress_fd(device, i) : -1;

		if (!bridge->queues[i].waiting)
			continue;
		if (fd < 0)
			*timeout = BLIND_WAIT;
		else
			fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	return count;
}
