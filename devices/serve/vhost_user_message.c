/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages on a stream socket. Where one ends and the next begins, only the headers tell: after
 * one that is malformed nothing can be trusted any more.
 */
#define _GNU_SOURCE

#include "vhost_user_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void vhost_user_close_fds(struct vhost_user_message *message)
{
	for (unsigned i = 0; i < message->fd_count; i++)
		vhost_user_close(message->fds[i]);
	message->fd_count = 0;
}

int vhost_user_take_fd(struct vhost_user_message *message)
{
	int fd = message->fds[0];

	if (message->fd_count == 0)
		return -1;
	message->fd_count--;
	memmove(message->fds, message->fds + 1, message->fd_count * sizeof(message->fds[0]));
	return fd;
}

void vhost_user_receiver_drop(struct vhost_user_receiver *receiver)
{
	vhost_user_close_fds(&receiver->message);
	receiver->got = 0;
}

/* The kernel has put at most as many descriptors there as the message has room for. */
static void collect_fds(struct msghdr *head, struct vhost_user_message *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(head); part; part = CMSG_NXTHDR(head, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		message->fd_count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(message->fds, CMSG_DATA(part), message->fd_count * sizeof(int));
	}
}

/* Read up to size bytes of the message. */
static enum vhost_user_receipt read_piece(struct vhost_user_receiver *receiver, int socket,
					  void *to, size_t size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
	} control;
	struct iovec piece = {.iov_base = to, .iov_len = size};
	struct msghdr head = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct vhost_user_message with = {0};
	ssize_t got;

	do
		got = vhost_user_recvmsg(socket, &head);
	while (got == -EINTR);
	if (got < 0)
		return got == -EAGAIN ? VHOST_USER_LATER : VHOST_USER_CLOSED;
	collect_fds(&head, &with);
	/* They belong to the first byte of a message, and to no other. */
	if ((head.msg_flags & MSG_CTRUNC) || (with.fd_count > 0 && receiver->got > 0)) {
		vhost_user_close_fds(&with);
		return VHOST_USER_MALFORMED;
	}
	if (with.fd_count > 0) {
		receiver->message.fd_count = with.fd_count;
		memcpy(receiver->message.fds, with.fds, sizeof(with.fds));
	}
	receiver->got += (size_t)got;
	return got == 0 ? VHOST_USER_CLOSED : VHOST_USER_RECEIVED;
}

static bool header_is_sane(const struct vhost_user_header *header)
{
	return (header->flags & VHOST_USER_VERSION_MASK) == VHOST_USER_VERSION &&
	       !(header->flags & VHOST_USER_REPLY) && header->size <= VHOST_USER_PAYLOAD_MAX;
}

enum vhost_user_receipt vhost_user_receive(struct vhost_user_receiver *receiver, int socket)
{
	struct vhost_user_message *message = &receiver->message;
	const size_t head = sizeof(message->header);
	enum vhost_user_receipt receipt;

	while (receiver->got < head) {
		receipt = read_piece(receiver, socket, (uint8_t *)&message->header + receiver->got,
				     head - receiver->got);
		if (receipt != VHOST_USER_RECEIVED)
			return receipt;
	}
	if (!header_is_sane(&message->header))
		return VHOST_USER_MALFORMED;
	while (receiver->got < head + message->header.size) {
		receipt = read_piece(receiver, socket,
				     message->payload.bytes + (receiver->got - head),
				     head + message->header.size - receiver->got);
		if (receipt != VHOST_USER_RECEIVED)
			return receipt;
	}
	receiver->got = 0;
	return VHOST_USER_RECEIVED;
}

static void attach_fd(struct msghdr *head, int fd)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(head);

	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(part), &fd, sizeof(int));
}

int vhost_user_send(int socket, const struct vhost_user_message *message)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec pieces[2] = {
		{(void *)(uintptr_t)&message->header, sizeof(message->header)},
		{(void *)(uintptr_t)message->payload.bytes, message->header.size},
	};
	struct msghdr head = {.msg_iov = pieces, .msg_iovlen = 2};
	ssize_t sent;

	if (message->fd_count > 0) {
		head.msg_control = control.bytes;
		head.msg_controllen = sizeof(control.bytes);
		attach_fd(&head, message->fds[0]);
	}
	do
		sent = sendmsg(socket, &head, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == pieces[0].iov_len + pieces[1].iov_len ? 0 : -EAGAIN;
}
