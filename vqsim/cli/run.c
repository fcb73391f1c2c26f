/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <stdio.h>
#include <string.h>

#include "options.h"
#include "report.h"
#include "session.h"
#include "workload.h"

/* The table must not land in the data of `--to -`. */
static FILE *report_stream(const struct run_options *options)
{
	return options->to != NULL && strcmp(options->to, "-") == 0 ? stderr : stdout;
}

static enum cli_exit run_session(struct session *session)
{
	const struct run_options *options = session->options;
	struct workload workload;
	enum cli_exit status = workload_run(&workload, session);

	if (remote_device_complain(&session->remote))
		status = CLI_FAILED;
	if (options->json)
		report_json(stdout, &workload);
	else if (!options->quiet)
		report_table(report_stream(options), &workload);
	return session->referee.violations > 0 ? CLI_FAILED : status;
}

int cli_run_blk(int argc, char **argv)
{
	struct run_options options;
	struct session session;
	enum cli_exit status;

	switch (options_parse(&options, argc, argv)) {
	case PARSE_HELP:
		return CLI_OK;
	case PARSE_BAD:
		return CLI_BAD;
	case PARSE_RUN:
		break;
	}
	status = session_open(&session, &options);
	if (status == CLI_OK)
		status = run_session(&session);
	session_close(&session);
	return status;
}
