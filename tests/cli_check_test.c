/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vqsim check` as its users meet it. How its reports look is in suite_report_test.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/command.h"
#include "vqsim/suite/suite.h"

#define RAM  "check", "--device", "blk:ram"
#define DISK "check", "--device", "blk:file:disk"

/* A case that runs quickly, on every device. */
#define ONE "--filter", "one_request"

static const struct command_bad bad_words[] = {
	{{"check"}, "--device is missing; give --device blk:ram, blk:file:PATH or null"},
	{{RAM, "--nonsense"}, "option '--nonsense' is unknown"},
	{{RAM, "-x"}, "option '-x' is unknown"},
	{{RAM, "--tap=yes"}, "option '--tap=yes'"},
	{{RAM, "extra"}, "unexpected word 'extra'; see 'vqsim check --help'"},
	{{RAM, "--filter"}, "option '--filter' needs a value"},
	{{RAM, "--junit"}, "option '--junit' needs a value"},
	{{RAM, "--point"}, "option '--point' needs a value"},
	{{RAM, "--point", "split"}, "no point is called 'split'; give one as the table has it"},
	{{RAM, "--point", ""}, "no point is called ''"},
	{{"check", "--device"}, "option '--device' needs a value"},
	{{"check", "--device", "tape"}, "unknown device 'tape'; give blk:ram, blk:ram:SIZE"},
	{{"check", "--device", ""}, "unknown device ''"},
	{{"check", "--device", "blk:file:"}, "unknown device 'blk:file:'"},
	{{"check", "--device", "blk:ramp"}, "unknown device 'blk:ramp'"},
	{{"check", "--device", "null:x"}, "unknown device 'null:x'"},
	{{"check", "--device", "ta\npe"}, "unknown device 'ta?pe'"},
	{{"check", "--device", "blk:ram:64K"}, "give a size from 128K to 64M"},
	{{"check", "--device", "blk:ram:65M"}, "give a size from 128K to 64M"},
	{{"check", "--device", "blk:ram:200000"}, "a multiple of 512"},
	{{"check", "--device", "blk:ram:1MM"}, "give a size from 128K to 64M"},
	{{"check", "--device", "blk:ram:-1"}, "give a size from 128K to 64M"},
	{{"check", "--device", "blk:ram:99999999999G"}, "give a size from 128K to 64M"},
	{{RAM, "--filter", "no_such_case"}, "no case has 'no_such_case' in its name"},
	{{RAM, "--filter",
	  "one"
	  "*x"},
	 "no case has 'one*x' in its name"},
	{{RAM, "--clause", "SPLIT-D-99"}, "no case tests clause 'SPLIT-D-99'"},
	{{RAM, "--clause", "SPLIT"}, "no case tests clause 'SPLIT'"},
	{{RAM, ONE, "--clause", "CONFIG-D-01"}, "and tests clause 'CONFIG-D-01'"},
	{{"check", "--list", "--clause", "SPLIT-D-99"}, "no case tests clause 'SPLIT-D-99'"},
};

static const struct command_bad bad_together[] = {
	{{RAM, "--tap", "--quiet"}, "--tap and --quiet contradict each other"},
	{{RAM, "--junit", "-"}, "--junit - and the table would both use standard output"},
	{{RAM, "--junit", "-", "--tap"}, "would both use standard output"},
	{{RAM, "--list", "--tap"}, "--list runs nothing"},
	{{"check", "--list", "--junit", "new"}, "--list runs nothing"},
};

static const struct command_bad bad_files[] = {
	{{"check", "--device", "blk:file:missing"}, "cannot open 'missing': No such file"},
	{{"check", "--device", "blk:file:folder"}, "cannot open 'folder': Is a directory"},
	{{"check", "--device", "blk:file:small"}, "a file of at least 131072 bytes"},
	{{"check", "--device", "blk:file:empty"}, "a file of at least 131072 bytes"},
	{{"check", "--device", "blk:file:odd"}, "a file of at least 131072 bytes"},
	{{"check", "--device", "blk:file:pipe"}, "give a regular file or a block device"},
	{{"check", "--device", "blk:file:protected"}, "'protected' is read-only"},
	{{"check", "--device", "blk:file:missing", "--junit", "new"}, "cannot open 'missing'"},
	{{RAM, "--junit", "folder"}, "cannot write --junit 'folder': Is a directory"},
	{{RAM, "--junit", "missing/new"}, "cannot write --junit 'missing/new': No such file"},
};

static void bad_words_are_refused(void **state)
{
	(void)state;
	command_check_bad(bad_words, sizeof(bad_words) / sizeof(bad_words[0]));
}

static void contradictions_are_refused(void **state)
{
	(void)state;
	command_check_bad(bad_together, sizeof(bad_together) / sizeof(bad_together[0]));
}

static void bad_files_are_refused_and_nothing_is_written(void **state)
{
	(void)state;
	command_check_bad(bad_files, sizeof(bad_files) / sizeof(bad_files[0]));
}

static void help_goes_to_standard_output(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, "check", "--help");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.err, "");
	assert_non_null(strstr(outcome.out, "usage: vqsim check --device DEVICE"));
	assert_non_null(strstr(outcome.out, "--junit FILE"));
	COMMAND(&outcome, "--help");
	assert_non_null(strstr(outcome.out, "check "));
}

static void the_list_has_every_case_and_needs_no_device(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, "check", "--list");
	assert_int_equal(outcome.status, 0);
	for (unsigned t = 0; vqsim_case_tables[t]; t++)
		for (const struct vqsim_case *test = vqsim_case_tables[t]; test->name; test++)
			assert_non_null(strstr(outcome.out, test->name));
	COMMAND(&outcome, "check", "--list", "--filter", "one_request");
	assert_string_equal(strchr(outcome.out, '\n'), "\n");
	COMMAND(&outcome, "check", "--list", "--clause", "SPLIT-DX-02");
	assert_non_null(strstr(outcome.out, "SPLIT-DX-02"));
}

static void every_device_of_ours_passes(void **state)
{
	static const char *const devices[] = {"null", "null:bare", "blk:ram", "blk:ram:1M"};
	struct command_outcome outcome;

	(void)state;
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		COMMAND(&outcome, "check", ONE, "--device", devices[i]);
		assert_string_equal(outcome.err, "");
		assert_int_equal(outcome.status, 0);
		assert_non_null(strstr(outcome.out, " 0 failed, "));
	}
}

static void make_disk(void)
{
	int fd = open("disk", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, VQSIM_SUITE_DISK_MIN), 0);
	close(fd);
}

static void a_file_is_a_disk_and_not_the_report(void **state)
{
	static const struct command_bad same = {{DISK, "--junit", "folder/../disk"},
						"is the disk itself"};
	struct command_outcome outcome;

	(void)state;
	make_disk();
	command_check_bad(&same, 1);
	COMMAND(&outcome, DISK, ONE);
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.err, "");
	remove("disk");
}

static void junit_goes_where_it_is_told(void **state)
{
	struct command_outcome outcome;
	char text[64] = "";
	FILE *file;

	(void)state;
	COMMAND(&outcome, RAM, ONE, "--junit", "new");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, " passed, 0 failed"));
	file = fopen("new", "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_string_equal(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	fclose(file);
	remove("new");
	COMMAND(&outcome, RAM, ONE, "--junit", "-", "--quiet");
	assert_int_equal(outcome.status, 0);
	assert_memory_equal(outcome.out, "<?xml ", 6);
	assert_non_null(strstr(outcome.out, "</testsuites>\n"));
}

static void a_full_disk_is_a_failed_run(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, RAM, ONE, "--quiet", "--junit", "/dev/full");
	assert_int_equal(outcome.status, 1);
	assert_string_equal(outcome.out, "");
	assert_string_equal(outcome.err, "vqsim: cannot write --junit '/dev/full'\n");
}

static void tap_says_how_many(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, RAM, ONE, "--tap");
	assert_int_equal(outcome.status, 0);
	assert_memory_equal(outcome.out, "TAP version 13\nok 1 - one_request split,direct,1x16\n",
			    51);
	assert_non_null(strstr(outcome.out, "\n1.."));
}

static void one_point_runs_alone(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, RAM, ONE, "--tap", "--point", "packed,indirect,in_order,4x33");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, "TAP version 13\n"
					 "ok 1 - one_request packed,indirect,in_order,4x33\n"
					 "1..1\n");
}

static void two_runs_print_the_same(void **state)
{
	static struct command_outcome first, second;

	(void)state;
	COMMAND(&first, RAM, "--filter", "*request*");
	COMMAND(&second, RAM, "--filter", "*request*");
	assert_int_equal(first.status, 0);
	assert_string_equal(first.out, second.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_words_are_refused),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(bad_files_are_refused_and_nothing_is_written),
		cmocka_unit_test(help_goes_to_standard_output),
		cmocka_unit_test(the_list_has_every_case_and_needs_no_device),
		cmocka_unit_test(every_device_of_ours_passes),
		cmocka_unit_test(a_file_is_a_disk_and_not_the_report),
		cmocka_unit_test(junit_goes_where_it_is_told),
		cmocka_unit_test(a_full_disk_is_a_failed_run),
		cmocka_unit_test(tap_says_how_many),
		cmocka_unit_test(one_point_runs_alone),
		cmocka_unit_test(two_runs_print_the_same),
	};

	return cmocka_run_group_tests(tests, command_setup, command_teardown);
}
