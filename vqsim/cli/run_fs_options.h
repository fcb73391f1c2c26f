/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of `vqsim run fs` as values.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_RUN_FS_OPTIONS_H
#define VQSIM_CLI_RUN_FS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "parse.h"
#include "remote_device.h"

#ifdef __cplusplus
extern "C" {
#endif

enum run_fs_workload {
	RUN_FS_FILES,
	RUN_FS_PUT,
	RUN_FS_GET,
};

struct run_fs_options {
	const char *tree; /* or the device, as given */
	const char *path; /* NULL: a tree in memory */
	enum run_fs_workload workload;
	const char *from, *to; /* directories of this host */
	uint64_t files, size;
	uint64_t features;
	uint32_t block_size;
	uint16_t queue_size;
	bool exclusive;
	bool no_referee;
	bool json;
	struct remote_device_words remote;
};

/* Parse argv[1..]; the strings of *options point into argv. */
enum parse_result run_fs_options_parse(struct run_fs_options *options, int argc, char **argv);

/* The word of the command line for a value. */
const char *run_fs_workload_name(enum run_fs_workload workload);

#ifdef __cplusplus
}
#endif

#endif
