/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session step by step: what a frontend is told, when a ring is live, and where it stands when
 * it is not.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "support/vhost_stage.h"

#define BIT(number) (UINT64_C(1) << (number))

static int by_hand(void **state)
{
	static struct vhost_stage stage;

	vhost_stage_by_hand(&stage, NULL);
	*state = &stage;
	return 0;
}

static int finish(void **state)
{
	vhost_stage_finish(*state);
	return 0;
}

static void test_what_is_offered(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	uint64_t features = peer_ask(peer, VHOST_USER_GET_FEATURES);

	assert_true(features & BIT(VIRTIO_F_VERSION_1));
	assert_true(features & BIT(VHOST_F_LOG_ALL));
	assert_true(features & BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	assert_true(features & BIT(VIRTIO_TRANSPORT_F_RING_RESET));
	/* A kick is a counter: it has no data. */
	assert_false(features & BIT(VIRTIO_TRANSPORT_F_NOTIFICATION_DATA));
	peer_negotiate(peer, 0, PEER_PROTOCOL(MQ) | PEER_PROTOCOL(CONFIGURE_MEM_SLOTS));
	assert_int_equal(peer_ask(peer, VHOST_USER_GET_QUEUE_NUM), PEER_QUEUES);
	assert_int_equal(peer_ask(peer, VHOST_USER_GET_MAX_MEM_SLOTS), VHOST_USER_SLOTS_MAX);
	/* Vhost's own bits are not the device's. */
	assert_int_equal(stage->session.transport.driver_features, BIT(VIRTIO_F_VERSION_1));
}

static void test_no_acknowledgement_that_was_not_negotiated(void **state)
{
	struct vhost_stage *stage = *state;
	struct peer_reply reply;

	assert_true(peer_send(
		&stage->peer,
		&(struct peer_message){.request = VHOST_USER_SET_OWNER,
				       .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY}));
	assert_int_equal(peer_receive(&stage->peer, &reply), PEER_NOTHING);
}

static void test_messages_in_one_piece_are_told_apart(void **state)
{
	struct vhost_stage *stage = *state;
	const struct vhost_user_header two[] = {
		{VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0},
		{VHOST_USER_GET_PROTOCOL_FEATURES, VHOST_USER_VERSION, 0},
	};
	struct peer_reply reply;

	assert_true(peer_send_bytes(&stage->peer, two, sizeof(two), NULL, 0));
	assert_int_equal(peer_receive(&stage->peer, &reply), PEER_REPLY);
	assert_int_equal(reply.header.request, VHOST_USER_GET_FEATURES);
	assert_int_equal(peer_receive(&stage->peer, &reply), PEER_REPLY);
	assert_int_equal(reply.header.request, VHOST_USER_GET_PROTOCOL_FEATURES);
}

static void test_a_ring_is_served_from_its_kick_on(void **state)
{
	struct vhost_stage *stage = *state;

	peer_set_up(&stage->peer);
	for (unsigned i = 0; i < 3 * PEER_ENTRIES; i++)
		peer_read_sector(&stage->peer, 0);
	assert_int_equal(stage->events.count[VHOST_USER_REFUSED], 0);
}

static void test_a_disabled_ring_keeps_its_chains(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	peer_set_up(peer);
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
	peer_expose(peer, 0);
	vhost_stage_pump(stage);
	assert_false(peer_used(peer, 0));
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	vhost_stage_pump(stage);
	assert_true(peer_used(peer, 0));
	assert_int_equal(peer_calls(peer, 0), 1);
}

static void test_rings_are_enabled_without_protocol_features(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	peer_tell_u64(peer, VHOST_USER_SET_FEATURES, BIT(VIRTIO_F_VERSION_1));
	peer_share_memory(peer);
	peer_start_ring(peer, 0, 0);
	peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 0, 0);
	peer_read_sector(peer, 0);
}

static void test_a_ring_goes_on_where_it_was_stopped(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	peer_set_up(peer);
	assert_int_equal(peer_stop(peer, 1), 0);
	for (unsigned round = 0; round < 3; round++) {
		peer_read_sector(peer, 0);
		peer_read_sector(peer, 0);
		assert_int_equal(peer_stop(peer, 0), 2 * (round + 1));
		peer_expose(peer, 0);
		vhost_stage_pump(stage);
		assert_false(peer_used(peer, 0));
		/* Take the chain back, as a driver may while nobody looks. */
		memset(peer->memory + PEER_RING(0) + 0x1002, (int)(2 * (round + 1)) & 0xff, 1);
		peer_start_ring(peer, 0, 2 * (round + 1));
	}
}

static void test_a_notification_waits_for_its_descriptor(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	peer_set_up(peer);
	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_CALL, 0, -1), 0);
	peer_expose(peer, 0);
	vhost_stage_pump(stage);
	assert_true(peer_used(peer, 0));
	assert_int_equal(peer_calls(peer, 0), 0);
	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_CALL, 0, peer->call[0]), 0);
	assert_int_equal(peer_calls(peer, 0), 1);
	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_CALL, 0, peer->call[0]), 0);
	assert_int_equal(peer_calls(peer, 0), 0);
}

/* 2.1.2: nothing is taken before DRIVER_OK, where the status is known. */
static void test_with_status_a_ring_waits_for_the_driver(void **state)
{
	const uint8_t ready =
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	peer_negotiate(peer, 0, PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(STATUS));
	assert_int_equal(peer_ask(peer, VHOST_USER_GET_STATUS), 0);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_STATUS, ready), 0);
	assert_int_equal(peer_ask(peer, VHOST_USER_GET_STATUS), ready);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_STATUS, 256), 1);
	peer_share_memory(peer);
	peer_start_ring(peer, 0, 0);
	peer_expose(peer, 0);
	vhost_stage_pump(stage);
	assert_false(peer_used(peer, 0));
	assert_int_equal(
		peer_tell_u64(peer, VHOST_USER_SET_STATUS, ready | VIRTIO_CONFIG_S_DRIVER_OK), 0);
	vhost_stage_pump(stage);
	assert_true(peer_used(peer, 0));
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_STATUS, 0), 0);
	assert_int_equal(peer_ask(peer, VHOST_USER_GET_STATUS), 0);
	assert_int_equal(stage->session.transport.driver_features, 0);
}

static void test_reset_device_forgets_rings_and_features(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	peer_negotiate(peer, 0, PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(RESET_DEVICE));
	peer_share_memory(peer);
	peer_start_ring(peer, 0, 0);
	peer_read_sector(peer, 0);
	assert_int_equal(peer_tell(peer, VHOST_USER_RESET_DEVICE, NULL, 0, -1), 0);
	assert_int_equal(stage->session.transport.driver_features, 0);
	assert_int_equal(peer_stop(peer, 0), 0);
	peer_expose(peer, 0);
	vhost_stage_pump(stage);
	assert_false(peer_used(peer, 0));
}

/* Other features with no ring running are those of another driver: the device is reset first. */
static void test_new_features_stand_for_a_reset_without_status(void **state)
{
	const uint64_t mine = BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	peer_set_up(peer);
	assert_int_not_equal(
		peer_tell_u64(peer, VHOST_USER_SET_FEATURES, mine | BIT(VIRTIO_BLK_F_FLUSH)), 0);
	assert_int_equal(stage->session.transport.driver_features, BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(
		peer_tell_u64(peer, VHOST_USER_SET_PROTOCOL_FEATURES, PEER_PROTOCOL(REPLY_ACK)), 1);
	peer_read_sector(peer, 0);
	peer_stop(peer, 0);
	assert_int_equal(
		peer_tell_u64(peer, VHOST_USER_SET_FEATURES, mine | BIT(VIRTIO_BLK_F_FLUSH)), 0);
	assert_int_equal(stage->session.transport.driver_features,
			 BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_BLK_F_FLUSH));
}

/* 2.7.5.1.1 broken: the driver hears of it, and after a reset it can go on. */
static void test_a_broken_ring_is_an_error_until_the_reset(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	int error = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const uint64_t start = PEER_USER + PEER_RING(1);
	const struct vhost_user_vring_addr fine = {1, 0, start, start + 0x2000, start + 0x1000, 0};
	uint64_t count = 0;

	peer_negotiate(peer, 0, PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(STATUS));
	peer_tell_u64(peer, VHOST_USER_SET_STATUS, 15);
	peer_share_memory(peer);
	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_ERR, 0, error), 0);
	peer_start_ring(peer, 0, 0);
	/* The available index moves by more than the ring has. */
	peer->memory[PEER_RING(0) + 0x1003] = 0x40;
	vhost_stage_pump(stage);
	assert_int_equal(read(error, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_int_equal(stage->events.count[VHOST_USER_BROKEN], 1);
	assert_int_equal(peer_ask(peer, VHOST_USER_GET_STATUS), 15 | VIRTIO_STATUS_NEEDS_RESET);
	/* Not even a ring that is fine. */
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_NUM, 1, 16), 0);
	peer_tell(peer, VHOST_USER_SET_VRING_ADDR, &fine, sizeof(fine), -1);
	peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 1, 1);
	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_KICK, 1, peer->kick[1]), 1);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_STATUS, 0), 0);
	assert_int_equal(peer_ask(peer, VHOST_USER_GET_STATUS), 0);
	memset(peer->memory, 0, PEER_SIZE);
	peer_tell_u64(peer, VHOST_USER_SET_FEATURES,
		      BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	peer_tell_u64(peer, VHOST_USER_SET_STATUS, 15);
	peer_start_ring(peer, 0, 0);
	peer_read_sector(peer, 0);
	close(error);
}

/* A read of sector 0 in slot 0 and 1 of a packed ring, in the lap that wrap is of. */
static void expose_packed(struct vhost_peer *peer, bool wrap)
{
	struct vring_packed_desc *ring = (void *)peer->memory;
	uint16_t turn =
		htole16(wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED);

	memset(peer->memory + 0x3000, 0, 16);
	ring[0] = (struct vring_packed_desc){htole64(PEER_GUEST + 0x3000), htole32(16), 0,
					     turn | htole16(VRING_DESC_F_NEXT)};
	ring[1] = (struct vring_packed_desc){htole64(PEER_GUEST + 0x3010), htole32(513), htole16(7),
					     turn | htole16(VRING_DESC_F_WRITE)};
}

/* Linux as a process says 0 for a fresh ring; elsewhere that is the end of the first lap. */
static void test_base_0_of_a_packed_ring_is_what_the_ring_says(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	const struct vring_packed_desc *ring = (const void *)peer->memory;

	peer_negotiate(peer, BIT(VIRTIO_F_RING_PACKED), PEER_PROTOCOL(REPLY_ACK));
	peer_share_memory(peer);
	for (int wrap = 1; wrap >= 0; wrap--) {
		expose_packed(peer, wrap);
		peer_start_ring(peer, 0, 0);
		vhost_stage_pump(stage);
		assert_int_equal(le16toh(ring[0].id), 7);
		assert_int_equal(le16toh(ring[0].flags) & ~VRING_DESC_F_WRITE, wrap ? 0x8080 : 0);
		/* Both positions are behind the two slots, in this lap. */
		assert_int_equal(peer_stop(peer, 0), wrap ? 0x80028002 : 0x00020002);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_offered, by_hand, finish),
		cmocka_unit_test_setup_teardown(test_no_acknowledgement_that_was_not_negotiated,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_messages_in_one_piece_are_told_apart, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_a_ring_is_served_from_its_kick_on, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_a_disabled_ring_keeps_its_chains, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_rings_are_enabled_without_protocol_features,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_a_ring_goes_on_where_it_was_stopped, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_a_notification_waits_for_its_descriptor,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_with_status_a_ring_waits_for_the_driver,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_reset_device_forgets_rings_and_features,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_new_features_stand_for_a_reset_without_status,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_a_broken_ring_is_an_error_until_the_reset,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_base_0_of_a_packed_ring_is_what_the_ring_says,
						by_hand, finish),
	};

	return cmocka_run_group_tests_name("vhost_user_session", tests, NULL, NULL);
}
