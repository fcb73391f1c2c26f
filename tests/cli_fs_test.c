/* SPDX-License-Identifier: BSD-3-Clause */
/* `vqsim run fs` as its users meet it. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/command.h"

#define FS  "run", "fs"
#define RAM "run", "fs", "--tree", "ram"
#define DIR "run", "fs", "--tree", "dir:folder"

static const struct command_bad bad_words[] = {
	{{FS}, "--tree is missing; give --tree dir:PATH or --tree ram"},
	{{FS, "--tree", "tape"}, "unknown tree 'tape'; give dir:PATH or ram"},
	{{FS, "--tree", "dir:missing"}, "cannot serve 'dir:missing': No such file or directory"},
	{{FS, "--tree", "dir:image"}, "cannot serve 'dir:image': Not a directory"},
	{{RAM, "extra"}, "unexpected word 'extra'"},
	{{RAM, "--workload", "mix"}, "unknown workload 'mix'; known are files, put, get"},
	{{RAM, "--workload", "put"}, "--workload put and --from DIR belong together"},
	{{RAM, "--to", "folder"}, "--workload get and --to DIR belong together"},
	{{RAM, "--files", "0"}, "--files cannot be '0'"},
	{{RAM, "--block-size", "2M"}, "--block-size cannot be '2M'"},
	{{RAM, "--queue-size", "9"}, "must be a power of two; give one, or --features all,"},
};

static void bad_words_are_refused(void **state)
{
	(void)state;
	command_check_bad(bad_words, sizeof(bad_words) / sizeof(bad_words[0]));
}

static void expect_run(const struct command_outcome *outcome, const char *says)
{
	assert_string_equal(outcome->err, "");
	assert_int_equal(outcome->status, 0);
	assert_non_null(strstr(outcome->out, says));
	assert_non_null(strstr(outcome->out, "\"errors\": 0"));
	assert_non_null(strstr(outcome->out, "\"violations\": 0"));
}

static void files_of_all_sizes_are_what_was_written(void **state)
{
	static const char *const sizes[] = {"0", "1", "4095", "70000"};
	struct command_outcome outcome;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		COMMAND(&outcome, RAM, "--files", "20", "--size", sizes[i], "--block-size", "4999",
			"--json");
		expect_run(&outcome, "\"files\": 20");
	}
}

static void a_directory_is_timed_beside_plain_system_calls_and_left_empty(void **state)
{
	struct command_outcome outcome;

	(void)state;
	COMMAND(&outcome, DIR, "--files", "20", "--json");
	expect_run(&outcome, "\"read_plain_seconds\": 0.");
	assert_int_equal(rmdir("folder"), 0);
	assert_int_equal(mkdir("folder", 0755), 0);
}

static void what_is_put_into_a_tree_is_got_from_it(void **state)
{
	struct command_outcome outcome;
	struct stat st;

	(void)state;
	assert_int_equal(mkdir("from", 0755), 0);
	assert_int_equal(mkdir("to", 0755), 0);
	assert_int_equal(mkdir("from/empty", 02710), 0);
	assert_int_equal(chmod("from/empty", 02710), 0);
	assert_int_equal(symlink("../nowhere", "from/link"), 0);
	assert_int_equal(rename("data", "from/data"), 0);
	COMMAND(&outcome, DIR, "--workload", "put", "--from", "from", "--json");
	expect_run(&outcome, "\"files\": 3");
	COMMAND(&outcome, DIR, "--workload", "get", "--to", "to", "--json");
	expect_run(&outcome, "\"files\": 3");
	assert_int_equal(command_hash("to/data"), command_hash("from/data"));
	assert_int_equal(lstat("to/empty", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 02710);
	assert_int_equal(lstat("to/link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));

	/* A second time everything is there already, and the first name is in the message. */
	COMMAND(&outcome, DIR, "--workload", "get", "--to", "to");
	assert_int_equal(outcome.status, 1);
	assert_non_null(strstr(outcome.err, "' failed: File exists"));

	for (size_t i = 0; i < 3; i++) {
		static const char *const folders[] = {"from", "to", "folder"};
		char path[32];

		snprintf(path, sizeof(path), "%s/link", folders[i]);
		assert_int_equal(unlink(path), 0);
		snprintf(path, sizeof(path), "%s/data", folders[i]);
		assert_int_equal(unlink(path), 0);
		snprintf(path, sizeof(path), "%s/empty", folders[i]);
		assert_int_equal(rmdir(path), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_words_are_refused),
		cmocka_unit_test(files_of_all_sizes_are_what_was_written),
		cmocka_unit_test(a_directory_is_timed_beside_plain_system_calls_and_left_empty),
		cmocka_unit_test(what_is_put_into_a_tree_is_got_from_it),
	};

	return cmocka_run_group_tests_name("cli_fs", tests, command_setup, command_teardown);
}
