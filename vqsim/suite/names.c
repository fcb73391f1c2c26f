/* SPDX-License-Identifier: BSD-3-Clause */
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "suite_internal.h"

struct name {
	unsigned bit;
	const char *name;
};

/* Numbers where the system's headers may be too old to have the name. */
static const struct name ring_names[] = {
	{VIRTIO_RING_F_INDIRECT_DESC, "VIRTIO_F_INDIRECT_DESC"},
	{VIRTIO_RING_F_EVENT_IDX, "VIRTIO_F_EVENT_IDX"},
	{VIRTIO_F_VERSION_1, "VIRTIO_F_VERSION_1"},
	{VIRTIO_F_ACCESS_PLATFORM, "VIRTIO_F_ACCESS_PLATFORM"},
	{VIRTIO_F_RING_PACKED, "VIRTIO_F_RING_PACKED"},
	{VIRTIO_F_IN_ORDER, "VIRTIO_F_IN_ORDER"},
	{VIRTIO_F_ORDER_PLATFORM, "VIRTIO_F_ORDER_PLATFORM"},
	{VIRTIO_F_SR_IOV, "VIRTIO_F_SR_IOV"},
	{38, "VIRTIO_F_NOTIFICATION_DATA"},
	{VIRTIO_F_RING_RESET, "VIRTIO_F_RING_RESET"},
	{0, NULL},
};

static const struct name blk_names[] = {
	{VIRTIO_BLK_F_SIZE_MAX, "VIRTIO_BLK_F_SIZE_MAX"},
	{VIRTIO_BLK_F_SEG_MAX, "VIRTIO_BLK_F_SEG_MAX"},
	{VIRTIO_BLK_F_GEOMETRY, "VIRTIO_BLK_F_GEOMETRY"},
	{VIRTIO_BLK_F_RO, "VIRTIO_BLK_F_RO"},
	{VIRTIO_BLK_F_BLK_SIZE, "VIRTIO_BLK_F_BLK_SIZE"},
	{9, "VIRTIO_BLK_F_FLUSH"},
	{VIRTIO_BLK_F_TOPOLOGY, "VIRTIO_BLK_F_TOPOLOGY"},
	{11, "VIRTIO_BLK_F_CONFIG_WCE"},
	{VIRTIO_BLK_F_MQ, "VIRTIO_BLK_F_MQ"},
	{VIRTIO_BLK_F_DISCARD, "VIRTIO_BLK_F_DISCARD"},
	{VIRTIO_BLK_F_WRITE_ZEROES, "VIRTIO_BLK_F_WRITE_ZEROES"},
	{15, "VIRTIO_BLK_F_LIFETIME"},
	{16, "VIRTIO_BLK_F_SECURE_ERASE"},
	{17, "VIRTIO_BLK_F_ZONED"},
	{0, NULL},
};

static const char *find(const struct name *names, unsigned bit)
{
	for (; names->name; names++)
		if (names->bit == bit)
			return names->name;
	return "a feature of the case";
}

const char *suite_feature_name(uint32_t device_id, unsigned bit)
{
	return find(bit < 24 && device_id == VIRTIO_ID_BLOCK ? blk_names : ring_names, bit);
}
