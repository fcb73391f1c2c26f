/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_ops.h"

#include "devices/serve/vhost_user_wire.h"

/* Not functions: initializers of struct fuzz_vhost_op. */
#define UP(bits, ...)                                                     \
	{                                                                 \
		.code = FUZZ_VHOST_SET_UP, .flags = (bits), ##__VA_ARGS__ \
	}
#define SAY(name, ...)                                                    \
	{                                                                 \
		.code = FUZZ_VHOST_MESSAGE, .request = VHOST_USER_##name, \
		.flags = VHOST_USER_NEED_REPLY, ##__VA_ARGS__             \
	}
#define DO(name, ...)                                    \
	{                                                \
		.code = FUZZ_VHOST_##name, ##__VA_ARGS__ \
	}

/* Where in a message, and what. */
#define WITH(position, bytes, what) .at = (position), .width = (bytes), .value = (what)

static const struct fuzz_vhost_op split[] = {
	UP(FUZZ_VHOST_EVENT_IDX | FUZZ_VHOST_INDIRECT),
	DO(EXPOSE),
	DO(RUN, .at = 8),
	DO(EXPOSE, .value = 1),
	DO(EXPOSE, .value = 4),
	DO(RUN, .at = 8),
	SAY(GET_VRING_BASE),
	SAY(SET_VRING_BASE, WITH(4, 2, 3)),
	SAY(SET_VRING_KICK),
	DO(EXPOSE, .value = 8),
	DO(RUN, .at = 8),
};

static const struct fuzz_vhost_op packed[] = {
	UP(FUZZ_VHOST_PACKED | FUZZ_VHOST_EVENT_IDX),
	DO(EXPOSE),
	DO(RUN, .at = 8),
	SAY(SET_VRING_ENABLE, WITH(4, 1, 0)),
	DO(EXPOSE),
	DO(RUN, .at = 8),
	SAY(SET_VRING_ENABLE),
	DO(RUN, .at = 8),
	SAY(GET_VRING_BASE),
};

static const struct fuzz_vhost_op two_rings_with_areas[] = {
	UP(FUZZ_VHOST_INFLIGHT),
	UP(FUZZ_VHOST_INFLIGHT, .ring = 1),
	DO(EXPOSE),
	DO(EXPOSE, .ring = 1, .value = 1),
	DO(RUN, .at = 8),
	DO(RUN, .ring = 1, .at = 8),
	SAY(GET_VRING_BASE, .ring = 1),
};

static const struct fuzz_vhost_op in_order_and_logged[] = {
	UP(FUZZ_VHOST_IN_ORDER | FUZZ_VHOST_LOG | FUZZ_VHOST_PACKED),
	DO(EXPOSE),
	DO(EXPOSE, .value = 1),
	DO(RUN, .at = 1),
	DO(RUN, .at = 8),
	SAY(SET_FEATURES),
	DO(EXPOSE),
	DO(RUN, .at = 8),
};

static const struct fuzz_vhost_op status_and_reset[] = {
	UP(FUZZ_VHOST_STATUS),
	DO(EXPOSE),
	DO(RUN, .at = 8),
	SAY(GET_STATUS),
	SAY(SET_STATUS, WITH(0, 8, 0)),
	UP(FUZZ_VHOST_STATUS | FUZZ_VHOST_PACKED),
	DO(EXPOSE),
	DO(RUN, .at = 8),
	SAY(RESET_DEVICE),
};

static const struct fuzz_vhost_op memory_changes[] = {
	UP(0),
	SAY(ADD_MEM_REG, WITH(8, 4, 0x1000)),
	SAY(SET_MEM_TABLE),
	DO(EXPOSE),
	DO(RUN, .at = 8),
	SAY(REM_MEM_REG),
	DO(RUN, .at = 8),
	DO(GONE),
	UP(0),
	DO(EXPOSE),
	DO(CUT, .at = 4),
	DO(RUN, .at = 8),
};

static const struct fuzz_vhost_op config_and_channel[] = {
	UP(0),
	SAY(SET_BACKEND_REQ_FD),
	DO(RESIZE, .at = 9),
	SAY(GET_CONFIG),
	SAY(SET_CONFIG, WITH(0, 4, 32)),
	SAY(SET_BACKEND_REQ_FD, .fd = FUZZ_VHOST_FD_PIPE),
	DO(RESIZE, .at = 200),
	DO(EXPOSE),
	DO(RUN, .at = 8),
};

static const struct fuzz_vhost_op rings_that_break[] = {
	UP(FUZZ_VHOST_STATUS),
	SAY(SET_VRING_ERR),
	DO(EXPOSE),
	DO(POKE, .at = 0, .width = 8, .value = 0xffffffffff),
	DO(RUN, .at = 8),
	SAY(GET_STATUS),
	DO(GONE),
	DO(BYTES, .at = 8, .value = 0x100000001),
	DO(BYTES, .at = 4, .value = 0),
	UP(0),
	DO(EXPOSE),
	DO(RUN, .at = 8),
};

#define SEED(name)                                            \
	{                                                     \
#name, name, sizeof(name) / sizeof((name)[0]) \
	}

const struct fuzz_vhost_seed fuzz_vhost_seeds[] = {
	SEED(split),
	SEED(packed),
	SEED(two_rings_with_areas),
	SEED(in_order_and_logged),
	SEED(status_and_reset),
	SEED(memory_changes),
	SEED(config_and_channel),
	SEED(rings_that_break),
};

const unsigned fuzz_vhost_seed_count = sizeof(fuzz_vhost_seeds) / sizeof(fuzz_vhost_seeds[0]);
