/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"

#include <string.h>

#include "cli.h"

static bool apply_device(void *values, const char *value)
{
	struct check_options *options = values;

	options->device = value;
	return true;
}

static bool apply_spawn(void *values, const char *value)
{
	struct check_options *options = values;

	options->spawn = value;
	return true;
}

static bool apply_list(void *values, const char *value)
{
	struct check_options *options = values;

	(void)value;
	options->list = true;
	return true;
}

static bool apply_filter(void *values, const char *value)
{
	struct check_options *options = values;

	options->filter.pattern = value;
	return true;
}

static bool apply_clause(void *values, const char *value)
{
	struct check_options *options = values;

	options->filter.clause = value;
	return true;
}

static bool apply_point(void *values, const char *value)
{
	struct check_options *options = values;

	options->filter.point = value;
	return true;
}

static bool apply_tap(void *values, const char *value)
{
	struct check_options *options = values;

	(void)value;
	options->tap = true;
	return true;
}

static bool apply_junit(void *values, const char *value)
{
	struct check_options *options = values;

	options->junit = value;
	return true;
}

static bool apply_quiet(void *values, const char *value)
{
	struct check_options *options = values;

	(void)value;
	options->quiet = true;
	return true;
}

static const struct parse_option check_words[] = {
	{"device", "DEVICE", "what to check (mandatory, except with --list)", apply_device},
	{"spawn", "COMMAND", "what serves the socket of vhost-user:, started whenever nobody does",
	 apply_spawn},
	{"list", NULL, "print the cases with their clauses, and run none", apply_list},
	{"filter", "PATTERN", "only cases with this in their name; * and ? match the whole name",
	 apply_filter},
	{"clause", "ID", "only cases that test this clause, such as SPLIT-D-22", apply_clause},
	{"point", "NAME",
	 "only at points of the matrix with this name, such as split,direct,1x16 or *x16",
	 apply_point},
	{"tap", NULL, "print TAP 13 and not the table", apply_tap},
	{"junit", "FILE", "also write a JUnit XML document; - is standard output", apply_junit},
	{"quiet", NULL, "no table; failures are still told", apply_quiet},
	{"help", NULL, "this text", NULL},
	{.name = NULL},
};

const char *check_device_path(const char *device)
{
	static const char prefix[] = "blk:file:";

	return strncmp(device, prefix, sizeof(prefix) - 1) == 0 ? device + sizeof(prefix) - 1
								: NULL;
}

/* What is wrong with the options taken together, or NULL. */
static const char *contradiction(const void *values)
{
	const struct check_options *o = values;

	if (o->list && (o->tap || o->junit != NULL || o->quiet))
		return "--list runs nothing; leave out --tap, --junit and --quiet";
	if (o->device == NULL && !o->list)
		return "--device is missing; give --device blk:ram, blk:file:PATH or null";
	if (o->spawn != NULL && (o->device == NULL || !vqsim_subject_is_remote(o->device)))
		return "--spawn serves a socket; give --device vhost-user:SOCKET";
	if (o->tap && o->quiet)
		return "--tap and --quiet contradict each other; leave one out";
	if (o->junit != NULL && strcmp(o->junit, "-") == 0 && !o->quiet)
		return "--junit - and the table would both use standard output; add --quiet";
	return NULL;
}

static const struct parse_command check = {
	.name = "vqsim check",
	.before =
		"usage: vqsim check --device DEVICE [option ...]\n\n"
		"Runs the conformance suite against a device, at every point of the matrix\n"
		"split/packed, direct/indirect, EVENT_IDX, IN_ORDER, queues and their size.\n\n"
		"devices:\n"
		"  null           a ring and nothing behind it; null:bare leaves the data alone\n"
		"  blk:ram        the block device on memory, of 256K; blk:ram:SIZE of another size\n"
		"  blk:file:PATH  the block device on a file, whose content is overwritten\n"
		"  fs:ram         the file-system device on memory; fs:dir: on a scratch directory\n"
		"  vhost-user:SOCKET  what another process serves there, whose content is\n"
		"                 overwritten; vhost-user:SOCKET,blk or ,fs if it does not show;\n"
		"                 ,zero for a disk that forgets\n\n"
		"options:\n",
	.behind = "\nexit status: 0 no case failed; 1 one did; 2 bad arguments or files\n",
	.options = check_words,
	.contradiction = contradiction,
};

enum parse_result check_options_parse(struct check_options *options, int argc, char **argv)
{
	*options = (struct check_options){.device = NULL};
	return parse_words(&check, options, argc, argv);
}
