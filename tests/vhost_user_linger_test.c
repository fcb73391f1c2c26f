/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frontend that passes sockets which take their time to close. Not under valgrind, where a signal
 * does not end close(2).
 */
#include <unistd.h>

#include "support/lingering.h"
#include "support/vhost_stage.h"

/* The server's is the last descriptor of it, and is closed with the session. */
static void test_a_socket_that_lingers_stops_nobody(void **state)
{
	struct vhost_stage stage;
	struct vhost_peer peer;
	int pair[2];

	(void)state;
	if (!lingering_open(pair))
		skip();
	vhost_stage_serve_peer(&stage, &peer);
	assert_int_equal(peer_tell_fd(&peer, VHOST_USER_SET_VRING_ERR, 0, pair[0]), 0);
	close(pair[0]);
	peer_finish(&peer);
	vhost_stage_assert_serves(&stage);
	vhost_stage_finish(&stage);
	close(pair[1]);
}

/* It comes with the first bytes of a message that has none, and so is closed. */
static void test_a_socket_that_nobody_wants_stops_nobody(void **state)
{
	const struct vhost_user_header header = {VHOST_USER_SET_OWNER,
						 VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, 0};
	struct vhost_stage stage;
	struct peer_reply reply;
	struct vhost_peer peer;
	int pair[2];

	(void)state;
	if (!lingering_open(pair))
		skip();
	vhost_stage_serve_peer(&stage, &peer);
	assert_true(peer_send_bytes(&peer, &header, 4, &pair[0], 1));
	close(pair[0]);
	assert_true(
		peer_send_bytes(&peer, (const uint8_t *)&header + 4, sizeof(header) - 4, NULL, 0));
	assert_int_equal(peer_receive(&peer, &reply), PEER_REPLY);
	peer_finish(&peer);
	vhost_stage_finish(&stage);
	close(pair[1]);
}

/* It comes with a message that is not read any more, behind one that cannot be. */
static void test_a_socket_that_nobody_reads_stops_nobody(void **state)
{
	const struct vhost_user_header none = {0};
	struct vhost_peer first, second;
	struct vhost_stage stage;
	int pair[2];

	(void)state;
	if (!lingering_open(pair))
		skip();
	vhost_stage_serve_peer(&stage, &first);
	vhost_stage_connect(&stage, &second);
	assert_true(peer_send_bytes(&second, &none, sizeof(none), NULL, 0));
	assert_true(peer_send_bytes(&second, &none, sizeof(none), &pair[0], 1));
	close(pair[0]);
	peer_finish(&first);
	vhost_stage_wait(&stage, VHOST_USER_DISCONNECTED, 2);
	peer_finish(&second);
	vhost_stage_finish(&stage);
	close(pair[1]);
}

/* More than a message may have: those that there is no room for are closed by the kernel. */
static void test_one_socket_too_many_stops_nobody(void **state)
{
	const struct vhost_user_header header = {VHOST_USER_SET_OWNER, VHOST_USER_VERSION, 0};
	int fds[VHOST_USER_FDS_MAX + 1];
	struct vhost_stage stage;
	struct peer_reply reply;
	struct vhost_peer peer;
	int pair[2];

	(void)state;
	if (!lingering_open(pair))
		skip();
	vhost_stage_serve(&stage, &(struct vhost_user_options){0}, NULL);
	vhost_stage_connect(&stage, &peer);
	for (unsigned i = 0; i < VHOST_USER_FDS_MAX; i++)
		fds[i] = pair[1];
	fds[VHOST_USER_FDS_MAX] = pair[0];
	assert_true(peer_send_bytes(&peer, &header, sizeof(header), fds, VHOST_USER_FDS_MAX + 1));
	close(pair[0]);
	assert_int_equal(peer_receive(&peer, &reply), PEER_CLOSED);
	peer_finish(&peer);
	vhost_stage_finish(&stage);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_socket_that_lingers_stops_nobody),
		cmocka_unit_test(test_a_socket_that_nobody_wants_stops_nobody),
		cmocka_unit_test(test_a_socket_that_nobody_reads_stops_nobody),
		cmocka_unit_test(test_one_socket_too_many_stops_nobody),
	};

	return cmocka_run_group_tests_name("vhost_user_linger", tests, NULL, NULL);
}
