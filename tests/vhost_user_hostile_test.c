/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages that are whole and say what cannot be: numbers, addresses, descriptors. Each row is
 * sent before anything is set up, when the memory is there, and while a ring runs; with and
 * without a wish for an acknowledgement. It is refused, and so is the same thing a second time.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "support/vhost_hostile.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What descriptor a message comes with. */
enum kind {
	NO_FD,
	MEMORY,
	COUNTER,
	READ_ONLY, /* these two: the memory file, opened anew */
	WRITE_ONLY,
	PIPE,
	CLOSED_PIPE,
	FOLDER,
	ZERO,
	EPOLL,
	SMALL, /* a file of one page */
};

struct row {
	const char *name;
	uint32_t request;
	enum kind kind;
	uint32_t size;
	const void *payload;
};

struct config {
	struct vhost_user_config head;
	uint8_t bytes[VHOST_USER_CONFIG_MAX];
};

/* Payloads, with their sizes. */
#define PAYLOAD(type, ...)          \
	sizeof(type), &(const type) \
	{                           \
		__VA_ARGS__         \
	}
#define NUMBER(value)        PAYLOAD(uint64_t, value)
#define STATE(index, num)    PAYLOAD(struct vhost_user_vring_state, index, num)
#define RING(d, u, a)        PAYLOAD(struct vhost_user_vring_addr, 0, 0, d, u, a, 0)
#define ONE_REGION(...)      PAYLOAD(struct vhost_user_single_region, 0, {__VA_ARGS__})
#define LOG_AT(size, offset) PAYLOAD(struct vhost_user_log, size, offset)
#define AREAS(...)           PAYLOAD(struct vhost_user_inflight, __VA_ARGS__, 0)
#define CONFIG(size, ...)            \
	size, &(const struct config) \
	{                            \
		{__VA_ARGS__},       \
		{                    \
			0            \
		}                    \
	}

/* A region as it would be right, at the start of each space and of the file. */
#define G   PEER_GUEST
#define U   PEER_USER
#define S   PEER_SIZE
#define TOP UINT64_C(0xfffffffffffff000)

static const struct row features_and_status[] = {
	{"SET_FEATURES all", VHOST_USER_SET_FEATURES, NO_FD, NUMBER(UINT64_MAX)},
	{"SET_FEATURES none", VHOST_USER_SET_FEATURES, NO_FD, NUMBER(0)},
	{"SET_FEATURES bit 63", VHOST_USER_SET_FEATURES, NO_FD, NUMBER(UINT64_C(1) << 63)},
	{"SET_FEATURES without VERSION_1", VHOST_USER_SET_FEATURES, NO_FD,
	 NUMBER(UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES)},
	{"SET_PROTOCOL_FEATURES all", VHOST_USER_SET_PROTOCOL_FEATURES, NO_FD, NUMBER(UINT64_MAX)},
	{"SET_PROTOCOL_FEATURES bit 8", VHOST_USER_SET_PROTOCOL_FEATURES, NO_FD, NUMBER(1 << 8)},
	{"SET_STATUS 256", VHOST_USER_SET_STATUS, NO_FD, NUMBER(256)},
	{"SET_STATUS 2^64 - 1", VHOST_USER_SET_STATUS, NO_FD, NUMBER(UINT64_MAX)},
};

static const struct row rings[] = {
	{"SET_VRING_NUM 0", VHOST_USER_SET_VRING_NUM, NO_FD, STATE(0, 0)},
	{"SET_VRING_NUM 2048", VHOST_USER_SET_VRING_NUM, NO_FD, STATE(0, 2048)},
	{"SET_VRING_NUM 65536", VHOST_USER_SET_VRING_NUM, NO_FD, STATE(0, 65536)},
	{"SET_VRING_NUM 65552", VHOST_USER_SET_VRING_NUM, NO_FD, STATE(0, 65552)},
	{"SET_VRING_NUM 2^31", VHOST_USER_SET_VRING_NUM, NO_FD, STATE(0, 1u << 31)},
	{"SET_VRING_NUM of ring 2", VHOST_USER_SET_VRING_NUM, NO_FD, STATE(2, 16)},
	/* CTRL-02 */
	{"SET_VRING_NUM of ring 65536", VHOST_USER_SET_VRING_NUM, NO_FD, STATE(65536, 16)},
	{"SET_VRING_BASE of ring 2", VHOST_USER_SET_VRING_BASE, NO_FD, STATE(2, 0)},
	{"SET_VRING_BASE of ring 2^32 - 1", VHOST_USER_SET_VRING_BASE, NO_FD, STATE(UINT32_MAX, 0)},
	{"GET_VRING_BASE of ring 2", VHOST_USER_GET_VRING_BASE, NO_FD, STATE(2, 0)},
	{"GET_VRING_BASE of ring 65536", VHOST_USER_GET_VRING_BASE, NO_FD, STATE(65536, 0)},
	{"SET_VRING_ENABLE of ring 2", VHOST_USER_SET_VRING_ENABLE, NO_FD, STATE(2, 1)},
	{"SET_VRING_ENABLE 2", VHOST_USER_SET_VRING_ENABLE, NO_FD, STATE(0, 2)},
	{"SET_VRING_ENABLE 256", VHOST_USER_SET_VRING_ENABLE, NO_FD, STATE(0, 256)},
	{"SET_VRING_ADDR of ring 2", VHOST_USER_SET_VRING_ADDR, NO_FD,
	 PAYLOAD(struct vhost_user_vring_addr, 2, 0, U, U, U, 0)},
	{"SET_VRING_ADDR of ring 2^31", VHOST_USER_SET_VRING_ADDR, NO_FD,
	 PAYLOAD(struct vhost_user_vring_addr, 1u << 31, 0, U, U, U, 0)},
	{"SET_VRING_KICK of ring 2", VHOST_USER_SET_VRING_KICK, COUNTER, NUMBER(2)},
	{"SET_VRING_KICK of ring 255", VHOST_USER_SET_VRING_KICK, COUNTER, NUMBER(255)},
	{"SET_VRING_KICK of unknown bits", VHOST_USER_SET_VRING_KICK, COUNTER, NUMBER(1u << 9)},
	{"SET_VRING_KICK of ring 2^32", VHOST_USER_SET_VRING_KICK, COUNTER,
	 NUMBER(UINT64_C(1) << 32)},
	{"SET_VRING_KICK with no descriptor", VHOST_USER_SET_VRING_KICK, NO_FD, NUMBER(0)},
	{"SET_VRING_KICK with one too many", VHOST_USER_SET_VRING_KICK, COUNTER, NUMBER(256)},
	{"SET_VRING_KICK with a file", VHOST_USER_SET_VRING_KICK, MEMORY, NUMBER(0)},
	{"SET_VRING_KICK with /dev/zero", VHOST_USER_SET_VRING_KICK, ZERO, NUMBER(0)},
	{"SET_VRING_KICK with a folder", VHOST_USER_SET_VRING_KICK, FOLDER, NUMBER(0)},
	{"SET_VRING_CALL of ring 2", VHOST_USER_SET_VRING_CALL, COUNTER, NUMBER(2)},
	{"SET_VRING_CALL with no descriptor", VHOST_USER_SET_VRING_CALL, NO_FD, NUMBER(0)},
	{"SET_VRING_CALL with one too many", VHOST_USER_SET_VRING_CALL, COUNTER, NUMBER(256)},
	{"SET_VRING_CALL with a file", VHOST_USER_SET_VRING_CALL, MEMORY, NUMBER(0)},
	{"SET_VRING_ERR of ring 2", VHOST_USER_SET_VRING_ERR, COUNTER, NUMBER(2)},
	{"SET_VRING_ERR with no descriptor", VHOST_USER_SET_VRING_ERR, NO_FD, NUMBER(0)},
	{"SET_VRING_ERR with a folder", VHOST_USER_SET_VRING_ERR, FOLDER, NUMBER(0)},
	{"SET_BACKEND_REQ_FD with a file", VHOST_USER_SET_BACKEND_REQ_FD, MEMORY, 0, NULL},
	{"SET_BACKEND_REQ_FD with a counter", VHOST_USER_SET_BACKEND_REQ_FD, COUNTER, 0, NULL},
	{"SET_BACKEND_REQ_FD with a folder", VHOST_USER_SET_BACKEND_REQ_FD, FOLDER, 0, NULL},
};

#define TWO(first, second) PAYLOAD(struct vhost_user_memory, 2, 0, {first, second})
#define ARGS(...)           \
	{                   \
		__VA_ARGS__ \
	}

static const struct row memory[] = {
	{"ADD_MEM_REG empty", VHOST_USER_ADD_MEM_REG, MEMORY, ONE_REGION(2 * G, 0, 2 * U, 0)},
	{"ADD_MEM_REG larger than the file", VHOST_USER_ADD_MEM_REG, MEMORY,
	 ONE_REGION(2 * G, S + 1, 2 * U, 0)},
	{"ADD_MEM_REG huge", VHOST_USER_ADD_MEM_REG, MEMORY,
	 ONE_REGION(2 * G, INT64_MAX, 2 * U, 0)},
	{"ADD_MEM_REG of 2^64 - 1", VHOST_USER_ADD_MEM_REG, MEMORY,
	 ONE_REGION(0, UINT64_MAX, 0, 0)},
	{"ADD_MEM_REG behind the file", VHOST_USER_ADD_MEM_REG, MEMORY,
	 ONE_REGION(2 * G, 4096, 2 * U, S)},
	{"ADD_MEM_REG with an offset that wraps", VHOST_USER_ADD_MEM_REG, MEMORY,
	 ONE_REGION(2 * G, 8192, 2 * U, TOP)},
	{"ADD_MEM_REG wraps in the guest", VHOST_USER_ADD_MEM_REG, MEMORY,
	 ONE_REGION(TOP, 8192, 2 * U, 0)},
	{"ADD_MEM_REG wraps in the frontend", VHOST_USER_ADD_MEM_REG, MEMORY,
	 ONE_REGION(2 * G, 8192, TOP, 0)},
	{"ADD_MEM_REG of a small file", VHOST_USER_ADD_MEM_REG, SMALL,
	 ONE_REGION(2 * G, 4097, 2 * U, 0)},
	{"ADD_MEM_REG read-only", VHOST_USER_ADD_MEM_REG, READ_ONLY,
	 ONE_REGION(2 * G, 4096, 2 * U, 0)},
	{"ADD_MEM_REG write-only", VHOST_USER_ADD_MEM_REG, WRITE_ONLY,
	 ONE_REGION(2 * G, 4096, 2 * U, 0)},
	{"ADD_MEM_REG of a pipe", VHOST_USER_ADD_MEM_REG, PIPE, ONE_REGION(2 * G, 4096, 2 * U, 0)},
	{"ADD_MEM_REG of a counter", VHOST_USER_ADD_MEM_REG, COUNTER,
	 ONE_REGION(2 * G, 4096, 2 * U, 0)},
	{"ADD_MEM_REG of /dev/zero", VHOST_USER_ADD_MEM_REG, ZERO,
	 ONE_REGION(2 * G, 4096, 2 * U, 0)},
	{"ADD_MEM_REG of a folder", VHOST_USER_ADD_MEM_REG, FOLDER,
	 ONE_REGION(2 * G, 4096, 2 * U, 0)},
	{"ADD_MEM_REG of an epoll", VHOST_USER_ADD_MEM_REG, EPOLL,
	 ONE_REGION(2 * G, 4096, 2 * U, 0)},
	{"REM_MEM_REG of nothing", VHOST_USER_REM_MEM_REG, NO_FD,
	 ONE_REGION(3 * G, 4096, 3 * U, 0)},
	{"REM_MEM_REG of a part", VHOST_USER_REM_MEM_REG, NO_FD, ONE_REGION(G, 4096, U, 0)},
	{"REM_MEM_REG elsewhere in the frontend", VHOST_USER_REM_MEM_REG, NO_FD,
	 ONE_REGION(G, S, U + 4096, 0)},
	{"REM_MEM_REG elsewhere in the guest", VHOST_USER_REM_MEM_REG, NO_FD,
	 ONE_REGION(G + 4096, S, U, 0)},
	{"SET_MEM_TABLE of 2 with 1 descriptor", VHOST_USER_SET_MEM_TABLE, MEMORY,
	 TWO(ARGS(G, 4096, U, 0), ARGS(2 * G, 4096, 2 * U, 0))},
	{"SET_MEM_TABLE of 9", VHOST_USER_SET_MEM_TABLE, MEMORY,
	 PAYLOAD(struct vhost_user_memory, .count = 9)},
	{"SET_MEM_TABLE of 2^32 - 1", VHOST_USER_SET_MEM_TABLE, MEMORY,
	 PAYLOAD(struct vhost_user_memory, .count = UINT32_MAX)},
	{"SET_MEM_TABLE of 0 with a descriptor", VHOST_USER_SET_MEM_TABLE, MEMORY,
	 PAYLOAD(struct vhost_user_memory, .count = 0)},
	{"SET_MEM_TABLE with an empty region", VHOST_USER_SET_MEM_TABLE, MEMORY,
	 PAYLOAD(struct vhost_user_memory, 1, 0, {{G, 0, U, 0}})},
	{"SET_MEM_TABLE behind the file", VHOST_USER_SET_MEM_TABLE, MEMORY,
	 PAYLOAD(struct vhost_user_memory, 1, 0, {{G, 4096, U, S - 4095}})},
	{"SET_MEM_TABLE with a pipe", VHOST_USER_SET_MEM_TABLE, PIPE,
	 PAYLOAD(struct vhost_user_memory, 1, 0, {{G, 4096, U, 0}})},
	{"SET_MEM_TABLE wraps in the guest", VHOST_USER_SET_MEM_TABLE, MEMORY,
	 PAYLOAD(struct vhost_user_memory, 1, 0, {{TOP, 8192, U, 0}})},
};

static const struct row logs_and_areas[] = {
	{"SET_LOG_BASE empty", VHOST_USER_SET_LOG_BASE, MEMORY, LOG_AT(0, 0)},
	{"SET_LOG_BASE larger than the file", VHOST_USER_SET_LOG_BASE, MEMORY, LOG_AT(S, 1)},
	{"SET_LOG_BASE huge", VHOST_USER_SET_LOG_BASE, MEMORY, LOG_AT(UINT64_MAX, 0)},
	{"SET_LOG_BASE wraps", VHOST_USER_SET_LOG_BASE, MEMORY, LOG_AT(8192, TOP)},
	/* CTRL-01 */
	{"SET_LOG_BASE huge and wraps", VHOST_USER_SET_LOG_BASE, MEMORY, LOG_AT(TOP, 8192)},
	{"SET_LOG_BASE read-only", VHOST_USER_SET_LOG_BASE, READ_ONLY, LOG_AT(4096, 0)},
	{"SET_LOG_BASE with a counter", VHOST_USER_SET_LOG_BASE, COUNTER, LOG_AT(4096, 0)},
	{"SET_LOG_BASE with a folder", VHOST_USER_SET_LOG_BASE, FOLDER, LOG_AT(4096, 0)},
	{"GET_INFLIGHT_FD of no queue", VHOST_USER_GET_INFLIGHT_FD, NO_FD, AREAS(0, 0, 0, 16)},
	{"GET_INFLIGHT_FD of 3 queues", VHOST_USER_GET_INFLIGHT_FD, NO_FD, AREAS(0, 0, 3, 16)},
	{"GET_INFLIGHT_FD of no entries", VHOST_USER_GET_INFLIGHT_FD, NO_FD, AREAS(0, 0, 1, 0)},
	{"GET_INFLIGHT_FD of 65535 entries", VHOST_USER_GET_INFLIGHT_FD, NO_FD,
	 AREAS(0, 0, 1, 65535)},
	{"SET_INFLIGHT_FD of no queue", VHOST_USER_SET_INFLIGHT_FD, MEMORY, AREAS(4096, 0, 0, 16)},
	/* CTRL-10 */
	{"SET_INFLIGHT_FD of 65535 queues", VHOST_USER_SET_INFLIGHT_FD, MEMORY,
	 AREAS(4096, 0, 65535, 16)},
	{"SET_INFLIGHT_FD of no bytes", VHOST_USER_SET_INFLIGHT_FD, MEMORY, AREAS(0, 0, 1, 16)},
	{"SET_INFLIGHT_FD of no entries", VHOST_USER_SET_INFLIGHT_FD, MEMORY, AREAS(4096, 0, 1, 0)},
	{"SET_INFLIGHT_FD not aligned", VHOST_USER_SET_INFLIGHT_FD, MEMORY, AREAS(4096, 1, 1, 16)},
	{"SET_INFLIGHT_FD behind the file", VHOST_USER_SET_INFLIGHT_FD, MEMORY,
	 AREAS(4096, S, 1, 16)},
	{"SET_INFLIGHT_FD wraps", VHOST_USER_SET_INFLIGHT_FD, MEMORY, AREAS(8192, TOP, 1, 16)},
	{"SET_INFLIGHT_FD read-only", VHOST_USER_SET_INFLIGHT_FD, READ_ONLY, AREAS(4096, 0, 1, 16)},
	{"SET_INFLIGHT_FD with a pipe", VHOST_USER_SET_INFLIGHT_FD, PIPE, AREAS(4096, 0, 1, 16)},
	{"GET_CONFIG of no bytes", VHOST_USER_GET_CONFIG, NO_FD, CONFIG(12, 0, 0, 0)},
	{"GET_CONFIG of 8 in a message of 0", VHOST_USER_GET_CONFIG, NO_FD, CONFIG(12, 0, 8, 0)},
	{"GET_CONFIG of 257", VHOST_USER_GET_CONFIG, NO_FD, CONFIG(12, 0, 257, 0)},
	{"GET_CONFIG of 2^32 - 12", VHOST_USER_GET_CONFIG, NO_FD, CONFIG(12, 0, 0xfffffff4, 0)},
	{"GET_CONFIG at 2^32 - 1", VHOST_USER_GET_CONFIG, NO_FD, CONFIG(13, UINT32_MAX, 1, 0)},
	{"GET_CONFIG over the end", VHOST_USER_GET_CONFIG, NO_FD, CONFIG(13, 256, 1, 0)},
	{"GET_CONFIG of more than the message", VHOST_USER_GET_CONFIG, NO_FD, CONFIG(13, 0, 2, 0)},
	{"SET_CONFIG of no bytes", VHOST_USER_SET_CONFIG, NO_FD, CONFIG(12, 0, 0, 0)},
	{"SET_CONFIG of 2^32 - 12", VHOST_USER_SET_CONFIG, NO_FD, CONFIG(12, 0, 0xfffffff4, 0)},
	{"SET_CONFIG at 2^32 - 1", VHOST_USER_SET_CONFIG, NO_FD, CONFIG(13, UINT32_MAX, 1, 0)},
};

/* A descriptor of this kind, the caller's. */
static int make_fd(enum kind kind, const struct vhost_peer *peer)
{
	char path[32];
	int pair[2], fd;

	switch (kind) {
	case NO_FD:
		return -1;
	case MEMORY:
		return dup(peer->memory_fd);
	case COUNTER:
		return eventfd(0, EFD_CLOEXEC);
	case READ_ONLY:
	case WRITE_ONLY:
		snprintf(path, sizeof(path), "/proc/self/fd/%d", peer->memory_fd);
		return open(path, (kind == READ_ONLY ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
	case PIPE:
	case CLOSED_PIPE:
		assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
		close(pair[kind == PIPE ? 1 : 0]);
		return pair[kind == PIPE ? 0 : 1];
	case FOLDER:
		return open("/", O_DIRECTORY | O_CLOEXEC);
	case ZERO:
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	case EPOLL:
		return epoll_create1(EPOLL_CLOEXEC);
	case SMALL:
		fd = memfd_create("vhost-small", MFD_CLOEXEC);
		assert_int_equal(ftruncate(fd, 4096), 0);
		return fd;
	}
	return -1;
}

static struct hostile hostile;

/* When the row is sent. */
enum moment {
	NEGOTIATED,
	WITH_MEMORY,
	RUNNING,
	MOMENTS,
};

static void send_row(struct hostile *h, const struct row *row, bool acknowledge)
{
	int fd = make_fd(row->kind, &h->peer);
	const struct peer_message message = {
		.request = row->request,
		.flags = VHOST_USER_VERSION | (acknowledge ? VHOST_USER_NEED_REPLY : 0),
		.size = row->size,
		.payload = row->payload,
		.fds = &fd,
		.fd_count = row->kind != NO_FD,
	};

	peer_send(&h->peer, &message);
	if (fd >= 0)
		close(fd);
}

static void play(struct hostile *h, const struct row *row, enum moment moment, bool acknowledge)
{
	unsigned refused = vhost_stage_count(&h->stage, VHOST_USER_REFUSED);

	hostile_negotiate(h, acknowledge);
	if (moment >= WITH_MEMORY)
		peer_share_memory(&h->peer);
	if (moment >= RUNNING) {
		peer_start_ring(&h->peer, 0, 0);
		peer_read_sector(&h->peer, 0);
	}
	send_row(h, row, acknowledge);
	hostile_answers(h);
	assert_int_equal(vhost_stage_count(&h->stage, VHOST_USER_REFUSED), refused + 1);
	if (acknowledge) {
		send_row(h, row, acknowledge);
		hostile_answers(h);
	}
	hostile_leave(h);
}

static void test_row(void **state)
{
	for (int moment = NEGOTIATED; moment < MOMENTS; moment++) {
		play(&hostile, *state, moment, false);
		play(&hostile, *state, moment, true);
	}
}

static int begin(void **state)
{
	(void)state;
	hostile_begin(&hostile);
	return 0;
}

static int end(void **state)
{
	(void)state;
	hostile_end(&hostile);
	return 0;
}

int main(void)
{
	static const struct {
		const struct row *rows;
		size_t count;
	} tables[] = {
		{features_and_status, COUNT_OF(features_and_status)},
		{rings, COUNT_OF(rings)},
		{memory, COUNT_OF(memory)},
		{logs_and_areas, COUNT_OF(logs_and_areas)},
	};
	struct CMUnitTest tests[256];
	size_t count = 0;

	for (size_t t = 0; t < COUNT_OF(tables); t++)
		for (size_t i = 0; i < tables[t].count; i++) {
			const struct row *row = &tables[t].rows[i];

			assert_true(count < COUNT_OF(tests));
			tests[count++] = (struct CMUnitTest){row->name, test_row, NULL, NULL,
							     (void *)(uintptr_t)row};
		}
	return _cmocka_run_group_tests("vhost_user_hostile", tests, count, begin, end);
}
