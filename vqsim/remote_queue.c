/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queues of a remote device, and the wait for what it does.
 *
 * A backend works when it likes, on threads that nobody here sees. It is at rest when it has used
 * what it was given, has sent the notifications that are due and asks for a kick. What it still
 * has under way then (a notification that nobody waits for) is over when it has answered a
 * message about the queue: backends hold the queue for that.
 */
#define _GNU_SOURCE /* ppoll */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "remote_internal.h"

/* How long a backend may owe something, ms; and how long one is watched of which nobody knows. */
#define OWE_MAX     1000
#define UNKNOWN_MAX 30

/* Looks at the ring at once, and for how long before the thread goes to sleep. */
#define SPINS    64u
#define ALERT_NS 100000u

/* Sleeps after which it tries again to do without. */
#define TRY_EACH 16u

/* The first sleep and the longest, ns: not all that is waited for is told of. */
#define NAP_MIN 100000
#define NAP_MAX 1000000

/*
 * How long it may take until what a backend does unasked is seen: ms, with an answer before each of
 * them, which takes the longer the busier the machine is.
 */
#define LINGER 6

static void close_fds(struct remote_queue *queue)
{
	close(queue->kick_fd);
	close(queue->call_fd);
	close(queue->error_fd);
	queue->has_fds = false;
}

void remote_queue_finish(struct remote_queue *queue)
{
	if (queue->has_fds)
		close_fds(queue);
}

static int open_fds(struct remote_queue *queue)
{
	remote_queue_finish(queue);
	queue->has_fds = true;
	queue->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	queue->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	queue->error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->kick_fd >= 0 && queue->call_fd >= 0 && queue->error_fd >= 0)
		return 0;
	close_fds(queue);
	return -EMFILE;
}

static uint64_t drain(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? count : 0;
}

static bool is_packed(const struct remote *remote)
{
	return remote->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
}

/* As both sides write them in messages. */
static uint32_t base_of(const struct remote *remote, const struct virtio_queue_state *state)
{
	if (!is_packed(remote))
		return state->avail_index;
	return state->avail_index | (uint32_t)state->avail_wrap << 15 |
	       (uint32_t)state->used_index << 16 | (uint32_t)state->used_wrap << 31;
}

static int tell_addresses(struct remote *remote, uint16_t index,
			  const struct virtio_queue_setup *setup)
{
	bool packed = is_packed(remote);
	struct vhost_user_vring_addr addr = {.index = index};
	const struct remote_message message = {
		.request = VHOST_USER_SET_VRING_ADDR, .payload = &addr, .size = sizeof(addr)};

	if (!remote_address(remote, setup->desc_gpa, 16u * setup->size, &addr.descriptor) ||
	    !remote_address(remote, setup->driver_gpa, packed ? 4 : 6 + 2u * setup->size,
			    &addr.available) ||
	    !remote_address(remote, setup->device_gpa, packed ? 4 : 6 + 8u * setup->size,
			    &addr.used))
		return -EFAULT;
	return remote_tell(&remote->channel, &message);
}

static int tell_fd(struct remote *remote, uint32_t request, uint16_t index, int fd)
{
	const uint64_t value = index;
	const struct remote_message message = {
		.request = request,
		.payload = &value,
		.size = sizeof(value),
		.fds = &fd,
		.fd_count = 1,
	};

	return remote_tell(&remote->channel, &message);
}

static int enable(struct remote *remote, uint16_t index, bool on)
{
	if (!(remote->features & VIRTIO_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES)))
		return 0;
	return remote_tell_vring(&remote->channel, VHOST_USER_SET_VRING_ENABLE, index, on);
}

/* An answer that it cannot give while it works on the queue. */
static int wait_for_turn(struct remote *remote, uint16_t index)
{
	uint64_t value;

	if (remote->channel.acks &&
	    remote->features & VIRTIO_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES))
		return enable(remote, index, true);
	return remote_ask_u64(&remote->channel, VHOST_USER_GET_FEATURES, &value);
}

/* In the order of a virtual machine monitor: the ring, its start, the switch. */
static int tell_queue(struct remote *remote, uint16_t index, const struct virtio_queue_setup *setup)
{
	const struct remote_queue *queue = &remote->queues[index];
	struct remote_channel *channel = &remote->channel;
	int error = remote_tell_vring(channel, VHOST_USER_SET_VRING_NUM, index, setup->size);

	if (!error)
		error = remote_tell_vring(channel, VHOST_USER_SET_VRING_BASE, index,
					  base_of(remote, &setup->resume));
	if (!error)
		error = tell_addresses(remote, index, setup);
	if (!error)
		error = tell_fd(remote, VHOST_USER_SET_VRING_CALL, index, queue->call_fd);
	if (!error)
		error = tell_fd(remote, VHOST_USER_SET_VRING_ERR, index, queue->error_fd);
	if (!error)
		error = tell_fd(remote, VHOST_USER_SET_VRING_KICK, index, queue->kick_fd);
	if (!error)
		error = enable(remote, index, true);
	return error ? error : wait_for_turn(remote, index);
}

int remote_queue_start(struct virtio_device *device, uint16_t index,
		       const struct virtio_queue_setup *setup)
{
	struct remote *remote = remote_of(device);
	struct remote_queue *queue = &remote->queues[index];
	int error = remote_is_gone(remote) ? -EPIPE : remote_share_memory(remote);

	if (!error)
		error = open_fds(queue);
	if (error)
		return error;
	error = tell_queue(remote, index, setup);
	if (error) {
		close_fds(queue);
		return error == -EREMOTEIO ? -EINVAL : error;
	}
	/* Some backends notify when they get the descriptor, in case that one was lost before. */
	if (setup->resume.avail_index == setup->resume.used_index)
		drain(queue->call_fd);
	queue->setup = *setup;
	queue->started = true;
	return 0;
}

/* What only the ring says of a split one. */
static uint16_t used_index(const struct remote *remote, const struct remote_queue *queue)
{
	struct guest_map *map = guest_memory_acquire(remote->base.memory);
	const uint16_t *index =
		guest_map_contiguous(map, queue->setup.device_gpa + 2, 2, GUEST_READ);
	uint16_t value = index ? le16toh(__atomic_load_n(index, __ATOMIC_ACQUIRE)) : 0;

	guest_map_release(map);
	return value;
}

/* num: as the backend said. */
static void read_state(const struct remote *remote, const struct remote_queue *queue, uint32_t num,
		       struct virtio_queue_state *state)
{
	*state = (struct virtio_queue_state)VIRTIO_QUEUE_STATE_FRESH;
	state->avail_index = (uint16_t)num;
	if (!is_packed(remote)) {
		state->used_index = used_index(remote, queue);
		return;
	}
	state->avail_index = num & 0x7fff;
	state->avail_wrap = num >> 15 & 1;
	state->used_index = num >> 16 & 0x7fff;
	state->used_wrap = num >> 31;
}

static void pass_notifications(struct remote *remote, uint16_t index)
{
	uint64_t count = drain(remote->queues[index].call_fd);

	/* A counter of the backend's: more than it could have meant are as good as many. */
	for (uint64_t i = 0; i < count && i < UINT16_MAX; i++)
		remote->base.transport_ops->notify_used(remote->base.transport, index);
}

enum virtio_completion remote_queue_stop(struct virtio_device *device, uint16_t index,
					 struct virtio_queue_state *state)
{
	struct remote *remote = remote_of(device);
	struct remote_queue *queue = &remote->queues[index];
	struct vhost_user_vring_state base = {.index = index};
	const struct remote_message message = {
		.request = VHOST_USER_GET_VRING_BASE, .payload = &base, .size = sizeof(base)};
	struct vhost_user_vring_state reply = {index, 0};
	int error = enable(remote, index, false);

	if (!error || error == -EREMOTEIO)
		error = remote_ask(&remote->channel, &message, &reply, sizeof(reply));
	/* Without an answer the ring says most of it. */
	if (error)
		reply.num = is_packed(remote) ? 1u << 15 | 1u << 31 : used_index(remote, queue);
	read_state(remote, queue, reply.num, state);
	pass_notifications(remote, index);
	queue->started = false;
	remote_pass_on(remote);
	return VIRTIO_DONE;
}

/* DRIVER_OK follows the start of the last queue, which no call tells: so it goes with the first work. */
static void go(struct remote *remote)
{
	if (!remote->is_live && remote_has(remote, VHOST_USER_PROTOCOL_F_STATUS))
		remote_tell_u64(&remote->channel, VHOST_USER_SET_STATUS,
				VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
					VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	remote->is_live = true;
}

void remote_kick(struct virtio_device *device, uint16_t index, uint32_t data)
{
	const uint64_t one = 1;
	struct remote *remote = remote_of(device);

	(void)data;
	if (!remote->queues[index].started)
		return;
	go(remote);
	if (write(remote->queues[index].kick_fd, &one, sizeof(one)) < 0)
		remote_pass_on(remote); /* it never reads them: there are enough of them */
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/*
 * Until something comes from the backend, at most for ns. After a short sleep it is better to stay
 * awake the next time; and now and then to see whether it has become better.
 */
static void sleep_for(struct remote *remote, uint16_t index, long ns)
{
	const struct timespec limit = {.tv_nsec = ns};
	struct pollfd ready[] = {
		{.fd = remote->queues[index].call_fd, .events = POLLIN},
		{.fd = remote->queues[index].error_fd, .events = POLLIN},
		{.fd = remote->channel.fd, .events = POLLIN},
		{.fd = remote->channel.backend_fd, .events = POLLIN},
	};
	uint64_t start = now_ns();
	bool came = ppoll(ready, sizeof(ready) / sizeof(ready[0]), &limit, NULL) > 0;

	remote->alert = (came && now_ns() - start < ALERT_NS) || ++remote->sleeps % TRY_EACH == 0;
}

/* Everything that it sent so far. */
static void hear(struct remote *remote, uint16_t index)
{
	pass_notifications(remote, index);
	remote_listen(&remote->channel);
	if (drain(remote->queues[index].error_fd))
		remote->base.transport_ops->needs_reset(remote->base.transport);
	remote_pass_on(remote);
}

static enum vqsim_remote_look look(const struct remote *remote, uint16_t index)
{
	return remote->look ? remote->look(remote->opaque, index) : VQSIM_REMOTE_AT_REST;
}

static enum vqsim_remote_look look_some(const struct remote *remote, uint16_t index)
{
	enum vqsim_remote_look seen = look(remote, index);

	for (unsigned i = 0; i < SPINS && seen == VQSIM_REMOTE_OWES; i++) {
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#endif
		seen = look(remote, index);
	}
	return seen;
}

/*
 * The driver's side of the ring first, which costs nothing, while that is short. Where others want
 * the processor too, a yield takes as long as all their turns: then sleep is better, whose end does not wait
 * for them.
 */
static enum vqsim_remote_look look_often(struct remote *remote, uint16_t index)
{
	enum vqsim_remote_look seen = look_some(remote, index);
	uint64_t start = now_ns();

	while (remote->alert && seen == VQSIM_REMOTE_OWES) {
		/* The backend may have but this processor. */
		sched_yield();
		seen = look_some(remote, index);
		remote->alert = now_ns() - start < ALERT_NS;
	}
	return seen;
}

static enum virtio_progress work(struct remote *remote, uint16_t index)
{
	uint64_t start = remote_now();
	long nap = NAP_MIN;
	bool turn = false;

	for (;;) {
		enum vqsim_remote_look seen = look_often(remote, index);
		uint64_t passed;

		if (seen == VQSIM_REMOTE_USED)
			return VIRTIO_WAITING;
		hear(remote, index);
		if (remote_is_gone(remote) || (turn && seen == VQSIM_REMOTE_AT_REST))
			return VIRTIO_IDLE;
		passed = remote_now() - start;
		if (passed > OWE_MAX || (seen == VQSIM_REMOTE_UNKNOWN && passed > UNKNOWN_MAX))
			return VIRTIO_IDLE;
		turn = look(remote, index) == VQSIM_REMOTE_AT_REST;
		if (turn)
			wait_for_turn(remote, index);
		else
			sleep_for(remote, index, nap);
		nap = nap < NAP_MAX / 2 ? 2 * nap : NAP_MAX;
	}
}

enum virtio_progress remote_progress(struct virtio_device *device, uint16_t index, uint32_t budget)
{
	struct remote *remote = remote_of(device);

	(void)budget;
	if (!remote->queues[index].started || remote_is_gone(remote))
		return VIRTIO_IDLE;
	go(remote);
	if (remote_share_memory(remote) != 0)
		remote->base.transport_ops->needs_reset(remote->base.transport);
	return work(remote, index);
}

/* An answer for each queue: a backend may have a thread for each, which has a turn meanwhile. */
static void ask_all(struct remote *remote)
{
	uint64_t value;

	for (uint16_t i = 0; i < remote->queue_count; i++)
		remote_ask_u64(&remote->channel, VHOST_USER_GET_FEATURES, &value);
}

static void kick_stopped(const struct remote_queue *queue)
{
	const uint64_t one = 1;

	if (queue->has_fds && !queue->started && write(queue->kick_fd, &one, sizeof(one)) < 0)
		drain(queue->kick_fd); /* there are enough of them: it does not read them */
}

void vqsim_remote_linger(struct virtio_device *device)
{
	struct remote *remote = remote_of(device);

	for (uint16_t i = 0; i < remote->queue_count; i++)
		kick_stopped(&remote->queues[i]);
	for (unsigned ms = 0; ms < LINGER; ms++) {
		ask_all(remote);
		poll(NULL, 0, 1);
	}
	/* Some notice what is wrong with them, and go, only at the next message. */
	ask_all(remote);
	for (uint16_t i = 0; i < remote->queue_count; i++)
		if (remote->queues[i].has_fds)
			hear(remote, i);
}
