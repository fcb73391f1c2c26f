/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rings of a session, and how they come to the device and leave it.
 *
 *     known: size, address, memory --+
 *     started by its kick -----------+-- all of it: live, the device works on it
 *     enabled -----------------------+
 *     driver ready ------------------+-- not all: only its base is kept
 *
 * A ring that is disabled is taken from the device as one that is stopped: what was taken is
 * finished, what was not is left in the ring for later. (The device is the disk or the file
 * system of its guest: no request may be consumed without an effect.)
 */
#include "vhost_user_internal.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

/* Chains in a call of progress while a queue is emptied. */
#define DRAIN_BUDGET 256u

#define POSITION 0x7fffu
#define WRAP     0x8000u

/* Descriptors */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		vhost_user_close(*fd);
	*fd = -1;
}

void vhost_user_queue_set_fd(int *place, int fd)
{
	close_fd(place);
	*place = fd;
}

void vhost_user_queue_forget(struct vhost_user_queue *queue)
{
	close_fd(&queue->kick_fd);
	close_fd(&queue->call_fd);
	close_fd(&queue->err_fd);
	*queue = (struct vhost_user_queue){.kick_fd = -1, .call_fd = -1, .err_fd = -1};
}

/* Count one up. When a counter or a pipe is full, the peer has news enough. Returns false: it blocks. */
static bool signal_fd(const struct vhost_user_session *session, int fd)
{
	const uint64_t one = 1;

	return fd < 0 || vhost_user_write(session, fd, &one, sizeof(one)) != -EINTR;
}

static void call(struct vhost_user_session *session, struct vhost_user_queue *queue)
{
	if (!signal_fd(session, queue->call_fd))
		close_fd(&queue->call_fd);
}

void vhost_user_queue_set_call(struct vhost_user_session *session, uint16_t index, int fd)
{
	struct vhost_user_queue *queue = &session->queues[index];

	vhost_user_queue_set_fd(&queue->call_fd, fd);
	if (fd >= 0 && queue->call_missed) {
		queue->call_missed = false;
		call(session, queue);
	}
}

void vhost_user_queue_notify(struct vhost_user_session *session, uint16_t index)
{
	struct vhost_user_queue *queue = &session->queues[index];

	if (queue->call_fd < 0)
		queue->call_missed = true;
	else
		call(session, queue);
}

/* From several threads at a time: one that blocks is not closed here, but none is tried after it. */
void vhost_user_queues_tell_error(struct vhost_user_session *session)
{
	for (uint16_t i = 0; i < session->queue_count; i++)
		if (!signal_fd(session, session->queues[i].err_fd))
			return;
}

/* Base */

static struct virtio_queue_state packed_state(uint32_t base)
{
	return (struct virtio_queue_state){
		.avail_index = base & POSITION,
		.avail_wrap = base & WRAP,
		.used_index = base >> 16 & POSITION,
		.used_wrap = base >> 16 & WRAP,
	};
}

static uint32_t base_of(const struct vhost_user_session *session,
			const struct virtio_queue_state *state)
{
	if (!session->packed)
		return state->avail_index;
	return state->avail_index | (state->avail_wrap ? WRAP : 0) |
	       (uint32_t)(state->used_index | (state->used_wrap ? WRAP : 0)) << 16;
}

uint32_t vhost_user_queue_base(const struct vhost_user_session *session, uint16_t index)
{
	const struct virtio_queue_state fresh = VIRTIO_QUEUE_STATE_FRESH;
	const struct vhost_user_queue *queue = &session->queues[index];

	return queue->has_base ? queue->base : base_of(session, &fresh);
}

/*
 * Linux as a process starts every ring with base 0. In a packed ring that is the end of an odd
 * lap; but after one, some descriptor has the bit USED: of an entry that was used in that lap, or
 * that is available in the next. If none has, the ring is fresh.
 */
static bool is_fresh(struct vhost_user_session *session, const struct virtio_queue_setup *setup)
{
	struct guest_map *map = guest_memory_acquire(&session->memory);
	const void *area = guest_map_contiguous(
		map, setup->desc_gpa, setup->size * sizeof(struct vring_packed_desc), GUEST_READ);
	bool fresh = area && (uintptr_t)area % __alignof__(struct vring_packed_desc) == 0;
	const struct vring_packed_desc *ring = fresh ? area : NULL;

	for (uint16_t i = 0; fresh && i < setup->size; i++)
		fresh = !(le16toh(__atomic_load_n(&ring[i].flags, __ATOMIC_RELAXED)) &
			  (1u << VRING_PACKED_DESC_F_USED));
	guest_map_release(map);
	return fresh;
}

/* The split ring itself says how far it is used. Returns false: it cannot, as it lies. */
static bool read_used_index(struct vhost_user_session *session, uint64_t used_gpa, uint16_t *index)
{
	struct guest_map *map = guest_memory_acquire(&session->memory);
	const void *ring =
		guest_map_contiguous(map, used_gpa, sizeof(struct vring_used), GUEST_READ);
	bool readable = ring && (uintptr_t)ring % __alignof__(struct vring_used) == 0;
	const struct vring_used *used = readable ? ring : NULL;

	if (readable)
		*index = le16toh(__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE));
	guest_map_release(map);
	return readable;
}

/* Start and stop */

static bool should_be_live(const struct vhost_user_session *session,
			   const struct vhost_user_queue *queue)
{
	bool enabled = queue->enabled ||
		       !(session->features & VIRTIO_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES));

	return queue->started && enabled && queue->size > 0 && queue->has_address &&
	       session->region_count > 0 &&
	       (virtio_transport_status(&session->transport) & VIRTIO_CONFIG_S_DRIVER_OK);
}

/* What the device is given. Returns NULL or why it cannot be made. */
static const char *set_up(struct vhost_user_session *session, uint16_t index,
			  struct virtio_queue_setup *setup)
{
	const struct vhost_user_queue *queue = &session->queues[index];
	uint32_t base = vhost_user_queue_base(session, index);
	const char *why;

	*setup = (struct virtio_queue_setup){.size = queue->size};
	why = vhost_user_inflight_find(session, index, setup);
	if (why)
		return why;
	if (!vhost_user_memory_translate(session, queue->address.descriptor, &setup->desc_gpa) ||
	    !vhost_user_memory_translate(session, queue->address.available, &setup->driver_gpa) ||
	    !vhost_user_memory_translate(session, queue->address.used, &setup->device_gpa))
		return "a ring that is in no region";
	if (session->packed) {
		setup->resume = packed_state(base);
		if (base == 0 && is_fresh(session, setup))
			setup->resume = (struct virtio_queue_state)VIRTIO_QUEUE_STATE_FRESH;
		return NULL;
	}
	if (base > UINT16_MAX)
		return "a base that no split ring has";
	setup->resume = (struct virtio_queue_state){
		.avail_index = (uint16_t)base, .avail_wrap = true, .used_wrap = true};
	return read_used_index(session, setup->device_gpa, &setup->resume.used_index)
		       ? NULL
		       : "a used ring that is in no region or not aligned";
}

static const char *start(struct vhost_user_session *session, uint16_t index)
{
	struct virtio_queue_setup setup;
	const char *why = set_up(session, index, &setup);

	if (why)
		return why;
	switch (virtio_transport_enable_queue(&session->transport, index, &setup)) {
	case 0:
		return NULL;
	case -EFAULT:
		return "a ring that is not in memory";
	case -EINVAL:
		return "size, alignment, base or inflight area of a ring";
	case -EBUSY:
		return "a ring of a device that needs a reset";
	default:
		return "no memory for a ring";
	}
}

/* Something is in flight: one more look, after waiting if there is something to wait on. */
static void run_for_completion(struct vhost_user_session *session, uint16_t index)
{
	const struct virtio_device_ops *ops = session->device->ops;
	struct pollfd ready = {.fd = -1, .events = POLLIN};

	if (ops->progress(session->device, index, DRAIN_BUDGET) != VIRTIO_WAITING)
		return;
	if (ops->progress_fd)
		ready.fd = ops->progress_fd(session->device, index);
	/* Interrupted or not, the caller looks again. */
	if (ready.fd >= 0)
		poll(&ready, 1, -1);
}

void vhost_user_queue_stop(struct vhost_user_session *session, uint16_t index)
{
	struct vhost_user_queue *queue = &session->queues[index];
	struct virtio_queue_state state;

	if (!virtio_transport_queue_live(&session->transport, index))
		return;
	while (virtio_transport_stop_queue(&session->transport, index, &state) == VIRTIO_PENDING)
		run_for_completion(session, index);
	queue->base = base_of(session, &state);
	queue->has_base = true;
}

const char *vhost_user_queue_update(struct vhost_user_session *session, uint16_t index)
{
	bool live = virtio_transport_queue_live(&session->transport, index);

	if (should_be_live(session, &session->queues[index]))
		return live ? NULL : start(session, index);
	vhost_user_queue_stop(session, index);
	return NULL;
}

bool vhost_user_queues_update(struct vhost_user_session *session)
{
	bool all = true;

	for (uint16_t i = 0; i < session->queue_count; i++) {
		const char *why = vhost_user_queue_update(session, i);

		all &= !why;
		if (why)
			vhost_user_session_tell(session, VHOST_USER_REFUSED, why);
	}
	return all;
}

/* One end of a pipe that is closed will never kick again. EINTR: it is made to block. */
void vhost_user_queue_kick(struct vhost_user_session *session, uint16_t index)
{
	struct vhost_user_queue *queue = &session->queues[index];
	struct virtio_device *device = session->device;
	uint64_t count;
	int size;

	if (queue->kick_fd < 0)
		return;
	size = vhost_user_read(session, queue->kick_fd, &count, sizeof(count));
	if (size <= 0 && size != -EAGAIN)
		close_fd(&queue->kick_fd);
	if (size > 0 && device->ops->kick &&
	    virtio_transport_queue_live(&session->transport, index))
		device->ops->kick(device, index, index);
}

enum virtio_progress vhost_user_queue_run(struct vhost_user_session *session, uint16_t index,
					  uint32_t budget)
{
	struct virtio_device *device = session->device;
	enum virtio_progress progress;

	if (!virtio_transport_queue_live(&session->transport, index))
		return VIRTIO_IDLE;
	progress = device->ops->progress(device, index, budget);
	if (__atomic_load_n(&session->memory_lost, __ATOMIC_RELAXED) && session->hooks.news)
		session->hooks.news(session->hooks.opaque);
	return progress;
}
