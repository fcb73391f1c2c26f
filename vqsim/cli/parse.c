/* SPDX-License-Identifier: BSD-3-Clause */
#include "parse.h"

#include <getopt.h>
#include <stdio.h>

#include "cli.h"

static void print_help(const struct parse_command *command)
{
	const struct parse_option *option;
	char left[32];

	fputs(command->before, stdout);
	for (option = command->options; option->name != NULL; option++) {
		snprintf(left, sizeof(left), "--%s%s%s", option->name,
			 option->value == NULL ? "" : " ",
			 option->value == NULL ? "" : option->value);
		printf("  %-20s %s\n", left, option->help);
	}
	fputs(command->behind, stdout);
}

static void complain_option(const struct parse_command *command, int result, const char *word)
{
	if (result == ':')
		cli_complain("option '%s' needs a value; see '%s --help'", word, command->name);
	else
		cli_complain("option '%s' is unknown, ambiguous or takes no value; "
			     "see '%s --help'",
			     word, command->name);
}

/* Returns the number of options. */
static int fill_getopt_table(const struct parse_command *command, struct option *table)
{
	int i;

	for (i = 0; i < PARSE_OPTIONS_MAX && command->options[i].name != NULL; i++) {
		table[i].name = command->options[i].name;
		table[i].has_arg =
			command->options[i].value == NULL ? no_argument : required_argument;
		table[i].val = i + 1;
	}
	return i;
}

static enum parse_result take_words(const struct parse_command *command, void *values, int count,
				    char **words)
{
	if (count > 0 && !command->word) {
		cli_complain("unexpected word '%s'; see '%s --help'", words[0], command->name);
		return PARSE_BAD;
	}
	for (int i = 0; i < count; i++)
		if (!command->word(values, words[i]))
			return PARSE_BAD;
	return PARSE_RUN;
}

static enum parse_result parse_all(const struct parse_command *command, void *values, int argc,
				   char **argv)
{
	struct option table[PARSE_OPTIONS_MAX + 1] = {0};
	int count = fill_getopt_table(command, table), result;
	const struct parse_option *option;

	opterr = 0;
	while ((result = getopt_long(argc, argv, ":", table, NULL)) != -1) {
		if (result < 1 || result > count) {
			complain_option(command, result, argv[optind - 1]);
			return PARSE_BAD;
		}
		option = &command->options[result - 1];
		if (option->apply == NULL) {
			print_help(command);
			return PARSE_HELP;
		}
		if (!option->apply(values, optarg))
			return PARSE_BAD;
	}
	return take_words(command, values, argc - optind, argv + optind);
}

enum parse_result parse_words(const struct parse_command *command, void *values, int argc,
			      char **argv)
{
	enum parse_result result = parse_all(command, values, argc, argv);
	const char *wrong = result == PARSE_RUN ? command->contradiction(values) : NULL;

	if (wrong == NULL)
		return result;
	cli_complain("%s", wrong);
	return PARSE_BAD;
}
