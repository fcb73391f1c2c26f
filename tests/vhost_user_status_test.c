/* SPDX-License-Identifier: BSD-3-Clause */
/* The status byte of a session, where the protocol feature STATUS is spoken (virtio 1.3, 2.1). */
#include <endian.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "devices/fs/fs.h"
#include "devices/fs/fuse.h"
#include "devices/fs/tree.h"
#include "support/vhost_stage.h"

#define BIT(number) (UINT64_C(1) << (number))
#define MINE        (BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES))
#define ALMOST      (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define READY       (ALMOST | VIRTIO_CONFIG_S_DRIVER_OK)

static int by_hand(void **state)
{
	static struct vhost_stage stage;

	vhost_stage_by_hand(&stage, NULL);
	peer_negotiate(&stage.peer, 0,
		       PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(STATUS) |
			       PEER_PROTOCOL(BACKEND_REQ) | PEER_PROTOCOL(RESET_DEVICE));
	*state = &stage;
	return 0;
}

static int finish(void **state)
{
	vhost_stage_finish(*state);
	return 0;
}

static uint8_t status_of(struct vhost_peer *peer)
{
	return (uint8_t)peer_ask(peer, VHOST_USER_GET_STATUS);
}

/*
 * 2.2.2: the message is obeyed, since it says what a driver chose, who may be one that we cannot
 * serve; that it is refused, FEATURES_OK says.
 */
static void test_features_that_cannot_be_leave_features_ok_clear(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	/* There is no legacy interface. */
	assert_int_equal(
		peer_tell_u64(peer, VHOST_USER_SET_FEATURES, BIT(VHOST_USER_F_PROTOCOL_FEATURES)),
		0);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_STATUS, READY), 0);
	assert_int_equal(status_of(peer), VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_STATUS, 0), 0);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_FEATURES, MINE), 0);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_STATUS, READY), 0);
	assert_int_equal(status_of(peer), READY);
}

/* What was never offered no driver can have chosen. */
static void test_features_that_are_not_offered_are_refused(void **state)
{
	struct vhost_stage *stage = *state;

	assert_int_equal(
		peer_tell_u64(&stage->peer, VHOST_USER_SET_FEATURES, MINE | BIT(VIRTIO_F_SR_IOV)),
		1);
}

static void test_without_status_nobody_could_hear_of_it(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	peer_negotiate(peer, 0, PEER_PROTOCOL(REPLY_ACK));
	assert_int_equal(
		peer_tell_u64(peer, VHOST_USER_SET_FEATURES, BIT(VHOST_USER_F_PROTOCOL_FEATURES)),
		1);
}

static int open_channel(struct vhost_peer *peer)
{
	int channel[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
	assert_int_equal(peer_tell(peer, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, channel[1]), 0);
	close(channel[1]);
	return channel[0];
}

static void assert_told_of_change(int channel)
{
	struct vhost_user_header news;

	assert_int_equal(recv(channel, &news, sizeof(news), MSG_DONTWAIT), sizeof(news));
	assert_int_equal(news.request, VHOST_USER_BACKEND_CONFIG_CHANGE);
	assert_int_equal(recv(channel, &news, sizeof(news), MSG_DONTWAIT), -1);
}

/* 2.1.2: with the driver ready there is no other way to tell it. */
static void test_a_ring_that_cannot_start_needs_a_reset(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	int channel = open_channel(peer), error = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t count = 0;

	peer_tell_u64(peer, VHOST_USER_SET_STATUS, ALMOST);
	peer_share_memory(peer);
	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_ERR, 1, error), 0);
	/* Its base is none that a split ring has. */
	peer_start_ring(peer, 0, 0x10000);
	assert_int_equal(status_of(peer), ALMOST);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_STATUS, READY), 0);
	assert_int_equal(status_of(peer), READY | VIRTIO_STATUS_NEEDS_RESET);
	assert_told_of_change(channel);
	assert_int_equal(read(error, &count, sizeof(count)), sizeof(count));
	assert_int_equal(stage->events.count[VHOST_USER_BROKEN], 1);
	assert_int_equal(stage->events.count[VHOST_USER_REFUSED], 1);
	close(channel);
	close(error);
}

/* One that has not been started, or is disabled, is none that cannot. */
static void test_rings_that_need_not_start_need_no_reset(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	peer_tell_u64(peer, VHOST_USER_SET_STATUS, ALMOST);
	peer_share_memory(peer);
	peer_start_ring(peer, 0, 0x10000);
	peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 0, 0);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_STATUS, READY), 0);
	assert_int_equal(status_of(peer), READY);
}

/*
 * A frontend may keep a copy of the config space, which a reset of its guest does not renew. The next
 * frontend has none.
 */
static void test_what_changed_is_told_after_a_reset_too(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	int channel;

	assert_int_equal(stage->store->ops->resize(stage->store, 1024 * BLK_SECTOR_SIZE), 0);
	blk_look_again(stage->device);
	stage->device->ops->event(stage->device);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_STATUS, 0), 0);
	assert_true(stage->session.config_due);
	channel = open_channel(peer);
	assert_told_of_change(channel);
	close(channel);
	stage->session.config_due = true;
	vhost_user_session_close(&stage->session);
	assert_false(stage->session.config_due);
}

static uint64_t ask(struct vhost_user_session *session, uint32_t request)
{
	struct vhost_user_message reply,
		message = {.header = {.request = request, .flags = VHOST_USER_VERSION}};

	assert_int_equal(vhost_user_session_take(session, &message, &reply), VHOST_USER_REPLIED);
	return reply.payload.u64;
}

static uint64_t protocol_features_of(struct virtio_device *device)
{
	const struct vhost_user_hooks none = {0};
	struct vhost_user_session session;
	uint64_t features;

	assert_int_equal(vhost_user_session_init(&session, device, 0, &none), 0);
	features = ask(&session, VHOST_USER_GET_PROTOCOL_FEATURES);
	vhost_user_session_finish(&session);
	return features;
}

/*
 * Node ids and handles are gone with the process: nobody can go on with what is in flight. And they
 * must outlive a pause of the machine, for which QEMU writes status 0.
 */
static void test_what_dies_with_its_process_offers_neither_areas_nor_status(void **state)
{
	struct vhost_stage *stage = *state;
	struct fs_session *session;
	struct virtio_device *fs;
	struct fs_tree *tree;

	assert_true(peer_ask(&stage->peer, VHOST_USER_GET_PROTOCOL_FEATURES) &
		    PEER_PROTOCOL(INFLIGHT_SHMFD));
	assert_int_equal(fs_tree_ram_create(&tree, NULL), 0);
	assert_int_equal(fuse_session_create(&session, NULL, tree), 0);
	assert_int_equal(fs_create(&fs, &(struct fs_options){.tag = "t"}, session), 0);
	assert_int_equal(protocol_features_of(fs),
			 peer_ask(&stage->peer, VHOST_USER_GET_PROTOCOL_FEATURES) &
				 ~(PEER_PROTOCOL(INFLIGHT_SHMFD) | PEER_PROTOCOL(STATUS)));
	fs->ops->destroy(fs);
	session->ops->destroy(session);
	tree->ops->destroy(tree);
}

#define TEST(f) cmocka_unit_test_setup_teardown(test_##f, by_hand, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(features_that_cannot_be_leave_features_ok_clear),
		TEST(features_that_are_not_offered_are_refused),
		TEST(without_status_nobody_could_hear_of_it),
		TEST(a_ring_that_cannot_start_needs_a_reset),
		TEST(rings_that_need_not_start_need_no_reset),
		TEST(what_changed_is_told_after_a_reset_too),
		TEST(what_dies_with_its_process_offers_neither_areas_nor_status),
	};

	return cmocka_run_group_tests_name("vhost_user_status", tests, NULL, NULL);
}
