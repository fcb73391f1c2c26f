/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vqsim mount` up to where it would mount, which needs no right to do so; ci/mount.sh
 * has the rest.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/command.h"

#define RAM "mount", "ram", "folder"

static const struct command_bad bad_words[] = {
	{{"mount"}, "the tree and the mount point are missing; give dir:PATH MOUNTPOINT or"},
	{{"mount", "ram"}, "the mount point is missing; give a directory that exists"},
	{{"mount", "tape", "folder"}, "unknown tree 'tape'; give dir:PATH or ram"},
	{{"mount", "dir:", "folder"}, "unknown tree 'dir:'"},
	{{RAM, "ls"}, "unexpected word 'ls'; a command goes behind --"},
	{{RAM, "--"}, "a command is missing behind --"},
	{{RAM, "--nonsense", "--", "ls"}, "option '--nonsense' is unknown"},
	{{RAM, "--features", "turbo"}, "unknown feature 'turbo'"},
	{{RAM, "--tag", ""}, "--tag cannot be ''; give 1 to 36 bytes of UTF-8"},
	{{RAM, "--tag", "1234567890123456789012345678901234567"}, "give 1 to 36 bytes"},
	{{RAM, "--queues", "0"}, "--queues cannot be '0'; give a number from 1 to 64"},
	{{RAM, "--queues", "two"}, "--queues cannot be 'two'"},
	{{RAM, "--queue-size", "4"}, "give a number from 8 to 32768"},
	{{RAM, "--queue-size", "4294967304"}, "--queue-size cannot be '4294967304'"},
	{{RAM, "--queue-size", "9"}, "must be a power of two; give one, or --packed"},
};

static const struct command_bad bad_places[] = {
	{{"mount", "ram", "missing"}, "mount point 'missing': No such file or directory; give a"},
	{{"mount", "ram", "image"}, "mount point 'image': Not a directory"},
	{{"mount", "dir:missing", "folder"}, "tree 'missing': No such file or directory"},
	{{"mount", "dir:image", "folder"}, "tree 'image': Not a directory"},
	{{"mount", "dir:folder", "folder"}, "the mount point 'folder' is within 'folder'"},
	{{"mount", "dir:.", "folder"}, "the mount point 'folder' is within '.'"},
	{{"mount", "dir:/", "folder"}, "the mount point 'folder' is within '/'"},
};

static void bad_words_are_refused(void **state)
{
	(void)state;
	command_check_bad(bad_words, sizeof(bad_words) / sizeof(bad_words[0]));
}

static void places_that_cannot_be_are_refused(void **state)
{
	(void)state;
	command_check_bad(bad_places, sizeof(bad_places) / sizeof(bad_places[0]));
}

static void help_names_the_options(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, "mount", "--help");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "usage: vqsim mount dir:PATH|ram MOUNTPOINT"));
	assert_non_null(strstr(outcome.out, "--queue-size N"));
	assert_string_equal(outcome.err, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_words_are_refused),
		cmocka_unit_test(places_that_cannot_be_are_refused),
		cmocka_unit_test(help_names_the_options),
	};

	return cmocka_run_group_tests_name("cli_mount", tests, command_setup, command_teardown);
}
