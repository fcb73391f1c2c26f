/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE

#include "vhost_relay.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/device.h"
#include "devices/serve/vhost_user_wire.h"

#define PAYLOAD_MAX 512u
#define OWN_STATUS  1u

struct message {
	struct vhost_user_header header;
	uint8_t payload[PAYLOAD_MAX];
	unsigned fd_count;
	int fds[VHOST_USER_FDS_MAX];
};

static void keep_fds(struct msghdr *in, struct message *message)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(in);

	message->fd_count = 0;
	if (!c)
		return;
	message->fd_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(message->fds, CMSG_DATA(c), message->fd_count * sizeof(int));
}

static bool take(int fd, struct message *message)
{
	char control[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
	struct iovec iov = {&message->header, sizeof(message->header)};
	struct msghdr in = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control)};

	if (recvmsg(fd, &in, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(message->header) ||
	    message->header.size > PAYLOAD_MAX)
		return false;
	keep_fds(&in, message);
	return message->header.size == 0 || recv(fd, message->payload, message->header.size,
						 MSG_WAITALL) == (ssize_t)message->header.size;
}

/* With its descriptors, which are the receiver's from here on. */
static void pass(int fd, const struct message *message)
{
	char control[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))] = {0};
	struct iovec iov[] = {
		{(void *)(uintptr_t)&message->header, sizeof(message->header)},
		{(void *)(uintptr_t)message->payload, message->header.size},
	};
	struct msghdr out = {.msg_iov = iov, .msg_iovlen = 2};

	if (message->fd_count) {
		out.msg_control = control;
		out.msg_controllen = CMSG_SPACE(message->fd_count * sizeof(int));
		CMSG_FIRSTHDR(&out)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&out)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&out)->cmsg_len = CMSG_LEN(message->fd_count * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&out)), message->fds,
		       message->fd_count * sizeof(int));
	}
	/* A side that has gone away is noticed where it is listened to. */
	sendmsg(fd, &out, MSG_NOSIGNAL);
	for (unsigned i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
}

static uint64_t value_of(const struct message *message)
{
	uint64_t value;

	memcpy(&value, message->payload, sizeof(value));
	return value;
}

static void set_value(struct message *message, uint64_t value)
{
	memcpy(message->payload, &value, sizeof(value));
	message->header.size = sizeof(value);
}

/* As if the backend had done it. */
static void pretend(const struct vhost_relay *relay, struct message *message, uint64_t value)
{
	bool wanted = message->header.flags & VHOST_USER_NEED_REPLY;

	if (message->header.request != VHOST_USER_GET_VRING_BASE && !wanted)
		return;
	message->header.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	if (message->header.request != VHOST_USER_GET_VRING_BASE)
		set_value(message, value);
	pass(relay->front, message);
}

/* A question of the relay's own. */
static void ask(const struct vhost_relay *relay, uint32_t request, const void *payload,
		uint32_t size)
{
	struct message message = {
		.header = {request, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, size}};

	memcpy(message.payload, payload, size);
	pass(relay->back, &message);
	take(relay->back, &message);
}

/* What the backend was not told when it was time. */
static void catch_up(struct vhost_relay *relay)
{
	for (uint32_t i = 0; i < RELAY_QUEUES; i++) {
		const struct vhost_user_vring_state state = {i, 0};

		if (relay->runs[i])
			ask(relay, VHOST_USER_GET_VRING_BASE, &state, sizeof(state));
		relay->runs[i] = false;
	}
	ask(relay, VHOST_USER_RESET_DEVICE, "", 0);
	ask(relay, VHOST_USER_SET_FEATURES, &relay->features, sizeof(relay->features));
	relay->is_owing = false;
}

/* Returns true: the backend does not hear of it. */
static bool is_deaf_to(struct vhost_relay *relay, const struct message *message)
{
	uint32_t index = message->payload[0];

	switch (message->header.request) {
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_RESET_DEVICE:
		relay->is_owing = true;
		return true;
	case VHOST_USER_SET_VRING_ENABLE:
		return relay->is_owing || message->payload[4] == 0;
	case VHOST_USER_SET_FEATURES:
		relay->features = value_of(message);
		return relay->is_owing;
	case VHOST_USER_SET_VRING_NUM:
		if (relay->is_owing)
			catch_up(relay);
		relay->runs[index % RELAY_QUEUES] = true;
		return false;
	default:
		return false;
	}
}

static bool pass_request(struct vhost_relay *relay)
{
	struct message message;

	if (!take(relay->front, &message))
		return false;
	if (relay->fault == RELAY_DEAF && is_deaf_to(relay, &message))
		pretend(relay, &message, 0);
	else
		pass(relay->back, &message);
	return true;
}

static bool pass_answer(const struct vhost_relay *relay)
{
	struct message message;

	if (!take(relay->back, &message))
		return false;
	if (relay->fault == RELAY_STATUS_STAYS && message.header.request == VHOST_USER_GET_STATUS)
		set_value(&message, value_of(&message) | OWN_STATUS);
	if (relay->fault == RELAY_DEAF &&
	    message.header.request == VHOST_USER_GET_PROTOCOL_FEATURES)
		set_value(&message,
			  value_of(&message) & ~VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_STATUS));
	pass(relay->front, &message);
	return true;
}

static void serve(struct vhost_relay *relay)
{
	bool goes_on = true;

	while (goes_on) {
		struct pollfd ready[] = {{.fd = relay->front, .events = POLLIN},
					 {.fd = relay->back, .events = POLLIN}};

		poll(ready, 2, -1);
		if (ready[0].revents)
			goes_on = pass_request(relay);
		else if (ready[1].revents)
			goes_on = pass_answer(relay);
	}
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, path, strlen(path) + 1);
	return address;
}

static void *run(void *opaque)
{
	struct vhost_relay *relay = opaque;
	struct sockaddr_un backend = address_of(relay->backend);

	while ((relay->front = accept(relay->listener, NULL, NULL)) >= 0) {
		relay->back = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		memset(relay->runs, 0, sizeof(relay->runs));
		relay->is_owing = false;
		if (connect(relay->back, (struct sockaddr *)&backend, sizeof(backend)) == 0)
			serve(relay);
		close(relay->back);
		close(relay->front);
	}
	return NULL;
}

void vhost_relay_start(struct vhost_relay *relay)
{
	struct sockaddr_un address = address_of(relay->path);

	relay->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(relay->listener >= 0);
	assert_int_equal(bind(relay->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(relay->listener, 4), 0);
	assert_int_equal(pthread_create(&relay->thread, NULL, run, relay), 0);
}

void vhost_relay_finish(struct vhost_relay *relay)
{
	shutdown(relay->listener, SHUT_RDWR);
	pthread_join(relay->thread, NULL);
	close(relay->listener);
	unlink(relay->path);
}
