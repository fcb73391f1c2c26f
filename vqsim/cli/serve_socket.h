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
	int fd;           /* it listens; -1: closed */
	const char *path; /* to remove at the end; NULL: nothing */
	dev_t dev;        /* what was made there */
	ino_t ino;
};

/*
 * Listen on path, or if that is NULL on fd. What lies at path is replaced only if it is a socket
 * that nobody listens on. A complaint has been printed if the result is not CLI_OK.
 */
enum cli_exit serve_socket_open(struct serve_socket *s, const char *path, int fd);

/* Remove the path too, if it is still ours. A socket that could not be opened can be closed. */
void serve_socket_close(struct serve_socket *s);

#ifdef __cplusplus
}
#endif

#endif
