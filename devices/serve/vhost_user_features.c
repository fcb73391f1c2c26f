/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Features and status. The device's life is virtio_transport's: SET_FEATURES stands for everything
 * up to FEATURES_OK; without the protocol feature STATUS also for DRIVER_OK, since nothing else
 * tells when the driver is ready.
 */
#include "vhost_user_internal.h"

#include <linux/virtio_config.h>

#define OFFER(name) VHOST_USER_PROTOCOL(name)

#define PROTOCOL_FEATURES                                                                       \
	(OFFER(MQ) | OFFER(LOG_SHMFD) | OFFER(REPLY_ACK) | OFFER(BACKEND_REQ) | OFFER(CONFIG) | \
	 OFFER(INFLIGHT_SHMFD) | OFFER(RESET_DEVICE) | OFFER(CONFIGURE_MEM_SLOTS) | OFFER(STATUS))

/*
 * Not of a device whose state dies with this process: that has no use for areas that outlive it. And
 * QEMU sends status 0 whenever it stops the rings, also for a pause of the machine, after which the
 * guest goes on with what it had built up. RESET_DEVICE is sent for what is a reset.
 */
#define NOT_BOUND (OFFER(INFLIGHT_SHMFD) | OFFER(STATUS))

static uint64_t protocol_features(const struct vhost_user_session *session)
{
	return session->device->ops->instance_bound ? PROTOCOL_FEATURES & ~NOT_BOUND
						    : PROTOCOL_FEATURES;
}

static uint64_t offered(const struct vhost_user_session *session)
{
	return virtio_transport_features(&session->transport) | VHOST_USER_OWN_FEATURES;
}

const char *vhost_user_get_features(struct vhost_user_exchange *x)
{
	return vhost_user_reply_u64(x, offered(x->session));
}

static bool has_status(const struct vhost_user_session *session, uint8_t bit)
{
	return virtio_transport_status(&session->transport) & bit;
}

bool vhost_user_any_live(const struct vhost_user_session *session)
{
	for (uint16_t i = 0; i < session->queue_count; i++)
		if (virtio_transport_queue_live(&session->transport, i))
			return true;
	return false;
}

/* No queue is live: the reset has nothing to wait for but what the device does by itself. */
static void reset_device(struct vhost_user_session *session)
{
	virtio_transport_write_status(&session->transport, 0);
	while (virtio_transport_status(&session->transport) != 0)
		virtio_transport_continue(&session->transport);
}

static void driver_ok(struct vhost_user_session *session)
{
	virtio_transport_write_status(&session->transport, VIRTIO_CONFIG_S_DRIVER_OK);
}

/* Whether the device agreed, FEATURES_OK says. Returns NULL or why it was not asked. */
static const char *negotiate(struct vhost_user_session *session, uint64_t features)
{
	if (has_status(session, VIRTIO_CONFIG_S_FEATURES_OK) &&
	    !has_status(session, VIRTIO_STATUS_NEEDS_RESET) &&
	    session->transport.driver_features == features)
		return NULL;
	if (vhost_user_any_live(session))
		return "features while a ring is running";
	reset_device(session);
	session->features = 0;
	virtio_transport_set_features(&session->transport, features);
	virtio_transport_write_status(&session->transport, VIRTIO_CONFIG_S_ACKNOWLEDGE |
								   VIRTIO_CONFIG_S_DRIVER |
								   VIRTIO_CONFIG_S_FEATURES_OK);
	return NULL;
}

/* The bits are taken: whoever reads the status hears in it if the device does not agree (2.2.2). */
static const char *keep(struct vhost_user_session *session, uint64_t features)
{
	bool agreed = has_status(session, VIRTIO_CONFIG_S_FEATURES_OK);

	if (!agreed && !(session->protocol_features & VHOST_USER_PROTOCOL(STATUS)))
		return "features that do not work together";
	session->features = features;
	if (agreed) {
		session->format_known = true;
		session->packed = features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	}
	return NULL;
}

const char *vhost_user_set_features(struct vhost_user_exchange *x)
{
	uint64_t features = x->message->payload.u64;
	const char *why;

	if (features & ~offered(x->session))
		return "features that are not offered";
	why = negotiate(x->session, features & ~VHOST_USER_OWN_FEATURES);
	if (!why)
		why = keep(x->session, features);
	if (why)
		return why;
	vhost_user_switch_log(x->session);
	if (!(x->session->protocol_features & VHOST_USER_PROTOCOL(STATUS)) ||
	    (x->session->status & VIRTIO_CONFIG_S_DRIVER_OK))
		driver_ok(x->session);
	vhost_user_queues_update(x->session);
	return NULL;
}

const char *vhost_user_get_protocol_features(struct vhost_user_exchange *x)
{
	return vhost_user_reply_u64(x, protocol_features(x->session));
}

const char *vhost_user_set_protocol_features(struct vhost_user_exchange *x)
{
	if (x->message->payload.u64 & ~protocol_features(x->session))
		return "protocol features that are not offered";
	if (vhost_user_any_live(x->session))
		return "protocol features while a ring is running";
	x->session->protocol_features = x->message->payload.u64;
	return NULL;
}

const char *vhost_user_get_queue_num(struct vhost_user_exchange *x)
{
	return vhost_user_reply_u64(x, x->session->queue_count);
}

/* Status */

void vhost_user_session_reset(struct vhost_user_session *session)
{
	for (uint16_t i = 0; i < session->queue_count; i++) {
		struct vhost_user_queue *queue = &session->queues[i];

		vhost_user_queue_stop(session, i);
		vhost_user_queue_set_fd(&queue->kick_fd, -1);
		*queue = (struct vhost_user_queue){
			.kick_fd = -1,
			.call_fd = queue->call_fd,
			.err_fd = queue->err_fd,
		};
	}
	reset_device(session);
	session->features = 0;
	session->status = 0;
	vhost_user_switch_log(session);
}

static void reset_by_driver(struct vhost_user_session *session)
{
	for (uint16_t i = 0; i < session->queue_count; i++) {
		vhost_user_queue_stop(session, i);
		vhost_user_inflight_forget(session, i);
	}
	vhost_user_session_reset(session);
}

const char *vhost_user_reset_device_request(struct vhost_user_exchange *x)
{
	reset_by_driver(x->session);
	return NULL;
}

const char *vhost_user_set_status(struct vhost_user_exchange *x)
{
	uint64_t status = x->message->payload.u64;

	if (status > UINT8_MAX)
		return "a status of more than 8 bits";
	if (status == 0) {
		reset_by_driver(x->session);
		return NULL;
	}
	x->session->status |= (uint8_t)status;
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		driver_ok(x->session);
	/* 2.1.2: its driver would wait for a ring that never answers. */
	if (!vhost_user_queues_update(x->session) && (status & VIRTIO_CONFIG_S_DRIVER_OK))
		x->session->device->transport_ops->needs_reset(x->session);
	return NULL;
}

/*
 * What the driver wrote, but FEATURES_OK and what follows on it only if the device agreed, and what
 * only the device sets.
 */
const char *vhost_user_get_status(struct vhost_user_exchange *x)
{
	uint8_t device = virtio_transport_status(&x->session->transport);
	uint8_t agreed = device & VIRTIO_CONFIG_S_FEATURES_OK;
	uint8_t status = x->session->status & (uint8_t)~VIRTIO_STATUS_NEEDS_RESET;

	if (!agreed)
		status &= (uint8_t) ~(VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	return vhost_user_reply_u64(x, status | (device & VIRTIO_STATUS_NEEDS_RESET));
}
