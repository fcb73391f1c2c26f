/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frontend that keeps its end of what it passed for notifications, takes O_NONBLOCK from it and
 * fills it. Whoever writes there waits: but the next frontend is served, and the server can be ended.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "support/vhost_stage.h"

#define FULL UINT64_C(0xfffffffffffffffe)

static void make_blocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
}

static void fill_counter(int fd)
{
	uint64_t full = FULL;

	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	make_blocking(fd);
}

/* As soon as the worker is at it, it waits. */
static void wait_for_used(struct vhost_peer *peer, uint32_t index)
{
	for (unsigned ms = 0; !peer_used(peer, index); ms++) {
		assert_true(ms < 20000);
		poll(NULL, 0, 1);
	}
	poll(NULL, 0, 20);
}

/* Its own messages are answered too, and it is told of. */
static void test_a_full_call_descriptor_stops_nobody(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve_peer(&stage, &peer);
	fill_counter(peer.call[0]);
	peer_expose(&peer, 0);
	wait_for_used(&peer, 0);
	peer_ask(&peer, VHOST_USER_GET_FEATURES);
	assert_int_equal(peer_stop(&peer, 0), 1);
	vhost_stage_wait(&stage, VHOST_USER_REFUSED, 1);
	peer_finish(&peer);
	vhost_stage_assert_serves(&stage);
	vhost_stage_finish(&stage);
}

static void test_a_server_that_waits_for_a_frontend_can_be_ended(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve_peer(&stage, &peer);
	fill_counter(peer.call[0]);
	peer_expose(&peer, 0);
	wait_for_used(&peer, 0);
	vhost_stage_finish(&stage);
	peer_finish(&peer);
}

/* A counter that was given for errors, and a ring that is one. */
static void test_a_full_error_descriptor_stops_nobody(void **state)
{
	int full = eventfd(0, EFD_CLOEXEC);
	struct vhost_stage stage;
	struct vhost_peer peer;

	(void)state;
	vhost_stage_serve_peer(&stage, &peer);
	for (uint32_t i = 0; i < PEER_QUEUES; i++)
		assert_int_equal(peer_tell_fd(&peer, VHOST_USER_SET_VRING_ERR, i, full), 0);
	fill_counter(full);
	/* More entries available than the ring has. */
	peer.memory[PEER_RING(0) + 0x1000 + 3] = 0x7f;
	peer_expose(&peer, 0);
	vhost_stage_wait(&stage, VHOST_USER_BROKEN, 1);
	peer_ask(&peer, VHOST_USER_GET_FEATURES);
	peer_finish(&peer);
	close(full);
	vhost_stage_assert_serves(&stage);
	vhost_stage_finish(&stage);
}

static void fill_socket(int fd)
{
	static const uint8_t bytes[4096];

	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	while (send(fd, bytes, 1, MSG_DONTWAIT) > 0)
		;
	make_blocking(fd);
}

static void resize(struct vhost_stage *stage, uint64_t sectors)
{
	assert_int_equal(stage->store->ops->resize(stage->store, sectors * BLK_SECTOR_SIZE), 0);
	blk_look_again(stage->device);
}

/* Written to by the thread that takes the messages. */
static void test_a_full_backend_channel_stops_nobody(void **state)
{
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
	fill_socket(channel[1]);
	resize(&stage, 2 * STAGE_SECTORS);
	vhost_stage_wait(&stage, VHOST_USER_REFUSED, 1);
	peer_ask(&peer, VHOST_USER_GET_FEATURES);
	peer_finish(&peer);
	vhost_stage_assert_serves(&stage);
	vhost_stage_finish(&stage);
	close(channel[0]);
	close(channel[1]);
}

static void ignore(int number)
{
	(void)number;
}

/* Now and then, as the server does it. */
static void interrupt_from_now_on(bool on)
{
	struct sigaction action = {.sa_handler = ignore};
	struct itimerval often = {.it_interval.tv_usec = on ? 10000 : 0,
				  .it_value.tv_usec = on ? 10000 : 0};

	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
}

/* One that was readable until the frontend read it first. */
static void test_an_empty_kick_descriptor_is_dropped(void **state)
{
	struct vhost_stage stage;

	(void)state;
	vhost_stage_by_hand(&stage, NULL);
	peer_set_up(&stage.peer);
	make_blocking(stage.peer.kick[0]);
	interrupt_from_now_on(true);
	vhost_user_queue_kick(&stage.session, 0);
	interrupt_from_now_on(false);
	assert_int_equal(stage.session.queues[0].kick_fd, -1);
	assert_int_equal(stage.events.count[VHOST_USER_REFUSED], 1);
	vhost_stage_finish(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_full_call_descriptor_stops_nobody),
		cmocka_unit_test(test_a_server_that_waits_for_a_frontend_can_be_ended),
		cmocka_unit_test(test_a_full_error_descriptor_stops_nobody),
		cmocka_unit_test(test_a_full_backend_channel_stops_nobody),
		cmocka_unit_test(test_an_empty_kick_descriptor_is_dropped),
	};

	return cmocka_run_group_tests_name("vhost_user_block", tests, NULL, NULL);
}
