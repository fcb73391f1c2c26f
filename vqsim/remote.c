/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A backend of somebody else as a device of the contract. Each call of the table is a few
 * messages; the config space is read whole each time, at offset 0, since some backends ignore
 * the offset.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>

#include "remote_internal.h"

#define DEADLINE       5000u
#define QUEUE_SIZE_MAX 1024u

/* What this side can do. */
#define PROTOCOL_FEATURES                                            \
	(VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_MQ) |                  \
	 VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |           \
	 VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |         \
	 VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_CONFIG) |              \
	 VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |        \
	 VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | \
	 VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_STATUS))

/*
 * What is between the two processes and not the driver's: vhost's own bits, and those of the legacy
 * interface (NOTIFY_ON_EMPTY, ANY_LAYOUT), which a driver with VERSION_1 is not shown (6.3).
 */
#define VHOST_FEATURES                                                                      \
	(VIRTIO_FEATURE(VHOST_F_LOG_ALL) | VIRTIO_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES) | \
	 VIRTIO_FEATURE(24) | VIRTIO_FEATURE(27))

/* Feature bits of a device type. */
#define TYPE_FEATURES (((UINT64_C(1) << 24) - 1) & ~UINT64_C(1))

/* Sizes of config space to try, of devices of several ages. */
static const uint32_t blk_sizes[] = {sizeof(struct virtio_blk_config), 60, 40, 36, 24, 8};
static const uint32_t fs_sizes[] = {sizeof(struct virtio_fs_config), 256};

/* --- the connection -------------------------------------------------------------------------- */

static bool has_config(const struct remote *remote)
{
	return remote_has(remote, VHOST_USER_PROTOCOL_F_CONFIG);
}

/* Returns 0, -ENXIO: it has no so large config space; as remote_tell. */
static int ask_config(struct remote *remote, uint32_t size, void *bytes)
{
	struct {
		struct vhost_user_config head;
		uint8_t bytes[VHOST_USER_CONFIG_MAX];
	} __attribute__((packed)) out = {.head = {.size = size}}, in;
	const struct remote_message message = {
		.request = VHOST_USER_GET_CONFIG, .payload = &out, .size = sizeof(out.head) + size};
	uint32_t got;
	int error = remote_ask_some(&remote->channel, &message, &in, sizeof(in), &got);

	if (error)
		return error;
	if (got != sizeof(in.head) + size || in.head.size != size)
		return -ENXIO;
	memcpy(bytes, in.bytes, size);
	return 0;
}

static int size_config(struct remote *remote, const uint32_t *sizes, unsigned count)
{
	int error = -ENXIO;

	for (unsigned i = 0; i < count && error == -ENXIO; i++) {
		error = ask_config(remote, sizes[i], remote->config);
		if (!error)
			remote->config_size = sizes[i];
	}
	return error == -ENXIO ? 0 : error;
}

static void make_up_fs_config(struct remote *remote)
{
	struct virtio_fs_config config = {.tag = "vqsim"};

	config.num_request_queues = htole32(remote->queue_count - 1u);
	remote->config_size = sizeof(config);
	memcpy(remote->config, &config, sizeof(config));
}

static int find_config(struct remote *remote)
{
	uint32_t id = remote->ops.device_id;

	if (has_config(remote) && id == VIRTIO_ID_BLOCK)
		return size_config(remote, blk_sizes, sizeof(blk_sizes) / sizeof(blk_sizes[0]));
	if (has_config(remote) && id == VIRTIO_ID_FS)
		return size_config(remote, fs_sizes, sizeof(fs_sizes) / sizeof(fs_sizes[0]));
	if (id == VIRTIO_ID_FS)
		make_up_fs_config(remote);
	return 0;
}

/* Only disks have bits of their own, and only file systems name queues in a config space. */
static uint32_t guess_id(const struct remote *remote)
{
	if (remote->options.device_id)
		return remote->options.device_id;
	if (remote->offered & TYPE_FEATURES)
		return VIRTIO_ID_BLOCK;
	return has_config(remote) ? VIRTIO_ID_FS : 0;
}

static int open_way_back(struct remote *remote)
{
	const struct remote_message message = {.request = VHOST_USER_SET_BACKEND_REQ_FD,
					       .fd_count = 1};
	struct remote_message with_fd = message;
	int pair[2], error;

	if (!remote_has(remote, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	with_fd.fds = &pair[1];
	remote->channel.backend_fd = pair[0];
	error = remote_tell(&remote->channel, &with_fd);
	close(pair[1]);
	return error;
}

static int negotiate_protocol(struct remote *remote)
{
	struct remote_channel *channel = &remote->channel;
	uint64_t offered = 0;
	int error;

	if (!(remote->offered & VIRTIO_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES)))
		return 0;
	error = remote_ask_u64(channel, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);
	remote->protocol = offered & PROTOCOL_FEATURES;
	if (!error)
		error = remote_tell_u64(channel, VHOST_USER_SET_PROTOCOL_FEATURES,
					remote->protocol);
	channel->acks = remote_has(remote, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	return error;
}

static int count_queues(struct remote *remote)
{
	uint64_t count = 1;
	int error = 0;

	if (remote_has(remote, VHOST_USER_PROTOCOL_F_MQ))
		error = remote_ask_u64(&remote->channel, VHOST_USER_GET_QUEUE_NUM, &count);
	if (error)
		return error;
	if (count == 0 || count < remote->options.queue_count)
		return -ENOTSUP;
	remote->queue_count =
		(uint16_t)(count < VQSIM_REMOTE_QUEUES_MAX ? count : VQSIM_REMOTE_QUEUES_MAX);
	return 0;
}

/* In the order of a virtual machine monitor. */
static int introduce(struct remote *remote)
{
	const struct remote_message owner = {.request = VHOST_USER_SET_OWNER};
	int error = remote_ask_u64(&remote->channel, VHOST_USER_GET_FEATURES, &remote->offered);

	if (!error)
		error = negotiate_protocol(remote);
	if (!error)
		error = count_queues(remote);
	if (!error)
		error = open_way_back(remote);
	if (!error)
		error = remote_tell(&remote->channel, &owner);
	return error;
}

static int try_to_reach(struct remote *remote, bool patient)
{
	const struct vqsim_remote_options *o = &remote->options;
	struct remote_channel *channel = &remote->channel;
	int fd = remote_connect(o->path, o->server, o->deadline, patient);

	if (fd < 0) {
		if (!channel->text[0])
			snprintf(channel->text, sizeof(channel->text), "%s: %s",
				 fd == -ECHILD ? "the command ended" : "nobody serves the socket",
				 strerror(-fd));
		return fd;
	}
	channel->fd = fd;
	channel->acks = false;
	remote->protocol = 0;
	remote->has_memory = remote->is_live = remote->is_ended = false;
	remote->region_count = 0;
	return introduce(remote);
}

/* Somebody who is about to end may still listen, and then answers nothing. */
static int reach(struct remote *remote, bool patient)
{
	uint64_t until = remote_now() + remote->options.deadline;
	int error;

	do {
		remote->offered = 0;
		if (!remote->channel.faulty)
			remote->channel.text[0] = '\0';
		error = try_to_reach(remote, patient);
	} while (error == -EPIPE && remote->offered == 0 && (patient || remote->options.server) &&
		 remote_now() < until);
	return error;
}

void remote_pass_on(struct remote *remote)
{
	const struct virtio_transport_ops *ops = remote->base.transport_ops;

	if (!ops)
		return; /* not attached yet: nobody is there to be told */
	if (remote->channel.config_changes != remote->config_changes) {
		remote->config_changes = remote->channel.config_changes;
		remote->config_generation++;
		ops->config_changed(remote->base.transport);
	}
	if (!remote_is_gone(remote) || remote->is_ended)
		return;
	remote->is_ended = true;
	ops->needs_reset(remote->base.transport);
}

/* --- the table of the contract ---------------------------------------------------------------- */

static uint64_t features(struct virtio_device *device)
{
	return remote_of(device)->offered & ~VHOST_FEATURES;
}

/* With STATUS the backend may refuse; without, it can only refuse the message. */
static int pass_features_ok(struct remote *remote)
{
	const uint64_t status =
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
	uint64_t now = 0;
	int error;

	if (!remote_has(remote, VHOST_USER_PROTOCOL_F_STATUS))
		return 0;
	error = remote_tell_u64(&remote->channel, VHOST_USER_SET_STATUS, status);
	if (!error)
		error = remote_ask_u64(&remote->channel, VHOST_USER_GET_STATUS, &now);
	return error || !(now & VIRTIO_CONFIG_S_FEATURES_OK) ? -EINVAL : 0;
}

/*
 * A backend that is gone is looked for again, once: the driver goes on with whoever is there
 * now, if it is the same device.
 */
static bool reach_again(struct remote *remote)
{
	uint64_t offered = remote->offered;
	uint16_t count = remote->queue_count;

	if (remote->is_lost || remote->channel.faulty)
		return false;
	remote->is_lost = reach(remote, true) != 0 || remote->offered != offered ||
			  remote->queue_count != count;
	return !remote->is_lost;
}

static int set_features(struct virtio_device *device, uint64_t wanted)
{
	struct remote *remote = remote_of(device);
	uint64_t own = remote->offered & VIRTIO_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);

	if (remote_is_gone(remote) && !reach_again(remote))
		return -EINVAL;
	remote->features = wanted | own;
	if (remote_tell_u64(&remote->channel, VHOST_USER_SET_FEATURES, remote->features) != 0)
		return -EINVAL;
	return pass_features_ok(remote);
}

static uint16_t queue_count(struct virtio_device *device)
{
	return remote_of(device)->queue_count;
}

static uint16_t queue_size_max(struct virtio_device *device, uint16_t index)
{
	(void)index;
	return remote_of(device)->options.queue_size_max;
}

static uint32_t config_size(struct virtio_device *device)
{
	return remote_of(device)->config_size;
}

/* Look at it again. Nobody need have told that it changed. */
static int refresh(struct remote *remote)
{
	uint8_t now[VHOST_USER_CONFIG_MAX];
	int error;

	if (!has_config(remote))
		return 0;
	/* Fields can be read before FEATURES_OK (2.5.2), by a driver that just reset it too. */
	if (remote_is_gone(remote) && remote->features == 0)
		reach_again(remote);
	error = ask_config(remote, remote->config_size, now);
	remote_pass_on(remote);
	if (error)
		return error;
	if (memcmp(now, remote->config, remote->config_size) != 0)
		remote->config_generation++;
	memcpy(remote->config, now, remote->config_size);
	return 0;
}

static int config_read(struct virtio_device *device, uint32_t offset, void *buf, uint32_t size)
{
	struct remote *remote = remote_of(device);
	int error = refresh(remote);

	if (error)
		return error;
	memcpy(buf, remote->config + offset, size);
	return 0;
}

static int config_write(struct virtio_device *device, uint32_t offset, const void *buf,
			uint32_t size)
{
	struct remote *remote = remote_of(device);
	struct {
		struct vhost_user_config head;
		uint8_t bytes[VHOST_USER_CONFIG_MAX];
	} __attribute__((packed)) out = {.head = {offset, size, VHOST_USER_CONFIG_WRITABLE}};
	const struct remote_message message = {
		.request = VHOST_USER_SET_CONFIG, .payload = &out, .size = sizeof(out.head) + size};

	if (!has_config(remote))
		return -EPERM;
	memcpy(out.bytes, buf, size);
	return remote_tell(&remote->channel, &message) == 0 ? 0 : -EPERM;
}

static uint32_t config_generation(struct virtio_device *device)
{
	struct remote *remote = remote_of(device);

	refresh(remote);
	return remote->config_generation;
}

static void stop_queues(struct remote *remote)
{
	struct virtio_queue_state state;

	for (uint16_t i = 0; i < remote->queue_count; i++)
		if (remote->queues[i].started)
			remote_queue_stop(&remote->base, i, &state);
}

static enum virtio_completion reset(struct virtio_device *device)
{
	const struct remote_message message = {.request = VHOST_USER_RESET_DEVICE};
	struct remote *remote = remote_of(device);

	stop_queues(remote);
	if (remote_has(remote, VHOST_USER_PROTOCOL_F_STATUS))
		remote_tell_u64(&remote->channel, VHOST_USER_SET_STATUS, 0);
	else if (remote_has(remote, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		remote_tell(&remote->channel, &message);
	remote->is_live = false;
	remote->features = 0;
	return VIRTIO_DONE;
}

static void destroy(struct virtio_device *device)
{
	struct remote *remote = remote_of(device);

	remote_channel_close(&remote->channel);
	for (uint16_t i = 0; i < remote->queue_count; i++)
		remote_queue_finish(&remote->queues[i]);
	free(remote);
}

static const struct virtio_device_ops remote_ops = {
	.name = "vhost-user",
	.features = features,
	.set_features = set_features,
	.queue_count = queue_count,
	.queue_size_max = queue_size_max,
	.config_size = config_size,
	.config_read = config_read,
	.config_write = config_write,
	.config_generation = config_generation,
	.queue_start = remote_queue_start,
	.queue_stop = remote_queue_stop,
	.reset = reset,
	.kick = remote_kick,
	.progress = remote_progress,
	.destroy = destroy,
};

/* --- for the guest's side ---------------------------------------------------------------------- */

static int begin(struct remote *remote)
{
	int error = reach(remote, remote->options.patient);

	if (error)
		return error;
	remote->ops.device_id = guess_id(remote);
	return remote->ops.device_id ? find_config(remote) : -ENODEV;
}

static void explain(const struct remote *remote, int error, char text[VQSIM_REMOTE_TEXT])
{
	if (error == -ENODEV)
		snprintf(text, VQSIM_REMOTE_TEXT, "what device it is cannot be known from outside");
	else if (error == -ENOTSUP)
		snprintf(text, VQSIM_REMOTE_TEXT, "it has fewer queues");
	else if (remote->channel.text[0])
		snprintf(text, VQSIM_REMOTE_TEXT, "%s", remote->channel.text);
	else
		snprintf(text, VQSIM_REMOTE_TEXT, "%s", strerror(-error));
}

int vqsim_remote_create(struct virtio_device **device, const struct vqsim_remote_options *options,
			char text[VQSIM_REMOTE_TEXT])
{
	struct remote *remote = calloc(1, sizeof(*remote));
	int error;

	if (!remote)
		return -ENOMEM;
	remote->options = *options;
	if (!options->deadline)
		remote->options.deadline = DEADLINE;
	if (!options->queue_size_max)
		remote->options.queue_size_max = QUEUE_SIZE_MAX;
	remote->ops = remote_ops;
	remote->base.ops = &remote->ops;
	remote->channel = (struct remote_channel){
		.fd = -1, .backend_fd = -1, .deadline = remote->options.deadline};
	error = begin(remote);
	if (!error) {
		*device = &remote->base;
		return 0;
	}
	if (text)
		explain(remote, error, text);
	destroy(&remote->base);
	return error;
}

bool vqsim_remote_is(const struct virtio_device *device)
{
	return device->ops->progress == remote_progress;
}

void vqsim_remote_watch(struct virtio_device *device,
			enum vqsim_remote_look (*look)(void *opaque, uint16_t queue), void *opaque)
{
	remote_of(device)->look = look;
	remote_of(device)->opaque = opaque;
}

const char *vqsim_remote_fault(const struct virtio_device *device)
{
	const struct remote_channel *channel = &((const struct remote *)device)->channel;

	return channel->faulty ? channel->text : NULL;
}

bool vqsim_remote_is_gone(const struct virtio_device *device)
{
	return remote_is_gone((const struct remote *)device);
}

uint64_t vqsim_remote_protocol(const struct virtio_device *device)
{
	return ((const struct remote *)device)->protocol;
}

bool vqsim_remote_has_config(const struct virtio_device *device)
{
	return has_config((const struct remote *)device);
}

int vqsim_remote_status(struct virtio_device *device)
{
	struct remote *remote = remote_of(device);
	uint64_t status = 0;
	int error;

	if (!remote_has(remote, VHOST_USER_PROTOCOL_F_STATUS))
		return -ENOTSUP;
	error = remote_ask_u64(&remote->channel, VHOST_USER_GET_STATUS, &status);
	return error ? error : (int)(status & UINT8_MAX);
}
