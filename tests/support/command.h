/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command as its users meet it: the real binary (VQSIM in the environment, or
 * build/vqsim), run in a folder of its own.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_COMMAND_H
#define TESTS_SUPPORT_COMMAND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COMMAND_ARGS_MAX    16
#define COMMAND_OUTPUT_SIZE 65536
#define COMMAND_IMAGE_SIZE  65536

/* What one run of the command did. */
struct command_outcome {
	int status; /* exit status, -1: died */
	char out[COMMAND_OUTPUT_SIZE];
	char err[COMMAND_OUTPUT_SIZE];
};

/* A bad command line, and what its one line must say. */
struct command_bad {
	const char *args[COMMAND_ARGS_MAX];
	const char *says;
};

/*
 * Set-up and teardown of a group: enter a new folder, and remove it with everything in it. In it are
 * the files image, data, protected (read-only) of COMMAND_IMAGE_SIZE bytes, small (512), odd
 * (1000), empty, and folder and pipe.
 */
int command_setup(void **state);
int command_teardown(void **state);

/* The command itself. */
const char *command_binary(void);

/* args ends with NULL and does not have the name of the command. */
void command_run(struct command_outcome *outcome, const char *const *args);

#define COMMAND(outcome, ...) \
	command_run(outcome, (const char *const[COMMAND_ARGS_MAX]){__VA_ARGS__, NULL})

/* A number that stands for the content of a file of at most twice COMMAND_IMAGE_SIZE bytes. */
uint64_t command_hash(const char *path);

/* One line on standard error that begins with the name of the command; nothing else happened. */
void command_check_bad(const struct command_bad *cases, size_t count);

#endif
