/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line as it was typed, for whoever wants to see a violation again.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_COMMAND_LINE_H
#define VQSIM_CLI_COMMAND_LINE_H

#ifdef __cplusplus
extern "C" {
#endif

/* To be called once, before anything puts the words into another order. */
void command_line_keep(int argc, char **argv);

/* As a shell takes it. NULL: it was not kept, or there was no memory for it. */
const char *command_line(void);

void command_line_drop(void);

#ifdef __cplusplus
}
#endif

#endif
