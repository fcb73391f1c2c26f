/* SPDX-License-Identifier: BSD-3-Clause */
#include "lingering.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void fill(int fd)
{
	static const uint8_t bytes[4096];

	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

bool lingering_open(int pair[2])
{
	const struct linger long_time = {.l_onoff = 1, .l_linger = 1000};
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(address);
	bool there;

	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	there = bind(listener, (const struct sockaddr *)&address, size) == 0 &&
		listen(listener, 1) == 0 &&
		getsockname(listener, (struct sockaddr *)&address, &size) == 0 &&
		connect(pair[0], (const struct sockaddr *)&address, size) == 0;
	pair[1] = there ? accept(listener, NULL, NULL) : -1;
	close(listener);
	if (!there)
		return false;
	fill(pair[0]);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &long_time, sizeof(long_time)),
			 0);
	return true;
}
