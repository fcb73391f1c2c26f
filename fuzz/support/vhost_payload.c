/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages as they should be, for the operations to bend. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "vhost_player.h"

static struct vhost_user_region whole(void)
{
	return (struct vhost_user_region){.guest_address = FUZZ_VHOST_GUEST,
					  .size = FUZZ_VHOST_MEMORY,
					  .user_address = FUZZ_VHOST_USER};
}

static struct vhost_user_vring_addr address_of(uint8_t ring)
{
	uint64_t start = FUZZ_VHOST_USER + FUZZ_VHOST_RING(ring);

	return (struct vhost_user_vring_addr){.index = ring,
					      .descriptor = start,
					      .available = start + 0x1000,
					      .used = start + 0x2000};
}

/* The second number of a message that names a ring first. */
static uint32_t number_for(const struct fuzz_vhost_player *player, uint8_t request, uint8_t ring)
{
	switch (request) {
	case VHOST_USER_SET_VRING_NUM:
		return FUZZ_VHOST_ENTRIES;
	case VHOST_USER_SET_VRING_ENABLE:
		return 1;
	case VHOST_USER_SET_VRING_BASE:
		return player->rings[ring].base;
	default:
		return 0;
	}
}

#define PUT(type, ...)                              \
	do {                                        \
		const type it_ = {__VA_ARGS__};     \
                                                    \
		memcpy(payload, &it_, sizeof(it_)); \
		return sizeof(it_);                 \
	} while (0)

uint32_t fuzz_vhost_payload(const struct fuzz_vhost_player *player, uint8_t request, uint8_t ring,
			    uint8_t payload[VHOST_USER_PAYLOAD_MAX])
{
	struct vhost_user_vring_addr address = address_of(ring);

	memset(payload, 0, VHOST_USER_PAYLOAD_MAX);
	switch (request) {
	case VHOST_USER_SET_FEATURES:
		PUT(uint64_t, player->features);
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		PUT(uint64_t, player->protocol);
	case VHOST_USER_SET_STATUS:
		PUT(uint64_t, 15);
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		PUT(uint64_t, ring);
	case VHOST_USER_SET_VRING_NUM:
	case VHOST_USER_SET_VRING_BASE:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_SET_VRING_ENABLE:
	case VHOST_USER_VRING_KICK:
		PUT(struct vhost_user_vring_state, ring, number_for(player, request, ring));
	case VHOST_USER_SET_VRING_ADDR:
		memcpy(payload, &address, sizeof(address));
		return sizeof(address);
	case VHOST_USER_SET_MEM_TABLE:
		memcpy(payload, &(struct vhost_user_memory){1, 0, {whole()}},
		       offsetof(struct vhost_user_memory, regions[1]));
		return offsetof(struct vhost_user_memory, regions[1]);
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_REM_MEM_REG:
		PUT(struct vhost_user_single_region, .region = whole());
	case VHOST_USER_SET_LOG_BASE:
		PUT(struct vhost_user_log, 0x1000, 0x4000);
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG:
		memcpy(payload, &(struct vhost_user_config){.size = 1},
		       sizeof(struct vhost_user_config));
		return sizeof(struct vhost_user_config) + 1;
	case VHOST_USER_GET_INFLIGHT_FD:
	case VHOST_USER_SET_INFLIGHT_FD:
		PUT(struct vhost_user_inflight, 0x1000, 0, FUZZ_VHOST_RINGS, FUZZ_VHOST_ENTRIES, 0);
	default:
		return 0;
	}
}

/* A new backend channel; we keep the other end. */
static int make_channel(struct fuzz_vhost_player *player)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return -1;
	if (player->channel >= 0)
		close(player->channel);
	player->channel = pair[0];
	return pair[1];
}

int fuzz_vhost_right_fd(struct fuzz_vhost_player *player, uint8_t request, uint8_t ring)
{
	switch (request) {
	case VHOST_USER_SET_MEM_TABLE:
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_SET_LOG_BASE:
	case VHOST_USER_SET_LOG_FD:
		return dup(player->memory_fd);
	case VHOST_USER_SET_VRING_KICK:
		return dup(player->rings[ring].kick);
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		return dup(player->rings[ring].call);
	case VHOST_USER_SET_BACKEND_REQ_FD:
		return make_channel(player);
	case VHOST_USER_SET_INFLIGHT_FD:
		return dup(player->areas_fd >= 0 ? player->areas_fd : player->memory_fd);
	default:
		return -1;
	}
}
