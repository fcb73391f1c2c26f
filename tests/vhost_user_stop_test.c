/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that are with the store when the frontend stops, disables, resets or leaves a ring, or
 * the server is told to end: what was taken is finished and used, and its notification sent, before
 * the frontend gets an answer and its memory goes.
 */
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_blk.h>

#include "support/late_store.h"
#include "support/vhost_stage.h"

#define POLLS 5u

static struct blk_store *late_store(void)
{
	struct blk_store *store;

	assert_int_equal(late_store_create(&store, STAGE_SECTORS * BLK_SECTOR_SIZE, POLLS), 0);
	return store;
}

/* Ring 0 runs, and one request of it is with the store. */
static int by_hand(void **state)
{
	static struct vhost_stage stage;
	struct vhost_peer *peer = &stage.peer;

	vhost_stage_by_hand(&stage, late_store());
	peer_negotiate(peer, 0, PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(RESET_DEVICE));
	assert_int_equal(peer_share_memory(peer), 0);
	peer_start_ring(peer, 0, 0);
	peer_expose(peer, 0);
	assert_int_equal(vhost_user_queue_run(&stage.session, 0, 4), VIRTIO_WAITING);
	assert_false(peer_used(peer, 0));
	*state = &stage;
	return 0;
}

static int finish(void **state)
{
	vhost_stage_finish(*state);
	return 0;
}

static void assert_finished(struct vhost_peer *peer)
{
	assert_true(peer_used(peer, 0));
	assert_int_equal(peer_calls(peer, 0), 1);
	assert_int_equal(peer->memory[PEER_RING(0) + 0x3000 + 16 + 512], VIRTIO_BLK_S_OK);
}

/* CTRL-08 */
static void test_the_base_is_behind_what_was_taken(void **state)
{
	struct vhost_stage *stage = *state;

	assert_int_equal(peer_stop(&stage->peer, 0), 1);
	assert_finished(&stage->peer);
	peer_start_ring(&stage->peer, 0, 1);
	peer_read_sector(&stage->peer, 0);
}

/* Cut to 16 bits it would be the right one. */
static void test_a_base_that_is_too_large_is_refused(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	assert_int_equal(peer_stop(peer, 0), 1);
	assert_finished(peer);
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_BASE, 0, 0x10001), 0);
	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_KICK, 0, peer->kick[0]), 1);
}

static void test_a_ring_that_is_disabled_finishes_first(void **state)
{
	struct vhost_stage *stage = *state;

	assert_int_equal(peer_tell_state(&stage->peer, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
	assert_finished(&stage->peer);
}

static void test_a_reset_finishes_first(void **state)
{
	struct vhost_stage *stage = *state;

	assert_int_equal(peer_tell(&stage->peer, VHOST_USER_RESET_DEVICE, NULL, 0, -1), 0);
	assert_finished(&stage->peer);
}

/* CTRL-07: a request keeps the memory that it was translated into. */
static void test_memory_is_kept_for_what_was_taken(void **state)
{
	const struct vhost_user_region region = peer_region();
	struct vhost_stage *stage = *state;

	assert_int_equal(peer_share_memory(&stage->peer), 0);
	vhost_stage_pump(stage);
	assert_finished(&stage->peer);
	assert_int_equal(stage->session.regions[0].size, region.size);
}

static void test_a_frontend_that_is_gone_is_waited_for(void **state)
{
	struct vhost_stage *stage = *state;

	shutdown(stage->peer.socket, SHUT_RDWR);
	vhost_stage_pump(stage);
	assert_int_equal(stage->socket, -1);
	assert_finished(&stage->peer);
	assert_int_equal(stage->session.memory.map->count, 0);
}

/* Nothing that was taken is lost: whatever is used has its data. */
static void test_a_server_that_ends_finishes_first(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		vhost_stage_serve(&stage, &(struct vhost_user_options){0}, late_store());
		vhost_stage_connect(&stage, &peer);
		peer_set_up(&peer);
		for (unsigned i = 0; i < round % 4; i++)
			peer_read_sector(&peer, 0);
		peer_expose(&peer, 0);
		vhost_stage_finish(&stage);
		/* It was taken or it was not. */
		if (peer_used(&peer, 0))
			assert_int_equal(peer.memory[0x3000 + 16 + 512], VIRTIO_BLK_S_OK);
		else
			assert_int_equal(peer.memory[0x3000 + 16 + 512], 0xee);
		peer_finish(&peer);
	}
}

static void test_requests_that_take_time_are_served(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve(&stage, &(struct vhost_user_options){0}, late_store());
	vhost_stage_connect(&stage, &peer);
	peer_set_up(&peer);
	for (unsigned i = 0; i < 50; i++)
		peer_read_sector(&peer, 0);
	assert_int_equal(peer_stop(&peer, 0), 50);
	peer_finish(&peer);
	vhost_stage_finish(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_base_is_behind_what_was_taken, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_a_base_that_is_too_large_is_refused, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_a_ring_that_is_disabled_finishes_first,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_a_reset_finishes_first, by_hand, finish),
		cmocka_unit_test_setup_teardown(test_memory_is_kept_for_what_was_taken, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_a_frontend_that_is_gone_is_waited_for, by_hand,
						finish),
		cmocka_unit_test(test_a_server_that_ends_finishes_first),
		cmocka_unit_test(test_requests_that_take_time_are_served),
	};

	return cmocka_run_group_tests_name("vhost_user_stop", tests, NULL, NULL);
}
