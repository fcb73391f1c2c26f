/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the `vqsim` command share: exit codes, the one way to
 * complain, and the subcommands. Not for users of the library.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_CLI_H
#define VQSIM_CLI_CLI_H

#ifdef __cplusplus
extern "C" {
#endif

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1, /* a violation, a request that was not answered OK, or the host failed */
	CLI_BAD = 2,    /* bad arguments or files; nothing was written */
};

/*
 * Print "vqsim: ..." as exactly one line on standard error, whatever bytes the
 * arguments have.
 */
void cli_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `vqsim run blk`. argv[0] is "blk". Returns an exit code. */
int cli_run_blk(int argc, char **argv);

/* `vqsim run fs`. argv[0] is "fs". Returns an exit code. */
int cli_run_fs(int argc, char **argv);

/* `vqsim check`. argv[0] is "check". Returns an exit code. */
int cli_check(int argc, char **argv);

/* `vqsim mount`. argv[0] is "mount". Returns an exit code, or the status of the command that it ran. */
int cli_mount(int argc, char **argv);

/* `vqsim serve blk` and `vqsim serve fs`. argv[0] is the device. Return an exit code. */
int cli_serve_blk(int argc, char **argv);
int cli_serve_fs(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
