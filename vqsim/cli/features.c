/* SPDX-License-Identifier: BSD-3-Clause */
#include "features.h"

#include <stdio.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "cli.h"
#include "../../devices/device.h"

const struct feature_name feature_names[] = {
	{"size_max", VIRTIO_BLK_F_SIZE_MAX},
	{"seg_max", VIRTIO_BLK_F_SEG_MAX},
	{"ro", VIRTIO_BLK_F_RO},
	{"blk_size", VIRTIO_BLK_F_BLK_SIZE},
	{"flush", VIRTIO_BLK_F_FLUSH},
	{"topology", VIRTIO_BLK_F_TOPOLOGY},
	{"config_wce", VIRTIO_BLK_F_CONFIG_WCE},
	{"mq", VIRTIO_BLK_F_MQ},
	{"discard", VIRTIO_BLK_F_DISCARD},
	{"write_zeroes", VIRTIO_BLK_F_WRITE_ZEROES},
	{"indirect_desc", VIRTIO_RING_F_INDIRECT_DESC},
	{"event_idx", VIRTIO_RING_F_EVENT_IDX},
	{"version_1", VIRTIO_F_VERSION_1},
	{"ring_packed", VIRTIO_F_RING_PACKED},
	{"in_order", VIRTIO_F_IN_ORDER},
	{NULL, 0},
};

/* What makes another ring of it is taken by name only, so that figures stay comparable. */
static uint64_t all_features(void)
{
	const uint64_t by_name =
		VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER);
	const struct feature_name *f;
	uint64_t all = 0;

	for (f = feature_names; f->name != NULL; f++)
		all |= VIRTIO_FEATURE(f->bit);
	return all & ~by_name;
}

static const struct feature_name *find(const char *name, size_t size)
{
	const struct feature_name *f;

	for (f = feature_names; f->name != NULL; f++) {
		if (strlen(f->name) == size && memcmp(f->name, name, size) == 0)
			return f;
	}
	return NULL;
}

static void complain_unknown(const char *name, size_t size)
{
	const struct feature_name *f;
	char known[512] = "all, none";
	size_t used = strlen(known);

	for (f = feature_names; f->name != NULL && used < sizeof(known); f++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, ", %s", f->name);
	cli_complain("unknown feature '%.*s'; known are %s", size > 80 ? 80 : (int)size, name,
		     known);
}

static bool apply(const char *word, size_t size, uint64_t *features)
{
	bool off = size > 0 && word[0] == '-';
	const struct feature_name *f = find(word + off, size - off);

	if (size == 3 && memcmp(word, "all", 3) == 0) {
		*features |= all_features();
	} else if (size == 4 && memcmp(word, "none", 4) == 0) {
		*features = 0;
	} else if (f == NULL) {
		complain_unknown(word + off, size - off);
		return false;
	} else if (off) {
		*features &= ~VIRTIO_FEATURE(f->bit);
	} else {
		*features |= VIRTIO_FEATURE(f->bit);
	}
	return true;
}

bool features_parse(const char *list, uint64_t *features)
{
	uint64_t result = list[0] == '-' ? all_features() : 0;
	const char *word = list;
	size_t size;

	for (;;) {
		size = strcspn(word, ",");
		if (!apply(word, size, &result))
			return false;
		if (word[size] == '\0')
			break;
		word += size + 1;
	}
	*features = result | VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
	return true;
}
