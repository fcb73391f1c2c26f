/* SPDX-License-Identifier: BSD-3-Clause */
/* The config space in messages, and the backend channel on which its changes are told. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "support/vhost_stage.h"

#define BIT(number) (UINT64_C(1) << (number))

struct message {
	struct vhost_user_config head;
	uint8_t bytes[VHOST_USER_CONFIG_MAX];
};

static int by_hand(void **state)
{
	static struct vhost_stage stage;

	vhost_stage_by_hand(&stage, NULL);
	peer_negotiate(&stage.peer, BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE),
		       PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(CONFIG) |
			       PEER_PROTOCOL(BACKEND_REQ));
	*state = &stage;
	return 0;
}

static int finish(void **state)
{
	vhost_stage_finish(*state);
	return 0;
}

/* Returns the size of the reply; what it holds is in *config. */
static uint32_t get(struct vhost_peer *peer, uint32_t offset, uint32_t size, struct message *config)
{
	struct peer_reply reply;

	*config = (struct message){.head = {.offset = offset, .size = size}};
	memset(config->bytes, 0xee, sizeof(config->bytes));
	assert_true(peer_send(peer, &(struct peer_message){.request = VHOST_USER_GET_CONFIG,
							   .size = sizeof(config->head) + size,
							   .payload = config}));
	assert_int_equal(peer_receive(peer, &reply), PEER_REPLY);
	memcpy(config, reply.payload, reply.header.size);
	return reply.header.size;
}

static uint64_t set(struct vhost_peer *peer, uint32_t offset, uint8_t value, uint32_t flags)
{
	const struct message config = {.head = {offset, 1, flags}, .bytes = {value}};

	return peer_tell(peer, VHOST_USER_SET_CONFIG, &config, sizeof(config.head) + 1, -1);
}

/* Linux as a process asks for 256 bytes, whatever the device has. */
static void test_the_reply_is_as_long_as_the_request(void **state)
{
	struct vhost_stage *stage = *state;
	uint32_t size = stage->device->ops->config_size(stage->device);
	struct message config;

	assert_int_equal(get(&stage->peer, 0, VHOST_USER_CONFIG_MAX, &config),
			 sizeof(config.head) + VHOST_USER_CONFIG_MAX);
	assert_int_equal(config.head.size, VHOST_USER_CONFIG_MAX);
	assert_int_equal(config.bytes[0] | config.bytes[1] << 8, STAGE_SECTORS);
	for (uint32_t i = size; i < VHOST_USER_CONFIG_MAX; i++)
		assert_int_equal(config.bytes[i], 0);
	assert_int_equal(get(&stage->peer, 1, 1, &config), sizeof(config.head) + 1);
	assert_int_equal(config.bytes[0], STAGE_SECTORS >> 8);
	assert_int_equal(get(&stage->peer, 255, 1, &config), sizeof(config.head) + 1);
	assert_int_equal(config.bytes[0], 0);
}

/* CONF-10 was a bug of the kernel's: what reaches past the end. */
static void test_what_cannot_be_read_has_size_0(void **state)
{
	struct vhost_stage *stage = *state;
	struct message config;

	assert_int_equal(get(&stage->peer, 1, VHOST_USER_CONFIG_MAX, &config), sizeof(config.head));
	assert_int_equal(config.head.size, 0);
	assert_int_equal(get(&stage->peer, 0, 0, &config), sizeof(config.head));
	assert_int_equal(config.head.size, 0);
}

static void test_a_driver_writes_what_may_be_written(void **state)
{
	const uint32_t wce = offsetof(struct virtio_blk_config, wce);
	struct vhost_stage *stage = *state;
	struct message config;

	assert_int_equal(set(&stage->peer, wce, 0, VHOST_USER_CONFIG_WRITABLE), 0);
	get(&stage->peer, wce, 1, &config);
	assert_int_equal(config.bytes[0], 0);
	assert_int_equal(set(&stage->peer, 1, 7, VHOST_USER_CONFIG_WRITABLE), 1);
	assert_int_equal(set(&stage->peer, 200, 0, VHOST_USER_CONFIG_WRITABLE), 1);
}

/* Fields that are read-only come along, and have to be the same here. */
static void test_live_migration_writes_what_is_there_already(void **state)
{
	struct vhost_stage *stage = *state;

	assert_int_equal(set(&stage->peer, 1, STAGE_SECTORS >> 8, VHOST_USER_CONFIG_MIGRATE), 0);
	assert_int_equal(set(&stage->peer, 1, STAGE_SECTORS >> 7, VHOST_USER_CONFIG_MIGRATE), 1);
}

static void resize(struct vhost_stage *stage, uint64_t sectors)
{
	assert_int_equal(stage->store->ops->resize(stage->store, sectors * BLK_SECTOR_SIZE), 0);
	blk_capacity_changed(stage->device);
}

/* Returns whether there was news on the channel, and takes one message of it. */
static bool heard(int channel)
{
	struct vhost_user_header news;
	ssize_t size = recv(channel, &news, sizeof(news), MSG_DONTWAIT);

	if (size < 0)
		return false;
	assert_int_equal(size, sizeof(news));
	assert_int_equal(news.request, VHOST_USER_BACKEND_CONFIG_CHANGE);
	assert_int_equal(news.flags, VHOST_USER_VERSION);
	assert_int_equal(news.size, 0);
	return true;
}

static void test_a_change_is_told_once_there_is_a_channel(void **state)
{
	struct vhost_stage *stage = *state;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	resize(stage, 512);
	assert_int_equal(stage->news, 1);
	assert_int_equal(peer_tell(&stage->peer, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, pair[1]),
			 0);
	assert_true(heard(pair[0]));
	vhost_user_session_flush(&stage->session);
	assert_false(heard(pair[0]));
	resize(stage, 1024);
	resize(stage, 2048);
	vhost_user_session_flush(&stage->session);
	assert_true(heard(pair[0]));
	assert_false(heard(pair[0]));
	close(pair[0]);
	close(pair[1]);
}

static void test_a_change_waits_for_a_frontend_that_does_not_read(void **state)
{
	struct vhost_stage *stage = *state;
	char full[65536] = {0};
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(peer_tell(&stage->peer, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, ends[1]),
			 0);
	assert_int_equal(write(ends[1], full, sizeof(full)), sizeof(full));
	resize(stage, 512);
	vhost_user_session_flush(&stage->session);
	assert_true(stage->session.config_due);
	assert_int_equal(read(ends[0], full, sizeof(full)), sizeof(full));
	vhost_user_session_flush(&stage->session);
	assert_false(stage->session.config_due);
	assert_int_equal(read(ends[0], full, sizeof(full)), sizeof(struct vhost_user_header));
	/* When nobody can ever read, there is no channel any more. */
	close(ends[0]);
	resize(stage, 1024);
	vhost_user_session_flush(&stage->session);
	assert_int_equal(stage->session.backend_fd, -1);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_reply_is_as_long_as_the_request, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_read_has_size_0, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_a_driver_writes_what_may_be_written, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_live_migration_writes_what_is_there_already,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_a_change_is_told_once_there_is_a_channel,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(
			test_a_change_waits_for_a_frontend_that_does_not_read, by_hand, finish),
	};

	return cmocka_run_group_tests_name("vhost_user_config", tests, NULL, NULL);
}
