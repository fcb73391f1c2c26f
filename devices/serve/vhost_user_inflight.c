/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inflight areas of a session: made here at the frontend's wish, kept by the frontend, and
 * handed back by it to whoever serves it next. What stands in them, ../inflight.h says.
 */
#define _GNU_SOURCE

#include "vhost_user_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "../inflight.h"

/* Of one queue. Which format the rings have may not be known: then there is room for either. */
static size_t area_size(const struct vhost_user_session *session, bool known, uint16_t queue_size)
{
	size_t split_size = inflight_area_size(false, queue_size);
	size_t packed_size = inflight_area_size(true, queue_size);

	if (!known)
		return split_size > packed_size ? split_size : packed_size;
	return session->packed ? packed_size : split_size;
}

static bool has_driver(const struct vhost_user_session *session)
{
	return virtio_transport_status(&session->transport) & VIRTIO_CONFIG_S_FEATURES_OK;
}

/* Zeroed, and of a size that nobody can change. Returns a descriptor or -1. */
static int make_file(uint64_t size)
{
	int fd = memfd_create("vhost-user-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Its reply has a file, or a size of 0. Peers differ in the padding: it is as long as the request. */
const char *vhost_user_get_inflight_fd(struct vhost_user_exchange *x)
{
	const struct vhost_user_inflight *asked = &x->message->payload.inflight;
	struct vhost_user_inflight *given = &x->reply->payload.inflight;
	uint64_t size;
	int fd;

	*given = (struct vhost_user_inflight){.queue_count = asked->queue_count,
					      .queue_size = asked->queue_size};
	x->reply->header.size = x->message->header.size;
	if (asked->queue_count == 0 || asked->queue_count > x->session->queue_count ||
	    asked->queue_size == 0 || asked->queue_size > VIRTQUEUE_SIZE_MAX)
		return "queues that the device does not have";
	size = asked->queue_count *
	       (uint64_t)area_size(x->session, has_driver(x->session), asked->queue_size);
	fd = make_file(size);
	if (fd < 0)
		return "no memory for inflight areas";
	given->mmap_size = size;
	x->reply->fds[0] = fd;
	x->reply->fd_count = 1;
	return NULL;
}

const char *vhost_user_set_inflight_fd(struct vhost_user_exchange *x)
{
	const struct vhost_user_inflight *given = &x->message->payload.inflight;
	struct vhost_user_session *session = x->session;
	struct vhost_user_area area = {0};
	const char *why;

	if (vhost_user_any_live(session))
		return "inflight areas of rings that are running";
	if (given->queue_count == 0 || given->queue_count > session->queue_count ||
	    given->queue_size == 0 || given->queue_size > VIRTQUEUE_SIZE_MAX ||
	    given->mmap_offset % sizeof(uint64_t) != 0)
		return "inflight areas of queues that the device does not have";
	why = vhost_user_area_map(session, &area, x->message->fds[0], given->mmap_offset,
				  given->mmap_size);
	if (why)
		return why;
	vhost_user_area_unmap(&session->inflight);
	session->inflight = area;
	session->inflight_count = given->queue_count;
	session->inflight_size = given->queue_size;
	return NULL;
}

/* Where the area of a queue is. Returns NULL: it has none, or it does not lie in the file. */
static uint8_t *find_area(const struct vhost_user_session *session, uint16_t index, size_t *size)
{
	*size = area_size(session, session->format_known, session->inflight_size);
	if (!session->inflight.base || index >= session->inflight_count ||
	    (index + UINT64_C(1)) * *size > session->inflight.size)
		return NULL;
	return session->inflight.start + index * *size;
}

const char *vhost_user_inflight_find(const struct vhost_user_session *session, uint16_t index,
				     struct virtio_queue_setup *setup)
{
	if (!session->inflight.base || index >= session->inflight_count)
		return NULL;
	setup->inflight = find_area(session, index, &setup->inflight_size);
	return setup->inflight && setup->size <= session->inflight_size
		       ? NULL
		       : "a ring that its inflight area is too small for";
}

void vhost_user_inflight_settle(struct vhost_user_session *session, uint16_t index)
{
	size_t size;
	uint8_t *area = find_area(session, index, &size);

	if (area)
		inflight_settle(area, size, session->packed);
}

void vhost_user_inflight_forget(struct vhost_user_session *session, uint16_t index)
{
	size_t size;
	uint8_t *area = find_area(session, index, &size);

	if (area)
		inflight_forget(area);
}
