/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages to a backend and its answers, each within a deadline. While an answer is waited for,
 * what the backend asks on its own socket is answered too: it may not go on before that.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "remote_internal.h"

/* What a backend asks has at most this payload (an address in the rings of IOTLB, an area). */
#define REQUEST_MAX 64u

uint64_t remote_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void remote_channel_close(struct remote_channel *channel)
{
	if (channel->fd >= 0)
		close(channel->fd);
	if (channel->backend_fd >= 0)
		close(channel->backend_fd);
	channel->fd = channel->backend_fd = -1;
}

/* The first sentence stays. Returns error. */
static __attribute__((format(printf, 4, 5))) int lose(struct remote_channel *channel, int error,
						      bool faulty, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!channel->text[0])
		vsnprintf(channel->text, sizeof(channel->text), format, args);
	va_end(args);
	channel->faulty |= faulty;
	remote_channel_close(channel);
	return error;
}

static int closed(struct remote_channel *channel, uint32_t request)
{
	return lose(channel, -EPIPE, false, "the backend closed the connection at message %u",
		    request);
}

static int late(struct remote_channel *channel, uint32_t request)
{
	return lose(channel, -ETIMEDOUT, true,
		    "the backend does not answer message %u within %u ms", request,
		    channel->deadline);
}

static int send_all(struct remote_channel *channel, const struct remote_message *message,
		    uint32_t flags)
{
	struct vhost_user_header header = {message->request, flags, message->size};
	struct iovec iov[] = {{&header, sizeof(header)},
			      {(void *)(uintptr_t)message->payload, message->size}};
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
	} control;
	struct msghdr out = {.msg_iov = iov, .msg_iovlen = message->size ? 2 : 1};
	ssize_t sent;

	if (message->fd_count) {
		out.msg_control = &control;
		out.msg_controllen = CMSG_SPACE(message->fd_count * sizeof(int));
		memset(&control, 0, sizeof(control));
		CMSG_FIRSTHDR(&out)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&out)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&out)->cmsg_len = CMSG_LEN(message->fd_count * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&out)), message->fds,
		       message->fd_count * sizeof(int));
	}
	if (channel->fd < 0)
		return -EPIPE;
	do
		sent = sendmsg(channel->fd, &out, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	/* A stream of a unix socket takes so small a message whole, or waits as SO_SNDTIMEO says. */
	if (sent == (ssize_t)(sizeof(header) + message->size))
		return 0;
	return sent < 0 && errno != EAGAIN ? closed(channel, message->request)
					   : late(channel, message->request);
}

/* Whatever came with a message that must not bring anything. Returns how many there were. */
static unsigned close_received(struct msghdr *in)
{
	unsigned count = 0;
	int fds[VHOST_USER_FDS_MAX];

	for (struct cmsghdr *c = CMSG_FIRSTHDR(in); c; c = CMSG_NXTHDR(in, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
		count += (unsigned)n;
	}
	return count;
}

/*
 * What there is of size bytes, without waiting; descriptors that come with it are closed and
 * counted. Returns bytes; 0: the other end is closed; -errno.
 */
static ssize_t take(int fd, void *to, size_t size, unsigned *fd_count)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {to, size};
	struct msghdr in = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control)};
	ssize_t taken = recvmsg(fd, &in, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (taken < 0)
		return -errno;
	*fd_count += close_received(&in);
	return taken;
}

/*
 * All of a message on the backend's own socket: they are small and sent at once, so what is not
 * there now is not one.
 */
static bool take_request(int fd, struct vhost_user_header *header, void *payload)
{
	unsigned fds = 0;

	if (take(fd, header, sizeof(*header), &fds) != (ssize_t)sizeof(*header) ||
	    header->size > REQUEST_MAX || fds)
		return false;
	return header->size == 0 || take(fd, payload, header->size, &fds) == (ssize_t)header->size;
}

/* Returns false: nothing there. A socket that makes no sense is not listened to any more. */
static bool serve_request(struct remote_channel *channel)
{
	struct vhost_user_header header;
	uint8_t payload[REQUEST_MAX];
	struct {
		struct vhost_user_header header;
		uint64_t value;
	} __attribute__((packed)) reply;
	struct pollfd ready = {.fd = channel->backend_fd, .events = POLLIN};

	if (channel->backend_fd < 0 || poll(&ready, 1, 0) <= 0)
		return false;
	if (!take_request(channel->backend_fd, &header, payload)) {
		close(channel->backend_fd);
		channel->backend_fd = -1;
		return false;
	}
	if (header.request == VHOST_USER_BACKEND_CONFIG_CHANGE)
		channel->config_changes++;
	if (!(header.flags & VHOST_USER_NEED_REPLY))
		return true;
	reply.header = (struct vhost_user_header){
		header.request, VHOST_USER_VERSION | VHOST_USER_REPLY, sizeof(reply.value)};
	reply.value = header.request != VHOST_USER_BACKEND_CONFIG_CHANGE;
	if (send(channel->backend_fd, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return false;
	return true;
}

/* Until the backend says something, or until the deadline. Returns 0 or -ETIMEDOUT. */
static int wait_for(struct remote_channel *channel, uint64_t until)
{
	for (;;) {
		struct pollfd ready[] = {{.fd = channel->fd, .events = POLLIN},
					 {.fd = channel->backend_fd, .events = POLLIN}};
		uint64_t now = remote_now();

		if (now >= until)
			return -ETIMEDOUT;
		if (poll(ready, 2, (int)(until - now)) < 0 && errno != EINTR)
			return -ETIMEDOUT;
		while (serve_request(channel))
			;
		if (ready[0].revents)
			return 0;
	}
}

static int take_all(struct remote_channel *channel, uint32_t request, void *to, size_t size,
		    uint64_t until)
{
	unsigned fds = 0;
	size_t at = 0;

	while (at < size) {
		ssize_t taken;

		if (wait_for(channel, until) != 0)
			return late(channel, request);
		taken = take(channel->fd, (uint8_t *)to + at, size - at, &fds);
		if (taken == -EAGAIN || taken == -EINTR)
			continue;
		if (taken <= 0)
			return closed(channel, request);
		at += (size_t)taken;
		if (fds)
			return lose(
				channel, -EPROTO, true,
				"the backend sends %u descriptors with its answer to message %u",
				fds, request);
	}
	return 0;
}

static int check_header(struct remote_channel *channel, const struct vhost_user_header *header,
			uint32_t request, uint32_t room)
{
	if (header->request != request)
		return lose(channel, -EPROTO, true, "the backend answers message %u with %u",
			    request, header->request);
	if ((header->flags & (VHOST_USER_VERSION_MASK | VHOST_USER_REPLY)) !=
	    (VHOST_USER_VERSION | VHOST_USER_REPLY))
		return lose(channel, -EPROTO, true,
			    "the backend's answer to message %u has flags 0x%x", request,
			    header->flags);
	if (header->size > room)
		return lose(channel, -EPROTO, true,
			    "the backend's answer to message %u has %u bytes, at most %u can be",
			    request, header->size, room);
	return 0;
}

static int take_reply(struct remote_channel *channel, uint32_t request, void *reply, uint32_t room,
		      uint32_t *size)
{
	uint64_t until = remote_now() + channel->deadline;
	struct vhost_user_header header;
	int error = take_all(channel, request, &header, sizeof(header), until);

	if (!error)
		error = check_header(channel, &header, request, room);
	if (!error)
		error = take_all(channel, request, reply, header.size, until);
	*size = error ? 0 : header.size;
	return error;
}

int remote_ask_some(struct remote_channel *channel, const struct remote_message *message,
		    void *reply, uint32_t room, uint32_t *size)
{
	int error = send_all(channel, message, VHOST_USER_VERSION);

	*size = 0;
	return error ? error : take_reply(channel, message->request, reply, room, size);
}

int remote_ask(struct remote_channel *channel, const struct remote_message *message, void *reply,
	       uint32_t size)
{
	uint32_t got;
	int error = remote_ask_some(channel, message, reply, size, &got);

	if (!error && got != size)
		return lose(channel, -EPROTO, true,
			    "the backend's answer to message %u has %u bytes instead of %u",
			    message->request, got, size);
	return error;
}

int remote_ask_u64(struct remote_channel *channel, uint32_t request, uint64_t *value)
{
	const struct remote_message message = {.request = request};

	return remote_ask(channel, &message, value, sizeof(*value));
}

int remote_tell(struct remote_channel *channel, const struct remote_message *message)
{
	uint64_t refused = 0;
	uint32_t size;
	int error = send_all(channel, message,
			     VHOST_USER_VERSION | (channel->acks ? VHOST_USER_NEED_REPLY : 0));

	if (error || !channel->acks)
		return error;
	error = take_reply(channel, message->request, &refused, sizeof(refused), &size);
	if (error)
		return error;
	if (size != sizeof(refused))
		return lose(channel, -EPROTO, true,
			    "the backend acknowledges message %u with %u bytes", message->request,
			    size);
	return refused ? -EREMOTEIO : 0;
}

int remote_tell_u64(struct remote_channel *channel, uint32_t request, uint64_t value)
{
	const struct remote_message message = {
		.request = request, .payload = &value, .size = sizeof(value)};

	return remote_tell(channel, &message);
}

int remote_tell_vring(struct remote_channel *channel, uint32_t request, uint16_t index,
		      uint32_t value)
{
	const struct vhost_user_vring_state state = {index, value};
	const struct remote_message message = {
		.request = request, .payload = &state, .size = sizeof(state)};

	return remote_tell(channel, &message);
}

/* Nothing may come that was not asked for. */
void remote_listen(struct remote_channel *channel)
{
	struct pollfd ready = {.fd = channel->fd, .events = POLLIN};
	char byte;

	while (serve_request(channel))
		;
	if (channel->fd < 0 || poll(&ready, 1, 0) <= 0)
		return;
	if (recv(channel->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		lose(channel, -EPROTO, true, "the backend says something that it was not asked");
	else
		lose(channel, -EPIPE, false, "the backend closed the connection by itself");
}
