/* SPDX-License-Identifier: BSD-3-Clause */
#include "serve_options.h"

#include <limits.h>
#include <string.h>

#include "cli.h"
#include "features.h"
#include "fs_stack.h"
#include "number.h"
#include "store_word.h"
#include "../../devices/blk/blk.h"
#include "../../devices/device.h"
#include "../../devices/fs/fs.h"

#define QUEUE_SIZE_MIN     8u
#define QUEUE_SIZE_MAX     32768u
#define QUEUE_COUNT_MAX    64u
#define QUEUE_SIZE_DEFAULT 1024u

static bool apply_store(void *values, const char *value)
{
	struct serve_options *options = values;

	options->store = value;
	return store_word_parse(value, &options->path, &options->ram_size);
}

static bool apply_tree(void *values, const char *value)
{
	struct serve_options *options = values;

	options->tree = value;
	return fs_stack_parse_tree(value, &options->path);
}

static bool apply_id(void *values, const char *value)
{
	struct serve_options *options = values;

	options->id = value;
	if (strlen(value) <= BLK_ID_SIZE)
		return true;
	cli_complain("--id cannot be '%s'; give at most %u bytes", value, BLK_ID_SIZE);
	return false;
}

static bool apply_tag(void *values, const char *value)
{
	struct serve_options *options = values;

	return fs_stack_parse_tag(value, &options->tag);
}

static bool apply_socket(void *values, const char *value)
{
	struct serve_options *options = values;

	options->socket = value;
	return true;
}

static bool apply_fd(void *values, const char *value)
{
	static const struct number_spec spec = {"--fd", 3, INT_MAX, false};
	struct serve_options *options = values;
	uint64_t number;

	if (!number_parse(&spec, value, &number))
		return false;
	options->fd = (int)number;
	return true;
}

static bool apply_queues(void *values, const char *value)
{
	static const struct number_spec spec = {"--queues", 1, QUEUE_COUNT_MAX, false};
	struct serve_options *options = values;
	uint64_t number;

	if (!number_parse(&spec, value, &number))
		return false;
	options->queue_count = (uint16_t)number;
	return true;
}

static bool apply_queue_size(void *values, const char *value)
{
	struct serve_options *options = values;
	uint64_t n;

	if (!number_read(value, false, &n) || n < QUEUE_SIZE_MIN || n > QUEUE_SIZE_MAX ||
	    (n & (n - 1)) != 0) {
		cli_complain("--queue-size cannot be '%s'; give a power of two from %u to %u",
			     value, QUEUE_SIZE_MIN, QUEUE_SIZE_MAX);
		return false;
	}
	options->queue_size = (uint16_t)n;
	return true;
}

/* What has no name here is not hidden by leaving it out. */
static bool apply_features(void *values, const char *value)
{
	struct serve_options *options = values;
	uint64_t features, named = 0;

	if (!features_parse(value, &features))
		return false;
	for (const struct feature_name *f = feature_names; f->name != NULL; f++)
		named |= VIRTIO_FEATURE(f->bit);
	options->hidden_features = named & ~features;
	return true;
}

static bool apply_read_only(void *values, const char *value)
{
	struct serve_options *options = values;

	(void)value;
	options->read_only = true;
	return true;
}

static bool apply_exclusive(void *values, const char *value)
{
	struct serve_options *options = values;

	(void)value;
	options->exclusive = true;
	return true;
}

static bool apply_poll(void *values, const char *value)
{
	struct serve_options *options = values;

	(void)value;
	options->poll = true;
	return true;
}

static bool apply_once(void *values, const char *value)
{
	struct serve_options *options = values;

	(void)value;
	options->once = true;
	return true;
}

static bool apply_no_sandbox(void *values, const char *value)
{
	struct serve_options *options = values;

	(void)value;
	options->no_sandbox = true;
	return true;
}

#define OPTIONS_OF_BOTH                                                                            \
	{"socket", "PATH", "where to listen; removed at the end", apply_socket},                   \
		{"fd", "N", "listen on this descriptor instead, which was inherited", apply_fd},   \
		{"queues", "N", "request queues (default 1)", apply_queues},                       \
		{"queue-size", "N", "the most elements of a ring, a power of two (default 1024)",  \
		 apply_queue_size},                                                                \
		{"features", "LIST",                                                               \
		 "bits to offer: all (but ring_packed, in_order), none, NAME, -NAME "              \
		 "(default: every one)",                                                           \
		 apply_features},                                                                  \
		{"read-only", NULL, "nothing can be changed", apply_read_only},                    \
		{"poll", NULL, "look at the rings all the time: a busy processor a queue",         \
		 apply_poll},                                                                      \
		{"once", NULL, "end when the first frontend is gone", apply_once},                 \
		{"no-sandbox", NULL, "keep all rights of who runs the command", apply_no_sandbox}, \
		{"help", NULL, "this text", NULL},                                                 \
	{                                                                                          \
		.name = NULL                                                                       \
	}

static const struct parse_option blk_table[] = {
	{"store", "STORE", "ram:SIZE, or file:PATH of an image that exists (mandatory)",
	 apply_store},
	{"id", "TEXT", "the disk's serial number, at most 20 bytes", apply_id},
	OPTIONS_OF_BOTH,
};

static const struct parse_option fs_table[] = {
	{"tree", "TREE", "dir:PATH of a directory that exists, or ram (mandatory)", apply_tree},
	{"tag", "TEXT", "what a guest mounts (default vqsim)", apply_tag},
	{"exclusive", NULL, "nobody else changes the directory: by name, which is cheaper",
	 apply_exclusive},
	OPTIONS_OF_BOTH,
};

static const char *place_missing(const struct serve_options *o)
{
	if (!o->socket && o->fd < 0)
		return "--socket is missing; give --socket PATH";
	if (o->socket && o->fd >= 0)
		return "--socket and --fd are both places to listen; give one of them";
	return NULL;
}

static const char *blk_contradiction(const void *values)
{
	const struct serve_options *o = values;

	if (!o->store)
		return "--store is missing; give --store ram:SIZE or --store file:PATH";
	return place_missing(o);
}

static const char *fs_contradiction(const void *values)
{
	const struct serve_options *o = values;

	if (!o->tree)
		return "--tree is missing; give --tree dir:PATH or --tree ram";
	return place_missing(o);
}

static const struct parse_command blk_command = {
	.name = "vqsim serve blk",
	.before = "usage: vqsim serve blk --store ram:SIZE|file:PATH --socket PATH [option ...]\n\n"
		  "Serves a disk to vhost-user frontends: virtual machines, Linux as a process.\n\n"
		  "options:\n",
	.behind = "\nOne frontend is served at a time. SIGTERM and SIGINT end it when the requests "
		  "that were taken\nare answered and the image is synced. SIGHUP: look at the "
		  "image's size again, and tell the guest.\n\n"
		  "exit status: 0 it was told to end; 1 an error; 2 bad arguments or files\n",
	.options = blk_table,
	.contradiction = blk_contradiction,
};

static const struct parse_command fs_command = {
	.name = "vqsim serve fs",
	.before = "usage: vqsim serve fs --tree dir:PATH|ram --socket PATH [option ...]\n\n"
		  "Serves a directory to vhost-user frontends; a Linux guest mounts it with\n"
		  "mount -t virtiofs TAG MOUNTPOINT.\n\n"
		  "options:\n",
	.behind = "\nOne frontend is served at a time. SIGTERM and SIGINT end it when the requests "
		  "that were taken\nare answered.\n\n"
		  "exit status: 0 it was told to end; 1 an error; 2 bad arguments or files\n",
	.options = fs_table,
	.contradiction = fs_contradiction,
};

static enum parse_result parse(const struct parse_command *command, struct serve_options *options,
			       int argc, char **argv)
{
	*options = (struct serve_options){
		.fd = -1, .tag = "vqsim", .queue_count = 1, .queue_size = QUEUE_SIZE_DEFAULT};
	return parse_words(command, options, argc, argv);
}

enum parse_result serve_blk_options_parse(struct serve_options *options, int argc, char **argv)
{
	return parse(&blk_command, options, argc, argv);
}

enum parse_result serve_fs_options_parse(struct serve_options *options, int argc, char **argv)
{
	return parse(&fs_command, options, argc, argv);
}
