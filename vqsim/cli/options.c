/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <stdio.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>

#include "cli.h"
#include "features.h"
#include "number.h"
#include "store_word.h"
#include "../../devices/device.h"

#define SECTOR           512u
#define QUEUE_SIZE_MIN   4u /* the least power of two that holds header, data and status */
#define QUEUE_SIZE_MAX   32768u
#define QUEUE_COUNT_MAX  256u
#define BLOCK_SIZE_MAX   (64u << 20)
#define BUFFER_TOTAL_MAX (UINT64_C(4) << 30)

static const char *const workload_names[] = {"read", "write", "verify", "mix"};
static const char *const indirect_names[] = {"auto", "always", "never"};

static bool parse_word(const char *option, const char *const *words, unsigned count,
		       const char *text, unsigned *index)
{
	char known[128];
	size_t used = 0;

	for (*index = 0; *index < count; (*index)++) {
		if (strcmp(text, words[*index]) == 0)
			return true;
	}
	for (*index = 0; *index < count; (*index)++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
					 *index == 0 ? "" : ", ", words[*index]);
	cli_complain("unknown %s '%s'; known are %s", option, text, known);
	return false;
}

static bool apply_store(void *values, const char *value)
{
	struct run_options *options = values;

	if (options->remote.device != NULL) {
		cli_complain("--store and --device are two disks; leave one out");
		return false;
	}
	options->store = value;
	return store_word_parse(value, &options->file_path, &options->ram_size);
}

static bool apply_device(void *values, const char *value)
{
	struct run_options *options = values;

	if (options->store != NULL && options->remote.device == NULL) {
		cli_complain("--store and --device are two disks; leave one out");
		return false;
	}
	options->store = value;
	return remote_device_parse(&options->remote, value);
}

static bool apply_spawn(void *values, const char *value)
{
	struct run_options *options = values;
	options->remote.spawn = value;
	return true;
}

static bool apply_workload(void *values, const char *value)
{
	struct run_options *options = values;
	unsigned index;

	if (!parse_word("workload", workload_names, 4, value, &index))
		return false;
	options->workload = (enum run_workload)index;
	return true;
}

static bool apply_indirect(void *values, const char *value)
{
	struct run_options *options = values;
	unsigned index;

	if (!parse_word("--indirect", indirect_names, 3, value, &index))
		return false;
	options->indirect = (enum run_indirect)index;
	return true;
}

static bool apply_seed(void *values, const char *value)
{
	struct run_options *options = values;
	static const struct number_spec spec = {"--seed", 0, UINT64_MAX, false};

	return number_parse(&spec, value, &options->seed);
}

static bool apply_requests(void *values, const char *value)
{
	struct run_options *options = values;
	static const struct number_spec spec = {"--requests", 1, UINT64_C(1) << 48, true};

	return number_parse(&spec, value, &options->requests);
}

static bool apply_queue_size(void *values, const char *value)
{
	struct run_options *options = values;
	uint64_t n;

	if (!number_read(value, false, &n) || n < QUEUE_SIZE_MIN || n > QUEUE_SIZE_MAX) {
		cli_complain("--queue-size cannot be '%s'; a split ring has a power of two "
			     "from %u to %u elements, a packed ring any number of them",
			     value, QUEUE_SIZE_MIN, QUEUE_SIZE_MAX);
		return false;
	}
	options->queue_size = (uint16_t)n;
	return true;
}

static bool apply_queues(void *values, const char *value)
{
	struct run_options *options = values;
	static const struct number_spec spec = {"--queues", 1, QUEUE_COUNT_MAX, false};
	uint64_t n;

	if (!number_parse(&spec, value, &n))
		return false;
	options->queue_count = (uint16_t)n;
	return true;
}

static bool apply_depth(void *values, const char *value)
{
	struct run_options *options = values;
	static const struct number_spec spec = {"--depth", 1, QUEUE_SIZE_MAX, false};
	uint64_t n;

	if (!number_parse(&spec, value, &n))
		return false;
	options->depth = (uint16_t)n;
	return true;
}

static bool apply_block_size(void *values, const char *value)
{
	struct run_options *options = values;
	static const struct number_spec spec = {"--block-size", SECTOR, BLOCK_SIZE_MAX, true};
	uint64_t n;

	if (!number_parse(&spec, value, &n))
		return false;
	if (n % SECTOR != 0) {
		cli_complain("--block-size cannot be '%s'; give a multiple of 512", value);
		return false;
	}
	options->block_size = (uint32_t)n;
	return true;
}

static bool apply_features(void *values, const char *value)
{
	struct run_options *options = values;
	return features_parse(value, &options->features);
}

static bool apply_from(void *values, const char *value)
{
	struct run_options *options = values;
	options->from = value;
	return true;
}

static bool apply_to(void *values, const char *value)
{
	struct run_options *options = values;
	options->to = value;
	return true;
}

static bool apply_read_only(void *values, const char *value)
{
	struct run_options *options = values;
	(void)value;
	options->read_only = true;
	return true;
}

static bool apply_no_referee(void *values, const char *value)
{
	struct run_options *options = values;
	(void)value;
	options->no_referee = true;
	return true;
}

static bool apply_json(void *values, const char *value)
{
	struct run_options *options = values;
	(void)value;
	options->json = true;
	return true;
}

static bool apply_quiet(void *values, const char *value)
{
	struct run_options *options = values;
	(void)value;
	options->quiet = true;
	return true;
}

static const struct parse_option run_blk_options[] = {
	{"store", "STORE",
	 "ram:SIZE, or file:PATH of an image that exists (mandatory, or --device)", apply_store},
	{"device", "DEVICE", "vhost-user:SOCKET: a disk that another process serves", apply_device},
	{"spawn", "COMMAND", "what serves that socket, if nobody does", apply_spawn},
	{"workload", "WORKLOAD", "read, write, verify or mix (default read)", apply_workload},
	{"seed", "N", "of the pattern and the mix (default 1)", apply_seed},
	{"queue-size", "N", "elements of each ring, a power of two if split (default 256)",
	 apply_queue_size},
	{"queues", "N", "request queues (default 1)", apply_queues},
	{"depth", "N", "requests in flight on each queue (default 16)", apply_depth},
	{"block-size", "SIZE", "bytes of a request; of a mix, the most (default 64K)",
	 apply_block_size},
	{"requests", "N", "how many (default: the disk once; of a mix, 10000)", apply_requests},
	{"features", "LIST", "bits to take: all (but ring_packed, in_order), none, NAME, -NAME",
	 apply_features},
	{"indirect", "WHEN", "auto, always or never use indirect tables (default auto)",
	 apply_indirect},
	{"from", "PATH", "write: a file with the data, as large as the disk", apply_from},
	{"to", "PATH", "read: where what was read goes; - is standard output", apply_to},
	{"read-only", NULL, "offer the disk as read-only", apply_read_only},
	{"no-referee", NULL, "nobody checks what the device does, to see how fast it is",
	 apply_no_referee},
	{"json", NULL, "print one JSON object and not the table", apply_json},
	{"quiet", NULL, "no progress and no table", apply_quiet},
	{"help", NULL, "this text", NULL},
	{.name = NULL},
};

const char *options_workload_name(enum run_workload workload)
{
	return workload_names[workload];
}

const char *options_indirect_name(enum run_indirect indirect)
{
	return indirect_names[indirect];
}

bool options_writes(const struct run_options *options)
{
	return options->workload != RUN_READ;
}

bool options_modelled(const struct run_options *options)
{
	return options->workload == RUN_VERIFY || options->workload == RUN_MIX;
}

static bool takes(const struct run_options *options, unsigned bit)
{
	return (options->features & VIRTIO_FEATURE(bit)) != 0;
}

/* What is wrong with the options taken together, or NULL. */
static const char *contradiction(const void *values)
{
	const struct run_options *o = values;
	uint64_t buffers = UINT64_C(2) * o->block_size * o->depth * o->queue_count;

	if (o->store == NULL)
		return "--store is missing; give --store ram:SIZE or --store file:PATH";
	if (remote_device_contradiction(&o->remote) != NULL)
		return remote_device_contradiction(&o->remote);
	if (o->read_only && o->remote.device != NULL)
		return "--read-only is for whoever serves the device; leave it out";
	if (o->no_referee && options_modelled(o))
		return "--no-referee checks nothing; give --workload read or write";
	if (o->from != NULL && o->workload != RUN_WRITE)
		return "--from is the data of a write; give --workload write";
	if (o->to != NULL && o->workload != RUN_READ)
		return "--to takes what was read; give --workload read";
	if (o->to != NULL && strcmp(o->to, "-") == 0 && o->json)
		return "--to - and --json would both use standard output; give --to a file";
	if (o->read_only && options_writes(o))
		return "--read-only disks cannot be written; give --workload read";
	if (o->queue_count > 1 && !takes(o, VIRTIO_BLK_F_MQ))
		return "--queues above 1 needs the feature mq; add it to --features";
	if ((o->queue_size & (o->queue_size - 1)) != 0 && !takes(o, VIRTIO_F_RING_PACKED))
		return "--queue-size of a split ring must be a power of two; give one, or "
		       "--features all,ring_packed";
	if (o->indirect == RUN_INDIRECT_ALWAYS && !takes(o, VIRTIO_RING_F_INDIRECT_DESC))
		return "--indirect always needs the feature indirect_desc; add it to --features";
	if (buffers > BUFFER_TOTAL_MAX)
		return "--queues times --depth times --block-size is too much guest memory; "
		       "make it at most 2G";
	return NULL;
}

static const struct parse_command run_blk = {
	.name = "vqsim run blk",
	.before = "usage: vqsim run blk --store ram:SIZE|file:PATH [option ...]\n"
		  "       vqsim run blk --device vhost-user:SOCKET [option ...]\n\n"
		  "Drives the block device through its virtqueues with a simulated guest.\n\n"
		  "workloads:\n"
		  "  read    the whole disk, in order; changes nothing\n"
		  "  write   the whole disk, with a seeded pattern or --from, then a flush\n"
		  "  verify  write, flush and read back, compared with a model disk\n"
		  "  mix     seeded random requests in random framings, against a model disk\n"
		  "write, verify and mix overwrite what the image holds.\n\n"
		  "options:\n",
	.behind =
		"\nexit status: 0 all well; 1 a violation or an error; 2 bad arguments or files\n",
	.options = run_blk_options,
	.contradiction = contradiction,
};

enum parse_result options_parse(struct run_options *options, int argc, char **argv)
{
	*options = (struct run_options){
		.seed = 1, .queue_size = 256, .queue_count = 1, .depth = 16, .block_size = 65536};
	features_parse("all", &options->features);
	return parse_words(&run_blk, options, argc, argv);
}
