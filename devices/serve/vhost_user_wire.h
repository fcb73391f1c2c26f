/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user on the wire: messages between a frontend (a virtual machine monitor, a guest that
 * is simulated) and a backend (the device), over a unix stream socket. Layout alone: no logic.
 *
 * A message is a header and size bytes of payload; descriptors travel as SCM_RIGHTS with its
 * first byte. Integers are in native byte order: both ends run on one machine. Structures are
 * laid out without holes, so that they are copied as they are.
 */
#ifndef DEVICES_SERVE_VHOST_USER_WIRE_H
#define DEVICES_SERVE_VHOST_USER_WIRE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VHOST_USER_WIRE_API_MAJOR 0
#define VHOST_USER_WIRE_API_MINOR 1

/* Feature bits of virtio that are vhost's own; a guest never sees them. */
#define VHOST_F_LOG_ALL                26
#define VHOST_USER_F_PROTOCOL_FEATURES 30

#define VHOST_USER_VERSION      1u
#define VHOST_USER_VERSION_MASK 3u
#define VHOST_USER_REPLY        4u
#define VHOST_USER_NEED_REPLY   8u

#define VHOST_USER_REGIONS_MAX     8u   /* in one SET_MEM_TABLE */
#define VHOST_USER_FDS_MAX         8u   /* with one message */
#define VHOST_USER_CONFIG_MAX      256u /* bytes of config space in one message */
#define VHOST_USER_QUEUE_MASK      0xffu
#define VHOST_USER_NO_FD           0x100u /* in SET_VRING_KICK, _CALL, _ERR */
#define VHOST_USER_CONFIG_WRITABLE 0u     /* flags of SET_CONFIG: by the driver */
#define VHOST_USER_CONFIG_MIGRATE  1u     /* by live migration: read-only fields too */
#define VHOST_USER_VRING_F_LOG     1u     /* flags of SET_VRING_ADDR */

enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CROSS_ENDIAN = 6,
	VHOST_USER_PROTOCOL_F_PAGEFAULT = 8,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,
	VHOST_USER_PROTOCOL_F_HOST_NOTIFIER = 11,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS = 14,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
};

/* From the frontend. What is left out is not for block or file-system devices. */
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_VRING_KICK = 35,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_REQUEST_MAX = 45, /* the newest known number */
};

/* From the backend, on the socket of SET_BACKEND_REQ_FD. */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_CONFIG_CHANGE = 2,
	VHOST_USER_BACKEND_VRING_CALL = 4,
	VHOST_USER_BACKEND_VRING_ERR = 5,
};

struct vhost_user_header {
	uint32_t request;
	uint32_t flags; /* version, VHOST_USER_REPLY, VHOST_USER_NEED_REPLY */
	uint32_t size;  /* bytes of payload */
};

/*
 * num of VRING_BASE: split, the next available index; packed, bits 0..14 the next available
 * position, 15 its wrap counter, 16..30 the next used position, 31 its wrap counter.
 */
struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};

/* Addresses of the frontend's own space (region.user_address), but for log, which is guest-physical. */
struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t descriptor;
	uint64_t used;
	uint64_t available;
	uint64_t log;
};

struct vhost_user_region {
	uint64_t guest_address;
	uint64_t size;
	uint64_t user_address;
	uint64_t mmap_offset; /* in the file */
};

struct vhost_user_memory {
	uint32_t count;
	uint32_t padding;
	struct vhost_user_region regions[VHOST_USER_REGIONS_MAX];
};

/* ADD_MEM_REG, REM_MEM_REG. */
struct vhost_user_single_region {
	uint64_t padding;
	struct vhost_user_region region;
};

struct vhost_user_log {
	uint64_t size;
	uint64_t offset;
};

/* Followed by size bytes. A reply of size 0 is an error. */
struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
};

struct vhost_user_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t queue_count;
	uint16_t queue_size;
	uint32_t padding; /* of the structure: the message has VHOST_USER_INFLIGHT_SIZE bytes */
};

#define VHOST_USER_INFLIGHT_SIZE 20u

/* The largest payload of a message that is known: SET_CONFIG, SET_MEM_TABLE. */
#define VHOST_USER_PAYLOAD_MAX                                                    \
	(sizeof(struct vhost_user_memory) >                                       \
			 sizeof(struct vhost_user_config) + VHOST_USER_CONFIG_MAX \
		 ? sizeof(struct vhost_user_memory)                               \
		 : sizeof(struct vhost_user_config) + VHOST_USER_CONFIG_MAX)

#ifdef __cplusplus
}
#endif

#endif
