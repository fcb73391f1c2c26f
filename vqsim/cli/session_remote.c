/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_remote.h"

#include <endian.h>
#include <stddef.h>

#include <linux/virtio_ids.h>

/* Only what is offered is there; a device in a hurry may not answer any more. */
static bool read_sizes(struct session *session)
{
	struct virtio_device *device = session->device;
	const struct virtio_device_ops *ops = device->ops;
	uint64_t capacity = 0;
	uint32_t block = 0;
	bool has_block = ops->features(device) & VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE);
	size_t at = offsetof(struct virtio_blk_config, blk_size);

	if (ops->config_size(device) < sizeof(capacity) ||
	    ops->config_read(device, 0, &capacity, sizeof(capacity)) != 0)
		return false;
	if (has_block && ops->config_size(device) >= at + sizeof(block))
		ops->config_read(device, (uint32_t)at, &block, sizeof(block));
	session->block_size = block ? le32toh(block) : BLK_SECTOR_SIZE;
	if (le64toh(capacity) > UINT64_MAX / BLK_SECTOR_SIZE || capacity == 0 ||
	    session->block_size % BLK_SECTOR_SIZE != 0)
		return false;
	session->size = le64toh(capacity) * BLK_SECTOR_SIZE;
	return true;
}

enum cli_exit session_remote_open(struct session *session)
{
	const struct run_options *o = session->options;
	enum cli_exit status = remote_device_open(&session->remote, &o->remote, VIRTIO_ID_BLOCK,
						  o->queue_count, o->queue_size);

	session->device = session->remote.device;
	if (status != CLI_OK || read_sizes(session))
		return status;
	cli_complain("device '%s' does not say how large the disk is", o->remote.device);
	return CLI_FAILED;
}
