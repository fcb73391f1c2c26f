/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command as its users meet it: the real binary (VQSIM in the environment, or
 * build/vqsim), run in a folder of its own.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/command.h"

#define BLK   "run", "blk"
#define IMAGE "run", "blk", "--store", "file:image"
#define RAM   "run", "blk", "--store", "ram:1M"

static const struct command_bad bad_words[] = {
	{{NULL}, "a command is missing; try 'vqsim --help'"},
	{{"walk"}, "unknown command 'walk'"},
	{{"run"}, "a device is missing; try 'vqsim run --help'"},
	{{"run", "tape"}, "unknown device 'tape'"},
	{{BLK}, "--store is missing; give --store ram:SIZE or"},
	{{RAM, "--nonsense"}, "option '--nonsense' is unknown"},
	{{RAM, "-x"}, "option '-x' is unknown"},
	{{RAM, "--json=yes"}, "option '--json=yes'"},
	{{RAM, "extra"}, "unexpected word 'extra'"},
	{{RAM, "ex\ntra"}, "unexpected word 'ex?tra'"},
	{{BLK, "--store"}, "option '--store' needs a value"},
	{{RAM, "--seed"}, "option '--seed' needs a value"},
	{{BLK, "--store", "tape:1"}, "unknown store 'tape:1'; give ram:SIZE or file:PATH"},
	{{BLK, "--store", "file:"}, "unknown store 'file:'"},
	{{RAM, "--workload", "copy"},
	 "unknown workload 'copy'; known are read, write, verify, mix"},
	{{RAM, "--indirect", "maybe"}, "unknown --indirect 'maybe'; known are auto, always, never"},
	{{RAM, "--features", "turbo"}, "unknown feature 'turbo'; known are all, none, "},
	{{RAM, "--features", "all,-turbo"}, "unknown feature 'turbo'"},
	{{RAM, "--features", ""}, "unknown feature ''"},
	{{RAM, "--features", "flush,"}, "unknown feature ''"},
};

static const struct command_bad bad_numbers[] = {
	{{BLK, "--store", "ram:0"}, "give a number from 512"},
	{{BLK, "--store", "ram:"}, "--store ram: cannot be ''"},
	{{BLK, "--store", "ram:1000"}, "not a multiple of 512 bytes; the nearest that is: 1024"},
	{{BLK, "--store", "ram:-512"}, "--store ram: cannot be '-512'"},
	{{BLK, "--store", "ram:64Q"}, "--store ram: cannot be '64Q'"},
	{{BLK, "--store", "ram:64MM"}, "--store ram: cannot be '64MM'"},
	{{BLK, "--store", "ram:99999999999999999999"}, "--store ram: cannot be"},
	{{BLK, "--store", "ram:18014398509481985K"}, "--store ram: cannot be"},
	{{RAM, "--queue-size", "3"}, "a split ring has a power of two from 4 to 32768"},
	{{RAM, "--queue-size", "37"}, "of a split ring must be a power of two; give one, or "},
	{{RAM, "--queue-size", "0"}, "--queue-size cannot be '0'"},
	{{RAM, "--queue-size", "65536"}, "--queue-size cannot be '65536'"},
	{{RAM, "--queue-size", "-4"}, "--queue-size cannot be '-4'"},
	{{RAM, "--queue-size", "4x"}, "--queue-size cannot be '4x'"},
	{{RAM, "--queues", "0"}, "--queues cannot be '0'; give a number from 1 to 256"},
	{{RAM, "--queues", "65537"}, "--queues cannot be '65537'"},
	{{RAM, "--depth", "0"}, "--depth cannot be '0'; give a number from 1 to 32768"},
	{{RAM, "--depth", " 1"}, "--depth cannot be ' 1'"},
	{{RAM, "--block-size", "1000"}, "give a multiple of 512"},
	{{RAM, "--block-size", "0x200"}, "--block-size cannot be '0x200'"},
	{{RAM, "--block-size", "1G"}, "--block-size cannot be '1G'"},
	{{RAM, "--seed", "-1"}, "--seed cannot be '-1'"},
	{{RAM, "--seed", "1K"}, "--seed cannot be '1K'"},
	{{RAM, "--seed", "18446744073709551616"}, "--seed cannot be"},
	{{RAM, "--requests", "0"}, "--requests cannot be '0'"},
	{{RAM, "--requests", "17", "--to", "new"}, "is more than the disk has; with --to give at"},
	{{RAM, "--depth", "32768", "--block-size", "1M"}, "too much guest memory"},
};

static const struct command_bad bad_together[] = {
	{{IMAGE, "--from", "data"}, "--from is the data of a write; give --workload write"},
	{{IMAGE, "--workload", "verify", "--from", "data"}, "--from is the data of a write"},
	{{IMAGE, "--workload", "write", "--to", "new"}, "--to takes what was read"},
	{{IMAGE, "--to", "-", "--json"}, "would both use standard output"},
	{{IMAGE, "--workload", "write", "--read-only"}, "give --workload read"},
	{{IMAGE, "--workload", "mix", "--read-only"}, "give --workload read"},
	{{RAM, "--queues", "2", "--features", "none"}, "needs the feature mq"},
	{{RAM, "--indirect", "always", "--features", "flush"}, "needs the feature indirect_desc"},
};

static const struct command_bad bad_files[] = {
	{{BLK, "--store", "file:missing"}, "cannot open image 'missing': No such file"},
	{{BLK, "--store", "file:missing", "--to", "new"}, "cannot open image 'missing'"},
	{{BLK, "--store", "file:folder"}, "'folder' is a directory; give an image file"},
	{{BLK, "--store", "file:odd"}, "'odd' has 1000 bytes; the size must be a multiple of 512"},
	{{BLK, "--store", "file:empty"}, "'empty' has 0 bytes"},
	{{BLK, "--store", "file:/dev/null"}, "give a regular file or a block device"},
	{{BLK, "--store", "file:pipe"}, "give a regular file or a block device"},
	{{BLK, "--store", "file:protected", "--workload", "write"}, "'protected' is read-only"},
	{{BLK, "--store", "file:protected", "--workload", "mix"}, "'protected' is read-only"},
	{{IMAGE, "--to", "folder"}, "--to 'folder' is a directory; give a file"},
	{{IMAGE, "--to", "image"}, "--to 'image' is the image itself"},
	{{IMAGE, "--to", "./folder/../image"}, "is the image itself"},
	{{IMAGE, "--to", "missing/new"}, "cannot write --to 'missing/new': No such file"},
	{{IMAGE, "--requests", "2", "--to", "new"}, "give at most 1"},
	{{IMAGE, "--workload", "write", "--from", "missing"}, "cannot open --from 'missing'"},
	{{IMAGE, "--workload", "write", "--from", "folder"}, "--from 'folder' is no regular file"},
	{{IMAGE, "--workload", "write", "--from", "pipe"}, "--from 'pipe' is no regular file"},
	{{IMAGE, "--workload", "write", "--from", "small"},
	 "--from 'small' has 512 bytes; the disk has 65536"},
	{{IMAGE, "--workload", "write", "--from", "image"}, "--from 'image' is the image itself"},
};

static void bad_words_are_refused(void **state)
{
	(void)state;
	command_check_bad(bad_words, sizeof(bad_words) / sizeof(bad_words[0]));
}

static void bad_numbers_are_refused(void **state)
{
	(void)state;
	command_check_bad(bad_numbers, sizeof(bad_numbers) / sizeof(bad_numbers[0]));
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

static void help_and_version_go_to_standard_output(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, "--help");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "usage: vqsim command"));
	COMMAND(&outcome, "run", "--help");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "usage: vqsim run device"));
	COMMAND(&outcome, "run", "blk", "--help");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "--queue-size N"));
	assert_string_equal(outcome.err, "");
	COMMAND(&outcome, "--version");
	assert_int_equal(outcome.status, 0);
	assert_memory_equal(outcome.out, "vqsim 0.", 8);
}

static void assert_clean(const struct command_outcome *outcome)
{
	assert_string_equal(outcome->err, "");
	assert_int_equal(outcome->status, 0);
	assert_non_null(strstr(outcome->out, "\"errors\": 0,"));
	assert_non_null(strstr(outcome->out, "\"violations\": 0,"));
}

/* The part of the report that the seed decides: how many requests of each type, and their bytes. */
static void copy_types(char *types, size_t size, const struct command_outcome *outcome)
{
	const char *start = strstr(outcome->out, "\"types\"");

	assert_non_null(start);
	snprintf(types, size, "%.*s", (int)strcspn(start, "\n"), start);
}

static void the_seed_decides_the_mix(void **state)
{
	struct command_outcome outcome;
	char first[1024], again[1024], other[1024];

	(void)state;
	COMMAND(&outcome, RAM, "--workload", "mix", "--requests", "500", "--json", "--seed", "5");
	assert_clean(&outcome);
	copy_types(first, sizeof(first), &outcome);
	COMMAND(&outcome, RAM, "--workload", "mix", "--requests", "500", "--json", "--seed", "5");
	copy_types(again, sizeof(again), &outcome);
	COMMAND(&outcome, RAM, "--workload", "mix", "--requests", "500", "--json", "--seed", "6");
	assert_clean(&outcome);
	copy_types(other, sizeof(other), &outcome);
	assert_string_equal(first, again);
	assert_string_not_equal(first, other);
}

/* Ring sizes, queues and features at their edges: all of them must come out clean. */
static void every_shape_of_run_is_clean(void **state)
{
	static const char *const runs[][COMMAND_ARGS_MAX] = {
		{RAM, "--json", "--workload", "read"},
		{RAM, "--json", "--workload", "write", "--features", "none"},
		{RAM, "--json", "--workload", "verify", "--queues", "3", "--depth", "5"},
		{RAM, "--json", "--workload", "verify", "--queue-size", "4", "--indirect", "never"},
		{RAM, "--json", "--workload", "mix", "--queue-size", "4", "--depth", "100"},
		{RAM, "--json", "--workload", "mix", "--indirect", "always", "--queues", "4"},
		{RAM, "--json", "--workload", "mix", "--indirect", "never", "--block-size", "3K"},
		{RAM, "--json", "--workload", "mix", "--features", "none"},
		{RAM, "--json", "--workload", "mix", "--features", "all,ring_packed"},
		{RAM, "--json", "--workload", "mix", "--features", "all,in_order,ring_packed"},
		{RAM, "--json", "--workload", "mix", "--features", "all,ring_packed",
		 "--queue-size", "37", "--depth", "20"},
		{RAM, "--json", "--workload", "mix", "--features", "-event_idx,-config_wce"},
		{BLK, "--store", "ram:512", "--json", "--workload", "mix", "--requests", "100"},
		{BLK, "--store", "ram:66048", "--json", "--workload", "verify"},
	};
	struct command_outcome outcome;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		command_run(&outcome, runs[i]);
		assert_clean(&outcome);
	}
}

static void an_image_is_copied_through_the_ring(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, IMAGE, "--json", "--block-size", "1536", "--queues", "2", "--to", "copy");
	assert_clean(&outcome);
	assert_true(command_hash("copy") == command_hash("image"));
	assert_int_equal(truncate("copy", 0), 0);
	assert_int_equal(truncate("copy", COMMAND_IMAGE_SIZE), 0);
	COMMAND(&outcome, BLK, "--store", "file:copy", "--json", "--workload", "write", "--from",
		"data");
	assert_clean(&outcome);
	assert_true(command_hash("copy") == command_hash("data"));
	COMMAND(&outcome, BLK, "--store", "file:copy", "--json", "--workload", "mix");
	assert_clean(&outcome);
	remove("copy");
}

/* The table goes out of the way of the data. */
static void standard_output_takes_what_was_read(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, BLK, "--store", "ram:4K", "--to", "-");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, "");
	assert_non_null(strstr(outcome.err, "model: off"));
	COMMAND(&outcome, RAM, "--quiet");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, "");
	assert_string_equal(outcome.err, "");
}

static void a_full_disk_is_a_failed_run(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, IMAGE, "--quiet", "--to", "/dev/full");
	assert_int_equal(outcome.status, 1);
	assert_string_equal(outcome.err,
			    "vqsim: cannot write what was read: No space left on device\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_words_are_refused),
		cmocka_unit_test(bad_numbers_are_refused),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(bad_files_are_refused_and_nothing_is_written),
		cmocka_unit_test(help_and_version_go_to_standard_output),
		cmocka_unit_test(the_seed_decides_the_mix),
		cmocka_unit_test(every_shape_of_run_is_clean),
		cmocka_unit_test(an_image_is_copied_through_the_ring),
		cmocka_unit_test(standard_output_takes_what_was_read),
		cmocka_unit_test(a_full_disk_is_a_failed_run),
	};

	return cmocka_run_group_tests(tests, command_setup, command_teardown);
}
