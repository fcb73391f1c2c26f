/* SPDX-License-Identifier: BSD-3-Clause */
/* A served device while this process has no descriptor left; valgrind has its own idea of that. */
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/vhost_stage.h"

/* The server waits until there is one; meanwhile the frontend stands in the queue of the socket. */
static void test_a_frontend_waits_while_there_is_no_descriptor_for_it(void **state)
{
	struct sockaddr_un address;
	socklen_t size = sizeof(address);
	struct rlimit normal, full;
	struct vhost_stage stage;
	struct vhost_peer peer;
	int fd;

	(void)state;
	vhost_stage_serve(&stage, &(struct vhost_user_options){0}, NULL);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(getsockname(stage.listen_fd, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &normal), 0);
	full = normal;
	full.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, size), 0);
	poll(NULL, 0, 20);
	assert_int_equal(vhost_stage_count(&stage, VHOST_USER_CONNECTED), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &normal), 0);
	peer_init(&peer, fd);
	peer_set_up(&peer);
	peer_read_sector(&peer, 0);
	peer_finish(&peer);
	vhost_stage_finish(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_frontend_waits_while_there_is_no_descriptor_for_it),
	};

	return cmocka_run_group_tests_name("vhost_user_shortage", tests, NULL, NULL);
}
