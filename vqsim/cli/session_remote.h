/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The disk of `vqsim run blk --device`: somebody else's, behind a socket.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_SESSION_REMOTE_H
#define VQSIM_CLI_SESSION_REMOTE_H

#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Connect: remote, device, size and block_size of the session are there. A complaint has been
 * printed if the result is not CLI_OK.
 */
enum cli_exit session_remote_open(struct session *session);

#ifdef __cplusplus
}
#endif

#endif
