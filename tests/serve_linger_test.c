/* SPDX-License-Identifier: BSD-3-Clause */
/* `vqsim serve` ends when it is told to, whatever waits at its socket. */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/lingering.h"
#include "support/served.h"
#include "support/vhost_peer.h"

static void connect_to(struct vhost_peer *peer, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	peer_init(peer, fd);
}

/* The second one's turn never comes, nor that of the descriptor which it sends. */
static void a_frontend_that_waits_does_not_hold_up_the_end(void **state)
{
	static const char *const walls[] = {NULL, "--no-sandbox"};
	const struct vhost_user_header header = {VHOST_USER_SET_OWNER, VHOST_USER_VERSION, 0};
	struct vhost_peer first, second;
	struct served served;
	int pair[2];

	(void)state;
	for (unsigned i = 0; i < sizeof(walls) / sizeof(walls[0]); i++) {
		if (!lingering_open(pair))
			skip();
		SERVED(&served, "blk", "--store", "ram:1M", "--socket", "s", walls[i]);
		connect_to(&first, "s");
		served_says(&served, "connected");
		connect_to(&second, "s");
		assert_true(peer_send_bytes(&second, &header, sizeof(header), &pair[0], 1));
		close(pair[0]);
		assert_int_equal(served_end(&served, SIGTERM), 0);
		peer_finish(&first);
		peer_finish(&second);
		close(pair[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frontend_that_waits_does_not_hold_up_the_end),
	};

	return cmocka_run_group_tests(tests, command_setup, command_teardown);
}
