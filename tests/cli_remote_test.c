/* SPDX-License-Identifier: BSD-3-Clause */
/* `vqsim check` and `vqsim run blk` on what another process serves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/command.h"

#define DEVICE "--device", "vhost-user:s"
#define RUN    "run", "blk"
#define RUN_FS "run", "fs"

static const struct command_bad bad_words[] = {
	{{"check", "--device", "vhost-user:"}, "'vhost-user:' names no socket"},
	{{"check", "--device", "vhost-user:,blk"}, "'vhost-user:,blk' names no socket"},
	{{"check", DEVICE}, "nobody serves the socket: No such file or directory"},
	{{"check", "--device", "vhost-user:image"}, "nobody serves the socket: Connection refused"},
	{{"check", "--device", "vhost-user:folder"}, "device 'vhost-user:folder': nobody serves"},
	{{"check", DEVICE, "--spawn", "exit 1"}, "the command ended"},
	{{"check", "--device", "blk:ram", "--spawn", "true"}, "--spawn serves a socket"},
	{{"check", DEVICE, "--point", "split*4"}, "no point is called 'split*4'"},
	{{RUN, "--device", "vhost-user:"}, "unknown device 'vhost-user:'; give vhost-user:SOCKET"},
	{{RUN, "--device", "s"}, "unknown device 's'"},
	{{RUN, DEVICE}, "device 'vhost-user:s': nobody serves the socket: No such file"},
	{{RUN, DEVICE, "--spawn", "exit 1"}, "the command ended"},
	{{RUN, DEVICE, "--store", "ram:1M"}, "--store and --device are two disks"},
	{{RUN, "--store", "ram:1M", DEVICE}, "--store and --device are two disks"},
	{{RUN, "--store", "ram:1M", "--spawn", "true"}, "--spawn serves a socket"},
	{{RUN, DEVICE, "--read-only"}, "--read-only is for whoever serves the device"},
	{{RUN, DEVICE, "--no-referee", "--workload", "mix"}, "--no-referee checks nothing"},
	{{RUN_FS, DEVICE}, "device 'vhost-user:s': nobody serves the socket: No such file"},
	{{RUN_FS, DEVICE, "--tree", "ram"}, "--tree and --device are two file systems"},
	{{RUN_FS, "--tree", "ram", DEVICE}, "--tree and --device are two file systems"},
	{{RUN_FS, "--tree", "ram", "--spawn", "true"}, "--spawn serves a socket"},
	{{RUN_FS, DEVICE, "--exclusive"}, "--exclusive is for whoever serves the device"},
};

static void bad_words_are_refused(void **state)
{
	(void)state;
	command_check_bad(bad_words, sizeof(bad_words) / sizeof(bad_words[0]));
}

/* What serves the socket for one run of the command. */
static const char *served_by(const char *words)
{
	static char command[512];

	snprintf(command, sizeof(command), "exec %s serve %s --socket s >/dev/null 2>&1",
		 command_binary(), words);
	return command;
}

static void a_disk_is_driven(void **state)
{
	static const char *const workloads[] = {"read", "write", "verify", "mix"};
	static struct command_outcome outcome;

	(void)state;
	for (unsigned i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		COMMAND(&outcome, RUN, DEVICE, "--spawn",
			served_by("blk --store ram:1M --queues 2"), "--queues", "2", "--workload",
			workloads[i], "--block-size", "4K", "--requests", "300");
		assert_int_equal(outcome.status, 0);
		assert_non_null(strstr(outcome.out, "vhost-user:s"));
	}
}

static void what_was_written_is_on_the_disk(void **state)
{
	static struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, RUN, DEVICE, "--spawn", served_by("blk --store file:image"), "--workload",
		"write", "--from", "data");
	assert_int_equal(outcome.status, 0);
	assert_true(command_hash("image") == command_hash("data"));
}

static void a_disk_with_too_few_queues(void **state)
{
	static struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, RUN, DEVICE, "--spawn", served_by("blk --store ram:1M"), "--queues", "2");
	assert_int_equal(outcome.status, 2);
	assert_non_null(strstr(outcome.err, "has fewer queues; give less --queues"));
}

static void a_ring_that_is_too_large(void **state)
{
	static struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, RUN, DEVICE, "--spawn", served_by("blk --store ram:1M"), "--queue-size",
		"2048");
	assert_int_equal(outcome.status, 2);
	assert_non_null(strstr(outcome.err, "behind a socket is at most 1024"));
}

static void a_file_system_is_driven(void **state)
{
	static struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, RUN_FS, DEVICE, "--spawn", served_by("fs --tree ram --tag t"), "--files",
		"30");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "files of vhost-user:s: 30 files"));
}

static void cases_are_run(void **state)
{
	static struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, "check", DEVICE, "--spawn", served_by("blk --store ram:1M"), "--filter",
		"one_request", "--point", "*,1x16");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "16 passed, 0 failed"));
	COMMAND(&outcome, "check", DEVICE, "--spawn", served_by("fs --tree ram --tag t --queues 2"),
		"--filter", "fs_replies", "--point", "split*,1x16");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "4 passed, 0 failed"));
}

/* What only the transport between would answer is not called passed. */
static void what_cannot_be_seen_is_said(void **state)
{
	static struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, "check", DEVICE, "--spawn", served_by("blk --store ram:1M"), "--filter",
		"status_*");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "0 passed, 0 failed, 0 not applicable, 4 not"));
}

/* A disk that does not forget is not one that does, and the other way round. */
static void a_disk_that_forgets(void **state)
{
	static struct command_outcome outcome;

	(void)state;
	setenv("VQSIM_VIOLATIONS", "", 1); /* nobody wants the pictures */
	COMMAND(&outcome, "check", "--device", "vhost-user:s,zero", "--spawn",
		served_by("blk --store ram:1M"), "--filter", "one_request", "--point",
		"split,direct,1x16");
	assert_int_equal(outcome.status, 0);
	COMMAND(&outcome, "check", "--device", "vhost-user:s,zero", "--spawn",
		served_by("blk --store file:data"), "--filter", "one_request", "--point",
		"split,direct,1x16");
	assert_int_equal(outcome.status, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_words_are_refused),
		cmocka_unit_test(a_disk_is_driven),
		cmocka_unit_test(what_was_written_is_on_the_disk),
		cmocka_unit_test(a_disk_with_too_few_queues),
		cmocka_unit_test(a_ring_that_is_too_large),
		cmocka_unit_test(a_file_system_is_driven),
		cmocka_unit_test(cases_are_run),
		cmocka_unit_test(what_cannot_be_seen_is_said),
		cmocka_unit_test(a_disk_that_forgets),
	};

	return cmocka_run_group_tests(tests, command_setup, command_teardown);
}
