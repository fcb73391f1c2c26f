/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of `vqsim run blk` as values. What can be judged without
 * opening a file is judged here; the rest is in session.c.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_OPTIONS_H
#define VQSIM_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "parse.h"
#include "remote_device.h"

#ifdef __cplusplus
extern "C" {
#endif

enum run_workload {
	RUN_READ,
	RUN_WRITE,
	RUN_VERIFY,
	RUN_MIX,
};

enum run_indirect {
	RUN_INDIRECT_AUTO,
	RUN_INDIRECT_ALWAYS,
	RUN_INDIRECT_NEVER,
};

struct run_options {
	const char *store;     /* or the device, as given */
	const char *file_path; /* NULL: a ram store */
	uint64_t ram_size;
	enum run_workload workload;
	uint64_t seed;
	uint16_t queue_size;
	uint16_t queue_count;
	uint16_t depth;
	uint32_t block_size;
	uint64_t requests; /* 0: not given */
	uint64_t features;
	const char *from; /* NULL: the seeded pattern */
	const char *to;   /* NULL: what was read is dropped; "-": standard output */
	bool read_only;
	bool no_referee;
	struct remote_device_words remote;
	enum run_indirect indirect;
	bool json;
	bool quiet;
};

/* Parse argv[1..]; the strings of *options point into argv. */
enum parse_result options_parse(struct run_options *options, int argc, char **argv);

/* The words of the command line for a value. */
const char *options_workload_name(enum run_workload workload);
const char *options_indirect_name(enum run_indirect indirect);

/* Whether the workload changes the disk, and whether the model disk watches it. */
bool options_writes(const struct run_options *options);
bool options_modelled(const struct run_options *options);

#ifdef __cplusplus
}
#endif

#endif
