/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of `vqsim mount` as values.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_MOUNT_OPTIONS_H
#define VQSIM_CLI_MOUNT_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "parse.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mount_options {
	const char *tree;        /* as given */
	const char *path;        /* NULL: a tree in memory */
	const char *point_given; /* as given */
	char point[PATH_MAX];    /* absolute, no symbolic links */
	char *const *command;    /* NULL: serve until it is unmounted */
	const char *tag;
	uint16_t queue_count; /* for requests */
	uint16_t queue_size;
	uint64_t features;
	bool packed;
	bool read_only;
	bool writeback;
	bool exclusive;
	bool no_referee;
};

/* Parse argv[1..] and look at the two directories; strings of *options point into argv. */
enum parse_result mount_options_parse(struct mount_options *options, int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
