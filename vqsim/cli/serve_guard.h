/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that stays outside of the sandbox: it passes signals in, waits for the end, and
 * reads nothing that a frontend wrote.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_SERVE_GUARD_H
#define VQSIM_CLI_SERVE_GUARD_H

#include <signal.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Hold back what the guard takes, before there is a process to pass it to. *before: as it was. */
void serve_guard_hold_signals(sigset_t *before);

/* Until child has ended. Returns its exit code, or CLI_FAILED after a complaint. */
int serve_guard_watch(pid_t child);

#ifdef __cplusplus
}
#endif

#endif
