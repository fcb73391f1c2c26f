/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fs_copy.h"
#include "fs_files.h"
#include "fs_stack.h"
#include "progress.h"
#include "run_fs_options.h"
#include "../version.h"

/* What the driver can do; which is all that a tree may offer of it. */
#define INIT_FLAGS (FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_DO_READDIRPLUS | FUSE_PARALLEL_DIROPS)

struct run_fs {
	const struct run_fs_options *options;
	struct fs_stack stack;
	struct fs_files files_done; /* RUN_FS_FILES */
	uint64_t files, bytes;
	uint64_t nanoseconds;
	uint64_t requests, errors; /* before the session was ended */
};

static enum cli_exit open_stack(struct run_fs *run)
{
	const struct run_fs_options *o = run->options;
	const struct fs_stack_options options = {
		.tree = o->tree,
		.path = o->path,
		.tag = "vqsim",
		.features = o->features,
		.data_room = FS_STACK_MAX_WRITE,
		.queue_count = 1,
		.queue_size = o->queue_size,
		.exclusive = o->exclusive,
		.no_referee = o->no_referee,
		.remote = o->remote.device ? &o->remote : NULL,
	};
	enum cli_exit status = fs_stack_open(&run->stack, &options);
	int error;

	if (status != CLI_OK)
		return status;
	run->stack.fs.indirect = true;
	error = vqsim_fs_begin(&run->stack.fs, FUSE_KERNEL_MINOR_VERSION, INIT_FLAGS);
	if (error == 0)
		return CLI_OK;
	cli_complain("the device does not begin a session: %s", strerror(-error));
	return CLI_FAILED;
}

static uint32_t block_size(const struct run_fs *run)
{
	uint32_t max_write = run->stack.fs.max_write;

	return max_write < run->options->block_size ? max_write : run->options->block_size;
}

static enum cli_exit run_copy(struct run_fs *run)
{
	const struct run_fs_options *o = run->options;
	struct fs_copy copy;
	int error = fs_copy_init(&copy, &run->stack.fs, block_size(run));

	if (!error)
		error = o->from ? fs_copy_put(&copy, o->from) : fs_copy_get(&copy, o->to);
	if (error)
		cli_complain("%s failed: %s", copy.wrong, strerror(-error));
	run->files = copy.files;
	run->bytes = copy.bytes;
	fs_copy_finish(&copy);
	return error ? CLI_FAILED : CLI_OK;
}

static enum cli_exit run_files(struct run_fs *run)
{
	struct fs_files *files = &run->files_done;
	int error;

	*files = (struct fs_files){
		.fs = &run->stack.fs,
		.path = run->options->path,
		.count = run->options->files,
		.size = run->options->size,
		.block = block_size(run),
	};
	error = fs_files_run(files);
	if (error == -EILSEQ)
		cli_complain("what was read differs from what was written");
	else if (error)
		cli_complain("%s failed: %s", files->wrong ? files->wrong : "the start",
			     strerror(-error));
	run->files = files->count;
	run->bytes = files->bytes;
	return error ? CLI_FAILED : CLI_OK;
}

static enum cli_exit run_workload(struct run_fs *run)
{
	uint64_t start = progress_now();
	enum cli_exit status =
		run->options->workload == RUN_FS_FILES ? run_files(run) : run_copy(run);

	run->nanoseconds = progress_now() - start;
	run->requests = run->stack.fs.requests;
	run->errors = run->stack.fs.errors;
	if (remote_device_complain(&run->stack.remote))
		status = CLI_FAILED;
	return run->stack.referee.violations > 0 ? CLI_FAILED : status;
}

static double seconds(uint64_t nanoseconds)
{
	return (double)nanoseconds / 1e9;
}

static void print_phases(const struct fs_files *files)
{
	printf("\n%-10s %12s %12s %8s\n", "", "device s", files->path ? "plain s" : "",
	       files->path ? "ratio" : "");
	for (unsigned i = 0; i < FS_FILES_PHASES; i++) {
		printf("%-10s %12.3f", fs_files_phase_names[i], seconds(files->device[i]));
		if (files->plain[i] > 0)
			printf(" %12.3f %8.2f", seconds(files->plain[i]),
			       (double)files->device[i] / (double)files->plain[i]);
		printf("\n");
	}
}

static void print_table(const struct run_fs *run)
{
	const struct run_fs_options *o = run->options;

	printf("%s of %s: %" PRIu64 " files, %" PRIu64 " bytes\n",
	       run_fs_workload_name(o->workload), o->tree, run->files, run->bytes);
	if (o->workload == RUN_FS_FILES)
		print_phases(&run->files_done);
	printf("\n%-10s %12" PRIu64 "\n", "requests", run->requests);
	printf("%-10s %12" PRIu64 "\n", "errors", run->errors);
	printf("%-10s %12.3f\n", "seconds", seconds(run->nanoseconds));
	printf("%-10s %12" PRIu64 "\n", "violations", run->stack.referee.violations);
}

/* Seconds of each phase through the device, and plain where that was measured. */
static void print_json_phases(const struct fs_files *files)
{
	for (unsigned i = 0; i < FS_FILES_PHASES; i++) {
		printf("  \"%s_seconds\": %.6f,\n", fs_files_phase_names[i],
		       seconds(files->device[i]));
		if (files->path)
			printf("  \"%s_plain_seconds\": %.6f,\n", fs_files_phase_names[i],
			       seconds(files->plain[i]));
	}
}

static void print_json(const struct run_fs *run)
{
	printf("{\n  \"command\": \"run fs\",\n  \"version\": \"%s\",\n", VQSIM_VERSION);
	printf("  \"workload\": \"%s\",\n", run_fs_workload_name(run->options->workload));
	printf("  \"files\": %" PRIu64 ",\n", run->files);
	printf("  \"bytes\": %" PRIu64 ",\n", run->bytes);
	printf("  \"requests\": %" PRIu64 ",\n", run->requests);
	printf("  \"errors\": %" PRIu64 ",\n", run->errors);
	printf("  \"seconds\": %.6f,\n", seconds(run->nanoseconds));
	if (run->options->workload == RUN_FS_FILES)
		print_json_phases(&run->files_done);
	printf("  \"violations\": %" PRIu64 "\n}\n", run->stack.referee.violations);
}

int cli_run_fs(int argc, char **argv)
{
	struct run_fs_options options;
	struct run_fs run = {.options = &options};
	enum cli_exit status;

	switch (run_fs_options_parse(&options, argc, argv)) {
	case PARSE_HELP:
		return CLI_OK;
	case PARSE_BAD:
		return CLI_BAD;
	case PARSE_RUN:
		break;
	}
	status = open_stack(&run);
	if (status == CLI_OK) {
		status = run_workload(&run);
		if (options.json)
			print_json(&run);
		else
			print_table(&run);
	}
	fs_stack_close(&run.stack);
	return status;
}
