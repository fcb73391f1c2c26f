/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* One option: how it is written, what the help says, and what it does. */
struct option_spec {
	const char *name;
	const char *value; /* NULL: takes none */
	const char *help;
	void (*apply)(struct check_options *options, const char *value); /* NULL: the help */
};

static void apply_device(struct check_options *options, const char *value)
{
	options->device = value;
}

static void apply_list(struct check_options *options, const char *value)
{
	(void)value;
	options->list = true;
}

static void apply_filter(struct check_options *options, const char *value)
{
	options->filter.pattern = value;
}

static void apply_clause(struct check_options *options, const char *value)
{
	options->filter.clause = value;
}

static void apply_tap(struct check_options *options, const char *value)
{
	(void)value;
	options->tap = true;
}

static void apply_junit(struct check_options *options, const char *value)
{
	options->junit = value;
}

static void apply_quiet(struct check_options *options, const char *value)
{
	(void)value;
	options->quiet = true;
}

static const struct option_spec specs[] = {
	{"device", "DEVICE", "what to check (mandatory, except with --list)", apply_device},
	{"list", NULL, "print the cases with their clauses, and run none", apply_list},
	{"filter", "PATTERN", "only cases with this in their name; * and ? match the whole name",
	 apply_filter},
	{"clause", "ID", "only cases that test this clause, such as SPLIT-D-22", apply_clause},
	{"tap", NULL, "print TAP 13 and not the table", apply_tap},
	{"junit", "FILE", "also write a JUnit XML document; - is standard output", apply_junit},
	{"quiet", NULL, "no table; failures are still told", apply_quiet},
	{"help", NULL, "this text", NULL},
};

#define SPEC_COUNT ((int)(sizeof(specs) / sizeof(specs[0])))

static void print_help(void)
{
	char left[32];
	int i;

	printf("usage: vqsim check --device DEVICE [option ...]\n\n"
	       "Runs the conformance suite against a device, at every point of the matrix\n"
	       "split/packed, direct/indirect, EVENT_IDX, IN_ORDER, queues and their size.\n\n"
	       "devices:\n"
	       "  null           a ring and nothing behind it; null:bare leaves the data alone\n"
	       "  blk:ram        the block device on memory, of 256K; blk:ram:SIZE of another size\n"
	       "  blk:file:PATH  the block device on a file, whose content is overwritten\n\n"
	       "options:\n");
	for (i = 0; i < SPEC_COUNT; i++) {
		snprintf(left, sizeof(left), "--%s%s%s", specs[i].name,
			 specs[i].value == NULL ? "" : " ",
			 specs[i].value == NULL ? "" : specs[i].value);
		printf("  %-20s %s\n", left, specs[i].help);
	}
	printf("\nexit status: 0 no case failed; 1 one did; 2 bad arguments or files\n");
}

static void complain_option(int result, const char *word)
{
	if (result == ':')
		cli_complain("option '%s' needs a value; see 'vqsim check --help'", word);
	else
		cli_complain("option '%s' is unknown, ambiguous or takes no value; "
			     "see 'vqsim check --help'",
			     word);
}

static void fill_getopt_table(struct option *table)
{
	int i;

	for (i = 0; i < SPEC_COUNT; i++) {
		table[i].name = specs[i].name;
		table[i].has_arg = specs[i].value == NULL ? no_argument : required_argument;
		table[i].val = i + 1;
	}
}

static enum options_result parse_words(struct check_options *options, int argc, char **argv)
{
	struct option table[SPEC_COUNT + 1] = {0};
	int result;

	fill_getopt_table(table);
	opterr = 0;
	while ((result = getopt_long(argc, argv, ":", table, NULL)) != -1) {
		if (result < 1 || result > SPEC_COUNT) {
			complain_option(result, argv[optind - 1]);
			return OPTIONS_BAD;
		}
		if (specs[result - 1].apply == NULL) {
			print_help();
			return OPTIONS_HELP;
		}
		specs[result - 1].apply(options, optarg);
	}
	if (optind == argc)
		return OPTIONS_RUN;
	cli_complain("unexpected word '%s'; see 'vqsim check --help'", argv[optind]);
	return OPTIONS_BAD;
}

const char *check_device_path(const char *device)
{
	static const char prefix[] = "blk:file:";

	return strncmp(device, prefix, sizeof(prefix) - 1) == 0 ? device + sizeof(prefix) - 1
								: NULL;
}

/* What is wrong with the options taken together, or NULL. */
static const char *contradiction(const struct check_options *o)
{
	if (o->list && (o->tap || o->junit != NULL || o->quiet))
		return "--list runs nothing; leave out --tap, --junit and --quiet";
	if (o->device == NULL && !o->list)
		return "--device is missing; give --device blk:ram, blk:file:PATH or null";
	if (o->tap && o->quiet)
		return "--tap and --quiet contradict each other; leave one out";
	if (o->junit != NULL && strcmp(o->junit, "-") == 0 && !o->quiet)
		return "--junit - and the table would both use standard output; add --quiet";
	return NULL;
}

enum options_result check_options_parse(struct check_options *options, int argc, char **argv)
{
	enum options_result result;
	const char *wrong;

	*options = (struct check_options){.device = NULL};
	result = parse_words(options, argc, argv);
	if (result != OPTIONS_RUN)
		return result;
	wrong = contradiction(options);
	if (wrong == NULL)
		return OPTIONS_RUN;
	cli_complain("%s", wrong);
	return OPTIONS_BAD;
}
