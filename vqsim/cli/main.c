/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <ctype.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_line.h"
#include "../version.h"

/* Where violations are drawn unless the environment says otherwise. */
#define VIOLATIONS "vqsim-violations"

struct cli_command {
	const char *name;
	const char *text;
	int (*run)(int argc, char **argv);
};

/* The commands of one level: "vqsim ..." or "vqsim run ...". */
struct cli_level {
	const char *prefix;
	const char *noun;
	const char *text;
	const struct cli_command *commands;
	size_t count;
};

void cli_complain(const char *format, ...)
{
	char line[1024];
	va_list args;
	char *c;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (c = line; *c != '\0'; c++) {
		if (iscntrl((unsigned char)*c))
			*c = '?';
	}
	fprintf(stderr, "vqsim: %s\n", line);
}

static void print_level_help(const struct cli_level *level)
{
	size_t i;

	printf("usage: %s %s ...\n\n%s\n\n%ss:\n", level->prefix, level->noun, level->text,
	       level->noun);
	for (i = 0; i < level->count; i++)
		printf("  %-10s %s\n", level->commands[i].name, level->commands[i].text);
	printf("\noptions:\n  --help     this text; also after a %s\n", level->noun);
	printf("  --version  the version, and nothing else\n");
}

static int dispatch(const struct cli_level *level, int argc, char **argv)
{
	size_t i;

	if (argc < 2) {
		cli_complain("a %s is missing; try '%s --help'", level->noun, level->prefix);
		return CLI_BAD;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_level_help(level);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("vqsim %s\n", VQSIM_VERSION);
		return CLI_OK;
	}
	for (i = 0; i < level->count; i++) {
		if (strcmp(argv[1], level->commands[i].name) == 0)
			return level->commands[i].run(argc - 1, argv + 1);
	}
	cli_complain("unknown %s '%s'; try '%s --help'", level->noun, argv[1], level->prefix);
	return CLI_BAD;
}

static const struct cli_command devices[] = {
	{"blk", "the block device (virtio 1.3, 5.2)", cli_run_blk},
	{"fs", "the file-system device (virtio 1.3, 5.11)", cli_run_fs},
};

static const struct cli_level run_level = {
	.prefix = "vqsim run",
	.noun = "device",
	.text = "Drive a device through a virtqueue with a simulated guest and a referee.",
	.commands = devices,
	.count = sizeof(devices) / sizeof(devices[0]),
};

static int run_device(int argc, char **argv)
{
	return dispatch(&run_level, argc, argv);
}

static const struct cli_command served_devices[] = {
	{"blk", "a disk (virtio 1.3, 5.2)", cli_serve_blk},
	{"fs", "a directory (virtio 1.3, 5.11)", cli_serve_fs},
};

static const struct cli_level serve_level = {
	.prefix = "vqsim serve",
	.noun = "device",
	.text = "Serve a device to real guests, over a vhost-user socket.",
	.commands = served_devices,
	.count = sizeof(served_devices) / sizeof(served_devices[0]),
};

static int serve_device(int argc, char **argv)
{
	return dispatch(&serve_level, argc, argv);
}

static const struct cli_command commands[] = {
	{"run", "drive a device with a simulated guest", run_device},
	{"check", "run the conformance suite against a device", cli_check},
	{"mount", "use the file-system device through this kernel", cli_mount},
	{"serve", "serve a device to real guests, over vhost-user", serve_device},
};

static const struct cli_level top_level = {
	.prefix = "vqsim",
	.noun = "command",
	.text = "A guest without a machine: virtqueues driven in one process.",
	.commands = commands,
	.count = sizeof(commands) / sizeof(commands[0]),
};

/* A report that did not reach its reader (a full disk, say) is a failed run. */
static int flush_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	cli_complain("cannot write to standard output");
	return status == CLI_OK ? CLI_FAILED : status;
}

int main(int argc, char **argv)
{
	int status;

	/* Writing past a file size limit, or into a closed pipe, is an error to report. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	command_line_keep(argc, argv);
	setenv("VQSIM_VIOLATIONS", VIOLATIONS, 0);
	status = flush_output(dispatch(&top_level, argc, argv));
	command_line_drop();
	return status;
}
