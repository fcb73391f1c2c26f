/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of `vqsim check`: its command line as values.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_CHECK_H
#define VQSIM_CLI_CHECK_H

#include <stdbool.h>

#include "parse.h"
#include "../suite/suite.h"

#ifdef __cplusplus
extern "C" {
#endif

struct check_options {
	const char *device; /* NULL: only with list */
	const char *spawn;  /* the command that serves the socket; NULL: somebody does */
	struct vqsim_filter filter;
	const char *junit; /* path of the document, "-": standard output; NULL: none */
	bool list;
	bool tap;
	bool quiet;
};

/* Parse argv[1..]; the strings of *options point into argv. */
enum parse_result check_options_parse(struct check_options *options, int argc, char **argv);

/* The path in "blk:file:PATH", or NULL. */
const char *check_device_path(const char *device);

#ifdef __cplusplus
}
#endif

#endif
