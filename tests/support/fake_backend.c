/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE

#include "fake_backend.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include <cmocka.h>

#include "devices/device.h"
#include "devices/serve/vhost_user_wire.h"

#define PAYLOAD_MAX 512u

/* One message, in or out. */
struct message {
	struct vhost_user_header header;
	uint8_t payload[PAYLOAD_MAX];
} __attribute__((packed));

static void drop_fds(struct msghdr *in)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(in); c; c = CMSG_NXTHDR(in, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[VHOST_USER_FDS_MAX];

		memcpy(fds, CMSG_DATA(c), count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
	}
}

static bool take(int fd, struct message *message)
{
	char control[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
	struct iovec iov = {&message->header, sizeof(message->header)};
	struct msghdr in = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control)};

	if (recvmsg(fd, &in, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(message->header))
		return false;
	drop_fds(&in);
	return message->header.size == 0 || recv(fd, message->payload, message->header.size,
						 MSG_WAITALL) == (ssize_t)message->header.size;
}

static void answer_u64(struct message *message, uint64_t value)
{
	memcpy(message->payload, &value, sizeof(value));
	message->header.size = sizeof(value);
}

static void answer_config(const struct fake_backend *backend, struct message *message)
{
	struct virtio_blk_config config = {.capacity = 2048};
	struct vhost_user_config head;

	memcpy(&head, message->payload, sizeof(head));
	if (head.size > backend->config_size)
		head.size = message->header.size = 0;
	else
		memcpy(message->payload + sizeof(head), &config, sizeof(config));
	memcpy(message->payload, &head, sizeof(head));
}

/* Turn a message into its right answer. Returns false: it has none. */
static bool make_answer(const struct fake_backend *backend, struct message *message)
{
	bool wanted = message->header.flags & VHOST_USER_NEED_REPLY;

	message->header.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	switch (message->header.request) {
	case VHOST_USER_GET_FEATURES:
		answer_u64(message, backend->features);
		return true;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		answer_u64(message, backend->protocol_features);
		return true;
	case VHOST_USER_GET_QUEUE_NUM:
		answer_u64(message, backend->queue_count);
		return true;
	case VHOST_USER_GET_STATUS:
		answer_u64(message, VIRTIO_CONFIG_S_FEATURES_OK);
		return true;
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		answer_u64(message, 32);
		return true;
	case VHOST_USER_GET_CONFIG:
		answer_config(backend, message);
		return true;
	case VHOST_USER_GET_VRING_BASE:
		return true;
	default:
		answer_u64(message, 0);
		return wanted;
	}
}

static void send_with_fd(int fd, const struct message *message, size_t size)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct iovec iov = {(void *)(uintptr_t)message, size};
	struct msghdr out = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};

	CMSG_FIRSTHDR(&out)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&out)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&out)->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&out)), &fd, sizeof(int));
	sendmsg(fd, &out, MSG_NOSIGNAL);
}

static void send_plain(int fd, const struct message *message, size_t size)
{
	/* A frontend that has gone away is no failure of the test. */
	if (send(fd, message, size, MSG_NOSIGNAL) < 0)
		return;
}

/* What is wrong with the bytes of an answer. */
static void spoil(enum fake_slip slip, struct message *message)
{
	switch (slip) {
	case FAKE_OTHER_REQUEST:
		message->header.request++;
		break;
	case FAKE_NO_REPLY:
		message->header.flags &= ~VHOST_USER_REPLY;
		break;
	case FAKE_VERSION:
		message->header.flags += 1;
		break;
	case FAKE_HUGE:
		message->header.size = UINT32_MAX;
		break;
	case FAKE_LONG:
		message->header.size += 4;
		break;
	case FAKE_SHORT:
		message->header.size -= message->header.size >= 4 ? 4 : 0;
		break;
	case FAKE_REFUSES:
		answer_u64(message, 1);
		break;
	default:
		break;
	}
}

static size_t size_of(const struct message *message)
{
	size_t size = message->header.size <= PAYLOAD_MAX ? message->header.size : PAYLOAD_MAX;

	return sizeof(message->header) + size;
}

/* Returns whether the connection goes on. */
static bool slip(const struct fake_backend *backend, int fd, struct message *message)
{
	if (backend->slip == FAKE_CLOSES)
		return false;
	if (backend->slip == FAKE_SILENT)
		return true;
	spoil(backend->slip, message);
	if (backend->slip == FAKE_HALF)
		send_plain(fd, message, sizeof(message->header) / 2);
	else if (backend->slip == FAKE_FD)
		send_with_fd(fd, message, size_of(message));
	else
		send_plain(fd, message, size_of(message));
	if (backend->slip == FAKE_TWICE)
		send_plain(fd, message, size_of(message));
	return true;
}

static void *serve(void *opaque)
{
	struct fake_backend *backend = opaque;
	int fd = accept(backend->listener, NULL, NULL);
	bool slipped = false, going = true;
	struct message message;

	__atomic_store_n(&backend->socket, fd, __ATOMIC_RELEASE);
	while (fd >= 0 && going && take(fd, &message)) {
		bool now = !slipped && message.header.request == backend->request;

		if (!make_answer(backend, &message))
			continue;
		if (now && backend->slip != FAKE_NONE)
			going = slip(backend, fd, &message);
		else
			send_plain(fd, &message, size_of(&message));
		slipped |= now;
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void set_defaults(struct fake_backend *backend)
{
	if (!backend->features)
		backend->features = VIRTIO_FEATURE(VIRTIO_F_VERSION_1) |
				    VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) |
				    VIRTIO_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);
	if (!backend->protocol_features)
		backend->protocol_features = VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_MQ) |
					     VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
					     VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
					     VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_CONFIG);
	if (!backend->queue_count)
		backend->queue_count = 1;
	if (!backend->config_size)
		backend->config_size = 60;
}

void fake_backend_start(struct fake_backend *backend)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	set_defaults(backend);
	snprintf(backend->folder, sizeof(backend->folder), "/tmp/fake-backend.XXXXXX");
	assert_non_null(mkdtemp(backend->folder));
	snprintf(backend->path, sizeof(backend->path), "%s/socket", backend->folder);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", backend->path);
	backend->socket = -1;
	backend->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(backend->listener >= 0);
	assert_int_equal(bind(backend->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(backend->listener, 1), 0);
	assert_int_equal(pthread_create(&backend->thread, NULL, serve, backend), 0);
}

void fake_backend_hang_up(struct fake_backend *backend)
{
	shutdown(__atomic_load_n(&backend->socket, __ATOMIC_ACQUIRE), SHUT_RDWR);
}

void fake_backend_finish(struct fake_backend *backend)
{
	shutdown(backend->listener, SHUT_RDWR); /* if nobody came */
	pthread_join(backend->thread, NULL);
	close(backend->listener);
	unlink(backend->path);
	rmdir(backend->folder);
}

unsigned fake_backend_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}
