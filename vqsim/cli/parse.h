/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A command line as a table of long options: parsing, help, and one line of complaint
 * for whatever is wrong with it.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_PARSE_H
#define VQSIM_CLI_PARSE_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PARSE_OPTIONS_MAX 32

enum parse_result {
	PARSE_RUN,
	PARSE_HELP, /* the help was asked for and printed */
	PARSE_BAD,  /* the complaint was printed */
};

/* One option: how it is written, what the help says, and what it does. */
struct parse_option {
	const char *name;
	const char *value; /* NULL: takes none */
	const char *help;

	/*
	 * Take the value (NULL if there is none) into the values of the command. NULL: print the
	 * help. Returns false: it cannot be, and the complaint was printed.
	 */
	bool (*apply)(void *values, const char *value);
};

struct parse_command {
	const char *name;                   /* "vqsim run blk" */
	const char *before, *behind;        /* what the help says around the options */
	const struct parse_option *options; /* at most PARSE_OPTIONS_MAX, then a NULL name */

	/* What is wrong with the values taken together, or NULL. */
	const char *(*contradiction)(const void *values);

	/* Take a word that belongs to no option, as apply does. NULL: there are none. */
	bool (*word)(void *values, const char *word);
};

/* Parse argv[1..] into *values, which has the defaults; strings that are kept point into argv. */
enum parse_result parse_words(const struct parse_command *command, void *values, int argc,
			      char **argv);

#ifdef __cplusplus
}
#endif

#endif
