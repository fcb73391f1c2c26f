/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_fs_options.h"

#include <string.h>

#include <linux/virtio_config.h>

#include "cli.h"
#include "features.h"
#include "fs_stack.h"
#include "number.h"
#include "../../devices/device.h"

#define QUEUE_SIZE_MIN 8u /* the least power of two that holds the longest chain */
#define QUEUE_SIZE_MAX 32768u

static const char *const workload_names[] = {"files", "put", "get"};

static bool apply_tree(void *values, const char *value)
{
	struct run_fs_options *options = values;

	if (options->remote.device) {
		cli_complain("--tree and --device are two file systems; leave one out");
		return false;
	}
	options->tree = value;
	return fs_stack_parse_tree(value, &options->path);
}

static bool apply_device(void *values, const char *value)
{
	struct run_fs_options *options = values;

	if (options->tree && !options->remote.device) {
		cli_complain("--tree and --device are two file systems; leave one out");
		return false;
	}
	options->tree = value;
	return remote_device_parse(&options->remote, value);
}

static bool apply_spawn(void *values, const char *value)
{
	struct run_fs_options *options = values;

	options->remote.spawn = value;
	return true;
}

static bool apply_workload(void *values, const char *value)
{
	struct run_fs_options *options = values;

	for (unsigned i = 0; i < sizeof(workload_names) / sizeof(workload_names[0]); i++) {
		if (strcmp(value, workload_names[i]) != 0)
			continue;
		options->workload = (enum run_fs_workload)i;
		return true;
	}
	cli_complain("unknown workload '%s'; known are files, put, get", value);
	return false;
}

static bool apply_from(void *values, const char *value)
{
	struct run_fs_options *options = values;

	options->from = value;
	return true;
}

static bool apply_to(void *values, const char *value)
{
	struct run_fs_options *options = values;

	options->to = value;
	return true;
}

static bool apply_files(void *values, const char *value)
{
	struct run_fs_options *options = values;
	static const struct number_spec spec = {"--files", 1, UINT64_C(1) << 32, true};

	return number_parse(&spec, value, &options->files);
}

static bool apply_size(void *values, const char *value)
{
	struct run_fs_options *options = values;
	static const struct number_spec spec = {"--size", 0, UINT64_C(1) << 46, true};

	return number_parse(&spec, value, &options->size);
}

static bool apply_block_size(void *values, const char *value)
{
	struct run_fs_options *options = values;
	static const struct number_spec spec = {"--block-size", 512, FS_STACK_MAX_WRITE, true};
	uint64_t number;

	if (!number_parse(&spec, value, &number))
		return false;
	options->block_size = (uint32_t)number;
	return true;
}

static bool apply_queue_size(void *values, const char *value)
{
	struct run_fs_options *options = values;
	static const struct number_spec spec = {"--queue-size", QUEUE_SIZE_MIN, QUEUE_SIZE_MAX,
						false};
	uint64_t number;

	if (!number_parse(&spec, value, &number))
		return false;
	options->queue_size = (uint16_t)number;
	return true;
}

static bool apply_features(void *values, const char *value)
{
	struct run_fs_options *options = values;

	return features_parse(value, &options->features);
}

static bool apply_exclusive(void *values, const char *value)
{
	struct run_fs_options *options = values;

	(void)value;
	options->exclusive = true;
	return true;
}

static bool apply_no_referee(void *values, const char *value)
{
	struct run_fs_options *options = values;

	(void)value;
	options->no_referee = true;
	return true;
}

static bool apply_json(void *values, const char *value)
{
	struct run_fs_options *options = values;

	(void)value;
	options->json = true;
	return true;
}

static const struct parse_option run_fs_option_table[] = {
	{"tree", "TREE", "dir:PATH of a directory that exists, or ram (mandatory, or --device)",
	 apply_tree},
	{"device", "DEVICE", "vhost-user:SOCKET: a file system that another process serves",
	 apply_device},
	{"spawn", "COMMAND", "what serves that socket, if nobody does", apply_spawn},
	{"workload", "WORKLOAD", "files, put or get (default files)", apply_workload},
	{"files", "N", "files: how many (default 1000)", apply_files},
	{"size", "SIZE", "files: bytes of each (default 1K)", apply_size},
	{"from", "DIR", "put: a directory of this host", apply_from},
	{"to", "DIR", "get: an empty directory of this host", apply_to},
	{"block-size", "SIZE", "the most that a READ or WRITE has, up to 1M (default 1M)",
	 apply_block_size},
	{"queue-size", "N", "elements of each ring, a power of two if split (default 128)",
	 apply_queue_size},
	{"features", "LIST", "bits to take: all (but ring_packed, in_order), none, NAME, -NAME",
	 apply_features},
	{"exclusive", NULL,
	 "nobody else changes dir:PATH: it is faster, and the referee predicts its replies",
	 apply_exclusive},
	{"no-referee", NULL, "nobody watches: to measure", apply_no_referee},
	{"json", NULL, "print one JSON object and not the table", apply_json},
	{"help", NULL, "this text", NULL},
	{.name = NULL},
};

const char *run_fs_workload_name(enum run_fs_workload workload)
{
	return workload_names[workload];
}

static const char *contradiction(const void *values)
{
	const struct run_fs_options *o = values;
	bool packed = o->features & VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);

	if (!o->tree)
		return "--tree is missing; give --tree dir:PATH or --tree ram";
	if (remote_device_contradiction(&o->remote))
		return remote_device_contradiction(&o->remote);
	if (o->exclusive && o->remote.device)
		return "--exclusive is for whoever serves the device; leave it out";
	if ((o->workload == RUN_FS_PUT) != (o->from != NULL))
		return "--workload put and --from DIR belong together";
	if ((o->workload == RUN_FS_GET) != (o->to != NULL))
		return "--workload get and --to DIR belong together";
	if ((o->queue_size & (o->queue_size - 1)) != 0 && !packed)
		return "--queue-size of a split ring must be a power of two; give one, or "
		       "--features all,ring_packed";
	return NULL;
}

static const struct parse_command run_fs_command = {
	.name = "vqsim run fs",
	.before = "usage: vqsim run fs --tree dir:PATH|ram [option ...]\n"
		  "       vqsim run fs --device vhost-user:SOCKET [option ...]\n\n"
		  "Drives the file-system device through its virtqueues with a simulated guest.\n\n"
		  "workloads:\n"
		  "  files  equal files, written, read, compared and removed; on a directory also\n"
		  "         by plain system calls, to compare the times\n"
		  "  put    copy a directory of this host into the tree\n"
		  "  get    copy the tree into a directory of this host\n\n"
		  "options:\n",
	.behind =
		"\nexit status: 0 all well; 1 a violation or an error; 2 bad arguments or files\n",
	.options = run_fs_option_table,
	.contradiction = contradiction,
};

enum parse_result run_fs_options_parse(struct run_fs_options *options, int argc, char **argv)
{
	*options = (struct run_fs_options){
		.files = 1000, .size = 1024, .block_size = FS_STACK_MAX_WRITE, .queue_size = 128};
	features_parse("all", &options->features);
	return parse_words(&run_fs_command, options, argc, argv);
}
