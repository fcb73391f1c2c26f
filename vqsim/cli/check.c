/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "../suite/report.h"

static bool same_file(const char *a, const char *b)
{
	struct stat first, second;

	return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
	       first.st_ino == second.st_ino;
}

static void print_list(const struct vqsim_filter *filter)
{
	for (unsigned t = 0; vqsim_case_tables[t] != NULL; t++) {
		for (const struct vqsim_case *test = vqsim_case_tables[t]; test->name; test++) {
			if (vqsim_filter_matches(filter, test))
				printf("%-32s  %s\n", test->name, test->clauses);
		}
	}
}

/* Whether the filter lets something through. */
static bool check_filter(const struct vqsim_filter *filter)
{
	for (unsigned t = 0; vqsim_case_tables[t] != NULL; t++) {
		for (const struct vqsim_case *test = vqsim_case_tables[t]; test->name; test++) {
			if (vqsim_filter_matches(filter, test))
				return true;
		}
	}
	if (filter->clause != NULL && filter->pattern != NULL)
		cli_complain("no case has '%s' in its name and tests clause '%s'; "
			     "'vqsim check --list' shows them all",
			     filter->pattern, filter->clause);
	else if (filter->clause != NULL)
		cli_complain("no case tests clause '%s'; 'vqsim check --list' shows those tested",
			     filter->clause);
	else
		cli_complain("no case has '%s' in its name; 'vqsim check --list' shows them all",
			     filter->pattern);
	return false;
}

/* Whether some device has such a point. */
static bool check_point(const struct vqsim_filter *filter)
{
	struct vqsim_point points[VQSIM_POINTS_MAX];
	unsigned count = vqsim_points(~UINT64_C(0), points);

	for (unsigned i = 0; i < count; i++)
		if (vqsim_filter_lets(filter, &points[i]))
			return true;
	cli_complain("no point is called '%s'; give one as the table has it", filter->point);
	return false;
}

static void complain_file(const char *path, int error)
{
	if (error == -EINVAL)
		cli_complain("'%s' cannot be the disk; give a file of at least %u bytes and a "
			     "multiple of 512",
			     path, VQSIM_SUITE_DISK_MIN);
	else if (error == -ENOTSUP)
		cli_complain("'%s' cannot be the disk; give a regular file or a block device",
			     path);
	else if (error == -EFBIG)
		cli_complain("'%s' is too large for a model of it; give a file of at most %u bytes",
			     path, VQSIM_SUITE_DISK_MAX);
	else
		cli_complain("cannot open '%s': %s; give a file that exists and can be written",
			     path, strerror(-error));
}

static void complain_device(const char *device, int error)
{
	const char *path = check_device_path(device);

	if (path != NULL && *path != '\0')
		complain_file(path, error);
	else if (strncmp(device, "blk:ram:", 8) == 0)
		cli_complain("device '%s': give a size from %uK to %uM, a multiple of 512", device,
			     VQSIM_SUITE_DISK_MIN >> 10, VQSIM_SUITE_DISK_MAX >> 20);
	else
		cli_complain("unknown device '%s'; give blk:ram, blk:ram:SIZE, blk:file:PATH, "
			     "fs:ram, fs:dir, null, null:bare or vhost-user:SOCKET",
			     device);
}

/* What a write-protected file means does not depend on who runs the command, root included. */
static bool write_protected(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0222) == 0;
}

/* What is not there or cannot be told apart is the user's; the rest is the backend's. */
static enum cli_exit open_remote(struct vqsim_subject *subject, const struct check_options *options)
{
	char text[VQSIM_REMOTE_TEXT];
	int error = vqsim_subject_remote_init(subject, options->device, options->spawn, text);

	if (error == 0)
		return CLI_OK;
	if (error == -EINVAL)
		cli_complain("device '%s' names no socket; give vhost-user:SOCKET",
			     options->device);
	else if (error == -ENODEV)
		cli_complain("device '%s': %s; give vhost-user:SOCKET,blk or vhost-user:SOCKET,fs",
			     options->device, text);
	else
		cli_complain("device '%s': %s", options->device, text);
	return error == -ETIMEDOUT || error == -EPROTO || error == -EPIPE ? CLI_FAILED : CLI_BAD;
}

static enum cli_exit open_device(struct vqsim_subject *subject, const struct check_options *options)
{
	const char *path = check_device_path(options->device);
	int error;

	if (vqsim_subject_is_remote(options->device))
		return open_remote(subject, options);
	if (path != NULL && write_protected(path)) {
		cli_complain("'%s' is read-only, and the suite writes to it; chmod u+w it", path);
		return CLI_BAD;
	}
	error = vqsim_subject_init(subject, options->device);
	if (error == 0)
		return CLI_OK;
	complain_device(options->device, error);
	return CLI_BAD;
}

static enum cli_exit open_junit(FILE **junit, const struct check_options *options)
{
	const char *image = check_device_path(options->device);

	*junit = NULL;
	if (options->junit == NULL)
		return CLI_OK;
	if (strcmp(options->junit, "-") == 0) {
		*junit = stdout;
		return CLI_OK;
	}
	if (image != NULL && same_file(image, options->junit)) {
		cli_complain("--junit '%s' is the disk itself; give another file", options->junit);
		return CLI_BAD;
	}
	*junit = fopen(options->junit, "we");
	if (*junit != NULL)
		return CLI_OK;
	cli_complain("cannot write --junit '%s': %s; give a file that can be written",
		     options->junit, strerror(errno));
	return CLI_BAD;
}

static enum cli_exit write_junit(FILE *junit, const struct check_options *options,
				 const struct vqsim_report *report)
{
	bool written;

	if (junit == NULL)
		return CLI_OK;
	vqsim_report_junit(report, junit);
	if (junit == stdout)
		return CLI_OK; /* main looks at it */
	written = ferror(junit) == 0;
	if (fclose(junit) == 0 && written)
		return CLI_OK;
	cli_complain("cannot write --junit '%s'", options->junit);
	return CLI_FAILED;
}

static struct vqsim_report make_report(const struct check_options *options)
{
	return (struct vqsim_report){
		.device = options->device,
		.out = options->quiet ? stderr : stdout,
		.style = options->tap     ? VQSIM_REPORT_TAP
			 : options->quiet ? VQSIM_REPORT_FAILURES
					  : VQSIM_REPORT_TABLE,
	};
}

static enum cli_exit run(const struct vqsim_subject *subject, const struct check_options *options,
			 FILE *junit)
{
	struct vqsim_report report = make_report(options);
	struct vqsim_totals totals = {{0}};
	enum cli_exit status;
	int error = vqsim_suite_run(subject, &options->filter, vqsim_report_add, &report, &totals);

	vqsim_report_end(&report);
	status = write_junit(junit, options, &report);
	if (error != 0)
		cli_complain("the device cannot be made: %s", strerror(-error));
	else if (report.no_memory)
		cli_complain("not enough memory for the results");
	if (error != 0 || report.no_memory || totals.counts[VQSIM_FAILED] > 0)
		status = CLI_FAILED;
	vqsim_report_finish(&report);
	return status;
}

int cli_check(int argc, char **argv)
{
	struct check_options options;
	struct vqsim_subject subject;
	enum cli_exit status;
	FILE *junit;

	switch (check_options_parse(&options, argc, argv)) {
	case PARSE_RUN:
		break;
	case PARSE_HELP:
		return CLI_OK;
	case PARSE_BAD:
		return CLI_BAD;
	}
	if (!check_filter(&options.filter) || !check_point(&options.filter))
		return CLI_BAD;
	if (options.list) {
		print_list(&options.filter);
		return CLI_OK;
	}
	status = open_device(&subject, &options);
	if (status != CLI_OK)
		return status;
	status = open_junit(&junit, &options);
	if (status == CLI_OK)
		status = run(&subject, &options, junit);
	vqsim_subject_finish(&subject);
	return status;
}
