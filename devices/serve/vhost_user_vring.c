/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages about a ring: what they say is checked here and kept; whether the ring is then the
 * device's, vhost_user_queue.c decides.
 */
#include "vhost_user_internal.h"

/* Most messages about a ring name it in the same place. Returns NULL or why not. */
static const char *find_queue(struct vhost_user_session *session, uint32_t index,
			      struct vhost_user_queue **queue)
{
	if (index >= session->queue_count)
		return "a ring that the device does not have";
	*queue = &session->queues[index];
	return NULL;
}

static const char *running(const struct vhost_user_session *session, uint32_t index)
{
	return virtio_transport_queue_live(&session->transport, (uint16_t)index)
		       ? "a change to a ring that is running"
		       : NULL;
}

const char *vhost_user_set_vring_num(struct vhost_user_exchange *x)
{
	const struct vhost_user_vring_state *state = &x->message->payload.state;
	struct vhost_user_queue *queue;
	const char *why = find_queue(x->session, state->index, &queue);

	if (!why)
		why = running(x->session, state->index);
	if (why)
		return why;
	if (state->num == 0 || state->num > x->session->device->ops->queue_size_max(
						    x->session->device, (uint16_t)state->index))
		return "a ring size that the device does not have";
	queue->size = (uint16_t)state->num;
	return vhost_user_queue_update(x->session, (uint16_t)state->index);
}

/* A ring that is running may be told again where it is: the switch of its log comes this way. */
const char *vhost_user_set_vring_addr(struct vhost_user_exchange *x)
{
	const struct vhost_user_vring_addr *address = &x->message->payload.addr;
	struct vhost_user_queue *queue;
	const char *why = find_queue(x->session, address->index, &queue);

	if (!why && (address->descriptor != queue->address.descriptor ||
		     address->used != queue->address.used ||
		     address->available != queue->address.available))
		why = running(x->session, address->index);
	if (why)
		return why;
	queue->address = *address;
	queue->has_address = true;
	return vhost_user_queue_update(x->session, (uint16_t)address->index);
}

const char *vhost_user_set_vring_base(struct vhost_user_exchange *x)
{
	const struct vhost_user_vring_state *state = &x->message->payload.state;
	struct vhost_user_queue *queue;
	const char *why = find_queue(x->session, state->index, &queue);

	if (!why)
		why = running(x->session, state->index);
	if (why)
		return why;
	queue->base = state->num;
	queue->has_base = true;
	return vhost_user_queue_update(x->session, (uint16_t)state->index);
}

const char *vhost_user_get_vring_base(struct vhost_user_exchange *x)
{
	struct vhost_user_vring_state *state = &x->reply->payload.state;
	struct vhost_user_queue *queue;
	const char *why = find_queue(x->session, x->message->payload.state.index, &queue);

	if (why)
		return why;
	state->index = x->message->payload.state.index;
	vhost_user_queue_stop(x->session, (uint16_t)state->index);
	vhost_user_inflight_settle(x->session, (uint16_t)state->index);
	queue->started = false;
	vhost_user_queue_set_fd(&queue->kick_fd, -1);
	state->num = vhost_user_queue_base(x->session, (uint16_t)state->index);
	x->reply->header.size = sizeof(*state);
	return NULL;
}

const char *vhost_user_set_vring_enable(struct vhost_user_exchange *x)
{
	const struct vhost_user_vring_state *state = &x->message->payload.state;
	struct vhost_user_queue *queue;
	const char *why = find_queue(x->session, state->index, &queue);

	if (why)
		return why;
	if (state->num > 1)
		return "enabled or not is 1 or 0";
	queue->enabled = state->num == 1;
	return vhost_user_queue_update(x->session, (uint16_t)state->index);
}

/*
 * The queue and the descriptor of SET_VRING_KICK, _CALL or _ERR; *fd is -1 if there is none. It
 * is an eventfd, or what can stand for one, which we make not to block: its other end may never
 * be read.
 */
static const char *take_ring_fd(struct vhost_user_session *session,
				struct vhost_user_message *message, struct vhost_user_queue **queue,
				int *fd)
{
	uint64_t value = message->payload.u64;
	const char *why = find_queue(session, value & VHOST_USER_QUEUE_MASK, queue);

	if (why)
		return why;
	if (value & ~(uint64_t)(VHOST_USER_QUEUE_MASK | VHOST_USER_NO_FD))
		return "a ring index with unknown bits";
	if (!(value & VHOST_USER_NO_FD) != (message->fd_count == 1))
		return "a descriptor that is announced and missing, or the other way round";
	*fd = -1;
	if (message->fd_count == 0)
		return NULL;
	if (!vhost_user_may_notify(message->fds[0]))
		return "a descriptor that is neither an eventfd nor a pipe nor a socket";
	if (!vhost_user_unblock(message->fds[0]))
		return "a descriptor that cannot be told not to block";
	*fd = vhost_user_take_fd(message);
	return NULL;
}

static uint16_t ring_of(const struct vhost_user_message *message)
{
	return message->payload.u64 & VHOST_USER_QUEUE_MASK;
}

const char *vhost_user_set_vring_kick(struct vhost_user_exchange *x)
{
	struct vhost_user_queue *queue;
	int fd;
	const char *why = take_ring_fd(x->session, x->message, &queue, &fd);

	if (why)
		return why;
	vhost_user_queue_set_fd(&queue->kick_fd, fd);
	queue->polled = fd < 0;
	queue->started = true;
	return vhost_user_queue_update(x->session, ring_of(x->message));
}

const char *vhost_user_set_vring_call(struct vhost_user_exchange *x)
{
	struct vhost_user_queue *queue;
	int fd;
	const char *why = take_ring_fd(x->session, x->message, &queue, &fd);

	if (!why)
		vhost_user_queue_set_call(x->session, ring_of(x->message), fd);
	return why;
}

const char *vhost_user_set_vring_err(struct vhost_user_exchange *x)
{
	struct vhost_user_queue *queue;
	int fd;
	const char *why = take_ring_fd(x->session, x->message, &queue, &fd);

	if (!why)
		vhost_user_queue_set_fd(&queue->err_fd, fd);
	return why;
}
