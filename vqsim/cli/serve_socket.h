/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where `vqsim serve` listens: a unix socket of its own, or one that it inherited.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_SERVE_SOCKET_H
#define VQSIM_CLI_SERVE_SOCKET_H

#include <sys/types.h>

#include "cli.h"

#ifdef __cplusplus
extern "C" {
#endif

struct serve_socket {
	int fd;           /* it listens; -1: it could not be opened */
	const char *path; /* to remove at the end; NULL: nothing */
	dev_t dev;        /* what was made there */
	ino_t ino;
};

/*
 * Listen on path, or if that is NULL on fd. What lies at path is replaced only if it is a socket
 * that nobody listens on. A complaint has been printed if the result is not CLI_OK.
 */
enum cli_exit serve_socket_open(struct serve_socket *s, const char *path, int fd);

/*
 * Remove the path, if it is still ours. One that could not be opened can be left. The descriptor
 * stays open to the end of the process: with it go the connections that nobody took, and sockets that
 * were passed to them. To close one may take its time, but not for a process that ends.
 */
void serve_socket_leave(const struct serve_socket *s);

#ifdef __cplusplus
}
#endif

#endif
