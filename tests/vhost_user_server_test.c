/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The served block device with its threads and sockets: what a frontend that behaves gets, one
 * after the other, and how the server ends.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "support/vhost_stage.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void test_one_frontend_after_the_other_is_served(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve(&stage, &(struct vhost_user_options){0}, NULL);
	for (unsigned i = 1; i <= 3; i++) {
		vhost_stage_connect(&stage, &peer);
		peer_set_up(&peer);
		for (unsigned n = 0; n < 100; n++)
			peer_read_sector(&peer, 0);
		assert_int_equal(peer_stop(&peer, 0), 100);
		peer_finish(&peer);
		vhost_stage_wait(&stage, VHOST_USER_DISCONNECTED, i);
	}
	assert_int_equal(vhost_stage_count(&stage, VHOST_USER_REFUSED), 0);
	vhost_stage_finish(&stage);
}

static void test_a_second_frontend_waits_for_the_first_to_go(void **state)
{
	struct vhost_peer first, second;
	struct vhost_stage stage;

	(void)state;
	vhost_stage_serve_peer(&stage, &first);
	vhost_stage_connect(&stage, &second);
	peer_read_sector(&first, 0);
	assert_int_equal(vhost_stage_count(&stage, VHOST_USER_CONNECTED), 1);
	peer_finish(&first);
	peer_set_up(&second);
	peer_read_sector(&second, 0);
	peer_finish(&second);
	vhost_stage_finish(&stage);
}

static void test_polling_needs_no_kick(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve(&stage, &(struct vhost_user_options){.poll = true}, NULL);
	vhost_stage_connect(&stage, &peer);
	peer_set_up(&peer);
	/* Kicks go where nobody reads them. */
	close(peer.kick[0]);
	peer.kick[0] = eventfd(0, EFD_CLOEXEC);
	peer_read_sector(&peer, 0);
	peer_finish(&peer);
	vhost_stage_finish(&stage);
}

/* NOTIF-07: a request that comes while a polled ring is stopped is served when it goes on. */
static void test_polling_finds_what_came_before_it(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;
	struct pollfd called;

	(void)state;
	vhost_stage_serve(&stage, &(struct vhost_user_options){.poll = true}, NULL);
	vhost_stage_connect(&stage, &peer);
	peer_set_up(&peer);
	for (uint32_t i = 1; i <= 20; i++) {
		peer_read_sector(&peer, 0);
		assert_int_equal(peer_stop(&peer, 0), 2 * i - 1);
		peer_expose(&peer, 0);
		peer_start_ring(&peer, 0, 2 * i - 1);
		called = (struct pollfd){.fd = peer.call[0], .events = POLLIN};
		assert_int_equal(poll(&called, 1, 20000), 1);
		assert_int_equal(peer_calls(&peer, 0), 1);
		assert_true(peer_used(&peer, 0));
	}
	peer_finish(&peer);
	vhost_stage_finish(&stage);
}

static uint64_t processor_us(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec;
}

/* Its threads wait: for kicks, and for changes, which this one had both of. */
static void test_a_server_with_nothing_to_do_sleeps(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;
	uint64_t before;

	(void)state;
	vhost_stage_serve_peer(&stage, &peer);
	peer_read_sector(&peer, 0);
	peer_ask(&peer, VHOST_USER_GET_FEATURES);
	before = processor_us();
	usleep(300000);
	assert_true(processor_us() - before < 30000);
	peer_finish(&peer);
	vhost_stage_finish(&stage);
}

static void test_a_ring_without_a_kick_descriptor_is_polled(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve_peer(&stage, &peer);
	assert_int_equal(peer_tell_fd(&peer, VHOST_USER_SET_VRING_KICK, 0, -1), 0);
	peer_read_sector(&peer, 0);
	peer_finish(&peer);
	vhost_stage_finish(&stage);
}

static void test_two_rings_are_served_at_the_same_time(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve_peer(&stage, &peer);
	peer_start_ring(&peer, 1, 0);
	for (unsigned n = 0; n < 100; n++) {
		peer_expose(&peer, 1);
		peer_read_sector(&peer, 0);
		while (!peer_used(&peer, 1))
			;
	}
	peer_finish(&peer);
	vhost_stage_finish(&stage);
}

/* 100 messages, each of which stops all queues, between requests that the worker works on. */
static void test_messages_and_requests_do_not_starve_each_other(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve(&stage, &(struct vhost_user_options){.poll = true}, NULL);
	vhost_stage_connect(&stage, &peer);
	peer_set_up(&peer);
	for (unsigned n = 0; n < 100; n++) {
		peer_ask(&peer, VHOST_USER_GET_FEATURES);
		peer_read_sector(&peer, 0);
	}
	peer_finish(&peer);
	vhost_stage_finish(&stage);
}

/* What was exposed before the stop is used or not; what was taken is. Nothing hangs. */
static void test_stop_ends_the_server_with_a_frontend_connected(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve_peer(&stage, &peer);
	peer_read_sector(&peer, 0);
	vhost_stage_finish(&stage);
	assert_int_equal(recv(peer.socket, &(char){0}, 1, 0), 0);
	peer_finish(&peer);
}

static void test_stop_ends_a_server_that_nobody_uses(void **state)
{
	struct vhost_stage stage;

	(void)state;
	vhost_stage_serve(&stage, &(struct vhost_user_options){0}, NULL);
	vhost_stage_finish(&stage);
}

static void test_a_resize_reaches_the_frontend(void **state)
{
	struct vhost_user_header news;
	struct vhost_stage stage;
	struct vhost_peer peer;
	int channel[2];

	(void)state;
	vhost_stage_serve(&stage, &(struct vhost_user_options){0}, NULL);
	vhost_stage_connect(&stage, &peer);
	peer_negotiate(&peer, 0,
		       PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(CONFIG) |
			       PEER_PROTOCOL(BACKEND_REQ));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
	assert_int_equal(peer_tell(&peer, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, channel[1]), 0);
	close(channel[1]);
	assert_int_equal(stage.store->ops->resize(stage.store, 1024 * BLK_SECTOR_SIZE), 0);
	blk_look_again(stage.device);
	assert_int_equal(recv(channel[0], &news, sizeof(news), MSG_WAITALL), sizeof(news));
	assert_int_equal(news.request, VHOST_USER_BACKEND_CONFIG_CHANGE);
	assert_int_equal(news.flags, VHOST_USER_VERSION);
	assert_int_equal(news.size, 0);
	close(channel[0]);
	peer_finish(&peer);
	vhost_stage_finish(&stage);
}

static void test_a_resize_with_nobody_there_is_seen_by_the_next(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve(&stage, &(struct vhost_user_options){0}, NULL);
	assert_int_equal(stage.store->ops->resize(stage.store, 1024 * BLK_SECTOR_SIZE), 0);
	blk_look_again(stage.device);
	vhost_stage_connect(&stage, &peer);
	peer_set_up(&peer);
	peer_read_sector(&peer, 0);
	peer_finish(&peer);
	vhost_stage_finish(&stage);
}

static void test_a_listening_socket_that_is_none_is_an_error(void **state)
{
	struct vhost_user_server *server;
	struct virtio_device *device;
	struct blk_store *store;
	int pair[2];

	(void)state;
	assert_int_equal(blk_store_ram_create(&store, 65536), 0);
	assert_int_equal(blk_create(&device, &(struct blk_options){0}, store), 0);
	assert_int_equal(
		vhost_user_server_create(&server, device, -1, &(struct vhost_user_options){0}),
		-EBADF);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	/* Without options: by the defaults. */
	assert_int_equal(vhost_user_server_create(&server, device, pair[0], NULL), 0);
	assert_int_equal(vhost_user_server_run(server), -EINVAL);
	vhost_user_server_destroy(server);
	close(pair[0]);
	device->ops->destroy(device);
	store->ops->destroy(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_frontend_after_the_other_is_served),
		cmocka_unit_test(test_a_second_frontend_waits_for_the_first_to_go),
		cmocka_unit_test(test_polling_needs_no_kick),
		cmocka_unit_test(test_polling_finds_what_came_before_it),
		cmocka_unit_test(test_a_server_with_nothing_to_do_sleeps),
		cmocka_unit_test(test_a_ring_without_a_kick_descriptor_is_polled),
		cmocka_unit_test(test_two_rings_are_served_at_the_same_time),
		cmocka_unit_test(test_messages_and_requests_do_not_starve_each_other),
		cmocka_unit_test(test_stop_ends_the_server_with_a_frontend_connected),
		cmocka_unit_test(test_stop_ends_a_server_that_nobody_uses),
		cmocka_unit_test(test_a_resize_reaches_the_frontend),
		cmocka_unit_test(test_a_resize_with_nobody_there_is_seen_by_the_next),
		cmocka_unit_test(test_a_listening_socket_that_is_none_is_an_error),
	};

	return cmocka_run_group_tests_name("vhost_user_server", tests, NULL, NULL);
}
