/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of `vqsim serve blk` and `vqsim serve fs` as values.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_SERVE_OPTIONS_H
#define VQSIM_CLI_SERVE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "parse.h"

#ifdef __cplusplus
extern "C" {
#endif

struct serve_options {
	const char *store; /* blk, as given; NULL: fs */
	uint64_t ram_size;
	const char *id;
	const char *tree; /* fs, as given; NULL: blk */
	const char *tag;
	const char *path;   /* of the image or the directory; NULL: in memory */
	const char *socket; /* NULL: fd is one that listens */
	int fd;             /* -1: socket is where to listen */
	uint16_t queue_count;
	uint16_t queue_size; /* the most that a driver may choose; a power of two */
	uint64_t hidden_features;
	bool read_only;
	bool exclusive; /* nobody else changes the directory */
	bool poll;
	bool once;
	bool no_sandbox;
};

/* Parse argv[1..]; the strings of *options point into argv. */
enum parse_result serve_blk_options_parse(struct serve_options *options, int argc, char **argv);
enum parse_result serve_fs_options_parse(struct serve_options *options, int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
