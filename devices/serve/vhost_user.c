/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The backend's side of the protocol: a table of requests, and what each of them does.
 *
 * A message goes through the table first: sizes, descriptors and negotiated features are checked
 * in one place. What is refused is answered with an error if its sender asked for an answer, or
 * if its own reply can say so; otherwise the connection is closed, because a frontend that goes
 * on as if it had been obeyed would do harm to its guest.
 */
#include "vhost_user_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>

void vhost_user_session_tell(const struct vhost_user_session *session, enum vhost_user_event event,
			     const char *text)
{
	if (session->hooks.event)
		session->hooks.event(session->hooks.opaque, event, text);
}

/* Requests */

const char *vhost_user_reply_u64(struct vhost_user_exchange *x, uint64_t value)
{
	x->reply->header.size = sizeof(value);
	x->reply->payload.u64 = value;
	return NULL;
}

/* Who owns a session is clear: whoever has its connection. */
static const char *vhost_user_nothing(struct vhost_user_exchange *x)
{
	(void)x;
	return NULL;
}

/* replies: with a message of its own, which an acknowledgement would be too much for. */
struct request {
	const char *name;
	const char *(*obey)(struct vhost_user_exchange *x);
	uint64_t needs; /* protocol features */
	uint16_t size_min;
	uint16_t size_max;
	uint8_t fds_min;
	uint8_t fds_max;
	bool replies;
};

/* Sizes of payloads. */
enum {
	NONE = 0,
	U64 = sizeof(uint64_t),
	STATE = sizeof(struct vhost_user_vring_state),
	ADDR = sizeof(struct vhost_user_vring_addr),
	TABLE = offsetof(struct vhost_user_memory, regions),
	TABLE_MAX = sizeof(struct vhost_user_memory),
	REGION = sizeof(struct vhost_user_single_region),
	INFLIGHT = VHOST_USER_INFLIGHT_SIZE,
	INFLIGHT_MAX = sizeof(struct vhost_user_inflight), /* as most compilers have it */
	LOG = sizeof(struct vhost_user_log),
	CONFIG = sizeof(struct vhost_user_config),
	CONFIG_MAX = CONFIG + VHOST_USER_CONFIG_MAX,
};

#define NEEDS(name) VHOST_USER_PROTOCOL(name)

/* clang-format off */
#define REQUEST(name, function, needs, size_min, size_max, fds_min, fds_max, replies) \
	[VHOST_USER_##name] = {#name, vhost_user_##function, needs, size_min, size_max, \
			       fds_min, fds_max, replies}
/* clang-format on */

/* Name, function, protocol features, size from and to, descriptors from and to, own reply. */
static const struct request requests[] = {
	REQUEST(GET_FEATURES, get_features, 0, NONE, NONE, 0, 0, true),
	REQUEST(SET_FEATURES, set_features, 0, U64, U64, 0, 0, false),
	REQUEST(SET_OWNER, nothing, 0, NONE, NONE, 0, 0, false),
	REQUEST(RESET_OWNER, nothing, 0, NONE, NONE, 0, 0, false),
	REQUEST(SET_MEM_TABLE, set_mem_table, 0, TABLE, TABLE_MAX, 0, VHOST_USER_FDS_MAX, false),
	REQUEST(SET_LOG_BASE, set_log_base, NEEDS(LOG_SHMFD), LOG, LOG, 1, 1, true),
	REQUEST(SET_LOG_FD, nothing, 0, NONE, U64, 1, 1, false),
	REQUEST(SET_VRING_NUM, set_vring_num, 0, STATE, STATE, 0, 0, false),
	REQUEST(SET_VRING_ADDR, set_vring_addr, 0, ADDR, ADDR, 0, 0, false),
	REQUEST(SET_VRING_BASE, set_vring_base, 0, STATE, STATE, 0, 0, false),
	REQUEST(GET_VRING_BASE, get_vring_base, 0, STATE, STATE, 0, 0, true),
	REQUEST(SET_VRING_KICK, set_vring_kick, 0, U64, U64, 0, 1, false),
	REQUEST(SET_VRING_CALL, set_vring_call, 0, U64, U64, 0, 1, false),
	REQUEST(SET_VRING_ERR, set_vring_err, 0, U64, U64, 0, 1, false),
	REQUEST(GET_PROTOCOL_FEATURES, get_protocol_features, 0, NONE, NONE, 0, 0, true),
	REQUEST(SET_PROTOCOL_FEATURES, set_protocol_features, 0, U64, U64, 0, 0, false),
	REQUEST(GET_QUEUE_NUM, get_queue_num, NEEDS(MQ), NONE, NONE, 0, 0, true),
	REQUEST(SET_VRING_ENABLE, set_vring_enable, 0, STATE, STATE, 0, 0, false),
	REQUEST(SET_BACKEND_REQ_FD, set_backend_fd, NEEDS(BACKEND_REQ), NONE, U64, 1, 1, false),
	REQUEST(GET_CONFIG, get_config, NEEDS(CONFIG), CONFIG, CONFIG_MAX, 0, 0, true),
	REQUEST(SET_CONFIG, set_config, NEEDS(CONFIG), CONFIG, CONFIG_MAX, 0, 0, false),
	REQUEST(GET_INFLIGHT_FD, get_inflight_fd, NEEDS(INFLIGHT_SHMFD), INFLIGHT, INFLIGHT_MAX, 0,
		0, true),
	REQUEST(SET_INFLIGHT_FD, set_inflight_fd, NEEDS(INFLIGHT_SHMFD), INFLIGHT, INFLIGHT_MAX, 1,
		1, false),
	REQUEST(RESET_DEVICE, reset_device_request, NEEDS(RESET_DEVICE), NONE, NONE, 0, 0, false),
	REQUEST(GET_MAX_MEM_SLOTS, get_max_mem_slots, NEEDS(CONFIGURE_MEM_SLOTS), NONE, NONE, 0, 0,
		true),
	REQUEST(ADD_MEM_REG, add_mem_reg, NEEDS(CONFIGURE_MEM_SLOTS), REGION, REGION, 1, 1, false),
	REQUEST(REM_MEM_REG, rem_mem_reg, NEEDS(CONFIGURE_MEM_SLOTS), REGION, REGION, 0, 1, false),
	REQUEST(SET_STATUS, set_status, NEEDS(STATUS), U64, U64, 0, 0, false),
	REQUEST(GET_STATUS, get_status, NEEDS(STATUS), NONE, NONE, 0, 0, true),
};

static const struct request unknown;

static const struct request *find_request(uint32_t number)
{
	if (number >= sizeof(requests) / sizeof(requests[0]) || !requests[number].obey)
		return &unknown;
	return &requests[number];
}

static const char *obey(const struct request *request, struct vhost_user_exchange *x)
{
	if (!request->obey)
		return "not known here";
	if (request->needs & ~x->session->protocol_features)
		return "its protocol feature was not negotiated";
	if (x->message->header.size < request->size_min ||
	    x->message->header.size > request->size_max)
		return "of the wrong size";
	if (x->message->fd_count < request->fds_min || x->message->fd_count > request->fds_max)
		return "with the wrong number of descriptors";
	return request->obey(x);
}

static void tell_refused(struct vhost_user_session *session, uint32_t number, const char *why)
{
	const char *name = find_request(number)->name;
	char text[128];

	if (name)
		snprintf(text, sizeof(text), "%s: %s", name, why);
	else
		snprintf(text, sizeof(text), "request %" PRIu32 ": %s", number, why);
	vhost_user_session_tell(session, VHOST_USER_REFUSED, text);
}

enum vhost_user_answer vhost_user_session_take(struct vhost_user_session *session,
					       struct vhost_user_message *message,
					       struct vhost_user_message *reply)
{
	const struct request *request = find_request(message->header.request);
	struct vhost_user_exchange x = {session, message, reply};
	bool acknowledge;
	const char *why;

	reply->header = (struct vhost_user_header){
		.request = message->header.request,
		.flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
	};
	reply->fd_count = 0;
	why = obey(request, &x);
	vhost_user_close_fds(message);
	if (why)
		tell_refused(session, message->header.request, why);
	if (__atomic_load_n(&session->memory_lost, __ATOMIC_RELAXED)) {
		vhost_user_close_fds(reply);
		return VHOST_USER_HANG_UP;
	}
	if (request->replies)
		return !why || reply->header.size > 0 ? VHOST_USER_REPLIED : VHOST_USER_HANG_UP;
	/* Asked for after the message was obeyed: that may have been SET_PROTOCOL_FEATURES. */
	acknowledge = (message->header.flags & VHOST_USER_NEED_REPLY) &&
		      (session->protocol_features & VHOST_USER_PROTOCOL(REPLY_ACK));
	if (acknowledge) {
		vhost_user_reply_u64(&x, why ? 1 : 0);
		return VHOST_USER_REPLIED;
	}
	return why ? VHOST_USER_HANG_UP : VHOST_USER_SILENT;
}

/* What the device calls */

static void tell_news(struct vhost_user_session *session)
{
	if (session->hooks.news)
		session->hooks.news(session->hooks.opaque);
}

static void notify_used(void *transport, uint16_t index)
{
	vhost_user_queue_notify(transport, index);
}

static void config_changed(void *transport)
{
	struct vhost_user_session *session = transport;

	__atomic_store_n(&session->config_due, true, __ATOMIC_RELEASE);
	tell_news(session);
}

static void needs_reset(void *transport)
{
	struct vhost_user_session *session = transport;

	if (virtio_transport_status(&session->transport) & VIRTIO_STATUS_NEEDS_RESET)
		return;
	if (virtio_transport_needs_reset(&session->transport))
		config_changed(session);
	vhost_user_queues_tell_error(session);
	vhost_user_session_tell(session, VHOST_USER_BROKEN, "the device needs a reset");
}

static const struct virtio_transport_ops session_ops = {
	.notify_used = notify_used,
	.config_changed = config_changed,
	.needs_reset = needs_reset,
};

/* Life */

static int init_queues(struct vhost_user_session *session)
{
	session->queue_count = session->transport.queue_count < VHOST_USER_QUEUES_MAX
				       ? session->transport.queue_count
				       : VHOST_USER_QUEUES_MAX;
	session->queues = calloc(session->queue_count, sizeof(*session->queues));
	session->regions = calloc(VHOST_USER_SLOTS_MAX, sizeof(*session->regions));
	if (!session->queues || !session->regions)
		return -ENOMEM;
	for (uint16_t i = 0; i < session->queue_count; i++)
		session->queues[i] =
			(struct vhost_user_queue){.kick_fd = -1, .call_fd = -1, .err_fd = -1};
	return 0;
}

int vhost_user_session_init(struct vhost_user_session *session, struct virtio_device *device,
			    uint64_t hidden_features, const struct vhost_user_hooks *hooks)
{
	int error;

	memset(session, 0, sizeof(*session));
	session->device = device;
	session->backend_fd = -1;
	session->hooks = *hooks;
	error = guest_memory_init(&session->memory);
	if (error)
		return error;
	virtio_device_attach(device, &session_ops, session, &session->memory);
	error = virtio_transport_init(&session->transport, device,
				      hidden_features | VHOST_USER_OWN_FEATURES, 0);
	if (!error)
		error = init_queues(session);
	if (error) {
		vhost_user_session_finish(session);
		return error;
	}
	/* A ring is reset by GET_VRING_BASE; a kick by a descriptor carries no data. */
	session->transport.own_features = VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET);
	return 0;
}

void vhost_user_session_close(struct vhost_user_session *session)
{
	vhost_user_session_reset(session);
	for (uint16_t i = 0; i < session->queue_count; i++)
		vhost_user_queue_forget(&session->queues[i]);
	vhost_user_memory_forget(session);
	vhost_user_area_unmap(&session->log);
	vhost_user_area_unmap(&session->inflight);
	vhost_user_set_backend(session, -1);
	session->protocol_features = 0;
	session->format_known = false;
	session->packed = false;
	__atomic_store_n(&session->config_due, false, __ATOMIC_RELEASE);
	__atomic_store_n(&session->memory_lost, false, __ATOMIC_RELAXED);
}

void vhost_user_session_finish(struct vhost_user_session *session)
{
	if (!session->device)
		return;
	if (session->queues && session->regions)
		vhost_user_session_close(session);
	virtio_transport_finish(&session->transport);
	virtio_device_attach(session->device, NULL, NULL, NULL);
	guest_memory_finish(&session->memory);
	free(session->queues);
	free(session->regions);
	memset(session, 0, sizeof(*session));
}
