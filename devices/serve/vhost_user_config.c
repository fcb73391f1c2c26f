/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The config space in messages, and the backend channel, on which the frontend hears that it has
 * changed. That channel is written to without waiting: of a frontend that does not read, it is
 * remembered that a message is due. Answers are not asked for, and none is read.
 */
#include "vhost_user_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The range of a message about config space, checked but for where the space ends. */
static const char *check_range(const struct vhost_user_message *message)
{
	const struct vhost_user_config *head = &message->payload.config.head;

	if (head->size == 0 || head->size > VHOST_USER_CONFIG_MAX ||
	    head->offset > VHOST_USER_CONFIG_MAX - head->size)
		return "a range that no config space has";
	if (message->header.size != sizeof(*head) + head->size)
		return "a range that is not as large as the message";
	return NULL;
}

/* As many bytes as were asked for; those behind the end of the space read as zero. */
static bool read_padded(struct virtio_transport *transport, uint32_t offset, uint8_t *buf,
			uint32_t size)
{
	const struct virtio_device_ops *ops = transport->device->ops;
	uint32_t room = ops->config_size ? ops->config_size(transport->device) : 0;

	memset(buf, 0, size);
	if (offset >= room)
		return true;
	if (size > room - offset)
		size = room - offset;
	return virtio_transport_config_read(transport, offset, buf, size) == 0;
}

const char *vhost_user_get_config(struct vhost_user_exchange *x)
{
	const struct vhost_user_config *asked = &x->message->payload.config.head;
	struct vhost_user_config *head = &x->reply->payload.config.head;
	const char *why = check_range(x->message);

	*head = (struct vhost_user_config){.offset = asked->offset, .flags = asked->flags};
	x->reply->header.size = sizeof(*head);
	if (why)
		return why;
	if (!read_padded(&x->session->transport, asked->offset, x->reply->payload.config.bytes,
			 asked->size))
		return "a config space that cannot be read now";
	head->size = asked->size;
	x->reply->header.size = (uint32_t)(sizeof(*head) + head->size);
	return NULL;
}

/* Live migration writes what was read elsewhere; fields that cannot be written have to agree. */
static bool agrees(struct virtio_transport *transport, uint32_t offset, const uint8_t *bytes,
		   uint32_t size)
{
	uint8_t present[VHOST_USER_CONFIG_MAX];

	return read_padded(transport, offset, present, size) && memcmp(present, bytes, size) == 0;
}

const char *vhost_user_set_config(struct vhost_user_exchange *x)
{
	const struct vhost_user_config *head = &x->message->payload.config.head;
	const uint8_t *bytes = x->message->payload.config.bytes;
	struct virtio_transport *transport = &x->session->transport;
	const char *why = check_range(x->message);

	if (why)
		return why;
	if (head->flags == VHOST_USER_CONFIG_MIGRATE &&
	    agrees(transport, head->offset, bytes, head->size))
		return NULL;
	if (virtio_transport_config_write(transport, head->offset, bytes, head->size) != 0)
		return "a field that is read-only or not there";
	return NULL;
}

void vhost_user_set_backend(struct vhost_user_session *session, int fd)
{
	if (session->backend_fd >= 0)
		vhost_user_close(session->backend_fd);
	session->backend_fd = fd;
}

/* A socket; a pipe serves as well, as no answers are read. */
const char *vhost_user_set_backend_fd(struct vhost_user_exchange *x)
{
	struct stat info;

	if (fstat(x->message->fds[0], &info) != 0 ||
	    (!S_ISSOCK(info.st_mode) && !S_ISFIFO(info.st_mode)))
		return "a descriptor that is neither a socket nor a pipe";
	if (!vhost_user_unblock(x->message->fds[0]))
		return "a descriptor that cannot be told not to block";
	vhost_user_set_backend(x->session, vhost_user_take_fd(x->message));
	vhost_user_session_flush(x->session);
	return NULL;
}

void vhost_user_session_flush(struct vhost_user_session *session)
{
	const struct vhost_user_header news = {
		.request = VHOST_USER_BACKEND_CONFIG_CHANGE,
		.flags = VHOST_USER_VERSION,
	};
	int size;

	if (session->backend_fd < 0 || !__atomic_load_n(&session->config_due, __ATOMIC_ACQUIRE))
		return;
	/* Before the message is sent: a change after this is news of its own. */
	__atomic_store_n(&session->config_due, false, __ATOMIC_RELEASE);
	size = vhost_user_write(session, session->backend_fd, &news, sizeof(news));
	if (size == -EAGAIN)
		__atomic_store_n(&session->config_due, true, __ATOMIC_RELEASE);
	else if (size != (int)sizeof(news))
		vhost_user_set_backend(session, -1);
}
